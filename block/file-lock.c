/* Byte locks on image files; see file-lock.h. */
#include "block/file-lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "block/node.h"

#define USED_BASE 100
#define UNSHARED_BASE 200
#define PERM_COUNT 5

static const char *const perm_names[PERM_COUNT] = {
    "consistent read", "write", "write unchanged", "resize",
    "change children",
};

static int lock_byte(int fd, int cmd, short type, off_t byte)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1,
    };
    int ret;

    do {
        ret = fcntl(fd, cmd, &lock);
    } while (ret < 0 && errno == EINTR);
    if (ret < 0) {
        return -errno;
    }
    return cmd == F_OFD_GETLK && lock.l_type != F_UNLCK ? -EAGAIN : 0;
}

bool file_lock_supported(int fd)
{
    return lock_byte(fd, F_OFD_GETLK, F_WRLCK, USED_BASE) != -EINVAL;
}

/* Takes the locks of set that are not in held yet. */
static int take(int fd, unsigned set, unsigned *held, off_t base)
{
    for (int i = 0; i < PERM_COUNT; i++) {
        if ((set & ~*held) & (1u << i)) {
            int ret = lock_byte(fd, F_OFD_SETLK, F_RDLCK, base + i);

            if (ret < 0) {
                return ret;
            }
            *held |= 1u << i;
        }
    }
    return 0;
}

static void drop(int fd, unsigned keep, unsigned *held, off_t base)
{
    for (int i = 0; i < PERM_COUNT; i++) {
        if ((*held & ~keep) & (1u << i)) {
            lock_byte(fd, F_OFD_SETLK, F_UNLCK, base + i);
        }
    }
    *held &= keep;
}

static bool conflict(int fd, const char *filename, unsigned set, off_t base,
                     const char *format, GError **error)
{
    for (int i = 0; i < PERM_COUNT; i++) {
        int ret = set & (1u << i)
                      ? lock_byte(fd, F_OFD_GETLK, F_WRLCK, base + i) : 0;

        if (ret < 0) {
            g_autofree char *text = g_strdup_printf(format, perm_names[i]);

            g_set_error(error, BLOCK_ERROR, -ret,
                        "%s\nIs another process using the image [%s]?", text,
                        filename);
            return true;
        }
    }
    return false;
}

bool file_lock_change(int fd, const char *filename, unsigned *held_used,
                      unsigned *held_unshared, unsigned used,
                      unsigned unshared, GError **error)
{
    unsigned old_used = *held_used;
    unsigned old_unshared = *held_unshared;
    int ret = take(fd, used, held_used, USED_BASE);

    if (ret == 0) {
        ret = take(fd, unshared, held_unshared, UNSHARED_BASE);
    }
    if (ret < 0) {
        block_error_set_errno(error, ret, "Failed to lock '%s'", filename);
    } else if (!conflict(fd, filename, used & ~old_used, UNSHARED_BASE,
                         "Failed to get \"%s\" lock", error) &&
               !conflict(fd, filename, unshared & ~old_unshared, USED_BASE,
                         "Failed to get shared \"%s\" lock", error)) {
        drop(fd, used, held_used, USED_BASE);
        drop(fd, unshared, held_unshared, UNSHARED_BASE);
        return true;
    }
    drop(fd, old_used, held_used, USED_BASE);
    drop(fd, old_unshared, held_unshared, UNSHARED_BASE);
    return false;
}
