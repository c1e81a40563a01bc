/* virtio 9P transport: a folder of the host. */
#ifndef HW_VIRTIO_9P_H
#define HW_VIRTIO_9P_H

#include "hw/virtio.h"

/* tag: what the guest mounts, up to 32 bytes. */
VirtioDevice *virtio_9p_new(const char *id, PhysMem *mem, const char *path,
                            const char *tag, bool read_only, GError **error);

#endif
