/*
 * What is known about register tags at compile time.
 *
 * Forward analysis over the nodes of a region: a register's tag bits become
 * known when a bundle that reads it has been passed (operands are tested), a
 * result has been written (number) or setwd has brought it in (undefined).
 * Where paths meet only what all of them know is kept.
 *
 * The region's entry tests the registers that are read before they are
 * written, if they are clean when the region is translated.
 */
#include "target-e2k/translate-int.h"

#include <string.h>

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

static uint8_t width_tag_mask(unsigned width)
{
    switch (width) {
    case WIDTH_S:
        return 0x03;
    case WIDTH_X:
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
            (TagUse){ reg, width_tag_mask(width), conditional };
    }
}

static void add_write(TagUses *uses, Geometry geo, const AlcOp *op,
                      const InsnRow *row, bool dbl)
{
    int reg = trans_guest_reg(geo, &op->dst);
    if (reg < 0 || row->dst == WIDTH_NONE || row->dst == WIDTH_PRED ||
        row->dst == WIDTH_STATE) {
        return;
    }
    uint8_t mask = width_tag_mask(row->dst);
    if (row->dst == WIDTH_S && dbl && row->sem != SEM_movt) {
        mask = 0x0f;
    }
    uses->writes[uses->n_writes++] = (TagUse){ reg, mask, op->n_conds != 0 };
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
        add_read(uses, geo, &op->src1, row->src1, conditional);
        add_read(uses, geo, &op->src2, row->src2, conditional);
        add_read(uses, geo, &op->src3, row->src3, conditional);
        add_write(uses, geo, op, row, dbl);
    }
    for (int i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *m = &b->mova[i];
        int reg = trans_guest_reg(geo, &m->dst);
        if (m->present && reg >= 0) {
            uses->writes[uses->n_writes++] =
                (TagUse){ reg, width_tag_mask(WIDTH_D), false };
        }
    }
}

static void set_known(TagState *state, unsigned reg, uint8_t mask,
                      uint8_t value)
{
    state->known[reg] |= mask;
    state->value[reg] = (state->value[reg] & ~mask) | (value & mask);
}

void tags_after(const Node *node, const TagUses *uses, TagState *state)
{
    const Bundle *b = &node->bundle;

    for (unsigned i = 0; i < uses->n_reads; i++) {
        const TagUse *use = &uses->reads[i];
        if (!use->conditional) {
            set_known(state, use->reg, use->mask, 0);
        }
    }
    if (b->has_setwd && b->wsz > node->at.geo.wsz) {
        unsigned first = 2 * node->at.geo.wsz;
        unsigned n = 2 * b->wsz - first;
        memset(state->known + first, 0xff, n);
        memset(state->value + first, TAGS_UNDEFINED, n);
    }
    for (unsigned i = 0; i < uses->n_writes; i++) {
        const TagUse *use = &uses->writes[i];
        if (!use->conditional) {
            set_known(state, use->reg, use->mask, 0);
        } else {
            /* Stays known only where it was clean already. */
            state->known[use->reg] &=
                ~(use->mask & state->value[use->reg]);
        }
    }
}

/* The callee may have changed everything from the end of the kept part. */
static void forget_after_call(const Node *node, TagState *state)
{
    unsigned kept = 2 * node->bundle.wbs;
    memset(state->known + kept, 0, GUEST_REGS - kept);
}

/* Keeps what both know; true when into has changed. */
static bool meet(TagState *into, const TagState *from)
{
    bool changed = false;
    for (unsigned i = 0; i < GUEST_REGS; i++) {
        uint8_t known = into->known[i] & from->known[i] &
                        ~(into->value[i] ^ from->value[i]);
        changed |= known != into->known[i];
        into->known[i] = known;
    }
    return changed;
}

typedef struct Flow {
    const Region *region;
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
    TagState state = flow->states[index];
    TagUses uses;

    if (node->end == END_INTERP) {
        return;
    }
    tags_of_node(node, &uses);
    tags_after(node, &uses, &state);
    flow_to(flow, node->next_node, &state);
    flow_to(flow, node->taken_node, &state);
    if (node->after_call_node != NODE_NONE) {
        forget_after_call(node, &state);
        flow_to(flow, node->after_call_node, &state);
    }
}

static void propagate(const Region *region, TagState *states,
                      const TagState *entry)
{
    bool seen[REGION_MAX_NODES] = { false };
    bool queued[REGION_MAX_NODES] = { false };
    int queue[REGION_MAX_NODES];
    Flow flow = { region, states, seen, queued, queue, 0 };

    flow_to(&flow, 0, entry);
    while (flow.n_queue) {
        int index = queue[--flow.n_queue];
        queued[index] = false;
        flow_node(&flow, index);
    }
}

/* Tag bits that some path reads before it writes them. */
static void find_needs(const Region *region, const TagState *states,
                       uint8_t needs[GUEST_REGS])
{
    memset(needs, 0, GUEST_REGS);
    for (unsigned i = 0; i < region->n_nodes; i++) {
        const Node *node = &region->nodes[i];
        TagUses uses;
        if (node->end == END_INTERP) {
            continue;
        }
        tags_of_node(node, &uses);
        for (unsigned k = 0; k < uses.n_reads; k++) {
            unsigned reg = uses.reads[k].reg;
            needs[reg] |= uses.reads[k].mask & ~states[i].known[reg];
        }
    }
}

void tags_analyse(const Region *region, TagState *states,
                  const RegionHistory *history, uint8_t guard[GUEST_REGS])
{
    const E2kCpu *cpu = region->cpu;
    TagState entry;

    memset(&entry, 0, sizeof(entry));
    propagate(region, states, &entry);
    find_needs(region, states, guard);
    for (unsigned i = 0; i < GUEST_REGS; i++) {
        uint8_t now = i < WINDOW_REGS ? cpu->win_tags[i]
                                      : cpu->g_tags[i - WINDOW_REGS];
        if (i < WINDOW_REGS && i >= 2 * region->key.geo.wsz) {
            guard[i] = 0; /* not there yet */
        }
        if ((now & guard[i]) || (history && history->tagged[i])) {
            guard[i] = 0; /* tested where it is used */
        }
        entry.known[i] = guard[i];
    }
    propagate(region, states, &entry);
}
