/*
 * The twin of ipc.s for the host: what does not depend on the layout.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "tests/guest/user/twin.h"

static void messages(void)
{
    struct { long type; char text[100]; } message = { 5, "hello" }, in;
    struct msqid_ds queue;
    int id;

    GIVES(id, "msgget", SYS_msgget, IPC_PRIVATE, 0666);
    ANSWERS(0, "msgsnd", SYS_msgsnd, id, &message, 5, 0);
    ANSWERS(0, "msgctl", SYS_msgctl, id, IPC_STAT, &queue);
    check_eq(queue.msg_perm.mode, 0666, "its mode");
    check_eq((int64_t)queue.msg_qnum, 1, "one message");
    check_eq(queue.msg_lspid - getpid(), 0, "which is ours");
    ANSWERS(5, "msgrcv", SYS_msgrcv, id, &in, 100, -5L, 0);
    check_eq(in.type, 5, "its type");
    ANSWERS(-ENOMSG, "none is left", SYS_msgrcv, id, &in, 100, 0L, IPC_NOWAIT);
    queue.msg_qbytes = 512;
    queue.msg_perm.mode = 0600;
    ANSWERS(0, "a smaller queue", SYS_msgctl, id, IPC_SET, &queue);
    ANSWERS(0, "asked again", SYS_msgctl, id, IPC_STAT, &queue);
    check_eq((int64_t)queue.msg_qbytes, 512, "is smaller");
    check_eq(queue.msg_perm.mode, 0600, "with another mode");
    ANSWERS(0, "and the end", SYS_msgctl, id, IPC_RMID, NULL);
    ANSWERS(-EINVAL, "it is gone", SYS_msgsnd, id, &message, 5, 0);
}

static void semaphores(void)
{
    struct sembuf up_down[] = { { 1, 1, 0 }, { 1, -1, 0 } };
    struct timespec second = { 1, 0 };
    struct semid_ds set;
    int id;

    GIVES(id, "semget", SYS_semget, IPC_PRIVATE, 2, 0600);
    ANSWERS(0, "semctl", SYS_semctl, id, 0, IPC_STAT, &set);
    check_eq((int64_t)set.sem_nsems, 2, "two of them");
    check(set.sem_ctime != 0, "made some time");
    CALL(SYS_semctl, id, 1, SETVAL, 3);
    ANSWERS(3, "GETVAL", SYS_semctl, id, 1, GETVAL, 0);
    ANSWERS(0, "semtimedop", SYS_semtimedop, id, up_down, 2, &second);
    ANSWERS(3, "up and down", SYS_semctl, id, 1, GETVAL, 0);
    ANSWERS(0, "and the end", SYS_semctl, id, 0, IPC_RMID, 0);
}

static void segments(void)
{
    struct shmid_ds segment;
    int64_t at;
    int id;

    GIVES(id, "shmget", SYS_shmget, IPC_PRIVATE, 8192, 0600);
    GIVES(at, "shmat", SYS_shmat, id, NULL, 0);
    *(volatile int *)(at + 4096) = id;
    ANSWERS(0, "shmctl", SYS_shmctl, id, IPC_STAT, &segment);
    check_eq((int64_t)segment.shm_segsz, 8192, "its size");
    check_eq((int64_t)segment.shm_nattch, 1, "attached once");
    segment.shm_perm.mode = 0400;
    ANSWERS(0, "its mode can be set", SYS_shmctl, id, IPC_SET, &segment);
    ANSWERS(0, "asked again", SYS_shmctl, id, IPC_STAT, &segment);
    check_eq(segment.shm_perm.mode, 0400, "it is so");
    ANSWERS(0, "shmdt", SYS_shmdt, at);
    at = CALL(SYS_shmat, id, NULL, 0);
    check_eq(*(volatile int *)(at + 4096) - id, 0,
             "what was written is there");
    ANSWERS(0, "shmdt", SYS_shmdt, at);
    ANSWERS(0, "and the end", SYS_shmctl, id, IPC_RMID, NULL);
}

static void asynchronous(void)
{
    struct iocb write_block = { .aio_lio_opcode = IOCB_CMD_PWRITE,
                                .aio_data = 0x1234 };
    struct iocb *list[] = { &write_block };
    struct timespec second = { 1, 0 };
    struct io_event event;
    aio_context_t context = 0;
    int fd;

    GIVES(fd, "a file", SYS_memfd_create, "ipc", 0);
    write_block.aio_fildes = (uint32_t)fd;
    write_block.aio_buf = (uintptr_t)"async";
    write_block.aio_nbytes = 5;
    ANSWERS(0, "io_setup", SYS_io_setup, 8, &context);
    ANSWERS(-EINVAL, "not twice", SYS_io_setup, 8, &context);
    ANSWERS(1, "io_submit: a write", SYS_io_submit, context, 1, list);
    ANSWERS(1, "io_getevents", SYS_io_getevents, context, 1, 1, &event,
            &second);
    check_eq((int64_t)event.data, 0x1234, "its data");
    check_eq((int64_t)(event.obj - (uintptr_t)&write_block), 0, "its block");
    check_eq(event.res, 5, "its result");
    ANSWERS(0, "no more", SYS_io_getevents, context, 0, 1, &event, NULL);
    ANSWERS(0, "io_destroy", SYS_io_destroy, context);
    ANSWERS(-EINVAL, "once", SYS_io_destroy, context);
}

static struct robust_list_head head;
static struct { struct robust_list list; uint32_t word; } lock;

static void *dies_locked(void *unused)
{
    head.list.next = &lock.list;
    head.futex_offset = (char *)&lock.word - (char *)&lock.list;
    lock.list.next = &head.list;
    lock.word = (uint32_t)syscall(SYS_gettid);
    syscall(SYS_set_robust_list, &head, sizeof(head));
    return unused;
}

static void robust(void)
{
    pthread_t thread;

    ANSWERS(-EINVAL, "set_robust_list wants its size", SYS_set_robust_list,
            &head, sizeof(head) + 1);
    pthread_create(&thread, NULL, dies_locked, NULL);
    pthread_join(thread, NULL);
    check_eq(lock.word, FUTEX_OWNER_DIED, "a lock of a thread that has died");
}

int main(void)
{
    messages();
    semaphores();
    segments();
    asynchronous();
    robust();
    return plan();
}
