/*
 * The two multiplexed calls of older libcs, socketcall and ipc, taken apart
 * into the host's calls; and semctl.  Source: "linux/structs.md" section 2.7.
 */
#include <errno.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux-user/syscall.h"
#include "util/bytes.h"

static const struct {
    int16_t host;
    uint8_t n_args;
} socket_calls[] = {
    [1] = { SYS_socket, 3 },       [2] = { SYS_bind, 3 },
    [3] = { SYS_connect, 3 },      [4] = { SYS_listen, 2 },
    [5] = { SYS_accept, 3 },       [6] = { SYS_getsockname, 3 },
    [7] = { SYS_getpeername, 3 },  [8] = { SYS_socketpair, 4 },
    [9] = { SYS_sendto, 4 },       [10] = { SYS_recvfrom, 4 },
    [11] = { SYS_sendto, 6 },      [12] = { SYS_recvfrom, 6 },
    [13] = { SYS_shutdown, 2 },    [14] = { SYS_setsockopt, 5 },
    [15] = { SYS_getsockopt, 5 },  [16] = { SYS_sendmsg, 3 },
    [17] = { SYS_recvmsg, 3 },     [18] = { SYS_accept4, 4 },
    [19] = { SYS_recvmmsg, 5 },    [20] = { SYS_sendmmsg, 4 },
};

int64_t sys_socketcall(UserThread *thread, const uint64_t *args)
{
    uint64_t call = args[0];
    uint64_t a[6] = { 0 };
    uint32_t narrow[6] = { 0 };
    unsigned n;

    if (call < 1 || call >= G_N_ELEMENTS(socket_calls)) {
        return -EINVAL;
    }
    n = socket_calls[call].n_args;
    if (thread->narrow) {
        if (!guest_read(args[1], narrow, 4 * n)) {
            return -EFAULT;
        }
        for (unsigned i = 0; i < n; i++) {
            a[i] = narrow[i];
        }
    } else if (!guest_read(args[1], a, 8 * n)) {
        return -EFAULT;
    }
    return safe_syscall(socket_calls[call].host, a[0], a[1], a[2], a[3], a[4],
                        a[5]);
}

/* The kernel's structure is 88 bytes here and 104 on the host. */
static int64_t semctl_with_buffer(int id, int number, int command,
                                  uint64_t buffer)
{
    struct semid_ds host = { 0 };
    uint8_t guest[88];

    if (command == IPC_SET) {
        if (!guest_read(buffer, guest, sizeof(guest))) {
            return -EFAULT;
        }
        host.sem_perm.uid = ldl_le_p(guest + 4);
        host.sem_perm.gid = ldl_le_p(guest + 8);
        host.sem_perm.mode = ldl_le_p(guest + 20);
    }
    if (syscall(SYS_semctl, id, number, command, &host) < 0) {
        return -errno;
    }
    if (command == IPC_SET) {
        return 0;
    }
    memcpy(guest, &host.sem_perm, 48);
    stq_le_p(guest + 48, host.sem_otime);
    stq_le_p(guest + 56, host.sem_ctime);
    stq_le_p(guest + 64, host.sem_nsems);
    stq_le_p(guest + 72, 0);
    stq_le_p(guest + 80, 0);
    return guest_write(buffer, guest, sizeof(guest)) ? 0 : -EFAULT;
}

static int64_t do_semctl(int id, int number, int command, uint64_t arg)
{
    command &= ~0x100; /* IPC_64 is the only layout here */
    if (command == IPC_STAT || command == IPC_SET || command == SEM_STAT) {
        return semctl_with_buffer(id, number, command, arg);
    }
    return safe_syscall(SYS_semctl, id, number, command, arg, 0, 0);
}

int64_t sys_semctl(UserThread *thread, const uint64_t *args)
{
    return do_semctl((int)args[0], (int)args[1], (int)args[2], args[3]);
}

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
        return safe_syscall(SYS_semop, first, pointer, second, 0, 0, 0);
    case 2:
        return safe_syscall(SYS_semget, first, second, third, 0, 0, 0);
    case 3:
        if (!guest_read(pointer, pair, 8)) {
            return -EFAULT;
        }
        return do_semctl((int)first, (int)second, (int)third, pair[0]);
    case 4:
        return safe_syscall(SYS_semtimedop, first, pointer, second, args[5], 0,
                            0);
    case 11:
        return safe_syscall(SYS_msgsnd, first, pointer, second, third, 0, 0);
    case 12:
        if (args[0] >> 16 == 0) {
            if (!guest_read(pointer, pair, 16)) {
                return -EFAULT;
            }
            return safe_syscall(SYS_msgrcv, first, pair[0], second, pair[1],
                                third, 0);
        }
        return safe_syscall(SYS_msgrcv, first, pointer, second, args[5], third,
                            0);
    case 13:
        return safe_syscall(SYS_msgget, first, second, 0, 0, 0, 0);
    case 14:
        return safe_syscall(SYS_msgctl, first, second & ~UINT64_C(0x100),
                            pointer, 0, 0, 0);
    case 21:
        result = address_map_shmat(thread->process->map, (int)first, pointer,
                                   (int)second);
        if (result < 0) {
            return result;
        }
        return guest_write(third, &result, 8) ? 0 : -EFAULT;
    case 22:
        return address_map_shmdt(thread->process->map, pointer);
    case 23:
        return safe_syscall(SYS_shmget, first, second, third, 0, 0, 0);
    case 24:
        return safe_syscall(SYS_shmctl, first, second & ~UINT64_C(0x100),
                            pointer, 0, 0, 0);
    default:
        return -ENOSYS;
    }
}
