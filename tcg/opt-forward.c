/*
 * Values that were stored are not loaded again.
 *
 *     gst4 [r3 + 8], t1            gst4 [r3 + 8], t1
 *     ...                          m = low half of t1
 *     t2 = gld4 [r3 + 8]           ...
 *                                  t2 = m
 *
 * Compilers that keep variables in memory make such pairs all the time, and
 * the host takes five cycles from the store to the load.  A "slot" is what one
 * base register and one offset lead to.  Forward, over all blocks: which slots
 * hold what was stored there last (available); backward: of which of them
 * that is wanted.  What follows another store, unless it is beside the slot
 * from the same base, is not known any more; nor is anything after calls,
 * fences and new values of the base.
 *
 * Loads are taken from this CPU's own stores only, never from earlier loads,
 * so that the order of memory is still that of the host, which does the same.
 * Around a loop only what each round stores again is carried: a loop that
 * waits for another CPU loads what it waits for.
 *
 * Not where guest memory may be a device's.  The same is done for CPU state
 * that is stored and loaded in place: a CTPR that a jump goes through.  Its
 * slots are told apart by their pinned base, and are nobody's home.
 */
#include <string.h>

#include "tcg/opt-int.h"

enum { SLOTS = 64, FORWARD_PAGE = 4096 };

typedef struct Slot {
    IrReg base;
    bool host;        /* of CPU state, not of guest memory */
    int64_t offset;
    unsigned width;
    IrReg value;      /* the temporary that holds it */
} Slot;

/* Sets of slots. */
typedef struct BlockSlots {
    uint64_t in, out;   /* available */
    uint64_t fresh;     /* at the end, if nothing is known at heads of loops */
    uint64_t wanted;    /* at the end: loaded before it is stored again */
} BlockSlots;

typedef struct Forward {
    Compile *c;
    Ir *ir;
    Slot slots[SLOTS];
    unsigned n_slots;
    uint64_t constant;  /* slots whose base is a constant */
    uint64_t host;      /* those of CPU state */
    BlockSlots *blocks;
} Forward;

static bool is_store(const IrOp *op)
{
    return op->opcode == IR_gst || op->opcode == IR_st;
}

static bool is_load(const IrOp *op)
{
    return op->opcode == IR_gld || op->opcode == IR_ld;
}

static bool is_host(const IrOp *op)
{
    return op->opcode == IR_st || op->opcode == IR_ld;
}

static IrReg stored_value(const IrOp *op)
{
    return op->src[op->opcode == IR_gst ? 2 : 1];
}

static bool has_index(const IrOp *op)
{
    return !is_host(op) && op->src[1];
}

/* Could the access have a slot at all? */
static bool is_candidate(const Ir *ir, const IrOp *op)
{
    IrReg value = is_store(op) ? stored_value(op) : op->dst;

    return !has_index(op) && op->width <= 8 &&
           ir->vregs[value].type == IR_I64 &&
           (is_host(op) ? ir->vregs[op->src[0]].kind == IR_PINNED
                        : !tcg_config.tlb_offset);
}

/* The slot that a load or store uses, or -1. */
static int slot_of(const Forward *f, const IrOp *op)
{
    if (!is_candidate(f->ir, op)) {
        return -1;
    }
    for (unsigned i = 0; i < f->n_slots; i++) {
        const Slot *s = &f->slots[i];

        if (s->base == op->src[0] && s->offset == op->imm &&
            s->width == op->width && s->host == is_host(op)) {
            return i;
        }
    }
    return -1;
}

/* Pages may be mapped twice: what is whole pages away can be the same. */
static bool is_beside(const Slot *s, int64_t offset, unsigned width)
{
    uint64_t behind = (uint64_t)(offset - s->offset) & (FORWARD_PAGE - 1);

    return behind >= s->width && behind + width <= FORWARD_PAGE;
}

/* The slots that a store may change. */
static uint64_t stored_over(const Forward *f, const IrOp *op)
{
    uint64_t over = 0;
    uint64_t base = 0;
    bool constant = ir_is_const(f->ir, op->src[0], &base);

    for (unsigned i = 0; i < f->n_slots; i++) {
        const Slot *s = &f->slots[i];
        bool beside = s->host != is_host(op);

        if (beside || has_index(op)) {
            /* decided */
        } else if (s->base == op->src[0]) {
            beside = is_beside(s, op->imm, op->width);
        } else if (s->host) {
            beside = true; /* what different pinned registers point to */
        } else if (constant && f->constant >> i & 1) {
            int64_t distance = base - f->ir->vregs[s->base].value;

            beside = is_beside(s, distance + op->imm, op->width);
        }
        over |= (uint64_t)!beside << i;
    }
    return over;
}

static uint64_t slots_on(const Forward *f, IrReg base)
{
    uint64_t slots = 0;

    for (unsigned i = 0; i < f->n_slots; i++) {
        slots |= (uint64_t)(f->slots[i].base == base) << i;
    }
    return slots;
}

/* What is available after an operation. */
static uint64_t step(Forward *f, const IrOp *op, uint64_t available)
{
    int slot;

    switch (op->opcode) {
    case IR_st:
        if (f->ir->vregs[op->src[0]].kind != IR_PINNED) {
            return 0;
        }
        /* fall through */
    case IR_gst:
        available &= ~stored_over(f, op);
        slot = slot_of(f, op);
        return slot >= 0 ? available | UINT64_C(1) << slot : available;
    case IR_call:
        if (!(f->ir->calls[op->aux].flags & IR_CALL_PURE)) {
            return 0;
        }
        break;
    case IR_fence:
        return available & f->host;
    case IR_call_region:
    case IR_reload:
        return 0;
    default:
        break;
    }
    return op->dst ? available & ~slots_on(f, op->dst) : available;
}

static uint64_t step_block(Forward *f, const Block *block, uint64_t available)
{
    for (unsigned i = block->first; i < block->end; i++) {
        available = step(f, &f->ir->ops[i], available);
    }
    return available;
}

/* Is the state in memory what a global has in a register? */
static bool is_home(const Ir *ir, const IrOp *op)
{
    for (unsigned i = 1; i < ir->n_vregs; i++) {
        const IrVreg *vreg = &ir->vregs[i];

        if (vreg->kind == IR_GLOBAL && vreg->base == op->src[0] &&
            vreg->offset < op->imm + op->width &&
            op->imm < vreg->offset + MAX(vreg->home_size, 8)) {
            return true;
        }
    }
    return false;
}

static void add_slot(Forward *f, const IrOp *op)
{
    uint64_t bit = UINT64_C(1) << f->n_slots;

    if (f->n_slots == SLOTS || slot_of(f, op) >= 0 ||
        (is_host(op) && is_home(f->ir, op))) {
        return;
    }
    f->slots[f->n_slots++] = (Slot){
        .base = op->src[0], .host = is_host(op), .offset = op->imm,
        .width = op->width,
    };
    f->host |= is_host(op) ? bit : 0;
    f->constant |= f->ir->vregs[op->src[0]].kind == IR_CONST ? bit : 0;
}

static bool stores_to(const IrOp *store, const IrOp *load)
{
    return is_host(store) == is_host(load) && store->src[0] == load->src[0] &&
           store->imm == load->imm &&
           store->width == load->width;
}

/* What is loaded, and stored somewhere. */
static void find_slots(Forward *f)
{
    const IrOp *ops = f->ir->ops;
    const IrOp **stores = ARENA_NEW(f->c->arena, const IrOp *, f->ir->n_ops);
    unsigned n_stores = 0;

    for (unsigned i = 0; i < f->ir->n_ops; i++) {
        if (is_store(&ops[i]) && is_candidate(f->ir, &ops[i])) {
            stores[n_stores++] = &ops[i];
        }
    }
    for (unsigned i = 0; i < f->ir->n_ops; i++) {
        bool stored = false;

        if (!is_load(&ops[i]) || !is_candidate(f->ir, &ops[i])) {
            continue;
        }
        for (unsigned k = 0; !stored && k < n_stores; k++) {
            stored = stores_to(stores[k], &ops[i]);
        }
        if (stored) {
            add_slot(f, &ops[i]);
        }
    }
}

/* One flow over all blocks; in the first, nothing is known at heads of loops
 * and the results become fresh. */
static void flow(Forward *f, bool first)
{
    const Compile *c = f->c;
    bool changed = true;

    for (unsigned b = 0; b < c->n_blocks; b++) {
        bool nothing = b == 0 || (first && c->blocks[b].back_target);

        f->blocks[b].in = nothing ? 0 : ~UINT64_C(0);
    }
    while (changed) {
        changed = false;
        for (unsigned b = 0; b < c->n_blocks; b++) {
            const Block *block = &c->blocks[b];

            if (!block->reachable) {
                continue;
            }
            f->blocks[b].out = step_block(f, block, f->blocks[b].in);
            for (unsigned k = 0; k < 2; k++) {
                int s = block->succ[k];

                if (s < 0) {
                    continue;
                }
                uint64_t in = f->blocks[s].in &
                              (s <= (int)b && !first ? f->blocks[b].fresh
                                                     : f->blocks[b].out);

                changed |= in != f->blocks[s].in;
                f->blocks[s].in = in;
            }
        }
    }
    for (unsigned b = 0; first && b < c->n_blocks; b++) {
        f->blocks[b].fresh = f->blocks[b].out;
    }
}

/*
 * Backward over a block: which values are wanted before it.  marks[i], when
 * asked for, becomes 1 + slot of the loads to replace and of the stores whose
 * values they want.
 */
static uint64_t want_block(Forward *f, const Block *block, uint64_t available,
                           uint64_t wanted, uint8_t *marks)
{
    uint64_t *before = ARENA_NEW(f->c->arena, uint64_t,
                                 block->end - block->first + 1);

    for (unsigned i = block->first; i < block->end; i++) {
        before[i - block->first] = available;
        available = step(f, &f->ir->ops[i], available);
    }
    for (int i = block->end - 1; i >= (int)block->first; i--) {
        const IrOp *op = &f->ir->ops[i];
        bool store = is_store(op);
        int slot = store || is_load(op) ? slot_of(f, op) : -1;

        if (slot < 0) {
            continue;
        }
        uint64_t bit = UINT64_C(1) << slot;
        bool marked = store ? wanted & bit
                            : before[i - block->first] & bit;

        if (marks) {
            marks[i] = marked ? slot + 1 : 0;
        }
        wanted = store ? wanted & ~bit : marked ? wanted | bit : wanted;
    }
    return wanted;
}

static void flow_wanted(Forward *f)
{
    const Compile *c = f->c;
    bool changed = true;

    while (changed) {
        changed = false;
        for (int b = c->n_blocks - 1; b >= 0; b--) {
            if (!c->blocks[b].reachable) {
                continue;
            }
            uint64_t in = want_block(f, &c->blocks[b], f->blocks[b].in,
                                     f->blocks[b].wanted, NULL);

            for (unsigned p = 0; p < c->n_blocks; p++) {
                BlockSlots *from = &f->blocks[p];

                if ((c->blocks[p].succ[0] == b || c->blocks[p].succ[1] == b) &&
                    (in & ~from->wanted)) {
                    from->wanted |= in;
                    changed = true;
                }
            }
        }
    }
}

/* Replaces marked loads; marked stores keep their value aside. */
static void rewrite(Forward *f, const uint8_t *marks, unsigned n_marked)
{
    Ir *ir = f->ir;
    IrOp *ops = ARENA_NEW(f->c->arena, IrOp, ir->n_ops + n_marked);
    unsigned n = 0;

    for (unsigned b = 0; b < f->c->n_blocks; b++) {
        Block *block = &f->c->blocks[b];
        unsigned first = n;

        for (unsigned i = block->first; i < block->end; i++) {
            const IrOp *op = &ir->ops[i];
            Slot *s = marks[i] ? &f->slots[marks[i] - 1] : NULL;

            if (!s) {
                ops[n++] = *op;
                continue;
            }
            if (!s->value) {
                s->value = ir_temp(ir);
            }
            if (is_load(op)) {
                ops[n++] = (IrOp){.opcode = IR_mov, .width = 8,
                                  .dst = op->dst, .src = {s->value}};
                continue;
            }
            ops[n++] = *op;
            ops[n++] = (IrOp){
                .opcode = s->width == 8 ? IR_mov : IR_extract, .width = 8,
                .dst = s->value, .src = {stored_value(op)},
                .imm = s->width == 8 ? 0 : (8 * s->width) << 8,
            };
        }
        block->first = first;
        block->end = n;
    }
    if (n > ir->max_ops) {
        ir->max_ops = n;
        ir->ops = g_renew(IrOp, ir->ops, n);
    }
    memcpy(ir->ops, ops, n * sizeof(*ops));
    ir->n_ops = n;
}

bool opt_forward(Compile *c)
{
    Forward *f = ARENA_NEW0(c->arena, Forward, 1);
    unsigned n_marked = 0;
    unsigned n_loads = 0;

    f->c = c;
    f->ir = c->ir;
    find_slots(f);
    if (!f->n_slots || c->ir->n_vregs + SLOTS >= IR_MAX_VREGS) {
        return false;
    }
    uint8_t *marks = ARENA_NEW0(c->arena, uint8_t, c->ir->n_ops);

    f->blocks = ARENA_NEW0(c->arena, BlockSlots, c->n_blocks);
    flow(f, true);
    flow(f, false);
    flow_wanted(f);
    for (unsigned b = 0; b < c->n_blocks; b++) {
        if (c->blocks[b].reachable) {
            want_block(f, &c->blocks[b], f->blocks[b].in, f->blocks[b].wanted,
                       marks);
        }
    }
    for (unsigned i = 0; i < c->ir->n_ops; i++) {
        n_marked += marks[i] != 0;
        n_loads += marks[i] && is_load(&c->ir->ops[i]);
    }
    if (n_loads) {
        rewrite(f, marks, n_marked);
    }
    return n_loads != 0;
}
