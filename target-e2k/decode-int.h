/*
 * Private to the decoder: the dispatch table and what the parts of the
 * decoder hand each other.
 *
 * For each ISA version, insn_rows[] is sorted into buckets: by channel, by
 * opcode group (short form, or the upper byte of the extension half) and by
 * the seven opcode bits.  A bucket is a run of RowMatch entries that ends with
 * one that matches everything; most buckets hold one or two rows.
 */
#ifndef TARGET_E2K_DECODE_INT_H
#define TARGET_E2K_DECODE_INT_H

#include "target-e2k/bundle.h"

enum {
    DECODE_GROUPS = 25, /* 0: no extension half; 1..24: opc2 */
    DECODE_OPCODES = 128,
};

/* Which fields an encoding row has; from its format and operand widths. */
enum {
    SHAPE_SRC1 = 1 << 0,
    SHAPE_SRC2 = 1 << 1,
    SHAPE_SRC3 = 1 << 2,     /* in the extension half */
    SHAPE_VALUE = 1 << 3,    /* third source in dst's place */
    SHAPE_DST = 1 << 4,
    SHAPE_PRED = 1 << 5,     /* predicate in dst's place */
    SHAPE_STATE_SRC = 1 << 6,
    SHAPE_STATE_DST = 1 << 7,
    SHAPE_IMM8 = 1 << 8,     /* extension's low byte */
    SHAPE_ARRAY = 1 << 9,
    SHAPE_AAUREG = 1 << 10,
    SHAPE_WBS = 1 << 11,
    SHAPE_PLOG = 1 << 12,
    SHAPE_QUAD = 1 << 13,    /* some operand is a register pair */
    SHAPE_NO_CTPR = 1 << 14, /* dst must not be %ctprN */
    SHAPE_MAS_3F = 1 << 15,  /* row applies when MAS is 0x3f ... */
};

enum { ROW_NONE = 0xffff };

typedef struct RowMatch {
    uint32_t als_mask;
    uint32_t als_value;
    uint16_t ales_mask;
    uint16_t ales_value;
    uint16_t row;   /* index in insn_rows[], ROW_NONE: end of the bucket */
    uint16_t insn;
    uint32_t shape;
} RowMatch;

typedef struct DecodeTable {
    uint16_t bucket[BUNDLE_CHANNELS][DECODE_GROUPS][DECODE_OPCODES];
    RowMatch *matches; /* [0] is the empty bucket */
} DecodeTable;

/* The table of one ISA version, built on first use. */
const DecodeTable *decode_table(unsigned isa);

/* SHAPE_... of a row. */
uint32_t decode_row_shape(const InsnRow *row);

/* Syllables of a bundle, found by decode.c. */
typedef struct Syllables {
    unsigned isa;
    uint32_t hs, ss, cs0, cs1;
    bool has_ss, has_cs0, has_cs1;
    uint32_t als[BUNDLE_CHANNELS];
    uint16_t ales[BUNDLE_CHANNELS];
    uint16_t aas[6];
    uint8_t aas_mask; /* SS[15:12] */
    DecodeError soft; /* first soft error */
} Syllables;

/*
 * Parts of the decoder.  Each fills its fields of *bundle, which is zero
 * before except for the raw syllables, and reports soft errors through
 * decode_soft().
 */
DecodeError decode_channels(Bundle *bundle, Syllables *s);
DecodeError decode_control(Bundle *bundle, Syllables *s);
DecodeError decode_predicates(Bundle *bundle, Syllables *s);
DecodeError decode_mova(Bundle *bundle, Syllables *s);

/* A destination byte. */
DecodeError decode_dst(Operand *operand, uint8_t byte);

/* Keeps the first of several soft errors. */
static inline void decode_soft(Syllables *s, DecodeError error)
{
    if (s->soft == DECODE_OK) {
        s->soft = error;
    }
}

#endif
