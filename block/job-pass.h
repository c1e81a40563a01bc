/*
 * A job's pass over a disk from its start to its end, in chunks.
 *
 *     | 0 | 1 | 2 | ... one batch: side by side, each by a worker | next ...
 *
 * A chunk that fails is done again or skipped, as the error policy says, and
 * the pass goes on behind it: chunks after it may be done twice.
 *
 * Eight at a time against one (ninja -C build job-bench, medians): streaming
 * from an NBD server that answers after a millisecond 2.3 times as fast,
 * from local files 0.9 to 1.1, committing between local files 0.8 to 1.0.
 * Slow sources are what makes people wait, hence the default.
 */
#ifndef BLOCK_JOB_PASS_H
#define BLOCK_JOB_PASS_H

#include "block/jobs.h"
#include "block/parallel.h"

#define BLOCK_PASS_CHUNK ((uint64_t)512 * 1024) /* unless told otherwise */
#define BLOCK_PASS_WORKERS 8u

/* Part of a disk, at most a chunk.  0 or -errno; adds to *copied what it
 * moved; *is_read tells whose fault an error was.  Workers are numbered. */
typedef int BlockPassFn(void *opaque, unsigned worker, uint64_t offset,
                        uint64_t bytes, uint64_t *copied, bool *is_read);

typedef struct BlockPass {
    BlockPassFn *fn;
    void *opaque;
    BlockJobPerf perf; /* one worker while there is a speed limit */
    BlockErrorPolicy on_error;
    bool insist; /* what the policy ignores is tried once more */
    int ignored; /* out: the first error that was skipped */
} BlockPass;

/* The bytes of one chunk, at most. */
uint64_t block_pass_chunk(const BlockJobPerf *perf);
/* 0, or the error to end with. */
int block_job_pass(BlockJob *job, uint64_t length, BlockPass *pass);

#endif
