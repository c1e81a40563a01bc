/*
 * Tracing; see ptrace.h.
 */
#include "linux-user/ptrace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux-user/signal.h"
#include "linux-user/syscall.h"
#include "linux-user/user-regs.h"
#include "util/bytes.h"

#define MARK UINT64_C(0x65326b5f74726163)

/* Requests and options, as the guest's kernel numbers them. */
enum {
    REQ_TRACEME = 0, REQ_PEEKTEXT = 1, REQ_PEEKDATA = 2, REQ_POKETEXT = 4,
    REQ_POKEDATA = 5, REQ_CONT = 7, REQ_KILL = 8, REQ_SINGLESTEP = 9,
    REQ_GETREGS = 12, REQ_SETREGS = 13, REQ_ATTACH = 16, REQ_DETACH = 17,
    REQ_SYSCALL = 24, REQ_SETOPTIONS = 0x4200, REQ_GETEVENTMSG = 0x4201,
    REQ_GETSIGINFO = 0x4202, REQ_SETSIGINFO = 0x4203, REQ_GETREGSET = 0x4204,
    REQ_SETREGSET = 0x4205, REQ_SEIZE = 0x4206, REQ_INTERRUPT = 0x4207,
    REQ_LISTEN = 0x4208,
    OPTION_SYSGOOD = 1, OPTION_FORK = 2, OPTION_VFORK = 4, OPTION_CLONE = 8,
    OPTION_EXEC = 0x10, OPTION_VFORK_DONE = 0x20, OPTION_EXIT = 0x40,
    OPTION_KILL = 0x100000,
    OPTIONS_FORKS = OPTION_FORK | OPTION_VFORK | OPTION_CLONE,
    OPTIONS = OPTION_SYSGOOD | OPTIONS_FORKS | OPTION_EXEC |
              OPTION_VFORK_DONE | OPTION_EXIT | OPTION_KILL,
    SEIZED = 0x40000000,     /* beside the options: not attached but seized */
    EVENT_FORK = 1, EVENT_VFORK = 2, EVENT_CLONE = 3, EVENT_EXEC = 4,
    EVENT_VFORK_DONE = 5, EVENT_EXIT = 6, EVENT_STOP = 128,
    SYSGOOD_BIT = 0x80,
    DETACH_TRIES = 2000, DETACH_WAIT_US = 500,
    NUDGE_CODE = -0x6b,      /* si_code of a signal that only interrupts */
    /* What it is to do, if not stop with a signal. */
    NUDGE_SEIZE = 1000, NUDGE_INTERRUPT = 1001,
    AT_SYS_NUM = 2784, AT_ARGS = 2792,
};

/* In the tracee's memory; the tracer reads and writes it while it stands. */
struct TraceBlock {
    uint64_t mark;
    int32_t status;          /* what wait reports */
    int32_t in_call;         /* inside a system call: its number is shown */
    int32_t fork_event;      /* of the fork being made; 0: no child of ours */
    uint64_t message;
    /* The tracer's answer. */
    int32_t request;         /* REQ_CONT, REQ_SYSCALL, REQ_SINGLESTEP, ... */
    int32_t signal;
    int32_t new_regs;
    int32_t new_code;
    int32_t new_info;
    int32_t options;         /* and SEIZED */
    /* Where the hardware stacks are, for PEEK. */
    uint64_t chain_at, chain_bytes, chain_host;
    siginfo_t info;
    uint8_t regs[USER_REGS_BYTES];
};

/* ------------------------------------------------------------------ */
/* Tracee */

static bool has_tracer(void)
{
    g_autofree char *text = NULL;
    const char *line;

    return g_file_get_contents("/proc/thread-self/status", &text, NULL,
                               NULL) &&
           (line = strstr(text, "\nTracerPid:")) &&
           atoi(line + strlen("\nTracerPid:")) != 0;
}

/* SIGSTOP to itself with the mark and the block's address in registers. */
static void stand_still(TraceBlock *block)
{
#ifdef __x86_64__
    register uint64_t mark __asm__("r13") = MARK;
    register TraceBlock *at __asm__("r12") = block;
    long result = SYS_tgkill;

    /* The mark goes at once, so that a later stop is not taken for this. */
    __asm__ volatile("syscall\n\txor %%r13d, %%r13d"
                     : "+a"(result), "+r"(mark)
                     : "D"((long)getpid()), "S"(syscall(SYS_gettid)),
                       "d"((long)SIGSTOP), "r"(at)
                     : "rcx", "r11", "memory");
#endif
}

static void release(UserThread *thread)
{
    g_free(thread->trace);
    thread->trace = NULL;
}

static void describe(UserThread *thread, TraceBlock *block)
{
    E2kCpu *cpu = thread->cpu;
    unsigned base = 2 * cpu->syscall_wbs;

    user_regs_get(cpu, block->regs);
    if (block->in_call) {
        stq_le_p(block->regs + AT_SYS_NUM, cpu->win[base].lo);
        for (int i = 0; i < 6; i++) {
            stq_le_p(block->regs + AT_ARGS + 8 * i, cpu->win[base + 1 + i].lo);
        }
    }
    block->chain_at = cpu->pcsp_base;
    block->chain_bytes = (cpu->frame + 1 - cpu->frames) * sizeof(ChainFrame);
    block->chain_host = (uintptr_t)cpu->frames;
}

/* Stays stopped, until the tracer interrupts that or a signal comes. */
static void listen(UserThread *thread)
{
    uint64_t before;
    uint64_t all = ~UINT64_C(0);
    uint64_t none = 0;

    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, 8);
    while (!thread->nudge && !thread->signal_pending) {
        syscall(SYS_rt_sigsuspend, &none, 8);
    }
    thread->nudge = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
}

/* Stops for the tracer and does what it left in the block. */
static void ptrace_stop(UserThread *thread, int number, int event)
{
    TraceBlock *block = thread->trace;

    if (!has_tracer()) {
        release(thread);
        return;
    }
    block->status = number << 8 | 0x7f | event << 16;
    block->request = REQ_CONT;
    block->signal = 0;
    block->new_regs = block->new_code = block->new_info = 0;
    describe(thread, block);
    stand_still(block);
    while (block->request == REQ_LISTEN) {
        listen(thread);
        block->status = SIGTRAP << 8 | 0x7f | EVENT_STOP << 16;
        block->request = REQ_CONT;
        stand_still(block);
    }
    if (block->new_regs) {
        user_regs_set(thread->cpu, block->regs);
    }
    if (block->new_code) {
        engine_invalidate(0, USER_LIMIT);
    }
    if (block->request == REQ_DETACH) {
        release(thread);
    }
}

static void begin(UserThread *thread, int options)
{
    if (!thread->trace) {
        thread->trace = g_new0(TraceBlock, 1);
        thread->trace->mark = MARK;
        thread->trace->options = options;
        signal_take_all(thread->process);
    }
}

void ptrace_group_stop(UserThread *thread, int number)
{
    if (thread->trace) {
        ptrace_stop(thread, number,
                    thread->trace->options & SEIZED ? EVENT_STOP : 0);
    } else {
        syscall(SYS_kill, getpid(), SIGSTOP);
    }
}

int ptrace_signal(UserThread *thread, siginfo_t *info)
{
    int number;

    if (info->si_signo == SIGKILL) {
        return SIGKILL;
    }
    thread->trace->info = *info;
    ptrace_stop(thread, info->si_signo, 0);
    if (!thread->trace) {
        return info->si_signo;
    }
    number = thread->trace->signal;
    if (thread->trace->new_info) {
        *info = thread->trace->info;
    } else if (number && number != info->si_signo) {
        *info = (siginfo_t){ .si_code = SI_USER };
    }
    info->si_signo = number;
    return number;
}

void ptrace_syscall_stop(UserThread *thread, bool entering)
{
    TraceBlock *block = thread->trace;

    if (block->request == REQ_SYSCALL) {
        block->in_call = entering;
        ptrace_stop(thread, SIGTRAP | (block->options & OPTION_SYSGOOD
                                           ? SYSGOOD_BIT : 0), 0);
    }
}

bool ptrace_stepping(const UserThread *thread)
{
    return thread->trace && thread->trace->request == REQ_SINGLESTEP;
}

void ptrace_step_stop(UserThread *thread)
{
    ptrace_stop(thread, SIGTRAP, 0);
}

bool ptrace_note_nudge(UserThread *thread, const siginfo_t *info)
{
    if (info->si_code != NUDGE_CODE) {
        return false;
    }
    if (info->si_errno == NUDGE_SEIZE) {
        thread->nudge_options = info->si_value.sival_int | SEIZED;
    }
    thread->nudge = info->si_errno;
    return true;
}

void ptrace_answer_nudge(UserThread *thread)
{
    int number = thread->nudge;

    thread->nudge = 0;
    begin(thread, thread->nudge_options);
    if (number == NUDGE_INTERRUPT) {
        ptrace_stop(thread, SIGTRAP, EVENT_STOP);
    } else if (number != NUDGE_SEIZE) {
        thread->trace->info = (siginfo_t){ .si_signo = number };
        ptrace_stop(thread, number, 0);
        if (thread->trace && thread->trace->signal == SIGSTOP) {
            ptrace_group_stop(thread, SIGSTOP);
        }
    }
}

bool ptrace_stop_self(UserThread *thread, int number)
{
    if (!thread->trace || number != SIGSTOP) {
        return false;
    }
    ptrace_stop(thread, SIGSTOP, 0);
    return true;
}

void ptrace_clone(UserThread *thread, UserThread *child)
{
    if (thread->trace && thread->trace->fork_event) {
        child->trace = g_new0(TraceBlock, 1);
        child->trace->mark = MARK;
        child->trace->options = thread->trace->options;
        child->trace->fork_event = EVENT_CLONE;
    }
}

void ptrace_exiting(UserThread *thread, int status)
{
    if (thread->trace && (thread->trace->options & OPTION_EXIT)) {
        thread->trace->message = (uint64_t)status;
        ptrace_stop(thread, SIGTRAP, EVENT_EXIT);
    }
}

void ptrace_forking(UserThread *thread, bool is_vfork, int exit_signal)
{
    TraceBlock *block = thread->trace;
    int event = is_vfork ? EVENT_VFORK
                : exit_signal == SIGCHLD ? EVENT_FORK : EVENT_CLONE;

    if (block) {
        block->fork_event = block->options & 1 << event ? event : 0;
    }
}

/* A stop within the call that makes a process. */
static void stop_in_call(UserThread *thread, int number, int event,
                         uint64_t message)
{
    thread->trace->message = message;
    thread->trace->in_call = true;
    ptrace_stop(thread, number, event);
    if (thread->trace) {
        thread->trace->in_call = false;
    }
}

void ptrace_forked(UserThread *thread, int child)
{
    int event = thread->trace ? thread->trace->fork_event : 0;

    if (event && !child && (thread->trace->options & SEIZED)) {
        stop_in_call(thread, SIGTRAP, EVENT_STOP, 0);
    } else if (event) {
        stop_in_call(thread, child ? SIGTRAP : SIGSTOP, child ? event : 0,
                     (uint64_t)child);
    } else if (!child && thread->trace) {
        release(thread);
    }
}

void ptrace_vfork_done(UserThread *thread, int child)
{
    if (thread->trace && (thread->trace->options & OPTION_VFORK_DONE)) {
        stop_in_call(thread, SIGTRAP, EVENT_VFORK_DONE, (uint64_t)child);
    }
}

char *ptrace_exec_variable(UserThread *thread)
{
    return thread->trace ? g_strdup_printf(PTRACE_VARIABLE "=%d",
                                           thread->trace->options)
                         : NULL;
}

void ptrace_started(UserThread *thread, const char *value)
{
    if (value && has_tracer()) {
        begin(thread, atoi(value));
        thread->trace->message = thread->tid;
        ptrace_stop(thread, SIGTRAP,
                    thread->trace->options & OPTION_EXEC ? EVENT_EXEC : 0);
    }
}

/* ------------------------------------------------------------------ */
/* Tracer */

typedef struct Tracee {
    uint64_t block;          /* address of its TraceBlock; 0: not seen yet */
    bool stopped;            /* in ptrace_stop() */
    bool seized;
    bool interrupted;        /* by PTRACE_INTERRUPT, not told yet */
} Tracee;

static GMutex tracees_lock;
static GHashTable *tracees;  /* pid -> Tracee */

static Tracee *tracee_of(pid_t pid, bool make)
{
    Tracee *tracee;

    g_mutex_lock(&tracees_lock);
    if (!tracees) {
        tracees = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    }
    tracee = g_hash_table_lookup(tracees, GINT_TO_POINTER(pid));
    if (!tracee && make) {
        tracee = g_new0(Tracee, 1);
        g_hash_table_insert(tracees, GINT_TO_POINTER(pid), tracee);
    }
    g_mutex_unlock(&tracees_lock);
    return tracee;
}

void ptrace_fork_begin(void)
{
    g_mutex_lock(&tracees_lock);
}

void ptrace_fork_end(bool child)
{
    if (child && tracees) {
        g_hash_table_remove_all(tracees);
    }
    g_mutex_unlock(&tracees_lock);
}

static void forget_tracee(pid_t pid)
{
    g_mutex_lock(&tracees_lock);
    if (tracees) {
        g_hash_table_remove(tracees, GINT_TO_POINTER(pid));
    }
    g_mutex_unlock(&tracees_lock);
}

static bool tracee_read(pid_t pid, uint64_t from, void *to, size_t size)
{
    struct iovec local = { to, size };
    struct iovec remote = { (void *)from, size };

    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

static bool tracee_write(pid_t pid, uint64_t to, const void *from, size_t size)
{
    struct iovec local = { (void *)from, size };
    struct iovec remote = { (void *)to, size };

    return process_vm_writev(pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

#define BLOCK_FIELD(tracee, field)                                             \
    ((tracee)->block + offsetof(TraceBlock, field))

static int64_t host_ptrace(long request, pid_t pid, uint64_t address,
                           uint64_t data)
{
    return syscall(SYS_ptrace, request, pid, address, data) < 0 ? -errno : 0;
}

/* Lets a tracee run to where it can stop for us. */
static void nudge(pid_t pid, int number, int options)
{
    siginfo_t info = { .si_signo = SIGSEGV, .si_code = NUDGE_CODE,
                       .si_errno = number };

    info.si_value.sival_int = options;

    host_ptrace(PTRACE_SETSIGINFO, pid, 0, (uint64_t)&info);
    host_ptrace(PTRACE_CONT, pid, 0, SIGSEGV);
}

/* A trap that the host makes of an execve. */
static bool is_exec_trap(pid_t pid, int number)
{
    siginfo_t info;

    return number == SIGTRAP &&
           host_ptrace(PTRACE_GETSIGINFO, pid, 0, (uint64_t)&info) == 0 &&
           info.si_code == SI_USER && info.si_pid == pid;
}

/*
 * A tracee has forked, and the host has attached its child to us.  A child
 * that the program did not ask for is let go once it has come to its stop; one
 * that it did goes on to the stop that it makes for us.  (The maker of a
 * thread waits until that runs.)
 */
static void sort_child(pid_t pid, const Tracee *tracee)
{
    unsigned long child = 0;
    int32_t event = 0;
    int status;

    if (host_ptrace(PTRACE_GETEVENTMSG, pid, 0, (uint64_t)&child) < 0) {
        return;
    }
    if (tracee_read(pid, BLOCK_FIELD(tracee, fork_event), &event, 4) &&
        event) {
        if (waitpid((pid_t)child, &status, __WALL) == (pid_t)child &&
            WIFSTOPPED(status)) {
            tracee_of((pid_t)child, true);
            host_ptrace(PTRACE_CONT, (pid_t)child, 0, 0);
        }
        return;
    }
    for (int i = 0; i < DETACH_TRIES; i++) {
        if (host_ptrace(PTRACE_DETACH, (pid_t)child, 0, 0) == 0 ||
            kill((pid_t)child, 0) < 0) {
            return;
        }
        g_usleep(DETACH_WAIT_US);
    }
}

/*
 * A stop of a process that we trace: true when it is one for the program,
 * with *status changed; else the process goes on.
 */
static bool look_at_stop(pid_t pid, int *status)
{
#ifdef __x86_64__
    struct user_regs_struct regs;
    int number = WSTOPSIG(*status);
    Tracee *tracee;
    int32_t theirs;

    if (host_ptrace(PTRACE_GETREGS, pid, 0, (uint64_t)&regs) < 0) {
        return true; /* not ours: job control */
    }
    tracee = tracee_of(pid, true);
    if (number == SIGSTOP && regs.r13 == MARK) {
        tracee->block = regs.r12;
        tracee->stopped = true;
        if (tracee_read(pid, BLOCK_FIELD(tracee, status), &theirs, 4)) {
            *status = theirs;
            return true;
        }
    }
    if (*status >> 16 == PTRACE_EVENT_FORK ||
        *status >> 16 == PTRACE_EVENT_CLONE) {
        sort_child(pid, tracee);
        host_ptrace(PTRACE_CONT, pid, 0, 0);
    } else if (number == SIGSTOP && tracee->interrupted) {
        tracee->interrupted = false;
        nudge(pid, NUDGE_INTERRUPT, 0);
    } else if (number == SIGSTOP && tracee->block) {
        nudge(pid, SIGSTOP, 0);
    } else if (number == SIGSTOP || is_exec_trap(pid, number)) {
        tracee->block = 0;
        host_ptrace(PTRACE_CONT, pid, 0, 0);
    } else {
        host_ptrace(PTRACE_CONT, pid, 0, number);
    }
    return false;
#else
    return true;
#endif
}

int64_t ptrace_wait4(int64_t pid, int *status, uint64_t options, void *usage)
{
    for (;;) {
        int64_t result = safe_syscall(SYS_wait4, pid, (uint64_t)status,
                                      options, (uint64_t)usage, 0, 0);

        if (result <= 0) {
            return result;
        }
        if (!WIFSTOPPED(*status)) {
            forget_tracee((pid_t)result);
            return result;
        }
        if (look_at_stop((pid_t)result, status)) {
            return result;
        }
    }
}

int64_t ptrace_waitid(uint64_t type, uint64_t id, void *data, uint64_t options,
                      void *usage)
{
    siginfo_t *info = data;

    for (;;) {
        int64_t result;
        int status;

        memset(info, 0, sizeof(*info));
        result = safe_syscall(SYS_waitid, type, id, (uint64_t)info, options,
                              (uint64_t)usage, 0);
        if (result < 0 || !info->si_pid) {
            return result;
        }
        if (info->si_code != CLD_TRAPPED && info->si_code != CLD_STOPPED) {
            if (!(options & WNOWAIT)) {
                forget_tracee(info->si_pid);
            }
            return result;
        }
        status = info->si_status << 8 | 0x7f;
        if (look_at_stop(info->si_pid, &status)) {
            info->si_status = status >> 8;
            return result;
        }
    }
}

/* Only another one of us understands what we want of it. */
static bool is_emulator(pid_t pid)
{
    g_autofree char *name = g_strdup_printf("/proc/%d/exe", pid);
    g_autofree char *theirs = g_file_read_link(name, NULL);
    g_autofree char *ours = g_file_read_link("/proc/self/exe", NULL);

    return theirs && ours && strcmp(theirs, ours) == 0;
}

static void set_host_options(pid_t pid, uint64_t options)
{
    /* Every fork of a program is a fork() of ours, or a clone(). */
    host_ptrace(PTRACE_SETOPTIONS, pid, 0,
                (options & OPTION_KILL) |
                    (options & OPTIONS_FORKS ? PTRACE_O_TRACEFORK : 0) |
                    (options & OPTION_CLONE ? PTRACE_O_TRACECLONE : 0));
}

static int64_t attach(pid_t pid, bool seize, uint64_t options)
{
    int64_t error;
    int status;

    if (kill(pid, 0) < 0 && errno == ESRCH) {
        return -ESRCH;
    }
    if (!is_emulator(pid)) {
        return -EPERM;
    }
    if (options & ~(uint64_t)OPTIONS) {
        return -EIO;
    }
    error = host_ptrace(PTRACE_ATTACH, pid, 0, 0);
    if (error) {
        return error;
    }
    tracee_of(pid, true)->seized = seize;
    while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
        if (WSTOPSIG(status) == SIGSTOP) {
            set_host_options(pid, options);
            nudge(pid, seize ? NUDGE_SEIZE : SIGSTOP, (int)options);
            return 0;
        }
        host_ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(status));
    }
    return -ESRCH;
}

static int64_t peek(UserThread *thread, pid_t pid, const Tracee *tracee,
                    uint64_t address, uint64_t to)
{
    size_t width = thread->narrow ? 4 : 8;
    uint64_t chain[3];
    uint64_t value;

    if (address < USER_LIMIT && tracee_read(pid, address, &value, width)) {
        return guest_write(to, &value, width) ? 0 : -EFAULT;
    }
    if (tracee_read(pid, BLOCK_FIELD(tracee, chain_at), chain, 24) &&
        address >= chain[0] && address - chain[0] + width <= chain[1] &&
        tracee_read(pid, chain[2] + address - chain[0], &value, width)) {
        return guest_write(to, &value, width) ? 0 : -EFAULT;
    }
    return -EIO;
}

static int64_t poke(UserThread *thread, pid_t pid, const Tracee *tracee,
                    uint64_t address, uint64_t value)
{
    int32_t one = 1;
    uint64_t old;

    if (address >= USER_LIMIT - 8) {
        return -EIO;
    }
    if (thread->narrow) {
        if (!tracee_read(pid, address, &old, 8)) {
            return -EIO;
        }
        value = (old & ~UINT64_C(0xffffffff)) | (uint32_t)value;
    }
    if (host_ptrace(PTRACE_POKEDATA, pid, address, value) < 0) {
        return -EIO;
    }
    return tracee_write(pid, BLOCK_FIELD(tracee, new_code), &one, 4) ? 0
                                                                     : -EIO;
}

static int64_t move_regs(pid_t pid, const Tracee *tracee, uint64_t guest,
                         bool set)
{
    uint8_t regs[USER_REGS_BYTES];
    int32_t one = 1;

    if (!set) {
        if (!tracee_read(pid, BLOCK_FIELD(tracee, regs), regs,
                         sizeof(regs))) {
            return -EIO;
        }
        return guest_write(guest, regs, sizeof(regs)) ? 0 : -EFAULT;
    }
    if (!guest_read(guest, regs, sizeof(regs))) {
        return -EFAULT;
    }
    return tracee_write(pid, BLOCK_FIELD(tracee, regs), regs, sizeof(regs)) &&
                   tracee_write(pid, BLOCK_FIELD(tracee, new_regs), &one, 4)
               ? 0 : -EIO;
}

static int64_t go_on(pid_t pid, Tracee *tracee, int request, uint64_t number)
{
    int32_t answer[2] = { request, (int32_t)number };

    if (number > GUEST_NSIG) {
        return -EIO;
    }
    if (!tracee_write(pid, BLOCK_FIELD(tracee, request), answer, 8)) {
        return -ESRCH;
    }
    tracee->stopped = false;
    if (request == REQ_DETACH) {
        int64_t result = host_ptrace(PTRACE_DETACH, pid, 0, 0);

        forget_tracee(pid);
        return result;
    }
    return host_ptrace(PTRACE_CONT, pid, 0, 0);
}

/* Registers through a vector of pointer and size, which is set. */
static int64_t move_regset(UserThread *thread, pid_t pid, const Tracee *tracee,
                           uint64_t vector, bool set)
{
    uint8_t regs[USER_REGS_BYTES];
    size_t width = thread->narrow ? 4 : 8;
    int32_t one = 1;
    uint64_t words[2];

    if (!guest_words(thread, vector, words, 2)) {
        return -EFAULT;
    }
    words[1] = MIN(words[1], sizeof(regs));
    if (!tracee_read(pid, BLOCK_FIELD(tracee, regs), regs, sizeof(regs))) {
        return -EIO;
    }
    if (set) {
        if (!guest_read(words[0], regs, words[1])) {
            return -EFAULT;
        }
        if (!tracee_write(pid, BLOCK_FIELD(tracee, regs), regs,
                          sizeof(regs)) ||
            !tracee_write(pid, BLOCK_FIELD(tracee, new_regs), &one, 4)) {
            return -EIO;
        }
    } else if (!guest_write(words[0], regs, words[1])) {
        return -EFAULT;
    }
    return guest_write(vector + width, &words[1], width) ? 0 : -EFAULT;
}

static int64_t get_message(UserThread *thread, pid_t pid,
                           const Tracee *tracee, uint64_t to)
{
    uint64_t message;

    if (!tracee_read(pid, BLOCK_FIELD(tracee, message), &message, 8)) {
        return -EIO;
    }
    return guest_write(to, &message, thread->narrow ? 4 : 8) ? 0 : -EFAULT;
}

static int64_t move_info(UserThread *thread, pid_t pid, const Tracee *tracee,
                         uint64_t guest, bool set)
{
    uint8_t bytes[128];
    int32_t one = 1;
    siginfo_t info;

    if (!set) {
        if (!tracee_read(pid, BLOCK_FIELD(tracee, info), &info,
                         sizeof(info))) {
            return -EIO;
        }
        signal_info_to_guest(&info, bytes, thread->narrow);
        return guest_write(guest, bytes, sizeof(bytes)) ? 0 : -EFAULT;
    }
    if (!guest_read(guest, bytes, sizeof(bytes))) {
        return -EFAULT;
    }
    signal_info_from_guest(&info, bytes, thread->narrow);
    return tracee_write(pid, BLOCK_FIELD(tracee, info), &info,
                        sizeof(info)) &&
                   tracee_write(pid, BLOCK_FIELD(tracee, new_info), &one, 4)
               ? 0 : -EIO;
}

static int64_t set_options(pid_t pid, const Tracee *tracee, uint64_t options)
{
    int32_t value = (int32_t)options | (tracee->seized ? SEIZED : 0);

    if (options & ~(uint64_t)OPTIONS) {
        return -EINVAL;
    }
    set_host_options(pid, options);
    return tracee_write(pid, BLOCK_FIELD(tracee, options), &value, 4) ? 0
                                                                      : -EIO;
}

static int64_t interrupt(pid_t pid, Tracee *tracee)
{
    if (!tracee->seized) {
        return -EIO;
    }
    if (tracee->stopped) {
        return 0;
    }
    tracee->interrupted = true;
    return syscall(SYS_tkill, pid, SIGSTOP) < 0 ? -errno : 0;
}

/* Only in a stop of the whole process does it stay so. */
static int64_t listen_to(pid_t pid, Tracee *tracee)
{
    int32_t status;

    if (!tracee->seized ||
        !tracee_read(pid, BLOCK_FIELD(tracee, status), &status, 4) ||
        status >> 16 != EVENT_STOP) {
        return -EIO;
    }
    return go_on(pid, tracee, REQ_LISTEN, 0);
}

/* Requests to a tracee that stands still. */
static int64_t ask(UserThread *thread, pid_t pid, Tracee *tracee,
                   const uint64_t *args)
{
    switch (args[0]) {
    case REQ_PEEKTEXT: case REQ_PEEKDATA:
        return peek(thread, pid, tracee, args[2], args[3]);
    case REQ_POKETEXT: case REQ_POKEDATA:
        return poke(thread, pid, tracee, args[2], args[3]);
    case REQ_GETREGS: case REQ_SETREGS:
        return move_regs(pid, tracee, args[3], args[0] == REQ_SETREGS);
    case REQ_GETREGSET: case REQ_SETREGSET:
        return args[2] == 1 ? move_regset(thread, pid, tracee, args[3],
                                          args[0] == REQ_SETREGSET)
                            : -EINVAL;
    case REQ_CONT: case REQ_SINGLESTEP: case REQ_SYSCALL: case REQ_DETACH:
        return go_on(pid, tracee, (int)args[0], args[3]);
    case REQ_LISTEN:
        return listen_to(pid, tracee);
    case REQ_SETOPTIONS:
        return set_options(pid, tracee, args[3]);
    case REQ_GETEVENTMSG:
        return get_message(thread, pid, tracee, args[3]);
    case REQ_GETSIGINFO: case REQ_SETSIGINFO:
        return move_info(thread, pid, tracee, args[3],
                         args[0] == REQ_SETSIGINFO);
    default:
        return -EIO;
    }
}

int64_t sys_ptrace(UserThread *thread, const uint64_t *args)
{
    pid_t pid = (pid_t)args[1];
    Tracee *tracee;
    int64_t error;

    switch (args[0]) {
    case REQ_TRACEME:
        error = host_ptrace(PTRACE_TRACEME, 0, 0, 0);
        if (!error) {
            begin(thread, 0);
        }
        return error;
    case REQ_ATTACH:
        return attach(pid, false, 0);
    case REQ_SEIZE:
        return args[2] ? -EIO : attach(pid, true, args[3]);
    case REQ_KILL:
        return kill(pid, SIGKILL) < 0 ? -errno : 0;
    default:
        break;
    }
    tracee = tracee_of(pid, false);
    if (tracee && args[0] == REQ_INTERRUPT) {
        return interrupt(pid, tracee);
    }
    return tracee && tracee->stopped ? ask(thread, pid, tracee, args)
                                     : -ESRCH;
}
