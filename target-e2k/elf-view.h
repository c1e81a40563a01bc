/*
 * Reading access to an ELF file of any type and class, for tools that show it.
 *
 * All offsets, sizes and indices are checked when the view is made; names are
 * NUL-terminated inside the file's bytes, which must outlive the view.
 */
#ifndef TARGET_E2K_ELF_VIEW_H
#define TARGET_E2K_ELF_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

typedef struct ElfViewSection {
    const char *name;
    uint32_t type;
    uint64_t flags;
    uint64_t address;
    uint64_t offset;
    uint64_t size;
    uint32_t link;
    uint32_t info;
    uint64_t align;
    uint64_t entsize;
    const uint8_t *data; /* NULL without contents */
} ElfViewSection;

typedef struct ElfViewSymbol {
    const char *name;
    uint64_t value;
    uint64_t size;
    uint8_t bind;
    uint8_t type;
    uint8_t visibility;
    uint16_t section;    /* number, SHN_UNDEF, SHN_ABS, SHN_COMMON */
} ElfViewSymbol;

typedef struct ElfViewReloc {
    uint64_t offset;
    uint32_t type;
    uint32_t symbol;     /* in symbols[], or in dynsyms[]; 0: none */
    int64_t addend;
} ElfViewReloc;

typedef struct ElfViewSegment {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t vaddr;
    uint64_t paddr;
    uint64_t file_size;
    uint64_t memory_size;
    uint64_t align;
} ElfViewSegment;

typedef struct ElfView {
    bool narrow;         /* class ELFCLASS32 */
    uint16_t type;
    uint16_t machine;
    uint32_t flags;
    uint64_t entry;
    unsigned isa;        /* from the flags, 1..7; 0: not said */
    ElfViewSection *sections;
    unsigned n_sections;
    ElfViewSymbol *symbols;  /* .symtab, [0] is the null symbol */
    unsigned n_symbols;
    ElfViewSymbol *dynsyms;
    unsigned n_dynsyms;
    ElfViewSegment *segments;
    unsigned n_segments;
} ElfView;

ElfView *elf_view_new(const uint8_t *bytes, size_t size, GError **error);
void elf_view_free(ElfView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ElfView, elf_view_free)

/*
 * Relocations in a SHT_RELA section; returns how many.  Free the array with
 * g_free().
 */
unsigned elf_view_relocs(const ElfView *view, unsigned section,
                         ElfViewReloc **relocs);

#endif
