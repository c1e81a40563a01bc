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
#define ELBRUS_IOAPIC2 UINT64_C(0xfec01000) /* e1c+ */
#define ELBRUS_MSI UINT64_C(0xfee00000)
#define ELBRUS_EPIC_MSI UINT64_C(0xf8000000)
#define ELBRUS_NBSR UINT64_C(0x110000000)

enum {
    ELBRUS_IO_FIRST = 0x1000, /* ports below are not PCI's */
    ELBRUS_IO_BYTES = 0x10000,
    ELBRUS_PREPIC = 0x8000, /* in the node registers */
    ELBRUS_SATA_PORTS = 4,
    /* Inputs of the IO-APIC and IO-EPIC. */
    ELBRUS_PIN_SPMC = 1,
    ELBRUS_PIN_LT = 2,
    ELBRUS_PIN_SLOTS = 16, /* INTA..INTD of PCI slots */
    ELBRUS_EPIC_PINS = 40,
    ELBRUS_CEPIC_HZ = 100000000,
};

typedef enum HubKind {
    HUB_IOHUB,  /* e2s */
    HUB_IOHUB2,
    HUB_EIOHUB, /* of EPIC machines */
} HubKind;

/* What differs from machine to machine and from run to run. */
typedef struct ElbrusMap {
    uint64_t config_base; /* PCI configuration space */
    uint64_t io_base;     /* I/O ports */
    uint64_t ram_low_bytes;
    uint64_t ram_high_bytes;
    uint64_t msi_base;
    bool has_epic;
    bool has_ioapic2;
} ElbrusMap;

Device *nbsr_new(Machine *machine, const char *id, const ElbrusMap *map);
/* Where the CPUs' controllers (LAPIC) are that errors are told to. */
void nbsr_connect(Device *nbsr, Device *lapic);
/* A translation for PciHostConfig; opaque: the device. */
bool nbsr_translate(void *nbsr, unsigned requester, uint64_t *address,
                    uint64_t *bytes, bool writes);

/* ---- I/O translation, in the node registers ---------------------------------- */

typedef struct LIommu {
    uint32_t control, base[2]; /* tables of low and high addresses */
    uint32_t error, requester; /* the first fault since error was written */
} LIommu;

enum { L_IOMMU_AT = 0x380, L_IOMMU_BYTES = 0x80 };

extern const StateField l_iommu_fields[];
/* False: plain storage, or nothing. */
bool l_iommu_read(const LIommu *iommu, uint64_t offset, uint32_t *value);
void l_iommu_write(LIommu *iommu, uint64_t offset, uint32_t value);
/* As PciHostConfig's; a fault, bits of the error register, or 0. */
uint32_t l_iommu_translate(const LIommu *iommu, PhysMem *mem,
                           uint64_t *address, uint64_t *bytes, bool writes);
/* Keeps a fault; false: there is one already. */
bool l_iommu_fault(LIommu *iommu, uint32_t error, unsigned requester);

/* ---- IOHub ------------------------------------------------------------------- */

typedef struct IoHub {
    PciFunction *root;   /* the virtual bridge of bus 0 */
    PciFunction *slots;  /* bridge whose bus takes plugged devices, or NULL */
    PciFunction *ports[BOARD_PCI_PORTS]; /* PCI Express root ports */
    unsigned n_ports;
    PciFunction *i2c;
    PciFunction *serial;
    PciFunction *spmc;
    PciFunction *sata[2];
} IoHub;

/* The functions of a hub; io: the controller of the pins. */
void iohub_init(IoHub *hub, PciHost *host, HubKind kind, Device *io,
                const CharSink *sink, void *sink_opaque);
/* Physical address of the IO-EPIC, as programmed. */
uint64_t iohub_ioepic_base(const IoHub *hub);
/* Physical address of the console's registers, as programmed. */
uint64_t iohub_serial_base(const IoHub *hub);
/* Host input for the console; waits while it has no room. */
void iohub_serial_receive(IoHub *hub, const uint8_t *bytes, size_t n);

/* ---- Tables ------------------------------------------------------------------- */

/* Writes the MP table at a physical address; ioepic: where it is, 0: none. */
void mp_table_write(PhysMem *mem, uint64_t at, unsigned n_cpus,
                    const ElbrusMap *map, uint64_t ioepic);

#endif
