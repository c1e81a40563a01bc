/*
 * Drivers "file" and "host_device": making files and changing their size,
 * with the kinds of preallocation.
 */
#include "block/file-int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/file-lock.h"
#include "block/options.h"

const BlockOption block_file_create_options[] = {
    { "filename", BLOCK_OPT_STRING, .required = true },
    { "size", BLOCK_OPT_SIZE, .required = true, .help = "Virtual disk size" },
    { "preallocation", BLOCK_OPT_ENUM, "off/falloc/full",
      "Preallocation mode (allowed values: off, falloc, full)" },
    { "nocow", BLOCK_OPT_BOOL, .help = "Turn off copy-on-write (valid only "
                                       "on btrfs)" },
    { "extent-size-hint", BLOCK_OPT_SIZE,
      .help = "Extent size hint for the image file, 0 to disable" },
    { NULL },
};

static bool write_full(int fd, uint64_t from, uint64_t to)
{
    g_autofree char *zeroes = g_malloc0(1 << 20);

    while (from < to) {
        ssize_t n = pwrite(fd, zeroes, MIN(to - from, 1 << 20), from);

        if (n < 0 && errno != EINTR) {
            return false;
        }
        from += MAX(n, 0);
    }
    return true;
}

static bool resize_fd(int fd, const char *filename, uint64_t from,
                      uint64_t to, BlockPreallocation prealloc,
                      GError **error)
{
    bool ok = to <= INT64_MAX;

    if (!ok) {
        errno = EFBIG;
    } else if (prealloc == BLOCK_PREALLOC_OFF || to <= from) {
        ok = ftruncate(fd, to) == 0;
    } else if (prealloc == BLOCK_PREALLOC_FALLOC) {
        ok = fallocate(fd, 0, from, to - from) == 0;
    } else if (prealloc == BLOCK_PREALLOC_FULL) {
        ok = write_full(fd, from, to) && fsync(fd) == 0;
    } else {
        ok = false;
        errno = ENOTSUP;
    }
    if (!ok) {
        int errnum = errno;

        if (to > from && errnum != EFBIG && ftruncate(fd, from) < 0) {
            errnum = errno;
        }
        block_error_set_errno(error, errnum, "Failed to resize '%s'",
                              filename);
    }
    return ok;
}

bool block_file_truncate(BlockNode *node, uint64_t size, bool exact,
                         BlockPreallocation prealloc, GError **error)
{
    FileState *s = node->state;

    if (s->block_device) {
        int64_t length = node->length;

        if ((exact && (int64_t)size != length) || (int64_t)size > length) {
            g_set_error(error, BLOCK_ERROR, ENOTSUP,
                        exact ? "Cannot resize device files"
                              : "Cannot grow device files");
            return false;
        }
        return true;
    }
    if (!resize_fd(s->fd, node->filename, node->length, size, prealloc,
                   error)) {
        return false;
    }
    block_node_set_length(node, size);
    return true;
}

/* Refuses to empty an image that somebody has open. */
static bool lock_for_create(int fd, const char *filename, GError **error)
{
    unsigned used = 0;
    unsigned unshared = 0;
    unsigned perm = BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;

    return !file_lock_supported(fd) ||
           file_lock_change(fd, filename, &used, &unshared, perm,
                            BLOCK_PERM_RESIZE, error);
}

bool block_file_create(json_t *options, GError **error)
{
    const char *filename = NULL;
    uint64_t size = 0;
    int prealloc = 0;
    bool ok;
    int fd;

    if (!block_options_string(options, "filename", &filename, error) ||
        !block_options_size(options, "size", &size, error) ||
        !block_options_enum(options, "preallocation", "off/falloc/full",
                            &prealloc, error)) {
        return false;
    }
    if (g_str_has_prefix(filename, "file:")) {
        filename += 5;
    }
    fd = open(filename, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        block_error_set_errno(error, errno, "Could not create '%s'",
                              filename);
        return false;
    }
    ok = lock_for_create(fd, filename, error);
    if (ok) {
        struct stat st;

        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
            ftruncate(fd, 0) < 0) {
            block_error_set_errno(error, errno, "Could not clear '%s'",
                                  filename);
            ok = false;
        } else if (S_ISREG(st.st_mode)) {
            ok = resize_fd(fd, filename, 0, size,
                           prealloc ? prealloc + 1 : BLOCK_PREALLOC_OFF,
                           error);
        }
    }
    close(fd);
    return ok;
}
