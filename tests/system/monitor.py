"""QMP control of a running machine, and the human monitor's commands.

usage: monitor.py E2K-SYSTEM SMP-ELF
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "lib"))
from qmp import Qmp, QmpError  # noqa: E402

SYSTEM, GUEST = sys.argv[1:3]
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
    for line in "frobnicate", "info", "info nothing", "x":
        try:
            human(line)
            check(f"'{line}' is refused", False)
        except QmpError as error:
            check(f"'{line}' is refused", bool(error.desc))
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


def main():
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
        finally:
            machine.kill()
            machine.wait()
    print(f"{FAILED} failed" if FAILED else "monitor passed")
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
