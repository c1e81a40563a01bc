/*
 * ptrace between programs of two emulator processes.
 *
 * The host's ptrace carries it: tracer and tracee are attached there, too, so
 * that the kernel reports stops to the right parent, keeps its rules about who
 * may trace whom, and lets go when the tracer dies.  But a host stop may come
 * anywhere inside the emulator.  So a tracee stops for its tracer only between
 * two bundles, in ptrace_stop(): it describes itself in its TraceBlock and
 * sends itself SIGSTOP with the block's address in a host register.
 *
 *   tracee                                  tracer, in its wait call
 *   ptrace_stop(): block, SIGSTOP   --->    stop with the mark: report
 *                                           block->status to the program
 *   any other host stop             --->    continued unseen: a signal is
 *                                           delivered, noted, and reported
 *                                           from ptrace_stop() later
 *
 * A fork that the tracer wants to know of is one of the host, whose child the
 * host attaches to it: both stop in ptrace_forked().
 *
 * A new thread is the tracer's, too, when it asked for clone events; otherwise
 * it is not traced.  Seizing is attaching without the stop, and an interrupt
 * is a SIGSTOP that is told as such.
 */
#ifndef LINUX_USER_PTRACE_H
#define LINUX_USER_PTRACE_H

#include "linux-user/process.h"

/* The thread is traced. */
static inline bool ptrace_active(const UserThread *thread)
{
    return thread->trace != NULL;
}

/* A signal is about to be delivered; returns what to deliver instead, or 0,
 * and changes *info to it. */
int ptrace_signal(UserThread *thread, siginfo_t *info);

/*
 * A signal stops the process.  A tracer that let it through is told once more
 * and has it go on; without one this is job control.
 */
void ptrace_group_stop(UserThread *thread, int number);

/* Before and after a system call, when the tracer asked for these stops. */
void ptrace_syscall_stop(UserThread *thread, bool entering);

/* One bundle has been executed. */
void ptrace_step_stop(UserThread *thread);
bool ptrace_stepping(const UserThread *thread);

/*
 * A stop that somebody else wants: after an attach, or a SIGSTOP from outside.
 * The handler notes it; the run loop makes it.
 */
bool ptrace_note_nudge(UserThread *thread, const siginfo_t *info);
void ptrace_answer_nudge(UserThread *thread);

/* A signal that the traced thread sends itself: SIGSTOP stops here and now. */
bool ptrace_stop_self(UserThread *thread, int number);

/*
 * Around the making of a process: what it will be, and the stops of parent
 * (child is its number) and child (0); the end of a vfork parent's wait.
 */
void ptrace_forking(UserThread *thread, bool is_vfork, int exit_signal);
void ptrace_forked(UserThread *thread, int child);
void ptrace_vfork_done(UserThread *thread, int child);

/* Around fork(): the tracer's lock; the child traces nobody. */
void ptrace_fork_begin(void);
void ptrace_fork_end(bool child);

/* A traced thread makes another one: traced, too, if the tracer wants it. */
void ptrace_clone(UserThread *thread, UserThread *child);

/* A thread ends: its last stop.  The status is one of wait(). */
void ptrace_exiting(UserThread *thread, int status);

/* Around execve: the variable for the new emulator, and its first stop. */
#define PTRACE_VARIABLE "E2K_USER_TRACED"
char *ptrace_exec_variable(UserThread *thread);
void ptrace_started(UserThread *thread, const char *value);

/* wait4 as a tracer has to make it; the arguments are host ones. */
int64_t ptrace_wait4(int64_t pid, int *status, uint64_t options,
                     void *usage);
int64_t ptrace_waitid(uint64_t type, uint64_t id, void *info, uint64_t options,
                      void *usage);

#endif
