/*
 * A wire through a unix socket; see net_stream_new() in net.h.
 *
 * A peer that sends a length of 0 or above NET_FRAME_MAX is disconnected.  A
 * server waits for the next peer then; a client stays without a network.
 */
#include "hw/net-int.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "system/device.h"
#include "util/bytes.h"
#include "util/log.h"

enum { LENGTH_BYTES = 4 };

typedef struct NetStream {
    NetBackend net;
    char *path;
    int listen_fd;     /* -1: client */
    int fd;            /* the peer, or -1 */
    uint8_t in[LENGTH_BYTES + NET_FRAME_MAX];
    size_t in_used;
    GByteArray *out;   /* of the frame being sent */
} NetStream;

static void drop_peer(NetStream *s, const char *why)
{
    log_printf(LOG_DEVICE, "%s: peer gone: %s\n", s->net.id, why);
    close(s->fd);
    s->fd = -1;
    s->in_used = 0;
    g_byte_array_set_size(s->out, 0);
}

static void accept_peer(NetStream *s)
{
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0 && s->fd < 0) {
        s->fd = fd;
    } else if (fd >= 0) {
        close(fd);
    }
}

/* Hands on every whole frame of the buffer; false when the peer is wrong. */
static bool parse(NetStream *s)
{
    size_t at = 0;

    while (s->in_used - at >= LENGTH_BYTES) {
        uint32_t n = ldl_be_p(s->in + at);

        if (!n || n > NET_FRAME_MAX) {
            return false;
        }
        if (s->in_used - at < LENGTH_BYTES + n) {
            break;
        }
        net_deliver(&s->net, s->in + at + LENGTH_BYTES, n);
        at += LENGTH_BYTES + n;
    }
    memmove(s->in, s->in + at, s->in_used - at);
    s->in_used -= at;
    return true;
}

static void receive(NetStream *s)
{
    ssize_t n = recv(s->fd, s->in + s->in_used, sizeof(s->in) - s->in_used,
                     MSG_DONTWAIT);

    if (n > 0) {
        s->in_used += n;
        if (!parse(s)) {
            drop_peer(s, "bad frame length");
        }
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        drop_peer(s, n ? g_strerror(errno) : "closed");
    }
}

/* Sends until the socket is full or nothing is left. */
static void send_queued(NetStream *s)
{
    for (;;) {
        if (!s->out->len) {
            g_autoptr(GBytes) frame = net_take(&s->net);
            uint8_t length[LENGTH_BYTES];
            gsize n;

            if (!frame) {
                return;
            }
            const uint8_t *bytes = g_bytes_get_data(frame, &n);

            if (s->fd < 0) {
                continue; /* nobody listens */
            }
            stl_be_p(length, n);
            g_byte_array_append(s->out, length, sizeof(length));
            g_byte_array_append(s->out, bytes, n);
        }
        ssize_t done = send(s->fd, s->out->data, s->out->len,
                            MSG_DONTWAIT | MSG_NOSIGNAL);

        if (done < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                drop_peer(s, g_strerror(errno));
            }
            return;
        }
        g_byte_array_remove_range(s->out, 0, done);
    }
}

static void stream_turn(NetBackend *net)
{
    NetStream *s = (NetStream *)net;
    struct pollfd fds[3] = {
        { .fd = net->wake_fd, .events = POLLIN },
        { .fd = s->fd, .events = POLLIN | (s->out->len ? POLLOUT : 0) },
        { .fd = s->listen_fd, .events = POLLIN },
    };

    if (poll(fds, G_N_ELEMENTS(fds), -1) < 0) {
        return;
    }
    if (fds[0].revents) {
        net_clear_wake(net);
    }
    if (fds[2].revents) {
        accept_peer(s);
    }
    if (s->fd >= 0 && fds[1].revents & (POLLIN | POLLHUP | POLLERR)) {
        receive(s);
    }
    send_queued(s);
}

static void stream_free(NetBackend *net)
{
    NetStream *s = (NetStream *)net;

    if (s->fd >= 0) {
        close(s->fd);
    }
    if (s->listen_fd >= 0) {
        close(s->listen_fd);
        unlink(s->path);
    }
    g_free(s->path);
    g_byte_array_unref(s->out);
}

static const NetOps stream_ops = { stream_turn, stream_free };

NetBackend *net_stream_new(const char *id, const char *path, bool server,
                           GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        ok = false;
    }
    if (ok) {
        strcpy(address.sun_path, path);
        ok = server ? bind(fd, (struct sockaddr *)&address,
                           sizeof(address)) == 0 && listen(fd, 1) == 0
                    : connect(fd, (struct sockaddr *)&address,
                              sizeof(address)) == 0;
    }
    if (!ok) {
        g_set_error(error, SYSTEM_ERROR, 0, "cannot %s '%s': %s",
                    server ? "listen at" : "connect to", path,
                    g_strerror(errno));
        close(fd);
        return NULL;
    }
    NetStream *s = net_new(sizeof(*s), &stream_ops, id);

    s->path = g_strdup(path);
    s->listen_fd = server ? fd : -1;
    s->fd = server ? -1 : fd;
    s->out = g_byte_array_new();
    net_start(&s->net);
    return &s->net;
}
