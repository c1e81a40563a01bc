/*
 * 80-bit floating point: "isa/ops.md" section 3.  The first source is always
 * 80 bits; two letters of the name are the formats of second source and result.
 */
#include "tests/insn/formula-float.h"

#include <string.h>

enum { X_ADD, X_SUB, X_RSUB, X_MUL, X_DIV, X_RDIV, X_CONVERT, X_SQRT };

static const FloatFormat *format_of(unsigned bits)
{
    return bits == 64 ? &float_d : bits == 80 ? &float_x : &float_s;
}

static Float compute(int op, Float a, Float b, FloatMode *mode)
{
    switch (op) {
    case X_ADD:
        return float_add(a, b, mode);
    case X_SUB:
        return float_sub(a, b, mode);
    case X_RSUB:
        return float_sub(b, a, mode);
    case X_MUL:
        return float_mul(a, b, mode);
    case X_DIV:
        return float_div(a, b, mode);
    case X_RDIV:
        return float_div(b, a, mode);
    case X_SQRT:
        return float_sqrt(b, mode);
    default:
        return b;
    }
}

/* In 80 bits with the precision of the state, then to the result's format. */
static void arithmetic(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    FloatMode mode = { .rc = in->rc,
                       .precision = f->op == X_CONVERT ? 64 : in->pc };
    Float a = float_unpack(&float_x, in->s1);
    Float b = float_unpack(format_of(f->from), in->s2);

    out->d = float_pack(&float_x, compute(f->op, a, b, &mode), &mode);
    if (f->bits != 80) {
        FloatMode second = { .rc = in->rc, .flags = mode.flags };

        out->d = float_pack(format_of(f->bits),
                            float_unpack(&float_x, out->d), &second);
        mode.flags = second.flags;
    }
    out->flags = mode.flags;
    out->open = mode.open;
}

/* First steps of the square root mean nothing on their own, and no flags. */
static void first_step(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    FloatMode mode = { 0 };
    Float v = float_unpack(format_of(f->from), in->s2);

    out->d = float_pack(&float_x, v, &mode);
    out->open = v.signalling; /* a copy, or quieted */
    out->open_flags = true;
}

static void join(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    out->d = (U128)(uint16_t)in->s2 << 64 | (uint64_t)in->s1;
}

static void split(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    out->d = (uint16_t)(in->s2 >> 64);
}

enum { SIGN_KEEP, SIGN_CLEAR, SIGN_FLIP };

static void move(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    U128 sign = (U128)1 << 79;
    U128 v = in->s2 & ((sign << 1) - 1);

    out->d = f->op == SIGN_CLEAR ? v & ~sign : f->op == SIGN_FLIP ? v ^ sign : v;
}

U128 formula_widen(const Formula *f, U128 s2)
{
    FloatMode mode = { 0 };

    return f->uses_fpcr ? float_pack(&float_x,
                                     float_unpack(format_of(f->from), s2),
                                     &mode)
                        : s2;
}

static unsigned letter_bits(char c)
{
    return c == 's' ? 32 : c == 'd' ? 64 : c == 'x' ? 80 : 0;
}

static FormulaKind kind_of(unsigned bits)
{
    return bits == 32 ? KIND_F32 : bits == 64 ? KIND_F64 : KIND_F80;
}

static bool find_arithmetic(const char *t, Formula *f)
{
    static const struct {
        const char *name;
        int op;
        bool first;
    } ops[] = {
        { "add", X_ADD, false }, { "sub", X_SUB, false },
        { "rsub", X_RSUB, false }, { "mul", X_MUL, false },
        { "divt", X_RDIV, false }, { "div", X_DIV, false },
        { "sqrti", X_CONVERT, true }, { "sqrtu", X_CONVERT, true },
        { "sqrtt", X_SQRT, false },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        const char *rest = t;

        if (take(&rest, ops[i].name) && strlen(rest) == 2) {
            f->fn = ops[i].first ? first_step : arithmetic;
            f->op = ops[i].op;
            f->from = letter_bits(rest[0]);
            f->bits = letter_bits(rest[1]);
            f->k1 = KIND_F80;
            f->k2 = kind_of(f->from);
            f->same_sources = f->op == X_SQRT;
            return f->from && f->bits;
        }
    }
    return false;
}

static const struct {
    const char *name;
    Formula f;
} named[] = {
    { "movif", { join } },
    { "movfi", { split, .k2 = KIND_F80 } },
    { "movx", { move, SIGN_KEEP, .k2 = KIND_F80 } },
    { "movxa", { move, SIGN_CLEAR, .k2 = KIND_F80 } },
    { "movxc", { move, SIGN_FLIP, .k2 = KIND_F80 } },
};

bool formula_x80(const char *name, Formula *f)
{
    const char *t = name;

    for (unsigned i = 0; i < G_N_ELEMENTS(named); i++) {
        if (strcmp(named[i].name, name) == 0) {
            *f = named[i].f;
            return true;
        }
    }
    f->has_flags = f->uses_fpcr = true;
    return take(&t, "fx") && find_arithmetic(t, f);
}
