/*
 * Dynamic linking: symbols and relocations for the loader, the procedure
 * linkage table, the dynamic section.
 *
 *   .plt   header | secondary entries | primary entries
 *   .got   _DYNAMIC, link map, resolver | slots
 *
 * A call of a function that another object may define goes to its primary
 * entry, which jumps through its slot.  The slot first leads to the secondary
 * entry, which hands the number of the relocation to the header; the header
 * calls the loader's resolver with the link map and that number, as the "lazy
 * through the offset table" scheme of the architecture has it.  Bound at load,
 * only primary entries run.
 *
 * Source: shared facts "linux/relocations.md" sections 2 and 3.
 */
#include "target-e2k/link-int.h"

#include <elf.h>
#include <string.h>

#include "target-e2k/asm.h"
#include "util/bytes.h"

enum { DT_E2K_LAZY_GOT = 0x70000003 };

/*
 * Code of the table's parts: bundles with places for up to two offsets, for
 * both widths of an address.
 */
#define HEADER_CODE(load) {                                             \
    "rrd,0 %%ip, %%dr10",                                               \
    "nop 4 ; " load ",0 %%dr10, _f32s,_lts0 %d, %%dr8 ; "               \
    load ",3 %%dr10, _f32s,_lts1 %d, %%dr10",                           \
    "nop 4 ; movtd,0 %%dr10, %%ctpr1",                                  \
    "call %%ctpr1, wbs = 4",                                            \
    "nop 4 ; movtd,0 %%dr8, %%ctpr1",                                   \
    "ct %%ctpr1",                                                       \
}
#define PRIMARY_CODE(load) {                                            \
    "setwd wsz = 8, nfx = 1 ; rrd,0 %%ip, %%dr8",                       \
    "nop 4 ; " load ",0 %%dr8, _f32s,_lts0 %d, %%dr8",                  \
    "nop 4 ; movtd,0 %%dr8, %%ctpr1",                                   \
    "ct %%ctpr1",                                                       \
}

enum { HEADER_BUNDLES = 6, PRIMARY_BUNDLES = 4 };

static const char *const header_code[2][HEADER_BUNDLES] = {
    HEADER_CODE("ldd"), HEADER_CODE("ldw"),
};
static const char *const primary_code[2][PRIMARY_BUNDLES] = {
    PRIMARY_CODE("ldd"), PRIMARY_CODE("ldw"),
};

static const char *const secondary_code[] = {
    "setwd wsz = 8, nfx = 1 ; addd,0 0, _f32s,_lts1 %d, %%dr9",
    "ibranch %d",
};

/* Appends one bundle to *code; a and b fill its places. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void put_bundle(Link *link, GByteArray *code, const char *format,
                       int a, int b)
{
    g_autofree char *text = g_strdup_printf(format, a, b);
    g_autoptr(GError) error = NULL;
    uint8_t bytes[BUNDLE_MAX_BYTES];
    unsigned length = asm_bundle(bytes, text, 0, link->isa ? link->isa : 5,
                                 &error);

    if (!length) {
        link_error(link, "linkage table: %s", error->message);
        return;
    }
    g_byte_array_append(code, bytes, length);
}
#pragma GCC diagnostic pop

void link_put_jump(Link *link, GByteArray *code, const ObjSection *section,
                   uint64_t slot)
{
    int64_t distance = (int64_t)(link->got->address + slot) -
                       (int64_t)(section->address + code->len);

    for (unsigned i = 0; i < PRIMARY_BUNDLES; i++) {
        put_bundle(link, code, primary_code[link->narrow][i],
                   i == 1 ? distance : 0, 0);
    }
}

const DynTypes *link_dyn_types(bool narrow)
{
    static const DynTypes types[2] = {
        {
            .abs = R_E2K_64_ABS, .abs_lit = R_E2K_64_ABS_LIT,
            .relative = R_E2K_64_RELATIVE,
            .relative_lit = R_E2K_64_RELATIVE_LIT,
            .jmp_slot = R_E2K_64_JMP_SLOT, .copy = R_E2K_64_COPY,
            .irelative = R_E2K_64_IRELATIVE, .size = R_E2K_64_SIZE,
            .dtpmod = R_E2K_TLS_64_DTPMOD, .dtprel = R_E2K_TLS_64_DTPREL,
            .tpoff = R_E2K_TLS_TPOFF64,
        },
        {
            .abs = R_E2K_32_ABS, .abs_lit = R_E2K_NONE,
            .relative = R_E2K_32_RELATIVE, .relative_lit = R_E2K_NONE,
            .jmp_slot = R_E2K_32_JMP_SLOT, .copy = R_E2K_32_COPY,
            .irelative = R_E2K_32_IRELATIVE, .size = R_E2K_32_SIZE,
            .dtpmod = R_E2K_TLS_32_DTPMOD, .dtprel = R_E2K_TLS_32_DTPREL,
            .tpoff = R_E2K_TLS_TPOFF32,
        },
    };

    return &types[narrow];
}

static unsigned code_size(Link *link, const char *const *code, unsigned n)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    for (unsigned i = 0; i < n; i++) {
        put_bundle(link, bytes, code[i], 0, 0);
    }
    return bytes->len;
}

unsigned link_jump_size(Link *link)
{
    return code_size(link, primary_code[link->narrow], PRIMARY_BUNDLES);
}

static ObjSection *make_section(Link *link, const char *name, uint32_t type,
                                uint64_t flags, unsigned entsize)
{
    ObjSection *s = obj_section_new(link->out, name, type, SHF_ALLOC | flags);

    s->align = 8;
    s->entsize = entsize;
    return s;
}

void link_dyn_prepare(Link *link)
{
    const LinkOptions *o = link->options;

    if (!link->dynamic) {
        return;
    }
    if (o->interp && o->kind != LINK_SHARED) {
        link->interp = make_section(link, ".interp", SHT_PROGBITS, 0, 0);
        link->interp->align = 1;
        g_byte_array_append(link->interp->data, (const uint8_t *)o->interp,
                            strlen(o->interp) + 1);
        link->interp->size = link->interp->data->len;
    }
    link->hash = make_section(link, ".hash", SHT_HASH, 0, 4);
    link->dynsym = make_section(link, ".dynsym", SHT_DYNSYM, 0,
                                link->sizes->symbol);
    link->dynstr = make_section(link, ".dynstr", SHT_STRTAB, 0, 0);
    link->dynstr->align = 1;
    link->rela_dyn = make_section(link, ".rela.dyn", SHT_RELA, 0,
                                  link->sizes->rela);
    link->rela_plt = make_section(link, ".rela.plt", SHT_RELA, 0,
                                  link->sizes->rela);
    link->dynamic_section = make_section(link, ".dynamic", SHT_DYNAMIC,
                                         SHF_WRITE, link->sizes->dyn);
    elf_string(link->dynstr_text, "");
    g_ptr_array_add(link->dyn_symbols, NULL);
}

/* Names the loader sees: what is missing here and what may be shared. */
static bool is_exported(const LinkSymbol *global)
{
    if (!global->def) {
        return global->wanted;
    }
    return global->visibility == STV_DEFAULT && !global->made;
}

static void collect_dynamic_symbols(Link *link)
{
    for (unsigned i = 0; i < link->symbol_list->len; i++) {
        LinkSymbol *global = link->symbol_list->pdata[i];

        if (is_exported(global) &&
            strcmp(global->name, "_GLOBAL_OFFSET_TABLE_") != 0 &&
            strcmp(global->name, "_DYNAMIC") != 0) {
            global->dynamic = link->dyn_symbols->len;
            g_ptr_array_add(link->dyn_symbols, global);
            elf_string(link->dynstr_text, global->name);
        }
    }
}

static unsigned dynamic_entries(const Link *link)
{
    unsigned needed = link->options->needed
                          ? g_strv_length((char **)link->options->needed)
                          : 0;

    return needed + link->libraries->len + 24;
}

static void reserve(ObjSection *section, uint64_t size)
{
    section->size = size;
    g_byte_array_set_size(section->data, size);
    if (size) {
        memset(section->data->data, 0, size);
    }
}

/* PLT: header, secondary entries, primary entries; a slot for each. */
static void size_plt(Link *link)
{
    unsigned n = link->plt_symbols->len;

    if (!n) {
        return;
    }
    link->plt = make_section(link, ".plt", SHT_PROGBITS, SHF_EXECINSTR, 0);
    reserve(link->plt,
            code_size(link, header_code[link->narrow], HEADER_BUNDLES) +
                n * code_size(link, secondary_code,
                              G_N_ELEMENTS(secondary_code)) +
                n * link_jump_size(link));
    for (unsigned i = 0; i < n; i++) {
        LinkSymbol *global = link->plt_symbols->pdata[i];
        ObjSymbol probe = { .link = global };

        link_got_slot(link, &probe, GOT_PLT, 0);
    }
    reserve(link->rela_plt, link->sizes->rela * n);
}

void link_dyn_size(Link *link)
{
    if (!link->dynamic) {
        return;
    }
    collect_dynamic_symbols(link);
    size_plt(link);
    for (unsigned i = 0; link->options->needed && link->options->needed[i];
         i++) {
        elf_string(link->dynstr_text, link->options->needed[i]);
    }
    for (unsigned i = 0; i < link->libraries->len; i++) {
        const ObjFile *library = link->libraries->pdata[i];

        elf_string(link->dynstr_text, library->soname);
    }
    if (link->options->soname) {
        elf_string(link->dynstr_text, link->options->soname);
    }
    unsigned n = link->dyn_symbols->len;

    reserve(link->dynsym, link->sizes->symbol * n);
    reserve(link->dynstr, link->dynstr_text->len);
    reserve(link->hash, 4 * (2 + n + n));
    /* At most one for each slot; the unused rest is cut off at the end. */
    reserve(link->rela_dyn, link->sizes->rela *
                                (link->n_rela_dyn + link->got_slots->len));
    reserve(link->dynamic_section, link->sizes->dyn * dynamic_entries(link));
    link->n_rela_dyn = 0;
}

static unsigned secondary_offset(Link *link, unsigned i)
{
    return code_size(link, header_code[link->narrow], HEADER_BUNDLES) +
           i * code_size(link, secondary_code, G_N_ELEMENTS(secondary_code));
}

static unsigned primary_offset(Link *link, unsigned i)
{
    return secondary_offset(link, link->plt_symbols->len) +
           i * link_jump_size(link);
}

uint64_t link_plt_address(Link *link, const LinkSymbol *symbol)
{
    return link->plt->address + primary_offset(link, symbol->plt);
}

uint64_t link_plt_secondary(Link *link, const LinkSymbol *symbol)
{
    return link->plt->address + secondary_offset(link, symbol->plt);
}

/* Distance from the start of code (at offset in .plt) to a .got offset. */
static int64_t to_got(const Link *link, uint64_t plt_offset,
                      uint64_t got_offset)
{
    return (int64_t)(link->got->address + got_offset) -
           (int64_t)(link->plt->address + plt_offset);
}

static void fill_plt(Link *link)
{
    g_autoptr(GByteArray) code = g_byte_array_new();
    unsigned n = link->plt_symbols->len;

    if (!link->plt) {
        return;
    }
    for (unsigned i = 0; i < HEADER_BUNDLES; i++) {
        put_bundle(link, code, header_code[link->narrow][i],
                   i == 1 ? to_got(link, 0, link->sizes->word) : 0,
                   i == 1 ? to_got(link, 0, 2 * link->sizes->word) : 0);
    }
    for (unsigned i = 0; i < n; i++) {
        put_bundle(link, code, secondary_code[0], link->sizes->rela * i, 0);
        put_bundle(link, code, secondary_code[1], -(int)code->len, 0);
    }
    for (unsigned i = 0; i < n; i++) {
        ObjSymbol probe = { .link = link->plt_symbols->pdata[i] };
        const GotSlot *slot = link_got_slot(link, &probe, GOT_PLT, 0);

        link_put_jump(link, code, link->plt, slot->offset);
    }
    g_assert(code->len == link->plt->size);
    memcpy(link->plt->data->data, code->data, code->len);
}

void link_dyn_reloc(Link *link, uint64_t address, LinkSymbol *symbol,
                    uint32_t type, int64_t addend)
{
    bool slot = type == link->types->jmp_slot;
    unsigned index = slot ? symbol->plt : link->n_rela_dyn++;
    ObjSection *s = slot ? link->rela_plt : link->rela_dyn;

    g_assert(link->sizes->rela * (index + 1) <= s->data->len);
    elf_put_rela(s->data->data + link->sizes->rela * index, link->narrow,
                 &(ElfRela){ .offset = address, .type = type,
                             .symbol = symbol ? symbol->dynamic : 0,
                             .addend = addend });
    if (!slot) {
        link->text_relocs |= link_in_text(link, address);
    }
}

bool link_in_text(const Link *link, uint64_t address)
{
    for (unsigned i = 0; i < link->order->len; i++) {
        const ObjSection *s = link->order->pdata[i];

        if (!(s->flags & SHF_WRITE) && address >= s->address &&
            address < s->address + s->size) {
            return true;
        }
    }
    return false;
}

static unsigned string_offset(const Link *link, const char *text)
{
    const char *p = link->dynstr_text->str + 1;
    const char *end = link->dynstr_text->str + link->dynstr_text->len;

    for (; p < end; p += strlen(p) + 1) {
        if (strcmp(p, text) == 0) {
            return p - link->dynstr_text->str;
        }
    }
    return 0;
}

static uint32_t elf_hash(const char *name)
{
    uint32_t h = 0;

    for (; *name; name++) {
        uint32_t high;

        h = (h << 4) + (unsigned char)*name;
        high = h & 0xf0000000;
        h ^= high >> 24;
        h &= ~high;
    }
    return h;
}

/* An indirect function with an entry, or elsewhere, is an ordinary one. */
static uint8_t called_type(uint8_t type, bool resolved)
{
    return type == STT_GNU_IFUNC && resolved ? STT_FUNC : type;
}

static void fill_symbols(Link *link)
{
    unsigned n = link->dyn_symbols->len;
    g_autoptr(GByteArray) table = g_byte_array_new();
    uint8_t *hash = link->hash->data->data;

    memcpy(link->dynstr->data->data, link->dynstr_text->str,
           link->dynstr_text->len);
    stl_le_p(hash, n);
    stl_le_p(hash + 4, n);
    elf_add_symbol(table, link->narrow, &(ElfSymbol){ 0 });
    for (unsigned i = 1; i < n; i++) {
        const LinkSymbol *global = link->dyn_symbols->pdata[i];
        const ObjSymbol *def = global->def;
        const ObjSection *section = def ? def->section : NULL;
        ElfSymbol s = {
            .name = string_offset(link, global->name),
            .bind = global->weak ? STB_WEAK : STB_GLOBAL,
            .type = def              ? called_type(def->type, def->iplt)
                    : global->shared ? called_type(global->shared->type, true)
                                     : global->type,
            .visibility = global->visibility,
            .value = def                 ? link_target(link, def)
                     : global->canonical ? link_plt_address(link, global)
                                         : 0,
            .size = def ? def->size : 0,
            .section = !def ? SHN_UNDEF : SHN_ABS,
        };
        uint8_t *bucket = hash + 8 + 4 * (elf_hash(global->name) % n);

        if (section) {
            s.section = (section->output ? section->output : section)
                            ->elf_index;
        }
        if (s.type == STT_TLS && section) {
            s.value -= link->tls_start;
        }
        elf_add_symbol(table, link->narrow, &s);
        stl_le_p(hash + 8 + 4 * (n + i), ldl_le_p(bucket));
        stl_le_p(bucket, i);
    }
    memcpy(link->dynsym->data->data, table->data, table->len);
}

static void put_dynamic(Link *link, unsigned *count, uint64_t tag,
                        uint64_t value)
{
    uint8_t *p = link->dynamic_section->data->data +
                 link->sizes->dyn * (*count)++;

    g_assert(link->sizes->dyn * *count <= link->dynamic_section->data->len);
    elf_put_word(p, link->narrow, tag);
    elf_put_word(p + link->sizes->word, link->narrow, value);
}

static void put_array(Link *link, unsigned *count, const char *name,
                      uint64_t tag, uint64_t size_tag)
{
    const ObjSection *s = obj_section_find(link->out, name);

    if (s && s->size) {
        put_dynamic(link, count, tag, s->address);
        put_dynamic(link, count, size_tag, s->size);
    }
}

static void fill_dynamic(Link *link)
{
    const LinkOptions *o = link->options;
    unsigned n = 0;

    for (unsigned i = 0; i < link->libraries->len; i++) {
        const ObjFile *library = link->libraries->pdata[i];

        put_dynamic(link, &n, DT_NEEDED,
                    string_offset(link, library->soname));
    }
    for (unsigned i = 0; o->needed && o->needed[i]; i++) {
        put_dynamic(link, &n, DT_NEEDED, string_offset(link, o->needed[i]));
    }
    if (o->soname) {
        put_dynamic(link, &n, DT_SONAME, string_offset(link, o->soname));
    }
    put_array(link, &n, ".init_array", DT_INIT_ARRAY, DT_INIT_ARRAYSZ);
    put_array(link, &n, ".fini_array", DT_FINI_ARRAY, DT_FINI_ARRAYSZ);
    put_dynamic(link, &n, DT_HASH, link->hash->address);
    put_dynamic(link, &n, DT_STRTAB, link->dynstr->address);
    put_dynamic(link, &n, DT_SYMTAB, link->dynsym->address);
    put_dynamic(link, &n, DT_STRSZ, link->dynstr->size);
    put_dynamic(link, &n, DT_SYMENT, link->sizes->symbol);
    if (link->plt) {
        put_dynamic(link, &n, DT_PLTRELSZ, link->rela_plt->size);
        put_dynamic(link, &n, DT_PLTREL, DT_RELA);
        put_dynamic(link, &n, DT_JMPREL, link->rela_plt->address);
        put_dynamic(link, &n, DT_E2K_LAZY_GOT, 0);
    }
    if (link->got) {
        put_dynamic(link, &n, DT_PLTGOT, link->got->address);
    }
    if (link->n_rela_dyn) {
        put_dynamic(link, &n, DT_RELA, link->rela_dyn->address);
        put_dynamic(link, &n, DT_RELASZ,
                    link->sizes->rela * link->n_rela_dyn);
        put_dynamic(link, &n, DT_RELAENT, link->sizes->rela);
    }
    if (link->text_relocs) {
        put_dynamic(link, &n, DT_TEXTREL, 0);
    }
    if (o->kind != LINK_SHARED) {
        put_dynamic(link, &n, DT_DEBUG, 0);
    }
    put_dynamic(link, &n, DT_NULL, 0);
}

void link_dyn_fill(Link *link)
{
    if (!link->dynamic) {
        return;
    }
    if (link->got) {
        elf_put_word(link->got->data->data, link->narrow,
                     link->dynamic_section->address);
    }
    fill_plt(link);
    fill_symbols(link);
    link->rela_dyn->size = link->sizes->rela * link->n_rela_dyn;
    fill_dynamic(link);
}
