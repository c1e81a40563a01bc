/*
 * The real machines: what an unmodified kernel finds from its entry to its
 * root disk, set up as firmware would have left it.
 *
 *   RAM low | PCI memory | IO-APIC LT LAPIC | I/O ports | NBSR |
 *   PCI configuration | RAM high
 *
 * One table row for each machine.  All CPUs enter the kernel at once, as
 * "system/boot-contract.md" B.1 says.  e1c+ has no NBSR but a host bridge
 * function with its memory limits, and a second IO-APIC whose pins nothing
 * here drives.  v6 machines have EPIC in place of APIC: CEPIC where the LAPIC
 * is, PREPIC in the NBSR, the IO-EPIC behind a BAR of the hub.
 */
#include "hw/board-boot.h"
#include "hw/elbrus-int.h"
#include "hw/intc.h"
#include "hw/lt-timer.h"
#include "hw/misc.h"
#include "system/sys-cpu.h"
#include "util/bytes.h"

enum {
    CONFIG_BYTES = 0x10000000,
    FLAG_SIMULATOR = 1 << 0,
    FLAG_MSI = 1 << 5,
    /* Registers of the host bridge function of e1c+. */
    BRIDGE_TOM = 0x44,
    BRIDGE_TOM2 = 0x48,
    BRIDGE_REMAP = 0x50,
    BRIDGE_IOAPIC2 = 0x58,
};

typedef struct ElbrusModel {
    const char *name;
    const char *cpu;
    HubKind hub;
    bool has_epic;
    bool legacy; /* host bridge function instead of NBSR, a second IO-APIC */
    uint64_t config_base, io_base;
} ElbrusModel;

typedef struct Elbrus {
    BoardBoot boot;
    const ElbrusModel *model;
    ElbrusMap map;
    IoHub hub;
    BoardPci pci;
} Elbrus;

static Elbrus *elbrus_of(Machine *machine)
{
    return machine->board;
}

/* ---- The host bridge of e1c+ --------------------------------------------------- */

static void bridge_reset(Device *device)
{
    PciFunction *fn = (PciFunction *)device;
    Elbrus *elbrus = elbrus_of(device->machine);
    uint64_t total = elbrus->boot.config.ram_bytes;

    pci_function_reset(fn);
    stl_le_p(fn->config + BRIDGE_TOM, elbrus->map.ram_low_bytes);
    stq_le_p(fn->config + BRIDGE_TOM2,
             total > BOARD_RAM_LOW_MAX ? ELBRUS_RAM_HIGH + total : 0);
    stq_le_p(fn->config + BRIDGE_REMAP, ELBRUS_RAM_HIGH);
    stl_le_p(fn->config + BRIDGE_IOAPIC2, ELBRUS_IOAPIC2);
}

static const StateField bridge_fields[] = { STATE_PCI, STATE_END };

static const DeviceClass bridge_class = {
    .name = "e1c-host-bridge",
    .help = "host bridge of e1c+",
    .state_size = sizeof(PciFunction),
    .version = 1,
    .reset = bridge_reset,
    .fields = bridge_fields,
};

static const PciType bridge_type = {
    .class = &bridge_class,
    .vendor = 0x1fff,
    .device = 0x801d,
    .class_code = 0x060000,
    .revision = 1,
};

/* ---- Building -------------------------------------------------------------------- */

static void map(Machine *machine, uint64_t base, uint64_t size,
                Device *device)
{
    physmem_map_device(machine->mem, base, size, device, 0);
}

static PciHost *add_host(Machine *machine, Elbrus *elbrus,
                         const IntcTree *intc, Device *nbsr)
{
    PciHostConfig config = {
        .mem = machine->mem,
        .config_base = elbrus->map.config_base,
        .config_bytes = CONFIG_BYTES,
        .memory_base = ELBRUS_PCI_MEMORY,
        .memory_bytes = ELBRUS_PCI_MEMORY_BYTES,
        .io_base = elbrus->map.io_base,
        .io_first = ELBRUS_IO_FIRST,
        .io_bytes = ELBRUS_IO_BYTES - ELBRUS_IO_FIRST,
        .msi_base = elbrus->map.msi_base,
        .msi = intc->msi,
        .msi_opaque = intc->msi_opaque,
        .line = intc->pin,
        .line_opaque = intc->io,
        .translate = nbsr && !elbrus->map.has_epic ? nbsr_translate : NULL,
        .translate_opaque = nbsr,
    };

    return pci_host_new(machine, "pci", &config);
}

/* The node registers, around those of PREPIC. */
static Device *add_nbsr(Machine *machine, Elbrus *elbrus)
{
    Device *nbsr = nbsr_new(machine, "nbsr", &elbrus->map);
    uint64_t bytes = nbsr->class->mmio_size;
    uint64_t after = ELBRUS_PREPIC + PREPIC_BYTES;

    if (!elbrus->map.has_epic) {
        map(machine, ELBRUS_NBSR, bytes, nbsr);
        return nbsr;
    }
    map(machine, ELBRUS_NBSR, ELBRUS_PREPIC, nbsr);
    physmem_map_device(machine->mem, ELBRUS_NBSR + after, bytes - after, nbsr,
                       after);
    return nbsr;
}

static IntcTree add_intc(Machine *machine, const Elbrus *elbrus)
{
    IntcTree intc;

    if (elbrus->map.has_epic) {
        return intc_tree_epic(machine, ELBRUS_LAPIC,
                              ELBRUS_NBSR + ELBRUS_PREPIC,
                              elbrus->map.msi_base, ELBRUS_EPIC_PINS);
    }
    intc = intc_tree_apic(machine, ELBRUS_LAPIC);
    map(machine, ELBRUS_IOAPIC, 0x1000, intc.io);
    if (elbrus->map.has_ioapic2) {
        map(machine, ELBRUS_IOAPIC2, 0x1000,
            ioapic_new(machine, "ioapic2", intc.local, machine->n_cpus + 1));
    }
    return intc;
}

static void add_devices(Machine *machine, Elbrus *elbrus)
{
    const BoardConfig *config = &elbrus->boot.config;
    const ElbrusModel *model = elbrus->model;
    IntcTree intc = add_intc(machine, elbrus);
    Device *nbsr = model->legacy ? NULL : add_nbsr(machine, elbrus);
    PciHost *host = add_host(machine, elbrus, &intc, nbsr);

    if (nbsr && !elbrus->map.has_epic) {
        nbsr_connect(nbsr, intc.local);
    }

    map(machine, ELBRUS_LT, 0x1000,
        lt_timer_new(machine, "lt", intc_tree_pin(&intc, ELBRUS_PIN_LT)));
    map(machine, elbrus->map.io_base, ELBRUS_IO_FIRST,
        lms_ports_new(machine, "ports", config->console,
                      config->console_opaque));
    if (model->legacy) {
        pci_add(host, NULL, &bridge_type, "host-bridge",
                pci_devfn(31, 0), PCI_NO_PIN);
    }
    iohub_init(&elbrus->hub, host, model->hub, intc.io, config->console,
               config->console_opaque);
    elbrus->pci = (BoardPci){
        .host = host,
        .has_slots = elbrus->hub.slots,
        .parent = elbrus->hub.slots,
        .pins = { ELBRUS_PIN_SLOTS, ELBRUS_PIN_SLOTS + 1,
                  ELBRUS_PIN_SLOTS + 2, ELBRUS_PIN_SLOTS + 3 },
        .n_ports = elbrus->hub.n_ports,
        .sata = elbrus->hub.sata[0],
    };
    for (unsigned i = 0; i < elbrus->hub.n_ports; i++) {
        elbrus->pci.ports[i] = elbrus->hub.ports[i];
    }
}

/* The kernel asks for the simulator's console by this word. */
static bool wants_simulator(const BoardBoot *boot)
{
    g_auto(GStrv) words =
        g_strsplit(boot->config.append ? boot->config.append : "", " ", -1);

    return g_strv_contains((const char *const *)words, "LMS");
}

static void elbrus_reset(Machine *machine)
{
    Elbrus *elbrus = elbrus_of(machine);
    BootInfo info = {
        .mach_flags =
            FLAG_MSI | (wants_simulator(&elbrus->boot) ? FLAG_SIMULATOR : 0),
        .mp_table = elbrus->boot.area.mp_table,
    };

    pci_host_program(elbrus->pci.host);
    info.serial_base = iohub_serial_base(&elbrus->hub);
    board_boot_reset(&elbrus->boot, machine, &info, true);
    mp_table_write(machine->mem, info.mp_table, machine->n_cpus, &elbrus->map,
                   elbrus->map.has_epic ? iohub_ioepic_base(&elbrus->hub)
                                        : 0);
}

static void elbrus_free(Machine *machine)
{
    board_boot_clear(&elbrus_of(machine)->boot);
    g_free(elbrus_of(machine));
}

/* Kernels take the machine from the CPU's number of model. */
static bool check_cpu(const ElbrusModel *model, const CpuModel *cpu,
                      GError **error)
{
    if (g_strcmp0(cpu->name, model->cpu)) {
        g_set_error(error, SYSTEM_ERROR, 0, "machine '%s' has CPUs '%s', not "
                    "'%s'", model->name, model->cpu, cpu->name);
        return false;
    }
    return true;
}

static bool build(const ElbrusModel *model, Machine *machine,
                  const BoardConfig *config, GError **error)
{
    Elbrus *elbrus = g_new0(Elbrus, 1);

    elbrus->model = model;
    machine->board = elbrus;
    machine->board_free = elbrus_free;
    machine->board_reset = elbrus_reset;
    if (!check_cpu(model, config->model, error) ||
        !board_boot_init(&elbrus->boot, model->name, machine, config, error)) {
        return false;
    }
    elbrus->map = (ElbrusMap){
        .config_base = model->config_base,
        .io_base = model->io_base,
        .ram_low_bytes = elbrus->boot.ram_low,
        .ram_high_bytes = config->ram_bytes > BOARD_RAM_LOW_MAX
                              ? config->ram_bytes
                              : 0,
        .msi_base = model->has_epic ? ELBRUS_EPIC_MSI : ELBRUS_MSI,
        .has_epic = model->has_epic,
        .has_ioapic2 = model->legacy,
    };
    add_devices(machine, elbrus);
    return true;
}

static bool elbrus_finish(Machine *machine, GError **error)
{
    BoardBoot *boot = &elbrus_of(machine)->boot;

    if (boot->config.dump_dtb) {
        g_set_error(error, SYSTEM_ERROR, 0, "machine '%s' has no device tree: "
                    "its kernels bring their own", machine->board_name);
        return false;
    }
    if (boot->config.dtb) {
        boot->fdt = load_file(boot->config.dtb, BOOT_FDT_MAX,
                              &boot->fdt_bytes, error);
    }
    return !boot->config.dtb || boot->fdt;
}

static const BoardPci *elbrus_pci(Machine *machine)
{
    return &elbrus_of(machine)->pci;
}

static void elbrus_input(Machine *machine, const uint8_t *bytes, size_t n)
{
    iohub_serial_receive(&elbrus_of(machine)->hub, bytes, n);
}

/* ---- The machines ------------------------------------------------------------------- */

#define FULL_SIC                                                               \
    .config_base = UINT64_C(0x200000000), .io_base = UINT64_C(0x101000000)

#define BOARD(symbol, board_name, text, cpus, ...)                             \
    static const ElbrusModel symbol##_model = { .name = board_name,            \
                                                .cpu = board_name,             \
                                                __VA_ARGS__ };                 \
    static bool symbol##_build(Machine *machine, const BoardConfig *config,    \
                               GError **error)                                 \
    {                                                                          \
        return build(&symbol##_model, machine, config, error);                 \
    }                                                                          \
    const BoardClass board_##symbol = {                                        \
        .name = board_name,                                                    \
        .help = text,                                                          \
        .default_cpu = board_name,                                             \
        .max_cpus = cpus,                                                      \
        .default_ram_bytes = 512 << 20,                                        \
        .drive_interface = "ide",                                              \
        .build = symbol##_build,                                               \
        .pci = elbrus_pci,                                                     \
        .console_input = elbrus_input,                                         \
        .finish = elbrus_finish,                                               \
    };

BOARD(e8c, "e8c", "Elbrus-8C: IOHub2, AHCI, am85c30", 8, .hub = HUB_IOHUB2,
      FULL_SIC)
BOARD(e8c2, "e8c2", "Elbrus-8CB: as e8c, ISA v5", 8, .hub = HUB_IOHUB2,
      FULL_SIC)
BOARD(e2s, "e2s", "Elbrus-4C: IOHub, AHCI, am85c30", 4, .hub = HUB_IOHUB,
      FULL_SIC)
BOARD(e1cp, "e1c+", "Elbrus-1C+: IOHub2 and host bridge function", 1,
      .hub = HUB_IOHUB2, .legacy = true,
      .config_base = UINT64_C(0xff10000000),
      .io_base = UINT64_C(0xff20000000))
BOARD(e12c, "e12c", "Elbrus-12C: EIOHub, EPIC, ISA v6", 12,
      .hub = HUB_EIOHUB, .has_epic = true, FULL_SIC)
BOARD(e16c, "e16c", "Elbrus-16C: as e12c", 16, .hub = HUB_EIOHUB,
      .has_epic = true, FULL_SIC)
BOARD(e2c3, "e2c3", "Elbrus-2C3: as e12c", 2, .hub = HUB_EIOHUB,
      .has_epic = true, FULL_SIC)
