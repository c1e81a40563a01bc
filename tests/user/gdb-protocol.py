"""A debugger's session with e2k-user, over the remote protocol.

usage: gdb-protocol.py E2K-USER DEBUGGEE ENGINE
"""
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from elf import addresses  # noqa: E402
from gdb import Gdb  # noqa: E402

SIGTRAP, SIGUSR1 = 5, 10
tests = failed = 0


def check(condition, text, detail=""):
    global tests, failed
    tests += 1
    print(f"{'ok' if condition else 'not ok'} {tests} - {text}", flush=True)
    if not condition:
        failed += 1
        print(f"# {detail}")


def session(gdb, symbol, exe):
    features = gdb.start()
    check("qXfer:features:read+" in features, "features are announced")
    check({"ip", "r0", "r63", "g31", "pf", "lsr", "wd", "tag_r0"} <=
          set(gdb.registers), "the target description names the registers")
    stop = gdb.stop_reply("?")
    check(stop.get("signal") == SIGTRAP, "stopped before the first bundle",
          stop)
    check(gdb.register("ip") == symbol["_start"], "at the entry point")
    check(gdb.register("r0") == 0 and gdb.register("r63") is None,
          "window registers end at the window")
    check(gdb.xfer("exec-file", "") == exe, "the program's name")
    auxv = gdb.xfer("auxv", "").encode("latin-1")
    check(len(auxv) % 16 == 0 and len(auxv) > 160, "the auxiliary vector")
    check(gdb.ask("qfThreadInfo").startswith("m"), "a list of threads")
    check(gdb.ask("vNonsense") == "", "unknown packets get an empty answer")
    check(gdb.ask("m1,4").startswith("E"), "unmapped memory is an error")
    check(all(gdb.ask("Hg" + text) == "OK"
              for text in ("0", "-1", "p0.0", "p-1.-1", "p-1", "p1")) and
          all(gdb.ask("Hg" + text).startswith("E")
              for text in ("", "p", "p-", "-", "p1.", "p-1.-")),
          "threads are named in each form, and in no other")
    gdb.ask("Hg0")

    # Breakpoints
    check(gdb.ask(f"Z0,{symbol['before_signal']:x},8") == "OK",
          "a breakpoint")
    stop = gdb.cont()
    check("swbreak" in stop and
          gdb.register("ip") == symbol["before_signal"],
          "execution stops there", stop)
    gdb.ask(f"z0,{symbol['before_signal']:x},8")

    # A signal, and stepping through its handler
    gdb.ask(f"Z0,{symbol['in_handler']:x},8")
    stop = gdb.cont()
    check(stop.get("signal") == SIGUSR1, "the debugger sees the signal", stop)
    stop = gdb.cont(SIGUSR1)
    check(gdb.register("ip") == symbol["in_handler"],
          "passed on, it reaches the handler", stop)
    gdb.step()
    check(gdb.register("r9") == 0x1122334455667788,
          "one step executes one bundle")
    gdb.set_register("r9", 0x100)
    gdb.step()
    check(gdb.register("r9") == 0x101, "a changed register is used")

    # Watchpoints
    gdb.ask(f"Z2,{symbol['variable']:x},8")
    stop = gdb.cont()
    check(int(stop.get("watch", "0"), 16) == symbol["variable"],
          "a store to a watched variable stops", stop)
    check(gdb.memory(symbol["variable"], 8) == struct.pack("<Q", 0x101),
          "after the store")
    gdb.ask(f"z2,{symbol['variable']:x},8")
    for _ in range(40):
        gdb.step()
        if gdb.register("ip") not in range(symbol["handler"],
                                           symbol["loop"]):
            break
    check(gdb.register("ip") not in range(symbol["handler"], symbol["loop"]),
          "stepping leaves the handler")

    # A software-pipelined loop
    gdb.ask(f"Z0,{symbol['loop_body']:x},8")
    gdb.cont()
    rounds = []
    while gdb.register("ip") == symbol["loop_body"]:
        rounds.append((gdb.register("lsr") & 0xffffffff,
                       gdb.register("br") >> 12 & 63))
        gdb.step()
        if len(rounds) > 20:
            break
    check([lcnt for lcnt, _ in rounds] == list(range(10, 0, -1)),
          "each step is an iteration of the loop", rounds)
    check(len({rcur for _, rcur in rounds}) == 4,
          "with its rotation", rounds)
    gdb.ask(f"z0,{symbol['loop_body']:x},8")

    gdb.set_memory(symbol["variable"], b"\1\2\3\4")
    check(gdb.memory(symbol["variable"], 4) == b"\1\2\3\4",
          "memory can be written")
    name = exe.encode().hex()
    fd = gdb.ask(f"vFile:open:{name},0,0")
    head = gdb.ask(f"vFile:pread:{fd[1:]},4,0")
    check(head == "F4;\x7fELF", "vFile reads the program", head)
    pid = int(gdb.ask("qC")[2:].split(".")[0].lstrip("p"), 16)
    name = f"/proc/{pid}/maps".encode().hex()
    fd = gdb.ask(f"vFile:open:{name},0,0")
    maps = gdb.ask(f"vFile:pread:{fd[1:]},2000,0")
    check("[stack]" in maps and os.path.basename(exe) in maps and
          "libc" not in maps, "info proc mappings shows the program's", maps)
    check(gdb.ask(f"vFile:close:{fd[1:]}") == "F0", "and is closed")
    check("[stack]" in bytes.fromhex(
        gdb.ask("qRcmd," + b"maps".hex())).decode(), "monitor maps")
    stop = gdb.cont()
    check(stop == {"exited": 45}, "the end and its status", stop)


def main():
    user, guest, engine = sys.argv[1:]
    guest = os.path.realpath(guest)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "gdb")
        process = subprocess.Popen([user, "-accel", engine, "-g", path, guest])
        try:
            with Gdb(path) as gdb:
                session(gdb, addresses(guest), guest)
            check(process.wait(10) == 45, "the program's exit status")
            check(not os.path.exists(path), "the socket is gone")
        finally:
            process.kill()
            process.wait()
    print(f"1..{tests}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
