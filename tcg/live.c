/*
 * Which values live where in a region.
 *
 * Two flow analyses over sets of "cross" vregs (globals, and temporaries that
 * live across blocks):
 *
 *   dirty  forward:  globals that may differ from their homes
 *   live   backward: values used later; exits and fault sites use the
 *                    globals that are dirty there
 *
 * Dirty globals at an exit are live there, so a global that is assigned on
 * one path only is loaded on the others; the store at the exit is then right
 * on all paths.
 *
 * Positions number the operations: operation i reads at 2 i and writes at
 * 2 i + 1.  A range ends one past its last use, so an operand that dies and
 * the result of the same operation may share a register.
 */
#include "tcg/tcg-int.h"

static void set_or(uint64_t *to, const uint64_t *from, unsigned words)
{
    for (unsigned i = 0; i < words; i++) {
        to[i] |= from[i];
    }
}

static bool set_same(const uint64_t *a, const uint64_t *b, unsigned words)
{
    for (unsigned i = 0; i < words; i++) {
        if (a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

/* --- numbering ---------------------------------------------------------- */

static void note_vreg(Compile *c, IrReg reg, int block, bool defined)
{
    VregInfo *info = &c->info[reg];
    unsigned kind = c->ir->vregs[reg].kind;

    if (kind == IR_GLOBAL) {
        info->cross = true;
    } else if (kind == IR_TEMP) {
        if (info->block == -2) {
            info->block = block;
            info->cross = !defined; /* read before its definition */
        } else if (info->block != block) {
            info->cross = true;
        }
    }
}

static void number_cross(Compile *c)
{
    Ir *ir = c->ir;
    IrReg sources[8];

    c->info = ARENA_NEW0(c->arena, VregInfo, ir->n_vregs);
    for (unsigned i = 0; i < ir->n_vregs; i++) {
        c->info[i].block = -2;
        c->info[i].hint = -1;
    }
    for (unsigned b = 0; b < c->n_blocks; b++) {
        for (unsigned i = c->blocks[b].first; i < c->blocks[b].end; i++) {
            const IrOp *op = &ir->ops[i];
            unsigned n = op_sources(ir, op, sources);

            for (unsigned k = 0; k < n; k++) {
                note_vreg(c, sources[k], b, false);
            }
            if (op->dst) {
                note_vreg(c, op->dst, b, true);
            }
        }
    }
    c->cross = ARENA_NEW(c->arena, IrReg, ir->n_vregs + 1);
    c->n_cross = 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 1; i < ir->n_vregs; i++) {
            bool global = ir->vregs[i].kind == IR_GLOBAL;

            if (c->info[i].cross && global == !pass) {
                c->info[i].cross_bit = c->n_cross;
                c->cross[c->n_cross++] = i;
            }
        }
        if (!pass) {
            c->n_globals = c->n_cross;
        }
    }
    c->words = (c->n_cross + 63) / 64;
    c->words += !c->words;
}

static void make_class_sets(Compile *c)
{
    c->class_sets = ARENA_NEW0(c->arena, uint64_t, 32 * c->words);
    c->all_globals = ARENA_NEW0(c->arena, uint64_t, c->words);
    for (unsigned bit = 0; bit < c->n_globals; bit++) {
        unsigned class = c->ir->vregs[c->cross[bit]].class;

        set_add(c->class_sets + class * c->words, bit);
        set_add(c->all_globals, bit);
    }
}

static uint64_t *class_union(Compile *c, uint32_t classes, IrReg single)
{
    uint64_t *set;

    if (classes == ~0u) {
        return c->all_globals;
    }
    set = ARENA_NEW0(c->arena, uint64_t, c->words);
    for (uint32_t rest = classes; rest; rest &= rest - 1) {
        set_or(set, c->class_sets + __builtin_ctz(rest) * c->words, c->words);
    }
    if (single && c->info[single].cross) {
        set_add(set, c->info[single].cross_bit);
    }
    return set;
}

/* --- dirty globals ------------------------------------------------------ */

/* Sets of the operations that touch homes: the globals concerned. */
static void collect_effects(Compile *c)
{
    Ir *ir = c->ir;

    c->may_need = ARENA_NEW0(c->arena, uint64_t *, ir->n_ops);
    c->need = ARENA_NEW0(c->arena, uint64_t *, ir->n_ops);
    c->forget = ARENA_NEW0(c->arena, uint64_t *, ir->n_ops);
    c->reload = ARENA_NEW0(c->arena, uint64_t *, ir->n_ops);
    for (unsigned i = 0; i < ir->n_ops; i++) {
        const IrOp *op = &ir->ops[i];
        uint32_t reads, writes;

        if (!ir_op_is(op, IRF_E | IRF_X | IRF_F)) {
            continue;
        }
        op_classes(ir, op, &reads, &writes);
        if (ir_op_is(op, IRF_F)) {
            c->may_need[i] = c->all_globals;
        } else if (op->opcode == IR_sync) {
            c->may_need[i] = class_union(c, reads, op->src[0]);
        } else if (op->opcode == IR_reload) {
            c->forget[i] = class_union(c, writes, op->src[0]);
        } else {
            if (reads) {
                c->may_need[i] = class_union(c, reads, 0);
            }
            if (writes) {
                c->forget[i] = class_union(c, writes, 0);
            }
        }
    }
}

static bool becomes_dirty(Compile *c, const IrOp *op)
{
    return op->dst && c->ir->vregs[op->dst].kind == IR_GLOBAL &&
           !c->ir->vregs[op->dst].through;
}

static void step_dirty(Compile *c, unsigned i, uint64_t *dirty)
{
    const IrOp *op = &c->ir->ops[i];

    if (c->may_need[i] && !ir_op_is(op, IRF_F)) {
        for (unsigned w = 0; w < c->words; w++) {
            dirty[w] &= ~c->may_need[i][w];
        }
    }
    if (c->forget[i]) {
        for (unsigned w = 0; w < c->words; w++) {
            dirty[w] &= ~c->forget[i][w];
        }
    }
    if (becomes_dirty(c, op)) {
        set_add(dirty, c->info[op->dst].cross_bit);
    }
}

/* What a block makes dirty, and what it cleans. */
static void summarise_dirty(Compile *c, Block *block)
{
    memset(block->gen, 0, c->words * 8);
    memset(block->kill, 0, c->words * 8);
    for (unsigned i = block->first; i < block->end; i++) {
        if (c->may_need[i] && !ir_op_is(&c->ir->ops[i], IRF_F)) {
            set_or(block->kill, c->may_need[i], c->words);
        }
        if (c->forget[i]) {
            set_or(block->kill, c->forget[i], c->words);
        }
        step_dirty(c, i, block->gen);
    }
}

static void flow_dirty(Compile *c)
{
    bool changed = true;

    for (unsigned b = 0; b < c->n_blocks; b++) {
        summarise_dirty(c, &c->blocks[b]);
    }
    while (changed) {
        changed = false;
        for (unsigned b = 0; b < c->n_blocks; b++) {
            const Block *block = &c->blocks[b];

            for (unsigned k = 0; k < 2; k++) {
                int s = block->succ[k];

                for (unsigned w = 0; s >= 0 && w < c->words; w++) {
                    uint64_t out = (block->dirty_in[w] & ~block->kill[w]) |
                                   block->gen[w];
                    uint64_t *in = &c->blocks[s].dirty_in[w];

                    if (out & ~*in) {
                        *in |= out;
                        changed |= s <= (int)b;
                    }
                }
            }
        }
    }
}

/* Narrows need to the globals that are dirty; equal sets are shared. */
static void narrow_needs(Compile *c)
{
    uint64_t *dirty = ARENA_NEW(c->arena, uint64_t, c->words);
    uint64_t *narrowed = ARENA_NEW(c->arena, uint64_t, c->words);
    uint64_t *last = NULL;

    for (unsigned b = 0; b < c->n_blocks; b++) {
        Block *block = &c->blocks[b];

        memcpy(dirty, block->dirty_in, c->words * 8);
        for (unsigned i = block->first; i < block->end; i++) {
            uint64_t *all = c->may_need[i];

            if (all) {
                for (unsigned w = 0; w < c->words; w++) {
                    narrowed[w] = dirty[w] & all[w];
                }
                step_dirty(c, i, dirty);
                if (!last || !set_same(last, narrowed, c->words)) {
                    last = ARENA_NEW(c->arena, uint64_t, c->words);
                    memcpy(last, narrowed, c->words * 8);
                }
                c->need[i] = last;
            } else if (c->ir->ops[i].dst || c->forget[i]) {
                step_dirty(c, i, dirty);
            }
        }
    }
}

/* --- live values -------------------------------------------------------- */

static void step_live(Compile *c, unsigned i, uint64_t *live)
{
    const IrOp *op = &c->ir->ops[i];
    IrReg sources[8];

    if (op->dst && c->info[op->dst].cross) {
        set_remove(live, c->info[op->dst].cross_bit);
    }
    if (c->forget[i]) {
        for (unsigned w = 0; w < c->words; w++) {
            live[w] &= ~c->forget[i][w];
        }
    }
    if (c->need[i]) {
        set_or(live, c->need[i], c->words);
    }
    unsigned n = op_sources(c->ir, op, sources);

    for (unsigned k = 0; k < n; k++) {
        if (c->info[sources[k]].cross) {
            set_add(live, c->info[sources[k]].cross_bit);
        }
    }
}

/* What a block reads before it assigns it, and what it assigns. */
static void summarise_live(Compile *c, Block *block)
{
    memset(block->gen, 0, c->words * 8);
    memset(block->kill, 0, c->words * 8);
    for (int i = block->end - 1; i >= (int)block->first; i--) {
        const IrOp *op = &c->ir->ops[i];

        if (op->dst && c->info[op->dst].cross) {
            set_add(block->kill, c->info[op->dst].cross_bit);
        }
        if (c->forget[i]) {
            set_or(block->kill, c->forget[i], c->words);
        }
        step_live(c, i, block->gen);
    }
}

static void flow_live(Compile *c)
{
    bool changed = true;

    for (unsigned b = 0; b < c->n_blocks; b++) {
        summarise_live(c, &c->blocks[b]);
    }
    while (changed) {
        changed = false;
        for (int b = c->n_blocks - 1; b >= 0; b--) {
            Block *block = &c->blocks[b];

            for (unsigned s = 0; s < 2; s++) {
                if (block->succ[s] >= 0) {
                    set_or(block->live_out,
                           c->blocks[block->succ[s]].live_in, c->words);
                }
            }
            for (unsigned w = 0; w < c->words; w++) {
                uint64_t in = (block->live_out[w] & ~block->kill[w]) |
                              block->gen[w];

                if (in != block->live_in[w]) {
                    block->live_in[w] = in;
                    changed |= block->back_target;
                }
            }
        }
    }
}

/* --- ranges and weights -------------------------------------------------- */

typedef struct RangeBuild {
    Compile *c;
    uint32_t *end;     /* by vreg: where its open range ends, 0: closed */
    uint64_t *live;
    float freq;
} RangeBuild;

static void range_push(RangeBuild *rb, IrReg reg, uint32_t from, uint32_t to)
{
    VregInfo *info = &rb->c->info[reg];

    if (info->ranges && info->ranges->from <= to) {
        info->ranges->from = from; /* touches the one after it */
        return;
    }
    Range *range = ARENA_NEW(rb->c->arena, Range, 1);

    *range = (Range){.from = from, .to = to, .next = info->ranges};
    info->ranges = range;
}

static void range_use(RangeBuild *rb, IrReg reg, uint32_t position)
{
    unsigned kind = rb->c->ir->vregs[reg].kind;

    if (kind == IR_TEMP || kind == IR_GLOBAL) {
        if (!rb->end[reg]) {
            rb->end[reg] = position + 1;
        }
        if (rb->c->info[reg].cross) {
            set_add(rb->live, rb->c->info[reg].cross_bit);
        }
    }
}

static void range_def(RangeBuild *rb, IrReg reg, uint32_t position)
{
    if (rb->c->ir->vregs[reg].kind == IR_PINNED ||
        rb->c->ir->vregs[reg].kind == IR_MEMORY) {
        return;
    }
    range_push(rb, reg, position, rb->end[reg] ? rb->end[reg] : position + 1);
    rb->end[reg] = 0;
    if (rb->c->info[reg].cross) {
        set_remove(rb->live, rb->c->info[reg].cross_bit);
    }
}

/* Does the operation take or give reg in a vector register? */
static bool vector_operand(const Ir *ir, const IrOp *op, IrReg reg)
{
    const IrOpInfo *info = &ir_op_infos[op->opcode];

    if (info->flags & IRF_V) {
        if (reg == op->dst) {
            return !(info->vec & (IRV_G32 | IRV_G64));
        }
        return !(info->vec & (IRV_S32 | IRV_S64));
    }
    return op->opcode == IR_fsetcond ? reg != op->dst
           : op->opcode == IR_vjoin  ? reg == op->dst
           : op->opcode == IR_vlo || op->opcode == IR_vhi ? reg != op->dst
                                                          : false;
}

static void weigh(RangeBuild *rb, const IrOp *op, IrReg reg)
{
    VregInfo *info = &rb->c->info[reg];
    bool neutral = op->opcode == IR_mov || op->opcode == IR_gld ||
                   op->opcode == IR_ld ||
                   (op->opcode == IR_gst && reg == op->src[2]) ||
                   (op->opcode == IR_st && reg == op->src[1]);

    const IrVreg *vreg = &rb->c->ir->vregs[reg];
    /* A bit field in its home costs a shift and a mask, or a merge. */
    float cost = vreg->bit_len ? 3 * rb->freq : rb->freq;

    if (reg == op->dst) {
        info->assigned += cost;
    }
    if (reg != op->dst || !vreg->through) {
        info->weight += cost;
    }
    if (!neutral) {
        /* Kept beside the ranges: sign of the class vote. */
        ((float *)rb->end)[rb->c->ir->n_vregs + reg] +=
            vector_operand(rb->c->ir, op, reg) ? rb->freq : -rb->freq;
    }
}

static void note_call_live(RangeBuild *rb, unsigned i)
{
    Compile *c = rb->c;
    const IrOp *op = &c->ir->ops[i];
    unsigned n = 0;
    IrReg *list;

    for (unsigned r = 1; r < c->ir->n_vregs; r++) {
        n += rb->end[r] != 0 && r != op->dst;
    }
    list = ARENA_NEW(c->arena, IrReg, n + 1);
    n = 0;
    for (unsigned r = 1; r < c->ir->n_vregs; r++) {
        if (rb->end[r] && r != op->dst) {
            list[n++] = r;
        }
    }
    list[n] = 0;
    c->call_live[op->aux] = list;
}

static void weigh_set(RangeBuild *rb, const uint64_t *set, float weight)
{
    for (unsigned w = 0; w < rb->c->words; w++) {
        for (uint64_t rest = set[w]; rest; rest &= rest - 1) {
            unsigned bit = w * 64 + __builtin_ctzll(rest);

            rb->c->info[rb->c->cross[bit]].weight += weight;
        }
    }
}

/* Homes changed at operation i: live globals start a new life there. */
static void range_forget(RangeBuild *rb, unsigned i)
{
    Compile *c = rb->c;
    uint64_t *again = ARENA_NEW(c->arena, uint64_t, c->words);

    for (unsigned w = 0; w < c->words; w++) {
        again[w] = c->forget[i][w] & rb->live[w];
        for (uint64_t rest = again[w]; rest; rest &= rest - 1) {
            range_def(rb, c->cross[w * 64 + __builtin_ctzll(rest)], 2 * i + 1);
        }
    }
    weigh_set(rb, again, -rb->freq);
    c->reload[i] = again;
}

static void range_need(RangeBuild *rb, unsigned i)
{
    Compile *c = rb->c;

    for (unsigned w = 0; w < c->words; w++) {
        for (uint64_t rest = c->need[i][w]; rest; rest &= rest - 1) {
            range_use(rb, c->cross[w * 64 + __builtin_ctzll(rest)], 2 * i);
        }
    }
    if (!ir_op_is(&c->ir->ops[i], IRF_F)) {
        weigh_set(rb, c->need[i], -rb->freq);
        for (unsigned w = 0; w < c->words; w++) {
            for (uint64_t rest = c->need[i][w]; rest; rest &= rest - 1) {
                unsigned bit = w * 64 + __builtin_ctzll(rest);

                c->info[c->cross[bit]].written += rb->freq;
            }
        }
    }
}

static void build_block_ranges(RangeBuild *rb, const Block *block)
{
    Compile *c = rb->c;
    Ir *ir = c->ir;
    IrReg sources[8];

    rb->freq = block_freq(block);
    memcpy(rb->live, block->live_out, c->words * 8);
    for (unsigned w = 0; w < c->words; w++) {
        for (uint64_t rest = rb->live[w]; rest; rest &= rest - 1) {
            rb->end[c->cross[w * 64 + __builtin_ctzll(rest)]] =
                2 * block->end;
        }
    }
    for (int i = block->end - 1; i >= (int)block->first; i--) {
        const IrOp *op = &ir->ops[i];

        if (op->opcode == IR_nop) {
            continue;
        }
        if (op->dst) {
            range_def(rb, op->dst, 2 * i + 1);
            weigh(rb, op, op->dst);
        }
        if (c->forget[i]) {
            range_forget(rb, i);
        }
        if (op->opcode == IR_call) {
            note_call_live(rb, i);
        }
        unsigned n = op_sources(ir, op, sources);

        /* Two-operand instructions like the result on a dying operand. */
        if (n && op->dst && c->info[op->dst].hint < 0 &&
            !rb->end[sources[0]] && ir_op_is(op, IRF_P)) {
            c->info[op->dst].hint = sources[0];
        }
        for (unsigned k = 0; k < n; k++) {
            range_use(rb, sources[k], 2 * i);
            weigh(rb, op, sources[k]);
        }
        if (c->need[i]) {
            range_need(rb, i);
        }
        if (op->opcode == IR_mov) {
            c->info[op->dst].hint = op->src[0];
            c->info[op->src[0]].hint = op->dst;
        }
    }
    for (unsigned w = 0; w < c->words; w++) {
        for (uint64_t rest = rb->live[w]; rest; rest &= rest - 1) {
            IrReg reg = c->cross[w * 64 + __builtin_ctzll(rest)];

            range_push(rb, reg, 2 * block->first, rb->end[reg]);
            rb->end[reg] = 0;
        }
    }
}

static void build_ranges(Compile *c)
{
    /* Open ends, then the class votes. */
    RangeBuild rb = {.c = c};
    float *votes;

    rb.end = ARENA_NEW0(c->arena, uint32_t, 2 * c->ir->n_vregs);
    votes = (float *)rb.end + c->ir->n_vregs;
    rb.live = ARENA_NEW(c->arena, uint64_t, c->words);
    c->call_live = ARENA_NEW0(c->arena, IrReg *, c->ir->n_calls + 1);
    for (int b = c->n_blocks - 1; b >= 0; b--) {
        if (c->blocks[b].reachable) {
            build_block_ranges(&rb, &c->blocks[b]);
        }
    }
    for (unsigned i = 1; i < c->ir->n_vregs; i++) {
        c->info[i].wants_vector =
            c->ir->vregs[i].type == IR_V128 || votes[i] > 0;
    }
    weigh_set(&rb, c->blocks[0].live_in, -1);
}

/*
 * Globals that would be written home at exits more often than they are
 * assigned are written when they are assigned: then they are never dirty, and
 * paths that do not assign them need not load them.
 */
static bool choose_through(Compile *c)
{
    bool any = false;

    for (unsigned bit = 0; bit < c->n_globals; bit++) {
        const VregInfo *info = &c->info[c->cross[bit]];

        if (info->assigned > 0 && info->assigned < info->written) {
            c->ir->vregs[c->cross[bit]].through = true;
            any = true;
        }
    }
    return any;
}

static void analyse(Compile *c)
{
    for (unsigned b = 0; b < c->n_blocks; b++) {
        Block *block = &c->blocks[b];

        block->live_in = ARENA_NEW0(c->arena, uint64_t, 5 * c->words);
        block->live_out = block->live_in + c->words;
        block->dirty_in = block->live_out + c->words;
        block->gen = block->dirty_in + c->words;
        block->kill = block->gen + c->words;
    }
    flow_dirty(c);
    narrow_needs(c);
    flow_live(c);
    build_ranges(c);
}

static void forget_ranges(Compile *c)
{
    for (unsigned i = 0; i < c->ir->n_vregs; i++) {
        VregInfo *info = &c->info[i];

        info->ranges = NULL;
        info->weight = info->assigned = info->written = 0;
    }
}

void live_build(Compile *c)
{
    number_cross(c);
    make_class_sets(c);
    collect_effects(c);
    analyse(c);
    if (c->tier == TCG_TIER_FULL && opt_on(OPT_THROUGH) &&
        choose_through(c)) {
        forget_ranges(c);
        analyse(c);
    }
}
