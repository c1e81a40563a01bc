/*
 * Writes by mapping (block/file-map.h): the bytes are those of plain writes,
 * whatever happens to the file meanwhile, and whatever happens to the
 * process.
 */
#include "block/backend.h"
#include "block/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/file-map.h"
#include "util/guarded-copy.h"

#define MIB  (1u << 20)
#define SIZE (6u * MIB + 512)

static char *path;
static uint8_t model[2 * SIZE];
static uint8_t bytes[MIB];

static bool is_mapped(void)
{
    g_autofree char *maps = NULL;

    g_assert_true(g_file_get_contents("/proc/self/maps", &maps, NULL, NULL));
    return strstr(maps, path) != NULL;
}

static bool may_map(void)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    FileMap *map = file_map_new(fd);
    bool may = map != NULL;

    file_map_free(map);
    close(fd);
    return may;
}

static BlockNode *open_file(unsigned flags)
{
    json_t *options = json_pack("{s:s, s:s, s:s}", "driver", "file",
                                "node-name", "f", "filename", path);
    BlockNode *node;

    node = block_node_open(options, flags | BLOCK_OPEN_RDWR |
                           BLOCK_OPEN_UNMAP, NULL);
    json_decref(options);
    g_assert_nonnull(node);
    return node;
}

static BlockBackend *attach(BlockNode *node)
{
    BlockBackend *backend = block_backend_new(
        NULL, "a test", BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE |
        BLOCK_PERM_RESIZE, BLOCK_PERM_ALL);

    block_graph_lock();
    g_assert_true(block_backend_attach(backend, node, NULL));
    block_graph_unlock();
    return backend;
}

static BlockBackend *fresh(unsigned flags)
{
    g_autoptr(BlockNode) node = NULL;

    memset(model, 0x11, sizeof(model));
    g_assert_true(g_file_set_contents(path, (char *)model, SIZE, NULL));
    node = open_file(flags);
    return attach(node);
}

static void put(BlockBackend *backend, uint64_t offset, unsigned n,
                uint8_t value)
{
    for (unsigned i = 0; i < n; i++) {
        bytes[i] = value + i * 7;
    }
    memcpy(model + offset, bytes, n);
    g_assert_cmpint(block_backend_pwrite(backend, offset, n, bytes, 0), ==,
                    0);
}

/* Enough of everything that it is mapped from now on. */
static void warm_up(BlockBackend *backend, uint64_t size)
{
    for (int turn = 0; turn < 2; turn++) {
        for (uint64_t at = 0; at < size; at += MIB) {
            put(backend, at, MIN(MIB, size - at), 1 + turn);
        }
    }
}

/* Through a descriptor that knows nothing of the mapping. */
static void check_file(uint64_t size)
{
    g_autofree char *text = NULL;
    gsize have = 0;

    g_assert_true(g_file_get_contents(path, &text, &have, NULL));
    g_assert_cmpmem(text, have, model, size);
}

static void test_random(void)
{
    guint32 seed = g_random_int();
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    g_autoptr(BlockBackend) backend = fresh(0);

    g_test_message("seed %u", seed);
    for (int i = 0; i < 6000; i++) {
        unsigned n = g_rand_int_range(rand, 1, i % 50 ? 9000 : 200000);
        uint64_t at = g_rand_int_range(rand, 0, SIZE - n);

        put(backend, at, n, i);
        switch (g_rand_int_range(rand, 0, 3000)) {
        case 0:
            g_assert_cmpint(block_backend_flush(backend), ==, 0);
            break;
        case 1:
            g_assert_cmpint(block_backend_pwrite_zeroes(
                                backend, at, n, BLOCK_REQ_MAY_UNMAP), ==, 0);
            memset(model + at, 0, n);
            break;
        case 2:
            g_assert_cmpint(block_backend_pwrite(backend, at, n, bytes,
                                                 BLOCK_REQ_FUA), ==, 0);
            break;
        case 3:
            g_assert_cmpint(block_backend_pread(backend, at, n, bytes, 0), ==,
                            0);
            g_assert_cmpmem(bytes, n, model + at, n);
            break;
        }
    }
    g_assert_true(is_mapped());
    check_file(SIZE);
    g_clear_pointer(&backend, block_backend_unref);
    g_assert_false(is_mapped());
    check_file(SIZE);
}

/* Only what is written again and again, and only where it is allowed. */
static void test_when(void)
{
    g_autoptr(BlockBackend) backend = fresh(0);

    for (int i = 0; i < 1000; i++) {
        put(backend, i % 128 * 4096, 4096, i);
        if (i % 100 == 0) {
            g_assert_cmpint(block_backend_flush(backend), ==, 0);
        }
    }
    g_assert_false(is_mapped()); /* flushed too often */
    for (uint64_t at = 0; at < SIZE; at += MIB) {
        put(backend, at, MIN(MIB, SIZE - at), 3);
    }
    g_assert_cmpint(block_backend_flush(backend), ==, 0);
    for (int i = 0; i < 1000; i++) {
        put(backend, i % 100 * 4096, 4096, i);
    }
    g_assert_false(is_mapped()); /* a large folio, few pages of it */
    for (unsigned i = 128; i < 512; i++) {
        put(backend, i * 4096, 4096, i);
    }
    g_assert_false(is_mapped()); /* enough, but each for the first time */
    for (unsigned i = 128; i < 512; i += 100) {
        put(backend, i * 4096, 4096, i);
    }
    g_assert_true(is_mapped());
    check_file(SIZE);
    g_clear_pointer(&backend, block_backend_unref);

    backend = fresh(BLOCK_OPEN_NO_MAP);
    warm_up(backend, SIZE);
    g_assert_false(is_mapped());
    check_file(SIZE);
}

/* The file grows, and the mapping with it; it shrinks and grows again. */
static void test_resize(void)
{
    g_autoptr(BlockBackend) backend = fresh(0);
    BlockNode *node = block_backend_node(backend);

    warm_up(backend, SIZE);
    g_assert_true(block_truncate(node, 2 * SIZE, true, BLOCK_PREALLOC_OFF,
                                 NULL));
    memset(model + SIZE, 0, SIZE);
    warm_up(backend, 2 * SIZE);
    check_file(2 * SIZE);
    g_assert_true(block_truncate(node, MIB, true, BLOCK_PREALLOC_OFF, NULL));
    g_assert_true(block_truncate(node, SIZE, true, BLOCK_PREALLOC_OFF, NULL));
    memset(model + MIB, 0, SIZE - MIB);
    check_file(SIZE);
    for (unsigned i = 0; i < 1000; i++) {
        put(backend, i * 4099 % (SIZE - 5000), 5000, i);
    }
    check_file(SIZE);
}

/* Somebody else cuts the file: no signal, and what is written is there. */
static void test_cut(void)
{
    g_autoptr(BlockBackend) backend = fresh(0);

    warm_up(backend, SIZE);
    g_assert_true(is_mapped());
    g_assert_cmpint(truncate(path, 0), ==, 0);
    memset(model, 0, SIZE);
    put(backend, 3 * MIB, 4096, 3);
    check_file(3 * MIB + 4096);
    put(backend, 5 * MIB + 100, 70000, 4);
    check_file(5 * MIB + 100 + 70000);
}

/* Somebody else punches holes: space comes back by writing. */
static void test_holes(void)
{
    g_autoptr(BlockBackend) backend = fresh(0);
    int fd = open(path, O_RDWR);

    warm_up(backend, SIZE);
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, MIB,
                  MIB) == 0) {
        memset(model + MIB, 0, MIB);
    }
    close(fd);
    for (unsigned i = 0; i < 256; i += 3) {
        put(backend, MIB + i * 4096, 4096, i);
    }
    check_file(SIZE);
}

static gpointer write_own_part(gpointer opaque)
{
    BlockBackend *backend = opaque;
    static int next;
    unsigned number = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
    g_autofree uint8_t *block = g_malloc(4096);

    for (unsigned i = 0; i < 4000; i++) {
        uint64_t at = (i * 31 % 384 * 4 + number) * 4096ull;

        memset(block, i + number, 4096);
        memset(model + at, i + number, 4096);
        g_assert_cmpint(block_backend_pwrite(backend, at, 4096, block, 0), ==,
                        0);
        if (number == 0 && i % 1500 == 1499) {
            g_assert_cmpint(block_backend_flush(backend), ==, 0);
        }
    }
    return NULL;
}

static void test_threads(void)
{
    g_autoptr(BlockBackend) backend = fresh(0);
    GThread *threads[4];

    for (int i = 0; i < 4; i++) {
        threads[i] = g_thread_new("writer", write_own_part, backend);
    }
    for (int i = 0; i < 4; i++) {
        g_thread_join(threads[i]);
    }
    check_file(SIZE);
}

/* What was acknowledged outlives the process. */
static void test_killed(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        BlockBackend *backend = fresh(0);

        warm_up(backend, SIZE);
        for (unsigned i = 0; i < 1536; i++) {
            put(backend, i * 4096, 4096, i);
        }
        raise(is_mapped() ? SIGKILL : SIGTERM);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    memset(model, 0x11, SIZE);
    for (unsigned i = 0; i < 1536; i++) {
        for (unsigned k = 0; k < 4096; k++) {
            model[i * 4096 + k] = i + k * 7;
        }
    }
    for (unsigned k = 0; k < SIZE % MIB; k++) {
        model[6 * MIB + k] = 2 + k * 7;
    }
    check_file(SIZE);
}

/* ---- The copy by itself -------------------------------------------------- */

static void test_guarded(void)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    char *map;

    g_assert_cmpint(ftruncate(fd, 8192), ==, 0);
    map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    g_assert_true(guarded_copy(map + 4000, "hello", 5));
    g_assert_cmpint(ftruncate(fd, 4096), ==, 0);
    for (int i = 0; i < 3; i++) { /* the signal is not left blocked */
        g_assert_false(guarded_copy(map + 4090, "hello world", 11));
        g_assert_false(guarded_copy(map + 5000, "hello", 5));
    }
    g_assert_true(guarded_copy(map + 4000, "HELLO", 5));
    g_assert_cmpmem(map + 4000, 5, "HELLO", 5);
    munmap(map, 8192);
    close(fd);
}

/* A SIGBUS of anybody else still ends the program. */
static void test_other_signals(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        volatile char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                                  MAP_SHARED, fd, 0);

        guarded_copy(bytes, "x", 1);
        map[0] = 1;
        _exit(0);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    path = g_build_filename(g_get_tmp_dir(), "block-map-XXXXXX", NULL);
    close(g_mkstemp(path));
    g_test_add_func("/map/guarded", test_guarded);
    g_test_add_func("/map/other-signals", test_other_signals);
    if (may_map()) {
        g_test_add_func("/map/random", test_random);
        g_test_add_func("/map/when", test_when);
        g_test_add_func("/map/resize", test_resize);
        g_test_add_func("/map/cut", test_cut);
        g_test_add_func("/map/holes", test_holes);
        g_test_add_func("/map/threads", test_threads);
        g_test_add_func("/map/killed", test_killed);
    } else {
        g_print("# the file system of %s is not one to map\n", path);
    }
    ret = g_test_run();
    unlink(path);
    g_free(path);
    return ret;
}
