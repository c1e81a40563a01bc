/*
 * Requests made together (block_batch, io_uring) against the same requests
 * made one by one: bytes, dirty bits and errors must be the same whatever
 * the engine, the cache mode and the shape of the items.
 */
#include "block/backend.h"
#include "block/dirty-bitmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/uring.h"

#define SIZE  (1u << 20)
#define SLOTS 40
#define SLOT  8192u

static char *path;
static char *buffers; /* SLOTS of SLOT bytes, aligned */
static uint8_t model[SIZE];

static void fresh_file(uint32_t seed)
{
    for (size_t i = 0; i < SIZE; i++) {
        seed = seed * 1103515245 + 12345;
        model[i] = seed >> 16;
    }
    g_assert_true(g_file_set_contents(path, (char *)model, SIZE, NULL));
}

/* NULL where the file system has no O_DIRECT. */
/* aio NULL: nothing said. */
static BlockBackend *open_disk(const char *aio, bool direct, unsigned offset)
{
    json_t *options = json_pack(
        "{s:s, s:I, s:{s:s, s:s, s:s*}}", "driver", "raw", "offset",
        (json_int_t)offset, "file", "driver", "file", "filename", path,
        "aio", aio);
    unsigned flags = BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP |
                     (direct ? BLOCK_OPEN_DIRECT : 0);
    g_autoptr(BlockNode) node = block_node_open(options, flags, NULL);
    BlockBackend *backend;

    json_decref(options);
    if (!node) {
        g_assert_true(direct);
        return NULL;
    }
    backend = block_backend_new(NULL, "a test", BLOCK_PERM_CONSISTENT_READ |
                                BLOCK_PERM_WRITE, BLOCK_PERM_ALL);
    block_graph_lock();
    g_assert_true(block_backend_attach(backend, node, NULL));
    block_graph_unlock();
    return backend;
}

/* Items of all shapes; disjoint, so that their order does not matter. */
static unsigned make_items(BlockBatchItem *items, GRand *rand, bool aligned)
{
    unsigned n = g_rand_int_range(rand, 1, SLOTS + 1);
    unsigned stride = SIZE / SLOTS / SLOT * SLOT;

    for (unsigned i = 0; i < n; i++) {
        uint32_t step = aligned ? 4096 : 1;
        uint32_t at = g_rand_int_range(rand, 0, SLOT / step) * step;
        uint32_t bytes = g_rand_int_range(rand, 1, SLOT / step + 1) * step;

        items[i] = (BlockBatchItem){ .offset = i * stride + at,
                                     .bytes = bytes,
                                     .write = g_rand_boolean(rand),
                                     .buf = buffers + i * SLOT };
        for (uint32_t k = 0; k < bytes; k++) {
            ((char *)items[i].buf)[k] = (char)(i + k);
        }
    }
    return n;
}

static void check_items(const BlockBatchItem *items, unsigned n,
                        unsigned offset, BlockDirtyBitmap *bitmap)
{
    for (unsigned i = 0; i < n; i++) {
        const BlockBatchItem *item = &items[i];
        uint8_t *there = model + offset + item->offset;

        g_assert_cmpint(item->ret, ==, 0);
        if (item->write) {
            memcpy(there, item->buf, item->bytes);
            g_assert_true(block_dirty_bitmap_get(bitmap, item->offset));
            g_assert_true(block_dirty_bitmap_get(
                bitmap, item->offset + item->bytes - 1));
        } else {
            g_assert_cmpmem(item->buf, item->bytes, there, item->bytes);
        }
    }
}

static void check_file(void)
{
    g_autofree char *text = NULL;
    gsize size = 0;

    g_assert_true(g_file_get_contents(path, &text, &size, NULL));
    g_assert_cmpmem(text, size, model, SIZE);
}

static void run_engine(const char *aio, bool direct, unsigned offset)
{
    guint32 seed = g_random_int();
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    g_autoptr(BlockBackend) backend = NULL;
    BlockDirtyBitmap *bitmap;
    BlockBatchItem items[SLOTS];
    uint64_t before;

    g_test_message("%s direct=%d offset=%u seed %u", aio ? aio : "no engine",
                   direct, offset, seed);
    fresh_file(seed);
    backend = open_disk(aio, direct, offset);
    if (!backend) {
        g_test_message("no O_DIRECT here");
        return;
    }
    g_assert_cmpint(block_batches(block_backend_node(backend), false), ==,
                    (aio ? strcmp(aio, "threads") != 0 : direct) &&
                        uring_available());
    /* A batch of writes waits for its slowest: only for who asks for it. */
    g_assert_cmpint(block_batches(block_backend_node(backend), true), ==,
                    aio && strcmp(aio, "threads") && uring_available());
    bitmap = block_dirty_bitmap_new(block_backend_node(backend), "b", 512,
                                    NULL);
    for (int round = 0; round < 50; round++) {
        unsigned n = make_items(items, rand, direct && round % 2);

        block_backend_batch(backend, items, n);
        check_items(items, n, offset, bitmap);
    }
    /* A read leaves no dirt. */
    before = block_dirty_bitmap_count(bitmap);
    items[0] = (BlockBatchItem){ .bytes = SLOT, .buf = buffers };
    block_backend_batch(backend, items, 1);
    g_assert_cmpuint(block_dirty_bitmap_count(bitmap), ==, before);
    block_dirty_bitmap_release(bitmap);
    g_clear_pointer(&backend, block_backend_unref);
    check_file();
}

static void test_engines(void)
{
    static const char *const engines[] = { "threads", "io_uring", NULL };

    for (size_t i = 0; i < G_N_ELEMENTS(engines); i++) {
        run_engine(engines[i], false, 0);
        run_engine(engines[i], false, 512);
        run_engine(engines[i], true, 0);
        run_engine(engines[i], true, 4096);
    }
    run_engine("native", true, 0);
}

static void test_bad_items(void)
{
    g_autoptr(BlockBackend) backend = NULL;
    BlockBatchItem items[] = {
        { .offset = SIZE - 4096, .bytes = 8192, .buf = buffers },
        { .offset = SIZE - 4096, .bytes = 8192, .write = true,
          .buf = buffers },
        { .offset = UINT64_MAX - 100, .bytes = 4096, .buf = buffers },
        { .offset = UINT64_MAX - 100, .bytes = 4096, .write = true,
          .buf = buffers },
        { .offset = 4096, .bytes = 4096, .buf = buffers },
    };

    fresh_file(1);
    backend = open_disk("io_uring", false, 0);
    block_backend_batch(backend, items, G_N_ELEMENTS(items));
    g_assert_cmpint(items[0].ret, ==, -EINVAL);
    g_assert_cmpint(items[1].ret, ==, -ENOSPC);
    g_assert_cmpint(items[2].ret, ==, -EINVAL);
    g_assert_cmpint(items[3].ret, ==, -ENOSPC);
    g_assert_cmpint(items[4].ret, ==, 0);
    g_assert_cmpmem(buffers, 4096, model + 4096, 4096);
    g_clear_pointer(&backend, block_backend_unref);
    check_file();
}

/* The file was cut behind our back: the rest reads as zeroes. */
static void test_short_file(void)
{
    g_autoptr(BlockBackend) backend = NULL;
    BlockBatchItem items[] = {
        { .offset = 0, .bytes = 8192, .buf = buffers },
        { .offset = 16384, .bytes = 8192, .buf = buffers + SLOT },
    };
    static const char zeroes[SLOT];

    fresh_file(2);
    backend = open_disk("io_uring", false, 0);
    g_assert_cmpint(truncate(path, 5000), ==, 0);
    memset(buffers, 0x55, 2 * SLOT);
    block_backend_batch(backend, items, 2);
    g_assert_cmpint(items[0].ret, ==, 0);
    g_assert_cmpmem(buffers, 5000, model, 5000);
    g_assert_cmpmem(buffers + 5000, SLOT - 5000, zeroes, SLOT - 5000);
    g_assert_cmpint(items[1].ret, ==, 0);
    g_assert_cmpmem(buffers + SLOT, SLOT, zeroes, SLOT);
}

static gpointer run_thread(gpointer opaque)
{
    unsigned number = GPOINTER_TO_UINT(opaque);
    UringOp ops[URING_DEPTH];
    char small[URING_DEPTH][64];
    int fd = open(path, O_RDONLY);

    for (int round = 0; round < 100; round++) {
        for (unsigned i = 0; i < URING_DEPTH; i++) {
            ops[i] = (UringOp){ .fd = i % 16 == 7 ? -1 : fd,
                                .buf = small[i], .bytes = 64,
                                .offset = (number * 977 + i * 4099) %
                                          (SIZE - 64) };
        }
        if (!uring_run(ops, URING_DEPTH)) {
            break;
        }
        for (unsigned i = 0; i < URING_DEPTH; i++) {
            if (i % 16 == 7) {
                g_assert_cmpint(ops[i].result, ==, -EBADF);
            } else {
                g_assert_cmpint(ops[i].result, ==, 64);
                g_assert_cmpmem(small[i], 64, model + ops[i].offset, 64);
            }
        }
    }
    close(fd);
    return NULL;
}

/* Rings belong to threads and go with them. */
static void test_threads(void)
{
    GThread *threads[8];

    if (!uring_available()) {
        g_test_skip("this kernel has no io_uring for us");
        return;
    }
    fresh_file(3);
    for (int wave = 0; wave < 4; wave++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
            threads[i] = g_thread_new("ring", run_thread,
                                      GUINT_TO_POINTER(i));
        }
        for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
            g_thread_join(threads[i]);
        }
    }
}

int main(int argc, char **argv)
{
    int fd;
    int ret;

    g_test_init(&argc, &argv, NULL);
    fd = g_file_open_tmp("e2k-batch-XXXXXX", &path, NULL);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_cmpint(posix_memalign((void **)&buffers, 4096, SLOTS * SLOT),
                    ==, 0);
    g_test_add_func("/block/batch/engines", test_engines);
    g_test_add_func("/block/batch/bad-items", test_bad_items);
    g_test_add_func("/block/batch/short-file", test_short_file);
    g_test_add_func("/block/batch/threads", test_threads);
    ret = g_test_run();
    unlink(path);
    g_free(path);
    free(buffers);
    return ret;
}
