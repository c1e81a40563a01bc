/*
 * Locks on byte ranges of a node: copies and writes that must not overlap.
 *
 * Shared holders may overlap one another, an exclusive one overlaps nobody.
 * Meant for filters on the path of jobs, not for the plain request path.
 */
#ifndef BLOCK_RANGE_LOCK_H
#define BLOCK_RANGE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

typedef struct BlockRangeLock {
    GMutex lock;
    GCond released;
    struct BlockRange *held;
} BlockRangeLock;

/* Lives in the holder's frame while it holds. */
typedef struct BlockRange {
    uint64_t start, end;
    bool exclusive;
    struct BlockRange *next;
} BlockRange;

void block_range_lock_init(BlockRangeLock *lock);
void block_range_lock_clear(BlockRangeLock *lock);
void block_range_acquire(BlockRangeLock *lock, BlockRange *range,
                         uint64_t offset, uint64_t bytes, bool exclusive);
void block_range_release(BlockRangeLock *lock, BlockRange *range);

#endif
