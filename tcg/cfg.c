/*
 * Blocks of a region.
 *
 * Blocks begin at labels and end after branches.  Cold blocks move behind the
 * hot ones, so that the straight path stays straight; the list of operations
 * is rewritten in the new order.  Loops are found by layout: a jump back from
 * block b to block h makes a loop of those of the blocks h..b from which h is
 * reached again, which is what builders that emit code in address order
 * produce.
 */
#include "tcg/tcg-int.h"

typedef struct RawBlock {
    uint32_t first, end;
    uint32_t label;
    bool cold, falls;
} RawBlock;

static unsigned split(Compile *c, RawBlock *raw)
{
    const Ir *ir = c->ir;
    unsigned n = 0;
    bool cold = false;

    for (unsigned i = 0; i < ir->n_ops;) {
        RawBlock *block = &raw[n++];

        *block = (RawBlock){.first = i, .label = NO_LABEL, .falls = true};
        if (ir->ops[i].opcode == IR_label) {
            block->label = ir->ops[i].aux;
            cold = ir->ops[i].imm;
            i++;
        }
        block->cold = cold;
        while (i < ir->n_ops && ir->ops[i].opcode != IR_label) {
            unsigned flags = ir_op_infos[ir->ops[i++].opcode].flags;

            if (flags & (IRF_T | IRF_B)) {
                block->falls = !(flags & IRF_T);
                break;
            }
        }
        block->end = i;
    }
    return n;
}

/* Gives a block a label, for a jump that replaces falling into it. */
static uint32_t need_label(Ir *ir, RawBlock *block)
{
    if (block->label == NO_LABEL) {
        block->label = ir->n_labels++;
    }
    return block->label;
}

static void reorder(Compile *c, RawBlock *raw, unsigned n)
{
    Ir *ir = c->ir;
    unsigned *order = ARENA_NEW(c->arena, unsigned, n);
    unsigned k = 0;

    for (unsigned i = 0; i < n; i++) {
        if (!raw[i].cold) {
            order[k++] = i;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        if (raw[i].cold) {
            order[k++] = i;
        }
    }
    /* A jump after each block that no longer falls into its successor. */
    uint32_t *jump = ARENA_NEW(c->arena, uint32_t, n);

    for (k = 0; k < n; k++) {
        unsigned i = order[k];

        jump[i] = NO_LABEL;
        if (raw[i].falls && i + 1 < n &&
            (k + 1 == n || order[k + 1] != i + 1)) {
            jump[i] = need_label(ir, &raw[i + 1]);
        }
    }
    IrOp *ops = ARENA_NEW(c->arena, IrOp, ir->n_ops + 2 * n);
    unsigned m = 0;

    for (k = 0; k < n; k++) {
        RawBlock *block = &raw[order[k]];

        if (block->label != NO_LABEL &&
            ir->ops[block->first].opcode != IR_label) {
            ops[m++] = (IrOp){.opcode = IR_label, .aux = block->label,
                              .imm = block->cold};
        }
        for (unsigned i = block->first; i < block->end; i++) {
            ops[m++] = ir->ops[i];
        }
        if (jump[order[k]] != NO_LABEL) {
            ops[m++] = (IrOp){.opcode = IR_br, .width = 8,
                              .aux = jump[order[k]]};
        }
    }
    if (m > ir->max_ops) {
        ir->max_ops = m;
        ir->ops = g_renew(IrOp, ir->ops, m);
    }
    memcpy(ir->ops, ops, m * sizeof(*ops));
    ir->n_ops = m;
}

static void link_blocks(Compile *c)
{
    const Ir *ir = c->ir;

    for (unsigned b = 0; b < c->n_blocks; b++) {
        Block *block = &c->blocks[b];
        const IrOp *last = &ir->ops[block->end - 1];
        unsigned flags = ir_op_infos[last->opcode].flags;
        unsigned n = 0;

        block->succ[0] = block->succ[1] = -1;
        if (!(flags & IRF_T) && b + 1 < c->n_blocks) {
            block->succ[n++] = b + 1;
        }
        if (flags & IRF_B) {
            block->succ[n++] = c->label_block[last->aux];
        }
    }
}

static void mark_reachable(Compile *c)
{
    int32_t *stack = ARENA_NEW(c->arena, int32_t, c->n_blocks + 1);
    unsigned n = 0;

    stack[n++] = 0;
    c->blocks[0].reachable = true;
    while (n) {
        Block *block = &c->blocks[stack[--n]];

        for (unsigned i = 0; i < 2; i++) {
            if (block->succ[i] >= 0 && !c->blocks[block->succ[i]].reachable) {
                c->blocks[block->succ[i]].reachable = true;
                stack[n++] = block->succ[i];
            }
        }
    }
    for (unsigned b = 0; b < c->n_blocks; b++) {
        Block *block = &c->blocks[b];

        if (!block->reachable) {
            for (unsigned i = block->first; i < block->end; i++) {
                c->ir->ops[i] = (IrOp){.opcode = IR_nop};
            }
            block->succ[0] = block->succ[1] = -1;
        }
    }
}

/* Blocks of h..last that h leads to and that lead back to h are in its loop.
 * A jump back to code that does not come round again makes none. */
static void mark_loop(Compile *c, int h, int last, bool *inside, bool *reached)
{
    memset(inside + h, 0, last + 1 - h);
    memset(reached + h, 0, last + 1 - h);
    inside[h] = reached[h] = true;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (int b = h; b <= last; b++) {
            for (unsigned i = 0; i < 2 && reached[b]; i++) {
                int s = c->blocks[b].succ[i];

                if (s >= h && s <= last) {
                    reached[s] = true;
                }
            }
        }
    }
    if (!reached[last]) {
        return;
    }
    for (unsigned pass = 0; pass < 2; pass++) {
        for (int b = last; b > h; b--) {
            for (unsigned i = 0; i < 2; i++) {
                int s = c->blocks[b].succ[i];

                inside[b] |= s >= h && s <= last && inside[s];
            }
        }
    }
    for (int b = h; b <= last; b++) {
        c->blocks[b].depth += inside[b] && reached[b] &&
                              c->blocks[b].depth < 8;
    }
}

static void find_loops(Compile *c)
{
    int32_t *last = ARENA_NEW(c->arena, int32_t, c->n_blocks);

    memset(last, 0xff, c->n_blocks * sizeof(*last));
    for (int b = 0; b < (int)c->n_blocks; b++) {
        for (unsigned i = 0; i < 2; i++) {
            int s = c->blocks[b].succ[i];

            if (s >= 0 && s <= b) {
                last[s] = b;
                c->blocks[s].back_target = true;
            }
        }
    }
    bool *inside = ARENA_NEW0(c->arena, bool, c->n_blocks);
    bool *reached = ARENA_NEW0(c->arena, bool, c->n_blocks);

    for (int h = 0; h < (int)c->n_blocks; h++) {
        if (last[h] >= 0) {
            mark_loop(c, h, last[h], inside, reached);
        }
    }
}

void cfg_build(Compile *c)
{
    Ir *ir = c->ir;
    RawBlock *raw = ARENA_NEW(c->arena, RawBlock, ir->n_ops + 1);
    unsigned n = split(c, raw);

    for (unsigned i = 0; i < n; i++) {
        if (raw[i].cold) {
            reorder(c, raw, n);
            n = split(c, raw);
            break;
        }
    }
    c->n_blocks = n;
    c->blocks = ARENA_NEW0(c->arena, Block, n);
    c->label_block = ARENA_NEW(c->arena, int32_t, ir->n_labels + 1);
    for (unsigned i = 0; i < n; i++) {
        c->blocks[i] = (Block){.first = raw[i].first, .end = raw[i].end,
                               .label = raw[i].label, .cold = raw[i].cold};
        if (raw[i].label != NO_LABEL) {
            c->label_block[raw[i].label] = i;
        }
    }
    link_blocks(c);
    mark_reachable(c);
    find_loops(c);
}

/* --- facts of operations ------------------------------------------------ */

void op_classes(const Ir *ir, const IrOp *op, uint32_t *reads,
                uint32_t *writes)
{
    *reads = *writes = 0;
    switch (op->opcode) {
    case IR_sync:
        *reads = op->src[0] ? 0 : op->imm;
        break;
    case IR_reload:
        *writes = op->src[0] ? 0 : op->imm;
        break;
    case IR_call:
        *reads = ir->calls[op->aux].reads | ir->calls[op->aux].writes;
        *writes = ir->calls[op->aux].writes;
        break;
    case IR_call_region:
        *reads = *writes = ~0u;
        break;
    default:
        if (ir_op_is(op, IRF_X)) {
            *reads = ~0u;
        }
    }
}
