/*
 * The software TLB that system-mode memory accesses look in first.
 *
 *   guest address:  | page number            | offset 12 |
 *                        |low bits
 *                        v
 *   entry[ ]:  read  page address, if loads may go straight to host memory
 *              write page address, if stores may
 *              host  host address - guest address
 *
 * A hit is one compare:
 *
 *     e = &tlb->entry[(address >> 12) & (SOFT_TLB_ENTRIES - 1)];
 *     if (((address + size - 1) & SOFT_TLB_PAGE_MASK) == e->read)
 *         value at host pointer e->host + address;
 *
 * Adding size - 1 makes accesses that cross a page miss.  Anything special
 * about a page (device, write to a page with cached code, first write to a
 * clean page) is expressed by leaving the tag at SOFT_TLB_NONE, so that the
 * access takes the slow path.
 *
 * A TLB belongs to the thread of its CPU.
 */
#ifndef TCG_SOFT_TLB_H
#define TCG_SOFT_TLB_H

#include <stdint.h>

enum {
    SOFT_TLB_PAGE_BITS = 12,
    SOFT_TLB_ENTRY_BITS = 10,
    SOFT_TLB_ENTRIES = 1 << SOFT_TLB_ENTRY_BITS,
};

#define SOFT_TLB_PAGE_MASK (~UINT64_C(0) << SOFT_TLB_PAGE_BITS)
#define SOFT_TLB_NONE (~UINT64_C(0)) /* no page address: low bits set */

typedef struct SoftTlbEntry {
    uint64_t read;
    uint64_t write;
    uintptr_t host;
    uint64_t pad; /* size is a power of two */
} SoftTlbEntry;

typedef struct SoftTlb {
    SoftTlbEntry entry[SOFT_TLB_ENTRIES];
} SoftTlb;

static inline SoftTlbEntry *soft_tlb_entry(SoftTlb *tlb, uint64_t address)
{
    return &tlb->entry[(address >> SOFT_TLB_PAGE_BITS) &
                       (SOFT_TLB_ENTRIES - 1)];
}

#endif
