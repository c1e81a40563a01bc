/*
 * The byte stream under NBD: a socket, with or without a TLS session.
 */
#include "nbd/tls.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nbd/tls-int.h"

void nbd_stream_init(NbdStream *stream, int fd)
{
    memset(stream, 0, sizeof(*stream));
    stream->fd = fd;
}

void nbd_stream_close(NbdStream *stream)
{
    if (stream->session) {
        nbd_tls_session_free(stream->session);
        stream->session = NULL;
    }
    nbd_tls_creds_unref(stream->creds);
    stream->creds = NULL;
    if (stream->fd >= 0) {
        close(stream->fd);
        stream->fd = -1;
    }
}

ssize_t nbd_stream_recv(NbdStream *stream, void *buf, size_t size)
{
    ssize_t n;

    if (stream->session) {
        return nbd_tls_session_recv(stream->session, buf, size);
    }
    do {
        n = recv(stream->fd, buf, size, 0);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int nbd_stream_recv_full(NbdStream *stream, void *buf, size_t size)
{
    uint8_t *p = buf;

    while (size > 0) {
        ssize_t n = nbd_stream_recv(stream, p, size);
        if (n <= 0) {
            return n ? (int)n : -ECONNRESET;
        }
        p += n;
        size -= n;
    }
    return 0;
}

static int send_plain(int fd, struct iovec *iov, int niov)
{
    while (niov > 0) {
        struct msghdr msg = {
            .msg_iov = iov,
            .msg_iovlen = MIN(niov, 1024),
        };
        /* One piece is the common case, and send() the shorter way. */
        ssize_t n = niov == 1
                        ? send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                        : sendmsg(fd, &msg, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        while (n > 0) {
            size_t part = MIN((size_t)n, iov->iov_len);
            iov->iov_base = (char *)iov->iov_base + part;
            iov->iov_len -= part;
            n -= part;
            if (iov->iov_len == 0) {
                iov++;
                niov--;
            }
        }
        while (niov > 0 && iov->iov_len == 0) {
            iov++;
            niov--;
        }
    }
    return 0;
}

int nbd_stream_send(NbdStream *stream, struct iovec *iov, int niov)
{
    return stream->session
               ? nbd_tls_session_send(stream->session, iov, niov)
               : send_plain(stream->fd, iov, niov);
}

int nbd_stream_send_buf(NbdStream *stream, const void *buf, size_t size)
{
    struct iovec iov = { .iov_base = (void *)buf, .iov_len = size };

    return nbd_stream_send(stream, &iov, 1);
}

bool nbd_stream_has_buffered(NbdStream *stream)
{
    return stream->session && nbd_tls_session_pending(stream->session);
}

void nbd_stream_shutdown(NbdStream *stream)
{
    shutdown(stream->fd, SHUT_RDWR);
}

bool nbd_stream_start_tls(NbdStream *stream, NbdTlsCreds *creds,
                          const char *hostname, GError **error)
{
    stream->session = nbd_tls_session_new(stream->fd, creds, hostname, error);
    if (stream->session) {
        stream->creds = nbd_tls_creds_ref(creds);
    }
    return stream->session != NULL;
}

char *nbd_stream_peer_name(NbdStream *stream)
{
    return stream->session ? nbd_tls_session_peer_name(stream->session) : NULL;
}
