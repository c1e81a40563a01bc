/*
 * isa-vectors: checks decoder, disassembler and assembler against files of
 * golden bundles.
 *
 *   isa-vectors [-v] FILE...
 *
 * Each line is "hex bytes | ISA version | text"; empty lines and lines that
 * start with '#' are skipped.  What a line asks for:
 *
 *   text "INVALID class"    the decoder must refuse the bytes for this reason;
 *                           ": words" may follow the class
 *   text starts "fapb"      array-prefetch instruction: decode and assemble
 *   in a file named dis_*   decoding gives the text
 *   any other               decoding gives the text, and assembling the text
 *                           gives exactly the bytes
 *
 * White space is normalised before texts are compared.  Prints each
 * difference and "N passed, N failed"; the exit status is 0 when none failed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "target-e2k/asm.h"
#include "target-e2k/disas.h"

typedef struct Vector {
    const char *file;
    unsigned line;
    uint8_t *bytes; /* exactly size bytes, so that an overrun shows */
    unsigned size;
    unsigned isa;
    char *text;
} Vector;

static unsigned passed;
static unsigned failed;
static bool verbose;

static bool differs(const Vector *v, const char *what, const char *wanted,
                    const char *found)
{
    printf("%s:%u: %s\n  wanted %s\n  found  %s\n", v->file, v->line, what,
           wanted, found);
    return false;
}

/* Runs of white space become one blank; none at the ends. */
static char *normalise(const char *text)
{
    GString *out = g_string_new(NULL);

    for (; *text; text++) {
        if (g_ascii_isspace(*text)) {
            if (out->len && out->str[out->len - 1] != ' ') {
                g_string_append_c(out, ' ');
            }
        } else {
            g_string_append_c(out, *text);
        }
    }
    return g_strchomp(g_string_free(out, FALSE));
}

static char *hex(const uint8_t *bytes, unsigned size)
{
    GString *out = g_string_new(NULL);

    for (unsigned i = 0; i < size; i++) {
        g_string_append_printf(out, "%02x", bytes[i]);
    }
    return g_string_free(out, FALSE);
}

/* The reason as vectors word it; operations are named with their channel. */
static char *refusal(DecodeError error, const Bundle *bundle)
{
    const char *class = decode_error_class(error);

    return error == DECODE_BAD_OPERATION
               ? g_strdup_printf("%s in channel %u", class,
                                 bundle->error_channel)
               : g_strdup(class);
}

static bool known_class(const char *text)
{
    for (DecodeError e = DECODE_OK + 1; e < DECODE_ERRORS; e++) {
        if (g_str_has_prefix(text, decode_error_class(e))) {
            return true;
        }
    }
    return false;
}

static bool check_refused(const Vector *v)
{
    Bundle bundle;
    DecodeError error = bundle_decode(&bundle, v->bytes, v->size, v->isa);

    if (error == DECODE_OK) {
        return differs(v, "decoder", v->text, "a valid bundle");
    }
    g_autofree char *found = refusal(error, &bundle);
    g_autofree char *wanted = g_strdup(v->text + strlen("INVALID"));
    char *words = strchr(wanted, ':');

    if (words) {
        *words = 0;
    }
    g_strstrip(wanted);
    if (verbose) {
        printf("%s:%u: %s: %s\n", v->file, v->line, found,
               decode_error_text(error));
    }
    if (strcmp(wanted, found) == 0) {
        return true;
    }
    if (!known_class(wanted)) {
        printf("%s:%u: refused (%s); the class '%s' is not one of ours\n",
               v->file, v->line, found, wanted);
        return true;
    }
    return differs(v, "reason", wanted, found);
}

static bool check_text(const Vector *v)
{
    DisasOptions options = { .isa = v->isa };
    g_autoptr(GString) out = g_string_new(NULL);
    ApbInsn apb;

    if (g_str_has_prefix(v->text, "fapb")) {
        if (!apb_decode(&apb, v->bytes, v->size)) {
            return differs(v, "decoder", v->text, "too short");
        }
        apb_disassemble(out, &apb, v->isa, NULL);
    } else {
        unsigned length = disassemble_bytes(out, v->bytes, v->size, 0,
                                            &options);

        if (length && length != v->size) {
            return differs(v, "length", "all bytes", "fewer");
        }
    }
    g_autofree char *text = normalise(out->str);

    return strcmp(text, v->text) == 0 ||
           differs(v, "disassembler", v->text, text);
}

static bool check_bytes(const Vector *v)
{
    uint8_t bytes[BUNDLE_MAX_BYTES];
    g_autoptr(GError) error = NULL;
    unsigned length = asm_bundle(bytes, v->text, 0, v->isa, &error);

    if (length == v->size && memcmp(bytes, v->bytes, length) == 0) {
        return true;
    }
    g_autofree char *wanted = hex(v->bytes, v->size);
    g_autofree char *found = error ? g_strdup(error->message)
                                   : hex(bytes, length);

    printf("%s:%u: %s\n", v->file, v->line, v->text);
    return differs(v, "assembler", wanted, found);
}

static bool check(const Vector *v, bool decode_only)
{
    if (g_str_has_prefix(v->text, "INVALID")) {
        return check_refused(v);
    }
    return check_text(v) && (decode_only || check_bytes(v));
}

static bool parse_hex(Vector *v, const char *text)
{
    size_t digits = strlen(text);

    if (digits == 0 || digits % 2 || digits > 2 * BUNDLE_MAX_BYTES) {
        return false;
    }
    v->size = digits / 2;
    v->bytes = g_malloc(v->size);
    for (unsigned i = 0; i < v->size; i++) {
        if (!g_ascii_isxdigit(text[2 * i]) ||
            !g_ascii_isxdigit(text[2 * i + 1])) {
            return false;
        }
        v->bytes[i] = g_ascii_xdigit_value(text[2 * i]) << 4 |
                      g_ascii_xdigit_value(text[2 * i + 1]);
    }
    return true;
}

/* The text may hold '|' itself. */
static bool parse_line(Vector *v, const char *line)
{
    g_auto(GStrv) parts = g_strsplit(line, "|", 3);

    if (g_strv_length(parts) != 3) {
        return false;
    }
    v->isa = atoi(parts[1]);
    v->text = normalise(parts[2]);
    return parse_hex(v, g_strstrip(parts[0])) && v->isa >= ISA_MIN &&
           v->isa <= ISA_MAX;
}

static void run_line(const char *file, unsigned number, const char *line,
                     bool decode_only)
{
    Vector v = { .file = file, .line = number };
    bool ok = false;

    if (parse_line(&v, line)) {
        ok = check(&v, decode_only);
    } else {
        printf("%s:%u: not a vector: %s\n", file, number, line);
    }
    passed += ok;
    failed += !ok;
    g_free(v.bytes);
    g_free(v.text);
}

static void run_file(const char *path)
{
    g_autofree char *name = g_path_get_basename(path);
    g_autoptr(GError) error = NULL;
    g_autofree char *data = NULL;

    if (!g_file_get_contents(path, &data, NULL, &error)) {
        printf("%s\n", error->message);
        failed++;
        return;
    }
    g_auto(GStrv) lines = g_strsplit(data, "\n", -1);

    for (unsigned i = 0; lines[i]; i++) {
        g_strstrip(lines[i]);
        if (*lines[i] && *lines[i] != '#') {
            run_line(name, i + 1, lines[i],
                     g_str_has_prefix(name, "dis_"));
        }
    }
}

int main(int argc, char **argv)
{
    int first = 1;

    if (argc > 1 && strcmp(argv[1], "-v") == 0) {
        verbose = true;
        first = 2;
    }
    if (first >= argc) {
        fprintf(stderr, "usage: isa-vectors [-v] FILE...\n");
        return 2;
    }
    for (int i = first; i < argc; i++) {
        run_file(argv[i]);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed || !passed ? 1 : 0;
}
