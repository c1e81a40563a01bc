/* Chunk by chunk over a disk; see job-pass.h. */
#include "block/job-pass.h"

#include <errno.h>

#include "block/node-int.h"

typedef struct Chunk {
    uint64_t offset, bytes, copied;
    bool is_read;
    int ret;
} Chunk;

typedef struct Batch {
    BlockPass *pass;
    uint64_t insisted; /* the chunk that is being tried once more */
    unsigned n;
    uint64_t size; /* of chunks */
    Chunk chunk[BLOCK_PARALLEL_MAX];
} Batch;

static void run_chunk(void *opaque, unsigned index)
{
    Batch *batch = opaque;
    Chunk *c = &batch->chunk[index];

    c->ret = batch->pass->fn(batch->pass->opaque, index, c->offset, c->bytes,
                             &c->copied, &c->is_read);
}

static void fill(Batch *batch, uint64_t at, uint64_t length, unsigned workers)
{
    for (batch->n = 0; batch->n < workers && at < length; batch->n++) {
        uint64_t bytes = MIN(length - at, batch->size);

        batch->chunk[batch->n] = (Chunk){ .offset = at, .bytes = bytes };
        at += bytes;
    }
}

/* False: the job fails with it.  *again: the chunk is done once more. */
static bool after_error(BlockJob *job, Batch *batch, const Chunk *c,
                        bool *again)
{
    BlockPass *pass = batch->pass;

    if (!block_job_error_action(job, pass->on_error, c->is_read, c->ret,
                                again)) {
        return false;
    }
    if (!*again && pass->insist && batch->insisted != c->offset) {
        batch->insisted = c->offset;
        *again = true;
    }
    if (!*again && pass->ignored == 0) {
        pass->ignored = c->ret;
    }
    return true;
}

/* Counts what went well up to the first error, and moves *at behind it. */
static int settle(BlockJob *job, Batch *batch, uint64_t *at)
{
    for (unsigned i = 0; i < batch->n; i++) {
        const Chunk *c = &batch->chunk[i];
        bool failed = c->ret < 0;
        bool again = false;

        if (failed && !after_error(job, batch, c, &again)) {
            return c->ret;
        }
        if (!again) {
            *at = c->offset + c->bytes;
            block_job_add_progress(job, c->bytes);
        }
        if (failed) {
            break;
        }
    }
    return 0;
}

uint64_t block_pass_chunk(const BlockJobPerf *perf)
{
    uint64_t chunk = MIN(perf->max_chunk, BLOCK_JOB_CHUNK_MAX);

    return chunk ? ROUND_UP_TO(chunk, 65536) : BLOCK_PASS_CHUNK;
}

int block_job_pass(BlockJob *job, uint64_t length, BlockPass *pass)
{
    Batch batch = { .pass = pass, .insisted = UINT64_MAX,
                    .size = block_pass_chunk(&pass->perf) };
    unsigned workers = CLAMP(pass->perf.workers ? pass->perf.workers
                                                : BLOCK_PASS_WORKERS,
                             1, BLOCK_PARALLEL_MAX);
    uint64_t at = 0;

    block_job_set_total(job, length);
    while (at < length) {
        uint64_t copied = 0;
        int ret;

        if (block_job_pause_point(job)) {
            return -ECANCELED;
        }
        fill(&batch, at, length, block_job_limited(job) ? 1 : workers);
        block_parallel(batch.n, run_chunk, &batch);
        for (unsigned i = 0; i < batch.n; i++) {
            copied += batch.chunk[i].copied;
        }
        ret = settle(job, &batch, &at);
        if (ret < 0) {
            return ret;
        }
        block_job_throttle(job, copied);
    }
    return 0;
}
