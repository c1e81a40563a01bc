/*
 * NBD URIs: nbd://HOST[:PORT][/EXPORT], nbd+unix:///[EXPORT]?socket=PATH,
 * nbd+vsock://CID[:PORT][/EXPORT], and nbds for each of them.
 */
#include "nbd/address.h"

#include <errno.h>
#include <string.h>

#include "nbd/protocol.h"
#include "nbd/tls.h"

static const struct {
    const char *scheme;
    NbdAddressType type;
    bool tls;
} schemes[] = {
    { "nbd", NBD_ADDRESS_INET, false },
    { "nbd+tcp", NBD_ADDRESS_INET, false },
    { "nbd+unix", NBD_ADDRESS_UNIX, false },
    { "nbd+vsock", NBD_ADDRESS_VSOCK, false },
    { "nbds", NBD_ADDRESS_INET, true },
    { "nbds+tcp", NBD_ADDRESS_INET, true },
    { "nbds+unix", NBD_ADDRESS_UNIX, true },
    { "nbds+vsock", NBD_ADDRESS_VSOCK, true },
};

void nbd_uri_free(NbdUri *uri)
{
    if (uri) {
        nbd_address_free(uri->address);
        g_free(uri->export);
        g_free(uri->username);
        g_free(uri->tls_type);
        g_free(uri->tls_hostname);
        g_free(uri->tls_certificates);
        g_free(uri->tls_psk_file);
        g_free(uri);
    }
}

static bool fail(GError **error, const char *text, const char *why)
{
    g_set_error(error, NBD_ERROR, EINVAL, "No valid URL specified: '%s': %s",
                text, why);
    return false;
}

/* An abstract socket is written with a leading %00. */
static char *decode_socket(const char *value)
{
    if (g_str_has_prefix(value, "%00")) {
        g_autofree char *rest = g_uri_unescape_string(value + 3, NULL);
        return rest ? g_strconcat("@", rest, NULL) : NULL;
    }
    return g_uri_unescape_string(value, NULL);
}

static bool parse_parameter(NbdUri *uri, const char *text, const char *key,
                            const char *value, char **socket, GError **error)
{
    struct {
        const char *key;
        char **to;
    } plain[] = {
        { "tls-type", &uri->tls_type },
        { "tls-hostname", &uri->tls_hostname },
        { "tls-certificates", &uri->tls_certificates },
        { "tls-psk-file", &uri->tls_psk_file },
    };

    if (!strcmp(key, "socket")) {
        if (*socket) {
            return fail(error, text, "more than one socket");
        }
        *socket = decode_socket(value);
        return *socket ? true : fail(error, text, "bad escape in socket");
    }
    if (!strcmp(key, "tls-verify-peer")) {
        uri->tls_verify_peer = strcmp(value, "0") && strcmp(value, "false");
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(plain); i++) {
        if (!strcmp(key, plain[i].key)) {
            g_free(*plain[i].to);
            *plain[i].to = g_uri_unescape_string(value, NULL);
            return *plain[i].to ? true : fail(error, text, "bad escape");
        }
    }
    g_set_error(error, NBD_ERROR, EINVAL,
                "No valid URL specified: '%s': unknown parameter '%s'", text,
                key);
    return false;
}

static bool parse_query(NbdUri *uri, const char *text, const char *query,
                        char **socket, GError **error)
{
    g_auto(GStrv) parts = g_strsplit_set(query, "&;", -1);

    for (size_t i = 0; parts[i]; i++) {
        char *equals = strchr(parts[i], '=');
        if (!*parts[i]) {
            continue;
        }
        if (!equals) {
            return fail(error, text, "parameter without a value");
        }
        *equals = 0;
        if (!parse_parameter(uri, text, parts[i], equals + 1, socket,
                             error)) {
            return false;
        }
    }
    return true;
}

/* [USER@]HOST[:PORT], HOST possibly [v6]. */
static bool parse_authority(NbdUri *uri, const char *text, char *authority,
                            char **host, char **port, GError **error)
{
    char *at = strrchr(authority, '@');
    char *colon;

    *host = *port = NULL;
    if (at) {
        *at = 0;
        uri->username = g_uri_unescape_string(authority, NULL);
        authority = at + 1;
    }
    if (*authority == '[') {
        char *close = strchr(authority, ']');
        if (!close || (close[1] && close[1] != ':')) {
            return fail(error, text, "bad IPv6 address");
        }
        *host = g_strndup(authority + 1, close - authority - 1);
        colon = close[1] ? close + 1 : NULL;
    } else {
        colon = strchr(authority, ':');
        g_autofree char *raw =
            colon ? g_strndup(authority, colon - authority)
                  : g_strdup(authority);
        *host = g_uri_unescape_string(raw, NULL);
    }
    if (colon && colon[1]) {
        guint64 number;
        if (!g_ascii_string_to_unsigned(colon + 1, 10, 1, UINT32_MAX, &number,
                                        NULL)) {
            return fail(error, text, "bad port");
        }
        *port = g_strdup(colon + 1);
    }
    return *host ? true : fail(error, text, "bad host");
}

static bool parse_rest(NbdUri *uri, NbdAddressType type, const char *text,
                       const char *rest, GError **error)
{
    g_autofree char *authority = NULL;
    g_autofree char *host = NULL;
    g_autofree char *port = NULL;
    g_autofree char *socket = NULL;
    g_autofree char *path = NULL;
    size_t n = strcspn(rest, "/?#");
    const char *query = strchr(rest + n, '?');

    authority = g_strndup(rest, n);
    if (strchr(rest, '#')) {
        return fail(error, text, "fragments have no meaning");
    }
    path = query ? g_strndup(rest + n, query - rest - n) : g_strdup(rest + n);
    if (query && !parse_query(uri, text, query + 1, &socket, error)) {
        return false;
    }
    uri->export = g_uri_unescape_string(*path == '/' ? path + 1 : path, NULL);
    if (!uri->export || strlen(uri->export) > NBD_MAX_STRING) {
        return fail(error, text, "bad export name");
    }
    if (!parse_authority(uri, text, authority, &host, &port, error)) {
        return false;
    }
    if (type == NBD_ADDRESS_UNIX) {
        if (*host || port || !socket) {
            return fail(error, text, *host || port ? "host not allowed"
                                                   : "socket is missing");
        }
        uri->address = nbd_address_new_unix(socket);
        return true;
    }
    if (socket) {
        return fail(error, text, "socket not allowed");
    }
    if (type == NBD_ADDRESS_VSOCK) {
        uri->address = nbd_address_new_vsock(*host ? host : "2", port);
    } else {
        uri->address = nbd_address_new_inet(*host ? host : "localhost", port);
    }
    return true;
}

NbdUri *nbd_uri_parse(const char *text, GError **error)
{
    g_autoptr(NbdUri) uri = g_new0(NbdUri, 1);
    const char *rest = strstr(text, "://");

    uri->tls_verify_peer = -1;
    for (size_t i = 0; rest && i < G_N_ELEMENTS(schemes); i++) {
        size_t n = strlen(schemes[i].scheme);
        if (n == (size_t)(rest - text) &&
            !g_ascii_strncasecmp(text, schemes[i].scheme, n)) {
            uri->tls = schemes[i].tls;
            return parse_rest(uri, schemes[i].type, text, rest + 3, error)
                       ? g_steal_pointer(&uri) : NULL;
        }
    }
    fail(error, text, "unknown scheme");
    return NULL;
}

NbdTlsCreds *nbd_uri_tls_creds(const NbdUri *uri, GError **error)
{
    static const char *const types[] = {
        [NBD_TLS_X509] = "x509", [NBD_TLS_PSK] = "psk",
        [NBD_TLS_ANON] = "anon",
    };
    const char *user = uri->username;
    NbdTlsParams p = {
        .kind = uri->tls_psk_file ? NBD_TLS_PSK : NBD_TLS_X509,
        .verify_peer = uri->tls_verify_peer != 0,
        .dir = uri->tls_certificates,
        .psk_file = uri->tls_psk_file,
        .username = user && *user ? user : g_get_user_name(),
    };
    size_t i = 0;

    if (uri->tls_type) {
        while (i < G_N_ELEMENTS(types) && strcmp(uri->tls_type, types[i])) {
            i++;
        }
        if (i == G_N_ELEMENTS(types)) {
            g_set_error(error, NBD_ERROR, EINVAL,
                        "tls-type '%s' is none of x509, psk, anon",
                        uri->tls_type);
            return NULL;
        }
        p.kind = (NbdTlsKind)i;
    }
    return nbd_tls_creds_new(&p, error);
}
