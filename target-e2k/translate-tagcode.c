/*
 * The code for tags: tests of those that are not known, stores of those that
 * someone may look at, and what C stores when code is left.  What is known is
 * the business of translate-tags.c.
 */
#include "target-e2k/translate-int.h"

#include <string.h>

#include "tcg/tcg.h"

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
        uint8_t mask = tags_read_mask(t->node, &t->now, use);
        uint8_t known = t->now.known[use->reg] & mask;
        if (t->now.value[use->reg] & known) {
            ir_br(t->ir, trans_interp_exit(t));
            ir_label(t->ir, ir_new_label(t->ir));
        } else if (known != mask) {
            test_tags(t, use->reg, 1, mask & ~known, trans_interp_exit(t));
        }
        tags_set_clean(&t->now, use->reg, mask, false);
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
            tags_set_clean(&t->now, use->reg, use->mask, !trans_without_tags);
            continue;
        }
        if (tags_is_clean(&t->now, use)) {
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
        tags_set_clean(&t->now, uses->writes[w].reg, uses->writes[w].mask,
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
