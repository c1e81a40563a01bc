/*
 * What ahci.c (registers, command lists) and ahci-disk.c (ATA commands) share.
 */
#ifndef HW_AHCI_INT_H
#define HW_AHCI_INT_H

#include <sys/uio.h>

#include "hw/ahci.h"

enum {
    ATA_STATUS_ERROR = 1 << 0,
    ATA_STATUS_SEEK = 1 << 4,
    ATA_STATUS_READY = 1 << 6,
    ATA_STATUS_BUSY = 1 << 7,
    ATA_ERROR_ABORT = 1 << 2,
    ATA_ERROR_ID = 1 << 4,
    ATA_ERROR_UNCORRECTABLE = 1 << 6,
    ATA_SECTOR_BYTES = 512,
};

typedef struct AhciDisk {
    BlockBackend *backend;
    char *id;
    char serial[21];
} AhciDisk;

/* What log page 0x10 tells of the last queued command that failed. */
typedef struct AtaQueueError {
    uint8_t tag, status, error, device;
    uint16_t count;
    uint64_t lba;
} AtaQueueError;

extern const StateField ata_queue_error_fields[];

/* One command: its register FIS and where data goes. */
typedef struct AtaCommand {
    uint8_t opcode, device;
    uint16_t features, count;
    uint64_t lba;
    struct iovec *data; /* from the region table, checked and mapped */
    unsigned n_data;
    uint64_t data_bytes;
    bool to_device;     /* the header's direction */
    AtaQueueError queue_error; /* of the port */
    /* Results. */
    uint8_t status, error;
    uint64_t done_bytes;
    bool pio;           /* PIO protocol: a set-up FIS comes first */
    bool queued;        /* NCQ: completion by a set device bits FIS */
} AtaCommand;

/* Carries a command out; blocks.  Any thread. */
void ahci_disk_execute(AhciDisk *disk, AtaCommand *command);
bool ata_is_queued(uint8_t opcode);

#endif
