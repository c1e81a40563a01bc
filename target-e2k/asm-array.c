/*
 * Array operations: staa and ldaa with their increments, transfers to and from
 * array-unit registers, mova, and the elementary prefetches (fapb).
 */
#include "target-e2k/asm-int.h"

#include <string.h>

#include "target-e2k/regs.h"

/* "%PREFIXn" with n < limit. */
static bool numbered(Asm *as, Cursor *c, const char *prefix, unsigned limit,
                     uint8_t *number)
{
    cursor_skip(c);

    unsigned column = cursor_column(c);
    char *end;

    if (!cursor_text(c, prefix) || !g_ascii_isdigit(*c->p)) {
        asm_error(as, column, "%s0 to %s%u expected", prefix, prefix,
                  limit - 1);
        return false;
    }
    guint64 value = g_ascii_strtoull(c->p, &end, 10);

    c->p = end;
    if (value >= limit || is_name_char(*end)) {
        asm_error(as, column, "%s0 to %s%u expected", prefix, prefix,
                  limit - 1);
        return false;
    }
    *number = value;
    return true;
}

static bool expect(Asm *as, Cursor *c, char ch)
{
    if (cursor_char(c, ch)) {
        return true;
    }
    asm_error(as, cursor_column(c), "'%c' expected", ch);
    return false;
}

/* %aadN [ %aastiN|%aaindN [+ literal] ] */
static bool parse_address(Asm *as, Cursor *c, AsmOp *op)
{
    AlcOp *alc = &op->alc;
    bool is_short;

    if (!numbered(as, c, "%aad", 32, &alc->array.aad)) {
        return false;
    }
    if (!cursor_char(c, '[')) {
        return true;
    }
    cursor_skip(c);
    alc->array.use_aaind = g_str_has_prefix(c->p, "%aaind");
    if (!numbered(as, c, alc->array.use_aaind ? "%aaind" : "%aasti", 16,
                  &alc->array.ind)) {
        return false;
    }
    if (cursor_char(c, '+')) {
        cursor_skip(c);
        unsigned column = cursor_column(c);

        op->literal = (AsmLiteral){ .array = true };
        if (!literal_parse(as, c, op, &op->literal, &is_short, 0, false)) {
            return false;
        }
        if (!is_short && op->literal.halves == 1 && op->literal.place < 0) {
            op->literal.halves = 2;
        }
        if (is_short) {
            op->literal.present = false;
        } else if (op->literal.halves != 2 || op->literal.place / 2 > 2) {
            asm_error(as, column, "array accesses take a 32-bit literal in "
                      "_lts0 to _lts2");
            return false;
        }
    }
    return expect(as, c, ']');
}

static bool parse_aau_reg(Asm *as, Cursor *c, AsmOp *op)
{
    cursor_skip(c);

    size_t length = strcspn(c->p, " \t,;?");
    g_autofree char *name = g_strndup(c->p, length);
    unsigned number;
    int code = aau_reg_code(name, &number);

    if (code < 0) {
        asm_error(as, cursor_column(c), "no array-unit register '%s'", name);
        return false;
    }
    c->p += length;
    op->alc.array.reg = code;
    if (aau_reg(code)->number == AAU_NUMBER_D) {
        op->alc.array.aad = number;
    } else {
        op->alc.array.ind = number;
    }
    op->alc.mas = 0x3f;
    return true;
}

/* The address part of either kind. */
static bool parse_place(Asm *as, Cursor *c, AsmOp *op, const InsnRow *row)
{
    return row->flags & F_ARRAY ? parse_address(as, c, op)
                                : parse_aau_reg(as, c, op);
}

bool array_operands(Asm *as, Cursor *c, AsmOp *op, const InsnRow *row)
{
    if (row->dst == WIDTH_NONE) {
        return operand_source(as, c, op, &op->alc.src3, row->print[0], 3) &&
               expect(as, c, ',') && parse_place(as, c, op, row);
    }
    return parse_place(as, c, op, row) && expect(as, c, ',') &&
           operand_dst(as, c, op, row->print[0]);
}

/* incr[,channel] %aaincrN [? conditions]: belongs to an access before it. */
static void parse_incr(Asm *as, Cursor *c)
{
    AsmBundle *ab = &as->bundle;
    AsmOp *op = NULL;
    int channel = -1;

    if (*c->p == ',') {
        c->p++;
        cursor_skip(c);
        channel = *c->p ? *c->p++ - '0' : -1;
    }
    for (unsigned i = ab->n_ops; i-- > 0 && !op;) {
        AsmOp *candidate = &ab->ops[i];

        if ((insn_rows[insn_infos[candidate->insn].row].flags & F_ARRAY) &&
            !candidate->alc.array.am &&
            (channel < 0 || (candidate->channels & (1 << channel)) ||
             (channel == 5 && candidate->quad))) {
            op = candidate;
        }
    }
    if (!op) {
        asm_error(as, as->column, "no array access before 'incr'");
        return;
    }
    if (channel >= 0 && !op->quad) {
        op->channels &= 1 << channel;
    }
    if (!numbered(as, c, "%aaincr", 8, &op->alc.array.incr)) {
        return;
    }
    op->alc.array.am = true;
    if (!cursor_char(c, '?')) {
        return;
    }
    do {
        if (op->alc.n_am_conds == 2 ||
            !operand_cond(as, c, &op->alc.am_conds[op->alc.n_am_conds],
                          true)) {
            return;
        }
        op->alc.n_am_conds++;
    } while (cursor_char(c, ','));
}

/* "name = number" pairs, separated by commas, in any order. */
typedef struct Field {
    const char *name;
    int64_t limit;
    int64_t value;
    bool given;
} Field;

/* Stops, successfully, before a comma that no field follows. */
static bool parse_fields(Asm *as, Cursor *c, Field *fields, unsigned count)
{
    for (;;) {
        Cursor saved = *c;
        unsigned i = 0;

        cursor_char(c, ',');
        while (i < count && !cursor_word(c, fields[i].name)) {
            i++;
        }
        if (i == count) {
            *c = saved;
            return true;
        }
        if (!expect(as, c, '=')) {
            return false;
        }
        cursor_skip(c);
        unsigned column = cursor_column(c);

        if (!expr_constant(as, c, &fields[i].value)) {
            return false;
        }
        if (fields[i].value < 0 || fields[i].value >= fields[i].limit) {
            asm_error(as, column, "%s is out of range, 0..%" G_GINT64_FORMAT,
                      fields[i].name, fields[i].limit - 1);
            return false;
        }
        fields[i].given = true;
    }
}

static bool mova_taken(Asm *as, unsigned channel)
{
    if (as->bundle.bundle.mova[channel].present) {
        asm_error(as, as->column, "array read %u is taken", channel);
        return true;
    }
    return false;
}

/* Puts a parsed array read in its channel. */
static void place_mova(Asm *as, MovaOp *op, int channel)
{
    Bundle *b = &as->bundle.bundle;

    if (channel < 0) {
        channel = 0;
        while (channel < BUNDLE_MOVA_CHANNELS &&
               b->mova[channel].present) {
            channel += op->opc == 5 ? 2 : 1;
        }
    }
    if (channel >= BUNDLE_MOVA_CHANNELS) {
        asm_error(as, as->column, "no free array read");
        return;
    }
    if (mova_taken(as, channel)) {
        return;
    }
    b->mova[channel] = *op;
    ss_start(as);
}

static const struct {
    const char *name;
    uint8_t opc;
    uint8_t min_isa;
} mova_names[] = {
    { "movab", 1, 1 }, { "movah", 2, 1 }, { "movaw", 3, 1 },
    { "movad", 4, 1 }, { "movaq", 5, 1 }, { "movaqp", 7, 5 },
};

static void parse_mova(Asm *as, Cursor *c, unsigned which)
{
    Field f[] = {
        { "area", 32 }, { "ind", 32 }, { "am", 2 }, { "be", 2 },
    };
    MovaOp op = { .present = true, .opc = mova_names[which].opc };
    AsmOp holder = { .quad = false };
    int channel = -1;

    if (mova_names[which].min_isa > as->isa) {
        asm_error(as, as->column, "no operation '%s' in instruction set "
                  "version %u", mova_names[which].name, as->isa);
        return;
    }
    if (*c->p == ',') {
        c->p++;
        cursor_skip(c);
        if (*c->p < '0' || *c->p > '3') {
            asm_error(as, cursor_column(c), "array reads are 0 to 3");
            return;
        }
        channel = *c->p++ - '0';
    }
    if (!parse_fields(as, c, f, G_N_ELEMENTS(f)) || !expect(as, c, ',') ||
        !operand_dst(as, c, &holder, 0)) {
        return;
    }
    op.area = f[0].value;
    op.ind = f[1].value;
    op.am = f[2].value;
    op.be = f[3].value;
    op.dst = holder.alc.dst;
    place_mova(as, &op, channel);
}

/*
 * Called when the bundle is complete: a lone movaq stands for both halves,
 * 8 bytes and one register apart.
 */
static void parse_fapb(Asm *as, Cursor *c)
{
    Field f[] = {
        { "ct", 2 },    { "dpl", 2 },   { "dcd", 4 },  { "fmt", 8 },
        { "mrng", 32 }, { "d", 32 },    { "incr", 8 }, { "ind", 16 },
        { "asz", 8 },   { "abs", 32 },  { "disp", (int64_t)1 << 32 },
        { "si", 2 },    { "area", 32 }, { "am", 2 },   { "be", 2 },
    };
    AsmBundle *ab = &as->bundle;

    if (!parse_fields(as, c, f, G_N_ELEMENTS(f))) {
        return;
    }
    if (f[0].given == f[1].given) {
        asm_error(as, as->column, "either 'ct' (left half) or 'dpl' (right "
                  "half) expected");
        return;
    }
    unsigned half = f[1].given;

    if (ab->apb_mask & (1 << half)) {
        asm_error(as, as->column, "the %s half is given already",
                  half ? "right" : "left");
        return;
    }
    if (f[11].value && as->isa > 1) {
        asm_error(as, as->column, "secondary index access exists in "
                  "instruction set version 1 only");
        return;
    }
    ab->apb_mask |= 1 << half;
    ab->apb.half[half] = (ApbHalf){
        .last = f[half].value, .dcd = f[2].value, .fmt = f[3].value,
        .mrng = f[4].value, .d = f[5].value, .incr = f[6].value,
        .ind = f[7].value, .asz = f[8].value, .abs = f[9].value,
        .disp = f[10].value, .secondary = f[11].value, .area = f[12].value,
        .am = f[13].value, .be = f[14].value,
    };
}

bool array_parse(Asm *as, const char *name, Cursor *c)
{
    if (strcmp(name, "incr") == 0) {
        parse_incr(as, c);
        return true;
    }
    if (strcmp(name, "fapb") == 0) {
        parse_fapb(as, c);
        return true;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(mova_names); i++) {
        if (strcmp(name, mova_names[i].name) == 0) {
            parse_mova(as, c, i);
            return true;
        }
    }
    return false;
}
