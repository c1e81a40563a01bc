/* Locks on byte ranges; see range-lock.h. */
#include "block/range-lock.h"

void block_range_lock_init(BlockRangeLock *lock)
{
    g_mutex_init(&lock->lock);
    g_cond_init(&lock->released);
    lock->held = NULL;
}

void block_range_lock_clear(BlockRangeLock *lock)
{
    g_mutex_clear(&lock->lock);
    g_cond_clear(&lock->released);
}

static bool blocked(const BlockRangeLock *lock, const BlockRange *range)
{
    for (const BlockRange *r = lock->held; r; r = r->next) {
        if (r->start < range->end && range->start < r->end &&
            (r->exclusive || range->exclusive)) {
            return true;
        }
    }
    return false;
}

void block_range_acquire(BlockRangeLock *lock, BlockRange *range,
                         uint64_t offset, uint64_t bytes, bool exclusive)
{
    *range = (BlockRange){ offset, offset + bytes, exclusive, NULL };
    g_mutex_lock(&lock->lock);
    while (blocked(lock, range)) {
        g_cond_wait(&lock->released, &lock->lock);
    }
    range->next = lock->held;
    lock->held = range;
    g_mutex_unlock(&lock->lock);
}

void block_range_release(BlockRangeLock *lock, BlockRange *range)
{
    BlockRange **at = &lock->held;

    g_mutex_lock(&lock->lock);
    while (*at != range) {
        at = &(*at)->next;
    }
    *at = range->next;
    g_cond_broadcast(&lock->released);
    g_mutex_unlock(&lock->lock);
}
