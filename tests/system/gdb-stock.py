"""A gdb as distributions have it, which has never heard of e2k, debugs a
machine and a program (",as=aarch64" at the stub).

usage: gdb-stock.py E2K-SYSTEM SMP-ELF E2K-USER DEBUGGEE
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "lib"))
from elf import Elf, addresses  # noqa: E402

SYSTEM, GUEST, USER, DEBUGGEE = sys.argv[1:5]
FAILED = 0


def check(what, good, details=""):
    global FAILED
    print(("ok " if good else "FAILED ") + what, "" if good else details)
    FAILED += not good


def session(command, path, commands):
    """Runs the emulator and gdb; both texts, and the emulator's status."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as process:
        try:
            arguments = ["gdb-multiarch", "-nx", "-batch",
                         "-ex", "shell while [ ! -S %s ]; do sleep 0.01; done"
                         % path,
                         "-ex", f"target remote {path}"]
            for line in commands:
                arguments += ["-ex", line]
            done = subprocess.run(arguments, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=60,
                                  text=True, check=False)
            output = process.communicate(timeout=40)[0].decode()
        finally:
            if process.poll() is None:
                process.kill()
    return done.stdout, output, process.returncode


def machine(where):
    path = f"{where}/machine.sock"
    start, main = Elf(GUEST).entry, addresses(GUEST)["main"]
    text, output, status = session(
        [SYSTEM, "-kernel", GUEST, "-smp", "4", "-S", "-gdb",
         f"{path},as=aarch64", "-nographic"], path,
        ["print/x $pc", "print/x $ip", f"x/1gx {start:#x}",
         f"break *{main:#x}", "continue", "print/x $pc", "info threads",
         "print/x $r0", "print/x $g7 = 0x1234", "print/x $g7",
         f"set {{long}}{main - 8:#x} = 0x5566", f"x/1gx {main - 8:#x}",
         "stepi", "print $pc > %d" % main, "detach"])
    check("no complaint about the description",
          "warning: Could not load XML" not in text and
          "unknown architecture" not in text, text)
    check("pc and ip are the entry", text.count(f"= {start:#x}\n") == 2, text)
    check("a breakpoint", "Breakpoint 1, " in text and
          f"= {main:#x}\n" in text, text)
    check("CPUs are threads", len(re.findall(r"\(cpu\d\)", text)) == 4, text)
    check("registers of the machine's own", text.count("= 0x1234\n") == 2,
          text)
    check("memory is written", re.search(r":\s+0x0*5566\n", text), text)
    check("a step", "= 1\n" in text, text)
    check("the guest ends well", status == 0 and
          output.endswith("smp passed\n"), output)


def program(where):
    path = f"{where}/program.sock"
    start = Elf(DEBUGGEE).entry
    text, _, _ = session(
        [USER, "-g", f"{path},as=aarch64", DEBUGGEE], path,
        ["print/x $pc", "print/x $ctpr1", "stepi", f"print $pc > {start}",
         f"break *{start:#x}", "info breakpoints", "kill"])
    check("a program's entry", f"= {start:#x}\n" in text, text)
    check("a step of a program", "= 1\n" in text, text)
    check("a breakpoint of a program", "Breakpoint 1 at" in text, text)


def refused():
    for command in ([SYSTEM, "-kernel", GUEST, "-gdb", "0,as=vax"],
                    [USER, "-g", "0,as=vax", DEBUGGEE]):
        done = subprocess.run(command, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30,
                              check=False)
        check("another architecture is refused",
              done.returncode == 1 and done.stderr.count("\n") == 1 and
              "as=aarch64" in done.stderr, done.stderr)


def main():
    if not shutil.which("gdb-multiarch"):
        print("gdb-multiarch is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as where:
        machine(where)
        program(where)
    refused()
    sys.exit(1 if FAILED else 0)


main()
