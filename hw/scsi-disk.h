/*
 * SCSI commands of a disk, for host adapters.
 */
#ifndef HW_SCSI_DISK_H
#define HW_SCSI_DISK_H

#include <sys/uio.h>

#include "block/backend.h"

enum { SCSI_SENSE_BYTES = 18 };

typedef struct ScsiDisk {
    BlockBackend *backend;
    char *id;
    char serial[37];
    bool read_only;
} ScsiDisk;

/* One command, and what became of it. */
typedef struct ScsiCommand {
    const uint8_t *cdb; /* 32 bytes */
    const struct iovec *out; /* from the initiator; host memory */
    unsigned n_out;
    const struct iovec *in;  /* to the initiator */
    unsigned n_in;
    uint64_t out_bytes, in_bytes;
    /* Results. */
    uint8_t status;     /* SCSI status */
    uint64_t done_bytes; /* of either direction */
    uint8_t sense[SCSI_SENSE_BYTES]; /* fixed format, when status says so */
} ScsiCommand;

/* Carries a command out; blocks.  Any thread. */
void scsi_disk_execute(ScsiDisk *disk, ScsiCommand *command);
/* A command for a number without a disk, of a target that is there. */
void scsi_no_disk(ScsiCommand *command);
/* Puts bytes into the command's data; as many as fit. */
void scsi_copy_in(ScsiCommand *command, const void *from, size_t bytes);

#endif
