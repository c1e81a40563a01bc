/* e2k-img info, check, map: what an image is, and whether it is sound. */
#include "tools/e2k-img-int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/dirty-bitmap.h"

/* ---- info ----------------------------------------------------------------- */

static json_int_t get_int(json_t *info, const char *key)
{
    return json_integer_value(json_object_get(info, key));
}

static void print_snapshot(json_t *sn)
{
    g_autofree char *vm_size = tool_size_text(get_int(sn, "vm-state-size"));
    json_int_t clock = get_int(sn, "vm-clock-sec");
    time_t date = get_int(sn, "date-sec");
    char date_text[32] = "", clock_text[32], icount[24] = "";
    struct tm tm;

    if (localtime_r(&date, &tm)) {
        strftime(date_text, sizeof(date_text), "%Y-%m-%d %H:%M:%S", &tm);
    }
    g_snprintf(clock_text, sizeof(clock_text), "%02d:%02d:%02d.%03d",
               (int)(clock / 3600), (int)(clock / 60 % 60), (int)(clock % 60),
               (int)(get_int(sn, "vm-clock-nsec") / 1000000));
    if (json_object_get(sn, "icount")) {
        g_snprintf(icount, sizeof(icount), "%" JSON_INTEGER_FORMAT,
                   get_int(sn, "icount"));
    }
    printf("%-9s %-16s %8s%20s%13s%11s\n",
           json_string_value(json_object_get(sn, "id")),
           json_string_value(json_object_get(sn, "name")), vm_size, date_text,
           clock_text, icount);
}

static void print_snapshots(json_t *list)
{
    size_t i;
    json_t *sn;

    printf("%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE",
           "VM CLOCK", "ICOUNT");
    json_array_foreach(list, i, sn) {
        print_snapshot(sn);
    }
}

static void print_backing(json_t *info)
{
    const char *name =
        json_string_value(json_object_get(info, "backing-filename"));
    const char *full =
        json_string_value(json_object_get(info, "full-backing-filename"));
    const char *format =
        json_string_value(json_object_get(info, "backing-filename-format"));

    if (!name) {
        return;
    }
    printf("backing file: %s", name);
    if (!full) {
        printf(" (cannot determine actual path)");
    } else if (strcmp(name, full)) {
        printf(" (actual path: %s)", full);
    }
    printf("\n");
    if (format) {
        printf("backing file format: %s\n", format);
    }
}

static void print_info(json_t *info)
{
    g_autofree char *size = tool_size_text(get_int(info, "virtual-size"));
    json_t *actual = json_object_get(info, "actual-size");
    json_t *snapshots = json_object_get(info, "snapshots");
    json_t *specific = json_object_get(
        json_object_get(info, "format-specific"), "data");
    g_autofree char *disk =
        actual ? tool_size_text(json_integer_value(actual))
               : g_strdup("unavailable");

    printf("image: %s\nfile format: %s\n"
           "virtual size: %s (%" JSON_INTEGER_FORMAT " bytes)\n"
           "disk size: %s\n",
           json_string_value(json_object_get(info, "filename")),
           json_string_value(json_object_get(info, "format")), size,
           get_int(info, "virtual-size"), disk);
    if (json_is_true(json_object_get(info, "encrypted"))) {
        printf("encrypted: yes\n");
    }
    if (json_object_get(info, "cluster-size")) {
        printf("cluster_size: %" JSON_INTEGER_FORMAT "\n",
               get_int(info, "cluster-size"));
    }
    if (json_is_true(json_object_get(info, "dirty-flag"))) {
        printf("cleanly shut down: no\n");
    }
    print_backing(info);
    if (json_array_size(snapshots)) {
        printf("Snapshot list:\n");
        print_snapshots(snapshots);
    }
    if (json_object_size(specific)) {
        printf("Format specific information:\n");
        tool_print_json_text(specific, 4);
    }
}

/* ImageInfo of one image; *below receives the path of its backing file. */
static json_t *image_info(const char *name, const ToolImage *image,
                          char **below, char **below_format)
{
    g_autoptr(BlockBackend) backend = tool_open(name, image);
    GError *error = NULL;
    json_t *info;

    if (!backend) {
        return NULL;
    }
    info = block_node_image_info(img_node(backend), true, &error);
    if (!info) {
        tool_report(error, NULL);
        return NULL;
    }
    *below = g_strdup(json_string_value(
        json_object_get(info, "full-backing-filename")));
    *below_format = g_strdup(json_string_value(
        json_object_get(info, "backing-filename-format")));
    return info;
}

/* Members in the order in which readers of the output expect them. */
static json_t *in_usual_order(json_t *info)
{
    static const char *const order[] = {
        "backing-filename-format", "snapshots", "virtual-size", "filename",
        "cluster-size", "encrypted", "format", "actual-size",
        "format-specific", "full-backing-filename", "backing-filename",
        "dirty-flag",
    };
    json_t *sorted = json_object();

    for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
        json_t *value = json_object_get(info, order[i]);

        if (value) {
            json_object_set(sorted, order[i], value);
        }
    }
    json_object_update_missing(sorted, info);
    json_decref(info);
    return sorted;
}

static json_t *collect_chain(const char *name, ToolImage image, bool chain)
{
    g_autoptr(GHashTable) seen =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *at = g_strdup(name);
    g_autofree char *format = NULL;
    json_t *list = json_array();

    while (at) {
        char *below = NULL, *below_format = NULL;
        json_t *info;

        if (!g_hash_table_add(seen, g_strdup(at))) {
            tool_error("Backing file '%s' creates an infinite loop.", at);
            json_decref(list);
            return NULL;
        }
        info = image_info(at, &image, &below, &below_format);
        if (!info) {
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list, in_usual_order(info));
        g_free(at);
        at = below;
        g_free(format);
        format = below_format;
        image.format = format;
        image.image_opts = false;
        if (!chain) {
            break;
        }
    }
    if (!chain) {
        g_clear_pointer(&at, g_free);
    }
    return list;
}

int img_info(int argc, char **argv)
{
    static const struct option longs[] = {
        IMG_LONG_COMMON,
        { "format", required_argument, NULL, 'f' },
        { "output", required_argument, NULL, OPT_OUTPUT },
        { "backing-chain", no_argument, NULL, OPT_BACKING_CHAIN },
        { "force-share", no_argument, NULL, 'U' },
        { 0 },
    };
    ImgCommon c = { .image.flags = BLOCK_OPEN_NO_BACKING | BLOCK_OPEN_NO_IO };
    bool chain = false;
    json_t *list, *info;
    size_t i;
    int opt;

    while ((opt = img_getopt(argc, argv, ":hf:U", longs)) != -1) {
        if (opt == OPT_BACKING_CHAIN) {
            chain = true;
        } else {
            img_common_option(&c, opt, "info");
        }
    }
    if (optind != argc - 1) {
        tool_usage_error("Expecting one image file name");
    }
    list = img_check_common(&c) ? collect_chain(argv[optind], c.image, chain)
                                : NULL;
    if (!list) {
        return 1;
    }
    if (c.json) {
        tool_print_json(chain ? list : json_array_get(list, 0));
    } else {
        json_array_foreach(list, i, info) {
            if (i > 0) {
                printf("\n");
            }
            print_info(info);
        }
    }
    json_decref(list);
    return 0;
}

/* ---- check ---------------------------------------------------------------- */

static void print_check(const BlockCheckResult *r)
{
    if (!r->corruptions && !r->leaks && !r->check_errors) {
        printf("No errors were found on the image.\n");
    } else {
        if (r->corruptions) {
            printf("\n%" PRIu64 " errors were found on the image.\n"
                   "Data may be corrupted, or further writes to the image "
                   "may corrupt it.\n", r->corruptions);
        }
        if (r->leaks) {
            printf("\n%" PRIu64 " leaked clusters were found on the image.\n"
                   "This means waste of disk space, but no harm to data.\n",
                   r->leaks);
        }
        if (r->check_errors) {
            printf("\n%" PRIu64 " internal errors have occurred during the "
                   "check.\n", r->check_errors);
        }
    }
    if (r->total_clusters && r->allocated_clusters) {
        printf("%" PRIu64 "/%" PRIu64 " = %0.2f%% allocated, %0.2f%% "
               "fragmented, %0.2f%% compressed clusters\n",
               r->allocated_clusters, r->total_clusters,
               r->allocated_clusters * 100.0 / r->total_clusters,
               r->fragmented_clusters * 100.0 / r->allocated_clusters,
               r->compressed_clusters * 100.0 / r->allocated_clusters);
    }
    if (r->image_end_offset) {
        printf("Image end offset: %" PRIu64 "\n", r->image_end_offset);
    }
}

static void set_if(json_t *out, const char *key, uint64_t value)
{
    if (value) {
        json_object_set_new(out, key, json_integer(value));
    }
}

static void print_check_json(const BlockCheckResult *r, const char *filename,
                             const char *format)
{
    json_t *out = json_object();

    set_if(out, "image-end-offset", r->image_end_offset);
    set_if(out, "total-clusters", r->total_clusters);
    json_object_set_new(out, "check-errors", json_integer(r->check_errors));
    set_if(out, "corruptions", r->corruptions);
    set_if(out, "leaks", r->leaks);
    set_if(out, "corruptions-fixed", r->corruptions_fixed);
    set_if(out, "leaks-fixed", r->leaks_fixed);
    set_if(out, "allocated-clusters", r->allocated_clusters);
    set_if(out, "fragmented-clusters", r->fragmented_clusters);
    set_if(out, "compressed-clusters", r->compressed_clusters);
    json_object_set_new(out, "filename", json_string(filename));
    json_object_set_new(out, "format", json_string(format));
    tool_print_json(out);
    json_decref(out);
}

/* One pass; 0, or the exit status for what cannot be reported otherwise. */
static int check_once(BlockNode *node, BlockCheckResult *r, unsigned fix)
{
    GError *error = NULL;
    bool ok;

    if (!block_node_driver(node)->check) {
        tool_error("This image format does not support checks");
        return 63;
    }
    block_node_drain_begin(node);
    ok = block_node_driver(node)->check(node, r, fix, &error);
    block_node_drain_end(node);
    if (!ok) {
        tool_report(error, NULL);
        return 1;
    }
    return 0;
}

int img_check(int argc, char **argv)
{
    static const struct option longs[] = {
        IMG_LONG_COMMON,
        { "format", required_argument, NULL, 'f' },
        { "repair", required_argument, NULL, 'r' },
        { "output", required_argument, NULL, OPT_OUTPUT },
        { "force-share", no_argument, NULL, 'U' },
        { 0 },
    };
    ImgCommon c = { .image.flags = BLOCK_OPEN_CHECK };
    const char *cache = "writeback";
    g_autoptr(BlockBackend) image = NULL;
    BlockCheckResult r = { 0 };
    unsigned fix = 0;
    BlockNode *node;
    int opt, ret;

    while ((opt = img_getopt(argc, argv, ":hf:r:T:qU", longs)) != -1) {
        if (opt == 'r') {
            if (!strcmp(optarg, "leaks")) {
                fix = BLOCK_FIX_LEAKS;
            } else if (!strcmp(optarg, "all")) {
                fix = BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS;
            } else {
                tool_usage_error("-r option expects 'leaks' or 'all' as "
                                 "argument");
            }
        } else if (opt == 'T') {
            cache = optarg;
        } else {
            img_common_option(&c, opt, "check");
        }
    }
    if (optind != argc - 1) {
        tool_usage_error("Expecting one image file name");
    }
    if (fix) {
        c.image.flags |= BLOCK_OPEN_RDWR;
    }
    if (!tool_cache_flags(cache, &c.image.flags)) {
        tool_error("Invalid source cache option: %s", cache);
        return 1;
    }
    image = img_check_common(&c) ? tool_open(argv[optind], &c.image) : NULL;
    if (!image) {
        return 1;
    }
    node = img_node(image);
    ret = check_once(node, &r, fix);
    if (ret == 63) {
        return ret;
    }
    if (ret == 0 && (r.corruptions_fixed || r.leaks_fixed)) {
        BlockCheckResult first = r;

        if (!c.json && !c.quiet) {
            printf("The following inconsistencies were found and repaired:"
                   "\n\n    %" PRIu64 " leaked clusters\n    %" PRIu64
                   " corruptions\n\nDouble checking the fixed image now..."
                   "\n", r.leaks_fixed, r.corruptions_fixed);
            fflush(stdout);
        }
        ret = check_once(node, &r, 0);
        r.leaks_fixed = first.leaks_fixed;
        r.corruptions_fixed = first.corruptions_fixed;
    }
    if (ret == 0) {
        if (c.json) {
            print_check_json(&r, argv[optind], block_node_driver_name(node));
        } else if (!c.quiet) {
            print_check(&r);
        }
    }
    return ret || r.check_errors ? 1 : r.corruptions ? 2 : r.leaks ? 3 : 0;
}

/* ---- map ------------------------------------------------------------------ */

typedef struct MapEntry {
    uint64_t start, length;
    BlockStatus status;
    bool valid;
} MapEntry;

#define MAP_FLAGS                                                              \
    (BLOCK_STATUS_DATA | BLOCK_STATUS_ZERO | BLOCK_STATUS_ALLOCATED |          \
     BLOCK_STATUS_OFFSET_VALID | BLOCK_STATUS_COMPRESSED)

static bool continues(const MapEntry *a, const MapEntry *b)
{
    const BlockStatus *x = &a->status;
    const BlockStatus *y = &b->status;

    if ((x->flags & MAP_FLAGS) != (y->flags & MAP_FLAGS) ||
        x->depth != y->depth) {
        return false;
    }
    return !(x->flags & BLOCK_STATUS_OFFSET_VALID) ||
           (x->host_node == y->host_node &&
            x->host_offset + a->length == y->host_offset);
}

static const char *word(unsigned flags, unsigned bit)
{
    return flags & bit ? "true" : "false";
}

static void print_map_json(const MapEntry *e, bool first)
{
    unsigned f = e->status.flags;

    printf("%s{ \"start\": %" PRIu64 ", \"length\": %" PRIu64
           ", \"depth\": %u, \"present\": %s, \"zero\": %s, \"data\": %s",
           first ? "[" : ",\n", e->start, e->length, e->status.depth,
           word(f, BLOCK_STATUS_ALLOCATED), word(f, BLOCK_STATUS_ZERO),
           word(f, BLOCK_STATUS_DATA));
    if (f & BLOCK_STATUS_OFFSET_VALID) {
        printf(", \"offset\": %" PRIu64, e->status.host_offset);
    }
    printf("}");
}

static bool print_map_human(const MapEntry *e)
{
    unsigned f = e->status.flags;

    if ((f & BLOCK_STATUS_DATA) && !(f & BLOCK_STATUS_OFFSET_VALID)) {
        tool_error("File contains external, encrypted or compressed "
                   "clusters.");
        return false;
    }
    if ((f & BLOCK_STATUS_DATA) && !(f & BLOCK_STATUS_ZERO)) {
        printf("%#-16" PRIx64 "%#-16" PRIx64 "%#-16" PRIx64 "%s\n", e->start,
               e->length, e->status.host_offset,
               block_node_filename(e->status.host_node));
    }
    return true;
}

static int walk_map(BlockNode *node, uint64_t start, uint64_t end, bool json)
{
    MapEntry pending = { 0 };
    bool first = true;

    if (!json) {
        printf("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to",
               "File");
    }
    while (start < end) {
        MapEntry next = { .start = start, .valid = true };
        int ret = block_status(node, start, end - start, &next.status);

        if (ret < 0) {
            tool_error("Failed to read image metadata: %s", strerror(-ret));
            return 1;
        }
        next.length = next.status.bytes;
        start += next.length;
        if (pending.valid && continues(&pending, &next)) {
            pending.length += next.length;
            continue;
        }
        if (pending.valid) {
            if (json) {
                print_map_json(&pending, first);
                first = false;
            } else if (!print_map_human(&pending)) {
                return 1;
            }
        }
        pending = next;
    }
    if (pending.valid) {
        if (json) {
            print_map_json(&pending, first);
        } else if (!print_map_human(&pending)) {
            return 1;
        }
    }
    if (json) {
        printf(pending.valid ? "]\n" : "[]\n");
    }
    return 0;
}

int img_map(int argc, char **argv)
{
    static const struct option longs[] = {
        IMG_LONG_COMMON,
        { "format", required_argument, NULL, 'f' },
        { "output", required_argument, NULL, OPT_OUTPUT },
        { "force-share", no_argument, NULL, 'U' },
        { "start-offset", required_argument, NULL, 's' },
        { "max-length", required_argument, NULL, 'l' },
        { 0 },
    };
    ImgCommon c = { 0 };
    g_autoptr(BlockBackend) image = NULL;
    uint64_t start = 0, max = UINT64_MAX;
    int64_t length;
    int opt;

    while ((opt = img_getopt(argc, argv, ":f:s:l:hU", longs)) != -1) {
        if (opt == 's' || opt == 'l') {
            if (!tool_parse_size(optarg, opt == 's' ? &start : &max)) {
                return 1;
            }
        } else {
            img_common_option(&c, opt, "map");
        }
    }
    if (optind != argc - 1) {
        tool_usage_error("Expecting one image file name");
    }
    image = img_check_common(&c) ? tool_open(argv[optind], &c.image) : NULL;
    if (!image) {
        return 1;
    }
    length = block_backend_length(image);
    if (length < 0) {
        tool_error("Failed to get size for '%s'", argv[optind]);
        return 1;
    }
    max = max < (uint64_t)length - MIN(start, (uint64_t)length)
              ? start + max : (uint64_t)length;
    return walk_map(img_node(image), start, max, c.json);
}

/* ---- snapshot ------------------------------------------------------------- */

bool img_load_snapshot(BlockNode *node, const char *param, GError **error)
{
    const BlockDriver *driver = block_node_driver(node);
    const char *id = NULL, *name = NULL;
    g_auto(GStrv) words = NULL;

    if (!driver->snapshot_load) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP, "Block format '%s' used by "
                    "device '' does not support feature 'temporarily load "
                    "internal snapshot'", driver->name);
        return false;
    }
    if (!g_str_has_prefix(param, "snapshot.")) {
        return driver->snapshot_load(node, param, NULL, NULL) ||
               driver->snapshot_load(node, NULL, param, error);
    }
    words = g_strsplit(param, ",", -1);
    for (char **w = words; *w; w++) {
        if (g_str_has_prefix(*w, "snapshot.id=")) {
            id = *w + strlen("snapshot.id=");
        } else if (g_str_has_prefix(*w, "snapshot.name=")) {
            name = *w + strlen("snapshot.name=");
        } else {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "Failed in parsing snapshot param '%s'", param);
            return false;
        }
    }
    return driver->snapshot_load(node, id, name, error);
}

static int snapshot_list(BlockNode *node)
{
    GError *error = NULL;
    json_t *info = block_node_image_info(node, true, &error);

    if (!info) {
        tool_report(error, NULL);
        return 1;
    }
    if (json_array_size(json_object_get(info, "snapshots"))) {
        printf("Snapshot list:\n");
        print_snapshots(json_object_get(info, "snapshots"));
    }
    json_decref(info);
    return 0;
}

/* Finds a snapshot by name, else by id. */
static bool find_snapshot(BlockNode *node, const char *name,
                          BlockSnapshot *found)
{
    g_autofree BlockSnapshot *list = NULL;
    size_t n = 0;

    if (!block_node_driver(node)->snapshot_list ||
        !block_node_driver(node)->snapshot_list(node, &list, &n, NULL)) {
        return false;
    }
    for (int by_id = 0; by_id < 2; by_id++) {
        for (size_t i = 0; i < n; i++) {
            if (!strcmp(by_id ? list[i].id : list[i].name, name)) {
                *found = list[i];
                return true;
            }
        }
    }
    return false;
}

static bool snapshot_run(BlockNode *node, int action, const char *name,
                         GError **error)
{
    const BlockDriver *driver = block_node_driver(node);
    BlockSnapshot sn = { .icount = 0 };
    gint64 now = g_get_real_time();

    if (!driver->snapshot_create) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP, "%s", strerror(ENOTSUP));
        return false;
    }
    switch (action) {
    case 'c':
        g_strlcpy(sn.name, name, sizeof(sn.name));
        sn.date_sec = now / 1000000;
        sn.date_nsec = now % 1000000 * 1000;
        return driver->snapshot_create(node, &sn, error);
    case 'a':
        if (block_dirty_bitmap_next(node, NULL)) {
            g_set_error(error, BLOCK_ERROR, EBUSY,
                        "Device has active dirty bitmaps");
            return false;
        }
        return driver->snapshot_goto(node, name, error);
    default:
        if (!find_snapshot(node, name, &sn)) {
            g_set_error(error, BLOCK_ERROR, ENOENT, "snapshot not found");
            return false;
        }
        return driver->snapshot_delete(node, sn.id, sn.name, error);
    }
}

int img_snapshot(int argc, char **argv)
{
    static const struct option longs[] = {
        IMG_LONG_COMMON,
        { "force-share", no_argument, NULL, 'U' },
        { 0 },
    };
    ImgCommon c = { 0 };
    g_autoptr(BlockBackend) image = NULL;
    GError *error = NULL;
    const char *name = NULL;
    int action = 0, opt;
    bool ok;

    while ((opt = img_getopt(argc, argv, ":la:c:d:hqU", longs)) != -1) {
        if (strchr("lacd", opt) && opt < 256) {
            if (action) {
                tool_usage_error("Cannot mix '-l', '-a', '-c', '-d'");
            }
            action = opt;
            name = optarg;
        } else {
            img_common_option(&c, opt, "snapshot");
        }
    }
    if (optind != argc - 1) {
        tool_usage_error("Expecting one image file name");
    }
    if (action && action != 'l') {
        c.image.flags |= BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP;
    }
    image = tool_open(argv[optind], &c.image);
    if (!image) {
        return 1;
    }
    if (!action || action == 'l') {
        return snapshot_list(img_node(image));
    }
    block_node_drain_begin(img_node(image));
    ok = snapshot_run(img_node(image), action, name, &error);
    block_node_drain_end(img_node(image));
    if (!ok && action == 'c') {
        int errnum = block_error_errno(error);

        tool_error("Could not create snapshot '%s': %d (%s)", name, -errnum,
                   strerror(errnum));
        g_clear_error(&error);
    } else if (!ok) {
        tool_report(error, "Could not %s snapshot '%s': ",
                    action == 'a' ? "apply" : "delete", name);
    }
    return !ok;
}
