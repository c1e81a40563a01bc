/*
 * Packed operations that move lanes about, make masks of them or look them
 * up: "isa/ops.md" sections 4, 6 and 6.1.
 */
#include "tests/insn/formula.h"

#include <stdlib.h>
#include <string.h>

/* A byte of the pair high:low, each of width bits. */
static uint8_t pair_byte(U128 high, U128 low, unsigned width, unsigned i)
{
    unsigned n = width / 8;

    return i < n ? lane(low, 8, i) : lane(high, 8, i - n);
}

enum { BYTES_LEFT_HIGH, BYTES_LEFT_LOW, BYTES_RIGHT_LOW, BYTES_RIGHT_HIGH };

/* 128-bit number s1:s2 by whole bytes; which half of it is kept. */
static void shift_bytes(const Formula *f, const FormulaIn *in,
                        FormulaOut *out)
{
    U128 v = in->s1 << 64 | (uint64_t)in->s2;
    unsigned limit = f->op == BYTES_LEFT_LOW || f->op == BYTES_RIGHT_HIGH
                         ? 8 : 16;

    out->open = in->imm >= limit;
    if (in->imm >= 16) {
        return;
    }
    v = f->op == BYTES_LEFT_HIGH || f->op == BYTES_LEFT_LOW
            ? v << (8 * in->imm) : v >> (8 * in->imm);
    out->d = f->op == BYTES_LEFT_HIGH || f->op == BYTES_RIGHT_HIGH
                 ? v >> 64 : (uint64_t)v;
}

static void shuffle_halves(const Formula *f, const FormulaIn *in,
                           FormulaOut *out)
{
    for (unsigned i = 0; i < 4; i++) {
        out->d = with_lane(out->d, 16, i,
                           lane(in->s2, 16, in->imm >> 2 * i & 3));
    }
}

static void shuffle_words(const Formula *f, const FormulaIn *in,
                          FormulaOut *out)
{
    for (unsigned i = 0; i < 2; i++) {
        unsigned c = in->imm >> 2 * i & 3;

        out->d = with_lane(out->d, 32, i,
                           lane(c < 2 ? in->s2 : in->s1, 32, c & 1));
    }
}

static void insert_half(const Formula *f, const FormulaIn *in,
                        FormulaOut *out)
{
    out->open = in->imm >= 4;
    out->d = with_lane((uint64_t)in->s1, 16, in->imm & 3, in->s2 & 0xffff);
}

static void extract_half(const Formula *f, const FormulaIn *in,
                         FormulaOut *out)
{
    out->open = in->imm >= 8;
    out->d = lane(in->imm & 4 ? in->s1 : in->s2, 16, in->imm & 3);
}

/* Lanes of s2 in even places, of s1 in odd ones; op: from the high half. */
static void interleave(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    unsigned n = 64 / f->bits;

    for (unsigned i = 0; i < n; i++) {
        out->d = with_lane(out->d, f->bits, i,
                           lane(i & 1 ? in->s1 : in->s2, f->bits,
                                i / 2 + (f->op ? n / 2 : 0)));
    }
}

/* Signed lanes to lanes of half the width: s2 below, s1 above. */
static void pack(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    unsigned to = f->bits / 2;
    unsigned n = f->width / f->bits;
    int64_t low = f->is_signed ? -((int64_t)1 << (to - 1)) : 0;
    int64_t high = ((int64_t)1 << (to - f->is_signed)) - 1;

    for (unsigned i = 0; i < 2 * n; i++) {
        int64_t v = slane(i < n ? in->s2 : in->s1, f->bits, i % n);

        out->d = with_lane(out->d, to, i, v < low ? low : v > high ? high : v);
    }
}

/* Sign bits of both sources: s2 below, s1 above; op: of one source only. */
static void sign_mask(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    unsigned n = f->width / f->bits;

    for (unsigned i = 0; i < n; i++) {
        out->d |= (U128)(slane(in->s2, f->bits, i) < 0) << i;
        if (!f->op) {
            out->d |= (U128)(slane(in->s1, f->bits, i) < 0) << (n + i);
        }
    }
}

static void merge_bytes(const Formula *f, const FormulaIn *in,
                        FormulaOut *out)
{
    for (unsigned i = 0; i < f->width / 8; i++) {
        U128 v = slane(in->s3, 8, i) < 0 ? in->s2 : in->s1;

        out->d = with_lane(out->d, 8, i, lane(v, 8, i));
    }
}

static void merge_whole(const Formula *f, const FormulaIn *in,
                        FormulaOut *out)
{
    out->d = in->cond ? in->s2 : in->s1;
}

/* Every bit looked up in a table of eight. */
static void logic_table(const Formula *f, const FormulaIn *in,
                        FormulaOut *out)
{
    for (unsigned i = 0; i < f->width; i++) {
        unsigned index = (in->s1 >> i & 1) << 2 | (in->s2 >> i & 1) << 1 |
                         (in->s3 >> i & 1);

        out->d |= (U128)(in->imm >> index & 1) << i;
    }
}

/* Names for some of the tables. */
enum { LOGIC_AND, LOGIC_XOR, LOGIC_SELECT, LOGIC_MAJORITY, LOGIC_OR };

static void logic_named(const Formula *f, const FormulaIn *in,
                        FormulaOut *out)
{
    U128 a = in->s1, b = in->s2, c = in->s3;

    out->d = f->op == LOGIC_AND        ? a & b & c
             : f->op == LOGIC_XOR      ? a ^ b ^ c
             : f->op == LOGIC_SELECT   ? (b & c) | (a & ~c)
             : f->op == LOGIC_MAJORITY ? (a & b) | (a & c) | (b & c)
                                       : a | b | c;
}

static uint8_t reverse_byte(uint8_t v)
{
    uint8_t r = 0;

    for (unsigned i = 0; i < 8; i++) {
        r |= (v >> i & 1) << (7 - i);
    }
    return r;
}

/* Control byte of pshufb over the 16 bytes high:low. */
static uint8_t shuffled_byte(uint64_t high, uint64_t low, uint8_t c,
                             unsigned isa, bool *open)
{
    static const uint8_t constants[8] = { 0, 0, 0x7f, 0, 0x80, 0, 0xff, 0 };
    uint8_t v = pair_byte(high, low, 64, c & 15);

    /* Before version 4 only bits 7 and 3:0 are known to be used. */
    *open |= isa < 4 && (c & 0x70);
    if (c & 0x80) {
        *open |= c >> 4 & 1;
        return constants[c >> 4 & 7];
    }
    v = c & 0x10 ? ~v : v;
    v = c & 0x20 ? reverse_byte(v) : v;
    return c & 0x40 ? (v & 0x80 ? 0xff : 0) : v;
}

static void shuffle_bytes(const Formula *f, const FormulaIn *in,
                          FormulaOut *out)
{
    for (unsigned i = 0; i < f->width / 8; i++) {
        uint64_t high = in->s1, low = in->s2;

        if (f->width == 128) { /* each half looks into one whole source */
            U128 v = i < 8 ? in->s2 : in->s1;

            high = v >> 64;
            low = v;
        }
        out->d = with_lane(out->d, 8, i,
                           shuffled_byte(high, low, lane(in->s3, 8, i),
                                         in->isa, &out->open));
    }
}

static void permute_bytes(const Formula *f, const FormulaIn *in,
                          FormulaOut *out)
{
    for (unsigned i = 0; i < 16; i++) {
        uint8_t c = lane(in->s3, 8, i);
        uint8_t v = pair_byte(in->s1, in->s2, 128, c & 31);

        v = c & 0x20 ? ~v : v;
        v = c & 0x40 ? reverse_byte(v) : v;
        v = c & 0x80 ? (v & 0x80 ? 0xff : 0) : v;
        out->d = with_lane(out->d, 8, i, v);
    }
}

/* Segment op of a table of bytes. */
static void table_bytes(const Formula *f, const FormulaIn *in,
                        FormulaOut *out)
{
    for (unsigned i = 0; i < 16; i++) {
        uint8_t c = lane(in->s3, 8, i);

        if (c >> 5 == f->op) {
            out->d = with_lane(out->d, 8, i,
                               pair_byte(in->s1, in->s2, 128, c & 31));
        }
    }
}

static void two_halves(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    out->d = in->s1 << 64 | (uint64_t)in->s2;
}

/* Neighbouring lanes change places. */
static void swap_lanes(const Formula *f, const FormulaIn *in, FormulaOut *out)
{
    for (unsigned i = 0; i < 128 / f->bits; i++) {
        out->d = with_lane(out->d, f->bits, i, lane(in->s2, f->bits, i ^ 1));
    }
}

static void sign_from_mask(const Formula *f, const FormulaIn *in,
                           FormulaOut *out)
{
    for (unsigned i = 0; i < 16; i++) {
        out->d = with_lane(out->d, 8, i,
                           (lane(in->s1, 8, i) & 0x7f) |
                               (in->s2 >> i & 1) << 7);
    }
}

static void mask_to_lanes(const Formula *f, const FormulaIn *in,
                          FormulaOut *out)
{
    for (unsigned i = 0; i < 128 / f->bits; i++) {
        out->d = with_lane(out->d, f->bits, i,
                           in->s2 >> i & 1 ? UINT64_MAX : 0);
    }
}

/* The upper half is one byte, repeated. */
static void extend_constant(const Formula *f, const FormulaIn *in,
                            FormulaOut *out)
{
    out->d = (uint64_t)in->s2;
    for (unsigned i = 8; i < 16; i++) {
        out->d = with_lane(out->d, 8, i, f->op);
    }
}

/* ------------------------------------------------------------------------
 * Names
 */

#define IMM(limit) .has_imm = true, .imm_max = limit

static const struct {
    const char *name;
    Formula f;
} table[] = {
    { "psllqh", { shift_bytes, BYTES_LEFT_HIGH, IMM(15) } },
    { "psllql", { shift_bytes, BYTES_LEFT_LOW, IMM(7) } },
    { "psrlql", { shift_bytes, BYTES_RIGHT_LOW, IMM(15) } },
    { "psrlqh", { shift_bytes, BYTES_RIGHT_HIGH, IMM(7) } },
    { "pshufh", { shuffle_halves, IMM(255) } },
    { "pshufw", { shuffle_words, IMM(15) } },
    { "pinsh", { insert_half, IMM(3) } },
    { "pextrh", { extract_half, IMM(7) } },
    { "punpcklbh", { interleave, 0, .bits = 8 } },
    { "punpckhbh", { interleave, 1, .bits = 8 } },
    { "punpcklhw", { interleave, 0, .bits = 16 } },
    { "punpckhhw", { interleave, 1, .bits = 16 } },
    { "punpcklwd", { interleave, 0, .bits = 32 } },
    { "punpckhwd", { interleave, 1, .bits = 32 } },
    { "packsshb", { pack, .bits = 16, .width = 64, .is_signed = true } },
    { "packushb", { pack, .bits = 16, .width = 64 } },
    { "packsswh", { pack, .bits = 32, .width = 64, .is_signed = true } },
    { "packuswh", { pack, .bits = 32, .width = 64 } },
    { "qpacksshb", { pack, .bits = 16, .width = 128, .is_signed = true } },
    { "qpackushb", { pack, .bits = 16, .width = 128 } },
    { "qpacksswh", { pack, .bits = 32, .width = 128, .is_signed = true } },
    { "qpackuswh", { pack, .bits = 32, .width = 128 } },
    { "qpackhbss", { pack, .bits = 16, .width = 128, .is_signed = true } },
    { "qpackhbus", { pack, .bits = 16, .width = 128 } },
    { "qpackwhss", { pack, .bits = 32, .width = 128, .is_signed = true } },
    { "qpackwhus", { pack, .bits = 32, .width = 128 } },
    { "pmovmskb", { sign_mask, .bits = 8, .width = 64 } },
    { "pmovmskps", { sign_mask, .bits = 32, .width = 64 } },
    { "pmovmskpd", { sign_mask, .bits = 64, .width = 64 } },
    { "qps2mb", { sign_mask, .bits = 8, .width = 128 } },
    { "qps2mh", { sign_mask, .bits = 16, .width = 128 } },
    { "qps2mw", { sign_mask, .bits = 32, .width = 128 } },
    { "qps2md", { sign_mask, .bits = 64, .width = 128 } },
    { "qpsgn2mskb", { sign_mask, 1, .bits = 8, .width = 128 } },
    { "pmerge", { merge_bytes, .width = 64 } },
    { "qpmerge", { merge_bytes, .width = 128 } },
    { "pmrgp", { merge_whole } },
    { "qpmrgp", { merge_whole } },
    { "plog_0xNN", { logic_table, .width = 64, IMM(255) } },
    { "qplog_0xNN", { logic_table, .width = 128, IMM(255) } },
    { "plog_and", { logic_named, LOGIC_AND } },
    { "plog_xor", { logic_named, LOGIC_XOR } },
    { "plog_sel3", { logic_named, LOGIC_SELECT } },
    { "plog_mjr", { logic_named, LOGIC_MAJORITY } },
    { "plog_or", { logic_named, LOGIC_OR } },
    { "qplog_and", { logic_named, LOGIC_AND } },
    { "qplog_xor", { logic_named, LOGIC_XOR } },
    { "qplog_sel3", { logic_named, LOGIC_SELECT } },
    { "qplog_mjr", { logic_named, LOGIC_MAJORITY } },
    { "qplog_or", { logic_named, LOGIC_OR } },
    { "pshufb", { shuffle_bytes, .width = 64 } },
    { "qpshufb", { shuffle_bytes, .width = 128 } },
    { "qppermb", { permute_bytes } },
    { "qppackdl", { two_halves } },
    { "qpswitchd", { swap_lanes, .bits = 64 } },
    { "qpswitchw", { swap_lanes, .bits = 32 } },
    { "qpmsk2sgnb", { sign_from_mask } },
    { "qpcm2b", { mask_to_lanes, .bits = 8 } },
    { "qpcm2h", { mask_to_lanes, .bits = 16 } },
    { "qpcm2w", { mask_to_lanes, .bits = 32 } },
    { "qpcm2d", { mask_to_lanes, .bits = 64 } },
};

bool formula_shuffle(const char *name, Formula *f)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if (strcmp(table[i].name, name) == 0) {
            *f = table[i].f;
            return true;
        }
    }
    if (g_str_has_prefix(name, "qpcext_0x")) {
        *f = (Formula){ extend_constant, strtoul(name + 9, NULL, 16) };
        return true;
    }
    if (g_str_has_prefix(name, "qptbl_")) {
        *f = (Formula){ table_bytes, atoi(name + 6) };
        return true;
    }
    return false;
}
