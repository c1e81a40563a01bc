/*
 * Guest memory through the software TLB (TcgConfig.tlb_offset, soft-tlb.h).
 *
 *        rdx = page of the last byte           miss: rcx = &entry of the address
 *        cmp  rdx, site.tag                          cmp rdx, entry.read, .write
 *        jne  miss                                   jne slow
 *        rcx = site.host                             site.tag = rdx
 *   hit: load or store [address + rcx]               site.host = rcx = entry.host
 *   back:                                            jmp hit
 *                                              slow: slow_address = address
 *                                                    slow_value = value
 *                                                    call slow_access thunk
 *                                                    (site: as in x86-mem.c)
 *                                                    result = slow_value
 *                                                    jmp  back
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

/* --- slots ------------------------------------------------------------------------ */

ptrdiff_t tcg_new_site(unsigned tlb, bool store)
{
    static unsigned next; /* atomic */
    unsigned n = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);

    return tcg_config.sites_offset +
           offsetof(SoftTlbSites, site[tlb][store][n % SOFT_TLB_SITES]);
}

void tcg_clear_sites(void *cpu)
{
    static uint8_t scratch[2 * SOFT_TLB_SITE_REACH];
    static uint64_t nobody; /* no page address; no MMU translates it */
    static gsize done;
    SoftTlbSites *sites = (void *)((char *)cpu + tcg_config.sites_offset);
    SoftTlbSite *site = &sites->site[0][0][0];

    if (g_once_init_enter(&done)) {
        nobody = UINT64_C(1) << 63 | (uint64_t)g_random_int() << 30 |
                 g_random_int() | 1;
        g_once_init_leave(&done, 1);
    }
    for (unsigned i = 0; i < sizeof(*sites) / sizeof(*site); i++) {
        site[i].tag = nobody;
        site[i].host = (uintptr_t)scratch + SOFT_TLB_SITE_REACH - nobody;
    }
}

static X86Rm site_tag(const SlowPath *slow)
{
    return x86_mem(RBP, slow->site + (int32_t)offsetof(SoftTlbSite, tag));
}

static X86Rm site_host(const SlowPath *slow)
{
    return x86_mem(RBP, slow->site + (int32_t)offsetof(SoftTlbSite, host));
}

/* --- the fast path ------------------------------------------------------------------ */

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

/* Where the access goes when its slot knows the page. */
static X86Rm probe_site(Emit *e, const IrOp *op)
{
    X86 *x = &e->x;
    SlowPath *slow = &e->slow_paths[e->n_slow_paths++];

    slow->op = e->op;
    slow->site = tcg_new_site(e->ir->tlb, op->opcode == IR_gst);
    slow->address = address_register(e, guest_address(e, op));
    if (op->width == 1) {
        x86_mov(x, true, RDX, slow->address);
    } else {
        x86_lea(x, true, RDX, x86_mem(slow->address, op->width - 1));
    }
    x86_alu_imm(x, true, ALU_AND, x86_r(RDX), -(1 << SOFT_TLB_PAGE_BITS));
    x86_alu(x, true, ALU_CMP, RDX, site_tag(slow));
    slow->jump = x86_jcc32(x, CC_NE);
    x86_load(x, 8, RCX, site_host(slow));
    slow->hit = x->p;
    return x86_mem_index(slow->address, RCX, 0, 0);
}

void emit_soft_load(Emit *e, const IrOp *op)
{
    X86Rm rm = probe_site(e, op);

    load_from(e, op, rm);
    e->slow_paths[e->n_slow_paths - 1].back = e->x.p;
}

void emit_soft_store(Emit *e, const IrOp *op)
{
    X86Rm rm = probe_site(e, op);

    store_to(e, op->width, store_value(e, op->src[2], op->width, RDX), rm);
    e->slow_paths[e->n_slow_paths - 1].back = e->x.p;
}

/* --- the slow paths ------------------------------------------------------------------ */

/* RDX: the page; fills the slot and RCX.  Returns the jump for a TLB miss. */
static uint8_t *probe_tlb(Emit *e, const SlowPath *slow, bool store)
{
    X86 *x = &e->x;
    int32_t entry = e->ir->tlb * (int32_t)sizeof(SoftTlb);
    int32_t tag = store ? offsetof(SoftTlbEntry, write)
                        : offsetof(SoftTlbEntry, read);

    x86_mov(x, false, RCX, slow->address);
    x86_shift_imm(x, false, SH_SHR, RCX, SOFT_TLB_PAGE_BITS - ENTRY_SHIFT);
    x86_alu_imm(x, false, ALU_AND, x86_r(RCX),
                (SOFT_TLB_ENTRIES - 1) << ENTRY_SHIFT);
    x86_alu(x, true, ALU_ADD, RCX, x86_mem(RBP, tcg_config.tlb_offset));
    x86_alu(x, true, ALU_CMP, RDX, x86_mem(RCX, entry + tag));
    uint8_t *jump = x86_jcc32(x, CC_NE);

    x86_load(x, 8, RCX,
             x86_mem(RCX, entry + (int32_t)offsetof(SoftTlbEntry, host)));
    x86_store(x, 8, site_tag(slow), RDX);
    x86_store(x, 8, site_host(slow), RCX);
    x86_fix32(x86_jmp32(x), slow->hit);
    return jump;
}

static void emit_slow_path(Emit *e, const SlowPath *slow)
{
    X86 *x = &e->x;
    const IrOp *op = &e->ir->ops[slow->op];
    bool store = op->opcode == IR_gst;

    e->op = slow->op;
    x86_fix32(slow->jump, x->p);
    uint8_t *missed = probe_tlb(e, slow, store);

    x86_fix32(missed, x->p);
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
