/*
 * Batches: small reads and writes that arrived together go to the export
 * together, where that lets the kernel work on them side by side.
 *
 *     in[] -> request, request, ... -> ops->batch() -> replies -> sink
 *
 * The connection's thread does all of it; nothing is handed to another
 * thread.  Only what is complete in the input buffer joins a batch, so nobody
 * waits for a slow client.
 */
#include <stdlib.h>
#include <string.h>

#include "nbd/server-int.h"

#define MAX_ITEMS 64
#define MAX_BYTES (1u << 20)
#define MAX_ITEM  (64u << 10) /* longer ones are worth a call each */
#define ALIGNMENT 4096u       /* of buffers, for files opened O_DIRECT */

struct NbdBatch {
    unsigned count;
    size_t used; /* of buf */
    uint8_t *buf;
    NbdRequest requests[MAX_ITEMS];
    NbdIo io[MAX_ITEMS];
};

void nbd_batch_free(NbdBatch *batch)
{
    if (batch) {
        free(batch->buf);
        g_free(batch);
    }
}

static bool batch_ready(NbdConnection *conn)
{
    if (!conn->batch) {
        NbdBatch *batch = g_new0(NbdBatch, 1);
        void *buf = NULL;

        if (posix_memalign(&buf, ALIGNMENT, MAX_BYTES)) {
            g_free(batch);
            return false;
        }
        batch->buf = buf;
        conn->batch = batch;
    }
    return true;
}

/* Alone in the buffer, a request is served as ever. */
static bool has_company(const NbdConnection *conn, const NbdRequest *r)
{
    return (conn->batch && conn->batch->count) ||
           conn->in_end - conn->in_pos > r->payload;
}

/*
 * Does the export want its kind in batches?  Where it wants reads only, a
 * batch of the few reads between two writes would hold up the writes: reads
 * stay apart until enough of them came in a row.
 */
static bool kind_pays(NbdConnection *conn, const NbdRequest *r)
{
    const NbdExportOps *ops = conn->export->ops;
    bool write = r->type == NBD_CMD_WRITE;

    if (!ops->batches(conn->export->opaque, write)) {
        conn->apart = write ? MAX_ITEMS : 0;
        return false;
    }
    if (!write && conn->apart > 0) {
        conn->apart--;
        return false;
    }
    return true;
}

bool nbd_batch_wants(NbdSink *sink, const NbdRequest *r)
{
    NbdConnection *conn = sink->conn;
    const NbdExportOps *ops = conn->export->ops;

    return ops->batch && !r->error && r->length > 0 &&
           r->length <= MAX_ITEM &&
           (r->type == NBD_CMD_READ || r->type == NBD_CMD_WRITE) &&
           !(r->flags & NBD_CMD_FLAG_FUA) &&
           conn->in_end - conn->in_pos >= r->payload &&
           has_company(conn, r) &&
           !(conn->server->params.tune & NBD_TUNE_NO_URING) &&
           !g_atomic_int_get(&conn->closing) &&
           kind_pays(conn, r) &&
           (r->type == NBD_CMD_WRITE || nbd_read_is_data(sink, r)) &&
           batch_ready(conn);
}

void nbd_batch_add(NbdSink *sink, const NbdRequest *r)
{
    NbdConnection *conn = sink->conn;
    NbdBatch *batch = conn->batch;
    size_t size = (r->length + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    NbdIo *io;

    if (batch->count == MAX_ITEMS || batch->used + size > MAX_BYTES) {
        nbd_batch_run(sink);
    }
    io = &batch->io[batch->count];
    *io = (NbdIo){ .offset = r->offset, .bytes = (uint32_t)r->length,
                   .write = r->type == NBD_CMD_WRITE,
                   .buf = batch->buf + batch->used };
    if (io->write) {
        memcpy(io->buf, conn->in + conn->in_pos, r->length);
        conn->in_pos += r->payload;
    }
    batch->requests[batch->count++] = *r;
    batch->used += size;
}

void nbd_batch_run(NbdSink *sink)
{
    NbdConnection *conn = sink->conn;
    NbdBatch *batch = conn->batch;

    if (!batch || batch->count == 0) {
        return;
    }
    conn->export->ops->batch(conn->export->opaque, batch->io, batch->count);
    for (unsigned i = 0; i < batch->count; i++) {
        const NbdRequest *r = &batch->requests[i];
        const NbdIo *io = &batch->io[i];

        if (io->ret < 0) {
            nbd_reply_error(sink, r, -io->ret,
                            io->write ? "writing to file failed"
                                      : "reading from file failed");
        } else if (io->write) {
            nbd_reply_done(sink, r);
        } else {
            uint8_t *p = nbd_sink_reserve(sink, NBD_HEAD_ROOM + io->bytes);
            size_t n = nbd_put_data_head(conn, p, r, true, io->offset,
                                         io->bytes);

            memcpy(p + n, io->buf, io->bytes);
            nbd_sink_commit(sink, n + io->bytes);
        }
    }
    batch->count = 0;
    batch->used = 0;
}
