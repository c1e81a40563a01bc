/* QMP: run state, power, quit.  See system-commands.h. */
#include "monitor/system-commands.h"

#include <string.h>

#include "monitor/monitor.h"

typedef struct System {
    const MonitorSystemOps *ops;
    void *opaque;
} System;

static json_t *query_status(void *opaque, json_t *args, GError **error)
{
    System *s = opaque;
    bool running = false;
    const char *state = s->ops->run_state(s->opaque, &running);

    return json_pack("{s:s, s:b, s:b}", "status", state, "singlestep", 0,
                     "running", running);
}

#define SIMPLE(member)                                                       \
    static json_t *run_##member(void *opaque, json_t *args, GError **error)  \
    {                                                                        \
        System *s = opaque;                                                  \
                                                                             \
        s->ops->member(s->opaque, error);                                    \
        return NULL;                                                         \
    }

SIMPLE(cont)
SIMPLE(stop)
SIMPLE(system_reset)
SIMPLE(system_powerdown)
SIMPLE(system_wakeup)
SIMPLE(inject_nmi)

static json_t *run_quit(void *opaque, json_t *args, GError **error)
{
    System *s = opaque;

    s->ops->quit(s->opaque);
    return NULL;
}

static json_t *query_cpus(void *opaque, json_t *args, GError **error)
{
    System *s = opaque;

    return s->ops->query_cpus(s->opaque);
}

static const QmpArg human_args[] = {
    { "command-line", QMP_STR },
    { "cpu-index", QMP_INT, .optional = true },
    { NULL },
};

static json_t *run_human(void *opaque, json_t *args, GError **error)
{
    System *s = opaque;
    g_autofree char *text = s->ops->human_command(
        s->opaque, qmp_str(args, "command-line"));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *ended = g_strjoinv("\r\n", lines);
    json_t *json = json_string(ended);

    return json ? json : json_string("(invalid UTF-8)\r\n");
}

static json_t *run_device_add(void *opaque, json_t *args, GError **error)
{
    System *s = opaque;
    json_t *copy = json_deep_copy(args);

    s->ops->device_add(s->opaque, copy, error);
    json_decref(copy);
    return NULL;
}

static const QmpArg device_del_args[] = { { "id", QMP_STR }, { NULL } };

static json_t *run_device_del(void *opaque, json_t *args, GError **error)
{
    System *s = opaque;

    s->ops->device_del(s->opaque, qmp_str(args, "id"), error);
    return NULL;
}

static const QmpArg migrate_args[] = {
    { "uri", QMP_STR },
    { "detach", QMP_BOOL, .optional = true },
    { NULL },
};

static json_t *run_migrate(void *opaque, json_t *args, GError **error)
{
    System *s = opaque;

    s->ops->migrate(s->opaque, qmp_str(args, "uri"), error);
    return NULL;
}

static json_t *query_migrate(void *opaque, json_t *args, GError **error)
{
    System *s = opaque;

    return s->ops->query_migrate(s->opaque);
}

static const QmpArg snapshot_args[] = {
    { "job-id", QMP_STR },
    { "tag", QMP_STR },
    { "vmstate", QMP_STR },
    { "devices", QMP_STR, .list = true },
    { NULL },
};

static const QmpArg snapshot_delete_args[] = {
    { "job-id", QMP_STR },
    { "tag", QMP_STR },
    { "devices", QMP_STR, .list = true },
    { NULL },
};

static void start_snapshot_job(System *s, const char *type, json_t *args,
                               GError **error)
{
    json_t *list = json_object_get(args, "devices");
    g_autoptr(GPtrArray) devices = g_ptr_array_new();

    for (size_t i = 0; i < json_array_size(list); i++) {
        g_ptr_array_add(devices,
                        (char *)json_string_value(json_array_get(list, i)));
    }
    g_ptr_array_add(devices, NULL);
    s->ops->snapshot_job(s->opaque, type, qmp_str(args, "job-id"),
                         qmp_str(args, "tag"), qmp_str(args, "vmstate"),
                         (char **)devices->pdata, error);
}

static json_t *run_snapshot_save(void *opaque, json_t *args, GError **error)
{
    start_snapshot_job(opaque, "snapshot-save", args, error);
    return NULL;
}

static json_t *run_snapshot_load(void *opaque, json_t *args, GError **error)
{
    start_snapshot_job(opaque, "snapshot-load", args, error);
    return NULL;
}

static json_t *run_snapshot_delete(void *opaque, json_t *args, GError **error)
{
    start_snapshot_job(opaque, "snapshot-delete", args, error);
    return NULL;
}

static json_t *query_name(void *opaque, json_t *args, GError **error)
{
    System *s = opaque;

    return s->ops->name ? json_pack("{s:s}", "name", s->ops->name)
                        : json_object();
}

static json_t *query_machines(void *opaque, json_t *args, GError **error)
{
    System *s = opaque;

    return s->ops->machine_type
               ? json_pack("[{s:s, s:b}]", "name", s->ops->machine_type,
                           "is-default", 1)
               : json_array();
}

static const QmpArg status_info[] = {
    { "status", QMP_STR }, { "singlestep", QMP_BOOL },
    { "running", QMP_BOOL }, { NULL },
};

/* Each command beside the function it needs. */
typedef struct Row {
    QmpCommand command;
    size_t needs; /* offset in MonitorSystemOps */
} Row;

#define NEEDS(member) offsetof(MonitorSystemOps, member)

static const Row rows[] = {
    { { "query-status", NULL, query_status, 0, status_info },
      NEEDS(run_state) },
    { { "cont", NULL, run_cont }, NEEDS(cont) },
    { { "stop", NULL, run_stop }, NEEDS(stop) },
    { { "system_reset", NULL, run_system_reset }, NEEDS(system_reset) },
    { { "system_powerdown", NULL, run_system_powerdown },
      NEEDS(system_powerdown) },
    { { "system_wakeup", NULL, run_system_wakeup }, NEEDS(system_wakeup) },
    { { "inject-nmi", NULL, run_inject_nmi }, NEEDS(inject_nmi) },
    { { "quit", NULL, run_quit }, NEEDS(quit) },
    { { "query-cpus-fast", NULL, query_cpus, QMP_RETURNS_LIST },
      NEEDS(query_cpus) },
    { { "human-monitor-command", human_args, run_human },
      NEEDS(human_command) },
    { { "device_add", NULL, run_device_add, QMP_ANY_ARGS },
      NEEDS(device_add) },
    { { "device_del", device_del_args, run_device_del },
      NEEDS(device_del) },
    { { "migrate", migrate_args, run_migrate }, NEEDS(migrate) },
    { { "query-migrate", NULL, query_migrate }, NEEDS(query_migrate) },
    { { "snapshot-save", snapshot_args, run_snapshot_save },
      NEEDS(snapshot_job) },
    { { "snapshot-load", snapshot_args, run_snapshot_load },
      NEEDS(snapshot_job) },
    { { "snapshot-delete", snapshot_delete_args, run_snapshot_delete },
      NEEDS(snapshot_job) },
    { { "query-name", NULL, query_name }, NEEDS(quit) },
    { { "query-machines", NULL, query_machines, QMP_RETURNS_LIST },
      NEEDS(machine_type) },
};

static const QmpArg shutdown_data[] = {
    { "guest", QMP_BOOL }, { "reason", QMP_STR }, { NULL },
};

static const QmpArg deleted_data[] = {
    { "device", QMP_STR, .optional = true }, { "path", QMP_STR }, { NULL },
};

static const QmpArg migration_data[] = { { "status", QMP_STR }, { NULL } };

static const QmpEvent system_events[] = {
    { "SHUTDOWN", shutdown_data },
    { "DEVICE_DELETED", deleted_data }, { "MIGRATION", migration_data },
    { "POWERDOWN" }, { "RESET", shutdown_data }, { "STOP" }, { "RESUME" },
    { NULL },
};

void monitor_register_system(const MonitorSystemOps *ops, void *opaque)
{
    System *s = g_new0(System, 1);

    *s = (System){ ops, opaque };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        void *needed;

        memcpy(&needed, (const char *)ops + rows[i].needs, sizeof(needed));
        if (needed) {
            QmpCommand *table = g_new0(QmpCommand, 2); /* never freed */

            table[0] = rows[i].command;
            monitor_register(table, s);
        }
    }
    monitor_register_events(system_events);
}

void monitor_shutdown_event(bool guest, const char *reason)
{
    monitor_event("SHUTDOWN", json_pack("{s:b, s:s}", "guest", guest,
                                        "reason", reason));
}
