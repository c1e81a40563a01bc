/*
 * The device tree of the virt board, written with libfdt from start to end.
 *
 * Errors of libfdt are collected: the first one is reported when the tree is
 * finished, so that the nodes read like the tree itself.
 */
#include "hw/virt-fdt.h"

#include "hw/intc.h"
#include "system/device.h"

#ifdef HAVE_LIBFDT

#include <libfdt.h>
#include <string.h>

enum {
    PHANDLE_IOAPIC = 1,
    PHANDLE_POWER = 2,
    IRQ_EDGE = 0, /* second interrupt cell */
    IRQ_LEVEL = 1,
    POWER_OFF_VALUE = 0x5555,
    RESET_VALUE = 0x7777,
};

typedef struct Writer {
    void *fdt;
    int error; /* first, 0: none */
} Writer;

static void note(Writer *w, int ret)
{
    if (ret < 0 && !w->error) {
        w->error = ret;
    }
}

static void begin(Writer *w, const char *name)
{
    note(w, fdt_begin_node(w->fdt, name));
}

static void end(Writer *w)
{
    note(w, fdt_end_node(w->fdt));
}

static void cell(Writer *w, const char *name, uint32_t value)
{
    note(w, fdt_property_u32(w->fdt, name, value));
}

static void text(Writer *w, const char *name, const char *value)
{
    note(w, fdt_property_string(w->fdt, name, value));
}

static void flag(Writer *w, const char *name)
{
    note(w, fdt_property(w->fdt, name, NULL, 0));
}

/* reg with two address cells and two size cells, n pairs. */
static void reg(Writer *w, const uint64_t *values, unsigned n)
{
    fdt64_t cells[8];

    for (unsigned i = 0; i < 2 * n; i++) {
        cells[i] = cpu_to_fdt64(values[i]);
    }
    note(w, fdt_property(w->fdt, "reg", cells, n * 2 * sizeof(cells[0])));
}

static void interrupt(Writer *w, unsigned pin, unsigned sense)
{
    fdt32_t cells[] = { cpu_to_fdt32(pin), cpu_to_fdt32(sense) };

    note(w, fdt_property(w->fdt, "interrupts", cells, sizeof(cells)));
}

/* Opens "NAME@ADDRESS" with compatible and reg. */
static void begin_device(Writer *w, const char *name, const char *compatible,
                         uint64_t address, uint64_t size)
{
    g_autofree char *full =
        g_strdup_printf("%s@%" G_GINT64_MODIFIER "x", name, address);

    begin(w, full);
    text(w, "compatible", compatible);
    reg(w, (uint64_t[]){ address, size }, 1);
}

static void write_chosen(Writer *w, const VirtFdt *tree)
{
    g_autofree char *path =
        g_strdup_printf("/serial@%" G_GINT64_MODIFIER "x", VIRT_UART);

    begin(w, "chosen");
    text(w, "stdout-path", path);
    text(w, "bootargs", tree->args ? tree->args : "");
    if (tree->initrd_bytes) {
        note(w, fdt_property_u64(w->fdt, "linux,initrd-start",
                                 tree->initrd_base));
        note(w, fdt_property_u64(w->fdt, "linux,initrd-end",
                                 tree->initrd_base + tree->initrd_bytes));
    }
    end(w);
}

static void write_memory(Writer *w, const VirtFdt *tree)
{
    uint64_t values[] = { 0, tree->ram_low, tree->ram_high_base,
                          tree->ram_high };

    begin(w, "memory@0");
    text(w, "device_type", "memory");
    reg(w, values, tree->ram_high ? 2 : 1);
    end(w);
}

static void write_cpus(Writer *w, const VirtFdt *tree)
{
    g_autofree char *isa = g_strdup_printf("e2k,v%u", tree->model->isa);

    begin(w, "cpus");
    cell(w, "#address-cells", 1);
    cell(w, "#size-cells", 0);
    for (unsigned i = 0; i < tree->n_cpus; i++) {
        g_autofree char *name = g_strdup_printf("cpu@%u", i);

        begin(w, name);
        text(w, "device_type", "cpu");
        text(w, "compatible", isa);
        text(w, "model", tree->model->name);
        cell(w, "reg", i);
        end(w);
    }
    end(w);
}

static void write_power(Writer *w)
{
    begin_device(w, "power", "syscon", VIRT_POWER, 0x1000);
    cell(w, "phandle", PHANDLE_POWER);
    interrupt(w, VIRT_IRQ_POWER, IRQ_LEVEL);
    end(w);
    begin(w, "poweroff");
    text(w, "compatible", "syscon-poweroff");
    cell(w, "regmap", PHANDLE_POWER);
    cell(w, "offset", 0);
    cell(w, "value", POWER_OFF_VALUE);
    end(w);
    begin(w, "reboot");
    text(w, "compatible", "syscon-reboot");
    cell(w, "regmap", PHANDLE_POWER);
    cell(w, "offset", 0);
    cell(w, "value", RESET_VALUE);
    end(w);
}

/* Bus 0 of a generic host bridge; PCI addresses are CPU addresses. */
static void write_pci(Writer *w)
{
    enum { SPACE_IO = 0x01000000, SPACE_MEMORY = 0x02000000, SLOTS = 4 };
    const uint64_t memory = VIRT_PCI_MEMORY;
    const uint32_t ranges[] = {
        SPACE_IO, 0, VIRT_PCI_IO_FIRST, VIRT_IO_PORTS >> 32,
        (uint32_t)VIRT_IO_PORTS + VIRT_PCI_IO_FIRST, 0,
        VIRT_IO_BYTES - VIRT_PCI_IO_FIRST,
        SPACE_MEMORY, 0, memory, 0, memory, 0, VIRT_PCI_MEMORY_BYTES,
    };
    fdt32_t cells[G_N_ELEMENTS(ranges)];
    fdt32_t map[SLOTS * 4 * 6];
    unsigned n = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(ranges); i++) {
        cells[i] = cpu_to_fdt32(ranges[i]);
    }
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        for (unsigned pin = 1; pin <= 4; pin++) {
            uint32_t row[] = { slot << 11, 0, 0, pin, PHANDLE_IOAPIC,
                               VIRT_IRQ_PCI + (slot + pin - 1) % 4 };

            for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
                map[n++] = cpu_to_fdt32(row[i]);
            }
        }
    }
    begin_device(w, "pci", "pci-host-ecam-generic", VIRT_PCI_CONFIG,
                 VIRT_PCI_CONFIG_BYTES);
    text(w, "device_type", "pci");
    cell(w, "#address-cells", 3);
    cell(w, "#size-cells", 2);
    cell(w, "#interrupt-cells", 1);
    note(w, fdt_property(w->fdt, "ranges", cells, sizeof(cells)));
    note(w, fdt_property(w->fdt, "interrupt-map", map, sizeof(map)));
    end(w);
}

static void write_devices(Writer *w, const VirtFdt *tree)
{
    if (tree->has_epic) {
        begin_device(w, "interrupt-controller", "mcst,ioepic", VIRT_IOEPIC,
                     IOEPIC_BYTES);
    } else {
        begin_device(w, "interrupt-controller", "mcst,ioapic", VIRT_IOAPIC,
                     0x1000);
    }
    cell(w, "phandle", PHANDLE_IOAPIC);
    flag(w, "interrupt-controller");
    cell(w, "#interrupt-cells", 2);
    end(w);
    if (tree->has_epic) {
        begin_device(w, "local-epic", "mcst,epic", VIRT_LAPIC, CEPIC_BYTES);
        end(w);
        begin_device(w, "node-epic", "mcst,epic-linp", VIRT_PREPIC,
                     PREPIC_BYTES);
    } else {
        begin_device(w, "local-apic", "mcst,apic", VIRT_LAPIC, LAPIC_BYTES);
    }
    end(w);
    begin_device(w, "timer", "mcst,lt", VIRT_LT, 0x40);
    cell(w, "clock-frequency", VIRT_LT_HZ);
    interrupt(w, VIRT_IRQ_LT, IRQ_EDGE);
    end(w);
    begin_device(w, "serial", "ns16550a", VIRT_UART, 8);
    cell(w, "clock-frequency", VIRT_UART_CLOCK);
    interrupt(w, VIRT_IRQ_UART, IRQ_LEVEL);
    end(w);
    begin_device(w, "rtc", "e2k-emu,rtc", VIRT_RTC, 8);
    end(w);
    write_power(w);
    for (unsigned i = 0; i < VIRT_VIRTIO_SLOTS; i++) {
        begin_device(w, "virtio", "virtio,mmio",
                     VIRT_VIRTIO + i * VIRT_VIRTIO_STRIDE,
                     VIRT_VIRTIO_STRIDE);
        interrupt(w, VIRT_IRQ_VIRTIO + i, IRQ_LEVEL);
        end(w);
    }
    write_pci(w);
}

uint8_t *virt_fdt_build(const VirtFdt *tree, size_t max_bytes,
                        size_t *bytes, GError **error)
{
    g_autofree uint8_t *block = g_malloc0(max_bytes);
    Writer writer = { .fdt = block };
    Writer *w = &writer;

    note(w, fdt_create(block, max_bytes));
    note(w, fdt_add_reservemap_entry(block, tree->reserved_base,
                                     tree->reserved_bytes));
    note(w, fdt_finish_reservemap(block));
    begin(w, "");
    cell(w, "#address-cells", 2);
    cell(w, "#size-cells", 2);
    cell(w, "interrupt-parent", PHANDLE_IOAPIC);
    text(w, "compatible", "e2k,virt");
    text(w, "model", "e2k-emu virt");
    text(w, "version", "2.0");
    write_chosen(w, tree);
    write_memory(w, tree);
    write_cpus(w, tree);
    write_devices(w, tree);
    end(w);
    note(w, fdt_finish(block));
    if (w->error) {
        g_set_error(error, SYSTEM_ERROR, 0, "cannot build the device tree: "
                    "%s", fdt_strerror(w->error));
        return NULL;
    }
    *bytes = fdt_totalsize(block);
    return g_steal_pointer(&block);
}

#else

uint8_t *virt_fdt_build(const VirtFdt *tree, size_t max_bytes,
                        size_t *bytes, GError **error)
{
    return NULL;
}

#endif
