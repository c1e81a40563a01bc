/*
 * Address translation: page-table walks, MMU registers, TLB contexts,
 * probes and flushes.
 *
 *     va[47:39] va[38:30] va[29:21] va[20:12]
 *        |         |         |         |
 *      root  ->  level 3 -> level 2 -> level 1 -> page
 *                  \ PS: 1 GiB (v5+)
 *                             \ PS: 2 MiB
 *
 * Entries come in two formats, described by PteFormat; "system/mmu.md"
 * sections 2 to 9.  Only the leaf's permissions count; VALID and P count at
 * every level.  Translations are kept in software TLBs (tcg/soft-tlb.h), one
 * pair (user, privileged) per address space (its id and its root), a few at a
 * time: changing CONT or the root selects another TLB and flushes nothing.  A
 * TLB may lose entries at any time, so dropping too much is always right.
 * What is kept of code is in code-space.c.
 */
#include "system/sys-cpu.h"

#include <inttypes.h>
#include <string.h>

#include "system/code-space.h"
#include "system/debug-traps.h"
#include "target-e2k/exec.h"
#include "util/bytes.h"
#include "util/log.h"

typedef struct PteFormat {
    uint64_t present, writable, valid, accessed, dirty, large, global;
    uint64_t privileged, non_exec;
    uint64_t frame; /* physical page bits */
} PteFormat;

static const PteFormat legacy_format = {
    .present = UINT64_C(1) << 0,
    .writable = UINT64_C(1) << 1,
    .accessed = UINT64_C(1) << 5,
    .dirty = UINT64_C(1) << 6,
    .large = UINT64_C(1) << 7,
    .global = UINT64_C(1) << 8,
    .frame = UINT64_C(0xfffffff000),
    .valid = UINT64_C(1) << 40,
    .privileged = UINT64_C(1) << 41,
    .non_exec = UINT64_C(1) << 43,
};

static const PteFormat v6_format = {
    .present = UINT64_C(1) << 0,
    .writable = UINT64_C(1) << 1,
    .privileged = UINT64_C(1) << 2,
    .valid = UINT64_C(1) << 3,
    .accessed = UINT64_C(1) << 5,
    .dirty = UINT64_C(1) << 6,
    .large = UINT64_C(1) << 7,
    .global = UINT64_C(1) << 8,
    .frame = UINT64_C(0xfffffffff000),
    .non_exec = UINT64_C(1) << 63,
};

enum {
    LEVELS = 4,
    LEVEL_BITS = 9,
    VA_BITS = 48,
    MMU_CR_RESET = MMU_CR_CD,
    V6_MT_SHIFT = 60, /* memory type */
};

static const PteFormat *format_of(const SysCpu *sys)
{
    return sys->cpu->isa >= 6 &&
                   (sys->cpu->state[SR_CORE_MODE] & CORE_MODE_PT_V6)
               ? &v6_format
               : &legacy_format;
}

bool mmu_is_on(const SysCpu *sys)
{
    return sys->mmu[MMU_CR] & MMU_CR_TLB_EN;
}

static uint64_t root_of(const SysCpu *sys, uint64_t address)
{
    bool separate = sys->cpu->isa >= 6 &&
                    (sys->cpu->state[SR_CORE_MODE] & CORE_MODE_SEP_VIRT_SPACE);

    return separate && address >= sys->mmu[MMU_OS_VAB]
               ? sys->mmu[MMU_OS_PPTB]
               : sys->mmu[MMU_U_PPTB];
}

/* The entry in guest memory; NULL when the table is not in RAM. */
static uint64_t *entry_at(const SysCpu *sys, uint64_t physical)
{
    return physmem_host(sys->machine->mem, physical, 8);
}

/* Sets accessed (and dirty) bits as hardware does; false: entry changed. */
static bool mark_entry(uint64_t *at, uint64_t *entry, uint64_t bits)
{
    uint64_t old = *entry;

    if ((old & bits) == bits) {
        return true;
    }
    if (!__atomic_compare_exchange_n(at, &old, old | bits, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        return false;
    }
    *entry |= bits;
    return true;
}

static bool is_leaf(const SysCpu *sys, const PteFormat *f, uint64_t entry,
                    unsigned level)
{
    if (level == 1) {
        return true;
    }
    return (entry & f->large) && (level == 2 || (level == 3 &&
                                                 sys->cpu->isa >= 5));
}

static unsigned check_leaf(const PteFormat *f, uint64_t entry, AccessKind kind,
                           bool privileged)
{
    if ((entry & f->privileged) && !privileged) {
        return FAULT_PRIV_PAGE;
    }
    if (kind == ACCESS_STORE && !(entry & f->writable)) {
        return FAULT_NWRITE_PAGE;
    }
    if (kind == ACCESS_FETCH && (entry & f->non_exec)) {
        return FAULT_PROT_PAGE;
    }
    return 0;
}

static void fill_result(const PteFormat *f, uint64_t address, unsigned level,
                        uint64_t entry, MmuResult *result)
{
    unsigned shift = SOFT_TLB_PAGE_BITS + LEVEL_BITS * (level - 1);
    uint64_t offset_mask = (UINT64_C(1) << shift) - 1;

    result->page_bytes = offset_mask + 1;
    result->physical =
        (entry & f->frame & ~offset_mask) | (address & offset_mask);
    result->writable = (entry & f->writable) && (entry & f->dirty);
    result->privileged = entry & f->privileged;
    result->global = entry & f->global;
    result->executable = !(entry & f->non_exec);
    result->fault = 0;
}

bool mmu_translate(SysCpu *sys, uint64_t address, AccessKind kind,
                   bool privileged, bool update, MmuResult *result)
{
    const PteFormat *f = format_of(sys);

    memset(result, 0, sizeof(*result));
    if (!mmu_is_on(sys)) {
        result->physical = address;
        result->writable = result->executable = true;
        result->page_bytes = PHYS_PAGE_BYTES;
        return true;
    }
    result->level = LEVELS;
    if (address >> VA_BITS) {
        result->fault = FAULT_ILLEGAL_PAGE;
        return false;
    }
again:;
    uint64_t table = root_of(sys, address) & f->frame;

    for (unsigned level = LEVELS;; level--) {
        unsigned shift = SOFT_TLB_PAGE_BITS + LEVEL_BITS * (level - 1);
        unsigned index = (address >> shift) & ((1 << LEVEL_BITS) - 1);
        uint64_t *at = entry_at(sys, table + index * 8);

        result->level = level;
        if (!at) {
            result->fault = FAULT_PH_BOUND;
            return false;
        }
        uint64_t entry = __atomic_load_n(at, __ATOMIC_RELAXED);

        result->entry = entry;
        if (!(entry & f->valid)) {
            result->fault = FAULT_ILLEGAL_PAGE;
            return false;
        }
        if (!(entry & f->present)) {
            result->fault = FAULT_PAGE_MISS;
            return false;
        }
        if (!is_leaf(sys, f, entry, level)) {
            table = entry & f->frame;
            continue;
        }
        result->fault = check_leaf(f, entry, kind, privileged);
        if (result->fault) {
            return false;
        }
        uint64_t bits =
            f->accessed | (kind == ACCESS_STORE ? f->dirty : 0);

        if (update && !mark_entry(at, &entry, bits)) {
            goto again; /* another CPU changed it meanwhile */
        }
        fill_result(f, address, level, entry, result);
        return true;
    }
}

/* ---- TLB contexts ---------------------------------------------------------- */

static void clear_tlb(SoftTlb *tlb)
{
    for (unsigned i = 0; i < SOFT_TLB_ENTRIES; i++) {
        tlb->entry[i].read = tlb->entry[i].write = SOFT_TLB_NONE;
    }
}

static void clear_context(SysCpu *sys, TlbContext *context)
{
    clear_tlb(&context->tlb[0]);
    clear_tlb(&context->tlb[1]);
    context->epoch = ++sys->last_epoch;
    context->largest_page = PHYS_PAGE_BYTES;
    sys->cpu->tlb_generation++;
}

void mmu_note_page_size(SysCpu *sys, uint64_t page_bytes)
{
    if (page_bytes > sys->context->largest_page) {
        sys->context->largest_page = page_bytes;
    }
}

/*
 * Entries are of 4 KiB, whatever the page: a flush of one address takes out
 * all that may be of the same page.
 */
static void flush_in_tlb(SoftTlb *tlb, uint64_t address, uint64_t page_bytes)
{
    uint64_t mask = ~(page_bytes - 1);

    if (page_bytes == PHYS_PAGE_BYTES) {
        SoftTlbEntry *entry = soft_tlb_entry(tlb, address);

        entry->read = entry->write = SOFT_TLB_NONE;
        return;
    }
    for (unsigned i = 0; i < SOFT_TLB_ENTRIES; i++) {
        SoftTlbEntry *entry = &tlb->entry[i];

        if (entry->read != SOFT_TLB_NONE &&
            !((entry->read ^ address) & mask)) {
            entry->read = entry->write = SOFT_TLB_NONE;
        }
    }
}

void mmu_update_epoch(SysCpu *sys)
{
    sys->cpu->code_epoch =
        sys->context->epoch << 1 | (sys->cpu->psr & PSR_PM);
}

static TlbContext *find_context(SysCpu *sys, uint32_t pid, uint64_t root)
{
    for (unsigned i = 1; i <= TLB_CONTEXTS; i++) {
        TlbContext *context = &sys->contexts[i];

        if (context->valid && context->pid == pid && context->root == root) {
            return context;
        }
    }
    return NULL;
}

static TlbContext *take_context(SysCpu *sys, uint32_t pid, uint64_t root)
{
    TlbContext *oldest = &sys->contexts[1];

    for (unsigned i = 1; i <= TLB_CONTEXTS; i++) {
        TlbContext *context = &sys->contexts[i];

        if (!context->valid) {
            oldest = context;
            break;
        }
        if (context->last_use < oldest->last_use) {
            oldest = context;
        }
    }
    clear_context(sys, oldest);
    oldest->valid = true;
    oldest->pid = pid;
    oldest->root = root;
    return oldest;
}

void mmu_select(SysCpu *sys)
{
    TlbContext *context = &sys->contexts[0];

    if (mmu_is_on(sys)) {
        uint32_t pid = sys->mmu[MMU_CONT] & 0xfff;
        uint64_t root = sys->mmu[MMU_U_PPTB];

        context = find_context(sys, pid, root);
        if (!context) {
            context = take_context(sys, pid, root);
        }
        context->last_use = ++sys->context_clock;
    }
    if (sys->context != context) {
        sys->context = context;
        sys->cpu->soft_tlb = context->tlb;
        sys->cpu->tlb_generation++;
    }
    code_space_select(sys);
    mmu_update_epoch(sys);
}

void mmu_flush_all(SysCpu *sys)
{
    for (unsigned i = 1; i <= TLB_CONTEXTS; i++) {
        if (sys->contexts[i].valid) {
            clear_context(sys, &sys->contexts[i]);
        }
    }
    sys->tlb_flushes++;
    code_space_flush_all(sys);
    mmu_update_epoch(sys);
}

void mmu_flush_page(SysCpu *sys, uint64_t address, unsigned pid)
{
    for (unsigned i = 1; i <= TLB_CONTEXTS; i++) {
        TlbContext *context = &sys->contexts[i];

        /* Global pages may be in any context: drop the address in all. */
        for (unsigned pm = 0; context->valid && pm < 2; pm++) {
            flush_in_tlb(&context->tlb[pm], address, context->largest_page);
        }
        context->epoch = ++sys->last_epoch;
    }
    sys->cpu->tlb_generation++;
    log_printf(LOG_MMU, "cpu%u: flush page 0x%" PRIx64 " of space %u\n",
               sys->index, address, pid);
    sys->tlb_flushes++;
    code_space_flush_page(sys, address);
    mmu_update_epoch(sys);
}

void mmu_forget_writable(SysCpu *sys)
{
    sys->cpu->tlb_generation++;
    for (unsigned i = 0; i <= TLB_CONTEXTS; i++) {
        for (unsigned pm = 0; pm < 2; pm++) {
            for (unsigned n = 0; n < SOFT_TLB_ENTRIES; n++) {
                sys->contexts[i].tlb[pm].entry[n].write = SOFT_TLB_NONE;
            }
        }
    }
}

void mmu_forget_writable_elsewhere(SysCpu *sys)
{
    Machine *machine = sys->machine;

    for (unsigned i = 0; i < machine->n_cpus; i++) {
        SysCpu *other = machine->cpus[i];

        if (other != sys) {
            __atomic_store_n(&other->close_pages, 1, __ATOMIC_SEQ_CST);
            cpu_request_stop(other->cpu);
        }
    }
}

void mmu_reset(SysCpu *sys)
{
    memset(sys->mmu, 0, sizeof(sys->mmu));
    memset(sys->debug_regs, 0, sizeof(sys->debug_regs));
    sys->mmu[MMU_MTRR32] = 0x806;
    code_space_leave(sys);
    for (unsigned i = 0; i <= TLB_CONTEXTS; i++) {
        clear_context(sys, &sys->contexts[i]);
        sys->contexts[i].valid = false;
    }
    sys->contexts[0].valid = true;
    sys->context = NULL;
    mmu_select(sys);
}

/* ---- Registers ------------------------------------------------------------- */

uint64_t mmu_read_reg(SysCpu *sys, unsigned number)
{
    return number < MMU_REGS ? sys->mmu[number] : 0;
}

void mmu_write_reg(SysCpu *sys, unsigned number, uint64_t value)
{
    if (number >= MMU_REGS) {
        log_printf(LOG_GUEST_ERROR, "cpu%u: write of MMU register 0x%x\n",
                   sys->index, number);
        return;
    }
    log_printf(LOG_MMU, "cpu%u: MMU register 0x%02x = 0x%" PRIx64 "\n",
               sys->index, number, value);
    switch (number) {
    case MMU_CR:
        sys->mmu[MMU_CR] = value;
        mmu_select(sys);
        break;
    case MMU_CONT:
        sys->mmu[MMU_CONT] = value & 0xfff;
        mmu_select(sys);
        break;
    case MMU_U_PPTB:
        sys->mmu[number] = value;
        mmu_select(sys);
        break;
    case MMU_OS_PPTB:
    case MMU_OS_VAB:
        /* Hardware would keep stale entries; losing them is allowed. */
        if (sys->mmu[number] != value) {
            sys->mmu[number] = value;
            mmu_flush_all(sys);
        }
        break;
    case MMU_TRAP_POINT:
        sys->mmu[number] =
            value & ~(sys->cpu->isa >= 6 ? UINT64_C(0x3ff) : UINT64_C(0x1ff));
        break;
    default:
        sys->mmu[number] = value;
        break;
    }
}

/* ---- Probes ----------------------------------------------------------------- */

enum {
    PROBE_DISABLED = 58,
    PROBE_PAGE_MISS = 61,
    PROBE_ILLEGAL = 62,
    PROBE_PH_BOUND = 63,
};

static uint64_t probe_error(const MmuResult *result)
{
    unsigned bit = result->fault & FAULT_PAGE_MISS ? PROBE_PAGE_MISS
                   : result->fault & FAULT_PH_BOUND ? PROBE_PH_BOUND
                                                    : PROBE_ILLEGAL;

    return UINT64_C(1) << bit;
}

uint64_t mmu_probe_entry(SysCpu *sys, uint64_t address)
{
    MmuResult result;

    if (!mmu_is_on(sys)) {
        return UINT64_C(1) << PROBE_DISABLED;
    }
    if (!mmu_translate(sys, address, ACCESS_LOAD, true, false, &result)) {
        uint64_t error = probe_error(&result);

        return format_of(sys) == &v6_format
                   ? error | (result.level & 7)
                   : error | (uint64_t)(LEVELS - result.level) << 59;
    }
    unsigned type = result.entry >> V6_MT_SHIFT & 7;

    if (format_of(sys) == &legacy_format) {
        /* The bits of a TLB entry sit where the page table has them. */
        return (result.entry & ~(UINT64_C(0xfffffff) << 12) &
                ~(UINT64_C(0xffff) << 48)) |
               (result.physical & UINT64_C(0xfffffff000));
    }
    return (uint64_t)!!(result.entry & v6_format.writable) << 1 |
           (uint64_t)result.privileged << 2 | 1 << 3 |
           (uint64_t)result.global << 5 |
           (uint64_t)!!(result.entry & v6_format.dirty) << 6 | 1 << 7 |
           (uint64_t)type << 8 | (uint64_t)type << 48 |
           (result.physical & UINT64_C(0xfffffffff000));
}

uint64_t mmu_probe_address(SysCpu *sys, uint64_t address)
{
    MmuResult result;

    if (!mmu_is_on(sys)) {
        return UINT64_C(1) << PROBE_ILLEGAL;
    }
    if (!mmu_translate(sys, address, ACCESS_LOAD, true, false, &result)) {
        return UINT64_C(1) << (result.fault & FAULT_PAGE_MISS
                                   ? PROBE_PAGE_MISS
                                   : PROBE_ILLEGAL);
    }
    return result.physical;
}

/* ---- Special operations (MAS mod 7) ------------------------------------------ */

enum {
    SPECIAL_CACHE_FLUSH = 0,
    SPECIAL_DCACHE_LINE = 1,
    SPECIAL_PAGE_FLUSH = 2,
    SPECIAL_CLEAR_LOCKS = 3,
    SPECIAL_FLUSH = 4,
    SPECIAL_PROBE_ADDRESS = 5,
    SPECIAL_PROBE_ENTRY = 6,
    SPECIAL_AAU = 7,
    SPECIAL_MMU = 8,
    SPECIAL_DTLB = 9,
    SPECIAL_DAM = 13,
    ICACHE_LINE_BYTES = 256,
};

/* Debug register of an address, or NULL: the others of SPECIAL_DAM. */
static uint64_t *debug_reg(SysCpu *sys, uint64_t address)
{
    unsigned number = address >> 5 & 0xf;

    return (address & 7) == 7 && number < MMU_DEBUG_REGS
               ? &sys->debug_regs[number] : NULL;
}

static void write_debug_reg(SysCpu *sys, uint64_t address, uint64_t value)
{
    uint64_t *reg = debug_reg(sys, address);

    if (reg) {
        *reg = value;
        debug_traps_changed(sys);
    }
}

static unsigned reg_number(uint64_t address)
{
    return (address >> 4) & 0xff;
}

Exception mmu_special_load(SysCpu *sys, uint64_t address, unsigned mas,
                           uint64_t *value)
{
    *value = 0;
    if (!(sys->cpu->psr & PSR_PM)) {
        return EXC_PRIV_ACTION;
    }
    switch (mas >> 3) {
    case SPECIAL_PROBE_ADDRESS:
        *value = mmu_probe_address(sys, address);
        break;
    case SPECIAL_PROBE_ENTRY:
        *value = mmu_probe_entry(sys, address);
        break;
    case SPECIAL_MMU:
        *value = mmu_read_reg(sys, reg_number(address));
        break;
    case SPECIAL_DAM: {
        const uint64_t *reg = debug_reg(sys, address);

        *value = reg ? *reg : 0;
        break;
    }
    default: /* cache and TLB registers: all zero */
        break;
    }
    return EXC_NONE;
}

static void flush_icache(SysCpu *sys)
{
    engine_invalidate(0, ~UINT64_C(0));
}

static void flush_code_line(SysCpu *sys, uint64_t address)
{
    sys->cpu->ops->flush_code(sys->cpu,
                              address & ~(uint64_t)(ICACHE_LINE_BYTES - 1),
                              ICACHE_LINE_BYTES);
}

static void flush_by_page_op(SysCpu *sys, uint64_t address, uint64_t value)
{
    uint64_t va = value & ((UINT64_C(1) << VA_BITS) - 1);

    switch (address & 7) {
    case 0:
    case 2:
        flush_code_line(sys, va);
        break;
    default: /* TLB page, with or without the walk cache */
        mmu_flush_page(sys, va, (value >> 50) & 0xfff);
        break;
    }
}

Exception mmu_special_store(SysCpu *sys, uint64_t address, unsigned mas,
                            uint64_t value)
{
    unsigned op = mas >> 3;
    bool privileged = sys->cpu->psr & PSR_PM;

    /* Line flushes are for everybody. */
    if (!privileged && op != SPECIAL_DCACHE_LINE &&
        !(op == SPECIAL_PAGE_FLUSH && (address & 7) == 0)) {
        return EXC_PRIV_ACTION;
    }
    switch (op) {
    case SPECIAL_PAGE_FLUSH:
        flush_by_page_op(sys, address, value);
        break;
    case SPECIAL_FLUSH:
        if ((address & 7) == 0) {
            flush_icache(sys);
        } else {
            mmu_flush_all(sys);
        }
        break;
    case SPECIAL_MMU:
        mmu_write_reg(sys, reg_number(address), value);
        break;
    case SPECIAL_DAM:
        write_debug_reg(sys, address, value);
        break;
    default: /* data caches are coherent; other registers are not there */
        break;
    }
    return EXC_NONE;
}
