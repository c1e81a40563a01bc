/*
 * Changing an existing image: size, version, refcount width, emptying.
 *
 * Runs with the node drained.
 */
#include "block/qcow2-int.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/options.h"
#include "util/bytes.h"

#define FAIL(code, ...)                                                        \
    (g_set_error(error, BLOCK_ERROR, code, __VA_ARGS__), false)

/* ---- L1 table ------------------------------------------------------------- */

static int move_l1(Qcow2 *s, uint64_t entries)
{
    uint64_t old_offset = s->header.l1_offset;
    uint32_t old_size = s->l1_size;
    uint64_t offset, *grown;
    g_autofree uint64_t *disk = NULL;
    int ret;

    if (entries > QCOW2_MAX_L1_BYTES / 8) {
        return -EFBIG;
    }
    grown = g_try_new0(uint64_t, entries);
    disk = g_try_new0(uint64_t, entries);
    if (!grown || !disk) {
        g_free(grown);
        return -ENOMEM;
    }
    ret = qcow2_commit(s);
    if (ret == 0) {
        ret = qcow2_alloc_exact(s, entries * 8, QCOW2_META_ACTIVE_L1,
                                &offset);
    }
    if (ret < 0) {
        g_free(grown);
        return ret;
    }
    memcpy(grown, s->l1, old_size * 8ull);
    for (uint64_t i = 0; i < entries; i++) {
        stq_be_p(&disk[i], grown[i]);
    }
    block_debug_event(qcow2_file(s), "l1_grow_write_table");
    ret = block_pwrite(qcow2_file(s), offset, entries * 8, disk, 0);
    if (ret == 0) {
        ret = qcow2_settle(s);
    }
    if (ret == 0) {
        uint64_t *old = s->l1;

        s->l1 = grown;
        s->l1_size = entries;
        s->header.l1_offset = offset;
        block_debug_event(qcow2_file(s), "l1_grow_activate_table");
        ret = qcow2_write_header(s, NULL);
        if (ret < 0) {
            s->l1 = old;
            s->l1_size = old_size;
            s->header.l1_offset = old_offset;
        } else {
            g_free(old);
            grown = NULL;
        }
    }
    g_free(grown);
    if (ret < 0) {
        qcow2_meta_remove(s, offset, entries * 8);
        qcow2_free_later(s, offset, entries * 8, false);
        return ret;
    }
    ret = block_flush(qcow2_file(s));
    if (ret == 0 && old_size) {
        qcow2_meta_remove(s, old_offset, old_size * 8ull);
        ret = qcow2_refcount_add(s, old_offset >> s->cluster_bits,
                                 qcow2_clusters(s, old_size * 8ull), -1);
    }
    return ret;
}

int qcow2_grow_l1(Qcow2 *s, uint64_t min_entries)
{
    int ret = 0;

    g_mutex_lock(&s->lock);
    if (min_entries > s->l1_size) {
        ret = move_l1(s, min_entries);
    }
    g_mutex_unlock(&s->lock);
    return ret;
}

/* ---- Size ----------------------------------------------------------------- */

static int write_size(Qcow2 *s, uint64_t size)
{
    uint8_t disk[8];
    int ret;

    stq_be_p(disk, size);
    ret = block_pwrite(qcow2_file(s), 24, 8, disk, 0);
    if (ret == 0) {
        ret = block_flush(qcow2_file(s));
    }
    if (ret == 0) {
        s->header.size = size;
        block_node_set_length(s->node, size);
    }
    return ret;
}

/* Cuts the free clusters off the end of the file. */
static int cut_file(Qcow2 *s, GError **error)
{
    int64_t length = block_length(qcow2_file(s));
    uint64_t end = length > 0 ? qcow2_clusters(s, length) : 0;
    uint64_t count = 0;

    while (end > 0) {
        int ret = qcow2_refcount_get(s, end - 1, &count);

        if (ret < 0) {
            return ret;
        }
        if (count) {
            break;
        }
        end--;
    }
    if ((int64_t)(end << s->cluster_bits) >= length) {
        return 0;
    }
    s->file_end = end;
    return block_truncate(qcow2_file(s), end << s->cluster_bits, false,
                          BLOCK_PREALLOC_OFF, error)
               ? 0 : -EIO;
}

static bool shrink(Qcow2 *s, uint64_t size, GError **error)
{
    uint64_t from = qcow2_clusters(s, size) << s->cluster_bits;
    uint64_t old_end = qcow2_clusters(s, s->header.size) << s->cluster_bits;
    int ret = 0;

    if (from < old_end) {
        ret = qcow2_discard_all(s, from, old_end - from);
    }
    g_mutex_lock(&s->lock);
    if (ret == 0) {
        ret = qcow2_settle(s);
    }
    if (ret == 0) {
        ret = write_size(s, size);
    }
    if (ret == 0) {
        ret = cut_file(s, error);
    }
    g_mutex_unlock(&s->lock);
    if (ret < 0 && error && !*error) {
        block_error_set_errno(error, -ret, "Failed to shrink the image");
    }
    return ret == 0;
}

/* A last cluster that was only partly used may hold old bytes behind it. */
static int clear_tail(Qcow2 *s, uint64_t from, uint64_t to)
{
    uint64_t end = MIN(qcow2_clusters(s, from) << s->cluster_bits, to);
    Qcow2Extent e;
    int ret;

    if (from >= end) {
        return 0;
    }
    ret = qcow2_lookup(s, from, end - from, &e);
    if (ret < 0 || (e.type != QCOW2_NORMAL && e.type != QCOW2_COMPRESSED)) {
        return ret;
    }
    return block_pwrite_zeroes(s->node, from, end - from, 0);
}

/* What a longer backing file would show in the new area must not show. */
static int hide_backing(Qcow2 *s, uint64_t from, uint64_t to)
{
    BlockNode *backing = block_node_backing(s->node);
    int64_t length = backing ? block_length(backing) : 0;

    if (length < 0) {
        return length;
    }
    to = MIN(to, (uint64_t)length);
    if (from >= to) {
        return 0;
    }
    return block_pwrite_zeroes(s->node, from, to - from, 0);
}

static bool grow_data_file(Qcow2 *s, uint64_t size, BlockPreallocation mode,
                           GError **error)
{
    int64_t length;

    if (!s->data_edge) {
        return true;
    }
    length = block_length(qcow2_data(s));
    return length >= (int64_t)size ||
           block_truncate(qcow2_data(s), size, false,
                          mode == BLOCK_PREALLOC_METADATA ? BLOCK_PREALLOC_OFF
                                                          : mode,
                          error);
}

static bool grow(Qcow2 *s, uint64_t size, BlockPreallocation mode,
                 GError **error)
{
    unsigned shift = s->cluster_bits + s->l2_bits;
    uint64_t old = s->header.size;
    uint64_t entries = (size >> shift) + !!(size & ((UINT64_C(1) << shift) -
                                                    1));
    int ret = qcow2_grow_l1(s, entries);

    if (ret == -EFBIG) {
        return FAIL(EFBIG, "Failed to grow the L1 table");
    }
    if (ret < 0) {
        block_error_set_errno(error, -ret, "Failed to grow the L1 table");
        return false;
    }
    if (!grow_data_file(s, size, mode, error)) {
        return false;
    }
    if (mode != BLOCK_PREALLOC_OFF &&
        qcow2_preallocate(s, old, size, mode, error) < 0) {
        return false;
    }
    g_mutex_lock(&s->lock);
    ret = qcow2_commit(s);
    if (ret == 0) {
        ret = write_size(s, size);
    }
    g_mutex_unlock(&s->lock);
    if (ret == 0) {
        ret = clear_tail(s, old, size);
    }
    if (ret == 0) {
        ret = hide_backing(s, old, size);
    }
    if (ret < 0) {
        block_error_set_errno(error, -ret, "Failed to update the image size");
    }
    return ret == 0;
}

bool qcow2_truncate(BlockNode *node, uint64_t size, bool exact,
                    BlockPreallocation prealloc, GError **error)
{
    Qcow2 *s = qcow2_state(node);

    if (size & 511) {
        return FAIL(EINVAL, "The new size must be a multiple of 512");
    }
    if (s->header.version < 3 && s->snapshots->len) {
        return FAIL(ENOTSUP, "Can't resize a v2 image which has snapshots");
    }
    if (!qcow2_bitmaps_invalidate(s, error)) {
        return false;
    }
    if (size < s->header.size) {
        if (prealloc != BLOCK_PREALLOC_OFF) {
            return FAIL(EINVAL, "Preallocation can't be used for shrinking "
                        "an image");
        }
        return shrink(s, size, error);
    }
    if (prealloc == BLOCK_PREALLOC_OFF &&
        (s->header.autoclear & QCOW2_AUTOCLEAR_RAW_DATA)) {
        prealloc = BLOCK_PREALLOC_METADATA; /* as its raw file maps it */
    }
    return size == s->header.size || grow(s, size, prealloc, error);
}

/* ---- Emptying ------------------------------------------------------------- */

bool qcow2_make_empty(BlockNode *node, GError **error)
{
    Qcow2 *s = qcow2_state(node);
    uint64_t end = qcow2_clusters(s, s->header.size) << s->cluster_bits;
    int ret;

    if (!qcow2_bitmaps_invalidate(s, error)) {
        return false;
    }
    block_debug_event(qcow2_file(s), "empty_image_prepare");
    ret = end ? qcow2_discard_all(s, 0, end) : 0;
    g_mutex_lock(&s->lock);
    if (ret == 0) {
        ret = qcow2_settle(s);
    }
    if (ret == 0 && s->snapshots->len == 0) {
        ret = cut_file(s, NULL);
    }
    g_mutex_unlock(&s->lock);
    if (ret < 0) {
        block_error_set_errno(error, -ret, "Failed to empty the image");
    }
    return ret == 0;
}

/* ---- Amend ---------------------------------------------------------------- */

const BlockOption qcow2_amend_options[] = {
    { "size", BLOCK_OPT_SIZE, .help = "Virtual disk size" },
    { "version", BLOCK_OPT_ENUM, "v2/v3",
      "Compatibility level (v2 [0.10] or v3 [1.1])" },
    { "backing-file", BLOCK_OPT_STRING, .help = "File name of a base image" },
    { "backing-fmt", BLOCK_OPT_STRING,
      .help = "Image format of the base image" },
    { "data-file", BLOCK_OPT_STRING,
      .help = "File name of an external data file" },
    { "data-file-raw", BLOCK_OPT_BOOL,
      .help = "The external data file must stay valid as a raw image" },
    { "lazy-refcounts", BLOCK_OPT_BOOL, .help = "Postpone refcount updates" },
    { "refcount-bits", BLOCK_OPT_SIZE,
      .help = "Width of a reference count entry in bits" },
    { NULL },
};

typedef struct Amend {
    uint64_t size, refcount_bits;
    int version;
    const char *backing_file, *backing_fmt, *data_file;
    bool lazy, data_file_raw;
} Amend;

/* Zero clusters become data or holes: version 2 has none. */
static int expand_zeroes(Qcow2 *s, BlockProgressFn *progress, void *opaque)
{
    uint64_t at = 0;
    uint64_t chunk = MAX(s->cluster_size, 1u << 20);
    g_autofree void *zeroes = g_try_malloc0(chunk);
    bool backing = block_node_backing(s->node) != NULL;

    while (zeroes && at < s->header.size) {
        Qcow2Extent e;
        int ret = qcow2_lookup(s, at, s->header.size - at, &e);

        if (ret == 0 && (e.type == QCOW2_ZERO_HOST || e.type == QCOW2_ZERO)) {
            struct iovec iov = { zeroes, MIN(e.bytes, chunk) };

            e.bytes = iov.iov_len;
            ret = backing || e.type == QCOW2_ZERO_HOST
                      ? qcow2_write_range(s, at, e.bytes, &iov, 1)
                      : qcow2_discard_all(s, qcow2_cluster_start(s, at),
                                          s->cluster_size);
            if (!backing && e.type == QCOW2_ZERO) {
                e.bytes = MIN(e.bytes, s->cluster_size);
            }
        }
        if (ret < 0) {
            return ret;
        }
        at += e.bytes;
        if (progress && progress(opaque, at, s->header.size)) {
            return -ECANCELED;
        }
    }
    return zeroes ? 0 : -ENOMEM;
}

static bool downgrade(Qcow2 *s, BlockProgressFn *progress, void *opaque,
                      GError **error)
{
    uint64_t blockers = s->header.incompatible & ~QCOW2_INCOMPAT_DIRTY;
    int ret;

    if (s->data_edge) {
        return FAIL(ENOTSUP, "Cannot downgrade an image with a data file");
    }
    if (blockers) {
        return FAIL(ENOTSUP, "Cannot downgrade an image with incompatible "
                    "features 0x%" PRIx64 " set", blockers);
    }
    if (s->snapshots->len) {
        return FAIL(ENOTSUP, "Internal snapshots prevent downgrade of image");
    }
    if (s->header.has_bitmaps) {
        return FAIL(ENOTSUP, "Persistent bitmaps prevent downgrade of image");
    }
    ret = qcow2_update_incompat(s, 0, QCOW2_INCOMPAT_DIRTY);
    if (ret == 0) {
        ret = expand_zeroes(s, progress, opaque);
    }
    g_mutex_lock(&s->lock);
    if (ret == 0) {
        ret = qcow2_settle(s);
    }
    if (ret == 0) {
        s->header.version = 2;
        s->header.incompatible = s->header.compatible = 0;
        s->header.autoclear = 0;
        s->lazy = false;
        ret = qcow2_write_header(s, error);
    }
    g_mutex_unlock(&s->lock);
    if (ret < 0 && error && !*error) {
        block_error_set_errno(error, -ret, "Failed to turn zero into data "
                              "clusters");
    }
    return ret == 0;
}

static bool check_amend(Qcow2 *s, const Amend *a, GError **error)
{
    if (a->data_file_raw && !s->raw_data) {
        return FAIL(EINVAL, "data-file-raw cannot be set on existing images");
    }
    if (a->data_file && !s->data_edge &&
        !(s->header.incompatible & QCOW2_INCOMPAT_DATA_FILE)) {
        return FAIL(EINVAL, "data-file can only be set for images that use "
                    "an external data file");
    }
    if (a->version == 0 && a->lazy) {
        return FAIL(EINVAL, "Lazy refcounts only supported with "
                    "compatibility level 1.1 and above (use compat=1.1 or "
                    "greater)");
    }
    if (a->refcount_bits == 0 || (a->refcount_bits & (a->refcount_bits - 1)) ||
        a->refcount_bits > 64) {
        return FAIL(EINVAL, "Refcount width must be a power of two and may "
                    "not exceed 64 bits");
    }
    if (a->version == 0 && a->refcount_bits != 16) {
        return FAIL(EINVAL, "Refcount widths other than 16 bits require "
                    "compatibility level 1.1 or above (use compat=1.1 or "
                    "greater)");
    }
    return true;
}

/* Lazy refcounts and the names of other files. */
static bool amend_header(Qcow2 *s, json_t *options, const Amend *a,
                         GError **error)
{
    bool lazy_now = s->header.compatible & QCOW2_COMPAT_LAZY_REFCOUNTS;
    bool change = false;

    if (a->lazy != lazy_now) {
        s->header.compatible ^= QCOW2_COMPAT_LAZY_REFCOUNTS;
        s->lazy = a->lazy;
        change = true;
    }
    if (json_object_get(options, "data-file")) {
        g_free(s->header.data_file);
        s->header.data_file = *a->data_file ? g_strdup(a->data_file) : NULL;
        change = true;
    }
    if (json_object_get(options, "data-file-raw") && !a->data_file_raw) {
        s->header.autoclear &= ~QCOW2_AUTOCLEAR_RAW_DATA;
        s->raw_data = false;
        change = true;
    }
    if (change) {
        int ret;

        g_mutex_lock(&s->lock);
        ret = qcow2_settle(s);
        if (ret == 0) {
            ret = qcow2_write_header(s, error);
        }
        g_mutex_unlock(&s->lock);
        if (ret == 0 && !a->lazy) {
            ret = qcow2_update_incompat(s, 0, QCOW2_INCOMPAT_DIRTY);
        }
        if (ret < 0) {
            if (error && !*error) {
                block_error_set_errno(error, -ret, "Failed to update the "
                                      "image header");
            }
            return false;
        }
    }
    return true;
}

static bool parse_amend(Qcow2 *s, json_t *options, Amend *a, GError **error)
{
    *a = (Amend){ .size = s->header.size,
                  .refcount_bits = 1u << s->refcount_order,
                  .version = s->header.version - 2,
                  .lazy = s->header.compatible & QCOW2_COMPAT_LAZY_REFCOUNTS,
                  .data_file_raw = s->raw_data,
                  .backing_file = s->header.backing_file,
                  .backing_fmt = s->header.backing_format };
    if (!block_options_size(options, "size", &a->size, error) ||
        !block_options_size(options, "refcount-bits", &a->refcount_bits,
                            error) ||
        !block_options_enum(options, "version", "v2/v3", &a->version,
                            error) ||
        !block_options_string(options, "backing-file", &a->backing_file,
                              error) ||
        !block_options_string(options, "backing-fmt", &a->backing_fmt,
                              error) ||
        !block_options_string(options, "data-file", &a->data_file, error) ||
        !block_options_bool(options, "data-file-raw", &a->data_file_raw,
                            error) ||
        !block_options_bool(options, "lazy-refcounts", &a->lazy, error)) {
        return false;
    }
    if (a->version == 0 && s->header.version == 3 &&
        !json_object_get(options, "lazy-refcounts")) {
        a->lazy = false;
    }
    return true;
}

bool qcow2_amend(BlockNode *node, json_t *options, bool force,
                 BlockProgressFn *progress, void *opaque, GError **error)
{
    Qcow2 *s = qcow2_state(node);
    Amend a;

    if (!parse_amend(s, options, &a, error) || !check_amend(s, &a, error)) {
        return false;
    }
    if (a.version == 1 && s->header.version == 2) {
        s->header.version = 3;
        if (qcow2_write_header(s, error) < 0) {
            s->header.version = 2;
            return false;
        }
    }
    if (a.refcount_bits != 1u << s->refcount_order &&
        !qcow2_change_refcount_width(s, __builtin_ctzll(a.refcount_bits),
                                     error)) {
        return false;
    }
    if ((json_object_get(options, "backing-file") ||
         json_object_get(options, "backing-fmt")) &&
        (g_strcmp0(a.backing_file, s->header.backing_file) ||
         g_strcmp0(a.backing_fmt, s->header.backing_format))) {
        return FAIL(EINVAL, "Cannot amend the backing file\nUse 'qemu-img "
                    "rebase' instead");
    }
    if (!amend_header(s, options, &a, error)) {
        return false;
    }
    if (a.size != s->header.size &&
        !block_truncate(node, a.size, false, BLOCK_PREALLOC_OFF, error)) {
        return false;
    }
    if (a.version == 0 && s->header.version == 3 &&
        !downgrade(s, progress, opaque, error)) {
        return false;
    }
    if (progress) {
        (void)progress(opaque, 1, 1);
    }
    return true;
}
