/*
 * The end of a bundle: jumps, calls and returns.  Their conditions are in
 * translate-cond.c.
 *
 * A call uses the host's call instruction and a return the host's return, so
 * that the host predicts them.  Of what the architecture wants in the chain
 * frame the caller writes what varies and the return address; the rest is
 * filled in when somebody may look.  The window is moved back by the caller,
 * which knows by how much.
 */
#include "target-e2k/translate-int.h"

#include <string.h>

#include "tcg/tcg.h"

enum {
    SYSTEM_ENTRY_SHIFT = 11,
    CR1_LO_WFX = 25,
    CR1_LO_WPSZ = 26,
    CR1_LO_WBS = 33,
    CR1_LO_CUI = 40,
    CR1_LO_PSR = 57,
    CR1_HI_WDBL = 35,
    CR1_HI_USSZ = 36,
};

/* ------------------------------------------------------------------------
 * Prepared targets
 */

static void store_ctpr(Trans *t, unsigned i, IrReg value)
{
    ir_st(t->ir, 8, ir_cpu(t->ir), offsetof(E2kCpu, ctpr) + 8 * i, value);
}

/* Brings cpu->ctpr[i] up to date with what is known of it. */
static void store_fact(Trans *t, unsigned i, const CtprFact *fact)
{
    uint64_t value = 0;

    switch (fact->kind) {
    case CTPR_UNKNOWN:
        return;
    case CTPR_EMPTY:
        break;
    case CTPR_DISP:
        value = CTPR_VALUE(fact->value, CTPR_TAG_LOCAL, CTPR_OPC_DISP);
        break;
    case CTPR_LDISP:
        value = CTPR_VALUE(fact->value, CTPR_TAG_LOCAL, CTPR_OPC_LDISP);
        break;
    case CTPR_SYSTEM:
        value = CTPR_VALUE(fact->value << SYSTEM_ENTRY_SHIFT,
                           CTPR_TAG_SYSTEM, CTPR_OPC_DISP);
        break;
    case CTPR_RETURN: {
        IrReg ip = ir_temp(t->ir);
        ir_ld(t->ir, 8, ip, t->frame, offsetof(ChainFrame, cr0_hi));
        ip = ir_new2i(t->ir, IR_and, 8, ip, CTPR_BASE_MASK & ~UINT64_C(7));
        store_ctpr(t, i, ir_new2i(t->ir, IR_or, 8, ip,
                                  CTPR_VALUE(0, CTPR_TAG_PROC,
                                             CTPR_OPC_RETURN)));
        return;
    }
    }
    store_ctpr(t, i, trans_imm(t, value));
}

static bool all_empty(const CtprFact ctpr[3])
{
    return ctpr[0].kind == CTPR_EMPTY && ctpr[1].kind == CTPR_EMPTY &&
           ctpr[2].kind == CTPR_EMPTY;
}

/* movtd to a CTPR: a number becomes a jumpable label. */
static void write_ctprs(Trans *t)
{
    const AlcOp *op = &t->node->bundle.alc[0];
    if (!op->present || op->dst.kind != OPERAND_CTPR) {
        return;
    }
    int reg = trans_guest_reg(t->node->at.geo, &op->src2);
    IrReg source = reg >= 0 ? t->ctpr_source : trans_imm(t, op->src2.value);
    IrReg base = ir_new2i(t->ir, IR_and, 8, source, CTPR_BASE_MASK);
    store_ctpr(t, op->dst.index - 1,
               ir_new2i(t->ir, IR_or, 8, base,
                        CTPR_VALUE(0, CTPR_TAG_LOCAL, CTPR_OPC_DISP)));
}

void trans_ctpr_guard(Trans *t, const Place *place)
{
    uint32_t label = 0;

    for (int i = 0; i < 3; i++) {
        const CtprFact *fact = &t->region->ctpr_facts[i];
        if (fact->kind != CTPR_DISP) {
            continue;
        }
        IrReg ctpr = ir_temp(t->ir);
        label = label ? label : trans_cold_exit(t, TRANS_EXIT_GUARD, place);
        ir_ld(t->ir, 8, ctpr, ir_cpu(t->ir), offsetof(E2kCpu, ctpr) + 8 * i);
        ir_brcond(t->ir, IR_NE, 8, ctpr,
                  trans_imm(t, CTPR_VALUE(fact->value, CTPR_TAG_LOCAL,
                                          CTPR_OPC_DISP)),
                  label);
    }
}

/* ------------------------------------------------------------------------
 * Edges
 */

static void poll_stop(Trans *t, const Place *place)
{
    IrReg stop = ir_temp(t->ir);
    ir_ld(t->ir, 4, stop, ir_cpu(t->ir), offsetof(E2kCpu, stop_request));
    ir_brcond(t->ir, IR_NE, 4, stop, trans_imm(t, 0),
              trans_cold_exit(t, TRANS_EXIT_STOP, place));
}

/* Keys are without the facts about loop counters. */
static uint64_t key_bits(Geometry geo)
{
    geo.vlc = geo.pcnt0 = geo.ecnt0 = 0;
    return geo.bits;
}

static uint64_t exit_key(const Place *place)
{
    Geometry geo = place->geo;
    geo.ctpr_empty = all_empty(place->ctpr);
    return key_bits(geo);
}

void trans_goto_place(Trans *t, const Place *place, bool full)
{
    Place calm = *place;

    tags_flush_visible(t, 2 * place->geo.wsz);
    poll_stop(t, place);
    if (!all_empty(place->ctpr)) {
        for (unsigned i = 0; i < 3; i++) {
            store_fact(t, i, &place->ctpr[i]);
        }
    }
    if (full) {
        ir_facts(t->ir, tags_facts(t, 0));
        ir_goto_region(t->ir, t->region->space | place->ip,
                       exit_key(place) | KEY_WANTS_FULL);
        return;
    }
    if (place->geo.wary) {
        uint32_t wary = trans_wary_exit(t);
        calm.geo.wary = 0;
        ir_facts(t->ir, tags_facts(t, 0));
        ir_goto_region(t->ir, t->region->space | place->ip, exit_key(&calm));
        ir_label(t->ir, wary);
    }
    ir_facts(t->ir, tags_facts(t, 0));
    ir_goto_region(t->ir, t->region->space | place->ip, exit_key(place));
}

/* To a node of this region, or out of it.  place: what is really known. */
static void emit_edge(Trans *t, const Place *place, int target)
{
    int here = t->node - t->region->nodes;

    if (target == NODE_NONE) {
        trans_goto_place(t, place, false);
        return;
    }
    Node *to = &t->region->nodes[target];
    for (unsigned i = 0; i < 3; i++) {
        if (to->at.ctpr[i].kind == CTPR_UNKNOWN) {
            store_fact(t, i, &place->ctpr[i]);
        }
    }
    tags_flush_edge(t, target);
    if (target <= here) {
        poll_stop(t, place);
        trans_count(t, place);
    }
    if (target != here + 1 || t->more_edges) {
        ir_br(t->ir, t->label[target]);
    }
}

/* Can the edge be a plain branch to the target's label? */
static bool edge_is_plain(Trans *t, const CtprFact facts[3], int target)
{
    int here = t->node - t->region->nodes;
    if (target == NODE_NONE || target <= here ||
        !tags_edge_is_clean(t, target)) {
        return false;
    }
    for (unsigned i = 0; i < 3; i++) {
        if (t->region->nodes[target].at.ctpr[i].kind == CTPR_UNKNOWN &&
            facts[i].kind != CTPR_UNKNOWN) {
            return false;
        }
    }
    return true;
}

/* The place behind an edge with everything that is known. */
static Place with_facts(const Place *place, const CtprFact facts[3])
{
    Place p = *place;
    memcpy(p.ctpr, facts, sizeof(p.ctpr));
    return p;
}

static void emit_next(Trans *t)
{
    const Node *node = t->node;
    Place place = with_facts(&node->next, node->after);
    if (node->leave == LEAVE_TO_C) {
        trans_leave_to_c(t, &place);
        return;
    }
    if (node->bundle.alcf) {
        trans_advance_loop(t, false);
    }
    bases_after_node(t, &place);
    emit_edge(t, &place, node->next_node);
}

static void emit_taken(Trans *t)
{
    const Node *node = t->node;
    Place place = with_facts(&node->taken, node->after);
    emit_edge(t, &place, node->taken_node);
}

/* ------------------------------------------------------------------------
 * Calls and returns; state.md 4.5
 */

static uint64_t br_image(Geometry geo)
{
    return geo.rbs | (uint64_t)geo.rsz << 6 | (uint64_t)geo.rcur << 12 |
           (uint64_t)geo.psz << 18 | (uint64_t)geo.pcur << 23;
}

static void st_frame(Trans *t, size_t field, IrReg value)
{
    ir_st(t->ir, 8, t->frame, sizeof(ChainFrame) + field, value);
}

static uint64_t cr1_lo_of(Geometry geo, unsigned wbs)
{
    return (uint64_t)geo.wfx << CR1_LO_WFX |
           (uint64_t)geo.psize << CR1_LO_WPSZ |
           (uint64_t)wbs << CR1_LO_WBS | (uint64_t)geo.psr << CR1_LO_PSR;
}

static uint64_t cr1_hi_of(Geometry geo)
{
    return br_image(geo) | (uint64_t)geo.dbl << CR1_HI_WDBL;
}

/*
 * The size of the stack is in the upper half of CR1.hi.  The rest of CR1 is a
 * constant of the call: C stores it, and puts the size into its place, when
 * the call is found on the host's stack (jit.c:lost_call()).
 */
static void push_cr1_lazily(Trans *t)
{
    ir_st(t->ir, 4, t->frame, sizeof(ChainFrame) + TRANS_FRAME_SIZE_OFFSET,
          trans_usd_size(t));
}

static void push_cr1(Trans *t, Geometry geo)
{
    Ir *ir = t->ir;
    IrReg lo = trans_imm(t, cr1_lo_of(geo, t->node->bundle.wbs));

    if (t->cpu->system) {
        IrReg cui = ir_temp(ir);
        ir_ld(ir, 2, cui, ir_cpu(ir), offsetof(E2kCpu, cui));
        lo = ir_new2(ir, IR_or, 8, lo,
                     ir_new2i(ir, IR_shl, 8, cui, CR1_LO_CUI));
    }
    st_frame(t, offsetof(ChainFrame, cr1_lo), lo);
    IrReg size = ir_new2i(ir, IR_shr, 8, trans_usd_size(t), 4);
    size = ir_new2i(ir, IR_shl, 8, size, CR1_HI_USSZ);
    st_frame(t, offsetof(ChainFrame, cr1_hi),
             ir_new2i(ir, IR_or, 8, size, cr1_hi_of(geo)));
}

/* Fills the frame above the current one. */
static void push_frame(Trans *t, Geometry geo)
{
    Ir *ir = t->ir;
    const Node *node = t->node;
    IrReg pf = ir_temp(ir);

    /* The predicates are saved where they are: the callee starts with a
     * copy. */
    ir_sync(ir, 1u << CLASS_PRED);
    ir_ld(ir, 8, pf, t->frame, TRANS_PF_OFFSET);
    ir_st(ir, 8, t->frame, TRANS_PF_OFFSET + sizeof(ChainFrame), pf);
    st_frame(t, offsetof(ChainFrame, cr0_hi), trans_imm(t, node->fall_ip));
    if (tcg_opt_enabled(OPT_FRAMES)) {
        push_cr1_lazily(t);
    } else {
        push_cr1(t, geo);
    }
}

static void move_window(Trans *t, IrOpcode opcode)
{
    unsigned wbs = t->node->bundle.wbs;
    Ir *ir = t->ir;
    if (wbs) {
        ir_op2(ir, opcode, 8, t->win, t->win,
               trans_imm(t, 2 * wbs * sizeof(RegSlot)));
    }
    tags_move(t, opcode == IR_add ? (int)wbs : -(int)wbs);
    ir_op2(ir, opcode, 8, t->frame, t->frame,
           trans_imm(t, sizeof(ChainFrame)));
}

/*
 * The callee sees its parameters' tags.  Those of the caller's other
 * registers stay out of memory until something goes wrong; see
 * jit.c:lost_call().
 */
static void flush_parameters(Trans *t)
{
    tags_flush(t, 2 * t->node->bundle.wbs, GUEST_REGS);
}

static void tags_of_call(Trans *t)
{
    const TagPatch *patch = tags_patch(t, &t->now);
    CallSite *site = ir_keep(t->ir, sizeof(*site));
    *site = (CallSite){
        .wbs = t->node->bundle.wbs,
        .tags = patch,
        .cr1_lo = cr1_lo_of(t->node->after_call.geo, t->node->bundle.wbs),
        .cr1_hi = cr1_hi_of(t->node->after_call.geo),
        .lazy_frame = tcg_opt_enabled(OPT_FRAMES),
    };
    ir_call_info(t->ir, (uintptr_t)site);
    if (t->node->clean_result) {
        ir_call_flag(t->ir, t->win_tags, 0x0f);
    }
}

/* The registers that the callee does not share. */
static uint32_t kept_bytes(const Node *node)
{
    return 2 * node->bundle.wbs * sizeof(RegSlot);
}

/* What the return undoes: window, predicates (the frame leads to them), stack
 * pointer. */
static void pop_frame(Trans *t)
{
    Ir *ir = t->ir;
    IrReg hi = ir_temp(ir);

    if (tcg_opt_enabled(OPT_FRAMES)) {
        ir_ld(ir, 4, hi, t->frame, TRANS_FRAME_SIZE_OFFSET);
        ir_op2(ir, IR_and, 8, trans_usd_size(t), hi, trans_imm(t, ~15u));
    } else {
        ir_ld(ir, 8, hi, t->frame, offsetof(ChainFrame, cr1_hi));
        IrReg size = ir_new2i(ir, IR_shr, 8, hi, CR1_HI_USSZ);
        ir_op2(ir, IR_shl, 8, trans_usd_size(t), size, trans_imm(t, 4));
    }
    move_window(t, IR_sub);
    ir_reload_after_call(ir, 1u << CLASS_WINDOW | 1u << CLASS_PRED,
                         CLASS_WINDOW, kept_bytes(t->node));
}

/* Room for the callee's registers and frame, else the interpreter takes over.
 * A stop request makes the frame limit 0. */
static void check_room(Trans *t)
{
    Ir *ir = t->ir;
    IrReg limit = ir_temp(ir), frame_limit = ir_temp(ir);
    ir_ld(ir, 8, limit, ir_cpu(ir), offsetof(E2kCpu, jit.win_limit));
    ir_brcond(ir, IR_GTU, 8, t->win, limit, trans_interp_exit(t));
    ir_ld(ir, 8, frame_limit, ir_cpu(ir), offsetof(E2kCpu, jit.frame_limit));
    ir_brcond(ir, IR_GTU, 8, t->frame, frame_limit, trans_interp_exit(t));
}

static void after_call(Trans *t)
{
    const Node *node = t->node;
    tags_after_call(node, &t->now);
    pop_frame(t);
    if (t->region->uses_loop) {
        trans_loop_guard(t, TRANS_EXIT_LOOP, &node->after_call);
    }
    bases_after_call(t, &node->after_call);
    emit_edge(t, &node->after_call, node->after_call_node);
}

static void emit_call(Trans *t)
{
    const Node *node = t->node;
    Geometry callee = node->taken.geo;

    callee.ctpr_empty = 1;
    flush_parameters(t);
    push_frame(t, node->after_call.geo);
    ir_sync(t->ir, CLASS_ALL);
    move_window(t, IR_add);
    tags_of_call(t);
    ir_facts(t->ir, tags_facts(t, 2 * node->bundle.wbs));
    ir_call_keeps(t->ir, CLASS_WINDOW, kept_bytes(node));
    ir_call_region(t->ir, t->region->space | node->taken.ip,
                   key_bits(callee), node->fall_ip, 0);
    after_call(t);
}

/* The target of ibranchd and icalld. */
static IrReg register_target(Trans *t)
{
    const AlcOp *op = &t->node->bundle.alc[0];
    int reg = trans_guest_reg(t->node->at.geo, &op->src2);
    IrReg value = reg >= 0 ? trans_reg_lo(t, reg)
                           : trans_imm(t, op->src2.value);
    ir_brcond(t->ir, IR_TSTNE, 8, value, trans_imm(t, 7),
              trans_interp_exit(t));
    return ir_new2i(t->ir, IR_and, 8, value, CTPR_BASE_MASK);
}

/* That of a CTPR that only run time knows: only labels go on here. */
static IrReg ctpr_target(Trans *t, unsigned n)
{
    Ir *ir = t->ir;
    IrReg ctpr = ir_temp(ir);
    store_fact(t, n - 1, &t->node->at.ctpr[n - 1]);
    ir_ld(ir, 8, ctpr, ir_cpu(ir), offsetof(E2kCpu, ctpr) + 8 * (n - 1));
    IrReg tag = ir_new2i(ir, IR_shr, 8, ctpr, 48);
    ir_brcond(ir, IR_NE, 8, tag,
              trans_imm(t, CTPR_VALUE(0, CTPR_TAG_LOCAL, CTPR_OPC_DISP) >> 48),
              trans_interp_exit(t));
    ir_brcond(ir, IR_TSTNE, 8, ctpr, trans_imm(t, 7), trans_interp_exit(t));
    return ir_new2i(ir, IR_and, 8, ctpr, CTPR_BASE_MASK);
}

static IrReg dynamic_target(Trans *t)
{
    const Bundle *b = &t->node->bundle;
    bool by_register = b->transfer == TRANSFER_IBRANCHD ||
                       b->transfer == TRANSFER_ICALLD;
    IrReg target = by_register ? register_target(t) : ctpr_target(t, b->ctpr);
    return t->region->space
               ? ir_new2i(t->ir, IR_or, 8, target, t->region->space)
               : target;
}

static void emit_call_indirect(Trans *t)
{
    const Node *node = t->node;
    Geometry callee = node->taken.geo;

    callee.ctpr_empty = 1;
    flush_parameters(t);
    push_frame(t, node->after_call.geo);
    ir_sync(t->ir, CLASS_ALL);
    move_window(t, IR_add);
    tags_of_call(t);
    ir_call_keeps(t->ir, CLASS_WINDOW, kept_bytes(node));
    ir_call_dynamic(t->ir, t->target, trans_imm(t, key_bits(callee)),
                    node->fall_ip, 0);
    after_call(t);
}

/* Where it went in the first tier is part of the region: compares, then the
 * edges; the rest is looked up. */
static void emit_indirect(Trans *t)
{
    const Node *node = t->node;
    Place place = with_facts(&node->taken, node->after);
    uint32_t label[NODE_TARGETS];
    TagState keep = t->now;
    bool more_edges = t->more_edges;

    for (unsigned k = 0; k < node->n_targets; k++) {
        label[k] = ir_new_label(t->ir);
        if (node->target_node[k] != NODE_NONE) {
            ir_brcond(t->ir, IR_EQ, 8, t->target,
                      trans_imm(t, t->region->space | node->target_ip[k]),
                      label[k]);
        }
    }
    trans_note_target(t);
    for (unsigned i = 0; i < 3; i++) {
        store_fact(t, i, &place.ctpr[i]);
    }
    place.geo.ctpr_empty = 0;
    tags_flush_visible(t, 2 * place.geo.wsz);
    ir_goto_dynamic(t->ir, t->target, trans_imm(t, key_bits(place.geo)));
    t->more_edges = true;
    for (unsigned k = 0; k < node->n_targets; k++) {
        if (node->target_node[k] != NODE_NONE) {
            place.ip = node->target_ip[k];
            ir_label(t->ir, label[k]);
            t->now = keep;
            emit_edge(t, &place, node->target_node[k]);
        }
    }
    t->more_edges = more_edges;
}

/*
 * The caller's code does the rest, see pop_frame(); it is told when the first
 * register may have a tag, because that is a result.  When it is not there any
 * more the dispatcher does it, and needs the parameter size for it.
 */
static void emit_return(Trans *t)
{
    Ir *ir = t->ir;
    IrReg ip = ir_temp(ir);

    trans_wary_return(t);
    tags_flush_visible(t, 2 * t->node->at.geo.psize);
    /* Registers above the parameters leave the window: nobody sees them.
     * Predicates and stack pointer are those of the frame. */
    ir_reload(ir, 1u << CLASS_PRED | 1u << CLASS_STACK);
    for (unsigned i = 2 * t->node->at.geo.psize; i < WINDOW_REGS; i++) {
        if (t->reg[i] != IR_NONE) {
            ir_reload_global(ir, t->reg[i]);
        }
    }
    ir_ld(ir, 8, ip, t->frame, offsetof(ChainFrame, cr0_hi));
    if (tcg_opt_enabled(OPT_RESULTS) && !trans_without_tags &&
        !(tags_facts(t, 0) & 1)) {
        ip = ir_new2i(ir, IR_or, 8, ip, IR_RET_FLAG);
    }
    ir_ret(ir, ip, trans_imm(t, t->node->at.geo.psize + 1)); /* not 0 */
}

/* ------------------------------------------------------------------------
 * All together
 */

/* Tests that must pass before the bundle has any effect. */
void trans_transfer_check(Trans *t, const Test *condition)
{
    const Node *node = t->node;
    uint32_t skip = 0;
    bool call = node->end == END_CALL || node->end == END_CALL_INDIRECT;

    if (!call && node->end != END_INDIRECT && node->end != END_RETURN) {
        return;
    }
    if (condition) {
        skip = ir_new_label(t->ir);
        trans_branch_not(t, condition, skip);
    }
    if (call) {
        check_room(t);
    }
    trans_wary_transfer(t);
    if (node->end == END_RETURN) {
        IrReg bottom = ir_temp(t->ir);
        ir_ld(t->ir, 8, bottom, ir_cpu(t->ir),
              offsetof(E2kCpu, frames_bottom));
        ir_brcond(t->ir, IR_LEU, 8, t->frame, bottom, trans_interp_exit(t));
    }
    if (node->end == END_INDIRECT) {
        /* The way of loops that never pass an edge of a region. */
        poll_stop(t, &node->at);
    }
    if (node->end == END_INDIRECT || node->end == END_CALL_INDIRECT) {
        IrReg target = dynamic_target(t);
        if (condition) {
            /* Used only where the condition holds. */
            ir_mov(t->ir, t->target, target);
        } else {
            t->target = target;
        }
    }
    if (condition) {
        ir_label(t->ir, skip);
    }
}

static void transfer_taken(Trans *t)
{
    if (t->node->bundle.alct) {
        Geometry geo = t->node->at.geo;
        trans_advance_loop(t,
                           t->node->bundle.ct_type == CT_NOT_LOOP_END &&
                               geo.vlc && geo.ecnt0);
    }
    switch (t->node->end) {
    case END_CALL:
        emit_call(t);
        break;
    case END_CALL_INDIRECT:
        emit_call_indirect(t);
        break;
    case END_INDIRECT:
        emit_indirect(t);
        break;
    case END_RETURN:
        emit_return(t);
        break;
    default:
        emit_taken(t);
        break;
    }
}

void trans_transfer(Trans *t, const Test *condition)
{
    const Node *node = t->node;

    write_ctprs(t);
    if (node->end == END_FALL) {
        emit_next(t);
        return;
    }
    if (!condition) {
        transfer_taken(t);
        return;
    }
    if (node->end == END_BRANCH && !node->bundle.alct &&
        edge_is_plain(t, node->after, node->taken_node)) {
        trans_branch(t, condition, t->label[node->taken_node]);
        emit_next(t);
        return;
    }
    uint32_t not_taken = ir_new_label(t->ir);
    TagState keep = t->now;
    trans_branch_not(t, condition, not_taken);
    t->more_edges = true;
    transfer_taken(t);
    t->more_edges = false;
    ir_label(t->ir, not_taken);
    t->now = keep;
    emit_next(t);
}

bool trans_control_supported(const Region *region, const Node *node)
{
    const Bundle *b = &node->bundle;

    if (!trans_plu_supported(b)) {
        return false;
    }
    if (b->prepare == PREPARE_GETTSD || b->prepare == PREPARE_PUTTSD ||
        (b->prepare == PREPARE_SDISP && region->cpu->system)) {
        return false;
    }
    if (node->end == END_SYSTEM) {
        return false;
    }
    if (node->end != END_FALL && !trans_condition_supported(node)) {
        return false;
    }
    /* movtd to the CTPR that this bundle jumps through. */
    const AlcOp *op = &b->alc[0];
    if (op->present && op->dst.kind == OPERAND_CTPR &&
        b->transfer != TRANSFER_NONE && b->ctpr == op->dst.index) {
        return false;
    }
    return true;
}
