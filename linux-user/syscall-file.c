/*
 * System calls on files whose structures differ from the host's, and paths
 * that must show the guest's process rather than the emulator.
 * Source of layouts: "linux/structs.md" sections 2.2 to 2.4.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux-user/proc-files.h"
#include "linux-user/syscall.h"
#include "util/bytes.h"

enum { STAT_BYTES = 112, STAT64_BYTES = 88 };

/* The kernel's 32-bit device number: minor 7:0 and 31:20, major 19:8. */
static uint32_t encode_dev(uint64_t dev)
{
    uint32_t major = (dev >> 8 & 0xfff) | (dev >> 32 & ~0xfffu);
    uint32_t minor = (dev & 0xff) | (dev >> 12 & ~0xffu);

    return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

static int64_t put_stat(uint64_t to, const struct stat *st)
{
    uint8_t b[STAT_BYTES] = { 0 };

    stl_le_p(b, encode_dev(st->st_dev));
    stq_le_p(b + 8, st->st_ino);
    stl_le_p(b + 16, st->st_mode);
    stl_le_p(b + 20, st->st_nlink);
    stl_le_p(b + 24, st->st_uid);
    stl_le_p(b + 28, st->st_gid);
    stl_le_p(b + 32, encode_dev(st->st_rdev));
    stq_le_p(b + 40, st->st_size);
    stq_le_p(b + 48, st->st_blksize);
    stq_le_p(b + 56, st->st_blocks);
    stq_le_p(b + 64, st->st_atim.tv_sec);
    stq_le_p(b + 72, st->st_atim.tv_nsec);
    stq_le_p(b + 80, st->st_mtim.tv_sec);
    stq_le_p(b + 88, st->st_mtim.tv_nsec);
    stq_le_p(b + 96, st->st_ctim.tv_sec);
    stq_le_p(b + 104, st->st_ctim.tv_nsec);
    return guest_write(to, b, sizeof(b)) ? 0 : -EFAULT;
}

static int64_t put_stat64(uint64_t to, const struct stat *st)
{
    uint8_t b[STAT64_BYTES] = { 0 };

    stq_le_p(b, encode_dev(st->st_dev));
    stq_le_p(b + 8, st->st_ino);
    stl_le_p(b + 16, st->st_mode);
    stl_le_p(b + 20, st->st_nlink);
    stl_le_p(b + 24, st->st_uid);
    stl_le_p(b + 28, st->st_gid);
    stq_le_p(b + 32, encode_dev(st->st_rdev));
    stq_le_p(b + 40, st->st_size);
    stl_le_p(b + 48, st->st_blksize);
    stq_le_p(b + 56, st->st_blocks);
    stl_le_p(b + 64, st->st_atim.tv_sec);
    stl_le_p(b + 68, st->st_atim.tv_nsec);
    stl_le_p(b + 72, st->st_mtim.tv_sec);
    stl_le_p(b + 76, st->st_mtim.tv_nsec);
    stl_le_p(b + 80, st->st_ctim.tv_sec);
    stl_le_p(b + 84, st->st_ctim.tv_nsec);
    return guest_write(to, b, sizeof(b)) ? 0 : -EFAULT;
}

/* The three small calls of 32-bit programs: 64 bytes. */
static int64_t put_stat_32(uint64_t to, const struct stat *st)
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

typedef int64_t StatWriter(uint64_t to, const struct stat *st);

static StatWriter *plain_stat(const UserThread *thread)
{
    return thread->narrow ? put_stat_32 : put_stat;
}

static int64_t do_stat(UserThread *thread, int dirfd, uint64_t path,
                       uint64_t to, int flags, StatWriter *put)
{
    g_autofree char *guest_path = guest_string(path);
    g_autofree char *host_path = NULL;
    struct stat st;

    if (!guest_path) {
        return -EFAULT;
    }
    host_path = process_host_path(thread->process, guest_path);
    if (strcmp(guest_path, "/proc/self/exe") == 0 && !(flags & AT_SYMLINK_NOFOLLOW)) {
        g_free(host_path);
        host_path = g_strdup(thread->process->exe);
    }
    if (syscall(SYS_newfstatat, dirfd, host_path, &st, flags) < 0) {
        return -errno;
    }
    return put(to, &st);
}

static int64_t do_fstat(int fd, uint64_t to, StatWriter *put)
{
    struct stat st;

    return fstat(fd, &st) < 0 ? -errno : put(to, &st);
}

int64_t sys_stat(UserThread *thread, const uint64_t *args)
{
    return do_stat(thread, AT_FDCWD, args[0], args[1], 0,
                   plain_stat(thread));
}

int64_t sys_lstat(UserThread *thread, const uint64_t *args)
{
    return do_stat(thread, AT_FDCWD, args[0], args[1], AT_SYMLINK_NOFOLLOW,
                   plain_stat(thread));
}

int64_t sys_fstat(UserThread *thread, const uint64_t *args)
{
    return do_fstat((int)args[0], args[1], plain_stat(thread));
}

int64_t sys_newfstatat(UserThread *thread, const uint64_t *args)
{
    return do_stat(thread, (int)args[0], args[1], args[2], (int)args[3],
                   put_stat);
}

int64_t sys_stat64(UserThread *thread, const uint64_t *args)
{
    return do_stat(thread, AT_FDCWD, args[0], args[1], 0, put_stat64);
}

int64_t sys_lstat64(UserThread *thread, const uint64_t *args)
{
    return do_stat(thread, AT_FDCWD, args[0], args[1], AT_SYMLINK_NOFOLLOW,
                   put_stat64);
}

int64_t sys_fstat64(UserThread *thread, const uint64_t *args)
{
    return do_fstat((int)args[0], args[1], put_stat64);
}

int64_t sys_fstatat64(UserThread *thread, const uint64_t *args)
{
    return do_stat(thread, (int)args[0], args[1], args[2], (int)args[3],
                   put_stat64);
}

/* ------------------------------------------------------------------ */
/* Opening: sysroot and /proc */

static int64_t do_open(UserThread *thread, int dirfd, uint64_t path,
                       uint64_t flags, uint64_t mode)
{
    g_autofree char *guest_path = guest_string(path);
    g_autofree char *host_path = NULL;
    int fd;

    if (!guest_path) {
        return -EFAULT;
    }
    fd = proc_file_open(thread->process, guest_path, (int)flags);
    if (fd != -ENOENT) {
        return fd;
    }
    host_path = process_host_path(thread->process, guest_path);
    return safe_syscall(SYS_openat, dirfd, (uint64_t)host_path, flags, mode, 0,
                        0);
}

int64_t sys_open(UserThread *thread, const uint64_t *args)
{
    return do_open(thread, AT_FDCWD, args[0], args[1], args[2]);
}

int64_t sys_openat(UserThread *thread, const uint64_t *args)
{
    return do_open(thread, (int)args[0], args[1], args[2], args[3]);
}

int64_t sys_openat2(UserThread *thread, const uint64_t *args)
{
    g_autofree char *guest_path = guest_string(args[1]);
    g_autofree char *host_path = NULL;

    if (!guest_path) {
        return -EFAULT;
    }
    host_path = process_host_path(thread->process, guest_path);
    return safe_syscall(SYS_openat2, args[0], (uint64_t)host_path, args[2],
                        args[3], 0, 0);
}

static int64_t do_readlink(UserThread *thread, int dirfd, uint64_t path,
                           uint64_t buffer, uint64_t size)
{
    g_autofree char *guest_path = guest_string(path);
    g_autofree char *host_path = NULL;

    if (!guest_path) {
        return -EFAULT;
    }
    if (proc_path_is_self(guest_path, "exe")) {
        size_t length = strlen(thread->process->exe);

        if ((int64_t)size <= 0) {
            return -EINVAL;
        }
        length = MIN(length, size);
        return guest_write(buffer, thread->process->exe, length)
                   ? (int64_t)length : -EFAULT;
    }
    host_path = process_host_path(thread->process, guest_path);
    return safe_syscall(SYS_readlinkat, dirfd, (uint64_t)host_path, buffer,
                        size, 0, 0);
}

int64_t sys_readlink(UserThread *thread, const uint64_t *args)
{
    return do_readlink(thread, AT_FDCWD, args[0], args[1], args[2]);
}

int64_t sys_readlinkat(UserThread *thread, const uint64_t *args)
{
    return do_readlink(thread, (int)args[0], args[1], args[2], args[3]);
}

/* ------------------------------------------------------------------ */
/* Directories and positions */

int64_t sys_llseek(UserThread *thread, const uint64_t *args)
{
    off_t at = lseek((int)args[0],
                     (off_t)(args[1] << 32 | (uint32_t)args[2]),
                     (int)args[4]);

    if (at < 0) {
        return -errno;
    }
    return guest_write(args[3], &at, 8) ? 0 : -EFAULT;
}

/*
 * Directory entries of the older calls: inode, offset (two longs), length
 * u16, name.  readdir gives one, with the length of the name; getdents gives
 * what fits, with the length of the entry, and the type in its last byte.
 */
enum { HOST_LENGTH = 16, HOST_TYPE = 18, HOST_NAME = 19, NAME_MOST = 255 };

static size_t put_entry(const uint8_t *host, uint8_t *guest, bool narrow,
                        uint64_t offset)
{
    size_t word = narrow ? 4 : 8;
    size_t length = strnlen((const char *)host + HOST_NAME, NAME_MOST);

    memset(guest, 0, 2 * word + 2 + NAME_MOST + 9);
    memcpy(guest, host, word);
    memcpy(guest + word, &offset, word);
    memcpy(guest + 2 * word + 2, host + HOST_NAME, length);
    return length;
}

int64_t sys_readdir(UserThread *thread, const uint64_t *args)
{
    size_t head = thread->narrow ? 10 : 18;
    uint8_t host[512];
    uint8_t guest[18 + NAME_MOST + 9];
    off_t before = lseek((int)args[0], 0, SEEK_CUR);
    long got = syscall(SYS_getdents64, (int)args[0], host, sizeof(host));
    size_t length;

    if (got < 0) {
        return -errno;
    }
    if (got == 0) {
        return 0;
    }
    length = put_entry(host, guest, thread->narrow, (uint64_t)before);
    stw_le_p(guest + head - 2, length);
    /* Only one entry was asked for: come back to the next one. */
    lseek((int)args[0], (off_t)ldq_le_p(host + 8), SEEK_SET);
    return guest_write(args[1], guest, head + length + 1) ? 1 : -EFAULT;
}

int64_t sys_getdents(UserThread *thread, const uint64_t *args)
{
    enum { BYTES = 16 << 10 };
    g_autofree uint8_t *host = NULL;
    uint64_t out = 0;
    off_t next;
    int64_t got;

    if (!thread->narrow) {
        return safe_syscall(SYS_getdents, args[0], args[1], args[2], 0, 0, 0);
    }
    host = g_malloc(BYTES);
    next = lseek((int)args[0], 0, SEEK_CUR);
    got = syscall(SYS_getdents64, (int)args[0], host, BYTES);
    if (got < 0) {
        return -errno;
    }
    for (int64_t at = 0; at < got; at += ldw_le_p(host + at + HOST_LENGTH)) {
        uint8_t guest[18 + NAME_MOST + 9];
        size_t length = put_entry(host + at, guest, true,
                                  ldq_le_p(host + at + 8));
        size_t size = (10 + length + 2 + 3) & ~(size_t)3;

        if (out + size > args[2]) {
            /* The rest is for the next call. */
            lseek((int)args[0], next, SEEK_SET);
            return out ? (int64_t)out : -EINVAL;
        }
        stw_le_p(guest + 8, size);
        guest[size - 1] = host[at + HOST_TYPE];
        if (!guest_write(args[1] + out, guest, size)) {
            return -EFAULT;
        }
        out += size;
        next = (off_t)ldq_le_p(host + at + 8);
    }
    return (int64_t)out;
}

int64_t sys_statfs64(UserThread *thread, const uint64_t *args)
{
    if (args[1] != 120) {
        return -EINVAL;
    }
    return safe_syscall(SYS_statfs, args[0], args[2], 0, 0, 0, 0);
}

int64_t sys_fstatfs64(UserThread *thread, const uint64_t *args)
{
    if (args[1] != 120) {
        return -EINVAL;
    }
    return safe_syscall(SYS_fstatfs, args[0], args[2], 0, 0, 0, 0);
}

int64_t sys_fcntl(UserThread *thread, const uint64_t *args)
{
    uint64_t command = args[1];

    /* Very old programs use the 64-bit lock commands of 32-bit mode. */
    if (!thread->process->is_32bit && command >= 12 && command <= 14) {
        command -= 7;
    }
    return safe_syscall(SYS_fcntl, args[0], command, args[2], 0, 0, 0);
}

/* ------------------------------------------------------------------ */
/* Descriptors that are the emulator's */

int64_t sys_close(UserThread *thread, const uint64_t *args)
{
    if (fd_is_ours((int)args[0])) {
        return -EBADF;
    }
    return safe_syscall(SYS_close, args[0], 0, 0, 0, 0, 0);
}

int64_t sys_dup2(UserThread *thread, const uint64_t *args)
{
    if (fd_is_ours((int)args[1])) {
        return -EBADF;
    }
    return safe_syscall(SYS_dup2, args[0], args[1], 0, 0, 0, 0);
}

int64_t sys_dup3(UserThread *thread, const uint64_t *args)
{
    if (fd_is_ours((int)args[1])) {
        return -EBADF;
    }
    return safe_syscall(SYS_dup3, args[0], args[1], args[2], 0, 0, 0);
}

int64_t sys_close_range(UserThread *thread, const uint64_t *args)
{
    unsigned first = (unsigned)args[0];
    unsigned last = (unsigned)args[1];

    if (first > last) {
        return -EINVAL;
    }
    /* Around the emulator's own descriptors. */
    for (unsigned at = first;;) {
        unsigned stop = fd_next_ours(at);
        unsigned end = stop && stop <= last ? stop - 1 : last;

        if (end >= at && syscall(SYS_close_range, at, end, args[2]) < 0) {
            return -errno;
        }
        if (end == last) {
            return 0;
        }
        at = stop + 1;
        if (at > last) {
            return 0;
        }
    }
}

/* ------------------------------------------------------------------ */
/* epoll: the guest's event is not packed */

int64_t sys_epoll_ctl(UserThread *thread, const uint64_t *args)
{
    struct epoll_event event = { 0 };
    uint8_t guest[16];

    if (args[3]) {
        if (!guest_read(args[3], guest, 16)) {
            return -EFAULT;
        }
        event.events = ldl_le_p(guest);
        event.data.u64 = ldq_le_p(guest + 8);
    }
    return safe_syscall(SYS_epoll_ctl, args[0], args[1], args[2],
                        args[3] ? (uint64_t)&event : 0, 0, 0);
}

static int64_t do_epoll_wait(const uint64_t *args, uint64_t mask,
                             uint64_t mask_size)
{
    enum { MOST = 1024 };
    g_autofree struct epoll_event *events = NULL;
    int most = (int)args[2];
    int64_t got;

    if (most <= 0) {
        return -EINVAL;
    }
    most = MIN(most, MOST);
    events = g_new(struct epoll_event, most);
    got = safe_syscall(SYS_epoll_pwait, args[0], (uint64_t)events, most,
                       args[3], mask, mask_size);
    for (int64_t i = 0; i < got; i++) {
        uint8_t guest[16] = { 0 };

        stl_le_p(guest, events[i].events);
        stq_le_p(guest + 8, events[i].data.u64);
        if (!guest_write(args[1] + 16 * i, guest, 16)) {
            return -EFAULT;
        }
    }
    return got == RESTART_SYS ? RESTART_NEVER : got;
}

int64_t sys_epoll_wait(UserThread *thread, const uint64_t *args)
{
    return do_epoll_wait(args, 0, 8);
}

int64_t sys_epoll_pwait(UserThread *thread, const uint64_t *args)
{
    return do_epoll_wait(args, args[4], args[5]);
}
