/*
 * savevm, loadvm and delvm, and the jobs snapshot-save, snapshot-load and
 * snapshot-delete: the machine's state in an internal snapshot of its disks.
 *
 * With the former every writable disk takes part, so all of them must be
 * qcow2; the first one's snapshot has the state of the machine (its "VM
 * state").  The jobs name the disks and where the state goes.
 */
#include "tools/e2k-system.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "block/driver.h"
#include "block/monitor-nodes.h"
#include "system/snapshot.h"

/* A position in the VM state of a node. */
typedef struct StateFile {
    BlockNode *node;
    uint64_t offset;
    uint64_t bytes;  /* when reading: all there are */
} StateFile;

static bool write_state(void *opaque, const void *bytes, size_t n,
                        GError **error)
{
    StateFile *file = opaque;
    struct iovec iov = { (void *)bytes, n };
    int ret = block_node_driver(file->node)->vmstate_pwritev(
        file->node, file->offset, n, &iov, 1);

    file->offset += n;
    if (ret < 0) {
        g_set_error(error, TOOL_ERROR, 0, "cannot write the VM state to "
                    "'%s': %s", block_node_name(file->node),
                    g_strerror(-ret));
    }
    return ret == 0;
}

static bool read_state(void *opaque, void *bytes, size_t n, GError **error)
{
    StateFile *file = opaque;
    struct iovec iov = { bytes, n };
    int ret = file->bytes - file->offset < n
                  ? -ENODATA
                  : block_node_driver(file->node)->vmstate_preadv(
                        file->node, file->offset, n, &iov, 1);

    file->offset += n;
    if (ret < 0) {
        g_set_error(error, TOOL_ERROR, 0, "cannot read the VM state of '%s': "
                    "%s", block_node_name(file->node), g_strerror(-ret));
    }
    return ret == 0;
}

/* Writable disks of the guest, once each; NULL when one cannot take part. */
static GPtrArray *find_disks(GError **error)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new();

    for (BlockBackend *b = block_backend_next(NULL); b;
         b = block_backend_next(b)) {
        BlockNode *node = block_backend_device(b) ? block_backend_node(b)
                                                  : NULL;

        if (!node || block_node_is_read_only(node) ||
            g_ptr_array_find(disks, node, NULL)) {
            continue;
        }
        if (!block_node_driver(node)->snapshot_create) {
            g_set_error(error, TOOL_ERROR, 0, "device '%s' is writable but "
                        "its format '%s' has no snapshots",
                        block_backend_device(b),
                        block_node_driver(node)->name);
            return NULL;
        }
        g_ptr_array_add(disks, node);
    }
    if (!disks->len) {
        g_set_error(error, TOOL_ERROR, 0, "no writable qcow2 disk that could "
                    "keep the state of the machine");
        return NULL;
    }
    return g_steal_pointer(&disks);
}

/* Finds by name; false when there is no such snapshot. */
static bool find_snapshot(BlockNode *node, const char *name,
                          BlockSnapshot *found)
{
    g_autofree BlockSnapshot *list = NULL;
    size_t n = 0;

    if (!block_node_driver(node)->snapshot_list(node, &list, &n, NULL)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(list[i].name, name)) {
            *found = list[i];
            return true;
        }
    }
    return false;
}

static bool delete_from(BlockNode *node, const char *name, GError **error)
{
    BlockSnapshot found;
    bool ok = true;

    if (find_snapshot(node, name, &found)) {
        block_node_drain_begin(node);
        ok = block_node_driver(node)->snapshot_delete(node, found.id, NULL,
                                                      error);
        block_node_drain_end(node);
    }
    return ok;
}

static bool create_on(BlockNode *node, const char *name, uint64_t state_bytes,
                      int64_t now_ns, GError **error)
{
    BlockSnapshot snapshot = {
        .vm_state_size = state_bytes,
        .vm_clock_ns = now_ns,
        .icount = UINT64_MAX,
    };
    gint64 date = g_get_real_time();

    g_strlcpy(snapshot.name, name, sizeof(snapshot.name));
    snapshot.date_sec = date / G_USEC_PER_SEC;
    snapshot.date_nsec = date % G_USEC_PER_SEC * 1000;
    block_node_drain_begin(node);
    bool ok = block_node_driver(node)->snapshot_create(node, &snapshot,
                                                       error);

    block_node_drain_end(node);
    return ok;
}

/* The disks that a job names; NULL: the guest's. */
static GPtrArray *named_disks(const char *const *names, GError **error)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new();

    if (!names) {
        return find_disks(error);
    }
    for (; *names; names++) {
        BlockNode *node = block_node_find(*names);

        if (!node || !block_node_driver(node)->snapshot_create) {
            g_set_error(error, TOOL_ERROR, 0,
                        node ? "node '%s' has a format without snapshots"
                             : "there is no node '%s'", *names);
            return NULL;
        }
        if (!g_ptr_array_find(disks, node, NULL)) {
            g_ptr_array_add(disks, node);
        }
    }
    if (!disks->len) {
        g_set_error(error, TOOL_ERROR, 0, "no device is named");
        return NULL;
    }
    return g_steal_pointer(&disks);
}

/* Which of the disks has the VM state: the one named, or the first. */
static BlockNode *state_node(GPtrArray *disks, const char *name,
                             GError **error)
{
    BlockNode *node = name ? block_node_find(name)
                           : g_ptr_array_index(disks, 0);

    if (!node || !g_ptr_array_find(disks, node, NULL)) {
        g_set_error(error, TOOL_ERROR, 0, "the state's node '%s' is not among "
                    "the devices", name);
        return NULL;
    }
    return node;
}

/* Graph lock held, machine stopped. */
static bool save_locked(Machine *machine, const char *name,
                        const SnapshotPlace *place, GError **error)
{
    g_autoptr(GPtrArray) disks = named_disks(place->devices, error);
    StateFile file = {
        .node = disks ? state_node(disks, place->vmstate, error) : NULL
    };
    bool ok = file.node != NULL;
    BlockSnapshot found;

    for (guint i = 0; ok && i < disks->len; i++) {
        BlockNode *node = g_ptr_array_index(disks, i);

        if (place->devices && find_snapshot(node, name, &found)) {
            g_set_error(error, TOOL_ERROR, 0, "node '%s' has a snapshot '%s' "
                        "already", block_node_name(node), name);
            return false;
        }
        ok = delete_from(node, name, error);
    }
    ok = ok && snapshot_save(machine, write_state, &file, error);
    for (guint i = 0; ok && i < disks->len; i++) {
        BlockNode *node = g_ptr_array_index(disks, i);

        ok = create_on(node, name, node == file.node ? file.offset : 0,
                       clock_now_ns(machine->clock), error);
    }
    return ok;
}

/* *changed: the machine is not any more what it was, also after an error. */
static bool load_locked(Machine *machine, const char *name,
                        const SnapshotPlace *place, bool *changed,
                        GError **error)
{
    g_autoptr(GPtrArray) disks = named_disks(place->devices, error);
    BlockNode *wanted = disks && place->vmstate
                            ? state_node(disks, place->vmstate, error)
                            : NULL;
    StateFile file = { 0 };
    BlockSnapshot found;

    if (!disks || (place->vmstate && !wanted)) {
        return false;
    }
    for (guint i = 0; i < disks->len; i++) {
        BlockNode *node = g_ptr_array_index(disks, i);

        if (!find_snapshot(node, name, &found)) {
            g_set_error(error, TOOL_ERROR, 0, "disk '%s' has no snapshot "
                        "'%s'", block_node_name(node), name);
            return false;
        }
        if (found.vm_state_size && !file.node &&
            (!wanted || node == wanted)) {
            file.node = node;
            file.bytes = found.vm_state_size;
        }
    }
    if (!file.node) {
        g_set_error(error, TOOL_ERROR, 0, "snapshot '%s' is of the disk "
                    "alone, without the state of a machine", name);
        return false;
    }
    *changed = true;
    snapshot_quiesce(machine);
    for (guint i = 0; i < disks->len; i++) {
        BlockNode *node = g_ptr_array_index(disks, i);

        block_node_drain_begin(node);
        bool ok = block_node_driver(node)->snapshot_goto(node, name, error);

        block_node_drain_end(node);
        if (!ok) {
            return false;
        }
    }
    return snapshot_load(machine, read_state, &file, error);
}

static const SnapshotPlace all_disks;

bool system_snapshot_save(Machine *machine, const char *name,
                          const SnapshotPlace *place, GError **error)
{
    bool running = machine_is_running(machine);

    machine_stop(machine);
    block_graph_lock();
    bool ok = save_locked(machine, name, place, error);

    block_graph_unlock();
    snapshot_resume(machine);
    if (running) {
        machine_cont(machine);
    }
    return ok;
}

bool system_snapshot_load(Machine *machine, const char *name,
                          const SnapshotPlace *place, GError **error)
{
    bool running = machine_is_running(machine);
    bool changed = false;

    machine_stop(machine);
    block_graph_lock();
    bool ok = load_locked(machine, name, place, &changed, error);

    block_graph_unlock();
    if (ok) {
        machine_set_stopped(machine, RUN_STATE_PAUSED);
    }
    if ((ok || !changed) && running) {
        machine_cont(machine);
    }
    return ok;
}

bool system_snapshot_delete(const char *name, const SnapshotPlace *place,
                            GError **error)
{
    block_graph_lock();
    g_autoptr(GPtrArray) disks = named_disks(place->devices, error);
    bool ok = disks != NULL;

    for (guint i = 0; ok && i < disks->len; i++) {
        ok = delete_from(g_ptr_array_index(disks, i), name, error);
    }
    block_graph_unlock();
    return ok;
}

bool system_savevm(Machine *machine, const char *name, GError **error)
{
    return system_snapshot_save(machine, name, &all_disks, error);
}

bool system_loadvm(Machine *machine, const char *name, GError **error)
{
    return system_snapshot_load(machine, name, &all_disks, error);
}

bool system_delvm(const char *name, GError **error)
{
    return system_snapshot_delete(name, &all_disks, error);
}

void system_list_snapshots(FILE *to)
{
    g_autofree BlockSnapshot *list = NULL;
    size_t n = 0;

    block_graph_lock();
    g_autoptr(GPtrArray) disks = find_disks(NULL);
    BlockNode *node = disks ? g_ptr_array_index(disks, 0) : NULL;

    if (node) {
        block_node_driver(node)->snapshot_list(node, &list, &n, NULL);
    }
    block_graph_unlock();
    fprintf(to, "ID   TAG                  VM SIZE        DATE\n");
    for (size_t i = 0; i < n; i++) {
        time_t date = list[i].date_sec;
        char text[32] = "";
        struct tm parts;

        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S",
                 localtime_r(&date, &parts));
        fprintf(to, "%-4s %-20s %-14" PRIu64 " %s\n", list[i].id,
                list[i].name, list[i].vm_state_size, text);
    }
}
