/*
 * Virtio devices, apart from how they sit on a bus.
 *
 *   transport (mmio, pci)              device type (blk, console, rng, net)
 *     registers, interrupt   <------>    VirtioDevice: features, config, queues
 *                                        VirtioType:   callbacks
 *
 *   guest memory: descriptor table, available ring, used ring of each queue
 *   (split format, version 1).  Everything read from there is checked: queue
 *   sizes, indexes, addresses, chain length.  A queue that breaks the rules
 *   marks the device broken (DEVICE_NEEDS_RESET) and is ignored until reset.
 *
 * Threads.  The transport's calls run under its device lock.  Device types may
 * pop and complete requests on other threads: the functions on queues take
 * the queue's own lock.
 *
 * Source: OASIS "Virtual I/O Device (VIRTIO) Version 1.2".
 */
#ifndef HW_VIRTIO_H
#define HW_VIRTIO_H

#include <sys/uio.h>

#include "system/device.h"
#include "system/physmem.h"

enum {
    VIRTIO_QUEUE_MAX = 256,   /* descriptors of one queue */
    VIRTIO_CHAIN_MAX = 1024,  /* segments of one request, indirect included */
    VIRTIO_MAX_QUEUES = 16,
};

enum {
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_RNG = 4,
    VIRTIO_ID_SCSI = 8,
};

enum {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};

#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1 (UINT64_C(1) << 32)

typedef struct VirtioDevice VirtioDevice;
typedef struct VirtioQueue VirtioQueue;

/* One request: what the guest gives (out) and where answers go (in). */
typedef struct VirtioRequest {
    VirtioQueue *queue;
    uint16_t head;
    unsigned n_out, n_in;
    uint64_t out_bytes, in_bytes;
    struct iovec *out; /* host memory; owned by the request */
    struct iovec *in;
} VirtioRequest;

struct VirtioQueue {
    VirtioDevice *vdev;
    unsigned index;
    /* Registers; under the transport's lock, constant while ready. */
    uint32_t size;
    uint32_t ready;
    uint64_t desc, driver, device;
    /* Under lock. */
    GMutex lock;
    uint16_t last_avail, used;
    bool event_valid; /* signalled holds a value */
    uint16_t signalled;
};

typedef struct VirtioType {
    const char *name;
    unsigned id;            /* VIRTIO_ID_... */
    uint64_t features;      /* offered, besides the ring's own */
    unsigned config_size;
    /* The guest rang a queue's bell; transport lock held. */
    void (*notify)(VirtioDevice *vdev, unsigned queue);
    /* Driver reset: forget requests; none is in flight after quiesce. */
    void (*reset)(VirtioDevice *vdev);
    void (*status_changed)(VirtioDevice *vdev);  /* may be NULL */
    void (*config_written)(VirtioDevice *vdev);  /* may be NULL */
    void (*quiesce)(VirtioDevice *vdev);         /* may be NULL */
    void (*free)(VirtioDevice *vdev);
} VirtioType;

struct VirtioDevice {
    const VirtioType *type;
    char *id;
    PhysMem *mem;
    /* The transport: tells the guest. */
    void (*raise)(void *transport, const VirtioQueue *queue); /* NULL:
                             * the configuration changed */
    void *transport;
    unsigned n_queues;
    VirtioQueue queues[VIRTIO_MAX_QUEUES];
    uint64_t offered;       /* features */
    uint64_t accepted;
    uint32_t status;
    uint8_t config[64];     /* device-specific configuration */
    uint32_t config_generation;
};

void virtio_init(VirtioDevice *vdev, const VirtioType *type, const char *id,
                 PhysMem *mem, unsigned n_queues, unsigned queue_size);
void virtio_clear(VirtioDevice *vdev);
void virtio_reset(VirtioDevice *vdev);
void virtio_set_status(VirtioDevice *vdev, uint32_t status);
/* What transports do, checked: half 0 or 1 of the accepted features, a
 * queue's size and its start or stop, a bell. */
void virtio_accept_features(VirtioDevice *vdev, uint32_t half, uint32_t bits);
void virtio_queue_set_size(VirtioQueue *queue, uint64_t size);
void virtio_queue_set_ready(VirtioQueue *queue, bool ready);
void virtio_bell(VirtioDevice *vdev, uint64_t queue);
uint64_t virtio_config_read(VirtioDevice *vdev, uint64_t at, unsigned size);
void virtio_config_write(VirtioDevice *vdev, uint64_t at, unsigned size,
                         uint64_t value);
/* Device types change their configuration through this. */
void virtio_config_changed(VirtioDevice *vdev);
/* No request is in flight afterwards; looks for requests again. */
void virtio_quiesce(VirtioDevice *vdev);
void virtio_resume(VirtioDevice *vdev);
/* What snapshots keep. */
extern const StateField virtio_fields[];

/* The guest broke the rules: says so, asks for a reset. */
void virtio_broken(VirtioDevice *vdev, const char *why);

/*
 * The next request of a queue, NULL when there is none.  Its memory is
 * checked and mapped.
 */
VirtioRequest *virtio_pop(VirtioQueue *queue);
/* Answers a request, written bytes of it filled, and frees it. */
void virtio_push(VirtioRequest *request, uint32_t written);
void virtio_request_free(VirtioRequest *request);

/* Copies between a buffer and the request; return the bytes copied. */
size_t virtio_copy_out(const VirtioRequest *request, size_t skip, void *to,
                       size_t size);
size_t virtio_copy_in(const VirtioRequest *request, size_t skip,
                      const void *from, size_t size);

/* The part of iov behind skip bytes, of bytes bytes; to be freed. */
struct iovec *virtio_slice(const struct iovec *iov, unsigned n, size_t skip,
                           size_t bytes, unsigned *n_out);

/* ---- Transports ----------------------------------------------------------- */

#include "system/irq.h"

/* Puts a device on a virtio-mmio slot, which owns it from now on. */
Device *virtio_mmio_new(Machine *machine, const char *id, Irq irq);
void virtio_mmio_plug(Device *slot, VirtioDevice *vdev);
bool virtio_mmio_is_free(Device *slot);
/* Hot unplug: the device, which the caller frees; NULL when it is empty. */
VirtioDevice *virtio_mmio_unplug(Device *slot);
const char *virtio_mmio_id(Device *slot); /* of the device in it, or NULL */

#endif
