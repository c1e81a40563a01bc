/* Job "create": blockdev-create of any driver. */
#include "block/jobs.h"

#include "block/driver.h"

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
