/*
 * -qtest unix:PATH: the line protocol of test programs.
 *
 *     test program (listens) <--- lines ---> thread here
 *
 * Test suites connect it to every machine they start.  Nothing of the guest
 * runs under -accel qtest, so there is no clock to step and no memory to look
 * at: "clock_step" and "clock_set" are answered and do nothing, everything
 * else is refused by name.
 */
#include "tools/e2k-system.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void answer(int fd, const char *line)
{
    if (g_str_has_prefix(line, "clock_step") ||
        g_str_has_prefix(line, "clock_set")) {
        const char *space = strchr(line, ' ');

        dprintf(fd, "OK %s\n", space ? space + 1 : "0");
    } else {
        dprintf(fd, "FAIL Unknown command '%s'\n", line);
    }
}

static gpointer serve(gpointer opaque)
{
    FILE *stream = opaque;
    char *line = NULL;
    size_t size = 0;
    ssize_t length;

    while ((length = getline(&line, &size, stream)) > 0) {
        g_strchomp(line);
        answer(fileno(stream), line);
    }
    free(line);
    fclose(stream);
    return NULL;
}

bool qtest_open(const char *text, GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *path = text;
    FILE *stream;
    int fd;

    if (!g_str_has_prefix(path, "unix:")) {
        g_set_error(error, TOOL_ERROR, 0, "-qtest: '%s' is not unix:PATH",
                    text);
        return false;
    }
    path += strlen("unix:");
    path += g_str_has_prefix(path, "path=") ? strlen("path=") : 0;
    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >=
        sizeof(address.sun_path)) {
        g_set_error(error, TOOL_ERROR, 0, "-qtest: the path is too long");
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        g_set_error(error, TOOL_ERROR, 0, "-qtest: cannot connect to '%s': "
                    "%s", path, g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    stream = fdopen(fd, "r");
    g_thread_unref(g_thread_new("qtest", serve, stream));
    return true;
}
