/*
 * A commit without a job: copies what an image and those above base hold into
 * base, at once.  For tools, and for people who wait.
 */
#include "block/monitor-nodes.h"

#include <errno.h>
#include <string.h>

#include "block/backend.h"
#include "block/driver.h"

#define CHUNK ((uint64_t)1024 * 1024)

/* One extent at the start of [at, at + *n); *n: how long it was. */
static int copy_extent(BlockNode *top, BlockNode *base, uint64_t at,
                       uint64_t *n, void *buf)
{
    BlockStatus s;
    int ret = block_is_allocated_above(top, base, at, *n, n);

    if (ret <= 0) {
        return ret;
    }
    ret = block_status_above(top, base, at, *n, &s);
    if (ret < 0) {
        return ret;
    }
    *n = s.bytes;
    if (s.flags & BLOCK_STATUS_ZERO) {
        return block_pwrite_zeroes(base, at, *n, BLOCK_REQ_MAY_UNMAP);
    }
    *n = MIN(*n, CHUNK);
    ret = block_pread(top, at, *n, buf, 0);
    return ret < 0 ? ret : block_pwrite(base, at, *n, buf, 0);
}

static int copy_down(BlockNode *top, BlockNode *base, uint64_t length,
                     BlockProgressFn *progress, void *opaque)
{
    g_autofree uint8_t *buf = g_malloc(CHUNK);

    for (uint64_t at = 0, n; at < length; at += n) {
        int ret;

        n = length - at;
        ret = copy_extent(top, base, at, &n, buf);
        if (ret < 0) {
            return ret;
        }
        if (progress && progress(opaque, at + n, length)) {
            return -ECANCELED;
        }
    }
    return block_flush(base);
}

static bool copy_and_empty(BlockNode *top, BlockNode *base, bool keep_top,
                           BlockProgressFn *progress, void *opaque,
                           GError **error)
{
    int64_t length = MAX(block_length(top), 0);
    int ret;

    if (length > block_length(base) &&
        !block_truncate(base, length, false, BLOCK_PREALLOC_OFF, error)) {
        return false;
    }
    ret = copy_down(top, base, length, progress, opaque);
    if (ret < 0) {
        g_set_error(error, BLOCK_ERROR, -ret, "Block job failed: %s",
                    strerror(-ret));
        return false;
    }
    if (!keep_top && block_node_driver(top)->make_empty &&
        !block_node_driver(top)->make_empty(top, error)) {
        g_prefix_error(error, "Could not empty %s: ",
                       block_node_filename(top));
        return false;
    }
    return true;
}

bool block_commit_now(BlockNode *top, BlockNode *base, bool keep_top,
                      BlockProgressFn *progress, void *opaque, GError **error)
{
    g_autoptr(BlockBackend) writer = block_backend_new(
        NULL, "commit",
        BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE,
        BLOCK_PERM_ALL);
    bool was_read_only = block_node_is_read_only(base);
    bool ok;

    block_graph_lock();
    block_node_drain_begin(top);
    ok = block_chain_check_jobs(top, base, error) &&
         block_node_check_job(base, error) &&
         block_node_reopen_read_only(base, false, error);
    if (ok) {
        ok = block_backend_attach(writer, base, error) &&
             copy_and_empty(top, base, keep_top, progress, opaque, error);
        block_backend_detach(writer);
        if (was_read_only) {
            block_node_reopen_read_only(base, true, NULL);
        }
    }
    block_node_drain_end(top);
    block_graph_unlock();
    return ok;
}
