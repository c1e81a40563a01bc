/*
 * ELF records in the file formats of both classes.
 *
 * Source: shared facts "linux/abi.md" section 1, and the System V ABI.
 */
#include "target-e2k/elf-int.h"

#include <elf.h>
#include <string.h>

#include "target-e2k/asm.h"
#include "util/bytes.h"

static const ElfSizes sizes[2] = {
    { 64, 56, 64, 24, 24, 16, 8 },
    { 52, 32, 40, 16, 12, 8, 4 },
};

const ElfSizes *elf_sizes(bool narrow)
{
    return &sizes[narrow];
}

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

uint64_t elf_get_word(const uint8_t *p, bool narrow)
{
    return narrow ? ldl_le_p(p) : ldq_le_p(p);
}

void elf_put_word(uint8_t *p, bool narrow, uint64_t value)
{
    if (narrow) {
        stl_le_p(p, value);
    } else {
        stq_le_p(p, value);
    }
}

/*
 * Records whose fields have the same order in both classes are read and
 * written through a cursor; the others field by field.
 */
static uint64_t take(const uint8_t **p, bool narrow)
{
    uint64_t value = elf_get_word(*p, narrow);

    *p += sizes[narrow].word;
    return value;
}

static void give(uint8_t **p, bool narrow, uint64_t value)
{
    elf_put_word(*p, narrow, value);
    *p += sizes[narrow].word;
}

static bool fail(GError **error, const char *what)
{
    g_set_error_literal(error, asm_error_quark(), 0, what);
    return false;
}

bool elf_get_header(const uint8_t *b, uint64_t size, bool *narrow,
                    ElfHeader *h, GError **error)
{
    const uint8_t *p = b + 24;

    if (size < 20 || memcmp(b, ELFMAG, SELFMAG) != 0) {
        return fail(error, "not an ELF file");
    }
    if ((b[EI_CLASS] != ELFCLASS64 && b[EI_CLASS] != ELFCLASS32) ||
        b[EI_DATA] != ELFDATA2LSB || b[EI_VERSION] != EV_CURRENT) {
        return fail(error, "not a little-endian ELF file of version 1");
    }
    h->type = ldw_le_p(b + 16);
    h->machine = ldw_le_p(b + 18);
    h->semantic = b[7];
    if (h->machine != EM_MCST_ELBRUS && h->machine != EM_E2K_OLD) {
        return fail(error, "not a file of the e2k architecture");
    }
    *narrow = b[EI_CLASS] == ELFCLASS32;
    if (size < sizes[*narrow].header) {
        return fail(error, "truncated ELF header");
    }
    h->version = ldl_le_p(b + 20);
    h->entry = take(&p, *narrow);
    h->phoff = take(&p, *narrow);
    h->shoff = take(&p, *narrow);
    h->flags = ldl_le_p(p);
    h->ehsize = ldw_le_p(p + 4);
    h->phentsize = ldw_le_p(p + 6);
    h->phnum = ldw_le_p(p + 8);
    h->shentsize = ldw_le_p(p + 10);
    h->shnum = ldw_le_p(p + 12);
    h->shstrndx = ldw_le_p(p + 14);
    return true;
}

void elf_put_header(uint8_t *b, bool narrow, const ElfHeader *h)
{
    const ElfSizes *s = &sizes[narrow];
    uint8_t *p = b + 24;

    memset(b, 0, s->header);
    memcpy(b, ELFMAG, SELFMAG);
    b[EI_CLASS] = narrow ? ELFCLASS32 : ELFCLASS64;
    b[EI_DATA] = ELFDATA2LSB;
    b[EI_VERSION] = EV_CURRENT;
    stw_le_p(b + 16, h->type);
    stw_le_p(b + 18, h->machine ? h->machine : EM_MCST_ELBRUS);
    stl_le_p(b + 20, EV_CURRENT);
    give(&p, narrow, h->entry);
    give(&p, narrow, h->phoff);
    give(&p, narrow, h->shoff);
    stl_le_p(p, h->flags);
    stw_le_p(p + 4, s->header);
    stw_le_p(p + 6, h->phnum ? s->segment : 0);
    stw_le_p(p + 8, h->phnum);
    stw_le_p(p + 10, s->section);
    stw_le_p(p + 12, h->shnum);
    stw_le_p(p + 14, h->shstrndx);
}

void elf_get_segment(const uint8_t *p, bool narrow, ElfSegment *s)
{
    const uint8_t *at = p + (narrow ? 4 : 8);

    s->type = ldl_le_p(p);
    s->flags = ldl_le_p(p + (narrow ? 24 : 4));
    s->offset = take(&at, narrow);
    s->vaddr = take(&at, narrow);
    s->paddr = take(&at, narrow);
    s->file_size = take(&at, narrow);
    s->memory_size = take(&at, narrow);
    s->align = elf_get_word(p + (narrow ? 28 : 48), narrow);
}

void elf_put_segment(uint8_t *p, bool narrow, const ElfSegment *s)
{
    uint8_t *at = p + (narrow ? 4 : 8);

    stl_le_p(p, s->type);
    stl_le_p(p + (narrow ? 24 : 4), s->flags);
    give(&at, narrow, s->offset);
    give(&at, narrow, s->vaddr);
    give(&at, narrow, s->paddr);
    give(&at, narrow, s->file_size);
    give(&at, narrow, s->memory_size);
    elf_put_word(p + (narrow ? 28 : 48), narrow, s->align);
}

void elf_get_section(const uint8_t *p, bool narrow, ElfSection *s)
{
    s->name = ldl_le_p(p);
    s->type = ldl_le_p(p + 4);
    p += 8;
    s->flags = take(&p, narrow);
    s->address = take(&p, narrow);
    s->offset = take(&p, narrow);
    s->size = take(&p, narrow);
    s->link = ldl_le_p(p);
    s->info = ldl_le_p(p + 4);
    p += 8;
    s->align = take(&p, narrow);
    s->entsize = take(&p, narrow);
}

void elf_add_section(GByteArray *out, bool narrow, const ElfSection *s)
{
    uint8_t b[64];
    uint8_t *p = b + 8;

    stl_le_p(b, s->name);
    stl_le_p(b + 4, s->type);
    give(&p, narrow, s->flags);
    give(&p, narrow, s->address);
    give(&p, narrow, s->offset);
    give(&p, narrow, s->size);
    stl_le_p(p, s->link);
    stl_le_p(p + 4, s->info);
    p += 8;
    give(&p, narrow, s->align);
    give(&p, narrow, s->entsize);
    g_byte_array_append(out, b, sizes[narrow].section);
}

/* Where the bytes of a symbol that are no words stand. */
static unsigned symbol_info(bool narrow)
{
    return narrow ? 12 : 4;
}

void elf_get_symbol(const uint8_t *p, bool narrow, ElfSymbol *s)
{
    const uint8_t *info = p + symbol_info(narrow);
    const uint8_t *at = p + (narrow ? 4 : 8);

    s->name = ldl_le_p(p);
    s->bind = info[0] >> 4;
    s->type = info[0] & 15;
    s->visibility = info[1] & 3;
    s->section = ldw_le_p(info + 2);
    s->value = take(&at, narrow);
    s->size = take(&at, narrow);
}

void elf_add_symbol(GByteArray *out, bool narrow, const ElfSymbol *s)
{
    uint8_t b[24];
    uint8_t *info = b + symbol_info(narrow);
    uint8_t *at = b + (narrow ? 4 : 8);

    stl_le_p(b, s->name);
    info[0] = s->bind << 4 | s->type;
    info[1] = s->visibility;
    stw_le_p(info + 2, s->section);
    give(&at, narrow, s->value);
    give(&at, narrow, s->size);
    g_byte_array_append(out, b, sizes[narrow].symbol);
}

void elf_get_rela(const uint8_t *p, bool narrow, ElfRela *r)
{
    uint64_t info = elf_get_word(p + sizes[narrow].word, narrow);
    uint64_t addend = elf_get_word(p + 2 * sizes[narrow].word, narrow);

    r->offset = elf_get_word(p, narrow);
    r->symbol = info >> (narrow ? 8 : 32);
    r->type = narrow ? info & 0xff : info;
    r->addend = narrow ? (int32_t)addend : (int64_t)addend;
}

void elf_put_rela(uint8_t *p, bool narrow, const ElfRela *r)
{
    give(&p, narrow, r->offset);
    give(&p, narrow, (uint64_t)r->symbol << (narrow ? 8 : 32) | r->type);
    give(&p, narrow, r->addend);
}

void elf_add_rela(GByteArray *out, bool narrow, const ElfRela *r)
{
    uint8_t b[24];

    elf_put_rela(b, narrow, r);
    g_byte_array_append(out, b, sizes[narrow].rela);
}

bool elf_is_protected(const ElfHeader *h)
{
    return h->machine == EM_E2K_OLD ? h->semantic == 5 || h->semantic == 6
                                    : (h->flags & 0x20) != 0;
}

unsigned elf_isa(const ElfHeader *h)
{
    unsigned mach = h->machine == EM_E2K_OLD ? h->flags >> 28 & 7
                                             : h->flags >> 24;

    return mach >= 1 && mach <= 7      ? mach
           : mach == 19 || mach == 20  ? 4
           : mach >= 21 && mach <= 23  ? 6
           : mach == 25                ? 7
                                       : 0;
}
