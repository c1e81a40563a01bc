/*
 * Registers of a machine's CPU as a debugger sees them: those of
 * target-e2k/debug-regs.h, then what only the privileged architecture has.
 * Reading changes nothing: stack registers are told as software would find
 * them, without the spills that its reading makes.  The machine is stopped.
 */
#ifndef SYSTEM_DEBUG_REGS_H
#define SYSTEM_DEBUG_REGS_H

#include "system/sys-cpu.h"

unsigned sys_debug_reg_count(void);
const char *sys_debug_reg_name(unsigned number);
unsigned sys_debug_reg_bytes(unsigned number);
const char *sys_debug_reg_type(unsigned number);
/* False: the CPU has no such register. */
bool sys_debug_reg_read(SysCpu *sys, unsigned number, uint8_t *bytes);
/* As the system's rwd or mmurw; false: nobody can write it. */
bool sys_debug_reg_write(SysCpu *sys, unsigned number, const uint8_t *bytes);

#endif
