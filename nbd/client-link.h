/*
 * A connection of a client, and the client that has several.  For client.c
 * and client-link.c.
 */
#ifndef NBD_CLIENT_LINK_H
#define NBD_CLIENT_LINK_H

#include "nbd/client-int.h"

#define NBD_LINK_SLOTS 128 /* requests in flight on one connection */
#define NBD_MAX_LINKS  16

typedef struct NbdLink {
    NbdClient *client;
    NbdStream stream;
    GMutex send_lock;

    GMutex lock; /* protects what follows */
    GCond changed; /* a slot is free, or the link went up or down */
    bool up;
    bool broken;
    bool receiving; /* some caller is */
    bool connecting;
    unsigned users; /* callers between enter and leave */
    uint32_t epoch; /* in the upper half of cookies */
    NbdCall *slots[NBD_LINK_SLOTS];
    gint64 lost_us; /* when it broke */
    gint64 retry_us; /* not before */
    unsigned backoff_s;
    bool heard; /* replies since the last look */
    unsigned silent; /* looks since the last reply */

    NbdInput input; /* the receiver's */
} NbdLink;

struct NbdClient {
    NbdClientParams params; /* strings owned */
    NbdAddress *address;
    NbdClientInfo info;
    uint32_t context_id;
    unsigned nlinks;
    NbdLink links[NBD_MAX_LINKS];
};

/* Once, before anything else; clear: when nobody uses it any more. */
void nbd_link_init(NbdLink *link, NbdClient *client);
void nbd_link_clear(NbdLink *link);
/*
 * Connects a new link; nbd_link_look() may give it up meanwhile.  first: what
 * the server says of the disk becomes the client's; else it has to fit.
 */
bool nbd_link_open(NbdLink *link, bool first, GError **error);
/*
 * Sends a call and waits: 0 (then call->error), -ECONNRESET when the link
 * broke meanwhile, -EIO when there is none to be had.
 */
int nbd_link_call(NbdLink *link, NbdCall *call);
/* Once a second while the program ends: gives a silent server up. */
void nbd_link_look(NbdLink *link);
/* On a link that works; the server closes, so do we. */
void nbd_link_goodbye(NbdLink *link);

#endif
