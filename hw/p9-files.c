/*
 * 9P: what is done to files and folders; see p9.h.
 *
 * An O_PATH file cannot be read, so opening goes through /proc/self/fd, which
 * names exactly the file that was walked to.
 */
#include "hw/p9-int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "util/bytes.h"

enum {
    T_STATFS = 8,
    T_LOPEN = 12,
    T_LCREATE = 14,
    T_SYMLINK = 16,
    T_READLINK = 22,
    T_GETATTR = 24,
    T_SETATTR = 26,
    T_READDIR = 40,
    T_FSYNC = 50,
    T_LOCK = 52,
    T_LINK = 70,
    T_MKDIR = 72,
    T_RENAMEAT = 74,
    T_UNLINKAT = 76,
    T_READ = 116,
    T_WRITE = 118,
    T_REMOVE = 122,
    GETATTR_BASIC = 0x7ff,
    V9FS_MAGIC = 0x01021997,
    DIRENT_BYTES = P9_QID_BYTES + 8 + 1 + 2,
};

/* Bits of a setattr. */
enum {
    SET_MODE = 1 << 0,
    SET_UID = 1 << 1,
    SET_GID = 1 << 2,
    SET_SIZE = 1 << 3,
    SET_ATIME = 1 << 4,
    SET_MTIME = 1 << 5,
    SET_ATIME_GIVEN = 1 << 7,
    SET_MTIME_GIVEN = 1 << 8,
};

/* Client's open flags (Linux, the generic ones) that are honoured. */
static int open_flags(uint32_t flags)
{
    return (flags & O_ACCMODE) | (flags & 01000 ? O_TRUNC : 0) |
           (flags & 02000 ? O_APPEND : 0) | (flags & 0200 ? O_EXCL : 0);
}

static int reopen(const P9Server *s, const char *path, int flags)
{
    int walked = p9_open_path(s, path);
    char name[64];
    struct stat st;
    int fd = -1;

    if (walked < 0) {
        return -1;
    }
    if (fstat(walked, &st) == 0 && !S_ISREG(st.st_mode) &&
        !S_ISDIR(st.st_mode)) {
        errno = EPERM; /* no pipes, devices, links of the host */
    } else {
        snprintf(name, sizeof(name), "/proc/self/fd/%d", walked);
        fd = open(name, flags | O_CLOEXEC | O_NONBLOCK);
    }
    int saved = errno;

    close(walked);
    errno = saved;
    return fd;
}

static int do_open(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    P9Fid *fid = p9_find(s, p9_get(in, 4));
    int flags = open_flags(p9_get(in, 4));
    struct stat st;

    if (in->bad || !fid || fid->fd >= 0) {
        return EBADF;
    }
    if (s->read_only && ((flags & O_ACCMODE) != O_RDONLY ||
                         (flags & O_TRUNC))) {
        return EROFS;
    }
    fid->fd = reopen(s, fid->path, flags & ~O_EXCL);
    if (fid->fd < 0 || fstat(fid->fd, &st) < 0) {
        return errno;
    }
    if (S_ISDIR(st.st_mode)) {
        fid->dir = fdopendir(fid->fd);
        if (!fid->dir) {
            return errno;
        }
    }
    p9_put_qid(out, &st);
    p9_put(out, 0, 4);
    return 0;
}

static int do_create(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    P9Fid *fid = p9_find(s, p9_get(in, 4));
    g_autofree char *name = p9_get_name(in);
    int flags = open_flags(p9_get(in, 4));
    uint32_t mode = p9_get(in, 4);
    struct stat st;

    if (in->bad || !fid || fid->fd >= 0 || !strcmp(name, "..")) {
        return EBADF;
    }
    int parent = p9_open_path(s, fid->path);

    if (parent < 0) {
        return errno;
    }
    int fd = openat(parent, name, flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC |
                                      O_NONBLOCK, mode & 0777);
    int error = fd < 0 || fstat(fd, &st) < 0 ? errno
                : !S_ISREG(st.st_mode)       ? EPERM /* was there before */
                                             : 0;

    close(parent);
    if (error) {
        if (fd >= 0) {
            close(fd);
        }
        return error;
    }
    char *path = *fid->path ? g_strconcat(fid->path, "/", name, NULL)
                            : g_strdup(name);

    g_free(fid->path);
    fid->path = path;
    fid->fd = fd;
    p9_put_qid(out, &st);
    p9_put(out, 0, 4);
    return 0;
}

static int do_read(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    P9Fid *fid = p9_find(s, p9_get(in, 4));
    uint64_t offset = p9_get(in, 8);
    uint32_t count = p9_get(in, 4);

    if (in->bad || !fid || fid->fd < 0 || fid->dir) {
        return EBADF;
    }
    if (out->size - out->at < 4) {
        return EINVAL;
    }
    count = MIN(count, out->size - out->at - 4);
    ssize_t n = pread(fid->fd, out->bytes + out->at + 4, count,
                      MIN(offset, INT64_MAX));

    if (n < 0) {
        return errno;
    }
    p9_put(out, n, 4);
    out->at += n;
    return 0;
}

static int do_write(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    P9Fid *fid = p9_find(s, p9_get(in, 4));
    uint64_t offset = p9_get(in, 8);
    uint32_t count = p9_get(in, 4);

    if (in->bad || !fid || fid->fd < 0 || fid->dir) {
        return EBADF;
    }
    if (count > in->size - in->at || offset > INT64_MAX - count) {
        return EINVAL;
    }
    ssize_t n = pwrite(fid->fd, in->bytes + in->at, count, offset);

    if (n < 0) {
        return errno;
    }
    p9_put(out, n, 4);
    return 0;
}

static int do_readdir(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    P9Fid *fid = p9_find(s, p9_get(in, 4));
    uint64_t offset = p9_get(in, 8);
    uint32_t count = p9_get(in, 4);
    size_t count_at = out->at;
    struct dirent *entry;

    if (in->bad || !fid || !fid->dir || out->size - out->at < 4) {
        return EBADF;
    }
    size_t end = out->at + 4 + MIN(count, out->size - out->at - 4);

    p9_put(out, 0, 4);
    seekdir(fid->dir, offset);
    while ((entry = readdir(fid->dir)) &&
           out->at + DIRENT_BYTES + strlen(entry->d_name) <= end) {
        struct stat st = { .st_ino = entry->d_ino,
                           .st_mode = DTTOIF(entry->d_type) };

        p9_put_qid(out, &st);
        p9_put(out, entry->d_off, 8);
        p9_put(out, entry->d_type, 1);
        p9_put_text(out, entry->d_name);
    }
    stl_le_p(out->bytes + count_at, out->at - count_at - 4);
    return 0;
}

static int stat_fid(const P9Server *s, const P9Fid *fid, struct stat *st)
{
    if (fid->fd >= 0) {
        return fstat(fid->fd, st) < 0 ? errno : 0;
    }
    int fd = p9_open_path(s, fid->path);
    int error = fd < 0 || fstat(fd, st) < 0 ? errno : 0;

    if (fd >= 0) {
        close(fd);
    }
    return error;
}

static void put_time(P9Buffer *out, const struct timespec *time)
{
    p9_put(out, time->tv_sec, 8);
    p9_put(out, time->tv_nsec, 8);
}

static int do_getattr(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    P9Fid *fid = p9_find(s, p9_get(in, 4));
    static const struct timespec none;
    struct stat st;

    p9_get(in, 8); /* the basic attributes are given in any case */
    if (in->bad || !fid) {
        return EBADF;
    }
    int error = stat_fid(s, fid, &st);

    if (error) {
        return error;
    }
    p9_put(out, GETATTR_BASIC, 8);
    p9_put_qid(out, &st);
    p9_put(out, st.st_mode, 4);
    p9_put(out, st.st_uid, 4);
    p9_put(out, st.st_gid, 4);
    p9_put(out, st.st_nlink, 8);
    p9_put(out, 0, 8);
    p9_put(out, st.st_size, 8);
    p9_put(out, st.st_blksize, 8);
    p9_put(out, st.st_blocks, 8);
    put_time(out, &st.st_atim);
    put_time(out, &st.st_mtim);
    put_time(out, &st.st_ctim);
    put_time(out, &none);
    p9_put(out, 0, 8);
    p9_put(out, 0, 8);
    return 0;
}

static int set_times(const char *name, uint32_t valid,
                     const struct timespec given[2])
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
                                 { .tv_nsec = UTIME_OMIT } };

    for (unsigned i = 0; i < 2; i++) {
        if (valid & (SET_ATIME_GIVEN << i)) {
            times[i] = given[i];
        } else if (valid & (SET_ATIME << i)) {
            times[i].tv_nsec = UTIME_NOW;
        }
    }
    return utimensat(AT_FDCWD, name, times, 0);
}

static int do_setattr(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    P9Fid *fid = p9_find(s, p9_get(in, 4));
    uint32_t valid = p9_get(in, 4);
    uint32_t mode = p9_get(in, 4);
    uint32_t uid = p9_get(in, 4);
    uint32_t gid = p9_get(in, 4);
    uint64_t size = p9_get(in, 8);
    struct timespec times[2];
    struct stat st;
    char name[64];
    int ret = 0;

    for (unsigned i = 0; i < 2; i++) {
        times[i].tv_sec = p9_get(in, 8);
        times[i].tv_nsec = p9_get(in, 8);
    }
    if (in->bad || !fid) {
        return EBADF;
    }
    int fd = p9_open_path(s, fid->path);

    if (fd < 0 || fstat(fd, &st) < 0) {
        ret = errno;
    } else if (S_ISLNK(st.st_mode)) {
        ret = EOPNOTSUPP; /* what it points to may be anywhere */
    } else {
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        if (((valid & SET_MODE) && chmod(name, mode & 0777) < 0) ||
            ((valid & (SET_UID | SET_GID)) &&
             chown(name, valid & SET_UID ? uid : (uid_t)-1,
                   valid & SET_GID ? gid : (gid_t)-1) < 0) ||
            ((valid & SET_SIZE) &&
             truncate(name, MIN(size, INT64_MAX)) < 0) ||
            ((valid & (SET_ATIME | SET_MTIME)) &&
             set_times(name, valid, times) < 0)) {
            ret = errno;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return ret;
}

static int do_statfs(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    struct statvfs fs;

    if (fstatvfs(s->root_fd, &fs) < 0) {
        return errno;
    }
    p9_put(out, V9FS_MAGIC, 4);
    p9_put(out, fs.f_bsize, 4);
    p9_put(out, fs.f_blocks, 8);
    p9_put(out, fs.f_bfree, 8);
    p9_put(out, fs.f_bavail, 8);
    p9_put(out, fs.f_files, 8);
    p9_put(out, fs.f_ffree, 8);
    p9_put(out, 0, 8);
    p9_put(out, NAME_MAX, 4);
    return 0;
}

static int do_readlink(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    P9Fid *fid = p9_find(s, p9_get(in, 4));
    char target[PATH_MAX];
    int fd = fid && !in->bad ? p9_open_path(s, fid->path) : -1;

    if (fd < 0) {
        return fid ? errno : EBADF;
    }
    ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);
    int error = n < 0 ? errno : 0;

    close(fd);
    if (!error) {
        target[n] = 0;
        p9_put_text(out, target);
    }
    return error;
}

/* Makes something in the folder of a fid; puts its qid. */
static int made(int folder, const char *name, int ret, P9Buffer *out)
{
    struct stat st;
    int error = ret < 0 ||
                        fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0
                    ? errno
                    : 0;

    if (!error) {
        p9_put_qid(out, &st);
    }
    close(folder);
    return error;
}

static int folder_of(P9Server *s, uint32_t number)
{
    P9Fid *fid = p9_find(s, number);

    if (!fid) {
        errno = EBADF;
        return -1;
    }
    return p9_open_path(s, fid->path);
}

static int do_symlink(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    uint32_t number = p9_get(in, 4);
    g_autofree char *name = p9_get_name(in);
    g_autofree char *target = p9_get_text(in);

    if (in->bad) {
        return EINVAL;
    }
    int folder = folder_of(s, number);

    return folder < 0 ? errno
                      : made(folder, name, symlinkat(target, folder, name),
                             out);
}

static int do_mkdir(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    uint32_t number = p9_get(in, 4);
    g_autofree char *name = p9_get_name(in);
    uint32_t mode = p9_get(in, 4);

    if (in->bad) {
        return EINVAL;
    }
    int folder = folder_of(s, number);

    return folder < 0 ? errno
                      : made(folder, name,
                             mkdirat(folder, name, mode & 0777), out);
}

static int do_link(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    uint32_t number = p9_get(in, 4);
    P9Fid *fid = p9_find(s, p9_get(in, 4));
    g_autofree char *name = p9_get_name(in);
    const char *old;

    if (in->bad || !fid) {
        return EBADF;
    }
    int to = folder_of(s, number);
    int from = to < 0 ? -1 : p9_open_parent(s, fid->path, &old);
    int error = from < 0 || linkat(from, old, to, name, 0) < 0 ? errno : 0;

    if (from >= 0) {
        close(from);
    }
    if (to >= 0) {
        close(to);
    }
    return error;
}

static int do_unlink(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    uint32_t number = p9_get(in, 4);
    g_autofree char *name = p9_get_name(in);
    uint32_t flags = p9_get(in, 4);

    if (in->bad || !strcmp(name, "..")) {
        return EINVAL;
    }
    int folder = folder_of(s, number);
    int error = folder < 0 || unlinkat(folder, name, flags & AT_REMOVEDIR) < 0
                    ? errno
                    : 0;

    if (folder >= 0) {
        close(folder);
    }
    return error;
}

static int do_rename(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    uint32_t from_number = p9_get(in, 4);
    g_autofree char *old = p9_get_name(in);
    uint32_t to_number = p9_get(in, 4);
    g_autofree char *name = p9_get_name(in);

    if (in->bad || !strcmp(old, "..") || !strcmp(name, "..")) {
        return EINVAL;
    }
    int from = folder_of(s, from_number);
    int to = from < 0 ? -1 : folder_of(s, to_number);
    int error = to < 0 || renameat(from, old, to, name) < 0 ? errno : 0;

    if (from >= 0) {
        close(from);
    }
    if (to >= 0) {
        close(to);
    }
    return error;
}

static int do_remove(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    uint32_t number = p9_get(in, 4);
    P9Fid *fid = p9_find(s, number);
    const char *name;
    struct stat st;

    if (!fid) {
        return EBADF;
    }
    int error = stat_fid(s, fid, &st);
    int folder = error ? -1 : p9_open_parent(s, fid->path, &name);

    if (!error && (folder < 0 ||
                   unlinkat(folder, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR
                                                              : 0) < 0)) {
        error = errno;
    }
    if (folder >= 0) {
        close(folder);
    }
    g_hash_table_remove(s->fids, GUINT_TO_POINTER(number)); /* in any case */
    return error;
}

static int do_fsync(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    P9Fid *fid = p9_find(s, p9_get(in, 4));

    if (!fid || fid->fd < 0) {
        return EBADF;
    }
    return fsync(fid->fd) < 0 ? errno : 0;
}

/* One client: locks are its own business. */
static int do_lock(P9Server *s, P9Buffer *in, P9Buffer *out)
{
    p9_put(out, 0, 1); /* success */
    return 0;
}

const P9Operation p9_file_operations[] = {
    { T_STATFS, false, do_statfs },   { T_LOPEN, false, do_open },
    { T_LCREATE, true, do_create },   { T_SYMLINK, true, do_symlink },
    { T_READLINK, false, do_readlink }, { T_GETATTR, false, do_getattr },
    { T_SETATTR, true, do_setattr },  { T_READDIR, false, do_readdir },
    { T_FSYNC, false, do_fsync },     { T_LOCK, false, do_lock },
    { T_LINK, true, do_link },        { T_MKDIR, true, do_mkdir },
    { T_RENAMEAT, true, do_rename },  { T_UNLINKAT, true, do_unlink },
    { T_READ, false, do_read },       { T_WRITE, true, do_write },
    { T_REMOVE, true, do_remove },    { 0, false, NULL },
};
