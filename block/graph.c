/*
 * Edges between nodes: permissions, draining, replacing.
 *
 * Permissions are recomputed top-down over the part of the graph below a
 * change: the permissions on a node are the union of what its parents use,
 * what is shared is the intersection; its driver turns that into what it
 * needs of each child.  The whole update is computed first and undone when
 * any two users of a node do not get along or a driver cannot take a lock.
 */
#include "block/driver.h"

#include <errno.h>
#include <string.h>

#include "block/backend.h"
#include "block/dirty-bitmap.h"
#include "block/monitor-nodes.h"
#include "block/node-int.h"
#include "util/log.h"

#define PASS_PERMS (BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE | \
                    BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_RESIZE)

/* ---- Permissions -------------------------------------------------------- */

char *block_perm_names(unsigned perm)
{
    static const char *const names[] = {
        "consistent read", "write", "write unchanged", "resize",
        "change children",
    };
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (perm & (1u << i)) {
            g_string_append_printf(text, "%s%s", text->len ? ", " : "",
                                   names[i]);
        }
    }
    return g_string_free(text, FALSE);
}

void block_node_perms(BlockNode *node, unsigned *perm, unsigned *shared)
{
    *perm = 0;
    *shared = BLOCK_PERM_ALL;
    for (GList *l = block_core(node)->parents; l; l = l->next) {
        BlockEdge *edge = l->data;

        *perm |= edge->perm;
        *shared &= edge->shared;
    }
}

void block_default_child_perm(BlockNode *node, const BlockEdge *edge,
                              unsigned perm, unsigned shared,
                              unsigned *child_perm, unsigned *child_shared)
{
    bool writable = block_node_is_writable(node);
    unsigned p = perm & PASS_PERMS;
    unsigned s = (shared & PASS_PERMS) | (BLOCK_PERM_ALL & ~PASS_PERMS);

    switch (edge->role) {
    case BLOCK_ROLE_FILTERED:
    case BLOCK_ROLE_TARGET:
        break;
    case BLOCK_ROLE_BACKING:
        p &= BLOCK_PERM_CONSISTENT_READ;
        s = shared & BLOCK_PERM_WRITE ? BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE
                                      : 0;
        s |= BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_GRAPH_MOD |
             BLOCK_PERM_WRITE_UNCHANGED;
        break;
    case BLOCK_ROLE_FILE:
        if (writable) {
            p |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
        }
        if (!(node->flags & BLOCK_OPEN_NO_IO)) {
            p |= BLOCK_PERM_CONSISTENT_READ;
        }
        s &= ~(unsigned)(BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE);
        break;
    case BLOCK_ROLE_DATA:
        if (p & BLOCK_PERM_WRITE) {
            p |= BLOCK_PERM_RESIZE;
        }
        s &= ~(unsigned)BLOCK_PERM_RESIZE;
        break;
    }
    if (node->flags & BLOCK_OPEN_INACTIVE) {
        s |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
    if (node->flags & BLOCK_OPEN_FORCE_SHARE) {
        s = BLOCK_PERM_ALL;
    }
    *child_perm = p;
    *child_shared = s;
}

static void edge_user(const BlockEdge *edge, char *buf, size_t size)
{
    if (edge->parent) {
        g_snprintf(buf, size, "node '%s'", edge->parent->name);
    } else {
        g_snprintf(buf, size, "%s", block_backend_label(edge->backend));
    }
}

static bool check_pair(const BlockEdge *a, const BlockEdge *b, GError **error)
{
    unsigned clash = a->perm & ~b->shared;
    g_autofree char *what = NULL;
    char user_a[128];
    char user_b[128];

    if (!clash) {
        return true;
    }
    what = block_perm_names(clash);
    edge_user(a, user_a, sizeof(user_a));
    edge_user(b, user_b, sizeof(user_b));
    g_set_error(error, BLOCK_ERROR, EPERM,
                "Permission conflict on node '%s': permissions '%s' are both "
                "required by %s (uses node '%s' as '%s' child) and unshared "
                "by %s (uses node '%s' as '%s' child).", a->node->name, what,
                user_a, a->node->name, a->name, user_b, b->node->name,
                b->name);
    return false;
}

static bool check_parents(BlockNode *node, GError **error)
{
    for (GList *l = block_core(node)->parents; l; l = l->next) {
        for (GList *m = block_core(node)->parents; m; m = m->next) {
            if (l != m && !check_pair(l->data, m->data, error)) {
                return false;
            }
        }
    }
    return true;
}

/* Nodes below node in topological order, parents first. */
static void sort_below(BlockNode *node, GHashTable *seen, GQueue *order)
{
    if (!g_hash_table_add(seen, node)) {
        return;
    }
    for (guint i = 0; i < node->children->len; i++) {
        BlockEdge *edge = g_ptr_array_index(node->children, i);

        sort_below(edge->node, seen, order);
    }
    g_queue_push_head(order, node);
}

typedef struct PermUpdate {
    GPtrArray *edges; /* touched */
    GPtrArray *nodes; /* whose permissions change */
} PermUpdate;

static void touch_edge(PermUpdate *update, BlockEdge *edge, unsigned perm,
                       unsigned shared)
{
    if (!edge->touched) {
        edge->touched = true;
        edge->old_perm = edge->perm;
        edge->old_shared = edge->shared;
        g_ptr_array_add(update->edges, edge);
    }
    edge->perm = perm;
    edge->shared = shared;
}

static bool update_node(PermUpdate *update, BlockNode *node, GError **error)
{
    unsigned perm;
    unsigned shared;

    block_node_perms(node, &perm, &shared);
    if (!check_parents(node, error)) {
        return false;
    }
    if ((perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED)) &&
        !block_node_is_writable(node)) {
        g_set_error(error, BLOCK_ERROR, EPERM,
                    node->read_only ? "Block node is read-only"
                                    : "Block node is inactive");
        return false;
    }
    for (guint i = 0; i < node->children->len; i++) {
        BlockEdge *edge = g_ptr_array_index(node->children, i);
        unsigned p;
        unsigned s;

        (node->driver->child_perm ? node->driver->child_perm
                                  : block_default_child_perm)(
            node, edge, perm, shared, &p, &s);
        if (node->flags & BLOCK_OPEN_FORCE_SHARE) {
            s = BLOCK_PERM_ALL;
        }
        touch_edge(update, edge, p, s);
    }
    if (perm != block_core(node)->perm ||
        shared != block_core(node)->shared) {
        g_ptr_array_add(update->nodes, node);
        if (node->driver->set_perm &&
            !node->driver->set_perm(node, perm, shared, error)) {
            return false;
        }
    }
    return true;
}

static void finish_update(PermUpdate *update, bool ok)
{
    for (guint i = 0; i < update->edges->len; i++) {
        BlockEdge *edge = g_ptr_array_index(update->edges, i);

        edge->touched = false;
        if (!ok) {
            edge->perm = edge->old_perm;
            edge->shared = edge->old_shared;
        }
    }
    for (guint i = 0; i < update->nodes->len; i++) {
        BlockNode *node = g_ptr_array_index(update->nodes, i);
        BlockNodeCore *core = block_core(node);

        if (ok) {
            block_node_perms(node, &core->perm, &core->shared);
        } else if (node->driver->set_perm) {
            node->driver->set_perm(node, core->perm, core->shared, NULL);
        }
    }
    g_ptr_array_unref(update->edges);
    g_ptr_array_unref(update->nodes);
}

/*
 * Updates everything below node and below also (NULL: nothing), which goes
 * first unless node is above it.  The caller finishes the update.
 */
static bool run_update(PermUpdate *update, BlockNode *node, BlockNode *also,
                       GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    GQueue order = G_QUEUE_INIT;
    bool ok = true;

    sort_below(node, seen, &order);
    if (also) {
        sort_below(also, seen, &order);
    }
    for (GList *l = order.head; l && ok; l = l->next) {
        ok = update_node(update, l->data, error);
    }
    g_queue_clear(&order);
    return ok;
}

static PermUpdate update_begin(void)
{
    return (PermUpdate){ g_ptr_array_new(), g_ptr_array_new() };
}

bool block_refresh_perms(BlockNode *node, GError **error)
{
    PermUpdate update = update_begin();
    bool ok = run_update(&update, node, NULL, error);

    finish_update(&update, ok);
    return ok;
}

bool block_edge_set_perm(BlockEdge *edge, unsigned perm, unsigned shared,
                         GError **error)
{
    PermUpdate update = update_begin();
    bool ok;

    touch_edge(&update, edge, perm, shared);
    ok = run_update(&update, edge->node, NULL, error);
    finish_update(&update, ok);
    return ok;
}

/* ---- Edges -------------------------------------------------------------- */

bool block_node_reaches(BlockNode *from, BlockNode *to)
{
    if (from == to) {
        return true;
    }
    for (guint i = 0; i < from->children->len; i++) {
        BlockEdge *edge = g_ptr_array_index(from->children, i);

        if (block_node_reaches(edge->node, to)) {
            return true;
        }
    }
    return false;
}

static void link_parent(BlockEdge *edge, BlockNode *child)
{
    BlockNodeCore *core = block_core(child);

    edge->node = child;
    edge->parent_link.data = edge;
    edge->parent_link.prev = NULL;
    edge->parent_link.next = core->parents;
    if (core->parents) {
        core->parents->prev = &edge->parent_link;
    }
    core->parents = &edge->parent_link;
}

static void unlink_parent(BlockEdge *edge)
{
    BlockNodeCore *core = block_core(edge->node);

    core->parents = g_list_remove_link(core->parents, &edge->parent_link);
}

BlockEdge *block_edge_new(BlockNode *parent, void *backend, BlockNode *child,
                          const char *name, BlockRole role, unsigned perm,
                          unsigned shared, GError **error)
{
    BlockEdge *edge = g_new0(BlockEdge, 1);
    PermUpdate update = update_begin();
    bool ok;

    edge->parent = parent;
    edge->backend = backend;
    edge->role = role;
    edge->perm = perm;
    edge->shared = shared;
    g_strlcpy(edge->name, name, sizeof(edge->name));
    link_parent(edge, child);
    ok = run_update(&update, child, NULL, error);
    if (!ok) {
        /* Undo without this edge in the sums. */
        unlink_parent(edge);
    }
    finish_update(&update, ok);
    if (!ok) {
        g_free(edge);
        return NULL;
    }
    block_node_ref(child);
    return edge;
}

void block_edge_free(BlockEdge *edge)
{
    BlockNode *child = edge->node;

    unlink_parent(edge);
    g_free(edge);
    block_refresh_perms(child, NULL); /* fewer users: cannot fail */
    block_node_unref(child);
}

BlockEdge *block_attach_child(BlockNode *parent, BlockNode *child,
                              const char *name, BlockRole role,
                              GError **error)
{
    BlockEdge *edge;

    if (block_node_reaches(child, parent)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Making '%s' a %s child of '%s' would create a cycle",
                    child->name, name, parent->name);
        return NULL;
    }
    /* Permissions come with the refresh after open or by the caller. */
    edge = block_edge_new(parent, NULL, child, name, role, 0, BLOCK_PERM_ALL,
                          error);
    if (!edge) {
        return NULL;
    }
    g_ptr_array_add(parent->children, edge);
    if (!strcmp(name, "backing")) {
        parent->backing = edge;
    } else if (!parent->file && (!strcmp(name, "file") ||
                                 role == BLOCK_ROLE_FILTERED)) {
        parent->file = edge;
    }
    return edge;
}

void block_detach_child(BlockNode *parent, BlockEdge *edge)
{
    g_ptr_array_remove(parent->children, edge);
    if (parent->file == edge) {
        parent->file = NULL;
    }
    if (parent->backing == edge) {
        parent->backing = NULL;
    }
    block_edge_free(edge);
}

/* ---- Draining ----------------------------------------------------------- */

typedef struct DrainEntry {
    void *backend;
    BlockNode *node;
} DrainEntry;

/* What a drained section closed, so that its end opens just that. */
typedef struct DrainSection {
    BlockNode *node;
    GArray *entries;
} DrainSection;

static GQueue drain_sections = G_QUEUE_INIT; /* graph lock */

/* Parents first, so that what runs above can still get through below. */
static void collect_above(BlockNode *node, GHashTable *seen, GArray *order)
{
    DrainEntry entry = { NULL, node };

    if (!g_hash_table_add(seen, node)) {
        return;
    }
    for (GList *l = block_core(node)->parents; l; l = l->next) {
        BlockEdge *edge = l->data;

        if (edge->parent) {
            collect_above(edge->parent, seen, order);
        } else if (g_hash_table_add(seen, edge->backend)) {
            DrainEntry user = { edge->backend, NULL };

            block_backend_ref(edge->backend);
            g_array_append_val(order, user);
        }
    }
    block_node_ref(node);
    g_array_append_val(order, entry);
}

static void close_entry(const DrainEntry *entry)
{
    if (entry->backend) {
        block_backend_drain_notify(entry->backend, true);
        block_gate_close(block_backend_gate(entry->backend));
    } else {
        block_gate_close(&block_core(entry->node)->gate);
        block_core(entry->node)->drained++;
    }
}

static void open_entry(const DrainEntry *entry)
{
    if (entry->backend) {
        block_gate_open(block_backend_gate(entry->backend));
        block_backend_drain_notify(entry->backend, false);
        block_backend_unref(entry->backend);
    } else {
        block_core(entry->node)->drained--;
        block_gate_open(&block_core(entry->node)->gate);
        block_node_unref(entry->node);
    }
}

/* The graph lock stays held until the end: one thread drains at a time. */
void block_node_drain_begin(BlockNode *node)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    DrainSection *section = g_new0(DrainSection, 1);

    block_graph_lock();
    section->node = node;
    section->entries = g_array_new(false, false, sizeof(DrainEntry));
    collect_above(node, seen, section->entries);
    block_drains_held++;
    for (guint i = 0; i < section->entries->len; i++) {
        close_entry(&g_array_index(section->entries, DrainEntry, i));
    }
    g_queue_push_head(&drain_sections, section);
}

void block_node_drain_end(BlockNode *node)
{
    DrainSection *section = NULL;

    for (GList *l = drain_sections.head; l; l = l->next) {
        section = l->data;
        if (section->node == node) {
            g_queue_delete_link(&drain_sections, l);
            break;
        }
        section = NULL;
    }
    g_assert(section);
    block_drains_held--;
    for (guint i = section->entries->len; i-- > 0;) {
        open_entry(&g_array_index(section->entries, DrainEntry, i));
    }
    g_array_unref(section->entries);
    g_free(section);
    block_graph_unlock();
}

static GQueue drain_alls = G_QUEUE_INIT; /* of GPtrArray; graph lock */

/* Draining all leaves drains everything above them. */
void block_drain_all_begin(void)
{
    GPtrArray *leaves = g_ptr_array_new();

    block_graph_lock();
    for (BlockNode *n = block_node_next(NULL); n; n = block_node_next(n)) {
        if (!n->children->len) {
            g_ptr_array_add(leaves, block_node_ref(n));
            block_node_drain_begin(n);
        }
    }
    g_queue_push_head(&drain_alls, leaves);
}

void block_drain_all_end(void)
{
    GPtrArray *leaves = g_queue_pop_head(&drain_alls);

    for (guint i = leaves->len; i-- > 0;) {
        BlockNode *node = g_ptr_array_index(leaves, i);

        block_node_drain_end(node);
        block_node_unref(node);
    }
    g_ptr_array_unref(leaves);
    block_graph_unlock();
}

/* ---- Changing the graph ------------------------------------------------- */

static void move_edge(BlockEdge *edge, BlockNode *to)
{
    unlink_parent(edge);
    link_parent(edge, to);
    if (edge->backend) {
        block_backend_moved(edge->backend);
    }
}

/* Edges of from's parents that are not inside to's own subtree. */
static GPtrArray *edges_to_move(BlockNode *from, BlockNode *to)
{
    GPtrArray *edges = g_ptr_array_new();

    for (GList *l = block_core(from)->parents; l; l = l->next) {
        BlockEdge *edge = l->data;

        if (!edge->parent || !block_node_reaches(to, edge->parent)) {
            g_ptr_array_add(edges, edge);
        }
    }
    return edges;
}

bool block_node_replace(BlockNode *from, BlockNode *to, GError **error)
{
    g_autoptr(GPtrArray) edges = NULL;
    PermUpdate update = update_begin();
    bool ok;

    block_node_drain_begin(from);
    block_node_drain_begin(to);
    edges = edges_to_move(from, to);
    for (guint i = 0; i < edges->len; i++) {
        move_edge(g_ptr_array_index(edges, i), to);
    }
    ok = run_update(&update, to, from, error);
    if (!ok) {
        for (guint i = 0; i < edges->len; i++) {
            move_edge(g_ptr_array_index(edges, i), from);
        }
    }
    finish_update(&update, ok);
    for (guint i = 0; ok && i < edges->len; i++) {
        block_node_ref(to);
    }
    block_node_drain_end(to);
    block_node_drain_end(from);
    for (guint i = 0; ok && i < edges->len; i++) {
        block_node_unref(from);
    }
    return ok;
}

bool block_edge_move(BlockEdge *edge, BlockNode *to, GError **error)
{
    BlockNode *from = edge->node;
    PermUpdate update = update_begin();
    bool ok;

    block_node_drain_begin(from);
    block_node_drain_begin(to);
    move_edge(edge, to);
    ok = run_update(&update, to, from, error);
    if (!ok) {
        move_edge(edge, from);
    }
    finish_update(&update, ok);
    if (ok) {
        block_node_ref(to);
    }
    block_node_drain_end(to);
    block_node_drain_end(from);
    if (ok) {
        block_node_unref(from);
    }
    return ok;
}

/* The link of a chain: what block_node_below() follows. */
static BlockEdge *edge_below(BlockNode *node)
{
    return node->driver->flags & BLOCK_DRIVER_FILTER ? node->file
                                                     : node->backing;
}

void block_chain_freeze(BlockNode *top, BlockNode *end)
{
    for (BlockEdge *e; top != end && (e = edge_below(top)); top = e->node) {
        e->frozen++;
    }
}

void block_chain_thaw(BlockNode *top, BlockNode *end)
{
    for (BlockEdge *e; top != end && (e = edge_below(top)); top = e->node) {
        e->frozen -= e->frozen > 0;
    }
}

bool block_node_set_backing(BlockNode *top, BlockNode *backing,
                            GError **error)
{
    BlockEdge *old = top->backing;
    BlockEdge *edge = NULL;
    GError *local = NULL;

    if (old && old->frozen) {
        g_set_error(error, BLOCK_ERROR, EBUSY, "Cannot change frozen "
                    "'backing' link from '%s' to '%s'", top->name,
                    old->node->name);
        return false;
    }
    block_node_drain_begin(top);
    if (old) {
        block_node_ref(old->node);
    }
    if (backing) {
        BlockNode *old_node = block_edge_node(old);

        if (old) {
            block_detach_child(top, old);
        }
        edge = block_attach_child(top, backing, "backing",
                                  BLOCK_ROLE_BACKING, &local);
        if (edge && !block_refresh_perms(top, &local)) {
            block_detach_child(top, edge);
            edge = NULL;
        }
        if (!edge && old_node &&
            block_attach_child(top, old_node, "backing", BLOCK_ROLE_BACKING,
                               NULL)) {
            block_refresh_perms(top, NULL);
        }
        if (old_node) {
            block_node_unref(old_node);
        }
    } else if (old) {
        BlockNode *old_node = old->node;

        block_detach_child(top, old);
        block_node_unref(old_node);
    }
    block_node_drain_end(top);
    if (local) {
        g_propagate_error(error, local);
        return false;
    }
    return true;
}

bool block_node_insert_above(BlockNode *overlay, BlockNode *node,
                             GError **error)
{
    BlockEdge *edge = block_attach_child(overlay, node, "backing",
                                         BLOCK_ROLE_BACKING, error);

    if (!edge) {
        return false;
    }
    if (!block_node_replace(node, overlay, error)) {
        block_detach_child(overlay, edge);
        return false;
    }
    return true;
}
