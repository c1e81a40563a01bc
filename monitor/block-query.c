/* QMP: what there is - devices, nodes, statistics, the graph. */
#include "monitor/block-commands-int.h"

#include <string.h>

#include "block/backend.h"
#include "block/driver.h"
#include "block/monitor-nodes.h"
#include "block/object.h"

static const QmpArg flat_args[] = {
    { "flat", QMP_BOOL, .optional = true },
    { NULL },
};

static json_t *query_nodes(void *opaque, json_t *args, GError **error)
{
    json_t *list = json_array();
    bool flat = qmp_bool(args, "flat", false);

    block_graph_lock();
    for (BlockNode *n = block_node_next(NULL); n; n = block_node_next(n)) {
        json_t *info = block_node_device_info(n, flat, error);

        if (!info) {
            json_decref(list);
            list = NULL;
            break;
        }
        json_array_insert_new(list, 0, info); /* newest first */
    }
    block_graph_unlock();
    return list;
}

static json_t *query_block(void *opaque, json_t *args, GError **error)
{
    json_t *list = json_array();

    block_graph_lock();
    for (BlockBackend *b = block_backend_next(NULL); b;
         b = block_backend_next(b)) {
        BlockNode *node = block_backend_node(b);
        json_t *info;

        if (!*block_backend_name(b) && !block_backend_device(b)) {
            continue; /* an export, a job: no device */
        }
        info = json_pack("{s:s, s:s, s:b, s:b, s:b}", "device",
                         block_backend_name(b), "type", "unknown",
                         "removable", 0, "locked", 0, "tray_open", 0);
        json_object_del(info, "tray_open");
        if (block_backend_device(b)) {
            json_object_set_new(info, "qdev",
                                json_string(block_backend_device(b)));
        }
        if (node) {
            json_t *inserted = block_node_device_info(node, false, error);

            if (!inserted) {
                json_decref(info);
                json_decref(list);
                list = NULL;
                break;
            }
            monitor_throttle_info(b, inserted);
            json_object_set_new(info, "inserted", inserted);
        }
        json_array_append_new(list, info);
    }
    block_graph_unlock();
    return list;
}

/* ---- Statistics --------------------------------------------------------- */

static const QmpArg stats_args[] = {
    { "query-nodes", QMP_BOOL, .optional = true },
    { NULL },
};

static json_t *stats_object(const BlockBackendStats *s, uint64_t highest)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
        "rd_bytes", (json_int_t)s->read_bytes,
        "wr_bytes", (json_int_t)s->write_bytes,
        "unmap_bytes", (json_int_t)s->unmap_bytes,
        "rd_operations", (json_int_t)s->read_ops,
        "wr_operations", (json_int_t)s->write_ops,
        "flush_operations", (json_int_t)s->flush_ops,
        "unmap_operations", (json_int_t)s->unmap_ops,
        "failed_rd_operations", (json_int_t)s->failed_read_ops,
        "failed_wr_operations", (json_int_t)s->failed_write_ops,
        "failed_flush_operations", (json_int_t)s->failed_flush_ops,
        "wr_highest_offset", (json_int_t)highest);
}

/* A node and what is below it. */
static json_t *node_stats(BlockNode *node)
{
    BlockNodeStats n;
    json_t *info;

    block_node_stats(node, &n);
    info = json_pack(
        "{s:s, s:o}", "node-name", block_node_name(node), "stats",
        stats_object(&(BlockBackendStats){
                         .read_bytes = n.read_bytes,
                         .write_bytes = n.write_bytes,
                         .unmap_bytes = n.unmap_bytes,
                         .read_ops = n.read_ops,
                         .write_ops = n.write_ops,
                         .unmap_ops = n.unmap_ops,
                         .flush_ops = n.flush_ops,
                     }, n.highest_offset));

    if (block_node_primary(node)) {
        json_object_set_new(info, "parent",
                            node_stats(block_node_primary(node)));
    }
    if (block_node_backing(node)) {
        json_object_set_new(info, "backing",
                            node_stats(block_node_backing(node)));
    }
    return info;
}

static json_t *query_stats(void *opaque, json_t *args, GError **error)
{
    json_t *list = json_array();

    block_graph_lock();
    if (qmp_bool(args, "query-nodes", false)) {
        for (BlockNode *n = block_node_next(NULL); n;
             n = block_node_next(n)) {
            json_array_append_new(list, node_stats(n));
        }
    } else {
        for (BlockBackend *b = block_backend_next(NULL); b;
             b = block_backend_next(b)) {
            BlockBackendStats stats;
            BlockNode *node = block_backend_node(b);
            json_t *info;

            if (!*block_backend_name(b) && !block_backend_device(b)) {
                continue;
            }
            block_backend_stats(b, &stats);
            info = node ? node_stats(node) : json_object();
            json_object_set_new(info, "device",
                                json_string(block_backend_name(b)));
            if (block_backend_device(b)) {
                json_object_set_new(info, "qdev",
                                    json_string(block_backend_device(b)));
            }
            json_object_set_new(info, "stats", stats_object(&stats, 0));
            json_array_append_new(list, info);
        }
    }
    block_graph_unlock();
    return list;
}

/* ---- The graph ---------------------------------------------------------- */

static json_t *perm_list(unsigned perm)
{
    static const char *const names[] = { "consistent-read", "write",
                                         "write-unchanged", "resize" };
    json_t *list = json_array();

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (perm & (1u << i)) {
            json_array_append_new(list, json_string(names[i]));
        }
    }
    return list;
}

static json_t *query_graph(void *opaque, json_t *args, GError **error)
{
    json_t *nodes = json_array();
    json_t *edges = json_array();
    g_autoptr(GHashTable) ids = g_hash_table_new(NULL, NULL);
    int next = 1;

    block_graph_lock();
    for (BlockNode *n = block_node_next(NULL); n; n = block_node_next(n)) {
        g_hash_table_insert(ids, n, GINT_TO_POINTER(next));
        json_array_append_new(
            nodes, json_pack("{s:i, s:s, s:s}", "id", next++, "type",
                             "block-driver", "name", block_node_name(n)));
    }
    for (BlockNode *n = block_node_next(NULL); n; n = block_node_next(n)) {
        int parent = GPOINTER_TO_INT(g_hash_table_lookup(ids, n));

        for (guint i = 0; i < n->children->len; i++) {
            BlockEdge *e = g_ptr_array_index(n->children, i);

            json_array_append_new(
                edges,
                json_pack("{s:i, s:i, s:s, s:o, s:o}", "parent", parent,
                          "child",
                          GPOINTER_TO_INT(g_hash_table_lookup(ids, e->node)),
                          "name", e->name, "perm", perm_list(e->perm),
                          "shared-perm", perm_list(e->shared)));
        }
    }
    block_graph_unlock();
    return json_pack("{s:o, s:o}", "nodes", nodes, "edges", edges);
}

/* ---- Objects ------------------------------------------------------------ */

static json_t *object_add(void *opaque, json_t *args, GError **error)
{
    block_object_add(args, error);
    return NULL;
}

static const QmpArg object_del_args[] = { { "id", QMP_STR }, { NULL } };

static json_t *object_del(void *opaque, json_t *args, GError **error)
{
    block_object_del(qmp_str(args, "id"), error);
    return NULL;
}

static const QmpArg qom_list_types_args[] = {
    { "implements", QMP_STR, .optional = true },
    { "abstract", QMP_BOOL, .optional = true },
    { NULL },
};

static json_t *qom_list_types(void *opaque, json_t *args, GError **error)
{
    json_t *list = json_array();

    for (const char *const *t = block_object_types(); *t; t++) {
        json_array_append_new(list, json_pack("{s:s}", "name", *t));
    }
    return list;
}

const QmpCommand monitor_query_commands[] = {
    { "query-block", NULL, query_block, QMP_RETURNS_LIST },
    { "query-named-block-nodes", flat_args, query_nodes, QMP_RETURNS_LIST },
    { "query-blockstats", stats_args, query_stats, QMP_RETURNS_LIST },
    { "x-debug-query-block-graph", NULL, query_graph, QMP_EXPERIMENTAL },
    { "object-add", NULL, object_add, QMP_ANY_ARGS },
    { "object-del", object_del_args, object_del },
    { "qom-list-types", qom_list_types_args, qom_list_types,
      QMP_RETURNS_LIST },
    { NULL },
};

/* ---- Schema of open-ended arguments -------------------------------------- */

static json_t *option_type_name(const BlockOption *o)
{
    switch (o->type) {
    case BLOCK_OPT_STRING:
    case BLOCK_OPT_ENUM:
        return json_string("str");
    case BLOCK_OPT_BOOL:
        return json_string("bool");
    case BLOCK_OPT_INT:
    case BLOCK_OPT_SIZE:
        return json_string("int");
    case BLOCK_OPT_NODE:
    case BLOCK_OPT_NODE_OR_NULL:
        return json_string("q_BlockdevRef");
    case BLOCK_OPT_OBJECT:
    case BLOCK_OPT_STRING_OR_OBJECT:
    case BLOCK_OPT_LIST:
        return json_string("any");
    }
    g_assert_not_reached();
}

static json_t *option_members(const BlockOption *table)
{
    json_t *members = json_array();
    g_autoptr(GHashTable) seen = g_hash_table_new_full(
        g_str_hash, g_str_equal, g_free, NULL);

    for (const BlockOption *o = table; o && o->name; o++) {
        const char *dot = strchr(o->name, '.');
        char *name = dot ? g_strndup(o->name, dot - o->name)
                         : g_strdup(o->name);
        json_t *member;

        if (g_hash_table_contains(seen, name)) {
            g_free(name);
            continue;
        }
        member = json_pack("{s:s, s:o}", "name", name, "type",
                           dot ? json_string("any") : option_type_name(o));
        if (!o->required) {
            json_object_set_new(member, "default", json_null());
        }
        json_array_append_new(members, member);
        g_hash_table_add(seen, name);
    }
    return members;
}

/* BlockdevOptions: the driver is the tag, its options are the variant. */
void monitor_block_schema(json_t *schema)
{
    static const BlockOption generic[] = {
        { "driver", BLOCK_OPT_STRING, .required = true },
        { "node-name", BLOCK_OPT_STRING }, { "read-only", BLOCK_OPT_BOOL },
        { "auto-read-only", BLOCK_OPT_BOOL },
        { "force-share", BLOCK_OPT_BOOL }, { "discard", BLOCK_OPT_STRING },
        { "detect-zeroes", BLOCK_OPT_STRING }, { "cache", BLOCK_OPT_OBJECT },
        { NULL },
    };
    json_t *members = option_members(generic);
    json_t *variants = json_array();
    json_t *words = json_array();

    for (const BlockDriver *d = block_driver_next(NULL); d;
         d = block_driver_next(d)) {
        g_autofree char *type = g_strdup_printf("q_BlockdevOptions-%s",
                                                d->name);
        json_t *own = option_members(d->options);

        if (d->flags & BLOCK_DRIVER_BACKING) {
            json_array_append_new(own, json_pack("{s:s, s:s, s:n}", "name",
                                                 "backing", "type",
                                                 "q_BlockdevRef",
                                                 "default"));
        }
        json_array_append_new(schema,
                              json_pack("{s:s, s:s, s:o}", "name", type,
                                        "meta-type", "object", "members",
                                        own));
        json_array_append_new(variants, json_pack("{s:s, s:s}", "case",
                                                  d->name, "type", type));
        json_array_append_new(words, json_string(d->name));
    }
    json_object_set_new(json_array_get(members, 0), "type",
                        json_string("q_BlockdevDriver"));
    json_array_append_new(schema,
                          json_pack("{s:s, s:s, s:o}", "name",
                                    "q_BlockdevDriver", "meta-type", "enum",
                                    "values", words));
    json_array_append_new(
        schema, json_pack("{s:s, s:s, s:o, s:s, s:o}", "name",
                          "q_blockdev-add", "meta-type", "object", "members",
                          members, "tag", "driver", "variants", variants));
    json_array_append_new(
        schema,
        json_pack("{s:s, s:s, s:[{s:s}, {s:s}, {s:s}]}", "name",
                  "q_BlockdevRef", "meta-type", "alternate", "members",
                  "type", "str", "type", "q_blockdev-add", "type", "null"));
    json_array_append_new(
        schema, json_pack("{s:s, s:s, s:[{s:s, s:s}, {s:s, s:s}]}", "name",
                          "q_object-add", "meta-type", "object", "members",
                          "name", "qom-type", "type", "str", "name", "id",
                          "type", "str"));
}
