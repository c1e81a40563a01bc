/*
 * Giving host clusters back.
 *
 * A count goes down only after nothing on the disk refers to the cluster any
 * more, and after every request that may still read it has ended: what is to
 * be freed waits in a list for the next durable commit and the end of the
 * epoch in which it was noted.
 */
#include "block/qcow2-int.h"

#include <errno.h>
#include <string.h>

#define FREES_MAX 4096u

/* ---- Request sections ----------------------------------------------------- */

static unsigned thread_stripe(void)
{
    static unsigned next;
    static __thread unsigned mine;

    if (mine == 0) {
        mine = __atomic_add_fetch(&next, 1, __ATOMIC_RELAXED);
    }
    return mine % QCOW2_STRIPES;
}

unsigned qcow2_enter(Qcow2 *s)
{
    unsigned stripe = thread_stripe();
    unsigned set = __atomic_load_n(&s->epoch, __ATOMIC_SEQ_CST) & 1;

    __atomic_fetch_add(&s->stripes[stripe].count[set], 1, __ATOMIC_SEQ_CST);
    return stripe * 2 + set;
}

void qcow2_leave(Qcow2 *s, unsigned token)
{
    __atomic_fetch_sub(&s->stripes[token / 2].count[token & 1], 1,
                       __ATOMIC_RELEASE);
}

/* ---- Freeing --------------------------------------------------------------- */

void qcow2_free_later(Qcow2 *s, uint64_t offset, uint64_t bytes, bool discard)
{
    uint64_t start = offset >> s->cluster_bits;
    uint64_t end = qcow2_clusters(s, offset + bytes);
    uint64_t epoch = __atomic_load_n(&s->epoch, __ATOMIC_RELAXED);
    Qcow2Free entry = { start, end - start, epoch, s->commit_seq + 1,
                        discard };

    block_debug_event(qcow2_file(s), "cluster_free");
    if (s->frees->len) {
        Qcow2Free *last =
            &g_array_index(s->frees, Qcow2Free, s->frees->len - 1);

        if (last->epoch == epoch && last->commit == entry.commit &&
            last->discard == discard &&
            last->start + last->clusters == start) {
            last->clusters += end - start;
            return;
        }
    }
    g_array_append_val(s->frees, entry);
}

/* Moves the epoch on when no request of the set to be reused is running. */
static void advance_epoch(Qcow2 *s)
{
    uint64_t epoch = __atomic_load_n(&s->epoch, __ATOMIC_SEQ_CST);
    unsigned other = (epoch + 1) & 1;
    uint64_t running = 0;

    for (unsigned i = 0; i < QCOW2_STRIPES; i++) {
        running +=
            __atomic_load_n(&s->stripes[i].count[other], __ATOMIC_SEQ_CST);
    }
    if (running == 0) {
        __atomic_store_n(&s->epoch, epoch + 1, __ATOMIC_SEQ_CST);
    }
}

static int apply_one(Qcow2 *s, const Qcow2Free *f)
{
    int ret = 0;

    for (uint64_t c = f->start; c < f->start + f->clusters; c++) {
        uint64_t count;

        ret = qcow2_refcount_add(s, c, 1, -1);
        if (ret == -EINVAL) {
            /* The image counted too low all along: a check will say so. */
            ret = 0;
            continue;
        }
        if (ret == 0) {
            ret = qcow2_refcount_get(s, c, &count);
        }
        if (ret < 0) {
            break;
        }
        if (f->discard && count == 0) {
            (void)block_pdiscard(qcow2_file(s), c << s->cluster_bits,
                                 s->cluster_size);
        }
    }
    return ret;
}

int qcow2_apply_frees(Qcow2 *s)
{
    guint done = 0;
    int ret = 0;

    if (s->frees->len == 0) {
        return 0;
    }
    advance_epoch(s);
    advance_epoch(s);
    for (; done < s->frees->len && ret == 0; done++) {
        Qcow2Free *f = &g_array_index(s->frees, Qcow2Free, done);

        if (f->commit > s->synced_seq ||
            f->epoch + 2 > __atomic_load_n(&s->epoch, __ATOMIC_RELAXED)) {
            break;
        }
        ret = apply_one(s, f);
    }
    if (done) {
        g_array_remove_range(s->frees, 0, done);
    }
    return ret;
}

int qcow2_settle(Qcow2 *s)
{
    int ret = qcow2_commit(s);

    if (ret == 0) {
        ret = block_flush(qcow2_file(s));
    }
    if (ret == 0) {
        s->meta_unsynced = false;
        s->synced_seq = s->commit_seq;
        ret = qcow2_apply_frees(s);
    }
    return ret;
}

void qcow2_trim_frees(Qcow2 *s)
{
    if (s->frees->len > MAX(s->frees_limit, FREES_MAX)) {
        /* A failure shows again at the next flush, which reports it. */
        (void)qcow2_settle(s);
        s->frees_limit = s->frees->len * 2;
    }
}
