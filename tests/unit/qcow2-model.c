/*
 * qcow2 images against a byte array.
 *
 * Random operations - writes, zeroes, discards, compressed writes, flushes,
 * snapshots, resizes, reopening - run on an image and on a plain array; after
 * them, and after the image was closed and opened again, both must hold the
 * same bytes, and a check of the image must find nothing at all.  The same
 * with several threads at once, each in its own interleaved part of the disk.
 *
 * --seed=... of GTest repeats a run.
 */
#include "block/backend.h"
#include "block/driver.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_DISK (3u << 20)
#define OPS 200
#define THREADS 4
#define THREAD_OPS 200

typedef struct Config {
    const char *name;
    const char *options; /* JSON members after the driver's */
    bool backing;
    bool compress;
    bool snapshots;
    bool discard_is_zero; /* version 3 without a raw data file */
} Config;

static const Config configs[] = {
    { "64k", "", false, true, true, true },
    { "512", ",\"cluster-size\":512", false, true, true, true },
    { "2M", ",\"cluster-size\":2097152", false, true, true, true },
    { "v2", ",\"version\":\"v2\",\"cluster-size\":4096", false, true, true,
      true },
    { "backing", ",\"cluster-size\":4096", true, true, true, true },
    { "v2-backing", ",\"version\":\"v2\"", true, true, false, false },
    { "extl2", ",\"extended-l2\":true,\"cluster-size\":16384", false, true,
      true, true },
    { "extl2-backing", ",\"extended-l2\":true", true, true, true, true },
    { "refcount-1", ",\"refcount-bits\":1,\"cluster-size\":1024", false,
      false, false, true },
    { "refcount-64", ",\"refcount-bits\":64,\"cluster-size\":512", false,
      true, true, true },
    { "lazy", ",\"lazy-refcounts\":true,\"cluster-size\":8192", false, true,
      true, true },
    { "prealloc", ",\"preallocation\":\"metadata\"", false, true, true,
      true },
};

typedef struct Image {
    const Config *config;
    char *dir, *path, *base;
    BlockBackend *backend;
    uint8_t *model;
    uint8_t *saved; /* of the snapshot, or NULL */
    uint64_t saved_size;
    uint64_t size;
} Image;

static json_t *parse_json(const char *format, ...) G_GNUC_PRINTF(1, 2);

static json_t *parse_json(const char *format, ...)
{
    g_autofree char *text = NULL;
    json_error_t error;
    json_t *json;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    json = json_loads(text, 0, &error);
    if (!json) {
        g_error("%s in %s", error.text, text);
    }
    return json;
}

static void open_image(Image *im)
{
    GError *error = NULL;

    im->backend = block_backend_open(im->path, "qcow2", NULL,
                                     BLOCK_OPEN_RDWR | BLOCK_OPEN_NO_FLUSH |
                                         BLOCK_OPEN_UNMAP,
                                     &error);
    g_assert_no_error(error);
}

static void close_image(Image *im)
{
    g_clear_pointer(&im->backend, block_backend_unref);
}

static void make_base(Image *im, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        im->model[i] = i * 7 + (i >> 8);
    }
    g_assert_true(g_file_set_contents(im->base, (char *)im->model, size,
                                      NULL));
}

static void create_image(Image *im, const Config *config, uint64_t size)
{
    GError *error = NULL;
    json_t *file, *options;
    g_autofree char *backing = NULL;

    memset(im, 0, sizeof(*im));
    im->config = config;
    im->size = size;
    im->model = g_malloc0(MAX_DISK);
    im->dir = g_dir_make_tmp("qcow2-model-XXXXXX", NULL);
    im->path = g_build_filename(im->dir, "t.qcow2", NULL);
    im->base = g_build_filename(im->dir, "base.raw", NULL);
    if (config->backing) {
        make_base(im, size / 2 / 512 * 512); /* shorter than the overlay */
        backing = g_strdup_printf(
            ",\"backing-file\":\"%s\",\"backing-fmt\":\"raw\"", im->base);
    }
    file = parse_json("{\"driver\":\"file\",\"filename\":\"%s\",\"size\":0}",
                      im->path);
    g_assert_true(block_node_create(file, &error));
    json_decref(file);
    options = parse_json(
        "{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":"
        "\"%s\"},\"size\":%" G_GUINT64_FORMAT "%s%s}",
        im->path, size, config->options, backing ? backing : "");
    block_node_create(options, &error);
    g_assert_no_error(error);
    json_decref(options);
    open_image(im);
}

static void destroy_image(Image *im)
{
    if (im->backend) {
        close_image(im);
    }
    g_unlink(im->path);
    g_unlink(im->base);
    g_rmdir(im->dir);
    g_free(im->dir);
    g_free(im->path);
    g_free(im->base);
    g_free(im->model);
    g_free(im->saved);
}

static void compare_image(Image *im, const char *when)
{
    g_autofree uint8_t *buf = g_malloc(im->size + 1);

    g_assert_cmpint(block_backend_length(im->backend), ==, im->size);
    g_assert_cmpint(block_backend_pread(im->backend, 0, im->size, buf, 0), ==,
                    0);
    for (uint64_t i = 0; i < im->size; i++) {
        if (buf[i] != im->model[i]) {
            g_error("%s, %s: byte %" G_GUINT64_FORMAT " is %#x, not %#x",
                    im->config->name, when, i, buf[i], im->model[i]);
        }
    }
}

/* Status must not promise zeroes where there are none. */
static void check_status(Image *im)
{
    uint64_t at = 0;

    while (at < im->size) {
        BlockStatus s;

        g_assert_cmpint(block_backend_status(im->backend, at, im->size - at,
                                             &s), ==, 0);
        g_assert_cmpuint(s.bytes, >, 0);
        for (uint64_t i = 0; (s.flags & BLOCK_STATUS_ZERO) && i < s.bytes;
             i++) {
            g_assert_cmpuint(im->model[at + i], ==, 0);
        }
        at += s.bytes;
    }
}

static void check_image(Image *im)
{
    BlockBackend *backend;
    BlockCheckResult r;
    GError *error = NULL;
    BlockNode *node;

    close_image(im);
    backend = block_backend_open(im->path, "qcow2", NULL, BLOCK_OPEN_CHECK,
                                 &error);
    g_assert_no_error(error);
    node = block_backend_node(backend);
    block_node_driver(node)->check(node, &r, 0, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(r.corruptions, ==, 0);
    g_assert_cmpuint(r.leaks, ==, 0);
    g_assert_cmpuint(r.check_errors, ==, 0);
    block_backend_unref(backend);
    open_image(im);
}

/* ---- Operations ----------------------------------------------------------- */

/* Often at cluster edges, often not. */
static void pick_range(const Image *im, uint64_t *offset, uint64_t *bytes)
{
    uint64_t unit = UINT64_C(1) << g_test_rand_int_range(0, 18);

    *offset = g_test_rand_int_range(0, im->size);
    *bytes = g_test_rand_int_range(1, 200000);
    if (g_test_rand_bit()) {
        *offset = *offset / unit * unit;
        *bytes = (*bytes + unit - 1) / unit * unit;
    }
    *bytes = MIN(*bytes, im->size - *offset);
}

static void op_write(Image *im)
{
    uint64_t offset, bytes;
    uint8_t value = g_test_rand_int_range(1, 256);

    pick_range(im, &offset, &bytes);
    for (uint64_t i = 0; i < bytes; i++) {
        im->model[offset + i] = value + i / 512;
    }
    g_assert_cmpint(block_backend_pwrite(im->backend, offset, bytes,
                                         im->model + offset, 0), ==, 0);
}

static void op_zero(Image *im)
{
    uint64_t offset, bytes;

    pick_range(im, &offset, &bytes);
    memset(im->model + offset, 0, bytes);
    g_assert_cmpint(block_backend_pwrite_zeroes(
                        im->backend, offset, bytes,
                        g_test_rand_bit() ? BLOCK_REQ_MAY_UNMAP : 0), ==, 0);
}

/* Whole clusters become zero, partial ones may stay as they are. */
static void op_discard(Image *im)
{
    uint64_t offset, bytes;
    int ret;

    pick_range(im, &offset, &bytes);
    ret = block_backend_pdiscard(im->backend, offset, bytes);
    g_assert_cmpint(ret, ==, 0);
    g_assert_cmpint(block_backend_pread(im->backend, offset, bytes,
                                        im->model + offset, 0), ==, 0);
}

static void op_discard_checked(Image *im)
{
    g_autofree uint8_t *before = g_memdup(im->model, im->size);

    op_discard(im);
    for (uint64_t i = 0; i < im->size; i++) {
        g_assert_true(im->model[i] == before[i] || im->model[i] == 0);
    }
}

static void op_compressed(Image *im)
{
    BlockNode *node = block_backend_node(im->backend);
    uint64_t cluster = block_node_limits(node)->cluster_size;
    uint64_t offset =
        g_test_rand_int_range(0, im->size) / cluster * cluster;
    uint64_t count = g_test_rand_int_range(1, 4);
    uint64_t bytes = MIN(cluster * count, im->size - offset);
    bool noise = g_test_rand_bit();

    for (uint64_t i = 0; i < bytes; i++) {
        im->model[offset + i] = noise ? g_test_rand_int() : i / 100;
    }
    g_assert_cmpint(block_backend_pwrite(im->backend, offset, bytes,
                                         im->model + offset,
                                         BLOCK_REQ_COMPRESSED), ==, 0);
}

static void op_snapshot(Image *im)
{
    BlockNode *node = block_backend_node(im->backend);
    const BlockDriver *driver = block_node_driver(node);
    BlockSnapshot sn = { .name = "s", .icount = UINT64_MAX };
    GError *error = NULL;

    block_node_drain_begin(node);
    if (!im->saved) {
        driver->snapshot_create(node, &sn, &error);
        g_assert_no_error(error);
        im->saved = g_memdup(im->model, im->size);
        im->saved_size = im->size;
    } else if (g_test_rand_bit() && im->saved_size == im->size) {
        driver->snapshot_goto(node, "s", &error);
        g_assert_no_error(error);
        memcpy(im->model, im->saved, im->size);
    } else {
        driver->snapshot_delete(node, NULL, "s", &error);
        g_assert_no_error(error);
        g_clear_pointer(&im->saved, g_free);
    }
    block_node_drain_end(node);
}

static void op_resize(Image *im)
{
    uint64_t size = g_test_rand_int_range(1, MAX_DISK / 512) * 512;
    GError *error = NULL;

    if (im->saved) {
        return; /* a version 2 image refuses, others change what goto means */
    }
    block_truncate(block_backend_node(im->backend), size, true,
                   BLOCK_PREALLOC_OFF, &error);
    g_assert_no_error(error);
    if (size > im->size) {
        memset(im->model + im->size, 0, size - im->size);
    }
    im->size = size;
}

static void random_op(Image *im)
{
    int what = g_test_rand_int_range(0, 100);

    if (what < 55) {
        op_write(im);
    } else if (what < 68) {
        op_zero(im);
    } else if (what < 78) {
        if (im->config->discard_is_zero) {
            op_discard_checked(im);
        }
    } else if (what < 88) {
        if (im->config->compress) {
            op_compressed(im);
        }
    } else if (what < 92) {
        g_assert_cmpint(block_backend_flush(im->backend), ==, 0);
    } else if (what < 96) {
        if (im->config->snapshots) {
            op_snapshot(im);
        }
    } else if (what < 98) {
        close_image(im);
        open_image(im);
    } else if (!im->config->backing) {
        op_resize(im);
    }
}

static void test_model(gconstpointer data)
{
    Image im;

    create_image(&im, data, 2097152 + 512 * 37);
    for (int i = 0; i < OPS; i++) {
        random_op(&im);
        if (i % 100 == 99) {
            compare_image(&im, "while open");
            check_status(&im);
            check_image(&im);
        }
    }
    close_image(&im);
    open_image(&im);
    compare_image(&im, "opened again");
    destroy_image(&im);
}

/* ---- Several threads ------------------------------------------------------- */

typedef struct Worker {
    Image *im;
    unsigned number;
    GRand *rand;
} Worker;

/* Blocks of 1 KiB belong to the threads in turn: every cluster is shared. */
static gpointer worker(gpointer opaque)
{
    Worker *w = opaque;
    Image *im = w->im;

    for (int i = 0; i < THREAD_OPS; i++) {
        uint64_t block = g_rand_int_range(w->rand, 0, im->size / 1024 /
                                                          THREADS);
        uint64_t offset = (block * THREADS + w->number) * 1024;
        uint8_t buf[1024];
        int ret;

        if (g_rand_int_range(w->rand, 0, 4) == 0) {
            memset(im->model + offset, 0, 1024);
            ret = block_backend_pwrite_zeroes(im->backend, offset, 1024, 0);
        } else {
            memset(im->model + offset, i + w->number, 1024);
            ret = block_backend_pwrite(im->backend, offset, 1024,
                                       im->model + offset, 0);
        }
        g_assert_cmpint(ret, ==, 0);
        if (i % 50 == 0) {
            g_assert_cmpint(block_backend_flush(im->backend), ==, 0);
        }
        ret = block_backend_pread(im->backend, offset, 1024, buf, 0);
        g_assert_cmpint(ret, ==, 0);
        g_assert_cmpmem(buf, 1024, im->model + offset, 1024);
    }
    g_rand_free(w->rand);
    return NULL;
}

static void test_threads(gconstpointer data)
{
    Worker workers[THREADS];
    GThread *threads[THREADS];
    Image im;

    create_image(&im, data, 2097152);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (Worker){ &im, i, g_rand_new_with_seed(
                                           g_test_rand_int()) };
        threads[i] = g_thread_new("writer", worker, &workers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        g_thread_join(threads[i]);
    }
    compare_image(&im, "after threads");
    check_image(&im);
    compare_image(&im, "opened again");
    destroy_image(&im);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(configs); i++) {
        g_autofree char *model =
            g_strdup_printf("/qcow2/model/%s", configs[i].name);
        g_autofree char *threads =
            g_strdup_printf("/qcow2/threads/%s", configs[i].name);

        g_test_add_data_func(model, &configs[i], test_model);
        g_test_add_data_func(threads, &configs[i], test_threads);
    }
    return g_test_run();
}
