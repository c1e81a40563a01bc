/* QMP: block-dirty-bitmap-*. */
#include "monitor/block-commands-int.h"

#include <string.h>

#include "block/driver.h"

/* ---- Lookup ------------------------------------------------------------- */

BlockDirtyBitmap *monitor_find_bitmap(const char *node_name,
                                      const char *name, BlockNode **node,
                                      GError **error)
{
    BlockNode *found = block_node_lookup(node_name, node_name, NULL);
    BlockDirtyBitmap *bitmap;

    if (!found) {
        g_set_error(error, MONITOR_ERROR, 0, "Node '%s' not found",
                    node_name);
        return NULL;
    }
    bitmap = block_dirty_bitmap_find(found, name);
    if (!bitmap) {
        g_set_error(error, MONITOR_ERROR, 0, "Dirty bitmap '%s' not found",
                    name);
        return NULL;
    }
    if (node) {
        *node = found;
    }
    return bitmap;
}

static BlockDirtyBitmap *bitmap_of(json_t *args, BlockNode **node,
                                   GError **error)
{
    return monitor_find_bitmap(qmp_str(args, "node"), qmp_str(args, "name"),
                               node, error);
}

/* ---- add ---------------------------------------------------------------- */

const QmpArg monitor_bitmap_add_args[] = {
    { "node", QMP_STR },
    { "name", QMP_STR },
    { "granularity", QMP_UINT32, .optional = true },
    { "persistent", QMP_BOOL, .optional = true },
    { "autoload", QMP_BOOL, .optional = true },
    { "disabled", QMP_BOOL, .optional = true },
    { NULL },
};

BlockDirtyBitmap *monitor_bitmap_add(json_t *args, GError **error)
{
    const char *node_name = qmp_str(args, "node");
    const char *name = qmp_str(args, "name");
    bool persistent = qmp_bool(args, "persistent", false);
    BlockNode *node = block_node_lookup(node_name, node_name, error);
    BlockDirtyBitmap *bitmap;
    uint32_t granularity;

    if (!node) {
        return NULL;
    }
    if (!*name) {
        g_set_error(error, MONITOR_ERROR, 0, "Bitmap name cannot be empty");
        return NULL;
    }
    granularity = json_object_get(args, "granularity")
                      ? qmp_int(args, "granularity", 0)
                      : block_dirty_bitmap_default_granularity(node);
    if (granularity < BLOCK_BITMAP_MIN_GRANULARITY ||
        (granularity & (granularity - 1))) {
        g_set_error(error, MONITOR_ERROR, 0,
                    "Granularity must be power of 2 and at least 512");
        return NULL;
    }
    if (persistent &&
        !block_dirty_bitmap_can_store(node, name, granularity, error)) {
        return NULL;
    }
    bitmap = block_dirty_bitmap_new(node, name, granularity, error);
    if (!bitmap) {
        return NULL;
    }
    if (qmp_bool(args, "disabled", false)) {
        block_dirty_bitmap_disable(bitmap);
    }
    block_dirty_bitmap_set_persistent(bitmap, persistent);
    return bitmap;
}

static json_t *run_add(void *opaque, json_t *args, GError **error)
{
    block_graph_lock();
    monitor_bitmap_add(args, error);
    block_graph_unlock();
    return NULL;
}

/* ---- remove ------------------------------------------------------------- */

const QmpArg monitor_bitmap_args[] = {
    { "node", QMP_STR },
    { "name", QMP_STR },
    { NULL },
};

BlockDirtyBitmap *monitor_bitmap_remove_begin(json_t *args, GError **error)
{
    BlockNode *node;
    BlockDirtyBitmap *bitmap = bitmap_of(args, &node, error);

    if (!bitmap ||
        !block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_BUSY | BLOCK_BITMAP_RO,
                                  error)) {
        return NULL;
    }
    if (block_dirty_bitmap_persistent(bitmap) &&
        !block_dirty_bitmap_remove_stored(node, qmp_str(args, "name"),
                                          error)) {
        return NULL;
    }
    block_dirty_bitmap_set_skip_store(bitmap, true);
    block_dirty_bitmap_set_busy(bitmap, true);
    return bitmap;
}

void monitor_bitmap_remove_finish(BlockDirtyBitmap *bitmap)
{
    block_dirty_bitmap_set_busy(bitmap, false);
    block_dirty_bitmap_release(bitmap);
}

static json_t *run_remove(void *opaque, json_t *args, GError **error)
{
    BlockDirtyBitmap *bitmap;

    block_graph_lock();
    bitmap = monitor_bitmap_remove_begin(args, error);
    if (bitmap) {
        monitor_bitmap_remove_finish(bitmap);
    }
    block_graph_unlock();
    return NULL;
}

/* ---- clear, enable, disable ---------------------------------------------- */

static void with_bitmap(json_t *args, unsigned checks,
                        void (*action)(BlockDirtyBitmap *), GError **error)
{
    BlockDirtyBitmap *bitmap;

    block_graph_lock();
    bitmap = bitmap_of(args, NULL, error);
    if (bitmap && block_dirty_bitmap_check(bitmap, checks, error)) {
        action(bitmap);
    }
    block_graph_unlock();
}

static void clear_it(BlockDirtyBitmap *bitmap)
{
    block_dirty_bitmap_clear(bitmap, NULL);
}

static json_t *run_clear(void *opaque, json_t *args, GError **error)
{
    with_bitmap(args, BLOCK_BITMAP_DEFAULT, clear_it, error);
    return NULL;
}

static json_t *run_enable(void *opaque, json_t *args, GError **error)
{
    with_bitmap(args, BLOCK_BITMAP_ALLOW_RO, block_dirty_bitmap_enable,
                error);
    return NULL;
}

static json_t *run_disable(void *opaque, json_t *args, GError **error)
{
    with_bitmap(args, BLOCK_BITMAP_ALLOW_RO, block_dirty_bitmap_disable,
                error);
    return NULL;
}

/* ---- merge -------------------------------------------------------------- */

static const QmpArg bitmap_source[] = {
    { "node", QMP_STR },
    { "name", QMP_STR },
    { NULL },
};

const QmpArg monitor_bitmap_merge_args[] = {
    { "node", QMP_STR },
    { "target", QMP_STR },
    { "bitmaps", QMP_STR_OR_OBJECT, .list = true, .members = bitmap_source },
    { NULL },
};

static BlockDirtyBitmap *merge_source(json_t *element, const char *node,
                                      GError **error)
{
    return json_is_string(element)
               ? monitor_find_bitmap(node, json_string_value(element), NULL,
                                     error)
               : bitmap_of(element, NULL, error);
}

BlockDirtyBitmap *monitor_bitmap_merge(json_t *args, HBitmap **backup,
                                       GError **error)
{
    const char *node_name = qmp_str(args, "node");
    BlockNode *node;
    BlockDirtyBitmap *target = monitor_find_bitmap(
        node_name, qmp_str(args, "target"), &node, error);
    json_t *sources = json_object_get(args, "bitmaps");
    HBitmap *old = NULL;
    size_t index;
    json_t *element;

    if (!target ||
        !block_dirty_bitmap_check(target, BLOCK_BITMAP_DEFAULT, error)) {
        return NULL;
    }
    block_node_drain_begin(node);
    json_array_foreach(sources, index, element) {
        BlockDirtyBitmap *source = merge_source(element, node_name, error);
        HBitmap *step = NULL;

        if (!source || !block_dirty_bitmap_merge(target, source,
                                                 old ? NULL : &step, error)) {
            if (old) {
                block_dirty_bitmap_restore(target, old);
            }
            block_node_drain_end(node);
            return NULL;
        }
        old = old ? old : step;
    }
    block_node_drain_end(node);
    if (backup) {
        *backup = old;
    } else {
        hbitmap_free(old);
    }
    return target;
}

static json_t *run_merge(void *opaque, json_t *args, GError **error)
{
    block_graph_lock();
    monitor_bitmap_merge(args, NULL, error);
    block_graph_unlock();
    return NULL;
}

/* ---- sha256 ------------------------------------------------------------- */

static json_t *run_sha256(void *opaque, json_t *args, GError **error)
{
    BlockDirtyBitmap *bitmap;
    json_t *result = NULL;

    block_graph_lock();
    bitmap = bitmap_of(args, NULL, error);
    if (bitmap) {
        g_autofree char *sum = block_dirty_bitmap_sha256(bitmap);

        result = json_pack("{s:s}", "sha256", sum);
    }
    block_graph_unlock();
    return result;
}

static const QmpArg sha256_info[] = { { "sha256", QMP_STR }, { NULL } };

const QmpCommand monitor_bitmap_commands[] = {
    { "block-dirty-bitmap-add", monitor_bitmap_add_args, run_add },
    { "block-dirty-bitmap-remove", monitor_bitmap_args, run_remove },
    { "block-dirty-bitmap-clear", monitor_bitmap_args, run_clear },
    { "block-dirty-bitmap-enable", monitor_bitmap_args, run_enable },
    { "block-dirty-bitmap-disable", monitor_bitmap_args, run_disable },
    { "block-dirty-bitmap-merge", monitor_bitmap_merge_args, run_merge },
    { "x-debug-block-dirty-bitmap-sha256", monitor_bitmap_args, run_sha256,
      QMP_EXPERIMENTAL, sha256_info },
    { NULL },
};
