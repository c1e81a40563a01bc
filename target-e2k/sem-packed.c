/*
 * Packed-integer helpers of generated code: what is not one or a few host
 * vector instructions.
 *
 * 64-bit operands and results are integers, 128-bit ones SemVec (in an SSE
 * register).  Everything here depends on its arguments only.
 *
 * Source: shared facts "isa/ops.md" sections 4, 6 and 6.1.
 */
#include "target-e2k/sem.h"

#include <stdbool.h>
#include <string.h>

typedef union Parts {
    SemVec v;
    uint64_t d[2];
    uint32_t w[4];
    uint16_t h[8];
    uint8_t b[16];
} Parts;

static Parts parts(SemVec v)
{
    return (Parts){.v = v};
}

static Parts parts_d(uint64_t lo, uint64_t hi)
{
    return (Parts){.d = {lo, hi}};
}

/* ------------------------------------------------------------------------
 * Shifts and products
 */

uint64_t sem_psrcw(uint64_t value, uint64_t count)
{
    unsigned n = count & 31;
    uint64_t mask = (UINT64_C(1) << (32 - n)) - 1;

    mask |= mask << 32; /* bits that stay in their lane going right */
    return (value >> n & mask) | (n ? value << (32 - n) & ~mask : 0);
}

uint64_t sem_psrcd(uint64_t value, uint64_t count)
{
    return value >> (count & 63) | value << (-count & 63);
}

SemVec sem_qpsrcw(SemVec value, uint64_t count)
{
    return (SemVec){sem_psrcw(value[0], count), sem_psrcw(value[1], count)};
}

SemVec sem_qpsrcd(SemVec value, uint64_t count)
{
    return (SemVec){sem_psrcd(value[0], count), sem_psrcd(value[1], count)};
}

SemVec sem_qpsrad(SemVec value, uint64_t count)
{
    unsigned n = count > 63 ? 63 : count;

    return (SemVec){(int64_t)value[0] >> n, (int64_t)value[1] >> n};
}

/* Unsigned bytes of the low half of a by signed halves. */
static uint64_t mulubhh(uint32_t bytes, uint64_t halves)
{
    uint64_t r = 0;

    for (unsigned at = 0; at < 64; at += 16) {
        int32_t product = (int)(bytes >> at / 2 & 0xff) *
                          (int16_t)(halves >> at);
        r |= (uint64_t)(uint16_t)((product + 128) / 256 -
                                  ((product + 128) % 256 < 0)) << at;
    }
    return r;
}

uint64_t sem_pmulubhh(uint64_t a, uint64_t b)
{
    return mulubhh(a, b);
}

SemVec sem_qpmulubhh(uint64_t a, SemVec b)
{
    return (SemVec){mulubhh(a, b[0]), mulubhh(a >> 32, b[1])};
}

uint64_t sem_mpsadbh(uint64_t a, uint64_t b)
{
    uint64_t r = 0;

    for (unsigned i = 0; i < 4; i++) {
        unsigned sum = 0;
        for (unsigned k = 0; k < 4; k++) {
            int x = a >> 8 * (i + k) & 0xff;
            int y = b >> 8 * k & 0xff;
            sum += x < y ? y - x : x - y;
        }
        r |= (uint64_t)sum << 16 * i;
    }
    return r;
}

SemVec sem_qpmpsadbh(SemVec a, uint64_t b)
{
    return (SemVec){sem_mpsadbh(a[0], b), sem_mpsadbh(a[1], b)};
}

/* Least half of up to 16: (half << 8 | index) orders as wanted. */
static uint32_t least_half(SemVec v, unsigned first, uint32_t best)
{
    Parts p = parts(v);

    for (unsigned i = 0; i < 8; i++) {
        uint32_t candidate = (uint32_t)p.h[i] << 8 | (first + i);
        best = candidate < best ? candidate : best;
    }
    return best;
}

static uint64_t least_result(uint32_t best)
{
    return best >> 8 | (uint64_t)(best & 0xff) << 16;
}

uint64_t sem_phminposuh(uint64_t a, uint64_t b)
{
    return least_result(least_half((SemVec){a, b}, 0, UINT32_MAX));
}

uint64_t sem_qphminposuh(SemVec a, SemVec b)
{
    return least_result(least_half(b, 8, least_half(a, 0, UINT32_MAX)));
}

uint64_t sem_clmull(uint64_t a, uint64_t b)
{
    uint64_t r = 0;

    for (; b; b &= b - 1) {
        r ^= a << __builtin_ctzll(b);
    }
    return r;
}

uint64_t sem_clmulh(uint64_t a, uint64_t b)
{
    uint64_t r = 0;

    for (b &= ~UINT64_C(1); b; b &= b - 1) {
        r ^= a >> (64 - __builtin_ctzll(b));
    }
    return r;
}

/* ------------------------------------------------------------------------
 * Shuffles
 */

/* Bits 0 invert, 1 reverse, 2 fill with the sign; in this order. */
static uint8_t treat_byte(uint8_t v, unsigned how)
{
    if (how & 1) {
        v ^= 0xff;
    }
    if (how & 2) {
        v = (v * UINT64_C(0x0202020202) & UINT64_C(0x010884422010)) % 1023;
    }
    return how & 4 ? -(v >> 7) : v;
}

static uint64_t shuffle(unsigned isa, uint64_t high, uint64_t low,
                        uint64_t control)
{
    uint64_t r = 0;

    for (unsigned i = 0; i < 8; i++) {
        unsigned k = control >> 8 * i & 0xff;
        uint8_t v = (k & 8 ? high : low) >> 8 * (k & 7);
        if (isa < 4) {
            v = k & 0x80 ? 0 : v;
        } else if (k & 0x80) {
            /* 0x82, 0x84, 0x86 in units of 16; others give 0. */
            v = (k & 0x70) == 0x20 ? 0x7f : (k & 0x70) == 0x40 ? 0x80
                : (k & 0x70) == 0x60 ? 0xff : 0;
        } else {
            v = treat_byte(v, k >> 4);
        }
        r |= (uint64_t)v << 8 * i;
    }
    return r;
}

uint64_t sem_pshufb(uint64_t isa, uint64_t a, uint64_t b, uint64_t control)
{
    return shuffle(isa, a, b, control);
}

SemVec sem_qpshufb(uint64_t isa, SemVec a, SemVec b, SemVec control)
{
    return (SemVec){shuffle(isa, b[1], b[0], control[0]),
                    shuffle(isa, a[1], a[0], control[1])};
}

SemVec sem_qppermb(SemVec a, SemVec b, SemVec control)
{
    uint8_t table[32];
    Parts k = parts(control);
    Parts r;

    memcpy(table, &b, 16);
    memcpy(table + 16, &a, 16);
    for (unsigned i = 0; i < 16; i++) {
        r.b[i] = treat_byte(table[k.b[i] & 31], k.b[i] >> 5);
    }
    return r.v;
}

/* Segment of a 256-byte table; indices of other segments give zero. */
SemVec sem_qptbl(uint64_t segment, SemVec a, SemVec b, SemVec index)
{
    uint8_t table[32];
    Parts k = parts(index);
    Parts r;

    memcpy(table, &b, 16);
    memcpy(table + 16, &a, 16);
    for (unsigned i = 0; i < 16; i++) {
        r.b[i] = k.b[i] / 32 == segment ? table[k.b[i] % 32] : 0;
    }
    return r.v;
}

/* ------------------------------------------------------------------------
 * Masks
 */

SemVec sem_qpmsk2sgnb(SemVec a, uint64_t mask)
{
    Parts r = parts(a);

    for (unsigned i = 0; i < 16; i++, mask >>= 1) {
        r.b[i] = mask & 1 ? r.b[i] | 0x80 : r.b[i] & 0x7f;
    }
    return r.v;
}

SemVec sem_qpcm2(uint64_t lane_bytes, uint64_t mask)
{
    Parts r;

    for (unsigned i = 0; i < 16; i += lane_bytes, mask >>= 1) {
        memset(r.b + i, mask & 1 ? 0xff : 0, lane_bytes);
    }
    return r.v;
}

/* Signs of the lanes of b, then of a. */
uint64_t sem_qps2m(uint64_t lane_bytes, SemVec a, SemVec b)
{
    Parts p[2] = {parts(b), parts(a)};
    uint64_t mask = 0;
    unsigned bit = 0;

    for (unsigned k = 0; k < 2; k++) {
        for (unsigned i = lane_bytes - 1; i < 16; i += lane_bytes) {
            mask |= (uint64_t)(p[k].b[i] >> 7) << bit++;
        }
    }
    return mask;
}

/* ------------------------------------------------------------------------
 * v7: dot products, AES
 */

static int64_t limit(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

SemVec sem_qpidotsb(uint64_t kind, SemVec a, SemVec b, SemVec sum)
{
    Parts x = parts(a), y = parts(b), s = parts(sum);

    for (unsigned i = 0; i < 16; i += 4) {
        int64_t dot = 0;
        for (unsigned k = i; k < i + 4; k++) {
            int p = kind == SEM_DOT_SS ? (int8_t)x.b[k] : x.b[k];
            int q = kind == SEM_DOT_UU ? y.b[k] : (int8_t)y.b[k];
            dot += p * q;
        }
        uint32_t *w = &s.w[i / 4];
        *w = kind == SEM_DOT_UU ? limit(*w + dot, 0, UINT32_MAX)
                                : limit((int32_t)*w + dot, INT32_MIN,
                                        INT32_MAX);
    }
    return s.v;
}

SemVec sem_qpidotsh(SemVec a, SemVec b, SemVec sum)
{
    Parts x = parts(a), y = parts(b), s = parts(sum);

    for (unsigned i = 0; i < 4; i++) {
        int64_t dot = (int64_t)(int16_t)x.h[2 * i] * (int16_t)y.h[2 * i] +
                      (int64_t)(int16_t)x.h[2 * i + 1] *
                          (int16_t)y.h[2 * i + 1];
        s.w[i] = limit((int32_t)s.w[i] + dot, INT32_MIN, INT32_MAX);
    }
    return s.v;
}

/* x times the polynomial X, for eight bytes at once. */
static uint64_t times_x(uint64_t v)
{
    uint64_t high = v >> 7 & UINT64_C(0x0101010101010101);

    return (v & UINT64_C(0x7f7f7f7f7f7f7f7f)) << 1 ^ high * 0x1b;
}

static SemVec times_x_vec(SemVec v)
{
    return (SemVec){times_x(v[0]), times_x(v[1])};
}

/* Each column rotated by n rows upwards. */
static SemVec rotate_columns(SemVec v, unsigned n)
{
    Parts p = parts(v);

    for (unsigned i = 0; i < 4; i++) {
        p.w[i] = p.w[i] >> 8 * n | p.w[i] << (32 - 8 * n);
    }
    return p.v;
}

/* FIPS-197 5.1.3: 2a + 3b + c + d over the rows of a column. */
static SemVec mix_columns(SemVec v)
{
    SemVec next = rotate_columns(v, 1);

    return times_x_vec(v ^ next) ^ next ^ rotate_columns(v, 2) ^
           rotate_columns(v, 3);
}

SemVec sem_qpaesltr(SemVec a, SemVec b, SemVec c)
{
    return mix_columns(a) ^ b ^ c;
}

/* The inverse is the forward mix of a + 4 (a + a two rows on). */
SemVec sem_qpaesiltr(SemVec a, SemVec b, SemVec c)
{
    SemVec four = times_x_vec(times_x_vec(a ^ rotate_columns(a, 2)));

    return mix_columns(a ^ four) ^ b ^ c;
}

/* The S-box and its inverse, filled by walking the field with 3 and 1/3. */
static const uint8_t *aes_box(bool inverse)
{
    static uint8_t box[2][256];
    static size_t ready;

    if (__atomic_load_n(&ready, __ATOMIC_ACQUIRE)) {
        return box[inverse];
    }
    uint8_t p = 1, q = 1;
    box[0][0] = 0x63;
    box[1][0x63] = 0;
    do {
        p ^= times_x(p);        /* p * 3 */
        q ^= q << 1;            /* q / 3 */
        q ^= q << 2;
        q ^= q << 4;
        q ^= q & 0x80 ? 0x09 : 0;
        uint8_t s = q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^
                    (q << 3 | q >> 5) ^ (q << 4 | q >> 4) ^ 0x63;
        box[0][p] = s;
        box[1][s] = p;
    } while (p != 1);
    __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
    return box[inverse];
}

SemVec sem_qpaesbegin(uint64_t inverse, SemVec a, SemVec b, SemVec c)
{
    const uint8_t *box = aes_box(inverse);
    Parts s = parts(a ^ b);
    Parts r;

    /* Row i of the state is bytes i, i + 4, ...; it moves by i columns. */
    for (unsigned i = 0; i < 16; i++) {
        unsigned column = inverse ? i - 4 * (i & 3) : i + 4 * (i & 3);
        r.b[i] = box[s.b[(column & 12) | (i & 3)]];
    }
    return r.v ^ c;
}

uint64_t sem_bfloat(uint64_t single)
{
    uint32_t v = single;
    uint32_t rest = v & 0xffff;
    uint32_t r = v >> 16;

    if ((v << 1) > 0xff000000u) {
        return r | 0x40; /* NaN, made quiet */
    }
    return (uint16_t)(r + (rest > 0x8000 || (rest == 0x8000 && (r & 1))));
}

SemVec sem_qpfstobf(SemVec a, SemVec b)
{
    Parts x = parts(a), y = parts(b), r = parts_d(0, 0);

    for (unsigned i = 0; i < 4; i++) {
        r.h[i] = sem_bfloat(y.w[i]);
        r.h[4 + i] = sem_bfloat(x.w[i]);
    }
    return r.v;
}
