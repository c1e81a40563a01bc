/*
 * Loads of CPU state that one operation uses become its memory operand.
 *
 *     t1 = ld1 [tags + 8]
 *     brcond.tstne t1, $f         brcond.tstne m1, $f     test byte [..], 15
 *
 *     t1 = ld1 [tags + 8]
 *     t2 = and t1, $f0
 *     st1 [tags + 8], t2          and1 m1, m1, $f0        and byte [..], 240
 *
 * m1 is a vreg of kind IR_MEMORY: a name for the place itself, read where it
 * is used.  The base must be a pinned register, and nothing between load and
 * use may write memory that could be the same.
 *
 * The last pass: others do not know IR_MEMORY.
 */
#include "tcg/opt-int.h"

enum { DISTANCE = 12 };

typedef struct Fold {
    Compile *c;
    Ir *ir;
    uint8_t *uses; /* by vreg, saturating at 2 */
    uint8_t *defs;
} Fold;

static void count(Fold *f)
{
    IrReg sources[8];

    for (unsigned i = 0; i < f->ir->n_ops; i++) {
        const IrOp *op = &f->ir->ops[i];
        unsigned n = op_sources(f->ir, op, sources);

        for (unsigned k = 0; k < n; k++) {
            f->uses[sources[k]] += f->uses[sources[k]] < 2;
        }
        if (op->dst) {
            f->defs[op->dst] += f->defs[op->dst] < 2;
        }
    }
}

static bool single(const Fold *f, IrReg reg)
{
    return f->ir->vregs[reg].kind == IR_TEMP && f->uses[reg] == 1 &&
           f->defs[reg] == 1;
}

static bool reads(const Ir *ir, const IrOp *op, IrReg reg)
{
    IrReg sources[8];
    unsigned n = op_sources(ir, op, sources);

    for (unsigned k = 0; k < n; k++) {
        if (sources[k] == reg) {
            return true;
        }
    }
    return false;
}

/* May the operation change what ld reads, or its base register? */
static bool disturbs(const Ir *ir, const IrOp *ld, const IrOp *op)
{
    if (op->dst == ld->src[0]) {
        return true;
    }
    switch (op->opcode) {
    case IR_st:
        return op->src[0] != ld->src[0] ||
               (op->imm < ld->imm + ld->width &&
                ld->imm < op->imm + op->width);
    case IR_gst:
    case IR_gld:
    case IR_brcond:
    case IR_nop:
        return false;
    default:
        return ir_op_is(op, IRF_E | IRF_X | IRF_L | IRF_T);
    }
}

static bool takes_memory(const IrOp *op)
{
    switch (op->opcode) {
    case IR_add:
    case IR_sub:
    case IR_and:
    case IR_or:
    case IR_xor:
    case IR_setcond:
    case IR_brcond:
    case IR_extract:
    case IR_sextract:
    case IR_ret:
        return true;
    default:
        return false;
    }
}

/* A home written in between (the global lives there when it has no register)
 * would be read too late; builders keep homes and ld apart by sync. */
static IrReg make_memory(Fold *f, const IrOp *ld)
{
    IrReg reg = ir_vreg(f->ir, IR_MEMORY, IR_I64);
    IrVreg *vreg = &f->ir->vregs[reg];

    vreg->base = ld->src[0];
    vreg->offset = ld->imm;
    vreg->home_size = ld->width;
    vreg->name = "mem";
    return reg;
}

/* ld, op with a constant, st to the same place: one operation on memory. */
static bool fold_update(Fold *f, const IrOp *ld, IrOp *op, IrOp *next)
{
    bool ok = op->opcode >= IR_add && op->opcode <= IR_xor &&
              op->opcode != IR_andn && op->opcode != IR_orn &&
              op->src[0] == ld->dst && op->src[1] != ld->dst &&
              f->ir->vregs[op->src[1]].kind == IR_CONST && op->width == 8 &&
              next->opcode == IR_st && next->src[1] == op->dst &&
              next->src[0] == ld->src[0] && next->imm == ld->imm &&
              next->width == ld->width && single(f, op->dst);
    int64_t value = f->ir->vregs[op->src[1]].value;

    if (!ok || (ld->width == 8 && value != (int32_t)value)) {
        return false;
    }
    op->width = ld->width;
    op->dst = op->src[0] = make_memory(f, ld);
    op_remove(next);
    return true;
}

static void fold_load(Fold *f, unsigned at, unsigned end)
{
    IrOp *ld = &f->ir->ops[at];

    for (unsigned i = at + 1; i < end && i <= at + DISTANCE; i++) {
        IrOp *op = &f->ir->ops[i];

        if (reads(f->ir, op, ld->dst)) {
            if (i + 1 < end && fold_update(f, ld, op, op + 1)) {
                op_remove(ld);
            } else if (takes_memory(op)) {
                IrReg memory = make_memory(f, ld);

                for (unsigned k = 0; k < 4; k++) {
                    if (op->src[k] == ld->dst) {
                        op->src[k] = memory;
                    }
                }
                op_remove(ld);
            }
            return;
        }
        if (disturbs(f->ir, ld, op)) {
            return;
        }
    }
}

void opt_memory(Compile *c)
{
    Fold f = {.c = c, .ir = c->ir};

    /* Vregs made later are not asked for. */
    f.uses = ARENA_NEW0(c->arena, uint8_t, 2 * c->ir->n_vregs);
    f.defs = f.uses + c->ir->n_vregs;
    count(&f);
    for (unsigned b = 0; b < c->n_blocks; b++) {
        const Block *block = &c->blocks[b];

        for (unsigned i = block->first; i < block->end; i++) {
            const IrOp *op = &c->ir->ops[i];

            if (op->opcode == IR_ld && op->width <= 8 &&
                c->ir->vregs[op->src[0]].kind == IR_PINNED &&
                single(&f, op->dst)) {
                fold_load(&f, i, block->end);
            }
        }
    }
}
