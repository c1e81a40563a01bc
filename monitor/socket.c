/* Sockets of monitors: unix and TCP, listening or connecting. */
#include "monitor/monitor-int.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib/gstdio.h>

void monitor_address_clear(MonitorAddress *address)
{
    g_clear_pointer(&address->path, g_free);
    g_clear_pointer(&address->host, g_free);
    g_clear_pointer(&address->port, g_free);
}

static int fail(int fd, GError **error, const char *what, const char *name)
{
    int errnum = errno;

    if (fd >= 0) {
        close(fd);
    }
    g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_GENERIC, "%s '%s': %s",
                what, name, g_strerror(errnum));
    return -1;
}

static int open_unix(const MonitorAddress *address, GError **error)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    struct stat st;
    int fd;

    if (strlen(address->path) >= sizeof(sun.sun_path)) {
        g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_GENERIC,
                    "UNIX socket path '%s' is too long", address->path);
        return -1;
    }
    strcpy(sun.sun_path, address->path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fail(fd, error, "Failed to create socket for", address->path);
    }
    if (!address->server) {
        return connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0
                   ? fail(fd, error, "Failed to connect to", address->path)
                   : fd;
    }
    /* A socket that a dead process left behind is in the way; others not. */
    if (lstat(address->path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int ret = connect(probe, (struct sockaddr *)&sun, sizeof(sun));
        int errnum = errno;

        close(probe);
        if (ret < 0 && errnum == ECONNREFUSED) {
            g_unlink(address->path);
        }
    }
    if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
        listen(fd, 8) < 0) {
        return fail(fd, error, "Failed to bind socket to", address->path);
    }
    return fd;
}

static int open_tcp(const MonitorAddress *address, GError **error)
{
    struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM,
        .ai_flags = address->server ? AI_PASSIVE : 0,
    };
    g_autofree char *name = g_strdup_printf("%s:%s", address->host,
                                            address->port);
    struct addrinfo *list = NULL;
    int ret = getaddrinfo(*address->host ? address->host : NULL,
                          address->port, &hints, &list);
    int fd = -1;

    if (ret) {
        g_set_error(error, MONITOR_ERROR, MONITOR_ERROR_GENERIC,
                    "address resolution failed for %s: %s", name,
                    gai_strerror(ret));
        return -1;
    }
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        int one = 1;

        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC,
                    a->ai_protocol);
        if (fd < 0) {
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (address->server ? bind(fd, a->ai_addr, a->ai_addrlen) < 0 ||
                                  listen(fd, 8) < 0
                            : connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            int errnum = errno;

            close(fd);
            fd = -1;
            errno = errnum;
        }
    }
    freeaddrinfo(list);
    return fd < 0 ? fail(fd, error, address->server
                                        ? "Failed to find an available port "
                                          "for" : "Failed to connect to",
                         name)
                  : fd;
}

int monitor_socket_open(const MonitorAddress *address, GError **error)
{
    return address->path ? open_unix(address, error)
                         : open_tcp(address, error);
}
