/*
 * Decoded bundles of the reference interpreter: a direct-mapped cache for each
 * CPU, emptied as a whole by engine_invalidate() through a generation counter.
 *
 * Threading: a cache belongs to its CPU's thread; the counter is atomic.
 */
#include "target-e2k/interp.h"

#include <string.h>

#include "target-e2k/interp-int.h"

enum {
    CODE_CACHE_SLOTS = 1 << 13,
};

typedef struct CodeCache {
    CodeEntry *slots[CODE_CACHE_SLOTS];
} CodeCache;

static uint32_t code_generation = 1; /* atomic; bumped by invalidation */

static void note_source(CodeEntry *e, const Operand *o)
{
    if (o->kind == OPERAND_WINDOW) {
        e->max_src = MAX(e->max_src, o->index);
    } else if (o->kind == OPERAND_BASED) {
        e->max_based = MAX(e->max_based, o->index);
    }
}

static void note_dest(CodeEntry *e, const Operand *o)
{
    if (o->kind == OPERAND_WINDOW) {
        e->max_dst = MAX(e->max_dst, o->index);
    } else if (o->kind == OPERAND_BASED) {
        e->max_based = MAX(e->max_based, o->index);
    }
}

/* What can be known of a bundle before it runs. */
static void prepare_entry(CodeEntry *e)
{
    const Bundle *b = &e->b;

    e->n_ops = 0;
    e->max_src = -1;
    e->max_dst = -1;
    e->max_based = -1;
    e->writes_ctpr = false;
    e->has_mova = false;
    e->has_array = false;
    for (unsigned i = 0; i < BUNDLE_CHANNELS; i++) {
        const AlcOp *op = &b->alc[i];
        if (!op->present) {
            continue;
        }
        note_source(e, &op->src1);
        note_source(e, &op->src2);
        note_source(e, &op->src3);
        note_dest(e, &op->dst);
        if (op->pair_second) {
            continue;
        }
        uint32_t flags = insn_rows[op->row].flags;
        e->has_array |= (flags & F_ARRAY) != 0;
        e->writes_ctpr |= op->dst.kind == OPERAND_CTPR;
        e->fn[e->n_ops] = interp_fns[op->insn];
        e->pair[e->n_ops] = flags & F_PAIR01_34 ? i + 1
                            : flags & F_PAIR02_35 ? i + 2
                            : flags & F_PAIR25    ? i + 3 : 0;
        e->own_check[e->n_ops] = interp_checks_itself(op->insn);
        e->needs_fp[e->n_ops] = interp_needs_fp(op->insn);
        e->channel[e->n_ops++] = i;
    }
    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        if (b->mova[i].present) {
            note_dest(e, &b->mova[i].dst);
            e->has_mova = true;
            e->has_array = true;
        }
    }
    e->has_plu = b->n_pls > 0;
    e->simple_end = !b->has_ss && b->prepare == PREPARE_NONE &&
                    b->transfer == TRANSFER_NONE && !b->has_setwd &&
                    !b->has_setbn && !b->has_setbp && !b->has_setsft &&
                    !b->has_wait && !b->has_flush && !e->writes_ctpr;
}

/* Fetches and decodes the bundle at ip; the exception when it cannot be. */
static Exception fetch_bundle(E2kCpu *cpu, CodeEntry *e, uint64_t ip)
{
    uint8_t bytes[BUNDLE_MAX_BYTES];
    unsigned got = 0;
    Exception exc = cpu->ops->fetch(cpu, ip, bytes, &got);

    if (exc != EXC_NONE) {
        return exc;
    }
    e->error = bundle_decode(&e->b, bytes, got, cpu->isa);
    if (e->error == DECODE_TRUNCATED && got < BUNDLE_MAX_BYTES) {
        /* The rest is on a page that cannot be executed. */
        unsigned more = 0;
        exc = cpu->ops->fetch(cpu, ip + got, bytes, &more);
        return exc == EXC_NONE ? EXC_INSTR_PAGE_MISS : exc;
    }
    if (e->error == DECODE_OK) {
        prepare_entry(e);
    }
    return EXC_NONE;
}

static CodeCache *code_cache(E2kCpu *cpu)
{
    if (!cpu->interp) {
        cpu->interp = g_new0(CodeCache, 1);
    }
    return cpu->interp;
}

/* The decoded bundle at cpu->ip, or NULL with *exc set. */
CodeEntry *interp_code_lookup(E2kCpu *cpu, Exception *exc)
{
    uint64_t ip = cpu->ip;
    CodeCache *cache = cpu->interp ? cpu->interp : code_cache(cpu);
    uint64_t hash = (ip >> 3) ^ (ip >> 16);
    CodeEntry **slot = &cache->slots[hash % CODE_CACHE_SLOTS];
    CodeEntry *e = *slot;
    uint32_t generation = __atomic_load_n(&code_generation, __ATOMIC_ACQUIRE);

    if (e && e->ip == ip && e->generation == generation &&
        e->epoch == cpu->code_epoch) {
        return e;
    }
    if (ip & 7) {
        *exc = EXC_ILLEGAL_INSTR_ADDR;
        return NULL;
    }
    if (!e) {
        e = *slot = g_new0(CodeEntry, 1);
    }
    e->generation = 0;
    *exc = fetch_bundle(cpu, e, ip);
    if (*exc != EXC_NONE) {
        return NULL;
    }
    e->ip = ip;
    e->generation = generation;
    e->epoch = cpu->code_epoch;
    return e;
}

void interp_invalidate(uint64_t address, uint64_t size_bytes)
{
    __atomic_fetch_add(&code_generation, 1, __ATOMIC_RELEASE);
}

void interp_cpu_free(E2kCpu *cpu)
{
    CodeCache *cache = cpu->interp;

    for (unsigned i = 0; cache && i < CODE_CACHE_SLOTS; i++) {
        g_free(cache->slots[i]);
    }
    g_free(cache);
    cpu->interp = NULL;
}
