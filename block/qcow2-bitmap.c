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
#include "block/qcow2-int.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util/bytes.h"

#define ENTRY_SIZE 24u /* fixed part of a directory entry */
#define FLAG_IN_USE 1u
#define FLAG_AUTO 2u
#define FLAG_EXTRA_COMPATIBLE 4u
#define FLAGS_KNOWN 7u
#define TYPE_DIRTY 1
#define MIN_GRANULARITY_BITS 9
#define MAX_GRANULARITY_BITS 31
#define MAX_NAME 1023u
#define MAX_TABLE_ENTRIES (1u << 27)
#define MAX_BITMAP_BYTES (UINT64_C(512) << 20)
#define MAX_TOTAL_BYTES (UINT64_C(1) << 30)
#define TABLE_ALL_ONES 1ull

#define FAIL(code, ...)                                                        \
    (g_set_error(error, BLOCK_ERROR, code, __VA_ARGS__), false)

void qcow2_bitmap_entry_clear(gpointer p)
{
    Qcow2BitmapEntry *e = p;

    g_clear_pointer(&e->name, g_free);
}

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

/* ---- Directory ------------------------------------------------------------ */

static uint64_t entry_disk_size(size_t name_len)
{
    return (ENTRY_SIZE + name_len + 7) & ~UINT64_C(7);
}

static bool parse_entry(Qcow2 *s, const uint8_t *p, uint64_t left,
                        Qcow2BitmapEntry *e, uint64_t *used, GError **error)
{
    uint16_t name_len;
    uint32_t extra;
    const char *why = NULL;

    if (left < ENTRY_SIZE) {
        return FAIL(EINVAL, "Dirty bitmap directory is truncated");
    }
    e->table_offset = ldq_be_p(p);
    e->table_size = ldl_be_p(p + 8);
    e->flags = ldl_be_p(p + 12);
    e->granularity_bits = p[17];
    name_len = ldw_be_p(p + 18);
    extra = ldl_be_p(p + 20);
    if (extra) {
        return FAIL(ENOTSUP, "Bitmap extra data is not supported");
    }
    *used = entry_disk_size(name_len);
    if (*used > left) {
        return FAIL(EINVAL, "Dirty bitmap directory is truncated");
    }
    if (p[16] != TYPE_DIRTY || (e->flags & ~FLAGS_KNOWN)) {
        why = "of an unknown kind";
    } else if (name_len == 0 || name_len > MAX_NAME) {
        why = "without a valid name";
    } else if (e->granularity_bits < MIN_GRANULARITY_BITS ||
               e->granularity_bits > MAX_GRANULARITY_BITS) {
        why = "of invalid granularity";
    } else if (e->table_size == 0 || e->table_size > MAX_TABLE_ENTRIES ||
               e->table_offset == 0 ||
               (e->table_offset & (s->cluster_size - 1)) ||
               e->table_offset >= QCOW2_MAX_HOST_OFFSET) {
        why = "with an invalid table";
    }
    if (why) {
        return FAIL(EINVAL, "Broken dirty bitmap directory: entry %s", why);
    }
    e->name = g_strndup((const char *)p + ENTRY_SIZE, name_len);
    return true;
}

GArray *qcow2_bitmap_directory(Qcow2 *s, GError **error)
{
    uint64_t size = s->header.bitmap_dir_size;
    g_autoptr(GArray) list =
        g_array_new(false, true, sizeof(Qcow2BitmapEntry));
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    g_autofree uint8_t *dir = NULL;
    uint64_t at = 0, used;
    int ret;

    g_array_set_clear_func(list, qcow2_bitmap_entry_clear);
    if (!s->header.has_bitmaps) {
        return g_steal_pointer(&list);
    }
    dir = g_try_malloc(MAX(size, 1));
    ret = dir ? block_pread(qcow2_file(s), s->header.bitmap_dir_offset, size,
                            dir, 0)
              : -ENOMEM;
    if (ret < 0) {
        block_error_set_errno(error, -ret,
                              "Failed to read bitmap directory");
        return NULL;
    }
    while (at < size) {
        Qcow2BitmapEntry e = { 0 };

        if (list->len >= s->header.nb_bitmaps) {
            (void)FAIL(EINVAL, "More bitmaps found than specified in header "
                       "extension");
            return NULL;
        }
        if (!parse_entry(s, dir + at, size - at, &e, &used, error)) {
            return NULL;
        }
        g_array_append_val(list, e);
        if (!g_hash_table_add(names, e.name)) {
            (void)FAIL(EINVAL, "Broken dirty bitmap directory: name '%s' is "
                       "there twice", e.name);
            return NULL;
        }
        at += used;
    }
    if (list->len != s->header.nb_bitmaps) {
        (void)FAIL(EINVAL, "Less bitmaps found than specified in header "
                   "extension");
        return NULL;
    }
    return g_steal_pointer(&list);
}

static uint8_t *format_directory(const GArray *list, uint64_t *size)
{
    uint8_t *dir;
    uint64_t at = 0;

    *size = 0;
    for (guint i = 0; i < list->len; i++) {
        *size += entry_disk_size(
            strlen(g_array_index(list, Qcow2BitmapEntry, i).name));
    }
    dir = g_malloc0(MAX(*size, 1));
    for (guint i = 0; i < list->len; i++) {
        const Qcow2BitmapEntry *e =
            &g_array_index(list, Qcow2BitmapEntry, i);
        size_t len = strlen(e->name);
        uint8_t *p = dir + at;

        stq_be_p(p, e->table_offset);
        stl_be_p(p + 8, e->table_size);
        stl_be_p(p + 12, e->flags);
        p[16] = TYPE_DIRTY;
        p[17] = e->granularity_bits;
        stw_be_p(p + 18, len);
        memcpy(p + ENTRY_SIZE, e->name, len);
        at += entry_disk_size(len);
    }
    return dir;
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

static int write_autoclear(Qcow2 *s, bool bitmaps)
{
    uint8_t disk[8];
    int ret;

    s->header.autoclear &= ~QCOW2_AUTOCLEAR_BITMAPS;
    s->header.autoclear |= bitmaps ? QCOW2_AUTOCLEAR_BITMAPS : 0;
    stq_be_p(disk, s->header.autoclear);
    ret = block_pwrite(qcow2_file(s), 88, 8, disk, 0);
    return ret < 0 ? ret : block_flush(qcow2_file(s));
}

/* Rewrites the directory where it is: only flags may have changed. */
static int rewrite_in_place(Qcow2 *s, const GArray *list)
{
    uint64_t size;
    g_autofree uint8_t *dir = format_directory(list, &size);
    int ret;

    if (size != s->header.bitmap_dir_size) {
        return -EINVAL;
    }
    ret = write_autoclear(s, false);
    if (ret == 0) {
        ret = block_pwrite(qcow2_file(s), s->header.bitmap_dir_offset, size,
                           dir, 0);
    }
    if (ret == 0) {
        ret = block_flush(qcow2_file(s));
    }
    return ret < 0 ? ret : write_autoclear(s, true);
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

    if (!(e->flags & FLAG_IN_USE)) {
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
    if (e->flags & FLAG_IN_USE) {
        block_dirty_bitmap_disable(bitmap);
        block_dirty_bitmap_set_inconsistent(bitmap);
        return true;
    }
    if (!(e->flags & FLAG_AUTO)) {
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

        change |= !(e->flags & FLAG_IN_USE);
        e->flags |= FLAG_IN_USE;
    }
    if (change) {
        ret = rewrite_in_place(s, list);
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
    g_autofree uint8_t *dir = format_directory(list, &size);
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

static bool store_one(Qcow2 *s, const BlockDirtyBitmap *bitmap, GArray *list,
                      GArray *old, GError **error)
{
    const char *name = block_dirty_bitmap_name(bitmap);
    unsigned bits =
        __builtin_ctz(block_dirty_bitmap_granularity(bitmap));
    uint64_t bytes = data_bytes(block_dirty_bitmap_size(bitmap), bits);
    Qcow2BitmapEntry *e = find_entry(list, name);
    int ret;

    if (e) {
        Qcow2BitmapEntry copy = *e;

        copy.name = g_strdup(name);
        g_array_append_val(old, copy);
    } else {
        Qcow2BitmapEntry fresh = { .name = g_strdup(name) };

        g_array_append_val(list, fresh);
        e = &g_array_index(list, Qcow2BitmapEntry, list->len - 1);
    }
    e->granularity_bits = bits;
    e->flags = block_dirty_bitmap_enabled(bitmap) ? FLAG_AUTO : 0;
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

static bool store_all(Qcow2 *s, GArray *list, GArray *old, GError **error)
{
    BlockDirtyBitmap *bitmap = NULL;
    int ret;

    while ((bitmap = block_dirty_bitmap_next(s->node, bitmap))) {
        if (qcow2_bitmap_wants_store(bitmap) &&
            !store_one(s, bitmap, list, old, error)) {
            return false;
        }
    }
    ret = switch_directory(s, list, error);
    for (guint i = 0; ret == 0 && i < old->len; i++) {
        free_table(s, &g_array_index(old, Qcow2BitmapEntry, i));
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
    bool ok;

    g_array_set_clear_func(old, qcow2_bitmap_entry_clear);
    if (!list) {
        return false;
    }
    g_mutex_lock(&s->lock);
    ok = store_all(s, list, old, error);
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
    if (granularity < 1u << MIN_GRANULARITY_BITS) {
        return FAIL(EINVAL, "Granularity is under minimum (%u bytes)",
                    1u << MIN_GRANULARITY_BITS);
    }
    if (granularity > 1u << MAX_GRANULARITY_BITS) {
        return FAIL(EINVAL, "Granularity exceeds maximum (%u bytes)",
                    1u << MAX_GRANULARITY_BITS);
    }
    if (strlen(name) > MAX_NAME) {
        return FAIL(EINVAL, "Name length exceeds maximum (%u characters)",
                    MAX_NAME);
    }
    if (data_bytes(s->header.size, __builtin_ctz(granularity)) >
        MAX_BITMAP_BYTES) {
        return FAIL(EFBIG, "Too much space will be occupied by the bitmap. "
                    "Use larger granularity");
    }
    while ((bitmap = block_dirty_bitmap_next(s->node, bitmap))) {
        if (block_dirty_bitmap_persistent(bitmap)) {
            nb++;
            dir_size += entry_disk_size(
                strlen(block_dirty_bitmap_name(bitmap)));
        }
    }
    if (nb + 1 > QCOW2_MAX_BITMAPS) {
        return FAIL(EINVAL, "Maximum number of persistent bitmaps is already "
                    "reached");
    }
    if (dir_size + entry_disk_size(strlen(name)) > QCOW2_MAX_BITMAP_DIR) {
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

        if (e->flags & FLAG_IN_USE) {
            json_array_append_new(flags, json_string("in-use"));
        }
        if (e->flags & FLAG_AUTO) {
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
        dir += entry_disk_size(strlen(block_dirty_bitmap_name(bitmap)));
        *any = true;
    }
    return total + (dir + cluster_size - 1) / cluster_size * cluster_size;
}
