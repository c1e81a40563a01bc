/*
 * Backends: users of nodes from outside the graph.  See backend.h.
 *
 * A backend has a gate of its own in front of the node's: it keeps the edge
 * from being moved between looking at it and entering the node.
 */
#include "block/backend.h"

#include <errno.h>
#include <string.h>

#include "block/dirty-bitmap.h"
#include "block/node-int.h"
#include "block/throttle-group.h"

struct BlockBackend {
    BlockGate gate;
    int refs;
    char *name;  /* "" if none */
    char *label; /* for error messages */
    char *device;
    unsigned perm, shared;
    BlockEdge *edge; /* changes while the gate is closed */
    bool writethrough;
    ThrottleGroup *throttle; /* NULL: no limits; changes like edge */
    const BlockBackendOps *ops;
    void *opaque;
    GList link;
    /* Counters, one set per shard to keep threads apart. */
    struct {
        BlockBackendStats stats;
        char pad[128 - sizeof(BlockBackendStats) % 128];
    } counters[BLOCK_GATE_SHARDS];
};

static GQueue backends = G_QUEUE_INIT; /* graph lock */

BlockBackend *block_backend_new(const char *name, const char *label,
                                unsigned perm, unsigned shared)
{
    BlockBackend *backend = g_new0(BlockBackend, 1);

    backend->refs = 1;
    backend->name = g_strdup(name ? name : "");
    backend->label = g_strdup(label ? label : "a block device");
    backend->perm = perm;
    backend->shared = shared;
    backend->link.data = backend;
    block_gate_init(&backend->gate);
    block_graph_lock();
    g_queue_push_tail_link(&backends, &backend->link);
    block_graph_unlock();
    return backend;
}

void block_backend_ref(BlockBackend *backend)
{
    __atomic_fetch_add(&backend->refs, 1, __ATOMIC_RELAXED);
}

void block_backend_unref(BlockBackend *backend)
{
    if (!backend ||
        __atomic_sub_fetch(&backend->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    block_graph_lock();
    backend->refs = 1;
    block_backend_detach(backend);
    if (backend->throttle) {
        throttle_group_unref(backend->throttle);
    }
    g_queue_unlink(&backends, &backend->link);
    block_graph_unlock();
    block_gate_clear(&backend->gate);
    g_free(backend->name);
    g_free(backend->label);
    g_free(backend->device);
    g_free(backend);
}

BlockBackend *block_backend_open(const char *filename, const char *format,
                                 json_t *options, unsigned flags,
                                 GError **error)
{
    BlockNode *node = block_node_open_filename(filename, format, options,
                                               flags, error);
    unsigned perm = 0;
    BlockBackend *backend;

    if (!node) {
        return NULL;
    }
    if (!(flags & BLOCK_OPEN_NO_IO)) {
        perm = BLOCK_PERM_CONSISTENT_READ;
    }
    if (flags & BLOCK_OPEN_RDWR && !node->read_only) {
        perm |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
    backend = block_backend_new(NULL, NULL, perm, BLOCK_PERM_ALL);
    backend->writethrough = flags & BLOCK_OPEN_WRITETHROUGH;
    if (!block_backend_attach(backend, node, error)) {
        block_backend_unref(backend);
        backend = NULL;
    }
    block_node_unref(node);
    return backend;
}

bool block_backend_attach(BlockBackend *backend, BlockNode *node,
                          GError **error)
{
    BlockEdge *edge;

    block_graph_lock();
    g_assert(!backend->edge);
    edge = block_edge_new(NULL, backend, node, "root", BLOCK_ROLE_FILTERED,
                          backend->perm, backend->shared, error);
    if (edge) {
        block_gate_close(&backend->gate);
        backend->edge = edge;
        block_gate_open(&backend->gate);
    }
    block_graph_unlock();
    return edge != NULL;
}

void block_backend_detach(BlockBackend *backend)
{
    BlockEdge *edge;

    block_graph_lock();
    edge = backend->edge;
    if (edge) {
        block_gate_close(&backend->gate);
        backend->edge = NULL;
        block_gate_open(&backend->gate);
        block_edge_free(edge);
    }
    block_graph_unlock();
}

unsigned block_backend_perm(BlockBackend *backend)
{
    return backend->perm;
}

bool block_backend_set_perm(BlockBackend *backend, unsigned perm,
                            unsigned shared, GError **error)
{
    bool ok = true;

    block_graph_lock();
    if (backend->edge) {
        ok = block_edge_set_perm(backend->edge, perm, shared, error);
    }
    if (ok) {
        backend->perm = perm;
        backend->shared = shared;
    }
    block_graph_unlock();
    return ok;
}

void block_backend_set_ops(BlockBackend *backend, const BlockBackendOps *ops,
                           void *opaque)
{
    block_graph_lock();
    backend->ops = ops;
    backend->opaque = opaque;
    block_graph_unlock();
}

void block_backend_set_writethrough(BlockBackend *backend, bool on)
{
    backend->writethrough = on;
}

void block_backend_set_device(BlockBackend *backend, const char *device)
{
    g_free(backend->device);
    backend->device = g_strdup(device);
}

const char *block_backend_device(BlockBackend *backend)
{
    return backend->device;
}

BlockNode *block_backend_node(BlockBackend *backend)
{
    return block_edge_node(backend->edge);
}

const char *block_backend_name(BlockBackend *backend)
{
    return backend->name;
}

BlockBackend *block_backend_find(const char *name)
{
    for (GList *l = backends.head; l; l = l->next) {
        BlockBackend *backend = l->data;

        if (*backend->name && !strcmp(backend->name, name)) {
            return backend;
        }
    }
    return NULL;
}

BlockBackend *block_backend_next(BlockBackend *prev)
{
    GList *link = prev ? prev->link.next : backends.head;

    return link ? link->data : NULL;
}

/* ---- For graph.c -------------------------------------------------------- */

const char *block_backend_label(void *opaque)
{
    BlockBackend *backend = opaque;

    return backend->label;
}

BlockGate *block_backend_gate(void *opaque)
{
    BlockBackend *backend = opaque;

    return &backend->gate;
}

/* ---- Limits ------------------------------------------------------------- */

ThrottleGroup *block_backend_throttle(BlockBackend *backend)
{
    return backend->throttle;
}

static void set_throttle(BlockBackend *backend, ThrottleGroup *group)
{
    ThrottleGroup *old = backend->throttle;

    block_gate_close(&backend->gate);
    backend->throttle = group;
    block_gate_open(&backend->gate);
    if (old) {
        throttle_group_unref(old);
    }
}

/* A reference. */
static ThrottleGroup *limited_group(const char *id, json_t *options,
                                    GError **error)
{
    ThrottleGroup *group = throttle_group_find(id);

    if (!group) {
        return throttle_group_new(id, options, error);
    }
    if (!throttle_group_set_limits(group, options, error)) {
        throttle_group_unref(group);
        group = NULL;
    }
    return group;
}

bool block_backend_set_limits(BlockBackend *backend, const char *group,
                              json_t *limits, GError **error)
{
    json_t *options = json_pack("{s:O}", "limits", limits);
    ThrottleGroup *to = NULL;
    bool any = false;
    bool ok;

    block_graph_lock();
    if (!group) {
        group = backend->throttle ? throttle_group_id(backend->throttle)
                : *backend->name ? backend->name : backend->device;
    }
    ok = throttle_limits_check(options, &any, error) &&
         (!any || (to = limited_group(group ? group : "", options, error)));
    if (ok) {
        set_throttle(backend, to);
    }
    block_graph_unlock();
    json_decref(options);
    return ok;
}

/* In the gate.  Those waiting when it is closed pass at once. */
static void wait_turn(BlockBackend *backend, bool write, uint64_t bytes)
{
    if (backend->throttle) {
        throttle_group_wait(backend->throttle, write, bytes,
                            &backend->gate.closed);
    }
}

void block_backend_moved(void *opaque)
{
    BlockBackend *backend = opaque;

    if (backend->ops && backend->ops->moved) {
        backend->ops->moved(backend->opaque);
    }
}

void block_backend_drain_notify(void *opaque, bool begin)
{
    BlockBackend *backend = opaque;

    if (!backend->ops) {
        return;
    }
    if (begin && backend->ops->drained_begin) {
        backend->ops->drained_begin(backend->opaque);
    } else if (!begin && backend->ops->drained_end) {
        backend->ops->drained_end(backend->opaque);
    }
}

void block_backend_resized(void *opaque, uint64_t size)
{
    BlockBackend *backend = opaque;

    if (backend->ops && backend->ops->resized) {
        backend->ops->resized(backend->opaque, size);
    }
}

/* ---- Requests ----------------------------------------------------------- */

BlockNode *block_backend_enter(BlockBackend *backend)
{
    BlockNode *node;

    block_gate_enter(&backend->gate);
    node = block_edge_node(backend->edge);
    if (!node) {
        block_gate_leave(&backend->gate);
    }
    return node;
}

void block_backend_leave(BlockBackend *backend)
{
    block_gate_leave(&backend->gate);
}

static BlockBackendStats *my_stats(BlockBackend *backend)
{
    unsigned shard = block_shard ? block_shard : block_shard_assign();

    return &backend->counters[shard - 1].stats;
}

static void count(uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static bool in_range(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    int64_t length = block_length(node);

    return length >= 0 && offset <= (uint64_t)length &&
           bytes <= (uint64_t)length - offset;
}

/* Enters for a change of [offset, offset + bytes); *ret tells why not. */
static BlockNode *enter_write(BlockBackend *backend, uint64_t offset,
                              uint64_t bytes, unsigned *flags, int *ret)
{
    BlockNode *node = block_backend_enter(backend);

    if (!node) {
        *ret = -ENOMEDIUM;
        return NULL;
    }
    *ret = !(backend->perm & BLOCK_PERM_WRITE) ? -EPERM
           : !in_range(node, offset, bytes) ? -ENOSPC : 0;
    if (*ret < 0) {
        block_backend_leave(backend);
        return NULL;
    }
    wait_turn(backend, true, bytes);
    if (backend->writethrough) {
        *flags |= BLOCK_REQ_FUA;
    }
    return node;
}

int block_backend_preadv(BlockBackend *backend, uint64_t offset,
                         uint64_t bytes, const struct iovec *iov, int niov,
                         unsigned flags)
{
    BlockBackendStats *stats = my_stats(backend);
    BlockNode *node = block_backend_enter(backend);
    int ret;

    if (!node) {
        return -ENOMEDIUM;
    }
    wait_turn(backend, false, bytes);
    ret = in_range(node, offset, bytes)
              ? block_preadv(node, offset, bytes, iov, niov, flags)
              : -EINVAL;
    block_backend_leave(backend);
    if (ret < 0) {
        count(&stats->failed_read_ops, 1);
    } else {
        count(&stats->read_ops, 1);
        count(&stats->read_bytes, bytes);
    }
    return ret;
}

int block_backend_pwritev(BlockBackend *backend, uint64_t offset,
                          uint64_t bytes, const struct iovec *iov, int niov,
                          unsigned flags)
{
    BlockBackendStats *stats = my_stats(backend);
    int ret;
    BlockNode *node = enter_write(backend, offset, bytes, &flags, &ret);

    if (node) {
        ret = block_pwritev(node, offset, bytes, iov, niov, flags);
        block_backend_leave(backend);
    }
    if (ret < 0) {
        count(&stats->failed_write_ops, 1);
    } else {
        count(&stats->write_ops, 1);
        count(&stats->write_bytes, bytes);
    }
    return ret;
}

/* True: done, and counted. */
static bool batch_counted(BlockBackendStats *stats, const BlockBatchItem *item)
{
    if (item->ret == BLOCK_BATCH_ALONE) {
        return false;
    }
    if (item->write) {
        count(item->ret < 0 ? &stats->failed_write_ops : &stats->write_ops, 1);
        count(&stats->write_bytes, item->ret < 0 ? 0 : item->bytes);
    } else {
        count(item->ret < 0 ? &stats->failed_read_ops : &stats->read_ops, 1);
        count(&stats->read_bytes, item->ret < 0 ? 0 : item->bytes);
    }
    return true;
}

void block_backend_batch(BlockBackend *backend, BlockBatchItem *items,
                         unsigned n)
{
    BlockNode *node = block_backend_enter(backend);
    bool writable = (backend->perm & BLOCK_PERM_WRITE) &&
                    !backend->writethrough;

    for (unsigned i = 0; i < n; i++) {
        bool plain = node && !backend->throttle &&
                     (writable || !items[i].write) &&
                     in_range(node, items[i].offset, items[i].bytes);

        items[i].ret = plain ? BLOCK_BATCH_TODO : BLOCK_BATCH_ALONE;
    }
    if (node) {
        block_batch(node, items, n);
        block_backend_leave(backend);
    }
    for (unsigned i = 0; i < n; i++) {
        BlockBatchItem *item = &items[i];

        if (!batch_counted(my_stats(backend), item)) {
            item->ret = item->write
                ? block_backend_pwrite(backend, item->offset, item->bytes,
                                       item->buf, 0)
                : block_backend_pread(backend, item->offset, item->bytes,
                                      item->buf, 0);
        }
    }
}

int block_backend_pread(BlockBackend *backend, uint64_t offset,
                        uint64_t bytes, void *buf, unsigned flags)
{
    struct iovec iov = { buf, bytes };

    return block_backend_preadv(backend, offset, bytes, &iov, 1, flags);
}

int block_backend_pwrite(BlockBackend *backend, uint64_t offset,
                         uint64_t bytes, const void *buf, unsigned flags)
{
    struct iovec iov = { (void *)buf, bytes };

    return block_backend_pwritev(backend, offset, bytes, &iov, 1, flags);
}

int block_backend_pwrite_zeroes(BlockBackend *backend, uint64_t offset,
                                uint64_t bytes, unsigned flags)
{
    BlockBackendStats *stats = my_stats(backend);
    int ret;
    BlockNode *node = enter_write(backend, offset, bytes, &flags, &ret);

    if (node) {
        ret = block_pwrite_zeroes(node, offset, bytes, flags);
        block_backend_leave(backend);
    }
    count(ret < 0 ? &stats->failed_write_ops : &stats->write_ops, 1);
    return ret;
}

int block_backend_pdiscard(BlockBackend *backend, uint64_t offset,
                           uint64_t bytes)
{
    BlockBackendStats *stats = my_stats(backend);
    unsigned flags = 0;
    int ret;
    BlockNode *node = enter_write(backend, offset, bytes, &flags, &ret);

    if (ret == -ENOSPC) {
        ret = -EINVAL; /* nothing would be stored there */
    }
    if (node) {
        ret = block_pdiscard(node, offset, bytes);
        block_backend_leave(backend);
    }
    if (ret == 0) {
        count(&stats->unmap_ops, 1);
        count(&stats->unmap_bytes, bytes);
    }
    return ret;
}

int block_backend_flush(BlockBackend *backend)
{
    BlockBackendStats *stats = my_stats(backend);
    BlockNode *node = block_backend_enter(backend);
    int ret;

    if (!node) {
        return -ENOMEDIUM;
    }
    ret = block_flush(node);
    block_backend_leave(backend);
    count(ret < 0 ? &stats->failed_flush_ops : &stats->flush_ops, 1);
    return ret;
}

int block_backend_status(BlockBackend *backend, uint64_t offset,
                         uint64_t bytes, BlockStatus *status)
{
    BlockNode *node = block_backend_enter(backend);
    int ret;

    if (!node) {
        return -ENOMEDIUM;
    }
    ret = in_range(node, offset, bytes)
              ? block_status(node, offset, bytes, status) : -EINVAL;
    block_backend_leave(backend);
    return ret;
}

int64_t block_backend_length(BlockBackend *backend)
{
    BlockNode *node = block_backend_enter(backend);
    int64_t length;

    if (!node) {
        return -ENOMEDIUM;
    }
    length = block_length(node);
    block_backend_leave(backend);
    return length;
}

int block_backend_limits(BlockBackend *backend, BlockLimits *limits)
{
    BlockNode *node = block_backend_enter(backend);

    if (!node) {
        return -ENOMEDIUM;
    }
    *limits = node->limits;
    block_backend_leave(backend);
    return 0;
}

void block_backend_stats(BlockBackend *backend, BlockBackendStats *stats)
{
    uint64_t *sum = (uint64_t *)stats;

    memset(stats, 0, sizeof(*stats));
    for (int i = 0; i < BLOCK_GATE_SHARDS; i++) {
        uint64_t *one = (uint64_t *)&backend->counters[i].stats;

        for (size_t j = 0; j < sizeof(*stats) / sizeof(uint64_t); j++) {
            sum[j] += __atomic_load_n(&one[j], __ATOMIC_RELAXED);
        }
    }
}
