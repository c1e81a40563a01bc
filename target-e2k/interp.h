/*
 * The reference interpreter as exec.c and the other engine see it.
 */
#ifndef TARGET_E2K_INTERP_H
#define TARGET_E2K_INTERP_H

#include "target-e2k/bundle.h"
#include "target-e2k/exec.h"

/* cpu_run() of ENGINE_INTERP. */
CpuExit interp_run(E2kCpu *cpu);

/*
 * One bundle, or the rest of a late exception's; CPU_EXIT_DEBUG when it is
 * done and nothing else is to be reported.
 */
CpuExit interp_step(E2kCpu *cpu);

/* Drops the decoded bundles of all CPUs before they are used again. */
void interp_invalidate(uint64_t address, uint64_t size_bytes);

void interp_cpu_free(E2kCpu *cpu);

/* Is the operation executed, or left as an illegal opcode? */
bool interp_has(InsnId insn);

#endif
