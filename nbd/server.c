/*
 * Servers, exports, and the life of connections.
 *
 * The acceptor thread waits on the listening sockets and on an eventfd; it
 * stops looking at the former while the connection limit is reached, and
 * cuts connections that take too long to negotiate.  Every connection has a
 * thread of its own from accept to close.
 *
 * An export lives as long as somebody refers to it: the server's list until
 * it is deleted, each connection that uses it, each selection of contexts.
 */
#include "nbd/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nbd/server-int.h"
#include "util/log.h"

#define THREAD_STACK (1u << 20)
#define UNIX_SNDBUF  (512 << 10)
#define LEAVING_WAIT_US 1000000 /* for a client that has hung up to be gone */
#define POLITE_US    2000000 /* how long a stopping server waits for peers */

/* ---- Exports ------------------------------------------------------------- */

NbdExport *nbd_export_ref(NbdExport *export)
{
    g_atomic_int_inc(&export->refs);
    return export;
}

void nbd_export_unref(NbdExport *export)
{
    if (!g_atomic_int_dec_and_test(&export->refs)) {
        return;
    }
    if (export->ops->deleted) {
        export->ops->deleted(export->opaque);
    }
    g_strfreev(export->contexts);
    g_free(export->name);
    g_free(export->description);
    g_free(export);
}

const char *nbd_export_name(const NbdExport *export)
{
    return export->name;
}

/* server->lock held: of these connections, how many clients have hung up? */
static unsigned count_leaving(const NbdExport *export)
{
    unsigned n = 0;

    for (GList *l = export->server->connections.head; l; l = l->next) {
        NbdConnection *conn = l->data;
        struct pollfd p = { .fd = conn->stream.fd, .events = POLLRDHUP };

        n += conn->export == export && poll(&p, 1, 0) > 0;
    }
    return n;
}

unsigned nbd_export_connections(const NbdExport *export)
{
    NbdServer *server = export->server;
    gint64 until = g_get_monotonic_time() + LEAVING_WAIT_US;
    unsigned n;

    g_mutex_lock(&server->lock);
    while (export->connections && count_leaving(export) &&
           g_cond_wait_until(&server->gone, &server->lock, until)) {
    }
    n = export->connections;
    g_mutex_unlock(&server->lock);
    return n;
}

/* server->lock held. */
static NbdExport *find_locked(NbdServer *server, const char *name,
                              size_t length)
{
    for (guint i = 0; i < server->exports->len; i++) {
        NbdExport *e = server->exports->pdata[i];
        if (strlen(e->name) == length && !memcmp(e->name, name, length)) {
            return e;
        }
    }
    return NULL;
}

NbdExport *nbd_server_lookup(NbdServer *server, const char *name,
                             size_t length)
{
    NbdExport *e;

    g_mutex_lock(&server->lock);
    e = find_locked(server, name, length);
    if (e) {
        nbd_export_ref(e);
    }
    g_mutex_unlock(&server->lock);
    return e;
}

NbdExport *nbd_export_find(NbdServer *server, const char *name)
{
    NbdExport *e;

    g_mutex_lock(&server->lock);
    e = find_locked(server, name, strlen(name));
    g_mutex_unlock(&server->lock);
    return e;
}

GPtrArray *nbd_server_exports(NbdServer *server)
{
    GPtrArray *all =
        g_ptr_array_new_with_free_func((GDestroyNotify)nbd_export_unref);

    g_mutex_lock(&server->lock);
    for (guint i = 0; i < server->exports->len; i++) {
        g_ptr_array_add(all, nbd_export_ref(server->exports->pdata[i]));
    }
    g_mutex_unlock(&server->lock);
    return all;
}

static bool params_ok(const NbdExportParams *p, GError **error)
{
    if (!nbd_string_ok(p->name, strlen(p->name))) {
        g_set_error(error, NBD_ERROR, EINVAL, "export name '%.80s' too long",
                    p->name);
        return false;
    }
    if (p->description &&
        !nbd_string_ok(p->description, strlen(p->description))) {
        g_set_error(error, NBD_ERROR, EINVAL, "description '%.80s' too long",
                    p->description);
        return false;
    }
    for (size_t i = 0; p->contexts[i]; i++) {
        if (!nbd_string_ok(p->contexts[i], strlen(p->contexts[i])) ||
            i >= NBD_MAX_CONTEXTS) {
            g_set_error(error, NBD_ERROR, EINVAL,
                        "context name '%.80s' too long", p->contexts[i]);
            return false;
        }
    }
    return true;
}

NbdExport *nbd_export_new(NbdServer *server, const NbdExportParams *p,
                          GError **error)
{
    NbdExport *e;

    if (!params_ok(p, error)) {
        return NULL;
    }
    e = g_new0(NbdExport, 1);
    e->server = server;
    e->refs = 1;
    e->name = g_strdup(p->name);
    e->description = g_strdup(p->description);
    e->size = p->size;
    e->min_block = p->min_block ? p->min_block : 1;
    e->pref_block = p->pref_block ? p->pref_block : MAX(4096, e->min_block);
    e->max_block = p->max_block ? MIN(p->max_block, NBD_MAX_PAYLOAD)
                                : NBD_MAX_PAYLOAD;
    e->writable = p->writable && p->ops->pwrite;
    e->multi_conn = p->multi_conn;
    e->sparse = p->sparse && p->ops->status;
    e->contexts = g_strdupv((char **)p->contexts);
    e->ncontexts = g_strv_length(e->contexts);
    e->ops = p->ops;
    e->opaque = p->opaque;

    g_mutex_lock(&server->lock);
    if (find_locked(server, p->name, strlen(p->name)) || server->stopping) {
        g_mutex_unlock(&server->lock);
        g_set_error(error, NBD_ERROR, EEXIST,
                    server->stopping
                        ? "NBD server is stopping: no export '%s'"
                        : "NBD server already has export named '%s'",
                    p->name);
        g_strfreev(e->contexts);
        g_free(e->name);
        g_free(e->description);
        g_free(e);
        return NULL;
    }
    g_ptr_array_add(server->exports, e);
    g_mutex_unlock(&server->lock);
    return e;
}

/* server->lock held: let the connection finish what it has and close. */
static void kick(NbdConnection *conn)
{
    g_atomic_int_set(&conn->closing, 1);
    shutdown(conn->stream.fd, SHUT_RD);
}

void nbd_export_delete(NbdExport *export)
{
    NbdServer *server = export->server;
    bool mine;

    g_mutex_lock(&server->lock);
    mine = !export->deleted;
    if (mine) {
        export->deleted = true;
        g_ptr_array_remove(server->exports, export);
        for (GList *l = server->connections.head; l; l = l->next) {
            NbdConnection *conn = l->data;
            if (conn->export == export) {
                kick(conn);
            }
        }
    }
    g_mutex_unlock(&server->lock);
    if (mine) {
        nbd_export_unref(export);
    }
}

/* ---- Connections ---------------------------------------------------------- */

void nbd_connection_complain(NbdConnection *conn, const char *format, ...)
{
    const NbdServerParams *params = &conn->server->params;
    g_autofree char *message = NULL;
    va_list ap;

    va_start(ap, format);
    message = g_strdup_vprintf(format, ap);
    va_end(ap);
    log_printf(LOG_NBD, "nbd: %s\n", message);
    if (params->complain && !g_atomic_int_get(&conn->closing)) {
        params->complain(params->opaque, message);
    }
}

static void changed(NbdServer *server, NbdExport *export, unsigned on_export,
                    unsigned on_server)
{
    if (export->ops->connected) {
        export->ops->connected(export->opaque, on_export);
    }
    if (server->params.connections_changed) {
        server->params.connections_changed(server->params.opaque, on_server);
    }
}

bool nbd_connection_bind(NbdConnection *conn, NbdExport *export)
{
    NbdServer *server = conn->server;
    unsigned on_export = 0;
    unsigned on_server = 0;
    bool ok;

    g_mutex_lock(&server->lock);
    ok = !export->deleted && !server->stopping;
    if (ok) {
        conn->export = export;
        conn->deadline_us = 0;
        on_export = ++export->connections;
        on_server = ++server->negotiated;
    }
    g_mutex_unlock(&server->lock);
    if (ok) {
        changed(server, export, on_export, on_server);
    }
    return ok;
}

static void wake_acceptor(NbdServer *server)
{
    uint64_t one = 1;
    ssize_t n = write(server->wake_fd, &one, sizeof(one));

    (void)n; /* a full counter wakes as well */
}

static void connection_free(NbdConnection *conn)
{
    NbdServer *server = conn->server;
    NbdExport *export = conn->export;
    unsigned on_export = 0;
    unsigned on_server = 0;

    nbd_context_set_clear(&conn->contexts);
    g_mutex_lock(&server->lock);
    if (export) {
        on_export = --export->connections;
        on_server = --server->negotiated;
    }
    conn->export = NULL;
    g_cond_broadcast(&server->gone);
    g_mutex_unlock(&server->lock);
    if (export) {
        changed(server, export, on_export, on_server);
        nbd_export_unref(export);
    }
    nbd_batch_free(conn->batch);
    if (conn->pipe[0] >= 0) {
        close(conn->pipe[0]);
        close(conn->pipe[1]);
    }
    munmap(conn->in, NBD_IN_SIZE);

    g_mutex_lock(&server->lock);
    g_queue_unlink(&server->connections, &conn->link);
    nbd_stream_close(&conn->stream);
    g_cond_broadcast(&server->gone);
    wake_acceptor(server);
    g_mutex_unlock(&server->lock);
    g_mutex_clear(&conn->lock);
    g_mutex_clear(&conn->send_lock);
    g_cond_clear(&conn->progress);
    g_free(conn);
}

static void *connection_thread(void *opaque)
{
    NbdConnection *conn = opaque;

    if (nbd_server_handshake(conn)) {
        nbd_server_serve(conn);
    }
    connection_free(conn);
    return NULL;
}

static bool start_thread(NbdConnection *conn)
{
    pthread_attr_t attr;
    pthread_t thread;
    int ret;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    ret = pthread_create(&thread, &attr, connection_thread, conn);
    pthread_attr_destroy(&attr);
    return ret == 0;
}

/*
 * Zero-copy hands the page cache's pages to whoever reads the socket.  On
 * this machine that makes the client copy cold pages one by one, at twice its
 * cost; a network card does not mind.
 */
static bool is_local(int fd)
{
    struct sockaddr_storage peer = { 0 };
    const struct sockaddr_in *in = (const void *)&peer;
    const struct sockaddr_in6 *in6 = (const void *)&peer;
    socklen_t length = sizeof(peer);

    if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0) {
        return true;
    }
    switch (peer.ss_family) {
    case AF_INET:
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    default:
        return true;
    }
}

static NbdConnection *connection_new(NbdServer *server, int fd)
{
    NbdConnection *conn = g_new0(NbdConnection, 1);

    /* Pages of the buffer cost nothing until they are used. */
    conn->in = mmap(NULL, NBD_IN_SIZE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (conn->in == MAP_FAILED) {
        g_free(conn);
        return NULL;
    }
    conn->server = server;
    conn->pipe[0] = conn->pipe[1] = -1;
    conn->pipe_useless = is_local(fd) &&
                         !(server->params.tune & NBD_TUNE_LOCAL_PIPE);
    conn->link.data = conn;
    nbd_stream_init(&conn->stream, fd);
    g_mutex_init(&conn->lock);
    g_mutex_init(&conn->send_lock);
    g_cond_init(&conn->progress);
    if (server->params.handshake_seconds) {
        conn->deadline_us = g_get_monotonic_time() +
                            server->params.handshake_seconds *
                                G_TIME_SPAN_SECOND;
    }
    return conn;
}

static void tune_socket(int fd)
{
    int one = 1;
    int size = UNIX_SNDBUF;
    int domain = 0;
    socklen_t length = sizeof(domain);

    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
    if (domain == AF_UNIX) {
        /* TCP finds the right size itself; unix sockets do not. */
        if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size,
                       sizeof(size)) < 0) {
            setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        }
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

void nbd_server_add_client(NbdServer *server, int fd)
{
    NbdConnection *conn = connection_new(server, fd);
    bool stopping;

    if (!conn) {
        close(fd);
        return;
    }
    tune_socket(fd);
    g_mutex_lock(&server->lock);
    stopping = server->stopping;
    g_queue_push_tail_link(&server->connections, &conn->link);
    g_mutex_unlock(&server->lock);
    if (stopping || !start_thread(conn)) {
        connection_free(conn);
    }
}

/* ---- Accepting ------------------------------------------------------------ */

/* server->lock held: cuts late handshakes; how long to sleep, -1 for ever. */
static int check_deadlines(NbdServer *server)
{
    gint64 now = g_get_monotonic_time();
    gint64 next = INT64_MAX;

    for (GList *l = server->connections.head; l; l = l->next) {
        NbdConnection *conn = l->data;
        if (conn->deadline_us && conn->deadline_us <= now) {
            conn->deadline_us = 0;
            nbd_stream_shutdown(&conn->stream);
        } else if (conn->deadline_us) {
            next = MIN(next, conn->deadline_us);
        }
    }
    return next == INT64_MAX ? -1 : (int)((next - now) / 1000) + 1;
}

static GArray *poll_set(NbdServer *server, int *timeout_ms)
{
    GArray *set = g_array_new(FALSE, FALSE, sizeof(struct pollfd));
    struct pollfd p = { .fd = server->wake_fd, .events = POLLIN };
    unsigned limit = server->params.max_connections;

    g_array_append_val(set, p);
    g_mutex_lock(&server->lock);
    *timeout_ms = check_deadlines(server);
    if (!server->stopping && (!limit || server->connections.length < limit)) {
        for (guint i = 0; i < server->listeners->len; i++) {
            p.fd = g_array_index(server->listeners, int, i);
            g_array_append_val(set, p);
        }
    }
    g_mutex_unlock(&server->lock);
    return set;
}

static void accept_one(NbdServer *server, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0) {
        nbd_server_add_client(server, fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
               errno == ENOBUFS) {
        g_usleep(10000); /* others must close first; do not spin */
    }
}

static gpointer acceptor(gpointer opaque)
{
    NbdServer *server = opaque;
    bool stopping = false;

    while (!stopping) {
        int timeout_ms;
        g_autoptr(GArray) set = poll_set(server, &timeout_ms);
        struct pollfd *p = (struct pollfd *)set->data;

        if (poll(p, set->len, timeout_ms) < 0) {
            continue;
        }
        if (p[0].revents) {
            uint64_t count;
            ssize_t n = read(server->wake_fd, &count, sizeof(count));
            (void)n;
        }
        for (guint i = 1; i < set->len; i++) {
            if (p[i].revents) {
                accept_one(server, p[i].fd);
                break; /* the limit may be reached now */
            }
        }
        g_mutex_lock(&server->lock);
        stopping = server->stopping;
        g_mutex_unlock(&server->lock);
    }
    return NULL;
}

/* ---- Servers -------------------------------------------------------------- */

NbdServer *nbd_server_new(const NbdServerParams *params)
{
    NbdServer *server = g_new0(NbdServer, 1);

    server->params = *params;
    if (params->tls) {
        nbd_tls_creds_ref(params->tls);
    }
    g_mutex_init(&server->lock);
    g_cond_init(&server->gone);
    g_queue_init(&server->connections);
    server->exports = g_ptr_array_new();
    server->listeners = g_array_new(FALSE, FALSE, sizeof(int));
    server->paths = g_ptr_array_new_with_free_func(g_free);
    server->pool = nbd_pool_new();
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->acceptor = g_thread_new("nbd-accept", acceptor, server);
    return server;
}

bool nbd_server_listen(NbdServer *server, const NbdAddress *address,
                       GError **error)
{
    g_autoptr(GArray) fds = nbd_address_listen(address, error);

    if (!fds) {
        return false;
    }
    for (guint i = 0; i < fds->len; i++) {
        /* A client that goes away before accept() must not block it. */
        fcntl(g_array_index(fds, int, i), F_SETFL, O_NONBLOCK);
    }
    g_mutex_lock(&server->lock);
    g_array_append_vals(server->listeners, fds->data, fds->len);
    if (address->type == NBD_ADDRESS_UNIX && address->path[0] != '@') {
        g_ptr_array_add(server->paths, g_strdup(address->path));
    }
    g_mutex_unlock(&server->lock);
    wake_acceptor(server);
    return true;
}

unsigned nbd_server_port(NbdServer *server)
{
    unsigned port = 0;

    g_mutex_lock(&server->lock);
    for (guint i = 0; i < server->listeners->len && !port; i++) {
        port = nbd_address_local_port(
            g_array_index(server->listeners, int, i));
    }
    g_mutex_unlock(&server->lock);
    return port;
}

/* Removes the files of unix listeners and closes all. */
static void close_listeners(NbdServer *server)
{
    for (guint i = 0; i < server->listeners->len; i++) {
        close(g_array_index(server->listeners, int, i));
    }
    g_array_set_size(server->listeners, 0);
    for (guint i = 0; i < server->paths->len; i++) {
        unlink(server->paths->pdata[i]);
    }
    g_ptr_array_set_size(server->paths, 0);
}

/* Until all connections have ended; those that do not listen are cut. */
static void wait_connections(NbdServer *server)
{
    gint64 until = g_get_monotonic_time() + POLITE_US;

    g_mutex_lock(&server->lock);
    for (GList *l = server->connections.head; l; l = l->next) {
        kick(l->data);
    }
    while (server->connections.length &&
           g_cond_wait_until(&server->gone, &server->lock, until)) {
    }
    for (GList *l = server->connections.head; l; l = l->next) {
        nbd_stream_shutdown(&((NbdConnection *)l->data)->stream);
    }
    while (server->connections.length) {
        g_cond_wait(&server->gone, &server->lock);
    }
    g_mutex_unlock(&server->lock);
}

void nbd_server_free(NbdServer *server)
{
    if (!server) {
        return;
    }
    g_mutex_lock(&server->lock);
    server->stopping = true;
    wake_acceptor(server);
    g_mutex_unlock(&server->lock);
    g_thread_join(server->acceptor);
    close_listeners(server);

    for (;;) {
        NbdExport *e = NULL;
        g_mutex_lock(&server->lock);
        if (server->exports->len) {
            e = server->exports->pdata[0];
        }
        g_mutex_unlock(&server->lock);
        if (!e) {
            break;
        }
        nbd_export_delete(e);
    }
    wait_connections(server);
    nbd_pool_free(server->pool);
    nbd_tls_creds_unref(server->params.tls);
    g_ptr_array_unref(server->exports);
    g_array_unref(server->listeners);
    g_ptr_array_unref(server->paths);
    close(server->wake_fd);
    g_mutex_clear(&server->lock);
    g_cond_clear(&server->gone);
    g_free(server);
}
