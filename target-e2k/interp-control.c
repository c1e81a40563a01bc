/*
 * The end of a bundle: transfer conditions and targets, calls and returns,
 * preparation of transfers, loop counters, rotation.
 *
 * interp_check_transfer() finds out, before anything is changed, whether the
 * transfer happens and may happen.  Conditions on the memory lock are known
 * only after the memory phase; their transfers are decided in
 * interp_end_of_bundle().
 *
 * Source: shared facts "isa/semantics.md" sections 3 and 7, "isa/state.md"
 * sections 1.4, 3 and 4.
 */
#include "target-e2k/interp-int.h"

enum {
    CR1_LO_SS = 24,
    CR1_LO_WFX = 25,
    CR1_LO_WPSZ = 26,
    CR1_LO_WBS = 33,
    CR1_LO_CUI = 40,
    CR1_LO_PSR = 57,
    CR1_HI_WDBL = 35,
    CR1_HI_USSZ = 36,
    SYSTEM_ENTRY_SHIFT = 11, /* bytes of one system entry: 0x800 */
    STATE_OSCUD_LO = 0x27,
    WAIT_BARRIERS = 0x3f,
};

/* ------------------------------------------------------------------------
 * Conditions; semantics.md 3.3
 */

static bool pred_is_set(const E2kCpu *cpu, unsigned n)
{
    return cpu->pf >> (2 * interp_pred_index(cpu, n)) & 1;
}

static bool pred_is_invalid(const E2kCpu *cpu, unsigned n)
{
    return cpu->pf >> (2 * interp_pred_index(cpu, n) + 1) & 1;
}

static const InterpOp *result_of(const Interp *in, unsigned index)
{
    static const uint8_t channels[4] = {0, 1, 3, 4};
    unsigned i = channels[index];

    return in->b->alc[i].present && !in->b->alc[i].pair_second ? &in->c[i]
                                                                : NULL;
}

static bool compare_result(const Interp *in, unsigned index, bool negate)
{
    const InterpOp *c = result_of(in, index);

    return (c && c->on && c->pred) != negate;
}

/* A diagnostic result in one of the channels of the mask. */
static bool diagnostic_result(const Interp *in, unsigned mask)
{
    for (unsigned k = 0; k < 4; k++) {
        const InterpOp *c = mask >> k & 1 ? result_of(in, k) : NULL;
        if (c && c->on && (c->poison || c->d.tag)) {
            return true;
        }
    }
    return false;
}

/* SS.psrc of condition types 9 and 11. */
static bool local_condition(const Interp *in, unsigned psrc)
{
    switch (psrc >> 3) {
    case 0:
        return compare_result(in, psrc >> 1 & 3, psrc & 1);
    case 1: {
        unsigned first = psrc & 4 ? 2 : 0;
        return compare_result(in, first, psrc & 2) ||
               compare_result(in, first + 1, psrc & 1);
    }
    case 2: {
        unsigned k = psrc >> 1 & 3;
        return (k < 3 && in->clp[4 + k].value) != (psrc & 1);
    }
    default:
        return false;
    }
}

/* Types 6, 7, 14, 15 look at the predicate only outside the prologue. */
static bool loop_condition(Interp *in, bool negate)
{
    const E2kCpu *cpu = in->cpu;
    unsigned psrc = in->b->ct_psrc;

    if (in->loop_end) {
        return true;
    }
    if (!cpu->semc && cpu->pcnt != 0) {
        return false;
    }
    if (pred_is_invalid(cpu, psrc)) {
        interp_raise(in, NULL, EXC_DIAG_CT_COND);
    }
    return pred_is_set(cpu, psrc) != negate;
}

static bool predicate_condition(Interp *in, bool negate)
{
    if (pred_is_invalid(in->cpu, in->b->ct_psrc)) {
        interp_raise(in, NULL, EXC_DIAG_CT_COND);
    }
    return pred_is_set(in->cpu, in->b->ct_psrc) != negate;
}

static bool transfer_condition(Interp *in)
{
    const Bundle *b = in->b;

    switch (b->ct_type) {
    case CT_ALWAYS: return true;
    case CT_PRED: return predicate_condition(in, false);
    case CT_NOT_PRED: return predicate_condition(in, true);
    case CT_LOOP_END: return in->loop_end;
    case CT_NOT_LOOP_END: return !in->loop_end;
    case CT_PRED_OR_LOOP_END: return loop_condition(in, false);
    case CT_NOT_PRED_AND_NOT_LOOP_END: return !loop_condition(in, false);
    case CT_NOT_PRED_OR_LOOP_END: return loop_condition(in, true);
    case CT_PRED_AND_NOT_LOOP_END: return !loop_condition(in, true);
    case CT_MLOCK: return in->mlock || diagnostic_result(in, b->ct_psrc & 15);
    case CT_MLOCK_LOCAL: return in->mlock || local_condition(in, b->ct_psrc);
    case CT_LOCAL: return local_condition(in, b->ct_psrc);
    default: return false;
    }
}

/* ------------------------------------------------------------------------
 * Targets
 */

static unsigned ctpr_tag(uint64_t ctpr)
{
    return ctpr >> CTPR_TAG_SHIFT & 7;
}

static unsigned ctpr_opc(uint64_t ctpr)
{
    return ctpr >> CTPR_OPC_SHIFT & 3;
}

static bool is_return(uint64_t ctpr)
{
    return ctpr_tag(ctpr) == CTPR_TAG_PROC &&
           ctpr_opc(ctpr) == CTPR_OPC_RETURN;
}

static void raise_if_misaligned(Interp *in, uint64_t target)
{
    if (target & 7) {
        interp_raise(in, NULL, EXC_ILLEGAL_INSTR_ADDR);
    }
}

static void check_call(Interp *in, unsigned wbs)
{
    E2kCpu *cpu = in->cpu;

    if (wbs > cpu->wsz) {
        interp_raise(in, NULL, EXC_WINDOW_BOUNDS);
        return;
    }
    if (cpu->frame + 1 >= cpu->frames + cpu->n_frames) {
        Exception e = cpu->ops->spill ? cpu->ops->spill(cpu)
                                      : EXC_CHAIN_STACK_BOUNDS;
        if (e == EXC_NONE &&
            cpu->frame + 1 >= cpu->frames + cpu->n_frames) {
            e = EXC_CHAIN_STACK_BOUNDS;
        }
        if (e != EXC_NONE) {
            interp_raise(in, NULL, e);
        }
    }
}

static bool frame_is_loaded(const E2kCpu *cpu)
{
    unsigned wbs = cpu->frame->cr1_lo >> CR1_LO_WBS & 127;

    return cpu->frame > cpu->frames_bottom &&
           cpu->win - cpu->regs_bottom >= 2 * (ptrdiff_t)wbs;
}

static void check_return(Interp *in)
{
    E2kCpu *cpu = in->cpu;

    if (frame_is_loaded(cpu)) {
        return;
    }
    Exception e = EXC_NONE;
    if (cpu->ops->fill) {
        e = cpu->ops->fill(cpu);
    }
    if (e == EXC_NONE && !frame_is_loaded(cpu)) {
        e = cpu->frame > cpu->frames_bottom ? EXC_PROC_STACK_BOUNDS
                                            : EXC_CHAIN_STACK_BOUNDS;
    }
    if (e != EXC_NONE) {
        interp_raise(in, NULL, e);
    }
}

/* ct or call through a prepared register: may it be used so? */
static void check_ctpr(Interp *in)
{
    const Bundle *b = in->b;
    uint64_t ctpr = in->cpu->ctpr[b->ctpr - 1];
    bool call = b->transfer == TRANSFER_CALL;
    bool legal;

    switch (ctpr_tag(ctpr)) {
    case CTPR_TAG_EMPTY:
        interp_raise(in, NULL, EXC_ILLEGAL_OPCODE);
        return;
    case CTPR_TAG_DIAG:
        interp_raise(in, NULL, EXC_DIAG_INSTR_ADDR);
        return;
    case CTPR_TAG_PROC:
        legal = call != is_return(ctpr);
        break;
    case CTPR_TAG_LOCAL:
        legal = ctpr_opc(ctpr) != CTPR_OPC_LDISP;
        break;
    case CTPR_TAG_NUMERIC:
        legal = true;
        break;
    case CTPR_TAG_SYSTEM:
        legal = call;
        break;
    default:
        legal = false;
        break;
    }
    if (!legal) {
        interp_raise(in, NULL, EXC_ILLEGAL_INSTR_ADDR);
        return;
    }
    if (ctpr_tag(ctpr) != CTPR_TAG_SYSTEM) {
        raise_if_misaligned(in, ctpr & CTPR_BASE_MASK);
    }
    if (call) {
        check_call(in, b->wbs);
    } else if (is_return(ctpr)) {
        check_return(in);
    }
}

static void check_register_target(Interp *in)
{
    const InterpOp *c = &in->c[0];

    raise_if_misaligned(in, c->s2.lo & CTPR_BASE_MASK);
    if (in->b->transfer == TRANSFER_ICALLD) {
        check_call(in, in->b->wbs);
    }
}

/* A transfer that will be taken: everything that forbids it. */
static void check_target(Interp *in)
{
    const Bundle *b = in->b;

    switch (b->transfer) {
    case TRANSFER_CT:
    case TRANSFER_CALL:
        check_ctpr(in);
        break;
    case TRANSFER_ICALL:
        check_call(in, b->wbs);
        break;
    case TRANSFER_IBRANCHD:
    case TRANSFER_ICALLD:
        check_register_target(in);
        break;
    case TRANSFER_DONE:
    case TRANSFER_IRET:
    case TRANSFER_HRET:
    case TRANSFER_GLAUNCH:
    case TRANSFER_HCALL:
        if (!(in->cpu->psr & PSR_PM)) {
            interp_raise(in, NULL, EXC_PRIV_ACTION);
        } else if (b->transfer != TRANSFER_DONE || !in->cpu->ops->done) {
            interp_raise(in, NULL, EXC_ILLEGAL_OPCODE);
        }
        break;
    default:
        break;
    }
}

void interp_check_transfer(Interp *in)
{
    const Bundle *b = in->b;

    in->taken = false;
    in->decided = true;
    if (b->bap) {
        interp_bap_check(in);
    }
    if (b->has_setsft) { /* precise: a handler goes on past the bundle */
        in->exceptions |= UINT64_C(1) << EXC_SOFTWARE_TRAP;
    }
    if (b->transfer == TRANSFER_NONE) {
        return;
    }
    if (in->has_mlock_branch) {
        in->decided = false;
        return;
    }
    in->taken = transfer_condition(in);
    if (in->taken) {
        check_target(in);
    }
}

/* ------------------------------------------------------------------------
 * Calls and returns; state.md 4.5
 */

static void enter_procedure(Interp *in, uint64_t target, unsigned wbs)
{
    E2kCpu *cpu = in->cpu;
    ChainFrame *f = ++cpu->frame;

    f->cr0_lo = cpu->pf;
    f->cr0_hi = in->next_ip;
    f->cr1_lo = (uint64_t)cpu->wfx << CR1_LO_WFX |
                (uint64_t)cpu->psize << CR1_LO_WPSZ |
                (uint64_t)wbs << CR1_LO_WBS |
                (uint64_t)cpu->cui << CR1_LO_CUI |
                (uint64_t)cpu->psr << CR1_LO_PSR;
    f->cr1_hi = cpu_get_br(cpu) | (uint64_t)cpu->wdbl << CR1_HI_WDBL |
                cpu->usd_size >> 4 << CR1_HI_USSZ;
    cpu->win += 2 * wbs;
    cpu->win_tags += 2 * wbs;
    cpu->wsz -= wbs;
    cpu->psize = cpu->wsz;
    cpu->wfx = true;
    cpu->ctpr[0] = cpu->ctpr[1] = cpu->ctpr[2] = 0;
    if (cpu->system && (cpu->psr & PSR_LW)) { /* the wish is the caller's */
        cpu->psr &= ~PSR_LW;
        cpu->ops->state_changed(cpu);
    }
    in->next_ip = target;
}

static void leave_procedure(Interp *in, uint64_t target)
{
    E2kCpu *cpu = in->cpu;
    const ChainFrame *f = cpu->frame--;
    unsigned wbs = f->cr1_lo >> CR1_LO_WBS & 127;
    uint64_t usd_size = (f->cr1_hi >> CR1_HI_USSZ) << 4;
    uint8_t psr = f->cr1_lo >> CR1_LO_PSR;

    cpu->win -= 2 * wbs;
    cpu->win_tags -= 2 * wbs;
    cpu->wsz = MIN(cpu->psize + wbs, 112);
    cpu->psize = f->cr1_lo >> CR1_LO_WPSZ & 127;
    cpu->wfx = f->cr1_lo >> CR1_LO_WFX & 1;
    cpu->wdbl = f->cr1_hi >> CR1_HI_WDBL & 1;
    cpu->pf = f->cr0_lo;
    cpu->cui = f->cr1_lo >> CR1_LO_CUI;
    cpu_set_br(cpu, f->cr1_hi);
    cpu->usd_base += usd_size - cpu->usd_size;
    cpu->usd_size = usd_size;
    cpu->ctpr[0] = cpu->ctpr[1] = cpu->ctpr[2] = 0;
    in->next_ip = target;
    if (cpu->system && (cpu->psr & PSR_LW)) {
        in->late |= UINT64_C(1) << EXC_LAST_WISH;
    }
    cpu->single_step |= cpu->system && (f->cr1_lo >> CR1_LO_SS & 1);
    if (psr != cpu->psr) {
        cpu->psr = psr;
        if (cpu->ops->state_changed) {
            cpu->ops->state_changed(cpu);
        }
    }
}

static void system_call(Interp *in, uint64_t ctpr)
{
    E2kCpu *cpu = in->cpu;
    unsigned wbs = in->b->wbs;
    uint64_t base = cpu->system ? cpu->state[STATE_OSCUD_LO] : 0;
    unsigned entry = ((ctpr - base) & CTPR_BASE_MASK) >> SYSTEM_ENTRY_SHIFT;

    cpu->syscall_entry = entry;
    cpu->syscall_wbs = wbs;
    if (cpu->ops->system_call) {
        cpu->ip = in->next_ip;
        Exception e = cpu->ops->system_call(cpu, entry, wbs);
        in->next_ip = cpu->ip;
        if (e != EXC_NONE) {
            in->late |= UINT64_C(1) << e;
        }
        return;
    }
    cpu->ctpr[0] = cpu->ctpr[1] = cpu->ctpr[2] = 0;
    interp_eap(in);
    in->exit = CPU_EXIT_SYSCALL;
}

static void transfer_by_ctpr(Interp *in, uint64_t ctpr)
{
    uint64_t target = ctpr & CTPR_BASE_MASK;

    if (ctpr_tag(ctpr) == CTPR_TAG_SYSTEM) {
        system_call(in, ctpr);
    } else if (in->b->transfer == TRANSFER_CALL) {
        enter_procedure(in, target, in->b->wbs);
    } else if (is_return(ctpr)) {
        leave_procedure(in, target);
    } else {
        in->next_ip = target;
    }
}

/* old_ctpr: as before this bundle's own preparations. */
static void transfer(Interp *in, const uint64_t old_ctpr[3])
{
    const Bundle *b = in->b;
    E2kCpu *cpu = in->cpu;

    switch (b->transfer) {
    case TRANSFER_CT:
    case TRANSFER_CALL:
        transfer_by_ctpr(in, old_ctpr[b->ctpr - 1]);
        break;
    case TRANSFER_IBRANCH:
        in->next_ip = (cpu->ip + b->disp) & CTPR_BASE_MASK;
        break;
    case TRANSFER_ICALL:
        enter_procedure(in, (cpu->ip + b->disp) & CTPR_BASE_MASK, b->wbs);
        break;
    case TRANSFER_IBRANCHD:
        in->next_ip = in->c[0].s2.lo & CTPR_BASE_MASK;
        break;
    case TRANSFER_ICALLD:
        enter_procedure(in, in->c[0].s2.lo & CTPR_BASE_MASK, b->wbs);
        break;
    case TRANSFER_DONE: {
        cpu->ip = in->next_ip;
        Exception e = cpu->ops->done(cpu, b->param);
        in->next_ip = cpu->ip;
        if (e != EXC_NONE) {
            in->late |= UINT64_C(1) << e;
        }
        break;
    }
    default:
        break;
    }
}

/* ------------------------------------------------------------------------
 * Preparation, counters, rotation
 */

/* movts, movtd and getpl to %ctprN: the tag says what the operand was. */
static void write_ctprs(Interp *in)
{
    const AlcOp *op = &in->b->alc[0];
    const InterpOp *c = &in->c[0];

    if (!op->present || op->dst.kind != OPERAND_CTPR || !c->on || c->drop) {
        return;
    }
    unsigned tag = CTPR_TAG_LOCAL;
    if (c->d.tag == 0xa) {
        tag = CTPR_TAG_PROC;
    } else if (c->d.tag != 0 || c->poison) {
        tag = CTPR_TAG_DIAG;
    }
    in->cpu->ctpr[op->dst.index - 1] =
        CTPR_VALUE(c->d.lo, tag, CTPR_OPC_DISP);
}

static void prepare(Interp *in)
{
    const Bundle *b = in->b;
    E2kCpu *cpu = in->cpu;
    uint64_t target = cpu->ip + b->prepare_disp;
    uint64_t value;

    switch (b->prepare) {
    case PREPARE_DISP:
        value = CTPR_VALUE(target, CTPR_TAG_LOCAL, CTPR_OPC_DISP);
        break;
    case PREPARE_LDISP:
        value = CTPR_VALUE(target, CTPR_TAG_LOCAL, CTPR_OPC_LDISP);
        break;
    case PREPARE_SDISP:
        target = (uint64_t)b->prepare_param << SYSTEM_ENTRY_SHIFT;
        target += cpu->system ? cpu->state[STATE_OSCUD_LO] : 0;
        value = CTPR_VALUE(target, CTPR_TAG_SYSTEM, CTPR_OPC_DISP);
        break;
    case PREPARE_RETURN:
        value = CTPR_VALUE(cpu->frame->cr0_hi & ~UINT64_C(7), CTPR_TAG_PROC,
                           CTPR_OPC_RETURN);
        break;
    default: /* pref, and type-section descriptors of protected mode */
        return;
    }
    cpu->ctpr[b->prepare_ctpr - 1] = value;
}

static void set_bases(E2kCpu *cpu, const Bundle *b)
{
    if (b->has_setbn) {
        cpu->rbs = b->rbs;
        cpu->rsz = b->rsz;
        cpu->rcur = b->rcur;
    }
    if (b->has_setbp) {
        cpu->psz = b->psz;
        cpu->pcur = 0;
    }
}

/* state.md section 3. */
static void advance_loop_counters(E2kCpu *cpu)
{
    cpu->pcnt -= cpu->pcnt != 0;
    cpu->lcnt -= cpu->lcnt != 0;
    cpu->over = cpu->lcnt == 0;
    if (cpu->over && cpu->vlc) {
        cpu->ecnt -= cpu->ecnt != 0;
    }
}

static void advance(E2kCpu *cpu, const Bundle *b, bool taken)
{
    if (taken ? b->alct : b->alcf) {
        advance_loop_counters(cpu);
    }
    if (taken ? b->abpt : b->abpf) {
        cpu->pcur = cpu->pcur == 0 ? cpu->psz : cpu->pcur - 1;
    }
    if (taken ? b->abnt : b->abnf) {
        cpu->rcur = cpu->rcur == 0 ? cpu->rsz : cpu->rcur - 1;
    }
    if (b->abgi || b->abgd) {
        cpu->bgr_cur = (cpu->bgr_cur + b->abgi - b->abgd) & 7;
    }
}

static void other_control(Interp *in)
{
    const Bundle *b = in->b;
    const CpuOps *ops = in->cpu->ops;
    Exception e = EXC_NONE;

    if (b->has_wait) {
        if (b->wait & WAIT_BARRIERS) {
            __atomic_thread_fence(__ATOMIC_SEQ_CST);
        }
        if (ops->wait) {
            e = ops->wait(in->cpu, b->wait);
        }
    }
    if (b->has_flush && ops->flush) {
        e = ops->flush(in->cpu, b->flush);
    }
    if (e != EXC_NONE) {
        in->late |= UINT64_C(1) << e;
    }
}

void interp_end_of_bundle(Interp *in)
{
    const Bundle *b = in->b;
    E2kCpu *cpu = in->cpu;
    uint64_t old_ctpr[3] = {cpu->ctpr[0], cpu->ctpr[1], cpu->ctpr[2]};

    write_ctprs(in);
    if (b->prepare != PREPARE_NONE) {
        prepare(in);
    }
    if (b->transfer != TRANSFER_NONE && !in->decided) {
        /* The memory lock is known only now. */
        in->taken = transfer_condition(in);
        if (in->taken) {
            check_target(in);
        }
        if (in->exceptions) {
            in->late |= in->exceptions;
            in->taken = false;
        }
    }
    set_bases(cpu, b);
    advance(cpu, b, in->taken);
    interp_array_advance(in);
    if (b->bap) {
        interp_bap(in);
    }
    if (b->eap) {
        interp_eap(in);
    }
    other_control(in);
    if (in->taken) {
        transfer(in, old_ctpr);
    }
}
