/*
 * Dynamic linking: nothing of it yet for static output.
 */
#include "target-e2k/link-int.h"

void link_dyn_prepare(Link *link)
{
    if (link->dynamic) {
        link_error(link, "dynamic output is not supported yet");
    }
}

void link_dyn_size(Link *link)
{
}

void link_dyn_fill(Link *link)
{
}

void link_dyn_reloc(Link *link, uint64_t address, LinkSymbol *symbol,
                    uint32_t type, int64_t addend)
{
}

uint64_t link_plt_address(Link *link, const LinkSymbol *symbol)
{
    return 0;
}
