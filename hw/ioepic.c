/*
 * IO-EPIC: turns pin levels into messages to the CPUs' controllers.
 *
 *   0x0 ID   0x4 VERSION   0x800 + 4 * pin  REQ_ID
 *   page of each pin:  0x20 INT_CTRL   0x24 MSG_DATA   0x28, 0x2c MSG_ADDR
 *                                                           high, low
 *
 * An edge pin sends once per rise.  A level pin sends while it is high and
 * INT_CTRL's delivery bit is clear; sending sets the bit, and software clears
 * it by writing 1 when the interrupt is over.  Such a write changes nothing
 * else (version 2).  Unmasking a pin that is high sends.  The message is the
 * write that MSG_ADDR and MSG_DATA say; prepic.c takes it.
 *
 * REQ_ID names the function that a pin stands for, for I/O translation: it is
 * only kept.  No interrupt comes from software, so that bit stays 0.
 *
 * Source: "system/machine.md" section 5.3; Linux (arch/l: io_epic.h,
 * io_epic_regs.h, io_epic.c).
 */
#include "hw/intc.h"

#include "util/log.h"

enum {
    REG_ID = 0x0,
    REG_VERSION = 0x4,
    REG_CTRL = 0x20,
    REG_DATA = 0x24,
    REG_ADDRESS_HI = 0x28,
    REG_ADDRESS_LO = 0x2c,
    REG_REQUESTER = 0x800,
    PAGE_SHIFT = 12,
    VERSION = 2,
    CTRL_DELIVERY = 1 << 12,
    CTRL_SOFTWARE = 1 << 13,
    CTRL_LEVEL = 1 << 15,
    CTRL_MASKED = 1 << 16,
    DATA_WRITABLE = 0xe3ff,
};
#define ADDRESS_WRITABLE 0xfff0ffdcu

typedef struct Pin {
    uint32_t ctrl, data, address_hi, address_lo, requester;
    bool is_high;
} Pin;

typedef struct IoEpic {
    Device device;
    Device *prepic;
    unsigned n_pins;
    unsigned number; /* id after a reset */
    uint32_t id;
    Pin pins[IOEPIC_MAX_PINS];
} IoEpic;

static void send(IoEpic *io, Pin *pin)
{
    bool level = pin->ctrl & CTRL_LEVEL;

    if ((pin->ctrl & CTRL_MASKED) || (level && (pin->ctrl & CTRL_DELIVERY))) {
        return;
    }
    if (level) {
        pin->ctrl |= CTRL_DELIVERY;
    }
    prepic_message(io->prepic,
                   (uint64_t)pin->address_hi << 32 | pin->address_lo,
                   pin->data, level);
}

static void set_pin(void *opaque, unsigned n, bool is_high)
{
    IoEpic *io = opaque;
    Pin *pin = &io->pins[n];

    g_mutex_lock(io->device.lock);
    bool rise = is_high && !pin->is_high;

    pin->is_high = is_high;
    if (rise) {
        send(io, pin);
    }
    g_mutex_unlock(io->device.lock);
}

Irq ioepic_pin(void *ioepic, unsigned pin)
{
    g_assert(pin < ((IoEpic *)ioepic)->n_pins);
    return (Irq){ set_pin, ioepic, pin };
}

/* ---- Registers ------------------------------------------------------------------- */

static void write_ctrl(IoEpic *io, Pin *pin, uint32_t value)
{
    const uint32_t clears = CTRL_DELIVERY | CTRL_SOFTWARE;
    const uint32_t stored = CTRL_LEVEL | CTRL_MASKED;
    bool was_masked = pin->ctrl & CTRL_MASKED;

    if (value & clears) {
        pin->ctrl &= ~(value & clears);
    } else {
        pin->ctrl = (pin->ctrl & ~stored) | (value & stored);
    }
    if (pin->is_high && (was_masked || (pin->ctrl & CTRL_LEVEL))) {
        send(io, pin);
    }
}

/* A plain register of a pin and the bits that can be written; NULL: none. */
static uint32_t *pin_register(Pin *pin, uint64_t reg, uint32_t *writable)
{
    switch (reg) {
    case REG_DATA:
        *writable = DATA_WRITABLE;
        return &pin->data;
    case REG_ADDRESS_HI:
        *writable = ~0u;
        return &pin->address_hi;
    case REG_ADDRESS_LO:
        *writable = ADDRESS_WRITABLE;
        return &pin->address_lo;
    default:
        return NULL;
    }
}

/* The pin whose requester register is at an offset, or NULL. */
static Pin *requester_at(IoEpic *io, uint64_t offset)
{
    uint64_t n = (offset - REG_REQUESTER) / 4;

    return offset >= REG_REQUESTER && offset % 4 == 0 && n < io->n_pins
               ? &io->pins[n]
               : NULL;
}

/* The pin whose page an offset is in, or NULL. */
static Pin *pin_at(IoEpic *io, uint64_t offset)
{
    return offset >> PAGE_SHIFT < io->n_pins ? &io->pins[offset >> PAGE_SHIFT]
                                             : NULL;
}

static uint64_t ioepic_read(Device *device, uint64_t offset, unsigned size)
{
    IoEpic *io = (IoEpic *)device;
    Pin *pin = pin_at(io, offset);
    Pin *requester = requester_at(io, offset);
    uint64_t reg = offset & ((1 << PAGE_SHIFT) - 1);
    uint32_t writable;
    const uint32_t *plain = pin ? pin_register(pin, reg, &writable) : NULL;

    if (offset == REG_ID) {
        return io->id;
    }
    if (offset == REG_VERSION) {
        return VERSION | io->n_pins << 16;
    }
    if (requester) {
        return requester->requester;
    }
    if (pin && reg == REG_CTRL) {
        return pin->ctrl;
    }
    return plain ? *plain : 0;
}

static void ioepic_write(Device *device, uint64_t offset, unsigned size,
                         uint64_t value)
{
    IoEpic *io = (IoEpic *)device;
    Pin *pin = pin_at(io, offset);
    Pin *requester = requester_at(io, offset);
    uint64_t reg = offset & ((1 << PAGE_SHIFT) - 1);
    uint32_t writable = 0;
    uint32_t *plain = pin ? pin_register(pin, reg, &writable) : NULL;

    if (size != 4) {
        log_printf(LOG_GUEST_ERROR, "%s: write of %u bytes\n", device->id,
                   size);
    } else if (offset == REG_ID) {
        io->id = value;
    } else if (requester) {
        requester->requester = value & 0xffff;
    } else if (pin && reg == REG_CTRL) {
        write_ctrl(io, pin, value);
    } else if (plain) {
        *plain = value & writable;
    } else {
        log_printf(LOG_GUEST_ERROR, "%s: write at 0x%llx\n", device->id,
                   (unsigned long long)offset);
    }
}

static void ioepic_reset(Device *device)
{
    IoEpic *io = (IoEpic *)device;

    io->id = io->number;
    for (unsigned i = 0; i < IOEPIC_MAX_PINS; i++) {
        io->pins[i] = (Pin){ .ctrl = CTRL_MASKED,
                             .is_high = io->pins[i].is_high };
    }
}

static const StateField pin_fields[] = {
    STATE_FIELD(Pin, ctrl), STATE_FIELD(Pin, data),
    STATE_FIELD(Pin, address_hi), STATE_FIELD(Pin, address_lo),
    STATE_FIELD(Pin, requester), STATE_FIELD(Pin, is_high), STATE_END,
};

static const StateField ioepic_fields[] = {
    STATE_FIELD(IoEpic, id),
    STATE_STRUCTS(IoEpic, pins, pin_fields),
    STATE_END,
};

static const DeviceClass ioepic_class = {
    .name = "ioepic",
    .help = "I/O interrupt controller of v6",
    .state_size = sizeof(IoEpic),
    .version = 1,
    .mmio_size = IOEPIC_BYTES,
    .read = ioepic_read,
    .write = ioepic_write,
    .reset = ioepic_reset,
    .fields = ioepic_fields,
};

Device *ioepic_new(Machine *machine, const char *id, Device *prepic,
                   unsigned n_pins, unsigned number)
{
    IoEpic *io = (IoEpic *)device_new(machine, &ioepic_class, id);

    g_assert(n_pins <= IOEPIC_MAX_PINS);
    io->prepic = prepic;
    io->n_pins = n_pins;
    io->number = number;
    device_share_lock(&io->device, prepic);
    return &io->device;
}
