/*
 * The twin of process.s for the host: processes, threads, futexes.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/guest/user/twin.h"

enum { THREADS = 4, ROUNDS = 2000 };

static atomic_uint_fast64_t counter;
static uint32_t word;

static void *work(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&counter, 1);
    }
    return unused;
}

static void processes(void)
{
    int status = 0, bytes = 0;
    int ends[2];
    pid_t child;

    child = fork();
    if (child == 0) {
        _exit(7);
    }
    check_eq(waitpid(child, &status, 0) - child, 0, "waitpid finds the child");
    check_eq(status, 0x700, "with its status");

    if (pipe(ends) < 0) {
        return;
    }
    child = vfork();
    if (child == 0) {
        _exit(write(ends[1], "12345", 5) == 5 ? 9 : 1);
    }
    ioctl(ends[0], FIONREAD, &bytes);
    check_eq(bytes, 5, "vfork waits for the child");
    check_eq(waitpid(child, &status, 0) - child, 0,
             "which can then be waited for");

    child = fork();
    if (child == 0) {
        kill(getpid(), SIGTERM);
        _exit(1);
    }
    waitpid(child, &status, 0);
    check_eq(status, SIGTERM, "a killed child says which signal");
}

static void threads(void)
{
    pthread_t all[THREADS];

    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&all[i], NULL, work, NULL) != 0) {
            _exit(1);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(all[i], NULL);
    }
    check_eq((int64_t)counter, THREADS * ROUNDS,
             "atomic additions of all threads count");
    ANSWERS(-EAGAIN, "futex sees a changed word", SYS_futex, &word,
            FUTEX_WAIT, 1, 0);
    ANSWERS(0, "and finds nobody to wake", SYS_futex, &word, FUTEX_WAKE, 1, 0);
}

int main(void)
{
    fflush(stdout);
    processes();
    threads();
    return plan();
}
