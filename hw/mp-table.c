/*
 * The table of processors, buses and interrupts that kernels before the
 * device-tree transition, and Embox, read.
 *
 *   "_MP_" structure --> "PCMP" header, entries packed from byte 44
 *
 * specification = 4, so that readers that align entries to 4 bytes and those
 * that do not align see the same.  "system/machine.md" section 10.
 */
#include "hw/elbrus-int.h"

#include <string.h>

#include "util/bytes.h"

enum {
    FLOATING_BYTES = 24,
    HEADER_BYTES = 44,
    SPECIFICATION = 4,
    MAX_BYTES = 0x4000,
    HEADER_AT = 32,
    ENTRY_PROCESSOR = 0,
    ENTRY_BUS = 1,
    ENTRY_IOAPIC = 2,
    ENTRY_INTERRUPT = 3,
    ENTRY_TIMER = 5,
    ENTRY_IOLINK = 7,
    ENTRY_IOEPIC = 11,
    IOEPIC_VERSION = 2,
    TIMER_LT = 1,
    IOLINK_IOHUB = 1,
    BUS_PCI = 0,
    BUS_ISA = 1,
    INTERRUPT_INT = 0,
};

typedef struct Writer {
    uint8_t bytes[MAX_BYTES];
    unsigned at;
    unsigned count;
} Writer;

static uint8_t *entry(Writer *w, unsigned type, unsigned size)
{
    uint8_t *e = w->bytes + w->at;

    g_assert(w->at + size <= MAX_BYTES);
    e[0] = type;
    w->at += size;
    w->count++;
    return e;
}

static void put_processor(Writer *w, unsigned n, uint32_t timer_hz)
{
    uint8_t *e = entry(w, ENTRY_PROCESSOR, 20);

    e[1] = n;
    e[2] = 0x10;
    e[3] = 1 | (n == 0 ? 2 : 0);
    stl_le_p(e + 12, timer_hz);
}

static void put_bus(Writer *w, unsigned id, const char *name)
{
    uint8_t *e = entry(w, ENTRY_BUS, 8);

    e[1] = id;
    memcpy(e + 2, name, 6);
}

/* An address after the type byte, three more bytes and padding to 8. */
static void put_device(Writer *w, unsigned type, uint8_t a, uint8_t b,
                       uint8_t c, uint64_t address)
{
    uint8_t *e = entry(w, type, 16);

    e[1] = a;
    e[2] = b;
    e[3] = c;
    stq_le_p(e + 8, address);
}

static void put_interrupt(Writer *w, unsigned bus, unsigned irq, unsigned apic,
                          unsigned pin)
{
    uint8_t *e = entry(w, ENTRY_INTERRUPT, 8);

    e[1] = INTERRUPT_INT;
    e[4] = bus;
    e[5] = irq;
    e[6] = apic;
    e[7] = pin;
}

static void put_iolink(Writer *w, unsigned apic)
{
    uint8_t *e = entry(w, ENTRY_IOLINK, 40);

    e[1] = IOLINK_IOHUB;
    stw_le_p(e + 2, 2);
    stw_le_p(e + 18, 3); /* last bus */
    e[20] = apic;
    stq_le_p(e + 24, ELBRUS_PCI_MEMORY);
    stq_le_p(e + 32, ELBRUS_PCI_MEMORY + ELBRUS_PCI_MEMORY_BYTES - 1);
}

/* Makes the bytes' sum 0. */
static void close_sum(uint8_t *bytes, unsigned n, unsigned at)
{
    uint8_t sum = 0;

    bytes[at] = 0;
    for (unsigned i = 0; i < n; i++) {
        sum += bytes[i];
    }
    bytes[at] = -sum;
}

static void put_ioepic(Writer *w, unsigned number, uint64_t address)
{
    uint8_t *e = entry(w, ENTRY_IOEPIC, 16);

    e[1] = IOEPIC_VERSION;
    stw_le_p(e + 2, number);
    stq_le_p(e + 8, address);
}

static void put_pins(Writer *w, const ElbrusMap *map, unsigned number,
                     uint64_t ioepic)
{
    if (map->has_epic) {
        put_ioepic(w, number, ioepic);
    } else {
        put_device(w, ENTRY_IOAPIC, number, 0x11, 1, ELBRUS_IOAPIC);
    }
    if (map->has_ioapic2) {
        put_device(w, ENTRY_IOAPIC, number + 1, 0x11, 1, ELBRUS_IOAPIC2);
    }
}

void mp_table_write(PhysMem *mem, uint64_t at, unsigned n_cpus,
                    const ElbrusMap *map, uint64_t ioepic)
{
    g_autofree Writer *w = g_new0(Writer, 1);
    uint8_t *floating = w->bytes;
    uint8_t *header = w->bytes + HEADER_AT;
    unsigned apic = n_cpus; /* the first number that is not a CPU's */

    w->at = HEADER_AT + HEADER_BYTES;
    for (unsigned i = 0; i < n_cpus; i++) {
        put_processor(w, i, map->has_epic ? ELBRUS_CEPIC_HZ : 0);
    }
    put_bus(w, BUS_PCI, "PCI   ");
    put_bus(w, BUS_ISA, "ISA   ");
    put_pins(w, map, apic, ioepic);
    for (unsigned pin = 0; pin < 16; pin++) {
        put_interrupt(w, BUS_ISA, pin, apic, pin);
    }
    put_device(w, ENTRY_TIMER, TIMER_LT, 1, 0, ELBRUS_LT);
    put_iolink(w, apic);

    memcpy(header, "PCMP", 4);
    stw_le_p(header + 4, w->at - HEADER_AT);
    header[6] = SPECIFICATION;
    memcpy(header + 8, "E2K-EMU ", 8);
    memcpy(header + 16, "ELBRUS      ", 12);
    stw_le_p(header + 34, w->count);
    stl_le_p(header + 36, ELBRUS_LAPIC);
    close_sum(header, w->at - HEADER_AT, 7);

    memcpy(floating, "_MP_", 4);
    stq_le_p(floating + 8, at + HEADER_AT);
    floating[16] = 2; /* length in units of 16 bytes */
    floating[17] = SPECIFICATION;
    close_sum(floating, FLOATING_BYTES, 18);
    physmem_write(mem, at, w->bytes, w->at);
}
