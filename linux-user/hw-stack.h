/*
 * The hardware stacks of a thread as system calls see them: walking,
 * unwinding and copying chain and procedure frames.
 *
 *     frames[0]  ...  frames[k - 1] | *cpu->frame = current CR0/CR1
 *     pcsp_base       + 32 * i        (PCSP.ind = 32 * k)
 *
 * Register n of the linear register array has the guest address psp_base +
 * 16 * n; nothing is ever mapped there, so programs reach these stacks only
 * through calls.
 */
#ifndef LINUX_USER_HW_STACK_H
#define LINUX_USER_HW_STACK_H

#include "linux-user/process.h"

/* One procedure return: pops *cpu->frame into the CPU. */
void hw_stack_pop(E2kCpu *cpu);

/*
 * The state of a CPU, without what belongs to it as a host object (engine
 * state, which other threads look at under the engine's locks; embedder).
 */
enum { CPU_STATE_BYTES = offsetof(E2kCpu, tcg) };
void hw_stack_copy_state(E2kCpu *to, const E2kCpu *from);

/*
 * Bytes of the chain or the procedure stack in memory format, from a byte
 * offset; offset and size are multiples of 32 (16 for the last register).
 */
void hw_stack_copy(const E2kCpu *cpu, bool chain, uint64_t offset,
                   uint8_t *to, uint64_t size);

/* Whether the current frame is the bottom one, which nothing returns past. */
bool hw_stack_at_bottom(const E2kCpu *cpu);

#endif
