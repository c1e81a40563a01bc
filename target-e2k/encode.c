/*
 * The bundle encoder; the mirror of decode.c.
 *
 * Source: shared facts "isa/encoding.md" sections 1, 3, 7 and 9.
 */
#include "target-e2k/encode.h"

#include <string.h>

#include "util/bytes.h"

enum {
    HS_SS = 1 << 12,
    HS_CS0 = 1 << 14,
    HS_CS1 = 1 << 15,
    ALES_PLAIN = 0x01c0, /* what channels 2 and 5 have without a word */
};

static uint32_t encode_als(const AlcOp *op)
{
    const InsnRow *row = &insn_rows[op->row];
    uint32_t als = row->als_value | (uint32_t)op->speculative << 31;

    if (row->format == ALF21G || row->format == ALF21GT) {
        als |= (uint32_t)(op->imm8 & 0x7f) << 24;
    }
    if (row->flags & F_WBS) {
        als |= (uint32_t)op->imm8 << 16;
    }
    if (row->flags & (F_ARRAY | F_AAUREG)) {
        als |= (uint32_t)op->array.aad << 19 | (uint32_t)op->array.ind << 15;
    }
    if (row->flags & F_ARRAY) {
        als |= (uint32_t)op->array.incr << 12 |
               (uint32_t)op->array.use_aaind << 11 |
               (uint32_t)op->array.am << 10 | (uint32_t)op->array.lit << 8;
    }
    if (row->flags & F_AAUREG) {
        als |= (uint32_t)op->array.reg << 10;
    }
    if (row->src1 != WIDTH_NONE) {
        als |= (uint32_t)op->src1.byte << 16;
    }
    if (row->src2 != WIDTH_NONE) {
        als |= (uint32_t)op->src2.byte << 8;
    }
    if (row->dst == WIDTH_PRED) {
        als |= op->dst.index & 31;
    } else if (row->dst != WIDTH_NONE) {
        als |= op->dst.byte;
    } else if (row->src3 != WIDTH_NONE) {
        als |= op->src3.byte;
    }
    return als;
}

static uint16_t encode_ales(const AlcOp *op)
{
    const InsnRow *row = &insn_rows[op->row];
    uint16_t ales = row->ales_value;

    if (row->flags & F_IMM8) {
        ales |= op->imm8;
    }
    if (row->src3 != WIDTH_NONE && row->dst != WIDTH_NONE) {
        ales |= op->src3.byte;
    }
    if (row->format == ALF21G || row->format == ALF21GT) {
        ales |= (op->imm8 & 0x80) << 1;
    }
    return ales;
}

static uint16_t encode_mova(const MovaOp *op)
{
    return op->be << 15 | (op->opc & 7) << 12 | (op->area & 31) << 6 |
           (op->ind & 31) << 1 | op->am;
}

/* Array-read halves: two pairs of destinations, then four descriptors. */
static unsigned mova_halves(const Bundle *bundle, uint16_t *halves)
{
    const MovaOp *mova = bundle->mova;
    unsigned count = 0;

    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i += 2) {
        if (mova[i].present || mova[i + 1].present) {
            halves[count++] = mova[i].dst.byte << 8 | mova[i + 1].dst.byte;
        }
    }
    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        if (mova[i].present) {
            halves[count++] = encode_mova(&mova[i]);
        }
    }
    return count;
}

/* Whether channels 2 and 5 need their shared extension word. */
static bool needs_shared_ales(const Bundle *bundle, unsigned isa)
{
    for (unsigned c = 2; c < BUNDLE_CHANNELS; c += 3) {
        const AlcOp *op = &bundle->alc[c];

        if (isa >= 4 && op->present && insn_rows[op->row].has_ales &&
            (encode_ales(op) != ALES_PLAIN ||
             (isa == 4 && (insn_rows[op->row].flags & F_ALES25)))) {
            return true;
        }
    }
    return false;
}

typedef struct Writer {
    uint32_t words[16 + 6 + 4 + 3 + 3 + 4]; /* more than ever fits: checked */
    unsigned n;
} Writer;

static unsigned put_word(Writer *w, uint32_t word)
{
    w->words[w->n] = word;
    return 4 * w->n++;
}

/* Everything before the middle point, except the header. */
static uint32_t put_front(Writer *w, const Bundle *bundle, unsigned isa,
                          EncodeOffsets *offsets)
{
    uint32_t hs = bundle->hs & (HS_SS | HS_CS0 | HS_CS1);

    if (hs & HS_SS) {
        put_word(w, bundle->ss);
    }
    for (unsigned c = 0; c < BUNDLE_CHANNELS; c++) {
        const AlcOp *op = &bundle->alc[c];

        if (op->present) {
            offsets->als[c] = put_word(w, encode_als(op));
            hs |= 1u << (26 + c);
            hs |= (uint32_t)insn_rows[op->row].has_ales << (20 + c);
        }
    }
    if (hs & HS_CS0) {
        offsets->cs0 = put_word(w, bundle->cs0);
    }
    if (needs_shared_ales(bundle, isa)) {
        uint16_t ales2 = hs & 1 << 22 ? encode_ales(&bundle->alc[2])
                                      : ALES_PLAIN;
        uint16_t ales5 = hs & 1 << 25 ? encode_ales(&bundle->alc[5])
                                      : ALES_PLAIN;

        put_word(w, (uint32_t)ales2 << 16 | ales5);
    }
    if (hs & HS_CS1) {
        offsets->cs1 = put_word(w, bundle->cs1);
    }
    return hs | (w->n - 1);
}

static void put_halves(Writer *w, const Bundle *bundle)
{
    static const uint8_t channels[4] = { 0, 1, 3, 4 };
    uint16_t halves[12] = { 0 };
    unsigned count = 0;

    for (unsigned i = 0; i < 4; i++) {
        const AlcOp *op = &bundle->alc[channels[i]];

        if (op->present && insn_rows[op->row].has_ales) {
            halves[count++] = encode_ales(op);
        }
    }
    count += mova_halves(bundle, halves + count);
    for (unsigned k = 0; k < count; k += 2) {
        put_word(w, (uint32_t)halves[k] << 16 |
                        (k + 1 < count ? halves[k + 1] : 0));
    }
}

unsigned bundle_encode(const Bundle *bundle, unsigned isa,
                       uint8_t bytes[BUNDLE_MAX_BYTES],
                       EncodeOffsets *offsets)
{
    EncodeOffsets unused;
    Writer w = { .n = 1 };

    offsets = offsets ? offsets : &unused;
    memset(offsets, 0, sizeof(*offsets));

    uint32_t hs = put_front(&w, bundle, isa, offsets);

    hs |= (uint32_t)bundle->nop << 7 | (uint32_t)bundle->loop_mode << 10 |
          (uint32_t)bundle->set_mark << 13 | (uint32_t)bundle->n_cds << 16 |
          (uint32_t)bundle->n_pls << 18;
    put_halves(&w, bundle);
    if ((w.n + bundle->n_lts + bundle->n_pls + bundle->n_cds) & 1) {
        put_word(&w, 0);
    }
    for (unsigned i = bundle->n_lts; i-- > 0;) {
        offsets->lts[i] = put_word(&w, bundle->lts[i]);
    }
    for (unsigned i = bundle->n_pls; i-- > 0;) {
        put_word(&w, bundle->pls[i]);
    }
    for (unsigned i = bundle->n_cds; i-- > 0;) {
        put_word(&w, bundle->cds[i]);
    }
    if (w.n > BUNDLE_MAX_BYTES / 4) {
        return 0;
    }
    w.words[0] = hs | (w.n / 2 - 1) << 4;
    for (unsigned i = 0; i < w.n; i++) {
        stl_le_p(bytes + 4 * i, w.words[i]);
    }
    return 4 * w.n;
}

static uint32_t pack_ss(const Bundle *bundle)
{
    uint32_t ss = (bundle->ct_psrc & 31) | (bundle->ct_type & 15) << 5 |
                  (bundle->ctop & 3) << 10 | (uint32_t)bundle->ipd << 30 |
                  (uint32_t)(bundle->recovery & 1) << 25 |
                  (uint32_t)(bundle->recovery >> 1) << 27;

    if (bundle->ts_op) {
        return ss | 1 << 20 | (uint32_t)(bundle->ts_op & 1) << 26 |
               (uint32_t)(bundle->ts_op >> 1) << 28;
    }
    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        ss |= (uint32_t)bundle->mova[i].present << (12 + i);
    }
    return ss | bundle->alct << 16 | bundle->alcf << 17 | bundle->abpt << 18 |
           bundle->abpf << 19 | bundle->abnt << 21 | bundle->abnf << 22 |
           bundle->abgd << 23 | bundle->abgi << 24 | bundle->vfdi << 26 |
           bundle->bap << 28 | bundle->eap << 29;
}

static uint32_t pack_clp(const Clp *clp)
{
    return (clp->opc & 3) << 14 | clp->neg0 << 13 | (clp->p0 & 7) << 10 |
           clp->neg1 << 9 | (clp->p1 & 7) << 6 | clp->write << 5 |
           (clp->pdst & 31);
}

static void pack_pls(Bundle *bundle)
{
    for (unsigned i = 0; i < bundle->n_pls; i++) {
        bundle->pls[i] = pack_clp(&bundle->clp[i]);
        if (i < 2) {
            bundle->pls[i] |= (uint32_t)bundle->elp[2 * i].byte << 24 |
                              (uint32_t)bundle->elp[2 * i + 1].byte << 16;
        }
    }
}

/* Descriptors in order of allocation. */
typedef struct Descriptors {
    uint16_t d[6];
    unsigned n;
} Descriptors;

/*
 * Adds one condition for mask bit `bit` of a descriptor with opcode opc.  A
 * descriptor with the same predicate is shared, unless mask bits 2 and 3,
 * which have one negation bit between them, want opposite signs.
 */
static bool add_descriptor(Descriptors *list, unsigned opc, unsigned bit,
                           const Cond *cond)
{
    uint16_t code = (cond->kind == COND_PRED ? 0x60 : 0x40) | cond->index;
    uint16_t neg = 1 << (7 + (bit < 3 ? bit : 2));
    uint16_t mask = 1 << (10 + bit);
    uint16_t other = bit == 2 ? 1 << 13 : bit == 3 ? 1 << 12 : 0;

    for (unsigned i = 0; i < list->n; i++) {
        uint16_t d = list->d[i];

        if (d >> 14 == opc && (d & 0x7f) == code &&
            !((d & other) && !(d & neg) == cond->negate)) {
            list->d[i] |= mask | (cond->negate ? neg : 0);
            return true;
        }
    }
    if (list->n == 6) {
        return false;
    }
    list->d[list->n++] = opc << 14 | mask | code | (cond->negate ? neg : 0);
    return true;
}

static bool add_conds(Descriptors *list, const Cond *conds, unsigned count,
                      uint8_t kind, unsigned opc, unsigned bit)
{
    for (unsigned i = 0; i < count; i++) {
        if (conds[i].kind == kind &&
            !add_descriptor(list, opc, bit, &conds[i])) {
            return false;
        }
    }
    return true;
}

/* What a channel can have, in order of allocation. */
typedef enum CondClass {
    CLASS_PRED,
    CLASS_MERGE,
    CLASS_PCNT,
    CLASS_AM,
    CLASSES
} CondClass;

static bool add_class(Descriptors *list, const AlcOp *op, CondClass class)
{
    unsigned cluster = op->channel / 3;
    unsigned bit = op->channel % 3;

    switch (class) {
    case CLASS_PRED:
        return add_conds(list, op->conds, op->n_conds, COND_PRED, cluster,
                         bit);
    case CLASS_MERGE:
        return !op->has_merge ||
               add_descriptor(list, 2 + cluster, bit, &op->merge);
    case CLASS_PCNT:
        return add_conds(list, op->conds, op->n_conds, COND_PCNT, cluster,
                         bit);
    default:
        return add_conds(list, op->am_conds, op->n_am_conds, COND_PRED,
                         cluster, 3) &&
               add_conds(list, op->am_conds, op->n_am_conds, COND_PCNT,
                         cluster, 3);
    }
}

/* The second channel of a register-pair operation, or NULL. */
static const AlcOp *pair_second(const Bundle *bundle, const AlcOp *op)
{
    uint32_t flags = insn_rows[op->row].flags;
    unsigned partner = op->channel + (flags & F_PAIR01_34   ? 1
                                      : flags & F_PAIR02_35 ? 2
                                                            : 3);

    if (!(flags & F_PAIR) || partner >= BUNDLE_CHANNELS ||
        !bundle->alc[partner].pair_second) {
        return NULL;
    }
    return &bundle->alc[partner];
}

static bool add_channel(Descriptors *list, const Bundle *bundle,
                        const AlcOp *op)
{
    const AlcOp *second = pair_second(bundle, op);

    for (CondClass class = 0; class < CLASSES; class++) {
        if (!add_class(list, op, class) ||
            (second && !add_class(list, second, class))) {
            return false;
        }
    }
    return true;
}

static bool pack_cds(Bundle *bundle)
{
    Descriptors list = { .n = 0 };

    if (!add_conds(&list, bundle->rpc, bundle->n_rpc, COND_PRED, 2, 3) ||
        !add_conds(&list, bundle->rpc, bundle->n_rpc, COND_PCNT, 2, 3)) {
        return false;
    }
    for (unsigned c = 0; c < BUNDLE_CHANNELS; c++) {
        const AlcOp *op = &bundle->alc[c];

        if (op->present && !op->pair_second &&
            !add_channel(&list, bundle, op)) {
            return false;
        }
    }
    bundle->n_cds = (list.n + 1) / 2;
    for (unsigned i = 0; i < bundle->n_cds; i++) {
        bundle->cds[i] = (uint32_t)list.d[2 * i] << 16 |
                         (2 * i + 1 < list.n ? list.d[2 * i + 1] : 0);
    }
    return true;
}

bool bundle_pack(Bundle *bundle, bool has_cs0, bool has_cs1)
{
    bundle->hs = (bundle->has_ss ? HS_SS : 0) | (has_cs0 ? HS_CS0 : 0) |
                 (has_cs1 ? HS_CS1 : 0);
    if (bundle->has_ss) {
        bundle->ss = pack_ss(bundle);
    }
    pack_pls(bundle);
    return pack_cds(bundle);
}
