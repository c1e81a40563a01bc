/*
 * From a request object to a reply object: the registry of commands, the
 * envelope, error classes, and the commands about commands.
 */
#include "monitor/monitor-int.h"

#include <string.h>

/* The release of the ecosystem whose behaviour clients may expect. */
enum { VERSION_MAJOR = 7, VERSION_MINOR = 2, VERSION_MICRO = 0 };

static GHashTable *commands; /* name -> QmpRegistered; set up before start */
static GPtrArray *command_order;
static char *version_package;

static const char *const class_names[] = {
    [MONITOR_ERROR_GENERIC] = "GenericError",
    [MONITOR_ERROR_COMMAND_NOT_FOUND] = "CommandNotFound",
    [MONITOR_ERROR_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
    [MONITOR_ERROR_DEVICE_NOT_FOUND] = "DeviceNotFound",
};

/* ---- Registry ----------------------------------------------------------- */

void monitor_register(const QmpCommand *table, void *opaque)
{
    for (const QmpCommand *c = table; c->name; c++) {
        QmpRegistered *r = g_new(QmpRegistered, 1);

        *r = (QmpRegistered){ c, opaque };
        g_assert(!g_hash_table_contains(commands, c->name));
        g_hash_table_insert(commands, (char *)c->name, r);
        g_ptr_array_add(command_order, r);
    }
}

const QmpRegistered *monitor_find_command(const char *name)
{
    return g_hash_table_lookup(commands, name);
}

void monitor_foreach_command(GFunc fn, void *opaque)
{
    g_ptr_array_foreach(command_order, fn, opaque);
}

/* ---- Replies ------------------------------------------------------------ */

static json_t *with_id(json_t *reply, json_t *request)
{
    json_t *id = json_is_object(request) ? json_object_get(request, "id")
                                         : NULL;

    if (id) {
        json_object_set(reply, "id", id);
    }
    return reply;
}

json_t *monitor_error_reply(json_t *request, const GError *error)
{
    unsigned class = error->domain == MONITOR_ERROR ? error->code : 0;
    const char *text = error->message;
    /* A hint for people may follow on further lines. */
    g_autofree char *line = g_strndup(text, strcspn(text, "\n"));
    json_t *desc = json_string(line);

    return with_id(json_pack("{s:{s:s, s:o}}", "error", "class",
                             class_names[class], "desc",
                             desc ? desc : json_string("(invalid UTF-8)")),
                   request);
}

/* ---- Requests ----------------------------------------------------------- */

static bool refuse(GError **error, int class, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static bool refuse(GError **error, int class, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error) {
        *error = g_error_new_valist(MONITOR_ERROR, class, format, args);
    }
    va_end(args);
    return false;
}

bool monitor_check_request(json_t *request, bool oob_enabled, bool *oob,
                           const QmpRegistered **found, GError **error)
{
    const char *name = NULL;
    const char *key;
    json_t *value;

    *oob = false;
    if (!json_is_object(request)) {
        return refuse(error, 0, "QMP input must be a JSON object");
    }
    json_object_foreach(request, key, value) {
        bool is_oob = oob_enabled && !strcmp(key, "exec-oob");

        if (!strcmp(key, "execute") || is_oob) {
            if (!json_is_string(value)) {
                return refuse(error, 0,
                              "QMP input member '%s' must be a string", key);
            }
            if (name) {
                return refuse(error, 0, "QMP input members 'execute' and "
                                        "'exec-oob' are mutually exclusive");
            }
            name = json_string_value(value);
            *oob = is_oob;
        } else if (!strcmp(key, "arguments")) {
            if (!json_is_object(value)) {
                return refuse(error, 0, "QMP input member 'arguments' must "
                                        "be an object");
            }
        } else if (strcmp(key, "id") != 0) {
            return refuse(error, 0, "QMP input member '%s' is unexpected",
                          key);
        }
    }
    if (!name) {
        return refuse(error, 0, "QMP input lacks member 'execute'");
    }
    *found = monitor_find_command(name);
    if (!*found) {
        return refuse(error, MONITOR_ERROR_COMMAND_NOT_FOUND,
                      "The command %s has not been found", name);
    }
    if (*oob && !((*found)->command->flags & QMP_OOB)) {
        return refuse(error, 0, "The command %s does not support OOB", name);
    }
    return true;
}

/* What the command returns, or NULL with an error; takes args. */
static json_t *call(const QmpRegistered *found, json_t *args, GError **error)
{
    const QmpCommand *command = found->command;
    json_t *result = NULL;
    GError *local = NULL;

    if ((command->flags & QMP_ANY_ARGS) ||
        qmp_check(args, command->args, "", &local)) {
        result = command->run(found->opaque, args, &local);
    }
    json_decref(args);
    if (local) {
        g_propagate_error(error, local);
        json_decref(result);
        return NULL;
    }
    return result ? result : json_object();
}

json_t *monitor_execute(json_t *request, const QmpRegistered *found)
{
    json_t *given = json_object_get(request, "arguments");
    g_autoptr(GError) error = NULL;
    json_t *result = call(found, given ? json_incref(given) : json_object(),
                          &error);

    return result ? with_id(json_pack("{s:o}", "return", result), request)
                  : monitor_error_reply(request, error);
}

json_t *monitor_call(const char *command, json_t *args, GError **error)
{
    const QmpRegistered *found = monitor_find_command(command);

    if (!found) {
        json_decref(args);
        refuse(error, MONITOR_ERROR_COMMAND_NOT_FOUND,
               "The command %s has not been found", command);
        return NULL;
    }
    return call(found, args ? args : json_object(), error);
}

json_t *monitor_run(json_t *request)
{
    const QmpRegistered *found;
    g_autoptr(GError) error = NULL;
    bool oob;

    if (!monitor_check_request(request, false, &oob, &found, &error)) {
        return monitor_error_reply(request, error);
    }
    return monitor_execute(request, found);
}

/* ---- Commands about the monitor ----------------------------------------- */

json_t *monitor_version(void)
{
    return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu", "micro",
                     VERSION_MICRO, "minor", VERSION_MINOR, "major",
                     VERSION_MAJOR, "package", version_package);
}

static json_t *query_version(void *opaque, json_t *args, GError **error)
{
    return monitor_version();
}

static void add_name(gpointer data, gpointer list)
{
    QmpRegistered *r = data;

    json_array_append_new(list, json_pack("{s:s}", "name", r->command->name));
}

static json_t *query_commands(void *opaque, json_t *args, GError **error)
{
    json_t *list = json_array();

    monitor_foreach_command(add_name, list);
    return list;
}

static json_t *query_schema(void *opaque, json_t *args, GError **error)
{
    return monitor_schema();
}

/* Sessions handle it before negotiation; afterwards it is too late. */
static json_t *qmp_capabilities(void *opaque, json_t *args, GError **error)
{
    refuse(error, MONITOR_ERROR_COMMAND_NOT_FOUND, "Capabilities negotiation "
           "is already complete, command ignored");
    return NULL;
}

static const QmpArg capabilities_args[] = {
    { "enable", QMP_ENUM, .optional = true, .list = true, .words = "oob" },
    { NULL },
};

static const QmpArg command_info[] = { { "name", QMP_STR }, { NULL } };

static const QmpCommand core_commands[] = {
    { "qmp_capabilities", capabilities_args, qmp_capabilities },
    /* Out of band: is anybody there while a command takes its time? */
    { "query-version", NULL, query_version, QMP_OOB },
    { "query-commands", NULL, query_commands, QMP_RETURNS_LIST | QMP_OOB,
      command_info },
    { "query-qmp-schema", NULL, query_schema, QMP_RETURNS_LIST },
    { NULL },
};

void monitor_init(const char *package)
{
    version_package = g_strdup(package);
    commands = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    command_order = g_ptr_array_new();
    monitor_register(core_commands, NULL);
}
