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
 * Generated code looks in a smaller place first: each access in the code has a
 * slot that remembers the page it used last (x86-soft.c).  The slot's address
 * is a constant, so that finding the host address takes no chain of dependent
 * operations.  Slots hold copies of TLB entries; whoever takes something out of
 * a TLB, or makes another TLB the current one, has the slots cleared.  There
 * are slots of their own for loads and stores and for each current TLB,
 * because rights differ.
 *
 * Slots are compared with guest addresses, which may be anything.  A cleared
 * slot has a random number drawn at start-up, and leads to scratch memory,
 * should a guest ever guess it.
 *
 * A TLB and the slots belong to the thread of their CPU.
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

enum {
    SOFT_TLB_KINDS = 2,   /* TLBs that are current at a time */
    SOFT_TLB_SITES = 512, /* slots of each kind */
    SOFT_TLB_SITE_REACH = 1 << 15, /* most offset from a register's value */
};

typedef struct SoftTlbSite {
    uint64_t tag;         /* page address */
    uintptr_t host;       /* host address - guest address */
} SoftTlbSite;

typedef struct SoftTlbSites {
    SoftTlbSite site[SOFT_TLB_KINDS][2][SOFT_TLB_SITES]; /* [store] */
} SoftTlbSites;

static inline SoftTlbEntry *soft_tlb_entry(SoftTlb *tlb, uint64_t address)
{
    return &tlb->entry[(address >> SOFT_TLB_PAGE_BITS) &
                       (SOFT_TLB_ENTRIES - 1)];
}

#endif
