/*
 * ATA commands of a disk: what a driver needs to identify it, to read, write,
 * flush and trim.  Source: ATA/ATAPI Command Set (ACS-3).
 */
#include "hw/ahci-int.h"

#include <errno.h>
#include <string.h>

#include "block/iov.h"
#include "util/bytes.h"

enum {
    ATA_DATA_SET_MANAGEMENT = 0x06,
    ATA_READ_SECTORS = 0x20,
    ATA_READ_SECTORS_EXT = 0x24,
    ATA_READ_DMA_EXT = 0x25,
    ATA_READ_LOG_EXT = 0x2f,
    ATA_WRITE_SECTORS = 0x30,
    ATA_WRITE_SECTORS_EXT = 0x34,
    ATA_WRITE_DMA_EXT = 0x35,
    ATA_WRITE_DMA_FUA_EXT = 0x3d,
    ATA_READ_VERIFY = 0x40,
    ATA_READ_VERIFY_EXT = 0x42,
    ATA_READ_FPDMA = 0x60,
    ATA_WRITE_FPDMA = 0x61,
    ATA_READ_DMA = 0xc8,
    ATA_WRITE_DMA = 0xca,
    ATA_STANDBY_NOW = 0xe0,
    ATA_IDLE_NOW = 0xe1,
    ATA_FLUSH = 0xe7,
    ATA_FLUSH_EXT = 0xea,
    ATA_IDENTIFY = 0xec,
    ATA_SET_FEATURES = 0xef,
    DEVICE_FUA = 1 << 7,   /* of queued writes */
    FEATURE_TRIM = 1,
    MAX_LBA28 = 0x0fffffff,
    TRIM_ENTRY_BYTES = 8,
    TRIM_MAX_BYTES = 64 * 512,
    LOG_DIRECTORY = 0x00,
    LOG_QUEUE_ERROR = 0x10,
};

/* How the number of sectors is given. */
typedef enum CountKind {
    COUNT_NONE,
    COUNT_8,        /* LBA 28 bits; 0 means 256 */
    COUNT_16,       /* LBA 48 bits; 0 means 65536 */
    COUNT_FEATURES, /* queued: in the features */
} CountKind;

typedef struct AtaRow {
    uint8_t opcode;
    CountKind count;
    bool pio;
    int (*run)(AhciDisk *disk, AtaCommand *c, uint64_t offset,
               uint64_t bytes);
} AtaRow;

/* The first bytes of the command's data; -EINVAL when there are fewer. */
static struct iovec *cut(const AtaCommand *c, uint64_t bytes, int *n)
{
    struct iovec *part = g_new(struct iovec, c->n_data + 1);

    *n = block_iov_slice(c->data, (int)c->n_data, 0, bytes, part);
    return part;
}

static int run_read(AhciDisk *disk, AtaCommand *c, uint64_t offset,
                    uint64_t bytes)
{
    int n;

    if (c->data_bytes < bytes || c->to_device) {
        return -EINVAL;
    }
    g_autofree struct iovec *iov = cut(c, bytes, &n);
    int ret = block_backend_preadv(disk->backend, offset, bytes, iov, n, 0);

    c->done_bytes = ret == 0 ? bytes : 0;
    return ret;
}

static int run_write(AhciDisk *disk, AtaCommand *c, uint64_t offset,
                     uint64_t bytes)
{
    bool fua = c->opcode == ATA_WRITE_DMA_FUA_EXT ||
               (c->queued && (c->device & DEVICE_FUA));
    int n;

    if (c->data_bytes < bytes || !c->to_device) {
        return -EINVAL;
    }
    g_autofree struct iovec *iov = cut(c, bytes, &n);
    int ret = block_backend_pwritev(disk->backend, offset, bytes, iov, n, 0);

    if (ret == 0 && fua) {
        ret = block_backend_flush(disk->backend);
    }
    c->done_bytes = ret == 0 ? bytes : 0;
    return ret;
}

static int run_flush(AhciDisk *disk, AtaCommand *c, uint64_t offset,
                     uint64_t bytes)
{
    return block_backend_flush(disk->backend);
}

static int run_nothing(AhciDisk *disk, AtaCommand *c, uint64_t offset,
                       uint64_t bytes)
{
    return 0;
}

/* Trim: a list of { 48-bit LBA, 16-bit count }. */
static int run_trim(AhciDisk *disk, AtaCommand *c, uint64_t offset,
                    uint64_t bytes)
{
    g_autofree uint8_t *list = g_malloc(TRIM_MAX_BYTES);
    size_t n = block_iov_to_buf(c->data, (int)c->n_data, 0, list,
                                MIN(c->count * (uint64_t)ATA_SECTOR_BYTES,
                                    TRIM_MAX_BYTES));
    int64_t length = block_backend_length(disk->backend);
    int ret = 0;

    if (!(c->features & FEATURE_TRIM) || !c->to_device) {
        return -ENOTSUP;
    }
    for (size_t at = 0; at + TRIM_ENTRY_BYTES <= n && ret == 0;
         at += TRIM_ENTRY_BYTES) {
        uint64_t entry = ldq_le_p(list + at);
        uint64_t first = (entry & UINT64_C(0xffffffffffff)) *
                         ATA_SECTOR_BYTES;
        uint64_t size = (entry >> 48) * ATA_SECTOR_BYTES;

        if (size && (length < 0 || first + size > (uint64_t)length)) {
            ret = -ERANGE;
        } else if (size) {
            ret = block_backend_pdiscard(disk->backend, first, size);
        }
    }
    return ret;
}

/* ---- IDENTIFY -------------------------------------------------------------------- */

static void put_word(uint8_t *id, unsigned word, uint16_t value)
{
    stw_le_p(id + 2 * word, value);
}

/* ATA strings: bytes of each word swapped, padded with blanks. */
static void put_string(uint8_t *id, unsigned word, unsigned bytes,
                       const char *text)
{
    size_t length = strlen(text);

    for (unsigned i = 0; i < bytes; i++) {
        id[2 * word + (i ^ 1)] = i < length ? text[i] : ' ';
    }
}

static int run_identify(AhciDisk *disk, AtaCommand *c, uint64_t offset,
                        uint64_t bytes)
{
    uint8_t id[ATA_SECTOR_BYTES] = { 0 };
    int64_t length = block_backend_length(disk->backend);
    uint64_t sectors = length < 0 ? 0 : length / ATA_SECTOR_BYTES;

    if (c->to_device) {
        return -EINVAL;
    }
    put_word(id, 0, 0x0040);              /* fixed disk */
    put_word(id, 1, 16383);
    put_word(id, 3, 16);
    put_word(id, 6, 63);
    put_string(id, 10, 20, disk->serial);
    put_string(id, 23, 8, "1.0");
    put_string(id, 27, 40, "e2k-emu disk");
    put_word(id, 47, 0x8000 | 16);
    put_word(id, 49, 1 << 9 | 1 << 8);    /* LBA, DMA */
    put_word(id, 50, 1 << 14);
    put_word(id, 53, 7);
    stl_le_p(id + 2 * 60, MIN(sectors, MAX_LBA28));
    put_word(id, 63, 7);                  /* multiword DMA 0..2 */
    put_word(id, 64, 3);                  /* PIO 3, 4 */
    for (unsigned word = 65; word <= 68; word++) {
        put_word(id, word, 120);
    }
    put_word(id, 69, 1 << 14 | 1 << 5);   /* deterministic trim */
    put_word(id, 75, 31);                 /* queue depth - 1 */
    put_word(id, 76, 1 << 8 | 7 << 1);    /* NCQ; 1.5, 3, 6 Gb/s */
    put_word(id, 80, 0x3f0);              /* ATA-4..9 */
    put_word(id, 82, 1 << 14 | 1 << 5 | 1); /* NOP, write cache, SMART off */
    put_word(id, 83, 1 << 14 | 1 << 13 | 1 << 12 | 1 << 10); /* flush, 48 */
    put_word(id, 84, 1 << 14 | 1 << 6 | 1 << 5); /* FUA, logs */
    put_word(id, 85, 1 << 14 | 1 << 5);
    put_word(id, 86, 1 << 13 | 1 << 12 | 1 << 10);
    put_word(id, 87, 1 << 14 | 1 << 6 | 1 << 5);
    put_word(id, 88, 0x3f | 0x2000);      /* Ultra DMA 0..5, 5 selected */
    put_word(id, 93, 0x600b);
    stq_le_p(id + 2 * 100, sectors);
    put_word(id, 105, TRIM_MAX_BYTES / ATA_SECTOR_BYTES);
    put_word(id, 106, 1 << 14);
    put_word(id, 169, 1);                 /* trim */
    put_word(id, 217, 1);                 /* does not rotate */
    put_word(id, 222, 0x107f);
    uint8_t sum = id[510] = 0xa5;

    for (unsigned i = 0; i < 510; i++) {
        sum += id[i];
    }
    id[511] = -sum;
    c->done_bytes += block_iov_from_buf(c->data, (int)c->n_data, 0, id,
                                        sizeof(id));
    return 0;
}

/* ---- Logs -------------------------------------------------------------------------- */

const StateField ata_queue_error_fields[] = {
    STATE_FIELD(AtaQueueError, tag), STATE_FIELD(AtaQueueError, status),
    STATE_FIELD(AtaQueueError, error), STATE_FIELD(AtaQueueError, device),
    STATE_FIELD(AtaQueueError, count), STATE_FIELD(AtaQueueError, lba),
    STATE_END,
};

/* The first page of a log: which there are, or the failed queued command. */
static int run_read_log(AhciDisk *disk, AtaCommand *c, uint64_t offset,
                        uint64_t bytes)
{
    const AtaQueueError *e = &c->queue_error;
    uint8_t page[ATA_SECTOR_BYTES] = { 0 };
    uint8_t sum = 0;

    if (c->to_device || c->count != 1) {
        return -EINVAL;
    }
    switch (c->lba & 0xff) {
    case LOG_DIRECTORY:
        stw_le_p(page, 1);
        stw_le_p(page + 2 * LOG_QUEUE_ERROR, 1);
        break;
    case LOG_QUEUE_ERROR:
        page[0] = e->tag;
        page[2] = e->status;
        page[3] = e->error;
        for (unsigned i = 0; i < 3; i++) {
            page[4 + i] = e->lba >> 8 * i;
            page[8 + i] = e->lba >> 8 * (3 + i);
        }
        page[7] = e->device;
        stw_le_p(page + 12, e->count);
        for (unsigned i = 0; i < sizeof(page) - 1; i++) {
            sum += page[i];
        }
        page[511] = -sum;
        break;
    default:
        return -EINVAL;
    }
    c->done_bytes += block_iov_from_buf(c->data, (int)c->n_data, 0, page,
                                        sizeof(page));
    return 0;
}

/* ---- Dispatch ---------------------------------------------------------------------- */

static const AtaRow rows[] = {
    { ATA_READ_SECTORS, COUNT_8, true, run_read },
    { ATA_READ_SECTORS_EXT, COUNT_16, true, run_read },
    { ATA_READ_DMA, COUNT_8, false, run_read },
    { ATA_READ_DMA_EXT, COUNT_16, false, run_read },
    { ATA_READ_LOG_EXT, COUNT_NONE, true, run_read_log },
    { ATA_READ_FPDMA, COUNT_FEATURES, false, run_read },
    { ATA_WRITE_SECTORS, COUNT_8, true, run_write },
    { ATA_WRITE_SECTORS_EXT, COUNT_16, true, run_write },
    { ATA_WRITE_DMA, COUNT_8, false, run_write },
    { ATA_WRITE_DMA_EXT, COUNT_16, false, run_write },
    { ATA_WRITE_DMA_FUA_EXT, COUNT_16, false, run_write },
    { ATA_WRITE_FPDMA, COUNT_FEATURES, false, run_write },
    { ATA_READ_VERIFY, COUNT_8, false, run_nothing },
    { ATA_READ_VERIFY_EXT, COUNT_16, false, run_nothing },
    { ATA_DATA_SET_MANAGEMENT, COUNT_NONE, false, run_trim },
    { ATA_FLUSH, COUNT_NONE, false, run_flush },
    { ATA_FLUSH_EXT, COUNT_NONE, false, run_flush },
    { ATA_STANDBY_NOW, COUNT_NONE, false, run_flush },
    { ATA_IDLE_NOW, COUNT_NONE, false, run_nothing },
    { ATA_IDENTIFY, COUNT_NONE, true, run_identify },
    { ATA_SET_FEATURES, COUNT_NONE, false, run_nothing },
};

static const AtaRow *find_row(uint8_t opcode)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].opcode == opcode) {
            return &rows[i];
        }
    }
    return NULL;
}

bool ata_is_queued(uint8_t opcode)
{
    return opcode == ATA_READ_FPDMA || opcode == ATA_WRITE_FPDMA;
}

/* Byte range of a command; false when it lies outside of the disk. */
static bool range_of(AhciDisk *disk, const AtaRow *row, AtaCommand *c,
                     uint64_t *offset, uint64_t *bytes)
{
    uint64_t lba = c->lba, sectors = 0;
    int64_t length = block_backend_length(disk->backend);

    switch (row->count) {
    case COUNT_NONE:
        return true;
    case COUNT_8:
        lba = (lba & 0xffffff) | (uint64_t)(c->device & 0xf) << 24;
        sectors = c->count & 0xff ? c->count & 0xff : 256;
        break;
    case COUNT_16:
        sectors = c->count ? c->count : 65536;
        break;
    case COUNT_FEATURES:
        sectors = c->features ? c->features : 65536;
        break;
    }
    *offset = lba * ATA_SECTOR_BYTES;
    *bytes = sectors * ATA_SECTOR_BYTES;
    return length >= 0 && *offset + *bytes <= (uint64_t)length;
}

void ahci_disk_execute(AhciDisk *disk, AtaCommand *c)
{
    const AtaRow *row = find_row(c->opcode);
    uint64_t offset = 0, bytes = 0;
    uint8_t error = 0;

    c->queued = ata_is_queued(c->opcode);
    c->pio = row && row->pio;
    if (!row) {
        error = ATA_ERROR_ABORT;
    } else if (!range_of(disk, row, c, &offset, &bytes)) {
        error = ATA_ERROR_ID;
    } else {
        int ret = row->run(disk, c, offset, bytes);

        error = ret == 0 ? 0
                : ret == -EINVAL || ret == -ENOTSUP ? ATA_ERROR_ABORT
                : ret == -ERANGE ? ATA_ERROR_ID
                                 : ATA_ERROR_UNCORRECTABLE;
    }
    c->error = error;
    c->status = ATA_STATUS_READY | ATA_STATUS_SEEK |
                (error ? ATA_STATUS_ERROR : 0);
}
