/*
 * A bitmap with summary levels, for finding set bits in a mostly clear one.
 *
 *     level 0   [ one word                                  ]   top
 *     level 1   [ w0 | w1 | ... one bit per word of level 2 ]
 *     level 2   [ w0 | w1 | w2 | ... the bits               ]   leaves
 *
 * A bit of an upper level is set when the word below it may be non-zero.
 * Setting costs one load when the bit is set already, else one atomic OR per
 * level that changes; finding the next set bit costs at most one word per
 * level; memory is 1/63 over the plain bitmap and untouched parts stay
 * unmapped.
 *
 * Threads: set, get, next and count may run at the same time in any thread.
 * Resets exclude each other by a lock inside and may run beside sets: a bit
 * that is set after the reset began may survive or not, but the summary
 * levels stay right.  Resize, merge and free need exclusion by the caller.
 */
#ifndef UTIL_HBITMAP_H
#define UTIL_HBITMAP_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

typedef struct HBitmap HBitmap;

/* A bitmap of `bits` clear bits, at most 2^36; NULL without memory. */
HBitmap *hbitmap_new(uint64_t bits);
void hbitmap_free(HBitmap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HBitmap, hbitmap_free)
HBitmap *hbitmap_copy(const HBitmap *map); /* NULL: no memory */

uint64_t hbitmap_bits(const HBitmap *map);
bool hbitmap_get(const HBitmap *map, uint64_t bit);
/* Ranges are clipped to the bitmap. */
void hbitmap_set(HBitmap *map, uint64_t first, uint64_t count);
void hbitmap_reset(HBitmap *map, uint64_t first, uint64_t count);
void hbitmap_reset_all(HBitmap *map);

/* First set (clear) bit in [first, end), or end. */
uint64_t hbitmap_next_set(const HBitmap *map, uint64_t first, uint64_t end);
uint64_t hbitmap_next_clear(const HBitmap *map, uint64_t first, uint64_t end);
uint64_t hbitmap_count(const HBitmap *map);

/* target |= source; equal sizes. */
void hbitmap_merge(HBitmap *target, const HBitmap *source);
/* New size, new bits clear; false (and unchanged) without memory. */
bool hbitmap_resize(HBitmap *map, uint64_t bits);

/* Bytes of bits [first, first + count), first a multiple of 8: bit n is bit
 * n % 8 of byte n / 8.  store sets exactly the bits given. */
void hbitmap_load_bytes(HBitmap *map, const uint8_t *bytes, uint64_t first,
                        uint64_t count);
void hbitmap_store_bytes(const HBitmap *map, uint8_t *bytes, uint64_t first,
                         uint64_t count);

#endif
