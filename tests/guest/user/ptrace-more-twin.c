/*
 * The twin of ptrace-more.s for the host: what does not depend on registers.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/guest/user/twin.h"

/* What wait tells of a stop for the signal. */
#define STOP(signal) ((signal) << 8 | 0x7f)
#define EVENT(event) ((event) << 16 | STOP(SIGTRAP))
#define END(code) ((code) << 8)

#define PTRACE(wanted, text, request, pid, address, data)                     \
    ANSWERS(wanted, text, SYS_ptrace, (long)(request), pid, address, data)
#define GO_ON(text, pid) PTRACE(0, text, PTRACE_CONT, pid, 0L, 0L)
#define TOLD(wanted, text, pid) check_eq(status_of(pid), wanted, text)

static volatile int64_t value = 0x2222222211111111;
static volatile int got;

static int status_of(pid_t pid)
{
    int status = -1;

    return waitpid(pid, &status, __WALL) == pid ? status : -1;
}

static void handler(int number, siginfo_t *info, void *context)
{
    got = info->si_pid;
}

static void handle(int number)
{
    struct sigaction action = { .sa_flags = SA_SIGINFO };

    action.sa_sigaction = handler;
    sigaction(number, &action, NULL);
}

static void stop_me(int number)
{
    syscall(SYS_ptrace, (long)PTRACE_TRACEME, 0L, 0L, 0L);
    syscall(SYS_kill, getpid(), number);
}

static void run(void)
{
    while ((int32_t)value == 0x11111111) {
    }
    syscall(SYS_exit_group, (int)value);
}

static void executing(void)
{
    char *const arguments[] = { "twin", "again", NULL };
    char *const environment[] = { NULL };
    unsigned long word = 0;
    pid_t pid = fork();

    if (pid == 0) {
        stop_me(SIGSTOP);
        execve("/proc/self/exe", arguments, environment);
        _exit(98);
    }
    TOLD(STOP(SIGSTOP), "a child that will execute another program", pid);
    PTRACE(0, "exec events", PTRACE_SETOPTIONS, pid, 0L,
           (long)PTRACE_O_TRACEEXEC);
    GO_ON("go on", pid);
    TOLD(EVENT(PTRACE_EVENT_EXEC), "an event", pid);
    PTRACE(0, "its message", PTRACE_GETEVENTMSG, pid, 0L, &word);
    check_eq((int64_t)word - pid, 0, "is the thread that it was");
    GO_ON("go on", pid);
    TOLD(END(9), "the new program ends", pid);
}

/* A child with such a signal at its end. */
static pid_t child(long number, int code)
{
    pid_t pid = (pid_t)syscall(SYS_clone, number, 0L, 0L, 0L, 0L);

    if (pid == 0) {
        syscall(SYS_exit_group, code);
    }
    return pid;
}

/* The child's signal may come while we wait. */
static int64_t patient_wait(pid_t pid, int *status, unsigned options)
{
    int64_t answer;

    do {
        answer = CALL(SYS_wait4, pid, status, (long)options, NULL);
    } while (answer == -EINTR);
    return answer;
}

static void exit_signals(void)
{
    int status = -1;
    pid_t pid;

    handle(SIGUSR1);
    pid = child(SIGUSR1, 3);
    check_eq(patient_wait(pid, &status, 0), -ECHILD,
             "a child with another signal: not for wait");
    patient_wait(pid, &status, __WCLONE);
    check_eq(status, END(3), "but with __WCLONE");
    check_eq(got - pid, 0, "and its signal came");
    TOLD(END(4), "one without: with __WALL", child(0, 4));
    patient_wait(child(SIGCHLD, 5), &status, 0);
    check_eq(status, END(5), "and the usual one with nothing");
}

static void seizing(void)
{
    struct timespec pause_time = { 0, 20000000 };
    unsigned long word = 0;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        run();
    }
    PTRACE(-EIO, "seize: no address", PTRACE_SEIZE, pid, 1L, 0L);
    PTRACE(-EIO, "no unknown option", PTRACE_SEIZE, pid, 0L, 0x80000000L);
    PTRACE(0, "seize", PTRACE_SEIZE, pid, 0L, (long)PTRACE_O_TRACEEXIT);
    PTRACE(-ESRCH, "does not stop", PTRACE_GETEVENTMSG, pid, 0L, &word);
    PTRACE(0, "interrupt", PTRACE_INTERRUPT, pid, 0L, 0L);
    TOLD(EVENT(128), "does", pid);
    PTRACE(0, "listen", PTRACE_LISTEN, pid, 0L, 0L);
    nanosleep(&pause_time, NULL);
    ANSWERS(0, "nothing happens", SYS_wait4, pid, &status,
            (long)(__WALL | WNOHANG), NULL);
    PTRACE(0, "interrupt again", PTRACE_INTERRUPT, pid, 0L, 0L);
    TOLD(EVENT(128), "is told", pid);
    PTRACE(0, "a word", PTRACE_PEEKDATA, pid, &value, &word);
    check_eq((int32_t)word, 0x11111111, "is read");
    PTRACE(0, "a word", PTRACE_POKEDATA, pid, &value, 6L);
    GO_ON("go on", pid);
    TOLD(EVENT(PTRACE_EVENT_EXIT), "the end is an event", pid);
    PTRACE(0, "with a message", PTRACE_GETEVENTMSG, pid, 0L, &word);
    check_eq((int64_t)word, END(6), "that says how");
    GO_ON("go on", pid);
    TOLD(END(6), "and it ends", pid);
}

static void signals(void)
{
    siginfo_t info;
    pid_t pid = fork();

    if (pid == 0) {
        setpgid(0, 0); /* not orphaned: those ignore the terminal's stops */
        handle(SIGUSR1);
        stop_me(SIGUSR1);
        syscall(SYS_kill, getpid(), SIGTSTP);
        _exit(got);
    }
    ANSWERS(0, "waitid", SYS_waitid, P_PID, pid, &info,
            (long)(WEXITED | WSTOPPED), NULL);
    check_eq(info.si_status, SIGUSR1, "tells of the stop");
    check_eq(info.si_code, CLD_TRAPPED, "as a trap");
    PTRACE(0, "siginfo", PTRACE_GETSIGINFO, pid, 0L, &info);
    check_eq(info.si_signo, SIGUSR1, "of the signal");
    info.si_pid = 77;
    PTRACE(0, "another one", PTRACE_SETSIGINFO, pid, 0L, &info);
    PTRACE(0, "with the signal", PTRACE_CONT, pid, 0L, (long)SIGUSR1);
    TOLD(STOP(SIGTSTP), "a stop from the terminal", pid);
    PTRACE(0, "let through", PTRACE_CONT, pid, 0L, (long)SIGTSTP);
    TOLD(STOP(SIGTSTP), "stops the process", pid);
    GO_ON("which can go on", pid);
    ANSWERS(0, "waitid", SYS_waitid, P_PID, pid, &info, (long)WEXITED, NULL);
    check_eq(info.si_status, 77, "what the handler was told");
    check_eq(info.si_code, CLD_EXITED, "an exit");
}

static void *thread_main(void *unused)
{
    syscall(SYS_tkill, syscall(SYS_gettid), SIGUSR2);
    run();
    return unused;
}

static void make_thread(void)
{
    pthread_t thread;

    stop_me(SIGSTOP);
    pthread_create(&thread, NULL, thread_main, NULL);
    syscall(SYS_exit, 0);
}

static void threads(void)
{
    unsigned long word = 0;
    pid_t thread;
    pid_t pid = fork();

    if (pid == 0) {
        make_thread();
    }
    TOLD(STOP(SIGSTOP), "a child that will make a thread", pid);
    PTRACE(0, "clone and exit events", PTRACE_SETOPTIONS, pid, 0L,
           (long)(PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT));
    GO_ON("go on", pid);
    TOLD(EVENT(PTRACE_EVENT_CLONE), "a new thread is an event", pid);
    PTRACE(0, "its message", PTRACE_GETEVENTMSG, pid, 0L, &word);
    thread = (pid_t)word;
    TOLD(STOP(SIGSTOP), "names the thread, which has stopped", thread);
    GO_ON("let it go", thread);
    TOLD(STOP(SIGUSR2), "its signal is told", thread);
    GO_ON("the first one goes on", pid);
    TOLD(EVENT(PTRACE_EVENT_EXIT), "to its end", pid);
    GO_ON("and over", pid);
    PTRACE(0, "the process is told to end", PTRACE_POKEDATA, thread, &value,
           5L);
    GO_ON("without the signal", thread);
    TOLD(EVENT(PTRACE_EVENT_EXIT), "the thread ends it", thread);
    GO_ON("go on", thread);
    status_of(thread);
    TOLD(END(5), "with its status", pid);
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        return 9;
    }
    executing();
    exit_signals();
    seizing();
    signals();
    threads();
    return plan();
}
