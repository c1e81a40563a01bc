/*
 * Tags of guest memory; see tag-memory.h.
 */
#include "system/tag-memory.h"

/* The tag byte of the doubleword at address, or NULL outside RAM. */
static bool locate_tag(SysCpu *sys, uint64_t address, uint8_t **tag,
                       uint8_t **host)
{
    Machine *machine = sys->machine;
    MmuResult result;

    *tag = NULL;
    if (!mmu_translate(sys, address, ACCESS_LOAD, true, false, &result)) {
        return false;
    }
    *host = physmem_host(machine->mem, result.physical & ~UINT64_C(7), 8);
    if (*host) {
        *tag = physmem_tag(machine->mem, *host);
    }
    return true;
}

bool tag_memory_get(SysCpu *sys, uint64_t address, uint8_t *tags, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t *tag, *host;

        if (!locate_tag(sys, address + 8 * i, &tag, &host)) {
            return false;
        }
        tags[i] = tag && (*physmem_page_flags(sys->machine->mem, host) &
                          PHYS_PAGE_TAGGED)
                      ? *tag
                      : 0;
    }
    return true;
}

bool tag_memory_set(SysCpu *sys, uint64_t address, const uint8_t *tags,
                    unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t *tag, *host;

        if (!locate_tag(sys, address + 8 * i, &tag, &host)) {
            return false;
        }
        if (!tag) {
            continue;
        }
        uint8_t *flags = physmem_page_flags(sys->machine->mem, host);

        if (tags[i] && !(__atomic_fetch_or(flags, PHYS_PAGE_TAGGED,
                                           __ATOMIC_SEQ_CST) &
                         PHYS_PAGE_TAGGED)) {
            mmu_forget_writable(sys);
            mmu_forget_writable_elsewhere(sys);
        }
        if (tags[i] || (*flags & PHYS_PAGE_TAGGED)) {
            *tag = tags[i];
        }
    }
    return true;
}
