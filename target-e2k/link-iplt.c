/*
 * Functions that are chosen at start: a symbol of type STT_GNU_IFUNC names a
 * resolver, which returns the function to use.
 *
 * Each gets an entry in .iplt that jumps through a slot of the offset table;
 * the entry is the function's address everywhere.  An IRELATIVE relocation
 * fills the slot: the loader's business in a dynamic program (they come last in
 * .rela.dyn), in a static one that of its start code, which finds them between
 * __rela_iplt_start and __rela_iplt_end.
 *
 * Source: shared facts "linux/relocations.md" section 2.
 */
#include "target-e2k/link-int.h"

#include <elf.h>
#include <string.h>

void link_iplt_want(Link *link, ObjSymbol *symbol)
{
    if (symbol->iplt) {
        return;
    }
    g_ptr_array_add(link->iplt_symbols, symbol);
    symbol->iplt = link->iplt_symbols->len;
    link_got_slot(link, symbol, GOT_IPLT, 0);
    if (link->dynamic) {
        link->n_rela_dyn++;
    }
}

uint64_t link_target(Link *link, const ObjSymbol *definition)
{
    return definition->iplt ? link->iplt->address +
                                  (definition->iplt - 1) * link_jump_size(link)
                            : link_value(definition);
}

static ObjSection *make_section(Link *link, const char *name, uint32_t type,
                                uint64_t flags, uint64_t size)
{
    ObjSection *s = obj_section_new(link->out, name, type, SHF_ALLOC | flags);

    s->align = 8;
    s->size = size;
    g_byte_array_set_size(s->data, size);
    memset(s->data->data, 0, size);
    return s;
}

void link_iplt_size(Link *link)
{
    unsigned n = link->iplt_symbols->len;

    if (!n) {
        return;
    }
    link->iplt = make_section(link, ".iplt", SHT_PROGBITS, SHF_EXECINSTR,
                              n * link_jump_size(link));
    if (!link->dynamic) {
        link->rela_iplt = make_section(link, ".rela.iplt", SHT_RELA, 0,
                                       link->sizes->rela * n);
        link->rela_iplt->entsize = link->sizes->rela;
    }
}

static void put_irelative(Link *link, unsigned i, uint64_t address,
                          uint64_t resolver)
{
    if (link->dynamic) {
        link_dyn_reloc(link, address, NULL, link->types->irelative, resolver);
        return;
    }
    elf_put_rela(link->rela_iplt->data->data + link->sizes->rela * i,
                 link->narrow,
                 &(ElfRela){ .offset = address, .addend = resolver,
                             .type = link->types->irelative });
}

void link_iplt_fill(Link *link)
{
    g_autoptr(GByteArray) code = g_byte_array_new();

    for (unsigned i = 0; i < link->iplt_symbols->len; i++) {
        ObjSymbol *symbol = link->iplt_symbols->pdata[i];
        const GotSlot *slot = link_got_slot(link, symbol, GOT_IPLT, 0);

        link_put_jump(link, code, link->iplt, slot->offset);
        put_irelative(link, i, link->got->address + slot->offset,
                      link_value(symbol));
    }
    if (link->iplt) {
        g_assert(code->len == link->iplt->size);
        memcpy(link->iplt->data->data, code->data, code->len);
    }
}
