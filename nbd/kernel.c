/*
 * Handing a negotiated connection to the kernel.
 */
#include "nbd/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "nbd/client-int.h"
#include "util/log.h"

/* <linux/nbd.h> has these beside names that protocol.h needs. */
#define NBD_SET_SOCK        _IO(0xab, 0)
#define NBD_SET_BLKSIZE     _IO(0xab, 1)
#define NBD_DO_IT           _IO(0xab, 3)
#define NBD_CLEAR_SOCK      _IO(0xab, 4)
#define NBD_CLEAR_QUE       _IO(0xab, 5)
#define NBD_SET_SIZE_BLOCKS _IO(0xab, 7)
#define NBD_DISCONNECT      _IO(0xab, 8)
#define NBD_SET_FLAGS       _IO(0xab, 10)

static int open_device(const char *device, GError **error)
{
    int fd = open(device, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        int err = errno;
        g_set_error(error, NBD_ERROR, err, "Failed to open %s: %s%s", device,
                    g_strerror(err),
                    access("/sys/module/nbd", F_OK) < 0
                        ? "\nThe kernel's nbd module is not loaded" : "");
    }
    return fd;
}

bool nbd_kernel_disconnect(const char *device, GError **error)
{
    int fd = open_device(device, error);

    if (fd < 0) {
        return false;
    }
    ioctl(fd, NBD_CLEAR_QUE);
    ioctl(fd, NBD_DISCONNECT);
    ioctl(fd, NBD_CLEAR_SOCK);
    close(fd);
    return true;
}

/* Sits in the kernel until the device is disconnected. */
static gpointer device_thread(gpointer opaque)
{
    int fd = GPOINTER_TO_INT(opaque);

    if (ioctl(fd, NBD_DO_IT) < 0 && errno != EPIPE) {
        log_printf(LOG_NBD, "nbd: kernel client: %s\n", g_strerror(errno));
    }
    ioctl(fd, NBD_CLEAR_QUE);
    ioctl(fd, NBD_CLEAR_SOCK);
    close(fd);
    return NULL;
}

static bool set_up(int fd, int socket, const NbdClientInfo *info,
                   GError **error)
{
    unsigned long block = MAX(info->min_block, 512);
    int read_only = !!(info->flags & NBD_FLAG_READ_ONLY);

    if (ioctl(fd, NBD_SET_SOCK, (unsigned long)socket) < 0 ||
        ioctl(fd, NBD_SET_BLKSIZE, block) < 0 ||
        ioctl(fd, NBD_SET_SIZE_BLOCKS,
              (unsigned long)(info->size / block)) < 0) {
        int err = errno;
        g_set_error(error, NBD_ERROR, err,
                    "Failed to set up the NBD device: %s", g_strerror(err));
        return false;
    }
    ioctl(fd, NBD_SET_FLAGS, (unsigned long)info->flags);
    ioctl(fd, BLKROSET, &read_only);
    return true;
}

bool nbd_kernel_connect(const char *device, const char *export, int socket,
                        GError **error)
{
    NbdStream stream;
    NbdHandshake h = { .stream = &stream, .export = export,
                       .simple_only = true };
    GThread *thread = NULL;
    bool oldstyle;
    int fd = open_device(device, error);

    nbd_stream_init(&stream, socket);
    if (fd >= 0 && nbd_handshake_begin(&h, &oldstyle, error) &&
        nbd_handshake_go(&h, error) && set_up(fd, socket, &h.info, error)) {
        thread = g_thread_try_new("nbd-kernel", device_thread,
                                  GINT_TO_POINTER(fd), error);
    }
    nbd_handshake_clear(&h);
    /* The kernel keeps the socket for itself. */
    nbd_stream_close(&stream);
    if (!thread && fd >= 0) {
        close(fd);
    }
    if (thread) {
        g_thread_unref(thread);
    }
    return thread != NULL;
}
