/*
 * The translating engine as exec.c sees it.
 *
 *   exec.c  --cpu_run(), engine ENGINE_JIT-->  jit_run()
 *
 * jit_run() looks up the region of the current (ip, key), translates it when
 * it is missing or hot enough, and enters host code; host code runs from
 * region to region by itself and comes back only for an event.  The engine
 * falls back to cpu_step() for bundles it cannot or need not translate, so
 * its meaning is the interpreter's wherever it has no opinion of its own.
 *
 * Threading: jit_run() belongs to the CPU's thread; translation is serialised
 * by one lock; jit_invalidate() may come from any thread.
 */
#ifndef TARGET_E2K_JIT_H
#define TARGET_E2K_JIT_H

#include "target-e2k/bundle.h"
#include "target-e2k/exec.h"

bool jit_init(const EngineConfig *config, GError **error);

/* cpu_run() of ENGINE_JIT. */
CpuExit jit_run(E2kCpu *cpu);

/* Releases the engine's private state of one CPU (cpu_free()). */
void jit_cpu_free(E2kCpu *cpu);

/* See engine_fork_begin(). */
void jit_fork_begin(void);
void jit_fork_end(E2kCpu *cpu);

/* engine_invalidate(), engine_handle_fault() of ENGINE_JIT. */
void jit_invalidate(uint64_t address, uint64_t size_bytes);
bool jit_handle_fault(void *ucontext, uintptr_t host_address, bool write);

/*
 * Does the translator compile this operation, rather than hand its bundle to
 * the interpreter?  For the coverage table.
 */
bool trans_has(InsnId insn);

#endif
