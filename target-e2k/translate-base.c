/*
 * Accesses through base registers that hardly change, in machines.
 *
 * Compiled code reaches its variables through a frame pointer.  Where a region
 * makes several accesses at constant offsets from one register, which is
 * assigned nowhere in the region or once at its beginning, one test takes the
 * place of a TLB probe for each:
 *
 *        page = [site.tag]
 *        if base + first or base + last    fill: site = TLB's answer for the
 *           is not on page goto fill             first byte; if the last one is
 *   back: host = [site.host] + base              on another page: exit
 *        ...                                     goto back
 *        accesses to [host + offset], which cannot fault
 *
 * The test is made at the region's entry or after the assignment, and again
 * after each call: callees use the slot, too.  Nothing but the CPU's own
 * thread, outside of generated code, takes anything out of a TLB.
 *
 * When all of the bytes are not on one page of RAM, the region is left and the
 * dispatcher goes on with another version of the code, without bases, whose
 * key has "split" set.
 */
#include "target-e2k/translate-int.h"

enum {
    MOST_SPAN = 2048,
    FEWEST_ACCESSES = 2,
};

/* What is known of a register while bases are looked for. */
typedef struct Candidate {
    int32_t first, last;
    unsigned n;
    unsigned n_writers;
    unsigned writer; /* the last one's node */
    bool store;
    bool lost;       /* does not survive some call */
} Candidate;

static bool in_reach(const Operand *o)
{
    return o->kind == OPERAND_CONST &&
           (int64_t)o->value > -SOFT_TLB_SITE_REACH &&
           (int64_t)o->value < SOFT_TLB_SITE_REACH - 16;
}

/* The base register of an access at a constant offset, or -1. */
static int base_of(Geometry geo, const AlcOp *op, int32_t *offset)
{
    if (in_reach(&op->src2)) {
        *offset = op->src2.value;
        return trans_guest_reg(geo, &op->src1);
    }
    if (in_reach(&op->src1)) {
        *offset = op->src1.value;
        return trans_guest_reg(geo, &op->src2);
    }
    return -1;
}

static void note_access(Candidate *c, int32_t offset, unsigned size,
                        bool store)
{
    int32_t last = offset + (int32_t)size - 1;

    c->first = c->n ? MIN(c->first, offset) : offset;
    c->last = c->n ? MAX(c->last, last) : last;
    c->store |= store;
    c->n++;
}

static void scan_node(const Region *region, unsigned index, Candidate *all)
{
    const Node *node = &region->nodes[index];
    TagUses uses;

    tags_of_node(node, &uses);
    for (unsigned i = 0; i < uses.n_writes; i++) {
        all[uses.writes[i].reg].n_writers++;
        all[uses.writes[i].reg].writer = index;
    }
    for (unsigned i = 0; i < BUNDLE_CHANNELS; i++) {
        const AlcOp *op = &node->bundle.alc[i];
        int32_t offset;

        unsigned size = op->present ? trans_plain_size(region->cpu->isa, op)
                                    : 0;
        if (!size) {
            continue;
        }
        int reg = base_of(node->at.geo, op, &offset);
        if (reg >= 0) {
            note_access(&all[reg], offset, size,
                        insn_rows[op->row].flags & F_ST);
        }
    }
    if (node->end == END_CALL || node->end == END_CALL_INDIRECT) {
        for (unsigned i = 2 * node->bundle.wbs; i < GUEST_REGS; i++) {
            all[i].lost = true;
        }
    }
}

/* Do all ways into the region pass nodes 0 .. last, once each? */
static bool is_prefix(const Region *region, unsigned last)
{
    for (unsigned i = 0; i <= last; i++) {
        const Node *node = &region->nodes[i];

        if (node->end != END_FALL || node->is_target ||
            node->next_node != (int)i + 1) {
            return false;
        }
    }
    return true;
}

static bool is_base(const Region *region, const Candidate *c)
{
    return c->n >= FEWEST_ACCESSES && !c->lost &&
           c->last - c->first < MOST_SPAN &&
           (c->n_writers == 0 ||
            (c->n_writers == 1 && is_prefix(region, c->writer)));
}

void bases_find(Trans *t)
{
    const Region *region = t->region;
    Candidate all[GUEST_REGS] = { 0 };

    t->n_bases = 0;
    if (!t->cpu->soft_tlb || region->key.geo.split ||
        !tcg_opt_enabled(OPT_BASES)) {
        return;
    }
    for (unsigned i = 0; i < region->n_nodes; i++) {
        if (region->nodes[i].end != END_INTERP) {
            scan_node(region, i, all);
        }
    }
    for (unsigned reg = 0; reg < GUEST_REGS; reg++) {
        const Candidate *c = &all[reg];

        if (t->n_bases < TRANS_MAX_BASES && is_base(region, c)) {
            t->bases[t->n_bases++] = (Base){
                .reg = reg, .first = c->first, .last = c->last,
                .store = c->store, .from = c->n_writers ? c->writer + 1 : 0,
                .site = tcg_new_site(region->key.geo.psr & PSR_PM, c->store),
            };
        }
    }
}

/* ------------------------------------------------------------------------
 * Tests
 */

static void test_base(Trans *t, Base *base, const Place *place)
{
    Ir *ir = t->ir;
    IrReg tag = ir_temp(ir), host = ir_temp(ir);
    BaseFill *fill = &t->base_fills[t->n_base_fills];

    if (t->n_base_fills == G_N_ELEMENTS(t->base_fills)) {
        ir->overflow = true;
        return;
    }
    t->n_base_fills++;
    *fill = (BaseFill){
        .base = base, .label = ir_new_label(ir), .back = ir_new_label(ir),
        .fail = trans_cold_exit(t, TRANS_EXIT_SPLIT, place),
        .value = trans_reg_lo(t, base->reg),
    };
    if (!base->host) {
        base->host = ir_temp(ir);
    }
    ir_ld(ir, 8, tag, ir_cpu(ir), base->site + offsetof(SoftTlbSite, tag));
    IrReg off = ir_new2(ir, IR_xor, 8, tag,
                        ir_new2i(ir, IR_add, 8, fill->value, base->first));
    if (base->last != base->first) {
        IrReg end = ir_new2i(ir, IR_add, 8, fill->value, base->last);
        off = ir_new2(ir, IR_or, 8, off, ir_new2(ir, IR_xor, 8, tag, end));
    }
    ir_brcond(ir, IR_GEU, 8, off, trans_imm(t, 1 << SOFT_TLB_PAGE_BITS),
              fill->label);
    ir_label(ir, fill->back);
    ir_ld(ir, 8, host, ir_cpu(ir), base->site + offsetof(SoftTlbSite, host));
    ir_op2(ir, IR_add, 8, base->host, host, fill->value);
}

void bases_at_entry(Trans *t, const Place *place)
{
    for (unsigned i = 0; i < t->n_bases; i++) {
        if (t->bases[i].from == 0) {
            test_base(t, &t->bases[i], place);
        }
    }
}

void bases_after_node(Trans *t, const Place *place)
{
    unsigned next = t->node - t->region->nodes + 1;

    for (unsigned i = 0; i < t->n_bases; i++) {
        if (t->bases[i].from == next) {
            test_base(t, &t->bases[i], place);
        }
    }
}

void bases_after_call(Trans *t, const Place *place)
{
    unsigned here = t->node - t->region->nodes;

    for (unsigned i = 0; i < t->n_bases; i++) {
        if (t->bases[i].from <= here) {
            test_base(t, &t->bases[i], place);
        }
    }
}

/* Called by generated code: can the slot serve this value of the base? */
static uint64_t fill_site(E2kCpu *cpu, uint64_t value, uint64_t offsets,
                          uint64_t site_offset, uint64_t store)
{
    uint64_t first = value + (int32_t)offsets;
    uint64_t last = value + (int32_t)(offsets >> 32);
    uint64_t page = first & SOFT_TLB_PAGE_MASK;
    const SoftTlbEntry *entry =
        soft_tlb_entry(&cpu->soft_tlb[cpu->psr & PSR_PM], first);

    if ((last & SOFT_TLB_PAGE_MASK) != page ||
        (entry->read != page && !cpu->ops->fill_tlb(cpu, first)) ||
        (store ? entry->write : entry->read) != page) {
        return 0;
    }
    *(SoftTlbSite *)((char *)cpu + site_offset) =
        (SoftTlbSite){ .tag = page, .host = entry->host };
    return 1;
}

void bases_cold(Trans *t)
{
    Ir *ir = t->ir;

    for (unsigned i = 0; i < t->n_base_fills; i++) {
        const BaseFill *fill = &t->base_fills[i];
        const Base *base = fill->base;
        IrReg done = ir_temp(ir);
        IrReg args[5] = {
            ir_cpu(ir), fill->value,
            trans_imm(t, (uint32_t)base->first | (uint64_t)base->last << 32),
            trans_imm(t, base->site), trans_imm(t, base->store),
        };

        ir_label_cold(ir, fill->label);
        ir_call(ir, done, fill_site, "fill_site", 0, 0, 0, 5, args);
        ir_brcond(ir, IR_EQ, 8, done, trans_imm(t, 0), fill->fail);
        ir_br(ir, fill->back);
    }
}

/* ------------------------------------------------------------------------
 * Accesses
 */

IrReg base_for_access(Trans *t, const AlcOp *op, int32_t *offset)
{
    unsigned here = t->node - t->region->nodes;
    int reg = t->n_bases ? base_of(t->node->at.geo, op, offset) : -1;

    for (unsigned i = 0; reg >= 0 && i < t->n_bases; i++) {
        if (t->bases[i].reg == (unsigned)reg && t->bases[i].from <= here) {
            return t->bases[i].host;
        }
    }
    return IR_NONE;
}
