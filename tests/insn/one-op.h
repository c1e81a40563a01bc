/*
 * One operation in a bundle of its own: operands in fixed registers, run in
 * the engine selected, and what came out.
 */
#ifndef TESTS_INSN_ONE_OP_H
#define TESTS_INSN_ONE_OP_H

#include "target-e2k/bundle.h"
#include "tests/insn/box.h"

enum {
    ONE_OP_CODE = 0x10000, /* page of the box that holds the bundle */
};

/* A register's contents; ext is the upper half of 128 bits, or 16 bits. */
typedef struct OneValue {
    bool present;
    uint64_t lo, ext;
    unsigned tag;
} OneValue;

typedef struct OneOp {
    InsnId insn;
    unsigned imm;          /* 8-bit immediate, or truth table of plog */
    OneValue s1, s2, s3;
    OneValue before;       /* destination */
    int cond;              /* merge condition, -1: none */
    uint32_t pfpfr, fpcr;  /* 0: as after a reset */
    bool speculative;
} OneOp;

typedef struct OneResult {
    CpuExit exit;
    Exception exception;   /* EXC_NONE: the operation was executed */
    OneValue d;
    unsigned pred;         /* bit 0 value, bit 1 invalid */
    uint32_t pfpfr, fpsr;
} OneResult;

/* The row of an operation in a channel and version, or NULL. */
const InsnRow *one_op_row(InsnId insn, unsigned isa, unsigned channel);

/*
 * Runs it; ONE_OP_CODE is mapped in the box.  False when the operation cannot
 * be encoded.
 */
bool one_op_run(Box *box, const OneOp *op, unsigned isa, unsigned channel,
                OneResult *result);

#endif
