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

#include "target-e2k/sem.h"

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

static IrReg staa_tags(Trans *t, const AlcOp *op)
{
    return aau_field(t, op->array.use_aaind
                            ? offsetof(E2kCpu, aau.aaind_tag)
                            : offsetof(E2kCpu, aau.aasti_tag), 2,
                     "aasti_tag");
}

static IrReg staa_aad(Trans *t, const AlcOp *op)
{
    return aau_field(t, offsetof(E2kCpu, aau.aad) + 16 * op->array.aad, 8,
                     "aad");
}

/* Streams run as they did; descriptors and indices of staa and ldaa have no
 * tags. */
void trans_array_invariants(Trans *t)
{
    const Bundle *b = &t->node->bundle;

    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *m = &b->mova[i];
        if (m->present) {
            unsigned k = area_number(i, m);
            trans_invariant(t, aau_field(t, offsetof(E2kCpu, aau.aasr), 4,
                                         "aasr"), AASR_LDS, AASR_ACTIVE);
            trans_invariant(t, aau_field(t, AREA_FIELD(k, fmt), 4, "area"),
                            ~UINT64_C(0), area_word(t->cpu, k));
        }
    }
    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        const AlcOp *op = &b->alc[i];
        SemFamily sem = op->present ? insn_rows[op->row].sem : SEM_COUNT;
        if (sem == SEM_staa || sem == SEM_ldaa) {
            trans_invariant(t, staa_aad(t, op), UINT64_C(7) << AAD_TAG_SHIFT,
                            0);
            trans_invariant(t, staa_tags(t, op), 1u << op->array.ind, 0);
        }
    }
}

/* Their next index fits. */
void trans_mova_check(Trans *t)
{
    const Bundle *b = &t->node->bundle;
    Ir *ir = t->ir;

    trans_array_invariants(t);
    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *m = &b->mova[i];
        if (!m->present) {
            continue;
        }
        unsigned k = area_number(i, m);
        IrReg index = aau_field(t, AREA_FIELD(k, index), 4, "index");
        unsigned size = 1u << (m->opc - 1);
        bool aligned = t->cpu->isa <= 4 && size > 1;
        if (aligned || trans_is_bounded(t)) {
            IrReg base = aau_field(t, AREA_FIELD(k, base), 8, "base");
            IrReg at = ir_new2(ir, IR_add, 8, base, index);
            at = ir_new2i(ir, IR_add, 8, at, m->ind);
            if (aligned) {
                ir_brcond(ir, IR_TSTNE, 8, at, trans_imm(t, size - 1),
                          trans_interp_exit(t));
            }
            trans_bound(t, at, size);
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
 * staa, ldaa
 */

static unsigned array_log2(InsnId insn)
{
    switch (insn) {
    case INSN_staab: case INSN_ldaab: return 0;
    case INSN_staah: case INSN_ldaah: return 1;
    case INSN_staaw: case INSN_ldaaw: return 2;
    case INSN_staad: case INSN_ldaad: return 3;
    default: return 4;
    }
}

bool trans_staa_supported(const Region *region, const AlcOp *op)
{
    /* Specifiers: byte order only. */
    return (!region || trans_inline_memory(region->cpu)) && (op->mas & 7) == 0;
}

/* %aastiI, or %aaindI. */
static IrReg array_index(Trans *t, const AlcOp *op)
{
    size_t field = op->array.use_aaind ? offsetof(E2kCpu, aau.aaind)
                                       : offsetof(E2kCpu, aau.aasti);
    return aau_field(t, field + 8 * op->array.ind, 8, "aasti");
}

/* Where the access goes; %aaind0 reads 0. */
static void array_address(Trans *t, const AlcOp *op, IrReg *base,
                          IrReg *index)
{
    Ir *ir = t->ir;
    IrReg aad = aau_field(t, offsetof(E2kCpu, aau.aad) + 16 * op->array.aad,
                          8, "aad");

    *base = ir_new2i(ir, IR_and, 8, aad, CTPR_BASE_MASK);
    if (op->array.use_aaind && op->array.ind == 0) {
        *index = trans_imm(t, 0);
    } else {
        *index = ir_temp(ir);
        ir_extract(ir, *index, array_index(t, op), 0, 32);
    }
}

static int32_t array_offset(const AlcOp *op)
{
    return op->array.lit ? (int32_t)op->array.lit_value : 0;
}

/* The address is aligned if it must; descriptor and index are the business of
 * trans_array_invariants(). */
void trans_staa_check(Trans *t, TransOp *o)
{
    const AlcOp *op = o->op;
    Ir *ir = t->ir;
    unsigned size = 1u << array_log2(op->insn);
    bool aligned = t->node->at.geo.ac && size > 1;
    if (aligned || trans_is_bounded(t)) {
        IrReg base, index;
        array_address(t, op, &base, &index);
        IrReg at = ir_new2(ir, IR_add, 8, base, index);
        at = ir_new2i(ir, IR_add, 8, at, (int64_t)array_offset(op));
        if (aligned) {
            ir_brcond(ir, IR_TSTNE, 8, at, trans_imm(t, size - 1),
                      trans_interp_exit(t));
        }
        trans_bound(t, at, size);
    }
}

static IrReg host_base(Trans *t, IrReg base)
{
    return t->cpu->guest_base
               ? ir_new2i(t->ir, IR_add, 8, base, t->cpu->guest_base) : base;
}

void trans_staa(Trans *t, TransOp *o)
{
    unsigned size = 1u << array_log2(o->op->insn);
    IrReg base, index;
    IrReg v = trans_store_data(t, o);

    if (o->op->mas >> 3 & 1) {
        v = trans_reversed(t, v, size);
    }
    array_address(t, o->op, &base, &index);
    ir_gst(t->ir, size, host_base(t, base), index, 0, array_offset(o->op), v,
           trans_fault(t));
    if (trans_stores_to_dam(t)) {
        IrReg at = ir_new2(t->ir, IR_add, 8, base, index);
        trans_dam_store(t, ir_new2i(t->ir, IR_add, 8, at,
                                    (int64_t)array_offset(o->op)), size);
    }
}

void trans_ldaa(Trans *t, TransOp *o)
{
    unsigned size = 1u << array_log2(o->op->insn);
    IrReg base, index;
    IrReg v = size == 16 ? ir_temp_v128(t->ir) : ir_temp(t->ir);

    array_address(t, o->op, &base, &index);
    ir_gld(t->ir, size, v, host_base(t, base), index, 0, array_offset(o->op),
           trans_fault(t));
    if (o->op->mas >> 3 & 1) {
        v = trans_reversed(t, v, size);
    }
    trans_deliver(t, o, v);
}

/*
 * The index moves on under a condition of its own, and not when loop_mode
 * suppresses the store.
 */
void trans_staa_commit(Trans *t, const TransOp *o)
{
    const AlcOp *op = o->op;
    Ir *ir = t->ir;

    if (!op->array.am) {
        return;
    }
    IrReg index = array_index(t, op);
    IrReg step = trans_imm(t, 1);
    if (op->array.incr) {
        IrReg incr = aau_field(t, offsetof(E2kCpu, aau.aaincr) +
                                  8 * op->array.incr, 8, "aaincr");
        step = ir_temp(ir);
        ir_sextract(ir, step, incr, 0, 32);
    }
    step = ir_new2i(ir, IR_shl, 8, step, array_log2(op->insn));
    IrReg next = ir_temp(ir);
    ir_extract(ir, next, ir_new2(ir, IR_add, 8, index, step), 0, 32);
    if (o->incr_on != IR_NONE) {
        ir_select(ir, IR_NE, 8, next, o->incr_on, trans_imm(t, 0), next,
                  index);
    }
    if (t->suppressed != IR_NONE && (o->row->flags & F_ST)) {
        ir_select(ir, IR_EQ, 8, next, t->suppressed, trans_imm(t, 0), next,
                  index);
    }
    ir_mov(ir, index, next);
}

/* ------------------------------------------------------------------------
 * The unit's registers: in their homes, by a C function
 */

bool trans_aau_supported(const Node *node, const AlcOp *op)
{
    bool write = insn_sem(op->insn) == SEM_aaurw;

    /* What a bundle does with a stream that it also sets up or stops. */
    for (unsigned i = 0; write && node && i < BUNDLE_MOVA_CHANNELS; i++) {
        if (node->bundle.mova[i].present) {
            return false;
        }
    }
    return true;
}

static IrReg aau_place(Trans *t, const AlcOp *op)
{
    return trans_imm(t, op->array.reg | (unsigned)op->array.ind << 8 |
                            (unsigned)op->array.aad << 16);
}

void trans_aaurr(Trans *t, TransOp *o)
{
    Ir *ir = t->ir;
    IrReg args[2] = { ir_cpu(ir), aau_place(t, o->op) };

    ir_call(ir, o->out, sem_aau_read, "aau_read", 0, 1u << CLASS_ARRAY, 0, 2,
            args);
    if (o->pair) {
        args[1] = ir_new2i(ir, IR_or, 8, args[1], SEM_AAU_HIGH);
        ir_call(ir, o->pair->out, sem_aau_read, "aau_read", 0,
                1u << CLASS_ARRAY, 0, 2, args);
    } else if (o->row->dst == WIDTH_S) {
        ir_extract(ir, o->out, o->out, 0, 32);
    }
}

/* In place of registers: when it is certain that the bundle executes. */
void trans_aaurw(Trans *t, TransOp *o)
{
    Ir *ir = t->ir;
    bool low = o->row->src3 == WIDTH_S || t->cpu->isa < 5;
    IrReg args[4] = { ir_cpu(ir),
                      ir_new2i(ir, IR_or, 8, aau_place(t, o->op),
                               (low ? SEM_AAU_NARROW : 0) |
                                   (o->row->src3 == WIDTH_S ? SEM_AAU_S : 0) |
                                   (o->pair ? SEM_AAU_PAIR : 0)),
                      o->c, o->pair ? o->pair->c : trans_imm(t, 0) };

    ir_call(ir, IR_NONE, sem_aau_write, "aau_write", 0, 1u << CLASS_ARRAY,
            1u << CLASS_ARRAY, 4, args);
}

/* eap: the streams stop. */
void trans_eap(Trans *t)
{
    IrReg aasr = aau_field(t, offsetof(E2kCpu, aau.aasr), 4, "aasr");

    ir_op2(t->ir, IR_and, 8, aasr, aasr, trans_imm(t, (uint32_t)~AASR_LDS));
}
