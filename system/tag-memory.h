/*
 * Tags of guest memory: four bits a doubleword, out of band.
 *
 * Only few pages hold tags other than zero (spilled windows, trap cellars,
 * stored pointers).  Such a page is marked PHYS_PAGE_TAGGED, and ordinary
 * stores to it take the slow path, which clears the tags they overwrite; all
 * other pages are known to have zero tags and cost nothing.
 */
#ifndef SYSTEM_TAG_MEMORY_H
#define SYSTEM_TAG_MEMORY_H

#include "system/sys-cpu.h"

/*
 * Tags of n doublewords from an aligned guest virtual address, translated as
 * privileged code would.  Outside RAM they read as zero and are dropped.
 */
bool tag_memory_get(SysCpu *sys, uint64_t address, uint8_t *tags, unsigned n);
bool tag_memory_set(SysCpu *sys, uint64_t address, const uint8_t *tags,
                    unsigned n);

#endif
