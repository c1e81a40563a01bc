/*
 * Fuzzes the NBD server with everything a client can send.
 *
 * The first byte of the input picks how far an honest handshake goes before
 * the rest of the input is sent as it is:
 *   0 nothing, 1 greeting, 2 simple replies, 3 structured with a context,
 *   4 extended with a context.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nbd/protocol.h"
#include "nbd/server.h"
#include "util/bytes.h"

#define SIZE (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t memory[SIZE];

static int memory_pread(void *opaque, uint64_t offset, uint32_t bytes,
                        void *buf)
{
    g_assert(offset <= SIZE && bytes <= SIZE - offset);
    memcpy(buf, memory + offset, bytes);
    return 0;
}

static int memory_pwrite(void *opaque, uint64_t offset, uint32_t bytes,
                         const void *buf, unsigned flags)
{
    g_assert(offset <= SIZE && bytes <= SIZE - offset);
    memcpy(memory + offset, buf, bytes);
    return 0;
}

static int check_range(void *opaque, uint64_t offset, uint64_t bytes)
{
    g_assert(offset <= SIZE && bytes <= SIZE - offset);
    return 0;
}

/* Alternating kilobytes of data and hole. */
static int striped_status(void *opaque, unsigned context, uint64_t offset,
                          uint64_t bytes, NbdExtents *extents)
{
    bool more = true;

    g_assert(context < 2 && bytes > 0);
    check_range(opaque, offset, bytes);
    while (more && bytes > 0) {
        uint64_t n = MIN(1024 - offset % 1024, bytes);
        more = nbd_extents_add(extents, n, offset / 1024 % 2 ? 3 : 0);
        offset += n;
        bytes -= n;
    }
    return 0;
}

static void memory_batch(void *opaque, NbdIo *io, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        io[i].ret = io[i].write ? memory_pwrite(opaque, io[i].offset,
                                                io[i].bytes, io[i].buf, 0)
                                : memory_pread(opaque, io[i].offset,
                                               io[i].bytes, io[i].buf);
    }
}

/* Now and then, so that both ways are taken. */
static bool sometimes(void *opaque, bool write)
{
    static gint count;

    return g_atomic_int_add(&count, 1) % 3;
}

static const NbdExportOps ops = {
    .pread = memory_pread,
    .pwrite = memory_pwrite,
    .trim = check_range,
    .cache = check_range,
    .status = striped_status,
    .batch = memory_batch,
    .batches = sometimes,
};

static NbdServer *server;

/* Threads of the server hold buffers: what is left after them is a leak. */
static void stop(void)
{
    nbd_server_free(server);
}

static NbdServer *start(void)
{
    static const char *const contexts[] = { "base:allocation",
                                            "qemu:dirty-bitmap:b", NULL };
    NbdServerParams params = { 0 };
    NbdServer *fresh = nbd_server_new(&params);
    NbdExportParams export = {
        .name = "x", .description = "d", .size = SIZE, .writable = true,
        .sparse = true, .contexts = contexts, .ops = &ops,
    };

    if (!nbd_export_new(fresh, &export, NULL)) {
        abort();
    }
    atexit(stop);
    return fresh;
}

static size_t put_option(uint8_t *p, uint32_t option, const void *data,
                         uint32_t length)
{
    stq_be_p(p, NBD_OPTION_MAGIC);
    stl_be_p(p + 8, option);
    stl_be_p(p + 12, length);
    memcpy(p + 16, data, length);
    return 16 + length;
}

static size_t honest_prefix(uint8_t *p, unsigned phase)
{
    static const uint8_t query[] = "\0\0\0\1x\0\0\0\1\0\0\0\17"
                                   "base:allocation";
    size_t n = 0;

    if (phase == 0) {
        return 0;
    }
    stl_be_p(p, 3);
    n = 4;
    if (phase >= 3) {
        n += put_option(p + n, phase == 4 ? NBD_OPT_EXTENDED_HEADERS
                                          : NBD_OPT_STRUCTURED_REPLY, "", 0);
        n += put_option(p + n, NBD_OPT_SET_META_CONTEXT, query,
                        sizeof(query) - 1);
    }
    if (phase >= 2) {
        n += put_option(p + n, NBD_OPT_GO, "\0\0\0\1x\0\0", 7);
    }
    return n;
}

/* Reads all that comes, so that the server never waits for us. */
static gpointer drain(gpointer opaque)
{
    char waste[65536];

    while (read(GPOINTER_TO_INT(opaque), waste, sizeof(waste)) > 0) {
    }
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t prefix[256];
    GThread *reader;
    size_t n;
    int pair[2];

    if (!server) {
        server = start();
    }
    if (size == 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
        return 0;
    }
    n = honest_prefix(prefix, data[0] % 5);
    nbd_server_add_client(server, pair[0]);
    reader = g_thread_new("drain", drain, GINT_TO_POINTER(pair[1]));
    if (send(pair[1], prefix, n, MSG_NOSIGNAL) == (ssize_t)n) {
        size_t sent = 1;
        while (sent < size) {
            ssize_t k = send(pair[1], data + sent, size - sent, MSG_NOSIGNAL);
            if (k <= 0) {
                break;
            }
            sent += k;
        }
    }
    shutdown(pair[1], SHUT_WR);
    g_thread_join(reader);
    close(pair[1]);
    return 0;
}
