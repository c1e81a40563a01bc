/*
 * e2k-img convert and dd: copying images.
 *
 * Worker threads share one cursor.  A worker takes the next piece under the
 * lock (asking the source for its status when the known extent is used up),
 * reads it without the lock, waits for its turn unless -W allows any order,
 * and writes what is not zero.
 */
#include "tools/e2k-img-int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/dirty-bitmap.h"
#include "block/iov.h"

#define BUFFER_SIZE (2u << 20)
#define MAX_PIECE (UINT64_C(1) << 30)
#define MAX_WORKERS 16
#define MAX_SPARSE (UINT64_C(16) << 20)

typedef enum PieceKind { PIECE_DATA, PIECE_ZERO, PIECE_BACKING } PieceKind;

typedef struct Piece {
    PieceKind kind;
    uint64_t offset, bytes;
} Piece;

typedef struct Convert {
    /* Set up once. */
    BlockBackend **sources;
    uint64_t *starts; /* of each source in the output; [n] is the end */
    int n_sources;
    BlockNode *target;
    uint64_t total;
    uint64_t sparse;      /* -S */
    uint64_t cluster;     /* of a compressed target, else 0 */
    uint64_t rate;        /* bytes per second, 0: any */
    bool zero_init;       /* the target reads as zeroes */
    bool has_backing;     /* of the target */
    bool compress, out_of_order, salvage, quiet;

    GMutex lock;
    GCond turn;
    /* Under the lock. */
    uint64_t next;        /* where the next piece begins */
    uint64_t extent_end;  /* of the extent at `next` */
    PieceKind extent_kind;
    uint64_t written;     /* all before it is written (in order) */
    gint64 started_us;
    int error;
} Convert;

/* ---- Reading -------------------------------------------------------------- */

static int source_at(const Convert *c, uint64_t offset)
{
    int i = 0;

    while (i + 1 < c->n_sources && offset >= c->starts[i + 1]) {
        i++;
    }
    return i;
}

/* Fills the part of the target's piece from whatever sources it spans. */
static int read_piece(Convert *c, const Piece *p, uint8_t *buf)
{
    uint64_t at = p->offset;
    uint64_t end = p->offset + p->bytes;

    while (at < end) {
        int i = source_at(c, at);
        uint64_t n = MIN(end, c->starts[i + 1]) - at;
        int ret = block_backend_pread(c->sources[i], at - c->starts[i], n,
                                      buf, 0);

        if (ret < 0 && c->salvage) {
            /* In sectors: lose as little as possible. */
            for (uint64_t k = 0; k < n; k += 512) {
                uint64_t len = MIN(512, n - k);

                if (block_backend_pread(c->sources[i], at - c->starts[i] + k,
                                        len, buf + k, 0) < 0) {
                    if (!c->quiet) {
                        tool_warning("error while reading offset %" PRIu64
                                     ": %s", at + k, strerror(-ret));
                    }
                    memset(buf + k, 0, len);
                }
            }
        } else if (ret < 0) {
            tool_error("error while reading at byte %" PRIu64 ": %s", at,
                       strerror(-ret));
            return ret;
        }
        at += n;
        buf += n;
    }
    return 0;
}

/* What the source has at c->next.  Lock. */
static int next_extent(Convert *c)
{
    int i = source_at(c, c->next);
    BlockNode *node = img_node(c->sources[i]);
    BlockNode *base =
        c->has_backing ? block_node_backing(block_node_skip_filters(node))
                       : NULL;
    BlockStatus status;
    uint64_t left = c->starts[i + 1] - c->next;
    int ret = block_status_above(node, base, c->next - c->starts[i], left,
                                 &status);

    if (ret < 0 && c->salvage) {
        status.flags = BLOCK_STATUS_DATA;
        status.bytes = MIN(left, BUFFER_SIZE);
    } else if (ret < 0) {
        tool_error("error while reading block status at offset %" PRIu64
                   ": %s", c->next, strerror(-ret));
        return ret;
    }
    c->extent_end = c->next + status.bytes;
    if (status.flags & BLOCK_STATUS_ZERO) {
        c->extent_kind = PIECE_ZERO;
    } else if (c->has_backing && !(status.flags & BLOCK_STATUS_ALLOCATED)) {
        c->extent_kind = PIECE_BACKING;
    } else {
        c->extent_kind = status.flags & BLOCK_STATUS_DATA ? PIECE_DATA
                                                          : PIECE_ZERO;
    }
    if (c->extent_kind == PIECE_ZERO && c->sparse == 0 && !c->has_backing) {
        c->extent_kind = PIECE_DATA; /* -S 0: holes are written out */
    }
    return 0;
}

/* A compressed target takes whole clusters: what touches data is data. */
static void align_piece(Convert *c, Piece *p)
{
    uint64_t end = p->offset + p->bytes;
    uint64_t down = end / c->cluster * c->cluster;

    if (end == c->total) {
        return;
    }
    if (down > p->offset) {
        p->bytes = down - p->offset;
    } else {
        p->kind = PIECE_DATA;
        p->bytes = MIN(c->cluster, c->total - p->offset);
    }
}

/* False: nothing left (or a failure elsewhere). */
static bool take_piece(Convert *c, Piece *p)
{
    bool got = false;

    g_mutex_lock(&c->lock);
    if (c->next < c->total && c->error == 0) {
        int ret = c->next >= c->extent_end ? next_extent(c) : 0;

        if (ret < 0) {
            c->error = ret;
            g_cond_broadcast(&c->turn);
        } else {
            p->kind = c->extent_kind;
            p->offset = c->next;
            p->bytes = MIN(c->extent_end - c->next, MAX_PIECE);
            if (p->kind == PIECE_DATA) {
                /* Pieces end at multiples, so that clusters stay whole. */
                p->bytes = MIN(p->bytes,
                               BUFFER_SIZE - p->offset % BUFFER_SIZE);
            }
            if (c->cluster) {
                align_piece(c, p);
            }
            c->next += p->bytes;
            got = true;
        }
    }
    g_mutex_unlock(&c->lock);
    return got;
}

/* ---- Writing -------------------------------------------------------------- */

static int write_zeroes(Convert *c, uint64_t offset, uint64_t bytes)
{
    if (c->zero_init && !c->has_backing) {
        return 0;
    }
    return block_pwrite_zeroes(c->target, offset, bytes,
                               c->has_backing ? 0 : BLOCK_REQ_MAY_UNMAP);
}

/* Length of the run of all-zero or of other blocks at the start of buf. */
static uint64_t run_length(const uint8_t *buf, uint64_t offset,
                           uint64_t bytes, uint64_t block, bool *zero)
{
    uint64_t n = MIN(block - offset % block, bytes);

    *zero = block_buffer_is_zero(buf, n);
    while (n < bytes) {
        uint64_t len = MIN(block, bytes - n);

        if (block_buffer_is_zero(buf + n, len) != *zero) {
            break;
        }
        n += len;
    }
    return n;
}

static int write_data(Convert *c, const Piece *p, const uint8_t *buf)
{
    unsigned flags = c->compress ? BLOCK_REQ_COMPRESSED : 0;
    uint64_t block = c->cluster ? c->cluster : c->sparse;
    uint64_t done = 0;
    int ret = 0;

    while (done < p->bytes && ret == 0) {
        uint64_t n = p->bytes - done;
        bool zero = false;

        if (c->sparse) {
            n = run_length(buf + done, p->offset + done, n, block, &zero);
        }
        ret = zero ? write_zeroes(c, p->offset + done, n)
                   : block_pwrite(c->target, p->offset + done, n, buf + done,
                                  flags);
        done += n;
    }
    return ret;
}

static void limit_rate(Convert *c, uint64_t done)
{
    gint64 due;

    if (!c->rate) {
        return;
    }
    due = c->started_us + (gint64)((double)done * 1e6 / c->rate);
    due -= g_get_monotonic_time();
    if (due > 0) {
        g_usleep(due);
    }
}

static int write_piece(Convert *c, const Piece *p, const uint8_t *buf)
{
    int ret = 0;

    if (!c->out_of_order) {
        g_mutex_lock(&c->lock);
        while (c->written != p->offset && c->error == 0) {
            g_cond_wait(&c->turn, &c->lock);
        }
        ret = c->error;
        g_mutex_unlock(&c->lock);
        if (ret < 0) {
            return ret;
        }
    }
    if (p->kind == PIECE_DATA) {
        ret = write_data(c, p, buf);
    } else if (p->kind == PIECE_ZERO) {
        ret = write_zeroes(c, p->offset, p->bytes);
    }
    if (ret < 0) {
        tool_error("error while writing at byte %" PRIu64 ": %s", p->offset,
                   strerror(-ret));
    }
    return ret;
}

static gpointer worker(gpointer opaque)
{
    Convert *c = opaque;
    uint8_t *buf = NULL;
    Piece p;

    if (posix_memalign((void **)&buf, 4096,
                       MAX(BUFFER_SIZE, c->cluster)) != 0) {
        buf = NULL;
    }
    while (take_piece(c, &p)) {
        int ret = buf ? 0 : -ENOMEM;

        if (ret == 0 && p.kind == PIECE_DATA) {
            ret = read_piece(c, &p, buf);
        }
        if (ret == 0) {
            limit_rate(c, p.offset);
            ret = write_piece(c, &p, buf);
        }
        g_mutex_lock(&c->lock);
        if (ret < 0 && c->error == 0) {
            c->error = ret;
        }
        c->written = p.offset + p.bytes;
        g_cond_broadcast(&c->turn);
        g_mutex_unlock(&c->lock);
        if (p.kind == PIECE_DATA) {
            tool_progress_add(p.bytes);
        }
    }
    free(buf);
    return NULL;
}

/* How much there is to copy: progress in terms of it says when we are done. */
static uint64_t data_bytes(Convert *c)
{
    uint64_t sum = 0;

    while (c->next < c->total && next_extent(c) == 0) {
        uint64_t end = MIN(c->extent_end, c->total);

        sum += c->extent_kind == PIECE_DATA ? end - c->next : 0;
        c->next = end;
    }
    c->next = c->extent_end = 0;
    return sum;
}

static int run_convert(Convert *c, int workers)
{
    GThread *threads[MAX_WORKERS];
    int n = MIN((uint64_t)workers, c->total / BUFFER_SIZE + 1);

    g_mutex_init(&c->lock);
    g_cond_init(&c->turn);
    c->started_us = g_get_monotonic_time();
    for (int i = 1; i < n; i++) {
        threads[i] = g_thread_new("convert", worker, c);
    }
    worker(c);
    for (int i = 1; i < n; i++) {
        g_thread_join(threads[i]);
    }
    g_mutex_clear(&c->lock);
    g_cond_clear(&c->turn);
    return c->error;
}

/* ---- Bitmaps -------------------------------------------------------------- */

static bool copy_bitmap(BlockDirtyBitmap *from, BlockNode *target)
{
    const char *name = block_dirty_bitmap_name(from);
    uint32_t granularity = block_dirty_bitmap_granularity(from);
    GError *error = NULL;
    BlockDirtyBitmap *to =
        block_dirty_bitmap_can_store(target, name, granularity, &error)
            ? block_dirty_bitmap_new(target, name, granularity, &error)
            : NULL;

    if (to) {
        block_dirty_bitmap_set_persistent(to, true);
        if (!block_dirty_bitmap_recording(from)) {
            block_dirty_bitmap_disable(to);
        }
    }
    if (!to || !block_dirty_bitmap_merge(to, from, NULL, &error)) {
        tool_report(error, "Failed to populate bitmap %s: ", name);
        return false;
    }
    return true;
}

static bool copy_bitmaps(BlockNode *source, BlockNode *target, bool skip)
{
    BlockDirtyBitmap *bitmap = NULL;

    while ((bitmap = block_dirty_bitmap_next(source, bitmap))) {
        if (!block_dirty_bitmap_persistent(bitmap)) {
            continue;
        }
        if (block_dirty_bitmap_inconsistent(bitmap)) {
            tool_warning("Skipping inconsistent bitmap '%s'",
                         block_dirty_bitmap_name(bitmap));
            continue;
        }
        if (!copy_bitmap(bitmap, target)) {
            return false;
        }
    }
    return true;
}

static bool check_bitmaps(BlockNode *source, bool skip)
{
    BlockDirtyBitmap *bitmap = NULL;

    if (!block_node_driver(source)->bitmap_can_store) {
        tool_error("Format lacks bitmap support");
        return false;
    }
    while (!skip && (bitmap = block_dirty_bitmap_next(source, bitmap))) {
        if (block_dirty_bitmap_inconsistent(bitmap)) {
            tool_error("Cannot copy inconsistent bitmap '%s'",
                       block_dirty_bitmap_name(bitmap));
            fprintf(stderr, "Try --skip-broken-bitmaps, or use '%s bitmap "
                    "--remove'\n", tool_name());
            return false;
        }
    }
    return true;
}

/* ---- convert -------------------------------------------------------------- */

typedef struct ConvertArgs {
    ImgCommon common;
    const char *format, *cache, *source_cache, *snapshot;
    const char *backing, *backing_format;
    json_t *options;
    bool options_given, no_create, target_image_opts, target_is_zero;
    bool bitmaps, skip_broken, copy_range;
    int64_t workers;
    bool has_sparse;
    bool help;
} ConvertArgs;

static const struct option convert_longs[] = {
    IMG_LONG_COMMON,
    { "target-image-opts", no_argument, NULL, OPT_TARGET_IMAGE_OPTS },
    { "source-image-opts", no_argument, NULL, OPT_IMAGE_OPTS },
    { "source-format", required_argument, NULL, 'f' },
    { "target-format", required_argument, NULL, 'O' },
    { "force-share", no_argument, NULL, 'U' },
    { "salvage", no_argument, NULL, OPT_SALVAGE },
    { "target-is-zero", no_argument, NULL, OPT_TARGET_IS_ZERO },
    { "bitmaps", no_argument, NULL, OPT_BITMAPS },
    { "skip-broken-bitmaps", no_argument, NULL, OPT_SKIP_BROKEN },
    { 0 },
};

static bool parse_sparse(Convert *c, const char *text)
{
    uint64_t value;

    if (!tool_parse_size(text, &value) || value % 512 ||
        value > MAX_SPARSE) {
        tool_error("Invalid buffer size for sparse output specified. Valid "
                   "sizes are multiples of 512 up to %" PRIu64 ". Select 0 "
                   "to disable sparse detection (fully allocates output).",
                   MAX_SPARSE);
        return false;
    }
    c->sparse = value;
    return true;
}

static bool convert_option(ConvertArgs *a, Convert *c, int opt)
{
    uint64_t rate;
    int ret;

    switch (opt) {
    case 'O':
        a->format = optarg;
        return true;
    case 'B':
        a->backing = optarg;
        return true;
    case 'F':
        a->backing_format = optarg;
        return true;
    case 'C':
        a->copy_range = true;
        return true;
    case 'c':
        c->compress = true;
        return true;
    case 'l':
        a->snapshot = optarg;
        return true;
    case 'm':
        a->workers = g_ascii_strtoll(optarg, NULL, 10);
        if (a->workers < 1 || a->workers > MAX_WORKERS) {
            tool_error("Invalid number of coroutines. Allowed number of "
                       "coroutines is between 1 and %d", MAX_WORKERS);
            return false;
        }
        return true;
    case 'n':
        a->no_create = true;
        return true;
    case 'o':
        ret = img_add_options(&a->options, optarg);
        a->help |= ret > 0;
        a->options_given = true;
        return ret >= 0;
    case 'r':
        if (!tool_parse_size(optarg, &rate)) {
            return false;
        }
        c->rate = rate;
        return true;
    case 'S':
        a->has_sparse = true;
        return parse_sparse(c, optarg);
    case 't':
        a->cache = optarg;
        return true;
    case 'T':
        a->source_cache = optarg;
        return true;
    case 'W':
        c->out_of_order = true;
        return true;
    case OPT_SALVAGE:
        c->salvage = true;
        return true;
    case OPT_TARGET_IMAGE_OPTS:
        a->target_image_opts = true;
        return true;
    case OPT_TARGET_IS_ZERO:
        a->target_is_zero = true;
        return true;
    case OPT_BITMAPS:
        a->bitmaps = true;
        return true;
    case OPT_SKIP_BROKEN:
        a->skip_broken = true;
        return true;
    default:
        return img_common_option(&a->common, opt, "convert");
    }
}

/* Combinations that make no sense. */
static bool check_args(const ConvertArgs *a, const Convert *c, int files)
{
    const char *why = NULL;

    if (a->skip_broken && !a->bitmaps) {
        why = "Use of --skip-broken-bitmaps requires --bitmaps";
    } else if (a->target_image_opts && !a->no_create) {
        why = "--target-image-opts requires use of -n flag";
    } else if (a->target_image_opts && a->format) {
        why = "Cannot use --target-image-opts with -O";
    } else if (a->target_is_zero && !a->no_create) {
        why = "--target-is-zero requires use of -n flag";
    } else if (c->out_of_order && c->compress) {
        why = "Out of order write and compress are mutually exclusive";
    } else if (a->copy_range && c->compress) {
        why = "Cannot enable copy offloading when -c is used";
    } else if (a->copy_range && a->has_sparse) {
        why = "Cannot enable copy offloading when -S is used";
    } else if (a->copy_range && c->salvage) {
        why = "Cannot use copy offloading in salvaging mode";
    } else if (files < 2) {
        why = "Must specify image file name";
    } else if (files > 2 && a->bitmaps) {
        why = "Copying bitmaps only possible with single source";
    } else if (files > 2 && a->backing) {
        why = "Having a backing file for the target makes no sense when "
              "concatenating multiple input images";
    }
    if (why) {
        tool_error("%s", why);
    }
    return why == NULL && img_check_common(&a->common);
}

static bool open_sources(const ConvertArgs *a, Convert *c, char **names)
{
    ToolImage image = a->common.image;

    if (!tool_cache_flags(a->source_cache, &image.flags)) {
        tool_error("Invalid source cache option: %s", a->source_cache);
        return false;
    }
    for (int i = 0; i < c->n_sources; i++) {
        GError *error = NULL;
        int64_t length;

        c->sources[i] = tool_open(names[i], &image);
        if (!c->sources[i]) {
            return false;
        }
        if (a->snapshot &&
            !img_load_snapshot(img_node(c->sources[i]), a->snapshot,
                               &error)) {
            tool_report(error, "Failed to load snapshot: ");
            return false;
        }
        length = block_backend_length(c->sources[i]);
        if (length < 0) {
            tool_error("Could not get size of %s: %s", names[i],
                       strerror(-length));
            return false;
        }
        c->starts[i + 1] = c->starts[i] + length;
    }
    c->total = c->starts[c->n_sources];
    return true;
}

static bool create_target(const ConvertArgs *a, const Convert *c,
                          const char *name)
{
    g_autofree char *size = g_strdup_printf("%" PRIu64, c->total);
    ImgCreate create = { .filename = name,
                         .format = a->format ? a->format : "raw",
                         .backing = a->backing,
                         .backing_format = a->backing_format,
                         .size = UINT64_MAX,
                         .quiet = true };
    GError *error = NULL;

    create.options = a->options ? json_copy(a->options) : json_object();
    if (!json_object_get(create.options, "size")) {
        json_object_set_new(create.options, "size", json_string(size));
    }
    img_create_image(&create, &error);
    json_decref(create.options);
    if (error) {
        tool_report(error, "%s: error while converting %s: ", name,
                    create.format);
        return false;
    }
    return true;
}

static BlockBackend *open_target(const ConvertArgs *a, const char *name)
{
    ToolImage image = { .format = a->target_image_opts
                                      ? NULL
                                      : a->format ? a->format : "raw",
                        .image_opts = a->target_image_opts,
                        .flags = BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP };

    if (!tool_cache_flags(a->cache, &image.flags)) {
        tool_error("Invalid cache option: %s", a->cache);
        return NULL;
    }
    return tool_open(name, &image);
}

static bool check_target(const ConvertArgs *a, Convert *c,
                         BlockBackend *target, const char *name)
{
    const BlockDriver *driver = block_node_driver(c->target);
    int64_t length = block_backend_length(target);

    if (c->compress && !driver->can_compress) {
        tool_error("Compression not supported for this file format");
        return false;
    }
    if (a->bitmaps && !driver->bitmap_can_store) {
        tool_error("Format driver '%s' does not support bitmaps",
                   driver->name);
        return false;
    }
    if (a->no_create && length >= 0 && (uint64_t)length < c->total) {
        tool_error("output file is smaller than input file");
        return false;
    }
    c->cluster = c->compress ? block_node_limits(c->target)->cluster_size : 0;
    c->has_backing = block_node_backing(c->target) != NULL;
    c->zero_init = a->no_create ? a->target_is_zero : !c->has_backing;
    if (length >= 0) {
        c->total = MIN(c->total, (uint64_t)length);
    }
    return true;
}

static int do_convert(const ConvertArgs *a, Convert *c, const char *name)
{
    g_autoptr(BlockBackend) target = NULL;
    int ret;

    if (a->bitmaps &&
        !check_bitmaps(img_node(c->sources[0]), a->skip_broken)) {
        return 1;
    }
    if (a->no_create && a->options_given) {
        tool_error("-o has no effect when skipping image creation");
    }
    if (a->backing && !a->backing_format &&
        !json_object_get(a->options, "backing_fmt")) {
        tool_error("Use of backing file requires explicit backing format");
        return 1;
    }
    if (!a->no_create && !create_target(a, c, name)) {
        return 1;
    }
    target = open_target(a, name);
    if (!target) {
        return 1;
    }
    c->target = block_backend_enter(target);
    ret = !check_target(a, c, target, name);
    if (ret == 0) {
        tool_progress_start(a->common.progress, data_bytes(c));
        ret = run_convert(c, a->workers) < 0;
        if (ret == 0) {
            tool_progress_end();
            ret = block_flush(c->target) < 0;
        }
    }
    block_backend_leave(target);
    if (ret == 0 && a->bitmaps) {
        ret = !copy_bitmaps(img_node(c->sources[0]), c->target,
                            a->skip_broken);
    }
    return ret;
}

int img_convert(int argc, char **argv)
{
    ConvertArgs a = { .cache = "unsafe", .source_cache = "writeback",
                      .workers = 8 };
    Convert c = { .sparse = 4096 };
    int opt, ret = 1, files;

    while ((opt = img_getopt(argc, argv,
                             ":hf:O:B:CcF:o:l:S:pt:T:qnm:WUr:",
                             convert_longs)) != -1) {
        if (!convert_option(&a, &c, opt)) {
            return 1;
        }
    }
    files = argc - optind;
    if (a.help) {
        return img_create_help(a.format ? a.format : "raw",
                               files ? argv[argc - 1] : NULL);
    }
    if (!check_args(&a, &c, files)) {
        return 1;
    }
    c.quiet = a.common.quiet;
    c.n_sources = files - 1;
    c.sources = g_new0(BlockBackend *, c.n_sources);
    c.starts = g_new0(uint64_t, c.n_sources + 1);
    if (open_sources(&a, &c, argv + optind)) {
        ret = do_convert(&a, &c, argv[argc - 1]);
    }
    for (int i = 0; i < c.n_sources; i++) {
        if (c.sources[i]) {
            block_backend_unref(c.sources[i]);
        }
    }
    g_free(c.sources);
    g_free(c.starts);
    json_decref(a.options);
    return ret;
}

/* ---- dd ------------------------------------------------------------------- */

typedef struct Dd {
    const char *in, *out;
    uint64_t bs, count, skip;
    bool has_count;
} Dd;

static bool dd_operand(Dd *d, const char *text)
{
    const char *value = strchr(text, '=');
    uint64_t number = 0;
    bool is_size;

    if (!value) {
        tool_error("unrecognized operand %s", text);
        return false;
    }
    value++;
    is_size = g_str_has_prefix(text, "bs=") ||
              g_str_has_prefix(text, "count=") ||
              g_str_has_prefix(text, "skip=");
    if (is_size && !tool_parse_size(value, &number)) {
        tool_error("invalid number: '%s'", value);
        return false;
    }
    if (g_str_has_prefix(text, "if=")) {
        d->in = value;
    } else if (g_str_has_prefix(text, "of=")) {
        d->out = value;
    } else if (g_str_has_prefix(text, "bs=")) {
        if (number == 0 || number > INT32_MAX) {
            tool_error("invalid number: '%s'", value);
            return false;
        }
        d->bs = number;
    } else if (g_str_has_prefix(text, "count=")) {
        d->count = number;
        d->has_count = true;
    } else if (g_str_has_prefix(text, "skip=")) {
        d->skip = number;
    } else {
        tool_error("unrecognized operand %.*s", (int)(value - 1 - text),
                   text);
        return false;
    }
    return true;
}

static int dd_copy(const Dd *d, BlockBackend *in, BlockBackend *out,
                   uint64_t from, uint64_t to)
{
    g_autofree uint8_t *buf = g_try_malloc(d->bs);
    uint64_t written = 0;

    while (buf && from < to) {
        uint64_t n = MIN(d->bs, to - from);
        int ret = block_backend_pread(in, from, n, buf, 0);

        if (ret < 0) {
            tool_error("error while reading from input image file: %s",
                       strerror(-ret));
            return 1;
        }
        ret = block_backend_pwrite(out, written, n, buf, 0);
        if (ret < 0) {
            tool_error("error while writing to output image file: %s",
                       strerror(-ret));
            return 1;
        }
        from += n;
        written += n;
    }
    return buf ? 0 : 1;
}

int img_dd(int argc, char **argv)
{
    static const struct option longs[] = {
        IMG_LONG_COMMON,
        { "force-share", no_argument, NULL, 'U' },
        { 0 },
    };
    ImgCommon c = { 0 };
    Dd d = { .bs = 512 };
    const char *format = "raw";
    g_autoptr(BlockBackend) in = NULL;
    g_autoptr(BlockBackend) out = NULL;
    ToolImage target = { .flags = BLOCK_OPEN_RDWR };
    ImgCreate create = { .quiet = true };
    GError *error = NULL;
    uint64_t from, to;
    int64_t length;
    int opt;

    while ((opt = img_getopt(argc, argv, ":hf:O:U", longs)) != -1) {
        if (opt == 'O') {
            format = optarg;
        } else {
            img_common_option(&c, opt, "dd");
        }
    }
    for (int i = optind; i < argc; i++) {
        if (!dd_operand(&d, argv[i])) {
            return 1;
        }
    }
    if (!d.in || !d.out) {
        tool_error("Must specify both input and output files");
        return 1;
    }
    in = img_check_common(&c) ? tool_open(d.in, &c.image) : NULL;
    if (!in) {
        return 1;
    }
    length = block_backend_length(in);
    if (length < 0) {
        tool_error("Failed to get size for '%s'", d.in);
        return 1;
    }
    from = d.skip > (uint64_t)length / d.bs + 1
               ? (uint64_t)length : MIN(d.skip * d.bs, (uint64_t)length);
    if (d.skip && d.skip * d.bs > (uint64_t)length) {
        tool_error("%s: cannot skip to specified offset", d.in);
    }
    to = d.has_count && d.count <= ((uint64_t)length - from) / d.bs
             ? from + d.count * d.bs : (uint64_t)length;
    create.filename = d.out;
    create.format = target.format = format;
    create.size = to - from;
    if (!img_create_image(&create, &error)) {
        tool_report(error, "%s: error while creating output image: ", d.out);
        return 1;
    }
    out = tool_open(d.out, &target);
    return out ? dd_copy(&d, in, out, from, to) : 1;
}
