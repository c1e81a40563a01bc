/*
 * 32-bit forms of system calls; see syscall-narrow.h.  Source: shared facts
 * "linux/structs.md" section 7, "linux/syscalls.csv" last column.
 */
#include "linux-user/syscall-narrow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/bytes.h"

#define TIMESPEC "ll"
#define ITIMER "llll"
#define TIMEX "il4il8il5i12"
#define STATFS "L7i2L7"
#define STATFS64 "L2q5i2L7"
#define SIGEVENT "pi3"
#define MQ_ATTR "l8"
#define USTAT "iLi3"

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

static int64_t n_statfs64(UserThread *thread, const uint64_t *args)
{
    static const char *const forms[SYSCALL_ARGS] = { ".", ">" STATFS64 };
    uint64_t moved[SYSCALL_ARGS] = { args[0], args[2] };

    return args[1] == layout_size(STATFS64, true)
               ? convert(thread, forms, moved) : -EINVAL;
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
    uint64_t mask[2] = { 0 };

    if ((args[4] && !guest_timespec(thread, args[4], &ts)) ||
        (args[5] && !guest_words(thread, args[5], mask, 2))) {
        return -EFAULT;
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

/* Options of sockets with a time or a filter in them. */
static const char *option_layout(const uint64_t *args)
{
    if (args[1] != SOL_SOCKET) {
        return NULL;
    }
    switch (args[2]) {
    case SO_RCVTIMEO: case SO_SNDTIMEO:
        return "ll";
    case SO_ATTACH_FILTER: case SO_ATTACH_REUSEPORT_CBPF:
        return "hp";
    default:
        return NULL;
    }
}

static int64_t n_setsockopt(UserThread *thread, const uint64_t *args)
{
    const char *layout = option_layout(args);
    uint8_t narrow[LAYOUT_MOST];
    uint8_t wide[LAYOUT_MOST] __attribute__((aligned(16)));

    if (!layout) {
        return safe_syscall(SYS_setsockopt, args[0], args[1], args[2],
                            args[3], args[4], 0);
    }
    if (args[4] < layout_size(layout, true)) {
        return -EINVAL;
    }
    if (!guest_read(args[3], narrow, layout_size(layout, true))) {
        return -EFAULT;
    }
    layout_widen(layout, narrow, wide);
    return safe_syscall(SYS_setsockopt, args[0], args[1], args[2],
                        (uint64_t)wide, layout_size(layout, false), 0);
}

static int64_t n_getsockopt(UserThread *thread, const uint64_t *args)
{
    const char *layout = option_layout(args);
    uint8_t narrow[LAYOUT_MOST];
    uint8_t wide[LAYOUT_MOST] __attribute__((aligned(16)));
    uint32_t host_size = layout ? layout_size(layout, false) : 0;
    uint32_t size;
    int64_t result;

    if (!layout) {
        return safe_syscall(SYS_getsockopt, args[0], args[1], args[2],
                            args[3], args[4], 0);
    }
    if (!guest_read(args[4], &size, 4)) {
        return -EFAULT;
    }
    result = safe_syscall(SYS_getsockopt, args[0], args[1], args[2],
                          (uint64_t)wide, (uint64_t)&host_size, 0);
    if (result < 0) {
        return result;
    }
    layout_narrow(layout, wide, narrow);
    size = MIN(size, layout_size(layout, true));
    return guest_write(args[3], narrow, size) && guest_write(args[4], &size, 4)
               ? 0 : -EFAULT;
}

/* ------------------------------------------------------------------ */
/* The rows */

typedef struct NarrowEntry {
    SyscallHandler *handler; /* NULL: by the forms */
    const char *forms[SYSCALL_ARGS];
} NarrowEntry;

static const NarrowEntry narrow_table[] = {
    [19] = { NULL, { ".", "s", "." } },
    [30] = { NULL, { ".", "<ll" } },
    [43] = { NULL, { ">llll" } },
    [55] = { n_fcntl },         [62] = { NULL, { ".", ">" USTAT } },
    [77] = { NULL, { ".", ">" LAYOUT_RUSAGE } },
    [78] = { NULL, { ">ll", ">ii" } },
    [79] = { NULL, { "<ll", "<ii" } },
    [99] = { NULL, { ".", ">" STATFS } },
    [100] = { NULL, { ".", ">" STATFS } },
    [104] = { NULL, { ".", "<" ITIMER, ">" ITIMER } },
    [105] = { NULL, { ".", ">" ITIMER } },
    [116] = { NULL, { ">lL3L4hhL2i" } },
    [124] = { NULL, { "=" TIMEX } },
    [142] = { n_select },
    [161] = { NULL, { ".", ">" TIMESPEC } },
    [162] = { NULL, { "<" TIMESPEC, ">" TIMESPEC } },
    [180] = { NULL, { ".", ".", ".", "J" } },
    [181] = { NULL, { ".", ".", ".", "J" } },
    [187] = { NULL, { ".", ".", "=l", "." } },
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
    [276] = { NULL, { ".", ".", ".", "<" TIMESPEC } },
    [299] = { NULL, { ".", "J", ".", "." } },
    [306] = { n_statfs64 },     [307] = { n_statfs64 },
    [309] = { NULL, { ".", "<llll" } },
    [310] = { NULL, { ".", "J", "J", "." } },
    [315] = { NULL, { ".", ".", ".", "<" MQ_ATTR } },
    [317] = { NULL, { ".", ".", ".", ".", "<" TIMESPEC } },
    [318] = { NULL, { ".", ".", ".", ".", "<" TIMESPEC } },
    [319] = { NULL, { ".", "<" SIGEVENT } },
    [320] = { NULL, { ".", "<" MQ_ATTR, ">" MQ_ATTR } },
    [321] = { n_enosys },
    [333] = { NULL, { ".", ".", "<llll", "." } },
    [352] = { NULL, { ".", ".", "<" ITIMER, ">" ITIMER } },
    [353] = { NULL, { ".", ">" ITIMER } },
    [356] = { NULL, { ".", ".", "J", "J" } },
    [357] = { NULL, { ".", "J", "J", "." } },
    [362] = { NULL, { ".", ".", "<llll" } },
    [367] = { n_pselect6 },     [368] = { n_ppoll },
    [374] = { NULL, { ".", ".", "J", ".", "." } },
    [376] = { NULL, { ".", "=" TIMEX } },
    [415] = { n_setsockopt },   [416] = { n_getsockopt },
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
