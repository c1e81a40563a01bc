/*
 * virtio network card: one pair of queues, no offloads.
 *
 *   queue 0  buffers for what comes in      queue 1  what goes out
 *
 * Each frame has a header of 12 bytes, all zero but the number of buffers.
 * What comes in while the guest has no buffer waits in a bounded queue for
 * the bell; what comes in while the machine stands still is dropped.
 *
 * Source: VIRTIO 1.2 section 5.1.
 */
#include "hw/virtio-net.h"

#include <string.h>

#include "system/machine.h"
#include "util/bytes.h"
#include "util/log.h"

#define FEATURE_MAC (UINT64_C(1) << 5)
#define FEATURE_STATUS (UINT64_C(1) << 16)

enum {
    QUEUE_RECEIVE = 0,
    QUEUE_SEND = 1,
    QUEUE_SIZE = 256,
    WAITING_MAX = 256, /* frames */
    HEADER_BYTES = 12,
    HEADER_BUFFERS = 10,
    CONFIG_MAC = 0,
    CONFIG_STATUS = 6,
    STATUS_LINK_UP = 1,
};

typedef struct VirtioNet {
    VirtioDevice vdev;
    Machine *machine;
    NetBackend *net;
    GMutex receive_lock; /* held while a frame is put in memory */
    GQueue waiting;      /* GBytes; under receive_lock */
} VirtioNet;

static void send_all(VirtioNet *card)
{
    g_autofree uint8_t *frame = g_malloc(NET_FRAME_MAX);
    VirtioRequest *r;

    while ((r = virtio_pop(&card->vdev.queues[QUEUE_SEND]))) {
        uint64_t bytes = r->out_bytes > HEADER_BYTES
                             ? r->out_bytes - HEADER_BYTES
                             : 0;

        if (bytes && bytes <= NET_FRAME_MAX) {
            net_send(card->net, frame,
                     virtio_copy_out(r, HEADER_BYTES, frame, bytes));
        } else {
            log_printf(LOG_GUEST_ERROR, "%s: frame of %llu bytes\n",
                       card->vdev.id, (unsigned long long)bytes);
        }
        virtio_push(r, 0);
    }
}

/* Puts a frame in the guest's next buffer; false when it has none. */
static bool put_frame(VirtioNet *card, const uint8_t *frame, size_t n)
{
    const uint8_t header[HEADER_BYTES] = { [HEADER_BUFFERS] = 1 };
    VirtioRequest *r = virtio_pop(&card->vdev.queues[QUEUE_RECEIVE]);
    uint32_t written = 0;

    if (!r) {
        return false;
    }
    if (r->in_bytes >= HEADER_BYTES + n) {
        written = virtio_copy_in(r, 0, header, sizeof(header));
        written += virtio_copy_in(r, HEADER_BYTES, frame, n);
    } else {
        log_printf(LOG_GUEST_ERROR, "%s: buffer of %llu bytes\n",
                   card->vdev.id, (unsigned long long)r->in_bytes);
    }
    virtio_push(r, written);
    return true;
}

static void receive_waiting_locked(VirtioNet *card)
{
    GBytes *frame;

    while ((frame = g_queue_peek_head(&card->waiting))) {
        gsize n;
        const uint8_t *bytes = g_bytes_get_data(frame, &n);

        if (!put_frame(card, bytes, n)) {
            return;
        }
        g_bytes_unref(g_queue_pop_head(&card->waiting));
    }
}

static void net_notify(VirtioDevice *vdev, unsigned queue)
{
    VirtioNet *card = (VirtioNet *)vdev;

    if (queue == QUEUE_SEND) {
        send_all(card);
        return;
    }
    g_mutex_lock(&card->receive_lock);
    receive_waiting_locked(card);
    g_mutex_unlock(&card->receive_lock);
}

/* A frame from the network; the backend's thread. */
static void receive(void *opaque, const uint8_t *frame, size_t n)
{
    VirtioNet *card = opaque;

    g_mutex_lock(&card->receive_lock);
    if ((card->vdev.status & VIRTIO_STATUS_DRIVER_OK) &&
        machine_is_running(card->machine)) {
        receive_waiting_locked(card);
        if ((!g_queue_is_empty(&card->waiting) ||
             !put_frame(card, frame, n)) &&
            g_queue_get_length(&card->waiting) < WAITING_MAX) {
            g_queue_push_tail(&card->waiting, g_bytes_new(frame, n));
        }
    }
    g_mutex_unlock(&card->receive_lock);
}

static void net_reset(VirtioDevice *vdev)
{
    VirtioNet *card = (VirtioNet *)vdev;

    g_mutex_lock(&card->receive_lock);
    g_queue_clear_full(&card->waiting, (GDestroyNotify)g_bytes_unref);
    g_mutex_unlock(&card->receive_lock);
}

/* What is being received ends; the machine stands still or was reset. */
static void net_quiesce(VirtioDevice *vdev)
{
    VirtioNet *card = (VirtioNet *)vdev;

    g_mutex_lock(&card->receive_lock);
    g_mutex_unlock(&card->receive_lock);
}

static void net_card_free(VirtioDevice *vdev)
{
    VirtioNet *card = (VirtioNet *)vdev;

    net_detach(card->net);
    net_reset(vdev);
    g_mutex_clear(&card->receive_lock);
    virtio_clear(vdev);
    g_free(card);
}

static const VirtioType net_type = {
    .name = "virtio-net",
    .id = VIRTIO_ID_NET,
    .features = FEATURE_MAC | FEATURE_STATUS,
    .config_size = 8,
    .notify = net_notify,
    .reset = net_reset,
    .quiesce = net_quiesce,
    .free = net_card_free,
};

VirtioDevice *virtio_net_new(const char *id, Machine *machine,
                             NetBackend *net, const uint8_t mac[6],
                             GError **error)
{
    VirtioNet *card = g_new0(VirtioNet, 1);

    virtio_init(&card->vdev, &net_type, id, machine->mem, 2, QUEUE_SIZE);
    card->machine = machine;
    card->net = net;
    g_mutex_init(&card->receive_lock);
    memcpy(card->vdev.config + CONFIG_MAC, mac, 6);
    stw_le_p(card->vdev.config + CONFIG_STATUS, STATUS_LINK_UP);
    if (!net_attach(net, receive, card)) {
        g_set_error(error, SYSTEM_ERROR, 0, "network '%s' has a card already",
                    net_id(net));
        g_mutex_clear(&card->receive_lock);
        virtio_clear(&card->vdev);
        g_free(card);
        return NULL;
    }
    return &card->vdev;
}
