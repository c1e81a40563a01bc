/*
 * Summary levels of words of 64 bits; see hbitmap.h for the picture.
 *
 * All words are accessed with sequentially consistent atomics where order
 * matters: a setter writes the leaf and then looks at the summary; a resetter
 * clears the leaf, clears the summary, and looks at the leaf again.  Whoever
 * comes second repairs the summary, so it never misses a set bit for good.
 */
#include "util/hbitmap.h"

#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"

#define WORD_BITS 64
#define MAX_LEVELS 10 /* 6 bits each: covers 2^60 leaves */
/* 8 GiB of leaves: 32 TiB in granules of 512 bytes.  Above that the address
 * space of a lazy host would be all that says no. */
#define MAX_BITS (UINT64_C(1) << 36)

struct HBitmap {
    uint64_t bits;
    unsigned levels; /* >= 1; level[levels - 1] holds the bits */
    uint64_t *level[MAX_LEVELS];
    uint64_t words[MAX_LEVELS];
    GMutex reset_lock;
};

static uint64_t word_load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* Bits [first, last] of a word; 0 <= first <= last <= 63. */
static uint64_t word_mask(unsigned first, unsigned last)
{
    return (~UINT64_C(0) << first) & (~UINT64_C(0) >> (63 - last));
}

static bool hbitmap_alloc(HBitmap *map, uint64_t bits)
{
    uint64_t words[MAX_LEVELS];
    unsigned levels = 0;
    uint64_t n = bits;

    if (bits > MAX_BITS) {
        return false;
    }
    do {
        n = n / WORD_BITS + (n % WORD_BITS != 0);
        n = MAX(n, 1);
        words[levels++] = n;
    } while (n > 1 && levels < MAX_LEVELS);
    map->bits = bits;
    map->levels = levels;
    for (unsigned i = 0; i < levels; i++) {
        map->words[i] = words[levels - 1 - i];
        map->level[i] = NULL;
    }
    for (unsigned i = 0; i < levels; i++) {
        if (map->words[i] > SIZE_MAX / sizeof(uint64_t)) {
            goto fail;
        }
        /* calloc() gets large blocks from mmap: untouched pages cost none. */
        map->level[i] = calloc(map->words[i], sizeof(uint64_t));
        if (!map->level[i]) {
            goto fail;
        }
    }
    return true;
fail:
    for (unsigned i = 0; i < levels; i++) {
        free(map->level[i]);
    }
    return false;
}

HBitmap *hbitmap_new(uint64_t bits)
{
    HBitmap *map = g_new0(HBitmap, 1);

    g_mutex_init(&map->reset_lock);
    if (!hbitmap_alloc(map, bits)) {
        g_mutex_clear(&map->reset_lock);
        g_free(map);
        return NULL;
    }
    return map;
}

void hbitmap_free(HBitmap *map)
{
    if (!map) {
        return;
    }
    for (unsigned i = 0; i < map->levels; i++) {
        free(map->level[i]);
    }
    g_mutex_clear(&map->reset_lock);
    g_free(map);
}

HBitmap *hbitmap_copy(const HBitmap *map)
{
    HBitmap *copy = hbitmap_new(map->bits);

    if (copy) {
        hbitmap_merge(copy, map);
    }
    return copy;
}

uint64_t hbitmap_bits(const HBitmap *map)
{
    return map->bits;
}

bool hbitmap_get(const HBitmap *map, uint64_t bit)
{
    const uint64_t *leaves = map->level[map->levels - 1];

    return bit < map->bits &&
           (word_load(&leaves[bit / WORD_BITS]) >> (bit % WORD_BITS) & 1);
}

/* Sets bits of one word of a level if any is clear; then the summary's. */
static void set_word(HBitmap *map, int level, uint64_t index, uint64_t mask)
{
    for (; level >= 0; level--) {
        uint64_t *word = &map->level[level][index];

        if ((__atomic_load_n(word, __ATOMIC_SEQ_CST) & mask) == mask) {
            if (level == (int)map->levels - 1) {
                return; /* the setter of that bit does the summary */
            }
        } else {
            __atomic_fetch_or(word, mask, __ATOMIC_SEQ_CST);
        }
        mask = UINT64_C(1) << (index % WORD_BITS);
        index /= WORD_BITS;
    }
}

static bool clip(const HBitmap *map, uint64_t first, uint64_t *count)
{
    if (first >= map->bits || *count == 0) {
        return false;
    }
    *count = MIN(*count, map->bits - first);
    return true;
}

void hbitmap_set(HBitmap *map, uint64_t first, uint64_t count)
{
    uint64_t last;

    if (!clip(map, first, &count)) {
        return;
    }
    last = first + count - 1;
    for (uint64_t w = first / WORD_BITS; w <= last / WORD_BITS; w++) {
        unsigned lo = w == first / WORD_BITS ? first % WORD_BITS : 0;
        unsigned hi = w == last / WORD_BITS ? last % WORD_BITS : 63;

        set_word(map, map->levels - 1, w, word_mask(lo, hi));
    }
}

/* Clears summary bits upwards while whole words below are zero. */
static void reset_summary(HBitmap *map, uint64_t index)
{
    for (int level = map->levels - 2; level >= 0; level--) {
        uint64_t *below = &map->level[level + 1][index];
        uint64_t *word = &map->level[level][index / WORD_BITS];
        uint64_t mask = UINT64_C(1) << (index % WORD_BITS);

        if (__atomic_load_n(below, __ATOMIC_SEQ_CST)) {
            return;
        }
        __atomic_fetch_and(word, ~mask, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(below, __ATOMIC_SEQ_CST)) {
            set_word(map, level, index / WORD_BITS, mask);
            return;
        }
        index /= WORD_BITS;
    }
}

void hbitmap_reset(HBitmap *map, uint64_t first, uint64_t count)
{
    uint64_t *leaves = map->level[map->levels - 1];
    uint64_t last;

    if (!clip(map, first, &count)) {
        return;
    }
    last = first + count - 1;
    g_mutex_lock(&map->reset_lock);
    for (uint64_t w = first / WORD_BITS; w <= last / WORD_BITS; w++) {
        unsigned lo = w == first / WORD_BITS ? first % WORD_BITS : 0;
        unsigned hi = w == last / WORD_BITS ? last % WORD_BITS : 63;
        uint64_t mask = word_mask(lo, hi);
        uint64_t before;

        if (!word_load(&leaves[w])) {
            /* Jump over clear words: the summary knows where the next is. */
            uint64_t next = hbitmap_next_set(map, w * WORD_BITS, last + 1);

            if (next > last) {
                break;
            }
            if (next / WORD_BITS > w) {
                w = next / WORD_BITS - 1;
                continue;
            }
        }
        before = __atomic_fetch_and(&leaves[w], ~mask, __ATOMIC_SEQ_CST);
        if (before && !(before & ~mask)) {
            reset_summary(map, w);
        }
    }
    g_mutex_unlock(&map->reset_lock);
}

void hbitmap_reset_all(HBitmap *map)
{
    hbitmap_reset(map, 0, map->bits);
}

/* First set bit >= index of a level (in its own units), or its end. */
static uint64_t next_in_level(const HBitmap *map, int level, uint64_t bit)
{
    uint64_t word_index = bit / WORD_BITS;

    while (word_index < map->words[level]) {
        uint64_t word = word_load(&map->level[level][word_index]);

        word &= ~UINT64_C(0) << (bit % WORD_BITS);
        if (word) {
            return word_index * WORD_BITS + __builtin_ctzll(word);
        }
        word_index++;
        if (level > 0 && word_index < map->words[level]) {
            word_index = next_in_level(map, level - 1, word_index);
        }
        bit = word_index * WORD_BITS;
    }
    return UINT64_MAX;
}

uint64_t hbitmap_next_set(const HBitmap *map, uint64_t first, uint64_t end)
{
    uint64_t found;

    end = MIN(end, map->bits);
    if (first >= end) {
        return end;
    }
    found = next_in_level(map, map->levels - 1, first);
    return MIN(found, end);
}

uint64_t hbitmap_next_clear(const HBitmap *map, uint64_t first, uint64_t end)
{
    const uint64_t *leaves = map->level[map->levels - 1];

    end = MIN(end, map->bits);
    while (first < end) {
        uint64_t word = ~word_load(&leaves[first / WORD_BITS]) &
                        (~UINT64_C(0) << (first % WORD_BITS));

        if (word) {
            first = first / WORD_BITS * WORD_BITS + __builtin_ctzll(word);
            break;
        }
        first = (first / WORD_BITS + 1) * WORD_BITS;
    }
    return MIN(first, end);
}

uint64_t hbitmap_count(const HBitmap *map)
{
    const uint64_t *leaves = map->level[map->levels - 1];
    uint64_t count = 0;

    for (uint64_t bit = hbitmap_next_set(map, 0, map->bits); bit < map->bits;
         bit = hbitmap_next_set(map, bit, map->bits)) {
        count += __builtin_popcountll(word_load(&leaves[bit / WORD_BITS]));
        bit = (bit / WORD_BITS + 1) * WORD_BITS;
    }
    return count;
}

void hbitmap_merge(HBitmap *target, const HBitmap *source)
{
    const uint64_t *leaves = source->level[source->levels - 1];

    g_assert(target->bits == source->bits);
    for (uint64_t bit = hbitmap_next_set(source, 0, source->bits);
         bit < source->bits;
         bit = hbitmap_next_set(source, bit, source->bits)) {
        uint64_t word = word_load(&leaves[bit / WORD_BITS]);

        if (word) {
            set_word(target, target->levels - 1, bit / WORD_BITS, word);
        }
        bit = (bit / WORD_BITS + 1) * WORD_BITS;
    }
}

bool hbitmap_resize(HBitmap *map, uint64_t bits)
{
    HBitmap old = *map;
    HBitmap next = *map;
    uint64_t keep = MIN(bits, old.bits);

    if (!hbitmap_alloc(&next, bits)) {
        return false;
    }
    for (unsigned i = 0; i < next.levels; i++) {
        map->level[i] = next.level[i];
        map->words[i] = next.words[i];
    }
    map->levels = next.levels;
    map->bits = bits;
    for (uint64_t bit = hbitmap_next_set(&old, 0, keep); bit < keep;) {
        uint64_t stop = hbitmap_next_clear(&old, bit, keep);

        hbitmap_set(map, bit, stop - bit);
        bit = hbitmap_next_set(&old, stop, keep);
    }
    for (unsigned i = 0; i < old.levels; i++) {
        free(old.level[i]);
    }
    return true;
}

void hbitmap_load_bytes(HBitmap *map, const uint8_t *bytes, uint64_t first,
                        uint64_t count)
{
    if (!clip(map, first, &count)) {
        return;
    }
    for (uint64_t i = 0; i < count;) {
        /* Whole words where possible; a lone byte at the edges. */
        if ((first + i) % WORD_BITS == 0 && count - i >= WORD_BITS) {
            uint64_t word = ldq_le_p(bytes + i / 8);

            if (word) {
                set_word(map, map->levels - 1, (first + i) / WORD_BITS, word);
            }
            i += WORD_BITS;
        } else {
            unsigned n = MIN(8, count - i);
            uint64_t byte = bytes[i / 8] & word_mask(0, n - 1);

            if (byte) {
                set_word(map, map->levels - 1, (first + i) / WORD_BITS,
                         byte << ((first + i) % WORD_BITS));
            }
            i += n;
        }
    }
}

void hbitmap_store_bytes(const HBitmap *map, uint8_t *bytes, uint64_t first,
                         uint64_t count)
{
    const uint64_t *leaves = map->level[map->levels - 1];
    uint64_t asked = count;

    if (!clip(map, first, &count)) {
        count = 0;
    }
    memset(bytes, 0, asked / 8 + (asked % 8 != 0));
    for (uint64_t i = 0; i < count; i += 8) {
        uint64_t bit = first + i;
        uint8_t byte = word_load(&leaves[bit / WORD_BITS]) >>
                       (bit % WORD_BITS);
        unsigned n = MIN(8, count - i);

        bytes[i / 8] = byte & word_mask(0, n - 1);
    }
}
