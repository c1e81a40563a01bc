/*
 * Engine selection: exec.h's functions dispatch to the interpreter or to the
 * translator.  The engine is chosen once, before the first CPU runs.
 */
#include "target-e2k/exec.h"

#include "tcg/host-access.h"
#include "target-e2k/interp.h"
#include "target-e2k/jit.h"
#include "target-e2k/jit-count.h"

static EngineKind current = ENGINE_INTERP;

bool engine_init(EngineKind kind, const EngineConfig *config, GError **error)
{
#ifdef E2K_HAVE_JIT
    if (kind == ENGINE_JIT && !jit_init(config, error)) {
        return false;
    }
#else
    if (kind == ENGINE_JIT) {
        g_set_error_literal(error, g_quark_from_static_string("engine"), 0,
                            "This build has no translator");
        return false;
    }
#endif
    current = kind;
    return true;
}

CpuExit cpu_run(E2kCpu *cpu)
{
#ifdef E2K_HAVE_JIT
    if (current == ENGINE_JIT) {
        return jit_run(cpu);
    }
#endif
    return interp_run(cpu);
}

CpuExit cpu_step(E2kCpu *cpu)
{
    return interp_step(cpu);
}

void engine_cpu_free(E2kCpu *cpu)
{
#ifdef E2K_HAVE_JIT
    jit_cpu_free(cpu);
#endif
}

void cpu_request_stop(E2kCpu *cpu)
{
    __atomic_store_n(&cpu->stop_request, 1, __ATOMIC_RELEASE);
    /* Calls in translated code look only at this. */
    __atomic_store_n(&cpu->jit.frame_limit, NULL, __ATOMIC_RELEASE);
}

void engine_invalidate(uint64_t address, uint64_t size_bytes)
{
    interp_invalidate(address, size_bytes);
#ifdef E2K_HAVE_JIT
    jit_invalidate(address, size_bytes);
#endif
}

void engine_fork_begin(void)
{
#ifdef E2K_HAVE_JIT
    jit_fork_begin();
#endif
    jit_count_fork(true);
}

void engine_fork_end(E2kCpu *cpu)
{
    jit_count_fork(false);
#ifdef E2K_HAVE_JIT
    jit_fork_end(cpu);
#endif
}

void engine_report(void)
{
    jit_count_report();
}

bool engine_handle_fault(void *ucontext, uintptr_t host_address, bool write)
{
#ifdef E2K_HAVE_JIT
    if (jit_handle_fault(ucontext, host_address, write)) {
        return true;
    }
#endif
    return host_access_recover(ucontext);
}
