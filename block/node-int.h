/*
 * Inside of the graph: gates, node cores, edges.  For the core files of
 * block/ (node, graph, request, backend, dirty-bitmap), not for drivers.
 */
#ifndef BLOCK_NODE_INT_H
#define BLOCK_NODE_INT_H

#include "block/driver.h"

/* align: a power of two. */
#define ROUND_UP_TO(value, align) \
    (((value) + (align) - 1) & ~((uint64_t)(align) - 1))

/*
 * A gate counts the requests inside a node or backend and can be closed.
 *
 *     request:  shard += 1; closed?  yes: shard -= 1, sleep until opened
 *     closer:   closed += 1; wait until each shard has been zero once
 *
 * Each thread sticks to one shard (its cache line), so an open gate costs two
 * uncontended atomic additions.  Both sides are sequentially consistent: a
 * request that was not seen by the closer sees the gate closed.
 */
#define BLOCK_GATE_SHARDS 16

/* What a node counts of its own requests, per shard: no line is shared. */
typedef enum BlockCounter {
    BLOCK_COUNT_READ_OPS,
    BLOCK_COUNT_READ_BYTES,
    BLOCK_COUNT_WRITE_OPS,
    BLOCK_COUNT_WRITE_BYTES,
    BLOCK_COUNT_UNMAP_OPS,
    BLOCK_COUNT_UNMAP_BYTES,
    BLOCK_COUNT_FLUSH_OPS,
    BLOCK_COUNTERS
} BlockCounter;

struct BlockGate {
    struct {
        int count;
        uint64_t counters[BLOCK_COUNTERS]; /* fills the cache line */
    } shards[BLOCK_GATE_SHARDS];
    int closed;
    GMutex lock;
    GCond changed;
};

void block_gate_init(BlockGate *gate);
void block_gate_clear(BlockGate *gate);
void block_gate_close(BlockGate *gate);
void block_gate_open(BlockGate *gate);
void block_gate_wait(BlockGate *gate); /* slow path of enter */
void block_gate_leave_closed(BlockGate *gate); /* of leave */

/* Drained sections held by this thread: it may pass closed gates. */
extern __thread int block_drains_held;
extern __thread unsigned block_shard;
unsigned block_shard_assign(void);

static inline int *block_gate_shard(BlockGate *gate)
{
    unsigned shard = block_shard ? block_shard : block_shard_assign();

    return &gate->shards[shard - 1].count;
}

/* A request and its bytes; bytes go to the counter after that of requests. */
static inline void block_gate_count(BlockGate *gate, BlockCounter ops,
                                    uint64_t bytes)
{
    unsigned shard = block_shard ? block_shard : block_shard_assign();
    uint64_t *counters = gate->shards[shard - 1].counters;

    __atomic_fetch_add(&counters[ops], 1, __ATOMIC_RELAXED);
    if (bytes) {
        __atomic_fetch_add(&counters[ops + 1], bytes, __ATOMIC_RELAXED);
    }
}

static inline void block_gate_enter(BlockGate *gate)
{
    int *count = block_gate_shard(gate);

    __atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
    if (G_UNLIKELY(__atomic_load_n(&gate->closed, __ATOMIC_SEQ_CST)) &&
        !block_drains_held) {
        block_gate_wait(gate);
    }
}

/* The gate may be gone once the count is down: nothing is read after that. */
static inline void block_gate_leave(BlockGate *gate)
{
    if (G_UNLIKELY(__atomic_load_n(&gate->closed, __ATOMIC_SEQ_CST))) {
        block_gate_leave_closed(gate);
    } else {
        __atomic_fetch_sub(block_gate_shard(gate), 1, __ATOMIC_SEQ_CST);
    }
}

typedef struct BlockNodeCore {
    BlockNode node; /* first: the public part */
    BlockGate gate;
    int refs;
    GList link; /* in the list of all nodes; data is the node */
    GList *parents; /* of BlockEdge */
    bool monitor_owned;
    GList monitor_link;
    bool implicit_name; /* "#block123" */
    int drained;

    /* Bitmaps: the list changes only while drained. */
    struct BlockDirtyBitmap *bitmaps, *last_bitmap;
    GHashTable *bitmap_names; /* name -> bitmap; NULL: none yet */
    int recording;  /* how many of them record: 0 lets writes skip it all */
    int readonly_bitmaps; /* such a bitmap forbids writing the node */
    bool eager_bitmaps;   /* the driver records before the write */
    uint64_t bitmap_generation; /* of changes other than recording (atomic) */

    /* Unaligned requests: read-modify-write excludes other writes. */
    GRWLock rmw_lock;
    /* Flushes one at a time; clean: nothing was written since the last. */
    GMutex flush_lock;
    int unflushed; /* atomic */
    uint64_t write_threshold; /* 0: none */
    uint64_t wr_highest_offset;
    unsigned perm, shared; /* last given to driver->set_perm */
    const char *in_job; /* "backup" while a job owns the node, else NULL */
} BlockNodeCore;

static inline BlockNodeCore *block_core(const BlockNode *node)
{
    return node->core;
}

/* backend.c, called from graph.c */
const char *block_backend_label(void *backend);
BlockGate *block_backend_gate(void *backend);
void block_backend_moved(void *backend);
void block_backend_drain_notify(void *backend, bool begin);
void block_backend_resized(void *backend, uint64_t size);

/* graph.c */
BlockEdge *block_edge_new(BlockNode *parent, void *backend, BlockNode *child,
                          const char *name, BlockRole role, unsigned perm,
                          unsigned shared, GError **error);
void block_edge_free(BlockEdge *edge); /* drops the child */
bool block_edge_set_perm(BlockEdge *edge, unsigned perm, unsigned shared,
                         GError **error);
/* Would node be its own descendant? */
bool block_node_reaches(BlockNode *from, BlockNode *to);
char *block_perm_names(unsigned perm);
/* overlay gets node as backing child and all other users of node. */
bool block_node_insert_above(BlockNode *overlay, BlockNode *node,
                             GError **error);

/* node.c */
BlockNode *block_node_build(const BlockDriver *driver, const char *name,
                            json_t *options, unsigned flags, GError **error);
const BlockOption *block_generic_options(void);
bool block_flags_from_options(json_t *options, unsigned *flags,
                              GError **error);
/* Splits generic members off: what remains belongs to the driver. */
json_t *block_driver_options(json_t *options);
bool block_node_name_valid(const char *name);
BlockNode *block_node_from_ref(json_t *ref, unsigned flags, GError **error);
BlockNode *block_open_probed(json_t *file_options, const char *format,
                             json_t *options, unsigned flags,
                             GError **error);
/* How a child is opened by what is above it. */
unsigned block_child_flags(unsigned parent, BlockRole role);
/* A format's or filter's "filename" is its file's: options changes so. */
bool block_expand_filename(json_t *options, const BlockDriver *driver,
                           GError **error);
/* Opens the backing image the header or options name; sets node->backing. */
bool block_open_backing(BlockNode *node, json_t *options, GError **error);

/* request.c: before and after bytes of a node change, inside its gate. */
int block_write_check(BlockNode *node, uint64_t offset, uint64_t bytes);
void block_write_done(BlockNode *node, uint64_t offset, uint64_t bytes,
                      unsigned flags, int ret);

/* dirty-bitmap.c, called on the write path after the data is written. */
void block_bitmaps_record(BlockNode *node, uint64_t offset, uint64_t bytes);
bool block_bitmaps_truncate(BlockNode *node, uint64_t size, GError **error);
void block_bitmaps_release_all(BlockNode *node);

#endif
