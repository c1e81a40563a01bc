/*
 * The jobs snapshot-save, snapshot-load and snapshot-delete.
 *
 * A job has no say while it works: it cannot be cancelled or paused, and stays
 * in query-jobs with its error until job-dismiss.
 */
#include "tools/e2k-system.h"

#include "block/job.h"
#include "block/node.h"

typedef struct SnapshotJob {
    Machine *machine;
    SnapshotAction action;
    char *tag;
    char *vmstate;
    char **devices;
} SnapshotJob;

static bool act(const SnapshotJob *s, GError **error)
{
    const SnapshotPlace place = { s->vmstate,
                                  (const char *const *)s->devices };

    switch (s->action) {
    case SNAPSHOT_SAVE:
        return system_snapshot_save(s->machine, s->tag, &place, error);
    case SNAPSHOT_LOAD:
        return system_snapshot_load(s->machine, s->tag, &place, error);
    default:
        return system_snapshot_delete(s->tag, &place, error);
    }
}

static int snapshot_run(BlockJob *job)
{
    g_autoptr(GError) error = NULL;

    block_job_set_total(job, 1);
    if (!act(block_job_state(job), &error)) {
        block_job_set_error(job, error);
        return -block_error_errno(error);
    }
    block_job_add_progress(job, 1);
    return 0;
}

static void snapshot_clean(BlockJob *job)
{
    SnapshotJob *s = block_job_state(job);

    g_free(s->tag);
    g_free(s->vmstate);
    g_strfreev(s->devices);
}

#define DRIVER(name)                                                          \
    { .type = name, .state_size = sizeof(SnapshotJob), .run = snapshot_run,   \
      .clean = snapshot_clean }

static const BlockJobDriver drivers[] = {
    [SNAPSHOT_SAVE] = DRIVER("snapshot-save"),
    [SNAPSHOT_LOAD] = DRIVER("snapshot-load"),
    [SNAPSHOT_DELETE] = DRIVER("snapshot-delete"),
};

bool system_snapshot_job(Machine *machine, SnapshotAction action,
                         const char *id, const char *tag, const char *vmstate,
                         char **devices, GError **error)
{
    const BlockJobParams params = { .id = id, .internal = true,
                                    .manual_dismiss = true };

    block_graph_lock();
    BlockJob *job = block_job_new(&drivers[action], &params, error);

    if (job) {
        SnapshotJob *s = block_job_state(job);

        *s = (SnapshotJob){
            .machine = machine,
            .action = action,
            .tag = g_strdup(tag),
            .vmstate = g_strdup(vmstate),
            .devices = g_strdupv(devices),
        };
        block_job_start(job);
    }
    block_graph_unlock();
    return job != NULL;
}
