/* Starting each kind of job.  Graph lock; the job is created, not started. */
#ifndef BLOCK_JOBS_H
#define BLOCK_JOBS_H

#include "block/dirty-bitmap.h"
#include "block/job.h"

typedef enum BlockSync {
    BLOCK_SYNC_TOP,
    BLOCK_SYNC_FULL,
    BLOCK_SYNC_NONE,
    BLOCK_SYNC_INCREMENTAL,
    BLOCK_SYNC_BITMAP,
} BlockSync;
#define BLOCK_SYNC_WORDS "top/full/none/incremental/bitmap"

typedef enum BlockBitmapMode {
    BLOCK_BITMAP_ON_SUCCESS,
    BLOCK_BITMAP_NEVER,
    BLOCK_BITMAP_ALWAYS,
} BlockBitmapMode;
#define BLOCK_BITMAP_MODE_WORDS "on-success/never/always"

/* How much of the disk a job has in work at the same time; 0: default. */
typedef struct BlockJobPerf {
    unsigned workers;   /* requests at a time, up to BLOCK_PARALLEL_MAX */
    uint64_t max_chunk; /* bytes of one, up to BLOCK_JOB_CHUNK_MAX */
} BlockJobPerf;
#define BLOCK_JOB_CHUNK_MAX ((uint64_t)64 * 1024 * 1024)

typedef struct BlockBackupParams {
    BlockJobParams job;
    BlockNode *source, *target;
    BlockSync sync;
    BlockDirtyBitmap *bitmap; /* NULL: none */
    BlockBitmapMode mode;
    bool compress;
    BlockJobPerf perf;
    const char *filter_name; /* NULL: made up */
    BlockErrorPolicy on_source_error, on_target_error;
} BlockBackupParams;
BlockJob *block_backup_new(const BlockBackupParams *params, GError **error);

typedef struct BlockMirrorParams {
    BlockJobParams job;
    BlockNode *source, *target;
    BlockNode *replaces; /* NULL: source */
    BlockSync sync;      /* top, full, none */
    BlockNode *base;     /* top: what is above this; NULL: source only */
    uint32_t granularity; /* 0: default */
    uint64_t buf_size;    /* bytes in flight, 0: default */
    bool write_blocking;
    bool commit; /* an active commit: its type, and target is its backing */
    const char *filter_name;
    BlockErrorPolicy on_source_error, on_target_error;
} BlockMirrorParams;
BlockJob *block_mirror_new(const BlockMirrorParams *params, GError **error);

typedef struct BlockStreamParams {
    BlockJobParams job;
    BlockNode *top;  /* data is copied into this */
    BlockNode *base; /* NULL: everything below */
    const char *backing_file; /* recorded instead of base's name */
    const char *filter_name;
    BlockJobPerf perf;
    BlockErrorPolicy on_error;
} BlockStreamParams;
BlockJob *block_stream_new(const BlockStreamParams *params, GError **error);

typedef struct BlockCommitParams {
    BlockJobParams job;
    BlockNode *active, *top, *base; /* top below active */
    const char *backing_file;
    const char *filter_name; /* NULL: made up */
    BlockJobPerf perf;
    BlockErrorPolicy on_error;
} BlockCommitParams;
BlockJob *block_commit_new(const BlockCommitParams *params, GError **error);

/* blockdev-create; takes its own reference to options. */
BlockJob *block_create_job_new(const char *id, json_t *options,
                               GError **error);

#endif
