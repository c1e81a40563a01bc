/*
 * Drivers "file" and "host_device": bytes of a host file or block device.
 *
 * Requests are positioned system calls on one descriptor; any thread may run
 * them.  A second, read-only descriptor holds the image locks, so that a
 * reopen (which replaces the first) never lets go of them.
 *
 * A single request is one blocking call in the requesting thread.  Requests
 * that come together (block_batch()) go to the kernel together, by io_uring,
 * where that is wanted and possible:
 *
 *     aio=threads            never; callers use threads to overlap requests
 *     aio=io_uring, native   always; threads where the kernel has no io_uring
 *     nothing said           reads, with cache.direct=on: threads do more
 *                            writes in the same time, and what lies in the
 *                            page cache is copied faster by plain calls
 *
 * Creating and resizing files is in file-create.c.
 */
#include "block/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/file-int.h"
#include "block/file-lock.h"
#include "block/iov.h"
#include "block/node-int.h"
#include "block/options.h"
#include "util/uring.h"

#define MAX_IOV 1024

static const BlockOption file_options[] = {
    { "filename", BLOCK_OPT_STRING, .required = true },
    { "aio", BLOCK_OPT_ENUM, "threads/native/io_uring" },
    { "aio-max-batch", BLOCK_OPT_INT },
    { "locking", BLOCK_OPT_ENUM, "on/off/auto" },
    { "pr-manager", BLOCK_OPT_STRING },
    { "drop-cache", BLOCK_OPT_BOOL },
    { "x-check-cache-dropped", BLOCK_OPT_BOOL, .reopens = true },
    { NULL },
};

static bool flag_get(const bool *flag)
{
    return __atomic_load_n(flag, __ATOMIC_RELAXED);
}

static void flag_set(bool *flag)
{
    __atomic_store_n(flag, true, __ATOMIC_RELAXED);
}

/* ---- Opening ------------------------------------------------------------ */

static int open_mode(unsigned flags)
{
    int mode = O_CLOEXEC;

    mode |= flags & BLOCK_OPEN_RDWR ? O_RDWR : O_RDONLY;
    if (flags & BLOCK_OPEN_DIRECT) {
        mode |= O_DIRECT;
    }
    return mode;
}

/* Opens for writing, or only for reading where that is allowed instead. */
static int open_fd(const char *filename, unsigned flags, bool *read_only,
                   GError **error)
{
    int fd = open(filename, open_mode(flags));

    *read_only = !(flags & BLOCK_OPEN_RDWR);
    if (fd < 0 && (flags & BLOCK_OPEN_RDWR) &&
        (flags & BLOCK_OPEN_AUTO_RDONLY) &&
        (errno == EACCES || errno == EROFS || errno == EPERM)) {
        *read_only = true;
        fd = open(filename, open_mode(flags & ~(unsigned)BLOCK_OPEN_RDWR));
    }
    if (fd < 0) {
        block_error_set_errno(error, errno, "Could not open '%s'", filename);
    }
    return fd;
}

/* O_DIRECT: the smallest size and alignment the kernel takes. */
static bool probe_alignment(BlockNode *node, FileState *s, GError **error)
{
    static const unsigned sizes[] = { 512, 1024, 2048, 4096 };
    void *buf = NULL;

    node->limits.request_alignment = 1;
    node->limits.memory_alignment = 1;
    if (!(node->flags & BLOCK_OPEN_DIRECT)) {
        return true;
    }
    if (posix_memalign(&buf, 65536, 65536)) {
        block_error_set_errno(error, ENOMEM, "Could not open '%s'",
                              node->filename);
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        if (pread(s->fd, buf, sizes[i], 0) >= 0) {
            node->limits.request_alignment = sizes[i];
            node->limits.memory_alignment = MAX(sizes[i], 512);
            free(buf);
            return true;
        }
    }
    free(buf);
    g_set_error(error, BLOCK_ERROR, EINVAL,
                "Could not find working O_DIRECT alignment\n"
                "Try cache.direct=off");
    return false;
}

static bool read_length(BlockNode *node, FileState *s, GError **error)
{
    struct stat st;
    uint64_t size = 0;

    if (fstat(s->fd, &st) < 0) {
        block_error_set_errno(error, errno, "Could not stat '%s'",
                              node->filename);
        return false;
    }
    if (S_ISDIR(st.st_mode)) {
        block_error_set_errno(error, EISDIR, "Could not open '%s'",
                              node->filename);
        return false;
    }
    s->block_device = S_ISBLK(st.st_mode);
    if (s->block_device && ioctl(s->fd, BLKGETSIZE64, &size) < 0) {
        block_error_set_errno(error, errno, "Could not get size of '%s'",
                              node->filename);
        return false;
    }
    if (!s->block_device && !S_ISREG(st.st_mode)) {
        off_t end = lseek(s->fd, 0, SEEK_END);

        if (end < 0) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "'%s' is neither a regular file nor a block device",
                        node->filename);
            return false;
        }
        size = end;
    } else if (!s->block_device) {
        size = st.st_size;
    }
    block_node_set_length(node, size);
    return true;
}

static bool setup_locking(BlockNode *node, FileState *s, json_t *options,
                          GError **error)
{
    int locking = 2;

    s->lock_fd = -1;
    if (!block_options_enum(options, "locking", "on/off/auto", &locking,
                            error)) {
        return false;
    }
    if (locking == 1) {
        return true;
    }
    s->lock_fd = open(node->filename, O_RDONLY | O_CLOEXEC);
    if (s->lock_fd >= 0 && file_lock_supported(s->lock_fd)) {
        return true;
    }
    if (s->lock_fd >= 0) {
        close(s->lock_fd);
        s->lock_fd = -1;
    }
    if (locking == 0) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP,
                    "File locking requested but not possible on '%s'",
                    node->filename);
        return false;
    }
    return true;
}

bool block_aio_flags(const char *engine, unsigned *flags)
{
    unsigned flag = !strcmp(engine, "threads")    ? BLOCK_OPEN_AIO_THREADS
                    : !strcmp(engine, "native")   ? BLOCK_OPEN_AIO_NATIVE
                    : !strcmp(engine, "io_uring") ? BLOCK_OPEN_AIO_URING : 0;

    if (flag) {
        *flags = (*flags & ~(unsigned)BLOCK_OPEN_AIO_MASK) | flag;
    }
    return flag != 0;
}

/* Which engine: the option decides, else the flags, else what is faster. */
static bool choose_engine(BlockNode *node, FileState *s, json_t *options,
                          GError **error)
{
    enum { THREADS, NATIVE, URING, UNSAID };
    bool direct = node->flags & BLOCK_OPEN_DIRECT;
    int aio = node->flags & BLOCK_OPEN_AIO_THREADS  ? THREADS
              : node->flags & BLOCK_OPEN_AIO_NATIVE ? NATIVE
              : node->flags & BLOCK_OPEN_AIO_URING  ? URING : UNSAID;

    if (!block_options_enum(options, "aio", "threads/native/io_uring", &aio,
                            error)) {
        return false;
    }
    if (aio == NATIVE && !direct) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "aio=native was specified, "
                    "but it requires cache.direct=on, which was not "
                    "specified.");
        return false;
    }
    s->uring = (aio == UNSAID ? direct : aio != THREADS) && uring_available();
    s->uring_writes = s->uring && aio != UNSAID;
    return true;
}

static void choose_map(BlockNode *node, FileState *s, unsigned flags)
{
    struct stat st;

    file_map_free(s->map);
    s->map = NULL;
    if (!node->read_only && fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode) &&
        !(flags & (BLOCK_OPEN_DIRECT | BLOCK_OPEN_NO_MAP))) {
        s->map = file_map_new(s->fd);
    }
}

static bool file_open(BlockNode *node, json_t *options, GError **error)
{
    FileState *s = node->state;
    const char *filename = NULL;

    block_options_string(options, "filename", &filename, NULL);
    if (g_str_has_prefix(filename, "file:")) {
        filename += 5;
    }
    node->filename = g_strdup(filename);
    if (!choose_engine(node, s, options, error)) {
        return false;
    }
    s->fd = open_fd(filename, node->flags, &node->read_only, error);
    if (s->fd < 0) {
        return false;
    }
    if (!read_length(node, s, error) || !probe_alignment(node, s, error) ||
        !setup_locking(node, s, options, error)) {
        close(s->fd);
        return false;
    }
    choose_map(node, s, node->flags);
    return true;
}

static void file_close(BlockNode *node)
{
    FileState *s = node->state;

    file_map_free(s->map);
    close(s->fd);
    if (s->lock_fd >= 0) {
        close(s->lock_fd);
    }
}

static bool file_set_perm(BlockNode *node, unsigned perm, unsigned shared,
                          GError **error)
{
    FileState *s = node->state;

    return s->lock_fd < 0 ||
           file_lock_change(s->lock_fd, node->filename, &s->used,
                            &s->unshared, perm, BLOCK_PERM_ALL & ~shared,
                            error);
}

static bool file_parse_filename(const char *filename, json_t *options,
                                GError **error)
{
    json_t *path = json_string(strchr(filename, ':') + 1);

    if (!path) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "File name is not valid UTF-8");
        return false;
    }
    json_object_set_new(options, "filename", path);
    return true;
}

/* ---- Reopen ------------------------------------------------------------- */

typedef struct FileReopen {
    int fd;
    unsigned flags;
    bool read_only;
} FileReopen;

static bool file_reopen_prepare(BlockNode *node, json_t *options,
                                unsigned flags, void **prepared,
                                GError **error)
{
    const char *filename = NULL;
    FileReopen *reopen;
    bool read_only;
    int fd;

    block_options_string(options, "filename", &filename, NULL);
    if (filename && strcmp(filename, node->filename) != 0) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Cannot change the option 'filename'");
        return false;
    }
    fd = open_fd(node->filename, flags, &read_only, error);
    if (fd < 0) {
        return false;
    }
    reopen = g_new(FileReopen, 1);
    *reopen = (FileReopen){ fd, flags, read_only };
    *prepared = reopen;
    return true;
}

static void file_reopen_commit(BlockNode *node, void *prepared)
{
    FileState *s = node->state;
    FileReopen *reopen = prepared;

    close(s->fd);
    s->fd = reopen->fd;
    node->read_only = reopen->read_only;
    choose_map(node, s, reopen->flags);
    if (!probe_alignment(node, s, NULL)) {
        node->limits.request_alignment = 4096;
        node->limits.memory_alignment = 4096;
    }
    g_free(reopen);
}

static void file_reopen_abort(BlockNode *node, void *prepared)
{
    FileReopen *reopen = prepared;

    close(reopen->fd);
    g_free(reopen);
}

/* ---- Requests ----------------------------------------------------------- */

/* After a short transfer: the rest, one step at a time. */
static int transfer_rest(FileState *s, bool write, uint64_t offset,
                         uint64_t bytes, const struct iovec *iov, int niov,
                         uint64_t done, int rw_flags)
{
    struct iovec *rest = g_new(struct iovec, niov);
    int ret = 0;

    while (done < bytes) {
        int n = block_iov_slice(iov, niov, done, bytes - done, rest);
        ssize_t got;

        n = MIN(n, MAX_IOV);
        got = write ? pwritev2(s->fd, rest, n, offset + done, rw_flags)
                    : preadv(s->fd, rest, n, offset + done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            ret = -errno;
            break;
        }
        if (got == 0) {
            if (write) {
                ret = -ENOSPC;
                break;
            }
            /* The file ends before the node does: zeroes. */
            block_iov_memset(iov, niov, done, 0, bytes - done);
            break;
        }
        done += got;
    }
    g_free(rest);
    return ret;
}

static int file_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                       const struct iovec *iov, int niov, unsigned flags)
{
    FileState *s = node->state;
    ssize_t got = niov == 1 ? pread(s->fd, iov->iov_base, bytes, offset)
                  : niov <= MAX_IOV ? preadv(s->fd, iov, niov, offset) : 0;

    if (G_LIKELY(got == (ssize_t)bytes)) {
        return 0;
    }
    if (got < 0 && errno != EINTR) {
        return -errno;
    }
    return transfer_rest(s, false, offset, bytes, iov, niov, MAX(got, 0), 0);
}

static int file_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                        const struct iovec *iov, int niov, unsigned flags)
{
    FileState *s = node->state;
    bool sync = flags & BLOCK_REQ_FUA;
    int rw_flags = sync && !flag_get(&s->no_dsync) ? RWF_DSYNC : 0;
    ssize_t got;
    int ret = 0;

    if (s->map && !sync &&
        file_map_write(s->map, offset, bytes, iov, niov,
                       (uint64_t)__atomic_load_n(&node->length,
                                                 __ATOMIC_ACQUIRE))) {
        return 0;
    }
    if (niov == 1 && !rw_flags) {
        got = pwrite(s->fd, iov->iov_base, bytes, offset); /* the quickest */
    } else {
        got = niov <= MAX_IOV ? pwritev2(s->fd, iov, niov, offset, rw_flags)
                              : 0;
    }
    if (got < 0 && rw_flags && (errno == EOPNOTSUPP || errno == ENOSYS)) {
        flag_set(&s->no_dsync);
        rw_flags = 0;
        got = 0;
    }
    if (got < 0 && errno != EINTR) {
        return -errno;
    }
    if (G_UNLIKELY(got != (ssize_t)bytes)) {
        ret = transfer_rest(s, true, offset, bytes, iov, niov, MAX(got, 0),
                            rw_flags);
    }
    if (ret == 0 && sync && !rw_flags && fdatasync(s->fd) < 0) {
        ret = -errno;
    }
    return ret;
}

static int file_flush(BlockNode *node)
{
    FileState *s = node->state;

    if (node->flags & BLOCK_OPEN_NO_FLUSH) {
        return 0;
    }
    if (s->sync_error) {
        return s->sync_error;
    }
    if (fdatasync(s->fd) < 0) {
        /* The kernel may have dropped the dirty pages: say so for good. */
        s->sync_error = -errno;
        return s->sync_error;
    }
    if (s->map) {
        file_map_flushed(s->map);
    }
    return 0;
}

/* One fallocate(); refusals that mean "not here" become -ENOTSUP. */
static int try_fallocate(FileState *s, int mode, uint64_t offset,
                         uint64_t bytes)
{
    int ret;

    do {
        ret = fallocate(s->fd, mode, offset, bytes);
    } while (ret < 0 && errno == EINTR);
    if (ret == 0) {
        return 0;
    }
    switch (errno) {
    case EOPNOTSUPP:
    case ENOSYS:
    case EINVAL:
    case ENODEV:
    case ENOTTY:
    case EPERM:
        return -ENOTSUP;
    default:
        return -errno;
    }
}

static int punch_hole(FileState *s, uint64_t offset, uint64_t bytes)
{
    int ret = -ENOTSUP;

    if (!flag_get(&s->no_punch_hole)) {
        ret = try_fallocate(s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                            offset, bytes);
        if (ret == -ENOTSUP && !s->block_device) {
            flag_set(&s->no_punch_hole);
        }
    }
    return ret;
}

static int zero_range(FileState *s, uint64_t offset, uint64_t bytes)
{
    int ret = -ENOTSUP;

    if (!flag_get(&s->no_zero_range)) {
        ret = try_fallocate(s, FALLOC_FL_ZERO_RANGE |
                                   (s->block_device ? FALLOC_FL_KEEP_SIZE
                                                    : 0), offset, bytes);
        if (ret == -ENOTSUP && !s->block_device) {
            flag_set(&s->no_zero_range);
        }
    }
    return ret;
}

static int file_pwrite_zeroes(BlockNode *node, uint64_t offset,
                              uint64_t bytes, unsigned flags)
{
    FileState *s = node->state;
    bool grows = (int64_t)(offset + bytes) >
                 __atomic_load_n(&node->length, __ATOMIC_ACQUIRE);
    int ret = -ENOTSUP;

    if ((flags & BLOCK_REQ_MAY_UNMAP) && !grows) {
        ret = punch_hole(s, offset, bytes);
    }
    if (ret == -ENOTSUP) {
        ret = zero_range(s, offset, bytes);
    }
    if (ret == -ENOTSUP && !grows && !s->block_device) {
        /* Without ZERO_RANGE (tmpfs): a hole, then space for it again. */
        ret = punch_hole(s, offset, bytes);
        if (ret == 0 && !(flags & BLOCK_REQ_MAY_UNMAP)) {
            int again = try_fallocate(s, 0, offset, bytes);

            ret = again == -ENOTSUP ? 0 : again;
        }
    }
    if (ret == 0 && (flags & BLOCK_REQ_FUA) && fdatasync(s->fd) < 0) {
        ret = -errno;
    }
    return ret;
}

static int file_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return punch_hole(node->state, offset, bytes);
}

static int file_status(BlockNode *node, uint64_t offset, uint64_t bytes,
                       BlockStatus *status)
{
    FileState *s = node->state;
    off_t data;
    off_t hole;

    status->flags = BLOCK_STATUS_ALLOCATED | BLOCK_STATUS_OFFSET_VALID;
    status->host_node = node;
    status->host_offset = offset;
    if (s->block_device || flag_get(&s->no_seek)) {
        status->flags |= BLOCK_STATUS_DATA;
        return 0;
    }
    data = lseek(s->fd, offset, SEEK_DATA);
    if (data < 0 && errno != ENXIO) {
        flag_set(&s->no_seek);
        status->flags |= BLOCK_STATUS_DATA;
        return 0;
    }
    if (data < 0 || data > (off_t)offset) {
        status->flags |= BLOCK_STATUS_ZERO;
        if (data > (off_t)offset) {
            status->bytes = MIN(bytes, (uint64_t)data - offset);
        }
        return 0;
    }
    hole = lseek(s->fd, offset, SEEK_HOLE);
    status->flags |= BLOCK_STATUS_DATA;
    if (hole > (off_t)offset) {
        status->bytes = MIN(bytes, (uint64_t)hole - offset);
    }
    return 0;
}

static int file_map_fd(BlockNode *node, uint64_t offset, uint64_t bytes,
                       int *fd, uint64_t *fd_offset, uint64_t *n)
{
    FileState *s = node->state;

    if (node->flags & BLOCK_OPEN_DIRECT) {
        return -ENOTSUP;
    }
    *fd = s->fd;
    *fd_offset = offset;
    *n = bytes;
    return 0;
}

/* ---- Batches ------------------------------------------------------------- */

static bool file_batches(BlockNode *node, bool write)
{
    const FileState *s = node->state;

    return write ? s->uring_writes : s->uring;
}

static void file_batch(BlockNode *node, BlockBatchItem *items, unsigned n)
{
    FileState *s = node->state;
    UringOp ops[URING_DEPTH];
    BlockBatchItem *of[URING_DEPTH];

    for (unsigned i = 0; s->uring && i < n;) {
        unsigned count = 0;

        for (; i < n && count < URING_DEPTH; i++) {
            if (items[i].ret == BLOCK_BATCH_TODO) {
                ops[count] = (UringOp){ s->fd, items[i].write, items[i].buf,
                                        items[i].bytes, items[i].offset, 0 };
                of[count++] = &items[i];
            }
        }
        if (!uring_run(ops, count)) {
            return;
        }
        for (unsigned k = 0; k < count; k++) {
            /* Short (the end of the file) or interrupted: the plain way. */
            bool again = ops[k].result == -EINTR || ops[k].result == -EAGAIN ||
                         (ops[k].result >= 0 &&
                          (uint32_t)ops[k].result < ops[k].bytes);

            of[k]->ret = again ? BLOCK_BATCH_ALONE : MIN(ops[k].result, 0);
        }
    }
}

static int64_t file_allocated_size(BlockNode *node)
{
    FileState *s = node->state;
    struct stat st;

    return fstat(s->fd, &st) < 0 ? -errno : (int64_t)st.st_blocks * 512;
}

static const char *const file_protocols[] = { "file", NULL };
static const char *const host_device_protocols[] = { "host_device", NULL };

#define FILE_DRIVER(NAME, PROTOCOLS)                                         \
    .name = NAME, .protocols = PROTOCOLS,                                    \
    .flags = BLOCK_DRIVER_PROTOCOL | BLOCK_DRIVER_GROWABLE |                 \
             BLOCK_DRIVER_ZERO_PAST_END,                                     \
    .state_size = sizeof(FileState), .options = file_options,                \
    .create_options = block_file_create_options,                                   \
    .parse_filename = file_parse_filename, .open = file_open,                \
    .close = file_close, .create = block_file_create,                              \
    .reopen_prepare = file_reopen_prepare,                                   \
    .reopen_commit = file_reopen_commit, .reopen_abort = file_reopen_abort,  \
    .set_perm = file_set_perm, .preadv = file_preadv,                        \
    .pwritev = file_pwritev, .pwrite_zeroes = file_pwrite_zeroes,            \
    .pdiscard = file_pdiscard, .flush = file_flush, .status = file_status,   \
    .batch = file_batch, .batches = file_batches,                            \
    .map_fd = file_map_fd, .fua_native = true, .truncate = block_file_truncate,    \
    .allocated_size = file_allocated_size

const BlockDriver block_driver_file = { FILE_DRIVER("file", file_protocols) };
const BlockDriver block_driver_host_device = {
    FILE_DRIVER("host_device", host_device_protocols)
};
