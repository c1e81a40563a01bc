/*
 * The registers of a CPU as a debugger numbers them: one table from which
 * names, sizes, reading and writing come.
 *
 *     0..63     r0..r63    window registers (64 bits); beyond the window: none
 *     64..95    g0..g31
 *     96..      ip, predicates, loop and window state, stacks, FP, tags
 */
#ifndef TARGET_E2K_DEBUG_REGS_H
#define TARGET_E2K_DEBUG_REGS_H

#include "target-e2k/cpu.h"

unsigned debug_reg_count(void);
const char *debug_reg_name(unsigned number);
unsigned debug_reg_bytes(unsigned number);
/* GDB's type name, or NULL for plain integers. */
const char *debug_reg_type(unsigned number);

/* Little endian bytes; false when the register has no value or cannot be set. */
bool debug_reg_read(E2kCpu *cpu, unsigned number, uint8_t *bytes);
bool debug_reg_write(E2kCpu *cpu, unsigned number, const uint8_t *bytes);

#endif
