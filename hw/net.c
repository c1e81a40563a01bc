/*
 * What all network backends share: queue, thread, card; see net.h.
 */
#include "hw/net-int.h"

#include <sys/eventfd.h>
#include <unistd.h>

void *net_new(size_t size, const NetOps *ops, const char *id)
{
    NetBackend *net = g_malloc0(size);

    net->ops = ops;
    net->id = g_strdup(id);
    net->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g_mutex_init(&net->lock);
    g_mutex_init(&net->card_lock);
    g_queue_init(&net->queue);
    return net;
}

static void wake(NetBackend *net)
{
    uint64_t one = 1;

    if (write(net->wake_fd, &one, sizeof(one)) < 0) {
        /* Full: it is awake already. */
    }
}

void net_clear_wake(NetBackend *net)
{
    uint64_t count;

    if (read(net->wake_fd, &count, sizeof(count)) < 0) {
        /* Nothing was there. */
    }
}

static void *net_thread(void *opaque)
{
    NetBackend *net = opaque;
    bool quit = false;

    while (!quit) {
        net->ops->turn(net);
        g_mutex_lock(&net->lock);
        quit = net->quit;
        g_mutex_unlock(&net->lock);
    }
    return NULL;
}

void net_start(NetBackend *net)
{
    net->thread = g_thread_new("net", net_thread, net);
}

void net_free(NetBackend *net)
{
    if (net->thread) {
        g_mutex_lock(&net->lock);
        net->quit = true;
        g_mutex_unlock(&net->lock);
        wake(net);
        g_thread_join(net->thread);
    }
    net->ops->free(net);
    g_queue_clear_full(&net->queue, (GDestroyNotify)g_bytes_unref);
    close(net->wake_fd);
    g_mutex_clear(&net->lock);
    g_mutex_clear(&net->card_lock);
    g_free(net->id);
    g_free(net);
}

const char *net_id(const NetBackend *net)
{
    return net->id;
}

bool net_attach(NetBackend *net, NetReceiveFn *receive, void *opaque)
{
    g_mutex_lock(&net->card_lock);
    bool ok = !net->receive;

    if (ok) {
        net->receive = receive;
        net->opaque = opaque;
    }
    g_mutex_unlock(&net->card_lock);
    return ok;
}

void net_detach(NetBackend *net)
{
    g_mutex_lock(&net->card_lock);
    net->receive = NULL;
    g_mutex_unlock(&net->card_lock);
}

void net_deliver(NetBackend *net, const uint8_t *frame, size_t n)
{
    g_mutex_lock(&net->card_lock);
    if (net->receive) {
        net->receive(net->opaque, frame, n);
    }
    g_mutex_unlock(&net->card_lock);
}

void net_send(NetBackend *net, const uint8_t *frame, size_t n)
{
    g_mutex_lock(&net->lock);
    if (g_queue_get_length(&net->queue) < NET_QUEUE_MAX) {
        g_queue_push_tail(&net->queue, g_bytes_new(frame, n));
    }
    g_mutex_unlock(&net->lock);
    wake(net);
}

GBytes *net_take(NetBackend *net)
{
    g_mutex_lock(&net->lock);
    GBytes *frame = g_queue_pop_head(&net->queue);

    g_mutex_unlock(&net->lock);
    return frame;
}
