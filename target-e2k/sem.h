/*
 * Helpers that generated code calls: operations too long to spell out, and
 * memory accesses that need the embedder.
 *
 * Operands are 64-bit images of registers; 32-bit functions look at the low
 * halves only and return a zero-extended result.
 */
#ifndef TARGET_E2K_SEM_H
#define TARGET_E2K_SEM_H

#include <stdint.h>

#include "target-e2k/cpu.h"

/* A 128-bit operand; in an SSE register where it is an argument. */
typedef uint64_t SemVec __attribute__((vector_size(16)));

/*
 * sem-mem.c: accesses that need more than an instruction.  When one fails
 * nothing has happened, and generated code is left for the interpreter at the
 * site.  how: size in bytes | specifier << 8.
 */
uint64_t sem_load(E2kCpu *cpu, uint64_t address, uint64_t how,
                  const void *site);
SemVec sem_load16(E2kCpu *cpu, uint64_t address, uint64_t how,
                  const void *site);
void sem_store(E2kCpu *cpu, uint64_t address, uint64_t how, uint64_t value,
               const void *site);
void sem_store16(E2kCpu *cpu, uint64_t address, uint64_t how, SemVec value,
                 const void *site);
/* The bytes that mask names; the others are not touched. */
void sem_store_masked(E2kCpu *cpu, uint64_t address, uint64_t mask,
                      SemVec value, const void *site);
/* Starts an atomic bracket.  Ends it: 1 when the lock was lost.  how: size in
 * bytes | (the bundle branches on the outcome) << 8. */
uint64_t sem_load_lock(E2kCpu *cpu, uint64_t address, uint64_t size,
                       const void *site);
SemVec sem_load_lock16(E2kCpu *cpu, uint64_t address, uint64_t size,
                       const void *site);
uint64_t sem_store_unlock(E2kCpu *cpu, uint64_t address, uint64_t how,
                          uint64_t value, const void *site);
uint64_t sem_store_unlock16(E2kCpu *cpu, uint64_t address, uint64_t how,
                            SemVec value, const void *site);
/* sem-dam.c.  what: guest register | size in bytes << 8; holds: 1 when the
 * register's entry still guards the access. */
void sem_dam_enter(E2kCpu *cpu, const RegSlot *win, uint64_t address,
                   uint64_t what);
uint64_t sem_dam_holds(E2kCpu *cpu, const RegSlot *win, uint64_t address,
                       uint64_t what);
void sem_dam_consume(E2kCpu *cpu, const RegSlot *win, uint64_t reg);
void sem_dam_store(E2kCpu *cpu, uint64_t address, uint64_t size);
void G_GNUC_NORETURN sem_leave(E2kCpu *cpu, const void *site);

/*
 * sem-state.c.  where: register code | index << 8 | area or descriptor << 16
 * | flags.
 */
enum {
    SEM_AAU_HIGH = 1 << 24,   /* read the second half of a pair */
    SEM_AAU_NARROW = 1 << 25, /* index registers take 32 bits */
    SEM_AAU_PAIR = 1 << 26,   /* write both halves */
    SEM_AAU_S = 1 << 27,      /* the source has 32 bits */
};
uint64_t sem_aau_read(E2kCpu *cpu, uint64_t where);
void sem_aau_write(E2kCpu *cpu, uint64_t where, uint64_t lo, uint64_t hi);
uint64_t sem_state_read(E2kCpu *cpu, uint64_t number, const void *site);
void sem_state_write(E2kCpu *cpu, uint64_t number, uint64_t value,
                     const void *site);

/* sem-int.c */
uint64_t sem_sxt(uint64_t mode, uint64_t value);
uint64_t sem_getfs(uint64_t isa, uint64_t value, uint64_t selector);
uint64_t sem_getfd(uint64_t isa, uint64_t value, uint64_t selector);
uint64_t sem_getfzs(uint64_t value, uint64_t selector);
uint64_t sem_getfzd(uint64_t value, uint64_t selector);
uint64_t sem_insfs(uint64_t value, uint64_t selector, uint64_t field);
uint64_t sem_insfd(uint64_t value, uint64_t selector, uint64_t field);
uint64_t sem_bitrevs(uint64_t value);
uint64_t sem_bitrevd(uint64_t value);
/* 64-bit dividend, 32-bit divisor: does the quotient exist and fit? */
uint64_t sem_udivx_ok(uint64_t dividend, uint64_t divisor);
uint64_t sem_sdivx_ok(uint64_t dividend, uint64_t divisor);
uint64_t sem_udivx(uint64_t dividend, uint64_t divisor);
uint64_t sem_sdivx(uint64_t dividend, uint64_t divisor);
uint64_t sem_umodx(uint64_t dividend, uint64_t divisor);
uint64_t sem_smodx(uint64_t dividend, uint64_t divisor);
uint64_t sem_addcd_c(uint64_t a, uint64_t b, uint64_t carry);
uint64_t sem_subcd_c(uint64_t a, uint64_t b, uint64_t borrow);
/* code: operation | log2 of the bytes << 4. */
enum {
    SEM_FLAGS_AND, SEM_FLAGS_ANDN, SEM_FLAGS_OR, SEM_FLAGS_ORN, SEM_FLAGS_XOR,
    SEM_FLAGS_XORN, SEM_FLAGS_ADD, SEM_FLAGS_SUB,
};
uint64_t sem_x86_flags(uint64_t code, uint64_t a, uint64_t b);

/* sem-packed.c */
enum { SEM_DOT_SS, SEM_DOT_US, SEM_DOT_UU };
uint64_t sem_psrcw(uint64_t value, uint64_t count);
uint64_t sem_psrcd(uint64_t value, uint64_t count);
SemVec sem_qpsrcw(SemVec value, uint64_t count);
SemVec sem_qpsrcd(SemVec value, uint64_t count);
SemVec sem_qpsrad(SemVec value, uint64_t count);
uint64_t sem_pmulubhh(uint64_t a, uint64_t b);
SemVec sem_qpmulubhh(uint64_t a, SemVec b);
uint64_t sem_mpsadbh(uint64_t a, uint64_t b);
SemVec sem_qpmpsadbh(SemVec a, uint64_t b);
uint64_t sem_phminposuh(uint64_t a, uint64_t b);
uint64_t sem_qphminposuh(SemVec a, SemVec b);
uint64_t sem_clmull(uint64_t a, uint64_t b);
uint64_t sem_clmulh(uint64_t a, uint64_t b);
uint64_t sem_pshufb(uint64_t isa, uint64_t a, uint64_t b, uint64_t control);
SemVec sem_qpshufb(uint64_t isa, SemVec a, SemVec b, SemVec control);
SemVec sem_qppermb(SemVec a, SemVec b, SemVec control);
SemVec sem_qptbl(uint64_t segment, SemVec a, SemVec b, SemVec index);
SemVec sem_qpmsk2sgnb(SemVec a, uint64_t mask);
SemVec sem_qpcm2(uint64_t lane_bytes, uint64_t mask);
uint64_t sem_qps2m(uint64_t lane_bytes, SemVec a, SemVec b);
SemVec sem_qpidotsb(uint64_t kind, SemVec a, SemVec b, SemVec sum);
SemVec sem_qpidotsh(SemVec a, SemVec b, SemVec sum);
SemVec sem_qpaesltr(SemVec a, SemVec b, SemVec c);
SemVec sem_qpaesiltr(SemVec a, SemVec b, SemVec c);
SemVec sem_qpaesbegin(uint64_t inverse, SemVec a, SemVec b, SemVec c);
SemVec sem_qpfstobf(SemVec a, SemVec b);
uint64_t sem_bfloat(uint64_t single);

/*
 * sem-fp.c: under the guest's mode in MXCSR, flags stay there.  how of the
 * fused operations: 1 negates the product, 2 the addend, 4 the addend of odd
 * lanes once more.
 */
uint64_t sem_fmas(uint64_t how, uint64_t a, uint64_t b, uint64_t c);
uint64_t sem_fmad(uint64_t how, uint64_t a, uint64_t b, uint64_t c);
SemVec sem_qpfmas(uint64_t how, SemVec a, SemVec b, SemVec c);
SemVec sem_qpfmad(uint64_t how, SemVec a, SemVec b, SemVec c);
SemVec sem_qpfstoid(uint64_t truncate, uint64_t singles);
SemVec sem_qpfdtoid(uint64_t truncate, SemVec doubles);
SemVec sem_qpidtofd(SemVec v);
uint64_t sem_qpidtofs(SemVec v);
uint64_t sem_round_s(uint64_t control, uint64_t v);
uint64_t sem_round_d(uint64_t control, uint64_t v);
SemVec sem_round_ps(uint64_t control, SemVec v);
SemVec sem_round_pd(uint64_t control, SemVec v);
uint64_t sem_round_2s(uint64_t control, uint64_t v);
uint64_t sem_reciprocal(uint64_t of_root, uint64_t v);
uint64_t sem_fscales(uint64_t value, uint64_t n);
uint64_t sem_fscaled(uint64_t value, uint64_t n);
SemVec sem_qpbfdots(SemVec a, SemVec b, SemVec sum);

/*
 * 80 bits: code is operation | format of s2 << 8 | format of result << 12.
 * An unmasked exception leaves at the site, before anything is changed.
 */
enum {
    SEM_X_ADD, SEM_X_SUB, SEM_X_RSUB, SEM_X_MUL, SEM_X_DIV, SEM_X_RDIV,
    SEM_X_SQRT, SEM_X_COPY, SEM_X_TRUNCATE, SEM_X_SCALE,
    SEM_X_FLAGS, SEM_X_FLAGS_SIGNAL,
    SEM_X_CMP = 16, /* + eq lt le uod neq nlt nle od */
};
enum { SEM_X_S, SEM_X_D, SEM_X_X, SEM_X_W, SEM_X_L };
#define SEM_X_CODE(op, from, to) ((op) | (from) << 8 | (to) << 12)
static inline unsigned sem_x_op(unsigned code)
{
    return code & 0xff;
}
static inline unsigned sem_x_from(unsigned code)
{
    return code >> 8 & 15;
}
static inline unsigned sem_x_to(unsigned code)
{
    return code >> 12 & 15;
}
/* Result and s2 narrow or wide: d narrow, x wide. */
uint64_t sem_x_dd(E2kCpu *cpu, SemVec a, uint64_t b, uint64_t code,
                  const void *site);
uint64_t sem_x_dx(E2kCpu *cpu, SemVec a, SemVec b, uint64_t code,
                  const void *site);
SemVec sem_x_xd(E2kCpu *cpu, SemVec a, uint64_t b, uint64_t code,
                const void *site);
SemVec sem_x_xx(E2kCpu *cpu, SemVec a, SemVec b, uint64_t code,
                const void *site);

#endif
