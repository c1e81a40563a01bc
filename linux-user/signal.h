/*
 * Guest signals: host handlers, queues, frames, return.
 *
 * A host signal that the guest handles (or that ends it with a core) is taken
 * by one host handler, which notes the siginfo in the thread, blocks every
 * signal until the run loop has dealt with it, and asks the CPU to stop.
 * The kernel keeps all other pending signals, so queueing, process-wide
 * delivery and masks have the kernel's semantics.
 *
 * Delivery saves the interrupted CPU state in a SignalRecord (what a real
 * kernel keeps on its per-thread signal stack, out of the program's reach)
 * and builds the rt_sigframe of the ABI on the data stack.
 *
 * Source: shared facts "linux/abi.md" section 6, "linux/structs.md" section 3.
 */
#ifndef LINUX_USER_SIGNAL_H
#define LINUX_USER_SIGNAL_H

#include "linux-user/process.h"

/*
 * Installs the host handlers; each once per process, those of faults before
 * guest memory is touched, the others when there is a thread.
 */
void signal_init_faults(UserProcess *process);
void signal_init(UserProcess *process);

/* For a tracee: default actions, too, are taken by us, after its stop. */
void signal_take_all(UserProcess *process);

/* Turns a CPU exception into a guest signal and delivers it or dies. */
void signal_raise_exception(UserThread *thread);

/*
 * Runs a signal's action now.  forced: cannot be ignored or blocked (it came
 * from the program's own instruction); what names the cause for messages.
 */
void signal_deliver(UserThread *thread, const siginfo_t *info, bool forced,
                    const char *what);

/* Sends a synchronous signal with a fault address to the thread. */
void signal_raise(UserThread *thread, int number, int code, uint64_t address,
                  int trap);

/* Delivers what is pending and not blocked; called between bundles. */
void signal_deliver_pending(UserThread *thread);

/* Return through the trampoline: back to the interrupted state. */
void signal_return(UserThread *thread);

/* Drops the records of frames at or above the chain frame (longjmp). */
void signal_drop_records(UserThread *thread, const ChainFrame *frame);

/* Frees all records of a thread; copies them for a forked child: nothing to
 * do, memory is copied. */
void signal_free_records(UserThread *thread);

/* Sets the guest mask and the matching host mask. */
void signal_set_mask(UserThread *thread, uint64_t mask);

/* Host siginfo to the 128 guest bytes; 32-bit layout when narrow. */
void signal_info_to_guest(const siginfo_t *info, uint8_t guest[128],
                          bool narrow);
void signal_info_from_guest(siginfo_t *info, const uint8_t guest[128],
                            bool narrow);

/* System calls of this group; arguments as the guest gave them. */
int64_t signal_sigaction(UserThread *thread, int number, uint64_t act,
                         uint64_t old, uint64_t size);
/* The older call has a mask of size bytes, one word. */
int64_t signal_sigprocmask(UserThread *thread, int how, uint64_t set,
                           uint64_t old, size_t size);
int64_t signal_sigaltstack(UserThread *thread, uint64_t ss, uint64_t old);
int64_t signal_sigsuspend(UserThread *thread, uint64_t mask);

/* Name of a signal for messages: "SIGSEGV". */
const char *signal_name(int number);

#endif
