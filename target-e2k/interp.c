/*
 * The reference interpreter: one bundle at a time, in the phases of
 * semantics.md section 1.
 *
 *   interp_run() --> interp_code_lookup() --> execute_bundle()
 *                                        check_windows, check_setwd
 *                                        compute        (reads + family fns)
 *                                        interp_plu
 *                                        check_transfer
 *                                        -- precise exceptions leave here --
 *                                        access_memory
 *                                        write_results, write_predicates
 *                                        end_of_bundle  (CTPRs, counters,
 *                                                        rotation, transfer)
 *
 * It is the oracle of the translator: written to be compared with the
 * architecture's description by eye.  The only concession to speed is the
 * cache of decoded bundles in interp-code.c.  Predicate logic is in
 * interp-plu.c, control transfer and loop state in interp-control.c.
 */
#include "target-e2k/interp.h"

#include <string.h>

#include "target-e2k/interp-int.h"

/* ------------------------------------------------------------------------
 * Registers
 */

/* Window index of %b[i]; state.md 1.4. */
static unsigned based_index(const E2kCpu *cpu, unsigned i)
{
    unsigned size = 2 * cpu->rsz + 2;

    return 2 * cpu->rbs + (2 * cpu->rcur + i) % size;
}

static unsigned global_index(const E2kCpu *cpu, unsigned i)
{
    return i >= 24 ? 24 + ((i - 24 + cpu->bgr_cur) & 7) : i;
}

/* The storage an operand names; NULL for %empty and the like. */
static inline RegSlot *operand_slot(E2kCpu *cpu, const Operand *o, uint8_t **tag)
{
    unsigned i;

    switch (o->kind) {
    case OPERAND_WINDOW:
        i = o->index;
        break;
    case OPERAND_BASED:
        i = based_index(cpu, o->index);
        break;
    case OPERAND_GLOBAL:
        i = global_index(cpu, o->index);
        *tag = &cpu->g_tags[i];
        return &cpu->g[i];
    default:
        *tag = NULL;
        return NULL;
    }
    *tag = &cpu->win_tags[i];
    return &cpu->win[i];
}

RegSlot *interp_slot(E2kCpu *cpu, const Operand *o, uint8_t **tag)
{
    return operand_slot(cpu, o, tag);
}

/* Fills v in place: copying it around would stall on its parts. */
static inline void read_operand(E2kCpu *cpu, const Operand *o, unsigned width,
                                const Operand *upper, Value *v)
{
    uint8_t *tag;

    v->hi = 0;
    v->tag = 0;
    if (o->kind == OPERAND_CONST) {
        v->lo = width == WIDTH_S ? (uint32_t)o->value : o->value;
        return;
    }
    const RegSlot *slot = operand_slot(cpu, o, &tag);
    if (!slot) {
        v->lo = 0;
        return;
    }
    switch (width) {
    case WIDTH_S:
        v->lo = (uint32_t)slot->lo;
        v->tag = *tag & 3;
        break;
    case WIDTH_D:
        v->lo = slot->lo;
        v->tag = *tag & 15;
        break;
    case WIDTH_X:
        v->lo = slot->lo;
        v->hi = slot->ext & 0xffff;
        v->tag = *tag & 15;
        break;
    case WIDTH_P:
        v->lo = slot->lo;
        v->hi = slot->ext;
        v->tag = *tag;
        break;
    default: /* WIDTH_Q */
        v->lo = slot->lo;
        v->tag = *tag & 15;
        slot = upper ? operand_slot(cpu, upper, &tag) : NULL;
        if (slot) {
            v->hi = slot->lo;
            v->tag |= *tag << 4;
        }
        break;
    }
}

static void write_s(RegSlot *slot, uint8_t *tag, Value v, bool dbl)
{
    if (dbl) {
        slot->lo = (uint32_t)v.lo;
        *tag = (*tag & 0xf0) | (v.tag & 3) * 5;
    } else {
        slot->lo = (slot->lo & ~UINT64_C(0xffffffff)) | (uint32_t)v.lo;
        *tag = (*tag & 0xfc) | (v.tag & 3);
    }
}

static void write_d(RegSlot *slot, uint8_t *tag, uint64_t lo, uint8_t t)
{
    slot->lo = lo;
    *tag = (*tag & 0xf0) | (t & 15);
}

/* dbl: WD.dbl applies to this 32-bit result. */
void interp_write(E2kCpu *cpu, const Operand *o, const Operand *upper,
                  unsigned width, Value v, bool dbl)
{
    uint8_t *tag;
    RegSlot *slot = operand_slot(cpu, o, &tag);

    switch (width) {
    case WIDTH_S:
        if (slot) {
            write_s(slot, tag, v, dbl);
        }
        break;
    case WIDTH_D:
        if (slot) {
            write_d(slot, tag, v.lo, v.tag);
        }
        break;
    case WIDTH_X:
        if (slot) {
            slot->lo = v.lo;
            slot->ext = v.hi & 0xffff;
            *tag = (v.tag & 15) * 17;
        }
        break;
    case WIDTH_P:
        if (slot) {
            slot->lo = v.lo;
            slot->ext = v.hi;
            *tag = v.tag;
        }
        break;
    case WIDTH_Q:
        if (slot) {
            write_d(slot, tag, v.lo, v.tag);
        }
        slot = upper ? operand_slot(cpu, upper, &tag) : NULL;
        if (slot) {
            write_d(slot, tag, v.hi, v.tag >> 4);
        }
        break;
    default:
        break;
    }
}

/* semantics.md section 4: bit 30 of every half, diagnostic tags. */
static void poison_value(Value *v, unsigned width)
{
    switch (width) {
    case WIDTH_S:
        v->lo |= POISON_BITS;
        v->tag = 1;
        break;
    case WIDTH_D:
    case WIDTH_X:
        v->lo |= POISON_D;
        v->tag = 5;
        break;
    default:
        v->lo |= POISON_D;
        v->hi |= POISON_D;
        v->tag = 0x55;
        break;
    }
}

/* ------------------------------------------------------------------------
 * Checks before anything is read
 */

static bool based_in_window(const E2kCpu *cpu, const Operand *o, unsigned wsz)
{
    switch (o->kind) {
    case OPERAND_WINDOW:
        return o->index < 2 * wsz;
    case OPERAND_BASED:
        return o->index < 2 * cpu->rsz + 2u &&
               based_index(cpu, o->index) < 2 * wsz;
    default:
        return true;
    }
}

/* The operand-by-operand form, for bundles that the quick test doubts. */
static void check_windows_slowly(Interp *in, const CodeEntry *e)
{
    const E2kCpu *cpu = in->cpu;

    for (unsigned i = 0; i < BUNDLE_CHANNELS; i++) {
        const AlcOp *op = &e->b.alc[i];
        if (!op->present) {
            continue;
        }
        if (!based_in_window(cpu, &op->src1, cpu->wsz) ||
            !based_in_window(cpu, &op->src2, cpu->wsz) ||
            !based_in_window(cpu, &op->src3, cpu->wsz) ||
            !based_in_window(cpu, &op->dst, in->wsz)) {
            in->exceptions |= UINT64_C(1) << EXC_WINDOW_BOUNDS;
            in->channels |= 1 << i;
        }
    }
    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *m = &e->b.mova[i];
        if (m->present && !based_in_window(cpu, &m->dst, in->wsz)) {
            interp_raise(in, NULL, EXC_WINDOW_BOUNDS);
        }
    }
}

/* Sources against the old window, destinations against the new one. */
static void check_windows(Interp *in, const CodeEntry *e)
{
    const E2kCpu *cpu = in->cpu;
    int based_end = 2 * (cpu->rbs + cpu->rsz + 1);

    if (e->max_src >= 2 * cpu->wsz || e->max_dst >= 2 * in->wsz ||
        (e->max_based >= 0 && (e->max_based >= 2 * cpu->rsz + 2 ||
                               based_end > 2 * MIN(cpu->wsz, in->wsz)))) {
        check_windows_slowly(in, e);
    }
}

static void check_setwd(Interp *in)
{
    const Bundle *b = in->b;
    E2kCpu *cpu = in->cpu;

    in->wsz = b->wsz;
    in->dbl = in->isa >= 3 && b->dbl;
    if (b->wsz > 112 || b->wsz < cpu->psize) {
        interp_raise(in, NULL, EXC_ILLEGAL_OPCODE);
        return;
    }
    if (cpu->win + 2 * b->wsz > cpu->regs + cpu->n_regs) {
        Exception e = cpu->ops->spill ? cpu->ops->spill(cpu)
                                      : EXC_PROC_STACK_BOUNDS;
        if (e == EXC_NONE &&
            cpu->win + 2 * b->wsz > cpu->regs + cpu->n_regs) {
            e = EXC_PROC_STACK_BOUNDS;
        }
        if (e != EXC_NONE) {
            interp_raise(in, NULL, e);
        }
    }
}

/* ------------------------------------------------------------------------
 * Qualifying conditions and computation
 */

/*
 * The conditions of one channel: OR over predicates AND OR over %pcnt.
 * *invalid: a predicate that matters has its tag set.
 */
bool interp_conditions(const E2kCpu *cpu, const Cond *conds, unsigned n,
                       bool *invalid)
{
    bool any_pred = false, pred = false, bad = false;
    bool any_count = false, count = false;

    for (unsigned i = 0; i < n; i++) {
        const Cond *k = &conds[i];
        if (k->kind == COND_PRED) {
            any_pred = true;
            bad |= interp_pf_invalid(cpu, k->index);
            pred |= interp_pf_value(cpu, k->index) != k->negate;
        } else {
            any_count = true;
            count |= (cpu->pcnt <= k->index) != k->negate;
        }
    }
    if (any_count && !count) {
        *invalid = false;
        return false;
    }
    *invalid = bad;
    return bad || !any_pred || pred;
}

/* State registers and CTPRs may not be written under a doubtful condition. */
static bool never_speculative(const AlcOp *op)
{
    return op->dst.kind == OPERAND_CTPR || op->dst.kind == OPERAND_STATE;
}

static void qualify(Interp *in, InterpOp *c)
{
    bool invalid;

    c->on = interp_conditions(in->cpu, c->op->conds, c->op->n_conds, &invalid);
    if (c->on && invalid) {
        if (!c->op->speculative || never_speculative(c->op)) {
            interp_raise(in, c, EXC_DIAG_COND);
        }
        c->cond_invalid = true;
        c->poison = true;
    }
}

/* The merge condition; missing: the first operand. */
bool interp_merge_condition(Interp *in, InterpOp *c)
{
    const AlcOp *op = c->op;

    if (!op->has_merge) {
        return false;
    }
    if (op->merge.kind == COND_PCNT) {
        return (in->cpu->pcnt <= op->merge.index) != op->merge.negate;
    }
    if (interp_pf_invalid(in->cpu, op->merge.index)) {
        if (op->speculative) {
            c->poison = true;
        } else {
            interp_raise(in, c, EXC_DIAG_COND);
        }
    }
    return interp_pf_value(in->cpu, op->merge.index) != op->merge.negate;
}

static inline void read_sources(Interp *in, InterpOp *c)
{
    const AlcOp *op = c->op;
    const InsnRow *row = c->row;
    const AlcOp *pair = c->pair;

    if (op->src1.kind != OPERAND_NONE) {
        read_operand(in->cpu, &op->src1, row->src1,
                     pair ? &pair->src1 : NULL, &c->s1);
        c->invalid |= c->s1.tag != 0;
    } else {
        c->s1 = (Value){0, 0, 0};
    }
    if (op->src2.kind != OPERAND_NONE) {
        read_operand(in->cpu, &op->src2, row->src2,
                     pair ? &pair->src2 : NULL, &c->s2);
        c->invalid |= (c->s2.tag != 0) << 1;
    } else {
        c->s2 = (Value){0, 0, 0};
    }
    if (op->src3.kind != OPERAND_NONE) {
        read_operand(in->cpu, &op->src3, row->src3,
                     pair ? &pair->src3 : NULL, &c->s3);
        c->invalid |= (c->s3.tag != 0) << 2;
    } else {
        c->s3 = (Value){0, 0, 0};
    }
}

/*
 * Field by field: clearing the whole structure is a fifth of the
 * interpreter's time.
 */
static inline void start_operation(InterpOp *c, const AlcOp *op,
                                   const AlcOp *pair)
{
    c->op = op;
    c->pair = pair;
    c->row = &insn_rows[op->row];
    c->channel = op->channel;
    c->on = true;
    c->cond_invalid = false;
    c->invalid = 0;
    c->poison = false;
    c->drop = false;
    c->keep_upper = false;
    c->pred = false;
    c->defer = DEFER_NONE;
    c->big_endian = false;
    c->tagged = false;
    c->incr_on = false;
    c->byte_mask = 0xffff;
    c->d = (Value){0, 0, 0};
}

static void compute(Interp *in, const CodeEntry *e)
{
    for (unsigned k = 0; k < e->n_ops; k++) {
        unsigned i = e->channel[k];
        InterpOp *c = &in->c[i];
        const AlcOp *op = &e->b.alc[i];

        start_operation(c, op, e->pair[k] ? &e->b.alc[e->pair[k]] : NULL);
        bool is_store = c->row->flags & F_ST;
        if (is_store && e->b.loop_mode && interp_store_suppressed(in)) {
            c->on = false;
            continue;
        }
        if (op->n_conds) {
            qualify(in, c);
            if (!c->on) {
                interp_array_off(in, c);
                continue;
            }
        }
        if (is_store && e->b.loop_mode && in->loop_end) {
            in->strmd--;
        }
        if (e->needs_fp[k] && !cpu_fp_enabled(in->cpu)) {
            interp_raise(in, c, EXC_FP_DISABLED);
            continue;
        }
        read_sources(in, c);
        if (c->invalid && !e->own_check[k]) {
            interp_invalid_operand(in, c);
        }
        e->fn[k](in, c);
    }
}

/* ------------------------------------------------------------------------
 * Memory and write-back
 */

/* Channel order 0, 2, 3, 5; channels 1 and 4 have no accesses. */
static void access_memory(Interp *in, const CodeEntry *e)
{
    for (unsigned k = 0; k < e->n_ops; k++) {
        InterpOp *c = &in->c[e->channel[k]];
        if (c->defer != DEFER_NONE) {
            interp_memory_execute(in, c);
        }
    }
}

static void write_results(Interp *in, const CodeEntry *e)
{
    for (unsigned k = 0; k < e->n_ops; k++) {
        InterpOp *c = &in->c[e->channel[k]];
        unsigned width = c->row->dst;
        if (!c->on || c->drop || width == WIDTH_NONE || width == WIDTH_PRED ||
            width == WIDTH_STATE) {
            continue;
        }
        if (c->poison) {
            poison_value(&c->d, width);
        }
        if (c->op->dst.kind == OPERAND_CTPR) {
            continue;
        }
        interp_write(in->cpu, &c->op->dst, c->pair ? &c->pair->dst : NULL,
                     width, c->d, in->dbl && !c->keep_upper);
    }
    for (unsigned i = 0; e->has_mova && i < BUNDLE_MOVA_CHANNELS; i++) {
        const MovaOp *m = &in->b->mova[i];
        if (m->present) {
            interp_write(in->cpu, &m->dst, NULL,
                         m->opc == 7 ? WIDTH_P : WIDTH_D, in->mova[i], false);
        }
    }
}

static void write_predicates(Interp *in, const CodeEntry *e)
{
    for (unsigned k = 0; k < e->n_ops; k++) {
        const InterpOp *c = &in->c[e->channel[k]];
        if (c->on && !c->drop && c->row->dst == WIDTH_PRED) {
            interp_set_pred(in->cpu, c->op->dst.index, c->pred, c->poison);
        }
    }
    if (e->has_plu) {
        interp_plu_write(in);
    }
}

/* setwd: registers that enter the window hold nothing valid. */
static void commit_setwd(Interp *in)
{
    E2kCpu *cpu = in->cpu;

    if (in->wsz > cpu->wsz) {
        memset(cpu->win_tags + 2 * cpu->wsz, 0x55, 2 * (in->wsz - cpu->wsz));
    }
    cpu->wsz = in->wsz;
    cpu->wfx = !in->b->nfx;
    if (in->isa >= 3) {
        cpu->wdbl = in->b->dbl;
    }
}

/* ------------------------------------------------------------------------
 * One bundle
 */

static CpuExit report(E2kCpu *cpu, uint64_t mask, uint8_t channels)
{
    cpu->exception_mask = mask;
    cpu->exception_channels = channels;
    cpu->exception = __builtin_ctzll(mask);
    return CPU_EXIT_EXCEPTION;
}

/* The bundle's effects are in place; cpu->ip still names it. */
static CpuExit report_late(Interp *in)
{
    E2kCpu *cpu = in->cpu;

    cpu->resume.armed = true;
    cpu->resume.n = in->n_pending;
    cpu->resume.ip = cpu->ip;
    cpu->resume.next_ip = in->next_ip;
    return report(cpu, in->late, in->channels);
}

static CpuExit execute_bundle(E2kCpu *cpu, const CodeEntry *e)
{
    Interp in;

    in.cpu = cpu;
    in.b = &e->b;
    in.isa = cpu->isa;
    in.wsz = cpu->wsz;
    in.dbl = cpu->wdbl;
    in.exceptions = 0;
    in.late = 0;
    in.channels = 0;
    in.mlock = false;
    in.stop_stores = false;
    in.n_pending = 0;
    in.taken = false;
    in.decided = true;
    in.fp_flags = 0;
    in.x87_flags = 0;
    in.strmd = cpu->strmd;
    in.exit = CPU_EXIT_DEBUG;
    in.next_ip = (cpu->ip + e->b.length) & CTPR_BASE_MASK;
    in.loop_end = cpu->vlc && cpu->lcnt < 2 && cpu->ecnt == 0;
    in.has_mlock_branch = e->b.has_ss && (e->b.ct_type == CT_MLOCK ||
                                          e->b.ct_type == CT_MLOCK_LOCAL);

    if (e->b.has_setwd) {
        check_setwd(&in);
    }
    check_windows(&in, e);
    if (in.exceptions) {
        return report(cpu, in.exceptions, in.channels);
    }
    compute(&in, e);
    if (e->has_plu) {
        interp_plu(&in);
    } else if (in.has_mlock_branch) {
        memset(in.clp, 0, sizeof(in.clp)); /* may ask for any of them */
    }
    if (!e->simple_end) {
        interp_check_transfer(&in);
    }
    if (in.exceptions) {
        return report(cpu, in.exceptions, in.channels);
    }
    if (e->has_mova) {
        interp_mova(&in);
    }
    cpu->strmd = in.strmd;
    cpu->pfpfr |= in.fp_flags;
    cpu->fpsr |= in.x87_flags;
    access_memory(&in, e);
    if (e->b.has_setwd) {
        commit_setwd(&in);
    }
    write_results(&in, e);
    write_predicates(&in, e);
    if (!e->simple_end || e->has_array) {
        interp_end_of_bundle(&in);
    }
    if (in.late) {
        return report_late(&in);
    }
    cpu->ip = in.next_ip;
    return in.exit;
}

CpuExit interp_step(E2kCpu *cpu)
{
    Exception exc;

    if (cpu->resume.armed) {
        bool same = cpu->ip == cpu->resume.ip;
        exc = same ? interp_replay(cpu) : EXC_NONE;
        if (exc != EXC_NONE) {
            return report(cpu, UINT64_C(1) << exc, 0);
        }
        cpu->resume.armed = false;
        if (same) {
            cpu->ip = cpu->resume.next_ip;
            return CPU_EXIT_DEBUG;
        }
    }
    const CodeEntry *e = interp_code_lookup(cpu, &exc);
    if (!e) {
        return report(cpu, UINT64_C(1) << exc, 0);
    }
    if (e->error != DECODE_OK) {
        exc = e->error == DECODE_ARRAY_LITERAL ? EXC_ILLEGAL_OPERAND
                                               : EXC_ILLEGAL_OPCODE;
        return report(cpu, UINT64_C(1) << exc, 0);
    }
    return execute_bundle(cpu, e);
}

CpuExit interp_run(E2kCpu *cpu)
{
    CpuExit exit;

    do {
        if (__atomic_load_n(&cpu->stop_request, __ATOMIC_RELAXED) &&
            __atomic_exchange_n(&cpu->stop_request, 0, __ATOMIC_ACQUIRE)) {
            return CPU_EXIT_STOP;
        }
        exit = interp_step(cpu);
    } while (exit == CPU_EXIT_DEBUG);
    return exit;
}
