/*
 * The linker: object files to an executable, a shared library or a flat
 * image.
 *
 *   objects --resolve--> symbols --layout--> addresses --relocate--> bytes
 *
 * There is no linker script: sections are grouped by what may be done with
 * them (execute, read, thread-local, write) and start on a new page where
 * that changes; options move single sections.
 */
#ifndef TARGET_E2K_LINK_H
#define TARGET_E2K_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "target-e2k/obj.h"

typedef enum LinkKind {
    LINK_STATIC,  /* executable at fixed addresses, no dynamic linking */
    LINK_DYNAMIC, /* executable at fixed addresses with an interpreter */
    LINK_PIE,     /* position-independent executable */
    LINK_SHARED,  /* shared library */
} LinkKind;

typedef struct LinkStart {
    const char *section;
    uint64_t address;
} LinkStart;

typedef struct LinkOptions {
    LinkKind kind;
    bool flat;           /* raw bytes instead of ELF */
    bool strip;          /* no symbol table, no debug sections */
    unsigned isa;        /* for e_flags; 0: highest of the inputs */
    const char *entry;   /* symbol or number; NULL: _start */
    const LinkStart *starts; /* -Ttext and friends, --section-start */
    unsigned n_starts;
    const char *interp;  /* LINK_DYNAMIC, LINK_PIE: PT_INTERP or NULL */
    const char *soname;
    const char *const *needed; /* DT_NEEDED, NULL-terminated, or NULL */
} LinkOptions;

/*
 * Links; messages are appended to *messages and NULL is returned when one of
 * them was an error.  The input files are changed and only good for freeing
 * afterwards.
 */
GByteArray *link_objects(ObjFile *const *files, unsigned n_files,
                         const LinkOptions *options, GString *messages);

#endif
