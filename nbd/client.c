/*
 * Requests of a client: where they wait, how they travel, what happens when
 * the connection is lost.
 *
 *     caller --> Link: slot, send --> socket
 *                                        |
 *     caller <-- Link: one waiting caller receives for all
 *
 * A Link is a connection and the calls on it.  When it breaks, the receiver
 * (or whoever notices) marks it broken; callers leave one by one; the first
 * that comes in when all have left sets it up again.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "nbd/client-int.h"
#include "util/bytes.h"
#include "util/log.h"

#define SLOTS            128 /* requests in flight on one connection */
#define INPUT_SIZE       (128u << 10)
#define HANDSHAKE_WAIT_S 30
#define MAX_LINKS        16
#define MAX_BACKOFF_S    16
#define SILENT_LOOKS     5 /* so many seconds, when the program ends */

typedef struct Link {
    NbdClient *client;
    NbdStream stream;
    GMutex send_lock;

    GMutex lock; /* protects what follows */
    GCond changed; /* a slot is free, or the link went up or down */
    bool up;
    bool broken;
    bool receiving; /* some caller is */
    bool connecting;
    unsigned users; /* callers between enter and leave */
    uint32_t epoch; /* in the upper half of cookies */
    NbdCall *slots[SLOTS];
    gint64 lost_us; /* when it broke */
    gint64 retry_us; /* not before */
    unsigned backoff_s;
    bool heard; /* replies since the last look */
    unsigned silent; /* looks since the last reply */

    NbdInput input; /* the receiver's */
} Link;

struct NbdClient {
    NbdClientParams params; /* strings owned */
    NbdAddress *address;
    NbdClientInfo info;
    uint32_t context_id;
    unsigned nlinks;
    Link links[MAX_LINKS];
};

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

/* nbd_client_look() may look meanwhile. */
static void set_stream(Link *link, int fd)
{
    g_mutex_lock(&link->lock);
    if (link->stream.fd >= 0) {
        nbd_stream_close(&link->stream);
    }
    nbd_stream_init(&link->stream, fd);
    g_mutex_unlock(&link->lock);
}

/* The link is nobody else's: link->connecting, or not open yet. */
static bool link_connect(Link *link, bool first, GError **error)
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

static void link_init(Link *link, NbdClient *client)
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

static void link_clear(Link *link)
{
    if (link->stream.fd >= 0) {
        nbd_stream_close(&link->stream);
    }
    g_mutex_clear(&link->lock);
    g_mutex_clear(&link->send_lock);
    g_cond_clear(&link->changed);
    g_free(link->input.buf);
}

/* ---- Getting onto a link -------------------------------------------------- */

/* link->lock held and given up meanwhile; the link is down, we set it up. */
static void reconnect(Link *link)
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
static int need_up(Link *link)
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

static int take_slot(Link *link, NbdCall *call)
{
    for (;;) {
        int ret = need_up(link);
        if (ret < 0) {
            return ret;
        }
        for (unsigned i = 0; i < SLOTS; i++) {
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
static void leave_slot(Link *link, NbdCall *call)
{
    bool full = link->users == SLOTS;

    link->slots[(uint32_t)call->cookie] = NULL;
    link->users--;
    if (full || (link->broken && link->users == 0)) {
        g_cond_broadcast(&link->changed);
    }
}

/* link->lock held. */
static void mark_broken(Link *link, const char *why)
{
    if (!link->broken) {
        log_printf(LOG_NBD, "nbd: connection lost: %s\n", why);
        link->broken = true;
        link->lost_us = g_get_monotonic_time();
        link->retry_us = link->lost_us;
        nbd_stream_shutdown(&link->stream);
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (link->slots[i]) {
            g_cond_signal(&link->slots[i]->wake);
        }
    }
}

void nbd_client_look(NbdClient *client)
{
    for (unsigned i = 0; i < client->nlinks; i++) {
        Link *link = &client->links[i];

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
}

/* ---- Sending and receiving ------------------------------------------------ */

static int send_call(Link *link, const NbdCall *call)
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
    Link *link = opaque;
    uint32_t slot = (uint32_t)cookie;
    NbdCall *call = NULL;

    g_mutex_lock(&link->lock);
    link->heard = true;
    if (slot < SLOTS && link->slots[slot] &&
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
static void pass_on(Link *link)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        NbdCall *call = link->slots[i];
        if (call && call->waiting && !call->done) {
            g_cond_signal(&link->slots[i]->wake);
            return;
        }
    }
}

/* link->lock held, given up while receiving: until own is done or all fails. */
static void receive_for_all(Link *link, NbdCall *own)
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

/*
 * Sends a call and waits: 0 (then call->error), -ECONNRESET when the link
 * broke meanwhile, -EIO when there is none to be had.
 */
static int run_call(Link *link, NbdCall *call)
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

/* The least busy link; the first of equals. */
static Link *pick_link(NbdClient *client)
{
    Link *best = &client->links[0];
    unsigned least = UINT_MAX;

    for (unsigned i = 0; i < client->nlinks; i++) {
        Link *link = &client->links[i];
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
        ret = run_call(pick_link(client), call);
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

/* ---- Opening and closing --------------------------------------------------- */

/* The link is new; nbd_client_look() may give it up meanwhile. */
static bool connect_new(Link *link, bool first, GError **error)
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

static bool connect_first(NbdClient *client, GError **error)
{
    gint64 until = g_get_monotonic_time() +
                   client->params.open_timeout_s * G_TIME_SPAN_SECOND;

    for (;;) {
        g_autoptr(GError) local = NULL;
        if (connect_new(&client->links[0], true, &local)) {
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
                          ? MIN(client->params.connections, MAX_LINKS) : 1;

    for (unsigned n = 1; n < wanted; n++) {
        Link *link = &client->links[n];

        link_init(link, client);
        nbd_client_unregister(client);
        client->nlinks = n + 1;
        nbd_client_register(client);
        if (!connect_new(link, false, NULL)) {
            nbd_client_unregister(client);
            client->nlinks = n;
            nbd_client_register(client);
            link_clear(link);
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
    link_init(&client->links[0], client);
    nbd_client_register(client);
    if (!connect_first(client, error)) {
        nbd_client_close(client);
        return NULL;
    }
    connect_more(client);
    return client;
}

/* Says goodbye on a link that works; the server closes, so do we. */
static void say_goodbye(Link *link)
{
    NbdCall call = { .type = NBD_CMD_DISC };

    if (link->up && !link->broken && link->stream.fd >= 0) {
        set_timeouts(link->stream.fd, 1);
        send_call(link, &call);
    }
}

void nbd_client_close(NbdClient *client)
{
    if (!client) {
        return;
    }
    nbd_client_unregister(client);
    for (unsigned i = 0; i < client->nlinks; i++) {
        say_goodbye(&client->links[i]);
        link_clear(&client->links[i]);
    }
    nbd_tls_creds_unref(client->params.tls);
    g_free((char *)client->params.export);
    g_free((char *)client->params.tls_hostname);
    g_free((char *)client->params.context);
    nbd_address_free(client->address);
    g_free(client);
}
