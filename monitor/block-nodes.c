/* QMP: commands that make, remove and change nodes. */
#include "monitor/block-commands-int.h"

#include <errno.h>
#include <string.h>

#include "block/backend.h"
#include "block/driver.h"
#include "block/monitor-nodes.h"
#include "block/object.h"
#include "block/options.h"
#include "monitor/block-commands.h"

/* ---- blockdev-add, -del, -reopen ----------------------------------------- */

static bool known_driver(json_t *args, GError **error)
{
    const char *driver = qmp_str(args, "driver");

    if (!json_object_get(args, "driver")) {
        g_set_error(error, MONITOR_ERROR, 0, "Parameter 'driver' is missing");
        return false;
    }
    if (!driver || !block_driver_find(driver)) {
        g_set_error(error, MONITOR_ERROR, 0, driver
                        ? "Parameter 'driver' does not accept value '%s'"
                        : "Invalid parameter type for 'driver', expected: "
                          "string%s", driver ? driver : "");
        return false;
    }
    return true;
}

/* "filename" is for protocols here; command lines may be laxer. */
static bool no_format_filename(json_t *options, GError **error)
{
    const BlockDriver *driver = qmp_str(options, "driver")
                                    ? block_driver_find(qmp_str(options,
                                                                "driver"))
                                    : NULL;
    bool named = driver && (driver->flags & BLOCK_DRIVER_PROTOCOL);
    const char *key;
    json_t *value;

    for (const BlockOption *o = driver ? driver->options : NULL;
         o && o->name; o++) {
        named |= !strcmp(o->name, "filename");
    }
    if (driver && !named && json_object_get(options, "filename")) {
        g_set_error(error, MONITOR_ERROR, 0,
                    "Parameter 'filename' is unexpected");
        return false;
    }
    json_object_foreach(options, key, value) {
        if (json_is_object(value) && !no_format_filename(value, error)) {
            return false;
        }
    }
    return true;
}

static json_t *run_add(void *opaque, json_t *args, GError **error)
{
    BlockNode *node;

    if (!known_driver(args, error) || !no_format_filename(args, error)) {
        return NULL;
    }
    if (!qmp_str(args, "node-name")) {
        g_set_error(error, MONITOR_ERROR, 0, "'node-name' must be specified "
                    "for the root node");
        return NULL;
    }
    block_graph_lock();
    node = block_node_open(args, BLOCK_OPEN_RDWR, error);
    if (node) {
        block_monitor_own(node); /* with our reference */
    }
    block_graph_unlock();
    return NULL;
}

bool monitor_blockdev_option(const char *text, GError **error)
{
    json_t *options = block_options_parse_any(text, "driver", error);
    GError *local = NULL;

    if (!options) {
        return false;
    }
    run_add(NULL, options, &local);
    json_decref(options);
    if (local) {
        g_propagate_error(error, local);
    }
    return local == NULL;
}

static const QmpArg del_args[] = { { "node-name", QMP_STR }, { NULL } };

/* A node whose backing child this is, or NULL. */
static BlockNode *find_overlay(BlockNode *node)
{
    BlockNode *above = block_node_next(NULL);

    while (above && block_node_backing(above) != node) {
        above = block_node_next(above);
    }
    return above;
}

static json_t *run_del(void *opaque, json_t *args, GError **error)
{
    const char *name = qmp_str(args, "node-name");
    BlockNode *overlay;
    BlockNode *node;

    block_graph_lock();
    node = block_node_lookup(NULL, name, NULL);
    if (!node) {
        g_set_error(error, MONITOR_ERROR, 0,
                    "Failed to find node with node-name='%s'", name);
    } else if (block_node_has_backend(node)) {
        g_set_error(error, MONITOR_ERROR, 0, "Node %s is in use", name);
    } else if ((overlay = find_overlay(node))) {
        g_set_error(error, MONITOR_ERROR, 0, "Node '%s' is busy: node is used "
                    "as backing hd of '%s'", name, block_node_name(overlay));
    } else if (!block_node_monitor_owned(node)) {
        g_set_error(error, MONITOR_ERROR, 0,
                    "Node %s is not owned by the monitor", name);
    } else if (block_node_has_parents(node)) {
        g_set_error(error, MONITOR_ERROR, 0, "Block device %s is in use",
                    name);
    } else {
        block_monitor_disown(node);
    }
    block_graph_unlock();
    return NULL;
}

static const QmpArg reopen_args[] = {
    { "options", QMP_OBJECT, .list = true },
    { NULL },
};

static json_t *run_reopen(void *opaque, json_t *args, GError **error)
{
    json_t *list = json_object_get(args, "options");
    size_t n = json_array_size(list);
    g_autofree json_t **options = g_new(json_t *, n + 1);

    for (size_t i = 0; i < n; i++) {
        options[i] = json_array_get(list, i);
        if (!known_driver(options[i], error)) {
            return NULL;
        }
    }
    block_node_reopen(options, n, error);
    return NULL;
}

/* ---- Resize ------------------------------------------------------------- */

static const QmpArg resize_args[] = {
    { "device", QMP_STR, .optional = true },
    { "node-name", QMP_STR, .optional = true },
    { "size", QMP_INT },
    { NULL },
};

static json_t *run_resize(void *opaque, json_t *args, GError **error)
{
    int64_t size = qmp_int(args, "size", 0);
    BlockBackend *backend;
    BlockNode *node;

    if (size < 0) {
        g_set_error(error, MONITOR_ERROR, 0,
                    "Parameter 'size' expects a >0 size");
        return NULL;
    }
    block_graph_lock();
    node = block_node_lookup(qmp_str(args, "device"),
                             qmp_str(args, "node-name"), error);
    if (!node) {
        block_graph_unlock();
        return NULL;
    }
    /* A job may have put its filter above what it works on. */
    if (!block_node_check_job(node, error) ||
        !block_node_check_job(block_node_skip_filters(node), error)) {
        block_graph_unlock();
        return NULL;
    }
    /* As a user of the node, so that others who do not allow it are heard. */
    backend = block_backend_new(NULL, "block_resize", BLOCK_PERM_RESIZE,
                                BLOCK_PERM_ALL);
    if (block_backend_attach(backend, node, error)) {
        block_truncate(node, size, false, BLOCK_PREALLOC_OFF, error);
    }
    block_backend_unref(backend);
    block_graph_unlock();
    return NULL;
}

/* ---- Snapshots ---------------------------------------------------------- */

const QmpArg monitor_snapshot_args[] = {
    { "node", QMP_STR },
    { "overlay", QMP_STR },
    { NULL },
};

const QmpArg monitor_snapshot_sync_args[] = {
    { "device", QMP_STR, .optional = true },
    { "node-name", QMP_STR, .optional = true },
    { "snapshot-file", QMP_STR },
    { "snapshot-node-name", QMP_STR, .optional = true },
    { "format", QMP_STR, .optional = true },
    { "mode", QMP_ENUM, .optional = true, .words = "existing/absolute-paths" },
    { NULL },
};

static BlockNode *open_overlay(json_t *args, BlockNode *old, GError **error)
{
    const char *file = qmp_str(args, "snapshot-file");
    const char *format = qmp_str(args, "format");
    const char *name = qmp_str(args, "snapshot-node-name");
    const char *mode = qmp_str(args, "mode");
    json_t *options;
    BlockNode *overlay;

    if (!format) {
        format = "qcow2";
    }
    if (name && block_node_find(name)) {
        g_set_error(error, MONITOR_ERROR, 0,
                    "New overlay node-name already in use");
        return NULL;
    }
    if ((!mode || strcmp(mode, "existing") != 0) &&
        !monitor_create_image(file, format, old, old, error)) {
        return NULL;
    }
    options = json_pack("{s:s, s:n, s:{s:s, s:s}}", "driver", format,
                        "backing", "file", "driver", "file", "filename",
                        file);
    if (name) {
        json_object_set_new(options, "node-name", json_string(name));
    }
    overlay = block_node_open(options,
                              block_node_open_flags(old) &
                                  ~(unsigned)BLOCK_OPEN_PROBED, error);
    json_decref(options);
    return overlay;
}

bool monitor_snapshot_prepare(json_t *args, bool sync, MonitorSnapshot *s,
                              GError **error)
{
    const char *node_name = qmp_str(args, sync ? "node-name" : "node");
    const char *device = sync ? qmp_str(args, "device") : node_name;
    BlockNode *old = block_node_lookup(device, node_name, error);
    BlockNode *overlay;
    unsigned perm, shared;

    memset(s, 0, sizeof(*s));
    if (!old || !block_node_check_job(old, error)) {
        return false;
    }
    if (sync) {
        overlay = open_overlay(args, old, error);
    } else {
        const char *name = qmp_str(args, "overlay");

        overlay = block_node_lookup(name, name, error);
        if (overlay) {
            block_node_ref(overlay);
        }
    }
    if (!overlay) {
        return false;
    }
    block_node_perms(overlay, &perm, &shared);
    if (perm & BLOCK_PERM_CONSISTENT_READ) {
        g_set_error(error, MONITOR_ERROR, 0, "The overlay is already in use");
    } else if (block_node_backing(overlay)) {
        g_set_error(error, MONITOR_ERROR, 0,
                    "The overlay already has a backing image");
    } else if (!(block_node_driver(overlay)->flags & BLOCK_DRIVER_BACKING)) {
        g_set_error(error, MONITOR_ERROR, 0,
                    "The overlay does not support backing images");
    } else {
        block_node_drain_begin(old);
        if (!block_node_is_read_only(old)) {
            block_flush(old);
        }
        if (block_node_append(overlay, old, error)) {
            s->old = block_node_ref(old);
            s->overlay = overlay;
            block_node_drain_end(old);
            return true;
        }
        block_node_drain_end(old);
    }
    block_node_unref(overlay);
    return false;
}

static void let_go(MonitorSnapshot *s)
{
    block_node_unref(s->overlay);
    block_node_unref(s->old);
    memset(s, 0, sizeof(*s));
}

void monitor_snapshot_undo(MonitorSnapshot *s)
{
    block_node_drain_begin(s->overlay);
    block_node_replace(s->overlay, s->old, NULL);
    block_node_set_backing(s->overlay, NULL, NULL);
    block_node_drain_end(s->overlay);
    let_go(s);
}

void monitor_snapshot_done(MonitorSnapshot *s)
{
    /* Nobody writes what is below an overlay; its bitmaps are stored.  If
     * somebody has to after all, it stays as it was. */
    block_node_reopen_read_only(s->old, true, NULL);
    let_go(s);
}

static void take_snapshot(json_t *args, bool sync, GError **error)
{
    MonitorSnapshot s;

    block_graph_lock();
    if (monitor_snapshot_prepare(args, sync, &s, error)) {
        monitor_snapshot_done(&s);
    }
    block_graph_unlock();
}

static json_t *run_snapshot(void *opaque, json_t *args, GError **error)
{
    take_snapshot(args, false, error);
    return NULL;
}

static json_t *run_snapshot_sync(void *opaque, json_t *args, GError **error)
{
    take_snapshot(args, true, error);
    return NULL;
}

/* ---- Others ------------------------------------------------------------- */

static const QmpArg change_backing_args[] = {
    { "device", QMP_STR },
    { "image-node-name", QMP_STR },
    { "backing-file", QMP_STR },
    { NULL },
};

static json_t *run_change_backing(void *opaque, json_t *args, GError **error)
{
    const char *device = qmp_str(args, "device");
    const char *name = qmp_str(args, "image-node-name");
    BlockNode *top;
    BlockNode *node = NULL;

    block_graph_lock();
    top = block_node_lookup(device, device, error);
    if (top) {
        node = block_node_lookup(NULL, name, error);
    }
    if (node && !block_node_backing(node)) {
        g_set_error(error, MONITOR_ERROR, 0,
                    "not allowing backing file change on an image without a "
                    "backing file");
    } else if (node) {
        bool was_read_only = block_node_is_read_only(node);
        BlockNode *backing = block_node_backing(node);

        if (!was_read_only ||
            block_node_reopen_read_only(node, false, error)) {
            block_node_change_backing_file(node,
                                           qmp_str(args, "backing-file"),
                                           block_node_driver_name(backing),
                                           error);
            if (was_read_only) {
                block_node_reopen_read_only(node, true, NULL);
            }
        }
    }
    block_graph_unlock();
    return NULL;
}

static const QmpArg threshold_args[] = {
    { "node-name", QMP_STR },
    { "write-threshold", QMP_SIZE },
    { NULL },
};

static json_t *run_threshold(void *opaque, json_t *args, GError **error)
{
    const char *name = qmp_str(args, "node-name");
    BlockNode *node;

    block_graph_lock();
    node = block_node_lookup(NULL, name, NULL);
    if (!node) {
        g_set_error(error, MONITOR_ERROR, 0, "Device '%s' not found", name);
    } else {
        block_node_set_write_threshold(node,
                                       qmp_int(args, "write-threshold", 0));
    }
    block_graph_unlock();
    return NULL;
}

static const QmpArg iothread_args[] = {
    { "node-name", QMP_STR },
    { "iothread", QMP_STR_OR_NULL },
    { "force", QMP_BOOL, .optional = true },
    { NULL },
};

/* Any thread runs requests here: there is nothing to move, only to check. */
static json_t *run_set_iothread(void *opaque, json_t *args, GError **error)
{
    const char *name = qmp_str(args, "node-name");
    const char *iothread = qmp_str(args, "iothread");

    block_graph_lock();
    if (!block_node_lookup(NULL, name, NULL)) {
        g_set_error(error, MONITOR_ERROR, 0,
                    "Failed to find node with node-name='%s'", name);
    } else if (iothread && !block_object_exists("iothread", iothread)) {
        g_set_error(error, MONITOR_ERROR, 0, "Cannot find iothread %s",
                    iothread);
    }
    block_graph_unlock();
    return NULL;
}

const QmpArg monitor_internal_snapshot_args[] = {
    { "device", QMP_STR },
    { "name", QMP_STR },
    { NULL },
};

static const QmpArg delete_internal_args[] = {
    { "device", QMP_STR },
    { "id", QMP_STR, .optional = true },
    { "name", QMP_STR, .optional = true },
    { NULL },
};

BlockNode *monitor_internal_snapshot(json_t *args, GError **error)
{
    const char *device = qmp_str(args, "device");
    const char *name = qmp_str(args, "name");
    BlockNode *node = block_node_lookup(device, device, error);
    const BlockDriver *driver = node ? block_node_driver(node) : NULL;
    BlockSnapshot snapshot = { .icount = UINT64_MAX };
    gint64 now = g_get_real_time();
    bool ok;

    if (!node) {
        return NULL;
    }
    if (!driver->snapshot_create) {
        g_set_error(error, MONITOR_ERROR, 0, "Block format '%s' used by "
                    "device '%s' does not support feature 'internal "
                    "snapshots'", driver->name, device);
        return NULL;
    }
    if (!*name) {
        g_set_error(error, MONITOR_ERROR, 0, "Name is empty");
        return NULL;
    }
    json_t *twin = block_snapshot_info(node, NULL, name);

    if (twin) {
        json_decref(twin);
        g_set_error(error, MONITOR_ERROR, 0, "Snapshot with name '%s' "
                    "already exists on device '%s'", name, device);
        return NULL;
    }
    if (block_node_is_read_only(node)) {
        g_set_error(error, MONITOR_ERROR, 0, "Device '%s' is read only",
                    device);
        return NULL;
    }
    g_strlcpy(snapshot.name, name, sizeof(snapshot.name));
    snapshot.date_sec = now / G_USEC_PER_SEC;
    snapshot.date_nsec = now % G_USEC_PER_SEC * 1000;
    block_node_drain_begin(node);
    ok = driver->snapshot_create(node, &snapshot, error);
    block_node_drain_end(node);
    return ok ? node : NULL;
}

static json_t *run_internal_snapshot(void *opaque, json_t *args,
                                     GError **error)
{
    block_graph_lock();
    monitor_internal_snapshot(args, error);
    block_graph_unlock();
    return NULL;
}

static json_t *run_delete_internal(void *opaque, json_t *args, GError **error)
{
    const char *device = qmp_str(args, "device");
    const char *id = qmp_str(args, "id");
    const char *name = qmp_str(args, "name");
    BlockNode *node;
    json_t *info = NULL;

    if (!id && !name) {
        g_set_error(error, MONITOR_ERROR, 0,
                    "Name or id must be provided");
        return NULL;
    }
    block_graph_lock();
    node = block_node_lookup(device, device, error);
    info = node ? block_snapshot_info(node, id, name) : NULL;
    if (node && !info) {
        g_set_error(error, MONITOR_ERROR, 0, "Snapshot with id '%s' and name "
                    "'%s' does not exist on device '%s'", id ? id : "(null)",
                    name ? name : "(null)", device);
    } else if (node) {
        block_node_drain_begin(node);
        if (!block_node_driver(node)->snapshot_delete(node, id, name,
                                                      error)) {
            g_clear_pointer(&info, json_decref);
        }
        block_node_drain_end(node);
    }
    block_graph_unlock();
    return info;
}

const QmpCommand monitor_node_commands[] = {
    { "blockdev-add", NULL, run_add, QMP_ANY_ARGS },
    { "blockdev-del", del_args, run_del },
    { "blockdev-reopen", reopen_args, run_reopen },
    { "block_resize", resize_args, run_resize },
    { "blockdev-snapshot", monitor_snapshot_args, run_snapshot },
    { "blockdev-snapshot-sync", monitor_snapshot_sync_args,
      run_snapshot_sync },
    { "blockdev-snapshot-internal-sync", monitor_internal_snapshot_args,
      run_internal_snapshot },
    { "blockdev-snapshot-delete-internal-sync", delete_internal_args,
      run_delete_internal },
    { "change-backing-file", change_backing_args, run_change_backing },
    { "block-set-write-threshold", threshold_args, run_threshold },
    { "x-blockdev-set-iothread", iothread_args, run_set_iothread,
      QMP_EXPERIMENTAL },
    { NULL },
};
