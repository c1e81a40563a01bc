/*
 * -d interp: counts of what the interpreter executes while the translator
 * runs.  Private to target-e2k but for engine_report().
 */
#ifndef TARGET_E2K_JIT_COUNT_H
#define TARGET_E2K_JIT_COUNT_H

#include "target-e2k/cpu.h"

typedef enum JitReason {
    JIT_NO_REGION,
    JIT_NOT_TRANSLATED,
    JIT_ENTRY_TEST,
    JIT_FAULT,
    JIT_RESUME,
    JIT_NO_ROOM,
    JIT_LAST_WISH,
} JitReason;

/* The bundle at cpu->ip is about to be interpreted. */
void jit_count(E2kCpu *cpu, JitReason reason);
/* Writes the table to the log, once. */
void jit_count_report(void);

/* Around fork(): holds the counters' lock, or lets it go. */
void jit_count_fork(bool begin);

#endif
