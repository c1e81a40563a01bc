/*
 * Decoding of the control syllables: SS, CS0, CS1, and the transfer that they
 * describe together.
 *
 * Source: shared facts "isa/encoding.md" sections 2, 5 and 6.
 */
#include "target-e2k/decode-int.h"

static int64_t displacement(uint32_t cs0)
{
    return (int64_t)((int32_t)(cs0 << 4) >> 4) * 8;
}

static void decode_ss(Bundle *bundle, Syllables *s)
{
    uint32_t ss = s->ss;

    bundle->has_ss = true;
    bundle->ipd = ss >> 30;
    bundle->recovery = (ss >> 26 & 2) | (ss >> 25 & 1);
    bundle->ctop = ss >> 10 & 3;
    bundle->ct_type = ss >> 5 & 15;
    bundle->ct_psrc = ss & 31;
    if (ss & 1 << 20) {
        bundle->ts_op = (ss >> 27 & 6) | (ss >> 26 & 1);
    } else {
        bundle->eap = ss >> 29 & 1;
        bundle->bap = ss >> 28 & 1;
        bundle->vfdi = ss >> 26 & 1;
        bundle->abgi = ss >> 24 & 1;
        bundle->abgd = ss >> 23 & 1;
        bundle->abnf = ss >> 22 & 1;
        bundle->abnt = ss >> 21 & 1;
        bundle->abpf = ss >> 19 & 1;
        bundle->abpt = ss >> 18 & 1;
        bundle->alcf = ss >> 17 & 1;
        bundle->alct = ss >> 16 & 1;
    }
    if ((bundle->ct_type >= 10 && bundle->ct_type <= 13 &&
         !(bundle->ct_type == CT_LOCAL && s->isa >= 7)) ||
        (bundle->ct_type == CT_MLOCK_LOCAL && s->isa < 3) ||
        ((bundle->ct_type == CT_MLOCK_LOCAL || bundle->ct_type == CT_LOCAL) &&
         (bundle->ct_psrc >> 3 == 3 || (bundle->ct_psrc & 0x1e) == 0x16))) {
        decode_soft(s, DECODE_BAD_CONDITION);
    }
}

/* CS0 of the done family: CS0[31:28] is 3. */
static uint8_t done_kind(uint32_t cs0, unsigned isa)
{
    switch (cs0 & 7) {
    case 2:
        return isa >= 6 ? TRANSFER_IRET : TRANSFER_DONE;
    case 3:
        return isa >= 6 ? TRANSFER_HRET : TRANSFER_DONE;
    case 4:
        return isa >= 6 ? TRANSFER_GLAUNCH : TRANSFER_DONE;
    default:
        return TRANSFER_DONE;
    }
}

/* A transfer described by CS0 itself needs SS with ctop 0 and a condition. */
static void decode_cs0_transfer(Bundle *bundle, Syllables *s, uint8_t kind)
{
    if (!s->has_ss || bundle->ctop || bundle->ct_type == CT_NEVER) {
        decode_soft(s, DECODE_TRANSFER_NO_SS);
        return;
    }
    bundle->transfer = kind;
    bundle->disp = displacement(s->cs0);
    bundle->param = s->cs0 & 0x0fffffff;
}

static DecodeError decode_cs0(Bundle *bundle, Syllables *s)
{
    uint32_t cs0 = s->cs0;
    bool direct_call = s->has_cs1 && s->cs1 >> 28 == 5 && !bundle->ctop &&
                       ((s->cs1 >> 7 & 7) == 1 || (s->cs1 >> 7 & 7) == 2);

    bundle->prepare_ctpr = cs0 >> 30;
    bundle->prepare_disp = displacement(cs0);
    bundle->prepare_param = cs0 & 0x0fffffff;
    switch (cs0 >> 28) {
    case 0x0:
        if (!direct_call) {
            decode_cs0_transfer(bundle, s, TRANSFER_IBRANCH);
        }
        break;
    case 0x1:
        bundle->prepare = PREPARE_PREF;
        break;
    case 0x2:
        bundle->prepare = PREPARE_PUTTSD;
        break;
    case 0x3:
        decode_cs0_transfer(bundle, s, done_kind(cs0, s->isa));
        break;
    case 0x4:
    case 0x8:
    case 0xc:
        bundle->prepare = PREPARE_DISP;
        break;
    case 0x9:
        bundle->prepare = PREPARE_LDISP;
        break;
    case 0x6:
    case 0xa:
    case 0xe:
        bundle->prepare = PREPARE_SDISP;
        bundle->prepare_param = cs0 & 31;
        break;
    case 0x7:
    case 0xb:
        bundle->prepare = PREPARE_GETTSD;
        break;
    case 0xf:
        bundle->prepare = (cs0 & 7) == 1 ? PREPARE_GETTSD : PREPARE_RETURN;
        break;
    default: /* ldisp with %ctpr1 or %ctpr3 */
        return DECODE_BAD_CS0;
    }
    if (bundle->prepare == PREPARE_GETTSD &&
        ((cs0 & 7) != 1 || s->isa < 3)) {
        decode_soft(s, DECODE_BAD_GETTSD);
    }
    return DECODE_OK;
}

static DecodeError decode_set(Bundle *bundle, Syllables *s, unsigned opcode)
{
    uint32_t cs1 = s->cs1;

    if (opcode != 4) {
        if (bundle->n_lts == 0) {
            return DECODE_NO_SETWD_WORD;
        }
        uint32_t lts = bundle->lts[0];

        bundle->has_setwd = true;
        bundle->wsz = lts >> 5 & 0x7f;
        bundle->nfx = lts >> 4 & 1;
        bundle->dbl = s->isa >= 3 && (lts >> 3 & 1);
        bundle->mcn = s->isa >= 7 && (lts >> 2 & 1);
        bundle->has_vfrpsz = opcode == 1;
        bundle->rpsz = lts >> 12 & 31;
        bundle->has_settr = cs1 >> 25 & 1;
        bundle->tr_type = lts >> 17;
        if (bundle->wsz > 112) {
            decode_soft(s, DECODE_BAD_WSZ);
        }
    }
    bundle->has_setbn = cs1 >> 26 & 1;
    bundle->has_setbp = cs1 >> 27 & 1;
    bundle->rbs = cs1 & 63;
    bundle->rsz = cs1 >> 6 & 63;
    bundle->rcur = cs1 >> 12 & 63;
    bundle->psz = cs1 >> 18 & 31;
    return DECODE_OK;
}

/* CS1 of the call family; ctop is known already. */
static void decode_call(Bundle *bundle, Syllables *s)
{
    unsigned ctopc = s->cs1 >> 7 & 7;

    bundle->wbs = s->cs1 & 0x7f;
    if (bundle->ctop) {
        bundle->transfer = TRANSFER_CALL;
        bundle->ctpr = bundle->ctop;
    } else if ((ctopc == 1 || ctopc == 2) && s->has_cs0 && s->cs0 >> 28 == 0) {
        decode_cs0_transfer(bundle, s,
                            ctopc == 1 ? TRANSFER_ICALL : TRANSFER_HCALL);
        if (ctopc == 2) {
            bundle->param = s->cs0 >> 1 & 15;
        }
        if (s->isa < 6) {
            decode_soft(s, DECODE_NOT_IN_ISA);
        }
    } else {
        decode_soft(s, DECODE_CALL_NO_TARGET);
    }
}

static DecodeError decode_cs1(Bundle *bundle, Syllables *s)
{
    uint32_t cs1 = s->cs1;
    unsigned opcode = cs1 >> 28;

    switch (opcode) {
    case 0:
    case 1:
    case 4:
        return decode_set(bundle, s, opcode);
    case 2:
        if (cs1 >> 27 & 1) {
            bundle->has_setsft = true;
            if (s->isa < 2) {
                decode_soft(s, DECODE_NOT_IN_ISA);
            }
        } else {
            bundle->has_setei = true;
            bundle->ei = cs1;
        }
        return DECODE_OK;
    case 3:
        bundle->has_wait = true;
        bundle->wait = cs1 & 0x3fff;
        return DECODE_OK;
    case 5:
        decode_call(bundle, s);
        return DECODE_OK;
    case 6:
        bundle->has_mas = true;
        return DECODE_OK;
    case 7:
        bundle->has_flush = true;
        bundle->flush = cs1 & 15;
        return DECODE_OK;
    case 8:
        bundle->has_vfbg = true;
        bundle->vfbg = cs1 & 0x1ffff;
        return DECODE_OK;
    default:
        return DECODE_BAD_CS1;
    }
}

/* ct %ctprN, or one of the transfers through a register of channel 0. */
static void decode_other_transfer(Bundle *bundle, Syllables *s)
{
    const AlcOp *op = &bundle->alc[0];

    if (op->insn == INSN_ibranchd || op->insn == INSN_icalld) {
        if (bundle->transfer != TRANSFER_NONE || bundle->ctop) {
            decode_soft(s, DECODE_TRANSFER_TWO);
        } else if (!s->has_ss) {
            decode_soft(s, DECODE_TRANSFER_NO_SS);
        } else {
            bundle->transfer = op->insn == INSN_icalld ? TRANSFER_ICALLD
                                                       : TRANSFER_IBRANCHD;
            bundle->wbs = op->imm8;
        }
        if (op->n_conds) {
            decode_soft(s, DECODE_BRANCHD_COND);
        }
    } else if (bundle->ctop && bundle->transfer == TRANSFER_NONE) {
        bundle->transfer = TRANSFER_CT;
        bundle->ctpr = bundle->ctop;
    }
}

DecodeError decode_control(Bundle *bundle, Syllables *s)
{
    DecodeError error = DECODE_OK;

    if (s->has_ss) {
        decode_ss(bundle, s);
    }
    if (s->has_cs0) {
        error = decode_cs0(bundle, s);
    }
    if (!error && s->has_cs1) {
        error = decode_cs1(bundle, s);
    }
    if (error) {
        return error;
    }
    decode_other_transfer(bundle, s);
    if (bundle->ct_type == CT_NEVER && (bundle->transfer == TRANSFER_CT ||
                                        bundle->transfer == TRANSFER_CALL)) {
        bundle->transfer = TRANSFER_NONE;
    }
    return DECODE_OK;
}
