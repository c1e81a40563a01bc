/*
 * AHCI: a SATA host controller as a PCI function, with its disks.
 */
#ifndef HW_AHCI_H
#define HW_AHCI_H

#include "block/backend.h"
#include "hw/pci.h"

enum { AHCI_MAX_PORTS = 8 };

PciFunction *ahci_new(PciHost *host, PciFunction *parent, const char *id,
                      unsigned devfn, unsigned pin, unsigned n_ports);

typedef struct AhciDiskOptions {
    const char *id;
    const char *serial; /* up to 20 bytes, or NULL */
} AhciDiskOptions;

/*
 * Puts a disk on a port, which takes a reference; also on a running machine.
 * port < 0: the first free one.  Returns the port, or -1 with an error.
 */
int ahci_attach(PciFunction *fn, int port, BlockBackend *backend,
                const AhciDiskOptions *options, GError **error);
/* Takes the disk with that id away; false when there is none. */
bool ahci_detach(PciFunction *fn, const char *id);

#endif
