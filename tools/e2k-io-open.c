/* e2k-io commands that open, close and reopen the image. */
#include "tools/e2k-io-int.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/options.h"

/* Puts a copy-on-read filter on top. */
static BlockNode *wrap_copy_on_read(BlockNode *node, unsigned flags,
                                    GError **error)
{
    json_t *options = json_pack("{s:s, s:s}", "driver", "copy-on-read",
                                "file", block_node_name(node));
    BlockNode *top = block_node_open(options, flags, error);

    json_decref(options);
    block_node_unref(node);
    return top;
}

static BlockNode *wrap_temporary(BlockNode *node, unsigned flags,
                                 GError **error)
{
    BlockNode *top = block_node_open_temporary(node, flags, error);

    block_node_unref(node);
    return top;
}

/* The image itself is only read below a temporary overlay. */
static unsigned image_flags(const IoOpenArgs *a)
{
    return a->temporary ? a->flags & ~(unsigned)BLOCK_OPEN_RDWR : a->flags;
}

bool io_open_image(const char *name, const IoOpenArgs *a)
{
    GError *error = NULL;
    BlockNode *node;
    unsigned perm = BLOCK_PERM_CONSISTENT_READ;

    if (io_image) {
        fprintf(stderr, "file open already, try 'help close'\n");
        return false;
    }
    if (a->image_opts) {
        node = block_node_open_image_opts(name, image_flags(a), &error);
    } else if (!name) {
        node = block_node_open(a->options, image_flags(a), &error);
    } else {
        node = block_node_open_filename(name, a->format, a->options,
                                        image_flags(a), &error);
    }
    if (node && a->temporary) {
        node = wrap_temporary(node, a->flags, &error);
    }
    if (node && a->copy_on_read) {
        node = wrap_copy_on_read(node, a->flags, &error);
    }
    if (!node) {
        tool_report(error, "can't open%s%s: ", name ? " device " : "",
                    name ? name : "");
        return false;
    }
    if (!block_node_is_read_only(node)) {
        perm |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
    io_image = block_backend_new(NULL, NULL, perm, BLOCK_PERM_ALL);
    block_backend_set_writethrough(io_image,
                                   a->flags & BLOCK_OPEN_WRITETHROUGH);
    if (!block_backend_attach(io_image, node, &error)) {
        tool_report(error, "can't open%s%s: ", name ? " device " : "",
                    name ? name : "");
        g_clear_pointer(&io_image, block_backend_unref);
    }
    block_node_unref(node);
    return io_image != NULL;
}

bool io_aio_flags(const char *engine, unsigned *flags)
{
    if (block_aio_flags(engine, flags)) {
        return true;
    }
    tool_error("Invalid aio option: %s", engine);
    return false;
}

bool io_discard_flags(const char *mode, unsigned *flags)
{
    bool unmap = !strcmp(mode, "unmap") || !strcmp(mode, "on");

    if (!unmap && strcmp(mode, "ignore") && strcmp(mode, "off")) {
        tool_error("Invalid discard option: %s", mode);
        return false;
    }
    *flags &= ~(unsigned)BLOCK_OPEN_UNMAP;
    *flags |= unmap ? BLOCK_OPEN_UNMAP : 0;
    return true;
}

static int cmd_close(int argc, char **argv)
{
    io_drain();
    g_clear_pointer(&io_image, block_backend_unref);
    return 0;
}

static int cmd_open(int argc, char **argv)
{
    IoOpenArgs a = { .flags = BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP };
    g_autofree char *format = NULL;
    GError *error = NULL;
    json_t *flat = NULL;
    bool read_only = false, ok = true, force_share = false;
    const char *name;
    int opt;

    optind = 0;
    while ((opt = getopt(argc, argv, "snCro:ki:t:d:U")) != -1) {
        switch (opt) {
        case 'n':
            a.flags |= BLOCK_OPEN_DIRECT;
            break;
        case 'C':
            a.copy_on_read = true;
            break;
        case 'r':
            read_only = true;
            break;
        case 'U':
            force_share = true;
            break;
        case 't':
            if (!tool_cache_flags(optarg, &a.flags)) {
                tool_error("invalid cache option: %s", optarg);
                return -EINVAL;
            }
            break;
        case 'o': {
            json_t *more = block_options_parse(optarg, NULL, &error);

            if (!more) {
                tool_report(error, NULL);
                return -EINVAL;
            }
            flat = flat ? flat : json_object();
            json_object_update(flat, more);
            json_decref(more);
            break;
        }
        case 's':
            a.temporary = true;
            break;
        case 'k':
            io_aio_flags("native", &a.flags);
            break;
        case 'i':
            if (!io_aio_flags(optarg, &a.flags)) {
                return -EINVAL;
            }
            break;
        case 'd':
            if (!io_discard_flags(optarg, &a.flags)) {
                return -EINVAL;
            }
            break;
        default:
            io_usage(io_find("open"));
            return -EINVAL;
        }
    }
    if (read_only) {
        a.flags &= ~(unsigned)BLOCK_OPEN_RDWR;
    }
    if (force_share) {
        a.flags |= BLOCK_OPEN_FORCE_SHARE;
    }
    name = optind < argc ? argv[optind] : NULL;
    if (flat) {
        if (name) {
            format = g_strdup(json_string_value(json_object_get(flat,
                                                                "driver")));
            a.format = format;
            json_object_del(flat, "driver");
        }
        a.options = block_options_nest(flat, &error);
        ok = a.options != NULL;
        if (!ok) {
            tool_report(error, NULL);
        }
    } else if (!name) {
        io_usage(io_find("open"));
        return -EINVAL;
    }
    ok = ok && io_open_image(name, &a);
    json_decref(flat);
    json_decref(a.options);
    return ok ? 0 : -EINVAL;
}

/* Children keep the options that are not given; a backing child that is not
 * spoken of stays. */
static void keep_children(json_t *options, BlockNode *node)
{
    for (guint i = 0; i < node->children->len; i++) {
        const BlockEdge *edge = g_ptr_array_index(node->children, i);
        json_t *given = json_object_get(options, edge->name);

        if (json_is_object(given)) {
            json_t *whole = block_options_merge(edge->node->options, given);

            json_object_del(whole, "node-name");
            keep_children(whole, edge->node);
            json_object_set_new(options, edge->name, whole);
        } else if (!given && edge->role == BLOCK_ROLE_BACKING) {
            json_object_set_new(options, edge->name,
                                json_string(block_node_name(edge->node)));
        }
    }
}

static int cmd_reopen(int argc, char **argv)
{
    BlockNode *node = block_backend_node(io_image);
    g_autoptr(GPtrArray) texts = g_ptr_array_new();
    json_t *options, *nested;
    GError *error = NULL;
    int read_only = -1, opt;
    unsigned flags = 0;
    bool cache = false, ok;

    optind = 0;
    while ((opt = getopt(argc, argv, "c:o:rw")) != -1) {
        switch (opt) {
        case 'c':
            if (!tool_cache_flags(optarg, &flags)) {
                tool_error("Invalid cache option: %s", optarg);
                return -EINVAL;
            }
            cache = true;
            break;
        case 'o':
            g_ptr_array_add(texts, optarg);
            break;
        case 'r':
        case 'w':
            if (read_only >= 0) {
                tool_error("Only one -r/-w option can be given");
                return -EINVAL;
            }
            read_only = opt == 'r';
            break;
        default:
            io_usage(io_find("reopen"));
            return -EINVAL;
        }
    }
    io_drain();
    options = json_deep_copy(node->options);
    json_object_set_new(options, "driver",
                        json_string(block_node_driver_name(node)));
    json_object_set_new(options, "node-name",
                        json_string(block_node_name(node)));
    for (guint i = 0; i < texts->len; i++) {
        json_t *flat = block_options_parse(g_ptr_array_index(texts, i), NULL,
                                           &error);
        json_t *more = flat ? block_options_nest(flat, &error) : NULL;

        json_decref(flat);
        if (!more) {
            tool_report(error, NULL);
            json_decref(options);
            return -EINVAL;
        }
        nested = block_options_merge(options, more);
        json_decref(more);
        json_decref(options);
        options = nested;
    }
    keep_children(options, node);
    if (cache) {
        json_object_set_new(options, "cache",
                            json_pack("{s:b, s:b}", "direct",
                                      !!(flags & BLOCK_OPEN_DIRECT),
                                      "no-flush",
                                      !!(flags & BLOCK_OPEN_NO_FLUSH)));
        block_backend_set_writethrough(io_image,
                                       flags & BLOCK_OPEN_WRITETHROUGH);
    }
    if (read_only >= 0) {
        json_object_set_new(options, "read-only", json_boolean(read_only));
        if (read_only &&
            !block_backend_set_perm(io_image, BLOCK_PERM_CONSISTENT_READ,
                                    BLOCK_PERM_ALL, &error)) {
            tool_report(error, NULL);
            json_decref(options);
            return -EINVAL;
        }
    }
    ok = block_node_reopen(&options, 1, &error);
    if (ok && read_only == 0) {
        ok = block_backend_set_perm(io_image,
                                    BLOCK_PERM_CONSISTENT_READ |
                                        BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE,
                                    BLOCK_PERM_ALL, &error);
    }
    json_decref(options);
    if (!ok) {
        tool_report(error, NULL);
    }
    return ok ? 0 : -EINVAL;
}

const IoCommand io_open_commands[] = {
    { "open", "o", cmd_open, 0, -1, true, false,
      "[-rsCnkU] [-t cache] [-d discard] [-i aio] [-o options] [path]",
      "open the file specified by path" },
    { "close", "c", cmd_close, 0, 0, false, false, "",
      "close the current open file" },
    { "reopen", NULL, cmd_reopen, 0, -1, false, false,
      "[(-r|-w)] [-c cache] [-o options]",
      "reopens an image with new options" },
    { NULL },
};
