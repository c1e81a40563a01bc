/*
 * See random-program.h.  A bundle is built from the instruction table, field
 * by field, and kept only when the decoder accepts it, so every rule of legal
 * combination is the decoder's and not repeated here.
 */
#include "tests/diff/random-program.h"

#include <string.h>

#include "target-e2k/encode.h"
#include "target-e2k/interp.h"

/* ------------------------------------------------------------------------
 * Random numbers: xorshift128+
 */

void rng_seed(Rng *rng, uint64_t seed)
{
    for (unsigned i = 0; i < 2; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        rng->s[i] = z ^ z >> 31;
    }
}

uint64_t rng_next(Rng *rng)
{
    uint64_t a = rng->s[0];
    uint64_t b = rng->s[1];

    rng->s[0] = b;
    a ^= a << 23;
    rng->s[1] = a ^ b ^ a >> 18 ^ b >> 5;
    return rng->s[1] + b;
}

unsigned rng_below(Rng *rng, unsigned n)
{
    return (rng_next(rng) >> 32) % n;
}

bool rng_chance(Rng *rng, unsigned percent)
{
    return rng_below(rng, 100) < percent;
}

static uint64_t interesting(Rng *rng)
{
    static const uint64_t values[] = {
        0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
        0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000,
        0xffffffffffffffff, 0x3f8000003f800000, 0x7f8000007f800000,
        0xff800000ff800000, 0x7fc000017fc00001, 0x7fa000007fa00000,
        0x0000000100000001, 0x807fffff007fffff, 0x3ff0000000000000,
        0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000001,
        0x7ff4000000000000, 0x000fffffffffffff, 0x4330000000000000,
        0xc1e0000000000000, 0x43e0000000000000, 0x4f0000004f000000,
    };

    switch (rng_below(rng, 4)) {
    case 0: return values[rng_below(rng, G_N_ELEMENTS(values))];
    case 1: return rng_next(rng);
    case 2: return rng_below(rng, 64);
    default: return rng_next(rng) & rng_next(rng) & rng_next(rng);
    }
}

/* ------------------------------------------------------------------------
 * Operands
 */

static uint8_t register_byte(Rng *rng, bool even, bool dst)
{
    unsigned n;

    switch (rng_below(rng, 10)) {
    case 0:
        n = rng_below(rng, 12); /* %b */
        return even ? n & ~1 : n;
    case 1: case 2:
        n = 8 + rng_below(rng, 8);
        return 0xe0 + (even ? n & ~1 : n);
    default:
        n = (dst ? POINTER_REGS : 0) + rng_below(rng, dst ? 14 : 18);
        return 0x80 + (even ? n & ~1 : n);
    }
}

static bool literal_fits(const Bundle *b, uint8_t byte)
{
    unsigned i = byte & 3;

    if (byte < 0xd0 || byte >= 0xe0) {
        return true;
    }
    if (byte >= 0xdc) {
        return i < 3 && i + 1 < b->n_lts;
    }
    return byte != 0xdf && i < b->n_lts && (byte >= 0xd8 || i < 2);
}

static uint8_t source_byte(Rng *rng, const Bundle *b, unsigned source,
                           unsigned width)
{
    bool even = width == WIDTH_Q;

    if (source != 3 && !even && width != WIDTH_P && rng_chance(rng, 20)) {
        uint8_t byte = source == 1 ? 0xc0 + rng_below(rng, 32)
                                   : 0xc0 + rng_below(rng, 31);
        if (source == 1 || byte < 0xd0 ||
            (literal_fits(b, byte) && (byte & 0xfe) != 0xd2 &&
             (byte & 0xfe) != 0xd6)) {
            return byte;
        }
    }
    return register_byte(rng, even, false);
}

static Operand raw(uint8_t byte)
{
    return (Operand){.byte = byte};
}

static uint8_t state_register(Rng *rng, bool write)
{
    static const uint8_t read[] = {0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x01,
                                   0x15, 0x16, 0x17, 0x2c, 0x2d, 0x80, 0x51};
    static const uint8_t written[] = {0x83, 0x84, 0x85, 0x86, 0x87, 0x88};

    return write ? written[rng_below(rng, G_N_ELEMENTS(written))]
                 : read[rng_below(rng, G_N_ELEMENTS(read))];
}

/* ------------------------------------------------------------------------
 * Operations
 */

static bool is_excluded(const InsnRow *row, bool loops)
{
    switch (row->sem) {
    case SEM_ibranchd: /* see fill_branch() */
    case SEM_icalld:
        return true;
    case SEM_rw:
        return loops; /* the loop counter ends the program */
    default:
        return (row->flags & F_ALIAS) || !interp_has(row->insn);
    }
}

static const InsnRow *random_row(Rng *rng, unsigned isa, unsigned channel,
                                 bool loops)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        const InsnRow *row = &insn_rows[rng_below(rng, INSN_ROWS)];
        bool combined = row->sem == SEM_comb || row->sem == SEM_fp_comb;
        if ((row->channels[isa - 1] >> channel & 1) &&
            !is_excluded(row, loops) && (!combined || rng_chance(rng, 15))) {
            return row;
        }
    }
    return NULL;
}

static Cond random_condition(Rng *rng)
{
    return (Cond){
        .kind = rng_chance(rng, 80) ? COND_PRED : COND_PCNT,
        .index = rng_below(rng, 12),
        .negate = rng_chance(rng, 50),
    };
}

static void memory_operands(Rng *rng, AlcOp *op, const InsnRow *row)
{
    if (!(row->flags & (F_LD | F_ST)) || (row->flags & F_ARRAY)) {
        return;
    }
    if (rng_chance(rng, 90)) {
        op->src1 = raw(0x80 + rng_below(rng, POINTER_REGS));
        op->src2 = raw(rng_chance(rng, 80) ? 0xc0 + rng_below(rng, 16)
                                           : 0xe0 + 8 + rng_below(rng, 4));
    }
}

static uint8_t random_mas(Rng *rng, const InsnRow *row, unsigned channel)
{
    static const uint8_t loads[] = {0x08, 0x04, 0x03, 0x07, 0x02, 0x06, 0x20,
                                    0x0c, 0x13, 0x05, 0x10};
    static const uint8_t stores[] = {0x08, 0x02, 0x03, 0x05, 0x20, 0x0a,
                                     0x13, 0x06, 0x04, 0x0f};

    if (row->flags & F_AAUMAS) {
        return 0x3f;
    }
    if (!(row->flags & F_MAS) || !rng_chance(rng, 30)) {
        return 0;
    }
    if (rng_chance(rng, 2)) {
        return rng_below(rng, 128); /* mostly not for user code */
    }
    if (row->flags & F_ARRAY) {
        return rng_chance(rng, 50) ? 0x08 : 0;
    }
    return row->flags & F_ST ? stores[rng_below(rng, sizeof(stores))]
                             : loads[rng_below(rng, sizeof(loads))];
}

static void fill_operation(Rng *rng, Bundle *b, unsigned channel,
                           const InsnRow *row)
{
    AlcOp *op = &b->alc[channel];

    *op = (AlcOp){
        .present = true,
        .speculative = rng_chance(rng, 40),
        .insn = row->insn,
        .row = row - insn_rows,
        .channel = channel,
        .imm8 = rng_chance(rng, 50) ? rng_below(rng, 16) : rng_next(rng),
    };
    op->src1 = raw(source_byte(rng, b, 1, row->src1));
    op->src2 = raw(source_byte(rng, b, 2, row->src2));
    op->src3 = raw(source_byte(rng, b, 3, row->src3));
    op->dst = raw(register_byte(rng, row->dst == WIDTH_Q, true));
    if (row->dst == WIDTH_PRED) {
        op->dst.index = rng_below(rng, 8); /* predicate logic: 8 and up */
        op->dst.kind = OPERAND_PRED;
    } else if (row->dst == WIDTH_STATE) {
        op->dst = raw(state_register(rng, true));
    } else if (rng_chance(rng, 4)) {
        op->dst = raw(0xdf);
    }
    if (row->src1 == WIDTH_STATE) {
        op->src1 = raw(state_register(rng, false));
    }
    memory_operands(rng, op, row);
    op->array.aad = rng_below(rng, 4);
    op->array.ind = rng_below(rng, 4);
    op->array.incr = rng_below(rng, 4);
    op->array.am = rng_chance(rng, 50);
    op->array.reg = rng_below(rng, 4);
    op->mas = random_mas(rng, row, channel);
    if (rng_chance(rng, 25)) {
        op->conds[op->n_conds++] = random_condition(rng);
        if (rng_chance(rng, 20)) {
            op->conds[op->n_conds++] = random_condition(rng);
        }
    }
    if (row->flags & F_MRGC) {
        op->has_merge = true;
        op->n_merges = 1;
        op->merge = random_condition(rng);
    }
    b->alc_mask |= 1 << channel;
}

static uint8_t odd_half(uint8_t byte, unsigned width, bool same)
{
    return width == WIDTH_Q && !same ? byte + 1 : byte;
}

/* The upper half of a register-pair operation. */
static bool fill_pair(Bundle *b, unsigned channel, const InsnRow *row)
{
    unsigned upper = row->flags & F_PAIR01_34   ? channel + 1
                     : row->flags & F_PAIR02_35 ? channel + 2 : channel + 3;
    const AlcOp *low = &b->alc[channel];

    if (upper >= BUNDLE_CHANNELS || b->alc[upper].present) {
        return false;
    }
    AlcOp *op = &b->alc[upper];
    *op = *low;
    op->channel = upper;
    op->pair_second = true;
    op->src1.byte = odd_half(low->src1.byte, row->src1, row->flags & F_SAME_S1);
    op->src2.byte = odd_half(low->src2.byte, row->src2, false);
    op->src3.byte = odd_half(low->src3.byte, row->src3, false);
    if (low->dst.byte == 0xdf) {
        b->alc[channel].dst.byte = 0xde;
    } else {
        op->dst.byte = odd_half(low->dst.byte, row->dst, false);
    }
    b->alc_mask |= 1 << upper;
    return true;
}

static void fill_channels(Rng *rng, Bundle *b, unsigned isa, bool loops)
{
    unsigned wanted = 1 + rng_below(rng, 4);

    for (unsigned i = 0; i < wanted; i++) {
        unsigned channel = rng_below(rng, 6);
        const InsnRow *row = random_row(rng, isa, channel, loops);
        if (!row || b->alc[channel].present) {
            continue;
        }
        fill_operation(rng, b, channel, row);
        if ((row->flags & F_PAIR) && !fill_pair(b, channel, row)) {
            b->alc[channel].present = false;
            b->alc_mask &= ~(1 << channel);
        }
    }
}

/* ------------------------------------------------------------------------
 * The rest of a bundle
 */

static Elp random_elp(Rng *rng)
{
    unsigned n = rng_below(rng, 16);

    switch (rng_below(rng, 16)) {
    case 0: return (Elp){ELP_LCNTEX, 0, 0};
    case 1: return (Elp){ELP_SPRED, 1 + n, 1 + n};
    case 2: return (Elp){ELP_BGRPRED, 0, 0x40};
    case 3: return (Elp){ELP_RNDPRED, 1 + (n & 7), 0x40 + 1 + (n & 7)};
    default: return (Elp){ELP_PRED, n, 0x60 + n};
    }
}

static void fill_predicate_logic(Rng *rng, Bundle *b)
{
    static const uint8_t opcodes[] = {0, 1, 3};
    unsigned n = rng_below(rng, 4);

    b->n_pls = n;
    for (unsigned i = 0; i < 4; i++) {
        b->elp[i] = random_elp(rng);
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned sources = i == 0 ? 2 : 3 + i;
        b->clp[i] = (Clp){
            .present = true,
            .opc = opcodes[rng_below(rng, 3)],
            .neg0 = rng_chance(rng, 50),
            .neg1 = rng_chance(rng, 50),
            .p0 = rng_below(rng, sources),
            .p1 = rng_below(rng, sources),
            .write = rng_chance(rng, 60),
            .pdst = 8 + 2 * i + rng_below(rng, 2),
        };
    }
}

static void fill_mova(Rng *rng, Bundle *b)
{
    for (unsigned i = 0; i < BUNDLE_MOVA_CHANNELS; i++) {
        if (!rng_chance(rng, 40)) {
            continue;
        }
        b->mova[i] = (MovaOp){
            .present = true,
            .opc = 1 + rng_below(rng, 4),
            .area = rng_below(rng, 3),
            .ind = rng_below(rng, 8),
            .am = rng_chance(rng, 50),
            .be = rng_chance(rng, 20),
            .dst = raw(register_byte(rng, false, true)),
        };
        b->has_ss = true;
    }
}

static void fill_short(Rng *rng, Bundle *b)
{
    b->has_ss = true;
    b->alct = rng_chance(rng, 30);
    b->alcf = rng_chance(rng, 30);
    b->abpt = rng_chance(rng, 20);
    b->abpf = rng_chance(rng, 20);
    b->abnt = rng_chance(rng, 20);
    b->abnf = rng_chance(rng, 20);
    b->eap = rng_chance(rng, 4);
    b->bap = rng_chance(rng, 1);
    b->abgi = rng_chance(rng, 2);
    b->abgd = rng_chance(rng, 2);
}

static void fill_condition(Rng *rng, Bundle *b)
{
    static const uint8_t types[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15};

    b->has_ss = true;
    b->ct_type = types[rng_below(rng, sizeof(types))];
    b->ct_psrc = b->ct_type == CT_MLOCK         ? rng_below(rng, 2)
                 : b->ct_type == CT_MLOCK_LOCAL ? rng_below(rng, 24)
                                                : rng_below(rng, 16);
}

/* ibranchd or icalld, by the registers that hold good targets. */
static void fill_register_branch(Rng *rng, Bundle *b, unsigned isa)
{
    InsnId insn = rng_chance(rng, 50) ? INSN_ibranchd : INSN_icalld;
    const InsnRow *row = &insn_rows[insn_infos[insn].row];
    AlcOp *op = &b->alc[0];
    unsigned target = insn == INSN_icalld ? CALLEE_GLOBAL : END_GLOBAL;

    if (!(row->channels[isa - 1] & 1) || op->present) {
        return;
    }
    *op = (AlcOp){.present = true, .insn = insn, .row = row - insn_rows,
                  .imm8 = 4 + rng_below(rng, 8)};
    op->src2 = raw(0xe0 + (rng_chance(rng, 90) ? target : 8));
    b->alc_mask |= 1;
    fill_condition(rng, b);
}

/*
 * A transfer: forward over the next bundle, to the end, or a call.  True
 * when it takes CS0.
 */
static bool fill_branch(Rng *rng, Bundle *b, unsigned isa, bool loops)
{
    switch (rng_below(rng, 10)) {
    case 0:
        fill_condition(rng, b);
        b->ctop = 2 + rng_below(rng, 2);
        return false;
    case 1:
    case 2:
        fill_condition(rng, b);
        b->ctop = 3;
        b->wbs = 4 + rng_below(rng, 10);
        b->transfer = TRANSFER_CALL;
        return false;
    case 3:
        fill_register_branch(rng, b, isa);
        return false;
    default:
        fill_condition(rng, b);
        b->transfer = TRANSFER_IBRANCH;
        return true;
    }
}

/* Contents of a CTPR; loops need %ctpr1. */
static void fill_preparation(Rng *rng, Bundle *b, bool loops)
{
    static const uint8_t opcodes[] = {0x4, 0x8, 0xc, 0x9, 0x6, 0xa, 0xe, 0xf};
    unsigned opcode = opcodes[rng_below(rng, sizeof(opcodes))];

    if (loops && (opcode == 0x4 || opcode == 0x6)) {
        opcode = 0xf;
    }
    b->cs0 = opcode << 28;
    switch (opcode) {
    case 0x6: case 0xa: case 0xe:
        b->cs0 |= rng_below(rng, 32);
        break;
    case 0xf:
        break;
    default:
        b->cs0 |= (rng_below(rng, 64) - 32) & 0xfffffff;
        break;
    }
}

static uint32_t mas_syllable(const Bundle *b)
{
    return 6u << 28 | (uint32_t)b->alc[0].mas << 21 |
           (uint32_t)b->alc[2].mas << 14 | (uint32_t)b->alc[3].mas << 7 |
           b->alc[5].mas;
}

/* One of the CS1 operations, or the specifiers where some are needed. */
static bool fill_cs1(Rng *rng, Bundle *b)
{
    for (unsigned i = 0; i < BUNDLE_CHANNELS; i++) {
        if (b->alc[i].present && b->alc[i].mas) {
            b->cs1 = mas_syllable(b);
            return true;
        }
    }
    if (b->transfer == TRANSFER_CALL) {
        b->cs1 = 5u << 28 | b->wbs;
        return true;
    }
    switch (rng_below(rng, 16)) {
    case 0: /* setwd, perhaps with setbn and setbp */
        if (b->n_lts == 0) {
            b->n_lts = 1;
        }
        b->lts[0] = (12 + rng_below(rng, 8)) << 5 | rng_below(rng, 4) << 3;
        b->cs1 = 0u << 28 | rng_below(rng, 2) << 26 | rng_below(rng, 4) |
                 rng_below(rng, 8) << 6;
        return true;
    case 1: /* setbn, setbp */
        b->cs1 = 4u << 28 | (1 + rng_below(rng, 3)) << 26 |
                 rng_below(rng, 15) << 18 | rng_below(rng, 8) << 6 |
                 rng_below(rng, 4);
        return true;
    case 2:
        b->cs1 = 3u << 28 | 0x3f;
        return true;
    case 3:
        b->cs1 = 2u << 28 | (unsigned)rng_chance(rng, 10) << 27;
        return true;
    default:
        return false;
    }
}

static bool is_legal(const Bundle *b, unsigned isa)
{
    uint8_t bytes[BUNDLE_MAX_BYTES];
    Bundle decoded;
    unsigned length = bundle_encode(b, isa, bytes, NULL);

    return length && bundle_decode(&decoded, bytes, length, isa) == DECODE_OK;
}

typedef enum BundleKind {
    BUNDLE_INNER,
    BUNDLE_LAST,
    BUNDLE_CALLEE, /* prepares the return */
    BUNDLE_RETURN,
} BundleKind;

static void random_bundle(Rng *rng, Bundle *b, unsigned isa, bool loops,
                          BundleKind kind)
{
    bool last = kind == BUNDLE_LAST;

    do {
        bool has_cs0 = false;
        memset(b, 0, sizeof(*b));
        b->n_lts = rng_below(rng, 4);
        for (unsigned i = 0; i < 4; i++) {
            b->lts[i] = interesting(rng);
        }
        b->loop_mode = rng_chance(rng, 20);
        fill_channels(rng, b, isa, loops);
        if (rng_chance(rng, 30)) {
            fill_predicate_logic(rng, b);
        }
        if (rng_chance(rng, 15)) {
            fill_mova(rng, b);
        }
        if (rng_chance(rng, 30)) {
            fill_short(rng, b);
        }
        if (kind == BUNDLE_CALLEE) {
            has_cs0 = true;
            b->cs0 = 0xfu << 28; /* return %ctpr3 */
        } else if (kind == BUNDLE_RETURN) {
            b->has_ss = true;
            b->ct_type = CT_ALWAYS;
            b->ctop = 3;
        } else if (loops && last) {
            b->has_ss = true;
            b->alct = b->alcf = true;
            b->ct_type = CT_NOT_LOOP_END;
            b->ctop = 1;
        } else if (!last && rng_chance(rng, 20)) {
            has_cs0 = fill_branch(rng, b, isa, loops);
        } else if (rng_chance(rng, 6)) {
            has_cs0 = true;
            fill_preparation(rng, b, loops);
        }
        bool has_cs1 = fill_cs1(rng, b);
        if (!bundle_pack(b, has_cs0, has_cs1)) {
            continue;
        }
    } while (!is_legal(b, isa));
}

/* ------------------------------------------------------------------------
 * Programs
 */

unsigned program_encode(const Program *p, unsigned i, uint8_t bytes[64])
{
    Bundle b = p->bundles[i];

    b.hs = (b.hs & ~(1u << 10)) | (uint32_t)b.loop_mode << 10;
    if (b.transfer == TRANSFER_IBRANCH) {
        /* Over the next bundle. */
        uint8_t next[64];
        unsigned length = bundle_encode(&b, p->isa, bytes, NULL);
        unsigned skip = i + 1 < p->n ? program_encode(p, i + 1, next) : 0;
        b.cs0 = (length + skip) / 8;
    }
    return bundle_encode(&b, p->isa, bytes, NULL);
}

unsigned program_encode_callee(const Program *p, unsigned i,
                               uint8_t bytes[64])
{
    Bundle b = p->callee[i];

    b.hs = (b.hs & ~(1u << 10)) | (uint32_t)b.loop_mode << 10;
    return bundle_encode(&b, p->isa, bytes, NULL);
}

static uint8_t random_tag(Rng *rng)
{
    static const uint8_t tags[] = {5, 0x55, 1, 4, 0x50, 10, 8, 2};

    return rng_chance(rng, 85) ? 0 : tags[rng_below(rng, sizeof(tags))];
}

static void random_registers(Rng *rng, StartState *s, bool tags)
{
    for (unsigned i = 0; i < WINDOW_REGS; i++) {
        s->regs[i] = (RegSlot){interesting(rng), interesting(rng)};
        s->tags[i] = tags ? random_tag(rng) : 0;
    }
    for (unsigned i = 0; i < POINTER_REGS; i++) {
        s->regs[i].lo = DATA_ADDRESS + 64 + 16 * rng_below(rng, 200);
        s->tags[i] = 0;
    }
    for (unsigned i = 0; i < 32; i++) {
        s->g[i] = (RegSlot){interesting(rng), interesting(rng)};
        s->g_tags[i] = tags ? random_tag(rng) : 0;
    }
    for (unsigned i = 8; i < 12; i++) {
        s->g[i].lo = rng_below(rng, 64);
    }
}

static void random_start(Rng *rng, StartState *s, bool loops)
{
    memset(s, 0, sizeof(*s));
    random_registers(rng, s, rng_chance(rng, 50));
    s->pf = rng_next(rng) & UINT64_C(0x5555555555555555);
    if (rng_chance(rng, 30)) {
        s->pf |= rng_next(rng) & rng_next(rng) & UINT64_C(0xaaaaaaaaaaaaaaaa);
    }
    s->lsr = rng_below(rng, 4) | (uint64_t)rng_below(rng, 3) << 32 |
             (uint64_t)(loops || rng_chance(rng, 50)) << 37 |
             (uint64_t)rng_below(rng, 3) << 48 |
             (uint64_t)rng_below(rng, 3) << 53;
    s->br = rng_below(rng, 4) | (5 + rng_below(rng, 4)) << 6 |
            rng_below(rng, 5) << 12 | rng_below(rng, 16) << 18;
    s->ctpr[0] = CTPR_VALUE(CODE_ADDRESS, CTPR_TAG_LOCAL, CTPR_OPC_DISP);
    s->pfpfr = 0x1f80 | rng_below(rng, 8) << 13;
    if (rng_chance(rng, 10)) {
        s->pfpfr &= ~(rng_below(rng, 64) << 7);
    }
    s->fpcr = 0x7f | rng_below(rng, 4) << 10 | (rng_chance(rng, 60) ? 3 : 2) << 8;
    s->upsr = (rng_chance(rng, 98) ? UPSR_FE : 0) | UPSR_NMIE |
              (rng_chance(rng, 5) ? UPSR_AC : 0);
    s->bgr_val = rng_chance(rng, 2) ? rng_next(rng) : 0xff;
    s->bgr_cur = rng_chance(rng, 2) ? rng_below(rng, 8) : 0;
    s->wsz = 20;
    s->wdbl = rng_chance(rng, 20);
    for (unsigned i = 0; i < 4; i++) {
        s->aad[i] = DATA_ADDRESS + 16 * rng_below(rng, 100);
        s->aasti[i] = rng_below(rng, 256);
        s->aaincr[i] = (int64_t)rng_below(rng, 9) - 4;
        s->area[i].fmt = rng_below(rng, 6);
        s->area[i].base = s->aad[i];
        s->area[i].index = rng_below(rng, 512);
        s->area[i].step = (int64_t)rng_below(rng, 33) - 16;
    }
    s->aau_running = rng_chance(rng, 80);
    s->data_seed = rng_next(rng);
}

/* Makes loads of the bundle advanced loads and checks. */
static void advance_loads(Rng *rng, Bundle *b, unsigned isa)
{
    Bundle old = *b;
    bool has_cs1 = b->hs >> 15 & 1;

    if (has_cs1 && b->cs1 >> 28 != 6) {
        return;
    }
    for (unsigned i = 0; i < BUNDLE_CHANNELS; i++) {
        AlcOp *op = &b->alc[i];
        const InsnRow *row = &insn_rows[op->row];
        if (op->present && row->sem == SEM_load && !(row->flags & F_PAIR) &&
            rng_chance(rng, 70)) {
            op->speculative = i % 3 == 0;
            op->mas = i % 3 == 0 ? 4 : 3;
        }
    }
    b->cs1 = mas_syllable(b);
    if (!bundle_pack(b, old.hs >> 14 & 1, true) || !is_legal(b, isa)) {
        *b = old;
    }
}

/* Entries that checks of the program may find. */
static void random_dam(Rng *rng, Program *p)
{
    StartState *s = &p->start;

    for (unsigned i = 0; i < p->n; i++) {
        advance_loads(rng, &p->bundles[i], p->isa);
        for (unsigned c = 2; c < BUNDLE_CHANNELS; c += 3) {
            const AlcOp *op = &p->bundles[i].alc[c];
            unsigned base = op->src1.byte - 0x80;
            if (!op->present || op->mas != 3 || base >= POINTER_REGS ||
                op->dst.byte < 0x80 || op->dst.byte >= 0xc0 ||
                op->src2.byte < 0xc0 || op->src2.byte >= 0xd0 ||
                s->n_dam == G_N_ELEMENTS(s->dam)) {
                continue;
            }
            s->dam[s->n_dam++] = (DamEntry){
                .valid = true, .reg = op->dst.byte - 0x80,
                .size_bytes = 1u << rng_below(rng, 5),
                .address = s->regs[base].lo + op->src2.byte - 0xc0,
            };
        }
    }
}

/* Changes an operation; the bundle stays what it was when that is illegal. */
static void change_operation(Bundle *b, unsigned isa, unsigned channel,
                             const AlcOp *op)
{
    Bundle old = *b;

    b->alc[channel] = *op;
    if (!bundle_pack(b, old.hs >> 14 & 1, old.hs >> 15 & 1) ||
        !is_legal(b, isa)) {
        *b = old;
    }
}

/* Results for a CTPR: good targets, diagnostic values, or anything. */
static void write_ctprs(Rng *rng, Program *p)
{
    enum { DIAGNOSTIC_REG = 20 }; /* no result goes there */
    static const uint8_t sources[] = {0xe0 + END_GLOBAL, 0xe0 + CALLEE_GLOBAL,
                                      0x80 + DIAGNOSTIC_REG};

    for (unsigned i = 0; i < p->n; i++) {
        AlcOp op = p->bundles[i].alc[0];
        if (op.present && insn_rows[op.row].sem == SEM_movt &&
            rng_chance(rng, 50)) {
            if (rng_chance(rng, 80)) {
                op.src2 = raw(sources[rng_below(rng, sizeof(sources))]);
            }
            op.dst = raw(rng_chance(rng, 50) ? 0xd3 : 0xd2);
            op.n_conds = 0;
            change_operation(&p->bundles[i], p->isa, 0, &op);
        }
    }
    p->start.tags[DIAGNOSTIC_REG] = 5;
}

void random_program(Program *p, Rng *rng, unsigned isa, unsigned n_bundles,
                    bool loops)
{
    p->isa = isa;
    p->n = n_bundles;
    for (unsigned i = 0; i < n_bundles; i++) {
        random_bundle(rng, &p->bundles[i], isa, loops,
                      i + 1 == n_bundles ? BUNDLE_LAST : BUNDLE_INNER);
    }
    random_bundle(rng, &p->callee[0], isa, loops, BUNDLE_CALLEE);
    random_bundle(rng, &p->callee[1], isa, loops, BUNDLE_RETURN);
    random_start(rng, &p->start, loops);
    /* Last, so that older cases stay what they are. */
    if (rng_chance(rng, 15)) {
        random_dam(rng, p);
    }
    if (rng_chance(rng, 30)) {
        write_ctprs(rng, p);
    }
}
