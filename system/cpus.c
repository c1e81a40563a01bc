/*
 * CPU threads: run guest code, take interrupts, sleep while the CPU waits,
 * park while the machine is stopped.
 *
 *            +--------------- parked <-------------+
 *            v  run set                            | run cleared
 *     interrupt pending and allowed? -> trap entry |
 *            v                                     |
 *        cpu_run() --exception--> trap entry ------+
 *            |  \----stop-------------------------/|
 *            +-------halt---> sleep until an input -+
 */
#include "system/debug.h"
#include "system/debug-traps.h"
#include "system/machine-int.h"
#include "system/sys-cpu.h"
#include "target-e2k/exec.h"
#include "util/log.h"

/* Window registers and frames of the emulated files, with room to push trap
 * frames while the files are full. */
enum {
    REG_CAPACITY = 8 * FILE_REGS,
    FRAME_CAPACITY = 256,
};

static __thread SysCpu *current_cpu;

SysCpu *sys_cpu_current(Machine *machine)
{
    return current_cpu ? current_cpu : machine->cpus[0];
}

SysCpu *sys_cpu_new(Machine *machine, const CpuModel *model, unsigned index,
                    GError **error)
{
    SysCpu *sys = g_new0(SysCpu, 1);

    sys->machine = machine;
    sys->index = index;
    sys->ram = physmem_ram(machine->mem);
    g_mutex_init(&sys->halt_lock);
    g_cond_init(&sys->halt_cond);
    sys->cpu = cpu_new(model, &sys_cpu_ops, sys, REG_CAPACITY, FRAME_CAPACITY);
    if (!sys->cpu) {
        g_set_error(error, SYSTEM_ERROR, 0, "no memory for CPU %u", index);
        sys_cpu_free(sys);
        return NULL;
    }
    sys->cpu->system = true;
    sys_cpu_reset(sys);
    return sys;
}

void sys_cpu_free(SysCpu *sys)
{
    if (sys->cpu) {
        cpu_free(sys->cpu);
    }
    g_mutex_clear(&sys->halt_lock);
    g_cond_clear(&sys->halt_cond);
    g_free(sys);
}

void sys_cpu_reset(SysCpu *sys)
{
    E2kCpu *cpu = sys->cpu;

    cpu_reset(cpu);
    cpu->upsr = UPSR_FE;
    cpu->psr = PSR_PM;
    sys->waits_for_startup = false;
    sys->tirs_frozen = false;
    sys->entry_faults = 0;
    sys->step_frames = false;
    sys->stack_fault.pending = false;
    mmu_reset(sys);
}

static void wake(SysCpu *sys)
{
    g_mutex_lock(&sys->halt_lock);
    g_cond_broadcast(&sys->halt_cond);
    g_mutex_unlock(&sys->halt_lock);
}

void sys_cpu_kick(SysCpu *sys)
{
    __atomic_store_n(&sys->kicked, 1, __ATOMIC_SEQ_CST);
    cpu_request_stop(sys->cpu);
    wake(sys);
}

static void set_input(SysCpu *sys, int *input, bool level)
{
    int old = __atomic_exchange_n(input, level, __ATOMIC_SEQ_CST);

    if (level && !old) {
        cpu_request_stop(sys->cpu);
        wake(sys);
    }
}

void sys_cpu_set_irq(SysCpu *sys, bool level)
{
    set_input(sys, &sys->irq, level);
}

void sys_cpu_set_nmi(SysCpu *sys, bool level)
{
    set_input(sys, &sys->nmi, level);
}

void sys_cpu_start(SysCpu *sys, uint64_t ip)
{
    Machine *machine = sys->machine;

    g_mutex_lock(&machine->lock);
    if (sys->waits_for_startup) {
        sys->cpu->ip = ip;
        sys->waits_for_startup = false;
        sys_cpu_kick(sys);
        g_cond_broadcast(&machine->changed);
    }
    g_mutex_unlock(&machine->lock);
}

void sys_cpu_halt(SysCpu *sys)
{
    g_mutex_lock(&sys->halt_lock);
    while (!__atomic_load_n(&sys->irq, __ATOMIC_SEQ_CST) &&
           !__atomic_load_n(&sys->nmi, __ATOMIC_SEQ_CST) &&
           !__atomic_load_n(&sys->kicked, __ATOMIC_SEQ_CST)) {
        g_cond_wait(&sys->halt_cond, &sys->halt_lock);
    }
    g_mutex_unlock(&sys->halt_lock);
}

static void set_parked_locked(SysCpu *sys, bool parked)
{
    Machine *machine = sys->machine;

    if (sys->parked != parked) {
        sys->parked = parked;
        machine->n_parked += parked ? 1 : -1;
        g_cond_broadcast(&machine->changed);
    }
}

/* Parks while the machine is stopped; false when the thread is to end. */
static bool may_run(SysCpu *sys)
{
    Machine *machine = sys->machine;

    g_mutex_lock(&machine->lock);
    while (!machine->exiting && (!machine->run || sys->waits_for_startup ||
                                   debug_holds(sys))) {
        set_parked_locked(sys, true);
        g_cond_wait(&machine->changed, &machine->lock);
    }
    bool run = !machine->exiting;

    set_parked_locked(sys, !run);
    __atomic_store_n(&sys->kicked, 0, __ATOMIC_SEQ_CST);
    g_mutex_unlock(&machine->lock);
    return run;
}

static CpuExit run_engine(SysCpu *sys)
{
    if (__atomic_load_n(&sys->close_pages, __ATOMIC_RELAXED)) {
        __atomic_store_n(&sys->close_pages, 0, __ATOMIC_SEQ_CST);
        mmu_forget_writable(sys);
    }
    if (debug_needs_steps(sys)) {
        return debug_run(sys);
    }
    if (G_UNLIKELY(debug_traps_armed(sys))) {
        CpuExit exit = debug_traps_step(sys, NULL);

        return exit == CPU_EXIT_DEBUG ? CPU_EXIT_STOP : exit;
    }
    return cpu_run(sys->cpu);
}

static void run_once(SysCpu *sys)
{
    switch (run_engine(sys)) {
    case CPU_EXIT_EXCEPTION:
        trap_exception(sys);
        break;
    case CPU_EXIT_HALT:
        sys_cpu_halt(sys);
        break;
    case CPU_EXIT_DEBUG:
        machine_request_stop(sys->machine, RUN_STATE_DEBUG);
        break;
    case CPU_EXIT_STOP:
    case CPU_EXIT_SYSCALL: /* system mode enters through the ops */
        break;
    }
}

static void *cpu_thread(void *opaque)
{
    SysCpu *sys = opaque;

    current_cpu = sys;
    while (may_run(sys)) {
        do {
            trap_interrupt(sys);
            run_once(sys);
        } while (!__atomic_load_n(&sys->kicked, __ATOMIC_SEQ_CST));
    }
    return NULL;
}

void cpus_begin(Machine *machine)
{
    for (unsigned i = 0; i < machine->n_cpus; i++) {
        SysCpu *sys = machine->cpus[i];
        g_autofree char *name = g_strdup_printf("cpu%u", i);

        sys->thread = g_thread_new(name, cpu_thread, sys);
    }
}

void cpus_end(Machine *machine)
{
    g_mutex_lock(&machine->lock);
    machine->exiting = true;
    g_cond_broadcast(&machine->changed);
    g_mutex_unlock(&machine->lock);
    for (unsigned i = 0; i < machine->n_cpus; i++) {
        SysCpu *sys = machine->cpus[i];

        sys_cpu_kick(sys);
        if (sys->thread) {
            g_thread_join(sys->thread);
            sys->thread = NULL;
        }
    }
}
