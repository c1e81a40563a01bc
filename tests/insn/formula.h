/*
 * What operations compute, as formulas: a second description beside the
 * interpreter's, written from the architecture's tables and sharing no code
 * with it.  Whole-number arithmetic in 128 bits; floating point from integers
 * (formula-float.h), never by the host's.
 */
#ifndef TESTS_INSN_FORMULA_H
#define TESTS_INSN_FORMULA_H

#include <stdbool.h>
#include <stdint.h>

#include "target-e2k/cpu.h"

typedef unsigned __int128 U128;
typedef __int128 S128;

/* What kinds of operands are worth trying. */
typedef enum FormulaKind {
    KIND_ANY,      /* bits */
    KIND_LANES_H,  /* halves near their limits */
    KIND_COUNT,    /* small numbers, beyond the width now and then */
    KIND_FIELD,    /* selector of getf, insf */
    KIND_F32,
    KIND_F64,
    KIND_F80,
    KIND_MODE,     /* control of fstoifs and fdtoifd */
    KIND_BF16_INT, /* lanes of small whole numbers */
    KIND_F32_INT,
} FormulaKind;

typedef struct FormulaIn {
    U128 s1, s2, s3;
    unsigned imm;
    bool cond;
    unsigned isa;
    unsigned rc;    /* rounding: 0 nearest, 1 down, 2 up, 3 to zero */
    unsigned pc;    /* precision of 80-bit results: 24, 53, 64 */
    bool flush;     /* denormal results become zero (PFPFR.fz) */
} FormulaIn;

typedef struct FormulaOut {
    U128 d;
    bool pred;
    unsigned flags;   /* PFPFR[5:0] that are raised */
    bool traps;
    Exception exception;
    bool open;        /* the description leaves the result open */
    bool open_flags;
    U128 ignore;      /* bits of d that are open */
    uint32_t near;    /* a single this many units away will do */
} FormulaOut;

typedef struct Formula Formula;
typedef void FormulaFn(const Formula *f, const FormulaIn *in, FormulaOut *out);

struct Formula {
    FormulaFn *fn;
    int op, op2;       /* fn's own: which member of the family */
    unsigned bits;     /* lane or operand width */
    unsigned width;    /* 64 or 128 bits of a packed register */
    unsigned from;     /* conversions: width of the source */
    bool is_signed, saturates, any, has_imm;
    unsigned imm_max;
    bool has_flags;    /* floating point: rc varies, flags are compared */
    bool uses_fpcr;    /* 80-bit: state is FPCR and FPSR */
    bool same_sources; /* both name the same number */
    FormulaKind k1, k2, k3;
};

/* Each tries to understand a mnemonic; false: not of this group. */
bool formula_int(const char *name, Formula *f);
bool formula_packed(const char *name, Formula *f);
bool formula_shuffle(const char *name, Formula *f);
bool formula_fp(const char *name, Formula *f);
bool formula_x80(const char *name, Formula *f);

/* The second source's number as the first source would have it. */
U128 formula_widen(const Formula *f, U128 s2);

/* Lane i of bits width; sign-extended. */
static inline uint64_t lane(U128 v, unsigned bits, unsigned i)
{
    uint64_t x = (uint64_t)(v >> (bits * i));

    return bits == 64 ? x : x & ((UINT64_C(1) << bits) - 1);
}

static inline int64_t slane(U128 v, unsigned bits, unsigned i)
{
    uint64_t x = lane(v, bits, i);

    return bits == 64 ? (int64_t)x
           : x >> (bits - 1) ? (int64_t)(x - (UINT64_C(1) << bits))
                             : (int64_t)x;
}

static inline U128 with_lane(U128 v, unsigned bits, unsigned i, uint64_t x)
{
    U128 mask = (((U128)1 << bits) - 1) << (bits * i);

    return (v & ~mask) | (((U128)x << (bits * i)) & mask);
}

static inline uint64_t low_bits(unsigned n)
{
    return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* stem is what is left of *text after one of the words, which is removed. */
static inline bool take(const char **text, const char *word)
{
    unsigned n = __builtin_strlen(word);

    if (__builtin_strncmp(*text, word, n) != 0) {
        return false;
    }
    *text += n;
    return true;
}

#endif
