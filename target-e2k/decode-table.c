/*
 * The decoder's dispatch tables, sorted from insn_rows[] on first use.
 */
#include "target-e2k/decode-int.h"

#include <string.h>

#include <glib.h>

uint32_t decode_row_shape(const InsnRow *row)
{
    bool value = row->format == ALF3 || row->format == ALF13 ||
                 row->format == ALF10 || row->format == AAURW;
    uint32_t shape = 0;

    if (row->src1 == WIDTH_STATE) {
        shape |= SHAPE_STATE_SRC;
    } else if (row->src1 != WIDTH_NONE) {
        shape |= SHAPE_SRC1;
    }
    if (row->src2 != WIDTH_NONE) {
        shape |= SHAPE_SRC2;
    }
    if (row->src3 != WIDTH_NONE) {
        shape |= value ? SHAPE_VALUE : SHAPE_SRC3;
    }
    if (row->dst == WIDTH_PRED) {
        shape |= SHAPE_PRED;
    } else if (row->dst == WIDTH_STATE) {
        shape |= SHAPE_STATE_DST;
    } else if (row->dst != WIDTH_NONE) {
        shape |= SHAPE_DST;
        if (!(row->flags & F_CTPR)) {
            shape |= SHAPE_NO_CTPR;
        }
    }
    if (row->flags & F_IMM8) {
        shape |= SHAPE_IMM8;
    }
    if (row->flags & F_ARRAY) {
        shape |= SHAPE_ARRAY;
    }
    if (row->flags & F_AAUREG) {
        shape |= SHAPE_AAUREG;
    }
    if (row->flags & F_AAUMAS) {
        shape |= SHAPE_MAS_3F;
    }
    if (row->flags & F_WBS) {
        shape |= SHAPE_WBS;
    }
    if (row->format == ALF21G || row->format == ALF21GT) {
        shape |= SHAPE_PLOG;
    }
    if (row->flags & F_PAIR) {
        shape |= SHAPE_QUAD;
    }
    return shape;
}

/* Range of opcode bits that a row answers to: one value, or all (plog). */
static void row_opcodes(const InsnRow *row, unsigned *first, unsigned *last)
{
    bool fixed = row->als_mask & 0x7f000000;

    *first = fixed ? row->als_value >> 24 : 0;
    *last = fixed ? *first : DECODE_OPCODES - 1;
}

/* Likewise for the opcode group; plog takes two. */
static void row_groups(const InsnRow *row, unsigned *first, unsigned *last)
{
    *first = row->has_ales ? row->ales_value >> 8 : 0;
    *last = *first + (row->has_ales ? 0xff - (row->ales_mask >> 8) : 0);
}

typedef void BucketFunc(DecodeTable *table, uint16_t *bucket,
                        const InsnRow *row);

/* Calls func for every bucket that a row belongs to, in order of rows. */
static void each_bucket(DecodeTable *table, unsigned isa, BucketFunc *func)
{
    for (unsigned i = 0; i < INSN_ROWS; i++) {
        const InsnRow *row = &insn_rows[i];
        unsigned channels = row->channels[isa - 1];
        unsigned o1, o2, g1, g2;

        if (row->flags & F_ALIAS) {
            continue;
        }
        row_opcodes(row, &o1, &o2);
        row_groups(row, &g1, &g2);
        for (; channels; channels &= channels - 1) {
            for (unsigned g = g1; g <= g2; g++) {
                for (unsigned o = o1; o <= o2; o++) {
                    unsigned c = __builtin_ctz(channels);

                    func(table, &table->bucket[c][g][o], row);
                }
            }
        }
    }
}

static void count_row(DecodeTable *table, uint16_t *bucket,
                      const InsnRow *row)
{
    (*bucket)++;
}

static unsigned mask_bits(const RowMatch *m)
{
    return __builtin_popcount(m->als_mask) + __builtin_popcount(m->ales_mask);
}

/*
 * The bucket holds the place for its next row.  Where two rows answer to one
 * encoding, the one with more fixed bits comes first (version 7 has such a
 * pair: qpsgn2mskb is qps2mb with a fixed first source).
 */
static void place_row(DecodeTable *table, uint16_t *bucket,
                      const InsnRow *row)
{
    RowMatch *m = &table->matches[(*bucket)++];
    RowMatch match = {
        .als_mask = row->als_mask, .als_value = row->als_value,
        .ales_mask = row->ales_mask, .ales_value = row->ales_value,
        .row = row - insn_rows, .insn = row->insn,
        .shape = decode_row_shape(row),
    };

    for (; m[-1].row != ROW_NONE && mask_bits(&m[-1]) < mask_bits(&match);
         m--) {
        *m = m[-1];
    }
    *m = match;
}

/* Undoes the advance of place_row(). */
static void rewind_row(DecodeTable *table, uint16_t *bucket,
                       const InsnRow *row)
{
    (*bucket)--;
}

static DecodeTable *build_table(unsigned isa)
{
    DecodeTable *table = g_new0(DecodeTable, 1);
    uint16_t *buckets = &table->bucket[0][0][0];
    unsigned total = 1;

    each_bucket(table, isa, count_row);
    for (unsigned i = 0; i < sizeof(table->bucket) / sizeof(*buckets); i++) {
        unsigned count = buckets[i];

        buckets[i] = count ? total : 0;
        total += count ? count + 1 : 0;
    }
    g_assert(total <= UINT16_MAX);
    table->matches = g_new(RowMatch, total);
    for (unsigned i = 0; i < total; i++) {
        table->matches[i] = (RowMatch){ .row = ROW_NONE };
    }
    each_bucket(table, isa, place_row);
    each_bucket(table, isa, rewind_row);
    return table;
}

const DecodeTable *decode_table(unsigned isa)
{
    static DecodeTable *tables[ISA_MAX];
    DecodeTable **slot = &tables[isa - 1];

    if (g_once_init_enter(slot)) {
        g_once_init_leave(slot, build_table(isa));
    }
    return *slot;
}
