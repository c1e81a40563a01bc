/*
 * Watched steps: the CPU's accesses go through functions that look first; see
 * watch.h.  One step at a time in a thread.
 */
#include "target-e2k/watch.h"

static __thread struct {
    const CpuOps *ops;
    CpuWatcher *watcher;
} watch;

enum {
    MAS_MOD = 7,
    MOD_PHYSICAL = 1,
    MOD_SPECIAL = 7,
};

bool watched_access_is_special(const WatchedAccess *access)
{
    unsigned mod = access->mas & MAS_MOD;

    return mod == MOD_PHYSICAL || (mod == MOD_SPECIAL && access->mas >> 3);
}

static Exception tell(E2kCpu *cpu, Exception e, const WatchedAccess *access)
{
    if (e == EXC_NONE) {
        watch.watcher(cpu, access);
    }
    return e;
}

static Exception watching_load(E2kCpu *cpu, uint64_t address, unsigned size,
                               unsigned mas, bool speculative, void *value)
{
    const WatchedAccess access = { address, size, mas, false, speculative,
                                   cpu->array_access };

    return tell(cpu, watch.ops->load(cpu, address, size, mas, speculative,
                                     value), &access);
}

static Exception watching_store(E2kCpu *cpu, uint64_t address, unsigned size,
                                unsigned mas, const void *value)
{
    const WatchedAccess access = { address, size, mas, true, false, false };

    return tell(cpu, watch.ops->store(cpu, address, size, mas, value),
                &access);
}

static Exception watching_cmpxchg(E2kCpu *cpu, uint64_t address, unsigned size,
                                  const void *expected, const void *value,
                                  bool *swapped)
{
    const WatchedAccess access = { address, size, 0, true, false, false };

    return tell(cpu, watch.ops->cmpxchg(cpu, address, size, expected, value,
                                        swapped), &access);
}

CpuExit cpu_step_watched(E2kCpu *cpu, CpuWatcher *watcher)
{
    CpuOps ops = *cpu->ops;
    bool direct = cpu->direct_memory;
    CpuExit exit;

    watch.ops = cpu->ops;
    watch.watcher = watcher;
    ops.load = watching_load;
    ops.store = watching_store;
    ops.cmpxchg = watching_cmpxchg;
    cpu->ops = &ops;
    cpu->direct_memory = false;
    exit = cpu_step(cpu);
    cpu->ops = watch.ops;
    cpu->direct_memory = direct;
    return exit;
}
