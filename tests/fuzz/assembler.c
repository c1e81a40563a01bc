/*
 * Fuzz target: the assembler, the object writer and reader, the linker.
 *
 * Input: one byte of options (version, -g, kind of output, class), then source
 * text.  What assembles is written as an object file, read back and linked.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "target-e2k/asm.h"
#include "target-e2k/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_link(ObjFile *file, LinkKind kind, bool flat)
{
    g_autoptr(GString) messages = g_string_new(NULL);
    LinkOptions options = { .kind = kind, .flat = flat, .isa = 5 };
    GByteArray *out = link_objects(&file, 1, &options, messages);

    if (out) {
        g_byte_array_unref(out);
    } else if (!strstr(messages->str, "error: ")) {
        abort(); /* refused without a reason */
    }
}

static void check_object(ObjFile *file, LinkKind kind, bool flat)
{
    g_autoptr(GByteArray) elf = obj_to_elf(file);
    g_autoptr(GError) error = NULL;
    g_autoptr(ObjFile) again = obj_from_elf("again.o", elf->data, elf->len,
                                            &error);

    if (!again) {
        abort(); /* what we write we can read */
    }
    check_link(again, kind, flat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || memchr(data + 1, 0, size - 1)) {
        return 0;
    }
    g_autofree char *text = g_strndup((const char *)data + 1, size - 1);
    g_autoptr(GString) messages = g_string_new(NULL);
    AsmOptions options = {
        .isa = 1 + data[0] % 7,
        .narrow = data[0] & 0x80,
        .debug_lines = data[0] & 8,
        .max_section = 1 << 16,
        .max_statements = 5000,
    };
    g_autoptr(ObjFile) file = asm_assemble("fuzz.s", text, &options,
                                           messages);

    if (file) {
        check_object(file, data[0] >> 4 & 3, data[0] & 0x40);
    } else if (!strstr(messages->str, "error: ")) {
        abort();
    }
    return 0;
}
