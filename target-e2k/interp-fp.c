/*
 * Floating point of the reference interpreter, 32 and 64 bits, scalar and
 * packed: arithmetic, combined and fused operations, compares, conversions.
 * The 80-bit operations are in interp-x80.c.
 *
 * Each function computes its lanes between host_sse_begin() and fp_finish();
 * fp_finish() turns the flags into PFPFR bits and exceptions.
 *
 * Source: shared facts "isa/ops.md" sections 2, 5 and 6.
 */
#include "target-e2k/interp-fns.h"

#include <math.h>
#include <string.h>

#include "target-e2k/interp-hostfp.h"

enum {
    PFPFR_MASK_SHIFT = 7,
    PFPFR_DELAYED_SHIFT = 26,
};

static void fp_begin(Interp *in)
{
    host_sse_begin(in->cpu->pfpfr);
}

static bool is_subnormal_s(uint32_t v)
{
    return (v & 0x7f800000) == 0 && (v & 0x007fffff) != 0;
}

static bool is_subnormal_d(uint64_t v)
{
    return (v & 0x7ff0000000000000) == 0 && (v & 0x000fffffffffffff) != 0;
}

/* An exact subnormal result underflows only when the trap is enabled. */
static uint32_t exact_underflow(const Interp *in, const InterpOp *c,
                                bool single)
{
    bool tiny;

    if (in->cpu->pfpfr >> PFPFR_MASK_SHIFT & FP_UE) {
        return 0;
    }
    if (single) {
        tiny = is_subnormal_s(c->d.lo) || is_subnormal_s(c->d.lo >> 32) ||
               is_subnormal_s(c->d.hi) || is_subnormal_s(c->d.hi >> 32);
    } else {
        tiny = is_subnormal_d(c->d.lo) || is_subnormal_d(c->d.hi);
    }
    return tiny ? FP_UE : 0;
}

/*
 * A speculative operation with an invalid operand computes on the raw bits,
 * and so do its flags.
 */
static void fp_note(Interp *in, InterpOp *c, uint32_t flags)
{
    uint32_t masks = in->cpu->pfpfr >> PFPFR_MASK_SHIFT;
    uint32_t unmasked = flags & ~masks & FP_FLAGS;

    if (!unmasked) {
        in->fp_flags |= flags;
    } else if (c->op->speculative) {
        in->fp_flags |= (flags & masks) | unmasked << PFPFR_DELAYED_SHIFT;
        c->poison = true;
    } else {
        in->fp_flags |= flags;
        interp_raise_late(in, c, EXC_FP);
    }
}

static void fp_finish(Interp *in, InterpOp *c)
{
    fp_note(in, c, host_sse_end());
}

static void fp_finish_arith(Interp *in, InterpOp *c, bool single)
{
    uint32_t flags = host_sse_end();

    fp_note(in, c, flags | exact_underflow(in, c, single));
}

static unsigned width_bytes(unsigned width)
{
    return width == WIDTH_P ? 16 : width == WIDTH_S ? 4 : 8;
}

static bool name_ends(const InterpOp *c, char suffix)
{
    const char *name = insn_name(c->op->insn);

    return name[strlen(name) - 1] == suffix;
}

/* ------------------------------------------------------------------------
 * Arithmetic.  The codes are those of the combined operations.
 */

typedef enum FpCode {
    FP_ADD = 0, FP_SUB = 1, FP_HADD = 2, FP_HSUB = 3, FP_MUL = 4, FP_RSUB = 5,
    FP_ADDSUB = 7, FP_DIV, FP_MIN, FP_MAX,
} FpCode;

static uint32_t arith_s(FpCode code, uint32_t a, uint32_t b)
{
    switch (code) {
    case FP_ADD: return host_add_s(a, b);
    case FP_SUB: return host_sub_s(a, b);
    case FP_RSUB: return host_sub_s(b, a);
    case FP_MUL: return host_mul_s(a, b);
    case FP_DIV: return host_div_s(a, b);
    case FP_MIN: return host_min_s(a, b);
    default: return host_max_s(a, b);
    }
}

static uint64_t arith_d(FpCode code, uint64_t a, uint64_t b)
{
    switch (code) {
    case FP_ADD: return host_add_d(a, b);
    case FP_SUB: return host_sub_d(a, b);
    case FP_RSUB: return host_sub_d(b, a);
    case FP_MUL: return host_mul_d(a, b);
    case FP_DIV: return host_div_d(a, b);
    case FP_MIN: return host_min_d(a, b);
    default: return host_max_d(a, b);
    }
}

/* Sums or differences of neighbours: a fills the low half, b the high. */
static Lanes horizontal_s(FpCode code, Lanes a, Lanes b, unsigned n)
{
    Lanes r = {.d = {0, 0}};
    FpCode op = code == FP_HADD ? FP_ADD : FP_SUB;

    for (unsigned j = 0; j < n / 2; j++) {
        r.w[j] = arith_s(op, a.w[2 * j], a.w[2 * j + 1]);
        r.w[n / 2 + j] = arith_s(op, b.w[2 * j], b.w[2 * j + 1]);
    }
    return r;
}

static Lanes packed(FpCode code, Lanes a, Lanes b, bool single, unsigned bytes)
{
    Lanes r = {.d = {0, 0}};
    unsigned n = bytes / (single ? 4 : 8);

    if (code == FP_HADD || code == FP_HSUB) {
        return horizontal_s(code, a, b, n);
    }
    for (unsigned i = 0; i < n; i++) {
        FpCode op = code == FP_ADDSUB ? i & 1 ? FP_ADD : FP_SUB : code;
        if (single) {
            r.w[i] = arith_s(op, a.w[i], b.w[i]);
        } else {
            r.d[i] = arith_d(op, a.d[i], b.d[i]);
        }
    }
    return r;
}

static void arithmetic(Interp *in, InterpOp *c, FpCode code, bool single)
{
    fp_begin(in);
    set_lanes(c, packed(code, lanes_of(c->s1), lanes_of(c->s2), single,
                        width_bytes(c->row->dst)));
    fp_finish_arith(in, c, single);
}

static void square_root(Interp *in, InterpOp *c, uint64_t argument,
                        bool single)
{
    fp_begin(in);
    c->d.lo = single ? host_sqrt_s(argument) : host_sqrt_d(argument);
    fp_finish_arith(in, c, single);
}

void interp_farith(Interp *in, InterpOp *c)
{
    switch (c->op->insn) {
    case INSN_fadds: arithmetic(in, c, FP_ADD, true); break;
    case INSN_faddd: arithmetic(in, c, FP_ADD, false); break;
    case INSN_fsubs: arithmetic(in, c, FP_SUB, true); break;
    case INSN_fsubd: arithmetic(in, c, FP_SUB, false); break;
    case INSN_fmuls: arithmetic(in, c, FP_MUL, true); break;
    case INSN_fmuld: arithmetic(in, c, FP_MUL, false); break;
    case INSN_fdivs: arithmetic(in, c, FP_DIV, true); break;
    case INSN_fdivd: arithmetic(in, c, FP_DIV, false); break;
    case INSN_fmins: arithmetic(in, c, FP_MIN, true); break;
    case INSN_fmind: arithmetic(in, c, FP_MIN, false); break;
    case INSN_fmaxs: arithmetic(in, c, FP_MAX, true); break;
    case INSN_fmaxd: arithmetic(in, c, FP_MAX, false); break;
    case INSN_fsqrts: square_root(in, c, c->s2.lo, true); break;
    case INSN_fsqrttd: square_root(in, c, c->s1.lo, false); break;
    default: /* fsqrtid: the intermediate value is the argument */
        c->d.lo = c->s2.lo;
        break;
    }
}

void interp_pfarith(Interp *in, InterpOp *c)
{
    switch (c->op->insn) {
    case INSN_pfadds: case INSN_qpfadds: arithmetic(in, c, FP_ADD, true); break;
    case INSN_pfaddd: case INSN_qpfaddd: arithmetic(in, c, FP_ADD, false); break;
    case INSN_pfsubs: case INSN_qpfsubs: arithmetic(in, c, FP_SUB, true); break;
    case INSN_pfsubd: case INSN_qpfsubd: arithmetic(in, c, FP_SUB, false); break;
    case INSN_pfmuls: case INSN_qpfmuls: arithmetic(in, c, FP_MUL, true); break;
    case INSN_pfmuld: case INSN_qpfmuld: arithmetic(in, c, FP_MUL, false); break;
    case INSN_pfmins: case INSN_qpfmins: arithmetic(in, c, FP_MIN, true); break;
    case INSN_pfmind: case INSN_qpfmind: arithmetic(in, c, FP_MIN, false); break;
    case INSN_pfmaxs: case INSN_qpfmaxs: arithmetic(in, c, FP_MAX, true); break;
    case INSN_pfmaxd: case INSN_qpfmaxd: arithmetic(in, c, FP_MAX, false); break;
    case INSN_pfhadds: case INSN_qpfhadds: arithmetic(in, c, FP_HADD, true); break;
    case INSN_pfhsubs: case INSN_qpfhsubs: arithmetic(in, c, FP_HSUB, true); break;
    case INSN_pfaddsubs: case INSN_qpfaddsubs: arithmetic(in, c, FP_ADDSUB, true); break;
    case INSN_qpfaddsubd: arithmetic(in, c, FP_ADDSUB, false); break;
    case INSN_pfdivs: arithmetic(in, c, FP_DIV, true); break;
    case INSN_pfdivd: arithmetic(in, c, FP_DIV, false); break;
    case INSN_pfsqrts: square_root(in, c, c->s2.lo, true); break;
    default: square_root(in, c, c->s1.lo, false); break; /* pfsqrttd */
    }
}

/* d = OP2(s3, OP1(s1, s2)); the codes are in the opcode bits. */
void interp_fp_comb(Interp *in, InterpOp *c)
{
    unsigned opc = c->row->als_value >> 24;
    FpCode op1 = opc >> 1 & 7;
    FpCode op2 = (opc >> 5 & 3) | (c->row->ales_value >> 8 & 1) << 2;
    bool single = !(opc & 1);
    unsigned bytes = width_bytes(c->row->dst);

    fp_begin(in);
    Lanes t = packed(op1, lanes_of(c->s1), lanes_of(c->s2), single, bytes);
    set_lanes(c, packed(op2, lanes_of(c->s3), t, single, bytes));
    fp_finish_arith(in, c, single);
}

/* ------------------------------------------------------------------------
 * Fused multiply-add
 */

typedef enum FmaCode { FMA_ADD, FMA_SUB, FMA_NADD, FMA_NSUB } FmaCode;

static bool have_fma(void)
{
    static int known = -1;

    if (known < 0) {
        known = __builtin_cpu_supports("fma") != 0;
    }
    return known;
}

/* Without the instruction: the C library's, with signs applied before. */
static uint32_t library_fma_s(FmaCode code, uint32_t a, uint32_t b, uint32_t k)
{
    a ^= code >= FMA_NADD ? 0x80000000 : 0;
    k ^= code & 1 ? 0x80000000 : 0;
    return bits_of_float(fmaf(float_of(a), float_of(b), float_of(k)));
}

static uint64_t library_fma_d(FmaCode code, uint64_t a, uint64_t b, uint64_t k)
{
    a ^= code >= FMA_NADD ? UINT64_C(1) << 63 : 0;
    k ^= code & 1 ? UINT64_C(1) << 63 : 0;
    return bits_of_double(fma(double_of(a), double_of(b), double_of(k)));
}

static uint32_t fma_s(FmaCode code, uint32_t a, uint32_t b, uint32_t k)
{
    if (!have_fma()) {
        return library_fma_s(code, a, b, k);
    }
    switch (code) {
    case FMA_ADD: return host_fma_s(a, b, k);
    case FMA_SUB: return host_fms_s(a, b, k);
    case FMA_NADD: return host_fnma_s(a, b, k);
    default: return host_fnms_s(a, b, k);
    }
}

static uint64_t fma_d(FmaCode code, uint64_t a, uint64_t b, uint64_t k)
{
    if (!have_fma()) {
        return library_fma_d(code, a, b, k);
    }
    switch (code) {
    case FMA_ADD: return host_fma_d(a, b, k);
    case FMA_SUB: return host_fms_d(a, b, k);
    case FMA_NADD: return host_fnma_d(a, b, k);
    default: return host_fnms_d(a, b, k);
    }
}

/* Codes of even and odd lanes. */
static void fma_codes(InsnId insn, FmaCode codes[2])
{
    switch (insn) {
    case INSN_fmas: case INSN_fmad: case INSN_qpfmas: case INSN_qpfmad:
        codes[0] = codes[1] = FMA_ADD;
        break;
    case INSN_fmss: case INSN_fmsd: case INSN_qpfmss: case INSN_qpfmsd:
        codes[0] = codes[1] = FMA_SUB;
        break;
    case INSN_fnmas: case INSN_fnmad: case INSN_qpfnmas: case INSN_qpfnmad:
        codes[0] = codes[1] = FMA_NADD;
        break;
    case INSN_fnmss: case INSN_fnmsd: case INSN_qpfnmss: case INSN_qpfnmsd:
        codes[0] = codes[1] = FMA_NSUB;
        break;
    case INSN_qpfmass: case INSN_qpfmasd:
        codes[0] = FMA_ADD;
        codes[1] = FMA_SUB;
        break;
    default: /* qpfmsas, qpfmsad */
        codes[0] = FMA_SUB;
        codes[1] = FMA_ADD;
        break;
    }
}

void interp_fma(Interp *in, InterpOp *c)
{
    bool single = name_ends(c, 's');
    unsigned n = width_bytes(c->row->dst) / (single ? 4 : 8);
    Lanes a = lanes_of(c->s1);
    Lanes b = lanes_of(c->s2);
    Lanes k = lanes_of(c->s3);
    Lanes r = {.d = {0, 0}};
    FmaCode codes[2];

    fma_codes(c->op->insn, codes);
    fp_begin(in);
    for (unsigned i = 0; i < n; i++) {
        if (single) {
            r.w[i] = fma_s(codes[i & 1], a.w[i], b.w[i], k.w[i]);
        } else {
            r.d[i] = fma_d(codes[i & 1], a.d[i], b.d[i], k.d[i]);
        }
    }
    set_lanes(c, r);
    fp_finish_arith(in, c, single);
}

/* ------------------------------------------------------------------------
 * Compares.  The code eq lt le uod neq nlt nle od is in the opcode: the low
 * bits of ALES, or ALS[7:5] for predicates.
 */

void interp_fcmp_reg(Interp *in, InterpOp *c)
{
    bool single = c->row->src1 == WIDTH_S;
    unsigned k = c->row->ales_value & 7;

    fp_begin(in);
    if (single) {
        c->d.lo = host_compare_s(k, c->s1.lo, c->s2.lo) ? UINT32_MAX : 0;
    } else {
        c->d.lo = host_compare_d(k, c->s1.lo, c->s2.lo) ? UINT64_MAX : 0;
    }
    fp_finish(in, c);
}

void interp_pfcmp(Interp *in, InterpOp *c)
{
    Lanes a = lanes_of(c->s1);
    Lanes b = lanes_of(c->s2);
    Lanes r = {.d = {0, 0}};
    bool single = name_ends(c, 's');
    unsigned n = width_bytes(c->row->dst) / (single ? 4 : 8);
    unsigned k = c->row->ales_value & 7;

    fp_begin(in);
    for (unsigned i = 0; i < n; i++) {
        if (single) {
            r.w[i] = host_compare_s(k, a.w[i], b.w[i]) ? UINT32_MAX : 0;
        } else {
            r.d[i] = host_compare_d(k, a.d[i], b.d[i]) ? UINT64_MAX : 0;
        }
    }
    set_lanes(c, r);
    fp_finish(in, c);
}

void interp_fcmp_pred(Interp *in, InterpOp *c)
{
    unsigned k = c->row->als_value >> 5 & 7;

    if (insn_name(c->op->insn)[1] == 'x') {
        interp_x80_compare(in, c, k);
        return;
    }
    fp_begin(in);
    c->pred = c->row->src1 == WIDTH_S
                  ? host_compare_s(k, c->s1.lo, c->s2.lo)
                  : host_compare_d(k, c->s1.lo, c->s2.lo);
    fp_finish(in, c);
}

void interp_fcmp_flags(Interp *in, InterpOp *c)
{
    const char *name = insn_name(c->op->insn);
    bool signalling = strstr(name, "cmpod") != NULL;
    uint64_t a = c->s1.lo;
    uint64_t b = c->s2.lo;

    if (c->row->src1 == WIDTH_X) {
        interp_x80_relation(in, c, signalling);
        return;
    }
    fp_begin(in);
    if (c->row->src1 == WIDTH_S) {
        c->d.lo = signalling ? host_comis_s(a, b) : host_ucomis_s(a, b);
    } else {
        c->d.lo = signalling ? host_comis_d(a, b) : host_ucomis_d(a, b);
    }
    fp_finish(in, c);
}

/* ------------------------------------------------------------------------
 * Conversions
 */

/* One lane: from and to are 's', 'd' (float), 'w', 'l' (integer). */
static uint64_t convert(char from, char to, bool truncate, uint64_t v)
{
    switch (from << 8 | to) {
    case 's' << 8 | 'w': return truncate ? host_s_to_w_tr(v) : host_s_to_w(v);
    case 's' << 8 | 'l': return truncate ? host_s_to_l_tr(v) : host_s_to_l(v);
    case 'd' << 8 | 'w': return truncate ? host_d_to_w_tr(v) : host_d_to_w(v);
    case 'd' << 8 | 'l': return truncate ? host_d_to_l_tr(v) : host_d_to_l(v);
    case 'w' << 8 | 's': return host_w_to_s(v);
    case 'w' << 8 | 'd': return host_w_to_d(v);
    case 'l' << 8 | 's': return host_l_to_s(v);
    case 'l' << 8 | 'd': return host_l_to_d(v);
    case 's' << 8 | 'd': return host_s_to_d(v);
    default: return host_d_to_s(v);
    }
}

typedef struct Conversion {
    uint16_t insn;
    char from;
    char to;
    bool truncate;
    uint8_t lanes;
} Conversion;

static const Conversion conversions[] = {
    {INSN_fstois, 's', 'w', false, 1},   {INSN_fstoistr, 's', 'w', true, 1},
    {INSN_istofs, 'w', 's', false, 1},   {INSN_fdtoid, 'd', 'l', false, 1},
    {INSN_fdtoidtr, 'd', 'l', true, 1},  {INSN_idtofd, 'l', 'd', false, 1},
    {INSN_fstoid, 's', 'l', false, 1},   {INSN_fstoidtr, 's', 'l', true, 1},
    {INSN_istofd, 'w', 'd', false, 1},   {INSN_fstofd, 's', 'd', false, 1},
    {INSN_fdtois, 'd', 'w', false, 1},   {INSN_fdtoistr, 'd', 'w', true, 1},
    {INSN_idtofs, 'l', 's', false, 1},   {INSN_fdtofs, 'd', 's', false, 1},
    {INSN_pfstois, 's', 'w', false, 2},  {INSN_pfstoistr, 's', 'w', true, 2},
    {INSN_pistofs, 'w', 's', false, 2},  {INSN_pfstofd, 's', 'd', false, 1},
    {INSN_pfdtois, 'd', 'w', false, 1},  {INSN_pfdtoistr, 'd', 'w', true, 1},
    {INSN_pfdtofs, 'd', 's', false, 1},  {INSN_qpfstois, 's', 'w', false, 4},
    {INSN_qpfstoistr, 's', 'w', true, 4}, {INSN_qpistofs, 'w', 's', false, 4},
    {INSN_qpfstoid, 's', 'l', false, 2}, {INSN_qpfstoidtr, 's', 'l', true, 2},
    {INSN_qpistofd, 'w', 'd', false, 2}, {INSN_qpfstofd, 's', 'd', false, 2},
    {INSN_qpfdtois, 'd', 'w', false, 2}, {INSN_qpfdtoistr, 'd', 'w', true, 2},
    {INSN_qpidtofs, 'l', 's', false, 2}, {INSN_qpfdtofs, 'd', 's', false, 2},
    {INSN_qpfdtoid, 'd', 'l', false, 2}, {INSN_qpfdtoidtr, 'd', 'l', true, 2},
    {INSN_qpidtofd, 'l', 'd', false, 2},
};

static bool is_32_bit(char format)
{
    return format == 's' || format == 'w';
}

static const Conversion *find_conversion(InsnId insn)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(conversions); i++) {
        if (conversions[i].insn == insn) {
            return &conversions[i];
        }
    }
    return NULL;
}

static void convert_lanes(Interp *in, InterpOp *c, const Conversion *k)
{
    Lanes source = lanes_of(c->s2);
    Lanes r = {.d = {0, 0}};

    fp_begin(in);
    for (unsigned i = 0; i < k->lanes; i++) {
        uint64_t v = is_32_bit(k->from) ? source.w[i] : source.d[i];
        v = convert(k->from, k->to, k->truncate, v);
        if (is_32_bit(k->to)) {
            r.w[i] = v;
        } else {
            r.d[i] = v;
        }
    }
    set_lanes(c, r);
    fp_finish(in, c);
}

/* To integral values; s1 is the control, ops.md section 2 (fstoifs). */
static void round_lanes(Interp *in, InterpOp *c)
{
    bool single = name_ends(c, 's');
    unsigned n = width_bytes(c->row->dst) / (single ? 4 : 8);
    unsigned control = c->s1.lo;
    bool quiet = control >> 3 & 1;
    uint32_t pfpfr = in->cpu->pfpfr;
    Lanes source = lanes_of(c->s2);
    Lanes r = {.d = {0, 0}};

    if (!(control & 4)) {
        pfpfr = (pfpfr & ~(3u << FP_RC_SHIFT)) | (control & 3) << FP_RC_SHIFT;
    }
    host_sse_begin(pfpfr);
    for (unsigned i = 0; i < n; i++) {
        if (single) {
            r.w[i] = host_round_s(source.w[i], quiet);
        } else {
            r.d[i] = host_round_d(source.d[i], quiet);
        }
    }
    set_lanes(c, r);
    fp_finish(in, c);
}

/* High half of a rounded single: nearest even, NaN quieted; ops.md 6.1. */
uint16_t interp_to_bfloat(uint32_t v)
{
    if ((v & 0x7fffffff) > 0x7f800000) {
        return v >> 16 | 0x40;
    }
    return (v + 0x7fff + (v >> 16 & 1)) >> 16;
}

static void convert_to_bfloat(InterpOp *c)
{
    Lanes a = lanes_of(c->s1);
    Lanes b = lanes_of(c->s2);
    Lanes r = {.d = {0, 0}};

    for (unsigned i = 0; i < 4; i++) {
        r.h[i] = interp_to_bfloat(b.w[i]);
        r.h[4 + i] = interp_to_bfloat(a.w[i]);
    }
    set_lanes(c, r);
}

void interp_fconv(Interp *in, InterpOp *c)
{
    const Conversion *k = find_conversion(c->op->insn);

    if (k) {
        convert_lanes(in, c, k);
    } else if (c->op->insn == INSN_fstoifs || c->op->insn == INSN_fdtoifd) {
        round_lanes(in, c);
    } else {
        interp_x80_convert(in, c);
    }
}

void interp_pfconv(Interp *in, InterpOp *c)
{
    const Conversion *k = find_conversion(c->op->insn);

    if (k) {
        convert_lanes(in, c, k);
    } else if (c->op->insn == INSN_qpfstobf) {
        convert_to_bfloat(c);
    } else {
        round_lanes(in, c);
    }
}

/* ------------------------------------------------------------------------
 * Scaling and approximations
 */

static double power_of_two(int n)
{
    return double_of((uint64_t)(n + 1023) << 52);
}

/* Exact in double, rounded once by the conversion. */
static void scale_single(Interp *in, InterpOp *c)
{
    int n = CLAMP((int32_t)c->s2.lo, -400, 400);

    fp_begin(in);
    uint64_t wide = host_s_to_d(c->s1.lo);
    wide = host_mul_d(wide, bits_of_double(power_of_two(n)));
    c->d.lo = host_d_to_s(wide);
    fp_finish_arith(in, c, true);
}

/* Exact in extended precision, rounded once by the store. */
static void scale_double(Interp *in, InterpOp *c)
{
    uint32_t pfpfr = in->cpu->pfpfr;
    int n = CLAMP((int32_t)c->s2.lo, -5000, 5000);

    host_x87_begin(X87_PC_EXTENDED | (pfpfr >> FP_RC_SHIFT & 3) << 10);
    c->d.lo = host_x_to_d(host_x_scale(host_d_to_x(c->s1.lo), n));
    uint32_t flags = host_x87_end();
    if ((pfpfr & FP_FZ) && ((flags & FP_UE) || is_subnormal_d(c->d.lo))) {
        c->d.lo &= UINT64_C(1) << 63;
        flags |= FP_UE | FP_PE;
    }
    fp_note(in, c, flags | exact_underflow(in, c, false));
}

void interp_fscale(Interp *in, InterpOp *c)
{
    switch (c->op->insn) {
    case INSN_fscales: scale_single(in, c); break;
    case INSN_fscaled: scale_double(in, c); break;
    default: interp_x80_scale(in, c); break;
    }
}

/* Correctly rounded where the hardware promises 12 bits; no flags. */
void interp_fapprox(Interp *in, InterpOp *c)
{
    uint64_t one = bits_of_double(1.0);

    host_sse_begin(MXCSR_DEFAULT);
    uint64_t x = host_s_to_d(c->s2.lo);
    if (c->op->insn == INSN_frsqrts) {
        x = host_sqrt_d(x);
    }
    c->d.lo = host_d_to_s(host_div_d(one, x));
    host_sse_end();
}
