/*
 * The twin of signals.s for the host: the checks that do not look at registers
 * or at exceptions of the e2k alone.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/guest/user/twin.h"

static volatile sig_atomic_t count, seen_signal, seen_code, depth, deepest;
static volatile uint64_t seen_address, seen_sp;
static sigjmp_buf resume;

static void handle(int number, void (*handler)(int, siginfo_t *, void *),
                   int flags)
{
    struct sigaction action = { .sa_sigaction = handler,
                                .sa_flags = flags | SA_SIGINFO };

    sigaction(number, &action, NULL);
}

static void raise_it(int number)
{
    syscall(SYS_tkill, getpid(), number);
}

static void note(int number, siginfo_t *info, void *context)
{
    char here;

    seen_signal = number;
    seen_code = info->si_code;
    seen_sp = (uintptr_t)&here;
    count++;
}

static void skip_fault(int number, siginfo_t *info, void *context)
{
    seen_signal = number;
    seen_code = info->si_code;
    seen_address = (uintptr_t)info->si_addr;
    siglongjmp(resume, 1);
}

static void nest(int number, siginfo_t *info, void *context)
{
    depth++;
    if (deepest < depth) {
        deepest = depth;
    }
    if (depth < 3) {
        raise_it(SIGUSR2);
    }
    depth--;
}

static void handlers(void)
{
    static char memory[16384];
    stack_t stack = { .ss_sp = memory, .ss_size = sizeof(memory) };
    struct timespec five = { 5, 0 };
    uint64_t mask = 0x200;
    uint64_t pending = 0;

    handle(SIGUSR1, note, 0);
    raise_it(SIGUSR1);
    check_eq(count, 1, "the handler ran once");
    check_eq(seen_signal, SIGUSR1, "with the signal's number");

    syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask, 0, 8);
    raise_it(SIGUSR1);
    check_eq(count, 1, "a blocked signal does not run its handler");
    syscall(SYS_rt_sigpending, &pending, 8);
    check_eq((int64_t)pending, 0x200, "but is pending");
    syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &mask, 0, 8);
    check_eq(count, 2, "and runs when it is let in");

    handle(SIGUSR2, nest, SA_NODEFER);
    raise_it(SIGUSR2);
    check_eq(deepest, 3, "handlers nest");

    sigaltstack(&stack, NULL);
    handle(SIGUSR1, note, SA_ONSTACK);
    raise_it(SIGUSR1);
    check(seen_sp - (uintptr_t)memory < sizeof(memory),
          "SA_ONSTACK uses the alternate stack");
    check_eq(seen_code, -6, "si_code of tkill");

    handle(SIGALRM, note, 0);
    alarm(1);
    ANSWERS(-EINTR, "a handler interrupts nanosleep", SYS_nanosleep, &five, 0);
}

static void faults(void)
{
    static const uint64_t constant = 1;

    handle(SIGSEGV, skip_fault, 0);
    if (!sigsetjmp(resume, 1)) {
        (void)*(volatile char *)UINT64_C(0x100000000123);
    }
    check_eq(seen_signal, SIGSEGV, "a load from nowhere raises SIGSEGV");
    check_eq((int64_t)seen_address, 0x100000000123, "with its address");
    check_eq(seen_code, SEGV_MAPERR, "and SEGV_MAPERR");
    if (!sigsetjmp(resume, 1)) {
        *(volatile uint64_t *)&constant = 2;
    }
    check_eq(seen_code, SEGV_ACCERR, "a store to text gives SEGV_ACCERR");
#ifdef __x86_64__ /* others divide by zero in silence */
    handle(SIGFPE, skip_fault, 0);
    if (!sigsetjmp(resume, 1)) {
        volatile int zero = 0;

        zero = 5 / zero;
    }
    check_eq(seen_signal, SIGFPE, "division by zero raises SIGFPE");
    check_eq(seen_code, FPE_INTDIV, "with FPE_INTDIV");
#endif
    check_eq(count, 4, "no handler ran unasked");
}

int main(void)
{
    handlers();
    faults();
    return plan();
}
