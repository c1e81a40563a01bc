#!/usr/bin/env python3
"""Makes docs/isa-coverage.md from the instruction table and test results.

isa-coverage.py PROGRAM ROOT [--check] [-- TEST [ARGUMENT...]]...

PROGRAM is the built isa-coverage, which tries every operation and asks both
engines.  Each TEST is run; an operation counts as tested when one of them
passes and prints "tested NAME".  With --check nothing is written: fails when
the document in the tree is not what would be written.
"""
import os
import re
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

# Why an operation raises an illegal-opcode exception: the first pattern that
# matches its whole name.  An operation without a reason fails the page.
NOT_INTERPRETED = (
    (r"(inc|dec)[sd]_f[bhwd]",
     "three sources, of which only one is described (the old flags)"),
    (r"(shl|shr|sar|scl|scr)[sd]_f[bhwd]",
     "the image of x86 flags that x86 itself leaves undefined (AF, and OF "
     "for counts above 1)"),
    (r"[us]mulx_f[bhw]",
     "the image of x86 flags that x86 itself leaves undefined (PF, AF, ZF, "
     "SF)"),
    (r"vfsi|mkfsw", "emulation of the x87 stack; no source describes it"),
    (r"vfbgv|modbgv",
     "checks and changes the masks of rotating globals; no source says how"),
    (r"qpcheck[sdq]", "function unknown"),
    (r"qpmgme|qpsbgltr(lo|hi)|qpins[sd]|qps2cm[hwd]",
     "version 7; only the name and the operands are known"),
    (r"(ld|st)od.*|getsod|odtoap|cast|tdtomp",
     "object descriptors of versions 1 and 2; their format is in no source"),
    (r"ldap.*|stap.*",
     "access by an array pointer of the protected mode: needs pointers with "
     "tags in memory, which no supported system has"),
    (r"aptoapb?|getva|getsap|cudtoap|gdtoap",
     "makes or changes array pointers of the protected mode; the checks and "
     "exceptions are not described"),
    (r"gettc|puttc|invtc",
     "trap cellar by registers of its own; systems read it by loads (ldrd), "
     "which are there"),
    (r"gettd|puttst",
     "type descriptors of the protected mode; their format is in no source"),
)

# Why an operation that is interpreted is not translated.
NOT_TRANSLATED = (
    (r"ldrd|ldrqp|strd|strqp",
     "privileged; they move tags between registers and memory, a few for "
     "each trap, and ordinary code keeps no tags in memory"),
    (r"qpkuz(ebgn|ltr)",
     "version 7; no known program, and the interpreter's form is as long as "
     "a call"),
)

# Forms of translated operations that the interpreter executes all the same.
FORMS = """
## What is left to the interpreter

A bundle is executed by the interpreter, whatever its operations, when

| the bundle | reason |
|---|---|
| has an operand with a tag where an operation uses it | code is made for numbers; results of `,sm` operations with such operands are rare and exact there |
| uses an invalid predicate | the same; one that nobody uses costs nothing |
| raises an exception, or completes one that was late | the interpreter has the one description of what is kept |
| has `bap` | the array program it starts is what regions are compiled for |
| writes one register by half of a pair, `puttag*` or an advanced or check load and by another operation | compilers do not make them |
| has floating point with `UPSR.fe` off (before version 6), or with underflow unmasked | the first always traps; of the second the host, whose exceptions are masked, does not tell results that are tiny and exact |
| reads or writes a privileged state register, or `BGR` is rotated | a few for each trap; no compiler rotates globals |
| has `done` | it leaves a trap handler, a few for each trap |
| branches on `%MLOCK \|\| %cmp`, `%clp` or `%dt_al` | the condition is known after the bundle's results; only `%MLOCK` alone is common |
| has a big-endian masked store, a line flush, a physical or other special specifier | the system's or a debugger's; an instruction-line flush ends regions |
| checks the DAM in a segment's or a pair's form, or after entering it in one bundle | compilers do not make them |
"""


def reason_for(name, table):
    for pattern, reason in table:
        if re.fullmatch(pattern, name):
            return reason
    return None


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
    out.append(FORMS)
    families = {}
    for row in rows:
        families.setdefault(row[1], []).append(row)
    unexplained = []
    for family, members in sorted(families.items()):
        out.append(f"\n## {family}\n\n| operation | versions | D | S | A | I "
                   "| T | X |\n|---|---|---|---|---|---|---|---|\n")
        reasons = {}
        for row in members:
            marks = " | ".join("x" if c == "y" else "" for c in row[4:])
            out.append(f"| {row[0]} | {row[2]}-{row[3]} | {marks} |\n")
            if row[7] == "y" and row[8] == "y":
                continue
            kind = "Not translated" if row[7] == "y" else "Not emulated"
            reason = reason_for(row[0], NOT_TRANSLATED if row[7] == "y"
                                else NOT_INTERPRETED)
            if reason:
                reasons.setdefault((kind, reason), []).append(row[0])
            else:
                unexplained.append(f"{row[0]}: {kind.lower()}, without a "
                                   "reason")
        for (kind, reason), names in reasons.items():
            out.append(f"\n{kind}: {', '.join(names)} ({reason}).\n")
    if unexplained:
        sys.exit("\n".join(unexplained))
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
