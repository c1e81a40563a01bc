/*
 * ELF64 files as input of the linker, with every offset and index checked:
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
    unsigned shnum;
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
    const uint8_t *b = r->bytes;

    if (r->size < 64 || memcmp(b, "\177ELF", 4) != 0) {
        return fail(r, "not an ELF file");
    }
    unsigned machine = ldw_le_p(b + 18);

    if (b[EI_CLASS] != ELFCLASS64 || b[EI_DATA] != ELFDATA2LSB ||
        (machine != EM_MCST_ELBRUS && machine != 49)) {
        return fail(r, "not a 64-bit e2k file");
    }
    if (ldw_le_p(b + 16) != ET_REL && ldw_le_p(b + 16) != ET_DYN) {
        return fail(r, "neither a relocatable object file nor a shared "
                    "library");
    }
    r->file->shared = ldw_le_p(b + 16) == ET_DYN;
    uint64_t shoff = ldq_le_p(b + 40);

    r->shnum = ldw_le_p(b + 60);
    r->file->isa = ldl_le_p(b + 48) >> 24;
    if (ldw_le_p(b + 58) != 64 || r->shnum == 0 ||
        !in_file(r, shoff, 64ull * r->shnum)) {
        return fail(r, "section headers outside the file");
    }
    r->headers = g_new(ElfSection, r->shnum);
    for (unsigned i = 0; i < r->shnum; i++) {
        const uint8_t *p = b + shoff + 64 * i;

        r->headers[i] = (ElfSection){
            .name = ldl_le_p(p), .type = ldl_le_p(p + 4),
            .flags = ldq_le_p(p + 8), .address = ldq_le_p(p + 16),
            .offset = ldq_le_p(p + 24), .size = ldq_le_p(p + 32),
            .link = ldl_le_p(p + 40), .info = ldl_le_p(p + 44),
            .align = ldq_le_p(p + 48), .entsize = ldq_le_p(p + 56),
        };
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
    unsigned shstrndx = ldw_le_p(r->bytes + 62);

    for (unsigned i = 0; i < r->shnum; i++) {
        const ElfSection *h = &r->headers[i];

        if (!is_contents(h)) {
            continue;
        }
        const char *name = string_at(r, shstrndx, h->name);

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
    unsigned section = ldw_le_p(p + 6);
    const char *name = string_at(r, strtab, ldl_le_p(p));

    if (!name) {
        return fail(r, "symbol without a name");
    }
    ObjSymbol *s = obj_symbol_new(r->file, name);

    s->bind = p[4] >> 4;
    s->type = p[4] & 15;
    s->visibility = p[5] & 3;
    s->value = ldq_le_p(p + 8);
    s->size = ldq_le_p(p + 16);
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
    r->n_symbols = h->size / 24;
    r->symbols = g_new0(ObjSymbol *, r->n_symbols + 1);
    for (unsigned i = 1; i < r->n_symbols; i++) {
        if (!read_symbol(r, r->bytes + h->offset + 24ull * i, h->link,
                         &r->symbols[i])) {
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

    for (uint64_t i = 0; i < h->size / 24; i++) {
        const uint8_t *p = r->bytes + h->offset + 24 * i;
        uint64_t info = ldq_le_p(p + 8);
        ObjReloc reloc = {
            .offset = ldq_le_p(p), .type = info,
            .addend = ldq_le_p(p + 16),
        };

        if (info >> 32 && info >> 32 >= r->n_symbols) {
            return fail(r, "relocation against a symbol that does not exist");
        }
        reloc.symbol = info >> 32 ? r->symbols[info >> 32] : NULL;
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

    for (uint64_t i = 0; h && i < h->size / 16; i++) {
        const uint8_t *p = r->bytes + h->offset + 16 * i;

        if (ldq_le_p(p) == DT_SONAME) {
            const char *name = string_at(r, h->link, ldq_le_p(p + 8));

            if (!name || !*name) {
                return fail(r, "library name outside the file");
            }
            g_free(r->file->soname);
            r->file->soname = g_strdup(name);
        } else if (ldq_le_p(p) == DT_NULL) {
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
    const char *name = string_at(r, strtab, ldl_le_p(p));
    unsigned section = ldw_le_p(p + 6);
    unsigned bind = p[4] >> 4;
    unsigned visibility = p[5] & 3;

    if (!name) {
        return fail(r, "symbol without a name");
    }
    if (section == SHN_UNDEF || bind == STB_LOCAL ||
        (visibility != STV_DEFAULT && visibility != STV_PROTECTED)) {
        return true;
    }
    ObjSymbol *s = obj_symbol_new(r->file, name);

    s->bind = bind;
    s->type = p[4] & 15;
    s->visibility = visibility;
    s->value = ldq_le_p(p + 8);
    s->size = ldq_le_p(p + 16);
    s->defined = true;
    s->align = 16;
    if (section < r->shnum && r->headers[section].align &&
        r->headers[section].align < LIBRARY_MAX_ALIGN) {
        s->align = r->headers[section].align;
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
    for (uint64_t i = 1; i < h->size / 24; i++) {
        if (!is_old_version(r, versions, i) &&
            !read_library_symbol(r, r->bytes + h->offset + 24 * i, h->link)) {
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
