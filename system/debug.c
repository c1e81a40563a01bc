/*
 * Breakpoints, watchpoints and steps of a machine; see debug.h.
 *
 *   CPU thread finds a reason --> machine stops --> machine_loop() sees all
 *   CPUs parked --> gdb_stub_stopped() --> debugger --> resume() --> cont
 *
 * A CPU with points or a step to make is run bundle by bundle by the
 * interpreter, with CpuOps that look at every access.  The plan and the
 * points are changed only while the machine is stopped, or under the lock.
 */
#include "system/debug.h"

#include <signal.h>

#include "gdbstub/points.h"
#include "system/debug-regs.h"
#include "system/debug-traps.h"

struct MachineDebug {
    GdbStub *stub;
    GMutex lock;
    GdbResume plan;
    unsigned generation; /* of the plan; counts resumes */
    bool stopping;       /* a reason was found since the last resume */
    GdbPoints points;
    /* Why the machine is stopping. */
    GdbStopReason reason;
    unsigned stopped_cpu;
    int number;
    uint64_t address;
};

static GdbAction action_of(const SysCpu *sys)
{
    const GdbResume *plan = &sys->machine->debug->plan;

    return plan->thread == sys->index + 1u ? plan->action : plan->others;
}

bool debug_holds(const SysCpu *sys)
{
    return sys->machine->debug && action_of(sys) == GDB_STAY;
}

bool debug_needs_steps(SysCpu *sys)
{
    const struct MachineDebug *debug = sys->machine->debug;

    return debug && (debug->points.count || action_of(sys) == GDB_STEP);
}

/* False: another CPU has stopped the machine already. */
static bool stop(Machine *machine, GdbStopReason reason, unsigned cpu,
                 int number, uint64_t address)
{
    struct MachineDebug *debug = machine->debug;

    g_mutex_lock(&debug->lock);
    if (debug->stopping) {
        g_mutex_unlock(&debug->lock);
        return false;
    }
    debug->stopping = true;
    debug->reason = reason;
    debug->stopped_cpu = cpu;
    debug->number = number;
    debug->address = address;
    g_mutex_unlock(&debug->lock);
    machine_request_debug_stop(machine);
    return true;
}

void debug_report(Machine *machine)
{
    struct MachineDebug *debug = machine->debug;

    gdb_stub_stopped(debug->stub, debug->reason, debug->stopped_cpu + 1,
                     debug->number, debug->address);
}

/* ---- Running under control -------------------------------------------------- */

static __thread GdbWatchHit watch;

static void note_access(E2kCpu *cpu, const WatchedAccess *access)
{
    SysCpu *sys = cpu->opaque;

    gdb_points_access(&sys->machine->debug->points, access->address,
                      access->size_bytes, access->store, &watch);
}

static CpuExit watched_step(SysCpu *sys)
{
    watch.hit = false;
    return debug_traps_step(sys, note_access);
}

CpuExit debug_run(SysCpu *sys)
{
    Machine *machine = sys->machine;
    struct MachineDebug *debug = machine->debug;
    /* The bundle where the debugger resumed is not stopped at again. */
    bool resumed = sys->debug_generation != debug->generation;

    sys->debug_generation = debug->generation;
    if (!resumed && gdb_points_break_at(&debug->points, sys->cpu->ip)) {
        if (!stop(machine, GDB_STOP_BREAKPOINT, sys->index, SIGTRAP, 0)) {
            /* Its turn is after the next resume. */
            sys->debug_generation = debug->generation + 1;
        }
        return CPU_EXIT_STOP;
    }
    CpuExit exit = watched_step(sys);

    if (watch.hit) {
        stop(machine, watch.reason, sys->index, SIGTRAP, watch.address);
    } else if (action_of(sys) == GDB_STEP) {
        stop(machine, GDB_STOP_SIGNAL, sys->index, SIGTRAP, 0);
    }
    /* For steps, "debug" only says that the bundle is done. */
    return exit == CPU_EXIT_DEBUG ? CPU_EXIT_STOP : exit;
}

/* ---- Callbacks of the stub ----------------------------------------------------- */

static SysCpu *cpu_of(Machine *machine, uint64_t thread)
{
    unsigned index = thread ? thread - 1 : machine->debug->stopped_cpu;

    return index < machine->n_cpus ? machine->cpus[index] : NULL;
}

static bool target_read_register(void *opaque, uint64_t thread,
                                 unsigned number, uint8_t *bytes)
{
    SysCpu *sys = cpu_of(opaque, thread);

    return sys && sys_debug_reg_read(sys, number, bytes);
}

static bool target_write_register(void *opaque, uint64_t thread,
                                  unsigned number, const uint8_t *bytes)
{
    SysCpu *sys = cpu_of(opaque, thread);

    return sys && sys_debug_reg_write(sys, number, bytes);
}

static bool target_read_memory(void *opaque, uint64_t address, uint8_t *bytes,
                               size_t size)
{
    return sys_memory_peek(cpu_of(opaque, 0), address, bytes, size);
}

static bool target_write_memory(void *opaque, uint64_t address,
                                const uint8_t *bytes, size_t size)
{
    return sys_memory_write(cpu_of(opaque, 0), address, bytes, size);
}

static size_t target_list_threads(void *opaque, uint64_t *ids, size_t most)
{
    Machine *machine = opaque;
    size_t n = MIN(machine->n_cpus, most);

    for (size_t i = 0; i < n; i++) {
        ids[i] = i + 1;
    }
    return n;
}

static char *target_thread_name(void *opaque, uint64_t thread)
{
    return g_strdup_printf("cpu%u", (unsigned)thread - 1);
}

static void target_resume(void *opaque, const GdbResume *resume)
{
    Machine *machine = opaque;

    machine->debug->plan = *resume;
    machine->debug->generation++;
    machine->debug->stopping = false;
    machine_cont(machine);
}

static void target_interrupt(void *opaque)
{
    stop(opaque, GDB_STOP_SIGNAL, 0, SIGINT, 0);
}

static int target_set_point(void *opaque, GdbPointType type, uint64_t address,
                            uint64_t size, bool insert)
{
    return gdb_points_set(&((Machine *)opaque)->debug->points, type, address,
                          size, insert);
}

static void target_detach(void *opaque)
{
    Machine *machine = opaque;

    machine->debug->points.count = 0;
    machine->debug->stopping = false;
    machine->debug->plan = (GdbResume){ 0, GDB_RUN, GDB_RUN, 0 };
    machine_cont(machine);
}

static void target_kill(void *opaque)
{
    machine_request_shutdown(opaque, SHUTDOWN_HOST_SIGNAL, 0);
}

static GdbTarget machine_target = { /* n_registers: when opened */
    .architecture = "e2k",
    .register_name = sys_debug_reg_name,
    .register_bytes = sys_debug_reg_bytes,
    .register_type = sys_debug_reg_type,
    .read_register = target_read_register,
    .write_register = target_write_register,
    .read_memory = target_read_memory,
    .write_memory = target_write_memory,
    .list_threads = target_list_threads,
    .thread_name = target_thread_name,
    .resume = target_resume,
    .interrupt = target_interrupt,
    .set_point = target_set_point,
    .detach = target_detach,
    .kill = target_kill,
};

bool debug_open(Machine *machine, const char *where, bool stopped,
                GError **error)
{
    struct MachineDebug *debug = g_new0(struct MachineDebug, 1);

    if (!machine->n_cpus) {
        g_set_error(error, SYSTEM_ERROR, 0, "machine '%s' has no CPU to debug",
                    machine->board_name);
        g_free(debug);
        return false;
    }
    g_mutex_init(&debug->lock);
    machine->debug = debug;
    unsigned port = 0;

    machine_target.n_registers = sys_debug_reg_count();
    machine_target.starts_stopped = stopped;
    debug->stub = gdb_stub_new(where, &machine_target, machine, &port, error);
    if (!debug->stub) {
        machine->debug = NULL;
        g_mutex_clear(&debug->lock);
        g_free(debug);
        return false;
    }
    return true;
}

void debug_close(Machine *machine)
{
    struct MachineDebug *debug = machine->debug;

    if (debug) {
        gdb_stub_stopped(debug->stub, GDB_STOP_EXITED, 1,
                         machine->exit_status, 0);
        gdb_stub_free(debug->stub);
        machine->debug = NULL;
        g_mutex_clear(&debug->lock);
        g_free(debug);
    }
}
