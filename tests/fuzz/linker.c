/*
 * The readers of ELF files and the linker, with damaged files.
 *
 *   linker SEED COUNT [SECONDS]    COUNT damaged files from the seed on, or
 *                                  as many as so many seconds allow
 *
 * Objects and linked files of both classes are made from source, a few of
 * their words are changed, most often in the header, the tables and the
 * relocations, and what is left is viewed, read and linked with a whole one.
 * Whatever a file says, the answer is a file or a message; a crash, a failed
 * allocation or a hang is a mistake.  The seed is printed first, the number of
 * the file that did it at the end.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "target-e2k/asm.h"
#include "target-e2k/elf-view.h"
#include "target-e2k/link.h"

enum {
    MAX_FILES = 16,
    MEMORY_LIMIT = 1, /* GiB: a file of a few KiB needs no more */
    HANG_SECONDS = 20,
};

/* Addresses in code and data. */
static const char macros[2][160] = {
    "\t.macro ADDR symbol\n\t{ addd 0, \\symbol, %dr1 }\n\t.endm\n"
    "\t.macro POINTER value\n\t.dword \\value\n\t.endm\n",
    "\t.macro ADDR symbol\n\t{ sxt 6, \\symbol, %dr1 }\n\t.endm\n"
    "\t.macro POINTER value\n\t.word \\value\n\t.endm\n",
};

static const char first_source[] =
    "\t.text\n\t.global _start, f, pick\n\t.type f, @function\n"
    "_start: disp %ctpr1, g\n\tdisp %ctpr2, f\n"
    "\tADDR v\n\t{ ldw %dr1, v@GOT, %dr2 }\n"
    "\t{ ldw %dr1, t@TLS_GDMOD, %dr2\n ldw %dr1, t@TLS_GDREL, %dr3 }\n"
    "\t{ ldw %dr1, t@TLS_IE, %dr2 }\n\t{ addd %dr1, _f32s w@GOTOFF, %dr2 }\n"
    "here:\t{ addd %dr1, _f32s _GLOBAL_OFFSET_TABLE_ - here, %dr2 }\n"
    "f: return %ctpr3\n\tnop 5\n\tct %ctpr3\n\t.size f, . - f\n"
    "\t.type pick, @gnu_indirect_function\n"
    "pick: return %ctpr3\n\tnop 5\n\tct %ctpr3\n"
    "\t.data\n\t.global v\n\t.type v, @object\n\t.size v, 8\n"
    "v:\tPOINTER w\n\tPOINTER f\n\tPOINTER pick\n\t.word w@SIZE, here - .\n\t.comm c, 32, 16\n"
    "\t.section .rodata, \"a\"\n\t.asciz \"text\"\n\t.bss\nw:\t.skip 8\n"
    "\t.section .tdata, \"awT\", @progbits\nt:\t.word 1, 2\n"
    "\t.section .tbss, \"awT\", @nobits\n\t.skip 8\n"
    "\t.section .init_array, \"aw\"\n\tPOINTER f\n"
    "\t.section .debug_x\n\t.word 1, 2, 3\n";

static const char second_source[] =
    "\t.text\n\t.global g, u\n\t.type g, @function\n"
    "g: disp %ctpr1, f\n\tADDR v\n\tct %ctpr1\n"
    "\t.data\n\t.type u, @object\n\t.size u, 4\nu:\tPOINTER v + 4\n\tPOINTER g\n\tPOINTER pick\n"
    "\t.comm c, 64, 32\n\t.weak none\n\tPOINTER none\n";

/* Files that found a mistake once; they come first. */
static const uint32_t found[] = {
    121539, /* an overflow at a section symbol of no section */
};

typedef struct Fuzz {
    GByteArray *files[MAX_FILES];
    unsigned n_files;
    GRand *random;
} Fuzz;

static volatile unsigned current;

static void report(int number)
{
    char text[64];
    int length = snprintf(text, sizeof(text), "# file %u: %s\n", current,
                          number == SIGALRM ? "hangs" : "crashes");

    if (write(STDOUT_FILENO, text, length) == length) {
        signal(number, SIG_DFL);
        raise(number == SIGALRM ? SIGABRT : number);
    }
    _exit(1);
}

static GByteArray *link_files(ObjFile *const *files, unsigned n, LinkKind kind,
                              bool flat, bool is_good)
{
    static const char *const needed[] = { "libneeded.so", NULL };
    g_autoptr(GString) messages = g_string_new(NULL);
    LinkOptions options = {
        .kind = kind, .flat = flat,
        .interp = kind == LINK_STATIC ? NULL : "/lib/ld.so",
        .needed = kind == LINK_STATIC ? NULL : needed,
    };
    GByteArray *out = link_objects(files, n, &options, messages);

    g_assert_true(out || strstr(messages->str, "error: "));
    if (!out && is_good) {
        g_error("%s", messages->str);
    }
    return out;
}

static ObjFile *assemble(const char *source, bool narrow)
{
    g_autoptr(GString) messages = g_string_new(NULL);
    g_autofree char *text = g_strconcat(macros[narrow], source, NULL);
    AsmOptions options = { .isa = 3, .narrow = narrow, .debug_lines = true };
    ObjFile *file = asm_assemble("fuzz.s", text, &options, messages);

    if (!file) {
        g_error("%s", messages->str);
    }
    return file;
}

static void add_file(Fuzz *fuzz, GByteArray *bytes)
{
    g_assert(bytes && fuzz->n_files < MAX_FILES);
    fuzz->files[fuzz->n_files++] = bytes;
}

/* Objects, a program, a library of one class. */
static void make_files(Fuzz *fuzz, bool narrow)
{
    static const LinkKind kinds[] = { LINK_DYNAMIC, LINK_SHARED };

    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(ObjFile) file = assemble(i ? second_source : first_source,
                                           narrow);

        add_file(fuzz, obj_to_elf(file));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autoptr(ObjFile) first = assemble(first_source, narrow);
        g_autoptr(ObjFile) second = assemble(second_source, narrow);
        ObjFile *const both[] = { first, second };

        add_file(fuzz, link_files(kinds[i] == LINK_SHARED ? &both[1] : both,
                                  kinds[i] == LINK_SHARED ? 1 : 2, kinds[i],
                                  false, true));
    }
}

/* A word as a damaged file may have it. */
static uint32_t odd_word(GRand *random)
{
    static const uint32_t words[] = {
        0, 1, 2, 3, 7, 8, 0x10, 0x18, 0x40, 0xff, 0xfff, 0x1000, 0xffff,
        0x10000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff,
    };

    switch (g_rand_int_range(random, 0, 3)) {
    case 0:
        return words[g_rand_int_range(random, 0, G_N_ELEMENTS(words))];
    case 1:
        return g_rand_int(random);
    default:
        return g_rand_int_range(random, 0, 256);
    }
}

static void damage(Fuzz *fuzz, GByteArray *bytes)
{
    GRand *random = fuzz->random;
    unsigned changes = g_rand_int_range(random, 1, 6);

    if (g_rand_int_range(random, 0, 16) == 0) {
        g_byte_array_set_size(bytes, g_rand_int_range(random, 0, bytes->len));
    }
    for (unsigned i = 0; i < changes && bytes->len; i++) {
        static const unsigned sizes[] = { 1, 1, 2, 4, 8 };
        unsigned size = sizes[g_rand_int_range(random, 0, 5)];
        uint64_t value = odd_word(random) |
                         (uint64_t)(g_rand_boolean(random)
                                        ? 0 : odd_word(random)) << 32;
        unsigned where = g_rand_int_range(random, 0, 4);
        unsigned at = where == 0 ? 16 + g_rand_int_range(random, 0, 48)
                      : where == 1
                          ? bytes->len / 2 +
                                g_rand_int_range(random, 0,
                                                 bytes->len / 2 + 1)
                          : (unsigned)g_rand_int_range(random, 0, bytes->len);

        if (at < bytes->len) {
            memcpy(bytes->data + at, &value, MIN(size, bytes->len - at));
        }
    }
}

static void view(const GByteArray *bytes)
{
    g_autoptr(ElfView) view = elf_view_new(bytes->data, bytes->len, NULL);

    for (unsigned i = 0; view && i < view->n_sections; i++) {
        ElfViewReloc *relocs;

        elf_view_relocs(view, i, &relocs);
        g_free(relocs);
    }
}

/* The damaged file alone, or with a whole one before or behind it. */
static void link_damaged(Fuzz *fuzz, const GByteArray *bytes, unsigned base)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ObjFile) file = obj_from_elf("damaged", bytes->data, bytes->len,
                                           &error);
    g_autoptr(ObjFile) whole = NULL;
    ObjFile *files[2] = { file, NULL };
    unsigned n = 1;

    g_assert_true((file == NULL) == (error != NULL));
    if (!file) {
        return;
    }
    if (g_rand_boolean(fuzz->random)) {
        unsigned other = base + g_rand_int_range(fuzz->random, 0, 2);

        whole = obj_from_elf("whole", fuzz->files[other]->data,
                             fuzz->files[other]->len, NULL);
        files[n++] = whole;
        if (g_rand_boolean(fuzz->random)) {
            files[0] = whole;
            files[1] = file;
        }
    }
    GByteArray *out = link_files(files, n,
                                 g_rand_int_range(fuzz->random, 0, 4),
                                 g_rand_int_range(fuzz->random, 0, 8) == 0,
                                 false);

    if (out) {
        view(out);
        g_byte_array_unref(out);
    }
}

static void one(Fuzz *fuzz, uint32_t seed)
{
    g_rand_set_seed(fuzz->random, seed);

    unsigned which = g_rand_int_range(fuzz->random, 0, fuzz->n_files);
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    g_byte_array_append(bytes, fuzz->files[which]->data,
                        fuzz->files[which]->len);
    damage(fuzz, bytes);
    view(bytes);
    link_damaged(fuzz, bytes, which & ~3u);
}

int main(int argc, char **argv)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL,
                                   SIGALRM };
    Fuzz fuzz = { .random = g_rand_new() };
    uint32_t seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
    uint32_t count = argc > 2 ? strtoul(argv[2], NULL, 0) : 1000;
    time_t end = argc > 3 ? time(NULL) + atoi(argv[3]) : 0;

    printf("1..1\n# seed %u, %u files\n", seed, count);
    fflush(stdout);
#if !defined(__SANITIZE_ADDRESS__)
    struct rlimit limit = { (rlim_t)MEMORY_LIMIT << 30,
                            (rlim_t)MEMORY_LIMIT << 30 };

    setrlimit(RLIMIT_AS, &limit);
#endif
    for (unsigned i = 0; i < G_N_ELEMENTS(signals); i++) {
        signal(signals[i], report);
    }
    make_files(&fuzz, false);
    make_files(&fuzz, true);
    for (unsigned i = 0; i < G_N_ELEMENTS(found); i++) {
        current = found[i];
        one(&fuzz, found[i]);
    }
    for (uint32_t i = 0; i < count && (!end || time(NULL) < end); i++) {
        current = seed + i;
        alarm(HANG_SECONDS);
        one(&fuzz, seed + i);
    }
    alarm(0);
    for (unsigned i = 0; i < fuzz.n_files; i++) {
        g_byte_array_unref(fuzz.files[i]);
    }
    g_rand_free(fuzz.random);
    printf("ok 1 - damaged files, the last one %u\n", current);
    return 0;
}
