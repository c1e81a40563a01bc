/*
 * The physical address space; see physmem.h.
 */
#include "system/physmem.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "target-e2k/exec.h"
#include "util/log.h"

enum { MAX_REGIONS = 64 };

struct PhysMem {
    uint8_t *ram;
    uint64_t ram_bytes;
    uint8_t *page_flags; /* one byte a page of ram */
    uint8_t *tags;       /* one byte a doubleword of ram */
    PhysRegion regions[MAX_REGIONS]; /* sorted by base, disjoint */
    unsigned n_regions;
};

static void *reserve(uint64_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

PhysMem *physmem_new(uint64_t ram_bytes, GError **error)
{
    PhysMem *mem = g_new0(PhysMem, 1);

    mem->ram_bytes = ram_bytes;
    mem->ram = reserve(ram_bytes);
    mem->page_flags = reserve(ram_bytes >> PHYS_PAGE_BITS);
    mem->tags = reserve(ram_bytes / 8);
    if (!mem->ram || !mem->page_flags || !mem->tags) {
        g_set_error(error, SYSTEM_ERROR, 0,
                    "cannot allocate %" PRIu64 " MiB of guest memory",
                    ram_bytes >> 20);
        physmem_free(mem);
        return NULL;
    }
    return mem;
}

void physmem_free(PhysMem *mem)
{
    if (!mem) {
        return;
    }
    if (mem->ram) {
        munmap(mem->ram, mem->ram_bytes);
    }
    if (mem->page_flags) {
        munmap(mem->page_flags, mem->ram_bytes >> PHYS_PAGE_BITS);
    }
    if (mem->tags) {
        munmap(mem->tags, mem->ram_bytes / 8);
    }
    g_free(mem);
}

uint64_t physmem_ram_bytes(const PhysMem *mem)
{
    return mem->ram_bytes;
}

uint8_t *physmem_ram(PhysMem *mem)
{
    return mem->ram;
}

static void add_region(PhysMem *mem, const PhysRegion *region)
{
    unsigned at = mem->n_regions;

    g_assert(mem->n_regions < MAX_REGIONS);
    while (at > 0 && mem->regions[at - 1].base > region->base) {
        mem->regions[at] = mem->regions[at - 1];
        at--;
    }
    mem->regions[at] = *region;
    mem->n_regions++;
    for (unsigned i = 1; i < mem->n_regions; i++) {
        const PhysRegion *below = &mem->regions[i - 1];

        g_assert(below->base + below->size <= mem->regions[i].base);
    }
}

void physmem_map_ram(PhysMem *mem, uint64_t base, uint64_t size,
                     uint64_t ram_offset)
{
    g_assert((base | size | ram_offset) % PHYS_PAGE_BYTES == 0);
    g_assert(size && ram_offset + size <= mem->ram_bytes);
    add_region(mem, &(PhysRegion){ .base = base,
                                   .size = size,
                                   .host = mem->ram + ram_offset,
                                   .ram_offset = ram_offset });
}

void physmem_map_device(PhysMem *mem, uint64_t base, uint64_t size,
                        Device *device, uint64_t offset)
{
    add_region(mem, &(PhysRegion){ .base = base,
                                   .size = size,
                                   .device = device,
                                   .device_offset = offset });
}

const PhysRegion *physmem_find(const PhysMem *mem, uint64_t address)
{
    unsigned low = 0, high = mem->n_regions;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        const PhysRegion *region = &mem->regions[middle];

        if (address < region->base) {
            high = middle;
        } else if (address - region->base >= region->size) {
            low = middle + 1;
        } else {
            return region;
        }
    }
    return NULL;
}

const PhysRegion *physmem_region(const PhysMem *mem, unsigned n)
{
    return n < mem->n_regions ? &mem->regions[n] : NULL;
}

void *physmem_host(const PhysMem *mem, uint64_t address, uint64_t size)
{
    const PhysRegion *region = physmem_find(mem, address);

    if (!region || !region->host ||
        size > region->size - (address - region->base)) {
        return NULL;
    }
    return region->host + (address - region->base);
}

bool physmem_read(const PhysMem *mem, uint64_t address, void *to,
                  uint64_t size)
{
    const void *host = physmem_host(mem, address, size);

    if (!host) {
        return false;
    }
    memcpy(to, host, size);
    return true;
}

bool physmem_write(PhysMem *mem, uint64_t address, const void *from,
                   uint64_t size)
{
    void *host = physmem_host(mem, address, size);

    if (!host) {
        return false;
    }
    memcpy(host, from, size);
    physmem_written(mem, host, size);
    return true;
}

uint8_t *physmem_page_flags(PhysMem *mem, const void *host)
{
    size_t offset = (const uint8_t *)host - mem->ram;

    return &mem->page_flags[offset >> PHYS_PAGE_BITS];
}

uint8_t *physmem_tag(PhysMem *mem, const void *host)
{
    return &mem->tags[((const uint8_t *)host - mem->ram) / 8];
}

/* The first physical address of a host page: aliases share their code. */
static uint64_t code_address_of(const PhysMem *mem, uint64_t ram_offset)
{
    for (unsigned i = 0; i < mem->n_regions; i++) {
        const PhysRegion *region = &mem->regions[i];

        if (region->host && ram_offset >= region->ram_offset &&
            ram_offset - region->ram_offset < region->size) {
            return region->base + (ram_offset - region->ram_offset);
        }
    }
    return ram_offset;
}

uint64_t physmem_code_address(const PhysMem *mem, const void *host)
{
    return code_address_of(mem, (const uint8_t *)host - mem->ram);
}

void physmem_written(PhysMem *mem, const void *host, uint64_t size)
{
    uint64_t offset = (const uint8_t *)host - mem->ram;
    uint64_t first = offset >> PHYS_PAGE_BITS;
    uint64_t last = (offset + size - 1) >> PHYS_PAGE_BITS;

    for (uint64_t page = first; size && page <= last; page++) {
        uint8_t *flags = &mem->page_flags[page];

        if (__atomic_load_n(flags, __ATOMIC_RELAXED) & PHYS_PAGE_TAGGED) {
            uint64_t start = MAX(offset, page << PHYS_PAGE_BITS);
            uint64_t end = MIN(offset + size, (page + 1) << PHYS_PAGE_BITS);

            memset(&mem->tags[start / 8], 0, (end + 7) / 8 - start / 8);
        }
        if (__atomic_load_n(flags, __ATOMIC_RELAXED) & PHYS_PAGE_CODE) {
            __atomic_and_fetch(flags, (uint8_t)~PHYS_PAGE_CODE,
                               __ATOMIC_RELAXED);
            engine_invalidate(code_address_of(mem, page << PHYS_PAGE_BITS),
                              PHYS_PAGE_BYTES);
        }
    }
}

uint64_t physmem_io_read(PhysMem *mem, uint64_t address, unsigned size)
{
    const PhysRegion *region = physmem_find(mem, address);

    if (region && region->device &&
        size <= region->size - (address - region->base)) {
        return device_read(region->device,
                           address - region->base + region->device_offset,
                           size);
    }
    log_printf(LOG_GUEST_ERROR, "bus: read of %u bytes at 0x%" PRIx64
               ", where nothing answers\n", size, address);
    return ~UINT64_C(0);
}

void physmem_io_write(PhysMem *mem, uint64_t address, unsigned size,
                      uint64_t value)
{
    const PhysRegion *region = physmem_find(mem, address);

    if (region && region->device &&
        size <= region->size - (address - region->base)) {
        device_write(region->device,
                     address - region->base + region->device_offset, size,
                     value);
        return;
    }
    log_printf(LOG_GUEST_ERROR, "bus: write of %u bytes at 0x%" PRIx64
               ", where nothing answers\n", size, address);
}
