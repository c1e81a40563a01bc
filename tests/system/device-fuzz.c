/*
 * Random bus accesses, random virtqueues and random command lists against
 * every device of the boards virt, e8c, e16c and e1c+.
 *
 * usage: device-fuzz [SECONDS [SEED [TARGET]]]
 *
 * SECONDS are those of all targets together; TARGET is one of targets[].
 * Nothing is expected but that the emulator survives: run it under the
 * sanitizers.  Accesses are biased to what drivers write: small numbers,
 * addresses of rings in RAM, features and status bits; rings are filled with
 * noise that is often nearly right.  Now and then the machine is saved and goes
 * on with a damaged copy of its state.  The guest's CPU does not run, so a write
 * to the power device only leaves a note.
 *
 * Targets differ in the windows they access and in what they set up in memory
 * before each burst of accesses.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib.h>
#include <glib/gstdio.h>

#include "block/backend.h"
#include "block/options.h"
#include "hw/ahci.h"
#include "hw/board.h"
#include "hw/elbrus-int.h"
#include "hw/intc.h"
#include "hw/loader.h"
#include "hw/net.h"
#include "hw/virt-fdt.h"
#include "hw/virtio-9p.h"
#include "hw/virtio-blk.h"
#include "hw/virtio-console.h"
#include "hw/virtio-net.h"
#include "hw/virtio-pci.h"
#include "hw/virtio-rng.h"
#include "hw/virtio-scsi.h"
#include "system/machine.h"
#include "tests/system/fuzz-state.h"
#include "util/bytes.h"

enum {
    RAM_BYTES = 16 << 20,
    RING_AREA = 0x100000,
    RING_BYTES = 0x10000,
    DISK_BYTES = 1 << 20,
    BURST = 1000,
};

static GRand *rnd;
static unsigned states_taken; /* of damaged ones */
static char *folder;     /* of sockets and of the shared folder */
static NetBackend *wire; /* of the network card */
static int wire_fd = -1; /* its other end */

static uint64_t random_bits(void)
{
    return (uint64_t)g_rand_int(rnd) << 32 | g_rand_int(rnd);
}

static uint64_t random_value(void)
{
    switch (g_rand_int_range(rnd, 0, 6)) {
    case 0:
        return g_rand_int_range(rnd, 0, 17);
    case 1:
        return UINT64_C(1) << g_rand_int_range(rnd, 0, 64);
    case 2:
        return RING_AREA + g_rand_int_range(rnd, 0, RING_BYTES);
    case 3:
        return ~UINT64_C(0) - g_rand_int_range(rnd, 0, 16);
    case 4:
        return RAM_BYTES - g_rand_int_range(rnd, 0, 64);
    default:
        return random_bits();
    }
}

typedef struct Window {
    uint64_t base, size;
} Window;

typedef struct Target {
    const char *name;
    enum { VIRT, E8C, E16C, E1CP, BOARDS } board;
    Window windows[4];     /* fixed ones, size 0 ends */
    /* One more, found in the machine; may be NULL. */
    Window (*find)(Machine *machine);
    /* Fills memory and starts something; may be NULL. */
    void (*set_up)(Machine *machine, uint64_t base);
} Target;

static void random_access(PhysMem *mem, const Window *window)
{
    unsigned size = 1u << g_rand_int_range(rnd, 0, 4);
    uint64_t offset = g_rand_int_range(rnd, 0, window->size);

    if (g_rand_int_range(rnd, 0, 8)) { /* mostly whole words in place */
        size = 4;
        offset &= ~UINT64_C(3);
    }
    if (g_rand_boolean(rnd)) {
        physmem_io_read(mem, window->base + offset, size);
    } else {
        physmem_io_write(mem, window->base + offset, size, random_value());
    }
}

static void random_memory(PhysMem *mem)
{
    uint8_t *area = physmem_host(mem, RING_AREA, RING_BYTES);

    for (unsigned i = 0; i < 64; i++) {
        unsigned at = g_rand_int_range(rnd, 0, RING_BYTES / 8) * 8;

        stq_le_p(area + at, random_value());
    }
}

/* The driver's steps up to DRIVER_OK, one queue of eight descriptors. */
static void set_up_queue(PhysMem *mem, uint64_t slot)
{
    static const uint32_t setup[][2] = {
        { 0x70, 0 }, { 0x70, 3 }, { 0x24, 1 }, { 0x20, 1 }, { 0x24, 0 },
        { 0x20, 0x30000200 }, { 0x70, 11 }, { 0x30, 0 }, { 0x38, 8 },
        { 0x80, RING_AREA }, { 0x84, 0 }, { 0x90, RING_AREA + 0x1000 },
        { 0x94, 0 }, { 0xa0, RING_AREA + 0x2000 }, { 0xa4, 0 }, { 0x44, 1 },
        { 0x70, 15 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(setup); i++) {
        physmem_io_write(mem, slot + setup[i][0], 4, setup[i][1]);
    }
}

/* Before the noise: a proper request of the entropy device is answered. */
static void check_rng(PhysMem *mem, uint64_t slot)
{
    uint8_t *area = physmem_host(mem, RING_AREA, RING_BYTES);
    uint64_t all = 0;

    set_up_queue(mem, slot);
    physmem_io_write(mem, slot + 0x70, 4, 0); /* again, without FLUSH */
    physmem_io_write(mem, slot + 0x24, 4, 1);
    physmem_io_write(mem, slot + 0x20, 4, 1);
    physmem_io_write(mem, slot + 0x70, 4, 11);
    physmem_io_write(mem, slot + 0x80, 4, RING_AREA);
    physmem_io_write(mem, slot + 0x90, 4, RING_AREA + 0x1000);
    physmem_io_write(mem, slot + 0xa0, 4, RING_AREA + 0x2000);
    physmem_io_write(mem, slot + 0x44, 4, 1);
    physmem_io_write(mem, slot + 0x70, 4, 15);
    stq_le_p(area, RING_AREA + 0x8000);
    stl_le_p(area + 8, 64);
    stw_le_p(area + 12, 2);
    stw_le_p(area + 0x1002, 1);
    physmem_io_write(mem, slot + 0x50, 4, 0);
    g_assert_cmpuint(ldw_le_p(area + 0x2002), ==, 1);
    g_assert_cmpuint(ldl_le_p(area + 0x2008), ==, 64);
    for (unsigned i = 0; i < 64; i += 8) {
        all |= ldq_le_p(area + 0x8000 + i);
    }
    g_assert_cmpuint(all, !=, 0);
    g_assert_cmpuint(physmem_io_read(mem, slot + 0x60, 4), ==, 1);
    physmem_io_write(mem, slot + 0x64, 4, 1);
    g_assert_cmpuint(physmem_io_read(mem, slot + 0x60, 4), ==, 0);
}

/* Rings with noise that is nearly right. */
static void fill_rings(PhysMem *mem)
{
    uint8_t *area = physmem_host(mem, RING_AREA, RING_BYTES);

    for (unsigned i = 0; i < 8; i++) {
        uint8_t *desc = area + 16 * i;

        stq_le_p(desc, RING_AREA + 0x3000 + 0x400 * i);
        stl_le_p(desc + 8, g_rand_boolean(rnd) ? 16 : 1 + i * 512);
        stw_le_p(desc + 12, g_rand_int_range(rnd, 0, 8));
        stw_le_p(desc + 14, g_rand_int_range(rnd, 0, 9));
        if (!g_rand_int_range(rnd, 0, 4)) {
            stq_le_p(desc, random_value());
            stl_le_p(desc + 8, random_value());
        }
        stl_le_p(area + 0x3000 + 0x400 * i, g_rand_int_range(rnd, 0, 16));
        stq_le_p(area + 0x3008 + 0x400 * i, g_rand_int_range(rnd, 0, 4));
        stw_le_p(area + 0x1004 + 2 * i, g_rand_int_range(rnd, 0, 9));
    }
    stw_le_p(area + 0x1002, g_rand_int_range(rnd, 0, 10));
}

/* Sets up a device's queue, with noise in its rings. */
static void drive_mmio(Machine *machine, uint64_t slot)
{
    fill_rings(machine->mem);
    set_up_queue(machine->mem, slot);
    physmem_io_write(machine->mem, slot + 0x50, 4, 0);
}

/* Frames that come in meanwhile, of all lengths and some of none. */
static void send_frames(void)
{
    for (unsigned i = 0; i < 4; i++) {
        uint8_t frame[4 + 2000];
        unsigned n = g_rand_int_range(rnd, 1, 2000);

        memset(frame, n, sizeof(frame));
        stl_be_p(frame, n);
        if (send(wire_fd, frame, 4 + n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            break;
        }
    }
}

/* The first queues, with the features that are on offer; rings a bell. */
static void drive_queues(Machine *machine, uint64_t slot, unsigned queues)
{
    PhysMem *mem = machine->mem;

    fill_rings(mem);
    set_up_queue(mem, slot);
    physmem_io_write(mem, slot + 0x70, 4, 0);
    physmem_io_write(mem, slot + 0x70, 4, 3);
    for (unsigned half = 0; half < 2; half++) {
        physmem_io_write(mem, slot + 0x14, 4, half);
        physmem_io_write(mem, slot + 0x24, 4, half);
        physmem_io_write(mem, slot + 0x20, 4,
                         physmem_io_read(mem, slot + 0x10, 4));
    }
    physmem_io_write(mem, slot + 0x70, 4, 11);
    for (unsigned queue = 0; queue < queues; queue++) {
        physmem_io_write(mem, slot + 0x30, 4, queue);
        physmem_io_write(mem, slot + 0x38, 4, 8);
        physmem_io_write(mem, slot + 0x80, 4, RING_AREA);
        physmem_io_write(mem, slot + 0x90, 4, RING_AREA + 0x1000);
        physmem_io_write(mem, slot + 0xa0, 4, RING_AREA + 0x2000);
        physmem_io_write(mem, slot + 0x44, 4, 1);
    }
    physmem_io_write(mem, slot + 0x70, 4, 15);
    for (unsigned queue = 0; queue < queues; queue++) {
        physmem_io_write(mem, slot + 0x50, 4, queue);
    }
}

static void drive_both(Machine *machine, uint64_t slot)
{
    drive_queues(machine, slot, 2);
    send_frames();
}

/* Commands that are nearly right. */
static void drive_scsi(Machine *machine, uint64_t slot)
{
    static const uint8_t opcodes[] = { 0x00, 0x03, 0x08, 0x0a, 0x12, 0x1a,
                                       0x25, 0x28, 0x2a, 0x35, 0x42, 0x5a,
                                       0x88, 0x8a, 0x9e, 0xa0, 0xa8, 0xaa };

    drive_queues(machine, slot, 3);
    for (unsigned i = 0; i < 8; i++) {
        uint8_t *request = physmem_host(machine->mem,
                                        RING_AREA + 0x3000 + 0x400 * i, 64);
        uint8_t *desc = physmem_host(machine->mem, RING_AREA + 16 * i, 16);

        memset(request, 0, 64);
        request[0] = 1;
        request[1] = g_rand_int_range(rnd, 0, 2);
        request[2] = 0x40;
        for (unsigned k = 20; k < 51; k++) {
            request[k] = g_rand_int_range(rnd, 0, 4);
        }
        request[19] = opcodes[g_rand_int_range(rnd, 0,
                                               G_N_ELEMENTS(opcodes))];
        stl_le_p(desc + 8, i % 2 ? 51 : 128);
    }
    physmem_io_write(machine->mem, slot + 0x50, 4, 2);
}

/* Messages that are nearly right. */
static void drive_9p(Machine *machine, uint64_t slot)
{
    static const uint8_t types[] = { 100, 104, 110, 12, 14, 116, 118, 40, 24,
                                     26, 72, 76, 74, 16, 22, 120, 122, 70 };

    drive_both(machine, slot);
    for (unsigned i = 0; i < 8; i++) {
        uint8_t *message = physmem_host(machine->mem,
                                        RING_AREA + 0x3000 + 0x400 * i, 64);

        for (unsigned k = 7; k < 64; k++) {
            message[k] = g_rand_int_range(rnd, 0, 4);
        }
        stl_le_p(message, g_rand_int_range(rnd, 7, 64));
        message[4] = types[g_rand_int_range(rnd, 0,
                                            G_N_ELEMENTS(types))];
    }
    physmem_io_write(machine->mem, slot + 0x50, 4, 0);
}

/* The same through the common configuration of a PCI function. */
static void drive_pci(Machine *machine, uint64_t bar)
{
    static const struct {
        uint32_t offset, size, value;
    } setup[] = {
        { 0x14, 1, 0 }, { 0x14, 1, 3 }, { 0x08, 4, 1 }, { 0x0c, 4, 1 },
        { 0x08, 4, 0 }, { 0x0c, 4, 0x30000200 }, { 0x14, 1, 11 },
        { 0x16, 2, 0 }, { 0x18, 2, 8 }, { 0x1a, 2, 1 },
        { 0x20, 4, RING_AREA }, { 0x24, 4, 0 },
        { 0x28, 4, RING_AREA + 0x1000 }, { 0x2c, 4, 0 },
        { 0x30, 4, RING_AREA + 0x2000 }, { 0x34, 4, 0 }, { 0x1c, 2, 1 },
        { 0x14, 1, 15 },
    };

    fill_rings(machine->mem);
    for (unsigned i = 0; i < G_N_ELEMENTS(setup); i++) {
        physmem_io_write(machine->mem, bar + setup[i].offset, setup[i].size,
                         setup[i].value);
    }
    physmem_io_write(machine->mem, bar + 0x3000, 2, 0);
}

/* A command list whose tables and FISes are nearly right. */
static void drive_ahci(Machine *machine, uint64_t bar)
{
    static const uint8_t opcodes[] = { 0xec, 0x25, 0x35, 0x60, 0x61, 0xea,
                                       0x06, 0xc8, 0xca, 0x20, 0x30, 0x00 };
    PhysMem *mem = machine->mem;
    uint8_t *area = physmem_host(mem, RING_AREA, RING_BYTES);

    for (unsigned slot = 0; slot < 4; slot++) {
        uint8_t *header = area + 32 * slot;
        uint8_t *table = area + 0x1000 + 0x400 * slot;
        unsigned regions = g_rand_int_range(rnd, 0, 5);

        stl_le_p(header, 5 | regions << 16 | g_rand_int_range(rnd, 0, 2) << 6);
        stq_le_p(header + 8, RING_AREA + 0x1000 + 0x400 * slot);
        stl_le_p(table, 0x8027 | (uint32_t)opcodes[g_rand_int_range(
                                     rnd, 0, G_N_ELEMENTS(opcodes))] << 16 |
                            (uint32_t)g_rand_int_range(rnd, 0, 9) << 24);
        stl_le_p(table + 4, g_rand_int_range(rnd, 0, 2100));
        stl_le_p(table + 8, 0);
        stl_le_p(table + 12, g_rand_int_range(rnd, 0, 9));
        for (unsigned i = 0; i < regions; i++) {
            uint8_t *region = table + 0x80 + 16 * i;

            stq_le_p(region, RING_AREA + 0x4000 + 0x1000 * i);
            stl_le_p(region + 12, 512 * g_rand_int_range(rnd, 1, 9) - 1);
            if (!g_rand_int_range(rnd, 0, 6)) {
                stq_le_p(region, random_value());
                stl_le_p(region + 12, random_value());
            }
        }
        if (!g_rand_int_range(rnd, 0, 8)) {
            stl_le_p(header + 4 * g_rand_int_range(rnd, 0, 8),
                     random_value());
        }
    }
    physmem_io_write(mem, bar + 0x118, 4, 0x10);
    physmem_io_write(mem, bar + 0x100, 4, RING_AREA);
    physmem_io_write(mem, bar + 0x104, 4, 0);
    physmem_io_write(mem, bar + 0x108, 4, RING_AREA + 0xf000);
    physmem_io_write(mem, bar + 0x10c, 4, 0);
    physmem_io_write(mem, bar + 0x114, 4, ~0u);
    physmem_io_write(mem, bar + 0x118, 4, 0x11);
    physmem_io_write(mem, bar + 0x04, 4, 2);
    physmem_io_write(mem, bar + 0x138, 4, g_rand_int_range(rnd, 1, 16));
}

/* ---- Finding functions -------------------------------------------------------- */

/* A BAR of the device with that id; reset puts it back after the noise. */
static Window bar_of(Machine *machine, const char *id, unsigned bar,
                     uint64_t size)
{
    PciFunction *fn = (PciFunction *)machine_find_device(machine, id);

    return (Window){ pci_bar_base(fn, bar), size };
}

static Window find_virtio_disk(Machine *machine)
{
    return bar_of(machine, "pci-disk", 4, 0x4000);
}

static Window find_virtio_rng(Machine *machine)
{
    return bar_of(machine, "pci-rng", 4, 0x4000);
}

static Window find_msix(Machine *machine)
{
    return bar_of(machine, "pci-disk", 1, 0x1000);
}

static Window find_ahci(Machine *machine)
{
    return bar_of(machine, "ahci", 5, 0x400);
}

static Window find_serial(Machine *machine)
{
    return bar_of(machine, "serial0", 1, 64);
}

static Window find_sata(Machine *machine)
{
    return bar_of(machine, "sata0", 5, 0x400);
}

static Window find_ioepic(Machine *machine)
{
    return bar_of(machine, "i2c-spi", 3, IOEPIC_BYTES);
}

#define CONFIG_OF(bus, device) ((uint64_t)(bus) << 20 | (device) << 15)

static const Target targets[] = {
    { "uart", VIRT, { { VIRT_UART, 8 } } },
    { "rtc-power", VIRT, { { VIRT_RTC, 8 }, { VIRT_POWER, 0x10 } } },
    { "lt-timer", VIRT, { { VIRT_LT, 0x40 } } },
    { "ioapic", VIRT, { { VIRT_IOAPIC, 0x20 } } },
    { "lapic", VIRT, { { VIRT_LAPIC, 0x1000 } } },
    { "ports", VIRT, { { VIRT_IO_PORTS, 0x10000 } } },
    { "virtio-blk", VIRT, { { VIRT_VIRTIO, 0x140 } }, NULL, drive_mmio },
    { "virtio-rng", VIRT, { { VIRT_VIRTIO + VIRT_VIRTIO_STRIDE, 0x140 } },
      NULL, drive_mmio },
    { "virtio-net", VIRT,
      { { VIRT_VIRTIO + 2 * VIRT_VIRTIO_STRIDE, 0x140 } }, NULL, drive_both },
    { "virtio-console", VIRT,
      { { VIRT_VIRTIO + 3 * VIRT_VIRTIO_STRIDE, 0x140 } }, NULL, drive_both },
    { "virtio-9p", VIRT,
      { { VIRT_VIRTIO + 4 * VIRT_VIRTIO_STRIDE, 0x140 } }, NULL, drive_9p },
    { "virtio-scsi", VIRT,
      { { VIRT_VIRTIO + 5 * VIRT_VIRTIO_STRIDE, 0x140 } }, NULL, drive_scsi },
    { "virtio-blk-pci", VIRT, { { 0 } }, find_virtio_disk, drive_pci },
    { "virtio-rng-pci", VIRT, { { 0 } }, find_virtio_rng, drive_pci },
    { "msix", VIRT, { { 0 } }, find_msix },
    { "ahci", VIRT, { { 0 } }, find_ahci, drive_ahci },
    { "pci-config", VIRT, { { VIRT_PCI_CONFIG, 4 << 15 } } },
    { "pci-memory", VIRT, { { VIRT_PCI_MEMORY, 1 << 20 } } },
    { "nbsr", E8C, { { ELBRUS_NBSR, 0x9000 } } },
    { "escc", E8C, { { 0 } }, find_serial },
    { "sata", E8C, { { 0 } }, find_sata, drive_ahci },
    { "iohub-config", E8C, { { 0x200000000, 0x1000 },
                              { 0x200100000, 0x100000 } } },
    { "spmc", E8C, { { 0x200100000 + CONFIG_OF(0, 12), 0x100 } } },
    { "cepic", E16C, { { ELBRUS_LAPIC, CEPIC_BYTES } } },
    { "prepic", E16C, { { ELBRUS_NBSR + ELBRUS_PREPIC, PREPIC_BYTES } } },
    { "ioepic", E16C, { { 0 } }, find_ioepic },
    { "root-port", E16C, { { 0x200100000 + CONFIG_OF(0, 5), 0x1000 } } },
    { "ioapic2", E1CP, { { ELBRUS_IOAPIC2, 0x20 } } },
    { "host-bridge", E1CP, { { 0xff10000000 + CONFIG_OF(0, 31), 0x100 } } },
};

/* ---- Machines -------------------------------------------------------------------- */

/* The card's wire, and the process at its other end: this one. */
static bool open_wire(GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    g_autofree char *path = g_build_filename(folder, "wire", NULL);

    wire = net_stream_new("wire", path, true, error);
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    wire_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return wire && connect(wire_fd, (struct sockaddr *)&address,
                           sizeof(address)) == 0;
}

static bool plug_others(Machine *machine, BlockBackend *backend,
                        GError **error)
{
    static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
    g_autofree char *shared = g_build_filename(folder, "shared", NULL);
    g_autofree char *port = g_strconcat("unix:", folder, "/port", NULL);
    VirtioDevice *card =
        g_mkdir(shared, 0700) == 0 && open_wire(error)
            ? virtio_net_new("net", machine, wire, mac, error)
            : NULL;
    VirtioDevice *console =
        card ? virtio_console_new("console", machine, port, error) : NULL;
    VirtioDevice *p9 = console ? virtio_9p_new("9p", machine->mem, shared,
                                               "tag", false, error)
                               : NULL;

    VirtioDevice *scsi = virtio_scsi_new("scsi", machine->mem);
    ScsiDiskOptions disk = { .id = "sd", .target = -1, .lun = -1 };

    return p9 && virtio_scsi_attach(scsi, backend, &disk, error) &&
           board_virt.plug_virtio(machine, card, error) &&
           board_virt.plug_virtio(machine, console, error) &&
           board_virt.plug_virtio(machine, p9, error) &&
           board_virt.plug_virtio(machine, scsi, error);
}

static bool plug_virt(Machine *machine, BlockBackend *backend,
                      GError **error)
{
    const BoardPci *pci = board_virt.pci(machine);
    VirtioBlkOptions options = { .n_queues = 2 };
    VirtioDevice *mmio = virtio_blk_new("disk", machine->mem, backend,
                                        &options, error);
    VirtioDevice *on_pci = virtio_blk_new("pci-disk", machine->mem, backend,
                                          &options, error);

    if (!mmio || !on_pci || !board_virt.plug_virtio(machine, mmio, error) ||
        !board_virt.plug_virtio(machine, virtio_rng_new("rng", machine->mem),
                                error) ||
        !plug_others(machine, backend, error)) {
        return false;
    }
    virtio_pci_new(pci->host, NULL, on_pci, pci_devfn(0, 0), 4);
    virtio_pci_new(pci->host, NULL, virtio_rng_new("pci-rng", machine->mem),
                   pci_devfn(1, 0), 5);
    PciFunction *ahci =
        ahci_new(pci->host, NULL, "ahci", pci_devfn(2, 0), 6, 2);

    return ahci_attach(ahci, 0, backend, &(AhciDiskOptions){ "hd", NULL },
                       error) == 0;
}

static bool plug_disk(const BoardClass *board, Machine *machine,
                      BlockBackend *backend, GError **error)
{
    return ahci_attach(board->pci(machine)->sata, 0, backend,
                       &(AhciDiskOptions){ "hd", NULL }, error) == 0;
}

static Machine *build(const BoardClass *board, BlockBackend *backend)
{
    g_autoptr(GError) error = NULL;
    Machine *machine = machine_new(board->name);
    BoardConfig config = {
        .ram_bytes = RAM_BYTES,
        .n_cpus = MIN(2, board->max_cpus),
        .model = cpu_model_find(board->default_cpu),
        .raw_base = IMAGE_NO_RAW,
    };

    if (!board->build(machine, &config, &error) ||
        !(board == &board_virt ? plug_virt(machine, backend, &error)
                               : plug_disk(board, machine, backend, &error)) ||
        !board->finish(machine, &error)) {
        fprintf(stderr, "device-fuzz: %s\n",
                error ? error->message : "cannot build the machine");
        exit(EXIT_FAILURE);
    }
    machine_reset(machine);
    machine_cont(machine); /* as far as devices know: no CPU has a thread */
    return machine;
}

static BlockBackend *open_disk(void)
{
    g_autoptr(GError) error = NULL;
    json_t *options = block_options_parse_any(
        "driver=null-co,node-name=n,size=1048576,read-zeroes=on", NULL,
        &error);

    block_graph_lock();
    BlockNode *node =
        options ? block_node_open(options, BLOCK_OPEN_RDWR, &error) : NULL;
    BlockBackend *backend =
        block_backend_new(NULL, "fuzz", BLOCK_PERM_CONSISTENT_READ |
                          BLOCK_PERM_WRITE, BLOCK_PERM_ALL);

    json_decref(options);
    if (!node || !block_backend_attach(backend, node, &error)) {
        fprintf(stderr, "device-fuzz: %s\n",
                error ? error->message : "cannot open the disk");
        exit(EXIT_FAILURE);
    }
    block_node_unref(node);
    block_graph_unlock();
    return backend;
}

/* ---- Fuzzing ----------------------------------------------------------------------- */

/* One burst of accesses to a target's windows. */
static void burst(Machine *machine, const Target *target)
{
    Window windows[G_N_ELEMENTS(target->windows) + 1];
    unsigned n = 0;

    while (n < G_N_ELEMENTS(target->windows) && target->windows[n].size) {
        windows[n] = target->windows[n];
        n++;
    }
    if (target->find) {
        windows[n++] = target->find(machine);
    }
    if (target->set_up) {
        target->set_up(machine, windows[0].base);
    }
    for (unsigned i = 0; i < BURST; i++) {
        random_access(machine->mem, &windows[g_rand_int_range(rnd, 0, n)]);
    }
    random_memory(machine->mem);
}

/* Until the time is over; false when there is no such target. */
static bool fuzz(Machine *machine, unsigned board, const char *name,
                 int64_t end, unsigned long *bursts)
{
    unsigned matching = 0;

    do {
        for (unsigned i = 0; i < G_N_ELEMENTS(targets); i++) {
            const Target *target = &targets[i];

            if (target->board != board || (name && strcmp(name, target->name))) {
                continue;
            }
            burst(machine, target);
            matching++;
            ++*bursts;
            if (*bursts % 16 == 0) { /* BARs may have been moved */
                machine_stop(machine);
                states_taken += fuzz_state(machine, rnd);
                machine_reset(machine);
                machine_cont(machine);
            }
        }
    } while (matching && g_get_monotonic_time() < end);
    return matching;
}

static const BoardClass *const boards[BOARDS] = {
    [VIRT] = &board_virt,
    [E8C] = &board_e8c,
    [E16C] = &board_e16c,
    [E1CP] = &board_e1cp,
};

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? g_ascii_strtod(argv[1], NULL) : 2;
    uint32_t seed = argc > 2 ? strtoul(argv[2], NULL, 0)
                             : (uint32_t)g_get_real_time();
    const char *name = argc > 3 ? argv[3] : NULL;
    BlockBackend *backend = open_disk();
    unsigned long bursts = 0;
    bool found = false;

    folder = g_dir_make_tmp("e2k-fuzz-XXXXXX", NULL);
    printf("seed %u\n", seed);
    fflush(stdout);
    rnd = g_rand_new_with_seed(seed);
    for (unsigned board = 0; board < BOARDS; board++) {
        Machine *machine = build(boards[board], backend);
        int64_t end = g_get_monotonic_time() +
                      (int64_t)(seconds * 1e6 / (name ? 1 : BOARDS));

        if (board == VIRT) {
            check_rng(machine->mem, VIRT_VIRTIO + VIRT_VIRTIO_STRIDE);
        }
        machine_stop(machine);
        check_state_versions(machine);
        machine_reset(machine);
        machine_cont(machine);
        found |= fuzz(machine, board, name, end, &bursts);
        machine_free(machine);
    }
    net_free(wire);
    close(wire_fd);
    block_graph_lock();
    block_backend_unref(backend);
    block_graph_unlock();
    block_close_all();
    g_rand_free(rnd);
    g_autofree char *command = g_strconcat("rm -rf ", folder, NULL);

    if (system(command)) {
        return EXIT_FAILURE;
    }
    g_free(folder);
    if (!found) {
        fprintf(stderr, "device-fuzz: there is no target '%s'\n", name);
        return EXIT_FAILURE;
    }
    printf("%lu bursts survived, %u damaged states were taken\n", bursts,
           states_taken);
    return EXIT_SUCCESS;
}
