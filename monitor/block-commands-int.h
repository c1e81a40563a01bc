/* Shared by the files of block commands. */
#ifndef MONITOR_BLOCK_COMMANDS_INT_H
#define MONITOR_BLOCK_COMMANDS_INT_H

#include "block/backend.h"
#include "block/dirty-bitmap.h"
#include "block/node.h"
#include "monitor/monitor.h"

extern const QmpCommand monitor_node_commands[];
extern const QmpCommand monitor_bitmap_commands[];
extern const QmpCommand monitor_transaction_commands[];
extern const QmpCommand monitor_query_commands[];
extern const QmpCommand monitor_throttle_commands[];
extern const QmpCommand monitor_media_commands[];

void monitor_block_schema(json_t *schema);

/* The backend that args "device" (its name) or "id" (of the guest's device)
 * names; graph lock. */
BlockBackend *monitor_find_device(json_t *args, GError **error);
/* Is it the backend of the guest's device with this id or path? */
bool monitor_device_is(BlockBackend *backend, const char *id);
/* Adds the limits of a backend to what query-block says. */
void monitor_throttle_info(BlockBackend *backend, json_t *info);

/* The bitmap named by args "node" and "name"; *node is always set with it. */
BlockDirtyBitmap *monitor_find_bitmap(const char *node_name,
                                      const char *name, BlockNode **node,
                                      GError **error);

/* Single steps with an undo, shared by commands and transactions. */
BlockDirtyBitmap *monitor_bitmap_add(json_t *args, GError **error);
/* Merges all of args "bitmaps" into a copy first: target whole or untouched. */
BlockDirtyBitmap *monitor_bitmap_merge(json_t *args, HBitmap **backup,
                                       GError **error);
/* Takes it out of the image and marks it busy and skip-store. */
BlockDirtyBitmap *monitor_bitmap_remove_begin(json_t *args, GError **error);
void monitor_bitmap_remove_finish(BlockDirtyBitmap *bitmap);

extern const QmpArg monitor_bitmap_add_args[];
extern const QmpArg monitor_bitmap_args[];
extern const QmpArg monitor_bitmap_merge_args[];

/* A new image of the size of source, and the line about it on standard
 * output.  backing: whose name goes into the image, or NULL. */
bool monitor_create_image(const char *file, const char *format,
                          BlockNode *source, BlockNode *backing,
                          GError **error);

/* Snapshots: prepare installs the overlay, undo takes it out again. */
typedef struct MonitorSnapshot {
    BlockNode *old, *overlay; /* own references */
    BlockNode *old_backing;   /* of the overlay; own reference or NULL */
} MonitorSnapshot;
bool monitor_snapshot_prepare(json_t *args, bool sync, MonitorSnapshot *s,
                              GError **error);
void monitor_snapshot_undo(MonitorSnapshot *s);
extern const QmpArg monitor_internal_snapshot_args[];
/* The node that has it now, or NULL. */
BlockNode *monitor_internal_snapshot(json_t *args, GError **error);
void monitor_snapshot_done(MonitorSnapshot *s);
extern const QmpArg monitor_snapshot_args[];
extern const QmpArg monitor_snapshot_sync_args[];

#endif
