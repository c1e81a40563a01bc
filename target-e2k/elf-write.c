/*
 * Relocatable ELF files: writing.
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

/* A larger alignment is for memory, not for the place in the file. */
enum { MAX_PAD = 4096 };

typedef struct Writer {
    ObjFile *file;
    GByteArray *out;
    GArray *headers;  /* ElfSection */
    GString *names;
    GString *strings;
    GByteArray *symtab;
    unsigned n_local;
    bool narrow;
    const ElfSizes *sizes;
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

    symbol->index = w->symtab->len / w->sizes->symbol;
    elf_add_symbol(w->symtab, w->narrow, &s);
}

static void write_symbols(Writer *w)
{
    GPtrArray *symbols = w->file->symbols;

    elf_add_symbol(w->symtab, w->narrow, &(ElfSymbol){ 0 });
    for (unsigned global = 0; global < 2; global++) {
        for (unsigned i = 0; i < symbols->len; i++) {
            ObjSymbol *symbol = symbols->pdata[i];

            if ((symbol->bind != STB_LOCAL) == global) {
                write_symbol(w, symbol);
            }
        }
        if (!global) {
            w->n_local = w->symtab->len / w->sizes->symbol;
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

    elf_pad(w->out, MIN(section->align, MAX_PAD));
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
        .size = section->relocs->len * w->sizes->rela,
        .link = symtab,
        .info = section->index,
        .align = w->sizes->word,
        .entsize = w->sizes->rela,
    });
    for (unsigned i = 0; i < section->relocs->len; i++) {
        const ObjReloc *r = &g_array_index(section->relocs, ObjReloc, i);

        elf_add_rela(w->out, w->narrow, &(ElfRela){
            .offset = r->offset, .type = r->type, .addend = r->addend,
            .symbol = r->symbol ? r->symbol->index : 0,
        });
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
                     .type = SHT_SYMTAB, .align = w->sizes->word,
                     .entsize = w->sizes->symbol };

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
        .narrow = file->narrow,
        .sizes = elf_sizes(file->narrow),
    };
    uint8_t header[ELF_HEADER_MAX] = { 0 };

    elf_string(w.strings, "");
    g_byte_array_append(w.out, header, w.sizes->header);
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
    elf_put_header(header, w.narrow, &(ElfHeader){
        .type = ET_REL,
        .flags = obj_elf_flags(file->isa),
        .shoff = w.out->len,
        .shnum = w.headers->len,
        .shstrndx = w.headers->len - 1,
    });
    memcpy(w.out->data, header, w.sizes->header);
    for (unsigned i = 0; i < w.headers->len; i++) {
        elf_add_section(w.out, w.narrow,
                        &g_array_index(w.headers, ElfSection, i));
    }
    g_array_unref(w.headers);
    g_string_free(w.names, TRUE);
    g_string_free(w.strings, TRUE);
    g_byte_array_unref(w.symtab);
    return w.out;
}
