/*
 * BlockBackend: somebody outside the graph who uses a node - a guest disk, an
 * NBD export, a job, a tool.
 *
 * A backend stands on one node and keeps it alive.  Graph changes (snapshot,
 * mirror completion, filters) may move it to another node under its user's
 * feet; hence every use of the node is bracketed by block_backend_enter() and
 * block_backend_leave(), which the request wrappers below do themselves.
 *
 *     BlockNode *node = block_backend_enter(backend);
 *     ret = block_preadv(node, offset, bytes, iov, niov, 0);
 *     block_backend_leave(backend);
 *
 * Enter waits while the node is drained.  A thread must not sleep for long
 * between the two for reasons of its own (a slow client, say): it would hold
 * up graph changes.
 *
 * Wrappers check the range: reads past the end are -EINVAL, writes -ENOSPC,
 * without permission to write -EPERM.
 */
#ifndef BLOCK_BACKEND_H
#define BLOCK_BACKEND_H

#include "block/node.h"

typedef struct BlockBackend BlockBackend;

/* What a backend wants to be told; any member may be NULL. */
typedef struct BlockBackendOps {
    /* Resized: called without the graph lock dropped, requests may run. */
    void (*resized)(void *opaque, uint64_t size);
    /* No request of this backend runs between these two. */
    void (*drained_begin)(void *opaque);
    void (*drained_end)(void *opaque);
    /* It stands on another node now (block_backend_node). */
    void (*moved)(void *opaque);
} BlockBackendOps;

/* name is a "device" name for QMP, or NULL; label says what it is in errors. */
BlockBackend *block_backend_new(const char *name, const char *label,
                                unsigned perm, unsigned shared);
void block_backend_ref(BlockBackend *backend);
void block_backend_unref(BlockBackend *backend);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockBackend, block_backend_unref)

/* Convenience for tools: opens an image and stands on it. */
BlockBackend *block_backend_open(const char *filename, const char *format,
                                 json_t *options, unsigned flags,
                                 GError **error);

/* Graph lock.  attach takes its own reference to node. */
bool block_backend_attach(BlockBackend *backend, BlockNode *node,
                          GError **error);
void block_backend_detach(BlockBackend *backend);
bool block_backend_set_perm(BlockBackend *backend, unsigned perm,
                            unsigned shared, GError **error);
unsigned block_backend_perm(BlockBackend *backend); /* what it has */
void block_backend_set_ops(BlockBackend *backend, const BlockBackendOps *ops,
                           void *opaque);
void block_backend_set_writethrough(BlockBackend *backend, bool on);
/*
 * Limits on its requests, {name: value} by the names of throttle-group.h; all
 * 0: none any more.  group: backends of one group share its limits; NULL: as
 * it was, at first the backend's own name or device.
 */
bool block_backend_set_limits(BlockBackend *backend, const char *group,
                              json_t *limits, GError **error);
/* NULL: not limited.  Borrowed. */
struct ThrottleGroup *block_backend_throttle(BlockBackend *backend);
BlockNode *block_backend_node(BlockBackend *backend); /* NULL: no medium */
const char *block_backend_name(BlockBackend *backend); /* "" if none */
/* The QOM path or id of the guest device, for query-block; may be NULL. */
void block_backend_set_device(BlockBackend *backend, const char *device);
const char *block_backend_device(BlockBackend *backend);
BlockBackend *block_backend_find(const char *name);
BlockBackend *block_backend_next(BlockBackend *prev);

/* Any thread.  enter returns NULL (and needs no leave) without a medium. */
BlockNode *block_backend_enter(BlockBackend *backend);
void block_backend_leave(BlockBackend *backend);

int block_backend_preadv(BlockBackend *backend, uint64_t offset,
                         uint64_t bytes, const struct iovec *iov, int niov,
                         unsigned flags);
int block_backend_pwritev(BlockBackend *backend, uint64_t offset,
                          uint64_t bytes, const struct iovec *iov, int niov,
                          unsigned flags);
/* All items are done on return, each with its own ret: 0 or -errno. */
void block_backend_batch(BlockBackend *backend, BlockBatchItem *items,
                         unsigned n);
int block_backend_pread(BlockBackend *backend, uint64_t offset,
                        uint64_t bytes, void *buf, unsigned flags);
int block_backend_pwrite(BlockBackend *backend, uint64_t offset,
                         uint64_t bytes, const void *buf, unsigned flags);
int block_backend_pwrite_zeroes(BlockBackend *backend, uint64_t offset,
                                uint64_t bytes, unsigned flags);
int block_backend_pdiscard(BlockBackend *backend, uint64_t offset,
                           uint64_t bytes);
int block_backend_flush(BlockBackend *backend);
int block_backend_status(BlockBackend *backend, uint64_t offset,
                         uint64_t bytes, BlockStatus *status);
int64_t block_backend_length(BlockBackend *backend);
/* 0 and *limits, or -ENOMEDIUM. */
int block_backend_limits(BlockBackend *backend, BlockLimits *limits);

/* Counters for query-blockstats; read without a lock. */
typedef struct BlockBackendStats {
    uint64_t read_bytes, write_bytes;
    uint64_t read_ops, write_ops, flush_ops, unmap_ops, unmap_bytes;
    uint64_t failed_read_ops, failed_write_ops, failed_flush_ops;
} BlockBackendStats;
void block_backend_stats(BlockBackend *backend, BlockBackendStats *stats);

#endif
