/*
 * The pure parts of qcow2: header bytes, refcount entries of every width,
 * codecs.
 */
#include "block/qcow2-int.h"

#include <stdio.h>
#include <string.h>

#include "util/bytes.h"

#define CLUSTER 65536u

static Qcow2Header sample(void)
{
    return (Qcow2Header){ .version = 3, .cluster_bits = 16, .size = 1 << 30,
                          .l1_size = 2, .l1_offset = 3 * CLUSTER,
                          .reftable_offset = CLUSTER, .reftable_clusters = 1,
                          .refcount_order = 4 };
}

static bool parse(Qcow2Header *h, const uint8_t *buf, GError **error)
{
    return qcow2_header_parse(h, buf, CLUSTER, 0, error);
}

static void test_round_trip(void)
{
    g_autofree uint8_t *buf = g_malloc(CLUSTER);
    g_autofree uint8_t *again = g_malloc(CLUSTER);
    Qcow2Header h = sample(), back;
    GError *error = NULL;

    h.backing_file = g_strdup("base.img");
    h.backing_format = g_strdup("raw");
    h.autoclear = QCOW2_AUTOCLEAR_BITMAPS;
    h.has_bitmaps = true;
    h.nb_bitmaps = 2;
    h.bitmap_dir_offset = 9 * CLUSTER;
    h.bitmap_dir_size = 64;
    g_assert_true(qcow2_header_format(&h, buf, CLUSTER, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(ldl_be_p(buf), ==, QCOW2_MAGIC);
    g_assert_cmpuint(ldl_be_p(buf + 100), ==, 112);
    g_assert_cmpuint(ldl_be_p(buf + 112), ==, QCOW2_EXT_BACKING_FORMAT);
    g_assert_true(parse(&back, buf, &error));
    g_assert_cmpstr(back.backing_file, ==, "base.img");
    g_assert_cmpstr(back.backing_format, ==, "raw");
    g_assert_cmpuint(back.nb_bitmaps, ==, 2);
    g_assert_cmpuint(back.bitmap_dir_offset, ==, 9 * CLUSTER);
    g_assert_cmpuint(back.size, ==, 1 << 30);
    g_assert_true(qcow2_header_format(&back, again, CLUSTER, &error));
    g_assert_cmpmem(buf, CLUSTER, again, CLUSTER);
    qcow2_header_clear(&h);
    qcow2_header_clear(&back);
}

/* Extensions and fields of a newer program survive a rewrite. */
static void test_unknown_is_kept(void)
{
    g_autofree uint8_t *buf = g_malloc0(CLUSTER);
    g_autofree uint8_t *again = g_malloc0(CLUSTER);
    Qcow2Header h = sample(), back;

    g_assert_true(qcow2_header_format(&h, buf, CLUSTER, NULL));
    stl_be_p(buf + 100, 120); /* eight more bytes of header */
    memset(buf + 112, 0, CLUSTER - 112);
    memcpy(buf + 112, "\1\2\3\4\5\6\7\10", 8);
    stl_be_p(buf + 120, 0x12345678);
    stl_be_p(buf + 124, 5);
    memcpy(buf + 128, "hello", 5);
    g_assert_true(parse(&back, buf, NULL));
    g_assert_cmpuint(back.unknown_exts->len, ==, 1);
    g_assert_true(qcow2_header_format(&back, again, CLUSTER, NULL));
    qcow2_header_clear(&back);
    g_assert_cmpmem(again + 112, 8, "\1\2\3\4\5\6\7\10", 8);
    g_assert_true(parse(&back, again, NULL));
    g_assert_cmpuint(back.unknown_exts->len, ==, 1);
    g_assert_cmpmem(g_bytes_get_data(g_array_index(back.unknown_exts,
                                                   Qcow2UnknownExt, 0).data,
                                     NULL),
                    5, "hello", 5);
    qcow2_header_clear(&back);
    qcow2_header_clear(&h);
}

typedef struct BadHeader {
    unsigned offset;
    unsigned width;
    uint64_t value;
    const char *message;
} BadHeader;

static const BadHeader bad_headers[] = {
    { 0, 4, 0, "Image is not in qcow2 format" },
    { 4, 4, 1, "Unsupported qcow2 version 1" },
    { 4, 4, 4, "Unsupported qcow2 version 4" },
    { 8, 8, CLUSTER + 1, "Invalid backing file offset" },
    { 20, 4, 8, "Unsupported cluster size: 2^8" },
    { 20, 4, 22, "Unsupported cluster size: 2^22" },
    { 24, 8, UINT64_C(1) << 31, "L1 table is too small" },
    { 24, 8, UINT64_MAX, "Image is too big" },
    { 32, 4, 2, "qcow2: encrypted images (LUKS) are not supported" },
    { 36, 4, 1, "L1 table is too small" },
    { 36, 4, UINT32_MAX, "Active L1 table too large" },
    { 40, 8, 512, "Active L1 table offset invalid" },
    { 40, 8, UINT64_MAX << 16, "Active L1 table offset invalid" },
    { 48, 8, 1, "Reference count table offset invalid" },
    { 56, 4, 0, "Image does not contain a reference count table" },
    { 56, 4, UINT32_MAX, "Reference count table too large" },
    { 60, 4, 65537, "Snapshot table too large" },
    { 64, 8, 3, "Snapshot table offset invalid" },
    { 72, 8, 0x20, "Unsupported qcow2 feature(s): Unknown incompatible "
                   "feature: 20" },
    { 72, 8, 8, "qcow2: Compression type incompatible feature bit must not "
                "be set" },
    { 88, 8, 1, "Bitmaps feature is set but the bitmaps extension is "
                "missing" },
    { 96, 4, 7, "Reference count entry width too large; may not exceed 64 "
                "bits" },
    { 100, 4, 96, "qcow2 header too short" },
    { 100, 4, CLUSTER + 8, "qcow2 header exceeds cluster size" },
};

static void test_bad_headers(void)
{
    g_autofree uint8_t *buf = g_malloc(CLUSTER);

    for (size_t i = 0; i < G_N_ELEMENTS(bad_headers); i++) {
        const BadHeader *bad = &bad_headers[i];
        Qcow2Header h = sample();
        g_autoptr(GError) error = NULL;

        g_assert_true(qcow2_header_format(&h, buf, CLUSTER, NULL));
        if (bad->width == 4) {
            stl_be_p(buf + bad->offset, bad->value);
        } else {
            stq_be_p(buf + bad->offset, bad->value);
        }
        g_assert_false(parse(&h, buf, &error));
        g_assert_cmpstr(error->message, ==, bad->message);
    }
}

/* Any bytes: an answer, no access outside the buffer (sanitizers look). */
static void test_random_headers(void)
{
    for (int i = 0; i < 20000; i++) {
        Qcow2Header h = sample();
        size_t len = g_test_rand_int_range(0, 600);
        g_autofree uint8_t *buf = g_malloc(MAX(len, 512));
        g_autofree uint8_t *exact = NULL;

        h.cluster_bits = 9;
        h.size = 0;
        g_assert_true(qcow2_header_format(&h, buf, 512, NULL));
        for (int k = g_test_rand_int_range(0, 12); k > 0; k--) {
            buf[g_test_rand_int_range(0, 512)] = g_test_rand_int_range(0,
                                                                       256);
        }
        len = MIN(len, 512);
        exact = g_malloc(MAX(len, 1));
        memcpy(exact, buf, len);
        if (qcow2_header_parse(&h, exact, len, 0, NULL)) {
            qcow2_header_clear(&h);
        }
    }
}

static void test_refcount_widths(void)
{
    uint8_t data[512], model_bytes[512];
    uint64_t model[4096];

    for (unsigned order = 0; order <= 6; order++) {
        unsigned n = sizeof(data) * 8 >> order;
        uint64_t mask = order == 6 ? UINT64_MAX
                                   : (UINT64_C(1) << (1u << order)) - 1;

        memset(data, 0, sizeof(data));
        memset(model, 0, sizeof(model));
        for (int i = 0; i < 10000; i++) {
            unsigned at = g_test_rand_int_range(0, n);

            model[at] = ((uint64_t)g_test_rand_int() << 32 |
                         (uint32_t)g_test_rand_int()) & mask;
            qcow2_refblock_store(data, order, at, model[at]);
        }
        for (unsigned i = 0; i < n; i++) {
            g_assert_cmpuint(qcow2_refblock_load(data, order, i), ==,
                             model[i]);
        }
    }
    /* Sub-byte entries count from the least significant bit. */
    memset(model_bytes, 0, sizeof(model_bytes));
    qcow2_refblock_store(model_bytes, 0, 3, 1);
    g_assert_cmphex(model_bytes[0], ==, 0x08);
    qcow2_refblock_store(model_bytes, 2, 3, 0xa);
    g_assert_cmphex(model_bytes[1], ==, 0xa0);
}

static void test_codecs(void)
{
    enum { SIZE = 65536 };
    g_autofree uint8_t *src = g_malloc(SIZE);
    g_autofree uint8_t *packed = g_malloc(SIZE);
    g_autofree uint8_t *back = g_malloc(SIZE);

    for (unsigned type = 0; type < 2; type++) {
        int64_t n;

        if (!qcow2_compression_available(type)) {
            continue;
        }
        for (int i = 0; i < SIZE; i++) {
            src[i] = i / 7 ^ i >> 9;
        }
        n = qcow2_compress(type, packed, SIZE - 1, src, SIZE);
        g_assert_cmpint(n, >, 0);
        /* What follows in the last sector does not matter. */
        memset(packed + n, 0x5a, MIN(512, SIZE - n));
        g_assert_cmpint(qcow2_decompress(type, back, SIZE, packed,
                                         MIN(n + 300, SIZE)), ==, 0);
        g_assert_cmpmem(src, SIZE, back, SIZE);
        g_assert_cmpint(qcow2_decompress(type, back, SIZE, packed, n / 2), <,
                        0);
        for (int i = 0; i < SIZE; i++) {
            src[i] = g_test_rand_int();
        }
        g_assert_cmpint(qcow2_compress(type, packed, SIZE - 1, src, SIZE), <,
                        0);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qcow2/header/round-trip", test_round_trip);
    g_test_add_func("/qcow2/header/unknown-is-kept", test_unknown_is_kept);
    g_test_add_func("/qcow2/header/bad", test_bad_headers);
    g_test_add_func("/qcow2/header/random", test_random_headers);
    g_test_add_func("/qcow2/refcount/widths", test_refcount_widths);
    g_test_add_func("/qcow2/codecs", test_codecs);
    return g_test_run();
}
