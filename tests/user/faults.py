"""Programs that go wrong die of the right signal, with a readable report.

usage: faults.py E2K-USER FAULTS-GUEST ENGINE
"""
import resource
import signal
import subprocess
import sys

CASES = [
    ("recursion", signal.SIGSEGV, "stack_bounds"),
    ("stack", signal.SIGSEGV, "array_bounds at"),
    ("unmapped", signal.SIGSEGV, "of address 0x123456789000"),
    ("zero", signal.SIGFPE, "div"),
    ("data", signal.SIGSEGV, "instr_page_prot"),
    ("misaligned", signal.SIGILL, "illegal_instr_addr at"),
    ("window", signal.SIGSEGV, "window_bounds"),
    ("privileged", signal.SIGILL, "priv_action"),
]


def main():
    user, guest, engine = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE,
                       (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    failed = 0
    print(f"1..{len(CASES)}")
    for number, (name, wanted, text) in enumerate(CASES, 1):
        run = subprocess.run([user, "-accel", engine, guest, name],
                             capture_output=True, text=True, timeout=60,
                             check=False)
        report = run.stderr
        good = (run.returncode == -wanted and text in report and
                wanted.name in report and "%r0" in report and
                "bundle:" in report and
                ("main" if name != "recursion" else "recurse") in report)
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
        if not good:
            failed += 1
            print(f"# status {run.returncode}, wanted -{int(wanted)}")
            for line in (run.stdout + report).splitlines()[:12]:
                print("# " + line)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
