"""The guests' library for C programs (tests/guest/lib): a program that calls it
by the letter of the calling convention, linked from separate objects, with 64-
and 32-bit pointers.  The walk-through of tests/guest/README.md is carried out.

usage: c-library.py E2K-AS E2K-USER GUEST-DIR ENGINE
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

FIRST = ("-7 4294967294 deadbeef|  -42|-0042|-|guest|A|%|   guest|  B|00000abc"
         "\n")
OUTPUT = (
    FIRST +
    f"{len(FIRST)}, -9223372036854775808 123456789abcdef "
    "18446744073709551615\n"
    "-5 feed 17 0x1230 (null)\n" +
    "1".zfill(100) + "guest".rjust(100) + "2".zfill(100) + "\n"
    "guest\n"
    "!\n"
    "gguest\n"
    "guest\n"
    "g***t\n"
    "0 1 5\n"
    "guest\0\n"
    "6 -9 1\n"
    "ok 1 - both are the same\n"
    "ok 2 - a condition\n"
    "not ok 3 - that fails\n"
    "# got 0000000123456789, wanted 0000000023456789\n"
    "1..3\n")
STATUS = 0x5a + 1  # what main() adds to plan()'s answer


def defined(path):
    """The functions that a source of PROC and STUB defines."""
    with open(path, encoding="utf-8") as f:
        return set(re.findall(r"^\t(?:PROC|STUB) (\w+)", f.read(), re.M))


def walk_through(run_as, run_user, guests, check):
    """The two examples of the README: run, and compiled for the host."""
    with open(os.path.join(guests, "README.md"), encoding="utf-8") as f:
        text = f.read()
    assembly, = re.findall(r"^```\n(.*?)^```", text, re.M | re.S)
    c, = re.findall(r"^```c\n(.*?)^```", text, re.M | re.S)
    wanted, = re.findall(r"^    \$ e2k-user pipes\n((?:    [^$\n]*\n)+)", text,
                         re.M)
    with tempfile.TemporaryDirectory() as root:
        source = os.path.join(root, "pipes.s")
        with open(source, "w", encoding="utf-8") as f:
            f.write(assembly)
        program = os.path.join(root, "pipes")
        subprocess.run([*run_as, "--static", "-march=e2kv3", "-o", program,
                        source], check=True)
        run = subprocess.run([*run_user, program], capture_output=True,
                             text=True, timeout=60, check=False)
        check(run.stdout == re.sub("(?m)^    ", "", wanted) and
              run.returncode == 0, "the README's example in assembly",
              run.stdout + run.stderr)
        compiler = shutil.which("cc")
        if not compiler:
            check(True, "the README's example in C # SKIP no compiler")
            return
        source = os.path.join(root, "pipes.c")
        with open(source, "w", encoding="utf-8") as f:
            f.write(c)
        done = subprocess.run(
            [compiler, "-ffreestanding", "-fsyntax-only", "-Wall", "-Wextra",
             "-Wno-unused-parameter", "-Werror",
             "-I" + os.path.join(guests, "lib"), source],
            capture_output=True, text=True, check=False)
        check(done.returncode == 0, "the README's example in C", done.stderr)


def main():
    assembler, user, guests, engine = sys.argv[1:]
    library = os.path.join(guests, "lib", "guest.s")
    include = os.path.join(guests, "user")
    failed = number = 0

    def check(condition, text, detail=""):
        nonlocal failed, number
        number += 1
        print(f"{'ok' if condition else 'not ok'} {number} - {text}")
        if not condition:
            failed += 1
            for line in str(detail).splitlines()[:40]:
                print("# " + line)

    with open(os.path.join(guests, "lib", "guest.h"), encoding="utf-8") as f:
        declared = set(re.findall(r"\b(\w+)\([^)]*\)(?: __attribute__.*)?;",
                                  f.read()))
    missing = declared - defined(library) - \
        defined(os.path.join(include, "lib.inc")) - {"main"}
    check(len(declared) > 30 and not missing,
          "guest.h declares what there is", missing)
    walk_through([assembler, "-I", include], [user, "-accel", engine], guests,
                 check)
    for bits, narrow in (64, []), (32, ["-mptr32", "--defsym=NARROW=1"]):
        for isa in (3, 5):
            with tempfile.TemporaryDirectory() as root:
                objects = []
                for source in (library,
                               os.path.join(include, "c-program.s")):
                    objects.append(os.path.join(root, f"{len(objects)}.o"))
                    subprocess.run([assembler, f"--march=e2kv{isa}", *narrow,
                                    "-I", include, "-o", objects[-1], source],
                                   check=True)
                program = os.path.join(root, "program")
                subprocess.run([assembler, "--static", "-o", program,
                                *objects], check=True)
                run = subprocess.run([user, "-accel", engine, program],
                                     capture_output=True, text=True,
                                     timeout=60, check=False)
                check(run.stdout == OUTPUT and run.returncode == STATUS and
                      not run.stderr, f"{bits} bits, v{isa}",
                      run.stdout + run.stderr + str(run.returncode))
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
