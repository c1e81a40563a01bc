/*
 * The backup job: a point in time of a disk goes to a target.
 *
 * A copy-before-write filter is put above the source when the job is made;
 * the job then copies what is left, and the filter what the guest is about to
 * overwrite.  A bitmap given to the job gets a successor at the same moment,
 * which takes its place or goes back into it at the end.
 */
#include "block/jobs.h"

#include <errno.h>
#include <string.h>

#include "block/block-copy.h"
#include "block/filter.h"
#include "block/monitor-nodes.h"
#include "block/node-int.h"
#include "block/parallel.h"

#define CHUNK (1024 * 1024)
#define WORKERS 8

typedef struct BackupState {
    BlockNode *source, *filter; /* own references */
    BlockDirtyBitmap *bitmap;
    BlockBitmapMode mode;
    BlockSync sync;
    BlockErrorPolicy on_source_error, on_target_error;
    bool success;
    unsigned workers; /* 1..BLOCK_PARALLEL_MAX */
    uint64_t chunk;
    uint64_t left; /* to copy, when progress was last noted */
} BackupState;

/* Pieces that are copied at the same time. */
typedef struct Piece {
    uint64_t offset, copied;
    bool is_read; /* whose fault an error was */
    int ret;
} Piece;

typedef struct Batch {
    BackupState *s;
    unsigned n;
    Piece piece[BLOCK_PARALLEL_MAX];
} Batch;

/* Inside the filter's gate, so that its children stay. */
static void copy_piece(void *opaque, unsigned index)
{
    Batch *batch = opaque;
    Piece *p = &batch->piece[index];
    BlockNode *filter = batch->s->filter;
    BlockGate *gate = &block_core(filter)->gate;

    block_gate_enter(gate);
    p->ret = block_copy_range(block_cbw_copy(filter), p->offset,
                              batch->s->chunk, &p->copied, &p->is_read);
    block_gate_leave(gate);
}

/* The next pieces to do from `at` on. */
static void fill_batch(Batch *batch, uint64_t at, unsigned max)
{
    const BlockCopy *copy = block_cbw_copy(batch->s->filter);

    batch->n = 0;
    while (batch->n < max && block_copy_next(copy, at, &at)) {
        batch->piece[batch->n++] = (Piece){ .offset = at };
        at += batch->s->chunk;
    }
}

/* Errors in turn.  0, or the error to end with; *at: where to go on. */
static int after_batch(BlockJob *job, Batch *batch, uint64_t *at)
{
    BackupState *s = batch->s;
    BlockCopy *copy = block_cbw_copy(s->filter);
    bool failed = false;

    for (unsigned i = 0; i < batch->n; i++) {
        Piece *p = &batch->piece[i];
        bool retry;

        if (p->ret == 0) {
            continue;
        }
        if (!block_job_error_action(job, p->is_read ? s->on_source_error
                                                    : s->on_target_error,
                                    p->is_read, p->ret, &retry)) {
            return p->ret;
        }
        if (!retry && block_copy_next(copy, p->offset, &p->offset)) {
            block_copy_skip(copy, p->offset, copy->cluster);
        }
        *at = failed ? *at : p->offset;
        failed = true;
    }
    if (!failed) {
        *at = batch->piece[batch->n - 1].offset + 1;
    }
    return 0;
}

/* Guest writes make progress for us, too. */
static void note_progress(BlockJob *job, BackupState *s)
{
    uint64_t now = block_copy_left(block_cbw_copy(s->filter));

    block_job_add_progress(job, s->left - MIN(now, s->left));
    s->left = MIN(now, s->left);
}

/* One pass over what is to do. */
static int copy_all(BlockJob *job, BackupState *s)
{
    uint64_t at = 0;
    Batch batch = { .s = s };

    for (;;) {
        uint64_t copied = 0;
        int ret;

        fill_batch(&batch, at, block_job_limited(job) ? 1 : s->workers);
        if (batch.n == 0) {
            return 0;
        }
        if (block_job_pause_point(job)) {
            return -ECANCELED;
        }
        block_parallel(batch.n, copy_piece, &batch);
        for (unsigned i = 0; i < batch.n; i++) {
            copied += batch.piece[i].copied;
        }
        ret = after_batch(job, &batch, &at);
        if (ret < 0) {
            return ret;
        }
        note_progress(job, s);
        block_job_throttle(job, copied);
    }
}

static int backup_run(BlockJob *job)
{
    BackupState *s = block_job_state(job);
    int ret = 0;

    if (s->sync == BLOCK_SYNC_NONE) {
        while (!block_job_sleep(job, G_USEC_PER_SEC)) {
            note_progress(job, s);
        }
        note_progress(job, s);
        return -ECANCELED;
    }
    ret = copy_all(job, s);
    if (ret == 0) {
        BlockGate *gate = &block_core(s->filter)->gate;

        block_gate_enter(gate);
        ret = block_flush(block_cbw_copy(s->filter)->target);
        block_gate_leave(gate);
    }
    return ret;
}

static void backup_commit(BlockJob *job)
{
    BackupState *s = block_job_state(job);

    s->success = true;
}

/* Bits not copied go back into a bitmap that has moved on. */
static void restore_uncopied(BackupState *s)
{
    BlockCopy *copy = block_cbw_copy(s->filter);
    uint64_t at = 0;

    while (block_copy_next(copy, at, &at)) {
        block_dirty_bitmap_set(s->bitmap, at,
                               MIN(copy->cluster, copy->length - at));
        at += copy->cluster;
    }
}

static void finish_bitmap(BackupState *s)
{
    bool advance = s->mode == BLOCK_BITMAP_ALWAYS ||
                   (s->mode == BLOCK_BITMAP_ON_SUCCESS && s->success);

    if (!s->bitmap || !block_dirty_bitmap_has_successor(s->bitmap)) {
        return;
    }
    if (advance) {
        block_dirty_bitmap_abdicate(s->bitmap);
        if (!s->success) {
            restore_uncopied(s);
        }
    } else {
        block_dirty_bitmap_reclaim(s->bitmap);
    }
}

static void backup_clean(BlockJob *job)
{
    BackupState *s = block_job_state(job);

    if (s->filter) {
        block_node_drain_begin(s->filter);
        finish_bitmap(s);
        block_node_replace(s->filter, s->source, NULL);
        block_node_drain_end(s->filter);
        block_node_unref(s->filter);
        block_node_unref(s->source);
        s->filter = NULL;
    }
}

static const BlockJobDriver backup_driver = {
    .type = "backup",
    .state_size = sizeof(BackupState),
    .run = backup_run,
    .commit = backup_commit,
    .clean = backup_clean,
};

/* ---- Making one ---------------------------------------------------------- */

static bool check_nodes(const BlockBackupParams *p, GError **error)
{
    int64_t source_length = block_length(p->source);
    int64_t target_length = block_length(p->target);

    if (p->source == p->target) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Source and target cannot be the same");
        return false;
    }
    if (p->compress && !p->target->driver->can_compress) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP,
                    "Compression is not supported for this drive %s",
                    p->target->name);
        return false;
    }
    if (!block_node_check_job(p->source, error) ||
        !block_node_check_job(p->target, error)) {
        return false;
    }
    if (source_length < 0 || target_length < 0) {
        block_error_set_errno(error, MIN(source_length, target_length),
                              "Unable to get length for '%s'",
                              source_length < 0 ? p->source->name
                                                : p->target->name);
        return false;
    }
    if (source_length != target_length) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Source and target image have different sizes");
        return false;
    }
    return true;
}

static bool check_bitmap(const BlockBackupParams *p, GError **error)
{
    return !p->bitmap || block_dirty_bitmap_check(p->bitmap,
                                                  BLOCK_BITMAP_ALLOW_RO,
                                                  error);
}

static BlockNode *insert_filter(const BlockBackupParams *p, GError **error)
{
    json_t *options = json_pack("{s:s, s:s, s:s}", "driver",
                                "copy-before-write", "file", p->source->name,
                                "target", p->target->name);

    return block_filter_insert(p->source, options, p->filter_name,
                               p->source->flags & BLOCK_OPEN_RDWR
                                   ? BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP : 0,
                               error);
}

static void setup_copy(const BlockBackupParams *p, BlockCopy *copy)
{
    copy->top_only = p->sync == BLOCK_SYNC_TOP;
    copy->write_flags = p->compress ? BLOCK_REQ_COMPRESSED : 0;
    if (p->sync == BLOCK_SYNC_INCREMENTAL || p->sync == BLOCK_SYNC_BITMAP) {
        block_copy_want_bitmap(copy, p->bitmap);
    }
}

BlockJob *block_backup_new(const BlockBackupParams *p, GError **error)
{
    BlockJob *job;
    BackupState *s;
    BlockNode *filter;

    if (!check_nodes(p, error) || !check_bitmap(p, error)) {
        return NULL;
    }
    block_node_drain_begin(p->source);
    job = NULL;
    filter = insert_filter(p, error);
    if (filter && p->bitmap &&
        !block_dirty_bitmap_create_successor(p->bitmap, error)) {
        block_filter_remove(filter);
        filter = NULL;
    }
    if (filter) {
        job = block_job_new(&backup_driver, &p->job, error);
        if (!job) {
            if (p->bitmap) {
                block_dirty_bitmap_reclaim(p->bitmap);
            }
            block_filter_remove(filter);
        }
    }
    if (job) {
        s = block_job_state(job);
        s->source = block_node_ref(p->source);
        s->filter = filter;
        s->bitmap = p->bitmap;
        s->mode = p->mode;
        s->workers = CLAMP(p->perf.workers ? p->perf.workers : WORKERS, 1,
                           BLOCK_PARALLEL_MAX);
        s->chunk = ROUND_UP_TO(p->perf.max_chunk ? p->perf.max_chunk : CHUNK,
                               block_cbw_copy(s->filter)->cluster);
        s->sync = p->sync;
        s->on_source_error = p->on_source_error;
        s->on_target_error = p->on_target_error;
        setup_copy(p, block_cbw_copy(filter));
        s->left = block_copy_left(block_cbw_copy(filter));
        block_job_set_total(job, s->left);
        block_job_take_node(job, p->source);
        block_job_take_node(job, p->target);
    }
    block_node_drain_end(p->source);
    return job;
}
