/*
 * Replies, taken apart: every number a server sends in the transmission
 * phase is checked here before it moves memory.
 *
 * Data of a read goes straight into the caller's memory.  How often each byte
 * may come is not tracked bit by bit: the sum of the chunks must be exactly
 * the length of the read, so a server that repeats or omits a piece is caught
 * by the sum unless it does both.
 */
#include <errno.h>
#include <string.h>

#include "nbd/client-int.h"
#include "util/bytes.h"

typedef struct Chunk {
    uint16_t flags, type;
    uint64_t length;
} Chunk;

static int broken(char **complaint, const char *text)
{
    if (complaint && !*complaint) {
        *complaint = g_strdup(text);
    }
    return -EPROTO;
}

/* ---- Memory of calls ----------------------------------------------------- */

struct iovec *nbd_iov_slice(const struct iovec *iov, int niov, uint64_t skip,
                            uint64_t bytes, int *n)
{
    struct iovec *part = g_new(struct iovec, niov);

    *n = 0;
    for (int i = 0; i < niov && bytes > 0; i++) {
        size_t length;
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        length = MIN(iov[i].iov_len - skip, bytes);
        part[*n].iov_base = (uint8_t *)iov[i].iov_base + skip;
        part[*n].iov_len = length;
        (*n)++;
        bytes -= length;
        skip = 0;
    }
    return part;
}

/* ---- Input ---------------------------------------------------------------- */

/* Makes n bytes (<= size of the buffer) available at the returned place. */
static int input_need(NbdInput *in, size_t n, const uint8_t **p)
{
    while (in->end - in->pos < n) {
        ssize_t got;
        if (in->pos == in->end) {
            in->pos = in->end = 0;
        } else if (in->size - in->pos < n) {
            memmove(in->buf, in->buf + in->pos, in->end - in->pos);
            in->end -= in->pos;
            in->pos = 0;
        }
        got = nbd_stream_recv(in->stream, in->buf + in->end,
                              in->size - in->end);
        if (got <= 0) {
            return got < 0 ? (int)got : -ECONNRESET;
        }
        in->end += got;
    }
    *p = in->buf + in->pos;
    in->pos += n;
    return 0;
}

/* n bytes into memory, past the buffer when it is empty. */
static int input_copy(NbdInput *in, void *to, size_t n)
{
    size_t have = MIN(in->end - in->pos, n);
    const uint8_t *p;

    memcpy(to, in->buf + in->pos, have);
    in->pos += have;
    to = (uint8_t *)to + have;
    n -= have;
    if (n == 0) {
        return 0;
    }
    if (n >= in->size / 2) {
        return nbd_stream_recv_full(in->stream, to, n);
    }
    /* Small: take what follows along in the same call. */
    int ret = input_need(in, n, &p);
    if (ret == 0) {
        memcpy(to, p, n);
    }
    return ret;
}

static int input_skip(NbdInput *in, uint64_t n)
{
    const uint8_t *p;
    int ret = 0;

    while (n > 0 && ret == 0) {
        size_t part = MIN(n, in->size);
        ret = input_need(in, part, &p);
        n -= part;
    }
    return ret;
}

/* Walks the part [at, at + bytes) of a call's memory. */
static int scatter(NbdCall *call, uint64_t at, uint64_t bytes, NbdInput *in)
{
    const struct iovec *iov = call->iov;
    int ret = 0;

    while (at >= iov->iov_len && bytes) {
        at -= iov->iov_len;
        iov++;
    }
    while (bytes > 0 && ret == 0) {
        size_t part = MIN(iov->iov_len - at, bytes);
        if (in) {
            ret = input_copy(in, (uint8_t *)iov->iov_base + at, part);
        } else {
            memset((uint8_t *)iov->iov_base + at, 0, part);
        }
        bytes -= part;
        at = 0;
        iov++;
    }
    return ret;
}

/* ---- Chunks --------------------------------------------------------------- */

/* Is [offset, offset + bytes) new to this read and inside it? */
static bool fits(const NbdCall *call, uint64_t offset, uint64_t bytes)
{
    return bytes > 0 && offset >= call->offset &&
           offset - call->offset <= call->length &&
           bytes <= call->length - (offset - call->offset) &&
           bytes <= call->length - call->got;
}

static int take_data(NbdCall *call, const Chunk *c, NbdInput *in, char **why)
{
    const uint8_t *p;
    uint64_t offset;
    int ret;

    /* Before waiting for data that may never come. */
    if (call->type != NBD_CMD_READ || c->length <= 8 ||
        c->length - 8 > call->length - call->got) {
        return broken(why, "unexpected data chunk");
    }
    ret = input_need(in, 8, &p);
    if (ret < 0) {
        return ret;
    }
    offset = ldq_be_p(p);
    if (!fits(call, offset, c->length - 8)) {
        return broken(why, "server sent chunk exceeding requested region");
    }
    call->got += c->length - 8;
    return scatter(call, offset - call->offset, c->length - 8, in);
}

static int take_hole(NbdCall *call, const Chunk *c, NbdInput *in, char **why)
{
    const uint8_t *p;
    uint64_t offset;
    uint32_t bytes;
    int ret;

    if (call->type != NBD_CMD_READ || c->length != 12) {
        return broken(why, "invalid hole chunk");
    }
    ret = input_need(in, 12, &p);
    if (ret < 0) {
        return ret;
    }
    offset = ldq_be_p(p);
    bytes = ldl_be_p(p + 8);
    if (!fits(call, offset, bytes)) {
        return broken(why, "server sent chunk exceeding requested region");
    }
    call->got += bytes;
    return scatter(call, offset - call->offset, bytes, NULL);
}

/* The first extent is what we asked for; the rest is dropped. */
static int take_status(const NbdReplyRules *rules, NbdCall *call,
                       const Chunk *c, NbdInput *in, char **why)
{
    bool wide = c->type == NBD_CHUNK_BLOCK_STATUS_EXT;
    unsigned head = wide ? 8 : 4;
    unsigned each = wide ? 16 : 8;
    NbdClientExtent *x = call->extent;
    const uint8_t *p;
    int ret;

    if (call->type != NBD_CMD_BLOCK_STATUS || wide != rules->extended ||
        c->length < head + each || (c->length - head) % each ||
        c->length > head + (UINT64_C(1) << 20) * each) {
        return broken(why, "invalid block status chunk");
    }
    ret = input_need(in, head + each, &p);
    if (ret < 0) {
        return ret;
    }
    if (ldl_be_p(p) != rules->context_id || call->got_extent ||
        (wide && ldl_be_p(p + 4) != (c->length - head) / each)) {
        return broken(why, "block status of a context that was not selected");
    }
    p += head;
    x->bytes = wide ? ldq_be_p(p) : ldl_be_p(p);
    x->flags = wide ? ldq_be_p(p + 8) : ldl_be_p(p + 4);
    if (x->bytes == 0) {
        return broken(why, "block status extent of length zero");
    }
    call->got_extent = true;
    return input_skip(in, c->length - head - each);
}

static int take_error(NbdCall *call, const Chunk *c, NbdInput *in, char **why)
{
    uint64_t extra = c->type == NBD_CHUNK_ERROR_OFFSET ? 8 : 0;
    const uint8_t *p;
    int ret;

    if (c->length < 6 + extra || c->length > 6 + 65535 + extra) {
        return broken(why, "invalid error chunk");
    }
    ret = input_need(in, 6, &p);
    if (ret < 0) {
        return ret;
    }
    if (ldw_be_p(p + 4) > c->length - 6 - extra) {
        return broken(why, "error message longer than its chunk");
    }
    call->error = nbd_errno_from_wire(ldl_be_p(p));
    call->error = call->error ? call->error : EINVAL;
    return input_skip(in, c->length - 6);
}

static int take_chunk(const NbdReplyRules *rules, NbdCall *call,
                      const Chunk *c, NbdInput *in, char **why)
{
    switch (c->type) {
    case NBD_CHUNK_NONE:
        return c->length || !(c->flags & NBD_CHUNK_FLAG_DONE)
                   ? broken(why, "invalid empty chunk") : 0;
    case NBD_CHUNK_OFFSET_DATA:
        return take_data(call, c, in, why);
    case NBD_CHUNK_OFFSET_HOLE:
        return take_hole(call, c, in, why);
    case NBD_CHUNK_BLOCK_STATUS:
    case NBD_CHUNK_BLOCK_STATUS_EXT:
        return take_status(rules, call, c, in, why);
    default:
        if (c->type & NBD_CHUNK_ERR_BIT) {
            return take_error(call, c, in, why);
        }
        return broken(why, "unknown chunk type");
    }
}

/* ---- Replies -------------------------------------------------------------- */

/* A call that ended well must have got all it asked for. */
static void complete(NbdCall *call)
{
    if (call->error == 0 && call->type == NBD_CMD_READ &&
        call->got != call->length) {
        call->error = EIO;
    }
    if (call->error == 0 && call->type == NBD_CMD_BLOCK_STATUS &&
        !call->got_extent) {
        call->error = EIO;
    }
}

static int take_simple(const NbdReplyRules *rules, const uint8_t *head,
                       NbdInput *in, NbdCall **done, char **why)
{
    NbdCall *call = rules->find(rules->opaque, ldq_be_p(head + 8));
    uint32_t err = ldl_be_p(head + 4);
    int ret = 0;

    if (!call || rules->extended ||
        (rules->structured && call->type == NBD_CMD_READ)) {
        return broken(why, call ? "simple reply where none is allowed"
                                : "reply to no request");
    }
    if (call->type == NBD_CMD_BLOCK_STATUS && err == 0) {
        return broken(why, "simple reply to block status");
    }
    call->error = nbd_errno_from_wire(err);
    if (err == 0 && call->type == NBD_CMD_READ) {
        ret = scatter(call, 0, call->length, in);
        call->got = call->length;
    }
    complete(call);
    *done = call;
    return ret;
}

int nbd_reply_receive(const NbdReplyRules *rules, NbdInput *in,
                      NbdCall **done, char **why)
{
    const uint8_t *p;
    uint8_t head[NBD_EXT_CHUNK_SIZE];
    NbdCall *call;
    Chunk c;
    int ret = input_need(in, NBD_SIMPLE_REPLY_SIZE, &p);

    *done = NULL;
    if (ret < 0) {
        return ret;
    }
    memcpy(head, p, NBD_SIMPLE_REPLY_SIZE);
    if (ldl_be_p(head) == NBD_SIMPLE_REPLY_MAGIC) {
        return take_simple(rules, head, in, done, why);
    }
    if (!rules->structured ||
        ldl_be_p(head) != (rules->extended ? NBD_EXT_REPLY_MAGIC
                                           : NBD_CHUNK_MAGIC)) {
        return broken(why, "bad reply magic");
    }
    ret = input_need(in, rules->extended ? 16 : 4, &p);
    if (ret < 0) {
        return ret;
    }
    c.flags = ldw_be_p(head + 4);
    c.type = ldw_be_p(head + 6);
    c.length = rules->extended ? ldq_be_p(p + 8) : ldl_be_p(p);
    call = rules->find(rules->opaque, ldq_be_p(head + 8));
    if (!call || (rules->extended && ldq_be_p(p) != call->offset)) {
        return broken(why, "reply to no request");
    }
    ret = take_chunk(rules, call, &c, in, why);
    if (ret == 0 && (c.flags & NBD_CHUNK_FLAG_DONE)) {
        complete(call);
        *done = call;
    }
    return ret;
}
