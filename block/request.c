/*
 * Requests on a node: from the caller's range and buffers to what the driver
 * wants.
 *
 *   enter gate -> range and permission -> alignment (read-modify-write) ->
 *   split at max_transfer -> driver -> dirty bits -> leave gate
 *
 * The common case (aligned, short, in range) falls through all of that with
 * a few compares.  Status queries are in status.c.
 */
#include "block/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/iov.h"
#include "block/node-int.h"

#define BOUNCE_SIZE (256 * 1024) /* per step of a bounced request */
#define ZERO_CHUNK (1024 * 1024) /* written at once for want of better */

static int64_t node_length(const BlockNode *node)
{
    return __atomic_load_n(&node->length, __ATOMIC_ACQUIRE);
}

static bool range_valid(uint64_t offset, uint64_t bytes)
{
    return offset <= INT64_MAX && bytes <= INT64_MAX - offset;
}

static bool is_unaligned(const BlockNode *node, uint64_t offset,
                         uint64_t bytes)
{
    return (offset | bytes) & (node->limits.request_alignment - 1);
}

static void *bounce_alloc(const BlockNode *node, size_t size)
{
    void *buf = NULL;
    size_t align = MAX(node->limits.memory_alignment, sizeof(void *));

    return posix_memalign(&buf, align, size) ? NULL : buf;
}

int64_t block_length(BlockNode *node)
{
    return node->driver->get_length ? node->driver->get_length(node)
                                    : node_length(node);
}

void block_node_set_length(BlockNode *node, uint64_t length)
{
    __atomic_store_n(&node->length, (int64_t)length, __ATOMIC_RELEASE);
}

/* After a write: the node may have grown. */
static void grow_length(BlockNode *node, uint64_t end)
{
    int64_t length = node_length(node);

    while (length < (int64_t)end &&
           !__atomic_compare_exchange_n(&node->length, &length, (int64_t)end,
                                        false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED)) {
    }
}

/* ---- Reading ------------------------------------------------------------ */

/* Aligned and in range; splits at max_transfer. */
static int read_split(BlockNode *node, uint64_t offset, uint64_t bytes,
                      const struct iovec *iov, int niov, unsigned flags)
{
    uint64_t max = node->limits.max_transfer;
    uint64_t done = 0;
    BlockIovRoom room;
    int ret = 0;

    if (!max || bytes <= max) {
        return node->driver->preadv(node, offset, bytes, iov, niov, flags);
    }
    block_iov_room(&room, niov);
    while (done < bytes && ret == 0) {
        uint64_t n = MIN(bytes - done, max);
        int count = block_iov_slice(iov, niov, done, n, room.iov);

        ret = node->driver->preadv(node, offset + done, n, room.iov, count,
                                   flags);
        done += n;
    }
    block_iov_room_free(&room);
    return ret;
}

/* Through an aligned buffer, in pieces. */
static int read_bounced(BlockNode *node, uint64_t offset, uint64_t bytes,
                        const struct iovec *iov, int niov, unsigned flags)
{
    uint64_t align = node->limits.request_alignment;
    uint64_t size = MAX(BOUNCE_SIZE, align);
    void *buf = bounce_alloc(node, size);
    uint64_t done = 0;
    int ret = buf ? 0 : -ENOMEM;

    while (done < bytes && ret == 0) {
        uint64_t at = offset + done;
        uint64_t start = at & ~(align - 1);
        uint64_t n = MIN(bytes - done, size - (at - start));
        uint64_t span = ROUND_UP_TO(at - start + n, align);
        struct iovec whole = { buf, span };

        ret = read_split(node, start, span, &whole, 1, flags);
        if (ret == 0) {
            block_iov_from_buf(iov, niov, done, (char *)buf + (at - start),
                               n);
        }
        done += n;
    }
    free(buf);
    return ret;
}

static int read_in_range(BlockNode *node, uint64_t offset, uint64_t bytes,
                         const struct iovec *iov, int niov, unsigned flags)
{
    if (G_UNLIKELY(is_unaligned(node, offset, bytes)) ||
        (node->limits.memory_alignment > 1 && iov &&
         !block_iov_is_aligned(iov, niov, node->limits.memory_alignment))) {
        return read_bounced(node, offset, bytes, iov, niov, flags);
    }
    return read_split(node, offset, bytes, iov, niov, flags);
}

/* The end of the node lies inside (or before) the request. */
static int read_past_end(BlockNode *node, uint64_t offset, uint64_t bytes,
                         const struct iovec *iov, int niov, unsigned flags)
{
    int64_t length = node_length(node);
    uint64_t have = (int64_t)offset < length ? length - offset : 0;
    BlockIovRoom room;
    int ret = 0;

    have = MIN(have, bytes);
    if (have) {
        int count;

        block_iov_room(&room, niov);
        count = block_iov_slice(iov, niov, 0, have, room.iov);
        ret = read_in_range(node, offset, have, room.iov, count, flags);
        block_iov_room_free(&room);
    }
    block_iov_memset(iov, niov, have, 0, bytes - have);
    return ret;
}

int block_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                 const struct iovec *iov, int niov, unsigned flags)
{
    BlockNodeCore *core = block_core(node);
    int ret;

    if (!node->driver->preadv) {
        return -ENOTSUP;
    }
    if (!range_valid(offset, bytes)) {
        return -EINVAL;
    }
    if (bytes == 0 || flags & BLOCK_REQ_PREFETCH) {
        return 0;
    }
    block_gate_enter(&core->gate);
    block_gate_count(&core->gate, BLOCK_COUNT_READ_OPS, bytes);
    if (G_LIKELY((int64_t)(offset + bytes) <= node_length(node))) {
        ret = read_in_range(node, offset, bytes, iov, niov, flags);
    } else {
        ret = read_past_end(node, offset, bytes, iov, niov, flags);
    }
    block_gate_leave(&core->gate);
    return ret;
}

int block_pread(BlockNode *node, uint64_t offset, uint64_t bytes, void *buf,
                unsigned flags)
{
    struct iovec iov = { buf, bytes };

    return block_preadv(node, offset, bytes, &iov, 1, flags);
}

/* ---- Writing ------------------------------------------------------------ */

static int flush_inside(BlockNode *node);

/* Tells once, and forgets the threshold. */
static void threshold_exceeded(BlockNode *node, uint64_t end)
{
    uint64_t threshold = __atomic_exchange_n(
        &block_core(node)->write_threshold, 0, __ATOMIC_RELAXED);

    if (threshold && end > threshold) {
        block_event("BLOCK_WRITE_THRESHOLD",
                    json_pack("{s:s, s:I, s:I}", "node-name", node->name,
                              "amount-exceeded", (json_int_t)(end - threshold),
                              "write-threshold", (json_int_t)threshold));
    }
}

static void wrote_up_to(BlockNodeCore *core, uint64_t end)
{
    uint64_t old = __atomic_load_n(&core->wr_highest_offset,
                                   __ATOMIC_RELAXED);

    while (end > old &&
           !__atomic_compare_exchange_n(&core->wr_highest_offset, &old, end,
                                        true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
        /* somebody else was faster: old is new */
    }
}

/* Bookkeeping of everything that changed bytes, whether it failed or not. */
void block_write_done(BlockNode *node, uint64_t offset, uint64_t bytes,
                      unsigned flags, int ret)
{
    BlockNodeCore *core = block_core(node);

    if (ret == 0) {
        wrote_up_to(core, offset + bytes);
    }
    if (!__atomic_load_n(&core->unflushed, __ATOMIC_RELAXED)) {
        __atomic_store_n(&core->unflushed, 1, __ATOMIC_SEQ_CST);
    }
    if (G_UNLIKELY(core->write_threshold) &&
        offset + bytes > core->write_threshold) {
        threshold_exceeded(node, offset + bytes);
    }
    if (core->recording && !(flags & BLOCK_REQ_WRITE_UNCHANGED)) {
        block_bitmaps_record(node, offset, bytes);
    }
    if (ret == 0 && (int64_t)(offset + bytes) > node_length(node)) {
        grow_length(node, offset + bytes);
    }
}

/* May this node be written at all, and there? */
int block_write_check(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    BlockNodeCore *core = block_core(node);

    if (!range_valid(offset, bytes)) {
        return -EINVAL;
    }
    if (node->read_only || core->readonly_bitmaps) {
        return -EPERM;
    }
    if ((int64_t)(offset + bytes) > node_length(node) &&
        (!(node->driver->flags & BLOCK_DRIVER_GROWABLE) ||
         !(core->perm & BLOCK_PERM_RESIZE))) {
        return -ENOSPC;
    }
    return G_UNLIKELY(core->eager_bitmaps) && bytes
               ? node->driver->bitmaps_before_write(node, offset, bytes) : 0;
}

/* Takes FUA off flags where the driver does not do it; true: flush after. */
static bool fua_by_flush(const BlockNode *node, unsigned *flags)
{
    if (!(*flags & BLOCK_REQ_FUA)) {
        return false;
    }
    if (node->flags & BLOCK_OPEN_NO_FLUSH) {
        *flags &= ~(unsigned)BLOCK_REQ_FUA;
        return false;
    }
    if (node->driver->fua_native) {
        return false;
    }
    *flags &= ~(unsigned)BLOCK_REQ_FUA;
    return true;
}

static int write_split(BlockNode *node, uint64_t offset, uint64_t bytes,
                       const struct iovec *iov, int niov, unsigned flags)
{
    uint64_t max = node->limits.max_transfer;
    uint64_t done = 0;
    BlockIovRoom room;
    int ret = 0;

    if (!max || bytes <= max) {
        return node->driver->pwritev(node, offset, bytes, iov, niov, flags);
    }
    block_iov_room(&room, niov);
    while (done < bytes && ret == 0) {
        uint64_t n = MIN(bytes - done, max);
        int count = block_iov_slice(iov, niov, done, n, room.iov);

        ret = node->driver->pwritev(node, offset + done, n, room.iov, count,
                                    flags);
        done += n;
    }
    block_iov_room_free(&room);
    return ret;
}

/*
 * Through an aligned buffer; the partial blocks at the ends are read first.
 * iov NULL writes zeroes.  The caller keeps other writes out.
 */
static int write_bounced(BlockNode *node, uint64_t offset, uint64_t bytes,
                         const struct iovec *iov, int niov, unsigned flags)
{
    uint64_t align = node->limits.request_alignment;
    uint64_t size = MAX(BOUNCE_SIZE, align);
    char *buf = bounce_alloc(node, size);
    uint64_t done = 0;
    int ret = buf ? 0 : -ENOMEM;

    while (done < bytes && ret == 0) {
        uint64_t at = offset + done;
        uint64_t start = at & ~(align - 1);
        uint64_t n = MIN(bytes - done, size - (at - start));
        uint64_t span = ROUND_UP_TO(at - start + n, align);
        struct iovec head = { buf, align };
        struct iovec tail = { buf + span - align, align };
        struct iovec whole = { buf, span };

        if (at != start) {
            block_debug_event(node, "pwritev_rmw_head");
            ret = read_past_end(node, start, align, &head, 1, 0);
            block_debug_event(node, "pwritev_rmw_after_head");
        }
        if (ret == 0 && at + n != start + span &&
            !(at != start && span == align)) {
            block_debug_event(node, "pwritev_rmw_tail");
            ret = read_past_end(node, start + span - align, align, &tail, 1,
                                0);
            block_debug_event(node, "pwritev_rmw_after_tail");
        }
        if (ret == 0) {
            if (iov) {
                block_iov_to_buf(iov, niov, done, buf + (at - start), n);
            } else {
                memset(buf + (at - start), 0, n);
            }
            ret = write_split(node, start, span, &whole, 1, flags);
        }
        done += n;
    }
    free(buf);
    return ret;
}

/*
 * Unaligned writes read, change and write back whole blocks: they keep every
 * other write out meanwhile.  Nodes without alignment take no lock.
 */
static int write_aligned_or_not(BlockNode *node, uint64_t offset,
                                uint64_t bytes, const struct iovec *iov,
                                int niov, unsigned flags)
{
    BlockNodeCore *core = block_core(node);
    int ret;

    if (node->limits.request_alignment == 1 &&
        node->limits.memory_alignment == 1) {
        return write_split(node, offset, bytes, iov, niov, flags);
    }
    if (is_unaligned(node, offset, bytes)) {
        g_rw_lock_writer_lock(&core->rmw_lock);
        ret = write_bounced(node, offset, bytes, iov, niov, flags);
        g_rw_lock_writer_unlock(&core->rmw_lock);
        return ret;
    }
    g_rw_lock_reader_lock(&core->rmw_lock);
    if (block_iov_is_aligned(iov, niov, node->limits.memory_alignment)) {
        ret = write_split(node, offset, bytes, iov, niov, flags);
    } else {
        ret = write_bounced(node, offset, bytes, iov, niov, flags);
    }
    g_rw_lock_reader_unlock(&core->rmw_lock);
    return ret;
}

static int zero_inside(BlockNode *node, uint64_t offset, uint64_t bytes,
                       unsigned flags);

int block_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                  const struct iovec *iov, int niov, unsigned flags)
{
    BlockNodeCore *core = block_core(node);
    unsigned given = flags;
    bool flush;
    int ret;

    if (!node->driver->pwritev ||
        ((flags & BLOCK_REQ_COMPRESSED) && !node->driver->can_compress)) {
        return node->read_only ? -EPERM : -ENOTSUP;
    }
    block_gate_enter(&core->gate);
    ret = block_write_check(node, offset, bytes);
    if (ret < 0 || (bytes == 0 && !(flags & BLOCK_REQ_COMPRESSED))) {
        goto out;
    }
    flush = fua_by_flush(node, &flags);
    if ((node->flags & BLOCK_OPEN_DETECT_ZEROES) &&
        !(flags & BLOCK_REQ_COMPRESSED) && block_iov_is_zero(iov, niov)) {
        ret = zero_inside(node, offset, bytes,
                          flags | (node->flags & BLOCK_OPEN_DETECT_UNMAP
                                       ? BLOCK_REQ_MAY_UNMAP : 0));
    } else {
        block_debug_event(node, "pwritev");
        ret = write_aligned_or_not(node, offset, bytes, iov, niov, flags);
        block_debug_event(node, "pwritev_done");
    }
    block_gate_count(&core->gate, BLOCK_COUNT_WRITE_OPS, bytes);
    block_write_done(node, offset, bytes, given, ret);
    if (ret == 0 && flush) {
        ret = flush_inside(node);
    }
out:
    block_gate_leave(&core->gate);
    return ret;
}

int block_pwrite(BlockNode *node, uint64_t offset, uint64_t bytes,
                 const void *buf, unsigned flags)
{
    struct iovec iov = { (void *)buf, bytes };

    return block_pwritev(node, offset, bytes, &iov, 1, flags);
}

int block_pwrite_sync(BlockNode *node, uint64_t offset, uint64_t bytes,
                      const void *buf, unsigned flags)
{
    int ret = block_pwrite(node, offset, bytes, buf, flags);

    return ret < 0 ? ret : block_flush(node);
}

/* ---- Zeroes and discards ------------------------------------------------ */

static int write_plain_zeroes(BlockNode *node, uint64_t offset,
                              uint64_t bytes, unsigned flags)
{
    size_t size = MIN(bytes, ZERO_CHUNK);
    void *zeroes = bounce_alloc(node, size);
    uint64_t done = 0;
    int ret = 0;

    if (!zeroes) {
        return -ENOMEM;
    }
    memset(zeroes, 0, size);
    while (done < bytes && ret == 0) {
        struct iovec iov = { zeroes, MIN(bytes - done, size) };

        ret = write_split(node, offset + done, iov.iov_len, &iov, 1, flags);
        done += iov.iov_len;
    }
    free(zeroes);
    return ret;
}

/*
 * How far a request at offset may go in one piece: up to the next boundary of
 * the alignment when it does not start on one or is shorter, then as much as
 * the limit and the alignment allow.
 */
static uint64_t piece(uint64_t offset, uint64_t bytes, uint64_t alignment,
                      uint64_t max)
{
    uint64_t ahead = alignment ? offset % alignment : 0;

    max = max ? max : UINT64_MAX;
    if (ahead) {
        return MIN(bytes, alignment - ahead);
    }
    if (alignment && bytes > alignment) {
        bytes -= bytes % alignment;
        max = MAX(max - max % alignment, alignment);
    }
    return MIN(bytes, max);
}

static int zero_piece(BlockNode *node, uint64_t offset, uint64_t bytes,
                      unsigned flags)
{
    uint64_t alignment = node->limits.zeroes_alignment;
    int ret = -ENOTSUP;

    if (node->driver->pwrite_zeroes &&
        !(alignment && (offset | bytes) % alignment)) {
        ret = node->driver->pwrite_zeroes(node, offset, bytes, flags);
    }
    if (ret != -ENOTSUP || (flags & BLOCK_REQ_NO_FALLBACK)) {
        return ret;
    }
    return write_plain_zeroes(node, offset, bytes,
                              flags & BLOCK_REQ_FUA);
}

/* Aligned. */
static int zero_whole(BlockNode *node, uint64_t offset, uint64_t bytes,
                      unsigned flags)
{
    const BlockLimits *l = &node->limits;
    int ret = 0;

    if (!(node->flags & BLOCK_OPEN_UNMAP)) {
        flags &= ~(unsigned)BLOCK_REQ_MAY_UNMAP;
    }
    while (bytes && ret == 0) {
        uint64_t n = piece(offset, bytes, l->zeroes_alignment, l->max_zeroes);

        ret = zero_piece(node, offset, n, flags);
        offset += n;
        bytes -= n;
    }
    return ret;
}

/* Splits off unaligned ends, which are read, changed and written. */
static int zero_inside(BlockNode *node, uint64_t offset, uint64_t bytes,
                       unsigned flags)
{
    uint64_t align = node->limits.request_alignment;
    uint64_t start = ROUND_UP_TO(offset, align);
    uint64_t end = (offset + bytes) & ~(align - 1);
    int ret = 0;

    if (!is_unaligned(node, offset, bytes)) {
        return zero_whole(node, offset, bytes, flags);
    }
    if (flags & BLOCK_REQ_NO_FALLBACK) {
        return -ENOTSUP;
    }
    g_rw_lock_writer_lock(&block_core(node)->rmw_lock);
    flags &= ~(unsigned)BLOCK_REQ_MAY_UNMAP;
    if (start > end) {
        ret = write_bounced(node, offset, bytes, NULL, 0, flags);
    } else {
        if (start > offset) {
            ret = write_bounced(node, offset, start - offset, NULL, 0, flags);
        }
        if (ret == 0 && end > start) {
            ret = zero_whole(node, start, end - start, flags);
        }
        if (ret == 0 && offset + bytes > end) {
            ret = write_bounced(node, end, offset + bytes - end, NULL, 0,
                                flags);
        }
    }
    g_rw_lock_writer_unlock(&block_core(node)->rmw_lock);
    return ret;
}

int block_pwrite_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes,
                        unsigned flags)
{
    BlockNodeCore *core = block_core(node);
    unsigned given = flags;
    bool flush;
    int ret;

    if (!node->driver->pwritev) {
        return node->read_only ? -EPERM : -ENOTSUP;
    }
    block_gate_enter(&core->gate);
    ret = block_write_check(node, offset, bytes);
    if (ret == 0 && bytes) {
        flush = fua_by_flush(node, &flags);
        block_debug_event(node, "pwritev_zero");
        ret = zero_inside(node, offset, bytes, flags);
        if (!(ret == -ENOTSUP && (flags & BLOCK_REQ_NO_FALLBACK))) {
            block_gate_count(&core->gate, BLOCK_COUNT_WRITE_OPS, bytes);
            block_write_done(node, offset, bytes, given, ret);
        }
        if (ret == 0 && flush) {
            ret = flush_inside(node);
        }
    }
    block_gate_leave(&core->gate);
    return ret;
}

/* Pieces shorter than what can be discarded are left alone: it is a hint. */
static int discard_pieces(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    const BlockLimits *l = &node->limits;
    uint64_t alignment = l->discard_alignment;
    int ret = 0;

    while (bytes && ret == 0) {
        uint64_t n = piece(offset, bytes, alignment, l->max_discard);

        ret = alignment && (offset | n) % alignment
                  ? 0 : node->driver->pdiscard(node, offset, n);
        offset += n;
        bytes -= n;
    }
    return ret;
}

int block_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    BlockNodeCore *core = block_core(node);
    uint64_t align = node->limits.request_alignment;
    int ret;

    block_gate_enter(&core->gate);
    ret = block_write_check(node, offset, bytes);
    if (ret < 0 || !bytes || !(node->flags & BLOCK_OPEN_UNMAP) ||
        !node->driver->pdiscard) {
        goto out;
    }
    /* Only whole blocks: a discard is a hint. */
    bytes = (offset + bytes) & ~(align - 1);
    offset = ROUND_UP_TO(offset, align);
    if (bytes <= offset) {
        goto out;
    }
    bytes -= offset;
    block_gate_count(&core->gate, BLOCK_COUNT_UNMAP_OPS, bytes);
    ret = discard_pieces(node, offset, bytes);
    if (ret == -ENOTSUP) {
        ret = 0;
    } else {
        block_write_done(node, offset, bytes, 0, ret);
    }
out:
    block_gate_leave(&core->gate);
    return ret;
}

/* ---- Flush -------------------------------------------------------------- */

static int flush_children(BlockNode *node)
{
    int ret = 0;

    for (guint i = 0; i < node->children->len && ret == 0; i++) {
        BlockEdge *edge = g_ptr_array_index(node->children, i);

        if (edge->perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED)) {
            ret = block_flush(edge->node);
        }
    }
    return ret;
}

/*
 * One flush at a time; whoever waited meanwhile finds nothing left to do
 * unless there were writes after the flush began.
 */
static int flush_inside(BlockNode *node)
{
    BlockNodeCore *core = block_core(node);
    int ret = 0;

    if (node->read_only) {
        return 0;
    }
    g_mutex_lock(&core->flush_lock);
    if (__atomic_exchange_n(&core->unflushed, 0, __ATOMIC_SEQ_CST)) {
        BlockNode *below = block_node_primary(node);

        block_debug_event(below, "flush_to_os");
        if (node->driver->flush) {
            ret = node->driver->flush(node);
        }
        block_debug_event(below, "flush_to_disk");
        if (ret == 0 && !(node->flags & BLOCK_OPEN_NO_FLUSH)) {
            ret = flush_children(node);
        }
        if (ret < 0) {
            __atomic_store_n(&core->unflushed, 1, __ATOMIC_SEQ_CST);
        }
    }
    g_mutex_unlock(&core->flush_lock);
    return ret;
}

int block_flush(BlockNode *node)
{
    BlockNodeCore *core = block_core(node);
    int ret;

    block_gate_enter(&core->gate);
    block_gate_count(&core->gate, BLOCK_COUNT_FLUSH_OPS, 0);
    ret = flush_inside(node);
    block_gate_leave(&core->gate);
    return ret;
}

/* ---- Zero-copy and vm state --------------------------------------------- */

int block_map_fd(BlockNode *node, uint64_t offset, uint64_t bytes, int *fd,
                 uint64_t *fd_offset, uint64_t *n)
{
    int64_t length = node_length(node);

    if (!node->driver->map_fd || !range_valid(offset, bytes) ||
        (int64_t)offset >= length) {
        return -ENOTSUP;
    }
    return node->driver->map_fd(node, offset, MIN(bytes, length - offset), fd,
                                fd_offset, n);
}
