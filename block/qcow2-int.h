/*
 * The state of an open qcow2 image, shared by the block/qcow2-*.c files.
 *
 *   guest offset --L1--> L2 slice (cached, host order) --> host offset
 *
 * Reads and writes in place look their clusters up without a lock: an L2
 * slice in the cache carries a sequence number, and a reader that saw it
 * change tries again (qcow2-l2.c).  Everything that changes the mapping or a
 * reference count runs under `lock`, but guest data moves outside of it:
 *
 *   lock    pick host clusters, raise their refcounts, note an allocation
 *   unlock  copy-on-write reads, one write of data and edges
 *   lock    link the L2 entries, drop what they referred to before
 *
 * Requests that meet clusters of a noted allocation wait for it.
 *
 * Order on disk.  Dirty refcount blocks, L2 slices and L1 entries stay in
 * memory until qcow2_commit() writes them in this order with a flush between:
 * a cluster is counted before something refers to it.  References that go
 * away are put on a list; the count is lowered only once the L2 entry without
 * the reference is safely on disk and no request that may still be using the
 * old place is running.  A crash at any point can therefore leak clusters but
 * never leave one used and not counted.
 *
 * Requests that use host offsets outside the lock are counted in one of two
 * sets of striped counters (qcow2_enter/leave).  The epoch moves on when the
 * set it leaves behind is empty; what was freed in epoch n may be reused from
 * epoch n + 2 on.
 */
#ifndef BLOCK_QCOW2_INT_H
#define BLOCK_QCOW2_INT_H

#include "block/dirty-bitmap.h"
#include "block/driver.h"
#include "block/iov.h"
#include "block/qcow2-format.h"

#define QCOW2_L2_WAYS 8
#define QCOW2_STRIPES 16

/* What an extent of guest addresses maps to. */
typedef enum Qcow2Type {
    QCOW2_UNALLOC,      /* the backing file decides; no host cluster */
    QCOW2_UNALLOC_HOST, /* the same, but its cluster has a host cluster */
    QCOW2_ZERO,         /* reads as zeroes; no host cluster */
    QCOW2_ZERO_HOST,    /* reads as zeroes, host cluster preallocated */
    QCOW2_NORMAL,
    QCOW2_COMPRESSED,
    QCOW2_INVALID, /* the entry breaks a rule */
} Qcow2Type;

typedef struct Qcow2Extent {
    Qcow2Type type;
    bool copied;    /* the host cluster belongs to us alone */
    uint64_t bytes; /* length of the run, 1..asked */
    uint64_t host;  /* of the first byte, for the _HOST and NORMAL types */
    uint64_t entry; /* the first L2 word, for COMPRESSED and INVALID */
} Qcow2Extent;

/* A cached slice of an L2 table.  words: atomic; tag, seq: atomic. */
typedef struct Qcow2Slot {
    uint32_t seq;      /* odd while the slot is being changed */
    uint32_t used;     /* touched since the clock hand passed */
    uint64_t tag;      /* guest slice number + 1; 0: empty */
    uint64_t *words;   /* allocated once, freed at close */
    uint64_t host;     /* where the slice lies (lock) */
    bool dirty;        /* (lock) */
} Qcow2Slot;

/* A refcount block in memory, in the byte order of the disk (lock). */
typedef struct Qcow2RefBlock {
    uint64_t index; /* in the refcount table */
    uint64_t host;
    uint8_t *data;
    bool dirty;
    bool used;
} Qcow2RefBlock;

/* Clusters being allocated or rewritten outside the lock. */
typedef struct Qcow2InFlight {
    uint64_t start, end; /* guest bytes, cluster aligned */
    struct Qcow2InFlight *next;
} Qcow2InFlight;

/* References that are gone from L2 but not yet from the refcounts. */
typedef struct Qcow2Free {
    uint64_t start, clusters; /* host cluster range */
    uint64_t epoch;
    uint64_t commit; /* sequence number of the commit that must be durable */
    bool discard;    /* punch the hole in the file too */
} Qcow2Free;

typedef struct Qcow2Stripe {
    uint64_t count[2];
    uint8_t pad[48];
} Qcow2Stripe;

typedef struct Qcow2Snapshot {
    uint64_t l1_offset;
    uint32_t l1_size;
    char *id, *name;
    uint32_t date_sec, date_nsec;
    uint64_t vm_clock_ns;
    uint64_t vm_state_size;
    uint64_t disk_size;
    bool has_disk_size; /* extra data said so */
    uint64_t icount;
    GBytes *extra; /* extra data beyond what is known, or NULL */
} Qcow2Snapshot;

/* A bitmap of the directory on disk (qcow2-bitmap-dir.c). */
typedef struct Qcow2BitmapEntry {
    char *name;
    uint64_t table_offset;
    uint32_t table_size; /* entries */
    uint32_t flags;
    uint8_t granularity_bits;
} Qcow2BitmapEntry;

typedef enum Qcow2MetaKind {
    QCOW2_META_NONE,
    QCOW2_META_HEADER,
    QCOW2_META_ACTIVE_L1,
    QCOW2_META_ACTIVE_L2,
    QCOW2_META_REFBLOCK,
    QCOW2_META_REFTABLE,
    QCOW2_META_SNAPSHOT_TABLE,
    QCOW2_META_INACTIVE_L1,
    QCOW2_META_INACTIVE_L2,
    QCOW2_META_BITMAP_DIR,
    QCOW2_META_COMPRESSED, /* for messages only: a data cluster */
} Qcow2MetaKind;

typedef struct Qcow2 {
    /* Constant while requests run. */
    BlockNode *node;
    BlockEdge *data_edge; /* external data file, or NULL */
    Qcow2Header header;   /* fields that change: lock */
    unsigned cluster_bits;
    uint64_t cluster_size;
    bool extl2;
    unsigned l2_bits;     /* entries of an L2 table, log2 */
    unsigned slice_bits;  /* entries of a slice, log2 */
    unsigned entry_words; /* 1, or 2 with extended L2 */
    unsigned sc_bits;     /* bytes of a sub-cluster, log2 */
    unsigned csize_shift; /* compressed entries: sectors start here */
    uint64_t csize_mask, coffset_mask;
    unsigned refcount_order;
    uint64_t refcount_max;
    unsigned refblock_bits; /* entries of a refcount block, log2 */
    bool raw_data;          /* data file must stay a plain raw image */
    bool lazy;
    bool pass_discard_request, pass_discard_snapshot, pass_discard_other;
    bool discard_no_unref;
    unsigned overlap; /* bit per Qcow2MetaKind that writes must not hit */
    bool virgin_zero; /* the file grows with zeroes */

    int sparse_file;  /* atomic: 0 not looked yet, 1 yes, -1 no */
    uint32_t corrupt; /* atomic: requests fail with -EIO */
    uint32_t signaled; /* atomic: corruption was reported */

    /* Requests outside the lock (atomic). */
    uint64_t epoch;
    Qcow2Stripe *stripes;

    GMutex lock;
    GCond in_flight_done;

    /* Mapping (writers: lock; L1 entries and slots are read without). */
    uint64_t *l1;
    uint32_t l1_size;
    uint32_t l1_dirty_first, l1_dirty_end;
    Qcow2Slot *slots;
    uint32_t slot_sets; /* power of two */
    GPtrArray *dirty_slots;
    Qcow2InFlight *in_flight;

    /* Refcounts (lock). */
    uint64_t *reftable;
    uint64_t reftable_size; /* entries */
    GHashTable *refblocks;  /* index -> Qcow2RefBlock */
    size_t refblocks_max;
    uint64_t free_hint;   /* no free cluster below (cluster number) */
    uint64_t free_byte;   /* where the next compressed cluster goes; 0 */
    uint64_t file_end;    /* no cluster from here on was ever used */
    GArray *frees;        /* of Qcow2Free */
    guint frees_limit;    /* settle when there are more */
    bool meta_unsynced;   /* refcounts or L2 were written, not flushed */
    uint64_t commit_seq;  /* commits written so far */
    uint64_t synced_seq;  /* commits known to be durable */
    GHashTable *meta;     /* host cluster -> Qcow2MetaKind, or NULL */
    uint64_t *meta_filter; /* Bloom filter over meta; atomic, or NULL */

    GArray *snapshots; /* of Qcow2Snapshot */
    bool bitmaps_loaded;

    /* Bitmaps stored at flush time too (qcow2-bitmap-flush.c). */
    bool bitmaps_at_flush;
    GMutex bitmap_lock;         /* outside of lock */
    bool bitmaps_stored;        /* bitmap_lock: the stored copies are valid */
    uint64_t bitmap_generation; /* bitmap_lock: as it was then */
} Qcow2;

static inline Qcow2 *qcow2_state(BlockNode *node)
{
    return node->state;
}

static inline BlockNode *qcow2_file(const Qcow2 *s)
{
    return s->node->file->node;
}

/* Where guest data lies. */
static inline BlockNode *qcow2_data(const Qcow2 *s)
{
    return s->data_edge ? s->data_edge->node : qcow2_file(s);
}

static inline uint64_t qcow2_cluster_start(const Qcow2 *s, uint64_t offset)
{
    return offset & ~(s->cluster_size - 1);
}

static inline uint64_t qcow2_clusters(const Qcow2 *s, uint64_t bytes)
{
    return (bytes >> s->cluster_bits) + !!(bytes & (s->cluster_size - 1));
}

/* ---- qcow2.c ------------------------------------------------------------- */

/* Writes the header as it is in s->header; lock or drained. */
int qcow2_write_header(Qcow2 *s, GError **error);
/* Sets and clears incompatible feature bits on disk, durable on return. */
int qcow2_update_incompat(Qcow2 *s, uint64_t set, uint64_t clear);
/*
 * Reports damage: a message, an event, and when fatal the corrupt bit.
 * Returns -EIO.
 */
int qcow2_corrupt(Qcow2 *s, bool fatal, uint64_t offset, uint64_t size,
                  const char *format, ...) G_GNUC_PRINTF(5, 6);

/* Applies geometry from s->header to the derived fields. */
void qcow2_set_geometry(Qcow2 *s);

/* ---- qcow2-read.c --------------------------------------------------------- */

/* Reads guest bytes as mapped now; in a section or drained. */
int qcow2_read_range(Qcow2 *s, uint64_t offset, uint64_t bytes,
                     const struct iovec *iov, int niov, unsigned flags);
int qcow2_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                 const struct iovec *iov, int niov, unsigned flags);
int qcow2_status(BlockNode *node, uint64_t offset, uint64_t bytes,
                 BlockStatus *status);
int qcow2_map_fd(BlockNode *node, uint64_t offset, uint64_t bytes, int *fd,
                 uint64_t *fd_offset, uint64_t *n);
int qcow2_flush(BlockNode *node);

/* ---- qcow2-l2.c: L1, L2 cache, lookup ------------------------------------ */

bool qcow2_l2_init(Qcow2 *s, uint64_t cache_bytes, GError **error);
void qcow2_l2_free(Qcow2 *s);
/* Forgets all slices; nothing may be dirty.  Drained. */
void qcow2_l2_drop(Qcow2 *s);
/* Describes the extent at offset, bytes > 0; any thread, no lock held. */
int qcow2_lookup(Qcow2 *s, uint64_t offset, uint64_t bytes, Qcow2Extent *e);
/* The same with the lock held. */
int qcow2_lookup_locked(Qcow2 *s, uint64_t offset, uint64_t bytes,
                        Qcow2Extent *e);
/* The slice with the entry of a guest offset; -ENOENT: no L2 table. Lock. */
int qcow2_l2_get(Qcow2 *s, uint64_t offset, Qcow2Slot **slot,
                 unsigned *index);
/* The same, making the L2 table (or a private copy of it) first.  Lock. */
int qcow2_l2_get_writable(Qcow2 *s, uint64_t offset, Qcow2Slot **slot,
                          unsigned *index);
/* Changes entry `index` of a writable slice.  word2: extended L2 only. */
void qcow2_l2_set(Qcow2 *s, Qcow2Slot *slot, unsigned index, uint64_t word,
                  uint64_t word2);
void qcow2_l1_set(Qcow2 *s, uint32_t index, uint64_t entry);
/* Classifies sub-cluster sc of an entry. */
Qcow2Type qcow2_entry_type(const Qcow2 *s, uint64_t word, uint64_t word2,
                           unsigned sc);
/* Writes everything dirty, in order.  Lock. */
int qcow2_commit(Qcow2 *s);
int qcow2_write_l1(Qcow2 *s);

/* ---- qcow2-refcount.c ---------------------------------------------------- */

bool qcow2_refcount_init(Qcow2 *s, GError **error);
void qcow2_refcount_free(Qcow2 *s);
/* All functions: lock held or drained. */
int qcow2_refcount_get(Qcow2 *s, uint64_t cluster, uint64_t *count);
/* Adds delta (+1, -1) to each of n clusters. -EINVAL: over- or underflow. */
int qcow2_refcount_add(Qcow2 *s, uint64_t cluster, uint64_t n, int delta);
int qcow2_refcount_set(Qcow2 *s, uint64_t cluster, uint64_t count);
/* Between 1 and want adjacent clusters, counted; *got says how many. */
int qcow2_alloc_clusters(Qcow2 *s, uint64_t want, Qcow2MetaKind kind,
                         uint64_t *offset, uint64_t *got);
/* Exactly `bytes` of adjacent space. */
int qcow2_alloc_exact(Qcow2 *s, uint64_t bytes, Qcow2MetaKind kind,
                      uint64_t *offset);
/* Counts the clusters at offset if they are free; *got may be 0. */
int qcow2_alloc_at(Qcow2 *s, uint64_t offset, uint64_t want, uint64_t *got);
/* Room for one compressed cluster of `size` bytes. */
int qcow2_alloc_bytes(Qcow2 *s, uint64_t size, uint64_t *offset);
int qcow2_write_refblocks(Qcow2 *s, bool *wrote);
bool qcow2_refblocks_dirty(Qcow2 *s);
uint64_t qcow2_refblock_load(const uint8_t *data, unsigned order, uint64_t i);
void qcow2_refblock_store(uint8_t *data, unsigned order, uint64_t i,
                          uint64_t value);

/* ---- qcow2-free.c --------------------------------------------------------- */

/* Section of a request that uses host offsets; cheap, nests not. */
unsigned qcow2_enter(Qcow2 *s);
void qcow2_leave(Qcow2 *s, unsigned token);
/* Drops references after the next durable commit. */
void qcow2_free_later(Qcow2 *s, uint64_t offset, uint64_t bytes,
                      bool discard);
/* Lowers what qcow2_free_later() noted and may be lowered by now. */
int qcow2_apply_frees(Qcow2 *s);
/* Keeps the list of pending frees short. */
void qcow2_trim_frees(Qcow2 *s);
/* Commits, flushes and applies all frees; nothing is in flight. */
int qcow2_settle(Qcow2 *s);

/* ---- qcow2-overlap.c ------------------------------------------------------ */

/* Host clusters of metadata, for overlap checks.  Lock. */
void qcow2_meta_add(Qcow2 *s, uint64_t offset, uint64_t bytes,
                    Qcow2MetaKind kind);
void qcow2_meta_remove(Qcow2 *s, uint64_t offset, uint64_t bytes);
/* Forgets the map; the next check builds it anew.  Drained. */
void qcow2_meta_drop(Qcow2 *s);
/* 0, or -EIO after reporting a write of kind `own` onto other metadata. */
int qcow2_check_overlap(Qcow2 *s, uint64_t offset, uint64_t bytes,
                        Qcow2MetaKind own);
const char *qcow2_meta_name(Qcow2MetaKind kind);
/* False: no metadata there for sure.  Any thread, no lock. */
bool qcow2_maybe_meta(const Qcow2 *s, uint64_t offset, uint64_t bytes);

/* ---- qcow2-batch.c: BlockDriver.batch and .batches ----------------------- */

bool qcow2_batches(BlockNode *node, bool write);
void qcow2_batch(BlockNode *node, BlockBatchItem *items, unsigned n);

/* ---- qcow2-cluster.c: writing guest data --------------------------------- */

/* A broken entry may point into metadata: never write there.  0 or -errno. */
int qcow2_check_in_place(Qcow2 *s, const Qcow2Extent *e);
int qcow2_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                  const struct iovec *iov, int niov, unsigned flags);
/* Uncompressed guest data, within a section. */
int qcow2_write_range(Qcow2 *s, uint64_t offset, uint64_t bytes,
                      const struct iovec *iov, int niov);
/* Gives every cluster in the range a host cluster that reads as zeroes. */
int qcow2_preallocate(Qcow2 *s, uint64_t offset, uint64_t new_size,
                      BlockPreallocation mode, GError **error);
void qcow2_in_flight_begin(Qcow2 *s, Qcow2InFlight *f, uint64_t start,
                           uint64_t end);
void qcow2_in_flight_end(Qcow2 *s, Qcow2InFlight *f);
/* Waits until no allocation touches the range.  Lock (dropped meanwhile). */
void qcow2_in_flight_wait(Qcow2 *s, uint64_t start, uint64_t end);
/* Drops what an L2 entry refers to. */
void qcow2_free_entry(Qcow2 *s, uint64_t word, bool discard);
/* Host range of a compressed entry. */
void qcow2_compressed_range(const Qcow2 *s, uint64_t word, uint64_t *offset,
                            uint64_t *bytes);

/* The words of an entry; word2 is 0 without extended L2. */
void qcow2_entry_at(const Qcow2 *s, const Qcow2Slot *slot, unsigned index,
                    uint64_t *word, uint64_t *word2);
/* Whether guest bytes read as zeroes without reading them. */
bool qcow2_reads_as_zero(Qcow2 *s, uint64_t offset, uint64_t bytes,
                         bool locked);

/* ---- qcow2-zero.c --------------------------------------------------------- */

int qcow2_pwrite_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes,
                        unsigned flags);
int qcow2_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes);
/* Drops all clusters in [offset, end); entries become 0.  Drained. */
int qcow2_discard_all(Qcow2 *s, uint64_t offset, uint64_t bytes);

/* ---- qcow2-compress.c ---------------------------------------------------- */

bool qcow2_compression_available(unsigned type);
/* Compressed size, or -ENOMEM when it does not get smaller, or -errno. */
int64_t qcow2_compress(unsigned type, void *dst, size_t dst_size,
                       const void *src, size_t src_size);
/* 0 when exactly dst_size bytes came out, else -EIO. */
int qcow2_decompress(unsigned type, void *dst, size_t dst_size,
                     const void *src, size_t src_size);
/* Reads part of a compressed cluster into iov. */
int qcow2_read_compressed(Qcow2 *s, uint64_t word, uint64_t in_cluster,
                          uint64_t bytes, const struct iovec *iov, int niov);
int qcow2_write_compressed(Qcow2 *s, uint64_t offset, uint64_t bytes,
                           const struct iovec *iov, int niov);

/* ---- qcow2-snapshot.c ----------------------------------------------------- */

void qcow2_snapshot_clear(gpointer snapshot);
/* Reads the table.  lenient (a check): skips what is broken, counts it. */
bool qcow2_snapshots_read(Qcow2 *s, bool lenient, uint64_t *broken,
                          GError **error);
int qcow2_snapshots_write(Qcow2 *s, GError **error);
bool qcow2_snapshot_create(BlockNode *node, const BlockSnapshot *snapshot,
                           GError **error);
bool qcow2_snapshot_goto(BlockNode *node, const char *id_or_name,
                         GError **error);
bool qcow2_snapshot_delete(BlockNode *node, const char *id, const char *name,
                           GError **error);
bool qcow2_snapshot_list(BlockNode *node, BlockSnapshot **list, size_t *n,
                         GError **error);
bool qcow2_snapshot_load(BlockNode *node, const char *id, const char *name,
                         GError **error);
int qcow2_vmstate_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                         const struct iovec *iov, int niov);
int qcow2_vmstate_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                          const struct iovec *iov, int niov);

/* ---- qcow2-bitmap.c, qcow2-bitmap-dir.c ---------------------------------- */

void qcow2_bitmap_entry_clear(gpointer entry);
/* Reads the directory; array of Qcow2BitmapEntry, NULL with an error. */
GArray *qcow2_bitmap_directory(Qcow2 *s, GError **error);
bool qcow2_bitmaps_load(Qcow2 *s, GError **error);
/* Stores what is persistent; release: RAM copies go (close). */
bool qcow2_bitmaps_store(Qcow2 *s, bool release, GError **error);
bool qcow2_bitmaps_reopen_rw(Qcow2 *s, GError **error);
/* Whether this bitmap's bits are to be written now. */
bool qcow2_bitmap_wants_store(const BlockDirtyBitmap *bitmap);
/* Writes the bits of all bitmaps that want it and a directory that says that
 * they are valid; nothing changes in RAM. */
bool qcow2_bitmaps_write(Qcow2 *s, GError **error);
/* Says in the file that the stored copies are not valid any more. */
bool qcow2_bitmaps_mark_in_use(Qcow2 *s, GError **error);

/* ---- qcow2-bitmap-flush.c -------------------------------------------------- */

void qcow2_bitmap_flush_init(Qcow2 *s, bool on);
/* Before the size or all contents change: the stored copies are not valid. */
bool qcow2_bitmaps_invalidate(Qcow2 *s, GError **error);
/* After a flush of the rest: stores what has changed since the last time. */
int qcow2_bitmaps_flush(Qcow2 *s);
int qcow2_bitmaps_before_write(BlockNode *node, uint64_t offset,
                               uint64_t bytes);
bool qcow2_bitmap_can_store(BlockNode *node, const char *name,
                            uint32_t granularity, GError **error);
bool qcow2_bitmap_remove(BlockNode *node, const char *name, GError **error);
json_t *qcow2_bitmaps_info(Qcow2 *s);
/* Bytes the persistent bitmaps of a node need in an image of cluster_size. */
uint64_t qcow2_bitmaps_measure(BlockNode *node, uint64_t cluster_size,
                               bool *any);

/* ---- qcow2-check.c, qcow2-create.c, qcow2-resize.c ------------------------ */

bool qcow2_check(BlockNode *node, BlockCheckResult *result, unsigned fix,
                 GError **error);
bool qcow2_create(json_t *options, GError **error);
bool qcow2_measure(json_t *options, BlockNode *source, BlockMeasure *measure,
                   GError **error);
bool qcow2_truncate(BlockNode *node, uint64_t size, bool exact,
                    BlockPreallocation prealloc, GError **error);
bool qcow2_amend(BlockNode *node, json_t *options, bool force,
                 BlockProgressFn *progress, void *opaque, GError **error);
bool qcow2_make_empty(BlockNode *node, GError **error);
/* Rebuilds the refcount structures with another entry width. */
bool qcow2_change_refcount_width(Qcow2 *s, unsigned order, GError **error);
int qcow2_grow_l1(Qcow2 *s, uint64_t min_entries);
extern const BlockOption qcow2_create_options[];
extern const BlockOption qcow2_amend_options[];

#endif
