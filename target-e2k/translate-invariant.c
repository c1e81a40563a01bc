/*
 * Loop-invariant tests of the array unit and of LSR.strmd, moved out of loops.
 *
 * A bundle with mova, staa or stores in loop_mode looks at fields that only
 * few bundles change (aaurw, rw, eap, calls): are streams running, which
 * element size, is a descriptor tagged.  Where none of those bundles lies on
 * the way from the region's entry, the node is "steady": its tests are made
 * once, at the entry, for the values the fields have when the region is
 * translated.  RegionHistory remembers regions where that has failed.
 */
#include "target-e2k/translate-int.h"

#include <string.h>

static bool changes_fields(const Node *node)
{
    const Bundle *b = &node->bundle;

    if (b->eap || node->end == END_CALL || node->end == END_CALL_INDIRECT) {
        return true;
    }
    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        unsigned sem = b->alc[i].present ? insn_rows[b->alc[i].row].sem
                                         : SEM_COUNT;
        if (sem == SEM_aaurw || sem == SEM_rw) {
            return true;
        }
    }
    return false;
}

static void flow(Region *region)
{
    bool changed = true;

    for (unsigned i = 0; i < region->n_nodes; i++) {
        region->nodes[i].steady = true;
    }
    while (changed) {
        changed = false;
        for (unsigned i = 0; i < region->n_nodes; i++) {
            const Node *node = &region->nodes[i];
            if (node->end == END_INTERP ||
                (node->steady && !changes_fields(node))) {
                continue;
            }
            for (unsigned k = 0; k < node_ways(node); k++) {
                int to = node_way(node, k);
                if (to != NODE_NONE && region->nodes[to].steady) {
                    region->nodes[to].steady = false;
                    changed = true;
                }
            }
        }
    }
}

static uint64_t value_now(const Trans *t, IrReg reg)
{
    const IrVreg *vreg = &t->ir->vregs[reg];
    uint64_t value = 0;

    memcpy(&value, (const char *)t->cpu + vreg->offset, vreg->home_size);
    return value;
}

void trans_invariant(Trans *t, IrReg reg, uint64_t mask, uint64_t value)
{
    Ir *ir = t->ir;
    uint32_t label;

    if (t->invariants == INVARIANTS_CHECK) {
        t->invariants_hold &= (value_now(t, reg) & mask) == value;
        return;
    }
    if (t->invariants == INVARIANTS_ENTRY) {
        for (unsigned i = 0; i < t->n_hoisted; i++) {
            const Invariant *h = &t->hoisted[i];
            if (h->reg == reg && h->mask == mask && h->value == value) {
                return;
            }
        }
        if (t->n_hoisted < G_N_ELEMENTS(t->hoisted)) {
            t->hoisted[t->n_hoisted++] = (Invariant){ reg, mask, value };
        }
        label = t->invariant_label;
    } else if (t->invariants == INVARIANTS_HOISTED && t->node->steady) {
        return;
    } else {
        label = trans_interp_exit(t);
    }
    if (mask != ~UINT64_C(0)) {
        reg = ir_new2i(ir, IR_and, 8, reg, mask);
    }
    ir_brcond(ir, IR_NE, 8, reg, trans_imm(t, value), label);
}

/* The invariant tests of all steady nodes. */
static void each_node(Trans *t)
{
    for (unsigned i = 0; i < t->region->n_nodes; i++) {
        t->node = &t->region->nodes[i];
        if (t->node->steady && t->node->end != END_INTERP) {
            trans_array_invariants(t);
            trans_loop_invariants(t);
        }
    }
}

void trans_hoist_invariants(Trans *t, const Place *entry, bool varies)
{
    t->invariants = INVARIANTS_INLINE;
    if (varies || !tcg_opt_enabled(OPT_LICM) ||
        t->region->tier != TCG_TIER_FULL) {
        return;
    }
    flow(t->region);
    t->invariants = INVARIANTS_CHECK;
    t->invariants_hold = true;
    each_node(t);
    if (!t->invariants_hold) {
        t->invariants = INVARIANTS_INLINE;
        return;
    }
    t->invariants = INVARIANTS_ENTRY;
    t->invariant_label = trans_cold_exit(t, TRANS_EXIT_GUARD, entry);
    each_node(t);
    t->invariants = INVARIANTS_HOISTED;
}
