/*
 * PCI host: windows of the CPU's address space, and who answers there; see
 * pci.h.
 */
#include "hw/pci-int.h"

#include <string.h>

#include "system/machine.h"
#include "util/bytes.h"
#include "util/log.h"

enum {
    BRIDGE_IO_BASE = 0x1c,
    BRIDGE_MEMORY_BASE = 0x20,
    BRIDGE_PREFETCH_BASE = 0x24,
    FUNCTIONS_PER_BUS = 256,
};

typedef struct PciWindow {
    Device device;
    PciHost *host;
    uint64_t base; /* bus address of offset 0 */
    bool io;
} PciWindow;

int pci_bus_of(const PciFunction *fn)
{
    if (!fn->parent) {
        return 0;
    }
    int number = fn->parent->config[PCI_SECONDARY_BUS];

    return number && pci_bus_of(fn->parent) >= 0 ? number : -1;
}

/* Does the bridge pass [base, + size) down? */
static bool bridge_passes(const PciFunction *bridge, bool io, uint64_t base,
                          uint64_t size)
{
    const uint8_t *c = bridge->config;
    uint16_t command = ldw_le_p(c + PCI_COMMAND);
    uint64_t last = base + size - 1;

    if (io) {
        uint32_t low = (uint32_t)(c[BRIDGE_IO_BASE] & 0xf0) << 8;
        uint32_t high = (uint32_t)(c[BRIDGE_IO_BASE + 1] & 0xf0) << 8 | 0xfff;

        return (command & PCI_COMMAND_IO) && base >= low && last <= high;
    }
    uint64_t low = (uint64_t)ldw_le_p(c + BRIDGE_MEMORY_BASE) << 16;
    uint64_t high =
        (uint64_t)ldw_le_p(c + BRIDGE_MEMORY_BASE + 2) << 16 | 0xfffff;

    return (command & PCI_COMMAND_MEMORY) && base >= low && last <= high;
}

static bool is_passed(const PciFunction *fn, bool io, uint64_t base,
                      uint64_t size)
{
    for (const PciFunction *up = fn->parent; up; up = up->parent) {
        if (!bridge_passes(up, io, base, size)) {
            return false;
        }
    }
    return true;
}

static void add_ranges(PciHost *host, PciFunction *fn)
{
    uint16_t command = ldw_le_p(fn->config + PCI_COMMAND);

    for (unsigned bar = 0; bar < PCI_BARS; bar++) {
        const PciBar *spec = &fn->type->bars[bar];
        bool io = spec->kind == PCI_BAR_IO;
        PciRange range = { pci_bar_base(fn, bar), spec->size, fn, bar, io };

        if (spec->kind != PCI_BAR_NONE && range.base &&
            (command & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) &&
            range.base + range.size > range.base &&
            is_passed(fn, io, range.base, range.size)) {
            g_array_append_val(host->ranges, range);
        }
    }
}

void pci_rebuild_ranges(PciHost *host)
{
    g_array_set_size(host->ranges, 0);
    for (guint i = 0; i < host->functions->len; i++) {
        add_ranges(host, g_ptr_array_index(host->functions, i));
    }
}

static const PciRange *find_range(const PciHost *host, bool io,
                                  uint64_t address, unsigned size)
{
    for (guint i = 0; i < host->ranges->len; i++) {
        const PciRange *r = &g_array_index(host->ranges, PciRange, i);

        if (r->io == io && address >= r->base &&
            address - r->base < r->size &&
            r->size - (address - r->base) >= size) {
            return r;
        }
    }
    return NULL;
}

static uint64_t window_read(Device *device, uint64_t offset, unsigned size)
{
    PciWindow *window = (PciWindow *)device;
    uint64_t address = window->base + offset;
    const PciRange *r = find_range(window->host, window->io, address, size);

    if (!r) {
        return ~UINT64_C(0);
    }
    offset = address - r->base;
    return r->fn->msix && r->bar == r->fn->msix_bar
               ? pci_msix_read(r->fn, offset, size)
               : r->fn->type->bar_read(r->fn, r->bar, offset, size);
}

static void window_write(Device *device, uint64_t offset, unsigned size,
                         uint64_t value)
{
    PciWindow *window = (PciWindow *)device;
    uint64_t address = window->base + offset;
    const PciRange *r = find_range(window->host, window->io, address, size);

    if (!r) {
        log_printf(LOG_GUEST_ERROR, "%s: write to 0x%llx, where nothing "
                   "answers\n", device->id, (unsigned long long)address);
        return;
    }
    offset = address - r->base;
    if (r->fn->msix && r->bar == r->fn->msix_bar) {
        pci_msix_write(r->fn, offset, size, value);
    } else {
        r->fn->type->bar_write(r->fn, r->bar, offset, size, value);
    }
}

static const DeviceClass window_class = {
    .name = "pci-window",
    .help = "memory or port window of a PCI host",
    .state_size = sizeof(PciWindow),
    .read = window_read,
    .write = window_write,
};

static void map_window(PciHost *host, const char *suffix, uint64_t cpu_base,
                       uint64_t bus_base, uint64_t bytes, bool io)
{
    g_autofree char *id = g_strconcat(host->device.id, suffix, NULL);
    PciWindow *window =
        (PciWindow *)device_new(host->device.machine, &window_class, id);

    window->host = host;
    window->base = bus_base;
    window->io = io;
    device_share_lock(&window->device, &host->device);
    physmem_map_device(host->config.mem, cpu_base, bytes, &window->device, 0);
}

/* ---- Configuration window ---------------------------------------------------- */

static PciFunction *find_function(const PciHost *host, unsigned bus,
                                  unsigned devfn)
{
    for (guint i = 0; i < host->functions->len; i++) {
        PciFunction *fn = g_ptr_array_index(host->functions, i);

        if (fn->devfn == devfn && pci_bus_of(fn) == (int)bus) {
            return fn;
        }
    }
    return NULL;
}

static uint64_t host_read(Device *device, uint64_t offset, unsigned size)
{
    PciHost *host = (PciHost *)device;
    PciFunction *fn =
        find_function(host, offset >> 20 & 0xff, offset >> 12 & 0xff);

    if (!fn) {
        return ~UINT64_C(0);
    }
    unsigned reg = offset & 0xfff;
    uint64_t value = pci_config_read(fn, reg, MIN(size, 4));

    return size == 8 ? value | (uint64_t)pci_config_read(fn, reg + 4, 4) << 32
                     : value;
}

static void host_write(Device *device, uint64_t offset, unsigned size,
                       uint64_t value)
{
    PciHost *host = (PciHost *)device;
    PciFunction *fn =
        find_function(host, offset >> 20 & 0xff, offset >> 12 & 0xff);

    if (!fn) {
        return;
    }
    unsigned reg = offset & 0xfff;

    pci_config_write(fn, reg, MIN(size, 4), value);
    if (size == 8) {
        pci_config_write(fn, reg + 4, 4, value >> 32);
    }
}

static void host_post_load(Device *device)
{
    PciHost *host = (PciHost *)device;

    pci_rebuild_ranges(host);
    memset(host->line_count, 0, sizeof(host->line_count));
    for (guint i = 0; i < host->functions->len; i++) {
        PciFunction *fn = g_ptr_array_index(host->functions, i);

        fn->intx_driven = false;
        pci_update_intx(fn);
    }
}

static void host_free(Device *device)
{
    PciHost *host = (PciHost *)device;

    g_ptr_array_free(host->functions, TRUE);
    g_array_free(host->ranges, TRUE);
    g_mutex_clear(&host->line_lock);
}

static const DeviceClass host_class = {
    .name = "pci-host",
    .help = "PCI configuration space, a window of memory",
    .state_size = sizeof(PciHost),
    .version = 1,
    .read = host_read,
    .write = host_write,
    .post_load = host_post_load,
    .free = host_free,
};

PciHost *pci_host_new(Machine *machine, const char *id,
                      const PciHostConfig *config)
{
    PciHost *host = (PciHost *)device_new(machine, &host_class, id);

    host->config = *config;
    host->functions = g_ptr_array_new();
    host->ranges = g_array_new(FALSE, FALSE, sizeof(PciRange));
    g_mutex_init(&host->line_lock);
    physmem_map_device(config->mem, config->config_base,
                       config->config_bytes, &host->device, 0);
    map_window(host, "-memory", config->memory_base, config->memory_base,
               config->memory_bytes, false);
    if (config->io_bytes) {
        map_window(host, "-io", config->io_base + config->io_first,
                   config->io_first, config->io_bytes, true);
    }
    return host;
}

/* ---- Functions ---------------------------------------------------------------- */

PciFunction *pci_add(PciHost *host, PciFunction *parent, const PciType *type,
                     const char *id, unsigned devfn, unsigned pin)
{
    Machine *machine = host->device.machine;
    PciFunction *fn = (PciFunction *)device_new(machine, type->class, id);

    fn->type = type;
    fn->host = host;
    fn->parent = parent;
    fn->devfn = devfn;
    fn->pin = pin;
    g_mutex_init(&fn->irq_lock);
    device_share_lock(&fn->device, &host->device);
    pci_config_init(fn);
    if (type->init) {
        type->init(fn);
    }
    memcpy(fn->initial, fn->config, sizeof(fn->initial));
    g_mutex_lock(host->device.lock);
    g_ptr_array_add(host->functions, fn);
    g_mutex_unlock(host->device.lock);
    return fn;
}

int pci_free_slot(PciHost *host, const PciFunction *parent, unsigned first)
{
    for (unsigned slot = first; slot < FUNCTIONS_PER_BUS / 8; slot++) {
        bool taken = false;

        for (guint i = 0; i < host->functions->len; i++) {
            const PciFunction *fn = g_ptr_array_index(host->functions, i);

            taken = taken || (fn->parent == parent && fn->devfn >> 3 == slot);
        }
        if (!taken) {
            return slot;
        }
    }
    return -1;
}

void pci_list(PciHost *host, FILE *to)
{
    g_mutex_lock(host->device.lock);
    for (guint i = 0; i < host->functions->len; i++) {
        const PciFunction *fn = g_ptr_array_index(host->functions, i);

        fprintf(to, "%d:%02x.%x %04x:%04x %-14s", pci_bus_of(fn),
                fn->devfn >> 3, fn->devfn & 7, fn->type->vendor,
                fn->type->device, fn->device.id);
        for (unsigned bar = 0; bar < PCI_BARS; bar++) {
            if (fn->type->bars[bar].kind != PCI_BAR_NONE) {
                fprintf(to, " BAR%u 0x%llx", bar,
                        (unsigned long long)pci_bar_base(fn, bar));
            }
        }
        if (fn->pin != PCI_NO_PIN) {
            fprintf(to, " pin %u", fn->pin);
        }
        fputc('\n', to);
    }
    g_mutex_unlock(host->device.lock);
}

void pci_remove(PciFunction *fn)
{
    PciHost *host = fn->host;
    Device *device = &fn->device;

    g_mutex_lock(host->device.lock);
    g_ptr_array_remove(host->functions, fn);
    pci_rebuild_ranges(host);
    g_mutex_unlock(host->device.lock);
    pci_set_intx(fn, false);
    machine_remove_device(device->machine, device);
    g_mutex_clear(&fn->irq_lock);
    device_free(device);
}
