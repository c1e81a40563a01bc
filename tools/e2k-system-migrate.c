/*
 * Migration by stop and copy, to and from a stream:
 *
 *   tcp:HOST:PORT  unix:PATH  fd:NUMBER  exec:COMMAND  file:PATH
 *
 * The sender stops, sends its state and stays stopped ("postmigrate"), so
 * that only one of the two machines writes to disks that both have open.
 * The receiver waits in "inmigrate" and runs when all has come, unless -S.
 *
 * Sending runs in a thread of its own; query-migrate tells how it goes.
 */
#include "tools/e2k-system.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/monitor.h"
#include "system/snapshot.h"

static struct {
    GMutex lock;
    GThread *thread;
    const char *status;  /* NULL: none yet */
    char *error;
    uint64_t bytes;
    int64_t began_us, took_us;
    int fd;
    GPid child;          /* of exec: */
    Machine *machine;
    bool was_running;
} migration = { .fd = -1 };

static bool fail_errno(GError **error, const char *what, const char *name)
{
    g_set_error(error, TOOL_ERROR, 0, "%s '%s': %s", what, name,
                g_strerror(errno));
    return false;
}

/* ---- Addresses ------------------------------------------------------------------ */

static int open_unix(const char *path, bool listening, GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (!*path || strlen(path) >= sizeof(address.sun_path)) {
        g_set_error(error, TOOL_ERROR, 0, "'%s' is %s", path,
                    *path ? "too long for a socket"
                          : "no path of a socket: say unix:PATH");
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, path);
    if (listening) {
        unlink(path);
    }
    if (fd < 0 || (listening
                       ? bind(fd, (struct sockaddr *)&address,
                              sizeof(address)) < 0 || listen(fd, 1) < 0
                       : connect(fd, (struct sockaddr *)&address,
                                 sizeof(address)) < 0)) {
        fail_errno(error, listening ? "cannot listen at" : "cannot connect to",
                   path);
        close(fd);
        return -1;
    }
    return fd;
}

static int try_address(const struct addrinfo *info, bool listening)
{
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0) {
        return -1;
    }
    if (listening) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (listening ? bind(fd, info->ai_addr, info->ai_addrlen) < 0 ||
                        listen(fd, 1) < 0
                  : connect(fd, info->ai_addr, info->ai_addrlen) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_tcp(const char *text, bool listening, GError **error)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = colon ? g_strndup(text, colon - text) : NULL;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                              .ai_flags = listening ? AI_PASSIVE : 0 };
    struct addrinfo *list = NULL;
    int fd = -1;

    if (!colon || getaddrinfo(*host ? host : NULL, colon + 1, &hints, &list)) {
        g_set_error(error, TOOL_ERROR, 0, "'%s' is not HOST:PORT", text);
        return -1;
    }
    for (struct addrinfo *info = list; info && fd < 0; info = info->ai_next) {
        fd = try_address(info, listening);
    }
    if (fd < 0) {
        fail_errno(error, listening ? "cannot listen at" : "cannot connect to",
                   text);
    }
    freeaddrinfo(list);
    return fd;
}

static int open_exec(const char *command, bool incoming, GPid *child,
                     GError **error)
{
    char *argv[] = { "/bin/sh", "-c", (char *)command, NULL };
    int fd = -1;

    return g_spawn_async_with_pipes(NULL, argv, NULL,
                                    G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                                    child, incoming ? NULL : &fd,
                                    incoming ? &fd : NULL, NULL, error)
               ? fd
               : -1;
}

static int open_fd(const char *text, GError **error)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(text, 10, 0, 65535, &number, NULL) ||
        fcntl(number, F_GETFD) < 0) {
        g_set_error(error, TOOL_ERROR, 0, "'%s' is not the number of an open "
                    "file", text);
        return -1;
    }
    return number;
}

/* Opens either end; *listening tells that a connection must be accepted. */
static int open_uri(const char *uri, bool incoming, bool *listening,
                    GPid *child, GError **error)
{
    const char *rest = strchr(uri, ':');

    *listening = false;
    rest = rest ? rest + 1 : uri;
    if (g_str_has_prefix(uri, "unix:") || g_str_has_prefix(uri, "tcp:")) {
        *listening = incoming;
        return uri[0] == 'u' ? open_unix(rest, incoming, error)
                             : open_tcp(rest, incoming, error);
    }
    if (g_str_has_prefix(uri, "fd:")) {
        return open_fd(rest, error);
    }
    if (g_str_has_prefix(uri, "exec:")) {
        return open_exec(rest, incoming, child, error);
    }
    if (g_str_has_prefix(uri, "file:")) {
        int fd = open(rest, incoming ? O_RDONLY | O_CLOEXEC
                                     : O_WRONLY | O_CREAT | O_TRUNC |
                                           O_CLOEXEC, 0600);

        if (fd < 0) {
            fail_errno(error, "cannot open", rest);
        }
        return fd;
    }
    g_set_error(error, TOOL_ERROR, 0, "unknown migration address '%s'; there "
                "are: tcp:HOST:PORT, unix:PATH, fd:NUMBER, exec:COMMAND, "
                "file:PATH", uri);
    return -1;
}

/* ---- Sending --------------------------------------------------------------------- */

static bool send_bytes(void *opaque, const void *bytes, size_t n,
                       GError **error)
{
    const uint8_t *at = bytes;

    while (n) {
        ssize_t done = write(migration.fd, at, n);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            g_set_error(error, TOOL_ERROR, 0, "cannot send the state: %s",
                        g_strerror(errno));
            return false;
        }
        at += done;
        n -= done;
        __atomic_add_fetch(&migration.bytes, done, __ATOMIC_RELAXED);
    }
    return true;
}

/* The receiver has not failed: an exec: command must end well. */
static bool end_sending(GError **error)
{
    int status;

    if (close(migration.fd) < 0) {
        g_set_error(error, TOOL_ERROR, 0, "cannot send the state: %s",
                    g_strerror(errno));
        return false;
    }
    if (migration.child) {
        while (waitpid(migration.child, &status, 0) < 0 && errno == EINTR) {
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status)) {
            g_set_error(error, TOOL_ERROR, 0, "the command that takes the "
                        "state failed");
            return false;
        }
    }
    return true;
}

static bool flush_disks(GError **error)
{
    bool ok = true;

    block_graph_lock();
    for (BlockBackend *b = block_backend_next(NULL); b && ok;
         b = block_backend_next(b)) {
        BlockNode *node = block_backend_node(b);

        if (node && !block_node_is_read_only(node)) {
            int ret = block_backend_flush(b);

            if (ret < 0) {
                g_set_error(error, TOOL_ERROR, 0, "cannot flush disk '%s': "
                            "%s", block_backend_name(b), g_strerror(-ret));
                ok = false;
            }
        }
    }
    block_graph_unlock();
    return ok;
}

static void set_status(const char *status, const GError *error)
{
    g_mutex_lock(&migration.lock);
    migration.status = status;
    migration.took_us = g_get_monotonic_time() - migration.began_us;
    g_free(migration.error);
    migration.error = error ? g_strdup(error->message) : NULL;
    g_mutex_unlock(&migration.lock);
    monitor_event("MIGRATION", json_pack("{s:s}", "status", status));
}

static void *send_thread(void *opaque)
{
    Machine *machine = migration.machine;
    g_autoptr(GError) error = NULL;

    machine_stop(machine);
    snapshot_quiesce(machine);
    BlockBitmapMigration *bitmaps =
        system_migrate_bitmaps()
            ? block_bitmap_migration_begin(system_migrate_mapping(), &error)
            : NULL;
    bool ok = !error && flush_disks(&error) &&
              snapshot_save(machine, send_bytes, NULL, &error) &&
              (!bitmaps || block_bitmap_migration_save(bitmaps, send_bytes,
                                                       NULL, &error));

    ok = end_sending(ok ? &error : NULL) && ok;
    if (bitmaps) {
        block_bitmap_migration_end(bitmaps, ok);
    }
    if (ok) {
        machine_set_stopped(machine, RUN_STATE_POSTMIGRATE);
        set_status("completed", NULL);
        return NULL;
    }
    snapshot_resume(machine);
    if (migration.was_running) {
        machine_cont(machine);
    }
    set_status("failed", error);
    return NULL;
}

bool system_migrate(Machine *machine, const char *uri, bool wait,
                    GError **error)
{
    bool listening;

    if (!g_strcmp0(migration.status, "active")) {
        g_set_error(error, TOOL_ERROR, 0, "a migration is under way");
        return false;
    }
    system_migrate_close();
    migration.child = 0;
    migration.fd = open_uri(uri, false, &listening, &migration.child, error);
    if (migration.fd < 0) {
        return false;
    }
    migration.machine = machine;
    migration.was_running = machine_is_running(machine);
    migration.bytes = 0;
    migration.began_us = g_get_monotonic_time();
    set_status("setup", NULL);
    set_status("active", NULL);
    migration.thread = g_thread_new("migration", send_thread, NULL);
    if (!wait) {
        return true;
    }
    system_migrate_close();
    if (migration.error) {
        g_set_error_literal(error, TOOL_ERROR, 0, migration.error);
    }
    return !migration.error;
}

void system_migrate_close(void)
{
    if (migration.thread) {
        g_thread_join(migration.thread);
        migration.thread = NULL;
    }
}

json_t *system_query_migrate(void)
{
    json_t *reply = json_object();

    g_mutex_lock(&migration.lock);
    if (migration.status) {
        json_object_set_new(reply, "status", json_string(migration.status));
        json_object_set_new(
            reply, "ram",
            json_pack("{s:I}", "transferred",
                      (json_int_t)__atomic_load_n(&migration.bytes,
                                                  __ATOMIC_RELAXED)));
        json_object_set_new(reply, "total-time",
                            json_integer(migration.took_us / 1000));
    }
    if (migration.error) {
        json_object_set_new(reply, "error-desc",
                            json_string(migration.error));
    }
    g_mutex_unlock(&migration.lock);
    return reply;
}

/* ---- Receiving --------------------------------------------------------------------- */

static bool receive_bytes(void *opaque, void *bytes, size_t n, GError **error)
{
    int fd = *(int *)opaque;
    uint8_t *at = bytes;

    while (n) {
        ssize_t done = read(fd, at, n);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            g_set_error(error, TOOL_ERROR, 0, "the state ended too early: %s",
                        done < 0 ? g_strerror(errno) : "end of stream");
            return false;
        }
        at += done;
        n -= done;
    }
    return true;
}

/* A descriptor whose first byte has been read. */
typedef struct FirstByte {
    int *fd;
    uint8_t byte;
    bool have;
} FirstByte;

static bool receive_after_first(void *opaque, void *bytes, size_t n,
                                GError **error)
{
    FirstByte *first = opaque;

    if (first->have && n) {
        *(uint8_t *)bytes = first->byte;
        first->have = false;
        bytes = (uint8_t *)bytes + 1;
        n--;
    }
    return receive_bytes(first->fd, bytes, n, error);
}

/* Dirty bitmaps, if the sender appended them. */
static bool receive_bitmaps(int *fd, GError **error)
{
    FirstByte first = { .fd = fd };
    ssize_t n;

    do {
        n = read(*fd, &first.byte, 1);
    } while (n < 0 && errno == EINTR);
    first.have = n == 1;
    return n == 0 || block_bitmap_migration_load(system_migrate_mapping(),
                                                 receive_after_first, &first,
                                                 error);
}

static struct {
    const char *uri;
    bool listening;
    GPid child;
    int fd;
} incoming;

bool system_incoming_open(const char *uri, GError **error)
{
    incoming.uri = uri;
    incoming.fd = open_uri(uri, true, &incoming.listening, &incoming.child,
                           error);
    return incoming.fd >= 0;
}

/* The one connection of a listening socket. */
static int accept_sender(void)
{
    int fd;

    do {
        fd = accept4(incoming.fd, NULL, NULL, SOCK_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    close(incoming.fd);
    if (g_str_has_prefix(incoming.uri, "unix:")) {
        unlink(incoming.uri + strlen("unix:"));
    }
    return fd;
}

bool system_incoming(Machine *machine, GError **error)
{
    int fd = incoming.listening ? accept_sender() : incoming.fd;
    bool ok = fd >= 0 &&
              snapshot_load(machine, receive_bytes, &fd, error) &&
              receive_bitmaps(&fd, error);

    if (fd < 0) {
        fail_errno(error, "no connection at", incoming.uri);
    }
    close(fd);
    if (incoming.child) {
        waitpid(incoming.child, NULL, 0);
    }
    return ok;
}
