/*
 * System calls: the table, dispatch, tracing, and what its handlers share.
 *
 * syscalls.def names every call once: number, name, host call, argument
 * kinds (for checks and for -strace) and handler.  "pass" calls go to the
 * host unchanged: 64-bit structures are the same there.  Handlers take the
 * raw arguments and return a value or -errno.
 */
#ifndef LINUX_USER_SYSCALL_H
#define LINUX_USER_SYSCALL_H

#include "linux-user/process.h"

enum { SYSCALL_ARGS = 6 };

/*
 * Results that never reach the guest: the call is made again after a signal
 * (always, or only when the handler has SA_RESTART), or it has set the
 * thread's registers itself.
 */
enum {
    RESTART_ALWAYS = -512,
    RESTART_SYS = -513,
    RESTART_NEVER = -514, /* EINTR to a handler, restart without one */
    RESULT_NONE = -1024,
};

typedef int64_t SyscallHandler(UserThread *thread, const uint64_t *args);

/* Answers CPU_EXIT_SYSCALL. */
void syscall_dispatch(UserThread *thread);

/*
 * The call of this number for the guest: arguments checked, converted when
 * the caller is a 32-bit one, handled.  For calls that stand for others, too.
 */
int64_t syscall_make(UserThread *thread, uint64_t number,
                     const uint64_t *args);

/* The host's number of the call being answered (its column in the table). */
long syscall_host_number(void);

/* Puts a call's result where the guest looks for it. */
void syscall_set_result(UserThread *thread, int64_t result);

/* Entries 5 and 6. */
int64_t syscall_fast(UserThread *thread, uint64_t number,
                     const uint64_t *args);

/*
 * A host system call that a signal can interrupt without a race: if a guest
 * signal is already noted, it returns RESTART_SYS at once.
 * Returns the value or -errno; -EINTR comes back as RESTART_SYS.
 */
int64_t safe_syscall(long number, uint64_t a, uint64_t b, uint64_t c,
                     uint64_t d, uint64_t e, uint64_t f);

/* For the host signal handler: rewinds an interrupted safe_syscall(). */
void safe_syscall_rewind(void *ucontext);

/* Guest memory; false means EFAULT. */
bool guest_read(uint64_t from, void *to, size_t size_bytes);
bool guest_write(uint64_t to, const void *from, size_t size_bytes);
/* A NUL-terminated string of at most 1 MiB; NULL on a bad address. */
char *guest_string(uint64_t address);

/* Words of the caller's width: unsigned ones; seconds and nanoseconds. */
bool guest_words(UserThread *thread, uint64_t from, uint64_t *words,
                 unsigned count);
struct timespec;
bool guest_timespec(UserThread *thread, uint64_t from, struct timespec *ts);

/*
 * A guest's I/O vector, copied and checked; 0 or -errno.  *result is the
 * caller's to free.
 */
struct iovec;
int64_t guest_iovec(UserThread *thread, uint64_t address, uint64_t count,
                    struct iovec **result);

/* Groups of handlers, one file each; the table names them. */
#define NO_HOST (-1)
#define SYSCALL(number, name, host, handler, args) SyscallHandler sys_##handler;
#include "linux-user/syscalls.def"
#undef SYSCALL

/* hw-stack.c and context.c: calls reached by fast entries. */
int64_t context_get(UserThread *thread, uint64_t ucp, uint64_t size);
/* The entry procedure of a context returned to its trampoline. */
void context_finish(UserThread *thread);
int64_t hw_stack_set_return(UserThread *thread, uint64_t ip, uint64_t flags);

/* thread.c */
int64_t thread_clone(UserThread *thread, uint64_t flags, uint64_t stack_low,
                     uint64_t stack_high, uint64_t parent_tid,
                     uint64_t child_tid, uint64_t tls, int exit_signal,
                     uint64_t pidfd);
void thread_exit(UserThread *thread, int status) G_GNUC_NORETURN;

/* Around fork(): the lock of syscall-aio.c. */
void aio_fork_begin(void);
void aio_fork_end(void);

/* exec.c: path has been made a host path; argv and envp are guest arrays. */
int64_t process_exec(UserThread *thread, int dirfd, const char *path,
                     uint64_t argv, uint64_t envp, int flags);

/* Set by main(): how to start ourselves again for e2k programs. */
extern char **exec_prefix; /* NULL-terminated: emulator path and options */

#endif
