/*
 * I/O translation of IOHub machines (L-IOMMU): a table of 32-bit entries for
 * each of two ranges of addresses.
 *
 *   below 4 GiB --> [base low]  ----\
 *   above       --> [base high] --entry [address / 4096]--> page, may write
 *
 * The upper range is as long as the control register says, 4 GiB or more; its
 * table begins at a multiple of that.  Entries and bases have bits [39:12] of
 * an address in bits [31:4].  Nothing is cached, so flushes do nothing.
 * Messages are not translated.
 *
 * What an entry does not allow is not done: the function gets an error, and
 * software an interrupt (LVT3 of the local controllers).  The error register has
 * the page of the address in bits [31:4] and why in [3:0], the next one the
 * number of bus, device and function.  They keep the first fault until the
 * error register is written (chosen).
 *
 * Source: "system/machine.md" section 3; Linux (arch/l: l-iommu.c; arch/e2k:
 * l-iommu.h, the handler of its interrupt).
 */
#include "hw/elbrus-int.h"

#include "util/bytes.h"
#include "util/log.h"

enum {
    REG_CONTROL = 0x00,
    REG_BASE_LOW = 0x10,
    REG_BASE_HIGH = 0x14,
    REG_ERROR = 0x30,
    REG_REQUESTER = 0x34,
    ERROR_MISS = 1 << 0,
    ERROR_WRITE = 1 << 1, /* of a page that may only be read */
    ERROR_PAGE_SHIFT = 4,
    CONTROL_ENABLE = 1 << 0,
    CONTROL_RANGE_SHIFT = 2,
    CONTROL_RANGE_MASK = 7,
    CONTROL_WRITABLE = 0x7d,
    ENTRY_WRITE = 1 << 0,
    ENTRY_VALID = 1 << 1,
    ENTRY_BYTES = 4,
    PAGE_SHIFT = 12,
    MIN_RANGE_SHIFT = 32,
};
#define ENTRY_PAGE UINT32_C(0xfffffff0)

static uint64_t page_of(uint32_t entry)
{
    return (uint64_t)(entry & ENTRY_PAGE) << 8;
}

bool l_iommu_read(const LIommu *iommu, uint64_t offset, uint32_t *value)
{
    switch (offset) {
    case REG_CONTROL:
        *value = iommu->control;
        return true;
    case REG_BASE_LOW:
        *value = iommu->base[0];
        return true;
    case REG_BASE_HIGH:
        *value = iommu->base[1];
        return true;
    case REG_ERROR:
        *value = iommu->error;
        return true;
    case REG_REQUESTER:
        *value = iommu->requester;
        return true;
    default:
        return false;
    }
}

void l_iommu_write(LIommu *iommu, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case REG_CONTROL:
        iommu->control = value & CONTROL_WRITABLE;
        break;
    case REG_BASE_LOW:
        iommu->base[0] = value & ENTRY_PAGE;
        break;
    case REG_BASE_HIGH:
        iommu->base[1] = value & ENTRY_PAGE;
        break;
    case REG_ERROR:
        iommu->error = iommu->requester = 0;
        break;
    default:
        break; /* flushes */
    }
}

bool l_iommu_fault(LIommu *iommu, uint32_t error, unsigned requester)
{
    if (iommu->error) {
        return false;
    }
    iommu->error = error;
    iommu->requester = requester;
    return true;
}

uint32_t l_iommu_translate(const LIommu *iommu, PhysMem *mem,
                           uint64_t *address, uint64_t *bytes, bool writes)
{
    unsigned range = MIN_RANGE_SHIFT + (iommu->control >> CONTROL_RANGE_SHIFT &
                                        CONTROL_RANGE_MASK);
    bool is_high = *address >> MIN_RANGE_SHIFT;
    uint64_t within = *address & ((UINT64_C(1) << range) - 1);
    uint64_t in_page = *address & ((1 << PAGE_SHIFT) - 1);
    uint8_t image[ENTRY_BYTES];

    if (!(iommu->control & CONTROL_ENABLE)) {
        return 0;
    }
    uint64_t at = page_of(iommu->base[is_high]) +
                  (within >> PAGE_SHIFT) * ENTRY_BYTES;
    uint32_t entry = physmem_read(mem, at, image, sizeof(image))
                         ? ldl_le_p(image)
                         : 0;

    if (!(entry & ENTRY_VALID) || (writes && !(entry & ENTRY_WRITE))) {
        log_printf(LOG_GUEST_ERROR, "l-iommu: entry 0x%x for a %s of 0x%llx\n",
                   entry, writes ? "write" : "read",
                   (unsigned long long)*address);
        return (uint32_t)(*address >> PAGE_SHIFT << ERROR_PAGE_SHIFT) |
               (entry & ENTRY_VALID ? ERROR_WRITE : ERROR_MISS);
    }
    *address = page_of(entry) | in_page;
    *bytes = MIN(*bytes, (UINT64_C(1) << PAGE_SHIFT) - in_page);
    return 0;
}

const StateField l_iommu_fields[] = {
    STATE_FIELD(LIommu, control),
    STATE_ARRAY(LIommu, base),
    STATE_FIELD(LIommu, error),
    STATE_FIELD(LIommu, requester),
    STATE_END,
};
