/*
 * 32-bit forms of system calls; see syscall-narrow.h.  Source: shared facts
 * "linux/structs.md" section 7, "linux/syscalls.csv" last column.
 */
#include "linux-user/syscall-narrow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "linux-user/ptrace.h"
#include "linux-user/signal.h"
#include "util/bytes.h"

#define TIMESPEC "ll"
#define ITIMER "llll"
#define RUSAGE "l18"
#define TIMEX "il4il8il5i12"
#define STATFS "L7i2L7"
#define STATFS64 "L2q5i2L7"
#define SIGEVENT "pi3"
#define MQ_ATTR "l8"

enum { NARROW_INFINITY = 0x7fffffff };

/* ------------------------------------------------------------------ */
/* Conversion by layout */

/*
 * One argument: "." as it is, "s" sign-extended, "J" 64 bits in two halves,
 * "<" LAYOUT read, ">" LAYOUT written, "=" LAYOUT both.
 */
static int64_t convert(UserThread *thread, const char *const *forms,
                       const uint64_t *args)
{
    uint8_t wide[SYSCALL_ARGS][LAYOUT_MOST]
        __attribute__((aligned(16)));
    uint8_t narrow[LAYOUT_MOST];
    uint64_t pointers[SYSCALL_ARGS] = { 0 };
    uint64_t host[SYSCALL_ARGS] = { 0 };
    unsigned at = 0;
    int64_t result;

    for (unsigned i = 0; i < SYSCALL_ARGS && at < SYSCALL_ARGS; i++) {
        const char *form = forms[i] ? forms[i] : ".";

        host[i] = args[at++];
        switch (*form) {
        case 's':
            host[i] = (int64_t)(int32_t)host[i];
            break;
        case 'J':
            host[i] |= at < SYSCALL_ARGS ? args[at] << 32 : 0;
            at++;
            break;
        case '<': case '>': case '=':
            if (!host[i]) {
                break;
            }
            pointers[i] = host[i];
            memset(wide[i], 0, sizeof(wide[i]));
            if (*form != '>') {
                if (!guest_read(pointers[i], narrow,
                                layout_size(form + 1, true))) {
                    return -EFAULT;
                }
                layout_widen(form + 1, narrow, wide[i]);
            }
            host[i] = (uint64_t)wide[i];
            break;
        default:
            break;
        }
    }
    result = safe_syscall(syscall_host_number(), host[0], host[1], host[2],
                          host[3], host[4], host[5]);
    for (unsigned i = 0; result >= 0 && i < SYSCALL_ARGS; i++) {
        if (pointers[i] && forms[i][0] != '<') {
            layout_narrow(forms[i] + 1, wide[i], narrow);
            if (!guest_write(pointers[i], narrow,
                             layout_size(forms[i] + 1, true))) {
                return -EFAULT;
            }
        }
    }
    return result;
}

/* ------------------------------------------------------------------ */
/* Handlers */

static int64_t n_enosys(UserThread *thread, const uint64_t *args)
{
    return -ENOSYS;
}

static int64_t n_time(UserThread *thread, const uint64_t *args)
{
    int32_t now = (int32_t)time(NULL);

    return args[0] && !guest_write(args[0], &now, 4) ? -EFAULT : now;
}

static int64_t n_stime(UserThread *thread, const uint64_t *args)
{
    struct timespec ts = { 0 };
    int32_t now;

    if (!guest_read(args[0], &now, 4)) {
        return -EFAULT;
    }
    ts.tv_sec = now;
    return clock_settime(CLOCK_REALTIME, &ts) < 0 ? -errno : 0;
}

/* struct compat_stat, 64 bytes. */
static int64_t n_put_stat(uint64_t to, const struct stat *st)
{
    uint8_t b[64] = { 0 };

    if (st->st_size > INT32_MAX) {
        return -EOVERFLOW;
    }
    stw_le_p(b, st->st_dev);
    stl_le_p(b + 4, st->st_ino);
    stw_le_p(b + 8, st->st_mode);
    stw_le_p(b + 10, st->st_nlink);
    stw_le_p(b + 12, MIN(st->st_uid, 0xfffe));
    stw_le_p(b + 14, MIN(st->st_gid, 0xfffe));
    stw_le_p(b + 16, st->st_rdev);
    stl_le_p(b + 20, st->st_size);
    stl_le_p(b + 24, st->st_atim.tv_sec);
    stl_le_p(b + 28, st->st_atim.tv_nsec);
    stl_le_p(b + 32, st->st_mtim.tv_sec);
    stl_le_p(b + 36, st->st_mtim.tv_nsec);
    stl_le_p(b + 40, st->st_ctim.tv_sec);
    stl_le_p(b + 44, st->st_ctim.tv_nsec);
    stl_le_p(b + 48, st->st_blksize);
    stl_le_p(b + 52, st->st_blocks);
    return guest_write(to, b, sizeof(b)) ? 0 : -EFAULT;
}

static int64_t n_stat_of(UserThread *thread, const uint64_t *args, int flags)
{
    g_autofree char *path = guest_string(args[0]);
    g_autofree char *host = NULL;
    struct stat st;

    if (!path) {
        return -EFAULT;
    }
    host = process_host_path(thread->process, path);
    return fstatat(AT_FDCWD, host, &st, flags) < 0 ? -errno
                                                   : n_put_stat(args[1], &st);
}

static int64_t n_stat(UserThread *thread, const uint64_t *args)
{
    return n_stat_of(thread, args, 0);
}

static int64_t n_lstat(UserThread *thread, const uint64_t *args)
{
    return n_stat_of(thread, args, AT_SYMLINK_NOFOLLOW);
}

static int64_t n_fstat(UserThread *thread, const uint64_t *args)
{
    struct stat st;

    return fstat((int)args[0], &st) < 0 ? -errno : n_put_stat(args[1], &st);
}

static int64_t n_statfs64(UserThread *thread, const uint64_t *args)
{
    static const char *const forms[SYSCALL_ARGS] = { ".", ">" STATFS64 };
    uint64_t moved[SYSCALL_ARGS] = { args[0], args[2] };

    return args[1] == layout_size(STATFS64, true)
               ? convert(thread, forms, moved) : -EINVAL;
}

/* Limits: 64-bit values clipped; our own handlers know what is faked. */
static int64_t n_getrlimit(UserThread *thread, const uint64_t *args)
{
    uint32_t narrow[2];
    struct rlimit limit;

    if (prlimit(0, (int)args[0], NULL, &limit) < 0) {
        return -errno;
    }
    narrow[0] = MIN(limit.rlim_cur, NARROW_INFINITY);
    narrow[1] = MIN(limit.rlim_max, NARROW_INFINITY);
    return guest_write(args[1], narrow, 8) ? 0 : -EFAULT;
}

static int64_t n_setrlimit(UserThread *thread, const uint64_t *args)
{
    uint32_t narrow[2];
    struct rlimit limit;

    if (!guest_read(args[1], narrow, 8)) {
        return -EFAULT;
    }
    limit.rlim_cur = narrow[0] == NARROW_INFINITY ? RLIM_INFINITY : narrow[0];
    limit.rlim_max = narrow[1] == NARROW_INFINITY ? RLIM_INFINITY : narrow[1];
    if (args[0] == RLIMIT_AS || args[0] == RLIMIT_DATA ||
        args[0] == RLIMIT_STACK) {
        return 0; /* it would hit the emulator */
    }
    return setrlimit((int)args[0], &limit) < 0 ? -errno : 0;
}

static int64_t n_fcntl(UserThread *thread, const uint64_t *args)
{
    enum { GETLK64 = 12, SETLK64 = 13, SETLKW64 = 14 };
    static const char *const lock[SYSCALL_ARGS] = { ".", ".", "=hhlli" };
    static const char *const lock64[SYSCALL_ARGS] = { ".", ".", "=hhqqi" };
    uint64_t moved[SYSCALL_ARGS];

    memcpy(moved, args, sizeof(moved));
    switch (args[1]) {
    case F_GETLK: case F_SETLK: case F_SETLKW:
        return convert(thread, lock, args);
    case GETLK64: case SETLK64: case SETLKW64:
        moved[1] = args[1] - GETLK64 + F_GETLK;
        return convert(thread, lock64, moved);
    case F_OFD_GETLK: case F_OFD_SETLK: case F_OFD_SETLKW:
        return convert(thread, lock64, args);
    default:
        return safe_syscall(SYS_fcntl, args[0], args[1], args[2], 0, 0, 0);
    }
}

/* struct compat_linux_dirent: u32 inode, u32 offset, u16 length, name, and
 * the type in the last byte. */
static int64_t n_getdents(UserThread *thread, const uint64_t *args)
{
    enum { BYTES = 32 << 10, NAME = 10, HOST_NAME = 19 };
    g_autofree uint8_t *host = g_malloc(BYTES);
    uint64_t room = MIN(args[2], BYTES);
    int64_t got = syscall(SYS_getdents64, (int)args[0], host, BYTES / 2);
    uint64_t out = 0;

    if (got < 0) {
        return -errno;
    }
    for (int64_t at = 0; at < got;) {
        const uint8_t *entry = host + at;
        size_t length = strlen((const char *)entry + HOST_NAME);
        size_t size = (NAME + length + 2 + 3) & ~(size_t)3;
        uint8_t guest[NAME + 260 + 4] = { 0 };

        if (out + size > room) {
            /* The rest is for the next call. */
            off_t back = at ? (off_t)ldq_le_p(host + 8) : 0;

            for (int64_t i = 0; i < at; i += ldw_le_p(host + i + 16)) {
                back = (off_t)ldq_le_p(host + i + 8);
            }
            if (!out) {
                return -EINVAL;
            }
            lseek((int)args[0], back, SEEK_SET);
            break;
        }
        stl_le_p(guest, ldq_le_p(entry));
        stl_le_p(guest + 4, ldq_le_p(entry + 8));
        stw_le_p(guest + 8, size);
        memcpy(guest + NAME, entry + HOST_NAME, length);
        guest[size - 1] = entry[18];
        if (!guest_write(args[1] + out, guest, size)) {
            return -EFAULT;
        }
        out += size;
        at += ldw_le_p(entry + 16);
    }
    return (int64_t)out;
}

/* Descriptor sets are words of 32 bits: the host may round up to 64. */
static int64_t select_sets(UserThread *thread, const uint64_t *args,
                           const struct timespec *timeout, uint64_t mask)
{
    uint8_t sets[3][128] = { { 0 } };
    int n = CLAMP((int)args[0], -1, 1024);
    unsigned bytes = n > 0 ? (n + 31) / 32 * 4 : 0;
    struct { uint64_t mask, size; } with = { mask, 8 };
    int64_t result;

    for (int i = 0; i < 3; i++) {
        if (args[1 + i] && !guest_read(args[1 + i], sets[i], bytes)) {
            return -EFAULT;
        }
    }
    result = safe_syscall(SYS_pselect6, n, args[1] ? (uint64_t)sets[0] : 0,
                          args[2] ? (uint64_t)sets[1] : 0,
                          args[3] ? (uint64_t)sets[2] : 0, (uint64_t)timeout,
                          (uint64_t)&with);
    for (int i = 0; result >= 0 && i < 3; i++) {
        if (args[1 + i] && !guest_write(args[1 + i], sets[i], bytes)) {
            return -EFAULT;
        }
    }
    return result == RESTART_SYS ? RESTART_NEVER : result;
}

static int64_t n_select(UserThread *thread, const uint64_t *args)
{
    struct timespec ts;
    int32_t pair[2];

    if (args[4] && !guest_read(args[4], pair, 8)) {
        return -EFAULT;
    }
    if (args[4]) {
        ts = (struct timespec){ pair[0] + pair[1] / 1000000,
                                (long)(pair[1] % 1000000) * 1000 };
    }
    return select_sets(thread, args, args[4] ? &ts : NULL, 0);
}

static int64_t n_pselect6(UserThread *thread, const uint64_t *args)
{
    struct timespec ts;
    int32_t pair[2];
    uint32_t mask[2] = { 0 };

    if ((args[4] && !guest_read(args[4], pair, 8)) ||
        (args[5] && !guest_read(args[5], mask, 8))) {
        return -EFAULT;
    }
    if (args[4]) {
        ts = (struct timespec){ pair[0], pair[1] };
    }
    return select_sets(thread, args, args[4] ? &ts : NULL, mask[0]);
}

static int64_t n_ppoll(UserThread *thread, const uint64_t *args)
{
    static const char *const forms[SYSCALL_ARGS] = { ".", ".", "<" TIMESPEC };
    int64_t result = convert(thread, forms, args);

    return result == RESTART_SYS ? RESTART_NEVER : result;
}

static int64_t n_futex(UserThread *thread, const uint64_t *args)
{
    enum { LOCK_PI2 = 13 };
    static const char *const timed[SYSCALL_ARGS] = { ".", ".", ".",
                                                     "<" TIMESPEC };
    static const char *const plain[SYSCALL_ARGS] = { "." };

    switch (args[1] & FUTEX_CMD_MASK) {
    case FUTEX_WAIT: case FUTEX_LOCK_PI: case FUTEX_WAIT_BITSET:
    case FUTEX_WAIT_REQUEUE_PI: case LOCK_PI2:
        return convert(thread, timed, args);
    default:
        return convert(thread, plain, args);
    }
}

static int64_t n_wait4(UserThread *thread, const uint64_t *args)
{
    struct rusage usage;
    uint8_t narrow[LAYOUT_MOST];
    int status = 0;
    int64_t result = ptrace_wait4((int64_t)(int)args[0], &status, args[2],
                                  args[3] ? &usage : NULL);

    if (result <= 0) {
        return result;
    }
    if (args[3]) {
        layout_narrow(RUSAGE, (uint8_t *)&usage, narrow);
        if (!guest_write(args[3], narrow, layout_size(RUSAGE, true))) {
            return -EFAULT;
        }
    }
    return args[1] && !guest_write(args[1], &status, 4) ? -EFAULT : result;
}

static int64_t n_waitid(UserThread *thread, const uint64_t *args)
{
    siginfo_t info = { 0 };
    struct rusage usage;
    uint8_t guest[128];
    uint8_t narrow[LAYOUT_MOST];
    int64_t result = safe_syscall(
        SYS_waitid, args[0], args[1], args[2] ? (uint64_t)&info : 0, args[3],
        args[4] ? (uint64_t)&usage : 0, 0);

    if (result == 0 && args[2]) {
        signal_info_to_guest(&info, guest, true);
        if (!guest_write(args[2], guest, sizeof(guest))) {
            return -EFAULT;
        }
    }
    if (result == 0 && args[4]) {
        layout_narrow(RUSAGE, (uint8_t *)&usage, narrow);
        if (!guest_write(args[4], narrow, layout_size(RUSAGE, true))) {
            return -EFAULT;
        }
    }
    return result;
}

/* The kernel could not walk such a list; nobody asks for it but us. */
static int64_t n_set_robust_list(UserThread *thread, const uint64_t *args)
{
    if (args[1] != 12) {
        return -EINVAL;
    }
    thread->robust_list = args[0];
    thread->robust_list_size = args[1];
    return 0;
}

static int64_t n_get_robust_list(UserThread *thread, const uint64_t *args)
{
    uint32_t words[2] = { (uint32_t)thread->robust_list, 12 };

    if (args[0] && (int)args[0] != thread->tid) {
        return -EPERM;
    }
    return guest_write(args[1], &words[0], 4) &&
                   guest_write(args[2], &words[1], 4) ? 0 : -EFAULT;
}

static int64_t n_sigprocmask(UserThread *thread, const uint64_t *args)
{
    uint64_t before = thread->blocked;
    uint32_t bits;

    if (args[1]) {
        if (!guest_read(args[1], &bits, 4)) {
            return -EFAULT;
        }
        switch (args[0]) {
        case SIG_BLOCK:
            signal_set_mask(thread, before | bits);
            break;
        case SIG_UNBLOCK:
            signal_set_mask(thread, before & ~(uint64_t)bits);
            break;
        case SIG_SETMASK:
            signal_set_mask(thread, (before & ~UINT64_C(0xffffffff)) | bits);
            break;
        default:
            return -EINVAL;
        }
    }
    return args[2] && !guest_write(args[2], &before, 4) ? -EFAULT : 0;
}

static int64_t n_sigpending(UserThread *thread, const uint64_t *args)
{
    uint64_t pending = 0;

    syscall(SYS_rt_sigpending, &pending, 8);
    return guest_write(args[0], &pending, 4) ? 0 : -EFAULT;
}

static int64_t n_rt_sigtimedwait(UserThread *thread, const uint64_t *args)
{
    siginfo_t info;
    uint8_t guest[128];
    struct timespec ts;
    int32_t pair[2];
    int64_t result;

    if (args[2] && !guest_read(args[2], pair, 8)) {
        return -EFAULT;
    }
    if (args[2]) {
        ts = (struct timespec){ pair[0], pair[1] };
    }
    result = safe_syscall(SYS_rt_sigtimedwait, args[0], (uint64_t)&info,
                          args[2] ? (uint64_t)&ts : 0, args[3], 0, 0);
    if (result > 0 && args[1]) {
        signal_info_to_guest(&info, guest, true);
        if (!guest_write(args[1], guest, sizeof(guest))) {
            return -EFAULT;
        }
    }
    return result == RESTART_SYS ? RESTART_NEVER : result;
}

/* ------------------------------------------------------------------ */
/* The rows */

typedef struct NarrowEntry {
    SyscallHandler *handler; /* NULL: by the forms */
    const char *forms[SYSCALL_ARGS];
} NarrowEntry;

static const NarrowEntry narrow_table[] = {
    [13] = { n_time },          [19] = { NULL, { ".", "s", "." } },
    [25] = { n_stime },         [30] = { NULL, { ".", "<ll" } },
    [43] = { NULL, { ">llll" } },
    [55] = { n_fcntl },         [62] = { n_enosys },
    [73] = { n_sigpending },    [75] = { n_setrlimit },
    [76] = { n_getrlimit },     [77] = { NULL, { ".", ">" RUSAGE } },
    [78] = { NULL, { ">ll", ">ii" } },
    [79] = { NULL, { "<ll", "<ii" } },
    [89] = { n_enosys },
    [99] = { NULL, { ".", ">" STATFS } },
    [100] = { NULL, { ".", ">" STATFS } },
    [104] = { NULL, { ".", "<" ITIMER, ">" ITIMER } },
    [105] = { NULL, { ".", ">" ITIMER } },
    [106] = { n_stat },         [107] = { n_lstat },
    [108] = { n_fstat },
    [114] = { n_wait4 },
    [116] = { NULL, { ">lL3L4hhL2i" } },
    [124] = { NULL, { "=" TIMEX } },
    [126] = { n_sigprocmask },
    [141] = { n_getdents },     [142] = { n_select },
    [161] = { NULL, { ".", ">" TIMESPEC } },
    [162] = { NULL, { "<" TIMESPEC, ">" TIMESPEC } },
    [177] = { n_rt_sigtimedwait },
    [180] = { NULL, { ".", ".", ".", "J" } },
    [181] = { NULL, { ".", ".", ".", "J" } },
    [187] = { NULL, { ".", ".", "=l", "." } },
    [191] = { n_getrlimit },
    [193] = { NULL, { ".", "J" } },
    [194] = { NULL, { ".", "J" } },
    [221] = { n_fcntl },        [224] = { n_enosys },
    [245] = { NULL, { ".", "J", "." } },
    [248] = { n_futex },
    [261] = { NULL, { ".", "<" SIGEVENT, "." } },
    [262] = { NULL, { ".", ".", "<" ITIMER, ">" ITIMER } },
    [263] = { NULL, { ".", ">" ITIMER } },
    [266] = { NULL, { ".", "<" TIMESPEC } },
    [267] = { NULL, { ".", ">" TIMESPEC } },
    [268] = { NULL, { ".", ">" TIMESPEC } },
    [269] = { NULL, { ".", ".", "<" TIMESPEC, ">" TIMESPEC } },
    [271] = { n_enosys },       [272] = { n_enosys },
    [273] = { n_enosys },
    [276] = { NULL, { ".", ".", ".", "<" TIMESPEC } },
    [279] = { n_enosys },       [285] = { n_enosys },
    [294] = { n_enosys },       [296] = { n_enosys },
    [299] = { NULL, { ".", "J", ".", "." } },
    [306] = { n_statfs64 },     [307] = { n_statfs64 },
    [309] = { NULL, { ".", "<llll" } },
    [310] = { NULL, { ".", "J", "J", "." } },
    [315] = { NULL, { ".", ".", ".", "<" MQ_ATTR } },
    [317] = { NULL, { ".", ".", ".", ".", "<" TIMESPEC } },
    [318] = { NULL, { ".", ".", ".", ".", "<" TIMESPEC } },
    [319] = { NULL, { ".", "<" SIGEVENT } },
    [320] = { NULL, { ".", "<" MQ_ATTR, ">" MQ_ATTR } },
    [321] = { n_enosys },       [322] = { n_waitid },
    [333] = { NULL, { ".", ".", "<llll", "." } },
    [352] = { NULL, { ".", ".", "<" ITIMER, ">" ITIMER } },
    [353] = { NULL, { ".", ">" ITIMER } },
    [356] = { NULL, { ".", ".", "J", "J" } },
    [357] = { NULL, { ".", "J", "J", "." } },
    [362] = { NULL, { ".", ".", "<llll" } },
    [365] = { n_get_robust_list }, [366] = { n_set_robust_list },
    [367] = { n_pselect6 },     [368] = { n_ppoll },
    [374] = { NULL, { ".", ".", "J", ".", "." } },
    [376] = { NULL, { ".", "=" TIMEX } },
};

bool syscall_narrow(UserThread *thread, uint64_t number, const uint64_t *args,
                    int64_t *result)
{
    const NarrowEntry *entry;

    if (number >= G_N_ELEMENTS(narrow_table)) {
        return false;
    }
    entry = &narrow_table[number];
    if (entry->handler) {
        *result = entry->handler(thread, args);
    } else if (entry->forms[0]) {
        *result = convert(thread, entry->forms, args);
    } else {
        return false;
    }
    return true;
}
