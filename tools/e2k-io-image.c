/* e2k-io commands about the image as a whole, and fault injection. */
#include "tools/e2k-io-int.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int cmd_flush(int argc, char **argv)
{
    return block_backend_flush(io_image);
}

static int cmd_length(int argc, char **argv)
{
    int64_t length = block_backend_length(io_image);
    g_autofree char *text = NULL;

    if (length < 0) {
        printf("getlength: %s\n", strerror(-length));
        return length;
    }
    text = io_size_text(length);
    printf("%s\n", text);
    return 0;
}

static int cmd_truncate(int argc, char **argv)
{
    int prealloc = BLOCK_PREALLOC_OFF;
    GError *error = NULL;
    int64_t size;
    int opt;

    optind = 0;
    while ((opt = getopt(argc, argv, "m:")) != -1) {
        if (opt != 'm') {
            io_usage(io_find("truncate"));
            return -EINVAL;
        }
        prealloc = block_preallocation_parse(optarg);
        if (prealloc < 0) {
            tool_error("invalid parameter value: %s", optarg);
            return -EINVAL;
        }
    }
    if (optind != argc - 1) {
        io_usage(io_find("truncate"));
        return -EINVAL;
    }
    size = io_number(argv[optind]);
    if (size < 0) {
        io_number_error(size, argv[optind]);
        return size;
    }
    if (!block_truncate(block_backend_node(io_image), size, false, prealloc,
                        &error)) {
        int ret = -block_error_errno(error);

        tool_report(error, NULL);
        return ret;
    }
    return 0;
}

static int cmd_info(int argc, char **argv)
{
    GError *error = NULL;
    json_t *info = block_node_image_info(block_backend_node(io_image), true,
                                         &error);
    json_t *specific;
    g_autofree char *cluster = NULL;

    if (!info) {
        tool_report(error, NULL);
        return -EIO;
    }
    cluster = io_size_text(
        json_integer_value(json_object_get(info, "cluster-size")));
    printf("format name: %s\ncluster size: %s\n",
           json_string_value(json_object_get(info, "format")), cluster);
    specific = json_object_get(json_object_get(info, "format-specific"),
                               "data");
    if (specific) {
        printf("Format specific information:\n");
        tool_print_json_text(specific, 4);
    }
    json_decref(info);
    return 0;
}

/* Length of the run at offset that is or is not allocated in the top image. */
static int allocated_run(uint64_t offset, uint64_t bytes, uint64_t *run)
{
    BlockNode *node = block_backend_enter(io_image);
    BlockNode *base = block_node_backing(block_node_skip_filters(node));
    int first = -1;

    *run = 0;
    while (*run < bytes) {
        BlockStatus s;
        int now = block_status_above(node, base, offset + *run, bytes - *run,
                                     &s);

        if (now >= 0) {
            now = (s.flags & BLOCK_STATUS_ALLOCATED) != 0;
        }
        if (now < 0 && first < 0) {
            block_backend_leave(io_image);
            return now;
        }
        if (first >= 0 && now != first) {
            break;
        }
        first = now;
        *run += s.bytes;
    }
    block_backend_leave(io_image);
    return first < 0 ? 0 : first;
}

static int cmd_alloc(int argc, char **argv)
{
    int64_t start = io_number(argv[1]);
    int64_t count = argc == 3 ? io_number(argv[2]) : 512;
    int64_t length = block_backend_length(io_image);
    uint64_t sum = 0, at;
    g_autofree char *text = NULL;

    if (start < 0 || count < 0) {
        io_number_error(start < 0 ? start : count, argv[start < 0 ? 1 : 2]);
        return -EINVAL;
    }
    for (at = start; at < (uint64_t)start + count && (int64_t)at < length;) {
        uint64_t n;
        int ret = allocated_run(at, MIN((uint64_t)start + count,
                                        (uint64_t)length) - at, &n);

        if (ret < 0) {
            printf("is_allocated failed: %s\n", strerror(-ret));
            return ret;
        }
        sum += ret ? n : 0;
        at += n;
    }
    text = io_size_text(start);
    printf("%" PRIu64 "/%" PRId64 " bytes allocated at offset %s\n", sum,
           count, text);
    return 0;
}

static int cmd_map(int argc, char **argv)
{
    int64_t length = block_backend_length(io_image);
    uint64_t at = 0;

    if (length < 0) {
        printf("Failed to query image length: %s\n", strerror(-length));
        return length;
    }
    while (at < (uint64_t)length) {
        uint64_t n;
        int ret = allocated_run(at, length - at, &n);
        g_autofree char *size = NULL;
        g_autofree char *where = NULL;

        if (ret < 0) {
            printf("Failed to get allocation status: %s\n", strerror(-ret));
            return ret;
        }
        size = io_size_text(n);
        where = io_size_text(at);
        printf("%s (0x%" PRIx64 ") bytes %s at offset %s (0x%" PRIx64 ")\n",
               size, n, ret ? "    allocated" : "not allocated", where, at);
        at += n;
    }
    return 0;
}

/* ---- Fault injection ------------------------------------------------------ */

static int debug_command(const char *command, const char *argument,
                         const char *tag)
{
    BlockNode *node = block_backend_node(io_image);
    GError *error = NULL;

    while (node && !block_node_driver(node)->debug_command) {
        node = block_node_primary(node);
    }
    if (!node) {
        printf("Could not set a breakpoint: %s\n", strerror(ENOTSUP));
        return -ENOTSUP;
    }
    if (!block_node_driver(node)->debug_command(node, command, argument, tag,
                                                &error)) {
        printf("%s\n", error->message);
        g_clear_error(&error);
        return -EINVAL;
    }
    return 0;
}

static int cmd_break(int argc, char **argv)
{
    return debug_command("break", argv[1], argv[2]);
}

static int cmd_remove_break(int argc, char **argv)
{
    return debug_command("remove_break", NULL, argv[1]);
}

static int cmd_resume(int argc, char **argv)
{
    return debug_command("resume", NULL, argv[1]);
}

static int cmd_wait_break(int argc, char **argv)
{
    return debug_command("wait_break", NULL, argv[1]);
}

const IoCommand io_image_commands[] = {
    { "flush", "f", cmd_flush, 0, 0, false, false, "",
      "flush all in-core file state to disk" },
    { "truncate", "t", cmd_truncate, 1, 3, false, true,
      "[-m prealloc_mode] off",
      "truncates the current file at the given offset" },
    { "length", "l", cmd_length, 0, 0, false, false, "",
      "gets the length of the current file" },
    { "info", "i", cmd_info, 0, 0, false, false, "",
      "prints information about the current file" },
    { "alloc", "a", cmd_alloc, 1, 2, false, false, "offset [count]",
      "checks if offset is allocated in the file" },
    { "map", NULL, cmd_map, 0, 1, false, false, "",
      "prints the allocated areas of a file" },
    { "break", NULL, cmd_break, 2, 2, false, false, "event tag",
      "suspends requests at the breakpoint" },
    { "remove_break", NULL, cmd_remove_break, 1, 1, false, false, "tag",
      "removes a breakpoint by tag" },
    { "resume", NULL, cmd_resume, 1, 1, false, false, "tag",
      "resumes requests suspended by the tag" },
    { "wait_break", NULL, cmd_wait_break, 1, 1, false, false, "tag",
      "waits for the suspension of a request" },
    { NULL },
};
