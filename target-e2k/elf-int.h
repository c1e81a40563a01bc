/*
 * Private to the object writer, reader, viewer and linker: ELF records as
 * plain structs, and their file formats in both classes (elf-record.c).
 *
 * "narrow" says that a file is of class ELFCLASS32, the one of programs with
 * 32-bit pointers.  Nothing here checks that a pointer has a whole record
 * behind it, nor that a value fits a narrow field: the caller has.
 */
#ifndef TARGET_E2K_ELF_INT_H
#define TARGET_E2K_ELF_INT_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "target-e2k/elf-view.h"

enum { EM_E2K_OLD = 49, ELF_HEADER_MAX = 64 };

/* Bytes of each record. */
typedef struct ElfSizes {
    unsigned header;
    unsigned segment;
    unsigned section;
    unsigned symbol;
    unsigned rela;
    unsigned dyn;
    unsigned word; /* an address */
} ElfSizes;

const ElfSizes *elf_sizes(bool narrow);

typedef struct ElfHeader {
    uint16_t type;
    uint16_t machine;
    uint8_t semantic;   /* e_ident[7]: the mode, with the old machine number */
    uint32_t version;
    uint32_t flags;
    uint64_t entry;
    uint64_t phoff;
    uint64_t shoff;
    uint16_t ehsize;
    uint16_t phentsize;
    uint16_t phnum;
    uint16_t shentsize;
    uint16_t shnum;
    uint16_t shstrndx;
} ElfHeader;

typedef ElfViewSegment ElfSegment;

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

typedef struct ElfRela {
    uint64_t offset;
    uint32_t symbol;
    uint32_t type;   /* below 256 in a narrow file */
    int64_t addend;
} ElfRela;

/* Offset of text in a string table, appended; 0 for "". */
unsigned elf_string(GString *table, const char *text);

/* Zeros up to a multiple of align, a power of two. */
void elf_pad(GByteArray *out, uint64_t align);

uint64_t elf_get_word(const uint8_t *p, bool narrow);
void elf_put_word(uint8_t *p, bool narrow, uint64_t value);

/*
 * The class, byte order and size of the header are checked, and that the
 * machine is e2k; *error is set and false returned otherwise.
 */
bool elf_get_header(const uint8_t *bytes, uint64_t size, bool *narrow,
                    ElfHeader *header, GError **error);
void elf_get_segment(const uint8_t *p, bool narrow, ElfSegment *segment);
void elf_get_section(const uint8_t *p, bool narrow, ElfSection *section);
void elf_get_symbol(const uint8_t *p, bool narrow, ElfSymbol *symbol);
void elf_get_rela(const uint8_t *p, bool narrow, ElfRela *rela);

/*
 * Writes identification, sizes of the records, version and (when it is not
 * set) the machine by itself.
 */
void elf_put_header(uint8_t *bytes, bool narrow, const ElfHeader *header);
void elf_put_segment(uint8_t *p, bool narrow, const ElfSegment *segment);
void elf_put_rela(uint8_t *p, bool narrow, const ElfRela *rela);

/* These append. */
void elf_add_section(GByteArray *out, bool narrow, const ElfSection *section);
void elf_add_symbol(GByteArray *out, bool narrow, const ElfSymbol *symbol);
void elf_add_rela(GByteArray *out, bool narrow, const ElfRela *rela);

/* Whether the file is one of 128-bit (protected) mode. */
bool elf_is_protected(const ElfHeader *header);

/* Instruction set that a header's flags ask for, 1..7; 0: none in particular. */
unsigned elf_isa(const ElfHeader *header);

#endif
