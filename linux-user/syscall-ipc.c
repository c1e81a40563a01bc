/*
 * System V IPC in both widths, and the two multiplexed calls of older libcs,
 * socketcall and ipc, which become the calls that they stand for.
 * Source: "linux/structs.md" sections 2.6, 2.7 and 7.
 */
#include <errno.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "linux-user/syscall-narrow.h"
#include "util/bytes.h"

/* ------------------------------------------------------------------ */
/* Socket calls by their number in socketcall */

static const struct {
    uint16_t number;
    uint8_t n_args;
} socket_calls[] = {
    [1] = { 403, 3 },  /* socket */       [2] = { 410, 3 },  /* bind */
    [3] = { 404, 3 },  /* connect */      [4] = { 411, 2 },  /* listen */
    [5] = { 405, 3 },  /* accept */       [6] = { 412, 3 },  /* getsockname */
    [7] = { 413, 3 },  /* getpeername */  [8] = { 414, 4 },  /* socketpair */
    [9] = { 406, 4 },  /* sendto */       [10] = { 407, 4 }, /* recvfrom */
    [11] = { 406, 6 }, /* sendto */       [12] = { 407, 6 }, /* recvfrom */
    [13] = { 393, 2 }, /* shutdown */     [14] = { 415, 5 }, /* setsockopt */
    [15] = { 416, 5 }, /* getsockopt */   [16] = { 408, 3 }, /* sendmsg */
    [17] = { 409, 3 }, /* recvmsg */      [18] = { 286, 4 }, /* accept4 */
    [19] = { 349, 5 }, /* recvmmsg */     [20] = { 378, 4 }, /* sendmmsg */
};

int64_t sys_socketcall(UserThread *thread, const uint64_t *args)
{
    uint64_t call = args[0];
    uint64_t words[SYSCALL_ARGS] = { 0 };

    if (call < 1 || call >= G_N_ELEMENTS(socket_calls)) {
        return -EINVAL;
    }
    return guest_words(thread, args[1], words, socket_calls[call].n_args)
               ? syscall_make(thread, socket_calls[call].number, words)
               : -EFAULT;
}

/* ------------------------------------------------------------------ */
/* Descriptions of queues, semaphore sets and segments */

enum { PERM_BYTES = 48, DESCRIPTION_MOST = 120 };

/* A field: offset and size for the host, offset in the two guest forms; the
 * upper half of a 64-bit time stands apart in the narrow one. */
typedef struct IpcField {
    uint8_t host, size, wide, narrow, narrow_high;
} IpcField;

typedef struct IpcKind {
    uint8_t host_bytes, wide_bytes, narrow_bytes;
    IpcField fields[9];
} IpcKind;

static const IpcKind sem_kind = {
    sizeof(struct semid_ds), 88, 80,
    { { 48, 8, 48, 52, 56 }, { 64, 8, 56, 60, 68 }, { 80, 8, 64, 64, 0 } },
};

static const IpcKind msg_kind = {
    sizeof(struct msqid_ds), 120, 104,
    { { 48, 8, 48, 52, 56 }, { 56, 8, 56, 60, 64 }, { 64, 8, 64, 68, 92 },
      { 72, 8, 72, 72, 0 }, { 80, 8, 80, 76, 0 }, { 88, 8, 88, 80, 0 },
      { 96, 4, 96, 84, 0 }, { 100, 4, 100, 88, 0 } },
};

static const IpcKind shm_kind = {
    sizeof(struct shmid_ds), 112, 96,
    { { 48, 8, 48, 72, 0 }, { 56, 8, 56, 52, 56 }, { 64, 8, 64, 60, 64 },
      { 72, 8, 72, 68, 88 }, { 80, 4, 80, 76, 0 }, { 84, 4, 84, 80, 0 },
      { 88, 8, 88, 84, 0 } },
};

static void put_description(const IpcKind *kind, const uint8_t *host,
                            uint8_t *guest, bool narrow)
{
    memset(guest, 0, DESCRIPTION_MOST);
    memcpy(guest, host, narrow ? 20 : PERM_BYTES);
    if (narrow) {
        stw_le_p(guest + 22, ldl_le_p(host + 20)); /* mode */
        stw_le_p(guest + 26, ldw_le_p(host + 24)); /* sequence number */
    }
    for (const IpcField *f = kind->fields; f->size; f++) {
        if (!narrow) {
            memcpy(guest + f->wide, host + f->host, f->size);
            continue;
        }
        memcpy(guest + f->narrow, host + f->host, 4);
        if (f->narrow_high) {
            memcpy(guest + f->narrow_high, host + f->host + 4, 4);
        }
    }
}

/* What IPC_SET looks at: owner, mode, size of a queue. */
static void take_description(const IpcKind *kind, const uint8_t *guest,
                             uint8_t *host, bool narrow)
{
    memset(host, 0, DESCRIPTION_MOST);
    memcpy(host, guest, 20);
    stl_le_p(host + 20, narrow ? ldw_le_p(guest + 22) : ldl_le_p(guest + 20));
    for (const IpcField *f = kind->fields; f->size; f++) {
        memcpy(host + f->host, guest + (narrow ? f->narrow : f->wide),
               narrow ? 4 : f->size);
    }
}

static int64_t describe(UserThread *thread, const IpcKind *kind,
                        uint64_t number, uint64_t id, uint64_t index,
                        int command, uint64_t buffer)
{
    bool narrow = thread->narrow;
    unsigned size = narrow ? kind->narrow_bytes : kind->wide_bytes;
    uint8_t guest[DESCRIPTION_MOST] = { 0 };
    uint8_t host[DESCRIPTION_MOST] = { 0 };
    bool sem = number == SYS_semctl;
    int64_t result;

    if (command == IPC_SET) {
        if (!guest_read(buffer, guest, size)) {
            return -EFAULT;
        }
        take_description(kind, guest, host, narrow);
    }
    result = safe_syscall((long)number, id, sem ? index : (uint64_t)command,
                          sem ? (uint64_t)command : (uint64_t)host,
                          (uint64_t)host, 0, 0);
    if (result < 0 || command == IPC_SET) {
        return result;
    }
    put_description(kind, host, guest, narrow);
    return guest_write(buffer, guest, size) ? result : -EFAULT;
}

enum { IPC_64 = 0x100 }; /* the only layout here */

int64_t sys_semctl(UserThread *thread, const uint64_t *args)
{
    int command = (int)args[2] & ~IPC_64;

    switch (command) {
    case IPC_STAT: case IPC_SET: case SEM_STAT: case SEM_STAT_ANY:
        return describe(thread, &sem_kind, SYS_semctl, args[0], args[1],
                        command, args[3]);
    default:
        return safe_syscall(SYS_semctl, args[0], args[1], (uint64_t)command,
                            args[3], 0, 0);
    }
}

int64_t sys_msgctl(UserThread *thread, const uint64_t *args)
{
    int command = (int)args[1] & ~IPC_64;

    switch (command) {
    case IPC_STAT: case IPC_SET: case MSG_STAT: case MSG_STAT_ANY:
        return describe(thread, &msg_kind, SYS_msgctl, args[0], 0, command,
                        args[2]);
    default:
        return safe_syscall(SYS_msgctl, args[0], (uint64_t)command, args[2],
                            0, 0, 0);
    }
}

int64_t sys_shmctl(UserThread *thread, const uint64_t *args)
{
    /* Limits and usage of the system, as layout.c writes structures. */
    static const char limits[] = "L9", usage[] = "iL5";
    int command = (int)args[1] & ~IPC_64;
    const char *layout = command == IPC_INFO ? limits : usage;
    uint8_t host[LAYOUT_MOST] = { 0 };
    uint8_t narrow[LAYOUT_MOST] = { 0 };
    int64_t result;

    switch (command) {
    case IPC_STAT: case IPC_SET: case SHM_STAT: case SHM_STAT_ANY:
        return describe(thread, &shm_kind, SYS_shmctl, args[0], 0, command,
                        args[2]);
    case IPC_INFO: case SHM_INFO:
        if (!thread->narrow) {
            break;
        }
        result = safe_syscall(SYS_shmctl, args[0], (uint64_t)command,
                              (uint64_t)host, 0, 0, 0);
        layout_narrow(layout, host, narrow);
        return result < 0 || guest_write(args[2], narrow,
                                         layout_size(layout, true))
                   ? result : -EFAULT;
    default:
        break;
    }
    return safe_syscall(SYS_shmctl, args[0], (uint64_t)command, args[2], 0, 0,
                        0);
}

/* ------------------------------------------------------------------ */
/* Messages: a type, a long, before the text */

enum { MESSAGE_MOST = 16 << 20 };

int64_t sys_msgsnd(UserThread *thread, const uint64_t *args)
{
    g_autofree uint8_t *message = NULL;
    int32_t type;

    if (!thread->narrow) {
        return safe_syscall(SYS_msgsnd, args[0], args[1], args[2], args[3], 0,
                            0);
    }
    if (args[2] > MESSAGE_MOST) {
        return -EINVAL;
    }
    message = g_malloc(8 + args[2]);
    if (!guest_read(args[1], &type, 4) ||
        !guest_read(args[1] + 4, message + 8, args[2])) {
        return -EFAULT;
    }
    stq_le_p(message, (uint64_t)(int64_t)type);
    return safe_syscall(SYS_msgsnd, args[0], (uint64_t)message, args[2],
                        args[3], 0, 0);
}

int64_t sys_msgrcv(UserThread *thread, const uint64_t *args)
{
    g_autofree uint8_t *message = NULL;
    int64_t got;

    if (!thread->narrow) {
        return safe_syscall(SYS_msgrcv, args[0], args[1], args[2], args[3],
                            args[4], 0);
    }
    if ((int32_t)args[2] < 0) {
        return -EINVAL;
    }
    message = g_malloc(8 + MIN(args[2], MESSAGE_MOST));
    got = safe_syscall(SYS_msgrcv, args[0], (uint64_t)message,
                       MIN(args[2], MESSAGE_MOST),
                       (uint64_t)(int64_t)(int32_t)args[3], args[4], 0);
    return got < 0 || (guest_write(args[1], message, 4) &&
                       guest_write(args[1] + 4, message + 8, (size_t)got))
               ? got : -EFAULT;
}

/* ------------------------------------------------------------------ */

enum {
    NR_MSGGET = 270, NR_MSGCTL = 271, NR_MSGRCV = 272, NR_MSGSND = 273,
    NR_SEMGET = 274, NR_SEMCTL = 275, NR_SEMTIMEDOP = 276, NR_SEMOP = 277,
    NR_SHMGET = 278, NR_SHMCTL = 279, NR_SHMAT = 280, NR_SHMDT = 281,
};

#define MAKE(number, ...)                                                      \
    syscall_make(thread, number, (uint64_t[SYSCALL_ARGS]){ __VA_ARGS__ })

int64_t sys_ipc(UserThread *thread, const uint64_t *args)
{
    uint64_t first = args[1];
    uint64_t second = args[2];
    uint64_t third = args[3];
    uint64_t pointer = args[4];
    uint64_t pair[2];
    int64_t result;

    switch (args[0] & 0xffff) {
    case 1:
        return MAKE(NR_SEMOP, first, pointer, second);
    case 2:
        return MAKE(NR_SEMGET, first, second, third);
    case 3:
        return guest_words(thread, pointer, pair, 1)
                   ? MAKE(NR_SEMCTL, first, second, third, pair[0]) : -EFAULT;
    case 4:
        return MAKE(NR_SEMTIMEDOP, first, pointer, second, args[5]);
    case 11:
        return MAKE(NR_MSGSND, first, pointer, second, third);
    case 12:
        if (args[0] >> 16) {
            return MAKE(NR_MSGRCV, first, pointer, second, args[5], third);
        }
        return guest_words(thread, pointer, pair, 2)
                   ? MAKE(NR_MSGRCV, first, pair[0], second, pair[1], third)
                   : -EFAULT;
    case 13:
        return MAKE(NR_MSGGET, first, second);
    case 14:
        return MAKE(NR_MSGCTL, first, second, pointer);
    case 21:
        result = MAKE(NR_SHMAT, first, pointer, second);
        if (result < 0) {
            return result;
        }
        return guest_write(third, &result, thread->narrow ? 4 : 8) ? 0
                                                                   : -EFAULT;
    case 22:
        return MAKE(NR_SHMDT, pointer);
    case 23:
        return MAKE(NR_SHMGET, first, second, third);
    case 24:
        return MAKE(NR_SHMCTL, first, second, pointer);
    default:
        return -ENOSYS;
    }
}
