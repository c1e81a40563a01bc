/*
 * Binary floating point from integers, for the formulas: any of the formats
 * below, any rounding, exact flags.
 *
 * A finite number is sig * 2^exp.  Operations give an exact sig of up to 128
 * bits, or one with "sticky" for nonzero bits below; float_round() is the only
 * place that rounds.
 */
#ifndef TESTS_INSN_FORMULA_FLOAT_H
#define TESTS_INSN_FORMULA_FLOAT_H

#include "tests/insn/formula.h"

typedef struct FloatFormat {
    unsigned bits;      /* 16, 32, 64, 80 */
    unsigned exp_bits;
    unsigned precision; /* significant bits */
} FloatFormat;

extern const FloatFormat float_s, float_d, float_x, float_bf16;

enum {
    FLAG_IE = 1, FLAG_DE = 2, FLAG_ZE = 4, FLAG_OE = 8, FLAG_UE = 16,
    FLAG_PE = 32,
};

typedef enum FloatClass { FLOAT_ZERO, FLOAT_FINITE, FLOAT_INF, FLOAT_NAN }
    FloatClass;

typedef struct Float {
    FloatClass class;
    bool sign;
    bool signalling;
    bool sticky;
    int exp;
    U128 sig;  /* finite: not 0; NaN: payload with the quiet bit at bit 62 */
} Float;

/* How results are made. */
typedef struct FloatMode {
    unsigned rc;
    bool flush;
    unsigned precision; /* 0: the format's; else of 80-bit results */
    unsigned flags;     /* raised so far */
    bool open;          /* result left open by the description */
} FloatMode;

Float float_unpack(const FloatFormat *format, U128 bits);
U128 float_pack(const FloatFormat *format, Float v, FloatMode *mode);

Float float_from_int(S128 v);
/* Rounded by rc; false with FLAG_IE when it does not fit in bits. */
bool float_to_int(Float v, unsigned bits, unsigned rc, int64_t *result,
                  FloatMode *mode);
Float float_to_integral(Float v, unsigned rc, FloatMode *mode);

Float float_add(Float a, Float b, FloatMode *mode);
Float float_sub(Float a, Float b, FloatMode *mode);
Float float_mul(Float a, Float b, FloatMode *mode);
Float float_div(Float a, Float b, FloatMode *mode);
Float float_sqrt(Float a, FloatMode *mode);
/* a * b + c. */
Float float_fma(Float a, Float b, Float c, FloatMode *mode);
Float float_negate(Float a);

/* -1, 0, 1; 2: unordered. */
int float_compare(Float a, Float b);

#endif
