"""QMP control of a running machine, and the human monitor's commands.

usage: monitor.py E2K-SYSTEM SMP-ELF KERNEL-ELF
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "lib"))
from qmp import Qmp, QmpError  # noqa: E402

SYSTEM, GUEST, KERNEL = sys.argv[1:4]
FAILED = 0


def check(what, good, details=""):
    global FAILED
    print(("ok " if good else "FAILED ") + what, "" if good else details)
    FAILED += not good


def talk(qmp):
    def human(line):
        return qmp.command("human-monitor-command", {"command-line": line})

    def status():
        return qmp.command("query-status", {})["status"]

    check("prelaunch", status() == "prelaunch")
    qmp.command("cont", {})
    qmp.command("stop", {})
    check("paused", status() == "paused")
    check("registers", "cpu3: ip 0x" in human("info registers"))
    check("memory map", "serial0" in human("info mem"))
    check("TLB", "translation off" in human("info tlb"))
    check("words", human("x /2 0x10000").count("\n") == 2)
    check("no such memory", "cannot" not in human("x 0x100") and
          "0x" in human("x 0x100"))
    check("an expression", human("p 0x10+0x20-1").strip() == "0x2f")
    check("a register", human("p $ip") == human("p $ip+0") and
          human("x $ip").startswith("0x"))
    for line in ("frobnicate", "info", "info nothing", "x", "x 12z", "xp $no",
                 "p", "p 1+"):
        said = human(line)
        check(f"'{line}' is refused", said.endswith("\r\n") and
              said.startswith(("Error: ", "unknown command: '")), said)
    check("CPUs", len(qmp.command("query-cpus-fast", {})) == 4)
    qmp.command("system_reset", {})
    qmp.event("RESET")
    qmp.command("cont", {})
    qmp.event("SHUTDOWN")
    check("the guest ended", status() == "shutdown")
    check("its traps", "interrupt" in human("info traps"))
    try:
        qmp.command("cont", {})
        check("cont after the end is refused", False)
    except QmpError:
        check("cont after the end is refused", True)
    qmp.command("quit", {})


def processes(qmp):
    """A kernel with its MMU on, stopped at its end."""
    def human(line):
        return qmp.command("human-monitor-command", {"command-line": line})

    qmp.command("cont", {})
    qmp.event("SHUTDOWN")
    tlb = human("info tlb")
    check("TLB entries", "translation off" not in tlb and
          len(tlb.splitlines()) > 1, tlb)
    root = int(human("p $mmu_u_pptb"), 16)
    entry = human(f"xp {root:#x}").split()[-1]
    check("its page table", root and int(entry, 16) & 1, entry)
    check("code where it runs", "cannot" not in human("x /4 $ip"))
    check("a hole in its memory", "cannot" in human("x 0x7ff000000000"))
    same = human(f"xp {root:#x}").split()[-1]
    check("looking changes nothing", same == entry)
    traps = human("info traps")
    check("page faults were counted", "data_page" in traps, traps)
    qmp.command("quit", {})


def console(log):
    """Logging of each kind, with the kernel as its guest."""
    done = subprocess.run(
        [SYSTEM, "-kernel", KERNEL, "-nographic", "-d", log],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=60, check=False)
    return done.stdout.decode(errors="replace")


def logs():
    for log, wanted in (("int", ("trap data_page at 0x", "system call entry",
                                 "interrupt vector")),
                        ("mmu", ("MMU register 0x04", "faults: type 0x400")),
                        ("device", ("serial0: write", "lapic"))):
        text = console(log)
        missing = [word for word in wanted if word not in text]
        check(f"-d {log}", not missing, missing)


def main():
    logs()
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "qmp.sock")
        machine = subprocess.Popen(
            [SYSTEM, "-kernel", GUEST, "-smp", "4", "-S", "-no-shutdown",
             "-qmp", f"unix:{path},server=on,wait=off"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            talk(Qmp(path))
            output = machine.communicate(timeout=20)[0].decode()
            check("exit status", machine.returncode == 0 and
                  output.endswith("smp passed\n"), output)
            check("the socket is gone", not os.path.exists(path))
            machine = subprocess.Popen(
                [SYSTEM, "-kernel", KERNEL, "-S", "-no-shutdown",
                 "-qmp", f"unix:{path},server=on,wait=off"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            processes(Qmp(path))
            machine.communicate(timeout=20)
        finally:
            machine.kill()
            machine.wait()
    print(f"{FAILED} failed" if FAILED else "monitor passed")
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
