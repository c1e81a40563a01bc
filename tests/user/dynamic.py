"""A dynamic program and a shared library of our own assembler and linker,
under a loader written for this test (tests/guest/user/dynamic), which the
emulator finds below -L.

usage: dynamic.py E2K-AS E2K-USER GUEST-DIR ENGINE
"""
import os
import struct
import subprocess
import sys
import tempfile

# What a loader of 64-bit programs must know (R_E2K_...).
WANTED = {
    50: "64_ABS", 51: "64_ABS_LIT", 63: "64_JMP_SLOT", 64: "64_COPY",
    65: "64_RELATIVE", 66: "64_RELATIVE_LIT", 67: "64_IRELATIVE",
    68: "64_SIZE", 82: "TLS_64_DTPMOD", 83: "TLS_64_DTPREL",
    85: "TLS_TPOFF64",
}
LOADER = "/lib64/ld-linux.so.2"
tests = failed = 0


def check(condition, text, detail=""):
    global tests, failed
    tests += 1
    print(f"{'ok' if condition else 'not ok'} {tests} - {text}", flush=True)
    if not condition:
        failed += 1
        for line in str(detail).splitlines()[:30]:
            print("# " + line)


def relocations(path):
    """The types in the relocation sections of a linked file."""
    with open(path, "rb") as f:
        data = f.read()
    shoff, = struct.unpack_from("<Q", data, 40)
    count, = struct.unpack_from("<H", data, 60)
    types = set()
    for i in range(count):
        section = struct.unpack_from("<IIQQQQIIQQ", data, shoff + 64 * i)
        if section[1] == 4:  # SHT_RELA
            for at in range(section[4], section[4] + section[5], 24):
                types.add(struct.unpack_from("<I", data, at + 8)[0])
    return types


class World:
    def __init__(self, assembler, user, guests, engine, isa, root):
        self.assembler, self.guests, self.isa = assembler, guests, isa
        self.run_user = [user, "-accel", engine, "-L", root]
        self.root = root
        os.mkdir(os.path.join(root, "lib64"))
        self.loader = self.build("lib64/ld-linux.so.2", "ld-test.s",
                                 "--shared", "--defsym=SHARED=1", "-e",
                                 "ld_start", "--soname", "ld-linux.so.2")
        self.library = self.build("lib64/libtest.so", "libtest.s", "--shared",
                                  "--defsym=SHARED=1", "--soname",
                                  "libtest.so")
        inputs = [self.library, self.loader]
        interpreter = f"--dynamic-linker={LOADER}"
        self.programs = {
            "fixed": self.build("fixed", "dyn-main.s", interpreter, *inputs),
            "pie": self.build("pie", "dyn-main.s", "--pie", "--defsym=PIC=1",
                              interpreter, *inputs),
        }

    def build(self, name, source, *options):
        path = os.path.join(self.root, name)
        subprocess.run([self.assembler, f"--march=e2kv{self.isa}", "-I",
                        self.guests, *options, "-o", path,
                        os.path.join(self.guests, "dynamic", source)],
                       check=True)
        return path

    def run(self, path, **environment):
        return subprocess.run([*self.run_user, path], capture_output=True,
                              text=True, timeout=60, check=False,
                              env={**os.environ, **environment})


def main():
    assembler, user, guests, engine = sys.argv[1:]
    for isa in (3, 5):
        with tempfile.TemporaryDirectory() as root:
            world = World(assembler, user, guests, engine, isa, root)
            seen = set()
            for path in (world.library, world.loader,
                         *world.programs.values()):
                seen |= relocations(path)
            for number, name in WANTED.items():
                check(number in seen, f"v{isa}: R_E2K_{name} is exercised")
            check(seen <= WANTED.keys(), f"v{isa}: and nothing else", seen)
            for name, path in world.programs.items():
                for how in ({}, {"LD_BIND_NOW": "1"}):
                    run = world.run(path, **how)
                    lines = run.stdout.splitlines()
                    good = (run.returncode == 0 and run.stderr == "" and
                            len(lines) > 30 and
                            lines[-1] == f"1..{len(lines) - 1}" and
                            all(line.startswith("ok ")
                                for line in lines[:-1]))
                    check(good, f"v{isa}: {name} {'now' if how else 'late'}",
                          run.stdout + run.stderr)
            os.rename(world.library, world.library + ".away")
            run = world.run(world.programs["pie"])
            check(run.returncode == 127 and "libtest.so" in run.stdout,
                  f"v{isa}: a missing library is named", run)
            os.rename(world.loader, world.loader + ".away")
            run = world.run(world.programs["pie"])
            check(run.returncode == 126 and "interpreter" in run.stderr,
                  f"v{isa}: a missing loader is named", run)
    print(f"1..{tests}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
