/*
 * Packed integer, scalar and packed floating point: operations that are one
 * or a few host vector instructions.
 *
 * A 64-bit operand is an I64 vreg, that is the low half of a vector whose
 * upper half is zero; a 128-bit operand is a V128 vreg.  Most operations are
 * a row of vec_ops[].  Floating point runs under the guest's rounding mode
 * and accumulates flags in MXCSR; code that needs traps on them is not
 * compiled at all (Geometry.fp_plain).
 *
 * Source: shared facts "isa/ops.md" sections 2, 4, 5, 6.
 */
#include "target-e2k/translate-int.h"

/* How a row uses its operands. */
typedef enum VecShape {
    V_NONE,
    V_AB,    /* op(s1, s2) */
    V_BA,    /* op(s2, s1) */
    V_B,     /* op(s2) */
    V_A,     /* op(s1) */
    V_JOIN,  /* 64-bit: op(s1:s2 as one vector, twice); 128-bit: op(s1, s2) */
    V_JOINR, /* the same, s2 low and s1 high; 128-bit: op(s2, s1) */
    V_HIGH,  /* high half of op(s2, s1) */
    V_SHIFT, /* op(s1, count in s2) */
    V_MASK,  /* imm: x86 compare predicate; op(s1, s2) */
} VecShape;

typedef struct VecOp {
    uint16_t opcode; /* IrOpcode */
    uint8_t shape;
    uint8_t imm;
    bool single;     /* result is the low 32 bits */
} VecOp;

#define BOTH(name, op, shape) \
    [INSN_p##name] = { IR_##op, shape }, [INSN_qp##name] = { IR_##op, shape }
#define FP4(name, op) \
    [INSN_f##name##s] = { IR_f##op##s, V_AB, 0, true }, \
    [INSN_f##name##d] = { IR_f##op##d, V_AB }, \
    [INSN_pf##name##s] = { IR_f##op##ps, V_AB }, \
    [INSN_pf##name##d] = { IR_f##op##d, V_AB }, \
    [INSN_qpf##name##s] = { IR_f##op##ps, V_AB }, \
    [INSN_qpf##name##d] = { IR_f##op##pd, V_AB }
#define FCMP(name, pred) \
    [INSN_fcmp##name##s] = { IR_fcmps, V_MASK, pred, true }, \
    [INSN_fcmp##name##d] = { IR_fcmpd, V_MASK, pred }, \
    [INSN_pfcmp##name##s] = { IR_fcmpps, V_MASK, pred }, \
    [INSN_pfcmp##name##d] = { IR_fcmpd, V_MASK, pred }, \
    [INSN_qpfcmp##name##s] = { IR_fcmpps, V_MASK, pred }, \
    [INSN_qpfcmp##name##d] = { IR_fcmppd, V_MASK, pred }

static const VecOp vec_ops[INSN_COUNT] = {
    BOTH(addb, vaddb, V_AB),
    BOTH(addh, vaddh, V_AB),
    BOTH(addw, vaddw, V_AB),
    BOTH(addd, vaddd, V_AB),
    BOTH(addsb, vaddsb, V_AB),
    BOTH(addsh, vaddsh, V_AB),
    BOTH(addusb, vaddusb, V_AB),
    BOTH(addush, vaddush, V_AB),
    BOTH(subb, vsubb, V_AB),
    BOTH(subh, vsubh, V_AB),
    BOTH(subw, vsubw, V_AB),
    BOTH(subd, vsubd, V_AB),
    BOTH(subsb, vsubsb, V_AB),
    BOTH(subsh, vsubsh, V_AB),
    BOTH(subusb, vsubusb, V_AB),
    BOTH(subush, vsubush, V_AB),
    BOTH(cmpeqb, vcmpeqb, V_AB),
    BOTH(cmpeqh, vcmpeqh, V_AB),
    BOTH(cmpeqw, vcmpeqw, V_AB),
    BOTH(cmpeqd, vcmpeqd, V_AB),
    BOTH(cmpgtb, vcmpgtb, V_AB),
    BOTH(cmpgth, vcmpgth, V_AB),
    BOTH(cmpgtw, vcmpgtw, V_AB),
    BOTH(cmpgtd, vcmpgtd, V_AB),
    BOTH(minub, vminub, V_AB),
    BOTH(minsb, vminsb, V_AB),
    BOTH(minuh, vminuh, V_AB),
    BOTH(minsh, vminsh, V_AB),
    BOTH(minuw, vminuw, V_AB),
    BOTH(minsw, vminsw, V_AB),
    BOTH(maxub, vmaxub, V_AB),
    BOTH(maxsb, vmaxsb, V_AB),
    BOTH(maxuh, vmaxuh, V_AB),
    BOTH(maxsh, vmaxsh, V_AB),
    BOTH(maxuw, vmaxuw, V_AB),
    BOTH(maxsw, vmaxsw, V_AB),
    BOTH(mullh, vmulh, V_AB),
    BOTH(mulhh, vmulhh, V_AB),
    BOTH(mulhuh, vmulhuh, V_AB),
    BOTH(mulhrsh, vmulhrsh, V_AB),
    BOTH(mullw, vmulw, V_AB),
    BOTH(maddh, vmaddh, V_AB),
    BOTH(maddubsh, vmaddubsh, V_BA), /* the host's first is the unsigned */
    BOTH(avgusb, vavgb, V_AB),
    BOTH(avgush, vavgh, V_AB),
    BOTH(sadbw, vsadb, V_AB),
    BOTH(signb, vsignb, V_AB),
    BOTH(signh, vsignh, V_AB),
    BOTH(signw, vsignw, V_AB),
    BOTH(haddh, vhaddh, V_JOIN),
    BOTH(haddw, vhaddw, V_JOIN),
    BOTH(haddsh, vhaddsh, V_JOIN),
    BOTH(hsubh, vhsubh, V_JOIN),
    BOTH(hsubw, vhsubw, V_JOIN),
    BOTH(hsubsh, vhsubsh, V_JOIN),
    BOTH(acksshb, vpackhsb, V_JOINR),
    BOTH(ackushb, vpackhub, V_JOINR),
    BOTH(acksswh, vpackwsh, V_JOINR),
    BOTH(ackuswh, vpackwuh, V_JOINR),
    BOTH(sllh, vshlh, V_SHIFT),
    BOTH(sllw, vshlw, V_SHIFT),
    BOTH(slld, vshld, V_SHIFT),
    BOTH(srlh, vshrh, V_SHIFT),
    BOTH(srlw, vshrw, V_SHIFT),
    BOTH(srld, vshrd, V_SHIFT),
    BOTH(srah, vsarh, V_SHIFT),
    BOTH(sraw, vsarw, V_SHIFT),
    [INSN_pandd] = { IR_vand, V_AB },
    [INSN_pandnd] = { IR_vandn, V_BA }, /* the host inverts its first */
    [INSN_pord] = { IR_vor, V_AB },
    [INSN_pxord] = { IR_vxor, V_AB },
    [INSN_qpand] = { IR_vand, V_AB },
    [INSN_qpandn] = { IR_vandn, V_BA },
    [INSN_qpor] = { IR_vor, V_AB },
    [INSN_qpxor] = { IR_vxor, V_AB },
    [INSN_punpcklbh] = { IR_vunpacklb, V_BA },
    [INSN_punpcklhw] = { IR_vunpacklh, V_BA },
    [INSN_punpcklwd] = { IR_vunpacklw, V_BA },
    [INSN_punpckhbh] = { IR_vunpacklb, V_HIGH },
    [INSN_punpckhhw] = { IR_vunpacklh, V_HIGH },
    [INSN_punpckhwd] = { IR_vunpacklw, V_HIGH },

    FP4(add, add),
    FP4(sub, sub),
    FP4(mul, mul),
    FP4(min, min),
    FP4(max, max),
    [INSN_fdivs] = { IR_fdivs, V_AB, 0, true },
    [INSN_fdivd] = { IR_fdivd, V_AB },
    [INSN_pfdivs] = { IR_fdivs, V_AB, 0, true },
    [INSN_pfdivd] = { IR_fdivd, V_AB },
    [INSN_fsqrts] = { IR_fsqrts, V_B, 0, true },
    [INSN_pfsqrts] = { IR_fsqrts, V_B, 0, true },
    [INSN_fsqrttd] = { IR_fsqrtd, V_A },
    [INSN_pfsqrttd] = { IR_fsqrtd, V_A },
    [INSN_pfaddsubs] = { IR_faddsubps, V_AB },
    [INSN_qpfaddsubs] = { IR_faddsubps, V_AB },
    [INSN_qpfaddsubd] = { IR_faddsubpd, V_AB },
    [INSN_pfhadds] = { IR_fhaddps, V_JOIN },
    [INSN_qpfhadds] = { IR_fhaddps, V_JOIN },
    [INSN_pfhsubs] = { IR_fhsubps, V_JOIN },
    [INSN_qpfhsubs] = { IR_fhsubps, V_JOIN },
    FCMP(eq, 0),
    FCMP(lt, 1),
    FCMP(le, 2),
    FCMP(uod, 3),
    FCMP(neq, 4),
    FCMP(nlt, 5),
    FCMP(nle, 6),
    FCMP(od, 7),
    /* Conversions between integers and floats, one lane. */
    [INSN_fstofd] = { IR_cvtsd, V_B },
    [INSN_fdtofs] = { IR_cvtds, V_B, 0, true },
    [INSN_pfstofd] = { IR_cvtsd, V_B },
    [INSN_pfdtofs] = { IR_cvtds, V_B, 0, true },
    /* Several lanes. */
    [INSN_pfstois] = { IR_cvtpswi, V_B },
    [INSN_pfstoistr] = { IR_cvtpswiz, V_B },
    [INSN_pistofs] = { IR_cvtpiws, V_B },
    [INSN_qpfstois] = { IR_cvtpswi, V_B },
    [INSN_qpfstoistr] = { IR_cvtpswiz, V_B },
    [INSN_qpistofs] = { IR_cvtpiws, V_B },
    [INSN_qpistofd] = { IR_cvtpiwd, V_B },
    [INSN_qpfstofd] = { IR_cvtpsd, V_B },
    [INSN_qpfdtois] = { IR_cvtpdwi, V_B },
    [INSN_qpfdtoistr] = { IR_cvtpdwiz, V_B },
    [INSN_qpfdtofs] = { IR_cvtpds, V_B },
    /* v7 names of older operations. */
    [INSN_qpackhbss] = { IR_vpackhsb, V_JOINR },
    [INSN_qpackhbus] = { IR_vpackhub, V_JOINR },
    [INSN_qpackwhss] = { IR_vpackwsh, V_JOINR },
    [INSN_qpackwhus] = { IR_vpackwuh, V_JOINR },
};

/* Conversions with an integer register on one side. */
static const struct {
    uint16_t insn, opcode;
} convert_ops[] = {
    { INSN_istofs, IR_cvtwfs },    { INSN_istofd, IR_cvtwfd },
    { INSN_idtofs, IR_cvtdfs },    { INSN_idtofd, IR_cvtdfd },
    { INSN_fstois, IR_cvtfsw },    { INSN_fstoistr, IR_cvtfswz },
    { INSN_fstoid, IR_cvtfsd },    { INSN_fstoidtr, IR_cvtfsdz },
    { INSN_fdtois, IR_cvtfdw },    { INSN_fdtoistr, IR_cvtfdwz },
    { INSN_fdtoid, IR_cvtfdd },    { INSN_fdtoidtr, IR_cvtfddz },
    { INSN_pfdtois, IR_cvtfdw },   { INSN_pfdtoistr, IR_cvtfdwz },
};

static unsigned convert_opcode(InsnId insn)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(convert_ops); i++) {
        if (convert_ops[i].insn == insn) {
            return convert_ops[i].opcode;
        }
    }
    return IR_nop;
}

static bool is_wide(const TransOp *o)
{
    return o->row->dst == WIDTH_P;
}

static IrReg temp_like(Trans *t, const TransOp *o)
{
    return is_wide(o) ? ir_temp_v128(t->ir) : ir_temp(t->ir);
}

/* low and high halves in one vector */
static IrReg join(Trans *t, IrReg low, IrReg high)
{
    IrReg v = ir_temp_v128(t->ir);
    ir_op2(t->ir, IR_vjoin, 16, v, low, high);
    return v;
}

static void emit_joined(Trans *t, TransOp *o, const VecOp *v, IrReg low,
                        IrReg high)
{
    if (is_wide(o)) {
        ir_vec2(t->ir, v->opcode, o->out, low, high, v->imm);
    } else {
        IrReg both = join(t, low, high);
        ir_vec2(t->ir, v->opcode, o->out, both, both, v->imm);
    }
}

static void emit_vec(Trans *t, TransOp *o, const VecOp *v, IrReg out)
{
    Ir *ir = t->ir;
    switch (v->shape) {
    case V_AB:
    case V_SHIFT:
    case V_MASK:
        ir_vec2(ir, v->opcode, out, o->a, o->b, v->imm);
        break;
    case V_BA:
        ir_vec2(ir, v->opcode, out, o->b, o->a, v->imm);
        break;
    case V_A:
        ir_vec1(ir, v->opcode, out, o->a, v->imm);
        break;
    case V_B:
        ir_vec1(ir, v->opcode, out, o->b, v->imm);
        break;
    case V_JOIN:
        emit_joined(t, o, v, o->a, o->b);
        break;
    case V_JOINR:
        emit_joined(t, o, v, o->b, o->a);
        break;
    case V_HIGH: {
        IrReg both = ir_temp_v128(ir);
        ir_vec2(ir, v->opcode, both, o->b, o->a, v->imm);
        ir_op1(ir, IR_vhi, 8, out, both);
        break;
    }
    }
}

void trans_vec(Trans *t, TransOp *o)
{
    const VecOp *v = &vec_ops[o->op->insn];
    unsigned convert = convert_opcode(o->op->insn);

    if (trans_is_x87(o->row)) {
        trans_x87(t, o);
        return;
    }
    if (trans_call_supported(o->op->insn)) {
        trans_call(t, o);
        return;
    }
    if (trans_lanes_supported(o->op->insn)) {
        trans_lanes(t, o);
        return;
    }
    if (o->op->insn == INSN_fsqrtid) {
        ir_mov(t->ir, o->out, o->b);
        return;
    }
    if (convert != IR_nop) {
        IrReg value = ir_temp(t->ir);
        ir_vec1(t->ir, convert, value, o->b, 0);
        if (o->row->dst == WIDTH_S) {
            ir_extract(t->ir, o->out, value, 0, 32);
        } else {
            ir_mov(t->ir, o->out, value);
        }
        return;
    }
    if (v->single) {
        IrReg value = ir_temp(t->ir);
        emit_vec(t, o, v, value);
        ir_extract(t->ir, o->out, value, 0, 32);
    } else {
        emit_vec(t, o, v, o->out);
    }
}

bool trans_vec_supported(const AlcOp *op)
{
    return vec_ops[op->insn].shape != V_NONE ||
           trans_call_supported(op->insn) || trans_lanes_supported(op->insn) ||
           op->insn == INSN_fsqrtid || convert_opcode(op->insn) != IR_nop;
}

/* ------------------------------------------------------------------------
 * Floating-point compares to a predicate
 */

typedef struct FcmpOp {
    uint8_t cond;  /* IrCond; IR_UN: unordered */
    bool invert;
    bool signals;  /* ie on quiet NaNs */
} FcmpOp;

/* In the order of the opcodes: eq lt le uod neq nlt nle od. */
static const FcmpOp fcmp_ops[8] = {
    { IR_EQ, false, false }, { IR_LT, false, true },  { IR_LE, false, true },
    { IR_UN, false, false }, { IR_EQ, true, false },  { IR_LT, true, true },
    { IR_LE, true, true },   { IR_UN, true, false },
};

static int fcmp_index(InsnId insn, unsigned *width)
{
    static const uint16_t singles[8] = {
        INSN_fcmpeqsb,  INSN_fcmpltsb,  INSN_fcmplesb,  INSN_fcmpuodsb,
        INSN_fcmpneqsb, INSN_fcmpnltsb, INSN_fcmpnlesb, INSN_fcmpodsb,
    };
    static const uint16_t doubles[8] = {
        INSN_fcmpeqdb,  INSN_fcmpltdb,  INSN_fcmpledb,  INSN_fcmpuoddb,
        INSN_fcmpneqdb, INSN_fcmpnltdb, INSN_fcmpnledb, INSN_fcmpoddb,
    };
    for (int i = 0; i < 8; i++) {
        if (insn == singles[i] || insn == doubles[i]) {
            *width = insn == singles[i] ? 4 : 8;
            return i;
        }
    }
    return -1;
}

void trans_fcmp(Trans *t, TransOp *o)
{
    unsigned width = 8;

    if (trans_is_x87(o->row)) {
        trans_x87(t, o);
        return;
    }
    const FcmpOp *f = &fcmp_ops[fcmp_index(o->op->insn, &width)];
    IrReg value = ir_temp(t->ir);

    ir_fsetcond(t->ir, f->cond, width, value, o->a, o->b, f->signals);
    if (f->invert) {
        ir_op2(t->ir, IR_xor, 8, o->out, value, trans_imm(t, 1));
    } else {
        ir_mov(t->ir, o->out, value);
    }
}

bool trans_fcmp_supported(const AlcOp *op)
{
    unsigned width;
    return fcmp_index(op->insn, &width) >= 0;
}

/* ------------------------------------------------------------------------
 * Two-stage floating point: OP2(s3, OP1(s1, s2))
 */

typedef enum FpStage {
    FP_ADD, FP_SUB, FP_HADD, FP_HSUB, FP_MUL, FP_RSUB, FP_ADDSUB = 7,
} FpStage;

typedef enum FpLanes {
    FP_S,  /* one single */
    FP_D,  /* one double */
    FP_PS, /* two singles */
    FP_QS, /* four singles */
    FP_QD, /* two doubles */
} FpLanes;

static FpLanes comb_lanes(const TransOp *o)
{
    bool is_double = o->row->als_value >> 24 & 1;
    if (is_wide(o)) {
        return is_double ? FP_QD : FP_QS;
    }
    if (is_double) {
        return FP_D;
    }
    return (o->row->ales_value >> 8) >= 0x0e ? FP_PS : FP_S;
}

static unsigned stage_opcode(FpStage stage, FpLanes lanes)
{
    static const uint16_t opcodes[8][5] = {
        [FP_ADD] = { IR_fadds, IR_faddd, IR_faddps, IR_faddps, IR_faddpd },
        [FP_SUB] = { IR_fsubs, IR_fsubd, IR_fsubps, IR_fsubps, IR_fsubpd },
        [FP_RSUB] = { IR_fsubs, IR_fsubd, IR_fsubps, IR_fsubps, IR_fsubpd },
        [FP_MUL] = { IR_fmuls, IR_fmuld, IR_fmulps, IR_fmulps, IR_fmulpd },
        [FP_HADD] = { 0, 0, IR_fhaddps, IR_fhaddps, IR_fhaddpd },
        [FP_HSUB] = { 0, 0, IR_fhsubps, IR_fhsubps, IR_fhsubpd },
        [FP_ADDSUB] = { 0, 0, IR_faddsubps, IR_faddsubps, IR_faddsubpd },
    };
    return opcodes[stage][lanes];
}

static void comb_stage(Trans *t, IrReg out, FpStage stage, FpLanes lanes,
                       IrReg a, IrReg b)
{
    unsigned opcode = stage_opcode(stage, lanes);
    if (stage == FP_RSUB) {
        ir_vec2(t->ir, opcode, out, b, a, 0);
    } else if (lanes == FP_PS && (stage == FP_HADD || stage == FP_HSUB)) {
        IrReg both = join(t, a, b);
        ir_vec2(t->ir, opcode, out, both, both, 0);
    } else {
        ir_vec2(t->ir, opcode, out, a, b, 0);
    }
}

static FpStage comb_stage1(const InsnRow *row)
{
    return row->als_value >> 25 & 7;
}

static FpStage comb_stage2(const InsnRow *row)
{
    return (row->als_value >> 29 & 3) | (row->ales_value >> 8 & 1) << 2;
}

void trans_fp_comb(Trans *t, TransOp *o)
{
    FpLanes lanes = comb_lanes(o);
    IrReg first = temp_like(t, o), second = temp_like(t, o);

    comb_stage(t, first, comb_stage1(o->row), lanes, o->a, o->b);
    comb_stage(t, second, comb_stage2(o->row), lanes, o->c, first);
    if (lanes == FP_S) {
        ir_extract(t->ir, o->out, second, 0, 32);
    } else {
        ir_mov(t->ir, o->out, second);
    }
}
