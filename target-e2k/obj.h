/*
 * An object file in memory: what the assembler makes, the ELF writer and
 * reader convert, and the linker joins.
 *
 *   ObjFile --- sections[] --- ObjSection { bytes, relocs[] }
 *          \--- symbols[]  --- ObjSymbol  { section, value }
 *
 * Sections and symbols belong to their file and live as long as it does;
 * relocations point at symbols of the same file.
 */
#ifndef TARGET_E2K_OBJ_H
#define TARGET_E2K_OBJ_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

/* Relocation types; "linux/relocations.md" section 1. */
typedef enum E2kReloc {
    R_E2K_32_ABS = 0,
    R_E2K_32_PC = 2,
    R_E2K_AP_GOT = 3,
    R_E2K_PL_GOT = 4,
    R_E2K_32_JMP_SLOT = 8,
    R_E2K_32_COPY = 9,
    R_E2K_32_RELATIVE = 10,
    R_E2K_32_IRELATIVE = 11,
    R_E2K_32_SIZE = 12,
    R_E2K_32_DYNOPT = 13,
    R_E2K_64_ABS = 50,
    R_E2K_64_ABS_LIT = 51,
    R_E2K_64_PC_LIT = 54,
    R_E2K_64_JMP_SLOT = 63,
    R_E2K_64_COPY = 64,
    R_E2K_64_RELATIVE = 65,
    R_E2K_64_RELATIVE_LIT = 66,
    R_E2K_64_IRELATIVE = 67,
    R_E2K_64_SIZE = 68,
    R_E2K_64_GOTOFF = 69,
    R_E2K_TLS_GDMOD = 70,
    R_E2K_TLS_GDREL = 71,
    R_E2K_TLS_IE = 74,
    R_E2K_32_TLS_LE = 75,
    R_E2K_64_TLS_LE = 76,
    R_E2K_TLS_32_DTPMOD = 80,
    R_E2K_TLS_32_DTPREL = 81,
    R_E2K_TLS_64_DTPMOD = 82,
    R_E2K_TLS_64_DTPREL = 83,
    R_E2K_TLS_TPOFF32 = 84,
    R_E2K_TLS_TPOFF64 = 85,
    R_E2K_AP = 100,
    R_E2K_PL = 101,
    R_E2K_GOT = 108,
    R_E2K_GOTOFF = 109,
    R_E2K_DISP = 110,
    R_E2K_PREF = 111,
    R_E2K_NONE = 112,
    R_E2K_GOTPLT = 114,
    R_E2K_ISLOCAL = 115,
    R_E2K_ISLOCAL32 = 118,
    R_E2K_64_GOTOFF_LIT = 256,
    R_E2K_64_DYNOPT = 257,
} E2kReloc;

const char *e2k_reloc_name(uint32_t type);

typedef struct ObjFile ObjFile;
typedef struct ObjSection ObjSection;
typedef struct ObjSymbol ObjSymbol;

typedef struct ObjReloc {
    uint64_t offset; /* in the section */
    uint32_t type;   /* E2kReloc */
    ObjSymbol *symbol;
    int64_t addend;
} ObjReloc;

struct ObjSection {
    char *name;
    uint32_t type;    /* SHT_... */
    uint64_t flags;   /* SHF_... */
    uint32_t align;   /* bytes, a power of two */
    uint32_t entsize;
    uint64_t size;    /* bytes; data->len except for SHT_NOBITS */
    GByteArray *data;
    GArray *relocs;   /* ObjReloc, in order of offset as assembled */
    ObjSymbol *symbol; /* STT_SECTION, made on demand */
    /* For the writer and the linker. */
    unsigned index;
    unsigned elf_index; /* linker: number in the section headers */
    uint64_t address;
    ObjSection *output; /* linker: where the section went ... */
    uint64_t output_offset; /* ... and at what offset there */
};

struct ObjSymbol {
    char *name;
    ObjSection *section; /* NULL: absolute or undefined */
    uint64_t value;      /* offset in section, absolute value, alignment of
                          * a common symbol */
    uint64_t size;
    uint8_t bind;        /* STB_... */
    uint8_t type;        /* STT_... */
    uint8_t visibility;  /* STV_... */
    bool defined;
    bool common;
    bool used;           /* referenced by a relocation */
    uint32_t align;      /* of a shared library's object, as far as known */
    unsigned iplt;       /* linker: 1 + number of its indirect entry, or 0 */
    unsigned index;      /* writer: number in the symbol table */
    void *link;          /* linker's own */
};

struct ObjFile {
    char *name;
    bool narrow;          /* of class ELFCLASS32, for 32-bit pointers */
    bool shared;          /* a shared library: symbols only, all defined */
    char *soname;         /* of a shared library, or NULL */
    unsigned isa;         /* 0: not known */
    GPtrArray *sections;  /* ObjSection; order of creation */
    GPtrArray *symbols;   /* ObjSymbol */
    GHashTable *section_by_name;
};

ObjFile *obj_file_new(const char *name);
void obj_file_free(ObjFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ObjFile, obj_file_free)

/* Makes a section; the name need not be new. */
ObjSection *obj_section_new(ObjFile *file, const char *name, uint32_t type,
                            uint64_t flags);
ObjSection *obj_section_find(const ObjFile *file, const char *name);

ObjSymbol *obj_symbol_new(ObjFile *file, const char *name);

/* The STT_SECTION symbol of a section of this file. */
ObjSymbol *obj_section_symbol(ObjFile *file, ObjSection *section);

/* A relocatable ELF file of the object's class. */
GByteArray *obj_to_elf(ObjFile *file);

/*
 * Reads a relocatable ELF file of the architecture, or of a shared library
 * the names it defines.
 */
ObjFile *obj_from_elf(const char *name, const uint8_t *bytes, size_t size,
                      GError **error);

/* e_flags of files for exactly or at least this ISA version. */
uint32_t obj_elf_flags(unsigned isa);

#endif
