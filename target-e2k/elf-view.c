/*
 * Reading access to ELF files.
 */
#include "target-e2k/elf-view.h"

#include <elf.h>
#include <string.h>

#include "target-e2k/asm.h"
#include "target-e2k/elf-int.h"

typedef struct Input {
    const uint8_t *bytes;
    size_t size;
    ElfHeader header;
    const ElfSizes *sizes;
    GError **error;
} Input;

static bool fail(Input *in, const char *what)
{
    g_set_error_literal(in->error, asm_error_quark(), 0, what);
    return false;
}

static bool in_file(const Input *in, uint64_t offset, uint64_t size)
{
    return offset <= in->size && size <= in->size - offset;
}

static bool view_header(ElfView *view, Input *in)
{
    const ElfHeader *h = &in->header;

    if (!elf_get_header(in->bytes, in->size, &view->narrow, &in->header,
                        in->error)) {
        return false;
    }
    in->sizes = elf_sizes(view->narrow);
    view->type = h->type;
    view->machine = h->machine;
    view->entry = h->entry;
    view->flags = h->flags;
    view->isa = elf_isa(h);
    return true;
}

static bool view_segments(ElfView *view, Input *in)
{
    const ElfHeader *h = &in->header;

    if (h->phnum == 0) {
        return true;
    }
    if (h->phentsize != in->sizes->segment ||
        !in_file(in, h->phoff, (uint64_t)in->sizes->segment * h->phnum)) {
        return fail(in, "program headers outside the file");
    }
    view->n_segments = h->phnum;
    view->segments = g_new(ElfViewSegment, view->n_segments);
    for (unsigned i = 0; i < view->n_segments; i++) {
        elf_get_segment(in->bytes + h->phoff + in->sizes->segment * i,
                        view->narrow, &view->segments[i]);
    }
    return true;
}

static const char *string_at(const ElfView *view, unsigned section,
                             uint64_t offset)
{
    const ElfViewSection *s;

    if (section >= view->n_sections) {
        return NULL;
    }
    s = &view->sections[section];
    if (s->type != SHT_STRTAB || !s->data || offset >= s->size ||
        !memchr(s->data + offset, 0, s->size - offset)) {
        return NULL;
    }
    return (const char *)s->data + offset;
}

static bool view_sections(ElfView *view, Input *in)
{
    const ElfHeader *h = &in->header;
    const uint8_t *table;

    if (h->shnum == 0) {
        return true;
    }
    if (h->shentsize != in->sizes->section ||
        !in_file(in, h->shoff, (uint64_t)in->sizes->section * h->shnum)) {
        return fail(in, "section headers outside the file");
    }
    table = in->bytes + h->shoff;
    view->n_sections = h->shnum;
    view->sections = g_new0(ElfViewSection, view->n_sections);
    for (unsigned i = 0; i < view->n_sections; i++) {
        ElfViewSection *s = &view->sections[i];
        ElfSection e;

        elf_get_section(table + in->sizes->section * i, view->narrow, &e);
        *s = (ElfViewSection){
            .type = e.type, .flags = e.flags, .address = e.address,
            .offset = e.offset, .size = e.size, .link = e.link,
            .info = e.info, .align = e.align, .entsize = e.entsize,
        };
        if (s->type != SHT_NULL && s->type != SHT_NOBITS) {
            if (!in_file(in, s->offset, s->size)) {
                return fail(in, "section outside the file");
            }
            s->data = in->bytes + s->offset;
        }
    }
    for (unsigned i = 0; i < view->n_sections; i++) {
        ElfSection e;

        elf_get_section(table + in->sizes->section * i, view->narrow, &e);

        const char *name = string_at(view, h->shstrndx, e.name);

        view->sections[i].name = name ? name : "";
    }
    return true;
}

static ElfViewSymbol *view_symbols(const ElfView *view, uint32_t type,
                                   unsigned *count)
{
    const ElfViewSection *s = NULL;

    for (unsigned i = 0; i < view->n_sections && !s; i++) {
        s = view->sections[i].type == type ? &view->sections[i] : NULL;
    }
    unsigned size = elf_sizes(view->narrow)->symbol;

    *count = s ? MIN(s->size / size, G_MAXINT32) : 0;

    ElfViewSymbol *symbols = g_new0(ElfViewSymbol, *count + 1);

    for (unsigned i = 0; i < *count; i++) {
        ElfSymbol e;

        elf_get_symbol(s->data + (uint64_t)size * i, view->narrow, &e);

        const char *name = s->link < view->n_sections
                               ? string_at(view, s->link, e.name)
                               : NULL;

        symbols[i] = (ElfViewSymbol){
            .name = name ? name : "", .bind = e.bind, .type = e.type,
            .visibility = e.visibility, .section = e.section,
            .value = e.value, .size = e.size,
        };
    }
    return symbols;
}

ElfView *elf_view_new(const uint8_t *bytes, size_t size, GError **error)
{
    ElfView *view = g_new0(ElfView, 1);
    Input in = { .bytes = bytes, .size = size, .error = error };

    if (!view_header(view, &in) || !view_segments(view, &in) ||
        !view_sections(view, &in)) {
        elf_view_free(view);
        return NULL;
    }
    view->symbols = view_symbols(view, SHT_SYMTAB, &view->n_symbols);
    view->dynsyms = view_symbols(view, SHT_DYNSYM, &view->n_dynsyms);
    return view;
}

void elf_view_free(ElfView *view)
{
    if (view) {
        g_free(view->sections);
        g_free(view->symbols);
        g_free(view->dynsyms);
        g_free(view->segments);
        g_free(view);
    }
}

unsigned elf_view_relocs(const ElfView *view, unsigned section,
                         ElfViewReloc **relocs)
{
    const ElfViewSection *s = &view->sections[section];
    unsigned size = elf_sizes(view->narrow)->rela;
    unsigned count = s->type == SHT_RELA ? MIN(s->size / size, G_MAXINT32)
                                         : 0;

    *relocs = g_new(ElfViewReloc, count + 1);
    for (unsigned i = 0; i < count; i++) {
        ElfRela e;

        elf_get_rela(s->data + (uint64_t)size * i, view->narrow, &e);
        (*relocs)[i] = (ElfViewReloc){
            .offset = e.offset, .type = e.type, .symbol = e.symbol,
            .addend = e.addend,
        };
    }
    return count;
}
