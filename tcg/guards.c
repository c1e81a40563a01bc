/*
 * Which guest addresses have been checked on all ways to a block.
 *
 * In user mode an access checks that its base register does not point to the
 * emulator's own memory (x86-mem.c), once per block.  This forward analysis
 * carries "has been checked" over block borders, where all predecessors know
 * it, so that the stack pointer of a loop is checked before the loop.
 *
 *   checked at the end = (checked at the start - assigned) + bases of accesses
 *
 * Sets are of cross vregs.  A call that comes back has kept the caller's own
 * registers (ir_call_keeps()): when something else may have changed them,
 * code has been left in between, and the caller goes on at another entry.
 */
#include <string.h>

#include "tcg/tcg-int.h"

/* The base that an access leaves checked, or IR_NONE; as guard_address(). */
IrReg guarded_base(const Compile *c, const IrOp *op)
{
    uint64_t value;
    IrReg base = op->src[0];

    if ((op->opcode != IR_gld && op->opcode != IR_gst) || op->src[1] ||
        op->imm < 0 || op->dst == base || ir_is_const(c->ir, base, &value)) {
        return IR_NONE;
    }
    return base;
}

/* Does a global have its old value after a call, and the reload after it? */
static bool is_kept(const Compile *c, const IrOp *op, IrReg reg)
{
    const IrVreg *vreg = &c->ir->vregs[reg];
    int64_t kept_bytes = 0;

    if (op->opcode == IR_call_region) {
        kept_bytes = c->ir->exits[op->aux].kept_bytes;
    } else if (op->opcode == IR_reload) {
        kept_bytes = op->aux;
    }
    return vreg->class == op->cond &&
           vreg->offset + vreg->home_size <= kept_bytes;
}

void guards_step(const Compile *c, unsigned i, uint64_t *checked)
{
    const IrOp *op = &c->ir->ops[i];
    const uint64_t *lost = c->forget[i];
    IrReg base = guarded_base(c, op);

    for (unsigned bit = 0; lost && bit < c->n_globals; bit++) {
        if (set_has(lost, bit) && !is_kept(c, op, c->cross[bit])) {
            set_remove(checked, bit);
        }
    }
    if (op->dst && c->info[op->dst].cross) {
        set_remove(checked, c->info[op->dst].cross_bit);
    }
    if (base && c->info[base].cross) {
        set_add(checked, c->info[base].cross_bit);
    }
}

/* Keeps what both know; true when the first has changed. */
static bool meet(uint64_t *into, const uint64_t *from, unsigned words)
{
    bool changed = false;

    for (unsigned w = 0; w < words; w++) {
        changed |= (into[w] & ~from[w]) != 0;
        into[w] &= from[w];
    }
    return changed;
}

void guards_find(Compile *c)
{
    size_t bytes = c->words * sizeof(uint64_t);
    uint64_t *now = ARENA_NEW(c->arena, uint64_t, c->words);
    bool changed = true;

    c->checked = ARENA_NEW(c->arena, uint64_t, c->n_blocks * c->words);
    memset(c->checked, 0xff, c->n_blocks * bytes);
    memset(c->checked, 0, bytes);
    while (changed) {
        changed = false;
        for (unsigned b = 0; b < c->n_blocks; b++) {
            const Block *block = &c->blocks[b];

            memcpy(now, c->checked + b * c->words, bytes);
            for (unsigned i = block->first; i < block->end; i++) {
                guards_step(c, i, now);
            }
            for (unsigned k = 0; k < 2; k++) {
                if (block->succ[k] >= 0) {
                    changed |= meet(c->checked + block->succ[k] * c->words,
                                    now, c->words);
                }
            }
        }
    }
}
