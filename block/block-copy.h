/*
 * Copying a point in time: clusters go from a source to a target once, either
 * because a job gets to them or because somebody is about to overwrite them.
 *
 *   todo bit set    not copied yet: the source still holds the old data
 *   todo bit clear  copied (or never wanted): the source may be changed
 *
 * Whoever copies clears the bits and holds their range exclusively; a guest
 * write holds its range shared, and starts only when no bit in it is set.
 */
#ifndef BLOCK_BLOCK_COPY_H
#define BLOCK_BLOCK_COPY_H

#include "block/dirty-bitmap.h"
#include "block/driver.h"
#include "block/range-lock.h"

typedef struct BlockCopy {
    BlockNode *source, *target; /* children of the filter */
    uint64_t cluster;           /* bytes, power of two */
    uint64_t length;
    HBitmap *todo;    /* one bit per cluster */
    HBitmap *wanted;  /* todo as it was at the start */
    BlockRangeLock ranges;
    unsigned write_flags; /* BLOCK_REQ_COMPRESSED */
    bool top_only;    /* skip what the source's backing provides */
    bool fleecing;    /* target reads through to source */
} BlockCopy;

/* All clusters wanted.  False without memory. */
bool block_copy_init(BlockCopy *copy, BlockNode *source, BlockNode *target,
                     GError **error);
void block_copy_clear(BlockCopy *copy);
/* Wants exactly the clusters that the bitmap's dirty bytes touch. */
void block_copy_want_bitmap(BlockCopy *copy, const BlockDirtyBitmap *bitmap);

/*
 * Copies what is left to do in a range.  On -errno the clusters concerned are
 * still to do, and *error_is_read tells whose fault it was.  *copied (may be
 * NULL) receives the bytes copied by this call.
 */
int block_copy_range(BlockCopy *copy, uint64_t offset, uint64_t bytes,
                     uint64_t *copied, bool *error_is_read);
/* Copies, then holds the range shared: nothing in it is to do any more. */
int block_copy_begin_write(BlockCopy *copy, BlockRange *range,
                           uint64_t offset, uint64_t bytes);
void block_copy_end_write(BlockCopy *copy, BlockRange *range);
/* The next cluster to do at or after offset; false when all is done. */
bool block_copy_next(const BlockCopy *copy, uint64_t offset,
                     uint64_t *next);
/* Bytes left, whole clusters. */
uint64_t block_copy_left(const BlockCopy *copy);
/* Gives up on a range (an error that is to be ignored). */
void block_copy_skip(BlockCopy *copy, uint64_t offset, uint64_t bytes);

/* The copy-before-write filter: its copy, for jobs. */
BlockCopy *block_cbw_copy(BlockNode *filter);
/* An error of a copy made for a guest write, for the job to report; 0. */
int block_cbw_take_error(BlockNode *filter);

#endif
