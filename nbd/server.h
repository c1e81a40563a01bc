/*
 * The NBD server: listeners, exports, connections.
 *
 *     NbdServer --- listening sockets, accept thread
 *        |  \____ NbdExport "a" --ops--> whatever holds the bytes
 *        |  \____ NbdExport "b" ...
 *        \_______ NbdConnection: one thread each; parses many requests per
 *                 recv(), serves them itself while the backend is quick,
 *                 hands them to the server's workers when it is not
 *
 * The server knows nothing of the block graph; an export is a table of
 * functions.  They are called from connection and worker threads, several at
 * once, always inside the export and with lengths the protocol allows.
 *
 * Public functions may be called from any thread that holds no lock a
 * callback needs; those that wait say so.
 */
#ifndef NBD_SERVER_H
#define NBD_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "nbd/address.h"
#include "nbd/tls.h"

typedef struct NbdServer NbdServer;
typedef struct NbdExport NbdExport;

/* ---- Exports ------------------------------------------------------------- */

/* Collects the answer of a status call; merges equal neighbours. */
typedef struct NbdExtents NbdExtents;
/* False when the answer is full or covers the request: stop. */
bool nbd_extents_add(NbdExtents *extents, uint64_t bytes, uint32_t flags);

enum {
    NBD_IO_FUA = 1 << 0,     /* durable before it returns */
    NBD_IO_NO_HOLE = 1 << 1, /* zero: keep the range allocated */
    NBD_IO_FAST = 1 << 2,    /* zero: at once or -ENOTSUP */
};

typedef struct NbdIo {
    uint64_t offset;
    uint32_t bytes;
    bool write;
    void *buf;
    int ret; /* filled: 0 or -errno */
} NbdIo;

/* All return 0 or -errno.  pread is required; other NULL ones: see there. */
typedef struct NbdExportOps {
    int (*pread)(void *opaque, uint64_t offset, uint32_t bytes, void *buf);
    /* NULL: the export is read-only. */
    int (*pwrite)(void *opaque, uint64_t offset, uint32_t bytes,
                  const void *buf, unsigned flags);
    /* NULL: written zeroes, -ENOTSUP when FAST. */
    int (*zero)(void *opaque, uint64_t offset, uint64_t bytes,
                unsigned flags);
    /* NULL: ignored. */
    int (*trim)(void *opaque, uint64_t offset, uint64_t bytes);
    int (*flush)(void *opaque);
    /* A hint to prefetch; NULL: ignored. */
    int (*cache)(void *opaque, uint64_t offset, uint64_t bytes);
    /*
     * Describes [offset, offset + bytes) in order with nbd_extents_add();
     * the sum may stay short but not empty.  context: index into the
     * contexts of NbdExportParams.  NULL: all is allocated data.
     */
    int (*status)(void *opaque, unsigned context, uint64_t offset,
                  uint64_t bytes, NbdExtents *extents);
    /*
     * Puts up to `bytes` from offset into a pipe without copying; the count
     * (> 0) or -errno, -ENOTSUP where it cannot.  The pipe is empty and has
     * room.  Must not wait for anything but storage.
     */
    ssize_t (*pread_pipe)(void *opaque, uint64_t offset, uint32_t bytes,
                          int pipe_fd);
    /*
     * Several reads and writes at once, each with its own ret; buffers are
     * aligned to 4096 bytes.  Used while batches() says that it pays, of
     * reads or of writes.  Both or none.
     */
    void (*batch)(void *opaque, NbdIo *io, unsigned n);
    bool (*batches)(void *opaque, bool write);
    /* Connections come and go; called from their threads. */
    void (*connected)(void *opaque, unsigned now);
    /* The export is gone, nothing is called after this.  May be NULL. */
    void (*deleted)(void *opaque);
} NbdExportOps;

typedef struct NbdExportParams {
    const char *name;
    const char *description; /* NULL: none */
    uint64_t size;           /* bytes */
    uint32_t min_block;      /* power of two, 1..65536 */
    uint32_t pref_block;     /* power of two; 0: max(4096, min_block) */
    uint32_t max_block;      /* 0: 32 MiB */
    bool writable;
    bool multi_conn; /* flush on one connection covers all */
    bool sparse;     /* context 0 is cheap: read holes as holes */
    /* NULL-terminated; [0] is "base:allocation". */
    const char *const *contexts;
    const NbdExportOps *ops;
    void *opaque;
} NbdExportParams;

/* Fails on a duplicate or bad name.  The server holds the export. */
NbdExport *nbd_export_new(NbdServer *server, const NbdExportParams *params,
                          GError **error);
NbdExport *nbd_export_find(NbdServer *server, const char *name);
/* Waits a moment for connections whose client has already gone. */
unsigned nbd_export_connections(const NbdExport *export);
const char *nbd_export_name(const NbdExport *export);
/*
 * Takes the export out of sight.  Its connections finish what they have in
 * flight and are closed; ops->deleted is called when the last one is gone,
 * perhaps before this returns, perhaps from a connection's thread.
 */
void nbd_export_delete(NbdExport *export);

/* ---- Servers ------------------------------------------------------------- */

/* Optimisations that can be switched off to see what they bring. */
enum {
    NBD_TUNE_NO_PIPE = 1 << 0,   /* no zero-copy */
    NBD_TUNE_NO_POOL = 1 << 1,   /* always in the connection's thread */
    NBD_TUNE_NO_INLINE = 1 << 2, /* always in the workers */
    NBD_TUNE_NO_BATCH = 1 << 3,  /* one send per reply */
    NBD_TUNE_NO_SPARSE = 1 << 4, /* holes are sent as zero bytes */
    NBD_TUNE_NO_URING = 1 << 5,  /* never several requests in one call */
    NBD_TUNE_LOCAL_PIPE = 1 << 6, /* zero-copy also on this machine */
    NBD_TUNE_NO_AWAKE = 1 << 7,  /* always sleep until a request comes */
    NBD_TUNE_NO_PIECES = 1 << 8, /* a write is received whole, then written */
};

typedef struct NbdServerParams {
    NbdTlsCreds *tls;           /* NULL: in the clear; else TLS is forced */
    unsigned max_connections;   /* 0: no limit; more wait in the backlog */
    unsigned handshake_seconds; /* 0: no limit */
    unsigned tune;
    /* May this certificate name in?  NULL: everybody TLS lets in. */
    bool (*authorise)(void *opaque, const char *peer_name);
    /* Count of connections past negotiation changed.  From their threads. */
    void (*connections_changed)(void *opaque, unsigned now);
    /* A line about a connection that ended in an error. */
    void (*complain)(void *opaque, const char *message);
    void *opaque;
} NbdServerParams;

NbdServer *nbd_server_new(const NbdServerParams *params);
/* Starts to accept.  Sockets are owned by the server from here on. */
bool nbd_server_listen(NbdServer *server, const NbdAddress *address,
                       GError **error);
/* Serves one connected socket, which the server then owns. */
void nbd_server_add_client(NbdServer *server, int fd);
/* A free-standing unix or TCP listener's port, 0 if none. */
unsigned nbd_server_port(NbdServer *server);
/* Stops accepting, deletes all exports, waits until everything is gone. */
void nbd_server_free(NbdServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NbdServer, nbd_server_free)

#endif
