/*
 * Vector and floating-point operations: straight from the table.
 *
 * With AVX the three-operand forms need no copies; without, the result is
 * built in the destination (or in scratch when that holds the second
 * operand).
 */
#include "tcg/x86-emit.h"

static void move_vec(Emit *e, int to, int from)
{
    if (to != from) {
        x86_op(&e->x, 0, 0, MAP_0F, 0x28, to, x86_r(from));
    }
}

int use_vec(Emit *e, IrReg reg, int scratch)
{
    const IrVreg *vreg = &e->ir->vregs[reg];
    X86 *x = &e->x;
    int host;

    switch (e->info[reg].loc) {
    case LOC_REG:
        if (in_vec(e, reg, &host)) {
            return host;
        }
        x86_op(x, 0x66, X86_W, MAP_0F, 0x6e, scratch,
               x86_r(e->info[reg].reg));
        break;
    case LOC_SPILL:
        if (vreg->type == IR_V128) {
            x86_op(x, 0, 0, MAP_0F, 0x10, scratch, memory_rm(e, reg));
        } else {
            x86_op(x, 0xf3, 0, MAP_0F, 0x7e, scratch, memory_rm(e, reg));
        }
        break;
    case LOC_HOME:
        load_global(e, reg, scratch);
        break;
    case LOC_CONST:
        if (vreg->value == 0) {
            x86_op(x, 0x66, 0, MAP_0F, 0xef, scratch, x86_r(scratch));
        } else {
            x86_mov_imm(x, RAX, vreg->value);
            x86_op(x, 0x66, X86_W, MAP_0F, 0x6e, scratch, x86_r(RAX));
        }
        break;
    default:
        x86_op(x, 0x66, 0, MAP_0F, 0xef, scratch, x86_r(scratch));
    }
    return scratch;
}

int def_vec(Emit *e, IrReg reg, int scratch)
{
    int host;

    return in_vec(e, reg, &host) ? host : scratch;
}

void done_vec(Emit *e, IrReg reg, int host)
{
    X86 *x = &e->x;

    switch (e->info[reg].loc) {
    case LOC_REG:
        if (e->info[reg].reg >= XMM0) {
            move_vec(e, e->info[reg].reg, host);
        } else {
            x86_op(x, 0x66, X86_W, MAP_0F, 0x7e, host,
                   x86_r(e->info[reg].reg));
        }
        if (e->ir->vregs[reg].through) {
            store_global(e, reg, host);
        }
        break;
    case LOC_HOME:
        store_global(e, reg, host);
        break;
    case LOC_SPILL:
        if (e->ir->vregs[reg].type == IR_V128) {
            x86_op(x, 0, 0, MAP_0F, 0x11, host, memory_rm(e, reg));
        } else {
            x86_op(x, 0x66, 0, MAP_0F, 0xd6, host, memory_rm(e, reg));
        }
        break;
    default:
        break;
    }
}

/* A vector operand in place: a register, or memory that is wide enough and,
 * for VEX forms, may be unaligned. */
static X86Rm vec_rm(Emit *e, IrReg reg, int scratch, bool avx)
{
    const IrVreg *vreg = &e->ir->vregs[reg];

    if (avx && vreg->type == IR_V128 &&
        (e->info[reg].loc == LOC_SPILL || e->info[reg].loc == LOC_HOME)) {
        return memory_rm(e, reg);
    }
    return x86_r(use_vec(e, reg, scratch));
}

static bool use_avx(void)
{
    return x86_features.avx && opt_on(OPT_AVX);
}

/* haddps, hsubps, addsubps: not scalar, whatever their prefix says. */
static bool is_packed_f2(const IrOpInfo *info)
{
    return info->prefix == 0xf2 && info->map == 1 &&
           (info->opcode == 0x7c || info->opcode == 0x7d ||
            info->opcode == 0xd0);
}

/* Operations whose upper half stays zero when those of the operands are. */
static bool keeps_upper_zero(const IrOp *op)
{
    const IrOpInfo *info = &ir_op_infos[op->opcode];

    if (info->vec & IRV_FP) {
        return (info->prefix == 0xf2 || info->prefix == 0xf3) &&
               !is_packed_f2(info);
    }
    return (op->opcode >= IR_vand && op->opcode <= IR_vmaxsw &&
            !(op->opcode >= IR_vcmpeqb && op->opcode <= IR_vcmpeqd)) ||
           (op->opcode >= IR_vsignb && op->opcode <= IR_vsignw) ||
           (op->opcode >= IR_vshlh && op->opcode <= IR_vsarwi);
}

/* An I64 in a vector register has a zero upper half: restores that. */
static void finish(Emit *e, const IrOp *op, int host)
{
    int reg;

    if (e->ir->vregs[op->dst].type == IR_I64 && in_vec(e, op->dst, &reg) &&
        !keeps_upper_zero(op)) {
        x86_op(&e->x, 0xf3, 0, MAP_0F, 0x7e, reg, x86_r(host));
        host = reg;
    }
    done_vec(e, op->dst, host);
}

static void emit_to_gpr(Emit *e, const IrOp *op, const IrOpInfo *info)
{
    int from = use_vec(e, op->src[0], VEC_T0);
    int to = def_gpr(e, op->dst, RAX);

    x86_op(&e->x, info->prefix, info->vec & IRV_G64 ? X86_W : 0, info->map,
           info->opcode, to, x86_r(from));
    done_gpr(e, op->dst, to);
}

static void emit_from_gpr(Emit *e, const IrOp *op, const IrOpInfo *info)
{
    unsigned width = info->vec & IRV_S64 ? 8 : 4;
    X86Rm rm = use_rm(e, op->src[0], width, RCX);

    x86_op(&e->x, 0x66, 0, MAP_0F, 0xef, VEC_T0, x86_r(VEC_T0));
    x86_op(&e->x, info->prefix, width == 8 ? X86_W : 0, info->map,
           info->opcode, VEC_T0, rm);
    finish(e, op, VEC_T0);
}

static void emit_vec_shift_imm(Emit *e, const IrOp *op, const IrOpInfo *info)
{
    int to = def_vec(e, op->dst, VEC_T0);
    int from = use_vec(e, op->src[0], VEC_T0);

    if (use_avx()) {
        x86_vex(&e->x, info->prefix, false, false, info->map, info->opcode,
                info->vec >> 24, to, x86_r(from));
    } else {
        move_vec(e, to, from);
        x86_op(&e->x, info->prefix, 0, info->map, info->opcode,
               info->vec >> 24, x86_r(to));
    }
    x86_b(&e->x, op->imm);
    finish(e, op, to);
}

static bool scalar_unary(const IrOpInfo *info)
{
    return (info->prefix == 0xf3 || info->prefix == 0xf2) &&
           (info->opcode == 0x51 || info->opcode == 0x5a) && info->map == 1;
}

static bool scalar_round(const IrOpInfo *info)
{
    return info->map == 3 && (info->opcode == 0x0a || info->opcode == 0x0b);
}

/* One source.  Scalar forms merge into the destination's upper part, so that
 * it is cleared first. */
static void emit_vec_unary(Emit *e, const IrOp *op, const IrOpInfo *info)
{
    int from = use_vec(e, op->src[0], VEC_T1);
    int to = def_vec(e, op->dst, VEC_T0);

    if (scalar_unary(info) || scalar_round(info)) {
        if (to == from) {
            to = VEC_T0;
        }
        x86_op(&e->x, 0x66, 0, MAP_0F, 0xef, to, x86_r(to));
    }
    x86_op(&e->x, info->prefix, 0, info->map, info->opcode, to,
           x86_r(from));
    if (info->vec & IRV_I) {
        x86_b(&e->x, op->imm);
    }
    finish(e, op, to);
}

static void emit_vec_binary(Emit *e, const IrOp *op, const IrOpInfo *info)
{
    int to = def_vec(e, op->dst, VEC_T0);
    int a = use_vec(e, op->src[0], VEC_T0);
    X86Rm b = vec_rm(e, op->src[1], VEC_T1, use_avx());

    if (use_avx()) {
        x86_vex(&e->x, info->prefix, false, false, info->map, info->opcode,
                to, a, b);
    } else {
        if (b.reg == to && a != to) {
            if (info->vec & IRV_C && !(info->vec & IRV_FP)) {
                b = x86_r(a);
                a = to;
            } else {
                to = VEC_T2;
            }
        }
        move_vec(e, to, a);
        x86_op(&e->x, info->prefix, 0, info->map, info->opcode, to, b);
    }
    if (info->vec & IRV_I) {
        x86_b(&e->x, op->imm);
    }
    finish(e, op, to);
}

void emit_vector(Emit *e, const IrOp *op)
{
    const IrOpInfo *info = &ir_op_infos[op->opcode];

    if (info->vec & (IRV_G32 | IRV_G64)) {
        emit_to_gpr(e, op, info);
    } else if (info->vec & (IRV_S32 | IRV_S64)) {
        emit_from_gpr(e, op, info);
    } else if (info->vec & IRV_SH) {
        emit_vec_shift_imm(e, op, info);
    } else if (info->n_src == 1) {
        emit_vec_unary(e, op, info);
    } else {
        emit_vec_binary(e, op, info);
    }
}

/* --- halves ---------------------------------------------------------------------- */

void emit_vlo(Emit *e, const IrOp *op)
{
    int from = use_vec(e, op->src[0], VEC_T0);
    int to = def_vec(e, op->dst, VEC_T1);

    x86_op(&e->x, 0xf3, 0, MAP_0F, 0x7e, to, x86_r(from)); /* movq */
    done_vec(e, op->dst, to);
}

void emit_vhi(Emit *e, const IrOp *op)
{
    int from = use_vec(e, op->src[0], VEC_T0);
    int to = def_vec(e, op->dst, VEC_T1);

    /* psrldq by 8 in scratch: the upper half of the result is zero */
    move_vec(e, VEC_T2, from);
    x86_op(&e->x, 0x66, 0, MAP_0F, 0x73, 3, x86_r(VEC_T2));
    x86_b(&e->x, 8);
    move_vec(e, to, VEC_T2);
    done_vec(e, op->dst, to);
}

void emit_vjoin(Emit *e, const IrOp *op)
{
    int lo = use_vec(e, op->src[0], VEC_T0);
    int hi = use_vec(e, op->src[1], VEC_T1);
    int to = def_vec(e, op->dst, VEC_T2);

    if (to == hi) {
        to = VEC_T2;
    }
    move_vec(e, to, lo);
    x86_op(&e->x, 0x66, 0, MAP_0F, 0x6c, to, x86_r(hi)); /* punpcklqdq */
    done_vec(e, op->dst, to);
}

/* --- comparison ---------------------------------------------------------------------- */

void emit_fsetcond(Emit *e, const IrOp *op)
{
    /* After ucomis: unordered sets ZF, PF and CF; so "above" forms test for
     * ordered results by themselves, "below" forms exchange the operands. */
    bool swap = op->cond == IR_LT || op->cond == IR_LE;
    int a = use_vec(e, op->src[swap], VEC_T0);
    int b = use_vec(e, op->src[!swap], VEC_T1);
    int to = def_gpr(e, op->dst, RAX);
    unsigned prefix = op->width == 8 ? 0x66 : 0;
    X86 *x = &e->x;
    unsigned cc;

    x86_op(x, prefix, 0, MAP_0F, op->imm ? 0x2f : 0x2e, a, x86_r(b));
    switch (op->cond) {
    case IR_EQ:
        cc = CC_E;
        break;
    case IR_NE:
        cc = CC_NE;
        break;
    case IR_LT:
    case IR_GT:
        cc = CC_A;
        break;
    case IR_LE:
    case IR_GE:
        cc = CC_AE;
        break;
    default:
        cc = CC_P;
    }
    x86_op(x, 0, X86_BYTE, MAP_0F, 0x90 | cc, 0, x86_r(RAX));
    if (cc == CC_E || cc == CC_NE) {
        x86_op(x, 0, X86_BYTE, MAP_0F, 0x90 | (cc == CC_E ? CC_NP : CC_P), 0,
               x86_r(RCX));
        x86_op(x, 0, X86_BYTE, MAP_0, cc == CC_E ? 0x20 : 0x08, RCX,
               x86_r(RAX));
    }
    x86_load(x, 1, to, x86_r(RAX));
    done_gpr(e, op->dst, to);
}
