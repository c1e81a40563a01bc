/*
 * What machine.c and cpus.c share: the life of the CPU threads.
 */
#ifndef SYSTEM_MACHINE_INT_H
#define SYSTEM_MACHINE_INT_H

#include "system/machine.h"

/* Starts one parked thread per CPU. */
void cpus_begin(Machine *machine);
/* Ends them; the machine is stopped. */
void cpus_end(Machine *machine);

#endif
