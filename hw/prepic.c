/*
 * The interrupt controller of a node of v6 machines (PREPIC): between what is
 * outside of the processor and the CPUs' own controllers.
 *
 *   write to the message window --checked--> CEPIC of the destination
 *                                  \--no CPU, bad mode--> ERR_STAT, ERR_MSG
 *                                                          --ERR_INT--> CEPIC
 *
 * A message is a write of 32 bits:
 *
 *   address  [31:20] window   [15:6] destination   [4:2] type
 *   data     [15:13] delivery mode                 [9:0] vector
 *
 * The registers are a part of the node registers, at 0x8000.  ERR_INT and
 * LINP0..5 say where the node's own interrupts go: vector [9:0], mode [15:13],
 * mask 16, destination [29:20].  Nothing on these boards raises a LINP, so they
 * are only kept.
 *
 * Source: "system/machine.md" sections 3 and 5.3, Linux (arch/l:
 * io_epic_regs.h, epic_regs.h, epic.c).  The bits of ERR_STAT, VERSION, and
 * that a message comes to nothing while CTRL's enable bit is off are inferred.
 */
#include "hw/intc.h"

#include "util/log.h"

enum {
    LINPS = 6,
    CTRL_BSP = 1 << 8,
    CTRL_ENABLE = 1 << 11,
    CTRL2_WRITABLE = 1 << 9 | 1 << 12,
    ROUTE_MASKED = 1 << 16,
    ROUTE_WRITABLE = 0x3ff1e3ff,
    LAST_MODE = 6,
    ERROR_MODE = 1 << 0,        /* a mode that there is not */
    ERROR_DESTINATION = 1 << 1, /* a CPU that there is not */
    ERRORS = ERROR_MODE | ERROR_DESTINATION,
    VERSION = 1,
    MSI_SHIFT = 20,
};

typedef struct Prepic {
    Device device;
    Device *cepic;
    uint64_t msi_base;
    uint32_t ctrl, ctrl2;
    uint32_t error, error_lo, error_hi; /* address and data of the message */
    uint32_t error_route, linp[LINPS];
} Prepic;

/* False: the vector goes to nobody. */
static bool send_routed(Prepic *p, uint32_t route)
{
    IntcMessage message = {
        .destination = route >> 20 & 0x3ff,
        .delivery = route >> 13 & 7,
        .vector = route & 0x3ff,
    };

    return message.delivery <= LAST_MODE && intc_deliver(p->cepic, &message);
}

static void note_error(Prepic *p, uint32_t error, uint64_t address,
                       uint32_t data)
{
    bool is_first = !p->error;

    log_printf(LOG_GUEST_ERROR, "%s: message 0x%x to 0x%llx\n", p->device.id,
               data, (unsigned long long)address);
    p->error |= error;
    if (is_first) {
        p->error_lo = address;
        p->error_hi = data;
        if (!(p->error_route & ROUTE_MASKED)) {
            send_routed(p, p->error_route);
        }
    }
}

void prepic_message(Device *device, uint64_t address, uint32_t data,
                    bool level)
{
    Prepic *p = (Prepic *)device;
    IntcMessage message = {
        .destination = address >> 6 & 0x3ff,
        .delivery = data >> 13 & 7,
        .vector = data & 0x3ff,
        .level = level,
    };

    if (address >> MSI_SHIFT != p->msi_base >> MSI_SHIFT) {
        log_printf(LOG_GUEST_ERROR, "%s: message to 0x%llx, outside of the "
                   "window\n", device->id, (unsigned long long)address);
        return;
    }
    if (!(p->ctrl & CTRL_ENABLE)) {
        return;
    }
    if (message.delivery > LAST_MODE) {
        note_error(p, ERROR_MODE, address, data);
    } else if (!intc_deliver(p->cepic, &message)) {
        note_error(p, ERROR_DESTINATION, address, data);
    }
}

void prepic_msi(void *prepic, uint64_t address, uint32_t data)
{
    Device *device = prepic;

    g_mutex_lock(device->lock);
    prepic_message(device, address, data, false);
    g_mutex_unlock(device->lock);
}

/* ---- Registers ------------------------------------------------------------------- */

static uint64_t read_version(Device *device, unsigned n)
{
    return VERSION;
}

static uint64_t read_id(Device *device, unsigned n)
{
    return 0; /* node 0 */
}

static uint64_t read_error(Device *device, unsigned n)
{
    return ((Prepic *)device)->error;
}

static void write_error(Device *device, unsigned n, uint64_t value)
{
    ((Prepic *)device)->error &= ~(value & ERRORS);
}

static void write_ignored(Device *device, unsigned n, uint64_t value)
{
}

#define FIELD(reg_name, at, member, bits)                                      \
    { .name = reg_name, .offset = at, .size = 4,                               \
      .field = offsetof(Prepic, member), .writable = bits }

static const DeviceReg prepic_regs[] = {
    { .name = "VERSION", .offset = 0x00, .size = 4, .read = read_version,
      .write = write_ignored },
    FIELD("CTRL", 0x10, ctrl, CTRL_ENABLE),
    { .name = "ID", .offset = 0x20, .size = 4, .read = read_id,
      .write = write_ignored },
    FIELD("CTRL2", 0x30, ctrl2, CTRL2_WRITABLE),
    { .name = "ERR_STAT", .offset = 0x40, .size = 4, .read = read_error,
      .write = write_error },
    FIELD("ERR_MSG_LO", 0x50, error_lo, 0),
    FIELD("ERR_MSG_HI", 0x54, error_hi, 0),
    FIELD("ERR_INT", 0x60, error_route, ROUTE_WRITABLE),
    { .name = "LINP", .offset = 0xc00, .size = 4, .count = LINPS,
      .field = offsetof(Prepic, linp), .writable = ROUTE_WRITABLE },
    { 0 },
};

static void prepic_reset(Device *device)
{
    Prepic *p = (Prepic *)device;

    /* As firmware leaves it. */
    p->ctrl = CTRL_BSP | CTRL_ENABLE;
    p->ctrl2 = p->error = p->error_lo = p->error_hi = 0;
    p->error_route = ROUTE_MASKED;
    for (unsigned i = 0; i < LINPS; i++) {
        p->linp[i] = ROUTE_MASKED;
    }
}

static const StateField prepic_fields[] = {
    STATE_FIELD(Prepic, ctrl), STATE_FIELD(Prepic, ctrl2),
    STATE_FIELD(Prepic, error), STATE_FIELD(Prepic, error_lo),
    STATE_FIELD(Prepic, error_hi), STATE_FIELD(Prepic, error_route),
    STATE_ARRAY(Prepic, linp), STATE_END,
};

static const DeviceClass prepic_class = {
    .name = "prepic",
    .help = "interrupt controller of a node of v6",
    .state_size = sizeof(Prepic),
    .version = 1,
    .mmio_size = PREPIC_BYTES,
    .regs = prepic_regs,
    .reset = prepic_reset,
    .fields = prepic_fields,
};

Device *prepic_new(Machine *machine, const char *id, Device *cepic,
                   uint64_t msi_base)
{
    Prepic *p = (Prepic *)device_new(machine, &prepic_class, id);

    p->cepic = cepic;
    p->msi_base = msi_base;
    device_share_lock(&p->device, cepic);
    return &p->device;
}
