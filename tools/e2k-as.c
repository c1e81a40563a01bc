/*
 * e2k-as: assembles e2k source, and links.
 *
 * Without --static, --shared, --pie or --format=binary each source becomes
 * one relocatable object file; with one of them sources and objects become one
 * program.  Everything else is in the library (target-e2k/asm.h, link.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <glib.h>

#include "target-e2k/asm.h"
#include "target-e2k/link.h"

static struct {
    char *output;
    char *march;
    char **includes;
    char **defines;
    char **starts;
    char **needed;
    char *text, *data, *bss;
    char *entry;
    char *format;
    char *interp;
    char *soname;
    gboolean narrow;
    gboolean debug;
    gboolean make_static;
    gboolean shared;
    gboolean pie;
    gboolean strip;
    gboolean version;
    gboolean relocatable;
    char **files;
} opt;

static const GOptionEntry entries[] = {
    { "output", 'o', 0, G_OPTION_ARG_FILENAME, &opt.output,
      "Output file (default a.out)", "FILE" },
    { "march", 0, 0, G_OPTION_ARG_STRING, &opt.march,
      "Instruction set: e2kv1 to e2kv7 (default e2kv5); also -march=ISA",
      "ISA" },
    { "mptr32", 0, 0, G_OPTION_ARG_NONE, &opt.narrow,
      "Objects with 32-bit pointers (ELF32); also -mptr32", NULL },
    { "include", 'I', 0, G_OPTION_ARG_FILENAME_ARRAY, &opt.includes,
      "Look for .include and .incbin files there too", "DIR" },
    { "defsym", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt.defines,
      "Define a symbol", "NAME=VALUE" },
    { "debug", 'g', 0, G_OPTION_ARG_NONE, &opt.debug,
      "Write line-number information", NULL },
    { "relocatable", 'c', 0, G_OPTION_ARG_NONE, &opt.relocatable,
      "Write an object file (the default)", NULL },
    { "static", 0, 0, G_OPTION_ARG_NONE, &opt.make_static,
      "Link a static executable", NULL },
    { "pie", 0, 0, G_OPTION_ARG_NONE, &opt.pie,
      "Link a position-independent executable", NULL },
    { "shared", 0, 0, G_OPTION_ARG_NONE, &opt.shared,
      "Link a shared library", NULL },
    { "dynamic-linker", 0, 0, G_OPTION_ARG_STRING, &opt.interp,
      "Program interpreter; links a dynamic executable", "PATH" },
    { "soname", 0, 0, G_OPTION_ARG_STRING, &opt.soname,
      "Name of the shared library", "NAME" },
    { "needed", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt.needed,
      "Shared library wanted at run time", "NAME" },
    { "format", 0, 0, G_OPTION_ARG_STRING, &opt.format,
      "elf (default) or binary, a flat image", "FORMAT" },
    { "Ttext", 0, 0, G_OPTION_ARG_STRING, &opt.text,
      "Address of .text; also -Ttext=ADDRESS", "ADDRESS" },
    { "Tdata", 0, 0, G_OPTION_ARG_STRING, &opt.data,
      "Address of .data", "ADDRESS" },
    { "Tbss", 0, 0, G_OPTION_ARG_STRING, &opt.bss,
      "Address of .bss", "ADDRESS" },
    { "section-start", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt.starts,
      "Address of a section", "NAME=ADDRESS" },
    { "entry", 'e', 0, G_OPTION_ARG_STRING, &opt.entry,
      "Entry symbol or address (default _start)", "SYMBOL" },
    { "strip", 's', 0, G_OPTION_ARG_NONE, &opt.strip,
      "Leave out symbols and debugging sections", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &opt.version,
      "Print the version", NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt.files,
      NULL, "FILE..." },
    { NULL }
};

static void G_GNUC_NORETURN G_GNUC_PRINTF(1, 2) die(const char *format, ...)
{
    va_list ap;

    fputs("e2k-as: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

/* Long options that other assemblers and linkers spell with one dash. */
static void accept_single_dash(char **argv)
{
    static const char *const names[] = {
        "march", "Ttext", "Tdata", "Tbss", "static", "shared", "pie",
        "soname", "dynamic-linker", "mcpu", "mptr32",
    };

    for (int i = 1; argv[i]; i++) {
        for (unsigned k = 0; k < G_N_ELEMENTS(names); k++) {
            size_t length = strlen(names[k]);

            if (argv[i][0] == '-' && argv[i][1] != '-' &&
                strncmp(argv[i] + 1, names[k], length) == 0 &&
                (argv[i][1 + length] == '\0' ||
                 argv[i][1 + length] == '=')) {
                char *two_dashes = g_strconcat("-", argv[i], NULL);
                g_free(argv[i]);
                argv[i] = two_dashes;
            }
        }
    }
}

/* e2kv5, e2k-v5, elbrus-v5, v5, 5; 0: none of them */
static unsigned parse_isa(const char *text)
{
    static const char *const prefixes[] = {
        "e2kv", "e2k-v", "elbrus-v", "v", "",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        if (g_str_has_prefix(text, prefixes[i])) {
            const char *digit = text + strlen(prefixes[i]);

            return *digit >= '1' && *digit <= '7' && !digit[1]
                       ? (unsigned)(*digit - '0') : 0;
        }
    }
    return 0;
}

static uint64_t parse_address(const char *option, const char *text)
{
    char *end;

    errno = 0;

    uint64_t value = g_ascii_strtoull(text, &end, 0);

    if (*end) { /* linkers take bare hexadecimal digits */
        value = g_ascii_strtoull(text, &end, 16);
    }
    if (errno || *end || end == text || *text == '-') {
        die("%s: '%s' is not an address", option, text);
    }
    return value;
}

static bool is_elf(const char *path)
{
    g_autofree char *data = NULL;
    gsize length;

    return g_file_get_contents(path, &data, &length, NULL) && length >= 4 &&
           memcmp(data, "\177ELF", 4) == 0;
}

static ObjFile *read_object(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *data = NULL;
    gsize length;
    ObjFile *file = NULL;

    if (g_file_get_contents(path, &data, &length, &error)) {
        file = obj_from_elf(path, (const uint8_t *)data, length, &error);
    }
    if (!file) {
        die("%s", error->message);
    }
    return file;
}

static ObjFile *read_input(const char *path, const AsmOptions *options,
                           bool *failed)
{
    g_autoptr(GString) messages = g_string_new(NULL);

    if (is_elf(path)) {
        return read_object(path);
    }
    ObjFile *file = asm_assemble(path, NULL, options, messages);

    fputs(messages->str, stderr);
    *failed |= !file;
    return file;
}

static void write_output(const char *path, GByteArray *bytes, bool executable)
{
    g_autoptr(GError) error = NULL;

    if (!g_file_set_contents(path, (const char *)bytes->data, bytes->len,
                             &error)) {
        die("%s", error->message);
    }
    if (executable) {
        mode_t mask = umask(0);

        umask(mask);
        if (chmod(path, 0777 & ~mask) != 0) {
            die("%s: %s", path, strerror(errno));
        }
    }
    g_byte_array_unref(bytes);
}

static LinkStart *collect_starts(unsigned *count)
{
    GArray *starts = g_array_new(FALSE, FALSE, sizeof(LinkStart));
    const struct {
        const char *section;
        const char *option;
        const char *value;
    } fixed[] = {
        { ".text", "-Ttext", opt.text },
        { ".data", "-Tdata", opt.data },
        { ".bss", "-Tbss", opt.bss },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(fixed); i++) {
        if (fixed[i].value) {
            LinkStart start = { fixed[i].section,
                                parse_address(fixed[i].option,
                                              fixed[i].value) };

            g_array_append_val(starts, start);
        }
    }
    for (char **s = opt.starts; s && *s; s++) {
        char *equals = strchr(*s, '=');

        if (!equals) {
            die("--section-start: NAME=ADDRESS expected, not '%s'", *s);
        }
        *equals = '\0';
        LinkStart start = { *s,
                            parse_address("--section-start", equals + 1) };

        g_array_append_val(starts, start);
    }
    *count = starts->len;
    return (LinkStart *)g_array_free(starts, FALSE);
}

static int link_files(ObjFile **files, unsigned n, unsigned isa)
{
    g_autoptr(GString) messages = g_string_new(NULL);
    LinkOptions options = {
        .kind = opt.shared ? LINK_SHARED
                : opt.pie  ? LINK_PIE
                : opt.interp ? LINK_DYNAMIC
                             : LINK_STATIC,
        .flat = opt.format && strcmp(opt.format, "binary") == 0,
        .strip = opt.strip,
        .isa = isa,
        .entry = opt.entry,
        .interp = opt.interp,
        .soname = opt.soname,
        .needed = (const char *const *)opt.needed,
    };

    g_autofree LinkStart *starts = collect_starts(&options.n_starts);

    options.starts = starts;

    GByteArray *bytes = link_objects(files, n, &options, messages);

    fputs(messages->str, stderr);
    if (!bytes) {
        return 1;
    }
    write_output(opt.output ? opt.output : "a.out", bytes, !options.flat);
    return 0;
}

/* prog.s -> prog.o */
static char *object_name(const char *path)
{
    g_autofree char *base = g_path_get_basename(path);
    char *dot = strrchr(base, '.');

    return g_strdup_printf("%.*s.o", dot ? (int)(dot - base)
                                         : (int)strlen(base), base);
}

static int write_objects(ObjFile **files, unsigned n)
{
    if (opt.output && n > 1) {
        die("-o with several object files to write");
    }
    for (unsigned i = 0; i < n; i++) {
        g_autofree char *name = opt.output ? g_strdup(opt.output)
                                           : object_name(files[i]->name);

        write_output(name, obj_to_elf(files[i]), false);
    }
    return 0;
}

static int run(void)
{
    unsigned n = g_strv_length(opt.files);
    unsigned isa = opt.march ? parse_isa(opt.march) : 5;
    bool link = opt.make_static || opt.shared || opt.pie || opt.interp ||
                opt.format;
    bool failed = false;

    if (!isa) {
        die("unknown instruction set '%s', e2kv1 to e2kv7 exist", opt.march);
    }
    if (opt.format && strcmp(opt.format, "binary") != 0 &&
        strcmp(opt.format, "elf") != 0) {
        die("unknown format '%s', elf and binary exist", opt.format);
    }
    if (opt.relocatable && link) {
        die("-c together with an option that links");
    }
    AsmOptions options = {
        .isa = isa,
        .narrow = opt.narrow,
        .debug_lines = opt.debug,
        .include_dirs = (const char *const *)opt.includes,
        .defines = (const char *const *)opt.defines,
    };
    g_autofree ObjFile **files = g_new0(ObjFile *, n);

    for (unsigned i = 0; i < n; i++) {
        files[i] = read_input(opt.files[i], &options, &failed);
    }
    int result = failed ? 1
                 : link ? link_files(files, n, opt.march ? isa : 0)
                        : write_objects(files, n);

    for (unsigned i = 0; i < n; i++) {
        obj_file_free(files[i]);
    }
    return result;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GOptionContext) context = g_option_context_new(
        "- assemble and link e2k programs");
    g_auto(GStrv) args = g_strdupv(argv);

    accept_single_dash(args);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse_strv(context, &args, &error)) {
        die("%s", error->message);
    }
    if (opt.version) {
        printf("e2k-as %s\n", E2K_VERSION);
        return 0;
    }
    if (!opt.files) {
        die("no input files; see --help");
    }
    return run();
}
