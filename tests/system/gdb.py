"""The gdb stub of a machine: registers, memory, points, steps, CPUs; and the
same in a process of a kernel, behind the MMU, in the engine given.

usage: gdb.py E2K-SYSTEM SMP-ELF KERNEL-ELF ENGINE
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "lib"))
from elf import addresses  # noqa: E402
from gdb import Gdb  # noqa: E402

SYSTEM, GUEST, KERNEL, ENGINE = sys.argv[1:5]
FAILED = 0
# The kernel guest's processes: code, information page, memory on demand.
USER_CODE, USER_INFO, DEMAND = 0x40000000, 0x40008000, 0x40010000


def check(what, good, details=""):
    global FAILED
    print(("ok " if good else "FAILED ") + what, "" if good else details)
    FAILED += not good


def main():
    session(GUEST, 4, talk, "smp passed\n")
    session(KERNEL, 1, talk_to_process, "kernel passed\n")


def session(guest, cpus, conversation, last_line):
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "gdb.sock")
        machine = subprocess.Popen(
            [SYSTEM, "-accel", ENGINE, "-kernel", guest, "-smp", str(cpus),
             "-S", "-gdb", path, "-nographic"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            with Gdb(path) as gdb:
                conversation(gdb)
            output = machine.communicate(timeout=40)[0].decode()
            check("the guest ends well", machine.returncode == 0 and
                  output.endswith(last_line), output)
        finally:
            machine.kill()
            machine.wait()


def talk_to_process(gdb):
    gdb.start()
    gdb.ask("?")
    check("a point in a process", gdb.ask(f"Z0,{USER_CODE:x},8") == "OK")
    seen = set()
    for _ in range(50): # an interrupt may come first, and another process
        reply = gdb.ask("c")
        if not reply.startswith("T05") or gdb.register("ip") != USER_CODE:
            check("it stops there", False, reply)
            break
        check("user mode", gdb.register("psr") & 1 == 0)
        seen.add(gdb.ask(f"m{USER_INFO:x},8"))
        if len(seen) == 2:
            break
    check("memory is that of each process", seen ==
          {number + 14 * "0" for number in ("01", "02")}, seen)
    check("the point goes", gdb.ask(f"z0,{USER_CODE:x},8") == "OK")
    gdb.ask(f"Z2,{DEMAND + 8:x},8")
    reply = gdb.ask("c")
    check("a watchpoint sees a store that faults", "watch:" in reply, reply)
    check("it goes", gdb.ask(f"z2,{DEMAND + 8:x},8") == "OK")
    reply = gdb.ask("s")
    check("a step ends", reply.startswith("T05"), reply)
    gdb.send("D")


def talk(gdb):
    labels = addresses(GUEST)
    count_up, counter = labels["count_up"], labels["counter"]
    gdb.start()
    reply = gdb.ask("?")
    check("stopped at first", reply.startswith("T05"), reply)
    check("four CPUs", gdb.ask("qfThreadInfo").count(",") == 3)
    check("a point is set", gdb.ask(f"Z0,{count_up:x},8") == "OK")
    reply = gdb.ask("c")
    check("it stops there", reply.startswith("T05"), reply)
    check("at its address", gdb.register("ip") == count_up)
    code = gdb.ask(f"m{count_up:x},8")
    check("code is readable", len(code) == 16, code)
    registers(gdb)
    count = gdb.ask(f"m{counter:x},8") # other CPUs may have begun
    check("memory can be written",
          gdb.ask(f"M{counter:x},8:{count}") == "OK")
    check("the point goes", gdb.ask(f"z0,{count_up:x},8") == "OK")
    reply = gdb.ask("s")
    check("a step ends", reply.startswith("T05"), reply)
    check("a watchpoint is set", gdb.ask(f"Z2,{counter:x},8") == "OK")
    reply = gdb.ask("c")
    check("it sees the store", "watch:" in reply, reply)
    check("the watchpoint goes", gdb.ask(f"z2,{counter:x},8") == "OK")
    gdb.send("D")


def set_register(gdb, name, value):
    number, size = gdb.registers[name]
    return gdb.ask(f"P{number:x}={value.to_bytes(size, 'little').hex()}")


def registers(gdb):
    """Privileged registers can be read, without a change, and written."""
    missing = [name for name in (
        "psr", "oscud_lo", "osem", "pshtp", "pcshtp", "psp_hi", "cr1_lo",
        "core_mode", "tir0_hi", "tir18_lo", "ext_r0", "ext_g31", "mmu_cr",
        "mmu_cont", "mmu_u_pptb", "mmu_trap_point", "mmu_trap_count",
        "dibcr", "dibsr", "dibar3", "ddbcr", "ddbsr", "ddbar0")
               if name not in gdb.registers]
    check("the description has the system's registers", not missing, missing)
    before = gdb.ask("g")
    check("reading changes nothing", gdb.register("psp_hi") is not None and
          gdb.register("pshtp") is not None and
          [gdb.register(n) for n in ("psp_hi", "pcsp_hi")] ==
          [gdb.register(n) for n in ("psp_hi", "pcsp_hi")])
    check("all registers at once", len(before) > 2000, len(before))
    for name, value in (("osem", 0x5a), ("mmu_cont", 0x12),
                        ("mmu_trap_point", 0x7000), ("ext_g5", 0x123456789),
                        ("psr", 0x05), ("cr0_hi", 0x12340),
                        ("dibar3", 0x12340), ("dibcr", 0xc0),
                        ("ddbar0", 0x4568), ("ddbcr", 0x10c5)):
        old = gdb.register(name)
        reply = set_register(gdb, name, value)
        check(f"{name} is written", reply == "OK" and
              gdb.register(name) == value, reply)
        check(f"{name} is put back", set_register(gdb, name, old) == "OK" and
              gdb.register(name) == old)
    check("a trap's record is not written",
          set_register(gdb, "tir0_hi", 1).startswith("E"))


if __name__ == "__main__":
    main()
    print(f"{FAILED} failed" if FAILED else "gdb passed")
    sys.exit(1 if FAILED else 0)
