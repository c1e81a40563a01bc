/*
 * Graph changes and jobs under load: threads write and verify a disk of their
 * own stripes while snapshots, commits, streams, backups and mirrors come and
 * go below them.  Every byte read must be the last one written; nothing may
 * hang (the test has a time limit).
 */
#include "block/backend.h"
#include "block/jobs.h"
#include "block/monitor-nodes.h"
#include "block/options.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

enum { THREADS = 3, BLOCKS = 96, BLOCK = 4096, ROUNDS = 40 };
#define SIZE ((uint64_t)THREADS * BLOCKS * BLOCK)

static char *dir;
static unsigned files;

typedef struct Guest {
    BlockBackend *disk;
    unsigned index;
    bool stop;
    uint64_t done;
} Guest;

/* Block i of this guest; stripes of the guests alternate. */
static uint64_t place(const Guest *g, unsigned i)
{
    return ((uint64_t)i * THREADS + g->index) * BLOCK;
}

static gpointer run_guest(gpointer data)
{
    Guest *g = data;
    g_autofree uint8_t *model = g_malloc0(BLOCKS);
    g_autofree uint8_t *buf = g_malloc(BLOCK);
    g_autoptr(GRand) rand = g_rand_new_with_seed(g->index + 1);

    while (!__atomic_load_n(&g->stop, __ATOMIC_RELAXED)) {
        unsigned i = g_rand_int_range(rand, 0, BLOCKS);
        int action = g_rand_int_range(rand, 0, 8);

        if (action < 3) {
            model[i] = g_rand_int_range(rand, 1, 256);
            memset(buf, model[i], BLOCK);
            g_assert_cmpint(block_backend_pwrite(g->disk, place(g, i), BLOCK,
                                                 buf, 0), ==, 0);
        } else if (action == 3) {
            model[i] = 0;
            g_assert_cmpint(block_backend_pwrite_zeroes(
                                g->disk, place(g, i), BLOCK,
                                BLOCK_REQ_MAY_UNMAP), ==, 0);
        } else {
            g_assert_cmpint(block_backend_pread(g->disk, place(g, i), BLOCK,
                                                buf, 0), ==, 0);
            g_assert_cmpint(buf[0], ==, model[i]);
            g_assert_cmpmem(buf, BLOCK - 1, buf + 1, BLOCK - 1);
        }
        __atomic_fetch_add(&g->done, 1, __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        g_assert_cmpint(block_backend_pread(g->disk, place(g, i), BLOCK, buf,
                                            0), ==, 0);
        g_assert_cmpint(buf[0], ==, model[i]);
    }
    return NULL;
}

/* A new qcow2 image as a node without backing; a reference. */
static BlockNode *new_image(void)
{
    g_autofree char *path = g_strdup_printf("%s/%u.qcow2", dir, files++);
    g_autoptr(GError) error = NULL;
    json_t *file = json_pack("{s:s, s:s, s:i}", "driver", "file", "filename",
                             path, "size", 0);
    json_t *options;
    BlockNode *node;

    g_assert_true(block_node_create(file, &error));
    json_decref(file);
    options = json_pack("{s:s, s:{s:s, s:s}, s:I}", "driver", "qcow2", "file",
                        "driver", "file", "filename", path, "size",
                        (json_int_t)SIZE);
    block_node_create(options, &error);
    g_assert_no_error(error);
    json_object_del(options, "size");
    node = block_node_open(options, BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP,
                           &error);
    g_assert_no_error(error);
    json_decref(options);
    return node;
}

static void wait_for_jobs(bool complete)
{
    for (;;) {
        BlockJob *job;

        block_graph_lock();
        job = block_job_next(NULL);
        if (job && complete) {
            block_job_complete(job, NULL); /* refused until it is ready */
        }
        block_graph_unlock();
        if (!job) {
            return;
        }
        g_usleep(500);
    }
}

static void start(BlockJob *job, const GError *error)
{
    g_assert_no_error(error);
    g_assert_nonnull(job);
    block_job_start(job);
}

static void do_snapshot(BlockBackend *disk)
{
    g_autoptr(GError) error = NULL;
    BlockNode *overlay = new_image();

    block_graph_lock();
    block_node_append(overlay, block_backend_node(disk), &error);
    g_assert_no_error(error);
    block_node_unref(overlay);
    block_graph_unlock();
}

static void do_commit(BlockBackend *disk)
{
    g_autoptr(GError) error = NULL;
    BlockNode *active;
    BlockJob *job = NULL;

    block_graph_lock();
    active = block_backend_node(disk);
    if (block_node_backing(active)) {
        job = block_mirror_new(&(BlockMirrorParams){
            .job = { .id = "commit" }, .source = active,
            .target = block_node_backing(active),
            .base = block_node_backing(active), .sync = BLOCK_SYNC_TOP,
            .commit = true }, &error);
        start(job, error);
    }
    block_graph_unlock();
    wait_for_jobs(true);
}

static void do_stream(BlockBackend *disk)
{
    g_autoptr(GError) error = NULL;

    block_graph_lock();
    start(block_stream_new(&(BlockStreamParams){
              .job = { .id = "stream" }, .top = block_backend_node(disk) },
                           &error), error);
    block_graph_unlock();
    wait_for_jobs(false);
}

static void do_mirror(BlockBackend *disk, bool blocking)
{
    g_autoptr(GError) error = NULL;
    BlockNode *target = new_image();

    block_graph_lock();
    start(block_mirror_new(&(BlockMirrorParams){
              .job = { .id = "mirror" }, .source = block_backend_node(disk),
              .target = target, .sync = BLOCK_SYNC_FULL,
              .write_blocking = blocking }, &error), error);
    block_graph_unlock();
    wait_for_jobs(true);
    block_node_unref(target);
}

/* A backup is thrown away; what counts is that the guests do not notice. */
static void do_backup(BlockBackend *disk)
{
    g_autoptr(GError) error = NULL;
    BlockNode *target = new_image();

    block_graph_lock();
    start(block_backup_new(&(BlockBackupParams){
              .job = { .id = "backup" }, .source = block_backend_node(disk),
              .target = target, .sync = BLOCK_SYNC_FULL }, &error), error);
    block_graph_unlock();
    wait_for_jobs(false);
    block_node_unref(target);
}

static void test_all_at_once(void)
{
    g_autoptr(GError) error = NULL;
    BlockBackend *disk = block_backend_new(
        NULL, "disk", BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE,
        BLOCK_PERM_ALL);
    BlockNode *first = new_image();
    Guest guests[THREADS];
    GThread *threads[THREADS];

    g_assert_true(block_backend_attach(disk, first, &error));
    block_node_unref(first);
    for (unsigned i = 0; i < THREADS; i++) {
        guests[i] = (Guest){ .disk = disk, .index = i };
        threads[i] = g_thread_new("guest", run_guest, &guests[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        switch (g_test_rand_int_range(0, 7)) {
        case 0:
        case 1:
            do_snapshot(disk);
            break;
        case 2:
            do_commit(disk);
            break;
        case 3:
            do_stream(disk);
            break;
        case 4:
            do_backup(disk);
            break;
        default:
            do_mirror(disk, g_test_rand_int_range(0, 2));
            break;
        }
    }
    for (unsigned i = 0; i < THREADS; i++) {
        __atomic_store_n(&guests[i].stop, true, __ATOMIC_RELAXED);
        g_thread_join(threads[i]);
        g_assert_cmpuint(guests[i].done, >, 0);
    }
    block_backend_unref(disk);
    g_assert_null(block_node_next(NULL)); /* nothing is left behind */
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("e2k-stress-XXXXXX", NULL);
    g_test_add_func("/block-stress/all-at-once", test_all_at_once);
    ret = g_test_run();
    while (files) {
        g_autofree char *path = g_strdup_printf("%s/%u.qcow2", dir, --files);

        g_unlink(path);
    }
    g_rmdir(dir);
    return ret;
}
