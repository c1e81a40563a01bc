/*
 * Sockets by address: connect, listen, and their texts.
 */
#include "nbd/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "nbd/lookup.h"
#include "nbd/protocol.h"
#include "nbd/tls.h"

G_DEFINE_QUARK(nbd-error-quark, nbd_error)

#define LISTEN_BACKLOG 4096 /* the kernel cuts it to its own limit */
#define GIVE_UP_LOOK_MS 100

NbdAddress *nbd_address_new_unix(const char *path)
{
    NbdAddress *a = g_new0(NbdAddress, 1);

    a->type = NBD_ADDRESS_UNIX;
    a->path = g_strdup(path);
    a->fd = -1;
    return a;
}

NbdAddress *nbd_address_new_inet(const char *host, const char *port)
{
    NbdAddress *a = g_new0(NbdAddress, 1);

    a->type = NBD_ADDRESS_INET;
    a->host = g_strdup(host);
    a->port = g_strdup(port);
    a->fd = -1;
    return a;
}

NbdAddress *nbd_address_new_vsock(const char *cid, const char *port)
{
    NbdAddress *a = nbd_address_new_inet(cid, port);

    a->type = NBD_ADDRESS_VSOCK;
    return a;
}

NbdAddress *nbd_address_new_fd(int fd)
{
    NbdAddress *a = g_new0(NbdAddress, 1);

    a->type = NBD_ADDRESS_FD;
    a->fd = fd;
    return a;
}

NbdAddress *nbd_address_copy(const NbdAddress *address)
{
    NbdAddress *a = g_new(NbdAddress, 1);

    *a = *address;
    a->path = g_strdup(address->path);
    a->host = g_strdup(address->host);
    a->port = g_strdup(address->port);
    return a;
}

void nbd_address_free(NbdAddress *address)
{
    if (address) {
        g_free(address->path);
        g_free(address->host);
        g_free(address->port);
        g_free(address);
    }
}

static const char *address_port(const NbdAddress *address)
{
    return address->port && *address->port
               ? address->port : G_STRINGIFY(NBD_DEFAULT_PORT);
}

char *nbd_address_text(const NbdAddress *address)
{
    switch (address->type) {
    case NBD_ADDRESS_UNIX:
        return g_strdup(address->path);
    case NBD_ADDRESS_FD:
        return g_strdup_printf("fd %d", address->fd);
    default:
        return g_strdup_printf(strchr(address->host, ':') ? "[%s]:%s"
                                                          : "%s:%s",
                               *address->host ? address->host : "0.0.0.0",
                               address_port(address));
    }
}

static void set_errno(GError **error, int err, const char *what,
                      const NbdAddress *address)
{
    g_autofree char *text = nbd_address_text(address);

    g_set_error(error, NBD_ERROR, err, "Failed to %s '%s': %s", what, text,
                g_strerror(err));
}

static bool unix_name(const NbdAddress *address, struct sockaddr_un *sun,
                      socklen_t *length, GError **error)
{
    size_t n = strlen(address->path);

    memset(sun, 0, sizeof(*sun));
    sun->sun_family = AF_UNIX;
    if (n == 0 || n >= sizeof(sun->sun_path)) {
        g_set_error(error, NBD_ERROR, EINVAL,
                    "UNIX socket path '%s' is %s", address->path,
                    n ? "too long" : "empty");
        return false;
    }
    memcpy(sun->sun_path, address->path, n);
    *length = offsetof(struct sockaddr_un, sun_path) + n + 1;
    if (address->path[0] == '@') {
        sun->sun_path[0] = 0;
        *length -= 1;
    }
    return true;
}

static bool vsock_name(const NbdAddress *address, struct sockaddr_vm *svm,
                       GError **error)
{
    guint64 cid = VMADDR_CID_ANY;
    guint64 port;

    memset(svm, 0, sizeof(*svm));
    if ((*address->host &&
         !g_ascii_string_to_unsigned(address->host, 10, 0, UINT32_MAX, &cid,
                                     error)) ||
        !g_ascii_string_to_unsigned(address_port(address), 10, 0, UINT32_MAX,
                                    &port, error)) {
        g_prefix_error(error, "Bad vsock address '%s:%s': ", address->host,
                       address_port(address));
        return false;
    }
    svm->svm_family = AF_VSOCK;
    svm->svm_cid = (unsigned)cid;
    svm->svm_port = (unsigned)port;
    return true;
}

static struct addrinfo *resolve(const NbdAddress *address, bool passive,
                                bool (*give_up)(void), GError **error)
{
    struct addrinfo hints = {
        .ai_family = address->ipv4_only   ? AF_INET
                     : address->ipv6_only ? AF_INET6 : AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = passive ? AI_PASSIVE : 0,
    };
    struct addrinfo *list = NULL;
    int ret = nbd_lookup(*address->host ? address->host : NULL,
                         address_port(address), &hints, give_up, &list);

    if (ret != 0) {
        g_set_error(error, NBD_ERROR, EINVAL,
                    "address resolution failed for %s:%s: %s", address->host,
                    address_port(address), gai_strerror(ret));
        return NULL;
    }
    return list;
}

static void tune_tcp(int fd)
{
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

/* The end of a connect() under way; 0 or an errno. */
static int await_connect(int fd, bool (*give_up)(void))
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    socklen_t size = sizeof(int);
    int err;

    while (poll(&p, 1, GIVE_UP_LOOK_MS) <= 0) {
        if (give_up && give_up()) {
            return ECANCELED;
        }
    }
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0 ? errno : err;
}

/* A unix socket connects at once, or waits for room in the backlog. */
static int connect_unix(int fd, const struct sockaddr *name, socklen_t length,
                        bool (*give_up)(void))
{
    struct timeval look = { .tv_usec = GIVE_UP_LOOK_MS * 1000 };
    struct timeval never = { 0 };
    int err;

    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &look, sizeof(look));
    do {
        err = connect(fd, name, length) < 0 ? errno : 0;
        if (err == EAGAIN && give_up && give_up()) {
            err = ECANCELED;
        }
    } while (err == EAGAIN || err == EINTR);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &never, sizeof(never));
    return err;
}

static int connect_fd(int fd, const struct sockaddr *name, socklen_t length,
                      bool (*give_up)(void))
{
    int flags = fcntl(fd, F_GETFL);
    int err = 0;

    if (name->sa_family == AF_UNIX) {
        return connect_unix(fd, name, length, give_up);
    }
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    if (connect(fd, name, length) < 0) {
        err = errno == EINPROGRESS || errno == EINTR
                  ? await_connect(fd, give_up) : errno;
    }
    fcntl(fd, F_SETFL, flags);
    return err;
}

static int connect_one(int family, const struct sockaddr *name,
                       socklen_t length, bool (*give_up)(void), int *err)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *err = fd < 0 ? errno : connect_fd(fd, name, length, give_up);
    if (fd >= 0 && *err) {
        close(fd);
        return -1;
    }
    return fd;
}

static int connect_inet(const NbdAddress *address, bool (*give_up)(void),
                        GError **error)
{
    struct addrinfo *list = resolve(address, false, give_up, error);
    int err = EINVAL;
    int fd = -1;

    if (!list) {
        return -1;
    }
    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
        fd = connect_one(ai->ai_family, ai->ai_addr, ai->ai_addrlen, give_up,
                         &err);
    }
    freeaddrinfo(list);
    if (fd < 0) {
        set_errno(error, err, "connect to", address);
        return -1;
    }
    tune_tcp(fd);
    return fd;
}

int nbd_address_connect(const NbdAddress *address, bool (*give_up)(void),
                        GError **error)
{
    struct sockaddr_un sun;
    struct sockaddr_vm svm;
    socklen_t length;
    int err = 0;
    int fd = -1;

    switch (address->type) {
    case NBD_ADDRESS_UNIX:
        if (!unix_name(address, &sun, &length, error)) {
            return -1;
        }
        fd = connect_one(AF_UNIX, (struct sockaddr *)&sun, length, give_up,
                         &err);
        break;
    case NBD_ADDRESS_VSOCK:
        if (!vsock_name(address, &svm, error)) {
            return -1;
        }
        fd = connect_one(AF_VSOCK, (struct sockaddr *)&svm, sizeof(svm),
                         give_up, &err);
        break;
    case NBD_ADDRESS_FD:
        fd = fcntl(address->fd, F_DUPFD_CLOEXEC, 3);
        err = errno;
        break;
    case NBD_ADDRESS_INET:
        return connect_inet(address, give_up, error);
    }
    if (fd < 0) {
        set_errno(error, err, "connect to", address);
    }
    return fd;
}

/* ---- Listening ----------------------------------------------------------- */

static int bind_listen(int family, const struct sockaddr *name,
                       socklen_t length, int *err)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd < 0) {
        *err = errno;
        return -1;
    }
    if (family == AF_INET || family == AF_INET6) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    }
    if (family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    }
    if (bind(fd, name, length) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        *err = errno;
        close(fd);
        return -1;
    }
    return fd;
}

/* True when nobody listens on a socket file any more: its owner is dead. */
static bool is_stale_socket(const char *path, const struct sockaddr_un *sun,
                            socklen_t length)
{
    struct stat st;
    int err;
    int fd;

    if (path[0] == '@' || lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    fd = connect_one(AF_UNIX, (const struct sockaddr *)sun, length, NULL,
                     &err);
    if (fd >= 0) {
        close(fd);
        return false;
    }
    return err == ECONNREFUSED;
}

/*
 * Binds under a temporary name and gives the socket its own when it listens:
 * whoever sees the file can connect.  -1 and *err 0: not possible here.
 */
static int listen_then_link(const char *path, int *err)
{
    g_autofree char *name = g_strdup_printf("%s.%d~", path, (int)getpid());
    g_autoptr(NbdAddress) address = nbd_address_new_unix(name);
    struct sockaddr_un sun;
    socklen_t length;
    int fd;

    *err = 0;
    if (path[0] == '@' || !unix_name(address, &sun, &length, NULL)) {
        return -1;
    }
    fd = bind_listen(AF_UNIX, (struct sockaddr *)&sun, length, err);
    if (fd < 0) {
        *err = 0;
        return -1;
    }
    if (link(name, path) < 0) {
        *err = errno == EEXIST ? EADDRINUSE : 0;
        close(fd);
        fd = -1;
    }
    unlink(name);
    return fd;
}

static int listen_path(const char *path, const struct sockaddr_un *sun,
                       socklen_t length, int *err)
{
    int fd = listen_then_link(path, err);

    return fd >= 0 || *err
               ? fd : bind_listen(AF_UNIX, (const struct sockaddr *)sun,
                                  length, err);
}

static int listen_unix(const NbdAddress *address, int *err, GError **error)
{
    struct sockaddr_un sun;
    socklen_t length;
    int fd;

    *err = 0;
    if (!unix_name(address, &sun, &length, error)) {
        return -1;
    }
    fd = listen_path(address->path, &sun, length, err);
    if (fd < 0 && *err == EADDRINUSE &&
        is_stale_socket(address->path, &sun, length)) {
        unlink(address->path);
        fd = listen_path(address->path, &sun, length, err);
    }
    return fd;
}

static int listen_inet(const NbdAddress *address, GArray *fds, int *err,
                       GError **error)
{
    struct addrinfo *list = resolve(address, true, NULL, error);

    *err = 0;
    if (!list) {
        return -1;
    }
    for (struct addrinfo *ai = list; ai; ai = ai->ai_next) {
        int fd = bind_listen(ai->ai_family, ai->ai_addr, ai->ai_addrlen, err);
        if (fd >= 0) {
            g_array_append_val(fds, fd);
        }
    }
    freeaddrinfo(list);
    return fds->len ? 0 : -1;
}

static bool is_listening(int fd)
{
    int yes = 0;
    socklen_t size = sizeof(yes);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 && yes;
}

GArray *nbd_address_listen(const NbdAddress *address, GError **error)
{
    g_autoptr(GArray) fds = g_array_new(FALSE, FALSE, sizeof(int));
    GError *local = NULL;
    struct sockaddr_vm svm;
    int err = 0;
    int fd = -1;

    switch (address->type) {
    case NBD_ADDRESS_UNIX:
        fd = listen_unix(address, &err, &local);
        break;
    case NBD_ADDRESS_VSOCK:
        if (vsock_name(address, &svm, &local)) {
            fd = bind_listen(AF_VSOCK, (struct sockaddr *)&svm, sizeof(svm),
                             &err);
        }
        break;
    case NBD_ADDRESS_FD:
        fd = address->fd;
        if (!is_listening(fd)) {
            g_set_error(&local, NBD_ERROR, EINVAL,
                        "File descriptor %d is not a listening socket", fd);
            fd = -1;
        }
        break;
    case NBD_ADDRESS_INET:
        listen_inet(address, fds, &err, &local);
        break;
    }
    if (fd >= 0) {
        g_array_append_val(fds, fd);
    }
    if (fds->len == 0) {
        if (local) {
            g_propagate_error(error, local);
        } else {
            set_errno(error, err, "bind socket to", address);
        }
        return NULL;
    }
    return g_steal_pointer(&fds);
}

/* ---- Texts of live sockets ----------------------------------------------- */

static char *name_text(const struct sockaddr_storage *name, socklen_t length)
{
    const struct sockaddr_un *sun = (const void *)name;
    const struct sockaddr_vm *svm = (const void *)name;
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];

    switch (name->ss_family) {
    case AF_UNIX:
        if (length <= offsetof(struct sockaddr_un, sun_path)) {
            return g_strdup("unix");
        }
        return g_strndup(sun->sun_path,
                         length - offsetof(struct sockaddr_un, sun_path));
    case AF_VSOCK:
        return g_strdup_printf("vsock:%u:%u", svm->svm_cid, svm->svm_port);
    default:
        if (getnameinfo((const struct sockaddr *)name, length, host,
                        sizeof(host), port, sizeof(port),
                        NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
            return g_strdup("unknown");
        }
        return g_strdup_printf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
                               port);
    }
}

char *nbd_address_local_text(int fd)
{
    struct sockaddr_storage name = { 0 };
    socklen_t length = sizeof(name);

    return getsockname(fd, (struct sockaddr *)&name, &length) < 0
               ? g_strdup("unknown") : name_text(&name, length);
}

char *nbd_address_peer_text(int fd)
{
    struct sockaddr_storage name = { 0 };
    socklen_t length = sizeof(name);

    return getpeername(fd, (struct sockaddr *)&name, &length) < 0
               ? g_strdup("unknown") : name_text(&name, length);
}

unsigned nbd_address_local_port(int fd)
{
    struct sockaddr_storage name = { 0 };
    socklen_t length = sizeof(name);

    if (getsockname(fd, (struct sockaddr *)&name, &length) < 0) {
        return 0;
    }
    switch (name.ss_family) {
    case AF_INET:
        return ntohs(((struct sockaddr_in *)&name)->sin_port);
    case AF_INET6:
        return ntohs(((struct sockaddr_in6 *)&name)->sin6_port);
    default:
        return 0;
    }
}
