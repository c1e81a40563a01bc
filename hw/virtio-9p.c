/*
 * virtio 9P transport: one queue of messages for the server of p9.h.
 *
 * A worker thread answers, since files may be slow.  What the guest has open
 * is not part of a snapshot: after loading one it must mount again.
 */
#include "hw/virtio-9p.h"

#include <string.h>

#include "hw/p9.h"
#include "system/machine.h"
#include "util/bytes.h"
#include "util/log.h"

#define FEATURE_MOUNT_TAG (UINT64_C(1) << 0)

enum {
    VIRTIO_ID_9P = 9,
    QUEUE_SIZE = 128,
    TAG_MAX = 32,
};

typedef struct Virtio9p {
    VirtioDevice vdev;
    P9Server *server;   /* the worker's, or anybody's while it is idle */
    GThread *worker;
    /* Under lock. */
    GMutex lock;
    GCond changed;
    bool wanted, busy, quit;
} Virtio9p;

static void answer(Virtio9p *p, VirtioRequest *r)
{
    g_autofree uint8_t *message = g_malloc(P9_MESSAGE_MAX);
    g_autofree uint8_t *reply = g_malloc(P9_MESSAGE_MAX);
    size_t size = r->out_bytes <= P9_MESSAGE_MAX
                      ? virtio_copy_out(r, 0, message, r->out_bytes)
                      : 0;
    size_t n = p9_handle(p->server, message, size, reply);

    if (!n || n > r->in_bytes) {
        virtio_broken(&p->vdev, n ? "no room for the reply"
                                  : "not a 9P message");
        virtio_request_free(r);
        return;
    }
    virtio_push(r, virtio_copy_in(r, 0, reply, n));
}

static void *worker(void *opaque)
{
    Virtio9p *p = opaque;

    g_mutex_lock(&p->lock);
    while (!p->quit) {
        if (!p->wanted) {
            g_cond_wait(&p->changed, &p->lock);
            continue;
        }
        p->wanted = false;
        p->busy = true;
        g_mutex_unlock(&p->lock);
        VirtioRequest *r;

        while ((r = virtio_pop(&p->vdev.queues[0]))) {
            answer(p, r);
        }
        g_mutex_lock(&p->lock);
        p->busy = false;
        g_cond_broadcast(&p->changed);
    }
    g_mutex_unlock(&p->lock);
    return NULL;
}

static void p9_notify(VirtioDevice *vdev, unsigned queue)
{
    Virtio9p *p = (Virtio9p *)vdev;

    g_mutex_lock(&p->lock);
    p->wanted = true;
    g_cond_broadcast(&p->changed);
    g_mutex_unlock(&p->lock);
}

static void p9_quiesce(VirtioDevice *vdev)
{
    Virtio9p *p = (Virtio9p *)vdev;

    g_mutex_lock(&p->lock);
    p->wanted = false;
    while (p->busy) {
        g_cond_wait(&p->changed, &p->lock);
    }
    g_mutex_unlock(&p->lock);
}

/* Quiesced before: nobody uses the server. */
static void p9_device_reset(VirtioDevice *vdev)
{
    p9_reset(((Virtio9p *)vdev)->server);
}

static void p9_device_free(VirtioDevice *vdev)
{
    Virtio9p *p = (Virtio9p *)vdev;

    g_mutex_lock(&p->lock);
    p->quit = true;
    g_cond_broadcast(&p->changed);
    g_mutex_unlock(&p->lock);
    g_thread_join(p->worker);
    p9_free(p->server);
    g_mutex_clear(&p->lock);
    g_cond_clear(&p->changed);
    virtio_clear(vdev);
    g_free(p);
}

static const VirtioType p9_type = {
    .name = "virtio-9p",
    .id = VIRTIO_ID_9P,
    .features = FEATURE_MOUNT_TAG,
    .config_size = 2 + TAG_MAX,
    .notify = p9_notify,
    .reset = p9_device_reset,
    .quiesce = p9_quiesce,
    .free = p9_device_free,
};

VirtioDevice *virtio_9p_new(const char *id, PhysMem *mem, const char *path,
                            const char *tag, bool read_only, GError **error)
{
    if (!*tag || strlen(tag) > TAG_MAX) {
        g_set_error(error, SYSTEM_ERROR, 0, "a mount tag has 1..%u bytes",
                    TAG_MAX);
        return NULL;
    }
    P9Server *server = p9_new(path, read_only, error);

    if (!server) {
        return NULL;
    }
    Virtio9p *p = g_new0(Virtio9p, 1);

    virtio_init(&p->vdev, &p9_type, id, mem, 1, QUEUE_SIZE);
    p->server = server;
    stw_le_p(p->vdev.config, strlen(tag));
    memcpy(p->vdev.config + 2, tag, strlen(tag));
    g_mutex_init(&p->lock);
    g_cond_init(&p->changed);
    p->worker = g_thread_new("virtio-9p", worker, p);
    return &p->vdev;
}
