/*
 * Conditionals of the assembler: .if and its kin, .else, .elseif, .endif.
 */
#include "target-e2k/asm-source-int.h"

#include <string.h>

enum { MAX_CONDITIONS = 1000 };

bool source_assembling(Asm *as)
{
    GArray *conditions = as->source->conditions;

    return conditions->len == 0 ||
           g_array_index(conditions, Condition, conditions->len - 1).active;
}

char *source_text_argument(Cursor *c)
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

void source_push_condition(Asm *as, bool value)
{
    Condition c = {
        .parent = source_assembling(as), .taken = value, .place = as->place,
    };

    if (as->source->conditions->len >= MAX_CONDITIONS) {
        asm_error(as, as->column, "conditionals nested too deeply");
        as->ended = true;
        return;
    }
    c.active = c.parent && value;
    g_array_append_val(as->source->conditions, c);
}

static bool same_texts(Cursor *c)
{
    g_autofree char *a = source_text_argument(c);
    g_autofree char *b = source_text_argument(c);

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
bool source_condition(Asm *as, const char *name, Cursor *c, bool *known)
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
            if (!source_assembling(as) || !expr_constant(as, c, &v)) {
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
    bool text = source_assembling(as);

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

bool source_condition_change(Asm *as, const char *name, Cursor *c)
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
