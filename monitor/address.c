/*
 * Where monitors are: the texts of -qmp, -monitor, -chardev and -mon.
 *
 * A character device is only a remembered address: the monitor that names it
 * opens it.
 */
#include "monitor/monitor-int.h"

#include <string.h>

static GHashTable *chardevs; /* id -> MonitorAddress */

static bool on_off(const char *word, bool *value)
{
    if (!strcmp(word, "on") || !strcmp(word, "off")) {
        *value = !strcmp(word, "on");
        return true;
    }
    return false;
}

static bool complain(GError **error, const char *format, const char *word)
{
    g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_GENERIC, format, word);
    return false;
}

/* Sockets' flags, both spellings. */
static bool address_flag(MonitorAddress *a, const char *word, GError **error)
{
    const char *equals = strchr(word, '=');
    g_autofree char *key = equals ? g_strndup(word, equals - word)
                                  : g_strdup(word);
    bool value = true;

    if (equals && !on_off(equals + 1, &value)) {
        return complain(error, "Parameter '%s' expects 'on' or 'off'", key);
    }
    if (!strcmp(key, "server")) {
        a->server = value;
    } else if (!strcmp(key, "wait")) {
        a->wait = value;
    } else if (!strcmp(key, "nowait") && !equals) {
        a->wait = false;
    } else {
        return complain(error, "Invalid parameter '%s'", key);
    }
    return true;
}

/* "unix:PATH,..." and "tcp:HOST:PORT,...". */
static bool parse_address(const char *text, MonitorAddress *a,
                          GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    const char *first = parts[0] ? parts[0] : "";

    a->wait = true;
    if (!strcmp(first, "stdio")) {
        return true;
    }
    if (g_str_has_prefix(first, "unix:") && first[5]) {
        a->path = g_strdup(first + 5);
    } else if (g_str_has_prefix(first, "tcp:")) {
        const char *colon = strrchr(first + 4, ':');

        if (!colon) {
            return complain(error, "invalid host/port value: '%s'",
                            first + 4);
        }
        if (!g_ascii_string_to_unsigned(colon + 1, 10, 0, 65535, NULL,
                                        NULL)) {
            return complain(error, "invalid host/port value: '%s'",
                            first + 4);
        }
        a->host = g_strndup(first + 4, colon - first - 4);
        a->port = g_strdup(colon + 1);
        if (*a->host == '[' && a->host[strlen(a->host) - 1] == ']') {
            char *inner = g_strndup(a->host + 1, strlen(a->host) - 2);

            g_free(a->host);
            a->host = inner;
        }
    } else {
        return complain(error, "Invalid monitor address '%s' (expected "
                        "stdio, unix:PATH or tcp:HOST:PORT)", text);
    }
    for (char **p = parts + 1; *p; p++) {
        if (!address_flag(a, *p, error)) {
            return false;
        }
    }
    return true;
}

static const MonitorAddress *find_chardev(const char *id, GError **error)
{
    const MonitorAddress *a = chardevs ? g_hash_table_lookup(chardevs, id)
                                       : NULL;

    if (!a) {
        complain(error, "chardev \"%s\" not found", id);
    }
    return a;
}

bool monitor_open(const char *address, MonitorMode mode, GError **error)
{
    MonitorAddress a = { NULL };
    bool ok;

    if (!strcmp(address, "none") || !strcmp(address, "null")) {
        return true;
    }
    if (g_str_has_prefix(address, "chardev:")) {
        const MonitorAddress *found = find_chardev(address + 8, error);

        return found && monitor_open_address(found, mode, error);
    }
    ok = parse_address(address, &a, error) &&
         monitor_open_address(&a, mode, error);
    monitor_address_clear(&a);
    return ok;
}

static bool chardev_option(MonitorAddress *a, const char *word, char **id,
                           GError **error)
{
    const char *equals = strchr(word, '=');
    const struct {
        const char *key;
        char **to;
    } strings[] = { { "id", id }, { "path", &a->path }, { "host", &a->host },
                    { "port", &a->port } };

    for (size_t i = 0; equals && i < G_N_ELEMENTS(strings); i++) {
        if (strlen(strings[i].key) == (size_t)(equals - word) &&
            g_str_has_prefix(word, strings[i].key)) {
            g_free(*strings[i].to);
            *strings[i].to = g_strdup(equals + 1);
            return true;
        }
    }
    if (g_str_has_prefix(word, "mux=") ||
        g_str_has_prefix(word, "signal=") ||
        g_str_has_prefix(word, "logfile=")) {
        return complain(error, "chardev option '%s' is not supported", word);
    }
    return address_flag(a, word, error);
}

static void address_free(gpointer data)
{
    monitor_address_clear(data);
    g_free(data);
}

bool monitor_chardev(const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    MonitorAddress *a = g_new0(MonitorAddress, 1);
    g_autofree char *id = NULL;
    const char *kind = parts[0] ? parts[0] : "";
    bool ok = true;

    a->wait = true;
    if (g_str_has_prefix(kind, "backend=")) {
        kind += 8;
    }
    for (char **p = parts[0] ? parts + 1 : parts; *p && ok; p++) {
        ok = chardev_option(a, *p, &id, error);
    }
    if (ok && strcmp(kind, "socket") && strcmp(kind, "stdio")) {
        ok = complain(error, "'%s' is not a valid char driver", kind);
    }
    if (ok && !id) {
        ok = complain(error, "chardev: no id specified in '%s'", text);
    }
    if (ok && !strcmp(kind, "socket") && !a->path && !(a->host && a->port)) {
        ok = complain(error, "chardev: socket: no %s given", a->host
                                 ? "port" : "path or host");
    }
    if (!chardevs) {
        chardevs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                         address_free);
    }
    if (ok && g_hash_table_contains(chardevs, id)) {
        ok = complain(error, "Duplicate ID '%s' for chardev", id);
    }
    if (!ok) {
        address_free(a);
        return false;
    }
    g_hash_table_insert(chardevs, g_steal_pointer(&id), a);
    return true;
}

bool monitor_mon(const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    MonitorMode mode = monitor_has_human() ? MONITOR_HUMAN : MONITOR_QMP;
    const char *id = NULL;
    bool pretty = false;
    const MonitorAddress *a;

    for (char **p = parts; *p; p++) {
        if (g_str_has_prefix(*p, "chardev=")) {
            id = *p + 8;
        } else if (p == parts && !strchr(*p, '=')) {
            id = *p;
        } else if (g_str_has_prefix(*p, "pretty=")) {
            if (!on_off(*p + 7, &pretty)) {
                return complain(error, "Parameter '%s' expects 'on' or "
                                "'off'", "pretty");
            }
        } else if (g_str_has_prefix(*p, "mode=")) {
            if (!strcmp(*p + 5, "control")) {
                mode = MONITOR_QMP;
            } else if (!strcmp(*p + 5, "readline") && monitor_has_human()) {
                mode = MONITOR_HUMAN;
            } else {
                return complain(error, "Parameter 'mode' does not accept "
                                "value '%s'", *p + 5);
            }
        } else if (!g_str_has_prefix(*p, "id=")) {
            return complain(error, "Invalid parameter '%s'", *p);
        }
    }
    if (!id) {
        return complain(error, "Parameter '%s' is missing", "chardev");
    }
    a = find_chardev(id, error);
    if (pretty && mode == MONITOR_QMP) {
        mode = MONITOR_QMP_PRETTY;
    }
    return a && monitor_open_address(a, mode, error);
}
