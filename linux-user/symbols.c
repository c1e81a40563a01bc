/*
 * Symbol lookup in mapped ELF files of either class.  elf-view.h checks every
 * offset in them, since they may have changed or be hostile.
 */
#include "linux-user/symbols.h"

#include <elf.h>
#include <inttypes.h>

#include "target-e2k/elf-view.h"

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

static void consider(const ElfViewSymbol *symbols, unsigned count,
                     uint64_t bias, uint64_t address,
                     const ElfViewSymbol **best)
{
    for (unsigned i = 0; i < count; i++) {
        const ElfViewSymbol *s = &symbols[i];

        if ((s->type == STT_NOTYPE || s->type == STT_FUNC) &&
            s->section != SHN_UNDEF && *s->name &&
            s->value + bias <= address &&
            (!*best || s->value >= (*best)->value)) {
            *best = s;
        }
    }
}

/* The nearest function symbol at or below address; NULL when there is none. */
static char *nearest(const char *bytes, gsize size, uint64_t bias,
                     uint64_t address)
{
    g_autoptr(ElfView) view = elf_view_new((const uint8_t *)bytes, size, NULL);
    const ElfViewSymbol *best = NULL;

    if (!view) {
        return NULL;
    }
    if (view->type == ET_EXEC) {
        bias = 0;
    }
    consider(view->symbols, view->n_symbols, bias, address, &best);
    consider(view->dynsyms, view->n_dynsyms, bias, address, &best);
    return best ? g_strdup_printf("%s+0x%" PRIx64, best->name,
                                  address - (best->value + bias))
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
