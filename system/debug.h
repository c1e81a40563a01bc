/*
 * A machine under a debugger: the GdbTarget of gdbstub/.  Threads of the
 * protocol are CPUs, numbered from 1.  Memory is what the CPU of the last
 * stop sees through its MMU as privileged code.
 */
#ifndef SYSTEM_DEBUG_H
#define SYSTEM_DEBUG_H

#include "system/sys-cpu.h"
#include "target-e2k/exec.h"

/*
 * Listens for a debugger at where (gdb_stub_new()).  stopped: the machine
 * will not run before the debugger or a monitor says so.
 */
bool debug_open(Machine *machine, const char *where, bool stopped,
                GError **error);
void debug_close(Machine *machine);

/* ---- For cpus.c and machine.c --------------------------------------------- */

/* Does this CPU have to be stepped, rather than run? */
bool debug_needs_steps(SysCpu *sys);
/* Runs one bundle, or up to a breakpoint, watchpoint, event or kick. */
CpuExit debug_run(SysCpu *sys);
/* The debugger wants this CPU to stay stopped; machine->lock is held. */
bool debug_holds(const SysCpu *sys);
/* All CPUs are parked after a stop that debug_run() or the debugger wanted. */
void debug_report(Machine *machine);

#endif
