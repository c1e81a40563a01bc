/*
 * Limits on requests per second and bytes per second, shared by the nodes of
 * a group.
 *
 * Each limit is a leaky bucket: a request may pass while the bucket is not
 * full; it adds its size; the bucket leaks at the average rate.  A maximum
 * rate with a length lets bursts through.
 */
#ifndef BLOCK_THROTTLE_GROUP_H
#define BLOCK_THROTTLE_GROUP_H

#include "block/driver.h"

typedef struct ThrottleGroup ThrottleGroup;

extern const BlockOption throttle_group_options[];

/* The limits: as objects and "throttling." have them, and as QMP's
 * block_set_io_throttle and query-block do.  Ends with NULL. */
typedef struct ThrottleLimitName {
    const char *name, *qmp;
} ThrottleLimitName;
extern const ThrottleLimitName throttle_limit_names[];

/* Are limits ("limits": {name: value}) sane, and does one limit anything? */
bool throttle_limits_check(json_t *options, bool *any, GError **error);

ThrottleGroup *throttle_group_new(const char *id, json_t *options,
                                  GError **error);
ThrottleGroup *throttle_group_ref(ThrottleGroup *group);
void throttle_group_unref(ThrottleGroup *group);
const char *throttle_group_id(const ThrottleGroup *group);
/* Replaces all limits; those who wait look again. */
bool throttle_group_set_limits(ThrottleGroup *group, json_t *options,
                               GError **error);
/* Those that are not 0, by name.  New reference. */
json_t *throttle_group_limits(ThrottleGroup *group);
bool throttle_group_in_use(const ThrottleGroup *group);
/* A new reference to the group of this id, or NULL. */
ThrottleGroup *throttle_group_find(const char *id);

/*
 * Sleeps until a request of this size may go.  Any thread.  *cancel (may be
 * NULL) is polled: when it turns true the request passes at once; so it does
 * when the program ends.
 */
void throttle_group_wait(ThrottleGroup *group, bool write, uint64_t bytes,
                         const int *cancel);

#endif
