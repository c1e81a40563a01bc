/*
 * Driver "copy-on-read": what is read from below an image is stored in it.
 *
 * A read that finds part of its range unallocated takes the range for itself,
 * looks again, reads, and writes what it read.  Guest writes hold their range
 * shared, so that a late copy never overwrites a newer write.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/copy-on-read.h"
#include "block/filter.h"
#include "block/iov.h"
#include "block/node-int.h"
#include "block/options.h"
#include "block/range-lock.h"

#define CHUNK (1024 * 1024)

typedef struct CorState {
    BlockRangeLock ranges;
    char *bottom; /* copies stop at this node, inclusive; NULL: whole chain */
} CorState;

static const BlockOption cor_options[] = {
    { "file", BLOCK_OPT_NODE, .required = true },
    { "bottom", BLOCK_OPT_STRING },
    { NULL },
};

static bool cor_open(BlockNode *node, json_t *options, GError **error)
{
    CorState *s = node->state;
    const char *bottom = NULL;

    if (!block_options_string(options, "bottom", &bottom, error) ||
        !block_filter_open(node, options, error)) {
        return false;
    }
    if (bottom && !block_node_lookup(NULL, bottom, NULL)) {
        g_set_error(error, BLOCK_ERROR, ENOENT, "Bottom node '%s' not found",
                    bottom);
        return false;
    }
    s->bottom = g_strdup(bottom);
    block_range_lock_init(&s->ranges);
    return true;
}

static void cor_close(BlockNode *node)
{
    CorState *s = node->state;

    block_range_lock_clear(&s->ranges);
    g_free(s->bottom);
}

static void cor_child_perm(BlockNode *node, const BlockEdge *edge,
                           unsigned perm, unsigned shared, unsigned *p,
                           unsigned *sh)
{
    block_default_child_perm(node, edge, perm, shared, p, sh);
    if (!node->file->node->read_only && block_core(node)->parents) {
        *p |= BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_CONSISTENT_READ;
    }
}

/* The image that copies go into: below filters, and below raw nodes that show
 * all of theirs. */
static BlockNode *image_below(BlockNode *node)
{
    BlockNode *below;

    for (;;) {
        node = block_node_skip_filters(node);
        below = strcmp(node->driver->name, "raw") ? NULL
                                                  : block_edge_node(node->file);
        if (!below || block_length(below) != block_length(node) ||
            (below->driver->flags & BLOCK_DRIVER_PROTOCOL)) {
            return node;
        }
        node = below;
    }
}

/* Is this extent the image's own (or nobody's)? */
static int needs_copy(BlockNode *node, uint64_t offset, uint64_t bytes,
                      uint64_t *n)
{
    BlockNode *file = image_below(node->file->node);
    CorState *s = node->state;
    BlockNode *backing = block_node_backing(file);
    BlockStatus status;
    int ret;

    if (!backing) {
        *n = bytes;
        return 0;
    }
    ret = block_is_allocated_above(file, backing, offset, bytes, n);
    if (ret != 0) {
        return ret < 0 ? ret : 0;
    }
    for (BlockNode *b = s->bottom ? file : NULL; b; b = block_node_backing(b)) {
        BlockNode *base = strcmp(b->name, s->bottom) ? NULL
                                                     : block_node_backing(b);

        if (base) {
            return block_is_allocated_above(file, base, offset, *n, n);
        }
    }
    ret = block_status(file, offset, *n, &status);
    if (ret < 0) {
        return ret;
    }
    *n = status.bytes;
    /* If not: a hole all the way down. */
    return (status.flags & BLOCK_STATUS_ALLOCATED) != 0;
}

/* Copies one extent into the image; the caller holds its range. */
static int copy_extent(BlockNode *node, uint64_t offset, uint64_t bytes,
                       void *buf)
{
    BlockNode *file = node->file->node;
    BlockStatus status;
    int ret = block_status(file, offset, bytes, &status);

    if (ret == 0 && status.bytes >= bytes &&
        (status.flags & BLOCK_STATUS_ZERO)) {
        return block_pwrite_zeroes(file, offset, bytes,
                                   BLOCK_REQ_WRITE_UNCHANGED);
    }
    ret = block_pread(file, offset, bytes, buf, 0);
    return ret < 0 ? ret : block_pwrite(file, offset, bytes, buf,
                                        BLOCK_REQ_WRITE_UNCHANGED);
}

int block_cor_populate(BlockNode *node, uint64_t offset, uint64_t bytes,
                       uint64_t *copied)
{
    CorState *s = node->state;
    uint64_t cluster = MAX(node->file->node->limits.cluster_size, 512);
    uint64_t start = offset & ~(cluster - 1);
    uint64_t end = MIN(ROUND_UP_TO(offset + bytes, cluster),
                       (uint64_t)block_length(node->file->node));
    void *buf = NULL;
    BlockRange range;
    int ret = 0;

    if (posix_memalign(&buf, 4096, CHUNK)) {
        return -ENOMEM;
    }
    block_range_acquire(&s->ranges, &range, start, end - start, true);
    while (start < end && ret == 0) {
        uint64_t n;

        ret = needs_copy(node, start, MIN(end - start, CHUNK), &n);
        if (ret > 0) {
            ret = copy_extent(node, start, n, buf);
            *copied += ret == 0 ? n : 0;
        }
        start += n;
    }
    block_range_release(&s->ranges, &range);
    free(buf);
    return ret;
}

static int cor_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                      const struct iovec *iov, int niov, unsigned flags)
{
    BlockNode *file = node->file->node;
    uint64_t at = offset;

    while (!node->read_only && at < offset + bytes) {
        uint64_t copied = 0;
        uint64_t n;
        int ret = needs_copy(node, at, offset + bytes - at, &n);

        if (ret < 0) {
            break; /* the read itself will tell */
        }
        if (ret) {
            n = MIN(n, CHUNK);
            ret = block_cor_populate(node, at, n, &copied);
            if (ret < 0) {
                break; /* no room for a copy is no reason not to read */
            }
        }
        at += n;
    }
    return block_preadv(file, offset, bytes, iov, niov, flags);
}

static int cor_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                       const struct iovec *iov, int niov, unsigned flags)
{
    CorState *s = node->state;
    BlockRange range;
    int ret;

    block_range_acquire(&s->ranges, &range, offset, bytes, false);
    ret = block_pwritev(node->file->node, offset, bytes, iov, niov, flags);
    block_range_release(&s->ranges, &range);
    return ret;
}

static int cor_pwrite_zeroes(BlockNode *node, uint64_t offset,
                             uint64_t bytes, unsigned flags)
{
    CorState *s = node->state;
    BlockRange range;
    int ret;

    block_range_acquire(&s->ranges, &range, offset, bytes, false);
    ret = block_pwrite_zeroes(node->file->node, offset, bytes, flags);
    block_range_release(&s->ranges, &range);
    return ret;
}

static int cor_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    CorState *s = node->state;
    BlockRange range;
    int ret;

    block_range_acquire(&s->ranges, &range, offset, bytes, false);
    ret = block_pdiscard(node->file->node, offset, bytes);
    block_range_release(&s->ranges, &range);
    return ret;
}

const BlockDriver block_driver_copy_on_read = {
    .name = "copy-on-read",
    .flags = BLOCK_DRIVER_FILTER,
    .state_size = sizeof(CorState),
    .options = cor_options,
    .open = cor_open,
    .close = cor_close,
    .child_perm = cor_child_perm,
    .preadv = cor_preadv,
    .pwritev = cor_pwritev,
    .pwrite_zeroes = cor_pwrite_zeroes,
    .pdiscard = cor_pdiscard,
    .fua_native = true,
    .get_length = block_filter_get_length,
};
