/*
 * Damaged machine states with a right checksum: they are refused with a
 * message, or the machine goes on with what they say.
 */
#ifndef TESTS_SYSTEM_FUZZ_STATE_H
#define TESTS_SYSTEM_FUZZ_STATE_H

#include <glib.h>

#include "system/machine.h"

/*
 * Saves the stopped machine, loads that with some bytes changed, or not to its
 * end, and lets its CPUs run a little.  The machine must be reset afterwards.
 * Returns whether the state was taken.
 */
bool fuzz_state(Machine *machine, GRand *rnd);

/* States with another version of any device or CPU are refused: exits when
 * one is not. */
void check_state_versions(Machine *machine);

#endif
