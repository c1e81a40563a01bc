/* Checking arguments against their tables, and reading checked ones. */
#include "monitor/monitor.h"

#include <string.h>

GQuark monitor_error_quark(void)
{
    return g_quark_from_static_string("monitor-error");
}

static bool wrong_type(const char *path, const char *wanted, GError **error)
{
    g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_GENERIC,
                "Invalid parameter type for '%s', expected: %s", path,
                wanted);
    return false;
}

static bool is_word(const char *words, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = words; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (!strncmp(at, word, n) && (at[n] == '/' || !at[n])) {
            return true;
        }
    }
    return false;
}

static bool check_enum(json_t *value, const QmpArg *arg, const char *path,
                       GError **error)
{
    if (!json_is_string(value)) {
        return wrong_type(path, "string", error);
    }
    if (!*json_string_value(value) ||
        !is_word(arg->words, json_string_value(value))) {
        g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_GENERIC,
                    "Parameter '%s' does not accept value '%s'", path,
                    json_string_value(value));
        return false;
    }
    return true;
}

static bool check_object(json_t *value, const QmpArg *arg, const char *path,
                         GError **error)
{
    g_autofree char *prefix = g_strconcat(path, ".", NULL);

    if (!json_is_object(value)) {
        return wrong_type(path, "object", error);
    }
    return !arg->members || qmp_check(value, arg->members, prefix, error);
}

static bool check_one(json_t *value, const QmpArg *arg, const char *path,
                      GError **error)
{
    json_int_t number = json_integer_value(value);

    switch (arg->type) {
    case QMP_STR:
        return json_is_string(value) || wrong_type(path, "string", error);
    case QMP_STR_OR_NULL:
        return json_is_string(value) || json_is_null(value) ||
               wrong_type(path, "string or null", error);
    case QMP_INT:
        return json_is_integer(value) || wrong_type(path, "integer", error);
    case QMP_UINT32:
        if (!json_is_integer(value)) {
            return wrong_type(path, "integer", error);
        }
        if (number < 0 || number > UINT32_MAX) {
            g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_GENERIC,
                        "Parameter '%s' expects uint32_t", path);
            return false;
        }
        return true;
    case QMP_SIZE:
        if (!json_is_integer(value)) {
            return wrong_type(path, "integer", error);
        }
        if (number < 0) {
            g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_GENERIC,
                        "Parameter '%s' expects uint64", path);
            return false;
        }
        return true;
    case QMP_NUMBER:
        return json_is_number(value) || wrong_type(path, "number", error);
    case QMP_BOOL:
        return json_is_boolean(value) || wrong_type(path, "boolean", error);
    case QMP_ENUM:
        return check_enum(value, arg, path, error);
    case QMP_OBJECT:
        return check_object(value, arg, path, error);
    case QMP_STR_OR_OBJECT:
        return json_is_string(value) || check_object(value, arg, path, error);
    case QMP_ANY:
        return true;
    }
    g_assert_not_reached();
}

static bool check_value(json_t *value, const QmpArg *arg, const char *path,
                        GError **error)
{
    size_t index;
    json_t *element;

    if (!arg->list) {
        return check_one(value, arg, path, error);
    }
    if (!json_is_array(value)) {
        return wrong_type(path, "array", error);
    }
    json_array_foreach(value, index, element) {
        g_autofree char *at = g_strdup_printf("%s[%zu]", path, index);

        if (!check_one(element, arg, at, error)) {
            return false;
        }
    }
    return true;
}

bool qmp_check(json_t *object, const QmpArg *members, const char *prefix,
               GError **error)
{
    const char *key;
    json_t *value;

    for (const QmpArg *arg = members; arg && arg->name; arg++) {
        g_autofree char *path = g_strconcat(prefix, arg->name, NULL);

        value = json_object_get(object, arg->name);
        if (value) {
            if (!check_value(value, arg, path, error)) {
                return false;
            }
        } else if (!arg->optional) {
            g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_GENERIC,
                        "Parameter '%s' is missing", path);
            return false;
        }
    }
    json_object_foreach(object, key, value) {
        const QmpArg *arg = members;

        while (arg && arg->name && strcmp(arg->name, key) != 0) {
            arg++;
        }
        if (!arg || !arg->name) {
            g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_GENERIC,
                        "Parameter '%s%s' is unexpected", prefix, key);
            return false;
        }
    }
    return true;
}

const char *qmp_str(json_t *args, const char *name)
{
    return json_string_value(json_object_get(args, name));
}

bool qmp_bool(json_t *args, const char *name, bool otherwise)
{
    json_t *value = json_object_get(args, name);

    return value ? json_is_true(value) : otherwise;
}

int64_t qmp_int(json_t *args, const char *name, int64_t otherwise)
{
    json_t *value = json_object_get(args, name);

    return value ? json_integer_value(value) : otherwise;
}

int qmp_enum(json_t *args, const char *name, const char *words)
{
    const char *word = qmp_str(args, name);
    g_auto(GStrv) list = g_strsplit(words, "/", -1);

    for (int i = 0; word && list[i]; i++) {
        if (!strcmp(list[i], word)) {
            return i;
        }
    }
    return -1;
}
