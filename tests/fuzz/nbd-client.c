/*
 * Fuzzes the NBD client with everything a server can send.
 *
 * The first byte of the input picks the honest beginning of the server's
 * side: 0 nothing, 1 greeting, 2 up to GO with simple replies, 3 structured,
 * 4 extended.  The rest follows as it is; the client opens the disk, and if
 * it can, reads, writes and asks for status.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nbd/client.h"
#include "nbd/protocol.h"
#include "util/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t put_reply(uint8_t *p, uint32_t option, uint32_t type,
                        const void *data, uint32_t length)
{
    stq_be_p(p, NBD_OPTION_REPLY_MAGIC);
    stl_be_p(p + 8, option);
    stl_be_p(p + 12, type);
    stl_be_p(p + 16, length);
    memcpy(p + 20, data, length);
    return 20 + length;
}

static size_t honest_prefix(uint8_t *p, unsigned phase)
{
    static const uint8_t info[] = "\0\0\0\0\0\0\0\1\0\0\x0c\x6d";
    size_t n = 18;

    if (phase == 0) {
        return 0;
    }
    stq_be_p(p, NBD_MAGIC);
    stq_be_p(p + 8, NBD_OPTION_MAGIC);
    stw_be_p(p + 16, 3);
    if (phase == 1) {
        return n;
    }
    n += put_reply(p + n, NBD_OPT_EXTENDED_HEADERS,
                   phase == 4 ? NBD_REP_ACK : NBD_REP_ERR_UNSUP, "", 0);
    if (phase != 4) {
        n += put_reply(p + n, NBD_OPT_STRUCTURED_REPLY,
                       phase == 3 ? NBD_REP_ACK : NBD_REP_ERR_UNSUP, "", 0);
    }
    if (phase != 2) {
        n += put_reply(p + n, NBD_OPT_SET_META_CONTEXT, NBD_REP_META_CONTEXT,
                       "\0\0\0\1base:allocation", 19);
        n += put_reply(p + n, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, "", 0);
    }
    n += put_reply(p + n, NBD_OPT_GO, NBD_REP_INFO, info, 12);
    n += put_reply(p + n, NBD_OPT_GO, NBD_REP_ACK, "", 0);
    return n;
}

static void use(NbdClient *client)
{
    static uint8_t buf[4096];
    struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
    NbdClientExtent extent;

    nbd_client_pread(client, 0, sizeof(buf), buf);
    if (nbd_client_status(client, 0, 65536, &extent) == 0) {
        g_assert(extent.bytes >= 1 && extent.bytes <= 65536);
    }
    nbd_client_pwritev(client, 0, sizeof(buf), &iov, 1, 0);
    nbd_client_flush(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(NbdAddress) address = NULL;
    NbdClientParams params = { .export = "x" };
    NbdClient *client;
    uint8_t prefix[512];
    size_t n;
    int pair[2];

    /* What is sent must fit the socket's buffer: nobody reads meanwhile. */
    if (size == 0 || size > 65536 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
        return 0;
    }
    n = honest_prefix(prefix, data[0] % 5);
    if (send(pair[0], prefix, n, 0) < 0 ||
        send(pair[0], data + 1, size - 1, 0) < 0) {
        abort();
    }
    shutdown(pair[0], SHUT_WR);
    params.address = address = nbd_address_new_fd(pair[1]);
    client = nbd_client_open(&params, NULL);
    if (client) {
        use(client);
        nbd_client_close(client);
    }
    close(pair[0]);
    close(pair[1]);
    return 0;
}
