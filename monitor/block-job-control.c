/* QMP: talking to jobs that run. */
#include "monitor/block-jobs-int.h"

#include "block/job.h"
#include "monitor/block-commands-int.h"

/* by_id: job-* (any job); else block-job-* with its error class. */
static BlockJob *find_job(const char *id, bool by_id, GError **error)
{
    BlockJob *job = block_job_find(id);

    if (job && (by_id || !block_job_is_internal(job))) {
        return job;
    }
    if (by_id) {
        g_set_error(error, MONITOR_ERROR, 0, "Job not found");
    } else {
        g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_DEVICE_NOT_ACTIVE,
                    "Block job '%s' not found", id);
    }
    return NULL;
}

typedef bool JobAction(BlockJob *job, GError **error);

static bool cancel_soft(BlockJob *job, GError **error)
{
    return block_job_cancel(job, false, error);
}

static bool cancel_hard(BlockJob *job, GError **error)
{
    return block_job_cancel(job, true, error);
}

/* opaque is a row of this table: what to call with the job. */
typedef struct JobCommand {
    JobAction *action;
    const char *arg; /* that names the job */
    bool by_id;
} JobCommand;

static json_t *run_action(const JobCommand *c, json_t *args, GError **error)
{
    BlockJob *job;

    block_graph_lock();
    job = find_job(qmp_str(args, c->arg), c->by_id, error);
    if (job) {
        c->action(job, error);
    }
    block_graph_unlock();
    return NULL;
}

#define ACTION(fn, act, argument, id)                                        \
    static json_t *fn(void *opaque, json_t *args, GError **error)            \
    {                                                                        \
        static const JobCommand command = { act, argument, id };             \
                                                                             \
        return run_action(&command, args, error);                            \
    }

ACTION(block_pause, block_job_pause, "device", false)
ACTION(block_resume, block_job_resume, "device", false)
ACTION(block_complete, block_job_complete, "device", false)
ACTION(block_finalize, block_job_finalize, "id", false)
ACTION(block_dismiss, block_job_dismiss, "id", false)
ACTION(job_pause, block_job_pause, "id", true)
ACTION(job_resume, block_job_resume, "id", true)
ACTION(job_complete, block_job_complete, "id", true)
ACTION(job_finalize, block_job_finalize, "id", true)
ACTION(job_dismiss, block_job_dismiss, "id", true)
ACTION(job_cancel, cancel_hard, "id", true)

static json_t *block_cancel(void *opaque, json_t *args, GError **error)
{
    JobCommand command = { qmp_bool(args, "force", false) ? cancel_hard
                                                          : cancel_soft,
                           "device", false };

    return run_action(&command, args, error);
}

static json_t *block_set_speed(void *opaque, json_t *args, GError **error)
{
    BlockJob *job;

    block_graph_lock();
    job = find_job(qmp_str(args, "device"), false, error);
    if (job) {
        block_job_set_speed(job, qmp_int(args, "speed", 0), error);
    }
    block_graph_unlock();
    return NULL;
}

static json_t *query_block_jobs(void *opaque, json_t *args, GError **error)
{
    json_t *list = json_array();

    block_graph_lock();
    for (BlockJob *job = block_job_next(NULL); job;
         job = block_job_next(job)) {
        if (!block_job_is_internal(job)) {
            json_array_append_new(list, block_job_query_block(job));
        }
    }
    block_graph_unlock();
    return list;
}

static json_t *query_jobs(void *opaque, json_t *args, GError **error)
{
    json_t *list = json_array();

    block_graph_lock();
    for (BlockJob *job = block_job_next(NULL); job;
         job = block_job_next(job)) {
        json_array_append_new(list, block_job_query(job));
    }
    block_graph_unlock();
    return list;
}

static const QmpArg device_args[] = { { "device", QMP_STR }, { NULL } };
static const QmpArg id_args[] = { { "id", QMP_STR }, { NULL } };
static const QmpArg cancel_args[] = {
    { "device", QMP_STR },
    { "force", QMP_BOOL, .optional = true },
    { NULL },
};
static const QmpArg speed_args[] = {
    { "device", QMP_STR },
    { "speed", QMP_INT },
    { NULL },
};

const QmpCommand monitor_job_control_commands[] = {
    { "block-job-set-speed", speed_args, block_set_speed },
    { "block-job-cancel", cancel_args, block_cancel },
    { "block-job-pause", device_args, block_pause },
    { "block-job-resume", device_args, block_resume },
    { "block-job-complete", device_args, block_complete },
    { "block-job-finalize", id_args, block_finalize },
    { "block-job-dismiss", id_args, block_dismiss },
    { "job-pause", id_args, job_pause },
    { "job-resume", id_args, job_resume },
    { "job-cancel", id_args, job_cancel },
    { "job-complete", id_args, job_complete },
    { "job-finalize", id_args, job_finalize },
    { "job-dismiss", id_args, job_dismiss },
    { "query-block-jobs", NULL, query_block_jobs, QMP_RETURNS_LIST },
    { "query-jobs", NULL, query_jobs, QMP_RETURNS_LIST },
    { NULL },
};
