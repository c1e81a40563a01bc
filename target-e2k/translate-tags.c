/*
 * What is known about register tags at compile time, and the code for the
 * rest.
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
    if (reg < 0 || row->dst == WIDTH_NONE || row->dst == WIDTH_PRED ||
        row->dst == WIDTH_STATE) {
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

/* The tag bits are number from now on: by a result (memory is behind then) or
 * because a test has said so. */
static void set_clean(TagState *state, unsigned reg, uint8_t mask,
                      bool written)
{
    uint8_t new = mask & (~state->known[reg] | state->value[reg]);

    state->known[reg] |= mask;
    state->value[reg] &= ~mask;
    if (written) {
        state->stale[reg] |= new;
    }
}

static bool is_clean(const TagState *state, const TagUse *use)
{
    return (state->known[use->reg] & use->mask) == use->mask &&
           !(state->value[use->reg] & use->mask);
}

/*
 * The bits to test for a read.  Where results of 32 bits clear the tag of the
 * whole register, the upper half is tested with the lower: then a result
 * changes nothing.
 */
static uint8_t read_mask(const Node *node, const TagState *state,
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
            set_clean(state, use->reg, read_mask(node, state, use), false);
        }
    }
    tags_set_window(node, state);
    for (unsigned i = 0; i < uses->n_writes; i++) {
        const TagUse *use = &uses->writes[i];
        if (use->dynamic) {
            state->known[use->reg] &= ~use->mask;
            state->stale[use->reg] = 0;
        } else if (!use->conditional) {
            set_clean(state, use->reg, use->mask, true);
        } else if (!is_clean(state, use)) {
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

/* Tag bytes of eight registers at once. */
enum { TAG_WORDS = GUEST_REGS / 8 };

static inline uint64_t tag_word(const uint8_t *bytes, unsigned w)
{
    uint64_t word;
    memcpy(&word, bytes + 8 * w, 8);
    return word;
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

/* ------------------------------------------------------------------------
 * Code
 */

static void tag_place(Trans *t, unsigned reg, IrReg *base, int32_t *offset)
{
    if (reg < WINDOW_REGS) {
        *base = t->win_tags;
        *offset = (int)reg - t->now.ahead;
    } else {
        *base = ir_cpu(t->ir);
        *offset = offsetof(E2kCpu, g_tags) + (reg - WINDOW_REGS);
    }
}

IrReg tags_load(Trans *t, unsigned guest_reg, uint8_t mask)
{
    const TagState *now = &t->now;
    uint8_t stale = now->stale[guest_reg] & mask;
    IrReg base, tag;
    int32_t offset;

    if (trans_without_tags || (now->known[guest_reg] & mask) == mask) {
        return trans_imm(t, now->value[guest_reg] & mask);
    }
    tag = ir_temp(t->ir);
    tag_place(t, guest_reg, &base, &offset);
    ir_ld(t->ir, 1, tag, base, offset);
    tag = ir_new2i(t->ir, IR_and, 8, tag, mask & ~stale);
    return stale ? ir_new2i(t->ir, IR_or, 8, tag,
                            now->value[guest_reg] & stale)
                 : tag;
}

/* Leaves through label when one of the masked tag bits is set. */
static void test_tags(Trans *t, unsigned reg, unsigned bytes, uint64_t mask,
                      uint32_t label)
{
    IrReg base, tags = ir_temp(t->ir);
    int32_t offset;

    tag_place(t, reg, &base, &offset);
    ir_ld(t->ir, bytes, tags, base, offset);
    ir_brcond(t->ir, IR_TSTNE, 8, tags, trans_imm(t, mask), label);
}

/*
 * The entry's test.  Tags may have been stored a moment ago, one by one, and
 * the host cannot forward several narrow stores to a wide load: a few
 * registers are tested one by one, many at once.
 */
static void guard_group(Trans *t, unsigned first, const uint8_t *guard,
                        uint32_t label)
{
    enum { FEW = 3 };
    uint64_t mask = 0;
    unsigned n = 0;

    for (unsigned k = 0; k < 8; k++) {
        mask |= (uint64_t)guard[k] << (8 * k);
        n += guard[k] != 0;
    }
    if (n > FEW) {
        test_tags(t, first, 8, mask, label);
        return;
    }
    for (unsigned k = 0; k < 8; k++) {
        if (guard[k]) {
            test_tags(t, first + k, 1, guard[k], label);
        }
    }
}

void tags_emit_guard(Trans *t, const Place *entry,
                     const uint8_t guard[GUEST_REGS])
{
    uint32_t label = 0;
    bool any = false;

    if (trans_without_tags) {
        return;
    }
    for (unsigned i = 0; i < GUEST_REGS; i++) {
        any |= guard[i] != 0;
    }
    if (any) {
        label = trans_cold_exit(t, TRANS_EXIT_GUARD, entry);
    }
    for (unsigned i = 0; any && i < GUEST_REGS; i += 8) {
        guard_group(t, i, guard + i, label);
    }
}

/* Fact of ir_facts() for each of the first registers of a window: the tag of
 * its main part is a number's. */
enum { FACT_REGS = 63, FACT_NEVER = 63 };

uint64_t tags_facts(const Trans *t, unsigned window)
{
    uint64_t facts = 0;

    for (unsigned i = 0; i < FACT_REGS && window + i < WINDOW_REGS; i++) {
        bool clean = (t->now.known[window + i] & 0x0f) == 0x0f &&
                     !(t->now.value[window + i] & 0x0f);
        facts |= (uint64_t)clean << i;
    }
    return trans_without_tags ? 0 : facts;
}

uint64_t tags_guard_facts(const uint8_t guard[GUEST_REGS])
{
    uint64_t facts = 0;

    for (unsigned i = 0; i < GUEST_REGS && !trans_without_tags; i++) {
        if (guard[i]) {
            bool named = i < FACT_REGS && guard[i] == 0x0f;
            facts |= UINT64_C(1) << (named ? i : FACT_NEVER);
        }
    }
    return facts;
}

void tags_emit_checks(Trans *t, const TagUses *uses)
{
    if (trans_without_tags) {
        return;
    }
    for (unsigned i = 0; i < uses->n_reads; i++) {
        const TagUse *use = &uses->reads[i];
        uint8_t mask = read_mask(t->node, &t->now, use);
        uint8_t known = t->now.known[use->reg] & mask;
        if (t->now.value[use->reg] & known) {
            ir_br(t->ir, trans_interp_exit(t));
            ir_label(t->ir, ir_new_label(t->ir));
        } else if (known != mask) {
            test_tags(t, use->reg, 1, mask & ~known, trans_interp_exit(t));
        }
        set_clean(&t->now, use->reg, mask, false);
    }
}

/* Stores the bits of mask of a tag byte, all others being unknown. */
static void store_bits(Trans *t, unsigned reg, uint8_t mask, uint8_t value)
{
    IrReg base, tag;
    int32_t offset;

    tag_place(t, reg, &base, &offset);
    if (mask == 0xff) {
        ir_st(t->ir, 1, base, offset, trans_imm(t, value));
        return;
    }
    tag = ir_temp(t->ir);
    ir_ld(t->ir, 1, tag, base, offset);
    tag = ir_new2i(t->ir, IR_and, 8, tag, (uint8_t)~mask);
    if (value & mask) {
        tag = ir_new2i(t->ir, IR_or, 8, tag, value & mask);
    }
    ir_st(t->ir, 1, base, offset, tag);
}

/*
 * How many bytes one store takes from reg on: all of them known, the last of
 * them stale.  0: not all bits of the first are known.
 */
static unsigned store_span(const TagState *now, unsigned reg, unsigned end)
{
    unsigned known = 0, wanted = 0;

    end = reg < WINDOW_REGS ? MIN(end, WINDOW_REGS) : end;
    while (reg + known < end && known < 8 && now->known[reg + known] == 0xff) {
        known++;
        wanted = now->stale[reg + known - 1] ? known : wanted;
    }
    for (unsigned n = 8; n > 1; n /= 2) {
        if (known >= n && 2 * wanted > n) {
            return n;
        }
    }
    return known ? 1 : 0;
}

/*
 * The stale bits of several bytes of which not all bits are known: one
 * read-modify-write for as many as there are in a word.  Returns for how many
 * registers.
 */
static unsigned store_some_bits(Trans *t, unsigned reg, unsigned end)
{
    const TagState *now = &t->now;
    uint64_t mask = 0, value = 0;
    unsigned n = 4;
    IrReg base, tags;
    int32_t offset;

    end = reg < WINDOW_REGS ? MIN(end, WINDOW_REGS) : end;
    while (n > 1 && (reg + n > end || !now->stale[reg + n - 1])) {
        n /= 2;
    }
    if (n == 1) {
        store_bits(t, reg, now->stale[reg], now->value[reg]);
        return 1;
    }
    for (unsigned k = 0; k < n; k++) {
        uint8_t stale = now->stale[reg + k];
        mask |= (uint64_t)stale << (8 * k);
        value |= (uint64_t)(now->value[reg + k] & stale) << (8 * k);
    }
    tag_place(t, reg, &base, &offset);
    tags = ir_temp(t->ir);
    ir_ld(t->ir, n, tags, base, offset);
    tags = ir_new2i(t->ir, IR_and, 8, tags,
                    ~mask & ((UINT64_C(1) << (8 * n)) - 1));
    if (value) {
        tags = ir_new2i(t->ir, IR_or, 8, tags, value);
    }
    ir_st(t->ir, n, base, offset, tags);
    return n;
}

void tags_flush(Trans *t, unsigned first, unsigned end)
{
    TagState *now = &t->now;

    if (trans_without_tags) {
        return;
    }
    for (unsigned reg = first; reg < end;) {
        if (reg % 8 == 0 && !tag_word(now->stale, reg / 8)) {
            reg += 8;
            continue;
        }
        if (!now->stale[reg]) {
            reg++;
            continue;
        }
        unsigned n = store_span(now, reg, end);
        if (!n) {
            n = store_some_bits(t, reg, end);
        } else {
            uint64_t value = 0;
            IrReg base;
            int32_t offset;
            for (unsigned k = 0; k < n; k++) {
                value |= (uint64_t)now->value[reg + k] << (8 * k);
            }
            tag_place(t, reg, &base, &offset);
            ir_st(t->ir, n, base, offset, trans_imm(t, value));
        }
        memset(now->stale + reg, 0, n);
        reg += n;
    }
}

static void move_pointer(Trans *t, int bytes)
{
    if (bytes && !trans_without_tags) {
        ir_op2(t->ir, IR_add, 8, t->win_tags, t->win_tags,
               trans_imm(t, (int64_t)bytes));
    }
}

void tags_move(Trans *t, int wbs)
{
    if (wbs < 0 && tcg_opt_enabled(OPT_AHEAD)) {
        t->now.ahead = -2 * wbs;
    } else {
        move_pointer(t, 2 * wbs - t->now.ahead);
        t->now.ahead = 0;
    }
}

void tags_flush_visible(Trans *t, unsigned window_regs)
{
    tags_move(t, 0);
    tags_flush(t, 0, window_regs);
    memset(t->now.stale + window_regs, 0, WINDOW_REGS - window_regs);
    tags_flush(t, WINDOW_REGS, GUEST_REGS);
}

bool tags_edge_is_clean(const Trans *t, int target)
{
    const TagState *to = &t->tags[target];

    if (t->now.ahead != to->ahead) {
        return false;
    }
    for (unsigned w = 0; w < TAG_WORDS; w++) {
        if (tag_word(t->now.stale, w) & ~tag_word(to->stale, w)) {
            return false;
        }
    }
    return true;
}

void tags_flush_edge(Trans *t, int target)
{
    const TagState *to = &t->tags[target];

    if (tags_edge_is_clean(t, target)) {
        return;
    }
    move_pointer(t, to->ahead - t->now.ahead);
    t->now.ahead = to->ahead;
    for (unsigned i = 0; i < GUEST_REGS; i++) {
        if (!(t->now.stale[i] & ~to->stale[i])) {
            continue;
        }
        unsigned end = i + 1;
        while (end < GUEST_REGS && (t->now.stale[end] & ~to->stale[end])) {
            end++;
        }
        tags_flush(t, i, end);
        i = end;
    }
}

/* puttag: the tag comes from an operand. */
static void commit_dynamic(Trans *t, const TransOp *o, const TagUse *use)
{
    Ir *ir = t->ir;
    uint32_t skip = 0;
    IrReg base, tag = o->tag;
    int32_t offset;

    tags_flush(t, use->reg, use->reg + 1);
    if (o->qualified) {
        skip = ir_new_label(ir);
        trans_branch_not(t, &o->cond, skip);
    }
    if (o->row->dst == WIDTH_S && use->mask == 0x0f) {
        tag = ir_new2(ir, IR_mul, 8, tag, trans_imm(t, 5)); /* WD.dbl */
    }
    tag_place(t, use->reg, &base, &offset);
    if (use->mask != 0xff) {
        IrReg others = tags_load(t, use->reg, ~use->mask);
        tag = ir_new2(ir, IR_or, 8, tag, others);
    }
    ir_st(ir, 1, base, offset, tag);
    if (o->qualified) {
        ir_label(ir, skip);
    }
    t->now.known[use->reg] &= ~use->mask;
}

void tags_commit(Trans *t, const TagUses *uses, const TransOp *ops,
                 unsigned n)
{
    unsigned w = 0;

    for (unsigned i = 0; i < n && w < uses->n_writes; i++) {
        const TransOp *o = &ops[i];
        if (o->dst < 0) {
            continue;
        }
        const TagUse *use = &uses->writes[w++];
        if (o->tag != IR_NONE) {
            commit_dynamic(t, o, use);
            continue;
        }
        if (!o->qualified) {
            set_clean(&t->now, use->reg, use->mask, !trans_without_tags);
            continue;
        }
        if (is_clean(&t->now, use)) {
            continue;
        }
        uint8_t *known = &t->now.known[use->reg];
        uint8_t *value = &t->now.value[use->reg];
        if (!trans_without_tags) {
            uint32_t skip = ir_new_label(t->ir);
            tags_flush(t, use->reg, use->reg + 1);
            trans_branch_not(t, &o->cond, skip);
            store_bits(t, use->reg, *known | use->mask, *value & ~use->mask);
            ir_label(t->ir, skip);
        }
        *known &= ~(use->mask & *value);
    }
    for (; w < uses->n_writes; w++) { /* mova */
        set_clean(&t->now, uses->writes[w].reg, uses->writes[w].mask,
                  !trans_without_tags);
    }
    if (!tcg_opt_enabled(OPT_STALE)) {
        tags_flush(t, 0, GUEST_REGS);
    }
}

/* ------------------------------------------------------------------------
 * Leaving for C
 */

const TagPatch *tags_patch(Trans *t, const TagState *state)
{
    TagPatch patch;

    patch.n = 0;
    for (unsigned i = 0; i < GUEST_REGS && !trans_without_tags; i++) {
        if (i % 8 == 0 && !tag_word(state->stale, i / 8)) {
            i += 7;
        } else if (state->stale[i]) {
            patch.bytes[patch.n++] =
                (TagByte){ i, state->stale[i], state->value[i] };
        }
    }
    size_t size = offsetof(TagPatch, bytes) + patch.n * sizeof(TagByte);
    if (!patch.n) {
        return NULL;
    }
    if (!t->patch || t->patch->n != patch.n ||
        memcmp(t->patch, &patch, size)) {
        t->patch = memcpy(ir_keep(t->ir, size), &patch, size);
    }
    return t->patch;
}

void tags_apply(E2kCpu *cpu, const TagPatch *patch)
{
    for (unsigned i = 0; patch && i < patch->n; i++) {
        const TagByte *b = &patch->bytes[i];
        uint8_t *tag = b->reg < WINDOW_REGS ? &cpu->win_tags[b->reg]
                                            : &cpu->g_tags[b->reg - WINDOW_REGS];
        *tag = (*tag & ~b->mask) | (b->value & b->mask);
    }
}
