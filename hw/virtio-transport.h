/*
 * What virtio's transports have in common: the registers through which a
 * driver selects a queue or half of the features, and sets them up.  A
 * transport names its rows of registers by VirtioReg, with the callbacks'
 * index.
 */
#ifndef HW_VIRTIO_TRANSPORT_H
#define HW_VIRTIO_TRANSPORT_H

#include "hw/virtio.h"

typedef enum VirtioReg {
    VIRTIO_REG_DEVICE_FEATURES_SEL,
    VIRTIO_REG_DEVICE_FEATURES,
    VIRTIO_REG_DRIVER_FEATURES_SEL,
    VIRTIO_REG_DRIVER_FEATURES,
    VIRTIO_REG_N_QUEUES,
    VIRTIO_REG_GENERATION,
    VIRTIO_REG_STATUS,     /* to read; writing 0 is the transport's reset */
    VIRTIO_REG_QUEUE_SEL,
    VIRTIO_REG_QUEUE_MAX,  /* largest size */
    VIRTIO_REG_QUEUE_SIZE,
    VIRTIO_REG_QUEUE_READY,
    VIRTIO_REG_DESC,       /* addresses: low half, and high half behind it */
    VIRTIO_REG_DRIVER = VIRTIO_REG_DESC + 2,
    VIRTIO_REG_DEVICE = VIRTIO_REG_DRIVER + 2,
    VIRTIO_REG_BELL = VIRTIO_REG_DEVICE + 2,
} VirtioReg;

typedef struct VirtioTransport {
    VirtioDevice *vdev; /* NULL: an empty slot, all zero */
    uint32_t device_features_sel, driver_features_sel, queue_sel;
} VirtioTransport;

extern const StateField virtio_transport_fields[];
#define STATE_VIRTIO_TRANSPORT(type, member)                                   \
    STATE_STRUCT_AT("transport", offsetof(type, member), VirtioTransport,      \
                    virtio_transport_fields)

/* The selected queue, NULL when there is none of that number. */
VirtioQueue *virtio_transport_queue(const VirtioTransport *t);
uint64_t virtio_transport_read(const VirtioTransport *t, VirtioReg reg);
void virtio_transport_write(VirtioTransport *t, VirtioReg reg,
                            uint64_t value);
/* Quiesces and resets the device; nothing is selected. */
void virtio_transport_reset(VirtioTransport *t);

#endif
