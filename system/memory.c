/*
 * Memory accesses of a CPU: the CpuOps that move bytes.
 *
 *   address --TLB hit--> host memory
 *      \----miss--> translate --RAM----> fill the TLB, host memory
 *                       \     --device-> physmem_io_read/write
 *                        \----fault----> EXC_DATA_PAGE, details in sys->fault
 *
 * An access that crosses a page is made in two parts, both checked before
 * either is made.  Aligned accesses up to 8 bytes are single host accesses,
 * so guest CPUs see each other's stores whole.
 */
#include "system/sys-cpu.h"

#include <inttypes.h>
#include <string.h>

#include "system/code-space.h"
#include "system/tag-memory.h"
#include "target-e2k/bundle.h"
#include "target-e2k/exec.h"
#include "util/bytes.h"
#include "util/log.h"

enum {
    MAS_MOD = 7,
    MOD_PHYSICAL = 1,
    MOD_SPECIAL = 7,
};

static inline void copy_small(void *to, const void *from, unsigned size)
{
    switch (size) {
    case 1:
        memcpy(to, from, 1);
        break;
    case 2:
        memcpy(to, from, 2);
        break;
    case 4:
        memcpy(to, from, 4);
        break;
    case 8:
        memcpy(to, from, 8);
        break;
    default:
        memcpy(to, from, size);
        break;
    }
}

static Exception data_fault(SysCpu *sys, uint64_t address, unsigned size,
                            AccessKind kind, const MmuResult *result)
{
    E2kCpu *cpu = sys->cpu;

    sys->fault.fault_type = result->fault;
    sys->fault.miss_level = result->level;
    cpu->fault.address = address;
    cpu->fault.size_bytes = size;
    cpu->fault.kind = kind;
    cpu->fault.present =
        !(result->fault & (FAULT_PAGE_MISS | FAULT_ILLEGAL_PAGE));
    cpu->fault.demand = result->fault == FAULT_PAGE_MISS;
    if (sys->quiet_faults) {
        return EXC_DATA_PAGE;
    }
    log_printf(LOG_MMU, "cpu%u: %s of 0x%" PRIx64 " at ip 0x%" PRIx64
               " faults: type 0x%x level %u\n",
               sys->index, kind == ACCESS_STORE ? "store" : "load", address,
               cpu->ip, result->fault, result->level);
    return EXC_DATA_PAGE;
}

/*
 * May stores to the page go unseen from now on?  PHYS_PAGE_OPEN is set before
 * the answer is used, and whoever begins to watch the page looks at it after
 * setting its own flag: one of the two sees the other.
 */
static bool open_page(SysCpu *sys, const uint8_t *host)
{
    uint8_t *flags = physmem_page_flags(sys->machine->mem, host);
    uint8_t now = __atomic_load_n(flags, __ATOMIC_RELAXED);

    if (!(now & PHYS_PAGE_OPEN) && !(now & ~PHYS_PAGE_OPEN)) {
        now = __atomic_fetch_or(flags, PHYS_PAGE_OPEN, __ATOMIC_SEQ_CST);
    }
    return !(now & ~PHYS_PAGE_OPEN);
}

/* Remembers a translation to RAM.  physical, host: of the page's start. */
static void fill_tlb(SysCpu *sys, uint64_t address, uint8_t *host,
                     bool writable, bool privileged)
{
    SoftTlb *tlb = &sys->context->tlb[!!(sys->cpu->psr & PSR_PM)];
    SoftTlbEntry *entry = soft_tlb_entry(tlb, address);
    uint64_t page = address & SOFT_TLB_PAGE_MASK;

    entry->host = (uintptr_t)host - page;
    entry->read = page;
    entry->write = writable && open_page(sys, host) ? page : SOFT_TLB_NONE;
    sys->tlb_fills++;
}

/*
 * Where [address, + size) is, which must not cross a page: a host pointer, or
 * NULL with *physical of a device.
 */
static Exception locate(SysCpu *sys, uint64_t address, unsigned size,
                        AccessKind kind, uint8_t **host, uint64_t *physical)
{
    bool privileged = sys->cpu->psr & PSR_PM;
    MmuResult result;

    if (!mmu_translate(sys, address, kind, privileged, true, &result)) {
        return data_fault(sys, address, size, kind, &result);
    }
    *physical = result.physical;
    uint8_t *page =
        physmem_host(sys->machine->mem,
                     result.physical & ~(uint64_t)(PHYS_PAGE_BYTES - 1),
                     PHYS_PAGE_BYTES);

    *host = page ? page + (result.physical & (PHYS_PAGE_BYTES - 1)) : NULL;
    if (page) {
        fill_tlb(sys, address, page, result.writable, result.privileged);
        mmu_note_page_size(sys, result.page_bytes);
    }
    return EXC_NONE;
}

static void io_read(SysCpu *sys, uint64_t physical, unsigned size, void *to)
{
    uint8_t bytes[16];

    for (unsigned at = 0; at < size; at += 8) {
        unsigned n = MIN(size - at, 8);

        stq_le_p(bytes + at,
                 physmem_io_read(sys->machine->mem, physical + at, n));
    }
    memcpy(to, bytes, size);
}

static void io_write(SysCpu *sys, uint64_t physical, unsigned size,
                     const void *from)
{
    uint8_t bytes[16] = { 0 };

    memcpy(bytes, from, size);
    for (unsigned at = 0; at < size; at += 8) {
        unsigned n = MIN(size - at, 8);

        physmem_io_write(sys->machine->mem, physical + at, n,
                         ldq_le_p(bytes + at));
    }
}

/* Both parts of an access that may cross a page. */
typedef struct Span {
    unsigned n;
    struct {
        uint8_t *host;
        uint64_t physical;
        unsigned size;
    } part[2];
} Span;

static Exception locate_span(SysCpu *sys, uint64_t address, unsigned size,
                             AccessKind kind, Span *span)
{
    unsigned first = PHYS_PAGE_BYTES - (address & (PHYS_PAGE_BYTES - 1));

    span->n = 0;
    for (unsigned done = 0; done < size; span->n++) {
        unsigned n = MIN(size - done, span->n ? size : first);
        Exception e = locate(sys, address + done, n, kind,
                             &span->part[span->n].host,
                             &span->part[span->n].physical);

        if (e != EXC_NONE) {
            return e;
        }
        span->part[span->n].size = n;
        done += n;
    }
    return EXC_NONE;
}

static Exception load_slow(SysCpu *sys, uint64_t address, unsigned size,
                           void *value)
{
    Span span;
    uint8_t *to = value;
    Exception e = locate_span(sys, address, size, ACCESS_LOAD, &span);

    for (unsigned i = 0; e == EXC_NONE && i < span.n; i++) {
        if (span.part[i].host) {
            copy_small(to, span.part[i].host, span.part[i].size);
        } else {
            io_read(sys, span.part[i].physical, span.part[i].size, to);
        }
        to += span.part[i].size;
    }
    return e;
}

static Exception store_slow(SysCpu *sys, uint64_t address, unsigned size,
                            const void *value)
{
    Span span;
    const uint8_t *from = value;
    Exception e = locate_span(sys, address, size, ACCESS_STORE, &span);

    for (unsigned i = 0; e == EXC_NONE && i < span.n; i++) {
        if (span.part[i].host) {
            copy_small(span.part[i].host, from, span.part[i].size);
            physmem_written(sys->machine->mem, span.part[i].host,
                            span.part[i].size);
        } else {
            io_write(sys, span.part[i].physical, span.part[i].size, from);
        }
        from += span.part[i].size;
    }
    return e;
}

/* MAS mod 1: bypasses translation. */
static Exception load_physical(SysCpu *sys, uint64_t address, unsigned size,
                               void *value)
{
    if (!(sys->cpu->psr & PSR_PM)) {
        return EXC_PRIV_ACTION;
    }
    if (!physmem_read(sys->machine->mem, address, value, size)) {
        io_read(sys, address, size, value);
    }
    return EXC_NONE;
}

static Exception store_physical(SysCpu *sys, uint64_t address, unsigned size,
                                const void *value)
{
    if (!(sys->cpu->psr & PSR_PM)) {
        return EXC_PRIV_ACTION;
    }
    if (!physmem_write(sys->machine->mem, address, value, size)) {
        io_write(sys, address, size, value);
    }
    return EXC_NONE;
}

static inline SoftTlb *current_tlb(SysCpu *sys)
{
    return &sys->context->tlb[sys->cpu->psr & PSR_PM];
}

static Exception op_load(E2kCpu *cpu, uint64_t address, unsigned size,
                         unsigned mas, bool speculative, void *value)
{
    SysCpu *sys = cpu->opaque;

    if (G_UNLIKELY((mas & MAS_MOD) == MOD_PHYSICAL)) {
        return load_physical(sys, address, size, value);
    }
    if (G_UNLIKELY((mas & MAS_MOD) == MOD_SPECIAL && mas >> 3)) {
        uint64_t word;
        Exception e = mmu_special_load(sys, address, mas, &word);

        memset(value, 0, size);
        memcpy(value, &word, MIN(size, 8));
        return e;
    }
    SoftTlbEntry *entry = soft_tlb_entry(current_tlb(sys), address);

    if (G_LIKELY(((address + size - 1) & SOFT_TLB_PAGE_MASK) == entry->read)) {
        copy_small(value, (const void *)(entry->host + address), size);
        return EXC_NONE;
    }
    return load_slow(sys, address, size, value);
}

static Exception op_store(E2kCpu *cpu, uint64_t address, unsigned size,
                          unsigned mas, const void *value)
{
    SysCpu *sys = cpu->opaque;

    if (G_UNLIKELY((mas & MAS_MOD) == MOD_PHYSICAL)) {
        return store_physical(sys, address, size, value);
    }
    if (G_UNLIKELY((mas & MAS_MOD) == MOD_SPECIAL)) {
        uint64_t word = 0;

        memcpy(&word, value, MIN(size, 8));
        return mmu_special_store(sys, address, mas, word);
    }
    SoftTlbEntry *entry = soft_tlb_entry(current_tlb(sys), address);

    if (G_LIKELY(((address + size - 1) & SOFT_TLB_PAGE_MASK) ==
                 entry->write)) {
        copy_small((void *)(entry->host + address), value, size);
        return EXC_NONE;
    }
    return store_slow(sys, address, size, value);
}

static Exception op_probe(E2kCpu *cpu, uint64_t address, unsigned size,
                          AccessKind kind)
{
    SysCpu *sys = cpu->opaque;
    Span span;

    if (kind == ACCESS_ARRAY) {
        kind = ACCESS_LOAD;
    }
    const SoftTlbEntry *entry = soft_tlb_entry(current_tlb(sys), address);
    uint64_t last = (address + size - 1) & SOFT_TLB_PAGE_MASK;

    if (last == (kind == ACCESS_STORE ? entry->write : entry->read)) {
        return EXC_NONE;
    }
    return locate_span(sys, address, size, kind, &span);
}

/* Unaligned and device read-modify-writes; aligned ones are host atomics. */
static GMutex slow_atomic_lock;

static Exception cmpxchg_slow(SysCpu *sys, uint64_t address, unsigned size,
                              const void *expected, const void *value,
                              bool *swapped)
{
    uint8_t now[16];

    g_mutex_lock(&slow_atomic_lock);
    Exception e = load_slow(sys, address, size, now);

    *swapped = e == EXC_NONE && !memcmp(now, expected, size);
    if (*swapped) {
        e = store_slow(sys, address, size, value);
    }
    g_mutex_unlock(&slow_atomic_lock);
    return e;
}

static bool cas16(void *at, const void *expected, const void *value)
{
#if defined(__x86_64__)
    uint64_t old_lo = ldq_le_p(expected);
    uint64_t old_hi = ldq_le_p((const uint8_t *)expected + 8);
    bool swapped;

    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(swapped), "+m"(*(unsigned __int128 *)at),
                       "+a"(old_lo), "+d"(old_hi)
                     : "b"(ldq_le_p(value)),
                       "c"(ldq_le_p((const uint8_t *)value + 8))
                     : "memory");
    return swapped;
#else
    bool swapped;

    g_mutex_lock(&slow_atomic_lock);
    swapped = !memcmp(at, expected, 16);
    if (swapped) {
        memcpy(at, value, 16);
    }
    g_mutex_unlock(&slow_atomic_lock);
    return swapped;
#endif
}

#define CAS(type, at, expected, value)                                         \
    ({                                                                         \
        type old_, new_;                                                       \
        memcpy(&old_, (expected), sizeof(old_));                               \
        memcpy(&new_, (value), sizeof(new_));                                  \
        __atomic_compare_exchange_n((type *)(at), &old_, new_, false,          \
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);       \
    })

static Exception op_cmpxchg(E2kCpu *cpu, uint64_t address, unsigned size,
                            const void *expected, const void *value,
                            bool *swapped)
{
    SysCpu *sys = cpu->opaque;
    Span span;

    *swapped = false;
    Exception e = locate_span(sys, address, size, ACCESS_STORE, &span);

    if (e != EXC_NONE) {
        return e;
    }
    uint8_t *at = span.part[0].host;

    if (!at || span.n > 1 || address % size) {
        return cmpxchg_slow(sys, address, size, expected, value, swapped);
    }
    switch (size) {
    case 1:
        *swapped = CAS(uint8_t, at, expected, value);
        break;
    case 2:
        *swapped = CAS(uint16_t, at, expected, value);
        break;
    case 4:
        *swapped = CAS(uint32_t, at, expected, value);
        break;
    case 8:
        *swapped = CAS(uint64_t, at, expected, value);
        break;
    default:
        *swapped = cas16(at, expected, value);
        break;
    }
    if (*swapped) {
        physmem_written(sys->machine->mem, at, size);
    }
    return EXC_NONE;
}

/* ---- Code -------------------------------------------------------------------- */

/* The code at address: host pointer to that byte and size of the MMU's page, or
 * an exception. */
static Exception locate_code(SysCpu *sys, uint64_t address,
                             const uint8_t **host, uint64_t *physical,
                             uint64_t *page_bytes)
{
    E2kCpu *cpu = sys->cpu;
    MmuResult result;

    if (!mmu_translate(sys, address, ACCESS_FETCH, cpu->psr & PSR_PM, true,
                       &result)) {
        bool miss = result.fault & FAULT_PAGE_MISS;

        sys->fault.fault_type = result.fault;
        sys->fault.miss_level = result.level;
        cpu->fault.address = address;
        cpu->fault.size_bytes = 8;
        cpu->fault.kind = ACCESS_FETCH;
        cpu->fault.present = !miss;
        return miss ? EXC_INSTR_PAGE_MISS : EXC_INSTR_PAGE_PROT;
    }
    uint64_t left = PHYS_PAGE_BYTES - (address & (PHYS_PAGE_BYTES - 1));

    *physical = result.physical;
    *page_bytes = result.page_bytes;
    *host = physmem_host(sys->machine->mem, result.physical, left);
    return *host ? EXC_NONE : EXC_INSTR_PAGE_PROT;
}

static void mark_code(SysCpu *sys, const uint8_t *host)
{
    Machine *machine = sys->machine;
    uint8_t *flags = physmem_page_flags(machine->mem, host);

    if (__atomic_load_n(flags, __ATOMIC_RELAXED) & PHYS_PAGE_CODE) {
        return;
    }
    if (__atomic_fetch_or(flags, PHYS_PAGE_CODE, __ATOMIC_SEQ_CST) &
        PHYS_PAGE_OPEN) {
        /* Stores to the page must take the slow path from now on.  Other
         * CPUs may go on writing for a moment: the architecture has software
         * flush instruction caches after it has written code. */
        mmu_forget_writable(sys);
        mmu_forget_writable_elsewhere(sys);
    }
}

static Exception op_fetch(E2kCpu *cpu, uint64_t address, uint8_t bytes[64],
                          unsigned *got)
{
    SysCpu *sys = cpu->opaque;
    const uint8_t *host;
    uint64_t physical, page_bytes;
    Exception e = locate_code(sys, address, &host, &physical, &page_bytes);

    *got = 0;
    if (e != EXC_NONE) {
        return e;
    }
    unsigned first = PHYS_PAGE_BYTES - (address & (PHYS_PAGE_BYTES - 1));
    unsigned n = MIN(first, BUNDLE_MAX_BYTES);

    mark_code(sys, host);
    memcpy(bytes, host, n);
    if (n < BUNDLE_MAX_BYTES &&
        locate_code(sys, address + n, &host, &physical, &page_bytes) ==
            EXC_NONE) {
        mark_code(sys, host);
        memcpy(bytes + n, host, BUNDLE_MAX_BYTES - n);
        n = BUNDLE_MAX_BYTES;
    }
    *got = n;
    /* Not an instruction of the architecture: trap_exception() knows it. */
    return sys->machine->lms && sys_is_lms_stop(bytes) ? EXC_ILLEGAL_OPCODE
                                                       : EXC_NONE;
}

static bool op_code_address(E2kCpu *cpu, uint64_t address, uint64_t *physical)
{
    const uint8_t *host;
    uint64_t page_bytes;

    if (locate_code(cpu->opaque, address, &host, physical, &page_bytes) !=
        EXC_NONE) {
        return false;
    }
    SysCpu *sys = cpu->opaque;

    code_space_note(sys, address, *physical, page_bytes);
    *physical = physmem_code_address(sys->machine->mem, host);
    return true;
}

static bool op_fill_tlb(E2kCpu *cpu, uint64_t address)
{
    SysCpu *sys = cpu->opaque;
    uint8_t *host;
    uint64_t physical;

    sys->quiet_faults = true;
    Exception e = locate(sys, address, 1, ACCESS_LOAD, &host, &physical);

    sys->quiet_faults = false;
    return e == EXC_NONE && host;
}

/* A miss in generated code's TLB. */
static bool op_slow_access(E2kCpu *cpu, uint64_t address, unsigned size,
                           bool store, void *value)
{
    SysCpu *sys = cpu->opaque;
    uint8_t *at = value;
    Span span;

    sys->quiet_faults = true;
    Exception e = locate_span(sys, address, size,
                              store ? ACCESS_STORE : ACCESS_LOAD, &span);

    sys->quiet_faults = false;
    for (unsigned i = 0; e == EXC_NONE && i < span.n; i++) {
        if (!span.part[i].host) {
            return false;
        }
    }
    for (unsigned i = 0; e == EXC_NONE && i < span.n; i++) {
        if (store) {
            copy_small(span.part[i].host, at, span.part[i].size);
            physmem_written(sys->machine->mem, span.part[i].host,
                            span.part[i].size);
        } else {
            copy_small(at, span.part[i].host, span.part[i].size);
        }
        at += span.part[i].size;
    }
    return e == EXC_NONE;
}

static void op_flush_code(E2kCpu *cpu, uint64_t address, uint64_t size)
{
    SysCpu *sys = cpu->opaque;
    MmuResult result;

    if (mmu_translate(sys, address, ACCESS_LOAD, true, false, &result)) {
        const void *host =
            physmem_host(sys->machine->mem, result.physical, size);

        if (host) {
            engine_invalidate(physmem_code_address(sys->machine->mem, host),
                              size);
        }
    }
}

/* ---- The rest ------------------------------------------------------------------ */

enum {
    WAIT_TRAP = 1 << 6,
};

static Exception op_wait(E2kCpu *cpu, unsigned bits)
{
    if (bits & WAIT_TRAP) {
        if (!(cpu->psr & PSR_PM)) {
            return EXC_NONE; /* user code may not stop the CPU */
        }
        sys_cpu_halt(cpu->opaque);
    }
    return EXC_NONE;
}

static void op_memory_tags(E2kCpu *cpu, uint64_t address, uint8_t *tags,
                           unsigned n, bool store)
{
    if (store) {
        tag_memory_set(cpu->opaque, address, tags, n);
    } else {
        tag_memory_get(cpu->opaque, address, tags, n);
    }
}

static void op_state_changed(E2kCpu *cpu)
{
    SysCpu *sys = cpu->opaque;

    mmu_update_epoch(sys);
    if (trap_interrupt_allowed(sys)) {
        cpu_request_stop(cpu);
    }
}

static bool access_bytes(SysCpu *sys, uint64_t address, void *buffer,
                         size_t size, bool store)
{
    E2kCpu *cpu = sys->cpu;
    uint8_t psr = cpu->psr;
    uint8_t *bytes = buffer;
    Exception e = EXC_NONE;

    cpu->psr |= PSR_PM;
    while (size && e == EXC_NONE) {
        unsigned n = MIN(size, 8);

        e = store ? store_slow(sys, address, n, bytes)
                  : load_slow(sys, address, n, bytes);
        address += n;
        bytes += n;
        size -= n;
    }
    cpu->psr = psr;
    return e == EXC_NONE;
}

bool sys_memory_read(SysCpu *sys, uint64_t address, void *to, size_t size)
{
    return access_bytes(sys, address, to, size, false);
}

bool sys_memory_write(SysCpu *sys, uint64_t address, const void *from,
                      size_t size)
{
    return access_bytes(sys, address, (void *)from, size, true);
}

bool sys_memory_peek(SysCpu *sys, uint64_t address, void *to, size_t size)
{
    uint8_t *at = to;

    while (size) {
        size_t n = MIN(size, PHYS_PAGE_BYTES -
                                 (address & (PHYS_PAGE_BYTES - 1)));
        MmuResult result;

        if (!mmu_translate(sys, address, ACCESS_LOAD, true, false, &result) ||
            !physmem_read(sys->machine->mem, result.physical, at, n)) {
            return false;
        }
        address += n;
        at += n;
        size -= n;
    }
    return true;
}

const CpuOps sys_cpu_ops = {
    .load = op_load,
    .store = op_store,
    .probe = op_probe,
    .cmpxchg = op_cmpxchg,
    .fetch = op_fetch,
    .read_state = state_regs_read,
    .write_state = state_regs_write,
    .flush_code = op_flush_code,
    .spill = stacks_spill,
    .fill = stacks_fill,
    .flush = stacks_flush,
    .code_address = op_code_address,
    .fill_tlb = op_fill_tlb,
    .slow_access = op_slow_access,
    .memory_tags = op_memory_tags,
    .system_call = trap_system_call,
    .done = trap_done,
    .wait = op_wait,
    .state_changed = op_state_changed,
};
