/*
 * virtio console with one port, to a file or to a unix socket.
 *
 *   queue 0  buffers for input      queue 1  output
 *
 * Input is read on a thread of its own, only while the guest has a buffer;
 * without one it waits in the socket.  Output to a peer that does not read is
 * dropped rather than waited for.
 *
 * Source: VIRTIO 1.2 section 5.3.
 */
#include "hw/virtio-console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "system/machine.h"
#include "util/log.h"

enum {
    QUEUE_IN = 0,
    QUEUE_OUT = 1,
    QUEUE_SIZE = 64,
    CHUNK = 4096,
};

typedef struct VirtioConsole {
    VirtioDevice vdev;
    Machine *machine;
    char *path;         /* of the socket, or NULL */
    int out_fd;         /* a file, or -1 */
    int listen_fd, wake_fd;
    GThread *thread;    /* of the socket, or NULL */
    GMutex lock;        /* held while input is put in memory */
    bool quit;          /* under lock */
    int fd;             /* the peer, or -1; under lock, changed by thread */
} VirtioConsole;

static void wake(VirtioConsole *c)
{
    uint64_t one = 1;

    if (c->wake_fd >= 0 && write(c->wake_fd, &one, sizeof(one)) < 0) {
        /* It is awake already. */
    }
}

static void put_out(VirtioConsole *c, const uint8_t *bytes, size_t n)
{
    if (c->out_fd >= 0) {
        if (write(c->out_fd, bytes, n) < 0) {
            log_printf(LOG_DEVICE, "%s: output lost: %s\n", c->vdev.id,
                       g_strerror(errno));
        }
        return;
    }
    g_mutex_lock(&c->lock);
    if (c->fd >= 0 && send(c->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        log_printf(LOG_DEVICE, "%s: output lost: %s\n", c->vdev.id,
                   g_strerror(errno));
    }
    g_mutex_unlock(&c->lock);
}

static void send_all(VirtioConsole *c)
{
    VirtioRequest *r;

    while ((r = virtio_pop(&c->vdev.queues[QUEUE_OUT]))) {
        for (unsigned i = 0; i < r->n_out; i++) {
            put_out(c, r->out[i].iov_base, r->out[i].iov_len);
        }
        virtio_push(r, 0);
    }
}

static void console_notify(VirtioDevice *vdev, unsigned queue)
{
    VirtioConsole *c = (VirtioConsole *)vdev;

    if (queue == QUEUE_OUT) {
        send_all(c);
    } else {
        wake(c); /* there is a buffer now */
    }
}

static bool may_receive(VirtioConsole *c)
{
    return (c->vdev.status & VIRTIO_STATUS_DRIVER_OK) &&
           machine_is_running(c->machine);
}

/* Moves input to the guest's next buffer; false when it has none. */
static bool receive(VirtioConsole *c)
{
    uint8_t bytes[CHUNK];
    bool done = false;

    g_mutex_lock(&c->lock);
    VirtioRequest *r =
        may_receive(c) ? virtio_pop(&c->vdev.queues[QUEUE_IN]) : NULL;

    if (r) {
        ssize_t n = recv(c->fd, bytes, MIN(sizeof(bytes), r->in_bytes),
                         MSG_DONTWAIT);

        if (n <= 0) {
            close(c->fd);
            c->fd = -1;
            n = 0;
        }
        virtio_push(r, virtio_copy_in(r, 0, bytes, n));
        done = true;
    }
    g_mutex_unlock(&c->lock);
    return done;
}

static void accept_peer(VirtioConsole *c)
{
    int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0 && c->fd >= 0) {
        close(fd);
        return;
    }
    g_mutex_lock(&c->lock);
    c->fd = fd;
    g_mutex_unlock(&c->lock);
}

static void *console_thread(void *opaque)
{
    VirtioConsole *c = opaque;
    bool has_buffer = true; /* as far as is known */
    bool quit = false;

    while (!quit) {
        struct pollfd fds[3] = {
            { .fd = c->wake_fd, .events = POLLIN },
            { .fd = c->listen_fd, .events = POLLIN },
            { .fd = has_buffer ? c->fd : -1, .events = POLLIN },
        };
        uint64_t count;

        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0) {
            continue;
        }
        if (fds[0].revents && read(c->wake_fd, &count, sizeof(count)) > 0) {
            has_buffer = true;
        }
        if (fds[1].revents) {
            accept_peer(c);
        }
        if (fds[2].revents) {
            has_buffer = receive(c);
        }
        g_mutex_lock(&c->lock);
        quit = c->quit;
        g_mutex_unlock(&c->lock);
    }
    return NULL;
}

static void console_quiesce(VirtioDevice *vdev)
{
    VirtioConsole *c = (VirtioConsole *)vdev;

    g_mutex_lock(&c->lock);
    g_mutex_unlock(&c->lock);
}

static void console_free(VirtioDevice *vdev)
{
    VirtioConsole *c = (VirtioConsole *)vdev;
    int *const fds[] = { &c->out_fd, &c->listen_fd, &c->wake_fd, &c->fd };

    if (c->thread) {
        g_mutex_lock(&c->lock);
        c->quit = true;
        g_mutex_unlock(&c->lock);
        wake(c);
        g_thread_join(c->thread);
    }
    if (c->listen_fd >= 0) {
        unlink(c->path);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
        if (*fds[i] >= 0) {
            close(*fds[i]);
        }
    }
    g_mutex_clear(&c->lock);
    g_free(c->path);
    virtio_clear(vdev);
    g_free(c);
}

static const VirtioType console_type = {
    .name = "virtio-console",
    .id = VIRTIO_ID_CONSOLE,
    .notify = console_notify,
    .quiesce = console_quiesce,
    .free = console_free,
};

static bool open_socket(VirtioConsole *c, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, 1) < 0) {
        int saved = errno;

        close(fd);
        errno = saved;
        return false;
    }
    c->listen_fd = fd;
    c->path = g_strdup(path);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->thread = g_thread_new("console", console_thread, c);
    return true;
}

VirtioDevice *virtio_console_new(const char *id, Machine *machine,
                                 const char *path, GError **error)
{
    VirtioConsole *c = g_new0(VirtioConsole, 1);
    bool ok = true;

    virtio_init(&c->vdev, &console_type, id, machine->mem, 2, QUEUE_SIZE);
    c->machine = machine;
    c->out_fd = c->listen_fd = c->wake_fd = c->fd = -1;
    g_mutex_init(&c->lock);
    if (path && g_str_has_prefix(path, "file:")) {
        c->out_fd = open(path + strlen("file:"),
                         O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        ok = c->out_fd >= 0;
    } else if (path && g_str_has_prefix(path, "unix:")) {
        ok = open_socket(c, path + strlen("unix:"));
    } else if (path) {
        errno = EINVAL;
        ok = false;
    }
    if (!ok) {
        g_set_error(error, SYSTEM_ERROR, 0, "cannot open '%s' (file:PATH or "
                    "unix:PATH): %s", path, g_strerror(errno));
        console_free(&c->vdev);
        return NULL;
    }
    return &c->vdev;
}
