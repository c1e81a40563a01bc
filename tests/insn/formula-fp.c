/*
 * Floating point on 32 and 64 bits, scalar and packed, combined and fused:
 * "isa/ops.md" sections 2, 5 and 6.
 */
#include "tests/insn/formula-float.h"

#include <string.h>

enum {
    F_ADD, F_SUB, F_MUL, F_DIV, F_MIN, F_MAX, F_SQRT, F_RSUB, F_HADD, F_HSUB,
    F_ADDSUB, F_COPY,
};

static const FloatFormat *format_of(unsigned bits)
{
    return bits == 64 ? &float_d : bits == 80 ? &float_x : &float_s;
}

static FloatMode mode_of(const FormulaIn *in)
{
    return (FloatMode){ .rc = in->rc, .flush = in->flush };
}

static void finish(const FloatMode *mode, FormulaOut *out)
{
    out->flags |= mode->flags;
    out->open |= mode->open;
}

/* The second operand where neither is less, or one is not a number. */
static U128 min_max(int op, unsigned bits, U128 a, U128 b, FloatMode *mode)
{
    const FloatFormat *format = format_of(bits);
    Float x = float_unpack(format, a), y = float_unpack(format, b);
    int order = op == F_MIN ? float_compare(x, y) : float_compare(y, x);

    mode->flags |= order == 2 ? FLAG_IE : 0;
    return order == -1 ? a : b;
}

static U128 arithmetic(int op, unsigned bits, U128 a, U128 b, FloatMode *mode)
{
    const FloatFormat *format = format_of(bits);
    Float x = float_unpack(format, a), y = float_unpack(format, b);

    switch (op) {
    case F_ADD:
        return float_pack(format, float_add(x, y, mode), mode);
    case F_SUB:
        return float_pack(format, float_sub(x, y, mode), mode);
    case F_RSUB: /* which of two NaNs is not said */
        mode->open |= x.class == FLOAT_NAN && y.class == FLOAT_NAN;
        return float_pack(format, float_sub(y, x, mode), mode);
    case F_MUL:
        return float_pack(format, float_mul(x, y, mode), mode);
    case F_DIV:
        return float_pack(format, float_div(x, y, mode), mode);
    case F_SQRT:
        return float_pack(format, float_sqrt(y, mode), mode);
    case F_COPY:
        return b;
    default:
        return min_max(op, bits, a, b, mode);
    }
}

/* All lanes of one stage. */
static U128 stage(int op, unsigned bits, unsigned width, U128 a, U128 b,
                  FloatMode *mode)
{
    unsigned n = width / bits;
    U128 d = 0;

    for (unsigned i = 0; i < n; i++) {
        uint64_t x = lane(a, bits, i), y = lane(b, bits, i);
        int what = op;

        if (op == F_HADD || op == F_HSUB) {
            U128 v = i < n / 2 ? a : b;
            unsigned k = 2 * (i % (n / 2));

            x = lane(v, bits, k);
            y = lane(v, bits, k + 1);
            what = op == F_HADD ? F_ADD : F_SUB;
        } else if (op == F_ADDSUB) {
            what = i & 1 ? F_ADD : F_SUB;
        }
        d = with_lane(d, bits, i, arithmetic(what, bits, x, y, mode));
    }
    return d;
}

static void one_stage(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    FloatMode mode = mode_of(in);

    out->d = stage(f->op, f->bits, f->width, in->s1, in->s2, &mode);
    finish(&mode, out);
}

/* The third source is the left operand of the second stage. */
static void two_stages(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    FloatMode mode = mode_of(in);
    U128 t = stage(f->op, f->bits, f->width, in->s1, in->s2, &mode);

    out->d = stage(f->op2, f->bits, f->width, in->s3, t, &mode);
    finish(&mode, out);
}

/* Any of the approximations is correct to 11 bits: within 2^13 units. */
static void approximate(const Formula *f, const FormulaIn *in,
                        FormulaOut *out)
{
    FloatMode mode = { 0 };
    Float x = float_unpack(&float_s, in->s2);
    Float one = float_from_int(1);

    if (x.class == FLOAT_ZERO) { /* an infinity, and no trap */
        out->d = x.sign ? 0xff800000 : 0x7f800000;
        out->open_flags = true;
        return;
    }
    out->d = float_pack(&float_s,
                        float_div(one, f->op ? float_sqrt(x, &mode) : x,
                                  &mode), &mode);
    out->open = mode.flags & (FLAG_UE | FLAG_OE);
    out->open_flags = true;
    out->near = 1 << 13;
}

/* eq lt le uod neq nlt nle od: the relation, and whether it signals. */
static bool relation(unsigned which, Float a, Float b, unsigned *flags)
{
    int order = float_compare(a, b);
    bool signals = which % 4 == 1 || which % 4 == 2;
    bool value = which % 4 == 0   ? order == 0
                 : which % 4 == 1 ? order == -1
                 : which % 4 == 2 ? order == -1 || order == 0
                                  : order == 2;

    if (a.signalling || b.signalling || (signals && order == 2)) {
        *flags |= FLAG_IE;
    }
    return which >= 4 ? !value : value;
}

static void compare(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    const FloatFormat *second = format_of(f->bits);
    const FloatFormat *first = f->uses_fpcr ? &float_x : second;

    out->pred = relation(f->op, float_unpack(first, in->s1),
                         float_unpack(second, in->s2), &out->flags);
}

static void compare_lanes(const Formula *f, const FormulaIn *in,
                          FormulaOut *out)
{
    const FloatFormat *format = format_of(f->bits);

    for (unsigned i = 0; i < f->width / f->bits; i++) {
        bool yes = relation(f->op,
                            float_unpack(format, lane(in->s1, f->bits, i)),
                            float_unpack(format, lane(in->s2, f->bits, i)),
                            &out->flags);

        out->d = with_lane(out->d, f->bits, i, yes ? UINT64_MAX : 0);
    }
}

/* op: any NaN signals. */
static void compare_flags(const Formula *f, const FormulaIn *in,
                          FormulaOut *out)
{
    const FloatFormat *second = format_of(f->bits);
    Float a = float_unpack(f->uses_fpcr ? &float_x : second, in->s1);
    Float b = float_unpack(second, in->s2);
    int order = float_compare(a, b);

    out->d = order == 2 ? 0x45 : order == 0 ? 0x40 : order < 0 ? 0x01 : 0;
    if (a.signalling || b.signalling || (f->op && order == 2)) {
        out->flags |= FLAG_IE;
    }
}

/* Types of conversions: signed integers and floats. */
enum { TYPE_IS, TYPE_ID, TYPE_FS, TYPE_FD, TYPE_FX };

static const char *const type_names[] = { "is", "id", "fs", "fd", "fx" };
static const uint8_t type_bits[] = { 32, 64, 32, 64, 80 };

static U128 convert_one(const Formula *f, const FormulaIn *in, U128 v,
                        FloatMode *mode)
{
    unsigned from = f->op, to = f->op2;
    Float x = from < TYPE_FS
                  ? float_from_int(slane(v, type_bits[from], 0))
                  : float_unpack(format_of(type_bits[from]), v);
    int64_t i;

    if (to >= TYPE_FS) {
        return float_pack(format_of(type_bits[to]), x, mode);
    }
    float_to_int(x, type_bits[to], f->any ? 3 : in->rc, &i, mode);
    return (uint64_t)i;
}

static void convert(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    unsigned from = type_bits[f->op], to = type_bits[f->op2];
    FloatMode mode = mode_of(in);

    if (!f->width) {
        out->d = convert_one(f, in, in->s2, &mode);
    }
    for (unsigned i = 0; i < f->width / MAX(from, to); i++) {
        out->d = with_lane(out->d, to, i,
                           convert_one(f, in, lane(in->s2, from, i), &mode));
    }
    finish(&mode, out);
}

/* s1: [1:0] rounding, [2] that of the state, [3] no inexact flag. */
static void to_integral(const Formula *f, const FormulaIn *in,
                        FormulaOut *out)
{
    const FloatFormat *format = format_of(f->bits);
    unsigned control = in->s1;
    unsigned rc = control & 4 ? in->rc : control & 3;
    FloatMode mode = { .rc = rc };

    for (unsigned i = 0; i < f->width / f->bits; i++) {
        Float v = float_unpack(format, lane(in->s2, f->bits, i));

        v = float_to_integral(v, rc, &mode);
        out->d = with_lane(out->d, f->bits, i, float_pack(format, v, &mode));
    }
    mode.flags &= control & 8 ? ~FLAG_PE : ~0;
    finish(&mode, out);
}

static void scale(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    const FloatFormat *format = format_of(f->bits);
    FloatMode mode = mode_of(in);
    Float v = float_unpack(format, in->s1);
    int32_t by = (int32_t)in->s2;

    mode.precision = f->uses_fpcr ? in->pc : 0;
    out->open = by > (1 << format->exp_bits) || by < -(1 << format->exp_bits);
    if (v.class == FLOAT_FINITE && !out->open) {
        v.exp += by;
    }
    out->d = float_pack(format, v, &mode);
    finish(&mode, out);
}

/* Signs of product and addend: - 1. */
enum { FMA_MA = 0, FMA_MS = 1, FMA_NMA = 2, FMA_NMS = 3, FMA_MAS, FMA_MSA };

static void fused(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    const FloatFormat *format = format_of(f->bits);
    FloatMode mode = mode_of(in);

    for (unsigned i = 0; i < f->width / f->bits; i++) {
        Float a = float_unpack(format, lane(in->s1, f->bits, i));
        Float b = float_unpack(format, lane(in->s2, f->bits, i));
        Float c = float_unpack(format, lane(in->s3, f->bits, i));
        unsigned how = f->op == FMA_MAS   ? i & 1
                       : f->op == FMA_MSA ? !(i & 1)
                                          : (unsigned)f->op;

        a.sign ^= how & 2 && a.class != FLOAT_NAN;
        c.sign ^= how & 1 && c.class != FLOAT_NAN;
        out->d = with_lane(out->d, f->bits, i,
                           float_pack(format, float_fma(a, b, c, &mode),
                                      &mode));
    }
    finish(&mode, out);
}

/* Eight singles: those of s2 below. */
static void to_bf16(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    FloatMode mode = { 0 };

    for (unsigned i = 0; i < 8; i++) {
        Float v = float_unpack(&float_s,
                               lane(i < 4 ? in->s2 : in->s1, 32, i % 4));

        out->d = with_lane(out->d, 16, i, float_pack(&float_bf16, v, &mode));
    }
    out->open_flags = true;
}

/* Only sums that need no rounding: how it is done is not known. */
static void bf16_dot(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    FloatMode mode = { 0 };

    for (unsigned i = 0; i < 4; i++) {
        Float sum = float_unpack(&float_s, lane(in->s3, 32, i));

        for (unsigned k = 2 * i; k < 2 * i + 2; k++) {
            Float p = float_mul(
                float_unpack(&float_bf16, lane(in->s1, 16, k)),
                float_unpack(&float_bf16, lane(in->s2, 16, k)), &mode);

            sum = float_add(sum, p, &mode);
            sum = float_unpack(&float_s, float_pack(&float_s, sum, &mode));
        }
        out->open |= sum.class == FLOAT_NAN || mode.flags;
        out->d = with_lane(out->d, 32, i, float_pack(&float_s, sum, &mode));
    }
    out->open_flags = true;
}

/* ------------------------------------------------------------------------
 * Names
 */

static const struct {
    const char *name;
    int op;
} stages[] = { /* longer names first */
    { "addsub", F_ADDSUB }, { "hadd", F_HADD }, { "hsub", F_HSUB },
    { "rsub", F_RSUB }, { "add", F_ADD }, { "sub", F_SUB }, { "mul", F_MUL },
    { "div", F_DIV }, { "min", F_MIN }, { "max", F_MAX },
};

static bool take_stage(const char **t, int *op)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(stages); i++) {
        if (take(t, stages[i].name)) {
            *op = stages[i].op;
            return true;
        }
    }
    return false;
}

static bool take_relation(const char **t, int *op)
{
    static const char *const names[] = {
        "eq", "lt", "le", "uod", "neq", "nlt", "nle", "od",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (take(t, names[i])) {
            *op = i;
            return true;
        }
    }
    return false;
}

static void kinds(Formula *f, FormulaKind kind)
{
    f->k1 = f->k2 = f->k3 = kind;
}

/* The rest is "s" or "d"; lanes fill the register when packed. */
static bool take_float(const char *t, unsigned packed, Formula *f)
{
    f->bits = *t == 's' ? 32 : *t == 'd' ? 64 : 0;
    f->width = packed ? packed : f->bits;
    kinds(f, f->bits == 32 ? KIND_F32 : KIND_F64);
    return f->bits && !t[1];
}

static bool find_arithmetic(const char *t, unsigned packed, Formula *f)
{
    f->fn = one_stage;
    if (!take_stage(&t, &f->op)) {
        return false;
    }
    if (take(&t, "_")) {
        f->fn = two_stages;
        if (!take_stage(&t, &f->op2)) {
            return false;
        }
    }
    if (!take_float(t, packed, f)) {
        return false;
    }
    if (packed == 64 && f->fn == one_stage && f->op == F_DIV) {
        f->width = f->bits; /* one single */
    }
    return true;
}

static void compare_kinds(Formula *f, char letter)
{
    f->bits = letter == 's' ? 32 : letter == 'd' ? 64 : 80;
    kinds(f, letter == 's' ? KIND_F32 : letter == 'd' ? KIND_F64 : KIND_F80);
    if (f->uses_fpcr) {
        f->k1 = KIND_F80;
    }
}

static bool find_compare(const char *t, unsigned packed, Formula *f)
{
    const char *rest = t;

    if ((strncmp(t, "od", 2) == 0 || strncmp(t, "ud", 2) == 0) &&
        strlen(t) == 4 && t[3] == 'f') {
        f->fn = compare_flags;
        f->op = t[0] == 'o';
        compare_kinds(f, t[2]);
        return true;
    }
    if (!take_relation(&rest, &f->op)) {
        return false;
    }
    f->fn = compare_lanes;
    if (rest[0] && strcmp(rest + 1, "b") == 0) {
        f->fn = compare;
        compare_kinds(f, rest[0]);
        return true;
    }
    return take_float(rest, packed, f);
}

static bool take_type(const char **t, int *type)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(type_names); i++) {
        if (take(t, type_names[i])) {
            *type = i;
            return true;
        }
    }
    return false;
}

static bool find_convert(const char *t, unsigned packed, Formula *f)
{
    if (!take_type(&t, &f->op) || !take(&t, "to") || !take_type(&t, &f->op2)) {
        return false;
    }
    f->fn = convert;
    f->width = packed;
    f->uses_fpcr = f->op == TYPE_FX || f->op2 == TYPE_FX;
    f->any = strcmp(t, "tr") == 0;
    f->k2 = f->op == TYPE_FS   ? KIND_F32
            : f->op == TYPE_FD ? KIND_F64
            : f->op == TYPE_FX ? KIND_F80
                               : KIND_ANY;
    return !*t || f->any;
}

static bool find_fused(const char *t, unsigned packed, Formula *f)
{
    static const struct {
        const char *name;
        int op;
    } names[] = {
        { "mas", FMA_MAS }, { "msa", FMA_MSA }, { "ma", FMA_MA },
        { "ms", FMA_MS }, { "nma", FMA_NMA }, { "nms", FMA_NMS },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        const char *rest = t;

        f->fn = fused;
        f->op = names[i].op;
        if (take(&rest, names[i].name) && take_float(rest, packed, f)) {
            return true;
        }
    }
    return false;
}

static const struct {
    const char *name;
    Formula f;
} named[] = {
    { "fsqrts", { one_stage, F_SQRT, .bits = 32, .width = 32,
                  .k2 = KIND_F32 } },
    { "pfsqrts", { one_stage, F_SQRT, .bits = 32, .width = 32,
                   .k2 = KIND_F32 } },
    { "fsqrtid", { one_stage, F_COPY, .bits = 64, .width = 64,
                   .k2 = KIND_F64 } },
    { "frcps", { approximate, 0, .k2 = KIND_F32 } },
    { "frsqrts", { approximate, 1, .k2 = KIND_F32 } },
    { "fstoifs", { to_integral, .bits = 32, .width = 32, .k1 = KIND_MODE,
                   .k2 = KIND_F32 } },
    { "fdtoifd", { to_integral, .bits = 64, .width = 64, .k1 = KIND_MODE,
                   .k2 = KIND_F64 } },
    { "pfstoifs", { to_integral, .bits = 32, .width = 64, .k1 = KIND_MODE,
                    .k2 = KIND_F32 } },
    { "pfdtoifd", { to_integral, .bits = 64, .width = 64, .k1 = KIND_MODE,
                    .k2 = KIND_F64 } },
    { "qpfstoifs", { to_integral, .bits = 32, .width = 128, .k1 = KIND_MODE,
                     .k2 = KIND_F32 } },
    { "qpfdtoifd", { to_integral, .bits = 64, .width = 128, .k1 = KIND_MODE,
                     .k2 = KIND_F64 } },
    { "fscales", { scale, .bits = 32, .k1 = KIND_F32, .k2 = KIND_COUNT } },
    { "fscaled", { scale, .bits = 64, .k1 = KIND_F64, .k2 = KIND_COUNT } },
    { "fxscalesx", { scale, .bits = 80, .uses_fpcr = true, .k1 = KIND_F80,
                     .k2 = KIND_COUNT } },
    { "qpfstobf", { to_bf16, .k1 = KIND_F32, .k2 = KIND_F32 } },
    { "qpbfdots", { bf16_dot, .k1 = KIND_BF16_INT, .k2 = KIND_BF16_INT,
                    .k3 = KIND_F32_INT } },
};

/* The square root of the first source; the second is its first step's. */
static void root_of_first(const Formula *f, const FormulaIn *in,
                          FormulaOut *out)
{
    FloatMode mode = mode_of(in);

    out->d = float_pack(&float_d,
                        float_sqrt(float_unpack(&float_d, in->s1), &mode),
                        &mode);
    finish(&mode, out);
}

bool formula_fp(const char *name, Formula *f)
{
    const char *t = name;
    unsigned packed = take(&t, "qp") ? 128 : take(&t, "p") ? 64 : 0;
    bool found = false;

    f->has_flags = true;
    for (unsigned i = 0; i < G_N_ELEMENTS(named); i++) {
        if (strcmp(named[i].name, name) == 0) {
            *f = named[i].f;
            f->has_flags = true;
            return true;
        }
    }
    if (strcmp(t, "fsqrttd") == 0) {
        f->fn = root_of_first;
        f->k1 = KIND_F64;
        f->same_sources = true;
        return true;
    }
    found = find_convert(t, packed, f);
    if (!found && take(&t, "fxcmp")) {
        f->uses_fpcr = true;
        found = find_compare(t, packed, f);
    } else if (!found && take(&t, "fcmp")) {
        found = find_compare(t, packed, f);
    } else if (!found && take(&t, "f")) {
        found = find_arithmetic(t, packed, f) || find_fused(t, packed, f);
    }
    return found;
}
