/*
 * e2k-img convert and dd: the options, the images, the bitmaps.  The copying
 * is in e2k-img-copy.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/dirty-bitmap.h"
#include "tools/e2k-img-copy.h"

#define MAX_SPARSE (UINT64_C(16) << 20)

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
                    "--remove' to delete it\n", tool_name());
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
        if (a->workers < 1 || a->workers > IMG_COPY_WORKERS) {
            tool_error("Invalid number of coroutines. Allowed number of "
                       "coroutines is between 1 and %d", IMG_COPY_WORKERS);
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
        tool_progress_start(a->common.progress, img_copy_data_bytes(c));
        ret = img_copy_run(c, a->workers) < 0;
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
