/*
 * The stub's thread: listening, one debugger at a time, and the hand-over of
 * stops from the emulator.  Commands are in commands.c.
 */
#include "gdbstub/gdbstub.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gdbstub/stub-int.h"

static GQuark gdb_error_quark(void)
{
    return g_quark_from_static_string("gdb-error");
}

/* ------------------------------------------------------------------ */
/* Listening */

static int listen_unix(const char *path, GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;

    if (!*path || strlen(path) >= sizeof(address.sun_path)) {
        g_set_error(error, gdb_error_quark(), 0,
                    "gdb socket path '%s' is %s", path,
                    *path ? "too long" : "empty: say unix:PATH");
        return -1;
    }
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, 1) < 0) {
        g_set_error(error, gdb_error_quark(), 0,
                    "cannot listen for gdb at '%s': %s", path,
                    g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static int listen_tcp(const char *host, const char *port, unsigned *port_out,
                      GError **error)
{
    struct addrinfo hints = { .ai_flags = AI_PASSIVE,
                              .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    struct sockaddr_storage bound;
    socklen_t length = sizeof(bound);
    int yes = 1;
    int fd = -1;
    int code = getaddrinfo(*host ? host : "localhost", port, &hints, &list);

    if (code) {
        g_set_error(error, gdb_error_quark(), 0,
                    "cannot resolve '%s:%s' for gdb: %s", host, port,
                    gai_strerror(code));
        return -1;
    }
    for (struct addrinfo *at = list; at && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, 1) < 0) {
            int saved = errno;

            close(fd);
            errno = saved;
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd < 0) {
        g_set_error(error, gdb_error_quark(), 0,
                    "cannot listen for gdb at port %s: %s", port,
                    g_strerror(errno));
        return -1;
    }
    if (port_out && getsockname(fd, (struct sockaddr *)&bound, &length) == 0) {
        *port_out = ntohs(bound.ss_family == AF_INET6
                              ? ((struct sockaddr_in6 *)&bound)->sin6_port
                              : ((struct sockaddr_in *)&bound)->sin_port);
    }
    return fd;
}

static bool is_port(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* Takes ",as=ARCHITECTURE" off the end. */
static bool take_stand_in(GdbStub *stub, char *text, GError **error)
{
    char *as = g_strrstr(text, ",as=");

    if (!as) {
        return true;
    }
    stub->stands_in = !strcmp(as, ",as=aarch64");
    if (!stub->stands_in) {
        g_set_error(error, gdb_error_quark(), 0,
                    "'%s': the stub can only stand in as=aarch64", as + 1);
        return false;
    }
    *as = '\0';
    return true;
}

static int open_listener(GdbStub *stub, const char *where, unsigned *port_out,
                         GError **error)
{
    g_autofree char *text = g_strdup(where);
    char *rest = text;
    char *colon;

    if (!take_stand_in(stub, text, error)) {
        return -1;
    }

    if (g_str_has_prefix(rest, "unix:")) {
        rest += strlen("unix:");
        rest[strcspn(rest, ",")] = '\0';
        stub->unix_path = g_strdup(rest);
        return listen_unix(rest, error);
    }
    if (g_str_has_prefix(rest, "tcp:")) {
        rest += strlen("tcp:");
        rest[strcspn(rest, ",")] = '\0';
    }
    if (is_port(rest)) {
        return listen_tcp("", rest, port_out, error);
    }
    colon = strrchr(rest, ':');
    if (colon && is_port(colon + 1)) {
        *colon = '\0';
        return listen_tcp(rest, colon + 1, port_out, error);
    }
    stub->unix_path = g_strdup(rest);
    return listen_unix(rest, error);
}

/* ------------------------------------------------------------------ */
/* Sending */

static bool send_all(GdbStub *stub, const uint8_t *bytes, size_t size)
{
    while (size) {
        ssize_t sent = send(stub->client, bytes, size, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            return false;
        }
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

void gdb_stub_send(GdbStub *stub, const void *body, size_t size)
{
    if (stub->last) {
        g_byte_array_unref(stub->last);
    }
    stub->last = gdb_packet_frame(body, size);
    send_all(stub, stub->last->data, stub->last->len);
}

void gdb_stub_send_text(GdbStub *stub, const char *text)
{
    gdb_stub_send(stub, text, strlen(text));
}

/* ------------------------------------------------------------------ */
/* The thread */

static void disconnect(GdbStub *stub)
{
    close(stub->client);
    stub->client = -1;
    g_mutex_lock(&stub->lock);
    stub->connected = false;
    g_mutex_unlock(&stub->lock);
}

/* Reports a stop and console text that are waiting.  */
static void pass_on(GdbStub *stub)
{
    g_autofree char *console = NULL;
    bool stop;

    g_mutex_lock(&stub->lock);
    stop = stub->stop_ready && stub->client >= 0;
    if (stop) {
        stub->stop_ready = false;
    }
    if (stub->console->len && stub->client >= 0) {
        console = g_strdup(stub->console->str);
        g_string_truncate(stub->console, 0);
    }
    g_mutex_unlock(&stub->lock);
    if (console) {
        g_autoptr(GString) packet = g_string_new("O");

        gdb_hex_append(packet, console, strlen(console));
        gdb_stub_send(stub, packet->str, packet->len);
    }
    if (stop) {
        gdb_stub_send_stop(stub);
    }
}

static void handle_bytes(GdbStub *stub, const uint8_t *bytes, ssize_t size)
{
    for (ssize_t i = 0; i < size && stub->client >= 0; i++) {
        if (stub->reader.state == GDB_IDLE && bytes[i] == '-' && stub->last) {
            send_all(stub, stub->last->data, stub->last->len);
            continue;
        }
        switch (gdb_reader_put(&stub->reader, bytes[i])) {
        case GDB_EVENT_PACKET:
            if (!stub->no_ack) {
                send_all(stub, (const uint8_t *)"+", 1);
            }
            gdb_stub_command(stub);
            break;
        case GDB_EVENT_BAD:
            if (!stub->no_ack) {
                send_all(stub, (const uint8_t *)"-", 1);
            }
            break;
        case GDB_EVENT_INTERRUPT:
            stub->target->interrupt(stub->opaque);
            break;
        case GDB_EVENT_NONE:
            break;
        }
    }
}

static void accept_client(GdbStub *stub)
{
    int yes = 1;
    int fd = accept4(stub->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) {
        return;
    }
    if (stub->client >= 0) {
        close(fd); /* one debugger at a time */
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    stub->client = fd;
    stub->no_ack = false;
    stub->multiprocess = false;
    stub->reg_thread = 0;
    stub->run_thread = 0;
    memset(&stub->reader, 0, offsetof(GdbReader, data));
    /* A debugger finds the target at rest. */
    g_mutex_lock(&stub->lock);
    if (stub->running) {
        g_mutex_unlock(&stub->lock);
        stub->target->interrupt(stub->opaque);
        g_mutex_lock(&stub->lock);
        while (stub->running && !stub->quit) {
            g_cond_wait(&stub->changed, &stub->lock);
        }
    }
    stub->stop_ready = false;
    stub->connected = true;
    g_cond_broadcast(&stub->changed);
    g_mutex_unlock(&stub->lock);
}

static gpointer stub_main(gpointer data)
{
    GdbStub *stub = data;

    for (;;) {
        struct pollfd fds[] = {
            { .fd = stub->wake[0], .events = POLLIN },
            { .fd = stub->listener, .events = POLLIN },
            { .fd = stub->client, .events = POLLIN },
        };
        uint8_t bytes[4096];
        bool quit;

        poll(fds, stub->client >= 0 ? 3 : 2, -1);
        if (fds[0].revents && read(stub->wake[0], bytes, sizeof(bytes)) < 0) {
            break;
        }
        g_mutex_lock(&stub->lock);
        quit = stub->quit;
        g_mutex_unlock(&stub->lock);
        if (quit) {
            pass_on(stub); /* the last stop: exited or killed */
            break;
        }
        if (fds[1].revents) {
            accept_client(stub);
            continue;
        }
        pass_on(stub);
        if (stub->client >= 0 && fds[2].revents) {
            ssize_t got = recv(stub->client, bytes, sizeof(bytes), 0);

            if (got > 0) {
                handle_bytes(stub, bytes, got);
            } else if (got == 0 || errno != EINTR) {
                disconnect(stub);
                stub->target->detach(stub->opaque);
            }
        }
    }
    if (stub->client >= 0) {
        close(stub->client);
    }
    return NULL;
}

static void wake(GdbStub *stub)
{
    ssize_t sent = write(stub->wake[1], "", 1);

    (void)sent; /* a full pipe wakes just as well */
}

GdbStub *gdb_stub_new(const char *where, const GdbTarget *target, void *opaque,
                      unsigned *port_out, GError **error)
{
    GdbStub *stub = g_new0(GdbStub, 1);

    stub->target = target;
    stub->opaque = opaque;
    stub->client = -1;
    stub->console = g_string_new(NULL);
    stub->running = !target->starts_stopped;
    stub->reason = GDB_STOP_SIGNAL;
    stub->stop_thread = 1;
    stub->number = SIGTRAP;
    g_mutex_init(&stub->lock);
    g_cond_init(&stub->changed);
    stub->listener = open_listener(stub, where, port_out, error);
    if (stub->listener < 0 || pipe2(stub->wake, O_CLOEXEC | O_NONBLOCK) < 0) {
        g_string_free(stub->console, true);
        g_free(stub->unix_path);
        g_free(stub);
        return NULL;
    }
    stub->thread = g_thread_new("gdbstub", stub_main, stub);
    return stub;
}

void gdb_stub_free(GdbStub *stub)
{
    if (!stub) {
        return;
    }
    g_mutex_lock(&stub->lock);
    stub->quit = true;
    g_cond_broadcast(&stub->changed);
    g_mutex_unlock(&stub->lock);
    wake(stub);
    g_thread_join(stub->thread);
    close(stub->listener);
    close(stub->wake[0]);
    close(stub->wake[1]);
    if (stub->unix_path) {
        unlink(stub->unix_path);
    }
    if (stub->last) {
        g_byte_array_unref(stub->last);
    }
    g_string_free(stub->console, true);
    g_free(stub->unix_path);
    g_mutex_clear(&stub->lock);
    g_cond_clear(&stub->changed);
    g_free(stub);
}

void gdb_stub_forked(GdbStub *stub)
{
    close(stub->listener);
    close(stub->wake[0]);
    close(stub->wake[1]);
    if (stub->client >= 0) {
        close(stub->client);
    }
}

bool gdb_stub_connected(const GdbStub *stub)
{
    GdbStub *s = (GdbStub *)stub;
    bool connected;

    g_mutex_lock(&s->lock);
    connected = s->connected;
    g_mutex_unlock(&s->lock);
    return connected;
}

void gdb_stub_wait_connected(GdbStub *stub)
{
    g_mutex_lock(&stub->lock);
    while (!stub->connected && !stub->quit) {
        g_cond_wait(&stub->changed, &stub->lock);
    }
    g_mutex_unlock(&stub->lock);
}

void gdb_stub_stopped(GdbStub *stub, GdbStopReason reason, uint64_t thread,
                      int number, uint64_t address)
{
    g_mutex_lock(&stub->lock);
    if (!stub->running && reason != GDB_STOP_EXITED) {
        g_mutex_unlock(&stub->lock); /* told already */
        return;
    }
    stub->running = false;
    stub->stop_ready = true;
    stub->reason = reason;
    stub->stop_thread = thread;
    stub->number = number;
    stub->address = address;
    g_cond_broadcast(&stub->changed);
    g_mutex_unlock(&stub->lock);
    wake(stub);
}

void gdb_stub_console(GdbStub *stub, const char *text)
{
    enum { MOST = 1 << 20 };

    g_mutex_lock(&stub->lock);
    if (stub->connected && stub->console->len < MOST) {
        g_string_append(stub->console, text);
    }
    g_mutex_unlock(&stub->lock);
    wake(stub);
}
