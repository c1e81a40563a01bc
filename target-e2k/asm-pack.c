/*
 * From the operations of a bundle to its bytes: choice of channels, places of
 * literals, CS1, and the fixups for what depends on symbols.
 *
 * Literals go where fewest words are used and, among equals, where the used
 * halves have the smallest number, counting hi of a word before lo.  Halves
 * of equal value are shared.
 */
#include "target-e2k/asm-int.h"

#include <string.h>

enum { MAX_LITERALS = ASM_MAX_OPS + 1, LITERAL_HALVES = 8 };

void bundle_start(Asm *as, bool braces)
{
    AsmBundle *ab = &as->bundle;

    *ab = (AsmBundle){
        .started = true,
        .braces = braces,
        .place = as->place,
        .cs1_opcode = 0xff,
    };
}

/* Channels. */

static unsigned pair_mask(const AsmOp *op, unsigned channel)
{
    uint32_t flags = insn_rows[insn_infos[op->insn].row].flags;
    unsigned mask = 1 << channel;

    if (flags & F_PAIR01_34) {
        mask |= mask << 1;
    } else if (flags & F_PAIR02_35) {
        mask |= mask << 2;
    } else if (flags & F_PAIR25) {
        mask |= mask << 3;
    }
    return mask;
}

/* Whether two chosen channels hold a load and a store that exclude each
 * other. */
static bool memory_clash(const AsmBundle *ab, unsigned n)
{
    unsigned loads = 0;
    unsigned stores = 0;

    for (unsigned i = 0; i < n; i++) {
        const AsmOp *op = &ab->ops[i];
        uint32_t flags = insn_rows[insn_infos[op->insn].row].flags;
        unsigned mask = pair_mask(op, op->channel);

        loads |= flags & F_LD ? mask : 0;
        stores |= flags & F_ST ? mask : 0;
    }
    return ((loads & 1 << 3) && (stores & 1 << 2)) ||
           ((loads & 1 << 0) && (stores & 1 << 5));
}

static bool choose_channels(AsmBundle *ab, unsigned i, unsigned taken,
                            bool allow_clash)
{
    if (i == ab->n_ops) {
        return allow_clash || !memory_clash(ab, i);
    }
    AsmOp *op = &ab->ops[i];

    for (unsigned c = 0; c < BUNDLE_CHANNELS; c++) {
        unsigned mask = pair_mask(op, c);

        if (!(op->channels & (1 << c)) || (mask & taken)) {
            continue;
        }
        op->channel = c;
        if (choose_channels(ab, i + 1, taken | mask, allow_clash)) {
            return true;
        }
    }
    return false;
}

/* Says which operation is in the way. */
static void explain_channels(Asm *as, const AsmBundle *ab)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < ab->n_ops; i++) {
        const AsmOp *op = &ab->ops[i];

        if (!op->channel_given) {
            continue;
        }
        unsigned c = __builtin_ctz(op->channels);

        if (pair_mask(op, c) & taken) {
            as->place = op->place;
            asm_error(as, op->column, "channel %u of '%s' is taken", c,
                      insn_name(op->insn));
            return;
        }
        taken |= pair_mask(op, c);
    }
    asm_error(as, 0, "no free channels for all operations of the bundle");
}

/* Literals. */

typedef struct LiteralPlan {
    AsmLiteral *literal[MAX_LITERALS];
    unsigned n;
    int8_t place[MAX_LITERALS];
    int8_t best[MAX_LITERALS];
    unsigned best_cost;
    /* What is in each half: literal number, or -1, and which part of it. */
    int8_t owner[LITERAL_HALVES];
    uint8_t part[LITERAL_HALVES];
} LiteralPlan;

static unsigned candidate_count(const AsmLiteral *l)
{
    return l->place >= 0 && l->halves > 1 ? 1
           : l->place >= 0                ? 1
           : l->halves == 4               ? 3
                                          : 4;
}

static int candidate_place(const AsmLiteral *l, unsigned i)
{
    if (l->place >= 0) {
        return l->place;
    }
    return l->halves == 1 ? (int)(i ^ 1) : (int)(2 * i);
}

static bool same_part(Asm *as, const AsmLiteral *a, unsigned part_a,
                      const AsmLiteral *b, unsigned part_b)
{
    ExprValue va, vb;

    if (a->known && b->known) {
        return (uint16_t)(a->value >> 16 * part_a) ==
               (uint16_t)(b->value >> 16 * part_b);
    }
    return !a->known && !b->known && part_a == part_b &&
           a->halves == b->halves && expr_eval(as, a->expr, &va) &&
           expr_eval(as, b->expr, &vb) && va.symbol == vb.symbol &&
           va.minus == vb.minus && va.reloc == vb.reloc &&
           va.number == vb.number;
}

/* Takes the halves of literal i at place; false when they are taken. */
static bool occupy(Asm *as, LiteralPlan *plan, unsigned i, int place)
{
    const AsmLiteral *l = plan->literal[i];

    for (unsigned h = 0; h < l->halves; h++) {
        int owner = plan->owner[place + h];

        if (owner >= 0 && !same_part(as, plan->literal[owner],
                                     plan->part[place + h], l, h)) {
            return false;
        }
    }
    for (unsigned h = 0; h < l->halves; h++) {
        if (plan->owner[place + h] < 0) {
            plan->owner[place + h] = i;
            plan->part[place + h] = h;
        }
    }
    return true;
}

static unsigned plan_cost(const LiteralPlan *plan)
{
    unsigned cost = 0;

    for (unsigned h = 0; h < LITERAL_HALVES; h++) {
        if (plan->owner[h] >= 0) {
            cost |= 1 << (h ^ 1);
        }
    }
    return cost;
}

static void search_places(Asm *as, LiteralPlan *plan, unsigned i)
{
    if (i == plan->n) {
        unsigned cost = plan_cost(plan);

        if (cost < plan->best_cost) {
            plan->best_cost = cost;
            memcpy(plan->best, plan->place, sizeof(plan->best));
        }
        return;
    }
    int8_t owner[LITERAL_HALVES];
    uint8_t part[LITERAL_HALVES];

    memcpy(owner, plan->owner, sizeof(owner));
    memcpy(part, plan->part, sizeof(part));
    for (unsigned k = 0; k < candidate_count(plan->literal[i]); k++) {
        plan->place[i] = candidate_place(plan->literal[i], k);
        if (occupy(as, plan, i, plan->place[i])) {
            search_places(as, plan, i + 1);
        }
        memcpy(plan->owner, owner, sizeof(owner));
        memcpy(plan->part, part, sizeof(part));
    }
}

/* Fewest candidates first, then larger ones; stable. */
static void add_literal(LiteralPlan *plan, AsmLiteral *l)
{
    unsigned i = plan->n++;

    for (; i > 0; i--) {
        const AsmLiteral *other = plan->literal[i - 1];
        unsigned n = candidate_count(l);
        unsigned m = candidate_count(other);

        if (n > m || (n == m && l->halves <= other->halves)) {
            break;
        }
        plan->literal[i] = plan->literal[i - 1];
    }
    plan->literal[i] = l;
}

/* Operand byte and array code of a placed literal. */
static void apply_place(AsmOp *op, unsigned place)
{
    const AsmLiteral *l = &op->literal;
    unsigned lts = place / 2;
    Operand *src2 = &op->alc.src2;

    if (l->array) {
        op->alc.array.lit = lts + 1;
        return;
    }
    src2->index = lts;
    switch (l->halves) {
    case 1:
        src2->byte = 0xd0 | lts | (place & 1) << 2;
        src2->literal = place & 1 ? LITERAL_16_HI : LITERAL_16_LO;
        break;
    case 2:
        src2->byte = 0xd8 | lts;
        src2->literal = LITERAL_32;
        break;
    default:
        src2->byte = 0xdc | lts;
        src2->literal = LITERAL_64;
        break;
    }
}

static bool place_literals(Asm *as, AsmBundle *ab, AsmLiteral *setwd)
{
    LiteralPlan plan = { .best_cost = 0x100 };

    memset(plan.owner, -1, sizeof(plan.owner));
    if (setwd->present) {
        add_literal(&plan, setwd);
    }
    for (unsigned i = 0; i < ab->n_ops; i++) {
        AsmLiteral *l = &ab->ops[i].literal;

        if (l->present && l->reference) {
            apply_place(&ab->ops[i], l->place);
        } else if (l->present) {
            add_literal(&plan, l);
        }
    }
    search_places(as, &plan, 0);
    if (plan.best_cost == 0x100) {
        asm_error(as, 0, "the literals of the bundle do not fit together");
        return false;
    }
    for (unsigned i = 0; i < plan.n; i++) {
        AsmLiteral *l = plan.literal[i];

        l->place = plan.best[i];
        for (unsigned h = 0; h < l->halves; h++) {
            unsigned half = l->place + h;
            uint32_t value = l->known ? (uint16_t)(l->value >> 16 * h) : 0;

            ab->bundle.n_lts = MAX(ab->bundle.n_lts, half / 2 + 1);
            ab->bundle.lts[half / 2] |= value << 16 * (half & 1);
        }
    }
    for (unsigned i = 0; i < ab->n_ops; i++) {
        AsmLiteral *l = &ab->ops[i].literal;

        if (l->present && !l->reference) {
            apply_place(&ab->ops[i], l->place);
        }
    }
    return true;
}

/* CS1. */

/* Set-commands; *setwd is the word they put in LTS0. */
static bool pack_set(Asm *as, AsmBundle *ab, AsmLiteral *setwd)
{
    Bundle *b = &ab->bundle;
    unsigned opcode = ab->vfrpsz_given ? 1 : ab->wd_given ? 0 : 4;

    if (!ab->wd_given && !ab->bn_given && !ab->bp_given && !ab->tr_given &&
        !ab->vfrpsz_given) {
        return true;
    }
    if ((ab->tr_given || ab->vfrpsz_given) && !ab->wd_given) {
        asm_error(as, 0, "'%s' needs 'setwd' in the same bundle",
                  ab->tr_given ? "settr" : "vfrpsz");
        return false;
    }
    if (ab->cs1_opcode != 0xff) {
        asm_error(as, 0, "set-commands and another user of CS1 in one "
                  "bundle");
        return false;
    }
    ab->has_cs1 = true;
    b->cs1 = opcode << 28 | (uint32_t)ab->bp_given << 27 |
             (uint32_t)ab->bn_given << 26 | (uint32_t)ab->tr_given << 25 |
             (uint32_t)b->psz << 18 | (uint32_t)b->rcur << 12 |
             (uint32_t)b->rsz << 6 | b->rbs;
    if (opcode != 4) {
        *setwd = (AsmLiteral){
            .present = true, .halves = 2, .place = 0, .known = true,
            .value = (uint32_t)b->mcn << 2 | (uint32_t)b->dbl << 3 |
                     (uint32_t)b->nfx << 4 | (uint32_t)b->wsz << 5 |
                     (uint32_t)b->rpsz << 12 | (uint32_t)b->tr_type << 17,
        };
    }
    return true;
}

static bool pack_mas(Asm *as, AsmBundle *ab)
{
    static const int8_t shift[BUNDLE_CHANNELS] = { 21, -1, 14, 7, -1, 0 };
    uint32_t word = 0;

    for (unsigned c = 0; c < BUNDLE_CHANNELS; c++) {
        const AlcOp *op = &ab->bundle.alc[c];

        if (!op->present || !op->mas) {
            continue;
        }
        if (shift[c] < 0) {
            asm_error(as, 0, "channel %u has no memory address specifier", c);
            return false;
        }
        word |= (uint32_t)op->mas << shift[c];
    }
    if (!word) {
        return true;
    }
    if (ab->has_cs1 || ab->cs1_opcode != 0xff) {
        asm_error(as, 0, "memory address specifier and another user of CS1 "
                  "in one bundle");
        return false;
    }
    ab->has_cs1 = true;
    ab->bundle.cs1 = 6u << 28 | word;
    return true;
}

/* Channels into the bundle. */

static uint16_t row_in_channel(InsnId insn, unsigned channel, unsigned isa)
{
    for (unsigned i = insn_infos[insn].row; i < INSN_ROWS; i++) {
        if (insn_rows[i].insn == insn &&
            (insn_rows[i].channels[isa - 1] & (1 << channel))) {
            return i;
        }
    }
    return insn_infos[insn].row;
}

static bool next_register(Asm *as, const AsmOp *op, uint8_t width,
                          Operand *operand)
{
    if (width != WIDTH_Q || operand->kind == OPERAND_CONST) {
        return true;
    }
    if (operand->kind == OPERAND_EMPTY) {
        operand->byte = operand->index = operand->byte == 0xde ? 0xdf
                                                               : operand->byte;
        return true;
    }
    if (operand->index & 1) {
        as->place = op->place;
        asm_error(as, op->column, "register pair of '%s' starts at an odd "
                  "register", insn_name(op->insn));
        return false;
    }
    operand->byte++;
    operand->index++;
    return true;
}

static bool place_op(Asm *as, AsmBundle *ab, AsmOp *op)
{
    AlcOp *alc = &ab->bundle.alc[op->channel];

    *alc = op->alc;
    alc->channel = op->channel;
    alc->row = row_in_channel(op->insn, op->channel, as->isa);
    if (!op->quad) {
        return true;
    }
    const InsnRow *row = &insn_rows[alc->row];
    unsigned mask = pair_mask(op, op->channel) & ~(1u << op->channel);
    unsigned partner = __builtin_ctz(mask);
    AlcOp *second = &ab->bundle.alc[partner];

    *second = *alc;
    second->channel = partner;
    second->row = row_in_channel(op->insn, partner, as->isa);
    second->pair_second = true;
    return next_register(as, op,
                         row->flags & F_SAME_S1 ? WIDTH_NONE : row->src1,
                         &second->src1) &&
           next_register(as, op, row->src2, &second->src2) &&
           next_register(as, op, row->src3, &second->src3) &&
           next_register(as, op, row->dst, &second->dst);
}

/* A lone movaq stands for both halves, 8 bytes and one register apart. */
static bool complete_movaq(Asm *as, AsmBundle *ab)
{
    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i += 2) {
        MovaOp *even = &ab->bundle.mova[i];
        MovaOp *odd = &ab->bundle.mova[i + 1];

        if (!even->present || even->opc != 5 || odd->present) {
            continue;
        }
        if ((even->dst.index & 1) || even->ind + 8 > 31) {
            asm_error(as, 0, "movaq needs an even register and ind up to "
                      "23");
            return false;
        }
        *odd = *even;
        odd->dst.index++;
        odd->dst.byte++;
        if (even->be) {
            even->ind += 8;
        } else {
            odd->ind += 8;
        }
    }
    return true;
}

static bool pack_disp_number(Asm *as, AsmBundle *ab)
{
    uint64_t value;

    if (!ab->disp || ab->disp_kind != FIXUP_DISP || !as->no_symbols) {
        return true;
    }
    if (!expr_is_known(as, ab->disp, &value)) {
        asm_error(as, 0, "branch target is not a number");
        return false;
    }
    int64_t distance = value - as->address;

    if ((distance & 7) || distance / 8 < -(1 << 27) ||
        distance / 8 >= 1 << 27) {
        asm_error(as, 0, "branch target out of reach or not a multiple of 8");
        return false;
    }
    ab->bundle.cs0 |= (uint64_t)distance >> 3 & 0x0fffffff;
    return true;
}

static bool check_predicate_logic(Asm *as, const AsmBundle *ab)
{
    for (unsigned i = 0; i < 3; i++) {
        if (ab->bundle.clp[i].write && !(ab->clp_mask & (1 << i))) {
            asm_error(as, 0, "@p%u is passed but not calculated", i + 4);
            return false;
        }
    }
    return true;
}

static unsigned pack_sync(Asm *as, AsmBundle *ab, uint8_t *bytes,
                          EncodeOffsets *offsets)
{
    AsmLiteral setwd = { .present = false };
    Bundle *b = &ab->bundle;

    if (!choose_channels(ab, 0, 0, false) &&
        !choose_channels(ab, 0, 0, true)) {
        explain_channels(as, ab);
        return 0;
    }
    if (!pack_set(as, ab, &setwd) || !place_literals(as, ab, &setwd)) {
        return 0;
    }
    for (unsigned i = 0; i < ab->n_ops; i++) {
        if (!place_op(as, ab, &ab->ops[i])) {
            return 0;
        }
    }
    if (!pack_mas(as, ab) || !complete_movaq(as, ab) ||
        !check_predicate_logic(as, ab) || !pack_disp_number(as, ab)) {
        return 0;
    }
    if (ab->cs1_opcode != 0xff) {
        ab->has_cs1 = true;
        b->cs1 = (uint32_t)ab->cs1_opcode << 28 | ab->cs1_word;
    }
    if (!bundle_pack(b, ab->has_cs0, ab->has_cs1)) {
        asm_error(as, 0, "more than six different conditions in the bundle");
        return 0;
    }
    if (ab->nop_plain && (ab->n_ops || b->hs || b->n_pls || b->loop_mode ||
                          b->set_mark)) {
        b->nop = 1;
    }
    if (!ab->braces && !ab->nop_given) {
        b->nop = ab->auto_nop;
    }
    unsigned length = bundle_encode(b, as->isa, bytes, offsets);

    if (!length) {
        asm_error(as, 0, "the bundle is longer than 64 bytes");
    }
    return length;
}

static unsigned pack_any(Asm *as, AsmBundle *ab, uint8_t *bytes,
                         EncodeOffsets *offsets)
{
    if (!ab->apb_mask) {
        return pack_sync(as, ab, bytes, offsets);
    }
    if (ab->n_ops || ab->has_cs0 || ab->bundle.has_ss || ab->bundle.n_pls ||
        ab->cs1_opcode != 0xff || ab->wd_given || ab->bn_given) {
        asm_error(as, 0, "'fapb' together with other operations");
        return 0;
    }
    apb_encode(&ab->apb, bytes);
    return APB_BYTES;
}

unsigned bundle_pack_text(Asm *as, AsmBundle *ab,
                          uint8_t bytes[BUNDLE_MAX_BYTES])
{
    EncodeOffsets offsets;

    return pack_any(as, ab, bytes, &offsets);
}

/* Fixups for what is not known yet. */
static void add_fixups(Asm *as, AsmBundle *ab, uint64_t start,
                       const EncodeOffsets *offsets)
{
    if (ab->disp) {
        fixup_add(as, ab->disp_kind, start + offsets->cs0, offsets->cs0,
                  ab->disp);
    }
    for (unsigned i = 0; i < ab->n_ops; i++) {
        const AsmLiteral *l = &ab->ops[i].literal;

        if (!l->present || l->known || l->reference) {
            continue;
        }
        unsigned lts = l->place / 2;
        /* The high word of a 64-bit literal has the lower address. */
        unsigned offset = offsets->lts[l->halves == 4 ? lts + 1 : lts] +
                          (l->halves == 1 ? 2 * (l->place & 1) : 0);

        fixup_add(as, l->halves == 1   ? FIXUP_LIT16
                      : l->halves == 2 ? FIXUP_LIT32
                                       : FIXUP_LIT64,
                  start + offset, offset, l->expr);
    }
}

void bundle_finish(Asm *as)
{
    AsmBundle *ab = &as->bundle;
    uint8_t bytes[BUNDLE_MAX_BYTES];
    EncodeOffsets offsets;
    AsmPlace here = as->place;

    if (!ab->started) {
        return;
    }
    as->place = ab->place;
    unsigned length = ab->failed ? 0 : pack_any(as, ab, bytes, &offsets);

    if (length) {
        uint64_t start = as->section->size;

        if (start & 7) {
            asm_error(as, 0, "instruction at an offset that is not a "
                      "multiple of 8");
        }
        as->section->align = MAX(as->section->align, 8);
        debug_note_line(as, ab->place);
        section_emit(as, bytes, length);
        if (!ab->apb_mask) {
            add_fixups(as, ab, start, &offsets);
        }
    }
    as->place = here;
    ab->started = false;
}
