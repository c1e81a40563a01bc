#!/usr/bin/env python3
"""Code of the second tier: that it is made, and that it is exact.

usage: tiers.py E2K-USER E2K-AS SOURCE-ROOT

Each case is a program that runs something often: the label "hot" must be
translated again (-d in_asm says so), and what the program prints or dies of
must be what the interpreter says, for several thresholds.
"""
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "lib"))

from elf import addresses  # noqa: E402

ISAS = (3, 5)
THRESHOLDS = (1, 2, 7, 500)

MAIN = """
    .include "rt.inc"
    .global main
    .align 8
main:
    { setwd wsz = 24, nfx = 1, dbl = 1; setbn rbs = 16, rsz = 7, rcur = 0 }
"""
LEAVE = """
    { return %ctpr3; nop 5 }
    { ct %ctpr3 }
"""
DATA = """
    .bss
    .align 4096
    .global buffer
buffer:
    .space 12288
"""

# name, signal of the end, what its report says, program; labels in braces are
# their addresses, and the bundle at "fault" is the one reported
CASES = [
    # A loop that is entered once, with a branch of either outcome.
    ("loop", 0, "", MAIN + """
        { addd 0, 0, %dr0; addd 0, 0, %dr1 }
    hot:
        { addd %dr1, 1, %dr1; andd %dr1, 3, %dr2 }
        { cmpedb %dr2, 0, %pred0; nop 2 }
        ibranch 1f ? %pred0
        { muld %dr0, 31, %dr0; nop 3 }
        { addd %dr0, %dr1, %dr0 }
    1:  { xord %dr0, %dr2, %dr0; cmpbdb %dr1, 20000, %pred1; nop 2 }
        ibranch hot ? %pred1
    """ + LEAVE),
    # The inner of two loops is promoted first.
    ("nest", 0, "", MAIN + """
        { addd 0, 0, %dr0; addd 0, 0, %dr1 }
    outer:
        { addd 0, 0, %dr2; addd %dr1, 1, %dr1 }
    hot:
        { addd %dr2, 1, %dr2; addd %dr0, %dr2, %dr0 }
        { xord %dr0, %dr1, %dr0; cmpbdb %dr2, 100, %pred0; nop 2 }
        ibranch hot ? %pred0
        { cmpbdb %dr1, 300, %pred0; nop 2 }
        ibranch outer ? %pred0
    """ + LEAVE),
    # A software-pipelined loop: rotation, predicates of the file, loop counters.
    ("pipeline", 0, "", MAIN + """
        { addd 0, 0, %dr0; addd 0, 0, %db[0]; addd 0, 5, %db[2];
          disp %ctpr1, hot }
        { addd 0, 0x0000002000000bb8, %dr5; setbn rbs = 16, rsz = 3, rcur = 0 }
        { rwd %dr5, %lsr; nop 5 }
    hot:
        { loop_mode; alc alcf = 1, alct = 1; abn abnf = 1, abnt = 1;
          addd %db[2], 7, %db[0]; addd %dr0, %db[2], %dr0;
          ct %ctpr1 ? %NOT_LOOP_END }
    """ + LEAVE),
    # A procedure that is called often.
    ("procedure", 0, "", MAIN + """
        { addd 0, 0, %dr0; addd 0, 0, %dr1 }
    1:  { addd %dr1, 1, %dr1; addd %dr1, 0, %db[0]; disp %ctpr1, hot; nop 4 }
        { call %ctpr1, wbs = 16 }
        { addd %dr0, %db[0], %dr0; cmpbdb %dr1, 3000, %pred0; nop 2 }
        ibranch 1b ? %pred0
    """ + LEAVE + """
        .align 8
    hot:
        { muld %dr0, 3, %dr0; nop 3 }
    """ + LEAVE),
    # Returns come back to first-tier code that has been replaced meanwhile.
    ("recursion", 0, "", MAIN + """
        { addd 0, 4000, %db[0]; disp %ctpr1, hot; nop 4 }
        { call %ctpr1, wbs = 16 }
        { addd %db[0], 0, %dr0 }
    """ + LEAVE + """
        .align 8
    hot:
        { setwd wsz = 12, nfx = 1, dbl = 1; setbn rbs = 4, rsz = 7, rcur = 0 }
        { cmpedb %dr0, 0, %pred0; subd %dr0, 1, %db[0]; nop 2 }
        ibranch 1f ? %pred0
        { disp %ctpr1, hot; nop 4 }
        { call %ctpr1, wbs = 4 }
        { addd %db[0], %dr0, %dr0 }
    1:
    """ + LEAVE),
    # Targets that only run time knows.
    ("indirect", 0, "", MAIN + """
        { addd 0, 0, %dr0; addd 0, 0, %dr1 }
    hot:
        { addd %dr1, 1, %dr1; andd %dr1, 1, %dr2; addd 0, even, %dr3 }
        { cmpedb %dr2, 0, %pred0; nop 2 }
        { addd 0, odd, %dr3 ? ~%pred0 }
        { movtd %dr3, %ctpr1; nop 4 }
        { ct %ctpr1 }
    odd:
        { addd %dr0, %dr1, %dr0 }
        ibranch 1f
    even:
        { xord %dr0, 0x55, %dr0 }
    1:  { cmpbdb %dr1, 4000, %pred0; nop 2 }
        ibranch hot ? %pred0
    """ + LEAVE),
    # An interpreter: more targets than a region takes, and one that is new
    # long after the region was made.
    ("dispatch", 0, "", MAIN + """
        { addd 0, 0, %dr0; addd 0, 0, %dr1 }
    hot:
        { addd %dr1, 1, %dr1; muld %dr1, 7, %dr2; nop 3 }
        { cmpbdb %dr1, 19900, %pred1; shrd %dr2, 3, %dr3; nop 2 }
        { xord %dr2, %dr3, %dr2 }
        { andd %dr2, 15, %dr2; andd %dr2, 31, %dr3; nop 2 }
        { addd 0, 31, %dr2 ? ~%pred1 }
        { shld %dr2, 3, %dr2; addd 0, table, %dr3 }
        { ldd %dr2, %dr3, %dr2; nop 4 }
        { movtd %dr2, %ctpr1; nop 4 }
        { ct %ctpr1 }
    """ + "".join(f"""
    op{k}:
        {{ muld %dr0, {2 * k + 3}, %dr0; nop 3 }}
        {{ addd %dr0, {k}, %dr0 }}
        ibranch 1f""" for k in range(32)) + """
    1:  { cmpbdb %dr1, 20000, %pred0; nop 2 }
        ibranch hot ? %pred0
    """ + LEAVE + """
        .data
        .align 8
    table:""" + "".join(f"""
        .quad op{k}""" for k in range(32)) + "\n"),
    # Every 64th load is of address 0: its result has a tag, which is counted.
    ("tags", 0, "", MAIN + """
        { addd 0, 0, %dr0; addd 0, 0, %dr1 }
    hot:
        { addd %dr1, 1, %dr1; andd %dr1, 63, %dr2; addd 0, buffer, %dr3 }
        { cmpedb %dr2, 0, %pred0; nop 2 }
        { addd 0, 0, %dr3 ? %pred0 }
        { ldd,0,sm %dr3, 0, %dr4; nop 4 }
        { gettagd,2 %dr4, %r5 }
        { muld %dr0, 3, %dr0; addd 0, 0, %dr4; nop 3 }
        { addd %dr0, %dr5, %dr0; cmpbdb %dr1, 3000, %pred1; nop 2 }
        ibranch hot ? %pred1
    """ + LEAVE + DATA),
    # A tag stays in a register from one iteration to the next.
    ("tag-carried", 0, "", MAIN + """
        { addd 0, 0, %dr0; addd 0, 0, %dr1; addd 0, 0, %dr4 }
    hot:
        { gettagd,2 %dr4, %r5; cmpedb %dr1, 2000, %pred0; nop 2 }
        { addd %dr0, %dr5, %dr0; addd %dr1, 1, %dr1 }
        { ldd,0,sm 0, 0, %dr4 ? %pred0; nop 4 }
        { cmpbdb %dr1, 3000, %pred1; nop 2 }
        ibranch hot ? %pred1
    """ + LEAVE),
    # The end of memory, far into the loop.
    ("fault-load", signal.SIGSEGV, "of address {end} ", MAIN + """
        { addd 0, 0, %dr0; addd 0, buffer, %dr1 }
    hot:
        { addd %dr0, 1, %dr0 }
    fault:
        { ldd %dr1, 0, %dr2; nop 4 }
        { addd %dr1, 8, %dr1; addd %dr0, %dr2, %dr0 }
        ibranch hot
    """ + DATA),
    ("fault-store", signal.SIGSEGV, "of address {end} ", MAIN + """
        { addd 0, 0, %dr0; addd 0, buffer, %dr1 }
    hot:
        { addd %dr0, 1, %dr0 }
    fault:
        { std %dr1, 0, %dr0; addd %dr0, 3, %dr0 }
        { addd %dr1, 8, %dr1 }
        ibranch hot
    """ + DATA),
    # Registers at a fault, which the report shows with their tags, are those
    # from before the bundle.
    ("fault-operand", signal.SIGILL, "diag_operand", MAIN + """
        { addd 0, 0, %dr0; addd 0, 0, %dr1 }
    hot:
        { addd %dr1, 1, %dr1; addd 0, buffer, %dr3; cmpedb %dr1, 3000, %pred0;
          nop 2 }
        { addd 0, 0, %dr3 ? %pred0 }
        { ldd,0,sm %dr3, 0, %dr4; nop 4 }
    fault:
        { addd %dr0, %dr4, %dr0; addd %dr1, 100, %dr5 }
        ibranch hot
    """ + DATA),
    ("division", signal.SIGFPE, "", MAIN + """
        { addd 0, 3000, %dr1; addd 0, 0, %dr0 }
    hot:
        { subd %dr1, 1, %dr1 }
    fault:
        { sdivd %dr0, %dr1, %dr2; nop 7 }
        { addd %dr0, %dr2, %dr0 }
        ibranch hot
    """),
]

REFUSED = ("0", "-1", "x", "1k", "", "99999999999", "1073741825")


def assemble(assembler, root, where, name, text, isa):
    source = os.path.join(where, f"{name}.s")
    elf = os.path.join(where, f"{name}.elf")
    # Labels are looked up: all of them are global.
    names = re.findall(r"^\s*(hot|fault|even|odd|outer):", text, re.M)
    text = "".join(f"    .global {n}\n" for n in names) + text
    with open(source, "w", encoding="ascii") as f:
        f.write(text)
    subprocess.run([assembler, f"-march=e2kv{isa}", "--static", "-I",
                    os.path.join(root, "tests", "bench", "kernels"),
                    "-o", elf, source], check=True)
    return elf


def run(user, accel, elf, *more):
    return subprocess.run([user, "-accel", accel, *more, elf], timeout=60,
                          capture_output=True, text=True, check=False)


def reported(text):
    """The lines of a death's report, without what names the process."""
    return re.sub(r"\(thread \d+\)", "", text)


def is_promoted(log, address):
    """Is the bundle in some region of the second tier?"""
    full = False
    with open(log, encoding="utf-8") as f:
        for line in f:
            words = line.split()
            if words[0] == "region":
                full = words[2:] == ["tier", "2:"]
            elif full and words[0] == f"{address:x}":
                return True
    return False


def problem(user, elf, accel, wanted, text, where):
    labels = addresses(elf)
    labels["end"] = labels.get("buffer", 0) + 12288
    log = os.path.join(where, "log")
    done = run(user, accel, elf, "-d", "in_asm", "-D", log)
    oracle = run(user, "interp", elf)
    if done.returncode != -int(wanted):
        return f"status {done.returncode}, wanted {-int(wanted)}"
    if (done.returncode, done.stdout) != (oracle.returncode, oracle.stdout):
        return f"{done.stdout!r}, interpreter {oracle.stdout!r}"
    if reported(done.stderr) != reported(oracle.stderr):
        return f"{done.stderr!r}, interpreter {oracle.stderr!r}"
    places = {name: hex(value) for name, value in labels.items()}
    if text and text.format(**places) not in done.stderr:
        return f"no '{text.format(**places)}' in {done.stderr!r}"
    if "fault" in labels and f"at {places['fault']} " not in done.stderr:
        return f"not at {places['fault']}: {done.stderr!r}"
    return None if is_promoted(log, labels["hot"]) else "not promoted"


def main():
    user, assembler, root = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE,
                       (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    failed = number = 0

    def report(name, wrong):
        nonlocal failed, number
        number += 1
        failed += wrong is not None
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}", flush=True)
        if wrong:
            print("# " + wrong.replace("\n", "\n# "))

    with tempfile.TemporaryDirectory() as where:
        for isa in ISAS:
            for name, wanted, text, body in CASES:
                elf = assemble(assembler, root, where, name, body, isa)
                for n in THRESHOLDS:
                    accel = f"jit,tier-threshold={n}"
                    report(f"{name}, v{isa}, {accel}",
                           problem(user, elf, accel, wanted, text, where))
        for value in REFUSED:
            done = run(user, f"jit,tier-threshold={value}", elf)
            good = done.returncode == 1 and "tier-threshold" in done.stderr \
                and len(done.stderr.splitlines()) == 1
            report(f"refused: {value!r}",
                   None if good else f"{done.returncode} {done.stderr!r}")
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
