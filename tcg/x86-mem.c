/*
 * Guest memory.
 *
 * Direct: the access is one host instruction at guest base + address, listed
 * with the dirty globals so that the signal handler can recover (fault.c).
 * In machines accesses go through the software TLB instead: x86-soft.c.
 */
#include "tcg/x86-emit.h"

/* The recovery map of the current operation: where dirty globals are. */
static void fault_map(Emit *e, FaultSite *site)
{
    const uint64_t *need = e->c->need[e->op];
    Emitted *out = e->out;

    if (need != e->last_need) {
        e->last_need = need;
        e->last_map = out->n_fault_globals;
        for (unsigned bit = 0; bit < e->c->n_globals; bit++) {
            IrReg reg = e->c->cross[bit];
            const IrVreg *vreg = &e->ir->vregs[reg];

            if (!set_has(need, bit) || e->info[reg].loc != LOC_REG) {
                continue;
            }
            out->fault_globals[out->n_fault_globals++] = (FaultGlobal){
                .reg = e->info[reg].reg, .size = vreg->home_size,
                .bit_pos = vreg->bit_pos, .bit_len = vreg->bit_len,
                .base = e->info[vreg->base].reg, .offset = vreg->offset,
            };
        }
        e->last_n_map = out->n_fault_globals - e->last_map;
    }
    site->map = e->last_map;
    site->n_map = e->last_n_map;
}

X86Rm guest_address(Emit *e, const IrOp *op)
{
    uint64_t base;
    X86Rm rm = x86_mem(X86_NO_REG, op->imm);

    if (ir_is_const(e->ir, op->src[0], &base) &&
        (int64_t)(base + op->imm) == (int32_t)(base + op->imm)) {
        rm.disp = base + op->imm;
    } else {
        rm.base = use_gpr(e, op->src[0], RCX);
    }
    if (op->src[1]) {
        rm.index = use_gpr(e, op->src[1], RDX);
        rm.scale = op->cond;
    }
    rm.gs = tcg_config.guest_base != 0;
    return rm;
}

/* --- guest addresses must not be the emulator's ----------------------------------
 *
 *        bt   base, bit;  jc stub      stub: an access that always faults
 *        mov  ..., [base + disp]             and counts as this one
 *
 * A displacement that is not negative cannot carry a checked base beyond the
 * inaccessible area behind the guest's end; other addresses are computed
 * first.  Addresses above the host's user half fault by themselves.
 */

static bool is_guarded(Emit *e, IrReg base)
{
    if (e->checked && e->info[base].cross &&
        set_has(e->checked, e->info[base].cross_bit)) {
        return true;
    }
    for (unsigned i = 0; i < e->n_guarded; i++) {
        if (e->guarded[i] == base) {
            return true;
        }
    }
    return false;
}

static void remember_guarded(Emit *e, const IrOp *op, IrReg base)
{
    if (op->dst == base) {
        return;
    }
    if (e->n_guarded == MOST_GUARDED) {
        e->n_guarded = 0;
    }
    e->guarded[e->n_guarded++] = base;
}

/* Forgets what the operation changes. */
void forget_guarded(Emit *e, const IrOp *op)
{
    if (e->checked) {
        guards_step(e->c, e->op, e->checked);
    }
    switch (op->opcode) {
    case IR_call:
    case IR_reload:
    case IR_label:
        e->n_guarded = 0;
        return;
    default:
        break;
    }
    for (unsigned i = 0; i < e->n_guarded; i++) {
        if (e->guarded[i] == op->dst) {
            e->guarded[i--] = e->guarded[--e->n_guarded];
        }
    }
}

/* Returns the address to use, maybe computed into RCX. */
static X86Rm guard_address(Emit *e, const IrOp *op, X86Rm rm)
{
    X86 *x = &e->x;
    unsigned bit = tcg_config.guest_end_bit;

    if (!bit || !opt_on(OPT_GUARD) ||
        (rm.base == X86_NO_REG && rm.index == X86_NO_REG)) {
        return rm;
    }
    if (rm.index != X86_NO_REG || rm.disp < 0) {
        x86_lea(x, true, RCX, rm);
        rm = x86_mem(RCX, 0);
    } else if (is_guarded(e, op->src[0])) {
        return rm;
    } else {
        remember_guarded(e, op, op->src[0]);
    }
    x86_op(x, 0, X86_W, MAP_0F, 0xba, 4, x86_r(rm.base));
    x86_b(x, bit);
    e->guards[e->n_guards++] = (GuardStub){ .jump = x86_jcc32(x, CC_B),
                                            .site = e->out->n_faults };
    return rm;
}

/* After the code of all accesses: their list stays in ascending order. */
void emit_guards(Emit *e)
{
    X86 *x = &e->x;

    for (unsigned i = 0; i < e->n_guards; i++) {
        FaultSite *site = &e->out->faults[e->out->n_faults++];

        x86_fix32(e->guards[i].jump, x->p);
        *site = e->out->faults[e->guards[i].site];
        site->host = x->p - e->start;
        /* mov al, [half way to the kernel's addresses] */
        x86_b(x, 0xa0);
        x86_q(x, UINT64_C(1) << 63);
    }
}

void note_fault_site(Emit *e, const IrOp *op, X86Rm rm)
{
    FaultSite *site = &e->out->faults[e->out->n_faults++];

    *site = (FaultSite){
        .host = e->x.p - e->start, .fault = op->aux, .width = op->width,
        .is_store = op->opcode == IR_gst, .base = rm.base, .index = rm.index,
        .scale = rm.scale, .disp = rm.disp,
    };
    fault_map(e, site);
}

/* --- accesses --------------------------------------------------------------------- */

void emit_gld(Emit *e, const IrOp *op)
{
    if (tcg_config.tlb_offset) {
        emit_soft_load(e, op);
        return;
    }
    X86Rm rm = guard_address(e, op, guest_address(e, op));

    note_fault_site(e, op, rm);
    load_from(e, op, rm);
}

void emit_gst(Emit *e, const IrOp *op)
{
    if (tcg_config.tlb_offset) {
        emit_soft_store(e, op);
        return;
    }
    X86Rm rm = guard_address(e, op, guest_address(e, op));
    StoreValue v = store_value(e, op->src[2], op->width, RAX);

    note_fault_site(e, op, rm);
    store_to(e, op->width, v, rm);
}
