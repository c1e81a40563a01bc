"""What a program finds when it starts: registers, stack, argument block and
auxiliary vector, with 64- and 32-bit pointers, as a program and as an
interpreter; AT_SECURE of set-id files.

usage: start.py E2K-AS E2K-USER GUEST-DIR ENGINE
"""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "lib"))

import elf  # noqa: E402

(AT_NULL, AT_PHDR, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_BASE, AT_FLAGS, AT_ENTRY,
 AT_UID, AT_EUID, AT_GID, AT_EGID, AT_PLATFORM, AT_HWCAP, AT_CLKTCK,
 AT_SECURE, AT_BASE_PLATFORM, AT_RANDOM, AT_EXECFN, AT_FAST_SYSCALLS,
 AT_SYSTEM_INFO) = (0, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 23, 24,
                    25, 31, 32, 34)
PAGE = 4096
SMALL_PIE = """
        .text
        .global _start
        .align 8
        nop
_start: nop
        .data
        .word 1
"""
tests = failed = 0


def check(condition, text, detail=""):
    global tests, failed
    tests += 1
    print(f"{'ok' if condition else 'not ok'} {tests} - {text}", flush=True)
    if not condition:
        failed += 1
        for line in str(detail).splitlines()[:30]:
            print("# " + line)


class Start:
    """The facts that one run printed."""

    def __init__(self, text):
        self.values, self.aux, self.vectors = {}, {}, [[]]
        for line in text.splitlines():
            name, *numbers = line.split()
            numbers = [int(n, 16) for n in numbers]
            if name == "aux":
                self.aux[numbers[0]] = numbers[1]
            elif name == "string":
                self.vectors[-1].append(numbers[0])
            elif name == "environment":
                self.vectors.append([])
            else:
                self.values[name] = numbers[0]


class World:
    def __init__(self, assembler, user, guests, engine, bits, root):
        self.bits, self.root, self.guests = bits, root, guests
        self.run_as = [assembler, "--march=e2kv3", "-I", guests]
        if bits == 32:
            self.run_as += ["-mptr32", "--defsym=NARROW=1"]
        self.run_user = [user, "-accel", engine, "-L", root]
        self.nosuid = os.statvfs(root).f_flag & os.ST_NOSUID
        with open("/proc/self/status", encoding="ascii") as f:
            self.nosuid |= "NoNewPrivs:\t1" in f.read()
        self.program = self.build("program", os.path.join(guests, "start.s"),
                                  "--static", "-e", "first")
        interpreter = self.build("ld.so", os.path.join(guests, "start.s"),
                                 "--static", "-e", "first",
                                 "-Ttext=0x40000138")
        self.interpreter = elf.Elf(interpreter)
        source = os.path.join(root, "pie.s")
        with open(source, "w", encoding="ascii") as f:
            f.write(SMALL_PIE)
        self.pie = self.build("pie", source, "--pie",
                              "--dynamic-linker=/ld.so")
        self.fixed = self.build("fixed", source, "--dynamic-linker=/ld.so")

    def build(self, name, source, *options):
        path = os.path.join(self.root, name)
        subprocess.run([*self.run_as, *options, "-o", path, source],
                       check=True)
        return path

    def run(self, path, *arguments):
        run = subprocess.run([*self.run_user, path, *arguments],
                             capture_output=True, text=True, timeout=60,
                             check=True, env={"A": "1", "BB": "22"})
        return Start(run.stdout)


def registers(start, name):
    v = start.values
    sp, base = v["sp"], v["usd.lo"] & (1 << 48) - 1
    check(v["wd"] >> 16 & 0x7ff == 64 and v["wd"] >> 32 & 0x7ff == 64,
          f"{name}: a window of four quads, all of them parameters", v)
    check(v["arguments"] == 0, f"{name}: which are 0", v)
    check(v["globals"] == 1, f"{name}: global registers are empty", v)
    check(sp % 16 == 0 and base == sp - PAGE and v["usd.lo"] >> 59 & 3 == 3,
          f"{name}: the data stack", v)
    check((base - (v["usd.hi"] >> 32)) % PAGE == 0 and v["usd.hi"] >> 32 and
          sp < v["sbr"] and v["sbr"] % 256 == 0, f"{name}: its bounds", v)
    check(v["psr"] == 0x26 and v["upsr"] == 1, f"{name}: processor state", v)
    check(v["fpcr"] | 0x40 == 0x37f and v["fpsr"] & 0x3f == 0x3f and
          v["pfpfr"] == 0x1fbf, f"{name}: floating-point state", v)
    for stack in "psp", "pcsp":
        check(v[stack + ".lo"] >> 59 & 3 == 3 and
              (v[stack + ".lo"] & (1 << 48) - 1) % PAGE == 0 and
              (v[stack + ".hi"] >> 32) % PAGE == 0 and
              v[stack + ".hi"] & 0xffffffff <
              v[stack + ".hi"] >> 32, f"{name}: {stack}", v)


def argument_block(start, name, argc):
    arguments, environment = start.vectors
    check(start.values["argc"] == argc == len(arguments) and
          len(environment) == 2, f"{name}: arguments and environment",
          start.vectors)
    strings = arguments + environment
    check(strings == sorted(strings) and start.values["last"] <= strings[0] and
          strings[-1] < start.values["sbr"],
          f"{name}: strings follow the vectors, in order", start.vectors)


def auxiliary(start, name, world, path, interpreted):
    aux, program = start.aux, elf.Elf(path)
    sizes = {64: (64, 56), 32: (52, 32)}[world.bits]
    text = program.segments[1 if interpreted else 0]
    bias = aux[AT_ENTRY] - program.entry
    check(bias == 0 if program.type == 2 else
          bias > 0 and bias % PAGE == 0, f"{name}: AT_ENTRY", hex(bias))
    check(aux[AT_PHDR] == bias + text.vaddr + sizes[0] and
          aux[AT_PHENT] == sizes[1] and
          aux[AT_PHNUM] == len(program.segments),
          f"{name}: AT_PHDR, AT_PHENT, AT_PHNUM", aux)
    wanted = {
        AT_PAGESZ: PAGE, AT_BASE: 0, AT_FLAGS: 0, AT_HWCAP: 0,
        AT_CLKTCK: 100, AT_SECURE: 0, AT_FAST_SYSCALLS: 0x1f,
        AT_SYSTEM_INFO: 1, AT_NULL: 0, AT_UID: os.getuid(),
        AT_EUID: os.geteuid(), AT_GID: os.getgid(), AT_EGID: os.getegid(),
    }
    check(wanted.items() <= aux.items(), f"{name}: the other entries", aux)
    check(AT_PLATFORM not in aux and AT_BASE_PLATFORM not in aux,
          f"{name}: no platform", aux)
    check(start.values["last"] <= aux[AT_RANDOM] <= start.vectors[0][0] - 16
          and aux[AT_EXECFN] > start.vectors[1][-1],
          f"{name}: AT_RANDOM and AT_EXECFN are on the stack", aux)


def other_class(worlds):
    """An interpreter of the other class is named, and refused."""
    for world, other in worlds, worlds[::-1]:
        path = world.build("mixed", os.path.join(world.root, "pie.s"),
                           "--pie", "--dynamic-linker=" +
                           os.path.join(other.root, "ld.so"))
        run = subprocess.run([*world.run_user, path], capture_output=True,
                             text=True, timeout=60, check=False)
        check(run.returncode == 126 and "interpreter" in run.stderr and
              f"is a {other.bits}-bit file" in run.stderr,
              f"{world.bits} bits: a {other.bits}-bit interpreter",
              run.stderr)


def set_id(world, name):
    """A set-id file of somebody else is told so, one of our own is not."""
    path = world.build("set-id", os.path.join(world.guests, "start.s"),
                       "--static", "-e", "first")
    mine = [(0o4755, os.getuid(), -1), (0o2755, -1, os.getgid())]
    others = []
    if os.getuid() == 0:
        others = [(0o4755, 12345, -1), (0o2755, 0, 12345)]
    groups = set(os.getgroups()) - {os.getgid()}
    if groups:
        others.append((0o2755, -1, min(groups)))
    for wanted, cases in (0, mine), (0 if world.nosuid else 1, others):
        for mode, user, group in cases:
            os.chown(path, user, group)
            os.chmod(path, mode)
            found = world.run(path).aux[AT_SECURE]
            check(found == wanted, f"{name}: AT_SECURE of mode {mode:o}, "
                  f"owner {user}, group {group}", found)
    if others:
        # Without execute permission the group bit means something else.
        os.chmod(path, 0o2744)
        check(world.run(path).aux[AT_SECURE] == 0,
              f"{name}: AT_SECURE of mode 2744")


def set_id_emulator(world, user, engine):
    """As with binfmt_misc's flag C: the program is told, and the variables of
    the caller do not count."""
    if os.getuid() != 0:
        check(True, "a set-id emulator # SKIP only root can make one")
        return
    copy = shutil.copy(user, os.path.join(world.root, "emulator"))
    os.chown(copy, 12345, -1)
    for directory in (world.root, os.path.dirname(world.root)):
        os.chmod(directory, 0o755)
    found = []
    for mode in (0o755, 0o4755):
        os.chmod(copy, mode)
        run = subprocess.run([copy, "-accel", engine, world.program],
                             capture_output=True, text=True, timeout=60,
                             check=True, env={"QEMU_STRACE": "1"})
        found.append((Start(run.stdout).aux[AT_SECURE], bool(run.stderr)))
    wanted = [(0, True), (0, True) if world.nosuid else (1, False)]
    check(found == wanted, "a set-id emulator ignores variables", found)


def main():
    assembler, user, guests, engine = sys.argv[1:]
    worlds = []
    with tempfile.TemporaryDirectory() as directory:
        for bits in (64, 32):
            root = os.path.join(directory, str(bits))
            os.mkdir(root)
            world = World(assembler, user, guests, engine, bits, root)
            worlds.append(world)
            name = f"{bits} bits"
            start = world.run(world.program, "one", "two")
            registers(start, name)
            argument_block(start, name, 3)
            auxiliary(start, name, world, world.program, False)
            for kind in "fixed", "pie":
                path = getattr(world, kind)
                start = world.run(path)
                what = f"{name}, {kind} with interpreter"
                argument_block(start, what, 1)
                auxiliary(start, what, world, path, True)
            set_id(world, name)
        other_class(worlds)
        set_id_emulator(worlds[0], user, engine)
    print(f"1..{tests}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
