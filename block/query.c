/* What QMP and the tools say about nodes: ImageInfo, BlockDeviceInfo. */
#include "block/driver.h"

#include <errno.h>
#include <string.h>

#include "block/dirty-bitmap.h"
#include "block/monitor-nodes.h"
#include "block/node-int.h"

static void set_string(json_t *object, const char *key, const char *value)
{
    if (value) {
        json_t *json = json_string(value);

        json_object_set_new(object, key,
                            json ? json : json_string("(invalid UTF-8)"));
    }
}

static json_t *snapshot_info(const BlockSnapshot *snapshot)
{
    json_t *one = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "id", snapshot->id, "name",
        snapshot->name, "vm-state-size", (json_int_t)snapshot->vm_state_size,
        "date-sec", (json_int_t)snapshot->date_sec, "date-nsec",
        (json_int_t)snapshot->date_nsec, "vm-clock-sec",
        (json_int_t)(snapshot->vm_clock_ns / 1000000000), "vm-clock-nsec",
        (json_int_t)(snapshot->vm_clock_ns % 1000000000));

    if (snapshot->icount != UINT64_MAX) {
        json_object_set_new(one, "icount", json_integer(snapshot->icount));
    }
    return one;
}

json_t *block_snapshot_info(BlockNode *node, const char *id, const char *name)
{
    g_autofree BlockSnapshot *list = NULL;
    size_t n = 0;

    if (!node->driver->snapshot_list ||
        !node->driver->snapshot_list(node, &list, &n, NULL)) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if ((!id || !strcmp(list[i].id, id)) &&
            (!name || !strcmp(list[i].name, name))) {
            return snapshot_info(&list[i]);
        }
    }
    return NULL;
}

static json_t *snapshot_list(BlockNode *node)
{
    g_autofree BlockSnapshot *list = NULL;
    size_t n = 0;
    json_t *array;

    if (!node->driver->snapshot_list ||
        !node->driver->snapshot_list(node, &list, &n, NULL) || !n) {
        return NULL;
    }
    array = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(array, snapshot_info(&list[i]));
    }
    return array;
}

json_t *block_node_image_info(BlockNode *node, bool flat, GError **error)
{
    int64_t length = block_length(node);
    int64_t actual;
    BlockNode *backing = block_node_backing(node);
    json_t *info;
    json_t *value;
    g_autofree char *full = block_backing_path(node);

    if (length < 0) {
        block_error_set_errno(error, length, "Can't get image size '%s'",
                              block_node_filename(node));
        return NULL;
    }
    info = json_pack("{s:I, s:s, s:b}", "virtual-size", (json_int_t)length,
                     "format", node->driver->name, "dirty-flag", 0);
    set_string(info, "filename", block_node_filename(node));
    actual = node->driver->allocated_size
                 ? node->driver->allocated_size(node) : -ENOTSUP;
    for (BlockNode *n = node; actual == -ENOTSUP && block_node_primary(n);) {
        n = block_node_primary(n);
        if (n->driver->allocated_size) {
            actual = n->driver->allocated_size(n);
        }
    }
    if (actual >= 0) {
        json_object_set_new(info, "actual-size", json_integer(actual));
    }
    if (node->limits.cluster_size) {
        json_object_set_new(info, "cluster-size",
                            json_integer(node->limits.cluster_size));
    }
    if (node->driver->specific_info &&
        (value = node->driver->specific_info(node))) {
        json_object_set_new(info, "format-specific", value);
    }
    set_string(info, "backing-filename", node->backing_filename);
    set_string(info, "full-backing-filename", full);
    set_string(info, "backing-filename-format", node->backing_format);
    value = snapshot_list(node);
    if (value) {
        json_object_set_new(info, "snapshots", value);
    }
    if (!flat && backing) {
        value = block_node_image_info(backing, false, error);
        if (!value) {
            json_decref(info);
            return NULL;
        }
        json_object_set_new(info, "backing-image", value);
    }
    return info;
}

json_t *block_node_device_info(BlockNode *node, bool flat, GError **error)
{
    unsigned flags = node->flags;
    json_t *image = block_node_image_info(node, flat, error);
    json_t *bitmaps = block_dirty_bitmap_query(node);
    json_t *info;
    unsigned depth = 0;

    if (!image) {
        json_decref(bitmaps);
        return NULL;
    }
    for (BlockNode *b = block_node_backing(node); b;
         b = block_node_backing(b)) {
        depth++;
    }
    info = json_pack(
        "{s:s, s:b, s:b, s:i, s:s, s:o, s:{s:b, s:b, s:b}, s:I}",
        "drv", node->driver->name, "ro", node->read_only, "encrypted", 0,
        "backing_file_depth", depth, "node-name", node->name,
        "image", image, "cache", "writeback",
        !(flags & BLOCK_OPEN_WRITETHROUGH), "direct",
        (flags & BLOCK_OPEN_DIRECT) != 0, "no-flush",
        (flags & BLOCK_OPEN_NO_FLUSH) != 0, "write_threshold",
        (json_int_t)block_core(node)->write_threshold);
    set_string(info, "file", block_node_filename(node));
    set_string(info, "backing_file", node->backing_filename);
    set_string(info, "detect_zeroes",
               flags & BLOCK_OPEN_DETECT_UNMAP ? "unmap"
               : flags & BLOCK_OPEN_DETECT_ZEROES ? "on" : "off");
    for (size_t i = 0; i < 6; i++) {
        static const char *const limits[] = { "bps", "bps_rd", "bps_wr",
                                              "iops", "iops_rd", "iops_wr" };

        json_object_set_new(info, limits[i], json_integer(0));
    }
    if (bitmaps) {
        json_object_set_new(info, "dirty-bitmaps", bitmaps);
    }
    return info;
}
