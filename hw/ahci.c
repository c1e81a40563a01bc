/*
 * AHCI controller: registers, command lists, FISes.
 *
 *   CI bit set --> kick() --> a thread --> header, table, regions checked
 *                    --> ahci-disk.c --> FIS to the driver, CI bit clear
 *
 * The block layer's calls block, so each command that runs has a thread of the
 * controller's pool.  Queued commands (NCQ) of a port run at once and end in
 * any order; every other command runs alone.  Ports and the controller's
 * registers are under the controller's lock, which is taken inside the PCI
 * host's; threads drop it while they work.
 *
 * When a queued command fails, the others of the port that still run end
 * without a word: the driver has to give all of them again, and learns which
 * one failed from log page 0x10.
 *
 * What a driver puts in memory is checked: addresses must be RAM, lengths
 * fit, and a table has at most MAX_REGIONS entries.
 *
 * Source: Serial ATA AHCI 1.3.1.
 */
#include "hw/ahci-int.h"

#include <string.h>

#include "system/machine.h"
#include "util/bytes.h"
#include "util/log.h"

enum {
    SLOTS = 32,
    MAX_REGIONS = 2048,
    MAX_PIECES = 1 << 14, /* of a command's data, after translation */
    BAR_REGS = 5,
    REGS_BYTES = 0x1000,
    PORTS_AT = 0x100,
    PORT_BYTES = 0x80,
    HEADER_BYTES = 32,
    MAX_THREADS = 16, /* of a controller; idle ones end */
    REGIONS_AT = 0x80,
    REGION_BYTES = 16,
    VERSION = 0x00010301,
    GHC_RESET = 1 << 0,
    GHC_IRQ = 1 << 1,
    CMD_START = 1 << 0,
    CMD_SPIN_UP = 1 << 1,
    CMD_POWER_ON = 1 << 2,
    CMD_CLEAR_BUSY = 1 << 3,
    CMD_FIS_ON = 1 << 4,
    CMD_FIS_RUNNING = 1 << 14,
    CMD_LIST_RUNNING = 1 << 15,
    IRQ_D2H = 1 << 0,
    IRQ_PIO = 1 << 1,
    IRQ_SET_BITS = 1 << 3,
    IRQ_CONNECT = 1 << 6,
    IRQ_FATAL = 1 << 29,   /* host bus error */
    IRQ_TASK_FILE = 1 << 30,
    STATUS_NO_DEVICE = 0x7f,
    SIGNATURE_DISK = 0x101,
    LINK_UP = 0x123,       /* 3 Gb/s, active */
    HEADER_WRITE = 1 << 6,
    FIS_REGISTER_H2D = 0x27,
    FIS_COMMAND = 1 << 7,  /* byte 1: the command register was written */
    FIS_AREA_BYTES = 256,
    FIS_PIO_AT = 0x20,
    FIS_D2H_AT = 0x40,
    FIS_BITS_AT = 0x58,
};

/* Registers of a port, in words. */
enum {
    PORT_CLB, PORT_CLBU, PORT_FB, PORT_FBU, PORT_IS, PORT_IE, PORT_CMD,
    PORT_RESERVED, PORT_TFD, PORT_SIG, PORT_SSTS, PORT_SCTL, PORT_SERR,
    PORT_SACT, PORT_CI, PORT_REGS,
};

typedef struct Ahci Ahci;

typedef struct Port Port;

/* What a thread is given. */
typedef struct Slot {
    Port *port;
    unsigned index;
} Slot;

struct Port {
    Ahci *ahci;
    unsigned index;
    AhciDisk *disk;   /* NULL: nothing is connected */
    uint32_t reg[PORT_REGS];
    uint32_t running; /* slots that have a thread */
    bool is_alone;    /* what runs is not queued */
    AtaQueueError queue_error;
    Slot slot[SLOTS];
};

struct Ahci {
    PciFunction fn;
    unsigned n_ports;
    /* Under lock. */
    GMutex lock;
    GCond idle;       /* a command of some port has ended */
    bool quiescing;   /* nothing is started */
    GThreadPool *pool;
    uint32_t ghc;
    uint32_t is;
    Port port[AHCI_MAX_PORTS];
};

static PhysMem *mem_of(const Ahci *ahci)
{
    return ahci->fn.device.machine->mem;
}

static void update_irq(Ahci *ahci)
{
    ahci->is = 0;
    for (unsigned i = 0; i < ahci->n_ports; i++) {
        const Port *port = &ahci->port[i];

        ahci->is |= (port->reg[PORT_IS] & port->reg[PORT_IE] ? 1u : 0) << i;
    }
    pci_set_intx(&ahci->fn, (ahci->ghc & GHC_IRQ) && ahci->is);
}

static void raise_port(Port *port, uint32_t cause)
{
    port->reg[PORT_IS] |= cause;
    update_irq(port->ahci);
}

/* ---- FISes to the driver -------------------------------------------------------- */

static void put_fis(Port *port, unsigned at, const uint8_t *fis, size_t bytes)
{
    uint64_t base = port->reg[PORT_FB] | (uint64_t)port->reg[PORT_FBU] << 32;

    if (port->reg[PORT_CMD] & CMD_FIS_ON) {
        pci_dma_write(&port->ahci->fn, base + at, fis, bytes);
    }
}

/* Register FIS, device to host. */
static void put_d2h(Port *port, const AtaCommand *c)
{
    uint8_t fis[20] = { 0x34, 1 << 6, c->status, c->error };

    fis[4] = c->lba;
    fis[5] = c->lba >> 8;
    fis[6] = c->lba >> 16;
    fis[7] = c->device;
    fis[8] = c->lba >> 24;
    fis[9] = c->lba >> 32;
    fis[10] = c->lba >> 40;
    fis[12] = c->count;
    fis[13] = c->count >> 8;
    put_fis(port, FIS_D2H_AT, fis, sizeof(fis));
    port->reg[PORT_TFD] = c->status | (uint32_t)c->error << 8;
}

static void put_pio(Port *port, const AtaCommand *c)
{
    uint8_t fis[20] = { 0x5f, 1 << 6 | (c->to_device ? 0 : 1 << 5),
                        c->status, c->error };

    fis[12] = 1;
    fis[15] = c->status;
    stw_le_p(fis + 16, MIN(c->done_bytes, 0xfffe));
    put_fis(port, FIS_PIO_AT, fis, sizeof(fis));
    port->reg[PORT_TFD] = c->status | (uint32_t)c->error << 8;
}

/* Set device bits: queued commands of the mask are done. */
static void put_bits(Port *port, const AtaCommand *c, uint32_t mask)
{
    uint8_t fis[8] = { 0xa1, 1 << 6, c->status & 0x77, c->error };

    stl_le_p(fis + 4, c->error ? 0 : mask);
    put_fis(port, FIS_BITS_AT, fis, sizeof(fis));
    port->reg[PORT_TFD] = c->status | (uint32_t)c->error << 8;
}

/* ---- Commands ------------------------------------------------------------------------ */

/* Adds the memory of a region to a command's data. */
static bool map_region(const Ahci *ahci, uint64_t address, uint64_t bytes,
                       bool writes, GArray *data)
{
    while (bytes) {
        uint64_t n = bytes;
        void *host = pci_dma_map(&ahci->fn, address, &n, writes);
        struct iovec piece = { host, n };

        if (!host || data->len == MAX_PIECES) {
            return false;
        }
        g_array_append_val(data, piece);
        address += n;
        bytes -= n;
    }
    return true;
}

/* Regions of a command's data; false when they are not all RAM. */
static bool map_regions(const Ahci *ahci, const uint8_t *table, unsigned n,
                        AtaCommand *c)
{
    GArray *data = g_array_new(FALSE, FALSE, sizeof(struct iovec));
    bool good = true;

    for (unsigned i = 0; i < n && good; i++) {
        const uint8_t *region = table + REGIONS_AT + i * REGION_BYTES;
        uint64_t bytes = (ldl_le_p(region + 12) & 0x3fffff) + 1;

        good = map_region(ahci, ldq_le_p(region), bytes, !c->to_device, data);
        c->data_bytes += bytes;
    }
    c->n_data = data->len;
    c->data = (struct iovec *)g_array_free(data, FALSE);
    return good;
}

/* Reads the command of a slot; false when the driver's memory is wrong. */
static bool fetch(Port *port, unsigned slot, AtaCommand *c, uint32_t *header)
{
    const Ahci *ahci = port->ahci;
    uint64_t list = port->reg[PORT_CLB] | (uint64_t)port->reg[PORT_CLBU] << 32;

    uint8_t head[HEADER_BYTES];

    if (!pci_dma_read(&ahci->fn, list + slot * HEADER_BYTES, head,
                      sizeof(head))) {
        return false;
    }
    *header = ldl_le_p(head);
    unsigned regions = *header >> 16;
    uint64_t bytes = REGIONS_AT + (uint64_t)regions * REGION_BYTES;

    if (regions > MAX_REGIONS) {
        return false;
    }
    g_autofree uint8_t *table = g_malloc(bytes);

    if (!pci_dma_read(&ahci->fn, ldq_le_p(head + 8), table, bytes) ||
        table[0] != FIS_REGISTER_H2D) {
        return false;
    }
    c->opcode = table[1] & FIS_COMMAND ? table[2] : 0;
    c->features = table[3] | table[11] << 8;
    c->lba = ldl_le_p(table + 4) & 0xffffff;
    c->lba |= (uint64_t)(ldl_le_p(table + 8) & 0xffffff) << 24;
    c->device = table[7];
    c->count = ldw_le_p(table + 12);
    c->to_device = *header & HEADER_WRITE;
    return map_regions(ahci, table, regions, c);
}

static void put_byte_count(Port *port, unsigned slot, uint64_t bytes)
{
    uint64_t list = port->reg[PORT_CLB] | (uint64_t)port->reg[PORT_CLBU] << 32;
    uint8_t word[4];

    stl_le_p(word, bytes);
    pci_dma_write(&port->ahci->fn, list + slot * HEADER_BYTES + 4, word,
                  sizeof(word));
}

static void complete(Port *port, unsigned slot, const AtaCommand *c)
{
    uint32_t bit = UINT32_C(1) << slot;
    uint32_t cause = c->error ? IRQ_TASK_FILE : 0;

    if (c->queued && (port->reg[PORT_TFD] & ATA_STATUS_ERROR)) {
        return; /* another one has failed */
    }
    if (c->queued && c->error) {
        port->queue_error = (AtaQueueError){
            .tag = slot, .status = c->status, .error = c->error,
            .count = c->count, .lba = c->lba, .device = c->device,
        };
    }
    put_byte_count(port, slot, c->done_bytes);
    if (c->queued) {
        put_bits(port, c, bit);
        cause |= IRQ_SET_BITS;
        port->reg[PORT_SACT] &= c->error ? ~0u : ~bit;
    } else if (c->pio && !c->error && !c->to_device) {
        put_pio(port, c);
        cause |= IRQ_PIO;
    } else {
        put_d2h(port, c);
        cause |= IRQ_D2H;
    }
    /* After an error the slot stays, for the driver to see which it was. */
    if (!c->error || c->queued) {
        port->reg[PORT_CI] &= ~bit;
    }
    raise_port(port, cause);
}

/* The lock is held, and dropped during the command. */
static void run_slot(Port *port, unsigned slot)
{
    Ahci *ahci = port->ahci;
    AtaCommand c = { .queue_error = port->queue_error };
    uint32_t header = 0;

    if (!fetch(port, slot, &c, &header)) {
        log_printf(LOG_GUEST_ERROR, "%s: port %u: bad command in slot %u\n",
                   ahci->fn.device.id, port->index, slot);
        port->reg[PORT_CMD] &= ~CMD_LIST_RUNNING; /* until a new start */
        raise_port(port, IRQ_FATAL);
        g_free(c.data);
        return;
    }
    AhciDisk *disk = port->disk;

    if (port->is_alone) {
        port->reg[PORT_CMD] =
            (port->reg[PORT_CMD] & ~(0x1fu << 8)) | slot << 8;
    }
    g_mutex_unlock(&ahci->lock);
    if (c.opcode) {
        ahci_disk_execute(disk, &c);
    } else { /* only the control register: software reset */
        c.status = ATA_STATUS_READY | ATA_STATUS_SEEK;
        c.lba = SIGNATURE_DISK >> 8;
        c.count = 1;
    }
    for (unsigned i = 0; i < c.n_data && !c.to_device; i++) {
        physmem_written(mem_of(ahci), c.data[i].iov_base,
                        c.data[i].iov_len);
    }
    g_mutex_lock(&ahci->lock);
    complete(port, slot, &c);
    g_free(c.data);
}

/* The next slot to run, -1 when the port may not or has none. */
static int next_slot(const Port *port)
{
    bool stuck = port->reg[PORT_TFD] & (ATA_STATUS_ERROR | ATA_STATUS_BUSY);
    uint32_t waiting = port->reg[PORT_CI] & ~port->running;

    if (!port->disk || !(port->reg[PORT_CMD] & CMD_LIST_RUNNING) || stuck ||
        !waiting || port->is_alone || port->ahci->quiescing ||
        !pci_is_master(&port->ahci->fn)) {
        return -1;
    }
    int slot = __builtin_ctz(waiting);
    bool is_queued = port->reg[PORT_SACT] >> slot & 1;

    return is_queued || !port->running ? slot : -1;
}

/* Gives threads what may run now. */
static void kick(Port *port)
{
    int slot;

    while ((slot = next_slot(port)) >= 0) {
        port->running |= UINT32_C(1) << slot;
        port->is_alone = !(port->reg[PORT_SACT] >> slot & 1);
        g_thread_pool_push(port->ahci->pool, &port->slot[slot], NULL);
    }
}

static void work(void *data, void *opaque)
{
    const Slot *slot = data;
    Port *port = slot->port;
    Ahci *ahci = port->ahci;

    g_mutex_lock(&ahci->lock);
    run_slot(port, slot->index);
    port->running &= ~(UINT32_C(1) << slot->index);
    port->is_alone = false;
    kick(port);
    g_cond_broadcast(&ahci->idle);
    g_mutex_unlock(&ahci->lock);
}

/* The caller has seen to it that nothing new is started. */
static void wait_idle(Ahci *ahci, Port *port)
{
    while (port->running) {
        g_cond_wait(&ahci->idle, &ahci->lock);
    }
}

/* ---- Ports ---------------------------------------------------------------------------- */

/* COMRESET: the device sends its signature. */
static void reset_link(Port *port)
{
    AtaCommand c = { .status = ATA_STATUS_READY | ATA_STATUS_SEEK,
                     .lba = SIGNATURE_DISK >> 8, .count = 1, .error = 1 };

    port->reg[PORT_CI] = port->reg[PORT_SACT] = 0;
    if (!port->disk) {
        port->reg[PORT_SSTS] = 0;
        port->reg[PORT_SIG] = ~0u;
        port->reg[PORT_TFD] = STATUS_NO_DEVICE;
        return;
    }
    port->reg[PORT_SSTS] = LINK_UP;
    port->reg[PORT_SIG] = SIGNATURE_DISK;
    put_d2h(port, &c);
    raise_port(port, IRQ_D2H | IRQ_CONNECT);
    port->reg[PORT_SERR] |= 1u << 26; /* exchanged */
}

static void reset_port(Port *port)
{
    memset(port->reg, 0, sizeof(port->reg));
    port->reg[PORT_CMD] = CMD_SPIN_UP | CMD_POWER_ON;
    reset_link(port);
    port->reg[PORT_IS] = 0;
}

static void write_cmd(Port *port, uint32_t value)
{
    uint32_t keep = CMD_FIS_RUNNING | CMD_LIST_RUNNING | 0x1fu << 8;
    uint32_t cmd = (port->reg[PORT_CMD] & keep) |
                   (value & (CMD_START | CMD_SPIN_UP | CMD_POWER_ON |
                             CMD_FIS_ON | 0xf0000000u));

    cmd = cmd & CMD_FIS_ON ? cmd | CMD_FIS_RUNNING : cmd & ~CMD_FIS_RUNNING;
    if ((cmd & CMD_START) && !(port->reg[PORT_CMD] & CMD_START)) {
        cmd |= CMD_LIST_RUNNING;
    } else if (!(cmd & CMD_START)) {
        cmd &= ~(CMD_LIST_RUNNING | 0x1fu << 8);
    }
    bool stopped = (port->reg[PORT_CMD] & CMD_START) && !(cmd & CMD_START);

    port->reg[PORT_CMD] = cmd;
    if (stopped) {
        wait_idle(port->ahci, port);
        port->reg[PORT_CI] = port->reg[PORT_SACT] = 0;
    }
    if (value & CMD_CLEAR_BUSY || !(port->reg[PORT_TFD] & ATA_STATUS_BUSY)) {
        /* Starting again after an error is the end of it. */
        if (!stopped && (cmd & CMD_START)) {
            port->reg[PORT_TFD] &= ~(ATA_STATUS_ERROR | ATA_STATUS_BUSY);
        }
    }
}

static void write_port(Port *port, unsigned reg, uint32_t value)
{
    switch (reg) {
    case PORT_CLB:
        port->reg[reg] = value & ~0x3ffu;
        break;
    case PORT_FB:
        port->reg[reg] = value & ~0xffu;
        break;
    case PORT_CLBU:
    case PORT_FBU:
        port->reg[reg] = value;
        break;
    case PORT_IE:
        port->reg[reg] = value & 0xfdc000ff;
        break;
    case PORT_IS:
    case PORT_SERR:
        port->reg[reg] &= ~value;
        break;
    case PORT_CMD:
        write_cmd(port, value);
        break;
    case PORT_SCTL:
        if ((port->reg[reg] & 0xf) == 1 && (value & 0xf) == 0) {
            port->reg[PORT_CI] = 0; /* what waits is not started */
            wait_idle(port->ahci, port);
            reset_link(port);
        }
        port->reg[reg] = value & 0xfff;
        break;
    case PORT_SACT:
    case PORT_CI:
        if (port->reg[PORT_CMD] & CMD_START) {
            port->reg[reg] |= value;
        }
        break;
    default:
        break; /* read only */
    }
    update_irq(port->ahci);
    kick(port);
}

/* ---- Registers ----------------------------------------------------------------------------- */

static uint32_t capabilities(const Ahci *ahci)
{
    return (ahci->n_ports - 1) | (SLOTS - 1) << 8 | 2u << 20 /* 3 Gb/s */ |
           1u << 18 /* AHCI only */ | 1u << 30 /* NCQ */ |
           1u << 31 /* 64-bit addresses */;
}

static uint32_t read_word(Ahci *ahci, uint64_t offset)
{
    unsigned n = (offset - PORTS_AT) / PORT_BYTES;
    unsigned reg = (offset - PORTS_AT) % PORT_BYTES / 4;

    switch (offset) {
    case 0x00:
        return capabilities(ahci);
    case 0x04:
        return ahci->ghc | 1u << 31; /* AHCI enabled, always */
    case 0x08:
        return ahci->is;
    case 0x0c:
        return (1u << ahci->n_ports) - 1;
    case 0x10:
        return VERSION;
    default:
        return offset >= PORTS_AT && n < ahci->n_ports && reg < PORT_REGS
                   ? ahci->port[n].reg[reg]
                   : 0;
    }
}

static void reset_controller(Ahci *ahci)
{
    for (unsigned i = 0; i < ahci->n_ports; i++) {
        ahci->port[i].reg[PORT_CMD] &= ~(CMD_START | CMD_LIST_RUNNING);
        wait_idle(ahci, &ahci->port[i]);
        reset_port(&ahci->port[i]);
    }
    ahci->ghc = 0;
    update_irq(ahci);
}

static void write_word(Ahci *ahci, uint64_t offset, uint32_t value)
{
    unsigned n = (offset - PORTS_AT) / PORT_BYTES;
    unsigned reg = (offset - PORTS_AT) % PORT_BYTES / 4;

    if (offset == 0x04) {
        if (value & GHC_RESET) {
            reset_controller(ahci);
        } else {
            ahci->ghc = value & GHC_IRQ;
            update_irq(ahci);
        }
    } else if (offset >= PORTS_AT && n < ahci->n_ports && reg < PORT_REGS) {
        write_port(&ahci->port[n], reg, value);
    }
}

static uint64_t regs_read(PciFunction *fn, unsigned bar, uint64_t offset,
                          unsigned size)
{
    Ahci *ahci = (Ahci *)fn;
    uint64_t aligned = offset & ~UINT64_C(3);

    g_mutex_lock(&ahci->lock);
    uint64_t value = read_word(ahci, aligned) |
                     (uint64_t)read_word(ahci, aligned + 4) << 32;

    g_mutex_unlock(&ahci->lock);
    return value >> 8 * (offset - aligned);
}

static void regs_write(PciFunction *fn, unsigned bar, uint64_t offset,
                       unsigned size, uint64_t value)
{
    Ahci *ahci = (Ahci *)fn;

    if (size < 4 || offset % 4) {
        log_printf(LOG_GUEST_ERROR, "%s: write of %u bytes at 0x%x\n",
                   fn->device.id, size, (unsigned)offset);
        return;
    }
    g_mutex_lock(&ahci->lock);
    write_word(ahci, offset, value);
    if (size == 8) {
        write_word(ahci, offset + 4, value >> 32);
    }
    g_mutex_unlock(&ahci->lock);
}

/* ---- Life -------------------------------------------------------------------------------------- */

static void ahci_quiesce(Device *device)
{
    Ahci *ahci = (Ahci *)device;

    g_mutex_lock(&ahci->lock);
    ahci->quiescing = true;
    for (unsigned i = 0; i < ahci->n_ports; i++) {
        wait_idle(ahci, &ahci->port[i]);
    }
    g_mutex_unlock(&ahci->lock);
}

static void ahci_resume(Device *device)
{
    Ahci *ahci = (Ahci *)device;

    g_mutex_lock(&ahci->lock);
    ahci->quiescing = false;
    for (unsigned i = 0; i < ahci->n_ports; i++) {
        kick(&ahci->port[i]);
    }
    g_mutex_unlock(&ahci->lock);
}

static void ahci_reset(Device *device)
{
    Ahci *ahci = (Ahci *)device;

    g_mutex_lock(&ahci->lock);
    reset_controller(ahci);
    ahci->quiescing = false;
    g_mutex_unlock(&ahci->lock);
    pci_function_reset(&ahci->fn);
}

static void free_disk(AhciDisk *disk)
{
    block_backend_set_ops(disk->backend, NULL, NULL);
    block_backend_unref(disk->backend);
    g_free(disk->id);
    g_free(disk);
}

static void ahci_free(Device *device)
{
    Ahci *ahci = (Ahci *)device;

    ahci_quiesce(device);
    g_thread_pool_free(ahci->pool, FALSE, TRUE);
    for (unsigned i = 0; i < ahci->n_ports; i++) {
        if (ahci->port[i].disk) {
            free_disk(ahci->port[i].disk);
        }
    }
    g_mutex_clear(&ahci->lock);
    g_cond_clear(&ahci->idle);
}

static const StateField port_fields[] = {
    STATE_ARRAY(Port, reg),
    STATE_STRUCT_AT("queue_error", offsetof(Port, queue_error), AtaQueueError,
                    ata_queue_error_fields),
    STATE_END,
};

static const StateField ahci_fields[] = {
    STATE_PCI,
    STATE_FIELD(Ahci, ghc),
    STATE_FIELD(Ahci, is),
    STATE_STRUCTS(Ahci, port, port_fields),
    STATE_END,
};

static const DeviceClass ahci_class = {
    .name = "ahci",
    .help = "SATA controller",
    .state_size = sizeof(Ahci),
    .version = 2,
    .reset = ahci_reset,
    .quiesce = ahci_quiesce,
    .resume = ahci_resume,
    .fields = ahci_fields,
    .free = ahci_free,
};

static const PciType ahci_type = {
    .class = &ahci_class,
    .vendor = 0x1fff,
    .device = 0x801a,
    .class_code = 0x010601,
    .revision = 6,
    .interrupt_pin = 1,
    .bars = { [BAR_REGS] = { PCI_BAR_MEMORY, REGS_BYTES } },
    .bar_read = regs_read,
    .bar_write = regs_write,
    .init = pci_add_msi,
};

PciFunction *ahci_new(PciHost *host, PciFunction *parent, const char *id,
                      unsigned devfn, unsigned pin, unsigned n_ports)
{
    PciFunction *fn = pci_add(host, parent, &ahci_type, id, devfn, pin);
    Ahci *ahci = (Ahci *)fn;

    ahci->n_ports = n_ports;
    g_mutex_init(&ahci->lock);
    g_cond_init(&ahci->idle);
    ahci->pool = g_thread_pool_new(work, ahci, MAX_THREADS, FALSE, NULL);
    g_thread_pool_set_max_unused_threads(MAX_THREADS);
    for (unsigned i = 0; i < n_ports; i++) {
        Port *port = &ahci->port[i];

        port->ahci = ahci;
        port->index = i;
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            port->slot[slot] = (Slot){ port, slot };
        }
    }
    return fn;
}

/* ---- Disks ------------------------------------------------------------------------------------- */

/* The port for a new disk, -1 with an error. */
static int choose_port(const Ahci *ahci, int wanted, GError **error)
{
    for (int i = 0; i < (int)ahci->n_ports; i++) {
        if ((wanted < 0 || i == wanted) && !ahci->port[i].disk) {
            return i;
        }
    }
    if (wanted >= 0) {
        g_set_error(error, SYSTEM_ERROR, 0, "'%s' has no free port %d: there "
                    "are 0..%u", ahci->fn.device.id, wanted,
                    ahci->n_ports - 1);
    } else {
        g_set_error(error, SYSTEM_ERROR, 0, "'%s' has no free port",
                    ahci->fn.device.id);
    }
    return -1;
}

int ahci_attach(PciFunction *fn, int wanted, BlockBackend *backend,
                const AhciDiskOptions *options, GError **error)
{
    Ahci *ahci = (Ahci *)fn;
    int n = choose_port(ahci, wanted, error);

    if (n < 0) {
        return -1;
    }
    AhciDisk *disk = g_new0(AhciDisk, 1);

    block_backend_ref(backend);
    disk->backend = backend;
    disk->id = g_strdup(options->id);
    g_strlcpy(disk->serial, options->serial ? options->serial : options->id,
              sizeof(disk->serial));
    g_mutex_lock(&ahci->lock);
    ahci->port[n].disk = disk;
    reset_link(&ahci->port[n]);
    g_mutex_unlock(&ahci->lock);
    return n;
}

bool ahci_detach(PciFunction *fn, const char *id)
{
    Ahci *ahci = (Ahci *)fn;
    AhciDisk *disk = NULL;

    g_mutex_lock(&ahci->lock);
    for (unsigned i = 0; i < ahci->n_ports && !disk; i++) {
        Port *port = &ahci->port[i];

        if (port->disk && !g_strcmp0(port->disk->id, id)) {
            port->reg[PORT_CI] = 0;
            wait_idle(ahci, port);
            disk = port->disk;
            port->disk = NULL;
            reset_link(port);
            port->reg[PORT_SERR] |= 1u << 16; /* PhyRdy changed */
            raise_port(port, 1u << 22);
        }
    }
    g_mutex_unlock(&ahci->lock);
    if (disk) {
        free_disk(disk);
    }
    return disk != NULL;
}
