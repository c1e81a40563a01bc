/*
 * The human monitor's commands about disks.  Most are rows of a table: words
 * of the line become arguments of a QMP command.
 *
 *     drive_backup -n disk copy.qcow2
 *     -> {"execute": "drive-backup", "arguments": {"device": "disk",
 *         "target": "copy.qcow2", "mode": "existing", "sync": "top"}}
 */
#include "tools/e2k-system-human.h"

#include <inttypes.h>
#include <string.h>

#include "block/backend.h"
#include "block/monitor-nodes.h"
#include "block/options.h"
#include "monitor/monitor.h"

/*
 * A row.  words: what follows the name, in order, separated by spaces:
 *
 *     key        text, must be there       key?     may be missing
 *     key#       a size (1M)               key#?    the same
 *     -x/key     flag: true if it is there
 *     -x/key=a/b flag: a if it is there, else b (nothing if b is empty)
 */
typedef struct BlockCommand {
    const char *name, *usage, *help;
    const char *qmp;
    const char *words;
} BlockCommand;

static const BlockCommand commands[] = {
    { "block_resize", "DEVICE SIZE", "changes the size of a disk",
      "block_resize", "device size#" },
    { "block_stream", "DEVICE [SPEED [BASE]]", "copies what is below into it",
      "block-stream", "device speed#? base?" },
    { "drive_mirror", "[-n] [-f] DEVICE TARGET [FORMAT]",
      "copies a disk and keeps the copy in step", "drive-mirror",
      "-n/mode=existing/absolute-paths -f/sync=full/top device target "
      "format?" },
    { "drive_backup", "[-n] [-f] [-c] DEVICE TARGET [FORMAT]",
      "copies a disk as it is now", "drive-backup",
      "-n/mode=existing/absolute-paths -f/sync=full/top -c/compress device "
      "target format?" },
    { "block_job_set_speed", "DEVICE SPEED", "limits a job",
      "block-job-set-speed", "device speed#" },
    { "block_job_cancel", "[-f] DEVICE", "ends a job", "block-job-cancel",
      "-f/force device" },
    { "block_job_complete", "DEVICE", "switches to the copy",
      "block-job-complete", "device" },
    { "block_job_pause", "DEVICE", "lets a job wait", "block-job-pause",
      "device" },
    { "block_job_resume", "DEVICE", "lets it go on", "block-job-resume",
      "device" },
    { "snapshot_blkdev", "[-n] DEVICE FILE [FORMAT]",
      "puts an overlay on a disk", "blockdev-snapshot-sync",
      "-n/mode=existing/absolute-paths device snapshot-file format?" },
    { "snapshot_blkdev_internal", "DEVICE NAME", "a snapshot in the image",
      "blockdev-snapshot-internal-sync", "device name" },
    { "snapshot_delete_blkdev_internal", "DEVICE NAME [ID]", "deletes it",
      "blockdev-snapshot-delete-internal-sync", "device name id?" },
    { "eject", "[-f] DEVICE", "takes the medium out", "eject",
      "-f/force device" },
    { "change", "DEVICE FILE [FORMAT [MODE]]", "puts another one in",
      "blockdev-change-medium", "device filename format? read-only-mode?" },
    { "block_set_io_throttle", "DEVICE BPS BPS_RD BPS_WR IOPS IOPS_RD IOPS_WR",
      "limits a disk", "block_set_io_throttle",
      "device bps# bps_rd# bps_wr# iops# iops_rd# iops_wr#" },
    { "nbd_server_add", "[-w] NODE [NAME]", "exports a disk over NBD",
      "nbd-server-add", "-w/writable device name?" },
    { "nbd_server_remove", "[-f] NAME", "ends an export",
      "nbd-server-remove", "-f/mode=hard/safe name" },
    { "nbd_server_stop", "", "ends the NBD server", "nbd-server-stop", "" },
};

static bool usage_error(const char *name, const char *usage, GError **error)
{
    g_set_error(error, TOOL_ERROR, 0, "usage: %s %s", name, usage);
    return false;
}

/* "-x/key..." against the words; takes the flag off when it is there. */
static void take_flag(const char *spec, char **words, json_t *args)
{
    g_auto(GStrv) parts = g_strsplit(spec + 3, "=", 2);
    g_auto(GStrv) values = g_strsplit(parts[1] ? parts[1] : "", "/", 2);
    g_autofree char *flag = g_strndup(spec, 2);
    bool given = false;

    for (char **w = words; *w && **w == '-'; w++) {
        if (!strcmp(*w, flag)) {
            given = true;
            g_free(*w);
            memmove(w, w + 1, g_strv_length(w) * sizeof(*w));
            break;
        }
    }
    if (!parts[1] && given) {
        json_object_set_new(args, parts[0], json_true());
    } else if (parts[1]) {
        json_object_set_new(args, parts[0], json_string(values[!given]));
    }
}

/* One word under its key; false: not as the spec wants it. */
static bool take_word(const char *spec, const char *word, json_t *args)
{
    g_autofree char *key = g_strndup(spec, strcspn(spec, "#?"));
    json_t *value = NULL;
    uint64_t size;

    if (!word) {
        return strchr(spec, '?') != NULL;
    }
    if (!strchr(spec, '#')) {
        value = json_string(word);
    } else if (block_parse_size(word, &size) && size <= INT64_MAX) {
        value = json_integer(size);
    }
    return value && json_object_set_new(args, key, value) == 0;
}

static json_t *arguments(const BlockCommand *c, char **words, GError **error)
{
    g_auto(GStrv) specs = g_strsplit(c->words, " ", -1);
    json_t *args = json_object();
    char **word = words + 1;
    bool ok = true;

    for (char **spec = specs; *spec; spec++) {
        if (**spec == '-') {
            take_flag(*spec, word, args);
        }
    }
    for (char **spec = specs; *spec && ok; spec++) {
        if (**spec && **spec != '-') {
            ok = take_word(*spec, *word, args);
            word += *word != NULL;
        }
    }
    if (!ok || *word) {
        usage_error(c->name, c->usage, error);
        g_clear_pointer(&args, json_decref);
    }
    return args;
}

/* ---- commit --------------------------------------------------------------- */

static bool commit_one(BlockBackend *backend, GError **error)
{
    BlockNode *node = block_backend_node(backend);
    BlockNode *top = node ? block_node_skip_filters(node) : NULL;
    BlockNode *base = top ? block_node_backing(top) : NULL;
    const char *name = block_backend_name(backend);

    if (!base) {
        g_set_error(error, TOOL_ERROR, 0, node
                        ? "'commit' error for '%s': Operation not supported"
                        : "Device '%s' has no medium", name);
        return false;
    }
    if (!block_commit_now(top, block_node_skip_filters(base), false, NULL,
                          NULL, error)) {
        g_prefix_error(error, "'commit' error for '%s': ", name);
        return false;
    }
    return true;
}

static bool has_backing(BlockBackend *backend)
{
    BlockNode *node = block_backend_node(backend);

    return *block_backend_name(backend) && node &&
           block_node_backing(block_node_skip_filters(node));
}

static bool run_commit(Machine *machine, char **words, FILE *to,
                       GError **error)
{
    bool all = words[1] && !strcmp(words[1], "all");
    bool ok = true;

    if (!words[1] || words[2]) {
        return usage_error("commit", "DEVICE|all", error);
    }
    block_graph_lock();
    for (BlockBackend *b = block_backend_next(NULL); all && ok && b;
         b = block_backend_next(b)) {
        ok = !has_backing(b) || commit_one(b, error);
    }
    if (!all) {
        BlockBackend *backend = block_backend_find(words[1]);

        if (!backend) {
            g_set_error(error, TOOL_ERROR, 0, "Device '%s' not found",
                        words[1]);
        }
        ok = backend && commit_one(backend, error);
    }
    block_graph_unlock();
    return ok;
}

/* ---- NBD server ----------------------------------------------------------- */

static bool run_nbd_start(Machine *machine, char **words, FILE *to,
                          GError **error)
{
    const char *address = words[1];
    const char *colon = address ? strrchr(address, ':') : NULL;
    g_autofree char *host = NULL;
    json_t *addr;
    json_t *result;

    if (!address || words[2] || !colon) {
        return usage_error("nbd_server_start", "HOST:PORT|unix:PATH", error);
    }
    host = g_strndup(address, colon - address);
    addr = g_str_has_prefix(address, "unix:")
               ? json_pack("{s:s, s:{s:s}}", "type", "unix", "data", "path",
                           address + strlen("unix:"))
               : json_pack("{s:s, s:{s:s, s:s}}", "type", "inet", "data",
                           "host", host, "port", colon + 1);
    result = monitor_call("nbd-server-start",
                          json_pack("{s:o}", "addr", addr), error);
    json_decref(result);
    return result != NULL;
}

/* ---- info ----------------------------------------------------------------- */

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static int64_t number_of(json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

void human_info_block_jobs(Machine *machine, FILE *to)
{
    json_t *jobs = monitor_call("query-block-jobs", NULL, NULL);
    json_t *job;
    size_t i;

    if (json_array_size(jobs) == 0) {
        fprintf(to, "No active jobs\n");
    }
    json_array_foreach(jobs, i, job) {
        const char *type = text_of(job, "type");

        if (!strcmp(type, "stream")) {
            fprintf(to, "Streaming device %s: ", text_of(job, "device"));
        } else {
            fprintf(to, "Type %s, device %s: ", type,
                    text_of(job, "device"));
        }
        fprintf(to, "Completed %" PRId64 " of %" PRId64 " bytes, speed limit "
                "%" PRId64 " bytes/s\n", number_of(job, "offset"),
                number_of(job, "len"), number_of(job, "speed"));
    }
    json_decref(jobs);
}

static void print_limits(json_t *inserted, FILE *to)
{
    static const char *const names[] = { "bps", "bps_rd", "bps_wr", "iops",
                                         "iops_rd", "iops_wr", "iops_size" };

    if (!json_object_get(inserted, "group")) {
        return;
    }
    fprintf(to, "    I/O throttling:  ");
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        fprintf(to, " %s=%" PRId64, names[i], number_of(inserted, names[i]));
    }
    fprintf(to, " group=%s\n", text_of(inserted, "group"));
}

static bool is_set(json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static void print_device(json_t *device, FILE *to)
{
    json_t *inserted = json_object_get(device, "inserted");
    json_t *cache = json_object_get(inserted, "cache");
    const char *name = text_of(device, "device");

    fprintf(to, "%s", *name ? name : text_of(device, "qdev"));
    if (!inserted) {
        fprintf(to, ": [not inserted]\n");
        return;
    }
    fprintf(to, " (%s): %s (%s%s)\n", text_of(inserted, "node-name"),
            text_of(inserted, "file"), text_of(inserted, "drv"),
            is_set(inserted, "ro") ? ", read-only" : "");
    if (json_object_get(device, "qdev")) {
        fprintf(to, "    Attached to:      %s\n", text_of(device, "qdev"));
    }
    fprintf(to, "    Cache mode:       %s%s%s\n",
            is_set(cache, "writeback") ? "writeback" : "writethrough",
            is_set(cache, "direct") ? ", direct" : "",
            is_set(cache, "no-flush") ? ", ignore flushes" : "");
    if (json_object_get(inserted, "backing_file")) {
        fprintf(to, "    Backing file:     %s (chain depth: %" PRId64 ")\n",
                text_of(inserted, "backing_file"),
                number_of(inserted, "backing_file_depth"));
    }
    if (strcmp(text_of(inserted, "detect_zeroes"), "off") != 0) {
        fprintf(to, "    Detect zeroes:    %s\n",
                text_of(inserted, "detect_zeroes"));
    }
    print_limits(inserted, to);
}

void human_info_block(Machine *machine, FILE *to)
{
    json_t *devices = monitor_call("query-block", NULL, NULL);
    json_t *device;
    size_t i;

    json_array_foreach(devices, i, device) {
        fprintf(to, "%s", i ? "\n" : "");
        print_device(device, to);
    }
    json_decref(devices);
}

/* ---- All of them ---------------------------------------------------------- */

static const HumanCommand others[] = {
    { "commit", "DEVICE|all", "writes what an overlay holds into the image "
      "below", run_commit, .live = true },
    { "nbd_server_start", "HOST:PORT|unix:PATH", "starts the NBD server",
      run_nbd_start, .live = true },
};

bool human_block_command(Machine *machine, char **words, FILE *to,
                         bool *known, GError **error)
{
    *known = true;
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (!strcmp(words[0], commands[i].name)) {
            json_t *args = arguments(&commands[i], words, error);
            json_t *result =
                args ? monitor_call(commands[i].qmp, args, error) : NULL;

            json_decref(result);
            return result != NULL;
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        if (!strcmp(words[0], others[i].name)) {
            return others[i].run(machine, words, to, error);
        }
    }
    *known = false;
    return false;
}

void human_block_help(FILE *to)
{
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        fprintf(to, "%s %s -- %s\n", others[i].name, others[i].arguments,
                others[i].help);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        fprintf(to, "%s %s -- %s\n", commands[i].name, commands[i].usage,
                commands[i].help);
    }
}
