/*
 * Insides of the server, shared by its files.
 *
 *   server.c            listeners, accept thread, exports, life of connections
 *   server-handshake.c  from the first byte to the transmission phase
 *   server-meta.c       LIST_META_CONTEXT and SET_META_CONTEXT
 *   server-io.c         the loop that receives and executes requests
 *   server-wait.c       how to wait for a request
 *   server-batch.c      requests that arrived together
 *   server-read.c       READ: holes, zero-copy, plain
 *   server-reply.c      headers of replies and the sink they go through
 *   server-cost.c       which requests are slow
 *   server-pool.c       worker threads
 *
 * Locks, outermost first: server->lock; pool->lock; connection->lock;
 * connection->send_lock.  No lock but send_lock is held across I/O.
 */
#ifndef NBD_SERVER_INT_H
#define NBD_SERVER_INT_H

#include <glib.h>

#include "nbd/protocol.h"
#include "nbd/request.h"
#include "nbd/server.h"

#define NBD_PIECE        (256u << 10) /* long writes: the longest piece */
#define NBD_PIECE_ALIGN  (64u << 10)  /* where pieces begin and end */
#define NBD_IN_SIZE      (NBD_PIECE + 4096) /* input buffer: and a header */
#define NBD_OUT_SIZE     (256u << 10) /* output buffer of a sink */
#define NBD_MAX_INFLIGHT 64u          /* requests of a connection at workers */
#define NBD_MAX_BYTES    (64u << 20)  /* payload held for them */
#define NBD_PIPE_SIZE    (1u << 20)
#define NBD_HEAD_ROOM    64u /* the largest reply header and chunk prefix */

struct NbdExport {
    NbdServer *server;
    gint refs; /* the server's list, connections, lookups */
    char *name, *description;
    uint64_t size;
    uint32_t min_block, pref_block, max_block;
    bool writable, multi_conn, sparse;
    char **contexts;
    unsigned ncontexts;
    const NbdExportOps *ops;
    void *opaque;
    bool deleted; /* server->lock */
    unsigned connections; /* server->lock */
    /* server-cost.c; atomic, relaxed. */
    gint wall_ns[NBD_CMD_COUNT];
    gint cost_ns[NBD_CMD_COUNT];
};

typedef struct NbdPool NbdPool;
typedef struct NbdBatch NbdBatch;

struct NbdServer {
    NbdServerParams params;
    NbdPool *pool;

    GMutex lock;
    GCond gone; /* a connection ended */
    GPtrArray *exports;
    GQueue connections; /* of NbdConnection */
    unsigned negotiated; /* connections past the handshake */
    GArray *listeners;   /* of int */
    GPtrArray *paths;    /* socket files to remove */
    bool stopping;

    GThread *acceptor;
    int wake_fd; /* eventfd: listeners, limits or stopping changed */
};

typedef struct NbdContextSet {
    NbdExport *export; /* referenced; NULL: nothing selected */
    unsigned count;
    uint32_t *ids; /* indexes of the export's contexts */
} NbdContextSet;

/* server-wait.c */
typedef struct NbdWait {
    bool awake;
    unsigned served;  /* requests since the last wait for one */
    unsigned left;    /* requests to the end of the window; 0: not begun */
    unsigned windows; /* until the other way is tried */
    unsigned pause;   /* windows asleep after failures; 0: it went well */
    unsigned bad;     /* in a row: windows awake that were no better */
    unsigned misses;  /* in a row: waited awake for too short a time */
    gint64 look_ns;   /* how long to wait awake */
    gint64 last_ns;   /* when the last request came */
    gint64 spent_ns, cpu_ns;         /* of this window */
    gint64 asleep_ns, asleep_cpu_ns; /* of the quickest window asleep */
} NbdWait;

typedef struct NbdConnection {
    NbdServer *server;
    NbdStream stream;
    GList link; /* in server->connections; server->lock */
    gint64 deadline_us; /* of the handshake, 0 none; server->lock */
    gint closing;       /* atomic: no new requests */

    /* Negotiated; constant in the transmission phase. */
    NbdExport *export;
    bool fixed_newstyle, no_zeroes;
    bool structured, extended;
    uint16_t flags; /* transmission flags told */
    NbdContextSet contexts;
    NbdRequestRules rules;

    /* The connection's own thread. */
    uint8_t *in; /* NBD_IN_SIZE; [in_pos, in_end) is unread */
    size_t in_pos, in_end;
    uint64_t data_start, data_end; /* known to be data: skip status calls */
    gint64 learn_ns; /* no status calls for reads before this time */
    int pipe[2];                   /* -1 until first use */
    bool pipe_useless;
    NbdBatch *batch; /* NULL until first use */
    unsigned apart;  /* so many reads stay out of batches */
    NbdWait wait;

    /* Requests at the workers. */
    GMutex lock;
    GCond progress;
    unsigned in_flight;
    uint64_t bytes_in_flight;

    GMutex send_lock;
    bool broken; /* send_lock; sending failed, say no more */
} NbdConnection;

/* Where replies collect; each thread that executes requests has one. */
typedef struct NbdSink {
    NbdConnection *conn;
    uint8_t *buf; /* NBD_OUT_SIZE */
    size_t used;
    bool own_thread; /* of the connection, not a worker */
} NbdSink;

/* ---- server.c ---- */
NbdExport *nbd_export_ref(NbdExport *export);
void nbd_export_unref(NbdExport *export);
/* A reference, NULL if there is none of that name. */
NbdExport *nbd_server_lookup(NbdServer *server, const char *name,
                             size_t length);
/* References to all, in order of creation. */
GPtrArray *nbd_server_exports(NbdServer *server);
/* Enters the transmission phase; false: the export is being deleted. */
bool nbd_connection_bind(NbdConnection *conn, NbdExport *export);
void nbd_connection_complain(NbdConnection *conn, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

/* ---- server-handshake.c ---- */
/* True: conn->export is bound, go on to the transmission phase. */
bool nbd_server_handshake(NbdConnection *conn);

typedef struct NbdOption {
    uint32_t option;
    uint32_t left; /* bytes of its data not read yet */
} NbdOption;

/*
 * Reads n bytes of the option's data: 1, 0 when the option is too short, or
 * -errno.
 */
int nbd_option_take(NbdConnection *conn, NbdOption *opt, void *buf,
                    uint32_t n);
/* Reads and drops the rest. */
int nbd_option_skip(NbdConnection *conn, NbdOption *opt);
int nbd_option_reply(NbdConnection *conn, const NbdOption *opt, uint32_t type,
                     const void *data, uint32_t length);
/* An error reply with a message; drops the option's data first. */
int nbd_option_fail(NbdConnection *conn, NbdOption *opt, uint32_t type,
                    const char *format, ...) G_GNUC_PRINTF(4, 5);
/* A length-prefixed export name; -> export or a reply already sent (NULL). */
NbdExport *nbd_option_export(NbdConnection *conn, NbdOption *opt, int *ret);

/* ---- server-meta.c ---- */
int nbd_server_meta_context(NbdConnection *conn, NbdOption *opt);
void nbd_context_set_clear(NbdContextSet *set);

/* ---- server-cost.c ---- */
/* Slower than this beyond its copying: worth a thread switch. */
#define NBD_SLOW_NS 40000
typedef struct NbdCost {
    gint64 start_ns, cpu_ns;
    long sleeps;
    bool suspect;
} NbdCost;
gint64 nbd_now_ns(void); /* monotonic */
/* Around the backend's part of a request, not around sending. */
void nbd_cost_begin(NbdExport *export, unsigned type, NbdCost *cost);
void nbd_cost_end(NbdExport *export, unsigned type, uint64_t bytes,
                  NbdCost *cost);
bool nbd_cost_is_slow(NbdExport *export, unsigned type);

/* ---- server-io.c ---- */
void nbd_server_serve(NbdConnection *conn);
/* payload: of WRITE, request->payload bytes; wanted: of BLOCK_STATUS. */
void nbd_execute(NbdSink *sink, NbdRequest *request, const uint8_t *payload,
                 const bool *wanted);

/* ---- server-wait.c ---- */
/* nbd_stream_recv(); next_request: all before it has been served. */
ssize_t nbd_wait_recv(NbdConnection *conn, void *buf, size_t size,
                      bool next_request);

/* ---- server-batch.c ---- */
/* Should this request wait for others?  It is whole in the input buffer. */
bool nbd_batch_wants(NbdSink *sink, const NbdRequest *request);
/* Takes it, payload and all. */
void nbd_batch_add(NbdSink *sink, const NbdRequest *request);
/* Executes what was added and replies; nothing to do is fine. */
void nbd_batch_run(NbdSink *sink);
void nbd_batch_free(NbdBatch *batch);

/* ---- server-read.c ---- */
void nbd_execute_read(NbdSink *sink, NbdRequest *request);
/* True when the range is to be sent as bytes, not as holes. */
bool nbd_read_is_data(NbdSink *sink, const NbdRequest *request);

/* ---- server-reply.c ---- */
void nbd_sink_init(NbdSink *sink, NbdConnection *conn);
/* Sends what has collected. */
void nbd_sink_flush(NbdSink *sink);
/* Room for size bytes (<= NBD_OUT_SIZE); becomes part with commit. */
uint8_t *nbd_sink_reserve(NbdSink *sink, size_t size);
void nbd_sink_commit(NbdSink *sink, size_t size);
/* Writes a header for a reply; returns its size. */
size_t nbd_put_simple(uint8_t *p, const NbdRequest *request, int err);
size_t nbd_put_chunk(const NbdConnection *conn, uint8_t *p,
                     const NbdRequest *request, uint16_t type, bool done,
                     uint64_t payload);
/* The header of a chunk of data, or of a simple reply that carries it. */
size_t nbd_put_data_head(const NbdConnection *conn, uint8_t *p,
                         const NbdRequest *request, bool done,
                         uint64_t offset, uint32_t bytes);
void nbd_reply_done(NbdSink *sink, const NbdRequest *request);
void nbd_reply_error(NbdSink *sink, const NbdRequest *request, int err,
                     const char *message);
void nbd_reply_hole(NbdSink *sink, const NbdRequest *request, bool done,
                    uint64_t offset, uint32_t bytes);
/* Sends collected replies, then the iovecs, as one unit. */
void nbd_sink_send(NbdSink *sink, const void *head, size_t head_size,
                   const void *data, size_t size);

/* ---- extents.c ---- */
struct NbdExtents {
    uint64_t left;  /* of the request */
    uint64_t limit; /* longest extent that can be told */
    unsigned count, max;
    unsigned budget; /* calls of add that may still come, 0: any number */
    GArray *array;   /* of NbdExtent */
    bool full;
};
typedef struct NbdExtent {
    uint64_t bytes;
    uint32_t flags;
} NbdExtent;
void nbd_extents_init(NbdExtents *extents, uint64_t bytes, bool wide,
                      unsigned max);
void nbd_extents_clear(NbdExtents *extents);

/* ---- server-pool.c ---- */
NbdPool *nbd_pool_new(void);
void nbd_pool_free(NbdPool *pool); /* no work may be left */
/* Takes over payload (g_free).  Waits while the connection has too much. */
void nbd_pool_submit(NbdPool *pool, NbdConnection *conn,
                     const NbdRequest *request, uint8_t *payload);
/* Until at most n requests of the connection are at the workers. */
void nbd_pool_wait(NbdConnection *conn, unsigned n);

#endif
