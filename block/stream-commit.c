/*
 * The jobs that shorten backing chains.
 *
 *   stream   copies what is below a node into it, then drops what is below
 *   commit   copies a node into one below it, then drops what is between
 *
 * A commit of the active node is a mirror into its backing node (mirror.c).
 */
#include "block/jobs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/backend.h"
#include "block/copy-on-read.h"
#include "block/monitor-nodes.h"
#include "block/node-int.h"

#define CHUNK (512 * 1024)

static const char *format_of(BlockNode *node)
{
    return node ? node->driver->name : NULL;
}

/* ---- stream -------------------------------------------------------------- */

/*
 * Others may change what is below bottom while the job runs, for example end
 * a commit into base: what is kept below the image is looked up at the end.
 */
typedef struct StreamState {
    BlockNode *top, *bottom, *filter; /* own references */
    bool to_base; /* something stays below bottom */
    char *backing_file;
    BlockErrorPolicy on_error;
    bool was_read_only;
} StreamState;

static int stream_run(BlockJob *job)
{
    StreamState *s = block_job_state(job);
    uint64_t length = MAX(block_length(s->top), 0);
    BlockGate *gate = &block_core(s->filter)->gate;
    int ignored = 0;

    block_job_set_total(job, length);
    for (uint64_t at = 0; at < length;) {
        uint64_t copied = 0;
        uint64_t n = MIN(length - at, CHUNK);
        bool retry;
        int ret;

        if (block_job_pause_point(job)) {
            return -ECANCELED;
        }
        block_gate_enter(gate);
        ret = block_cor_populate(s->filter, at, n, &copied);
        block_gate_leave(gate);
        if (ret < 0) {
            if (!block_job_error_action(job, s->on_error, true, ret,
                                        &retry)) {
                return ret;
            }
            if (retry) {
                continue;
            }
            ignored = ignored ? ignored : ret;
        }
        at += n;
        block_job_add_progress(job, n);
        block_job_throttle(job, copied);
    }
    /* What could not be copied is still below: that must stay. */
    return ignored ? ignored : block_flush(s->top);
}

static bool stream_prepare(BlockJob *job, GError **error)
{
    StreamState *s = block_job_state(job);
    BlockNode *base = s->to_base ? block_node_backing(s->bottom) : NULL;
    BlockNode *image = base ? block_node_skip_filters(base) : NULL;
    const char *name = s->backing_file ? s->backing_file
                       : image ? block_node_filename(image) : NULL;

    return block_node_change_backing_file(s->top, name, format_of(image),
                                          error) &&
           block_node_set_backing(s->top, base, error);
}

static void stream_clean(BlockJob *job)
{
    StreamState *s = block_job_state(job);

    if (s->filter) {
        block_node_replace(s->filter, s->top, NULL);
        block_node_unref(s->filter);
    }
    if (s->was_read_only) {
        block_node_reopen_read_only(s->top, true, NULL);
    }
    block_node_unref(s->bottom);
    block_node_unref(s->top);
    g_free(s->backing_file);
}

static const BlockJobDriver stream_driver = {
    .type = "stream",
    .state_size = sizeof(StreamState),
    .run = stream_run,
    .prepare = stream_prepare,
    .clean = stream_clean,
};

/* The lowest image above base: what those below it provide is not copied. */
static BlockNode *find_bottom(BlockNode *top, BlockNode *base)
{
    BlockNode *bottom = top;

    for (BlockNode *n = top; n && n != base; n = block_node_below(n)) {
        if (!block_node_filtered(n)) {
            bottom = n;
        }
    }
    return bottom;
}

static BlockNode *stream_filter(const BlockStreamParams *p, BlockNode *bottom,
                                GError **error)
{
    json_t *options = json_pack("{s:s, s:s}", "driver", "copy-on-read",
                                "file", p->top->name);
    BlockNode *filter;

    if (p->base) {
        json_object_set_new(options, "bottom", json_string(bottom->name));
    }
    if (p->filter_name) {
        json_object_set_new(options, "node-name",
                            json_string(p->filter_name));
    }
    filter = block_node_open(options, p->top->flags & (BLOCK_OPEN_RDWR |
                                                       BLOCK_OPEN_UNMAP),
                             error);
    json_decref(options);
    if (filter && !block_node_replace(p->top, filter, error)) {
        block_node_unref(filter);
        filter = NULL;
    }
    return filter;
}

BlockJob *block_stream_new(const BlockStreamParams *p, GError **error)
{
    BlockJob *job;
    StreamState *s;

    if (p->base && (p->base == p->top ||
                    !block_chain_has(p->top, p->base))) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Node '%s' is not a backing "
                    "image of '%s'", p->base->name, p->top->name);
        return NULL;
    }
    if (!block_chain_check_jobs(p->top, p->base, error)) {
        return NULL;
    }
    job = block_job_new(&stream_driver, &p->job, error);
    if (!job) {
        return NULL;
    }
    s = block_job_state(job);
    s->top = block_node_ref(p->top);
    s->bottom = block_node_ref(find_bottom(p->top, p->base));
    s->to_base = p->base != NULL;
    s->backing_file = g_strdup(p->backing_file);
    s->on_error = p->on_error;
    if (s->top->read_only) {
        s->was_read_only = block_node_reopen_read_only(s->top, false, error);
        if (!s->was_read_only) {
            block_job_abandon(job);
            return NULL;
        }
    }
    s->filter = stream_filter(p, s->bottom, error);
    if (!s->filter) {
        block_job_abandon(job);
        return NULL;
    }
    block_job_take_node(job, s->filter);
    block_job_take_chain(job, s->top, p->base);
    return job;
}

/* ---- commit -------------------------------------------------------------- */

typedef struct CommitState {
    BlockNode *overlay, *top, *base; /* own references */
    BlockBackend *write; /* holds the permission on base */
    char *backing_file;
    BlockErrorPolicy on_error;
    bool base_was_read_only;
    void *buf;
} CommitState;

static int commit_extent(CommitState *s, uint64_t at, uint64_t *n,
                         uint64_t *copied)
{
    BlockStatus status;
    int ret = block_is_allocated_above(s->top, s->base, at, *n, n);

    if (ret <= 0) {
        return ret;
    }
    ret = block_status(s->top, at, *n, &status);
    if (ret == 0 && (status.flags & BLOCK_STATUS_ZERO)) {
        *n = MIN(*n, status.bytes);
        return block_pwrite_zeroes(s->base, at, *n, BLOCK_REQ_MAY_UNMAP);
    }
    ret = block_pread(s->top, at, *n, s->buf, 0);
    *copied = *n;
    return ret < 0 ? ret : block_pwrite(s->base, at, *n, s->buf, 0);
}

static int commit_run(BlockJob *job)
{
    CommitState *s = block_job_state(job);
    uint64_t length = MAX(block_length(s->top), 0);

    block_job_set_total(job, length);
    for (uint64_t at = 0; at < length;) {
        uint64_t n = MIN(length - at, CHUNK);
        uint64_t copied = 0;
        bool retry;
        int ret;

        if (block_job_pause_point(job)) {
            return -ECANCELED;
        }
        ret = commit_extent(s, at, &n, &copied);
        if (ret < 0) {
            if (!block_job_error_action(job, s->on_error, false, ret,
                                        &retry)) {
                return ret;
            }
            if (retry) {
                continue;
            }
        }
        at += n;
        block_job_add_progress(job, n);
        block_job_throttle(job, copied);
    }
    return block_flush(s->base);
}

static bool commit_prepare(BlockJob *job, GError **error)
{
    CommitState *s = block_job_state(job);
    const char *name = s->backing_file ? s->backing_file
                                       : block_node_filename(s->base);
    bool was_read_only = s->overlay->read_only;
    bool ok;

    block_backend_unref(s->write);
    s->write = NULL;
    if (was_read_only &&
        !block_node_reopen_read_only(s->overlay, false, error)) {
        return false;
    }
    ok = block_node_change_backing_file(s->overlay, name, format_of(s->base),
                                        error) &&
         block_node_set_backing(s->overlay, s->base, error);
    if (was_read_only) {
        block_node_reopen_read_only(s->overlay, true, NULL);
    }
    return ok;
}

static void commit_clean(BlockJob *job)
{
    CommitState *s = block_job_state(job);

    block_backend_unref(s->write);
    if (s->base_was_read_only) {
        block_node_reopen_read_only(s->base, true, NULL);
    }
    block_node_unref(s->overlay);
    block_node_unref(s->top);
    block_node_unref(s->base);
    g_free(s->backing_file);
    free(s->buf);
}

static const BlockJobDriver commit_driver = {
    .type = "commit",
    .state_size = sizeof(CommitState),
    .run = commit_run,
    .prepare = commit_prepare,
    .clean = commit_clean,
};

static bool commit_setup(CommitState *s, GError **error)
{
    int64_t length = block_length(s->top);

    if (posix_memalign(&s->buf, 4096, CHUNK)) {
        s->buf = NULL;
        block_error_set_errno(error, ENOMEM, "Cannot commit '%s'",
                              s->top->name);
        return false;
    }
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
    s->on_error = p->on_error;
    if (!commit_setup(s, error)) {
        block_job_abandon(job);
        return NULL;
    }
    if (overlay != p->active) {
        block_job_take_node(job, overlay);
    }
    block_job_take_node(job, p->active);
    block_job_take_chain(job, s->top, s->base);
    block_job_take_node(job, s->base);
    return job;
}

/* ---- create -------------------------------------------------------------- */

typedef struct CreateState {
    json_t *options;
} CreateState;

static int create_run(BlockJob *job)
{
    CreateState *s = block_job_state(job);
    g_autoptr(GError) error = NULL;

    block_job_set_total(job, 1);
    if (!block_node_create(s->options, &error)) {
        block_job_set_error(job, error);
        return -block_error_errno(error);
    }
    block_job_add_progress(job, 1);
    return 0;
}

static void create_clean(BlockJob *job)
{
    CreateState *s = block_job_state(job);

    json_decref(s->options);
}

static const BlockJobDriver create_driver = {
    .type = "create",
    .state_size = sizeof(CreateState),
    .run = create_run,
    .clean = create_clean,
};

BlockJob *block_create_job_new(const char *id, json_t *options,
                               GError **error)
{
    BlockJobParams params = { .id = id, .internal = true,
                              .manual_dismiss = true };
    BlockJob *job = block_job_new(&create_driver, &params, error);

    if (job) {
        CreateState *s = block_job_state(job);

        s->options = json_incref(options);
    }
    return job;
}
