/*
 * Registers that all transports have; see virtio-transport.h.
 */
#include "hw/virtio-transport.h"

#include "util/bytes.h"

VirtioQueue *virtio_transport_queue(const VirtioTransport *t)
{
    return t->vdev && t->queue_sel < t->vdev->n_queues
               ? &t->vdev->queues[t->queue_sel]
               : NULL;
}

/* Half 0 or 1 of the features; there are no others. */
static uint32_t half_of(uint64_t features, uint32_t half)
{
    return half > 1 ? 0 : features >> 32 * half;
}

static uint64_t *queue_address(VirtioQueue *queue, VirtioReg reg)
{
    return reg < VIRTIO_REG_DRIVER   ? &queue->desc
           : reg < VIRTIO_REG_DEVICE ? &queue->driver
                                     : &queue->device;
}

/* Registers of the selected queue. */
static uint64_t read_queue(VirtioQueue *queue, VirtioReg reg)
{
    switch (reg) {
    case VIRTIO_REG_QUEUE_MAX:
        return VIRTIO_QUEUE_MAX;
    case VIRTIO_REG_QUEUE_SIZE:
        return queue->size;
    case VIRTIO_REG_QUEUE_READY:
        return queue->ready;
    default:
        return *queue_address(queue, reg) >>
                   32 * ((reg - VIRTIO_REG_DESC) % 2) & 0xffffffff;
    }
}

static void write_queue(VirtioQueue *queue, VirtioReg reg, uint64_t value)
{
    uint64_t *address;

    switch (reg) {
    case VIRTIO_REG_QUEUE_MAX:
        break;
    case VIRTIO_REG_QUEUE_SIZE:
        virtio_queue_set_size(queue, value);
        break;
    case VIRTIO_REG_QUEUE_READY:
        virtio_queue_set_ready(queue, value & 1);
        break;
    default:
        address = queue_address(queue, reg);
        if (!queue->ready) {
            *address = deposit64(*address, 32 * ((reg - VIRTIO_REG_DESC) % 2),
                                 32, value);
        }
        break;
    }
}

uint64_t virtio_transport_read(const VirtioTransport *t, VirtioReg reg)
{
    const VirtioDevice *vdev = t->vdev;
    VirtioQueue *queue = virtio_transport_queue(t);

    if (!vdev) {
        return 0;
    }
    switch (reg) {
    case VIRTIO_REG_DEVICE_FEATURES_SEL:
        return t->device_features_sel;
    case VIRTIO_REG_DEVICE_FEATURES:
        return half_of(vdev->offered, t->device_features_sel);
    case VIRTIO_REG_DRIVER_FEATURES_SEL:
        return t->driver_features_sel;
    case VIRTIO_REG_DRIVER_FEATURES:
        return half_of(vdev->accepted, t->driver_features_sel);
    case VIRTIO_REG_N_QUEUES:
        return vdev->n_queues;
    case VIRTIO_REG_GENERATION:
        return vdev->config_generation;
    case VIRTIO_REG_STATUS:
        return vdev->status;
    case VIRTIO_REG_QUEUE_SEL:
        return t->queue_sel;
    default:
        return queue ? read_queue(queue, reg) : 0;
    }
}

void virtio_transport_write(VirtioTransport *t, VirtioReg reg, uint64_t value)
{
    VirtioQueue *queue = virtio_transport_queue(t);

    if (!t->vdev) {
        return;
    }
    switch (reg) {
    case VIRTIO_REG_DEVICE_FEATURES_SEL:
        t->device_features_sel = value;
        break;
    case VIRTIO_REG_DRIVER_FEATURES_SEL:
        t->driver_features_sel = value;
        break;
    case VIRTIO_REG_DRIVER_FEATURES:
        virtio_accept_features(t->vdev, t->driver_features_sel, value);
        break;
    case VIRTIO_REG_QUEUE_SEL:
        t->queue_sel = value;
        break;
    case VIRTIO_REG_BELL:
        virtio_bell(t->vdev, value);
        break;
    case VIRTIO_REG_DEVICE_FEATURES:
    case VIRTIO_REG_N_QUEUES:
    case VIRTIO_REG_GENERATION:
    case VIRTIO_REG_STATUS:
        break; /* only to be read */
    default:
        if (queue) {
            write_queue(queue, reg, value);
        }
        break;
    }
}

void virtio_transport_reset(VirtioTransport *t)
{
    if (t->vdev) {
        virtio_quiesce(t->vdev);
        virtio_reset(t->vdev);
    }
    t->device_features_sel = t->driver_features_sel = t->queue_sel = 0;
}

const StateField virtio_transport_fields[] = {
    STATE_FIELD(VirtioTransport, device_features_sel),
    STATE_FIELD(VirtioTransport, driver_features_sel),
    STATE_FIELD(VirtioTransport, queue_sel),
    STATE_POINTER(VirtioTransport, vdev, virtio_fields),
    STATE_END,
};
