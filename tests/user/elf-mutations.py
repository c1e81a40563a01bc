"""Damaged ELF programs and interpreters: the emulator says why it refuses one,
or runs it, and what it then does is the program's own end, never a crash of
the emulator.

usage: elf-mutations.py E2K-AS E2K-USER GUEST-DIR ENGINE SEED COUNT [SECONDS]

Only headers and program headers are changed, of a program that makes no system
calls but write and exit_group.
"""
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time

CPU_SECONDS = 1
STRANGE = [0, 1, 2, 7, 8, 0xfff, 0x1000, 0xffff, 0x10000, 0x7fffffff,
           0x80000000, 0xffffffff, 1 << 32, 1 << 46, (1 << 46) - 0x1000,
           (1 << 47) - 1, 1 << 63, (1 << 64) - 0x1000, (1 << 64) - 1]


def build(assembler, guests, root):
    """Programs by name, and the interpreter that goes with some."""
    source = os.path.join(guests, "start.s")
    made = {}
    for bits, options in ((64, []), (32, ["-mptr32", "--defsym=NARROW=1"])):
        def make(name, *how):
            path = os.path.join(root, f"{name}-{bits}")
            subprocess.run([assembler, "--march=e2kv3", *options, "-I", guests,
                            *how, "-e", "first", "-o", path, source],
                           check=True)
            return path

        interpreter = make("ld", "--static", "-Ttext=0x40000138")
        made[make("static", "--static")] = None
        # The program's own code is not run.
        made[make("dynamic", f"--dynamic-linker={interpreter}")] = interpreter
    return made


def header_size(image):
    """Bytes up to the end of the program headers."""
    if image[4] == 2:
        return 64 + 56 * int.from_bytes(image[56:58], "little")
    return 52 + 32 * int.from_bytes(image[44:46], "little")


def damage(image, chance):
    image = bytearray(image)
    size = header_size(image)
    if chance.random() < 0.05:
        del image[chance.randrange(len(image)):]
    for _ in range(chance.randrange(1, 4)):
        width = chance.choice((1, 2, 4, 8))
        at = chance.randrange(4, size) // width * width
        if chance.random() < 0.7:
            at = max(at // 4 * 4, 16)
        old = int.from_bytes(image[at:at + width], "little")
        value = chance.choice((
            chance.choice(STRANGE), old ^ 1 << chance.randrange(8 * width),
            old + chance.choice((-1, 1, 8, 0x1000, -0x1000)),
            chance.randrange(1 << 8 * width)))
        value &= (1 << 8 * width) - 1
        image[at:at + width] = value.to_bytes(width, "little")
    return bytes(image)


def limits():
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def judge(run):
    """What is wrong with a run, or None."""
    said = run.stderr.decode(errors="replace")
    if "AddressSanitizer" in said or "runtime error" in said or \
            "ERROR:" in said:
        return "sanitizer or assertion: " + said
    if run.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return None  # it ran for too long: its own loop
    if run.returncode < 0:
        name = signal.Signals(-run.returncode).name
        if f"program ended by {name}" not in said:
            return f"{name} without a report: {said}"
    elif run.returncode == 126 and (not said.startswith("e2k-user: ") or
                                    said.count("\n") != 1):
        return f"refused without one reason: {said}"
    elif run.returncode not in (0, 126):
        # No system call of the program's has such a status.
        return f"status {run.returncode}: {said}"
    return None


def main():
    assembler, user, guests = map(os.path.abspath, sys.argv[1:4])
    engine = sys.argv[4]
    seed, count = int(sys.argv[5]), int(sys.argv[6])
    end = time.time() + float(sys.argv[7]) if len(sys.argv) > 7 else None
    print(f"# seed {seed}", flush=True)
    failed = done = ran = 0
    with tempfile.TemporaryDirectory() as root:
        made = build(assembler, guests, root)
        for n in range(seed, seed + count):
            if end and time.time() > end:
                break
            chance = random.Random(n)
            program, interpreter = chance.choice(sorted(
                made.items(), key=lambda item: item[0]))
            path = os.path.join(root, "program")
            target = program
            if interpreter and chance.random() < 0.5:
                target = interpreter
            with open(target, "rb") as f:
                whole = f.read()
            bad = damage(whole, chance)
            written = target if target == interpreter else path
            with open(written, "wb") as f:
                f.write(bad)
            os.chmod(written, 0o755)
            run = subprocess.run(
                [user, "-accel", engine,
                 program if target == interpreter else path],
                stdin=subprocess.DEVNULL, capture_output=True, check=False,
                preexec_fn=limits, timeout=60, cwd=root)
            if target == interpreter:
                with open(target, "wb") as f:
                    f.write(whole)
            done += 1
            ran += run.returncode != 126
            wrong = judge(run)
            if wrong:
                failed += 1
                print(f"# file {n}, {os.path.basename(target)}: "
                      f"{wrong[:1500]}")
    print(f"# {ran} of {done} were run")
    print(f"{'not ok' if failed else 'ok'} 1 - {done} damaged files")
    print("1..1")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
