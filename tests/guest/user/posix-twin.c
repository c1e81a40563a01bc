/*
 * The twin of posix.s for the host: the same calls, made raw, the same words.
 * Whatever a kernel answers here is what the guest must get.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/guest/user/twin.h"

static uint8_t buffer[4096];

static int64_t held(const void *at, size_t size)
{
    int64_t value = 0;

    memcpy(&value, at, size);
    return value;
}

static void descriptors(void)
{
    const struct itimerspec five_ms = { .it_value.tv_nsec = 5000000 };
    uint64_t number = 7;
    uint64_t user_1 = 0x200;
    struct epoll_event event = { 1, { .u64 = 0x1122334455667788 } };
    struct epoll_event events[4];
    long counter, fd;

    GIVES(counter, "eventfd", SYS_eventfd2, 5, 0);
    ANSWERS(8, "adding to it", SYS_write, counter, &number, 8);
    ANSWERS(8, "reading it", SYS_read, counter, buffer, 8);
    check_eq(held(buffer, 8), 12, "gives the sum");

    GIVES(fd, "timerfd", SYS_timerfd_create, 1, 0);
    ANSWERS(0, "is set", SYS_timerfd_settime, fd, 0, &five_ms, 0);
    ANSWERS(8, "expires", SYS_read, fd, buffer, 8);
    check_eq(held(buffer, 8), 1, "once");

    ANSWERS(0, "a signal is blocked", SYS_rt_sigprocmask, 0, &user_1, 0, 8);
    GIVES(fd, "signalfd", SYS_signalfd4, -1, &user_1, 8, 0);
    ANSWERS(0, "sent", SYS_kill, getpid(), 10);
    ANSWERS(128, "and read", SYS_read, fd, buffer, 128);
    check_eq(held(buffer, 4), 10, "by number");

    GIVES(fd, "epoll", SYS_epoll_create1, 0);
    ANSWERS(0, "watches", SYS_epoll_ctl, fd, 1, counter, &event);
    ANSWERS(0, "nothing yet", SYS_epoll_wait, fd, events, 4, 0);
    ANSWERS(8, "an event", SYS_write, counter, &number, 8);
    ANSWERS(1, "is seen", SYS_epoll_wait, fd, events, 4, 100);
    check_eq(events[0].events, 1, "as readable");
    check_eq((int64_t)events[0].data.u64, 0x1122334455667788,
             "with its data");
}

static void files(void)
{
    long watch, fd, other;

    GIVES(watch, "inotify", SYS_inotify_init1, 0);
    ANSWERS(1, "watches a directory", SYS_inotify_add_watch, watch, ".",
            0x100);
    GIVES(fd, "a file appears", SYS_creat, "posix-file", 0600);
    ANSWERS(32, "and is told of", SYS_read, watch, buffer, 4096);
    check_eq(held(buffer + 4, 4), 0x100, "as created");
    check_eq(held(buffer + 16, 4), 0x69736f70, "by name");

    ANSWERS(0, "a lock", SYS_flock, fd, 6);
    GIVES(other, "another descriptor", SYS_open, "posix-file", 0, 0);
    ANSWERS(-11, "does not get it", SYS_flock, other, 6);
    ANSWERS(0, "until it is given up", SYS_flock, fd, 8);
    ANSWERS(0, "then it does", SYS_flock, other, 6);

    ANSWERS(-25, "a file is no terminal", SYS_ioctl, other, 0x5401, buffer);
    ANSWERS(-25, "nor a block device", SYS_ioctl, other, 0x80081272, buffer);
    ANSWERS(-25, "nor a loop device", SYS_ioctl, other, 0x4c05, buffer);
    ANSWERS(-25, "nor a directory", SYS_ioctl, other, 0x5413, buffer);
}

static void messages(void)
{
    struct iovec vector = { "abc", 3 };
    struct iovec vector_in = { buffer, 64 };
    union {
        struct cmsghdr align;
        uint8_t bytes[64];
    } control = { 0 }, control_in = { 0 };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = 24 };
    struct msghdr message_in = { .msg_iov = &vector_in, .msg_iovlen = 1,
                                 .msg_control = &control_in,
                                 .msg_controllen = 64 };
    int ends[2];
    int fd;

    ANSWERS(0, "socketpair", SYS_socketpair, 1, 1, 0, ends);
    control.align = (struct cmsghdr){ .cmsg_len = 20, .cmsg_level = 1,
                                      .cmsg_type = 1 };
    memcpy(control.bytes + 16, &ends[0], 4);
    ANSWERS(3, "sendmsg", SYS_sendmsg, ends[0], &message, 0);
    ANSWERS(3, "recvmsg", SYS_recvmsg, ends[1], &message_in, 0);
    check_eq(held(buffer, 4), 0x636261, "brings the bytes");
    check_eq(message_in.msg_controllen, 24, "and a control message");
    check_eq(held(&control_in, 8), 20, "of one descriptor");
    memcpy(&fd, control_in.bytes + 16, 4);
    ANSWERS(2, "that works", SYS_write, fd, "ab", 2);
    ANSWERS(2, "on the same socket", SYS_read, ends[1], buffer, 10);
}

static void connections(void)
{
    struct sockaddr_un address = { .sun_family = 1 };
    struct sockaddr_un nobody = { .sun_family = 1 };
    uint32_t poll_one[2] = { 0, 1 };
    int process = getpid();
    long listener, client, fd;

    memcpy(address.sun_path + 1, "twin", 4);
    memcpy(address.sun_path + 5, &process, 4);
    memcpy(nobody.sun_path + 1, "nobody..", 8);
    GIVES(listener, "a listener", SYS_socket, 1, 1, 0);
    ANSWERS(0, "bound", SYS_bind, listener, &address, 11);
    ANSWERS(0, "listening", SYS_listen, listener, 1);
    GIVES(client, "a client", SYS_socket, 1, 1, 0);
    ANSWERS(0, "connected", SYS_connect, client, &address, 11);
    poll_one[0] = (uint32_t)listener;
    ANSWERS(1, "poll sees it", SYS_poll, poll_one, 1, 100);
    GIVES(fd, "accepted", SYS_accept, listener, 0, 0);
    ANSWERS(3, "data goes in", SYS_write, client, "abc", 3);
    ANSWERS(3, "and comes out", SYS_read, fd, buffer, 10);
    GIVES(client, "another client", SYS_socket, 1, 1, 0);
    ANSWERS(-111, "a name that nobody has", SYS_connect, client, &nobody, 11);
}

static void limits(void)
{
    struct rlimit limit = { 64, 64 };
    int ends[2];
    int64_t last;

    ANSWERS(0, "a pipe that does not block", SYS_pipe2, ends, 0x800);
    ANSWERS(-11, "is empty", SYS_read, ends[0], buffer, 1);
    ANSWERS(0, "a limit of descriptors", SYS_setrlimit, 7, &limit);
    while ((last = CALL(SYS_dup, 0)) >= 0) {
    }
    check_eq(last, -24, "is reached");
}

/* As the kernel has it: the list, the offset of the lock, the pending one. */
typedef struct Robust {
    uint64_t head, offset, pending, pad, entry;
    uint32_t lock;
} Robust;

static void futexes(void)
{
    static uint32_t word;
    Robust *robust;
    int status;
    pid_t child;

    ANSWERS(0, "a priority-inheriting lock", SYS_futex, &word, 6, 0, 0);
    check_eq((int64_t)word - syscall(SYS_gettid), 0,
             "has its owner's number");
    ANSWERS(-35, "is not taken twice", SYS_futex, &word, 6, 0, 0);
    ANSWERS(0, "is released", SYS_futex, &word, 7, 0, 0);
    check_eq(word, 0, "and free");
    ANSWERS(-1, "others may not release it", SYS_futex, &word, 7, 0, 0);
    ANSWERS(-22, "a robust list of a wrong size", SYS_set_robust_list, &word,
            8);

    robust = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        robust->head = (uint64_t)&robust->entry;
        robust->offset = 8;
        robust->entry = (uint64_t)robust;
        robust->lock = (uint32_t)syscall(SYS_gettid);
        syscall(SYS_set_robust_list, robust, 24);
        _exit(0);
    }
    waitpid(child, &status, 0);
    check_eq(robust->lock & 0x40000000, 0x40000000,
             "is marked: its owner died");

    ANSWERS(0, "a thread's name", SYS_prctl, 15, "posix");
    ANSWERS(0, "is read back", SYS_prctl, 16, buffer);
    check_eq(held(buffer, 4), 0x69736f70, "unchanged");
}

int main(void)
{
    descriptors();
    files();
    messages();
    connections();
    limits();
    futexes();
    return plan();
}
