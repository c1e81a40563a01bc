/*
 * Integer operations: "isa/ops.md" section 1.
 */
#include "tests/insn/formula.h"

#include <string.h>

/* First stages and their second-stage meanings, in the order of their codes. */
enum {
    OP_AND, OP_ANDN, OP_OR, OP_ORN, OP_XOR, OP_XORN, OP_RSUB, OP_MERGE,
    OP_ADD, OP_SUB, OP_SCL, OP_SCR, OP_SHL, OP_SHR, OP_SAR, OP_GETF, OP_COUNT
};

static const char *const op_names[OP_COUNT] = {
    "and", "andn", "or", "orn", "xor", "xorn", "rsub", "merge",
    "add", "sub", "scl", "scr", "shl", "shr", "sar", "getf",
};

static uint64_t rotate_right(uint64_t v, unsigned n, unsigned count)
{
    count %= n;
    v &= low_bits(n);
    return count ? (v >> count | v << (n - count)) & low_bits(n) : v;
}

/* Bit-field extraction; *open where the description leaves the result so. */
static uint64_t get_field(uint64_t a, uint64_t selector, unsigned n,
                          unsigned isa, bool *open)
{
    unsigned offset = selector & (n - 1);
    unsigned length = selector >> 6 & (n - 1);
    unsigned byte = selector >> 13 & (n == 64 ? 7 : 3);
    bool with_sign = selector >> 12 & 1;
    uint64_t v = rotate_right(a, n, offset) & low_bits(length);
    bool sign;

    if (length == 0) {
        v = 0;
    }
    if (!with_sign) {
        return v;
    }
    if (isa >= 5) {
        *open |= length == 0;
        sign = length && (v >> (length - 1) & 1);
    } else {
        sign = a >> (8 * byte + ((offset + length - 1) & 7)) & 1;
    }
    return sign ? (v | ~low_bits(length)) & low_bits(n) : v;
}

/* Sources are cut to n bits; so is the result. */
static uint64_t one_stage(int op, uint64_t a, uint64_t b, unsigned n,
                          const FormulaIn *in, bool *open)
{
    unsigned count = b % n;

    a &= low_bits(n);
    b &= low_bits(n);
    switch (op) {
    case OP_AND:
        return a & b;
    case OP_ANDN:
        return a & ~b & low_bits(n);
    case OP_OR:
        return a | b;
    case OP_ORN:
        return (a | ~b) & low_bits(n);
    case OP_XOR:
        return a ^ b;
    case OP_XORN:
        return ~(a ^ b) & low_bits(n);
    case OP_RSUB:
        return (b - a) & low_bits(n);
    case OP_MERGE:
        return in->cond ? b : a;
    case OP_ADD:
        return (a + b) & low_bits(n);
    case OP_SUB:
        return (a - b) & low_bits(n);
    case OP_SCL:
        return rotate_right(a, n, n - count);
    case OP_SCR:
        return rotate_right(a, n, count);
    case OP_SHL:
        return (a << count) & low_bits(n);
    case OP_SHR:
        return a >> count;
    case OP_SAR:
        return (uint64_t)(slane(a, n, 0) >> count) & low_bits(n);
    default:
        return get_field(a, b, n, in->isa, open);
    }
}

static void simple(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    out->d = one_stage(f->op, in->s1, in->s2, f->bits, in, &out->open);
}

/* The third source is the left operand of the second stage. */
static void combined(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    uint64_t t = one_stage(f->op, in->s1, in->s2, f->bits, in, &out->open);

    out->d = one_stage(f->op2, in->s3, t, f->bits, in, &out->open);
}

static void extend(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    static const unsigned widths[4] = { 8, 16, 32, 32 };
    unsigned n = widths[in->s1 & 3];

    out->d = in->s1 & 4 ? lane(in->s2, n, 0) : (uint64_t)slane(in->s2, n, 0);
}

enum { MUL_LOW, MUL_X, MUL_HIGH };

static void multiply(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    unsigned n = f->bits;
    U128 p = f->is_signed
                 ? (U128)((S128)slane(in->s1, n, 0) * slane(in->s2, n, 0))
                 : (U128)lane(in->s1, n, 0) * lane(in->s2, n, 0);

    out->d = f->op == MUL_HIGH ? p >> 64 : (uint64_t)p;
}

static void trap_div(FormulaOut *out)
{
    out->traps = true;
    out->exception = EXC_DIV;
}

/* Quotients of equal widths. */
static void divide(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    unsigned n = f->bits;

    if (lane(in->s2, n, 0) == 0) {
        trap_div(out);
    } else if (f->is_signed) {
        out->d = (uint64_t)((S128)slane(in->s1, n, 0) / slane(in->s2, n, 0));
    } else {
        out->d = lane(in->s1, n, 0) / lane(in->s2, n, 0);
    }
}

/* 64 by 32 bits; op: remainder. */
static void divide_long(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    S128 a = f->is_signed ? (S128)(int64_t)in->s1 : (S128)(uint64_t)in->s1;
    S128 b = f->is_signed ? (S128)slane(in->s2, 32, 0)
                          : (S128)lane(in->s2, 32, 0);

    if (b == 0) {
        trap_div(out);
        return;
    }
    S128 q = a / b;

    if (f->is_signed ? q != (int32_t)q : q != (S128)(uint32_t)q) {
        trap_div(out);
        out->open = f->op; /* of the remainder */
        return;
    }
    out->d = (uint32_t)(f->op ? a % b : q);
}

enum { BITS_REVERSE, BITS_LEADING, BITS_ONES };

static void count_bits(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    uint64_t reversed = 0;
    unsigned leading = 0;
    unsigned ones = 0;

    for (unsigned i = 0; i < f->bits; i++) {
        bool bit = in->s2 >> i & 1;

        reversed |= (uint64_t)bit << (f->bits - 1 - i);
        ones += bit;
        leading = bit ? 0 : leading + 1;
    }
    out->d = f->op == BITS_REVERSE ? reversed
             : f->op == BITS_LEADING ? leading : ones;
}

enum { CARRY_ADD, CARRY_ADD_OUT, CARRY_SUB, CARRY_SUB_OUT };

static void with_carry(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    U128 a = (uint64_t)in->s1;
    U128 b = (uint64_t)in->s2;
    unsigned c = in->s3 & 1;

    switch (f->op) {
    case CARRY_ADD:
        out->d = (uint64_t)(a + b + c);
        break;
    case CARRY_ADD_OUT:
        out->d = (a + b + c) >> 64;
        break;
    case CARRY_SUB:
        out->d = (uint64_t)(a - b - c);
        break;
    default:
        out->d = a < b + c;
        break;
    }
}

static void carryless(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    U128 p = 0;

    for (unsigned i = 0; i < 64; i++) {
        if (in->s2 >> i & 1) {
            p ^= (U128)(uint64_t)in->s1 << i;
        }
    }
    out->d = f->op ? p >> 64 : (uint64_t)p;
}

static void copy(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    out->d = f->bits == 32 ? (uint32_t)in->s2 : (uint64_t)in->s2;
}

/* Field with its low z bits cleared. */
static void get_clear(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    unsigned n = f->bits;
    unsigned length = in->s2 >> 6 & (n - 1);
    unsigned z = in->s2 >> 13 & (n == 64 ? 7 : 7);

    out->open = length == 0 && (in->s2 >> 12 & 1);
    out->d = get_field(in->s1, in->s2, n, 5, &out->open);
    out->d = out->d >> z << z;
}

static void insert(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    unsigned n = f->bits;
    unsigned length = in->s2 >> 6 & 63;
    uint64_t mask = low_bits(length);

    out->open = length >= n;
    out->d = (rotate_right(in->s1, n, in->s2 & (n - 1)) & ~mask) |
             (in->s3 & low_bits(n) & mask);
}

/* Conditions by their code: o b e be s p l le. */
enum { CMP_O, CMP_B, CMP_E, CMP_BE, CMP_S, CMP_P, CMP_L, CMP_LE };

static const char *const cmp_names[] = {
    "o", "b", "e", "be", "s", "p", "l", "le",
};

static bool even_ones(uint8_t v)
{
    unsigned n = 0;

    for (; v; v >>= 1) {
        n += v & 1;
    }
    return n % 2 == 0;
}

static void compare(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    unsigned n = f->bits;
    uint64_t a = lane(in->s1, n, 0), b = lane(in->s2, n, 0);
    S128 sa = slane(in->s1, n, 0), sb = slane(in->s2, n, 0);
    uint64_t t = (a - b) & low_bits(n);

    switch (f->op) {
    case CMP_O:
        out->pred = sa - sb != slane(t, n, 0);
        break;
    case CMP_B:
        out->pred = a < b;
        break;
    case CMP_E:
        out->pred = a == b;
        break;
    case CMP_BE:
        out->pred = a <= b;
        break;
    case CMP_S:
        out->pred = t >> (n - 1) & 1;
        break;
    case CMP_P:
        out->pred = even_ones(t);
        break;
    case CMP_L:
        out->pred = sa < sb;
        break;
    default:
        out->pred = sa <= sb;
        break;
    }
}

static void compare_and(const Formula *f, const FormulaIn *in,
                        FormulaOut *out)
{
    unsigned n = f->bits;
    uint64_t t = lane(in->s1 & in->s2, n, 0);

    out->pred = f->op == CMP_E   ? t == 0
                : f->op == CMP_S ? t >> (n - 1) & 1
                : f->op == CMP_P ? even_ones(t)
                                 : slane(t, n, 0) <= 0;
}

/* A flags word as x86 has it: CF 0, PF 2, ZF 6, SF 7, OF 11. */
static void flags_condition(const Formula *f, const FormulaIn *in,
                            FormulaOut *out)
{
    bool cf = in->s2 & 1, pf = in->s2 >> 2 & 1, zf = in->s2 >> 6 & 1,
         sf = in->s2 >> 7 & 1, of = in->s2 >> 11 & 1;
    const bool values[] = { of, cf, zf, cf || zf, sf, pf, sf != of,
                            zf || sf != of };

    out->pred = values[f->op];
}

/*
 * Flags after an operation on the low bits, from sums that do not wrap: carry
 * from the unsigned one, overflow from the signed one.
 */
static void flags_of(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    unsigned n = f->bits;
    S128 a = lane(in->s1, n, 0), b = lane(in->s2, n, 0);
    S128 sa = slane(in->s1, n, 0), sb = slane(in->s2, n, 0);
    S128 low_a = a & 15, low_b = b & 15;
    bool carry = false, overflow = false, half = false;
    bool add = f->op == OP_ADD, sub = f->op == OP_SUB;
    uint64_t r = one_stage(f->op, (uint64_t)a, (uint64_t)b, n, in, &out->open);

    if (add) {
        carry = a + b >= (S128)1 << n;
        overflow = sa + sb != slane(r, n, 0);
        half = low_a + low_b > 15;
    } else if (sub) {
        carry = a < b;
        overflow = sa - sb != slane(r, n, 0);
        half = low_a < low_b;
    } else {
        out->ignore = 1 << 4; /* undefined on x86 */
    }
    out->d = carry | even_ones(r) << 2 | half << 4 | (r == 0) << 6 |
             (slane(r, n, 0) < 0) << 7 | overflow << 11;
}

static void zero_extend(const Formula *f, const FormulaIn *in,
                        FormulaOut *out)
{
    out->d = (uint32_t)in->s2;
}

/* ------------------------------------------------------------------------
 * Names
 */

static bool find(const char *const *names, unsigned n, const char *text,
                 size_t length, int *index)
{
    for (unsigned i = 0; i < n; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], text, length) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* "...s" or "...d". */
static bool take_width(const char *name, size_t *length, Formula *f)
{
    *length = strlen(name) - 1;
    f->bits = name[*length] == 's' ? 32 : name[*length] == 'd' ? 64 : 0;
    return f->bits;
}

static void field_kinds(Formula *f)
{
    f->k2 = f->op == OP_GETF ? KIND_FIELD
            : f->op >= OP_SCL ? KIND_COUNT : KIND_ANY;
}

/* "adds_fb": the flags only. */
static bool find_flags(const char *name, Formula *f)
{
    const char *bar = strchr(name, '_');
    const char *const widths[] = { "_fb", "_fh", "_fw", "_fd" };
    int width;

    f->fn = flags_of;
    if (!bar || !find(widths, 4, bar, strlen(bar), &width) ||
        !find(op_names, OP_COUNT, name, bar - 1 - name, &f->op)) {
        return false;
    }
    f->bits = 8 << width;
    return f->op < OP_RSUB || f->op == OP_ADD || f->op == OP_SUB;
}

static bool find_staged(const char *name, Formula *f)
{
    const char *bar = strchr(name, '_');
    size_t length;

    if (!take_width(name, &length, f)) {
        return false;
    }
    if (!bar) {
        f->fn = simple;
        if (!find(op_names, OP_COUNT, name, length, &f->op) ||
            f->op == OP_RSUB) {
            return false;
        }
        field_kinds(f);
        return true;
    }
    f->fn = combined;
    if (!find(op_names, OP_COUNT, name, bar - name, &f->op) ||
        !find(op_names, OP_COUNT, bar + 1, length - (bar + 1 - name),
              &f->op2)) {
        return false;
    }
    field_kinds(f);
    return true;
}

static bool find_compare(const char *name, Formula *f)
{
    bool is_and = g_str_has_prefix(name, "cmpand");
    size_t length = strlen(name);
    const char *start = name + (is_and ? 6 : 3);

    if (g_str_has_prefix(name, "cctop")) {
        f->fn = flags_condition;
        return find(cmp_names, 8, name + 5, length - 5, &f->op);
    }
    if (!g_str_has_prefix(name, "cmp") || name[length - 1] != 'b') {
        return false;
    }
    f->bits = name[length - 2] == 's' ? 32 : 64;
    f->fn = is_and ? compare_and : compare;
    return find(cmp_names, 8, start, name + length - 2 - start, &f->op);
}

static const struct {
    const char *name;
    Formula f;
} named[] = {
    { "sxt", { extend, .k1 = KIND_COUNT } },
    { "muls", { multiply, MUL_LOW, .bits = 32 } },
    { "muld", { multiply, MUL_LOW, .bits = 64 } },
    { "umulx", { multiply, MUL_X, .bits = 32 } },
    { "smulx", { multiply, MUL_X, .bits = 32, .is_signed = true } },
    { "umulhd", { multiply, MUL_HIGH, .bits = 64 } },
    { "smulhd", { multiply, MUL_HIGH, .bits = 64, .is_signed = true } },
    { "udivs", { divide, .bits = 32 } },
    { "udivd", { divide, .bits = 64 } },
    { "sdivs", { divide, .bits = 32, .is_signed = true } },
    { "sdivd", { divide, .bits = 64, .is_signed = true } },
    { "udivx", { divide_long, 0 } },
    { "sdivx", { divide_long, 0, .is_signed = true } },
    { "umodx", { divide_long, 1 } },
    { "smodx", { divide_long, 1, .is_signed = true } },
    { "bitrevs", { count_bits, BITS_REVERSE, .bits = 32 } },
    { "bitrevd", { count_bits, BITS_REVERSE, .bits = 64 } },
    { "lzcnts", { count_bits, BITS_LEADING, .bits = 32 } },
    { "lzcntd", { count_bits, BITS_LEADING, .bits = 64 } },
    { "popcnts", { count_bits, BITS_ONES, .bits = 32 } },
    { "popcntd", { count_bits, BITS_ONES, .bits = 64 } },
    { "addcd", { with_carry, CARRY_ADD } },
    { "addcd_c", { with_carry, CARRY_ADD_OUT } },
    { "subcd", { with_carry, CARRY_SUB } },
    { "subcd_c", { with_carry, CARRY_SUB_OUT } },
    { "clmull", { carryless, 0 } },
    { "clmulh", { carryless, 1 } },
    { "getfzs", { get_clear, .bits = 32, .k2 = KIND_FIELD } },
    { "getfzd", { get_clear, .bits = 64, .k2 = KIND_FIELD } },
    { "insfs", { insert, .bits = 32, .k2 = KIND_FIELD } },
    { "insfd", { insert, .bits = 64, .k2 = KIND_FIELD } },
    { "movts", { copy, .bits = 32 } },
    { "movtcs", { copy, .bits = 32 } },
    { "movtrs", { copy, .bits = 32 } },
    { "movtrcs", { copy, .bits = 32 } },
    { "movtd", { copy, .bits = 64 } },
    { "movtcd", { copy, .bits = 64 } },
    { "movtrd", { copy, .bits = 64 } },
    { "movtrcd", { copy, .bits = 64 } },
    { "getpl", { zero_extend } },
};

bool formula_int(const char *name, Formula *f)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(named); i++) {
        if (strcmp(named[i].name, name) == 0) {
            *f = named[i].f;
            return true;
        }
    }
    return find_flags(name, f) || find_staged(name, f) ||
           find_compare(name, f);
}
