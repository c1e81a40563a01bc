/*
 * A connection of a client: how it is set up again when it was lost, where
 * calls wait, how they travel.
 *
 *     caller --> slot, send --> socket
 *                                  |
 *     caller <-- one waiting caller receives for all
 *
 * When it breaks, the receiver (or whoever notices) marks it broken; callers
 * leave one by one; the first that comes in when all have left sets it up
 * again.
 */
#include "nbd/client-link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "util/bytes.h"
#include "util/log.h"

#define INPUT_SIZE       (128u << 10)
#define HANDSHAKE_WAIT_S 30
#define MAX_BACKOFF_S    16
#define SILENT_LOOKS     5 /* so many seconds, when the program ends */

/* ---- Connecting ----------------------------------------------------------- */

static void set_timeouts(int fd, unsigned seconds)
{
    struct timeval tv = { .tv_sec = seconds };

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static bool info_ok(NbdClient *client, NbdHandshake *h, GError **error)
{
    NbdClientInfo *info = &h->info;

    if (!info->block_size_known) {
        info->min_block = info->has_context || info->size % 512 ? 1 : 512;
        info->pref_block = 4096;
        info->max_block = NBD_MAX_PAYLOAD;
    }
    info->max_block = MIN(info->max_block, NBD_MAX_PAYLOAD);
    info->max_block -= info->max_block % info->min_block;
    if (info->size % info->min_block || info->size > INT64_MAX) {
        g_set_error(error, NBD_ERROR, EINVAL,
                    "export length %" G_GUINT64_FORMAT " is not a multiple "
                    "of minimum block size %u, or too large", info->size,
                    info->min_block);
        return false;
    }
    if (client->params.context_required && !info->has_context) {
        g_set_error(error, NBD_ERROR, EINVAL,
                    "requested x-dirty-bitmap %s not found",
                    client->params.context);
        return false;
    }
    return true;
}

static bool negotiate(NbdClient *client, NbdStream *stream, NbdHandshake *h,
                      GError **error)
{
    const NbdClientParams *p = &client->params;
    bool oldstyle = false;

    *h = (NbdHandshake){
        .stream = stream,
        .export = p->export,
        .tls = p->tls,
        .tls_hostname = p->tls_hostname,
        .context = p->context,
    };
    if (p->tls && !p->tls_hostname &&
        client->address->type == NBD_ADDRESS_INET) {
        h->tls_hostname = client->address->host;
    }
    set_timeouts(stream->fd, HANDSHAKE_WAIT_S);
    if (!nbd_handshake_begin(h, &oldstyle, error) ||
        (!oldstyle && !nbd_handshake_go(h, error)) ||
        !info_ok(client, h, error)) {
        return false;
    }
    set_timeouts(stream->fd, 0);
    return true;
}

/* May a connection like this replace the one we had? */
static bool same_disk(const NbdClient *client, const NbdHandshake *h,
                      GError **error)
{
    const NbdClientInfo *old = &client->info;
    const NbdClientInfo *new = &h->info;
    const unsigned optional = NBD_FLAG_SEND_DF | NBD_FLAG_BLOCK_STATUS_PAYLOAD;

    if (new->size != old->size ||
        (old->flags & ~new->flags & ~optional) ||
        ((new->flags & ~old->flags) & NBD_FLAG_READ_ONLY) ||
        new->min_block > old->min_block || new->max_block < old->max_block ||
        (old->has_context && !new->has_context) ||
        new->structured != old->structured || new->extended != old->extended) {
        g_set_error(error, NBD_ERROR, EINVAL,
                    "export changed while it was disconnected");
        return false;
    }
    return true;
}

/* nbd_link_look() may look meanwhile. */
static void set_stream(NbdLink *link, int fd)
{
    g_mutex_lock(&link->lock);
    if (link->stream.fd >= 0) {
        nbd_stream_close(&link->stream);
    }
    nbd_stream_init(&link->stream, fd);
    g_mutex_unlock(&link->lock);
}

/* The link is nobody else's: link->connecting, or not open yet. */
static bool link_connect(NbdLink *link, bool first, GError **error)
{
    NbdClient *client = link->client;
    NbdHandshake h;
    bool ok;
    int fd;

    if (nbd_clients_winding_up()) {
        g_set_error(error, NBD_ERROR, ECANCELED, "the program ends");
        return false;
    }
    fd = nbd_address_connect(client->address, nbd_clients_winding_up, error);

    if (fd < 0) {
        return false;
    }
    set_stream(link, fd);
    ok = negotiate(client, &link->stream, &h, error) &&
         (first || same_disk(client, &h, error));
    nbd_handshake_clear(&h);
    if (!ok) {
        set_stream(link, -1);
        return false;
    }
    if (first) {
        client->info = h.info;
        client->context_id = h.context_id;
    }
    link->input.pos = link->input.end = 0;
    return true;
}

/* ---- Getting onto a link -------------------------------------------------- */

/* link->lock held and given up meanwhile; the link is down, we set it up. */
static void reconnect(NbdLink *link)
{
    g_autoptr(GError) error = NULL;
    bool ok;

    link->connecting = true;
    g_mutex_unlock(&link->lock);
    ok = link_connect(link, false, &error);
    g_mutex_lock(&link->lock);
    link->connecting = false;
    link->up = ok;
    link->broken = !ok;
    link->epoch++;
    if (ok) {
        link->backoff_s = 0;
    } else {
        log_printf(LOG_NBD, "nbd: reconnect failed: %s\n", error->message);
        link->backoff_s = CLAMP(link->backoff_s * 2, 1, MAX_BACKOFF_S);
        link->retry_us = g_get_monotonic_time() +
                         link->backoff_s * G_TIME_SPAN_SECOND;
    }
    g_cond_broadcast(&link->changed);
}

/*
 * link->lock held: brings the link up or fails.  Waits for others to leave a
 * broken one, and for the server as long as the user wants to.
 */
static int need_up(NbdLink *link)
{
    gint64 delay = link->client->params.reconnect_delay_s *
                   G_TIME_SPAN_SECOND;

    while (!link->up || link->broken) {
        gint64 now = g_get_monotonic_time();

        if (nbd_clients_winding_up()) {
            return -EIO;
        } else if (link->connecting || link->users) {
            g_cond_wait(&link->changed, &link->lock);
        } else if (now >= link->retry_us) {
            reconnect(link);
        } else if (now >= link->lost_us + delay) {
            return -EIO;
        } else {
            g_cond_wait_until(&link->changed, &link->lock,
                              MIN(link->retry_us, link->lost_us + delay));
        }
    }
    return 0;
}

static int take_slot(NbdLink *link, NbdCall *call)
{
    for (;;) {
        int ret = need_up(link);
        if (ret < 0) {
            return ret;
        }
        for (unsigned i = 0; i < NBD_LINK_SLOTS; i++) {
            if (!link->slots[i]) {
                link->slots[i] = call;
                link->users++;
                call->cookie = (uint64_t)link->epoch << 32 | i;
                return 0;
            }
        }
        g_cond_wait(&link->changed, &link->lock);
    }
}

/* link->lock held. */
static void leave_slot(NbdLink *link, NbdCall *call)
{
    bool full = link->users == NBD_LINK_SLOTS;

    link->slots[(uint32_t)call->cookie] = NULL;
    link->users--;
    if (full || (link->broken && link->users == 0)) {
        g_cond_broadcast(&link->changed);
    }
}

/* link->lock held. */
static void mark_broken(NbdLink *link, const char *why)
{
    if (!link->broken) {
        log_printf(LOG_NBD, "nbd: connection lost: %s\n", why);
        link->broken = true;
        link->lost_us = g_get_monotonic_time();
        link->retry_us = link->lost_us;
        nbd_stream_shutdown(&link->stream);
    }
    for (unsigned i = 0; i < NBD_LINK_SLOTS; i++) {
        if (link->slots[i]) {
            g_cond_signal(&link->slots[i]->wake);
        }
    }
}

void nbd_link_look(NbdLink *link)
{
    g_mutex_lock(&link->lock);
    link->silent = !link->heard && (link->users || link->connecting)
                       ? link->silent + 1 : 0;
    link->heard = false;
    if (link->silent > SILENT_LOOKS) {
        nbd_stream_shutdown(&link->stream); /* also of a handshake */
        mark_broken(link, "the server is silent");
    }
    g_cond_broadcast(&link->changed); /* for need_up() */
    g_mutex_unlock(&link->lock);
}

/* ---- Sending and receiving ------------------------------------------------ */

static int send_call(NbdLink *link, const NbdCall *call)
{
    bool extended = link->client->info.extended;
    bool payload = call->type == NBD_CMD_WRITE;
    g_autofree struct iovec *iov = NULL;
    struct iovec few[9];
    struct iovec *v = few;
    uint8_t head[NBD_EXT_REQUEST_SIZE];
    int ret;

    if (call->niov + 1 > (int)G_N_ELEMENTS(few)) {
        v = iov = g_new(struct iovec, call->niov + 1);
    }
    stl_be_p(head, extended ? NBD_EXT_REQUEST_MAGIC : NBD_REQUEST_MAGIC);
    stw_be_p(head + 4, call->flags | (extended && payload
                                          ? NBD_CMD_FLAG_PAYLOAD_LEN : 0));
    stw_be_p(head + 6, call->type);
    stq_be_p(head + 8, call->cookie);
    stq_be_p(head + 16, call->offset);
    if (extended) {
        stq_be_p(head + 24, call->length);
    } else {
        stl_be_p(head + 24, (uint32_t)call->length);
    }
    v[0].iov_base = head;
    v[0].iov_len = extended ? NBD_EXT_REQUEST_SIZE : NBD_REQUEST_SIZE;
    if (payload) {
        memcpy(v + 1, call->iov, call->niov * sizeof(*v));
    }
    g_mutex_lock(&link->send_lock);
    ret = nbd_stream_send(&link->stream, v, payload ? call->niov + 1 : 1);
    g_mutex_unlock(&link->send_lock);
    return ret;
}

static NbdCall *find_call(void *opaque, uint64_t cookie)
{
    NbdLink *link = opaque;
    uint32_t slot = (uint32_t)cookie;
    NbdCall *call = NULL;

    g_mutex_lock(&link->lock);
    link->heard = true;
    if (slot < NBD_LINK_SLOTS && link->slots[slot] &&
        link->slots[slot]->cookie == cookie && !link->slots[slot]->done) {
        call = link->slots[slot];
    }
    g_mutex_unlock(&link->lock);
    return call;
}

/*
 * link->lock held: the next receiver, if any call waits.  One that is still
 * sending will not do: the server may not read before somebody receives.
 */
static void pass_on(NbdLink *link)
{
    for (unsigned i = 0; i < NBD_LINK_SLOTS; i++) {
        NbdCall *call = link->slots[i];
        if (call && call->waiting && !call->done) {
            g_cond_signal(&link->slots[i]->wake);
            return;
        }
    }
}

/* link->lock held, given up while receiving: until own is done or all fails. */
static void receive_for_all(NbdLink *link, NbdCall *own)
{
    const NbdClient *client = link->client;
    NbdReplyRules rules = {
        .structured = client->info.structured,
        .extended = client->info.extended,
        .context_id = client->context_id,
        .size = client->info.size,
        .max_block = client->info.max_block,
        .find = find_call,
        .opaque = link,
    };

    link->receiving = true;
    while (!own->done && !link->broken) {
        g_autofree char *complaint = NULL;
        NbdCall *done = NULL;
        int ret;

        g_mutex_unlock(&link->lock);
        ret = nbd_reply_receive(&rules, &link->input, &done, &complaint);
        g_mutex_lock(&link->lock);
        if (done && ret == 0) {
            done->done = true;
            if (done != own) {
                g_cond_signal(&done->wake);
            }
        }
        if (ret < 0) {
            link->receiving = false; /* before the others are woken */
            mark_broken(link, complaint ? complaint : g_strerror(-ret));
        }
    }
    link->receiving = false;
    if (link->broken) {
        mark_broken(link, "");
    } else {
        pass_on(link);
    }
}

int nbd_link_call(NbdLink *link, NbdCall *call)
{
    int ret;

    g_mutex_lock(&link->lock);
    ret = take_slot(link, call);
    if (ret < 0) {
        g_mutex_unlock(&link->lock);
        return ret;
    }
    g_mutex_unlock(&link->lock);
    ret = send_call(link, call);
    g_mutex_lock(&link->lock);
    if (ret < 0) {
        mark_broken(link, g_strerror(-ret));
    }
    /* Nobody may be writing to our memory when we leave. */
    while (!call->done && (!link->broken || link->receiving)) {
        if (link->receiving) {
            call->waiting = true;
            g_cond_wait(&call->wake, &link->lock);
            call->waiting = false;
        } else {
            receive_for_all(link, call);
        }
    }
    leave_slot(link, call);
    ret = call->done ? 0 : -ECONNRESET;
    g_mutex_unlock(&link->lock);
    return ret;
}

/* ---- Opening and closing --------------------------------------------------- */

void nbd_link_init(NbdLink *link, NbdClient *client)
{
    link->client = client;
    link->stream.fd = -1;
    g_mutex_init(&link->lock);
    g_mutex_init(&link->send_lock);
    g_cond_init(&link->changed);
    link->input = (NbdInput){ .stream = &link->stream,
                              .buf = g_malloc(INPUT_SIZE),
                              .size = INPUT_SIZE };
}

void nbd_link_clear(NbdLink *link)
{
    if (link->stream.fd >= 0) {
        nbd_stream_close(&link->stream);
    }
    g_mutex_clear(&link->lock);
    g_mutex_clear(&link->send_lock);
    g_cond_clear(&link->changed);
    g_free(link->input.buf);
}

bool nbd_link_open(NbdLink *link, bool first, GError **error)
{
    bool ok;

    g_mutex_lock(&link->lock);
    link->connecting = true;
    g_mutex_unlock(&link->lock);
    ok = link_connect(link, first, error);
    g_mutex_lock(&link->lock);
    link->connecting = false;
    link->up = ok;
    link->broken = false;
    g_mutex_unlock(&link->lock);
    return ok;
}

void nbd_link_goodbye(NbdLink *link)
{
    NbdCall call = { .type = NBD_CMD_DISC };

    if (link->up && !link->broken && link->stream.fd >= 0) {
        set_timeouts(link->stream.fd, 1);
        send_call(link, &call);
    }
}
