/*
 * libFuzzer target: any bytes as a qcow2 image.
 *
 * The first byte picks what happens after the rest was opened as an image:
 * reading, status, writing, discarding, snapshots, check and repair, or, over
 * a backing node in memory, a commit, a job that commits and one that streams.
 * Nothing may crash, hang, or use memory out of proportion.
 *
 * Built with -DFUZZ_REPLAY it has a main() that runs the files and folders
 * named as arguments, as an ordinary test.
 */
#include "block/backend.h"
#include "block/driver.h"
#include "block/jobs.h"
#include "block/monitor-nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of the first byte, beside those of exercise(). */
enum { COMMIT = 64, JOBS = 128 };

static void exercise(BlockBackend *image, unsigned what)
{
    BlockNode *node = block_backend_node(image);
    int64_t length = block_backend_length(image);
    static uint8_t buf[128 << 10];
    uint64_t at = 0;

    for (int i = 0; i < 64 && (int64_t)at < length; i++) {
        BlockStatus s;
        uint64_t n = MIN(sizeof(buf), length - at);

        if (block_backend_status(image, at, length - at, &s) < 0) {
            break;
        }
        (void)block_backend_pread(image, at, n, buf, 0);
        if (what & 1) {
            memset(buf, i, n);
            (void)block_backend_pwrite(image, at, MIN(n, 3000), buf, 0);
        }
        if (what & 2) {
            (void)block_backend_pwrite_zeroes(image, at, n,
                                              BLOCK_REQ_MAY_UNMAP);
        }
        if (what & 4) {
            (void)block_backend_pdiscard(image, at, n);
        }
        at += MAX(s.bytes, n);
    }
    (void)block_backend_flush(image);
    if (what & 8) {
        const BlockDriver *driver = block_node_driver(node);
        BlockSnapshot sn = { .name = "fuzz" };

        block_node_drain_begin(node);
        if (driver->snapshot_create(node, &sn, NULL)) {
            (void)driver->snapshot_goto(node, "fuzz", NULL);
            (void)driver->snapshot_delete(node, NULL, "fuzz", NULL);
        }
        block_node_drain_end(node);
    }
    if ((what & 16) && length < 1 << 28) {
        (void)block_truncate(node, length + 65536, false, BLOCK_PREALLOC_OFF,
                             NULL);
    }
}

/* Starts a job, if it could be made, and waits for its end. */
static void finish_job(BlockJob *job)
{
    if (job) {
        block_job_start(job);
    }
    block_graph_unlock();
    for (bool gone = false; !gone;) {
        block_graph_lock();
        gone = !block_job_find("fuzz");
        block_graph_unlock();
        g_usleep(gone ? 0 : 200);
    }
}

/* The image over a backing node: what is copied between the two. */
static void copy_in_chain(BlockNode *node, unsigned what)
{
    BlockNode *base = block_node_backing(node);
    BlockJobParams job = { .id = "fuzz" };

    if (block_length(node) > INT64_C(1) << 32) {
        return;
    }
    if (what & COMMIT) {
        (void)block_commit_now(node, base, what & 1, NULL, NULL, NULL);
    }
    if (what & JOBS) {
        BlockJobPerf perf = { 1 + what % 16, (what & 2) ? 65536 : 0 };
        BlockNode *overlay =
            block_node_open_temporary(node, BLOCK_OPEN_RDWR, NULL);

        block_graph_lock();
        finish_job(overlay ? block_commit_new(&(BlockCommitParams){
                                 .job = job, .active = overlay, .top = node,
                                 .base = base, .perf = perf }, NULL)
                           : NULL);
        block_node_unref(overlay);
        if (!block_node_backing(node)) {
            return;
        }
        block_graph_lock();
        finish_job(block_stream_new(&(BlockStreamParams){
            .job = job, .top = node, .perf = perf }, NULL));
    }
}

static void run(const char *path, unsigned what)
{
    bool chain = what & (COMMIT | JOBS);
    bool check = !chain && (what & 32);
    bool write = chain || (what & 31);
    json_t *options = json_pack(
        "{s:s, s:o, s:{s:s, s:s}}", "driver", "qcow2", "backing",
        chain ? json_pack("{s:s, s:i, s:b}", "driver", "null-co", "size",
                          1 << 20, "read-zeroes", 1) : json_null(),
        "file", "driver", "file", "filename", path);
    unsigned flags = (write ? BLOCK_OPEN_RDWR | BLOCK_OPEN_NO_FLUSH |
                                  BLOCK_OPEN_UNMAP : 0) |
                     (check ? BLOCK_OPEN_CHECK : 0);
    BlockNode *node = block_node_open(options, flags, NULL);
    BlockBackend *image;

    json_decref(options);
    if (!node) {
        return;
    }
    image = block_backend_new(NULL, "fuzz",
                              write ? BLOCK_PERM_ALL
                                    : BLOCK_PERM_CONSISTENT_READ,
                              BLOCK_PERM_ALL);
    if (block_backend_attach(image, node, NULL)) {
        if (check) {
            BlockCheckResult r;

            (void)block_node_driver(node)->check(
                node, &r, write ? BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS : 0,
                NULL);
        } else if (chain) {
            copy_in_chain(node, what);
        } else {
            exercise(image, what);
        }
    }
    block_node_unref(node);
    block_backend_unref(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd;

    if (size < 1 || size > 1 << 20) {
        return 0;
    }
    if (!getenv("FUZZ_VERBOSE") && !freopen("/dev/null", "w", stderr)) {
        abort();
    }
    fd = memfd_create("qcow2", MFD_CLOEXEC);
    g_assert(fd >= 0);
    g_assert(write(fd, data + 1, size - 1) == (ssize_t)size - 1);
    g_snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    run(path, data[0]);
    close(fd);
    return 0;
}

#ifdef FUZZ_REPLAY
static int replay(const char *path)
{
    g_autofree char *data = NULL;
    gsize length;
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;
    int n = 0;

    if (!dir) {
        if (!g_file_get_contents(path, &data, &length, NULL)) {
            return 0;
        }
        LLVMFuzzerTestOneInput((uint8_t *)data, length);
        return 1;
    }
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *full = g_build_filename(path, name, NULL);

        n += replay(full);
    }
    g_dir_close(dir);
    return n;
}

/* Besides the files themselves: many small random changes of each. */
static int mutate(const char *path, int rounds)
{
    gsize length;
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;
    int n = 0;

    if (!dir) {
        return 0;
    }
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *full = g_build_filename(path, name, NULL);
        g_autofree char *content = NULL;

        if (!g_file_get_contents(full, &content, &length, NULL) || !length) {
            continue;
        }
        for (int i = 0; i < rounds; i++) {
            g_autofree uint8_t *copy = g_malloc(length);

            memcpy(copy, content, length);
            for (int k = g_random_int_range(1, 6); k > 0; k--) {
                copy[g_random_int_range(0, length)] =
                    g_random_int_range(0, 256);
            }
            LLVMFuzzerTestOneInput(copy, length);
            n++;
        }
    }
    g_dir_close(dir);
    return n;
}

int main(int argc, char **argv)
{
    uint32_t seed = getenv("FUZZ_SEED") ? strtoul(getenv("FUZZ_SEED"), NULL, 0)
                                        : g_random_int();
    int n = 0, changed = 0;

    printf("seed %u (FUZZ_SEED repeats)\n", seed);
    fflush(stdout);
    g_random_set_seed(seed);
    for (int i = 1; i < argc; i++) {
        n += replay(argv[i]);
        changed += mutate(argv[i], 60);
    }
    printf("%d inputs, %d changed ones\n", n, changed);
    return n == 0;
}
#endif
