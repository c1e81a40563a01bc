/*
 * The meaning of the integer operations of the intermediate code, in plain C:
 * the reference that generated code is compared with.
 */
#ifndef TESTS_UNIT_TCG_EVAL_H
#define TESTS_UNIT_TCG_EVAL_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "tcg/ir.h"

static inline uint64_t eval_mask(unsigned width)
{
    return width == 8 ? ~UINT64_C(0) : (UINT64_C(1) << (8 * width)) - 1;
}

static inline int64_t eval_signed(uint64_t v, unsigned width)
{
    return (int64_t)(v << (64 - 8 * width)) >> (64 - 8 * width);
}

static inline bool eval_cond(IrCond cond, unsigned width, uint64_t a,
                             uint64_t b)
{
    uint64_t mask = eval_mask(width);
    int64_t sa = eval_signed(a, width);
    int64_t sb = eval_signed(b, width);
    __int128 exact = (__int128)sa - sb;
    bool sign = (a - b) >> (8 * width - 1) & 1;
    bool overflow = exact != eval_signed(a - b, width);

    a &= mask;
    b &= mask;
    switch (cond) {
    case IR_EQ:
        return a == b;
    case IR_NE:
        return a != b;
    case IR_LT:
        return sa < sb;
    case IR_GE:
        return sa >= sb;
    case IR_LE:
        return sa <= sb;
    case IR_GT:
        return sa > sb;
    case IR_LTU:
        return a < b;
    case IR_GEU:
        return a >= b;
    case IR_LEU:
        return a <= b;
    case IR_GTU:
        return a > b;
    case IR_TSTEQ:
        return !(a & b);
    case IR_TSTNE:
        return a & b;
    case IR_O:
        return overflow;
    case IR_NO:
        return !overflow;
    case IR_S:
        return sign;
    case IR_NS:
        return !sign;
    default:
        g_assert_not_reached();
    }
}

static inline uint64_t eval_count(IrOpcode opcode, unsigned bits, uint64_t a)
{
    switch (opcode) {
    case IR_clz:
        return a ? __builtin_clzll(a) - (64 - bits) : bits;
    case IR_ctz:
        return a ? __builtin_ctzll(a) : bits;
    default:
        return __builtin_popcountll(a);
    }
}

static inline uint64_t eval_bswap(uint64_t a, unsigned width)
{
    uint64_t r = 0;

    for (unsigned i = 0; i < width; i++) {
        r = r << 8 | (a >> (8 * i) & 0xff);
    }
    return r;
}

static inline uint64_t eval_muldiv(IrOpcode opcode, unsigned width, uint64_t a,
                                   uint64_t b)
{
    int64_t sa = eval_signed(a, width);
    int64_t sb = eval_signed(b, width);

    switch (opcode) {
    case IR_mul:
        return a * b;
    case IR_mulhu:
        return (unsigned __int128)a * b >> (8 * width);
    case IR_mulhs:
        return (__int128)sa * sb >> (8 * width);
    case IR_divu:
        return a / b;
    case IR_remu:
        return a % b;
    case IR_divs:
        return sa / sb;
    default:
        return sa % sb;
    }
}

static inline uint64_t eval_shift(IrOpcode opcode, unsigned width, uint64_t a,
                                  uint64_t b, uint64_t c)
{
    unsigned bits = 8 * width;
    unsigned by = (opcode == IR_shld || opcode == IR_shrd ? c : b) % bits;

    switch (opcode) {
    case IR_shl:
        return a << by;
    case IR_shr:
        return a >> by;
    case IR_sar:
        return eval_signed(a, width) >> by;
    case IR_rol:
        return by ? a << by | a >> (bits - by) : a;
    case IR_ror:
        return by ? a >> by | a << (bits - by) : a;
    case IR_shld:
        return by ? a << by | b >> (bits - by) : a;
    default:
        return by ? a >> by | b << (bits - by) : a;
    }
}

/* Result of a pure integer operation. */
static inline uint64_t eval_op(const IrOp *op, uint64_t a, uint64_t b,
                               uint64_t c, uint64_t d)
{
    unsigned width = op->width;
    unsigned pos = op->imm & 0xff;
    unsigned len = op->imm >> 8;
    uint64_t ones = len ? ~UINT64_C(0) >> (64 - len) : 0;
    uint64_t mask = eval_mask(width);

    switch (op->opcode) {
    case IR_mov:
        return a;
    case IR_extract:
        return a >> pos & ones;
    case IR_sextract:
        return (int64_t)(a << (64 - pos - len)) >> (64 - len);
    case IR_deposit:
        return (a & ~(ones << pos)) | (b & ones) << pos;
    case IR_setcond:
        return eval_cond(op->cond, width, a, b);
    case IR_select:
        return eval_cond(op->cond, width, a, b) ? c : d;
    case IR_bswap:
        return eval_bswap(a, width);
    default:
        break;
    }
    a &= mask;
    b &= mask;
    switch (op->opcode) {
    case IR_add:
        return (a + b) & mask;
    case IR_sub:
        return (a - b) & mask;
    case IR_and:
        return a & b;
    case IR_andn:
        return a & ~b;
    case IR_or:
        return a | b;
    case IR_orn:
        return (a | ~b) & mask;
    case IR_xor:
        return a ^ b;
    case IR_xorn:
        return (a ^ ~b) & mask;
    case IR_not:
        return ~a & mask;
    case IR_neg:
        return -a & mask;
    case IR_clz:
    case IR_ctz:
    case IR_popcnt:
        return eval_count(op->opcode, 8 * width, a);
    case IR_shl:
    case IR_shr:
    case IR_sar:
    case IR_rol:
    case IR_ror:
    case IR_shld:
    case IR_shrd:
        return eval_shift(op->opcode, width, a, b, c) & mask;
    default:
        return eval_muldiv(op->opcode, width, a, b) & mask;
    }
}

#endif
