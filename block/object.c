/* User-creatable objects; see object.h. */
#include "block/object.h"

#include <errno.h>
#include <string.h>

#include "block/nbd-object.h"
#include "block/node.h"
#include "block/options.h"
#include "block/throttle-group.h"

typedef struct ObjectType {
    const char *name;
    const BlockOption *options;
    /* Returns what the object is; NULL with an error. */
    void *(*create)(const char *id, json_t *options, GError **error);
    void (*destroy)(void *data);
    bool (*in_use)(void *data); /* NULL: never */
} ObjectType;

typedef struct BlockObject {
    char *id;
    const ObjectType *type;
    void *data;
} BlockObject;

static GHashTable *objects; /* id -> BlockObject; graph lock */

/* Requests run in the threads that issue them: an iothread is only a name. */
static const BlockOption iothread_options[] = {
    { "poll-max-ns", BLOCK_OPT_INT },
    { "poll-grow", BLOCK_OPT_INT },
    { "poll-shrink", BLOCK_OPT_INT },
    { "aio-max-batch", BLOCK_OPT_INT },
    { "thread-pool-min", BLOCK_OPT_INT },
    { "thread-pool-max", BLOCK_OPT_INT },
    { NULL },
};

static void *iothread_create(const char *id, json_t *options, GError **error)
{
    return g_strdup(id);
}

static void *throttle_create(const char *id, json_t *options, GError **error)
{
    return throttle_group_new(id, options, error);
}

static void throttle_destroy(void *data)
{
    throttle_group_unref(data);
}

static bool throttle_in_use(void *data)
{
    return throttle_group_in_use(data);
}

static const ObjectType types[] = {
    { "iothread", iothread_options, iothread_create, g_free },
    { "throttle-group", throttle_group_options, throttle_create,
      throttle_destroy, throttle_in_use },
};

/* Types that nbd-object.c makes. */
static const char *const nbd_types[] = {
    "authz-list", "authz-list-file", "authz-simple", "secret",
    "tls-creds-anon", "tls-creds-psk", "tls-creds-x509",
};

static void object_free(gpointer data)
{
    BlockObject *object = data;

    if (object->data) {
        object->type->destroy(object->data);
    }
    g_free(object->id);
    g_free(object);
}

static const ObjectType *find_type(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        if (!strcmp(types[i].name, name)) {
            return &types[i];
        }
    }
    return NULL;
}

static bool add_checked(const ObjectType *type, const char *id,
                        json_t *options, GError **error)
{
    BlockObject *object;

    if (!objects) {
        objects = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                        object_free);
    }
    object = g_new0(BlockObject, 1);
    object->id = g_strdup(id);
    object->type = type;
    object->data = type->create(id, options, error);
    if (!object->data) {
        object_free(object);
        return false;
    }
    g_hash_table_insert(objects, object->id, object);
    return true;
}

static bool check_id(const char *id, GError **error)
{
    if (!block_name_wellformed(id)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter 'id' expects an identifier");
        return false;
    }
    if (block_object_exists(NULL, id)) {
        g_set_error(error, BLOCK_ERROR, EEXIST,
                    "attempt to add duplicate property '%s' to object (type "
                    "'container')", id);
        return false;
    }
    return true;
}

bool block_object_add(json_t *options, GError **error)
{
    const char *type_name = NULL;
    const char *id = NULL;
    const ObjectType *type;
    json_t *rest;
    bool ok = false;

    if (!block_options_string(options, "qom-type", &type_name, error) ||
        !block_options_string(options, "id", &id, error)) {
        return false;
    }
    if (!type_name || !id) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Parameter '%s' is missing",
                    type_name ? "id" : "qom-type");
        return false;
    }
    type = find_type(type_name);
    if (!type && !block_nbd_object_known(type_name)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter 'qom-type' does not accept value '%s'",
                    type_name);
        return false;
    }
    block_graph_lock();
    if (!check_id(id, error)) {
        block_graph_unlock();
        return false;
    }
    if (!type) {
        ok = block_nbd_object_add(options, error);
    } else {
        rest = json_copy(options);
        json_object_del(rest, "qom-type");
        json_object_del(rest, "id");
        ok = block_options_check(rest, type->options, error) &&
             add_checked(type, id, rest, error);
        json_decref(rest);
    }
    block_graph_unlock();
    return ok;
}

bool block_object_add_text(const char *text, GError **error)
{
    json_t *options = block_options_parse_any(text, "qom-type", error);
    bool ok;

    if (!options) {
        return false;
    }
    ok = block_object_add(options, error);
    json_decref(options);
    return ok;
}

bool block_object_del(const char *id, GError **error)
{
    BlockObject *object;
    bool ok = false;

    block_graph_lock();
    object = objects ? g_hash_table_lookup(objects, id) : NULL;
    if (!object) {
        ok = block_nbd_object_del(id);
        if (!ok) {
            g_set_error(error, BLOCK_ERROR, ENOENT, "object '%s' not found",
                        id);
        }
    } else if (object->type->in_use && object->type->in_use(object->data)) {
        g_set_error(error, BLOCK_ERROR, EBUSY,
                    "object '%s' is in use, can not be deleted", id);
    } else {
        g_hash_table_remove(objects, id);
        ok = true;
    }
    block_graph_unlock();
    return ok;
}

bool block_object_exists(const char *type, const char *id)
{
    BlockObject *object;
    bool found;

    block_graph_lock();
    object = objects ? g_hash_table_lookup(objects, id) : NULL;
    found = object ? !type || !strcmp(object->type->name, type)
                   : !type && block_nbd_object_exists(id);
    block_graph_unlock();
    return found;
}

const char *const *block_object_types(void)
{
    static const char *names[G_N_ELEMENTS(types) + G_N_ELEMENTS(nbd_types) +
                             1];
    size_t n = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(nbd_types); i++) {
        names[n++] = nbd_types[i];
    }
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        names[n++] = types[i].name;
    }
    return names;
}
