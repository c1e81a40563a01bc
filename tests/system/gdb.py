"""The gdb stub of a machine: registers, memory, points, steps, CPUs.

usage: gdb.py E2K-SYSTEM SMP-ELF
"""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "lib"))
from gdb import Gdb  # noqa: E402

SYSTEM, GUEST = sys.argv[1:3]
FAILED = 0


def check(what, good, details=""):
    global FAILED
    print(("ok " if good else "FAILED ") + what, "" if good else details)
    FAILED += not good


def symbol(name):
    """Address of a symbol of the guest, from its ELF symbol table."""
    out = subprocess.run(["readelf", "-sW", GUEST], capture_output=True,
                         text=True, check=True).stdout
    for line in out.splitlines():
        words = line.split()
        if len(words) >= 8 and words[-1] == name:
            return int(words[1], 16)
    raise KeyError(name)


def main():
    if not shutil.which("readelf"):
        print("readelf is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "gdb.sock")
        machine = subprocess.Popen(
            [SYSTEM, "-kernel", GUEST, "-smp", "4", "-S", "-gdb", path,
             "-nographic"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            with Gdb(path) as gdb:
                talk(gdb)
            output = machine.communicate(timeout=20)[0].decode()
            check("the guest ends well", machine.returncode == 0 and
                  output.endswith("smp passed\n"), output)
        finally:
            machine.kill()
            machine.wait()


def talk(gdb):
    count_up, counter = symbol("count_up"), symbol("counter")
    gdb.start()
    check("stopped at first", gdb.ask("?").startswith("T05"))
    check("four CPUs", gdb.ask("qfThreadInfo").count(",") == 3)
    check("a point is set", gdb.ask(f"Z0,{count_up:x},8") == "OK")
    reply = gdb.ask("c")
    check("it stops there", reply.startswith("T05"), reply)
    check("at its address", gdb.register("ip") == count_up)
    code = gdb.ask(f"m{count_up:x},8")
    check("code is readable", len(code) == 16, code)
    check("memory can be written",
          gdb.ask(f"M{counter:x},8:0000000000000000") == "OK")
    check("the point goes", gdb.ask(f"z0,{count_up:x},8") == "OK")
    reply = gdb.ask("s")
    check("a step ends", reply.startswith("T05"), reply)
    check("a watchpoint is set", gdb.ask(f"Z2,{counter:x},8") == "OK")
    reply = gdb.ask("c")
    check("it sees the store", "watch:" in reply, reply)
    check("the watchpoint goes", gdb.ask(f"z2,{counter:x},8") == "OK")
    gdb.send("D")


if __name__ == "__main__":
    main()
    print(f"{FAILED} failed" if FAILED else "gdb passed")
    sys.exit(1 if FAILED else 0)
