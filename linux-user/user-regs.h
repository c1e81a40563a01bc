/*
 * struct user_regs_struct: a thread's registers as ptrace and core files have
 * them.  Source: shared facts "linux/structs.md" section 6.
 */
#ifndef LINUX_USER_USER_REGS_H
#define LINUX_USER_USER_REGS_H

#include "target-e2k/cpu.h"

enum { USER_REGS_BYTES = 4784 };

void user_regs_get(E2kCpu *cpu, uint8_t regs[USER_REGS_BYTES]);

/*
 * What a debugger may change: global registers, IP, predicates, the fields of
 * CTPR, LSR, FP control and UPSR.  Everything else is ignored, as privileged
 * state is by a real kernel.
 */
void user_regs_set(E2kCpu *cpu, const uint8_t regs[USER_REGS_BYTES]);

#endif
