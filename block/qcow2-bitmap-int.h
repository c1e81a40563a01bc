/* The directory of bitmaps as qcow2-bitmap.c needs it. */
#ifndef BLOCK_QCOW2_BITMAP_INT_H
#define BLOCK_QCOW2_BITMAP_INT_H

#include "block/qcow2-int.h"

/* Of Qcow2BitmapEntry.flags. */
#define QCOW2_BITMAP_FLAG_IN_USE 1u
#define QCOW2_BITMAP_FLAG_AUTO 2u
#define QCOW2_BITMAP_FLAG_EXTRA_COMPATIBLE 4u
#define QCOW2_BITMAP_FLAGS_KNOWN 7u
#define QCOW2_BITMAP_MIN_GRANULARITY_BITS 9
#define QCOW2_BITMAP_MAX_GRANULARITY_BITS 31
#define QCOW2_BITMAP_MAX_NAME 1023u

/* Bytes of an entry with a name of this length. */
uint64_t qcow2_bitmap_entry_size(size_t name_len);
/* The directory as bytes; to be freed. */
uint8_t *qcow2_bitmap_directory_format(const GArray *list, uint64_t *size);
/* Rewrites it where it is: only flags may have changed. */
int qcow2_bitmap_directory_rewrite(Qcow2 *s, const GArray *list);

#endif
