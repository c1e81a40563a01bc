/*
 * What the monitor, and others who manage the graph for a person, need of it
 * beyond node.h.  Graph lock.
 */
#ifndef BLOCK_MONITOR_NODES_H
#define BLOCK_MONITOR_NODES_H

#include "block/driver.h"

/* The monitor keeps a node: takes over the caller's reference. */
void block_monitor_own(BlockNode *node);
/* ... and lets go of it. */
void block_monitor_disown(BlockNode *node);
bool block_node_monitor_owned(const BlockNode *node);
bool block_node_has_parents(const BlockNode *node);
bool block_node_has_backend(const BlockNode *node);

/*
 * Puts overlay (which has no backing child and no users) on top of node: all
 * users of node move to overlay, and node becomes its backing child.
 */
bool block_node_append(BlockNode *overlay, BlockNode *node, GError **error);

/* A job keeps others from changing the graph around a node. */
void block_node_set_job(BlockNode *node, const char *job_type);
bool block_node_check_job(BlockNode *node, GError **error);
/* The next node of a chain: what a filter filters, or the backing node. */
BlockNode *block_node_below(BlockNode *node);
/* No job uses a node from top down to end, which is not looked at; NULL: to
 * the end of the chain. */
bool block_chain_check_jobs(BlockNode *top, BlockNode *end, GError **error);
/* The links from top down to end (not its own) must stay until thawed: one
 * that is to change is refused.  A job's chain. */
void block_chain_freeze(BlockNode *top, BlockNode *end);
void block_chain_thaw(BlockNode *top, BlockNode *end);
/* The image below top that a person calls `name`: as recorded above it, a
 * path to it as seen from the image above, or its URL.  Not a filter; NULL:
 * none. */
BlockNode *block_chain_find_image(BlockNode *top, const char *name);
/*
 * Copies what top and the images above base hold into base, and empties top
 * unless keep_top.  The disk stands still meanwhile.  progress may be NULL.
 */
bool block_commit_now(BlockNode *top, BlockNode *base, bool keep_top,
                      BlockProgressFn *progress, void *opaque,
                      GError **error);
/* Is node below top, or top itself? */
bool block_chain_has(BlockNode *top, BlockNode *node);

void block_node_set_write_threshold(BlockNode *node, uint64_t bytes);

/* What was asked of a node itself since it was opened, by whomever. */
typedef struct BlockNodeStats {
    uint64_t read_ops, read_bytes, write_ops, write_bytes;
    uint64_t unmap_ops, unmap_bytes, flush_ops;
    uint64_t highest_offset; /* end of the last byte ever written */
} BlockNodeStats;
void block_node_stats(BlockNode *node, BlockNodeStats *stats);

/* What QMP says about a snapshot of the image, NULL if it has none such.  id
 * or name may be NULL.  New reference. */
json_t *block_snapshot_info(BlockNode *node, const char *id,
                            const char *name);

#endif
