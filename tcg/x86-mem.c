/*
 * Guest memory.
 *
 * Direct: the access is one host instruction at guest base + address, listed
 * with the dirty globals so that the signal handler can recover (fault.c).
 *
 * Through the software TLB (TcgConfig.tlb_offset, soft-tlb.h):
 *
 *        rcx = &entry of the address            slow: slow_address = address
 *        rdx = page of its last byte                  slow_value = value
 *        cmp  rdx, entry.read or .write               call slow_access thunk
 *        jne  slow                                    (site: as above)
 *        rcx = entry.host                             result = slow_value
 *        load or store [address + rcx]                jmp  back
 *   back:
 *
 * The thunk saves all registers and calls TcgConfig.slow_access(); when that
 * refuses, fault.c writes the dirty globals home from the saved registers and
 * tcg_run() returns TCG_EXIT_FAULT, as after a signal.
 */
#include "tcg/soft-tlb.h"
#include "tcg/x86-emit.h"

enum {
    ENTRY_SHIFT = 5, /* log2(sizeof(SoftTlbEntry)) */
};

G_STATIC_ASSERT(sizeof(SoftTlbEntry) == 1 << ENTRY_SHIFT);

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

static X86Rm guest_address(Emit *e, const IrOp *op)
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

static void note_fault_site(Emit *e, const IrOp *op, X86Rm rm)
{
    FaultSite *site = &e->out->faults[e->out->n_faults++];

    *site = (FaultSite){
        .host = e->x.p - e->start, .fault = op->aux, .width = op->width,
        .is_store = op->opcode == IR_gst, .base = rm.base, .index = rm.index,
        .scale = rm.scale, .disp = rm.disp,
    };
    fault_map(e, site);
}

/* --- through the TLB --------------------------------------------------------- */

/* A register with the guest address; RAX unless one holds it already. */
static int address_register(Emit *e, X86Rm rm)
{
    if (rm.index == X86_NO_REG && rm.base == X86_NO_REG) {
        x86_mov_imm(&e->x, RAX, (int64_t)rm.disp);
        return RAX;
    }
    if (rm.index == X86_NO_REG && rm.disp == 0 && rm.base != RCX &&
        rm.base != RDX) {
        return rm.base;
    }
    rm.gs = false;
    x86_lea(&e->x, true, RAX, rm);
    return RAX;
}

/* Where the access goes when the TLB knows the page. */
static X86Rm probe_tlb(Emit *e, const IrOp *op)
{
    X86 *x = &e->x;
    bool store = op->opcode == IR_gst;
    int32_t entry = e->ir->tlb * (int32_t)sizeof(SoftTlb);
    int32_t tag = store ? offsetof(SoftTlbEntry, write)
                        : offsetof(SoftTlbEntry, read);
    SlowPath *slow = &e->slow_paths[e->n_slow_paths++];

    slow->op = e->op;
    slow->address = address_register(e, guest_address(e, op));
    x86_mov(x, false, RCX, slow->address);
    x86_shift_imm(x, false, SH_SHR, RCX, SOFT_TLB_PAGE_BITS - ENTRY_SHIFT);
    x86_alu_imm(x, false, ALU_AND, x86_r(RCX),
                (SOFT_TLB_ENTRIES - 1) << ENTRY_SHIFT);
    x86_alu(x, true, ALU_ADD, RCX, x86_mem(RBP, tcg_config.tlb_offset));
    if (op->width == 1) {
        x86_mov(x, true, RDX, slow->address);
    } else {
        x86_lea(x, true, RDX, x86_mem(slow->address, op->width - 1));
    }
    x86_alu_imm(x, true, ALU_AND, x86_r(RDX), -(1 << SOFT_TLB_PAGE_BITS));
    x86_alu(x, true, ALU_CMP, RDX, x86_mem(RCX, entry + tag));
    slow->jump = x86_jcc32(x, CC_NE);
    x86_load(x, 8, RCX,
             x86_mem(RCX, entry + (int32_t)offsetof(SoftTlbEntry, host)));
    return x86_mem_index(slow->address, RCX, 0, 0);
}

static void emit_slow_path(Emit *e, const SlowPath *slow)
{
    X86 *x = &e->x;
    const IrOp *op = &e->ir->ops[slow->op];
    bool store = op->opcode == IR_gst;

    e->op = slow->op;
    x86_fix32(slow->jump, x->p);
    x86_store(x, 8, TCG_FIELD(slow_address), slow->address);
    if (store) {
        store_to(e, op->width, store_value(e, op->src[2], op->width, RDX),
                 TCG_FIELD(slow_value));
    }
    x86_mov_imm(x, RDX, op->width);
    x86_mov_imm(x, RCX, store);
    x86_b(x, 0xe8);
    x86_d(x, 0);
    x86_fix32(x->p - 4, tcg_thunks.slow_access - e->delta);
    note_fault_site(e, op, x86_mem(X86_NO_REG, 0));
    if (!store) {
        load_from(e, op, TCG_FIELD(slow_value));
    }
    x86_fix32(x86_jmp32(x), slow->back);
}

void emit_slow_paths(Emit *e)
{
    for (unsigned i = 0; i < e->n_slow_paths; i++) {
        emit_slow_path(e, &e->slow_paths[i]);
    }
}

/* --- both ---------------------------------------------------------------------- */

static X86Rm access_begin(Emit *e, const IrOp *op)
{
    return tcg_config.tlb_offset
               ? probe_tlb(e, op)
               : guard_address(e, op, guest_address(e, op));
}

void emit_gld(Emit *e, const IrOp *op)
{
    X86Rm rm = access_begin(e, op);

    if (!tcg_config.tlb_offset) {
        note_fault_site(e, op, rm);
        load_from(e, op, rm);
        return;
    }
    SlowPath *slow = &e->slow_paths[e->n_slow_paths - 1];

    load_from(e, op, rm);
    slow->back = e->x.p;
}

void emit_gst(Emit *e, const IrOp *op)
{
    X86Rm rm = access_begin(e, op);
    bool soft = tcg_config.tlb_offset != 0;
    StoreValue v =
        store_value(e, op->src[2], op->width, soft ? RDX : RAX);

    if (!soft) {
        note_fault_site(e, op, rm);
    }
    store_to(e, op->width, v, rm);
    if (soft) {
        e->slow_paths[e->n_slow_paths - 1].back = e->x.p;
    }
}
