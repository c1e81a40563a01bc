/*
 * Macros and repeated blocks of the assembler: their bodies are raw lines,
 * their expansions are frames of the input.
 */
#include "target-e2k/asm-source-int.h"

#include <string.h>

enum {
    MAX_REPEAT = 1 << 24,
    MAX_EXPANSION = 1 << 24, /* bytes of one expanded macro */
};

struct Macro {
    char *name;
    GPtrArray *params;   /* MacroParam */
    char *body;
    AsmPlace place;
};

typedef struct MacroParam {
    char *name;
    char *value;         /* default, or NULL */
    bool required;
    bool vararg;
} MacroParam;

void source_macro_free(gpointer data)
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
            source_next_line(frame);
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
        param->value = source_text_argument(c);
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
        source_macro_free(macro);
        return;
    }
    if (g_hash_table_contains(as->source->macros, name)) {
        asm_error_at(as, macro->place, "macro '%s' is defined already", name);
        source_macro_free(macro);
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
    Frame *frame = source_push_frame(as, text, as->place);

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

void source_call_macro(Asm *as, const Macro *macro, Cursor *c)
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
