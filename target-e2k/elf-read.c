/*
 * ELF files as input of the linker, with every offset and index checked:
 * relocatable files whole, of shared libraries the names they define.
 */
#include "target-e2k/obj.h"

#include <elf.h>
#include <string.h>

#include "target-e2k/asm.h"
#include "target-e2k/elf-int.h"
#include "util/bytes.h"

enum { LIBRARY_MAX_ALIGN = 4096 };

typedef struct Reader {
    const char *name;
    const uint8_t *bytes;
    size_t size;
    bool narrow;
    const ElfSizes *sizes;
    unsigned shnum;
    unsigned shstrndx;
    ElfSection *headers;
    ObjFile *file;
    ObjSection **sections; /* by ELF number; NULL for tables */
    ObjSymbol **symbols;   /* by ELF number */
    unsigned n_symbols;
    GError **error;
} Reader;

static bool fail(Reader *r, const char *what)
{
    g_set_error(r->error, asm_error_quark(), 0, "%s: %s", r->name, what);
    return false;
}

static bool in_file(const Reader *r, uint64_t offset, uint64_t size)
{
    return offset <= r->size && size <= r->size - offset;
}

static bool read_header(Reader *r)
{
    ElfHeader h;

    if (!elf_get_header(r->bytes, r->size, &r->narrow, &h, r->error)) {
        g_prefix_error(r->error, "%s: ", r->name);
        return false;
    }
    if (h.type != ET_REL && h.type != ET_DYN) {
        return fail(r, "neither a relocatable object file nor a shared "
                    "library");
    }
    if (elf_is_protected(&h)) {
        return fail(r, "protected (128-bit pointer) mode is not supported");
    }
    r->file->shared = h.type == ET_DYN;
    r->file->narrow = r->narrow;
    r->file->isa = elf_isa(&h);
    r->sizes = elf_sizes(r->narrow);
    r->shnum = h.shnum;
    r->shstrndx = h.shstrndx;
    if (h.shentsize != r->sizes->section || r->shnum == 0 ||
        !in_file(r, h.shoff, (uint64_t)r->sizes->section * r->shnum)) {
        return fail(r, "section headers outside the file");
    }
    r->headers = g_new(ElfSection, r->shnum);
    for (unsigned i = 0; i < r->shnum; i++) {
        elf_get_section(r->bytes + h.shoff + r->sizes->section * i, r->narrow,
                        &r->headers[i]);
        if (r->headers[i].type != SHT_NOBITS &&
            r->headers[i].type != SHT_NULL &&
            !in_file(r, r->headers[i].offset, r->headers[i].size)) {
            return fail(r, "section outside the file");
        }
    }
    return true;
}

/* A string of a string-table section, or NULL. */
static const char *string_at(const Reader *r, unsigned section,
                             uint64_t offset)
{
    if (section >= r->shnum || r->headers[section].type != SHT_STRTAB ||
        offset >= r->headers[section].size) {
        return NULL;
    }
    const char *text =
        (const char *)r->bytes + r->headers[section].offset + offset;

    return memchr(text, 0, r->headers[section].size - offset) ? text : NULL;
}

static bool is_contents(const ElfSection *h)
{
    switch (h->type) {
    case SHT_NULL:
    case SHT_SYMTAB:
    case SHT_STRTAB:
    case SHT_RELA:
    case SHT_REL:
    case SHT_GROUP:
    case SHT_SYMTAB_SHNDX:
        return false;
    default:
        return true;
    }
}

static bool read_sections(Reader *r)
{
    for (unsigned i = 0; i < r->shnum; i++) {
        const ElfSection *h = &r->headers[i];

        if (!is_contents(h)) {
            continue;
        }
        const char *name = string_at(r, r->shstrndx, h->name);

        if (!name) {
            return fail(r, "section without a name");
        }
        if (h->align > 1 << 30 || (h->align & (h->align - 1)) ||
            h->size > (uint64_t)1 << 40) {
            return fail(r, "section with an impossible size or alignment");
        }
        ObjSection *s = obj_section_new(r->file, name, h->type, h->flags);

        s->align = MAX(h->align, 1);
        s->entsize = h->entsize;
        s->size = h->size;
        if (h->type != SHT_NOBITS) {
            g_byte_array_append(s->data, r->bytes + h->offset, h->size);
        }
        r->sections[i] = s;
    }
    return true;
}

static bool read_symbol(Reader *r, const uint8_t *p, unsigned strtab,
                        ObjSymbol **result)
{
    ElfSymbol e;

    elf_get_symbol(p, r->narrow, &e);

    unsigned section = e.section;
    const char *name = string_at(r, strtab, e.name);

    if (!name) {
        return fail(r, "symbol without a name");
    }
    ObjSymbol *s = obj_symbol_new(r->file, name);

    s->bind = e.bind;
    s->type = e.type;
    s->visibility = e.visibility;
    s->value = e.value;
    s->size = e.size;
    s->common = section == SHN_COMMON;
    s->defined = section != SHN_UNDEF && !s->common;
    if (s->common && (s->value == 0 || s->value > 1 << 30 ||
                      (s->value & (s->value - 1)))) {
        return fail(r, "common symbol with an impossible alignment");
    }
    if (s->defined && section != SHN_ABS) {
        if (section >= r->shnum || !r->sections[section]) {
            if (s->type != STT_SECTION) {
                return fail(r, "symbol in a section that does not exist");
            }
            s->defined = false;
        } else {
            s->section = r->sections[section];
            if (s->value > s->section->size) {
                return fail(r, "symbol outside its section");
            }
        }
    }
    *result = s;
    return true;
}

static bool read_symbols(Reader *r, const ElfSection *h)
{
    r->n_symbols = h->size / r->sizes->symbol;
    r->symbols = g_new0(ObjSymbol *, r->n_symbols + 1);
    for (unsigned i = 1; i < r->n_symbols; i++) {
        if (!read_symbol(r, r->bytes + h->offset +
                                (uint64_t)r->sizes->symbol * i,
                         h->link, &r->symbols[i])) {
            return false;
        }
    }
    return true;
}

static bool read_relocs(Reader *r, const ElfSection *h)
{
    if (h->info >= r->shnum || !r->sections[h->info]) {
        return true; /* of a section that is dropped */
    }
    ObjSection *section = r->sections[h->info];

    for (uint64_t i = 0; i < h->size / r->sizes->rela; i++) {
        ElfRela e;

        elf_get_rela(r->bytes + h->offset + r->sizes->rela * i, r->narrow, &e);

        ObjReloc reloc = {
            .offset = e.offset, .type = e.type, .addend = e.addend,
        };

        if (e.symbol && e.symbol >= r->n_symbols) {
            return fail(r, "relocation against a symbol that does not exist");
        }
        reloc.symbol = e.symbol ? r->symbols[e.symbol] : NULL;
        if (section->type == SHT_NOBITS ||
            reloc.offset > section->size ||
            (reloc.type != R_E2K_NONE && section->size - reloc.offset < 4)) {
            return fail(r, "relocation outside its section");
        }
        g_array_append_val(section->relocs, reloc);
    }
    return true;
}

static bool read_tables(Reader *r)
{
    for (unsigned i = 0; i < r->shnum; i++) {
        if (r->headers[i].type == SHT_SYMTAB) {
            if (r->symbols) {
                return fail(r, "two symbol tables");
            }
            if (!read_symbols(r, &r->headers[i])) {
                return false;
            }
        }
    }
    for (unsigned i = 0; i < r->shnum; i++) {
        if (r->headers[i].type == SHT_REL) {
            return fail(r, "relocations without addends");
        }
        if (r->headers[i].type == SHT_RELA &&
            !read_relocs(r, &r->headers[i])) {
            return false;
        }
    }
    return true;
}

static const ElfSection *find_header(const Reader *r, uint32_t type)
{
    for (unsigned i = 0; i < r->shnum; i++) {
        if (r->headers[i].type == type) {
            return &r->headers[i];
        }
    }
    return NULL;
}

/* DT_SONAME, if there is one. */
static bool read_soname(Reader *r)
{
    const ElfSection *h = find_header(r, SHT_DYNAMIC);

    for (uint64_t i = 0; h && i < h->size / r->sizes->dyn; i++) {
        const uint8_t *p = r->bytes + h->offset + r->sizes->dyn * i;
        uint64_t tag = elf_get_word(p, r->narrow);

        if (tag == DT_SONAME) {
            const char *name =
                string_at(r, h->link, elf_get_word(p + r->sizes->word,
                                                   r->narrow));

            if (!name || !*name) {
                return fail(r, "library name outside the file");
            }
            g_free(r->file->soname);
            r->file->soname = g_strdup(name);
        } else if (tag == DT_NULL) {
            break;
        }
    }
    return true;
}

/* Whether a version table hides symbol i from new programs. */
static bool is_old_version(const Reader *r, const ElfSection *versions,
                           uint64_t i)
{
    return versions && 2 * i + 2 <= versions->size &&
           (ldw_le_p(r->bytes + versions->offset + 2 * i) & 0x8000);
}

static bool read_library_symbol(Reader *r, const uint8_t *p, unsigned strtab)
{
    ElfSymbol e;

    elf_get_symbol(p, r->narrow, &e);

    const char *name = string_at(r, strtab, e.name);

    if (!name) {
        return fail(r, "symbol without a name");
    }
    if (e.section == SHN_UNDEF || e.bind == STB_LOCAL ||
        (e.visibility != STV_DEFAULT && e.visibility != STV_PROTECTED)) {
        return true;
    }
    ObjSymbol *s = obj_symbol_new(r->file, name);

    s->bind = e.bind;
    s->type = e.type;
    s->visibility = e.visibility;
    s->value = e.value;
    s->size = e.size;
    s->defined = true;
    s->align = 16;
    if (e.section < r->shnum && r->headers[e.section].align &&
        r->headers[e.section].align < LIBRARY_MAX_ALIGN) {
        s->align = r->headers[e.section].align;
    }
    if (s->value) { /* not more than its address has */
        s->align = MIN((uint64_t)s->align, s->value & -s->value);
    }
    return true;
}

static bool read_library(Reader *r)
{
    const ElfSection *h = find_header(r, SHT_DYNSYM);
    const ElfSection *versions = find_header(r, SHT_GNU_versym);

    if (!h) {
        return fail(r, "shared library without dynamic symbols");
    }
    for (uint64_t i = 1; i < h->size / r->sizes->symbol; i++) {
        if (!is_old_version(r, versions, i) &&
            !read_library_symbol(r, r->bytes + h->offset +
                                        r->sizes->symbol * i, h->link)) {
            return false;
        }
    }
    return read_soname(r);
}

ObjFile *obj_from_elf(const char *name, const uint8_t *bytes, size_t size,
                      GError **error)
{
    Reader r = {
        .name = name, .bytes = bytes, .size = size,
        .file = obj_file_new(name), .error = error,
    };
    bool ok = read_header(&r);

    if (ok && r.file->shared) {
        ok = read_library(&r);
    } else if (ok) {
        r.sections = g_new0(ObjSection *, r.shnum);
        ok = read_sections(&r) && read_tables(&r);
    }
    g_free(r.headers);
    g_free(r.sections);
    g_free(r.symbols);
    if (!ok) {
        obj_file_free(r.file);
        return NULL;
    }
    return r.file;
}
