/*
 * virtio devices as PCI functions.
 */
#ifndef HW_VIRTIO_PCI_H
#define HW_VIRTIO_PCI_H

#include "hw/pci.h"
#include "hw/virtio.h"

/* Puts a device, which it owns from now on, at a place of the bus. */
PciFunction *virtio_pci_new(PciHost *host, PciFunction *parent,
                            VirtioDevice *vdev, unsigned devfn, unsigned pin);

#endif
