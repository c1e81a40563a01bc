/*
 * Private to the linker.
 *
 *   link.c         entry point, symbols
 *   link-layout.c  output sections and their addresses
 *   link-reloc.c   relocations
 *   link-got.c     offset table slots
 *   link-elf.c     the ELF file or flat image
 *   link-dyn.c     dynamic section, procedure linkage table
 *   link-shared.c  names from shared libraries, copies of their objects
 *   link-iplt.c    functions that are chosen at start (STT_GNU_IFUNC)
 */
#ifndef TARGET_E2K_LINK_INT_H
#define TARGET_E2K_LINK_INT_H

#include "target-e2k/elf-int.h"
#include "target-e2k/link.h"

enum { LINK_PAGE = 4096, LINK_BASE = 0x10000, LINK_SEGMENTS = 8,
       LINK_MAX_IMAGE = 1 << 30 /* bytes that are written */ };

/* What an offset-table slot holds. */
typedef enum GotKind {
    GOT_ADDRESS, /* the symbol's address */
    GOT_TPOFF,   /* its offset from the thread pointer */
    GOT_DTPMOD,  /* its module */
    GOT_DTPREL,  /* its offset in the module's block */
    GOT_PLT,     /* its address, for its linkage-table entry */
    GOT_IPLT,    /* the function that its resolver chose */
    GOT_KINDS
} GotKind;

/* A global name.  Local symbols have none and are their own definition. */
typedef struct LinkSymbol {
    const char *name;
    ObjSymbol *def;    /* NULL: undefined */
    ObjFile *file;     /* of def, or the first that wants it */
    bool wanted;       /* some relocation or -e refers to it */
    bool weak;         /* only weak references so far */
    bool made;         /* by the linker */
    uint8_t visibility;
    uint8_t type;      /* of an undefined one, as far as known */
    bool needs_plt;
    bool canonical;    /* its PLT entry is its address in all objects */
    bool copied;       /* def is a copy of a library's object */
    unsigned plt;      /* number of its PLT entry */
    const ObjSymbol *shared; /* the library's definition, or NULL */
    ObjFile *library;
    unsigned dynamic;  /* number in .dynsym, 0: none */
} LinkSymbol;

typedef struct GotSlot {
    LinkSymbol *global; /* or NULL: */
    ObjSymbol *local;
    GotKind kind;
    int64_t addend;
    uint64_t offset;    /* in .got */
} GotSlot;

/* What the loader of each class calls its relocations; NONE: has no such. */
typedef struct DynTypes {
    uint32_t abs;
    uint32_t abs_lit;
    uint32_t relative;
    uint32_t relative_lit;
    uint32_t jmp_slot;
    uint32_t copy;
    uint32_t irelative;
    uint32_t size;
    uint32_t dtpmod;
    uint32_t dtprel;
    uint32_t tpoff;
} DynTypes;

typedef struct Link {
    const LinkOptions *options;
    GString *messages;
    unsigned errors;
    ObjFile *const *files;
    unsigned n_files;
    bool narrow;            /* class ELFCLASS32 */
    const ElfSizes *sizes;
    const DynTypes *types;
    unsigned isa;
    GHashTable *symbols;    /* name -> LinkSymbol */
    GPtrArray *symbol_list; /* LinkSymbol, in order of appearance */
    ObjFile *out;           /* holds output sections and made symbols */
    uint64_t contents;      /* bytes of all output sections together */
    GPtrArray *order;       /* allocated output sections by address */
    bool pic;               /* addresses are relative to a load base */
    bool dynamic;           /* has a dynamic section */
    /* Offset table and dynamic sections, NULL when not needed. */
    ObjSection *got;
    ObjSection *plt;
    ObjSection *rela_dyn;
    ObjSection *rela_plt;
    ObjSection *dynsym;
    ObjSection *dynstr;
    ObjSection *hash;
    ObjSection *dynamic_section;
    ObjSection *interp;
    ObjSection *copies;     /* .dynbss */
    ObjSection *iplt;
    ObjSection *rela_iplt;  /* of a static program */
    GArray *got_slots;      /* GotSlot */
    GPtrArray *plt_symbols; /* LinkSymbol */
    GPtrArray *dyn_symbols; /* LinkSymbol, [0] NULL */
    GPtrArray *iplt_symbols; /* const ObjSymbol */
    GPtrArray *libraries;   /* ObjFile, each soname once */
    GString *dynstr_text;
    unsigned n_rela_dyn;
    bool text_relocs;       /* the loader has to change code */
    uint64_t tls_start;
    uint64_t tls_size;
    uint64_t tls_align;
    uint64_t entry;
} Link;

void link_error(Link *link, const char *format, ...) G_GNUC_PRINTF(2, 3);

LinkSymbol *link_symbol(Link *link, const char *name);
/* The global name behind a relocation's symbol; NULL for a local one. */
LinkSymbol *link_global(Link *link, const ObjSymbol *symbol);
/* Definition that counts for a symbol of an input file; NULL: undefined. */
const ObjSymbol *link_definition(Link *link, const ObjSymbol *symbol);
uint64_t link_value(const ObjSymbol *definition);
/* The same, but of an indirect function the entry through which it runs. */
uint64_t link_target(Link *link, const ObjSymbol *definition);
/* Whether references are settled now rather than by a dynamic loader. */
bool link_binds_locally(Link *link, const ObjSymbol *symbol);

void link_layout_sections(Link *link);
void link_assign_addresses(Link *link);
const LinkStart *link_start_of(Link *link, const char *section);

/* Counts what relocations need: slots, PLT entries, dynamic relocations. */
void link_scan_relocs(Link *link);
void link_apply_relocs(Link *link);

/* Slot of a symbol, made during the scan and found afterwards. */
GotSlot *link_got_slot(Link *link, ObjSymbol *symbol, GotKind kind,
                       int64_t addend);
void link_fill_got(Link *link);
/* Offset of an address from the thread pointer. */
uint64_t link_tp_offset(const Link *link, uint64_t address);

void link_dyn_prepare(Link *link);
void link_dyn_size(Link *link);
void link_dyn_fill(Link *link);
void link_dyn_reloc(Link *link, uint64_t address, LinkSymbol *symbol,
                    uint32_t type, int64_t addend);
uint64_t link_plt_address(Link *link, const LinkSymbol *symbol);
uint64_t link_plt_secondary(Link *link, const LinkSymbol *symbol);
const DynTypes *link_dyn_types(bool narrow);
bool link_in_text(const Link *link, uint64_t address);

/* An entry that jumps through a slot; at offset in a section. */
void link_put_jump(Link *link, GByteArray *code, const ObjSection *section,
                   uint64_t slot);
unsigned link_jump_size(Link *link);

/* The names of a shared library, and its place among those needed. */
void link_add_library(Link *link, ObjFile *file);
/* A reference to a library's symbol that cannot wait for the loader. */
bool link_refer_to_library(Link *link, LinkSymbol *global);
void link_fill_copies(Link *link);

/* Gives a locally bound indirect function its entry. */
void link_iplt_want(Link *link, ObjSymbol *symbol);
void link_iplt_size(Link *link);
void link_iplt_fill(Link *link);

GByteArray *link_write_elf(Link *link);
GByteArray *link_write_flat(Link *link);

#endif
