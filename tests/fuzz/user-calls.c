/*
 * Random system calls of a guest (tests/guest/user/fuzz-calls.s), in a
 * sandbox: a directory of its own, namespaces when the host allows, an
 * unprivileged user when started by root, resource limits, and a seccomp
 * filter that keeps signals and strangers' processes out of reach.
 *
 * The program may well die of what it does to itself; the emulator must not.
 * A run fails when the emulator reports an internal error, a sanitizer speaks,
 * or the emulator does not answer.
 *
 *   user-calls E2K-USER GUEST ENGINE SEED RUNS CALLS [SECONDS]
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STRANGER = 54321, REPORT_BYTES = 4000 };

#define LOAD(field)                                                            \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define IF_EQUAL(value, then, otherwise)                                       \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise)
#define NEVER(name) IF_EQUAL(SYS_##name, 0, 1), REFUSE
/* Only when the argument is the given value (32 bits). */
#define ONLY_IF(name, argument, value)                                         \
    IF_EQUAL(SYS_##name, 0, 5), LOAD(args[argument]),                          \
    IF_EQUAL(value, 1, 0), REFUSE, LOAD(nr), ALLOW

/* Except when the argument is the given value. */
#define NOT_IF(name, argument, value)                                          \
    IF_EQUAL(SYS_##name, 0, 5), LOAD(args[argument]),                          \
    IF_EQUAL(value, 0, 1), REFUSE, LOAD(nr), ALLOW

static void install_filter(void)
{
    unsigned self = (unsigned)getpid();
    struct sock_filter filter[] = {
        LOAD(arch), IF_EQUAL(AUDIT_ARCH_X86_64, 1, 0), REFUSE,
        LOAD(nr),
        NEVER(kill), NEVER(tkill), NEVER(rt_sigqueueinfo),
        NEVER(rt_tgsigqueueinfo), NEVER(pidfd_send_signal), NEVER(ptrace),
        NEVER(setpriority), NEVER(ioprio_set), NEVER(migrate_pages),
        NEVER(move_pages), NEVER(setpgid), NEVER(sched_setscheduler),
        NEVER(sched_setparam), NEVER(sched_setattr), NEVER(sched_setaffinity),
        NEVER(add_key), NEVER(request_key), NEVER(keyctl), NEVER(pidfd_getfd),
        NEVER(process_madvise), NEVER(perf_event_open), NEVER(bpf),
        NEVER(shmget), NEVER(semget), NEVER(msgget), NEVER(mq_open),
        NEVER(reboot), NEVER(swapon), NEVER(swapoff), NEVER(sethostname),
        NEVER(setdomainname), NEVER(init_module), NEVER(finit_module),
        NEVER(delete_module), NEVER(kexec_load), NEVER(mount),
        NEVER(umount2), NEVER(pivot_root), NEVER(settimeofday),
        NEVER(clock_settime), NEVER(adjtimex), NEVER(clock_adjtime),
        NEVER(acct), NEVER(quotactl), NEVER(syslog), NEVER(vhangup),
        ONLY_IF(tgkill, 0, self), ONLY_IF(prlimit64, 0, 0),
        ONLY_IF(process_vm_writev, 0, self),
        ONLY_IF(socket, 0, AF_UNIX),
        /* Our way to hear of errors. */
        NOT_IF(close, 0, 2), NOT_IF(dup2, 1, 2), NOT_IF(dup3, 1, 2),
        NEVER(close_range),
        ALLOW,
    };
    struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        perror("seccomp");
        _exit(99);
    }
}

/* How long a program may take: more in campaigns, with sanitizers. */
static int patience_s = 3;

static void limit(int resource, rlim_t value)
{
    struct rlimit l = { value, value };

    setrlimit(resource, &l);
}

static void run_guest(const char *user, const char *guest, const char *engine,
                      const char *directory, const char *seed,
                      const char *calls, int report)
{
    int nothing = open("/dev/null", O_RDWR);

    if (chdir(directory) < 0) {
        _exit(99);
    }
    dup2(nothing, 0);
    dup2(nothing, 1);
    dup2(report, 2);
    close(report);
    close(nothing);
    setsid();
    /* Without privileges these fail, and the filter alone must do. */
    unshare(CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS);
    if (getuid() == 0 &&
        (setgroups(0, NULL) < 0 || setgid(STRANGER) < 0 ||
         setuid(STRANGER) < 0)) {
        _exit(99);
    }
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, 20);
    limit(RLIMIT_FSIZE, 1 << 29); /* the code cache is a file, too */
    limit(RLIMIT_MEMLOCK, 1 << 20);
    limit(RLIMIT_NOFILE, 64);
    limit(RLIMIT_MSGQUEUE, 0);
    install_filter();
    execl(user, user, "-accel", engine, guest, seed, calls, NULL);
    _exit(99);
}

/* What was said on standard error: the first error is what counts. */
static void read_report(int fd, char text[REPORT_BYTES + 1])
{
    ssize_t got = pread(fd, text, REPORT_BYTES, 0);

    text[got > 0 ? got : 0] = '\0';
}

static bool bad_report(const char *text)
{
    static const char *const words[] = {
        "internal error", "AddressSanitizer", "runtime error:",
        "LeakSanitizer", "ThreadSanitizer", "assertion", "Assertion",
        "GLib", "stack smashing", "corrupt", "free():", "malloc",
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strstr(text, words[i])) {
            return true;
        }
    }
    return false;
}

typedef struct Tally {
    unsigned done;    /* all calls made */
    unsigned died;    /* the program ended early, by its own doing */
    unsigned stuck;   /* it waited for something and was ended */
    unsigned failed;
} Tally;

static void one_run(char **argv, const char *guest, const char *directory,
                    unsigned long seed, Tally *tally)
{
    char seed_text[32];
    char text[REPORT_BYTES + 1];
    int report = memfd_create("report", 0);
    time_t start = time(NULL);
    bool ended = false;
    int status = 0;
    pid_t child;

    snprintf(seed_text, sizeof(seed_text), "%lu", seed);
    child = fork();
    if (child == 0) {
        run_guest(argv[1], guest, argv[3], directory, seed_text, argv[6],
                  report);
    }
    while (time(NULL) - start < patience_s) {
        struct timespec pause = { 0, 5000000 };

        if (waitpid(child, &status, WNOHANG) == child) {
            ended = true;
            break;
        }
        nanosleep(&pause, NULL);
    }
    if (!ended) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
    }
    read_report(report, text);
    close(report);
    if (bad_report(text) || (WIFEXITED(status) && WEXITSTATUS(status) == 99)) {
        tally->failed++;
        printf("# seed %lu: status %#x\n%s\n", seed, status, text);
        fflush(stdout);
    } else if (!ended) {
        tally->stuck++;
    } else if (status == 0) {
        tally->done++;
    } else {
        tally->died++;
    }
}

static void remove_directory(const char *directory)
{
    pid_t child = fork();

    if (child == 0) {
        int nothing = open("/dev/null", O_RDWR);

        dup2(nothing, 2);
        execlp("sh", "sh", "-c",
               "chmod -R u+rwx \"$0\"; rm -rf \"$0\"", directory, NULL);
        _exit(1);
    }
    waitpid(child, NULL, 0);
}

static bool copy_file(const char *from, const char *to)
{
    char buffer[1 << 16];
    int in = open(from, O_RDONLY);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0755);
    ssize_t got = -1;

    while (in >= 0 && out >= 0 &&
           (got = read(in, buffer, sizeof(buffer))) > 0) {
        if (write(out, buffer, (size_t)got) != got) {
            got = -1;
            break;
        }
    }
    close(in);
    close(out);
    return got == 0;
}

int main(int argc, char **argv)
{
    char directory[] = "/tmp/e2k-user-calls-XXXXXX";
    char guest[64];
    char work[64];
    Tally tally = { 0 };
    unsigned long seed;
    unsigned runs;
    time_t end;

    if (argc < 7) {
        fprintf(stderr, "usage: user-calls E2K-USER GUEST ENGINE SEED RUNS "
                        "CALLS [SECONDS]\n");
        return 2;
    }
    seed = strtoul(argv[4], NULL, 0);
    runs = (unsigned)strtoul(argv[5], NULL, 0);
    end = argc > 7 ? time(NULL) + atoi(argv[7]) : 0;
    patience_s = end ? 20 : patience_s;
    if (!seed) {
        seed = (unsigned long)time(NULL) * 1000;
    }
    argv[1] = realpath(argv[1], NULL);
    if (!argv[1]) {
        perror("the emulator");
        return 2;
    }
    if (!mkdtemp(directory)) {
        perror("mkdtemp");
        return 1;
    }
    snprintf(guest, sizeof(guest), "%s/guest", directory);
    snprintf(work, sizeof(work), "%s/work", directory);
    chmod(directory, 0755);
    if (!copy_file(argv[2], guest) || mkdir(work, 0755) < 0 ||
        (getuid() == 0 && chown(work, STRANGER, STRANGER) < 0)) {
        perror(guest);
        remove_directory(directory);
        return 1;
    }
    printf("1..1\n# seeds from %lu\n", seed);
    fflush(stdout);
    for (unsigned i = 0; end ? time(NULL) < end : i < runs; i++) {
        chmod(work, 0755);
        chmod(guest, 0755);
        one_run(argv, guest, work, seed + i, &tally);
    }
    remove_directory(directory);
    printf("# %u runs to the end, %u programs died, %u waited, %u failures\n",
           tally.done, tally.died, tally.stuck, tally.failed);
    /* A run in which no program gets anywhere shows nothing. */
    printf("%s 1 - the emulator answers %s random calls a program\n",
           tally.failed || !tally.done ? "not ok" : "ok", argv[6]);
    return tally.failed || !tally.done;
}
