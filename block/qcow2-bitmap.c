/*
 * Dirty bitmaps kept in a qcow2 image.
 *
 *   header extension --> directory --> table of each bitmap --> data clusters
 *
 * While the image is open for writing the bits live in memory and the
 * directory says "in use" for each bitmap; a crash leaves that flag, and the
 * bitmap is inconsistent from then on.  Storing writes new data, tables and a
 * new directory beside the old ones, switches the header, and frees the old
 * ones after that, so it can be interrupted anywhere.
 */
#include "block/qcow2-bitmap-int.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util/bytes.h"

#define MAX_BITMAP_BYTES (UINT64_C(512) << 20)
#define MAX_TOTAL_BYTES (UINT64_C(1) << 30)
#define TABLE_ALL_ONES 1ull

#define FAIL(code, ...)                                                        \
    (g_set_error(error, BLOCK_ERROR, code, __VA_ARGS__), false)

static uint64_t data_bytes(uint64_t size, unsigned granularity_bits)
{
    uint64_t granularity = UINT64_C(1) << granularity_bits;
    uint64_t bits =
        (size >> granularity_bits) + !!(size & (granularity - 1));

    return (bits + 7) / 8;
}

/* Guest bytes that one data cluster of a bitmap describes. */
static uint64_t cluster_reach(const Qcow2 *s, unsigned granularity_bits)
{
    return (s->cluster_size * 8) << granularity_bits;
}

static Qcow2BitmapEntry *find_entry(const GArray *list, const char *name)
{
    for (guint i = 0; i < list->len; i++) {
        Qcow2BitmapEntry *e = &g_array_index(list, Qcow2BitmapEntry, i);

        if (!strcmp(e->name, name)) {
            return e;
        }
    }
    return NULL;
}

/* ---- Tables --------------------------------------------------------------- */

static uint64_t *read_table(Qcow2 *s, const Qcow2BitmapEntry *e,
                            GError **error)
{
    g_autofree uint64_t *table = g_try_new(uint64_t, e->table_size);
    int ret = table ? block_pread(qcow2_file(s), e->table_offset,
                                  e->table_size * 8ull, table, 0)
                    : -ENOMEM;

    if (ret < 0) {
        block_error_set_errno(error, -ret,
                              "Could not read the table of bitmap '%s'",
                              e->name);
        return NULL;
    }
    for (uint32_t i = 0; i < e->table_size; i++) {
        uint64_t offset;

        table[i] = ldq_be_p(&table[i]);
        offset = table[i] & QCOW2_OFFSET_MASK;
        if ((table[i] & ~(QCOW2_OFFSET_MASK | TABLE_ALL_ONES)) ||
            (offset & (s->cluster_size - 1)) ||
            (offset && (table[i] & TABLE_ALL_ONES))) {
            (void)FAIL(EINVAL, "Broken table of bitmap '%s'", e->name);
            return NULL;
        }
    }
    return g_steal_pointer(&table);
}

static void free_clusters_now(Qcow2 *s, uint64_t offset, uint64_t bytes)
{
    (void)qcow2_refcount_add(s, offset >> s->cluster_bits,
                             qcow2_clusters(s, bytes), -1);
}

static void free_table(Qcow2 *s, const Qcow2BitmapEntry *e)
{
    g_autofree uint64_t *table = read_table(s, e, NULL);

    if (!table) {
        return; /* leaks; a check finds it */
    }
    for (uint32_t i = 0; i < e->table_size; i++) {
        if (table[i] & QCOW2_OFFSET_MASK) {
            free_clusters_now(s, table[i] & QCOW2_OFFSET_MASK, 1);
        }
    }
    free_clusters_now(s, e->table_offset, e->table_size * 8ull);
}

/* ---- Loading -------------------------------------------------------------- */

static bool load_bits(Qcow2 *s, const Qcow2BitmapEntry *e,
                      BlockDirtyBitmap *bitmap, GError **error)
{
    g_autofree uint64_t *table = read_table(s, e, error);
    g_autofree uint8_t *buf = NULL;
    uint64_t size = s->header.size;
    uint64_t reach = cluster_reach(s, e->granularity_bits);

    if (!table) {
        return false;
    }
    buf = g_malloc(s->cluster_size);
    for (uint32_t i = 0; i < e->table_size; i++) {
        uint64_t start = i * reach;
        uint64_t bytes, host = table[i] & QCOW2_OFFSET_MASK;
        int ret;

        if (start >= size) {
            break;
        }
        bytes = MIN(reach, size - start);
        if (table[i] & TABLE_ALL_ONES) {
            block_dirty_bitmap_set(bitmap, start, bytes);
            continue;
        }
        if (host == 0) {
            continue;
        }
        ret = block_pread(qcow2_file(s), host, s->cluster_size, buf, 0);
        if (ret < 0) {
            block_error_set_errno(error, -ret,
                                  "Could not read bitmap '%s' from image",
                                  e->name);
            return false;
        }
        block_dirty_bitmap_deserialize(bitmap, buf, start, bytes);
    }
    return true;
}

static bool load_one(Qcow2 *s, const Qcow2BitmapEntry *e, uint64_t *total,
                     GError **error)
{
    uint64_t bytes = data_bytes(s->header.size, e->granularity_bits);
    BlockDirtyBitmap *bitmap;

    if (!(e->flags & QCOW2_BITMAP_FLAG_IN_USE)) {
        if (e->table_size != MAX(qcow2_clusters(s, bytes), 1) &&
            e->table_size != qcow2_clusters(s, bytes)) {
            return FAIL(EINVAL, "Table of bitmap '%s' does not fit the size "
                        "of the image", e->name);
        }
        *total += bytes;
        if (bytes > MAX_BITMAP_BYTES || *total > MAX_TOTAL_BYTES) {
            return FAIL(EFBIG, "Bitmaps of the image need too much memory");
        }
    }
    bitmap = block_dirty_bitmap_new(s->node, e->name,
                                    1u << e->granularity_bits, error);
    if (!bitmap) {
        return false;
    }
    block_dirty_bitmap_set_persistent(bitmap, true);
    if (e->flags & QCOW2_BITMAP_FLAG_IN_USE) {
        block_dirty_bitmap_disable(bitmap);
        block_dirty_bitmap_set_inconsistent(bitmap);
        return true;
    }
    if (!(e->flags & QCOW2_BITMAP_FLAG_AUTO)) {
        block_dirty_bitmap_disable(bitmap);
    }
    if (s->node->read_only) {
        block_dirty_bitmap_set_read_only(bitmap, true);
    }
    return load_bits(s, e, bitmap, error);
}

static void release_persistent(Qcow2 *s)
{
    BlockDirtyBitmap *bitmap = block_dirty_bitmap_next(s->node, NULL);

    while (bitmap) {
        BlockDirtyBitmap *next = block_dirty_bitmap_next(s->node, bitmap);

        if (block_dirty_bitmap_persistent(bitmap)) {
            block_dirty_bitmap_release(bitmap);
        }
        bitmap = next;
    }
}

/* Says in the file that the clean bitmaps are being changed. */
static bool mark_in_use(Qcow2 *s, GArray *list, GError **error)
{
    bool change = false;
    int ret = 0;

    for (guint i = 0; i < list->len; i++) {
        Qcow2BitmapEntry *e = &g_array_index(list, Qcow2BitmapEntry, i);

        change |= !(e->flags & QCOW2_BITMAP_FLAG_IN_USE);
        e->flags |= QCOW2_BITMAP_FLAG_IN_USE;
    }
    if (change) {
        ret = qcow2_bitmap_directory_rewrite(s, list);
    }
    if (ret < 0) {
        block_error_set_errno(error, -ret,
                              "Can't update bitmap directory");
    } else {
        s->bitmaps_stored = false;
    }
    return ret == 0;
}

bool qcow2_bitmaps_mark_in_use(Qcow2 *s, GError **error)
{
    g_autoptr(GArray) list = qcow2_bitmap_directory(s, error);
    bool ok = list != NULL;

    g_mutex_lock(&s->lock);
    ok = ok && mark_in_use(s, list, error);
    g_mutex_unlock(&s->lock);
    return ok;
}

bool qcow2_bitmaps_load(Qcow2 *s, GError **error)
{
    g_autoptr(GArray) list = NULL;
    uint64_t total = 0;
    bool ok = true;

    if (!s->header.has_bitmaps) {
        s->bitmaps_loaded = true;
        return true;
    }
    list = qcow2_bitmap_directory(s, error);
    if (!list) {
        return false;
    }
    for (guint i = 0; i < list->len && ok; i++) {
        ok = load_one(s, &g_array_index(list, Qcow2BitmapEntry, i), &total,
                      error);
    }
    if (ok && !s->node->read_only) {
        ok = mark_in_use(s, list, error);
    }
    if (!ok) {
        release_persistent(s);
        return false;
    }
    s->bitmaps_loaded = true;
    return true;
}

bool qcow2_bitmaps_reopen_rw(Qcow2 *s, GError **error)
{
    g_autoptr(GArray) list = NULL;
    BlockDirtyBitmap *bitmap = NULL;

    if (!s->header.has_bitmaps) {
        return true;
    }
    list = qcow2_bitmap_directory(s, error);
    if (!list || !mark_in_use(s, list, error)) {
        return false;
    }
    while ((bitmap = block_dirty_bitmap_next(s->node, bitmap))) {
        if (block_dirty_bitmap_persistent(bitmap)) {
            block_dirty_bitmap_set_read_only(bitmap, false);
        }
    }
    return true;
}

/* ---- Storing -------------------------------------------------------------- */

static int write_new(Qcow2 *s, const void *buf, uint64_t bytes,
                     uint64_t *offset)
{
    int ret = qcow2_alloc_exact(s, bytes, QCOW2_META_NONE, offset);

    if (ret == 0) {
        ret = block_pwrite(qcow2_file(s), *offset, bytes, buf, 0);
    }
    return ret;
}

static int store_bits(Qcow2 *s, const BlockDirtyBitmap *bitmap,
                      Qcow2BitmapEntry *e)
{
    uint64_t size = block_dirty_bitmap_size(bitmap);
    uint64_t reach = cluster_reach(s, e->granularity_bits);
    g_autofree uint64_t *table = g_new0(uint64_t, e->table_size);
    g_autofree uint8_t *buf = g_malloc(s->cluster_size);

    for (uint32_t i = 0; i < e->table_size && i * reach < size; i++) {
        uint64_t start = i * reach;
        uint64_t bytes = MIN(reach, size - start);
        uint64_t area, area_bytes, host;
        int ret;

        if (!block_dirty_bitmap_next_area(bitmap, start, bytes, bytes, &area,
                                          &area_bytes)) {
            continue;
        }
        memset(buf, 0, s->cluster_size);
        block_dirty_bitmap_serialize(bitmap, buf, start, bytes);
        ret = write_new(s, buf, s->cluster_size, &host);
        if (ret < 0) {
            return ret;
        }
        table[i] = host;
    }
    for (uint32_t i = 0; i < e->table_size; i++) {
        stq_be_p(&table[i], table[i]);
    }
    return write_new(s, table, e->table_size * 8ull, &e->table_offset);
}

/* Writes the directory to a new place and switches the header to it. */
static int switch_directory(Qcow2 *s, const GArray *list, GError **error)
{
    uint64_t old_offset = s->header.bitmap_dir_offset;
    uint64_t old_size = s->header.bitmap_dir_size;
    bool had = s->header.has_bitmaps;
    uint64_t size, offset = 0;
    g_autofree uint8_t *dir = qcow2_bitmap_directory_format(list, &size);
    int ret = 0;

    if (list->len) {
        ret = size > QCOW2_MAX_BITMAP_DIR ? -ENOSPC
                                          : write_new(s, dir, size, &offset);
    }
    if (ret == 0) {
        ret = qcow2_settle(s); /* counts first, everything durable */
    }
    if (ret < 0) {
        return ret;
    }
    s->header.has_bitmaps = list->len > 0;
    s->header.nb_bitmaps = list->len;
    s->header.bitmap_dir_offset = offset;
    s->header.bitmap_dir_size = list->len ? size : 0;
    s->header.autoclear &= ~QCOW2_AUTOCLEAR_BITMAPS;
    s->header.autoclear |= list->len ? QCOW2_AUTOCLEAR_BITMAPS : 0;
    ret = qcow2_write_header(s, error);
    if (ret == 0) {
        ret = block_flush(qcow2_file(s));
    }
    if (ret < 0) {
        s->header.has_bitmaps = had;
        s->header.bitmap_dir_offset = old_offset;
        s->header.bitmap_dir_size = old_size;
        return ret;
    }
    if (had) {
        free_clusters_now(s, old_offset, old_size);
    }
    return 0;
}

bool qcow2_bitmap_wants_store(const BlockDirtyBitmap *bitmap)
{
    return block_dirty_bitmap_persistent(bitmap) &&
           !block_dirty_bitmap_inconsistent(bitmap) &&
           !block_dirty_bitmap_skip_store(bitmap) &&
           !block_dirty_bitmap_read_only(bitmap);
}

/* A directory in work: an image may have 65 535 bitmaps. */
typedef struct Store {
    GArray *list;         /* Qcow2BitmapEntry, as it will be */
    GArray *old;          /* those whose tables go when it is written */
    GHashTable *position; /* name of an entry on disk -> its index + 1 */
} Store;

static bool store_one(Qcow2 *s, const BlockDirtyBitmap *bitmap, Store *store,
                      GError **error)
{
    const char *name = block_dirty_bitmap_name(bitmap);
    unsigned bits =
        __builtin_ctz(block_dirty_bitmap_granularity(bitmap));
    uint64_t bytes = data_bytes(block_dirty_bitmap_size(bitmap), bits);
    guint at = GPOINTER_TO_UINT(g_hash_table_lookup(store->position, name));
    Qcow2BitmapEntry *e;
    int ret;

    if (at) {
        Qcow2BitmapEntry copy =
            g_array_index(store->list, Qcow2BitmapEntry, at - 1);

        copy.name = g_strdup(name);
        g_array_append_val(store->old, copy);
    } else {
        Qcow2BitmapEntry fresh = { .name = g_strdup(name) };

        g_array_append_val(store->list, fresh);
        at = store->list->len;
    }
    e = &g_array_index(store->list, Qcow2BitmapEntry, at - 1);
    e->granularity_bits = bits;
    e->flags = block_dirty_bitmap_enabled(bitmap) ? QCOW2_BITMAP_FLAG_AUTO : 0;
    e->table_size = MAX(qcow2_clusters(s, bytes), 1);
    ret = store_bits(s, bitmap, e);
    if (ret < 0) {
        block_error_set_errno(error, -ret,
                              "Failed to store bitmap '%s' of node '%s'",
                              name, block_node_name(s->node));
    }
    return ret == 0;
}

static void after_store(Qcow2 *s, bool release)
{
    BlockDirtyBitmap *bitmap = NULL;

    if (release) {
        release_persistent(s);
        return;
    }
    while ((bitmap = block_dirty_bitmap_next(s->node, bitmap))) {
        if (qcow2_bitmap_wants_store(bitmap)) {
            block_dirty_bitmap_set_read_only(bitmap, true);
        }
    }
}

static bool store_all(Qcow2 *s, Store *store, GError **error)
{
    BlockDirtyBitmap *bitmap = NULL;
    int ret;

    while ((bitmap = block_dirty_bitmap_next(s->node, bitmap))) {
        if (qcow2_bitmap_wants_store(bitmap) &&
            !store_one(s, bitmap, store, error)) {
            return false;
        }
    }
    ret = switch_directory(s, store->list, error);
    for (guint i = 0; ret == 0 && i < store->old->len; i++) {
        free_table(s, &g_array_index(store->old, Qcow2BitmapEntry, i));
    }
    if (ret == 0) {
        ret = qcow2_settle(s);
    }
    if (ret < 0 && error && !*error) {
        block_error_set_errno(error, -ret, "Failed to store bitmaps of node "
                              "'%s'", block_node_name(s->node));
    }
    return ret == 0;
}

bool qcow2_bitmaps_write(Qcow2 *s, GError **error)
{
    g_autoptr(GArray) list = qcow2_bitmap_directory(s, error);
    g_autoptr(GArray) old = g_array_new(false, true, sizeof(Qcow2BitmapEntry));
    g_autoptr(GHashTable) position = g_hash_table_new(g_str_hash, g_str_equal);
    Store store = { list, old, position };
    bool ok;

    g_array_set_clear_func(old, qcow2_bitmap_entry_clear);
    if (!list) {
        return false;
    }
    for (guint i = 0; i < list->len; i++) {
        g_hash_table_insert(position,
                            g_array_index(list, Qcow2BitmapEntry, i).name,
                            GUINT_TO_POINTER(i + 1));
    }
    g_mutex_lock(&s->lock);
    ok = store_all(s, &store, error);
    g_mutex_unlock(&s->lock);
    return ok;
}

bool qcow2_bitmaps_store(Qcow2 *s, bool release, GError **error)
{
    BlockDirtyBitmap *bitmap = NULL;
    bool any = false;

    while (s->bitmaps_loaded &&
           (bitmap = block_dirty_bitmap_next(s->node, bitmap))) {
        any |= qcow2_bitmap_wants_store(bitmap);
    }
    if (any && !qcow2_bitmaps_write(s, error)) {
        return false;
    }
    after_store(s, release);
    return true;
}

/* ---- Commands ------------------------------------------------------------- */

static bool check_storable(Qcow2 *s, const char *name, uint32_t granularity,
                           GError **error)
{
    uint64_t nb = 0, dir_size = 0;
    BlockDirtyBitmap *bitmap = NULL;

    if (s->header.version < 3) {
        return FAIL(ENOTSUP,
                    "Cannot store dirty bitmaps in qcow2 v2 files");
    }
    if (granularity < 1u << QCOW2_BITMAP_MIN_GRANULARITY_BITS) {
        return FAIL(EINVAL, "Granularity is under minimum (%u bytes)",
                    1u << QCOW2_BITMAP_MIN_GRANULARITY_BITS);
    }
    if (granularity > 1u << QCOW2_BITMAP_MAX_GRANULARITY_BITS) {
        return FAIL(EINVAL, "Granularity exceeds maximum (%u bytes)",
                    1u << QCOW2_BITMAP_MAX_GRANULARITY_BITS);
    }
    if (strlen(name) > QCOW2_BITMAP_MAX_NAME) {
        return FAIL(EINVAL, "Name length exceeds maximum (%u characters)",
                    QCOW2_BITMAP_MAX_NAME);
    }
    if (data_bytes(s->header.size, __builtin_ctz(granularity)) >
        MAX_BITMAP_BYTES) {
        return FAIL(EFBIG, "Too much space will be occupied by the bitmap. "
                    "Use larger granularity");
    }
    if ((block_dirty_bitmap_names(s->node) + 1) *
            qcow2_bitmap_entry_size(QCOW2_BITMAP_MAX_NAME) <=
        QCOW2_MAX_BITMAP_DIR) {
        return true; /* far from both limits: nothing to add up */
    }
    while ((bitmap = block_dirty_bitmap_next(s->node, bitmap))) {
        if (block_dirty_bitmap_persistent(bitmap)) {
            nb++;
            dir_size += qcow2_bitmap_entry_size(
                strlen(block_dirty_bitmap_name(bitmap)));
        }
    }
    if (nb + 1 > QCOW2_MAX_BITMAPS) {
        return FAIL(EINVAL, "Maximum number of persistent bitmaps is already "
                    "reached");
    }
    if (dir_size + qcow2_bitmap_entry_size(strlen(name)) >
        QCOW2_MAX_BITMAP_DIR) {
        return FAIL(EINVAL, "Not enough space in the bitmap directory");
    }
    return true;
}

bool qcow2_bitmap_can_store(BlockNode *node, const char *name,
                            uint32_t granularity, GError **error)
{
    if (!check_storable(qcow2_state(node), name, granularity, error)) {
        g_prefix_error(error, "Can't make bitmap '%s' persistent in '%s': ",
                       name, block_node_name(node));
        return false;
    }
    return true;
}

bool qcow2_bitmap_remove(BlockNode *node, const char *name, GError **error)
{
    Qcow2 *s = qcow2_state(node);
    g_autoptr(GArray) list = qcow2_bitmap_directory(s, error);
    Qcow2BitmapEntry gone;
    Qcow2BitmapEntry *e;
    int ret;

    if (!list) {
        return false;
    }
    e = find_entry(list, name);
    if (!e) {
        return true;
    }
    gone = *e;
    gone.name = g_strdup(name);
    g_array_remove_index(list,
                         e - &g_array_index(list, Qcow2BitmapEntry, 0));
    g_mutex_lock(&s->lock);
    ret = switch_directory(s, list, NULL);
    if (ret == 0) {
        free_table(s, &gone);
        ret = qcow2_commit(s);
    }
    g_mutex_unlock(&s->lock);
    g_free(gone.name);
    if (ret < 0) {
        block_error_set_errno(error, -ret, "Failed to remove bitmap '%s' "
                              "from the image", name);
    }
    return ret == 0;
}

json_t *qcow2_bitmaps_info(Qcow2 *s)
{
    g_autoptr(GArray) list = qcow2_bitmap_directory(s, NULL);
    json_t *result;

    if (!list || list->len == 0) {
        return NULL;
    }
    result = json_array();
    for (guint i = 0; i < list->len; i++) {
        Qcow2BitmapEntry *e = &g_array_index(list, Qcow2BitmapEntry, i);
        json_t *flags = json_array();

        if (e->flags & QCOW2_BITMAP_FLAG_IN_USE) {
            json_array_append_new(flags, json_string("in-use"));
        }
        if (e->flags & QCOW2_BITMAP_FLAG_AUTO) {
            json_array_append_new(flags, json_string("auto"));
        }
        json_array_append_new(
            result, json_pack("{s:o, s:s, s:I}", "flags", flags, "name",
                              e->name, "granularity",
                              (json_int_t)1 << e->granularity_bits));
    }
    return result;
}

uint64_t qcow2_bitmaps_measure(BlockNode *node, uint64_t cluster_size,
                               bool *any)
{
    BlockDirtyBitmap *bitmap = NULL;
    uint64_t total = 0, dir = 0;

    *any = false;
    while ((bitmap = block_dirty_bitmap_next(node, bitmap))) {
        uint64_t bytes, clusters;

        if (!block_dirty_bitmap_persistent(bitmap) ||
            block_dirty_bitmap_inconsistent(bitmap)) {
            continue;
        }
        bytes = data_bytes(
            block_dirty_bitmap_size(bitmap),
            __builtin_ctz(block_dirty_bitmap_granularity(bitmap)));
        clusters = (bytes + cluster_size - 1) / cluster_size;
        total += clusters * cluster_size;
        total += (clusters * 8 + cluster_size - 1) / cluster_size *
                 cluster_size;
        dir += qcow2_bitmap_entry_size(strlen(block_dirty_bitmap_name(bitmap)));
        *any = true;
    }
    return total + (dir + cluster_size - 1) / cluster_size * cluster_size;
}
