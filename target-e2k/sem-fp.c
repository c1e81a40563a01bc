/*
 * Floating-point helpers of generated code.
 *
 * 32 and 64 bits: they run under the guest's rounding mode, which is in MXCSR
 * while generated code runs, and leave their flags there.  80 bits: x87 under
 * FPCR; flags go to FPSR.  An exception that FPCR does not mask leaves
 * generated code before the bundle has had any effect, and the interpreter
 * executes it.
 *
 * Source: shared facts "isa/ops.md" sections 2, 3, 5, 6.
 */
#include "target-e2k/sem.h"

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "target-e2k/translate-int.h"

enum {
    MX_DEFAULT = 0x1f80,
    MX_FLAGS = 0x3f,
    MX_UE_PE = 0x30,
    MX_RC_SHIFT = 13,
    MX_FZ = 0x8000,
    CW_MASKS = 0x7f,
    CW_PC_RC = 0xf00,
    CW_EXTENDED = 0x300,
    CW_RC_SHIFT = 10,
    CW_DEFAULT = 0x37f,
};

/* ------------------------------------------------------------------------
 * Fused multiply-add
 */

enum {
    NEGATE_PRODUCT = 1,
    NEGATE_ADDEND = 2,
    ALTERNATE = 4, /* odd lanes have the other sign of the addend */
};

static bool host_fuses(void)
{
    static signed char known = -1;

    if (known < 0) {
        known = __builtin_cpu_supports("fma") != 0;
    }
    return known;
}

/*
 * The host negates inside the operation, so that NaN operands pass with their
 * own sign; hence an instruction per combination.  In the 213 forms the host
 * prefers the NaN of s1 to that of s2, and that of s2 to that of s3; the
 * intrinsics would leave the form to the compiler.
 */
#define FUSED_CASE(number, insn)                                              \
    case number:                                                              \
        __asm__ volatile(insn " %2, %1, %0" : "+x"(a) : "x"(b), "x"(c));               \
        break;

#define FUSED(name, type, suffix)                                             \
    static type name(unsigned how, type a, type b, type c)                    \
    {                                                                         \
        switch (how & 3) {                                                    \
        FUSED_CASE(0, "vfmadd213" suffix)                                     \
        FUSED_CASE(NEGATE_PRODUCT, "vfnmadd213" suffix)                       \
        FUSED_CASE(NEGATE_ADDEND, "vfmsub213" suffix)                         \
        FUSED_CASE(NEGATE_PRODUCT | NEGATE_ADDEND, "vfnmsub213" suffix)       \
        }                                                                     \
        return a;                                                             \
    }

#define ALTERNATING(name, type, suffix)                                       \
    static type name(unsigned how, type a, type b, type c)                    \
    {                                                                         \
        switch (how & NEGATE_ADDEND) {                                        \
        FUSED_CASE(0, "vfmsubadd213" suffix)                                  \
        FUSED_CASE(NEGATE_ADDEND, "vfmaddsub213" suffix)                      \
        }                                                                     \
        return a;                                                             \
    }

FUSED(fused_ss, __m128, "ss")
FUSED(fused_sd, __m128d, "sd")
FUSED(fused_ps, __m128, "ps")
FUSED(fused_pd, __m128d, "pd")
ALTERNATING(alternate_ps, __m128, "ps")
ALTERNATING(alternate_pd, __m128d, "pd")

static float library_s(unsigned how, float a, float b, float c)
{
    return fmaf(how & NEGATE_PRODUCT ? -a : a, b,
                how & NEGATE_ADDEND ? -c : c);
}

static double library_d(unsigned how, double a, double b, double c)
{
    return fma(how & NEGATE_PRODUCT ? -a : a, b, how & NEGATE_ADDEND ? -c : c);
}

static __m128 single_of(uint64_t v)
{
    return _mm_castsi128_ps(_mm_cvtsi32_si128(v));
}

static __m128d double_of(uint64_t v)
{
    return _mm_castsi128_pd(_mm_cvtsi64_si128(v));
}

static uint32_t bits_of_single(__m128 v)
{
    return _mm_cvtsi128_si32(_mm_castps_si128(v));
}

static uint64_t bits_of_double(__m128d v)
{
    return _mm_cvtsi128_si64(_mm_castpd_si128(v));
}

uint64_t sem_fmas(uint64_t how, uint64_t a, uint64_t b, uint64_t c)
{
    __m128 x = single_of(a), y = single_of(b), z = single_of(c);

    if (!host_fuses()) {
        return bits_of_single(_mm_set_ss(library_s(
            how, _mm_cvtss_f32(x), _mm_cvtss_f32(y), _mm_cvtss_f32(z))));
    }
    return bits_of_single(fused_ss(how, x, y, z));
}

uint64_t sem_fmad(uint64_t how, uint64_t a, uint64_t b, uint64_t c)
{
    __m128d x = double_of(a), y = double_of(b), z = double_of(c);

    if (!host_fuses()) {
        return bits_of_double(_mm_set_sd(library_d(
            how, _mm_cvtsd_f64(x), _mm_cvtsd_f64(y), _mm_cvtsd_f64(z))));
    }
    return bits_of_double(fused_sd(how, x, y, z));
}

static unsigned how_of_lane(unsigned how, unsigned lane)
{
    return how & ALTERNATE && lane & 1 ? how ^ NEGATE_ADDEND : how;
}

SemVec sem_qpfmas(uint64_t how, SemVec a, SemVec b, SemVec c)
{
    if (host_fuses()) {
        __m128 x = (__m128)a, y = (__m128)b, z = (__m128)c;
        return (SemVec)(how & ALTERNATE ? alternate_ps(how, x, y, z)
                                        : fused_ps(how, x, y, z));
    }
    union { SemVec v; float f[4]; } x = {a}, y = {b}, z = {c}, r;
    for (unsigned i = 0; i < 4; i++) {
        r.f[i] = library_s(how_of_lane(how, i), x.f[i], y.f[i], z.f[i]);
    }
    return r.v;
}

SemVec sem_qpfmad(uint64_t how, SemVec a, SemVec b, SemVec c)
{
    if (host_fuses()) {
        __m128d x = (__m128d)a, y = (__m128d)b, z = (__m128d)c;
        return (SemVec)(how & ALTERNATE ? alternate_pd(how, x, y, z)
                                        : fused_pd(how, x, y, z));
    }
    union { SemVec v; double f[2]; } x = {a}, y = {b}, z = {c}, r;
    for (unsigned i = 0; i < 2; i++) {
        r.f[i] = library_d(how_of_lane(how, i), x.f[i], y.f[i], z.f[i]);
    }
    return r.v;
}

/* ------------------------------------------------------------------------
 * Conversions that are not one host instruction
 */

SemVec sem_qpfstoid(uint64_t truncate, uint64_t singles)
{
    __m128 lo = single_of(singles), hi = single_of(singles >> 32);

    return truncate ? (SemVec){_mm_cvttss_si64(lo), _mm_cvttss_si64(hi)}
                    : (SemVec){_mm_cvtss_si64(lo), _mm_cvtss_si64(hi)};
}

SemVec sem_qpfdtoid(uint64_t truncate, SemVec doubles)
{
    __m128d lo = double_of(doubles[0]), hi = double_of(doubles[1]);

    return truncate ? (SemVec){_mm_cvttsd_si64(lo), _mm_cvttsd_si64(hi)}
                    : (SemVec){_mm_cvtsd_si64(lo), _mm_cvtsd_si64(hi)};
}

SemVec sem_qpidtofd(SemVec v)
{
    __m128d zero = _mm_setzero_pd();

    return (SemVec){bits_of_double(_mm_cvtsi64_sd(zero, v[0])),
                    bits_of_double(_mm_cvtsi64_sd(zero, v[1]))};
}

uint64_t sem_qpidtofs(SemVec v)
{
    __m128 zero = _mm_setzero_ps();
    uint32_t lo = bits_of_single(_mm_cvtsi64_ss(zero, v[0]));
    uint32_t hi = bits_of_single(_mm_cvtsi64_ss(zero, v[1]));

    return lo | (uint64_t)hi << 32;
}

/* To integral values.  control: [1:0] mode, [2] mode of MXCSR, [3] quiet. */
#define ROUND_CASES(insn)                                                     \
    switch (control & 15) {                                                   \
    case 0: return insn(0); case 1: return insn(1); case 2: return insn(2);   \
    case 3: return insn(3); case 8: return insn(8); case 9: return insn(9);   \
    case 10: return insn(10); case 11: return insn(11);                       \
    case 4: case 5: case 6: case 7: return insn(4);                           \
    default: return insn(12);                                                 \
    }

__attribute__((target("sse4.1"))) uint64_t sem_round_s(uint64_t control,
                                                       uint64_t v)
{
#define RND(k) bits_of_single(_mm_round_ss(_mm_setzero_ps(), single_of(v), k))
    ROUND_CASES(RND)
#undef RND
}

__attribute__((target("sse4.1"))) uint64_t sem_round_d(uint64_t control,
                                                       uint64_t v)
{
#define RND(k) bits_of_double(_mm_round_sd(_mm_setzero_pd(), double_of(v), k))
    ROUND_CASES(RND)
#undef RND
}

__attribute__((target("sse4.1"))) SemVec sem_round_ps(uint64_t control,
                                                      SemVec v)
{
#define RND(k) (SemVec)_mm_round_ps((__m128)v, k)
    ROUND_CASES(RND)
#undef RND
}

__attribute__((target("sse4.1"))) SemVec sem_round_pd(uint64_t control,
                                                      SemVec v)
{
#define RND(k) (SemVec)_mm_round_pd((__m128d)v, k)
    ROUND_CASES(RND)
#undef RND
}

uint64_t sem_round_2s(uint64_t control, uint64_t v)
{
    return sem_round_ps(control, (SemVec){v, 0})[0];
}

/* Correctly rounded to nearest; no flags.  rsqrt: of the square root. */
uint64_t sem_reciprocal(uint64_t of_root, uint64_t v)
{
    unsigned guest = _mm_getcsr();

    _mm_setcsr(MX_DEFAULT);
    __m128d x = _mm_cvtss_sd(_mm_setzero_pd(), single_of(v));
    if (of_root) {
        x = _mm_sqrt_sd(_mm_setzero_pd(), x);
    }
    __m128d quotient = _mm_div_sd(_mm_set_sd(1.0), x);
    uint32_t r = bits_of_single(_mm_cvtsd_ss(_mm_setzero_ps(), quotient));
    __asm__ volatile("" : "+r"(r)); /* computed before the mode comes back */
    _mm_setcsr(guest);
    return r;
}

/* ------------------------------------------------------------------------
 * x87
 */

typedef struct Ext {
    uint64_t mantissa;
    uint16_t sign_exponent;
} __attribute__((packed)) Ext;

static void x87_start(unsigned control)
{
    uint16_t cw = control;

    __asm__ volatile("fnclex\n\tfldcw %0" : : "m"(cw) : "memory");
}

static unsigned x87_flags(void)
{
    uint16_t status, cw = CW_DEFAULT;

    __asm__ volatile("fnstsw %0\n\tfnclex\n\tfldcw %1"
                     : "=m"(status) : "m"(cw) : "memory");
    return status & MX_FLAGS;
}

static unsigned rc_of_mxcsr(void)
{
    return _mm_getcsr() >> MX_RC_SHIFT & 3;
}

static Ext power_of_two(int n)
{
    return (Ext){UINT64_C(1) << 63, 0x3fff + n};
}

static void add_sse_flags(unsigned flags)
{
    if (flags) {
        _mm_setcsr(_mm_getcsr() | flags);
    }
}

/* value * 2^n, rounded once: exact in extended precision before the store. */
uint64_t sem_fscales(uint64_t value, uint64_t n)
{
    Ext power = power_of_two(CLAMP((int32_t)n, -400, 400));
    uint32_t a = value, r;

    x87_start(CW_MASKS | CW_EXTENDED | rc_of_mxcsr() << CW_RC_SHIFT);
    __asm__ volatile("flds %1\n\tfldt %2\n\tfmulp\n\tfstps %0"
                     : "=m"(r) : "m"(a), "m"(power) : "st", "st(1)");
    unsigned flags = x87_flags();
    if ((_mm_getcsr() & MX_FZ) && (r & 0x7f800000) == 0 && (r & 0x7fffff)) {
        r &= 0x80000000;
        flags |= MX_UE_PE;
    }
    if ((_mm_getcsr() & MX_FZ) && (flags & 0x10)) {
        r &= 0x80000000;
        flags |= MX_UE_PE;
    }
    add_sse_flags(flags);
    return r;
}

uint64_t sem_fscaled(uint64_t value, uint64_t n)
{
    Ext power = power_of_two(CLAMP((int32_t)n, -5000, 5000));
    uint64_t r;

    x87_start(CW_MASKS | CW_EXTENDED | rc_of_mxcsr() << CW_RC_SHIFT);
    __asm__ volatile("fldl %1\n\tfldt %2\n\tfmulp\n\tfstpl %0"
                     : "=m"(r) : "m"(value), "m"(power) : "st", "st(1)");
    unsigned flags = x87_flags();
    bool tiny = (r << 1 >> 53) == 0 && (r << 12) != 0;
    if ((_mm_getcsr() & MX_FZ) && (tiny || (flags & 0x10))) {
        r &= UINT64_C(1) << 63;
        flags |= MX_UE_PE;
    }
    add_sse_flags(flags);
    return r;
}

/* ------------------------------------------------------------------------
 * 80 bits.  code: SEM_X_... operation, format of s2, format of the result.
 */

typedef union Operand80 {
    Ext x;
    uint64_t d;
    uint32_t s;
} Operand80;

typedef struct X87 {
    Ext a;          /* s1 */
    Operand80 b;    /* s2 in its format */
    uint64_t r;     /* narrow result */
    Ext x;          /* 80-bit result */
    unsigned code;
    unsigned flags;
} X87;

/* s2 on the stack, as a number of 80 bits. */
static Ext widen(const X87 *k)
{
    Ext x;

    switch (sem_x_from(k->code)) {
    case SEM_X_S:
        __asm__ volatile("flds %1\n\tfstpt %0"
                         : "=m"(x) : "m"(k->b.s) : "st");
        break;
    case SEM_X_D:
        __asm__ volatile("fldl %1\n\tfstpt %0"
                         : "=m"(x) : "m"(k->b.d) : "st");
        break;
    case SEM_X_W:
        __asm__ volatile("fildl %1\n\tfstpt %0"
                         : "=m"(x) : "m"(k->b.s) : "st");
        break;
    case SEM_X_L:
        __asm__ volatile("fildll %1\n\tfstpt %0"
                         : "=m"(x) : "m"(k->b.d) : "st");
        break;
    default:
        return k->b.x;
    }
    return x;
}

static void narrow(X87 *k, Ext x)
{
    uint32_t s;

    switch (sem_x_to(k->code)) {
    case SEM_X_S:
        __asm__ volatile("fldt %1\n\tfstps %0" : "=m"(s) : "m"(x) : "st");
        k->r = s;
        break;
    case SEM_X_D:
        __asm__ volatile("fldt %1\n\tfstpl %0" : "=m"(k->r) : "m"(x) : "st");
        break;
    case SEM_X_W:
        __asm__ volatile("fldt %1\n\tfistpl %0" : "=m"(s) : "m"(x) : "st");
        k->r = s;
        break;
    case SEM_X_L:
        __asm__ volatile("fldt %1\n\tfistpll %0"
                         : "=m"(k->r) : "m"(x) : "st");
        break;
    default:
        k->x = x;
        break;
    }
}

/* r = first op second */
#define X87_OP(insn, first, second)                                           \
    __asm__ volatile("fldt %2\n\tfldt %1\n\t" insn                             \
                     " %%st(1), %%st\n\tfstpt %0\n\tfstp %%st(0)"             \
                     : "=m"(r) : "m"(first), "m"(second) : "st", "st(1)")

static Ext x_arith(unsigned op, Ext a, Ext b)
{
    Ext r = b;

    switch (op) {
    case SEM_X_ADD: X87_OP("fadd", a, b); break;
    case SEM_X_SUB: X87_OP("fsub", a, b); break;
    case SEM_X_RSUB: X87_OP("fsub", b, a); break;
    case SEM_X_MUL: X87_OP("fmul", a, b); break;
    case SEM_X_DIV: X87_OP("fdiv", a, b); break;
    case SEM_X_RDIV: X87_OP("fdiv", b, a); break;
    case SEM_X_SQRT:
        __asm__ volatile("fldt %1\n\tfsqrt\n\tfstpt %0"
                         : "=m"(r) : "m"(b) : "st");
        break;
    default: /* SEM_X_COPY */
        break;
    }
    return r;
}

/* C3, C2, C0 of a compare of a with b, as the image of EFLAGS. */
static unsigned x_relation(Ext a, Ext b, bool signalling)
{
    uint16_t status;

    if (signalling) {
        __asm__ volatile("fldt %2\n\tfldt %1\n\tfcompp\n\tfnstsw %0"
                         : "=m"(status) : "m"(a), "m"(b) : "st", "st(1)");
    } else {
        __asm__ volatile("fldt %2\n\tfldt %1\n\tfucompp\n\tfnstsw %0"
                         : "=m"(status) : "m"(a), "m"(b) : "st", "st(1)");
    }
    return status >> 8 & 0x45;
}

/* In the order of the predicates: eq lt le uod, then their opposites. */
static bool x_holds(unsigned predicate, unsigned relation)
{
    static const uint8_t when[4] = {1 << 2, 1 << 1, 1 << 1 | 1 << 2, 1 << 3};
    unsigned bit = relation == 0x45 ? 3 : relation == 0x40 ? 2 : relation;

    return (when[predicate & 3] >> bit & 1) != predicate >> 2;
}

static Ext x_scale(Ext a, int32_t n)
{
    enum { STEP = 16382 };
    int first = CLAMP(n, -STEP, STEP);
    int rest = CLAMP(n - (int64_t)first, -STEP, STEP);
    Ext r = a, p = power_of_two(first);

    X87_OP("fmul", a, p);
    if (rest) {
        p = power_of_two(rest);
        X87_OP("fmul", r, p);
    }
    return r;
}

static void x_run(E2kCpu *cpu, X87 *k, const void *site)
{
    unsigned op = sem_x_op(k->code);
    bool truncate = op == SEM_X_TRUNCATE;

    x87_start(truncate ? CW_DEFAULT | 3 << CW_RC_SHIFT
                       : CW_MASKS | (cpu->fpcr & CW_PC_RC));
    if (op >= SEM_X_CMP && op < SEM_X_CMP + 8) {
        unsigned predicate = op - SEM_X_CMP;
        bool signals = (predicate & 3) == 1 || (predicate & 3) == 2;
        k->r = x_holds(predicate, x_relation(k->a, widen(k), signals));
    } else if (op == SEM_X_FLAGS || op == SEM_X_FLAGS_SIGNAL) {
        k->r = x_relation(k->a, widen(k), op == SEM_X_FLAGS_SIGNAL);
    } else if (op == SEM_X_SCALE) {
        k->x = x_scale(k->a, k->b.s);
    } else {
        narrow(k, x_arith(op, k->a, widen(k)));
    }
    k->flags = x87_flags();
    if (k->flags & ~cpu->fpcr) {
        sem_leave(cpu, site);
    }
    cpu->fpsr |= k->flags;
}

static Ext ext_of(SemVec v)
{
    return (Ext){v[0], v[1]};
}

static SemVec vec_of(const X87 *k)
{
    return (SemVec){k->x.mantissa, k->x.sign_exponent};
}

uint64_t sem_x_dd(E2kCpu *cpu, SemVec a, uint64_t b, uint64_t code,
                  const void *site)
{
    X87 k = {.a = ext_of(a), .b.d = b, .code = code};
    x_run(cpu, &k, site);
    return k.r;
}

uint64_t sem_x_dx(E2kCpu *cpu, SemVec a, SemVec b, uint64_t code,
                  const void *site)
{
    X87 k = {.a = ext_of(a), .b.x = ext_of(b), .code = code};
    x_run(cpu, &k, site);
    return k.r;
}

SemVec sem_x_xd(E2kCpu *cpu, SemVec a, uint64_t b, uint64_t code,
                const void *site)
{
    X87 k = {.a = ext_of(a), .b.d = b, .code = code};
    x_run(cpu, &k, site);
    return vec_of(&k);
}

SemVec sem_x_xx(E2kCpu *cpu, SemVec a, SemVec b, uint64_t code,
                const void *site)
{
    X87 k = {.a = ext_of(a), .b.x = ext_of(b), .code = code};
    x_run(cpu, &k, site);
    return vec_of(&k);
}

/* s += p * q; of several NaNs the host's instructions keep the first, and the
 * compiler must not exchange them. */
static float add_product(float s, float p, float q)
{
    __asm__ volatile("mulss %1, %0" : "+x"(p) : "x"(q));
    __asm__ volatile("addss %1, %0" : "+x"(s) : "x"(p));
    return s;
}

SemVec sem_qpbfdots(SemVec a, SemVec b, SemVec sum)
{
    unsigned guest = _mm_getcsr();
    union { SemVec v; uint16_t h[8]; float f[4]; } x = {a}, y = {b}, s = {sum};

    _mm_setcsr(MX_DEFAULT);
    for (unsigned i = 0; i < 8; i++) {
        __m128 p = single_of((uint32_t)x.h[i] << 16);
        __m128 q = single_of((uint32_t)y.h[i] << 16);
        s.f[i / 2] =
            add_product(s.f[i / 2], _mm_cvtss_f32(p), _mm_cvtss_f32(q));
    }
    __asm__ volatile("" : "+m"(s));
    _mm_setcsr(guest);
    return s.v;
}
