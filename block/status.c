/*
 * Extent status: what is known about guest bytes without reading them.
 */
#include "block/driver.h"

#include <errno.h>

#include "block/node-int.h"

/* One layer; bytes > 0 and in range.  Clips and completes the answer. */
static int status_of_layer(BlockNode *node, uint64_t offset, uint64_t bytes,
                           BlockStatus *status)
{
    int ret = 0;

    *status = (BlockStatus){ .bytes = bytes };
    if (node->driver->status) {
        ret = node->driver->status(node, offset, bytes, status);
    } else {
        status->flags = BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED |
                        BLOCK_STATUS_OFFSET_VALID;
        status->host_node = node;
        status->host_offset = offset;
    }
    if (ret == 0 && (status->bytes == 0 || status->bytes > bytes)) {
        status->bytes = MIN(MAX(status->bytes, 1), bytes);
    }
    return ret;
}

/* Data that lies in another node: holes there read as zeroes here. */
static void refine_by_host(BlockStatus *status)
{
    BlockStatus below;
    int64_t length;

    if (!(status->flags & BLOCK_STATUS_RECURSE) || !status->host_node ||
        !(status->flags & BLOCK_STATUS_DATA)) {
        return;
    }
    length = block_length(status->host_node);
    if (length >= 0 && status->host_offset >= (uint64_t)length) {
        status->flags |= BLOCK_STATUS_ZERO;
        return;
    }
    if (length >= 0) {
        status->bytes = MIN(status->bytes,
                            (uint64_t)length - status->host_offset);
    }
    if (block_status(status->host_node, status->host_offset, status->bytes,
                     &below) == 0) {
        status->bytes = MIN(status->bytes, below.bytes);
        status->flags |= below.flags & BLOCK_STATUS_ZERO;
        if (!(below.flags & BLOCK_STATUS_DATA)) {
            status->flags &= ~(unsigned)BLOCK_STATUS_DATA;
        }
    }
}

static bool passes_through(const BlockNode *node)
{
    return (node->driver->flags & BLOCK_DRIVER_FILTER) && node->file;
}

/* Is there an image below this one?  Inside the gate of a parent. */
static bool has_backing(const BlockNode *node)
{
    while (passes_through(node)) {
        node = node->file->node;
    }
    return node->backing != NULL;
}

/*
 * Goes down until a layer decides.  Each step may shorten the extent: a lower
 * layer's answer holds for no more than the upper layer's hole.
 */
static int status_down(BlockNode *node, BlockNode *base, uint64_t offset,
                       uint64_t bytes, BlockStatus *status)
{
    unsigned depth = 0;
    int64_t top_length = block_length(node);
    BlockNodeCore *held = NULL;
    int ret = 0;

    for (;;) {
        BlockNodeCore *core = block_core(node);
        BlockNode *next;
        int64_t length;

        block_gate_enter(&core->gate);
        if (held) {
            block_gate_leave(&held->gate);
        }
        held = core;
        if (passes_through(node)) {
            /* A filter that answers itself can only fail (blkdebug). */
            ret = node->driver->status
                      ? node->driver->status(node, offset, bytes, status) : 0;
            if (ret < 0) {
                break;
            }
            next = node->file->node;
        } else {
            ret = status_of_layer(node, offset, bytes, status);
            if (ret < 0) {
                break;
            }
            bytes = status->bytes;
            if (status->flags & (BLOCK_STATUS_ALLOCATED | BLOCK_STATUS_DATA |
                                 BLOCK_STATUS_ZERO)) {
                status->flags |= BLOCK_STATUS_ALLOCATED;
                status->depth = depth;
                refine_by_host(status);
                break;
            }
            next = block_edge_node(node->backing);
        }
        if (next && next == base) {
            *status = (BlockStatus){ .bytes = bytes, .depth = depth };
            break;
        }
        if (!next && !(node->driver->flags & BLOCK_DRIVER_BACKING)) {
            /* The driver's word is final; it may know neither. */
            status->depth = depth;
            status->flags &= ~(unsigned)BLOCK_STATUS_OFFSET_VALID;
            break;
        }
        length = next ? block_length(next) : 0;
        if (!next || (int64_t)offset >= length) {
            /* Reads as zeroes: allocated nowhere, but the end of a short
             * layer above base hides what is below it. */
            *status = (BlockStatus){ .flags = BLOCK_STATUS_ZERO,
                                     .bytes = bytes, .depth = depth };
            if (base && next && has_backing(next)) {
                status->flags |= BLOCK_STATUS_ALLOCATED;
                status->depth += !passes_through(node);
            }
            break;
        }
        bytes = MIN(bytes, (uint64_t)length - offset);
        depth += !passes_through(node);
        node = next;
    }
    block_gate_leave(&held->gate);
    status->flags &= ~(unsigned)BLOCK_STATUS_RECURSE;
    if (ret == 0 && (int64_t)(offset + status->bytes) >= top_length) {
        status->flags |= BLOCK_STATUS_EOF;
    }
    return ret;
}

int block_status_above(BlockNode *node, BlockNode *base, uint64_t offset,
                       uint64_t bytes, BlockStatus *status)
{
    int64_t length = block_length(node);

    if (length < 0) {
        return length;
    }
    if (bytes == 0 || offset >= (uint64_t)length || node == base) {
        *status = (BlockStatus){ .flags = BLOCK_STATUS_EOF, .bytes = bytes };
        return node == base || bytes == 0 ? 0 : -EINVAL;
    }
    return status_down(node, base, offset,
                       MIN(bytes, (uint64_t)length - offset), status);
}

int block_status(BlockNode *node, uint64_t offset, uint64_t bytes,
                 BlockStatus *status)
{
    return block_status_above(node, NULL, offset, bytes, status);
}

int block_is_allocated_above(BlockNode *node, BlockNode *base,
                             uint64_t offset, uint64_t bytes, uint64_t *n)
{
    BlockStatus status;
    int ret = block_status_above(node, base, offset, bytes, &status);

    if (ret < 0) {
        return ret;
    }
    *n = status.bytes;
    return (status.flags & BLOCK_STATUS_ALLOCATED) != 0;
}
