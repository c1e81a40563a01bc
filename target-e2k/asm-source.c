/*
 * Input of the assembler: a stack of frames (files, macro bodies, repeated
 * blocks), cut into statements.
 *
 *   frame: text ...... p ......            a statement ends at a newline,
 *                       \_ next statement  a semicolon or a brace
 *
 * '!' starts a comment, '#' does at the start of a line; C comments work too.
 */
#include "target-e2k/asm-source-int.h"

#include <string.h>

enum {
    MAX_FRAMES = 200,
    MAX_FILE = 1 << 28, /* bytes */
};

/* Frames. */

/* Takes ownership of text. */
Frame *source_push_frame(Asm *as, char *text, AsmPlace place)
{
    AsmSource *src = as->source;

    if (src->depth >= MAX_FRAMES) {
        asm_error(as, as->column, "includes and macros nested too deeply");
        as->ended = true;
        g_free(text);
        return NULL;
    }
    Frame *frame = g_new0(Frame, 1);

    frame->parent = src->top;
    frame->text = text;
    frame->p = frame->line_start = text;
    frame->body_line = 1;
    frame->place = place;
    frame->conditions = src->conditions->len;
    src->top = frame;
    src->depth++;
    return frame;
}

static void pop_frame(Asm *as)
{
    AsmSource *src = as->source;
    Frame *frame = src->top;

    if (src->conditions->len > frame->conditions && !as->ended) {
        Condition *c = &g_array_index(src->conditions, Condition,
                                      src->conditions->len - 1);

        asm_error_at(as, c->place, "'.if' without '.endif'");
    }
    if (src->conditions->len > frame->conditions) {
        g_array_set_size(src->conditions, frame->conditions);
    }
    src->top = frame->parent;
    src->depth--;
    g_free(frame->text);
    g_free(frame);
}

void source_next_line(Frame *frame)
{
    frame->p++;
    frame->line_start = frame->p;
    frame->body_line++;
    if (!frame->fixed_line) {
        frame->place.line++;
    }
}

/* Where in an expansion the statement is, for messages; "" outside one. */
char *source_context(Asm *as)
{
    const Frame *frame = as->source ? as->source->top : NULL;
    GString *out = g_string_new(NULL);

    for (; frame && frame->fixed_line; frame = frame->parent) {
        if (frame->is_macro) {
            g_string_append_printf(out, " (line %u of macro '%s')",
                                   frame->statement_line,
                                   frame->macro);
        } else {
            g_string_append_printf(out, " (line %u of repeated block)",
                                   frame->statement_line);
        }
    }
    return g_string_free(out, FALSE);
}

/* Statements. */

/* Copies a quoted string or character, quotes and escapes included. */
static void copy_quoted(Frame *frame, GString *out)
{
    char quote = *frame->p;

    g_string_append_c(out, *frame->p++);
    if (quote == '\'') {
        if (*frame->p == '\\' && frame->p[1] && frame->p[1] != '\n') {
            g_string_append_c(out, *frame->p++);
        }
        if (*frame->p && *frame->p != '\n') {
            g_string_append_c(out, *frame->p++);
        }
        return;
    }
    while (*frame->p && *frame->p != '\n' && *frame->p != quote) {
        if (*frame->p == '\\' && frame->p[1] && frame->p[1] != '\n') {
            g_string_append_c(out, *frame->p++);
        }
        g_string_append_c(out, *frame->p++);
    }
    if (*frame->p == quote) {
        g_string_append_c(out, *frame->p++);
    }
}

static void skip_c_comment(Frame *frame)
{
    frame->p += 2;
    while (*frame->p && !(frame->p[0] == '*' && frame->p[1] == '/')) {
        if (*frame->p == '\n') {
            source_next_line(frame);
        } else {
            frame->p++;
        }
    }
    if (*frame->p) {
        frame->p += 2;
    }
}

/* "# 12 "file"" as the C preprocessor writes it; other # lines: comment. */
static void hash_line(Frame *frame)
{
    const char *p = frame->p + 1;
    const char *end = frame->p + strcspn(frame->p, "\n");
    char *rest;

    while (*p == ' ' || *p == '\t') {
        p++;
    }
    if (g_ascii_isdigit(*p) && !frame->fixed_line) {
        guint64 line = g_ascii_strtoull(p, &rest, 10);
        const char *name = strchr(rest, '"');
        const char *close = name ? strchr(name + 1, '"') : NULL;

        if (close && close < end && line > 0 && line < G_MAXINT) {
            g_autofree char *file = g_strndup(name + 1, close - name - 1);

            frame->place.file = g_intern_string(file);
            frame->place.line = line - 1;
        }
    }
    frame->p = end;
}

/*
 * The next statement of the frame, without comments, into out; returns what
 * ended it: a newline, ';', '{', '}' or 0 at the end of the text.
 */
static char next_statement(Asm *as, Frame *frame, GString *out)
{
    bool first = true;

    g_string_truncate(out, 0);
    for (;;) {
        char ch = *frame->p;

        if (first && ch != ' ' && ch != '\t' && ch != '\r') {
            first = false;
            as->place = frame->place;
            frame->statement_line = frame->body_line;
            as->column = frame->p - frame->line_start + 1;
            if (ch == '#') {
                hash_line(frame);
                continue;
            }
        }
        switch (ch) {
        case '\0':
            return 0;
        case '\n':
            source_next_line(frame);
            return '\n';
        case ';':
        case '{':
        case '}':
            frame->p++;
            return ch;
        case '!':
            frame->p += strcspn(frame->p, "\n");
            break;
        case '"':
        case '\'':
            copy_quoted(frame, out);
            break;
        case '/':
            if (frame->p[1] == '*') {
                skip_c_comment(frame);
                g_string_append_c(out, ' ');
                break;
            }
            /* fall through */
        default:
            if (out->len || (ch != ' ' && ch != '\t' && ch != '\r')) {
                g_string_append_c(out, ch);
            }
            frame->p++;
        }
    }
}

/* Files. */

bool source_find(Asm *as, const char *name, char **path)
{
    g_autofree char *dir = as->place.file ? g_path_get_dirname(as->place.file)
                                          : g_strdup(".");

    *path = g_path_is_absolute(name) ? g_strdup(name)
                                     : g_build_filename(dir, name, NULL);
    if (g_file_test(*path, G_FILE_TEST_IS_REGULAR)) {
        return true;
    }
    for (const char *const *d = as->options->include_dirs; d && *d; d++) {
        g_free(*path);
        *path = g_build_filename(*d, name, NULL);
        if (g_file_test(*path, G_FILE_TEST_IS_REGULAR)) {
            return true;
        }
    }
    g_free(*path);
    *path = NULL;
    asm_error(as, as->column, "file '%s' not found", name);
    return false;
}

static char *read_file(Asm *as, const char *path)
{
    g_autoptr(GError) error = NULL;
    char *text;
    gsize length;

    if (!g_file_get_contents(path, &text, &length, &error)) {
        asm_error(as, 0, "%s", error->message);
        return NULL;
    }
    if (length > MAX_FILE || memchr(text, 0, length)) {
        asm_error(as, 0, "'%s' is not a source file", path);
        g_free(text);
        return NULL;
    }
    return text;
}

void source_include(Asm *as, const char *name)
{
    g_autofree char *path = NULL;

    if (!source_find(as, name, &path)) {
        return;
    }
    char *text = read_file(as, path);

    if (text) {
        source_push_frame(as, text, (AsmPlace){ g_intern_string(path), 1, 0 });
    }
}

/* Labels at the start of a statement. */
static void take_labels(Asm *as, Cursor *c)
{
    for (;;) {
        Cursor try = *c;

        cursor_skip(&try);
        if (g_ascii_isdigit(*try.p)) {
            char *end;
            guint64 number = g_ascii_strtoull(try.p, &end, 10);

            if (*end != ':') {
                return;
            }
            if (number > 999999) {
                asm_error(as, as->column, "numeric label out of range");
            } else {
                symbol_define_numeric(as, number);
            }
            c->p = end + 1;
            continue;
        }
        g_autofree char *name = cursor_name(&try);

        if (!name || *try.p != ':') {
            return;
        }
        if (as->bundle.started && as->bundle.braces) {
            asm_error(as, cursor_column(c), "label inside a bundle");
        } else {
            symbol_define_label(as, name);
        }
        c->p = try.p + 1;
    }
}

/* "NAME = EXPR" and "NAME == EXPR" (only once). */
static bool take_assignment(Asm *as, Cursor *c)
{
    Cursor try = *c;
    g_autofree char *name = cursor_name(&try);

    if (!name || !cursor_char(&try, '=')) {
        return false;
    }
    bool once = *try.p == '=';

    try.p += once;
    *c = try;

    Expr *expr = expr_parse(as, c);

    if (expr && !cursor_end(c)) {
        asm_error(as, cursor_column(c), "unexpected '%s'", c->p);
    } else if (expr) {
        symbol_equate(as, name, expr, once);
    }
    return true;
}

static void run_statement(Asm *as, const char *text)
{
    Cursor c = { text, text, as->column };
    bool known;

    if (source_assembling(as)) {
        take_labels(as, &c);
    }
    cursor_skip(&c);
    if (!*c.p) {
        return;
    }
    as->column = cursor_column(&c);
    as->place.column = as->source->top->fixed_line ? 0 : as->column;

    Cursor after = c;
    g_autofree char *name = cursor_name(&after);

    if (name && *name == '.') {
        Cursor args = after;
        bool value = source_condition(as, name, &args, &known);

        if (known) {
            source_push_condition(as, value);
            return;
        }
        if (source_condition_change(as, name, &after)) {
            return;
        }
    }
    if (!source_assembling(as)) {
        return;
    }
    Macro *macro = name ? g_hash_table_lookup(as->source->macros, name)
                        : NULL;

    if (macro) {
        source_call_macro(as, macro, &after);
    } else if (take_assignment(as, &c)) {
        return;
    } else if (name && *name == '.') {
        if (!source_directive(as, name, &after)) {
            directive_run(as, name, &after);
        }
    } else {
        insn_parse(as, &c);
    }
}

static void run_brace(Asm *as, char brace)
{
    AsmBundle *ab = &as->bundle;

    if (!source_assembling(as)) {
        return;
    }
    if (brace == '{') {
        if (ab->started) {
            asm_error(as, as->column, "'{' inside a bundle");
        }
        bundle_start(as, true);
    } else if (!ab->started) {
        asm_error(as, as->column, "'}' without '{'");
    } else {
        bundle_finish(as);
    }
}

static bool frame_finished(Asm *as, Frame *frame)
{
    if (!frame->repeat) {
        pop_frame(as);
        return true;
    }
    frame->repeat--;
    frame->p = frame->line_start = frame->text;
    frame->body_line = 1;
    return false;
}

void source_run(Asm *as, const char *name, const char *text)
{
    AsmSource source = {
        .macros = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                        source_macro_free),
        .conditions = g_array_new(FALSE, FALSE, sizeof(Condition)),
    };
    g_autoptr(GString) statement = g_string_new(NULL);

    as->source = &source;
    as->place = (AsmPlace){ g_intern_string(name), 0, 0 };
    char *copy = text ? g_strdup(text) : read_file(as, name);

    if (copy) {
        source_push_frame(as, copy,
                          (AsmPlace){ g_intern_string(name), 1, 0 });
    }
    for (uint64_t n = 1; source.top && !as->ended; n++) {
        Frame *frame = source.top;
        char end = next_statement(as, frame, statement);
        unsigned brace_column = frame->p - frame->line_start;

        if (as->options->max_statements && n > as->options->max_statements) {
            asm_error(as, 0, "more than %" G_GUINT64_FORMAT " statements",
                      as->options->max_statements);
            break;
        }

        if (statement->len) {
            run_statement(as, statement->str);
        }
        if (end == '{' || end == '}') {
            as->column = brace_column;
            as->place.column = frame->fixed_line ? 0 : brace_column;
            run_brace(as, end);
        } else if (!end && source.top == frame && !*frame->p) {
            frame_finished(as, frame);
        }
    }
    while (source.top) {
        pop_frame(as);
    }
    g_hash_table_unref(source.macros);
    g_array_unref(source.conditions);
    as->source = NULL;
}
