/*
 * Reading access to ELF64 files.
 */
#include "target-e2k/elf-view.h"

#include <elf.h>
#include <string.h>

#include "target-e2k/asm.h"
#include "util/bytes.h"

typedef struct Input {
    const uint8_t *bytes;
    size_t size;
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
    const uint8_t *b = in->bytes;

    if (in->size < 64 || memcmp(b, "\177ELF", 4) != 0) {
        return fail(in, "not an ELF file");
    }
    if (b[EI_CLASS] != ELFCLASS64 || b[EI_DATA] != ELFDATA2LSB) {
        return fail(in, "not a 64-bit little-endian ELF file");
    }
    view->type = ldw_le_p(b + 16);
    view->machine = ldw_le_p(b + 18);
    view->entry = ldq_le_p(b + 24);
    view->flags = ldl_le_p(b + 48);
    if (view->machine != EM_MCST_ELBRUS && view->machine != 49) {
        return fail(in, "not a file of the e2k architecture");
    }
    unsigned mach = view->machine == 49 ? view->flags >> 28 & 7
                                        : view->flags >> 24;

    view->isa = mach >= 1 && mach <= 7    ? mach
                : mach == 19 || mach == 20 ? 4
                : mach >= 21 && mach <= 23 ? 6
                : mach == 25               ? 7
                                           : 0;
    return true;
}

static bool view_segments(ElfView *view, Input *in)
{
    uint64_t offset = ldq_le_p(in->bytes + 32);

    view->n_segments = ldw_le_p(in->bytes + 56);
    if (view->n_segments == 0) {
        return true;
    }
    if (ldw_le_p(in->bytes + 54) != 56 ||
        !in_file(in, offset, 56ull * view->n_segments)) {
        view->n_segments = 0;
        return fail(in, "program headers outside the file");
    }
    view->segments = g_new(ElfViewSegment, view->n_segments);
    for (unsigned i = 0; i < view->n_segments; i++) {
        const uint8_t *p = in->bytes + offset + 56 * i;

        view->segments[i] = (ElfViewSegment){
            .type = ldl_le_p(p), .flags = ldl_le_p(p + 4),
            .offset = ldq_le_p(p + 8), .vaddr = ldq_le_p(p + 16),
            .paddr = ldq_le_p(p + 24), .file_size = ldq_le_p(p + 32),
            .memory_size = ldq_le_p(p + 40), .align = ldq_le_p(p + 48),
        };
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
    uint64_t offset = ldq_le_p(in->bytes + 40);
    unsigned names = ldw_le_p(in->bytes + 62);

    view->n_sections = ldw_le_p(in->bytes + 60);
    if (view->n_sections == 0) {
        return true;
    }
    if (ldw_le_p(in->bytes + 58) != 64 ||
        !in_file(in, offset, 64ull * view->n_sections)) {
        view->n_sections = 0;
        return fail(in, "section headers outside the file");
    }
    view->sections = g_new0(ElfViewSection, view->n_sections);
    for (unsigned i = 0; i < view->n_sections; i++) {
        const uint8_t *p = in->bytes + offset + 64 * i;
        ElfViewSection *s = &view->sections[i];

        *s = (ElfViewSection){
            .type = ldl_le_p(p + 4), .flags = ldq_le_p(p + 8),
            .address = ldq_le_p(p + 16), .offset = ldq_le_p(p + 24),
            .size = ldq_le_p(p + 32), .link = ldl_le_p(p + 40),
            .info = ldl_le_p(p + 44), .align = ldq_le_p(p + 48),
            .entsize = ldq_le_p(p + 56),
        };
        if (s->type != SHT_NULL && s->type != SHT_NOBITS) {
            if (!in_file(in, s->offset, s->size)) {
                return fail(in, "section outside the file");
            }
            s->data = in->bytes + s->offset;
        }
    }
    for (unsigned i = 0; i < view->n_sections; i++) {
        const char *name = string_at(view, names,
                                     ldl_le_p(in->bytes + offset + 64 * i));

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
    *count = s ? MIN(s->size / 24, G_MAXINT32) : 0;

    ElfViewSymbol *symbols = g_new0(ElfViewSymbol, *count + 1);

    for (unsigned i = 0; i < *count; i++) {
        const uint8_t *p = s->data + 24ull * i;
        const char *name = s->link < view->n_sections
                               ? string_at(view, s->link, ldl_le_p(p))
                               : NULL;

        symbols[i] = (ElfViewSymbol){
            .name = name ? name : "", .bind = p[4] >> 4, .type = p[4] & 15,
            .visibility = p[5] & 3, .section = ldw_le_p(p + 6),
            .value = ldq_le_p(p + 8), .size = ldq_le_p(p + 16),
        };
    }
    return symbols;
}

ElfView *elf_view_new(const uint8_t *bytes, size_t size, GError **error)
{
    ElfView *view = g_new0(ElfView, 1);
    Input in = { bytes, size, error };

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
    unsigned count = s->type == SHT_RELA ? MIN(s->size / 24, G_MAXINT32) : 0;

    *relocs = g_new(ElfViewReloc, count + 1);
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *p = s->data + 24ull * i;
        uint64_t info = ldq_le_p(p + 8);

        (*relocs)[i] = (ElfViewReloc){
            .offset = ldq_le_p(p), .type = info, .symbol = info >> 32,
            .addend = ldq_le_p(p + 16),
        };
    }
    return count;
}
