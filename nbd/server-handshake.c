/*
 * The handshake: greeting, options, and the way into the transmission phase.
 *
 * Each option is a row of a table.  A handler reads its data, answers, and
 * returns an NbdNext; data it leaves unread is dropped before the next
 * option, so the stream never gets out of step.
 */
#include <errno.h>
#include <string.h>

#include "nbd/server-int.h"
#include "util/bytes.h"
#include "util/log.h"

/* What handlers return besides -errno, which closes the connection. */
enum { NEXT_OPTION = 0, NEXT_CLOSE = 1, NEXT_SERVE = 2 };

/* ---- Option data and replies --------------------------------------------- */

int nbd_option_take(NbdConnection *conn, NbdOption *opt, void *buf, uint32_t n)
{
    int ret;

    if (n > opt->left) {
        return 0;
    }
    ret = nbd_stream_recv_full(&conn->stream, buf, n);
    opt->left -= n;
    return ret < 0 ? ret : 1;
}

int nbd_option_skip(NbdConnection *conn, NbdOption *opt)
{
    uint8_t waste[4096];

    while (opt->left > 0) {
        int ret = nbd_option_take(conn, opt, waste,
                                  MIN(opt->left, sizeof(waste)));
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

int nbd_option_reply(NbdConnection *conn, const NbdOption *opt, uint32_t type,
                     const void *data, uint32_t length)
{
    uint8_t head[NBD_OPTION_REPLY_SIZE];
    struct iovec iov[2] = {
        { .iov_base = head, .iov_len = sizeof(head) },
        { .iov_base = (void *)data, .iov_len = length },
    };

    stq_be_p(head, NBD_OPTION_REPLY_MAGIC);
    stl_be_p(head + 8, opt->option);
    stl_be_p(head + 12, type);
    stl_be_p(head + 16, length);
    return nbd_stream_send(&conn->stream, iov, length ? 2 : 1);
}

int nbd_option_fail(NbdConnection *conn, NbdOption *opt, uint32_t type,
                    const char *format, ...)
{
    g_autofree char *message = NULL;
    va_list ap;
    int ret;

    va_start(ap, format);
    message = g_strdup_vprintf(format, ap);
    va_end(ap);
    log_printf(LOG_NBD, "nbd: option %s refused: %s\n",
               nbd_option_name(opt->option), message);
    ret = nbd_option_skip(conn, opt);
    if (ret < 0) {
        return ret;
    }
    return nbd_option_reply(conn, opt, type, message,
                            (uint32_t)MIN(strlen(message), NBD_MAX_STRING));
}

static int unknown_export(NbdConnection *conn, NbdOption *opt,
                          const char *name)
{
    g_autofree char *text = g_utf8_make_valid(name, -1);
    g_autofree char *cut = g_utf8_substring(text, 0,
                                            MIN(g_utf8_strlen(text, -1), 80));

    return nbd_option_fail(conn, opt, NBD_REP_ERR_UNKNOWN,
                           "export '%s%s' not present", cut,
                           strlen(cut) < strlen(text) ? "..." : "");
}

NbdExport *nbd_option_export(NbdConnection *conn, NbdOption *opt, int *ret)
{
    g_autofree char *name = g_malloc(NBD_MAX_STRING + 1);
    NbdExport *export = NULL;
    uint8_t size[4];
    uint32_t length = 0;

    *ret = nbd_option_take(conn, opt, size, 4);
    if (*ret > 0) {
        length = ldl_be_p(size);
        *ret = length > NBD_MAX_STRING
                   ? 0 : nbd_option_take(conn, opt, name, length);
    }
    if (*ret < 0) {
        return NULL;
    }
    if (*ret == 0 || memchr(name, 0, length)) {
        *ret = nbd_option_fail(conn, opt, NBD_REP_ERR_INVALID,
                               length > NBD_MAX_STRING ? "name too long"
                                                       : "bad export name");
        return NULL;
    }
    name[length] = 0;
    export = nbd_server_lookup(conn->server, name, length);
    if (!export) {
        *ret = unknown_export(conn, opt, name);
    }
    return export;
}

/* ---- Entering the transmission phase ------------------------------------- */

static uint16_t transmission_flags(const NbdConnection *conn,
                                   const NbdExport *e)
{
    unsigned flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH |
                     NBD_FLAG_SEND_FUA | NBD_FLAG_SEND_CACHE;

    flags |= e->writable ? NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES |
                               NBD_FLAG_SEND_FAST_ZERO
                         : NBD_FLAG_READ_ONLY;
    flags |= conn->structured ? NBD_FLAG_SEND_DF : 0;
    flags |= e->multi_conn ? NBD_FLAG_CAN_MULTI_CONN : 0;
    flags |= conn->extended && conn->contexts.export == e &&
                     conn->contexts.count
                 ? NBD_FLAG_BLOCK_STATUS_PAYLOAD : 0;
    return (uint16_t)flags;
}

/* Takes over the reference to e. */
static bool enter(NbdConnection *conn, NbdExport *e)
{
    if (conn->contexts.export && conn->contexts.export != e) {
        nbd_context_set_clear(&conn->contexts);
    }
    conn->flags = transmission_flags(conn, e);
    conn->rules = (NbdRequestRules){
        .structured = conn->structured,
        .extended = conn->extended,
        .status_payload = conn->flags & NBD_FLAG_BLOCK_STATUS_PAYLOAD,
        .writable = e->writable,
        .contexts = conn->contexts.count,
        .size = e->size,
        .max_block = e->max_block,
    };
    if (!nbd_connection_bind(conn, e)) {
        nbd_export_unref(e);
        return false;
    }
    return true;
}

static int opt_export_name(NbdConnection *conn, NbdOption *opt)
{
    uint8_t answer[10 + NBD_EXPORT_NAME_PAD] = { 0 };
    char name[NBD_MAX_STRING + 1];
    uint32_t length = opt->left;
    NbdExport *e;
    int ret;

    /* This option has no way to say no. */
    if (length > NBD_MAX_STRING || conn->extended) {
        return NEXT_CLOSE;
    }
    ret = nbd_option_take(conn, opt, name, length);
    if (ret < 0) {
        return ret;
    }
    e = nbd_server_lookup(conn->server, name, length);
    if (!e) {
        return NEXT_CLOSE;
    }
    if (!enter(conn, e)) {
        return NEXT_CLOSE;
    }
    stq_be_p(answer, e->size);
    stw_be_p(answer + 8, conn->flags);
    ret = nbd_stream_send_buf(&conn->stream, answer,
                              conn->no_zeroes ? 10 : sizeof(answer));
    return ret < 0 ? ret : NEXT_SERVE;
}

static int reply_info(NbdConnection *conn, const NbdOption *opt,
                      uint16_t type, const void *data, size_t length)
{
    g_autofree uint8_t *buf = g_malloc(2 + length);

    stw_be_p(buf, type);
    memcpy(buf + 2, data, length);
    return nbd_option_reply(conn, opt, NBD_REP_INFO, buf,
                            (uint32_t)(2 + length));
}

static int reply_export_infos(NbdConnection *conn, const NbdOption *opt,
                              const NbdExport *e, bool name, bool sizes)
{
    uint8_t block[12];
    uint8_t export[10];
    int ret = 0;

    if (name) {
        ret = reply_info(conn, opt, NBD_INFO_NAME, e->name, strlen(e->name));
    }
    if (ret == 0 && e->description) {
        ret = reply_info(conn, opt, NBD_INFO_DESCRIPTION, e->description,
                         strlen(e->description));
    }
    if (ret == 0) {
        /* A client that does not ask will not obey. */
        bool tolerant = !sizes && opt->option == NBD_OPT_GO;
        stl_be_p(block, tolerant ? 1 : e->min_block);
        stl_be_p(block + 4, e->pref_block);
        stl_be_p(block + 8, e->max_block);
        ret = reply_info(conn, opt, NBD_INFO_BLOCK_SIZE, block, sizeof(block));
    }
    if (ret == 0) {
        stq_be_p(export, e->size);
        stw_be_p(export + 8, transmission_flags(conn, e));
        ret = reply_info(conn, opt, NBD_INFO_EXPORT, export, sizeof(export));
    }
    return ret;
}

/* The list of info types: 1, 0 malformed, -errno. */
static int read_info_types(NbdConnection *conn, NbdOption *opt, bool *name,
                           bool *sizes)
{
    uint8_t two[2];
    unsigned count;
    int ret = nbd_option_take(conn, opt, two, 2);

    *name = *sizes = false;
    if (ret <= 0) {
        return ret;
    }
    count = ldw_be_p(two);
    for (unsigned i = 0; i < count; i++) {
        ret = nbd_option_take(conn, opt, two, 2);
        if (ret <= 0) {
            return ret;
        }
        *name |= ldw_be_p(two) == NBD_INFO_NAME;
        *sizes |= ldw_be_p(two) == NBD_INFO_BLOCK_SIZE;
    }
    return opt->left == 0;
}

static int opt_info(NbdConnection *conn, NbdOption *opt)
{
    bool go = opt->option == NBD_OPT_GO;
    NbdExport *e;
    bool name;
    bool sizes;
    int ret;

    e = nbd_option_export(conn, opt, &ret);
    if (!e) {
        return ret;
    }
    ret = read_info_types(conn, opt, &name, &sizes);
    if (ret == 0) {
        nbd_export_unref(e);
        return nbd_option_fail(conn, opt, NBD_REP_ERR_INVALID,
                               "malformed info list");
    }
    if (go && conn->contexts.export && conn->contexts.export != e) {
        nbd_context_set_clear(&conn->contexts);
    }
    if (ret > 0) {
        ret = reply_export_infos(conn, opt, e, name, sizes);
    }
    if (ret == 0 && !go && !sizes && e->min_block > 1) {
        ret = nbd_option_fail(conn, opt, NBD_REP_ERR_BLOCK_SIZE_REQD,
                              "request NBD_INFO_BLOCK_SIZE to use this "
                              "export");
        nbd_export_unref(e);
        return ret;
    }
    if (ret < 0 || !go) {
        nbd_export_unref(e);
        return ret < 0 ? ret : nbd_option_reply(conn, opt, NBD_REP_ACK,
                                                NULL, 0);
    }
    if (!enter(conn, e)) {
        return nbd_option_fail(conn, opt, NBD_REP_ERR_SHUTDOWN,
                               "export is going away");
    }
    ret = nbd_option_reply(conn, opt, NBD_REP_ACK, NULL, 0);
    return ret < 0 ? ret : NEXT_SERVE;
}

/* ---- The other options ---------------------------------------------------- */

static int opt_abort(NbdConnection *conn, NbdOption *opt)
{
    /* The client may be gone already. */
    if (nbd_option_skip(conn, opt) == 0) {
        nbd_option_reply(conn, opt, NBD_REP_ACK, NULL, 0);
    }
    return NEXT_CLOSE;
}

static int reply_server(NbdConnection *conn, const NbdOption *opt,
                        const NbdExport *e)
{
    size_t name = strlen(e->name);
    size_t text = e->description ? strlen(e->description) : 0;
    g_autofree uint8_t *data = g_malloc(4 + name + text);

    stl_be_p(data, (uint32_t)name);
    memcpy(data + 4, e->name, name);
    if (text) {
        memcpy(data + 4 + name, e->description, text);
    }
    return nbd_option_reply(conn, opt, NBD_REP_SERVER, data,
                            (uint32_t)(4 + name + text));
}

static int opt_list(NbdConnection *conn, NbdOption *opt)
{
    g_autoptr(GPtrArray) exports = nbd_server_exports(conn->server);
    int ret = 0;

    for (guint i = 0; ret == 0 && i < exports->len; i++) {
        ret = reply_server(conn, opt, exports->pdata[i]);
    }
    return ret < 0 ? ret : nbd_option_reply(conn, opt, NBD_REP_ACK, NULL, 0);
}

static int opt_starttls(NbdConnection *conn, NbdOption *opt)
{
    const NbdServerParams *params = &conn->server->params;
    g_autoptr(GError) error = NULL;
    g_autofree char *peer = NULL;
    int ret;

    if (conn->stream.session) {
        return nbd_option_fail(conn, opt, NBD_REP_ERR_INVALID,
                               "TLS already enabled");
    }
    if (!params->tls) {
        return nbd_option_fail(conn, opt, NBD_REP_ERR_POLICY,
                               "TLS not configured");
    }
    ret = nbd_option_reply(conn, opt, NBD_REP_ACK, NULL, 0);
    if (ret < 0) {
        return ret;
    }
    if (!nbd_stream_start_tls(&conn->stream, params->tls, NULL, &error)) {
        nbd_connection_complain(conn, "%s", error->message);
        return NEXT_CLOSE;
    }
    peer = nbd_stream_peer_name(&conn->stream);
    if (params->authorise && !params->authorise(params->opaque, peer)) {
        nbd_connection_complain(conn, "TLS x509 authz check for %s is denied",
                                peer ? peer : "(no name)");
        return NEXT_CLOSE;
    }
    /* Nothing that was said in the clear counts. */
    conn->structured = conn->extended = false;
    nbd_context_set_clear(&conn->contexts);
    return NEXT_OPTION;
}

static int opt_structured(NbdConnection *conn, NbdOption *opt)
{
    if (conn->extended) {
        return nbd_option_fail(conn, opt, NBD_REP_ERR_EXT_HEADER_REQD,
                               "extended headers already negotiated");
    }
    if (conn->structured) {
        return nbd_option_fail(conn, opt, NBD_REP_ERR_INVALID,
                               "structured reply already negotiated");
    }
    conn->structured = true;
    return nbd_option_reply(conn, opt, NBD_REP_ACK, NULL, 0);
}

static int opt_extended(NbdConnection *conn, NbdOption *opt)
{
    if (conn->extended) {
        return nbd_option_fail(conn, opt, NBD_REP_ERR_INVALID,
                               "extended headers already negotiated");
    }
    conn->structured = conn->extended = true;
    return nbd_option_reply(conn, opt, NBD_REP_ACK, NULL, 0);
}

typedef struct OptionRow {
    uint32_t option;
    int (*handle)(NbdConnection *conn, NbdOption *opt);
    bool no_data;    /* data is an error */
    bool before_tls; /* allowed when TLS is forced but not there yet */
} OptionRow;

static const OptionRow option_rows[] = {
    { NBD_OPT_EXPORT_NAME, opt_export_name, false, false },
    { NBD_OPT_ABORT, opt_abort, false, false },
    { NBD_OPT_LIST, opt_list, true, false },
    { NBD_OPT_STARTTLS, opt_starttls, true, true },
    { NBD_OPT_INFO, opt_info, false, false },
    { NBD_OPT_GO, opt_info, false, false },
    { NBD_OPT_STRUCTURED_REPLY, opt_structured, true, false },
    { NBD_OPT_LIST_META_CONTEXT, nbd_server_meta_context, false, false },
    { NBD_OPT_SET_META_CONTEXT, nbd_server_meta_context, false, false },
    { NBD_OPT_EXTENDED_HEADERS, opt_extended, true, false },
};

static const OptionRow *find_row(uint32_t option)
{
    for (size_t i = 0; i < G_N_ELEMENTS(option_rows); i++) {
        if (option_rows[i].option == option) {
            return &option_rows[i];
        }
    }
    return NULL;
}

static int refuse_before_tls(NbdConnection *conn, NbdOption *opt)
{
    int ret;

    if (opt->option == NBD_OPT_EXPORT_NAME) {
        return NEXT_CLOSE;
    }
    ret = nbd_option_fail(conn, opt, NBD_REP_ERR_TLS_REQD,
                          "Option 0x%x not permitted before TLS",
                          opt->option);
    return ret == 0 && opt->option == NBD_OPT_ABORT ? NEXT_CLOSE : ret;
}

static int dispatch(NbdConnection *conn, NbdOption *opt)
{
    bool needs_tls = conn->server->params.tls && !conn->stream.session;
    const OptionRow *row = find_row(opt->option);

    log_printf(LOG_NBD, "nbd: option %u (%s), %u bytes\n", opt->option,
               nbd_option_name(opt->option), opt->left);
    if (g_atomic_int_get(&conn->closing)) {
        return nbd_option_fail(conn, opt, NBD_REP_ERR_SHUTDOWN,
                               "server is shutting down");
    }
    if (!conn->fixed_newstyle && opt->option != NBD_OPT_EXPORT_NAME) {
        return NEXT_CLOSE;
    }
    if (needs_tls && !(row && row->before_tls)) {
        return refuse_before_tls(conn, opt);
    }
    if (!row) {
        return nbd_option_fail(conn, opt, NBD_REP_ERR_UNSUP,
                               "Unsupported option %u (%s)", opt->option,
                               nbd_option_name(opt->option));
    }
    if (row->no_data && opt->left) {
        if (needs_tls) {
            return NEXT_CLOSE; /* data might be an injected TLS record */
        }
        return nbd_option_fail(conn, opt, NBD_REP_ERR_INVALID,
                               "option '%s' should have zero length",
                               nbd_option_name(opt->option));
    }
    return row->handle(conn, opt);
}

/* The greeting and the client's flags; false: close. */
static bool greet(NbdConnection *conn)
{
    const unsigned ours = NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES;
    uint8_t hello[18];
    uint8_t answer[4];
    uint32_t flags;

    stq_be_p(hello, NBD_MAGIC);
    stq_be_p(hello + 8, NBD_OPTION_MAGIC);
    stw_be_p(hello + 16, ours);
    if (nbd_stream_send_buf(&conn->stream, hello, sizeof(hello)) < 0 ||
        nbd_stream_recv_full(&conn->stream, answer, sizeof(answer)) < 0) {
        return false;
    }
    flags = ldl_be_p(answer);
    if (flags & ~ours) {
        nbd_connection_complain(conn, "client sent unknown flags 0x%x",
                                flags);
        return false;
    }
    conn->fixed_newstyle = flags & NBD_FLAG_FIXED_NEWSTYLE;
    conn->no_zeroes = flags & NBD_FLAG_NO_ZEROES;
    return true;
}

bool nbd_server_handshake(NbdConnection *conn)
{
    int ret = NEXT_OPTION;

    if (!greet(conn)) {
        return false;
    }
    while (ret == NEXT_OPTION) {
        uint8_t head[NBD_OPTION_SIZE];
        NbdOption opt;

        if (nbd_stream_recv_full(&conn->stream, head, sizeof(head)) < 0) {
            return false;
        }
        opt.option = ldl_be_p(head + 8);
        opt.left = ldl_be_p(head + 12);
        if (ldq_be_p(head) != NBD_OPTION_MAGIC) {
            nbd_connection_complain(conn, "bad option magic");
            return false;
        }
        if (opt.left > NBD_MAX_OPTION) {
            nbd_connection_complain(conn, "option of %u bytes is too long",
                                    opt.left);
            return false;
        }
        ret = dispatch(conn, &opt);
        if (ret == NEXT_OPTION) {
            ret = nbd_option_skip(conn, &opt);
        }
    }
    return ret == NEXT_SERVE;
}
