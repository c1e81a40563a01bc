/*
 * Temporary overlays (-s, snapshot=on): what is written goes to a qcow2 image
 * without a name and is gone with the node.
 */
#include "block/node.h"

#include <unistd.h>

static bool create_overlay(const char *path, int64_t size, GError **error)
{
    json_t *options =
        json_pack("{s:s, s:{s:s, s:s}, s:I}", "driver", "qcow2", "file",
                  "driver", "file", "filename", path, "size",
                  (json_int_t)size);
    bool ok = block_node_create(options, error);

    json_decref(options);
    return ok;
}

BlockNode *block_node_open_temporary(BlockNode *base, unsigned flags,
                                     GError **error)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("e2k-XXXXXX", &path, error);
    BlockNode *overlay = NULL;

    if (fd < 0) {
        return NULL;
    }
    close(fd);
    if (create_overlay(path, block_length(base), error)) {
        json_t *options =
            json_pack("{s:s, s:{s:s, s:s}, s:s}", "driver", "qcow2", "file",
                      "driver", "file", "filename", path, "backing",
                      block_node_name(base));

        overlay = block_node_open(options, flags | BLOCK_OPEN_RDWR, error);
        json_decref(options);
    }
    unlink(path);
    return overlay;
}
