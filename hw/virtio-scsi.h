/*
 * virtio SCSI host adapter, and its disks.
 */
#ifndef HW_VIRTIO_SCSI_H
#define HW_VIRTIO_SCSI_H

#include "block/backend.h"
#include "hw/virtio.h"

VirtioDevice *virtio_scsi_new(const char *id, PhysMem *mem);
bool virtio_scsi_is(const VirtioDevice *vdev);

typedef struct ScsiDiskOptions {
    const char *id;
    const char *serial; /* up to 36 bytes, or NULL: id */
    bool read_only;
    int target, lun;    /* -1: the first free target, LUN 0 */
} ScsiDiskOptions;

/* Adds a disk, which takes a reference; also on a running machine. */
bool virtio_scsi_attach(VirtioDevice *vdev, BlockBackend *backend,
                        const ScsiDiskOptions *options, GError **error);
/* Takes the disk with that id away; false when there is none. */
bool virtio_scsi_detach(VirtioDevice *vdev, const char *id);

#endif
