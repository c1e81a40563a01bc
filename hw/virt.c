/*
 * The virt board: RAM, 16550, LT timer, IO-APIC and LAPICs, power device,
 * clock, sixteen virtio-mmio slots, described to the guest by a device tree.
 *
 *   RAM low | ... | UART POWER RTC | virtio slots | IO-APIC LT LAPIC |
 *   I/O ports | system registers | RAM high
 *
 * Addresses and interrupt pins are the contract of "system/boot-contract.md"
 * A.2, which tests may hard-code.
 */
#include <string.h>

#include "hw/board.h"
#include "hw/boot.h"
#include "hw/intc.h"
#include "hw/lt-timer.h"
#include "hw/misc.h"
#include "hw/virt-fdt.h"
#include "system/sys-cpu.h"

#define RAM_LOW_MAX UINT64_C(0x80000000)
#define RAM_HIGH_ALIAS UINT64_C(0x400000000)

enum {
    MAX_CPUS = 64,
    MIN_RAM_BYTES = 16 << 20,
    RAM_ALIGN = 1 << 20,
    INITRD_ALIGN = 1 << 16,
};

typedef struct Virt {
    BoardConfig config;
    BootArea area;
    Image *image;
    uint8_t *initrd;
    size_t initrd_bytes;
    uint64_t initrd_base;
    uint8_t *fdt;
    size_t fdt_bytes;
    uint64_t ram_low;
    Device *uart;
    Device *slots[VIRT_VIRTIO_SLOTS];
} Virt;

static Virt *virt_of(Machine *machine)
{
    return machine->board;
}

static void map(Machine *machine, uint64_t base, uint64_t size, Device *device)
{
    physmem_map_device(machine->mem, base, size, device, 0);
}

static void map_ram(Machine *machine, Virt *virt)
{
    uint64_t bytes = virt->config.ram_bytes;

    virt->ram_low = MIN(bytes, RAM_LOW_MAX);
    physmem_map_ram(machine->mem, 0, virt->ram_low, 0);
    if (bytes > RAM_LOW_MAX) {
        /* The low part answers at both addresses. */
        physmem_map_ram(machine->mem, RAM_HIGH_ALIAS, bytes, 0);
    }
}

static void add_devices(Machine *machine, Virt *virt)
{
    const BoardConfig *config = &virt->config;
    Device *lapic = lapic_new(machine, "lapic");
    Device *ioapic = ioapic_new(machine, "ioapic", lapic);

    map(machine, VIRT_LAPIC, 0x1000, lapic);
    map(machine, VIRT_IOAPIC, 0x1000, ioapic);
    virt->uart = uart_16550_new(machine, "serial0",
                                ioapic_pin(ioapic, VIRT_IRQ_UART),
                                config->console, config->console_opaque);
    map(machine, VIRT_UART, 0x1000, virt->uart);
    map(machine, VIRT_POWER, 0x1000,
        power_new(machine, "power", ioapic_pin(ioapic, VIRT_IRQ_POWER)));
    map(machine, VIRT_RTC, 0x1000, rtc_new(machine, "rtc"));
    map(machine, VIRT_LT, 0x1000,
        lt_timer_new(machine, "lt", ioapic_pin(ioapic, VIRT_IRQ_LT)));
    map(machine, VIRT_IO_PORTS, 0x10000,
        lms_ports_new(machine, "ports", config->console,
                      config->console_opaque));
    for (unsigned i = 0; i < VIRT_VIRTIO_SLOTS; i++) {
        g_autofree char *id = g_strdup_printf("virtio-mmio%u", i);

        virt->slots[i] = virtio_mmio_new(
            machine, id, ioapic_pin(ioapic, VIRT_IRQ_VIRTIO + i));
        map(machine, VIRT_VIRTIO + VIRT_VIRTIO_STRIDE * i,
            VIRT_VIRTIO_STRIDE, virt->slots[i]);
    }
}

static bool load_initrd(Virt *virt, GError **error)
{
    if (!virt->config.initrd) {
        return true;
    }
    virt->initrd = load_file(virt->config.initrd, virt->ram_low,
                             &virt->initrd_bytes, error);
    if (!virt->initrd) {
        return false;
    }
    uint64_t image_end = virt->image ? virt->image->end : 0;

    if (virt->initrd_bytes + INITRD_ALIGN > virt->area.base - image_end) {
        g_set_error(error, SYSTEM_ERROR, 0, "initrd '%s' does not fit beside "
                    "the kernel: give the machine more memory with -m",
                    virt->config.initrd);
        return false;
    }
    virt->initrd_base = (virt->area.base - virt->initrd_bytes) &
                        ~(uint64_t)(INITRD_ALIGN - 1);
    return true;
}

/* Puts image, tables and CPUs in place; the machine is stopped. */
static void virt_reset(Machine *machine)
{
    Virt *virt = virt_of(machine);
    BootInfo info = {
        .args = virt->config.append ? virt->config.append : "",
        .bank_base = { 0, RAM_HIGH_ALIAS + RAM_LOW_MAX },
        .bank_bytes = { virt->ram_low, virt->config.ram_bytes - virt->ram_low },
        .n_cpus = virt->config.smp_entry_all ? machine->n_cpus : 1,
        .mach_flags = machine->lms ? 1 : 0,
        .fdt = virt->fdt ? virt->area.fdt : 0,
        .cpu_type = machine->model->mdl,
        .initrd_base = virt->initrd_base,
        .initrd_bytes = virt->initrd_bytes,
    };
    uint64_t entry = 0, code_base = 0;

    if (virt->image) {
        image_place(virt->image, machine->mem);
        entry = virt->image->entry;
        code_base = virt->image->base & ~(uint64_t)(PHYS_PAGE_BYTES - 1);
        info.kernel_base = code_base;
        info.kernel_bytes = virt->image->end - code_base;
    }
    if (virt->initrd) {
        physmem_write(machine->mem, virt->initrd_base, virt->initrd,
                      virt->initrd_bytes);
    }
    if (virt->fdt) {
        physmem_write(machine->mem, virt->area.fdt, virt->fdt,
                      virt->fdt_bytes);
    }
    boot_write_tables(&virt->area, machine->mem, &info);
    for (unsigned i = 0; i < machine->n_cpus; i++) {
        boot_set_cpu(&virt->area, machine, i, entry, code_base, info.fdt);
        machine->cpus[i]->waits_for_startup =
            i > 0 && !virt->config.smp_entry_all;
    }
}

static bool virt_finish(Machine *machine, GError **error)
{
    Virt *virt = virt_of(machine);
    VirtFdt tree = {
        .ram_low = virt->ram_low,
        .ram_high_base = RAM_HIGH_ALIAS + RAM_LOW_MAX,
        .ram_high = virt->config.ram_bytes - virt->ram_low,
        .reserved_base = virt->area.base,
        .reserved_bytes = virt->area.end - virt->area.base,
        .n_cpus = machine->n_cpus,
        .model = machine->model,
        .args = virt->config.append,
        .initrd_base = virt->initrd_base,
        .initrd_bytes = virt->initrd_bytes,
    };

    if (virt->config.dtb) {
        virt->fdt = load_file(virt->config.dtb, BOOT_FDT_MAX, &virt->fdt_bytes,
                              error);
        return virt->fdt != NULL;
    }
    virt->fdt = virt_fdt_build(&tree, BOOT_FDT_MAX, &virt->fdt_bytes, error);
    if (error && *error) {
        return false;
    }
    if (virt->fdt && virt->config.dump_dtb &&
        !g_file_set_contents(virt->config.dump_dtb, (const char *)virt->fdt,
                             virt->fdt_bytes, error)) {
        return false;
    }
    return true;
}

static void virt_free(Machine *machine)
{
    Virt *virt = virt_of(machine);

    image_free(virt->image);
    g_free(virt->initrd);
    g_free(virt->fdt);
    g_free(virt);
}

static bool virt_build(Machine *machine, const BoardConfig *config,
                       GError **error)
{
    if (config->ram_bytes < MIN_RAM_BYTES || config->ram_bytes % RAM_ALIGN) {
        g_set_error(error, SYSTEM_ERROR, 0, "machine 'virt' needs at least "
                    "%u MiB of memory, in whole MiB", MIN_RAM_BYTES >> 20);
        return false;
    }
    if (config->append && strlen(config->append) > BOOT_ARGS_MAX) {
        g_set_error(error, SYSTEM_ERROR, 0, "-append takes at most %u "
                    "characters", BOOT_ARGS_MAX);
        return false;
    }
    machine->mem = physmem_new(config->ram_bytes, error);
    if (!machine->mem ||
        !machine_add_cpus(machine, config->model, config->n_cpus, error)) {
        return false;
    }
    Virt *virt = g_new0(Virt, 1);

    virt->config = *config;
    machine->board = virt;
    machine->board_free = virt_free;
    machine->board_reset = virt_reset;
    map_ram(machine, virt);
    boot_area_init(&virt->area, virt->ram_low, config->n_cpus);
    if (config->kernel) {
        virt->image = image_load(config->kernel, config->model->isa,
                                 config->raw_base, virt->area.base, error);
        if (!virt->image) {
            return false;
        }
    }
    if (!load_initrd(virt, error)) {
        return false;
    }
    add_devices(machine, virt);
    return true;
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

static void virt_console_input(Machine *machine, const uint8_t *bytes,
                               size_t n)
{
    uart_16550_receive(virt_of(machine)->uart, bytes, n);
}

const BoardClass board_virt = {
    .name = "virt",
    .help = "RAM, 16550, LT timer, APIC, virtio-mmio, device tree",
    .default_cpu = "e8c",
    .max_cpus = MAX_CPUS,
    .default_ram_bytes = 256 << 20,
    .build = virt_build,
    .plug_virtio = virt_plug,
    .console_input = virt_console_input,
    .finish = virt_finish,
};
