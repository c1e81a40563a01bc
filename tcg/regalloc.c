/*
 * Register allocation: each vreg gets one place for the whole region.
 *
 *   position   0 . . . . . . 64 . . .
 *   rsi        [ t5 ][ t9 ]   [ %r3 ........ ]     one bit per position
 *   rdi        [ %r0 .......................... ]
 *
 * A register is a bitmap of occupied positions; a vreg fits when none of its
 * ranges meets a set bit.  Values living inside one block come first: they
 * are many, short and cannot live in memory cheaply.  Then globals and
 * temporaries that cross blocks, the one that saves most memory accesses
 * first.  Globals that find no register, or would not gain by one, stay in
 * their homes, where most host instructions can use them directly.
 *
 * There is no splitting: holes in a vreg's life are free for others, and no
 * moves are ever needed on the edges between blocks.
 *
 * RAX, RCX, RDX and XMM13..15 belong to the emitter.
 */
#include <stdlib.h>

#include "tcg/tcg-int.h"

/* In order of preference. */
static const int8_t gpr_order[] = {RSI, RDI, R8, R9, R10, R11, R14, R15,
                                   R13, R12, -1};
static const int8_t gpr_call_order[] = {R14, R15, R13, R12, R11, R10, R9, R8,
                                        RDI, RSI, -1};
static const int8_t vec_order[] = {
    XMM0,     XMM0 + 1, XMM0 + 2,  XMM0 + 3,  XMM0 + 4,  XMM0 + 5, XMM0 + 6,
    XMM0 + 7, XMM0 + 8, XMM0 + 9, XMM0 + 10, XMM0 + 11, XMM0 + 12, -1,
};

typedef struct Alloc {
    Compile *c;
    uint64_t *busy;   /* X86_REGS bitmaps */
    unsigned words;
    uint32_t allowed; /* registers */
    uint64_t *calls;  /* positions of helper calls */
    uint64_t *slots;  /* bitmaps of spill slots */
    unsigned n_slots;
} Alloc;

/* --- bitmaps of positions ------------------------------------------------ */

static bool bits_any(const uint64_t *bits, uint32_t from, uint32_t to)
{
    uint32_t first = from / 64;
    uint32_t last = (to - 1) / 64;
    uint64_t head = ~UINT64_C(0) << (from % 64);
    uint64_t tail = ~UINT64_C(0) >> (63 - (to - 1) % 64);

    if (first == last) {
        return bits[first] & head & tail;
    }
    if (bits[first] & head) {
        return true;
    }
    for (uint32_t w = first + 1; w < last; w++) {
        if (bits[w]) {
            return true;
        }
    }
    return bits[last] & tail;
}

static void bits_set(uint64_t *bits, uint32_t from, uint32_t to)
{
    uint32_t first = from / 64;
    uint32_t last = (to - 1) / 64;
    uint64_t head = ~UINT64_C(0) << (from % 64);
    uint64_t tail = ~UINT64_C(0) >> (63 - (to - 1) % 64);

    if (first == last) {
        bits[first] |= head & tail;
        return;
    }
    bits[first] |= head;
    for (uint32_t w = first + 1; w < last; w++) {
        bits[w] = ~UINT64_C(0);
    }
    bits[last] |= tail;
}

static bool ranges_meet(const uint64_t *bits, const Range *range)
{
    for (; range; range = range->next) {
        if (bits_any(bits, range->from, range->to)) {
            return true;
        }
    }
    return false;
}

static void ranges_set(uint64_t *bits, const Range *range)
{
    for (; range; range = range->next) {
        bits_set(bits, range->from, range->to);
    }
}

/* --- choosing ------------------------------------------------------------ */

static bool try_reg(Alloc *a, VregInfo *info, int reg)
{
    uint64_t *busy = a->busy + (size_t)reg * a->words;

    if (!(a->allowed >> reg & 1) || ranges_meet(busy, info->ranges)) {
        return false;
    }
    ranges_set(busy, info->ranges);
    info->loc = LOC_REG;
    info->reg = reg;
    return true;
}

static bool find_reg(Alloc *a, VregInfo *info)
{
    bool over_call = a->calls && ranges_meet(a->calls, info->ranges);
    const int8_t *order = info->wants_vector ? vec_order
                          : over_call        ? gpr_call_order
                                             : gpr_order;

    if (info->hint > 0 && opt_on(OPT_COALESCE)) {
        const VregInfo *other = &a->c->info[info->hint];

        if (other->loc == LOC_REG &&
            (other->reg >= XMM0) == info->wants_vector &&
            try_reg(a, info, other->reg)) {
            return true;
        }
    }
    for (; *order >= 0; order++) {
        if (try_reg(a, info, *order)) {
            return true;
        }
    }
    return false;
}

static void spill(Alloc *a, VregInfo *info)
{
    unsigned slot = 0;

    while (slot < a->n_slots &&
           ranges_meet(a->slots + (size_t)slot * a->words, info->ranges)) {
        slot++;
    }
    info->loc = LOC_SPILL;
    info->slot = -1;
    if (slot == TCG_SPILL_SLOTS) {
        a->c->too_large = true;
        return;
    }
    if (slot == a->n_slots) {
        memset(a->slots + (size_t)slot * a->words, 0, a->words * 8);
        a->n_slots++;
    }
    ranges_set(a->slots + (size_t)slot * a->words, info->ranges);
    info->slot = slot * 16;
}

/* Call positions, so that what lives across one avoids lost registers. */
static void find_calls(Alloc *a)
{
    const Ir *ir = a->c->ir;

    if (!ir->n_calls) {
        return;
    }
    a->calls = ARENA_NEW0(a->c->arena, uint64_t, a->words);
    for (unsigned i = 0; i < ir->n_ops; i++) {
        if (ir->ops[i].opcode == IR_call) {
            bits_set(a->calls, 2 * i + 1, 2 * i + 2);
        }
    }
}

static int compare_weight(const void *x, const void *y, void *data)
{
    const VregInfo *info = data;
    float a = info[*(const IrReg *)x].weight;
    float b = info[*(const IrReg *)y].weight;

    return a < b ? 1 : a > b ? -1 : *(const IrReg *)x - *(const IrReg *)y;
}

static void allocate_local(Alloc *a)
{
    Compile *c = a->c;

    for (unsigned i = 0; i < c->ir->n_ops; i++) {
        IrReg reg = c->ir->ops[i].dst;
        VregInfo *info = &c->info[reg];

        if (reg && c->ir->vregs[reg].kind == IR_TEMP && !info->cross &&
            !info->loc && info->ranges && !find_reg(a, info)) {
            spill(a, info);
        }
    }
}

static void allocate_cross(Alloc *a)
{
    Compile *c = a->c;
    IrReg *order = ARENA_NEW(c->arena, IrReg, c->n_cross + 1);

    memcpy(order, c->cross, c->n_cross * sizeof(*order));
    qsort_r(order, c->n_cross, sizeof(*order), compare_weight, c->info);
    for (unsigned i = 0; i < c->n_cross; i++) {
        IrReg reg = order[i];
        VregInfo *info = &c->info[reg];

        if (!info->ranges) {
            continue;
        }
        if (c->ir->vregs[reg].kind == IR_GLOBAL) {
            if (!opt_on(OPT_REGS) || info->weight <= 0 || !find_reg(a, info)) {
                info->loc = LOC_HOME;
            }
        } else if (!find_reg(a, info)) {
            spill(a, info);
        }
    }
}

void regalloc(Compile *c)
{
    Alloc a = {.c = c, .words = (2 * c->ir->n_ops + 127) / 64};

    a.busy = ARENA_NEW0(c->arena, uint64_t, (size_t)X86_REGS * a.words);
    a.slots = ARENA_NEW(c->arena, uint64_t,
                        (size_t)TCG_SPILL_SLOTS * a.words);
    a.allowed = ~((1u << RAX) | (1u << RCX) | (1u << RDX) | (1u << RSP) |
                  (1u << RBP) | (1u << RBX));
    for (unsigned i = 0; i < tcg_config.n_pinned; i++) {
        a.allowed &= ~(1u << x86_pinned_regs[i]);
    }
    find_calls(&a);
    for (unsigned i = 1; i < c->ir->n_vregs; i++) {
        if (c->ir->vregs[i].kind == IR_CONST) {
            c->info[i].loc = LOC_CONST;
        } else if (c->ir->vregs[i].kind == IR_MEMORY) {
            c->info[i].loc = LOC_HOME;
        } else if (c->ir->vregs[i].kind == IR_PINNED) {
            c->info[i].loc = LOC_REG;
            c->info[i].reg = i == c->ir->cpu ? RBP
                             : x86_pinned_regs[i - c->ir->cpu - 1];
        }
    }
    allocate_local(&a);
    allocate_cross(&a);
}
