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
 */
#include "target-e2k/translate-int.h"

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
