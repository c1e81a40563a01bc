"""A wild pointer cannot reach the emulator: its memory is looked up by the
test and handed to a guest, whose accesses must be its own SIGSEGV.

usage: wild.py E2K-USER WILD-GUEST ENGINE
"""
import re
import signal
import subprocess
import sys

LIMIT = 1 << 46
FORMS = "0123456789abcdefgh"
UNMAPPED = 0x30000008 # form c


def emulator_memory(pid):
    """Writable addresses of the emulator: program data, heap, stack, a
    library, and the last page of the address space."""
    found = {}
    with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
        for line in f:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw.. \S+ \S+ \S+ *(\S*)",
                         line)
            if not m or int(m[1], 16) < LIMIT:
                continue
            name = m[3].rsplit("/", 1)[-1] or "unnamed"
            found.setdefault(name.split(".")[0],
                             (int(m[1], 16) + int(m[2], 16)) // 2 & ~7)
    return found


def start(user, guest, engine, form):
    process = subprocess.Popen([user, "-accel", engine, guest, form],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return process


def expected(form, address):
    """Signal, and what the report says."""
    if form in "df":
        return signal.SIGILL, "diag_operand"
    return (signal.SIGSEGV, "data_page of address "
            f"{UNMAPPED if form == 'c' else address:#x}")


def main():
    user, guest, engine = sys.argv[1:]
    number = failed = 0
    probe = start(user, guest, engine, "0")
    names = sorted(emulator_memory(probe.pid))
    probe.communicate(b"0" * 16)
    wanted = [n for n in names if n in ("[heap]", "[stack]", "unnamed",
                                        "e2k-user", "libc")]
    for name in wanted:
        for form in FORMS:
            number += 1
            process = start(user, guest, engine, form)
            address = emulator_memory(process.pid)[name]
            out, report = process.communicate(b"%016x" % address, 60)
            wanted_signal, text = expected(form, address)
            good = (process.returncode == -wanted_signal and out == b"" and
                    text.encode() in report)
            print(f"{'ok' if good else 'not ok'} {number} - {name}, form "
                  f"{form}")
            if not good:
                failed += 1
                print(f"# status {process.returncode}, {out!r}")
                print("# " + report.decode()[:200])
    number += 1
    enough = "[stack]" in wanted and len(wanted) >= 3
    print(f"{'ok' if enough else 'not ok'} {number} - memory of the emulator "
          f"was found: {wanted}")
    print(f"1..{number}")
    sys.exit(1 if failed or not enough else 0)


if __name__ == "__main__":
    main()
