/* Images that commands make by file name: overlays, targets of jobs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "block/monitor-nodes.h"
#include "monitor/block-commands-int.h"
#include "monitor/monitor.h"

/* On standard output, like the image tool: scripts wait for this line. */
static void say_formatting(const char *file, const char *format,
                           uint64_t size, BlockNode *backing)
{
    bool qcow2 = !strcmp(format, "qcow2");

    printf("Formatting '%s', fmt=%s%s size=%" PRIu64, file, format,
           qcow2 ? " cluster_size=65536 extended_l2=off compression_type=zlib"
                 : "", size);
    if (backing) {
        printf(" backing_file=%s backing_fmt=%s",
               block_node_filename(backing), block_node_driver_name(backing));
    }
    printf("%s\n", qcow2 ? " lazy_refcounts=off refcount_bits=16" : "");
    fflush(stdout);
}

static bool create_file(const char *file, uint64_t size, GError **error)
{
    json_t *options = json_pack("{s:s, s:s, s:I}", "driver", "file",
                                "filename", file, "size", (json_int_t)size);
    bool ok = options && block_node_create(options, error);

    json_decref(options);
    return ok;
}

bool monitor_create_image(const char *file, const char *format,
                          BlockNode *source, BlockNode *backing,
                          GError **error)
{
    int64_t size = block_length(source);
    bool raw = !strcmp(format, "raw");
    json_t *options;
    BlockNode *node;
    bool ok;

    if (size < 0) {
        g_set_error(error, MONITOR_ERROR, 0, "Could not get the size of '%s'",
                    block_node_name(source));
        return false;
    }
    say_formatting(file, format, size, backing);
    if (!create_file(file, raw ? size : 0, error)) {
        return false;
    }
    if (raw) {
        return true;
    }
    options = json_pack("{s:s, s:s}", "driver", "file", "filename", file);
    node = block_node_open(options, BLOCK_OPEN_RDWR, error);
    json_decref(options);
    if (!node) {
        return false;
    }
    options = json_pack("{s:s, s:s, s:I}", "driver", format, "file",
                        block_node_name(node), "size", (json_int_t)size);
    if (backing) {
        json_object_set_new(options, "backing-file",
                            json_string(block_node_filename(backing)));
        json_object_set_new(options, "backing-fmt",
                            json_string(block_node_driver_name(backing)));
    }
    ok = block_node_create(options, error);
    json_decref(options);
    block_node_unref(node);
    return ok;
}
