#!/usr/bin/env python3
"""Makes docs/isa-coverage.md from the instruction table and the tests.

isa-coverage.py PROGRAM ROOT [--check]

PROGRAM is the built isa-coverage, which tries every operation and asks both
engines.  An operation counts as tested when a file that some test executes on
an engine names it.  With --check nothing is written: fails when the document
in the tree is not what would be written.
"""
import os
import re
import subprocess
import sys

# Folders whose files are executed, and the files that hold guest code.
TESTED = ("tests/insn", "tests/guest", "tests/codegen", "tests/diff")
SUFFIXES = (".s", ".txt", ".inc", ".py", ".c")

HEAD = """# Coverage of the instruction set

Written by `ninja -C build isa-coverage` from `target-e2k/insns.def`, from what
the built decoder, disassembler and assembler do with every operation in every
version and channel, and from the tables of both engines; a test fails when
this file is out of date.

* D, S, A: decoded, disassembled, assembled (all forms of the operation)
* I, T: interpreted; translated to host code (the rest runs in the interpreter)
* X: named by a file under `{}` that an engine executes

"""


def tested_words(root):
    words = set()
    for folder in TESTED:
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if name.endswith(SUFFIXES):
                    path = os.path.join(where, name)
                    with open(path, encoding="utf-8", errors="replace") as f:
                        words.update(re.findall(r"[a-z][a-z0-9_]+", f.read()))
    return words


def document(program, root):
    rows = [line.split() for line in subprocess.run(
        [program], capture_output=True, text=True,
        check=True).stdout.splitlines()]
    words = tested_words(root)
    for row in rows:
        row.append("y" if row[0] in words else "n")
    out = [HEAD.format("`, `".join(TESTED))]
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
        out.append(f"\n## {family}\n\n| operation | versions | D | S | A | I "
                   "| T | X |\n|---|---|---|---|---|---|---|---|\n")
        for row in members:
            marks = " | ".join("x" if c == "y" else "" for c in row[4:])
            out.append(f"| {row[0]} | {row[2]}-{row[3]} | {marks} |\n")
    return "".join(out)


def main():
    program, root = sys.argv[1:3]
    path = os.path.join(root, "docs", "isa-coverage.md")
    text = document(program, root)
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
