/*
 * -drive and -blockdev of e2k-system: disks, before there is a machine.
 *
 *   -blockdev driver=...,node-name=n        node n
 *   -drive file=F,if=none,id=d              node and backend d
 *   -drive file=F                           the same with a device on it
 */
#include "tools/e2k-system.h"

#include <string.h>

#include "block/backend.h"
#include "block/options.h"
#include "block/throttle-group.h"
#include "tools/tool-common.h"

/* Backends of drives. */
static GPtrArray *backends;

static void keep_backend(BlockBackend *backend)
{
    if (!backends) {
        backends =
            g_ptr_array_new_with_free_func((GDestroyNotify)
                                               block_backend_unref);
    }
    g_ptr_array_add(backends, backend);
}

static void remove_keys(json_t *options, const char *const *keys)
{
    for (; *keys; keys++) {
        json_object_del(options, *keys);
    }
}

/* The drive's own options; what remains is the node's. */
typedef struct Drive {
    char *file, *format, *interface, *id, *serial;
    bool read_only, empty, snapshot;
    unsigned flags; /* BlockOpenFlags of cache=, aio=, discard= */
    json_t *limits; /* of its requests; NULL: none given */
    char *limits_group;
} Drive;

static char *take_text(json_t *options, const char *key)
{
    const char *value = json_string_value(json_object_get(options, key));
    char *copy = g_strdup(value);

    json_object_del(options, key);
    return copy;
}

static void drive_clear(Drive *drive)
{
    g_free(drive->file);
    g_free(drive->format);
    g_free(drive->interface);
    g_free(drive->id);
    g_free(drive->serial);
    g_free(drive->limits_group);
    json_decref(drive->limits);
}

static BlockNode *open_image(Drive *drive, json_t *options, GError **error)
{
    bool writes = !drive->read_only && !drive->snapshot;
    unsigned flags = drive->flags | (writes ? BLOCK_OPEN_RDWR : 0);

    if (drive->file) {
        return block_node_open_filename(drive->file, drive->format, options,
                                        flags, error);
    }
    if (drive->format) {
        json_object_set_new(options, "driver", json_string(drive->format));
    }
    return block_node_open(options, flags, error);
}

static BlockNode *open_drive_node(Drive *drive, json_t *options,
                                  GError **error)
{
    BlockNode *image = open_image(drive, options, error);
    BlockNode *overlay;

    if (!image || !drive->snapshot) {
        return image;
    }
    overlay = block_node_open_temporary(image, drive->flags | BLOCK_OPEN_RDWR,
                                        error);
    block_node_unref(image);
    return overlay;
}

/* cache=, aio=, discard=: words that other emulators' scripts use. */
static bool parse_drive_modes(json_t *flat, Drive *drive, GError **error)
{
    g_autofree char *cache = json_is_string(json_object_get(flat, "cache"))
                                 ? take_text(flat, "cache") : NULL;
    g_autofree char *aio = take_text(flat, "aio");
    g_autofree char *discard = take_text(flat, "discard");

    drive->flags = BLOCK_OPEN_UNMAP;
    if (cache && !tool_cache_flags(cache, &drive->flags)) {
        g_set_error(error, TOOL_ERROR, 0, "invalid cache option");
        return false;
    }
    if (aio && !block_aio_flags(aio, &drive->flags)) {
        g_set_error(error, TOOL_ERROR, 0, "invalid aio option");
        return false;
    }
    if (discard && strcmp(discard, "unmap") && strcmp(discard, "on") &&
        strcmp(discard, "ignore") && strcmp(discard, "off")) {
        g_set_error(error, TOOL_ERROR, 0, "invalid discard option");
        return false;
    }
    if (discard && (discard[0] == 'i' || !strcmp(discard, "off"))) {
        drive->flags &= ~(unsigned)BLOCK_OPEN_UNMAP;
    }
    return true;
}

/* throttling.* and the older spellings of the same. */
static bool parse_limits(json_t *flat, Drive *drive, GError **error)
{
    json_t *options;
    json_t *unknown;
    const char *key;
    bool any = false;
    bool ok;

    drive->limits = json_object();
    drive->limits_group = take_text(flat, "throttling.group");
    for (const ThrottleLimitName *n = throttle_limit_names; n->name; n++) {
        g_autofree char *name = g_strconcat("throttling.", n->name, NULL);
        json_t *value = json_object_get(flat, name);
        json_t *alias = json_object_get(flat, n->qmp);

        if (value && alias) {
            g_set_error(error, TOOL_ERROR, 0, "'%s' and its alias '%s' can't "
                        "be used at the same time", name, n->qmp);
            return false;
        }
        if (value || alias) {
            json_object_set(drive->limits, n->name, value ? value : alias);
        }
        json_object_del(flat, name);
        json_object_del(flat, n->qmp);
    }
    json_object_foreach(flat, key, unknown) {
        if (g_str_has_prefix(key, "throttling.")) {
            g_set_error(error, TOOL_ERROR, 0, "Parameter '%s' is unexpected",
                        key);
            return false;
        }
    }
    options = json_pack("{s:O}", "limits", drive->limits);
    ok = throttle_limits_check(options, &any, error);
    json_decref(options);
    if (ok && !any) {
        g_clear_pointer(&drive->limits, json_decref);
    }
    return ok;
}

/* The name of a drive that is given none: ide0-hd1, virtio0, none0. */
static char *made_up_name(const char *interface)
{
    static unsigned ide, virtio, none;
    unsigned n;

    if (!strcmp(interface, "ide")) {
        n = ide++;
        return g_strdup_printf("ide%u-hd%u", n / 2, n % 2);
    }
    n = !strcmp(interface, "none") ? none++ : virtio++;
    return g_strdup_printf("%s%u", interface, n);
}

/* Takes the drive's own options out of the object. */
static bool parse_drive(const SystemOptions *o, json_t *flat, Drive *drive,
                        GError **error)
{
    static const char *const done[] = { "snapshot", "readonly", "read-only", "media",
                                        "index", "bus", "unit", "werror",
                                        "rerror", NULL };
    static const char *const interfaces[] = { "virtio", "ide", "none", NULL };

    drive->file = take_text(flat, "file");
    drive->format = take_text(flat, "format");
    drive->interface = take_text(flat, "if");
    drive->id = take_text(flat, "id");
    drive->serial = take_text(flat, "serial");
    if (!drive->interface) {
        drive->interface = g_strdup(o->board->drive_interface);
    }
    if (!g_strv_contains(interfaces, drive->interface)) {
        g_set_error(error, TOOL_ERROR, 0, "unknown interface '%s'; "
                    "there are: virtio, ide, none", drive->interface);
        return false;
    }
    if (!drive->id) {
        drive->id = made_up_name(drive->interface);
    }
    if (!block_options_bool(flat, "snapshot", &drive->snapshot, error) ||
        !block_options_bool(flat, "readonly", &drive->read_only, error) ||
        !block_options_bool(flat, "read-only", &drive->read_only, error) ||
        !parse_drive_modes(flat, drive, error) ||
        !parse_limits(flat, drive, error)) {
        return false;
    }
    if (!g_strcmp0(json_string_value(json_object_get(flat, "media")),
                   "cdrom")) {
        drive->read_only = true;
    }
    remove_keys(flat, done);
    drive->empty = (!drive->file || !*drive->file) && !drive->format &&
                   json_object_size(flat) == 0;
    return true;
}

static bool open_drive(Drive *drive, json_t *flat, GError **error)
{
    json_t *nested = block_options_nest(flat, error);
    BlockNode *node = nested && !drive->empty
                          ? open_drive_node(drive, nested, error) : NULL;

    json_decref(nested);
    if (!node && !drive->empty) {
        return false;
    }
    BlockBackend *backend =
        block_backend_new(drive->id, drive->id,
                          BLOCK_PERM_CONSISTENT_READ |
                              (drive->read_only ? 0 : BLOCK_PERM_WRITE),
                          SYSTEM_DISK_SHARED);

    block_backend_set_writethrough(backend,
                                   drive->flags & BLOCK_OPEN_WRITETHROUGH);
    keep_backend(backend);
    if (drive->limits &&
        !block_backend_set_limits(backend, drive->limits_group,
                                  drive->limits, error)) {
        return false;
    }
    if (drive->empty) {
        return true;
    }
    bool ok = block_backend_attach(backend, node, error);

    block_node_unref(node);
    return ok;
}

/* Disks of -drive without if=none get their device once there is a board. */
static GPtrArray *drive_devices; /* "virtio-blk,drive=ID" */

static bool add_drive(const SystemOptions *o, const char *text,
                      GError **error)
{
    json_t *flat = block_options_parse(text, NULL, error);
    Drive drive = { .snapshot = o->snapshot };
    bool ok = flat && parse_drive(o, flat, &drive, error) &&
              open_drive(&drive, flat, error);

    if (ok && strcmp(drive.interface, "none")) {
        g_ptr_array_add(drive_devices,
                        g_strdup_printf("%s,drive=%s,id=%s%s%s",
                                        strcmp(drive.interface, "ide")
                                            ? "virtio-blk" : "ide-hd",
                                        drive.id, drive.id,
                                        drive.serial ? ",serial=" : "",
                                        drive.serial ? drive.serial : ""));
    }
    if (!ok) {
        g_prefix_error(error, "-drive %s: ", text);
    }
    json_decref(flat);
    drive_clear(&drive);
    return ok;
}

const GPtrArray *system_drive_devices(void)
{
    return drive_devices;
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Two lines in the shape that test suites read. */
void system_formats_help(void)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (const BlockDriver *d = block_driver_next(NULL); d;
         d = block_driver_next(d)) {
        g_ptr_array_add(names, (char *)d->name);
    }
    g_ptr_array_sort(names, compare_names);
    for (unsigned line = 0; line < 2; line++) {
        printf("Supported formats%s:", line ? " (read-only)" : "");
        for (guint i = 0; i < names->len; i++) {
            printf(" %s", (char *)g_ptr_array_index(names, i));
        }
        printf("\n");
    }
}

bool system_disks_open(const SystemOptions *options, GError **error)
{
    bool ok = true;

    drive_devices = g_ptr_array_new_with_free_func(g_free);
    block_graph_lock();
    for (guint i = 0; ok && i < options->drives->len; i++) {
        ok = add_drive(options, g_ptr_array_index(options->drives, i),
                       error);
    }
    block_graph_unlock();
    return ok;
}

void system_disks_close(void)
{
    block_graph_lock();
    g_clear_pointer(&backends, g_ptr_array_unref);
    g_clear_pointer(&drive_devices, g_ptr_array_unref);
    block_graph_unlock();
}

