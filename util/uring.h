/*
 * io_uring for threads that block: a handful of reads and writes go to the
 * kernel with one system call, run there side by side, and the call returns
 * when all are done.
 *
 * Each thread has a ring of its own, made when it first needs one, so there
 * is nothing to lock.  Where the kernel, a sandbox or the build has no
 * io_uring, uring_available() is false and callers use plain calls.
 */
#ifndef UTIL_URING_H
#define UTIL_URING_H

#include <stdbool.h>
#include <stdint.h>

#define URING_DEPTH 64 /* operations of one call */

typedef struct UringOp {
    int fd;
    bool write;
    void *buf;
    uint32_t bytes;
    uint64_t offset;
    int result; /* filled: bytes transferred, or -errno */
} UringOp;

/* Asked of the kernel once; any thread. */
bool uring_available(void);

/*
 * Runs n (<= URING_DEPTH) operations and waits for all of them.  False: this
 * thread could get no ring, nothing was done.
 */
bool uring_run(UringOp *ops, unsigned n);

#endif
