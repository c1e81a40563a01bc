/*
 * Reference counts of host clusters, and the allocator on top of them.
 *
 *   refcount table (in memory) --> refcount blocks (cached, disk byte order)
 *
 * The table is kept whole, blocks in a hash table of bounded size.  A block
 * may be written at any time: counts go up before a reference is written and
 * down only after it is gone from the disk (qcow2-free.c), so an early
 * write can only leak.
 *
 * Allocation is next-fit: free_hint is at or below every free cluster.
 * Areas whose block does not exist yet are free as a whole; `cover` makes the
 * missing blocks, right behind the clusters they are needed for, and a table
 * that is too small is rebuilt in the first area beyond its reach, which then
 * describes itself.
 */
#include "block/qcow2-int.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util/bytes.h"

#define REFBLOCK_CACHE_BYTES (8u << 20)
#define REFBLOCK_CACHE_MIN 4u

/* ---- Entries of a block --------------------------------------------------- */

uint64_t qcow2_refblock_load(const uint8_t *data, unsigned order, uint64_t i)
{
    switch (order) {
    case 0:
    case 1:
    case 2: {
        unsigned bits = 1u << order;
        uint64_t bit = i << order;

        return data[bit >> 3] >> (bit & 7) & ((1u << bits) - 1);
    }
    case 3:
        return data[i];
    case 4:
        return ldw_be_p(data + i * 2);
    case 5:
        return ldl_be_p(data + i * 4);
    default:
        return ldq_be_p(data + i * 8);
    }
}

void qcow2_refblock_store(uint8_t *data, unsigned order, uint64_t i,
                          uint64_t value)
{
    switch (order) {
    case 0:
    case 1:
    case 2: {
        unsigned mask = (1u << (1u << order)) - 1;
        uint64_t bit = i << order;
        uint8_t *byte = data + (bit >> 3);

        *byte = (*byte & ~(mask << (bit & 7))) | value << (bit & 7);
        break;
    }
    case 3:
        data[i] = value;
        break;
    case 4:
        stw_be_p(data + i * 2, value);
        break;
    case 5:
        stl_be_p(data + i * 4, value);
        break;
    default:
        stq_be_p(data + i * 8, value);
        break;
    }
}

/* ---- Cache of blocks ------------------------------------------------------ */

static void refblock_destroy(gpointer p)
{
    Qcow2RefBlock *block = p;

    g_free(block->data);
    g_free(block);
}

bool qcow2_refcount_init(Qcow2 *s, GError **error)
{
    uint64_t entries = (uint64_t)s->header.reftable_clusters
                       << (s->cluster_bits - 3);
    int64_t file_length = block_length(qcow2_file(s));
    int ret;

    s->refblocks = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL,
                                         refblock_destroy);
    s->refblocks_max =
        MAX(REFBLOCK_CACHE_BYTES >> s->cluster_bits, REFBLOCK_CACHE_MIN);
    s->frees = g_array_new(false, false, sizeof(Qcow2Free));
    s->reftable = g_try_new0(uint64_t, MAX(entries, 1));
    s->reftable_size = entries;
    if (!s->reftable || file_length < 0) {
        g_set_error(error, BLOCK_ERROR, s->reftable ? -file_length : ENOMEM,
                    "Could not initialize refcount handling");
        return false;
    }
    block_debug_event(qcow2_file(s), "reftable_load");
    ret = entries ? block_pread(qcow2_file(s), s->header.reftable_offset,
                                entries * 8, s->reftable, 0)
                  : 0;
    if (ret < 0) {
        block_error_set_errno(error, -ret,
                              "Could not initialize refcount handling");
        return false;
    }
    for (uint64_t i = 0; i < entries; i++) {
        s->reftable[i] = ldq_be_p(&s->reftable[i]);
    }
    s->file_end = qcow2_clusters(s, file_length);
    return true;
}

void qcow2_refcount_free(Qcow2 *s)
{
    g_clear_pointer(&s->refblocks, g_hash_table_unref);
    g_clear_pointer(&s->frees, g_array_unref);
    g_clear_pointer(&s->reftable, g_free);
    g_clear_pointer(&s->meta, g_hash_table_unref);
    g_clear_pointer(&s->meta_filter, g_free);
}

static int write_refblock(Qcow2 *s, Qcow2RefBlock *block)
{
    int ret = qcow2_check_overlap(s, block->host, s->cluster_size,
                                  QCOW2_META_REFBLOCK);

    if (ret == 0) {
        block_debug_event(qcow2_file(s), "refblock_update_part");
        ret = block_pwrite(qcow2_file(s), block->host, s->cluster_size,
                           block->data, 0);
    }
    if (ret == 0) {
        block->dirty = false;
        s->meta_unsynced = true;
    }
    return ret;
}

int qcow2_write_refblocks(Qcow2 *s, bool *wrote)
{
    GHashTableIter iter;
    Qcow2RefBlock *block;

    g_hash_table_iter_init(&iter, s->refblocks);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&block)) {
        if (block->dirty) {
            int ret = write_refblock(s, block);

            if (ret < 0) {
                return ret;
            }
            *wrote = true;
        }
    }
    return 0;
}

bool qcow2_refblocks_dirty(Qcow2 *s)
{
    GHashTableIter iter;
    Qcow2RefBlock *block;

    g_hash_table_iter_init(&iter, s->refblocks);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&block)) {
        if (block->dirty) {
            return true;
        }
    }
    return false;
}

/* Makes room for one more block: those not used lately go. */
static int trim_refblocks(Qcow2 *s)
{
    GHashTableIter iter;
    Qcow2RefBlock *block;

    while (g_hash_table_size(s->refblocks) >= s->refblocks_max) {
        g_hash_table_iter_init(&iter, s->refblocks);
        while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&block)) {
            if (block->used) {
                block->used = false;
                continue;
            }
            if (block->dirty) {
                int ret = write_refblock(s, block);

                if (ret < 0) {
                    return ret;
                }
            }
            g_hash_table_iter_remove(&iter);
        }
    }
    return 0;
}

static Qcow2RefBlock *add_refblock(Qcow2 *s, uint64_t index, uint64_t host)
{
    Qcow2RefBlock *block = g_new0(Qcow2RefBlock, 1);

    block->index = index;
    block->host = host;
    block->used = true;
    block->data = g_malloc0(s->cluster_size);
    g_hash_table_insert(s->refblocks, &block->index, block);
    return block;
}

/* The block of a table index; -ENOENT when there is none. */
static int get_refblock(Qcow2 *s, uint64_t index, Qcow2RefBlock **result)
{
    Qcow2RefBlock *block = g_hash_table_lookup(s->refblocks, &index);
    uint64_t host;
    int ret;

    if (block) {
        block->used = true;
        *result = block;
        return 0;
    }
    if (index >= s->reftable_size || !(s->reftable[index] & ~511ull)) {
        return -ENOENT;
    }
    host = s->reftable[index] & ~511ull;
    if (host & (s->cluster_size - 1)) {
        return qcow2_corrupt(s, true, UINT64_MAX, 0,
                             "Refblock offset %#" PRIx64
                             " unaligned (reftable index: %#" PRIx64 ")",
                             host, index);
    }
    ret = trim_refblocks(s);
    if (ret < 0) {
        return ret;
    }
    block = add_refblock(s, index, host);
    block_debug_event(qcow2_file(s), "refblock_load");
    ret = host < QCOW2_MAX_HOST_OFFSET
              ? block_pread(qcow2_file(s), host, s->cluster_size, block->data,
                            0)
              : -EIO;
    if (ret < 0) {
        g_hash_table_remove(s->refblocks, &index);
        return ret;
    }
    *result = block;
    return 0;
}

int qcow2_refcount_get(Qcow2 *s, uint64_t cluster, uint64_t *count)
{
    Qcow2RefBlock *block = NULL;
    int ret = get_refblock(s, cluster >> s->refblock_bits, &block);

    *count = 0;
    if (ret == -ENOENT) {
        return 0;
    }
    if (ret == 0) {
        *count = qcow2_refblock_load(
            block->data, s->refcount_order,
            cluster & ((UINT64_C(1) << s->refblock_bits) - 1));
    }
    return ret;
}

int qcow2_refcount_set(Qcow2 *s, uint64_t cluster, uint64_t count)
{
    Qcow2RefBlock *block = NULL;
    int ret = get_refblock(s, cluster >> s->refblock_bits, &block);

    if (ret < 0) {
        return ret == -ENOENT ? -EINVAL : ret;
    }
    if (count > s->refcount_max) {
        return -EINVAL;
    }
    qcow2_refblock_store(block->data, s->refcount_order,
                         cluster & ((UINT64_C(1) << s->refblock_bits) - 1),
                         count);
    block->dirty = true;
    if (count == 0) {
        s->free_hint = MIN(s->free_hint, cluster);
        if (s->free_byte >> s->cluster_bits == cluster) {
            s->free_byte = 0;
        }
    }
    return 0;
}

int qcow2_refcount_add(Qcow2 *s, uint64_t cluster, uint64_t n, int delta)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t count;
        int ret = qcow2_refcount_get(s, cluster + i, &count);

        if (ret == 0 &&
            (delta < 0 ? count == 0 : count == s->refcount_max)) {
            ret = -EINVAL;
        }
        if (ret == 0) {
            ret = qcow2_refcount_set(s, cluster + i, count + delta);
        }
        if (ret < 0) {
            /* Undo what was done, so that a failure changes nothing. */
            while (i-- > 0) {
                (void)qcow2_refcount_get(s, cluster + i, &count);
                (void)qcow2_refcount_set(s, cluster + i, count - delta);
            }
            return ret;
        }
    }
    return 0;
}

/* ---- New blocks and a larger table ---------------------------------------- */

static int write_table_entry(Qcow2 *s, uint64_t index)
{
    uint64_t first = index & ~63ull;
    uint64_t disk[64];

    for (unsigned i = 0; i < 64; i++) {
        stq_be_p(&disk[i], first + i < s->reftable_size
                               ? s->reftable[first + i] : 0);
    }
    block_debug_event(qcow2_file(s), "refblock_alloc_hookup");
    return block_pwrite(qcow2_file(s), s->header.reftable_offset + first * 8,
                        MIN(sizeof(disk), (s->reftable_size - first) * 8),
                        disk, 0);
}

/* Writes new blocks, then (after a flush) the table entries that point to them. */
static int publish_blocks(Qcow2 *s, uint64_t first, uint64_t last,
                          const uint64_t *is_new)
{
    BlockNode *file = qcow2_file(s);
    int ret = 0;

    for (uint64_t i = first; i <= last && ret == 0; i++) {
        Qcow2RefBlock *block = g_hash_table_lookup(s->refblocks, &i);

        if (is_new[i - first] && block && block->dirty) {
            block_debug_event(file, "refblock_alloc_write");
            ret = write_refblock(s, block);
        }
    }
    if (ret == 0) {
        ret = block_flush(file);
    }
    for (uint64_t i = first; i <= last && ret == 0; i++) {
        if (is_new[i - first]) {
            ret = write_table_entry(s, i);
        }
    }
    s->meta_unsynced = true;
    return ret;
}

/*
 * Rebuilds the table with at least min_entries, in the first area that the
 * old one does not reach, together with the blocks of that area.
 */
static int grow_reftable(Qcow2 *s, uint64_t min_entries)
{
    uint64_t per_cluster = s->cluster_size / 8;
    uint64_t old_size = s->reftable_size;
    uint64_t start = old_size << s->refblock_bits;
    uint64_t size = MAX(min_entries, old_size + old_size / 2 + 1);
    uint64_t old_offset = s->header.reftable_offset;
    uint32_t old_clusters = s->header.reftable_clusters;
    uint64_t table_clusters, blocks = 1;
    g_autofree uint64_t *table = NULL;
    g_autofree uint64_t *disk = NULL;
    int ret = 0;

    for (;;) {
        uint64_t need;

        size = MAX(size, old_size + blocks);
        size = (size + per_cluster - 1) / per_cluster * per_cluster;
        table_clusters = size / per_cluster;
        need = ((table_clusters + blocks - 1) >> s->refblock_bits) + 1;
        if (need <= blocks) {
            break;
        }
        blocks = need;
    }
    if (size * 8 > QCOW2_MAX_REFTABLE_BYTES ||
        (start + table_clusters + blocks) >= QCOW2_MAX_HOST_OFFSET >>
            s->cluster_bits) {
        return -EFBIG;
    }
    table = g_new0(uint64_t, size);
    disk = g_new0(uint64_t, size);
    memcpy(table, s->reftable, old_size * 8);
    for (uint64_t i = 0; i < blocks; i++) {
        table[old_size + i] = (start + table_clusters + i) << s->cluster_bits;
    }
    for (uint64_t i = 0; i < size; i++) {
        stq_be_p(&disk[i], table[i]);
    }
    ret = trim_refblocks(s);
    for (uint64_t i = 0; i < blocks && ret == 0; i++) {
        Qcow2RefBlock *block =
            add_refblock(s, old_size + i, table[old_size + i]);
        uint64_t base = i << s->refblock_bits;
        uint64_t n = MIN(table_clusters + blocks - base,
                         UINT64_C(1) << s->refblock_bits);

        for (uint64_t k = 0; k < n; k++) {
            qcow2_refblock_store(block->data, s->refcount_order, k, 1);
        }
        qcow2_meta_add(s, block->host, s->cluster_size, QCOW2_META_REFBLOCK);
        block_debug_event(qcow2_file(s), "refblock_alloc_write_blocks");
        ret = write_refblock(s, block);
    }
    if (ret == 0) {
        block_debug_event(qcow2_file(s), "refblock_alloc_write_table");
        ret = block_pwrite(qcow2_file(s), start << s->cluster_bits, size * 8,
                           disk, 0);
    }
    if (ret == 0) {
        ret = block_flush(qcow2_file(s));
    }
    if (ret == 0) {
        block_debug_event(qcow2_file(s), "refblock_alloc_switch_table");
        s->header.reftable_offset = start << s->cluster_bits;
        s->header.reftable_clusters = table_clusters;
        ret = qcow2_write_header(s, NULL);
        if (ret < 0) {
            s->header.reftable_offset = old_offset;
            s->header.reftable_clusters = old_clusters;
        } else {
            ret = block_flush(qcow2_file(s));
        }
    }
    if (ret < 0) {
        for (uint64_t i = old_size; i < old_size + blocks; i++) {
            g_hash_table_remove(s->refblocks, &i);
        }
        return ret;
    }
    g_free(s->reftable);
    s->reftable = g_steal_pointer(&table);
    s->reftable_size = size;
    s->file_end = MAX(s->file_end, start + table_clusters + blocks);
    qcow2_meta_remove(s, old_offset, (uint64_t)old_clusters
                                         << s->cluster_bits);
    qcow2_meta_add(s, s->header.reftable_offset,
                   table_clusters << s->cluster_bits, QCOW2_META_REFTABLE);
    return qcow2_refcount_add(s, old_offset >> s->cluster_bits, old_clusters,
                              -1);
}

/*
 * Makes every missing block for clusters [c, c + n) and for the new blocks
 * themselves, which are put at c + n; for n = 0 the block of c, put at c.
 * *placed is the number of new blocks; all those clusters must be free.
 * -EAGAIN: the table was rebuilt, what is free has changed.
 */
static int cover(Qcow2 *s, uint64_t c, uint64_t n, uint64_t *placed)
{
    uint64_t first = c >> s->refblock_bits;
    uint64_t fresh = 0, last;
    g_autofree uint64_t *is_new = NULL;
    int ret;

    for (;;) {
        uint64_t missing = 0;

        last = (c + MAX(n + fresh, 1) - 1) >> s->refblock_bits;
        if (last >= s->reftable_size) {
            ret = grow_reftable(s, last + 1);
            return ret < 0 ? ret : -EAGAIN;
        }
        for (uint64_t i = first; i <= last; i++) {
            missing += !(s->reftable[i] & ~511ull);
        }
        if (missing <= fresh) {
            break;
        }
        fresh = missing;
    }
    *placed = fresh;
    if (fresh == 0) {
        return 0;
    }
    if (c + n == 0) {
        return qcow2_corrupt(s, true, UINT64_MAX, 0, "Preventing invalid "
                             "allocation of refcount block at offset 0");
    }
    is_new = g_new0(uint64_t, last - first + 1);
    for (uint64_t i = first, k = 0; i <= last; i++) {
        uint64_t host = (c + n + k) << s->cluster_bits;

        if (s->reftable[i] & ~511ull) {
            continue;
        }
        ret = qcow2_check_overlap(s, host, s->cluster_size, QCOW2_META_NONE);
        if (ret == 0) {
            ret = trim_refblocks(s);
        }
        if (ret < 0) {
            return ret;
        }
        s->reftable[i] = host;
        is_new[i - first] = 1;
        add_refblock(s, i, host)->dirty = true;
        qcow2_meta_add(s, host, s->cluster_size, QCOW2_META_REFBLOCK);
        k++;
    }
    for (uint64_t k = 0; k < fresh; k++) {
        ret = qcow2_refcount_set(s, c + n + k, 1);
        if (ret < 0) {
            return ret;
        }
    }
    s->file_end = MAX(s->file_end, c + n + fresh);
    return publish_blocks(s, first, last, is_new);
}

/* ---- Allocation ----------------------------------------------------------- */

/* The first free cluster at or after the hint whose block exists. */
static int find_free(Qcow2 *s, uint64_t *cluster)
{
    uint64_t mask = (UINT64_C(1) << s->refblock_bits) - 1;
    uint64_t c = s->free_hint;

    for (;;) {
        Qcow2RefBlock *block;
        uint64_t placed;
        int ret = get_refblock(s, c >> s->refblock_bits, &block);

        if (ret == -ENOENT) {
            ret = cover(s, c, 0, &placed);
            if (ret == 0 || ret == -EAGAIN) {
                continue;
            }
        }
        if (ret < 0) {
            return ret;
        }
        do {
            if (qcow2_refblock_load(block->data, s->refcount_order,
                                    c & mask) == 0) {
                s->free_hint = c;
                *cluster = c;
                return 0;
            }
            c++;
        } while (c & mask);
        if (c >= QCOW2_MAX_HOST_OFFSET >> s->cluster_bits) {
            return -EFBIG;
        }
    }
}

static int take(Qcow2 *s, uint64_t cluster, uint64_t n, Qcow2MetaKind kind)
{
    uint64_t offset = cluster << s->cluster_bits;
    int ret;

    if (cluster == 0) {
        const char *what = kind == QCOW2_META_ACTIVE_L2
                               ? "L2 table" : qcow2_meta_name(kind);

        return qcow2_corrupt(s, true, UINT64_MAX, 0, "Preventing invalid "
                             "allocation of %s at offset 0", what);
    }
    ret = qcow2_check_overlap(s, offset, n << s->cluster_bits,
                              QCOW2_META_NONE);
    if (ret == 0 && s->lazy) {
        ret = qcow2_update_incompat(s, QCOW2_INCOMPAT_DIRTY, 0);
    }
    if (ret == 0) {
        ret = qcow2_refcount_add(s, cluster, n, 1);
    }
    if (ret < 0) {
        return ret;
    }
    s->file_end = MAX(s->file_end, cluster + n);
    if (cluster == s->free_hint) {
        s->free_hint = cluster + n;
    }
    if (kind != QCOW2_META_NONE && kind != QCOW2_META_COMPRESSED) {
        qcow2_meta_add(s, offset, n << s->cluster_bits, kind);
    }
    return 0;
}

int qcow2_alloc_clusters(Qcow2 *s, uint64_t want, Qcow2MetaKind kind,
                         uint64_t *offset, uint64_t *got)
{
    uint64_t mask = (UINT64_C(1) << s->refblock_bits) - 1;
    Qcow2RefBlock *block;
    uint64_t c, n = 1;
    int ret;

    block_debug_event(qcow2_file(s), "cluster_alloc");
    ret = find_free(s, &c);
    if (ret == 0) {
        ret = get_refblock(s, c >> s->refblock_bits, &block);
    }
    if (ret < 0) {
        return ret;
    }
    while (n < want && ((c + n) & mask) &&
           qcow2_refblock_load(block->data, s->refcount_order,
                               (c + n) & mask) == 0) {
        n++;
    }
    *offset = c << s->cluster_bits;
    *got = n;
    return take(s, c, n, kind);
}

/* How many of the n clusters from c on are free; missing blocks count so. */
static int count_free(Qcow2 *s, uint64_t c, uint64_t n, uint64_t *free_run)
{
    for (*free_run = 0; *free_run < n; ++*free_run) {
        uint64_t count;
        int ret = qcow2_refcount_get(s, c + *free_run, &count);

        if (ret < 0) {
            return ret;
        }
        if (count) {
            break;
        }
    }
    return 0;
}

int qcow2_alloc_exact(Qcow2 *s, uint64_t bytes, Qcow2MetaKind kind,
                      uint64_t *offset)
{
    uint64_t n = MAX(qcow2_clusters(s, bytes), 1);
    /* Room for the blocks that may have to follow. */
    uint64_t extra = (n >> (s->refblock_bits - 1)) + 3;
    uint64_t c, run, placed;
    int ret;

    if (n == 1) {
        return qcow2_alloc_clusters(s, 1, kind, offset, &run);
    }
    /* The hint moves on over what is taken, so that nobody looks there again. */
    ret = find_free(s, &c);
    if (ret < 0) {
        return ret;
    }
    for (;;) {
        if (c + n + extra >= QCOW2_MAX_HOST_OFFSET >> s->cluster_bits) {
            return -EFBIG;
        }
        ret = count_free(s, c, n + extra, &run);
        if (ret == 0 && run < n + extra) {
            c += run + 1;
            continue;
        }
        if (ret == 0) {
            ret = cover(s, c, n, &placed);
        }
        if (ret != -EAGAIN) {
            break;
        }
    }
    if (ret < 0) {
        return ret;
    }
    *offset = c << s->cluster_bits;
    return take(s, c, n, kind);
}

int qcow2_alloc_at(Qcow2 *s, uint64_t offset, uint64_t want, uint64_t *got)
{
    uint64_t mask = (UINT64_C(1) << s->refblock_bits) - 1;
    uint64_t c = offset >> s->cluster_bits;
    Qcow2RefBlock *block;
    int ret;

    *got = 0;
    /* Within one existing block; elsewhere the caller allocates anew. */
    ret = get_refblock(s, c >> s->refblock_bits, &block);
    if (ret < 0) {
        return ret == -ENOENT ? 0 : ret;
    }
    want = MIN(want, mask + 1 - (c & mask));
    ret = count_free(s, c, want, got);
    if (ret < 0 || *got == 0) {
        return ret;
    }
    return take(s, c, *got, QCOW2_META_NONE);
}

int qcow2_alloc_bytes(Qcow2 *s, uint64_t size, uint64_t *offset)
{
    uint64_t in_cluster = s->free_byte & (s->cluster_size - 1);
    uint64_t cluster, got;
    int ret;

    block_debug_event(qcow2_file(s), "cluster_alloc_bytes");
    if (s->free_byte) {
        uint64_t left = s->cluster_size - in_cluster;
        uint64_t first = s->free_byte >> s->cluster_bits;
        uint64_t count;

        ret = qcow2_refcount_get(s, first, &count);
        if (ret < 0) {
            return ret;
        }
        if (count == 0 || count == s->refcount_max) {
            s->free_byte = 0;
        } else if (size <= left) {
            ret = qcow2_refcount_add(s, first, 1, 1);
            *offset = s->free_byte;
            s->free_byte = size == left ? 0 : s->free_byte + size;
            return ret;
        } else {
            /* Go on into the next host cluster when that one is free. */
            ret = qcow2_alloc_at(s, (first + 1) << s->cluster_bits, 1, &got);
            if (ret == 0 && got) {
                ret = qcow2_refcount_add(s, first, 1, 1);
                *offset = s->free_byte;
                s->free_byte += size;
                return ret;
            }
            if (ret < 0) {
                return ret;
            }
        }
    }
    ret = qcow2_alloc_clusters(s, 1, QCOW2_META_COMPRESSED, &cluster, &got);
    if (ret == 0) {
        *offset = cluster;
        s->free_byte = size == s->cluster_size ? 0 : cluster + size;
    }
    return ret;
}
