/*
 * virtio entropy device: fills the guest's buffers with random bytes of the
 * host, at once, on the thread that rings the bell.
 *
 * Source: VIRTIO 1.2 section 5.4.
 */
#include "hw/virtio-rng.h"

#include <sys/random.h>

enum {
    QUEUE_SIZE = 64,
    MOST_BYTES = 1 << 16, /* of one request; the guest asks again */
};

typedef struct VirtioRng {
    VirtioDevice vdev;
} VirtioRng;

static void rng_notify(VirtioDevice *vdev, unsigned queue)
{
    VirtioRequest *request;

    while ((request = virtio_pop(&vdev->queues[queue]))) {
        uint8_t bytes[256];
        size_t wanted = MIN(request->in_bytes, MOST_BYTES);
        size_t done = 0;

        while (done < wanted) {
            ssize_t got = getrandom(bytes, MIN(sizeof(bytes), wanted - done),
                                    0);

            if (got > 0) {
                done += virtio_copy_in(request, done, bytes, got);
            }
        }
        virtio_push(request, done);
    }
}

static void rng_free(VirtioDevice *vdev)
{
    virtio_clear(vdev);
    g_free(vdev);
}

static const VirtioType rng_type = {
    .name = "virtio-rng",
    .id = VIRTIO_ID_RNG,
    .notify = rng_notify,
    .free = rng_free,
};

VirtioDevice *virtio_rng_new(const char *id, PhysMem *mem)
{
    VirtioRng *rng = g_new0(VirtioRng, 1);

    virtio_init(&rng->vdev, &rng_type, id, mem, 1, QUEUE_SIZE);
    return &rng->vdev;
}
