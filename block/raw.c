/*
 * Driver "raw": the bytes of its child as they are, or a window of them.
 *
 * Lengths are rounded up to whole sectors of 512 bytes, as every user of raw
 * images expects; the part past the end of the file reads as zeroes.  A raw
 * image that was only guessed to be one refuses to have its first sector
 * turned into the header of another format.
 */
#include "block/driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "block/iov.h"
#include "block/node-int.h"
#include "block/options.h"

#define SECTOR 512

typedef struct RawState {
    uint64_t offset;
    uint64_t size;
    bool has_size;
    bool guard_head; /* BLOCK_OPEN_PROBED */
} RawState;

static const BlockOption raw_options[] = {
    { "file", BLOCK_OPT_NODE, .required = true },
    { "offset", BLOCK_OPT_SIZE, .reopens = true },
    { "size", BLOCK_OPT_SIZE, .reopens = true },
    { NULL },
};

static const BlockOption raw_create_options[] = {
    { "file", BLOCK_OPT_OBJECT },
    { "size", BLOCK_OPT_SIZE, .help = "Virtual disk size" },
    { NULL },
};

static BlockNode *below(BlockNode *node)
{
    return node->file->node;
}

static bool read_window(BlockNode *node, json_t *options, RawState *s,
                        GError **error)
{
    int64_t length = block_length(below(node));

    if (length < 0) {
        block_error_set_errno(error, length, "Could not get image size");
        return false;
    }
    s->has_size = block_options_get(options, "size") != NULL;
    if (!block_options_size(options, "offset", &s->offset, error) ||
        !block_options_size(options, "size", &s->size, error)) {
        return false;
    }
    if (s->offset > (uint64_t)length) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Offset (%" G_GUINT64_FORMAT ") cannot be greater than "
                    "size of the containing file (%" G_GINT64_FORMAT ")",
                    s->offset, length);
        return false;
    }
    if (s->has_size && s->size > (uint64_t)length - s->offset) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "The sum of offset (%" G_GUINT64_FORMAT ") and size (%"
                    G_GUINT64_FORMAT ") has to be smaller or equal to the "
                    " actual size of the containing file (%" G_GINT64_FORMAT
                    ")", s->offset, s->size, length);
        return false;
    }
    if (s->has_size && s->size % SECTOR) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Specified size is not multiple of %d", SECTOR);
        return false;
    }
    return true;
}

static uint64_t window_length(BlockNode *node, const RawState *s)
{
    int64_t length = block_length(below(node));

    if (s->has_size) {
        return s->size;
    }
    length = MAX(length, 0);
    length = length > (int64_t)s->offset ? length - s->offset : 0;
    return MIN(ROUND_UP_TO(length, SECTOR), INT64_MAX & ~(SECTOR - 1));
}

static bool raw_open(BlockNode *node, json_t *options, GError **error)
{
    RawState *s = node->state;

    if (!block_open_child(node, options, "file", BLOCK_ROLE_DATA, false,
                          error) || !read_window(node, options, s, error)) {
        return false;
    }
    /* Whoever wants to write finds out when it asks for the permission. */
    node->read_only = node->read_only || below(node)->read_only;
    s->guard_head = (node->flags & BLOCK_OPEN_PROBED) && !node->read_only;
    if (s->guard_head) {
        fprintf(stderr, "WARNING: Image format was not specified for '%s' "
                "and probing guessed raw.\n"
                "         Automatically detecting the format is dangerous "
                "for raw images, write operations on block 0 will be "
                "restricted.\n"
                "         Specify the 'raw' format explicitly to remove the "
                "restrictions.\n", block_node_filename(below(node)));
    }
    block_node_set_length(node, window_length(node, s));
    node->limits = below(node)->limits;
    if (node->flags & BLOCK_OPEN_PROBED) {
        /* It may turn out to be something else, which thinks in sectors. */
        node->limits.request_alignment =
            MAX(node->limits.request_alignment, SECTOR);
    }
    return true;
}

static void raw_child_perm(BlockNode *node, const BlockEdge *edge,
                           unsigned perm, unsigned shared,
                           unsigned *child_perm, unsigned *child_shared)
{
    RawState *s = node->state;
    BlockEdge as = *edge;

    as.role = BLOCK_ROLE_FILTERED;
    block_default_child_perm(node, &as, perm, shared, child_perm,
                             child_shared);
    if (s->has_size) {
        *child_perm &= ~(unsigned)BLOCK_PERM_RESIZE;
    }
    if ((*child_perm & BLOCK_PERM_WRITE) &&
        node->length > block_length(edge->node)) {
        *child_perm |= BLOCK_PERM_RESIZE; /* the odd tail of the file */
    }
}

static int raw_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                      const struct iovec *iov, int niov, unsigned flags)
{
    RawState *s = node->state;

    block_debug_event(below(node), "read_aio");
    return block_preadv(below(node), s->offset + offset, bytes, iov, niov,
                        flags);
}

/* Would this write turn the image into something else? */
static bool disguises(BlockNode *node, uint64_t offset, uint64_t bytes,
                      const struct iovec *iov, int niov)
{
    uint8_t head[SECTOR];
    size_t n = MIN(bytes, SECTOR - offset);

    memset(head, 0, sizeof(head));
    if ((offset || n < SECTOR) &&
        block_pread(below(node), 0, SECTOR, head, 0) < 0) {
        return true;
    }
    block_iov_to_buf(iov, niov, 0, head + offset, n);
    for (const BlockDriver *d = block_driver_next(NULL); d;
         d = block_driver_next(d)) {
        if (d->probe && d->probe(head, sizeof(head)) > 0 &&
            d != node->driver) {
            return true;
        }
    }
    return false;
}

static int raw_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                       const struct iovec *iov, int niov, unsigned flags)
{
    RawState *s = node->state;

    if (G_UNLIKELY(s->guard_head) && offset < SECTOR &&
        disguises(node, offset, bytes, iov, niov)) {
        return -EPERM;
    }
    block_debug_event(below(node), "write_aio");
    return block_pwritev(below(node), s->offset + offset, bytes, iov, niov,
                         flags);
}

static bool raw_batches(BlockNode *node, bool write)
{
    return block_batches(below(node), write);
}

static void raw_batch(BlockNode *node, BlockBatchItem *items, unsigned n)
{
    RawState *s = node->state;

    for (unsigned i = 0; i < n; i++) {
        if (s->guard_head && items[i].write && items[i].offset < SECTOR &&
            items[i].ret == BLOCK_BATCH_TODO) {
            items[i].ret = BLOCK_BATCH_ALONE;
        }
        items[i].offset += s->offset;
    }
    block_batch(below(node), items, n);
    for (unsigned i = 0; i < n; i++) {
        items[i].offset -= s->offset;
    }
}

static int raw_pwrite_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes,
                             unsigned flags)
{
    RawState *s = node->state;

    return block_pwrite_zeroes(below(node), s->offset + offset, bytes, flags);
}

static int raw_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    RawState *s = node->state;
    int64_t length = block_length(below(node));

    if ((int64_t)(s->offset + offset + bytes) > length) {
        bytes = length - MIN(length, (int64_t)(s->offset + offset));
    }
    return bytes ? block_pdiscard(below(node), s->offset + offset, bytes) : 0;
}

static int raw_status(BlockNode *node, uint64_t offset, uint64_t bytes,
                      BlockStatus *status)
{
    RawState *s = node->state;
    int64_t length = block_length(below(node));
    uint64_t align = below(node)->limits.request_alignment;
    int ret;

    if ((int64_t)(s->offset + offset) >= length) {
        status->flags = BLOCK_STATUS_ZERO | BLOCK_STATUS_ALLOCATED |
                        BLOCK_STATUS_OFFSET_VALID;
        status->host_node = below(node);
        status->host_offset = s->offset + offset;
        status->bytes = bytes;
        return 0;
    }
    ret = block_status(below(node), s->offset + offset, bytes, status);
    /* A block that the file ends in belongs to its last extent. */
    if (ret == 0 && (int64_t)(s->offset + offset + status->bytes) == length &&
        status->bytes < bytes) {
        status->bytes = MIN(bytes, ROUND_UP_TO(offset + status->bytes,
                                               align) - offset);
    }
    return ret;
}

static int raw_map_fd(BlockNode *node, uint64_t offset, uint64_t bytes,
                      int *fd, uint64_t *fd_offset, uint64_t *n)
{
    RawState *s = node->state;

    return block_map_fd(below(node), s->offset + offset, bytes, fd, fd_offset,
                        n);
}

static bool raw_truncate(BlockNode *node, uint64_t size, bool exact,
                         BlockPreallocation prealloc, GError **error)
{
    RawState *s = node->state;

    if (s->has_size) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP,
                    "Cannot resize fixed-size raw disks");
        return false;
    }
    if (size > INT64_MAX - s->offset) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Disk size too large for the chosen offset");
        return false;
    }
    if (!block_truncate(below(node), size + s->offset, exact, prealloc,
                        error)) {
        return false;
    }
    block_node_set_length(node, window_length(node, s));
    return true;
}

static bool raw_reopen_prepare(BlockNode *node, json_t *options,
                               unsigned flags, void **prepared,
                               GError **error)
{
    RawState *next = g_new0(RawState, 1);

    if (!read_window(node, options, next, error)) {
        g_free(next);
        return false;
    }
    *prepared = next;
    return true;
}

static void raw_reopen_commit(BlockNode *node, void *prepared)
{
    RawState *next = prepared;

    memcpy(node->state, next, sizeof(*next));
    block_node_set_length(node, window_length(node, next));
    g_free(next);
}

static void raw_reopen_abort(BlockNode *node, void *prepared)
{
    g_free(prepared);
}

static bool raw_measure(json_t *options, BlockNode *source,
                        BlockMeasure *measure, GError **error)
{
    uint64_t size = 0;

    if (source) {
        int64_t length = block_length(source);

        if (length < 0) {
            block_error_set_errno(error, length, "Could not get image size");
            return false;
        }
        size = length;
    } else if (!block_options_size(options, "size", &size, error)) {
        return false;
    }
    size = ROUND_UP_TO(size, SECTOR);
    *measure = (BlockMeasure){ .required = size, .fully_allocated = size };
    return true;
}

/* Makes the file below: what a raw image is. */
static bool raw_create(json_t *options, GError **error)
{
    json_t *file = json_object_get(options, "file");
    json_t *whole;
    bool ok;

    if (!json_is_object(file)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter 'file' is missing");
        return false;
    }
    whole = json_copy(file);
    if (json_object_get(options, "size")) {
        json_object_set(whole, "size", json_object_get(options, "size"));
    }
    ok = block_node_create(whole, error);
    json_decref(whole);
    return ok;
}

static int64_t raw_allocated_size(BlockNode *node)
{
    BlockNode *file = below(node);

    return file->driver->allocated_size ? file->driver->allocated_size(file)
                                        : -ENOTSUP;
}

const BlockDriver block_driver_raw = {
    .name = "raw",
    .flags = BLOCK_DRIVER_GROWABLE,
    .state_size = sizeof(RawState),
    .options = raw_options,
    .create_options = raw_create_options,
    .open = raw_open,
    .create = raw_create,
    .reopen_prepare = raw_reopen_prepare,
    .reopen_commit = raw_reopen_commit,
    .reopen_abort = raw_reopen_abort,
    .child_perm = raw_child_perm,
    .preadv = raw_preadv,
    .pwritev = raw_pwritev,
    .pwrite_zeroes = raw_pwrite_zeroes,
    .pdiscard = raw_pdiscard,
    .status = raw_status,
    .batch = raw_batch,
    .batches = raw_batches,
    .map_fd = raw_map_fd,
    .fua_native = true,
    .truncate = raw_truncate,
    .allocated_size = raw_allocated_size,
    .measure = raw_measure,
};
