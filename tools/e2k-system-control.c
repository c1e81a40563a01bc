/*
 * What QMP's system commands do to the machine, and the machine's events.
 */
#include "tools/e2k-system.h"

#include <string.h>

#include "monitor/monitor.h"
#include "monitor/system-commands.h"
#include "system/snapshot.h"
#include "system/sys-cpu.h"

static const char *op_run_state(void *opaque, bool *running)
{
    RunState state = machine_state(opaque);

    *running = state == RUN_STATE_RUNNING;
    return run_state_name(state);
}

bool control_cont(void *opaque, GError **error)
{
    RunState state = machine_state(opaque);

    if (state == RUN_STATE_SHUTDOWN || state == RUN_STATE_GUEST_PANICKED) {
        g_set_error_literal(error, MONITOR_ERROR, 0,
                            "Resetting the Virtual Machine is required");
        return false;
    }
    if (state == RUN_STATE_INMIGRATE) {
        g_set_error_literal(error, MONITOR_ERROR, 0, "the state of the "
                            "machine has not come yet");
        return false;
    }
    if (state == RUN_STATE_POSTMIGRATE) {
        snapshot_resume(opaque); /* its devices were left idle */
    }
    machine_cont(opaque);
    return true;
}

static bool op_stop(void *opaque, GError **error)
{
    machine_stop(opaque);
    return true;
}

static bool op_reset(void *opaque, GError **error)
{
    machine_request_reset(opaque);
    return true;
}

static bool op_powerdown(void *opaque, GError **error)
{
    machine_press_power(opaque);
    return true;
}

#define END_TOLD_US 5000000

/* As clients know it: the event SHUTDOWN comes before the reply. */
static void op_quit(void *opaque)
{
    machine_request_shutdown(opaque, SHUTDOWN_HOST_QMP_QUIT, 0);
    machine_wait_end_told(opaque, END_TOLD_US);
}

static json_t *op_query_cpus(void *opaque)
{
    Machine *machine = opaque;
    json_t *list = json_array();

    for (unsigned i = 0; i < machine->n_cpus; i++) {
        g_autofree char *path = g_strdup_printf("/machine/cpu[%u]", i);

        json_array_append_new(
            list, json_pack("{s:i, s:s, s:i, s:s}", "cpu-index", (int)i,
                            "qom-path", path, "thread-id", 0, "target",
                            "e2k"));
    }
    return list;
}

static bool op_device_add(void *opaque, json_t *args, GError **error)
{
    return system_device_add(args, error);
}

static bool op_device_del(void *opaque, const char *id, GError **error)
{
    return system_device_del(id, error);
}

static bool op_migrate(void *opaque, const char *uri, GError **error)
{
    return system_migrate(opaque, uri, false, error);
}

static json_t *op_query_migrate(void *opaque)
{
    return system_query_migrate();
}

static bool op_snapshot_job(void *opaque, const char *type, const char *id,
                            const char *tag, const char *vmstate,
                            char **devices, GError **error)
{
    SnapshotAction action = g_str_has_suffix(type, "save") ? SNAPSHOT_SAVE
                            : g_str_has_suffix(type, "load")
                                ? SNAPSHOT_LOAD
                                : SNAPSHOT_DELETE;

    return system_snapshot_job(opaque, action, id, tag, vmstate, devices,
                               error);
}

static MonitorSystemOps control_ops = {
    .run_state = op_run_state,
    .cont = control_cont,
    .stop = op_stop,
    .system_reset = op_reset,
    .system_powerdown = op_powerdown,
    .quit = op_quit,
    .query_cpus = op_query_cpus,
    .human_command = human_command,
    .device_add = op_device_add,
    .device_del = op_device_del,
    .migrate = op_migrate,
    .query_migrate = op_query_migrate,
    .snapshot_job = op_snapshot_job,
};

static const char *reason_name(ShutdownReason reason)
{
    static const char *const names[] = {
        [SHUTDOWN_NONE] = "none",
        [SHUTDOWN_HOST_QMP_QUIT] = "host-qmp-quit",
        [SHUTDOWN_HOST_SIGNAL] = "host-signal",
        [SHUTDOWN_HOST_ERROR] = "host-error",
        [SHUTDOWN_GUEST_SHUTDOWN] = "guest-shutdown",
        [SHUTDOWN_GUEST_RESET] = "guest-reset",
        [SHUTDOWN_GUEST_PANIC] = "guest-panic",
    };

    return names[reason];
}

static void on_event(void *opaque, MachineEvent event)
{
    Machine *machine = opaque;
    ShutdownReason reason = machine->last_reason;

    switch (event) {
    case MACHINE_EVENT_STOP:
        monitor_event("STOP", NULL);
        break;
    case MACHINE_EVENT_RESUME:
        monitor_event("RESUME", NULL);
        break;
    case MACHINE_EVENT_POWERDOWN:
        monitor_event("POWERDOWN", NULL);
        break;
    case MACHINE_EVENT_RESET:
        monitor_event("RESET", json_pack("{s:b, s:s}", "guest", 0, "reason",
                                         "host-qmp-system-reset"));
        break;
    case MACHINE_EVENT_SHUTDOWN:
        monitor_shutdown_event(reason >= SHUTDOWN_GUEST_SHUTDOWN,
                               reason_name(reason));
        break;
    case MACHINE_EVENT_GUEST_PANICKED:
        break;
    }
}

void control_register(Machine *machine)
{
    control_ops.machine_type = machine->board_name;
    monitor_register_system(&control_ops, machine);
    monitor_register_human(human_line, machine);
    system_migrate_register();
    machine_add_listener(machine, on_event, machine);
}
