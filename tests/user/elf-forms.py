"""Forms of an ELF file's header: the old machine number runs like the new
one, wrong versions, modes and flags are refused with one line that says why,
by either engine and in both classes.

usage: elf-forms.py E2K-USER GUEST-64 GUEST-32 ENGINE
"""
import os
import struct
import subprocess
import sys
import tempfile

NOT_EXECUTABLE = 126
CLASS, DATA, VERSION, MODE = 4, 5, 6, 7
TYPE, MACHINE, WORD_VERSION = 16, 18, 20
OLD, NEW = 49, 175
X86APP, INCOMPAT, PROTECTED = 4, 0x10, 0x20


class Form:
    """A program, with another header for each case."""

    def __init__(self, image):
        self.image = image
        self.bits = 32 * image[CLASS]
        self.flags, self.phentsize, self.phnum = \
            (48, 54, 56) if self.bits == 64 else (36, 42, 44)
        self.mode = 2 if self.bits == 64 else 1

    def make(self, machine, flags, *changes):
        """Changes are (offset, value) of bytes and (offset, value, format)."""
        image = bytearray(self.image)
        struct.pack_into("<H", image, MACHINE, machine)
        struct.pack_into("<I", image, self.flags, flags)
        if machine == OLD:
            image[MODE] = self.mode
        for offset, value, *form in changes:
            struct.pack_into(form[0] if form else "B", image, offset, value)
        return bytes(image)

    def new(self, mach, flags=0, *changes):
        return self.make(NEW, mach << 24 | flags, *changes)

    def old(self, mach, *changes):
        return self.make(OLD, mach << 28, *changes)

    def cpu_cases(self):
        """Name, file, options, and the reason of a refusal (None: runs)."""
        yield "new number", self.new(3), [], None
        yield "old number", self.old(3), [], None
        yield "new number, any CPU", self.new(0), [], None
        yield "old number, any CPU", self.old(0), [], None
        yield "mach 2, any CPU", self.new(2), [], None
        yield "mach 1", self.new(1), [], "unknown CPU"
        yield "mach 8", self.new(8), [], "unknown CPU"
        yield "mach 255", self.new(255), [], "unknown CPU"
        yield ("old number, mach 1", self.old(1), [], "unknown CPU")
        yield ("old number, too old a CPU", self.old(5), ["-cpu", "v4"],
               "instruction set version 5")
        yield ("too old a CPU", self.new(6), ["-cpu", "v5"],
               "instruction set version 6")
        yield "a newer CPU", self.new(3), ["-cpu", "v6"], None
        yield ("exactly another CPU", self.new(3, INCOMPAT), ["-cpu", "v5"],
               "version 3 exactly")
        yield ("exactly this CPU", self.new(4, INCOMPAT), ["-cpu", "v4"],
               None)
        # The old number has no such flag.
        yield ("flags of the new number", self.make(
            OLD, 3 << 28 | INCOMPAT | PROTECTED | X86APP), ["-cpu", "v5"],
            None)
        for mach, model, other in ((19, "e8c", "e1c+"), (20, "e1c+", "e8c"),
                                   (21, "e12c", "e16c"), (22, "e16c", "e2c3"),
                                   (23, "e2c3", "e12c"), (25, "e8v7", "e16c")):
            yield f"mach {mach}", self.new(mach), [], None
            yield (f"mach {mach} on it", self.new(mach), ["-cpu", model],
                   None)
            yield (f"mach {mach} on another", self.new(mach), ["-cpu", other],
                   "needs CPU")

    def mode_cases(self):
        yield ("new number, protected mode", self.new(3, PROTECTED), [],
               "protected")
        for mode in (5, 6):
            yield (f"old number, protected mode {mode}",
                   self.old(3, (MODE, mode)), [], "protected")
        yield ("old number, mode of the other class",
               self.old(3, (MODE, 3 - self.mode)), [],
               f"not that of a {self.bits}-bit file")
        yield ("old number, no mode", self.old(3, (MODE, 0)), [],
               f"not that of a {self.bits}-bit file")
        yield ("translated x86 code", self.new(3, X86APP), [],
               "translated x86")

    def word_cases(self):
        for version in (0, 2, 255):
            yield (f"identification version {version}",
                   self.new(3, 0, (VERSION, version)), [], "version 1")
        for version in (0, 2, 1 << 31):
            yield (f"ELF version {version}",
                   self.new(3, 0, (WORD_VERSION, version, "<I")), [],
                   f"unknown ELF version {version}")
        for order in (0, 2):
            yield (f"byte order {order}", self.new(3, 0, (DATA, order)), [],
                   "little-endian")
        for number in (0, 3):
            yield (f"class {number}", self.new(3, 0, (CLASS, number)), [],
                   f"invalid ELF class {number}")
        for kind in (0, 1, 4, 0xffff):
            yield (f"type {kind}", self.new(3, 0, (TYPE, kind, "<H")), [],
                   f"type {kind}")
        yield "machine 62", self.make(62, 3 << 24), [], "machine 62"
        for offset, value, name in ((self.phentsize, 1, "size"),
                                    (self.phnum, 0, "number"),
                                    (self.phnum, 0xffff, "number")):
            yield (f"{name} {value} of program headers",
                   self.new(3, 0, (offset, value, "<H")), [],
                   "invalid program header table")
        # Words that a kernel does not look at.
        yield ("no section headers, odd sizes", self.new(
            3, 0, (self.flags + 4, 0, "<H"), (self.phnum + 2, 7, "<H"),
            (self.phnum + 4, 0, "<H"), (self.phnum + 6, 9, "<H"),
            (8, 1), (15, 255)), [], None)

    def cases(self):
        yield from self.cpu_cases()
        yield from self.mode_cases()
        yield from self.word_cases()


def main():
    user, *guests, engine = sys.argv[1:]
    failed = number = 0
    with tempfile.TemporaryDirectory() as directory:
        for guest in guests:
            with open(guest, "rb") as f:
                form = Form(f.read())
            wanted = subprocess.run([user, "-accel", engine, guest],
                                    capture_output=True, timeout=30,
                                    check=True)
            for name, content, options, reason in form.cases():
                number += 1
                path = os.path.join(directory, f"case{number}")
                with open(path, "wb") as f:
                    f.write(content)
                os.chmod(path, 0o755)
                run = subprocess.run([user, "-accel", engine, *options, path],
                                     capture_output=True, timeout=30,
                                     check=False)
                said = run.stderr.decode()
                good = (run.returncode == NOT_EXECUTABLE and not run.stdout
                        and reason in said and said.count("\n") == 1
                        if reason else
                        run.returncode == 0 and run.stdout == wanted.stdout)
                print(f"{'ok' if good else 'not ok'} {number} - "
                      f"{form.bits} bits: {name}")
                if not good:
                    failed += 1
                    print(f"# status {run.returncode}: {said}")
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
