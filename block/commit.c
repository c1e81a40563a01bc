/*
 * Job "commit": copies a node into one below it, then drops what is between.
 *
 *     active -> ... -> overlay -> commit_top -> top -> ... -> base
 *
 * The filter commit_top makes the job visible in the chain and can be named.
 * A commit of the active node is a mirror into its backing node (mirror.c).
 */
#include "block/jobs.h"

#include <errno.h>
#include <stdlib.h>

#include "block/backend.h"
#include "block/filter.h"
#include "block/job-pass.h"
#include "block/monitor-nodes.h"
#include "block/node-int.h"

/* ---- The filter ---------------------------------------------------------- */

const BlockDriver block_driver_commit_top = {
    .name = "commit_top",
    .flags = BLOCK_DRIVER_FILTER,
    .options = block_filter_options,
    .open = block_filter_open,
    .preadv = block_filter_preadv,
    .get_length = block_filter_get_length,
};

/* ---- The job ------------------------------------------------------------- */

typedef struct CommitState {
    BlockNode *overlay, *top, *base; /* own references */
    BlockNode *filter;               /* own reference; NULL: gone */
    BlockBackend *write; /* holds the permission on base */
    char *backing_file;
    BlockJobPerf perf;
    BlockErrorPolicy on_error;
    bool base_was_read_only;
    void *buf[BLOCK_PARALLEL_MAX]; /* a chunk each, when first needed */
} CommitState;

/* One extent of [at, at + *n); *n: how long it was. */
static int commit_extent(CommitState *s, unsigned worker, uint64_t at,
                         uint64_t *n, uint64_t *copied, bool *is_read)
{
    void **buf = &s->buf[worker];
    BlockStatus status;
    int ret = block_is_allocated_above(s->top, s->base, at, *n, n);

    *is_read = true;
    if (ret <= 0) {
        return ret;
    }
    ret = block_status(s->top, at, *n, &status);
    if (ret == 0 && (status.flags & BLOCK_STATUS_ZERO)) {
        *is_read = false;
        *n = MIN(*n, status.bytes);
        return block_pwrite_zeroes(s->base, at, *n, BLOCK_REQ_MAY_UNMAP);
    }
    if (!*buf && posix_memalign(buf, 4096,
                                block_pass_chunk(&s->perf))) {
        *buf = NULL;
        return -ENOMEM;
    }
    ret = block_pread(s->top, at, *n, *buf, 0);
    if (ret < 0) {
        return ret;
    }
    *is_read = false;
    *copied += *n;
    return block_pwrite(s->base, at, *n, *buf, 0);
}

static int commit_chunk(void *opaque, unsigned worker, uint64_t offset,
                        uint64_t bytes, uint64_t *copied, bool *is_read)
{
    int ret = 0;

    for (uint64_t done = 0, n; done < bytes && ret == 0; done += n) {
        n = bytes - done;
        ret = commit_extent(opaque, worker, offset + done, &n, copied,
                            is_read);
    }
    return ret;
}

static int commit_run(BlockJob *job)
{
    CommitState *s = block_job_state(job);
    BlockPass pass = { .fn = commit_chunk, .opaque = s, .perf = s->perf,
                       .on_error = s->on_error, .insist = true };
    int ret = block_job_pass(job, MAX(block_length(s->top), 0), &pass);

    /* What could not be copied is in top alone: that must stay. */
    ret = ret < 0 ? ret : pass.ignored;
    return ret < 0 ? ret : block_flush(s->base);
}

/* Nothing of the job stands between its nodes any more. */
static void let_go(CommitState *s)
{
    block_backend_unref(s->write);
    s->write = NULL;
    if (s->filter) {
        block_chain_thaw(s->filter, s->base);
        block_filter_remove(s->filter);
        s->filter = NULL;
    }
}

static bool commit_prepare(BlockJob *job, GError **error)
{
    CommitState *s = block_job_state(job);
    const char *name = s->backing_file ? s->backing_file
                                       : block_node_filename(s->base);
    bool was_read_only = s->overlay->read_only;
    bool ok;

    let_go(s);
    if (was_read_only &&
        !block_node_reopen_read_only(s->overlay, false, error)) {
        return false;
    }
    ok = block_node_change_backing_file(s->overlay, name,
                                        s->base->driver->name, error) &&
         block_node_set_backing(s->overlay, s->base, error);
    if (was_read_only) {
        block_node_reopen_read_only(s->overlay, true, NULL);
    }
    return ok;
}

static void commit_clean(BlockJob *job)
{
    CommitState *s = block_job_state(job);

    let_go(s);
    if (s->base_was_read_only) {
        block_node_reopen_read_only(s->base, true, NULL);
    }
    block_node_unref(s->overlay);
    block_node_unref(s->top);
    block_node_unref(s->base);
    g_free(s->backing_file);
    for (unsigned i = 0; i < BLOCK_PARALLEL_MAX; i++) {
        free(s->buf[i]);
    }
}

static const BlockJobDriver commit_driver = {
    .type = "commit",
    .state_size = sizeof(CommitState),
    .run = commit_run,
    .prepare = commit_prepare,
    .clean = commit_clean,
};

static bool insert_filter(CommitState *s, const char *name, GError **error)
{
    json_t *options = json_pack("{s:s, s:s, s:b}", "driver", "commit_top",
                                "file", s->top->name, "read-only", true);

    s->filter = block_filter_insert(s->top, options, name, 0, error);
    if (s->filter) {
        block_chain_freeze(s->filter, s->base);
    }
    return s->filter != NULL;
}

static bool commit_setup(CommitState *s, GError **error)
{
    int64_t length = block_length(s->top);

    if (s->base->read_only) {
        if (!block_node_reopen_read_only(s->base, false, error)) {
            return false;
        }
        s->base_was_read_only = true;
    }
    if (length > block_length(s->base) &&
        !block_truncate(s->base, length, false, BLOCK_PREALLOC_OFF, error)) {
        return false;
    }
    s->write = block_backend_new(NULL, "commit base",
                                 BLOCK_PERM_WRITE_UNCHANGED, BLOCK_PERM_ALL);
    return block_backend_attach(s->write, s->base, error);
}

BlockJob *block_commit_new(const BlockCommitParams *p, GError **error)
{
    BlockNode *overlay = p->active;
    BlockJob *job;
    CommitState *s;

    while (overlay && block_node_backing(overlay) != p->top) {
        overlay = block_node_below(overlay);
    }
    if (!overlay) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Top image file %s not found in the backing chain",
                    p->top->name);
        return NULL;
    }
    if (!block_node_check_job(p->active, error) ||
        !block_chain_check_jobs(p->top, p->base, error) ||
        !block_node_check_job(p->base, error) ||
        !block_node_check_job(overlay, error)) {
        return NULL;
    }
    job = block_job_new(&commit_driver, &p->job, error);
    if (!job) {
        return NULL;
    }
    s = block_job_state(job);
    s->overlay = block_node_ref(overlay);
    s->top = block_node_ref(p->top);
    s->base = block_node_ref(p->base);
    s->backing_file = g_strdup(p->backing_file);
    s->perf = p->perf;
    s->on_error = p->on_error;
    if (!commit_setup(s, error) ||
        !insert_filter(s, p->filter_name, error)) {
        block_job_abandon(job);
        return NULL;
    }
    if (overlay != p->active) {
        block_job_take_node(job, overlay);
    }
    block_job_take_node(job, p->active);
    block_job_take_chain(job, s->filter, s->base);
    block_job_take_node(job, s->base);
    return job;
}
