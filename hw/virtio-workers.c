/*
 * Worker threads of virtio devices; see virtio-workers.h.
 */
#include "hw/virtio-workers.h"

struct VirtioWorkers {
    VirtioDevice *vdev;
    unsigned first_queue;
    void (*handle)(VirtioDevice *vdev, VirtioRequest *request);
    GPtrArray *threads;
    /* Under lock. */
    GMutex lock;
    GCond work;      /* wanted or quit changed */
    GCond idle;      /* busy became 0 */
    unsigned wanted; /* workers that should look at the queues */
    unsigned busy;   /* workers with a request */
    bool quit;
    bool quiescing;
};

static VirtioRequest *pop_any(const VirtioWorkers *w)
{
    VirtioRequest *r = NULL;

    for (unsigned i = w->first_queue; i < w->vdev->n_queues && !r; i++) {
        r = virtio_pop(&w->vdev->queues[i]);
    }
    return r;
}

void virtio_workers_notify(VirtioWorkers *w)
{
    g_mutex_lock(&w->lock);
    if (w->wanted < w->threads->len) {
        w->wanted++;
        g_cond_signal(&w->work);
    }
    g_mutex_unlock(&w->lock);
}

static void *worker(void *opaque)
{
    VirtioWorkers *w = opaque;

    g_mutex_lock(&w->lock);
    while (!w->quit) {
        if (!w->wanted || w->quiescing) {
            g_cond_wait(&w->work, &w->lock);
            continue;
        }
        w->wanted--;
        w->busy++;
        g_mutex_unlock(&w->lock);
        VirtioRequest *r = pop_any(w);

        if (r) {
            virtio_workers_notify(w); /* there may be more */
            w->handle(w->vdev, r);
        }
        g_mutex_lock(&w->lock);
        if (--w->busy == 0) {
            g_cond_broadcast(&w->idle);
        }
    }
    g_mutex_unlock(&w->lock);
    return NULL;
}

void virtio_workers_quiesce(VirtioWorkers *w)
{
    g_mutex_lock(&w->lock);
    w->quiescing = true;
    while (w->busy) {
        g_cond_wait(&w->idle, &w->lock);
    }
    w->wanted = 0;
    w->quiescing = false;
    g_mutex_unlock(&w->lock);
}

void virtio_workers_free(VirtioWorkers *w)
{
    g_mutex_lock(&w->lock);
    w->quit = true;
    g_cond_broadcast(&w->work);
    g_mutex_unlock(&w->lock);
    for (guint i = 0; i < w->threads->len; i++) {
        g_thread_join(g_ptr_array_index(w->threads, i));
    }
    g_ptr_array_free(w->threads, TRUE);
    g_mutex_clear(&w->lock);
    g_cond_clear(&w->work);
    g_cond_clear(&w->idle);
    g_free(w);
}

VirtioWorkers *virtio_workers_new(VirtioDevice *vdev, unsigned first_queue,
                                  unsigned n_threads,
                                  void (*handle)(VirtioDevice *vdev,
                                                 VirtioRequest *request))
{
    VirtioWorkers *w = g_new0(VirtioWorkers, 1);

    w->vdev = vdev;
    w->first_queue = first_queue;
    w->handle = handle;
    g_mutex_init(&w->lock);
    g_cond_init(&w->work);
    g_cond_init(&w->idle);
    w->threads = g_ptr_array_new();
    g_mutex_lock(&w->lock); /* threads look at the array */
    for (unsigned i = 0; i < n_threads; i++) {
        g_ptr_array_add(w->threads,
                        g_thread_new(vdev->type->name, worker, w));
    }
    g_mutex_unlock(&w->lock);
    return w;
}
