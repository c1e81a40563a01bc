/*
 * See guarded-copy.h.  A thread that copies leaves the place to come back to
 * in a variable of its own; the handler jumps there.
 */
#include "util/guarded-copy.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include <glib.h>

static __thread sigjmp_buf *volatile way_out; /* NULL: not copying */
static struct sigaction before;

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    sigjmp_buf *out = way_out;

    if (out) {
        siglongjmp(*out, 1);
    }
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    } else {
        signal(number, SIG_DFL); /* the same access again, and the end */
    }
}

static void install(void)
{
    static gsize done;

    if (g_once_init_enter(&done)) {
        /* Not blocked inside, so that jumping out leaves nothing blocked. */
        struct sigaction action = {
            .sa_sigaction = on_sigbus,
            .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK,
        };

        sigemptyset(&action.sa_mask);
        sigaction(SIGBUS, &action, &before);
        g_once_init_leave(&done, 1);
    }
}

bool guarded_copy(void *to, const void *from, size_t bytes)
{
    sigjmp_buf here;
    bool ok = false;

    install();
    if (sigsetjmp(here, 0) == 0) {
        way_out = &here;
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        memcpy(to, from, bytes);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        ok = true;
    }
    way_out = NULL;
    return ok;
}
