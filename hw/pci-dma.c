/*
 * Accesses of PCI functions to memory, piece by piece as the host translates
 * them.
 */
#include "hw/pci-int.h"

#include <string.h>

void *pci_dma_map(const PciFunction *fn, uint64_t address, uint64_t *bytes,
                  bool writes)
{
    const PciHostConfig *host = &fn->host->config;
    unsigned bus = fn->parent ? fn->parent->config[PCI_SECONDARY_BUS] : 0;

    if (host->translate &&
        !host->translate(host->translate_opaque, bus << 8 | fn->devfn,
                         &address, bytes, writes)) {
        return NULL;
    }
    return physmem_host(host->mem, address, *bytes);
}

bool pci_dma_read(const PciFunction *fn, uint64_t address, void *to,
                  uint64_t bytes)
{
    uint8_t *at = to;

    while (bytes) {
        uint64_t n = bytes;
        const void *host = pci_dma_map(fn, address, &n, false);

        if (!host) {
            return false;
        }
        memcpy(at, host, n);
        at += n;
        address += n;
        bytes -= n;
    }
    return true;
}

bool pci_dma_write(const PciFunction *fn, uint64_t address, const void *from,
                   uint64_t bytes)
{
    const uint8_t *at = from;

    while (bytes) {
        uint64_t n = bytes;
        void *host = pci_dma_map(fn, address, &n, true);

        if (!host) {
            return false;
        }
        memcpy(host, at, n);
        physmem_written(fn->host->config.mem, host, n);
        at += n;
        address += n;
        bytes -= n;
    }
    return true;
}
