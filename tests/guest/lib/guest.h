/*
 * The library of the guest programs, for tests in C: start-up code, system
 * calls, output, and the checks that print TAP.  ../README.md says how a
 * program is built with it.
 *
 * There is no C library behind this: no errno (system calls return -errno),
 * no heap, no floating-point output.  Everything may be called from any
 * thread, except check(), check_eq() and plan(), which count.
 */
#ifndef TESTS_GUEST_LIB_GUEST_H
#define TESTS_GUEST_LIB_GUEST_H

typedef unsigned long size_t;

/* The program's; its result is the exit status. */
int main(int argc, char **argv, char **envp);

/*
 * One test each: passes when the condition is not 0, or the value is the one
 * wanted.  64 bits wide with pointers of either size.
 */
void check(long long condition, const char *text);
void check_eq(unsigned long long value, unsigned long long wanted,
              const char *text);
/* Prints the plan; 0, or 1 when a test failed: what main() returns. */
int plan(void);

/*
 * To standard output.  printf() knows %d %i %u %x %p %c %s %%, a width, 0 for
 * padding with zeros, and l, ll and z; it returns the number of characters.
 */
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int puts(const char *text);      /* and a newline */
int putchar(int character);
void put_text(const char *text); /* no newline */

/* What compilers call by themselves, and little more. */
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);

/* Any system call; all seven arguments have to be given. */
long sys_call(long number, long a, long b, long c, long d, long e, long f);

long sys_exit(int status) __attribute__((noreturn));
long sys_fork(void);
long sys_read(int fd, void *to, size_t size);
long sys_write(int fd, const void *from, size_t size);
long sys_open(const char *path, int flags, int mode);
long sys_close(int fd);
long sys_waitpid(int pid, int *status, int options);
long sys_execve(const char *path, char **argv, char **envp);
long sys_lseek(int fd, long offset, int whence);
long sys_getpid(void);
long sys_gettid(void);
long sys_kill(int pid, int signal);
long sys_tkill(int tid, int signal);
long sys_pipe(int *ends);
long sys_brk(void *end);
long sys_ioctl(int fd, unsigned long request, void *argument);
long sys_mmap(void *address, size_t size, int protection, int flags, int fd,
              long offset);
long sys_munmap(void *address, size_t size);
long sys_mprotect(void *address, size_t size, int protection);
long sys_mremap(void *address, size_t old_size, size_t new_size, int flags,
                void *to);
long sys_nanosleep(const void *wanted, void *left);
long sys_rt_sigaction(int signal, const void *action, void *old,
                      size_t mask_size);
long sys_rt_sigprocmask(int how, const void *set, void *old,
                        size_t mask_size);
long sys_futex(int *word, int op, int value, const void *timeout, int *word2,
               int value3);
long sys_clock_gettime(int clock, void *to);

#endif
