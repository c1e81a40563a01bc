/*
 * Watched steps: the CPU's accesses go through functions that look first; see
 * watch.h.  One step at a time in a thread.
 */
#include "target-e2k/watch.h"

static __thread struct {
    const CpuOps *ops;
    CpuWatcher *watcher;
} watch;

static Exception watching_load(E2kCpu *cpu, uint64_t address, unsigned size,
                               unsigned mas, bool speculative, void *value)
{
    watch.watcher(cpu, address, size, false);
    return watch.ops->load(cpu, address, size, mas, speculative, value);
}

static Exception watching_store(E2kCpu *cpu, uint64_t address, unsigned size,
                                unsigned mas, const void *value)
{
    watch.watcher(cpu, address, size, true);
    return watch.ops->store(cpu, address, size, mas, value);
}

static Exception watching_cmpxchg(E2kCpu *cpu, uint64_t address, unsigned size,
                                  const void *expected, const void *value,
                                  bool *swapped)
{
    watch.watcher(cpu, address, size, true);
    return watch.ops->cmpxchg(cpu, address, size, expected, value, swapped);
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
