/*
 * The block graph: nodes that hold or transform guest-visible bytes.
 *
 *      guest disk      NBD export      job
 *          |               |            |        BlockBackend (backend.h)
 *          v               v            v
 *        +-----------------------------------+
 *        | format or filter node  "qcow2"    |---backing---> node ...
 *        +-----------------------------------+
 *                          | file
 *                          v
 *        +-----------------------------------+
 *        | protocol node  "file", "nbd"      |
 *        +-----------------------------------+
 *
 * A node has a driver (driver.h), a name, a reference count, edges to its
 * children and edges from its parents.  An edge carries permissions: what its
 * parent does with the child, and what it lets other parents do.
 *
 * Threads.  Request functions (block_pread ... block_length) are plain
 * blocking functions that any thread may call; they return 0 (or what they
 * say) or -errno and take no contended lock.  The caller makes sure that the
 * node stays: drivers call them on their children, everybody else between
 * block_backend_enter() and block_backend_leave().  Everything else here is
 * control path: it runs under block_graph_lock(), a recursive lock, and
 * changes a node only while it is drained.  A request never takes that lock.
 *
 * Options are a jansson object tree in the shape of QMP's BlockdevOptions.
 */
#ifndef BLOCK_NODE_H
#define BLOCK_NODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <glib.h>
#include <jansson.h>

typedef struct BlockNode BlockNode;
typedef struct BlockEdge BlockEdge;
typedef struct BlockDriver BlockDriver;

#define BLOCK_ERROR (block_error_quark())
GQuark block_error_quark(void);

/*
 * Codes in BLOCK_ERROR are positive errno values; 0 when none fits.  The text
 * is the message of the ecosystem.  A hint may follow after a newline: it is
 * for people only and is cut off for QMP.
 */
int block_error_errno(const GError *error); /* >= 1: EINVAL when unknown */

/* Sets an error "MESSAGE: strerror(errnum)". */
void block_error_set_errno(GError **error, int errnum, const char *format,
                           ...) G_GNUC_PRINTF(3, 4);

/* What a parent does with a child, and what it tolerates from others. */
typedef enum BlockPerm {
    BLOCK_PERM_CONSISTENT_READ = 1 << 0,
    BLOCK_PERM_WRITE = 1 << 1,
    BLOCK_PERM_WRITE_UNCHANGED = 1 << 2,
    BLOCK_PERM_RESIZE = 1 << 3,
    BLOCK_PERM_GRAPH_MOD = 1 << 4,
    BLOCK_PERM_ALL = (1 << 5) - 1,
} BlockPerm;

/* How a node is opened.  Children inherit what makes sense for them. */
typedef enum BlockOpenFlags {
    BLOCK_OPEN_RDWR = 1 << 0,
    BLOCK_OPEN_AUTO_RDONLY = 1 << 1,  /* RDWR if possible, else read-only */
    BLOCK_OPEN_DIRECT = 1 << 2,       /* bypass the host page cache */
    BLOCK_OPEN_NO_FLUSH = 1 << 3,     /* flush does nothing (unsafe) */
    BLOCK_OPEN_UNMAP = 1 << 4,        /* discard passes, not ignored */
    BLOCK_OPEN_NO_BACKING = 1 << 5,   /* leave the backing file closed */
    BLOCK_OPEN_NO_IO = 1 << 6,        /* metadata only, no guest data */
    BLOCK_OPEN_CHECK = 1 << 7,        /* tolerate damage: for a checker */
    BLOCK_OPEN_FORCE_SHARE = 1 << 8,  /* read beside a writer, no locks */
    BLOCK_OPEN_INACTIVE = 1 << 9,     /* migration destination */
    BLOCK_OPEN_WRITETHROUGH = 1 << 10, /* every write is FUA (backend) */
    BLOCK_OPEN_DETECT_ZEROES = 1 << 11, /* turn zero writes into zeroing */
    BLOCK_OPEN_DETECT_UNMAP = 1 << 12,  /* and those into unmapping */
    BLOCK_OPEN_PROBED = 1 << 13, /* raw by guess: block 0 is restricted */
    /* The engine of files, at most one of them; none: the file decides. */
    BLOCK_OPEN_AIO_THREADS = 1 << 14,
    BLOCK_OPEN_AIO_NATIVE = 1 << 15,
    BLOCK_OPEN_AIO_URING = 1 << 16,
    BLOCK_OPEN_AIO_MASK = 7 << 14,
    BLOCK_OPEN_NO_MAP = 1 << 17, /* files: see block/file-map.h */
} BlockOpenFlags;

/* "threads", "native" or "io_uring" into flags; false: none of them. */
bool block_aio_flags(const char *engine, unsigned *flags);

/* Flags of read and write requests. */
typedef enum BlockRequestFlags {
    BLOCK_REQ_FUA = 1 << 0,         /* durable before it returns */
    BLOCK_REQ_MAY_UNMAP = 1 << 1,   /* write_zeroes may deallocate */
    BLOCK_REQ_NO_FALLBACK = 1 << 2, /* write_zeroes: fast or -ENOTSUP */
    BLOCK_REQ_COMPRESSED = 1 << 3,  /* store compressed, cluster-wise */
    BLOCK_REQ_WRITE_UNCHANGED = 1 << 4, /* content stays, no dirty bits */
    BLOCK_REQ_PREFETCH = 1 << 5,    /* read only to warm caches; iov unused */
} BlockRequestFlags;

/* Flags of a status answer. */
typedef enum BlockStatusFlags {
    BLOCK_STATUS_DATA = 1 << 0,         /* may hold non-zero bytes */
    BLOCK_STATUS_ZERO = 1 << 1,         /* reads as zeroes */
    BLOCK_STATUS_OFFSET_VALID = 1 << 2, /* host_node/host_offset say where */
    BLOCK_STATUS_ALLOCATED = 1 << 3,    /* decided by this layer, not below */
    BLOCK_STATUS_EOF = 1 << 4,          /* the extent ends the node */
    BLOCK_STATUS_COMPRESSED = 1 << 5,
    BLOCK_STATUS_RECURSE = 1 << 6, /* drivers only: ask host_node for ZERO */
} BlockStatusFlags;

typedef struct BlockStatus {
    unsigned flags;      /* BlockStatusFlags */
    unsigned depth;      /* 0: this node, 1: first backing node, ... */
    uint64_t bytes;      /* length of the extent, 1..requested */
    uint64_t host_offset; /* if OFFSET_VALID */
    BlockNode *host_node; /* if OFFSET_VALID: lives as long as the graph */
} BlockStatus;

typedef struct BlockLimits {
    uint32_t request_alignment; /* power of two, 1..65536 */
    uint64_t max_transfer;      /* bytes of one read or write, 0 = any */
    uint32_t opt_transfer;      /* preferred size, 0 = unknown */
    uint32_t cluster_size;      /* allocation unit, 0 = none */
    uint32_t memory_alignment;  /* of buffers, >= 1 */
    /* Of zero writes and discards: 0 means any. */
    uint32_t zeroes_alignment, discard_alignment;
    uint64_t max_zeroes, max_discard;
} BlockLimits;

typedef enum BlockPreallocation {
    BLOCK_PREALLOC_OFF,
    BLOCK_PREALLOC_METADATA,
    BLOCK_PREALLOC_FALLOC,
    BLOCK_PREALLOC_FULL,
} BlockPreallocation;

/* -1 when the word is none of off, metadata, falloc, full. */
int block_preallocation_parse(const char *word);

/* A letter, then letters, digits, '-', '.', '_': ids of all kinds. */
bool block_name_wellformed(const char *name);

/* ---- The graph lock ---------------------------------------------------- */

void block_graph_lock(void);
void block_graph_unlock(void);

/* ---- Life of nodes (graph lock) ---------------------------------------- */

/*
 * Opens a node and everything below it from a description such as
 * {"driver": "qcow2", "node-name": "n", "file": {...}}.  A string in place
 * of an object names an existing node.  options is borrowed and left as it
 * was.  flags are defaults which options override ("read-only", "cache", ...).
 * Returns a reference.
 */
BlockNode *block_node_open(json_t *options, unsigned flags, GError **error);

/*
 * Opens an image by name: a path, "json:{...}", "nbd://...", "file:...",
 * "nbd:...".  format NULL probes.  options (NULL: none) are further nested
 * driver options of the top node.
 */
BlockNode *block_node_open_filename(const char *filename, const char *format,
                                    json_t *options, unsigned flags,
                                    GError **error);

/* An overlay on base in a file without a name: what is written there is lost
 * with the node.  base stays the caller's. */
BlockNode *block_node_open_temporary(BlockNode *base, unsigned flags,
                                     GError **error);

/* Opens "driver=...,key=value,..." as --image-opts does. */
BlockNode *block_node_open_image_opts(const char *text, unsigned flags,
                                      GError **error);

/* Creates an image: options {"driver": ..., ...} of blockdev-create. */
bool block_node_create(json_t *options, GError **error);

BlockNode *block_node_ref(BlockNode *node);
void block_node_unref(BlockNode *node);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockNode, block_node_unref)

/* A node by name or by the name of a backend ("device"); no reference. */
BlockNode *block_node_find(const char *name);
/* As block_node_find; fails with "Cannot find device='' nor node-name=''". */
BlockNode *block_node_lookup(const char *device, const char *node_name,
                             GError **error);
/* The node after prev, NULL starts: all nodes in order of opening. */
BlockNode *block_node_next(BlockNode *prev);

/* Closes all nodes held by the monitor and all bitmaps are stored. */
void block_close_all(void);

/* ---- Facts about a node ------------------------------------------------- */

const char *block_node_name(const BlockNode *node); /* never NULL */
const char *block_node_driver_name(const BlockNode *node);
const BlockDriver *block_node_driver(const BlockNode *node);
const char *block_node_filename(const BlockNode *node); /* may be json: */
bool block_node_is_read_only(const BlockNode *node);
/* True while some parent may write it, or it was opened read-write. */
bool block_node_is_writable(const BlockNode *node);
unsigned block_node_open_flags(const BlockNode *node);
const BlockLimits *block_node_limits(const BlockNode *node);

BlockNode *block_node_child(BlockNode *node, const char *name); /* or NULL */
BlockNode *block_node_backing(BlockNode *node); /* the copy-on-write child */
/* The child a filter passes to; NULL when node is no filter. */
BlockNode *block_node_filtered(BlockNode *node);
/* The primary child: what is filtered, or "file". */
BlockNode *block_node_primary(BlockNode *node);
/* Filters stripped from the top. */
BlockNode *block_node_skip_filters(BlockNode *node);
/* The name of the backing image as recorded, NULL if none. */
const char *block_node_backing_filename(const BlockNode *node);
const char *block_node_backing_format(const BlockNode *node);
/* The recorded name made absolute or relative to our directory; owned. */
char *block_backing_path(const BlockNode *node);

/* ImageInfo / BlockDeviceInfo of QMP; new references. */
json_t *block_node_image_info(BlockNode *node, bool flat, GError **error);
json_t *block_node_device_info(BlockNode *node, bool flat, GError **error);

/* ---- Requests (any thread) ---------------------------------------------- */

/*
 * Reads past the end give zeroes; writes past the end grow the node if its
 * driver can and a parent holds RESIZE, else -ENOSPC.  Writes to a read-only
 * node are -EPERM.  iov is not modified.
 */
int block_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                 const struct iovec *iov, int niov, unsigned flags);
int block_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                  const struct iovec *iov, int niov, unsigned flags);
int block_pread(BlockNode *node, uint64_t offset, uint64_t bytes, void *buf,
                unsigned flags);
int block_pwrite(BlockNode *node, uint64_t offset, uint64_t bytes,
                 const void *buf, unsigned flags);
int block_pwrite_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes,
                        unsigned flags);
int block_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes);
int block_flush(BlockNode *node);
/* block_pwrite() followed by block_flush(). */
int block_pwrite_sync(BlockNode *node, uint64_t offset, uint64_t bytes,
                      const void *buf, unsigned flags);

/*
 * Status of the extent at offset, through the backing chain down to but not
 * including base (NULL: whole chain).  bytes > 0 and within the node.
 */
int block_status_above(BlockNode *node, BlockNode *base, uint64_t offset,
                       uint64_t bytes, BlockStatus *status);
/* The whole chain. */
int block_status(BlockNode *node, uint64_t offset, uint64_t bytes,
                 BlockStatus *status);
/* 1/0: the extent of *n bytes at offset is/is not allocated above base. */
int block_is_allocated_above(BlockNode *node, BlockNode *base,
                             uint64_t offset, uint64_t bytes, uint64_t *n);

/* Length in bytes (>= 0) or -errno. */
int64_t block_length(BlockNode *node);

/*
 * Where guest bytes lie in a host file, for sendfile() and splice(): on 0,
 * *fd, *fd_offset and *n (<= bytes) are valid until the request section
 * (block_backend_enter ... leave) ends; -ENOTSUP when there is no such place.
 */
int block_map_fd(BlockNode *node, uint64_t offset, uint64_t bytes, int *fd,
                 uint64_t *fd_offset, uint64_t *n);

/*
 * Reads and writes made together.  Items begin as BLOCK_BATCH_TODO; on return
 * ret is 0, -errno, or BLOCK_BATCH_ALONE: not done, use the calls above.
 * Worth the trouble only where block_batches() says so of reads or of writes:
 * files that the kernel reads and writes side by side.
 */
#define BLOCK_BATCH_MAX 64
enum { BLOCK_BATCH_TODO = 1, BLOCK_BATCH_ALONE = 2 };
typedef struct BlockBatchItem {
    uint64_t offset;
    uint32_t bytes;
    bool write;
    void *buf;
    int ret;
} BlockBatchItem;
void block_batch(BlockNode *node, BlockBatchItem *items, unsigned n);
bool block_batches(BlockNode *node, bool write);

/* ---- Control requests (graph lock) -------------------------------------- */

bool block_truncate(BlockNode *node, uint64_t size, bool exact,
                    BlockPreallocation prealloc, GError **error);
/* Opens again with other options; many nodes change together or none. */
bool block_node_reopen(json_t *const *options, size_t count, GError **error);
bool block_node_reopen_read_only(BlockNode *node, bool read_only,
                                 GError **error);

/*
 * Between these no request is in flight on the node or on any node above it,
 * and new ones wait, except those of the calling thread.  Nests.
 */
void block_node_drain_begin(BlockNode *node);
void block_node_drain_end(BlockNode *node);
void block_drain_all_begin(void);
void block_drain_all_end(void);

/* Moves all parents of from over to to (which may itself be one of them). */
bool block_node_replace(BlockNode *from, BlockNode *to, GError **error);
/* Gives top a backing node (NULL: none). */
bool block_node_set_backing(BlockNode *top, BlockNode *backing,
                            GError **error);
/* Writes the name of the backing image into the image's own header. */
bool block_node_change_backing_file(BlockNode *node, const char *filename,
                                    const char *format, GError **error);

#endif
