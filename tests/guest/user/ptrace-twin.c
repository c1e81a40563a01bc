/*
 * The twin of ptrace.s for the host: what does not depend on registers.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/guest/user/twin.h"

/* What wait tells of a stop for the signal. */
#define STOP(signal) ((signal) << 8 | 0x7f)
#define EVENT(event) ((event) << 16 | STOP(SIGTRAP))
#define END(code) ((code) << 8)

#define PTRACE(wanted, text, request, pid, address, data)                     \
    ANSWERS(wanted, text, SYS_ptrace, (long)(request), pid, address, data)
#define GO_ON(text, pid) PTRACE(0, text, PTRACE_CONT, pid, 0L, 0L)
#define TOLD(wanted, text, pid) check_eq(status_of(pid), wanted, text)

static volatile int64_t value = 0x1111;
static char *const environment[] = { NULL };

static int status_of(pid_t pid)
{
    int status = -1;

    return waitpid(pid, &status, __WALL) == pid ? status : -1;
}

static void stop_me(void)
{
    syscall(SYS_ptrace, (long)PTRACE_TRACEME, 0L, 0L, 0L);
    syscall(SYS_kill, getpid(), SIGSTOP);
}

static void child(void)
{
    stop_me();
    syscall(SYS_getpid);
    syscall(SYS_kill, getpid(), SIGUSR1);
    _exit((int)value);
}

static void controlled(void)
{
    int64_t word = 0;
    siginfo_t info;
    pid_t pid = fork();

    if (pid == 0) {
        child();
    }
    TOLD(STOP(SIGSTOP), "the child has stopped itself", pid);
    PTRACE(0, "its memory is read", PTRACE_PEEKDATA, pid, &value, &word);
    check_eq(word, 0x1111, "and is what it is");
    PTRACE(0, "and written", PTRACE_POKEDATA, pid, &value, 42L);
    PTRACE(-EIO, "not where nothing is", PTRACE_POKEDATA, pid,
           0x100000000000, 1L);
    PTRACE(0, "a step", PTRACE_SINGLESTEP, pid, 0L, 0L);
    TOLD(STOP(SIGTRAP), "is a trap", pid);
    PTRACE(0, "options", PTRACE_SETOPTIONS, pid, 0L,
           (long)PTRACE_O_TRACESYSGOOD);
    PTRACE(0, "to the next call", PTRACE_SYSCALL, pid, 0L, 0L);
    TOLD(STOP(SIGTRAP | 0x80), "which is told from a trap", pid);
    PTRACE(0, "to its end", PTRACE_SYSCALL, pid, 0L, 0L);
    TOLD(STOP(SIGTRAP | 0x80), "is another stop", pid);
    GO_ON("go on", pid);
    TOLD(STOP(SIGUSR1), "to a signal", pid);
    PTRACE(0, "siginfo", PTRACE_GETSIGINFO, pid, 0L, &info);
    check_eq(info.si_signo, SIGUSR1, "names it");
    GO_ON("without the signal", pid);
    TOLD(END(42), "it ends as we said", pid);
    PTRACE(-ESRCH, "and is not ours any more", PTRACE_CONT, pid, 0L, 0L);
}

static void over_exec(void)
{
    char *const arguments[] = { "twin", "again", NULL };
    pid_t pid = fork();

    if (pid == 0) {
        syscall(SYS_ptrace, (long)PTRACE_TRACEME, 0L, 0L, 0L);
        execve("/proc/self/exe", arguments, environment);
        _exit(98);
    }
    TOLD(STOP(SIGTRAP), "a trap after execve", pid);
    GO_ON("let it go", pid);
    TOLD(END(7), "to its end", pid);
}

static void attached(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        while (value == 0x1111) {
        }
        _exit((int)value);
    }
    PTRACE(0, "attach", PTRACE_ATTACH, pid, 0L, 0L);
    TOLD(STOP(SIGSTOP), "stops it", pid);
    PTRACE(0, "its memory can be changed", PTRACE_POKEDATA, pid, &value, 9L);
    PTRACE(0, "detach", PTRACE_DETACH, pid, 0L, 0L);
    TOLD(END(9), "lets it end", pid);
}

static void forker(void)
{
    sigset_t set;
    int status = 0;
    pid_t pid;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    stop_me();
    pid = fork();
    if (pid == 0) {
        _exit(5);
    }
    waitpid(pid, &status, 0);
    pid = vfork();
    if (pid == 0) {
        _exit(6);
    }
    waitpid(pid, &status, 0);
    pid = (pid_t)syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
    if (pid == 0) {
        syscall(SYS_exit_group, 7);
    }
    waitpid(pid, &status, 0);
    syscall(SYS_kill, getpid(), SIGSTOP);
    pid = fork();
    if (pid == 0) {
        _exit(8);
    }
    waitpid(pid, &status, 0);
    _exit(WEXITSTATUS(status));
}

static void new_process(pid_t pid, int event, const char *text, int code)
{
    unsigned long made = 0;

    GO_ON("go on", pid);
    TOLD(EVENT(event), text, pid);
    PTRACE(0, "its message", PTRACE_GETEVENTMSG, pid, 0L, &made);
    TOLD(STOP(SIGSTOP), "names a process that has stopped", (pid_t)made);
    GO_ON("let it go", (pid_t)made);
    TOLD(END(code), "it ends", (pid_t)made);
}

static void trace_forks(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        forker();
    }
    TOLD(STOP(SIGSTOP), "a child that will fork", pid);
    PTRACE(0, "all events", PTRACE_SETOPTIONS, pid, 0L, 0x3fL);
    new_process(pid, PTRACE_EVENT_FORK, "fork is an event", 5);
    new_process(pid, PTRACE_EVENT_VFORK, "vfork is another", 6);
    GO_ON("go on", pid);
    TOLD(EVENT(PTRACE_EVENT_VFORK_DONE), "as is its end", pid);
    new_process(pid, PTRACE_EVENT_CLONE, "clone without a signal is a third",
                7);
    GO_ON("go on", pid);
    TOLD(STOP(SIGSTOP), "to the next stop", pid);
    PTRACE(0, "clone only", PTRACE_SETOPTIONS, pid, 0L,
           (long)PTRACE_O_TRACECLONE);
    GO_ON("go on", pid);
    TOLD(END(8), "a fork is none, its child runs", pid);
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        return 7;
    }
    controlled();
    over_exec();
    attached();
    trace_forks();
    PTRACE(-ESRCH, "nobody", PTRACE_ATTACH, 0x3fffff, 0L, 0L);
    return plan();
}
