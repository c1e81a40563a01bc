/* e2k-img resize. */
#include "tools/e2k-img-int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A size with a sign in front is relative. */
static bool new_size(const char *text, uint64_t now, uint64_t *size)
{
    int sign = text[0] == '+' ? 1 : text[0] == '-' ? -1 : 0;
    uint64_t amount;

    if (!tool_parse_size(text + (sign != 0), &amount)) {
        return false;
    }
    *size = sign > 0 ? now + amount : sign < 0 ? now - amount : amount;
    if (sign < 0 ? amount >= now : *size == 0 || *size > INT64_MAX) {
        tool_error("New image size must be positive");
        return false;
    }
    return true;
}

int img_resize(int argc, char **argv)
{
    static const struct option longs[] = {
        IMG_LONG_COMMON,
        { "preallocation", required_argument, NULL, OPT_PREALLOCATION },
        { "shrink", no_argument, NULL, OPT_SHRINK },
        { 0 },
    };
    ImgCommon c = { .image.flags = BLOCK_OPEN_RDWR };
    int prealloc = BLOCK_PREALLOC_OFF;
    g_autoptr(BlockBackend) image = NULL;
    GError *error = NULL;
    bool shrink = false;
    const char *size_text;
    uint64_t size;
    int64_t now;
    int opt;

    /* The size comes last and may look like an option. */
    if (argc < 3 && !(argc == 2 && argv[1][0] == '-')) {
        tool_usage_error("Not enough arguments");
    }
    size_text = argc < 3 ? "" : argv[--argc];
    while ((opt = img_getopt(argc, argv, ":f:hq", longs)) != -1) {
        if (opt == OPT_PREALLOCATION) {
            prealloc = block_preallocation_parse(optarg);
            if (prealloc < 0) {
                tool_error("Invalid preallocation mode '%s'", optarg);
                return 1;
            }
        } else if (opt == OPT_SHRINK) {
            shrink = true;
        } else {
            img_common_option(&c, opt, "resize");
        }
    }
    if (optind != argc - 1) {
        tool_usage_error("Expecting image file name and size");
    }
    image = img_check_common(&c) ? tool_open(argv[optind], &c.image) : NULL;
    if (!image) {
        return 1;
    }
    now = block_backend_length(image);
    if (now < 0 || !new_size(size_text, now, &size)) {
        return 1;
    }
    if (size <= (uint64_t)now && prealloc != BLOCK_PREALLOC_OFF) {
        tool_error("Preallocation can only be used for growing images");
        return 1;
    }
    if (size < (uint64_t)now && !shrink) {
        tool_error("Use the --shrink option to perform a shrink operation.");
        tool_warning("Shrinking an image will delete all data beyond the "
                     "shrunken image's end. Before performing such an "
                     "operation, make sure there is no important data "
                     "there.");
        return 1;
    }
    if (!block_truncate(img_node(image), size, true, prealloc, &error)) {
        tool_report(error, NULL);
        return 1;
    }
    if (!c.quiet) {
        printf("Image resized.\n");
    }
    return 0;
}
