/*
 * What net.c gives to the kinds of backends.
 */
#ifndef HW_NET_INT_H
#define HW_NET_INT_H

#include <poll.h>

#include "hw/net.h"

typedef struct NetOps {
    /*
     * One turn of the thread: waits for its files and for wake_fd, then
     * handles what is ready.  Frames to send: net_take().
     */
    void (*turn)(NetBackend *net);
    void (*free)(NetBackend *net); /* what the kind owns, not itself */
} NetOps;

struct NetBackend {
    const NetOps *ops;
    char *id;
    int wake_fd;        /* becomes readable when the queue or quit changed */
    GThread *thread;
    /* Under lock. */
    GMutex lock;
    GQueue queue;       /* GBytes to send */
    bool quit;
    /* Under card_lock, held during a call of receive. */
    GMutex card_lock;
    NetReceiveFn *receive;
    void *opaque;
};

/* A zeroed struct of size bytes that begins with NetBackend. */
void *net_new(size_t size, const NetOps *ops, const char *id);
void net_start(NetBackend *net); /* begins the thread */
/* The next frame, NULL when there is none; also clears wake_fd. */
GBytes *net_take(NetBackend *net);
void net_clear_wake(NetBackend *net);
/* A frame for the card. */
void net_deliver(NetBackend *net, const uint8_t *frame, size_t n);

#endif
