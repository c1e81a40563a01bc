/*
 * Dirty bitmaps of a node: which parts were written since some moment.
 *
 * One bit stands for a granule of 2^n >= 512 bytes.  Every write, zeroing and
 * discard of the node sets bits in each enabled bitmap, or in the successor
 * of a bitmap that has one.  Bits are set after the data is written and
 * before the request returns, with an atomic OR that is skipped when the bit
 * is set already; there is no lock on that path.
 *
 *     enabled  <->  disabled             user's choice
 *     busy                               an export or a job uses it
 *     busy + successor                   a backup job uses it: the (anonymous)
 *                                        successor records meanwhile
 *     persistent                         saved in the image at close
 *     read-only                          the image cannot be written now
 *     inconsistent                       was not saved properly: remove only
 *
 * Functions run under the graph lock, except those marked "any thread".
 * Those that change which bitmap records drain the node themselves.
 */
#ifndef BLOCK_DIRTY_BITMAP_H
#define BLOCK_DIRTY_BITMAP_H

#include "block/node.h"
#include "util/hbitmap.h"

typedef struct BlockDirtyBitmap BlockDirtyBitmap;

#define BLOCK_BITMAP_NAME_MAX 1023
#define BLOCK_BITMAP_MIN_GRANULARITY 512u

/* Checks of QMP commands, in this order of complaint. */
typedef enum BlockBitmapCheck {
    BLOCK_BITMAP_BUSY = 1 << 0,
    BLOCK_BITMAP_RO = 1 << 1,
    BLOCK_BITMAP_INCONSISTENT = 1 << 2,
    BLOCK_BITMAP_DEFAULT =
        BLOCK_BITMAP_BUSY | BLOCK_BITMAP_RO | BLOCK_BITMAP_INCONSISTENT,
    BLOCK_BITMAP_ALLOW_RO = BLOCK_BITMAP_BUSY | BLOCK_BITMAP_INCONSISTENT,
} BlockBitmapCheck;

/*
 * Creates an enabled bitmap of all zeroes.  name NULL: anonymous.  Fails on a
 * bad granularity, a duplicate or overlong name, or lack of memory.
 */
BlockDirtyBitmap *block_dirty_bitmap_new(BlockNode *node, const char *name,
                                         uint32_t granularity,
                                         GError **error);
/* Takes it off the node and frees it; not from the image. */
void block_dirty_bitmap_release(BlockDirtyBitmap *bitmap);

BlockDirtyBitmap *block_dirty_bitmap_find(BlockNode *node, const char *name);
/* How many named bitmaps a node has. */
size_t block_dirty_bitmap_names(BlockNode *node);
/* The bitmap after prev, NULL starts. */
BlockDirtyBitmap *block_dirty_bitmap_next(BlockNode *node,
                                          BlockDirtyBitmap *prev);
/*
 * Finds a bitmap by name on node, then below it through filters and backing
 * nodes; the first wins.  *owner (may be NULL) is set to where it was.
 */
BlockDirtyBitmap *block_dirty_bitmap_find_chain(BlockNode *node,
                                                const char *name,
                                                BlockNode **owner);

BlockNode *block_dirty_bitmap_node(const BlockDirtyBitmap *bitmap);
const char *block_dirty_bitmap_name(const BlockDirtyBitmap *bitmap);
uint32_t block_dirty_bitmap_granularity(const BlockDirtyBitmap *bitmap);
uint64_t block_dirty_bitmap_size(const BlockDirtyBitmap *bitmap);
bool block_dirty_bitmap_enabled(const BlockDirtyBitmap *bitmap);
bool block_dirty_bitmap_recording(const BlockDirtyBitmap *bitmap);
bool block_dirty_bitmap_persistent(const BlockDirtyBitmap *bitmap);
bool block_dirty_bitmap_busy(const BlockDirtyBitmap *bitmap);
bool block_dirty_bitmap_read_only(const BlockDirtyBitmap *bitmap);
bool block_dirty_bitmap_inconsistent(const BlockDirtyBitmap *bitmap);
bool block_dirty_bitmap_skip_store(const BlockDirtyBitmap *bitmap);
bool block_dirty_bitmap_has_successor(const BlockDirtyBitmap *bitmap);

void block_dirty_bitmap_enable(BlockDirtyBitmap *bitmap);
void block_dirty_bitmap_disable(BlockDirtyBitmap *bitmap);
void block_dirty_bitmap_set_persistent(BlockDirtyBitmap *bitmap, bool on);
void block_dirty_bitmap_set_busy(BlockDirtyBitmap *bitmap, bool on);
void block_dirty_bitmap_set_read_only(BlockDirtyBitmap *bitmap, bool on);
void block_dirty_bitmap_set_inconsistent(BlockDirtyBitmap *bitmap);
void block_dirty_bitmap_set_skip_store(BlockDirtyBitmap *bitmap, bool on);

bool block_dirty_bitmap_check(const BlockDirtyBitmap *bitmap, unsigned checks,
                              GError **error);

/*
 * The rule for exporting bitmap (found from an export's node) under the name
 * of an export that is or is not writable: an enabled bitmap may be exported
 * unless the export is read-only and the owning node is writable.  by_owner:
 * the caller named the owner itself, which lifts the rule.
 */
bool block_dirty_bitmap_check_export(const BlockDirtyBitmap *bitmap,
                                     bool export_writable, bool by_owner,
                                     GError **error);

/* ---- Bits (any thread, while the node stays) ----------------------------- */

bool block_dirty_bitmap_get(const BlockDirtyBitmap *bitmap, uint64_t offset);
void block_dirty_bitmap_set(BlockDirtyBitmap *bitmap, uint64_t offset,
                            uint64_t bytes);
void block_dirty_bitmap_reset(BlockDirtyBitmap *bitmap, uint64_t offset,
                              uint64_t bytes);
/* Dirty bytes, whole granules. */
uint64_t block_dirty_bitmap_count(const BlockDirtyBitmap *bitmap);
/*
 * The first dirty area in [offset, offset + bytes): true and its clipped
 * bounds, at most max_bytes long; false when all is clean.
 */
bool block_dirty_bitmap_next_area(const BlockDirtyBitmap *bitmap,
                                  uint64_t offset, uint64_t bytes,
                                  uint64_t max_bytes, uint64_t *area_offset,
                                  uint64_t *area_bytes);
/* State at offset and how far (<= bytes) it goes on unchanged. */
bool block_dirty_bitmap_status(const BlockDirtyBitmap *bitmap,
                               uint64_t offset, uint64_t bytes,
                               uint64_t *run_bytes);

/* ---- Whole-bitmap operations --------------------------------------------- */

/* *backup (may be NULL) receives the old bits, for _restore or _drop. */
void block_dirty_bitmap_clear(BlockDirtyBitmap *bitmap, HBitmap **backup);
void block_dirty_bitmap_restore(BlockDirtyBitmap *bitmap, HBitmap *backup);
bool block_dirty_bitmap_merge(BlockDirtyBitmap *target,
                              const BlockDirtyBitmap *source,
                              HBitmap **backup, GError **error);

/* A successor records while the (then busy, frozen) parent is being used. */
bool block_dirty_bitmap_create_successor(BlockDirtyBitmap *bitmap,
                                         GError **error);
/* The successor takes the parent's place; returns it. */
BlockDirtyBitmap *block_dirty_bitmap_abdicate(BlockDirtyBitmap *bitmap);
/* The successor's bits go back into the parent. */
void block_dirty_bitmap_reclaim(BlockDirtyBitmap *bitmap);

/*
 * Serialized form: bit n in byte n / 8, bit n % 8; bytes are those of the
 * qcow2 file.  Ranges are in bytes of the node; start must be a multiple of
 * 8 granules.
 */
uint64_t block_dirty_bitmap_serial_size(const BlockDirtyBitmap *bitmap,
                                        uint64_t offset, uint64_t bytes);
void block_dirty_bitmap_serialize(const BlockDirtyBitmap *bitmap, void *buf,
                                  uint64_t offset, uint64_t bytes);
void block_dirty_bitmap_deserialize(BlockDirtyBitmap *bitmap, const void *buf,
                                    uint64_t offset, uint64_t bytes);
char *block_dirty_bitmap_sha256(const BlockDirtyBitmap *bitmap);

/* ---- QMP level ----------------------------------------------------------- */

/* Default: the cluster size clamped to 4 KiB..64 KiB; 64 KiB without one. */
uint32_t block_dirty_bitmap_default_granularity(BlockNode *node);
/* "dirty-bitmaps" of a node: an array, NULL if it has none. */
json_t *block_dirty_bitmap_query(BlockNode *node);
/* May the image of node keep a bitmap of this name and granularity? */
bool block_dirty_bitmap_can_store(BlockNode *node, const char *name,
                                  uint32_t granularity, GError **error);
/* Removes the stored copy; success when there is none. */
bool block_dirty_bitmap_remove_stored(BlockNode *node, const char *name,
                                      GError **error);
/* All bitmaps of a node let it be resized. */
bool block_dirty_bitmaps_check_resize(BlockNode *node, GError **error);

#endif
