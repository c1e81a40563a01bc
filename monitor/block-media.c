/*
 * QMP: media of drives.  A backend without a guest's device can lose its node
 * and get another; the disks that guests see here are not removable.
 */
#include "monitor/block-commands-int.h"

#include <string.h>

#include "block/backend.h"
#include "block/export.h"
#include "block/monitor-nodes.h"

static const char *label(json_t *args)
{
    const char *device = qmp_str(args, "device");

    return device ? device : qmp_str(args, "id");
}

static bool fail(GError **error, const char *format, const char *what)
{
    g_set_error(error, MONITOR_ERROR, 0, format, what);
    return false;
}

/* The drive that args name, if its medium can be changed. */
static BlockBackend *find_drive(json_t *args, GError **error)
{
    BlockBackend *backend = monitor_find_device(args, error);

    if (backend && block_backend_device(backend)) {
        fail(error, "Device '%s' is not removable", label(args));
        backend = NULL;
    }
    return backend;
}

/* Not under the graph lock: exports of the drive end, in their threads. */
static bool remove_medium(json_t *args, GError **error)
{
    g_autofree char *exported = NULL;
    BlockBackend *backend;
    BlockNode *node;
    bool ok;

    block_graph_lock();
    backend = find_drive(args, error);
    node = backend ? block_backend_node(backend) : NULL;
    ok = backend && (!node || block_node_check_job(node, error));
    if (ok) {
        exported = g_strdup(block_backend_name(backend));
    }
    block_graph_unlock();
    if (!ok) {
        return false;
    }
    block_exports_eject(exported);
    block_graph_lock();
    backend = find_drive(args, error);
    if (backend) {
        block_backend_detach(backend);
    }
    block_graph_unlock();
    return backend != NULL;
}

static const QmpArg eject_args[] = {
    { "device", QMP_STR, .optional = true },
    { "id", QMP_STR, .optional = true },
    { "force", QMP_BOOL, .optional = true },
    { NULL },
};

static json_t *run_eject(void *opaque, json_t *args, GError **error)
{
    remove_medium(args, error);
    return NULL;
}

static const QmpArg id_args[] = { { "id", QMP_STR }, { NULL } };

static const QmpArg insert_args[] = {
    { "id", QMP_STR },
    { "node-name", QMP_STR },
    { NULL },
};

static json_t *run_insert(void *opaque, json_t *args, GError **error)
{
    const char *name = qmp_str(args, "node-name");
    BlockBackend *backend;
    BlockNode *node;

    block_graph_lock();
    backend = find_drive(args, error);
    node = backend ? block_node_lookup(NULL, name, error) : NULL;
    if (node && block_node_has_backend(node)) {
        fail(error, "Node '%s' is already in use", name);
    } else if (node && block_backend_node(backend)) {
        fail(error, "There already is a medium in device '%s'", label(args));
    } else if (node) {
        block_backend_attach(backend, node, error);
    }
    block_graph_unlock();
    return NULL;
}

/* No drive without a device has a tray; the names are those of scripts. */
static json_t *run_tray(void *opaque, json_t *args, GError **error)
{
    block_graph_lock();
    find_drive(args, error);
    block_graph_unlock();
    return NULL;
}

enum { RETAIN, READ_ONLY, READ_WRITE };
#define MODES "retain/read-only/read-write"

static const QmpArg change_args[] = {
    { "device", QMP_STR, .optional = true },
    { "id", QMP_STR, .optional = true },
    { "filename", QMP_STR },
    { "format", QMP_STR, .optional = true },
    { "force", QMP_BOOL, .optional = true },
    { "read-only-mode", QMP_ENUM, .optional = true, .words = MODES },
    { NULL },
};

/* The new image, opened as the mode says; perm is for the backend. */
static BlockNode *open_medium(BlockBackend *backend, json_t *args,
                              unsigned *perm, GError **error)
{
    BlockNode *old = block_backend_node(backend);
    int mode = MAX(qmp_enum(args, "read-only-mode", MODES), RETAIN);
    unsigned flags = old ? block_node_open_flags(old) : BLOCK_OPEN_UNMAP;
    bool writable = mode == RETAIN
                        ? block_backend_perm(backend) & BLOCK_PERM_WRITE
                        : mode == READ_WRITE;

    *perm = BLOCK_PERM_CONSISTENT_READ | (writable ? BLOCK_PERM_WRITE : 0);
    flags &= ~(unsigned)(BLOCK_OPEN_RDWR | BLOCK_OPEN_PROBED);
    return block_node_open_filename(qmp_str(args, "filename"),
                                    qmp_str(args, "format"), NULL,
                                    flags | (writable ? BLOCK_OPEN_RDWR : 0),
                                    error);
}

static json_t *run_change(void *opaque, json_t *args, GError **error)
{
    BlockBackend *backend;
    BlockNode *node;
    unsigned perm;

    block_graph_lock();
    backend = find_drive(args, error);
    node = backend ? open_medium(backend, args, &perm, error) : NULL;
    block_graph_unlock();
    if (!node) {
        return NULL;
    }
    if (remove_medium(args, error)) {
        block_graph_lock();
        backend = find_drive(args, error);
        if (backend && !block_backend_node(backend) &&
            block_backend_set_perm(backend, perm, BLOCK_PERM_ALL, error)) {
            block_backend_attach(backend, node, error);
        }
        block_graph_unlock();
    }
    block_node_unref(node);
    return NULL;
}

const QmpCommand monitor_media_commands[] = {
    { "eject", eject_args, run_eject },
    { "blockdev-open-tray", eject_args, run_tray },
    { "blockdev-close-tray", eject_args, run_tray },
    { "blockdev-remove-medium", id_args, run_eject },
    { "blockdev-insert-medium", insert_args, run_insert },
    { "blockdev-change-medium", change_args, run_change },
    { NULL },
};
