/*
 * Replies: their headers in the three styles, and the sink that gathers many
 * of them into one send.
 *
 * A sink's buffer holds whole replies or whole chunks, so that sinks of
 * several threads may be sent in any order without tearing one another.
 */
#include <errno.h>
#include <string.h>

#include "nbd/server-int.h"
#include "util/bytes.h"

void nbd_sink_init(NbdSink *sink, NbdConnection *conn)
{
    sink->conn = conn;
    sink->used = 0;
}

/* send_lock held.  After a failure nothing more is said: the peer is gone. */
static void send_locked(NbdConnection *conn, struct iovec *iov, int niov)
{
    if (!conn->broken && nbd_stream_send(&conn->stream, iov, niov) < 0) {
        conn->broken = true;
        nbd_stream_shutdown(&conn->stream);
    }
}

void nbd_sink_flush(NbdSink *sink)
{
    struct iovec iov = { .iov_base = sink->buf, .iov_len = sink->used };

    if (sink->used == 0) {
        return;
    }
    g_mutex_lock(&sink->conn->send_lock);
    send_locked(sink->conn, &iov, 1);
    g_mutex_unlock(&sink->conn->send_lock);
    sink->used = 0;
}

uint8_t *nbd_sink_reserve(NbdSink *sink, size_t size)
{
    if (!sink->buf) {
        sink->buf = g_malloc(NBD_OUT_SIZE);
    }
    if (sink->used + size > NBD_OUT_SIZE) {
        nbd_sink_flush(sink);
    }
    return sink->buf + sink->used;
}

void nbd_sink_commit(NbdSink *sink, size_t size)
{
    sink->used += size;
    if (sink->conn->server->params.tune & NBD_TUNE_NO_BATCH) {
        nbd_sink_flush(sink);
    }
}

void nbd_sink_send(NbdSink *sink, const void *head, size_t head_size,
                   const void *data, size_t size)
{
    struct iovec iov[3] = {
        { .iov_base = sink->buf, .iov_len = sink->used },
        { .iov_base = (void *)head, .iov_len = head_size },
        { .iov_base = (void *)data, .iov_len = size },
    };

    g_mutex_lock(&sink->conn->send_lock);
    send_locked(sink->conn, iov, 3);
    g_mutex_unlock(&sink->conn->send_lock);
    sink->used = 0;
}

/* ---- Headers ------------------------------------------------------------- */

size_t nbd_put_simple(uint8_t *p, const NbdRequest *r, int err)
{
    stl_be_p(p, NBD_SIMPLE_REPLY_MAGIC);
    stl_be_p(p + 4, nbd_errno_to_wire(err));
    stq_be_p(p + 8, r->cookie);
    return NBD_SIMPLE_REPLY_SIZE;
}

size_t nbd_put_chunk(const NbdConnection *conn, uint8_t *p,
                     const NbdRequest *r, uint16_t type, bool done,
                     uint64_t payload)
{
    stl_be_p(p, conn->extended ? NBD_EXT_REPLY_MAGIC : NBD_CHUNK_MAGIC);
    stw_be_p(p + 4, done ? NBD_CHUNK_FLAG_DONE : 0);
    stw_be_p(p + 6, type);
    stq_be_p(p + 8, r->cookie);
    if (conn->extended) {
        stq_be_p(p + 16, r->offset);
        stq_be_p(p + 24, payload);
        return NBD_EXT_CHUNK_SIZE;
    }
    stl_be_p(p + 16, (uint32_t)payload);
    return NBD_CHUNK_SIZE;
}

size_t nbd_put_data_head(const NbdConnection *conn, uint8_t *p,
                         const NbdRequest *r, bool done, uint64_t offset,
                         uint32_t bytes)
{
    size_t n;

    if (!conn->structured) {
        return nbd_put_simple(p, r, 0);
    }
    n = nbd_put_chunk(conn, p, r, NBD_CHUNK_OFFSET_DATA, done,
                      (uint64_t)bytes + 8);
    stq_be_p(p + n, offset);
    return n + 8;
}

void nbd_reply_done(NbdSink *sink, const NbdRequest *r)
{
    uint8_t *p = nbd_sink_reserve(sink, NBD_HEAD_ROOM);

    /* A structured client accepts simple replies except to READ. */
    if (sink->conn->extended ||
        (sink->conn->structured && r->type == NBD_CMD_READ)) {
        nbd_sink_commit(sink, nbd_put_chunk(sink->conn, p, r, NBD_CHUNK_NONE,
                                            true, 0));
    } else {
        nbd_sink_commit(sink, nbd_put_simple(p, r, 0));
    }
}

void nbd_reply_error(NbdSink *sink, const NbdRequest *r, int err,
                     const char *message)
{
    size_t length = MIN(strlen(message), NBD_MAX_STRING);
    uint8_t *p = nbd_sink_reserve(sink, NBD_HEAD_ROOM + length);
    size_t n;

    if (!sink->conn->structured) {
        nbd_sink_commit(sink, nbd_put_simple(p, r, err));
        return;
    }
    n = nbd_put_chunk(sink->conn, p, r, NBD_CHUNK_ERROR, true, 6 + length);
    stl_be_p(p + n, nbd_errno_to_wire(err));
    stw_be_p(p + n + 4, (uint16_t)length);
    memcpy(p + n + 6, message, length);
    nbd_sink_commit(sink, n + 6 + length);
}

void nbd_reply_hole(NbdSink *sink, const NbdRequest *r, bool done,
                    uint64_t offset, uint32_t bytes)
{
    uint8_t *p = nbd_sink_reserve(sink, NBD_HEAD_ROOM);
    size_t n = nbd_put_chunk(sink->conn, p, r, NBD_CHUNK_OFFSET_HOLE, done,
                             12);

    stq_be_p(p + n, offset);
    stl_be_p(p + n + 8, bytes);
    nbd_sink_commit(sink, n + 12);
}
