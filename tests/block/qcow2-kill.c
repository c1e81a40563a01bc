/*
 * kill -9 against a writer of a qcow2 image, many times.
 *
 * A child writes 4 KiB blocks that hold their number and a version, zeroes
 * and discards some, and flushes now and then; it notes in shared memory
 * which version of each block it has begun to write and which it had finished
 * at the last flush.  The parent kills it at a random moment and looks at the
 * image: it opens, a check finds no corruption (leaks are allowed), and each
 * block holds a version between the two; one whose write was under way may hold
 * sectors of both.
 *
 * A persistent bitmap records meanwhile.  Afterwards it is inconsistent, or
 * has every block that was changed since it was made.  In every second
 * round bitmaps are stored at flush time too, which some kills must survive.
 *
 *   qcow2-kill [ROUNDS [SEED]]
 */
#include "block/backend.h"
#include "block/dirty-bitmap.h"
#include "block/driver.h"

#include <glib/gstdio.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK 4096u
#define SECTOR 512u /* written whole or not at all */
#define BLOCKS 4096u
#define DISK (BLOCK * BLOCKS)
#define GRANULE (4u * 1024 * 1024) /* few: soon all are dirty and stay valid */

typedef struct Shared {
    uint32_t begun[BLOCKS];   /* the last version whose write was begun */
    uint32_t done[BLOCKS];    /* the last version that was written */
    uint32_t flushed[BLOCKS]; /* `done` as of the last finished flush */
    /* For each block the versions that were zeroes or discards, as bits. */
    uint64_t zero_bits[BLOCKS];
    uint8_t touched[BLOCKS]; /* written, to the end, since the bitmap was made */
    uint32_t flushes;
    uint32_t started; /* the child has opened the image */
    uint32_t under_way; /* the block being written, or BLOCKS */
} Shared;

typedef struct Config {
    const char *name;
    const char *options;
} Config;

static const Config configs[] = {
    { "64k", "" },
    { "4k", ",\"cluster-size\":4096" },
    { "512", ",\"cluster-size\":512,\"refcount-bits\":64" },
    { "extl2", ",\"extended-l2\":true" },
    { "lazy", ",\"lazy-refcounts\":true" },
};

/* What a check prints about leaks is not of interest here. */
static FILE *messages;

static BlockBackend *open_image(const char *path, unsigned flags,
                                bool at_flush)
{
    GError *error = NULL;
    json_t *options = json_pack("{s:b}", "bitmaps-at-flush", at_flush);
    BlockBackend *backend =
        block_backend_open(path, "qcow2", options, flags, &error);

    json_decref(options);
    if (!backend) {
        fprintf(messages, "cannot open after a kill: %s\n", error->message);
        exit(1);
    }
    return backend;
}

static void create_image(const char *path, const Config *config)
{
    g_autofree char *text = g_strdup_printf(
        "{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":"
        "\"%s\"},\"size\":%u%s}", path, DISK, config->options);
    json_t *file = json_pack("{s:s, s:s, s:i}", "driver", "file", "filename",
                             path, "size", 0);
    json_t *options = json_loads(text, 0, NULL);
    GError *error = NULL;

    if (!block_node_create(file, &error) ||
        !block_node_create(options, &error)) {
        fprintf(messages, "cannot create: %s\n", error->message);
        exit(1);
    }
    json_decref(file);
    json_decref(options);
}

/* ---- The child ------------------------------------------------------------ */

static void write_one(BlockBackend *image, Shared *sh, GRand *rand)
{
    static uint32_t buf[BLOCK / 4];
    uint32_t b = g_rand_int_range(rand, 0, BLOCKS);
    uint32_t version = sh->begun[b] + 1;
    int what = g_rand_int_range(rand, 0, 10);
    int ret;

    if (version >= 63) {
        return; /* the bits below are used up */
    }
    __atomic_store_n(&sh->under_way, b, __ATOMIC_SEQ_CST);
    if (what < 8) {
        for (unsigned i = 0; i < BLOCK / 4; i += 2) {
            buf[i] = b;
            buf[i + 1] = version;
        }
        __atomic_store_n(&sh->begun[b], version, __ATOMIC_SEQ_CST);
        ret = block_backend_pwrite(image, (uint64_t)b * BLOCK, BLOCK, buf, 0);
    } else {
        sh->zero_bits[b] |= UINT64_C(1) << version;
        __atomic_store_n(&sh->begun[b], version, __ATOMIC_SEQ_CST);
        ret = block_backend_pwrite_zeroes(
            image, (uint64_t)b * BLOCK, BLOCK,
            what == 9 ? BLOCK_REQ_MAY_UNMAP : 0);
    }
    if (ret < 0) {
        fprintf(messages, "write failed: %s\n", strerror(-ret));
        _exit(2);
    }
    sh->done[b] = version;
    sh->touched[b] = 1;
    __atomic_store_n(&sh->under_way, BLOCKS, __ATOMIC_SEQ_CST);
}

/* A bitmap that lost its contents makes room for a new one. */
static void have_bitmap(BlockBackend *image, Shared *sh)
{
    BlockNode *node = block_backend_node(image);
    BlockDirtyBitmap *bitmap;

    block_graph_lock();
    bitmap = block_dirty_bitmap_find(node, "b");
    if (bitmap && block_dirty_bitmap_inconsistent(bitmap)) {
        if (!block_dirty_bitmap_remove_stored(node, "b", NULL)) {
            fprintf(messages, "cannot remove the bitmap\n");
            _exit(2);
        }
        block_dirty_bitmap_release(bitmap);
        bitmap = NULL;
    }
    if (!bitmap) {
        memset(sh->touched, 0, sizeof(sh->touched));
        bitmap = block_dirty_bitmap_new(node, "b", GRANULE, NULL);
        block_dirty_bitmap_set_persistent(bitmap, true);
    }
    block_graph_unlock();
}

static void child(const char *path, Shared *sh, uint32_t seed, bool at_flush)
{
    GRand *rand = g_rand_new_with_seed(seed);
    BlockBackend *image =
        open_image(path, BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP, at_flush);

    have_bitmap(image, sh);
    __atomic_store_n(&sh->started, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        write_one(image, sh, rand);
        if (g_rand_int_range(rand, 0, 12) == 0) {
            uint32_t *snapshot = g_memdup(sh->done, sizeof(sh->done));

            int ret = block_backend_flush(image);

            if (ret < 0) {
                fprintf(messages, "flush failed: %s\n", strerror(-ret));
                _exit(2);
            }
            memcpy(sh->flushed, snapshot, sizeof(sh->flushed));
            sh->flushes++;
            g_free(snapshot);
        }
    }
}

/* ---- The parent ------------------------------------------------------------ */

static bool is_zero(const uint32_t *buf)
{
    for (unsigned i = 0; i < SECTOR / 4; i++) {
        if (buf[i]) {
            return false;
        }
    }
    return true;
}

/* The version a sector holds; 0 never written; -1 garbage. */
static int64_t version_of(const Shared *sh, uint32_t b, const uint32_t *buf)
{
    if (is_zero(buf)) {
        uint32_t v = sh->begun[b];

        /* The newest version that reads as zeroes is the kindest guess. */
        while (v > sh->flushed[b] && !(sh->zero_bits[b] >> v & 1)) {
            v--;
        }
        return sh->zero_bits[b] >> v & 1 ? v : v == 0 ? 0 : -1;
    }
    for (unsigned i = 0; i < SECTOR / 4; i += 2) {
        if (buf[i] != b || buf[i + 1] != buf[1]) {
            return -1;
        }
    }
    return buf[1];
}

/* The oldest version in a block, which only a write under way may have left
 * with several; -1: what it holds cannot be. */
static int64_t oldest_version(const Shared *sh, uint32_t b,
                              const uint32_t *buf)
{
    int64_t oldest = version_of(sh, b, buf);

    for (unsigned i = 1; i < BLOCK / SECTOR; i++) {
        int64_t v = version_of(sh, b, buf + i * (SECTOR / 4));

        if (v > (int64_t)sh->begun[b] ||
            (v != oldest && sh->begun[b] == sh->done[b])) {
            return -1;
        }
        oldest = MIN(oldest, v);
    }
    return oldest;
}

static int compare_blocks(BlockBackend *image, Shared *sh)
{
    static uint32_t buf[BLOCK / 4];
    int bad = 0;

    for (uint32_t b = 0; b < BLOCKS; b++) {
        int64_t v;

        if (block_backend_pread(image, (uint64_t)b * BLOCK, BLOCK, buf, 0)) {
            fprintf(messages, "block %u: read error\n", b);
            return 1;
        }
        v = oldest_version(sh, b, buf);
        if (v < (int64_t)sh->flushed[b] || v > (int64_t)sh->begun[b]) {
            fprintf(messages, "block %u: version %" PRId64 ", flushed %u, "
                    "begun %u\n", b, v, sh->flushed[b], sh->begun[b]);
            bad++;
        }
        /* What is there now is the truth for the next round. */
        sh->flushed[b] = sh->done[b] = v < 0 ? 0 : v;
    }
    return bad;
}

/* Of the rounds with bitmaps-at-flush, those after which it was valid. */
static unsigned valid_bitmaps;

/* The write that this kill met has changed the image. */
static bool has_arrived(BlockBackend *image, const Shared *sh, uint32_t b)
{
    static uint32_t buf[BLOCK / 4];
    bool arrived = false;

    if (b != sh->under_way ||
        block_backend_pread(image, (uint64_t)b * BLOCK, BLOCK, buf, 0) < 0) {
        return false;
    }
    for (unsigned i = 0; i < BLOCK / 4; i += SECTOR / 4) {
        arrived |= buf[i] == b && buf[i + 1] == sh->begun[b];
    }
    return arrived;
}

static int check_bitmap(BlockBackend *image, Shared *sh, bool at_flush)
{
    BlockDirtyBitmap *bitmap =
        block_dirty_bitmap_find(block_backend_node(image), "b");

    if (!bitmap || block_dirty_bitmap_inconsistent(bitmap)) {
        return 0;
    }
    valid_bitmaps += at_flush;
    for (uint32_t b = 0; b < BLOCKS; b++) {
        sh->touched[b] |= has_arrived(image, sh, b);
        if (sh->touched[b] &&
            !block_dirty_bitmap_get(bitmap, (uint64_t)b * BLOCK)) {
            fprintf(messages, "block %u is not in the bitmap\n", b);
            return 1;
        }
    }
    return 0;
}

static int check_image(const char *path, bool dirty_is_normal)
{
    BlockBackend *image = open_image(path, BLOCK_OPEN_CHECK, false);
    BlockNode *node = block_backend_node(image);
    BlockCheckResult r;
    GError *error = NULL;
    int bad = 0;

    if (!block_node_driver(node)->check(node, &r, 0, &error)) {
        fprintf(messages, "check failed: %s\n", error->message);
        g_clear_error(&error);
        bad = !dirty_is_normal;
    } else if ((r.corruptions && !dirty_is_normal) || r.check_errors) {
        fprintf(messages, "check found %" PRIu64 " corruptions, %" PRIu64
                " errors\n", r.corruptions, r.check_errors);
        bad = 1;
    }
    block_backend_unref(image);
    return bad;
}

static int one_round(const char *path, const Config *config, Shared *sh,
                     uint32_t seed, bool see_flush, bool at_flush)
{
    pid_t pid;
    bool lazy = !strcmp(config->name, "lazy");
    uint32_t flushes = sh->flushes;
    BlockBackend *image;
    int status, bad;

    sh->started = 0;
    sh->under_way = BLOCKS;
    pid = fork();
    if (pid == 0) {
        child(path, sh, seed, at_flush);
    }
    /* Mostly while it writes, now and then while it opens. */
    for (int i = 0; i < 5000 && seed % 8 &&
                    !__atomic_load_n(&sh->started, __ATOMIC_SEQ_CST); i++) {
        g_usleep(1000);
    }
    /* A flush may take long on a busy disk: see some of them end. */
    for (int i = 0; i < 5000 && see_flush &&
                    __atomic_load_n(&sh->flushes, __ATOMIC_SEQ_CST) ==
                        flushes; i++) {
        g_usleep(1000);
    }
    g_usleep(seed % 12000);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    if (!WIFSIGNALED(status)) {
        fprintf(messages, "the writer failed by itself\n");
        return 1;
    }
    /* Lazy refcounts are wrong on purpose until the image is opened. */
    bad = lazy ? 0 : check_image(path, false);
    image = open_image(path, BLOCK_OPEN_RDWR, at_flush);
    bad += check_bitmap(image, sh, at_flush);
    bad += compare_blocks(image, sh);
    block_backend_unref(image);
    return bad + check_image(path, false);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 40;
    uint32_t seed = argc > 2 ? strtoul(argv[2], NULL, 0) : g_random_int();
    GRand *rand = g_rand_new_with_seed(seed);
    Shared *sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int failed = 0;

    printf("seed %u\n", seed);
    fflush(stdout);
    messages = fdopen(dup(STDERR_FILENO), "w");
    if (!messages || !freopen("/dev/null", "w", stderr)) {
        return 1;
    }
    setvbuf(messages, NULL, _IONBF, 0);
    for (size_t c = 0; c < G_N_ELEMENTS(configs) && !failed; c++) {
        g_autofree char *dir = g_dir_make_tmp("qcow2-kill-XXXXXX", NULL);
        g_autofree char *path = g_build_filename(dir, "t.qcow2", NULL);
        uint32_t flushes = 0;

        memset(sh, 0, sizeof(*sh));
        create_image(path, &configs[c]);
        for (int i = 0; i < rounds && !failed; i++) {
            uint32_t s = g_rand_int(rand);

            failed = one_round(path, &configs[c], sh, s, i % 4 == 0, i % 2);
            if (failed) {
                fprintf(messages, "%s: round %d of seed %u\n", configs[c].name,
                        i, seed);
            }
        }
        flushes = sh->flushes;
        if (flushes == 0) {
            fprintf(messages, "%s: no flush was ever finished: the test tests "
                    "nothing\n", configs[c].name);
            failed = 1;
        }
        if (!failed) {
            g_unlink(path);
            g_rmdir(dir);
        } else {
            fprintf(messages, "the image is kept as %s\n", path);
        }
    }
    printf("bitmaps valid after %u kills\n", valid_bitmaps);
    if (!failed && rounds >= 20 && valid_bitmaps == 0) {
        fprintf(messages, "no bitmap survived a kill\n");
        failed = 1;
    }
    g_rand_free(rand);
    return failed != 0;
}
