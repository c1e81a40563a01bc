/*
 * Split virtqueues; see virtio.h.
 */
#include "hw/virtio.h"

#include <string.h>

#include "block/iov.h"
#include "util/bytes.h"
#include "util/log.h"

enum {
    DESC_BYTES = 16,
    DESC_NEXT = 1,
    DESC_WRITE = 2,
    DESC_INDIRECT = 4,
    AVAIL_NO_INTERRUPT = 1,
    RING_FLAGS = 0,
    RING_INDEX = 2,
    RING_ENTRIES = 4,
    USED_ENTRY_BYTES = 8,
};

typedef struct Desc {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags;
    uint16_t next;
} Desc;

void virtio_init(VirtioDevice *vdev, const VirtioType *type, const char *id,
                 PhysMem *mem, unsigned n_queues, unsigned queue_size)
{
    vdev->type = type;
    vdev->id = g_strdup(id);
    vdev->mem = mem;
    vdev->n_queues = n_queues;
    vdev->offered = type->features | VIRTIO_F_VERSION_1 |
                    VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;
    for (unsigned i = 0; i < n_queues; i++) {
        vdev->queues[i].vdev = vdev;
        vdev->queues[i].index = i;
        vdev->queues[i].size = queue_size;
        g_mutex_init(&vdev->queues[i].lock);
    }
}

void virtio_clear(VirtioDevice *vdev)
{
    for (unsigned i = 0; i < vdev->n_queues; i++) {
        g_mutex_clear(&vdev->queues[i].lock);
    }
    g_free(vdev->id);
}

void virtio_reset(VirtioDevice *vdev)
{
    vdev->status = 0;
    vdev->accepted = 0;
    for (unsigned i = 0; i < vdev->n_queues; i++) {
        VirtioQueue *queue = &vdev->queues[i];

        g_mutex_lock(&queue->lock);
        queue->ready = 0;
        queue->desc = queue->driver = queue->device = 0;
        queue->last_avail = queue->used = queue->signalled = 0;
        queue->event_valid = false;
        g_mutex_unlock(&queue->lock);
    }
    if (vdev->type->reset) {
        vdev->type->reset(vdev);
    }
}

void virtio_set_status(VirtioDevice *vdev, uint32_t status)
{
    if ((status & VIRTIO_STATUS_FEATURES_OK) &&
        ((vdev->accepted & ~vdev->offered) ||
         !(vdev->accepted & VIRTIO_F_VERSION_1))) {
        log_printf(LOG_GUEST_ERROR, "%s: features 0x%llx are not on offer\n",
                   vdev->id, (unsigned long long)vdev->accepted);
        status &= ~VIRTIO_STATUS_FEATURES_OK;
    }
    vdev->status = status | (vdev->status & VIRTIO_STATUS_NEEDS_RESET);
    if (vdev->type->status_changed) {
        vdev->type->status_changed(vdev);
    }
}

void virtio_broken(VirtioDevice *vdev, const char *why)
{
    log_printf(LOG_GUEST_ERROR, "%s: %s; device stopped\n", vdev->id, why);
    __atomic_or_fetch(&vdev->status, VIRTIO_STATUS_NEEDS_RESET,
                      __ATOMIC_SEQ_CST);
    if (vdev->status & VIRTIO_STATUS_DRIVER_OK) {
        vdev->raise(vdev->transport, NULL);
    }
}

/* ---- For transports ----------------------------------------------------------- */

void virtio_accept_features(VirtioDevice *vdev, uint32_t half, uint32_t bits)
{
    if (half < 2 && !(vdev->status & VIRTIO_STATUS_FEATURES_OK)) {
        vdev->accepted = deposit64(vdev->accepted, 32 * half, 32, bits);
    }
}

void virtio_queue_set_size(VirtioQueue *queue, uint64_t size)
{
    if (queue->ready) {
        return;
    }
    if (!size || size > VIRTIO_QUEUE_MAX || (size & (size - 1))) {
        log_printf(LOG_GUEST_ERROR, "%s: queue size %u\n", queue->vdev->id,
                   (unsigned)size);
        return;
    }
    queue->size = size;
}

void virtio_queue_set_ready(VirtioQueue *queue, bool ready)
{
    if (!ready && queue->ready) {
        virtio_quiesce(queue->vdev);
    }
    g_mutex_lock(&queue->lock);
    if (ready && !queue->ready) {
        queue->last_avail = queue->used = 0;
        queue->event_valid = false;
    }
    queue->ready = ready;
    g_mutex_unlock(&queue->lock);
}

void virtio_bell(VirtioDevice *vdev, uint64_t queue)
{
    if (queue >= vdev->n_queues) {
        log_printf(LOG_GUEST_ERROR, "%s: bell of queue %u\n", vdev->id,
                   (unsigned)queue);
    } else if (vdev->status & VIRTIO_STATUS_DRIVER_OK) {
        vdev->type->notify(vdev, queue);
    }
}

uint64_t virtio_config_read(VirtioDevice *vdev, uint64_t at, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        if (at + i < sizeof(vdev->config)) {
            value |= (uint64_t)vdev->config[at + i] << (8 * i);
        }
    }
    return value;
}

void virtio_config_write(VirtioDevice *vdev, uint64_t at, unsigned size,
                         uint64_t value)
{
    if (!vdev->type->config_written) {
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        if (at + i < sizeof(vdev->config)) {
            vdev->config[at + i] = value >> (8 * i);
        }
    }
    vdev->type->config_written(vdev);
}

void virtio_config_changed(VirtioDevice *vdev)
{
    vdev->config_generation++;
    if (vdev->raise && (vdev->status & VIRTIO_STATUS_DRIVER_OK)) {
        vdev->raise(vdev->transport, NULL);
    }
}

void virtio_quiesce(VirtioDevice *vdev)
{
    if (vdev->type->quiesce) {
        vdev->type->quiesce(vdev);
    }
}

void virtio_resume(VirtioDevice *vdev)
{
    for (unsigned i = 0; i < vdev->n_queues; i++) {
        if (vdev->queues[i].ready && (vdev->status & VIRTIO_STATUS_DRIVER_OK)) {
            vdev->type->notify(vdev, i);
        }
    }
}

static const StateField queue_fields[] = {
    STATE_FIELD(VirtioQueue, size),
    STATE_FIELD(VirtioQueue, ready),
    STATE_FIELD(VirtioQueue, desc),
    STATE_FIELD(VirtioQueue, driver),
    STATE_FIELD(VirtioQueue, device),
    STATE_FIELD(VirtioQueue, last_avail),
    STATE_FIELD(VirtioQueue, used),
    STATE_FIELD(VirtioQueue, event_valid),
    STATE_FIELD(VirtioQueue, signalled),
    STATE_END,
};

const StateField virtio_fields[] = {
    STATE_STRUCTS(VirtioDevice, queues, queue_fields),
    STATE_FIELD(VirtioDevice, accepted),
    STATE_FIELD(VirtioDevice, status),
    STATE_FIELD(VirtioDevice, config_generation),
    STATE_END,
};

static bool is_broken(const VirtioDevice *vdev)
{
    return __atomic_load_n(&vdev->status, __ATOMIC_ACQUIRE) &
           VIRTIO_STATUS_NEEDS_RESET;
}

/* Part of a ring; NULL when it is not in RAM. */
static uint8_t *ring(const VirtioQueue *queue, uint64_t base, uint64_t bytes)
{
    return physmem_host(queue->vdev->mem, base, bytes);
}

static uint8_t *avail_ring(const VirtioQueue *queue)
{
    return ring(queue, queue->driver, RING_ENTRIES + 2 * queue->size + 2);
}

static uint8_t *used_ring(const VirtioQueue *queue)
{
    return ring(queue, queue->device,
                RING_ENTRIES + USED_ENTRY_BYTES * (uint64_t)queue->size + 2);
}

static Desc load_desc(const uint8_t *at)
{
    return (Desc){ ldq_le_p(at), ldl_le_p(at + 8), ldw_le_p(at + 12),
                   ldw_le_p(at + 14) };
}

/* ---- Taking requests -------------------------------------------------------- */

typedef struct Chain {
    VirtioQueue *queue;
    GArray *out, *in; /* struct iovec */
    uint64_t out_bytes, in_bytes;
    const char *error;
} Chain;

static bool add_segment(Chain *chain, const Desc *desc)
{
    bool write = desc->flags & DESC_WRITE;
    struct iovec segment = {
        physmem_host(chain->queue->vdev->mem, desc->address, desc->bytes),
        desc->bytes
    };

    if (chain->out->len + chain->in->len == VIRTIO_CHAIN_MAX) {
        chain->error = "descriptor chain is too long";
    } else if (!segment.iov_base) {
        chain->error = "descriptor points outside of RAM";
    } else if (!write && chain->in->len) {
        chain->error = "readable descriptor after a writable one";
    }
    if (chain->error) {
        return false;
    }
    if (desc->bytes) {
        g_array_append_val(write ? chain->in : chain->out, segment);
        *(write ? &chain->in_bytes : &chain->out_bytes) += desc->bytes;
    }
    return true;
}

/* Follows a chain through a table of n descriptors. */
static void walk_table(Chain *chain, const uint8_t *table, uint32_t n,
                       uint16_t head, bool indirect)
{
    uint32_t at = head;

    for (uint32_t count = 0;; count++) {
        if (at >= n || count >= n) {
            chain->error = "descriptor chain leaves its table or loops";
            return;
        }
        Desc desc = load_desc(table + (size_t)at * DESC_BYTES);

        if (desc.flags & DESC_INDIRECT) {
            uint32_t entries = desc.bytes / DESC_BYTES;
            const uint8_t *inner =
                physmem_host(chain->queue->vdev->mem, desc.address,
                             desc.bytes);

            if (indirect || (desc.flags & DESC_NEXT) || !inner || !entries ||
                desc.bytes % DESC_BYTES) {
                chain->error = "bad indirect descriptor";
                return;
            }
            walk_table(chain, inner, entries, 0, true);
            return;
        }
        if (!add_segment(chain, &desc) || !(desc.flags & DESC_NEXT)) {
            return;
        }
        at = desc.next;
    }
}

static VirtioRequest *make_request(VirtioQueue *queue, uint16_t head)
{
    Chain chain = {
        .queue = queue,
        .out = g_array_new(FALSE, FALSE, sizeof(struct iovec)),
        .in = g_array_new(FALSE, FALSE, sizeof(struct iovec)),
    };
    const uint8_t *table =
        ring(queue, queue->desc, (uint64_t)queue->size * DESC_BYTES);
    VirtioRequest *request = NULL;

    if (!table) {
        chain.error = "descriptor table is not in RAM";
    } else {
        walk_table(&chain, table, queue->size, head, false);
    }
    if (chain.error) {
        virtio_broken(queue->vdev, chain.error);
    } else {
        request = g_new0(VirtioRequest, 1);
        request->queue = queue;
        request->head = head;
        request->n_out = chain.out->len;
        request->n_in = chain.in->len;
        request->out_bytes = chain.out_bytes;
        request->in_bytes = chain.in_bytes;
    }
    struct iovec *out = (void *)g_array_free(chain.out, request == NULL);
    struct iovec *in = (void *)g_array_free(chain.in, request == NULL);

    if (request) {
        request->out = out;
        request->in = in;
    }
    return request;
}

/* The used-event field asks for a bell at the next available entry. */
static void ask_for_bell(VirtioQueue *queue, uint8_t *used)
{
    if (queue->vdev->accepted & VIRTIO_F_EVENT_IDX) {
        stw_le_p(used + RING_ENTRIES + USED_ENTRY_BYTES * queue->size,
                 queue->last_avail);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
}

VirtioRequest *virtio_pop(VirtioQueue *queue)
{
    VirtioRequest *request = NULL;

    g_mutex_lock(&queue->lock);
    uint8_t *avail = queue->ready && !is_broken(queue->vdev)
                         ? avail_ring(queue)
                         : NULL;
    uint8_t *used = avail ? used_ring(queue) : NULL;

    if (used) {
        ask_for_bell(queue, used);
        uint16_t index = ldw_le_p(avail + RING_INDEX);

        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if ((uint16_t)(index - queue->last_avail) > queue->size) {
            virtio_broken(queue->vdev, "available index jumps");
        } else if (index != queue->last_avail) {
            unsigned slot = queue->last_avail % queue->size;

            queue->last_avail++;
            ask_for_bell(queue, used);
            request = make_request(
                queue, ldw_le_p(avail + RING_ENTRIES + 2 * slot));
        }
    } else if (queue->ready && !is_broken(queue->vdev)) {
        virtio_broken(queue->vdev, "ring is not in RAM");
    }
    g_mutex_unlock(&queue->lock);
    return request;
}

void virtio_request_free(VirtioRequest *request)
{
    g_free(request->out);
    g_free(request->in);
    g_free(request);
}

/* ---- Answering ------------------------------------------------------------- */

static bool wants_interrupt(VirtioQueue *queue, const uint8_t *avail,
                            uint16_t old)
{
    if (!(queue->vdev->accepted & VIRTIO_F_EVENT_IDX)) {
        return !(ldw_le_p(avail + RING_FLAGS) & AVAIL_NO_INTERRUPT);
    }
    uint16_t event = ldw_le_p(avail + RING_ENTRIES + 2 * queue->size);
    bool valid = queue->event_valid;
    uint16_t since = queue->signalled;

    queue->event_valid = true;
    queue->signalled = queue->used;
    return !valid || (uint16_t)(queue->used - event - 1) <
                         (uint16_t)(queue->used - since);
}

void virtio_push(VirtioRequest *request, uint32_t written)
{
    VirtioQueue *queue = request->queue;
    VirtioDevice *vdev = queue->vdev;
    bool interrupt = false;

    for (unsigned i = 0; i < request->n_in; i++) {
        physmem_written(vdev->mem, request->in[i].iov_base,
                        request->in[i].iov_len);
    }
    g_mutex_lock(&queue->lock);
    uint8_t *used = queue->ready ? used_ring(queue) : NULL;
    uint8_t *avail = queue->ready ? avail_ring(queue) : NULL;

    if (used && avail) {
        uint8_t *entry =
            used + RING_ENTRIES +
            USED_ENTRY_BYTES * (size_t)(queue->used % queue->size);

        stl_le_p(entry, request->head);
        stl_le_p(entry + 4, written);
        queue->used++;
        __atomic_thread_fence(__ATOMIC_RELEASE);
        stw_le_p(used + RING_INDEX, queue->used);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        interrupt = wants_interrupt(queue, avail, queue->used - 1);
    }
    g_mutex_unlock(&queue->lock);
    virtio_request_free(request);
    if (interrupt) {
        vdev->raise(vdev->transport, queue);
    }
}

/* ---- Copying ----------------------------------------------------------------- */

size_t virtio_copy_out(const VirtioRequest *request, size_t skip, void *to,
                       size_t size)
{
    return block_iov_to_buf(request->out, (int)request->n_out, skip, to, size);
}

size_t virtio_copy_in(const VirtioRequest *request, size_t skip,
                      const void *from, size_t size)
{
    return block_iov_from_buf(request->in, (int)request->n_in, skip, from,
                              size);
}

struct iovec *virtio_slice(const struct iovec *iov, unsigned n, size_t skip,
                           size_t bytes, unsigned *n_out)
{
    struct iovec *part = g_new(struct iovec, n + 1);

    *n_out = (unsigned)block_iov_slice(iov, (int)n, skip, bytes, part);
    return part;
}
