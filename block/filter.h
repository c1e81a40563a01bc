/*
 * What filters do alike: their one child, what they pass on unchanged, and
 * how jobs put them into the graph and take them out.
 *
 *     parents -> node      block_filter_insert()      parents -> filter -> node
 *                          <- block_filter_remove()
 */
#ifndef BLOCK_FILTER_H
#define BLOCK_FILTER_H

#include "block/driver.h"

/* Of a filter without options of its own: "file". */
extern const BlockOption block_filter_options[];
/* Opens the option "file"; a filter on a read-only node is read-only. */
bool block_filter_open(BlockNode *node, json_t *options, GError **error);

/* Members of a driver that pass a request on. */
int block_filter_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                        const struct iovec *iov, int niov, unsigned flags);
int block_filter_pwrite_zeroes(BlockNode *node, uint64_t offset,
                               uint64_t bytes, unsigned flags);
int block_filter_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes);
int64_t block_filter_get_length(BlockNode *node);

/*
 * Opens a filter from options (taken), named `name` if that is not NULL,
 * between node and all of its parents.  A reference, or NULL.  Graph lock.
 */
BlockNode *block_filter_insert(BlockNode *node, json_t *options,
                               const char *name, unsigned flags,
                               GError **error);
/* The other way round; drops the reference.  NULL is fine.  Graph lock. */
void block_filter_remove(BlockNode *filter);

#endif
