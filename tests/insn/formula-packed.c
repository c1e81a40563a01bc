/*
 * Packed integer arithmetic on 64 and 128 bits: "isa/ops.md" sections 4 and 6.
 * What moves lanes about is in formula-shuffle.c.
 */
#include "tests/insn/formula.h"

#include <string.h>

enum {
    P_ADD, P_SUB, P_MIN, P_MAX, P_AVG, P_SIGN, P_EQ, P_GT,
    P_MUL_LOW, P_MUL_HIGH, P_MUL_ROUND,
};

static int64_t saturate(S128 v, unsigned bits, bool is_signed)
{
    S128 low = is_signed ? -((S128)1 << (bits - 1)) : 0;
    S128 high = is_signed ? ((S128)1 << (bits - 1)) - 1
                          : ((S128)1 << bits) - 1;

    return v < low ? low : v > high ? high : v;
}

static S128 lane_of(const Formula *f, U128 v, unsigned i)
{
    return f->is_signed ? (S128)slane(v, f->bits, i)
                        : (S128)lane(v, f->bits, i);
}

static uint64_t lane_result(const Formula *f, S128 a, S128 b)
{
    S128 v;

    switch (f->op) {
    case P_ADD:
        v = a + b;
        break;
    case P_SUB:
        v = a - b;
        break;
    case P_MIN:
        return a < b ? a : b;
    case P_MAX:
        return a > b ? a : b;
    case P_AVG:
        return (a + b + 1) >> 1;
    case P_SIGN:
        return b < 0 ? -a : b == 0 ? 0 : a;
    case P_EQ:
        return a == b ? UINT64_MAX : 0;
    case P_GT:
        return a > b ? UINT64_MAX : 0;
    case P_MUL_LOW:
        return a * b;
    case P_MUL_HIGH:
        return (a * b) >> f->bits;
    default:
        return ((a * b >> 14) + 1) >> 1;
    }
    return f->saturates ? saturate(v, f->bits, f->is_signed) : (int64_t)v;
}

static void lanes(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    for (unsigned i = 0; i < f->width / f->bits; i++) {
        out->d = with_lane(out->d, f->bits, i,
                           lane_result(f, lane_of(f, in->s1, i),
                                       lane_of(f, in->s2, i)));
    }
}

/* Any lane, or all lanes, as a predicate. */
static void lanes_predicate(const Formula *f, const FormulaIn *in,
                            FormulaOut *out)
{
    unsigned n = f->width / f->bits;
    unsigned count = 0;

    for (unsigned i = 0; i < n; i++) {
        count += lane_result(f, lane_of(f, in->s1, i),
                             lane_of(f, in->s2, i)) != 0;
    }
    out->pred = f->any ? count > 0 : count == n;
}

enum { BIT_AND, BIT_ANDN, BIT_OR, BIT_XOR };

static void bitwise(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    out->d = f->op == BIT_AND    ? in->s1 & in->s2
             : f->op == BIT_ANDN ? in->s1 & ~in->s2
             : f->op == BIT_OR   ? in->s1 | in->s2
                                 : in->s1 ^ in->s2;
}

enum { SHIFT_LEFT, SHIFT_RIGHT, SHIFT_ARITHMETIC, SHIFT_ROTATE };

/* One count for all lanes: the whole 64-bit second source. */
static void shift(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    uint64_t count = in->s2;
    unsigned n = f->bits;

    for (unsigned i = 0; i < f->width / n; i++) {
        uint64_t a = lane(in->s1, n, i);
        uint64_t v = 0;

        if (f->op == SHIFT_ARITHMETIC) {
            v = slane(a, n, 0) >> (count < n ? count : n - 1);
        } else if (f->op == SHIFT_ROTATE) {
            unsigned r = count % n;

            v = r ? a >> r | a << (n - r) : a;
        } else if (count < n) {
            v = f->op == SHIFT_LEFT ? a << count : a >> count;
        }
        out->d = with_lane(out->d, n, i, v);
    }
}

/* Neighbours of the first source below, of the second above. */
static void horizontal(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    unsigned n = f->width / f->bits;

    for (unsigned i = 0; i < n; i++) {
        U128 v = i < n / 2 ? in->s1 : in->s2;
        unsigned k = 2 * (i % (n / 2));

        out->d = with_lane(out->d, f->bits, i,
                           lane_result(f, lane_of(f, v, k),
                                       lane_of(f, v, k + 1)));
    }
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static void sum_distances(const Formula *f, const FormulaIn *in,
                          FormulaOut *out)
{
    for (unsigned half = 0; half < f->width / 64; half++) {
        uint64_t sum = 0;

        for (unsigned i = 8 * half; i < 8 * half + 8; i++) {
            sum += distance(lane(in->s1, 8, i), lane(in->s2, 8, i));
        }
        out->d = with_lane(out->d, 64, half, sum);
    }
}

/* Windows of four bytes against the low four of the second source. */
static void many_distances(const Formula *f, const FormulaIn *in,
                           FormulaOut *out)
{
    for (unsigned half = 0; half < f->width / 64; half++) {
        U128 a = (uint64_t)(in->s1 >> (64 * half));

        for (unsigned i = 0; i < 4; i++) {
            uint64_t sum = 0;

            for (unsigned k = 0; k < 4; k++) {
                sum += distance(lane(a, 8, i + k), lane(in->s2, 8, k));
            }
            out->d = with_lane(out->d, 16, 4 * half + i, sum);
        }
    }
}

/* Unsigned byte by signed half, rounded to eight bits less. */
static void multiply_mixed(const Formula *f, const FormulaIn *in,
                           FormulaOut *out)
{
    for (unsigned i = 0; i < f->width / 16; i++) {
        int64_t p = (int64_t)lane(in->s1, 8, i) * slane(in->s2, 16, i);

        out->d = with_lane(out->d, 16, i, (p + 0x80) >> 8);
    }
}

static void multiply_pairs(const Formula *f, const FormulaIn *in,
                           FormulaOut *out)
{
    for (unsigned i = 0; i < f->width / 32; i++) {
        int64_t sum = slane(in->s1, 16, 2 * i) * slane(in->s2, 16, 2 * i) +
                      slane(in->s1, 16, 2 * i + 1) *
                          slane(in->s2, 16, 2 * i + 1);

        out->d = with_lane(out->d, 32, i, sum);
    }
}

/* Signed bytes of the first by unsigned ones of the second. */
static void multiply_bytes(const Formula *f, const FormulaIn *in,
                           FormulaOut *out)
{
    for (unsigned i = 0; i < f->width / 16; i++) {
        int64_t sum =
            slane(in->s1, 8, 2 * i) * (int64_t)lane(in->s2, 8, 2 * i) +
            slane(in->s1, 8, 2 * i + 1) *
                (int64_t)lane(in->s2, 8, 2 * i + 1);

        out->d = with_lane(out->d, 16, i, saturate(sum, 16, true));
    }
}

/* Minimum and where it is first: lanes of s1, then of s2. */
static void minimum_place(const Formula *f, const FormulaIn *in,
                          FormulaOut *out)
{
    unsigned per = f->width / 16;
    unsigned best = 0;
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < 2 * per; i++) {
        uint64_t v = lane(i < per ? in->s1 : in->s2, 16, i % per);

        if (v < least) {
            least = v;
            best = i;
        }
    }
    out->d = least | best << 16;
}

/* v7: bytes or halves multiplied and summed into words; op: signs. */
enum { DOT_SS, DOT_US, DOT_UU };

static void dot(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    unsigned per = 32 / f->bits;

    for (unsigned i = 0; i < 4; i++) {
        bool is_signed = f->op != DOT_UU;
        S128 sum = is_signed ? (S128)slane(in->s3, 32, i)
                             : (S128)lane(in->s3, 32, i);

        for (unsigned k = per * i; k < per * i + per; k++) {
            int64_t a = f->op == DOT_SS ? slane(in->s1, f->bits, k)
                                        : (int64_t)lane(in->s1, f->bits, k);
            int64_t b = f->op == DOT_UU ? (int64_t)lane(in->s2, f->bits, k)
                                        : slane(in->s2, f->bits, k);

            sum += a * b;
        }
        /* Whether an overflow wraps or saturates is not known. */
        out->open |= sum != (S128)saturate(sum, 32, is_signed);
        out->d = with_lane(out->d, 32, i, sum);
    }
}

/* ------------------------------------------------------------------------
 * Names
 */

static unsigned take_size(const char **text)
{
    unsigned bits = **text == 'b'   ? 8
                    : **text == 'h' ? 16
                    : **text == 'w' ? 32
                    : **text == 'd' ? 64
                                    : 0;

    *text += bits != 0;
    return bits;
}

/* add, sub: "b", "sb" (signed saturation), "usb" (unsigned). */
static bool take_addsub(const char *t, Formula *f)
{
    f->saturates = true;
    if (take(&t, "us")) {
        f->is_signed = false;
    } else if (*t == 's') {
        t++;
        f->is_signed = true;
    } else {
        f->saturates = false;
    }
    f->bits = take_size(&t);
    return f->bits && !*t;
}

static bool take_minmax(const char *t, Formula *f)
{
    f->is_signed = *t == 's';
    if (*t != 's' && *t != 'u') {
        return false;
    }
    t++;
    f->bits = take_size(&t);
    return f->bits && !*t;
}

static bool take_compare(const char *t, Formula *f)
{
    f->is_signed = true;
    f->bits = take_size(&t);
    if (!f->bits) {
        return false;
    }
    if (strcmp(t, "op") == 0 || strcmp(t, "ap") == 0) {
        f->fn = lanes_predicate;
        f->any = *t == 'o';
        return true;
    }
    return !*t;
}

static bool take_shift(const char *t, Formula *f)
{
    f->fn = shift;
    f->op = *t == 'l' ? SHIFT_LEFT : 0;
    if (take(&t, "ll")) {
        f->op = SHIFT_LEFT;
    } else if (take(&t, "rl")) {
        f->op = SHIFT_RIGHT;
    } else if (take(&t, "ra")) {
        f->op = SHIFT_ARITHMETIC;
    } else if (take(&t, "rc")) {
        f->op = SHIFT_ROTATE;
    } else {
        return false;
    }
    f->k2 = KIND_COUNT;
    f->bits = take_size(&t);
    return f->bits && !*t;
}

static bool take_horizontal(const char *t, Formula *f)
{
    f->fn = horizontal;
    f->is_signed = true;
    f->saturates = *t == 's';
    t += f->saturates;
    f->bits = take_size(&t);
    return f->bits && !*t;
}

typedef struct Named {
    const char *name; /* without p or qp */
    Formula f;
} Named;

/* qpand has no d at its end, pandd has: both are listed. */
static const Named table[] = {
    { "and", { bitwise, BIT_AND } }, { "andd", { bitwise, BIT_AND } },
    { "andn", { bitwise, BIT_ANDN } }, { "andnd", { bitwise, BIT_ANDN } },
    { "or", { bitwise, BIT_OR } }, { "ord", { bitwise, BIT_OR } },
    { "xor", { bitwise, BIT_XOR } }, { "xord", { bitwise, BIT_XOR } },
    { "avgusb", { lanes, P_AVG, .bits = 8 } },
    { "avgush", { lanes, P_AVG, .bits = 16 } },
    { "mullh", { lanes, P_MUL_LOW, .bits = 16, .is_signed = true } },
    { "mullw", { lanes, P_MUL_LOW, .bits = 32, .is_signed = true } },
    { "mulhh", { lanes, P_MUL_HIGH, .bits = 16, .is_signed = true } },
    { "mulhuh", { lanes, P_MUL_HIGH, .bits = 16 } },
    { "mulhrsh", { lanes, P_MUL_ROUND, .bits = 16, .is_signed = true } },
    { "mulubhh", { multiply_mixed } },
    { "maddh", { multiply_pairs } },
    { "maddubsh", { multiply_bytes } },
    { "sadbw", { sum_distances } },
    { "mpsadbh", { many_distances } },
    { "hminposuh", { minimum_place } },
    { "idotsbwss", { dot, DOT_SS, .bits = 8 } },
    { "idotsbwus", { dot, DOT_US, .bits = 8 } },
    { "idotsbwuu", { dot, DOT_UU, .bits = 8 } },
    { "idotshwss", { dot, DOT_SS, .bits = 16 } },
};

static bool find_lanes(const char *t, Formula *f)
{
    static const struct {
        const char *stem;
        int op;
        bool (*rest)(const char *t, Formula *f);
    } stems[] = {
        { "add", P_ADD, take_addsub }, { "sub", P_SUB, take_addsub },
        { "min", P_MIN, take_minmax }, { "max", P_MAX, take_minmax },
        { "sign", P_SIGN, take_horizontal },
        { "cmpeq", P_EQ, take_compare }, { "cmpgt", P_GT, take_compare },
        { "hadd", P_ADD, take_horizontal },
        { "hsub", P_SUB, take_horizontal }, { "s", 0, take_shift },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(stems); i++) {
        Formula found = { .fn = lanes, .op = stems[i].op, .width = f->width };
        const char *rest = t;

        if (take(&rest, stems[i].stem) && stems[i].rest(rest, &found)) {
            *f = found;
            if (stems[i].op == P_SIGN) {
                f->fn = lanes;
            }
            return true;
        }
    }
    return false;
}

bool formula_packed(const char *name, Formula *f)
{
    const char *t = name;

    f->width = *t == 'q' ? 128 : 64;
    t += *t == 'q';
    if (strcmp(t, "mpsadbh") != 0 && *t++ != 'p') {
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if (strcmp(table[i].name, t) == 0) {
            unsigned width = f->width;

            *f = table[i].f;
            f->width = width;
            f->k1 = f->k2 = KIND_LANES_H;
            return true;
        }
    }
    if (!find_lanes(t, f)) {
        return false;
    }
    f->k1 = KIND_LANES_H;
    f->k2 = f->k2 ? f->k2 : KIND_LANES_H;
    return true;
}
