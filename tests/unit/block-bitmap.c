/*
 * Dirty bitmaps without a monitor: recording, successors, merging, areas,
 * serialized form, resizing, and writers in several threads.
 */
#include "block/backend.h"
#include "block/dirty-bitmap.h"
#include "block/driver.h"
#include "block/options.h"

#include <errno.h>
#include <string.h>

#include <glib/gstdio.h>

static BlockNode *open_null(uint64_t size)
{
    json_t *options = json_pack("{s:s, s:I}", "driver", "null-co", "size",
                                (json_int_t)size);
    BlockNode *node = block_node_open(options, BLOCK_OPEN_RDWR |
                                                   BLOCK_OPEN_UNMAP, NULL);

    json_decref(options);
    g_assert_nonnull(node);
    return node;
}

static void write_at(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    static char buf[65536];

    g_assert_cmpuint(bytes, <=, sizeof(buf));
    g_assert_cmpint(block_pwrite(node, offset, bytes, buf, 0), ==, 0);
}

static void test_recording(void)
{
    g_autoptr(BlockNode) node = open_null(1 << 20);
    BlockDirtyBitmap *b = block_dirty_bitmap_new(node, "b", 4096, NULL);

    write_at(node, 4095, 2);
    g_assert_cmpuint(block_dirty_bitmap_count(b), ==, 8192);
    write_at(node, 0, 0);
    g_assert_cmpuint(block_dirty_bitmap_count(b), ==, 8192);
    g_assert_cmpint(block_pwrite_zeroes(node, 65536, 1, 0), ==, 0);
    g_assert_cmpint(block_pdiscard(node, 131072, 4096), ==, 0);
    g_assert_cmpuint(block_dirty_bitmap_count(b), ==, 16384);
    block_dirty_bitmap_disable(b);
    write_at(node, 500000, 1);
    g_assert_cmpuint(block_dirty_bitmap_count(b), ==, 16384);
    block_dirty_bitmap_enable(b);
    write_at(node, 500000, 1);
    g_assert_cmpuint(block_dirty_bitmap_count(b), ==, 20480);
    /* Content that stays is no change. */
    g_assert_cmpint(block_pwrite(node, 900000, 1, "x",
                                 BLOCK_REQ_WRITE_UNCHANGED), ==, 0);
    g_assert_cmpuint(block_dirty_bitmap_count(b), ==, 20480);
}

static void test_read_only_forbids_writes(void)
{
    g_autoptr(BlockNode) node = open_null(1 << 20);
    BlockDirtyBitmap *b = block_dirty_bitmap_new(node, "b", 4096, NULL);

    block_dirty_bitmap_set_read_only(b, true);
    g_assert_cmpint(block_pwrite(node, 0, 1, "x", 0), ==, -EPERM);
    block_dirty_bitmap_set_read_only(b, false);
    g_assert_cmpint(block_pwrite(node, 0, 1, "x", 0), ==, 0);
}

static void test_successor(void)
{
    g_autoptr(BlockNode) node = open_null(1 << 20);
    g_autoptr(GError) error = NULL;
    BlockDirtyBitmap *b = block_dirty_bitmap_new(node, "b", 4096, NULL);

    write_at(node, 0, 1);
    g_assert_true(block_dirty_bitmap_create_successor(b, &error));
    g_assert_false(block_dirty_bitmap_create_successor(b, &error));
    write_at(node, 8192, 1);
    g_assert_true(block_dirty_bitmap_busy(b));
    g_assert_true(block_dirty_bitmap_recording(b));
    g_assert_cmpuint(block_dirty_bitmap_count(b), ==, 4096);
    block_dirty_bitmap_reclaim(b);
    g_assert_cmpuint(block_dirty_bitmap_count(b), ==, 8192);
    g_assert_false(block_dirty_bitmap_busy(b));
    g_assert_true(block_dirty_bitmap_enabled(b));

    g_assert_true(block_dirty_bitmap_create_successor(b, NULL));
    write_at(node, 16384, 1);
    b = block_dirty_bitmap_abdicate(b);
    g_assert_cmpuint(block_dirty_bitmap_count(b), ==, 4096);
    g_assert_true(block_dirty_bitmap_get(b, 16384));
    g_assert_cmpstr(block_dirty_bitmap_name(b), ==, "b");
    g_assert_true(block_dirty_bitmap_find(node, "b") == b);
}

static void test_areas(void)
{
    g_autoptr(BlockNode) node = open_null(100000);
    BlockDirtyBitmap *b = block_dirty_bitmap_new(node, NULL, 4096, NULL);
    uint64_t offset;
    uint64_t bytes;

    g_assert_false(block_dirty_bitmap_next_area(b, 0, 100000, 100000,
                                                &offset, &bytes));
    write_at(node, 5000, 5000);
    write_at(node, 99999, 1);
    g_assert_true(block_dirty_bitmap_next_area(b, 0, 100000, 100000, &offset,
                                               &bytes));
    g_assert_cmpuint(offset, ==, 4096);
    g_assert_cmpuint(bytes, ==, 8192);
    g_assert_true(block_dirty_bitmap_next_area(b, 6000, 100000, 1000,
                                               &offset, &bytes));
    g_assert_cmpuint(offset, ==, 6000);
    g_assert_cmpuint(bytes, ==, 1000);
    g_assert_true(block_dirty_bitmap_next_area(b, 12288, 100000, 100000,
                                               &offset, &bytes));
    g_assert_cmpuint(offset, ==, 98304);
    g_assert_cmpuint(bytes, ==, 100000 - 98304); /* clipped to the end */
    g_assert_false(block_dirty_bitmap_next_area(b, 12288, 10000, 100000,
                                                &offset, &bytes));
    g_assert_true(block_dirty_bitmap_status(b, 5000, 20000, &bytes));
    g_assert_cmpuint(bytes, ==, 12288 - 5000);
    g_assert_false(block_dirty_bitmap_status(b, 12288, 20000, &bytes));
    g_assert_cmpuint(bytes, ==, 20000);
}

static void test_merge(void)
{
    g_autoptr(BlockNode) node = open_null(1 << 20);
    g_autoptr(BlockNode) other = open_null(1 << 19);
    g_autoptr(GError) error = NULL;
    BlockDirtyBitmap *coarse = block_dirty_bitmap_new(node, "c", 65536, NULL);
    BlockDirtyBitmap *fine = block_dirty_bitmap_new(node, "f", 512, NULL);
    BlockDirtyBitmap *alien = block_dirty_bitmap_new(other, "a", 512, NULL);
    HBitmap *backup = NULL;

    block_dirty_bitmap_set(fine, 65535, 2);
    g_assert_true(block_dirty_bitmap_merge(coarse, fine, &backup, &error));
    g_assert_cmpuint(block_dirty_bitmap_count(coarse), ==, 131072);
    block_dirty_bitmap_restore(coarse, backup);
    g_assert_cmpuint(block_dirty_bitmap_count(coarse), ==, 0);
    block_dirty_bitmap_set(coarse, 0, 1);
    g_assert_true(block_dirty_bitmap_merge(fine, coarse, NULL, &error));
    g_assert_cmpuint(block_dirty_bitmap_count(fine), ==, 65536 + 512);
    g_assert_false(block_dirty_bitmap_merge(fine, alien, NULL, &error));
    g_assert_cmpstr(error->message, ==,
                    "Bitmaps are incompatible and can't be merged");
}

static void test_serialized(void)
{
    g_autoptr(BlockNode) node = open_null(1 << 20);
    BlockDirtyBitmap *a = block_dirty_bitmap_new(node, "a", 4096, NULL);
    BlockDirtyBitmap *b = block_dirty_bitmap_new(node, "b", 4096, NULL);
    g_autofree char *sum_a = NULL;
    g_autofree char *sum_b = NULL;
    uint8_t bytes[32];

    block_dirty_bitmap_set(a, 4096, 1);
    block_dirty_bitmap_set(a, 4096 * 255, 1);
    g_assert_cmpuint(block_dirty_bitmap_serial_size(a, 0, 1 << 20), ==, 32);
    block_dirty_bitmap_serialize(a, bytes, 0, 1 << 20);
    g_assert_cmphex(bytes[0], ==, 0x02);
    g_assert_cmphex(bytes[31], ==, 0x80);
    block_dirty_bitmap_deserialize(b, bytes, 0, 1 << 20);
    sum_a = block_dirty_bitmap_sha256(a);
    sum_b = block_dirty_bitmap_sha256(b);
    g_assert_cmpstr(sum_a, ==, sum_b);
}

static void test_limits(void)
{
    g_autoptr(BlockNode) huge = open_null(INT64_MAX & ~511);
    g_autoptr(GError) error = NULL;

    /* 2^54 bits: refused, not attempted. */
    g_assert_null(block_dirty_bitmap_new(huge, "b", 512, &error));
    g_assert_cmpint(block_error_errno(error), ==, ENOMEM);
    g_assert_nonnull(strstr(error->message, "'b'"));
    g_clear_error(&error);
    g_assert_nonnull(block_dirty_bitmap_new(huge, "c", 1u << 31, &error));
}

/* What commands refuse before the image is asked is refused there too. */
static void test_refusals_of_qcow2(void)
{
    static const struct {
        size_t name_length;
        uint32_t granularity;
        const char *why;
    } cases[] = {
        { 1, 256, "Granularity is under minimum (512 bytes)" },
        { 1, 3u << 30, "Granularity exceeds maximum (2147483648 bytes)" },
        { 1024, 65536, "Name length exceeds maximum (1023 characters)" },
    };
    g_autofree char *dir = g_dir_make_tmp("e2k-bitmap-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "a.qcow2", NULL);
    json_t *file = json_pack("{s:s, s:s, s:i}", "driver", "file", "filename",
                             path, "size", 0);
    json_t *image = json_pack("{s:s, s:{s:s, s:s}, s:i}", "driver", "qcow2",
                              "file", "driver", "file", "filename", path,
                              "size", 1 << 20);
    BlockNode *node;

    g_assert_true(block_node_create(file, NULL));
    g_assert_true(block_node_create(image, NULL));
    json_object_del(image, "size");
    json_object_set_new(image, "node-name", json_string("n"));
    node = block_node_open(image, BLOCK_OPEN_RDWR, NULL);
    g_assert_nonnull(node);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = g_strnfill(cases[i].name_length, 'b');
        g_autofree char *text =
            g_strdup_printf("Can't make bitmap '%s' persistent in 'n': %s",
                            name, cases[i].why);
        g_autoptr(GError) error = NULL;

        g_assert_false(block_node_driver(node)->bitmap_can_store(
            node, name, cases[i].granularity, &error));
        g_assert_cmpstr(error->message, ==, text);
    }
    g_assert_true(block_node_driver(node)->bitmap_can_store(node, "b", 65536,
                                                            NULL));
    block_node_unref(node);
    json_decref(image);
    json_decref(file);
    g_assert_cmpint(g_remove(path), ==, 0);
    g_assert_cmpint(g_rmdir(dir), ==, 0);
}

enum { WRITERS = 4, WRITES = 4000 };

typedef struct Writer {
    BlockNode *node;
    unsigned index;
} Writer;

static gpointer run_writer(gpointer data)
{
    Writer *w = data;

    for (unsigned i = 0; i < WRITES; i++) {
        write_at(w->node, ((uint64_t)i * WRITERS + w->index) * 512, 512);
    }
    return NULL;
}

/* Every write is recorded although the bitmap is switched all the time. */
static void test_parallel_writers(void)
{
    g_autoptr(BlockNode) node = open_null((uint64_t)WRITERS * WRITES * 512);
    BlockDirtyBitmap *b = block_dirty_bitmap_new(node, "b", 512, NULL);
    GThread *threads[WRITERS];
    Writer writers[WRITERS];

    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (Writer){ node, i };
        threads[i] = g_thread_new("writer", run_writer, &writers[i]);
    }
    for (int i = 0; i < 20; i++) {
        g_assert_true(block_dirty_bitmap_create_successor(b, NULL));
        g_usleep(500);
        block_dirty_bitmap_reclaim(b);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        g_thread_join(threads[i]);
    }
    g_assert_cmpuint(block_dirty_bitmap_count(b), ==,
                     (uint64_t)WRITERS * WRITES * 512);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/block-bitmap/recording", test_recording);
    g_test_add_func("/block-bitmap/read-only", test_read_only_forbids_writes);
    g_test_add_func("/block-bitmap/successor", test_successor);
    g_test_add_func("/block-bitmap/areas", test_areas);
    g_test_add_func("/block-bitmap/merge", test_merge);
    g_test_add_func("/block-bitmap/serialized", test_serialized);
    g_test_add_func("/block-bitmap/limits", test_limits);
    g_test_add_func("/block-bitmap/refusals-of-qcow2", test_refusals_of_qcow2);
    g_test_add_func("/block-bitmap/parallel-writers", test_parallel_writers);
    return g_test_run();
}
