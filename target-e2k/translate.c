/*
 * Translation of a region into intermediate code.
 *
 *   region_discover()      which bundles
 *   tags_analyse()         what is known about their operands' tags
 *   trans_node() each      bundle -> IR
 *   tcg_compile()          IR -> host code
 *
 * A bundle is emitted in the order that makes it all-or-nothing: tests of
 * tags and of other reasons to let the interpreter have it; memory accesses,
 * with loaded values in temporaries; arithmetic; then everything is assigned.
 * A fault or a failed test therefore finds the state from before the bundle,
 * and the interpreter executes the bundle with all its exceptional effects.
 */
#include "target-e2k/translate-int.h"

#include <inttypes.h>
#include <string.h>

#include "tcg/tcg.h"
#include "target-e2k/disas.h"
#include "target-e2k/jit.h"
#include "util/log.h"

bool trans_without_tags;

/* ------------------------------------------------------------------------
 * Operations of a bundle
 */

static IrReg operand(Trans *t, const Operand *o, unsigned width)
{
    int reg = trans_guest_reg(t->node->at.geo, o);
    bool wide = width == WIDTH_P || width == WIDTH_X;

    if (width == WIDTH_NONE || width == WIDTH_STATE) {
        return IR_NONE;
    }
    if (reg >= 0) {
        return wide ? trans_reg(t, reg) : trans_reg_lo(t, reg);
    }
    IrReg value = trans_imm(t, o->kind == OPERAND_CONST ? o->value : 0);
    if (!wide) {
        return value;
    }
    IrReg both = ir_temp_v128(t->ir);
    ir_op2(t->ir, IR_vjoin, 16, both, value, trans_imm(t, 0));
    return both;
}

void trans_write_d(Trans *t, unsigned guest_reg, IrReg value)
{
    IrReg reg = trans_reg(t, guest_reg);
    if (t->wide[guest_reg]) {
        IrReg hi = ir_new1(t->ir, IR_vhi, 8, reg);
        ir_op2(t->ir, IR_vjoin, 16, reg, value, hi);
    } else {
        ir_mov(t->ir, reg, value);
    }
}

/* Does any operation other than skip read guest register reg? */
static bool read_by_others(const TransOp *ops, unsigned n, unsigned skip,
                           Geometry geo, int reg)
{
    for (unsigned i = 0; i < n; i++) {
        const AlcOp *op = ops[i].op;
        if (i != skip && (trans_guest_reg(geo, &op->src1) == reg ||
                          trans_guest_reg(geo, &op->src2) == reg ||
                          trans_guest_reg(geo, &op->src3) == reg)) {
            return true;
        }
    }
    return false;
}

static bool written_by_others(const TransOp *ops, unsigned n, unsigned skip)
{
    for (unsigned i = 0; i < n; i++) {
        if (i != skip && ops[i].dst == ops[skip].dst) {
            return true;
        }
    }
    return false;
}

static unsigned pair_distance(const InsnRow *row)
{
    return row->flags & F_PAIR01_34 ? 1 : row->flags & F_PAIR02_35 ? 2 : 3;
}

/* Operations that may leave for the interpreter while they compute. */
static bool computed_early(const Trans *t, const InsnRow *row)
{
    return row->sem == SEM_rr || trans_is_x87(row) ||
           (trans_is_sse(row) && t->node->at.geo.fp_checked);
}

static unsigned collect_ops(Trans *t, TransOp *ops)
{
    const Bundle *b = &t->node->bundle;
    TransOp *at[BUNDLE_CHANNELS] = { NULL };
    unsigned n = 0;

    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        const AlcOp *op = &b->alc[i];
        if (!op->present) {
            continue;
        }
        TransOp *o = &ops[n++];
        at[i] = o;
        *o = (TransOp){ .op = op, .row = &insn_rows[op->row], .dst = -1 };
        o->a = operand(t, &op->src1, o->row->src1);
        o->b = operand(t, &op->src2, o->row->src2);
        o->c = operand(t, &op->src3, o->row->src3);
        o->wide = o->row->dst == WIDTH_P || o->row->dst == WIDTH_X;
        if (trans_has_result(o->row)) {
            o->dst = trans_guest_reg(t->node->at.geo, &op->dst);
        }
        o->qualified = op->n_conds != 0;
        o->passive = op->pair_second;
        o->early = computed_early(t, o->row);
    }
    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        unsigned upper = at[i] ? i + pair_distance(at[i]->row) : i;
        if (at[i] && at[i]->row->flags & F_PAIR && !at[i]->passive &&
            upper < BUNDLE_CHANNELS) {
            at[i]->pair = at[upper];
        }
    }
    return n;
}

static bool bundle_dbl(const Node *node)
{
    return node->bundle.has_setwd && node->at.geo.isa >= 3
               ? node->bundle.dbl
               : node->at.geo.dbl;
}

/* A result may go straight to its register when nothing after needs the old
 * value and nothing can stop the bundle any more. */
static void choose_outputs(Trans *t, TransOp *ops, unsigned n)
{
    bool dbl = bundle_dbl(t->node);

    for (unsigned i = 0; i < n; i++) {
        TransOp *o = &ops[i];
        bool whole = o->row->dst == WIDTH_D ||
                     (o->row->dst == WIDTH_S && dbl &&
                      o->row->sem != SEM_movt);
        if (o->dst >= 0 && t->wide[o->dst]) {
            whole = o->wide;
        }
        o->direct = o->dst >= 0 && whole && !o->qualified && !o->early &&
                    !o->passive && !o->pair &&
                    (!trans_is_access(o->row) || n == 1) &&
                    !read_by_others(ops, n, i, t->node->at.geo, o->dst) &&
                    !written_by_others(ops, n, i);
        o->out = o->direct ? trans_reg(t, o->dst)
                 : o->wide ? ir_temp_v128(t->ir)
                           : ir_temp(t->ir);
    }
}

/* The new contents of o's register, whose old ones are in reg. */
static IrReg merged_result(Trans *t, TransOp *o, IrReg reg)
{
    IrReg value = o->out;
    bool in_wide = t->wide[o->dst];
    IrReg lo = reg;

    if (o->row->dst == WIDTH_S &&
        (!bundle_dbl(t->node) || o->row->sem == SEM_movt)) {
        if (in_wide) {
            lo = ir_new1(t->ir, IR_vlo, 8, reg);
        }
        value = ir_temp(t->ir);
        ir_deposit(t->ir, value, lo, o->out, 0, 32);
    }
    if (in_wide && !o->wide) {
        IrReg hi = ir_new1(t->ir, IR_vhi, 8, reg);
        IrReg both = ir_temp_v128(t->ir);
        ir_op2(t->ir, IR_vjoin, 16, both, value, hi);
        value = both;
    }
    return value;
}

static void commit_register(Trans *t, TransOp *o)
{
    if (o->dst < 0 || o->direct) {
        return;
    }
    IrReg reg = trans_reg(t, o->dst);
    if (!o->qualified) {
        ir_mov(t->ir, reg, merged_result(t, o, reg));
    } else if (t->wide[o->dst]) {
        uint32_t skip = ir_new_label(t->ir);
        trans_branch_not(t, &o->cond, skip);
        ir_mov(t->ir, reg, merged_result(t, o, reg));
        ir_label(t->ir, skip);
    } else {
        ir_select(t->ir, o->cond.cond, o->cond.width, reg, o->cond.a,
                  o->cond.b, merged_result(t, o, reg), reg);
    }
}

static void commit_pred(Trans *t, TransOp *o)
{
    IrReg pred = trans_pred(t, o->op->dst.index);
    if (o->qualified) {
        ir_select(t->ir, o->cond.cond, o->cond.width, pred, o->cond.a,
                  o->cond.b, o->out, pred);
    } else {
        ir_mov(t->ir, pred, o->out);
    }
}

static void emit_alc_op(Trans *t, TransOp *o)
{
    TransFn *fn = trans_fns[insn_sem(o->op->insn)];
    if (o->qualified && trans_has_effects(o->row)) {
        uint32_t skip = ir_new_label(t->ir);
        if (!o->wide) {
            ir_mov(t->ir, o->out, trans_imm(t, 0));
        }
        if (o->pair) {
            ir_mov(t->ir, o->pair->out, trans_imm(t, 0));
        }
        trans_branch_not(t, &o->cond, skip);
        fn(t, o);
        ir_label(t->ir, skip);
    } else {
        fn(t, o);
    }
}

/*
 * Conditions are read before anything is assigned; one that is also written
 * in this bundle is kept aside.
 */
static bool bundle_writes_pred(const Bundle *b)
{
    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        if (b->alc[i].present &&
            insn_rows[b->alc[i].row].dst == WIDTH_PRED) {
            return true;
        }
    }
    for (int i = 0; i < 3; i++) {
        if (b->clp[i].present && b->clp[i].write) {
            return true;
        }
    }
    return false;
}

static Test keep_test(Trans *t, const Test *test)
{
    return (Test){ IR_NE, 8, trans_test_value(t, test), trans_imm(t, 0) };
}

void trans_loop_invariants(Trans *t)
{
    const Bundle *b = &t->node->bundle;
    bool stores = false;

    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        stores |= b->alc[i].present &&
                  (insn_rows[b->alc[i].row].flags & F_ST);
    }
    if (b->loop_mode && stores) {
        trans_invariant(t, trans_loop_field(t, LOOP_STRMD), ~UINT64_C(0), 0);
    }
}

/*
 * Stores of a loop_mode bundle are off in the prologue and in the last
 * iteration; strmd is the interpreter's.
 */
static void suppress_stores(Trans *t, TransOp *ops, unsigned n)
{
    Ir *ir = t->ir;
    bool stores = false;

    t->suppressed = IR_NONE;
    for (unsigned i = 0; i < n; i++) {
        stores |= (ops[i].row->flags & F_ST) != 0;
    }
    if (!t->node->bundle.loop_mode || !stores) {
        return;
    }
    IrReg off = trans_loop_end(t);
    if (!t->node->at.geo.pcnt0) {
        IrReg prologue = ir_temp(ir);
        ir_setcond(ir, IR_NE, 8, prologue, trans_loop_field(t, LOOP_PCNT),
                   trans_imm(t, 0));
        off = ir_new2(ir, IR_or, 8, off, prologue);
    }
    trans_invariant(t, trans_loop_field(t, LOOP_STRMD), ~UINT64_C(0), 0);
    t->suppressed = off;
    for (unsigned i = 0; i < n; i++) {
        TransOp *o = &ops[i];
        if (!(o->row->flags & F_ST)) {
            continue;
        }
        Test on = { IR_EQ, 8, off, trans_imm(t, 0) };
        if (o->qualified) {
            IrReg both = ir_new2(ir, IR_and, 8, trans_test_value(t, &o->cond),
                                 trans_test_value(t, &on));
            on = (Test){ IR_NE, 8, both, trans_imm(t, 0) };
        }
        o->cond = on;
        o->qualified = true;
    }
}

/* Is it emitted when everything else has been decided? */
static bool computed_late(const InsnRow *row)
{
    return row->sem == SEM_rw || row->sem == SEM_aaurw;
}

/* The value of an operand before the bundle. */
static IrReg keep_operand(Trans *t, IrReg operand)
{
    if (operand == IR_NONE) {
        return IR_NONE;
    }
    IrReg copy = ir_temp(t->ir);
    ir_mov(t->ir, copy, operand);
    return copy;
}

/* Conditions of the operations, and the tests that come first. */
static void check_ops(Trans *t, TransOp *ops, unsigned n, bool writes_pred)
{
    for (unsigned i = 0; i < n; i++) {
        TransOp *o = &ops[i];
        if (o->qualified) {
            o->cond = trans_cond_test(t, o->op->conds, o->op->n_conds);
            if (writes_pred) {
                o->cond = keep_test(t, &o->cond);
            }
        }
        if (o->op->array.am && o->op->n_am_conds) {
            Test test = trans_cond_test(t, o->op->am_conds,
                                        o->op->n_am_conds);
            o->incr_on = trans_test_value(t, &test);
        }
        if (!o->passive) {
            trans_alc_check(t, o);
        }
        if (computed_late(o->row)) {
            o->b = keep_operand(t, o->b);
            o->c = keep_operand(t, o->c);
        }
        if (o->op->dst.kind == OPERAND_CTPR) {
            t->ctpr_source = ir_temp(t->ir);
            ir_mov(t->ir, t->ctpr_source, o->b);
        }
    }
}

static void emit_early_ops(Trans *t, TransOp *ops, unsigned n)
{
    bool sse = false;

    for (unsigned i = 0; i < n; i++) {
        if (ops[i].early && !trans_is_sse(ops[i].row)) {
            emit_alc_op(t, &ops[i]);
        }
        sse |= ops[i].early && trans_is_sse(ops[i].row);
    }
    if (!sse) {
        return;
    }
    trans_fp_begin(t);
    for (unsigned i = 0; i < n; i++) {
        if (ops[i].early && trans_is_sse(ops[i].row)) {
            emit_alc_op(t, &ops[i]);
        }
    }
    trans_fp_check(t);
}

/* Early ones, accesses, the others. */
static void emit_ops(Trans *t, TransOp *ops, unsigned n)
{
    emit_early_ops(t, ops, n);
    trans_mova_load(t);
    for (unsigned i = 0; i < n; i++) {
        if (trans_is_access(ops[i].row) && !ops[i].passive) {
            emit_alc_op(t, &ops[i]);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        if (!trans_is_access(ops[i].row) && !ops[i].passive &&
            !ops[i].early && !computed_late(ops[i].row)) {
            emit_alc_op(t, &ops[i]);
        }
    }
}

static void commit_late_ops(Trans *t, TransOp *ops, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (computed_late(ops[i].row) && !ops[i].passive) {
            emit_alc_op(t, &ops[i]);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        SemFamily sem = insn_sem(ops[i].op->insn);
        if ((sem == SEM_staa || sem == SEM_ldaa) && !ops[i].passive) {
            trans_staa_commit(t, &ops[i]);
        }
        trans_dam_commit(t, &ops[i]);
    }
}

/* A condition that looks at results of its own bundle is decided last. */
static bool is_local(const Bundle *b)
{
    return b->ct_type == CT_MLOCK || b->ct_type == CT_MLOCK_LOCAL;
}

static void trans_bundle(Trans *t)
{
    const Node *node = t->node;
    const Bundle *b = &node->bundle;
    bool writes_pred = bundle_writes_pred(b);
    TransOp ops[BUNDLE_CHANNELS];
    TagUses uses;
    IrReg clp[3], movep[3];
    Test condition;

    tags_of_node(node, &uses);
    tags_emit_checks(t, &uses);
    unsigned n = collect_ops(t, ops);
    check_ops(t, ops, n, writes_pred);
    suppress_stores(t, ops, n);
    trans_mova_check(t);
    trans_wary_check(t);
    t->mlock = ir_temp(t->ir);
    ir_mov(t->ir, t->mlock, trans_imm(t, 0));
    bool conditional = trans_condition(t, &condition);
    if (conditional && is_local(b)) {
        /* After the accesses. */
    } else if (conditional && writes_pred) {
        condition = keep_test(t, &condition);
    }
    t->target = ir_temp(t->ir);
    trans_transfer_check(t, conditional ? &condition : NULL);
    choose_outputs(t, ops, n);
    trans_plu(t, clp, movep);
    emit_ops(t, ops, n);
    tags_set_window(node, &t->now);
    for (unsigned i = 0; i < n; i++) {
        commit_register(t, &ops[i]);
    }
    trans_mova_commit(t);
    tags_commit(t, &uses, ops, n);
    for (unsigned i = 0; i < n; i++) {
        if (ops[i].row->dst == WIDTH_PRED) {
            commit_pred(t, &ops[i]);
        }
    }
    trans_plu_commit(t, clp, movep);
    commit_late_ops(t, ops, n);
    trans_wary_commit(t);
    if (b->eap) {
        trans_eap(t);
    }
    if (b->has_wait) {
        ir_emit(t->ir, IR_fence, 8, 0, 0, 0, 0, 0);
    }
    trans_transfer(t, conditional ? &condition : NULL);
}

/* ------------------------------------------------------------------------
 * What is supported
 */

static bool operand_in_window(Geometry geo, const Operand *o, unsigned wsz)
{
    switch (o->kind) {
    case OPERAND_WINDOW:
        return o->index < 2 * wsz;
    case OPERAND_BASED:
        return o->index < 2u * geo.rsz + 2 &&
               geometry_based(geo, o->index) < 2 * wsz;
    case OPERAND_SPECIAL:
        return false;
    default:
        return true;
    }
}

/*
 * Results are assigned in the order of the channels, so that the last of
 * several for one register stays.  Not so the halves of a pair, a tag that is
 * data, and what a check load does not write.
 */
static bool written_in_order(Geometry geo, const AlcOp *op)
{
    return !(insn_rows[op->row].flags & F_PAIR) &&
           insn_sem(op->insn) != SEM_puttag &&
           trans_dam_use(geo.isa, op) == DAM_NOT;
}

static bool operands_supported(const Node *node)
{
    const Bundle *b = &node->bundle;
    Geometry geo = node->at.geo;
    unsigned new_wsz = b->has_setwd ? b->wsz : geo.wsz;

    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        const AlcOp *op = &b->alc[i];
        if (!op->present) {
            continue;
        }
        if (!operand_in_window(geo, &op->src1, geo.wsz) ||
            !operand_in_window(geo, &op->src2, geo.wsz) ||
            !operand_in_window(geo, &op->src3, geo.wsz) ||
            !operand_in_window(geo, &op->dst, new_wsz)) {
            return false;
        }
        int reg = trans_guest_reg(geo, &op->dst);
        for (int k = 0; k < i && reg >= 0; k++) {
            const AlcOp *other = &b->alc[k];
            if (other->present && trans_guest_reg(geo, &other->dst) == reg &&
                !(written_in_order(geo, op) && written_in_order(geo, other))) {
                return false;
            }
        }
    }
    return true;
}

/* The end of an atomic bracket cannot be repeated: no other access with it
 * may fault. */
static bool locks_supported(const Region *region, const Bundle *b)
{
    unsigned accesses = 0;
    bool lock = false;

    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        const AlcOp *op = &b->alc[i];
        if (op->present && !op->pair_second &&
            trans_is_access(&insn_rows[op->row])) {
            accesses++;
            lock |= trans_ends_lock(region->cpu->isa, op);
        }
    }
    for (int i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        accesses += b->mova[i].present;
    }
    return !lock || accesses == 1;
}

bool trans_bundle_supported(const Region *region, const Node *node)
{
    const Bundle *b = &node->bundle;
    Geometry geo = node->at.geo;

    if (!geo.plain || b->bap || b->abgi || b->abgd || b->ts_op ||
        b->has_settr || b->has_vfrpsz || b->has_setsft || b->has_flush ||
        b->has_vfbg || (b->has_wait && region->cpu->ops->wait)) {
        return false;
    }
    if (!trans_array_supported(region, node)) {
        return false;
    }
    if (b->has_setwd && b->wsz < geo.psize) {
        return false;
    }
    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        if (b->alc[i].present &&
            !trans_alc_supported(region, node, &b->alc[i])) {
            return false;
        }
    }
    if (!locks_supported(region, b)) {
        return false;
    }
    return operands_supported(node) && trans_dam_supported(region, node) &&
           trans_control_supported(region, node);
}

/* ------------------------------------------------------------------------
 * Regions
 */

static void trans_node(Trans *t, unsigned index)
{
    const Node *node = &t->region->nodes[index];

    t->node = node;
    t->site = NULL;
    t->interp_label = 0;
    t->now = t->tags[index];
    if (node->is_target) {
        ir_label(t->ir, t->label[index]);
    }
    if (node->end == END_INTERP) {
        trans_exit(t, TRANS_EXIT_INTERP, trans_node_site(t));
    } else {
        trans_bundle(t);
    }
}

static void mark_wide(Trans *t, Geometry geo, const Operand *o,
                      unsigned width)
{
    int reg = trans_guest_reg(geo, o);
    if ((width == WIDTH_P || width == WIDTH_X) && reg >= 0) {
        t->wide[reg] = true;
    }
}

/* Registers that some node uses in full. */
static void find_wide(Trans *t, const Region *region)
{
    for (unsigned i = 0; i < region->n_nodes; i++) {
        const Node *node = &region->nodes[i];
        for (int k = 0; node->end != END_INTERP && k < BUNDLE_CHANNELS; k++) {
            const AlcOp *op = &node->bundle.alc[k];
            if (!op->present) {
                continue;
            }
            const InsnRow *row = &insn_rows[op->row];
            mark_wide(t, node->at.geo, &op->src1, row->src1);
            mark_wide(t, node->at.geo, &op->src2, row->src2);
            mark_wide(t, node->at.geo, &op->src3, row->src3);
            mark_wide(t, node->at.geo, &op->dst, row->dst);
        }
    }
}

static void begin_ir(Trans *t, const Region *region)
{
    Ir *ir = ir_begin(region->key.ip, region->key.geo.bits);
    t->ir = ir;
    ir->tlb = region->key.geo.psr & PSR_PM;
    t->win = ir_pinned(ir, PIN_WIN);
    t->win_tags = ir_pinned(ir, PIN_TAGS);
    t->frame = ir_pinned(ir, PIN_FRAME);
    ir->n_bundles = region->n_nodes;
    for (unsigned i = 0; i < region->n_nodes; i++) {
        t->label[i] = ir_new_label(ir);
    }
}

/*
 * Where the region's code is, for invalidation: in machines the physical
 * bytes, and with translation on also the virtual ones in their space.
 */
static unsigned code_ranges(const Region *region, TcgRange *to)
{
    E2kCpu *cpu = region->cpu;
    unsigned n = 0;

    for (unsigned i = 0; i < region->n_ranges; i++) {
        TcgRange range = region->ranges[i];
        uint64_t physical;
        if (!cpu->ops->code_address) {
            to[n++] = range;
        } else if (cpu->ops->code_address(cpu, range.start, &physical)) {
            to[n++] = (TcgRange){ physical,
                                  physical + (range.end - range.start) };
            if (region->space) {
                to[n++] = (TcgRange){ region->space | range.start,
                                      region->space + range.end };
            }
        }
    }
    return n;
}

/* The nodes' order in code is their order of discovery. */
static TcgRegion *compile_region(Trans *t, Region *region,
                                 const RegionHistory *history)
{
    uint8_t guard[GUEST_REGS];

    tags_analyse(region, t->tags, history, guard);
    find_wide(t, region);
    begin_ir(t, region);
    bases_find(t);
    /* The site of a failed entry test tells the region's key. */
    Place entry = region->nodes[0].at;
    entry.geo = region->key.geo;
    if (!region->key.geo.ctpr_empty) {
        memset(entry.ctpr, 0, sizeof(entry.ctpr)); /* CTPR_UNKNOWN */
    }
    tags_emit_guard(t, &entry, guard);
    uint64_t needs = tags_guard_facts(guard);
    if (needs && tcg_opt_enabled(OPT_ENTRIES)) {
        ir_entry(t->ir, needs);
    }
    trans_ctpr_guard(t, &entry);
    if (region->uses_loop) {
        trans_loop_guard(t, TRANS_EXIT_GUARD, &entry);
    }
    trans_hoist_invariants(t, &entry, history && history->invariants_vary);
    bases_at_entry(t, &entry);
    t->now = t->tags[0];
    trans_count(t, &entry);
    for (unsigned i = 0; i < region->n_nodes && !t->ir->overflow; i++) {
        trans_node(t, i);
    }
    bases_cold(t);
    trans_promotions(t);
    trans_cold_exits(t);
    TcgRange ranges[2 * REGION_MAX_RANGES];
    unsigned n_ranges = code_ranges(region, ranges);
    return tcg_compile(t->ir, region->tier, ranges, n_ranges, t->fault_info,
                       t->n_faults);
}

/* -d in_asm */
static void log_region(const Region *region)
{
    const DisasOptions options = { .isa = region->cpu->isa };
    FILE *to = log_lock();

    fprintf(to, "region %" PRIx64 "/%" PRIx64 " tier %u:\n", region->key.ip,
            region->key.geo.bits, region->tier);
    for (unsigned i = 0; i < region->n_nodes; i++) {
        const Node *node = &region->nodes[i];
        g_autoptr(GString) text = g_string_new(NULL);
        bundle_disassemble(text, &node->bundle, node->at.ip, &options);
        fprintf(to, "  %" PRIx64 "%s %s\n", node->at.ip,
                node->end == END_INTERP ? " (interpreted)" : "", text->str);
    }
    log_unlock(to);
}

TcgRegion *trans_translate(E2kCpu *cpu, RegionKey key, TcgTier tier,
                           const RegionHistory *history)
{
    static Node nodes[REGION_MAX_NODES];
    static TagState tags[REGION_MAX_NODES];
    static Trans trans; /* under the translation lock */
    Trans *t = &trans;
    unsigned max_nodes =
        tier == TCG_TIER_FULL ? REGION_MAX_NODES : REGION_QUICK_NODES;
    Region region = { .cpu = cpu, .key = key, .tier = tier,
                      .space = trans_space(cpu), .nodes = nodes };
    TcgRegion *code = NULL;

    /* A bundle of the interpreter's is soon known for one. */
    region_discover(&region, 1);
    if (nodes[0].end == END_INTERP) {
        return NULL;
    }

    region.loop_facts.vlc = cpu->vlc && !(history && history->vlc_varies);
    region.loop_facts.pcnt0 =
        cpu->pcnt == 0 && !(history && history->pcnt_varies);
    region.loop_facts.ecnt0 =
        cpu->ecnt == 0 && !(history && history->ecnt_varies);
    while (!code && max_nodes) {
        memset(t, 0, offsetof(Trans, cold));
        region_discover(&region, max_nodes);
        if (nodes[0].end == END_INTERP) {
            return NULL;
        }
        if (!key.geo.ctpr_empty && tcg_opt_enabled(OPT_CTPRS) &&
            !(history && history->ctpr_varies) &&
            region_guess_ctprs(&region)) {
            region_discover(&region, max_nodes);
        }
        if (log_on(LOG_IN_ASM)) {
            log_region(&region);
        }
        t->region = &region;
        t->cpu = cpu;
        t->tags = tags;
        code = compile_region(t, &region, history);
        max_nodes = region.n_nodes / 2;
    }
    return code;
}
