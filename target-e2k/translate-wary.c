/*
 * Wary code: for states in which some predicate is invalid or the DAM has
 * entries.
 *
 * Ordinary code knows that neither is so and never looks.  Code with
 * Geometry.wary set does: a bundle that uses an invalid predicate is left to
 * the interpreter, one that writes a predicate makes it valid, a store takes
 * its address out of the DAM.  An invalid predicate that nobody looks at any
 * more costs little this way, and advanced loads run in translated code.
 *
 * While generated code runs, invalid predicates are in cpu->jit.pf_invalid;
 * their values are with all the others.  Calls are made with valid ones only,
 * so that the frames they push have no others; returns take place without
 * DAM entries only, because the caller's code may be ordinary.  Where a
 * region is left for another one, wary code goes on as ordinary code as soon
 * as it can.
 *
 * Advanced loads enter the DAM after the load.  Check loads look at it in
 * their turn; that they use up their entry comes after the bundle's last
 * access, so that a bundle which faults can be executed again.
 */
#include "target-e2k/translate-int.h"

#include "target-e2k/sem.h"

/* ------------------------------------------------------------------------
 * Invalid predicates
 */

static uint32_t bit_of(const Node *node, unsigned index)
{
    return 1u << geometry_pred(node->at.geo, index);
}

static uint32_t bits_of_conds(const Node *node, const Cond *conds, unsigned n)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < n; i++) {
        if (conds[i].kind == COND_PRED) {
            bits |= bit_of(node, conds[i].index);
        }
    }
    return bits;
}

static bool condition_has_pred(const Bundle *b)
{
    switch (b->ct_type) {
    case CT_PRED: case CT_NOT_PRED: case CT_PRED_OR_LOOP_END:
    case CT_NOT_PRED_AND_NOT_LOOP_END: case CT_NOT_PRED_OR_LOOP_END:
    case CT_PRED_AND_NOT_LOOP_END:
        return true;
    default:
        return false;
    }
}

/* Predicates that the bundle looks at, or keeps under some condition. */
static uint32_t used_preds(const Node *node)
{
    const Bundle *b = &node->bundle;
    uint32_t bits = 0;

    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        const AlcOp *op = &b->alc[i];
        if (!op->present) {
            continue;
        }
        bits |= bits_of_conds(node, op->conds, op->n_conds) |
                bits_of_conds(node, op->am_conds, op->n_am_conds);
        if (op->has_merge) {
            bits |= bits_of_conds(node, &op->merge, 1);
        }
        if (op->n_conds && op->dst.kind == OPERAND_PRED) {
            bits |= bit_of(node, op->dst.index);
        }
    }
    for (int i = 0; i < 4; i++) {
        if (b->elp[i].kind == ELP_PRED) {
            bits |= bit_of(node, b->elp[i].index);
        }
    }
    for (int i = 0; i < 3; i++) {
        if (b->clp[i].present && b->clp[i].write) {
            bits |= bit_of(node, b->clp[i].pdst);
        }
    }
    if (node->end != END_FALL && condition_has_pred(b)) {
        bits |= bit_of(node, b->ct_psrc);
    }
    return bits;
}

/* Predicates that are valid after the bundle, whatever they were. */
static uint32_t made_valid(const Node *node)
{
    uint32_t bits = 0;

    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        const AlcOp *op = &node->bundle.alc[i];
        if (op->present && op->dst.kind == OPERAND_PRED && !op->n_conds) {
            bits |= bit_of(node, op->dst.index);
        }
    }
    return bits;
}

static bool enters_dam(unsigned isa, const Bundle *b)
{
    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        if (b->alc[i].present && trans_dam_use(isa, &b->alc[i]) == DAM_ENTER) {
            return true;
        }
    }
    return false;
}

static IrReg load_invalid(Trans *t)
{
    IrReg v = ir_temp(t->ir);

    ir_ld(t->ir, 4, v, ir_cpu(t->ir), offsetof(E2kCpu, jit.pf_invalid));
    return v;
}

static IrReg load_live(Trans *t)
{
    IrReg v = ir_temp(t->ir);

    ir_ld(t->ir, 1, v, ir_cpu(t->ir), offsetof(E2kCpu, dam_live));
    return v;
}

static void store_invalid(Trans *t, IrReg v)
{
    ir_st(t->ir, 4, ir_cpu(t->ir), offsetof(E2kCpu, jit.pf_invalid), v);
}

void trans_wary_check(Trans *t)
{
    const Node *node = t->node;
    uint32_t used = used_preds(node);

    if (!node->at.geo.wary) {
        return;
    }
    if (used) {
        ir_brcond(t->ir, IR_TSTNE, 8, load_invalid(t), trans_imm(t, used),
                  trans_interp_exit(t));
    }
}

/* Tests of a transfer that is going to be made. */
void trans_wary_transfer(Trans *t)
{
    const Node *node = t->node;
    bool dam = node->at.geo.wary || enters_dam(t->cpu->isa, &node->bundle);

    if ((node->end == END_CALL || node->end == END_CALL_INDIRECT) &&
        node->at.geo.wary) {
        ir_brcond(t->ir, IR_NE, 8, load_invalid(t), trans_imm(t, 0),
                  trans_interp_exit(t));
    }
    if (node->end == END_RETURN && dam) {
        ir_brcond(t->ir, IR_NE, 8, load_live(t), trans_imm(t, 0),
                  trans_interp_exit(t));
    }
}

void trans_wary_commit(Trans *t)
{
    uint32_t valid = made_valid(t->node);

    if (t->node->at.geo.wary && valid) {
        store_invalid(t, ir_new2i(t->ir, IR_and, 8, load_invalid(t),
                                  (uint32_t)~valid));
    }
}

/* The frame's predicates are valid. */
void trans_wary_return(Trans *t)
{
    if (t->node->at.geo.wary) {
        store_invalid(t, trans_imm(t, 0));
    }
}

uint32_t trans_wary_exit(Trans *t)
{
    uint32_t label = ir_new_label(t->ir);
    IrReg both = ir_new2(t->ir, IR_or, 8, load_invalid(t), load_live(t));

    ir_brcond(t->ir, IR_NE, 8, both, trans_imm(t, 0), label);
    return label;
}

/* ------------------------------------------------------------------------
 * DAM
 */

/* What of the DAM is translated: see the head of the file. */
bool trans_dam_supported(const Region *region, const Node *node)
{
    const Bundle *b = &node->bundle;
    unsigned isa = region->cpu->isa;
    bool check = false;

    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        const AlcOp *op = &b->alc[i];
        if (!op->present || op->pair_second) {
            continue;
        }
        DamUse use = trans_dam_use(isa, op);
        if (use != DAM_NOT &&
            (trans_guest_reg(node->at.geo, &op->dst) < 0 ||
             insn_rows[op->row].flags & F_PAIR ||
             insn_sem(op->insn) != SEM_load)) {
            return false;
        }
        if (use == DAM_ENTER && check) {
            return false;
        }
        check |= use == DAM_CHECK;
        /* Of a masked store, the mask decides whether it is one. */
        if (node->at.geo.wary && insn_rows[op->row].flags & F_ST &&
            (insn_sem(op->insn) == SEM_store_mask ||
             insn_sem(op->insn) == SEM_store_seg_mask)) {
            return false;
        }
    }
    return !check || node->end == END_FALL || node->end == END_BRANCH;
}

static void dam_args(Trans *t, const TransOp *o, IrReg address, unsigned size,
                     IrReg args[4])
{
    args[0] = ir_cpu(t->ir);
    args[1] = t->win;
    args[2] = address;
    args[3] = trans_imm(t, o->dst | size << 8);
}

void trans_dam_enter(Trans *t, const TransOp *o, IrReg address, unsigned size)
{
    IrReg args[4];

    dam_args(t, o, address, size, args);
    ir_call(t->ir, IR_NONE, sem_dam_enter, "dam_enter", 0, 0, 0, 4, args);
}

/* The register keeps its value and the load is not made: label. */
uint32_t trans_dam_check(Trans *t, const TransOp *o, IrReg address,
                         unsigned size)
{
    uint32_t label = ir_new_label(t->ir);
    IrReg args[4], holds = ir_temp(t->ir);

    dam_args(t, o, address, size, args);
    ir_call(t->ir, holds, sem_dam_holds, "dam_holds", 0, 0, 0, 4, args);
    if (!o->direct) {
        ir_mov(t->ir, o->out, o->wide ? trans_reg(t, o->dst)
                                      : trans_reg_lo(t, o->dst));
    }
    ir_brcond(t->ir, IR_NE, 8, holds, trans_imm(t, 0), label);
    ir_mov(t->ir, t->mlock, trans_imm(t, 1));
    return label;
}

/* The bundle's check loads use up their entries. */
void trans_dam_commit(Trans *t, const TransOp *o)
{
    uint32_t skip = 0;

    if (o->passive || trans_dam_use(t->cpu->isa, o->op) != DAM_CHECK) {
        return;
    }
    if (o->qualified) {
        skip = ir_new_label(t->ir);
        trans_branch_not(t, &o->cond, skip);
    }
    IrReg args[3] = { ir_cpu(t->ir), t->win, trans_imm(t, o->dst) };
    ir_call(t->ir, IR_NONE, sem_dam_consume, "dam_consume", 0, 0, 0, 3, args);
    if (o->qualified) {
        ir_label(t->ir, skip);
    }
}

/* A store has been made. */
void trans_dam_store(Trans *t, IrReg address, unsigned size)
{
    uint32_t none = ir_new_label(t->ir);
    IrReg args[3] = { ir_cpu(t->ir), address, trans_imm(t, size) };

    ir_brcond(t->ir, IR_EQ, 8, load_live(t), trans_imm(t, 0), none);
    ir_call(t->ir, IR_NONE, sem_dam_store, "dam_store", 0, 0, 0, 3, args);
    ir_label(t->ir, none);
}

/* Do stores of the bundle look at the DAM? */
bool trans_stores_to_dam(const Trans *t)
{
    return t->node->at.geo.wary || enters_dam(t->cpu->isa, &t->node->bundle);
}

bool trans_becomes_wary(unsigned isa, const Bundle *b)
{
    return enters_dam(isa, b);
}
