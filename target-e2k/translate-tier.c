/*
 * When code of the first tier has run often.
 *
 * A first-tier region counts how often it is entered, and each of its loops
 * how often it comes round.  From the threshold on, the way leads out of the
 * region with a key that asks for the second tier:
 *
 *        d = ++counter                    promotion:
 *        if d >= threshold                     tags, CTPRs to memory
 *           goto promotion  -------->          goto region (here, key | full)
 *
 * The jump makes that region (jit.c:resolve()) and is chained to it like any
 * other.  A loop is left at its head, so that one that is entered once and
 * runs for long gets its good code too; the region it was in goes on to be
 * used by others and counts on.  Between bundles everything is exact: what is
 * known there is brought to memory as at any way out.
 *
 * First-tier code also notes where its indirect jumps go.  What it has seen
 * becomes part of the second tier's region, so that an interpreter in the
 * guest goes from operation to operation without leaving.
 */
#include "target-e2k/translate-int.h"

#include <string.h>

unsigned trans_tier_threshold;

void trans_count(Trans *t, const Place *place)
{
    if (t->region->tier == TCG_TIER_FULL || t->n_promotions == TRANS_MAX_PROMOTIONS) {
        return;
    }
    Promotion *p = &t->promotions[t->n_promotions++];
    IrReg count = ir_temp(t->ir);

    p->label = ir_new_label(t->ir);
    p->place = *place;
    p->tags = t->now;
    ir_bump(t->ir, count, ir_keep(t->ir, sizeof(uint32_t)));
    ir_brcond(t->ir, IR_GEU, 4, count, trans_imm(t, trans_tier_threshold),
              p->label);
}

void trans_promotions(Trans *t)
{
    for (unsigned i = 0; i < t->n_promotions; i++) {
        const Promotion *p = &t->promotions[i];

        ir_label_cold(t->ir, p->label);
        t->now = p->tags;
        trans_goto_place(t, &p->place, true);
    }
}

/* ------------------------------------------------------------------------
 * Targets of indirect jumps
 */

enum {
    JUMP_BITS = 8,
    TARGET_BITS = 6, /* so that few of a jump's targets share a place */
};

/*
 * A table by hash of the jump's address, each with some of its targets, by
 * hash of the target.  The table is written under the translation lock, the
 * targets by generated code of any CPU: what is wrong there only costs time.
 */
static struct {
    uint64_t ip;
    uint64_t seen[1 << TARGET_BITS];
} jumps[1 << JUMP_BITS];

static const uint64_t spread = UINT64_C(0x9e3779b97f4a7c15);

static unsigned jump_slot(uint64_t ip)
{
    return (ip >> 3) * spread >> (64 - JUMP_BITS);
}

void trans_note_target(Trans *t)
{
    uint64_t ip = t->region->space | t->node->at.ip;
    unsigned slot = jump_slot(ip);
    Ir *ir = t->ir;

    if (t->region->tier == TCG_TIER_FULL || !tcg_opt_enabled(OPT_TIERS) ||
        !tcg_opt_enabled(OPT_TARGETS)) {
        return;
    }
    if (jumps[slot].ip != ip) {
        memset(&jumps[slot], 0, sizeof(jumps[slot]));
        jumps[slot].ip = ip;
    }
    IrReg at = ir_new2i(ir, IR_mul, 8, t->target, spread);
    at = ir_new2i(ir, IR_shr, 8, at, 64 - TARGET_BITS);
    at = ir_new2i(ir, IR_shl, 8, at, 3);
    at = ir_new2i(ir, IR_add, 8, at, (uintptr_t)jumps[slot].seen);
    ir_st(ir, 8, at, 0, t->target);
}

unsigned trans_seen_targets(uint64_t ip, uint64_t targets[NODE_TARGETS])
{
    unsigned slot = jump_slot(ip);
    uint64_t space = ip >> CODE_SPACE_SHIFT;
    unsigned n = 0;

    if (jumps[slot].ip != ip || !tcg_opt_enabled(OPT_TARGETS)) {
        return 0;
    }
    for (unsigned i = 0; i < 1 << TARGET_BITS && n < NODE_TARGETS; i++) {
        uint64_t target = __atomic_load_n(&jumps[slot].seen[i],
                                          __ATOMIC_RELAXED);
        if (target && !(target & 7) && target >> CODE_SPACE_SHIFT == space) {
            targets[n++] = target & CTPR_BASE_MASK;
        }
    }
    return n;
}
