/*
 * Run control of a machine; see machine.h.
 *
 * Stopping is cooperative: run is cleared, every CPU is kicked, and a CPU
 * thread that sees run clear parks itself (cpus.c).  The machine is stopped
 * when all have parked; only then does guest time stand still.
 */
#include "system/machine.h"

#include "system/code-space.h"
#include "system/debug.h"
#include "system/machine-int.h"
#include "system/sys-cpu.h"
#include "util/log.h"

typedef struct Listener {
    MachineListener *listener;
    void *opaque;
} Listener;

static const char *const run_state_names[] = {
    [RUN_STATE_PRELAUNCH] = "prelaunch",
    [RUN_STATE_RUNNING] = "running",
    [RUN_STATE_PAUSED] = "paused",
    [RUN_STATE_DEBUG] = "debug",
    [RUN_STATE_SHUTDOWN] = "shutdown",
    [RUN_STATE_GUEST_PANICKED] = "guest-panicked",
    [RUN_STATE_INMIGRATE] = "inmigrate",
    [RUN_STATE_POSTMIGRATE] = "postmigrate",
};

const char *run_state_name(RunState state)
{
    return run_state_names[state];
}

Machine *machine_new(const char *board_name)
{
    Machine *machine = g_new0(Machine, 1);

    machine->board_name = board_name;
    machine->devices = g_ptr_array_new();
    machine->listeners = g_array_new(FALSE, FALSE, sizeof(Listener));
    g_mutex_init(&machine->lock);
    g_cond_init(&machine->changed);
    machine->clock = clock_new();
    machine->code_spaces = code_spaces_new();
    machine->state = RUN_STATE_PRELAUNCH;
    return machine;
}

void machine_free(Machine *machine)
{
    if (!machine) {
        return;
    }
    machine_stop(machine);
    cpus_end(machine);
    /* Later devices may use earlier ones. */
    for (guint i = machine->devices->len; i-- > 0;) {
        Device *device = g_ptr_array_index(machine->devices, i);

        if (device->class->quiesce) {
            device->class->quiesce(device);
        }
    }
    for (guint i = machine->devices->len; i-- > 0;) {
        device_free(g_ptr_array_index(machine->devices, i));
    }
    for (unsigned i = 0; i < machine->n_cpus; i++) {
        sys_cpu_free(machine->cpus[i]);
    }
    if (machine->board_free) {
        machine->board_free(machine);
    }
    g_free(machine->cpus);
    g_ptr_array_free(machine->devices, TRUE);
    g_array_free(machine->listeners, TRUE);
    clock_free(machine->clock);
    code_spaces_free(machine->code_spaces);
    physmem_free(machine->mem);
    g_mutex_clear(&machine->lock);
    g_cond_clear(&machine->changed);
    g_free(machine);
}

void machine_add_device(Machine *machine, Device *device)
{
    g_ptr_array_add(machine->devices, device);
}

void machine_remove_device(Machine *machine, Device *device)
{
    g_ptr_array_remove(machine->devices, device);
}

Device *machine_find_device(Machine *machine, const char *id)
{
    for (guint i = 0; i < machine->devices->len; i++) {
        Device *device = g_ptr_array_index(machine->devices, i);

        if (!g_strcmp0(device->id, id)) {
            return device;
        }
    }
    return NULL;
}

bool machine_add_cpus(Machine *machine, const CpuModel *model, unsigned n,
                      GError **error)
{
    machine->model = model;
    machine->cpus = g_new0(SysCpu *, n);
    for (unsigned i = 0; i < n; i++) {
        machine->cpus[i] = sys_cpu_new(machine, model, i, error);
        if (!machine->cpus[i]) {
            return false;
        }
        machine->cpus[i]->parked = true;
        machine->n_cpus++;
        machine->n_parked++;
    }
    return true;
}

void machine_add_listener(Machine *machine, MachineListener *listener,
                          void *opaque)
{
    Listener item = { listener, opaque };

    g_mutex_lock(&machine->lock);
    g_array_append_val(machine->listeners, item);
    g_mutex_unlock(&machine->lock);
}

void machine_remove_listener(Machine *machine, MachineListener *listener,
                             void *opaque)
{
    g_mutex_lock(&machine->lock);
    for (guint i = 0; i < machine->listeners->len; i++) {
        Listener *item = &g_array_index(machine->listeners, Listener, i);

        if (item->listener == listener && item->opaque == opaque) {
            g_array_remove_index(machine->listeners, i);
            break;
        }
    }
    g_mutex_unlock(&machine->lock);
}

/* Calls the listeners without the lock: they may ask for the state. */
static void tell(Machine *machine, MachineEvent event)
{
    g_mutex_lock(&machine->lock);
    g_autoptr(GArray) copy = g_array_copy(machine->listeners);

    g_mutex_unlock(&machine->lock);
    for (guint i = 0; i < copy->len; i++) {
        const Listener *item = &g_array_index(copy, Listener, i);

        item->listener(item->opaque, event);
    }
}

static void kick_all_locked(Machine *machine)
{
    g_cond_broadcast(&machine->changed);
    for (unsigned i = 0; i < machine->n_cpus; i++) {
        sys_cpu_kick(machine->cpus[i]);
    }
}

bool machine_is_running(Machine *machine)
{
    return machine_state(machine) == RUN_STATE_RUNNING;
}

RunState machine_state(Machine *machine)
{
    g_mutex_lock(&machine->lock);
    RunState state = machine->state;

    g_mutex_unlock(&machine->lock);
    return state;
}

void machine_cont(Machine *machine)
{
    bool resumed = false;

    g_mutex_lock(&machine->lock);
    if (!machine->run && machine->shutdown == SHUTDOWN_NONE) {
        clock_start(machine->clock);
        machine->run = true;
        machine->state = RUN_STATE_RUNNING;
        g_cond_broadcast(&machine->changed);
        resumed = true;
    }
    g_mutex_unlock(&machine->lock);
    if (resumed) {
        tell(machine, MACHINE_EVENT_RESUME);
    }
}

void machine_request_stop(Machine *machine, RunState state)
{
    g_mutex_lock(&machine->lock);
    if (machine->run) {
        machine->run = false;
        machine->state = state;
        kick_all_locked(machine);
    }
    g_mutex_unlock(&machine->lock);
}

void machine_request_debug_stop(Machine *machine)
{
    g_mutex_lock(&machine->lock);
    machine->run = false;
    machine->state = RUN_STATE_DEBUG;
    machine->debug_stopped = true;
    kick_all_locked(machine);
    g_mutex_unlock(&machine->lock);
}

void machine_stop(Machine *machine)
{
    bool was_running;

    g_mutex_lock(&machine->lock);
    was_running = machine->run;
    if (was_running) {
        machine->run = false;
        machine->state = RUN_STATE_PAUSED;
        kick_all_locked(machine);
    }
    while (machine->n_parked < machine->n_cpus) {
        g_cond_wait(&machine->changed, &machine->lock);
    }
    g_mutex_unlock(&machine->lock);
    clock_stop(machine->clock);
    if (was_running) {
        tell(machine, MACHINE_EVENT_STOP);
    }
}

void machine_set_stopped(Machine *machine, RunState state)
{
    g_mutex_lock(&machine->lock);
    if (!machine->run) {
        machine->state = state;
    }
    g_mutex_unlock(&machine->lock);
}

void machine_press_power(Machine *machine)
{
    tell(machine, MACHINE_EVENT_POWERDOWN);
    if (machine->powerdown) {
        machine->powerdown(machine->powerdown_opaque);
    }
}

void machine_request_reset(Machine *machine)
{
    if (machine->no_reboot) {
        machine_request_shutdown(machine, SHUTDOWN_GUEST_RESET, 0);
        return;
    }
    g_mutex_lock(&machine->lock);
    machine->reset_requested = true;
    kick_all_locked(machine);
    g_mutex_unlock(&machine->lock);
}

void machine_request_shutdown(Machine *machine, ShutdownReason reason,
                              int exit_status)
{
    g_mutex_lock(&machine->lock);
    if (machine->shutdown == SHUTDOWN_NONE) {
        bool stay = machine->no_shutdown &&
                    reason >= SHUTDOWN_GUEST_SHUTDOWN;

        machine->run = false;
        if (machine->last_reason < SHUTDOWN_GUEST_SHUTDOWN) {
            /* A guest's own status outlives the pause after it. */
            machine->exit_status = exit_status;
        }
        machine->state = reason == SHUTDOWN_GUEST_PANIC
                             ? RUN_STATE_GUEST_PANICKED
                             : RUN_STATE_SHUTDOWN;
        machine->shutdown = stay ? SHUTDOWN_NONE : reason;
        machine->shutdown_paused = stay;
        machine->last_reason = reason;
        kick_all_locked(machine);
    }
    g_mutex_unlock(&machine->lock);
}

bool machine_wait_end_told(Machine *machine, int64_t timeout_us)
{
    int64_t until = g_get_monotonic_time() + timeout_us;
    bool told;

    g_mutex_lock(&machine->lock);
    while (!machine->end_told &&
           g_cond_wait_until(&machine->changed, &machine->lock, until)) {
        /* woken for something else */
    }
    told = machine->end_told;
    g_mutex_unlock(&machine->lock);
    return told;
}

void machine_reset(Machine *machine)
{
    for (guint i = 0; i < machine->devices->len; i++) {
        Device *device = g_ptr_array_index(machine->devices, i);

        if (device->class->quiesce) {
            device->class->quiesce(device);
        }
    }
    for (guint i = 0; i < machine->devices->len; i++) {
        device_reset(g_ptr_array_index(machine->devices, i));
    }
    for (unsigned i = 0; i < machine->n_cpus; i++) {
        sys_cpu_reset(machine->cpus[i]);
    }
    machine->board_reset(machine);
}

static void reset_now(Machine *machine)
{
    bool was_running = machine_is_running(machine);

    machine_stop(machine);
    machine_reset(machine);
    tell(machine, MACHINE_EVENT_RESET);
    if (was_running) {
        machine_cont(machine);
    }
}

/* The guest ended, and the user wants to look at it. */
static void pause_after_shutdown(Machine *machine)
{
    machine_stop(machine);
    tell(machine, MACHINE_EVENT_SHUTDOWN);
    tell(machine, MACHINE_EVENT_STOP);
}

int machine_loop(Machine *machine, bool start)
{
    ShutdownReason reason;

    cpus_begin(machine);
    if (start) {
        machine_cont(machine);
    }
    g_mutex_lock(&machine->lock);
    while (machine->shutdown == SHUTDOWN_NONE) {
        if (machine->reset_requested) {
            machine->reset_requested = false;
            g_mutex_unlock(&machine->lock);
            reset_now(machine);
            g_mutex_lock(&machine->lock);
        } else if (machine->debug_stopped) {
            machine->debug_stopped = false;
            g_mutex_unlock(&machine->lock);
            machine_stop(machine);
            debug_report(machine);
            g_mutex_lock(&machine->lock);
        } else if (machine->shutdown_paused) {
            machine->shutdown_paused = false;
            g_mutex_unlock(&machine->lock);
            pause_after_shutdown(machine);
            g_mutex_lock(&machine->lock);
        } else {
            g_cond_wait(&machine->changed, &machine->lock);
        }
    }
    reason = machine->shutdown;
    g_mutex_unlock(&machine->lock);
    machine_stop(machine);
    if (reason == SHUTDOWN_GUEST_PANIC) {
        tell(machine, MACHINE_EVENT_GUEST_PANICKED);
    }
    tell(machine, MACHINE_EVENT_SHUTDOWN);
    g_mutex_lock(&machine->lock);
    machine->end_told = true;
    g_cond_broadcast(&machine->changed);
    g_mutex_unlock(&machine->lock);
    return machine->exit_status;
}
