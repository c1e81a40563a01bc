/*
 * Making new qcow2 images, and telling how large they would get.
 *
 * An image starts as three clusters - header, refcount table, one refcount
 * block - without an L1 table.  It is then opened like any other and given
 * its size, preallocation and backing file through the ordinary paths.
 */
#include "block/qcow2-int.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/backend.h"
#include "block/options.h"
#include "util/bytes.h"

#define FAIL(code, ...)                                                        \
    (g_set_error(error, BLOCK_ERROR, code, __VA_ARGS__), false)

#define NEEDS_V3(what)                                                         \
    FAIL(EINVAL, what " compatibility level 1.1 and above (use version=v3 "    \
                      "or greater)")

const BlockOption qcow2_create_options[] = {
    { "file", BLOCK_OPT_NODE, .required = true },
    { "size", BLOCK_OPT_SIZE, .required = true,
      .help = "Virtual disk size" },
    { "version", BLOCK_OPT_ENUM, "v2/v3",
      "Compatibility level (v2 [0.10] or v3 [1.1])" },
    { "backing-file", BLOCK_OPT_STRING, .help = "File name of a base image" },
    { "backing-fmt", BLOCK_OPT_STRING,
      .help = "Image format of the base image" },
    { "data-file", BLOCK_OPT_NODE,
      .help = "File name of an external data file" },
    { "data-file-raw", BLOCK_OPT_BOOL,
      .help = "The external data file must stay valid as a raw image" },
    { "extended-l2", BLOCK_OPT_BOOL, .help = "Extended L2 tables" },
    { "cluster-size", BLOCK_OPT_SIZE, .help = "qcow2 cluster size" },
    { "preallocation", BLOCK_OPT_ENUM, "off/metadata/falloc/full",
      "Preallocation mode (allowed values: off, metadata, falloc, full)" },
    { "lazy-refcounts", BLOCK_OPT_BOOL, .help = "Postpone refcount updates" },
    { "refcount-bits", BLOCK_OPT_SIZE,
      .help = "Width of a reference count entry in bits" },
    { "compression-type", BLOCK_OPT_STRING,
      .help = "Compression method used for image cluster compression" },
    { "encrypt", BLOCK_OPT_OBJECT },
    { NULL },
};

/* Options in typed form. */
typedef struct Create {
    uint64_t size, cluster_size, refcount_bits;
    int version; /* 0: v2, 1: v3 */
    int prealloc;
    const char *backing_file, *backing_fmt, *compression;
    bool has_data_file, data_file_raw, extended_l2, lazy;
    unsigned refcount_order;
} Create;

static bool parse_create(json_t *options, Create *c, GError **error)
{
    *c = (Create){ .cluster_size = 65536, .refcount_bits = 16, .version = 1,
                   .compression = "zlib" };
    c->has_data_file = json_object_get(options, "data-file") != NULL;
    return block_options_size(options, "size", &c->size, error) &&
           block_options_size(options, "cluster-size", &c->cluster_size,
                              error) &&
           block_options_size(options, "refcount-bits", &c->refcount_bits,
                              error) &&
           block_options_enum(options, "version", "v2/v3", &c->version,
                              error) &&
           block_options_enum(options, "preallocation",
                              "off/metadata/falloc/full", &c->prealloc,
                              error) &&
           block_options_string(options, "backing-file", &c->backing_file,
                                error) &&
           block_options_string(options, "backing-fmt", &c->backing_fmt,
                                error) &&
           block_options_string(options, "compression-type", &c->compression,
                                error) &&
           block_options_bool(options, "data-file-raw", &c->data_file_raw,
                              error) &&
           block_options_bool(options, "extended-l2", &c->extended_l2,
                              error) &&
           block_options_bool(options, "lazy-refcounts", &c->lazy, error);
}

static bool is_power_of_two(uint64_t v)
{
    return v && !(v & (v - 1));
}

static bool check_geometry(Create *c, GError **error)
{
    if (c->size & 511) {
        return FAIL(EINVAL, "Image size must be a multiple of 512 bytes");
    }
    if (c->extended_l2 && c->version == 0) {
        return NEEDS_V3("Extended L2 entries are only supported with");
    }
    if (!is_power_of_two(c->cluster_size) ||
        c->cluster_size < 1u << QCOW2_MIN_CLUSTER_BITS ||
        c->cluster_size > 1u << QCOW2_MAX_CLUSTER_BITS) {
        return FAIL(EINVAL, "Cluster size must be a power of two between %d "
                    "and %dk", 1 << QCOW2_MIN_CLUSTER_BITS,
                    1 << (QCOW2_MAX_CLUSTER_BITS - 10));
    }
    if (c->extended_l2 &&
        c->cluster_size < 1u << QCOW2_MIN_EXTL2_CLUSTER_BITS) {
        return FAIL(EINVAL, "Extended L2 entries are only supported with "
                    "cluster sizes of at least %u bytes",
                    1u << QCOW2_MIN_EXTL2_CLUSTER_BITS);
    }
    return true;
}

static bool check_create(Create *c, GError **error)
{
    if (!check_geometry(c, error)) {
        return false;
    }
    if (c->prealloc && c->backing_file && !c->extended_l2) {
        return FAIL(EINVAL, "Backing file and preallocation can only be used "
                    "at the same time if extended_l2 is on");
    }
    if (c->backing_fmt && !c->backing_file) {
        return FAIL(EINVAL, "Backing format cannot be used without backing "
                    "file");
    }
    if (c->lazy && c->version == 0) {
        return NEEDS_V3("Lazy refcounts only supported with");
    }
    if (!is_power_of_two(c->refcount_bits) || c->refcount_bits > 64) {
        return FAIL(EINVAL, "Refcount width must be a power of two and may "
                    "not exceed 64 bits");
    }
    if (c->version == 0 && c->refcount_bits != 16) {
        return FAIL(EINVAL, "Different refcount widths than 16 bits require "
                    "compatibility level 1.1 or above (use version=v3 or "
                    "greater)");
    }
    c->refcount_order = __builtin_ctzll(c->refcount_bits);
    if (c->data_file_raw && !c->has_data_file) {
        return FAIL(EINVAL, "data-file-raw requires data-file");
    }
    if (c->data_file_raw && c->backing_file) {
        return FAIL(EINVAL, "Backing file and data-file-raw cannot be used "
                    "at the same time");
    }
    if (c->data_file_raw && c->prealloc == BLOCK_PREALLOC_OFF) {
        /* Everything in the raw file is the guest's, so all must be mapped. */
        c->prealloc = BLOCK_PREALLOC_METADATA;
    }
    if (c->has_data_file && c->version == 0) {
        return NEEDS_V3("External data files are only supported with");
    }
    if (strcmp(c->compression, "zlib")) {
        if (strcmp(c->compression, "zstd") ||
            !qcow2_compression_available(QCOW2_COMPRESSION_ZSTD)) {
            return FAIL(EINVAL, "Unknown compression type");
        }
        if (c->version == 0) {
            return NEEDS_V3("Non-zlib compression type is only supported "
                            "with");
        }
    }
    return true;
}

static void fill_header(const Create *c, Qcow2Header *h, BlockNode *data)
{
    bool zstd = !strcmp(c->compression, "zstd");

    memset(h, 0, sizeof(*h));
    h->version = c->version + 2;
    h->cluster_bits = __builtin_ctzll(c->cluster_size);
    h->reftable_offset = c->cluster_size;
    h->reftable_clusters = 1;
    h->refcount_order = c->refcount_order;
    h->compression_type = zstd;
    h->compatible = c->lazy ? QCOW2_COMPAT_LAZY_REFCOUNTS : 0;
    h->incompatible = (c->extended_l2 ? QCOW2_INCOMPAT_EXTL2 : 0) |
                      (zstd ? QCOW2_INCOMPAT_COMPRESSION : 0) |
                      (c->has_data_file ? QCOW2_INCOMPAT_DATA_FILE : 0);
    h->autoclear = c->data_file_raw ? QCOW2_AUTOCLEAR_RAW_DATA : 0;
    h->data_file = data ? g_strdup(block_node_filename(data)) : NULL;
}

/* The first three clusters. */
static int write_skeleton(BlockNode *file, const Create *c, BlockNode *data,
                          GError **error)
{
    g_autofree uint8_t *buf = g_malloc0(c->cluster_size * 3);
    Qcow2Header h;
    int ret;

    fill_header(c, &h, data);
    if (!qcow2_header_format(&h, buf, c->cluster_size, error)) {
        qcow2_header_clear(&h);
        return -ENOSPC;
    }
    qcow2_header_clear(&h);
    stq_be_p(buf + c->cluster_size, c->cluster_size * 2);
    for (unsigned i = 0; i < 3; i++) {
        qcow2_refblock_store(buf + c->cluster_size * 2, c->refcount_order, i,
                             1);
    }
    ret = block_pwrite(file, 0, c->cluster_size * 3, buf, 0);
    if (ret < 0) {
        block_error_set_errno(error, -ret, "Could not write qcow2 header");
    }
    return ret;
}

/* A node from a description or a name; a reference. */
static BlockNode *take_node(json_t *ref, GError **error)
{
    if (json_is_string(ref)) {
        BlockNode *node = block_node_lookup("", json_string_value(ref), error);

        return node ? block_node_ref(node) : NULL;
    }
    return block_node_open(ref, BLOCK_OPEN_RDWR, error);
}

/* Opens the skeleton as an image and completes it. */
static bool complete(BlockNode *file, BlockNode *data, const Create *c,
                     GError **error)
{
    json_t *options =
        json_pack("{s:s, s:s, s:n}", "driver", "qcow2", "file",
                  block_node_name(file), "backing");
    g_autoptr(BlockBackend) backend =
        block_backend_new(NULL, "create", BLOCK_PERM_ALL, BLOCK_PERM_ALL);
    g_autoptr(BlockNode) node = NULL;
    bool ok;

    if (data) {
        json_object_set_new(options, "data-file",
                            json_string(block_node_name(data)));
    }
    node = block_node_open(options, BLOCK_OPEN_RDWR | BLOCK_OPEN_NO_FLUSH,
                           error);
    json_decref(options);
    ok = node && block_backend_attach(backend, node, error);
    if (ok && c->backing_file) {
        ok = block_node_change_backing_file(node, c->backing_file,
                                            c->backing_fmt, error);
    }
    if (ok && !block_truncate(node, c->size, false, c->prealloc, error)) {
        g_prefix_error(error, "Could not resize image: ");
        ok = false;
    }
    if (node) {
        block_backend_detach(backend);
    }
    return ok;
}

bool qcow2_create(json_t *options, GError **error)
{
    Create c;
    g_autoptr(BlockNode) file = NULL;
    g_autoptr(BlockNode) data = NULL;
    g_autoptr(BlockBackend) backend = NULL;
    bool ok;

    if (json_object_get(options, "encrypt")) {
        return FAIL(ENOTSUP, "Encryption (LUKS, AES) of qcow2 images is not "
                    "supported");
    }
    if (!parse_create(options, &c, error) || !check_create(&c, error)) {
        return false;
    }
    file = take_node(json_object_get(options, "file"), error);
    if (!file) {
        return false;
    }
    if (c.has_data_file) {
        data = take_node(json_object_get(options, "data-file"), error);
        if (!data) {
            return false;
        }
    }
    backend = block_backend_new(NULL, "create",
                                BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE,
                                BLOCK_PERM_ALL);
    ok = block_backend_attach(backend, file, error) &&
         block_truncate(file, 0, false, BLOCK_PREALLOC_OFF, error) &&
         write_skeleton(file, &c, data, error) == 0;
    block_backend_detach(backend);
    return ok && complete(file, data, &c, error);
}

/* ---- Measuring ------------------------------------------------------------ */

static uint64_t round_up(uint64_t v, uint64_t to)
{
    return (v + to - 1) / to * to;
}

/* Refcount blocks and table for so many clusters and for themselves. */
static uint64_t refcount_bytes(uint64_t clusters, const Create *c)
{
    uint64_t per_block = c->cluster_size * 8 >> c->refcount_order;
    uint64_t per_table = c->cluster_size / 8;
    uint64_t blocks = 0, table = 0, before;

    do {
        before = blocks + table;
        blocks = (clusters + before + per_block - 1) / per_block;
        table = (blocks + per_table - 1) / per_table;
    } while (blocks + table != before);
    return (blocks + table) * c->cluster_size;
}

static uint64_t full_size(uint64_t size, const Create *c)
{
    uint64_t entry = c->extended_l2 ? 16 : 8;
    uint64_t l2 = round_up(size / c->cluster_size, c->cluster_size / entry);
    uint64_t meta = c->cluster_size + l2 * entry;
    uint64_t l1 = round_up(l2 * entry / c->cluster_size, c->cluster_size / 8);

    meta += l1 * 8;
    meta += refcount_bytes((meta + size) / c->cluster_size, c);
    return meta + size;
}

/* Clusters of the target that hold data of source. */
static bool count_data(BlockNode *source, uint64_t size, const Create *c,
                       uint64_t *required, GError **error)
{
    uint64_t at = 0, counted = 0; /* end of the last counted cluster */

    *required = 0;
    while (at < size) {
        BlockStatus status;
        int ret = block_status(source, at, size - at, &status);

        if (ret < 0) {
            block_error_set_errno(error, -ret, "Unable to get block status");
            return false;
        }
        if ((status.flags & BLOCK_STATUS_DATA) &&
            (status.flags & BLOCK_STATUS_ALLOCATED) &&
            !(status.flags & BLOCK_STATUS_ZERO)) {
            uint64_t start = MAX(at / c->cluster_size * c->cluster_size,
                                 counted);
            uint64_t end = round_up(at + status.bytes, c->cluster_size);

            *required += end > start ? end - start : 0;
            counted = MAX(counted, end);
        }
        at += status.bytes;
    }
    return true;
}

bool qcow2_measure(json_t *options, BlockNode *source, BlockMeasure *m,
                   GError **error)
{
    Create c;
    uint64_t size, required = 0;

    if (!parse_create(options, &c, error)) {
        return false;
    }
    if (source) {
        int64_t length = block_length(source);

        if (length < 0) {
            block_error_set_errno(error, -length,
                                  "Unable to get image virtual_size");
            return false;
        }
        c.size = length;
    }
    c.size = round_up(c.size, 512);
    if (!check_create(&c, error)) {
        return false;
    }
    size = round_up(c.size, c.cluster_size);
    if (size / c.cluster_size > QCOW2_MAX_L1_BYTES / 8 *
                                    (c.cluster_size /
                                     (c.extended_l2 ? 16 : 8))) {
        return FAIL(EFBIG, "The image size is too large (try using a larger "
                    "cluster size)");
    }
    if (source && c.prealloc < BLOCK_PREALLOC_FALLOC) {
        if (c.prealloc == BLOCK_PREALLOC_OFF &&
            !count_data(source, c.size, &c, &required, error)) {
            return false;
        }
    }
    if (c.prealloc != BLOCK_PREALLOC_OFF) {
        required = size;
    }
    memset(m, 0, sizeof(*m));
    m->fully_allocated = full_size(size, &c);
    m->required = m->fully_allocated - size + MIN(required, size);
    if (source && c.version == 1) {
        m->bitmaps = qcow2_bitmaps_measure(source, c.cluster_size,
                                           &m->has_bitmaps);
        m->has_bitmaps |= block_node_driver(source)->bitmap_can_store != NULL;
        m->bitmaps = m->bitmaps && m->has_bitmaps ? m->bitmaps : 0;
    }
    return true;
}
