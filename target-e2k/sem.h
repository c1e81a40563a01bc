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

/*
 * sem-mem.c: one access through the embedder.  When it fails nothing has
 * happened, and generated code is left for the interpreter at the site.
 */
uint64_t sem_load(E2kCpu *cpu, uint64_t address, uint64_t size_bytes,
                  const void *site);
void sem_store(E2kCpu *cpu, uint64_t address, uint64_t size_bytes,
               uint64_t value, const void *site);

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

#endif
