/*
 * Debugging a user process: all-stop control of its threads for the gdb
 * stub, breakpoints and watchpoints.
 *
 * While points exist or a thread is stepped, bundles run one by one in the
 * interpreter with the points checked around each; otherwise the engine runs
 * at full speed.
 */
#ifndef LINUX_USER_DEBUG_H
#define LINUX_USER_DEBUG_H

#include "linux-user/process.h"

/* Starts the stub and stops the process before its first bundle. */
bool debug_start(UserProcess *process, const char *where, GError **error);

/* Whether a debugger was asked for (-g). */
bool debug_active(void);

/*
 * Runs guest code under the debugger's control, in place of cpu_run().
 * Stops the thread when another one has reported a stop.
 */
CpuExit debug_run(UserThread *thread);

/*
 * Before a signal is delivered: lets the debugger see it.  Returns the signal
 * to deliver, 0 for none.
 */
int debug_signal(UserThread *thread, int number);

/* Around fork(): the child is not debugged. */
void debug_fork_begin(void);
void debug_fork_end(bool child);

/* The process is about to end. */
void debug_exiting(int status, bool by_signal);

#endif
