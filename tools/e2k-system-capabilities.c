/*
 * What a migration takes along: QMP's capabilities and parameters of which
 * this program has "dirty-bitmaps", "events" and "block-bitmap-mapping".
 */
#include "tools/e2k-system.h"

#include <string.h>

#include "monitor/monitor.h"

static struct {
    bool dirty_bitmaps;
    bool events; /* accepted: MIGRATION events are always sent */
    json_t *mapping; /* or NULL */
} travel;

bool system_migrate_bitmaps(void)
{
    return travel.dirty_bitmaps;
}

json_t *system_migrate_mapping(void)
{
    return travel.mapping;
}

static const QmpArg capability[] = {
    { "capability", QMP_STR },
    { "state", QMP_BOOL },
    { NULL },
};

static const QmpArg set_capabilities_args[] = {
    { "capabilities", QMP_OBJECT, .list = true, .members = capability },
    { NULL },
};

/* Other capabilities may be switched off, which they always are. */
static json_t *set_capabilities(void *opaque, json_t *args, GError **error)
{
    bool bitmaps = travel.dirty_bitmaps;
    bool events = travel.events;
    size_t index;
    json_t *item;

    json_array_foreach(json_object_get(args, "capabilities"), index, item) {
        const char *name = qmp_str(item, "capability");
        bool on = qmp_bool(item, "state", false);

        if (!strcmp(name, "dirty-bitmaps")) {
            bitmaps = on;
        } else if (!strcmp(name, "events")) {
            events = on;
        } else if (on) {
            g_set_error(error, MONITOR_ERROR, 0, "Migration capability '%s' "
                        "is not supported", name);
            return NULL;
        }
    }
    travel.dirty_bitmaps = bitmaps;
    travel.events = events;
    return NULL;
}

static json_t *query_capabilities(void *opaque, json_t *args, GError **error)
{
    return json_pack("[{s:s, s:b}, {s:s, s:b}]", "capability", "events",
                     "state", travel.events, "capability", "dirty-bitmaps",
                     "state", travel.dirty_bitmaps);
}

static const QmpArg set_parameters_args[] = {
    { "block-bitmap-mapping", QMP_ANY, .optional = true },
    { NULL },
};

static json_t *set_parameters(void *opaque, json_t *args, GError **error)
{
    json_t *mapping = json_object_get(args, "block-bitmap-mapping");

    if (mapping && block_bitmap_mapping_check(mapping, error)) {
        json_decref(travel.mapping);
        travel.mapping = json_deep_copy(mapping);
    }
    return NULL;
}

static json_t *query_parameters(void *opaque, json_t *args, GError **error)
{
    json_t *reply = json_object();

    if (travel.mapping) {
        json_object_set(reply, "block-bitmap-mapping", travel.mapping);
    }
    return reply;
}

static const QmpCommand commands[] = {
    { "migrate-set-capabilities", set_capabilities_args, set_capabilities },
    { "query-migrate-capabilities", NULL, query_capabilities,
      QMP_RETURNS_LIST, capability },
    { "migrate-set-parameters", set_parameters_args, set_parameters },
    { "query-migrate-parameters", NULL, query_parameters },
    { NULL },
};

void system_migrate_register(void)
{
    monitor_register(commands, NULL);
}
