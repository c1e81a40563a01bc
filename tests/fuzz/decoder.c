/*
 * Fuzz target: the bundle decoder and what hangs on it.
 *
 * Input: one byte that chooses the ISA version, then the bytes of a bundle.
 * Besides not crashing: a bundle that decodes and is encoded again must have
 * the same text, and an array-prefetch instruction the same fields.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "target-e2k/disas.h"
#include "target-e2k/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const Bundle *bundle, const GString *text,
                        const DisasOptions *options)
{
    g_autoptr(GString) again = g_string_new(NULL);
    uint8_t bytes[BUNDLE_MAX_BYTES];
    unsigned length = bundle_encode(bundle, options->isa, bytes, NULL);

    /*
     * Without its filler a bundle is not longer, except that for version 4
     * the encoder stores an extension word that may also be left out.
     */
    if (length > bundle->length + (options->isa == 4 ? 8 : 0) ||
        (!length && bundle->length < BUNDLE_MAX_BYTES - 4)) {
        abort();
    }
    if (!length) {
        return;
    }
    disassemble_bytes(again, bytes, length, 0, options);
    if (strcmp(again->str, text->str) != 0) {
        abort();
    }
}

static void check_apb(const uint8_t *bytes, size_t size, unsigned isa)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GString) again = g_string_new(NULL);
    uint8_t encoded[APB_BYTES];
    ApbInsn insn;

    if (!apb_decode(&insn, bytes, size)) {
        return;
    }
    apb_disassemble(text, &insn, isa, NULL);
    if (insn.half[0].secondary || insn.half[1].secondary) {
        return; /* version 1 only, where some bits mean nothing */
    }
    apb_encode(&insn, encoded);
    apb_decode(&insn, encoded, sizeof(encoded));
    apb_disassemble(again, &insn, isa, NULL);
    if (strcmp(again->str, text->str) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    DisasOptions options = { .isa = 1 + data[0] % 7 };
    Bundle bundle;
    DecodeError error = bundle_decode(&bundle, data + 1, size - 1,
                                      options.isa);

    if (error == DECODE_OK || error >= DECODE_SOFT) {
        g_autoptr(GString) text = g_string_new(NULL);

        bundle_disassemble(text, &bundle, 0, &options);
        check_again(&bundle, text, &options);
    }
    check_apb(data + 1, size - 1, options.isa);
    return 0;
}
