"""Programs that do what they may not: the signal that hardware would give,
with the right addresses, and an emulator that survives.

usage: bad-code.py E2K-USER E2K-AS SOURCE-ROOT ENGINE

Each case is a body of main; the bundle at label "fault" is the one that must
be reported.  Runs for versions 3, 5 and 6.
"""
import os
import resource
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "lib"))

from elf import addresses  # noqa: E402

ISAS = (3, 5, 6)
# First version that lets the program do that.
ALLOWED_FROM = {"fp-off": 6}
PAGE = 4096

# name, signal, exception, what the report says of the address or "", body;
# after a line of dashes what comes behind main
CASES = [
    ("opcode", signal.SIGILL, "illegal_opcode", "", """
        ibranch fault
        nop
    fault:
        .quad 0xffffffffffffffff"""),
    ("opcode-behind-good-code", signal.SIGILL, "illegal_opcode", "", """
        { addd 0, 1, %dr0 }
    fault:
        .quad 0xffffffffffffffff"""),
    ("opcode-not-reached", 0, "", "", """
        ibranch 1f
        .quad 0xffffffffffffffff
    1:"""),
    ("empty-transfer", signal.SIGILL, "illegal_opcode", "", """
    fault:
        { ct %ctpr2 }"""),
    ("privileged", signal.SIGILL, "priv_action", "", """
    fault:
        { rwd %dr0, %usd.lo }"""),
    ("fp-off", signal.SIGILL, "fp_disabled", "", """
        { addd 0, 0x80, %dr0 }
        { rwd %dr0, %upsr }
    fault:
        { fadds %r0, %r0, %r1 }"""),
    ("invalid-operand", signal.SIGILL, "diag_operand", "", """
        { addd 0, 0, %dr0 }
        { ldd,0,sm %dr0, 0, %dr1 }
    fault:
        { addd %dr1, 1, %dr2 }"""),
    ("invalid-condition", signal.SIGILL, "diag_cond", "", """
        { addd 0, 0, %dr0 }
        { ldd,0,sm %dr0, 0, %dr1 }
        { cmpedb,0,sm %dr1, 0, %pred1 }
    fault:
        { addd 0, 1, %dr2 ? %pred1 }"""),
    ("invalid-transfer-condition", signal.SIGILL, "diag_ct_cond", "", """
        { addd 0, 0, %dr0 }
        { ldd,0,sm %dr0, 0, %dr1 }
        { cmpedb,0,sm %dr1, 0, %pred1 }
    fault:
        ibranch fault ? %pred1"""),
    ("invalid-target", signal.SIGILL, "diag_instr_addr", "", """
        { addd 0, 0, %dr0 }
        { ldd,0,sm %dr0, 0, %dr1 }
        { movtd %dr1, %ctpr1 }
    fault:
        { ct %ctpr1 }"""),
    ("misaligned-target", signal.SIGILL, "illegal_instr_addr", "", """
        { addd 0, main + 4, %dr0 }
        { movtd %dr0, %ctpr1 }
    fault:
        { ct %ctpr1 }"""),
    ("window", signal.SIGSEGV, "window_bounds", "", """
    fault:
        { addd 0, 1, %dr40 }"""),
    ("software-trap", signal.SIGTRAP, "software_trap", "", """
    fault:
        { setsft }"""),
    ("alignment", signal.SIGBUS, "addr_not_aligned", "", """
        { addd 0, 0x85, %dr0 }
        { rwd %dr0, %upsr ; addd 0, datum + 1, %dr1 }
    fault:
        { ldd %dr1, 0, %dr2 }"""),
    ("segment", signal.SIGSEGV, "array_bounds", "", """
        { addd 0, datum, %dr1 }
    fault:
        { ldgdd,0 %r1, 0, %dr2 }"""),
    ("division", signal.SIGFPE, "div", "", """
        { addd 0, 0, %dr1 }
    fault:
        { sdivs,5 %r1, %r1, %r2 }"""),
    ("floating-point", signal.SIGFPE, "fp", "", """
        { addd 0, 0x1d80, %dr0 }
        { rwd %dr0, %pfpfr ; addd 0, 0x3f800000, %dr1 ; addd 0, 0, %dr2 }
    fault:
        { fdivs,5 %r1, %r2, %r3 }"""),
    ("null", signal.SIGSEGV, "data_page", "of address 0x8 ", """
        { addd 0, 0, %dr1 }
    fault:
        { ldd %dr1, 8, %dr2 }"""),
    ("unmapped-store", signal.SIGSEGV, "data_page",
     "of address 0x7ffff0001238 ", """
        { addd 0, 0x7ffff0001234, %dr1 }
    fault:
        { stw,2 %dr1, 4, %r1 }"""),
    ("not-canonical", signal.SIGSEGV, "data_page",
     "of address 0x123456789abcdef0 ", """
        { addd 0, 0x123456789abcdef0, %dr1 }
    fault:
        { ldd %dr1, 0, %dr2 }"""),
    ("store-to-code", signal.SIGSEGV, "data_page", "", """
        { addd 0, main, %dr1 }
    fault:
        { std,2 %dr1, 0, %dr1 }"""),
    ("call-of-null", signal.SIGSEGV, "instr_page_miss", "at 0 ", """
        { addd 0, 0, %dr1 }
        { movtd %dr1, %ctpr1 }
        { call %ctpr1, wbs = 4 }"""),
    ("running-into-data", signal.SIGSEGV, "instr_page_prot", "at {datum} ", """
        { addd 0, datum, %dr1 }
        { movtd %dr1, %ctpr1 }
        { ct %ctpr1 }"""),
    ("end-of-code", signal.SIGSEGV, "instr_page_miss", "at {end} ", """
        ibranch last
    ---
        .org 2 * 4096 - 16
    last:
        nop
        nop
    end:"""),
    ("bundle-across-the-end", signal.SIGSEGV, "instr_page_miss", "", """
        ibranch fault
    ---
        .org 2 * 4096 - 8
    fault:
        .quad 0x0000000004000011"""),
    ("array-program-in-nowhere", signal.SIGSEGV, "ainstr_page_miss", "", """
        { ldisp %ctpr2, main + 0x4000000 }
    fault:
        { bap }"""),
    ("endless-recursion", signal.SIGSEGV, "stack_bounds", "", """
        { disp %ctpr1, main }
        { call %ctpr1, wbs = 8 }"""),
    ("endless-stack", signal.SIGSEGV, "array_bounds", "", """
    fault:
        { getsp -65536, %dr0 }
        ibranch fault"""),
    # Code that is written while it runs, and its line flushed: 1 + 2.
    ("own-code", 0, "", "0000000000000003", """
        { addd 0, 125, %b[0] ; addd 0, _start, %b[1] ; sdisp %ctpr1, 3 }
        { addd 0, 4096, %b[2] ; addd 0, 7, %b[3] }
        { call %ctpr1, wbs = 8 }
        { addd 0, 0, %dr1 ; addd 0, other, %dr2 ; addd 0, patched, %dr3 }
        { ldd,0 %dr2, 0, %dr4 ; addd 0, 0, %dr5 }
    1:
        nop
    patched:
        { addd %dr1, 1, %dr1 }
        { std,2 %dr3, 0, %dr4 ; addd %dr5, 1, %dr5 }
        { std,2 %dr3, 0, %dr4, mas = 0x17 }
        { cmpedb %dr5, 2, %pred0 }
        ibranch 1b ? ~%pred0
        { addd %dr1, 0, %dr0 }
        ibranch 2f
    other:
        { addd %dr1, 2, %dr1 }
    2:"""),
]

HEAD = """
    .include "rt.inc"
    .global main
    .type main, @function
main:
    {{ setwd wsz = 16, nfx = 1 ; setbn rbs = 8, rsz = 7, rcur = 0 }}
    {{ addd 0, 0, %dr0 }}
{body}
    {{ return %ctpr3 }}
    {{ ct %ctpr3 }}
{tail}
    .data
    .align 8
datum: .quad 0, 0
"""


def assemble(assembler, root, where, name, body, isa):
    source = os.path.join(where, "program.s")
    elf = os.path.join(where, f"{name}-v{isa}.elf")
    body, _, tail = body.partition("---")
    with open(source, "w", encoding="utf-8") as f:
        f.write(HEAD.format(body=body, tail=tail).replace(" ; ", "\n"))
    subprocess.run([assembler, "--static", f"-march=e2kv{isa}",
                    "-Ttext=0x20000", "-Tdata=0x40000", "-I",
                    os.path.join(root, "tests", "bench", "kernels"), "-o",
                    elf, source], check=True)
    return elf


def problem(run, wanted, exception, text, places):
    """What is wrong with a run, or None."""
    report = run.stderr
    if run.returncode != -int(wanted):
        return f"status {run.returncode}, wanted {-int(wanted)}"
    if not wanted:
        return None if text in run.stdout else f"output {run.stdout!r}"
    if wanted.name not in report or exception not in report:
        return f"no {wanted.name}, {exception}"
    if text and text.format(**places) not in report:
        return f"no '{text.format(**places)}'"
    if "fault" in places and f"at {places['fault']} " not in report:
        return f"not at {places['fault']}"
    return None


def main():
    user, assembler, root, engine = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE,
                       (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    failed = number = 0
    with tempfile.TemporaryDirectory() as where:
        for isa in ISAS:
            for name, wanted, exception, text, body in CASES:
                if isa >= ALLOWED_FROM.get(name, 99):
                    continue
                number += 1
                elf = assemble(assembler, root, where, name, body, isa)
                places = {k: hex(v) for k, v in addresses(elf).items()}
                run = subprocess.run([user, "-accel", engine, elf],
                                     capture_output=True, text=True,
                                     timeout=60, check=False)
                wrong = problem(run, wanted, exception, text, places)
                failed += wrong is not None
                print(f"{'not ok' if wrong else 'ok'} {number} - "
                      f"{name}, v{isa}")
                if wrong:
                    for line in [wrong] + run.stderr.splitlines()[:4]:
                        print("# " + line)
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
