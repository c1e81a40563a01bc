/*
 * The mapping of a qcow2 image: L1 table, cache of L2 slices, lookup, commit.
 *
 * A slice is up to 4 KiB of an L2 table, kept in host byte order.  Slots form
 * sets of QCOW2_L2_WAYS; a slice number picks its set.
 *
 *   reader, no lock                     writer, lock held
 *   ---------------                     -----------------
 *   seq even and tag matches?           seq++          (odd: being changed)
 *   read entries                        change tag or entries
 *   seq still the same?  done           seq++
 *   else: lock, look again
 *
 * A slot's memory is never freed while the image is open, so a reader that
 * loses the race reads stale entries but never unmapped memory.  Slices that
 * were changed stay in their slot until qcow2_commit() writes them; when a set
 * is full of them, everything is committed.
 */
#include "block/qcow2-int.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util/bytes.h"

#define SLICE_BYTES 4096u
#define MIN_SETS 4u

/* ---- Cache of slices ------------------------------------------------------ */

static unsigned slice_shift(const Qcow2 *s)
{
    return s->cluster_bits + s->slice_bits;
}

static unsigned slice_words(const Qcow2 *s)
{
    return s->entry_words << s->slice_bits;
}

bool qcow2_l2_init(Qcow2 *s, uint64_t cache_bytes, GError **error)
{
    uint64_t slice_bytes = MIN(SLICE_BYTES, s->cluster_size);
    uint64_t slices = (s->header.size >> slice_shift(s)) + 1;
    uint64_t slots = MAX(cache_bytes / slice_bytes, QCOW2_L2_WAYS);
    uint32_t sets = MIN_SETS;

    slots = MIN(slots, slices * 2);
    while ((uint64_t)sets * QCOW2_L2_WAYS < slots && sets < 1u << 20) {
        sets <<= 1;
    }
    s->slots = g_try_new0(Qcow2Slot, (gsize)sets * QCOW2_L2_WAYS);
    if (!s->slots) {
        g_set_error(error, BLOCK_ERROR, ENOMEM,
                    "Could not allocate the L2 cache");
        return false;
    }
    s->slot_sets = sets;
    s->dirty_slots = g_ptr_array_new();
    return true;
}

void qcow2_l2_free(Qcow2 *s)
{
    for (size_t i = 0; s->slots && i < s->slot_sets * QCOW2_L2_WAYS; i++) {
        g_free(s->slots[i].words);
    }
    g_clear_pointer(&s->slots, g_free);
    g_clear_pointer(&s->dirty_slots, g_ptr_array_unref);
    g_clear_pointer(&s->l1, g_free);
}

static Qcow2Slot *slot_set(const Qcow2 *s, uint64_t slice)
{
    return &s->slots[(slice & (s->slot_sets - 1)) * QCOW2_L2_WAYS];
}

static void slot_change_begin(Qcow2Slot *slot)
{
    __atomic_store_n(&slot->seq, slot->seq + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void slot_change_end(Qcow2Slot *slot)
{
    __atomic_store_n(&slot->seq, slot->seq + 1, __ATOMIC_RELEASE);
}

static void slot_set_tag(Qcow2Slot *slot, uint64_t tag)
{
    slot_change_begin(slot);
    __atomic_store_n(&slot->tag, tag, __ATOMIC_RELAXED);
    slot_change_end(slot);
}

void qcow2_l2_drop(Qcow2 *s)
{
    for (size_t i = 0; i < s->slot_sets * QCOW2_L2_WAYS; i++) {
        slot_set_tag(&s->slots[i], 0);
        s->slots[i].dirty = false;
    }
    g_ptr_array_set_size(s->dirty_slots, 0);
}

static int write_slot(Qcow2 *s, Qcow2Slot *slot)
{
    uint64_t disk[SLICE_BYTES / 8];
    unsigned n = slice_words(s);
    int ret;

    for (unsigned i = 0; i < n; i++) {
        stq_be_p(&disk[i], slot->words[i]);
    }
    ret = qcow2_check_overlap(s, slot->host, n * 8,
                              QCOW2_META_ACTIVE_L2);
    if (ret == 0) {
        block_debug_event(qcow2_file(s), "l2_update");
        ret = block_pwrite(qcow2_file(s), slot->host, n * 8, disk, 0);
    }
    return ret;
}

static int flush_meta(Qcow2 *s)
{
    int ret;

    if (!s->meta_unsynced) {
        return 0;
    }
    ret = block_flush(qcow2_file(s));
    if (ret == 0) {
        s->meta_unsynced = false;
    }
    return ret;
}

static int write_l1_range(Qcow2 *s, uint32_t first, uint32_t end)
{
    g_autofree uint64_t *disk = NULL;

    first &= ~63u; /* whole sectors */
    end = MIN((end + 63) & ~63u, s->l1_size);
    disk = g_new(uint64_t, MAX(end - first, 1));
    for (uint32_t i = first; i < end; i++) {
        stq_be_p(&disk[i - first], s->l1[i]);
    }
    block_debug_event(qcow2_file(s), "l1_update");
    return block_pwrite(qcow2_file(s), s->header.l1_offset + first * 8ull,
                        (end - first) * 8ull, disk, 0);
}

int qcow2_write_l1(Qcow2 *s)
{
    int ret = write_l1_range(s, 0, s->l1_size);

    if (ret == 0) {
        s->l1_dirty_first = s->l1_dirty_end = 0;
    }
    return ret;
}

static gint compare_slots(gconstpointer a, gconstpointer b)
{
    const Qcow2Slot *x = *(Qcow2Slot *const *)a;
    const Qcow2Slot *y = *(Qcow2Slot *const *)b;

    return x->host < y->host ? -1 : x->host > y->host;
}

static int write_dirty_slots(Qcow2 *s)
{
    guint done = 0;
    int ret = 0;

    g_ptr_array_sort(s->dirty_slots, compare_slots);
    for (; done < s->dirty_slots->len; done++) {
        Qcow2Slot *slot = g_ptr_array_index(s->dirty_slots, done);

        ret = write_slot(s, slot);
        if (ret < 0) {
            break;
        }
        slot->dirty = false;
    }
    if (done) {
        s->meta_unsynced = true;
        g_ptr_array_remove_range(s->dirty_slots, 0, done);
    }
    return ret;
}

int qcow2_commit(Qcow2 *s)
{
    bool wrote = false;
    int ret;

    if (!s->lazy) {
        ret = qcow2_write_refblocks(s, &wrote);
        if (ret < 0) {
            return ret;
        }
    }
    if (s->dirty_slots->len) {
        ret = flush_meta(s);
        if (ret == 0) {
            ret = write_dirty_slots(s);
        }
        if (ret < 0) {
            return ret;
        }
    }
    if (s->l1_dirty_first < s->l1_dirty_end) {
        ret = flush_meta(s);
        if (ret == 0) {
            ret = write_l1_range(s, s->l1_dirty_first, s->l1_dirty_end);
        }
        if (ret < 0) {
            return ret;
        }
        s->l1_dirty_first = s->l1_dirty_end = 0;
        s->meta_unsynced = true;
    }
    s->commit_seq++;
    return 0;
}

void qcow2_l1_set(Qcow2 *s, uint32_t index, uint64_t entry)
{
    __atomic_store_n(&s->l1[index], entry, __ATOMIC_RELEASE);
    if (s->l1_dirty_first == s->l1_dirty_end) {
        s->l1_dirty_first = index;
        s->l1_dirty_end = index + 1;
    } else {
        s->l1_dirty_first = MIN(s->l1_dirty_first, index);
        s->l1_dirty_end = MAX(s->l1_dirty_end, index + 1);
    }
}

static Qcow2Slot *find_slot(Qcow2 *s, uint64_t slice)
{
    Qcow2Slot *set = slot_set(s, slice);

    for (unsigned i = 0; i < QCOW2_L2_WAYS; i++) {
        if (set[i].tag == slice + 1) {
            return &set[i];
        }
    }
    return NULL;
}

/* A slot whose content may go: empty, else not used lately, never dirty. */
static Qcow2Slot *pick_victim(Qcow2Slot *set)
{
    for (int pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < QCOW2_L2_WAYS; i++) {
            Qcow2Slot *slot = &set[i];

            if (slot->dirty) {
                continue;
            }
            if (slot->tag == 0 ||
                !__atomic_load_n(&slot->used, __ATOMIC_RELAXED)) {
                return slot;
            }
            __atomic_store_n(&slot->used, 0, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

static int load_slice(Qcow2 *s, uint64_t slice, uint64_t host,
                      Qcow2Slot **result)
{
    Qcow2Slot *set = slot_set(s, slice);
    uint64_t disk[SLICE_BYTES / 8];
    unsigned n = slice_words(s);
    Qcow2Slot *slot;
    int ret;

    block_debug_event(qcow2_file(s), "l2_load");
    ret = block_pread(qcow2_file(s), host, n * 8, disk, 0);
    if (ret < 0) {
        return ret;
    }
    slot = pick_victim(set);
    if (!slot) {
        ret = qcow2_commit(s);
        if (ret < 0) {
            return ret;
        }
        slot = pick_victim(set);
    }
    slot_change_begin(slot);
    __atomic_store_n(&slot->tag, 0, __ATOMIC_RELAXED);
    if (!slot->words) {
        __atomic_store_n(&slot->words, g_new0(uint64_t, n), __ATOMIC_RELEASE);
    }
    for (unsigned i = 0; i < n; i++) {
        __atomic_store_n(&slot->words[i], ldq_be_p(&disk[i]),
                         __ATOMIC_RELAXED);
    }
    slot->host = host;
    __atomic_store_n(&slot->used, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->tag, slice + 1, __ATOMIC_RELEASE);
    slot_change_end(slot);
    *result = slot;
    return 0;
}

/* ---- L2 tables ------------------------------------------------------------ */

static int check_l1_entry(Qcow2 *s, uint64_t entry, uint64_t index)
{
    uint64_t table = entry & QCOW2_OFFSET_MASK;

    if (table & (s->cluster_size - 1)) {
        return qcow2_corrupt(s, true, UINT64_MAX, 0,
                             "L2 table offset %#" PRIx64
                             " unaligned (L1 index: %#" PRIx64 ")",
                             table, index);
    }
    return 0;
}

int qcow2_l2_get(Qcow2 *s, uint64_t offset, Qcow2Slot **slot, unsigned *index)
{
    uint64_t l1_index = offset >> (s->cluster_bits + s->l2_bits);
    uint64_t slice = offset >> slice_shift(s);
    uint64_t in_table = slice & ((1u << (s->l2_bits - s->slice_bits)) - 1);
    uint64_t entry;
    int ret;

    *index = (offset >> s->cluster_bits) & ((1u << s->slice_bits) - 1);
    if (l1_index >= s->l1_size) {
        return -ENOENT;
    }
    entry = s->l1[l1_index];
    if (!(entry & QCOW2_OFFSET_MASK)) {
        return -ENOENT;
    }
    *slot = find_slot(s, slice);
    if (*slot) {
        return 0;
    }
    ret = check_l1_entry(s, entry, l1_index);
    if (ret < 0) {
        return ret;
    }
    return load_slice(s, slice,
                      (entry & QCOW2_OFFSET_MASK) +
                          in_table * slice_words(s) * 8,
                      slot);
}

/* The slices of a moved table that are cached now lie elsewhere. */
static void move_cached_slices(Qcow2 *s, uint64_t l1_index, uint64_t table)
{
    uint64_t per_table = UINT64_C(1) << (s->l2_bits - s->slice_bits);
    uint64_t first = l1_index * per_table;

    for (uint64_t i = 0; i < per_table; i++) {
        Qcow2Slot *slot = find_slot(s, first + i);

        if (slot) {
            slot->host = table + i * slice_words(s) * 8;
        }
    }
}

/* Gives L1 entry `index` an L2 table that nothing else refers to. */
static int make_private_table(Qcow2 *s, uint64_t index)
{
    uint64_t old = s->l1[index] & QCOW2_OFFSET_MASK;
    BlockNode *file = qcow2_file(s);
    uint64_t table, got;
    int ret;

    ret = check_l1_entry(s, s->l1[index], index);
    if (ret == 0) {
        ret = qcow2_alloc_clusters(s, 1, QCOW2_META_ACTIVE_L2, &table, &got);
    }
    if (ret < 0) {
        return ret;
    }
    if (old) {
        g_autofree void *copy = g_try_malloc(s->cluster_size);

        block_debug_event(file, "l2_alloc_cow_read");
        ret = copy ? block_pread(file, old, s->cluster_size, copy, 0)
                   : -ENOMEM;
        if (ret == 0) {
            block_debug_event(file, "l2_alloc_write");
            ret = block_pwrite(file, table, s->cluster_size, copy, 0);
        }
    } else {
        block_debug_event(file, "l2_alloc_write");
        ret = block_pwrite_zeroes(file, table, s->cluster_size, 0);
    }
    if (ret == 0 && s->lazy) {
        /* Tables are few: keep at least their counts right at all times. */
        bool wrote;

        ret = qcow2_write_refblocks(s, &wrote);
    }
    if (ret < 0) {
        qcow2_meta_remove(s, table, s->cluster_size);
        qcow2_free_later(s, table, s->cluster_size, false);
        return ret;
    }
    s->meta_unsynced = true;
    move_cached_slices(s, index, table);
    if (old) {
        qcow2_meta_remove(s, old, s->cluster_size);
        qcow2_free_later(s, old, s->cluster_size, false);
    }
    qcow2_l1_set(s, index, table | QCOW2_ENTRY_COPIED);
    return 0;
}

int qcow2_l2_get_writable(Qcow2 *s, uint64_t offset, Qcow2Slot **slot,
                          unsigned *index)
{
    uint64_t l1_index = offset >> (s->cluster_bits + s->l2_bits);
    int ret;

    if (l1_index >= s->l1_size) {
        return -EFBIG;
    }
    if (!(s->l1[l1_index] & QCOW2_ENTRY_COPIED) ||
        !(s->l1[l1_index] & QCOW2_OFFSET_MASK)) {
        ret = make_private_table(s, l1_index);
        if (ret < 0) {
            return ret;
        }
    }
    return qcow2_l2_get(s, offset, slot, index);
}

void qcow2_l2_set(Qcow2 *s, Qcow2Slot *slot, unsigned index, uint64_t word,
                  uint64_t word2)
{
    uint64_t *words = slot->words + index * s->entry_words;

    slot_change_begin(slot);
    __atomic_store_n(&words[0], word, __ATOMIC_RELAXED);
    if (s->extl2) {
        __atomic_store_n(&words[1], word2, __ATOMIC_RELAXED);
    }
    slot_change_end(slot);
    if (!slot->dirty) {
        slot->dirty = true;
        g_ptr_array_add(s->dirty_slots, slot);
    }
}

/* ---- Lookup --------------------------------------------------------------- */

/* The sub-clusters of an extended entry. */
static Qcow2Type subcluster_type(uint64_t word, uint64_t bits, unsigned sc)
{
    bool alloc = bits >> sc & 1;
    bool zero = bits >> (sc + 32) & 1;
    bool host = word & QCOW2_OFFSET_MASK;

    if (alloc && zero) {
        return QCOW2_INVALID;
    }
    if (zero) {
        return host ? QCOW2_ZERO_HOST : QCOW2_ZERO;
    }
    if (alloc) {
        return QCOW2_NORMAL;
    }
    return host ? QCOW2_UNALLOC_HOST : QCOW2_UNALLOC;
}

Qcow2Type qcow2_entry_type(const Qcow2 *s, uint64_t word, uint64_t word2,
                           unsigned sc)
{
    uint64_t host = word & QCOW2_OFFSET_MASK;

    if (word & QCOW2_ENTRY_COMPRESSED) {
        return s->data_edge ? QCOW2_INVALID : QCOW2_COMPRESSED;
    }
    if (host & (s->cluster_size - 1)) {
        return QCOW2_INVALID;
    }
    if (s->extl2) {
        Qcow2Type type = subcluster_type(word, word2, sc);

        /* Offset 0 means "none", except in a data file when it is copied. */
        if (type == QCOW2_NORMAL && !host &&
            !(s->data_edge && (word & QCOW2_ENTRY_COPIED))) {
            return QCOW2_INVALID;
        }
        return type;
    }
    if (word & QCOW2_ENTRY_ZERO) {
        return s->header.version < 3 ? QCOW2_INVALID
               : host                ? QCOW2_ZERO_HOST
                                     : QCOW2_ZERO;
    }
    if (host || (s->data_edge && (word & QCOW2_ENTRY_COPIED))) {
        return QCOW2_NORMAL;
    }
    return QCOW2_UNALLOC;
}

static bool type_has_host(Qcow2Type type)
{
    return type == QCOW2_NORMAL || type == QCOW2_ZERO_HOST ||
           type == QCOW2_UNALLOC_HOST;
}

static uint64_t load_word(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* One piece: the rest of the sub-cluster that holds offset. */
static void describe(const Qcow2 *s, const uint64_t *words, unsigned index,
                     uint64_t offset, Qcow2Extent *e)
{
    uint64_t in_cluster = offset & (s->cluster_size - 1);
    uint64_t sc_size = UINT64_C(1) << s->sc_bits;
    uint64_t word = load_word(&words[index * s->entry_words]);
    uint64_t word2 = s->extl2 ? load_word(&words[index * 2 + 1]) : 0;

    e->type = qcow2_entry_type(s, word, word2, in_cluster >> s->sc_bits);
    e->copied = word & QCOW2_ENTRY_COPIED;
    e->entry = word;
    e->host = type_has_host(e->type) ? (word & QCOW2_OFFSET_MASK) + in_cluster
                                     : 0;
    e->bytes = e->type == QCOW2_COMPRESSED
                   ? s->cluster_size - in_cluster
                   : sc_size - (in_cluster & (sc_size - 1));
}

/* Joins pieces from `index` on into one extent, within the slice. */
static void scan(const Qcow2 *s, const uint64_t *words, unsigned index,
                 uint64_t offset, uint64_t bytes, Qcow2Extent *e)
{
    unsigned end = 1u << s->slice_bits;
    uint64_t at = offset;

    describe(s, words, index, at, e);
    while (e->bytes < bytes && e->type != QCOW2_COMPRESSED &&
           e->type != QCOW2_INVALID) {
        Qcow2Extent next;

        at = offset + e->bytes;
        if (!(at & (s->cluster_size - 1)) && ++index == end) {
            break;
        }
        describe(s, words, index, at, &next);
        if (next.type != e->type || next.copied != e->copied ||
            (type_has_host(e->type) && next.host != e->host + e->bytes)) {
            break;
        }
        e->bytes += next.bytes;
    }
    e->bytes = MIN(e->bytes, bytes);
}

/* How far L1 entries without an L2 table go on. */
static void describe_hole(const Qcow2 *s, uint64_t offset, uint64_t bytes,
                          Qcow2Extent *e)
{
    unsigned shift = s->cluster_bits + s->l2_bits;
    uint64_t index = offset >> shift;
    uint64_t end = offset + bytes;

    do {
        index++;
    } while (index < s->l1_size && index << shift < end &&
             !(load_word(&s->l1[index]) & QCOW2_OFFSET_MASK));
    memset(e, 0, sizeof(*e));
    e->type = QCOW2_UNALLOC;
    e->bytes = index < s->l1_size ? MIN(bytes, (index << shift) - offset)
                                  : bytes;
}

static bool in_l1_hole(const Qcow2 *s, uint64_t offset)
{
    uint64_t index = offset >> (s->cluster_bits + s->l2_bits);

    return index >= s->l1_size ||
           !(__atomic_load_n(&s->l1[index], __ATOMIC_ACQUIRE) &
             QCOW2_OFFSET_MASK);
}

/* Looks in the cache alone; false: take the lock and look again. */
static bool peek(const Qcow2 *s, uint64_t offset, uint64_t bytes,
                 Qcow2Extent *e)
{
    uint64_t slice = offset >> slice_shift(s);
    Qcow2Slot *set = slot_set(s, slice);
    unsigned index =
        (offset >> s->cluster_bits) & ((1u << s->slice_bits) - 1);

    for (unsigned i = 0; i < QCOW2_L2_WAYS; i++) {
        Qcow2Slot *slot = &set[i];
        uint32_t seq = __atomic_load_n(&slot->seq, __ATOMIC_ACQUIRE);

        if ((seq & 1) ||
            __atomic_load_n(&slot->tag, __ATOMIC_ACQUIRE) != slice + 1) {
            continue;
        }
        scan(s, __atomic_load_n(&slot->words, __ATOMIC_RELAXED), index,
             offset, bytes, e);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&slot->seq, __ATOMIC_RELAXED) != seq) {
            return false;
        }
        if (!__atomic_load_n(&slot->used, __ATOMIC_RELAXED)) {
            __atomic_store_n(&slot->used, 1, __ATOMIC_RELAXED);
        }
        return true;
    }
    return false;
}

static int refuse_entry(Qcow2 *s, uint64_t offset, const Qcow2Extent *e)
{
    uint64_t table = s->l1[offset >> (s->cluster_bits + s->l2_bits)] &
                     QCOW2_OFFSET_MASK;
    unsigned index = (offset >> s->cluster_bits) & ((1u << s->l2_bits) - 1);
    uint64_t host = e->entry & QCOW2_OFFSET_MASK;

    if (e->entry & QCOW2_ENTRY_COMPRESSED) {
        return qcow2_corrupt(s, true, UINT64_MAX, 0,
                             "Compressed cluster entry found in image with "
                             "external data file (L2 offset: %#" PRIx64
                             ", L2 index: %#x)", table, index);
    }
    if (host & (s->cluster_size - 1)) {
        return qcow2_corrupt(s, true, UINT64_MAX, 0,
                             "%s cluster allocation offset %#" PRIx64
                             " unaligned (L2 offset: %#" PRIx64
                             ", L2 index: %#x)",
                             (e->entry & QCOW2_ENTRY_ZERO) && !s->extl2
                                 ? "Preallocated zero" : "Cluster",
                             host, table, index);
    }
    if (s->header.version < 3 && (e->entry & QCOW2_ENTRY_ZERO)) {
        return qcow2_corrupt(s, true, UINT64_MAX, 0,
                             "Zero cluster entry found in pre-v3 image (L2 "
                             "offset: %#" PRIx64 ", L2 index: %#x)",
                             table, index);
    }
    return qcow2_corrupt(s, true, UINT64_MAX, 0,
                         "Invalid cluster entry found  (L2 offset: %#" PRIx64
                         ", L2 index: %#x)", table, index);
}

int qcow2_lookup_locked(Qcow2 *s, uint64_t offset, uint64_t bytes,
                        Qcow2Extent *e)
{
    Qcow2Slot *slot;
    unsigned index;
    int ret;

    if (in_l1_hole(s, offset)) {
        describe_hole(s, offset, bytes, e);
        return 0;
    }
    ret = qcow2_l2_get(s, offset, &slot, &index);
    if (ret < 0) {
        return ret;
    }
    scan(s, slot->words, index, offset, bytes, e);
    __atomic_store_n(&slot->used, 1, __ATOMIC_RELAXED);
    return e->type == QCOW2_INVALID ? refuse_entry(s, offset, e) : 0;
}

int qcow2_lookup(Qcow2 *s, uint64_t offset, uint64_t bytes, Qcow2Extent *e)
{
    int ret;

    if (in_l1_hole(s, offset)) {
        describe_hole(s, offset, bytes, e);
        return 0;
    }
    if (peek(s, offset, bytes, e) && e->type != QCOW2_INVALID) {
        return 0;
    }
    g_mutex_lock(&s->lock);
    ret = qcow2_lookup_locked(s, offset, bytes, e);
    g_mutex_unlock(&s->lock);
    return ret;
}
