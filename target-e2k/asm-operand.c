/*
 * Operands of operations: registers, literals, conditions.
 */
#include "target-e2k/asm-int.h"

#include <string.h>

/* A decimal number directly at the cursor, at most limit - 1. */
static bool small_number(Cursor *c, unsigned limit, uint8_t *number)
{
    unsigned value = 0;
    const char *p = c->p;

    if (!g_ascii_isdigit(*p)) {
        return false;
    }
    for (; g_ascii_isdigit(*p) && value < 10000; p++) {
        value = value * 10 + (*p - '0');
    }
    if (value >= limit) {
        return false;
    }
    c->p = p;
    *number = value;
    return true;
}

/* %b[n] after the 'b'. */
static bool based_number(Cursor *c, Operand *operand)
{
    if (*c->p != '[') {
        return false;
    }
    c->p++;
    cursor_skip(c);
    if (!small_number(c, 128, &operand->index)) {
        return false;
    }
    operand->kind = OPERAND_BASED;
    operand->byte = operand->index;
    return cursor_char(c, ']');
}

/*
 * %r %b %g with an optional width prefix: 's' (none), 'd', 'q', 'p' (qp).
 * False, with the cursor unmoved, when it is not such a register.
 */
bool operand_register(Cursor *c, Operand *operand, char *prefix)
{
    cursor_skip(c);

    Cursor try = *c;

    if (*try.p != '%') {
        return false;
    }
    try.p++;
    *prefix = 's';
    if (try.p[0] == 'q' && try.p[1] == 'p') {
        *prefix = 'p';
        try.p += 2;
    } else if (*try.p == 'd' || *try.p == 'q') {
        *prefix = *try.p++;
    }
    *operand = (Operand){ 0 };
    switch (*try.p++) {
    case 'r':
        operand->kind = OPERAND_WINDOW;
        if (!small_number(&try, 64, &operand->index)) {
            return false;
        }
        operand->byte = 0x80 + operand->index;
        break;
    case 'g':
        operand->kind = OPERAND_GLOBAL;
        if (!small_number(&try, 32, &operand->index)) {
            return false;
        }
        operand->byte = 0xe0 + operand->index;
        break;
    case 'b':
        if (!based_number(&try, operand)) {
            return false;
        }
        break;
    default:
        return false;
    }
    if (is_name_char(*try.p)) {
        return false;
    }
    c->p = try.p;
    return true;
}

static const char *prefix_text(char prefix)
{
    return prefix == 's' ? "" : prefix == 'p' ? "qp" : prefix == 'd' ? "d"
                                                                     : "q";
}

/*
 * A register with a width prefix must have the one its place wants; one
 * without fits everywhere.
 */
static bool check_prefix(Asm *as, unsigned column, char found, char wanted)
{
    if (found == wanted || !wanted || found == 's') {
        return true;
    }
    asm_error(as, column, "register written %%%sr..., this operand is %%%sr...",
              prefix_text(found), prefix_text(wanted));
    return false;
}

static bool bad_operand(Asm *as, Cursor *c, const char *what)
{
    cursor_skip(c);

    int length = strcspn(c->p, " \t,;");

    asm_error(as, cursor_column(c), "%s expected, found '%.*s'", what,
              length, c->p);
    return false;
}

/* [~]%predN or [~]%pcntN */
bool operand_cond(Asm *as, Cursor *c, Cond *cond, bool allow_pcnt)
{
    cond->negate = cursor_char(c, '~');

    unsigned column = cursor_column(c);

    if (cursor_text(c, "%pred")) {
        cond->kind = COND_PRED;
    } else if (allow_pcnt && cursor_text(c, "%pcnt")) {
        cond->kind = COND_PCNT;
    } else {
        return bad_operand(as, c, allow_pcnt ? "%predN or %pcntN" : "%predN");
    }
    if (!small_number(c, 32, &cond->index) || is_name_char(*c->p)) {
        asm_error(as, column, "predicate out of range, 0..31");
        return false;
    }
    return true;
}

static const struct {
    const char *text;
    uint8_t halves;
} literal_formats[] = {
    { "_f16s", 1 }, { "_f16", 1 }, { "_f32s", 2 }, { "_f32", 2 },
    { "_f64", 4 },
};

static const struct {
    const char *text;
    uint8_t halves;
} literal_references[] = {
    { "_lit16_ref", 1 }, { "_lit32_ref", 2 }, { "_lit64_ref", 4 },
};

/* _ltsN, _ltsNlo, _ltsNhi */
static bool parse_place(Asm *as, Cursor *c, AsmLiteral *literal)
{
    unsigned column;
    uint8_t lts;
    bool high = false;
    bool low = false;

    cursor_skip(c);
    column = cursor_column(c);
    if (!cursor_text(c, "_lts") || !small_number(c, 4, &lts)) {
        asm_error(as, column, "literal place _lts0 to _lts3 expected");
        return false;
    }
    if (strncmp(c->p, "hi", 2) == 0) {
        high = true;
        c->p += 2;
    } else if (strncmp(c->p, "lo", 2) == 0) {
        low = true;
        c->p += 2;
    }
    if (((high || low) && literal->halves != 1) ||
        (literal->halves == 1 && lts > 1) ||
        (literal->halves == 4 && lts > 2)) {
        asm_error(as, column, "no such place for a %u-bit literal",
                  16 * literal->halves);
        return false;
    }
    literal->place = 2 * lts + high;
    return true;
}

/* [FORMAT,PLACE] before a literal; false after a message. */
static bool parse_literal_spec(Asm *as, Cursor *c, AsmLiteral *literal)
{
    literal->place = -1;
    cursor_skip(c);
    if (*c->p != '_') {
        return true;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(literal_references); i++) {
        if (cursor_word(c, literal_references[i].text)) {
            literal->halves = literal_references[i].halves;
            literal->reference = true;
            if (!cursor_char(c, ',')) {
                return bad_operand(as, c, "','");
            }
            return parse_place(as, c, literal);
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(literal_formats); i++) {
        if (cursor_word(c, literal_formats[i].text)) {
            literal->halves = literal_formats[i].halves;
            if (*c->p == ',') {
                c->p++;
                return parse_place(as, c, literal);
            }
            return true;
        }
    }
    return true; /* some symbol */
}

/* Smallest size for a known value; wide operands are 64 bits. */
static uint8_t literal_size(uint64_t value, bool wide)
{
    int64_t s = value;

    if (s >= INT16_MIN && s <= INT16_MAX) {
        return 1;
    }
    if (!wide || (s >= INT32_MIN && s <= INT32_MAX)) {
        return 2;
    }
    return 4;
}

static bool check_literal(Asm *as, unsigned column, AsmLiteral *literal,
                          bool wide)
{
    int64_t s = literal->value;
    unsigned bits = literal->halves * 16;

    if (!wide && bits == 64) {
        asm_error(as, column, "64-bit literal of a 32-bit operand");
        return false;
    }
    if (bits < 64 && (s < -((int64_t)1 << (bits - 1)) ||
                      s >= (int64_t)1 << bits)) {
        asm_error(as, column, "literal 0x%" G_GINT64_MODIFIER
                  "x does not fit %u bits", literal->value, bits);
        return false;
    }
    return true;
}

/*
 * A literal.  *is_short is set, and nothing placed, when it fits the operand
 * byte: 0..short_max and no format given.
 */
bool literal_parse(Asm *as, Cursor *c, AsmOp *op, AsmLiteral *literal,
                   bool *is_short, unsigned short_max, bool wide)
{
    *is_short = false;
    if (!parse_literal_spec(as, c, literal)) {
        return false;
    }
    literal->present = true;
    cursor_skip(c);

    unsigned column = cursor_column(c);

    if (literal->reference) {
        /* An expression after it is accepted and ignored. */
        if (*c->p && *c->p != ',' && *c->p != '?' && *c->p != ']') {
            return expr_parse(as, c) != NULL;
        }
        return true;
    }
    literal->expr = expr_parse(as, c);
    if (!literal->expr) {
        return false;
    }
    literal->known = expr_is_known(as, literal->expr, &literal->value);
    if (!literal->known) {
        ExprValue value;
        bool word_operator = expr_eval(as, literal->expr, &value) &&
                             value.reloc &&
                             value.reloc != RELOC_GOTOFF &&
                             value.reloc != RELOC_TLS_LE;

        if (!literal->halves) {
            literal->halves = wide && !word_operator ? 4 : 2;
        }
        if (!wide && literal->halves == 4) {
            asm_error(as, column, "64-bit literal of a 32-bit operand");
            return false;
        }
        return true;
    }
    if (!literal->halves) {
        if (literal->value <= short_max) {
            *is_short = true;
            return true;
        }
        literal->halves = literal_size(literal->value, wide);
    }
    return check_literal(as, column, literal, wide);
}

static bool parse_src1_literal(Asm *as, Cursor *c, Operand *operand)
{
    unsigned column;
    int64_t value;

    cursor_skip(c);
    column = cursor_column(c);
    if (!expr_constant(as, c, &value)) {
        return false;
    }
    if (value < 0 || value > 31) {
        asm_error(as, column, "literal %" G_GINT64_FORMAT " does not fit "
                  "the first source (0..31)", value);
        return false;
    }
    *operand = (Operand){ .kind = OPERAND_CONST, .literal = LITERAL_SHORT,
                          .byte = 0xc0 + value, .value = value };
    return true;
}

static bool parse_src2_literal(Asm *as, Cursor *c, AsmOp *op,
                               Operand *operand, bool wide)
{
    bool is_short;

    op->literal = (AsmLiteral){ .src2 = true };
    if (!literal_parse(as, c, op, &op->literal, &is_short, 15, wide)) {
        return false;
    }
    operand->kind = OPERAND_CONST;
    if (is_short) {
        operand->literal = LITERAL_SHORT;
        operand->value = op->literal.value;
        operand->byte = 0xc0 + operand->value;
        op->literal.present = false;
    }
    return true;
}

/* which: 1, 2 or 3.  prefix: the letter its register wants. */
bool operand_source(Asm *as, Cursor *c, AsmOp *op, Operand *operand,
                    char prefix, unsigned which)
{
    char found;

    cursor_skip(c);

    unsigned column = cursor_column(c);

    if (operand_register(c, operand, &found)) {
        return check_prefix(as, column, found, prefix);
    }
    if (*c->p == '%') {
        return bad_operand(as, c, "register in its range");
    }
    switch (which) {
    case 1:
        return parse_src1_literal(as, c, operand);
    case 2:
        return parse_src2_literal(as, c, op, operand, prefix != 's');
    default:
        return bad_operand(as, c, "register");
    }
}

/* Destinations that are not plain registers; 0: none of them. */
static uint8_t special_dst(Cursor *c, bool quad)
{
    static const struct {
        const char *text;
        uint8_t byte;
    } names[] = {
        { "%ctpr1", 0xd1 }, { "%ctpr2", 0xd2 }, { "%ctpr3", 0xd3 },
        { "%tst", 0xcd }, { "%tcd", 0xcf }, { "%tc", 0xce },
        { "%empty.lo", 0xde }, { "%empty.hi", 0xdf },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (cursor_word(c, names[i].text)) {
            return names[i].byte;
        }
    }
    return cursor_word(c, "%empty") ? (quad ? 0xde : 0xdf) : 0;
}

bool operand_dst(Asm *as, Cursor *c, AsmOp *op, char prefix)
{
    Operand *dst = &op->alc.dst;
    char found;

    cursor_skip(c);

    unsigned column = cursor_column(c);
    uint8_t special = special_dst(c, op->quad);

    if (special) {
        *dst = (Operand){ .kind = OPERAND_SPECIAL, .byte = special,
                          .index = special };
        if (special >= 0xde) {
            dst->kind = OPERAND_EMPTY;
        } else if (special >= 0xd1) {
            dst->kind = OPERAND_CTPR;
            dst->index = special - 0xd0;
        }
        return true;
    }
    if (operand_register(c, dst, &found)) {
        return check_prefix(as, column, found, prefix);
    }
    return bad_operand(as, c, *c->p == '%' ? "destination in its range"
                                           : "destination register");
}
