/*
 * The assembler and the linker: expressions, data, macros, conditionals,
 * errors with their places, relocations, layout of linked files.
 */
#include <elf.h>
#include <string.h>

#include <glib.h>

#include "target-e2k/asm.h"
#include "target-e2k/elf-view.h"
#include "target-e2k/link.h"
#include "util/bytes.h"

static ObjFile *assemble(const char *text, char **messages)
{
    AsmOptions options = { .isa = 5 };
    g_autoptr(GString) out = g_string_new(NULL);
    ObjFile *file = asm_assemble("t.s", text, &options, out);

    *messages = g_strdup(out->str);
    return file;
}

/* Assembles text that must be right. */
static ObjFile *assemble_good(const char *text)
{
    g_autofree char *messages = NULL;
    ObjFile *file = assemble(text, &messages);

    g_assert_cmpstr(messages, ==, "");
    g_assert_nonnull(file);
    return file;
}

/* .data of the text, in hexadecimal. */
static char *data_of(const char *text)
{
    g_autofree char *source = g_strdup_printf("\t.data\n%s\n", text);
    g_autoptr(ObjFile) file = assemble_good(source);
    const ObjSection *s = obj_section_find(file, ".data");
    GString *out = g_string_new(NULL);

    for (unsigned i = 0; i < s->data->len; i++) {
        g_string_append_printf(out, "%02x", s->data->data[i]);
    }
    return g_string_free(out, FALSE);
}

static void test_data(void)
{
    static const struct {
        const char *text;
        const char *hex;
    } cases[] = {
        /* Expressions. */
        { ".byte 1+2*3, (1+2)*3, -1, ~0, 7/2, 7%4", "0709ffff0303" },
        { ".byte 1<<4|1, 0xff & 0x3c ^ 1, 1 == 1, 2 < 1", "113dff00" },
        { ".byte 'a', '\\n', 0b101, 017, 0x1F", "610a050f1f" },
        { ".byte 1 && 2, 0 || 0, 5 <> 5", "010000" },
        { ".quad 0xffffffffffffffff, -2", "fffffffffffffffffeffffffffffffff" },
        { ".set n, 3\n.set n, n + 1\n.byte n", "04" },
        { "n = later + 1\n.byte n\nlater = 6", "07" },
        { "a: .byte b - a, . - a\nb:", "0201" },
        { "1: .byte 1f - 1b\n1: .byte 1b - 1b", "0100" },
        /* Widths; .word is 32 bits and .align counts bytes. */
        { ".half 1\n.word 2\n.dword 3",
          "0100020000000300000000000000" },
        { ".byte 1\n.align 4\n.byte 2\n.p2align 3\n.byte 3",
          "0100000002000000" "03" },
        { ".ascii \"a\\t\\x41\\101\"\n.asciz \"b\"", "610941416200" },
        { ".space 3, 0xaa\n.fill 2, 2, 0x102", "aaaaaa02010201" },
        { ".uleb128 624485\n.sleb128 -2", "e58e267e" },
        { ".float 1.0\n.double -2", "0000803f" "00000000000000c0" },
        { ".byte 1\n.org 4\n.byte 2", "0100000002" },
        { ".octa -1", "ffffffffffffffffffffffffffffffff" },
        /* Comments. */
        { ".byte 1 ! .byte 2\n# .byte 3\n/* .byte 4\n */ .byte 5", "0105" },
        { ".ascii \"!#;{\" ; .byte 1", "21233b7b01" },
        /* Macros and repetition. */
        { ".macro two a, b=9\n.byte \\a, \\b\n.endm\ntwo 1\ntwo 2, 3",
          "01090203" },
        { ".macro kw a, b\n.byte \\a, \\b\n.endm\nkw b=1, a=2", "0201" },
        { ".macro v x:vararg\n.byte \\x\n.endm\nv 1, 2, 3", "010203" },
        { ".macro lab\nl\\@: .byte 1\n.endm\nlab\nlab", "0101" },
        { ".macro rec n\n.if \\n\n.byte \\n\nrec \\n-1\n.endif\n.endm\n"
          "rec 3", "030201" },
        { ".macro e\n.byte 1\n.exitm\n.byte 2\n.endm\ne\n.byte 3", "0103" },
        { ".rept 3\n.byte 7\n.endr", "070707" },
        { ".irp x, 1, 2, 3\n.byte \\x\n.endr", "010203" },
        { ".irpc c, 45\n.byte \\c\n.endr", "0405" },
        { ".rept 2\n.irp x, 1, 2\n.byte \\x\n.endr\n.endr", "01020102" },
        /* Conditionals. */
        { ".if 0\n.byte 1\n.elseif 1\n.byte 2\n.else\n.byte 3\n.endif",
          "02" },
        { ".ifdef x\n.byte 1\n.else\n.byte 2\n.endif\n.ifndef x\n.byte 3\n"
          ".endif", "0203" },
        { ".ifc a, a\n.byte 1\n.endif\n.ifnc a, b\n.byte 2\n.endif\n"
          ".ifb\n.byte 3\n.endif", "010203" },
        { ".if 0\n.if 1\n.byte 1\n.endif\n.byte 2\n.endif\n.byte 3", "03" },
        { ".byte 1\n.end\n.byte 2", "01" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *hex = data_of(cases[i].text);

        if (strcmp(hex, cases[i].hex) != 0) {
            g_test_message("%s: wanted %s, found %s", cases[i].text,
                           cases[i].hex, hex);
            g_test_fail();
        }
    }
}

static void test_errors(void)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        { "addx %r1, %r2, %r3",
          "t.s:1:1: error: unknown operation 'addx'" },
        { " fmas %r1, %r2, %r3, %r4",
          "t.s:1:2: error: no operation 'fmas' in instruction set version 5 "
          "(it appears in version 6)" },
        { "{ addd,0 %dr1, %dr2, %dr3\n addd,0 %dr1, %dr2, %dr3 }",
          "t.s:2:2: error: channel 0 of 'addd' is taken" },
        { "adds,7 %r1, %r2, %r3", "t.s:1:6: error: channel 7 does not exist" },
        { "std,0 %dr1, 0, %dr3", "t.s:1:1: error: no 'std' in channel 0" },
        { "addd 40, %dr1, %dr2",
          "t.s:1:6: error: literal 40 does not fit the first source (0..31)" },
        { "addd %dr1, _f16s 0x12345, %dr2",
          "t.s:1:18: error: literal 0x12345 does not fit 16 bits" },
        { "addd %r64, 0, %dr1",
          "t.s:1:6: error: register in its range expected, found '%r64'" },
        { "cmpesb %r1, 0, %pred32",
          "t.s:1:16: error: predicate out of range, 0..31" },
        { "addd %qr0, 0, %dr1",
          "t.s:1:6: error: register written %qr..., this operand is %dr..." },
        { "addd %dr1, 0", "t.s:1:13: error: ',' expected" },
        { "{ ct %ctpr1\n ct %ctpr2 }",
          "t.s:2:2: error: second control transfer in the bundle" },
        { "{ disp %ctpr1, 0\n return %ctpr3 }",
          "t.s:2:2: error: CS0 is taken by another operation" },
        { "ldisp %ctpr1, 0", "t.s:1:7: error: %ctpr2 expected" },
        { "movtq %qr1, %qr2",
          "t.s:1:1: error: register pair of 'movtq' starts at an odd register" },
        { "{ addd 0, 0x123456789, %dr1\n addd 0, 0x223456789, %dr2\n"
          " addd 0, 0x323456789, %dr3 }",
          "t.s:1:1: error: the literals of the bundle do not fit together" },
        { "merges %r1, %r2, %r3",
          "t.s:1:21: error: merge predicate of 'merges' expected" },
        { "{ nop 1\n nop 2 }", "t.s:2:2: error: second 'nop' in the bundle" },
        { "{ nop", "t.s:1:3: error: '{' without '}'" },
        { "}", "t.s:1:1: error: '}' without '{'" },
        { ".foo", "t.s:1:1: error: unknown directive '.foo'" },
        { ".byte 1 +", "t.s:1:10: error: expression expected" },
        { ".byte 256", "t.s:1:7: error: value 0x100 does not fit 8 bits" },
        { ".byte (1", "t.s:1:9: error: ')' expected" },
        { ".byte 09", "t.s:1:7: error: digit '9' in an octal number" },
        { "x:\nx:", "t.s:2:1: error: 'x' is defined already" },
        { ".byte 5b", "t.s:1:7: error: no label 5: before this place" },
        { ".quad 5f", "t.s:1: error: label '5' is not defined" },
        { ".set a, b\n.set b, a\n.byte a",
          "t.s:2:1: error: 'b' is defined by itself" },
        { ".byte 1/0", "t.s:1:7: error: expression cannot be computed" },
        { ".if 1", "t.s:1:1: error: '.if' without '.endif'" },
        { ".endif", "t.s:1:1: error: '.endif' without '.if'" },
        { ".macro m\nbad\n.endm\n\nm",
          "t.s:5: error: unknown operation 'bad' (line 1 of macro 'm')" },
        { ".macro m\nm\n.endm\nm",
          "t.s:4: error: includes and macros nested too deeply" },
        { ".macro m", "t.s:1:1: error: '.endm' expected before the end of the "
          "text" },
        { ".include \"no-such-file\"",
          "t.s:1:1: error: file 'no-such-file' not found" },
        { ".byte 1\n.text\n.byte 1\nnop",
          "t.s:4:1: error: instruction at an offset that is not a multiple of "
          "8" },
        { ".bss\n.byte 1",
          "t.s:2:7: error: contents in section '.bss', which has none" },
        { ".space 0x7fffffffff",
          "t.s:1:1: error: section '.text' grows beyond 1048576 KiB" },
        { ".align 3", "t.s:1:1: error: alignment must be a power of two" },
        { ".byte 1, 2, 300", "t.s:1:13: error: value 0x12c does not fit 8" },
        { ".error \"stop\"", "t.s:1:1: error: stop" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *messages = NULL;
        g_autoptr(ObjFile) file = assemble(cases[i].text, &messages);

        g_strdelimit(messages, "\n", '\0'); /* the first one */
        if (file || !g_str_has_prefix(messages, cases[i].message)) {
            g_test_message("%s: wanted %s, found %s", cases[i].text,
                           cases[i].message, messages);
            g_test_fail();
        }
    }
}

/* One run reports several errors, each with its line. */
static void test_several_errors(void)
{
    g_autofree char *messages = NULL;
    g_autoptr(ObjFile) file = assemble("bad1\nnop\nbad2\n.bad3\n",
                                       &messages);

    g_assert_null(file);
    g_assert_nonnull(strstr(messages, "t.s:1:1: error: unknown operation "
                            "'bad1'"));
    g_assert_nonnull(strstr(messages, "t.s:3:1: error: unknown operation "
                            "'bad2'"));
    g_assert_nonnull(strstr(messages, "t.s:4:1: error: unknown directive "
                            "'.bad3'"));
}

static const ObjReloc *reloc_at(const ObjFile *file, const char *section,
                                unsigned index)
{
    const ObjSection *s = obj_section_find(file, section);

    g_assert_cmpuint(index, <, s->relocs->len);
    return &g_array_index(s->relocs, ObjReloc, index);
}

/* What a line is relocated with: type, symbol, addend, offset. */
static void test_relocs(void)
{
    static const struct {
        const char *text;
        uint32_t type;
        const char *symbol;
        int64_t addend;
        uint64_t offset;
    } cases[] = {
        { ".quad ext + 8", R_E2K_64_ABS, "ext", 8, 0 },
        { ".word ext", R_E2K_32_ABS, "ext", 0, 0 },
        { ".word ext - .", R_E2K_32_PC, "ext", 0, 0 },
        { ".quad ext@GOTOFF", R_E2K_64_GOTOFF, "ext", 0, 0 },
        { ".word ext@TLS_DTPREL", R_E2K_TLS_32_DTPREL, "ext", 0, 0 },
        { ".quad ext@SIZE", R_E2K_64_SIZE, "ext", 0, 0 },
        { "disp %ctpr1, ext", R_E2K_DISP, "ext", 4, 4 },
        { "nop\n{ addd 0, 0, %dr0\n disp %ctpr1, ext + 16 }", R_E2K_DISP,
          "ext", 24, 16 },
        { "addd 0, ext, %dr0", R_E2K_64_ABS_LIT, "ext", 0, 8 },
        { "addd 0, _f64,_lts1 ext, %dr0", R_E2K_64_ABS_LIT, "ext", 0, 12 },
        { "adds 0, ext, %r0", R_E2K_32_ABS, "ext", 0, 12 },
        { "addd 0, _f32s,_lts0 ext@GOT, %dr0", R_E2K_GOT, "ext", 0, 12 },
        { "addd 0, ext@TLS_IE, %dr0", R_E2K_TLS_IE, "ext", 0, 12 },
        { "addd 0, ext@TLS_LE, %dr0", R_E2K_64_TLS_LE, "ext", 0, 8 },
        { "addd 0, ext@GOTOFF, %dr0", R_E2K_64_GOTOFF_LIT, "ext", 0, 8 },
        { "addd 0, _GLOBAL_OFFSET_TABLE_, %dr0", R_E2K_64_PC_LIT,
          "_GLOBAL_OFFSET_TABLE_", 8, 8 },
        { "pref %ipr0, disp = ext, ipd = 0", R_E2K_PREF, "ext", 0, 4 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(ObjFile) file = assemble_good(cases[i].text);
        const ObjReloc *r = reloc_at(file, ".text", 0);

        g_test_message("%s", cases[i].text);
        g_assert_cmpstr(e2k_reloc_name(r->type), ==,
                        e2k_reloc_name(cases[i].type));
        g_assert_cmpstr(r->symbol->name, ==, cases[i].symbol);
        g_assert_cmpint(r->addend, ==, cases[i].addend);
        g_assert_cmpuint(r->offset, ==, cases[i].offset);
    }
}

/* Branches inside a section need no relocation. */
static void test_local_branch(void)
{
    g_autoptr(ObjFile) file = assemble_good(
        "nop\nback: nop\ndisp %ctpr1, back\nibranch 1f\nnop\n1: nop");
    const ObjSection *text = obj_section_find(file, ".text");

    g_assert_cmpuint(text->relocs->len, ==, 0);
    g_assert_cmphex(ldl_le_p(text->data->data + 0x14), ==, 0x4fffffff);
    g_assert_cmphex(ldl_le_p(text->data->data + 0x20), ==, 3);
}

static void test_symbols(void)
{
    g_autoptr(ObjFile) file = assemble_good(
        "\t.global f\n\t.type f, @function\n\t.hidden h\nf: nop\n"
        "\t.size f, . - f\nh: nop\n\t.comm c, 24, 16\n\t.weak w\n"
        "\t.set abs, 5\n\t.global abs\n\t.set h2, h + 4\n\t.data\n.Ltmp: .quad w, .Ltmp");
    g_autofree char *seen = g_strdup("");

    for (unsigned i = 0; i < file->symbols->len; i++) {
        const ObjSymbol *s = file->symbols->pdata[i];
        g_autofree char *old = seen;

        seen = g_strdup_printf("%s%s:%u:%u:%u:%u;", old, s->name, s->bind,
                               s->type, s->visibility, (unsigned)s->size);
    }
    g_assert_nonnull(strstr(seen, "f:1:2:0:8;"));
    g_assert_nonnull(strstr(seen, "h:0:0:2:0;"));
    g_assert_nonnull(strstr(seen, "c:1:1:0:24;"));
    g_assert_nonnull(strstr(seen, "w:2:0:0:0;"));
    g_assert_nonnull(strstr(seen, "abs:1:0:0:0;"));
    g_assert_nonnull(strstr(seen, "h2:0:0:0:0;"));
    g_assert_null(strstr(seen, "Ltmp"));
}

/* Channels chosen where none is written, and an order that needs care. */
static void test_channels(void)
{
    static const struct {
        const char *text;
        unsigned mask;
    } cases[] = {
        { "addd %dr0, 0, %dr1", 0x01 },
        { "{ addd %dr0, 0, %dr1\n addd %dr0, 0, %dr2 }", 0x03 },
        { "std %dr0, 0, %dr1", 0x04 },
        { "{ std %dr0, 0, %dr1\n std %dr0, 8, %dr1 }", 0x24 },
        { "sdivd %dr0, %dr1, %dr2", 0x20 },
        { "{ addd %dr0, 0, %dr1\n addd,0 %dr0, 0, %dr2 }", 0x03 },
        /* The load avoids the mirror channel of the store. */
        { "{ std,2 %dr0, 0, %dr1\n addd,0 %dr0, 0, %dr3\n"
          " ldd %dr0, 8, %dr2 }", 0x25 },
        { "movtq %qr0, %qr2", 0x03 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(ObjFile) file = assemble_good(cases[i].text);
        uint32_t hs = ldl_le_p(obj_section_find(file, ".text")->data->data);

        g_test_message("%s", cases[i].text);
        g_assert_cmphex(hs >> 26, ==, cases[i].mask);
    }
}

/* Object file written and read back: same contents, symbols, relocations. */
static void test_object_file(void)
{
    g_autoptr(ObjFile) file = assemble_good(
        "\t.global f\nf: disp %ctpr1, g\n\t.data\n\t.quad f, d\nd: .word 1");
    g_autoptr(GByteArray) elf = obj_to_elf(file);
    g_autoptr(GError) error = NULL;
    g_autoptr(ObjFile) again = obj_from_elf("t.o", elf->data, elf->len,
                                            &error);

    g_assert_no_error(error);
    const ObjReloc *r = reloc_at(again, ".text", 0);

    g_assert_cmpuint(r->type, ==, R_E2K_DISP);
    g_assert_cmpstr(r->symbol->name, ==, "g");
    r = reloc_at(again, ".data", 1);
    g_assert_cmpuint(r->symbol->type, ==, STT_SECTION);
    g_assert_cmpint(r->addend, ==, 16);
    g_assert_cmpuint(again->isa, ==, 5);

    g_autoptr(ElfView) view = elf_view_new(elf->data, elf->len, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(view->machine, ==, 175);
    g_assert_cmphex(view->flags, ==, 0x05000000);
}

/* Damaged object files are refused or read, never a crash. */
static void test_damaged_object(void)
{
    g_autoptr(ObjFile) file = assemble_good(
        "\t.global f\nf: disp %ctpr1, g\n\t.data\n\t.quad f\n\t.comm c, 8");
    g_autoptr(GByteArray) elf = obj_to_elf(file);

    for (unsigned n = 0; n < 3000; n++) {
        unsigned size = n % 4 ? elf->len
                              : (unsigned)g_test_rand_int_range(0, elf->len);
        g_autofree uint8_t *bytes = g_malloc(size ? size : 1);
        g_autoptr(GError) error = NULL;
        g_autoptr(GString) messages = g_string_new(NULL);

        memcpy(bytes, elf->data, size);
        for (unsigned k = 0; size && k < 3; k++) {
            bytes[g_test_rand_int_range(0, size)] = g_test_rand_int();
        }
        g_autoptr(ObjFile) again = obj_from_elf("x.o", bytes, size, &error);
        /* Whatever the bytes are, looking at them is safe. */
        elf_view_free(elf_view_new(bytes, size, NULL));
        g_assert_true((again != NULL) == (error == NULL));
        if (again) {
            LinkOptions options = { .kind = LINK_STATIC };
            GByteArray *out = link_objects(&again, 1, &options, messages);

            if (out) {
                g_byte_array_unref(out);
            }
        }
    }
}

typedef struct Linked {
    GByteArray *bytes;
    char *messages;
} Linked;

static Linked link_texts(const char *const *texts, const LinkOptions *options)
{
    ObjFile *files[4];
    unsigned n = 0;
    g_autoptr(GString) messages = g_string_new(NULL);
    Linked result;

    for (; texts[n]; n++) {
        files[n] = assemble_good(texts[n]);
    }
    result.bytes = link_objects(files, n, options, messages);
    result.messages = g_strdup(messages->str);
    for (unsigned i = 0; i < n; i++) {
        obj_file_free(files[i]);
    }
    return result;
}

static void linked_clear(Linked *l)
{
    if (l->bytes) {
        g_byte_array_unref(l->bytes);
    }
    g_free(l->messages);
}

static const ElfViewSymbol *find_symbol(const ElfView *view, const char *name)
{
    for (unsigned i = 1; i < view->n_symbols; i++) {
        if (strcmp(view->symbols[i].name, name) == 0) {
            return &view->symbols[i];
        }
    }
    return NULL;
}

static const ElfViewSection *find_section(const ElfView *view,
                                          const char *name)
{
    for (unsigned i = 0; i < view->n_sections; i++) {
        if (strcmp(view->sections[i].name, name) == 0) {
            return &view->sections[i];
        }
    }
    return NULL;
}

/* Two files, each referring to the other; all common kinds of relocation. */
static void test_link_static(void)
{
    static const char *const texts[] = {
        "\t.global _start\n_start: disp %ctpr1, far\n\t.data\n\t.global v\n"
        "v: .quad far, v + 4\n\t.word v - .\n",
        "\t.global far\nfar: addd 0, v, %dr0\n\t.comm c, 32, 16\n"
        "\t.section .rodata\n\t.quad c\n",
        NULL,
    };
    LinkOptions options = { .kind = LINK_STATIC };
    Linked l = link_texts(texts, &options);

    g_assert_cmpstr(l.messages, ==, "");
    g_autoptr(ElfView) view = elf_view_new(l.bytes->data, l.bytes->len, NULL);
    const ElfViewSymbol *far = find_symbol(view, "far");
    const ElfViewSymbol *v = find_symbol(view, "v");
    const ElfViewSymbol *c = find_symbol(view, "c");
    const ElfViewSection *text = find_section(view, ".text");
    const ElfViewSection *data = find_section(view, ".data");
    const ElfViewSection *rodata = find_section(view, ".rodata");

    g_assert_cmpuint(view->type, ==, ET_EXEC);
    g_assert_cmphex(view->entry, ==, text->address);
    /* disp: (far - bundle) / 8 */
    g_assert_cmphex(ldl_le_p(text->data + 4), ==,
                    0x40000000 | (far->value - text->address) >> 3);
    /* 64-bit literal: high word first */
    g_assert_cmphex(ldl_le_p(text->data + (far->value - text->address) + 8),
                    ==, v->value >> 32);
    g_assert_cmphex(ldl_le_p(text->data + (far->value - text->address) + 12),
                    ==, (uint32_t)v->value);
    g_assert_cmphex(ldq_le_p(data->data), ==, far->value);
    g_assert_cmphex(ldq_le_p(data->data + 8), ==, v->value + 4);
    g_assert_cmphex(ldl_le_p(data->data + 16), ==, (uint32_t)-16);
    g_assert_cmphex(ldq_le_p(rodata->data), ==, c->value);
    g_assert_cmpuint(c->value % 16, ==, 0);
    for (unsigned i = 0; i < view->n_segments; i++) {
        g_assert_cmphex(view->segments[i].offset % 4096, ==,
                        view->segments[i].vaddr % 4096);
    }
    linked_clear(&l);
}

static void test_link_tls_got(void)
{
    static const char *const texts[] = {
        "\t.global _start\n_start: addd 0, _f32s,_lts0 t@TLS_IE, %dr0\n"
        "addd 0, u@TLS_LE, %dr0\naddd 0, _f32s,_lts0 _start@GOT, %dr0\n"
        "\t.section .tdata\n\t.align 32\n\t.global t\nt: .quad 1\n"
        "\t.section .tbss\n\t.global u\nu: .space 8\n",
        NULL,
    };
    LinkOptions options = { .kind = LINK_STATIC };
    Linked l = link_texts(texts, &options);

    g_assert_cmpstr(l.messages, ==, "");
    g_autoptr(ElfView) view = elf_view_new(l.bytes->data, l.bytes->len, NULL);
    const ElfViewSection *text = find_section(view, ".text");
    const ElfViewSection *got = find_section(view, ".got");
    uint32_t ie = ldl_le_p(text->data + 12);
    uint32_t slot = ldl_le_p(text->data + 0x2c);

    /* The block starts 32 bytes above the thread pointer: header, aligned. */
    g_assert_cmpuint(ldq_le_p(got->data + ie), ==, 32);
    g_assert_cmpuint(ldl_le_p(text->data + 0x1c), ==, 40);
    g_assert_cmphex(ldq_le_p(got->data + slot), ==, text->address);
    linked_clear(&l);
}

static void test_link_errors(void)
{
    static const struct {
        const char *texts[3];
        const char *message;
    } cases[] = {
        { { "\t.global _start\n_start: disp %ctpr1, none" },
          "error: t.s: 'none' is not defined\n" },
        { { "\t.global _start\n_start: nop", "\t.global _start\n_start: nop" },
          "error: '_start' is defined in t.s and in t.s\n" },
        { { "\t.global _start\n_start: adds 0, big, %r0\n",
            "\t.set big, 0x123456789\n\t.global big" },
          "error: R_E2K_32_ABS of 'big' at .text+0xc: value out of range\n" },
        { { "nop" }, "warning: '_start' is not defined; entry is the start of "
          ".text\n" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        LinkOptions options = { .kind = LINK_STATIC };
        Linked l;

        l = link_texts(cases[i].texts, &options);
        g_assert_cmpstr(l.messages, ==, cases[i].message);
        linked_clear(&l);
    }
}

/* Value of a dynamic tag; -1 when it is missing. */
static int64_t dynamic_tag(const ElfView *view, uint64_t tag)
{
    const ElfViewSection *s = find_section(view, ".dynamic");

    for (uint64_t i = 0; i + 16 <= s->size; i += 16) {
        if (ldq_le_p(s->data + i) == tag) {
            return ldq_le_p(s->data + i + 8);
        }
    }
    return -1;
}

static unsigned section_number(const ElfView *view, const char *name)
{
    return find_section(view, name) - view->sections;
}

/* A shared library: calls out through the table, data through slots. */
static void test_link_shared(void)
{
    static const char *const texts[] = {
        "\t.global f\n\t.type f, @function\nf: disp %ctpr1, ext\n"
        "addd 0, _f32s,_lts0 v@GOT, %dr0\n\t.data\n\t.global v\n"
        "v: .quad f, l\nl: .quad 1\n",
        NULL,
    };
    LinkOptions options = { .kind = LINK_SHARED, .soname = "libt.so" };
    Linked l = link_texts(texts, &options);
    g_autofree ElfViewReloc *plt = NULL;
    g_autofree ElfViewReloc *dyn = NULL;

    g_assert_cmpstr(l.messages, ==, "");
    g_autoptr(ElfView) view = elf_view_new(l.bytes->data, l.bytes->len, NULL);
    const ElfViewSection *got = find_section(view, ".got");
    const ElfViewSection *data = find_section(view, ".data");

    g_assert_cmpuint(view->type, ==, ET_DYN);
    g_assert_cmpint(elf_view_relocs(view, section_number(view, ".rela.plt"),
                                    &plt), ==, 1);
    g_assert_cmpuint(plt[0].type, ==, R_E2K_64_JMP_SLOT);
    g_assert_cmpstr(view->dynsyms[plt[0].symbol].name, ==, "ext");
    g_assert_cmpuint(view->dynsyms[plt[0].symbol].section, ==, SHN_UNDEF);
    /* GOT slot of v, f as the loader finds it, l relative to the base. */
    g_assert_cmpint(elf_view_relocs(view, section_number(view, ".rela.dyn"),
                                    &dyn), ==, 3);
    g_assert_cmpstr(view->dynsyms[dyn[0].symbol].name, ==, "v");
    g_assert_cmpstr(view->dynsyms[dyn[1].symbol].name, ==, "f");
    g_assert_cmpuint(dyn[1].type, ==, R_E2K_64_ABS);
    g_assert_cmpuint(dyn[2].type, ==, R_E2K_64_RELATIVE);
    g_assert_cmpint(dyn[2].addend, ==, data->address + 16);
    /* Slot 0 holds the dynamic section; the lazy scheme is announced. */
    g_assert_cmphex(ldq_le_p(got->data), ==,
                    find_section(view, ".dynamic")->address);
    g_assert_cmpint(dynamic_tag(view, DT_PLTGOT), ==, got->address);
    g_assert_cmpint(dynamic_tag(view, 0x70000003), ==, 0);
    g_assert_cmpint(dynamic_tag(view, DT_PLTRELSZ), ==, 24);
    g_assert_cmpint(dynamic_tag(view, DT_SONAME), >, 0);
    g_assert_cmpint(dynamic_tag(view, DT_TEXTREL), ==, -1);
    linked_clear(&l);
}

static void test_flat_image(void)
{
    static const char *const texts[] = {
        "\t.quad d\n\t.data\nd: .byte 1, 2\n\t.bss\n\t.space 100\n", NULL,
    };
    static const LinkStart starts[] = {
        { ".text", 0x1000 }, { ".data", 0x1020 },
    };
    LinkOptions options = { .kind = LINK_STATIC, .flat = true,
                            .starts = starts, .n_starts = 2 };
    Linked l = link_texts(texts, &options);

    g_assert_cmpstr(l.messages, ==, "");
    g_assert_cmpuint(l.bytes->len, ==, 0x22);
    g_assert_cmphex(ldq_le_p(l.bytes->data), ==, 0x1020);
    g_assert_cmphex(l.bytes->data[0x21], ==, 2);
    linked_clear(&l);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/target-e2k/asm/data", test_data);
    g_test_add_func("/target-e2k/asm/errors", test_errors);
    g_test_add_func("/target-e2k/asm/several-errors", test_several_errors);
    g_test_add_func("/target-e2k/asm/relocs", test_relocs);
    g_test_add_func("/target-e2k/asm/local-branch", test_local_branch);
    g_test_add_func("/target-e2k/asm/symbols", test_symbols);
    g_test_add_func("/target-e2k/asm/channels", test_channels);
    g_test_add_func("/target-e2k/asm/object-file", test_object_file);
    g_test_add_func("/target-e2k/asm/damaged-object", test_damaged_object);
    g_test_add_func("/target-e2k/link/static", test_link_static);
    g_test_add_func("/target-e2k/link/tls-got", test_link_tls_got);
    g_test_add_func("/target-e2k/link/errors", test_link_errors);
    g_test_add_func("/target-e2k/link/shared", test_link_shared);
    g_test_add_func("/target-e2k/link/flat", test_flat_image);
    return g_test_run();
}
