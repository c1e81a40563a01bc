/*
 * QMP commands about the whole machine or program: run state, power, reset.
 * What they do is a table of functions of the embedder.
 */
#ifndef MONITOR_SYSTEM_COMMANDS_H
#define MONITOR_SYSTEM_COMMANDS_H

#include <stdbool.h>

#include <glib.h>
#include <jansson.h>

/*
 * Called from the dispatcher thread.  A NULL member takes its command out of
 * query-commands; `quit` is required.
 */
typedef struct MonitorSystemOps {
    /* "running", "paused", "prelaunch", "shutdown", ... */
    const char *(*run_state)(void *opaque, bool *running);
    bool (*cont)(void *opaque, GError **error);
    bool (*stop)(void *opaque, GError **error);
    bool (*system_reset)(void *opaque, GError **error);
    bool (*system_powerdown)(void *opaque, GError **error);
    bool (*system_wakeup)(void *opaque, GError **error);
    bool (*inject_nmi)(void *opaque, GError **error);
    /* Ends the program soon after it returns: the reply still goes out. */
    void (*quit)(void *opaque);
    /* [{"cpu-index": 0, ...}], a new reference. */
    json_t *(*query_cpus)(void *opaque);
    /* Text of a human monitor command, errors too; caller frees. */
    char *(*human_command)(void *opaque, const char *line);
    /* Arguments as given to device_add, to be used up by it. */
    bool (*device_add)(void *opaque, json_t *args, GError **error);
    bool (*device_del)(void *opaque, const char *id, GError **error);
    bool (*migrate)(void *opaque, const char *uri, GError **error);
    json_t *(*query_migrate)(void *opaque); /* a new reference */
    /* Starts job id of a type "snapshot-save", "snapshot-load" or
     * "snapshot-delete" (vmstate NULL); devices ends with NULL. */
    bool (*snapshot_job)(void *opaque, const char *type, const char *id,
                         const char *tag, const char *vmstate,
                         char **devices, GError **error);
    const char *name; /* of the machine; NULL: none */
    const char *machine_type;
} MonitorSystemOps;

/* After monitor_init(), before monitor_start(). */
void monitor_register_system(const MonitorSystemOps *ops, void *opaque);

/* The SHUTDOWN event; reason "host-qmp-quit", "guest-shutdown", "host-signal",
 * "guest-reset", ... */
void monitor_shutdown_event(bool guest, const char *reason);

#endif
