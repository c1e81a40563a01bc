/*
 * The array access unit in loops: mova and staa.
 *
 * A stream's state is an element of cpu->aau.area[]; base, index and step are
 * IR globals, that is host registers inside a loop.  What cannot change while
 * a program runs (element size, range, validity) is compared as one word with
 * what it was when the region was translated.  Everything unusual - a stream
 * that is not running, index overflow, a tagged descriptor, an address that
 * cannot be read - is left to the interpreter, before the bundle has any
 * effect.
 *
 * Source: shared facts "isa/aau.md".
 */
#include "target-e2k/translate-int.h"

#include <string.h>

enum {
    AASR_LDS = 7 << 7,
    AASR_ACTIVE = 3 << 7,
    MOVA_D = 4,
    AAD_TAG_SHIFT = 54,
};

static unsigned area_number(unsigned channel, const MovaOp *m)
{
    return (m->area & 31) + (channel >= 2 ? 32 : 0);
}

static size_t area_field(unsigned k, size_t field)
{
    return offsetof(E2kCpu, aau.area) + k * sizeof(((AauState *)0)->area[0]) +
           field;
}

#define AREA_FIELD(k, name) \
    area_field(k, offsetof(AauState, area[0].name) - \
                  offsetof(AauState, area))

/* An AAU field as a global. */
static IrReg aau_field(Trans *t, size_t offset, unsigned size,
                       const char *name)
{
    for (unsigned i = 0; i < t->n_aau_fields; i++) {
        if (t->aau_fields[i].offset == offset) {
            return t->aau_fields[i].reg;
        }
    }
    IrReg reg = ir_global(t->ir, ir_cpu(t->ir), offset, size, CLASS_ARRAY,
                          name);
    if (t->n_aau_fields == G_N_ELEMENTS(t->aau_fields)) {
        t->ir->overflow = true;
        return reg;
    }
    t->aau_fields[t->n_aau_fields++] = (AauField){ offset, reg };
    return reg;
}

/* fmt, mrng, overflow and valid of an area as one word. */
static uint32_t area_word(const E2kCpu *cpu, unsigned k)
{
    uint32_t word;
    memcpy(&word, &cpu->aau.area[k].fmt, sizeof(word));
    return word;
}

/* ------------------------------------------------------------------------
 * mova
 */

static bool mova_supported(const E2kCpu *cpu, unsigned channel,
                           const MovaOp *m)
{
    unsigned k = area_number(channel, m);

    if (m->opc == 0 || m->opc > MOVA_D || m->be || !trans_inline_memory(cpu)) {
        return false;
    }
    return cpu->aau.area[k].fmt != 0 && cpu->aau.area[k].valid &&
           !cpu->aau.area[k].overflow &&
           m->opc <= cpu->aau.area[k].fmt &&
           m->ind + (1u << (m->opc - 1)) <= cpu->aau.area[k].mrng;
}

bool trans_array_supported(const Region *region, const Node *node)
{
    const Bundle *b = &node->bundle;
    unsigned wsz = b->has_setwd ? b->wsz : node->at.geo.wsz;
    int used[BUNDLE_MOVA_CHANNELS];
    unsigned n = 0;

    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *m = &b->mova[i];
        if (!m->present) {
            continue;
        }
        int reg = trans_guest_reg(node->at.geo, &m->dst);
        if (!mova_supported(region->cpu, i, m) || reg < 0 ||
            (reg < WINDOW_REGS && reg >= 2 * (int)wsz) ||
            (m->dst.kind == OPERAND_BASED &&
             m->dst.index >= 2u * node->at.geo.rsz + 2)) {
            return false;
        }
        /* One writer for each register. */
        for (unsigned k = 0; k < n; k++) {
            if (used[k] == reg) {
                return false;
            }
        }
        used[n++] = reg;
        for (unsigned k = 0; k < BUNDLE_CHANNELS; k++) {
            if (b->alc[k].present &&
                trans_guest_reg(node->at.geo, &b->alc[k].dst) == reg) {
                return false;
            }
        }
    }
    return true;
}

static bool first_advance(const Bundle *b, unsigned channel)
{
    unsigned k = area_number(channel, &b->mova[channel]);
    if (!b->mova[channel].am) {
        return false;
    }
    for (unsigned i = 0; i < channel; i++) {
        const MovaOp *m = &b->mova[i];
        if (m->present && m->am && area_number(i, m) == k) {
            return false;
        }
    }
    return true;
}

/* Streams run as they did, and their next index fits. */
void trans_mova_check(Trans *t)
{
    const Bundle *b = &t->node->bundle;
    Ir *ir = t->ir;
    bool any = false;

    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *m = &b->mova[i];
        if (!m->present) {
            continue;
        }
        unsigned k = area_number(i, m);
        if (!any) {
            IrReg aasr = aau_field(t, offsetof(E2kCpu, aau.aasr), 4, "aasr");
            IrReg lds = ir_new2i(ir, IR_and, 8, aasr, AASR_LDS);
            ir_brcond(ir, IR_NE, 8, lds, trans_imm(t, AASR_ACTIVE),
                      trans_interp_exit(t));
            any = true;
        }
        IrReg word = aau_field(t, AREA_FIELD(k, fmt), 4, "area");
        ir_brcond(ir, IR_NE, 4, word, trans_imm(t, area_word(t->cpu, k)),
                  trans_interp_exit(t));
        IrReg index = aau_field(t, AREA_FIELD(k, index), 4, "index");
        unsigned size = 1u << (m->opc - 1);
        if (t->cpu->isa <= 4 && size > 1) {
            IrReg base = aau_field(t, AREA_FIELD(k, base), 8, "base");
            IrReg at = ir_new2(ir, IR_add, 8, base, index);
            at = ir_new2i(ir, IR_add, 8, at, m->ind);
            ir_brcond(ir, IR_TSTNE, 8, at, trans_imm(t, size - 1),
                      trans_interp_exit(t));
        }
        if (first_advance(b, i)) {
            IrReg step = aau_field(t, AREA_FIELD(k, step), 8, "step");
            t->next_index[i] = ir_new2(ir, IR_add, 8, index, step);
            IrReg high = ir_new2i(ir, IR_shr, 8, t->next_index[i], 32);
            ir_brcond(ir, IR_NE, 8, high, trans_imm(t, 0),
                      trans_interp_exit(t));
        }
    }
}

void trans_mova_load(Trans *t)
{
    const Bundle *b = &t->node->bundle;
    Ir *ir = t->ir;

    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *m = &b->mova[i];
        if (!m->present) {
            continue;
        }
        unsigned k = area_number(i, m);
        IrReg base = aau_field(t, AREA_FIELD(k, base), 8, "base");
        IrReg index = aau_field(t, AREA_FIELD(k, index), 4, "index");
        if (t->cpu->guest_base) {
            base = ir_new2i(ir, IR_add, 8, base, t->cpu->guest_base);
        }
        t->mova[i] = ir_temp(ir);
        ir_gld(ir, 1u << (m->opc - 1), t->mova[i], base, index, 0, m->ind,
               trans_fault(t));
    }
}

/* Results to registers, streams to their next elements. */
void trans_mova_commit(Trans *t)
{
    const Bundle *b = &t->node->bundle;
    uint64_t advanced = 0;

    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *m = &b->mova[i];
        if (!m->present) {
            continue;
        }
        trans_write_d(t, trans_guest_reg(t->node->at.geo, &m->dst),
                      t->mova[i]);
        if (first_advance(b, i)) {
            unsigned k = area_number(i, m);
            ir_mov(t->ir, aau_field(t, AREA_FIELD(k, index), 4, "index"),
                   t->next_index[i]);
            advanced |= UINT64_C(1) << k;
        }
    }
    if (advanced) {
        IrReg aaldv = aau_field(t, offsetof(E2kCpu, aau.aaldv), 8, "aaldv");
        ir_op2(t->ir, IR_or, 8, aaldv, aaldv, trans_imm(t, advanced));
    }
}

/* ------------------------------------------------------------------------
 * staa
 */

static unsigned staa_log2(InsnId insn)
{
    switch (insn) {
    case INSN_staab: return 0;
    case INSN_staah: return 1;
    case INSN_staaw: return 2;
    case INSN_staad: return 3;
    default: return 4;
    }
}

bool trans_staa_supported(const Region *region, const AlcOp *op)
{
    return trans_inline_memory(region->cpu) && op->insn != INSN_staaq &&
           op->mas == 0 && !op->array.use_aaind && op->n_am_conds == 0;
}

static IrReg aasti(Trans *t, const AlcOp *op)
{
    return aau_field(t, offsetof(E2kCpu, aau.aasti) + 8 * op->array.ind, 8,
                     "aasti");
}

void trans_staa_check(Trans *t, TransOp *o)
{
    const AlcOp *op = o->op;
    Ir *ir = t->ir;
    IrReg aad = aau_field(t, offsetof(E2kCpu, aau.aad) + 16 * op->array.aad,
                          8, "aad");
    IrReg tags = aau_field(t, offsetof(E2kCpu, aau.aasti_tag), 2,
                           "aasti_tag");
    IrReg tag = ir_new2i(ir, IR_and, 8, aad, UINT64_C(7) << AAD_TAG_SHIFT);

    ir_brcond(ir, IR_NE, 8, tag, trans_imm(t, 0), trans_interp_exit(t));
    ir_brcond(ir, IR_TSTNE, 8, tags, trans_imm(t, 1u << op->array.ind),
              trans_interp_exit(t));
}

void trans_staa(Trans *t, TransOp *o)
{
    const AlcOp *op = o->op;
    Ir *ir = t->ir;
    IrReg aad = aau_field(t, offsetof(E2kCpu, aau.aad) + 16 * op->array.aad,
                          8, "aad");
    IrReg base = ir_new2i(ir, IR_and, 8, aad, CTPR_BASE_MASK);
    IrReg index = ir_temp(ir);

    ir_extract(ir, index, aasti(t, op), 0, 32);
    if (t->cpu->guest_base) {
        base = ir_new2i(ir, IR_add, 8, base, t->cpu->guest_base);
    }
    ir_gst(ir, 1u << staa_log2(op->insn), base, index, 0,
           op->array.lit ? (int32_t)op->array.lit_value : 0, o->c,
           trans_fault(t));
}

/* The index moves on, unless the store is suppressed by loop_mode. */
void trans_staa_commit(Trans *t, const TransOp *o)
{
    const AlcOp *op = o->op;
    Ir *ir = t->ir;

    if (!op->array.am) {
        return;
    }
    IrReg index = aasti(t, op);
    IrReg step = trans_imm(t, 1);
    if (op->array.incr) {
        IrReg incr = aau_field(t, offsetof(E2kCpu, aau.aaincr) +
                                  8 * op->array.incr, 8, "aaincr");
        step = ir_temp(ir);
        ir_sextract(ir, step, incr, 0, 32);
    }
    step = ir_new2i(ir, IR_shl, 8, step, staa_log2(op->insn));
    IrReg next = ir_new2(ir, IR_add, 8, index, step);
    if (t->suppressed == IR_NONE) {
        ir_extract(ir, index, next, 0, 32);
    } else {
        IrReg moved = ir_temp(ir);
        ir_extract(ir, moved, next, 0, 32);
        ir_select(ir, IR_EQ, 8, index, t->suppressed, trans_imm(t, 0), moved,
                  index);
    }
}
