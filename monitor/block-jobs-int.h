/* Jobs: starting them from QMP arguments, for commands and transactions, and
 * talking to them. */
#ifndef MONITOR_BLOCK_JOBS_INT_H
#define MONITOR_BLOCK_JOBS_INT_H

#include "block/job.h"
#include "monitor/monitor.h"

extern const QmpCommand monitor_job_commands[];
extern const QmpCommand monitor_job_control_commands[];
extern const QmpArg monitor_blockdev_backup_args[];
extern const QmpArg monitor_drive_backup_args[];

/* Graph lock.  The job is created, not started; group may be NULL. */
BlockJob *monitor_blockdev_backup(json_t *args, BlockJobTransaction *group,
                                  GError **error);
BlockJob *monitor_drive_backup(json_t *args, BlockJobTransaction *group,
                               GError **error);

#endif
