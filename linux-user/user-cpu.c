/*
 * The memory and the state registers of a user-mode CPU (its CpuOps).
 *
 * Guest addresses are host addresses; every access here goes through the
 * fault-tolerant accessors, so a bad pointer becomes a guest exception.
 * Engines make plain accesses themselves (cpu->direct_memory) and come here
 * for the rest.
 */
#include "linux-user/process.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "tcg/host-access.h"

static Exception data_fault(E2kCpu *cpu, uint64_t address, unsigned size_bytes,
                            AccessKind kind)
{
    UserThread *thread = cpu->opaque;

    cpu->fault.address = address;
    cpu->fault.size_bytes = size_bytes;
    cpu->fault.kind = kind;
    cpu->fault.present =
        address_map_prot(thread->process->map, address) >= 0;
    return EXC_DATA_PAGE;
}

static bool in_user_space(uint64_t address, unsigned size_bytes)
{
    return address < USER_LIMIT && size_bytes <= USER_LIMIT - address;
}

static Exception user_load(E2kCpu *cpu, uint64_t address, unsigned size_bytes,
                           unsigned mas, bool speculative, void *value)
{
    if (!in_user_space(address, size_bytes) ||
        !host_load(address, size_bytes, value)) {
        return data_fault(cpu, address, size_bytes, ACCESS_LOAD);
    }
    return EXC_NONE;
}

static Exception user_store(E2kCpu *cpu, uint64_t address, unsigned size_bytes,
                            unsigned mas, const void *value)
{
    if (!in_user_space(address, size_bytes) ||
        !host_store(address, size_bytes, value)) {
        return data_fault(cpu, address, size_bytes, ACCESS_STORE);
    }
    return EXC_NONE;
}

static Exception user_probe(E2kCpu *cpu, uint64_t address, unsigned size_bytes,
                            AccessKind kind)
{
    UserThread *thread = cpu->opaque;
    int want = kind == ACCESS_STORE ? PROT_WRITE
             : kind == ACCESS_FETCH ? PROT_EXEC : PROT_READ;
    uint64_t last = address + size_bytes - 1;

    for (uint64_t at = address; size_bytes; at = last) {
        int prot = in_user_space(at, 1)
                       ? address_map_prot(thread->process->map, at) : -1;

        if (prot < 0 || !(prot & want)) {
            return data_fault(cpu, at, size_bytes, kind);
        }
        if ((at ^ last) < USER_PAGE || at == last) {
            break;
        }
    }
    return EXC_NONE;
}

static Exception user_cmpxchg(E2kCpu *cpu, uint64_t address,
                              unsigned size_bytes, const void *expected,
                              const void *value, bool *swapped)
{
    if (!in_user_space(address, size_bytes)) {
        return data_fault(cpu, address, size_bytes, ACCESS_STORE);
    }
    if (address & (size_bytes - 1) & 15) {
        cpu->fault.address = address;
        return EXC_ADDR_NOT_ALIGNED;
    }
    if (!host_cmpxchg(address, size_bytes, expected, value, swapped)) {
        return data_fault(cpu, address, size_bytes, ACCESS_STORE);
    }
    return EXC_NONE;
}

static Exception user_fetch(E2kCpu *cpu, uint64_t address, uint8_t bytes[64],
                            unsigned *got)
{
    UserThread *thread = cpu->opaque;
    unsigned size = 0;

    while (size < 64) {
        uint64_t at = address + size;
        unsigned part = MIN(64 - size, USER_PAGE - (at & (USER_PAGE - 1)));
        int prot = in_user_space(at, part)
                       ? address_map_prot(thread->process->map, at) : -1;

        if (prot >= 0 && (prot & PROT_EXEC) && (prot & PROT_WRITE)) {
            address_map_watch_code(thread->process->map, at);
        }
        if (prot < 0 || !(prot & PROT_EXEC) ||
            !host_copy_from(bytes + size, at, part)) {
            if (size >= 8) {
                break;
            }
            cpu->fault.address = at;
            cpu->fault.size_bytes = 8;
            cpu->fault.kind = ACCESS_FETCH;
            cpu->fault.present = prot >= 0;
            return prot >= 0 ? EXC_INSTR_PAGE_PROT : EXC_INSTR_PAGE_MISS;
        }
        size += part;
    }
    *got = size;
    return EXC_NONE;
}

enum {
    STATE_CLKR = 0x90,
    STATE_SCLKR = 0x92,
};

static Exception user_read_state(E2kCpu *cpu, unsigned number, uint64_t *value)
{
    struct timespec now;

    switch (number) {
    case STATE_CLKR:
        /* A 1 GHz core clock: programs only look at differences. */
        clock_gettime(CLOCK_MONOTONIC, &now);
        *value = now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
        return EXC_NONE;
    case STATE_SCLKR:
        /* Seconds in the upper half, nanoseconds in the lower. */
        clock_gettime(CLOCK_REALTIME, &now);
        *value = (uint64_t)now.tv_sec << 32 | (uint32_t)now.tv_nsec;
        return EXC_NONE;
    default:
        *value = cpu->state[number & 0xff];
        return EXC_NONE;
    }
}

static Exception user_write_state(E2kCpu *cpu, unsigned number, uint64_t value)
{
    cpu->state[number & 0xff] = value;
    return EXC_NONE;
}

static void user_flush_code(E2kCpu *cpu, uint64_t address, uint64_t size_bytes)
{
    engine_invalidate(address, size_bytes);
}

const CpuOps user_cpu_ops = {
    .load = user_load,
    .store = user_store,
    .probe = user_probe,
    .cmpxchg = user_cmpxchg,
    .fetch = user_fetch,
    .read_state = user_read_state,
    .write_state = user_write_state,
    .flush_code = user_flush_code,
};
