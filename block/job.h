/*
 * Jobs: long operations on the graph, each in a thread of its own.
 *
 *   created -> running <-> paused            -> waiting -> pending
 *                 |  \-> ready <-> standby  /      |
 *                 |                               v
 *                 +----> aborting ----------> concluded -> null
 *
 * The thread runs driver->run(), which calls block_job_pause_point() often.
 * What changes the graph happens before (by whoever creates the job) and
 * after (prepare, commit, abort, clean), under the graph lock.  Jobs of one
 * transaction finish together: prepare of all, then commit of all; if one
 * fails, all are aborted.
 *
 * State that run() and the monitor share is under job->lock; the list of jobs
 * and the life cycle are under the graph lock.
 */
#ifndef BLOCK_JOB_H
#define BLOCK_JOB_H

#include "block/node.h"

typedef struct BlockJob BlockJob;
typedef struct BlockJobTransaction BlockJobTransaction;

#define BLOCK_JOB_STATUSES(X)                                                \
    X(UNDEFINED, "undefined") X(CREATED, "created") X(RUNNING, "running")    \
    X(PAUSED, "paused") X(READY, "ready") X(STANDBY, "standby")              \
    X(WAITING, "waiting") X(PENDING, "pending") X(ABORTING, "aborting")      \
    X(CONCLUDED, "concluded") X(NULL, "null")

typedef enum BlockJobStatus {
#define X(name, text) BLOCK_JOB_##name,
    BLOCK_JOB_STATUSES(X)
#undef X
} BlockJobStatus;

typedef enum BlockJobVerb {
    BLOCK_JOB_CANCEL,
    BLOCK_JOB_PAUSE,
    BLOCK_JOB_RESUME,
    BLOCK_JOB_SET_SPEED,
    BLOCK_JOB_COMPLETE,
    BLOCK_JOB_FINALIZE,
    BLOCK_JOB_DISMISS,
} BlockJobVerb;

/* What to do about an error of the source or the target. */
typedef enum BlockErrorPolicy {
    BLOCK_ON_ERROR_REPORT,
    BLOCK_ON_ERROR_IGNORE,
    BLOCK_ON_ERROR_ENOSPC,
    BLOCK_ON_ERROR_STOP,
    BLOCK_ON_ERROR_AUTO,
} BlockErrorPolicy;
#define BLOCK_ERROR_POLICIES "report/ignore/enospc/stop/auto"

typedef struct BlockJobDriver {
    const char *type; /* "backup", ... */
    size_t state_size;
    int (*run)(BlockJob *job); /* 0 or -errno */
    /* All under the graph lock; each may be NULL. */
    bool (*prepare)(BlockJob *job, GError **error);
    void (*commit)(BlockJob *job);
    void (*abort)(BlockJob *job);
    void (*clean)(BlockJob *job); /* after commit or abort, or unstarted */
    bool can_complete; /* has a ready state that block-job-complete ends */
} BlockJobDriver;

typedef struct BlockJobParams {
    const char *id;     /* NULL: device */
    const char *device; /* default of id */
    int64_t speed;      /* bytes per second, 0: no limit */
    bool manual_finalize, manual_dismiss;
    bool internal; /* no block-job-* names: only query-jobs */
    BlockJobTransaction *group;
} BlockJobParams;

/* ---- For drivers --------------------------------------------------------- */

/* A job in state created; the caller fills its state, then starts it. */
BlockJob *block_job_new(const BlockJobDriver *driver,
                        const BlockJobParams *params, GError **error);
void *block_job_state(BlockJob *job);

/* True when the job should stop.  Sleeps while paused. */
bool block_job_pause_point(BlockJob *job);
/* Sleeps, at most this long; true when the job should stop. */
bool block_job_sleep(BlockJob *job, int64_t microseconds);
/* Is there a speed limit now?  Then one request at a time keeps to it. */
bool block_job_limited(BlockJob *job);
/* Sleeps as the speed limit wants after so many bytes. */
void block_job_throttle(BlockJob *job, uint64_t bytes);
bool block_job_cancelled(BlockJob *job);       /* in any way */
bool block_job_cancelled_hard(BlockJob *job);  /* not just a soft end */
bool block_job_completing(BlockJob *job);      /* block-job-complete came */
void block_job_ready(BlockJob *job);           /* emits BLOCK_JOB_READY */
void block_job_set_total(BlockJob *job, uint64_t total);
/* ... as what is done plus this.  Not while others add progress. */
void block_job_set_left(BlockJob *job, uint64_t left);
void block_job_add_progress(BlockJob *job, uint64_t bytes);
/* A message for the error that run() returns. */
void block_job_set_error(BlockJob *job, const GError *error);

/*
 * An error happened: emits BLOCK_JOB_ERROR, pauses for "stop".  True: go on
 * (try again after STOP, skip for IGNORE); false: fail with it.
 */
bool block_job_error_action(BlockJob *job, BlockErrorPolicy policy,
                            bool is_read, int errnum, bool *retry);

/* Marks the node as the job's until it ends; keeps a reference. */
void block_job_take_node(BlockJob *job, BlockNode *node);
/* The same for every node from top down to end (not included). */
void block_job_take_chain(BlockJob *job, BlockNode *top, BlockNode *end);

/* ---- Life ---------------------------------------------------------------- */

void block_job_start(BlockJob *job);
/* Instead of starting. */
void block_job_abandon(BlockJob *job);

BlockJobTransaction *block_job_transaction_new(void);
void block_job_transaction_unref(BlockJobTransaction *group);

/* ---- For the monitor (graph lock) ---------------------------------------- */

BlockJob *block_job_find(const char *id);
BlockJob *block_job_next(BlockJob *prev);
bool block_job_is_internal(const BlockJob *job);
/* "Job 'J' in state 'S' cannot accept command verb 'V'". */
bool block_job_cancel(BlockJob *job, bool force, GError **error);
bool block_job_pause(BlockJob *job, GError **error);
bool block_job_resume(BlockJob *job, GError **error);
bool block_job_set_speed(BlockJob *job, int64_t speed, GError **error);
bool block_job_complete(BlockJob *job, GError **error);
bool block_job_finalize(BlockJob *job, GError **error);
bool block_job_dismiss(BlockJob *job, GError **error);
json_t *block_job_query(BlockJob *job);  /* of query-jobs */
json_t *block_job_query_block(BlockJob *job); /* of query-block-jobs */

/* Cancels everything and waits; without the graph lock. */
void block_job_cancel_all(void);

#endif
