/*
 * Packed integer operations of the reference interpreter, on 8 and on 16
 * bytes.  Lanes are numbered from the least significant.  Source: shared
 * facts "isa/ops.md" sections 4 and 6; v7 additions are in interp-v7.c.
 */
#include "target-e2k/interp-fns.h"

#include <string.h>

/* Bytes an operation works on. */
static unsigned bytes_of(const InterpOp *c)
{
    return c->row->dst == WIDTH_P || c->row->src1 == WIDTH_P ||
                   c->row->src2 == WIDTH_P ? 16 : 8;
}

static int64_t saturate(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

static int64_t saturate_signed(int64_t v, unsigned bits)
{
    return saturate(v, -(INT64_C(1) << (bits - 1)),
                    (INT64_C(1) << (bits - 1)) - 1);
}

static int64_t saturate_unsigned(int64_t v, unsigned bits)
{
    return saturate(v, 0, (INT64_C(1) << bits) - 1);
}

/* Lane i of size bytes, read as unsigned or signed. */
static uint64_t get_u(const Lanes *l, unsigned size, unsigned i)
{
    switch (size) {
    case 1: return l->b[i];
    case 2: return l->h[i];
    case 4: return l->w[i];
    default: return l->d[i];
    }
}

static int64_t get_s(const Lanes *l, unsigned size, unsigned i)
{
    switch (size) {
    case 1: return l->sb[i];
    case 2: return l->sh[i];
    case 4: return l->sw[i];
    default: return l->sd[i];
    }
}

static void put(Lanes *l, unsigned size, unsigned i, uint64_t v)
{
    switch (size) {
    case 1: l->b[i] = v; break;
    case 2: l->h[i] = v; break;
    case 4: l->w[i] = v; break;
    default: l->d[i] = v; break;
    }
}

/* ------------------------------------------------------------------------
 * Lane-wise operations: one line per mnemonic pair (64 and 128 bits).
 */

#define EACH(size)                                                            \
    for (unsigned i = 0, n = bytes_of(c) / (size); i < n; i++)
#define U1 get_u(&a, size, i)
#define U2 get_u(&b, size, i)
#define S1 get_s(&a, size, i)
#define S2 get_s(&b, size, i)

/* A case for name and qp-name: r.lane[i] = expression for every lane. */
#define LANE_CASE(name, bytes, expression)                                    \
    case INSN_p##name:                                                        \
    case INSN_qp##name: {                                                     \
        enum { size = bytes };                                                \
        EACH(size) {                                                          \
            put(&r, size, i, expression);                                     \
        }                                                                     \
        break;                                                                \
    }

#define LANES_BEGIN                                                           \
    Lanes a = lanes_of(c->s1);                                                \
    Lanes b = lanes_of(c->s2);                                                \
    Lanes r = {.d = {0, 0}};

void interp_plogic(Interp *in, InterpOp *c)
{
    LANES_BEGIN

    switch (c->op->insn) {
    case INSN_pandd: case INSN_qpand:
        EACH(8) { r.d[i] = a.d[i] & b.d[i]; }
        break;
    case INSN_pandnd: case INSN_qpandn:
        EACH(8) { r.d[i] = a.d[i] & ~b.d[i]; }
        break;
    case INSN_pord: case INSN_qpor:
        EACH(8) { r.d[i] = a.d[i] | b.d[i]; }
        break;
    default:
        EACH(8) { r.d[i] = a.d[i] ^ b.d[i]; }
        break;
    }
    set_lanes(c, r);
}

void interp_paddsub(Interp *in, InterpOp *c)
{
    LANES_BEGIN

    switch (c->op->insn) {
    LANE_CASE(addb, 1, U1 + U2)
    LANE_CASE(addh, 2, U1 + U2)
    LANE_CASE(addw, 4, U1 + U2)
    LANE_CASE(addd, 8, U1 + U2)
    LANE_CASE(subb, 1, U1 - U2)
    LANE_CASE(subh, 2, U1 - U2)
    LANE_CASE(subw, 4, U1 - U2)
    LANE_CASE(subd, 8, U1 - U2)
    LANE_CASE(addsb, 1, saturate_signed(S1 + S2, 8))
    LANE_CASE(addsh, 2, saturate_signed(S1 + S2, 16))
    LANE_CASE(subsb, 1, saturate_signed(S1 - S2, 8))
    LANE_CASE(subsh, 2, saturate_signed(S1 - S2, 16))
    LANE_CASE(addusb, 1, saturate_unsigned(U1 + U2, 8))
    LANE_CASE(addush, 2, saturate_unsigned(U1 + U2, 16))
    LANE_CASE(subusb, 1, saturate_unsigned((int64_t)U1 - (int64_t)U2, 8))
    LANE_CASE(subush, 2, saturate_unsigned((int64_t)U1 - (int64_t)U2, 16))
    }
    set_lanes(c, r);
}

void interp_pminmax(Interp *in, InterpOp *c)
{
    LANES_BEGIN

    switch (c->op->insn) {
    LANE_CASE(minub, 1, MIN(U1, U2))
    LANE_CASE(minsb, 1, MIN(S1, S2))
    LANE_CASE(minuh, 2, MIN(U1, U2))
    LANE_CASE(minsh, 2, MIN(S1, S2))
    LANE_CASE(minuw, 4, MIN(U1, U2))
    LANE_CASE(minsw, 4, MIN(S1, S2))
    LANE_CASE(maxub, 1, MAX(U1, U2))
    LANE_CASE(maxsb, 1, MAX(S1, S2))
    LANE_CASE(maxuh, 2, MAX(U1, U2))
    LANE_CASE(maxsh, 2, MAX(S1, S2))
    LANE_CASE(maxuw, 4, MAX(U1, U2))
    LANE_CASE(maxsw, 4, MAX(S1, S2))
    }
    set_lanes(c, r);
}

void interp_pavg(Interp *in, InterpOp *c)
{
    LANES_BEGIN

    switch (c->op->insn) {
    LANE_CASE(avgusb, 1, (U1 + U2 + 1) >> 1)
    LANE_CASE(avgush, 2, (U1 + U2 + 1) >> 1)
    }
    set_lanes(c, r);
}

#define ALL_ONES(condition) ((condition) ? ~UINT64_C(0) : 0)

void interp_pcmp(Interp *in, InterpOp *c)
{
    LANES_BEGIN

    switch (c->op->insn) {
    LANE_CASE(cmpeqb, 1, ALL_ONES(U1 == U2))
    LANE_CASE(cmpeqh, 2, ALL_ONES(U1 == U2))
    LANE_CASE(cmpeqw, 4, ALL_ONES(U1 == U2))
    LANE_CASE(cmpeqd, 8, ALL_ONES(U1 == U2))
    LANE_CASE(cmpgtb, 1, ALL_ONES(S1 > S2))
    LANE_CASE(cmpgth, 2, ALL_ONES(S1 > S2))
    LANE_CASE(cmpgtw, 4, ALL_ONES(S1 > S2))
    LANE_CASE(cmpgtd, 8, ALL_ONES(S1 > S2))
    }
    set_lanes(c, r);
}

#define SIGN_OF(v) ((v) < 0 ? -1 : (v) > 0)

void interp_psign(Interp *in, InterpOp *c)
{
    LANES_BEGIN

    switch (c->op->insn) {
    LANE_CASE(signb, 1, S1 * SIGN_OF(S2))
    LANE_CASE(signh, 2, S1 * SIGN_OF(S2))
    LANE_CASE(signw, 4, S1 * SIGN_OF(S2))
    }
    set_lanes(c, r);
}

void interp_pmul(Interp *in, InterpOp *c)
{
    LANES_BEGIN

    switch (c->op->insn) {
    LANE_CASE(mullh, 2, U1 * U2)
    LANE_CASE(mulhh, 2, S1 * S2 >> 16)
    LANE_CASE(mulhuh, 2, U1 * U2 >> 16)
    LANE_CASE(mulhrsh, 2, ((S1 * S2 >> 14) + 1) >> 1)
    LANE_CASE(mullw, 4, U1 * U2)
    case INSN_pmulubhh:
    case INSN_qpmulubhh:
        for (unsigned i = 0; i < bytes_of(c) / 2; i++) {
            r.h[i] = (a.b[i] * b.sh[i] + 0x80) >> 8;
        }
        break;
    }
    set_lanes(c, r);
}

void interp_pmadd(Interp *in, InterpOp *c)
{
    LANES_BEGIN

    if (c->op->insn == INSN_pmaddh || c->op->insn == INSN_qpmaddh) {
        EACH(4) {
            r.w[i] = (uint32_t)(a.sh[2 * i] * b.sh[2 * i]) +
                     (uint32_t)(a.sh[2 * i + 1] * b.sh[2 * i + 1]);
        }
    } else {
        EACH(2) {
            r.h[i] = saturate_signed(a.sb[2 * i] * b.b[2 * i] +
                                     a.sb[2 * i + 1] * b.b[2 * i + 1], 16);
        }
    }
    set_lanes(c, r);
}

/* ------------------------------------------------------------------------
 * Shifts
 */

#define SHIFT_LEFT(bits) (count >= (bits) ? 0 : U1 << count)
#define SHIFT_RIGHT(bits) (count >= (bits) ? 0 : U1 >> count)
#define SHIFT_SIGN(bits) (S1 >> (count >= (bits) ? (bits) - 1 : count))
#define ROTATE(bits)                                                          \
    (count % (bits) ? U1 >> count % (bits) | U1 << ((bits) - count % (bits))  \
                    : U1)

/* The four shifts of the pair s1:s2 by bytes; ops.md section 4. */
static uint64_t shift_pair(const InterpOp *c)
{
    unsigned n = c->op->imm8;
    uint64_t high = c->s1.lo;
    uint64_t low = c->s2.lo;

    switch (c->op->insn) {
    case INSN_psllql: return n > 7 ? 0 : low << 8 * n;
    case INSN_psrlqh: return n > 7 ? 0 : high >> 8 * n;
    case INSN_psllqh:
        if (n == 0 || n > 15) {
            return n ? 0 : high;
        }
        return n < 8 ? high << 8 * n | low >> (64 - 8 * n) : low << (8 * n - 64);
    default: /* psrlql */
        if (n == 0 || n > 15) {
            return n ? 0 : low;
        }
        return n < 8 ? low >> 8 * n | high << (64 - 8 * n)
                     : high >> (8 * n - 64);
    }
}

void interp_pshift(Interp *in, InterpOp *c)
{
    uint64_t count = c->s2.lo;
    LANES_BEGIN

    (void)b;
    switch (c->op->insn) {
    LANE_CASE(sllh, 2, SHIFT_LEFT(16))
    LANE_CASE(sllw, 4, SHIFT_LEFT(32))
    LANE_CASE(slld, 8, SHIFT_LEFT(64))
    LANE_CASE(srlh, 2, SHIFT_RIGHT(16))
    LANE_CASE(srlw, 4, SHIFT_RIGHT(32))
    LANE_CASE(srld, 8, SHIFT_RIGHT(64))
    LANE_CASE(srah, 2, SHIFT_SIGN(16))
    LANE_CASE(sraw, 4, SHIFT_SIGN(32))
    LANE_CASE(srcw, 4, ROTATE(32))
    LANE_CASE(srcd, 8, ROTATE(64))
    case INSN_qpsrad: {
        enum { size = 8 };
        EACH(size) {
            r.d[i] = SHIFT_SIGN(64);
        }
        break;
    }
    default:
        r.d[0] = shift_pair(c);
        break;
    }
    set_lanes(c, r);
}

/* ------------------------------------------------------------------------
 * Horizontal operations
 */

/* Lane 2j and 2j + 1 of one source, combined. */
static int64_t horizontal(const Lanes *l, unsigned size, unsigned j, bool sub,
                          bool sat)
{
    int64_t x = get_s(l, size, 2 * j);
    int64_t y = get_s(l, size, 2 * j + 1);
    int64_t v = sub ? x - y : x + y;

    return sat ? saturate_signed(v, 8 * size) : v;
}

void interp_phaddsub(Interp *in, InterpOp *c)
{
    unsigned size = 2;
    bool sub = false;
    bool sat = false;
    LANES_BEGIN

    switch (c->op->insn) {
    case INSN_phaddw: case INSN_qphaddw: size = 4; break;
    case INSN_phaddsh: case INSN_qphaddsh: sat = true; break;
    case INSN_phsubh: case INSN_qphsubh: sub = true; break;
    case INSN_phsubw: case INSN_qphsubw: sub = true; size = 4; break;
    case INSN_phsubsh: case INSN_qphsubsh: sub = true; sat = true; break;
    default: break;
    }
    unsigned half = bytes_of(c) / size / 2;
    for (unsigned j = 0; j < half; j++) {
        put(&r, size, j, horizontal(&a, size, j, sub, sat));
        put(&r, size, half + j, horizontal(&b, size, j, sub, sat));
    }
    set_lanes(c, r);
}

static unsigned sad8(const uint8_t *a, const uint8_t *b, unsigned n)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < n; i++) {
        sum += a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
    }
    return sum;
}

/* Sums of four differences at eight-byte source positions 0..3. */
static uint64_t mpsad(uint64_t s1, uint64_t s2)
{
    Lanes a = {.d = {s1, 0}};
    Lanes b = {.d = {s2, 0}};
    Lanes r = {.d = {0, 0}};

    for (unsigned i = 0; i < 4; i++) {
        r.h[i] = sad8(a.b + i, b.b, 4);
    }
    return r.d[0];
}

void interp_psad(Interp *in, InterpOp *c)
{
    LANES_BEGIN

    if (c->op->insn == INSN_mpsadbh) {
        r.d[0] = mpsad(c->s1.lo, c->s2.lo);
    } else {
        EACH(8) {
            r.d[i] = sad8(a.b + 8 * i, b.b + 8 * i, 8);
        }
    }
    set_lanes(c, r);
}

void interp_qpmpsadbh(Interp *in, InterpOp *c)
{
    c->d.lo = mpsad(c->s1.lo, c->s2.lo);
    c->d.hi = mpsad(c->s1.hi, c->s2.lo);
}

/* The first minimum of n lanes at most 16: value and index. */
static uint64_t minimum_position(const uint16_t *h, unsigned n)
{
    unsigned best = 0;

    for (unsigned i = 1; i < n; i++) {
        if (h[i] < h[best]) {
            best = i;
        }
    }
    return h[best] | best << 16;
}

void interp_phminposuh(Interp *in, InterpOp *c)
{
    Lanes l = {.d = {c->s1.lo, c->s2.lo}};

    c->d.lo = minimum_position(l.h, 8);
}

void interp_qphminposuh(Interp *in, InterpOp *c)
{
    uint16_t h[16];
    Lanes a = lanes_of(c->s1);
    Lanes b = lanes_of(c->s2);

    memcpy(h, a.h, 16);
    memcpy(h + 8, b.h, 16);
    c->d.lo = minimum_position(h, 16);
}

/* Any or all lanes of a compare, to a predicate. */
void interp_pcmp_pred(Interp *in, InterpOp *c)
{
    const char *name = insn_name(c->op->insn); /* ...{b,h,w,d}{op,ap} */
    const char *lane = strchr("bhwd", name[strlen(name) - 3]);
    unsigned size = !lane ? 8 : *lane == 'b' ? 1 : *lane == 'h' ? 2
                    : *lane == 'w' ? 4 : 8;
    bool all = g_str_has_suffix(name, "ap");
    bool greater = strstr(name, "gt") != NULL;
    bool any_true = false;
    bool all_true = true;
    LANES_BEGIN

    (void)r;
    EACH(size) {
        bool t = greater ? S1 > S2 : U1 == U2;
        any_true |= t;
        all_true &= t;
    }
    c->pred = all ? all_true : any_true;
}

/* ------------------------------------------------------------------------
 * Rearrangement
 */

void interp_punpck(Interp *in, InterpOp *c)
{
    unsigned size = 1;
    bool high = false;
    LANES_BEGIN

    switch (c->op->insn) {
    case INSN_punpckhbh: high = true; break;
    case INSN_punpcklbh: break;
    case INSN_punpckhhw: high = true; size = 2; break;
    case INSN_punpcklhw: size = 2; break;
    case INSN_punpckhwd: high = true; size = 4; break;
    default: size = 4; break;
    }
    unsigned half = 8 / size / 2;
    for (unsigned j = 0; j < half; j++) {
        unsigned from = high ? half + j : j;
        put(&r, size, 2 * j, get_u(&b, size, from));
        put(&r, size, 2 * j + 1, get_u(&a, size, from));
    }
    set_lanes(c, r);
}

void interp_pack(InterpOp *c, unsigned size, bool is_signed)
{
    unsigned half = bytes_of(c) / size;
    unsigned bits = 8 * size / 2;
    LANES_BEGIN

    for (unsigned i = 0; i < half; i++) {
        int64_t low = get_s(&b, size, i);
        int64_t high = get_s(&a, size, i);
        put(&r, size / 2, i, is_signed ? saturate_signed(low, bits)
                                       : saturate_unsigned(low, bits));
        put(&r, size / 2, half + i,
            is_signed ? saturate_signed(high, bits)
                      : saturate_unsigned(high, bits));
    }
    set_lanes(c, r);
}

void interp_ppack(Interp *in, InterpOp *c)
{
    switch (c->op->insn) {
    case INSN_packsshb: case INSN_qpacksshb: interp_pack(c, 2, true); break;
    case INSN_packushb: case INSN_qpackushb: interp_pack(c, 2, false); break;
    case INSN_packsswh: case INSN_qpacksswh: interp_pack(c, 4, true); break;
    default: interp_pack(c, 4, false); break;
    }
}

static uint64_t sign_mask(const Lanes *l, unsigned size, unsigned bytes)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < bytes / size; i++) {
        mask |= (uint64_t)(get_s(l, size, i) < 0) << i;
    }
    return mask;
}

void interp_sign_masks(InterpOp *c, unsigned size)
{
    unsigned bytes = bytes_of(c);
    Lanes a = lanes_of(c->s1);
    Lanes b = lanes_of(c->s2);

    c->d.lo = sign_mask(&b, size, bytes) |
              sign_mask(&a, size, bytes) << bytes / size;
}

void interp_pmovmskb(Interp *in, InterpOp *c)
{
    interp_sign_masks(c, 1);
}

void interp_pmovmskps(Interp *in, InterpOp *c)
{
    interp_sign_masks(c, 4);
}

void interp_pmovmskpd(Interp *in, InterpOp *c)
{
    interp_sign_masks(c, 8);
}

void interp_pshufh(Interp *in, InterpOp *c)
{
    Lanes r = {.d = {0, 0}};
    Lanes b = lanes_of(c->s2);

    for (unsigned i = 0; i < 4; i++) {
        r.h[i] = b.h[c->op->imm8 >> 2 * i & 3];
    }
    set_lanes(c, r);
}

void interp_pshufw(Interp *in, InterpOp *c)
{
    Lanes r = {.d = {0, 0}};
    Lanes source = {.d = {c->s2.lo, c->s1.lo}};

    for (unsigned i = 0; i < 2; i++) {
        r.w[i] = source.w[c->op->imm8 >> 2 * i & 3];
    }
    set_lanes(c, r);
}

void interp_pinsh(Interp *in, InterpOp *c)
{
    Lanes r = lanes_of(c->s1);

    if (c->op->imm8 < 4) {
        r.h[c->op->imm8] = c->s2.lo;
    }
    set_lanes(c, r);
}

void interp_pextrh(Interp *in, InterpOp *c)
{
    Lanes source = {.d = {c->s2.lo, c->s1.lo}};

    c->d.lo = source.h[c->op->imm8 & 7];
}

void interp_pmerge(Interp *in, InterpOp *c)
{
    Lanes s3 = lanes_of(c->s3);
    LANES_BEGIN

    EACH(1) {
        r.b[i] = s3.sb[i] < 0 ? b.b[i] : a.b[i];
    }
    set_lanes(c, r);
}

static uint8_t reverse_byte(uint8_t v)
{
    uint8_t r = 0;

    for (unsigned i = 0; i < 8; i++) {
        r |= (v >> i & 1) << (7 - i);
    }
    return r;
}

/* Control bits in this order: invert, reverse, fill with the sign. */
static uint8_t adjust_byte(uint8_t v, unsigned control)
{
    if (control & 1) {
        v = ~v;
    }
    if (control & 2) {
        v = reverse_byte(v);
    }
    if (control & 4) {
        v = (int8_t)v < 0 ? 0xff : 0;
    }
    return v;
}

/* pshufb of the byte table high:low; ops.md 4.1. */
static uint64_t shuffle_bytes(unsigned isa, uint64_t high, uint64_t low,
                              uint64_t controls)
{
    static const uint8_t constants[8] = {0, 0, 0x7f, 0, 0x80, 0, 0xff, 0};
    Lanes table = {.d = {low, high}};
    Lanes control = {.d = {controls, 0}};
    Lanes r = {.d = {0, 0}};

    for (unsigned i = 0; i < 8; i++) {
        uint8_t k = control.b[i];
        if (k & 0x80) {
            r.b[i] = isa >= 4 ? constants[k >> 4 & 7] : 0;
        } else {
            r.b[i] = adjust_byte(table.b[k & 15], isa >= 4 ? k >> 4 : 0);
        }
    }
    return r.d[0];
}

void interp_pshufb(Interp *in, InterpOp *c)
{
    c->d.lo = shuffle_bytes(in->isa, c->s1.lo, c->s2.lo, c->s3.lo);
}

void interp_qpshufb(Interp *in, InterpOp *c)
{
    c->d.lo = shuffle_bytes(in->isa, c->s2.hi, c->s2.lo, c->s3.lo);
    c->d.hi = shuffle_bytes(in->isa, c->s1.hi, c->s1.lo, c->s3.hi);
}

void interp_qppermb(Interp *in, InterpOp *c)
{
    Lanes a = lanes_of(c->s1);
    Lanes b = lanes_of(c->s2);
    Lanes control = lanes_of(c->s3);
    Lanes r = {.d = {0, 0}};

    for (unsigned i = 0; i < 16; i++) {
        uint8_t k = control.b[i];
        uint8_t v = k & 16 ? a.b[k & 15] : b.b[k & 15];
        r.b[i] = adjust_byte(v, k >> 5);
    }
    set_lanes(c, r);
}

/* Bit i of the result: bit s1:s2:s3 of the truth table. */
static uint64_t truth_table(unsigned table, uint64_t a, uint64_t b, uint64_t k)
{
    uint64_t r = 0;

    for (unsigned i = 0; i < 8; i++) {
        if (table >> i & 1) {
            r |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? k : ~k);
        }
    }
    return r;
}

void interp_plog(Interp *in, InterpOp *c)
{
    unsigned table = c->op->imm8;

    c->d.lo = truth_table(table, c->s1.lo, c->s2.lo, c->s3.lo);
    c->d.hi = truth_table(table, c->s1.hi, c->s2.hi, c->s3.hi);
}

void interp_qpcext(Interp *in, InterpOp *c)
{
    uint64_t byte = c->op->insn == INSN_qpcext_0x7f   ? 0x7f
                    : c->op->insn == INSN_qpcext_0x80 ? 0x80
                    : c->op->insn == INSN_qpcext_0xff ? 0xff : 0;

    c->d.lo = c->s2.lo;
    c->d.hi = byte * UINT64_C(0x0101010101010101);
}
