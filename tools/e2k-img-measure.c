/* e2k-img measure: how much space an image will need. */
#include "tools/e2k-img-int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool load_snapshot_arg(BlockNode *node, const char *param)
{
    GError *error = NULL;

    if (param && !img_load_snapshot(node, param, &error)) {
        tool_report(error, "Failed to load snapshot: ");
        return false;
    }
    return true;
}

static bool run_measure(const char *format, json_t *legacy, BlockNode *source,
                        uint64_t size, BlockMeasure *m, GError **error)
{
    const BlockDriver *driver = block_driver_find(format);
    json_t *options;
    bool ok;

    if (!driver) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Unknown file format '%s'",
                    format);
        return false;
    }
    if (!driver->measure) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP, "Block driver '%s' does not "
                    "support size measurement", format);
        return false;
    }
    options = img_driver_options(format, legacy, false, error);
    if (!options) {
        return false;
    }
    if (!source) {
        json_object_set_new(options, "size", json_integer(size));
    }
    ok = driver->measure(options, source, m, error);
    json_decref(options);
    return ok;
}

int img_measure(int argc, char **argv)
{
    static const struct option longs[] = {
        IMG_LONG_COMMON,
        { "output", required_argument, NULL, OPT_OUTPUT },
        { "size", required_argument, NULL, OPT_SIZE },
        { "force-share", no_argument, NULL, 'U' },
        { 0 },
    };
    ImgCommon c = { 0 };
    const char *format = "raw", *snapshot = NULL;
    g_autoptr(BlockBackend) image = NULL;
    GError *error = NULL;
    json_t *legacy = NULL;
    uint64_t size = UINT64_MAX;
    BlockMeasure m = { 0 };
    bool ok;
    int opt;

    while ((opt = img_getopt(argc, argv, ":hf:l:o:O:s:U", longs)) != -1) {
        if (opt == 'l') {
            snapshot = optarg;
        } else if (opt == 'O') {
            format = optarg;
        } else if (opt == 'o') {
            if (img_add_options(&legacy, optarg) != 0) {
                return 1;
            }
        } else if (opt == OPT_SIZE || opt == 's') {
            if (!tool_parse_size(optarg, &size)) {
                return 1;
            }
        } else {
            img_common_option(&c, opt, "measure");
        }
    }
    if (argc - optind > 1) {
        tool_error("At most one filename argument is allowed.");
        return 1;
    }
    if (optind == argc) {
        if (c.image.image_opts || c.image.format || snapshot) {
            tool_error("--image-opts, -f, and -l can only be used with a "
                       "filename argument.");
            return 1;
        }
        if (size == UINT64_MAX) {
            tool_error("Either --size N or one filename must be specified.");
            return 1;
        }
    } else if (size != UINT64_MAX) {
        tool_error("--size N cannot be used together with a filename.");
        return 1;
    } else {
        image = tool_open(argv[optind], &c.image);
        if (!image || !load_snapshot_arg(img_node(image), snapshot)) {
            return 1;
        }
    }
    ok = run_measure(format, legacy, image ? img_node(image) : NULL, size, &m,
                     &error);
    json_decref(legacy);
    if (!ok) {
        tool_report(error, NULL);
        return 1;
    }
    if (c.json) {
        json_t *out = json_object();

        if (m.has_bitmaps) {
            json_object_set_new(out, "bitmaps", json_integer(m.bitmaps));
        }
        json_object_set_new(out, "required", json_integer(m.required));
        json_object_set_new(out, "fully-allocated",
                            json_integer(m.fully_allocated));
        tool_print_json(out);
        json_decref(out);
        return 0;
    }
    printf("required size: %" PRIu64 "\nfully allocated size: %" PRIu64 "\n",
           m.required, m.fully_allocated);
    if (m.has_bitmaps) {
        printf("bitmaps size: %" PRIu64 "\n", m.bitmaps);
    }
    return 0;
}
