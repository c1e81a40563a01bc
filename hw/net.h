/*
 * Networks: what is behind a guest's network card.
 *
 *   card --net_send()--> bounded queue --> thread of the backend --> network
 *        <--receive()---------------------/
 *
 * A backend has a thread that owns its sockets.  A card never waits for it:
 * frames that find the queue full are dropped, as on a wire.
 */
#ifndef HW_NET_H
#define HW_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

enum {
    NET_FRAME_MAX = 65536,
    NET_QUEUE_MAX = 512, /* frames */
};

typedef struct NetBackend NetBackend;

/* Called on the backend's thread; the frame is copied by the card. */
typedef void NetReceiveFn(void *opaque, const uint8_t *frame, size_t n);

/* Give a backend; NULL with an error.  Freed with net_free(). */

/* A wire to another process, through a unix socket: each frame behind its
 * length in four bytes, big endian.  server: listens, one peer at a time. */
NetBackend *net_stream_new(const char *id, const char *path, bool server,
                           GError **error);

typedef struct NetUserOptions {
    bool restricted;      /* the guest reaches nothing but the host's forwards */
    const char **forwards; /* "tcp:[ADDR]:PORT-[GUEST]:PORT", NULL ends */
} NetUserOptions;

/* NAT, DHCP and DNS in this process (libslirp): the guest is 10.0.2.15. */
NetBackend *net_user_new(const char *id, const NetUserOptions *options,
                         GError **error);

void net_free(NetBackend *net);
const char *net_id(const NetBackend *net);

/* One card at a time: false when there is one.  After detaching no call of
 * receive is under way. */
bool net_attach(NetBackend *net, NetReceiveFn *receive, void *opaque);
void net_detach(NetBackend *net);

/* Any thread; never waits. */
void net_send(NetBackend *net, const uint8_t *frame, size_t n);

#endif
