/*
 * Evaluation of pure integer operations on constants.
 */
#include "tcg/opt-int.h"

static uint64_t low(uint64_t v, unsigned width)
{
    return width == 8 ? v : (uint32_t)v;
}

static int64_t low_signed(uint64_t v, unsigned width)
{
    return width == 8 ? (int64_t)v : (int32_t)v;
}

bool fold_cond(IrCond cond, unsigned width, uint64_t a, uint64_t b)
{
    int64_t sa = low_signed(a, width);
    int64_t sb = low_signed(b, width);
    int64_t ignored;
    uint64_t ua = low(a, width);
    uint64_t ub = low(b, width);
    bool r;

    switch (cond & ~1) {
    case IR_EQ:
        r = ua == ub;
        break;
    case IR_LT:
        r = sa < sb;
        break;
    case IR_LE:
        r = sa <= sb;
        break;
    case IR_LTU:
        r = ua < ub;
        break;
    case IR_LEU:
        r = ua <= ub;
        break;
    case IR_TSTEQ:
        r = (ua & ub) == 0;
        break;
    case IR_O:
        r = width == 8 ? __builtin_sub_overflow(sa, sb, &ignored)
                       : sa - sb != (int32_t)(sa - sb);
        break;
    default:
        r = low_signed(a - b, width) < 0;
    }
    return r ^ (cond & 1);
}

static uint64_t fold_shift(const IrOp *op, uint64_t a, uint64_t b)
{
    unsigned bits = op->width * 8;
    unsigned by = b & (bits - 1);
    unsigned back = (bits - by) & (bits - 1);

    switch (op->opcode) {
    case IR_shl:
        return a << by;
    case IR_shr:
        return low(a, op->width) >> by;
    case IR_sar:
        return low_signed(a, op->width) >> by;
    case IR_rol:
        return a << by | low(a, op->width) >> back;
    default:
        return low(a, op->width) >> by | a << back;
    }
}

static bool fold_wide(const IrOp *op, uint64_t a, uint64_t b, uint64_t *r)
{
    switch (op->opcode) {
    case IR_add:
        *r = a + b;
        return true;
    case IR_sub:
        *r = a - b;
        return true;
    case IR_and:
        *r = a & b;
        return true;
    case IR_andn:
        *r = a & ~b;
        return true;
    case IR_or:
        *r = a | b;
        return true;
    case IR_orn:
        *r = a | ~b;
        return true;
    case IR_xor:
        *r = a ^ b;
        return true;
    case IR_xorn:
        *r = a ^ ~b;
        return true;
    case IR_not:
        *r = ~a;
        return true;
    case IR_neg:
        *r = -a;
        return true;
    case IR_mul:
        *r = a * b;
        return true;
    case IR_shl:
    case IR_shr:
    case IR_sar:
    case IR_rol:
    case IR_ror:
        *r = fold_shift(op, a, b);
        return true;
    default:
        return false;
    }
}

bool fold_op(const IrOp *op, const uint64_t v[4], uint64_t *r)
{
    unsigned pos = op->imm & 0xff;
    unsigned len = op->imm >> 8;

    switch (op->opcode) {
    case IR_extract:
        *r = v[0] >> pos & (~UINT64_C(0) >> (64 - len));
        return true;
    case IR_sextract:
        *r = (int64_t)(v[0] << (64 - pos - len)) >> (64 - len);
        return true;
    case IR_deposit: {
        uint64_t mask = (~UINT64_C(0) >> (64 - len)) << pos;

        *r = (v[0] & ~mask) | (v[1] << pos & mask);
        return true;
    }
    case IR_setcond:
        *r = fold_cond(op->cond, op->width, v[0], v[1]);
        return true;
    case IR_bswap:
        *r = __builtin_bswap64(v[0]) >> (64 - 8 * op->width);
        return true;
    default:
        if (!fold_wide(op, v[0], v[1], r)) {
            return false;
        }
        *r = low(*r, op->width);
        return true;
    }
}
