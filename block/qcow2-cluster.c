/*
 * Writing guest data: allocation, copy-on-write, preallocation.
 *
 * A write first looks its clusters up without a lock; those that belong to
 * the image alone are written in place.  The rest is done run by run:
 *
 *     |<- cow head ->|<------- data ------->|<- cow tail ->|
 *     +--------------+----------+-----------+--------------+
 *     |  cluster 0              |  cluster 1               |  one host run
 *     +--------------+----------+-----------+--------------+
 *
 * `plan` picks the run and its host clusters under the lock, `perform` moves
 * the bytes without it in a single write, `link_run` enters the result into
 * L2 under the lock again.  With extended L2 the copied edges shrink to the
 * sub-clusters that the data touches.
 */
#include "block/qcow2-int.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* One run holds the lock's attention for at most this many bytes. */
#define RUN_MAX_BYTES (32u << 20)

typedef struct Run {
    Qcow2InFlight in_flight;
    uint64_t offset, bytes;    /* guest data */
    uint64_t start;            /* of the first cluster */
    uint64_t clusters;
    uint64_t host;             /* of the first cluster */
    uint64_t cow_start, cow_end; /* what the one write covers */
    bool fresh;                /* host clusters are newly allocated */
    bool virgin;               /* and known to read as zeroes */
    bool copy_first, copy_last; /* whole old cluster comes along (ext. L2) */
} Run;

/* ---- In-flight list ------------------------------------------------------- */

static Qcow2InFlight *find_in_flight(Qcow2 *s, uint64_t start, uint64_t end)
{
    for (Qcow2InFlight *f = s->in_flight; f; f = f->next) {
        if (f->start < end && start < f->end) {
            return f;
        }
    }
    return NULL;
}

void qcow2_in_flight_wait(Qcow2 *s, uint64_t start, uint64_t end)
{
    while (find_in_flight(s, start, end)) {
        g_cond_wait(&s->in_flight_done, &s->lock);
    }
}

void qcow2_in_flight_begin(Qcow2 *s, Qcow2InFlight *f, uint64_t start,
                           uint64_t end)
{
    f->start = start;
    f->end = end;
    f->next = s->in_flight;
    s->in_flight = f;
}

void qcow2_in_flight_end(Qcow2 *s, Qcow2InFlight *f)
{
    Qcow2InFlight **p = &s->in_flight;

    while (*p != f) {
        p = &(*p)->next;
    }
    *p = f->next;
    g_cond_broadcast(&s->in_flight_done);
}

/* ---- Old entries ---------------------------------------------------------- */

void qcow2_compressed_range(const Qcow2 *s, uint64_t word, uint64_t *offset,
                            uint64_t *bytes)
{
    *offset = word & s->coffset_mask;
    *bytes = ((word >> s->csize_shift & s->csize_mask) + 1) * 512 -
             (*offset & 511);
}

void qcow2_free_entry(Qcow2 *s, uint64_t word, bool discard)
{
    uint64_t offset = word & QCOW2_OFFSET_MASK;
    uint64_t bytes = s->cluster_size;

    if (word & QCOW2_ENTRY_COMPRESSED) {
        qcow2_compressed_range(s, word, &offset, &bytes);
    } else if (offset == 0 || s->data_edge) {
        return;
    } else if (offset & (s->cluster_size - 1)) {
        (void)qcow2_corrupt(s, false, UINT64_MAX, 0,
                            "Cannot free unaligned cluster %#" PRIx64,
                            offset);
        return;
    }
    qcow2_free_later(s, offset, bytes, discard);
}

static bool has_own_host(const Qcow2 *s, uint64_t word)
{
    return !(word & QCOW2_ENTRY_COMPRESSED) && (word & QCOW2_ENTRY_COPIED) &&
           ((word & QCOW2_OFFSET_MASK) || s->data_edge);
}

/* Old content of the cluster must move along with new data (ext. L2). */
static bool has_old_data(const Qcow2 *s, uint64_t word, uint64_t word2)
{
    return (word & QCOW2_ENTRY_COMPRESSED) || (word2 & QCOW2_SC_ALLOC_ALL);
}

void qcow2_entry_at(const Qcow2 *s, const Qcow2Slot *slot, unsigned index,
                    uint64_t *word, uint64_t *word2)
{
    *word = slot->words[index * s->entry_words];
    *word2 = s->extl2 ? slot->words[index * 2 + 1] : 0;
}

/* ---- Planning a run ------------------------------------------------------- */

static bool sc_is_normal(const Qcow2 *s, uint64_t word, uint64_t word2,
                         uint64_t offset)
{
    unsigned sc = (offset & (s->cluster_size - 1)) >> s->sc_bits;

    return qcow2_entry_type(s, word, word2, sc) == QCOW2_NORMAL;
}

/* Where the write must begin so that the first cluster stays whole. */
static uint64_t head_start(const Qcow2 *s, const Run *run, uint64_t word,
                           uint64_t word2)
{
    uint64_t sc_mask = (UINT64_C(1) << s->sc_bits) - 1;

    if (!s->extl2 || run->copy_first) {
        return run->start;
    }
    if (!run->fresh && sc_is_normal(s, word, word2, run->offset)) {
        return run->offset;
    }
    return run->offset & ~sc_mask;
}

static uint64_t tail_end(const Qcow2 *s, const Run *run, uint64_t word,
                         uint64_t word2)
{
    uint64_t end = run->offset + run->bytes;
    uint64_t sc_mask = (UINT64_C(1) << s->sc_bits) - 1;

    if (!s->extl2 || run->copy_last) {
        return run->start + run->clusters * s->cluster_size;
    }
    if (!run->fresh && sc_is_normal(s, word, word2, end - 1)) {
        return end;
    }
    return (end + sc_mask) & ~sc_mask;
}

/* How many clusters from `first` on can be written as one run of its kind. */
static uint64_t run_length(Qcow2 *s, const Run *run, const Qcow2Slot *slot,
                           unsigned first, uint64_t want)
{
    uint64_t word, word2;
    uint64_t n;

    want = MIN(want, (1u << s->slice_bits) - first);
    want = MIN(want, MAX(RUN_MAX_BYTES >> s->cluster_bits, 1));
    for (n = 1; n < want; n++) {
        qcow2_entry_at(s, slot, first + n, &word, &word2);
        if (has_own_host(s, word) == run->fresh) {
            break;
        }
        if (!run->fresh && (word & QCOW2_OFFSET_MASK) !=
                               run->host + n * s->cluster_size) {
            break;
        }
    }
    return n;
}

static int pick_host(Qcow2 *s, Run *run)
{
    uint64_t end_before = s->file_end;
    uint64_t got;
    int ret;

    if (s->data_edge) {
        run->host = run->start;
        return 0;
    }
    ret = qcow2_alloc_clusters(s, run->clusters, QCOW2_META_NONE, &run->host,
                               &got);
    if (ret < 0) {
        return ret;
    }
    run->clusters = got;
    run->virgin =
        s->virgin_zero && run->host >> s->cluster_bits >= end_before;
    return 0;
}

static int plan(Qcow2 *s, Run *run, uint64_t offset, uint64_t bytes)
{
    uint64_t word, word2, last, last2, want;
    Qcow2Slot *slot;
    unsigned index;
    int ret;

    run->offset = offset;
    run->start = qcow2_cluster_start(s, offset);
    ret = qcow2_l2_get_writable(s, offset, &slot, &index);
    if (ret < 0) {
        return ret;
    }
    qcow2_entry_at(s, slot, index, &word, &word2);
    run->fresh = !has_own_host(s, word);
    run->host = word & QCOW2_OFFSET_MASK;
    want = qcow2_clusters(s, offset + bytes - run->start);
    run->clusters = run_length(s, run, slot, index, want);
    /* Stop before clusters that somebody else is working on. */
    while (run->clusters > 1 &&
           find_in_flight(s, run->start,
                          run->start + run->clusters * s->cluster_size)) {
        run->clusters /= 2;
    }
    if (run->fresh) {
        ret = pick_host(s, run);
        if (ret < 0) {
            return ret;
        }
        /* Allocation may have committed: the slot can be another by now. */
        ret = qcow2_l2_get_writable(s, offset, &slot, &index);
        if (ret < 0) {
            qcow2_free_later(s, run->host, run->clusters * s->cluster_size,
                             false);
            return ret;
        }
    } else if (!s->data_edge) {
        ret = qcow2_check_overlap(s, run->host,
                                  run->clusters * s->cluster_size,
                                  QCOW2_META_NONE);
        if (ret < 0) {
            return ret;
        }
    }
    run->bytes = MIN(bytes, run->start + run->clusters * s->cluster_size -
                                offset);
    qcow2_entry_at(s, slot, index + run->clusters - 1, &last, &last2);
    run->copy_first = run->fresh && has_old_data(s, word, word2);
    run->copy_last = run->fresh && has_old_data(s, last, last2);
    if (run->clusters == 1) {
        run->copy_last = run->copy_first;
    }
    run->cow_start = head_start(s, run, word, word2);
    run->cow_end = tail_end(s, run, last, last2);
    return 0;
}

/* ---- Moving the bytes ----------------------------------------------------- */

static bool backing_is_zero(BlockNode *backing, uint64_t offset,
                            uint64_t bytes)
{
    int64_t length = block_length(backing);
    uint64_t end = MIN(offset + bytes, (uint64_t)MAX(length, 0));

    while (length >= 0 && offset < end) {
        BlockStatus status;

        if (block_status(backing, offset, end - offset, &status) < 0 ||
            !(status.flags & BLOCK_STATUS_ZERO)) {
            return false;
        }
        offset += status.bytes;
    }
    return length >= 0;
}

bool qcow2_reads_as_zero(Qcow2 *s, uint64_t offset, uint64_t bytes,
                         bool locked)
{
    BlockNode *backing = block_node_backing(s->node);

    while (bytes) {
        Qcow2Extent e;

        if ((locked ? qcow2_lookup_locked : qcow2_lookup)(s, offset, bytes,
                                                          &e) < 0) {
            return false;
        }
        switch (e.type) {
        case QCOW2_ZERO:
        case QCOW2_ZERO_HOST:
            break;
        case QCOW2_UNALLOC:
        case QCOW2_UNALLOC_HOST:
            if (backing && !backing_is_zero(backing, offset, e.bytes)) {
                return false;
            }
            break;
        default:
            return false;
        }
        offset += e.bytes;
        bytes -= e.bytes;
    }
    return true;
}

/* An edge of the run: needed at all, and its content. */
static int read_edge(Qcow2 *s, const Run *run, uint64_t offset,
                     uint64_t bytes, uint8_t **buf, bool *skip)
{
    bool zero;

    *skip = true;
    if (bytes == 0) {
        return 0;
    }
    zero = qcow2_reads_as_zero(s, offset, bytes, false);
    if (zero && run->virgin) {
        return 0;
    }
    *skip = false;
    *buf = zero ? g_try_malloc0(bytes) : g_try_malloc(bytes);
    if (!*buf) {
        return -ENOMEM;
    }
    if (!zero) {
        struct iovec iov = { *buf, bytes };

        block_debug_event(qcow2_file(s), "cow_read");
        return qcow2_read_range(s, offset, bytes, &iov, 1, 0);
    }
    return 0;
}

static int perform(Qcow2 *s, const Run *run, const struct iovec *iov,
                   int niov, uint64_t skip)
{
    uint64_t end = run->offset + run->bytes;
    uint64_t head = run->offset - run->cow_start;
    uint64_t tail = run->cow_end - end;
    g_autofree uint8_t *head_buf = NULL;
    g_autofree uint8_t *tail_buf = NULL;
    BlockIovRoom room;
    struct iovec *all;
    uint64_t host;
    bool no_head, no_tail;
    int n = 0, ret;

    ret = read_edge(s, run, run->cow_start, head, &head_buf, &no_head);
    if (ret == 0) {
        ret = read_edge(s, run, end, tail, &tail_buf, &no_tail);
    }
    if (ret < 0) {
        return ret;
    }
    head = no_head ? 0 : head;
    tail = no_tail ? 0 : tail;
    host = run->host + (run->offset - head - run->start);
    all = block_iov_room(&room, niov + 2);
    if (head) {
        all[n++] = (struct iovec){ head_buf, head };
    }
    n += block_iov_slice(iov, niov, skip, run->bytes, all + n);
    if (tail) {
        all[n++] = (struct iovec){ tail_buf, tail };
    }
    block_debug_event(qcow2_file(s), "write_aio");
    ret = block_pwritev(qcow2_data(s), host, head + run->bytes + tail, all, n,
                        0);
    block_iov_room_free(&room);
    return ret;
}

/* Sub-cluster bits of cluster i of the run that the write covers. */
static uint64_t covered_bits(const Qcow2 *s, const Run *run, uint64_t i)
{
    uint64_t from = run->start + i * s->cluster_size;
    uint64_t first = MAX(run->cow_start, from) - from;
    uint64_t end = MIN(run->cow_end, from + s->cluster_size) - from;
    unsigned a = first >> s->sc_bits;
    unsigned b = (end - 1) >> s->sc_bits;

    return (UINT64_C(0xffffffff) >> (31 - (b - a))) << a;
}

static int link_run(Qcow2 *s, const Run *run)
{
    for (uint64_t i = 0; i < run->clusters; i++) {
        uint64_t word, word2, bits;
        Qcow2Slot *slot;
        unsigned index;
        int ret = qcow2_l2_get_writable(
            s, run->start + i * s->cluster_size, &slot, &index);

        if (ret < 0) {
            return ret;
        }
        qcow2_entry_at(s, slot, index, &word, &word2);
        bits = s->extl2 ? covered_bits(s, run, i) : 0;
        qcow2_l2_set(s, slot, index,
                     (run->host + i * s->cluster_size) | QCOW2_ENTRY_COPIED,
                     ((word2 | bits) & ~(bits << 32)));
        if (run->fresh) {
            qcow2_free_entry(s, word, s->pass_discard_other);
        }
    }
    return 0;
}

static int write_run(Qcow2 *s, uint64_t offset, uint64_t bytes,
                     const struct iovec *iov, int niov, uint64_t skip,
                     uint64_t *done)
{
    Run run = { .in_flight = { 0 } };
    Qcow2Extent e;
    int ret;

    *done = 0;
    g_mutex_lock(&s->lock);
    qcow2_in_flight_wait(s, qcow2_cluster_start(s, offset),
                         qcow2_cluster_start(s, offset) + s->cluster_size);
    ret = qcow2_lookup_locked(s, offset, bytes, &e);
    if (ret < 0 || (e.type == QCOW2_NORMAL && e.copied)) {
        goto out; /* somebody allocated it meanwhile: write in place */
    }
    ret = plan(s, &run, offset, bytes);
    if (ret < 0) {
        goto out;
    }
    qcow2_in_flight_begin(s, &run.in_flight, run.start,
                          run.start + run.clusters * s->cluster_size);
    g_mutex_unlock(&s->lock);

    ret = perform(s, &run, iov, niov, skip);

    g_mutex_lock(&s->lock);
    if (ret == 0) {
        ret = link_run(s, &run);
    } else if (run.fresh && !s->data_edge) {
        qcow2_free_later(s, run.host, run.clusters * s->cluster_size, false);
    }
    qcow2_in_flight_end(s, &run.in_flight);
    qcow2_trim_frees(s);
    *done = ret == 0 ? run.bytes : 0;
out:
    g_mutex_unlock(&s->lock);
    return ret;
}

static int write_in_place(Qcow2 *s, uint64_t host, uint64_t bytes,
                          const struct iovec *iov, int niov, uint64_t skip)
{
    BlockIovRoom room;
    struct iovec *part = block_iov_room(&room, niov);
    int n = block_iov_slice(iov, niov, skip, bytes, part);
    int ret;

    block_debug_event(qcow2_file(s), "write_aio");
    ret = block_pwritev(qcow2_data(s), host, bytes, part, n, 0);
    block_iov_room_free(&room);
    return ret;
}

int qcow2_check_in_place(Qcow2 *s, const Qcow2Extent *e)
{
    int ret;

    if (s->data_edge || !qcow2_maybe_meta(s, e->host, e->bytes)) {
        return 0;
    }
    g_mutex_lock(&s->lock);
    ret = qcow2_check_overlap(s, e->host, e->bytes, QCOW2_META_NONE);
    g_mutex_unlock(&s->lock);
    return ret;
}

int qcow2_write_range(Qcow2 *s, uint64_t offset, uint64_t bytes,
                       const struct iovec *iov, int niov)
{
    uint64_t done = 0;
    int ret = 0;

    while (done < bytes && ret == 0) {
        uint64_t n;
        Qcow2Extent e;

        ret = qcow2_lookup(s, offset + done, bytes - done, &e);
        if (ret < 0) {
            break;
        }
        if (e.type == QCOW2_NORMAL && e.copied) {
            n = e.bytes;
            ret = qcow2_check_in_place(s, &e);
            if (ret == 0) {
                ret = write_in_place(s, e.host, n, iov, niov, done);
            }
        } else {
            ret = write_run(s, offset + done, bytes - done, iov, niov, done,
                            &n);
        }
        done += n;
    }
    return ret;
}

int qcow2_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                  const struct iovec *iov, int niov, unsigned flags)
{
    Qcow2 *s = qcow2_state(node);
    unsigned token;
    int ret;

    if (__atomic_load_n(&s->corrupt, __ATOMIC_RELAXED)) {
        return -EIO;
    }
    token = qcow2_enter(s);
    ret = flags & BLOCK_REQ_COMPRESSED
              ? qcow2_write_compressed(s, offset, bytes, iov, niov)
              : qcow2_write_range(s, offset, bytes, iov, niov);
    qcow2_leave(s, token);
    return ret;
}

/* ---- Preallocation -------------------------------------------------------- */

/* Enters host clusters for a run without data; -> clusters done.  Lock. */
static int prealloc_run(Qcow2 *s, uint64_t offset, uint64_t want,
                        uint64_t *done)
{
    Run run = { .offset = offset, .start = offset, .fresh = true };
    uint64_t word, word2;
    Qcow2Slot *slot;
    unsigned index;
    int ret = qcow2_l2_get_writable(s, offset, &slot, &index);

    if (ret < 0) {
        return ret;
    }
    qcow2_entry_at(s, slot, index, &word, &word2);
    *done = 1;
    if (word & (QCOW2_ENTRY_COMPRESSED | QCOW2_OFFSET_MASK |
                QCOW2_ENTRY_COPIED)) {
        return 0;
    }
    run.clusters = run_length(s, &run, slot, index, want);
    for (uint64_t i = 1; i < run.clusters; i++) {
        qcow2_entry_at(s, slot, index + i, &word, &word2);
        if (word & (QCOW2_ENTRY_COMPRESSED | QCOW2_OFFSET_MASK)) {
            run.clusters = i;
        }
    }
    ret = pick_host(s, &run);
    if (ret == 0 && !run.virgin && !s->data_edge) {
        ret = block_pwrite_zeroes(qcow2_file(s), run.host,
                                  run.clusters * s->cluster_size, 0);
    }
    *done = run.clusters;
    for (uint64_t i = 0; i < run.clusters && ret == 0; i++) {
        ret = qcow2_l2_get_writable(s, offset + i * s->cluster_size, &slot,
                                    &index);
        if (ret == 0) {
            qcow2_entry_at(s, slot, index, &word, &word2);
            qcow2_l2_set(s, slot, index,
                         (run.host + i * s->cluster_size) |
                             QCOW2_ENTRY_COPIED |
                             (s->extl2 ? 0 : word & QCOW2_ENTRY_ZERO),
                         word2);
        }
    }
    return ret;
}

/* Room for data, L2 tables and refcount blocks, at the end of the file. */
static bool make_room(Qcow2 *s, uint64_t bytes, BlockPreallocation mode,
                      GError **error)
{
    uint64_t data = qcow2_clusters(s, bytes) + 1;
    uint64_t tables = (data >> s->l2_bits) + 2;
    uint64_t blocks = ((data + tables) >> s->refblock_bits) + 2;
    uint64_t end = (s->file_end + data + tables + blocks) << s->cluster_bits;

    return block_truncate(qcow2_file(s), end, false, mode, error);
}

int qcow2_preallocate(Qcow2 *s, uint64_t offset, uint64_t new_size,
                      BlockPreallocation mode, GError **error)
{
    uint64_t at = qcow2_cluster_start(s, offset);
    uint64_t end;
    int ret = 0;

    if (!s->data_edge && mode > BLOCK_PREALLOC_METADATA && at < new_size &&
        !make_room(s, new_size - at, mode, error)) {
        return -EIO;
    }
    while (at < new_size && ret == 0) {
        uint64_t done = 1;

        g_mutex_lock(&s->lock);
        ret = prealloc_run(s, at, qcow2_clusters(s, new_size - at), &done);
        g_mutex_unlock(&s->lock);
        at += done * s->cluster_size;
    }
    if (ret < 0) {
        block_error_set_errno(error, -ret, "Could not preallocate");
        return ret;
    }
    end = s->file_end << s->cluster_bits;
    if (!s->data_edge && (int64_t)end != block_length(qcow2_file(s)) &&
        !block_truncate(qcow2_file(s), end, false, BLOCK_PREALLOC_OFF,
                        error)) {
        return -EIO;
    }
    return 0;
}
