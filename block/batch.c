/*
 * Several requests made together: one pass down the graph, one system call
 * below, side by side in the kernel.
 *
 *     items -> gate, range, alignment -> driver->batch -> dirty bits
 *
 * Whatever is not plain (unaligned, past the end, refused by a driver) is
 * marked BLOCK_BATCH_ALONE and left to block_preadv() and block_pwritev(),
 * so that this file needs to know the common case only.
 */
#include "block/driver.h"

#include "block/node-int.h"

bool block_batches(BlockNode *node, bool write)
{
    return node->driver->batches && node->driver->batches(node, write);
}

static bool is_plain(BlockNode *node, const BlockBatchItem *item)
{
    const BlockLimits *l = &node->limits;
    int64_t length = __atomic_load_n(&node->length, __ATOMIC_ACQUIRE);

    if ((item->offset | item->bytes) & (l->request_alignment - 1) ||
        (l->memory_alignment > 1 &&
         (uintptr_t)item->buf & (l->memory_alignment - 1)) ||
        (l->max_transfer && item->bytes > l->max_transfer)) {
        return false;
    }
    if (!item->write) {
        return item->offset <= INT64_MAX &&
               (int64_t)(item->offset + item->bytes) <= length;
    }
    return !(node->flags & BLOCK_OPEN_DETECT_ZEROES) &&
           block_write_check(node, item->offset, item->bytes) == 0;
}

void block_batch(BlockNode *node, BlockBatchItem *items, unsigned n)
{
    BlockNodeCore *core = block_core(node);
    bool lock = node->limits.request_alignment > 1 ||
                node->limits.memory_alignment > 1;

    block_gate_enter(&core->gate);
    if (lock) {
        g_rw_lock_reader_lock(&core->rmw_lock);
    }
    for (unsigned i = 0; i < n; i++) {
        if (items[i].ret == BLOCK_BATCH_TODO && !is_plain(node, &items[i])) {
            items[i].ret = BLOCK_BATCH_ALONE;
        }
    }
    if (node->driver->batch) {
        node->driver->batch(node, items, n);
    }
    for (unsigned i = 0; i < n; i++) {
        if (items[i].ret == BLOCK_BATCH_TODO) {
            items[i].ret = BLOCK_BATCH_ALONE;
        }
        if (items[i].ret == BLOCK_BATCH_ALONE) {
            continue;
        }
        block_gate_count(&core->gate, items[i].write ? BLOCK_COUNT_WRITE_OPS
                                                     : BLOCK_COUNT_READ_OPS,
                         items[i].bytes);
        if (items[i].write) {
            block_write_done(node, items[i].offset, items[i].bytes, 0,
                             items[i].ret);
        }
    }
    if (lock) {
        g_rw_lock_reader_unlock(&core->rmw_lock);
    }
    block_gate_leave(&core->gate);
}
