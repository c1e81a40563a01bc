/*
 * Zeroing and discarding: whole clusters change their L2 entries only; what
 * is left at the edges is written as zeroes unless it reads so already.
 */
#include "block/qcow2-int.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

typedef enum DropMode {
    DROP_ZERO,       /* reads as zeroes, keeps its host cluster */
    DROP_ZERO_UNMAP, /* reads as zeroes, gives the host cluster back */
    DROP_DISCARD,    /* as the previous one; nothing to do for holes */
    DROP_FULL,       /* the entry becomes 0 */
} DropMode;

/* The new value of an entry; false: it can stay as it is. */
static bool dropped_entry(const Qcow2 *s, DropMode mode, uint64_t word,
                          uint64_t word2, uint64_t *new_word,
                          uint64_t *new_word2, bool *frees)
{
    bool compressed = word & QCOW2_ENTRY_COMPRESSED;
    bool host = compressed || (word & QCOW2_OFFSET_MASK);
    bool v2 = s->header.version < 3;
    bool backing = block_node_backing(s->node) != NULL;

    *frees = host && (mode != DROP_ZERO || compressed);
    if (mode == DROP_FULL || v2) {
        *new_word = *new_word2 = 0;
    } else if (mode == DROP_DISCARD && !host && !backing && word2 == 0) {
        return false;
    } else {
        uint64_t kept = *frees ? 0
                               : word & (QCOW2_OFFSET_MASK |
                                         QCOW2_ENTRY_COPIED);

        *new_word = s->extl2 ? kept : kept | QCOW2_ENTRY_ZERO;
        *new_word2 = s->extl2 ? QCOW2_SC_ZERO_ALL : 0;
    }
    return *new_word != word || (s->extl2 && *new_word2 != word2);
}

static void pass_discard_to_data(Qcow2 *s, uint64_t word)
{
    if (s->data_edge && !s->raw_data && s->pass_discard_request) {
        (void)block_pdiscard(qcow2_data(s), word & QCOW2_OFFSET_MASK,
                             s->cluster_size);
    }
}

/* Whole clusters in [offset, offset + bytes), one L2 table at most.  Lock. */
static int drop_clusters(Qcow2 *s, uint64_t offset, uint64_t bytes,
                         DropMode mode, bool pass_discard)
{
    for (uint64_t at = offset; at < offset + bytes; at += s->cluster_size) {
        uint64_t word, word2, new_word, new_word2;
        Qcow2Slot *slot;
        unsigned index;
        bool frees;
        int ret;

        qcow2_in_flight_wait(s, at, at + s->cluster_size);
        if (mode != DROP_ZERO && mode != DROP_ZERO_UNMAP) {
            ret = qcow2_l2_get(s, at, &slot, &index);
            if (ret == -ENOENT && (mode == DROP_FULL ||
                                   !block_node_backing(s->node))) {
                continue;
            }
            if (ret < 0 && ret != -ENOENT) {
                return ret;
            }
            if (ret == 0) {
                qcow2_entry_at(s, slot, index, &word, &word2);
                if (!dropped_entry(s, mode, word, word2, &new_word,
                                   &new_word2, &frees)) {
                    continue;
                }
            }
        }
        ret = qcow2_l2_get_writable(s, at, &slot, &index);
        if (ret < 0) {
            return ret;
        }
        qcow2_entry_at(s, slot, index, &word, &word2);
        if (!dropped_entry(s, mode, word, word2, &new_word, &new_word2,
                           &frees)) {
            continue;
        }
        qcow2_l2_set(s, slot, index, new_word, new_word2);
        if (frees) {
            qcow2_free_entry(s, word, pass_discard);
            if (pass_discard) {
                pass_discard_to_data(s, word);
            }
        }
    }
    return 0;
}

/* In pieces, so that others get the lock too. */
static int drop_range(Qcow2 *s, uint64_t offset, uint64_t bytes,
                      DropMode mode, bool pass_discard)
{
    uint64_t step = s->cluster_size << s->slice_bits;
    uint64_t end = offset + bytes;
    int ret = 0;

    while (offset < end && ret == 0) {
        uint64_t n = MIN(step - (offset & (step - 1)), end - offset);

        g_mutex_lock(&s->lock);
        ret = drop_clusters(s, offset, n, mode, pass_discard);
        qcow2_trim_frees(s);
        g_mutex_unlock(&s->lock);
        offset += n;
    }
    return ret;
}

int qcow2_discard_all(Qcow2 *s, uint64_t offset, uint64_t bytes)
{
    return drop_range(s, offset, bytes, DROP_FULL, s->pass_discard_snapshot);
}

/* Zeroes whole sub-clusters within one cluster (extended L2).  Lock. */
static int zero_subclusters_locked(Qcow2 *s, uint64_t offset, uint64_t bytes)
{
    uint64_t in_cluster = offset & (s->cluster_size - 1);
    unsigned a = in_cluster >> s->sc_bits;
    unsigned b = (in_cluster + bytes - 1) >> s->sc_bits;
    uint64_t bits = (UINT64_C(0xffffffff) >> (31 - (b - a))) << a;
    uint64_t start = qcow2_cluster_start(s, offset);
    uint64_t word, word2;
    Qcow2Slot *slot;
    unsigned index;
    int ret;

    qcow2_in_flight_wait(s, start, start + s->cluster_size);
    ret = qcow2_l2_get_writable(s, offset, &slot, &index);
    if (ret < 0) {
        return ret;
    }
    qcow2_entry_at(s, slot, index, &word, &word2);
    if (word & QCOW2_ENTRY_COMPRESSED) {
        return -ENOTSUP;
    }
    qcow2_l2_set(s, slot, index, word, (word2 & ~bits) | bits << 32);
    return 0;
}

static int zero_subclusters(Qcow2 *s, uint64_t offset, uint64_t bytes)
{
    int ret;

    g_mutex_lock(&s->lock);
    ret = zero_subclusters_locked(s, offset, bytes);
    g_mutex_unlock(&s->lock);
    return ret;
}

static int write_plain_zeroes(Qcow2 *s, uint64_t offset, uint64_t bytes,
                              unsigned flags)
{
    g_autofree void *zeroes = NULL;
    struct iovec iov;

    if (flags & BLOCK_REQ_NO_FALLBACK) {
        return -ENOTSUP;
    }
    zeroes = g_try_malloc0(bytes);
    if (!zeroes) {
        return -ENOMEM;
    }
    iov = (struct iovec){ zeroes, bytes };
    return qcow2_write_range(s, offset, bytes, &iov, 1);
}

/*
 * Part of one unit (cluster or sub-cluster).  When its other bytes read as
 * zeroes the whole unit is zeroed, else zeroes are written.
 */
static int zero_part(Qcow2 *s, uint64_t offset, uint64_t bytes,
                     unsigned flags)
{
    uint64_t unit = UINT64_C(1) << s->sc_bits;
    uint64_t start = offset & ~(unit - 1);
    uint64_t end = MIN(start + unit, (uint64_t)s->node->length);
    Qcow2Extent e;
    int ret;

    ret = qcow2_lookup(s, offset, bytes, &e);
    if (ret < 0) {
        return ret;
    }
    if (e.bytes == bytes &&
        (e.type == QCOW2_ZERO || e.type == QCOW2_ZERO_HOST) &&
        !(flags & BLOCK_REQ_MAY_UNMAP)) {
        return 0;
    }
    g_mutex_lock(&s->lock);
    qcow2_in_flight_wait(s, qcow2_cluster_start(s, start),
                         qcow2_cluster_start(s, start) + s->cluster_size);
    if (!qcow2_reads_as_zero(s, start, offset - start, true) ||
        (end > offset + bytes &&
         !qcow2_reads_as_zero(s, offset + bytes, end - offset - bytes, true))) {
        ret = -ENOTSUP;
    } else if (s->extl2) {
        ret = zero_subclusters_locked(s, start, unit);
    } else {
        ret = drop_clusters(s, start, unit,
                            flags & BLOCK_REQ_MAY_UNMAP ? DROP_ZERO_UNMAP
                                                        : DROP_ZERO,
                            s->pass_discard_request);
    }
    g_mutex_unlock(&s->lock);
    return ret == -ENOTSUP ? write_plain_zeroes(s, offset, bytes, flags)
                           : ret;
}

/* Whole units: sub-clusters up to whole clusters, clusters, the rest. */
static int zero_units(Qcow2 *s, uint64_t offset, uint64_t end,
                      unsigned flags)
{
    DropMode mode = flags & BLOCK_REQ_MAY_UNMAP ? DROP_ZERO_UNMAP : DROP_ZERO;
    uint64_t mask = s->cluster_size - 1;
    uint64_t first = MIN((offset + mask) & ~mask, end);
    uint64_t last = MAX(end & ~mask, first);
    int ret = 0;

    if (offset < first) {
        ret = zero_subclusters(s, offset, first - offset);
        if (ret == -ENOTSUP) {
            ret = write_plain_zeroes(s, offset, first - offset, flags);
        }
    }
    if (ret == 0 && first < last) {
        ret = drop_range(s, first, last - first, mode,
                         s->pass_discard_request);
    }
    if (ret == 0 && last < end) {
        ret = zero_subclusters(s, last, end - last);
        if (ret == -ENOTSUP) {
            ret = write_plain_zeroes(s, last, end - last, flags);
        }
    }
    return ret;
}

static int zero_range(Qcow2 *s, uint64_t offset, uint64_t bytes,
                      unsigned flags)
{
    uint64_t unit = UINT64_C(1) << s->sc_bits;
    uint64_t end = offset + bytes;
    uint64_t first = (offset + unit - 1) & ~(unit - 1);
    uint64_t last = end == (uint64_t)s->node->length
                        ? (end + unit - 1) & ~(unit - 1)
                        : end & ~(unit - 1);
    int ret = 0;

    if (first > last || (first == last && first != offset)) {
        if (first <= end) {
            ret = zero_part(s, offset, first - offset, flags);
            offset = first;
        }
        return ret < 0 || offset >= end
                   ? ret
                   : zero_part(s, offset, end - offset, flags);
    }
    if (offset < first) {
        ret = zero_part(s, offset, first - offset, flags);
    }
    if (ret == 0 && first < last) {
        ret = zero_units(s, first, last, flags);
    }
    if (ret == 0 && last < end) {
        ret = zero_part(s, last, end - last, flags);
    }
    return ret;
}

int qcow2_pwrite_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes,
                        unsigned flags)
{
    Qcow2 *s = qcow2_state(node);
    unsigned token;
    int ret;

    if (__atomic_load_n(&s->corrupt, __ATOMIC_RELAXED)) {
        return -EIO;
    }
    if (s->raw_data ||
        (s->header.version < 3 && block_node_backing(node))) {
        return -ENOTSUP;
    }
    token = qcow2_enter(s);
    ret = zero_range(s, offset, bytes,
                     s->header.version < 3 ? flags | BLOCK_REQ_MAY_UNMAP
                                           : flags);
    qcow2_leave(s, token);
    return ret;
}

int qcow2_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    Qcow2 *s = qcow2_state(node);
    uint64_t mask = s->cluster_size - 1;
    uint64_t end = offset + bytes;
    uint64_t first = (offset + mask) & ~mask;
    uint64_t last = end == (uint64_t)node->length ? (end + mask) & ~mask
                                                  : end & ~mask;
    unsigned token;
    int ret = 0;

    if (__atomic_load_n(&s->corrupt, __ATOMIC_RELAXED)) {
        return -EIO;
    }
    /*
     * Without zero clusters the backing file's data would reappear; a raw
     * data file would keep the old bytes that the image no longer shows.
     */
    if (s->raw_data ||
        (s->header.version < 3 && block_node_backing(node))) {
        return -ENOTSUP;
    }
    if (first < last) {
        token = qcow2_enter(s);
        ret = drop_range(s, first, last - first, DROP_DISCARD,
                         s->pass_discard_request);
        qcow2_leave(s, token);
    }
    return ret;
}
