/*
 * Addresses and pins of the virt board, and the device tree that tells them.
 */
#ifndef HW_VIRT_FDT_H
#define HW_VIRT_FDT_H

#include <glib.h>

#include "target-e2k/cpu.h"

#define VIRT_UART UINT64_C(0xd0000000)
#define VIRT_POWER UINT64_C(0xd0010000)
#define VIRT_RTC UINT64_C(0xd0020000)
#define VIRT_VIRTIO UINT64_C(0xd0100000)
#define VIRT_IOAPIC UINT64_C(0xfec00000)
#define VIRT_LT UINT64_C(0xfec10000)
#define VIRT_IOEPIC UINT64_C(0xfed00000) /* virt-epic */
#define VIRT_LAPIC UINT64_C(0xfee00000)
#define VIRT_IO_PORTS UINT64_C(0x101000000)
#define VIRT_PREPIC UINT64_C(0x110008000) /* virt-epic */
#define VIRT_PCI_CONFIG UINT64_C(0x200000000)
#define VIRT_PCI_CONFIG_BYTES UINT64_C(0x10000000)
#define VIRT_PCI_MEMORY UINT64_C(0x80000000)
#define VIRT_PCI_MEMORY_BYTES UINT64_C(0x40000000)

enum {
    VIRT_IRQ_POWER = 1,
    VIRT_IRQ_LT = 2,
    VIRT_IRQ_UART = 3,
    VIRT_IRQ_PCI = 4, /* INTA..INTD */
    VIRT_IRQ_VIRTIO = 8,
    VIRT_IRQ_PINS = 24,
    VIRT_IO_BYTES = 0x10000,
    VIRT_PCI_IO_FIRST = 0x1000,
    VIRT_VIRTIO_SLOTS = 16,
    VIRT_VIRTIO_STRIDE = 0x200,
    VIRT_UART_CLOCK = 1843200,
    VIRT_LT_HZ = 10000000,
};

typedef struct VirtFdt {
    uint64_t ram_low, ram_high_base, ram_high;
    uint64_t reserved_base, reserved_bytes;
    unsigned n_cpus;
    const CpuModel *model;
    bool has_epic;
    const char *args;
    uint64_t initrd_base, initrd_bytes;
} VirtFdt;

/*
 * The tree as a block of at most max_bytes.  NULL without an error when this
 * build has no libfdt.
 */
uint8_t *virt_fdt_build(const VirtFdt *tree, size_t max_bytes,
                        size_t *bytes, GError **error);

#endif
