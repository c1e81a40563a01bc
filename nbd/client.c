/*
 * The client: requests, split to what the server takes, over the least busy
 * of its connections; opening and closing.  How a request travels and what
 * happens when a connection is lost is in client-link.c.
 */
#include <errno.h>
#include <string.h>

#include "nbd/client-link.h"

/* ---- Calls ----------------------------------------------------------------- */

/* The least busy link; the first of equals. */
static NbdLink *pick_link(NbdClient *client)
{
    NbdLink *best = &client->links[0];
    unsigned least = UINT_MAX;

    for (unsigned i = 0; i < client->nlinks; i++) {
        NbdLink *link = &client->links[i];
        unsigned users = g_atomic_int_get((gint *)&link->users);
        if (g_atomic_int_get((gint *)&link->up) && users < least) {
            best = link;
            least = users;
            if (users == 0) {
                break;
            }
        }
    }
    return best;
}

static int do_call(NbdClient *client, NbdCall *call)
{
    gint64 give_up = 0;
    gint64 now = 0;
    int ret;

    g_cond_init(&call->wake);
    do {
        call->got = 0;
        call->error = 0;
        call->got_extent = call->done = false;
        ret = nbd_link_call(pick_link(client), call);
        if (ret == -ECONNRESET) {
            /* Lost on the way: again, while the user wants to wait. */
            now = g_get_monotonic_time();
            give_up = give_up ? give_up
                              : now + client->params.reconnect_delay_s *
                                          G_TIME_SPAN_SECOND;
        }
    } while (ret == -ECONNRESET && now < give_up);
    g_cond_clear(&call->wake);
    return ret < 0 ? -EIO : -call->error;
}

/* ---- Requests -------------------------------------------------------------- */

const NbdClientInfo *nbd_client_info(const NbdClient *client)
{
    return &client->info;
}

static bool in_range(const NbdClient *client, uint64_t offset, uint64_t bytes)
{
    return offset <= client->info.size &&
           bytes <= client->info.size - offset;
}

/* READ and WRITE of any length. */
static int transfer(NbdClient *client, uint16_t type, uint16_t flags,
                    uint64_t offset, uint64_t bytes, const struct iovec *iov,
                    int niov)
{
    uint64_t done = 0;

    if (!in_range(client, offset, bytes)) {
        return type == NBD_CMD_READ ? -EINVAL : -ENOSPC;
    }
    while (done < bytes) {
        uint64_t n = MIN(bytes - done, client->info.max_block);
        g_autofree struct iovec *part = NULL;
        NbdCall call = { .type = type, .flags = flags, .offset = offset + done,
                         .length = n, .iov = iov, .niov = niov };
        int ret;

        if (n < bytes) {
            part = nbd_iov_slice(iov, niov, done, n, &call.niov);
            call.iov = part;
        }
        ret = do_call(client, &call);
        if (ret < 0) {
            return ret;
        }
        done += n;
    }
    return 0;
}

int nbd_client_preadv(NbdClient *client, uint64_t offset, uint64_t bytes,
                      const struct iovec *iov, int niov)
{
    return transfer(client, NBD_CMD_READ, 0, offset, bytes, iov, niov);
}

int nbd_client_pread(NbdClient *client, uint64_t offset, uint64_t bytes,
                     void *buf)
{
    struct iovec iov = { .iov_base = buf, .iov_len = bytes };

    return nbd_client_preadv(client, offset, bytes, &iov, 1);
}

static uint16_t usable_fua(const NbdClient *client, unsigned flags)
{
    return client->info.flags & NBD_FLAG_SEND_FUA
               ? flags & NBD_CMD_FLAG_FUA : 0;
}

/* FUA asked of a server that has only FLUSH. */
static int late_fua(NbdClient *client, unsigned flags, int ret)
{
    if (ret == 0 && (flags & NBD_CMD_FLAG_FUA) &&
        !(client->info.flags & NBD_FLAG_SEND_FUA)) {
        return nbd_client_flush(client);
    }
    return ret;
}

int nbd_client_pwritev(NbdClient *client, uint64_t offset, uint64_t bytes,
                       const struct iovec *iov, int niov, unsigned flags)
{
    int ret = client->info.flags & NBD_FLAG_READ_ONLY ? -EPERM : 0;

    if (ret == 0) {
        ret = transfer(client, NBD_CMD_WRITE, usable_fua(client, flags),
                       offset, bytes, iov, niov);
    }
    return late_fua(client, flags, ret);
}

/* Requests without data, split to what their length field holds. */
static int ranged(NbdClient *client, uint16_t type, unsigned flags,
                  uint64_t offset, uint64_t bytes, uint64_t limit)
{
    if (!in_range(client, offset, bytes)) {
        return type == NBD_CMD_WRITE_ZEROES ? -ENOSPC : -EINVAL;
    }
    while (bytes > 0) {
        uint64_t n = MIN(bytes, limit);
        NbdCall call = { .type = type, .flags = (uint16_t)flags,
                         .offset = offset, .length = n };
        int ret = do_call(client, &call);
        if (ret < 0) {
            return ret;
        }
        offset += n;
        bytes -= n;
    }
    return 0;
}

/* Just below 2^32 and a multiple of every block size. */
static uint64_t length_limit(const NbdClient *client)
{
    return client->info.extended ? UINT64_MAX : UINT32_MAX - 65535;
}

int nbd_client_zero(NbdClient *client, uint64_t offset, uint64_t bytes,
                    unsigned flags)
{
    unsigned send = usable_fua(client, flags) |
                    (flags & (NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO));
    int ret;

    if (client->info.flags & NBD_FLAG_READ_ONLY) {
        return -EPERM;
    }
    if (!(client->info.flags & NBD_FLAG_SEND_WRITE_ZEROES) ||
        ((flags & NBD_CMD_FLAG_FAST_ZERO) &&
         !(client->info.flags & NBD_FLAG_SEND_FAST_ZERO))) {
        return -ENOTSUP;
    }
    ret = ranged(client, NBD_CMD_WRITE_ZEROES, send, offset, bytes,
                 length_limit(client));
    return late_fua(client, flags, ret);
}

int nbd_client_trim(NbdClient *client, uint64_t offset, uint64_t bytes,
                    unsigned flags)
{
    int ret;

    if (client->info.flags & NBD_FLAG_READ_ONLY) {
        return -EPERM;
    }
    if (!(client->info.flags & NBD_FLAG_SEND_TRIM)) {
        return -ENOTSUP;
    }
    ret = ranged(client, NBD_CMD_TRIM, usable_fua(client, flags), offset,
                 bytes, length_limit(client));
    return late_fua(client, flags, ret);
}

int nbd_client_cache(NbdClient *client, uint64_t offset, uint64_t bytes)
{
    return client->info.flags & NBD_FLAG_SEND_CACHE
               ? ranged(client, NBD_CMD_CACHE, 0, offset, bytes,
                        client->info.max_block)
               : -ENOTSUP;
}

int nbd_client_flush(NbdClient *client)
{
    NbdCall call = { .type = NBD_CMD_FLUSH };

    return client->info.flags & NBD_FLAG_SEND_FLUSH ? do_call(client, &call)
                                                    : 0;
}

int nbd_client_status(NbdClient *client, uint64_t offset, uint64_t bytes,
                      NbdClientExtent *extent)
{
    NbdCall call = { .type = NBD_CMD_BLOCK_STATUS, .extent = extent,
                     .flags = NBD_CMD_FLAG_REQ_ONE, .offset = offset };
    int ret;

    if (!client->info.has_context) {
        return -ENOTSUP;
    }
    if (!in_range(client, offset, bytes) || bytes == 0) {
        return -EINVAL;
    }
    call.length = MIN(bytes, length_limit(client));
    ret = do_call(client, &call);
    /* A server may tell of more than we asked for. */
    extent->bytes = ret == 0 ? MIN(extent->bytes, bytes) : 0;
    return ret;
}

void nbd_client_look(NbdClient *client)
{
    for (unsigned i = 0; i < client->nlinks; i++) {
        nbd_link_look(&client->links[i]);
    }
}

/* ---- Opening and closing --------------------------------------------------- */

static bool connect_first(NbdClient *client, GError **error)
{
    gint64 until = g_get_monotonic_time() +
                   client->params.open_timeout_s * G_TIME_SPAN_SECOND;

    for (;;) {
        g_autoptr(GError) local = NULL;
        if (nbd_link_open(&client->links[0], true, &local)) {
            return true;
        }
        if (g_get_monotonic_time() >= until || nbd_clients_winding_up()) {
            g_propagate_error(error, g_steal_pointer(&local));
            return false;
        }
        g_usleep(MIN(G_TIME_SPAN_SECOND / 4,
                     MAX(until - g_get_monotonic_time(), 1)));
    }
}

/* As many as the server and the user want; fewer if they cannot be had. */
static void connect_more(NbdClient *client)
{
    unsigned wanted = client->info.flags & NBD_FLAG_CAN_MULTI_CONN
                          ? MIN(client->params.connections, NBD_MAX_LINKS) : 1;

    for (unsigned n = 1; n < wanted; n++) {
        NbdLink *link = &client->links[n];

        nbd_link_init(link, client);
        nbd_client_unregister(client);
        client->nlinks = n + 1;
        nbd_client_register(client);
        if (!nbd_link_open(link, false, NULL)) {
            nbd_client_unregister(client);
            client->nlinks = n;
            nbd_client_register(client);
            nbd_link_clear(link);
            return;
        }
    }
}

NbdClient *nbd_client_open(const NbdClientParams *params, GError **error)
{
    NbdClient *client = g_new0(NbdClient, 1);
    NbdClientParams *p = &client->params;

    *p = *params;
    client->address = nbd_address_copy(params->address);
    p->address = client->address;
    p->export = g_strdup(params->export ? params->export : "");
    p->tls_hostname = g_strdup(params->tls_hostname);
    p->context = g_strdup(params->context ? params->context
                                          : NBD_CONTEXT_ALLOCATION);
    if (p->tls) {
        nbd_tls_creds_ref(p->tls);
    }
    client->nlinks = 1;
    nbd_link_init(&client->links[0], client);
    nbd_client_register(client);
    if (!connect_first(client, error)) {
        nbd_client_close(client);
        return NULL;
    }
    connect_more(client);
    return client;
}

void nbd_client_close(NbdClient *client)
{
    if (!client) {
        return;
    }
    nbd_client_unregister(client);
    for (unsigned i = 0; i < client->nlinks; i++) {
        nbd_link_goodbye(&client->links[i]);
        nbd_link_clear(&client->links[i]);
    }
    nbd_tls_creds_unref(client->params.tls);
    g_free((char *)client->params.export);
    g_free((char *)client->params.tls_hostname);
    g_free((char *)client->params.context);
    nbd_address_free(client->address);
    g_free(client);
}
