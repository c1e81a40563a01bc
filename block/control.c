/*
 * Control requests that change a node's state: resize, reopen.
 */
#include "block/driver.h"

#include <errno.h>
#include <string.h>

#include "block/backend.h"
#include "block/dirty-bitmap.h"
#include "block/node-int.h"
#include "block/options.h"

/* ---- Resize ------------------------------------------------------------- */

static void tell_parents(BlockNode *node, uint64_t size)
{
    for (GList *l = block_core(node)->parents; l; l = l->next) {
        BlockEdge *edge = l->data;

        if (edge->backend) {
            block_backend_resized(edge->backend, size);
        } else if ((edge->parent->driver->flags & BLOCK_DRIVER_FILTER) &&
                   edge->parent->file == edge) {
            block_node_set_length(edge->parent, size);
            tell_parents(edge->parent, size);
        }
    }
}

static bool truncate_drained(BlockNode *node, uint64_t size, bool exact,
                             BlockPreallocation prealloc, GError **error)
{
    BlockNode *below = block_node_filtered(node);

    if (node->driver->truncate) {
        return node->driver->truncate(node, size, exact, prealloc, error);
    }
    if (!below) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP,
                    "Image format driver does not support resize");
        return false;
    }
    return block_truncate(below, size, exact, prealloc, error);
}

bool block_truncate(BlockNode *node, uint64_t size, bool exact,
                    BlockPreallocation prealloc, GError **error)
{
    bool ok;

    if (size > INT64_MAX) {
        g_set_error(error, BLOCK_ERROR, EFBIG, "Required too big image size, "
                    "it must be not greater than %" G_GINT64_FORMAT,
                    INT64_MAX);
        return false;
    }
    if (node->read_only) {
        g_set_error(error, BLOCK_ERROR, EACCES, "Image is read-only");
        return false;
    }
    block_node_drain_begin(node);
    ok = block_dirty_bitmaps_check_resize(node, error) &&
         truncate_drained(node, size, exact, prealloc, error) &&
         block_bitmaps_truncate(node, MAX(block_length(node), 0), error);
    __atomic_store_n(&block_core(node)->unflushed, 1, __ATOMIC_SEQ_CST);
    if (ok) {
        tell_parents(node, MAX(block_length(node), 0));
    }
    block_node_drain_end(node);
    return ok;
}

bool block_node_change_backing_file(BlockNode *node, const char *filename,
                                    const char *format, GError **error)
{
    bool ok;

    if (!node->driver->change_backing_file) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP,
                    "Driver '%s' of node '%s' does not record a backing file",
                    node->driver->name, node->name);
        return false;
    }
    block_node_drain_begin(node);
    ok = node->driver->change_backing_file(node, filename, format, error);
    if (ok) {
        g_free(node->backing_filename);
        g_free(node->backing_format);
        node->backing_filename = g_strdup(filename);
        node->backing_format = g_strdup(format);
    }
    block_node_drain_end(node);
    return ok;
}

/* ---- Reopen ------------------------------------------------------------- */

typedef struct Reopen {
    BlockNode *node;
    json_t *options; /* nested, complete */
    json_t *driver_options;
    unsigned flags;
    unsigned old_flags;
    bool old_read_only;
    bool flags_set;
    bool prepared;
    void *data;
    bool drained;
    /* A change of the backing child, if asked for. */
    bool change_backing;
    BlockNode *new_backing; /* own reference */
    BlockNode *old_backing; /* own reference */
    /* A change of another child, by a node with the same content. */
    BlockEdge *edge;     /* NULL: none */
    BlockNode *new_node; /* own reference */
    BlockNode *old_node; /* own reference */
} Reopen;

static void reopen_free(gpointer opaque)
{
    Reopen *r = opaque;

    json_decref(r->options);
    json_decref(r->driver_options);
    block_node_unref(r->new_backing);
    block_node_unref(r->old_backing);
    block_node_unref(r->new_node);
    block_node_unref(r->old_node);
    block_node_unref(r->node);
    g_free(r);
}

static bool unsupported(BlockNode *node, GError **error)
{
    g_set_error(error, BLOCK_ERROR, ENOTSUP, "Block format '%s' used by node "
                "'%s' does not support reopening files", node->driver->name,
                node->name);
    return false;
}

/* Equal but for spelling: true and "on", 1 and "1". */
static bool same_value(json_t *a, json_t *b)
{
    g_autofree char *x = NULL;
    g_autofree char *y = NULL;

    if (json_equal(a, b)) {
        return true;
    }
    if (json_is_boolean(a) != json_is_boolean(b)) {
        bool is_true = json_is_true(json_is_boolean(a) ? a : b);
        const char *word = json_string_value(json_is_boolean(a) ? b : a);

        return word && !strcmp(word, is_true ? "on" : "off");
    }
    x = json_is_string(a) ? g_strdup(json_string_value(a))
                          : json_dumps(a, JSON_ENCODE_ANY | JSON_SORT_KEYS);
    y = json_is_string(b) ? g_strdup(json_string_value(b))
                          : json_dumps(b, JSON_ENCODE_ANY | JSON_SORT_KEYS);
    return !g_strcmp0(x, y);
}

static bool cannot_change(const char *option, GError **error)
{
    g_set_error(error, BLOCK_ERROR, EINVAL, "Cannot change the option '%s'",
                option);
    return false;
}

static bool is_node(const BlockOption *o)
{
    return o->type == BLOCK_OPT_NODE || o->type == BLOCK_OPT_NODE_OR_NULL;
}

/* What a driver does not look at again must be as it was. */
static bool check_unchanged(Reopen *r, GError **error)
{
    json_t *old = r->node->options;

    for (const BlockOption *o = r->node->driver->options; o && o->name; o++) {
        json_t *now = block_options_get(r->options, o->name);
        json_t *was = block_options_get(old, o->name);

        if (o->reopens || is_node(o) || (!now && !was)) {
            continue;
        }
        if (!now) {
            g_set_error(error, BLOCK_ERROR, EINVAL, "Option '%s' cannot be "
                        "reset to its default value", o->name);
            return false;
        }
        if (!was || !same_value(now, was)) {
            return cannot_change(o->name, error);
        }
    }
    return true;
}

static bool queue_options(GPtrArray *queue, BlockNode *node, json_t *options,
                          unsigned flags, GError **error);

/* A child described by an object: it is opened again with these options,
 * unless it is another's. */
static bool queue_child(GPtrArray *queue, const Reopen *r,
                        const BlockEdge *edge, json_t *options,
                        GError **error)
{
    BlockNode *child = edge->node;
    const char *name = NULL;
    const char *driver = NULL;

    if (!block_options_string(options, "node-name", &name, error) ||
        !block_options_string(options, "driver", &driver, error)) {
        return false;
    }
    if (block_core(child)->monitor_owned ||
        (name && strcmp(name, child->name) != 0)) {
        g_autofree char *path = g_strconcat(edge->name, ".driver", NULL);

        return cannot_change(path, error);
    }
    if (driver && strcmp(driver, child->driver->name) != 0) {
        return cannot_change("driver", error);
    }
    return queue_options(queue, child, options,
                         block_child_flags(r->flags, edge->role), error);
}

/* A child named by a string: filters may be put in and taken out. */
static bool change_child(Reopen *r, BlockEdge *edge, const char *name,
                         GError **error)
{
    BlockNode *node = block_node_lookup(NULL, name, error);

    if (!node) {
        return false;
    }
    if (node == edge->node) {
        return true;
    }
    if (block_node_reaches(node, r->node)) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Making '%s' a %s child of "
                    "'%s' would create a cycle", node->name, edge->name,
                    r->node->name);
        return false;
    }
    if (r->edge || edge->frozen ||
        block_node_skip_filters(node) != block_node_skip_filters(edge->node)) {
        return cannot_change(edge->name, error);
    }
    r->edge = edge;
    r->new_node = block_node_ref(node);
    r->old_node = block_node_ref(edge->node);
    return true;
}

/* Objects say how children are opened, strings which they are. */
static bool queue_children(GPtrArray *queue, Reopen *r, GError **error)
{
    for (guint i = 0; i < r->node->children->len; i++) {
        BlockEdge *edge = g_ptr_array_index(r->node->children, i);
        bool backing = edge->role == BLOCK_ROLE_BACKING;
        json_t *ref = block_options_get(r->options, edge->name);

        if (json_is_object(ref)) {
            if (!queue_child(queue, r, edge, ref, error)) {
                return false;
            }
        } else if (!backing && json_is_string(ref) &&
                   !change_child(r, edge, json_string_value(ref), error)) {
            return false;
        }
    }
    return true;
}

/* What options["backing"] asks for. */
static bool reopen_backing(Reopen *r, GError **error)
{
    json_t *ref = json_object_get(r->options, "backing");
    BlockNode *current = block_node_backing(r->node);

    if (!ref) {
        if (current || r->node->backing_filename) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "backing is missing for '%s'", r->node->name);
            return false;
        }
        return true;
    }
    if (json_is_object(ref)) {
        if (!current) {
            return cannot_change("backing.driver", error);
        }
        return true; /* queue_children() has it */
    }
    if (!json_is_null(ref) && !json_is_string(ref)) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Invalid backing reference");
        return false;
    }
    if (json_is_string(ref)) {
        BlockNode *node = block_node_lookup(NULL, json_string_value(ref),
                                            error);

        if (!node) {
            return false;
        }
        if (node == current) {
            return true;
        }
        if (block_node_reaches(node, r->node)) {
            g_set_error(error, BLOCK_ERROR, EINVAL, "Making '%s' a backing "
                        "child of '%s' would create a cycle", node->name,
                        r->node->name);
            return false;
        }
        r->new_backing = block_node_ref(node);
    } else if (!current) {
        return true;
    }
    if (current && block_node_filtered(current) &&
        block_core(current)->implicit_name) {
        g_set_error(error, BLOCK_ERROR, EBUSY, "Cannot replace implicit "
                    "backing child of %s", r->node->name);
        return false;
    }
    r->change_backing = true;
    r->old_backing = current ? block_node_ref(current) : NULL;
    return true;
}

/* The driver sees the node as it was: flags change after this. */
static bool reopen_prepare(Reopen *r, GError **error)
{
    BlockNode *node = r->node;
    const BlockDriver *driver = node->driver;

    if (r->prepared) {
        return true;
    }
    if (driver->reopen_prepare) {
        if (!driver->reopen_prepare(node, r->driver_options, r->flags,
                                    &r->data, error)) {
            return false;
        }
        r->prepared = true;
    } else if (!(driver->flags & BLOCK_DRIVER_FILTER)) {
        return unsupported(node, error);
    }
    return true;
}

/* Flags count before permissions are checked; undone by reopen_undo(). */
static void reopen_set_flags(Reopen *r)
{
    r->flags_set = true;
    r->old_flags = r->node->flags;
    r->old_read_only = r->node->read_only;
    r->node->flags = r->flags;
    r->node->read_only = !(r->flags & BLOCK_OPEN_RDWR);
}

static bool reopen_apply(Reopen *r, GError **error)
{
    if (!reopen_prepare(r, error)) {
        return false;
    }
    reopen_set_flags(r);
    if (r->edge && !block_edge_move(r->edge, r->new_node, error)) {
        r->edge = NULL; /* nothing to undo */
        return false;
    }
    return !r->change_backing ||
           block_node_set_backing(r->node, r->new_backing, error);
}

static void reopen_undo(Reopen *r, bool applied)
{
    BlockNode *node = r->node;

    if (applied && r->edge) {
        block_edge_move(r->edge, r->old_node, NULL);
    }
    if (applied && r->change_backing) {
        block_node_set_backing(node, r->old_backing, NULL);
    }
    if (r->flags_set) {
        node->flags = r->old_flags;
        node->read_only = r->old_read_only;
    }
    if (r->prepared && node->driver->reopen_abort) {
        node->driver->reopen_abort(node, r->data);
    }
}

static void reopen_commit(Reopen *r)
{
    BlockNode *node = r->node;

    if (r->prepared && node->driver->reopen_commit) {
        node->driver->reopen_commit(node, r->data);
    }
    json_decref(node->options);
    node->options = json_incref(r->options);
}

static Reopen *reopen_new(BlockNode *node, json_t *options, unsigned flags)
{
    Reopen *r = g_new0(Reopen, 1);

    r->node = block_node_ref(node);
    r->options = json_incref(options);
    r->driver_options = block_driver_options(options);
    r->flags = flags;
    return r;
}

/*
 * Children that are not named in the call follow their parent's writability
 * (a format's file is opened as the format is).
 */
static bool add_children(GPtrArray *queue, BlockNode *node, unsigned flags,
                         GError **error)
{
    for (guint i = 0; i < node->children->len; i++) {
        BlockEdge *edge = g_ptr_array_index(node->children, i);
        BlockNode *child = edge->node;
        unsigned child_flags = child->flags;
        bool seen = false;

        for (guint j = 0; j < queue->len; j++) {
            Reopen *r = g_ptr_array_index(queue, j);

            seen |= r->node == child;
        }
        /* Named nodes are their owner's business. */
        if (seen || edge->role == BLOCK_ROLE_BACKING ||
            edge->role == BLOCK_ROLE_TARGET ||
            block_core(child)->monitor_owned) {
            continue;
        }
        child_flags = (child_flags & ~(unsigned)BLOCK_OPEN_RDWR) |
                      (flags & BLOCK_OPEN_RDWR);
        if (child_flags != child->flags) {
            g_ptr_array_add(queue, reopen_new(child, child->options,
                                              child_flags));
            if (!add_children(queue, child, child_flags, error)) {
                return false;
            }
        }
    }
    return true;
}

/* Writers are opened before those above need them, readers after. */
static bool run_reopen(GPtrArray *queue, GError **error)
{
    guint applied = 0;
    bool ok = true;

    for (guint i = 0; i < queue->len; i++) {
        Reopen *r = g_ptr_array_index(queue, i);

        block_node_drain_begin(r->node);
        if (!r->node->read_only) {
            block_flush(r->node);
        }
    }
    /* Who stops writing writes its last, while its children still can. */
    for (guint i = 0; i < queue->len && ok; i++) {
        Reopen *r = g_ptr_array_index(queue, i);

        if (!r->node->read_only && !(r->flags & BLOCK_OPEN_RDWR)) {
            ok = reopen_prepare(r, error);
        }
    }
    while (ok && applied < queue->len) {
        /* Bottom first: the parent may read through its child. */
        ok = reopen_apply(g_ptr_array_index(queue, queue->len - 1 - applied),
                          error);
        applied++;
    }
    for (guint i = 0; i < queue->len && ok; i++) {
        Reopen *r = g_ptr_array_index(queue, i);

        ok = block_refresh_perms(r->node, error);
    }
    for (guint i = queue->len; i-- > 0;) {
        Reopen *r = g_ptr_array_index(queue, i);
        /* Of those tried the last one failed, or permissions did. */
        bool was_applied = r->flags_set;

        if (ok) {
            reopen_commit(r);
        } else {
            reopen_undo(r, was_applied);
        }
    }
    for (guint i = 0; i < queue->len; i++) {
        Reopen *r = g_ptr_array_index(queue, i);

        block_refresh_perms(r->node, NULL);
    }
    for (guint i = queue->len; i-- > 0;) {
        Reopen *r = g_ptr_array_index(queue, i);

        block_node_drain_end(r->node);
    }
    return ok;
}

static bool queue_options(GPtrArray *queue, BlockNode *node, json_t *options,
                          unsigned flags, GError **error)
{
    Reopen *r;

    bool shared = node->flags & BLOCK_OPEN_FORCE_SHARE;

    if (!block_options_bool(options, "force-share", &shared, error)) {
        return false;
    }
    if (shared != !!(node->flags & BLOCK_OPEN_FORCE_SHARE)) {
        return cannot_change("force-share", error);
    }
    if (!block_flags_from_options(options, &flags, error)) {
        return false;
    }
    r = reopen_new(node, options, flags);
    g_ptr_array_add(queue, r);
    return block_options_check(r->driver_options, node->driver->options,
                               error) &&
           check_unchanged(r, error) && reopen_backing(r, error) &&
           queue_children(queue, r, error);
}

static bool queue_one(GPtrArray *queue, json_t *options, GError **error)
{
    const char *name = NULL;
    const char *driver = NULL;
    BlockNode *node;

    if (!block_options_string(options, "node-name", &name, error) ||
        !block_options_string(options, "driver", &driver, error)) {
        return false;
    }
    if (!name) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "node-name not specified");
        return false;
    }
    node = block_node_lookup(NULL, name, NULL);
    if (!node) {
        g_set_error(error, BLOCK_ERROR, ENOENT,
                    "Failed to find node with node-name='%s'", name);
        return false;
    }
    if (driver && strcmp(driver, node->driver->name) != 0) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Cannot change the option 'driver'");
        return false;
    }
    return queue_options(queue, node, options, BLOCK_OPEN_RDWR, error);
}

bool block_node_reopen(json_t *const *options, size_t count, GError **error)
{
    g_autoptr(GPtrArray) queue = g_ptr_array_new_with_free_func(reopen_free);
    bool ok = true;

    block_graph_lock();
    for (size_t i = 0; i < count && ok; i++) {
        json_t *nested = block_options_nest(options[i], error);

        ok = nested && queue_one(queue, nested, error);
        json_decref(nested);
    }
    for (guint i = queue->len; i-- > 0 && ok;) {
        Reopen *r = g_ptr_array_index(queue, i);

        ok = add_children(queue, r->node, r->flags, error);
    }
    ok = ok && run_reopen(queue, error);
    block_graph_unlock();
    return ok;
}

bool block_node_reopen_read_only(BlockNode *node, bool read_only,
                                 GError **error)
{
    g_autoptr(GPtrArray) queue = g_ptr_array_new_with_free_func(reopen_free);
    unsigned flags = node->flags & ~(unsigned)BLOCK_OPEN_RDWR;
    bool ok;

    if (node->read_only == read_only) {
        return true;
    }
    block_graph_lock();
    if (!read_only) {
        flags |= BLOCK_OPEN_RDWR;
    }
    g_ptr_array_add(queue, reopen_new(node, node->options, flags));
    ok = add_children(queue, node, flags, error) && run_reopen(queue, error);
    block_graph_unlock();
    return ok;
}
