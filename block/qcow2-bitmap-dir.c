/*
 * The directory of the bitmaps in a qcow2 image: its bytes and how they are
 * read and rewritten.  What the entries point to is in qcow2-bitmap.c.
 */
#include "block/qcow2-bitmap-int.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"

#define ENTRY_SIZE 24u /* fixed part of a directory entry */
#define TYPE_DIRTY 1
#define MAX_TABLE_ENTRIES (1u << 27)

#define FAIL(code, ...)                                                        \
    (g_set_error(error, BLOCK_ERROR, code, __VA_ARGS__), false)

void qcow2_bitmap_entry_clear(gpointer p)
{
    Qcow2BitmapEntry *e = p;

    g_clear_pointer(&e->name, g_free);
}

uint64_t qcow2_bitmap_entry_size(size_t name_len)
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
    *used = qcow2_bitmap_entry_size(name_len);
    if (*used > left) {
        return FAIL(EINVAL, "Dirty bitmap directory is truncated");
    }
    if (p[16] != TYPE_DIRTY || (e->flags & ~QCOW2_BITMAP_FLAGS_KNOWN)) {
        why = "of an unknown kind";
    } else if (name_len == 0 || name_len > QCOW2_BITMAP_MAX_NAME) {
        why = "without a valid name";
    } else if (e->granularity_bits < QCOW2_BITMAP_MIN_GRANULARITY_BITS ||
               e->granularity_bits > QCOW2_BITMAP_MAX_GRANULARITY_BITS) {
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

uint8_t *qcow2_bitmap_directory_format(const GArray *list, uint64_t *size)
{
    uint8_t *dir;
    uint64_t at = 0;

    *size = 0;
    for (guint i = 0; i < list->len; i++) {
        *size += qcow2_bitmap_entry_size(
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
        at += qcow2_bitmap_entry_size(len);
    }
    return dir;
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

int qcow2_bitmap_directory_rewrite(Qcow2 *s, const GArray *list)
{
    uint64_t size;
    g_autofree uint8_t *dir = qcow2_bitmap_directory_format(list, &size);
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
