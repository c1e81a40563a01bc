/*
 * The assembler as a library: source text to an object file or to the bytes
 * of one bundle.
 *
 * The syntax is that of the architecture's classic assembler; the manual page
 * e2k-as(1) describes it.  Errors are collected, several per run, as lines
 * "file:line:column: error: reason".
 */
#ifndef TARGET_E2K_ASM_H
#define TARGET_E2K_ASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "target-e2k/bundle.h"
#include "target-e2k/obj.h"

typedef struct AsmOptions {
    unsigned isa;               /* 1..7 */
    bool narrow;                /* an object file of class ELFCLASS32 */
    bool debug_lines;           /* -g: line-number information */
    const char *const *include_dirs; /* NULL-terminated, or NULL */
    const char *const *defines; /* "NAME=VALUE", NULL-terminated, or NULL */
    uint64_t max_section;       /* bytes of a section; 0: 1 GiB */
    uint64_t max_statements;    /* after macros and repetition; 0: no limit */
} AsmOptions;

/*
 * Assembles a source file, or text when it is not NULL (name is then only for
 * messages).  Messages are appended to *messages; returns NULL when one of
 * them was an error.
 */
ObjFile *asm_assemble(const char *name, const char *text,
                      const AsmOptions *options, GString *messages);

/*
 * Assembles one bundle, its operations separated by semicolons or newlines,
 * without symbols, as if it lay at address.  Returns its length, or 0 with
 * *error set.
 */
unsigned asm_bundle(uint8_t bytes[BUNDLE_MAX_BYTES], const char *text,
                    uint64_t address, unsigned isa, GError **error);

GQuark asm_error_quark(void);

#endif
