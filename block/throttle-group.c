/* Leaky buckets shared by a group; see throttle-group.h. */
#include "block/throttle-group.h"

#include <errno.h>
#include <string.h>

#include "block/options.h"
#include "block/wind-up.h"

enum { TOTAL, READ, WRITE, KINDS };

typedef struct Bucket {
    double avg;    /* units per second; 0: no limit */
    double max;    /* rate of bursts; 0: a tenth of avg may pass at once */
    double length; /* seconds a burst may last */
    double level;  /* units not yet leaked */
} Bucket;

typedef struct Limits {
    Bucket bytes[KINDS], ops[KINDS];
    uint64_t op_size; /* a request counts once per this many bytes */
} Limits;

struct ThrottleGroup {
    char *id;
    int refs;
    GMutex lock;
    GCond changed;
    Limits limits;
    gint64 leaked_at; /* monotonic microseconds */
};

static GHashTable *groups; /* id -> group, not counted; graph lock */

#define NAMES(name, qmp)                                                     \
    { name, qmp }, { name "-max", qmp "_max" },                              \
    { name "-max-length", qmp "_max_length" }

const ThrottleLimitName throttle_limit_names[] = {
    NAMES("bps-total", "bps"), NAMES("bps-read", "bps_rd"),
    NAMES("bps-write", "bps_wr"), NAMES("iops-total", "iops"),
    NAMES("iops-read", "iops_rd"), NAMES("iops-write", "iops_wr"),
    { "iops-size", "iops_size" }, { NULL, NULL },
};

/* The limits come flat (x-*) or in an object "limits". */
#define LIMIT(name)                                                          \
    { "limits." name, BLOCK_OPT_INT }, { "x-" name, BLOCK_OPT_INT }

const BlockOption throttle_group_options[] = {
    LIMIT("iops-total"), LIMIT("iops-total-max"),
    LIMIT("iops-total-max-length"), LIMIT("iops-read"),
    LIMIT("iops-read-max"), LIMIT("iops-read-max-length"),
    LIMIT("iops-write"), LIMIT("iops-write-max"),
    LIMIT("iops-write-max-length"), LIMIT("bps-total"),
    LIMIT("bps-total-max"), LIMIT("bps-total-max-length"),
    LIMIT("bps-read"), LIMIT("bps-read-max"), LIMIT("bps-read-max-length"),
    LIMIT("bps-write"), LIMIT("bps-write-max"),
    LIMIT("bps-write-max-length"), LIMIT("iops-size"), { NULL },
};

static bool read_limit(json_t *options, const char *name, int64_t *value,
                       GError **error)
{
    g_autofree char *nested = g_strdup_printf("limits.%s", name);
    g_autofree char *flat = g_strdup_printf("x-%s", name);

    *value = 0;
    if (!block_options_int(options, nested, value, error) ||
        !block_options_int(options, flat, value, error)) {
        return false;
    }
    if (*value < 0 || *value > INT64_C(1000000000000000)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "bps/iops/max values must be within [0, "
                    "1000000000000000]");
        return false;
    }
    return true;
}

static bool read_bucket(json_t *options, const char *name, Bucket *bucket,
                        GError **error)
{
    g_autofree char *max_name = g_strdup_printf("%s-max", name);
    g_autofree char *length_name = g_strdup_printf("%s-max-length", name);
    int64_t avg;
    int64_t max;
    int64_t length;

    if (!read_limit(options, name, &avg, error) ||
        !read_limit(options, max_name, &max, error) ||
        !read_limit(options, length_name, &length, error)) {
        return false;
    }
    if (max && !avg) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "bps_max/iops_max require corresponding bps/iops values");
        return false;
    }
    if (max && max < avg) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "bps_max/iops_max cannot be lower than bps/iops");
        return false;
    }
    *bucket = (Bucket){ avg, max, length ? length : 1, 0 };
    return true;
}

static const char *const kinds[KINDS] = { "total", "read", "write" };

static bool read_limits(Limits *group, json_t *options, GError **error)
{
    int64_t size;

    for (int i = 0; i < KINDS; i++) {
        g_autofree char *bps = g_strdup_printf("bps-%s", kinds[i]);
        g_autofree char *iops = g_strdup_printf("iops-%s", kinds[i]);

        if (!read_bucket(options, bps, &group->bytes[i], error) ||
            !read_bucket(options, iops, &group->ops[i], error)) {
            return false;
        }
    }
    if ((group->bytes[TOTAL].avg &&
         (group->bytes[READ].avg || group->bytes[WRITE].avg)) ||
        (group->ops[TOTAL].avg &&
         (group->ops[READ].avg || group->ops[WRITE].avg))) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "bps/iops/max total values "
                    "and read/write values cannot be used at the same time");
        return false;
    }
    if (!read_limit(options, "iops-size", &size, error)) {
        return false;
    }
    group->op_size = size;
    return true;
}

static bool limits_any(const Limits *limits)
{
    bool any = false;

    for (int i = 0; i < KINDS; i++) {
        any |= limits->bytes[i].avg || limits->ops[i].avg;
    }
    return any;
}

bool throttle_limits_check(json_t *options, bool *any, GError **error)
{
    Limits limits;

    if (!read_limits(&limits, options, error)) {
        return false;
    }
    *any = limits_any(&limits);
    return true;
}

ThrottleGroup *throttle_group_new(const char *id, json_t *options,
                                  GError **error)
{
    ThrottleGroup *group = g_new0(ThrottleGroup, 1);

    group->refs = 1;
    group->id = g_strdup(id);
    g_mutex_init(&group->lock);
    g_cond_init(&group->changed);
    group->leaked_at = g_get_monotonic_time();
    if (!read_limits(&group->limits, options, error)) {
        throttle_group_unref(group);
        return NULL;
    }
    block_graph_lock();
    if (!groups) {
        groups = g_hash_table_new(g_str_hash, g_str_equal);
    }
    g_hash_table_insert(groups, group->id, group);
    block_graph_unlock();
    return group;
}

ThrottleGroup *throttle_group_ref(ThrottleGroup *group)
{
    __atomic_fetch_add(&group->refs, 1, __ATOMIC_RELAXED);
    return group;
}

void throttle_group_unref(ThrottleGroup *group)
{
    if (__atomic_sub_fetch(&group->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    block_graph_lock();
    if (groups && g_hash_table_lookup(groups, group->id) == group) {
        g_hash_table_remove(groups, group->id);
    }
    block_graph_unlock();
    g_mutex_clear(&group->lock);
    g_cond_clear(&group->changed);
    g_free(group->id);
    g_free(group);
}

const char *throttle_group_id(const ThrottleGroup *group)
{
    return group->id;
}

bool throttle_group_set_limits(ThrottleGroup *group, json_t *options,
                               GError **error)
{
    Limits limits;

    if (!read_limits(&limits, options, error)) {
        return false;
    }
    g_mutex_lock(&group->lock);
    group->limits = limits;
    group->leaked_at = g_get_monotonic_time();
    g_cond_broadcast(&group->changed);
    g_mutex_unlock(&group->lock);
    return true;
}

static void add_limit(json_t *object, const char *what, const char *kind,
                      const char *suffix, double value)
{
    g_autofree char *name = g_strconcat(what, kind, suffix, NULL);

    if (value) {
        json_object_set_new(object, name, json_integer((json_int_t)value));
    }
}

json_t *throttle_group_limits(ThrottleGroup *group)
{
    json_t *object = json_object();
    Limits limits;

    g_mutex_lock(&group->lock);
    limits = group->limits;
    g_mutex_unlock(&group->lock);
    for (int i = 0; i < 2 * KINDS; i++) {
        const Bucket *b = i < KINDS ? &limits.bytes[i]
                                    : &limits.ops[i - KINDS];
        const char *what = i < KINDS ? "bps-" : "iops-";
        const char *kind = kinds[i % KINDS];

        add_limit(object, what, kind, "", b->avg);
        add_limit(object, what, kind, "-max", b->max);
        add_limit(object, what, kind, "-max-length", b->max ? b->length : 0);
    }
    add_limit(object, "iops-size", "", "", limits.op_size);
    return object;
}

bool throttle_group_in_use(const ThrottleGroup *group)
{
    return __atomic_load_n(&group->refs, __ATOMIC_RELAXED) > 1;
}

ThrottleGroup *throttle_group_find(const char *id)
{
    ThrottleGroup *group;

    block_graph_lock();
    group = groups ? g_hash_table_lookup(groups, id) : NULL;
    if (group) {
        throttle_group_ref(group);
    }
    block_graph_unlock();
    return group;
}

/* Seconds until this bucket lets another request in. */
static double bucket_wait(const Bucket *bucket)
{
    double room = bucket->max ? bucket->max * bucket->length
                              : bucket->avg / 10;

    if (!bucket->avg || bucket->level <= room) {
        return 0;
    }
    return (bucket->level - room) / bucket->avg;
}

static void leak(ThrottleGroup *group)
{
    gint64 now = g_get_monotonic_time();
    double seconds = (now - group->leaked_at) / 1e6;

    group->leaked_at = now;
    for (int i = 0; i < KINDS; i++) {
        Bucket *b = &group->limits.bytes[i];
        Bucket *o = &group->limits.ops[i];

        b->level = MAX(b->level - seconds * b->avg, 0);
        o->level = MAX(o->level - seconds * o->avg, 0);
    }
}

void throttle_group_wait(ThrottleGroup *group, bool write, uint64_t bytes,
                         const int *cancel)
{
    int kind = write ? WRITE : READ;
    double units;

    g_mutex_lock(&group->lock);
    for (;;) {
        double wait;

        leak(group);
        wait = MAX(MAX(bucket_wait(&group->limits.bytes[TOTAL]),
                       bucket_wait(&group->limits.bytes[kind])),
                   MAX(bucket_wait(&group->limits.ops[TOTAL]),
                       bucket_wait(&group->limits.ops[kind])));
        if (wait <= 0 || block_winding_up() ||
            (cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED))) {
            break;
        }
        g_cond_wait_until(&group->changed, &group->lock,
                          g_get_monotonic_time() + 1 +
                              (gint64)MIN(wait * 1e6,
                                          BLOCK_WIND_UP_LOOK_US));
    }
    units = group->limits.op_size
                ? MAX((double)bytes / group->limits.op_size, 1) : 1;
    group->limits.bytes[TOTAL].level += bytes;
    group->limits.bytes[kind].level += bytes;
    group->limits.ops[TOTAL].level += units;
    group->limits.ops[kind].level += units;
    g_mutex_unlock(&group->lock);
}
