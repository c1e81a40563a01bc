/*
 * The guest's own breakpoints, watchpoints and single steps: instr_debug and
 * data_debug.
 *
 *   DIBCR    2 bits of each DIBAR: valid, trap          DIBSR  b0..b3, ss
 *   DDBCR   14 bits of each DDBAR: what matches, trap   DDBSR  12 bits of each
 *   CR1.ss   of a frame: the first bundle after the return to it traps
 *
 * A CPU with any of these armed runs bundle by bundle in the interpreter; all
 * others pay nothing.  Everything belongs to the CPU's thread.
 */
#ifndef SYSTEM_DEBUG_TRAPS_H
#define SYSTEM_DEBUG_TRAPS_H

#include "system/sys-cpu.h"
#include "target-e2k/watch.h"

/* State registers. */
enum {
    SR_DIBCR = 0x40,
    SR_DIBSR = 0x42,
    SR_DIBAR0 = 0x48,
};

/* Is anything armed? */
bool debug_traps_armed(const SysCpu *sys);

/* After a change of what is armed, on the CPU's thread. */
void debug_traps_changed(SysCpu *sys);

/*
 * One bundle, or the trap before it: as cpu_step(), with the watcher, which may
 * be NULL, told of each access.  Its exceptions are ready for
 * trap_exception().
 */
CpuExit debug_traps_step(SysCpu *sys, CpuWatcher *watcher);

#endif
