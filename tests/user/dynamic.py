"""A dynamic program and a shared library of our own assembler and linker,
under a loader written for this test (tests/guest/user/dynamic), which the
emulator finds below -L.

usage: dynamic.py E2K-AS E2K-USER GUEST-DIR ENGINE
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "lib"))

import elf  # noqa: E402

# Dynamic relocations that a loader must know (R_E2K_...), by pointer size;
# tests/decode/relocations.py counts them as covered by this test.
WANTED = {
    64: {
        50: "64_ABS", 51: "64_ABS_LIT", 63: "64_JMP_SLOT", 64: "64_COPY",
        65: "64_RELATIVE", 66: "64_RELATIVE_LIT", 67: "64_IRELATIVE",
        68: "64_SIZE", 82: "TLS_64_DTPMOD", 83: "TLS_64_DTPREL",
        85: "TLS_TPOFF64",
    },
    32: {
        0: "32_ABS", 8: "32_JMP_SLOT", 9: "32_COPY", 10: "32_RELATIVE",
        11: "32_IRELATIVE", 12: "32_SIZE", 80: "TLS_32_DTPMOD",
        81: "TLS_32_DTPREL", 84: "TLS_TPOFF32",
    },
}
tests = failed = 0


def check(condition, text, detail=""):
    global tests, failed
    tests += 1
    print(f"{'ok' if condition else 'not ok'} {tests} - {text}", flush=True)
    if not condition:
        failed += 1
        for line in str(detail).splitlines()[:30]:
            print("# " + line)


def relocations(path, bits):
    """The types in the relocation sections of a linked file."""
    file = elf.Elf(path)
    if file.bits != bits:
        raise ValueError(f"{path} is not a {bits}-bit file")
    return {r.type for s in file.sections if s.type == elf.SHT_RELA
            for r in file.relocs(s)}


class World:
    def __init__(self, assembler, user, guests, engine, isa, bits, root):
        self.guests = guests
        self.run_as = [assembler, f"--march=e2kv{isa}", "-I", guests]
        if bits == 32:
            self.run_as += ["-mptr32", "--defsym=NARROW=1"]
        self.run_user = [user, "-accel", engine, "-L", root]
        self.root = root
        directory = f"lib{bits}"
        os.mkdir(os.path.join(root, directory))
        self.loader = self.build(directory + "/ld-linux.so.2", "ld-test.s",
                                 "--shared", "--defsym=SHARED=1", "-e",
                                 "ld_start", "--soname", "ld-linux.so.2")
        self.library = self.build(directory + "/libtest.so", "libtest.s",
                                  "--shared", "--defsym=SHARED=1", "--soname",
                                  "libtest.so")
        inputs = [self.library, self.loader]
        interpreter = f"--dynamic-linker=/{directory}/ld-linux.so.2"
        self.programs = {
            "fixed": self.build("fixed", "dyn-main.s", interpreter, *inputs),
            "pie": self.build("pie", "dyn-main.s", "--pie", "--defsym=PIC=1",
                              interpreter, *inputs),
        }

    def build(self, name, source, *options):
        path = os.path.join(self.root, name)
        subprocess.run([*self.run_as, *options, "-o", path,
                        os.path.join(self.guests, "dynamic", source)],
                       check=True)
        return path

    def run(self, path, **environment):
        return subprocess.run([*self.run_user, path], capture_output=True,
                              text=True, timeout=60, check=False,
                              env={**os.environ, **environment})


def test_world(world, bits, name):
    seen = set()
    for path in (world.library, world.loader, *world.programs.values()):
        seen |= relocations(path, bits)
    for number, reloc in WANTED[bits].items():
        check(number in seen, f"{name}: R_E2K_{reloc} is exercised")
    check(seen <= WANTED[bits].keys(), f"{name}: and nothing else", seen)
    for program, path in world.programs.items():
        for how in ({}, {"LD_BIND_NOW": "1"}):
            run = world.run(path, **how)
            lines = run.stdout.splitlines()
            good = (run.returncode == 0 and run.stderr == "" and
                    len(lines) > 30 and
                    lines[-1] == f"1..{len(lines) - 1}" and
                    all(line.startswith("ok ") for line in lines[:-1]))
            check(good, f"{name}: {program} {'now' if how else 'late'}",
                  run.stdout + run.stderr)
    os.rename(world.library, world.library + ".away")
    run = world.run(world.programs["pie"])
    check(run.returncode == 127 and "libtest.so" in run.stdout,
          f"{name}: a missing library is named", run)
    os.rename(world.loader, world.loader + ".away")
    run = world.run(world.programs["pie"])
    check(run.returncode == 126 and "interpreter" in run.stderr,
          f"{name}: a missing loader is named", run)


def main():
    assembler, user, guests, engine = sys.argv[1:]
    for bits in (64, 32):
        for isa in (3, 5):
            with tempfile.TemporaryDirectory() as root:
                world = World(assembler, user, guests, engine, isa, bits,
                              root)
                test_world(world, bits, f"{bits} bits, v{isa}")
    print(f"1..{tests}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
