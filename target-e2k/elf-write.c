/*
 * Relocatable ELF64 files: writing.
 *
 *   header | section contents | .rela.* | .symtab .strtab .shstrtab | headers
 *
 * Local symbols come first in the symbol table, as ELF wants.
 */
#include "target-e2k/obj.h"

#include <elf.h>
#include <string.h>

#include "target-e2k/elf-int.h"
#include "util/bytes.h"

unsigned elf_string(GString *table, const char *text)
{
    if (table->len == 0) {
        g_string_append_c(table, '\0');
    }
    if (!*text) {
        return 0;
    }
    unsigned offset = table->len;

    g_string_append_len(table, text, strlen(text) + 1);
    return offset;
}

void elf_pad(GByteArray *out, uint64_t align)
{
    static const uint8_t zero[4096];

    while (out->len & (align - 1)) {
        g_byte_array_append(out, zero,
                            MIN(align - (out->len & (align - 1)),
                                sizeof(zero)));
    }
}

void elf_put_symbol(GByteArray *out, const ElfSymbol *s)
{
    uint8_t b[24];

    stl_le_p(b, s->name);
    b[4] = s->bind << 4 | s->type;
    b[5] = s->visibility;
    stw_le_p(b + 6, s->section);
    stq_le_p(b + 8, s->value);
    stq_le_p(b + 16, s->size);
    g_byte_array_append(out, b, sizeof(b));
}

void elf_put_rela(GByteArray *out, uint64_t offset, uint32_t symbol,
                  uint32_t type, int64_t addend)
{
    uint8_t b[24];

    stq_le_p(b, offset);
    stq_le_p(b + 8, (uint64_t)symbol << 32 | type);
    stq_le_p(b + 16, addend);
    g_byte_array_append(out, b, sizeof(b));
}

void elf_put_section(GByteArray *out, const ElfSection *s)
{
    uint8_t b[64];

    stl_le_p(b, s->name);
    stl_le_p(b + 4, s->type);
    stq_le_p(b + 8, s->flags);
    stq_le_p(b + 16, s->address);
    stq_le_p(b + 24, s->offset);
    stq_le_p(b + 32, s->size);
    stl_le_p(b + 40, s->link);
    stl_le_p(b + 44, s->info);
    stq_le_p(b + 48, s->align);
    stq_le_p(b + 56, s->entsize);
    g_byte_array_append(out, b, sizeof(b));
}

void elf_put_header(uint8_t b[64], const ElfHeader *h)
{
    memset(b, 0, 64);
    memcpy(b, "\177ELF", 4);
    b[EI_CLASS] = ELFCLASS64;
    b[EI_DATA] = ELFDATA2LSB;
    b[EI_VERSION] = EV_CURRENT;
    stw_le_p(b + 16, h->type);
    stw_le_p(b + 18, EM_MCST_ELBRUS);
    stl_le_p(b + 20, EV_CURRENT);
    stq_le_p(b + 24, h->entry);
    stq_le_p(b + 32, h->phoff);
    stq_le_p(b + 40, h->shoff);
    stl_le_p(b + 48, h->flags);
    stw_le_p(b + 52, 64);
    stw_le_p(b + 54, h->phnum ? 56 : 0);
    stw_le_p(b + 56, h->phnum);
    stw_le_p(b + 58, 64);
    stw_le_p(b + 60, h->shnum);
    stw_le_p(b + 62, h->shstrndx);
}

typedef struct Writer {
    ObjFile *file;
    GByteArray *out;
    GArray *headers;  /* ElfSection */
    GString *names;
    GString *strings;
    GByteArray *symtab;
    unsigned n_local;
} Writer;

static unsigned add_header(Writer *w, ElfSection section)
{
    g_array_append_val(w->headers, section);
    return w->headers->len - 1;
}

static void write_symbol(Writer *w, ObjSymbol *symbol)
{
    ElfSymbol s = {
        .name = elf_string(w->strings, symbol->name),
        .bind = symbol->bind,
        .type = symbol->type,
        .visibility = symbol->visibility,
        .section = symbol->common     ? SHN_COMMON
                   : symbol->section  ? symbol->section->index
                   : symbol->defined  ? SHN_ABS
                                      : SHN_UNDEF,
        .value = symbol->value,
        .size = symbol->size,
    };

    symbol->index = w->symtab->len / 24;
    elf_put_symbol(w->symtab, &s);
}

static void write_symbols(Writer *w)
{
    GPtrArray *symbols = w->file->symbols;

    elf_put_symbol(w->symtab, &(ElfSymbol){ 0 });
    for (unsigned global = 0; global < 2; global++) {
        for (unsigned i = 0; i < symbols->len; i++) {
            ObjSymbol *symbol = symbols->pdata[i];

            if ((symbol->bind != STB_LOCAL) == global) {
                write_symbol(w, symbol);
            }
        }
        if (!global) {
            w->n_local = w->symtab->len / 24;
        }
    }
}

static void write_contents(Writer *w, ObjSection *section)
{
    ElfSection header = {
        .name = elf_string(w->names, section->name),
        .type = section->type,
        .flags = section->flags,
        .size = section->size,
        .align = section->align,
        .entsize = section->entsize,
    };

    elf_pad(w->out, section->align);
    header.offset = w->out->len;
    if (section->type != SHT_NOBITS) {
        g_byte_array_append(w->out, section->data->data, section->data->len);
    }
    section->index = add_header(w, header);
}

static void write_relocs(Writer *w, const ObjSection *section,
                         unsigned symtab)
{
    g_autofree char *name = g_strconcat(".rela", section->name, NULL);

    elf_pad(w->out, 8);
    add_header(w, (ElfSection){
        .name = elf_string(w->names, name),
        .type = SHT_RELA,
        .flags = SHF_INFO_LINK,
        .offset = w->out->len,
        .size = section->relocs->len * 24,
        .link = symtab,
        .info = section->index,
        .align = 8,
        .entsize = 24,
    });
    for (unsigned i = 0; i < section->relocs->len; i++) {
        const ObjReloc *r = &g_array_index(section->relocs, ObjReloc, i);

        elf_put_rela(w->out, r->offset, r->symbol ? r->symbol->index : 0,
                     r->type, r->addend);
    }
}

static unsigned count_reloc_sections(const ObjFile *file)
{
    unsigned count = 0;

    for (unsigned i = 0; i < file->sections->len; i++) {
        const ObjSection *section = file->sections->pdata[i];

        count += section->relocs->len != 0;
    }
    return count;
}

static void write_tables(Writer *w)
{
    ElfSection h = { .name = elf_string(w->names, ".symtab"),
                     .type = SHT_SYMTAB, .align = 8, .entsize = 24 };

    elf_pad(w->out, 8);
    h.offset = w->out->len;
    h.size = w->symtab->len;
    h.link = w->headers->len + 1;
    h.info = w->n_local;
    add_header(w, h);
    g_byte_array_append(w->out, w->symtab->data, w->symtab->len);

    h = (ElfSection){ .name = elf_string(w->names, ".strtab"),
                      .type = SHT_STRTAB, .align = 1,
                      .offset = w->out->len, .size = w->strings->len };
    add_header(w, h);
    g_byte_array_append(w->out, (const uint8_t *)w->strings->str,
                        w->strings->len);

    h = (ElfSection){ .name = elf_string(w->names, ".shstrtab"),
                      .type = SHT_STRTAB, .align = 1,
                      .offset = w->out->len };
    h.size = w->names->len;
    add_header(w, h);
    g_byte_array_append(w->out, (const uint8_t *)w->names->str,
                        w->names->len);
}

GByteArray *obj_to_elf(ObjFile *file)
{
    Writer w = {
        .file = file,
        .out = g_byte_array_new(),
        .headers = g_array_new(FALSE, TRUE, sizeof(ElfSection)),
        .names = g_string_new(NULL),
        .strings = g_string_new(NULL),
        .symtab = g_byte_array_new(),
    };
    uint8_t header[64] = { 0 };

    elf_string(w.strings, "");
    g_byte_array_append(w.out, header, sizeof(header));
    add_header(&w, (ElfSection){ 0 });
    for (unsigned i = 0; i < file->sections->len; i++) {
        write_contents(&w, file->sections->pdata[i]);
    }
    write_symbols(&w);

    unsigned symtab = w.headers->len + count_reloc_sections(file);

    for (unsigned i = 0; i < file->sections->len; i++) {
        const ObjSection *section = file->sections->pdata[i];

        if (section->relocs->len) {
            write_relocs(&w, section, symtab);
        }
    }
    write_tables(&w);
    elf_pad(w.out, 8);
    elf_put_header(header, &(ElfHeader){
        .type = ET_REL,
        .flags = obj_elf_flags(file->isa),
        .shoff = w.out->len,
        .shnum = w.headers->len,
        .shstrndx = w.headers->len - 1,
    });
    memcpy(w.out->data, header, sizeof(header));
    for (unsigned i = 0; i < w.headers->len; i++) {
        elf_put_section(w.out, &g_array_index(w.headers, ElfSection, i));
    }
    g_array_unref(w.headers);
    g_string_free(w.names, TRUE);
    g_string_free(w.strings, TRUE);
    g_byte_array_unref(w.symtab);
    return w.out;
}
