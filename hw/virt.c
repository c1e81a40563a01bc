/*
 * The virt board: RAM, 16550, LT timer, IO-APIC and LAPICs, power device,
 * clock, sixteen virtio-mmio slots, a PCI bus, described to the guest by a
 * device tree.
 *
 *   RAM low | PCI memory | UART POWER RTC | virtio slots | IO-APIC LT LAPIC |
 *   I/O ports | PCI configuration | RAM high
 *
 * Addresses and interrupt pins are the contract of "system/boot-contract.md"
 * A.2, which tests may hard-code.
 */
#include "hw/board-boot.h"
#include "hw/intc.h"
#include "hw/lt-timer.h"
#include "hw/misc.h"
#include "hw/virt-fdt.h"
#include "system/sys-cpu.h"

enum { MAX_CPUS = 64 };

typedef struct Virt {
    BoardBoot boot;
    bool has_epic;
    Device *uart;
    Device *slots[VIRT_VIRTIO_SLOTS];
    BoardPci pci;
} Virt;

static Virt *virt_of(Machine *machine)
{
    return machine->board;
}

static void map(Machine *machine, uint64_t base, uint64_t size, Device *device)
{
    physmem_map_device(machine->mem, base, size, device, 0);
}

static void add_pci(Machine *machine, Virt *virt, const IntcTree *intc)
{
    PciHostConfig config = {
        .mem = machine->mem,
        .config_base = VIRT_PCI_CONFIG,
        .config_bytes = VIRT_PCI_CONFIG_BYTES,
        .memory_base = VIRT_PCI_MEMORY,
        .memory_bytes = VIRT_PCI_MEMORY_BYTES,
        .io_base = VIRT_IO_PORTS,
        .io_first = VIRT_PCI_IO_FIRST,
        .io_bytes = VIRT_IO_BYTES - VIRT_PCI_IO_FIRST,
        .msi_base = VIRT_LAPIC,
        .msi = intc->msi,
        .msi_opaque = intc->msi_opaque,
        .line = intc->pin,
        .line_opaque = intc->io,
    };

    virt->pci = (BoardPci){
        .host = pci_host_new(machine, "pci", &config),
        .has_slots = true,
        .pins = { VIRT_IRQ_PCI, VIRT_IRQ_PCI + 1, VIRT_IRQ_PCI + 2,
                  VIRT_IRQ_PCI + 3 },
    };
}

static void add_devices(Machine *machine, Virt *virt, bool epic)
{
    const BoardConfig *config = &virt->boot.config;
    IntcTree intc = epic ? intc_tree_epic(machine, VIRT_LAPIC, VIRT_PREPIC,
                                          VIRT_LAPIC, VIRT_IRQ_PINS)
                         : intc_tree_apic(machine, VIRT_LAPIC);

    map(machine, epic ? VIRT_IOEPIC : VIRT_IOAPIC, intc.io->class->mmio_size,
        intc.io);
    virt->uart = uart_16550_new(machine, "serial0",
                                intc_tree_pin(&intc, VIRT_IRQ_UART),
                                config->console, config->console_opaque);
    map(machine, VIRT_UART, 0x1000, virt->uart);
    map(machine, VIRT_POWER, 0x1000,
        power_new(machine, "power", intc_tree_pin(&intc, VIRT_IRQ_POWER)));
    map(machine, VIRT_RTC, 0x1000, rtc_new(machine, "rtc"));
    map(machine, VIRT_LT, 0x1000,
        lt_timer_new(machine, "lt", intc_tree_pin(&intc, VIRT_IRQ_LT)));
    map(machine, VIRT_IO_PORTS, VIRT_PCI_IO_FIRST,
        lms_ports_new(machine, "ports", config->console,
                      config->console_opaque));
    for (unsigned i = 0; i < VIRT_VIRTIO_SLOTS; i++) {
        g_autofree char *id = g_strdup_printf("virtio-mmio%u", i);

        virt->slots[i] = virtio_mmio_new(
            machine, id, intc_tree_pin(&intc, VIRT_IRQ_VIRTIO + i));
        map(machine, VIRT_VIRTIO + VIRT_VIRTIO_STRIDE * i,
            VIRT_VIRTIO_STRIDE, virt->slots[i]);
    }
    add_pci(machine, virt, &intc);
}

static void virt_reset(Machine *machine)
{
    Virt *virt = virt_of(machine);
    BootInfo info = { .mach_flags = machine->lms ? 1 : 0 };

    pci_host_program(virt->pci.host);
    board_boot_reset(&virt->boot, machine, &info,
                     virt->boot.config.smp_entry_all);
}

static bool virt_finish(Machine *machine, GError **error)
{
    const Virt *virt = virt_of(machine);
    BoardBoot *boot = &virt_of(machine)->boot;
    VirtFdt tree = {
        .ram_low = boot->ram_low,
        .ram_high_base = BOARD_RAM_ALIAS + BOARD_RAM_LOW_MAX,
        .ram_high = boot->config.ram_bytes - boot->ram_low,
        .reserved_base = boot->area.base,
        .reserved_bytes = boot->area.end - boot->area.base,
        .n_cpus = machine->n_cpus,
        .has_epic = virt->has_epic,
        .model = machine->model,
        .args = boot->config.append,
        .initrd_base = boot->initrd_base,
        .initrd_bytes = boot->initrd_bytes,
    };

    if (boot->config.dtb) {
        boot->fdt = load_file(boot->config.dtb, BOOT_FDT_MAX,
                              &boot->fdt_bytes, error);
        return boot->fdt != NULL;
    }
    boot->fdt = virt_fdt_build(&tree, BOOT_FDT_MAX, &boot->fdt_bytes, error);
    if (error && *error) {
        return false;
    }
    if (!boot->fdt && boot->config.dump_dtb) {
        g_set_error(error, SYSTEM_ERROR, 0, "there is no device tree to "
                    "write: this build has no libfdt");
        return false;
    }
    if (!boot->config.dump_dtb ||
        g_file_set_contents(boot->config.dump_dtb, (const char *)boot->fdt,
                            boot->fdt_bytes, error)) {
        return true;
    }
    g_prefix_error(error, "cannot write '%s': ", boot->config.dump_dtb);
    return false;
}

static void virt_free(Machine *machine)
{
    Virt *virt = virt_of(machine);

    board_boot_clear(&virt->boot);
    g_free(virt);
}

static bool build(Machine *machine, const BoardConfig *config, bool epic,
                  GError **error)
{
    Virt *virt = g_new0(Virt, 1);

    virt->has_epic = epic;
    machine->board = virt;
    machine->board_free = virt_free;
    machine->board_reset = virt_reset;
    if (!board_boot_init(&virt->boot, "virt", machine, config, error)) {
        return false;
    }
    if (epic && machine->model->isa < 6) {
        g_set_error(error, SYSTEM_ERROR, 0, "machine 'virt-epic' needs a CPU "
                    "of ISA v6 or later, which '%s' is not",
                    machine->model->name);
        return false;
    }
    add_devices(machine, virt, epic);
    return true;
}

static bool virt_build(Machine *machine, const BoardConfig *config,
                       GError **error)
{
    return build(machine, config, false, error);
}

static bool virt_epic_build(Machine *machine, const BoardConfig *config,
                            GError **error)
{
    return build(machine, config, true, error);
}

static bool virt_plug(Machine *machine, VirtioDevice *vdev, GError **error)
{
    Virt *virt = virt_of(machine);

    for (unsigned i = 0; i < VIRT_VIRTIO_SLOTS; i++) {
        if (virtio_mmio_is_free(virt->slots[i])) {
            virtio_mmio_plug(virt->slots[i], vdev);
            return true;
        }
    }
    g_set_error(error, SYSTEM_ERROR, 0, "no free virtio slot for device '%s': "
                "machine 'virt' has %u", vdev->id, VIRT_VIRTIO_SLOTS);
    return false;
}

static VirtioDevice *virt_unplug(Machine *machine, const char *id)
{
    Virt *virt = virt_of(machine);

    for (unsigned i = 0; i < VIRT_VIRTIO_SLOTS; i++) {
        if (!g_strcmp0(virtio_mmio_id(virt->slots[i]), id)) {
            return virtio_mmio_unplug(virt->slots[i]);
        }
    }
    return NULL;
}

static const BoardPci *virt_pci(Machine *machine)
{
    return &virt_of(machine)->pci;
}

static void virt_console_input(Machine *machine, const uint8_t *bytes,
                               size_t n)
{
    uart_16550_receive(virt_of(machine)->uart, bytes, n);
}

const BoardClass board_virt = {
    .name = "virt",
    .help = "RAM, 16550, LT timer, APIC, virtio-mmio, PCI, device tree",
    .default_cpu = "e8c",
    .max_cpus = MAX_CPUS,
    .default_ram_bytes = 256 << 20,
    .drive_interface = "virtio",
    .build = virt_build,
    .plug_virtio = virt_plug,
    .unplug_virtio = virt_unplug,
    .pci = virt_pci,
    .console_input = virt_console_input,
    .finish = virt_finish,
};

const BoardClass board_virt_epic = {
    .name = "virt-epic",
    .help = "virt with the interrupt controllers of v6 (EPIC)",
    .default_cpu = "e16c",
    .max_cpus = MAX_CPUS,
    .default_ram_bytes = 256 << 20,
    .drive_interface = "virtio",
    .build = virt_epic_build,
    .plug_virtio = virt_plug,
    .unplug_virtio = virt_unplug,
    .pci = virt_pci,
    .console_input = virt_console_input,
    .finish = virt_finish,
};
