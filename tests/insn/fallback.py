"""What the translator may not leave to the interpreter.

usage: fallback.py E2K-USER E2K-AS SOURCE-ROOT SHARED-DIR

Small programs that run 20000 times through a loop of what used to be
interpreted, and the compiled guests where they are at hand, may not have more
than a few bundles interpreted (system calls, first encounters).
"""
import os
import re
import subprocess
import sys
import tempfile

MOST = 40


def interpreted(user, program, log):
    """Number of bundles interpreted while the program ran translated."""
    run = subprocess.run([user, "-d", "interp", "-D", log, program],
                         capture_output=True, timeout=120, check=False)
    with open(log, encoding="utf-8") as f:
        counts = re.findall(r"^interp +(\d+)  [a-z]", f.read(), re.MULTILINE)
    return run.returncode, sum(int(n) for n in counts)


def programs(assembler, root, shared, where):
    folder = os.path.join(root, "tests", "insn", "fallback")
    for entry in sorted(os.listdir(folder)):
        elf = os.path.join(where, entry[:-2] + ".elf")
        isa = "6" if entry.endswith("-v6.s") else "3"
        subprocess.run(
            [assembler, "--static", f"-march=e2kv{isa}", "-I",
             os.path.join(root, "tests", "bench", "kernels"), "-o", elf,
             os.path.join(folder, entry)], check=True)
        yield entry, elf
    guests = os.path.join(shared, "guests")
    if os.path.isdir(guests):
        for entry in sorted(os.listdir(guests)):
            # The shortest two of them are enough.
            if entry.endswith(".elf") and entry.startswith(("crc32", "sieve")):
                yield entry, os.path.join(guests, entry)


def main():
    user, assembler, root, shared = sys.argv[1:]
    failed = number = 0
    with tempfile.TemporaryDirectory() as where:
        for name, elf in programs(assembler, root, shared, where):
            number += 1
            status, count = interpreted(user, elf,
                                        os.path.join(where, "log"))
            good = status == 0 and 0 < count <= MOST
            failed += not good
            print(f"{'ok' if good else 'not ok'} {number} - {name}: "
                  f"{count} bundles interpreted")
            if not good:
                print(f"# status {status}, at most {MOST} wanted")
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
