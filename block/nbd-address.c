/*
 * Socket addresses as JSON.
 */
#include "block/nbd-address.h"

#include <errno.h>
#include <string.h>

#include "block/node.h"
#include "block/options.h"

static const char types[] = "inet/unix/vsock/fd";

static NbdAddress *missing(const char *what, GError **error)
{
    g_set_error(error, BLOCK_ERROR, EINVAL, "Parameter '%s' is missing", what);
    return NULL;
}

static NbdAddress *parse_inet(json_t *d, GError **error)
{
    const char *host = NULL;
    const char *port = NULL;
    bool ipv4 = false;
    bool ipv6 = false;
    NbdAddress *address;

    if (!block_options_string(d, "host", &host, error) ||
        !block_options_string(d, "port", &port, error) ||
        !block_options_bool(d, "ipv4", &ipv4, error) ||
        !block_options_bool(d, "ipv6", &ipv6, error)) {
        return NULL;
    }
    if (!host || !port) {
        return missing(host ? "port" : "host", error);
    }
    address = nbd_address_new_inet(host, port);
    address->ipv4_only = ipv4 && !ipv6;
    address->ipv6_only = ipv6 && !ipv4;
    return address;
}

static NbdAddress *parse_unix(json_t *d, GError **error)
{
    const char *path = NULL;
    bool abstract = false;

    if (!block_options_string(d, "path", &path, error) ||
        !block_options_bool(d, "abstract", &abstract, error)) {
        return NULL;
    }
    if (!path) {
        return missing("path", error);
    }
    if (abstract) {
        g_autofree char *name = g_strconcat("@", path, NULL);
        return nbd_address_new_unix(name);
    }
    return nbd_address_new_unix(path);
}

static NbdAddress *parse_vsock(json_t *d, GError **error)
{
    const char *cid = NULL;
    const char *port = NULL;

    if (!block_options_string(d, "cid", &cid, error) ||
        !block_options_string(d, "port", &port, error)) {
        return NULL;
    }
    return cid && port ? nbd_address_new_vsock(cid, port)
                       : missing(cid ? "port" : "cid", error);
}

static NbdAddress *parse_fd(json_t *d, GError **error)
{
    const char *text = NULL;
    guint64 fd;

    if (!block_options_string(d, "str", &text, error)) {
        return NULL;
    }
    if (!text) {
        return missing("str", error);
    }
    if (!g_ascii_string_to_unsigned(text, 10, 0, INT32_MAX, &fd, NULL)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "File descriptor named '%s' has not been found", text);
        return NULL;
    }
    return nbd_address_new_fd((int)fd);
}

NbdAddress *block_nbd_address(json_t *description, GError **error)
{
    static NbdAddress *(*const parse[])(json_t *d, GError **error) = {
        parse_inet, parse_unix, parse_vsock, parse_fd,
    };
    json_t *data = json_object_get(description, "data");
    int type = -1;

    if (!block_options_enum(description, "type", types, &type, error)) {
        return NULL;
    }
    if (type < 0) {
        return missing("type", error);
    }
    return parse[type](json_is_object(data) ? data : description, error);
}
