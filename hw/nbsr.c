/*
 * Node system registers ("NBSR", "SIC") of a machine with one node.
 *
 * Kernels read from here which links and windows the node has; what they
 * write to error reporting, performance and power registers is kept and does
 * nothing.  I/O translation is l-iommu.c's; v6 machines have another, which is
 * not there: its control register stays 0.
 * "system/machine.md" section 3.
 */
#include "hw/elbrus-int.h"

#include "hw/intc.h"
#include "system/machine.h"

enum {
    LINK_NODE0 = 0xb,        /* vp, vb, vio: processor and I/O link of node 0 */
    CORE_VALID = 1 << 0,
    PCI_CONFIG_SHIFT = 30,   /* the register is 8 for 0x2_0000_0000 */
    STORAGE_WORDS = 0x2000 / 4,
};

typedef struct Nbsr {
    Device device;
    const ElbrusMap *map;
    Device *lapic;
    LIommu iommu; /* of machines without EPIC */
    uint32_t storage[STORAGE_WORDS]; /* registers without a meaning here */
} Nbsr;

/* RT_MLO, RT_PCIM: begin in [15:11], last in [31:27], units of 128 MiB. */
static uint32_t low_window(uint64_t base, uint64_t bytes)
{
    return (uint32_t)(base >> 27) << 11 |
           (uint32_t)((base + bytes - 1) >> 27) << 27;
}

/* RT_MHI: begin in [15:0], last in [31:16], units of 4 GiB. */
static uint32_t high_window(uint64_t base, uint64_t bytes)
{
    return bytes ? (uint32_t)(base >> 32) |
                       (uint32_t)((base + bytes - 1) >> 32) << 16
                 : 0xffff; /* begin above end: closed */
}

static uint64_t map_register(Nbsr *nbsr, uint64_t offset, bool *known)
{
    const ElbrusMap *map = nbsr->map;

    *known = true;
    switch (offset) {
    case 0x010: /* RT_LCFG0 */
        return LINK_NODE0;
    case 0x014 ... 0x01c:
        return 0;
    case 0x020: /* RT_MHI0 */
        return high_window(ELBRUS_RAM_HIGH, map->ram_high_bytes);
    case 0x030: /* RT_MLO0 */
        return low_window(0, map->ram_low_bytes);
    case 0x040: /* RT_PCIM0 */
        return low_window(ELBRUS_PCI_MEMORY, ELBRUS_PCI_MEMORY_BYTES);
    case 0x050: /* RT_PCIIO0 */
        return (ELBRUS_IO_FIRST >> 12) << 12 | UINT32_C(0xf) << 28;
    case 0x060: /* RT_IOAPIC0 */
        return map->has_epic ? 0 : ELBRUS_IOAPIC >> 12 & 0x1ff000;
    case 0x090: /* RT_PCICFGB */
        return map->config_base >> PCI_CONFIG_SHIFT;
    case 0x0a0: /* RT_LAPICINTB */
        return ELBRUS_LAPIC;
    case 0x0b0: /* RT_MSI */
        return (uint32_t)map->msi_base;
    case 0x0b4:
        return map->msi_base >> 32;
    case 0x100 ... 0x17c: /* ST_CORE */
        return (offset - 0x100) / 4 < nbsr->device.machine->n_cpus
                   ? CORE_VALID
                   : 0;
    default:
        *known = false;
        return 0;
    }
}

static bool is_iommu(const Nbsr *nbsr, uint64_t offset)
{
    return !nbsr->map->has_epic && offset >= L_IOMMU_AT &&
           offset < L_IOMMU_AT + L_IOMMU_BYTES;
}

static uint64_t read_word(Nbsr *nbsr, uint64_t offset)
{
    bool known;
    uint64_t value = map_register(nbsr, offset, &known);
    uint32_t word;

    if (is_iommu(nbsr, offset) &&
        l_iommu_read(&nbsr->iommu, offset - L_IOMMU_AT, &word)) {
        return word;
    }
    return known || offset / 4 >= STORAGE_WORDS
               ? value
               : nbsr->storage[offset / 4];
}

static bool is_storage(uint64_t offset)
{
    return (offset >= 0x604 && offset < 0x704) || /* link states */
           (offset >= 0x880 && offset < 0x890) || /* RDMA */
           (offset >= 0xc30 && offset < 0xd00) || /* counters, errors */
           (offset >= 0x1100 && offset < 0x1300); /* PMC */
}

static uint64_t nbsr_read(Device *device, uint64_t offset, unsigned size)
{
    Nbsr *nbsr = (Nbsr *)device;
    uint64_t aligned = offset & ~UINT64_C(3);
    uint64_t value = read_word(nbsr, aligned) |
                     read_word(nbsr, aligned + 4) << 32;

    return value >> 8 * (offset - aligned);
}

static void nbsr_write(Device *device, uint64_t offset, unsigned size,
                       uint64_t value)
{
    Nbsr *nbsr = (Nbsr *)device;

    for (unsigned i = 0; i < size / 4 && offset % 4 == 0; i++) {
        if (is_iommu(nbsr, offset + 4 * i)) {
            l_iommu_write(&nbsr->iommu, offset + 4 * i - L_IOMMU_AT,
                          value >> (32 * i));
        } else if (is_storage(offset + 4 * i)) {
            nbsr->storage[offset / 4 + i] = value >> (32 * i);
        }
    }
}

static void nbsr_reset(Device *device)
{
    Nbsr *nbsr = (Nbsr *)device;

    nbsr->iommu = (LIommu){ .control = 0 };
    for (unsigned i = 0; i < STORAGE_WORDS; i++) {
        nbsr->storage[i] = 0;
    }
}

static const StateField nbsr_fields[] = {
    STATE_STRUCT_AT("iommu", offsetof(Nbsr, iommu), LIommu, l_iommu_fields),
    STATE_ARRAY(Nbsr, storage),
    STATE_END,
};

static const DeviceClass nbsr_class = {
    .name = "nbsr",
    .help = "node system registers",
    .state_size = sizeof(Nbsr),
    .version = 3,
    .mmio_size = 0x100000,
    .read = nbsr_read,
    .write = nbsr_write,
    .reset = nbsr_reset,
    .fields = nbsr_fields,
};

Device *nbsr_new(Machine *machine, const char *id, const ElbrusMap *map)
{
    Nbsr *nbsr = (Nbsr *)device_new(machine, &nbsr_class, id);

    nbsr->map = map;
    return &nbsr->device;
}

void nbsr_connect(Device *device, Device *lapic)
{
    ((Nbsr *)device)->lapic = lapic;
}

bool nbsr_translate(void *opaque, unsigned requester, uint64_t *address,
                    uint64_t *bytes, bool writes)
{
    Nbsr *nbsr = opaque;

    g_mutex_lock(nbsr->device.lock);
    LIommu iommu = nbsr->iommu;

    g_mutex_unlock(nbsr->device.lock);
    uint32_t error = l_iommu_translate(&iommu, nbsr->device.machine->mem,
                                       address, bytes, writes);

    if (!error) {
        return true;
    }
    g_mutex_lock(nbsr->device.lock);
    bool first = l_iommu_fault(&nbsr->iommu, error, requester);

    g_mutex_unlock(nbsr->device.lock);
    if (first) {
        lapic_lvt3(nbsr->lapic);
    }
    return false;
}
