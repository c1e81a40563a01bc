/*
 * QMP: transaction - several actions, all or none.
 *
 * Each action is prepared in turn; when one fails, those before it are undone
 * in reverse order.  The nodes concerned stay drained from the first prepare
 * to the last commit, so no guest write falls between two actions.
 */
#include "monitor/block-commands-int.h"

#include <stdio.h>
#include <string.h>

#include "block/driver.h"
#include "monitor/block-jobs-int.h"

typedef struct Action Action;

typedef struct ActionType {
    const char *name;
    const QmpArg *args; /* NULL with check_any: the step checks */
    bool any_args;
    bool grouped; /* completion-mode grouped makes sense */
    /* Drains the node named by this member from prepare to the end. */
    const char *node_arg;
    bool (*prepare)(Action *action, GError **error);
    void (*commit)(Action *action); /* may be NULL */
    void (*undo)(Action *action);   /* may be NULL */
} ActionType;

struct Action {
    const ActionType *type;
    json_t *data;
    BlockDirtyBitmap *bitmap;
    HBitmap *backup;
    bool was_enabled;
    MonitorSnapshot snapshot;
    BlockNode *snapshot_of; /* an internal one; drained, so it stays */
    BlockJob *job;
    BlockJobTransaction *group; /* borrowed; NULL: individual */
    BlockNode *drained;         /* own reference */
};

/* ---- Bitmaps ------------------------------------------------------------ */

static bool prepare_add(Action *a, GError **error)
{
    a->bitmap = monitor_bitmap_add(a->data, error);
    return a->bitmap != NULL;
}

static void undo_add(Action *a)
{
    block_dirty_bitmap_release(a->bitmap);
}

static bool prepare_remove(Action *a, GError **error)
{
    a->bitmap = monitor_bitmap_remove_begin(a->data, error);
    return a->bitmap != NULL;
}

static void commit_remove(Action *a)
{
    monitor_bitmap_remove_finish(a->bitmap);
}

static void undo_remove(Action *a)
{
    block_dirty_bitmap_set_busy(a->bitmap, false);
    block_dirty_bitmap_set_skip_store(a->bitmap, false);
}

static BlockDirtyBitmap *checked_bitmap(Action *a, unsigned checks,
                                        GError **error)
{
    BlockDirtyBitmap *bitmap = monitor_find_bitmap(
        qmp_str(a->data, "node"), qmp_str(a->data, "name"), NULL, error);

    return bitmap && block_dirty_bitmap_check(bitmap, checks, error) ? bitmap
                                                                     : NULL;
}

static bool prepare_clear(Action *a, GError **error)
{
    a->bitmap = checked_bitmap(a, BLOCK_BITMAP_DEFAULT, error);
    if (!a->bitmap) {
        return false;
    }
    block_dirty_bitmap_clear(a->bitmap, &a->backup);
    return true;
}

static void drop_backup(Action *a)
{
    hbitmap_free(a->backup);
}

static void undo_bits(Action *a)
{
    if (a->backup) {
        block_dirty_bitmap_restore(a->bitmap, a->backup);
    }
}

static bool prepare_switch(Action *a, bool on, GError **error)
{
    a->bitmap = checked_bitmap(a, BLOCK_BITMAP_ALLOW_RO, error);
    if (!a->bitmap) {
        return false;
    }
    a->was_enabled = block_dirty_bitmap_enabled(a->bitmap);
    (on ? block_dirty_bitmap_enable : block_dirty_bitmap_disable)(a->bitmap);
    return true;
}

static bool prepare_enable(Action *a, GError **error)
{
    return prepare_switch(a, true, error);
}

static bool prepare_disable(Action *a, GError **error)
{
    return prepare_switch(a, false, error);
}

static void undo_switch(Action *a)
{
    (a->was_enabled ? block_dirty_bitmap_enable
                    : block_dirty_bitmap_disable)(a->bitmap);
}

static bool prepare_merge(Action *a, GError **error)
{
    a->bitmap = monitor_bitmap_merge(a->data, &a->backup, error);
    return a->bitmap != NULL;
}

/* ---- Snapshots ---------------------------------------------------------- */

static bool prepare_snapshot(Action *a, GError **error)
{
    return monitor_snapshot_prepare(a->data, false, &a->snapshot, error);
}

static bool prepare_snapshot_sync(Action *a, GError **error)
{
    return monitor_snapshot_prepare(a->data, true, &a->snapshot, error);
}

static void commit_snapshot(Action *a)
{
    monitor_snapshot_done(&a->snapshot);
}

static void undo_snapshot(Action *a)
{
    monitor_snapshot_undo(&a->snapshot);
}

static bool prepare_internal_snapshot(Action *a, GError **error)
{
    a->snapshot_of = monitor_internal_snapshot(a->data, error);
    return a->snapshot_of != NULL;
}

static void undo_internal_snapshot(Action *a)
{
    const char *name = qmp_str(a->data, "name");
    g_autoptr(GError) error = NULL;

    block_node_drain_begin(a->snapshot_of);
    if (!block_node_driver(a->snapshot_of)->snapshot_delete(
            a->snapshot_of, NULL, name, &error)) {
        fprintf(stderr, "Snapshot '%s' of node '%s' stays: %s\n", name,
                block_node_name(a->snapshot_of), error->message);
    }
    block_node_drain_end(a->snapshot_of);
}

/* ---- Jobs --------------------------------------------------------------- */

static bool prepare_blockdev_backup(Action *a, GError **error)
{
    a->job = monitor_blockdev_backup(a->data, a->group, error);
    return a->job != NULL;
}

static bool prepare_drive_backup(Action *a, GError **error)
{
    a->job = monitor_drive_backup(a->data, a->group, error);
    return a->job != NULL;
}

static void commit_job(Action *a)
{
    block_job_start(a->job);
}

static void undo_job(Action *a)
{
    block_job_abandon(a->job);
}

/* ---- abort -------------------------------------------------------------- */

static bool prepare_abort(Action *a, GError **error)
{
    g_set_error(error, MONITOR_ERROR, 0,
                "Transaction aborted using Abort action");
    return false;
}

static const QmpArg no_args[] = { { NULL } };

static const ActionType action_types[] = {
    { "abort", no_args, .grouped = true, .prepare = prepare_abort },
    { "block-dirty-bitmap-add", monitor_bitmap_add_args,
      .prepare = prepare_add, .undo = undo_add },
    { "block-dirty-bitmap-remove", monitor_bitmap_args,
      .prepare = prepare_remove, .commit = commit_remove,
      .undo = undo_remove },
    { "block-dirty-bitmap-clear", monitor_bitmap_args, .node_arg = "node",
      .prepare = prepare_clear, .commit = drop_backup, .undo = undo_bits },
    { "block-dirty-bitmap-enable", monitor_bitmap_args, .node_arg = "node",
      .prepare = prepare_enable, .undo = undo_switch },
    { "block-dirty-bitmap-disable", monitor_bitmap_args, .node_arg = "node",
      .prepare = prepare_disable, .undo = undo_switch },
    { "block-dirty-bitmap-merge", monitor_bitmap_merge_args,
      .node_arg = "node", .prepare = prepare_merge, .commit = drop_backup,
      .undo = undo_bits },
    { "blockdev-snapshot", monitor_snapshot_args, .node_arg = "node",
      .prepare = prepare_snapshot, .commit = commit_snapshot,
      .undo = undo_snapshot },
    { "blockdev-snapshot-internal-sync", monitor_internal_snapshot_args,
      .node_arg = "device", .prepare = prepare_internal_snapshot,
      .undo = undo_internal_snapshot },
    { "blockdev-snapshot-sync", monitor_snapshot_sync_args,
      .prepare = prepare_snapshot_sync, .commit = commit_snapshot,
      .undo = undo_snapshot },
    { "blockdev-backup", monitor_blockdev_backup_args, .grouped = true,
      .node_arg = "device", .prepare = prepare_blockdev_backup,
      .commit = commit_job, .undo = undo_job },
    { "drive-backup", monitor_drive_backup_args, .grouped = true,
      .node_arg = "device", .prepare = prepare_drive_backup,
      .commit = commit_job, .undo = undo_job },
};

/* ---- The command -------------------------------------------------------- */

static const ActionType *find_type(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(action_types); i++) {
        if (!strcmp(action_types[i].name, name)) {
            return &action_types[i];
        }
    }
    return NULL;
}

static bool check_action(Action *a, json_t *element, size_t index,
                         bool grouped, GError **error)
{
    static const QmpArg members[] = {
        { "type", QMP_STR }, { "data", QMP_OBJECT }, { NULL },
    };
    g_autofree char *prefix = g_strdup_printf("actions[%zu].", index);
    g_autofree char *data_prefix = g_strconcat(prefix, "data.", NULL);

    if (!qmp_check(element, members, prefix, error)) {
        return false;
    }
    a->type = find_type(qmp_str(element, "type"));
    if (!a->type) {
        g_set_error(error, MONITOR_ERROR, 0,
                    "Parameter 'type' does not accept value '%s'",
                    qmp_str(element, "type"));
        return false;
    }
    if (grouped && !a->type->grouped) {
        g_set_error(error, MONITOR_ERROR, 0, "Action '%s' does not support "
                    "Transaction property completion-mode = grouped",
                    a->type->name);
        return false;
    }
    a->data = json_object_get(element, "data");
    return qmp_check(a->data, a->type->args, data_prefix, error);
}

static void drain_for(Action *a)
{
    const char *name = a->type->node_arg ? qmp_str(a->data, a->type->node_arg)
                                         : NULL;
    BlockNode *node = name ? block_node_lookup(name, name, NULL) : NULL;

    if (node) {
        a->drained = block_node_ref(node);
        block_node_drain_begin(node);
    }
}

static bool run_actions(Action *actions, size_t n, GError **error)
{
    size_t done = 0;
    bool ok = true;

    for (size_t i = 0; i < n; i++) {
        drain_for(&actions[i]);
    }
    while (ok && done < n) {
        ok = actions[done].type->prepare(&actions[done], error);
        done += ok;
    }
    for (size_t i = 0; ok && i < n; i++) {
        if (actions[i].type->commit) {
            actions[i].type->commit(&actions[i]);
        }
    }
    while (!ok && done-- > 0) {
        if (actions[done].type->undo) {
            actions[done].type->undo(&actions[done]);
        }
    }
    for (size_t i = n; i-- > 0;) {
        if (actions[i].drained) {
            block_node_drain_end(actions[i].drained);
            block_node_unref(actions[i].drained);
        }
    }
    return ok;
}

static const QmpArg properties[] = {
    { "completion-mode", QMP_ENUM, .optional = true,
      .words = "individual/grouped" },
    { NULL },
};

static const QmpArg transaction_args[] = {
    { "actions", QMP_OBJECT, .list = true },
    { "properties", QMP_OBJECT, .optional = true, .members = properties },
    { NULL },
};

static json_t *run_transaction(void *opaque, json_t *args, GError **error)
{
    json_t *list = json_object_get(args, "actions");
    json_t *props = json_object_get(args, "properties");
    size_t n = json_array_size(list);
    g_autofree Action *actions = g_new0(Action, n + 1);
    bool grouped = props && qmp_enum(props, "completion-mode",
                                     "individual/grouped") == 1;
    BlockJobTransaction *group = NULL;

    for (size_t i = 0; i < n; i++) {
        if (!check_action(&actions[i], json_array_get(list, i), i, grouped,
                          error)) {
            return NULL;
        }
    }
    block_graph_lock();
    group = grouped ? block_job_transaction_new() : NULL;
    for (size_t i = 0; i < n; i++) {
        actions[i].group = group;
    }
    run_actions(actions, n, error);
    block_job_transaction_unref(group);
    block_graph_unlock();
    return NULL;
}

const QmpCommand monitor_transaction_commands[] = {
    { "transaction", transaction_args, run_transaction },
    { NULL },
};
