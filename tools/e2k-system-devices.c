/*
 * -device, device_add and device_del of e2k-system.
 *
 *   specs[] --make--> virtio device --bus--> memory bus slot or PCI function
 *                     AHCI controller, disk on a controller
 *
 * What was plugged is kept in a list, by id, for unplugging.  A device is
 * taken away at once, with the machine stopped for a moment: its requests
 * end first, then the guest finds its slot empty.
 */
#include "tools/e2k-system.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "block/options.h"
#include "hw/ahci.h"
#include "hw/virtio-9p.h"
#include "hw/virtio-blk.h"
#include "hw/virtio-console.h"
#include "hw/virtio-net.h"
#include "hw/virtio-pci.h"
#include "hw/virtio-rng.h"
#include "hw/virtio-scsi.h"
#include "monitor/monitor.h"

/* Something that was plugged. */
typedef struct Plugged {
    char *id;             /* NULL: it has none, and stays */
    const char *bus;       /* while it is plugged; NULL: any */
    BlockBackend *backend; /* made for the device; or NULL */
    BlockBackend *drive;   /* of a -drive, which outlives the device */
    PciFunction *function; /* its own, or NULL */
    PciFunction *controller; /* AHCI disks: where it is */
    VirtioDevice *adapter;   /* a SCSI host adapter, or where its disk is */
    bool on_memory_bus;
} Plugged;

static GPtrArray *plugged; /* Plugged */
static Machine *machine;
static const BoardClass *board;

typedef struct DeviceSpec {
    const char *name;
    const char *help;
    const char *const *keys; /* its options */
    /* One of these. */
    VirtioDevice *(*make)(json_t *options, Plugged *p, GError **error);
    bool (*plug)(json_t *options, Plugged *p, GError **error);
} DeviceSpec;

static bool check_keys(const char *const *keys, json_t *options,
                       GError **error)
{
    const char *key;
    json_t *value;

    json_object_foreach(options, key, value) {
        if (!g_strv_contains(keys, key)) {
            g_autofree char *known = g_strjoinv(", ", (char **)keys);

            g_set_error(error, TOOL_ERROR, 0, "unknown option '%s'; there "
                        "are: %s", key, known);
            return false;
        }
    }
    return true;
}

/* ---- Disks -------------------------------------------------------------------- */

/* A backend for a device: one of -drive, or a new one on a node. */
static BlockBackend *find_disk(const char *drive, bool read_only,
                               bool share_rw, Plugged *p, GError **error)
{
    BlockBackend *backend = block_backend_find(drive);
    BlockNode *node = backend ? NULL : block_node_find(drive);

    if (backend && block_backend_device(backend)) {
        g_set_error(error, TOOL_ERROR, 0, "drive '%s' is in use by device "
                    "'%s'", drive, block_backend_device(backend));
        return NULL;
    }
    if (backend) {
        p->drive = backend;
        return backend;
    }
    if (!node) {
        g_set_error(error, TOOL_ERROR, 0, "there is no drive or node '%s'",
                    drive);
        return NULL;
    }
    p->backend = block_backend_new(
        NULL, drive,
        BLOCK_PERM_CONSISTENT_READ | (read_only ? 0 : BLOCK_PERM_WRITE),
        SYSTEM_DISK_SHARED & ~(share_rw ? 0u : (unsigned)BLOCK_PERM_WRITE));
    return block_backend_attach(p->backend, node, error) ? p->backend : NULL;
}

static bool disk_is_read_only(const char *drive)
{
    BlockBackend *backend = block_backend_find(drive);
    BlockNode *node =
        backend ? block_backend_node(backend) : block_node_find(drive);

    return node && block_node_is_read_only(node);
}

/* Options that all disks have. */
typedef struct DiskOptions {
    const char *drive, *serial, *bus;
    bool share_rw; /* a live disk may be exported writable */
} DiskOptions;

static bool parse_disk(json_t *options, DiskOptions *disk, GError **error)
{
    disk->share_rw = true;
    if (!block_options_string(options, "drive", &disk->drive, error) ||
        !block_options_string(options, "serial", &disk->serial, error) ||
        !block_options_string(options, "bus", &disk->bus, error) ||
        !block_options_bool(options, "share-rw", &disk->share_rw, error)) {
        return false;
    }
    if (!disk->drive) {
        g_set_error(error, TOOL_ERROR, 0, "'drive' is missing: name a -drive "
                    "or -blockdev");
    }
    return disk->drive != NULL;
}

static VirtioDevice *make_disk(json_t *options, Plugged *p, GError **error)
{
    DiskOptions o = { 0 };
    int64_t n_queues = 1, n_workers = 0;

    if (!parse_disk(options, &o, error) ||
        !block_options_int(options, "num-queues", &n_queues, error) ||
        !block_options_int(options, "workers", &n_workers, error)) {
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
        .serial = o.serial,
        .read_only = disk_is_read_only(o.drive),
    };
    BlockBackend *backend =
        find_disk(o.drive, disk.read_only, o.share_rw, p, error);

    if (!backend) {
        return NULL;
    }
    VirtioDevice *vdev = virtio_blk_new(p->id ? p->id : o.drive, machine->mem,
                                        backend, &disk, error);

    if (vdev) {
        block_backend_set_device(backend, p->id ? p->id : o.drive);
    }
    return vdev;
}

/* "NAME.PORT", "NAME" or "ide.PORT": a controller and a port, -1 for any. */
static PciFunction *find_controller(const char *bus, int *port,
                                    GError **error)
{
    const BoardPci *pci = board->pci ? board->pci(machine) : NULL;
    const char *dot = bus ? strrchr(bus, '.') : NULL;
    g_autofree char *name = dot ? g_strndup(bus, dot - bus) : g_strdup(bus);

    guint64 number;

    if (dot && !g_ascii_string_to_unsigned(dot + 1, 10, 0, AHCI_MAX_PORTS - 1,
                                           &number, NULL)) {
        g_set_error(error, TOOL_ERROR, 0, "'%s' is not CONTROLLER.PORT", bus);
        return NULL;
    }
    *port = dot ? (int)number : -1;
    for (guint i = 0; bus && i < plugged->len; i++) {
        Plugged *p = g_ptr_array_index(plugged, i);

        if (p->function && !g_strcmp0(p->id, name) &&
            !strcmp(p->function->device.class->name, "ahci")) {
            return p->function;
        }
    }
    if (bus && strcmp(name, "ide")) {
        Device *device = machine_find_device(machine, name);

        if (!device || strcmp(device->class->name, "ahci")) {
            g_set_error(error, TOOL_ERROR, 0, "there is no SATA controller "
                        "'%s'", name);
            return NULL;
        }
        return (PciFunction *)device;
    }
    if (!pci || !pci->sata) {
        g_set_error(error, TOOL_ERROR, 0, "machine '%s' has no SATA "
                    "controller of its own: add -device ahci,id=NAME and say "
                    "bus=NAME.0", board->name);
        return NULL;
    }
    return pci->sata;
}

static bool plug_sata_disk(json_t *options, Plugged *p, GError **error)
{
    DiskOptions o = { 0 };
    int port;

    if (!parse_disk(options, &o, error)) {
        return false;
    }
    PciFunction *controller = find_controller(o.bus, &port, error);
    BlockBackend *backend =
        controller ? find_disk(o.drive, disk_is_read_only(o.drive),
                               o.share_rw, p, error)
                   : NULL;
    AhciDiskOptions disk = { p->id ? p->id : o.drive, o.serial };

    if (!backend || ahci_attach(controller, port, backend, &disk, error) < 0) {
        return false;
    }
    block_backend_set_device(backend, disk.id);
    p->controller = controller;
    return true;
}

/* ---- SCSI ---------------------------------------------------------------------- */

static VirtioDevice *make_scsi(json_t *options, Plugged *p, GError **error)
{
    p->adapter = virtio_scsi_new(p->id ? p->id : "scsi", machine->mem);
    return p->adapter;
}

/* The adapter of a bus "NAME.0" or "NAME"; NULL: the first one. */
static VirtioDevice *find_adapter(const char *bus, GError **error)
{
    g_autofree char *name =
        bus ? g_strndup(bus, strcspn(bus, ".")) : NULL;

    for (guint i = 0; i < plugged->len; i++) {
        const Plugged *p = g_ptr_array_index(plugged, i);

        if (p->adapter && (p->function || p->on_memory_bus) &&
            (!name || !g_strcmp0(p->adapter->id, name))) {
            return p->adapter;
        }
    }
    g_set_error(error, TOOL_ERROR, 0, "there is no SCSI adapter%s%s: add "
                "-device virtio-scsi,id=NAME and say bus=NAME.0",
                name ? " " : "", name ? name : "");
    return NULL;
}

static bool plug_scsi_disk(json_t *options, Plugged *p, GError **error)
{
    DiskOptions o = { 0 };
    int64_t target = -1, lun = -1;

    if (!parse_disk(options, &o, error) ||
        !block_options_int(options, "scsi-id", &target, error) ||
        !block_options_int(options, "lun", &lun, error)) {
        return false;
    }
    VirtioDevice *adapter = find_adapter(o.bus, error);
    ScsiDiskOptions disk = {
        .id = p->id ? p->id : o.drive,
        .serial = o.serial,
        .read_only = disk_is_read_only(o.drive),
        .target = CLAMP(target, -1, INT_MAX),
        .lun = CLAMP(lun, -1, INT_MAX),
    };
    BlockBackend *backend =
        adapter ? find_disk(o.drive, disk.read_only, o.share_rw, p, error)
                : NULL;

    if (!backend || !virtio_scsi_attach(adapter, backend, &disk, error)) {
        return false;
    }
    block_backend_set_device(backend, disk.id);
    p->adapter = adapter;
    return true;
}

/* ---- Others -------------------------------------------------------------------- */

static VirtioDevice *make_rng(json_t *options, Plugged *p, GError **error)
{
    return virtio_rng_new(p->id ? p->id : "rng", machine->mem);
}

/* ---- Networks --------------------------------------------------------------------- */

static GPtrArray *networks; /* NetBackend, of -netdev */

static const char *const netdev_user_keys[] = { "type", "id", "restrict",
                                                "hostfwd", NULL };
static const char *const netdev_stream_keys[] = { "type", "id", "server",
                                                  "addr.type", "addr.path",
                                                  NULL };

static NetBackend *find_network(const char *id)
{
    for (guint i = 0; networks && i < networks->len; i++) {
        NetBackend *net = g_ptr_array_index(networks, i);

        if (!g_strcmp0(net_id(net), id)) {
            return net;
        }
    }
    return NULL;
}

static NetBackend *open_user(const char *id, json_t *options, GError **error)
{
    NetUserOptions user = { 0 };
    const char *forward = NULL;

    if (!check_keys(netdev_user_keys, options, error) ||
        !block_options_bool(options, "restrict", &user.restricted, error) ||
        !block_options_string(options, "hostfwd", &forward, error)) {
        return NULL;
    }
    const char *forwards[] = { forward, NULL };

    user.forwards = forwards;
    return net_user_new(id, &user, error);
}

static NetBackend *open_stream(const char *id, json_t *options,
                               GError **error)
{
    const char *path = NULL, *type = "unix";
    bool server = false;

    if (!check_keys(netdev_stream_keys, options, error) ||
        !block_options_bool(options, "server", &server, error) ||
        !block_options_string(options, "addr.type", &type, error) ||
        !block_options_string(options, "addr.path", &path, error)) {
        return NULL;
    }
    if (strcmp(type, "unix") || !path) {
        g_set_error(error, TOOL_ERROR, 0, "say addr.type=unix,addr.path=PATH");
        return NULL;
    }
    return net_stream_new(id, path, server, error);
}

bool system_netdev_option(const char *text, GError **error)
{
    json_t *options = block_options_parse(text, "type", error);
    const char *type = json_string_value(json_object_get(options, "type"));
    const char *id = json_string_value(json_object_get(options, "id"));
    NetBackend *net = NULL;

    if (options && !id) {
        g_set_error(error, TOOL_ERROR, 0, "'id' is missing");
    } else if (options && find_network(id)) {
        g_set_error(error, TOOL_ERROR, 0, "there is already a network '%s'",
                    id);
    } else if (options && !g_strcmp0(type, "user")) {
        net = open_user(id, options, error);
    } else if (options && !g_strcmp0(type, "stream")) {
        net = open_stream(id, options, error);
    } else if (options) {
        g_set_error(error, TOOL_ERROR, 0, "unknown network '%s'; there are: "
                    "user, stream", type ? type : "");
    }
    json_decref(options);
    if (!net) {
        g_prefix_error(error, "-netdev %s: ", text);
        return false;
    }
    if (!networks) {
        networks =
            g_ptr_array_new_with_free_func((GDestroyNotify)net_free);
    }
    g_ptr_array_add(networks, net);
    return true;
}

/* Six bytes, colons between them. */
static bool parse_mac(const char *text, uint8_t mac[6])
{
    unsigned byte[6];
    char rest;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &byte[0], &byte[1],
               &byte[2], &byte[3], &byte[4], &byte[5], &rest) != 6) {
        return false;
    }
    for (unsigned i = 0; i < 6; i++) {
        mac[i] = byte[i];
    }
    return !(mac[0] & 1);
}

static VirtioDevice *make_net(json_t *options, Plugged *p, GError **error)
{
    static unsigned count;
    const char *name = NULL, *text = NULL;
    uint8_t mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 + count };

    if (!block_options_string(options, "netdev", &name, error) ||
        !block_options_string(options, "mac", &text, error)) {
        return NULL;
    }
    NetBackend *net = find_network(name);

    if (!net) {
        g_set_error(error, TOOL_ERROR, 0, name
                        ? "there is no network '%s'"
                        : "'netdev' is missing: name a -netdev%s",
                    name ? name : "");
        return NULL;
    }
    if (text && !parse_mac(text, mac)) {
        g_set_error(error, TOOL_ERROR, 0, "'%s' is not the address of a card, "
                    "such as 52:54:00:12:34:56", text);
        return NULL;
    }
    count++;
    return virtio_net_new(p->id ? p->id : "net", machine, net, mac, error);
}

static VirtioDevice *make_console(json_t *options, Plugged *p, GError **error)
{
    const char *path = NULL;

    return block_options_string(options, "path", &path, error)
               ? virtio_console_new(p->id ? p->id : "console", machine, path,
                                    error)
               : NULL;
}

static VirtioDevice *make_9p(json_t *options, Plugged *p, GError **error)
{
    const char *path = NULL, *tag = NULL;
    bool read_only = false;

    if (!block_options_string(options, "path", &path, error) ||
        !block_options_string(options, "mount_tag", &tag, error) ||
        !block_options_bool(options, "readonly", &read_only, error)) {
        return NULL;
    }
    if (!path || !tag) {
        g_set_error(error, TOOL_ERROR, 0, "say path=FOLDER,mount_tag=NAME");
        return NULL;
    }
    return virtio_9p_new(p->id ? p->id : tag, machine->mem, path, tag,
                         read_only, error);
}

static bool plug_ahci(json_t *options, Plugged *p, GError **error)
{
    const BoardPci *pci = board->pci ? board->pci(machine) : NULL;
    int64_t ports = 6;
    BoardPciPlace place;

    if (!block_options_int(options, "ports", &ports, error)) {
        return false;
    }
    if (!pci || ports < 1 || ports > AHCI_MAX_PORTS) {
        g_set_error(error, TOOL_ERROR, 0, pci ? "'ports' is 1..8"
                                              : "this machine has no PCI bus");
        return false;
    }
    if (!board_pci_place(pci, p->bus, &place, error)) {
        return false;
    }
    p->function = ahci_new(pci->host, place.parent, p->id ? p->id : "ahci",
                           pci_devfn(place.slot, 0), place.pin, ports);
    return true;
}

static const char *const disk_keys[] = { "drive", "id", "serial",
                                         "num-queues", "workers", "share-rw",
                                         "bootindex", "write-cache", "bus",
                                         "iothread", NULL };
static const char *const sata_keys[] = { "drive", "id", "serial", "share-rw",
                                         "bootindex", "write-cache", "bus",
                                         NULL };
static const char *const scsi_keys[] = { "drive", "id", "serial", "share-rw",
                                         "bootindex", "write-cache", "bus",
                                         "scsi-id", "lun", "channel", NULL };
static const char *const adapter_keys[] = { "id", "bus", "iothread", NULL };
static const char *const ahci_keys[] = { "id", "ports", "bus", "addr", NULL };
static const char *const plain_keys[] = { "id", "bus", NULL };
static const char *const net_keys[] = { "id", "bus", "netdev", "mac", NULL };
static const char *const p9_keys[] = { "id", "bus", "path", "mount_tag",
                                       "readonly", NULL };
static const char *const console_keys[] = { "id", "bus", "path", NULL };

/* Virtio devices also go by NAME-device (memory bus) and NAME-pci. */
static const DeviceSpec specs[] = {
    { "virtio-blk", "disk", disk_keys, .make = make_disk },
    { "virtio-rng", "random bytes of the host", plain_keys,
      .make = make_rng },
    { "virtio-net", "network card", net_keys, .make = make_net },
    { "virtio-console", "console: path=file:PATH or unix:PATH", console_keys,
      .make = make_console },
    { "virtio-9p", "a folder of the host", p9_keys, .make = make_9p },
    { "virtio-scsi", "SCSI host adapter", adapter_keys, .make = make_scsi },
    { "scsi-hd", "SCSI disk: bus=ADAPTER.0,scsi-id=N,lun=N", scsi_keys,
      .plug = plug_scsi_disk },
    { "ahci", "SATA controller", ahci_keys, .plug = plug_ahci },
    { "ide-hd", "SATA disk: bus=CONTROLLER.PORT", sata_keys,
      .plug = plug_sata_disk },
};

typedef enum Bus {
    BUS_ANY,
    BUS_MEMORY,
    BUS_PCI,
} Bus;

static const char *const bus_suffix[] = { "", "-device", "-pci" };
static const char *const bus_name[] = { "any", "virtio-bus", "PCI" };

void system_devices_help(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(specs); i++) {
        for (Bus bus = BUS_ANY; bus <= (specs[i].make ? BUS_PCI : BUS_ANY);
             bus++) {
            printf("name \"%s%s\", bus %s, desc \"%s\"\n", specs[i].name,
                   bus_suffix[bus],
                   specs[i].make ? bus_name[bus] : "PCI", specs[i].help);
        }
    }
}

static const DeviceSpec *find_device(const char *name, Bus *bus,
                                     GError **error)
{
    g_autoptr(GString) known = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(specs); i++) {
        for (*bus = BUS_ANY; *bus <= (specs[i].make ? BUS_PCI : BUS_ANY);
             (*bus)++) {
            g_autofree char *full =
                g_strconcat(specs[i].name, bus_suffix[*bus], NULL);

            if (!g_strcmp0(full, name)) {
                return &specs[i];
            }
        }
        g_string_append_printf(known, "%s%s%s", known->len ? ", " : "",
                               specs[i].name,
                               specs[i].make ? "[-device|-pci]" : "");
    }
    g_set_error(error, TOOL_ERROR, 0, "unknown device '%s'; there are: %s",
                name ? name : "", known->str);
    return NULL;
}

/* ---- Plugging ------------------------------------------------------------------ */

static bool plug_on_pci(VirtioDevice *vdev, Plugged *p, GError **error)
{
    const BoardPci *pci = board->pci ? board->pci(machine) : NULL;
    BoardPciPlace place;

    if (!pci) {
        g_set_error(error, TOOL_ERROR, 0, "machine '%s' has no PCI bus",
                    board->name);
        return false;
    }
    if (!board_pci_place(pci, p->bus, &place, error)) {
        return false;
    }
    p->function = virtio_pci_new(pci->host, place.parent, vdev,
                                 pci_devfn(place.slot, 0), place.pin);
    return true;
}

static bool plug_virtio(VirtioDevice *vdev, Bus bus, Plugged *p,
                        GError **error)
{
    if (bus == BUS_PCI || (bus == BUS_ANY && !board->plug_virtio)) {
        return plug_on_pci(vdev, p, error);
    }
    if (!board->plug_virtio) {
        g_set_error(error, TOOL_ERROR, 0, "machine '%s' has no virtio slots "
                    "on its memory bus: use the -pci device", board->name);
        return false;
    }
    p->on_memory_bus = board->plug_virtio(machine, vdev, error);
    return p->on_memory_bus;
}

static void plugged_free(void *opaque)
{
    Plugged *p = opaque;

    g_clear_pointer(&p->backend, block_backend_unref);
    g_free(p->id);
    g_free(p);
}

static Plugged *find_plugged(const char *id)
{
    for (guint i = 0; i < plugged->len; i++) {
        Plugged *p = g_ptr_array_index(plugged, i);

        if (!g_strcmp0(p->id, id)) {
            return p;
        }
    }
    return NULL;
}

/* Graph lock held, machine stopped or not yet running. */
static bool add(json_t *options, bool hot, GError **error)
{
    const char *name = json_string_value(json_object_get(options, "driver"));
    const char *id = json_string_value(json_object_get(options, "id"));
    Bus bus;
    const DeviceSpec *spec = find_device(name, &bus, error);

    if (!spec) {
        return false;
    }
    json_object_del(options, "driver");
    if (id && !*id) {
        g_set_error(error, TOOL_ERROR, 0, "'id' is empty");
        return false;
    }
    if (id && find_plugged(id)) {
        g_set_error(error, TOOL_ERROR, 0, "there is already a device '%s'",
                    id);
        return false;
    }
    Plugged *p = g_new0(Plugged, 1);
    bool ok = false;

    p->id = g_strdup(id);
    p->bus = json_string_value(json_object_get(options, "bus"));
    if (check_keys(spec->keys, options, error)) {
        if (spec->plug) {
            ok = spec->plug(options, p, error);
        } else {
            VirtioDevice *vdev = spec->make(options, p, error);

            ok = vdev && plug_virtio(vdev, bus, p, error);
            if (vdev && !ok) {
                vdev->type->free(vdev);
            }
        }
    }
    if (!ok) {
        plugged_free(p);
        return false;
    }
    p->bus = NULL;
    if (hot && p->function) {
        pci_hot_add(p->function);
    }
    g_ptr_array_add(plugged, p);
    return true;
}

static bool add_text(const char *text, GError **error)
{
    json_t *options = block_options_parse_any(text, "driver", error);
    bool ok = options && add(options, false, error);

    json_decref(options);
    if (!ok) {
        g_prefix_error(error, "-device %s: ", text);
    }
    return ok;
}

bool system_devices_plug(const SystemOptions *options, Machine *its_machine,
                         GError **error)
{
    const GPtrArray *drives = system_drive_devices();
    bool ok = true;

    machine = its_machine;
    board = options->board;
    plugged = g_ptr_array_new_with_free_func(plugged_free);
    block_graph_lock();
    for (guint i = 0; ok && i < drives->len; i++) {
        ok = add_text(g_ptr_array_index(drives, i), error);
    }
    for (guint i = 0; ok && i < options->devices->len; i++) {
        ok = add_text(g_ptr_array_index(options->devices, i), error);
    }
    block_graph_unlock();
    return ok;
}

void system_list_pci(FILE *to)
{
    const BoardPci *pci = board->pci ? board->pci(machine) : NULL;

    if (pci) {
        pci_list(pci->host, to);
    }
}

void system_devices_close(void)
{
    g_clear_pointer(&networks, g_ptr_array_unref);
    if (!plugged) {
        return;
    }
    block_graph_lock();
    g_clear_pointer(&plugged, g_ptr_array_unref);
    block_graph_unlock();
}

/* ---- Hot plug ------------------------------------------------------------------ */

bool system_device_add(json_t *options, GError **error)
{
    bool running = machine_is_running(machine);

    if (running) {
        machine_stop(machine);
    }
    block_graph_lock();
    bool ok = add(options, true, error);

    block_graph_unlock();
    if (running) {
        machine_cont(machine);
    }
    return ok;
}

/* Takes the device out of the machine; its requests end first. */
static void unplug(Plugged *p)
{
    bool is_scsi_disk = p->adapter && !p->function && !p->on_memory_bus;

    if (is_scsi_disk) {
        virtio_scsi_detach(p->adapter, p->id);
    } else if (p->controller) {
        ahci_detach(p->controller, p->id);
    } else if (p->on_memory_bus) {
        VirtioDevice *vdev = board->unplug_virtio(machine, p->id);

        if (vdev) {
            vdev->type->free(vdev);
        }
    } else {
        p->function->device.class->quiesce(&p->function->device);
        pci_remove(p->function);
    }
}

bool system_device_del(const char *id, GError **error)
{
    Plugged *p = find_plugged(id);
    bool running = machine_is_running(machine);

    if (!p) {
        g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_DEVICE_NOT_FOUND,
                    "Device '%s' not found", id);
        return false;
    }
    for (guint i = 0; i < plugged->len; i++) {
        const Plugged *other = g_ptr_array_index(plugged, i);

        if ((p->function && other->controller == p->function) ||
            (p->adapter && other != p && other->adapter == p->adapter &&
             (p->function || p->on_memory_bus))) {
            g_set_error(error, TOOL_ERROR, 0, "device '%s' has a disk: "
                        "remove '%s' first", id, other->id);
            return false;
        }
    }
    if (running) {
        machine_stop(machine);
    }
    unplug(p);
    block_graph_lock();
    if (p->drive) {
        block_backend_set_device(p->drive, NULL);
    }
    g_ptr_array_remove(plugged, p);
    block_graph_unlock();
    if (running) {
        machine_cont(machine);
    }
    monitor_event("DEVICE_DELETED", json_pack("{s:s, s:s}", "device", id,
                                              "path", "/machine"));
    return true;
}
