/*
 * -drive, -blockdev and -device of e2k-system.
 *
 *   -blockdev driver=...,node-name=n        node n
 *   -drive file=F,if=none,id=d              node and backend d
 *   -drive file=F                           the same with a virtio disk on it
 *   -device virtio-blk-device,drive=n|d     virtio disk on node n or backend d
 */
#include "tools/e2k-system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/backend.h"
#include "block/options.h"
#include "hw/virtio-blk.h"
#include "hw/virtio-rng.h"
#include "tools/tool-common.h"

/* Backends of this file: of drives, and of devices on nodes. */
static GPtrArray *backends;

/* Other writers are allowed: exports of a running guest's disk. */
static const unsigned disk_shared = BLOCK_PERM_CONSISTENT_READ |
                                    BLOCK_PERM_WRITE |
                                    BLOCK_PERM_WRITE_UNCHANGED |
                                    BLOCK_PERM_RESIZE | BLOCK_PERM_GRAPH_MOD;

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
    bool read_only, empty;
    unsigned flags; /* BlockOpenFlags of cache= */
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
}

static BlockNode *open_drive_node(Drive *drive, json_t *options,
                                  GError **error)
{
    unsigned flags = drive->flags | (drive->read_only ? 0 : BLOCK_OPEN_RDWR);

    if (drive->file) {
        return block_node_open_filename(drive->file, drive->format, options,
                                        flags, error);
    }
    if (drive->format) {
        json_object_set_new(options, "driver", json_string(drive->format));
    }
    return block_node_open(options, flags, error);
}

/* cache=, aio=, discard=: words that other emulators' scripts use. */
static bool parse_drive_modes(json_t *flat, Drive *drive, GError **error)
{
    g_autofree char *cache = json_is_string(json_object_get(flat, "cache"))
                                 ? take_text(flat, "cache") : NULL;
    g_autofree char *aio = take_text(flat, "aio");
    g_autofree char *discard = take_text(flat, "discard");
    static const char *const engines[] = { "threads", "native", "io_uring",
                                           NULL };

    drive->flags = BLOCK_OPEN_UNMAP;
    if (cache && !tool_cache_flags(cache, &drive->flags)) {
        g_set_error(error, TOOL_ERROR, 0, "invalid cache option");
        return false;
    }
    if (aio && !g_strv_contains(engines, aio)) {
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

/* Takes the drive's own options out of the object. */
static bool parse_drive(json_t *flat, Drive *drive, GError **error)
{
    static const char *const done[] = { "readonly", "read-only", "media",
                                        "index", "bus", "unit", "werror",
                                        "rerror", NULL };
    static unsigned count;

    drive->file = take_text(flat, "file");
    drive->format = take_text(flat, "format");
    drive->interface = take_text(flat, "if");
    drive->id = take_text(flat, "id");
    drive->serial = take_text(flat, "serial");
    if (!drive->id) {
        drive->id = g_strdup_printf("virtio%u", count);
    }
    count++;
    if (drive->interface && strcmp(drive->interface, "virtio") &&
        strcmp(drive->interface, "none")) {
        g_set_error(error, TOOL_ERROR, 0, "-drive: unknown interface '%s'; "
                    "there are: virtio, none", drive->interface);
        return false;
    }
    if (!block_options_bool(flat, "readonly", &drive->read_only, error) ||
        !block_options_bool(flat, "read-only", &drive->read_only, error) ||
        !parse_drive_modes(flat, drive, error)) {
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
                          disk_shared);

    block_backend_set_writethrough(backend,
                                   drive->flags & BLOCK_OPEN_WRITETHROUGH);
    keep_backend(backend);
    if (drive->empty) {
        return true;
    }
    bool ok = block_backend_attach(backend, node, error);

    block_node_unref(node);
    return ok;
}

/* Disks of -drive without if=none get their device once there is a board. */
static GPtrArray *drive_devices; /* "virtio-blk-device,drive=ID" */

static bool add_drive(const char *text, GError **error)
{
    json_t *flat = block_options_parse(text, NULL, error);
    Drive drive = { 0 };
    bool ok = flat && parse_drive(flat, &drive, error) &&
              open_drive(&drive, flat, error);

    if (ok && g_strcmp0(drive.interface, "none")) {
        g_ptr_array_add(drive_devices,
                        g_strdup_printf("virtio-blk-device,drive=%s,id=%s%s%s",
                                        drive.id, drive.id,
                                        drive.serial ? ",serial=" : "",
                                        drive.serial ? drive.serial : ""));
    }
    json_decref(flat);
    drive_clear(&drive);
    return ok;
}

bool system_disks_open(const SystemOptions *options, GError **error)
{
    bool ok = true;

    drive_devices = g_ptr_array_new_with_free_func(g_free);
    block_graph_lock();
    for (guint i = 0; ok && i < options->drives->len; i++) {
        ok = add_drive(g_ptr_array_index(options->drives, i), error);
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

/* ---- Devices -------------------------------------------------------------- */

typedef struct DeviceSpec {
    const char *name;
    const char *bus;
    const char *help;
    const char *const *keys; /* its options */
    VirtioDevice *(*make)(Machine *machine, json_t *options, GError **error);
} DeviceSpec;

/* A backend for a device: one of -drive, or a new one on a node. */
static BlockBackend *find_disk(const char *drive, bool read_only,
                               bool share_rw, GError **error)
{
    BlockBackend *backend = block_backend_find(drive);
    BlockNode *node = backend ? NULL : block_node_find(drive);

    if (backend) {
        return backend;
    }
    if (!node) {
        g_set_error(error, TOOL_ERROR, 0, "there is no drive or node '%s'",
                    drive);
        return NULL;
    }
    backend = block_backend_new(
        NULL, drive,
        BLOCK_PERM_CONSISTENT_READ | (read_only ? 0 : BLOCK_PERM_WRITE),
        disk_shared & ~(share_rw ? 0u : (unsigned)BLOCK_PERM_WRITE));
    keep_backend(backend);
    return block_backend_attach(backend, node, error) ? backend : NULL;
}

static bool disk_is_read_only(const char *drive)
{
    BlockBackend *backend = block_backend_find(drive);
    BlockNode *node =
        backend ? block_backend_node(backend) : block_node_find(drive);

    return node && block_node_is_read_only(node);
}

static VirtioDevice *make_disk(Machine *machine, json_t *options,
                               GError **error)
{
    const char *drive = NULL, *id = NULL, *serial = NULL;
    int64_t n_queues = 1, n_workers = 0;
    bool share_rw = true; /* a live disk may be exported writable */

    if (!block_options_string(options, "drive", &drive, error) ||
        !block_options_string(options, "id", &id, error) ||
        !block_options_string(options, "serial", &serial, error) ||
        !block_options_int(options, "num-queues", &n_queues, error) ||
        !block_options_int(options, "workers", &n_workers, error) ||
        !block_options_bool(options, "share-rw", &share_rw, error)) {
        return NULL;
    }
    if (!drive) {
        g_set_error(error, TOOL_ERROR, 0, "'drive' is missing: name a -drive "
                    "or -blockdev");
        return NULL;
    }
    if (n_queues < 1 || n_queues > VIRTIO_MAX_QUEUES || n_workers < 0 ||
        n_workers > 64) {
        g_set_error(error, TOOL_ERROR, 0, "'num-queues' is 1..%u, 'workers' "
                    "0..64", VIRTIO_MAX_QUEUES);
        return NULL;
    }
    VirtioBlkOptions disk = {
        .n_queues = n_queues,
        .n_workers = n_workers,
        .serial = serial,
        .read_only = disk_is_read_only(drive),
    };
    BlockBackend *backend =
        find_disk(drive, disk.read_only, share_rw, error);

    if (!backend) {
        return NULL;
    }
    block_backend_set_device(backend, id ? id : drive);
    return virtio_blk_new(id ? id : drive, machine->mem, backend, &disk,
                          error);
}

static const char *const disk_keys[] = { "drive", "id", "serial",
                                         "num-queues", "workers", "share-rw",
                                         "bootindex", "write-cache", "bus",
                                         "iothread", NULL };

static const char *const plain_keys[] = { "id", "bus", NULL };

static VirtioDevice *make_rng(Machine *machine, json_t *options,
                              GError **error)
{
    const char *id = "rng";

    return block_options_string(options, "id", &id, error)
               ? virtio_rng_new(id, machine->mem)
               : NULL;
}

static const DeviceSpec device_specs[] = {
    { "virtio-blk-device", "virtio-bus", "virtio disk", disk_keys, make_disk },
    { "virtio-blk", "virtio-bus", "virtio disk", disk_keys, make_disk },
    { "virtio-rng-device", "virtio-bus", "random bytes of the host",
      plain_keys, make_rng },
};

void system_devices_help(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(device_specs); i++) {
        printf("name \"%s\", bus %s, desc \"%s\"\n", device_specs[i].name,
               device_specs[i].bus, device_specs[i].help);
    }
}

static const DeviceSpec *find_device(const char *name, GError **error)
{
    g_autoptr(GString) known = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(device_specs); i++) {
        if (!g_strcmp0(device_specs[i].name, name)) {
            return &device_specs[i];
        }
        g_string_append_printf(known, "%s%s", known->len ? ", " : "",
                               device_specs[i].name);
    }
    g_set_error(error, TOOL_ERROR, 0, "unknown device '%s'; there are: %s",
                name ? name : "", known->str);
    return NULL;
}

static bool check_keys(const DeviceSpec *spec, json_t *options,
                       GError **error)
{
    const char *key;
    json_t *value;

    json_object_foreach(options, key, value) {
        if (!g_strv_contains(spec->keys, key)) {
            g_autofree char *known = g_strjoinv(", ", (char **)spec->keys);

            g_set_error(error, TOOL_ERROR, 0, "unknown option '%s'; there "
                        "are: %s", key, known);
            return false;
        }
    }
    return true;
}

static bool plug_device(const BoardClass *board, Machine *machine,
                        const char *text, GError **error)
{
    json_t *options = block_options_parse_any(text, "driver", error);
    VirtioDevice *vdev = NULL;

    if (options) {
        g_autofree char *name = take_text(options, "driver");
        const DeviceSpec *spec = find_device(name, error);

        if (spec && check_keys(spec, options, error)) {
            vdev = spec->make(machine, options, error);
        }
        json_decref(options);
    }
    if (vdev && !board->plug_virtio(machine, vdev, error)) {
        vdev->type->free(vdev);
        vdev = NULL;
    }
    if (!vdev) {
        g_prefix_error(error, "-device %s: ", text);
    }
    return vdev != NULL;
}

bool system_devices_plug(const SystemOptions *options, Machine *machine,
                         GError **error)
{
    bool ok = true;

    block_graph_lock();
    for (guint i = 0; ok && i < drive_devices->len; i++) {
        ok = plug_device(options->board, machine,
                         g_ptr_array_index(drive_devices, i), error);
    }
    for (guint i = 0; ok && i < options->devices->len; i++) {
        ok = plug_device(options->board, machine,
                         g_ptr_array_index(options->devices, i), error);
    }
    block_graph_unlock();
    return ok;
}
