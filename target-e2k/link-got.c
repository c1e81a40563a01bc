/*
 * The offset table: one slot for each symbol and kind of use.
 *
 * The first three slots are the dynamic loader's.
 */
#include "target-e2k/link-int.h"

#include <elf.h>

enum { GOT_HEADER = 3 }; /* slots */

static void make_got(Link *link)
{
    if (!link->got) {
        link->got = obj_section_new(link->out, ".got", SHT_PROGBITS,
                                    SHF_ALLOC | SHF_WRITE);
        link->got->align = 8;
        link->got->entsize = link->sizes->word;
        link->got->size = GOT_HEADER * link->sizes->word;
        g_byte_array_set_size(link->got->data, link->got->size);
    }
}

GotSlot *link_got_slot(Link *link, ObjSymbol *symbol, GotKind kind,
                       int64_t addend)
{
    LinkSymbol *global = symbol ? symbol->link : NULL;
    ObjSymbol *local = global ? NULL : symbol;

    make_got(link);
    for (unsigned i = 0; i < link->got_slots->len; i++) {
        GotSlot *slot = &g_array_index(link->got_slots, GotSlot, i);

        if (slot->global == global && slot->local == local &&
            slot->kind == kind && slot->addend == addend) {
            return slot;
        }
    }
    GotSlot slot = { global, local, kind, addend, link->got->size };

    link->got->size += link->sizes->word;
    g_byte_array_set_size(link->got->data, link->got->size);
    g_array_append_val(link->got_slots, slot);
    return &g_array_index(link->got_slots, GotSlot,
                          link->got_slots->len - 1);
}

/* A header of two words comes first. */
uint64_t link_tp_offset(const Link *link, uint64_t address)
{
    return address - link->tls_start +
           ((2 * link->sizes->word + link->tls_align - 1) &
            ~(link->tls_align - 1));
}

static uint64_t slot_value(Link *link, const GotSlot *slot,
                           const ObjSymbol *def)
{
    uint64_t value = def ? link_target(link, def) + slot->addend : 0;

    switch (slot->kind) {
    case GOT_ADDRESS:
    case GOT_PLT:
        return value;
    case GOT_TPOFF:
        return link_tp_offset(link, value);
    case GOT_DTPMOD:
        return 1;
    default:
        return value - link->tls_start;
    }
}

/* The relocation that a dynamic loader needs for a slot, or R_E2K_NONE. */
static uint32_t slot_reloc(Link *link, const GotSlot *slot, bool local)
{
    switch (slot->kind) {
    case GOT_ADDRESS:
        return local ? (link->pic ? link->types->relative : R_E2K_NONE)
                     : link->types->abs;
    case GOT_TPOFF:
        return local && link->options->kind != LINK_SHARED
                   ? R_E2K_NONE : link->types->tpoff;
    case GOT_DTPMOD:
        return local && link->options->kind != LINK_SHARED
                   ? R_E2K_NONE : link->types->dtpmod;
    default:
        return local ? R_E2K_NONE : link->types->dtprel;
    }
}

/* A linkage-table slot leads to the secondary entry until it is bound. */
static void fill_plt_slot(Link *link, const GotSlot *slot)
{
    link_dyn_reloc(link, link->got->address + slot->offset, slot->global,
                   link->types->jmp_slot, 0);
    elf_put_word(link->got->data->data + slot->offset, link->narrow,
                 link_plt_secondary(link, slot->global));
}

void link_fill_got(Link *link)
{
    for (unsigned i = 0; i < link->got_slots->len; i++) {
        const GotSlot *slot = &g_array_index(link->got_slots, GotSlot, i);

        if (slot->kind == GOT_PLT) {
            fill_plt_slot(link, slot);
            continue;
        }
        if (slot->kind == GOT_IPLT) {
            continue; /* link_iplt_fill() */
        }
        const ObjSymbol *def = slot->global ? slot->global->def
                                            : slot->local;
        ObjSymbol probe = { .link = slot->global };
        bool local = !slot->global || link_binds_locally(link, &probe);
        uint64_t value = slot_value(link, slot, def);
        uint32_t type = slot_reloc(link, slot, local);

        if (type != R_E2K_NONE && link->dynamic) {
            bool relative = type == link->types->relative;
            int64_t addend = relative ? (int64_t)value : slot->addend;

            if (local && !relative && def) {
                addend = value = link_value(def) + slot->addend -
                                 link->tls_start;
                addend = slot->kind == GOT_DTPMOD ? 0 : addend;
            }
            link_dyn_reloc(link, link->got->address + slot->offset,
                           local ? NULL : slot->global, type, addend);
            value = relative ? value : 0;
        }
        elf_put_word(link->got->data->data + slot->offset, link->narrow,
                     value);
    }
}
