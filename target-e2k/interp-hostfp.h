/*
 * Arithmetic of the host's FPU for the reference interpreter: SSE for 32 and
 * 64 bits, x87 for 80 bits.  The architecture's rounding, NaN and flag rules
 * are those of the host (ops.md sections 2 and 3), so each function is one
 * instruction.
 *
 * Everything is volatile assembly: between host_sse_begin() and
 * host_sse_end() (host_x87_begin() and _end()) the operations stay in order
 * and the compiler's own arithmetic cannot get in between.
 *
 * x86-64 only; another host needs a software implementation behind the same
 * names.
 */
#ifndef TARGET_E2K_INTERP_HOSTFP_H
#define TARGET_E2K_INTERP_HOSTFP_H

#include <stdbool.h>
#include <stdint.h>

#ifndef __x86_64__
#error "interp-hostfp.h: only x86-64 hosts are supported"
#endif

enum {
    MXCSR_DEFAULT = 0x1f80,
    FP_IE = 1 << 0,
    FP_DE = 1 << 1,
    FP_ZE = 1 << 2,
    FP_OE = 1 << 3,
    FP_UE = 1 << 4,
    FP_PE = 1 << 5,
    FP_FLAGS = 0x3f,
    FP_RC_FZ = 0xe000,   /* PFPFR and MXCSR: rounding, flush to zero */
    FP_FZ = 0x8000,
    FP_RC_SHIFT = 13,
};

/* All exceptions masked; rounding and flushing as in pfpfr. */
static inline void host_sse_begin(uint32_t pfpfr)
{
    uint32_t mxcsr = MXCSR_DEFAULT | (pfpfr & FP_RC_FZ);

    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr) : "memory");
}

/* The flags raised since the beginning. */
static inline uint32_t host_sse_end(void)
{
    uint32_t mxcsr;
    uint32_t plain = MXCSR_DEFAULT;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr) : : "memory");
    __asm__ volatile("ldmxcsr %0" : : "m"(plain) : "memory");
    return mxcsr & FP_FLAGS;
}

static inline float float_of(uint32_t bits)
{
    union { uint32_t i; float f; } u = {.i = bits};
    return u.f;
}

static inline uint32_t bits_of_float(float f)
{
    union { float f; uint32_t i; } u = {.f = f};
    return u.i;
}

static inline double double_of(uint64_t bits)
{
    union { uint64_t i; double d; } u = {.i = bits};
    return u.d;
}

static inline uint64_t bits_of_double(double d)
{
    union { double d; uint64_t i; } u = {.d = d};
    return u.i;
}

#define HOST_BINARY(name, insn)                                               \
    static inline uint32_t host_##name##_s(uint32_t a, uint32_t b)            \
    {                                                                         \
        float x = float_of(a);                                                \
        __asm__ volatile(insn "ss %1, %0" : "+x"(x) : "x"(float_of(b)));      \
        return bits_of_float(x);                                              \
    }                                                                         \
    static inline uint64_t host_##name##_d(uint64_t a, uint64_t b)            \
    {                                                                         \
        double x = double_of(a);                                              \
        __asm__ volatile(insn "sd %1, %0" : "+x"(x) : "x"(double_of(b)));     \
        return bits_of_double(x);                                             \
    }

HOST_BINARY(add, "add")
HOST_BINARY(sub, "sub")
HOST_BINARY(mul, "mul")
HOST_BINARY(div, "div")
HOST_BINARY(min, "min")
HOST_BINARY(max, "max")

static inline uint32_t host_sqrt_s(uint32_t a)
{
    float x;
    __asm__ volatile("sqrtss %1, %0" : "=x"(x) : "x"(float_of(a)));
    return bits_of_float(x);
}

static inline uint64_t host_sqrt_d(uint64_t a)
{
    double x;
    __asm__ volatile("sqrtsd %1, %0" : "=x"(x) : "x"(double_of(a)));
    return bits_of_double(x);
}

/* CMPSS predicates 0..7: eq lt le unord neq nlt nle ord. */
#define HOST_COMPARE_CASE(suffix, type, x, y, k)                              \
    case k:                                                                   \
        __asm__ volatile("cmp" suffix " $" #k ", %1, %0" : "+x"(x) : "x"(y)); \
        break;

static inline bool host_compare_s(unsigned predicate, uint32_t a, uint32_t b)
{
    float x = float_of(a);
    float y = float_of(b);

    switch (predicate) {
    HOST_COMPARE_CASE("ss", float, x, y, 0)
    HOST_COMPARE_CASE("ss", float, x, y, 1)
    HOST_COMPARE_CASE("ss", float, x, y, 2)
    HOST_COMPARE_CASE("ss", float, x, y, 3)
    HOST_COMPARE_CASE("ss", float, x, y, 4)
    HOST_COMPARE_CASE("ss", float, x, y, 5)
    HOST_COMPARE_CASE("ss", float, x, y, 6)
    HOST_COMPARE_CASE("ss", float, x, y, 7)
    }
    return bits_of_float(x) != 0;
}

static inline bool host_compare_d(unsigned predicate, uint64_t a, uint64_t b)
{
    double x = double_of(a);
    double y = double_of(b);

    switch (predicate) {
    HOST_COMPARE_CASE("sd", double, x, y, 0)
    HOST_COMPARE_CASE("sd", double, x, y, 1)
    HOST_COMPARE_CASE("sd", double, x, y, 2)
    HOST_COMPARE_CASE("sd", double, x, y, 3)
    HOST_COMPARE_CASE("sd", double, x, y, 4)
    HOST_COMPARE_CASE("sd", double, x, y, 5)
    HOST_COMPARE_CASE("sd", double, x, y, 6)
    HOST_COMPARE_CASE("sd", double, x, y, 7)
    }
    return bits_of_double(x) != 0;
}

/* EFLAGS image of the four relations; fcmp*f. */
static inline uint32_t host_relation(bool z, bool c, bool p)
{
    return p ? 0x45 : z ? 0x40 : c ? 0x01 : 0x00;
}

#define HOST_RELATION(name, insn, of, type)                                   \
    static inline uint32_t name(type a, type b)                               \
    {                                                                         \
        bool z, c, p;                                                         \
        __asm__ volatile(insn " %4, %3"                                       \
                         : "=@ccz"(z), "=@ccc"(c), "=@ccp"(p)                 \
                         : "x"(of(a)), "x"(of(b)));                           \
        return host_relation(z, c, p);                                        \
    }

HOST_RELATION(host_comis_s, "comiss", float_of, uint32_t)
HOST_RELATION(host_ucomis_s, "ucomiss", float_of, uint32_t)
HOST_RELATION(host_comis_d, "comisd", double_of, uint64_t)
HOST_RELATION(host_ucomis_d, "ucomisd", double_of, uint64_t)

/* Conversions; "integer" results are the raw bits. */
#define HOST_TO_INT(name, insn, of, in_type, out_type)                        \
    static inline out_type name(in_type a)                                    \
    {                                                                         \
        out_type r;                                                           \
        __asm__ volatile(insn " %1, %0" : "=r"(r) : "x"(of(a)));              \
        return r;                                                             \
    }

HOST_TO_INT(host_s_to_w, "cvtss2sil", float_of, uint32_t, uint32_t)
HOST_TO_INT(host_s_to_w_tr, "cvttss2sil", float_of, uint32_t, uint32_t)
HOST_TO_INT(host_s_to_l, "cvtss2siq", float_of, uint32_t, uint64_t)
HOST_TO_INT(host_s_to_l_tr, "cvttss2siq", float_of, uint32_t, uint64_t)
HOST_TO_INT(host_d_to_w, "cvtsd2sil", double_of, uint64_t, uint32_t)
HOST_TO_INT(host_d_to_w_tr, "cvttsd2sil", double_of, uint64_t, uint32_t)
HOST_TO_INT(host_d_to_l, "cvtsd2siq", double_of, uint64_t, uint64_t)
HOST_TO_INT(host_d_to_l_tr, "cvttsd2siq", double_of, uint64_t, uint64_t)

#define HOST_FROM_INT(name, insn, ftype, bits_of, in_type, out_type)          \
    static inline out_type name(in_type a)                                    \
    {                                                                         \
        ftype r = 0;                                                          \
        __asm__ volatile(insn " %1, %0" : "+x"(r) : "r"(a));                  \
        return bits_of(r);                                                    \
    }

HOST_FROM_INT(host_w_to_s, "cvtsi2ssl", float, bits_of_float, uint32_t,
              uint32_t)
HOST_FROM_INT(host_l_to_s, "cvtsi2ssq", float, bits_of_float, uint64_t,
              uint32_t)
HOST_FROM_INT(host_w_to_d, "cvtsi2sdl", double, bits_of_double, uint32_t,
              uint64_t)
HOST_FROM_INT(host_l_to_d, "cvtsi2sdq", double, bits_of_double, uint64_t,
              uint64_t)

static inline uint64_t host_s_to_d(uint32_t a)
{
    double r = 0;
    __asm__ volatile("cvtss2sd %1, %0" : "+x"(r) : "x"(float_of(a)));
    return bits_of_double(r);
}

static inline uint32_t host_d_to_s(uint64_t a)
{
    float r = 0;
    __asm__ volatile("cvtsd2ss %1, %0" : "+x"(r) : "x"(double_of(a)));
    return bits_of_float(r);
}

/* To an integral value by MXCSR.rc; quiet: the inexact flag is not raised. */
static inline uint32_t host_round_s(uint32_t a, bool quiet)
{
    float r = 0;
    if (quiet) {
        __asm__ volatile("roundss $12, %1, %0" : "+x"(r) : "x"(float_of(a)));
    } else {
        __asm__ volatile("roundss $4, %1, %0" : "+x"(r) : "x"(float_of(a)));
    }
    return bits_of_float(r);
}

static inline uint64_t host_round_d(uint64_t a, bool quiet)
{
    double r = 0;
    if (quiet) {
        __asm__ volatile("roundsd $12, %1, %0" : "+x"(r) : "x"(double_of(a)));
    } else {
        __asm__ volatile("roundsd $4, %1, %0" : "+x"(r) : "x"(double_of(a)));
    }
    return bits_of_double(r);
}

/* a * b + c, and with the product or c negated; FMA hosts only. */
#define HOST_FMA(name, insn)                                                  \
    static inline uint32_t name##_s(uint32_t a, uint32_t b, uint32_t c)       \
    {                                                                         \
        float x = float_of(a);                                                \
        __asm__ volatile(insn "ss %2, %1, %0"                                 \
                         : "+x"(x) : "x"(float_of(b)), "x"(float_of(c)));     \
        return bits_of_float(x);                                              \
    }                                                                         \
    static inline uint64_t name##_d(uint64_t a, uint64_t b, uint64_t c)       \
    {                                                                         \
        double x = double_of(a);                                              \
        __asm__ volatile(insn "sd %2, %1, %0"                                 \
                         : "+x"(x) : "x"(double_of(b)), "x"(double_of(c)));   \
        return bits_of_double(x);                                             \
    }

HOST_FMA(host_fma, "vfmadd213")
HOST_FMA(host_fms, "vfmsub213")
HOST_FMA(host_fnma, "vfnmadd213")
HOST_FMA(host_fnms, "vfnmsub213")

/* ---- x87 ---- */

/* An 80-bit number in its memory format. */
typedef struct X80 {
    uint64_t mantissa;
    uint16_t sign_exponent;
} __attribute__((packed)) X80;

enum {
    X87_MASKED = 0x7f,
    X87_PC_RC = 0x0f00,
    X87_PC_EXTENDED = 0x0300,
    X87_RC = 0x0c00,
    X87_DEFAULT = 0x037f,
};

static inline void host_x87_control(uint16_t cw)
{
    __asm__ volatile("fldcw %0" : : "m"(cw) : "memory");
}

static inline void host_x87_begin(uint32_t fpcr)
{
    __asm__ volatile("fnclex" : : : "memory");
    host_x87_control(X87_MASKED | (fpcr & X87_PC_RC));
}

static inline uint32_t host_x87_end(void)
{
    uint16_t status;

    __asm__ volatile("fnstsw %0" : "=m"(status) : : "memory");
    __asm__ volatile("fnclex" : : : "memory");
    host_x87_control(X87_DEFAULT);
    return status & FP_FLAGS;
}

#define HOST_X87_BINARY(name, insn)                                           \
    static inline X80 name(X80 a, X80 b)                                      \
    {                                                                         \
        X80 r;                                                                \
        __asm__ volatile("fldt %2\n\tfldt %1\n\t" insn                        \
                         " %%st(1), %%st\n\tfstpt %0\n\tfstp %%st(0)"         \
                         : "=m"(r) : "m"(a), "m"(b) : "st", "st(1)");         \
        return r;                                                             \
    }

HOST_X87_BINARY(host_x_add, "fadd")
HOST_X87_BINARY(host_x_sub, "fsub")
HOST_X87_BINARY(host_x_mul, "fmul")
HOST_X87_BINARY(host_x_div, "fdiv")

static inline X80 host_x_sqrt(X80 a)
{
    X80 r;
    __asm__ volatile("fldt %1\n\tfsqrt\n\tfstpt %0"
                     : "=m"(r) : "m"(a) : "st");
    return r;
}

/* a * 2^n. */
static inline X80 host_x_scale(X80 a, int32_t n)
{
    X80 r;
    __asm__ volatile("fildl %2\n\tfldt %1\n\tfscale\n\tfstpt %0\n\t"
                     "fstp %%st(0)"
                     : "=m"(r) : "m"(a), "m"(n) : "st", "st(1)");
    return r;
}

#define HOST_X87_LOAD(name, insn, type)                                       \
    static inline X80 name(type a)                                            \
    {                                                                         \
        X80 r;                                                                \
        __asm__ volatile(insn " %1\n\tfstpt %0" : "=m"(r) : "m"(a) : "st");   \
        return r;                                                             \
    }

HOST_X87_LOAD(host_s_to_x, "flds", uint32_t)
HOST_X87_LOAD(host_d_to_x, "fldl", uint64_t)
HOST_X87_LOAD(host_w_to_x, "fildl", uint32_t)
HOST_X87_LOAD(host_l_to_x, "fildll", uint64_t)

#define HOST_X87_STORE(name, insn, type)                                      \
    static inline type name(X80 a)                                            \
    {                                                                         \
        type r;                                                               \
        __asm__ volatile("fldt %1\n\t" insn " %0"                             \
                         : "=m"(r) : "m"(a) : "st");                          \
        return r;                                                             \
    }

HOST_X87_STORE(host_x_to_s, "fstps", uint32_t)
HOST_X87_STORE(host_x_to_d, "fstpl", uint64_t)
HOST_X87_STORE(host_x_to_w, "fistpl", uint32_t)
HOST_X87_STORE(host_x_to_l, "fistpll", uint64_t)

/* signalling: any NaN is an invalid operand, not only a signalling one. */
static inline uint32_t host_x_relation(X80 a, X80 b, bool signalling)
{
    bool z, c, p;

    if (signalling) {
        __asm__ volatile("fldt %4\n\tfldt %3\n\tfcomip %%st(1), %%st"
                         : "=@ccz"(z), "=@ccc"(c), "=@ccp"(p)
                         : "m"(a), "m"(b) : "st", "st(1)");
    } else {
        __asm__ volatile("fldt %4\n\tfldt %3\n\tfucomip %%st(1), %%st"
                         : "=@ccz"(z), "=@ccc"(c), "=@ccp"(p)
                         : "m"(a), "m"(b) : "st", "st(1)");
    }
    __asm__ volatile("fstp %%st(0)" : : : "st");
    return host_relation(z, c, p);
}

#endif
