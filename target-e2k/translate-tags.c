/*
 * What is known about register tags at compile time; translate-tagcode.c has
 * the code for the rest.
 *
 * Forward analysis over the nodes of a region: a register's tag bits become
 * known when a bundle that reads it has been passed (operands are tested), a
 * result has been written (number) or setwd has brought it in (undefined).
 * Where paths meet only what all of them know is kept.
 *
 * What is known need not be in memory.  Bits that may be behind there are
 * "stale"; they are stored
 *
 *   - where the region is left on the hot path, for the registers that stay
 *     visible, and at calls for the parameters: many at once, most of them
 *     never;
 *   - on an edge to a node that does not know them;
 *   - by C when code is left for the interpreter: the site has a TagPatch,
 *     and so has each call that had not come back (CallSite).
 *
 * The region's entry tests the registers that are read before they are
 * written, if they are clean when the region is translated.
 */
#include "target-e2k/translate-int.h"

#include <string.h>

#include "tcg/tcg.h"

int trans_guest_reg(Geometry geo, const Operand *operand)
{
    switch (operand->kind) {
    case OPERAND_WINDOW:
        return operand->index;
    case OPERAND_BASED:
        return geometry_based(geo, operand->index);
    case OPERAND_GLOBAL:
        return WINDOW_REGS + operand->index;
    default:
        return -1;
    }
}

static uint8_t width_tag_mask(unsigned width, bool write)
{
    switch (width) {
    case WIDTH_S:
        return 0x03;
    case WIDTH_X: /* results set both halves, operands have one tag */
        return write ? 0xff : 0x0f;
    case WIDTH_P:
        return 0xff;
    default:
        return 0x0f;
    }
}

static void add_read(TagUses *uses, Geometry geo, const Operand *operand,
                     unsigned width, bool conditional)
{
    int reg = trans_guest_reg(geo, operand);
    if (reg >= 0 && width != WIDTH_NONE) {
        uses->reads[uses->n_reads++] =
            (TagUse){ reg, width_tag_mask(width, false), conditional, false };
    }
}

static void add_write(TagUses *uses, Geometry geo, const AlcOp *op,
                      const InsnRow *row, bool dbl)
{
    int reg = trans_guest_reg(geo, &op->dst);
    if (reg < 0 || !trans_has_result(row)) {
        return;
    }
    uint8_t mask = width_tag_mask(row->dst, true);
    if (row->dst == WIDTH_S && dbl && row->sem != SEM_movt) {
        mask = 0x0f;
    }
    /* A tag other than the number's comes from the operand. */
    bool dynamic = row->sem == SEM_puttag &&
                   (op->src2.kind != OPERAND_CONST ||
                    (op->src2.value & mask) != 0);
    uses->writes[uses->n_writes++] =
        (TagUse){ reg, mask, op->n_conds != 0, dynamic };
}

void tags_of_node(const Node *node, TagUses *uses)
{
    const Bundle *b = &node->bundle;
    Geometry geo = node->at.geo;
    bool dbl = b->has_setwd && geo.isa >= 3 ? b->dbl : geo.dbl;

    uses->n_reads = uses->n_writes = 0;
    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        const AlcOp *op = &b->alc[i];
        if (!op->present) {
            continue;
        }
        const InsnRow *row = &insn_rows[op->row];
        bool conditional = op->n_conds != 0;
        if (row->sem != SEM_puttag) {
            add_read(uses, geo, &op->src1, row->src1, conditional);
        }
        if (row->sem != SEM_gettag) {
            add_read(uses, geo, &op->src2, row->src2, conditional);
        }
        add_read(uses, geo, &op->src3, row->src3, conditional);
        if (trans_dam_use(geo.isa, op) == DAM_CHECK) {
            /* Keeps its old value, with its tag, or not. */
            add_read(uses, geo, &op->dst, row->dst, conditional);
        }
        add_write(uses, geo, op, row, dbl);
    }
    for (int i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *m = &b->mova[i];
        int reg = trans_guest_reg(geo, &m->dst);
        if (m->present && reg >= 0) {
            uses->writes[uses->n_writes++] =
                (TagUse){ reg, width_tag_mask(WIDTH_D, true), false, false };
        }
    }
}

void tags_set_clean(TagState *state, unsigned reg, uint8_t mask,
                    bool written)
{
    uint8_t new = mask & (~state->known[reg] | state->value[reg]);

    state->known[reg] |= mask;
    state->value[reg] &= ~mask;
    if (written) {
        state->stale[reg] |= new;
    }
}

bool tags_is_clean(const TagState *state, const TagUse *use)
{
    return (state->known[use->reg] & use->mask) == use->mask &&
           !(state->value[use->reg] & use->mask);
}

uint8_t tags_read_mask(const Node *node, const TagState *state,
                       const TagUse *use)
{
    uint8_t unknown = ~state->known[use->reg];

    if (node->at.geo.dbl && use->mask == 0x03 && (unknown & 0x03)) {
        return use->mask | (unknown & 0x0c);
    }
    return use->mask;
}

void tags_set_window(const Node *node, TagState *state)
{
    const Bundle *b = &node->bundle;
    unsigned old = 2 * node->at.geo.wsz, new = 2 * b->wsz;

    if (b->has_setwd && new > old) {
        memset(state->known + old, 0xff, new - old);
        memset(state->value + old, TAGS_UNDEFINED, new - old);
        memset(state->stale + old, 0xff, new - old);
    } else if (b->has_setwd) {
        memset(state->known + new, 0, old - new);
        memset(state->stale + new, 0, old - new);
    }
}

void tags_after(const Node *node, const TagUses *uses, TagState *state)
{
    for (unsigned i = 0; i < uses->n_reads; i++) {
        const TagUse *use = &uses->reads[i];
        if (!use->conditional) {
            tags_set_clean(state, use->reg, tags_read_mask(node, state, use),
                           false);
        }
    }
    tags_set_window(node, state);
    for (unsigned i = 0; i < uses->n_writes; i++) {
        const TagUse *use = &uses->writes[i];
        if (use->dynamic) {
            state->known[use->reg] &= ~use->mask;
            state->stale[use->reg] = 0;
        } else if (!use->conditional) {
            tags_set_clean(state, use->reg, use->mask, true);
        } else if (!tags_is_clean(state, use)) {
            /* Stored under the condition, on top of what is known. */
            state->known[use->reg] &=
                ~(use->mask & state->value[use->reg]);
            state->stale[use->reg] = 0;
        }
    }
    if (!tcg_opt_enabled(OPT_STALE)) {
        memset(state->stale, 0, sizeof(state->stale)); /* see tags_commit() */
    }
}

/* The callee may have changed everything from the end of the kept part. */
void tags_after_call(const Node *node, TagState *state)
{
    unsigned kept = 2 * node->bundle.wbs;
    memset(state->known + kept, 0, GUEST_REGS - kept);
    memset(state->stale + kept, 0, GUEST_REGS - kept);
    state->ahead = tcg_opt_enabled(OPT_AHEAD) ? (int)kept : 0;
    if (node->clean_result) {
        state->known[kept] = 0x0f;
        state->value[kept] &= 0xf0;
    }
}

/* Keeps what both know; true when into has changed. */
static bool meet(TagState *into, const TagState *from)
{
    bool changed = into->ahead && into->ahead != from->ahead;

    if (changed) {
        into->ahead = 0;
    }
    for (unsigned w = 0; w < TAG_WORDS; w++) {
        uint64_t old = tag_word(into->known, w);
        uint64_t old_stale = tag_word(into->stale, w);
        uint64_t known = old & tag_word(from->known, w) &
                         ~(tag_word(into->value, w) ^
                           tag_word(from->value, w));
        uint64_t stale = (old_stale | tag_word(from->stale, w)) & known;
        changed |= known != old || stale != old_stale;
        memcpy(into->known + 8 * w, &known, 8);
        memcpy(into->stale + 8 * w, &stale, 8);
    }
    return changed;
}

typedef struct Flow {
    const Region *region;
    const TagUses *uses; /* of each node */
    TagState *states;
    bool *seen;
    bool *queued;
    int *queue;
    unsigned n_queue;
} Flow;

static void flow_to(Flow *flow, int node, const TagState *state)
{
    if (node == NODE_NONE) {
        return;
    }
    bool changed = true;
    if (flow->seen[node]) {
        changed = meet(&flow->states[node], state);
    } else {
        flow->states[node] = *state;
        flow->seen[node] = true;
    }
    if (changed && !flow->queued[node]) {
        flow->queued[node] = true;
        flow->queue[flow->n_queue++] = node;
    }
}

static void flow_node(Flow *flow, int index)
{
    const Node *node = &flow->region->nodes[index];
    TagState state;

    if (node->end == END_INTERP) {
        return;
    }
    state = flow->states[index];
    tags_after(node, &flow->uses[index], &state);
    flow_to(flow, node->next_node, &state);
    flow_to(flow, node->taken_node, &state);
    for (unsigned k = 0; k < node->n_targets; k++) {
        flow_to(flow, node->target_node[k], &state);
    }
    if (node->after_call_node != NODE_NONE) {
        tags_after_call(node, &state);
        flow_to(flow, node->after_call_node, &state);
    }
}

static void propagate(const Region *region, const TagUses *all_uses,
                      TagState *states, const TagState *entry)
{
    bool seen[REGION_MAX_NODES] = { false };
    bool queued[REGION_MAX_NODES] = { false };
    int queue[REGION_MAX_NODES];
    Flow flow = { region, all_uses, states, seen, queued, queue, 0 };

    flow_to(&flow, 0, entry);
    while (flow.n_queue) {
        int index = queue[--flow.n_queue];
        queued[index] = false;
        flow_node(&flow, index);
    }
}

/* Tag bits that some path reads before it writes them. */
static void find_needs(const Region *region, const TagUses *all_uses,
                       const TagState *states, uint8_t needs[GUEST_REGS])
{
    memset(needs, 0, GUEST_REGS);
    for (unsigned i = 0; i < region->n_nodes; i++) {
        const TagUses *uses = &all_uses[i];
        if (region->nodes[i].end == END_INTERP) {
            continue;
        }
        for (unsigned k = 0; k < uses->n_reads; k++) {
            unsigned reg = uses->reads[k].reg;
            needs[reg] |= uses->reads[k].mask & ~states[i].known[reg];
        }
    }
}

/* Is a register read soon, before it is written? */
static bool is_wanted(const Region *region, const TagUses *all_uses, int index,
                      unsigned reg)
{
    enum { FAR = 8 };

    for (unsigned steps = 0; steps < FAR && index != NODE_NONE; steps++) {
        const Node *node = &region->nodes[index];
        const TagUses *uses = &all_uses[index];
        if (node->end == END_INTERP) {
            return false;
        }
        for (unsigned i = 0; i < uses->n_reads; i++) {
            if (uses->reads[i].reg == reg && !uses->reads[i].conditional) {
                return true;
            }
        }
        for (unsigned i = 0; i < uses->n_writes; i++) {
            if (uses->writes[i].reg == reg) {
                return false;
            }
        }
        if (node->end == END_FALL) {
            index = node->next_node;
        } else if (node->end == END_BRANCH && !node->conditional) {
            index = node->taken_node;
        } else {
            return false;
        }
    }
    return false;
}

/* Which calls expect a result without a tag, in the first register that the
 * callee shares. */
static void find_results(Region *region, const TagUses *uses)
{
    for (unsigned i = 0; i < region->n_nodes; i++) {
        Node *node = &region->nodes[i];
        unsigned reg = 2 * node->bundle.wbs;
        node->clean_result = node->after_call_node != NODE_NONE &&
                             reg < 2 * node->after_call.geo.wsz &&
                             !trans_without_tags &&
                             tcg_opt_enabled(OPT_RESULTS) &&
                             is_wanted(region, uses, node->after_call_node,
                                       reg);
    }
}

void tags_analyse(Region *region, TagState *states,
                  const RegionHistory *history, uint8_t guard[GUEST_REGS])
{
    const E2kCpu *cpu = region->cpu;
    TagState entry;
    static TagUses uses[REGION_MAX_NODES]; /* under the translation lock */

    for (unsigned i = 0; i < region->n_nodes; i++) {
        if (region->nodes[i].end != END_INTERP) {
            tags_of_node(&region->nodes[i], &uses[i]);
        }
    }
    find_results(region, uses);
    memset(&entry, 0, sizeof(entry));
    propagate(region, uses, states, &entry);
    find_needs(region, uses, states, guard);
    for (unsigned i = 0; i < GUEST_REGS; i++) {
        uint8_t now = i < WINDOW_REGS ? cpu->win_tags[i]
                                      : cpu->g_tags[i - WINDOW_REGS];
        if (i < WINDOW_REGS && i >= 2 * region->key.geo.wsz) {
            guard[i] = 0; /* not there yet */
        }
        if ((now & guard[i]) || (history && history->tagged[i])) {
            guard[i] = 0; /* tested where it is used */
        } else if (guard[i] && !(now & 0x0f)) {
            guard[i] |= 0x0f; /* so that a result changes nothing */
        }
        entry.known[i] = guard[i];
    }
    propagate(region, uses, states, &entry);
}
