/*
 * The real machines: what elbrus.c (boards), iohub.c, nbsr.c and mp-table.c
 * share.
 */
#ifndef HW_ELBRUS_INT_H
#define HW_ELBRUS_INT_H

#include "hw/ahci.h"
#include "hw/board.h"
#include "hw/pci.h"

/* Physical addresses; "system/machine.md" section 2. */
#define ELBRUS_RAM_LOW_MAX UINT64_C(0x80000000)
#define ELBRUS_RAM_HIGH UINT64_C(0x400000000)
#define ELBRUS_PCI_MEMORY UINT64_C(0x80000000)
#define ELBRUS_PCI_MEMORY_BYTES UINT64_C(0x78000000)
#define ELBRUS_IOAPIC UINT64_C(0xfec00000)
#define ELBRUS_LT UINT64_C(0xfec10000)
#define ELBRUS_LAPIC UINT64_C(0xfee00000)
#define ELBRUS_MSI UINT64_C(0xfee00000)
#define ELBRUS_NBSR UINT64_C(0x110000000)

enum {
    ELBRUS_IO_FIRST = 0x1000, /* ports below are not PCI's */
    ELBRUS_IO_BYTES = 0x10000,
    ELBRUS_SATA_PORTS = 4,
    /* Inputs of the IO-APIC. */
    ELBRUS_PIN_SPMC = 1,
    ELBRUS_PIN_LT = 2,
    ELBRUS_PIN_SERIAL = 3,
    ELBRUS_PIN_SLOTS = 16, /* INTA..INTD of PCI slots */
    ELBRUS_PIN_SATA = 20,
};

/* What differs from machine to machine and from run to run. */
typedef struct ElbrusMap {
    uint64_t config_base; /* PCI configuration space */
    uint64_t io_base;     /* I/O ports */
    uint64_t ram_low_bytes;
    uint64_t ram_high_bytes;
} ElbrusMap;

Device *nbsr_new(Machine *machine, const char *id, const ElbrusMap *map);

/* ---- IOHub ------------------------------------------------------------------- */

typedef struct IoHub {
    PciFunction *root;   /* the virtual bridge of bus 0 */
    PciFunction *slots;  /* bridge whose bus takes plugged devices */
    PciFunction *serial;
    PciFunction *spmc;
    PciFunction *sata[2];
} IoHub;

/* The functions of an IOHub (or IOHub2); root_device is its bridge's number
 * on bus 0. */
void iohub_init(IoHub *hub, PciHost *host, unsigned root_device,
                bool is_iohub2, const CharSink *sink, void *sink_opaque);
/* Physical address of the console's registers, as programmed. */
uint64_t iohub_serial_base(const IoHub *hub);
/* Host input for the console; waits while it has no room. */
void iohub_serial_receive(IoHub *hub, const uint8_t *bytes, size_t n);

/* ---- Tables ------------------------------------------------------------------- */

/* Writes the MP table at a physical address. */
void mp_table_write(PhysMem *mem, uint64_t at, unsigned n_cpus);

#endif
