/*
 * Parsing and formatting of the qcow2 header (see qcow2-format.h).
 *
 * The fixed fields are a table of offset, width and destination; parsing,
 * formatting and the limits of the simple fields all walk that one table.
 */
#include "block/qcow2-format.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/node.h"
#include "util/bytes.h"

#define FAIL(code, ...)                                                        \
    (g_set_error(error, BLOCK_ERROR, code, __VA_ARGS__), false)

/* Where each fixed field is; v3 marks those a version 2 header lacks. */
typedef struct HeaderField {
    uint16_t disk;   /* offset in the file */
    uint8_t width;   /* bytes on disk: 1, 4 or 8 */
    bool v3;
    uint16_t member; /* offset in Qcow2Header */
} HeaderField;

#define FIELD(disk, width, v3, member)                                         \
    { disk, width, v3, offsetof(Qcow2Header, member) }

static const HeaderField header_fields[] = {
    FIELD(4, 4, false, version),
    FIELD(20, 4, false, cluster_bits),
    FIELD(24, 8, false, size),
    FIELD(32, 4, false, crypt_method),
    FIELD(36, 4, false, l1_size),
    FIELD(40, 8, false, l1_offset),
    FIELD(48, 8, false, reftable_offset),
    FIELD(56, 4, false, reftable_clusters),
    FIELD(60, 4, false, nb_snapshots),
    FIELD(64, 8, false, snapshots_offset),
    FIELD(72, 8, true, incompatible),
    FIELD(80, 8, true, compatible),
    FIELD(88, 8, true, autoclear),
    FIELD(96, 4, true, refcount_order),
    FIELD(100, 4, true, header_length),
    FIELD(104, 1, true, compression_type),
};

/* Names written into the feature table and used when a bit is refused. */
typedef struct FeatureName {
    uint8_t set;
    uint8_t bit;
    const char *name;
} FeatureName;

static const FeatureName feature_names[] = {
    { 0, 0, "dirty bit" },          { 0, 1, "corrupt bit" },
    { 0, 2, "external data file" }, { 0, 3, "compression type" },
    { 0, 4, "extended L2 entries" }, { 1, 0, "lazy refcounts" },
    { 2, 0, "bitmaps" },            { 2, 1, "raw external data" },
};

#define FEATURE_ENTRY_SIZE 48
#define BITMAPS_EXT_SIZE 24
#define CRYPTO_EXT_SIZE 16

static void unknown_ext_clear(gpointer p)
{
    Qcow2UnknownExt *ext = p;

    g_clear_pointer(&ext->data, g_bytes_unref);
}

void qcow2_header_clear(Qcow2Header *h)
{
    g_clear_pointer(&h->unknown_fields, g_bytes_unref);
    g_clear_pointer(&h->backing_file, g_free);
    g_clear_pointer(&h->backing_format, g_free);
    g_clear_pointer(&h->data_file, g_free);
    g_clear_pointer(&h->unknown_exts, g_array_unref);
    memset(h, 0, sizeof(*h));
}

bool qcow2_is_magic(const uint8_t *buf, size_t len)
{
    return len >= 8 && ldl_be_p(buf) == QCOW2_MAGIC;
}

static void load_field(Qcow2Header *h, const HeaderField *f,
                       const uint8_t *buf)
{
    void *member = (uint8_t *)h + f->member;

    switch (f->width) {
    case 1:
        *(uint8_t *)member = buf[f->disk];
        break;
    case 4:
        *(uint32_t *)member = ldl_be_p(buf + f->disk);
        break;
    case 8:
        *(uint64_t *)member = ldq_be_p(buf + f->disk);
        break;
    }
}

static void store_field(const Qcow2Header *h, const HeaderField *f,
                        uint8_t *buf)
{
    const void *member = (const uint8_t *)h + f->member;

    switch (f->width) {
    case 1:
        buf[f->disk] = *(const uint8_t *)member;
        break;
    case 4:
        stl_be_p(buf + f->disk, *(const uint32_t *)member);
        break;
    case 8:
        stq_be_p(buf + f->disk, *(const uint64_t *)member);
        break;
    }
}

/* A table's place: aligned, below the host limit, of bounded size. */
static bool check_table(const Qcow2Header *h, uint64_t offset,
                        uint64_t entries, uint64_t entry_len,
                        uint64_t max_bytes, const char *what, GError **error)
{
    uint64_t cluster = UINT64_C(1) << h->cluster_bits;

    if (entries > max_bytes / entry_len) {
        return FAIL(EINVAL, "%s too large", what);
    }
    if (offset > QCOW2_MAX_HOST_OFFSET - entries * entry_len ||
        (offset & (cluster - 1))) {
        return FAIL(EINVAL, "%s offset invalid", what);
    }
    return true;
}

/* Names the unknown incompatible bits, from the image's own table. */
static bool refuse_features(uint64_t unknown, const uint8_t *table,
                            size_t table_len, GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);

    for (size_t i = 0; i + 2 < table_len; i += FEATURE_ENTRY_SIZE) {
        unsigned bit = table[i + 1];

        if (table[i] == 0 && bit < 64 && (unknown >> bit & 1)) {
            const char *name = (const char *)table + i + 2;
            size_t room = MIN(FEATURE_ENTRY_SIZE, table_len - i) - 2;
            g_autofree char *copy = g_strndup(name, strnlen(name, room));

            unknown &= ~(UINT64_C(1) << bit);
            g_string_append_printf(names, "%s%s", names->len ? ", " : "",
                                   copy);
        }
    }
    if (unknown) {
        g_string_append_printf(names,
                               "%sUnknown incompatible feature: %" PRIx64,
                               names->len ? ", " : "", unknown);
    }
    return FAIL(ENOTSUP, "Unsupported qcow2 feature(s): %s", names->str);
}

static bool parse_bitmaps_ext(Qcow2Header *h, const uint8_t *data,
                              uint32_t len, GError **error)
{
    uint64_t cluster = UINT64_C(1) << h->cluster_bits;

    if (len != BITMAPS_EXT_SIZE) {
        return FAIL(EINVAL, "bitmaps_ext: Invalid extension length");
    }
    if (!(h->autoclear & QCOW2_AUTOCLEAR_BITMAPS)) {
        return true; /* stale: a program without bitmaps wrote the image */
    }
    h->nb_bitmaps = ldl_be_p(data);
    h->bitmap_dir_size = ldq_be_p(data + 8);
    h->bitmap_dir_offset = ldq_be_p(data + 16);
    if (ldl_be_p(data + 4) != 0) {
        return FAIL(EINVAL, "bitmaps_ext: Reserved field is not zero");
    }
    if (h->nb_bitmaps > QCOW2_MAX_BITMAPS) {
        return FAIL(EINVAL,
                    "bitmaps_ext: image has %u bitmaps, exceeding the "
                    "supported maximum of %u",
                    h->nb_bitmaps, QCOW2_MAX_BITMAPS);
    }
    if (h->nb_bitmaps == 0) {
        return FAIL(EINVAL, "found bitmaps extension with zero bitmaps");
    }
    if (h->bitmap_dir_offset & (cluster - 1) ||
        h->bitmap_dir_offset >= QCOW2_MAX_HOST_OFFSET ||
        h->bitmap_dir_offset == 0) {
        return FAIL(EINVAL, "bitmaps_ext: invalid bitmap directory offset");
    }
    if (h->bitmap_dir_size > QCOW2_MAX_BITMAP_DIR) {
        return FAIL(EINVAL,
                    "bitmaps_ext: bitmap directory size (%" PRIu64
                    ") exceeds the maximum supported size (%u)",
                    h->bitmap_dir_size, QCOW2_MAX_BITMAP_DIR);
    }
    h->has_bitmaps = true;
    return true;
}

static bool parse_extension(Qcow2Header *h, uint32_t type,
                            const uint8_t *data, uint32_t len,
                            const uint8_t **features, size_t *features_len,
                            GError **error)
{
    switch (type) {
    case QCOW2_EXT_BACKING_FORMAT:
        if (len >= 64) {
            return FAIL(EINVAL,
                        "ERROR: ext_backing_format: len=%u too large (>=%u)",
                        len, 64);
        }
        g_free(h->backing_format);
        h->backing_format = g_strndup((const char *)data, len);
        return true;
    case QCOW2_EXT_DATA_FILE:
        g_free(h->data_file);
        h->data_file = g_strndup((const char *)data, len);
        return true;
    case QCOW2_EXT_FEATURE_TABLE:
        *features = data;
        *features_len = len;
        h->has_feature_table = true;
        return true;
    case QCOW2_EXT_BITMAPS:
        return parse_bitmaps_ext(h, data, len, error);
    case QCOW2_EXT_CRYPTO:
        if (len != CRYPTO_EXT_SIZE) {
            return FAIL(EINVAL, "CRYPTO header extension size %u, but "
                        "expected size %u", len, CRYPTO_EXT_SIZE);
        }
        h->has_crypto = true;
        h->crypto_offset = ldq_be_p(data);
        h->crypto_length = ldq_be_p(data + 8);
        return true;
    default: {
        Qcow2UnknownExt ext = { type, g_bytes_new(data, len) };

        if (!h->unknown_exts) {
            h->unknown_exts = g_array_new(false, false, sizeof(ext));
            g_array_set_clear_func(h->unknown_exts, unknown_ext_clear);
        }
        g_array_append_val(h->unknown_exts, ext);
        return true;
    }
    }
}

/* Extensions lie between the header and the backing file name. */
static bool parse_extensions(Qcow2Header *h, const uint8_t *buf, size_t end,
                             const uint8_t **features, size_t *features_len,
                             GError **error)
{
    size_t at = h->header_length;

    while (at < end) {
        uint32_t type, len;

        if (end - at < 8) {
            return FAIL(EINVAL, "Header extension too large");
        }
        type = ldl_be_p(buf + at);
        len = ldl_be_p(buf + at + 4);
        at += 8;
        if (type == QCOW2_EXT_END) {
            return true;
        }
        if (len > end - at) {
            return FAIL(EINVAL, "Header extension too large");
        }
        if (!parse_extension(h, type, buf + at, len, features, features_len,
                             error)) {
            return false;
        }
        at += MIN((size_t)(len + 7) & ~(size_t)7, end - at);
    }
    return true;
}

/* The fixed part: fields and the rules among them. */
static bool parse_fixed(Qcow2Header *h, const uint8_t *buf, size_t len,
                        GError **error)
{
    if (len < QCOW2_HEADER_V2 || !qcow2_is_magic(buf, len)) {
        return FAIL(EINVAL, "Image is not in qcow2 format");
    }
    h->version = ldl_be_p(buf + 4);
    if (h->version < 2 || h->version > 3) {
        return FAIL(ENOTSUP, "Unsupported qcow2 version %u", h->version);
    }
    if (h->version == 3 && len < QCOW2_HEADER_V3_MIN) {
        return FAIL(EINVAL, "qcow2 header too short");
    }
    h->header_length = QCOW2_HEADER_V2;
    h->refcount_order = 4;
    for (size_t i = 0; i < G_N_ELEMENTS(header_fields); i++) {
        const HeaderField *f = &header_fields[i];

        if (!f->v3 || (h->version == 3 && f->disk < QCOW2_HEADER_V3_MIN)) {
            load_field(h, f, buf);
        }
    }
    if (h->cluster_bits < QCOW2_MIN_CLUSTER_BITS ||
        h->cluster_bits > QCOW2_MAX_CLUSTER_BITS) {
        return FAIL(ENOTSUP, "Unsupported cluster size: 2^%u",
                    h->cluster_bits);
    }
    if (h->version == 3 && h->header_length < QCOW2_HEADER_V3_MIN) {
        return FAIL(EINVAL, "qcow2 header too short");
    }
    if (h->header_length > 1u << h->cluster_bits || h->header_length > len) {
        return FAIL(EINVAL, "qcow2 header exceeds cluster size");
    }
    if (h->version == 3 && h->header_length > QCOW2_HEADER_V3_MIN) {
        h->compression_type = buf[104];
    }
    if (h->header_length > QCOW2_HEADER_LENGTH) {
        h->unknown_fields = g_bytes_new(
            buf + QCOW2_HEADER_LENGTH, h->header_length - QCOW2_HEADER_LENGTH);
    }
    return true;
}

static bool check_features(const Qcow2Header *h, const uint8_t *features,
                           size_t features_len, GError **error)
{
    bool typed = h->incompatible & QCOW2_INCOMPAT_COMPRESSION;

    if (h->incompatible & ~QCOW2_INCOMPAT_MASK) {
        return refuse_features(h->incompatible & ~QCOW2_INCOMPAT_MASK,
                               features, features_len, error);
    }
    if (h->refcount_order > 6) {
        return FAIL(EINVAL, "Reference count entry width too large; may not "
                    "exceed 64 bits");
    }
    if (typed != (h->compression_type != QCOW2_COMPRESSION_ZLIB)) {
        return FAIL(EINVAL, "qcow2: Compression type incompatible feature "
                    "bit must %sbe set", typed ? "not " : "");
    }
    if (h->compression_type > QCOW2_COMPRESSION_ZSTD) {
        return FAIL(ENOTSUP, "qcow2: unknown compression type: %u",
                    h->compression_type);
    }
    if ((h->incompatible & QCOW2_INCOMPAT_EXTL2) &&
        h->cluster_bits < QCOW2_MIN_EXTL2_CLUSTER_BITS) {
        return FAIL(EINVAL, "Unsupported subcluster size: less than 512 "
                    "bytes");
    }
    if (h->crypt_method) {
        return FAIL(ENOTSUP, "qcow2: encrypted images (%s) are not "
                    "supported", h->crypt_method == 1   ? "AES"
                                 : h->crypt_method == 2 ? "LUKS"
                                                        : "unknown method");
    }
    return true;
}

static bool check_tables(const Qcow2Header *h, unsigned flags, GError **error)
{
    unsigned l2_bits =
        h->cluster_bits - (h->incompatible & QCOW2_INCOMPAT_EXTL2 ? 4 : 3);
    unsigned l1_shift = h->cluster_bits + l2_bits;
    uint64_t l1_needed =
        (h->size >> l1_shift) + !!(h->size & ((UINT64_C(1) << l1_shift) - 1));

    if (h->reftable_clusters == 0 && !(flags & QCOW2_PARSE_CHECK)) {
        return FAIL(EINVAL,
                    "Image does not contain a reference count table");
    }
    if (!check_table(h, h->reftable_offset,
                     (uint64_t)h->reftable_clusters << (h->cluster_bits - 3),
                     8, QCOW2_MAX_REFTABLE_BYTES, "Reference count table",
                     error)) {
        return false;
    }
    if (!(flags & QCOW2_PARSE_CHECK) &&
        !check_table(h, h->snapshots_offset, h->nb_snapshots, 40,
                     QCOW2_MAX_SNAPSHOTS * UINT64_C(40), "Snapshot table",
                     error)) {
        return false;
    }
    if (!check_table(h, h->l1_offset, h->l1_size, 8, QCOW2_MAX_L1_BYTES,
                     "Active L1 table", error)) {
        return false;
    }
    if (h->size > INT64_MAX - (1u << 21) || l1_needed > INT32_MAX / 8) {
        return FAIL(EINVAL, "Image is too big");
    }
    if (h->l1_size < l1_needed) {
        return FAIL(EINVAL, "L1 table is too small");
    }
    return true;
}

static bool parse_backing(Qcow2Header *h, const uint8_t *buf, size_t len,
                          uint64_t offset, uint32_t size, GError **error)
{
    if (offset == 0) {
        return true;
    }
    if (size > MIN(QCOW2_MAX_BACKING_NAME, len - offset)) {
        return FAIL(EINVAL, "Backing file name too long");
    }
    h->backing_file = g_strndup((const char *)buf + offset, size);
    return true;
}

size_t qcow2_header_bytes_wanted(const uint8_t *buf, size_t len)
{
    uint32_t bits = len >= 24 ? ldl_be_p(buf + 20) : 0;

    return bits >= QCOW2_MIN_CLUSTER_BITS && bits <= QCOW2_MAX_CLUSTER_BITS
               ? (size_t)1 << bits
               : QCOW2_HEADER_LENGTH;
}

bool qcow2_header_parse(Qcow2Header *h, const uint8_t *buf, size_t len,
                        unsigned flags, GError **error)
{
    const uint8_t *features = NULL;
    size_t features_len = 0;
    uint64_t backing_offset;
    size_t ext_end;

    memset(h, 0, sizeof(*h));
    if (!parse_fixed(h, buf, len, error)) {
        goto fail;
    }
    backing_offset = ldq_be_p(buf + 8);
    if (backing_offset > MIN(len, (size_t)1 << h->cluster_bits)) {
        (void)FAIL(EINVAL, "Invalid backing file offset");
        goto fail;
    }
    ext_end = backing_offset ? backing_offset
                             : MIN(len, (size_t)1 << h->cluster_bits);
    if (h->incompatible & ~QCOW2_INCOMPAT_MASK) {
        /* Only for the names: other faults are reported after this one. */
        (void)parse_extensions(h, buf, ext_end, &features, &features_len,
                               NULL);
        (void)check_features(h, features, features_len, error);
        goto fail;
    }
    if (!check_features(h, NULL, 0, error) ||
        !check_tables(h, flags, error) ||
        !parse_extensions(h, buf, ext_end, &features, &features_len, error) ||
        !parse_backing(h, buf, len, backing_offset, ldl_be_p(buf + 16),
                       error)) {
        goto fail;
    }
    if ((h->autoclear & QCOW2_AUTOCLEAR_BITMAPS) && !h->has_bitmaps) {
        (void)FAIL(EINVAL, "Bitmaps feature is set but the bitmaps "
                   "extension is missing");
        goto fail;
    }
    return true;

fail:
    qcow2_header_clear(h);
    return false;
}

/* Appends one extension at *at; false when the cluster is full. */
static bool put_ext(uint8_t *buf, size_t size, size_t *at, uint32_t type,
                    const void *data, size_t len)
{
    size_t padded = (len + 7) & ~(size_t)7;

    if (size - *at < 8 || size - *at - 8 < padded) {
        return false;
    }
    stl_be_p(buf + *at, type);
    stl_be_p(buf + *at + 4, len);
    if (len) {
        memcpy(buf + *at + 8, data, len);
    }
    *at += 8 + padded;
    return true;
}

static bool put_string_ext(uint8_t *buf, size_t size, size_t *at,
                           uint32_t type, const char *text)
{
    return !text || put_ext(buf, size, at, type, text, strlen(text));
}

static bool put_feature_table(uint8_t *buf, size_t size, size_t *at)
{
    uint8_t table[G_N_ELEMENTS(feature_names) * FEATURE_ENTRY_SIZE] = { 0 };

    for (size_t i = 0; i < G_N_ELEMENTS(feature_names); i++) {
        uint8_t *entry = table + i * FEATURE_ENTRY_SIZE;

        entry[0] = feature_names[i].set;
        entry[1] = feature_names[i].bit;
        memcpy(entry + 2, feature_names[i].name,
               strlen(feature_names[i].name));
    }
    return put_ext(buf, size, at, QCOW2_EXT_FEATURE_TABLE, table,
                   sizeof(table));
}

static bool put_extensions(const Qcow2Header *h, uint8_t *buf, size_t size,
                           bool features, size_t *at)
{
    if (!put_string_ext(buf, size, at, QCOW2_EXT_BACKING_FORMAT,
                        h->backing_format) ||
        !put_string_ext(buf, size, at, QCOW2_EXT_DATA_FILE, h->data_file)) {
        return false;
    }
    if (h->has_crypto) {
        uint8_t ext[CRYPTO_EXT_SIZE];

        stq_be_p(ext, h->crypto_offset);
        stq_be_p(ext + 8, h->crypto_length);
        if (!put_ext(buf, size, at, QCOW2_EXT_CRYPTO, ext, sizeof(ext))) {
            return false;
        }
    }
    if (features && h->version >= 3 && !put_feature_table(buf, size, at)) {
        return false;
    }
    if (h->has_bitmaps) {
        uint8_t ext[BITMAPS_EXT_SIZE] = { 0 };

        stl_be_p(ext, h->nb_bitmaps);
        stq_be_p(ext + 8, h->bitmap_dir_size);
        stq_be_p(ext + 16, h->bitmap_dir_offset);
        if (!put_ext(buf, size, at, QCOW2_EXT_BITMAPS, ext, sizeof(ext))) {
            return false;
        }
    }
    for (guint i = 0; h->unknown_exts && i < h->unknown_exts->len; i++) {
        Qcow2UnknownExt *ext =
            &g_array_index(h->unknown_exts, Qcow2UnknownExt, i);
        gsize len;
        const void *data = g_bytes_get_data(ext->data, &len);

        if (!put_ext(buf, size, at, ext->type, data, len)) {
            return false;
        }
    }
    return put_ext(buf, size, at, QCOW2_EXT_END, NULL, 0);
}

/* What follows the fixed fields. */
static bool put_variable_part(const Qcow2Header *h, uint8_t *buf,
                              size_t cluster_size, bool features,
                              GError **error)
{
    size_t at = h->header_length;

    memset(buf + at, 0, cluster_size - at);
    if (!put_extensions(h, buf, cluster_size, features, &at)) {
        return FAIL(ENOSPC, "Header extensions do not fit in the first "
                    "cluster");
    }
    if (h->backing_file) {
        size_t len = strlen(h->backing_file);

        if (len > MIN(QCOW2_MAX_BACKING_NAME, cluster_size - at)) {
            return FAIL(ENOSPC, "Backing file name does not fit in the "
                        "first cluster");
        }
        stq_be_p(buf + 8, at);
        stl_be_p(buf + 16, len);
        memcpy(buf + at, h->backing_file, len);
    }
    return true;
}

bool qcow2_header_format(Qcow2Header *h, uint8_t *buf, size_t cluster_size,
                         GError **error)
{
    gsize unknown_len = 0;
    const void *unknown =
        h->unknown_fields ? g_bytes_get_data(h->unknown_fields, &unknown_len)
                          : NULL;

    memset(buf, 0, cluster_size);
    h->header_length = h->version >= 3 ? QCOW2_HEADER_LENGTH + unknown_len
                                       : QCOW2_HEADER_V2;
    if (h->header_length > cluster_size) {
        return FAIL(ENOSPC, "Header does not fit in the first cluster");
    }
    stl_be_p(buf, QCOW2_MAGIC);
    for (size_t i = 0; i < G_N_ELEMENTS(header_fields); i++) {
        if (h->version >= 3 || !header_fields[i].v3) {
            store_field(h, &header_fields[i], buf);
        }
    }
    if (h->version >= 3 && unknown_len) {
        memcpy(buf + QCOW2_HEADER_LENGTH, unknown, unknown_len);
    }
    /* The names of features are for messages only: small clusters go without
     * when there is no room for all. */
    return put_variable_part(h, buf, cluster_size, true, NULL) ||
           put_variable_part(h, buf, cluster_size, false, error);
}
