/*
 * Rearrangements of packed values, truth tables, compares to a predicate, and
 * moves between register formats: a few host instructions each.
 *
 * Source: shared facts "isa/ops.md" sections 1.6, 3, 4, 6.
 */
#include "target-e2k/translate-int.h"

static IrReg join(Trans *t, IrReg low, IrReg high)
{
    IrReg v = ir_temp_v128(t->ir);
    ir_op2(t->ir, IR_vjoin, 16, v, low, high);
    return v;
}

static IrReg low_of(Trans *t, IrReg v)
{
    return ir_new1(t->ir, IR_vlo, 8, v);
}

static IrReg high_of(Trans *t, IrReg v)
{
    return ir_new1(t->ir, IR_vhi, 8, v);
}

/* ------------------------------------------------------------------------
 * Shuffles with an immediate
 */

/* Byte shifts of the 128-bit number a:b; ops.md section 4. */
static void shift_pair(Trans *t, TransOp *o)
{
    Ir *ir = t->ir;
    unsigned n = o->op->imm8;
    bool left = o->op->insn == INSN_psllql || o->op->insn == INSN_psllqh;
    bool two = o->op->insn == INSN_psllqh || o->op->insn == INSN_psrlql;
    /* near: the operand that is the result for n 0; far: shifted into it. */
    IrReg near = o->op->insn == INSN_psllql || o->op->insn == INSN_psrlql
                     ? o->b : o->a;
    IrReg far = left ? o->b : o->a;
    IrOpcode shift = left ? IR_shl : IR_shr;

    if (n == 0) {
        ir_mov(ir, o->out, near);
    } else if (n > (two ? 15u : 7u)) {
        ir_mov(ir, o->out, trans_imm(t, 0));
    } else if (!two) {
        ir_op2(ir, shift, 8, o->out, near, trans_imm(t, 8 * n));
    } else if (n >= 8) {
        ir_op2(ir, shift, 8, o->out, far, trans_imm(t, 8 * (n - 8)));
    } else {
        IrOpcode back = left ? IR_shr : IR_shl;
        IrReg x = ir_new2(ir, shift, 8, near, trans_imm(t, 8 * n));
        IrReg y = ir_new2(ir, back, 8, far, trans_imm(t, 64 - 8 * n));
        ir_op2(ir, IR_or, 8, o->out, x, y);
    }
}

static void insert_half(Trans *t, TransOp *o)
{
    unsigned i = o->op->imm8;

    if (i < 4) {
        ir_deposit(t->ir, o->out, o->a, o->b, 16 * i, 16);
    } else {
        ir_mov(t->ir, o->out, o->a);
    }
}

static void extract_half(Trans *t, TransOp *o)
{
    unsigned i = o->op->imm8 & 7;

    ir_extract(t->ir, o->out, i < 4 ? o->b : o->a, 16 * (i & 3), 16);
}

static void permute(Trans *t, TransOp *o, IrOpcode opcode, IrReg v,
                    unsigned imm)
{
    IrReg d = o->wide ? o->out : ir_temp_v128(t->ir);

    ir_vec1(t->ir, opcode, d, v, imm);
    if (!o->wide) {
        ir_mov(t->ir, o->out, low_of(t, d));
    }
}

/* Sign bits of b and a side by side. */
static void sign_mask(Trans *t, TransOp *o, IrOpcode opcode)
{
    ir_vec1(t->ir, opcode, o->out, join(t, o->b, o->a), 0);
}

/* Bytes of b where c is negative, else of a. */
static void merge_bytes(Trans *t, TransOp *o)
{
    Ir *ir = t->ir;
    bool wide = o->wide;
    IrReg zero = wide ? ir_temp_v128(ir) : trans_imm(t, 0);
    IrReg mask = wide ? ir_temp_v128(ir) : ir_temp(ir);

    if (wide) {
        ir_op2(ir, IR_vjoin, 16, zero, trans_imm(t, 0), trans_imm(t, 0));
    }
    ir_vec2(ir, IR_vcmpgtb, mask, zero, o->c, 0);
    if (wide) {
        IrReg x = ir_temp_v128(ir), y = ir_temp_v128(ir);
        ir_vec2(ir, IR_vand, x, o->b, mask, 0);
        ir_vec2(ir, IR_vandn, y, mask, o->a, 0);
        ir_vec2(ir, IR_vor, o->out, x, y, 0);
    } else {
        IrReg x = ir_new2(ir, IR_and, 8, o->b, mask);
        IrReg y = ir_new2(ir, IR_andn, 8, o->a, mask);
        ir_op2(ir, IR_or, 8, o->out, x, y);
    }
}

/* ------------------------------------------------------------------------
 * Truth tables
 */

typedef struct Logic {
    Trans *t;
    bool wide;
    IrReg ones;
} Logic;

static IrReg logic2(Logic *l, IrOpcode narrow, IrOpcode wide, IrReg a, IrReg b)
{
    if (!l->wide) {
        return ir_new2(l->t->ir, narrow, 8, a, b);
    }
    IrReg d = ir_temp_v128(l->t->ir);
    ir_vec2(l->t->ir, wide, d, a, b, 0);
    return d;
}

static IrReg logic_ones(Logic *l)
{
    IrReg ones = trans_imm(l->t, UINT64_MAX);
    return l->wide ? join(l->t, ones, ones) : ones;
}

static IrReg logic_zero(Logic *l)
{
    IrReg zero = trans_imm(l->t, 0);
    return l->wide ? join(l->t, zero, zero) : zero;
}

static IrReg logic_not(Logic *l, IrReg a)
{
    return logic2(l, IR_xor, IR_vxor, a, logic_ones(l));
}

static IrReg logic_and(Logic *l, IrReg a, IrReg b)
{
    return logic2(l, IR_and, IR_vand, a, b);
}

/* a & ~b */
static IrReg logic_andn(Logic *l, IrReg a, IrReg b)
{
    return l->wide ? logic2(l, IR_andn, IR_vandn, b, a)
                   : logic2(l, IR_andn, IR_vandn, a, b);
}

static IrReg logic_or(Logic *l, IrReg a, IrReg b)
{
    return logic2(l, IR_or, IR_vor, a, b);
}

/* A function of two: bit (a << 1 | b) of the table. */
static IrReg logic_of_two(Logic *l, unsigned table, IrReg a, IrReg b)
{
    switch (table) {
    case 0x0: return logic_zero(l);
    case 0x1: return logic_not(l, logic_or(l, a, b));
    case 0x2: return logic_andn(l, b, a);
    case 0x3: return logic_not(l, a);
    case 0x4: return logic_andn(l, a, b);
    case 0x5: return logic_not(l, b);
    case 0x6: return logic2(l, IR_xor, IR_vxor, a, b);
    case 0x7: return logic_not(l, logic_and(l, a, b));
    case 0x8: return logic_and(l, a, b);
    case 0x9: return logic_not(l, logic2(l, IR_xor, IR_vxor, a, b));
    case 0xa: return b;
    case 0xb: return logic_not(l, logic_andn(l, a, b));
    case 0xc: return a;
    case 0xd: return logic_not(l, logic_andn(l, b, a));
    case 0xe: return logic_or(l, a, b);
    default: return logic_ones(l);
    }
}

/* a ? upper half of the table : lower half, of b and c. */
static void trans_plog(Trans *t, TransOp *o)
{
    Logic l = { .t = t, .wide = o->wide };
    unsigned high = o->op->imm8 >> 4, low = o->op->imm8 & 15;
    IrReg h = logic_of_two(&l, high, o->b, o->c);
    IrReg r = h;

    if (high == (low ^ 15)) {
        r = logic2(&l, IR_xor, IR_vxor, logic_not(&l, o->a), h);
    } else if (low != high && low == 0) {
        r = logic_and(&l, o->a, h);
    } else if (low != high) {
        IrReg n = logic_of_two(&l, low, o->b, o->c);
        r = logic_or(&l, logic_and(&l, h, o->a), logic_andn(&l, n, o->a));
    }
    ir_mov(t->ir, o->out, r);
}

/* ------------------------------------------------------------------------
 * To a predicate
 */

static const struct {
    uint16_t any, all, opcode;
} lane_compares[] = {
    { INSN_pcmpeqbop, INSN_pcmpeqbap, IR_vcmpeqb },
    { INSN_pcmpeqhop, INSN_pcmpeqhap, IR_vcmpeqh },
    { INSN_pcmpeqwop, INSN_pcmpeqwap, IR_vcmpeqw },
    { INSN_pcmpeqdop, INSN_pcmpeqdap, IR_vcmpeqd },
    { INSN_pcmpgtbop, INSN_pcmpgtbap, IR_vcmpgtb },
    { INSN_pcmpgthop, INSN_pcmpgthap, IR_vcmpgth },
    { INSN_pcmpgtwop, INSN_pcmpgtwap, IR_vcmpgtw },
    { INSN_pcmpgtdop, INSN_pcmpgtdap, IR_vcmpgtd },
    { INSN_qpcmpeqbop, INSN_qpcmpeqbap, IR_vcmpeqb },
    { INSN_qpcmpeqhop, INSN_qpcmpeqhap, IR_vcmpeqh },
    { INSN_qpcmpeqwop, INSN_qpcmpeqwap, IR_vcmpeqw },
    { INSN_qpcmpeqdop, INSN_qpcmpeqdap, IR_vcmpeqd },
    { INSN_qpcmpgtbop, INSN_qpcmpgtbap, IR_vcmpgtb },
    { INSN_qpcmpgthop, INSN_qpcmpgthap, IR_vcmpgth },
    { INSN_qpcmpgtwop, INSN_qpcmpgtwap, IR_vcmpgtw },
    { INSN_qpcmpgtdop, INSN_qpcmpgtdap, IR_vcmpgtd },
};

void trans_pcmp_pred(Trans *t, TransOp *o)
{
    Ir *ir = t->ir;
    bool wide = o->row->src1 == WIDTH_P;
    IrReg lanes = wide ? ir_temp_v128(ir) : ir_temp(ir);
    IrReg mask = ir_temp(ir);

    for (unsigned i = 0; i < G_N_ELEMENTS(lane_compares); i++) {
        bool any = lane_compares[i].any == o->op->insn;
        if (!any && lane_compares[i].all != o->op->insn) {
            continue;
        }
        ir_vec2(ir, lane_compares[i].opcode, lanes, o->a, o->b, 0);
        if (wide) {
            ir_vec1(ir, IR_vmaskb, mask, lanes, 0);
        } else {
            ir_mov(ir, mask, lanes);
        }
        uint64_t full = wide ? 0xffff : UINT64_MAX;
        ir_setcond(ir, any ? IR_NE : IR_EQ, 8, o->out, mask,
                   trans_imm(t, any ? 0 : full));
        return;
    }
    g_assert_not_reached();
}

enum { CF = 1 << 0, PF = 1 << 2, ZF = 1 << 6, SF = 1 << 7, OF = 1 << 11 };

/* Conditions of a flags word; ops.md 1.6. */
void trans_cctop(Trans *t, TransOp *o)
{
    static const uint16_t masks[6] = { OF, CF, ZF, CF | ZF, SF, PF };
    unsigned code = o->row->als_value >> 5 & 7;
    Ir *ir = t->ir;

    if (code < 6) {
        ir_setcond(ir, IR_TSTNE, 8, o->out, o->b, trans_imm(t, masks[code]));
        return;
    }
    IrReg s = ir_temp(ir), v = ir_temp(ir);
    ir_extract(ir, s, o->b, 7, 1);
    ir_extract(ir, v, o->b, 11, 1);
    IrReg less = ir_new2(ir, IR_xor, 8, s, v);
    if (code == 7) {
        IrReg z = ir_temp(ir);
        ir_extract(ir, z, o->b, 6, 1);
        less = ir_new2(ir, IR_or, 8, less, z);
    }
    ir_mov(ir, o->out, less);
}

/* The relation of two floats as an image of EFLAGS. */
void trans_fcmp_flags(Trans *t, TransOp *o)
{
    if (trans_is_x87(o->row)) {
        trans_x87(t, o);
        return;
    }
    static const struct {
        uint8_t cond, image;
    } parts[] = { { IR_LT, 0x01 }, { IR_EQ, 0x40 }, { IR_UN, 0x45 } };
    bool signals = o->op->insn == INSN_fcmpodsf ||
                   o->op->insn == INSN_fcmpoddf;
    unsigned width = o->row->src1 == WIDTH_S ? 4 : 8;
    IrReg sum = trans_imm(t, 0);

    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        IrReg is = ir_temp(t->ir), all = ir_temp(t->ir);
        ir_fsetcond(t->ir, parts[i].cond, width, is, o->a, o->b, signals);
        ir_op1(t->ir, IR_neg, 8, all, is);
        all = ir_new2i(t->ir, IR_and, 8, all, parts[i].image);
        sum = ir_new2(t->ir, IR_or, 8, sum, all);
    }
    ir_mov(t->ir, o->out, sum);
}

/* ------------------------------------------------------------------------
 * Between formats
 */

/* An 80-bit register with other upper bits: (high & and) ^ xor. */
static void format_x(Trans *t, TransOp *o, unsigned and, unsigned xor)
{
    IrReg high = ir_new2i(t->ir, IR_and, 8, high_of(t, o->b), and);

    if (xor) {
        high = ir_new2i(t->ir, IR_xor, 8, high, xor);
    }
    ir_op2(t->ir, IR_vjoin, 16, o->out, low_of(t, o->b), high);
}

static uint64_t fill_byte(InsnId insn)
{
    unsigned byte = insn == INSN_qpcext_0x7f   ? 0x7f
                    : insn == INSN_qpcext_0x80 ? 0x80
                    : insn == INSN_qpcext_0xff ? 0xff : 0;
    return byte * UINT64_C(0x0101010101010101);
}

bool trans_lanes_supported(InsnId insn)
{
    switch (insn) {
    case INSN_psllql: case INSN_psllqh: case INSN_psrlql: case INSN_psrlqh:
    case INSN_pinsh: case INSN_pextrh: case INSN_pshufh: case INSN_pshufw:
    case INSN_pmovmskb: case INSN_pmovmskps: case INSN_pmovmskpd:
    case INSN_qpsgn2mskb: case INSN_qppackdl: case INSN_qpswitchd:
    case INSN_qpswitchw: case INSN_pmerge: case INSN_qpmerge:
    case INSN_qpcext_0x00: case INSN_qpcext_0x7f: case INSN_qpcext_0x80:
    case INSN_qpcext_0xff: case INSN_movif: case INSN_movfi: case INSN_movx:
    case INSN_movxa: case INSN_movxc: case INSN_getpl:
        return true;
    default:
        return insn_sem(insn) == SEM_plog;
    }
}

void trans_lanes(Trans *t, TransOp *o)
{
    Ir *ir = t->ir;
    IrReg v;

    switch (o->op->insn) {
    case INSN_psllql: case INSN_psllqh: case INSN_psrlql: case INSN_psrlqh:
        shift_pair(t, o);
        break;
    case INSN_pinsh: insert_half(t, o); break;
    case INSN_pextrh: extract_half(t, o); break;
    case INSN_pshufh:
        permute(t, o, IR_vpermlh, join(t, o->b, o->b), o->op->imm8);
        break;
    case INSN_pshufw:
        permute(t, o, IR_vpermw, join(t, o->b, o->a), o->op->imm8);
        break;
    case INSN_pmovmskb: sign_mask(t, o, IR_vmaskb); break;
    case INSN_pmovmskps: sign_mask(t, o, IR_vmaskw); break;
    case INSN_pmovmskpd: sign_mask(t, o, IR_vmaskd); break;
    case INSN_qpsgn2mskb: ir_vec1(ir, IR_vmaskb, o->out, o->b, 0); break;
    case INSN_qppackdl:
        ir_op2(ir, IR_vjoin, 16, o->out, o->b, o->a);
        break;
    case INSN_qpswitchd: permute(t, o, IR_vpermw, o->b, 0x4e); break;
    case INSN_qpswitchw: permute(t, o, IR_vpermw, o->b, 0xb1); break;
    case INSN_pmerge: case INSN_qpmerge: merge_bytes(t, o); break;
    case INSN_qpcext_0x00: case INSN_qpcext_0x7f: case INSN_qpcext_0x80:
    case INSN_qpcext_0xff:
        ir_op2(ir, IR_vjoin, 16, o->out, o->b,
               trans_imm(t, fill_byte(o->op->insn)));
        break;
    case INSN_movif:
        v = ir_new2i(ir, IR_and, 8, o->b, 0xffff);
        ir_op2(ir, IR_vjoin, 16, o->out, o->a, v);
        break;
    case INSN_movfi:
        ir_extract(ir, o->out, high_of(t, o->b), 0, 16);
        break;
    case INSN_movx: format_x(t, o, 0xffff, 0); break;
    case INSN_movxa: format_x(t, o, 0x7fff, 0); break;
    case INSN_movxc: format_x(t, o, 0xffff, 0x8000); break;
    case INSN_getpl: ir_extract(ir, o->out, o->b, 0, 32); break;
    default: trans_plog(t, o); break;
    }
}
