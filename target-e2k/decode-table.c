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

static bool row_in_bucket(const InsnRow *row, unsigned group, unsigned opcode)
{
    if (row->has_ales != (group != 0) ||
        ((row->als_value ^ (opcode << 24)) & row->als_mask & 0x7f000000)) {
        return false;
    }
    return !row->has_ales ||
           !((row->ales_value ^ (group << 8)) & row->ales_mask & 0xff00);
}

/* Appends the bucket's rows to list; returns how many. */
static unsigned fill_bucket(GArray *list, unsigned isa, unsigned channel,
                            unsigned group, unsigned opcode)
{
    unsigned count = 0;

    for (unsigned i = 0; i < INSN_ROWS; i++) {
        const InsnRow *row = &insn_rows[i];

        if (!(row->channels[isa - 1] & (1 << channel)) ||
            (row->flags & F_ALIAS) || !row_in_bucket(row, group, opcode)) {
            continue;
        }
        RowMatch match = {
            .als_mask = row->als_mask, .als_value = row->als_value,
            .ales_mask = row->ales_mask, .ales_value = row->ales_value,
            .row = i, .insn = row->insn, .shape = decode_row_shape(row),
        };
        g_array_append_val(list, match);
        count++;
    }
    return count;
}

static DecodeTable *build_table(unsigned isa)
{
    DecodeTable *table = g_new0(DecodeTable, 1);
    GArray *list = g_array_new(FALSE, TRUE, sizeof(RowMatch));
    const RowMatch end = { .row = ROW_NONE };

    g_array_append_val(list, end);
    for (unsigned c = 0; c < BUNDLE_CHANNELS; c++) {
        for (unsigned g = 0; g < DECODE_GROUPS; g++) {
            for (unsigned o = 0; o < DECODE_OPCODES; o++) {
                unsigned start = list->len;

                if (fill_bucket(list, isa, c, g, o)) {
                    table->bucket[c][g][o] = start;
                    g_array_append_val(list, end);
                }
            }
        }
    }
    g_assert(list->len <= UINT16_MAX);
    table->matches = (RowMatch *)g_array_free(list, FALSE);
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
