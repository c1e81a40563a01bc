/*
 * The registry of TLS credentials, secrets and authorisation rules.
 */
#include "block/nbd-object.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "block/node.h"
#include "block/options.h"

typedef struct Object {
    const char *type; /* of the table below */
    NbdTlsCreds *creds;
    char *secret;
    json_t *rules; /* authz: the options */
} Object;

static GMutex lock;
static GHashTable *objects; /* id -> Object; lock */

static void object_free(gpointer p)
{
    Object *o = p;

    nbd_tls_creds_unref(o->creds);
    g_free(o->secret);
    json_decref(o->rules);
    g_free(o);
}

/* lock held. */
static Object *find(const char *id)
{
    return objects ? g_hash_table_lookup(objects, id) : NULL;
}

/* ---- TLS credentials ----------------------------------------------------- */

static bool add_tls(Object *o, json_t *options, NbdTlsKind kind,
                    GError **error)
{
    NbdTlsParams p = { .kind = kind, .verify_peer = true };
    const char *password_id = NULL;
    g_autofree char *password = NULL;
    bool sanity = true;
    int endpoint = 0;

    if (!block_options_enum(options, "endpoint", "client/server", &endpoint,
                            error) ||
        !block_options_string(options, "dir", &p.dir, error) ||
        !block_options_bool(options, "verify-peer", &p.verify_peer, error) ||
        !block_options_string(options, "priority", &p.priority, error) ||
        !block_options_string(options, "username", &p.username, error) ||
        !block_options_string(options, "passwordid", &password_id, error) ||
        !block_options_bool(options, "sanity-check", &sanity, error)) {
        return false;
    }
    p.server = endpoint == 1;
    if (password_id) {
        password = block_nbd_secret(password_id, error);
        if (!password) {
            return false;
        }
        p.password = password;
    }
    o->creds = nbd_tls_creds_new(&p, error);
    return o->creds != NULL;
}

static bool add_x509(Object *o, json_t *options, GError **error)
{
    return add_tls(o, options, NBD_TLS_X509, error);
}

static bool add_psk(Object *o, json_t *options, GError **error)
{
    return add_tls(o, options, NBD_TLS_PSK, error);
}

static bool add_anon(Object *o, json_t *options, GError **error)
{
    return add_tls(o, options, NBD_TLS_ANON, error);
}

/* ---- Secrets -------------------------------------------------------------- */

static bool add_secret(Object *o, json_t *options, GError **error)
{
    const char *data = NULL;
    const char *file = NULL;
    int format = 0;
    gsize length = 0;

    if (!block_options_string(options, "data", &data, error) ||
        !block_options_string(options, "file", &file, error) ||
        !block_options_enum(options, "format", "raw/base64", &format,
                            error)) {
        return false;
    }
    if (!data == !file) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    data ? "'file' and 'data' are mutually exclusive"
                         : "Must provide 'file' or 'data' property for "
                           "secret");
        return false;
    }
    if (data) {
        o->secret = g_strdup(data);
    } else if (!g_file_get_contents(file, &o->secret, NULL, error)) {
        return false;
    }
    if (format == 1) {
        g_autofree char *text = o->secret;
        guchar *raw = g_base64_decode(text, &length);
        o->secret = g_strndup((char *)raw, length);
        g_free(raw);
    }
    return true;
}

char *block_nbd_secret(const char *id, GError **error)
{
    char *secret = NULL;
    Object *o;

    g_mutex_lock(&lock);
    o = find(id);
    if (o) {
        secret = g_strdup(o->secret);
    }
    g_mutex_unlock(&lock);
    if (!secret) {
        g_set_error(error, BLOCK_ERROR, ENOENT,
                    o ? "Object with id '%s' is not a secret"
                      : "No secret with id '%s'", id);
    }
    return secret;
}

/* ---- Authorisation -------------------------------------------------------- */

static bool add_simple(Object *o, json_t *options, GError **error)
{
    const char *identity = NULL;

    if (!block_options_string(options, "identity", &identity, error)) {
        return false;
    }
    if (!identity) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Parameter 'identity' is "
                                                "missing");
        return false;
    }
    o->rules = json_incref(options);
    return true;
}

static bool check_list(json_t *rules, GError **error)
{
    size_t i;
    json_t *rule;
    int policy = 0;

    if (!block_options_enum(rules, "policy", "deny/allow", &policy, error)) {
        return false;
    }
    json_array_foreach(json_object_get(rules, "rules"), i, rule) {
        const char *match = NULL;
        if (!block_options_string(rule, "match", &match, error) ||
            !block_options_enum(rule, "policy", "deny/allow", &policy,
                                error) ||
            !block_options_enum(rule, "format", "exact/glob", &policy,
                                error)) {
            return false;
        }
        if (!match) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "Parameter 'match' is missing");
            return false;
        }
    }
    return true;
}

static bool add_list(Object *o, json_t *options, GError **error)
{
    if (!check_list(options, error)) {
        return false;
    }
    o->rules = json_incref(options);
    return true;
}

static bool add_list_file(Object *o, json_t *options, GError **error)
{
    const char *filename = NULL;
    json_error_t where;

    if (!block_options_string(options, "filename", &filename, error)) {
        return false;
    }
    o->rules = filename ? json_load_file(filename, 0, &where) : NULL;
    if (!json_is_object(o->rules)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Unable to load '%s': %s", filename ? filename : "",
                    filename ? where.text : "no filename");
        return false;
    }
    return check_list(o->rules, error);
}

static bool rule_matches(json_t *rule, const char *name)
{
    const char *match = "";
    int format = 0;

    block_options_string(rule, "match", &match, NULL);
    block_options_enum(rule, "format", "exact/glob", &format, NULL);
    return format == 1 ? fnmatch(match, name, 0) == 0 : !strcmp(match, name);
}

static bool list_allows(json_t *rules, const char *name)
{
    int policy = 0;
    size_t i;
    json_t *rule;

    json_array_foreach(json_object_get(rules, "rules"), i, rule) {
        if (rule_matches(rule, name)) {
            block_options_enum(rule, "policy", "deny/allow", &policy, NULL);
            return policy == 1;
        }
    }
    block_options_enum(rules, "policy", "deny/allow", &policy, NULL);
    return policy == 1;
}

bool block_nbd_authorise(const char *id, const char *peer_name)
{
    const char *identity = NULL;
    bool allowed = false;
    Object *o;

    g_mutex_lock(&lock);
    o = find(id);
    if (o && o->rules && peer_name) {
        if (!strcmp(o->type, "authz-simple")) {
            block_options_string(o->rules, "identity", &identity, NULL);
            allowed = identity && !strcmp(identity, peer_name);
        } else {
            allowed = list_allows(o->rules, peer_name);
        }
    }
    g_mutex_unlock(&lock);
    return allowed;
}

/* ---- The registry --------------------------------------------------------- */

static const struct {
    const char *type;
    bool (*add)(Object *o, json_t *options, GError **error);
} types[] = {
    { "tls-creds-x509", add_x509 }, { "tls-creds-psk", add_psk },
    { "tls-creds-anon", add_anon }, { "secret", add_secret },
    { "authz-simple", add_simple }, { "authz-list", add_list },
    { "authz-list-file", add_list_file },
};

bool block_nbd_object_known(const char *type)
{
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        if (!strcmp(type, types[i].type)) {
            return true;
        }
    }
    return false;
}

bool block_nbd_object_exists(const char *id)
{
    bool exists;

    g_mutex_lock(&lock);
    exists = find(id) != NULL;
    g_mutex_unlock(&lock);
    return exists;
}

static bool publish(Object *o, const char *id, GError **error)
{
    bool fresh;

    g_mutex_lock(&lock);
    if (!objects) {
        objects = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                        object_free);
    }
    fresh = !g_hash_table_contains(objects, id);
    if (fresh) {
        g_hash_table_insert(objects, g_strdup(id), o);
    }
    g_mutex_unlock(&lock);
    if (!fresh) {
        g_set_error(error, BLOCK_ERROR, EEXIST,
                    "attempt to add duplicate property '%s' to object (type "
                    "'container')", id);
    }
    return fresh;
}

bool block_nbd_object_add(json_t *options, GError **error)
{
    const char *type = NULL;
    const char *id = NULL;

    if (!block_options_string(options, "qom-type", &type, error) ||
        !block_options_string(options, "id", &id, error)) {
        return false;
    }
    if (!type || !id) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Parameter '%s' is missing",
                    type ? "id" : "qom-type");
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        if (!strcmp(type, types[i].type)) {
            Object *o = g_new0(Object, 1);
            o->type = types[i].type;
            if (types[i].add(o, options, error) && publish(o, id, error)) {
                return true;
            }
            object_free(o);
            return false;
        }
    }
    g_set_error(error, BLOCK_ERROR, EINVAL, "invalid object type: %s", type);
    return false;
}

bool block_nbd_object_del(const char *id)
{
    bool found;

    g_mutex_lock(&lock);
    found = objects && g_hash_table_remove(objects, id);
    g_mutex_unlock(&lock);
    return found;
}

NbdTlsCreds *block_nbd_tls_creds(const char *id, bool server, GError **error)
{
    NbdTlsCreds *creds = NULL;
    Object *o;

    g_mutex_lock(&lock);
    o = find(id);
    if (o && o->creds) {
        creds = nbd_tls_creds_ref(o->creds);
    }
    g_mutex_unlock(&lock);
    if (!creds) {
        g_set_error(error, BLOCK_ERROR, ENOENT,
                    o ? "Object with id '%s' is not TLS credentials"
                      : "No TLS credentials with id '%s'", id);
        return NULL;
    }
    if (nbd_tls_creds_is_server(creds) != server) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Expecting TLS credentials with a %s endpoint",
                    server ? "server" : "client");
        nbd_tls_creds_unref(creds);
        return NULL;
    }
    return creds;
}
