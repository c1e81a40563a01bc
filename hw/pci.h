/*
 * PCI: configuration space, base address registers, bridges, interrupts.
 *
 *   CPU --config window--> PciHost --bus, devfn--> PciFunction.config
 *       --mem/IO window--> PciHost --ranges------> PciType.bar_read/write
 *
 *   PciFunction --intx--> PciHost lines --> interrupt controller
 *               --MSI, MSI-X--> PciHost.msi --> message to a local controller
 *
 * Functions hang in a tree: the parent of a function is the bridge above it,
 * NULL on bus 0.  Bus numbers are those that software gave the bridges.  The
 * host keeps the ranges that are decoded now and rebuilds them when a command
 * register, a BAR or a bridge window is written.
 *
 * There is no firmware: pci_host_program() does what firmware would have
 * done, bus numbers, BARs, windows and command bits, at each reset.
 *
 * Threads.  Windows and functions share the host's lock: every access to a
 * register of a PCI function is made under it.  pci_set_intx() and
 * pci_msix_raise() take their own lock and may be called from any thread.
 *
 * Source: PCI Local Bus Specification 3.0; PCI-to-PCI Bridge 1.2.
 */
#ifndef HW_PCI_H
#define HW_PCI_H

#include <stdio.h>

#include "system/device.h"
#include "system/irq.h"
#include "system/physmem.h"

enum {
    PCI_CONFIG_BYTES = 256,
    PCI_BARS = 6,
    PCI_MAX_VECTORS = 32, /* of MSI-X */
    PCI_NO_PIN = 0xff,    /* not connected to the interrupt controller */
};

/* Registers of the configuration space. */
enum {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS = 0x09,
    PCI_HEADER = 0x0e,
    PCI_BAR = 0x10,
    PCI_SECONDARY_BUS = 0x19,
    PCI_SUB_VENDOR = 0x2c,
    PCI_SUB_DEVICE = 0x2e,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
};

enum {
    PCI_COMMAND_IO = 1 << 0,
    PCI_COMMAND_MEMORY = 1 << 1,
    PCI_COMMAND_MASTER = 1 << 2,
    PCI_COMMAND_INTX_OFF = 1 << 10,
    PCI_STATUS_INTX = 1 << 3,
    PCI_STATUS_CAPABILITIES = 1 << 4,
};

typedef struct PciHost PciHost;
typedef struct PciFunction PciFunction;

typedef enum PciBarKind {
    PCI_BAR_NONE,
    PCI_BAR_MEMORY,   /* 32 bits */
    PCI_BAR_MEMORY64, /* takes the next number too */
    PCI_BAR_IO,
} PciBarKind;

typedef struct PciBar {
    PciBarKind kind;
    uint32_t size; /* power of two, at least 16 */
} PciBar;

/* What a kind of function is. */
typedef struct PciType {
    const DeviceClass *class; /* state that begins with PciFunction */
    uint16_t vendor, device, sub_vendor, sub_device;
    uint32_t class_code; /* base, sub, interface */
    uint8_t revision;
    bool bridge;
    uint8_t interrupt_pin; /* 1 = INTA, 0: none */
    PciBar bars[PCI_BARS];
    /* Host lock held. */
    uint64_t (*bar_read)(PciFunction *fn, unsigned bar, uint64_t offset,
                         unsigned size);
    void (*bar_write)(PciFunction *fn, unsigned bar, uint64_t offset,
                      unsigned size, uint64_t value);
    /* Before a configuration read and after a write; may be NULL. */
    void (*config_read)(PciFunction *fn, unsigned offset, unsigned size);
    void (*config_written)(PciFunction *fn, unsigned offset, unsigned size);
    /* Fills in capabilities; called once. */
    void (*init)(PciFunction *fn);
} PciType;

struct PciFunction {
    Device device;
    const PciType *type;
    PciHost *host;
    PciFunction *parent;  /* bridge above, NULL: on bus 0 */
    uint8_t devfn;
    unsigned pin;         /* of the interrupt controller */
    uint8_t config[PCI_CONFIG_BYTES];
    uint8_t writable[PCI_CONFIG_BYTES];
    uint8_t clears[PCI_CONFIG_BYTES];  /* bits that writing 1 clears */
    uint8_t initial[PCI_CONFIG_BYTES]; /* at reset */
    unsigned config_end;  /* where the next capability goes */
    unsigned msi, msix;   /* offsets of the capabilities, 0: none */
    unsigned msix_bar, n_vectors;
    /* Under irq_lock. */
    GMutex irq_lock;
    bool intx;            /* wanted by the device */
    bool intx_driven;     /* counted in the host's line */
    uint32_t msix_table[PCI_MAX_VECTORS][4];
    uint32_t msix_pending;
};

/* State of the function itself, for the fields of a class. */
extern const StateField pci_function_fields[];
#define STATE_PCI STATE_STRUCT_AT("pci", 0, PciFunction, pci_function_fields)

/* ---- The host ---------------------------------------------------------------- */

typedef struct PciHostConfig {
    PhysMem *mem;
    uint64_t config_base, config_bytes;
    uint64_t memory_base, memory_bytes; /* window, bus address = address */
    uint64_t io_base;   /* CPU address of port 0 */
    uint32_t io_first, io_bytes; /* ports mapped */
    uint64_t msi_base;  /* messages go to [msi_base, + 1 MiB) */
    void (*msi)(void *opaque, uint64_t address, uint32_t data);
    void *msi_opaque;
    /*
     * Where accesses of functions to [*address, + *bytes) go: the physical
     * address, and how many bytes follow there.  requester: number of the bus
     * and of the function, bits [15:8] and [7:0].  False: nowhere.  NULL: they
     * go where they say.  Any thread.
     */
    bool (*translate)(void *opaque, unsigned requester, uint64_t *address,
                      uint64_t *bytes, bool writes);
    void *translate_opaque;
    Irq (*line)(void *opaque, unsigned pin); /* inputs of the controller */
    void *line_opaque;
} PciHostConfig;

PciHost *pci_host_new(Machine *machine, const char *id,
                      const PciHostConfig *config);
/* As firmware leaves it; the machine is stopped. */
void pci_host_program(PciHost *host);

/*
 * Makes a function.  pin is its input of the interrupt controller.  It is
 * decoded once it is programmed: at reset, or by pci_hot_add().
 */
PciFunction *pci_add(PciHost *host, PciFunction *parent, const PciType *type,
                     const char *id, unsigned devfn, unsigned pin);
/* A device number on the bus below parent without functions, or -1. */
int pci_free_slot(PciHost *host, const PciFunction *parent, unsigned first);
/* Programs a function that was added to a running machine. */
void pci_hot_add(PciFunction *fn);
/* Takes a function off its bus and frees it; the machine is stopped. */
void pci_remove(PciFunction *fn);

/* A line for each function, for people. */
void pci_list(PciHost *host, FILE *to);

/* ---- For functions ------------------------------------------------------------- */

/* Configuration registers as after pci_add(), no interrupt; for resets. */
void pci_function_reset(PciFunction *fn);
/* Appends a capability of bytes, its header included; returns its offset. */
unsigned pci_add_capability(PciFunction *fn, uint8_t id, unsigned bytes);
void pci_add_msi(PciFunction *fn);
/* Table at offset 0, pending bits at 0x800 of a BAR of 4 KiB of its own. */
void pci_add_msix(PciFunction *fn, unsigned bar, unsigned n_vectors);
bool pci_msix_enabled(const PciFunction *fn);
/* Sends a message of MSI-X. */
void pci_msix_raise(PciFunction *fn, unsigned vector);
/* Drives INTx, or sends the message of MSI on a rise when that is enabled. */
void pci_set_intx(PciFunction *fn, bool level);
bool pci_is_master(const PciFunction *fn);
/* Accesses to memory; false when not all of it is RAM.  Any thread. */
bool pci_dma_read(const PciFunction *fn, uint64_t address, void *to,
                  uint64_t bytes);
bool pci_dma_write(const PciFunction *fn, uint64_t address, const void *from,
                   uint64_t bytes);
/* Host memory of the beginning of [address, + *bytes), and its length; NULL
 * when it is not RAM. */
void *pci_dma_map(const PciFunction *fn, uint64_t address, uint64_t *bytes,
                  bool writes);
/* Base address in a BAR, flags removed; its size mask applied. */
uint64_t pci_bar_base(const PciFunction *fn, unsigned bar);

static inline uint16_t pci_devfn(unsigned device, unsigned function)
{
    return device << 3 | function;
}

/* A PCI-to-PCI bridge's type; ids differ. */
#define PCI_BRIDGE_TYPE(vendor_id, device_id, rev)                             \
    { .class = &pci_bridge_class, .vendor = vendor_id, .device = device_id,    \
      .class_code = 0x060400, .revision = rev, .bridge = true }
extern const DeviceClass pci_bridge_class;

#endif
