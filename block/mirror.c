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
#include "block/filter.h"
#include "block/monitor-nodes.h"
#include "block/node-int.h"
#include "block/parallel.h"
#include "block/range-lock.h"

#define CHUNK (1024 * 1024)
#define LIMITED_CHUNK 65536 /* of a job that is to go slowly */
#define DEFAULT_BUF (10 * CHUNK) /* bytes in flight */
#define ZERO_CHUNK (UINT64_C(1) << 30) /* of known zeroes at once */
#define IDLE_US 100000 /* between looks at the bitmap when in step */

typedef struct MirrorState {
    BlockNode *source, *target, *replaces; /* own references */
    BlockNode *filter; /* if named or write-blocking; own reference */
    bool write_blocking;
    bool frozen; /* source to base, of a commit */
    BlockBackend *read, *write; /* hold the permissions */
    BlockDirtyBitmap *dirty;
    BlockRangeLock ranges; /* copies against writes through the filter */
    BlockSync sync;
    BlockNode *base; /* own reference or NULL */
    BlockErrorPolicy on_source_error, on_target_error;
    unsigned workers; /* 1..BLOCK_PARALLEL_MAX */
    void *buf[BLOCK_PARALLEL_MAX]; /* CHUNK bytes each, when first needed */
    bool commit;
    bool target_was_read_only;
} MirrorState;

/* ---- The filter ---------------------------------------------------------- */

typedef struct FilterState {
    MirrorState *mirror; /* set once the job exists, cleared drained */
} FilterState;

/* iov NULL: zeroes. */
static int write_both(BlockNode *node, uint64_t offset, uint64_t bytes,
                      const struct iovec *iov, int niov, unsigned flags)
{
    MirrorState *job = ((FilterState *)node->state)->mirror;
    MirrorState *m = job && job->write_blocking ? job : NULL;
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

const BlockDriver block_driver_mirror_top = {
    .name = "mirror_top",
    .flags = BLOCK_DRIVER_FILTER,
    .state_size = sizeof(FilterState),
    .options = block_filter_options,
    .open = block_filter_open,
    .preadv = block_filter_preadv,
    .pwritev = write_both,
    .pwrite_zeroes = filter_pwrite_zeroes,
    .pdiscard = block_filter_pdiscard,
    .fua_native = true,
    .get_length = block_filter_get_length,
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

/* An area whose bits were cleared and whose range is held. */
typedef struct Area {
    BlockRange range;
    uint64_t offset, bytes;
    uint64_t copied; /* all, once it ended well */
    bool is_read;    /* whose fault an error was */
    int ret;
} Area;

typedef struct Batch {
    MirrorState *s;
    unsigned n;
    Area area[BLOCK_PARALLEL_MAX];
} Batch;

/* One extent at the start of [offset, offset + *bytes); *bytes: what it was. */
static int copy_extent(MirrorState *s, uint64_t offset, uint64_t *bytes,
                       void **buf, bool *is_read)
{
    BlockStatus status;
    int ret;

    *is_read = false;
    if (block_status(s->source, offset, *bytes, &status) == 0) {
        *bytes = MIN(*bytes, status.bytes);
        if (status.flags & BLOCK_STATUS_ZERO) {
            return block_pwrite_zeroes(s->target, offset, *bytes,
                                       BLOCK_REQ_MAY_UNMAP);
        }
    }
    if (!*buf && posix_memalign(buf, 4096, CHUNK)) {
        *buf = NULL;
        return -ENOMEM;
    }
    *bytes = MIN(*bytes, CHUNK);
    ret = block_pread(s->source, offset, *bytes, *buf, 0);
    *is_read = ret < 0;
    return ret < 0 ? ret : block_pwrite(s->target, offset, *bytes, *buf, 0);
}

static void copy_area(void *opaque, unsigned index)
{
    Batch *batch = opaque;
    Area *a = &batch->area[index];

    while (a->copied < a->bytes && a->ret == 0) {
        uint64_t n = a->bytes - a->copied;

        a->ret = copy_extent(batch->s, a->offset + a->copied, &n,
                             &batch->s->buf[index], &a->is_read);
        a->copied += a->ret == 0 ? n : 0;
    }
}

/*
 * Takes the next dirty area from *at on: whole granules, whose bits are
 * cleared, long if it looks like zeroes and at most `max` otherwise.  False
 * when there is none up to the end.
 */
static bool take_area(MirrorState *s, uint64_t max, uint64_t *at, Area *a)
{
    uint64_t granule = block_dirty_bitmap_granularity(s->dirty);
    uint64_t size = block_dirty_bitmap_size(s->dirty);
    BlockStatus status;

    *a = (Area){ .ret = 0 };
    if (*at >= size ||
        !block_dirty_bitmap_next_area(s->dirty, *at, size - *at, ZERO_CHUNK,
                                      &a->offset, &a->bytes)) {
        return false;
    }
    a->offset &= ~(granule - 1);
    a->bytes = MIN(ROUND_UP_TO(a->bytes, granule), size - a->offset);
    if (block_status(s->source, a->offset, a->bytes, &status) < 0 ||
        !(status.flags & BLOCK_STATUS_ZERO)) {
        a->bytes = MIN(a->bytes, MAX(granule, max));
    } else {
        a->bytes = MIN(a->bytes, ROUND_UP_TO(status.bytes, granule));
    }
    block_range_acquire(&s->ranges, &a->range, a->offset, a->bytes, true);
    block_dirty_bitmap_reset(s->dirty, a->offset, a->bytes);
    *at = a->offset + a->bytes;
    return true;
}

/* Puts back all of an area that failed, and lets guests write there again. */
static void give_area(MirrorState *s, Area *a)
{
    if (a->ret < 0) {
        block_dirty_bitmap_set(s->dirty, a->offset, a->bytes);
        a->copied = 0;
    }
    block_range_release(&s->ranges, &a->range);
}

/*
 * Copies dirty areas of up to `max`, `workers` of them at the same time.
 * *copied 0: nothing was dirty.  The first error, if any; others are met
 * again.
 */
static int copy_next(MirrorState *s, unsigned workers, uint64_t max,
                     uint64_t *at, uint64_t *copied, bool *is_read)
{
    Batch batch = { .s = s };
    uint64_t from = *at;
    int ret = 0;

    *copied = 0;
    while (batch.n < workers &&
           take_area(s, max, &from, &batch.area[batch.n])) {
        batch.n++;
    }
    if (batch.n == 0 && *at) {
        from = 0;
        batch.n = take_area(s, max, &from, &batch.area[0]);
    }
    if (batch.n == 0) {
        return 0;
    }
    block_parallel(batch.n, copy_area, &batch);
    *at = from;
    for (unsigned i = 0; i < batch.n; i++) {
        Area *a = &batch.area[i];

        give_area(s, a);
        *copied += a->copied;
        if (a->ret < 0 && ret == 0) {
            ret = a->ret;
            *is_read = a->is_read;
            *at = a->offset;
        }
    }
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
    for (;;) {
        uint64_t copied;
        bool is_read = false;
        bool limited;
        bool asked = block_job_completing(job) ||
                     (ready && block_job_cancelled(job));

        block_job_set_left(job, block_dirty_bitmap_count(s->dirty));
        block_job_pause_point(job);
        if (block_job_cancelled_hard(job)) {
            return -ECANCELED;
        }
        limited = block_job_limited(job);
        ret = copy_next(s, limited ? 1 : s->workers,
                        limited ? LIMITED_CHUNK : CHUNK, &at, &copied,
                        &is_read);
        if (ret < 0) {
            block_job_add_progress(job, copied);
            if (!handle_error(job, s, ret, is_read)) {
                return ret;
            }
            block_job_sleep(job, IDLE_US);
            continue;
        }
        block_job_add_progress(job, copied);
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

/* In a drained section, which other threads could not enter. */
static int copy_rest(BlockJob *job, MirrorState *s)
{
    uint64_t at = 0;
    uint64_t copied;
    bool is_read;
    int ret;

    do {
        ret = copy_next(s, 1, CHUNK, &at, &copied, &is_read);
        block_job_add_progress(job, copied);
    } while (ret == 0 && copied);
    block_job_set_left(job, block_dirty_bitmap_count(s->dirty));
    return ret == 0 ? block_flush(s->target) : ret;
}

/* Nothing of the job stands between its nodes any more. */
static void let_go(MirrorState *s)
{
    if (s->frozen) {
        block_chain_thaw(s->source, s->target);
        s->frozen = false;
    }
    if (s->filter) {
        ((FilterState *)s->filter->state)->mirror = NULL;
        block_filter_remove(s->filter);
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
    ret = copy_rest(job, s);
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
    for (unsigned i = 0; i < BLOCK_PARALLEL_MAX; i++) {
        free(s->buf[i]);
    }
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

    if (!p->write_blocking && !p->filter_name) {
        return true;
    }
    options = json_pack("{s:s, s:s}", "driver", "mirror_top", "file",
                        s->source->name);
    s->filter = block_filter_insert(s->source, options, p->filter_name,
                                    s->source->flags & (BLOCK_OPEN_RDWR |
                                                        BLOCK_OPEN_UNMAP),
                                    error);
    if (!s->filter) {
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
    s->write_blocking = p->write_blocking;
    s->on_source_error = p->on_source_error;
    s->on_target_error = p->on_target_error;
    block_range_lock_init(&s->ranges);
    s->workers = CLAMP((p->buf_size ? p->buf_size : DEFAULT_BUF) / CHUNK, 1,
                       BLOCK_PARALLEL_MAX);
    ok = true;
    if (p->commit && s->target->read_only) {
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
    if (p->commit) {
        block_chain_freeze(s->source, s->target);
        s->frozen = true;
    }
    if (p->sync == BLOCK_SYNC_FULL) {
        block_job_set_total(job, MAX(block_length(s->source), 0));
    }
    block_job_take_chain(job, s->source, p->commit
                                             ? s->target
                                             : block_node_below(s->source));
    block_job_take_node(job, s->target);
    return job;
}
