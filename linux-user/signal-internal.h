/*
 * What the files of signal handling share; users include signal.h.
 */
#ifndef LINUX_USER_SIGNAL_INTERNAL_H
#define LINUX_USER_SIGNAL_INTERNAL_H

#include <signal.h>

#include "linux-user/signal.h"

#define SIGBIT(n) (UINT64_C(1) << ((n) - 1))
#define SYNCHRONOUS                                                            \
    (SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGFPE) | SIGBIT(SIGILL))
#define UNBLOCKABLE (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))

/* Kernel sigaction of the host, for raw calls. */
typedef struct HostSigaction {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
} HostSigaction;

/* stack_t in the width of the mode: address, flags, size. */
enum { STACK_MOST = 24 };

typedef struct GuestStack {
    uint64_t sp, size;
    int flags;
} GuestStack;

/* signal-host.c: the mask of the host's thread, without what we need. */
void signal_host_mask(uint64_t mask);

/* Makes the host's action what the guest's asks for. */
void signal_install(UserProcess *process, int number);

/* The default action is a core dump: worth a state dump of ours. */
bool signal_dumps(int number);

/* signal-call.c: the alternate stack and stack_t. */
bool signal_on_altstack(const UserThread *thread, uint64_t sp);
void signal_put_stack(UserThread *thread, uint8_t *b, bool narrow);
bool signal_get_stack(uint64_t from, bool narrow, GuestStack *stack);

#endif
