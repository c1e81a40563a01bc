/*
 * Dirty bitmaps: states, recording, successors, merging.  See
 * dirty-bitmap.h for the model.
 *
 *     node --> bitmap "b0" --> bitmap "b1" (busy) --> NULL
 *                                  |
 *                                  +-- successor: records meanwhile
 *
 * The write path walks this list inside the node's gate; the list and the
 * flags that decide who records change only while the node is drained.
 */
#include "block/dirty-bitmap.h"

#include <errno.h>
#include <string.h>

#include "block/node-int.h"

struct BlockDirtyBitmap {
    BlockDirtyBitmap *next, *prev; /* in the node's list, oldest first */
    BlockNode *node;
    char *name; /* NULL: anonymous */
    HBitmap *bits;
    unsigned shift; /* log2 of the granularity */
    uint64_t size;  /* bytes of the node */
    BlockDirtyBitmap *successor; /* not in the list */
    bool recorded, refuses; /* what the node's summary counts of it */
    bool disabled, busy, read_only, inconsistent, persistent, skip_store;
};

/* ---- Recording ---------------------------------------------------------- */

/* The bitmap that records in place of this one, or NULL. */
static BlockDirtyBitmap *recorder(BlockDirtyBitmap *bitmap)
{
    if (bitmap->successor) {
        bitmap = bitmap->successor;
    }
    return bitmap->disabled || bitmap->inconsistent ? NULL : bitmap;
}

/* The granules that bytes touch. */
static uint64_t granules(const BlockDirtyBitmap *bitmap, uint64_t offset,
                         uint64_t bytes, uint64_t *first)
{
    *first = offset >> bitmap->shift;
    return bytes ? ((offset + bytes - 1) >> bitmap->shift) - *first + 1 : 0;
}

static void record(BlockDirtyBitmap *bitmap, uint64_t offset, uint64_t bytes)
{
    uint64_t first;
    uint64_t n = granules(bitmap, offset, bytes, &first);

    hbitmap_set(bitmap->bits, first, n);
}

void block_bitmaps_record(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    for (BlockDirtyBitmap *b = block_core(node)->bitmaps; b; b = b->next) {
        BlockDirtyBitmap *to = recorder(b);

        if (to) {
            record(to, offset, bytes);
        }
    }
}

void block_node_set_eager_bitmaps(BlockNode *node, bool on)
{
    block_core(node)->eager_bitmaps = on;
}

void block_node_record(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    block_bitmaps_record(node, offset, bytes);
}

uint64_t block_node_bitmap_generation(BlockNode *node)
{
    return __atomic_load_n(&block_core(node)->bitmap_generation,
                           __ATOMIC_SEQ_CST);
}

static void changed(BlockNode *node)
{
    __atomic_fetch_add(&block_core(node)->bitmap_generation, 1,
                       __ATOMIC_SEQ_CST);
}

/* After any change: the summaries that the write path looks at.  A node may
 * have tens of thousands of bitmaps, so only what this one adds changes. */
static void update_summary(BlockDirtyBitmap *bitmap, bool listed)
{
    BlockNodeCore *core = block_core(bitmap->node);
    bool recorded = listed && recorder(bitmap) != NULL;
    bool refuses = listed && bitmap->read_only;

    changed(bitmap->node);
    core->recording += recorded - bitmap->recorded;
    core->readonly_bitmaps += refuses - bitmap->refuses;
    bitmap->recorded = recorded;
    bitmap->refuses = refuses;
}

/* ---- Life --------------------------------------------------------------- */

static HBitmap *new_bits(uint64_t size, unsigned shift)
{
    return hbitmap_new((size >> shift) +
                       ((size & ((UINT64_C(1) << shift) - 1)) != 0));
}

static BlockDirtyBitmap *bitmap_alloc(BlockNode *node, const char *name,
                                      unsigned shift, uint64_t size,
                                      GError **error)
{
    HBitmap *bits = new_bits(size, shift);
    BlockDirtyBitmap *bitmap;

    if (!bits) {
        g_set_error(error, BLOCK_ERROR, ENOMEM,
                    "Not enough memory for bitmap '%s' of node '%s'",
                    name ? name : "", node->name);
        return NULL;
    }
    bitmap = g_new0(BlockDirtyBitmap, 1);
    bitmap->node = node;
    bitmap->name = g_strdup(name);
    bitmap->bits = bits;
    bitmap->shift = shift;
    bitmap->size = size;
    return bitmap;
}

static void bitmap_free(BlockDirtyBitmap *bitmap)
{
    if (bitmap->successor) {
        bitmap_free(bitmap->successor);
    }
    hbitmap_free(bitmap->bits);
    g_free(bitmap->name);
    g_free(bitmap);
}

/* The node's list, oldest first, and its index by name. */
static void list_append(BlockDirtyBitmap *bitmap)
{
    BlockNodeCore *core = block_core(bitmap->node);

    bitmap->prev = core->last_bitmap;
    *(bitmap->prev ? &bitmap->prev->next : &core->bitmaps) = bitmap;
    core->last_bitmap = bitmap;
    if (bitmap->name) {
        if (!core->bitmap_names) {
            core->bitmap_names = g_hash_table_new(g_str_hash, g_str_equal);
        }
        g_hash_table_insert(core->bitmap_names, bitmap->name, bitmap);
    }
}

static void list_remove(BlockDirtyBitmap *bitmap)
{
    BlockNodeCore *core = block_core(bitmap->node);

    *(bitmap->prev ? &bitmap->prev->next : &core->bitmaps) = bitmap->next;
    *(bitmap->next ? &bitmap->next->prev : &core->last_bitmap) = bitmap->prev;
    if (bitmap->name) {
        g_hash_table_remove(core->bitmap_names, bitmap->name);
    }
}

BlockDirtyBitmap *block_dirty_bitmap_new(BlockNode *node, const char *name,
                                         uint32_t granularity,
                                         GError **error)
{
    int64_t size = block_length(node);
    BlockDirtyBitmap *bitmap;

    if (granularity < BLOCK_BITMAP_MIN_GRANULARITY ||
        (granularity & (granularity - 1))) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Granularity must be power of 2 and at least %u",
                    BLOCK_BITMAP_MIN_GRANULARITY);
        return NULL;
    }
    if (name && block_dirty_bitmap_find(node, name)) {
        g_set_error(error, BLOCK_ERROR, EEXIST, "Bitmap already exists: %s",
                    name);
        return NULL;
    }
    if (name && strlen(name) > BLOCK_BITMAP_NAME_MAX) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Bitmap name too long: %s",
                    name);
        return NULL;
    }
    if (size < 0) {
        block_error_set_errno(error, size, "could not get length of device");
        return NULL;
    }
    bitmap = bitmap_alloc(node, name, __builtin_ctz(granularity), size,
                          error);
    if (!bitmap) {
        return NULL;
    }
    block_node_drain_begin(node);
    list_append(bitmap);
    update_summary(bitmap, true);
    block_node_drain_end(node);
    return bitmap;
}

void block_dirty_bitmap_release(BlockDirtyBitmap *bitmap)
{
    BlockNode *node = bitmap->node;

    block_node_drain_begin(node);
    list_remove(bitmap);
    update_summary(bitmap, false);
    block_node_drain_end(node);
    bitmap_free(bitmap);
}

void block_bitmaps_release_all(BlockNode *node)
{
    BlockNodeCore *core = block_core(node);

    while (core->bitmaps) {
        BlockDirtyBitmap *bitmap = core->bitmaps;

        core->bitmaps = bitmap->next;
        bitmap_free(bitmap);
    }
    core->last_bitmap = NULL;
    core->recording = 0;
    core->readonly_bitmaps = 0;
    g_clear_pointer(&core->bitmap_names, g_hash_table_unref);
}

BlockDirtyBitmap *block_dirty_bitmap_find(BlockNode *node, const char *name)
{
    GHashTable *names = block_core(node)->bitmap_names;

    return names ? g_hash_table_lookup(names, name) : NULL;
}

size_t block_dirty_bitmap_names(BlockNode *node)
{
    GHashTable *names = block_core(node)->bitmap_names;

    return names ? g_hash_table_size(names) : 0;
}

BlockDirtyBitmap *block_dirty_bitmap_next(BlockNode *node,
                                          BlockDirtyBitmap *prev)
{
    return prev ? prev->next : block_core(node)->bitmaps;
}

BlockDirtyBitmap *block_dirty_bitmap_find_chain(BlockNode *node,
                                                const char *name,
                                                BlockNode **owner)
{
    while (node) {
        BlockDirtyBitmap *bitmap = block_dirty_bitmap_find(node, name);
        BlockNode *filtered = block_node_filtered(node);

        if (bitmap) {
            if (owner) {
                *owner = node;
            }
            return bitmap;
        }
        node = filtered ? filtered : block_node_backing(node);
    }
    return NULL;
}

/* ---- States ------------------------------------------------------------- */

BlockNode *block_dirty_bitmap_node(const BlockDirtyBitmap *bitmap)
{
    return bitmap->node;
}

const char *block_dirty_bitmap_name(const BlockDirtyBitmap *bitmap)
{
    return bitmap->name;
}

uint32_t block_dirty_bitmap_granularity(const BlockDirtyBitmap *bitmap)
{
    return UINT32_C(1) << bitmap->shift;
}

uint64_t block_dirty_bitmap_size(const BlockDirtyBitmap *bitmap)
{
    return bitmap->size;
}

bool block_dirty_bitmap_enabled(const BlockDirtyBitmap *bitmap)
{
    return !bitmap->disabled;
}

bool block_dirty_bitmap_recording(const BlockDirtyBitmap *bitmap)
{
    return !bitmap->disabled ||
           (bitmap->successor && !bitmap->successor->disabled);
}

bool block_dirty_bitmap_persistent(const BlockDirtyBitmap *bitmap)
{
    return bitmap->persistent;
}

bool block_dirty_bitmap_busy(const BlockDirtyBitmap *bitmap)
{
    return bitmap->busy;
}

bool block_dirty_bitmap_read_only(const BlockDirtyBitmap *bitmap)
{
    return bitmap->read_only;
}

bool block_dirty_bitmap_inconsistent(const BlockDirtyBitmap *bitmap)
{
    return bitmap->inconsistent;
}

bool block_dirty_bitmap_skip_store(const BlockDirtyBitmap *bitmap)
{
    return bitmap->skip_store;
}

bool block_dirty_bitmap_has_successor(const BlockDirtyBitmap *bitmap)
{
    return bitmap->successor != NULL;
}

/* Sets one flag with no write in flight. */
static void set_flag(BlockDirtyBitmap *bitmap, bool *flag, bool value)
{
    block_node_drain_begin(bitmap->node);
    *flag = value;
    update_summary(bitmap, true);
    block_node_drain_end(bitmap->node);
}

void block_dirty_bitmap_enable(BlockDirtyBitmap *bitmap)
{
    set_flag(bitmap, &bitmap->disabled, false);
}

void block_dirty_bitmap_disable(BlockDirtyBitmap *bitmap)
{
    set_flag(bitmap, &bitmap->disabled, true);
}

void block_dirty_bitmap_set_persistent(BlockDirtyBitmap *bitmap, bool on)
{
    bitmap->persistent = on;
}

void block_dirty_bitmap_set_busy(BlockDirtyBitmap *bitmap, bool on)
{
    bitmap->busy = on;
}

void block_dirty_bitmap_set_read_only(BlockDirtyBitmap *bitmap, bool on)
{
    set_flag(bitmap, &bitmap->read_only, on);
}

void block_dirty_bitmap_set_inconsistent(BlockDirtyBitmap *bitmap)
{
    set_flag(bitmap, &bitmap->inconsistent, true);
    bitmap->disabled = true;
}

void block_dirty_bitmap_set_skip_store(BlockDirtyBitmap *bitmap, bool on)
{
    bitmap->skip_store = on;
}

bool block_dirty_bitmap_check(const BlockDirtyBitmap *bitmap, unsigned checks,
                              GError **error)
{
    const char *name = bitmap->name ? bitmap->name : "";

    if ((checks & BLOCK_BITMAP_BUSY) && bitmap->busy) {
        g_set_error(error, BLOCK_ERROR, EBUSY, "Bitmap '%s' is currently in "
                    "use by another operation and cannot be used", name);
        return false;
    }
    if ((checks & BLOCK_BITMAP_RO) && bitmap->read_only) {
        g_set_error(error, BLOCK_ERROR, EPERM,
                    "Bitmap '%s' is readonly and cannot be modified", name);
        return false;
    }
    if ((checks & BLOCK_BITMAP_INCONSISTENT) && bitmap->inconsistent) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Bitmap '%s' is inconsistent and cannot be used\n"
                    "Try block-dirty-bitmap-remove to delete this bitmap "
                    "from disk", name);
        return false;
    }
    return true;
}

bool block_dirty_bitmap_check_export(const BlockDirtyBitmap *bitmap,
                                     bool export_writable, bool by_owner,
                                     GError **error)
{
    if (!block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_ALLOW_RO, error)) {
        return false;
    }
    if (!export_writable && !by_owner && !bitmap->read_only &&
        block_node_is_writable(bitmap->node) && !bitmap->disabled) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Enabled bitmap '%s' incompatible with readonly export",
                    bitmap->name);
        return false;
    }
    return true;
}

/* ---- Bits --------------------------------------------------------------- */

bool block_dirty_bitmap_get(const BlockDirtyBitmap *bitmap, uint64_t offset)
{
    return hbitmap_get(bitmap->bits, offset >> bitmap->shift);
}

void block_dirty_bitmap_set(BlockDirtyBitmap *bitmap, uint64_t offset,
                            uint64_t bytes)
{
    record(bitmap, offset, bytes);
    changed(bitmap->node);
}

void block_dirty_bitmap_reset(BlockDirtyBitmap *bitmap, uint64_t offset,
                              uint64_t bytes)
{
    uint64_t first;
    uint64_t n = granules(bitmap, offset, bytes, &first);

    hbitmap_reset(bitmap->bits, first, n);
}

uint64_t block_dirty_bitmap_count(const BlockDirtyBitmap *bitmap)
{
    return hbitmap_count(bitmap->bits) << bitmap->shift;
}

bool block_dirty_bitmap_next_area(const BlockDirtyBitmap *bitmap,
                                  uint64_t offset, uint64_t bytes,
                                  uint64_t max_bytes, uint64_t *area_offset,
                                  uint64_t *area_bytes)
{
    uint64_t end_bytes = bytes > bitmap->size - MIN(offset, bitmap->size)
                             ? bitmap->size : offset + bytes;
    uint64_t end = (end_bytes >> bitmap->shift) + 1;
    uint64_t first;
    uint64_t stop;
    uint64_t start;

    if (offset >= end_bytes) {
        return false;
    }
    first = hbitmap_next_set(bitmap->bits, offset >> bitmap->shift, end);
    start = MAX(first << bitmap->shift, offset);
    if (first >= MIN(end, hbitmap_bits(bitmap->bits)) || start >= end_bytes) {
        return false;
    }
    stop = hbitmap_next_clear(bitmap->bits, first,
                              max_bytes >= end_bytes - start
                                  ? end
                                  : MIN(end, first + 2 +
                                             (max_bytes >> bitmap->shift)));
    *area_offset = start;
    *area_bytes = MIN(MIN(stop << bitmap->shift, end_bytes) - start,
                      max_bytes);
    return true;
}

bool block_dirty_bitmap_status(const BlockDirtyBitmap *bitmap,
                               uint64_t offset, uint64_t bytes,
                               uint64_t *run_bytes)
{
    uint64_t first = offset >> bitmap->shift;
    bool dirty = hbitmap_get(bitmap->bits, first);
    uint64_t end = ((offset + bytes - 1) >> bitmap->shift) + 1;
    uint64_t stop = (dirty ? hbitmap_next_clear : hbitmap_next_set)(
        bitmap->bits, first, end);

    stop = MAX(stop, first + 1);
    *run_bytes = stop >= end ? bytes : MIN((stop << bitmap->shift) - offset,
                                           bytes);
    return dirty;
}

/* ---- Whole bitmaps ------------------------------------------------------ */

void block_dirty_bitmap_clear(BlockDirtyBitmap *bitmap, HBitmap **backup)
{
    HBitmap *empty = backup ? hbitmap_new(hbitmap_bits(bitmap->bits)) : NULL;

    block_node_drain_begin(bitmap->node);
    if (backup) {
        *backup = NULL;
    }
    if (empty) {
        *backup = bitmap->bits;
        bitmap->bits = empty;
    } else {
        hbitmap_reset_all(bitmap->bits);
    }
    changed(bitmap->node);
    block_node_drain_end(bitmap->node);
}

void block_dirty_bitmap_restore(BlockDirtyBitmap *bitmap, HBitmap *backup)
{
    block_node_drain_begin(bitmap->node);
    hbitmap_free(bitmap->bits);
    bitmap->bits = backup;
    changed(bitmap->node);
    block_node_drain_end(bitmap->node);
}

/* Any granularities: the target's granules that a dirty area touches. */
static void merge_bits(HBitmap *to, unsigned to_shift,
                       const BlockDirtyBitmap *source)
{
    uint64_t bits = hbitmap_bits(source->bits);
    uint64_t at = hbitmap_next_set(source->bits, 0, bits);

    if (to_shift == source->shift) {
        hbitmap_merge(to, source->bits);
        return;
    }
    while (at < bits) {
        uint64_t stop = hbitmap_next_clear(source->bits, at, bits);
        uint64_t first = (at << source->shift) >> to_shift;
        uint64_t last = ((stop << source->shift) - 1) >> to_shift;

        hbitmap_set(to, first, last - first + 1);
        at = hbitmap_next_set(source->bits, stop, bits);
    }
}

bool block_dirty_bitmap_merge(BlockDirtyBitmap *target,
                              const BlockDirtyBitmap *source,
                              HBitmap **backup, GError **error)
{
    if (!block_dirty_bitmap_check(target, BLOCK_BITMAP_DEFAULT, error) ||
        !block_dirty_bitmap_check(source, BLOCK_BITMAP_ALLOW_RO, error)) {
        return false;
    }
    if (target->size != source->size) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Bitmaps are incompatible and can't be merged");
        return false;
    }
    if (backup) {
        *backup = hbitmap_copy(target->bits);
        if (!*backup) {
            g_set_error(error, BLOCK_ERROR, ENOMEM,
                        "Not enough memory to merge into bitmap '%s'",
                        target->name);
            return false;
        }
    }
    if (target != source) {
        merge_bits(target->bits, target->shift, source);
        changed(target->node);
    }
    return true;
}

bool block_dirty_bitmap_create_successor(BlockDirtyBitmap *bitmap,
                                         GError **error)
{
    BlockDirtyBitmap *child;

    if (!block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_BUSY, error)) {
        return false;
    }
    if (bitmap->successor) {
        g_set_error(error, BLOCK_ERROR, EBUSY, "Cannot create a successor "
                    "for a bitmap that already has one");
        return false;
    }
    child = bitmap_alloc(bitmap->node, NULL, bitmap->shift, bitmap->size,
                         error);
    if (!child) {
        return false;
    }
    block_node_drain_begin(bitmap->node);
    child->disabled = bitmap->disabled;
    bitmap->disabled = true;
    bitmap->busy = true;
    bitmap->successor = child;
    update_summary(bitmap, true);
    block_node_drain_end(bitmap->node);
    return true;
}

/* The list entry stays; the successor's contents move into it. */
BlockDirtyBitmap *block_dirty_bitmap_abdicate(BlockDirtyBitmap *bitmap)
{
    BlockDirtyBitmap *child = bitmap->successor;
    HBitmap *old = bitmap->bits;

    block_node_drain_begin(bitmap->node);
    bitmap->bits = child->bits;
    bitmap->disabled = child->disabled;
    bitmap->size = child->size;
    bitmap->busy = false;
    bitmap->successor = NULL;
    child->bits = old;
    update_summary(bitmap, true);
    block_node_drain_end(bitmap->node);
    bitmap_free(child);
    return bitmap;
}

void block_dirty_bitmap_reclaim(BlockDirtyBitmap *bitmap)
{
    BlockDirtyBitmap *child = bitmap->successor;

    if (!child) {
        return;
    }
    block_node_drain_begin(bitmap->node);
    hbitmap_merge(bitmap->bits, child->bits);
    bitmap->disabled = child->disabled;
    bitmap->busy = false;
    bitmap->successor = NULL;
    update_summary(bitmap, true);
    block_node_drain_end(bitmap->node);
    bitmap_free(child);
}

bool block_bitmaps_truncate(BlockNode *node, uint64_t size, GError **error)
{
    for (BlockDirtyBitmap *b = block_core(node)->bitmaps; b; b = b->next) {
        BlockDirtyBitmap *both[2] = { b, b->successor };

        for (int i = 0; i < 2 && both[i]; i++) {
            uint64_t bits = (size >> b->shift) +
                ((size & ((UINT64_C(1) << b->shift) - 1)) != 0);

            if (!hbitmap_resize(both[i]->bits, bits)) {
                g_set_error(error, BLOCK_ERROR, ENOMEM,
                            "Not enough memory to resize bitmap '%s'",
                            b->name ? b->name : "");
                return false;
            }
            both[i]->size = size;
        }
    }
    return true;
}

/* ---- Serialized form ---------------------------------------------------- */

uint64_t block_dirty_bitmap_serial_size(const BlockDirtyBitmap *bitmap,
                                        uint64_t offset, uint64_t bytes)
{
    uint64_t first;
    uint64_t n = granules(bitmap, offset, bytes, &first);

    return n / 8 + (n % 8 != 0);
}

void block_dirty_bitmap_serialize(const BlockDirtyBitmap *bitmap, void *buf,
                                  uint64_t offset, uint64_t bytes)
{
    uint64_t first;
    uint64_t n = granules(bitmap, offset, bytes, &first);

    hbitmap_store_bytes(bitmap->bits, buf, first, n);
}

void block_dirty_bitmap_deserialize(BlockDirtyBitmap *bitmap, const void *buf,
                                    uint64_t offset, uint64_t bytes)
{
    uint64_t first;
    uint64_t n = granules(bitmap, offset, bytes, &first);

    hbitmap_load_bytes(bitmap->bits, buf, first, n);
    changed(bitmap->node);
}

char *block_dirty_bitmap_sha256(const BlockDirtyBitmap *bitmap)
{
    uint64_t bits = hbitmap_bits(bitmap->bits);
    uint64_t words = MAX(bits / 64 + (bits % 64 != 0), 1);
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    uint8_t buf[4096];

    /* All words of the leaves, in pieces. */
    for (uint64_t at = 0; at < words * 64; at += sizeof(buf) * 8) {
        uint64_t n = MIN(words * 64 - at, sizeof(buf) * 8);

        hbitmap_store_bytes(bitmap->bits, buf, at, n);
        g_checksum_update(sum, buf, n / 8);
    }
    return g_strdup(g_checksum_get_string(sum));
}

/* ---- QMP level ---------------------------------------------------------- */

uint32_t block_dirty_bitmap_default_granularity(BlockNode *node)
{
    uint32_t cluster = node->limits.cluster_size;

    return cluster ? CLAMP(cluster, 4096, 65536) : 65536;
}

json_t *block_dirty_bitmap_query(BlockNode *node)
{
    json_t *list = NULL;

    for (BlockDirtyBitmap *b = block_core(node)->bitmaps; b; b = b->next) {
        json_t *info = json_pack(
            "{s:I, s:I, s:b, s:b, s:b}",
            "count", (json_int_t)block_dirty_bitmap_count(b),
            "granularity", (json_int_t)block_dirty_bitmap_granularity(b),
            "recording", block_dirty_bitmap_recording(b),
            "busy", b->busy, "persistent", b->persistent);

        if (b->name) {
            json_object_set_new(info, "name", json_string(b->name));
        }
        if (b->inconsistent) {
            json_object_set_new(info, "inconsistent", json_true());
        }
        if (!list) {
            list = json_array();
        }
        json_array_insert_new(list, 0, info); /* newest first */
    }
    return list;
}

bool block_dirty_bitmap_can_store(BlockNode *node, const char *name,
                                  uint32_t granularity, GError **error)
{
    if (!node->driver->bitmap_can_store) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP, "Can't store persistent "
                    "bitmaps to %s: Operation not supported", node->name);
        return false;
    }
    return node->driver->bitmap_can_store(node, name, granularity, error);
}

bool block_dirty_bitmap_remove_stored(BlockNode *node, const char *name,
                                      GError **error)
{
    return !node->driver->bitmap_remove ||
           node->driver->bitmap_remove(node, name, error);
}

bool block_dirty_bitmaps_check_resize(BlockNode *node, GError **error)
{
    for (BlockDirtyBitmap *b = block_core(node)->bitmaps; b; b = b->next) {
        if (!block_dirty_bitmap_check(b, BLOCK_BITMAP_DEFAULT, error)) {
            return false;
        }
    }
    return true;
}
