/*
 * Which host clusters hold metadata, and the checks before each write that
 * none of it is overwritten.
 *
 *   filter: a bit per cluster, no lock -> "surely not" for guest data
 *   map: kind of each cluster, under the lock -> what exactly is hit
 *
 * The map is built when it is first needed and kept up to date from then on.
 */
#include "block/qcow2-int.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util/bytes.h"

/* Tables of one kind that overlap checks know: bounds their memory. */
#define META_TABLES_MAX (256u << 10)
#define META_ENTRIES_MAX (2u << 20)
#define META_BYTES_MAX (128u << 20) /* no sane structure is larger */
#define META_FILTER_BITS 20

static const char *const kind_names[] = {
    [QCOW2_META_NONE] = "data cluster",
    [QCOW2_META_HEADER] = "qcow2_header",
    [QCOW2_META_ACTIVE_L1] = "active L1 table",
    [QCOW2_META_ACTIVE_L2] = "active L2 table",
    [QCOW2_META_REFBLOCK] = "refcount block",
    [QCOW2_META_REFTABLE] = "refcount table",
    [QCOW2_META_SNAPSHOT_TABLE] = "snapshot table",
    [QCOW2_META_INACTIVE_L1] = "inactive L1 table",
    [QCOW2_META_INACTIVE_L2] = "inactive L2 table",
    [QCOW2_META_BITMAP_DIR] = "bitmap directory",
    [QCOW2_META_COMPRESSED] = "compressed cluster",
};

const char *qcow2_meta_name(Qcow2MetaKind kind)
{
    return kind_names[kind];
}

/* Bit of a cluster in the filter; clusters are adjacent, so no hash needed. */
static uint64_t filter_bit(uint64_t cluster)
{
    return (cluster ^ cluster >> META_FILTER_BITS) &
           ((UINT64_C(1) << META_FILTER_BITS) - 1);
}

static void filter_add(uint64_t *filter, uint64_t cluster)
{
    uint64_t bit = filter_bit(cluster);

    __atomic_fetch_or(&filter[bit >> 6], UINT64_C(1) << (bit & 63),
                      __ATOMIC_RELEASE);
}

bool qcow2_maybe_meta(const Qcow2 *s, uint64_t offset, uint64_t bytes)
{
    const uint64_t *filter =
        __atomic_load_n(&s->meta_filter, __ATOMIC_ACQUIRE);
    uint64_t end = (offset + bytes - 1) >> s->cluster_bits;

    if (!s->overlap) {
        return false;
    }
    if (!filter) {
        return true;
    }
    for (uint64_t c = offset >> s->cluster_bits; c <= end; c++) {
        uint64_t bit = filter_bit(c);

        if (__atomic_load_n(&filter[bit >> 6], __ATOMIC_RELAXED) >>
                (bit & 63) & 1) {
            return true;
        }
    }
    return false;
}

void qcow2_meta_add(Qcow2 *s, uint64_t offset, uint64_t bytes,
                    Qcow2MetaKind kind)
{
    if (!s->meta || bytes > META_BYTES_MAX) {
        return;
    }
    for (uint64_t c = offset >> s->cluster_bits;
         c < qcow2_clusters(s, offset + bytes) &&
         g_hash_table_size(s->meta) < META_ENTRIES_MAX; c++) {
        gint64 *key = g_new(gint64, 1);

        *key = c;
        if (g_hash_table_contains(s->meta, key)) {
            g_free(key); /* the first owner is the one to protect */
        } else {
            g_hash_table_insert(s->meta, key, GINT_TO_POINTER(kind));
            if (s->meta_filter) {
                filter_add(s->meta_filter, c);
            }
        }
    }
}

void qcow2_meta_remove(Qcow2 *s, uint64_t offset, uint64_t bytes)
{
    if (!s->meta || bytes > META_BYTES_MAX) {
        return;
    }
    for (uint64_t c = offset >> s->cluster_bits;
         c < qcow2_clusters(s, offset + bytes); c++) {
        gint64 key = c;

        g_hash_table_remove(s->meta, &key);
    }
}

void qcow2_meta_drop(Qcow2 *s)
{
    g_clear_pointer(&s->meta, g_hash_table_unref);
    g_clear_pointer(&s->meta_filter, g_free);
}

/* Built by the first write: reading alone never needs it. */
static void build_meta(Qcow2 *s)
{
    uint64_t *filter = g_new0(uint64_t, 1 << (META_FILTER_BITS - 6));
    GHashTableIter iter;
    gpointer key;

    s->meta = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    qcow2_meta_add(s, 0, 1, QCOW2_META_HEADER);
    qcow2_meta_add(s, s->header.l1_offset, s->l1_size * 8ull,
                   QCOW2_META_ACTIVE_L1);
    qcow2_meta_add(s, s->header.reftable_offset, s->reftable_size * 8,
                   QCOW2_META_REFTABLE);
    for (uint64_t i = 0; i < MIN(s->reftable_size, META_TABLES_MAX); i++) {
        if (s->reftable[i] & ~511ull) {
            qcow2_meta_add(s, s->reftable[i] & ~511ull, 1,
                           QCOW2_META_REFBLOCK);
        }
    }
    for (guint i = 0; s->snapshots && i < s->snapshots->len; i++) {
        Qcow2Snapshot *sn = &g_array_index(s->snapshots, Qcow2Snapshot, i);

        qcow2_meta_add(s, sn->l1_offset, sn->l1_size * 8ull,
                       QCOW2_META_INACTIVE_L1);
    }
    for (uint32_t i = 0; i < MIN(s->l1_size, META_TABLES_MAX); i++) {
        if (s->l1[i] & QCOW2_OFFSET_MASK) {
            qcow2_meta_add(s, s->l1[i] & QCOW2_OFFSET_MASK, 1,
                           QCOW2_META_ACTIVE_L2);
        }
    }
    g_hash_table_iter_init(&iter, s->meta);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        filter_add(filter, *(gint64 *)key);
    }
    __atomic_store_n(&s->meta_filter, filter, __ATOMIC_RELEASE);
}

int qcow2_check_overlap(Qcow2 *s, uint64_t offset, uint64_t bytes,
                        Qcow2MetaKind own)
{
    if (!s->overlap) {
        return 0;
    }
    if (!s->meta) {
        build_meta(s);
    }
    for (uint64_t c = offset >> s->cluster_bits;
         c < qcow2_clusters(s, offset + bytes); c++) {
        gint64 key = c;
        int kind =
            GPOINTER_TO_INT(g_hash_table_lookup(s->meta, &key));

        if (s->overlap & 1u << kind && kind != (int)own) {
            return qcow2_corrupt(s, true, offset, bytes,
                                 "Preventing invalid write on metadata "
                                 "(overlaps with %s)", kind_names[kind]);
        }
    }
    return 0;
}
