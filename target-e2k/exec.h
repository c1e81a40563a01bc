/*
 * Running guest code: one interface, two engines.
 *
 *   interp  decodes and executes bundle by bundle; the oracle
 *   jit     translates regions to host code
 *
 * A call of cpu_run() executes until something needs the embedder (see
 * CpuExit).  All architectural state is in *cpu between calls, so an embedder
 * may switch engines, look at registers or change them.
 */
#ifndef TARGET_E2K_EXEC_H
#define TARGET_E2K_EXEC_H

#include <stdio.h>

#include "target-e2k/cpu.h"

typedef enum EngineKind {
    ENGINE_INTERP,
    ENGINE_JIT,
} EngineKind;

/* Engine-wide settings; set before the first CPU runs. */
typedef struct EngineConfig {
    size_t code_cache_bytes; /* jit; 0: default */
    unsigned disabled;       /* jit: OPT_... switches, see translate.h */
    bool soft_tlb;           /* jit: plain accesses go through cpu->soft_tlb,
                              * which all CPUs have */
    bool perf_map;           /* jit: write /tmp/perf-PID.map */
    /* Guest addresses with this bit are the embedder's (tcg.h); 0: none. */
    unsigned guest_end_bit;
    bool jitdump;
    unsigned tier_threshold; /* jit: runs until code is translated again; 0:
                              * default */
    bool forks;              /* jit: the process may fork, as programs do */
} EngineConfig;

/* Parses "jit[,OPTION...]" or "interp": the argument of -accel. */
bool engine_parse(const char *text, EngineKind *kind, EngineConfig *config,
                  GError **error);

/* Writes what engine_parse() knows: engines, options, switches. */
void engine_help(FILE *to);

bool engine_init(EngineKind kind, const EngineConfig *config, GError **error);

/* Runs until an exit reason arises. */
CpuExit cpu_run(E2kCpu *cpu);

/*
 * Executes exactly one bundle (in the interpreter, whatever the engine);
 * CPU_EXIT_DEBUG when nothing but the end of the bundle is to be reported.
 */
CpuExit cpu_step(E2kCpu *cpu);

/* Releases what the engines keep for a CPU; called by cpu_free(). */
void engine_cpu_free(E2kCpu *cpu);

/* Makes cpu_run() return CPU_EXIT_STOP soon.  Any thread, signal handlers. */
void cpu_request_stop(E2kCpu *cpu);

/*
 * Guest code in [address, address + size) changed or was unmapped.  Addresses
 * are physical in system mode; space << CODE_SPACE_SHIFT | virtual address
 * names code as one address space sees it.
 */
void engine_invalidate(uint64_t address, uint64_t size_bytes);

/*
 * Around fork(): begin holds the engines' locks, so that no other thread is
 * within a change; end lets them go.  In the child, whose only thread runs
 * cpu, the other CPUs are forgotten (cpu NULL: in the parent).
 */
void engine_fork_begin(void);
void engine_fork_end(E2kCpu *cpu);

/* What a log item asks to be told at the end; for ways out of the process that
 * do not run exit handlers. */
void engine_report(void);

/*
 * For the embedder's SIGSEGV/SIGBUS handler: is the fault at this host context
 * one of ours?  Returns true when the context was changed to a recovery path
 * (the guest fault is reported by cpu_run()).
 */
bool engine_handle_fault(void *ucontext, uintptr_t host_address, bool write);

#endif
