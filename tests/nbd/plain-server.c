/*
 * A server of the nbd/ engine alone, without the block graph: a file, memory
 * or nothing behind a socket, for tests and measurements of the engine.
 *
 *   plain-server [--ro] [--tune N] [--handshake S] [--max N] [--delay US]
 *                SOCKET file PATH | memory SIZE | null SIZE
 *
 * It prints "ready" once it listens and serves until standard input ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nbd/server.h"

typedef struct Plain {
    int fd;
    uint8_t *memory;
    uint64_t size;
    unsigned delay_us;
} Plain;

static void delay(const Plain *p)
{
    if (p->delay_us) {
        g_usleep(p->delay_us);
    }
}

static int file_pread(void *opaque, uint64_t offset, uint32_t bytes, void *buf)
{
    Plain *p = opaque;
    ssize_t n = pread(p->fd, buf, bytes, offset);

    delay(p);
    return n < 0 ? -errno : n < bytes ? -EIO : 0;
}

static int file_pwrite(void *opaque, uint64_t offset, uint32_t bytes,
                       const void *buf, unsigned flags)
{
    Plain *p = opaque;
    ssize_t n = pwrite(p->fd, buf, bytes, offset);

    delay(p);
    if (n >= 0 && n < bytes) {
        return -ENOSPC;
    }
    return n < 0 || ((flags & NBD_IO_FUA) && fdatasync(p->fd) < 0) ? -errno
                                                                   : 0;
}

static int file_flush(void *opaque)
{
    return fdatasync(((Plain *)opaque)->fd) < 0 ? -errno : 0;
}

static ssize_t file_pread_pipe(void *opaque, uint64_t offset, uint32_t bytes,
                               int pipe_fd)
{
    Plain *p = opaque;
    off_t at = offset;
    ssize_t n = splice(p->fd, &at, pipe_fd, NULL, bytes, SPLICE_F_MOVE);

    return n < 0 ? -errno : n;
}

static int file_status(void *opaque, unsigned context, uint64_t offset,
                       uint64_t bytes, NbdExtents *extents)
{
    Plain *p = opaque;
    uint64_t end = offset + bytes;
    bool more = true;

    while (more && offset < end) {
        off_t data = lseek(p->fd, offset, SEEK_DATA);
        off_t hole;
        if (data < 0 || (uint64_t)data >= end) {
            nbd_extents_add(extents, end - offset, 3);
            return 0;
        }
        if ((uint64_t)data > offset) {
            more = nbd_extents_add(extents, data - offset, 3);
            offset = data;
            continue;
        }
        hole = lseek(p->fd, offset, SEEK_HOLE);
        if (hole < 0) {
            return -errno;
        }
        more = nbd_extents_add(extents, MIN((uint64_t)hole, end) - offset, 0);
        offset = MIN((uint64_t)hole, end);
    }
    return 0;
}

static int memory_pread(void *opaque, uint64_t offset, uint32_t bytes,
                        void *buf)
{
    Plain *p = opaque;

    delay(p);
    memcpy(buf, p->memory + offset, bytes);
    return 0;
}

static int memory_pwrite(void *opaque, uint64_t offset, uint32_t bytes,
                         const void *buf, unsigned flags)
{
    Plain *p = opaque;

    delay(p);
    memcpy(p->memory + offset, buf, bytes);
    return 0;
}

static int null_pread(void *opaque, uint64_t offset, uint32_t bytes, void *buf)
{
    return 0;
}

static int null_pwrite(void *opaque, uint64_t offset, uint32_t bytes,
                       const void *buf, unsigned flags)
{
    return 0;
}

static const NbdExportOps file_ops = {
    .pread = file_pread,
    .pwrite = file_pwrite,
    .flush = file_flush,
    .status = file_status,
    .pread_pipe = file_pread_pipe,
};

static const NbdExportOps memory_ops = {
    .pread = memory_pread,
    .pwrite = memory_pwrite,
};

static const NbdExportOps null_ops = {
    .pread = null_pread,
    .pwrite = null_pwrite,
};

static const NbdExportOps *open_backend(Plain *p, const char *kind,
                                        const char *what)
{
    struct stat st;

    if (!strcmp(kind, "file")) {
        p->fd = open(what, O_RDWR | O_CLOEXEC);
        if (p->fd < 0 || fstat(p->fd, &st) < 0) {
            return NULL;
        }
        p->size = st.st_size;
        return &file_ops;
    }
    p->size = strtoull(what, NULL, 0);
    if (!strcmp(kind, "memory")) {
        p->memory = g_try_malloc0(p->size);
        return p->memory ? &memory_ops : NULL;
    }
    return !strcmp(kind, "null") ? &null_ops : NULL;
}

static gboolean read_only;
static gint tune;
static gint handshake;
static gint max_connections;
static gint delay_us;

static const GOptionEntry entries[] = {
    { "ro", 0, 0, G_OPTION_ARG_NONE, &read_only, "read-only", NULL },
    { "tune", 0, 0, G_OPTION_ARG_INT, &tune, "NBD_TUNE_*", "N" },
    { "handshake", 0, 0, G_OPTION_ARG_INT, &handshake, "limit", "S" },
    { "max", 0, 0, G_OPTION_ARG_INT, &max_connections, "connections", "N" },
    { "delay", 0, 0, G_OPTION_ARG_INT, &delay_us, "of the backend", "US" },
    { NULL },
};

int main(int argc, char **argv)
{
    static const char *const contexts[] = { "base:allocation", NULL };
    g_autoptr(GOptionContext) options = g_option_context_new("SOCKET ...");
    g_autoptr(NbdAddress) address = NULL;
    g_autoptr(GError) error = NULL;
    NbdServerParams server_params = { 0 };
    NbdExportParams params = { .name = "", .contexts = contexts,
                               .multi_conn = true, .sparse = true };
    NbdServer *server;
    Plain plain = { .fd = -1 };

    g_option_context_add_main_entries(options, entries, NULL);
    if (!g_option_context_parse(options, &argc, &argv, &error) || argc != 4) {
        fprintf(stderr, "%s\n", error ? error->message : "bad arguments");
        return 1;
    }
    plain.delay_us = delay_us;
    params.ops = open_backend(&plain, argv[2], argv[3]);
    if (!params.ops) {
        fprintf(stderr, "cannot open %s %s: %s\n", argv[2], argv[3],
                g_strerror(errno));
        return 1;
    }
    params.opaque = &plain;
    params.size = plain.size;
    params.writable = !read_only;
    server_params.tune = tune;
    server_params.handshake_seconds = handshake;
    server_params.max_connections = max_connections;
    server = nbd_server_new(&server_params);
    address = nbd_address_new_unix(argv[1]);
    if (!nbd_export_new(server, &params, &error) ||
        !nbd_server_listen(server, address, &error)) {
        fprintf(stderr, "%s\n", error->message);
        nbd_server_free(server);
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    nbd_server_free(server);
    g_free(plain.memory);
    return 0;
}
