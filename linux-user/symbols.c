/*
 * Symbol lookup in mapped ELF files.  The file is mapped whole and every
 * offset in it is checked, since it may have changed or be hostile.
 */
#include "linux-user/symbols.h"

#include <elf.h>
#include <inttypes.h>
#include <string.h>

typedef struct Search {
    uint64_t address;
    uint64_t base;     /* lowest mapping of the same file */
    char *file;        /* file the address belongs to */
    char *candidate;   /* file of the ranges seen last */
    uint64_t candidate_base;
} Search;

static void visit(const AddressRange *range, void *data)
{
    Search *search = data;

    if (range->name && range->name[0] == '/') {
        if (g_strcmp0(range->name, search->candidate) != 0) {
            g_free(search->candidate);
            search->candidate = g_strdup(range->name);
            search->candidate_base = range->start;
        }
        if (search->address >= range->start && search->address < range->end) {
            search->file = g_strdup(range->name);
            search->base = search->candidate_base;
        }
    }
}

static bool inside(gsize size, uint64_t offset, uint64_t length)
{
    return offset <= size && length <= size - offset;
}

/* The nearest function symbol at or below value; NULL when there is none. */
static char *nearest(const char *bytes, gsize size, uint64_t bias,
                     uint64_t address)
{
    const Elf64_Ehdr *header = (const void *)bytes;
    const char *best = NULL;
    uint64_t best_value = 0;

    if (size < sizeof(*header) || header->e_shentsize != sizeof(Elf64_Shdr) ||
        !inside(size, header->e_shoff,
                (uint64_t)header->e_shnum * sizeof(Elf64_Shdr))) {
        return NULL;
    }
    if (header->e_type == ET_EXEC) {
        bias = 0;
    }
    for (unsigned i = 0; i < header->e_shnum; i++) {
        Elf64_Shdr section;
        Elf64_Shdr strings;

        memcpy(&section, bytes + header->e_shoff + i * sizeof(section),
               sizeof(section));
        if ((section.sh_type != SHT_SYMTAB && section.sh_type != SHT_DYNSYM) ||
            section.sh_link >= header->e_shnum ||
            !inside(size, section.sh_offset, section.sh_size)) {
            continue;
        }
        memcpy(&strings,
               bytes + header->e_shoff + section.sh_link * sizeof(strings),
               sizeof(strings));
        if (!inside(size, strings.sh_offset, strings.sh_size) ||
            !strings.sh_size ||
            bytes[strings.sh_offset + strings.sh_size - 1] != '\0') {
            continue;
        }
        for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= section.sh_size;
             at += sizeof(Elf64_Sym)) {
            Elf64_Sym symbol;

            memcpy(&symbol, bytes + section.sh_offset + at, sizeof(symbol));
            if (symbol.st_shndx != SHN_UNDEF &&
                symbol.st_name < strings.sh_size &&
                ELF64_ST_TYPE(symbol.st_info) <= STT_FUNC &&
                ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT &&
                bytes[strings.sh_offset + symbol.st_name] &&
                symbol.st_value + bias <= address &&
                symbol.st_value + bias >= best_value) {
                best = bytes + strings.sh_offset + symbol.st_name;
                best_value = symbol.st_value + bias;
            }
        }
    }
    return best ? g_strdup_printf("%s+0x%" PRIx64, best, address - best_value)
                : NULL;
}

char *symbol_describe(UserProcess *process, uint64_t address)
{
    Search search = { .address = address };
    g_autofree char *file = NULL;
    g_autofree char *bytes = NULL;
    g_autofree char *name = NULL;
    g_autofree char *symbol = NULL;
    gsize size = 0;

    address_map_foreach(process->map, visit, &search);
    g_free(search.candidate);
    file = search.file;
    if (!file) {
        return g_strdup("?");
    }
    name = g_path_get_basename(file);
    if (g_file_get_contents(file, &bytes, &size, NULL)) {
        symbol = nearest(bytes, size, search.base, address);
    }
    return symbol ? g_strdup_printf("%s (%s)", symbol, name)
                  : g_strdup_printf("(%s+0x%" PRIx64 ")", name,
                                    address - search.base);
}
