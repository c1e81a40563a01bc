/* e2k-img compare, rebase, commit: images against each other. */
#include "tools/e2k-img-int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/iov.h"
#include "block/monitor-nodes.h"

#define BUFFER_SIZE (2u << 20)

/* ---- compare -------------------------------------------------------------- */

typedef struct Compare {
    BlockNode *node[2];
    const char *name[2];
    uint64_t length[2];
    uint8_t *buf[2];
    bool strict, quiet;
} Compare;

enum { CMP_SAME, CMP_DIFFER, CMP_OPEN, CMP_STATUS, CMP_READ };

static void say(const Compare *c, const char *text)
{
    if (!c->quiet) {
        printf("%s\n", text);
    }
}

static int mismatch(const Compare *c, uint64_t offset)
{
    if (!c->quiet) {
        printf("Content mismatch at offset %" PRIu64 "!\n", offset);
    }
    return CMP_DIFFER;
}

static int read_side(const Compare *c, int side, uint64_t offset, uint64_t n)
{
    int ret = block_pread(c->node[side], offset, n, c->buf[side], 0);

    if (ret < 0) {
        tool_error("Error while reading offset %" PRIu64 " of %s: %s", offset,
                   c->name[side], strerror(-ret));
        return CMP_READ;
    }
    return 0;
}

/* First differing byte of the buffers' common part, or n. */
static uint64_t first_difference(const uint8_t *a, const uint8_t *b,
                                 uint64_t n)
{
    uint64_t i = 0;

    while (i < n && memcmp(a + i, b + i, MIN(512, n - i)) == 0) {
        i += MIN(512, n - i);
    }
    while (i < n && a[i] == b[i]) {
        i++;
    }
    return i;
}

static uint64_t first_nonzero(const uint8_t *a, uint64_t n)
{
    uint64_t i = 0;

    while (i < n && a[i] == 0) {
        i++;
    }
    return i;
}

/* One side is zero there: is the other one too? */
static int check_zero(const Compare *c, int side, uint64_t offset,
                      uint64_t bytes)
{
    while (bytes) {
        uint64_t n = MIN(bytes, BUFFER_SIZE);
        int ret = read_side(c, side, offset, n);

        if (ret) {
            return ret;
        }
        if (!block_buffer_is_zero(c->buf[side], n)) {
            uint64_t at = first_nonzero(c->buf[side], n);

            return mismatch(c, offset + (at & ~511ull));
        }
        offset += n;
        bytes -= n;
    }
    return CMP_SAME;
}

static int check_both(const Compare *c, uint64_t offset, uint64_t bytes)
{
    while (bytes) {
        uint64_t n = MIN(bytes, BUFFER_SIZE);
        uint64_t at;
        int ret = read_side(c, 0, offset, n);

        ret = ret ? ret : read_side(c, 1, offset, n);
        if (ret) {
            return ret;
        }
        at = first_difference(c->buf[0], c->buf[1], n);
        if (at < n) {
            return mismatch(c, offset + (at & ~511ull));
        }
        offset += n;
        bytes -= n;
    }
    return CMP_SAME;
}

static int get_status(const Compare *c, int side, uint64_t offset,
                      uint64_t bytes, BlockStatus *status)
{
    int ret = block_status(c->node[side], offset, bytes, status);

    if (ret < 0) {
        tool_error("Sector allocation test failed for %s: %s", c->name[side],
                   strerror(-ret));
    }
    return ret;
}

static int compare_common(const Compare *c, uint64_t end)
{
    enum { MASK = BLOCK_STATUS_DATA | BLOCK_STATUS_ZERO |
                  BLOCK_STATUS_ALLOCATED };
    uint64_t at = 0;

    while (at < end) {
        BlockStatus s[2];
        uint64_t n;
        bool zero[2];
        int ret = CMP_SAME;

        if (get_status(c, 0, at, end - at, &s[0]) < 0 ||
            get_status(c, 1, at, end - at, &s[1]) < 0) {
            return CMP_STATUS;
        }
        n = MIN(s[0].bytes, s[1].bytes);
        if (c->strict && ((s[0].flags ^ s[1].flags) & MASK)) {
            if (!c->quiet) {
                printf("Strict mode: Offset %" PRIu64 " block status "
                       "mismatch!\n", at);
            }
            return CMP_DIFFER;
        }
        for (int i = 0; i < 2; i++) {
            zero[i] = s[i].flags & BLOCK_STATUS_ZERO;
        }
        if (!zero[0] || !zero[1]) {
            ret = zero[0]   ? check_zero(c, 1, at, n)
                  : zero[1] ? check_zero(c, 0, at, n)
                            : check_both(c, at, n);
        }
        if (ret) {
            return ret;
        }
        at += n;
        tool_progress_add(n);
    }
    return CMP_SAME;
}

/* What the longer image has beyond the shorter one. */
static int compare_rest(const Compare *c, int side, uint64_t at)
{
    while (at < c->length[side]) {
        BlockStatus s;
        int ret = CMP_SAME;

        if (get_status(c, side, at, c->length[side] - at, &s) < 0) {
            return CMP_STATUS;
        }
        if (!(s.flags & BLOCK_STATUS_ZERO)) {
            ret = check_zero(c, side, at, s.bytes);
        }
        if (ret) {
            return ret;
        }
        at += s.bytes;
        tool_progress_add(s.bytes);
    }
    return CMP_SAME;
}

static int run_compare(Compare *c)
{
    uint64_t common = MIN(c->length[0], c->length[1]);
    int longer = c->length[1] > c->length[0];
    int ret;

    if (c->strict && c->length[0] != c->length[1]) {
        say(c, "Strict mode: Image size mismatch!");
        return CMP_DIFFER;
    }
    ret = compare_common(c, common);
    if (ret == CMP_SAME && c->length[0] != c->length[1]) {
        say(c, "Warning: Image size mismatch!");
        ret = compare_rest(c, longer, common);
    }
    if (ret == CMP_SAME) {
        say(c, "Images are identical.");
    }
    return ret;
}

int img_compare(int argc, char **argv)
{
    static const struct option longs[] = {
        IMG_LONG_COMMON,
        { "force-share", no_argument, NULL, 'U' },
        { 0 },
    };
    ImgCommon common = { 0 };
    const char *cache = "writeback", *format2 = NULL;
    g_autoptr(BlockBackend) a = NULL;
    g_autoptr(BlockBackend) b = NULL;
    ToolImage image2;
    Compare c = { 0 };
    int opt, ret;

    while ((opt = img_getopt(argc, argv, ":hf:F:T:pqsU", longs)) != -1) {
        if (opt == 'F') {
            format2 = optarg;
        } else if (opt == 'T') {
            cache = optarg;
        } else if (opt == 's') {
            c.strict = true;
        } else {
            img_common_option(&common, opt, "compare");
        }
    }
    if (optind != argc - 2) {
        tool_error("Expecting two image file names");
        fprintf(stderr, "Try '%s --help' for more information\n",
                tool_name());
        return CMP_OPEN;
    }
    if (!tool_cache_flags(cache, &common.image.flags)) {
        tool_error("Invalid source cache option: %s", cache);
        return CMP_OPEN;
    }
    image2 = common.image;
    image2.format = format2;
    a = img_check_common(&common) ? tool_open(argv[optind], &common.image)
                                  : NULL;
    b = a ? tool_open(argv[optind + 1], &image2) : NULL;
    if (!b) {
        return CMP_OPEN;
    }
    c.quiet = common.quiet;
    c.node[0] = img_node(a);
    c.node[1] = img_node(b);
    for (int i = 0; i < 2; i++) {
        int64_t length = block_length(c.node[i]);

        c.name[i] = argv[optind + i];
        if (length < 0) {
            tool_error("Can't get size of %s: %s", c.name[i],
                       strerror(-length));
            return CMP_READ;
        }
        c.length[i] = length;
        c.buf[i] = g_malloc(BUFFER_SIZE);
    }
    tool_progress_start(common.progress, MAX(c.length[0], c.length[1]));
    ret = run_compare(&c);
    tool_progress_end();
    g_free(c.buf[0]);
    g_free(c.buf[1]);
    return ret;
}

/* ---- rebase --------------------------------------------------------------- */

/* Copies into top what the old backing showed and the new one does not. */
static int keep_differences(BlockNode *top, BlockNode *fresh, uint64_t length)
{
    BlockNode *old = block_node_backing(top);
    g_autofree uint8_t *a = g_malloc(BUFFER_SIZE);
    g_autofree uint8_t *b = g_malloc(BUFFER_SIZE);
    uint64_t step = MAX(block_node_limits(top)->cluster_size, 512);
    uint64_t at = 0;

    while (at < length) {
        uint64_t n;
        int ret = block_is_allocated_above(top, old, at, length - at, &n);

        if (ret < 0) {
            tool_error("error while reading image metadata: %s",
                       strerror(-ret));
            return ret;
        }
        if (ret) {
            at += n;
            tool_progress_add(n);
            continue;
        }
        n = MIN(n, BUFFER_SIZE);
        memset(a, 0, n);
        memset(b, 0, n);
        ret = old ? block_pread(old, at, n, a, 0) : 0;
        if (ret < 0) {
            tool_error("error while reading from old backing file");
            return ret;
        }
        ret = fresh ? block_pread(fresh, at, n, b, 0) : 0;
        if (ret < 0) {
            tool_error("error while reading from new backing file");
            return ret;
        }
        for (uint64_t k = 0; k < n; k += MIN(step, n - k)) {
            uint64_t len = MIN(step, n - k);

            if (memcmp(a + k, b + k, len) == 0) {
                continue;
            }
            ret = block_buffer_is_zero(a + k, len)
                      ? block_pwrite_zeroes(top, at + k, len, 0)
                      : block_pwrite(top, at + k, len, a + k, 0);
            if (ret < 0) {
                tool_error("Error while writing to COW image: %s",
                           strerror(-ret));
                return ret;
            }
        }
        at += n;
        tool_progress_add(n);
    }
    return 0;
}

typedef struct Rebase {
    const char *backing, *format;
    bool unsafe;
    ImgCommon common;
    unsigned source_flags;
} Rebase;

static int run_rebase(const Rebase *r, BlockBackend *image)
{
    BlockNode *top = img_node(image);
    g_autoptr(BlockBackend) fresh = NULL;
    GError *error = NULL;
    bool none = !*r->backing;

    if (r->format && !block_driver_find(r->format)) {
        tool_error("Invalid format name: '%s'", r->format);
        return 1;
    }
    if (!r->unsafe && !none) {
        g_autofree char *path =
            img_backing_path(block_node_filename(top), r->backing);
        GError *local = NULL;
        ToolImage source = { .format = r->format, .flags = r->source_flags };

        fresh = block_backend_open(path, source.format, NULL, source.flags,
                                   &local);
        if (!fresh) {
            tool_report(local, "Could not open new backing file '%s': ",
                        path);
            return 1;
        }
    }
    if (!r->unsafe) {
        int64_t length = block_length(top);
        int ret;

        tool_progress_start(r->common.progress, MAX(length, 0));
        ret = length < 0 ? length
                         : keep_differences(top,
                                            fresh ? img_node(fresh) : NULL,
                                            length);
        if (ret < 0) {
            return 1;
        }
        tool_progress_end();
    }
    if (!none && !r->format) {
        tool_error("Could not change the backing file to '%s': backing "
                   "format must be specified", r->backing);
        return 1;
    }
    if (!block_node_change_backing_file(top, none ? NULL : r->backing,
                                        none ? NULL : r->format, &error)) {
        tool_report(error, "Could not change the backing file to '%s': ",
                    r->backing);
        return 1;
    }
    return 0;
}

int img_rebase(int argc, char **argv)
{
    static const struct option longs[] = {
        IMG_LONG_COMMON,
        { "force-share", no_argument, NULL, 'U' },
        { 0 },
    };
    Rebase r = { .common.image.flags = BLOCK_OPEN_RDWR };
    const char *cache = "writeback", *source_cache = "writeback";
    g_autoptr(BlockBackend) image = NULL;
    int opt;

    while ((opt = img_getopt(argc, argv, ":hf:F:b:upt:T:qU", longs)) != -1) {
        if (opt == 'F') {
            r.format = optarg;
        } else if (opt == 'b') {
            r.backing = optarg;
        } else if (opt == 'u') {
            r.unsafe = true;
        } else if (opt == 't') {
            cache = optarg;
        } else if (opt == 'T') {
            source_cache = optarg;
        } else {
            img_common_option(&r.common, opt, "rebase");
        }
    }
    if (optind != argc - 1) {
        tool_usage_error("Expecting one image file name");
    }
    if (!r.unsafe && !r.backing) {
        tool_usage_error("Use backing file (-b) option or unsafe mode (-u)");
    }
    r.backing = r.backing ? r.backing : "";
    if (!tool_cache_flags(cache, &r.common.image.flags) ||
        !tool_cache_flags(source_cache, &r.source_flags)) {
        tool_error("Invalid cache option: %s", cache);
        return 1;
    }
    if (r.unsafe) {
        r.common.image.flags |= BLOCK_OPEN_NO_BACKING;
    }
    image = img_check_common(&r.common)
                ? tool_open(argv[optind], &r.common.image) : NULL;
    return image ? run_rebase(&r, image) : 1;
}

/* ---- commit --------------------------------------------------------------- */

static BlockNode *find_base(BlockNode *top, const char *name)
{
    return name ? block_chain_find_image(top, name)
                : block_node_backing(block_node_skip_filters(top));
}

/* Tells how far it is, and waits to be no faster than the rate. */
typedef struct CommitPace {
    uint64_t rate; /* bytes per second, 0: any */
    uint64_t told;
    gint64 start;
} CommitPace;

static bool pace_commit(void *opaque, uint64_t done, uint64_t total)
{
    CommitPace *p = opaque;

    tool_progress_add(done - p->told);
    p->told = done;
    if (p->rate) {
        gint64 due = p->start + (gint64)((double)done * 1e6 / p->rate) -
                     g_get_monotonic_time();

        g_usleep(due > 0 ? due : 0);
    }
    return false;
}

static bool run_commit(BlockNode *top, BlockNode *base, bool drop,
                       uint64_t rate, bool progress, GError **error)
{
    CommitPace pace = { .rate = rate, .start = g_get_monotonic_time() };
    bool ok;

    tool_progress_start(progress, MAX(block_length(top), 0));
    ok = block_commit_now(top, base, drop, pace_commit, &pace, error);
    tool_progress_end();
    return ok;
}

int img_commit(int argc, char **argv)
{
    static const struct option longs[] = { IMG_LONG_COMMON, { 0 } };
    ImgCommon c = { .image.flags = BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP };
    const char *cache = "writeback", *base_name = NULL;
    g_autoptr(BlockBackend) image = NULL;
    GError *error = NULL;
    uint64_t rate = 0;
    bool drop = false;
    BlockNode *base;
    int opt;

    while ((opt = img_getopt(argc, argv, ":f:ht:b:dpqr:", longs)) != -1) {
        if (opt == 't') {
            cache = optarg;
        } else if (opt == 'b') {
            base_name = optarg;
            drop = true;
        } else if (opt == 'd') {
            drop = true;
        } else if (opt == 'r') {
            if (!tool_parse_size(optarg, &rate)) {
                return 1;
            }
        } else {
            img_common_option(&c, opt, "commit");
        }
    }
    if (optind != argc - 1) {
        tool_usage_error("Expecting one image file name");
    }
    if (!tool_cache_flags(cache, &c.image.flags)) {
        tool_error("Invalid cache option: %s", cache);
        return 1;
    }
    image = img_check_common(&c) ? tool_open(argv[optind], &c.image) : NULL;
    if (!image) {
        return 1;
    }
    base = find_base(img_node(image), base_name);
    if (!base) {
        if (base_name) {
            tool_error("Did not find '%s' in the backing chain of '%s'",
                       base_name, argv[optind]);
        } else {
            tool_error("Image does not have a backing file");
        }
        return 1;
    }
    if (!run_commit(img_node(image), base, drop, rate, c.progress, &error)) {
        tool_report(error, NULL);
        return 1;
    }
    if (!c.quiet) {
        printf("Image committed.\n");
    }
    return 0;
}
