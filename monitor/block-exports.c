/* QMP: NBD server and exports; registration of all block commands. */
#include "monitor/block-commands.h"

#include <string.h>

#include "block/export.h"
#include "block/monitor-nodes.h"
#include "block/object.h"
#include "block/options.h"
#include "block/wind-up.h"
#include "monitor/block-commands-int.h"
#include "monitor/block-jobs-int.h"

static const QmpArg server_start_args[] = {
    { "addr", QMP_ANY },
    { "tls-creds", QMP_STR, .optional = true },
    { "tls-authz", QMP_STR, .optional = true },
    { "max-connections", QMP_UINT32, .optional = true },
    { "handshake-max-seconds", QMP_UINT32, .optional = true },
    { NULL },
};

static json_t *server_start(void *opaque, json_t *args, GError **error)
{
    block_nbd_server_start_json(args, error);
    return NULL;
}

static json_t *server_stop(void *opaque, json_t *args, GError **error)
{
    block_nbd_server_stop(error);
    return NULL;
}

static const QmpArg server_add_args[] = {
    { "device", QMP_STR },
    { "name", QMP_STR, .optional = true },
    { "description", QMP_STR, .optional = true },
    { "writable", QMP_BOOL, .optional = true },
    { "bitmap", QMP_STR, .optional = true },
    { NULL },
};

static json_t *server_add(void *opaque, json_t *args, GError **error)
{
    block_nbd_server_add_json(args, error);
    return NULL;
}

static const QmpArg server_remove_args[] = {
    { "name", QMP_STR },
    { "mode", QMP_ENUM, .optional = true, .words = "safe/hard" },
    { NULL },
};

static json_t *server_remove(void *opaque, json_t *args, GError **error)
{
    block_nbd_server_remove(qmp_str(args, "name"),
                            qmp_enum(args, "mode", "safe/hard") == 1, error);
    return NULL;
}

static const QmpArg export_bitmap[] = {
    { "node", QMP_STR },
    { "name", QMP_STR },
    { NULL },
};

static const QmpArg export_add_args[] = {
    { "type", QMP_ENUM, .words = "nbd" },
    { "id", QMP_STR },
    { "node-name", QMP_STR },
    { "writable", QMP_BOOL, .optional = true },
    { "writethrough", QMP_BOOL, .optional = true },
    { "iothread", QMP_STR, .optional = true },
    { "fixed-iothread", QMP_BOOL, .optional = true },
    { "name", QMP_STR, .optional = true },
    { "description", QMP_STR, .optional = true },
    { "bitmaps", QMP_STR_OR_OBJECT, .optional = true, .list = true,
      .members = export_bitmap },
    { "allocation-depth", QMP_BOOL, .optional = true },
    { NULL },
};

static json_t *export_add(void *opaque, json_t *args, GError **error)
{
    const char *iothread = qmp_str(args, "iothread");

    if (iothread && !block_object_exists("iothread", iothread)) {
        g_set_error(error, MONITOR_ERROR, 0, "iothread \"%s\" not found",
                    iothread);
        return NULL;
    }
    block_export_add_json(args, error);
    return NULL;
}

static const QmpArg export_del_args[] = {
    { "id", QMP_STR },
    { "mode", QMP_ENUM, .optional = true, .words = "safe/hard" },
    { NULL },
};

static json_t *export_del(void *opaque, json_t *args, GError **error)
{
    block_export_del(qmp_str(args, "id"),
                     qmp_enum(args, "mode", "safe/hard") == 1, error);
    return NULL;
}

static const QmpArg export_info[] = {
    { "id", QMP_STR },
    { "type", QMP_ENUM, .words = "nbd" },
    { "node-name", QMP_STR },
    { "shutting-down", QMP_BOOL },
    { NULL },
};

static json_t *query_exports(void *opaque, json_t *args, GError **error)
{
    return block_export_query();
}

static const QmpCommand export_commands[] = {
    { "nbd-server-start", server_start_args, server_start },
    { "nbd-server-stop", NULL, server_stop },
    { "nbd-server-add", server_add_args, server_add, QMP_DEPRECATED },
    { "nbd-server-remove", server_remove_args, server_remove,
      QMP_DEPRECATED },
    { "block-export-add", export_add_args, export_add },
    { "block-export-del", export_del_args, export_del },
    { "query-block-exports", NULL, query_exports, QMP_RETURNS_LIST,
      export_info },
    { NULL },
};

/* ---- Events ------------------------------------------------------------- */

static const QmpArg id_data[] = { { "id", QMP_STR }, { NULL } };

static const QmpArg job_data[] = {
    { "type", QMP_STR }, { "device", QMP_STR }, { "len", QMP_INT },
    { "offset", QMP_INT }, { "speed", QMP_INT },
    { "error", QMP_STR, .optional = true }, { NULL },
};

static const QmpArg pending_data[] = {
    { "type", QMP_STR }, { "id", QMP_STR }, { NULL },
};

static const QmpArg status_data[] = {
    { "id", QMP_STR }, { "status", QMP_STR }, { NULL },
};

static const QmpArg job_error_data[] = {
    { "device", QMP_STR }, { "operation", QMP_STR }, { "action", QMP_STR },
    { NULL },
};

static const QmpArg io_error_data[] = {
    { "device", QMP_STR }, { "node-name", QMP_STR, .optional = true },
    { "operation", QMP_STR }, { "action", QMP_STR },
    { "nospace", QMP_BOOL, .optional = true }, { "reason", QMP_STR },
    { NULL },
};

static const QmpArg corrupt_data[] = {
    { "device", QMP_STR }, { "node-name", QMP_STR, .optional = true },
    { "msg", QMP_STR }, { "offset", QMP_INT, .optional = true },
    { "size", QMP_INT, .optional = true }, { "fatal", QMP_BOOL }, { NULL },
};

static const QmpArg threshold_data[] = {
    { "node-name", QMP_STR }, { "amount-exceeded", QMP_SIZE },
    { "write-threshold", QMP_SIZE }, { NULL },
};

static const QmpEvent block_events[] = {
    { "BLOCK_EXPORT_DELETED", id_data },
    { "JOB_STATUS_CHANGE", status_data },
    { "BLOCK_JOB_READY", job_data },
    { "BLOCK_JOB_PENDING", pending_data },
    { "BLOCK_JOB_COMPLETED", job_data },
    { "BLOCK_JOB_CANCELLED", job_data },
    { "BLOCK_JOB_ERROR", job_error_data },
    { "BLOCK_IO_ERROR", io_error_data },
    { "BLOCK_IMAGE_CORRUPTED", corrupt_data },
    { "BLOCK_WRITE_THRESHOLD", threshold_data },
    { NULL },
};

static void forward_event(const char *name, json_t *data, void *opaque)
{
    monitor_event(name, data);
}

/* ---- Command-line options ------------------------------------------------ */

/* Text values become what the argument table wants, for the commands. */
static void retype(json_t *options, const QmpArg *args)
{
    for (const QmpArg *a = args; a->name; a++) {
        json_t *value = json_object_get(options, a->name);
        bool flag = false;
        int64_t number = 0;

        if (!json_is_string(value)) {
            continue;
        }
        if (a->type == QMP_BOOL &&
            block_options_bool(options, a->name, &flag, NULL)) {
            json_object_set_new(options, a->name, json_boolean(flag));
        } else if ((a->type == QMP_UINT32 || a->type == QMP_INT) &&
                   block_options_int(options, a->name, &number, NULL)) {
            json_object_set_new(options, a->name, json_integer(number));
        }
    }
}

static bool run_option(const char *text, const char *implied,
                       const QmpArg *args, QmpHandler *run, GError **error)
{
    json_t *options = block_options_parse_any(text, implied, error);
    GError *local = NULL;

    if (!options) {
        return false;
    }
    retype(options, args);
    if (qmp_check(options, args, "", &local)) {
        json_decref(run(NULL, options, &local));
    }
    json_decref(options);
    if (local) {
        g_propagate_error(error, local);
        return false;
    }
    return true;
}

bool monitor_export_option(const char *text, GError **error)
{
    return run_option(text, "type", export_add_args, export_add, error);
}

/* The address comes flat here ("addr.type=unix,addr.path=..."). */
static void wrap_address(json_t *options)
{
    json_t *addr = json_object_get(options, "addr");
    json_t *data;

    if (!json_is_object(addr) || json_object_get(addr, "data")) {
        return;
    }
    data = json_copy(addr);
    json_object_del(data, "type");
    json_object_set_new(options, "addr",
                        json_pack("{s:O, s:o}", "type",
                                  json_object_get(addr, "type"), "data",
                                  data));
}

static json_t *server_start_flat(void *opaque, json_t *args, GError **error)
{
    wrap_address(args);
    return server_start(opaque, args, error);
}

bool monitor_nbd_server_option(const char *text, GError **error)
{
    return run_option(text, NULL, server_start_args, server_start_flat,
                      error);
}

bool monitor_object_option(const char *text, GError **error)
{
    return block_object_add_text(text, error);
}

/* ---- Registration ------------------------------------------------------- */

void monitor_register_block(void)
{
    monitor_register(monitor_node_commands, NULL);
    monitor_register(monitor_bitmap_commands, NULL);
    monitor_register(monitor_query_commands, NULL);
    monitor_register(monitor_transaction_commands, NULL);
    monitor_register(monitor_job_commands, NULL);
    monitor_register(monitor_job_control_commands, NULL);
    monitor_register(monitor_throttle_commands, NULL);
    monitor_register(monitor_media_commands, NULL);
    monitor_register(export_commands, NULL);
    monitor_register_events(block_events);
    monitor_register_schema(monitor_block_schema);
    block_set_event_handler(forward_event, NULL);
}

void monitor_block_shutdown(void)
{
    block_wind_up_begin();
    block_job_cancel_all();
    block_nbd_server_stop(NULL);
    block_close_all();
    block_wind_up_end();
}
