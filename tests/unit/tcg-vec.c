/*
 * Vector and floating-point operations against their meaning in C, lane by
 * lane: on whole vectors and on 64-bit values, with and without AVX, in
 * registers and in memory.
 */
#include <math.h>
#include <string.h>

#include <glib.h>

#include "tcg/tcg-int.h"
#include "tests/unit/tcg-test.h"

typedef union Vec {
    uint8_t b[16];
    uint16_t h[8];
    uint32_t w[4];
    uint64_t d[2];
    float f[4];
    double g[2];
} Vec;

typedef struct TestCpu {
    uint64_t ip;
    Vec v[3] __attribute__((aligned(16)));
    uint64_t r[3];
    TcgCpu tcg;
} TestCpu;

static TestCpu cpu;
static uint64_t next_ip = 0x1000;

/* --- lanes ------------------------------------------------------------------ */

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

#define LANES(name, lane, type, n, expression) \
    static void name(Vec *to, const Vec *va, const Vec *vb, unsigned imm) \
    { \
        for (unsigned i = 0; i < n; i++) { \
            type a = (type)va->lane[i]; \
            type b = (type)vb->lane[i]; \
            (void)a; \
            (void)b; \
            to->lane[i] = expression; \
        } \
    }

LANES(do_and, d, uint64_t, 2, a & b)
LANES(do_or, d, uint64_t, 2, a | b)
LANES(do_xor, d, uint64_t, 2, a ^ b)
LANES(do_andn, d, uint64_t, 2, ~a & b)
LANES(addb, b, uint8_t, 16, a + b)
LANES(addh, h, uint16_t, 8, a + b)
LANES(addw, w, uint32_t, 4, a + b)
LANES(addd, d, uint64_t, 2, a + b)
LANES(subb, b, uint8_t, 16, a - b)
LANES(subh, h, uint16_t, 8, a - b)
LANES(subw, w, uint32_t, 4, a - b)
LANES(subd, d, uint64_t, 2, a - b)
LANES(addsb, b, int8_t, 16, clamp(a + b, -128, 127))
LANES(addsh, h, int16_t, 8, clamp(a + b, -32768, 32767))
LANES(addusb, b, uint8_t, 16, clamp(a + b, 0, 255))
LANES(addush, h, uint16_t, 8, clamp(a + b, 0, 65535))
LANES(subsb, b, int8_t, 16, clamp(a - b, -128, 127))
LANES(subsh, h, int16_t, 8, clamp(a - b, -32768, 32767))
LANES(subusb, b, uint8_t, 16, clamp(a - b, 0, 255))
LANES(subush, h, uint16_t, 8, clamp(a - b, 0, 65535))
LANES(mulh, h, int16_t, 8, (uint32_t)(a * b))
LANES(mulhh, h, int16_t, 8, (a * b) >> 16)
LANES(mulhuh, h, uint16_t, 8, ((uint32_t)a * b) >> 16)
LANES(mulw, w, uint32_t, 4, a * b)
LANES(muld, d, uint64_t, 2, (uint64_t)(uint32_t)a * (uint32_t)b)
LANES(mulsd, d, uint64_t, 2, (int64_t)(int32_t)a * (int32_t)b)
LANES(avgb, b, uint8_t, 16, (a + b + 1) >> 1)
LANES(avgh, h, uint16_t, 8, (a + b + 1) >> 1)
LANES(cmpeqb, b, uint8_t, 16, a == b ? 0xff : 0)
LANES(cmpeqh, h, uint16_t, 8, a == b ? 0xffff : 0)
LANES(cmpeqw, w, uint32_t, 4, a == b ? ~0u : 0)
LANES(cmpeqd, d, uint64_t, 2, a == b ? ~UINT64_C(0) : 0)
LANES(cmpgtb, b, int8_t, 16, a > b ? 0xff : 0)
LANES(cmpgth, h, int16_t, 8, a > b ? 0xffff : 0)
LANES(cmpgtw, w, int32_t, 4, a > b ? ~0u : 0)
LANES(cmpgtd, d, int64_t, 2, a > b ? ~UINT64_C(0) : 0)
LANES(minub, b, uint8_t, 16, MIN(a, b))
LANES(minsb, b, int8_t, 16, MIN(a, b))
LANES(minuh, h, uint16_t, 8, MIN(a, b))
LANES(minsh, h, int16_t, 8, MIN(a, b))
LANES(minuw, w, uint32_t, 4, MIN(a, b))
LANES(minsw, w, int32_t, 4, MIN(a, b))
LANES(maxub, b, uint8_t, 16, MAX(a, b))
LANES(maxsb, b, int8_t, 16, MAX(a, b))
LANES(maxuh, h, uint16_t, 8, MAX(a, b))
LANES(maxsh, h, int16_t, 8, MAX(a, b))
LANES(maxuw, w, uint32_t, 4, MAX(a, b))
LANES(maxsw, w, int32_t, 4, MAX(a, b))
LANES(signb, b, int8_t, 16, b < 0 ? -a : b ? a : 0)
LANES(signh, h, int16_t, 8, b < 0 ? -a : b ? a : 0)
LANES(signw, w, uint32_t, 4, (int32_t)b < 0 ? -a : b ? a : 0)
LANES(shlhi, h, uint16_t, 8, imm > 15 ? 0 : a << imm)
LANES(shlwi, w, uint32_t, 4, imm > 31 ? 0 : a << imm)
LANES(shldi, d, uint64_t, 2, imm > 63 ? 0 : a << imm)
LANES(shrhi, h, uint16_t, 8, imm > 15 ? 0 : a >> imm)
LANES(shrwi, w, uint32_t, 4, imm > 31 ? 0 : a >> imm)
LANES(shrdi, d, uint64_t, 2, imm > 63 ? 0 : a >> imm)
LANES(sarhi, h, int16_t, 8, a >> MIN(imm, 15))
LANES(sarwi, w, int32_t, 4, a >> MIN(imm, 31))
LANES(faddps, f, float, 4, a + b)
LANES(fsubps, f, float, 4, a - b)
LANES(fmulps, f, float, 4, a * b)
LANES(fdivps, f, float, 4, a / b)
LANES(fminps, f, float, 4, a < b ? a : b)
LANES(fmaxps, f, float, 4, a > b ? a : b)
LANES(faddpd, g, double, 2, a + b)
LANES(fsubpd, g, double, 2, a - b)
LANES(fmulpd, g, double, 2, a * b)
LANES(fdivpd, g, double, 2, a / b)
LANES(fminpd, g, double, 2, a < b ? a : b)
LANES(fmaxpd, g, double, 2, a > b ? a : b)
LANES(fsqrtps, f, float, 4, sqrtf(a))
LANES(fsqrtpd, g, double, 2, sqrt(a))
LANES(cvtpiws, f, float, 4, (float)(int32_t)va->w[i])

#define UNPACK(name, lane, half, high) \
    static void name(Vec *to, const Vec *a, const Vec *b, unsigned imm) \
    { \
        for (unsigned i = 0; i < half; i++) { \
            to->lane[2 * i] = a->lane[i + (high ? half : 0)]; \
            to->lane[2 * i + 1] = b->lane[i + (high ? half : 0)]; \
        } \
    }
UNPACK(unpacklb, b, 8, 0)
UNPACK(unpacklh, h, 4, 0)
UNPACK(unpacklw, w, 2, 0)
UNPACK(unpackld, d, 1, 0)
UNPACK(unpackhb, b, 8, 1)
UNPACK(unpackhh, h, 4, 1)
UNPACK(unpackhw, w, 2, 1)
UNPACK(unpackhd, d, 1, 1)

#define PACK(name, from, to_lane, type, n, low, high) \
    static void name(Vec *to, const Vec *a, const Vec *b, unsigned imm) \
    { \
        for (unsigned i = 0; i < n; i++) { \
            to->to_lane[i] = clamp((type)a->from[i], low, high); \
            to->to_lane[i + n] = clamp((type)b->from[i], low, high); \
        } \
    }
PACK(packhsb, h, b, int16_t, 8, -128, 127)
PACK(packhub, h, b, int16_t, 8, 0, 255)
PACK(packwsh, w, h, int32_t, 4, -32768, 32767)
PACK(packwuh, w, h, int32_t, 4, 0, 65535)

#define HORIZONTAL(name, lane, type, half, expression) \
    static void name(Vec *to, const Vec *va, const Vec *vb, unsigned imm) \
    { \
        for (unsigned i = 0; i < 2 * half; i++) { \
            const Vec *from = i < half ? va : vb; \
            int64_t a = (type)from->lane[2 * (i % half)]; \
            int64_t b = (type)from->lane[2 * (i % half) + 1]; \
            to->lane[i] = expression; \
        } \
    }
HORIZONTAL(haddh, h, int16_t, 4, a + b)
HORIZONTAL(haddw, w, int32_t, 2, a + b)
HORIZONTAL(haddsh, h, int16_t, 4, clamp(a + b, -32768, 32767))
HORIZONTAL(hsubh, h, int16_t, 4, a - b)
HORIZONTAL(hsubw, w, int32_t, 2, a - b)
HORIZONTAL(hsubsh, h, int16_t, 4, clamp(a - b, -32768, 32767))

static void maddh(Vec *to, const Vec *a, const Vec *b, unsigned imm)
{
    for (unsigned i = 0; i < 4; i++) {
        to->w[i] = (uint32_t)((int16_t)a->h[2 * i] * (int16_t)b->h[2 * i]) +
                   (int16_t)a->h[2 * i + 1] * (int16_t)b->h[2 * i + 1];
    }
}

static void sadb(Vec *to, const Vec *a, const Vec *b, unsigned imm)
{
    for (unsigned k = 0; k < 2; k++) {
        to->d[k] = 0;
        for (unsigned i = 8 * k; i < 8 * k + 8; i++) {
            to->d[k] += ABS(a->b[i] - b->b[i]);
        }
    }
}

static void shufb(Vec *to, const Vec *a, const Vec *b, unsigned imm)
{
    for (unsigned i = 0; i < 16; i++) {
        to->b[i] = b->b[i] & 0x80 ? 0 : a->b[b->b[i] & 15];
    }
}

static void permw(Vec *to, const Vec *a, const Vec *b, unsigned imm)
{
    for (unsigned i = 0; i < 4; i++) {
        to->w[i] = a->w[imm >> (2 * i) & 3];
    }
}

static void align(Vec *to, const Vec *a, const Vec *b, unsigned imm)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned from = i + (imm & 0xff);

        to->b[i] = from < 16 ? b->b[from] : from < 32 ? a->b[from - 16] : 0;
    }
}

static void shlq(Vec *to, const Vec *a, const Vec *b, unsigned imm)
{
    for (unsigned i = 0; i < 16; i++) {
        to->b[i] = i >= imm ? a->b[i - imm] : 0;
    }
}

static void shrq(Vec *to, const Vec *a, const Vec *b, unsigned imm)
{
    for (unsigned i = 0; i < 16; i++) {
        to->b[i] = i + imm < 16 ? a->b[i + imm] : 0;
    }
}

typedef void VecFn(Vec *to, const Vec *a, const Vec *b, unsigned imm);

#define T(op, fn) {IR_##op, fn, #op}
static const struct {
    IrOpcode opcode;
    VecFn *fn;
    const char *name;
} cases[] = {
    T(vand, do_and), T(vor, do_or), T(vxor, do_xor), T(vandn, do_andn),
    T(vaddb, addb), T(vaddh, addh), T(vaddw, addw), T(vaddd, addd),
    T(vsubb, subb), T(vsubh, subh), T(vsubw, subw), T(vsubd, subd),
    T(vaddsb, addsb), T(vaddsh, addsh), T(vaddusb, addusb),
    T(vaddush, addush), T(vsubsb, subsb), T(vsubsh, subsh),
    T(vsubusb, subusb), T(vsubush, subush), T(vmulh, mulh),
    T(vmulhh, mulhh), T(vmulhuh, mulhuh), T(vmulw, mulw), T(vmulud, muld),
    T(vmulsd, mulsd), T(vmaddh, maddh), T(vavgb, avgb), T(vavgh, avgh),
    T(vsadb, sadb), T(vcmpeqb, cmpeqb), T(vcmpeqh, cmpeqh),
    T(vcmpeqw, cmpeqw), T(vcmpeqd, cmpeqd), T(vcmpgtb, cmpgtb),
    T(vcmpgth, cmpgth), T(vcmpgtw, cmpgtw), T(vcmpgtd, cmpgtd),
    T(vminub, minub), T(vminsb, minsb), T(vminuh, minuh), T(vminsh, minsh),
    T(vminuw, minuw), T(vminsw, minsw), T(vmaxub, maxub), T(vmaxsb, maxsb),
    T(vmaxuh, maxuh), T(vmaxsh, maxsh), T(vmaxuw, maxuw), T(vmaxsw, maxsw),
    T(vpackhsb, packhsb), T(vpackhub, packhub), T(vpackwsh, packwsh),
    T(vpackwuh, packwuh), T(vunpacklb, unpacklb), T(vunpacklh, unpacklh),
    T(vunpacklw, unpacklw), T(vunpackld, unpackld), T(vunpackhb, unpackhb),
    T(vunpackhh, unpackhh), T(vunpackhw, unpackhw), T(vunpackhd, unpackhd),
    T(vhaddh, haddh), T(vhaddw, haddw), T(vhaddsh, haddsh),
    T(vhsubh, hsubh), T(vhsubw, hsubw), T(vhsubsh, hsubsh),
    T(vsignb, signb), T(vsignh, signh), T(vsignw, signw), T(vshufb, shufb),
    T(vshlhi, shlhi), T(vshlwi, shlwi), T(vshldi, shldi), T(vshrhi, shrhi),
    T(vshrwi, shrwi), T(vshrdi, shrdi), T(vsarhi, sarhi), T(vsarwi, sarwi),
    T(vshlq, shlq), T(vshrq, shrq), T(vpermw, permw), T(valign, align),
    T(faddps, faddps), T(fsubps, fsubps), T(fmulps, fmulps),
    T(fdivps, fdivps), T(fminps, fminps), T(fmaxps, fmaxps),
    T(faddpd, faddpd), T(fsubpd, fsubpd), T(fmulpd, fmulpd),
    T(fdivpd, fdivpd), T(fminpd, fminpd), T(fmaxpd, fmaxpd),
    T(fsqrtps, fsqrtps), T(fsqrtpd, fsqrtpd), T(cvtpiws, cvtpiws),
};
#undef T

static bool is_fp(IrOpcode opcode)
{
    return ir_op_infos[opcode].vec & IRV_FP;
}

static void random_vec(Vec *v, bool fp)
{
    for (unsigned i = 0; i < 4; i++) {
        v->w[i] = g_test_rand_int();
        if (g_test_rand_int() % 3 == 0) {
            v->w[i] = g_test_rand_int() % 2 ? 0x7fff8000 : 0xffffffff;
        }
    }
    for (unsigned i = 0; fp && i < 4; i++) {
        v->f[i] = g_test_rand_double_range(-1000, 1000);
    }
}

static IrReg operand(Ir *ir, unsigned i, bool narrow, bool memory)
{
    size_t offset = narrow ? offsetof(TestCpu, r) + 8 * i
                           : offsetof(TestCpu, v) + 16 * i;
    unsigned size = narrow ? 8 : 16;

    if (memory) {
        return ir_global(ir, ir_cpu(ir), offset, size, 0, "v");
    }
    IrReg t = narrow ? ir_temp(ir) : ir_temp_v128(ir);

    ir_ld(ir, size, t, ir_cpu(ir), offset);
    return t;
}

/* narrow: 64-bit values, whose upper halves count as zero. */
static void check(unsigned at, bool narrow, bool memory, unsigned dst_on)
{
    IrOpcode opcode = cases[at].opcode;
    unsigned imm = ir_op_infos[opcode].vec & (IRV_I | IRV_SH)
                       ? g_test_rand_int_range(0, 34) : 0;
    Ir *ir = ir_begin(next_ip += 16, 0);
    IrReg r[3];

    for (unsigned i = 0; i < 3; i++) {
        r[i] = operand(ir, i, narrow, memory);
    }
    if (ir_op_infos[opcode].n_src == 1) {
        ir_vec1(ir, opcode, r[dst_on], r[0], imm);
    } else {
        ir_vec2(ir, opcode, r[dst_on], r[0], r[1], imm);
    }
    if (!memory) {
        ir_st(ir, narrow ? 8 : 16, ir_cpu(ir),
              narrow ? offsetof(TestCpu, r[2]) : offsetof(TestCpu, v[2]),
              r[dst_on]);
    }
    ir_exit(ir, 1, IR_NONE);

    TcgRange range = {ir->ip, ir->ip + 8};
    TcgRegion *region = tcg_compile(ir, TCG_TIER_FULL, &range, 1, NULL, 0);
    Vec a;
    Vec b;
    Vec expect;

    g_assert_nonnull(region);
    for (unsigned round = 0; round < 4; round++) {
        random_vec(&a, is_fp(opcode) && opcode != IR_cvtpiws);
        random_vec(&b, is_fp(opcode));
        if (opcode == IR_fsqrtps || opcode == IR_fsqrtpd) {
            for (unsigned i = 0; i < 4; i++) {
                a.w[i] &= 0x7fffffff;
            }
        }
        cpu.v[0] = a;
        cpu.v[1] = b;
        cpu.r[0] = a.d[0];
        cpu.r[1] = b.d[0];
        if (narrow) {
            a.d[1] = b.d[1] = 0;
        }
        cases[at].fn(&expect, &a, &b, imm);
        tcg_run(&cpu, region);
        const Vec *got = narrow ? (Vec *)&cpu.r[memory ? dst_on : 2]
                                : &cpu.v[memory ? dst_on : 2];

        if (got->d[0] != expect.d[0] ||
            (!narrow && got->d[1] != expect.d[1])) {
            g_error("%s imm %u narrow %d memory %d dst %u: %lx %lx, "
                    "expected %lx %lx", cases[at].name, imm, narrow, memory,
                    dst_on, got->d[1], got->d[0], expect.d[1], expect.d[0]);
        }
    }
}

static void check_all(void)
{
    for (unsigned at = 0; at < G_N_ELEMENTS(cases); at++) {
        for (unsigned shape = 0; shape < 12; shape++) {
            bool narrow = shape & 1;

            /* 0 / 0 in unused lanes is not the C function's business. */
            if (narrow && is_fp(cases[at].opcode)) {
                continue;
            }
            check(at, narrow, shape & 2, shape / 4);
        }
    }
}

static void test_vec(gconstpointer disabled)
{
    tcg_config.disabled = GPOINTER_TO_UINT(disabled);
    check_all();
    tcg_config.disabled = 0;
}

/* A 64-bit value keeps a zero upper half whatever made it. */
static void test_upper_half(void)
{
    Ir *ir = ir_begin(0x100, 0);
    IrReg a = ir_temp(ir);
    IrReg t = ir_temp(ir);
    IrReg wide = ir_temp_v128(ir);
    IrReg zero = ir_const(ir, 0);

    ir_ld(ir, 8, a, ir_cpu(ir), offsetof(TestCpu, r));
    ir_vec2(ir, IR_vcmpeqb, t, a, a, 0);
    ir_vec2(ir, IR_vor, wide, t, zero, 0);
    ir_st(ir, 16, ir_cpu(ir), offsetof(TestCpu, v), wide);
    ir_vec2(ir, IR_vunpacklb, t, a, a, 0);
    ir_vec2(ir, IR_vor, wide, t, zero, 0);
    ir_st(ir, 16, ir_cpu(ir), offsetof(TestCpu, v[1]), wide);
    ir_exit(ir, 1, IR_NONE);
    TcgRange range = {0x100, 0x108};

    cpu.r[0] = UINT64_C(0x8877665544332211);
    tcg_run(&cpu, tcg_compile(ir, TCG_TIER_FULL, &range, 1, NULL, 0));
    g_assert_cmphex(cpu.v[0].d[0], ==, ~UINT64_C(0));
    g_assert_cmphex(cpu.v[0].d[1], ==, 0);
    g_assert_cmphex(cpu.v[1].d[0], ==, UINT64_C(0x4444333322221111));
    g_assert_cmphex(cpu.v[1].d[1], ==, 0);
}

static void test_scalar(void)
{
    static const double values[] = {0, 1.5, -2.25, 1e300, -1e-300, 3};

    for (unsigned i = 0; i < 36; i++) {
        double x = values[i / 6];
        double y = values[i % 6];
        Ir *ir = ir_begin(next_ip += 16, 0);
        IrReg a = ir_temp(ir);
        IrReg b = ir_temp(ir);
        IrReg t = ir_temp(ir);
        IrReg flags = ir_temp(ir);
        IrReg sum = ir_const(ir, 0);

        ir_ld(ir, 8, a, ir_cpu(ir), offsetof(TestCpu, r));
        ir_ld(ir, 8, b, ir_cpu(ir), offsetof(TestCpu, r[1]));
        for (IrCond cond = IR_EQ; cond <= IR_GT; cond++) {
            ir_fsetcond(ir, cond, 8, flags, a, b, false);
            sum = ir_new2(ir, IR_or, 8, sum,
                          ir_new2i(ir, IR_shl, 8, flags, cond));
        }
        ir_vec2(ir, IR_fmuld, t, a, b, 0);
        ir_vec2(ir, IR_faddd, t, t, b, 0);
        ir_st(ir, 8, ir_cpu(ir), offsetof(TestCpu, r[2]), t);
        ir_st(ir, 8, ir_cpu(ir), offsetof(TestCpu, v), sum);
        ir_vec1(ir, IR_cvtfdwz, t, b, 0);
        ir_vec1(ir, IR_cvtwfd, t, t, 0);
        ir_st(ir, 8, ir_cpu(ir), offsetof(TestCpu, v[1]), t);
        ir_exit(ir, 1, IR_NONE);
        TcgRange range = {ir->ip, ir->ip + 8};
        double expect = x * y;
        unsigned conds = (x == y) << IR_EQ | (x != y) << IR_NE |
                         (x < y) << IR_LT | (x >= y) << IR_GE |
                         (x <= y) << IR_LE | (x > y) << IR_GT;

        expect += y;
        memcpy(&cpu.r[0], &x, 8);
        memcpy(&cpu.r[1], &y, 8);
        tcg_run(&cpu, tcg_compile(ir, TCG_TIER_FULL, &range, 1, NULL, 0));
        g_assert_cmphex(cpu.v[0].d[0], ==, conds);
        g_assert_true(!memcmp(&cpu.r[2], &expect, 8));
        if (fabs(y) < 1e9) {
            g_assert_cmpfloat(cpu.v[1].g[0], ==, (int32_t)y);
        }
    }
}

static void test_unordered(void)
{
    Ir *ir = ir_begin(next_ip += 16, 0);
    IrReg nan = ir_const(ir, UINT64_C(0x7ff8000000000000));
    IrReg one = ir_const(ir, UINT64_C(0x3ff0000000000000));
    IrReg sum = ir_const(ir, 0);
    IrReg flag = ir_temp(ir);

    for (IrCond cond = IR_EQ; cond <= IR_GT; cond++) {
        ir_fsetcond(ir, cond, 8, flag, nan, one, false);
        sum = ir_new2(ir, IR_or, 8, sum,
                      ir_new2i(ir, IR_shl, 8, flag, cond));
    }
    ir_fsetcond(ir, IR_UN, 8, flag, one, nan, false);
    sum = ir_new2(ir, IR_or, 8, sum, ir_new2i(ir, IR_shl, 8, flag, IR_UN));
    ir_st(ir, 8, ir_cpu(ir), offsetof(TestCpu, r), sum);
    ir_exit(ir, 1, IR_NONE);
    TcgRange range = {ir->ip, ir->ip + 8};

    tcg_run(&cpu, tcg_compile(ir, TCG_TIER_FULL, &range, 1, NULL, 0));
    g_assert_cmphex(cpu.r[0], ==, 1u << IR_NE | 1u << IR_UN);
}

int main(int argc, char **argv)
{
    TcgConfig config = {
        .tcg_offset = offsetof(TestCpu, tcg),
        .ip_offset = offsetof(TestCpu, ip),
    };

    if (!tcg_test_init(&argc, &argv, &cpu, config)) {
        return 0;
    }
    g_test_add_data_func("/tcg-vec/avx", GUINT_TO_POINTER(0), test_vec);
    g_test_add_data_func("/tcg-vec/sse", GUINT_TO_POINTER(OPT_AVX), test_vec);
    g_test_add_data_func("/tcg-vec/memory", GUINT_TO_POINTER(OPT_REGS),
                         test_vec);
    g_test_add_func("/tcg-vec/upper-half", test_upper_half);
    g_test_add_func("/tcg-vec/scalar", test_scalar);
    g_test_add_func("/tcg-vec/unordered", test_unordered);
    return g_test_run();
}
