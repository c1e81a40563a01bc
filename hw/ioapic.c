/*
 * IO-APIC with 24 pins: turns pin levels into messages to local controllers.
 *
 * Registers are reached through an index/data pair.  An edge pin sends once
 * per rise; a level pin sends while it is high and its remote-IRR bit is
 * clear, which the end of interrupt at the local side clears.
 * "system/machine.md" section 5.2.
 */
#include "hw/intc.h"

#include "util/log.h"

enum {
    INDEX_ID = 0,
    INDEX_VERSION = 1,
    INDEX_ARBITRATION = 2,
    INDEX_TABLE = 0x10,
    VERSION = 0x11,
    ID_SHIFT = 24,
};

/* Fields of a redirection entry. */
#define ENTRY_LOGICAL (UINT64_C(1) << 11)
#define ENTRY_REMOTE_IRR (UINT64_C(1) << 14)
#define ENTRY_LEVEL (UINT64_C(1) << 15)
#define ENTRY_MASKED (UINT64_C(1) << 16)
#define ENTRY_WRITABLE UINT64_C(0xff0000000001afff)

typedef struct IoApic {
    Device device;
    Device *lapic;
    unsigned number; /* id after a reset */
    uint32_t index;
    uint32_t id;
    uint32_t levels; /* pins that are high */
    uint64_t table[IOAPIC_PINS];
} IoApic;

static void send(IoApic *io, unsigned pin)
{
    uint64_t entry = io->table[pin];

    if (entry & ENTRY_MASKED) {
        return;
    }
    if (entry & ENTRY_LEVEL) {
        if (entry & ENTRY_REMOTE_IRR) {
            return;
        }
        io->table[pin] |= ENTRY_REMOTE_IRR;
    }
    IntcMessage message = {
        .destination = entry >> 56,
        .logical = entry & ENTRY_LOGICAL,
        .delivery = entry >> 8 & 7,
        .vector = entry & 0xff,
        .level = entry & ENTRY_LEVEL,
    };

    intc_deliver(io->lapic, &message);
}

static void set_pin(void *opaque, unsigned pin, bool level)
{
    IoApic *io = opaque;
    uint32_t bit = UINT32_C(1) << pin;

    g_mutex_lock(io->device.lock);
    bool rise = level && !(io->levels & bit);

    io->levels = level ? io->levels | bit : io->levels & ~bit;
    if (rise) {
        send(io, pin);
    }
    g_mutex_unlock(io->device.lock);
}

Irq ioapic_pin(void *ioapic, unsigned pin)
{
    return (Irq){ set_pin, ioapic, pin };
}

void ioapic_eoi(Device *ioapic, unsigned vector)
{
    IoApic *io = (IoApic *)ioapic;

    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t entry = io->table[pin];

        if ((entry & 0xff) == vector && (entry & ENTRY_LEVEL) &&
            (entry & ENTRY_REMOTE_IRR)) {
            io->table[pin] &= ~ENTRY_REMOTE_IRR;
            if (io->levels >> pin & 1) {
                send(io, pin);
            }
        }
    }
}

static uint64_t read_data(Device *device, unsigned n)
{
    IoApic *io = (IoApic *)device;
    unsigned entry = (io->index - INDEX_TABLE) / 2;

    switch (io->index) {
    case INDEX_ID:
    case INDEX_ARBITRATION:
        return io->id;
    case INDEX_VERSION:
        return VERSION | (IOAPIC_PINS - 1) << 16;
    default:
        if (io->index >= INDEX_TABLE && entry < IOAPIC_PINS) {
            return (uint32_t)(io->table[entry] >> (io->index & 1 ? 32 : 0));
        }
        return 0;
    }
}

static void write_entry(IoApic *io, unsigned pin, unsigned half,
                        uint64_t value)
{
    uint64_t mask = (UINT64_C(0xffffffff) << (half * 32)) & ENTRY_WRITABLE;

    io->table[pin] =
        (io->table[pin] & ~mask) | ((value << (half * 32)) & mask);
    if (!(io->table[pin] & ENTRY_LEVEL)) {
        io->table[pin] &= ~ENTRY_REMOTE_IRR;
    } else if (io->levels >> pin & 1) {
        send(io, pin); /* unmasked while high */
    }
}

static void write_data(Device *device, unsigned n, uint64_t value)
{
    IoApic *io = (IoApic *)device;
    unsigned entry = (io->index - INDEX_TABLE) / 2;

    if (io->index == INDEX_ID) {
        io->id = value & 0x0f000000;
    } else if (io->index >= INDEX_TABLE && entry < IOAPIC_PINS) {
        write_entry(io, entry, io->index & 1, value);
    } else {
        log_printf(LOG_GUEST_ERROR, "%s: write of register 0x%x\n",
                   device->id, io->index);
    }
}

static void ioapic_reset(Device *device)
{
    IoApic *io = (IoApic *)device;

    io->index = 0;
    io->id = io->number << ID_SHIFT;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        io->table[pin] = ENTRY_MASKED;
    }
}

static const DeviceReg ioapic_regs[] = {
    { .name = "INDEX", .offset = 0, .size = 4,
      .field = offsetof(IoApic, index), .writable = 0xff },
    { .name = "DATA", .offset = 0x10, .size = 4,
      .read = read_data, .write = write_data },
    { 0 },
};

static const StateField ioapic_fields[] = {
    STATE_FIELD(IoApic, index),
    STATE_FIELD(IoApic, id),
    STATE_FIELD(IoApic, levels),
    STATE_ARRAY(IoApic, table),
    STATE_END,
};

static const DeviceClass ioapic_class = {
    .name = "ioapic",
    .help = "I/O interrupt controller, 24 pins",
    .state_size = sizeof(IoApic),
    .version = 1,
    .mmio_size = 0x1000,
    .regs = ioapic_regs,
    .reset = ioapic_reset,
    .fields = ioapic_fields,
};

Device *ioapic_new(Machine *machine, const char *id, Device *lapic,
                   unsigned number)
{
    IoApic *io = (IoApic *)device_new(machine, &ioapic_class, id);

    io->lapic = lapic;
    io->number = number;
    device_share_lock(&io->device, lapic);
    lapic_add_ioapic(lapic, &io->device);
    return &io->device;
}
