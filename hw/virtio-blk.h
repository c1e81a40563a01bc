/*
 * virtio block device on a block backend.
 */
#ifndef HW_VIRTIO_BLK_H
#define HW_VIRTIO_BLK_H

#include "block/backend.h"
#include "hw/virtio.h"

typedef struct VirtioBlkOptions {
    unsigned n_queues;     /* 1..VIRTIO_MAX_QUEUES, 0: 1 */
    unsigned n_workers;    /* requests in flight, 0: default */
    const char *serial;    /* up to 20 bytes, or NULL */
    bool read_only;
} VirtioBlkOptions;

/* Takes its own reference to backend, which is attached to a node. */
VirtioDevice *virtio_blk_new(const char *id, PhysMem *mem,
                             BlockBackend *backend,
                             const VirtioBlkOptions *options, GError **error);

#endif
