/*
 * Random bus accesses and random virtqueues against every device of virt.
 *
 * usage: device-fuzz [SECONDS [SEED]]
 *
 * Nothing is expected but that the emulator survives: run it under the
 * sanitizers.  Accesses are biased to what drivers write: small numbers,
 * addresses of rings in RAM, features and status bits; rings are filled with
 * noise that is often nearly right.  The guest's CPU does not run, so a write
 * to the power device only leaves a note.
 */
#include <stdio.h>
#include <stdlib.h>

#include <glib.h>

#include "block/backend.h"
#include "block/options.h"
#include "hw/board.h"
#include "hw/loader.h"
#include "hw/virt-fdt.h"
#include "hw/virtio-blk.h"
#include "hw/virtio-rng.h"
#include "system/machine.h"
#include "util/bytes.h"

enum {
    RAM_BYTES = 16 << 20,
    RING_AREA = 0x100000,
    RING_BYTES = 0x10000,
    DISK_BYTES = 1 << 20,
    BURST = 1000,
};

static GRand *rnd;

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

/* A device window; most often a virtio slot with something in it. */
static uint64_t random_window(uint64_t *size)
{
    static const struct {
        uint64_t base, size;
    } windows[] = {
        { VIRT_UART, 8 },       { VIRT_RTC, 8 },        { VIRT_LT, 0x40 },
        { VIRT_IOAPIC, 0x20 },  { VIRT_LAPIC, 0x1000 }, { VIRT_POWER + 4, 4 },
        { VIRT_IO_PORTS, 0x400 },
    };

    if (g_rand_boolean(rnd)) {
        *size = 0x140;
        return VIRT_VIRTIO + VIRT_VIRTIO_STRIDE * g_rand_int_range(rnd, 0, 2);
    }
    unsigned n = g_rand_int_range(rnd, 0, G_N_ELEMENTS(windows));

    *size = windows[n].size;
    return windows[n].base;
}

static void random_access(PhysMem *mem)
{
    uint64_t window_size;
    uint64_t base = random_window(&window_size);
    unsigned size = 1u << g_rand_int_range(rnd, 0, 4);
    uint64_t offset = g_rand_int_range(rnd, 0, window_size);

    if (g_rand_int_range(rnd, 0, 8)) { /* mostly whole words in place */
        size = 4;
        offset &= ~UINT64_C(3);
    }
    if (g_rand_boolean(rnd)) {
        physmem_io_read(mem, base + offset, size);
    } else {
        physmem_io_write(mem, base + offset, size, random_value());
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

/* Sets up a device's queue, with noise in its rings. */
static void drive_queue(PhysMem *mem, uint64_t slot)
{
    uint8_t *area = physmem_host(mem, RING_AREA, RING_BYTES);

    set_up_queue(mem, slot);
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
    physmem_io_write(mem, slot + 0x50, 4, 0);
}

static Machine *build(BlockBackend **backend)
{
    g_autoptr(GError) error = NULL;
    Machine *machine = machine_new("virt");
    BoardConfig config = {
        .ram_bytes = RAM_BYTES,
        .n_cpus = 2,
        .model = cpu_model_find("v5"),
        .raw_base = IMAGE_NO_RAW,
    };
    json_t *options = block_options_parse_any(
        "driver=null-co,node-name=n,size=1048576,read-zeroes=on", NULL,
        &error);

    block_graph_lock();
    BlockNode *node =
        options ? block_node_open(options, BLOCK_OPEN_RDWR, &error) : NULL;

    json_decref(options);
    *backend = block_backend_new(NULL, "fuzz", BLOCK_PERM_CONSISTENT_READ |
                                 BLOCK_PERM_WRITE, BLOCK_PERM_ALL);
    bool ok = node && block_backend_attach(*backend, node, &error) &&
              board_virt.build(machine, &config, &error);

    if (node) {
        block_node_unref(node);
    }
    VirtioDevice *disk =
        ok ? virtio_blk_new("disk", machine->mem, *backend,
                            &(VirtioBlkOptions){ .n_queues = 2 }, &error)
           : NULL;

    block_graph_unlock();
    if (!disk || !board_virt.plug_virtio(machine, disk, &error) ||
        !board_virt.plug_virtio(machine, virtio_rng_new("rng", machine->mem),
                                &error) ||
        !board_virt.finish(machine, &error)) {
        fprintf(stderr, "device-fuzz: %s\n",
                error ? error->message : "cannot build the machine");
        exit(EXIT_FAILURE);
    }
    return machine;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? g_ascii_strtod(argv[1], NULL) : 2;
    uint32_t seed = argc > 2 ? strtoul(argv[2], NULL, 0)
                             : (uint32_t)g_get_real_time();
    BlockBackend *backend;
    Machine *machine = build(&backend);
    int64_t end = g_get_monotonic_time() + (int64_t)(seconds * 1000000);
    unsigned long bursts = 0;

    printf("seed %u\n", seed);
    fflush(stdout);
    rnd = g_rand_new_with_seed(seed);
    machine_reset(machine);
    check_rng(machine->mem, VIRT_VIRTIO + VIRT_VIRTIO_STRIDE);
    clock_start(machine->clock);
    do {
        drive_queue(machine->mem,
                    VIRT_VIRTIO + VIRT_VIRTIO_STRIDE * (bursts % 2));
        for (unsigned i = 0; i < BURST; i++) {
            random_access(machine->mem);
        }
        random_memory(machine->mem);
        bursts++;
    } while (g_get_monotonic_time() < end);
    machine_free(machine);
    block_graph_lock();
    block_backend_unref(backend);
    block_graph_unlock();
    block_close_all();
    g_rand_free(rnd);
    printf("%lu bursts survived\n", bursts);
    return EXIT_SUCCESS;
}
