/* Managing the graph for a person; see monitor-nodes.h. */
#include "block/monitor-nodes.h"

#include <errno.h>
#include <string.h>

#include "block/driver.h"
#include "block/backend.h"
#include "block/node-int.h"

bool block_node_monitor_owned(const BlockNode *node)
{
    return block_core(node)->monitor_owned;
}

bool block_node_has_parents(const BlockNode *node)
{
    return block_core(node)->parents != NULL ||
           block_core(node)->refs > (block_core(node)->monitor_owned ? 1 : 0);
}

bool block_node_has_backend(const BlockNode *node)
{
    for (GList *l = block_core(node)->parents; l; l = l->next) {
        BlockEdge *edge = l->data;

        if (edge->backend) {
            return true;
        }
    }
    return false;
}

bool block_node_append(BlockNode *overlay, BlockNode *node, GError **error)
{
    bool ok;

    block_node_drain_begin(node);
    block_node_drain_begin(overlay);
    /*
     * Backing first: its permissions must hold once the users have moved.
     * While they are still on node, overlay's own edge asks for nothing.
     */
    ok = block_node_insert_above(overlay, node, error);
    block_node_drain_end(overlay);
    block_node_drain_end(node);
    return ok;
}

void block_node_set_job(BlockNode *node, const char *job_type)
{
    block_core(node)->in_job = job_type;
}

/* People know a disk by its device rather than by a made-up node name. */
static const char *device_or_name(BlockNode *node)
{
    for (BlockBackend *backend = block_backend_next(NULL); backend;
         backend = block_backend_next(backend)) {
        if (block_backend_node(backend) == node &&
            *block_backend_name(backend)) {
            return block_backend_name(backend);
        }
    }
    return node->name;
}

bool block_node_check_job(BlockNode *node, GError **error)
{
    const char *job = block_core(node)->in_job;

    if (job) {
        g_set_error(error, BLOCK_ERROR, EBUSY, "Node '%s' is busy: block "
                    "device is in use by block job: %s", device_or_name(node),
                    job);
    }
    return !job;
}

BlockNode *block_node_below(BlockNode *node)
{
    BlockNode *filtered = block_node_filtered(node);

    return filtered ? filtered : block_node_backing(node);
}

bool block_chain_check_jobs(BlockNode *top, BlockNode *end, GError **error)
{
    for (BlockNode *n = top; n && n != end; n = block_node_below(n)) {
        if (!block_node_check_job(n, error)) {
            return false;
        }
    }
    return true;
}

bool block_chain_has(BlockNode *top, BlockNode *node)
{
    while (top && top != node) {
        top = block_node_below(top);
    }
    return top != NULL;
}

void block_node_set_write_threshold(BlockNode *node, uint64_t bytes)
{
    block_core(node)->write_threshold = bytes;
}

void block_node_stats(BlockNode *node, BlockNodeStats *stats)
{
    const BlockGate *gate = &block_core(node)->gate;
    uint64_t sum[BLOCK_COUNTERS] = { 0 };

    for (unsigned i = 0; i < BLOCK_GATE_SHARDS; i++) {
        for (unsigned n = 0; n < BLOCK_COUNTERS; n++) {
            sum[n] += __atomic_load_n(&gate->shards[i].counters[n],
                                      __ATOMIC_RELAXED);
        }
    }
    *stats = (BlockNodeStats){
        .read_ops = sum[BLOCK_COUNT_READ_OPS],
        .read_bytes = sum[BLOCK_COUNT_READ_BYTES],
        .write_ops = sum[BLOCK_COUNT_WRITE_OPS],
        .write_bytes = sum[BLOCK_COUNT_WRITE_BYTES],
        .unmap_ops = sum[BLOCK_COUNT_UNMAP_OPS],
        .unmap_bytes = sum[BLOCK_COUNT_UNMAP_BYTES],
        .flush_ops = sum[BLOCK_COUNT_FLUSH_OPS],
        .highest_offset = __atomic_load_n(&block_core(node)->wr_highest_offset,
                                          __ATOMIC_RELAXED),
    };
}
