/*
 * The host's side of signals: masks and actions of the host, and the one
 * handler that notes what arrives.
 *
 * Raw system calls are used for masks and actions, because the guest owns
 * all 64 signals, also those the host's libc keeps for itself.
 */
#include "linux-user/signal-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "linux-user/ptrace.h"
#include "linux-user/syscall.h"
#include "tcg/host-access.h"

static const char *const signal_names[] = {
    [SIGHUP] = "SIGHUP",   [SIGINT] = "SIGINT",   [SIGQUIT] = "SIGQUIT",
    [SIGILL] = "SIGILL",   [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT",
    [SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE",   [SIGKILL] = "SIGKILL",
    [SIGUSR1] = "SIGUSR1", [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2",
    [SIGPIPE] = "SIGPIPE", [SIGALRM] = "SIGALRM", [SIGTERM] = "SIGTERM",
    [SIGSTKFLT] = "SIGSTKFLT", [SIGCHLD] = "SIGCHLD", [SIGCONT] = "SIGCONT",
    [SIGSTOP] = "SIGSTOP", [SIGTSTP] = "SIGTSTP", [SIGTTIN] = "SIGTTIN",
    [SIGTTOU] = "SIGTTOU", [SIGURG] = "SIGURG",   [SIGXCPU] = "SIGXCPU",
    [SIGXFSZ] = "SIGXFSZ", [SIGVTALRM] = "SIGVTALRM", [SIGPROF] = "SIGPROF",
    [SIGWINCH] = "SIGWINCH", [SIGIO] = "SIGIO",   [SIGPWR] = "SIGPWR",
    [SIGSYS] = "SIGSYS",
};

const char *signal_name(int number)
{
    if (number > 0 && number < (int)G_N_ELEMENTS(signal_names) &&
        signal_names[number]) {
        return signal_names[number];
    }
    return "SIGRT";
}

bool signal_dumps(int number)
{
    return SIGBIT(number) &
           (SIGBIT(SIGQUIT) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) |
            SIGBIT(SIGABRT) | SIGBIT(SIGBUS) | SIGBIT(SIGFPE) |
            SIGBIT(SIGSEGV) | SIGBIT(SIGXCPU) | SIGBIT(SIGXFSZ) |
            SIGBIT(SIGSYS));
}

void signal_host_mask(uint64_t mask)
{
    mask &= ~(SYNCHRONOUS | UNBLOCKABLE);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
}

void signal_set_mask(UserThread *thread, uint64_t mask)
{
    thread->blocked = mask & ~UNBLOCKABLE;
    if (!thread->signal_pending) {
        signal_host_mask(thread->blocked);
    }
}

static void die_of_bug(int number, uintptr_t address, uintptr_t pc)
{
    char text[160];
    uint64_t none = 0;
    HostSigaction action = { .handler = (void *)SIG_DFL };
    int length = snprintf(text, sizeof(text),
                          "e2k-user: internal error: %s at %#lx, address %#lx\n",
                          signal_name(number), (unsigned long)pc,
                          (unsigned long)address);

    if (write(STDERR_FILENO, text, length) < 0) {
        /* Nothing better to do. */
    }
    syscall(SYS_rt_sigaction, number, &action, NULL, 8);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
    syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), number);
    _exit(128 + number);
}

/* The write bit of the page fault error code. */
static bool fault_is_write(const ucontext_t *context)
{
#ifdef __x86_64__
    return context->uc_mcontext.gregs[REG_ERR] & 2;
#else
    return false;
#endif
}

static uintptr_t context_pc(const ucontext_t *context)
{
#ifdef __x86_64__
    return context->uc_mcontext.gregs[REG_RIP];
#else
    return 0;
#endif
}

/* Or another thread has ended the watch since: the page is writable now. */
static bool was_opened(AddressMap *map, const siginfo_t *info,
                       uint64_t address)
{
    if (info->si_signo != SIGSEGV || info->si_code != SEGV_ACCERR) {
        return false;
    }
    int prot = address_map_prot(map, address);

    return prot >= 0 && (prot & PROT_WRITE) && (prot & PROT_EXEC);
}

/*
 * A write to code that the engines have a copy of.  The interpreter makes the
 * access of generated code again; C's is made again by itself.
 */
static bool write_to_code(UserThread *thread, const siginfo_t *info,
                          ucontext_t *context, uint64_t address)
{
    if (!thread || address >= USER_LIMIT || !fault_is_write(context)) {
        return false;
    }
    if (!address_map_open_code(thread->process->map, address, 1) &&
        !was_opened(thread->process->map, info, address)) {
        return false;
    }
#ifdef __x86_64__
    greg_t pc = context->uc_mcontext.gregs[REG_RIP];

    if (host_access_recover(context)) {
        context->uc_mcontext.gregs[REG_RIP] = pc;
    } else {
        engine_handle_fault(context, address, true);
    }
#endif
    engine_invalidate(address & ~(USER_PAGE - 1), USER_PAGE);
    return true;
}

static void host_handler(int number, siginfo_t *info, void *data)
{
    ucontext_t *context = data;
    UserThread *thread = current_thread;
    int saved_errno = errno;

    if ((SIGBIT(number) & SYNCHRONOUS) && info->si_code > 0) {
        uintptr_t address = (uintptr_t)info->si_addr;

        if (!write_to_code(thread, info, context, address) &&
            !host_access_recover(context) &&
            !engine_handle_fault(context, address, fault_is_write(context))) {
            die_of_bug(number, address, context_pc(context));
        }
        errno = saved_errno;
        return;
    }
    if (thread && ptrace_note_nudge(thread, info)) {
        safe_syscall_rewind(context);
        cpu_request_stop(thread->cpu);
    } else if (thread && !thread->signal_pending) {
        thread->pending_info = *info;
        thread->pending_info.si_signo = number;
        thread->signal_pending = 1;
        /* Nothing more until the run loop has dealt with this one. */
        memset(&context->uc_sigmask, 0xff, 8);
        for (int n = 1; n <= GUEST_NSIG; n++) {
            if (SIGBIT(n) & SYNCHRONOUS) {
                sigdelset(&context->uc_sigmask, n);
            }
        }
        safe_syscall_rewind(context);
        cpu_request_stop(thread->cpu);
    }
    errno = saved_errno;
}

#ifdef __x86_64__
__asm__(".text\n.p2align 4\nhost_signal_restorer:\n"
        "mov $15, %eax\nsyscall\n");
extern void host_signal_restorer(void);
enum { HOST_SA_RESTORER = 0x04000000 };
#endif

static void host_action(int number, void (*handler)(int, siginfo_t *, void *))
{
    HostSigaction action = {
        .handler = handler,
        .flags = SA_SIGINFO | SA_ONSTACK,
        .mask = ~SYNCHRONOUS,
    };

#ifdef __x86_64__
    action.flags |= HOST_SA_RESTORER;
    action.restorer = host_signal_restorer;
#endif
    if (number == SIGCHLD) {
        /* SA_NOCLDSTOP and SA_NOCLDWAIT change what the kernel does. */
        action.flags |= current_thread->process->actions[SIGCHLD].flags & 3;
    }
    syscall(SYS_rt_sigaction, number, &action, NULL, 8);
}

void signal_install(UserProcess *process, int number)
{
    uint64_t handler = process->actions[number].handler;

    if (number == SIGKILL || number == SIGSTOP) {
        return;
    }
    if ((SIGBIT(number) & SYNCHRONOUS) ||
        (handler != 0 && handler != 1) ||
        (handler == 0 &&
         (signal_dumps(number) ||
          (current_thread && current_thread->trace)))) {
        host_action(number, host_handler);
    } else {
        host_action(number, handler ? (void *)SIG_IGN : (void *)SIG_DFL);
    }
}

void signal_take_all(UserProcess *process)
{
    for (int number = 1; number <= GUEST_NSIG; number++) {
        if (!(SIGBIT(number) & UNBLOCKABLE) &&
            process->actions[number].handler != 1) {
            host_action(number, host_handler);
        }
    }
}

/* The inherited action, and our handler where we always want one. */
static void take_over(UserProcess *process, int number)
{
    HostSigaction old = { 0 };

    syscall(SYS_rt_sigaction, number, NULL, &old, 8);
    process->actions[number].handler = old.handler == (void *)SIG_IGN ? 1 : 0;
    if ((SIGBIT(number) & SYNCHRONOUS) || signal_dumps(number)) {
        signal_install(process, number);
    }
}

void signal_init_faults(UserProcess *process)
{
    for (int number = 1; number <= GUEST_NSIG; number++) {
        if (SIGBIT(number) & SYNCHRONOUS) {
            take_over(process, number);
        }
    }
}

void signal_init(UserProcess *process)
{
    for (int number = 1; number <= GUEST_NSIG; number++) {
        if (!(SIGBIT(number) & SYNCHRONOUS)) {
            take_over(process, number);
        }
    }
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &current_thread->blocked, 8);
}
