/*
 * See formula-float.h.
 */
#include "tests/insn/formula-float.h"

const FloatFormat float_s = { 32, 8, 24 };
const FloatFormat float_d = { 64, 11, 53 };
const FloatFormat float_x = { 80, 15, 64 };
const FloatFormat float_bf16 = { 16, 8, 8 };

enum { TOP = 125 }; /* where float_add() puts the highest bit */

static unsigned top_bit(U128 v)
{
    unsigned n = 0;

    for (unsigned step = 64; step; step /= 2) {
        if (v >> step) {
            v >>= step;
            n += step;
        }
    }
    return n;
}

static int bias(const FloatFormat *format)
{
    return (1 << (format->exp_bits - 1)) - 1;
}

/* Stored bits of the fraction; the 80-bit format stores its integer bit too. */
static unsigned stored_bits(const FloatFormat *format)
{
    return format->bits - 1 - format->exp_bits;
}

Float float_unpack(const FloatFormat *format, U128 bits)
{
    unsigned stored = stored_bits(format);
    unsigned max = (1u << format->exp_bits) - 1;
    unsigned exp = (unsigned)(bits >> stored) & max;
    uint64_t sig = (uint64_t)(bits & (((U128)1 << stored) - 1));
    Float v = { .sign = bits >> (format->bits - 1) & 1 };
    unsigned fraction = format->precision - 1;
    uint64_t below = sig & low_bits(fraction);

    if (exp == max) {
        v.class = below ? FLOAT_NAN : FLOAT_INF;
        v.sig = (U128)below << (63 - fraction);
        v.signalling = below && !(v.sig >> 62 & 1);
        return v;
    }
    if (stored == fraction && exp) {
        sig |= UINT64_C(1) << fraction;
    }
    v.class = sig ? FLOAT_FINITE : FLOAT_ZERO;
    v.sig = sig;
    v.exp = (int)(exp ? exp : 1) - bias(format) - (int)fraction;
    return v;
}

static U128 assemble(const FloatFormat *format, bool sign, unsigned exp,
                     uint64_t sig)
{
    return (U128)sign << (format->bits - 1) |
           (U128)exp << stored_bits(format) |
           (sig & (((U128)1 << stored_bits(format)) - 1));
}

static U128 pack_nan(const FloatFormat *format, Float v)
{
    unsigned fraction = format->precision - 1;
    uint64_t sig = (uint64_t)(v.sig >> (63 - fraction)) |
                   UINT64_C(1) << (fraction - 1) | UINT64_C(1) << fraction;

    return assemble(format, v.sign, (1u << format->exp_bits) - 1, sig);
}

static U128 infinity(const FloatFormat *format, bool sign)
{
    return assemble(format, sign, (1u << format->exp_bits) - 1,
                    UINT64_C(1) << (format->precision - 1));
}

/*
 * Rounds |v| to a multiple of 2^unit; the count of units.  *inexact tells
 * whether anything was lost.
 */
static U128 round_units(Float v, int unit, unsigned rc, bool *inexact)
{
    int shift = unit - v.exp;
    U128 whole, rest, half;

    if (shift <= 0) {
        g_assert(!v.sticky && -shift < 128 && top_bit(v.sig) - shift < 128);
        *inexact = false;
        return v.sig << -shift;
    }
    whole = shift < 128 ? v.sig >> shift : 0;
    rest = shift < 128 ? v.sig & (((U128)1 << shift) - 1) : v.sig;
    half = shift < 129 ? (U128)1 << (shift - 1) : 0;
    *inexact = rest || v.sticky;
    if (!*inexact) {
        return whole;
    }
    bool up = rc == 1   ? v.sign
              : rc == 2 ? !v.sign
              : rc == 3 ? false
                        : half && (rest > half ||
                                   (rest == half && (v.sticky || (whole & 1))));

    return whole + up;
}

static U128 overflow(const FloatFormat *format, bool sign, unsigned precision,
                     FloatMode *mode)
{
    unsigned max = (1u << format->exp_bits) - 2;

    mode->flags |= FLAG_OE | FLAG_PE;
    if (mode->rc == 0 || (mode->rc == 1 && sign) || (mode->rc == 2 && !sign)) {
        return infinity(format, sign);
    }
    return assemble(format, sign, max,
                    low_bits(precision) << (format->precision - precision));
}

U128 float_pack(const FloatFormat *format, Float v, FloatMode *mode)
{
    unsigned precision = mode->precision ? mode->precision : format->precision;
    int e_min = 1 - bias(format);
    bool inexact;

    switch (v.class) {
    case FLOAT_NAN:
        mode->flags |= v.signalling ? FLAG_IE : 0;
        return pack_nan(format, v);
    case FLOAT_INF:
        return infinity(format, v.sign);
    case FLOAT_ZERO:
        return assemble(format, v.sign, 0, 0);
    default:
        break;
    }
    int e = v.exp + (int)top_bit(v.sig);
    U128 units = round_units(v, e - (int)precision + 1, mode->rc, &inexact);
    bool carry = units >> precision;
    bool tiny = e + carry < e_min;
    unsigned spare = format->precision - precision;

    if (tiny && mode->flush) {
        mode->flags |= FLAG_UE | FLAG_PE;
        return assemble(format, v.sign, 0, 0);
    }
    if (e < e_min) { /* the unit of denormal numbers is fixed */
        mode->open |= precision != format->precision;
        units = round_units(v, e_min - (int)precision + 1, mode->rc, &inexact);
        mode->flags |= inexact ? FLAG_PE | (tiny ? FLAG_UE : 0) : 0;
        return assemble(format, v.sign, units >> (precision - 1) & 1,
                        (uint64_t)(units << spare));
    }
    units >>= carry;
    e += carry;
    if (e > bias(format)) {
        return overflow(format, v.sign, precision, mode);
    }
    mode->flags |= inexact ? FLAG_PE : 0;
    return assemble(format, v.sign, e + bias(format),
                    (uint64_t)(units << spare));
}

Float float_from_int(S128 v)
{
    return (Float){
        .class = v ? FLOAT_FINITE : FLOAT_ZERO, .sign = v < 0,
        .sig = v < 0 ? -(U128)v : (U128)v,
    };
}

Float float_to_integral(Float v, unsigned rc, FloatMode *mode)
{
    bool inexact;

    if (v.class == FLOAT_NAN) {
        mode->flags |= v.signalling ? FLAG_IE : 0;
        v.signalling = false;
        v.sig |= (U128)1 << 62;
    }
    if (v.class != FLOAT_FINITE || v.exp >= 0) {
        return v;
    }
    v.sig = round_units(v, 0, rc, &inexact);
    v.exp = 0;
    v.sticky = false;
    mode->flags |= inexact ? FLAG_PE : 0;
    if (!v.sig) {
        v.class = FLOAT_ZERO;
    }
    return v;
}

bool float_to_int(Float v, unsigned bits, unsigned rc, int64_t *result,
                  FloatMode *mode)
{
    FloatMode inner = { .rc = rc };
    Float i = float_to_integral(v, rc, &inner);
    U128 limit = (U128)1 << (bits - 1);

    *result = bits == 64 ? INT64_MIN : (int64_t)INT32_MIN;
    if (i.class == FLOAT_NAN || i.class == FLOAT_INF ||
        (i.class == FLOAT_FINITE && (int)top_bit(i.sig) + i.exp > 64)) {
        mode->flags |= FLAG_IE;
        return false;
    }
    U128 magnitude = i.class == FLOAT_ZERO ? 0 : i.sig << i.exp;

    if (magnitude > limit - !i.sign) {
        mode->flags |= FLAG_IE;
        return false;
    }
    mode->flags |= inner.flags;
    *result = (int64_t)(i.sign ? -magnitude : magnitude);
    return true;
}

static Float default_nan(FloatMode *mode)
{
    mode->flags |= FLAG_IE;
    return (Float){ .class = FLOAT_NAN, .sign = true, .sig = (U128)1 << 62 };
}

/* The NaN among the operands; the first one where there are two. */
static Float pick_nan(Float a, Float b, FloatMode *mode)
{
    Float v = a.class == FLOAT_NAN ? a : b;

    mode->flags |= a.signalling || b.signalling ? FLAG_IE : 0;
    /* x87 takes the larger one; for 80 bits that stays untested. */
    mode->open |= mode->precision && a.class == FLOAT_NAN &&
                  b.class == FLOAT_NAN;
    v.signalling = false;
    v.sig |= (U128)1 << 62;
    return v;
}

Float float_negate(Float a)
{
    a.sign = !a.sign;
    return a;
}

static Float zero(bool sign)
{
    return (Float){ .class = FLOAT_ZERO, .sign = sign };
}

/* Highest bit at TOP.  The low bits must be free to go. */
static Float normalise(Float v)
{
    int shift = TOP - (int)top_bit(v.sig);

    if (shift >= 0) {
        v.sig <<= shift;
    } else {
        v.sticky |= (v.sig & (((U128)1 << -shift) - 1)) != 0;
        v.sig >>= -shift;
    }
    v.exp -= shift;
    return v;
}

static Float add_finite(Float a, Float b, FloatMode *mode)
{
    a = normalise(a);
    b = normalise(b);
    if (a.exp < b.exp || (a.exp == b.exp && a.sig < b.sig)) {
        Float t = a;

        a = b;
        b = t;
    }
    unsigned distance = a.exp - b.exp;
    U128 low = distance < 128 ? b.sig >> distance : 0;
    bool lost = distance < 128 ? (low << distance) != b.sig : true;

    if (a.sign == b.sign) {
        a.sig += low;
    } else {
        a.sig -= low + lost;
        if (!a.sig && !lost) {
            return zero(mode->rc == 1);
        }
    }
    a.sticky = lost;
    return a;
}

Float float_add(Float a, Float b, FloatMode *mode)
{
    if (a.class == FLOAT_NAN || b.class == FLOAT_NAN) {
        return pick_nan(a, b, mode);
    }
    if (a.class == FLOAT_INF || b.class == FLOAT_INF) {
        if (a.class == b.class && a.sign != b.sign) {
            return default_nan(mode);
        }
        return a.class == FLOAT_INF ? a : b;
    }
    if (a.class == FLOAT_ZERO && b.class == FLOAT_ZERO) {
        return zero(a.sign == b.sign ? a.sign : mode->rc == 1);
    }
    if (a.class == FLOAT_ZERO || b.class == FLOAT_ZERO) {
        return a.class == FLOAT_ZERO ? b : a;
    }
    return add_finite(a, b, mode);
}

Float float_sub(Float a, Float b, FloatMode *mode)
{
    if (b.class != FLOAT_NAN) {
        b.sign = !b.sign;
    }
    return float_add(a, b, mode);
}

Float float_mul(Float a, Float b, FloatMode *mode)
{
    bool sign = a.sign != b.sign;

    if (a.class == FLOAT_NAN || b.class == FLOAT_NAN) {
        return pick_nan(a, b, mode);
    }
    if (a.class == FLOAT_INF || b.class == FLOAT_INF) {
        if (a.class == FLOAT_ZERO || b.class == FLOAT_ZERO) {
            return default_nan(mode);
        }
        return (Float){ .class = FLOAT_INF, .sign = sign };
    }
    if (a.class == FLOAT_ZERO || b.class == FLOAT_ZERO) {
        return zero(sign);
    }
    return (Float){ .class = FLOAT_FINITE, .sign = sign, .exp = a.exp + b.exp,
                    .sig = a.sig * b.sig };
}

/* Schoolbook division, bit by bit. */
static Float divide_finite(Float a, Float b, bool sign)
{
    enum { BITS = 70 };

    a = normalise(a);
    b = normalise(b);

    U128 rest = a.sig >> (TOP - 64);
    U128 divisor = b.sig >> (TOP - 64);
    Float q = { .class = FLOAT_FINITE, .sign = sign,
                .exp = a.exp - b.exp - (BITS - 1) };

    for (unsigned i = 0; i < BITS; i++) {
        q.sig <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            q.sig |= 1;
        }
        rest <<= 1;
    }
    q.sticky = rest != 0;
    return q;
}

Float float_div(Float a, Float b, FloatMode *mode)
{
    bool sign = a.sign != b.sign;

    if (a.class == FLOAT_NAN || b.class == FLOAT_NAN) {
        return pick_nan(a, b, mode);
    }
    if (a.class == b.class && a.class != FLOAT_FINITE) {
        return default_nan(mode);
    }
    if (a.class == FLOAT_INF || b.class == FLOAT_ZERO) {
        mode->flags |= a.class == FLOAT_INF ? 0 : FLAG_ZE;
        return (Float){ .class = FLOAT_INF, .sign = sign };
    }
    if (a.class == FLOAT_ZERO || b.class == FLOAT_INF) {
        return zero(sign);
    }
    return divide_finite(a, b, sign);
}

/* Digit by digit: two bits of the number for one of the root. */
Float float_sqrt(Float a, FloatMode *mode)
{
    enum { BITS = 70 };

    if (a.class == FLOAT_NAN) {
        return pick_nan(a, a, mode);
    }
    if (a.class == FLOAT_ZERO || (a.class == FLOAT_INF && !a.sign)) {
        return a;
    }
    if (a.sign) {
        return default_nan(mode);
    }
    a = normalise(a);

    /* As an integer of 66 bits and an even exponent, then zeros. */
    U128 v = a.sig >> (TOP - 64);
    int exp = a.exp + (TOP - 64);
    U128 root = 0, rest = 0;

    if (exp & 1) {
        v <<= 1;
        exp--;
    }
    for (int i = 0; i < BITS; i++) {
        int at = 64 - 2 * i;
        U128 pair = at >= 0 ? v >> at & 3 : 0;

        rest = rest << 2 | pair;
        root <<= 1;
        if (rest >= (root << 1) + 1) {
            rest -= (root << 1) + 1;
            root++;
        }
    }
    return (Float){ .class = FLOAT_FINITE, .exp = exp / 2 - (BITS - 33),
                    .sig = root, .sticky = rest != 0 };
}

Float float_fma(Float a, Float b, Float c, FloatMode *mode)
{
    bool invalid = (a.class == FLOAT_INF && b.class == FLOAT_ZERO) ||
                   (a.class == FLOAT_ZERO && b.class == FLOAT_INF);
    unsigned nans = (a.class == FLOAT_NAN) + (b.class == FLOAT_NAN) +
                    (c.class == FLOAT_NAN);

    /* Which of several NaNs, and invalid products beside one: open. */
    mode->open |= nans > 1 || (nans && invalid);
    if (c.class == FLOAT_NAN && a.class != FLOAT_NAN && b.class != FLOAT_NAN) {
        return pick_nan(c, c, mode);
    }
    return float_add(float_mul(a, b, mode), c, mode);
}

int float_compare(Float a, Float b)
{
    FloatMode mode = { 0 };

    if (a.class == FLOAT_NAN || b.class == FLOAT_NAN) {
        return 2;
    }
    if (a.class == FLOAT_INF && b.class == FLOAT_INF) {
        return a.sign == b.sign ? 0 : a.sign ? -1 : 1;
    }
    Float d = float_sub(a, b, &mode);

    return d.class == FLOAT_ZERO ? 0 : d.sign ? -1 : 1;
}
