#!/usr/bin/env python3
"""Makes docs/isa-coverage.md from the instruction table and test results.

isa-coverage.py PROGRAM ROOT [--check] [-- TEST [ARGUMENT...]]...

PROGRAM is the built isa-coverage, which tries every operation and asks both
engines.  Each TEST is run; an operation counts as tested when one of them
passes and prints "tested NAME".  With --check nothing is written: fails when
the document in the tree is not what would be written.
"""
import os
import subprocess
import sys

HEAD = """# Coverage of the instruction set

Written by `ninja -C build isa-coverage` from `target-e2k/insns.def`, from what
the built decoder, disassembler and assembler do with every operation in every
version and channel, from the tables of both engines and from what their tests
compared; a test fails when this file is out of date.

* D, S, A: decoded, disassembled, assembled (all forms of the operation)
* I, T: interpreted; translated to host code (the rest runs in the interpreter)
* X: tested. The operation was executed by both engines and what it did was
  compared, without a difference, with a formula (`isa-formulas`), with values
  worked out by hand (`own-vectors.txt`), or with the expectations of a rule
  case that fails when the operation is left out (`tests/insn/rules`). The
  tests themselves say which operations they compared.

"""

# Second names of one encoding: what is tested is the operation behind them.
ALIASES = {"aaurws": "aaurw"}

# Families of operations that raise an illegal-opcode exception.
REASONS = {
    "no_meaning": "Not emulated: what these do is not documented, or not in "
                  "the detail that an exact emulation needs.",
    "no_protected": "Not emulated: these work on objects of the protected "
                    "mode (array pointers, descriptors), which the emulator "
                    "does not have.",
    "no_privileged": "Not emulated: access to the trap cellar's and type "
                     "descriptors' special registers, which no known system "
                     "uses.",
}


def tested_operations(tests):
    names = set()
    for test in tests:
        done = subprocess.run(test, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(test)} failed:\n{done.stdout[-2000:]}")
        names.update(line.split()[1] for line in done.stdout.splitlines()
                     if line.startswith("tested "))
    return names


def document(program, tests):
    rows = [line.split() for line in subprocess.run(
        [program], capture_output=True, text=True,
        check=True).stdout.splitlines()]
    tested = tested_operations(tests)
    for row in rows:
        row.append("y" if ALIASES.get(row[0], row[0]) in tested else "n")
    out = [HEAD]
    titles = ("decoded", "disassembled", "assembled", "interpreted",
              "translated", "tested")
    out.append(f"| of {len(rows)} operations | |\n|---|---|\n")
    for i, title in enumerate(titles):
        count = sum(row[4 + i] == "y" for row in rows)
        out.append(f"| {title} | {count} |\n")
    families = {}
    for row in rows:
        families.setdefault(row[1], []).append(row)
    for family, members in sorted(families.items()):
        reason = f"{REASONS[family]}\n\n" if family in REASONS else ""
        out.append(f"\n## {family}\n\n{reason}| operation | versions | D | S | A | I "
                   "| T | X |\n|---|---|---|---|---|---|---|---|\n")
        for row in members:
            marks = " | ".join("x" if c == "y" else "" for c in row[4:])
            out.append(f"| {row[0]} | {row[2]}-{row[3]} | {marks} |\n")
    return "".join(out)


def split_tests(arguments):
    tests = []
    for word in arguments:
        if word == "--":
            tests.append([])
        elif tests:
            tests[-1].append(word)
    return tests


def main():
    program, root = sys.argv[1:3]
    path = os.path.join(root, "docs", "isa-coverage.md")
    tests = split_tests(sys.argv[3:])
    if not tests:
        sys.exit("no tests given: run ninja -C build isa-coverage")
    text = document(program, tests)
    if "--check" not in sys.argv[3:]:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return
    with open(path, encoding="utf-8") as f:
        old = f.read()
    if old != text:
        a, b = old.splitlines(), text.splitlines()
        for x, y in zip(a, b):
            if x != y:
                print(f"in the file: {x}\nnow:         {y}")
                break
        sys.exit("docs/isa-coverage.md is out of date: "
                 "run ninja -C build isa-coverage")


main()
