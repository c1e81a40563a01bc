/*
 * Operations that are a C function of their operands.
 *
 * A row of call_ops[] names the function (sem-*.c).  Operands are passed in
 * order, 64-bit ones as integers and 128-bit ones as vectors, after a constant
 * where the row says so.  Generated code goes on after the call: registers
 * stay where they are but for those that a C function may change.
 *
 * 80-bit operations may leave for the interpreter (an exception that FPCR
 * does not mask), so that they are computed before the bundle's accesses.
 */
#include "target-e2k/translate-int.h"

#include "target-e2k/sem.h"

enum {
    CALL_CODE = 1 << 0, /* first argument: code */
    CALL_ISA = 1 << 1,  /* first argument: the version */
    CALL_FP = 1 << 2,   /* depends on MXCSR, leaves flags there */
};

typedef struct CallOp {
    void *fn;
    const char *name;
    uint8_t flags;
    uint8_t code;
} CallOp;

#define PURE(insn, fn) [INSN_##insn] = { sem_##fn, #fn, 0, 0 }
#define CODE(insn, fn, code) [INSN_##insn] = { sem_##fn, #fn, CALL_CODE, code }
#define ISA(insn, fn) [INSN_##insn] = { sem_##fn, #fn, CALL_ISA, 0 }
#define FP(insn, fn) [INSN_##insn] = { sem_##fn, #fn, CALL_FP, 0 }
#define FLAGS(op, name) \
    CODE(op##s_fb, x86_flags, SEM_FLAGS_##name), \
    CODE(op##s_fh, x86_flags, SEM_FLAGS_##name | 1 << 4), \
    CODE(op##s_fw, x86_flags, SEM_FLAGS_##name | 2 << 4), \
    CODE(op##d_fd, x86_flags, SEM_FLAGS_##name | 3 << 4)
#define FPCODE(insn, fn, code) \
    [INSN_##insn] = { sem_##fn, #fn, CALL_CODE | CALL_FP, code }

static const CallOp call_ops[INSN_COUNT] = {
    PURE(psrcw, psrcw),
    PURE(psrcd, psrcd),
    PURE(qpsrcw, qpsrcw),
    PURE(qpsrcd, qpsrcd),
    PURE(qpsrad, qpsrad),
    PURE(pmulubhh, pmulubhh),
    PURE(qpmulubhh, qpmulubhh),
    PURE(mpsadbh, mpsadbh),
    PURE(qpmpsadbh, qpmpsadbh),
    PURE(phminposuh, phminposuh),
    PURE(qphminposuh, qphminposuh),
    FLAGS(and, AND),
    FLAGS(andn, ANDN),
    FLAGS(or, OR),
    FLAGS(orn, ORN),
    FLAGS(xor, XOR),
    FLAGS(xorn, XORN),
    FLAGS(add, ADD),
    FLAGS(sub, SUB),
    PURE(clmull, clmull),
    PURE(clmulh, clmulh),
    ISA(pshufb, pshufb),
    ISA(qpshufb, qpshufb),
    PURE(qppermb, qppermb),
    CODE(qptbl_0, qptbl, 0),
    CODE(qptbl_1, qptbl, 1),
    CODE(qptbl_2, qptbl, 2),
    CODE(qptbl_3, qptbl, 3),
    CODE(qptbl_4, qptbl, 4),
    CODE(qptbl_5, qptbl, 5),
    CODE(qptbl_6, qptbl, 6),
    CODE(qptbl_7, qptbl, 7),
    PURE(qpmsk2sgnb, qpmsk2sgnb),
    CODE(qpcm2b, qpcm2, 1),
    CODE(qpcm2h, qpcm2, 2),
    CODE(qpcm2w, qpcm2, 4),
    CODE(qpcm2d, qpcm2, 8),
    CODE(qps2mb, qps2m, 1),
    CODE(qps2mh, qps2m, 2),
    CODE(qps2mw, qps2m, 4),
    CODE(qps2md, qps2m, 8),
    CODE(qpidotsbwss, qpidotsb, SEM_DOT_SS),
    CODE(qpidotsbwus, qpidotsb, SEM_DOT_US),
    CODE(qpidotsbwuu, qpidotsb, SEM_DOT_UU),
    PURE(qpidotshwss, qpidotsh),
    PURE(qpbfdots, qpbfdots),
    PURE(qpaesltr, qpaesltr),
    PURE(qpaesiltr, qpaesiltr),
    CODE(qpaesebgn, qpaesbegin, 0),
    CODE(qpaesdbgn, qpaesbegin, 1),
    PURE(qpfstobf, qpfstobf),

    FPCODE(fmas, fmas, 0),
    FPCODE(fnmas, fmas, 1),
    FPCODE(fmss, fmas, 2),
    FPCODE(fnmss, fmas, 3),
    FPCODE(fmad, fmad, 0),
    FPCODE(fnmad, fmad, 1),
    FPCODE(fmsd, fmad, 2),
    FPCODE(fnmsd, fmad, 3),
    FPCODE(qpfmas, qpfmas, 0),
    FPCODE(qpfnmas, qpfmas, 1),
    FPCODE(qpfmss, qpfmas, 2),
    FPCODE(qpfnmss, qpfmas, 3),
    FPCODE(qpfmass, qpfmas, 4),
    FPCODE(qpfmsas, qpfmas, 6),
    FPCODE(qpfmad, qpfmad, 0),
    FPCODE(qpfnmad, qpfmad, 1),
    FPCODE(qpfmsd, qpfmad, 2),
    FPCODE(qpfnmsd, qpfmad, 3),
    FPCODE(qpfmasd, qpfmad, 4),
    FPCODE(qpfmsad, qpfmad, 6),
    FPCODE(qpfstoid, qpfstoid, 0),
    FPCODE(qpfstoidtr, qpfstoid, 1),
    FPCODE(qpfdtoid, qpfdtoid, 0),
    FPCODE(qpfdtoidtr, qpfdtoid, 1),
    FP(qpidtofd, qpidtofd),
    FP(qpidtofs, qpidtofs),
    FP(fstoifs, round_s),
    FP(fdtoifd, round_d),
    FP(pfstoifs, round_2s),
    FP(pfdtoifd, round_d),
    FP(qpfstoifs, round_ps),
    FP(qpfdtoifd, round_pd),
    CODE(frcps, reciprocal, 0),
    CODE(frsqrts, reciprocal, 1),
    FP(fscales, fscales),
    FP(fscaled, fscaled),
};

bool trans_call_supported(InsnId insn)
{
    return call_ops[insn].fn != NULL;
}

/* An S operand as a call wants it: the upper half does not matter. */
void trans_call(Trans *t, TransOp *o)
{
    if (trans_is_x87(o->row)) {
        trans_x87(t, o);
        return;
    }
    const CallOp *k = &call_ops[o->op->insn];
    IrReg sources[3] = { o->a, o->b, o->c };
    const uint8_t widths[3] = { o->row->src1, o->row->src2, o->row->src3 };
    IrReg args[4];
    unsigned n = 0;
    unsigned flags = k->flags & CALL_FP ? 0 : IR_CALL_PURE;

    if (k->flags & (CALL_CODE | CALL_ISA)) {
        args[n++] = trans_imm(t, k->flags & CALL_ISA ? t->cpu->isa : k->code);
    }
    for (unsigned i = 0; i < 3; i++) {
        if (widths[i] != WIDTH_NONE) {
            args[n++] = sources[i];
        }
    }
    if (o->wide) {
        flags |= IR_CALL_RET_V128;
    }
    ir_call(t->ir, o->out, k->fn, k->name, flags, 0, 0, n, args);
}

/* ------------------------------------------------------------------------
 * 80 bits
 */

static unsigned x_arith_op(InsnId insn)
{
    switch (insn) {
    case INSN_fxaddss: case INSN_fxadddd: case INSN_fxaddsx:
    case INSN_fxadddx: case INSN_fxaddxs: case INSN_fxaddxd:
    case INSN_fxaddxx:
        return SEM_X_ADD;
    case INSN_fxsubss: case INSN_fxsubdd: case INSN_fxsubsx:
    case INSN_fxsubdx: case INSN_fxsubxs: case INSN_fxsubxd:
    case INSN_fxsubxx:
        return SEM_X_SUB;
    case INSN_fxmulss: case INSN_fxmuldd: case INSN_fxmulsx:
    case INSN_fxmuldx: case INSN_fxmulxs: case INSN_fxmulxd:
    case INSN_fxmulxx:
        return SEM_X_MUL;
    case INSN_fxdivss: case INSN_fxdivdd: case INSN_fxdivsx:
    case INSN_fxdivdx: case INSN_fxdivxs: case INSN_fxdivxd:
    case INSN_fxdivxx:
        return SEM_X_DIV;
    case INSN_fxrsubss: case INSN_fxrsubdd: case INSN_fxrsubsx:
    case INSN_fxrsubdx:
        return SEM_X_RSUB;
    case INSN_fxdivtss: case INSN_fxdivtdd: case INSN_fxdivtsx:
    case INSN_fxdivtdx:
        return SEM_X_RDIV;
    case INSN_fxsqrttxx: case INSN_fxsqrttsx: case INSN_fxsqrttdx:
        return SEM_X_SQRT;
    case INSN_fxscalesx:
        return SEM_X_SCALE;
    case INSN_fxtoistr: case INSN_fxtoidtr:
        return SEM_X_TRUNCATE;
    case INSN_fxcmpudsf: case INSN_fxcmpuddf: case INSN_fxcmpudxf:
        return SEM_X_FLAGS;
    case INSN_fxcmpodsf: case INSN_fxcmpoddf: case INSN_fxcmpodxf:
        return SEM_X_FLAGS_SIGNAL;
    default: /* conversions, and the first two steps of the square root */
        return SEM_X_COPY;
    }
}

static unsigned x_format(unsigned width)
{
    return width == WIDTH_X ? SEM_X_X : width == WIDTH_S ? SEM_X_S : SEM_X_D;
}

static unsigned x_code(const TransOp *o)
{
    unsigned from = x_format(o->row->src2);
    unsigned to = x_format(o->row->dst);

    switch (o->op->insn) {
    case INSN_istofx: from = SEM_X_W; break;
    case INSN_idtofx: from = SEM_X_L; break;
    case INSN_fxtois: case INSN_fxtoistr: to = SEM_X_W; break;
    case INSN_fxtoid: case INSN_fxtoidtr: to = SEM_X_L; break;
    default: break;
    }
    unsigned op = o->row->sem == SEM_fcmp_pred
                      ? SEM_X_CMP + (o->row->als_value >> 5 & 7)
                      : x_arith_op(o->op->insn);
    return SEM_X_CODE(op, from, to);
}

bool trans_is_x87(const InsnRow *row)
{
    switch (row->sem) {
    case SEM_fxarith: case SEM_fcmp_pred: case SEM_fcmp_flags:
    case SEM_fconv: case SEM_fscale:
        return row->src1 == WIDTH_X || row->src2 == WIDTH_X ||
               row->dst == WIDTH_X;
    default:
        return false;
    }
}

void trans_x87(Trans *t, TransOp *o)
{
    bool wide_b = o->row->src2 == WIDTH_X;
    IrReg a = o->a;

    if (o->row->src1 != WIDTH_X) {
        a = ir_temp_v128(t->ir);
        ir_op2(t->ir, IR_vjoin, 16, a, trans_imm(t, 0), trans_imm(t, 0));
    }
    IrReg args[5] = { ir_cpu(t->ir), a, o->b, trans_imm(t, x_code(o)),
                      trans_imm(t, (uintptr_t)trans_node_site(t)) };
    void *fn = o->wide ? wide_b ? (void *)sem_x_xx : (void *)sem_x_xd
                       : wide_b ? (void *)sem_x_dx : (void *)sem_x_dd;
    ir_call(t->ir, o->out, fn, "x87",
            IR_CALL_MAY_RAISE | (o->wide ? IR_CALL_RET_V128 : 0), 0, 0, 5,
            args);
}
