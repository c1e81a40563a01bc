/*
 * Private to the object writer, reader and linker: ELF64 records as plain
 * structs, and functions that append them in file format.
 */
#ifndef TARGET_E2K_ELF_INT_H
#define TARGET_E2K_ELF_INT_H

#include <stdint.h>

#include <glib.h>

typedef struct ElfHeader {
    uint16_t type;
    uint32_t flags;
    uint64_t entry;
    uint64_t phoff;
    uint64_t shoff;
    uint16_t phnum;
    uint16_t shnum;
    uint16_t shstrndx;
} ElfHeader;

typedef struct ElfSection {
    uint32_t name;
    uint32_t type;
    uint64_t flags;
    uint64_t address;
    uint64_t offset;
    uint64_t size;
    uint32_t link;
    uint32_t info;
    uint64_t align;
    uint64_t entsize;
} ElfSection;

typedef struct ElfSymbol {
    uint32_t name;
    uint8_t bind;
    uint8_t type;
    uint8_t visibility;
    uint16_t section;
    uint64_t value;
    uint64_t size;
} ElfSymbol;

/* Offset of text in a string table, appended; 0 for "". */
unsigned elf_string(GString *table, const char *text);

/* Zeros up to a multiple of align, a power of two. */
void elf_pad(GByteArray *out, uint64_t align);

void elf_put_header(uint8_t bytes[64], const ElfHeader *header);
void elf_put_section(GByteArray *out, const ElfSection *section);
void elf_put_symbol(GByteArray *out, const ElfSymbol *symbol);
void elf_put_rela(GByteArray *out, uint64_t offset, uint32_t symbol,
                  uint32_t type, int64_t addend);

#endif
