/*
 * Integer operations: arithmetic, shifts, fields, bit counts, comparisons.
 *
 * Results are built in their own register when they have one; else in RAX.
 */
#include "tcg/x86-emit.h"

#include <limits.h>

/* --- arithmetic ---------------------------------------------------------- */

/* Memory of 1, 2, 4 or 8 bytes OP= immediate */
static void alu_memory(Emit *e, unsigned width, unsigned alu, X86Rm rm,
                       int32_t imm)
{
    if (width == 1) {
        x86_op(&e->x, 0, 0, MAP_0, 0x80, alu, rm);
        x86_b(&e->x, imm);
    } else if (width == 2) {
        x86_op(&e->x, 0x66, 0, MAP_0, 0x81, alu, rm);
        x86_b(&e->x, imm);
        x86_b(&e->x, imm >> 8);
    } else {
        x86_alu_imm(&e->x, width == 8, alu, rm, imm);
    }
}

static void emit_alu(Emit *e, const IrOp *op, unsigned alu, bool commutes)
{
    bool w = op->width == 8;
    IrReg a = op->src[0];
    IrReg b = op->src[1];
    int to = def_gpr(e, op->dst, RAX);
    int32_t imm;

    if (commutes && (e->info[a].loc == LOC_CONST ||
                     (reg_of(e, b) == to && reg_of(e, a) != to))) {
        a = op->src[1];
        b = op->src[0];
    }
    if (imm32(e, b, w, &imm)) {
        if (op->dst == a && in_place(e, a, op->width)) {
            alu_memory(e, op->width, alu, memory_rm(e, a), imm);
            return;
        }
        int from = reg_of(e, a);

        if (from >= 0 && from != to && (alu == ALU_ADD || alu == ALU_SUB) &&
            imm != INT32_MIN) {
            x86_lea(&e->x, w, to,
                    x86_mem(from, alu == ALU_ADD ? imm : -imm));
        } else {
            use_in(e, a, to, w);
            x86_alu_imm(&e->x, w, alu, x86_r(to), imm);
        }
        done_gpr(e, op->dst, to);
        return;
    }
    int ra = reg_of(e, a);
    int rb = reg_of(e, b);

    if (alu == ALU_ADD && ra >= 0 && rb >= 0 && ra != to && rb != to) {
        x86_lea(&e->x, w, to, x86_mem_index(ra, rb, 0, 0));
        done_gpr(e, op->dst, to);
        return;
    }
    if (op->dst == a && rb >= 0 && in_place(e, a, op->width)) {
        x86_alu_to(&e->x, w, alu, memory_rm(e, a), rb);
        return;
    }
    if (rb == to && ra != to) {
        to = RAX;
    }
    X86Rm rm = use_rm(e, b, op->width, RCX);

    use_in(e, a, to, w);
    x86_alu(&e->x, w, alu, to, rm);
    done_gpr(e, op->dst, to);
}

/* a & ~b, a | ~b, a ^ ~b */
static void emit_alu_not(Emit *e, const IrOp *op, unsigned alu)
{
    bool w = op->width == 8;
    int to = def_gpr(e, op->dst, RAX);

    if (alu == ALU_AND && x86_features.bmi1 && opt_on(OPT_BMI)) {
        int b = use_gpr(e, op->src[1], RCX);

        x86_vex(&e->x, 0, w, false, MAP_0F38, 0xf2, to, b,
                use_rm(e, op->src[0], op->width, RDX));
        done_gpr(e, op->dst, to);
        return;
    }
    use_in(e, op->src[1], RCX, w);
    x86_op(&e->x, 0, w, MAP_0, 0xf7, 2, x86_r(RCX));
    use_in(e, op->src[0], to, w);
    x86_alu(&e->x, w, alu, to, x86_r(RCX));
    done_gpr(e, op->dst, to);
}

static void emit_unary(Emit *e, const IrOp *op, unsigned extension)
{
    bool w = op->width == 8;
    int to = def_gpr(e, op->dst, RAX);

    use_in(e, op->src[0], to, w);
    x86_op(&e->x, 0, w, MAP_0, 0xf7, extension, x86_r(to));
    done_gpr(e, op->dst, to);
}

void emit_mul(Emit *e, const IrOp *op)
{
    bool w = op->width == 8;
    IrReg a = op->src[0];
    IrReg b = op->src[1];
    int to = def_gpr(e, op->dst, RAX);
    int32_t imm;

    if (e->info[a].loc == LOC_CONST || reg_of(e, b) == to) {
        a = op->src[1];
        b = op->src[0];
    }
    if (imm32(e, b, w, &imm)) {
        X86Rm rm = use_rm(e, a, op->width, RCX);
        bool byte = imm == (int8_t)imm;

        x86_op(&e->x, 0, w, MAP_0, byte ? 0x6b : 0x69, to, rm);
        if (byte) {
            x86_b(&e->x, imm);
        } else {
            x86_d(&e->x, imm);
        }
    } else {
        X86Rm rm = use_rm(e, b, op->width, RCX);

        use_in(e, a, to, w);
        x86_op(&e->x, 0, w, MAP_0F, 0xaf, to, rm);
    }
    done_gpr(e, op->dst, to);
}

/* RDX:RAX = RAX * b, or RAX, RDX = RDX:RAX / b */
static void emit_muldiv(Emit *e, const IrOp *op, unsigned extension,
                        bool high)
{
    bool w = op->width == 8;
    X86Rm rm = use_rm(e, op->src[1], op->width, RCX);

    use_in(e, op->src[0], RAX, w);
    if (extension == 6) {
        x86_alu(&e->x, false, ALU_XOR, RDX, x86_r(RDX));
    } else if (extension == 7) {
        if (w) {
            x86_b(&e->x, 0x48);
        }
        x86_b(&e->x, 0x99);
    }
    x86_op(&e->x, 0, w, MAP_0, 0xf7, extension, rm);
    done_gpr(e, op->dst, high ? RDX : RAX);
}

static void emit_shift(Emit *e, const IrOp *op, unsigned kind)
{
    bool w = op->width == 8;
    int to = def_gpr(e, op->dst, RAX);
    uint64_t count;
    bool bmi2 = x86_features.bmi2 && opt_on(OPT_BMI);

    if (ir_is_const(e->ir, op->src[1], &count)) {
        int from = reg_of(e, op->src[0]);

        count &= w ? 63 : 31;
        if (kind == SH_ROR && bmi2 && from >= 0 && from != to) {
            x86_vex(&e->x, 0xf2, w, false, MAP_0F3A, 0xf0, to, 0,
                    x86_r(from));
            x86_b(&e->x, count);
        } else if (kind == SH_SHL && count <= 3 && from >= 0 && from != to &&
                   w) {
            X86Rm rm = count == 1 ? x86_mem_index(from, from, 0, 0)
                       : x86_mem_index(X86_NO_REG, from, count, 0);

            x86_lea(&e->x, true, to, rm);
        } else {
            use_in(e, op->src[0], to, w);
            x86_shift_imm(&e->x, w, kind, to, count);
        }
        done_gpr(e, op->dst, to);
        return;
    }
    if (bmi2 && kind >= SH_SHL) {
        int by = use_gpr(e, op->src[1], RCX);
        unsigned prefix = kind == SH_SHL ? 0x66 : kind == SH_SAR ? 0xf3 : 0xf2;

        x86_vex(&e->x, prefix, w, false, MAP_0F38, 0xf7, to, by,
                use_rm(e, op->src[0], op->width, RDX));
        done_gpr(e, op->dst, to);
        return;
    }
    use_in(e, op->src[1], RCX, false);
    use_in(e, op->src[0], to, w);
    x86_op(&e->x, 0, w, MAP_0, 0xd3, kind, x86_r(to));
    done_gpr(e, op->dst, to);
}

static void emit_double_shift(Emit *e, const IrOp *op, unsigned opcode)
{
    bool w = op->width == 8;
    int fill = use_gpr(e, op->src[1], RDX);
    int to = def_gpr(e, op->dst, RAX);
    uint64_t count;

    if (to == fill) {
        to = RAX;
    }
    if (ir_is_const(e->ir, op->src[2], &count)) {
        use_in(e, op->src[0], to, w);
        x86_op(&e->x, 0, w, MAP_0F, opcode, fill, x86_r(to));
        x86_b(&e->x, count & (w ? 63 : 31));
    } else {
        use_in(e, op->src[2], RCX, false);
        if (reg_of(e, op->src[2]) == to) {
            to = RAX;
        }
        use_in(e, op->src[0], to, w);
        x86_op(&e->x, 0, w, MAP_0F, opcode + 1, fill, x86_r(to));
    }
    done_gpr(e, op->dst, to);
}

/* --- fields --------------------------------------------------------------- */

void emit_extract(Emit *e, const IrOp *op)
{
    unsigned pos = op->imm & 0xff;
    unsigned len = op->imm >> 8;
    int to = def_gpr(e, op->dst, RAX);
    X86 *x = &e->x;

    if (pos == 0 && (len == 8 || len == 16 || len == 32)) {
        x86_load(x, len / 8, to, use_rm(e, op->src[0], len / 8, RCX));
        done_gpr(e, op->dst, to);
        return;
    }
    use_in(e, op->src[0], to, pos + len > 32);
    if (pos) {
        x86_shift_imm(x, pos + len > 32, SH_SHR, to, pos);
    }
    if (pos + len == 64) {
        /* The shift has cleared the rest. */
    } else if (len == 8 || len == 16) {
        x86_load(x, len / 8, to, x86_r(to));
    } else if (len == 32) {
        x86_mov(x, false, to, to);
    } else if (len < 32) {
        x86_alu_imm(x, false, ALU_AND, x86_r(to), (1u << len) - 1);
    } else {
        x86_shift_imm(x, true, SH_SHL, to, 64 - len);
        x86_shift_imm(x, true, SH_SHR, to, 64 - len);
    }
    done_gpr(e, op->dst, to);
}

void emit_sextract(Emit *e, const IrOp *op)
{
    unsigned pos = op->imm & 0xff;
    unsigned len = op->imm >> 8;
    int to = def_gpr(e, op->dst, RAX);
    X86 *x = &e->x;

    if (pos == 0 && len == 32) {
        x86_op(x, 0, X86_W, MAP_0, 0x63, to,
               use_rm(e, op->src[0], 4, RCX));
    } else if (pos == 0 && (len == 8 || len == 16)) {
        X86Rm rm = use_rm(e, op->src[0], len / 8, RCX);

        x86_op(x, 0, X86_W, MAP_0F, len == 8 ? 0xbe : 0xbf, to, rm);
    } else {
        use_in(e, op->src[0], to, true);
        if (pos + len < 64) {
            x86_shift_imm(x, true, SH_SHL, to, 64 - pos - len);
        }
        if (len < 64) {
            x86_shift_imm(x, true, SH_SAR, to, 64 - len);
        }
    }
    done_gpr(e, op->dst, to);
}

static void and_constant(Emit *e, int reg, uint64_t mask)
{
    if ((int64_t)mask == (int32_t)mask) {
        x86_alu_imm(&e->x, true, ALU_AND, x86_r(reg), mask);
    } else if (mask <= UINT32_MAX) {
        x86_alu_imm(&e->x, false, ALU_AND, x86_r(reg), (int32_t)mask);
    } else {
        x86_mov_imm(&e->x, RDX, mask);
        x86_alu(&e->x, true, ALU_AND, reg, x86_r(RDX));
    }
}

void emit_deposit(Emit *e, const IrOp *op)
{
    unsigned pos = op->imm & 0xff;
    unsigned len = op->imm >> 8;
    uint64_t ones = ~UINT64_C(0) >> (64 - len);
    int to = def_gpr(e, op->dst, RAX);
    uint64_t field;
    X86 *x = &e->x;

    if (reg_of(e, op->src[1]) == to) {
        to = RAX;
    }
    if (ir_is_const(e->ir, op->src[1], &field)) {
        x86_mov_imm(x, RCX, (field & ones) << pos);
    } else if (pos == 0 && len == 32) {
        use_in(e, op->src[1], RCX, false);
        x86_mov(x, false, RCX, RCX);
    } else if (pos + len == 64) {
        use_in(e, op->src[1], RCX, true);
        x86_shift_imm(x, true, SH_SHL, RCX, pos);
    } else {
        use_in(e, op->src[1], RCX, true);
        and_constant(e, RCX, ones);
        if (pos) {
            x86_shift_imm(x, true, SH_SHL, RCX, pos);
        }
    }
    use_in(e, op->src[0], to, true);
    if (pos == 0 && len == 32) {
        x86_shift_imm(x, true, SH_SHR, to, 32);
        x86_shift_imm(x, true, SH_SHL, to, 32);
    } else if (pos == 32 && len == 32) {
        x86_mov(x, false, to, to);
    } else {
        and_constant(e, to, ~(ones << pos));
    }
    x86_alu(x, true, ALU_OR, to, x86_r(RCX));
    done_gpr(e, op->dst, to);
}

/* --- bit counts ----------------------------------------------------------- */

static void emit_count(Emit *e, const IrOp *op)
{
    bool w = op->width == 8;
    X86Rm rm = use_rm(e, op->src[0], op->width, RCX);
    int to = def_gpr(e, op->dst, RAX);
    bool clz = op->opcode == IR_clz;
    X86 *x = &e->x;

    if (op->opcode == IR_popcnt) {
        x86_op(x, 0xf3, w, MAP_0F, 0xb8, to, rm);
    } else if (clz ? x86_features.lzcnt : x86_features.bmi1) {
        x86_op(x, 0xf3, w, MAP_0F, clz ? 0xbd : 0xbc, to, rm);
    } else {
        unsigned bits = w ? 64 : 32;

        x86_op(x, 0, w, MAP_0F, clz ? 0xbd : 0xbc, RAX, rm);
        x86_mov_imm(x, RCX, clz ? 2 * bits - 1 : bits);
        x86_op(x, 0, w, MAP_0F, 0x40 | CC_E, RAX, x86_r(RCX));
        if (clz) {
            x86_alu_imm(x, w, ALU_XOR, x86_r(RAX), bits - 1);
        }
        to = RAX;
    }
    done_gpr(e, op->dst, to);
}

void emit_bswap(Emit *e, const IrOp *op)
{
    int to = def_gpr(e, op->dst, RAX);
    bool w = op->width == 8;

    use_in(e, op->src[0], to, w);
    if (w || (to & 8)) {
        x86_b(&e->x, 0x40 | w << 3 | (to & 8) >> 3);
    }
    x86_b(&e->x, 0x0f);
    x86_b(&e->x, 0xc8 | (to & 7));
    if (op->width == 2) {
        x86_shift_imm(&e->x, false, SH_SHR, to, 16);
    }
    done_gpr(e, op->dst, to);
}

/* --- comparison ------------------------------------------------------------ */

static const uint8_t cond_cc[IR_CONDS] = {
    [IR_EQ] = CC_E, [IR_NE] = CC_NE, [IR_LT] = CC_L, [IR_GE] = CC_GE,
    [IR_LE] = CC_LE, [IR_GT] = CC_G, [IR_LTU] = CC_B, [IR_GEU] = CC_AE,
    [IR_LEU] = CC_BE, [IR_GTU] = CC_A, [IR_TSTEQ] = CC_E, [IR_TSTNE] = CC_NE,
    [IR_O] = CC_O, [IR_NO] = CC_NO, [IR_S] = CC_S, [IR_NS] = CC_NS,
};

/* The condition with operands exchanged; -1 for those without one. */
static const int8_t cond_swap[IR_CONDS] = {
    [IR_EQ] = IR_EQ, [IR_NE] = IR_NE, [IR_LT] = IR_GT, [IR_GE] = IR_LE,
    [IR_LE] = IR_GE, [IR_GT] = IR_LT, [IR_LTU] = IR_GTU, [IR_GEU] = IR_LEU,
    [IR_LEU] = IR_GEU, [IR_GTU] = IR_LTU, [IR_TSTEQ] = IR_TSTEQ,
    [IR_TSTNE] = IR_TSTNE, [IR_O] = -1, [IR_NO] = -1, [IR_S] = -1,
    [IR_NS] = -1,
};

static bool imm_compare(Emit *e, bool w, unsigned cond, X86Rm rm, int32_t imm)
{
    X86 *x = &e->x;

    if (cond == IR_TSTEQ || cond == IR_TSTNE) {
        if (rm.reg != X86_NO_REG && imm >= 0 && imm < 128) {
            x86_op(x, 0, X86_BYTE, MAP_0, 0xf6, 0, rm);
            x86_b(x, imm);
        } else {
            x86_op(x, 0, imm >= 0 && rm.reg != X86_NO_REG ? 0 : w, MAP_0,
                   0xf7, 0, rm);
            x86_d(x, imm);
        }
    } else if (imm == 0 && rm.reg != X86_NO_REG) {
        x86_op(x, 0, w, MAP_0, 0x85, rm.reg, rm);
    } else {
        x86_alu_imm(x, w, ALU_CMP, rm, imm);
    }
    return true;
}

/* Bits of one byte of memory are tested there: a wide load may have to wait
 * for a narrow store before it to reach the cache. */
static bool byte_test(Emit *e, const IrOp *op, unsigned cond, IrReg a, IrReg b)
{
    const IrVreg *vreg = &e->ir->vregs[a];
    uint64_t mask;
    unsigned at = 0;

    if (e->info[a].loc != LOC_HOME || vreg->bit_len ||
        (cond != IR_TSTEQ && cond != IR_TSTNE) ||
        !ir_is_const(e->ir, b, &mask) || !mask) {
        return false;
    }
    mask &= op->width == 8 ? ~UINT64_C(0) : UINT32_MAX;
    while (mask && !(mask & 0xff)) {
        mask >>= 8;
        at++;
    }
    if (!mask || mask > 0xff || at >= vreg->home_size) {
        return false;
    }
    X86Rm rm = memory_rm(e, a);

    rm.disp += at;
    x86_op(&e->x, 0, 0, MAP_0, 0xf6, 0, rm);
    x86_b(&e->x, mask);
    return true;
}

/* A zero-extended piece of memory with a constant of its width. */
static bool narrow_compare(Emit *e, const IrOp *op, unsigned cond, IrReg a,
                           IrReg b)
{
    const IrVreg *vreg = &e->ir->vregs[a];
    uint64_t value;

    if (e->info[a].loc != LOC_HOME || vreg->bit_len ||
        vreg->home_size >= op->width ||
        !ir_is_const(e->ir, b, &value) ||
        value >> (8 * vreg->home_size) ||
        !(cond <= IR_NE || (cond >= IR_LTU && cond <= IR_TSTNE))) {
        return false;
    }
    bool test = cond >= IR_TSTEQ;
    X86Rm rm = memory_rm(e, a);

    switch (vreg->home_size) {
    case 1:
        x86_op(&e->x, 0, 0, MAP_0, test ? 0xf6 : 0x80, test ? 0 : ALU_CMP,
               rm);
        x86_b(&e->x, value);
        return true;
    case 4:
        if (test) {
            x86_op(&e->x, 0, 0, MAP_0, 0xf7, 0, rm);
            x86_d(&e->x, value);
        } else {
            x86_alu_imm(&e->x, false, ALU_CMP, rm, value);
        }
        return true;
    default:
        return false;
    }
}

unsigned emit_compare(Emit *e, const IrOp *op)
{
    bool w = op->width == 8;
    IrReg a = op->src[0];
    IrReg b = op->src[1];
    unsigned cond = op->cond;
    int32_t imm;

    if (e->info[a].loc == LOC_CONST && e->info[b].loc != LOC_CONST &&
        cond_swap[cond] >= 0) {
        cond = cond_swap[cond];
        a = op->src[1];
        b = op->src[0];
    }
    if (byte_test(e, op, cond, a, b) || narrow_compare(e, op, cond, a, b)) {
        return cond_cc[cond];
    }
    if (imm32(e, b, w, &imm)) {
        imm_compare(e, w, cond, use_rm(e, a, op->width, RAX), imm);
        return cond_cc[cond];
    }
    X86Rm rm = use_rm(e, b, op->width, RCX);
    int ra = use_gpr(e, a, RAX);

    if (cond == IR_TSTEQ || cond == IR_TSTNE) {
        x86_op(&e->x, 0, w, MAP_0, 0x85, ra, rm);
    } else {
        x86_alu(&e->x, w, ALU_CMP, ra, rm);
    }
    return cond_cc[cond];
}

void emit_setcond(Emit *e, const IrOp *op)
{
    int to = def_gpr(e, op->dst, RDX);
    bool clear_first = reg_of(e, op->src[0]) != to &&
                       reg_of(e, op->src[1]) != to;

    if (clear_first) {
        x86_alu(&e->x, false, ALU_XOR, to, x86_r(to));
    }
    unsigned cc = emit_compare(e, op);

    x86_op(&e->x, 0, X86_BYTE, MAP_0F, 0x90 | cc, 0, x86_r(to));
    if (!clear_first) {
        x86_load(&e->x, 1, to, x86_r(to));
    }
    done_gpr(e, op->dst, to);
    /* The flags are still there for a branch on the same comparison. */
    e->flags_op = reg_of(e, op->dst) == to && !e->ir->vregs[op->dst].through
                      ? e->op : UINT_MAX;
    e->flags_cc = cc;
}

/* Does the branch compare what the operation before it has compared? */
bool same_compare(Emit *e, const IrOp *op, unsigned *cc)
{
    const IrOp *set = &e->ir->ops[e->flags_op];

    if (e->flags_op == UINT_MAX) {
        return false;
    }
    for (unsigned i = e->flags_op + 1; i < e->op; i++) {
        if (e->ir->ops[i].opcode != IR_nop) {
            return false;
        }
    }
    if (set->width != op->width || set->src[0] != op->src[0] ||
        set->src[1] != op->src[1] || (set->cond ^ op->cond) > 1 ||
        (set->cond & ~1) != (op->cond & ~1) || set->dst == op->src[0] ||
        set->dst == op->src[1]) {
        return false;
    }
    *cc = e->flags_cc ^ (set->cond != op->cond);
    return true;
}

/* An operand of select as something that can be read after the compare. */
static X86Rm select_operand(Emit *e, IrReg reg, unsigned slot)
{
    int host;

    if (in_gpr(e, reg, &host)) {
        return x86_r(host);
    }
    if (e->info[reg].loc == LOC_SPILL ||
        (e->info[reg].loc == LOC_HOME && !e->ir->vregs[reg].bit_len &&
         e->ir->vregs[reg].home_size == 8)) {
        return memory_rm(e, reg);
    }
    X86Rm rm = tcg_field(offsetof(TcgCpu, save_gpr) + 8 * slot);

    use_in(e, reg, RAX, true);
    x86_store(&e->x, 8, rm, RAX);
    return rm;
}

static void emit_select_vector(Emit *e, const IrOp *op)
{
    int if_true = use_vec(e, op->src[2], VEC_T0);
    int if_false = use_vec(e, op->src[3], VEC_T1);
    unsigned cc = emit_compare(e, op);
    uint8_t *skip;

    x86_op(&e->x, 0, 0, MAP_0F, 0x28, VEC_T2, x86_r(if_true));
    skip = x86_jcc8(&e->x, cc);
    x86_op(&e->x, 0, 0, MAP_0F, 0x28, VEC_T2, x86_r(if_false));
    x86_here8(&e->x, skip);
    done_vec(e, op->dst, VEC_T2);
}

void emit_select(Emit *e, const IrOp *op)
{
    if (e->ir->vregs[op->dst].type == IR_V128) {
        emit_select_vector(e, op);
        return;
    }
    int to = def_gpr(e, op->dst, RAX);
    bool const_true = e->info[op->src[2]].loc == LOC_CONST;
    bool const_false = e->info[op->src[3]].loc == LOC_CONST;
    X86Rm if_true = {.reg = RDX};
    X86Rm if_false = {.reg = RAX};

    if (!const_true) {
        if_true = select_operand(e, op->src[2], 0);
    }
    if (!const_false) {
        if_false = select_operand(e, op->src[3], 1);
    }
    unsigned cc = emit_compare(e, op);

    if (const_true) {
        x86_mov_imm(&e->x, RDX, e->ir->vregs[op->src[2]].value);
    }
    if (if_true.reg == to && !(if_false.reg == to && !const_false)) {
        /* The result's register holds the true value already. */
        if (const_false) {
            if_false.reg = RCX;
            x86_mov_imm(&e->x, RCX, e->ir->vregs[op->src[3]].value);
        }
        x86_op(&e->x, 0, X86_W, MAP_0F, 0x40 | (cc ^ 1), to, if_false);
    } else {
        if (const_false) {
            x86_mov_imm(&e->x, to, e->ir->vregs[op->src[3]].value);
        } else if (if_false.reg != to) {
            x86_load(&e->x, 8, to, if_false);
        }
        x86_op(&e->x, 0, X86_W, MAP_0F, 0x40 | cc, to, if_true);
    }
    done_gpr(e, op->dst, to);
}

/* --- one function per operation --------------------------------------------- */

#define EMIT_FN(name, call) \
    void emit_##name(Emit *e, const IrOp *op) \
    { \
        call; \
    }
EMIT_FN(add, emit_alu(e, op, ALU_ADD, true))
EMIT_FN(sub, emit_alu(e, op, ALU_SUB, false))
EMIT_FN(and, emit_alu(e, op, ALU_AND, true))
EMIT_FN(or, emit_alu(e, op, ALU_OR, true))
EMIT_FN(xor, emit_alu(e, op, ALU_XOR, true))
EMIT_FN(andn, emit_alu_not(e, op, ALU_AND))
EMIT_FN(orn, emit_alu_not(e, op, ALU_OR))
EMIT_FN(xorn, emit_alu_not(e, op, ALU_XOR))
EMIT_FN(not, emit_unary(e, op, 2))
EMIT_FN(neg, emit_unary(e, op, 3))
EMIT_FN(mulhu, emit_muldiv(e, op, 4, true))
EMIT_FN(mulhs, emit_muldiv(e, op, 5, true))
EMIT_FN(divu, emit_muldiv(e, op, 6, false))
EMIT_FN(remu, emit_muldiv(e, op, 6, true))
EMIT_FN(divs, emit_muldiv(e, op, 7, false))
EMIT_FN(rems, emit_muldiv(e, op, 7, true))
EMIT_FN(shl, emit_shift(e, op, SH_SHL))
EMIT_FN(shr, emit_shift(e, op, SH_SHR))
EMIT_FN(sar, emit_shift(e, op, SH_SAR))
EMIT_FN(rol, emit_shift(e, op, SH_ROL))
EMIT_FN(ror, emit_shift(e, op, SH_ROR))
EMIT_FN(shld, emit_double_shift(e, op, 0xa4))
EMIT_FN(shrd, emit_double_shift(e, op, 0xac))
EMIT_FN(clz, emit_count(e, op))
EMIT_FN(ctz, emit_count(e, op))
EMIT_FN(popcnt, emit_count(e, op))
#undef EMIT_FN
