/*
 * A step of a CPU that tells of every access to memory.
 */
#ifndef TARGET_E2K_WATCH_H
#define TARGET_E2K_WATCH_H

#include "target-e2k/exec.h"

typedef void CpuWatcher(E2kCpu *cpu, uint64_t address, uint64_t size_bytes,
                        bool store);

/* cpu_step(), with a call for each access, before it is made. */
CpuExit cpu_step_watched(E2kCpu *cpu, CpuWatcher *watcher);

#endif
