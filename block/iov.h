/*
 * Vectors of buffers: slicing, copying, filling; for the devices too.
 */
#ifndef BLOCK_IOV_H
#define BLOCK_IOV_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* The vector of bytes [skip, skip + len) of iov; out has room for niov. */
int block_iov_slice(const struct iovec *iov, int niov, size_t skip,
                    size_t len, struct iovec *out);
/* Up to len bytes behind the first skip ones; how many there were. */
size_t block_iov_to_buf(const struct iovec *iov, int niov, size_t skip,
                        void *buf, size_t len);
size_t block_iov_from_buf(const struct iovec *iov, int niov, size_t skip,
                          const void *buf, size_t len);
void block_iov_memset(const struct iovec *iov, int niov, size_t skip,
                      int byte, size_t len);
bool block_iov_is_zero(const struct iovec *iov, int niov);
bool block_iov_is_aligned(const struct iovec *iov, int niov, size_t align);
bool block_buffer_is_zero(const void *buf, size_t len);

/* Room for n vectors, on the stack when they are few. */
#define BLOCK_IOV_INLINE 8
typedef struct BlockIovRoom {
    struct iovec few[BLOCK_IOV_INLINE];
    struct iovec *iov;
} BlockIovRoom;
struct iovec *block_iov_room(BlockIovRoom *room, int n);
void block_iov_room_free(BlockIovRoom *room);

#endif
