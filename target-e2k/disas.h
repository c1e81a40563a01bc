/*
 * Bundles and array-prefetch instructions to text.
 *
 * The text is what the assembler takes, operations in the order of the golden
 * vectors ("isa/encoding.md" section 15): assembling it gives the bundle back,
 * except for parts that have no effect (predicate logic that nothing uses,
 * filler, reserved bits).
 */
#ifndef TARGET_E2K_DISAS_H
#define TARGET_E2K_DISAS_H

#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "target-e2k/bundle.h"

/*
 * Appends the name of an address, "main" or "main+0x10", to out; false when it
 * has none (the number is printed then).
 */
typedef bool DisasSymbol(void *opaque, GString *out, uint64_t address);

typedef struct DisasOptions {
    unsigned isa;
    const char *separator; /* between operations; NULL: " ; " */
    DisasSymbol *symbol;   /* NULL: targets as numbers */
    void *opaque;
} DisasOptions;

/*
 * A decoded bundle at address; soft decode errors are no obstacle.  A bundle
 * without operations gives no text.
 */
void bundle_disassemble(GString *out, const Bundle *bundle, uint64_t address,
                        const DisasOptions *options);

void apb_disassemble(GString *out, const ApbInsn *insn, unsigned isa,
                     const char *separator);

/*
 * Decodes and disassembles the bundle at bytes.  Returns its length, or 0 with
 * the reason ("(illegal: ...)") in out when it does not decode.
 */
unsigned disassemble_bytes(GString *out, const uint8_t *bytes, size_t size,
                           uint64_t address, const DisasOptions *options);

#endif
