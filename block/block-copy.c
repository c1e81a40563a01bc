/* Copying a point in time; see block-copy.h. */
#include "block/block-copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/node-int.h"

#define MIN_CLUSTER 65536
#define CHUNK (1024 * 1024) /* copied at once, at most */

static bool reads_through(BlockNode *target, BlockNode *source)
{
    for (BlockNode *n = target; n;) {
        BlockNode *filtered = block_node_filtered(n);

        if (n == source) {
            return true;
        }
        n = filtered ? filtered : block_node_backing(n);
    }
    return false;
}

bool block_copy_init(BlockCopy *copy, BlockNode *source, BlockNode *target,
                     GError **error)
{
    int64_t length = block_length(source);
    uint64_t clusters;

    if (length < 0) {
        block_error_set_errno(error, length, "Unable to get length of '%s'",
                              source->name);
        return false;
    }
    memset(copy, 0, sizeof(*copy));
    copy->source = source;
    copy->target = target;
    copy->length = length;
    copy->cluster = MAX(MIN_CLUSTER, target->limits.cluster_size);
    clusters = ROUND_UP_TO(copy->length, copy->cluster) / copy->cluster;
    copy->todo = hbitmap_new(clusters);
    copy->wanted = copy->todo ? hbitmap_new(clusters) : NULL;
    if (!copy->wanted) {
        hbitmap_free(copy->todo);
        copy->todo = NULL;
        block_error_set_errno(error, ENOMEM, "Cannot copy '%s'",
                              source->name);
        return false;
    }
    hbitmap_set(copy->todo, 0, clusters);
    hbitmap_set(copy->wanted, 0, clusters);
    copy->fleecing = reads_through(target, source);
    block_range_lock_init(&copy->ranges);
    return true;
}

void block_copy_clear(BlockCopy *copy)
{
    if (copy->todo) {
        hbitmap_free(copy->todo);
        hbitmap_free(copy->wanted);
        block_range_lock_clear(&copy->ranges);
        copy->todo = NULL;
    }
}

void block_copy_want_bitmap(BlockCopy *copy, const BlockDirtyBitmap *bitmap)
{
    uint64_t at = 0;
    uint64_t offset;
    uint64_t bytes;

    hbitmap_reset_all(copy->todo);
    while (block_dirty_bitmap_next_area(bitmap, at, copy->length - at,
                                        copy->length, &offset, &bytes)) {
        uint64_t first = offset / copy->cluster;
        uint64_t last = (offset + bytes - 1) / copy->cluster;

        hbitmap_set(copy->todo, first, last - first + 1);
        at = offset + bytes;
    }
    hbitmap_reset_all(copy->wanted);
    hbitmap_merge(copy->wanted, copy->todo);
}

/* One run of bytes, inside the lengths. */
static int copy_bytes(BlockCopy *copy, uint64_t offset, uint64_t bytes,
                      void *buf, bool *error_is_read)
{
    while (bytes) {
        BlockStatus status;
        uint64_t n;
        int ret = block_status(copy->source, offset, bytes, &status);

        if (ret < 0) {
            status = (BlockStatus){ .flags = BLOCK_STATUS_DATA |
                                             BLOCK_STATUS_ALLOCATED,
                                    .bytes = bytes };
        }
        n = MIN(status.bytes, bytes);
        *error_is_read = false;
        if (copy->top_only && (status.depth > 0 ||
                               !(status.flags & BLOCK_STATUS_ALLOCATED))) {
            ret = 0; /* the target's own backing has it */
        } else if (status.flags & BLOCK_STATUS_ZERO) {
            ret = block_pwrite_zeroes(copy->target, offset, n,
                                      BLOCK_REQ_MAY_UNMAP);
        } else {
            if (copy->write_flags & BLOCK_REQ_COMPRESSED) {
                n = bytes; /* whole clusters only */
            }
            ret = block_pread(copy->source, offset, n, buf, 0);
            *error_is_read = ret < 0;
            if (ret == 0) {
                ret = block_pwrite(copy->target, offset, n, buf,
                                   copy->write_flags);
            }
        }
        if (ret < 0) {
            return ret;
        }
        offset += n;
        bytes -= n;
    }
    return 0;
}

/* A run of to-do clusters from `first`, whose range the caller holds. */
static int copy_run(BlockCopy *copy, uint64_t first, uint64_t stop,
                    uint64_t *copied, bool *error_is_read)
{
    uint64_t offset = first * copy->cluster;
    uint64_t bytes = MIN(stop * copy->cluster, copy->length) - offset;
    void *buf = NULL;
    int ret = 0;
    uint64_t step = copy->write_flags & BLOCK_REQ_COMPRESSED ? copy->cluster
                                                             : bytes;

    if (posix_memalign(&buf, 4096, MAX(bytes, 4096))) {
        return -ENOMEM;
    }
    hbitmap_reset(copy->todo, first, stop - first);
    for (uint64_t done = 0; done < bytes && ret == 0; done += step) {
        ret = copy_bytes(copy, offset + done, MIN(step, bytes - done), buf,
                         error_is_read);
    }
    free(buf);
    if (ret < 0) {
        hbitmap_set(copy->todo, first, stop - first);
    } else if (copied) {
        *copied += bytes;
    }
    return ret;
}

int block_copy_range(BlockCopy *copy, uint64_t offset, uint64_t bytes,
                     uint64_t *copied, bool *error_is_read)
{
    uint64_t max = MAX(CHUNK / copy->cluster, 1);
    uint64_t at = offset / copy->cluster;
    uint64_t end = ROUND_UP_TO(MIN(offset + bytes, copy->length),
                               copy->cluster) / copy->cluster;
    bool read = false;
    int ret = 0;

    while (ret == 0) {
        BlockRange range;
        uint64_t stop;

        at = hbitmap_next_set(copy->todo, at, end);
        if (at >= end) {
            break;
        }
        stop = hbitmap_next_clear(copy->todo, at, MIN(end, at + max));
        block_range_acquire(&copy->ranges, &range, at * copy->cluster,
                            (stop - at) * copy->cluster, true);
        /* Somebody else may have been here first. */
        stop = hbitmap_next_clear(copy->todo, at, stop);
        if (stop > at) {
            ret = copy_run(copy, at, stop, copied, &read);
        }
        block_range_release(&copy->ranges, &range);
        at = MAX(stop, at);
    }
    if (error_is_read) {
        *error_is_read = read;
    }
    return ret;
}

/* Readers of the target that looked before the copy have to be gone. */
static void wait_for_readers(BlockNode *target)
{
    BlockGate *gate = &block_core(target)->gate;

    block_gate_close(gate);
    block_gate_open(gate);
}

int block_copy_begin_write(BlockCopy *copy, BlockRange *range,
                           uint64_t offset, uint64_t bytes)
{
    uint64_t start = offset & ~(copy->cluster - 1);
    uint64_t end = ROUND_UP_TO(offset + bytes, copy->cluster);
    uint64_t copied = 0;

    for (;;) {
        int ret = block_copy_range(copy, start, end - start, &copied, NULL);

        if (ret < 0) {
            return ret;
        }
        if (copied && copy->fleecing) {
            wait_for_readers(copy->target);
            copied = 0;
        }
        block_range_acquire(&copy->ranges, range, start, end - start, false);
        if (hbitmap_next_set(copy->todo, start / copy->cluster,
                             end / copy->cluster) >=
            MIN(end / copy->cluster, hbitmap_bits(copy->todo))) {
            return 0;
        }
        /* A failed copy was put back meanwhile. */
        block_range_release(&copy->ranges, range);
    }
}

void block_copy_end_write(BlockCopy *copy, BlockRange *range)
{
    block_range_release(&copy->ranges, range);
}

bool block_copy_next(const BlockCopy *copy, uint64_t offset, uint64_t *next)
{
    uint64_t bits = hbitmap_bits(copy->todo);
    uint64_t bit = hbitmap_next_set(copy->todo, offset / copy->cluster, bits);

    *next = bit * copy->cluster;
    return bit < bits;
}

uint64_t block_copy_left(const BlockCopy *copy)
{
    return hbitmap_count(copy->todo) * copy->cluster;
}

void block_copy_skip(BlockCopy *copy, uint64_t offset, uint64_t bytes)
{
    hbitmap_reset(copy->todo, offset / copy->cluster,
                  ROUND_UP_TO(bytes, copy->cluster) / copy->cluster);
}
