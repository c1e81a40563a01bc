/*
 * The physical address space of a machine: RAM and device windows.
 *
 *   address:  |--- RAM "low" ---|   |dev|dev|    |--- RAM (alias) ---|...
 *                 host block                       same host block
 *
 * Regions are added while the machine is built and never change afterwards,
 * so lookups take no lock.  One host allocation holds all RAM; a region of
 * RAM is a window into it, and windows may overlap there (aliases).
 *
 * Each RAM page has a byte of flags, shared by its aliases: whether code from
 * it is cached by an engine, and whether it was written since a migration
 * pass began.
 */
#ifndef SYSTEM_PHYSMEM_H
#define SYSTEM_PHYSMEM_H

#include <stdbool.h>
#include <stdint.h>

#include "system/device.h"

enum {
    PHYS_PAGE_BITS = 12,
    PHYS_PAGE_BYTES = 1 << PHYS_PAGE_BITS,
    PHYS_ADDRESS_BITS = 48,
};

/* Flags of a RAM page. */
enum {
    PHYS_PAGE_CODE = 1 << 0,   /* an engine holds code from it */
    PHYS_PAGE_TAGGED = 1 << 1, /* some doubleword has a non-zero tag */
    PHYS_PAGE_OPEN = 1 << 2,   /* some CPU's TLB has let stores through */
};

typedef struct PhysMem PhysMem;

typedef struct PhysRegion {
    uint64_t base;
    uint64_t size;     /* bytes */
    uint8_t *host;     /* RAM: host address of base; else NULL */
    uint64_t ram_offset; /* RAM: offset in the host block */
    bool read_only;    /* ROM: guest stores are dropped */
    Device *device;    /* device window; else NULL */
    uint64_t device_offset; /* offset of base in the device's registers */
} PhysRegion;

/* Allocates ram_bytes of zeroed host memory, without committing it. */
PhysMem *physmem_new(uint64_t ram_bytes, GError **error);
void physmem_free(PhysMem *mem);

uint64_t physmem_ram_bytes(const PhysMem *mem);
uint8_t *physmem_ram(PhysMem *mem); /* the whole block */

/* Maps [ram_offset, + size) of the block at base; all multiples of a page. */
void physmem_map_ram(PhysMem *mem, uint64_t base, uint64_t size,
                     uint64_t ram_offset);
/* Maps size bytes of the device's registers from offset at base. */
void physmem_map_device(PhysMem *mem, uint64_t base, uint64_t size,
                        Device *device, uint64_t offset);

/* The region with address in it, or NULL. */
const PhysRegion *physmem_find(const PhysMem *mem, uint64_t address);
/* Region number n in order of address, NULL after the last. */
const PhysRegion *physmem_region(const PhysMem *mem, unsigned n);

/* Host pointer to [address, + size), NULL unless all of it is one RAM. */
void *physmem_host(const PhysMem *mem, uint64_t address, uint64_t size);

/*
 * Copies for DMA, loaders and debuggers: false, with nothing copied, unless
 * the whole range is RAM.  Writes drop cached code of the pages they touch.
 */
bool physmem_read(const PhysMem *mem, uint64_t address, void *to,
                  uint64_t size);
bool physmem_write(PhysMem *mem, uint64_t address, const void *from,
                   uint64_t size);

/* Tells that [host, + size) inside RAM was changed through its pointer. */
void physmem_written(PhysMem *mem, const void *host, uint64_t size);

/* The flags byte of the page of a RAM host pointer. */
uint8_t *physmem_page_flags(PhysMem *mem, const void *host);

/* The physical address that stands for all aliases of a RAM host pointer:
 * what engine_invalidate() is told when the page is written. */
uint64_t physmem_code_address(const PhysMem *mem, const void *host);

/* The tag byte of the doubleword at a RAM host pointer. */
uint8_t *physmem_tag(PhysMem *mem, const void *host);

/*
 * A CPU's access to a device, 1..8 bytes; 16 is split.  Addresses without a
 * device read as all ones.
 */
uint64_t physmem_io_read(PhysMem *mem, uint64_t address, unsigned size);
void physmem_io_write(PhysMem *mem, uint64_t address, unsigned size,
                      uint64_t value);

#endif
