/*
 * Insides of the client, shared by its files.
 *
 *   client-handshake.c  greeting and options, as the side that asks
 *   client-list.c       what exports a server has
 *   client.c            requests, opening and closing
 *   client-link.c       a connection: calls on it, reconnection
 *   client-reply.c      checking and taking apart what a server answers
 *   client-wind-up.c    servers that are silent when the program ends
 */
#ifndef NBD_CLIENT_INT_H
#define NBD_CLIENT_INT_H

#include "nbd/client.h"
#include "nbd/protocol.h"

/* A connection during the handshake. */
typedef struct NbdHandshake {
    NbdStream *stream;
    const char *export; /* wanted */
    NbdTlsCreds *tls;
    const char *tls_hostname;
    const char *context; /* to select, NULL none */
    bool compact_only;   /* do not ask for extended headers */
    bool simple_only;    /* nor for structured replies: the kernel */

    /* Filled by the handshake. */
    NbdClientInfo info;
    uint32_t context_id;
    char *name, *description; /* of INFO replies, owned; may be NULL */
    bool fixed_newstyle, no_zeroes;
} NbdHandshake;

/* An option reply's data is never longer than this. */
#define NBD_MAX_REPLY (2u * NBD_MAX_STRING + 64)

typedef struct NbdOptionReply {
    uint32_t type;
    uint32_t length;
    uint8_t data[NBD_MAX_REPLY + 1]; /* NUL added */
} NbdOptionReply;

void nbd_handshake_clear(NbdHandshake *h);
/* Greeting, TLS, reply style.  Oldstyle servers fill in info at once. */
bool nbd_handshake_begin(NbdHandshake *h, bool *oldstyle, GError **error);
/* Context selection and GO, or EXPORT_NAME.  Ends in transmission. */
bool nbd_handshake_go(NbdHandshake *h, GError **error);
void nbd_handshake_abort(NbdHandshake *h);
/* INFO: fills in info, name, description. */
bool nbd_handshake_info(NbdHandshake *h, GError **error);

bool nbd_handshake_send(NbdHandshake *h, uint32_t option, const void *data,
                        uint32_t length, GError **error);
bool nbd_handshake_recv(NbdHandshake *h, uint32_t option,
                        NbdOptionReply *reply, GError **error);
/* The error of an error reply; also when it is no error but unexpected. */
void nbd_handshake_refused(NbdHandshake *h, uint32_t option,
                           const NbdOptionReply *reply, GError **error);
/* LIST_META_CONTEXT or SET_META_CONTEXT with one query or none. */
bool nbd_handshake_query(NbdHandshake *h, uint32_t option, const char *query,
                         GError **error);

/* ---- The end of the program (client-wind-up.c) --------------------------- */

bool nbd_clients_winding_up(void);
void nbd_client_register(NbdClient *client);
void nbd_client_unregister(NbdClient *client);
/* client.c: once a second while the program ends. */
void nbd_client_look(NbdClient *client);

/* ---- Requests ------------------------------------------------------------ */

typedef struct NbdCall {
    uint16_t type, flags;
    uint64_t offset, length;
    const struct iovec *iov;
    int niov;
    NbdClientExtent *extent; /* BLOCK_STATUS */

    uint64_t cookie;
    uint64_t got;     /* bytes of the read that arrived */
    int error;        /* positive errno of the server */
    bool got_extent;
    bool done;
    bool waiting;     /* on wake */
    GCond wake;       /* done, or your turn to receive */
} NbdCall;

/* Received but not yet looked at. */
typedef struct NbdInput {
    NbdStream *stream;
    uint8_t *buf;
    size_t pos, end, size;
} NbdInput;

/* The part [skip, skip + bytes) of an iovec list, as a new list of *n. */
struct iovec *nbd_iov_slice(const struct iovec *iov, int niov, uint64_t skip,
                            uint64_t bytes, int *n);

/* What a client must know to judge a reply. */
typedef struct NbdReplyRules {
    bool structured, extended;
    uint32_t context_id;
    uint32_t max_block;
    uint64_t size;
    NbdCall *(*find)(void *opaque, uint64_t cookie); /* NULL: unknown */
    void *opaque;
} NbdReplyRules;

/*
 * Reads one reply or chunk and carries it out: data goes to the call's
 * memory.  Returns 0 with *done the call that is complete now (or NULL), or
 * -errno when the server broke the protocol or the connection is gone.
 */
int nbd_reply_receive(const NbdReplyRules *rules, NbdInput *input,
                      NbdCall **done, char **complaint);

#endif
