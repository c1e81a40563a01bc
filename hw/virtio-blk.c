/*
 * virtio block device: requests of the guest become calls of the block layer.
 *
 *   bell --> worker (virtio-workers.h) --> preadv/pwritev/... --> push
 *
 * The block layer's functions block, so each request in flight has a worker
 * thread of the device; data moves between guest memory and the block layer
 * without a copy.  Requests may complete in any order, as the specification
 * allows.
 *
 * Source: VIRTIO 1.2 section 5.2.
 */
#include "hw/virtio-blk.h"

#include <errno.h>
#include <string.h>

#include "hw/virtio-workers.h"
#include "system/machine.h"
#include "util/bytes.h"
#include "util/log.h"

#define FEATURE_SEG_MAX (UINT64_C(1) << 2)
#define FEATURE_RO (UINT64_C(1) << 5)
#define FEATURE_BLK_SIZE (UINT64_C(1) << 6)
#define FEATURE_FLUSH (UINT64_C(1) << 9)
#define FEATURE_MQ (UINT64_C(1) << 12)
#define FEATURE_DISCARD (UINT64_C(1) << 13)
#define FEATURE_WRITE_ZEROES (UINT64_C(1) << 14)

enum {
    SECTOR_BYTES = 512,
    HEADER_BYTES = 16,
    RANGE_BYTES = 16,      /* a segment of discard and write-zeroes */
    ID_BYTES = 20,
    MAX_RANGES = 64,
    MAX_RANGE_SECTORS = 1 << 22,
    DEFAULT_WORKERS = 8,
    MAX_WORKERS = 64,
    QUEUE_SIZE = 256,
};

enum {
    REQUEST_IN = 0,
    REQUEST_OUT = 1,
    REQUEST_FLUSH = 4,
    REQUEST_GET_ID = 8,
    REQUEST_DISCARD = 11,
    REQUEST_WRITE_ZEROES = 13,
};

enum {
    STATUS_OK = 0,
    STATUS_IOERR = 1,
    STATUS_UNSUPP = 2,
};

/* Offsets in the configuration space. */
enum {
    CONFIG_CAPACITY = 0,
    CONFIG_SEG_MAX = 12,
    CONFIG_BLK_SIZE = 20,
    CONFIG_NUM_QUEUES = 34,
    CONFIG_MAX_DISCARD_SECTORS = 36,
    CONFIG_MAX_DISCARD_SEG = 40,
    CONFIG_DISCARD_ALIGNMENT = 44,
    CONFIG_MAX_ZEROES_SECTORS = 48,
    CONFIG_MAX_ZEROES_SEG = 52,
    CONFIG_ZEROES_MAY_UNMAP = 56,
};

typedef struct VirtioBlk {
    VirtioDevice vdev;
    BlockBackend *backend;
    char serial[ID_BYTES];
    VirtioWorkers *workers;
} VirtioBlk;

/* ---- One request --------------------------------------------------------------- */

static int do_read(VirtioBlk *blk, const VirtioRequest *r, uint64_t sector,
                   uint32_t *written)
{
    uint64_t bytes = r->in_bytes - 1;
    unsigned n;

    if (bytes % SECTOR_BYTES) {
        return -EINVAL;
    }
    g_autofree struct iovec *iov = virtio_slice(r->in, r->n_in, 0, bytes, &n);
    int ret = block_backend_preadv(blk->backend, sector * SECTOR_BYTES, bytes,
                                   iov, n, 0);

    *written += ret == 0 ? bytes : 0;
    return ret;
}

static int do_write(VirtioBlk *blk, const VirtioRequest *r, uint64_t sector)
{
    uint64_t bytes = r->out_bytes - HEADER_BYTES;
    unsigned n;

    if (bytes % SECTOR_BYTES) {
        return -EINVAL;
    }
    g_autofree struct iovec *iov =
        virtio_slice(r->out, r->n_out, HEADER_BYTES, bytes, &n);

    return block_backend_pwritev(blk->backend, sector * SECTOR_BYTES, bytes,
                                 iov, n, 0);
}

/* Discard and write-zeroes: a list of ranges follows the header. */
static int do_ranges(VirtioBlk *blk, const VirtioRequest *r, bool zeroes)
{
    uint64_t bytes = r->out_bytes - HEADER_BYTES;
    int ret = 0;

    if (bytes % RANGE_BYTES || !bytes || bytes / RANGE_BYTES > MAX_RANGES) {
        return -EINVAL;
    }
    for (uint64_t at = 0; at < bytes && ret == 0; at += RANGE_BYTES) {
        uint8_t range[RANGE_BYTES];

        virtio_copy_out(r, HEADER_BYTES + at, range, sizeof(range));
        uint64_t sector = ldq_le_p(range);
        uint32_t sectors = ldl_le_p(range + 8);
        uint32_t flags = ldl_le_p(range + 12);

        if (sectors > MAX_RANGE_SECTORS || sector > INT64_MAX / SECTOR_BYTES ||
            (flags & ~1u) || (flags && !zeroes)) {
            return -ENOTSUP;
        }
        ret = zeroes ? block_backend_pwrite_zeroes(
                           blk->backend, sector * SECTOR_BYTES,
                           (uint64_t)sectors * SECTOR_BYTES,
                           flags & 1 ? BLOCK_REQ_MAY_UNMAP : 0)
                     : block_backend_pdiscard(blk->backend,
                                              sector * SECTOR_BYTES,
                                              (uint64_t)sectors *
                                                  SECTOR_BYTES);
    }
    return ret;
}

static int do_request(VirtioBlk *blk, const VirtioRequest *r,
                      uint32_t *written)
{
    uint8_t header[HEADER_BYTES];

    virtio_copy_out(r, 0, header, sizeof(header));
    uint32_t type = ldl_le_p(header);
    uint64_t sector = ldq_le_p(header + 8);

    if (sector > INT64_MAX / SECTOR_BYTES) {
        return -EINVAL;
    }
    switch (type) {
    case REQUEST_IN:
        return do_read(blk, r, sector, written);
    case REQUEST_OUT:
        return do_write(blk, r, sector);
    case REQUEST_FLUSH:
        return block_backend_flush(blk->backend);
    case REQUEST_GET_ID:
        *written += virtio_copy_in(r, 0, blk->serial,
                                   MIN(r->in_bytes - 1, ID_BYTES));
        return 0;
    case REQUEST_DISCARD:
        return do_ranges(blk, r, false);
    case REQUEST_WRITE_ZEROES:
        return do_ranges(blk, r, true);
    default:
        return -ENOTSUP;
    }
}

static void handle(VirtioDevice *vdev, VirtioRequest *r)
{
    VirtioBlk *blk = (VirtioBlk *)vdev;
    uint32_t written = 0;

    if (r->out_bytes < HEADER_BYTES || r->in_bytes < 1) {
        virtio_broken(&blk->vdev, "request without header or status");
        virtio_request_free(r);
        return;
    }
    int ret = do_request(blk, r, &written);
    uint8_t status = ret == 0           ? STATUS_OK
                     : ret == -ENOTSUP ? STATUS_UNSUPP
                                       : STATUS_IOERR;

    if (ret < 0) {
        log_printf(LOG_DEVICE, "%s: request failed: %s\n", blk->vdev.id,
                   g_strerror(-ret));
    }
    virtio_copy_in(r, r->in_bytes - 1, &status, 1);
    virtio_push(r, written + 1);
}

/* ---- Life ----------------------------------------------------------------------- */

static void blk_notify(VirtioDevice *vdev, unsigned queue)
{
    virtio_workers_notify(((VirtioBlk *)vdev)->workers);
}

static void blk_quiesce(VirtioDevice *vdev)
{
    virtio_workers_quiesce(((VirtioBlk *)vdev)->workers);
}

static void blk_free(VirtioDevice *vdev)
{
    VirtioBlk *blk = (VirtioBlk *)vdev;

    virtio_workers_free(blk->workers);
    block_backend_set_ops(blk->backend, NULL, NULL);
    block_backend_unref(blk->backend);
    virtio_clear(vdev);
    g_free(blk);
}

/* ---- Configuration ------------------------------------------------------------- */

static void blk_resized(void *opaque, uint64_t size)
{
    VirtioBlk *blk = opaque;
    VirtioDevice *vdev = &blk->vdev;

    stq_le_p(vdev->config + CONFIG_CAPACITY, size / SECTOR_BYTES);
    virtio_config_changed(vdev);
}

static const BlockBackendOps backend_ops = {
    .resized = blk_resized,
};

static const VirtioType blk_type = {
    .name = "virtio-blk",
    .id = VIRTIO_ID_BLOCK,
    .features = FEATURE_SEG_MAX | FEATURE_BLK_SIZE | FEATURE_FLUSH |
                FEATURE_DISCARD | FEATURE_WRITE_ZEROES,
    .config_size = 60,
    .notify = blk_notify,
    .quiesce = blk_quiesce,
    .free = blk_free,
};

static void fill_config(VirtioBlk *blk, uint64_t size)
{
    uint8_t *config = blk->vdev.config;

    stq_le_p(config + CONFIG_CAPACITY, size / SECTOR_BYTES);
    stl_le_p(config + CONFIG_SEG_MAX, QUEUE_SIZE - 2);
    stl_le_p(config + CONFIG_BLK_SIZE, SECTOR_BYTES);
    stw_le_p(config + CONFIG_NUM_QUEUES, blk->vdev.n_queues);
    stl_le_p(config + CONFIG_MAX_DISCARD_SECTORS, MAX_RANGE_SECTORS);
    stl_le_p(config + CONFIG_MAX_DISCARD_SEG, MAX_RANGES);
    stl_le_p(config + CONFIG_DISCARD_ALIGNMENT, 1);
    stl_le_p(config + CONFIG_MAX_ZEROES_SECTORS, MAX_RANGE_SECTORS);
    stl_le_p(config + CONFIG_MAX_ZEROES_SEG, MAX_RANGES);
    config[CONFIG_ZEROES_MAY_UNMAP] = 1;
}

VirtioDevice *virtio_blk_new(const char *id, PhysMem *mem,
                             BlockBackend *backend,
                             const VirtioBlkOptions *options, GError **error)
{
    int64_t size = block_backend_length(backend);
    unsigned n_workers =
        options->n_workers ? options->n_workers : DEFAULT_WORKERS;

    if (size < 0) {
        g_set_error(error, SYSTEM_ERROR, 0, "%s: cannot get the disk's size: "
                    "%s", id, g_strerror(-size));
        return NULL;
    }
    VirtioBlk *blk = g_new0(VirtioBlk, 1);
    VirtioDevice *vdev = &blk->vdev;

    virtio_init(vdev, &blk_type, id, mem, MAX(options->n_queues, 1),
                QUEUE_SIZE);
    vdev->offered |= options->n_queues > 1 ? FEATURE_MQ : 0;
    vdev->offered |= options->read_only ? FEATURE_RO : 0;
    if (options->serial) {
        memcpy(blk->serial, options->serial,
               MIN(strlen(options->serial), ID_BYTES));
    }
    block_backend_ref(backend);
    blk->backend = backend;
    fill_config(blk, size);
    block_backend_set_ops(backend, &backend_ops, blk);
    blk->workers = virtio_workers_new(vdev, 0, MIN(n_workers, MAX_WORKERS),
                                      handle);
    return vdev;
}
