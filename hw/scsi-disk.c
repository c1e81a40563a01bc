/*
 * SCSI commands of a disk: what a driver needs to find, read, write, flush and
 * trim it.  Source: SPC-4, SBC-3.
 */
#include "hw/scsi-disk.h"

#include <errno.h>
#include <string.h>

#include "block/iov.h"
#include "util/bytes.h"

enum {
    BLOCK_BYTES = 512,
    STATUS_GOOD = 0x00,
    STATUS_CHECK_CONDITION = 0x02,
    MAX_UNMAP_BYTES = 8 + 256 * 16,
    MAX_UNMAP_BLOCKS = 1 << 22,
    INQUIRY_NO_DISK = 0x7f,
    ALLOCATION_10 = 7, /* where lengths of answers are in a CDB */
};

enum {
    TEST_UNIT_READY = 0x00,
    REQUEST_SENSE = 0x03,
    READ_6 = 0x08,
    WRITE_6 = 0x0a,
    INQUIRY = 0x12,
    MODE_SENSE_6 = 0x1a,
    START_STOP = 0x1b,
    READ_CAPACITY_10 = 0x25,
    READ_10 = 0x28,
    WRITE_10 = 0x2a,
    VERIFY_10 = 0x2f,
    SYNCHRONIZE_10 = 0x35,
    UNMAP = 0x42,
    MODE_SENSE_10 = 0x5a,
    READ_16 = 0x88,
    WRITE_16 = 0x8a,
    SYNCHRONIZE_16 = 0x91,
    SERVICE_ACTION_16 = 0x9e,
    READ_CAPACITY_16 = 0x10, /* a service action */
    REPORT_LUNS = 0xa0,
    READ_12 = 0xa8,
    WRITE_12 = 0xaa,
};

/* Sense: key, additional code and qualifier in one number. */
typedef enum Sense {
    SENSE_NONE = 0,
    SENSE_READ_ERROR = 0x31100,
    SENSE_WRITE_ERROR = 0x30c00,
    SENSE_OPCODE = 0x52000,
    SENSE_RANGE = 0x52100,
    SENSE_FIELD = 0x52400,
    SENSE_NO_DISK = 0x52500,
    SENSE_PARAMETER = 0x52600,
    SENSE_PROTECTED = 0x72700,
} Sense;

static void fail(ScsiCommand *c, Sense sense)
{
    memset(c->sense, 0, sizeof(c->sense));
    c->sense[0] = 0x70;
    c->sense[2] = sense >> 16;
    c->sense[7] = SCSI_SENSE_BYTES - 8;
    c->sense[12] = sense >> 8;
    c->sense[13] = sense;
    c->status = STATUS_CHECK_CONDITION;
}

/* ---- Data ------------------------------------------------------------------------- */

void scsi_copy_in(ScsiCommand *c, const void *from, size_t bytes)
{
    c->done_bytes += block_iov_from_buf(c->in, (int)c->n_in, 0, from, bytes);
}

/* An answer, cut to the length that the command allows. */
static Sense answer(ScsiCommand *c, const uint8_t *bytes, size_t n,
                    size_t allowed)
{
    scsi_copy_in(c, bytes, MIN(n, allowed));
    return SENSE_NONE;
}

static uint64_t blocks_of(const ScsiDisk *disk)
{
    int64_t length = block_backend_length(disk->backend);

    return length < 0 ? 0 : length / BLOCK_BYTES;
}

/* ---- Reading and writing ---------------------------------------------------------- */

/* Address and number of blocks of a command. */
static void range_of(const uint8_t *cdb, uint64_t *lba, uint64_t *blocks)
{
    switch (cdb[0] >> 5) {
    case 0:
        *lba = ldl_be_p(cdb) & 0x1fffff;
        *blocks = cdb[4] ? cdb[4] : 256;
        break;
    case 4:
        *lba = ldq_be_p(cdb + 2);
        *blocks = ldl_be_p(cdb + 10);
        break;
    case 5:
        *lba = ldl_be_p(cdb + 2);
        *blocks = ldl_be_p(cdb + 6);
        break;
    default:
        *lba = ldl_be_p(cdb + 2);
        *blocks = ldw_be_p(cdb + 7);
        break;
    }
}

/* The first bytes of some memory. */
static struct iovec *first_bytes(const struct iovec *iov, unsigned n,
                                 uint64_t bytes, int *n_out)
{
    struct iovec *part = g_new(struct iovec, n + 1);

    *n_out = block_iov_slice(iov, (int)n, 0, bytes, part);
    return part;
}

static Sense transfer(ScsiDisk *disk, ScsiCommand *c, bool writes)
{
    bool fua = c->cdb[0] >> 5 && (c->cdb[1] & 1 << 3);
    uint64_t lba, blocks;
    int n, ret;

    range_of(c->cdb, &lba, &blocks);
    if (lba > blocks_of(disk) || blocks > blocks_of(disk) - lba) {
        return SENSE_RANGE;
    }
    uint64_t bytes = blocks * BLOCK_BYTES, offset = lba * BLOCK_BYTES;

    if (bytes > (writes ? c->out_bytes : c->in_bytes)) {
        return SENSE_FIELD; /* less memory than blocks */
    }
    if (writes && disk->read_only) {
        return SENSE_PROTECTED;
    }
    g_autofree struct iovec *iov =
        writes ? first_bytes(c->out, c->n_out, bytes, &n)
               : first_bytes(c->in, c->n_in, bytes, &n);

    if (!bytes) {
        return SENSE_NONE;
    }
    ret = writes ? block_backend_pwritev(disk->backend, offset, bytes, iov, n,
                                         0)
                 : block_backend_preadv(disk->backend, offset, bytes, iov, n,
                                        0);
    if (ret == 0 && writes && fua) {
        ret = block_backend_flush(disk->backend);
    }
    if (ret < 0) {
        return writes ? SENSE_WRITE_ERROR : SENSE_READ_ERROR;
    }
    c->done_bytes = bytes;
    return SENSE_NONE;
}

static Sense run_read(ScsiDisk *disk, ScsiCommand *c)
{
    return transfer(disk, c, false);
}

static Sense run_write(ScsiDisk *disk, ScsiCommand *c)
{
    return transfer(disk, c, true);
}

static Sense run_synchronize(ScsiDisk *disk, ScsiCommand *c)
{
    return block_backend_flush(disk->backend) < 0 ? SENSE_WRITE_ERROR
                                                  : SENSE_NONE;
}

/* A list of { 64-bit LBA, 32-bit count, 4 bytes } behind 8 bytes. */
static Sense run_unmap(ScsiDisk *disk, ScsiCommand *c)
{
    g_autofree uint8_t *list = g_malloc(MAX_UNMAP_BYTES);
    size_t n = block_iov_to_buf(c->out, (int)c->n_out, 0, list,
                                MAX_UNMAP_BYTES);

    if (disk->read_only) {
        return SENSE_PROTECTED;
    }
    if (n < 8 || ldw_be_p(list + 2) > n - 8) {
        return SENSE_PARAMETER;
    }
    size_t end = 8 + ldw_be_p(list + 2);

    for (size_t at = 8; at + 16 <= end; at += 16) {
        uint64_t lba = ldq_be_p(list + at), blocks = ldl_be_p(list + at + 8);

        if (lba > blocks_of(disk) || blocks > blocks_of(disk) - lba ||
            blocks > MAX_UNMAP_BLOCKS) {
            return SENSE_RANGE;
        }
        if (blocks && block_backend_pdiscard(disk->backend, lba * BLOCK_BYTES,
                                             blocks * BLOCK_BYTES) < 0) {
            return SENSE_WRITE_ERROR;
        }
    }
    c->done_bytes = end;
    return SENSE_NONE;
}

/* ---- What the disk is ---------------------------------------------------------------- */

static void put_padded(uint8_t *at, size_t bytes, const char *text)
{
    memset(at, ' ', bytes);
    memcpy(at, text, MIN(strlen(text), bytes));
}

/* A page of vital product data; its length, 0: there is none. */
static size_t vital_page(const ScsiDisk *disk, unsigned page, uint8_t *v)
{
    static const uint8_t pages[] = { 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2 };
    size_t serial = strlen(disk->serial);
    size_t n = 0;

    v[1] = page;
    switch (page) {
    case 0x00:
        n = sizeof(pages);
        memcpy(v + 4, pages, n);
        break;
    case 0x80: /* serial number */
        n = serial;
        memcpy(v + 4, disk->serial, n);
        break;
    case 0x83: /* identification: one descriptor, by the vendor, ASCII */
        v[4] = 2;
        v[7] = serial;
        memcpy(v + 8, disk->serial, serial);
        n = 4 + serial;
        break;
    case 0xb0: /* limits */
        n = 0x3c;
        stl_be_p(v + 20, MAX_UNMAP_BLOCKS);
        stl_be_p(v + 24, 256);
        break;
    case 0xb1: /* does not rotate */
        n = 0x3c;
        stw_be_p(v + 4, 1);
        break;
    case 0xb2: /* UNMAP works; thin */
        n = 4;
        v[5] = 1 << 7;
        v[6] = 2;
        break;
    default:
        return 0;
    }
    stw_be_p(v + 2, n);
    return n + 4;
}

static Sense run_inquiry(ScsiDisk *disk, ScsiCommand *c)
{
    uint8_t data[256] = { 0 };
    size_t n = 36, allowed = ldw_be_p(c->cdb + 3);

    if (c->cdb[1] & 1) {
        n = vital_page(disk, c->cdb[2], data);
        return n ? answer(c, data, n, allowed) : SENSE_FIELD;
    }
    if (c->cdb[2]) {
        return SENSE_FIELD;
    }
    data[2] = 5;          /* SPC-3 */
    data[3] = 2 | 1 << 4; /* format; LUNs are hierarchical */
    data[4] = n - 5;
    data[7] = 1 << 1;     /* queues commands */
    put_padded(data + 8, 8, "E2K-EMU");
    put_padded(data + 16, 16, "disk");
    put_padded(data + 32, 4, "1.0");
    return answer(c, data, n, allowed);
}

static Sense run_capacity_10(ScsiDisk *disk, ScsiCommand *c)
{
    uint8_t data[8];
    uint64_t blocks = blocks_of(disk);

    stl_be_p(data, blocks ? MIN(blocks - 1, UINT32_MAX) : 0);
    stl_be_p(data + 4, BLOCK_BYTES);
    return answer(c, data, sizeof(data), sizeof(data));
}

static Sense run_service_action(ScsiDisk *disk, ScsiCommand *c)
{
    uint8_t data[32] = { 0 };
    uint64_t blocks = blocks_of(disk);

    if ((c->cdb[1] & 0x1f) != READ_CAPACITY_16) {
        return SENSE_FIELD;
    }
    stq_be_p(data, blocks ? blocks - 1 : 0);
    stl_be_p(data + 8, BLOCK_BYTES);
    data[14] = 1 << 7; /* blocks can be unmapped */
    return answer(c, data, sizeof(data), ldl_be_p(c->cdb + 10));
}

/* Header and the caching page, if it is asked for: writes are cached. */
static Sense run_mode_sense(ScsiDisk *disk, ScsiCommand *c)
{
    bool is_10 = c->cdb[0] == MODE_SENSE_10;
    size_t header = is_10 ? 8 : 4;
    unsigned page = c->cdb[2] & 0x3f;
    uint8_t data[32] = { 0 };
    size_t n = header;

    if (page == 0x08 || page == 0x3f) {
        data[n] = 0x08;
        data[n + 1] = 18;
        data[n + 2] = 1 << 2;
        n += 20;
    } else if (page) {
        return SENSE_FIELD;
    }
    data[is_10 ? 3 : 2] = 1 << 4 | (disk->read_only ? 1 << 7 : 0); /* FUA */
    if (is_10) {
        stw_be_p(data, n - 2);
        return answer(c, data, n, ldw_be_p(c->cdb + ALLOCATION_10));
    }
    data[0] = n - 1;
    return answer(c, data, n, c->cdb[4]);
}

static Sense run_request_sense(ScsiDisk *disk, ScsiCommand *c)
{
    uint8_t data[SCSI_SENSE_BYTES] = { 0x70, [7] = SCSI_SENSE_BYTES - 8 };

    return answer(c, data, sizeof(data), c->cdb[4]);
}

static Sense run_nothing(ScsiDisk *disk, ScsiCommand *c)
{
    return SENSE_NONE;
}

/* ---- Dispatch ------------------------------------------------------------------------- */

static const struct {
    uint8_t opcode;
    Sense (*run)(ScsiDisk *disk, ScsiCommand *c);
} rows[] = {
    { TEST_UNIT_READY, run_nothing }, { REQUEST_SENSE, run_request_sense },
    { READ_6, run_read },             { WRITE_6, run_write },
    { INQUIRY, run_inquiry },         { MODE_SENSE_6, run_mode_sense },
    { START_STOP, run_nothing },      { READ_CAPACITY_10, run_capacity_10 },
    { READ_10, run_read },            { WRITE_10, run_write },
    { VERIFY_10, run_nothing },       { SYNCHRONIZE_10, run_synchronize },
    { UNMAP, run_unmap },             { MODE_SENSE_10, run_mode_sense },
    { READ_16, run_read },            { WRITE_16, run_write },
    { SYNCHRONIZE_16, run_synchronize },
    { SERVICE_ACTION_16, run_service_action },
    { READ_12, run_read },            { WRITE_12, run_write },
};

void scsi_disk_execute(ScsiDisk *disk, ScsiCommand *c)
{
    Sense sense = SENSE_OPCODE;

    c->status = STATUS_GOOD;
    c->done_bytes = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].opcode == c->cdb[0]) {
            sense = rows[i].run(disk, c);
        }
    }
    if (sense) {
        fail(c, sense);
    }
}

void scsi_no_disk(ScsiCommand *c)
{
    uint8_t data[36] = { INQUIRY_NO_DISK, [2] = 5, [3] = 2, [4] = 31 };

    c->status = STATUS_GOOD;
    c->done_bytes = 0;
    if (c->cdb[0] == INQUIRY) {
        answer(c, data, sizeof(data), ldw_be_p(c->cdb + 3));
    } else if (c->cdb[0] != REQUEST_SENSE) {
        fail(c, SENSE_NO_DISK);
    }
}
