/*
 * Driver "compress": a filter whose writes are stored compressed.
 *
 * Whole clusters are compressed one by one; the core makes them of parts by
 * reading the rest, because the cluster is the filter's alignment.  A cluster
 * that is written again takes new space.
 */
#include "block/driver.h"

#include <errno.h>

#include "block/options.h"

static const BlockOption compress_options[] = {
    { "file", BLOCK_OPT_NODE, .required = true },
    { NULL },
};

static bool compress_open(BlockNode *node, json_t *options, GError **error)
{
    BlockNode *below;

    if (!block_open_child(node, options, "file", BLOCK_ROLE_FILTERED, false,
                          error)) {
        return false;
    }
    below = node->file->node;
    node->read_only = node->read_only || below->read_only;
    if (!below->driver->can_compress || !below->limits.cluster_size) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP, "Compression is not "
                    "supported for this drive '%s'", below->name);
        return false;
    }
    node->limits.request_alignment = MIN(below->limits.cluster_size, 65536);
    node->limits.cluster_size = below->limits.cluster_size;
    return true;
}

static int compress_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                           const struct iovec *iov, int niov, unsigned flags)
{
    return block_preadv(node->file->node, offset, bytes, iov, niov, flags);
}

static int compress_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                            const struct iovec *iov, int niov, unsigned flags)
{
    uint64_t cluster = node->limits.cluster_size;

    /* Clusters above 64 KiB are not always given whole. */
    if (!((offset | bytes) & (cluster - 1)) ||
        (!(offset & (cluster - 1)) &&
         offset + bytes == (uint64_t)block_length(node->file->node))) {
        flags |= BLOCK_REQ_COMPRESSED;
    }
    return block_pwritev(node->file->node, offset, bytes, iov, niov, flags);
}

static int compress_pwrite_zeroes(BlockNode *node, uint64_t offset,
                                  uint64_t bytes, unsigned flags)
{
    return block_pwrite_zeroes(node->file->node, offset, bytes, flags);
}

static int compress_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return block_pdiscard(node->file->node, offset, bytes);
}

static int64_t compress_get_length(BlockNode *node)
{
    return block_length(node->file->node);
}

const BlockDriver block_driver_compress = {
    .name = "compress",
    .flags = BLOCK_DRIVER_FILTER,
    .options = compress_options,
    .open = compress_open,
    .preadv = compress_preadv,
    .pwritev = compress_pwritev,
    .pwrite_zeroes = compress_pwrite_zeroes,
    .pdiscard = compress_pdiscard,
    .get_length = compress_get_length,
};
