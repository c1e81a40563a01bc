/*
 * Integer operations of the arithmetic-logic channels.
 *
 * One function per semantic family of insns.def.  It finds its sources in
 * o->a, o->b, o->c and assigns o->out last; 32-bit results are left
 * zero-extended, what becomes of the upper half is the caller's business.
 */
#include "target-e2k/translate-int.h"

#include "target-e2k/jit.h"
#include "target-e2k/sem.h"

static unsigned width_of(const TransOp *o)
{
    unsigned width = o->row->src2 == WIDTH_NONE ? o->row->src1 : o->row->src2;
    return width == WIDTH_S ? 4 : 8;
}

static unsigned result_width(const TransOp *o)
{
    return o->row->dst == WIDTH_S ? 4 : 8;
}

/* The constant in the second source, as wide as the operand. */
static bool const_src2(const TransOp *o, uint64_t *value)
{
    if (o->op->src2.kind != OPERAND_CONST) {
        return false;
    }
    *value = o->row->src2 == WIDTH_S ? (uint32_t)o->op->src2.value
                                     : o->op->src2.value;
    return true;
}

static IrReg new2(Trans *t, IrOpcode opcode, unsigned width, IrReg a, IrReg b)
{
    return ir_new2(t->ir, opcode, width, a, b);
}

/* d = helper(a, b, ...), depending on its arguments only. */
static void pure_call(Trans *t, IrReg d, void *fn, const char *name,
                      unsigned n, const IrReg *args)
{
    ir_call(t->ir, d, fn, name, IR_CALL_PURE, 0, 0, n, args);
}

static void trans_logic(Trans *t, TransOp *o)
{
    static const IrOpcode opcodes[] = {
        [INSN_ands] = IR_and,   [INSN_andd] = IR_and,
        [INSN_andns] = IR_andn, [INSN_andnd] = IR_andn,
        [INSN_ors] = IR_or,     [INSN_ord] = IR_or,
        [INSN_orns] = IR_orn,   [INSN_ornd] = IR_orn,
        [INSN_xors] = IR_xor,   [INSN_xord] = IR_xor,
        [INSN_xorns] = IR_xorn, [INSN_xornd] = IR_xorn,
    };
    ir_op2(t->ir, opcodes[o->op->insn], width_of(o), o->out, o->a, o->b);
}

static void trans_addsub(Trans *t, TransOp *o)
{
    bool add = o->op->insn == INSN_adds || o->op->insn == INSN_addd;
    ir_op2(t->ir, add ? IR_add : IR_sub, width_of(o), o->out, o->a, o->b);
}

static void trans_shift(Trans *t, TransOp *o)
{
    IrOpcode opcode;
    switch (o->op->insn) {
    case INSN_scls: case INSN_scld: opcode = IR_rol; break;
    case INSN_scrs: case INSN_scrd: opcode = IR_ror; break;
    case INSN_shls: case INSN_shld: opcode = IR_shl; break;
    case INSN_shrs: case INSN_shrd: opcode = IR_shr; break;
    default: opcode = IR_sar; break;
    }
    ir_op2(t->ir, opcode, width_of(o), o->out, o->a, o->b);
}

/* s1[1:0]: 0 byte, 1 half, 2 and 3 word of s2; s1[2]: zero-extend. */
static void trans_sxt(Trans *t, TransOp *o)
{
    if (o->op->src1.kind != OPERAND_CONST) {
        pure_call(t, o->out, sem_sxt, "sxt", 2, (IrReg[]){ o->a, o->b });
        return;
    }
    unsigned mode = o->op->src1.value & 7;
    unsigned len = (mode & 3) == 0 ? 8 : (mode & 3) == 1 ? 16 : 32;
    if (mode & 4) {
        ir_extract(t->ir, o->out, o->b, 0, len);
    } else {
        ir_sextract(t->ir, o->out, o->b, 0, len);
    }
}

/* True selects s2. */
static void trans_merge(Trans *t, TransOp *o)
{
    IrReg value = o->wide ? ir_temp_v128(t->ir) : ir_temp(t->ir);

    if (o->wide && o->op->has_merge) {
        Test test = trans_cond_test(t, &o->op->merge, 1);
        uint32_t first = ir_new_label(t->ir);
        ir_mov(t->ir, value, o->a);
        trans_branch_not(t, &test, first);
        ir_mov(t->ir, value, o->b);
        ir_label(t->ir, first);
        ir_mov(t->ir, o->out, value);
        return;
    }
    if (!o->op->has_merge) {
        ir_mov(t->ir, value, o->a);
    } else {
        Test test = trans_cond_test(t, &o->op->merge, 1);
        ir_select(t->ir, test.cond, test.width, value, test.a, test.b, o->b,
                  o->a);
    }
    if (o->row->dst == WIDTH_S) {
        ir_extract(t->ir, o->out, value, 0, 32);
    } else {
        ir_mov(t->ir, o->out, value);
    }
}

/* ops.md 1.1; the selector is nearly always a literal. */
static void trans_getf(Trans *t, TransOp *o)
{
    bool wide = o->row->dst == WIDTH_D;
    unsigned bits = wide ? 64 : 32;
    uint64_t sel;

    if (!const_src2(o, &sel)) {
        pure_call(t, o->out, wide ? sem_getfd : sem_getfs, "getf", 3,
                  (IrReg[]){ trans_imm(t, t->cpu->isa), o->a, o->b });
        return;
    }
    unsigned pos = sel & (bits - 1);
    unsigned len = wide ? sel >> 6 & 63 : sel >> 6 & 31;
    bool sign = sel >> 12 & 1;
    unsigned byte = wide ? sel >> 13 & 7 : sel >> 13 & 3;
    bool own_sign = t->cpu->isa >= 5 ||
                    8 * byte + ((pos + len - 1) & 7) ==
                        ((pos + len - 1) & (bits - 1));
    if (len == 0 || pos + len > bits || (sign && !own_sign)) {
        pure_call(t, o->out, wide ? sem_getfd : sem_getfs, "getf", 3,
                  (IrReg[]){ trans_imm(t, t->cpu->isa), o->a, o->b });
    } else if (!sign) {
        ir_extract(t->ir, o->out, o->a, pos, len);
    } else if (wide) {
        ir_sextract(t->ir, o->out, o->a, pos, len);
    } else {
        IrReg field = ir_temp(t->ir);
        ir_sextract(t->ir, field, o->a, pos, len);
        ir_extract(t->ir, o->out, field, 0, 32);
    }
}

/* v5: as getf, then the low z bits of the result are cleared. */
static void trans_getfz(Trans *t, TransOp *o)
{
    bool wide = o->row->dst == WIDTH_D;
    pure_call(t, o->out, wide ? sem_getfzd : sem_getfzs, "getfz", 2,
              (IrReg[]){ o->a, o->b });
}

/* d = rotr(s1, off) with the low len bits from s3. */
static void trans_insf(Trans *t, TransOp *o)
{
    bool wide = o->row->dst == WIDTH_D;
    uint64_t sel;

    if (!const_src2(o, &sel)) {
        pure_call(t, o->out, wide ? sem_insfd : sem_insfs, "insf", 3,
                  (IrReg[]){ o->a, o->b, o->c });
        return;
    }
    unsigned width = wide ? 8 : 4;
    unsigned off = sel & (8 * width - 1);
    unsigned len = wide ? sel >> 6 & 63 : sel >> 6 & 31;
    IrReg rotated = new2(t, IR_ror, width, o->a, trans_imm(t, off));
    if (len == 0) {
        ir_mov(t->ir, o->out, rotated);
    } else {
        ir_deposit(t->ir, o->out, rotated, o->c, 0, len);
    }
}

static void trans_bitcount(Trans *t, TransOp *o)
{
    unsigned width = width_of(o);
    switch (o->op->insn) {
    case INSN_lzcnts: case INSN_lzcntd:
        ir_op1(t->ir, IR_clz, width, o->out, o->b);
        break;
    case INSN_popcnts: case INSN_popcntd:
        ir_op1(t->ir, IR_popcnt, width, o->out, o->b);
        break;
    default:
        pure_call(t, o->out, width == 4 ? sem_bitrevs : sem_bitrevd,
                  "bitrev", 1, (IrReg[]){ o->b });
        break;
    }
}

/* ------------------------------------------------------------------------
 * Multiplication and division
 */

static void trans_mul(Trans *t, TransOp *o)
{
    switch (o->op->insn) {
    case INSN_muls:
    case INSN_muld:
        ir_op2(t->ir, IR_mul, width_of(o), o->out, o->a, o->b);
        break;
    case INSN_umulx:
    case INSN_smulx: {
        IrReg a = ir_temp(t->ir), b = ir_temp(t->ir);
        if (o->op->insn == INSN_umulx) {
            ir_extract(t->ir, a, o->a, 0, 32);
            ir_extract(t->ir, b, o->b, 0, 32);
        } else {
            ir_sextract(t->ir, a, o->a, 0, 32);
            ir_sextract(t->ir, b, o->b, 0, 32);
        }
        ir_op2(t->ir, IR_mul, 8, o->out, a, b);
        break;
    }
    case INSN_umulhd:
        ir_op2(t->ir, IR_mulhu, 8, o->out, o->a, o->b);
        break;
    default:
        ir_op2(t->ir, IR_mulhs, 8, o->out, o->a, o->b);
        break;
    }
}

static bool is_divx(InsnId insn)
{
    return insn == INSN_udivx || insn == INSN_sdivx || insn == INSN_umodx ||
           insn == INSN_smodx;
}

/* Division by zero, and quotients that do not fit, are the interpreter's. */
static void check_div(Trans *t, TransOp *o)
{
    uint64_t divisor;
    if (is_divx(o->op->insn)) {
        bool is_signed = o->op->insn == INSN_sdivx ||
                         o->op->insn == INSN_smodx;
        IrReg ok = ir_temp(t->ir);
        pure_call(t, ok, is_signed ? sem_sdivx_ok : sem_udivx_ok, "divx_ok",
                  2, (IrReg[]){ o->a, o->b });
        ir_brcond(t->ir, IR_EQ, 8, ok, trans_imm(t, 0), trans_interp_exit(t));
    } else if (!const_src2(o, &divisor) || divisor == 0) {
        ir_brcond(t->ir, IR_EQ, width_of(o), o->b, trans_imm(t, 0),
                  trans_interp_exit(t));
    }
}

static void trans_div(Trans *t, TransOp *o)
{
    unsigned width = width_of(o);
    uint64_t divisor;

    switch (o->op->insn) {
    case INSN_udivx:
        pure_call(t, o->out, sem_udivx, "udivx", 2, (IrReg[]){ o->a, o->b });
        return;
    case INSN_sdivx:
        pure_call(t, o->out, sem_sdivx, "sdivx", 2, (IrReg[]){ o->a, o->b });
        return;
    case INSN_udivs:
    case INSN_udivd:
        ir_op2(t->ir, IR_divu, width, o->out, o->a, o->b);
        return;
    default:
        break;
    }
    if (const_src2(o, &divisor) &&
        divisor != (width == 4 ? UINT32_MAX : UINT64_MAX)) {
        ir_op2(t->ir, IR_divs, width, o->out, o->a, o->b);
        return;
    }
    /* The host traps on MIN / -1; x / -1 is -x, MIN included. */
    uint32_t by_minus_one = ir_new_label(t->ir);
    uint32_t done = ir_new_label(t->ir);
    IrReg q = ir_temp(t->ir);
    ir_brcond(t->ir, IR_EQ, width, o->b, trans_imm(t, UINT64_MAX),
              by_minus_one);
    ir_op2(t->ir, IR_divs, width, q, o->a, o->b);
    ir_br(t->ir, done);
    ir_label(t->ir, by_minus_one);
    ir_op1(t->ir, IR_neg, width, q, o->a);
    ir_label(t->ir, done);
    ir_mov(t->ir, o->out, q);
}

static void trans_mod(Trans *t, TransOp *o)
{
    bool is_signed = o->op->insn == INSN_smodx;
    pure_call(t, o->out, is_signed ? sem_smodx : sem_umodx, "modx", 2,
              (IrReg[]){ o->a, o->b });
}

/* ------------------------------------------------------------------------
 * Compares
 */

static void parity_even(Trans *t, IrReg out, IrReg value)
{
    IrReg byte = ir_temp(t->ir);
    ir_extract(t->ir, byte, value, 0, 8);
    IrReg ones = ir_new1(t->ir, IR_popcnt, 8, byte);
    ir_setcond(t->ir, IR_TSTEQ, 8, out, ones, trans_imm(t, 1));
}

/* ALS[7:5] of the row tells the condition. */
static unsigned compare_code(const TransOp *o)
{
    return o->row->als_value >> 5 & 7;
}

static void trans_cmp(Trans *t, TransOp *o)
{
    static const uint8_t conds[8] = {
        IR_O, IR_LTU, IR_EQ, IR_LEU, IR_S, IR_EQ, IR_LT, IR_LE,
    };
    unsigned code = compare_code(o);
    if (code == 5) {
        parity_even(t, o->out, new2(t, IR_sub, width_of(o), o->a, o->b));
    } else {
        ir_setcond(t->ir, conds[code], width_of(o), o->out, o->a, o->b);
    }
}

static void trans_cmpand(Trans *t, TransOp *o)
{
    unsigned width = width_of(o);
    IrReg both;
    switch (compare_code(o)) {
    case 2:
        ir_setcond(t->ir, IR_TSTEQ, width, o->out, o->a, o->b);
        break;
    case 4:
        both = new2(t, IR_and, width, o->a, o->b);
        ir_setcond(t->ir, IR_LT, width, o->out, both, trans_imm(t, 0));
        break;
    case 5:
        parity_even(t, o->out, new2(t, IR_and, width, o->a, o->b));
        break;
    default:
        both = new2(t, IR_and, width, o->a, o->b);
        ir_setcond(t->ir, IR_LE, width, o->out, both, trans_imm(t, 0));
        break;
    }
}

/* ------------------------------------------------------------------------
 * Two-stage operations: OP2(s3, OP1(s1, s2))
 */

typedef enum CombOp {
    COMB_AND, COMB_ANDN, COMB_OR, COMB_ORN, COMB_XOR, COMB_XORN, COMB_RSUB,
    COMB_MERGE, COMB_ADD, COMB_SUB, COMB_SCL, COMB_SCR, COMB_SHL, COMB_SHR,
    COMB_SAR, COMB_GETF,
} CombOp;

static unsigned comb_op1(const InsnRow *row)
{
    return row->als_value >> 25 & 15;
}

static unsigned comb_op2(const InsnRow *row)
{
    return (row->als_value >> 29 & 3) | (row->ales_value >> 8 & 3) << 2;
}

static IrReg comb_stage(Trans *t, TransOp *o, CombOp op, IrReg a, IrReg b)
{
    static const IrOpcode opcodes[16] = {
        [COMB_AND] = IR_and,   [COMB_ANDN] = IR_andn, [COMB_OR] = IR_or,
        [COMB_ORN] = IR_orn,   [COMB_XOR] = IR_xor,   [COMB_XORN] = IR_xorn,
        [COMB_RSUB] = IR_sub,  [COMB_ADD] = IR_add,   [COMB_SUB] = IR_sub,
        [COMB_SCL] = IR_rol,   [COMB_SCR] = IR_ror,   [COMB_SHL] = IR_shl,
        [COMB_SHR] = IR_shr,   [COMB_SAR] = IR_sar,
    };
    unsigned width = result_width(o);

    if (op == COMB_RSUB) {
        return new2(t, IR_sub, width, b, a);
    }
    if (op == COMB_GETF) {
        IrReg d = ir_temp(t->ir);
        pure_call(t, d, width == 8 ? sem_getfd : sem_getfs, "getf", 3,
                  (IrReg[]){ trans_imm(t, t->cpu->isa), a, b });
        return d;
    }
    if (op == COMB_MERGE) {
        IrReg d = ir_temp(t->ir);
        if (!o->op->has_merge) {
            ir_mov(t->ir, d, a);
        } else {
            Test test = trans_cond_test(t, &o->op->merge, 1);
            ir_select(t->ir, test.cond, test.width, d, test.a, test.b, b, a);
        }
        if (width == 4) {
            ir_extract(t->ir, d, d, 0, 32);
        }
        return d;
    }
    return new2(t, opcodes[op], width, a, b);
}

static void trans_comb(Trans *t, TransOp *o)
{
    IrReg first = comb_stage(t, o, comb_op1(o->row), o->a, o->b);
    IrReg second = comb_stage(t, o, comb_op2(o->row), o->c, first);
    ir_mov(t->ir, o->out, second);
}

/* ------------------------------------------------------------------------
 * Others
 */

static void trans_addcd(Trans *t, TransOp *o)
{
    IrReg args[3] = { o->a, o->b, o->c };
    switch (o->op->insn) {
    case INSN_addcd:
    case INSN_subcd: {
        bool add = o->op->insn == INSN_addcd;
        IrReg carry = new2(t, IR_and, 8, o->c, trans_imm(t, 1));
        IrReg sum = new2(t, add ? IR_add : IR_sub, 8, o->a, o->b);
        ir_op2(t->ir, add ? IR_add : IR_sub, 8, o->out, sum, carry);
        break;
    }
    case INSN_addcd_c:
        pure_call(t, o->out, sem_addcd_c, "addcd_c", 3, args);
        break;
    default:
        pure_call(t, o->out, sem_subcd_c, "subcd_c", 3, args);
        break;
    }
}

static void trans_movt(Trans *t, TransOp *o)
{
    if (o->pair) {
        ir_mov(t->ir, o->pair->out, o->pair->b);
    }
    if (o->row->dst == WIDTH_S) {
        ir_extract(t->ir, o->out, o->b, 0, 32);
    } else {
        ir_mov(t->ir, o->out, o->b);
    }
}

/* The stack pointer moves by a multiple of 16.  Only the free size is kept:
 * the base is a constant above it, see jit.usd_bottom.  Running out of space is the
 * interpreter's. */
static void check_getsp(Trans *t, TransOp *o)
{
    IrReg size = trans_usd_size(t);
    IrReg delta = ir_temp(t->ir);
    ir_sextract(t->ir, delta, o->b, 0, 32);
    delta = new2(t, IR_and, 8, delta, trans_imm(t, ~UINT64_C(15)));
    o->a = new2(t, IR_add, 8, size, delta);
    ir_brcond(t->ir, IR_LT, 8, o->a, trans_imm(t, 0), trans_interp_exit(t));
}

static void trans_getsp(Trans *t, TransOp *o)
{
    ir_mov(t->ir, trans_usd_size(t), o->a);
    ir_op2(t->ir, IR_add, 8, o->out, o->a, trans_usd_bottom(t));
}

static void check_operation(Trans *t, TransOp *o)
{
    switch (insn_sem(o->op->insn)) {
    case SEM_div:
    case SEM_mod:
        check_div(t, o);
        break;
    case SEM_staa:
    case SEM_ldaa:
        trans_staa_check(t, o);
        break;
    case SEM_getsp:
        check_getsp(t, o);
        break;
    case SEM_puttag:
        trans_puttag_check(t, o);
        break;
    default:
        if (trans_is_access(o->row)) {
            trans_mem_check(t, o);
        }
        break;
    }
}

/* Needed only where the operation executes; accesses test in any case, which
 * does no harm. */
void trans_alc_check(Trans *t, TransOp *o)
{
    SemFamily sem = insn_sem(o->op->insn);

    if (o->qualified && (sem == SEM_div || sem == SEM_mod)) {
        uint32_t skip = ir_new_label(t->ir);
        trans_branch_not(t, &o->cond, skip);
        check_operation(t, o);
        ir_label(t->ir, skip);
    } else {
        check_operation(t, o);
    }
}

/* The transfer itself is the end of the bundle's. */
static void trans_nothing(Trans *t, TransOp *o)
{
}

TransFn *const trans_fns[SEM_COUNT] = {
    [SEM_logic] = trans_logic,
    [SEM_addsub] = trans_addsub,
    [SEM_shift] = trans_shift,
    [SEM_sxt] = trans_sxt,
    [SEM_merge] = trans_merge,
    [SEM_getf] = trans_getf,
    [SEM_getfz] = trans_getfz,
    [SEM_insf] = trans_insf,
    [SEM_bitcount] = trans_bitcount,
    [SEM_mul] = trans_mul,
    [SEM_div] = trans_div,
    [SEM_mod] = trans_mod,
    [SEM_cmp] = trans_cmp,
    [SEM_cmpand] = trans_cmpand,
    [SEM_comb] = trans_comb,
    [SEM_addcd] = trans_addcd,
    [SEM_movt] = trans_movt,
    [SEM_getsp] = trans_getsp,
    [SEM_load] = trans_load,
    [SEM_store] = trans_store,
    [SEM_staa] = trans_staa,
    [SEM_paddsub] = trans_vec,
    [SEM_pcmp] = trans_vec,
    [SEM_pminmax] = trans_vec,
    [SEM_plogic] = trans_vec,
    [SEM_pshift] = trans_vec,
    [SEM_pmul] = trans_vec,
    [SEM_pmadd] = trans_vec,
    [SEM_pavg] = trans_vec,
    [SEM_psad] = trans_vec,
    [SEM_punpck] = trans_vec,
    [SEM_ppack] = trans_vec,
    [SEM_psign] = trans_vec,
    [SEM_phaddsub] = trans_vec,
    [SEM_farith] = trans_vec,
    [SEM_pfarith] = trans_vec,
    [SEM_fcmp_reg] = trans_vec,
    [SEM_pfcmp] = trans_vec,
    [SEM_fconv] = trans_vec,
    [SEM_pfconv] = trans_vec,
    [SEM_fcmp_pred] = trans_fcmp,
    [SEM_fp_comb] = trans_fp_comb,
    [SEM_fxarith] = trans_x87,
    [SEM_fcmp_flags] = trans_fcmp_flags,
    [SEM_fma] = trans_call,
    [SEM_fscale] = trans_call,
    [SEM_fapprox] = trans_call,
    [SEM_clmul] = trans_call,
    [SEM_x86_flags] = trans_call,
    [SEM_phminposuh] = trans_call,
    [SEM_qphminposuh] = trans_call,
    [SEM_qpmpsadbh] = trans_call,
    [SEM_pshufb] = trans_call,
    [SEM_qpshufb] = trans_call,
    [SEM_qppermb] = trans_call,
    [SEM_v7_table] = trans_call,
    [SEM_v7_dot] = trans_call,
    [SEM_v7_crypto] = trans_call,
    [SEM_v7_misc] = trans_vec,
    [SEM_pmovmskb] = trans_lanes,
    [SEM_pmovmskps] = trans_lanes,
    [SEM_pmovmskpd] = trans_lanes,
    [SEM_pshufh] = trans_lanes,
    [SEM_pshufw] = trans_lanes,
    [SEM_pinsh] = trans_lanes,
    [SEM_pextrh] = trans_lanes,
    [SEM_pmerge] = trans_lanes,
    [SEM_plog] = trans_lanes,
    [SEM_qpcext] = trans_lanes,
    [SEM_movif] = trans_lanes,
    [SEM_movfi] = trans_lanes,
    [SEM_movx] = trans_lanes,
    [SEM_movxa] = trans_lanes,
    [SEM_movxc] = trans_lanes,
    [SEM_getpl] = trans_lanes,
    [SEM_pcmp_pred] = trans_pcmp_pred,
    [SEM_cctop] = trans_cctop,
    [SEM_gettag] = trans_gettag,
    [SEM_puttag] = trans_puttag,
    [SEM_rr] = trans_rr,
    [SEM_rw] = trans_rw,
    [SEM_aaurr] = trans_aaurr,
    [SEM_aaurw] = trans_aaurw,
    [SEM_ldaa] = trans_ldaa,
    [SEM_load_seg] = trans_load,
    [SEM_load_desc] = trans_load,
    [SEM_store_seg] = trans_store,
    [SEM_store_desc] = trans_store,
    [SEM_store_mask] = trans_store,
    [SEM_store_seg_mask] = trans_store,
    [SEM_ibranchd] = trans_nothing,
    [SEM_icalld] = trans_nothing,
};

bool trans_is_access(const InsnRow *row)
{
    switch (row->sem) {
    case SEM_load: case SEM_store: case SEM_store_mask: case SEM_load_seg:
    case SEM_store_seg: case SEM_store_seg_mask: case SEM_load_desc:
    case SEM_store_desc: case SEM_staa: case SEM_ldaa:
        return true;
    default:
        return false;
    }
}

static bool is_fp(SemFamily sem)
{
    switch (sem) {
    case SEM_farith: case SEM_pfarith: case SEM_fcmp_reg: case SEM_pfcmp:
    case SEM_fconv: case SEM_pfconv: case SEM_fcmp_pred: case SEM_fcmp_flags:
    case SEM_fp_comb: case SEM_fxarith: case SEM_fma: case SEM_fscale:
    case SEM_fapprox:
        return true;
    default:
        return false;
    }
}

bool trans_is_sse(const InsnRow *row)
{
    return is_fp(row->sem) && !trans_is_x87(row);
}

bool trans_has_effects(const InsnRow *row)
{
    return trans_is_access(row) || is_fp(row->sem) || row->sem == SEM_div ||
           row->sem == SEM_mod || row->sem == SEM_getsp ||
           row->sem == SEM_rr || row->sem == SEM_rw || row->sem == SEM_aaurw;
}

/* Operations of a family that is not translated as a whole. */
static bool member_supported(const Region *region, const Node *node,
                             const AlcOp *op, SemFamily sem)
{
    TransFn *fn = trans_fns[sem];

    if (trans_is_x87(&insn_rows[op->row])) {
        return true;
    }
    switch (sem) {
    case SEM_staa:
    case SEM_ldaa:
        return trans_staa_supported(region, op);
    case SEM_aaurr:
    case SEM_aaurw:
        return trans_aau_supported(node, op);
    case SEM_rr:
        return trans_rr_supported(node, op);
    case SEM_rw:
        return trans_rw_supported(node, op);
    case SEM_fcmp_pred:
        return trans_fcmp_supported(op);
    default:
        break;
    }
    if (trans_is_access(&insn_rows[op->row])) {
        return trans_memory_supported(region ? region->cpu->isa : 6, op);
    }
    if (fn == trans_vec) {
        return trans_vec_supported(op);
    }
    if (fn == trans_call) {
        return trans_call_supported(op->insn);
    }
    if (fn == trans_lanes) {
        return trans_lanes_supported(op->insn);
    }
    return true;
}

bool trans_alc_supported(const Region *region, const Node *node,
                         const AlcOp *op)
{
    SemFamily sem = insn_sem(op->insn);
    Geometry geo = region->key.geo;

    if (!trans_fns[sem] || op->n_merges > 1 ||
        (is_fp(sem) && !geo.fp_plain && !geo.fp_checked)) {
        return false;
    }
    return member_supported(region, node, op, sem) &&
           (op->dst.kind != OPERAND_CTPR || op->insn == INSN_movtd);
}

bool trans_has(InsnId insn)
{
    const AlcOp op = { .insn = insn, .row = insn_infos[insn].row };
    SemFamily sem = insn_sem(insn);

    return insn != INSN_NONE && trans_fns[sem] &&
           member_supported(NULL, NULL, &op, sem);
}
