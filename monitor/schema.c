/*
 * query-qmp-schema: the command and event tables in the form clients probe.
 * Types get made-up names, as clients must not rely on them.
 */
#include "monitor/monitor-int.h"

#include <string.h>

static GPtrArray *event_tables;
static GPtrArray *schema_fns;

void monitor_register_events(const QmpEvent *events)
{
    if (!event_tables) {
        event_tables = g_ptr_array_new();
    }
    for (const QmpEvent *e = events; e->name; e++) {
        g_ptr_array_add(event_tables, (gpointer)e);
    }
}

void monitor_register_schema(MonitorSchemaFn *fn)
{
    if (!schema_fns) {
        schema_fns = g_ptr_array_new();
    }
    g_ptr_array_add(schema_fns, (gpointer)fn);
}

typedef struct Schema {
    json_t *list;
    GHashTable *members; /* table -> type name, so shared ones come once */
    unsigned next;
} Schema;

static char *new_name(Schema *schema)
{
    return g_strdup_printf("%u", schema->next++);
}

static const char *object_type(Schema *schema, const QmpArg *members);

static json_t *words_array(const char *words)
{
    g_auto(GStrv) list = g_strsplit(words, "/", -1);
    json_t *array = json_array();

    for (char **word = list; *word; word++) {
        json_array_append_new(array, json_string(*word));
    }
    return array;
}

static json_t *enum_members(const char *words)
{
    g_auto(GStrv) list = g_strsplit(words, "/", -1);
    json_t *array = json_array();

    for (char **word = list; *word; word++) {
        json_array_append_new(array, json_pack("{s:s}", "name", *word));
    }
    return array;
}

/* A new reference to the name of a type that is no list. */
static char *base_type(Schema *schema, const QmpArg *arg)
{
    char *name;

    switch (arg->type) {
    case QMP_STR:
        return g_strdup("str");
    case QMP_INT:
    case QMP_UINT32:
    case QMP_SIZE:
        return g_strdup("int");
    case QMP_NUMBER:
        return g_strdup("number");
    case QMP_BOOL:
        return g_strdup("bool");
    case QMP_ANY:
        return g_strdup("any");
    case QMP_ENUM:
        name = new_name(schema);
        json_array_append_new(
            schema->list,
            json_pack("{s:s, s:s, s:o, s:o}", "name", name, "meta-type",
                      "enum", "values", words_array(arg->words), "members",
                      enum_members(arg->words)));
        return name;
    case QMP_OBJECT:
        return g_strdup(arg->members ? object_type(schema, arg->members)
                                     : "any");
    case QMP_STR_OR_NULL:
    case QMP_STR_OR_OBJECT:
        name = new_name(schema);
        json_array_append_new(
            schema->list,
            json_pack("{s:s, s:s, s:[{s:s}, {s:s}]}", "name", name,
                      "meta-type", "alternate", "members", "type", "str",
                      "type", arg->type == QMP_STR_OR_NULL ? "null"
                      : arg->members ? object_type(schema, arg->members)
                                     : "any"));
        return name;
    }
    g_assert_not_reached();
}

static char *list_type(Schema *schema, const char *element)
{
    char *name = g_strdup_printf("[%s]", element);

    if (!g_hash_table_contains(schema->members, name)) {
        json_array_append_new(schema->list,
                              json_pack("{s:s, s:s, s:s}", "name", name,
                                        "meta-type", "array", "element-type",
                                        element));
        g_hash_table_insert(schema->members, g_strdup(name), NULL);
    }
    return name;
}

static const char *object_type(Schema *schema, const QmpArg *members)
{
    g_autofree char *key = g_strdup_printf("%p", (const void *)members);
    char *name = g_hash_table_lookup(schema->members, key);
    json_t *list;

    if (name) {
        return name;
    }
    name = new_name(schema);
    g_hash_table_insert(schema->members, g_strdup(key), name);
    list = json_array();
    for (const QmpArg *arg = members; arg && arg->name; arg++) {
        g_autofree char *type = base_type(schema, arg);
        json_t *member;

        if (arg->list) {
            char *array = list_type(schema, type);

            g_free(type);
            type = array;
        }
        member = json_pack("{s:s, s:s}", "name", arg->name, "type", type);
        if (arg->optional) {
            json_object_set_new(member, "default", json_null());
        }
        json_array_append_new(list, member);
    }
    json_array_append_new(schema->list,
                          json_pack("{s:s, s:s, s:o}", "name", name,
                                    "meta-type", "object", "members", list));
    return name;
}

static const QmpArg no_members[] = { { NULL } };

static void add_command(gpointer data, gpointer opaque)
{
    QmpRegistered *r = data;
    const QmpCommand *c = r->command;
    Schema *schema = opaque;
    g_autofree char *ret = g_strdup(c->returns
                                        ? object_type(schema, c->returns)
                                        : c->flags & QMP_RETURNS_LIST
                                              ? "any"
                                              : object_type(schema,
                                                            no_members));
    json_t *info;

    if (c->flags & QMP_RETURNS_LIST) {
        char *list = list_type(schema, ret);

        g_free(ret);
        ret = list;
    }
    info = json_pack("{s:s, s:s, s:s}", "name", c->name, "meta-type",
                     "command", "ret-type", ret);
    if (!c->args && (c->flags & QMP_ANY_ARGS)) {
        /* Described by a schema function under this name. */
        g_autofree char *type = g_strdup_printf("q_%s", c->name);

        json_object_set_new(info, "arg-type", json_string(type));
    } else {
        const QmpArg *args = c->args ? c->args : no_members;

        json_object_set_new(info, "arg-type",
                            json_string(object_type(schema, args)));
    }
    if (c->flags & QMP_OOB) {
        json_object_set_new(info, "allow-oob", json_true());
    }
    if (c->flags & (QMP_DEPRECATED | QMP_EXPERIMENTAL)) {
        json_object_set_new(info, "features",
                            json_pack("[s]", c->flags & QMP_DEPRECATED
                                                 ? "deprecated"
                                                 : "unstable"));
    }
    json_array_append_new(schema->list, info);
}

static void add_event(Schema *schema, const QmpEvent *event)
{
    json_array_append_new(
        schema->list,
        json_pack("{s:s, s:s, s:s}", "name", event->name, "meta-type",
                  "event", "arg-type",
                  object_type(schema, event->data ? event->data
                                                  : no_members)));
}

static void add_builtin(Schema *schema, const char *name, const char *json)
{
    json_array_append_new(schema->list,
                          json_pack("{s:s, s:s, s:s}", "name", name,
                                    "meta-type", "builtin", "json-type",
                                    json));
}

json_t *monitor_schema(void)
{
    Schema schema = { json_array(), NULL, 0 };

    schema.members = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                           g_free);
    monitor_foreach_command(add_command, &schema);
    for (guint i = 0; event_tables && i < event_tables->len; i++) {
        add_event(&schema, g_ptr_array_index(event_tables, i));
    }
    add_builtin(&schema, "str", "string");
    add_builtin(&schema, "int", "int");
    add_builtin(&schema, "number", "number");
    add_builtin(&schema, "bool", "boolean");
    add_builtin(&schema, "null", "null");
    add_builtin(&schema, "any", "value");
    for (guint i = 0; schema_fns && i < schema_fns->len; i++) {
        ((MonitorSchemaFn *)g_ptr_array_index(schema_fns, i))(schema.list);
    }
    g_hash_table_unref(schema.members);
    return schema.list;
}
