/*
 * The transmission phase of a connection.
 *
 *     socket --recv--> in[] --parse--> request --+--> execute here -> sink
 *                                                +--> workers
 *
 * One recv() brings as many requests as the client has sent; each is executed
 * as soon as it is complete; the replies gather in the sink, which is sent
 * when no complete request is left.  A request goes to the workers only when
 * there is something to overlap it with and requests of its kind have lately
 * been slow: for data in the page cache a thread switch costs more than the
 * work.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "nbd/server-int.h"
#include "util/bytes.h"
#include "util/log.h"

/* Copies from the kernel to odd addresses are slow. */
#define CACHE_LINE 64

G_STATIC_ASSERT(NBD_EXT_REQUEST_SIZE <= CACHE_LINE);

/* ---- Executing ----------------------------------------------------------- */

static int do_write(NbdExport *e, const NbdRequest *r, const uint8_t *payload)
{
    return e->ops->pwrite(e->opaque, r->offset, (uint32_t)r->length, payload,
                          r->flags & NBD_CMD_FLAG_FUA ? NBD_IO_FUA : 0);
}

static int write_zero_bytes(NbdExport *e, const NbdRequest *r, unsigned flags)
{
    static const uint8_t zeroes[64 << 10];
    uint64_t offset = r->offset;
    uint64_t left = r->length;
    int ret = 0;

    if (flags & NBD_IO_FAST) {
        return -ENOTSUP;
    }
    while (left > 0 && ret == 0) {
        uint32_t n = MIN(left, sizeof(zeroes));
        ret = e->ops->pwrite(e->opaque, offset, n, zeroes,
                             flags & NBD_IO_FUA);
        offset += n;
        left -= n;
    }
    return ret;
}

static int do_zero(NbdExport *e, const NbdRequest *r, const uint8_t *payload)
{
    unsigned flags = 0;

    flags |= r->flags & NBD_CMD_FLAG_FUA ? NBD_IO_FUA : 0;
    flags |= r->flags & NBD_CMD_FLAG_NO_HOLE ? NBD_IO_NO_HOLE : 0;
    flags |= r->flags & NBD_CMD_FLAG_FAST_ZERO ? NBD_IO_FAST : 0;
    return e->ops->zero ? e->ops->zero(e->opaque, r->offset, r->length, flags)
                        : write_zero_bytes(e, r, flags);
}

static int do_flush(NbdExport *e, const NbdRequest *r, const uint8_t *payload)
{
    return e->ops->flush ? e->ops->flush(e->opaque) : 0;
}

static int do_trim(NbdExport *e, const NbdRequest *r, const uint8_t *payload)
{
    int ret = e->ops->trim
                  ? e->ops->trim(e->opaque, r->offset, r->length) : 0;

    if (ret == 0 && (r->flags & NBD_CMD_FLAG_FUA)) {
        ret = do_flush(e, r, NULL);
    }
    return ret;
}

static int do_cache(NbdExport *e, const NbdRequest *r, const uint8_t *payload)
{
    return e->ops->cache ? e->ops->cache(e->opaque, r->offset, r->length) : 0;
}

static const struct {
    int (*run)(NbdExport *e, const NbdRequest *r, const uint8_t *payload);
    bool needs_length; /* nothing to do for an empty range */
    const char *failure;
} actions[NBD_CMD_COUNT] = {
    [NBD_CMD_WRITE] = { do_write, true, "writing to file failed" },
    [NBD_CMD_FLUSH] = { do_flush, false, "flush failed" },
    [NBD_CMD_TRIM] = { do_trim, true, "discard failed" },
    [NBD_CMD_CACHE] = { do_cache, true, "caching data failed" },
    [NBD_CMD_WRITE_ZEROES] = { do_zero, true, "writing to file failed" },
};

/* One chunk of extents for context number i of the selection. */
static int reply_status(NbdSink *sink, const NbdRequest *r, unsigned i,
                        bool done)
{
    NbdConnection *conn = sink->conn;
    NbdExport *e = conn->export;
    bool one = r->flags & NBD_CMD_FLAG_REQ_ONE;
    size_t each = conn->extended ? 16 : 8;
    size_t head = conn->extended ? 8 : 4;
    g_autofree uint8_t *data = NULL;
    uint8_t top[NBD_HEAD_ROOM];
    NbdExtents extents;
    int ret = 0;
    size_t n;

    nbd_extents_init(&extents, r->length, conn->extended,
                     one ? 1 : NBD_MAX_EXTENTS);
    if (e->ops->status) {
        ret = e->ops->status(e->opaque, conn->contexts.ids[i], r->offset,
                             r->length, &extents);
    } else {
        nbd_extents_add(&extents, r->length, 0);
    }
    if (ret < 0 || extents.count == 0) {
        nbd_extents_clear(&extents);
        return ret < 0 ? ret : -EIO;
    }
    data = g_malloc(head + each * extents.count);
    stl_be_p(data, conn->contexts.ids[i]);
    if (conn->extended) {
        stl_be_p(data + 4, extents.count);
    }
    for (unsigned k = 0; k < extents.count; k++) {
        NbdExtent *x = &g_array_index(extents.array, NbdExtent, k);
        uint8_t *p = data + head + each * k;
        if (conn->extended) {
            stq_be_p(p, x->bytes);
            stq_be_p(p + 8, x->flags);
        } else {
            stl_be_p(p, (uint32_t)x->bytes);
            stl_be_p(p + 4, x->flags);
        }
    }
    n = nbd_put_chunk(conn, top, r,
                      conn->extended ? NBD_CHUNK_BLOCK_STATUS_EXT
                                     : NBD_CHUNK_BLOCK_STATUS,
                      done, head + each * extents.count);
    if (n + head + each * extents.count <= NBD_OUT_SIZE) {
        uint8_t *p = nbd_sink_reserve(sink, n + head + each * extents.count);
        memcpy(p, top, n);
        memcpy(p + n, data, head + each * extents.count);
        nbd_sink_commit(sink, n + head + each * extents.count);
    } else {
        nbd_sink_send(sink, top, n, data, head + each * extents.count);
    }
    nbd_extents_clear(&extents);
    return 0;
}

static void execute_status(NbdSink *sink, const NbdRequest *r,
                           const bool *wanted)
{
    const NbdContextSet *set = &sink->conn->contexts;
    unsigned last = set->count;

    for (unsigned i = 0; i < set->count; i++) {
        last = !wanted || wanted[i] ? i : last;
    }
    if (last == set->count) {
        nbd_reply_done(sink, r);
        return;
    }
    for (unsigned i = 0; i <= last; i++) {
        int ret = !wanted || wanted[i]
                      ? reply_status(sink, r, i, i == last) : 0;
        if (ret < 0) {
            nbd_reply_error(sink, r, -ret, "can't get block status");
            return;
        }
    }
}

void nbd_execute(NbdSink *sink, NbdRequest *r, const uint8_t *payload,
                 const bool *wanted)
{
    NbdExport *e = sink->conn->export;
    NbdCost cost;
    int ret = 0;

    if (r->type == NBD_CMD_READ) {
        nbd_execute_read(sink, r);
    } else if (r->type == NBD_CMD_BLOCK_STATUS) {
        nbd_cost_begin(e, r->type, &cost);
        execute_status(sink, r, wanted);
        nbd_cost_end(e, r->type, 0, &cost);
    } else {
        if (r->length || !actions[r->type].needs_length) {
            nbd_cost_begin(e, r->type, &cost);
            ret = actions[r->type].run(e, r, payload);
            nbd_cost_end(e, r->type, r->payload, &cost);
        }
        if (ret == -ENOTSUP && !(r->flags & NBD_CMD_FLAG_FAST_ZERO)) {
            ret = -EINVAL;
        }
        if (ret < 0) {
            nbd_reply_error(sink, r, -ret, actions[r->type].failure);
        } else {
            nbd_reply_done(sink, r);
        }
    }
}

/* ---- Receiving ----------------------------------------------------------- */

static size_t available(const NbdConnection *conn)
{
    return conn->in_end - conn->in_pos;
}

/* Moves what is unread to the start of the buffer. */
static void compact(NbdConnection *conn)
{
    memmove(conn->in, conn->in + conn->in_pos, available(conn));
    conn->in_end -= conn->in_pos;
    conn->in_pos = 0;
}

/*
 * Makes at least n bytes (<= NBD_IN_SIZE) available and at most `most` more
 * than that; sends what has collected before it waits.  next_request: they
 * begin a request.  False at the end of the connection.
 */
static bool fill_some(NbdSink *sink, size_t n, size_t most, bool next_request)
{
    NbdConnection *conn = sink->conn;

    while (available(conn) < n) {
        bool idle = next_request && available(conn) == 0;
        ssize_t got;

        if (conn->in_pos == conn->in_end) {
            /* What follows the header shall begin on a cache line. */
            conn->in_pos = conn->in_end = idle ? CACHE_LINE - n : 0;
        } else if (NBD_IN_SIZE - conn->in_pos < n) {
            compact(conn);
        }
        nbd_sink_flush(sink);
        got = nbd_wait_recv(conn, conn->in + conn->in_end,
                            MIN(NBD_IN_SIZE - conn->in_end,
                                n - available(conn) + most), idle);
        if (got <= 0) {
            if (available(conn) || got < 0) {
                nbd_connection_complain(
                    conn, "Disconnect client, due to: %s",
                    got < 0 ? g_strerror((int)-got)
                            : "connection closed in a request");
            }
            return false;
        }
        conn->in_end += got;
    }
    return true;
}

static bool fill(NbdSink *sink, size_t n)
{
    return fill_some(sink, n, NBD_IN_SIZE, false);
}

static bool skip(NbdSink *sink, uint32_t n)
{
    while (n > 0) {
        uint32_t part = MIN(n, NBD_IN_SIZE);
        part = MIN(part, MAX(available(sink->conn), 1));
        if (!fill(sink, part)) {
            return false;
        }
        sink->conn->in_pos += part;
        n -= part;
    }
    return true;
}

/* More has arrived: what is executed now could be overlapped. */
static bool has_more(NbdConnection *conn, uint32_t payload)
{
    int queued = 0;

    if (available(conn) > payload || conn->in_flight > 0 ||
        nbd_stream_has_buffered(&conn->stream)) {
        return true;
    }
    return ioctl(conn->stream.fd, FIONREAD, &queued) == 0 && queued > 0;
}

static bool wants_worker(NbdConnection *conn, const NbdRequest *r)
{
    unsigned tune = conn->server->params.tune;

    if (tune & (NBD_TUNE_NO_POOL | NBD_TUNE_NO_INLINE)) {
        return !(tune & NBD_TUNE_NO_POOL);
    }
    return nbd_cost_is_slow(conn->export, r->type) &&
           has_more(conn, r->payload);
}

/* Copies the payload out of the stream into memory of its own. */
static uint8_t *take_payload(NbdSink *sink, const NbdRequest *r, bool *alive)
{
    NbdConnection *conn = sink->conn;
    uint8_t *buf = g_try_malloc(MAX(r->payload, 1));
    size_t have = MIN(available(conn), r->payload);

    if (!buf) {
        *alive = skip(sink, r->payload);
        return NULL;
    }
    memcpy(buf, conn->in + conn->in_pos, have);
    conn->in_pos += have;
    if (have < r->payload) {
        nbd_sink_flush(sink);
        *alive = nbd_stream_recv_full(&conn->stream, buf + have,
                                      r->payload - have) == 0;
    }
    return buf;
}

/*
 * How much of a long write to write next, of what has arrived: up to a
 * boundary, or to its end.  0: more has to arrive.
 */
static uint32_t next_piece(const NbdConnection *conn, uint64_t offset,
                           uint32_t left)
{
    uint32_t have = MIN(available(conn), left);

    return have == left ? left
                        : have - MIN((offset + have) % NBD_PIECE_ALIGN, have);
}

/*
 * A long write, executed here: it is written piece by piece as it arrives,
 * while the pieces are still in the CPU's cache.  The client learns of one
 * write.  As much as has arrived is received before it is written, so that
 * the client has room to send while we write: the kernel wakes it when three
 * quarters of its buffer (208 KiB) are empty.
 */
static bool write_pieces(NbdSink *sink, NbdRequest *r)
{
    NbdConnection *conn = sink->conn;
    NbdExport *e = conn->export;
    uint32_t done = 0;
    int ret = 0;

    while (done < r->length) {
        uint32_t left = r->length - done;
        uint32_t n = next_piece(conn, r->offset + done, left);

        if (n == 0) {
            uint32_t more = NBD_PIECE_ALIGN -
                            (r->offset + done) % NBD_PIECE_ALIGN;

            compact(conn); /* less than more */
            if (!fill_some(sink, MIN(more, left), NBD_PIECE - more, false)) {
                return false;
            }
            continue;
        }
        if (ret == 0) {
            NbdCost cost;
            nbd_cost_begin(e, r->type, &cost);
            ret = e->ops->pwrite(e->opaque, r->offset + done, n,
                                 conn->in + conn->in_pos, 0);
            nbd_cost_end(e, r->type, n, &cost);
        }
        conn->in_pos += n;
        done += n;
    }
    if (ret == 0 && (r->flags & NBD_CMD_FLAG_FUA)) {
        ret = do_flush(e, r, NULL);
    }
    if (ret < 0) {
        nbd_reply_error(sink, r, -ret, actions[NBD_CMD_WRITE].failure);
    } else {
        nbd_reply_done(sink, r);
    }
    return true;
}

static bool handle_write(NbdSink *sink, NbdRequest *r)
{
    NbdConnection *conn = sink->conn;
    bool here = !wants_worker(conn, r);
    bool pieces = !(conn->server->params.tune & NBD_TUNE_NO_PIECES);
    uint8_t *payload;
    bool alive = true;

    if (here && pieces && r->payload > NBD_PIECE_ALIGN) {
        return write_pieces(sink, r);
    }
    if (here && r->payload <= NBD_PIECE_ALIGN) {
        if (!fill(sink, r->payload)) {
            return false;
        }
        nbd_execute(sink, r, conn->in + conn->in_pos, NULL);
        conn->in_pos += r->payload;
        return true;
    }
    payload = take_payload(sink, r, &alive);
    if (!alive) {
        g_free(payload);
        return false;
    }
    if (!payload) {
        nbd_reply_error(sink, r, ENOMEM, "out of memory");
        return true;
    }
    if (here) {
        nbd_execute(sink, r, payload, NULL);
        g_free(payload);
    } else {
        nbd_pool_submit(conn->server->pool, conn, r, payload);
    }
    return true;
}

static bool handle_status_payload(NbdSink *sink, NbdRequest *r)
{
    NbdConnection *conn = sink->conn;
    g_autofree bool *wanted = g_new0(bool, MAX(conn->contexts.count, 1));

    if (r->payload > NBD_IN_SIZE) {
        nbd_reply_error(sink, r, EINVAL, "payload too large");
        return skip(sink, r->payload);
    }
    if (!fill(sink, r->payload)) {
        return false;
    }
    conn->in_pos += r->payload;
    nbd_request_parse_status(&conn->rules,
                             conn->in + conn->in_pos - r->payload,
                             conn->contexts.ids, wanted, r);
    if (r->error) {
        nbd_reply_error(sink, r, r->error, r->message);
    } else {
        execute_status(sink, r, wanted);
    }
    return true;
}

/* One request whose header has been consumed; false: close. */
static bool handle(NbdSink *sink, NbdRequest *r)
{
    NbdConnection *conn = sink->conn;

    log_printf(LOG_NBD, "nbd: %s flags 0x%x offset %" PRIu64 " length %"
               PRIu64 "\n", nbd_command_name(r->type), r->flags, r->offset,
               r->length);
    if (r->error) {
        if (!skip(sink, r->payload)) {
            return false;
        }
        nbd_reply_error(sink, r, r->error, r->message);
        return true;
    }
    if (g_atomic_int_get(&conn->closing)) {
        nbd_reply_error(sink, r, ESHUTDOWN, "server is shutting down");
        return false;
    }
    switch (r->type) {
    case NBD_CMD_DISC:
        return false;
    case NBD_CMD_WRITE:
        return handle_write(sink, r);
    case NBD_CMD_BLOCK_STATUS:
        if (r->payload) {
            return handle_status_payload(sink, r);
        }
        break;
    }
    if (wants_worker(conn, r)) {
        nbd_pool_submit(conn->server->pool, conn, r, NULL);
    } else {
        nbd_execute(sink, r, NULL, NULL);
    }
    return true;
}

void nbd_server_serve(NbdConnection *conn)
{
    size_t size = conn->extended ? NBD_EXT_REQUEST_SIZE : NBD_REQUEST_SIZE;
    NbdSink sink = { .own_thread = true };
    NbdRequest request;
    bool alive = true;

    nbd_sink_init(&sink, conn);
    while (alive) {
        if (available(conn) < size) {
            nbd_batch_run(&sink);
        }
        if (!fill_some(&sink, size, NBD_IN_SIZE, true)) {
            break;
        }
        conn->wait.served++;
        alive = nbd_request_parse(&conn->rules, conn->in + conn->in_pos,
                                  &request);
        conn->in_pos += size;
        if (!alive) {
            nbd_connection_complain(conn, "Disconnect client, due to: "
                                    "invalid request");
        } else if (nbd_batch_wants(&sink, &request)) {
            nbd_batch_add(&sink, &request);
        } else {
            nbd_batch_run(&sink);
            alive = handle(&sink, &request);
        }
    }
    nbd_batch_run(&sink);
    nbd_pool_wait(conn, 0);
    nbd_sink_flush(&sink);
    g_free(sink.buf);
}
