/*
 * Driver "compress": a filter whose writes are stored compressed.
 *
 * Whole clusters are compressed one by one; the core makes them of parts by
 * reading the rest, because the cluster is the filter's alignment.  A cluster
 * that is written again takes new space.
 */
#include "block/filter.h"

#include <errno.h>

static bool compress_open(BlockNode *node, json_t *options, GError **error)
{
    BlockNode *below;

    if (!block_filter_open(node, options, error)) {
        return false;
    }
    below = node->file->node;
    if (!below->driver->can_compress || !below->limits.cluster_size) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP, "Compression is not "
                    "supported for this drive '%s'", below->name);
        return false;
    }
    node->limits.request_alignment = MIN(below->limits.cluster_size, 65536);
    node->limits.cluster_size = below->limits.cluster_size;
    return true;
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

const BlockDriver block_driver_compress = {
    .name = "compress",
    .flags = BLOCK_DRIVER_FILTER,
    .options = block_filter_options,
    .open = compress_open,
    .preadv = block_filter_preadv,
    .pwritev = compress_pwritev,
    .pwrite_zeroes = block_filter_pwrite_zeroes,
    .pdiscard = block_filter_pdiscard,
    .get_length = block_filter_get_length,
};
