/*
 * Opening images by name: protocol prefixes, json: names, format probing,
 * backing files, and the names nodes are given back to people by.
 */
#include "block/driver.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "block/monitor-nodes.h"
#include "block/node-int.h"
#include "block/options.h"

#define PROBE_SIZE 2048

/* ---- Probing ------------------------------------------------------------ */

const BlockDriver *block_driver_probe(BlockNode *file, GError **error)
{
    uint8_t head[PROBE_SIZE] = { 0 };
    const BlockDriver *best = NULL;
    int best_score = 0;
    int64_t length = block_length(file);
    int ret = 0;

    if (length > 0) {
        ret = block_pread(file, 0, MIN(length, PROBE_SIZE), head, 0);
    }
    if (ret < 0) {
        block_error_set_errno(error, ret,
                              "Could not read image for determining its "
                              "format");
        return NULL;
    }
    for (const BlockDriver *d = block_driver_next(NULL); d;
         d = block_driver_next(d)) {
        int score = d->probe ? d->probe(head, sizeof(head)) : 0;

        if (score > best_score) {
            best = d;
            best_score = score;
        }
    }
    return best ? best : block_driver_find("raw");
}

/* ---- Protocol names ----------------------------------------------------- */

/* "name:" at the start and no slash before the colon. */
static bool has_protocol(const char *filename)
{
    size_t n = strcspn(filename, ":/");

    return n > 0 && filename[n] == ':';
}

const BlockDriver *block_driver_for_protocol(const char *filename)
{
    size_t n = strcspn(filename, ":/");

    if (!has_protocol(filename)) {
        return NULL;
    }
    for (const BlockDriver *d = block_driver_next(NULL); d;
         d = block_driver_next(d)) {
        for (const char *const *p = d->protocols; p && *p; p++) {
            if (strlen(*p) == n && !strncmp(*p, filename, n)) {
                return d;
            }
        }
    }
    return NULL;
}

/* A plain path or a protocol name as options of a protocol node. */
static json_t *protocol_options(const char *filename, GError **error)
{
    const BlockDriver *driver = block_driver_for_protocol(filename);
    json_t *options = json_object();
    json_t *nested;

    if (!driver && has_protocol(filename)) {
        g_autofree char *name = g_strndup(filename,
                                          strcspn(filename, ":/"));

        g_set_error(error, BLOCK_ERROR, ENOENT, "Unknown protocol '%s'",
                    name);
        json_decref(options);
        return NULL;
    }
    if (!driver) {
        json_t *path = json_string(filename);

        if (!path) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "File name is not valid UTF-8");
            json_decref(options);
            return NULL;
        }
        json_object_set_new(options, "driver", json_string("file"));
        json_object_set_new(options, "filename", path);
        return options;
    }
    json_object_set_new(options, "driver", json_string(driver->name));
    if (!driver->parse_filename ||
        !driver->parse_filename(filename, options, error)) {
        if (error && !*error) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "Driver '%s' takes no file names", driver->name);
        }
        json_decref(options);
        return NULL;
    }
    nested = block_options_nest(options, error);
    json_decref(options);
    return nested;
}

bool block_expand_filename(json_t *options, const BlockDriver *driver,
                           GError **error)
{
    json_t *filename = json_object_get(options, "filename");
    json_t *given = json_object_get(options, "file");
    json_t *file;

    if (!json_is_string(filename) || (given && !json_is_object(given)) ||
        (driver->flags & BLOCK_DRIVER_PROTOCOL)) {
        return true;
    }
    for (const BlockOption *o = driver->options; o && o->name; o++) {
        if (!strcmp(o->name, "filename")) {
            return true;
        }
    }
    file = protocol_options(json_string_value(filename), error);
    if (!file) {
        return false;
    }
    if (given) {
        json_t *merged = block_options_merge(file, given);

        json_decref(file);
        file = merged;
    }
    json_object_set_new(options, "file", file);
    json_object_del(options, "filename");
    return true;
}

/* ---- Opening ------------------------------------------------------------ */

static const char *driver_of(json_t *options)
{
    return json_string_value(json_object_get(options, "driver"));
}

static bool is_protocol(const char *driver_name)
{
    const BlockDriver *driver = block_driver_find(driver_name);

    return driver && (driver->flags & BLOCK_DRIVER_PROTOCOL);
}

/*
 * Opens file_options, finds the format when none is given, and puts a node of
 * that format with further options on top.  Node-level options such as
 * node-name belong to the top node.
 */
BlockNode *block_open_probed(json_t *file_options, const char *format,
                             json_t *options, unsigned flags, GError **error)
{
    const BlockDriver *driver;
    BlockNode *file;
    BlockNode *top = NULL;
    json_t *whole;
    unsigned file_flags = (flags & ~(unsigned)(BLOCK_OPEN_DETECT_ZEROES |
                                               BLOCK_OPEN_DETECT_UNMAP)) |
                          BLOCK_OPEN_UNMAP;

    file = block_node_open(file_options, file_flags, error);
    if (!file) {
        return NULL;
    }
    driver = format ? block_driver_find(format)
                    : block_driver_probe(file, error);
    if (!driver) {
        if (format) {
            g_set_error(error, BLOCK_ERROR, EINVAL, "Unknown driver '%s'",
                        format);
        }
        block_node_unref(file);
        return NULL;
    }
    if (!format && !strcmp(driver->name, "raw")) {
        flags |= BLOCK_OPEN_PROBED;
    }
    whole = options ? json_deep_copy(options) : json_object();
    json_object_set_new(whole, "driver", json_string(driver->name));
    json_object_set_new(whole, "file", json_string(file->name));
    top = block_node_open(whole, flags, error);
    if (top) {
        /* Remember how to open it again, not the name of today's node. */
        json_object_set(top->options, "file", file_options);
    }
    json_decref(whole);
    block_node_unref(file);
    return top;
}

/* A description that has a "file" but no driver: the format is looked for
 * unless it is given. */
static BlockNode *open_by_file(json_t *options, const char *format,
                               unsigned flags, GError **error)
{
    json_t *file = json_deep_copy(json_object_get(options, "file"));
    json_t *rest = json_copy(options);
    BlockNode *node;

    if (json_is_object(file) && !driver_of(file)) {
        json_object_set_new(file, "driver", json_string("file"));
    }
    json_object_del(rest, "file");
    node = block_open_probed(file, format, rest, flags, error);
    json_decref(rest);
    json_decref(file);
    return node;
}

static BlockNode *open_json(const char *text, const char *format,
                            json_t *extra, unsigned flags, GError **error)
{
    json_error_t where;
    json_t *given = block_json_parse(text, &where);
    json_t *nested = NULL;
    json_t *merged = NULL;
    BlockNode *node = NULL;

    if (!json_is_object(given)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    given ? "Invalid JSON object given"
                          : "Could not parse the JSON options: %s",
                    given ? "" : where.text);
        json_decref(given);
        return NULL;
    }
    nested = block_options_nest(given, error);
    json_decref(given);
    if (!nested) {
        return NULL;
    }
    merged = extra ? block_options_merge(nested, extra) : json_incref(nested);
    if (driver_of(merged) &&
        !(format && is_protocol(driver_of(merged)) &&
          strcmp(format, driver_of(merged)) != 0)) {
        if (format && strcmp(format, driver_of(merged)) != 0) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "Driver specified twice");
        } else {
            node = block_node_open(merged, flags, error);
        }
    } else if (driver_of(merged)) {
        node = block_open_probed(nested, format, extra, flags, error);
    } else if (json_object_get(merged, "file")) {
        node = open_by_file(merged, format, flags, error);
    } else {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Must specify either driver or file");
    }
    json_decref(merged);
    json_decref(nested);
    return node;
}

BlockNode *block_node_open_filename(const char *filename, const char *format,
                                    json_t *options, unsigned flags,
                                    GError **error)
{
    const char *given = options ? driver_of(options) : NULL;
    json_t *extra = NULL;
    json_t *file;
    BlockNode *node = NULL;

    if (options && !(extra = block_options_nest(options, error))) {
        return NULL;
    }
    if (!format && given) {
        format = given;
    }
    block_graph_lock();
    if (g_str_has_prefix(filename, "json:")) {
        node = open_json(filename + 5, format, extra, flags, error);
        goto out;
    }
    file = protocol_options(filename, error);
    if (!file) {
        goto out;
    }
    if (format && is_protocol(format)) {
        if (!strcmp(driver_of(file), "file") &&
            !block_driver_for_protocol(filename)) {
            json_object_set_new(file, "driver", json_string(format));
        }
        if (extra) {
            json_t *merged = block_options_merge(file, extra);

            json_decref(file);
            file = merged;
        }
        node = block_node_open(file, flags, error);
    } else {
        /* "file": {...} among the options refines the protocol node. */
        json_t *more = extra ? json_object_get(extra, "file") : NULL;

        if (json_is_object(more)) {
            json_t *merged = block_options_merge(file, more);

            json_decref(file);
            file = merged;
        }
        node = block_open_probed(file, format, extra, flags, error);
    }
    json_decref(file);
out:
    block_graph_unlock();
    json_decref(extra);
    return node;
}

BlockNode *block_node_open_image_opts(const char *text, unsigned flags,
                                      GError **error)
{
    json_t *flat = block_options_parse_any(text, "driver", error);
    json_t *options = flat ? block_options_nest(flat, error) : NULL;
    BlockNode *node = NULL;

    json_decref(flat);
    if (!options) {
        return NULL;
    }
    if (driver_of(options)) {
        node = block_node_open(options, flags, error);
    } else {
        const char *name = NULL;

        if (block_options_string(options, "filename", &name, error) && name) {
            g_autofree char *copy = g_strdup(name);

            json_object_del(options, "filename");
            node = block_node_open_filename(copy, NULL, options, flags,
                                            error);
        } else if (json_object_get(options, "file")) {
            g_autofree char *json = json_dumps(options, 0);

            node = open_json(json, NULL, NULL, flags, error);
        } else if (error && !*error) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "Parameter 'driver' is missing");
        }
    }
    json_decref(options);
    return node;
}

/* ---- Children ----------------------------------------------------------- */

unsigned block_child_flags(unsigned parent, BlockRole role)
{
    unsigned flags = parent;

    flags &= ~(unsigned)(BLOCK_OPEN_DETECT_ZEROES | BLOCK_OPEN_DETECT_UNMAP |
                         BLOCK_OPEN_PROBED | BLOCK_OPEN_CHECK |
                         BLOCK_OPEN_WRITETHROUGH | BLOCK_OPEN_NO_BACKING);
    if (role == BLOCK_ROLE_BACKING) {
        flags &= ~(unsigned)(BLOCK_OPEN_RDWR | BLOCK_OPEN_AUTO_RDONLY |
                             BLOCK_OPEN_INACTIVE);
        flags |= parent & BLOCK_OPEN_INACTIVE;
    } else if (role == BLOCK_ROLE_FILE || role == BLOCK_ROLE_DATA) {
        /* What passes a format's own policy is meant. */
        flags |= BLOCK_OPEN_UNMAP;
    }
    if (role != BLOCK_ROLE_FILTERED) {
        flags &= ~(unsigned)BLOCK_OPEN_NO_IO;
    }
    return flags;
}

BlockEdge *block_open_child(BlockNode *node, json_t *options,
                            const char *name, BlockRole role, bool optional,
                            GError **error)
{
    json_t *ref = json_object_get(options, name);
    BlockNode *child;
    BlockEdge *edge;

    if (!ref || json_is_null(ref)) {
        if (!optional) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "A block device must be specified for \"%s\"", name);
        }
        return NULL;
    }
    if (json_is_object(ref) && !driver_of(ref)) {
        /* {"filename": ...}: a name to be looked at as usual. */
        const char *filename = json_string_value(json_object_get(ref,
                                                                 "filename"));
        json_t *copy = json_copy(ref);

        if (filename && role != BLOCK_ROLE_BACKING) {
            json_t *file = protocol_options(filename, error);
            json_t *merged;

            if (!file) {
                json_decref(copy);
                return NULL;
            }
            if (strcmp(driver_of(file), "file") != 0) {
                json_object_del(copy, "filename");
            }
            merged = block_options_merge(file, copy);
            child = block_node_open(merged,
                                    block_child_flags(node->flags, role),
                                    error);
            json_decref(file);
            json_decref(merged);
        } else {
            child = block_node_open(copy,
                                    block_child_flags(node->flags, role),
                                    error);
        }
        json_decref(copy);
    } else {
        child = block_node_from_ref(
            ref, block_child_flags(node->flags, role), error);
    }
    if (!child) {
        return NULL;
    }
    edge = block_attach_child(node, child, name, role, error);
    block_node_unref(child); /* the edge has its own reference */
    return edge;
}

/* The backing name as seen from the image: relative to its directory. */
static char *resolve_backing(const BlockNode *node, const char *name)
{
    const char *of = node->filename ? node->filename : "";
    g_autofree char *dir = NULL;

    if (g_path_is_absolute(name) || has_protocol(name) ||
        g_str_has_prefix(of, "json:") || has_protocol(of)) {
        return g_strdup(name);
    }
    dir = g_path_get_dirname(of);
    return strcmp(dir, ".") ? g_build_filename(dir, name, NULL)
                            : g_strdup(name);
}

char *block_backing_path(const BlockNode *node)
{
    return node->backing_filename
               ? resolve_backing(node, node->backing_filename) : NULL;
}

static bool same_file(const char *a, const char *b)
{
    struct stat sa, sb;

    return !strcmp(a, b) || (stat(a, &sa) == 0 && stat(b, &sb) == 0 &&
                             sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino);
}

/* Is what is below a node what its image records, as far as one can tell? */
static bool is_recorded(const BlockNode *above, const BlockNode *image)
{
    g_autofree char *path = block_backing_path(above);

    return path && (!json_object_get(above->options, "backing") ||
                    same_file(path, block_node_filename(image)));
}

BlockNode *block_chain_find_image(BlockNode *top, const char *name)
{
    BlockNode *above = block_node_skip_filters(top);
    BlockNode *image;

    while ((image = block_node_skip_filters(block_node_backing(above)))) {
        const char *recorded = above->backing_filename;
        g_autofree char *path = resolve_backing(above, name);

        if ((has_protocol(name) &&
             !strcmp(block_node_filename(image), name)) ||
            (recorded && !strcmp(recorded, name) &&
             is_recorded(above, image)) ||
            same_file(path, block_node_filename(image))) {
            return image;
        }
        above = image;
    }
    return NULL;
}

bool block_open_backing(BlockNode *node, json_t *options, GError **error)
{
    json_t *ref = json_object_get(options, "backing");
    g_autofree char *path = NULL;
    BlockNode *backing;
    BlockEdge *edge;

    if (node->backing || json_is_null(ref) ||
        (!ref && (!node->backing_filename ||
                  node->flags & BLOCK_OPEN_NO_BACKING))) {
        return true;
    }
    if (json_is_string(ref) && !*json_string_value(ref)) {
        return true; /* "": the old spelling of null */
    }
    if (json_is_string(ref) || (json_is_object(ref) && driver_of(ref) &&
                                (json_object_get(ref, "file") ||
                                 is_protocol(driver_of(ref)) ||
                                 !node->backing_filename))) {
        backing = block_node_from_ref(
            ref, block_child_flags(node->flags, BLOCK_ROLE_BACKING), error);
    } else if (json_is_object(ref) && json_object_get(ref, "file")) {
        backing = open_by_file(ref, driver_of(ref),
                               block_child_flags(node->flags,
                                                 BLOCK_ROLE_BACKING),
                               error);
    } else {
        const char *format = node->backing_format;

        if (!node->backing_filename) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "Parameter 'driver' is missing");
            return false;
        }
        if (ref && driver_of(ref)) {
            format = driver_of(ref);
        }
        path = resolve_backing(node, node->backing_filename);
        backing = block_node_open_filename(
            path, format && *format ? format : NULL,
            json_is_object(ref) ? ref : NULL,
            block_child_flags(node->flags, BLOCK_ROLE_BACKING), error);
        if (!backing) {
            g_prefix_error(error, "Could not open backing file: ");
        }
    }
    if (!backing) {
        return false;
    }
    edge = block_attach_child(node, backing, "backing", BLOCK_ROLE_BACKING,
                              error);
    block_node_unref(backing);
    return edge != NULL;
}
