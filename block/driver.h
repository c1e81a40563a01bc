/*
 * What a block driver is: a table of functions, an option table, and the part
 * of a node that drivers work with.
 *
 * A driver is a const BlockDriver at the end of its file, named in
 * drivers.def.  Members left NULL mean "cannot" (or the default in the
 * comment).  Request members are called from any thread, several at once, and
 * only with sane arguments: within the length (or growing, for GROWABLE
 * drivers), at most max_transfer long, aligned to request_alignment, iov
 * exactly `bytes` long, read-only nodes never written.  Control members are
 * called under the graph lock; those that change a node (reopen_commit,
 * truncate, snapshot_goto, close, ...) with the node drained.
 */
#ifndef BLOCK_DRIVER_H
#define BLOCK_DRIVER_H

#include <stddef.h>

#include "block/node.h"

typedef enum BlockOptionType {
    BLOCK_OPT_STRING,
    BLOCK_OPT_BOOL,
    BLOCK_OPT_INT,  /* signed 64 bits */
    BLOCK_OPT_SIZE, /* unsigned 64 bits; text may have a suffix */
    BLOCK_OPT_ENUM, /* one of words, separated by '/' */
    BLOCK_OPT_NODE, /* a node name, or an object that describes a node */
    BLOCK_OPT_NODE_OR_NULL,
    BLOCK_OPT_OBJECT, /* any object; the driver checks it */
    BLOCK_OPT_STRING_OR_OBJECT, /* the driver checks it */
    BLOCK_OPT_LIST,
} BlockOptionType;

typedef struct BlockOption {
    const char *name; /* "a.b" for a member of a nested object */
    BlockOptionType type;
    const char *words;  /* of an enum */
    const char *help;   /* for "-o help"; also marks create options */
    bool required;
    bool reopens; /* reopen_prepare looks at it: it may change */
} BlockOption;

typedef enum BlockDriverFlags {
    BLOCK_DRIVER_PROTOCOL = 1 << 0, /* no "file" child; file, nbd, null-co */
    BLOCK_DRIVER_FILTER = 1 << 1,   /* same content as the primary child */
    BLOCK_DRIVER_GROWABLE = 1 << 2, /* a write past the end extends it */
    BLOCK_DRIVER_BACKING = 1 << 3,  /* may have a backing child */
    BLOCK_DRIVER_NO_DEFAULT_PERM = 1 << 4,
    BLOCK_DRIVER_ZERO_PAST_END = 1 << 5, /* truncation grows with zeroes */
} BlockDriverFlags;

/* How a node uses a child; decides default permissions and inheritance. */
typedef enum BlockRole {
    BLOCK_ROLE_FILE = 1,     /* metadata and data of a format */
    BLOCK_ROLE_DATA = 2,     /* guest data at guest offsets */
    BLOCK_ROLE_FILTERED = 3, /* passes everything through */
    BLOCK_ROLE_BACKING = 4,  /* read-only, below */
    BLOCK_ROLE_TARGET = 5,   /* copies are written to it */
} BlockRole;

typedef struct BlockSnapshot {
    char id[128];
    char name[256];
    uint64_t vm_state_size;
    uint32_t date_sec;
    uint32_t date_nsec;
    uint64_t vm_clock_ns;
    uint64_t icount; /* UINT64_MAX: none */
} BlockSnapshot;

typedef struct BlockCheckResult {
    uint64_t corruptions, leaks, check_errors;
    uint64_t corruptions_fixed, leaks_fixed;
    uint64_t image_end_offset;
    /* Clusters; total 0: not known. */
    uint64_t total_clusters, allocated_clusters, fragmented_clusters,
        compressed_clusters;
} BlockCheckResult;

enum { BLOCK_FIX_LEAKS = 1, BLOCK_FIX_ERRORS = 2 };

typedef struct BlockMeasure {
    uint64_t required, fully_allocated;
    uint64_t bitmaps;
    bool has_bitmaps;
} BlockMeasure;

/* Called by long operations; true asks to stop (-ECANCELED). */
typedef bool BlockProgressFn(void *opaque, uint64_t done, uint64_t total);

struct BlockDriver {
    const char *name;
    unsigned flags; /* BlockDriverFlags */
    size_t state_size; /* of node->state, zeroed before open */

    const BlockOption *options;        /* ends with a NULL name */
    const BlockOption *create_options; /* of blockdev-create and -o */
    const BlockOption *amend_options;

    /* 0..100: how sure it is that this is the start of one of its images. */
    int (*probe)(const uint8_t *head, size_t size);
    /* "nbd", "file": names "nbd:..." and "nbd://..." come here. */
    const char *const *protocols; /* NULL-terminated */
    bool (*parse_filename)(const char *filename, json_t *options,
                           GError **error);

    /*
     * options holds only what the option table names, checked for type.
     * Children are opened with block_open_child().  Must set node->length
     * and node->limits where the defaults do not fit.
     */
    bool (*open)(BlockNode *node, json_t *options, GError **error);
    /* Stores bitmaps and metadata; must not fail loudly: prints to stderr. */
    void (*close)(BlockNode *node);

    /* options as in blockdev-create, checked against create_options. */
    bool (*create)(json_t *options, GError **error);

    /* Reopen: prepare may fail; then exactly one of commit, abort. */
    bool (*reopen_prepare)(BlockNode *node, json_t *options, unsigned flags,
                           void **prepared, GError **error);
    void (*reopen_commit)(BlockNode *node, void *prepared);
    void (*reopen_abort)(BlockNode *node, void *prepared);

    /* Permissions on a child from those on the node; default by role. */
    void (*child_perm)(BlockNode *node, const BlockEdge *edge, unsigned perm,
                       unsigned shared, unsigned *child_perm,
                       unsigned *child_shared);
    /* Permissions on the node changed: take or drop locks. */
    bool (*set_perm)(BlockNode *node, unsigned perm, unsigned shared,
                     GError **error);

    /* Requests: 0 or -errno. */
    int (*preadv)(BlockNode *node, uint64_t offset, uint64_t bytes,
                  const struct iovec *iov, int niov, unsigned flags);
    /* flags: FUA only if fua_native, COMPRESSED only with can_compress. */
    int (*pwritev)(BlockNode *node, uint64_t offset, uint64_t bytes,
                   const struct iovec *iov, int niov, unsigned flags);
    /* Any range; -ENOTSUP makes the core write zeroes (or refuse). */
    int (*pwrite_zeroes)(BlockNode *node, uint64_t offset, uint64_t bytes,
                         unsigned flags);
    int (*pdiscard)(BlockNode *node, uint64_t offset, uint64_t bytes);
    int (*flush)(BlockNode *node); /* children are flushed by the core after */
    /*
     * This layer only.  Fill flags, bytes, and host fields.  Not ALLOCATED:
     * the backing child decides.  NULL: data everywhere (protocols), or what
     * the primary child says (filters).
     */
    int (*status)(BlockNode *node, uint64_t offset, uint64_t bytes,
                  BlockStatus *status);
    /*
     * Does those of the items that are BLOCK_BATCH_TODO, as far as it can:
     * they are aligned, in range, and never FUA.  batches: it pays
     * for reads, or for writes.
     */
    void (*batch)(BlockNode *node, BlockBatchItem *items, unsigned n);
    bool (*batches)(BlockNode *node, bool write);
    int (*map_fd)(BlockNode *node, uint64_t offset, uint64_t bytes, int *fd,
                  uint64_t *fd_offset, uint64_t *n);
    bool fua_native;   /* pwritev and pwrite_zeroes honour BLOCK_REQ_FUA */
    bool can_compress; /* pwritev honours BLOCK_REQ_COMPRESSED */

    /* Control. */
    bool (*truncate)(BlockNode *node, uint64_t size, bool exact,
                     BlockPreallocation prealloc, GError **error);
    int64_t (*get_length)(BlockNode *node); /* when it can change outside */
    int64_t (*allocated_size)(BlockNode *node); /* bytes on the host */
    json_t *(*specific_info)(BlockNode *node); /* {"type":..,"data":..} */
    char *(*filename)(BlockNode *node); /* default: built from options */
    bool (*activate)(BlockNode *node, GError **error);
    bool (*inactivate)(BlockNode *node, GError **error);

    bool (*change_backing_file)(BlockNode *node, const char *filename,
                                const char *format, GError **error);
    bool (*make_empty)(BlockNode *node, GError **error);
    bool (*check)(BlockNode *node, BlockCheckResult *result, unsigned fix,
                  GError **error);
    bool (*amend)(BlockNode *node, json_t *options, bool force,
                  BlockProgressFn *progress, void *opaque, GError **error);
    /* source may be NULL (then options has "size"). */
    bool (*measure)(json_t *options, BlockNode *source, BlockMeasure *measure,
                    GError **error);

    bool (*snapshot_create)(BlockNode *node, const BlockSnapshot *snapshot,
                            GError **error);
    bool (*snapshot_goto)(BlockNode *node, const char *id_or_name,
                          GError **error);
    bool (*snapshot_delete)(BlockNode *node, const char *id,
                            const char *name, GError **error);
    /* Array of BlockSnapshot, freed by the caller with g_free. */
    bool (*snapshot_list)(BlockNode *node, BlockSnapshot **list, size_t *n,
                          GError **error);
    bool (*snapshot_load)(BlockNode *node, const char *id, const char *name,
                          GError **error);
    int (*vmstate_preadv)(BlockNode *node, uint64_t offset, uint64_t bytes,
                          const struct iovec *iov, int niov);
    int (*vmstate_pwritev)(BlockNode *node, uint64_t offset, uint64_t bytes,
                           const struct iovec *iov, int niov);

    /*
     * Persistent bitmaps.  Loading is part of open (block_dirty_bitmap_new
     * and _deserialize), storing of close, inactivate and reopen.  NULL
     * can_store: the driver keeps none.
     */
    bool (*bitmap_can_store)(BlockNode *node, const char *name,
                             uint32_t granularity, GError **error);
    bool (*bitmap_remove)(BlockNode *node, const char *name, GError **error);
    /* Before bytes change, once block_node_set_eager_bitmaps() asked for it:
     * records them in the node's bitmaps; 0, or why they must not change. */
    int (*bitmaps_before_write)(BlockNode *node, uint64_t offset,
                                uint64_t bytes);

    /* Fault injection ("break", "resume"... of blkdebug); or NULL. */
    bool (*debug_command)(BlockNode *node, const char *command,
                          const char *argument, const char *tag,
                          GError **error);
    void (*debug_event)(BlockNode *node, const char *event);
};

/* An edge from a node (or a backend: parent NULL) to a node. */
struct BlockEdge {
    BlockNode *node; /* the child */
    BlockNode *parent;
    void *backend; /* BlockBackend when parent is NULL */
    BlockRole role;
    unsigned perm, shared;
    unsigned old_perm, old_shared; /* while an update is being checked */
    bool touched;
    unsigned frozen; /* jobs that rely on this link of a chain */
    GList parent_link; /* in child's parents list; data is the edge */
    char name[32];     /* "file", "backing", "root" */
};

typedef struct BlockGate BlockGate;

struct BlockNode {
    /* Set before open is called, constant until a reopen. */
    const BlockDriver *driver;
    void *state; /* driver's own, state_size bytes */
    char name[64];
    unsigned flags;  /* BlockOpenFlags */
    bool read_only;  /* effective; AUTO_RDONLY drivers may set it in open */
    json_t *options; /* as given, for reopen and for file names */

    /* Filled by the driver's open. */
    BlockLimits limits;
    char *filename;        /* for people; owned */
    char *backing_filename; /* as recorded in the image, or NULL */
    char *backing_format;
    char *backing_auto_dir; /* relative backing names are below this */

    /* Length in bytes: atomic, written by truncate and growing writes. */
    int64_t length;

    /* Children: change only while drained. */
    BlockEdge *file;    /* primary child of formats and filters */
    BlockEdge *backing; /* copy-on-write child */
    GPtrArray *children; /* of BlockEdge, all of them */

    /* Owned by the core. */
    struct BlockNodeCore *core;
};

static inline BlockNode *block_edge_node(const BlockEdge *edge)
{
    return edge ? edge->node : NULL;
}

/*
 * For open: makes a child named `name` from options[name] (object, string
 * reference or absent) and attaches it.  Returns NULL and no error when it
 * is absent and optional.  For name "file" and "backing" the corresponding
 * member of the node is set too.
 */
BlockEdge *block_open_child(BlockNode *node, json_t *options,
                            const char *name, BlockRole role, bool optional,
                            GError **error);
/* Attaches an open node as a child; takes its own reference. */
BlockEdge *block_attach_child(BlockNode *parent, BlockNode *child,
                              const char *name, BlockRole role,
                              GError **error);
void block_detach_child(BlockNode *parent, BlockEdge *edge);
/* Points an edge to another node, with its permissions.  Graph lock. */
bool block_edge_move(BlockEdge *edge, BlockNode *to, GError **error);
/* Recomputes permissions below node after its driver changed its mind. */
bool block_refresh_perms(BlockNode *node, GError **error);

/* Default child_perm, by role. */
void block_default_child_perm(BlockNode *node, const BlockEdge *edge,
                              unsigned perm, unsigned shared,
                              unsigned *child_perm, unsigned *child_shared);

/* Cumulative permissions of all parents. */
void block_node_perms(BlockNode *node, unsigned *perm, unsigned *shared);

/* Lets bitmaps_before_write() see all that changes.  Drained, or in open. */
void block_node_set_eager_bitmaps(BlockNode *node, bool on);
/* Records a change in the node's bitmaps; in its gate. */
void block_node_record(BlockNode *node, uint64_t offset, uint64_t bytes);
/* Moves on when bitmaps change in other ways than by recording. */
uint64_t block_node_bitmap_generation(BlockNode *node);

/* The driver learnt a new length (thread-safe). */
void block_node_set_length(BlockNode *node, uint64_t length);

const BlockDriver *block_driver_find(const char *name);
const BlockDriver *block_driver_next(const BlockDriver *prev);
/* The driver whose protocol prefix a name has; NULL for plain paths. */
const BlockDriver *block_driver_for_protocol(const char *filename);
/* The driver sure enough about the first bytes of a node; raw otherwise. */
const BlockDriver *block_driver_probe(BlockNode *file, GError **error);

/*
 * A driver passes a named point of its work ("l2_update", ...): a blkdebug
 * node below may change its state, fail the next request or stop here.
 */
static inline void block_debug_event(BlockNode *below, const char *event)
{
    if (G_UNLIKELY(below && below->driver->debug_event)) {
        below->driver->debug_event(below, event);
    }
}

/* An event of QMP (BLOCK_IO_ERROR, ...); data is stolen.  Any thread. */
void block_event(const char *name, json_t *data);
typedef void BlockEventFn(const char *name, json_t *data, void *opaque);
void block_set_event_handler(BlockEventFn *handler, void *opaque);

#endif
