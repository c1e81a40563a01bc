/*
 * Bitmaps stored at flush time (option bitmaps-at-flush), so that a crash
 * loses little.
 *
 *     open        stored copies are marked "in use": not valid
 *     flush       all bits are written, the mark is taken off: valid
 *     a write     within granules that are dirty already: still valid
 *                 elsewhere: marked "in use" first, durably
 *
 * For this the bits are set before the data is written, under bitmap_lock,
 * which a flush holds while it stores them: what is on disk and valid covers
 * every byte that has changed, at any moment.  Bits that change in other ways
 * (merge, the end of a job, enable...) count as "elsewhere" through the
 * node's generation of bitmap changes.  While a job has a successor of a
 * bitmap, nothing is stored: its parent alone is not what has changed.
 *
 * bitmap_lock is taken before s->lock and never waited for with it held.
 */
#include "block/qcow2-int.h"

#include <errno.h>

void qcow2_bitmap_flush_init(Qcow2 *s, bool on)
{
    s->bitmaps_at_flush = on;
    /* Copies that are valid now must still be marked by the next write. */
    block_node_set_eager_bitmaps(s->node, on || s->bitmaps_stored);
}

bool qcow2_bitmaps_invalidate(Qcow2 *s, GError **error)
{
    bool ok;

    g_mutex_lock(&s->bitmap_lock);
    ok = !s->bitmaps_stored || qcow2_bitmaps_mark_in_use(s, error);
    g_mutex_unlock(&s->bitmap_lock);
    return ok;
}

static bool can_store(Qcow2 *s)
{
    BlockDirtyBitmap *bitmap = NULL;
    bool any = false;

    while ((bitmap = block_dirty_bitmap_next(s->node, bitmap))) {
        if (block_dirty_bitmap_persistent(bitmap) &&
            block_dirty_bitmap_has_successor(bitmap)) {
            return false;
        }
        any |= qcow2_bitmap_wants_store(bitmap);
    }
    return any;
}

int qcow2_bitmaps_flush(Qcow2 *s)
{
    uint64_t generation = block_node_bitmap_generation(s->node);
    g_autoptr(GError) error = NULL;
    int ret = 0;

    if (!s->bitmaps_at_flush || !s->bitmaps_loaded || s->node->read_only) {
        return 0;
    }
    g_mutex_lock(&s->bitmap_lock);
    if ((!s->bitmaps_stored || s->bitmap_generation != generation) &&
        can_store(s)) {
        if (qcow2_bitmaps_write(s, &error)) {
            s->bitmaps_stored = true;
            s->bitmap_generation = generation;
        } else {
            ret = -block_error_errno(error);
        }
    }
    g_mutex_unlock(&s->bitmap_lock);
    return ret;
}

/* Are all these bytes dirty in every stored bitmap that records? */
static bool all_dirty(Qcow2 *s, uint64_t offset, uint64_t bytes)
{
    BlockDirtyBitmap *bitmap = NULL;

    while ((bitmap = block_dirty_bitmap_next(s->node, bitmap))) {
        uint64_t size = block_dirty_bitmap_size(bitmap);
        uint64_t run;

        if (!qcow2_bitmap_wants_store(bitmap) ||
            !block_dirty_bitmap_recording(bitmap) || offset >= size) {
            continue;
        }
        bytes = MIN(bytes, size - offset);
        if (!block_dirty_bitmap_status(bitmap, offset, bytes, &run) ||
            run < bytes) {
            return false;
        }
    }
    return true;
}

int qcow2_bitmaps_before_write(BlockNode *node, uint64_t offset,
                               uint64_t bytes)
{
    Qcow2 *s = node->state;
    g_autoptr(GError) error = NULL;
    int ret = 0;

    g_mutex_lock(&s->bitmap_lock);
    if (s->bitmaps_stored &&
        (s->bitmap_generation != block_node_bitmap_generation(node) ||
         !all_dirty(s, offset, bytes))) {
        if (!qcow2_bitmaps_mark_in_use(s, &error)) {
            ret = -block_error_errno(error);
        }
    }
    if (ret == 0) {
        block_node_record(node, offset, bytes);
    }
    g_mutex_unlock(&s->bitmap_lock);
    return ret;
}
