/* io_uring with blocking callers; see uring.h. */
#include "util/uring.h"

#include <errno.h>

#include <glib.h>

#ifdef HAVE_LIBURING

#include <liburing.h>

/* Completions are handled by whoever waits for them: no interrupts for it. */
#define QUIET_FLAGS (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)

static bool ring_init(struct io_uring *ring)
{
#ifdef IORING_SETUP_DEFER_TASKRUN
    if (io_uring_queue_init(URING_DEPTH, ring, QUIET_FLAGS) == 0) {
        return true;
    }
#endif
    return io_uring_queue_init(URING_DEPTH, ring, 0) == 0;
}

static bool probe(void)
{
    struct io_uring_probe *p = io_uring_get_probe();
    bool ok = p && io_uring_opcode_supported(p, IORING_OP_READ) &&
              io_uring_opcode_supported(p, IORING_OP_WRITE);

    if (p) {
        io_uring_free_probe(p);
    }
    return ok;
}

bool uring_available(void)
{
    static gsize known; /* 1 no, 2 yes */

    if (g_once_init_enter(&known)) {
        g_once_init_leave(&known, probe() ? 2 : 1);
    }
    return known == 2;
}

static void ring_free(gpointer p)
{
    io_uring_queue_exit(p);
    g_free(p);
}

static struct io_uring *my_ring(void)
{
    static GPrivate rings = G_PRIVATE_INIT(ring_free);
    struct io_uring *ring = g_private_get(&rings);

    if (!ring) {
        ring = g_new0(struct io_uring, 1);
        if (!ring_init(ring)) {
            g_free(ring);
            return NULL;
        }
        g_private_set(&rings, ring);
    }
    return ring;
}

/* Takes what has completed; the number of operations. */
static unsigned reap(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned count = 0;

    io_uring_for_each_cqe(ring, head, cqe) {
        UringOp *op = io_uring_cqe_get_data(cqe);
        op->result = cqe->res;
        count++;
    }
    io_uring_cq_advance(ring, count);
    return count;
}

bool uring_run(UringOp *ops, unsigned n)
{
    struct io_uring *ring = uring_available() ? my_ring() : NULL;
    unsigned done = 0;

    if (!ring) {
        return false;
    }
    g_assert(n <= URING_DEPTH);
    for (unsigned i = 0; i < n; i++) {
        /* The queue is empty between calls, so there is room for all. */
        struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
        if (ops[i].write) {
            io_uring_prep_write(sqe, ops[i].fd, ops[i].buf, ops[i].bytes,
                                ops[i].offset);
        } else {
            io_uring_prep_read(sqe, ops[i].fd, ops[i].buf, ops[i].bytes,
                               ops[i].offset);
        }
        io_uring_sqe_set_data(sqe, &ops[i]);
    }
    while (done < n) {
        /*
         * Interrupted or short of memory: again, since operations the kernel
         * has taken use the caller's buffers until they complete.
         */
        int ret = io_uring_submit_and_wait(ring, n - done);

        if (ret == -EAGAIN || ret == -EBUSY) {
            g_usleep(100);
        }
        done += reap(ring);
    }
    return true;
}

#else /* no liburing in the build */

bool uring_available(void)
{
    return false;
}

bool uring_run(UringOp *ops, unsigned n)
{
    return false;
}

#endif
