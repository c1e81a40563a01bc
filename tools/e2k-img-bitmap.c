/* e2k-img bitmap: persistent dirty bitmaps of an image that nobody uses. */
#include "tools/e2k-img-int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/dirty-bitmap.h"

typedef struct Action {
    int what; /* OPT_ADD ... OPT_MERGE */
    const char *source;
} Action;

typedef struct BitmapRun {
    BlockNode *node;
    BlockNode *source; /* of --merge */
    const char *name;
    uint32_t granularity;
} BitmapRun;

static BlockDirtyBitmap *find(BlockNode *node, const char *name,
                              GError **error)
{
    BlockDirtyBitmap *bitmap = block_dirty_bitmap_find(node, name);

    if (!bitmap) {
        g_set_error(error, BLOCK_ERROR, ENOENT, "Dirty bitmap '%s' not found",
                    name);
    }
    return bitmap;
}

static bool add(const BitmapRun *r, GError **error)
{
    uint32_t granularity =
        r->granularity ? r->granularity
                       : block_dirty_bitmap_default_granularity(r->node);
    BlockDirtyBitmap *bitmap;

    if (!*r->name) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Bitmap name cannot be empty");
        return false;
    }
    if (!block_dirty_bitmap_can_store(r->node, r->name, granularity, error)) {
        return false;
    }
    bitmap = block_dirty_bitmap_new(r->node, r->name, granularity, error);
    if (bitmap) {
        block_dirty_bitmap_set_persistent(bitmap, true);
    }
    return bitmap != NULL;
}

static bool drop(const BitmapRun *r, BlockDirtyBitmap *bitmap,
                 GError **error)
{
    if (!block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_BUSY | BLOCK_BITMAP_RO,
                                  error) ||
        (block_dirty_bitmap_persistent(bitmap) &&
         !block_dirty_bitmap_remove_stored(r->node, r->name, error))) {
        return false;
    }
    block_dirty_bitmap_release(bitmap);
    return true;
}

static bool merge(const BitmapRun *r, BlockDirtyBitmap *bitmap,
                  const char *source_name, GError **error)
{
    BlockNode *from = r->source ? r->source : r->node;
    BlockDirtyBitmap *source = find(from, source_name, error);

    return source &&
           block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_DEFAULT, error) &&
           block_dirty_bitmap_check(source, BLOCK_BITMAP_ALLOW_RO, error) &&
           block_dirty_bitmap_merge(bitmap, source, NULL, error);
}

static bool run_action(const BitmapRun *r, const Action *a, GError **error)
{
    BlockDirtyBitmap *bitmap;

    if (a->what == OPT_ADD) {
        return add(r, error);
    }
    bitmap = find(r->node, r->name, error);
    if (!bitmap) {
        return false;
    }
    switch (a->what) {
    case OPT_REMOVE:
        return drop(r, bitmap, error);
    case OPT_CLEAR:
        if (!block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_DEFAULT, error)) {
            return false;
        }
        block_dirty_bitmap_clear(bitmap, NULL);
        return true;
    case OPT_ENABLE:
    case OPT_DISABLE:
        if (!block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_ALLOW_RO, error)) {
            return false;
        }
        (a->what == OPT_ENABLE ? block_dirty_bitmap_enable
                               : block_dirty_bitmap_disable)(bitmap);
        return true;
    default:
        return merge(r, bitmap, a->source, error);
    }
}

static const char *action_name(int what)
{
    switch (what) {
    case OPT_ADD:
        return "add";
    case OPT_REMOVE:
        return "remove";
    case OPT_CLEAR:
        return "clear";
    case OPT_ENABLE:
        return "enable";
    case OPT_DISABLE:
        return "disable";
    default:
        return "merge";
    }
}

static bool run_all(BitmapRun *r, const GArray *actions)
{
    for (guint i = 0; i < actions->len; i++) {
        const Action *a = &g_array_index(actions, Action, i);
        GError *error = NULL;

        if (!run_action(r, a, &error)) {
            tool_report(error, "Operation %s on bitmap %s failed: ",
                        action_name(a->what), r->name);
            return false;
        }
    }
    return true;
}

int img_bitmap(int argc, char **argv)
{
    static const struct option longs[] = {
        IMG_LONG_COMMON,
        { "add", no_argument, NULL, OPT_ADD },
        { "clear", no_argument, NULL, OPT_CLEAR },
        { "disable", no_argument, NULL, OPT_DISABLE },
        { "enable", no_argument, NULL, OPT_ENABLE },
        { "merge", required_argument, NULL, OPT_MERGE },
        { "remove", no_argument, NULL, OPT_REMOVE },
        { "granularity", required_argument, NULL, 'g' },
        { "source-file", required_argument, NULL, 'b' },
        { "source-format", required_argument, NULL, 'F' },
        { 0 },
    };
    g_autoptr(GArray) actions = g_array_new(false, false, sizeof(Action));
    ImgCommon c = { .image.flags = BLOCK_OPEN_RDWR };
    /* Its bitmaps alone are of interest: what is below may be the target. */
    ToolImage source_image = { .flags = BLOCK_OPEN_NO_BACKING };
    const char *source_name = NULL;
    g_autoptr(BlockBackend) image = NULL;
    g_autoptr(BlockBackend) source = NULL;
    bool has_add = false, has_merge = false;
    uint64_t granularity = 0;
    BitmapRun run = { 0 };
    int opt;

    while ((opt = img_getopt(argc, argv, ":b:f:F:g:h", longs)) != -1) {
        Action a = { opt, optarg };

        if (opt >= OPT_ADD && opt <= OPT_MERGE) {
            g_array_append_val(actions, a);
            has_add |= opt == OPT_ADD;
            has_merge |= opt == OPT_MERGE;
        } else if (opt == 'b') {
            source_name = optarg;
        } else if (opt == 'F') {
            source_image.format = optarg;
        } else if (opt == 'g') {
            if (!tool_parse_size(optarg, &granularity)) {
                return 1;
            }
        } else {
            img_common_option(&c, opt, "bitmap");
        }
    }
    if (optind != argc - 2) {
        tool_error("Expecting filename and bitmap name");
        return 1;
    }
    if (actions->len == 0) {
        tool_error("Need at least one of --add, --remove, --clear, --enable, "
                   "--disable, or --merge");
        return 1;
    }
    if (granularity && !has_add) {
        tool_error("granularity only supported with --add");
        return 1;
    }
    if (source_image.format && !source_name) {
        tool_error("-F only supported with -b");
        return 1;
    }
    if (source_name && !has_merge) {
        tool_error("Merge bitmap source file only supported with --merge");
        return 1;
    }
    image = img_check_common(&c) ? tool_open(argv[optind], &c.image) : NULL;
    if (!image) {
        return 1;
    }
    if (source_name) {
        source = tool_open(source_name, &source_image);
        if (!source) {
            return 1;
        }
        run.source = img_node(source);
    }
    run.node = img_node(image);
    run.name = argv[optind + 1];
    run.granularity = MIN(granularity, UINT32_MAX);
    return !run_all(&run, actions);
}
