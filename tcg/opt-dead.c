/*
 * Backward passes: operations nobody needs, and copies that need not be.
 *
 *     t5 = add r1, r2          r3 = add r1, r2
 *     r3 = mov t5        ->
 *
 * A temporary that is used once, by a copy in the same block, is computed in
 * the copy's target, either where it was (nothing between looks at the
 * target) or where the copy was (nothing between changes the sources).
 */
#include "tcg/opt-int.h"

typedef struct Dead {
    Compile *c;
    Ir *ir;
    uint32_t *uses;     /* by vreg */
    uint32_t *defs;
    uint32_t *def_at;   /* by vreg: last definition seen, + 1 */
    uint32_t *stamp;    /* by vreg: overwritten later, nobody looks before */
    uint32_t now;
} Dead;

enum { COPY_DISTANCE = 24 };

static void count(Dead *d)
{
    IrReg sources[8];

    for (unsigned i = 0; i < d->ir->n_ops; i++) {
        const IrOp *op = &d->ir->ops[i];
        unsigned n = op_sources(d->ir, op, sources);

        for (unsigned k = 0; k < n; k++) {
            d->uses[sources[k]]++;
        }
        if (op->dst) {
            d->defs[op->dst]++;
        }
    }
}

static void remove_op(Dead *d, IrOp *op)
{
    IrReg sources[8];
    unsigned n = op_sources(d->ir, op, sources);

    for (unsigned k = 0; k < n; k++) {
        d->uses[sources[k]]--;
    }
    d->defs[op->dst]--;
    op_remove(op);
}

/* Does the operation look at guest state as a whole? */
static bool observes(const IrOp *op)
{
    return ir_op_is(op, IRF_F | IRF_X | IRF_B | IRF_L) ||
           op->opcode == IR_sync || op->opcode == IR_call ||
           op->opcode == IR_call_region || op->opcode == IR_reload;
}

/* Floating-point operations accumulate flags even when nobody wants their
 * results. */
static bool accumulates_flags(const IrOp *op)
{
    return op->opcode == IR_fsetcond ||
           (ir_op_infos[op->opcode].vec & IRV_FP);
}

static void sweep_block(Dead *d, const Block *block)
{
    IrReg sources[8];

    d->now++;
    for (int i = block->end - 1; i >= (int)block->first; i--) {
        IrOp *op = &d->ir->ops[i];

        if (op->opcode == IR_nop) {
            continue;
        }
        if (op->dst && ir_op_is(op, IRF_P | IRF_R) &&
            !ir_op_is(op, IRF_E) && !accumulates_flags(op)) {
            unsigned kind = d->ir->vregs[op->dst].kind;

            if ((kind == IR_TEMP && !d->uses[op->dst]) ||
                (kind == IR_GLOBAL && d->stamp[op->dst] == d->now) ||
                (op->opcode == IR_mov && op->src[0] == op->dst)) {
                remove_op(d, op);
                continue;
            }
        }
        if (op->dst) {
            d->stamp[op->dst] = d->now;
        }
        if (observes(op)) { /* before its result is assigned */
            d->now++;
        }
        unsigned n = op_sources(d->ir, op, sources);

        for (unsigned k = 0; k < n; k++) {
            d->stamp[sources[k]] = 0;
        }
    }
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

/* May the target be assigned at from already? */
static bool target_unseen(Dead *d, unsigned from, unsigned to, IrReg target)
{
    bool global = d->ir->vregs[target].kind == IR_GLOBAL;

    for (unsigned i = from + 1; i < to; i++) {
        const IrOp *op = &d->ir->ops[i];

        if (op->opcode != IR_nop &&
            (op->dst == target || reads(d->ir, op, target) ||
             (global && observes(op)))) {
            return false;
        }
    }
    return true;
}

/* May the operation at from be done at to instead? */
static bool sources_kept(Dead *d, unsigned from, unsigned to)
{
    IrReg sources[8];
    const IrOp *moved = &d->ir->ops[from];
    unsigned n = op_sources(d->ir, moved, sources);

    if (!ir_op_is(moved, IRF_P)) {
        return false;
    }
    for (unsigned i = from + 1; i < to; i++) {
        const IrOp *op = &d->ir->ops[i];

        if (op->opcode == IR_call || op->opcode == IR_reload ||
            op->opcode == IR_call_region) {
            return false;
        }
        for (unsigned k = 0; k < n; k++) {
            if (op->dst == sources[k]) {
                return false;
            }
        }
    }
    return true;
}

static void merge_copy(Dead *d, unsigned at)
{
    IrOp *copy = &d->ir->ops[at];
    IrReg from = copy->src[0];
    unsigned def;

    if (d->ir->vregs[from].kind != IR_TEMP || d->uses[from] != 1 ||
        d->ir->vregs[copy->dst].kind == IR_PINNED ||
        d->defs[from] != 1 || !d->def_at[from] ||
        d->ir->vregs[from].type != d->ir->vregs[copy->dst].type) {
        return;
    }
    def = d->def_at[from] - 1;
    if (at - def > COPY_DISTANCE || d->ir->ops[def].dst != from) {
        return;
    }
    if (target_unseen(d, def, at, copy->dst)) {
        d->ir->ops[def].dst = copy->dst;
        d->def_at[copy->dst] = def + 1;
        op_remove(copy);
    } else if (sources_kept(d, def, at)) {
        IrReg dst = copy->dst;

        *copy = d->ir->ops[def];
        copy->dst = dst;
        op_remove(&d->ir->ops[def]);
    } else {
        return;
    }
    d->uses[from]--;
    d->defs[from]--;
}

static void merge_copies(Dead *d, const Block *block)
{
    for (unsigned i = block->first; i < block->end; i++) {
        const IrOp *op = &d->ir->ops[i];

        if (op->opcode == IR_mov) {
            merge_copy(d, i);
            op = &d->ir->ops[i];
        }
        if (op->dst) {
            d->def_at[op->dst] = i + 1;
        }
    }
    for (unsigned i = block->first; i < block->end; i++) {
        d->def_at[d->ir->ops[i].dst] = 0;
    }
}

void opt_dead(Compile *c)
{
    Dead d = {.c = c, .ir = c->ir};

    d.uses = ARENA_NEW0(c->arena, uint32_t, 4 * c->ir->n_vregs);
    d.defs = d.uses + c->ir->n_vregs;
    d.def_at = d.defs + c->ir->n_vregs;
    d.stamp = d.def_at + c->ir->n_vregs;
    count(&d);
    if (opt_on(OPT_DCE)) {
        for (int b = c->n_blocks - 1; b >= 0; b--) {
            sweep_block(&d, &c->blocks[b]);
        }
    }
    if (opt_on(OPT_COALESCE)) {
        for (unsigned b = 0; b < c->n_blocks; b++) {
            merge_copies(&d, &c->blocks[b]);
        }
    }
}

/* --- all passes --------------------------------------------------------------- */

void opt_run(Compile *c)
{
    opt_values(c);
    if (c->tier == TCG_TIER_FULL && opt_on(OPT_FORWARD) &&
        opt_forward(c)) {
        opt_values(c); /* the copies */
    }
    opt_dead(c);
    if (opt_on(OPT_ADDR)) {
        opt_memory(c);
    }
}
