/*
 * What the files of the PCI core share: pci.c (host, routing), pci-config.c
 * (configuration space of a function, interrupts), pci-program.c (firmware).
 */
#ifndef HW_PCI_INT_H
#define HW_PCI_INT_H

#include "hw/pci.h"

enum { PCI_LINES = 40 };

typedef struct PciRange {
    uint64_t base, size;
    PciFunction *fn;
    uint8_t bar;
    bool io;
} PciRange;

struct PciHost {
    Device device;          /* the configuration window */
    PciHostConfig config;
    GPtrArray *functions;   /* PciFunction, parents first */
    GArray *ranges;         /* PciRange decoded now */
    /* Under line_lock. */
    GMutex line_lock;
    unsigned line_count[PCI_LINES]; /* functions that drive it */
};

/* Bus number of a function, -1 when no configuration cycle reaches it. */
int pci_bus_of(const PciFunction *fn);
void pci_rebuild_ranges(PciHost *host);

uint32_t pci_config_read(PciFunction *fn, unsigned offset, unsigned size);
void pci_config_write(PciFunction *fn, unsigned offset, unsigned size,
                      uint32_t value);
void pci_config_init(PciFunction *fn);
/* Accesses to the table of MSI-X. */
uint64_t pci_msix_read(PciFunction *fn, uint64_t offset, unsigned size);
void pci_msix_write(PciFunction *fn, uint64_t offset, unsigned size,
                    uint64_t value);
/* After a change of the command register: is the line driven? */
void pci_update_intx(PciFunction *fn);
/* Sends a message, when the function may. */
void pci_send_message(PciFunction *fn, uint64_t address, uint32_t data);

#endif
