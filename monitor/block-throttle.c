/* QMP: limits on the requests of a device. */
#include "monitor/block-commands-int.h"

#include <string.h>

#include "block/backend.h"
#include "block/throttle-group.h"

static const QmpArg throttle_args[] = {
    { "device", QMP_STR, .optional = true },
    { "id", QMP_STR, .optional = true },
    { "bps", QMP_INT },
    { "bps_rd", QMP_INT },
    { "bps_wr", QMP_INT },
    { "iops", QMP_INT },
    { "iops_rd", QMP_INT },
    { "iops_wr", QMP_INT },
    { "bps_max", QMP_INT, .optional = true },
    { "bps_rd_max", QMP_INT, .optional = true },
    { "bps_wr_max", QMP_INT, .optional = true },
    { "iops_max", QMP_INT, .optional = true },
    { "iops_rd_max", QMP_INT, .optional = true },
    { "iops_wr_max", QMP_INT, .optional = true },
    { "bps_max_length", QMP_INT, .optional = true },
    { "bps_rd_max_length", QMP_INT, .optional = true },
    { "bps_wr_max_length", QMP_INT, .optional = true },
    { "iops_max_length", QMP_INT, .optional = true },
    { "iops_rd_max_length", QMP_INT, .optional = true },
    { "iops_wr_max_length", QMP_INT, .optional = true },
    { "iops_size", QMP_INT, .optional = true },
    { "group", QMP_STR, .optional = true },
    { NULL },
};

BlockBackend *monitor_find_device(json_t *args, GError **error)
{
    const char *device = qmp_str(args, "device");
    const char *id = qmp_str(args, "id");

    if (!device == !id) {
        g_set_error(error, MONITOR_ERROR, 0,
                    "Need exactly one of 'device' and 'id'");
        return NULL;
    }
    for (BlockBackend *b = block_backend_next(NULL); b;
         b = block_backend_next(b)) {
        if (device ? !strcmp(block_backend_name(b), device)
                   : monitor_device_is(b, id)) {
            return b;
        }
    }
    g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_DEVICE_NOT_FOUND,
                "Device '%s' not found", device ? device : id);
    return NULL;
}

bool monitor_device_is(BlockBackend *backend, const char *id)
{
    const char *path = block_backend_device(backend);
    const char *rest = path ? strstr(path, id) : NULL;

    if (!path) {
        return false;
    }
    /* The id itself, a whole path, or the id within a path. */
    return !strcmp(path, id) ||
           (rest && rest > path && rest[-1] == '/' &&
            (!rest[strlen(id)] || rest[strlen(id)] == '/'));
}

static json_t *run_throttle(void *opaque, json_t *args, GError **error)
{
    json_t *limits = json_object();
    BlockBackend *backend;

    for (const ThrottleLimitName *n = throttle_limit_names; n->name; n++) {
        json_t *value = json_object_get(args, n->qmp);

        if (value) {
            json_object_set(limits, n->name, value);
        }
    }
    block_graph_lock();
    backend = monitor_find_device(args, error);
    if (backend && !block_backend_node(backend)) {
        g_set_error(error, MONITOR_ERROR, 0, "Device has no medium");
    } else if (backend) {
        block_backend_set_limits(backend, qmp_str(args, "group"), limits,
                                 error);
    }
    block_graph_unlock();
    json_decref(limits);
    return NULL;
}

void monitor_throttle_info(BlockBackend *backend, json_t *info)
{
    ThrottleGroup *group = block_backend_throttle(backend);
    json_t *limits;

    if (!group) {
        return;
    }
    limits = throttle_group_limits(group);
    for (const ThrottleLimitName *n = throttle_limit_names; n->name; n++) {
        json_t *value = json_object_get(limits, n->name);

        if (value) {
            json_object_set(info, n->qmp, value);
        }
    }
    json_object_set_new(info, "group",
                        json_string(throttle_group_id(group)));
    json_decref(limits);
}

const QmpCommand monitor_throttle_commands[] = {
    { "block_set_io_throttle", throttle_args, run_throttle },
    { NULL },
};
