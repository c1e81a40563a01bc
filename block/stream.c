/*
 * Job "stream": copies what is below a node into it, through a copy-on-read
 * filter above it, then drops what was copied from its backing chain.
 */
#include "block/jobs.h"

#include "block/copy-on-read.h"
#include "block/filter.h"
#include "block/job-pass.h"
#include "block/monitor-nodes.h"
#include "block/node-int.h"

/*
 * Others may change what is below bottom while the job runs, for example end
 * a commit into base: what is kept below the image is looked up at the end.
 */
typedef struct StreamState {
    BlockNode *top, *bottom, *filter; /* own references */
    bool to_base; /* something stays below bottom */
    char *backing_file;
    BlockJobPerf perf;
    BlockErrorPolicy on_error;
    bool was_read_only;
    bool frozen; /* top to bottom */
} StreamState;

static int stream_chunk(void *opaque, unsigned worker, uint64_t offset,
                        uint64_t bytes, uint64_t *copied, bool *is_read)
{
    StreamState *s = opaque;
    BlockGate *gate = &block_core(s->filter)->gate;
    int ret;

    *is_read = true;
    block_gate_enter(gate);
    ret = block_cor_populate(s->filter, offset, bytes, copied);
    block_gate_leave(gate);
    return ret;
}

static int stream_run(BlockJob *job)
{
    StreamState *s = block_job_state(job);
    BlockPass pass = { .fn = stream_chunk, .opaque = s, .perf = s->perf,
                       .on_error = s->on_error };
    int ret = block_job_pass(job, MAX(block_length(s->top), 0), &pass);

    /* What could not be copied is still below: that must stay. */
    ret = ret < 0 ? ret : pass.ignored;
    return ret < 0 ? ret : block_flush(s->top);
}

static void thaw(StreamState *s)
{
    if (s->frozen) {
        block_chain_thaw(s->top, s->bottom);
        s->frozen = false;
    }
}

static bool stream_prepare(BlockJob *job, GError **error)
{
    StreamState *s = block_job_state(job);
    BlockNode *base = s->to_base ? block_node_backing(s->bottom) : NULL;
    BlockNode *image = base ? block_node_skip_filters(base) : NULL;
    const char *name = s->backing_file ? s->backing_file
                       : image ? block_node_filename(image) : NULL;

    thaw(s);
    return block_node_change_backing_file(s->top, name,
                                          image ? image->driver->name : NULL,
                                          error) &&
           block_node_set_backing(s->top, base, error);
}

static void stream_clean(BlockJob *job)
{
    StreamState *s = block_job_state(job);

    thaw(s);
    block_filter_remove(s->filter);
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

    if (p->base) {
        json_object_set_new(options, "bottom", json_string(bottom->name));
    }
    return block_filter_insert(p->top, options, p->filter_name,
                               p->top->flags & (BLOCK_OPEN_RDWR |
                                                BLOCK_OPEN_UNMAP), error);
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
    s->perf = p->perf;
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
    block_chain_freeze(s->top, s->bottom);
    s->frozen = true;
    block_job_take_node(job, s->filter);
    block_job_take_chain(job, s->top, p->base);
    return job;
}
