/*
 * Copying of images; see e2k-img-copy.h.
 *
 * Worker threads share one cursor and as many slots as there are threads.  A
 * worker takes the next piece into a free slot under the lock (asking the
 * source for its status when the known extent is used up) and reads it
 * without the lock.  Whoever finds that a piece may be written and nobody
 * else writes, writes what is not zero; so the one who writes goes on with
 * the next piece and needs not wait for another thread to wake.  Pieces are
 * written in order unless -W allows any.
 *
 * With -W several threads may write at once, except to a file in the page
 * cache: there the kernel lets one in and the others spin.
 */
#include "tools/e2k-img-copy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "block/iov.h"

#define BUFFER_SIZE (2u << 20)
#define MAX_PIECE (UINT64_C(1) << 30)

/* ---- Reading -------------------------------------------------------------- */

static int source_at(const Convert *c, uint64_t offset)
{
    int i = 0;

    while (i + 1 < c->n_sources && offset >= c->starts[i + 1]) {
        i++;
    }
    return i;
}

/* Fills the part of the target's piece from whatever sources it spans. */
static int read_piece(Convert *c, const Piece *p, uint8_t *buf)
{
    uint64_t at = p->offset;
    uint64_t end = p->offset + p->bytes;

    while (at < end) {
        int i = source_at(c, at);
        uint64_t n = MIN(end, c->starts[i + 1]) - at;
        int ret = block_backend_pread(c->sources[i], at - c->starts[i], n,
                                      buf, 0);

        if (ret < 0 && c->salvage) {
            /* In sectors: lose as little as possible. */
            for (uint64_t k = 0; k < n; k += 512) {
                uint64_t len = MIN(512, n - k);

                if (block_backend_pread(c->sources[i], at - c->starts[i] + k,
                                        len, buf + k, 0) < 0) {
                    if (!c->quiet) {
                        tool_warning("error while reading offset %" PRIu64
                                     ": %s", at + k, strerror(-ret));
                    }
                    memset(buf + k, 0, len);
                }
            }
        } else if (ret < 0) {
            tool_error("error while reading at byte %" PRIu64 ": %s", at,
                       strerror(-ret));
            return ret;
        }
        at += n;
        buf += n;
    }
    return 0;
}

/* What the source has at c->next.  Lock. */
static int next_extent(Convert *c)
{
    int i = source_at(c, c->next);
    BlockNode *node = img_node(c->sources[i]);
    BlockNode *base =
        c->has_backing ? block_node_backing(block_node_skip_filters(node))
                       : NULL;
    BlockStatus status;
    uint64_t left = c->starts[i + 1] - c->next;
    int ret = block_status_above(node, base, c->next - c->starts[i], left,
                                 &status);

    if (ret < 0 && c->salvage) {
        status.flags = BLOCK_STATUS_DATA;
        status.bytes = MIN(left, BUFFER_SIZE);
    } else if (ret < 0) {
        tool_error("error while reading block status at offset %" PRIu64
                   ": %s", c->next, strerror(-ret));
        return ret;
    }
    c->extent_end = c->next + status.bytes;
    if (status.flags & BLOCK_STATUS_ZERO) {
        c->extent_kind = PIECE_ZERO;
    } else if (c->has_backing && !(status.flags & BLOCK_STATUS_ALLOCATED)) {
        c->extent_kind = PIECE_BACKING;
    } else {
        c->extent_kind = status.flags & BLOCK_STATUS_DATA ? PIECE_DATA
                                                          : PIECE_ZERO;
    }
    if (c->extent_kind == PIECE_ZERO && c->sparse == 0 && !c->has_backing) {
        c->extent_kind = PIECE_DATA; /* -S 0: holes are written out */
    }
    return 0;
}

/* A compressed target takes whole clusters: what touches data is data. */
static void align_piece(Convert *c, Piece *p)
{
    uint64_t end = p->offset + p->bytes;
    uint64_t down = end / c->cluster * c->cluster;

    if (end == c->total) {
        return;
    }
    if (down > p->offset) {
        p->bytes = down - p->offset;
    } else {
        p->kind = PIECE_DATA;
        p->bytes = MIN(c->cluster, c->total - p->offset);
    }
}

/* Lock.  False: nothing left, or a failure. */
static bool take_piece(Convert *c, Piece *p)
{
    if (c->next >= c->total || c->error) {
        return false;
    }
    if (c->next >= c->extent_end) {
        c->error = next_extent(c);
        if (c->error) {
            return false;
        }
    }
    p->kind = c->extent_kind;
    p->offset = c->next;
    p->bytes = MIN(c->extent_end - c->next, MAX_PIECE);
    if (p->kind == PIECE_DATA) {
        /* Pieces end at multiples, so that clusters stay whole. */
        p->bytes = MIN(p->bytes, BUFFER_SIZE - p->offset % BUFFER_SIZE);
    }
    if (c->cluster) {
        align_piece(c, p);
    }
    c->next += p->bytes;
    return true;
}

/* ---- Writing -------------------------------------------------------------- */

static int write_zeroes(Convert *c, uint64_t offset, uint64_t bytes)
{
    if (c->zero_init && !c->has_backing) {
        return 0;
    }
    return block_pwrite_zeroes(c->target, offset, bytes,
                               c->has_backing ? 0 : BLOCK_REQ_MAY_UNMAP);
}

/* Length of the run of all-zero or of other blocks at the start of buf. */
static uint64_t run_length(const uint8_t *buf, uint64_t offset,
                           uint64_t bytes, uint64_t block, bool *zero)
{
    uint64_t n = MIN(block - offset % block, bytes);

    *zero = block_buffer_is_zero(buf, n);
    while (n < bytes) {
        uint64_t len = MIN(block, bytes - n);

        if (block_buffer_is_zero(buf + n, len) != *zero) {
            break;
        }
        n += len;
    }
    return n;
}

static int write_data(Convert *c, const Piece *p, const uint8_t *buf)
{
    unsigned flags = c->compress ? BLOCK_REQ_COMPRESSED : 0;
    uint64_t block = c->cluster ? c->cluster : c->sparse;
    uint64_t done = 0;
    int ret = 0;

    while (done < p->bytes && ret == 0) {
        uint64_t n = p->bytes - done;
        bool zero = false;

        if (c->sparse) {
            n = run_length(buf + done, p->offset + done, n, block, &zero);
        }
        ret = zero ? write_zeroes(c, p->offset + done, n)
                   : block_pwrite(c->target, p->offset + done, n, buf + done,
                                  flags);
        done += n;
    }
    return ret;
}

static void limit_rate(Convert *c, uint64_t done)
{
    gint64 due;

    if (!c->rate) {
        return;
    }
    due = c->started_us + (gint64)((double)done * 1e6 / c->rate);
    due -= g_get_monotonic_time();
    if (due > 0) {
        g_usleep(due);
    }
}

static int write_piece(Convert *c, const Piece *p)
{
    int ret = 0;

    limit_rate(c, p->offset);
    if (p->kind == PIECE_DATA) {
        ret = write_data(c, p, p->buf);
    } else if (p->kind == PIECE_ZERO) {
        ret = write_zeroes(c, p->offset, p->bytes);
    }
    if (ret < 0) {
        tool_error("error while writing at byte %" PRIu64 ": %s", p->offset,
                   strerror(-ret));
    }
    return ret;
}

static int load_piece(Convert *c, Piece *p)
{
    if (p->kind != PIECE_DATA) {
        return 0;
    }
    if (!p->buf && posix_memalign((void **)&p->buf, 4096,
                                  MAX(BUFFER_SIZE, c->cluster)) != 0) {
        p->buf = NULL;
        return -ENOMEM;
    }
    return read_piece(c, p, p->buf);
}

/* ---- Workers -------------------------------------------------------------- */

/* Lock.  What may be written now, NULL if nothing. */
static Piece *next_to_write(Convert *c)
{
    Piece *first = NULL;

    if (c->writers >= c->max_writers) {
        return NULL;
    }
    for (int i = 0; i < c->n_slots; i++) {
        Piece *p = &c->slots[i];

        if (p->state == SLOT_READY && (!first || p->offset < first->offset)) {
            first = p;
        }
    }
    return first && (c->out_of_order || first->offset == c->written) ? first
                                                                     : NULL;
}

/* Lock.  A slot to read into; those that have a buffer come first. */
static Piece *next_to_read(Convert *c)
{
    Piece *found = NULL;

    for (int i = 0; i < c->n_slots; i++) {
        Piece *p = &c->slots[i];

        if (p->state == SLOT_FREE && (!found || !found->buf)) {
            found = p;
        }
    }
    return found && take_piece(c, found) ? found : NULL;
}

/* Lock, given up meanwhile. */
static void step(Convert *c, Piece *p, bool write)
{
    int ret;

    p->state = SLOT_BUSY;
    c->writers += write;
    g_mutex_unlock(&c->lock);
    ret = write ? write_piece(c, p) : load_piece(c, p);
    if (write && p->kind == PIECE_DATA) {
        tool_progress_add(p->bytes);
    }
    g_mutex_lock(&c->lock);
    c->writers -= write;
    c->error = c->error ? c->error : ret;
    if (write) {
        c->written = p->offset + p->bytes;
    }
    p->state = write ? SLOT_FREE : SLOT_READY;
}

/* Lock.  Everything is read; what is not written yet is at others. */
static bool is_over(const Convert *c)
{
    if (c->error) {
        return true;
    }
    for (int i = 0; i < c->n_slots; i++) {
        if (c->slots[i].state != SLOT_FREE) {
            return false;
        }
    }
    return c->next >= c->total;
}

static gpointer worker(gpointer opaque)
{
    Convert *c = opaque;

    g_mutex_lock(&c->lock);
    while (!c->error) {
        Piece *p = next_to_write(c);

        if (p) {
            step(c, p, true);
            g_cond_signal(&c->changed); /* the slot */
        } else if ((p = next_to_read(c))) {
            step(c, p, false);
        } else if (c->error || is_over(c)) {
            break;
        } else {
            g_cond_wait(&c->changed, &c->lock);
        }
    }
    g_cond_broadcast(&c->changed);
    g_mutex_unlock(&c->lock);
    return NULL;
}

uint64_t img_copy_data_bytes(Convert *c)
{
    uint64_t sum = 0;

    while (c->next < c->total && next_extent(c) == 0) {
        uint64_t end = MIN(c->extent_end, c->total);

        sum += c->extent_kind == PIECE_DATA ? end - c->next : 0;
        c->next = end;
    }
    c->next = c->extent_end = 0;
    return sum;
}

/* A file in the page cache: its inode is locked while data is copied. */
static bool has_one_writer(const Convert *c)
{
    BlockNode *node = c->target;

    for (BlockNode *below; (below = block_node_primary(node));) {
        node = below;
    }
    return !strcmp(block_node_driver_name(node), "file") &&
           block_node_limits(node)->request_alignment == 1;
}

int img_copy_run(Convert *c, int workers)
{
    GThread *threads[IMG_COPY_WORKERS];
    int n = MIN((uint64_t)workers, c->total / BUFFER_SIZE + 1);

    g_mutex_init(&c->lock);
    g_cond_init(&c->changed);
    c->n_slots = n;
    c->max_writers = c->out_of_order && !has_one_writer(c) ? n : 1;
    c->started_us = g_get_monotonic_time();
    for (int i = 1; i < n; i++) {
        threads[i] = g_thread_new("convert", worker, c);
    }
    worker(c);
    for (int i = 1; i < n; i++) {
        g_thread_join(threads[i]);
    }
    for (int i = 0; i < n; i++) {
        free(c->slots[i].buf);
    }
    g_mutex_clear(&c->lock);
    g_cond_clear(&c->changed);
    return c->error;
}
