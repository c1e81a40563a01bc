/*
 * Integer operations of the reference interpreter: logic, arithmetic, shifts,
 * bit fields, combined operations, compares, multiplication and division,
 * merges, moves and tags.  Source: shared facts "isa/ops.md" sections 1 and 7.
 */
#include "target-e2k/interp-fns.h"

typedef unsigned __int128 Wide;

static uint64_t width_mask(bool wide)
{
    return wide ? ~UINT64_C(0) : UINT32_MAX;
}

static unsigned width_bits(bool wide)
{
    return wide ? 64 : 32;
}

static int64_t as_signed(uint64_t v, bool wide)
{
    return wide ? (int64_t)v : (int32_t)v;
}

/* x must be inside the width; n is reduced modulo the width. */
static uint64_t rotate_right(uint64_t x, unsigned n, bool wide)
{
    unsigned bits = width_bits(wide);

    n %= bits;
    return n ? (x >> n | x << (bits - n)) & width_mask(wide) : x;
}

/* ------------------------------------------------------------------------
 * Bit fields; ops.md 1.1 to 1.3
 */

typedef struct FieldSelector {
    unsigned off;
    unsigned len;
    bool sign;
    unsigned byte;
} FieldSelector;

static FieldSelector field_selector(uint64_t s2, bool wide)
{
    return (FieldSelector){
        .off = s2 & (wide ? 63 : 31),
        .len = s2 >> 6 & (wide ? 63 : 31),
        .sign = s2 >> 12 & 1,
        .byte = s2 >> 13 & (wide ? 7 : 3),
    };
}

uint64_t interp_extract_field(unsigned isa, uint64_t s1, uint64_t s2, bool wide)
{
    FieldSelector f = field_selector(s2, wide);
    uint64_t ones = ~UINT64_C(0) << f.len;
    uint64_t v = rotate_right(s1, f.off, wide) & ~ones;
    bool sign;

    if (isa <= 4) {
        sign = s1 >> (8 * f.byte + ((f.off + f.len - 1) & 7)) & 1;
    } else {
        sign = f.len && (v >> (f.len - 1) & 1);
    }
    if (f.sign && sign) {
        v |= ones;
    }
    return v & width_mask(wide);
}

void interp_getf(Interp *in, InterpOp *c)
{
    c->d.lo = interp_extract_field(in->isa, c->s1.lo, c->s2.lo, interp_is_wide(c));
}

/* As getf; the selector's byte field says how many low bits are cleared. */
void interp_getfz(Interp *in, InterpOp *c)
{
    unsigned z = c->s2.lo >> 13 & 7;

    interp_getf(in, c);
    c->d.lo = c->d.lo >> z << z;
}

/* A length above 31 of insfs is not documented: taken modulo 32, as getfs. */
void interp_insf(Interp *in, InterpOp *c)
{
    bool wide = interp_is_wide(c);
    FieldSelector f = field_selector(c->s2.lo, wide);
    uint64_t mask = (UINT64_C(1) << f.len) - 1;
    unsigned tags1 = wide && (c->s2.lo >> 13 & 1) ? 3 : 15;
    unsigned tags3 = wide && (c->s2.lo >> 15 & 1) ? 3 : 15;

    if ((c->s1.tag & tags1) || c->s2.tag || (c->s3.tag & tags3)) {
        interp_invalid_operand(in, c);
    }
    c->d.lo = (rotate_right(c->s1.lo, f.off, wide) & ~mask) | (c->s3.lo & mask);
}

/* ------------------------------------------------------------------------
 * Two-operand operations, alone and combined; ops.md 1.4
 */

typedef enum AluCode {
    ALU_AND, ALU_ANDN, ALU_OR, ALU_ORN, ALU_XOR, ALU_XORN, ALU_RSUB,
    ALU_MERGE, ALU_ADD, ALU_SUB, ALU_SCL, ALU_SCR, ALU_SHL, ALU_SHR, ALU_SAR,
    ALU_GETF,
} AluCode;

static uint64_t alu(const Interp *in, AluCode code, uint64_t a, uint64_t b,
                    bool wide, bool condition)
{
    unsigned bits = width_bits(wide);
    unsigned n = b & (bits - 1);
    uint64_t r;

    switch (code) {
    case ALU_AND: r = a & b; break;
    case ALU_ANDN: r = a & ~b; break;
    case ALU_OR: r = a | b; break;
    case ALU_ORN: r = a | ~b; break;
    case ALU_XOR: r = a ^ b; break;
    case ALU_XORN: r = a ^ ~b; break;
    case ALU_RSUB: r = b - a; break;
    case ALU_MERGE: r = condition ? b : a; break;
    case ALU_ADD: r = a + b; break;
    case ALU_SUB: r = a - b; break;
    case ALU_SCL: r = rotate_right(a, bits - n, wide); break;
    case ALU_SCR: r = rotate_right(a, n, wide); break;
    case ALU_SHL: r = a << n; break;
    case ALU_SHR: r = a >> n; break;
    case ALU_SAR: r = as_signed(a, wide) >> n; break;
    default: r = interp_extract_field(in->isa, a, b, wide); break;
    }
    return r & width_mask(wide);
}

void interp_comb(Interp *in, InterpOp *c)
{
    bool wide = interp_is_wide(c);
    unsigned opc = c->row->als_value >> 24;
    AluCode op1 = opc >> 1 & 15;
    AluCode op2 = (opc >> 5 & 3) | (c->row->ales_value >> 8 & 3) << 2;
    bool condition = (c->row->flags & F_MRGC) && interp_merge_condition(in, c);
    uint64_t t = alu(in, op1, c->s1.lo, c->s2.lo, wide, condition);

    c->d.lo = alu(in, op2, c->s3.lo, t, wide, condition);
}

static void single(Interp *in, InterpOp *c, AluCode code)
{
    c->d.lo = alu(in, code, c->s1.lo, c->s2.lo, interp_is_wide(c), false);
}

void interp_logic(Interp *in, InterpOp *c)
{
    switch (c->op->insn) {
    case INSN_ands: case INSN_andd: single(in, c, ALU_AND); break;
    case INSN_andns: case INSN_andnd: single(in, c, ALU_ANDN); break;
    case INSN_ors: case INSN_ord: single(in, c, ALU_OR); break;
    case INSN_orns: case INSN_ornd: single(in, c, ALU_ORN); break;
    case INSN_xors: case INSN_xord: single(in, c, ALU_XOR); break;
    default: single(in, c, ALU_XORN); break;
    }
}

void interp_addsub(Interp *in, InterpOp *c)
{
    bool add = c->op->insn == INSN_adds || c->op->insn == INSN_addd;

    single(in, c, add ? ALU_ADD : ALU_SUB);
}

void interp_shift(Interp *in, InterpOp *c)
{
    switch (c->op->insn) {
    case INSN_scls: case INSN_scld: single(in, c, ALU_SCL); break;
    case INSN_scrs: case INSN_scrd: single(in, c, ALU_SCR); break;
    case INSN_shls: case INSN_shld: single(in, c, ALU_SHL); break;
    case INSN_shrs: case INSN_shrd: single(in, c, ALU_SHR); break;
    default: single(in, c, ALU_SAR); break;
    }
}

void interp_sxt(Interp *in, InterpOp *c)
{
    unsigned bits = c->s1.lo & 2 ? 32 : c->s1.lo & 1 ? 16 : 8;
    uint64_t up = c->s2.lo << (64 - bits);

    c->d.lo = c->s1.lo & 4 ? up >> (64 - bits)
                           : (uint64_t)((int64_t)up >> (64 - bits));
}

static uint64_t reverse_bits(uint64_t v)
{
    uint64_t r = 0;

    for (unsigned i = 0; i < 64; i++) {
        r |= (v >> i & 1) << (63 - i);
    }
    return r;
}

void interp_bitcount(Interp *in, InterpOp *c)
{
    uint64_t v = c->s2.lo;

    switch (c->op->insn) {
    case INSN_bitrevs: c->d.lo = reverse_bits(v) >> 32; break;
    case INSN_bitrevd: c->d.lo = reverse_bits(v); break;
    case INSN_lzcnts: c->d.lo = v ? __builtin_clz(v) : 32; break;
    case INSN_lzcntd: c->d.lo = v ? __builtin_clzll(v) : 64; break;
    default: c->d.lo = __builtin_popcountll(v); break;
    }
}

void interp_addcd(Interp *in, InterpOp *c)
{
    Wide carry = c->s3.lo & 1;
    Wide sum = (Wide)c->s1.lo + c->s2.lo + carry;

    switch (c->op->insn) {
    case INSN_addcd: c->d.lo = sum; break;
    case INSN_addcd_c: c->d.lo = sum >> 64; break;
    case INSN_subcd: c->d.lo = c->s1.lo - c->s2.lo - (uint64_t)carry; break;
    default: c->d.lo = (Wide)c->s1.lo < (Wide)c->s2.lo + carry; break;
    }
}

void interp_clmul(Interp *in, InterpOp *c)
{
    Wide product = 0;

    for (unsigned i = 0; i < 64; i++) {
        if (c->s2.lo >> i & 1) {
            product ^= (Wide)c->s1.lo << i;
        }
    }
    c->d.lo = c->op->insn == INSN_clmull ? product : product >> 64;
}

/* ------------------------------------------------------------------------
 * Multiplication and division
 */

void interp_mul(Interp *in, InterpOp *c)
{
    uint64_t a = c->s1.lo;
    uint64_t b = c->s2.lo;

    switch (c->op->insn) {
    case INSN_muls: c->d.lo = (uint32_t)(a * b); break;
    case INSN_muld:
    case INSN_umulx: c->d.lo = a * b; break;
    case INSN_smulx: c->d.lo = (int64_t)(int32_t)a * (int32_t)b; break;
    case INSN_umulhd: c->d.lo = (Wide)a * b >> 64; break;
    default:
        c->d.lo = (__int128)(int64_t)a * (int64_t)b >> 64;
        break;
    }
}

static void division_fault(Interp *in, InterpOp *c)
{
    if (c->op->speculative) {
        c->poison = true;
    } else {
        interp_raise_late(in, c, EXC_DIV);
    }
}

static int64_t divide_signed(int64_t a, int64_t b)
{
    if (b == -1) { /* also the one quotient that does not fit */
        return -(uint64_t)a;
    }
    return a / b;
}

void interp_div(Interp *in, InterpOp *c)
{
    uint64_t a = c->s1.lo;
    uint64_t b = c->s2.lo;
    bool wide = interp_is_wide(c);

    if (b == 0) {
        division_fault(in, c);
        return;
    }
    switch (c->op->insn) {
    case INSN_udivs: case INSN_udivd: c->d.lo = a / b; break;
    case INSN_udivx:
        if (a / b > UINT32_MAX) {
            division_fault(in, c);
        }
        c->d.lo = (uint32_t)(a / b);
        break;
    case INSN_sdivx: {
        __int128 q = (__int128)(int64_t)a / (int32_t)b;
        if (q != (int32_t)q) {
            division_fault(in, c);
        }
        c->d.lo = (uint32_t)q;
        break;
    }
    default:
        c->d.lo = divide_signed(as_signed(a, wide), as_signed(b, wide)) &
                  width_mask(wide);
        break;
    }
}

void interp_mod(Interp *in, InterpOp *c)
{
    uint64_t a = c->s1.lo;
    uint64_t b = c->s2.lo;

    if (b == 0) {
        division_fault(in, c);
    } else if (c->op->insn == INSN_umodx) {
        if (a / b > UINT32_MAX) {
            division_fault(in, c);
        }
        c->d.lo = (uint32_t)(a % b);
    } else {
        __int128 n = (int64_t)a;
        __int128 q = n / (int32_t)b;
        if (q != (int32_t)q) {
            division_fault(in, c);
        }
        c->d.lo = (uint32_t)(n % (int32_t)b);
    }
}

/* ------------------------------------------------------------------------
 * Compares; ops.md 1.5.  The condition code is ALS[7:5].
 */

enum { CC_O, CC_B, CC_E, CC_BE, CC_S, CC_P, CC_L, CC_LE };

static bool even_parity(uint64_t t)
{
    return !(__builtin_popcount(t & 0xff) & 1);
}

void interp_cmp(Interp *in, InterpOp *c)
{
    bool wide = c->row->src1 == WIDTH_D;
    uint64_t a = c->s1.lo;
    uint64_t b = c->s2.lo;
    uint64_t t = (a - b) & width_mask(wide);
    int64_t sa = as_signed(a, wide);
    int64_t sb = as_signed(b, wide);
    bool negative = as_signed(t, wide) < 0;

    switch (c->row->als_value >> 5 & 7) {
    case CC_O: c->pred = negative != (sa < sb); break;
    case CC_B: c->pred = a < b; break;
    case CC_E: c->pred = a == b; break;
    case CC_BE: c->pred = a <= b; break;
    case CC_S: c->pred = negative; break;
    case CC_P: c->pred = even_parity(t); break;
    case CC_L: c->pred = sa < sb; break;
    default: c->pred = sa <= sb; break;
    }
}

void interp_cmpand(Interp *in, InterpOp *c)
{
    bool wide = c->row->src1 == WIDTH_D;
    uint64_t t = c->s1.lo & c->s2.lo;
    int64_t st = as_signed(t, wide);

    switch (c->row->als_value >> 5 & 7) {
    case CC_E: c->pred = t == 0; break;
    case CC_S: c->pred = st < 0; break;
    case CC_P: c->pred = even_parity(t); break;
    default: c->pred = st <= 0; break;
    }
}

/* EFLAGS bits. */
enum {
    FLAG_C = 1 << 0,
    FLAG_P = 1 << 2,
    FLAG_A = 1 << 4,
    FLAG_Z = 1 << 6,
    FLAG_S = 1 << 7,
    FLAG_O = 1 << 11,
};

void interp_cctop(Interp *in, InterpOp *c)
{
    uint32_t f = c->s2.lo;
    bool less = !(f & FLAG_S) != !(f & FLAG_O);

    switch (c->row->als_value >> 5 & 7) {
    case CC_O: c->pred = f & FLAG_O; break;
    case CC_B: c->pred = f & FLAG_C; break;
    case CC_E: c->pred = f & FLAG_Z; break;
    case CC_BE: c->pred = f & (FLAG_C | FLAG_Z); break;
    case CC_S: c->pred = f & FLAG_S; break;
    case CC_P: c->pred = f & FLAG_P; break;
    case CC_L: c->pred = less; break;
    default: c->pred = less || (f & FLAG_Z); break;
    }
}

/*
 * The flags that an x86 processor would have after the operation on the low 8,
 * 16, 32 or 64 bits; what it leaves undefined (FLAG_A of logic) is 0.  Width
 * and operation are in the code: extension groups 4 to 7, opcodes in pairs.
 */
void interp_x86_flags(Interp *in, InterpOp *c)
{
    unsigned bits = 8 << ((c->row->ales_value >> 8) - 4);
    uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    uint64_t top = UINT64_C(1) << (bits - 1);
    uint64_t a = c->s1.lo & mask;
    uint64_t b = c->s2.lo & mask;
    uint64_t r = 0;
    uint32_t f = 0;

    switch (c->row->als_value >> 25 & 0x3f) {
    case 0: r = a & b; break;
    case 1: r = a & ~b; break;
    case 2: r = a | b; break;
    case 3: r = a | ~b; break;
    case 4: r = a ^ b; break;
    case 5: r = ~(a ^ b); break;
    case 8:
        r = (a + b) & mask;
        f |= r < a ? FLAG_C : 0;
        f |= (a ^ r) & (b ^ r) & top ? FLAG_O : 0;
        f |= (a ^ b ^ r) & 0x10 ? FLAG_A : 0;
        break;
    default:
        r = (a - b) & mask;
        f |= a < b ? FLAG_C : 0;
        f |= (a ^ b) & (a ^ r) & top ? FLAG_O : 0;
        f |= (a ^ b ^ r) & 0x10 ? FLAG_A : 0;
        break;
    }
    r &= mask;
    f |= even_parity(r) ? FLAG_P : 0;
    f |= r == 0 ? FLAG_Z : 0;
    f |= r & top ? FLAG_S : 0;
    c->d.lo = f;
}

/* ------------------------------------------------------------------------
 * Merges, moves, tags
 */

/* Only the operand that is selected is looked at; semantics.md 2.2. */
void interp_merge(Interp *in, InterpOp *c)
{
    bool second = interp_merge_condition(in, c);

    c->d = second ? c->s2 : c->s1;
    if (c->d.tag) {
        interp_invalid_operand(in, c);
    }
    c->d.tag = 0;
}

void interp_movt(Interp *in, InterpOp *c)
{
    c->d = c->s2;
    c->keep_upper = true;
}

void interp_gettag(Interp *in, InterpOp *c)
{
    c->d.lo = c->s2.tag;
}

void interp_puttag(Interp *in, InterpOp *c)
{
    unsigned mask = c->row->dst == WIDTH_S ? 3 : c->row->dst == WIDTH_D ? 15
                                                                        : 255;
    unsigned tag = c->s2.lo & mask;

    if (c->s2.tag) {
        interp_invalid_operand(in, c);
    }
    c->d = c->s1;
    c->d.tag = tag;
    if (c->s1.tag && tag) {
        c->poison = true;
    }
}

/* ops.md section 8: in flat modes the label is the address itself. */
void interp_getpl(Interp *in, InterpOp *c)
{
    c->d.lo = (uint32_t)c->s2.lo;
}
