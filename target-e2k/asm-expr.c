/*
 * Expressions: parsing to trees, evaluation to "symbol - symbol + number".
 *
 * Operators bind as in GNU as: unary; * / % << >>; | & ^; + - and the
 * comparisons; &&; ||.  Comparisons give -1 or 0.
 */
#include "target-e2k/asm-int.h"

#include <string.h>

enum {
    MAX_DEPTH = 100,      /* of nested parentheses and unary operators */
    MAX_EVAL_DEPTH = 1000, /* of trees and chains of .set */
};

static Expr *new_expr(Asm *as, ExprOp op)
{
    Expr *expr = g_new0(Expr, 1);

    expr->op = op;
    g_ptr_array_add(as->exprs, expr);
    return expr;
}

Expr *expr_number(Asm *as, uint64_t number)
{
    Expr *expr = new_expr(as, EXPR_NUMBER);

    expr->number = number;
    return expr;
}

Expr *expr_symbol(Asm *as, AsmSymbol *symbol)
{
    Expr *expr = new_expr(as, EXPR_SYMBOL);

    expr->symbol = symbol;
    return expr;
}

/* false: division by zero */
static bool compute(ExprOp op, uint64_t a, uint64_t b, uint64_t *result)
{
    int64_t sa = a;
    int64_t sb = b;

    switch (op) {
    case EXPR_ADD: *result = a + b; return true;
    case EXPR_SUB: *result = a - b; return true;
    case EXPR_MUL: *result = a * b; return true;
    case EXPR_DIV:
    case EXPR_MOD:
        if (b == 0) {
            return false;
        }
        if (sb == -1) {
            *result = op == EXPR_DIV ? -a : 0;
        } else {
            *result = op == EXPR_DIV ? sa / sb : sa % sb;
        }
        return true;
    case EXPR_SHL: *result = b < 64 ? a << b : 0; return true;
    case EXPR_SHR: *result = b < 64 ? a >> b : 0; return true;
    case EXPR_AND: *result = a & b; return true;
    case EXPR_OR: *result = a | b; return true;
    case EXPR_XOR: *result = a ^ b; return true;
    case EXPR_ORNOT: *result = a | ~b; return true;
    case EXPR_EQ: *result = -(uint64_t)(a == b); return true;
    case EXPR_NE: *result = -(uint64_t)(a != b); return true;
    case EXPR_LT: *result = -(uint64_t)(sa < sb); return true;
    case EXPR_LE: *result = -(uint64_t)(sa <= sb); return true;
    case EXPR_GT: *result = -(uint64_t)(sa > sb); return true;
    case EXPR_GE: *result = -(uint64_t)(sa >= sb); return true;
    case EXPR_LAND: *result = a && b; return true;
    case EXPR_LOR: *result = a || b; return true;
    default: return false;
    }
}

Expr *expr_binary(Asm *as, ExprOp op, Expr *a, Expr *b)
{
    uint64_t number;

    if (a->op == EXPR_NUMBER && b->op == EXPR_NUMBER &&
        compute(op, a->number, b->number, &number)) {
        return expr_number(as, number);
    }
    Expr *expr = new_expr(as, op);

    expr->a = a;
    expr->b = b;
    return expr;
}

static Expr *expr_unary(Asm *as, ExprOp op, Expr *a)
{
    if (a->op == EXPR_NUMBER) {
        return expr_number(as, op == EXPR_NEG   ? -a->number
                               : op == EXPR_NOT ? ~a->number
                                                : !a->number);
    }
    Expr *expr = new_expr(as, op);

    expr->a = a;
    return expr;
}

static const struct {
    const char *name;
    ExprReloc reloc;
} reloc_operators[] = {
    /* Longer names before their prefixes. */
    { "GOTOFF", RELOC_GOTOFF },
    { "GOTPLT", RELOC_GOTPLT },
    { "GOT", RELOC_GOT },
    { "PLT", RELOC_PLT },
    { "TLS_GDMOD", RELOC_TLS_GDMOD },
    { "TLS_GDREL", RELOC_TLS_GDREL },
    { "TLS_IE", RELOC_TLS_IE },
    { "TLS_LE", RELOC_TLS_LE },
    { "TLS_DTPREL", RELOC_TLS_DTPREL },
    { "ISLOCAL", RELOC_ISLOCAL },
    { "DYNOPT", RELOC_DYNOPT },
    { "SIZE", RELOC_SIZE },
};

static bool parse_reloc_operator(Asm *as, Cursor *c, Expr *expr)
{
    if (*c->p != '@') {
        return true;
    }
    unsigned column = cursor_column(c);

    c->p++;
    g_autofree char *name = cursor_name(c);

    for (unsigned i = 0; name && i < G_N_ELEMENTS(reloc_operators); i++) {
        if (g_ascii_strcasecmp(name, reloc_operators[i].name) == 0) {
            expr->reloc = reloc_operators[i].reloc;
            return true;
        }
    }
    asm_error(as, column, "unknown relocation operator '@%s'",
              name ? name : "");
    return false;
}

/* 0x, 0b, 0 and decimal numbers; numeric labels "1f", "1b". */
static Expr *parse_number(Asm *as, Cursor *c)
{
    unsigned column = cursor_column(c);
    const char *start = c->p;
    unsigned base = 10;
    const char *p = start;

    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        base = 16;
        p += 2;
    } else if (p[0] == '0' && (p[1] == 'b' || p[1] == 'B') &&
               (p[2] == '0' || p[2] == '1')) {
        base = 2;
        p += 2;
    }
    const char *digits = p;
    uint64_t value = 0;
    bool overflow = false;

    for (; g_ascii_isxdigit(*p); p++) {
        unsigned digit = g_ascii_xdigit_value(*p);

        if (digit >= base) {
            break;
        }
        overflow |= value > (UINT64_MAX - digit) / base;
        value = value * base + digit;
    }
    if (base == 10 && (*p == 'f' || *p == 'b') && !is_name_char(p[1])) {
        bool forward = *p == 'f';

        c->p = p + 1;
        if (value > 999999) {
            asm_error(as, column, "numeric label out of range");
            return NULL;
        }
        AsmSymbol *symbol = symbol_numeric(as, value, forward);

        if (!symbol) {
            asm_error(as, column, "no label %u: before this place",
                      (unsigned)value);
            return NULL;
        }
        return expr_symbol(as, symbol);
    }
    if (base == 10 && start[0] == '0' && p - start > 1) {
        value = 0; /* octal */
        overflow = false;
        for (const char *q = start; q < p; q++) {
            if (*q > '7') {
                asm_error(as, column, "digit '%c' in an octal number", *q);
                return NULL;
            }
            overflow |= value >> 61;
            value = value * 8 + (*q - '0');
        }
    }
    c->p = p;
    if (p == digits || is_name_char(*p)) {
        asm_error(as, column, "malformed number");
        return NULL;
    }
    if (overflow) {
        asm_error(as, column, "number does not fit 64 bits");
        return NULL;
    }
    return expr_number(as, value);
}

/* After the quote: one character, perhaps escaped. */
static Expr *parse_char(Asm *as, Cursor *c)
{
    static const char from[] = "ntr0bfv\\'\"";
    static const char to[] = "\n\t\r\0\b\f\v\\'\"";
    unsigned char ch = *c->p;

    if (ch == '\\' && c->p[1]) {
        const char *found = strchr(from, c->p[1]);

        ch = found ? to[found - from] : c->p[1];
        c->p++;
    }
    if (!ch && !*c->p) {
        asm_error(as, cursor_column(c), "character missing after the quote");
        return NULL;
    }
    c->p++;
    if (*c->p == '\'') {
        c->p++;
    }
    return expr_number(as, ch);
}

static Expr *parse_binary(Asm *as, Cursor *c, unsigned level, unsigned depth);

static Expr *parse_primary(Asm *as, Cursor *c, unsigned depth)
{
    cursor_skip(c);

    char ch = *c->p;

    if (depth > MAX_DEPTH) {
        asm_error(as, cursor_column(c), "expression nested too deeply");
        return NULL;
    }
    if (ch == '-' || ch == '~' || ch == '+') {
        c->p++;
        Expr *a = parse_primary(as, c, depth + 1);

        return !a || ch == '+' ? a
                               : expr_unary(as, ch == '-' ? EXPR_NEG
                                                          : EXPR_NOT, a);
    }
    if (ch == '(') {
        c->p++;
        Expr *a = parse_binary(as, c, 0, depth + 1);

        if (a && !cursor_char(c, ')')) {
            asm_error(as, cursor_column(c), "')' expected");
            return NULL;
        }
        return a;
    }
    if (g_ascii_isdigit(ch)) {
        return parse_number(as, c);
    }
    if (ch == '\'') {
        c->p++;
        return parse_char(as, c);
    }
    if (ch == '.' && !is_name_char(c->p[1])) {
        c->p++;
        return expr_symbol(as, symbol_here(as));
    }
    unsigned column = cursor_column(c);
    g_autofree char *name = cursor_name(c);

    if (!name) {
        asm_error(as, column, ch ? "expression expected, found '%c'"
                                 : "expression expected", ch);
        return NULL;
    }
    if (as->no_symbols) {
        asm_error(as, column, "symbol '%s' in a single bundle", name);
        return NULL;
    }
    Expr *expr = expr_symbol(as, symbol_get(as, name));

    return parse_reloc_operator(as, c, expr) ? expr : NULL;
}

static const struct {
    const char *text;
    ExprOp op;
    uint8_t level;
} binary_operators[] = {
    /* Longer texts before their prefixes. */
    { "||", EXPR_LOR, 0 },  { "&&", EXPR_LAND, 1 },
    { "==", EXPR_EQ, 2 },   { "<>", EXPR_NE, 2 },
    { "<<", EXPR_SHL, 4 },  { ">>", EXPR_SHR, 4 },
    { "<=", EXPR_LE, 2 },   { ">=", EXPR_GE, 2 },
    { "<", EXPR_LT, 2 },    { ">", EXPR_GT, 2 },
    { "+", EXPR_ADD, 2 },   { "-", EXPR_SUB, 2 },
    { "|", EXPR_OR, 3 },    { "&", EXPR_AND, 3 },
    { "^", EXPR_XOR, 3 },   { "*", EXPR_MUL, 4 },
    { "/", EXPR_DIV, 4 },   { "%", EXPR_MOD, 4 },
};

enum { BINARY_LEVELS = 5 };

/* Index of the operator of this level at the cursor, or -1. */
static int next_operator(Cursor *c, unsigned level)
{
    cursor_skip(c);
    for (unsigned i = 0; i < G_N_ELEMENTS(binary_operators); i++) {
        const char *text = binary_operators[i].text;

        if (strncmp(c->p, text, strlen(text)) == 0) {
            if (binary_operators[i].level != level ||
                (*text == '%' && g_ascii_isalpha(c->p[1]))) {
                return -1;
            }
            return i;
        }
    }
    return -1;
}

static Expr *parse_binary(Asm *as, Cursor *c, unsigned level, unsigned depth)
{
    if (level == BINARY_LEVELS) {
        return parse_primary(as, c, depth);
    }
    Expr *a = parse_binary(as, c, level + 1, depth);
    unsigned terms = 0;
    int i;

    while (a && (i = next_operator(c, level)) >= 0) {
        c->p += strlen(binary_operators[i].text);
        if (++terms > MAX_EVAL_DEPTH / 2) {
            asm_error(as, cursor_column(c), "expression too long");
            return NULL;
        }
        Expr *b = parse_binary(as, c, level + 1, depth);

        if (!b) {
            return NULL;
        }
        a = expr_binary(as, binary_operators[i].op, a, b);
    }
    return a;
}

Expr *expr_parse(Asm *as, Cursor *c)
{
    return parse_binary(as, c, 0, 0);
}

/* Distance between two labels of one section, or equality of symbols. */
static bool symbols_cancel(const AsmSymbol *a, const AsmSymbol *b,
                           uint64_t *distance)
{
    if (a == b) {
        *distance = 0;
        return true;
    }
    if (!a->placed || !b->placed || a->obj->section != b->obj->section) {
        return false;
    }
    *distance = a->obj->value - b->obj->value;
    return true;
}

static bool combine(ExprValue *value, const ExprValue *other, bool subtract)
{
    AsmSymbol *plus[2] = { value->symbol,
                           subtract ? other->minus : other->symbol };
    AsmSymbol *minus[2] = { value->minus,
                            subtract ? other->symbol : other->minus };
    uint64_t number = subtract ? value->number - other->number
                               : value->number + other->number;

    if (other->reloc != RELOC_PLAIN && subtract) {
        return false;
    }
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned j = 0; j < 2; j++) {
            uint64_t distance;

            if (plus[i] && minus[j] &&
                symbols_cancel(plus[i], minus[j], &distance)) {
                number += distance;
                plus[i] = minus[j] = NULL;
            }
        }
    }
    if ((plus[0] && plus[1]) || (minus[0] && minus[1])) {
        return false;
    }
    *value = (ExprValue){
        .symbol = plus[0] ? plus[0] : plus[1],
        .minus = minus[0] ? minus[0] : minus[1],
        .reloc = value->reloc ? value->reloc : other->reloc,
        .number = number,
    };
    return true;
}

static bool eval(Asm *as, const Expr *expr, ExprValue *value, unsigned depth)
{
    *value = (ExprValue){ .number = expr->number };
    if (depth > MAX_EVAL_DEPTH) {
        return false;
    }
    if (expr->op == EXPR_NUMBER) {
        return true;
    }
    if (expr->op == EXPR_SYMBOL) {
        AsmSymbol *symbol = expr->symbol;

        if (symbol->equated && expr->reloc == RELOC_PLAIN) {
            if (symbol->evaluating) {
                return false;
            }
            symbol->evaluating = true;
            bool ok = eval(as, symbol->equated, value, depth + 1);
            symbol->evaluating = false;
            return ok;
        }
        value->symbol = symbol;
        value->reloc = expr->reloc;
        return true;
    }
    ExprValue other = { 0 };

    if (!eval(as, expr->a, value, depth + 1) ||
        (expr->b && !eval(as, expr->b, &other, depth + 1))) {
        return false;
    }
    if (expr->op == EXPR_ADD || expr->op == EXPR_SUB) {
        return combine(value, &other, expr->op == EXPR_SUB);
    }
    if (expr->op >= EXPR_EQ && expr->op <= EXPR_GE) {
        uint64_t number = value->number;
        ExprValue difference = *value;

        if (!combine(&difference, &other, true) || difference.symbol ||
            difference.minus) {
            return false;
        }
        if (value->symbol || value->minus || other.symbol || other.minus) {
            number = difference.number;
            other.number = 0;
        }
        *value = (ExprValue){ 0 };
        return compute(expr->op, number, other.number, &value->number);
    }
    if (value->symbol || value->minus || other.symbol || other.minus) {
        return false;
    }
    if (!expr->b) {
        value->number = expr->op == EXPR_NEG   ? -value->number
                        : expr->op == EXPR_NOT ? ~value->number
                                               : !value->number;
        return true;
    }
    return compute(expr->op, value->number, other.number, &value->number);
}

bool expr_eval(Asm *as, const Expr *expr, ExprValue *value)
{
    return eval(as, expr, value, 0);
}

bool expr_is_known(Asm *as, const Expr *expr, uint64_t *number)
{
    ExprValue value;

    if (!expr_eval(as, expr, &value) || value.symbol || value.minus ||
        value.reloc) {
        return false;
    }
    *number = value.number;
    return true;
}

bool expr_constant(Asm *as, Cursor *c, int64_t *number)
{
    cursor_skip(c);

    unsigned column = cursor_column(c);
    Expr *expr = expr_parse(as, c);
    uint64_t value;

    if (!expr) {
        return false;
    }
    if (!expr_is_known(as, expr, &value)) {
        asm_error(as, column, "number expected that is known here");
        return false;
    }
    *number = value;
    return true;
}
