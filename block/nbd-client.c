/*
 * Driver "nbd": a disk on an NBD server.
 *
 * Requests go straight to the client engine, which any number of threads may
 * use at once.  Names: nbd://..., nbd+unix://..., nbd+vsock://..., the same
 * with nbds for TLS, nbd:HOST:PORT[:exportname=E] and
 * nbd:unix:PATH[:exportname=E].
 *
 * With x-dirty-bitmap the bits of that context are reported as if they were
 * allocation bits: dirty is "not data", clean is "data".
 */
#include "block/driver.h"

#include <errno.h>
#include <string.h>

#include "block/nbd-address.h"
#include "block/nbd-object.h"
#include "block/options.h"
#include "nbd/client.h"
#include "nbd/protocol.h"

typedef struct NbdState {
    NbdClient *client;
    bool depth; /* the context is qemu:allocation-depth */
} NbdState;

static const BlockOption nbd_options[] = {
    { "server", BLOCK_OPT_OBJECT },
    { "host", BLOCK_OPT_STRING },
    { "port", BLOCK_OPT_STRING },
    { "path", BLOCK_OPT_STRING },
    { "export", BLOCK_OPT_STRING },
    { "tls-creds", BLOCK_OPT_STRING },
    { "tls-hostname", BLOCK_OPT_STRING },
    /* What a TLS URI says; the alternative to an object in tls-creds. */
    { "tls", BLOCK_OPT_BOOL },
    { "tls-type", BLOCK_OPT_ENUM, "x509/psk/anon" },
    { "tls-certificates", BLOCK_OPT_STRING },
    { "tls-psk-file", BLOCK_OPT_STRING },
    { "tls-username", BLOCK_OPT_STRING },
    { "tls-verify-peer", BLOCK_OPT_BOOL },
    { "x-dirty-bitmap", BLOCK_OPT_STRING },
    { "reconnect-delay", BLOCK_OPT_INT },
    { "open-timeout", BLOCK_OPT_INT },
    { "connections", BLOCK_OPT_INT },
    { NULL },
};

/* ---- Names ---------------------------------------------------------------- */

static void put(json_t *options, const char *key, const char *value)
{
    json_object_set_new(options, key, json_string(value));
}

static void put_tls(json_t *options, const NbdUri *uri)
{
    const struct {
        const char *key, *value;
    } said[] = {
        { "tls-type", uri->tls_type },
        { "tls-hostname", uri->tls_hostname },
        { "tls-certificates", uri->tls_certificates },
        { "tls-psk-file", uri->tls_psk_file },
        { "tls-username", uri->username },
    };

    json_object_set_new(options, "tls", json_true());
    for (size_t i = 0; i < G_N_ELEMENTS(said); i++) {
        if (said[i].value && *said[i].value) {
            put(options, said[i].key, said[i].value);
        }
    }
    if (uri->tls_verify_peer >= 0) {
        json_object_set_new(options, "tls-verify-peer",
                            json_boolean(uri->tls_verify_peer));
    }
}

static bool parse_uri(const char *filename, json_t *options, GError **error)
{
    g_autoptr(NbdUri) uri = nbd_uri_parse(filename, error);
    const NbdAddress *a;

    if (!uri) {
        return false;
    }
    a = uri->address;
    if (uri->tls) {
        put_tls(options, uri);
    }
    switch (a->type) {
    case NBD_ADDRESS_UNIX:
        put(options, "server.type", "unix");
        put(options, "server.path", a->path[0] == '@' ? a->path + 1 : a->path);
        if (a->path[0] == '@') {
            json_object_set_new(options, "server.abstract", json_true());
        }
        break;
    case NBD_ADDRESS_VSOCK:
        put(options, "server.type", "vsock");
        put(options, "server.cid", a->host);
        put(options, "server.port",
            a->port ? a->port : G_STRINGIFY(NBD_DEFAULT_PORT));
        break;
    default:
        put(options, "server.type", "inet");
        put(options, "server.host", a->host);
        put(options, "server.port",
            a->port ? a->port : G_STRINGIFY(NBD_DEFAULT_PORT));
        break;
    }
    if (*uri->export) {
        put(options, "export", uri->export);
    }
    return true;
}

/* nbd:HOST:PORT or nbd:[V6]:PORT; text is what follows "nbd:". */
static bool parse_host_port(const char *text, json_t *options, GError **error)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = NULL;

    if (!colon || colon == text || !colon[1]) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "No valid address in 'nbd:%s'", text);
        return false;
    }
    host = *text == '[' && colon[-1] == ']'
               ? g_strndup(text + 1, colon - text - 2)
               : g_strndup(text, colon - text);
    put(options, "server.type", "inet");
    put(options, "server.host", host);
    put(options, "server.port", colon + 1);
    return true;
}

static bool nbd_parse_filename(const char *filename, json_t *options,
                               GError **error)
{
    g_autofree char *text = NULL;
    char *export;

    if (strstr(filename, "://")) {
        return parse_uri(filename, options, error);
    }
    if (!g_str_has_prefix(filename, "nbd:")) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "File name string for new protocols must start with "
                    "'nbd:'");
        return false;
    }
    text = g_strdup(filename + 4);
    if (!*text) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "No server address in '%s'",
                    filename);
        return false;
    }
    export = strstr(text, ":exportname=");
    if (export) {
        *export = 0;
        export += strlen(":exportname=");
        if (*export) {
            put(options, "export", export);
        }
    }
    if (g_str_has_prefix(text, "unix:")) {
        put(options, "server.type", "unix");
        put(options, "server.path", text + 5);
        return true;
    }
    return parse_host_port(text, options, error);
}

/* ---- Opening -------------------------------------------------------------- */

static bool fail(GError **error, const char *text)
{
    g_set_error_literal(error, BLOCK_ERROR, EINVAL, text);
    return false;
}

/* The address from "server", or from the flat path, host and port. */
static NbdAddress *find_address(json_t *options, GError **error)
{
    json_t *server = block_options_get(options, "server");
    const char *path = NULL;
    const char *host = NULL;
    const char *port = NULL;

    if (!block_options_string(options, "path", &path, error) ||
        !block_options_string(options, "host", &host, error) ||
        !block_options_string(options, "port", &port, error)) {
        return NULL;
    }
    if (server && (path || host || port)) {
        fail(error, "Cannot use 'server' and path/host/port at the same time");
    } else if (server) {
        return block_nbd_address(server, error);
    } else if (path && host) {
        fail(error, "path and host may not be used at the same time");
    } else if (path && port) {
        fail(error, "port may not be used without host");
    } else if (path) {
        return nbd_address_new_unix(path);
    } else if (host) {
        return nbd_address_new_inet(host, port);
    } else {
        fail(error, port ? "port may not be used without host"
                         : "NBD server address missing");
    }
    return NULL;
}

/*
 * Credentials from an object or from the words of a URI; true and *tls NULL:
 * in the clear.
 */
static bool find_tls(json_t *options, const char *hostname, NbdTlsCreds **tls,
                     GError **error)
{
    const char *id = NULL;
    bool by_uri = false;
    bool verify = true;
    NbdUri uri = { 0 };

    if (!block_options_string(options, "tls-creds", &id, error) ||
        !block_options_bool(options, "tls", &by_uri, error) ||
        !block_options_string(options, "tls-type",
                              (const char **)&uri.tls_type, error) ||
        !block_options_string(options, "tls-certificates",
                              (const char **)&uri.tls_certificates, error) ||
        !block_options_string(options, "tls-psk-file",
                              (const char **)&uri.tls_psk_file, error) ||
        !block_options_string(options, "tls-username",
                              (const char **)&uri.username, error) ||
        !block_options_bool(options, "tls-verify-peer", &verify, error)) {
        return false;
    }
    if (id && by_uri) {
        return fail(error, "Cannot use 'tls-creds' and 'tls' at the same "
                           "time");
    }
    if (!by_uri && (uri.tls_type || uri.tls_certificates || uri.username ||
                    uri.tls_psk_file || !verify)) {
        return fail(error, "tls-type and its like need tls=on");
    }
    if (hostname && !id && !by_uri) {
        return fail(error, "tls-hostname is not permitted without tls-creds");
    }
    uri.tls_verify_peer = verify;
    *tls = id       ? block_nbd_tls_creds(id, false, error)
           : by_uri ? nbd_uri_tls_creds(&uri, error) : NULL;
    return *tls || (!id && !by_uri);
}

static bool read_params(json_t *options, NbdClientParams *p, GError **error)
{
    uint64_t delay = 0;
    uint64_t timeout = 0;
    int64_t connections = 1;

    if (!block_options_string(options, "export", &p->export, error) ||
        !block_options_string(options, "tls-hostname", &p->tls_hostname,
                              error) ||
        !block_options_string(options, "x-dirty-bitmap", &p->context,
                              error) ||
        !block_options_size(options, "reconnect-delay", &delay, error) ||
        !block_options_size(options, "open-timeout", &timeout, error) ||
        !block_options_int(options, "connections", &connections, error)) {
        return false;
    }
    if (p->export && strlen(p->export) > NBD_MAX_STRING) {
        return fail(error, "export name too long to send to server");
    }
    if (p->context && strlen(p->context) > NBD_MAX_STRING) {
        return fail(error, "x-dirty-bitmap query too long to send to server");
    }
    if (connections < 1 || connections > 16) {
        return fail(error, "connections must be between 1 and 16");
    }
    if (delay > UINT32_MAX || timeout > UINT32_MAX) {
        return fail(error, "reconnect-delay or open-timeout is out of range");
    }
    p->reconnect_delay_s = (unsigned)delay;
    p->open_timeout_s = (unsigned)timeout;
    p->connections = (unsigned)connections;
    p->context_required = p->context != NULL;
    return true;
}

static void append_export(GString *name, const char *export)
{
    if (export && *export) {
        g_autofree char *text = g_uri_escape_string(export, "/", TRUE);
        g_string_append_printf(name, "/%s", text);
    }
}

/* The parameters of a TLS URI, so that the name opens the same again. */
static void append_tls(GString *name, json_t *options, const char *joint)
{
    static const char *const keys[] = { "tls-type", "tls-hostname",
                                        "tls-certificates", "tls-psk-file" };
    bool verify = true;

    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        const char *value = NULL;

        block_options_string(options, keys[i], &value, NULL);
        if (value) {
            g_autofree char *text = g_uri_escape_string(value, "/", TRUE);
            g_string_append_printf(name, "%s%s=%s", joint, keys[i], text);
            joint = "&";
        }
    }
    block_options_bool(options, "tls-verify-peer", &verify, NULL);
    if (!verify) {
        g_string_append_printf(name, "%stls-verify-peer=0", joint);
    }
}

static char *make_filename(const NbdAddress *a, const char *export,
                           json_t *options)
{
    GString *name = g_string_new(NULL);
    g_autofree char *user = NULL;
    const char *text = NULL;
    bool tls = false;
    const char *port = a->port ? a->port : G_STRINGIFY(NBD_DEFAULT_PORT);

    if (a->type == NBD_ADDRESS_FD) {
        g_string_printf(name, "fd:%d", a->fd);
        return g_string_free(name, FALSE);
    }
    block_options_bool(options, "tls", &tls, NULL);
    block_options_string(options, "tls-username", &text, NULL);
    user = text ? g_uri_escape_string(text, NULL, TRUE) : NULL;
    g_string_append(name, tls ? "nbds" : "nbd");
    g_string_append(name, a->type == NBD_ADDRESS_UNIX    ? "+unix://"
                          : a->type == NBD_ADDRESS_VSOCK ? "+vsock://"
                                                         : "://");
    if (user) {
        g_string_append_printf(name, "%s@", user);
    }
    if (a->type == NBD_ADDRESS_UNIX) {
        bool abstract = a->path[0] == '@';
        g_autofree char *path = g_uri_escape_string(a->path + abstract, "/",
                                                    TRUE);

        append_export(name, export);
        g_string_append_printf(name, "?socket=%s%s", abstract ? "%00" : "",
                               path);
    } else {
        g_string_append_printf(name, strchr(a->host, ':') ? "[%s]:%s"
                                                          : "%s:%s",
                               a->host, port);
        append_export(name, export);
    }
    if (tls) {
        append_tls(name, options, a->type == NBD_ADDRESS_UNIX ? "&" : "?");
    }
    return g_string_free(name, FALSE);
}

static bool take_info(BlockNode *node, const NbdClientInfo *info,
                      GError **error)
{
    if ((info->flags & NBD_FLAG_READ_ONLY) &&
        (node->flags & BLOCK_OPEN_RDWR)) {
        if (!(node->flags & BLOCK_OPEN_AUTO_RDONLY)) {
            g_set_error(error, BLOCK_ERROR, EACCES,
                        "NBD export is read-only");
            return false;
        }
        node->read_only = true;
    }
    block_node_set_length(node, info->size);
    node->limits.request_alignment = info->min_block;
    node->limits.max_transfer = info->max_block;
    node->limits.opt_transfer = info->pref_block;
    return true;
}

static bool nbd_open(BlockNode *node, json_t *options, GError **error)
{
    g_autoptr(NbdAddress) address = find_address(options, error);
    g_autoptr(NbdTlsCreds) tls = NULL;
    NbdState *s = node->state;
    NbdClientParams p = { .address = address };

    if (!address || !read_params(options, &p, error) ||
        !find_tls(options, p.tls_hostname, &tls, error)) {
        return false;
    }
    p.tls = tls;
    s->client = nbd_client_open(&p, error);
    if (!s->client) {
        return false;
    }
    s->depth = p.context && !strcmp(p.context, NBD_CONTEXT_DEPTH);
    if (!take_info(node, nbd_client_info(s->client), error)) {
        nbd_client_close(s->client);
        return false;
    }
    node->filename = make_filename(address, p.export, options);
    return true;
}

static void nbd_close(BlockNode *node)
{
    NbdState *s = node->state;

    nbd_client_close(s->client);
}

/* ---- Requests ------------------------------------------------------------- */

static int nbd_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                      const struct iovec *iov, int niov, unsigned flags)
{
    NbdState *s = node->state;

    if (flags & BLOCK_REQ_PREFETCH) {
        int ret = nbd_client_cache(s->client, offset, bytes);
        return ret == -ENOTSUP ? 0 : ret;
    }
    return nbd_client_preadv(s->client, offset, bytes, iov, niov);
}

static int nbd_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                       const struct iovec *iov, int niov, unsigned flags)
{
    NbdState *s = node->state;

    return nbd_client_pwritev(s->client, offset, bytes, iov, niov,
                              flags & BLOCK_REQ_FUA ? NBD_CMD_FLAG_FUA : 0);
}

static int nbd_pwrite_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes,
                             unsigned flags)
{
    NbdState *s = node->state;
    unsigned send = 0;

    send |= flags & BLOCK_REQ_FUA ? NBD_CMD_FLAG_FUA : 0;
    send |= flags & BLOCK_REQ_MAY_UNMAP ? 0 : NBD_CMD_FLAG_NO_HOLE;
    send |= flags & BLOCK_REQ_NO_FALLBACK ? NBD_CMD_FLAG_FAST_ZERO : 0;
    return nbd_client_zero(s->client, offset, bytes, send);
}

static int nbd_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    NbdState *s = node->state;
    int ret = nbd_client_trim(s->client, offset, bytes, 0);

    return ret == -ENOTSUP ? 0 : ret;
}

static int nbd_flush(BlockNode *node)
{
    NbdState *s = node->state;

    return nbd_client_flush(s->client);
}

static int nbd_status(BlockNode *node, uint64_t offset, uint64_t bytes,
                      BlockStatus *status)
{
    NbdState *s = node->state;
    NbdClientExtent extent = { bytes, 0 };
    int ret = 0;

    if (nbd_client_info(s->client)->has_context) {
        ret = nbd_client_status(s->client, offset, bytes, &extent);
        if (ret < 0) {
            return ret;
        }
    }
    if (s->depth) {
        extent.flags = MIN(extent.flags, 2);
    }
    status->bytes = extent.bytes;
    status->host_node = node;
    status->host_offset = offset;
    status->flags = BLOCK_STATUS_OFFSET_VALID;
    status->flags |= extent.flags & NBD_STATE_HOLE ? 0 : BLOCK_STATUS_DATA;
    status->flags |= extent.flags & NBD_STATE_ZERO ? BLOCK_STATUS_ZERO : 0;
    return 0;
}

/* An export has the size it has; a format inside may use less of it. */
static bool nbd_truncate(BlockNode *node, uint64_t size, bool exact,
                         BlockPreallocation prealloc, GError **error)
{
    uint64_t length = block_length(node);

    if ((exact && size != length) || size > length) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP,
                    size > length ? "Cannot grow NBD nodes"
                                  : "Cannot resize NBD nodes");
        return false;
    }
    return true;
}

static bool nbd_reopen_prepare(BlockNode *node, json_t *options,
                               unsigned flags, void **prepared,
                               GError **error)
{
    NbdState *s = node->state;

    if ((flags & BLOCK_OPEN_RDWR) &&
        (nbd_client_info(s->client)->flags & NBD_FLAG_READ_ONLY)) {
        g_set_error(error, BLOCK_ERROR, EACCES,
                    "Can't reopen read-only NBD mount as read/write");
        return false;
    }
    return true;
}

static const char *const nbd_protocols[] = {
    "nbd",  "nbd+tcp",  "nbd+unix",  "nbd+vsock",
    "nbds", "nbds+tcp", "nbds+unix", "nbds+vsock", NULL,
};

const BlockDriver block_driver_nbd = {
    .name = "nbd",
    .flags = BLOCK_DRIVER_PROTOCOL,
    .state_size = sizeof(NbdState),
    .options = nbd_options,
    .protocols = nbd_protocols,
    .parse_filename = nbd_parse_filename,
    .open = nbd_open,
    .close = nbd_close,
    .reopen_prepare = nbd_reopen_prepare,
    .preadv = nbd_preadv,
    .pwritev = nbd_pwritev,
    .pwrite_zeroes = nbd_pwrite_zeroes,
    .pdiscard = nbd_pdiscard,
    .flush = nbd_flush,
    .status = nbd_status,
    .truncate = nbd_truncate,
    .fua_native = true,
};
