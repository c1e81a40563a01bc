/*
 * READ.  Three ways, the first that fits:
 *
 *   holes      the export says what reads as zero: told, not sent
 *   zero-copy  page cache -> pipe -> socket; only the receiver copies
 *   plain      into the sink's buffer and out with everything else
 *
 * With structured replies a read may be answered in several chunks, so the
 * buffers stay small and warm; a simple reply (and DF) is one piece.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nbd/server-int.h"

#define PIPE_THRESHOLD (32u << 10) /* below this, copying is cheaper */
#define LEARN_BUDGET   4 /* status calls to spend on looking ahead */
#define LEARN_SLOW_NS  200000
#define LEARN_SHARE    30
#define READ_CHUNK     (NBD_OUT_SIZE - NBD_HEAD_ROOM)

static const char read_failed[] = "reading from file failed";

static int timed_pread(NbdExport *e, uint64_t offset, uint32_t bytes,
                       void *buf)
{
    NbdCost cost;
    int ret;

    nbd_cost_begin(e, NBD_CMD_READ, &cost);
    ret = e->ops->pread(e->opaque, offset, bytes, buf);
    nbd_cost_end(e, NBD_CMD_READ, bytes, &cost);
    return ret;
}

/* ---- Zero-copy ----------------------------------------------------------- */

static bool open_pipe(NbdConnection *conn)
{
    if (conn->pipe_useless) {
        return false;
    }
    if (conn->pipe[0] < 0) {
        if (pipe2(conn->pipe, O_CLOEXEC) < 0) {
            conn->pipe[0] = conn->pipe[1] = -1;
            conn->pipe_useless = true;
            return false;
        }
        fcntl(conn->pipe[1], F_SETPIPE_SZ, NBD_PIPE_SIZE);
        fcntl(conn->pipe[1], F_SETFL, O_NONBLOCK);
    }
    return true;
}

static void close_pipe(NbdConnection *conn)
{
    close(conn->pipe[0]);
    close(conn->pipe[1]);
    conn->pipe[0] = conn->pipe[1] = -1;
}

static int pipe_to_socket(NbdConnection *conn, size_t n)
{
    while (n > 0) {
        ssize_t done = splice(conn->pipe[0], NULL, conn->stream.fd, NULL, n,
                              SPLICE_F_MOVE);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return done ? -errno : -EIO;
        }
        n -= done;
    }
    return 0;
}

/* send_lock held: what has collected, a header, n bytes of the pipe. */
static int send_from_pipe(NbdSink *sink, const uint8_t *head,
                          size_t head_size, size_t n)
{
    NbdConnection *conn = sink->conn;
    struct iovec iov[2] = {
        { .iov_base = sink->buf, .iov_len = sink->used },
        { .iov_base = (void *)head, .iov_len = head_size },
    };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
    size_t total = sink->used + head_size;
    ssize_t sent = sendmsg(conn->stream.fd, &msg, MSG_NOSIGNAL | MSG_MORE);

    sink->used = 0;
    if (sent < 0 && errno != EINTR) {
        return -errno;
    }
    sent = MAX(sent, 0);
    if ((size_t)sent < total) {
        for (int i = 0; i < 2; i++) {
            size_t part = MIN((size_t)sent, iov[i].iov_len);
            iov[i].iov_base = (char *)iov[i].iov_base + part;
            iov[i].iov_len -= part;
            sent -= part;
        }
        int ret = nbd_stream_send(&conn->stream, iov, 2);
        if (ret < 0) {
            return ret;
        }
    }
    return pipe_to_socket(conn, n);
}

/*
 * Sends [offset, offset + bytes) as chunks.  Returns how much could be done
 * this way (0: nothing, use another), or -errno of the file.
 */
static int64_t read_by_pipe(NbdSink *sink, const NbdRequest *r, bool done,
                            uint64_t offset, uint32_t bytes)
{
    NbdConnection *conn = sink->conn;
    NbdExport *e = conn->export;
    uint8_t head[NBD_HEAD_ROOM];
    uint32_t sent = 0;

    while (sent < bytes) {
        NbdCost cost;
        size_t head_size;
        ssize_t n;
        int ret;

        nbd_cost_begin(e, NBD_CMD_READ, &cost);
        n = e->ops->pread_pipe(e->opaque, offset + sent,
                               MIN(bytes - sent, NBD_PIPE_SIZE),
                               conn->pipe[1]);
        nbd_cost_end(e, NBD_CMD_READ, 0, &cost);

        if (n <= 0) {
            conn->pipe_useless = n == -ENOTSUP || n == -EINVAL;
            return sent;
        }
        head_size = nbd_put_data_head(conn, head, r,
                                      done && sent + n == bytes,
                                      offset + sent, (uint32_t)n);
        g_mutex_lock(&conn->send_lock);
        ret = conn->broken ? 0 : send_from_pipe(sink, head, head_size, n);
        if (conn->broken || ret < 0) {
            conn->broken = true;
            nbd_stream_shutdown(&conn->stream);
            g_mutex_unlock(&conn->send_lock);
            close_pipe(conn);
            return bytes; /* nobody is there to be told */
        }
        g_mutex_unlock(&conn->send_lock);
        sent += n;
    }
    return sent;
}

/* ---- Plain --------------------------------------------------------------- */

/* Sends [offset, offset + bytes) in chunks; 0 or -errno. */
static int read_chunks(NbdSink *sink, const NbdRequest *r, bool done,
                       uint64_t offset, uint32_t bytes)
{
    NbdConnection *conn = sink->conn;
    NbdExport *e = conn->export;

    while (bytes > 0) {
        uint32_t n = MIN(bytes, READ_CHUNK);
        uint8_t *p = nbd_sink_reserve(sink, n + NBD_HEAD_ROOM);
        size_t head = nbd_put_data_head(conn, p, r, done && n == bytes,
                                        offset, n);
        int ret = timed_pread(e, offset, n, p + head);

        if (ret < 0) {
            return ret;
        }
        nbd_sink_commit(sink, head + n);
        offset += n;
        bytes -= n;
    }
    return 0;
}

/* One piece that does not fit the sink's buffer. */
static int read_large(NbdSink *sink, const NbdRequest *r)
{
    NbdConnection *conn = sink->conn;
    NbdExport *e = conn->export;
    g_autofree uint8_t *data = g_try_malloc(r->length);
    uint8_t head[NBD_HEAD_ROOM];
    size_t head_size;
    int ret;

    if (!data) {
        return -ENOMEM;
    }
    ret = timed_pread(e, r->offset, (uint32_t)r->length, data);
    if (ret < 0) {
        return ret;
    }
    head_size = nbd_put_data_head(conn, head, r, true, r->offset,
                                  (uint32_t)r->length);
    nbd_sink_send(sink, head, head_size, data, r->length);
    return 0;
}

static bool may_pipe(NbdSink *sink, uint64_t bytes)
{
    NbdConnection *conn = sink->conn;

    return bytes >= PIPE_THRESHOLD && sink->own_thread &&
           conn->export->ops->pread_pipe && !conn->stream.session &&
           !(conn->server->params.tune & NBD_TUNE_NO_PIPE) && open_pipe(conn);
}

/* One piece, header and all; a simple reply or DF. */
static int read_one_piece(NbdSink *sink, const NbdRequest *r)
{
    if (r->length <= READ_CHUNK) {
        return read_chunks(sink, r, true, r->offset, (uint32_t)r->length);
    }
    return read_large(sink, r);
}

static int read_data(NbdSink *sink, const NbdRequest *r, bool done,
                     uint64_t offset, uint64_t bytes)
{
    int64_t sent = 0;

    if (may_pipe(sink, bytes)) {
        sent = read_by_pipe(sink, r, done, offset, (uint32_t)bytes);
    }
    return read_chunks(sink, r, done, offset + sent, (uint32_t)(bytes - sent));
}

/* ---- Holes --------------------------------------------------------------- */

/* True when [offset, offset + length) has to be sent as a whole. */
static bool known_data(NbdConnection *conn, const NbdRequest *r)
{
    return !conn->export->sparse ||
           (conn->server->params.tune & NBD_TUNE_NO_SPARSE) ||
           (r->offset >= conn->data_start &&
            r->offset + r->length <= conn->data_end);
}

/*
 * What is data stays data as far as this cache is concerned: sending a hole
 * as zero bytes is never wrong.  Some file systems look at every page to find
 * the next hole (tmpfs: 35 ms for 256 MiB); then it is not asked again before
 * LEARN_SHARE times as long has passed, and meanwhile everything is data.
 */
static void learn_data(NbdConnection *conn, const NbdRequest *r)
{
    NbdExport *e = conn->export;
    gint64 start = nbd_now_ns();
    gint64 spent;
    NbdExtents extents;

    nbd_extents_init(&extents, e->size - r->offset, true, 1);
    extents.budget = LEARN_BUDGET;
    if (e->ops->status(e->opaque, 0, r->offset, e->size - r->offset,
                       &extents) == 0 && extents.count) {
        NbdExtent *x = &g_array_index(extents.array, NbdExtent, 0);
        if (!(x->flags & NBD_STATE_ZERO)) {
            conn->data_start = r->offset;
            conn->data_end = r->offset + x->bytes;
        }
    }
    nbd_extents_clear(&extents);
    spent = nbd_now_ns() - start;
    if (spent > LEARN_SLOW_NS) {
        conn->learn_ns = start + spent * LEARN_SHARE;
    }
}

bool nbd_read_is_data(NbdSink *sink, const NbdRequest *r)
{
    NbdConnection *conn = sink->conn;

    if (!conn->structured || known_data(conn, r)) {
        return true;
    }
    if (conn->learn_ns && nbd_now_ns() < conn->learn_ns) {
        return true;
    }
    if (sink->own_thread) {
        learn_data(conn, r);
    }
    return known_data(conn, r);
}

static int read_extents(NbdSink *sink, const NbdRequest *r)
{
    NbdExport *e = sink->conn->export;
    uint64_t offset = r->offset;
    uint64_t left = r->length;
    NbdExtents extents;
    int ret;

    nbd_extents_init(&extents, left, true, NBD_MAX_EXTENTS);
    ret = e->ops->status(e->opaque, 0, offset, left, &extents);
    for (unsigned i = 0; ret == 0 && i < extents.count; i++) {
        NbdExtent *x = &g_array_index(extents.array, NbdExtent, i);
        bool done = x->bytes == left;

        if (x->flags & NBD_STATE_ZERO) {
            nbd_reply_hole(sink, r, done, offset, (uint32_t)x->bytes);
        } else {
            ret = read_data(sink, r, done, offset, x->bytes);
        }
        offset += x->bytes;
        left -= x->bytes;
    }
    nbd_extents_clear(&extents);
    if (ret == 0 && left > 0) {
        ret = read_data(sink, r, true, offset, left);
    }
    return ret;
}

void nbd_execute_read(NbdSink *sink, NbdRequest *r)
{
    NbdConnection *conn = sink->conn;
    int ret;

    if (r->length == 0) {
        nbd_reply_done(sink, r);
        return;
    }
    if (r->flags & NBD_CMD_FLAG_FUA) {
        ret = conn->export->ops->flush
                  ? conn->export->ops->flush(conn->export->opaque) : 0;
        if (ret < 0) {
            nbd_reply_error(sink, r, -ret, "flush failed");
            return;
        }
    }
    if (!conn->structured || (r->flags & NBD_CMD_FLAG_DF)) {
        ret = read_one_piece(sink, r);
    } else if (nbd_read_is_data(sink, r)) {
        ret = read_data(sink, r, true, r->offset, r->length);
    } else {
        ret = read_extents(sink, r);
    }
    if (ret < 0) {
        nbd_reply_error(sink, r, -ret, read_failed);
    }
}
