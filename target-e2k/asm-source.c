/*
 * Input of the assembler: a stack of frames (files, macro bodies, repeated
 * blocks), cut into statements; conditionals, macros, repetition.
 *
 *   frame: text ...... p ......            a statement ends at a newline,
 *                       \_ next statement  a semicolon or a brace
 *
 * '!' starts a comment, '#' does at the start of a line; C comments work too.
 */
#include "target-e2k/asm-int.h"

#include <string.h>

enum {
    MAX_FRAMES = 200,
    MAX_CONDITIONS = 1000,
    MAX_REPEAT = 1 << 24,
    MAX_FILE = 1 << 28,        /* bytes */
    MAX_EXPANSION = 1 << 24,   /* bytes of one expanded macro */
};

typedef struct Macro {
    char *name;
    GPtrArray *params;   /* MacroParam */
    char *body;
    AsmPlace place;
} Macro;

typedef struct MacroParam {
    char *name;
    char *value;         /* default, or NULL */
    bool required;
    bool vararg;
} MacroParam;

typedef struct Frame {
    struct Frame *parent;
    char *text;
    const char *p;
    const char *line_start;
    AsmPlace place;      /* of the line p is in */
    bool fixed_line;     /* expansion: all lines count as the call's */
    unsigned conditions; /* open ones when the frame was entered */
    uint64_t repeat;     /* times to run again */
    bool is_macro;
    const char *macro;   /* its name */
    unsigned body_line;  /* of an expansion, counted from 1 */
    unsigned statement_line; /* body_line of the statement being run */
} Frame;

typedef struct Condition {
    bool active;  /* this branch is assembled */
    bool taken;   /* some branch was */
    bool parent;  /* the surrounding text is assembled */
    bool had_else;
    AsmPlace place;
} Condition;

struct AsmSource {
    Frame *top;
    unsigned depth;
    GHashTable *macros;
    GArray *conditions;
    unsigned expansions;
};

static void macro_free(gpointer data)
{
    Macro *macro = data;

    for (unsigned i = 0; i < macro->params->len; i++) {
        MacroParam *param = macro->params->pdata[i];

        g_free(param->name);
        g_free(param->value);
        g_free(param);
    }
    g_ptr_array_unref(macro->params);
    g_free(macro->name);
    g_free(macro->body);
    g_free(macro);
}

/* Frames. */

/* Takes ownership of text. */
static Frame *push_frame(Asm *as, char *text, AsmPlace place)
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

static void next_line(Frame *frame)
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

static bool assembling(Asm *as)
{
    GArray *conditions = as->source->conditions;

    return conditions->len == 0 ||
           g_array_index(conditions, Condition, conditions->len - 1).active;
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
            next_line(frame);
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
            next_line(frame);
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

/* Conditionals. */

static void push_condition(Asm *as, bool value)
{
    Condition c = {
        .parent = assembling(as), .taken = value, .place = as->place,
    };

    if (as->source->conditions->len >= MAX_CONDITIONS) {
        asm_error(as, as->column, "conditionals nested too deeply");
        as->ended = true;
        return;
    }
    c.active = c.parent && value;
    g_array_append_val(as->source->conditions, c);
}

/* Two arguments, for .ifc: quoted or up to the comma. */
static char *text_argument(Cursor *c)
{
    cursor_skip(c);
    if (*c->p == '"' || *c->p == '\'') {
        char quote = *c->p;
        const char *start = ++c->p;

        while (*c->p && *c->p != quote) {
            c->p++;
        }
        char *text = g_strndup(start, c->p - start);

        if (*c->p) {
            c->p++;
        }
        cursor_char(c, ',');
        return text;
    }
    size_t length = strcspn(c->p, ",");
    char *text = g_strstrip(g_strndup(c->p, length));

    c->p += length;
    cursor_char(c, ',');
    return text;
}

static bool same_texts(Cursor *c)
{
    g_autofree char *a = text_argument(c);
    g_autofree char *b = text_argument(c);

    return strcmp(a, b) == 0;
}

static bool is_defined(Asm *as, Cursor *c)
{
    g_autofree char *name = cursor_name(c);
    AsmSymbol *symbol = name ? symbol_lookup(as, name) : NULL;

    if (!name) {
        asm_error(as, cursor_column(c), "symbol expected");
    }
    return symbol && (symbol->placed || symbol->equated ||
                      symbol->obj->common);
}

/* Value of an .if-like directive; *known is false for other directives. */
static bool condition_value(Asm *as, const char *name, Cursor *c, bool *known)
{
    static const struct {
        const char *name;
        char test; /* = n < l > g */
    } numeric[] = {
        { ".if", 'n' },   { ".ifne", 'n' }, { ".ifeq", '=' },
        { ".iflt", '<' }, { ".ifle", 'l' }, { ".ifgt", '>' },
        { ".ifge", 'g' },
    };
    int64_t v = 0;

    *known = true;
    for (unsigned i = 0; i < G_N_ELEMENTS(numeric); i++) {
        if (strcmp(name, numeric[i].name) == 0) {
            if (!assembling(as) || !expr_constant(as, c, &v)) {
                return false;
            }
            switch (numeric[i].test) {
            case 'n': return v != 0;
            case '=': return v == 0;
            case '<': return v < 0;
            case 'l': return v <= 0;
            case '>': return v > 0;
            default: return v >= 0;
            }
        }
    }
    bool text = assembling(as);

    if (strcmp(name, ".ifdef") == 0) {
        return text && is_defined(as, c);
    }
    if (strcmp(name, ".ifndef") == 0 || strcmp(name, ".ifnotdef") == 0) {
        return text && !is_defined(as, c);
    }
    if (strcmp(name, ".ifb") == 0) {
        return cursor_end(c);
    }
    if (strcmp(name, ".ifnb") == 0) {
        return !cursor_end(c);
    }
    if (strcmp(name, ".ifc") == 0 || strcmp(name, ".ifeqs") == 0) {
        return same_texts(c);
    }
    if (strcmp(name, ".ifnc") == 0 || strcmp(name, ".ifnes") == 0) {
        return !same_texts(c);
    }
    *known = false;
    return false;
}

/* .else, .elseif, .endif */
static bool condition_change(Asm *as, const char *name, Cursor *c)
{
    GArray *conditions = as->source->conditions;
    bool end = strcmp(name, ".endif") == 0;
    bool otherwise = strcmp(name, ".else") == 0;
    bool elseif = strcmp(name, ".elseif") == 0;

    if (!end && !otherwise && !elseif) {
        return false;
    }
    if (conditions->len <= as->source->top->conditions) {
        asm_error(as, as->column, "'%s' without '.if'", name);
        return true;
    }
    Condition *top = &g_array_index(conditions, Condition,
                                    conditions->len - 1);

    if (end) {
        g_array_set_size(conditions, conditions->len - 1);
        return true;
    }
    if (top->had_else) {
        asm_error(as, as->column, "'%s' after '.else'", name);
        return true;
    }
    top->had_else = otherwise;
    top->active = top->parent && !top->taken;
    if (elseif && top->active) {
        int64_t v = 0;

        top->active = expr_constant(as, c, &v) && v;
    }
    top->taken |= top->active;
    return true;
}

/* Blocks: bodies of macros and repetitions. */

/* First word of a raw line, a label before it skipped. */
static bool line_starts(const char *line, const char *word)
{
    size_t length = strlen(word);

    while (*line == ' ' || *line == '\t') {
        line++;
    }
    return strncmp(line, word, length) == 0 && !is_name_char(line[length]);
}

/*
 * Raw lines up to the directive that closes the block, which is skipped.
 * NULL after a message when the text ends first.
 */
static char *collect_block(Asm *as, const char *const *openers,
                           const char *closer)
{
    Frame *frame = as->source->top;
    AsmPlace start = as->place;
    GString *body = g_string_new(NULL);
    unsigned depth = 1;

    while (*frame->p) {
        const char *line = frame->p;
        size_t length = strcspn(line, "\n");

        frame->p += length;
        if (*frame->p) {
            next_line(frame);
        }
        if (line_starts(line, closer) && --depth == 0) {
            return g_string_free(body, FALSE);
        }
        for (const char *const *o = openers; *o; o++) {
            depth += line_starts(line, *o);
        }
        g_string_append_len(body, line, length);
        g_string_append_c(body, '\n');
    }
    asm_error_at(as, start, "'%s' expected before the end of the text",
                 closer);
    g_string_free(body, TRUE);
    return NULL;
}

static const char *const macro_openers[] = { ".macro", NULL };
static const char *const repeat_openers[] = {
    ".rept", ".irp", ".irpc", NULL,
};

static MacroParam *parse_param(Asm *as, Cursor *c)
{
    g_autofree char *name = cursor_name(c);

    if (!name) {
        asm_error(as, cursor_column(c), "parameter name expected");
        return NULL;
    }
    MacroParam *param = g_new0(MacroParam, 1);

    param->name = g_steal_pointer(&name);
    if (cursor_char(c, ':')) {
        g_autofree char *kind = cursor_name(c);

        param->required = kind && strcmp(kind, "req") == 0;
        param->vararg = kind && strcmp(kind, "vararg") == 0;
    }
    if (cursor_char(c, '=')) {
        param->value = text_argument(c);
    } else {
        cursor_char(c, ',');
    }
    return param;
}

static void define_macro(Asm *as, Cursor *c)
{
    g_autofree char *name = cursor_name(c);
    Macro *macro = g_new0(Macro, 1);

    macro->params = g_ptr_array_new();
    macro->place = as->place;
    if (!name) {
        asm_error(as, cursor_column(c), "macro name expected");
    }
    cursor_char(c, ',');
    while (!cursor_end(c)) {
        MacroParam *param = parse_param(as, c);

        if (!param) {
            break;
        }
        g_ptr_array_add(macro->params, param);
    }
    macro->body = collect_block(as, macro_openers, ".endm");
    if (!name || !macro->body) {
        macro_free(macro);
        return;
    }
    if (g_hash_table_contains(as->source->macros, name)) {
        asm_error_at(as, macro->place, "macro '%s' is defined already", name);
        macro_free(macro);
        return;
    }
    macro->name = g_steal_pointer(&name);
    g_hash_table_insert(as->source->macros, macro->name, macro);
}

/* One argument of a macro call: up to a comma outside quotes and brackets. */
static char *macro_argument(Cursor *c, bool rest)
{
    GString *out = g_string_new(NULL);
    unsigned depth = 0;
    bool quoted;

    cursor_skip(c);
    quoted = *c->p == '"' && !rest;
    if (quoted) {
        for (c->p++; *c->p && *c->p != '"'; c->p++) {
            if (*c->p == '\\' && c->p[1] == '"') {
                c->p++;
            }
            g_string_append_c(out, *c->p);
        }
        if (*c->p) {
            c->p++;
        }
    }
    while (*c->p && (rest || depth || *c->p != ',')) {
        depth += *c->p == '(' || *c->p == '[';
        depth -= depth && (*c->p == ')' || *c->p == ']');
        g_string_append_c(out, *c->p++);
    }
    cursor_char(c, ',');

    char *text = g_string_free(out, FALSE);

    return quoted ? text : g_strstrip(text);
}

/* Replaces \NAME, \@ and \() in body. */
static char *substitute(const char *body, const GPtrArray *names,
                        char **values, unsigned expansion)
{
    GString *out = g_string_new(NULL);

    while (*body) {
        if (*body != '\\') {
            g_string_append_c(out, *body++);
            continue;
        }
        if (body[1] == '@') {
            g_string_append_printf(out, "%u", expansion);
            body += 2;
            continue;
        }
        if (body[1] == '(' && body[2] == ')') {
            body += 3;
            continue;
        }
        size_t length = 0;
        unsigned i = 0;

        while (is_name_char(body[1 + length]) && body[1 + length] != '.') {
            length++;
        }
        while (i < names->len &&
               (strlen(names->pdata[i]) != length ||
                memcmp(names->pdata[i], body + 1, length) != 0)) {
            i++;
        }
        if (length && i < names->len) {
            g_string_append(out, values[i]);
            body += 1 + length;
        } else {
            g_string_append_c(out, *body++);
        }
        if (out->len > MAX_EXPANSION) {
            break;
        }
    }
    return g_string_free(out, FALSE);
}

/* macro: name of a macro, NULL for a repeated block. */
static void push_expansion(Asm *as, char *text, const char *macro)
{
    Frame *frame = push_frame(as, text, as->place);

    if (frame) {
        frame->fixed_line = true;
        frame->is_macro = macro != NULL;
        frame->macro = g_intern_string(macro);
    }
}

static bool keyword_argument(Cursor *c, const char *name)
{
    Cursor try = *c;

    if (cursor_word(&try, name) && cursor_char(&try, '=') &&
        *try.p != '=') {
        *c = try;
        return true;
    }
    return false;
}

static void call_macro(Asm *as, const Macro *macro, Cursor *c)
{
    unsigned n = macro->params->len;
    g_autofree char **values = g_new0(char *, n + 1);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    unsigned next = 0;
    bool ok = true;

    for (unsigned i = 0; i < n; i++) {
        MacroParam *param = macro->params->pdata[i];

        g_ptr_array_add(names, param->name);
    }
    while (!cursor_end(c)) {
        unsigned i = 0;

        while (i < n && !keyword_argument(c, names->pdata[i])) {
            i++;
        }
        i = i < n ? i : next++;
        if (i >= n) {
            asm_error(as, cursor_column(c), "too many arguments of macro "
                      "'%s'", macro->name);
            ok = false;
            break;
        }
        MacroParam *param = macro->params->pdata[i];

        g_free(values[i]);
        values[i] = macro_argument(c, param->vararg);
    }
    for (unsigned i = 0; i < n; i++) {
        MacroParam *param = macro->params->pdata[i];

        if (!values[i] || !*values[i]) {
            g_free(values[i]);
            values[i] = g_strdup(param->value ? param->value : "");
            if (param->required && ok) {
                asm_error(as, as->column, "macro '%s' needs argument '%s'",
                          macro->name, param->name);
                ok = false;
            }
        }
    }
    if (ok) {
        push_expansion(as, substitute(macro->body, names, values,
                                      as->source->expansions++),
                       macro->name);
    }
    for (unsigned i = 0; i < n; i++) {
        g_free(values[i]);
    }
}

static void run_rept(Asm *as, Cursor *c)
{
    int64_t count = 0;
    unsigned column = cursor_column(c);
    bool ok = expr_constant(as, c, &count);
    char *body = collect_block(as, repeat_openers, ".endr");

    if (ok && (count < 0 || count > MAX_REPEAT)) {
        asm_error(as, column, "repeat count out of range, 0..%d", MAX_REPEAT);
        ok = false;
    }
    if (!body || !ok || count == 0) {
        g_free(body);
        return;
    }
    push_expansion(as, body, NULL);
    if (as->source->top->text == body) {
        as->source->top->repeat = count - 1;
    }
}

/* .irp NAME, A, B, ... and .irpc NAME, CHARACTERS */
static void run_irp(Asm *as, Cursor *c, bool chars)
{
    g_autofree char *name = cursor_name(c);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *body = NULL;

    if (!name) {
        asm_error(as, cursor_column(c), "parameter name expected");
    }
    cursor_char(c, ',');
    body = collect_block(as, repeat_openers, ".endr");
    if (!name || !body) {
        return;
    }
    g_ptr_array_add(names, name);
    while (!cursor_end(c) && out->len < MAX_EXPANSION) {
        g_autofree char *value = chars ? g_strndup(c->p++, 1)
                                       : macro_argument(c, false);
        g_autofree char *text = substitute(body, names, &value,
                                           as->source->expansions++);

        g_string_append(out, text);
    }
    push_expansion(as, g_strdup(out->str), NULL);
}

/* Leaves the innermost macro. */
static void exit_macro(Asm *as)
{
    Frame *frame = as->source->top;

    while (frame && frame->fixed_line && !frame->is_macro) {
        frame = frame->parent;
    }
    if (!frame || !frame->is_macro) {
        asm_error(as, as->column, "'.exitm' outside a macro");
        return;
    }
    for (Frame *f = as->source->top;; f = f->parent) {
        f->p = f->text + strlen(f->text);
        f->repeat = 0;
        g_array_set_size(as->source->conditions,
                         MIN(as->source->conditions->len, f->conditions));
        if (f == frame) {
            break;
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
        push_frame(as, text, (AsmPlace){ g_intern_string(path), 1 });
    }
}

bool source_directive(Asm *as, const char *name, Cursor *c)
{
    if (strcmp(name, ".macro") == 0) {
        define_macro(as, c);
    } else if (strcmp(name, ".rept") == 0) {
        run_rept(as, c);
    } else if (strcmp(name, ".irp") == 0) {
        run_irp(as, c, false);
    } else if (strcmp(name, ".irpc") == 0) {
        run_irp(as, c, true);
    } else if (strcmp(name, ".exitm") == 0) {
        exit_macro(as);
    } else if (strcmp(name, ".purgem") == 0) {
        g_autofree char *macro = cursor_name(c);

        if (!macro || !g_hash_table_remove(as->source->macros, macro)) {
            asm_error(as, as->column, "no macro '%s'", macro ? macro : "");
        }
    } else if (strcmp(name, ".end") == 0) {
        as->ended = true;
    } else if (strcmp(name, ".endm") == 0 || strcmp(name, ".endr") == 0) {
        asm_error(as, as->column, "'%s' without its beginning", name);
    } else {
        return false;
    }
    return true;
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

    if (assembling(as)) {
        take_labels(as, &c);
    }
    cursor_skip(&c);
    if (!*c.p) {
        return;
    }
    as->column = cursor_column(&c);

    Cursor after = c;
    g_autofree char *name = cursor_name(&after);

    if (name && *name == '.') {
        Cursor args = after;
        bool value = condition_value(as, name, &args, &known);

        if (known) {
            push_condition(as, value);
            return;
        }
        if (condition_change(as, name, &after)) {
            return;
        }
    }
    if (!assembling(as)) {
        return;
    }
    Macro *macro = name ? g_hash_table_lookup(as->source->macros, name)
                        : NULL;

    if (macro) {
        call_macro(as, macro, &after);
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

    if (!assembling(as)) {
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
                                        macro_free),
        .conditions = g_array_new(FALSE, FALSE, sizeof(Condition)),
    };
    g_autoptr(GString) statement = g_string_new(NULL);

    as->source = &source;
    as->place = (AsmPlace){ g_intern_string(name), 0 };
    char *copy = text ? g_strdup(text) : read_file(as, name);

    if (copy) {
        push_frame(as, copy, (AsmPlace){ g_intern_string(name), 1 });
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
