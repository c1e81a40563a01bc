/*
 * Operations of the channels: from text to AsmOp.
 *
 * The operands of an operation, their order and their register names follow
 * from its row in insns.def; what rows cannot say (state registers, array
 * addresses, MMU registers) has a function here or in asm-array.c.
 */
#include "target-e2k/asm-int.h"

#include <string.h>

#include "target-e2k/regs.h"

static bool expect(Asm *as, Cursor *c, char ch)
{
    if (cursor_char(c, ch)) {
        return true;
    }
    asm_error(as, cursor_column(c), "'%c' expected", ch);
    return false;
}

/* The first row of an operation that this ISA version has. */
static const InsnRow *row_for_isa(InsnId insn, unsigned isa)
{
    for (unsigned i = insn_infos[insn].row; i < INSN_ROWS; i++) {
        if (insn_rows[i].insn == insn && insn_rows[i].channels[isa - 1]) {
            return &insn_rows[i];
        }
    }
    return NULL;
}

static void explain_missing(Asm *as, const char *name, InsnId insn)
{
    for (unsigned isa = ISA_MIN; isa <= ISA_MAX; isa++) {
        if (insn_channels(insn, isa)) {
            asm_error(as, as->column, "no operation '%s' in instruction set "
                      "version %u (%s version %u)", name, as->isa,
                      isa > as->isa ? "it appears in" : "last seen from",
                      isa);
            return;
        }
    }
    asm_error(as, as->column, "no operation '%s'", name);
}

/* ",N" and ",sm" directly after the mnemonic. */
static bool parse_suffixes(Asm *as, Cursor *c, AsmOp *op, unsigned *channel)
{
    *channel = BUNDLE_CHANNELS;
    while (*c->p == ',') {
        unsigned column = cursor_column(c) + 1;

        c->p++;
        cursor_skip(c);
        if (g_ascii_isdigit(*c->p) && !is_name_char(c->p[1])) {
            *channel = *c->p++ - '0';
            op->channel_given = true;
            if (*channel >= BUNDLE_CHANNELS) {
                asm_error(as, column, "channel %u does not exist", *channel);
                return false;
            }
        } else if (cursor_word(c, "sm") || cursor_word(c, "s")) {
            op->alc.speculative = true;
        } else {
            asm_error(as, column, "channel number or 'sm' expected");
            return false;
        }
    }
    return true;
}

/* Channels an operation may start in; a pair's upper channel means its lower.
 */
static unsigned start_channels(InsnId insn, uint32_t flags, unsigned isa)
{
    unsigned channels = insn_channels(insn, isa);

    if (flags & F_PAIR25) {
        return channels & 1 << 2;
    }
    return flags & F_PAIR ? channels & (1 << 0 | 1 << 3) : channels;
}

static unsigned pair_start(uint32_t flags, unsigned channel)
{
    if (flags & F_PAIR01_34) {
        return channel == 1 || channel == 4 ? channel - 1 : channel;
    }
    if (flags & F_PAIR02_35) {
        return channel == 2 || channel == 5 ? channel - 2 : channel;
    }
    return flags & F_PAIR25 && channel == 5 ? 2 : channel;
}

static bool choose_candidates(Asm *as, AsmOp *op, const InsnRow *row,
                              const char *name, unsigned channel)
{
    op->channels = start_channels(op->insn, row->flags, as->isa);
    if (channel < BUNDLE_CHANNELS) {
        unsigned start = pair_start(row->flags, channel);

        if (!(op->channels & (1 << start))) {
            asm_error(as, as->column, "no '%s' in channel %u", name, channel);
            return false;
        }
        op->channels = 1 << start;
    }
    return true;
}

/* "NAME = NUMBER" with 0 <= number < limit. */
static bool named_number(Asm *as, Cursor *c, const char *name, int64_t limit,
                         int64_t *number)
{
    unsigned column;

    if (!cursor_word(c, name)) {
        asm_error(as, cursor_column(c), "'%s = ' expected", name);
        return false;
    }
    if (!expect(as, c, '=')) {
        return false;
    }
    cursor_skip(c);
    column = cursor_column(c);
    if (!expr_constant(as, c, number)) {
        return false;
    }
    if (*number < 0 || *number >= limit) {
        asm_error(as, column, "%s is out of range, 0..%" G_GINT64_FORMAT,
                  name, limit - 1);
        return false;
    }
    return true;
}

static bool parse_state_reg(Asm *as, Cursor *c, Operand *operand)
{
    cursor_skip(c);

    size_t length = strcspn(c->p, " \t,;?");
    g_autofree char *name = g_strndup(c->p, length);
    int number = state_reg_number(name, as->isa);
    char *end = NULL;

    if (number < 0 && g_str_has_prefix(name, "%sr_0x")) {
        number = g_ascii_strtoull(name + 6, &end, 16);
        number = *end || number > 0xff ? -1 : number;
    }
    if (number < 0) {
        asm_error(as, cursor_column(c), "no state register '%s' in "
                  "instruction set version %u", name, as->isa);
        return false;
    }
    c->p += length;
    *operand = (Operand){ .kind = OPERAND_STATE, .index = number,
                          .byte = number };
    return true;
}

static bool parse_imm8(Asm *as, Cursor *c, AsmOp *op, const InsnRow *row)
{
    int64_t value;

    cursor_skip(c);

    unsigned column = cursor_column(c);
    int max = row->flags & F_LIT8MAX4    ? 4
              : row->flags & F_LIT8MAX7  ? 7
              : row->flags & F_LIT8MAX15 ? 15
                                         : 255;

    if (!expr_constant(as, c, &value)) {
        return false;
    }
    if (value < -128 || value > 255) {
        asm_error(as, column, "immediate does not fit 8 bits");
        return false;
    }
    op->alc.imm8 = value;
    if (op->alc.imm8 > max) {
        asm_warning(as, column, "results of immediates above %d are "
                    "undefined", max);
    }
    return true;
}

static bool parse_pred_dst(Asm *as, Cursor *c, AsmOp *op)
{
    Cond cond;

    if (!operand_cond(as, c, &cond, false)) {
        return false;
    }
    if (cond.negate) {
        asm_error(as, cursor_column(c), "negated destination predicate");
        return false;
    }
    op->alc.dst = (Operand){ .kind = OPERAND_PRED, .index = cond.index,
                             .byte = cond.index };
    return true;
}

/* [ src1 + src2 ] */
static bool parse_bracket_address(Asm *as, Cursor *c, AsmOp *op,
                                  const char *print)
{
    return operand_source(as, c, op, &op->alc.src1, print[0], 1) &&
           expect(as, c, '+') &&
           operand_source(as, c, op, &op->alc.src2, print[1], 2) &&
           expect(as, c, ']');
}

/* Whether an address in brackets follows (the '[' of %b[n] is none). */
static bool has_brackets(const char *text)
{
    for (const char *p = text; *p && *p != ';'; p++) {
        if (*p == '[' && (p == text || p[-1] != 'b')) {
            return true;
        }
    }
    return false;
}

/* Address operands of a load or store, then what is loaded or stored. */
static bool parse_memory_operands(Asm *as, Cursor *c, AsmOp *op,
                                  const InsnRow *row)
{
    const char *print = row->print;
    bool store = row->dst == WIDTH_NONE;
    bool brackets = cursor_char(c, '[');
    bool value_first = store && !brackets &&
                       (as->store_value_first || has_brackets(c->p));

    if (value_first) {
        if (!operand_source(as, c, op, &op->alc.src3, print[2], 3) ||
            !expect(as, c, ',')) {
            return false;
        }
        brackets = cursor_char(c, '[');
    }
    if (brackets) {
        if (!parse_bracket_address(as, c, op, print)) {
            return false;
        }
    } else if (!operand_source(as, c, op, &op->alc.src1, print[0], 1) ||
               !expect(as, c, ',') ||
               !operand_source(as, c, op, &op->alc.src2, print[1], 2)) {
        return false;
    }
    if (value_first) {
        return true;
    }
    if (!expect(as, c, ',')) {
        return false;
    }
    return store ? operand_source(as, c, op, &op->alc.src3, print[2], 3)
                 : operand_dst(as, c, op, print[2]);
}

/* Operands in order of text, as the row has them. */
static bool parse_plain_operands(Asm *as, Cursor *c, AsmOp *op,
                                 const InsnRow *row)
{
    const char *print = row->print;
    const char *sep = "";

    if (row->src1 == WIDTH_STATE) {
        if (!parse_state_reg(as, c, &op->alc.src1)) {
            return false;
        }
        sep = ",";
    } else if (row->src1 != WIDTH_NONE) {
        if (!operand_source(as, c, op, &op->alc.src1, *print++, 1)) {
            return false;
        }
        sep = ",";
    }
    if (row->src2 != WIDTH_NONE) {
        if ((*sep && !expect(as, c, ',')) ||
            !operand_source(as, c, op, &op->alc.src2, *print++, 2)) {
            return false;
        }
        sep = ",";
    }
    if (row->src3 != WIDTH_NONE &&
        (!expect(as, c, ',') ||
         !operand_source(as, c, op, &op->alc.src3, *print++, 3))) {
        return false;
    }
    if ((row->flags & F_IMM8) &&
        (!expect(as, c, ',') || !parse_imm8(as, c, op, row))) {
        return false;
    }
    if (row->dst == WIDTH_NONE) {
        return true;
    }
    if (*sep && !expect(as, c, ',')) {
        return false;
    }
    switch (row->dst) {
    case WIDTH_PRED:
        return parse_pred_dst(as, c, op);
    case WIDTH_STATE:
        return parse_state_reg(as, c, &op->alc.dst);
    default:
        return operand_dst(as, c, op, *print);
    }
}

static bool parse_operands(Asm *as, Cursor *c, AsmOp *op, const InsnRow *row)
{
    int64_t wbs;

    if (row->flags & (F_ARRAY | F_AAUREG)) {
        return array_operands(as, c, op, row);
    }
    if (row->flags & F_WBS) {
        if (!named_number(as, c, "wbs", 128, &wbs) || !expect(as, c, ',')) {
            return false;
        }
        op->alc.imm8 = wbs;
    }
    if ((row->flags & (F_LD | F_ST)) && row->src1 != WIDTH_NONE &&
        row->src2 != WIDTH_NONE) {
        return parse_memory_operands(as, c, op, row);
    }
    return parse_plain_operands(as, c, op, row);
}

/* ", mas = N" and ", %predN" after the operands. */
static bool parse_extras(Asm *as, Cursor *c, AsmOp *op, const InsnRow *row)
{
    int64_t mas;

    while (cursor_char(c, ',')) {
        unsigned column = (cursor_skip(c), cursor_column(c));

        if (cursor_word(c, "mas")) {
            c->p -= 3;
            if (!named_number(as, c, "mas", 128, &mas)) {
                return false;
            }
            if (!(row->flags & F_MAS)) {
                asm_error(as, column, "'%s' takes no memory address "
                          "specifier", insn_name(op->insn));
                return false;
            }
            op->alc.mas = mas;
        } else if (row->flags & F_MRGC) {
            if (!operand_cond(as, c, &op->alc.merge, true)) {
                return false;
            }
            op->alc.has_merge = true;
            op->alc.n_merges = 1;
        } else {
            asm_error(as, column, "too many operands of '%s'",
                      insn_name(op->insn));
            return false;
        }
    }
    if ((row->flags & F_MRGC) && !op->alc.has_merge) {
        asm_error(as, cursor_column(c), "merge predicate of '%s' expected",
                  insn_name(op->insn));
        return false;
    }
    return true;
}

/* "? condition{, condition}": of the operation, or of a register branch. */
static bool parse_conditions(Asm *as, Cursor *c, AsmOp *op)
{
    AlcOp *alc = &op->alc;

    if (alc->insn == INSN_ibranchd || alc->insn == INSN_icalld) {
        return control_condition(as, c, false, false);
    }
    if (!cursor_char(c, '?')) {
        return true;
    }
    do {
        unsigned column = (cursor_skip(c), cursor_column(c));
        Cond cond;

        if (!operand_cond(as, c, &cond, true)) {
            return false;
        }
        for (unsigned i = 0; i < alc->n_conds; i++) {
            if (alc->conds[i].kind == cond.kind) {
                asm_error(as, column, "second condition of the same kind");
                return false;
            }
        }
        alc->conds[alc->n_conds++] = cond;
    } while (cursor_char(c, ','));
    return true;
}

static AsmOp *new_op(Asm *as)
{
    AsmBundle *ab = &as->bundle;

    if (ab->n_ops == ASM_MAX_OPS) {
        asm_error(as, as->column, "more than six operations in a bundle");
        return NULL;
    }
    AsmOp *op = &ab->ops[ab->n_ops];

    *op = (AsmOp){ .place = as->place, .column = as->column };
    return op;
}

static bool parse_channel_op(Asm *as, const char *name, Cursor *c,
                             InsnId insn)
{
    const InsnRow *row = row_for_isa(insn, as->isa);
    AsmOp *op = new_op(as);
    unsigned channel;

    if (!op) {
        return false;
    }
    if (!row) {
        explain_missing(as, name, insn);
        return false;
    }
    op->insn = op->alc.insn = insn;
    op->quad = row->flags & F_PAIR;
    op->alc.present = true;
    if (!parse_suffixes(as, c, op, &channel) ||
        !choose_candidates(as, op, row, name, channel) ||
        !parse_operands(as, c, op, row) ||
        !parse_extras(as, c, op, row) || !parse_conditions(as, c, op)) {
        return false;
    }
    if (row->flags & F_NOP2) {
        as->bundle.auto_nop = 2;
    } else if (row->flags & F_NOP4) {
        as->bundle.auto_nop = 4;
    }
    as->bundle.n_ops++;
    return true;
}

/* plog_0xNN, plog_NNN and their 128-bit forms. */
static InsnId plog_by_name(const char *name, unsigned *table)
{
    bool wide = *name == 'q';
    const char *digits = name + wide + strlen("plog_");
    char *end;

    if (!g_str_has_prefix(name + wide, "plog_") ||
        !g_ascii_isdigit(*digits)) {
        return INSN_NONE;
    }
    guint64 value = g_ascii_strtoull(
        digits, &end, digits[0] == '0' && digits[1] == 'x' ? 16 : 10);

    if (*end || value > 255) {
        return INSN_NONE;
    }
    *table = value;
    return wide ? INSN_qplog_nn : INSN_plog_nn;
}

/* mmurr %REG, %dst and mmurw %src, %REG: a load and a store with MAS. */
static bool parse_mmu_op(Asm *as, const char *name, Cursor *c)
{
    bool read = strcmp(name, "mmurr") == 0;
    InsnId insn = read ? INSN_ldrd : INSN_std;
    AsmOp *op = new_op(as);
    unsigned channel;

    if (!op) {
        return false;
    }
    op->insn = op->alc.insn = insn;
    op->alc.present = true;
    if (!parse_suffixes(as, c, op, &channel)) {
        return false;
    }
    if (!read && (!operand_source(as, c, op, &op->alc.src3, 'd', 3) ||
                  !expect(as, c, ','))) {
        return false;
    }
    cursor_skip(c);
    size_t length = strcspn(c->p, " \t,;?");
    g_autofree char *text = g_strndup(c->p, length);
    const MmuReg *reg = mmu_reg_by_name(text);

    if (!reg || reg->min_isa > as->isa ||
        (read ? reg->channel == 0
              : reg->write_isa == 0 || reg->write_isa > as->isa)) {
        asm_error(as, cursor_column(c), "no MMU register '%s' to %s in "
                  "instruction set version %u", text,
                  read ? "read" : "write", as->isa);
        return false;
    }
    c->p += length;
    unsigned wanted = read ? reg->channel : 2;

    if (channel < BUNDLE_CHANNELS && channel != wanted) {
        asm_error(as, as->column, "'%s' of %s is in channel %u", name, text,
                  wanted);
        return false;
    }
    op->channels = 1 << wanted;
    op->alc.mas = reg->mas;
    op->alc.src1 = (Operand){ .kind = OPERAND_CONST, .byte = 0xc0 };
    op->alc.src2 = (Operand){ .kind = OPERAND_CONST,
                              .byte = 0xc0 + reg->address,
                              .value = reg->address };
    if (reg->address > 15) {
        op->literal = (AsmLiteral){
            .present = true, .known = true, .src2 = true, .place = -1,
            .value = reg->address,
            .halves = reg->address <= INT16_MAX ? 1 : 2,
        };
    }
    if (read && (!expect(as, c, ',') || !operand_dst(as, c, op, 'd'))) {
        return false;
    }
    if (!parse_conditions(as, c, op)) {
        return false;
    }
    as->bundle.n_ops++;
    return true;
}

/* clpandp, clplandp %pA, %pB, %pD: a whole predicate calculation. */
static bool parse_any(Asm *as, const char *name, Cursor *c)
{
    unsigned table;
    InsnId insn = plog_by_name(name, &table);

    if (insn) {
        if (!parse_channel_op(as, name, c, insn)) {
            return false;
        }
        as->bundle.ops[as->bundle.n_ops - 1].alc.imm8 = table;
        return true;
    }
    if (strcmp(name, "mmurr") == 0 || strcmp(name, "mmurw") == 0) {
        return parse_mmu_op(as, name, c);
    }
    insn = insn_by_name(name);
    if (insn && !strstr(name, "NN")) {
        return parse_channel_op(as, name, c, insn);
    }
    unsigned errors = as->errors;

    if (array_parse(as, name, c) || control_parse(as, name, c)) {
        return as->errors == errors;
    }
    asm_error(as, as->column, "unknown operation '%s'", name);
    return false;
}

void insn_parse(Asm *as, Cursor *c)
{
    AsmBundle *ab = &as->bundle;
    g_autofree char *name = cursor_name(c);

    if (!ab->started) {
        bundle_start(as, false);
    }
    if (!name) {
        asm_error(as, as->column, "operation expected");
        ab->failed = true;
    } else if (!parse_any(as, name, c)) {
        ab->failed = true;
    } else if (!cursor_end(c)) {
        asm_error(as, cursor_column(c), "unexpected '%s' after '%s'", c->p,
                  name);
        ab->failed = true;
    }
    if (!ab->braces) {
        bundle_finish(as);
    }
}
