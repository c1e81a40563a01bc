/*
 * Dirty bitmaps that travel with a migrating machine.
 *
 *     source                               destination
 *     _begin: chosen, marked busy
 *     (machine stopped)
 *     _save ------------ bytes -----------> _load: made anew
 *     _end(success): not stored any more
 *
 * The bytes are a part of the migration stream; the embedder carries them.
 * Numbers are big-endian, strings have a 16-bit length in front:
 *
 *     "e2kbmap1"  u32 number of bitmaps
 *     per bitmap: node alias, bitmap alias, u32 flags, u32 granularity,
 *                 u64 size of the node, then chunks:
 *                     u32 length (0 ends), u64 offset in the node, bits
 *
 * Chunks without a dirty bit are left out.  A mapping is the migration
 * parameter block-bitmap-mapping: [{"node-name", "alias", "bitmaps":
 * [{"name", "alias", "transform": {"persistent": bool}}]}]; only what it names
 * travels.  Without one (NULL) all named bitmaps of nodes that have a name
 * travel under their own names.  All functions take the graph lock.
 */
#ifndef BLOCK_BITMAP_MIGRATION_H
#define BLOCK_BITMAP_MIGRATION_H

#include "block/node.h"

typedef struct BlockBitmapMigration BlockBitmapMigration;

typedef bool BlockBitmapWriteFn(void *opaque, const void *data, size_t size,
                                GError **error);
typedef bool BlockBitmapReadFn(void *opaque, void *data, size_t size,
                               GError **error);

/* "block-bitmap-mapping" is well formed: unique names and aliases. */
bool block_bitmap_mapping_check(json_t *mapping, GError **error);

/* A bitmap that is busy or inconsistent is an error: nothing is begun. */
BlockBitmapMigration *block_bitmap_migration_begin(json_t *mapping,
                                                   GError **error);
bool block_bitmap_migration_save(BlockBitmapMigration *m,
                                 BlockBitmapWriteFn *write, void *opaque,
                                 GError **error);
/* Frees it.  success: the destination has them, so this side's images forget
 * them; else they are as before. */
void block_bitmap_migration_end(BlockBitmapMigration *m, bool success);

/* All or nothing: on an error the bitmaps made so far are gone again. */
bool block_bitmap_migration_load(json_t *mapping, BlockBitmapReadFn *read,
                                 void *opaque, GError **error);

#endif
