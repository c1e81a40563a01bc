/*
 * The NBD client: a disk behind one or several connections.
 *
 * Callers are threads that block: each puts its request on a connection and
 * waits.  There is no thread of our own; of the waiting callers of a
 * connection one at a time reads replies and hands them out, so a single
 * caller pays no thread switch and many callers fill the pipeline.
 *
 * A lost connection is set up again when the next request needs it (see
 * reconnect_delay_s); requests in flight are sent again.
 */
#ifndef NBD_CLIENT_H
#define NBD_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "nbd/address.h"
#include "nbd/tls.h"

typedef struct NbdClient NbdClient;

typedef struct NbdClientParams {
    const NbdAddress *address;
    const char *export;       /* NULL: "" */
    NbdTlsCreds *tls;         /* NULL: in the clear; else TLS or failure */
    const char *tls_hostname; /* NULL: the address's host */
    const char *context;      /* to select; NULL: base:allocation */
    bool context_required;    /* fail to open when it is not offered */
    unsigned connections;     /* at most; 0: 4 where the server allows it */
    unsigned reconnect_delay_s; /* requests wait so long for the server */
    unsigned open_timeout_s;    /* retry the first connection so long */
} NbdClientParams;

typedef struct NbdClientInfo {
    uint64_t size;
    uint16_t flags; /* NBD_FLAG_* */
    uint32_t min_block, pref_block, max_block; /* never 0 */
    bool structured, extended, has_context;
    bool block_size_known; /* the server told its block sizes */
} NbdClientInfo;

typedef struct NbdClientExtent {
    uint64_t bytes;
    uint64_t flags; /* of the selected context */
} NbdClientExtent;

NbdClient *nbd_client_open(const NbdClientParams *params, GError **error);
/* No request may be running.  Says goodbye. */
void nbd_client_close(NbdClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NbdClient, nbd_client_close)
const NbdClientInfo *nbd_client_info(const NbdClient *client);

/*
 * Requests: 0 or -errno; any length within the disk, split as the server
 * wants.  flags are NBD_CMD_FLAG_*.
 */
int nbd_client_pread(NbdClient *client, uint64_t offset, uint64_t bytes,
                     void *buf);
int nbd_client_preadv(NbdClient *client, uint64_t offset, uint64_t bytes,
                      const struct iovec *iov, int niov);
int nbd_client_pwritev(NbdClient *client, uint64_t offset, uint64_t bytes,
                       const struct iovec *iov, int niov, unsigned flags);
int nbd_client_zero(NbdClient *client, uint64_t offset, uint64_t bytes,
                    unsigned flags);
int nbd_client_trim(NbdClient *client, uint64_t offset, uint64_t bytes,
                    unsigned flags);
int nbd_client_flush(NbdClient *client);
int nbd_client_cache(NbdClient *client, uint64_t offset, uint64_t bytes);
/* The extent at offset, at least one byte and at most bytes. */
int nbd_client_status(NbdClient *client, uint64_t offset, uint64_t bytes,
                      NbdClientExtent *extent);

/*
 * The program ends (true): requests do not wait for a lost server any more,
 * nobody opens a disk, and a connection on which calls or its handshake wait
 * and nothing is heard for five seconds is given up; all that comes later fails with -EIO.  False: as before.
 */
void nbd_clients_wind_up(bool on);

/* ---- Listing a server's exports ----------------------------------------- */

typedef struct NbdExportInfo {
    char *name, *description; /* description NULL if none */
    uint64_t size;
    uint16_t flags;
    uint32_t min_block, pref_block, max_block; /* 0: not told */
    bool extended;
    char **contexts; /* NULL-terminated */
} NbdExportInfo;

/* Array of NbdExportInfo *; NULL on error. */
GPtrArray *nbd_client_list(const NbdAddress *address, NbdTlsCreds *tls,
                           const char *tls_hostname, GError **error);

#endif
