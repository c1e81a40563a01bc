/*
 * The twin of exec.s for the host: execve, its errors, and execve of a thread.
 */
#include <elf.h>
#include <link.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/guest/user/twin.h"

enum { TELL = 60, MEMORY = 50 };

static char path[4096];
static char *environment[] = { "GUEST=1", NULL };

/* A thread that is there, and then not. */
static void *sleeper(void *shared)
{
    *(volatile int *)shared = (int)syscall(SYS_gettid);
    while (pause() < 0) {
    }
    return shared;
}

static void *executer(void *unused)
{
    char *arguments[] = { path, "thread", NULL };

    execve(path, arguments, environment);
    _exit(99);
}

/* What it runs: tells whether it is the first thread. */
static void after_thread(void)
{
    int64_t told = getpid() == syscall(SYS_gettid) ? getpid() : 0;

    alarm(20);
    while (write(TELL, &told, sizeof(told)) >= 0) {
        pause();
    }
}

static void exec_from_thread(void)
{
    volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int64_t told = 0;
    int status = 0;
    int ends[2];
    pid_t child;

    if (pipe(ends) < 0) {
        return;
    }
    child = fork();
    if (child == 0) {
        pthread_t thread;

        alarm(20);
        dup2(ends[1], TELL);
        pthread_create(&thread, NULL, sleeper, (void *)shared);
        while (!*shared) {
            usleep(1000);
        }
        pthread_create(&thread, NULL, executer, NULL);
        for (;;) {
            pause();
        }
    }
    close(ends[1]);
    ANSWERS(8, "a thread's program runs", SYS_read, ends[0], &told, 8);
    check_eq(told, child, "as the first thread of the same process");
    check(*shared != child, "another thread was there");
    ANSWERS(-ESRCH, "and has ended", SYS_tkill, *shared, 0);
    kill(child, SIGTERM);
    check_eq(waitpid(child, &status, 0), child,
             "the process can be waited for");
    check_eq(status, SIGTERM, "once, by its number");
}

static void put_program(const void *bytes, size_t size)
{
    if (pwrite(MEMORY, bytes, size, 0) != (ssize_t)size) {
        _exit(1);
    }
}

static void errors(void)
{
    char *arguments[] = { path, "again", NULL };
    static const char missing[] = "/nonexistent/ld";
    struct {
        ElfW(Ehdr) header;
        ElfW(Phdr) parts[2];
        char name[16];
    } program = { 0 };
    int fd = memfd_create("again", 0);
    ElfW(Ehdr) *own = &program.header;

    ANSWERS(-ENOENT, "a missing program", SYS_execve, "/nonexistent/program",
            arguments, environment);
    check(CALL(SYS_execve, "/", arguments, environment) < 0,
          "a directory is no program");
    dup2(fd, MEMORY);
    /* This machine's header, with an interpreter that is not there. */
    fd = open("/proc/self/exe", O_RDONLY);
    if (read(fd, own, sizeof(*own)) != sizeof(*own)) {
        return;
    }
    own->e_type = ET_EXEC;
    own->e_entry = 0x10000;
    own->e_phoff = sizeof(*own);
    own->e_phnum = 2;
    own->e_shnum = 0;
    program.parts[0] = (ElfW(Phdr)){
        .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x10000,
        .p_filesz = sizeof(program), .p_memsz = sizeof(program),
        .p_align = 4096,
    };
    memcpy(program.name, missing, sizeof(missing));
    program.parts[1] = (ElfW(Phdr)){
        .p_type = PT_INTERP, .p_flags = PF_R,
        .p_offset = (size_t)((char *)program.name - (char *)&program),
        .p_filesz = sizeof(missing), .p_memsz = sizeof(missing),
    };
    put_program(&program, sizeof(program));
    ANSWERS(-ENOENT, "one whose interpreter is missing", SYS_execve,
            "/proc/self/fd/50", arguments, environment);
}

int main(int argc, char **argv, char **envp)
{
    char *arguments[] = { path, "again", NULL };
    int status = 0;
    pid_t child;

    if (argc == 2) {
        if (argv[1][0] == 't') {
            after_thread();
        }
        return argv[1][0] == 'a' ? envp[0][0] : 1;
    }
    if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0) {
        return 1;
    }
    errors();
    child = fork();
    if (child == 0) {
        execve(path, arguments, environment);
        _exit(99);
    }
    waitpid(child, &status, 0);
    check_eq(status, 'G' << 8, "the program runs itself, arguments and all");
    exec_from_thread();
    check_eq((int64_t)getauxval(AT_SECURE), 0,
             "an ordinary program has AT_SECURE, and it is 0");
    return plan();
}
