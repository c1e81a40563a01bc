/*
 * virtio entropy device: random bytes of the host.
 */
#ifndef HW_VIRTIO_RNG_H
#define HW_VIRTIO_RNG_H

#include "hw/virtio.h"

VirtioDevice *virtio_rng_new(const char *id, PhysMem *mem);

#endif
