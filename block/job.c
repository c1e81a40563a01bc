/* Jobs: states, pausing, finishing together.  See job.h. */
#include "block/job.h"

#include <errno.h>
#include <string.h>

#include "block/driver.h"
#include "block/monitor-nodes.h"
#include "util/log.h"

struct BlockJobTransaction {
    int refs; /* graph lock */
    GPtrArray *jobs;
    bool aborted;
};

struct BlockJob {
    int refs;
    const BlockJobDriver *driver;
    void *state;
    char *id;
    bool manual_finalize, manual_dismiss, internal;
    bool started;
    BlockJobTransaction *group;
    GPtrArray *nodes; /* taken, with references */
    GList link;

    GMutex lock;
    GCond wake;
    BlockJobStatus status;
    bool paused_by_user, cancelled, force, completing, was_ready;
    bool thread_done; /* run() has returned */
    const char *io_status;
    int ret;
    char *error;
    int64_t speed;
    uint64_t done, total;
    uint64_t slice_bytes; /* moved since slice_start */
    gint64 slice_start;
};

static GQueue jobs = G_QUEUE_INIT; /* graph lock */

/* Changes of any job's status, for block_job_cancel_all(). */
static GMutex changes_lock;
static GCond changes_cond;
static guint64 changes; /* changes_lock */

static const char *const status_names[] = {
#define X(name, text) text,
    BLOCK_JOB_STATUSES(X)
#undef X
};

static const char *const verb_names[] = {
    [BLOCK_JOB_CANCEL] = "cancel", [BLOCK_JOB_PAUSE] = "pause",
    [BLOCK_JOB_RESUME] = "resume", [BLOCK_JOB_SET_SPEED] = "set-speed",
    [BLOCK_JOB_COMPLETE] = "complete", [BLOCK_JOB_FINALIZE] = "finalize",
    [BLOCK_JOB_DISMISS] = "dismiss",
};

/* Bit per status in which the verb is allowed. */
#define IN(name) (1u << BLOCK_JOB_##name)
#define ACTIVE (IN(CREATED) | IN(RUNNING) | IN(PAUSED) | IN(READY) | \
                IN(STANDBY))
static const unsigned verb_states[] = {
    [BLOCK_JOB_CANCEL] = ACTIVE | IN(WAITING) | IN(PENDING),
    [BLOCK_JOB_PAUSE] = ACTIVE,
    [BLOCK_JOB_RESUME] = ACTIVE,
    [BLOCK_JOB_SET_SPEED] = ACTIVE,
    [BLOCK_JOB_COMPLETE] = IN(READY) | IN(STANDBY),
    [BLOCK_JOB_FINALIZE] = IN(PENDING),
    [BLOCK_JOB_DISMISS] = IN(CONCLUDED),
};

/* ---- States ------------------------------------------------------------- */

static void set_status(BlockJob *job, BlockJobStatus status)
{
    if (job->status == status) {
        return;
    }
    job->status = status;
    log_printf(LOG_BLOCK, "block: job %s is %s\n", job->id,
               status_names[status]);
    block_event("JOB_STATUS_CHANGE",
                json_pack("{s:s, s:s}", "id", job->id, "status",
                          status_names[status]));
    g_mutex_lock(&changes_lock);
    changes++;
    g_cond_broadcast(&changes_cond);
    g_mutex_unlock(&changes_lock);
}

static bool check_verb(BlockJob *job, BlockJobVerb verb, GError **error)
{
    BlockJobStatus status = job->status;

    if (verb_states[verb] & (1u << status)) {
        return true;
    }
    g_set_error(error, BLOCK_ERROR, EPERM, "Job '%s' in state '%s' cannot "
                "accept command verb '%s'", job->id, status_names[status],
                verb_names[verb]);
    return false;
}

static json_t *event_data(BlockJob *job)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I}", "type", job->driver->type,
                     "device", job->id, "len", (json_int_t)job->total,
                     "offset", (json_int_t)job->done, "speed",
                     (json_int_t)job->speed);
}

static void job_ref(BlockJob *job)
{
    __atomic_fetch_add(&job->refs, 1, __ATOMIC_RELAXED);
}

static void job_unref(BlockJob *job)
{
    if (__atomic_sub_fetch(&job->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    g_mutex_clear(&job->lock);
    g_cond_clear(&job->wake);
    g_free(job->state);
    g_free(job->error);
    g_free(job->id);
    g_free(job);
}

/* ---- Transactions -------------------------------------------------------- */

BlockJobTransaction *block_job_transaction_new(void)
{
    BlockJobTransaction *group = g_new0(BlockJobTransaction, 1);

    group->refs = 1;
    group->jobs = g_ptr_array_new();
    return group;
}

void block_job_transaction_unref(BlockJobTransaction *group)
{
    if (group && --group->refs == 0) {
        g_ptr_array_unref(group->jobs);
        g_free(group);
    }
}

static void leave_group(BlockJob *job)
{
    if (job->group) {
        g_ptr_array_remove(job->group->jobs, job);
        block_job_transaction_unref(job->group);
        job->group = NULL;
    }
}

/* ---- Making jobs --------------------------------------------------------- */

BlockJob *block_job_new(const BlockJobDriver *driver,
                        const BlockJobParams *params, GError **error)
{
    const char *id = params->id ? params->id : params->device;
    BlockJob *job;

    if (!id || (!block_name_wellformed(id) && !params->internal)) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Invalid job ID '%s'",
                    id ? id : "");
        return NULL;
    }
    if (block_job_find(id)) {
        g_set_error(error, BLOCK_ERROR, EEXIST, "Job ID '%s' already in use",
                    id);
        return NULL;
    }
    if (params->speed < 0) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter 'speed' expects a non-negative value");
        return NULL;
    }
    job = g_new0(BlockJob, 1);
    job->refs = 1;
    job->driver = driver;
    job->state = g_malloc0(MAX(driver->state_size, 1));
    job->id = g_strdup(id);
    job->speed = params->speed;
    job->manual_finalize = params->manual_finalize;
    job->manual_dismiss = params->manual_dismiss;
    job->internal = params->internal;
    job->io_status = "ok";
    job->nodes = g_ptr_array_new();
    g_mutex_init(&job->lock);
    g_cond_init(&job->wake);
    job->group = params->group ? params->group : block_job_transaction_new();
    if (params->group) {
        params->group->refs++;
    }
    g_ptr_array_add(job->group->jobs, job);
    job->link.data = job;
    g_queue_push_tail_link(&jobs, &job->link);
    set_status(job, BLOCK_JOB_CREATED);
    return job;
}

void *block_job_state(BlockJob *job)
{
    return job->state;
}

void block_job_take_node(BlockJob *job, BlockNode *node)
{
    block_node_set_job(node, job->driver->type);
    g_ptr_array_add(job->nodes, block_node_ref(node));
}

void block_job_take_chain(BlockJob *job, BlockNode *top, BlockNode *end)
{
    for (BlockNode *n = top; n && n != end; n = block_node_below(n)) {
        block_job_take_node(job, n);
    }
}

static void give_back_nodes(BlockJob *job)
{
    while (job->nodes->len) {
        BlockNode *node = g_ptr_array_index(job->nodes, 0);

        block_node_set_job(node, NULL);
        g_ptr_array_remove_index(job->nodes, 0);
        block_node_unref(node);
    }
}

/* The end of the road: off the list, nobody finds it any more. */
static void job_vanish(BlockJob *job)
{
    set_status(job, BLOCK_JOB_NULL);
    leave_group(job);
    g_queue_unlink(&jobs, &job->link);
    g_ptr_array_unref(job->nodes);
    job->nodes = NULL;
    job_unref(job);
}

void block_job_abandon(BlockJob *job)
{
    if (job->driver->abort) {
        job->driver->abort(job);
    }
    if (job->driver->clean) {
        job->driver->clean(job);
    }
    give_back_nodes(job);
    job_vanish(job);
}

/* ---- Finishing (graph lock) ---------------------------------------------- */

static void job_conclude(BlockJob *job)
{
    json_t *data;

    if (job->driver->clean) {
        job->driver->clean(job);
    }
    give_back_nodes(job);
    leave_group(job);
    if (!job->internal) {
        data = event_data(job);
        if (job->ret == -ECANCELED) {
            block_event("BLOCK_JOB_CANCELLED", data);
        } else {
            if (job->ret < 0) {
                json_object_set_new(data, "error",
                                    json_string(job->error ? job->error
                                                : g_strerror(-job->ret)));
            }
            block_event("BLOCK_JOB_COMPLETED", data);
        }
    }
    set_status(job, BLOCK_JOB_CONCLUDED);
    if (!job->manual_dismiss) {
        job_vanish(job);
    }
}

static void job_fail(BlockJob *job, int ret)
{
    job->ret = job->ret < 0 ? job->ret : ret;
    set_status(job, BLOCK_JOB_ABORTING);
    if (job->driver->abort) {
        job->driver->abort(job);
    }
    job_conclude(job);
}

static void wake_job(BlockJob *job)
{
    g_mutex_lock(&job->lock);
    g_cond_broadcast(&job->wake);
    g_mutex_unlock(&job->lock);
}

/* Everybody goes down; running ones notice and end by themselves. */
static void group_abort(BlockJobTransaction *group)
{
    g_autoptr(GPtrArray) copy = g_ptr_array_copy(group->jobs, NULL, NULL);

    group->refs++;
    group->aborted = true;
    for (guint i = 0; i < copy->len; i++) {
        BlockJob *job = g_ptr_array_index(copy, i);

        if (job->thread_done) {
            job_fail(job, -ECANCELED);
        } else {
            g_mutex_lock(&job->lock);
            job->cancelled = true;
            job->force = true;
            g_mutex_unlock(&job->lock);
            wake_job(job);
        }
    }
    block_job_transaction_unref(group);
}

static void group_finalize(BlockJobTransaction *group)
{
    g_autoptr(GPtrArray) copy = g_ptr_array_copy(group->jobs, NULL, NULL);

    for (guint i = 0; i < copy->len; i++) {
        BlockJob *job = g_ptr_array_index(copy, i);
        g_autoptr(GError) error = NULL;

        if (job->driver->prepare && !job->driver->prepare(job, &error)) {
            job->ret = -block_error_errno(error);
            g_free(job->error);
            job->error = g_strdup(error ? error->message : NULL);
            group_abort(group);
            return;
        }
    }
    for (guint i = 0; i < copy->len; i++) {
        BlockJob *job = g_ptr_array_index(copy, i);

        if (job->driver->commit) {
            job->driver->commit(job);
        }
        job_conclude(job);
    }
}

/* All jobs of the group have run: those that want to wait for a person. */
static void group_pending(BlockJobTransaction *group)
{
    bool manual = false;

    for (guint i = 0; i < group->jobs->len; i++) {
        BlockJob *job = g_ptr_array_index(group->jobs, i);

        set_status(job, BLOCK_JOB_PENDING);
        manual |= job->manual_finalize;
        if (job->manual_finalize && !job->internal) {
            block_event("BLOCK_JOB_PENDING",
                        json_pack("{s:s, s:s}", "type", job->driver->type,
                                  "id", job->id));
        }
    }
    if (!manual) {
        group_finalize(group);
    }
}

static void job_completed(BlockJob *job)
{
    BlockJobTransaction *group = job->group;

    job->thread_done = true;
    if (job->ret == 0 && job->cancelled &&
        (job->force || !job->was_ready)) {
        job->ret = -ECANCELED;
    }
    if (job->ret < 0 || group->aborted) {
        job->ret = job->ret < 0 ? job->ret : -ECANCELED;
        group_abort(group);
        return;
    }
    set_status(job, BLOCK_JOB_WAITING);
    for (guint i = 0; i < group->jobs->len; i++) {
        BlockJob *other = g_ptr_array_index(group->jobs, i);

        if (!other->thread_done) {
            return;
        }
    }
    group_pending(group);
}

static gpointer job_main(gpointer data)
{
    BlockJob *job = data;
    int ret = block_job_pause_point(job) ? -ECANCELED
                                         : job->driver->run(job);

    block_graph_lock();
    job->ret = ret;
    job_completed(job);
    block_graph_unlock();
    job_unref(job);
    return NULL;
}

void block_job_start(BlockJob *job)
{
    job->started = true;
    job->slice_start = g_get_monotonic_time();
    set_status(job, BLOCK_JOB_RUNNING);
    job_ref(job);
    g_thread_unref(g_thread_new("block-job", job_main, job));
}

/* ---- For run() ----------------------------------------------------------- */

bool block_job_cancelled(BlockJob *job)
{
    return __atomic_load_n(&job->cancelled, __ATOMIC_ACQUIRE);
}

bool block_job_cancelled_hard(BlockJob *job)
{
    return block_job_cancelled(job) &&
           (__atomic_load_n(&job->force, __ATOMIC_ACQUIRE) ||
            !job->was_ready);
}

bool block_job_completing(BlockJob *job)
{
    return __atomic_load_n(&job->completing, __ATOMIC_ACQUIRE);
}

bool block_job_pause_point(BlockJob *job)
{
    bool stop;

    g_mutex_lock(&job->lock);
    if (job->paused_by_user && !job->cancelled) {
        BlockJobStatus before = job->status;

        set_status(job, before == BLOCK_JOB_READY ? BLOCK_JOB_STANDBY
                                                  : BLOCK_JOB_PAUSED);
        while (job->paused_by_user && !job->cancelled) {
            g_cond_wait(&job->wake, &job->lock);
        }
        set_status(job, before);
    }
    stop = job->cancelled;
    g_mutex_unlock(&job->lock);
    return stop;
}

bool block_job_sleep(BlockJob *job, int64_t microseconds)
{
    gint64 until = g_get_monotonic_time() + microseconds;
    bool stop;

    g_mutex_lock(&job->lock);
    while (!job->cancelled && !job->paused_by_user && !job->completing &&
           g_cond_wait_until(&job->wake, &job->lock, until)) {
    }
    stop = job->cancelled;
    g_mutex_unlock(&job->lock);
    return block_job_pause_point(job) || stop;
}

void block_job_throttle(BlockJob *job, uint64_t bytes)
{
    g_mutex_lock(&job->lock);
    job->slice_bytes += bytes;
    while (job->speed && !job->cancelled && !job->paused_by_user) {
        gint64 now = g_get_monotonic_time();
        double due = (double)job->slice_bytes / job->speed * 1e6;

        if (now - job->slice_start >= due) {
            job->slice_start = now;
            job->slice_bytes = 0;
            break;
        }
        g_cond_wait_until(&job->wake, &job->lock,
                          job->slice_start + (gint64)MIN(due, 1e12));
    }
    if (!job->speed) {
        job->slice_start = g_get_monotonic_time();
        job->slice_bytes = 0;
    }
    g_mutex_unlock(&job->lock);
}

void block_job_ready(BlockJob *job)
{
    g_mutex_lock(&job->lock);
    job->was_ready = true;
    set_status(job, BLOCK_JOB_READY);
    g_mutex_unlock(&job->lock);
    block_event("BLOCK_JOB_READY", event_data(job));
}

void block_job_set_total(BlockJob *job, uint64_t total)
{
    __atomic_store_n(&job->total, total, __ATOMIC_RELAXED);
}

void block_job_set_left(BlockJob *job, uint64_t left)
{
    block_job_set_total(job, left + __atomic_load_n(&job->done,
                                                    __ATOMIC_RELAXED));
}

void block_job_add_progress(BlockJob *job, uint64_t bytes)
{
    __atomic_fetch_add(&job->done, bytes, __ATOMIC_RELAXED);
}

void block_job_set_error(BlockJob *job, const GError *error)
{
    g_mutex_lock(&job->lock);
    g_free(job->error);
    job->error = g_strdup(error ? error->message : NULL);
    g_mutex_unlock(&job->lock);
}

bool block_job_error_action(BlockJob *job, BlockErrorPolicy policy,
                            bool is_read, int errnum, bool *retry)
{
    bool stop = policy == BLOCK_ON_ERROR_STOP ||
                ((policy == BLOCK_ON_ERROR_ENOSPC ||
                  policy == BLOCK_ON_ERROR_AUTO) && ABS(errnum) == ENOSPC);
    bool ignore = policy == BLOCK_ON_ERROR_IGNORE;

    block_event("BLOCK_JOB_ERROR",
                json_pack("{s:s, s:s, s:s}", "device", job->id, "operation",
                          is_read ? "read" : "write", "action",
                          stop ? "stop" : ignore ? "ignore" : "report"));
    *retry = stop;
    if (stop) {
        g_mutex_lock(&job->lock);
        job->paused_by_user = true;
        job->io_status = ABS(errnum) == ENOSPC ? "nospace" : "failed";
        g_mutex_unlock(&job->lock);
    }
    return stop || ignore;
}

/* ---- For the monitor ------------------------------------------------------ */

BlockJob *block_job_next(BlockJob *prev)
{
    GList *link = prev ? prev->link.next : jobs.head;

    return link ? link->data : NULL;
}

BlockJob *block_job_find(const char *id)
{
    for (BlockJob *job = block_job_next(NULL); job;
         job = block_job_next(job)) {
        if (!strcmp(job->id, id)) {
            return job;
        }
    }
    return NULL;
}

bool block_job_is_internal(const BlockJob *job)
{
    return job->internal;
}

bool block_job_cancel(BlockJob *job, bool force, GError **error)
{
    if (!check_verb(job, BLOCK_JOB_CANCEL, error)) {
        return false;
    }
    if (job->thread_done) {
        job->force = true;
        job->cancelled = true;
        group_abort(job->group);
        return true;
    }
    g_mutex_lock(&job->lock);
    job->force |= force;
    __atomic_store_n(&job->cancelled, true, __ATOMIC_RELEASE);
    g_cond_broadcast(&job->wake);
    g_mutex_unlock(&job->lock);
    return true;
}

bool block_job_pause(BlockJob *job, GError **error)
{
    if (!check_verb(job, BLOCK_JOB_PAUSE, error)) {
        return false;
    }
    if (job->paused_by_user) {
        g_set_error(error, BLOCK_ERROR, EBUSY, "Job is already paused");
        return false;
    }
    g_mutex_lock(&job->lock);
    job->paused_by_user = true;
    g_cond_broadcast(&job->wake);
    g_mutex_unlock(&job->lock);
    return true;
}

bool block_job_resume(BlockJob *job, GError **error)
{
    if (!job->paused_by_user) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Can't resume a job that was not paused");
        return false;
    }
    if (!check_verb(job, BLOCK_JOB_RESUME, error)) {
        return false;
    }
    g_mutex_lock(&job->lock);
    job->paused_by_user = false;
    job->io_status = "ok";
    g_cond_broadcast(&job->wake);
    g_mutex_unlock(&job->lock);
    return true;
}

bool block_job_limited(BlockJob *job)
{
    return __atomic_load_n(&job->speed, __ATOMIC_RELAXED) != 0;
}

bool block_job_set_speed(BlockJob *job, int64_t speed, GError **error)
{
    if (!check_verb(job, BLOCK_JOB_SET_SPEED, error)) {
        return false;
    }
    if (speed < 0) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter 'speed' expects a non-negative value");
        return false;
    }
    g_mutex_lock(&job->lock);
    job->speed = speed;
    g_cond_broadcast(&job->wake);
    g_mutex_unlock(&job->lock);
    return true;
}

bool block_job_complete(BlockJob *job, GError **error)
{
    if (!check_verb(job, BLOCK_JOB_COMPLETE, error)) {
        return false;
    }
    if (!job->driver->can_complete || job->cancelled) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "The active block job '%s' "
                    "cannot be completed", job->id);
        return false;
    }
    g_mutex_lock(&job->lock);
    job->completing = true;
    g_cond_broadcast(&job->wake);
    g_mutex_unlock(&job->lock);
    return true;
}

bool block_job_finalize(BlockJob *job, GError **error)
{
    if (!check_verb(job, BLOCK_JOB_FINALIZE, error)) {
        return false;
    }
    group_finalize(job->group);
    return true;
}

bool block_job_dismiss(BlockJob *job, GError **error)
{
    if (!check_verb(job, BLOCK_JOB_DISMISS, error)) {
        return false;
    }
    job_vanish(job);
    return true;
}

json_t *block_job_query(BlockJob *job)
{
    json_t *info;

    g_mutex_lock(&job->lock);
    info = json_pack("{s:s, s:s, s:s, s:I, s:I}", "id", job->id, "type",
                     job->driver->type, "status", status_names[job->status],
                     "current-progress", (json_int_t)job->done,
                     "total-progress", (json_int_t)job->total);
    if (job->ret < 0) {
        json_object_set_new(info, "error",
                            json_string(job->error ? job->error
                                                   : g_strerror(-job->ret)));
    }
    g_mutex_unlock(&job->lock);
    return info;
}

json_t *block_job_query_block(BlockJob *job)
{
    json_t *info = event_data(job);

    g_mutex_lock(&job->lock);
    /* Not at rest: clients wait for this after a pause. */
    json_object_set_new(info, "busy",
                        json_boolean(!job->thread_done &&
                                     job->status != BLOCK_JOB_PAUSED &&
                                     job->status != BLOCK_JOB_STANDBY));
    json_object_set_new(info, "paused", json_boolean(job->paused_by_user));
    json_object_set_new(info, "io-status", json_string(job->io_status));
    json_object_set_new(info, "ready",
                        json_boolean(job->status == BLOCK_JOB_READY ||
                                     job->status == BLOCK_JOB_STANDBY));
    json_object_set_new(info, "status",
                        json_string(status_names[job->status]));
    json_object_set_new(info, "auto-finalize",
                        json_boolean(!job->manual_finalize));
    json_object_set_new(info, "auto-dismiss",
                        json_boolean(!job->manual_dismiss));
    if (job->ret < 0) {
        json_object_set_new(info, "error",
                            json_string(job->error ? job->error
                                                   : g_strerror(-job->ret)));
    }
    g_mutex_unlock(&job->lock);
    return info;
}

/* Lets go of jobs that have ended; cancels one of the others. */
static bool cancel_one(bool *left)
{
    BlockJob *next;

    *left = false;
    for (BlockJob *job = block_job_next(NULL); job; job = next) {
        next = block_job_next(job);
        if (job->status == BLOCK_JOB_CONCLUDED) {
            job_vanish(job);
            continue;
        }
        *left = true;
        if ((!job->cancelled || !job->force) &&
            block_job_cancel(job, true, NULL)) {
            return true; /* the list may have changed */
        }
    }
    return false;
}

void block_job_cancel_all(void)
{
    bool left = true;

    while (left) {
        guint64 seen;

        g_mutex_lock(&changes_lock);
        seen = changes;
        g_mutex_unlock(&changes_lock);
        block_graph_lock();
        while (cancel_one(&left)) {
        }
        block_graph_unlock();
        g_mutex_lock(&changes_lock);
        while (left && changes == seen) {
            g_cond_wait(&changes_cond, &changes_lock);
        }
        g_mutex_unlock(&changes_lock);
    }
}
