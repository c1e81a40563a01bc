/*
 * e2k-nbd as a server: opens the images, exports them, waits for the end.
 *
 * The main thread does nothing but wait, on a signalfd for SIGTERM, SIGINT
 * and SIGHUP and on an eventfd for "the last client has left"; clients are
 * served by the threads of the NBD server.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/driver.h"
#include "block/export.h"
#include "block/options.h"
#include "block/wind-up.h"
#include "nbd/kernel.h"
#include "tools/e2k-nbd.h"

/* Of systemd's protocol. */
#define ACTIVATION_FIRST_FD 3

static int idle_fd = -1; /* eventfd: no client is left */
static gint seen_client;

/* ---- Opening images -------------------------------------------------------- */

/* A raw node on top that begins at an offset, for -o. */
static BlockNode *open_offset(BlockNode *file, uint64_t offset, unsigned flags,
                              GError **error)
{
    json_t *options = json_pack("{s:s, s:s, s:I}", "driver", "raw", "file",
                                block_node_name(file), "offset",
                                (json_int_t)offset);
    BlockNode *node = block_node_open(options, flags, error);

    json_decref(options);
    return node;
}

static BlockNode *open_image(const NbdToolOptions *o, const NbdToolExport *e,
                             GError **error)
{
    bool writable = !e->read_only && !e->temporary && !e->snapshot_tag;
    unsigned flags = o->open_flags | (writable ? BLOCK_OPEN_RDWR : 0);
    BlockNode *node;
    BlockNode *top;

    node = e->image_opts
               ? block_node_open_image_opts(e->file, flags, error)
               : block_node_open_filename(e->file, e->format, NULL, flags,
                                          error);
    if (!node) {
        g_prefix_error(error, "Failed to blk_new_open '%s': ", e->file);
        return NULL;
    }
    if (e->snapshot_tag) {
        const BlockDriver *driver = block_node_driver(node);
        if (!driver->snapshot_load) {
            g_set_error(error, BLOCK_ERROR, ENOTSUP,
                        "Failed to load snapshot: Device '%s' does not "
                        "support internal snapshots", block_node_name(node));
        } else if (driver->snapshot_load(node, e->snapshot_tag,
                                         e->snapshot_tag, error)) {
            return node;
        } else {
            g_prefix_error(error, "Failed to load snapshot: ");
        }
        block_node_unref(node);
        return NULL;
    }
    if (e->temporary || e->offset) {
        top = e->temporary ? block_node_open_temporary(node, o->open_flags,
                                                     error)
                           : open_offset(node, e->offset, flags, error);
        block_node_unref(node);
        node = top;
    }
    return node;
}

static bool add_export(const NbdToolOptions *o, const NbdToolExport *e,
                       unsigned number, GError **error)
{
    g_autofree BlockExportBitmap *bitmaps =
        g_new0(BlockExportBitmap, e->bitmaps->len + 1);
    g_autofree char *id = g_strdup_printf("export-%u", number);
    BlockExportParams p = {
        .id = id,
        .name = e->name,
        .description = e->description,
        .writethrough = o->writethrough,
        .allocation_depth = o->allocation_depth,
        .one_client = o->shared == 1,
        .bitmaps = bitmaps,
        .nbitmaps = e->bitmaps->len,
    };
    BlockNode *node;
    bool ok = false;

    for (guint i = 0; i < e->bitmaps->len; i++) {
        bitmaps[i].name = e->bitmaps->pdata[i];
    }
    block_graph_lock();
    node = open_image(o, e, error);
    block_graph_unlock();
    if (node) {
        p.node_name = block_node_name(node);
        p.writable = !e->read_only && !e->snapshot_tag;
        ok = block_export_add(&p, error);
        block_node_unref(node);
    }
    return ok;
}

/* ---- The server -------------------------------------------------------------- */

static void complain(void *opaque, const char *message)
{
    const NbdToolOptions *o = opaque;

    if (o->verbose) {
        nbd_tool_error("%s", message);
    }
}

static void connections_changed(void *opaque, unsigned now)
{
    const NbdToolOptions *o = opaque;
    uint64_t one = 1;

    if (now) {
        g_atomic_int_set(&seen_client, 1);
    } else if (g_atomic_int_get(&seen_client) && !o->persistent) {
        ssize_t n = write(idle_fd, &one, sizeof(one));
        (void)n;
    }
}

unsigned nbd_tool_activation_fds(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *fds = getenv("LISTEN_FDS");
    guint64 number;

    if (!pid || !fds ||
        !g_ascii_string_to_unsigned(pid, 10, 1, INT32_MAX, &number, NULL) ||
        (pid_t)number != getpid() ||
        !g_ascii_string_to_unsigned(fds, 10, 1, 1024, &number, NULL)) {
        return 0;
    }
    for (guint64 i = 0; i < number; i++) {
        fcntl(ACTIVATION_FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC);
    }
    return (unsigned)number;
}

static bool start_listening(const NbdToolOptions *o, unsigned activated,
                            GError **error)
{
    g_autoptr(NbdAddress) address =
        activated ? nbd_address_new_fd(ACTIVATION_FIRST_FD)
                  : nbd_tool_address(o);

    return nbd_server_listen(block_nbd_server(), address, error);
}

/* -c: the kernel becomes a client of ours through a socket pair. */
static bool start_kernel_client(const NbdToolOptions *o, GError **error)
{
    const NbdToolExport *e = o->exports->pdata[0];
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        block_error_set_errno(error, errno, "socketpair");
        return false;
    }
    nbd_server_add_client(block_nbd_server(), pair[0]);
    return nbd_kernel_connect(o->connect_device, e->name, pair[1], error);
}

static bool write_pid_file(const char *path, GError **error)
{
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());

    return g_file_set_contents(path, text, -1, error);
}

static bool start(const NbdToolOptions *o, NbdTlsCreds *tls,
                  unsigned activated, GError **error)
{
    NbdServerParams params = {
        .tls = tls,
        .max_connections = o->shared,
        .handshake_seconds = o->handshake_seconds,
        .tune = o->tune,
        .connections_changed = connections_changed,
        .complain = complain,
        .opaque = (void *)o,
    };

    if (!block_nbd_server_start(NULL, &params, o->tls_authz, error)) {
        return false;
    }
    for (guint i = 0; i < o->exports->len; i++) {
        if (!add_export(o, o->exports->pdata[i], i, error)) {
            return false;
        }
    }
    /* Nobody can connect before everything they might ask for is there. */
    if (o->connect_device ? !start_kernel_client(o, error)
                          : !start_listening(o, activated, error)) {
        return false;
    }
    return !o->pid_file || write_pid_file(o->pid_file, error);
}

static void wait_for_end(int signal_fd)
{
    struct pollfd p[2] = {
        { .fd = signal_fd, .events = POLLIN },
        { .fd = idle_fd, .events = POLLIN },
    };

    while (poll(p, 2, -1) < 0 && errno == EINTR) {
    }
}

/* Signals are blocked before any thread exists, so that all inherit that. */
static int block_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/*
 * The end may have to wait for a disk, perhaps one behind a server that does
 * not answer: a second signal means it.
 */
static void allow_signals(void)
{
    sigset_t set;

    sigpending(&set);
    while (sigismember(&set, SIGTERM) || sigismember(&set, SIGINT) ||
           sigismember(&set, SIGHUP)) {
        int number;
        sigwait(&set, &number);
        sigpending(&set);
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/*
 * --fork: the parent stays until the child says it is ready, or is gone.
 * Returns in the child: the descriptor to say so on, -1 without --fork.
 */
static int fork_off(void)
{
    int ready[2];
    char byte;
    ssize_t n;
    pid_t pid;

    if (pipe2(ready, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        nbd_tool_error("Failed to fork: %s", g_strerror(errno));
        exit(1);
    }
    if (pid == 0) {
        close(ready[0]);
        setsid();
        return ready[1];
    }
    close(ready[1]);
    do {
        n = read(ready[0], &byte, 1);
    } while (n < 0 && errno == EINTR);
    _exit(n == 1 ? 0 : 1);
}

/* Lets go of the caller's terminal and of pipes it waits on. */
static void detach(int ready_fd, bool verbose)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    ssize_t n;

    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        if (!verbose) {
            dup2(null, STDERR_FILENO);
        }
        close(null);
    }
    n = write(ready_fd, "R", 1);
    (void)n;
    close(ready_fd);
}

/* A connection is a descriptor, or three: as many as we may have. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int nbd_tool_serve(const NbdToolOptions *o, NbdTlsCreds *tls)
{
    unsigned activated = nbd_tool_activation_fds();
    int ready_fd = o->fork ? fork_off() : -1;
    int signal_fd = block_signals();
    g_autoptr(GError) error = NULL;
    bool ok;

    raise_limit();
    idle_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ok = start(o, tls, activated, &error);
    if (ok) {
        if (chdir("/") < 0) {
            nbd_tool_error("Could not chdir to root directory: %s",
                           g_strerror(errno));
        }
        if (ready_fd >= 0) {
            detach(ready_fd, o->verbose);
        }
        wait_for_end(signal_fd);
        allow_signals();
    } else {
        nbd_tool_error("%s", error->message);
    }
    block_wind_up_begin();
    block_nbd_server_stop(NULL);
    block_close_all();
    if (ok && o->pid_file) {
        unlink(o->pid_file);
    }
    close(idle_fd);
    close(signal_fd);
    return ok ? 0 : 1;
}
