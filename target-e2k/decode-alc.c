/*
 * Decoding of the arithmetic-logic channels: operation, operands, conditions,
 * register pairs.
 *
 * Source: shared facts "isa/encoding.md" sections 3, 4, 7, 8 and 11.
 */
#include "target-e2k/decode-int.h"

#include "target-e2k/regs.h"

static DecodeError literal_16(Operand *operand, const Bundle *bundle,
                              unsigned lts, bool high)
{
    if (lts >= bundle->n_lts) {
        return DECODE_NO_LITERAL_16;
    }
    operand->index = lts;
    operand->literal = high ? LITERAL_16_HI : LITERAL_16_LO;
    operand->value = (int64_t)(int16_t)(bundle->lts[lts] >> (high ? 16 : 0));
    return DECODE_OK;
}

static DecodeError literal_32(Operand *operand, const Bundle *bundle,
                              unsigned lts)
{
    if (lts >= bundle->n_lts) {
        return DECODE_NO_LITERAL_32;
    }
    operand->index = lts;
    operand->literal = LITERAL_32;
    operand->value = (int64_t)(int32_t)bundle->lts[lts];
    return DECODE_OK;
}

static DecodeError literal_64(Operand *operand, const Bundle *bundle,
                              unsigned lts)
{
    if (lts + 1 >= bundle->n_lts) {
        return DECODE_NO_LITERAL_64;
    }
    operand->index = lts;
    operand->literal = LITERAL_64;
    operand->value = (uint64_t)bundle->lts[lts + 1] << 32 | bundle->lts[lts];
    return DECODE_OK;
}

/* Register bytes, the same in every operand; false for c0..df. */
static inline bool decode_register(Operand *operand, uint8_t byte)
{
    operand->byte = byte;
    if (byte < 0x80) {
        operand->kind = OPERAND_BASED;
        operand->index = byte;
    } else if (byte < 0xc0) {
        operand->kind = OPERAND_WINDOW;
        operand->index = byte - 0x80;
    } else if (byte >= 0xe0) {
        operand->kind = OPERAND_GLOBAL;
        operand->index = byte - 0xe0;
    } else {
        return false;
    }
    return true;
}

static inline void decode_src1(Operand *operand, uint8_t byte)
{
    if (!decode_register(operand, byte)) {
        operand->kind = OPERAND_CONST;
        operand->literal = LITERAL_SHORT;
        operand->value = byte - 0xc0;
    }
}

static DecodeError decode_src2(Operand *operand, const Bundle *bundle,
                               uint8_t byte)
{
    if (decode_register(operand, byte)) {
        return DECODE_OK;
    }
    operand->kind = OPERAND_CONST;
    switch (byte) {
    case 0xc0 ... 0xcf:
        operand->literal = LITERAL_SHORT;
        operand->value = byte - 0xc0;
        return DECODE_OK;
    case 0xd0 ... 0xd1:
        return literal_16(operand, bundle, byte - 0xd0, false);
    case 0xd4 ... 0xd5:
        return literal_16(operand, bundle, byte - 0xd4, true);
    case 0xd8 ... 0xdb:
        return literal_32(operand, bundle, byte - 0xd8);
    case 0xdc ... 0xde:
        return literal_64(operand, bundle, byte - 0xdc);
    default:
        return DECODE_BAD_LITERAL;
    }
}

DecodeError decode_dst(Operand *operand, uint8_t byte)
{
    if (decode_register(operand, byte)) {
        return DECODE_OK;
    }
    switch (byte) {
    case 0xcd ... 0xcf:
        operand->kind = OPERAND_SPECIAL;
        operand->index = byte;
        return DECODE_OK;
    case 0xd1 ... 0xd3:
        operand->kind = OPERAND_CTPR;
        operand->index = byte - 0xd0;
        return DECODE_OK;
    case 0xde ... 0xdf:
        operand->kind = OPERAND_EMPTY;
        operand->index = byte;
        return DECODE_OK;
    default:
        return DECODE_BAD_DST;
    }
}

/* Addressing fields of array accesses and AAU register transfers. */
static DecodeError decode_array(AlcOp *op, const Bundle *bundle, Syllables *s,
                                uint32_t shape, uint32_t als)
{
    op->array.aad = (als >> 19) & 31;
    op->array.ind = (als >> 15) & 15;
    if (shape & SHAPE_AAUREG) {
        op->array.reg = (als >> 10) & 31;
        return aau_reg(op->array.reg) ? DECODE_OK : DECODE_BAD_AAU_REG;
    }
    op->array.incr = (als >> 12) & 7;
    op->array.use_aaind = (als >> 11) & 1;
    op->array.am = (als >> 10) & 1;
    op->array.lit = (als >> 8) & 3;
    if (op->array.lit) {
        if (op->array.lit > bundle->n_lts) {
            decode_soft(s, DECODE_ARRAY_LITERAL);
        } else {
            op->array.lit_value = bundle->lts[op->array.lit - 1];
        }
    }
    return DECODE_OK;
}

/* The less common fields; returns the first error. */
static DecodeError decode_rare_fields(AlcOp *op, const Bundle *bundle,
                                      Syllables *s, uint32_t shape)
{
    uint32_t als = s->als[op->channel];
    uint16_t ales = s->ales[op->channel];

    if (shape & SHAPE_IMM8) {
        op->imm8 = ales;
    }
    if (shape & SHAPE_PLOG) {
        op->imm8 = (ales >> 1 & 0x80) | (als >> 24 & 0x7f);
    }
    if (shape & SHAPE_WBS) {
        op->imm8 = als >> 16;
    }
    if (shape & SHAPE_STATE_SRC) {
        op->src1.kind = OPERAND_STATE;
        op->src1.byte = op->src1.index = als >> 16;
        if (!state_reg_name(op->src1.index, s->isa)) {
            decode_soft(s, DECODE_BAD_STATE_REG);
        }
    }
    if (shape & SHAPE_STATE_DST) {
        op->dst.kind = OPERAND_STATE;
        op->dst.byte = op->dst.index = als;
        if (!state_reg_name(op->dst.index, s->isa) ||
            state_reg_read_only(op->dst.index)) {
            decode_soft(s, DECODE_BAD_STATE_REG);
        }
    }
    if (shape & (SHAPE_ARRAY | SHAPE_AAUREG)) {
        return decode_array(op, bundle, s, shape, als);
    }
    return DECODE_OK;
}

enum {
    SHAPE_RARE = SHAPE_IMM8 | SHAPE_PLOG | SHAPE_WBS | SHAPE_STATE_SRC |
                 SHAPE_STATE_DST | SHAPE_ARRAY | SHAPE_AAUREG,
};

static DecodeError decode_operands(AlcOp *op, const Bundle *bundle,
                                   Syllables *s, uint32_t shape)
{
    uint32_t als = s->als[op->channel];
    DecodeError error = DECODE_OK;

    if (shape & SHAPE_SRC1) {
        decode_src1(&op->src1, als >> 16);
    }
    if (shape & SHAPE_SRC2) {
        error = decode_src2(&op->src2, bundle, als >> 8);
        if (error) {
            return error;
        }
    }
    if ((shape & SHAPE_SRC3) &&
        !decode_register(&op->src3, s->ales[op->channel])) {
        return DECODE_BAD_SRC3;
    }
    if ((shape & SHAPE_VALUE) && !decode_register(&op->src3, als)) {
        return DECODE_BAD_SRC3;
    }
    if (shape & SHAPE_DST) {
        error = decode_dst(&op->dst, als);
        if (op->dst.kind == OPERAND_CTPR &&
            ((shape & SHAPE_NO_CTPR) || op->channel != 0)) {
            decode_soft(s, DECODE_DST_CTPR);
        }
    } else if (shape & SHAPE_PRED) {
        op->dst.kind = OPERAND_PRED;
        op->dst.byte = als;
        op->dst.index = als & 31;
    }
    if (!error && (shape & SHAPE_RARE)) {
        error = decode_rare_fields(op, bundle, s, shape);
    }
    return error;
}

static uint8_t channel_mas(const Syllables *s, unsigned channel)
{
    static const uint8_t shift[BUNDLE_CHANNELS] = { 21, 0, 14, 7, 0, 0 };

    if (!s->has_cs1 || s->cs1 >> 28 != 6 || channel == 1 || channel == 4) {
        return 0;
    }
    return (s->cs1 >> shift[channel]) & 0x7f;
}

static const RowMatch *find_row(const DecodeTable *table, const Syllables *s,
                                unsigned channel, uint8_t mas)
{
    uint32_t als = s->als[channel];
    uint16_t ales = s->ales[channel];
    unsigned group = 0;

    if (s->hs & (1 << (20 + channel))) {
        group = ales >> 8;
        if (group == 0 || group >= DECODE_GROUPS) {
            return &table->matches[0];
        }
    }
    const RowMatch *m =
        &table->matches[table->bucket[channel][group][als >> 24 & 0x7f]];

    for (; m->row != ROW_NONE; m++) {
        if ((als & m->als_mask) == m->als_value &&
            (ales & m->ales_mask) == m->ales_value &&
            (!(m->shape & (SHAPE_ARRAY | SHAPE_MAS_3F)) ||
             !(m->shape & SHAPE_MAS_3F) == (mas != 0x3f))) {
            break;
        }
    }
    return m;
}

/* The channel that holds the second half of a pair operation in channel. */
static unsigned pair_partner(uint32_t flags, unsigned channel)
{
    return flags & F_PAIR01_34 ? channel + 1
           : flags & F_PAIR02_35 ? channel + 2
                                 : channel + 3;
}

static bool is_pair_start(uint32_t flags, unsigned channel)
{
    return flags & F_PAIR25 ? channel == 2 : channel == 0 || channel == 3;
}

/* One operand of a pair operation: even register below, odd one above. */
static bool pair_operand_ok(uint8_t width, const Operand *low,
                            const Operand *high)
{
    if (width != WIDTH_Q || low->kind == OPERAND_CONST ||
        low->kind == OPERAND_NONE || low->kind == OPERAND_EMPTY) {
        return true;
    }
    return !(low->index & 1) && high->kind == low->kind &&
           high->index == low->index + 1;
}

static void decode_pairs(Bundle *bundle, Syllables *s)
{
    for (unsigned c = 0; c < BUNDLE_CHANNELS; c++) {
        AlcOp *op = &bundle->alc[c];
        const InsnRow *row = &insn_rows[op->row];

        if (!op->present || !(row->flags & F_PAIR) || op->pair_second) {
            continue;
        }
        unsigned partner = pair_partner(row->flags, c);

        if (!is_pair_start(row->flags, c) ||
            bundle->alc[partner].insn != op->insn) {
            bundle->error_channel = c;
            decode_soft(s, DECODE_PAIR);
            continue;
        }
        AlcOp *second = &bundle->alc[partner];

        second->pair_second = true;
        if (!pair_operand_ok(row->flags & F_SAME_S1 ? WIDTH_NONE : row->src1,
                             &op->src1, &second->src1) ||
            !pair_operand_ok(row->src2, &op->src2, &second->src2) ||
            !pair_operand_ok(row->src3, &op->src3, &second->src3) ||
            !pair_operand_ok(row->dst, &op->dst, &second->dst)) {
            bundle->error_channel = c;
            decode_soft(s, DECODE_ODD_PAIR);
        }
    }
}

/* Loads and stores that the memory pipelines cannot take together. */
static void check_memory_clash(const Bundle *bundle, Syllables *s)
{
    const AlcOp *alc = bundle->alc;

    if ((alc[2].present && alc[3].present &&
         (insn_rows[alc[2].row].flags & F_ST) &&
         (insn_rows[alc[3].row].flags & F_LD)) ||
        (alc[5].present && alc[0].present &&
         (insn_rows[alc[5].row].flags & F_ST) &&
         (insn_rows[alc[0].row].flags & F_LD))) {
        decode_soft(s, DECODE_MEMORY_CLASH);
    }
}

DecodeError decode_channels(Bundle *bundle, Syllables *s)
{
    const DecodeTable *table = decode_table(s->isa);
    uint32_t shapes = 0;

    for (unsigned mask = bundle->alc_mask; mask; mask &= mask - 1) {
        unsigned c = __builtin_ctz(mask);
        AlcOp *op = &bundle->alc[c];

        op->present = true;
        op->channel = c;
        op->speculative = s->als[c] >> 31;
        op->mas = channel_mas(s, c);

        const RowMatch *match = find_row(table, s, c, op->mas);
        DecodeError error = DECODE_BAD_OPERATION;

        if (match->row != ROW_NONE) {
            op->row = match->row;
            op->insn = match->insn;
            shapes |= match->shape;
            error = decode_operands(op, bundle, s, match->shape);
        }
        if (error) {
            bundle->error_channel = c;
            return error;
        }
    }
    if (shapes & SHAPE_QUAD) {
        decode_pairs(bundle, s);
    }
    if ((bundle->alc_mask & 0x0c) == 0x0c ||
        (bundle->alc_mask & 0x21) == 0x21) {
        check_memory_clash(bundle, s);
    }
    return DECODE_OK;
}
