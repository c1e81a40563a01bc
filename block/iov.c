/* Vectors of buffers; see iov.h. */
#include "block/iov.h"

#include <stdint.h>
#include <string.h>

#include <glib.h>

int block_iov_slice(const struct iovec *iov, int niov, size_t skip,
                    size_t len, struct iovec *out)
{
    int n = 0;

    for (int i = 0; i < niov && len; i++) {
        size_t have = iov[i].iov_len;

        if (skip >= have) {
            skip -= have;
            continue;
        }
        out[n].iov_base = (char *)iov[i].iov_base + skip;
        out[n].iov_len = MIN(have - skip, len);
        len -= out[n].iov_len;
        skip = 0;
        n++;
    }
    return n;
}

typedef enum { COPY_OUT, COPY_IN, FILL } IovAction;

static size_t walk(const struct iovec *iov, int niov, size_t skip, char *buf,
                   size_t len, IovAction action, int byte)
{
    size_t left = len;

    for (int i = 0; i < niov && left; i++) {
        char *base = iov[i].iov_base;
        size_t n = iov[i].iov_len;

        if (skip >= n) {
            skip -= n;
            continue;
        }
        base += skip;
        n = MIN(n - skip, left);
        skip = 0;
        switch (action) {
        case COPY_OUT:
            memcpy(buf, base, n);
            break;
        case COPY_IN:
            memcpy(base, buf, n);
            break;
        case FILL:
            memset(base, byte, n);
            break;
        }
        left -= n;
        buf = action == FILL ? NULL : buf + n;
    }
    return len - left;
}

size_t block_iov_to_buf(const struct iovec *iov, int niov, size_t skip,
                        void *buf, size_t len)
{
    return walk(iov, niov, skip, buf, len, COPY_OUT, 0);
}

size_t block_iov_from_buf(const struct iovec *iov, int niov, size_t skip,
                          const void *buf, size_t len)
{
    return walk(iov, niov, skip, (char *)buf, len, COPY_IN, 0);
}

void block_iov_memset(const struct iovec *iov, int niov, size_t skip,
                      int byte, size_t len)
{
    walk(iov, niov, skip, NULL, len, FILL, byte);
}

bool block_buffer_is_zero(const void *buf, size_t len)
{
    const unsigned char *p = buf;
    uint64_t word;

    /* The ends first: most buffers with data say so there. */
    if (len < 64) {
        for (size_t i = 0; i < len; i++) {
            if (p[i]) {
                return false;
            }
        }
        return true;
    }
    memcpy(&word, p, 8);
    if (word || p[len - 1] || p[len / 2]) {
        return false;
    }
    return memcmp(p, p + 8, len - 8) == 0;
}

bool block_iov_is_zero(const struct iovec *iov, int niov)
{
    for (int i = 0; i < niov; i++) {
        if (!block_buffer_is_zero(iov[i].iov_base, iov[i].iov_len)) {
            return false;
        }
    }
    return true;
}

bool block_iov_is_aligned(const struct iovec *iov, int niov, size_t align)
{
    for (int i = 0; i < niov; i++) {
        if (((uintptr_t)iov[i].iov_base | iov[i].iov_len) & (align - 1)) {
            return false;
        }
    }
    return true;
}

struct iovec *block_iov_room(BlockIovRoom *room, int n)
{
    room->iov = n <= BLOCK_IOV_INLINE ? room->few : g_new(struct iovec, n);
    return room->iov;
}

void block_iov_room_free(BlockIovRoom *room)
{
    if (room->iov != room->few) {
        g_free(room->iov);
    }
}
