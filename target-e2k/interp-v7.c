/*
 * 128-bit odds and ends, and the ISA v7 additions of the reference
 * interpreter.  Of v7 only the qpack names are confirmed by hardware; the
 * rest follows the deductions of the shared facts "isa/ops.md" section 6.1.
 * Operations whose function is unknown raise an illegal opcode: a visible
 * stop is better than a wrong result.
 */
#include "target-e2k/interp-fns.h"

#include <string.h>

#include "target-e2k/interp-hostfp.h"

/* Bit i of the mask fills lane i. */
static Lanes mask_to_lanes(uint32_t mask, unsigned size)
{
    Lanes r;

    for (unsigned i = 0; i < 16; i++) {
        r.b[i] = mask >> i / size & 1 ? 0xff : 0;
    }
    return r;
}

static Lanes mask_to_signs(Lanes l, uint32_t mask)
{
    for (unsigned i = 0; i < 16; i++) {
        l.b[i] = (l.b[i] & 0x7f) | (mask >> i & 1) << 7;
    }
    return l;
}

static uint32_t byte_signs(Lanes l)
{
    uint32_t mask = 0;

    for (unsigned i = 0; i < 16; i++) {
        mask |= (uint32_t)(l.b[i] >> 7) << i;
    }
    return mask;
}

static uint64_t swap_words(uint64_t v)
{
    return v >> 32 | v << 32;
}

void interp_v7_misc(Interp *in, InterpOp *c)
{
    switch (c->op->insn) {
    case INSN_qppackdl:
        c->d.hi = c->s1.lo;
        c->d.lo = c->s2.lo;
        break;
    case INSN_qpswitchd:
        c->d.hi = c->s2.lo;
        c->d.lo = c->s2.hi;
        break;
    case INSN_qpswitchw:
        c->d.lo = swap_words(c->s2.lo);
        c->d.hi = swap_words(c->s2.hi);
        break;
    case INSN_qpsgn2mskb: c->d.lo = byte_signs(lanes_of(c->s2)); break;
    case INSN_qpmsk2sgnb:
        set_lanes(c, mask_to_signs(lanes_of(c->s1), c->s2.lo));
        break;
    case INSN_qpackhbss: interp_pack(c, 2, true); break;
    case INSN_qpackhbus: interp_pack(c, 2, false); break;
    case INSN_qpackwhss: interp_pack(c, 4, true); break;
    case INSN_qpackwhus: interp_pack(c, 4, false); break;
    case INSN_qpcm2b: set_lanes(c, mask_to_lanes(c->s2.lo, 1)); break;
    case INSN_qpcm2h: set_lanes(c, mask_to_lanes(c->s2.lo, 2)); break;
    case INSN_qpcm2w: set_lanes(c, mask_to_lanes(c->s2.lo, 4)); break;
    case INSN_qpcm2d: set_lanes(c, mask_to_lanes(c->s2.lo, 8)); break;
    case INSN_qps2mb: interp_sign_masks(c, 1); break;
    case INSN_qps2mh: interp_sign_masks(c, 2); break;
    case INSN_qps2mw: interp_sign_masks(c, 4); break;
    case INSN_qps2md: interp_sign_masks(c, 8); break;
    default: interp_raise(in, c, EXC_ILLEGAL_OPCODE); break;
    }
}

/* ------------------------------------------------------------------------
 * Dot products
 */

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

static int64_t dot(InsnId insn, const Lanes *a, const Lanes *b, unsigned i)
{
    int64_t sum = 0;

    for (unsigned k = 4 * i; k < 4 * i + 4; k++) {
        switch (insn) {
        case INSN_qpidotsbwss: sum += a->sb[k] * b->sb[k]; break;
        case INSN_qpidotsbwus: sum += a->b[k] * b->sb[k]; break;
        case INSN_qpidotsbwuu: sum += a->b[k] * b->b[k]; break;
        default:
            if (k % 4 < 2) {
                unsigned h = 2 * i + k % 4;
                sum += (int64_t)a->sh[h] * b->sh[h];
            }
            break;
        }
    }
    return sum;
}

void interp_v7_dot(Interp *in, InterpOp *c)
{
    Lanes a = lanes_of(c->s1);
    Lanes b = lanes_of(c->s2);
    Lanes acc = lanes_of(c->s3);
    InsnId insn = c->op->insn;

    for (unsigned i = 0; i < 4; i++) {
        if (insn == INSN_qpbfdots) {
            for (unsigned k = 2 * i; k < 2 * i + 2; k++) {
                acc.w[i] = host_add_s(acc.w[i],
                                      host_mul_s((uint32_t)a.h[k] << 16,
                                                 (uint32_t)b.h[k] << 16));
            }
        } else if (insn == INSN_qpidotsbwuu) {
            acc.w[i] = clamp(acc.w[i] + dot(insn, &a, &b, i), 0, UINT32_MAX);
        } else {
            acc.w[i] = clamp(acc.sw[i] + dot(insn, &a, &b, i), INT32_MIN,
                             INT32_MAX);
        }
    }
    set_lanes(c, acc);
}

/* Segment N of a table of 8 times 32 bytes; other indices give zero. */
void interp_v7_table(Interp *in, InterpOp *c)
{
    unsigned segment = c->op->insn - INSN_qptbl_0;
    Lanes a = lanes_of(c->s1);
    Lanes b = lanes_of(c->s2);
    Lanes index = lanes_of(c->s3);
    Lanes r = {.d = {0, 0}};

    for (unsigned i = 0; i < 16; i++) {
        if (index.b[i] >> 5 == segment) {
            unsigned k = index.b[i] & 31;
            r.b[i] = k < 16 ? b.b[k] : a.b[k - 16];
        }
    }
    set_lanes(c, r);
}

/* ------------------------------------------------------------------------
 * AES rounds.  The state is in FIPS-197 order: byte i is row i % 4 of column
 * i / 4.
 */

static uint8_t gf_double(uint8_t v)
{
    return v << 1 ^ (v & 0x80 ? 0x1b : 0);
}

static uint8_t gf_multiply(uint8_t a, uint8_t b)
{
    uint8_t r = 0;

    for (; b; b >>= 1, a = gf_double(a)) {
        r ^= b & 1 ? a : 0;
    }
    return r;
}

/* FIPS-197 5.1.1: the inverse in GF(2^8), then the affine map. */
static uint8_t aes_sbox(uint8_t v)
{
    uint8_t inverse = 1;
    uint8_t r = 0x63;

    for (unsigned i = 0; i < 254; i++) {
        inverse = gf_multiply(inverse, v);
    }
    for (unsigned i = 0; i < 5; i++) {
        r ^= inverse << i | inverse >> (8 - i);
    }
    return r;
}

static uint8_t aes_inverse_sbox(uint8_t v)
{
    unsigned i = 0;

    while (aes_sbox(i) != v) {
        i++;
    }
    return i;
}

static Lanes aes_substitute(Lanes s, bool inverse)
{
    Lanes r;

    for (unsigned i = 0; i < 16; i++) {
        unsigned row = i % 4;
        unsigned column = i / 4;
        unsigned from = inverse ? (column + 4 - row) % 4 : (column + row) % 4;
        uint8_t v = s.b[4 * from + row];
        r.b[i] = inverse ? aes_inverse_sbox(v) : aes_sbox(v);
    }
    return r;
}

static Lanes aes_mix_columns(Lanes s, bool inverse)
{
    static const uint8_t forward[4] = {2, 3, 1, 1};
    static const uint8_t backward[4] = {14, 11, 13, 9};
    const uint8_t *k = inverse ? backward : forward;
    Lanes r;

    for (unsigned i = 0; i < 16; i++) {
        r.b[i] = 0;
        for (unsigned j = 0; j < 4; j++) {
            r.b[i] ^= gf_multiply(s.b[(i & 12) + (i + j) % 4], k[j]);
        }
    }
    return r;
}

static Lanes exclusive_or(Lanes a, Lanes b)
{
    a.d[0] ^= b.d[0];
    a.d[1] ^= b.d[1];
    return a;
}

/* Product in GF(2^8) modulo x^8 + x^7 + x^6 + x + 1. */
static uint8_t kuz_multiply(uint8_t a, uint8_t b)
{
    uint8_t r = 0;

    for (; b; b >>= 1, a = a << 1 ^ (a & 0x80 ? 0xc3 : 0)) {
        r ^= b & 1 ? a : 0;
    }
    return r;
}

/*
 * GOST R 34.12-2015 4.2: a linear recurrence, sixteen steps.  The first byte
 * of a block in memory is the leftmost of the standard's notation.
 */
static Lanes kuz_linear(Lanes s)
{
    static const uint8_t factors[16] = {
        148, 32, 133, 16, 194, 192, 1, 251, 1, 192, 194, 16, 133, 32, 148, 1,
    };

    for (unsigned step = 0; step < 16; step++) {
        uint8_t sum = 0;

        for (unsigned i = 0; i < 16; i++) {
            sum ^= kuz_multiply(s.b[i], factors[i]);
        }
        memmove(s.b + 1, s.b, 15);
        s.b[0] = sum;
    }
    return s;
}

/* GOST R 34.12-2015 4.1: the substitution of bytes. */
static const uint8_t kuz_pi[256] = {
    252, 238, 221, 17, 207, 110, 49, 22, 251, 196, 250, 218, 35, 197,
    4, 77, 233, 119, 240, 219, 147, 46, 153, 186, 23, 54, 241, 187,
    20, 205, 95, 193, 249, 24, 101, 90, 226, 92, 239, 33, 129, 28,
    60, 66, 139, 1, 142, 79, 5, 132, 2, 174, 227, 106, 143, 160,
    6, 11, 237, 152, 127, 212, 211, 31, 235, 52, 44, 81, 234, 200,
    72, 171, 242, 42, 104, 162, 253, 58, 206, 204, 181, 112, 14, 86,
    8, 12, 118, 18, 191, 114, 19, 71, 156, 183, 93, 135, 21, 161,
    150, 41, 16, 123, 154, 199, 243, 145, 120, 111, 157, 158, 178, 177,
    50, 117, 25, 61, 255, 53, 138, 126, 109, 84, 198, 128, 195, 189,
    13, 87, 223, 245, 36, 169, 62, 168, 67, 201, 215, 121, 214, 246,
    124, 34, 185, 3, 224, 15, 236, 222, 122, 148, 176, 188, 220, 232,
    40, 80, 78, 51, 10, 74, 167, 151, 96, 115, 30, 0, 98, 68,
    26, 184, 56, 130, 100, 159, 38, 65, 173, 69, 70, 146, 39, 94,
    85, 47, 140, 163, 165, 125, 105, 213, 149, 59, 7, 88, 179, 64,
    134, 172, 29, 247, 48, 55, 107, 228, 136, 217, 231, 137, 225, 27,
    131, 73, 76, 63, 248, 254, 141, 83, 170, 144, 202, 216, 133, 97,
    32, 113, 103, 164, 45, 43, 9, 91, 203, 155, 37, 208, 190, 229,
    108, 82, 89, 166, 116, 210, 230, 244, 180, 192, 209, 102, 175, 194,
    57, 75, 99, 182,
};

static Lanes kuz_substitute(Lanes s)
{
    for (unsigned i = 0; i < 16; i++) {
        s.b[i] = kuz_pi[s.b[i]];
    }
    return s;
}

void interp_v7_crypto(Interp *in, InterpOp *c)
{
    Lanes a = lanes_of(c->s1);
    Lanes b = lanes_of(c->s2);
    Lanes k = lanes_of(c->s3);

    switch (c->op->insn) {
    case INSN_qpaesebgn:
        a = exclusive_or(aes_substitute(exclusive_or(a, b), false), k);
        break;
    case INSN_qpaesdbgn:
        a = exclusive_or(aes_substitute(exclusive_or(a, b), true), k);
        break;
    case INSN_qpaesltr:
        a = exclusive_or(exclusive_or(aes_mix_columns(a, false), b), k);
        break;
    case INSN_qpaesiltr:
        a = exclusive_or(exclusive_or(aes_mix_columns(a, true), b), k);
        break;
    case INSN_qpkuzebgn:
        a = exclusive_or(kuz_substitute(exclusive_or(a, b)), k);
        break;
    case INSN_qpkuzltr:
        a = kuz_linear(b);
        break;
    default:
        interp_raise(in, c, EXC_ILLEGAL_OPCODE);
        break;
    }
    set_lanes(c, a);
}
