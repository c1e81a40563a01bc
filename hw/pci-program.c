/*
 * What firmware leaves in PCI configuration registers: bus numbers, BARs,
 * bridge windows, command bits, interrupt lines.
 *
 * BARs are placed first fit.  A bridge gets a window of its own, aligned and
 * with room for functions that are plugged later; what is below it goes
 * there.  Kernels of real machines do not move anything ("probe only").
 */
#include "hw/pci-int.h"

#include "util/bytes.h"
#include "util/log.h"

enum {
    BRIDGE_BUSES = 0x18,
    BRIDGE_IO = 0x1c,
    BRIDGE_MEMORY = 0x20,
    BRIDGE_IO_BYTES = 0x1000,
    BRIDGE_MEMORY_BYTES = 64 << 20,
    ROOT_IO_BYTES = 8 * BRIDGE_IO_BYTES, /* of a bridge on bus 0 */
};
#define ROOT_MEMORY_BYTES (16 * (uint64_t)BRIDGE_MEMORY_BYTES)

/* An address space part that a function's BARs may be put in. */
typedef struct Space {
    uint64_t first, last;
} Space;

static bool overlaps(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

static Space bridge_space(const PciFunction *bridge, bool io)
{
    const uint8_t *c = bridge->config;

    if (io) {
        return (Space){ (uint64_t)(c[BRIDGE_IO] & 0xf0) << 8,
                        (uint64_t)(c[BRIDGE_IO + 1] & 0xf0) << 8 | 0xfff };
    }
    return (Space){ (uint64_t)ldw_le_p(c + BRIDGE_MEMORY) << 16,
                    (uint64_t)ldw_le_p(c + BRIDGE_MEMORY + 2) << 16 |
                        0xfffff };
}

/* The window of the host or of the bridge above. */
static Space space_of(const PciFunction *fn, bool io)
{
    const PciHostConfig *host = &fn->host->config;

    if (fn->parent) {
        return bridge_space(fn->parent, io);
    }
    return io ? (Space){ host->io_first, host->io_first + host->io_bytes - 1 }
              : (Space){ host->memory_base,
                         host->memory_base + host->memory_bytes - 1 };
}

/* A neighbour of fn that has [at, + size) in use: its end, else 0. */
static uint64_t taken_until(const PciFunction *fn, bool io, uint64_t at,
                            uint64_t size)
{
    for (guint i = 0; i < fn->host->functions->len; i++) {
        const PciFunction *other = g_ptr_array_index(fn->host->functions, i);

        if (other->parent != fn->parent || other == fn) {
            continue;
        }
        if (other->type->bridge) {
            Space s = bridge_space(other, io);

            if (s.first <= s.last &&
                overlaps(at, size, s.first, s.last - s.first + 1)) {
                return s.last + 1;
            }
        }
        for (unsigned bar = 0; bar < PCI_BARS; bar++) {
            uint64_t base = pci_bar_base(other, bar);
            const PciBar *spec = &other->type->bars[bar];

            if (base && (spec->kind == PCI_BAR_IO) == io &&
                overlaps(at, size, base, spec->size)) {
                return base + spec->size;
            }
        }
    }
    return 0;
}

/* First fit of size bytes, aligned to it; 0 when there is no room. */
static uint64_t place(const PciFunction *fn, bool io, uint64_t size,
                      uint64_t from)
{
    Space space = space_of(fn, io);
    uint64_t at = MAX(space.first, from);
    uint64_t next;

    do {
        at = (at + size - 1) & ~(size - 1);
        next = taken_until(fn, io, at, size);
        at = next ? next : at;
    } while (next && at <= space.last);
    return at + size - 1 <= space.last ? at : 0;
}

static void put_bar(PciFunction *fn, unsigned bar, uint64_t base)
{
    uint8_t *at = fn->config + PCI_BAR + 4 * bar;

    stl_le_p(at, (ldl_le_p(at) & 15) | (uint32_t)base);
    if (fn->type->bars[bar].kind == PCI_BAR_MEMORY64) {
        stl_le_p(at + 4, base >> 32);
    }
}

static void program_bars(PciFunction *fn)
{
    uint64_t from[2] = { 0, 0 };

    for (unsigned bar = 0; bar < PCI_BARS; bar++) {
        const PciBar *spec = &fn->type->bars[bar];
        bool io = spec->kind == PCI_BAR_IO;

        if (spec->kind == PCI_BAR_NONE) {
            continue;
        }
        uint64_t base = place(fn, io, spec->size, from[io]);

        if (!base) {
            log_printf(LOG_DEVICE, "%s: no room for BAR %u\n", fn->device.id,
                       bar);
            continue;
        }
        put_bar(fn, bar, base);
        from[io] = base + spec->size;
    }
}

static void program_bridge(PciFunction *fn, unsigned *last_bus)
{
    uint8_t *c = fn->config;
    uint64_t memory = fn->parent ? BRIDGE_MEMORY_BYTES : ROOT_MEMORY_BYTES;
    uint64_t io = fn->parent ? BRIDGE_IO_BYTES : ROOT_IO_BYTES;
    uint64_t base = place(fn, false, memory, 0);
    uint64_t io_base = fn->host->config.io_bytes ? place(fn, true, io, 0) : 0;

    c[BRIDGE_BUSES] = fn->parent ? fn->parent->config[PCI_SECONDARY_BUS] : 0;
    c[BRIDGE_BUSES + 1] = ++*last_bus;
    if (base) {
        stw_le_p(c + BRIDGE_MEMORY, base >> 16);
        stw_le_p(c + BRIDGE_MEMORY + 2, (base + memory - 1) >> 16 & 0xfff0);
    }
    if (io_base) {
        c[BRIDGE_IO] = io_base >> 8;
        c[BRIDGE_IO + 1] = (io_base + io - 1) >> 8 & 0xf0;
    }
}

static void enable(PciFunction *fn)
{
    stw_le_p(fn->config + PCI_COMMAND,
             PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    fn->config[PCI_INTERRUPT_LINE] = fn->pin;
}

/* Subordinate bus: the highest number below. */
static void close_bridge(PciFunction *bridge)
{
    uint8_t last = bridge->config[PCI_SECONDARY_BUS];

    for (guint i = 0; i < bridge->host->functions->len; i++) {
        PciFunction *fn = g_ptr_array_index(bridge->host->functions, i);

        for (PciFunction *up = fn->parent; up; up = up->parent) {
            if (up == bridge && fn->type->bridge) {
                last = MAX(last, fn->config[PCI_SECONDARY_BUS]);
            }
        }
    }
    bridge->config[PCI_SECONDARY_BUS + 1] = last;
}

void pci_host_program(PciHost *host)
{
    unsigned last_bus = 0;

    /* Parents come first, and their windows before what is below. */
    for (guint i = 0; i < host->functions->len; i++) {
        PciFunction *fn = g_ptr_array_index(host->functions, i);

        if (fn->type->bridge) {
            program_bridge(fn, &last_bus);
        } else {
            program_bars(fn);
        }
        enable(fn);
    }
    for (guint i = 0; i < host->functions->len; i++) {
        PciFunction *fn = g_ptr_array_index(host->functions, i);

        if (fn->type->bridge) {
            close_bridge(fn);
        }
    }
    pci_rebuild_ranges(host);
}

void pci_hot_add(PciFunction *fn)
{
    g_mutex_lock(fn->host->device.lock);
    fn->device.class->reset(&fn->device);
    program_bars(fn);
    enable(fn);
    pci_rebuild_ranges(fn->host);
    g_mutex_unlock(fn->host->device.lock);
}
