"""Forms of an ELF file: the old machine number runs like the new one, wrong
versions and flags are refused with a reason, by either engine.

usage: elf-forms.py E2K-USER GUEST ENGINE
"""
import os
import struct
import subprocess
import sys
import tempfile

NOT_EXECUTABLE = 126
IDENT_VERSION, IDENT_ABI, MACHINE, FLAGS = 6, 7, 18, 48
OLD, NEW = 49, 175


def formed(image, machine, flags, **bytes_at):
    """The image with another machine number, flags and identification."""
    image = bytearray(image)
    struct.pack_into("<H", image, MACHINE, machine)
    struct.pack_into("<I", image, FLAGS, flags)
    image[IDENT_VERSION] = bytes_at.get("version", 1)
    image[IDENT_ABI] = bytes_at.get("abi", image[IDENT_ABI])
    return bytes(image)


def cases(image):
    """Name, file, options, and the reason of a refusal (None: it runs)."""
    yield "new number", formed(image, NEW, 3 << 24), [], None
    yield "old number", formed(image, OLD, 3 << 28), [], None
    yield "old number, any CPU", formed(image, OLD, 0), [], None
    yield ("old number, too old a CPU", formed(image, OLD, 5 << 28),
           ["-cpu", "v4"], "instruction set version 5")
    yield ("old number, protected mode", formed(image, OLD, 3 << 28, abi=5),
           [], "protected")
    yield ("new number, protected mode", formed(image, NEW, 3 << 24 | 0x20),
           [], "protected")
    yield ("translated x86 code", formed(image, NEW, 3 << 24 | 4), [],
           "translated x86")
    yield ("exactly another CPU", formed(image, NEW, 3 << 24 | 0x10),
           ["-cpu", "v5"], "version 3 exactly")
    yield ("ELF version 0", formed(image, NEW, 3 << 24, version=0), [],
           "version 1")
    yield ("ELF version 2", formed(image, NEW, 3 << 24, version=2), [],
           "version 1")


def main():
    user, guest, engine = sys.argv[1:]
    failed = number = 0
    with open(guest, "rb") as f:
        image = f.read()
    wanted = subprocess.run([user, "-accel", engine, guest],
                            capture_output=True, timeout=30, check=True)
    with tempfile.TemporaryDirectory() as directory:
        for name, content, options, reason in cases(image):
            number += 1
            path = os.path.join(directory, f"case{number}")
            with open(path, "wb") as f:
                f.write(content)
            os.chmod(path, 0o755)
            run = subprocess.run([user, "-accel", engine, *options, path],
                                 capture_output=True, timeout=30, check=False)
            said = run.stderr.decode()
            good = (run.returncode == NOT_EXECUTABLE and not run.stdout and
                    reason in said if reason else
                    run.returncode == 0 and run.stdout == wanted.stdout)
            print(f"{'ok' if good else 'not ok'} {number} - {name}")
            if not good:
                failed += 1
                print(f"# status {run.returncode}: {said[:200]}")
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
