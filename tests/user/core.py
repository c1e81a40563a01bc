"""Core files: notes and memory as a debugger for e2k finds them.

usage: core.py E2K-USER FAULTS-GUEST CRASH-GUEST CRASH-GUEST-32 ENGINE
"""
import glob
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "lib"))

from elf import addresses  # noqa: E402

PRSTATUS, PRPSINFO, AUXV = 1, 3, 6
SIGINFO, FILES = 0x53494749, 0x46494c45
REGS = {2: 112, 1: 72}  # by class: where a status has the registers
NOWHERE = 0x1234000
tests = failed = 0


def check(condition, text, detail=""):
    global tests, failed
    tests += 1
    print(f"{'ok' if condition else 'not ok'} {tests} - {text}", flush=True)
    if not condition:
        failed += 1
        print(f"# {detail}")


class Core:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        self.wide = self.data[4] == 2
        self.kind, self.machine = struct.unpack_from("<HH", self.data, 16)
        count, = struct.unpack_from("<H", self.data, 56 if self.wide else 44)
        if self.wide:
            self.headers = [struct.unpack_from("<IIQQQQQQ", self.data,
                                               64 + 56 * i)
                            for i in range(count)]
        else:
            narrow = [struct.unpack_from("<8I", self.data, 52 + 32 * i)
                      for i in range(count)]
            self.headers = [h[:1] + h[6:7] + h[1:6] + h[7:] for h in narrow]
        self.notes = {}
        for header in self.headers:
            if header[0] == 4:
                self.read_notes(header[2], header[5])

    def words(self, note):
        size = 8 if self.wide else 4
        return struct.unpack_from(
            f"<{len(note) // size}{'Q' if self.wide else 'I'}", note)

    def statuses(self):
        """Process number and registers of each thread."""
        at = REGS[self.data[4]]
        return [(struct.unpack_from("<I", note, 32 if self.wide else 24)[0],
                 note[at:]) for note in self.notes[PRSTATUS]]

    def read_notes(self, at, size):
        end = at + size
        while at < end:
            name, bytes_, kind = struct.unpack_from("<III", self.data, at)
            at += 12 + (name + 3 & ~3)
            self.notes.setdefault(kind, []).append(self.data[at:at + bytes_])
            at += bytes_ + 3 & ~3

    def memory(self, address, size):
        for kind, _, offset, start, _, in_file, _, _ in self.headers:
            if kind == 1 and start <= address < start + in_file:
                return self.data[offset + address - start:][:size]
        return None

    def word(self, address):
        return struct.unpack("<Q", self.memory(address, 8))[0]


def run(user, guest, engine, directory, limit, *arguments):
    def limits():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        want = hard if limit is None else limit
        resource.setrlimit(resource.RLIMIT_CORE, (want, hard))

    process = subprocess.run([user, "-accel", engine, guest, *arguments],
                             cwd=directory, preexec_fn=limits, check=False,
                             capture_output=True, text=True, timeout=60)
    return process, glob.glob(os.path.join(directory, "*.core"))


def look(core, guest):
    symbol = addresses(guest)
    check((core.kind, core.machine) == (4, 175), "a core file of e2k")
    check(set(core.notes) == {PRSTATUS, PRPSINFO, AUXV, SIGINFO, FILES},
          "its notes", set(core.notes))
    status = core.notes[PRSTATUS][0]
    check(struct.unpack_from("<I", status)[0] == signal.SIGSEGV and
          struct.unpack_from("<H", status, 12)[0] == signal.SIGSEGV,
          "the signal")
    regs = status[REGS[2]:]
    check(struct.unpack_from("<Q", regs)[0] == 4784,
          "registers of the kernel's layout")
    ip, = struct.unpack_from("<Q", regs, 2680)
    check(symbol["main"] <= ip < symbol["main"] + 0x1000,
          "the instruction pointer is in main", hex(ip))
    chain, = struct.unpack_from("<Q", regs, 4728)
    index = struct.unpack_from("<Q", regs, 448)[0] & 0xffffffff
    back = core.word(chain + index + 8)
    check(symbol["_start"] <= back < symbol["main"] + 0x4000,
          "the chain stack leads to _start", hex(back))
    number, _, code, address = struct.unpack_from("<iii4xQ",
                                                  core.notes[SIGINFO][0])
    check((number, code, address) == (signal.SIGSEGV, 1, 0x123456789000),
          "siginfo", (number, code, hex(address)))
    auxv = dict(struct.iter_unpack("<QQ", core.notes[AUXV][0]))
    check(auxv.get(9) == symbol["_start"], "the auxiliary vector", auxv)
    name = core.notes[PRPSINFO][0][40:56].rstrip(b"\0").decode()
    check(name == os.path.basename(guest)[:15], "the program's name", name)
    check(core.notes[PRPSINFO][0][56:].startswith(guest.encode()[:20]),
          "and its arguments")
    count, page = struct.unpack_from("<QQ", core.notes[FILES][0])
    check(count >= 2 and page == 4096 and guest.encode() in
          core.notes[FILES][0], "the files that were mapped")
    check(core.memory(symbol["_start"] & ~0xfff, 4) == b"\x7fELF",
          "the program's first page")
    check(core.memory(auxv[31], 8) is not None and
          core.memory(auxv[31], len(guest)) == guest.encode(),
          "strings on the stack")


def inside(symbol, name, ip):
    """The address is in the procedure."""
    behind = [value for value in symbol.values() if value > symbol[name]]
    return symbol[name] <= ip < min(behind, default=1 << 63)


def look_at_threads(core, guest, wide):
    symbol = addresses(guest)
    bits = 64 if wide else 32
    check((core.wide, core.kind, core.machine) == (wide, 4, 175),
          f"a core file of {bits} bits")
    threads = core.statuses()
    ips = [struct.unpack_from("<Q", regs, 2680)[0] for _, regs in threads]
    check(len(set(tid for tid, _ in threads)) == 3, "three threads",
          [tid for tid, _ in threads])
    check(inside(symbol, "dies", ips[0]), "the first is the one that died",
          hex(ips[0]))
    check(sum(inside(symbol, "spinner", ip) for ip in ips[1:]) == 1 and
          sum(inside(symbol, "sleeper", ip) for ip in ips[1:]) == 1,
          "the others are where they were", [hex(ip) for ip in ips])
    if wide:
        good = 0
        for _, regs in threads:
            chain, = struct.unpack_from("<Q", regs, 4728)
            index = struct.unpack_from("<Q", regs, 448)[0] & 0xffffffff
            good += inside(symbol, "main", core.word(chain + index + 8))
        check(good == 3, "each chain leads to main", good)
    number, code = struct.unpack_from("<i4xi", core.notes[SIGINFO][0])
    address, = struct.unpack_from("<Q" if wide else "<I",
                                  core.notes[SIGINFO][0], 16 if wide else 12)
    check((number, code, address) == (signal.SIGSEGV, 1, NOWHERE), "siginfo",
          (number, code, hex(address)))
    words = core.words(core.notes[AUXV][0])
    auxv = dict(zip(words[::2], words[1::2]))
    check(auxv.get(9) == symbol["_start"] and auxv.get(6) == 4096,
          "the auxiliary vector", auxv)
    at = 40 if wide else 28
    name = core.notes[PRPSINFO][0][at:at + 16].rstrip(b"\0").decode()
    check(name == os.path.basename(guest)[:15], "the program's name", name)
    check(core.words(core.notes[FILES][0][:16])[1] == 4096 and
          guest.encode() in core.notes[FILES][0], "the files")
    check(core.memory(symbol["started"], 8) == b"\1\0\0\0\1\0\0\0",
          "its memory")
    check(core.memory(auxv[31], len(guest)) == guest.encode(),
          "strings on the stack")


def main():
    user, guest, crash, crash_32 = map(os.path.realpath, sys.argv[1:5])
    engine = sys.argv[5]
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        print("1..0 # SKIP no core files are allowed here")
        return
    for program, wide in ((crash, True), (crash_32, False)):
        with tempfile.TemporaryDirectory() as directory:
            process, cores = run(user, program, engine, directory, None)
            check(process.returncode == -signal.SIGSEGV and len(cores) == 1,
                  "a program with threads leaves a core file", process)
            frames = [line.split()[2].split("+")[0]
                      for line in process.stderr.splitlines()
                      if line.startswith("#")]
            check(frames == ["dies", "main", "_start"],
                  "the report's backtrace has names", process.stderr)
            look_at_threads(Core(cores[0]), program, wide)
            if shutil.which("readelf"):
                text = subprocess.run(["readelf", "-n", cores[0]], check=False,
                                      capture_output=True, text=True).stdout
                check(text.count("NT_PRSTATUS") == 3 and "NT_FILE" in text,
                      "readelf agrees", text)
    with tempfile.TemporaryDirectory() as directory:
        process, cores = run(user, guest, engine, directory, None, "unmapped")
        check(process.returncode == -signal.SIGSEGV, "the program died",
              process)
        check(len(cores) == 1 and os.path.basename(cores[0]) in
              process.stderr, "and left a core file, which is named", cores)
        look(Core(cores[0]), guest)
        if shutil.which("readelf"):
            text = subprocess.run(["readelf", "-n", cores[0]], check=False,
                                  capture_output=True, text=True).stdout
            check(all(word in text for word in
                      ("NT_PRSTATUS", "NT_PRPSINFO", "NT_SIGINFO", "NT_AUXV",
                       "NT_FILE")), "readelf agrees", text)
    with tempfile.TemporaryDirectory() as directory:
        _, cores = run(user, guest, engine, directory, 0, "unmapped")
        check(not cores, "no core file when the limit is 0", cores)
        _, cores = run(user, guest, engine, directory, 8192, "unmapped")
        check(all(os.path.getsize(core) <= 8192 for core in cores),
              "none that is longer than the limit", cores)
    print(f"1..{tests}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
