/*
 * The bundle decoder: layout of the syllables, then the parts.
 *
 *   decode.c          where each syllable is; texts of the errors
 *   decode-table.c    dispatch tables
 *   decode-alc.c      arithmetic-logic channels
 *   decode-control.c  SS, CS0, CS1
 *   decode-pred.c     conditions, predicate logic, array reads
 *   decode-apb.c      array-prefetch instructions
 *
 * Packed upward from the start: HS SS ALS* CS0 [ALES2|ALES5] CS1 | halves.
 * Packed downward from the end: CDS* PLS* LTS*.  The header word says where
 * everything is, except how many array-read halves there are (SS).
 *
 * Source: shared facts "isa/encoding.md" section 1.
 */
#include "target-e2k/decode-int.h"

#include <string.h>

#include "util/bytes.h"

/*
 * One word for the rule that was broken, as golden vectors name it, and the
 * sentence for people.
 */
static const struct {
    const char *class;
    const char *text;
} errors[DECODE_ERRORS] = {
    [DECODE_OK] = { "valid", "valid" },
    [DECODE_TRUNCATED] = { "length",
        "instruction is longer than the bytes given" },
    [DECODE_BAD_ISA] = { "isa", "instruction-set version outside 1..7" },
    [DECODE_BAD_LAYOUT] = { "layout",
        "length and pointers of the header contradict" },
    [DECODE_BAD_OPERATION] = { "operation",
        "no such operation in this channel and version" },
    [DECODE_BAD_LITERAL] = { "lit", "reserved code of the second source" },
    [DECODE_NO_LITERAL_16] = { "lit16",
        "16-bit literal that is not in the instruction" },
    [DECODE_NO_LITERAL_32] = { "lit32",
        "32-bit literal that is not in the instruction" },
    [DECODE_NO_LITERAL_64] = { "lit64",
        "64-bit literal that is not in the instruction" },
    [DECODE_BAD_SRC3] = { "src3", "reserved code of the third source" },
    [DECODE_BAD_DST] = { "dst", "reserved code of the destination" },
    [DECODE_BAD_AAU_REG] = { "aaureg", "reserved array-unit register" },
    [DECODE_BAD_CDS] = { "pred",
        "condition that is no predicate and no counter" },
    [DECODE_BAD_AAS] = { "aas", "reserved array read" },
    [DECODE_BAD_CS0] = { "cs0", "reserved code of CS0" },
    [DECODE_BAD_CS1] = { "cs1", "reserved code of CS1" },
    [DECODE_NO_SETWD_WORD] = { "setwd", "setwd without its literal word" },
    [DECODE_PAIR] = { "pair", "half of a register-pair operation is missing" },
    [DECODE_ODD_PAIR] = { "pair",
        "register pair is not an even and the next register" },
    [DECODE_MEMORY_CLASH] = { "memory",
        "load and store in mirrored channels" },
    [DECODE_DST_CTPR] = { "dst",
        "operation cannot write a transfer register" },
    [DECODE_TRANSFER_NO_SS] = { "transfer", "transfer without its condition" },
    [DECODE_TRANSFER_TWO] = { "transfer", "two control transfers" },
    [DECODE_CALL_NO_TARGET] = { "transfer", "call without a target" },
    [DECODE_BAD_CONDITION] = { "cond", "reserved transfer condition" },
    [DECODE_BAD_GETTSD] = { "cs0", "malformed gettsd" },
    [DECODE_BAD_WSZ] = { "setwd", "window of more than 112 register pairs" },
    [DECODE_BAD_PLS] = { "pls", "reserved predicate operation or operand" },
    [DECODE_BAD_ELP] = { "pls", "reserved predicate source" },
    [DECODE_BAD_STATE_REG] = { "statereg",
        "no such state register, or it is read-only" },
    [DECODE_BRANCHD_COND] = { "transfer",
        "register branch under an operation's condition" },
    [DECODE_CTPR_COND] = { "dst",
                           "%ctprN written under a condition" },
    [DECODE_ARRAY_LITERAL] = { "lit32",
                               "array access with a literal without its LTS" },
    [DECODE_MOVAQ_HALF] = { "aas", "half of a movaq is missing" },
    [DECODE_NOT_IN_ISA] = { "isa", "field that this version does not have" },
};

const char *decode_error_text(DecodeError error)
{
    return (unsigned)error < DECODE_ERRORS && errors[error].text
               ? errors[error].text
               : "unknown error";
}

const char *decode_error_class(DecodeError error)
{
    return (unsigned)error < DECODE_ERRORS && errors[error].class
               ? errors[error].class
               : "unknown";
}

/* Set bits of a 6-bit value; popcount is a library call on plain x86-64. */
static inline unsigned count_bits(unsigned value)
{
    value = (value & 0x15) + (value >> 1 & 0x15);
    return (value & 3) + (value >> 2 & 3) + (value >> 4 & 3);
}

/*
 * Zeroes the result.  The size is hidden from the compiler, which would
 * otherwise store the kilobyte with a string instruction: that alone took a
 * third of the decoder's time.
 */
static inline void clear_bundle(Bundle *bundle)
{
    size_t size = sizeof(*bundle);

    __asm__("" : "+r"(size));
    memset(bundle, 0, size);
}

/*
 * Syllables before the middle point.  Returns false when the middle pointer
 * does not fit them.
 */
static bool split_front(Bundle *bundle, Syllables *s, const uint8_t *bytes)
{
    uint32_t hs = s->hs;
    unsigned words = 1 + (hs >> 12 & 1) + (hs >> 14 & 1) + (hs >> 15 & 1) +
                     count_bits(hs >> 26);
    unsigned middle = (hs & 15) + 1;
    const uint8_t *p = bytes + 4;
    bool shared = s->isa >= 4 && middle == words + 1;

    if ((middle != words && !shared) || middle * 4 > bundle->length) {
        return false;
    }
    if (hs & 1 << 12) {
        s->has_ss = true;
        s->ss = bundle->ss = ldl_le_p(p);
        p += 4;
    }
    bundle->alc_mask = hs >> 26;
    for (unsigned mask = bundle->alc_mask; mask; mask &= mask - 1) {
        s->als[__builtin_ctz(mask)] = ldl_le_p(p);
        p += 4;
    }
    if (hs & 1 << 14) {
        s->has_cs0 = true;
        s->cs0 = bundle->cs0 = ldl_le_p(p);
        p += 4;
    }
    s->ales[2] = s->ales[5] = 0x01c0;
    if (shared) {
        s->ales[5] = ldw_le_p(p);
        s->ales[2] = ldw_le_p(p + 2);
        p += 4;
    }
    if (hs & 1 << 15) {
        s->has_cs1 = true;
        s->cs1 = bundle->cs1 = ldl_le_p(p);
    }
    return true;
}

/*
 * Half syllables after the middle point: element k is in word k / 2, the upper
 * half first.  Returns the offset behind them, or 0 when they do not fit.
 */
static unsigned split_halves(const Bundle *bundle, Syllables *s,
                             const uint8_t *bytes)
{
    static const uint8_t ales_channels[4] = { 0, 1, 3, 4 };
    unsigned middle = 4 * ((s->hs & 15) + 1);
    unsigned ales = (s->hs >> 20 & 3) | (s->hs >> 21 & 12);
    unsigned aas = 0;

    if (s->has_ss && !(s->ss & 1 << 20)) {
        s->aas_mask = s->ss >> 12 & 15;
        aas = (s->aas_mask & 3 ? 1 : 0) | (s->aas_mask & 12 ? 2 : 0) |
              s->aas_mask << 2;
    }
    unsigned count = count_bits(ales) + count_bits(aas);
    unsigned end = middle + (count + 1) / 2 * 4;
    unsigned k = 0;

    if (end > bundle->length) {
        return 0;
    }
    for (; ales; ales &= ales - 1, k++) {
        s->ales[ales_channels[__builtin_ctz(ales)]] =
            ldw_le_p(bytes + middle + (k ^ 1) * 2);
    }
    for (; aas; aas &= aas - 1, k++) {
        s->aas[__builtin_ctz(aas)] = ldw_le_p(bytes + middle + (k ^ 1) * 2);
    }
    return end;
}

/* CDS, PLS and LTS words, from the end down to offset gap. */
static bool split_tail(Bundle *bundle, const Syllables *s,
                       const uint8_t *bytes, unsigned gap)
{
    const uint8_t *p = bytes + bundle->length;

    bundle->n_cds = s->hs >> 16 & 3;
    bundle->n_pls = s->hs >> 18 & 3;
    if (gap + 4 * (bundle->n_cds + bundle->n_pls) > bundle->length) {
        return false;
    }
    for (unsigned i = 0; i < bundle->n_cds; i++) {
        p -= 4;
        bundle->cds[i] = ldl_le_p(p);
    }
    for (unsigned i = 0; i < bundle->n_pls; i++) {
        p -= 4;
        bundle->pls[i] = ldl_le_p(p);
    }
    for (; bundle->n_lts < 4 && p > bytes + gap; bundle->n_lts++) {
        p -= 4;
        bundle->lts[bundle->n_lts] = ldl_le_p(p);
    }
    return true;
}

static DecodeError decode_parts(Bundle *bundle, Syllables *s)
{
    DecodeError error = DECODE_OK;

    if (bundle->alc_mask) {
        error = decode_channels(bundle, s);
    }
    if (!error && (bundle->n_pls || bundle->n_cds)) {
        error = decode_predicates(bundle, s);
    }
    if (!error && (s->has_ss || s->has_cs0 || s->has_cs1)) {
        error = decode_control(bundle, s);
    }
    if (!error && s->aas_mask) {
        error = decode_mova(bundle, s);
    }
    return error ? error : s->soft;
}

DecodeError bundle_decode(Bundle *bundle, const uint8_t *bytes, size_t size,
                          unsigned isa)
{
    Syllables s = { .isa = isa };

    clear_bundle(bundle);
    bundle->error_channel = 0xff;
    if (isa < ISA_MIN || isa > ISA_MAX) {
        return DECODE_BAD_ISA;
    }
    if (size < 8) {
        return DECODE_TRUNCATED;
    }
    s.hs = bundle->hs = ldl_le_p(bytes);
    bundle->length = bundle_length(s.hs);
    if (bundle->length > size) {
        return DECODE_TRUNCATED;
    }
    bundle->nop = s.hs >> 7 & 7;
    bundle->loop_mode = s.hs >> 10 & 1;
    bundle->set_mark = s.hs >> 13 & 1;

    if (!split_front(bundle, &s, bytes)) {
        return DECODE_BAD_LAYOUT;
    }
    unsigned gap = split_halves(bundle, &s, bytes);

    if (!gap || !split_tail(bundle, &s, bytes, gap)) {
        return DECODE_BAD_LAYOUT;
    }
    return decode_parts(bundle, &s);
}
