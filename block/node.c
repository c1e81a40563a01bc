/*
 * Nodes: opening from a description, naming, life and death, facts.
 *
 * A node is opened depth first: its driver's open() opens the children it
 * wants through block_open_child(), the core adds the backing child last.
 * Edges and permissions are in graph.c, names of image files in filename.c,
 * requests in request.c.
 */
#include "block/driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "block/backend.h"
#include "block/monitor-nodes.h"
#include "block/node-int.h"
#include "block/options.h"
#include "util/log.h"

#define MAX_OPEN_DEPTH 256 /* of nodes being opened within one another */

static GRecMutex graph_mutex;
static GQueue all_nodes = G_QUEUE_INIT;     /* graph lock */
static GQueue monitor_nodes = G_QUEUE_INIT; /* graph lock; each owns a ref */
static unsigned next_auto_name;             /* graph lock */

void block_graph_lock(void)
{
    g_rec_mutex_lock(&graph_mutex);
}

void block_graph_unlock(void)
{
    g_rec_mutex_unlock(&graph_mutex);
}

/* ---- Events ------------------------------------------------------------- */

static BlockEventFn *event_handler;
static void *event_opaque;

void block_set_event_handler(BlockEventFn *handler, void *opaque)
{
    event_opaque = opaque;
    event_handler = handler;
}

void block_event(const char *name, json_t *data)
{
    if (event_handler) {
        event_handler(name, data, event_opaque);
    } else {
        json_decref(data);
    }
}

/* ---- Generic options ---------------------------------------------------- */

static const BlockOption generic_options[] = {
    { "driver", BLOCK_OPT_STRING, .required = true },
    { "node-name", BLOCK_OPT_STRING },
    { "read-only", BLOCK_OPT_BOOL },
    { "auto-read-only", BLOCK_OPT_BOOL },
    { "force-share", BLOCK_OPT_BOOL },
    { "discard", BLOCK_OPT_ENUM, "ignore/unmap/off/on" },
    { "detect-zeroes", BLOCK_OPT_ENUM, "off/on/unmap" },
    { "cache", BLOCK_OPT_OBJECT },
    { NULL },
};

static const BlockOption cache_options[] = {
    { "direct", BLOCK_OPT_BOOL },
    { "no-flush", BLOCK_OPT_BOOL },
    { "writeback", BLOCK_OPT_BOOL },
    { NULL },
};

const BlockOption *block_generic_options(void)
{
    return generic_options;
}

static bool is_generic(const char *key)
{
    for (const BlockOption *o = generic_options; o->name; o++) {
        if (!strcmp(o->name, key)) {
            return true;
        }
    }
    return false;
}

json_t *block_driver_options(json_t *options)
{
    json_t *rest = json_object();
    const char *key;
    json_t *value;

    json_object_foreach(options, key, value) {
        if (!is_generic(key) && strcmp(key, "backing") != 0) {
            json_object_set(rest, key, value);
        }
    }
    return rest;
}

static void set_flag(unsigned *flags, unsigned flag, bool on)
{
    *flags = on ? *flags | flag : *flags & ~flag;
}

bool block_flags_from_options(json_t *options, unsigned *flags,
                              GError **error)
{
    static const struct {
        const char *key;
        unsigned flag;
    } switches[] = {
        { "auto-read-only", BLOCK_OPEN_AUTO_RDONLY },
        { "force-share", BLOCK_OPEN_FORCE_SHARE },
        { "cache.direct", BLOCK_OPEN_DIRECT },
        { "cache.no-flush", BLOCK_OPEN_NO_FLUSH },
    };
    json_t *cache = json_object_get(options, "cache");
    bool read_only = !(*flags & BLOCK_OPEN_RDWR);
    int discard = *flags & BLOCK_OPEN_UNMAP ? 1 : 0;
    int zeroes = *flags & BLOCK_OPEN_DETECT_UNMAP ? 2
                 : *flags & BLOCK_OPEN_DETECT_ZEROES ? 1 : 0;

    if (cache && !json_is_object(cache)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Invalid parameter type for 'cache', expected: object");
        return false;
    }
    if (cache && !block_options_check(cache, cache_options, error)) {
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(switches); i++) {
        bool on = *flags & switches[i].flag;

        if (!block_options_bool(options, switches[i].key, &on, error)) {
            return false;
        }
        set_flag(flags, switches[i].flag, on);
    }
    if (!block_options_bool(options, "read-only", &read_only, error) ||
        !block_options_enum(options, "discard", "ignore/unmap/off/on",
                            &discard, error) ||
        !block_options_enum(options, "detect-zeroes", "off/on/unmap",
                            &zeroes, error)) {
        return false;
    }
    set_flag(flags, BLOCK_OPEN_RDWR, !read_only);
    set_flag(flags, BLOCK_OPEN_UNMAP, discard & 1);
    set_flag(flags, BLOCK_OPEN_DETECT_ZEROES, zeroes != 0);
    set_flag(flags, BLOCK_OPEN_DETECT_UNMAP, zeroes == 2);
    if (zeroes == 2 && !(discard & 1)) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "setting detect-zeroes to "
                    "unmap is not allowed without setting discard operation "
                    "to unmap");
        return false;
    }
    if ((*flags & BLOCK_OPEN_FORCE_SHARE) && (*flags & BLOCK_OPEN_RDWR)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "force-share=on can only be used with read-only images");
        return false;
    }
    return true;
}

/* ---- Names -------------------------------------------------------------- */

bool block_name_wellformed(const char *name)
{
    if (!g_ascii_isalpha(*name)) {
        return false;
    }
    for (const char *p = name; *p; p++) {
        if (!g_ascii_isalnum(*p) && !strchr("-._", *p)) {
            return false;
        }
    }
    return true;
}

bool block_node_name_valid(const char *name)
{
    return block_name_wellformed(name) &&
           strlen(name) < sizeof(((BlockNode *)0)->name);
}

static BlockNode *find_node(const char *name)
{
    for (GList *l = all_nodes.head; l; l = l->next) {
        BlockNode *node = l->data;

        if (!strcmp(node->name, name)) {
            return node;
        }
    }
    return NULL;
}

static bool assign_name(BlockNodeCore *core, const char *name, GError **error)
{
    BlockNode *node = &core->node;

    if (!name) {
        g_snprintf(node->name, sizeof(node->name), "#block%03u",
                   next_auto_name++);
        core->implicit_name = true;
        return true;
    }
    if (!block_node_name_valid(name)) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Invalid node-name: '%s'",
                    name);
        return false;
    }
    if (find_node(name)) {
        g_set_error(error, BLOCK_ERROR, EEXIST,
                    "Duplicate nodes with node-name='%s'", name);
        return false;
    }
    if (block_backend_find(name)) {
        g_set_error(error, BLOCK_ERROR, EEXIST,
                    "node-name=%s is conflicting with a device id", name);
        return false;
    }
    g_strlcpy(node->name, name, sizeof(node->name));
    return true;
}

BlockNode *block_node_find(const char *name)
{
    BlockNode *node = find_node(name);
    BlockBackend *backend = node ? NULL : block_backend_find(name);

    return backend ? block_backend_node(backend) : node;
}

BlockNode *block_node_lookup(const char *device, const char *node_name,
                             GError **error)
{
    BlockBackend *backend = device ? block_backend_find(device) : NULL;
    BlockNode *node;

    if (backend) {
        node = block_backend_node(backend);
        if (!node) {
            g_set_error(error, BLOCK_ERROR, ENOMEDIUM,
                        "Device '%s' has no medium", device);
        }
        return node;
    }
    node = node_name ? find_node(node_name) : NULL;
    if (!node) {
        g_set_error(error, BLOCK_ERROR, ENODEV,
                    "Cannot find device='%s' nor node-name='%s'",
                    device ? device : "", node_name ? node_name : "");
    }
    return node;
}

BlockNode *block_node_next(BlockNode *prev)
{
    GList *link = prev ? block_core(prev)->link.next : all_nodes.head;

    return link ? link->data : NULL;
}

/* ---- Opening ------------------------------------------------------------ */

static void node_destroy(BlockNodeCore *core)
{
    BlockNode *node = &core->node;

    while (node->children->len) {
        block_detach_child(node,
                           g_ptr_array_index(node->children,
                                             node->children->len - 1));
    }
    block_bitmaps_release_all(node);
    if (core->link.data) {
        g_queue_unlink(&all_nodes, &core->link);
    }
    g_ptr_array_unref(node->children);
    g_free(node->state);
    g_free(node->filename);
    g_free(node->backing_filename);
    g_free(node->backing_format);
    g_free(node->backing_auto_dir);
    json_decref(node->options);
    block_gate_clear(&core->gate);
    g_rw_lock_clear(&core->rmw_lock);
    g_mutex_clear(&core->flush_lock);
    g_free(core);
}

/* A node with defaults, not yet opened and in no list. */
static BlockNodeCore *node_alloc(const BlockDriver *driver, json_t *options,
                                 unsigned flags)
{
    BlockNodeCore *core = g_new0(BlockNodeCore, 1);
    BlockNode *node = &core->node;

    core->refs = 1;
    core->unflushed = 1; /* whoever wrote before us may not have */
    block_gate_init(&core->gate);
    g_rw_lock_init(&core->rmw_lock);
    core->shared = BLOCK_PERM_ALL;
    g_mutex_init(&core->flush_lock);
    node->core = core;
    node->driver = driver;
    node->state = g_malloc0(MAX(driver->state_size, 1));
    node->flags = flags;
    node->read_only = !(flags & BLOCK_OPEN_RDWR);
    node->options = json_deep_copy(options);
    node->children = g_ptr_array_new();
    node->limits.request_alignment = 1;
    node->limits.memory_alignment = 1;
    return core;
}

/* Facts of the primary child that a driver did not say otherwise. */
static void inherit_facts(BlockNode *node)
{
    BlockNode *below = block_edge_node(node->file);

    if (!below) {
        if (!node->filename) {
            node->filename = g_strdup("");
        }
        return;
    }
    if (node->driver->flags & BLOCK_DRIVER_FILTER) {
        if (node->limits.request_alignment == 1) {
            node->limits.request_alignment = below->limits.request_alignment;
        }
        if (!node->limits.max_transfer) {
            node->limits.max_transfer = below->limits.max_transfer;
        }
        if (!node->limits.opt_transfer) {
            node->limits.opt_transfer = below->limits.opt_transfer;
        }
        if (!node->limits.cluster_size) {
            node->limits.cluster_size = below->limits.cluster_size;
        }
        if (!node->length) {
            block_node_set_length(node, MAX(block_length(below), 0));
        }
    }
    node->limits.memory_alignment = MAX(node->limits.memory_alignment,
                                        below->limits.memory_alignment);
    if (!node->filename) {
        node->filename = g_strdup(below->filename);
    }
}

static bool backing_allowed(const BlockDriver *driver, json_t *options,
                            GError **error)
{
    if (json_object_get(options, "backing") &&
        !(driver->flags & BLOCK_DRIVER_BACKING)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter 'backing' is unexpected");
        return false;
    }
    return true;
}

BlockNode *block_node_build(const BlockDriver *driver, const char *name,
                            json_t *options, unsigned flags, GError **error)
{
    json_t *own = NULL;
    BlockNodeCore *core = node_alloc(driver, options, flags);
    BlockNode *node = &core->node;

    if (!assign_name(core, name, error) ||
        !backing_allowed(driver, options, error)) {
        goto fail;
    }
    own = block_driver_options(options);
    if (!block_options_check(own, driver->options, error)) {
        goto fail;
    }
    core->link.data = node;
    g_queue_push_tail_link(&all_nodes, &core->link);
    if (!driver->open(node, own, error)) {
        if (error && !*error) {
            g_set_error(error, BLOCK_ERROR, EIO, "Could not open image");
        }
        goto fail;
    }
    inherit_facts(node);
    if (!block_open_backing(node, options, error) ||
        !block_refresh_perms(node, error)) {
        if (driver->close) {
            driver->close(node);
        }
        goto fail;
    }
    json_decref(own);
    log_printf(LOG_BLOCK, "block: opened %s (%s%s)\n", node->name,
               driver->name, node->read_only ? ", read-only" : "");
    return node;
fail:
    json_decref(own);
    node_destroy(core);
    return NULL;
}

BlockNode *block_node_open(json_t *options, unsigned flags, GError **error)
{
    static int depth; /* graph lock */
    const char *driver_name = NULL;
    const char *name = NULL;
    const BlockDriver *driver;
    BlockNode *node = NULL;
    json_t *nested;

    if (!json_is_object(options)) {
        return block_node_from_ref(options, flags, error);
    }
    nested = block_options_nest(options, error);
    if (!nested) {
        return NULL;
    }
    block_graph_lock();
    if (!json_is_object(nested) ||
        !block_options_string(nested, "driver", &driver_name, error) ||
        !block_options_string(nested, "node-name", &name, error) ||
        !block_flags_from_options(nested, &flags, error)) {
        if (error && !*error) {
            g_set_error(error, BLOCK_ERROR, EINVAL, "Invalid parameter '0'");
        }
        goto out;
    }
    if (!driver_name) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter 'driver' is missing");
        goto out;
    }
    driver = block_driver_find(driver_name);
    if (!driver) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Unknown driver '%s'",
                    driver_name);
        goto out;
    }
    if (depth >= MAX_OPEN_DEPTH) {
        g_set_error(error, BLOCK_ERROR, ELOOP, "Too many nested images");
        goto out;
    }
    if (!block_expand_filename(nested, driver, error)) {
        goto out;
    }
    depth++;
    node = block_node_build(driver, name, nested, flags, error);
    depth--;
out:
    block_graph_unlock();
    json_decref(nested);
    return node;
}

BlockNode *block_node_from_ref(json_t *ref, unsigned flags, GError **error)
{
    BlockNode *node;

    if (json_is_object(ref)) {
        return block_node_open(ref, flags, error);
    }
    if (!json_is_string(ref)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Expected a node name or a description of a node");
        return NULL;
    }
    block_graph_lock();
    node = block_node_lookup(json_string_value(ref), json_string_value(ref),
                             error);
    if (node) {
        block_node_ref(node);
    }
    block_graph_unlock();
    return node;
}

BlockNode *block_node_ref(BlockNode *node)
{
    __atomic_fetch_add(&block_core(node)->refs, 1, __ATOMIC_RELAXED);
    return node;
}

void block_node_unref(BlockNode *node)
{
    BlockNodeCore *core;

    if (!node) {
        return;
    }
    core = block_core(node);
    block_graph_lock();
    if (__atomic_sub_fetch(&core->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        /* Requests of the last user may still be leaving. */
        core->refs = 1;
        block_node_drain_begin(node);
        if (!(node->flags & BLOCK_OPEN_NO_IO) && !node->read_only) {
            block_flush(node);
        }
        if (node->driver->close) {
            node->driver->close(node);
        }
        block_node_drain_end(node);
        log_printf(LOG_BLOCK, "block: closed %s\n", node->name);
        node_destroy(core);
    }
    block_graph_unlock();
}

void block_monitor_own(BlockNode *node)
{
    BlockNodeCore *core = block_core(node);

    core->monitor_owned = true;
    core->monitor_link.data = node;
    g_queue_push_tail_link(&monitor_nodes, &core->monitor_link);
}

void block_monitor_disown(BlockNode *node)
{
    BlockNodeCore *core = block_core(node);

    if (core->monitor_owned) {
        core->monitor_owned = false;
        g_queue_unlink(&monitor_nodes, &core->monitor_link);
        block_node_unref(node);
    }
}

void block_close_all(void)
{
    block_graph_lock();
    while (monitor_nodes.tail) {
        block_monitor_disown(monitor_nodes.tail->data);
    }
    block_graph_unlock();
}

/* ---- Registry ----------------------------------------------------------- */

#define BLOCK_DRIVER(symbol) extern const BlockDriver symbol;
#include "block/drivers.def"
#undef BLOCK_DRIVER

#define BLOCK_DRIVER(symbol) &symbol,
static const BlockDriver *const drivers[] = {
#include "block/drivers.def"
};
#undef BLOCK_DRIVER

const BlockDriver *block_driver_next(const BlockDriver *prev)
{
    size_t i = 0;

    while (prev && i < G_N_ELEMENTS(drivers) && drivers[i++] != prev) {
    }
    return i < G_N_ELEMENTS(drivers) ? drivers[i] : NULL;
}

const BlockDriver *block_driver_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(drivers); i++) {
        if (!strcmp(drivers[i]->name, name)) {
            return drivers[i];
        }
    }
    return NULL;
}

/* ---- Facts -------------------------------------------------------------- */

const char *block_node_name(const BlockNode *node)
{
    return node->name;
}

const char *block_node_driver_name(const BlockNode *node)
{
    return node->driver->name;
}

const BlockDriver *block_node_driver(const BlockNode *node)
{
    return node->driver;
}

const char *block_node_filename(const BlockNode *node)
{
    return node->filename ? node->filename : "";
}

bool block_node_is_read_only(const BlockNode *node)
{
    return node->read_only;
}

bool block_node_is_writable(const BlockNode *node)
{
    return !node->read_only && !(node->flags & BLOCK_OPEN_INACTIVE);
}

unsigned block_node_open_flags(const BlockNode *node)
{
    return node->flags;
}

const BlockLimits *block_node_limits(const BlockNode *node)
{
    return &node->limits;
}

BlockNode *block_node_child(BlockNode *node, const char *name)
{
    for (guint i = 0; i < node->children->len; i++) {
        BlockEdge *edge = g_ptr_array_index(node->children, i);

        if (!strcmp(edge->name, name)) {
            return edge->node;
        }
    }
    return NULL;
}

BlockNode *block_node_backing(BlockNode *node)
{
    return block_edge_node(node->backing);
}

BlockNode *block_node_filtered(BlockNode *node)
{
    return node->driver->flags & BLOCK_DRIVER_FILTER
               ? block_edge_node(node->file) : NULL;
}

BlockNode *block_node_primary(BlockNode *node)
{
    return block_edge_node(node->file);
}

BlockNode *block_node_skip_filters(BlockNode *node)
{
    BlockNode *below;

    while (node && (below = block_node_filtered(node))) {
        node = below;
    }
    return node;
}

const char *block_node_backing_filename(const BlockNode *node)
{
    return node->backing_filename;
}

const char *block_node_backing_format(const BlockNode *node)
{
    return node->backing_format;
}

int block_preallocation_parse(const char *word)
{
    static const char *const words[] = { "off", "metadata", "falloc",
                                         "full" };

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (!strcmp(word, words[i])) {
            return i;
        }
    }
    return -1;
}

bool block_node_create(json_t *options, GError **error)
{
    const char *name = NULL;
    const BlockDriver *driver;
    json_t *rest;
    bool ok;

    if (!block_options_string(options, "driver", &name, error)) {
        return false;
    }
    driver = name ? block_driver_find(name) : NULL;
    if (!driver || !driver->create) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP,
                    name ? driver ? "Driver does not support blockdev-create"
                                  : "Unknown driver '%s'"
                         : "Parameter 'driver' is missing", name);
        return false;
    }
    rest = json_copy(options);
    json_object_del(rest, "driver");
    block_graph_lock();
    ok = block_options_check(rest, driver->create_options, error) &&
         driver->create(rest, error);
    block_graph_unlock();
    json_decref(rest);
    return ok;
}
