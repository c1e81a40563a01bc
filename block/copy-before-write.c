/*
 * Drivers "copy-before-write" and "snapshot-access": a frozen view of a disk
 * that goes on being written.
 *
 *     guest --> copy-before-write --file--> disk
 *                     ^       \----target--> where old data goes
 *                     |
 *               snapshot-access              reads the disk as it was
 *
 * Before a cluster of the disk is changed for the first time, its old content
 * is copied to the target.  When that fails, either the guest's write fails
 * (on-cbw-error=break-guest-write) or the snapshot is given up.
 */
#include <errno.h>
#include <string.h>

#include "block/block-copy.h"
#include "block/filter.h"
#include "block/iov.h"
#include "block/node-int.h"
#include "block/options.h"

typedef struct CbwState {
    BlockCopy copy;
    BlockEdge *target;
    bool break_snapshot;
    int snapshot_error; /* atomic: the snapshot is gone */
    int guest_error;    /* atomic: last failure seen by a guest write */
} CbwState;

static const BlockOption cbw_options[] = {
    { "file", BLOCK_OPT_NODE, .required = true },
    { "target", BLOCK_OPT_NODE, .required = true },
    { "bitmap", BLOCK_OPT_OBJECT },
    { "on-cbw-error", BLOCK_OPT_ENUM, "break-guest-write/break-snapshot" },
    { NULL },
};

static const BlockOption bitmap_options[] = {
    { "node", BLOCK_OPT_STRING, .required = true },
    { "name", BLOCK_OPT_STRING, .required = true },
    { NULL },
};

BlockCopy *block_cbw_copy(BlockNode *filter)
{
    CbwState *s = filter->state;

    return &s->copy;
}

int block_cbw_take_error(BlockNode *filter)
{
    CbwState *s = filter->state;

    return __atomic_exchange_n(&s->guest_error, 0, __ATOMIC_RELAXED);
}

static bool use_bitmap(CbwState *s, json_t *ref, GError **error)
{
    const char *node_name = NULL;
    const char *name = NULL;
    BlockDirtyBitmap *bitmap;
    BlockNode *node;

    if (!block_options_check(ref, bitmap_options, error) ||
        !block_options_string(ref, "node", &node_name, error) ||
        !block_options_string(ref, "name", &name, error)) {
        return false;
    }
    node = block_node_lookup(node_name, node_name, error);
    bitmap = node ? block_dirty_bitmap_find(node, name) : NULL;
    if (!bitmap) {
        if (node) {
            g_set_error(error, BLOCK_ERROR, ENOENT,
                        "Dirty bitmap '%s' not found", name);
        }
        return false;
    }
    if (!block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_ALLOW_RO, error)) {
        return false;
    }
    block_copy_want_bitmap(&s->copy, bitmap);
    return true;
}

static bool cbw_open(BlockNode *node, json_t *options, GError **error)
{
    CbwState *s = node->state;
    json_t *bitmap = json_object_get(options, "bitmap");
    int policy = 0;

    if (!block_options_enum(options, "on-cbw-error",
                            "break-guest-write/break-snapshot", &policy,
                            error) ||
        !block_filter_open(node, options, error)) {
        return false;
    }
    s->target = block_open_child(node, options, "target", BLOCK_ROLE_TARGET,
                                 false, error);
    if (!s->target) {
        return false;
    }
    s->break_snapshot = policy == 1;
    if (!block_copy_init(&s->copy, node->file->node, s->target->node,
                         error)) {
        return false;
    }
    if (bitmap && !use_bitmap(s, bitmap, error)) {
        block_copy_clear(&s->copy);
        return false;
    }
    return true;
}

static void cbw_close(BlockNode *node)
{
    CbwState *s = node->state;

    block_copy_clear(&s->copy);
}

static void cbw_child_perm(BlockNode *node, const BlockEdge *edge,
                           unsigned perm, unsigned shared, unsigned *p,
                           unsigned *sh)
{
    if (edge->role == BLOCK_ROLE_TARGET) {
        /* Its chain may contain our file, which others write. */
        *p = BLOCK_PERM_WRITE;
        *sh = BLOCK_PERM_ALL & ~(unsigned)BLOCK_PERM_RESIZE;
        return;
    }
    block_default_child_perm(node, edge, perm, shared, p, sh);
    if (block_core(node)->parents) {
        *p |= BLOCK_PERM_CONSISTENT_READ;
        *sh &= ~(unsigned)(BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE);
    }
}

/* Saves the old data; on 0 the range is held until end_write(). */
static int begin_write(CbwState *s, BlockRange *range, uint64_t offset,
                       uint64_t bytes, bool *held)
{
    int ret;

    *held = false;
    if (__atomic_load_n(&s->snapshot_error, __ATOMIC_ACQUIRE)) {
        return 0;
    }
    ret = block_copy_begin_write(&s->copy, range, offset, bytes);
    if (ret < 0) {
        __atomic_store_n(&s->guest_error, ret, __ATOMIC_RELAXED);
        if (!s->break_snapshot) {
            return ret;
        }
        __atomic_store_n(&s->snapshot_error, ret, __ATOMIC_RELEASE);
        return 0;
    }
    *held = true;
    return 0;
}

static int cbw_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                       const struct iovec *iov, int niov, unsigned flags)
{
    CbwState *s = node->state;
    BlockRange range;
    bool held;
    int ret = begin_write(s, &range, offset, bytes, &held);

    if (ret == 0) {
        ret = block_pwritev(node->file->node, offset, bytes, iov, niov,
                            flags);
        if (held) {
            block_copy_end_write(&s->copy, &range);
        }
    }
    return ret;
}

static int cbw_pwrite_zeroes(BlockNode *node, uint64_t offset,
                             uint64_t bytes, unsigned flags)
{
    CbwState *s = node->state;
    BlockRange range;
    bool held;
    int ret = begin_write(s, &range, offset, bytes, &held);

    if (ret == 0) {
        ret = block_pwrite_zeroes(node->file->node, offset, bytes, flags);
        if (held) {
            block_copy_end_write(&s->copy, &range);
        }
    }
    return ret;
}

static int cbw_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    CbwState *s = node->state;
    BlockRange range;
    bool held;
    int ret = begin_write(s, &range, offset, bytes, &held);

    if (ret == 0) {
        ret = block_pdiscard(node->file->node, offset, bytes);
        if (held) {
            block_copy_end_write(&s->copy, &range);
        }
    }
    return ret;
}

const BlockDriver block_driver_copy_before_write = {
    .name = "copy-before-write",
    .flags = BLOCK_DRIVER_FILTER,
    .state_size = sizeof(CbwState),
    .options = cbw_options,
    .open = cbw_open,
    .close = cbw_close,
    .child_perm = cbw_child_perm,
    .preadv = block_filter_preadv,
    .pwritev = cbw_pwritev,
    .pwrite_zeroes = cbw_pwrite_zeroes,
    .pdiscard = cbw_pdiscard,
    .fua_native = true,
    .get_length = block_filter_get_length,
};

/* ---- snapshot-access ----------------------------------------------------- */

static const BlockOption access_options[] = {
    { "file", BLOCK_OPT_NODE, .required = true },
    { NULL },
};

static bool access_open(BlockNode *node, json_t *options, GError **error)
{
    if (!block_open_child(node, options, "file", BLOCK_ROLE_FILE, false,
                          error)) {
        return false;
    }
    if (node->file->node->driver != &block_driver_copy_before_write) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Node '%s' gives no access "
                    "to a snapshot", node->file->node->name);
        return false;
    }
    node->read_only = true;
    node->limits = node->file->node->limits;
    block_node_set_length(node, block_cbw_copy(node->file->node)->length);
    return true;
}

static void access_child_perm(BlockNode *node, const BlockEdge *edge,
                              unsigned perm, unsigned shared, unsigned *p,
                              unsigned *sh)
{
    *p = BLOCK_PERM_CONSISTENT_READ;
    *sh = BLOCK_PERM_ALL;
}

/*
 * Runs fn on each piece of the range with the node that holds it as it was;
 * pieces that are still in the disk are held against change meanwhile.
 */
typedef int PieceFn(void *opaque, BlockNode *from, uint64_t offset,
                    uint64_t bytes);

static int each_piece(BlockNode *node, uint64_t offset, uint64_t bytes,
                      PieceFn *fn, void *opaque)
{
    CbwState *s = node->file->node->state;
    BlockCopy *copy = &s->copy;
    int ret = 0;

    while (bytes && ret == 0) {
        uint64_t cluster = offset / copy->cluster;
        uint64_t n = MIN(bytes, copy->cluster - offset % copy->cluster);
        BlockRange range;

        ret = __atomic_load_n(&s->snapshot_error, __ATOMIC_ACQUIRE);
        if (ret < 0) {
            return ret;
        }
        if (!hbitmap_get(copy->wanted, cluster)) {
            return -EACCES;
        }
        block_range_acquire(&copy->ranges, &range, offset, n, true);
        if (hbitmap_get(copy->todo, cluster)) {
            ret = fn(opaque, copy->source, offset, n);
            block_range_release(&copy->ranges, &range);
        } else {
            block_range_release(&copy->ranges, &range);
            ret = fn(opaque, copy->target, offset, n);
        }
        offset += n;
        bytes -= n;
    }
    return ret;
}

typedef struct ReadPiece {
    const struct iovec *iov;
    int niov;
    uint64_t base;
} ReadPiece;

static int read_piece(void *opaque, BlockNode *from, uint64_t offset,
                      uint64_t bytes)
{
    ReadPiece *r = opaque;
    g_autofree char *buf = g_try_malloc(bytes);
    int ret = buf ? block_pread(from, offset, bytes, buf, 0) : -ENOMEM;

    if (ret == 0) {
        block_iov_from_buf(r->iov, r->niov, offset - r->base, buf, bytes);
    }
    return ret;
}

static int access_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                         const struct iovec *iov, int niov, unsigned flags)
{
    ReadPiece r = { iov, niov, offset };

    return each_piece(node, offset, bytes, read_piece, &r);
}

static int status_piece(void *opaque, BlockNode *from, uint64_t offset,
                        uint64_t bytes)
{
    BlockStatus *status = opaque;
    int ret = block_status(from, offset, bytes, status);

    status->flags &= ~(unsigned)(BLOCK_STATUS_OFFSET_VALID |
                                 BLOCK_STATUS_EOF);
    return ret;
}

static int access_status(BlockNode *node, uint64_t offset, uint64_t bytes,
                         BlockStatus *status)
{
    uint64_t cluster = block_cbw_copy(node->file->node)->cluster;

    bytes = MIN(bytes, cluster - offset % cluster);
    return each_piece(node, offset, bytes, status_piece, status);
}

const BlockDriver block_driver_snapshot_access = {
    .name = "snapshot-access",
    .options = access_options,
    .open = access_open,
    .child_perm = access_child_perm,
    .preadv = access_preadv,
    .status = access_status,
};
