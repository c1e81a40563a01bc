/* QMP: starting jobs and talking to them. */
#include "monitor/block-jobs-int.h"

#include <errno.h>
#include <string.h>

#include "block/backend.h"
#include "block/driver.h"
#include "block/jobs.h"
#include "block/monitor-nodes.h"
#include "monitor/block-commands-int.h"

/* Arguments that all jobs have. */
#define JOB_ARGS                                                             \
    { "job-id", QMP_STR, .optional = true },                                 \
    { "speed", QMP_INT, .optional = true },                                  \
    { "auto-finalize", QMP_BOOL, .optional = true },                         \
    { "auto-dismiss", QMP_BOOL, .optional = true }

#define POLICY_ARG(name)                                                     \
    { name, QMP_ENUM, .optional = true, .words = BLOCK_ERROR_POLICIES }

static BlockErrorPolicy policy(json_t *args, const char *name)
{
    return MAX(qmp_enum(args, name, BLOCK_ERROR_POLICIES), 0);
}

/* The name of the device on this node, for the default job id. */
static const char *device_name(BlockNode *node)
{
    for (BlockBackend *b = block_backend_next(NULL); b;
         b = block_backend_next(b)) {
        if (block_backend_node(b) == node && *block_backend_name(b)) {
            return block_backend_name(b);
        }
    }
    return NULL;
}

static BlockJobParams job_params(json_t *args, BlockNode *node)
{
    return (BlockJobParams){
        .id = qmp_str(args, "job-id"),
        .device = device_name(node),
        .speed = qmp_int(args, "speed", 0),
        .manual_finalize = !qmp_bool(args, "auto-finalize", true),
        .manual_dismiss = !qmp_bool(args, "auto-dismiss", true),
    };
}

static bool fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool fail(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error) {
        *error = g_error_new_valist(MONITOR_ERROR, 0, format, args);
    }
    va_end(args);
    return false;
}

/* ---- Requests at the same time ------------------------------------------- */

#define PERF_ARGS                                                            \
    { "max-workers", QMP_INT, .optional = true },                            \
    { "max-chunk", QMP_INT, .optional = true }

static bool get_perf(json_t *args, BlockJobPerf *p, GError **error)
{
    json_t *perf = json_object_get(args, "x-perf");
    int64_t workers = perf ? qmp_int(perf, "max-workers", 64) : 0;
    int64_t chunk = perf ? qmp_int(perf, "max-chunk", 0) : 0;

    if (perf && (workers < 1 || workers > INT32_MAX)) {
        return fail(error, "max-workers must be between 1 and %d", INT32_MAX);
    }
    if (chunk < 0 || (chunk && chunk < 65536)) {
        return fail(error, "max-chunk must be zero (which means no limit) or "
                           "at least the cluster size");
    }
    p->workers = workers;
    p->max_chunk = MIN((uint64_t)chunk, BLOCK_JOB_CHUNK_MAX);
    return true;
}

/* ---- Backup -------------------------------------------------------------- */

#define BACKUP_ARGS                                                          \
    JOB_ARGS,                                                                \
    { "device", QMP_STR },                                                   \
    { "sync", QMP_ENUM, .words = BLOCK_SYNC_WORDS },                         \
    { "bitmap", QMP_STR, .optional = true },                                 \
    { "bitmap-mode", QMP_ENUM, .optional = true,                             \
      .words = BLOCK_BITMAP_MODE_WORDS },                                    \
    { "compress", QMP_BOOL, .optional = true },                              \
    POLICY_ARG("on-source-error"), POLICY_ARG("on-target-error"),            \
    { "filter-node-name", QMP_STR, .optional = true },                       \
    { "x-perf", QMP_OBJECT, .optional = true, .members = perf_args }

static const QmpArg perf_args[] = {
    { "use-copy-range", QMP_BOOL, .optional = true },
    PERF_ARGS,
    { NULL },
};

const QmpArg monitor_blockdev_backup_args[] = {
    BACKUP_ARGS,
    { "target", QMP_STR },
    { NULL },
};

const QmpArg monitor_drive_backup_args[] = {
    BACKUP_ARGS,
    { "target", QMP_STR },
    { "format", QMP_STR, .optional = true },
    { "mode", QMP_ENUM, .optional = true, .words = "existing/absolute-paths" },
    { NULL },
};

/* The rules of sync, bitmap and bitmap-mode. */
static bool check_sync(json_t *args, BlockBackupParams *p, GError **error)
{
    const char *name = qmp_str(args, "bitmap");
    int mode = qmp_enum(args, "bitmap-mode", BLOCK_BITMAP_MODE_WORDS);
    const char *word = qmp_str(args, "sync");

    if (p->sync == BLOCK_SYNC_INCREMENTAL) {
        if (mode > 0) {
            return fail(error, "Bitmap sync mode must be 'on-success' when "
                               "using sync mode 'incremental'");
        }
        mode = BLOCK_BITMAP_ON_SUCCESS;
    }
    if ((p->sync == BLOCK_SYNC_BITMAP || p->sync == BLOCK_SYNC_INCREMENTAL) &&
        !name) {
        return fail(error, "must provide a valid bitmap name for '%s' sync "
                           "mode", word);
    }
    if (!name) {
        return mode < 0 || fail(error, "Cannot specify bitmap sync mode "
                                       "without a bitmap");
    }
    p->bitmap = block_dirty_bitmap_find(p->source, name);
    if (!p->bitmap) {
        return fail(error, "Bitmap '%s' could not be found", name);
    }
    if (mode < 0) {
        return fail(error, "Bitmap sync mode must be given when providing a "
                           "bitmap");
    }
    if (p->sync == BLOCK_SYNC_NONE) {
        return fail(error, "sync mode 'none' does not produce meaningful "
                           "bitmap outputs");
    }
    if (mode == BLOCK_BITMAP_NEVER && (p->sync == BLOCK_SYNC_FULL ||
                                       p->sync == BLOCK_SYNC_TOP)) {
        return fail(error, "Bitmap sync mode 'never' has no meaningful "
                           "effect when combined with sync mode '%s'", word);
    }
    p->mode = mode;
    return true;
}

static bool common_backup(json_t *args, BlockJobTransaction *group,
                          BlockBackupParams *p, GError **error)
{
    const char *device = qmp_str(args, "device");

    memset(p, 0, sizeof(*p));
    p->source = block_node_lookup(device, device, error);
    if (!p->source) {
        return false;
    }
    p->job = job_params(args, p->source);
    p->job.group = group;
    p->sync = qmp_enum(args, "sync", BLOCK_SYNC_WORDS);
    p->compress = qmp_bool(args, "compress", false);
    p->filter_name = qmp_str(args, "filter-node-name");
    p->on_source_error = policy(args, "on-source-error");
    p->on_target_error = policy(args, "on-target-error");
    return get_perf(args, &p->perf, error);
}

BlockJob *monitor_blockdev_backup(json_t *args, BlockJobTransaction *group,
                                  GError **error)
{
    const char *target = qmp_str(args, "target");
    BlockBackupParams p;

    if (!common_backup(args, group, &p, error)) {
        return NULL;
    }
    p.target = block_node_lookup(target, target, error);
    return p.target && check_sync(args, &p, error)
               ? block_backup_new(&p, error) : NULL;
}

/* ---- Targets by file name ------------------------------------------------ */

/* A node on the target file: made, or there already.  A reference. */
static BlockNode *open_target(json_t *args, BlockNode *source, BlockSync sync,
                              GError **error)
{
    const char *file = qmp_str(args, "target");
    const char *format = qmp_str(args, "format");
    const char *mode = qmp_str(args, "mode");
    const char *name = qmp_str(args, "node-name");
    bool existing = mode && !strcmp(mode, "existing");
    BlockNode *backing = sync == BLOCK_SYNC_TOP ? block_node_backing(source)
                         : sync == BLOCK_SYNC_NONE ? source : NULL;
    json_t *options;
    BlockNode *node;

    if (!format && !existing) {
        format = block_node_driver_name(source);
    }
    if (format && !block_driver_find(format)) {
        fail(error, "Invalid block format '%s'", format);
        return NULL;
    }
    if (!existing && !monitor_create_image(file, format, source, backing,
                                           error)) {
        return NULL;
    }
    options = json_object();
    if (name) {
        json_object_set_new(options, "node-name", json_string(name));
    }
    if (sync == BLOCK_SYNC_NONE && !existing) {
        json_object_set_new(options, "backing",
                            json_string(block_node_name(source)));
    }
    node = block_node_open_filename(file, format, options,
                                    BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP,
                                    error);
    json_decref(options);
    return node;
}

BlockJob *monitor_drive_backup(json_t *args, BlockJobTransaction *group,
                               GError **error)
{
    BlockBackupParams p;
    BlockJob *job;

    if (!common_backup(args, group, &p, error) ||
        !check_sync(args, &p, error)) {
        return NULL;
    }
    p.target = open_target(args, p.source, p.sync, error);
    if (!p.target) {
        return NULL;
    }
    job = block_backup_new(&p, error);
    block_node_unref(p.target);
    return job;
}

/* ---- Mirror -------------------------------------------------------------- */

#define MIRROR_ARGS                                                          \
    JOB_ARGS,                                                                \
    { "device", QMP_STR },                                                   \
    { "target", QMP_STR },                                                   \
    { "replaces", QMP_STR, .optional = true },                               \
    { "sync", QMP_ENUM, .words = BLOCK_SYNC_WORDS },                         \
    { "granularity", QMP_UINT32, .optional = true },                         \
    { "buf-size", QMP_INT, .optional = true },                               \
    POLICY_ARG("on-source-error"), POLICY_ARG("on-target-error"),            \
    { "copy-mode", QMP_ENUM, .optional = true,                               \
      .words = "background/write-blocking" }

static const QmpArg blockdev_mirror_args[] = {
    MIRROR_ARGS,
    { "filter-node-name", QMP_STR, .optional = true },
    { NULL },
};

static const QmpArg drive_mirror_args[] = {
    MIRROR_ARGS,
    { "format", QMP_STR, .optional = true },
    { "node-name", QMP_STR, .optional = true },
    { "mode", QMP_ENUM, .optional = true, .words = "existing/absolute-paths" },
    { "unmap", QMP_BOOL, .optional = true },
    { NULL },
};

static bool common_mirror(json_t *args, BlockMirrorParams *p, GError **error)
{
    const char *device = qmp_str(args, "device");
    const char *replaces = qmp_str(args, "replaces");

    memset(p, 0, sizeof(*p));
    p->source = block_node_lookup(device, device, error);
    if (!p->source) {
        return false;
    }
    if (replaces) {
        p->replaces = block_node_lookup(NULL, replaces, error);
        if (!p->replaces) {
            return false;
        }
    }
    p->job = job_params(args, p->source);
    p->sync = qmp_enum(args, "sync", BLOCK_SYNC_WORDS);
    if (p->sync == BLOCK_SYNC_TOP) {
        p->base = block_node_backing(p->source);
        p->sync = p->base ? BLOCK_SYNC_TOP : BLOCK_SYNC_FULL;
    }
    p->granularity = qmp_int(args, "granularity", 0);
    p->write_blocking = qmp_enum(args, "copy-mode",
                                 "background/write-blocking") == 1;
    p->filter_name = qmp_str(args, "filter-node-name");
    p->on_source_error = policy(args, "on-source-error");
    p->on_target_error = policy(args, "on-target-error");
    if (qmp_int(args, "buf-size", 0) < 0) {
        return fail(error, "Invalid parameter 'buf-size'");
    }
    p->buf_size = qmp_int(args, "buf-size", 0);
    return true;
}

/* Starts what was made; NULL passes an error on. */
static void start(BlockJob *job)
{
    if (job) {
        block_job_start(job);
    }
}

static json_t *run_blockdev_mirror(void *opaque, json_t *args, GError **error)
{
    const char *target = qmp_str(args, "target");
    BlockMirrorParams p;

    block_graph_lock();
    if (common_mirror(args, &p, error) &&
        (p.target = block_node_lookup(target, target, error))) {
        start(block_mirror_new(&p, error));
    }
    block_graph_unlock();
    return NULL;
}

static json_t *run_drive_mirror(void *opaque, json_t *args, GError **error)
{
    BlockMirrorParams p;

    block_graph_lock();
    if (common_mirror(args, &p, error) &&
        (p.target = open_target(args, p.source, p.sync, error))) {
        start(block_mirror_new(&p, error));
        block_node_unref(p.target);
    }
    block_graph_unlock();
    return NULL;
}

static json_t *run_blockdev_backup(void *opaque, json_t *args, GError **error)
{
    block_graph_lock();
    start(monitor_blockdev_backup(args, NULL, error));
    block_graph_unlock();
    return NULL;
}

static json_t *run_drive_backup(void *opaque, json_t *args, GError **error)
{
    block_graph_lock();
    start(monitor_drive_backup(args, NULL, error));
    block_graph_unlock();
    return NULL;
}

/* ---- Stream and commit ---------------------------------------------------- */

static const QmpArg pass_perf_args[] = { PERF_ARGS, { NULL } };

static const QmpArg stream_args[] = {
    JOB_ARGS,
    { "device", QMP_STR },
    { "base", QMP_STR, .optional = true },
    { "base-node", QMP_STR, .optional = true },
    { "bottom", QMP_STR, .optional = true },
    { "backing-file", QMP_STR, .optional = true },
    POLICY_ARG("on-error"),
    { "filter-node-name", QMP_STR, .optional = true },
    { "x-perf", QMP_OBJECT, .optional = true, .members = pass_perf_args },
    { NULL },
};

/* A node of the chain by its node name. */
static BlockNode *find_below(BlockNode *top, const char *name)
{
    for (BlockNode *n = top; n; n = block_node_below(n)) {
        if (!strcmp(block_node_name(n), name)) {
            return n;
        }
    }
    return NULL;
}

/* An image below top by its file name. */
static BlockNode *chain_file(BlockNode *top, const char *name, GError **error)
{
    BlockNode *node = block_chain_find_image(top, name);

    if (!node) {
        fail(error, "Can't find '%s' in the backing chain", name);
    }
    return node;
}

/* base or base-node of a stream, NULL if not given; false: error. */
static bool stream_base(json_t *args, BlockNode *top, BlockNode **base,
                        GError **error)
{
    const char *file = qmp_str(args, "base");
    const char *node = qmp_str(args, "base-node");

    if (file && node) {
        return fail(error, "'base' and 'base-node' cannot be specified at "
                           "the same time");
    }
    if (file) {
        *base = chain_file(top, file, error);
    } else if (node) {
        *base = block_node_lookup(NULL, node, error);
    }
    return *base || (!file && !node);
}

static json_t *run_stream(void *opaque, json_t *args, GError **error)
{
    const char *device = qmp_str(args, "device");
    const char *bottom = qmp_str(args, "bottom");
    BlockStreamParams p = { .backing_file = qmp_str(args, "backing-file"),
                            .filter_name = qmp_str(args, "filter-node-name"),
                            .on_error = policy(args, "on-error") };
    bool ok;

    block_graph_lock();
    p.top = block_node_lookup(device, device, error);
    ok = p.top && stream_base(args, p.top, &p.base, error) &&
         get_perf(args, &p.perf, error);
    if (ok && bottom) {
        BlockNode *node = find_below(p.top, bottom);

        p.base = node ? block_node_backing(node) : NULL;
        ok = node || fail(error, "Can't find '%s' in the backing chain",
                          bottom);
    }
    if (ok) {
        p.job = job_params(args, p.top);
        start(block_stream_new(&p, error));
    }
    block_graph_unlock();
    return NULL;
}

static const QmpArg commit_args[] = {
    JOB_ARGS,
    { "device", QMP_STR },
    { "base", QMP_STR, .optional = true },
    { "base-node", QMP_STR, .optional = true },
    { "top", QMP_STR, .optional = true },
    { "top-node", QMP_STR, .optional = true },
    { "backing-file", QMP_STR, .optional = true },
    POLICY_ARG("on-error"),
    { "filter-node-name", QMP_STR, .optional = true },
    { "x-perf", QMP_OBJECT, .optional = true, .members = pass_perf_args },
    { NULL },
};

static BlockNode *chain_end(BlockNode *node)
{
    BlockNode *next;

    while ((next = block_node_filtered(node) ? block_node_filtered(node)
                                             : block_node_backing(node))) {
        node = next;
    }
    return node;
}

/* The active layer: like a mirror, and the guest goes on below. */
static BlockJob *new_active_commit(json_t *args, BlockNode *active,
                                   BlockNode *base, GError **error)
{
    BlockErrorPolicy on_error = policy(args, "on-error");
    BlockMirrorParams p = {
        .job = job_params(args, active), .source = active,
        .target = base, .base = base, .sync = BLOCK_SYNC_TOP,
        .commit = true, .filter_name = qmp_str(args, "filter-node-name"),
        .on_source_error = on_error,
        .on_target_error = on_error,
    };
    static const char *const middle_only[] = { "backing-file", "x-perf" };

    for (size_t i = 0; i < G_N_ELEMENTS(middle_only); i++) {
        if (json_object_get(args, middle_only[i])) {
            fail(error, "'%s' specified, but 'top' is the active layer",
                 middle_only[i]);
            return NULL;
        }
    }
    if (block_length(base) < block_length(active)) {
        bool was_read_only = block_node_is_read_only(base);

        if ((was_read_only &&
             !block_node_reopen_read_only(base, false, error)) ||
            !block_truncate(base, block_length(active), false,
                            BLOCK_PREALLOC_OFF, error)) {
            return NULL;
        }
        if (was_read_only) {
            block_node_reopen_read_only(base, true, NULL);
        }
    }
    return block_mirror_new(&p, error);
}

static BlockJob *new_commit(json_t *args, BlockNode *active, BlockNode *top,
                            BlockNode *base, GError **error)
{
    BlockErrorPolicy on_error = policy(args, "on-error");
    BlockJobPerf perf;

    if (block_node_skip_filters(top) == block_node_skip_filters(active)) {
        return new_active_commit(args, top, base, error);
    }
    if (!get_perf(args, &perf, error)) {
        return NULL;
    }
    return block_commit_new(&(BlockCommitParams){
        .job = job_params(args, active), .active = active, .top = top,
        .base = base, .backing_file = qmp_str(args, "backing-file"),
        .filter_name = qmp_str(args, "filter-node-name"),
        .perf = perf, .on_error = on_error,
    }, error);
}

/* A node that must be in the chain below active, by node name. */
static BlockNode *commit_node(BlockNode *active, const char *name,
                              GError **error)
{
    BlockNode *node = block_node_lookup(NULL, name, error);

    if (node && !block_chain_has(active, node)) {
        fail(error, "'%s' is not in this backing file chain", name);
        node = NULL;
    }
    return node;
}

static BlockNode *commit_top(json_t *args, BlockNode *active, GError **error)
{
    const char *file = qmp_str(args, "top");
    const char *name = qmp_str(args, "top-node");
    BlockNode *top = active;

    if (file && name) {
        fail(error, "'top-node' and 'top' are mutually exclusive");
        return NULL;
    }
    if (name) {
        return commit_node(active, name, error);
    }
    if (file && strcmp(file, block_node_filename(active)) != 0 &&
        !(top = block_chain_find_image(active, file))) {
        fail(error, "Top image file %s not found", file);
    }
    return top;
}

static BlockNode *commit_base(json_t *args, BlockNode *active,
                              BlockNode *top, GError **error)
{
    const char *file = qmp_str(args, "base");
    const char *name = qmp_str(args, "base-node");
    BlockNode *base;

    if (file && name) {
        fail(error, "'base-node' and 'base' are mutually exclusive");
        return NULL;
    }
    if (file) {
        return chain_file(top, file, error);
    }
    base = name ? commit_node(active, name, error) : chain_end(top);
    if (base && base != top && !block_chain_has(top, base)) {
        fail(error, "'%s' is not in this backing file chain",
             block_node_name(base));
        return NULL;
    }
    if (base == top) {
        fail(error, "cannot commit an image into itself");
        return NULL;
    }
    return base;
}

static json_t *run_commit(void *opaque, json_t *args, GError **error)
{
    const char *device = qmp_str(args, "device");
    BlockNode *active;
    BlockNode *top;
    BlockNode *base;

    block_graph_lock();
    active = block_node_lookup(device, device, NULL);
    if (!active) {
        g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_DEVICE_NOT_FOUND,
                    "Device '%s' not found", device);
    }
    top = active ? commit_top(args, active, error) : NULL;
    base = top ? commit_base(args, active, top, error) : NULL;
    if (base) {
        start(new_commit(args, active, top, base, error));
    }
    block_graph_unlock();
    return NULL;
}

static const QmpArg create_args[] = {
    { "job-id", QMP_STR },
    { "options", QMP_OBJECT },
    { NULL },
};

static json_t *run_create(void *opaque, json_t *args, GError **error)
{
    json_t *options = json_object_get(args, "options");
    const char *name = qmp_str(options, "driver");
    const BlockDriver *driver = name ? block_driver_find(name) : NULL;

    if (!name) {
        fail(error, "Parameter 'options.driver' is missing");
        return NULL;
    }
    if (!driver) {
        fail(error, "Parameter 'driver' does not accept value '%s'", name);
        return NULL;
    }
    if (!driver->create) {
        fail(error, "Driver does not support blockdev-create");
        return NULL;
    }
    block_graph_lock();
    start(block_create_job_new(qmp_str(args, "job-id"), options, error));
    block_graph_unlock();
    return NULL;
}

const QmpCommand monitor_job_commands[] = {
    { "blockdev-backup", monitor_blockdev_backup_args, run_blockdev_backup },
    { "drive-backup", monitor_drive_backup_args, run_drive_backup,
      QMP_DEPRECATED },
    { "blockdev-mirror", blockdev_mirror_args, run_blockdev_mirror },
    { "drive-mirror", drive_mirror_args, run_drive_mirror },
    { "block-stream", stream_args, run_stream },
    { "block-commit", commit_args, run_commit },
    { "blockdev-create", create_args, run_create },
    { NULL },
};
