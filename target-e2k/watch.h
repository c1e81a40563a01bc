/*
 * A step of a CPU that tells of every access to memory.
 */
#ifndef TARGET_E2K_WATCH_H
#define TARGET_E2K_WATCH_H

#include "target-e2k/exec.h"

typedef struct WatchedAccess {
    uint64_t address;
    unsigned size_bytes;
    unsigned mas;     /* as CpuOps have it */
    bool store;
    bool speculative;
    bool array;       /* of the array unit */
} WatchedAccess;

typedef void CpuWatcher(E2kCpu *cpu, const WatchedAccess *access);

/* Is the address no virtual one? */
bool watched_access_is_special(const WatchedAccess *access);

/* cpu_step(), with a call for each access that has been made. */
CpuExit cpu_step_watched(E2kCpu *cpu, CpuWatcher *watcher);

#endif
