/*
 * The mirror job (and the active commit): a target is brought to the state
 * of a live disk, kept there, and at the end takes its place or is let go.
 *
 * An anonymous bitmap on the source records what is written meanwhile.  Its
 * bits are cleared before a chunk is read, and set after a guest's write is
 * done, so no change is lost.  With copy-mode=write-blocking a filter above
 * the source writes to the target as well, and only then the guest goes on.
 */
#include "block/jobs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/backend.h"
#include "block/monitor-nodes.h"
#include "block/node-int.h"
#include "block/range-lock.h"

#define CHUNK (1024 * 1024)
#define ZERO_CHUNK (UINT64_C(1) << 30) /* of known zeroes at once */
#define IDLE_US 100000 /* between looks at the bitmap when in step */

typedef struct MirrorState {
    BlockNode *source, *target, *replaces; /* own references */
    BlockNode *filter; /* write-blocking only; own reference */
    BlockBackend *read, *write; /* hold the permissions */
    BlockDirtyBitmap *dirty;
    BlockRangeLock ranges; /* copies against writes through the filter */
    BlockSync sync;
    BlockNode *base; /* own reference or NULL */
    BlockErrorPolicy on_source_error, on_target_error;
    void *buf;
    bool commit;
    bool target_was_read_only;
} MirrorState;

/* ---- The filter ---------------------------------------------------------- */

typedef struct FilterState {
    MirrorState *mirror; /* set once the job exists, cleared drained */
} FilterState;

static const BlockOption filter_options[] = {
    { "file", BLOCK_OPT_NODE, .required = true },
    { NULL },
};

static bool filter_open(BlockNode *node, json_t *options, GError **error)
{
    if (!block_open_child(node, options, "file", BLOCK_ROLE_FILTERED, false,
                          error)) {
        return false;
    }
    node->read_only = node->read_only || node->file->node->read_only;
    return true;
}

static int filter_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                         const struct iovec *iov, int niov, unsigned flags)
{
    return block_preadv(node->file->node, offset, bytes, iov, niov, flags);
}

/* iov NULL: zeroes. */
static int write_both(BlockNode *node, uint64_t offset, uint64_t bytes,
                      const struct iovec *iov, int niov, unsigned flags)
{
    MirrorState *m = ((FilterState *)node->state)->mirror;
    BlockNode *file = node->file->node;
    uint64_t granule = m ? block_dirty_bitmap_granularity(m->dirty) : 1;
    uint64_t start = ROUND_UP_TO(offset, granule);
    uint64_t end = (offset + bytes) & ~(granule - 1);
    BlockRange range;
    int ret;

    if (m) {
        block_range_acquire(&m->ranges, &range, offset & ~(granule - 1),
                            ROUND_UP_TO(offset + bytes, granule) -
                                (offset & ~(granule - 1)), true);
    }
    ret = iov ? block_pwritev(file, offset, bytes, iov, niov, flags)
              : block_pwrite_zeroes(file, offset, bytes, flags);
    if (!m) {
        return ret;
    }
    if (ret == 0) {
        /* A failure here leaves the bits set: the job will copy again. */
        int copied = iov ? block_pwritev(m->target, offset, bytes, iov, niov,
                                         0)
                         : block_pwrite_zeroes(m->target, offset, bytes,
                                               flags &
                                                   BLOCK_REQ_MAY_UNMAP);

        if (copied == 0 && end > start) {
            block_dirty_bitmap_reset(m->dirty, start, end - start);
        }
    }
    block_range_release(&m->ranges, &range);
    return ret;
}

static int filter_pwrite_zeroes(BlockNode *node, uint64_t offset,
                                uint64_t bytes, unsigned flags)
{
    return write_both(node, offset, bytes, NULL, 0, flags);
}

static int filter_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return block_pdiscard(node->file->node, offset, bytes);
}

static int64_t filter_get_length(BlockNode *node)
{
    return block_length(node->file->node);
}

const BlockDriver block_driver_mirror_top = {
    .name = "mirror_top",
    .flags = BLOCK_DRIVER_FILTER,
    .state_size = sizeof(FilterState),
    .options = filter_options,
    .open = filter_open,
    .preadv = filter_preadv,
    .pwritev = write_both,
    .pwrite_zeroes = filter_pwrite_zeroes,
    .pdiscard = filter_pdiscard,
    .fua_native = true,
    .get_length = filter_get_length,
};

/* ---- Copying ------------------------------------------------------------- */

/* Marks what the target does not have yet. */
static int mark_initial(BlockJob *job, MirrorState *s)
{
    int64_t length = block_length(s->source);
    uint64_t at = 0;

    if (length < 0) {
        return length;
    }
    if (s->sync == BLOCK_SYNC_FULL) {
        block_dirty_bitmap_set(s->dirty, 0, length);
        return 0;
    }
    while (s->sync == BLOCK_SYNC_TOP && at < (uint64_t)length) {
        uint64_t n;
        int ret;

        if (block_job_pause_point(job)) {
            return -ECANCELED;
        }
        ret = block_is_allocated_above(s->source, s->base, at, length - at,
                                       &n);
        if (ret < 0) {
            return ret;
        }
        if (ret) {
            block_dirty_bitmap_set(s->dirty, at, n);
        }
        at += n;
    }
    return 0;
}

static int copy_extent(MirrorState *s, uint64_t offset, uint64_t *bytes,
                       bool *is_read)
{
    BlockStatus status;
    int ret = block_status(s->source, offset, *bytes, &status);

    *is_read = false;
    if (ret == 0) {
        *bytes = MIN(*bytes, status.bytes);
        if (status.flags & BLOCK_STATUS_ZERO) {
            return block_pwrite_zeroes(s->target, offset, *bytes,
                                       BLOCK_REQ_MAY_UNMAP);
        }
    }
    *bytes = MIN(*bytes, CHUNK);
    ret = block_pread(s->source, offset, *bytes, s->buf, 0);
    *is_read = ret < 0;
    return ret < 0 ? ret : block_pwrite(s->target, offset, *bytes, s->buf, 0);
}

/* The next dirty area; *copied 0: nothing was dirty. */
static int copy_next(MirrorState *s, uint64_t *at, uint64_t *copied,
                     bool *is_read)
{
    uint64_t granule = block_dirty_bitmap_granularity(s->dirty);
    uint64_t size = block_dirty_bitmap_size(s->dirty);
    uint64_t offset;
    uint64_t bytes;
    BlockRange range;
    int ret;

    *copied = 0;
    if (!block_dirty_bitmap_next_area(s->dirty, *at, size, ZERO_CHUNK,
                                      &offset, &bytes)) {
        if (*at == 0 ||
            !block_dirty_bitmap_next_area(s->dirty, 0, size, ZERO_CHUNK,
                                          &offset, &bytes)) {
            return 0;
        }
    }
    /* Whole granules: their bits are cleared as a whole. */
    offset &= ~(granule - 1);
    bytes = MIN(ROUND_UP_TO(bytes, granule), size - offset);
    block_range_acquire(&s->ranges, &range, offset, bytes, true);
    block_dirty_bitmap_reset(s->dirty, offset, bytes);
    *copied = bytes;
    ret = copy_extent(s, offset, copied, is_read);
    /* What was cleared but not copied. */
    if (ret < 0) {
        block_dirty_bitmap_set(s->dirty, offset, bytes);
        *copied = 0;
    } else if (*copied < bytes) {
        block_dirty_bitmap_set(s->dirty, offset + *copied, bytes - *copied);
    }
    block_range_release(&s->ranges, &range);
    *at = offset + *copied;
    return ret;
}

static bool handle_error(BlockJob *job, MirrorState *s, int ret, bool is_read)
{
    bool retry;

    return block_job_error_action(job, is_read ? s->on_source_error
                                               : s->on_target_error,
                                  is_read, ret, &retry);
}

static int mirror_run(BlockJob *job)
{
    MirrorState *s = block_job_state(job);
    uint64_t at = 0;
    bool ready = false;
    int ret = mark_initial(job, s);

    if (ret < 0) {
        return ret;
    }
    block_job_set_total(job, block_dirty_bitmap_count(s->dirty));
    for (;;) {
        uint64_t copied;
        bool is_read = false;
        bool asked = block_job_completing(job) ||
                     (ready && block_job_cancelled(job));

        block_job_pause_point(job);
        if (block_job_cancelled_hard(job)) {
            return -ECANCELED;
        }
        ret = copy_next(s, &at, &copied, &is_read);
        if (ret < 0) {
            if (!handle_error(job, s, ret, is_read)) {
                return ret;
            }
            block_job_sleep(job, IDLE_US);
            continue;
        }
        block_job_add_progress(job, copied);
        if (ready) {
            block_job_add_total(job, copied);
        }
        if (copied) {
            block_job_throttle(job, copied);
            continue;
        }
        if (asked) {
            return block_flush(s->target);
        }
        if (!ready) {
            ret = block_flush(s->target);
            if (ret < 0) {
                return ret;
            }
            ready = true;
            block_job_ready(job);
        }
        block_job_sleep(job, IDLE_US);
    }
}

/* ---- The end (graph lock) ------------------------------------------------ */

static int copy_rest(MirrorState *s)
{
    uint64_t at = 0;
    uint64_t copied;
    bool is_read;
    int ret;

    do {
        ret = copy_next(s, &at, &copied, &is_read);
    } while (ret == 0 && copied);
    return ret == 0 ? block_flush(s->target) : ret;
}

/* Nothing of the job stands between its nodes any more. */
static void let_go(MirrorState *s)
{
    if (s->filter) {
        ((FilterState *)s->filter->state)->mirror = NULL;
        block_node_replace(s->filter, s->source, NULL);
        block_node_unref(s->filter);
        s->filter = NULL;
    }
    block_backend_unref(s->read);
    block_backend_unref(s->write);
    s->read = s->write = NULL;
}

static bool mirror_prepare(BlockJob *job, GError **error)
{
    MirrorState *s = block_job_state(job);
    bool pivot = block_job_completing(job) && !block_job_cancelled(job);
    bool ok = true;
    int ret;

    block_node_drain_begin(s->source);
    ret = copy_rest(s);
    if (ret < 0) {
        block_error_set_errno(error, ret, "Could not bring '%s' up to date",
                              s->target->name);
        ok = false;
    } else if (pivot) {
        BlockNode *old = s->replaces ? s->replaces : s->source;

        let_go(s);
        ok = block_node_replace(old, s->target, error);
        if (ok && s->commit) {
            s->target_was_read_only = false; /* it is the disk now */
        }
    }
    block_node_drain_end(s->source);
    return ok;
}

static void mirror_clean(BlockJob *job)
{
    MirrorState *s = block_job_state(job);

    block_node_drain_begin(s->source);
    let_go(s);
    if (s->dirty) {
        block_dirty_bitmap_release(s->dirty);
    }
    block_node_drain_end(s->source);
    if (s->target_was_read_only) {
        block_node_reopen_read_only(s->target, true, NULL);
    }
    block_range_lock_clear(&s->ranges);
    block_node_unref(s->replaces);
    block_node_unref(s->base);
    block_node_unref(s->target);
    block_node_unref(s->source);
    free(s->buf);
}

static const BlockJobDriver mirror_driver = {
    .type = "mirror",
    .state_size = sizeof(MirrorState),
    .run = mirror_run,
    .prepare = mirror_prepare,
    .clean = mirror_clean,
    .can_complete = true,
};

static const BlockJobDriver active_commit_driver = {
    .type = "commit",
    .state_size = sizeof(MirrorState),
    .run = mirror_run,
    .prepare = mirror_prepare,
    .clean = mirror_clean,
    .can_complete = true,
};

/* ---- Making one ---------------------------------------------------------- */

static bool check_params(const BlockMirrorParams *p, GError **error)
{
    int64_t source_length = block_length(p->source);
    int64_t target_length = block_length(p->target);

    if (p->source == p->target) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Can't mirror node into itself");
        return false;
    }
    if (p->sync != BLOCK_SYNC_FULL && p->sync != BLOCK_SYNC_TOP &&
        p->sync != BLOCK_SYNC_NONE) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP,
                    "Sync mode '%s' not supported",
                    p->sync == BLOCK_SYNC_BITMAP ? "bitmap" : "incremental");
        return false;
    }
    if (p->granularity && (p->granularity < 512 ||
                           p->granularity > 64 * 1024 * 1024)) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Parameter 'granularity' "
                    "expects a value in range [512B, 64MB]");
        return false;
    }
    if (p->granularity & (p->granularity - 1)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter 'granularity' expects a power of 2");
        return false;
    }
    if (!block_chain_check_jobs(p->source, p->commit
                                               ? p->target
                                               : block_node_below(p->source),
                                error) ||
        !block_node_check_job(p->target, error)) {
        return false;
    }
    if (source_length < 0 || target_length < source_length) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Source and target image "
                    "have different sizes");
        return false;
    }
    return true;
}

static bool take_permissions(MirrorState *s, GError **error)
{
    unsigned unchanged = BLOCK_PERM_WRITE_UNCHANGED;

    s->read = block_backend_new(NULL, "mirror source",
                                BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL);
    s->write = block_backend_new(NULL, "mirror target",
                                 s->commit ? unchanged : BLOCK_PERM_WRITE,
                                 BLOCK_PERM_ALL &
                                     ~(unsigned)BLOCK_PERM_RESIZE);
    if (!block_backend_attach(s->read, s->source, error) ||
        !block_backend_attach(s->write, s->target, error)) {
        return false;
    }
    return true;
}

static bool insert_filter(MirrorState *s, const BlockMirrorParams *p,
                          GError **error)
{
    json_t *options;

    if (!p->write_blocking) {
        return true;
    }
    options = json_pack("{s:s, s:s}", "driver", "mirror_top", "file",
                        s->source->name);
    if (p->filter_name) {
        json_object_set_new(options, "node-name",
                            json_string(p->filter_name));
    }
    s->filter = block_node_open(options, s->source->flags &
                                             (BLOCK_OPEN_RDWR |
                                              BLOCK_OPEN_UNMAP), error);
    json_decref(options);
    if (!s->filter || !block_node_replace(s->source, s->filter, error)) {
        block_node_unref(s->filter);
        s->filter = NULL;
        return false;
    }
    ((FilterState *)s->filter->state)->mirror = s;
    return true;
}

static uint32_t default_granularity(BlockNode *target)
{
    uint32_t cluster = target->limits.cluster_size;

    return cluster ? MAX(4096, cluster) : 65536;
}

BlockJob *block_mirror_new(const BlockMirrorParams *p, GError **error)
{
    BlockJob *job;
    MirrorState *s;
    bool ok;

    if (!check_params(p, error)) {
        return NULL;
    }
    job = block_job_new(p->commit ? &active_commit_driver : &mirror_driver,
                        &p->job, error);
    if (!job) {
        return NULL;
    }
    s = block_job_state(job);
    s->source = block_node_ref(p->source);
    s->target = block_node_ref(p->target);
    s->replaces = p->replaces ? block_node_ref(p->replaces) : NULL;
    s->base = p->base ? block_node_ref(p->base) : NULL;
    s->sync = p->sync;
    s->commit = p->commit;
    s->on_source_error = p->on_source_error;
    s->on_target_error = p->on_target_error;
    block_range_lock_init(&s->ranges);
    if (posix_memalign(&s->buf, 4096, CHUNK)) {
        s->buf = NULL;
    }
    ok = s->buf != NULL;
    if (ok && p->commit && s->target->read_only) {
        ok = block_node_reopen_read_only(s->target, false, error);
        s->target_was_read_only = ok;
    }
    if (ok) {
        s->dirty = block_dirty_bitmap_new(
            s->source, NULL, p->granularity ? p->granularity
                                            : default_granularity(s->target),
            error);
        ok = s->dirty && take_permissions(s, error) &&
             insert_filter(s, p, error);
    }
    if (!ok) {
        block_job_abandon(job);
        return NULL;
    }
    block_job_take_chain(job, s->source, p->commit
                                             ? s->target
                                             : block_node_below(s->source));
    block_job_take_node(job, s->target);
    return job;
}
