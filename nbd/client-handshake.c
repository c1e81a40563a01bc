/*
 * The client's side of the handshake.
 *
 * Order: STARTTLS, EXTENDED_HEADERS or else STRUCTURED_REPLY, context, GO.
 * Whatever a server sends is checked for length before it is looked at; a
 * server that is not understood gets an ABORT and is left.
 */
#include <errno.h>
#include <string.h>

#include "nbd/client-int.h"
#include "util/bytes.h"
#include "util/log.h"

/* Nobody needs that many replies to one option. */
#define MAX_REPLIES 100000

void nbd_handshake_clear(NbdHandshake *h)
{
    g_clear_pointer(&h->name, g_free);
    g_clear_pointer(&h->description, g_free);
}

static bool fail(GError **error, int err, const char *text)
{
    g_set_error_literal(error, NBD_ERROR, err, text);
    return false;
}

static bool receive(NbdHandshake *h, void *buf, size_t size, const char *what,
                    GError **error)
{
    int ret = nbd_stream_recv_full(h->stream, buf, size);

    if (ret < 0) {
        g_set_error(error, NBD_ERROR, -ret, "Failed to read %s: %s", what,
                    ret == -ECONNRESET ? "Unexpected end-of-file before all "
                                         "data were read"
                    : ret == -EAGAIN   ? "the server does not answer"
                                       : g_strerror(-ret));
    }
    return ret == 0;
}

/* ---- Options -------------------------------------------------------------- */

bool nbd_handshake_send(NbdHandshake *h, uint32_t option, const void *data,
                        uint32_t length, GError **error)
{
    uint8_t head[NBD_OPTION_SIZE];
    struct iovec iov[2] = {
        { .iov_base = head, .iov_len = sizeof(head) },
        { .iov_base = (void *)data, .iov_len = length },
    };

    log_printf(LOG_NBD, "nbd: asking for option %s\n",
               nbd_option_name(option));
    stq_be_p(head, NBD_OPTION_MAGIC);
    stl_be_p(head + 8, option);
    stl_be_p(head + 12, length);
    if (nbd_stream_send(h->stream, iov, length ? 2 : 1) < 0) {
        g_set_error(error, NBD_ERROR, EIO, "Failed to send option %u (%s)",
                    option, nbd_option_name(option));
        return false;
    }
    return true;
}

bool nbd_handshake_recv(NbdHandshake *h, uint32_t option,
                        NbdOptionReply *reply, GError **error)
{
    uint8_t head[NBD_OPTION_REPLY_SIZE];

    if (!receive(h, head, sizeof(head), "option reply", error)) {
        return false;
    }
    if (ldq_be_p(head) != NBD_OPTION_REPLY_MAGIC) {
        return fail(error, EINVAL, "Unexpected option reply magic");
    }
    if (ldl_be_p(head + 8) != option) {
        g_set_error(error, NBD_ERROR, EINVAL,
                    "Unexpected option type %u, expected %u",
                    ldl_be_p(head + 8), option);
        return false;
    }
    reply->type = ldl_be_p(head + 12);
    reply->length = ldl_be_p(head + 16);
    if (reply->length > NBD_MAX_REPLY) {
        g_set_error(error, NBD_ERROR, EINVAL,
                    "option reply of %u bytes is too long", reply->length);
        return false;
    }
    if (!receive(h, reply->data, reply->length, "option reply data", error)) {
        return false;
    }
    reply->data[reply->length] = 0;
    return true;
}

static const struct {
    uint32_t type;
    const char *format; /* option number and name */
} refusals[] = {
    { NBD_REP_ERR_UNSUP, "Unsupported option %u (%s)" },
    { NBD_REP_ERR_POLICY, "Denied by server for option %u (%s)" },
    { NBD_REP_ERR_INVALID, "Invalid parameters for option %u (%s)" },
    { NBD_REP_ERR_PLATFORM, "Server lacks support for option %u (%s)" },
    { NBD_REP_ERR_TLS_REQD, "TLS negotiation required before option %u (%s)" },
    { NBD_REP_ERR_UNKNOWN, "Requested export not available" },
    { NBD_REP_ERR_SHUTDOWN, "Server shutting down before option %u (%s)" },
    { NBD_REP_ERR_BLOCK_SIZE_REQD,
      "Server requires INFO_BLOCK_SIZE for option %u (%s)" },
};

void nbd_handshake_refused(NbdHandshake *h, uint32_t option,
                           const NbdOptionReply *reply, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *message = NULL;

    if (!(reply->type & NBD_REP_ERR_BIT)) {
        g_set_error(error, NBD_ERROR, EINVAL,
                    "Unexpected reply type %u to option %u (%s)", reply->type,
                    option, nbd_option_name(option));
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
        if (refusals[i].type == reply->type) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            g_string_printf(text, refusals[i].format, option,
                            nbd_option_name(option));
#pragma GCC diagnostic pop
        }
    }
    if (text->len == 0) {
        g_string_printf(text, "Unknown error code 0x%x for option %u (%s)",
                        reply->type, option, nbd_option_name(option));
    }
    if (reply->type == NBD_REP_ERR_TLS_REQD) {
        g_string_append(text, "\nDid you forget a valid tls-creds?");
    }
    if (reply->length) {
        message = g_utf8_make_valid((char *)reply->data,
                                    (gssize)MIN(reply->length,
                                                NBD_MAX_STRING));
        g_string_append_printf(text, "\nserver reported: %s", message);
    }
    g_set_error_literal(error, NBD_ERROR, EINVAL, text->str);
}

/* An option that is acknowledged or not: 1, 0, or -1 with an error. */
static int ask(NbdHandshake *h, uint32_t option, GError **error)
{
    NbdOptionReply reply;

    if (!nbd_handshake_send(h, option, NULL, 0, error) ||
        !nbd_handshake_recv(h, option, &reply, error)) {
        return -1;
    }
    if (reply.type == NBD_REP_ACK && reply.length == 0) {
        return 1;
    }
    if (reply.type & NBD_REP_ERR_BIT) {
        return 0;
    }
    nbd_handshake_refused(h, option, &reply, error);
    return -1;
}

void nbd_handshake_abort(NbdHandshake *h)
{
    nbd_handshake_send(h, NBD_OPT_ABORT, NULL, 0, NULL);
}

static bool start_tls(NbdHandshake *h, GError **error)
{
    NbdOptionReply reply;

    if (!nbd_handshake_send(h, NBD_OPT_STARTTLS, NULL, 0, error) ||
        !nbd_handshake_recv(h, NBD_OPT_STARTTLS, &reply, error)) {
        return false;
    }
    if (reply.type != NBD_REP_ACK || reply.length) {
        nbd_handshake_refused(h, NBD_OPT_STARTTLS, &reply, error);
        return false;
    }
    return nbd_stream_start_tls(h->stream, h->tls, h->tls_hostname, error);
}

/* ---- The greeting --------------------------------------------------------- */

static bool old_server(NbdHandshake *h, GError **error)
{
    uint8_t rest[8 + 4 + NBD_EXPORT_NAME_PAD];
    uint32_t flags;

    if (h->tls) {
        return fail(error, EINVAL, "Server does not support STARTTLS");
    }
    if (h->export && *h->export) {
        return fail(error, EINVAL, "Server does not support non-empty export "
                                   "names");
    }
    if (!receive(h, rest, sizeof(rest), "export length", error)) {
        return false;
    }
    h->info.size = ldq_be_p(rest);
    flags = ldl_be_p(rest + 8);
    if (flags >> 16) {
        g_set_error(error, NBD_ERROR, EINVAL, "Unexpected export flags %x",
                    flags);
        return false;
    }
    h->info.flags = (uint16_t)flags;
    return true;
}

bool nbd_handshake_begin(NbdHandshake *h, bool *oldstyle, GError **error)
{
    uint8_t hello[18];
    uint8_t answer[4];
    unsigned theirs;
    int ret;

    memset(&h->info, 0, sizeof(h->info));
    if (!receive(h, hello, 16, "initial magic", error)) {
        return false;
    }
    if (ldq_be_p(hello) != NBD_MAGIC) {
        return fail(error, EINVAL, "Bad initial magic received");
    }
    *oldstyle = ldq_be_p(hello + 8) == NBD_OLDSTYLE_MAGIC;
    if (*oldstyle) {
        return old_server(h, error);
    }
    if (ldq_be_p(hello + 8) != NBD_OPTION_MAGIC) {
        return fail(error, EINVAL, "Bad server magic received");
    }
    if (!receive(h, hello + 16, 2, "server flags", error)) {
        return false;
    }
    theirs = ldw_be_p(hello + 16);
    h->fixed_newstyle = theirs & NBD_FLAG_FIXED_NEWSTYLE;
    h->no_zeroes = theirs & NBD_FLAG_NO_ZEROES;
    stl_be_p(answer, theirs & (NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES));
    if (nbd_stream_send_buf(h->stream, answer, sizeof(answer)) < 0) {
        return fail(error, EIO, "Failed to send client flags");
    }
    if (h->tls) {
        if (!h->fixed_newstyle) {
            return fail(error, EINVAL, "Server does not support STARTTLS");
        }
        if (!start_tls(h, error)) {
            return false;
        }
    }
    if (!h->fixed_newstyle) {
        return true;
    }
    if (h->simple_only) {
        return true;
    }
    ret = h->compact_only ? 0 : ask(h, NBD_OPT_EXTENDED_HEADERS, error);
    h->info.extended = h->info.structured = ret > 0;
    if (ret == 0) {
        ret = ask(h, NBD_OPT_STRUCTURED_REPLY, error);
        h->info.structured = ret > 0;
    }
    return ret >= 0;
}

/* ---- Contexts ------------------------------------------------------------- */

bool nbd_handshake_query(NbdHandshake *h, uint32_t option, const char *query,
                         GError **error)
{
    const char *export = h->export ? h->export : "";
    size_t name = strlen(export);
    size_t text = query ? strlen(query) : 0;
    g_autofree uint8_t *data = g_malloc(12 + name + text);
    uint32_t length = (uint32_t)(8 + name + (query ? 4 + text : 0));

    stl_be_p(data, (uint32_t)name);
    memcpy(data + 4, export, name);
    stl_be_p(data + 4 + name, query ? 1 : 0);
    if (query) {
        stl_be_p(data + 8 + name, (uint32_t)text);
        memcpy(data + 12 + name, query, text);
    }
    return nbd_handshake_send(h, option, data, length, error);
}

/* Selects h->context; a server that cannot is no error. */
static bool set_context(NbdHandshake *h, GError **error)
{
    const uint32_t option = NBD_OPT_SET_META_CONTEXT;
    NbdOptionReply reply;

    if (!nbd_handshake_query(h, option, h->context, error)) {
        return false;
    }
    for (unsigned i = 0; i < MAX_REPLIES; i++) {
        if (!nbd_handshake_recv(h, option, &reply, error)) {
            return false;
        }
        if (reply.type == NBD_REP_ACK || (reply.type & NBD_REP_ERR_BIT)) {
            h->info.has_context &= reply.type == NBD_REP_ACK;
            return true;
        }
        if (reply.type != NBD_REP_META_CONTEXT || reply.length < 5 ||
            strcmp((char *)reply.data + 4, h->context) ||
            h->info.has_context) {
            g_set_error(error, NBD_ERROR, EINVAL,
                        "Failed to negotiate query '%s', server answered "
                        "with different context", h->context);
            return false;
        }
        h->context_id = ldl_be_p(reply.data);
        h->info.has_context = true;
    }
    return fail(error, EINVAL, "Too many replies to a context query");
}

/* ---- GO ------------------------------------------------------------------- */

static bool is_power_of_two(uint32_t x)
{
    return x && !(x & (x - 1));
}

static bool take_block_sizes(NbdHandshake *h, const uint8_t *p, GError **error)
{
    NbdClientInfo *info = &h->info;

    info->min_block = ldl_be_p(p);
    info->pref_block = ldl_be_p(p + 4);
    info->max_block = ldl_be_p(p + 8);
    info->block_size_known = true;
    if (!is_power_of_two(info->min_block) || info->min_block > 65536) {
        g_set_error(error, NBD_ERROR, EINVAL,
                    "server minimum block size %u is not a power of two up "
                    "to 65536", info->min_block);
        return false;
    }
    if (!is_power_of_two(info->pref_block) ||
        info->pref_block < info->min_block) {
        g_set_error(error, NBD_ERROR, EINVAL,
                    "server preferred block size %u is not valid",
                    info->pref_block);
        return false;
    }
    if (info->max_block < info->min_block) {
        g_set_error(error, NBD_ERROR, EINVAL,
                    "server maximum block size %u is not valid",
                    info->max_block);
        return false;
    }
    return true;
}

static bool take_info(NbdHandshake *h, const NbdOptionReply *reply,
                      bool *has_export, GError **error)
{
    const uint8_t *p = reply->data + 2;
    uint32_t left = reply->length - 2;
    uint16_t type;

    if (reply->length < 2) {
        return fail(error, EINVAL, "info reply is too short");
    }
    type = ldw_be_p(reply->data);
    switch (type) {
    case NBD_INFO_EXPORT:
        if (left != 10) {
            return fail(error, EINVAL, "export info has a bad length");
        }
        h->info.size = ldq_be_p(p);
        h->info.flags = ldw_be_p(p + 8);
        *has_export = true;
        return true;
    case NBD_INFO_BLOCK_SIZE:
        if (left != 12) {
            return fail(error, EINVAL, "block size info has a bad length");
        }
        return take_block_sizes(h, p, error);
    case NBD_INFO_NAME:
    case NBD_INFO_DESCRIPTION: {
        char **to = type == NBD_INFO_NAME ? &h->name : &h->description;
        g_free(*to);
        *to = g_utf8_make_valid((const char *)p, left);
        return true;
    }
    default:
        return true; /* for clients that know more */
    }
}

/*
 * INFO or GO.  1: done; 0: the server does not know the option; -1: error.
 */
static int info_or_go(NbdHandshake *h, uint32_t option, GError **error)
{
    const char *export = h->export ? h->export : "";
    size_t name = strlen(export);
    g_autofree uint8_t *data = g_malloc(4 + name + 4);
    bool has_export = false;
    NbdOptionReply reply;

    stl_be_p(data, (uint32_t)name);
    memcpy(data + 4, export, name);
    stw_be_p(data + 4 + name, 1);
    stw_be_p(data + 6 + name, NBD_INFO_BLOCK_SIZE);
    if (!nbd_handshake_send(h, option, data, (uint32_t)(8 + name), error)) {
        return -1;
    }
    for (unsigned i = 0; i < MAX_REPLIES; i++) {
        if (!nbd_handshake_recv(h, option, &reply, error)) {
            return -1;
        }
        if (reply.type == NBD_REP_ACK) {
            if (has_export && reply.length == 0) {
                return 1;
            }
            fail(error, EINVAL, "server omitted NBD_INFO_EXPORT");
            return -1;
        }
        if (reply.type != NBD_REP_INFO) {
            if (reply.type == NBD_REP_ERR_UNSUP) {
                return 0;
            }
            nbd_handshake_refused(h, option, &reply, error);
            return -1;
        }
        if (!take_info(h, &reply, &has_export, error)) {
            return -1;
        }
    }
    fail(error, EINVAL, "Too many replies to an info request");
    return -1;
}

bool nbd_handshake_info(NbdHandshake *h, GError **error)
{
    int ret = info_or_go(h, NBD_OPT_INFO, error);

    if (ret == 0) {
        fail(error, ENOTSUP, "Server does not support option 6 (info)");
    }
    return ret > 0;
}

/* Before EXPORT_NAME, which has no error: is it in the list? */
static bool export_is_listed(NbdHandshake *h, GError **error)
{
    const char *export = h->export ? h->export : "";
    NbdOptionReply reply;
    bool found = false;

    if (!nbd_handshake_send(h, NBD_OPT_LIST, NULL, 0, error)) {
        return false;
    }
    for (unsigned i = 0; i < MAX_REPLIES; i++) {
        uint32_t name;
        if (!nbd_handshake_recv(h, NBD_OPT_LIST, &reply, error)) {
            return false;
        }
        if (reply.type == NBD_REP_ERR_UNSUP || reply.type ==
            NBD_REP_ERR_POLICY) {
            return true; /* it may be there */
        }
        if (reply.type == NBD_REP_ACK) {
            if (!found && *export) {
                g_set_error(error, NBD_ERROR, ENOENT,
                            "No export with name '%s' available", export);
            }
            return found || !*export;
        }
        if (reply.type != NBD_REP_SERVER || reply.length < 4 ||
            (name = ldl_be_p(reply.data)) > reply.length - 4) {
            nbd_handshake_refused(h, NBD_OPT_LIST, &reply, error);
            if (error && !*error) {
                fail(error, EINVAL, "malformed export list");
            }
            return false;
        }
        found |= name == strlen(export) &&
                 !memcmp(reply.data + 4, export, name);
    }
    return fail(error, EINVAL, "Too many exports");
}

static bool by_export_name(NbdHandshake *h, GError **error)
{
    const char *export = h->export ? h->export : "";
    uint8_t answer[10 + NBD_EXPORT_NAME_PAD];

    if (h->info.extended) {
        return fail(error, EINVAL, "Server agreed to extended headers but "
                                   "not to option 7 (go)");
    }
    if (h->fixed_newstyle && !export_is_listed(h, error)) {
        return false;
    }
    if (!nbd_handshake_send(h, NBD_OPT_EXPORT_NAME, export,
                            (uint32_t)strlen(export), error) ||
        !receive(h, answer, h->no_zeroes ? 10 : sizeof(answer),
                 "export length", error)) {
        return false;
    }
    h->info.size = ldq_be_p(answer);
    h->info.flags = ldw_be_p(answer + 8);
    return true;
}

bool nbd_handshake_go(NbdHandshake *h, GError **error)
{
    int ret = 0;

    if (h->fixed_newstyle) {
        if (h->info.structured && h->context && !set_context(h, error)) {
            return false;
        }
        ret = info_or_go(h, NBD_OPT_GO, error);
    }
    return ret > 0 || (ret == 0 && by_export_name(h, error));
}
