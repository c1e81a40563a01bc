/*
 * What exports does a server have?  The engine of --list.
 */
#include <errno.h>
#include <string.h>

#include "nbd/client-int.h"
#include "util/bytes.h"

#define MAX_EXPORTS 10000 /* of one server, so that a liar ends */

static void export_info_free(gpointer p)
{
    NbdExportInfo *info = p;

    g_free(info->name);
    g_free(info->description);
    g_strfreev(info->contexts);
    g_free(info);
}

static void take_server(GPtrArray *list, const NbdOptionReply *reply,
                        uint32_t name)
{
    const char *text = (const char *)reply->data + 4;
    NbdExportInfo *info = g_new0(NbdExportInfo, 1);

    info->name = g_strndup(text, name);
    if (reply->length > 4 + name) {
        info->description = g_utf8_make_valid(text + name,
                                              reply->length - 4 - name);
    }
    g_ptr_array_add(list, info);
}

static bool list_names(NbdHandshake *h, GPtrArray *list, GError **error)
{
    NbdOptionReply reply;

    if (!nbd_handshake_send(h, NBD_OPT_LIST, NULL, 0, error)) {
        return false;
    }
    while (list->len <= MAX_EXPORTS) {
        if (!nbd_handshake_recv(h, NBD_OPT_LIST, &reply, error)) {
            return false;
        }
        if (reply.type == NBD_REP_ACK) {
            return true;
        }
        if (reply.type == NBD_REP_ERR_UNSUP) {
            g_set_error(error, NBD_ERROR, ENOTSUP,
                        "Server does not support export lists");
            return false;
        }
        if (reply.type != NBD_REP_SERVER) {
            nbd_handshake_refused(h, NBD_OPT_LIST, &reply, error);
            return false;
        }
        if (reply.length < 4 || ldl_be_p(reply.data) > reply.length - 4) {
            g_set_error(error, NBD_ERROR, EINVAL, "malformed export list");
            return false;
        }
        take_server(list, &reply, ldl_be_p(reply.data));
    }
    g_set_error(error, NBD_ERROR, EINVAL, "more than %d exports",
                MAX_EXPORTS);
    return false;
}

static bool list_contexts(NbdHandshake *h, NbdExportInfo *info, GError **error)
{
    const uint32_t option = NBD_OPT_LIST_META_CONTEXT;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    NbdOptionReply reply;

    if (!h->info.structured) {
        return true;
    }
    if (!nbd_handshake_query(h, option, NULL, error)) {
        return false;
    }
    while (names->len <= NBD_MAX_CONTEXTS) {
        if (!nbd_handshake_recv(h, option, &reply, error)) {
            return false;
        }
        if (reply.type == NBD_REP_ACK || (reply.type & NBD_REP_ERR_BIT)) {
            g_ptr_array_add(names, NULL);
            info->contexts =
                (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
            return true;
        }
        if (reply.type != NBD_REP_META_CONTEXT || reply.length < 5) {
            nbd_handshake_refused(h, option, &reply, error);
            return false;
        }
        g_ptr_array_add(names, g_utf8_make_valid((char *)reply.data + 4,
                                                 reply.length - 4));
    }
    g_set_error(error, NBD_ERROR, EINVAL, "more than %u contexts",
                NBD_MAX_CONTEXTS);
    return false;
}

static bool fill_in(NbdHandshake *h, NbdExportInfo *info, GError **error)
{
    h->export = info->name;
    h->info.min_block = h->info.pref_block = h->info.max_block = 0;
    if (!nbd_handshake_info(h, error)) {
        return false;
    }
    info->size = h->info.size;
    info->flags = h->info.flags;
    info->min_block = h->info.min_block;
    info->pref_block = h->info.pref_block;
    info->max_block = h->info.max_block;
    info->extended = h->info.extended;
    if (h->description) {
        g_free(info->description);
        info->description = g_steal_pointer(&h->description);
    }
    return list_contexts(h, info, error);
}

static bool list_all(NbdHandshake *h, GPtrArray *list, GError **error)
{
    bool oldstyle;

    if (!nbd_handshake_begin(h, &oldstyle, error)) {
        return false;
    }
    if (oldstyle) {
        NbdExportInfo *info = g_new0(NbdExportInfo, 1);
        info->name = g_strdup("");
        info->size = h->info.size;
        info->flags = h->info.flags;
        g_ptr_array_add(list, info);
        return true;
    }
    if (!h->fixed_newstyle) {
        g_set_error(error, NBD_ERROR, ENOTSUP,
                    "Server does not support export lists");
        return false;
    }
    if (!list_names(h, list, error)) {
        return false;
    }
    for (guint i = 0; i < list->len; i++) {
        if (!fill_in(h, list->pdata[i], error)) {
            return false;
        }
    }
    nbd_handshake_abort(h);
    return true;
}

GPtrArray *nbd_client_list(const NbdAddress *address, NbdTlsCreds *tls,
                           const char *tls_hostname, GError **error)
{
    g_autoptr(GPtrArray) list =
        g_ptr_array_new_with_free_func(export_info_free);
    NbdHandshake h = { .tls = tls, .tls_hostname = tls_hostname,
                       .compact_only = true };
    NbdStream stream;
    bool ok;
    int fd = nbd_address_connect(address, NULL, error);

    if (fd < 0) {
        return NULL;
    }
    if (tls && !tls_hostname && address->type == NBD_ADDRESS_INET) {
        h.tls_hostname = address->host;
    }
    nbd_stream_init(&stream, fd);
    h.stream = &stream;
    ok = list_all(&h, list, error);
    nbd_handshake_clear(&h);
    nbd_stream_close(&stream);
    return ok ? g_steal_pointer(&list) : NULL;
}
