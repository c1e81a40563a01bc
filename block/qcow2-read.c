/* Reads, block status and flushes of qcow2 images: what changes no guest data. */
#include "block/qcow2-int.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int read_extent(Qcow2 *s, const Qcow2Extent *e, uint64_t offset,
                       const struct iovec *iov, int niov, unsigned flags)
{
    BlockNode *backing;
    uint64_t in_cluster = offset & (s->cluster_size - 1);

    switch (e->type) {
    case QCOW2_NORMAL:
        block_debug_event(qcow2_file(s), "read_aio");
        return block_preadv(qcow2_data(s), e->host, e->bytes, iov, niov,
                            flags);
    case QCOW2_COMPRESSED:
        return flags & BLOCK_REQ_PREFETCH
                   ? 0
                   : qcow2_read_compressed(s, e->entry, in_cluster, e->bytes,
                                           iov, niov);
    case QCOW2_UNALLOC:
    case QCOW2_UNALLOC_HOST:
        backing = block_node_backing(s->node);
        if (backing) {
            block_debug_event(qcow2_file(s), "read_backing_aio");
            return block_preadv(backing, offset, e->bytes, iov, niov, flags);
        }
        break;
    case QCOW2_ZERO:
    case QCOW2_ZERO_HOST:
        break;
    default:
        return -EIO;
    }
    if (!(flags & BLOCK_REQ_PREFETCH)) {
        block_iov_memset(iov, niov, 0, 0, e->bytes);
    }
    return 0;
}

int qcow2_read_range(Qcow2 *s, uint64_t offset, uint64_t bytes,
                     const struct iovec *iov, int niov, unsigned flags)
{
    uint64_t done = 0;

    while (done < bytes) {
        BlockIovRoom room;
        const struct iovec *part = iov;
        Qcow2Extent e;
        int n = niov;
        int ret = qcow2_lookup(s, offset + done, bytes - done, &e);

        if (ret < 0) {
            return ret;
        }
        if (e.bytes < bytes && !(flags & BLOCK_REQ_PREFETCH)) {
            struct iovec *slice = block_iov_room(&room, niov);

            n = block_iov_slice(iov, niov, done, e.bytes, slice);
            part = slice;
        }
        ret = read_extent(s, &e, offset + done, part, n, flags);
        if (part != iov) {
            block_iov_room_free(&room);
        }
        if (ret < 0) {
            return ret;
        }
        done += e.bytes;
    }
    return 0;
}

int qcow2_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                 const struct iovec *iov, int niov, unsigned flags)
{
    Qcow2 *s = qcow2_state(node);
    unsigned token;
    int ret;

    if (__atomic_load_n(&s->corrupt, __ATOMIC_RELAXED)) {
        return -EIO;
    }
    token = qcow2_enter(s);
    ret = qcow2_read_range(s, offset, bytes, iov, niov, flags);
    qcow2_leave(s, token);
    return ret;
}

/*
 * Whether data clusters may well be holes in the file: then the file is asked
 * too.  Decided once, from the space the file really takes.
 */
static bool is_preallocated(Qcow2 *s)
{
    int state = __atomic_load_n(&s->sparse_file, __ATOMIC_RELAXED);
    BlockNode *data = qcow2_data(s);

    if (state == 0) {
        BlockNode *below = block_node_skip_filters(data);
        int64_t used = below->driver->allocated_size
                           ? below->driver->allocated_size(below) : -1;
        int64_t length = block_length(data);

        state = used >= 0 && used / 9 * 10 < length ? 1 : -1;
        __atomic_store_n(&s->sparse_file, state, __ATOMIC_RELAXED);
    }
    return state > 0;
}

int qcow2_status(BlockNode *node, uint64_t offset, uint64_t bytes,
                 BlockStatus *status)
{
    static const unsigned flags_of[] = {
        [QCOW2_UNALLOC] = 0,
        [QCOW2_UNALLOC_HOST] = 0,
        [QCOW2_ZERO] = BLOCK_STATUS_ZERO | BLOCK_STATUS_ALLOCATED,
        [QCOW2_ZERO_HOST] = BLOCK_STATUS_ZERO | BLOCK_STATUS_ALLOCATED |
                            BLOCK_STATUS_OFFSET_VALID,
        [QCOW2_NORMAL] = BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED |
                         BLOCK_STATUS_OFFSET_VALID,
        [QCOW2_COMPRESSED] = BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED |
                             BLOCK_STATUS_COMPRESSED,
    };
    Qcow2 *s = qcow2_state(node);
    uint64_t done = 0;

    if (__atomic_load_n(&s->corrupt, __ATOMIC_RELAXED)) {
        return -EIO;
    }
    /* Join extents that differ only in what the answer does not show. */
    while (done < bytes) {
        Qcow2Extent e;
        int ret = qcow2_lookup(s, offset + done, bytes - done, &e);

        if (ret < 0) {
            return done ? 0 : ret;
        }
        if (done == 0) {
            status->flags = flags_of[e.type];
            status->host_node = qcow2_data(s);
            status->host_offset = e.host;
        } else if (flags_of[e.type] != status->flags ||
                   ((status->flags & BLOCK_STATUS_OFFSET_VALID) &&
                    e.host != status->host_offset + done)) {
            break;
        }
        done += e.bytes;
        status->bytes = done;
    }
    if ((status->flags & BLOCK_STATUS_DATA) &&
        (status->flags & BLOCK_STATUS_OFFSET_VALID) && is_preallocated(s)) {
        status->flags |= BLOCK_STATUS_RECURSE;
    }
    return 0;
}

int qcow2_map_fd(BlockNode *node, uint64_t offset, uint64_t bytes, int *fd,
                 uint64_t *fd_offset, uint64_t *n)
{
    Qcow2 *s = qcow2_state(node);
    Qcow2Extent e;
    int ret;

    if (__atomic_load_n(&s->corrupt, __ATOMIC_RELAXED)) {
        return -EIO;
    }
    ret = qcow2_lookup(s, offset, bytes, &e);
    if (ret < 0) {
        return ret;
    }
    if (e.type != QCOW2_NORMAL) {
        return -ENOTSUP;
    }
    /*
     * The place may be given away under a reader only by a discard of the
     * same bytes at the same time, whose outcome is undefined anyway.
     */
    return block_map_fd(qcow2_data(s), e.host, e.bytes, fd, fd_offset, n);
}

int qcow2_flush(BlockNode *node)
{
    Qcow2 *s = qcow2_state(node);
    uint64_t seq;
    int ret;

    if (__atomic_load_n(&s->corrupt, __ATOMIC_RELAXED)) {
        return -EIO;
    }
    g_mutex_lock(&s->lock);
    ret = qcow2_commit(s);
    seq = s->commit_seq;
    if (ret == 0 && s->frees->len) {
        /* The core flushes after us; frees wait for a flush of our own. */
        g_mutex_unlock(&s->lock);
        ret = block_flush(qcow2_file(s));
        g_mutex_lock(&s->lock);
        if (ret == 0) {
            s->synced_seq = MAX(s->synced_seq, seq);
            ret = qcow2_apply_frees(s);
        }
    }
    g_mutex_unlock(&s->lock);
    return ret < 0 ? ret : qcow2_bitmaps_flush(s);
}
