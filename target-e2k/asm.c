/*
 * The assembler's entry points, messages and text cursor.
 */
#include "target-e2k/asm-int.h"

#include <elf.h>
#include <stdarg.h>
#include <string.h>

G_DEFINE_QUARK(e2k-asm-error-quark, asm_error)

enum { MAX_ERRORS = 100 };

static void message(Asm *as, AsmPlace place, unsigned column,
                    const char *kind, const char *format, va_list ap)
{
    g_autofree char *context = source_context(as);

    if (place.file) {
        g_string_append_printf(as->messages, "%s:%u:", place.file,
                               place.line);
        if (column && !*context) {
            g_string_append_printf(as->messages, "%u:", column);
        }
        g_string_append_c(as->messages, ' ');
    }
    g_string_append_printf(as->messages, "%s: ", kind);
    g_string_append_vprintf(as->messages, format, ap);
    g_string_append(as->messages, context);
    g_string_append_c(as->messages, '\n');
}

static void count_error(Asm *as)
{
    if (++as->errors == MAX_ERRORS) {
        g_string_append(as->messages, "too many errors\n");
        as->ended = true;
    }
}

void asm_error(Asm *as, unsigned column, const char *format, ...)
{
    va_list ap;

    if (as->errors >= MAX_ERRORS) {
        return;
    }
    va_start(ap, format);
    message(as, as->place, column ? column : as->place.column, "error",
            format, ap);
    va_end(ap);
    count_error(as);
}

void asm_error_at(Asm *as, AsmPlace place, const char *format, ...)
{
    va_list ap;

    if (as->errors >= MAX_ERRORS) {
        return;
    }
    va_start(ap, format);
    message(as, place, place.column, "error", format, ap);
    va_end(ap);
    count_error(as);
}

void asm_warning(Asm *as, unsigned column, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    message(as, as->place, column, "warning", format, ap);
    va_end(ap);
}

bool is_name_start(char ch)
{
    return g_ascii_isalpha(ch) || ch == '_' || ch == '.' || ch == '$';
}

bool is_name_char(char ch)
{
    return is_name_start(ch) || g_ascii_isdigit(ch);
}

void cursor_skip(Cursor *c)
{
    while (*c->p == ' ' || *c->p == '\t' || *c->p == '\r' ||
           *c->p == '\n') {
        c->p++;
    }
}

bool cursor_char(Cursor *c, char ch)
{
    cursor_skip(c);
    if (*c->p != ch || !ch) {
        return false;
    }
    c->p++;
    return true;
}

bool cursor_text(Cursor *c, const char *text)
{
    size_t length = strlen(text);

    cursor_skip(c);
    if (strncmp(c->p, text, length) != 0) {
        return false;
    }
    c->p += length;
    return true;
}

bool cursor_word(Cursor *c, const char *word)
{
    size_t length = strlen(word);

    cursor_skip(c);
    if (strncmp(c->p, word, length) != 0 || is_name_char(c->p[length])) {
        return false;
    }
    c->p += length;
    return true;
}

char *cursor_name(Cursor *c)
{
    cursor_skip(c);

    const char *start = c->p;

    if (*start == '"') {
        const char *end = strchr(start + 1, '"');

        if (!end || end == start + 1) {
            return NULL;
        }
        c->p = end + 1;
        return g_strndup(start + 1, end - start - 1);
    }
    if (!is_name_start(*start)) {
        return NULL;
    }
    while (is_name_char(*c->p)) {
        c->p++;
    }
    return g_strndup(start, c->p - start);
}

bool cursor_end(Cursor *c)
{
    cursor_skip(c);
    return *c->p == '\0';
}

unsigned cursor_column(const Cursor *c)
{
    return c->base_column + (c->p - c->start);
}

static void asm_init(Asm *as, const char *name, const AsmOptions *options,
                     GString *messages)
{
    *as = (Asm){
        .isa = options->isa,
        .options = options,
        .messages = messages,
        .file = obj_file_new(name),
        .section_stack = g_array_new(FALSE, FALSE, sizeof(ObjSection *)),
        .symbols = g_hash_table_new(g_str_hash, g_str_equal),
        .local_count = g_hash_table_new(NULL, NULL),
        .all_symbols = g_ptr_array_new(),
        .exprs = g_ptr_array_new_with_free_func(g_free),
        .fixups = g_array_new(FALSE, FALSE, sizeof(Fixup)),
        .lines = g_array_new(FALSE, FALSE, sizeof(LineEntry)),
    };
    as->file->isa = options->isa;
    as->file->narrow = options->narrow;
    section_use(as, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, true);
    section_use(as, ".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, true);
    section_use(as, ".bss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, true);
    section_use(as, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, true);
    as->previous = as->section;
}

static void asm_clear(Asm *as)
{
    for (unsigned i = 0; i < as->all_symbols->len; i++) {
        AsmSymbol *symbol = as->all_symbols->pdata[i];

        if (symbol->obj) {
            g_free(symbol->obj->name);
            g_free(symbol->obj);
        }
        g_free(symbol);
    }
    g_hash_table_unref(as->symbols);
    g_hash_table_unref(as->local_count);
    g_ptr_array_unref(as->all_symbols);
    g_ptr_array_unref(as->exprs);
    g_array_unref(as->fixups);
    g_array_unref(as->lines);
    g_array_unref(as->section_stack);
    obj_file_free(as->file);
}

static void define_from_options(Asm *as)
{
    for (const char *const *d = as->options->defines; d && *d; d++) {
        const char *equals = strchr(*d, '=');
        g_autofree char *name = equals ? g_strndup(*d, equals - *d)
                                       : g_strdup(*d);
        Cursor c = { equals ? equals + 1 : "1", equals ? equals + 1 : "1", 1 };
        Expr *expr = expr_parse(as, &c);

        if (expr && !cursor_end(&c)) {
            asm_error(as, 0, "malformed definition '%s'", *d);
        } else if (expr) {
            symbol_equate(as, name, expr, false);
        }
    }
}

ObjFile *asm_assemble(const char *name, const char *text,
                      const AsmOptions *options, GString *messages)
{
    Asm as;

    asm_init(&as, name, options, messages);
    define_from_options(&as);
    source_run(&as, name, text);
    if (as.bundle.started) {
        if (as.bundle.braces) {
            asm_error(&as, 0, "'{' without '}'");
        }
        bundle_finish(&as);
    }
    as.place = (AsmPlace){ g_intern_string(name), as.place.line };
    if (!as.errors) {
        debug_finish(&as);
        asm_resolve_fixups(&as);
        asm_finish_symbols(&as);
    }
    ObjFile *result = as.errors ? NULL : g_steal_pointer(&as.file);

    asm_clear(&as);
    return result;
}

unsigned asm_bundle(uint8_t bytes[BUNDLE_MAX_BYTES], const char *text,
                    uint64_t address, unsigned isa, GError **error)
{
    AsmOptions options = { .isa = isa };
    g_autoptr(GString) messages = g_string_new(NULL);
    Asm as;
    unsigned length = 0;

    asm_init(&as, "(bundle)", &options, messages);
    as.no_symbols = true;
    as.address = address;
    as.column = 1;
    bundle_start(&as, true);

    char **statements = g_strsplit_set(text, ";\n", -1);
    unsigned column = 1;

    for (char **s = statements; *s; s++) {
        Cursor c = { *s, *s, column };

        cursor_skip(&c);
        as.column = cursor_column(&c);
        if (!cursor_end(&c)) {
            insn_parse(&as, &c);
        }
        column += strlen(*s) + 1;
    }
    g_strfreev(statements);
    if (!as.bundle.failed) {
        length = bundle_pack_text(&as, &as.bundle, bytes);
    }
    if (as.errors || !length) {
        g_strchomp(messages->str);
        g_set_error_literal(error, asm_error_quark(), 0,
                            *messages->str ? messages->str
                                           : "error: no bundle");
        length = 0;
    }
    asm_clear(&as);
    return length;
}
