/*
 * System calls on processes, identities, limits, time and signals: thin
 * conversions around the host's calls.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "linux-user/ptrace.h"
#include "linux-user/signal.h"
#include "linux-user/syscall-narrow.h"
#include "util/bytes.h"

enum {
    GUEST_RLIMIT_P_STACK = 10001,
    GUEST_RLIMIT_PC_STACK = 10002,
};

int64_t sys_restart_syscall(UserThread *thread, const uint64_t *args)
{
    return -EINTR;
}

int64_t sys_exit(UserThread *thread, const uint64_t *args)
{
    thread_exit(thread, (int)args[0] & 0xff);
}

int64_t sys_exit_group(UserThread *thread, const uint64_t *args)
{
    ptrace_exiting(thread, ((int)args[0] & 0xff) << 8);
    process_exit(thread->process, (int)args[0] & 0xff);
}

int64_t sys_uname(UserThread *thread, const uint64_t *args)
{
    struct utsname host;
    const char *release = thread->process->options.uname_release;
    uint8_t guest[6][65] = { { 0 } };

    uname(&host);
    g_strlcpy((char *)guest[0], "Linux", 65);
    g_strlcpy((char *)guest[1], host.nodename, 65);
    g_strlcpy((char *)guest[2], release ? release : "5.10.200-e2k", 65);
    g_strlcpy((char *)guest[3], host.version, 65);
    g_strlcpy((char *)guest[4], "e2k", 65);
#ifdef _GNU_SOURCE
    g_strlcpy((char *)guest[5], host.domainname, 65);
#endif
    return guest_write(args[0], guest, sizeof(guest)) ? 0 : -EFAULT;
}

int64_t sys_olduname(UserThread *thread, const uint64_t *args)
{
    struct utsname host;
    uint8_t guest[5][65] = { { 0 } };

    uname(&host);
    g_strlcpy((char *)guest[0], "Linux", 65);
    g_strlcpy((char *)guest[1], host.nodename, 65);
    g_strlcpy((char *)guest[2], "5.10.200-e2k", 65);
    g_strlcpy((char *)guest[3], host.version, 65);
    g_strlcpy((char *)guest[4], "e2k", 65);
    return guest_write(args[0], guest, sizeof(guest)) ? 0 : -EFAULT;
}

/* ------------------------------------------------------------------ */
/* Time */

int64_t sys_time(UserThread *thread, const uint64_t *args)
{
    int64_t now = time(NULL);

    return args[0] && !guest_write(args[0], &now, thread->narrow ? 4 : 8)
               ? -EFAULT : now;
}

int64_t sys_stime(UserThread *thread, const uint64_t *args)
{
    struct timespec ts = { 0 };
    uint64_t now;

    if (!guest_words(thread, args[0], &now, 1)) {
        return -EFAULT;
    }
    ts.tv_sec = thread->narrow ? (int32_t)now : (int64_t)now;
    return clock_settime(CLOCK_REALTIME, &ts) < 0 ? -errno : 0;
}

int64_t sys_nice(UserThread *thread, const uint64_t *args)
{
    int priority;

    errno = 0;
    priority = getpriority(PRIO_PROCESS, 0);
    if (setpriority(PRIO_PROCESS, 0, priority + (int)args[0]) < 0) {
        return errno == EACCES ? -EPERM : -errno;
    }
    return 0;
}

int64_t sys_umount(UserThread *thread, const uint64_t *args)
{
    return safe_syscall(SYS_umount2, args[0], 0, 0, 0, 0, 0);
}

/* ------------------------------------------------------------------ */
/* Children */

static int64_t put_rusage(UserThread *thread, uint64_t to,
                          const struct rusage *usage)
{
    uint8_t narrow[LAYOUT_MOST];

    if (!thread->narrow) {
        return guest_write(to, usage, sizeof(*usage)) ? 0 : -EFAULT;
    }
    layout_narrow(LAYOUT_RUSAGE, (const uint8_t *)usage, narrow);
    return guest_write(to, narrow, layout_size(LAYOUT_RUSAGE, true)) ? 0
                                                                     : -EFAULT;
}

int64_t sys_wait4(UserThread *thread, const uint64_t *args)
{
    struct rusage usage;
    int status = 0;
    int64_t result = ptrace_wait4((int64_t)(int)args[0], &status, args[2],
                                  args[3] ? &usage : NULL);

    if (result > 0 &&
        ((args[1] && !guest_write(args[1], &status, 4)) ||
         (args[3] && put_rusage(thread, args[3], &usage)))) {
        return -EFAULT;
    }
    return result;
}

int64_t sys_waitpid(UserThread *thread, const uint64_t *args)
{
    uint64_t four[SYSCALL_ARGS] = { args[0], args[1], args[2] };

    return sys_wait4(thread, four);
}

int64_t sys_waitid(UserThread *thread, const uint64_t *args)
{
    siginfo_t info = { 0 };
    struct rusage usage;
    uint8_t guest[128];
    int64_t result = ptrace_waitid(args[0], args[1], &info, args[3],
                                   args[4] ? &usage : NULL);

    if (result == 0 && args[2]) {
        signal_info_to_guest(&info, guest, thread->narrow);
        if (!guest_write(args[2], guest, sizeof(guest))) {
            return -EFAULT;
        }
    }
    return result == 0 && args[4] ? put_rusage(thread, args[4], &usage)
                                  : result;
}

/* ------------------------------------------------------------------ */
/* Limits: two resources of our own stand for the hardware stacks */

static bool hw_stack_limit(uint64_t resource, struct rlimit *limit)
{
    if (resource == GUEST_RLIMIT_P_STACK) {
        limit->rlim_cur = limit->rlim_max = PROC_STACK_BYTES;
    } else if (resource == GUEST_RLIMIT_PC_STACK) {
        limit->rlim_cur = limit->rlim_max = CHAIN_STACK_BYTES;
    } else {
        return false;
    }
    return true;
}

/* RLIMIT_AS and RLIMIT_DATA would hit the emulator, not the program. */
static bool limit_is_faked(uint64_t resource)
{
    return resource == RLIMIT_AS || resource == RLIMIT_DATA ||
           resource == RLIMIT_STACK;
}

int64_t sys_prlimit64(UserThread *thread, const uint64_t *args)
{
    struct rlimit limit;
    uint64_t new = args[2];

    if (hw_stack_limit(args[1], &limit)) {
        return args[3] && !guest_write(args[3], &limit, 16) ? -EFAULT : 0;
    }
    if (new && limit_is_faked(args[1]) &&
        ((int)args[0] == 0 || (int)args[0] == getpid())) {
        new = 0;
    }
    return safe_syscall(SYS_prlimit64, args[0], args[1], new, args[3], 0, 0);
}

/* Two words; 32-bit programs have an infinity of their own. */
enum { NARROW_INFINITY = 0x7fffffff };

static int64_t put_limit(UserThread *thread, uint64_t to, struct rlimit limit,
                         uint64_t most)
{
    uint64_t wide[2] = { MIN(limit.rlim_cur, most), MIN(limit.rlim_max, most) };
    uint32_t narrow[2] = { wide[0], wide[1] };

    return guest_write(to, thread->narrow ? (void *)narrow : wide,
                       thread->narrow ? 8 : 16) ? 0 : -EFAULT;
}

static int64_t get_limit(UserThread *thread, const uint64_t *args,
                         uint64_t most)
{
    struct rlimit limit;

    if (!hw_stack_limit(args[0], &limit) &&
        syscall(SYS_getrlimit, args[0], &limit) < 0) {
        return -errno;
    }
    return put_limit(thread, args[1], limit,
                     thread->narrow ? NARROW_INFINITY : most);
}

int64_t sys_setrlimit(UserThread *thread, const uint64_t *args)
{
    struct rlimit limit;
    uint64_t words[2];

    if (!guest_words(thread, args[1], words, 2)) {
        return -EFAULT;
    }
    if (hw_stack_limit(args[0], &limit) || limit_is_faked(args[0])) {
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        if (thread->narrow && words[i] == NARROW_INFINITY) {
            words[i] = RLIM_INFINITY;
        }
    }
    limit = (struct rlimit){ words[0], words[1] };
    return setrlimit((int)args[0], &limit) < 0 ? -errno : 0;
}

int64_t sys_ugetrlimit(UserThread *thread, const uint64_t *args)
{
    return get_limit(thread, args, UINT64_MAX);
}

int64_t sys_getrlimit(UserThread *thread, const uint64_t *args)
{
    return get_limit(thread, args, 0x7fffffff); /* the call of old programs */
}

/* ------------------------------------------------------------------ */
/* Process options */

int64_t sys_prctl(UserThread *thread, const uint64_t *args)
{
    switch (args[0]) {
    case PR_SET_SECCOMP: /* host filters would see the host's numbers */
    case PR_SET_MM:
        return -EINVAL;
    case PR_GET_SECCOMP:
        return 0;
    default:
        return safe_syscall(SYS_prctl, args[0], args[1], args[2], args[3],
                            args[4], 0);
    }
}

int64_t sys_seccomp(UserThread *thread, const uint64_t *args)
{
    return -EINVAL;
}

int64_t sys_personality(UserThread *thread, const uint64_t *args)
{
    if ((uint32_t)args[0] == 0xffffffff) {
        return syscall(SYS_personality, 0xffffffff);
    }
    return safe_syscall(SYS_personality, args[0], 0, 0, 0, 0, 0);
}

int64_t sys_set_tid_address(UserThread *thread, const uint64_t *args)
{
    thread->clear_child_tid = args[0];
    return thread->tid;
}

/* The kernel learns of 64-bit ones; see robust-list.c. */
int64_t sys_set_robust_list(UserThread *thread, const uint64_t *args)
{
    if (args[1] != (thread->narrow ? 12 : 24)) {
        return -EINVAL;
    }
    thread->robust_list = args[0];
    thread->robust_narrow = thread->narrow;
    if (thread->narrow) {
        return 0;
    }
    return syscall(SYS_set_robust_list, args[0], args[1]) < 0 ? -errno : 0;
}

int64_t sys_get_robust_list(UserThread *thread, const uint64_t *args)
{
    size_t width = thread->narrow ? 4 : 8;
    uint64_t size = thread->narrow ? 12 : 24;
    uint64_t head;

    if ((int)args[0] < 0 || !process_robust_list(thread, (int)args[0], &head)) {
        return -ESRCH;
    }
    return guest_write(args[1], &head, width) &&
                   guest_write(args[2], &size, width)
               ? 0 : -EFAULT;
}

/* ------------------------------------------------------------------ */
/* Signals */

int64_t sys_rt_sigaction(UserThread *thread, const uint64_t *args)
{
    return signal_sigaction(thread, (int)args[0], args[1], args[2], args[3]);
}

int64_t sys_rt_sigprocmask(UserThread *thread, const uint64_t *args)
{
    return args[3] == 8 ? signal_sigprocmask(thread, (int)args[0], args[1],
                                             args[2], 8)
                        : -EINVAL;
}

int64_t sys_sigprocmask(UserThread *thread, const uint64_t *args)
{
    return signal_sigprocmask(thread, (int)args[0], args[1], args[2],
                              thread->narrow ? 4 : 8);
}

int64_t sys_sgetmask(UserThread *thread, const uint64_t *args)
{
    return (uint32_t)thread->blocked;
}

int64_t sys_ssetmask(UserThread *thread, const uint64_t *args)
{
    uint64_t old = (uint32_t)thread->blocked;

    signal_set_mask(thread, (uint32_t)args[0]);
    return old;
}

int64_t sys_sigpending(UserThread *thread, const uint64_t *args)
{
    uint64_t pending = 0;

    syscall(SYS_rt_sigpending, &pending, 8);
    return guest_write(args[0], &pending, thread->narrow ? 4 : 8) ? 0
                                                                  : -EFAULT;
}

int64_t sys_rt_sigpending(UserThread *thread, const uint64_t *args)
{
    return safe_syscall(SYS_rt_sigpending, args[0], args[1], 0, 0, 0, 0);
}

int64_t sys_rt_sigsuspend(UserThread *thread, const uint64_t *args)
{
    return args[1] == 8 ? signal_sigsuspend(thread, args[0]) : -EINVAL;
}

int64_t sys_rt_sigtimedwait(UserThread *thread, const uint64_t *args)
{
    siginfo_t info;
    uint8_t guest[128];
    struct timespec ts;
    int64_t result;

    if (args[2] && !guest_timespec(thread, args[2], &ts)) {
        return -EFAULT;
    }
    result = safe_syscall(SYS_rt_sigtimedwait, args[0], (uint64_t)&info,
                          args[2] ? (uint64_t)&ts : 0, args[3], 0, 0);
    if (result > 0 && args[1]) {
        signal_info_to_guest(&info, guest, thread->narrow);
        if (!guest_write(args[1], guest, sizeof(guest))) {
            return -EFAULT;
        }
    }
    return result == RESTART_SYS ? RESTART_NEVER : result;
}

int64_t sys_rt_sigqueueinfo(UserThread *thread, const uint64_t *args)
{
    siginfo_t info;
    uint8_t guest[128];

    if (!guest_read(args[2], guest, sizeof(guest))) {
        return -EFAULT;
    }
    signal_info_from_guest(&info, guest, thread->narrow);
    return safe_syscall(SYS_rt_sigqueueinfo, args[0], args[1],
                        (uint64_t)&info, 0, 0, 0);
}

int64_t sys_rt_tgsigqueueinfo(UserThread *thread, const uint64_t *args)
{
    siginfo_t info;
    uint8_t guest[128];

    if (!guest_read(args[3], guest, sizeof(guest))) {
        return -EFAULT;
    }
    signal_info_from_guest(&info, guest, thread->narrow);
    return safe_syscall(SYS_rt_tgsigqueueinfo, args[0], args[1], args[2],
                        (uint64_t)&info, 0, 0);
}

int64_t sys_sigaltstack(UserThread *thread, const uint64_t *args)
{
    return signal_sigaltstack(thread, args[0], args[1]);
}

int64_t sys_sigreturn(UserThread *thread, const uint64_t *args)
{
    if (args[0]) {
        return -EINVAL;
    }
    signal_return(thread);
    return RESULT_NONE;
}

int64_t sys_signalfd4(UserThread *thread, const uint64_t *args)
{
    return safe_syscall(SYS_signalfd4, args[0], args[1], args[2], args[3], 0,
                        0);
}

int64_t sys_kill(UserThread *thread, const uint64_t *args)
{
    if ((int)args[0] == getpid() && ptrace_stop_self(thread, (int)args[1])) {
        return 0;
    }
    return safe_syscall(SYS_kill, (int64_t)(int)args[0], args[1], 0, 0, 0, 0);
}

int64_t sys_tkill(UserThread *thread, const uint64_t *args)
{
    if ((int)args[0] == thread->tid &&
        ptrace_stop_self(thread, (int)args[1])) {
        return 0;
    }
    return safe_syscall(SYS_tkill, args[0], args[1], 0, 0, 0, 0);
}

int64_t sys_tgkill(UserThread *thread, const uint64_t *args)
{
    if ((int)args[1] == thread->tid &&
        ptrace_stop_self(thread, (int)args[2])) {
        return 0;
    }
    return safe_syscall(SYS_tgkill, args[0], args[1], args[2], 0, 0, 0);
}

/*
 * The two calls that wait with a temporary mask: the host applies it, and a
 * signal it lets in interrupts the call for good.
 */
int64_t sys_ppoll(UserThread *thread, const uint64_t *args)
{
    int64_t result = safe_syscall(SYS_ppoll, args[0], args[1], args[2],
                                  args[3], args[4], 0);

    return result == RESTART_SYS ? RESTART_NEVER : result;
}

int64_t sys_pselect6(UserThread *thread, const uint64_t *args)
{
    int64_t result = safe_syscall(SYS_pselect6, args[0], args[1], args[2],
                                  args[3], args[4], args[5]);

    return result == RESTART_SYS ? RESTART_NEVER : result;
}
