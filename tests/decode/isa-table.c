/*
 * isa-table: the decoder against an independent table of operations.
 *
 *   isa-table OPCODES.csv
 *
 * The file has one encoding a line; the columns used here are mnemonic, masks
 * and values of both words, channels per version, operands, flags.  Nothing
 * of insns.def is used to say what is right.
 *
 *   rows    each row, in each version and channel that it names, decodes to its
 *           mnemonic, its text assembles to the same bytes; in each other
 *           version and channel it is refused, unless another row has it
 *   codes   every opcode with every first source, destination class and
 *           extension half decodes exactly where some row answers
 *
 * Prints each difference and "N passed, N failed".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "target-e2k/asm.h"
#include "target-e2k/disas.h"
#include "util/bytes.h"

typedef struct Row {
    char *name;
    uint32_t als_mask, als_value;
    bool long_form;
    uint16_t ales_mask, ales_value;
    uint8_t channels[8]; /* [isa] */
    char *operands;
    unsigned pair;       /* distance to the second channel, 0: no pair */
    unsigned first;      /* channels in which a pair starts */
    bool alias, mas_3f, array, merge, ales25;
    bool same_s1; /* a pair in src1 is the same in both channels */
} Row;

static GArray *rows;
static unsigned passed, failed;

/* Rows by version, channel, form and opcode. */
static GPtrArray *buckets[8][6][2][128];

/* ------------------------------------------------------------------------
 * The file
 */

static uint8_t channel_mask(const char *digits)
{
    uint8_t mask = 0;

    for (; *digits; digits++) {
        if (*digits >= '0' && *digits <= '5') {
            mask |= 1 << (*digits - '0');
        }
    }
    return mask;
}

/* Columns of opcodes.csv. */
enum {
    COL_NAME = 0, COL_ALS_MASK = 4, COL_ALS_VALUE, COL_ALES_MASK,
    COL_ALES_VALUE, COL_V1 = 11, COL_OPERANDS = 18, COL_FLAGS = 20, COLUMNS
};

static bool parse_row(const char *line, Row *row)
{
    g_auto(GStrv) f = g_strsplit(line, ",", -1);

    if (g_strv_length(f) != COLUMNS) {
        return false;
    }
    *row = (Row){
        .name = g_strdup(f[COL_NAME]),
        .als_mask = strtoul(f[COL_ALS_MASK], NULL, 16),
        .als_value = strtoul(f[COL_ALS_VALUE], NULL, 16),
        .long_form = *f[COL_ALES_MASK] != 0,
        .ales_mask = strtoul(f[COL_ALES_MASK], NULL, 16),
        .ales_value = strtoul(f[COL_ALES_VALUE], NULL, 16),
        .operands = g_strdup(f[COL_OPERANDS]),
        .pair = strstr(f[COL_FLAGS], "pair=01") ? 1
                : strstr(f[COL_FLAGS], "pair=02") ? 2
                : strstr(f[COL_FLAGS], "pair=25") ? 3 : 0,
        .alias = strstr(f[COL_FLAGS], "alias"),
        .mas_3f = strstr(f[COL_FLAGS], "mas=3f"),
        .merge = strstr(f[COL_FLAGS], "mrgc"),
        .ales25 = strstr(f[COL_FLAGS], "ales25"),
        .same_s1 = strstr(f[COL_FLAGS], "same_s1"),
        .array = strstr(f[COL_OPERANDS], "aasti"),
    };
    row->first = row->pair == 3 ? 1 << 2 : 1 << 0 | 1 << 3;
    for (unsigned isa = 1; isa <= 7; isa++) {
        row->channels[isa] = channel_mask(f[COL_V1 + isa - 1]);
    }
    return true;
}

static void add_to_buckets(const Row *row)
{
    bool any = !(row->als_mask & 0x7f000000);

    for (unsigned isa = 1; isa <= 7; isa++) {
        for (unsigned c = 0; c < 6; c++) {
            for (unsigned o = 0; o < 128; o++) {
                if (!(row->channels[isa] >> c & 1) || row->alias ||
                    (!any && o != row->als_value >> 24)) {
                    continue;
                }
                GPtrArray **bucket = &buckets[isa][c][row->long_form][o];

                if (!*bucket) {
                    *bucket = g_ptr_array_new();
                }
                g_ptr_array_add(*bucket, (gpointer)row);
            }
        }
    }
}

static void read_rows(const char *path)
{
    g_autofree char *data = NULL;
    g_autoptr(GError) error = NULL;

    if (!g_file_get_contents(path, &data, NULL, &error)) {
        fprintf(stderr, "%s\n", error->message);
        exit(2);
    }
    g_auto(GStrv) lines = g_strsplit(data, "\n", -1);

    rows = g_array_new(FALSE, FALSE, sizeof(Row));
    for (unsigned i = 1; lines[0] && lines[i]; i++) {
        Row row;

        if (*g_strchomp(lines[i]) == 0) {
            continue;
        }
        if (!parse_row(lines[i], &row)) {
            fprintf(stderr, "%s:%u: not a row\n", path, i + 1);
            exit(2);
        }
        g_array_append_val(rows, row);
    }
    for (unsigned i = 0; i < rows->len; i++) {
        add_to_buckets(&g_array_index(rows, Row, i));
    }
}

static unsigned fixed_bits(const Row *row)
{
    return __builtin_popcount(row->als_mask) +
           __builtin_popcount(row->ales_mask);
}

/* The row that the file gives for a word: of several, the most special. */
static const Row *look_up(unsigned isa, unsigned channel, uint32_t als,
                          bool long_form, uint16_t ales, bool mas_3f)
{
    const GPtrArray *bucket = buckets[isa][channel][long_form][als >> 24 & 127];
    const Row *best = NULL;

    for (unsigned i = 0; bucket && i < bucket->len; i++) {
        const Row *row = bucket->pdata[i];

        if ((als & row->als_mask) == row->als_value &&
            (!long_form || (ales & row->ales_mask) == row->ales_value) &&
            !((row->array || row->mas_3f) && row->mas_3f != mas_3f) &&
            (!best || fixed_bits(row) > fixed_bits(best))) {
            best = row;
        }
    }
    return best;
}

/* ------------------------------------------------------------------------
 * Bundles
 */

typedef struct Code {
    uint32_t als[6];
    uint16_t ales[6];
    unsigned channels; /* mask */
    bool long_form;
    bool mas_3f;
    bool branch;       /* needs SS */
    bool merge;        /* needs a condition */
    bool ales25;       /* version 4 stores the word in any case */
} Code;

/* MAS 3f in each channel used; CS1 has seven bits for four of them. */
static uint32_t mas_word(unsigned channels)
{
    static const uint8_t shift[6] = { 21, 0, 14, 7, 0, 0 };
    uint32_t cs1 = 6u << 28;

    for (unsigned c = 0; c < 6; c++) {
        cs1 |= channels >> c & 1 ? 0x3fu << shift[c] : 0;
    }
    return cs1;
}

/* %pred5 as merge condition of a channel; its descriptor is the upper half. */
static uint32_t merge_word(unsigned channels)
{
    unsigned c = __builtin_ctz(channels);

    return (uint32_t)(c < 3 ? 2 : 3) << 30 | 1u << (26 + c % 3) | 0x65u << 16;
}

/* Whether channel 2 or 5 has another extension than the implied one. */
static bool needs_shared(const Code *code)
{
    return code->long_form &&
           ((code->channels & 1 << 2 && code->ales[2] != 0x01c0) ||
            (code->channels & 1 << 5 && code->ales[5] != 0x01c0));
}

/* Versions before 4 have no place for the extensions of channels 2 and 5. */
static bool can_put(const Code *code, unsigned isa)
{
    return isa >= 4 || !needs_shared(code);
}

static unsigned put(uint8_t bytes[64], const Code *code, unsigned isa)
{
    bool shared = needs_shared(code) ||
                  (isa == 4 && code->ales25 && (code->channels & 0x24));
    uint32_t hs = code->channels << 26;
    unsigned words = 1;
    unsigned halves = 0;

    memset(bytes, 0, 64);
    if (code->branch) {
        hs |= 1 << 12;
        stl_le_p(bytes + 4 * words++, 3u << 30 | 1 << 5);
    }
    for (unsigned c = 0; c < 6; c++) {
        if (code->channels >> c & 1) {
            stl_le_p(bytes + 4 * words++, code->als[c]);
        }
    }
    if (shared) {
        stl_le_p(bytes + 4 * words++,
                 (code->channels & 1 << 2 ? code->ales[2] << 16 : 0x01c00000) |
                     (code->channels & 1 << 5 ? code->ales[5] : 0x01c0));
    }
    if (code->mas_3f) {
        hs |= 1 << 15;
        stl_le_p(bytes + 4 * words++, mas_word(code->channels));
    }
    hs |= words - 1;
    for (unsigned c = 0; code->long_form && c < 6; c++) {
        if (!(code->channels >> c & 1)) {
            continue;
        }
        hs |= 1 << (20 + c);
        if (c != 2 && c != 5) {
            stw_le_p(bytes + 4 * (words + halves / 2) + (halves & 1 ? 0 : 2),
                     code->ales[c]);
            halves++;
        }
    }
    words += (halves + 1) / 2;
    words += (words + code->merge) & 1;
    if (code->merge) {
        hs |= 1 << 16;
        stl_le_p(bytes + 4 * words++, merge_word(code->channels));
    }
    hs |= (words / 2 - 1) << 4;
    stl_le_p(bytes, hs);
    return 4 * words;
}

/* Free bits of a row: even registers, odd ones in the second of a pair. */
static void fill(Code *code, const Row *row, unsigned channel, bool second)
{
    uint32_t als = 0x82 << 16 | 0x84 << 8 | 0x86;
    uint8_t ales = 0x88;

    if (strstr(row->operands, "lit8")) {
        ales = 3;
    } else if (strstr(row->operands, "sdst")) {
        als = (als & ~0xff) | 0x83;
    } else if (strstr(row->operands, "ssrc")) {
        als = (als & ~0xff0000) | 0x83 << 16;
    } else if (row->array || row->mas_3f) {
        als = 2 << 19 | 0x86;
    } else if (strstr(row->operands, "pdst")) {
        als = (als & ~0xff) | 3;
    } else if (strstr(row->operands, "wbs")) {
        als = (als & ~0xff0000) | 4 << 16;
    }
    if (second) {
        als |= (strstr(row->operands, "s1:q") && !row->same_s1 ? 1 << 16
                                                               : 0) |
               (strstr(row->operands, "s2:q") ? 1 << 8 : 0) |
               (strstr(row->operands, "dst:q") || strstr(row->operands, "s4:q"));
    }
    code->als[channel] = (als & ~row->als_mask) | row->als_value;
    code->ales[channel] = (ales & ~row->ales_mask) | row->ales_value;
    code->channels |= 1 << channel;
}

static void complain(const Row *row, unsigned isa, unsigned channel,
                     const char *wanted, const char *found)
{
    if (failed++ < 100) {
        printf("%s in version %u channel %u: wanted %s, found %s\n", row->name,
               isa, channel, wanted, found);
    }
}

/* "plog_0xNN" of the file is "plog_nn" of the table; aaurws is aaurw. */
static bool same_name(const char *file, const char *table)
{
    return strcmp(file, table) == 0 ||
           (g_str_has_suffix(file, "0xNN") && g_str_has_suffix(table, "nn") &&
            strncmp(file, table, strlen(table) - 2) == 0) ||
           (strcmp(file, "aaurws") == 0 && strcmp(table, "aaurw") == 0);
}

static void check_text(const Row *row, const Bundle *bundle, unsigned isa,
                       unsigned channel, const uint8_t *bytes, unsigned size)
{
    DisasOptions options = { .isa = isa };
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    uint8_t again[BUNDLE_MAX_BYTES];

    bundle_disassemble(text, bundle, 0, &options);
    if (asm_bundle(again, text->str, 0, isa, &error) != size ||
        memcmp(again, bytes, size) != 0) {
        complain(row, isa, channel, text->str,
                 error ? error->message : "other bytes");
    } else {
        passed++;
    }
}

static void check_row(const Row *row, unsigned isa, unsigned channel)
{
    Code code = { .long_form = row->long_form, .mas_3f = row->mas_3f,
                  .merge = row->merge, .ales25 = row->ales25,
                  .branch = strcmp(row->name, "ibranchd") == 0 ||
                            strcmp(row->name, "icalld") == 0 };
    bool here = row->channels[isa] >> channel & 1;
    uint8_t bytes[64];
    Bundle bundle;

    if (row->pair && !(row->first >> channel & 1)) {
        return; /* its second half */
    }
    fill(&code, row, channel, false);
    if (row->pair) {
        fill(&code, row, channel + row->pair, true);
    }
    const Row *owner = look_up(isa, channel, code.als[channel], code.long_form,
                               code.ales[channel], code.mas_3f);
    unsigned size = put(bytes, &code, isa);
    DecodeError error = bundle_decode(&bundle, bytes, size, isa);

    if (!can_put(&code, isa)) {
        if (here) {
            complain(row, isa, channel, "01c0 as only extension", "another");
        }
    } else if (!here && !owner) {
        if (error != DECODE_BAD_OPERATION || bundle.error_channel != channel) {
            complain(row, isa, channel, "no such operation",
                     decode_error_text(error));
        } else {
            passed++;
        }
    } else if (here) {
        const char *name = insn_name(bundle.alc[channel].insn);

        if (error || !(same_name(row->name, name) ||
                       (row->alias && owner && same_name(owner->name, name)))) {
            complain(row, isa, channel, row->name,
                     error ? decode_error_text(error) : name);
        } else {
            check_text(row, &bundle, isa, channel, bytes, size);
        }
    }
}

/* ------------------------------------------------------------------------
 * All codes
 */

static void check_code(unsigned isa, unsigned channel, uint32_t als,
                       bool long_form, uint16_t ales)
{
    static const Row none = { .name = "(no row)" };
    Code code = { .channels = 1 << channel, .long_form = long_form };
    uint8_t bytes[64];
    Bundle bundle;

    code.als[channel] = als;
    code.ales[channel] = ales;
    if (!can_put(&code, isa)) {
        return;
    }
    const Row *row = look_up(isa, channel, als, long_form, ales, false);
    unsigned size = put(bytes, &code, isa);
    DecodeError error = bundle_decode(&bundle, bytes, size, isa);
    bool found = error != DECODE_BAD_OPERATION;

    if (found != (row != NULL) ||
        (!error && !same_name(row->name,
                              insn_name(bundle.alc[channel].insn)))) {
        g_autofree char *what = g_strdup_printf(
            "%s (als %08x ales %04x)",
            error ? decode_error_text(error)
                  : insn_name(bundle.alc[channel].insn), als, ales);

        complain(row ? row : &none, isa, channel, "as the file", what);
    } else {
        passed++;
    }
}

/* Fixed first sources that rows of a bucket have, and one that none has. */
static unsigned first_sources(const GPtrArray *bucket, uint8_t list[256])
{
    bool used[256] = { [0x82] = true, [0xc0] = true, [0xc5] = true };
    unsigned count = 0;

    for (unsigned i = 0; bucket && i < bucket->len; i++) {
        const Row *row = bucket->pdata[i];

        if ((row->als_mask >> 16 & 0xff) == 0xff) {
            used[row->als_value >> 16 & 0xff] = true;
        }
    }
    for (unsigned i = 0; i < 256; i++) {
        if (used[i]) {
            list[count++] = i;
        }
    }
    return count;
}

static void check_long(unsigned isa, unsigned channel, unsigned opcode,
                       unsigned src1, unsigned group, bool all)
{
    for (unsigned low = 0; low < 256; low += all ? 1 : 64) {
        for (unsigned dst = 0x06; dst < 0x100; dst += 0x80) {
            check_code(isa, channel, opcode << 24 | src1 << 16 | 0x84 << 8 | dst,
                       true, group << 8 | low);
        }
    }
}

static bool group_used(const GPtrArray *bucket, unsigned group)
{
    for (unsigned i = 0; bucket && i < bucket->len; i++) {
        const Row *row = bucket->pdata[i];

        if (((group << 8 ^ row->ales_value) & row->ales_mask & 0xff00) == 0) {
            return true;
        }
    }
    return false;
}

static void check_opcode(unsigned isa, unsigned channel, unsigned opcode)
{
    const GPtrArray *longs = buckets[isa][channel][1][opcode];
    uint8_t src1[256];
    unsigned count;

    for (unsigned s = 0; s < 256; s++) {
        for (unsigned dst = 0x06; dst < 0x100; dst += 0x20) {
            check_code(isa, channel, opcode << 24 | s << 16 | 0x84 << 8 | dst,
                       false, 0);
        }
    }
    count = first_sources(longs, src1);
    for (unsigned group = 0; group < 256; group++) {
        bool all = group_used(longs, group);

        for (unsigned i = 0; i < (all ? count : 1); i++) {
            check_long(isa, channel, opcode, src1[i], group, all);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: isa-table OPCODES.csv\n");
        return 2;
    }
    read_rows(argv[1]);
    for (unsigned isa = 1; isa <= 7; isa++) {
        for (unsigned c = 0; c < 6; c++) {
            for (unsigned i = 0; i < rows->len; i++) {
                check_row(&g_array_index(rows, Row, i), isa, c);
            }
            for (unsigned o = 0; o < 128; o++) {
                check_opcode(isa, c, o);
            }
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed || !passed;
}
