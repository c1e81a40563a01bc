/* What filters do alike; see filter.h. */
#include "block/filter.h"

const BlockOption block_filter_options[] = {
    { "file", BLOCK_OPT_NODE, .required = true },
    { NULL },
};

bool block_filter_open(BlockNode *node, json_t *options, GError **error)
{
    if (!block_open_child(node, options, "file", BLOCK_ROLE_FILTERED, false,
                          error)) {
        return false;
    }
    node->read_only = node->read_only || node->file->node->read_only;
    return true;
}

int block_filter_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                        const struct iovec *iov, int niov, unsigned flags)
{
    return block_preadv(node->file->node, offset, bytes, iov, niov, flags);
}

int block_filter_pwrite_zeroes(BlockNode *node, uint64_t offset,
                               uint64_t bytes, unsigned flags)
{
    return block_pwrite_zeroes(node->file->node, offset, bytes, flags);
}

int block_filter_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return block_pdiscard(node->file->node, offset, bytes);
}

int64_t block_filter_get_length(BlockNode *node)
{
    return block_length(node->file->node);
}

BlockNode *block_filter_insert(BlockNode *node, json_t *options,
                               const char *name, unsigned flags,
                               GError **error)
{
    BlockNode *filter;

    if (name) {
        json_object_set_new(options, "node-name", json_string(name));
    }
    filter = block_node_open(options, flags, error);
    json_decref(options);
    if (filter && !block_node_replace(node, filter, error)) {
        block_node_unref(filter);
        return NULL;
    }
    return filter;
}

void block_filter_remove(BlockNode *filter)
{
    if (filter) {
        block_node_replace(filter, filter->file->node, NULL);
        block_node_unref(filter);
    }
}
