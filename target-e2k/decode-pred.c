/*
 * Decoding of conditions (CDS), predicate logic (PLS) and array reads (AAS).
 *
 * Source: shared facts "isa/encoding.md" sections 7 and 9.
 */
#include "target-e2k/decode-int.h"

static bool decode_cond(Cond *cond, uint16_t cds, unsigned neg_bit)
{
    unsigned code = cds & 0x7f;

    cond->negate = cds >> (7 + neg_bit) & 1;
    cond->index = code & 31;
    cond->kind = (code & 0x60) == 0x60 ? COND_PRED : COND_PCNT;
    return (code & 0x60) >= 0x40;
}

static void add_cond(Cond *list, uint8_t *count, Cond cond)
{
    if (*count < ALC_MAX_CONDS) {
        list[(*count)++] = cond;
    }
}

/* The RPC, MRGC or RLP part of a descriptor for one channel. */
static DecodeError channel_descriptor(AlcOp *op, Syllables *s, uint16_t cds,
                                      unsigned bit)
{
    Cond cond;

    if (!op->present) {
        return DECODE_OK;
    }
    if (!decode_cond(&cond, cds, bit)) {
        return DECODE_BAD_CDS;
    }
    if (cds >> 15 == 0) {
        add_cond(op->conds, &op->n_conds, cond);
        if (op->dst.kind == OPERAND_CTPR) {
            decode_soft(s, DECODE_CTPR_COND);
        }
        return DECODE_OK;
    }
    if (!op->has_merge) {
        op->merge = cond;
    }
    op->has_merge = true;
    op->n_merges++;
    return DECODE_OK;
}

/* Mask bit 3: the recovery point (MRGC0) or an array increment (RLP). */
static DecodeError fourth_descriptor(Bundle *bundle, const Syllables *s,
                                     uint16_t cds)
{
    AlcOp *op = &bundle->alc[cds >> 14 & 1 ? 5 : 2];
    Cond cond;
    bool valid = decode_cond(&cond, cds, 2);

    if (cds >> 14 == 2) {
        if (s->ss & (1 << 27 | 1 << 25)) {
            add_cond(bundle->rpc, &bundle->n_rpc, cond);
            return valid ? DECODE_OK : DECODE_BAD_CDS;
        }
    } else if (cds >> 15 == 0 && op->present && op->array.am) {
        add_cond(op->am_conds, &op->n_am_conds, cond);
        return valid ? DECODE_OK : DECODE_BAD_CDS;
    }
    return DECODE_OK;
}

/* One 16-bit descriptor.  What nothing in the bundle uses is not checked. */
static DecodeError decode_descriptor(Bundle *bundle, Syllables *s,
                                     uint16_t cds)
{
    unsigned cluster = cds >> 14 & 1 ? 3 : 0;
    DecodeError error = DECODE_OK;

    for (unsigned bit = 0; bit < 3 && !error; bit++) {
        if (cds & 1 << (10 + bit)) {
            error = channel_descriptor(&bundle->alc[cluster + bit], s, cds,
                                       bit);
        }
    }
    if (!error && (cds & 1 << 13)) {
        error = fourth_descriptor(bundle, s, cds);
    }
    return error;
}

static DecodeError decode_cds(Bundle *bundle, Syllables *s)
{
    for (unsigned i = 0; i < bundle->n_cds; i++) {
        DecodeError error = decode_descriptor(bundle, s, bundle->cds[i]);

        if (!error) {
            error = decode_descriptor(bundle, s, bundle->cds[i] >> 16);
        }
        if (error) {
            return error;
        }
    }
    return DECODE_OK;
}

static void decode_elp(Elp *elp, uint8_t byte)
{
    elp->byte = byte;
    byte &= 0x7f;
    elp->index = byte & 31;
    if (byte == 0) {
        elp->kind = ELP_LCNTEX;
    } else if (byte < 0x40) {
        elp->kind = ELP_SPRED;
        elp->index = byte;
    } else if (byte == 0x40) {
        elp->kind = ELP_BGRPRED;
    } else if (byte < 0x50) {
        elp->kind = ELP_RNDPRED;
    } else if (byte >= 0x60) {
        elp->kind = ELP_PRED;
    } else {
        elp->kind = ELP_NONE;
    }
}

static void decode_clp(Clp *clp, uint32_t pls)
{
    clp->present = true;
    clp->opc = pls >> 14 & 3;
    clp->neg0 = pls >> 13 & 1;
    clp->p0 = pls >> 10 & 7;
    clp->neg1 = pls >> 9 & 1;
    clp->p1 = pls >> 6 & 7;
    clp->write = pls >> 5 & 1;
    clp->pdst = pls & 31;
}

/* Sources that the calculated predicate number i may have, as a mask. */
static const uint8_t clp_sources[3] = { 0x03, 0x1f, 0x3f };

static void check_clp(const Bundle *bundle, unsigned i, Syllables *s)
{
    const Clp *clp = &bundle->clp[i];
    unsigned used = 1 << clp->p0 | 1 << clp->p1;

    if (!clp->write) {
        return;
    }
    if (clp->opc == 2 || (used & ~clp_sources[i])) {
        decode_soft(s, DECODE_BAD_PLS);
    }
    for (unsigned p = 0; p < 4; p++) {
        if ((used & (1 << p)) &&
            (p / 2 >= bundle->n_pls || bundle->elp[p].kind == ELP_NONE)) {
            decode_soft(s, DECODE_BAD_ELP);
        }
    }
}

/*
 * A chain of three has one result to write, its last; two operations never
 * write one predicate.  What is known is that a chain of three which writes a
 * predicate at every level traps and one that writes at the end does not.
 */
static void check_clps(const Bundle *bundle, Syllables *s)
{
    const Clp *clp = bundle->clp;
    bool chained = clp[2].present && clp[2].write &&
                   (clp[2].p0 == 5 || clp[2].p1 == 5) &&
                   (clp[1].p0 == 4 || clp[1].p1 == 4);

    for (unsigned i = 0; i < bundle->n_pls; i++) {
        check_clp(bundle, i, s);
        for (unsigned k = 0; k < i; k++) {
            if (clp[i].write && clp[k].write && clp[i].pdst == clp[k].pdst) {
                decode_soft(s, DECODE_BAD_PLS);
            }
        }
    }
    if (chained && (clp[0].write || clp[1].write)) {
        decode_soft(s, DECODE_BAD_PLS);
    }
}

DecodeError decode_predicates(Bundle *bundle, Syllables *s)
{
    for (unsigned i = 0; i < bundle->n_pls; i++) {
        uint32_t pls = bundle->pls[i];

        if (i < 2) {
            decode_elp(&bundle->elp[2 * i], pls >> 24);
            decode_elp(&bundle->elp[2 * i + 1], pls >> 16);
        }
        decode_clp(&bundle->clp[i], pls);
    }
    check_clps(bundle, s);
    return bundle->n_cds ? decode_cds(bundle, s) : DECODE_OK;
}

static DecodeError decode_one_mova(MovaOp *op, uint16_t aas, uint8_t dst)
{
    op->present = true;
    op->opc = aas >> 12 & 7;
    op->be = aas >> 15;
    op->area = aas >> 6 & 31;
    op->ind = aas >> 1 & 31;
    op->am = aas & 1;
    if (op->opc == 0 || op->opc == 6) {
        return DECODE_BAD_AAS;
    }
    return decode_dst(&op->dst, dst);
}

/* The two halves of a movaq, in channels i and i + 1. */
static bool movaq_ok(const MovaOp *even, const MovaOp *odd)
{
    if (even->opc != 5 && odd->opc != 5) {
        return true;
    }
    return even->opc == 5 && odd->opc == 5 && even->area == odd->area &&
           even->am == odd->am && even->be == odd->be;
}

DecodeError decode_mova(Bundle *bundle, Syllables *s)
{
    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        if (!(s->aas_mask & (1 << i))) {
            continue;
        }
        DecodeError error = decode_one_mova(
            &bundle->mova[i], s->aas[2 + i],
            s->aas[i / 2] >> (i & 1 ? 0 : 8));

        if (error) {
            return error;
        }
        if (bundle->mova[i].opc == 7 && s->isa < 5) {
            decode_soft(s, DECODE_NOT_IN_ISA);
        }
    }
    if (!movaq_ok(&bundle->mova[0], &bundle->mova[1]) ||
        !movaq_ok(&bundle->mova[2], &bundle->mova[3])) {
        decode_soft(s, DECODE_MOVAQ_HALF);
    }
    return DECODE_OK;
}
