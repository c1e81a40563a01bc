/* e2k-img bench: a simple load of requests of one kind. */
#include "tools/e2k-img-int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 64

typedef struct Bench {
    BlockNode *node;
    uint64_t count, offset, size, step, length;
    uint64_t flush_interval;
    bool write;
    int pattern;
    uint64_t next;   /* atomic: number of the next request */
    int error;       /* atomic */
} Bench;

static gpointer bench_worker(gpointer opaque)
{
    Bench *b = opaque;
    g_autofree uint8_t *buf = g_malloc(b->size);

    memset(buf, b->pattern, b->size);
    for (;;) {
        uint64_t n = __atomic_fetch_add(&b->next, 1, __ATOMIC_RELAXED);
        uint64_t span = b->length - b->size + 1;
        uint64_t at;
        int ret;

        if (n >= b->count || __atomic_load_n(&b->error, __ATOMIC_RELAXED)) {
            return NULL;
        }
        at = b->offset + n * b->step;
        if (at + b->size > b->length) {
            at %= span;
        }
        ret = b->write ? block_pwrite(b->node, at, b->size, buf, 0)
                       : block_pread(b->node, at, b->size, buf, 0);
        if (ret == 0 && b->flush_interval &&
            (n + 1) % b->flush_interval == 0) {
            ret = block_flush(b->node);
        }
        if (ret < 0) {
            __atomic_store_n(&b->error, ret, __ATOMIC_RELAXED);
        }
    }
}

static int run_bench(Bench *b, int depth)
{
    GThread *threads[MAX_THREADS];
    gint64 start = g_get_monotonic_time();
    int n = CLAMP(depth, 1, MAX_THREADS);

    for (int i = 0; i < n; i++) {
        threads[i] = g_thread_new("bench", bench_worker, b);
    }
    for (int i = 0; i < n; i++) {
        g_thread_join(threads[i]);
    }
    if (b->error) {
        tool_error("Failed request: %s", strerror(-b->error));
        return 1;
    }
    printf("Run completed in %3.3f seconds.\n",
           (g_get_monotonic_time() - start) / 1e6);
    return 0;
}

static bool parse_count(const char *text, const char *what, uint64_t min,
                        uint64_t max, uint64_t *value)
{
    char *end;

    *value = g_ascii_strtoull(text, &end, 0);
    if (end == text || *end || *value < min || *value > max) {
        tool_error("Invalid %s specified", what);
        return false;
    }
    return true;
}

int img_bench(int argc, char **argv)
{
    static const struct option longs[] = {
        IMG_LONG_COMMON,
        { "flush-interval", required_argument, NULL, OPT_FLUSH_INTERVAL },
        { "pattern", required_argument, NULL, OPT_PATTERN },
        { "no-drain", no_argument, NULL, OPT_NO_DRAIN },
        { "force-share", no_argument, NULL, 'U' },
        { 0 },
    };
    ImgCommon c = { 0 };
    Bench b = { .count = 75000, .size = 4096 };
    const char *cache = "writeback";
    g_autoptr(BlockBackend) image = NULL;
    uint64_t depth = 64, pattern = 0;
    bool ok = true, no_drain = false;
    int64_t length;
    int opt, ret;

    while (ok && (opt = img_getopt(argc, argv, ":hc:d:f:ni:o:qs:S:t:wU",
                                   longs)) != -1) {
        switch (opt) {
        case 'c':
            ok = parse_count(optarg, "request count", 1, INT32_MAX, &b.count);
            break;
        case 'd':
            ok = parse_count(optarg, "queue depth", 1, INT32_MAX, &depth);
            break;
        case 'n':
            block_aio_flags("native", &c.image.flags);
            break;
        case 'i':
            ok = block_aio_flags(optarg, &c.image.flags);
            if (!ok) {
                tool_error("Invalid aio option: %s", optarg);
            }
            break;
        case 'o':
            ok = tool_parse_size(optarg, &b.offset);
            break;
        case 's':
            ok = tool_parse_size(optarg, &b.size);
            break;
        case 'S':
            ok = tool_parse_size(optarg, &b.step);
            break;
        case 't':
            cache = optarg;
            break;
        case 'w':
            b.write = true;
            c.image.flags |= BLOCK_OPEN_RDWR;
            break;
        case OPT_PATTERN:
            ok = parse_count(optarg, "pattern byte", 0, 255, &pattern);
            break;
        case OPT_FLUSH_INTERVAL:
            ok = parse_count(optarg, "flush interval", 1, INT32_MAX,
                             &b.flush_interval);
            break;
        case OPT_NO_DRAIN:
            no_drain = true;
            break;
        default:
            img_common_option(&c, opt, "bench");
            break;
        }
    }
    if (!ok) {
        return 1;
    }
    if (optind != argc - 1) {
        tool_usage_error("Expecting one image file name");
    }
    if ((b.flush_interval || no_drain) && !b.write) {
        tool_error("--%s is only available in write tests",
                   b.flush_interval ? "flush-interval" : "no-drain");
        return 1;
    }
    if (!tool_cache_flags(cache, &c.image.flags)) {
        tool_error("Invalid cache mode");
        return 1;
    }
    image = img_check_common(&c) ? tool_open(argv[optind], &c.image) : NULL;
    length = image ? block_backend_length(image) : -1;
    if (length < 0) {
        return 1;
    }
    if (b.size == 0 || b.size > (uint64_t)length || b.size > INT32_MAX) {
        tool_error("Invalid buffer size specified");
        return 1;
    }
    b.length = length;
    b.step = b.step ? b.step : b.size;
    b.pattern = pattern;
    if (!c.quiet) {
        printf("Sending %" PRIu64 " %s requests, %" PRIu64 " bytes each, %"
               PRIu64 " in parallel (starting at offset %" PRIu64 ", step "
               "size %" PRIu64 ")\n", b.count, b.write ? "write" : "read",
               b.size, depth, b.offset, b.step);
        if (b.flush_interval) {
            printf("Sending flush every %" PRIu64 " requests\n",
                   b.flush_interval);
        }
    }
    b.node = block_backend_enter(image);
    ret = run_bench(&b, MIN(depth, MAX_THREADS));
    block_backend_leave(image);
    return ret;
}
