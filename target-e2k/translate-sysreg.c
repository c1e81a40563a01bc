/*
 * State registers, tags as data, and floating point with exceptions that are
 * not masked.
 *
 * A state register is read and written by a C function, for which everything
 * that generated code keeps is put where the CPU state wants it.  A write of
 * what regions are compiled for ends the region after its bundle.
 *
 * Floating-point exceptions that PFPFR does not mask: the bundle computes its
 * results first, into temporaries, with the host's flags cleared.  When one of
 * the flags is not masked, the interpreter executes the bundle.
 */
#include "target-e2k/translate-int.h"

#include "target-e2k/sem.h"

enum {
    REG_PSP_HI = 0x07,
    REG_PSHTP = 0x0b,
    REG_PCSP_HI = 0x0d,
    REG_PCSHTP = 0x13,
    REG_TIR_HI = 0x9c,
    REG_TIR_LO = 0x9d,
    REG_CR1_HI = 0x55,
    REG_CR1_LO = 0x57,
    REG_UPSR = 0x80,
    REG_LSR = 0x83,
    REG_PFPFR = 0x84,
    REG_FPCR = 0x85,
    REG_FPSR = 0x86,
    REG_ILCR = 0x87,
    REG_LSR1 = 0xc3,
    REG_ILCR1 = 0xc7,
    MX_FLAGS = 0x3f,
    MASK_SHIFT = 7,
};

/* ------------------------------------------------------------------------
 * State registers
 */

void trans_rr(Trans *t, TransOp *o)
{
    Ir *ir = t->ir;
    IrReg args[3] = { ir_cpu(ir), trans_imm(t, o->op->src1.index),
                      trans_imm(t, (uintptr_t)trans_node_site(t)) };

    ir_call(ir, o->out, sem_state_read, "state_read", IR_CALL_MAY_RAISE, 0, 0,
            3, args);
    if (o->row->dst == WIDTH_S) {
        ir_extract(ir, o->out, o->out, 0, 32);
    }
}

/*
 * Reading what tells how far the hardware stacks have been spilled spills, in
 * a machine, and that wants all registers and tags in their places; TIRs
 * advance, and are not worth it.  CR1 of a lazy frame is complete when code
 * has been left only.
 */
bool trans_rr_supported(const Node *node, const AlcOp *op)
{
    if (!node) {
        return true;
    }
    switch (op->src1.index) {
    case REG_PSP_HI: case REG_PSHTP: case REG_PCSP_HI: case REG_PCSHTP:
    case REG_TIR_HI: case REG_TIR_LO:
        return false;
    case REG_CR1_HI: case REG_CR1_LO:
        return !tcg_opt_enabled(OPT_FRAMES);
    default:
        return true;
    }
}

/*
 * Registers that a program writes and that are state only.  Writes of other
 * ones do something, or are not allowed: they are the interpreter's.
 */
bool trans_rw_supported(const Node *node, const AlcOp *op)
{
    unsigned number = op->dst.index;
    unsigned isa = node ? node->at.geo.isa : 5;

    if (!node) {
        return true;
    }
    /* Nothing else at the end of a bundle that ends the region. */
    if (trans_node_leave(&node->bundle) != LEAVE_NOT &&
        (node->end != END_FALL || node->bundle.alct || node->bundle.alcf)) {
        return false;
    }
    switch (number) {
    case REG_LSR: case REG_PFPFR: case REG_FPCR: case REG_FPSR:
    case REG_ILCR:
        return true;
    case REG_LSR1: case REG_ILCR1:
        return isa >= 5;
    case REG_UPSR:
        return !(node->at.geo.psr & PSR_PM);
    default:
        return false;
    }
}

NodeLeave trans_node_leave(const Bundle *b)
{
    const AlcOp *op = &b->alc[0];

    if (!op->present || insn_sem(op->insn) != SEM_rw) {
        return LEAVE_NOT;
    }
    switch (op->dst.index) {
    case REG_LSR:
    case REG_LSR1:
        return LEAVE_REGION;
    case REG_PFPFR:
    case REG_UPSR:
        return LEAVE_TO_C;
    default:
        return LEAVE_NOT;
    }
}

void trans_rw(Trans *t, TransOp *o)
{
    Ir *ir = t->ir;
    IrReg value = o->b;

    if (o->row->src2 == WIDTH_S) {
        value = ir_temp(ir);
        ir_extract(ir, value, o->b, 0, 32);
    }
    IrReg args[4] = { ir_cpu(ir), trans_imm(t, o->op->dst.index), value,
                      trans_imm(t, (uintptr_t)trans_node_site(t)) };
    ir_call(ir, IR_NONE, sem_state_write, "state_write", 0, ~0u,
            1u << CLASS_LOOP, 4, args);
}

/* ------------------------------------------------------------------------
 * Tags
 */

static uint8_t tag_mask(unsigned width)
{
    return width == WIDTH_S ? 0x03 : width == WIDTH_D ? 0x0f : 0xff;
}

void trans_gettag(Trans *t, TransOp *o)
{
    int reg = trans_guest_reg(t->node->at.geo, &o->op->src2);

    if (reg < 0 || trans_without_tags) {
        ir_mov(t->ir, o->out, trans_imm(t, 0));
    } else {
        ir_mov(t->ir, o->out,
               tags_load(t, reg, tag_mask(o->row->src2)));
    }
}

static bool writes_number(const TransOp *o)
{
    return o->op->src2.kind == OPERAND_CONST &&
           (o->op->src2.value & tag_mask(o->row->dst)) == 0;
}

/* A tagged operand may only be given the tag of numbers. */
void trans_puttag_check(Trans *t, TransOp *o)
{
    Ir *ir = t->ir;
    uint8_t mask = tag_mask(o->row->dst);
    int reg = trans_guest_reg(t->node->at.geo, &o->op->src1);

    o->tag = IR_NONE;
    if (writes_number(o) || trans_without_tags) {
        return;
    }
    o->tag = ir_new2i(ir, IR_and, 8, o->b, mask);
    if (reg >= 0) {
        IrReg old = ir_temp(ir), new = ir_temp(ir);
        ir_setcond(ir, IR_NE, 8, old, tags_load(t, reg, mask),
                   trans_imm(t, 0));
        ir_setcond(ir, IR_NE, 8, new, o->tag, trans_imm(t, 0));
        ir_brcond(ir, IR_TSTNE, 8, old, new, trans_interp_exit(t));
    }
}

void trans_puttag(Trans *t, TransOp *o)
{
    if (o->row->dst == WIDTH_S) {
        ir_extract(t->ir, o->out, o->a, 0, 32);
    } else {
        ir_mov(t->ir, o->out, o->a);
    }
}

/* ------------------------------------------------------------------------
 * Floating point with exceptions that are not masked
 */

void trans_fp_begin(Trans *t)
{
    Ir *ir = t->ir;

    t->mxcsr = ir_temp(ir);
    ir_emit(ir, IR_stmxcsr, 4, t->mxcsr, 0, 0, 0, 0);
    IrReg clear = ir_new2i(ir, IR_and, 8, t->mxcsr, ~(uint64_t)MX_FLAGS);
    ir_emit(ir, IR_ldmxcsr, 4, 0, clear, 0, 0, 0);
}

void trans_fp_check(Trans *t)
{
    Ir *ir = t->ir;
    IrReg now = ir_temp(ir), pfpfr = ir_temp(ir), masks = ir_temp(ir);

    ir_emit(ir, IR_stmxcsr, 4, now, 0, 0, 0, 0);
    ir_emit(ir, IR_ldmxcsr, 4, 0, t->mxcsr, 0, 0, 0);
    ir_ld(ir, 4, pfpfr, ir_cpu(ir), offsetof(E2kCpu, pfpfr));
    ir_extract(ir, masks, pfpfr, MASK_SHIFT, 6);
    IrReg flags = ir_new2i(ir, IR_and, 8, now, MX_FLAGS);
    IrReg open = ir_new2(ir, IR_andn, 8, flags, masks);
    ir_brcond(ir, IR_NE, 8, open, trans_imm(t, 0), trans_interp_exit(t));
    IrReg both = ir_new2(ir, IR_or, 8, t->mxcsr, flags);
    ir_emit(ir, IR_ldmxcsr, 4, 0, both, 0, 0, 0);
}
