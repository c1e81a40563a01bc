/*
 * The first step of a check: every structure of the image is walked and the
 * references to each host cluster are counted.  What is wrong with an entry
 * by itself is told, and perhaps put right, on the way.
 *
 * Expected counts live in chunks made on demand, so that a sparse or lying
 * file costs memory only for what it really refers to.
 */
#include "block/qcow2-check-int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"

#define MAX_CHUNKS (64u << 10) /* 2^28 clusters, 1 GiB */

static void complain(Qcow2Check *c, uint64_t *counter, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static void complain(Qcow2Check *c, uint64_t *counter, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    ++*counter;
}

#define ERROR(...) complain(c, &c->result->corruptions, "ERROR" __VA_ARGS__)

/* ---- Expected counts ------------------------------------------------------ */

static uint32_t *count_of(Qcow2Check *c, uint64_t cluster, bool make)
{
    gint64 number = cluster / QCOW2_CHECK_CHUNK;
    uint32_t *chunk = g_hash_table_lookup(c->chunks, &number);

    if (!chunk) {
        gint64 *key;

        if (!make || g_hash_table_size(c->chunks) >= MAX_CHUNKS) {
            return NULL;
        }
        key = g_new(gint64, 1);
        *key = number;
        chunk = g_new0(uint32_t, QCOW2_CHECK_CHUNK);
        g_hash_table_insert(c->chunks, key, chunk);
    }
    return &chunk[cluster & (QCOW2_CHECK_CHUNK - 1)];
}

uint64_t qcow2_check_expected(Qcow2Check *c, uint64_t cluster)
{
    uint32_t *count = count_of(c, cluster, false);

    return count ? *count : 0;
}

bool qcow2_check_knows(Qcow2Check *c, uint64_t cluster)
{
    return count_of(c, cluster, false) != NULL;
}

void qcow2_check_refer(Qcow2Check *c, uint64_t offset, uint64_t bytes)
{
    Qcow2 *s = c->s;
    uint64_t first = offset >> s->cluster_bits;
    uint64_t end = bytes ? ((offset + bytes - 1) >> s->cluster_bits) + 1
                         : first;

    if (bytes && (end < first || end > c->file_clusters)) {
        ERROR(": counting reference for region exceeding the end of the file "
              "by one cluster or more: offset 0x%" PRIx64 " size 0x%" PRIx64,
              offset, bytes);
        return;
    }
    for (uint64_t i = first; i < end; i++) {
        uint32_t *count = count_of(c, i, true);

        if (!count || *count == UINT32_MAX) {
            c->result->check_errors++;
            return;
        }
        ++*count;
        c->highest = MAX(c->highest, i);
    }
}

/* ---- Trees ---------------------------------------------------------------- */

static void note_normal(Qcow2Check *c, uint64_t offset)
{
    if (!c->active) {
        return;
    }
    c->result->allocated_clusters++;
    if (c->next_offset && offset != c->next_offset) {
        c->result->fragmented_clusters++;
    }
    c->next_offset = offset + c->s->cluster_size;
}

static void check_compressed(Qcow2Check *c, uint64_t word)
{
    uint64_t offset, bytes;

    if (word & QCOW2_ENTRY_COPIED) {
        ERROR(": coffset=0x%" PRIx64 ": copied flag must never be set for "
              "compressed clusters", word & c->s->coffset_mask);
        word &= ~QCOW2_ENTRY_COPIED;
    }
    if (c->s->data_edge) {
        ERROR(" compressed cluster with data file, entry=0x%" PRIx64, word);
        return;
    }
    qcow2_compressed_range(c->s, word, &offset, &bytes);
    qcow2_check_refer(c, offset & ~511ull, bytes + (offset & 511));
    if (c->active) {
        c->result->allocated_clusters++;
        c->result->compressed_clusters++;
        c->result->fragmented_clusters++;
    }
}

/* An unaligned preallocated zero cluster can simply be dropped. */
static bool check_unaligned(Qcow2Check *c, uint64_t *word, uint64_t *word2)
{
    uint64_t host = *word & QCOW2_OFFSET_MASK;
    bool zero = c->s->extl2 ? !(*word2 & QCOW2_SC_ALLOC_ALL)
                            : *word & QCOW2_ENTRY_ZERO;

    if (!zero) {
        ERROR(" offset=%" PRIx64 ": Data cluster is not properly aligned; L2 "
              "entry corrupted.", host);
        return false;
    }
    fprintf(stderr, "%s offset=%" PRIx64 ": Preallocated cluster is not "
            "properly aligned; L2 entry corrupted.\n",
            c->fix & BLOCK_FIX_ERRORS ? "Repairing" : "ERROR", host);
    if (!(c->fix & BLOCK_FIX_ERRORS)) {
        c->result->corruptions++;
        return false;
    }
    *word = c->s->extl2 ? 0 : QCOW2_ENTRY_ZERO;
    c->result->corruptions_fixed++;
    return true;
}

/* True when the entry was changed. */
static bool check_entry(Qcow2Check *c, uint64_t *word, uint64_t *word2)
{
    Qcow2 *s = c->s;
    uint64_t host = *word & QCOW2_OFFSET_MASK;

    if (*word & QCOW2_ENTRY_COMPRESSED) {
        check_compressed(c, *word);
        return false;
    }
    if (s->extl2 && (*word2 & (*word2 >> 32) & QCOW2_SC_ALLOC_ALL)) {
        ERROR(" offset=%" PRIx64 " Sub-cluster bitmap: allocated and zero at "
              "once", host);
    }
    if (host == 0 &&
        !(s->data_edge && (*word & QCOW2_ENTRY_COPIED))) {
        if (s->extl2 && (*word2 & QCOW2_SC_ALLOC_ALL)) {
            ERROR(": sub-cluster allocated without a cluster");
        }
        return false;
    }
    if (host & (s->cluster_size - 1)) {
        return check_unaligned(c, word, word2);
    }
    note_normal(c, host);
    if (!s->data_edge) {
        qcow2_check_refer(c, host, s->cluster_size);
    }
    return false;
}

static void check_l2(Qcow2Check *c, uint64_t table, uint64_t *l2)
{
    Qcow2 *s = c->s;
    bool changed = false;
    int ret = block_pread(qcow2_file(s), table, s->cluster_size, l2, 0);

    if (ret < 0) {
        fprintf(stderr, "ERROR: I/O error in check_refcounts_l2\n");
        c->result->check_errors++;
        return;
    }
    for (uint64_t i = 0; i < s->cluster_size / 8; i += s->entry_words) {
        uint64_t word = ldq_be_p(&l2[i]);
        uint64_t word2 = s->extl2 ? ldq_be_p(&l2[i + 1]) : 0;

        if ((word || word2) && check_entry(c, &word, &word2)) {
            stq_be_p(&l2[i], word);
            changed = true;
        }
    }
    if (changed &&
        block_pwrite(qcow2_file(s), table, s->cluster_size, l2, 0) < 0) {
        c->result->check_errors++;
    }
}

static void check_l1(Qcow2Check *c, const uint64_t *l1, uint64_t offset,
                     uint32_t size, bool active)
{
    Qcow2 *s = c->s;
    g_autofree uint64_t *l2 = g_malloc(s->cluster_size);

    c->active = active;
    qcow2_check_refer(c, offset, size * 8ull);
    for (uint32_t i = 0; i < size; i++) {
        uint64_t table = l1[i] & QCOW2_OFFSET_MASK;

        if (l1[i] & QCOW2_L1_RESERVED & ~511ull) {
            ERROR(": L1 entry with reserved bits set: %" PRIx64, l1[i]);
        }
        if (table == 0) {
            continue;
        }
        qcow2_check_refer(c, table, s->cluster_size);
        if (table & (s->cluster_size - 1)) {
            ERROR(" l2_offset=%" PRIx64 ": Table is not cluster aligned; L1 "
                  "entry corrupted", table);
            continue;
        }
        check_l2(c, table, l2);
    }
}

static void check_snapshots(Qcow2Check *c)
{
    Qcow2 *s = c->s;
    uint64_t end = s->header.snapshots_offset;

    for (guint i = 0; i < s->snapshots->len; i++) {
        Qcow2Snapshot *sn = &g_array_index(s->snapshots, Qcow2Snapshot, i);
        g_autofree uint64_t *l1 = NULL;

        if (sn->l1_offset & (s->cluster_size - 1)) {
            ERROR(" snapshot %s (%s) l1_offset=%#" PRIx64 ": L1 table is not "
                  "cluster aligned; snapshot table entry corrupted", sn->id,
                  sn->name, sn->l1_offset);
            continue;
        }
        if (sn->l1_size > QCOW2_MAX_L1_BYTES / 8) {
            ERROR(" snapshot %s (%s) l1_size=%#" PRIx32 ": L1 table is too "
                  "large; snapshot table entry corrupted", sn->id, sn->name,
                  sn->l1_size);
            continue;
        }
        l1 = g_try_new0(uint64_t, MAX(sn->l1_size, 1));
        if (!l1 || block_pread(qcow2_file(s), sn->l1_offset,
                               sn->l1_size * 8ull, l1, 0) < 0) {
            c->result->check_errors++;
            continue;
        }
        for (uint32_t k = 0; k < sn->l1_size; k++) {
            l1[k] = ldq_be_p(&l1[k]);
        }
        check_l1(c, l1, sn->l1_offset, sn->l1_size, false);
        end += (40 + 24 + strlen(sn->id) + strlen(sn->name) + 7 +
                (sn->extra ? g_bytes_get_size(sn->extra) : 0)) & ~7ull;
    }
    if (s->header.nb_snapshots) {
        qcow2_check_refer(c, s->header.snapshots_offset,
              end - s->header.snapshots_offset);
    }
}

static void check_bitmaps(Qcow2Check *c)
{
    Qcow2 *s = c->s;
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) list = NULL;

    if (!s->header.has_bitmaps) {
        return;
    }
    qcow2_check_refer(c, s->header.bitmap_dir_offset,
                      s->header.bitmap_dir_size);
    list = qcow2_bitmap_directory(s, &error);
    if (!list) {
        ERROR(": %s", error->message);
        return;
    }
    for (guint i = 0; i < list->len; i++) {
        Qcow2BitmapEntry *e = &g_array_index(list, Qcow2BitmapEntry, i);
        g_autofree uint64_t *table = g_try_new(uint64_t, e->table_size);

        qcow2_check_refer(c, e->table_offset, e->table_size * 8ull);
        if (!table || block_pread(qcow2_file(s), e->table_offset,
                                  e->table_size * 8ull, table, 0) < 0) {
            c->result->check_errors++;
            continue;
        }
        for (uint32_t k = 0; k < e->table_size; k++) {
            uint64_t entry = ldq_be_p(&table[k]);

            if ((entry & ~(QCOW2_OFFSET_MASK | 1)) ||
                (entry & QCOW2_OFFSET_MASK & (s->cluster_size - 1))) {
                ERROR(": bitmap table entry %#" PRIx64 " of '%s' is invalid",
                      entry, e->name);
            } else if (entry & QCOW2_OFFSET_MASK) {
                qcow2_check_refer(c, entry & QCOW2_OFFSET_MASK,
                                  s->cluster_size);
            }
        }
    }
}

/* ---- Refcount structures -------------------------------------------------- */

static void check_refblocks(Qcow2Check *c)
{
    Qcow2 *s = c->s;

    for (uint64_t i = 0; i < s->reftable_size; i++) {
        uint64_t entry = s->reftable[i];

        if (entry & 511) {
            ERROR(" refcount table entry %" PRIu64 " has reserved bits set",
                  i);
            c->rebuild = true;
        }
        entry &= ~511ull;
        if (entry == 0) {
            continue;
        }
        if (entry & (s->cluster_size - 1)) {
            ERROR(" refcount block %" PRIu64 " is not cluster aligned; "
                  "refcount table entry corrupted", i);
            c->rebuild = true;
            continue;
        }
        if (entry >> s->cluster_bits >= c->file_clusters) {
            ERROR(" refcount block %" PRIu64 " is outside image", i);
            c->rebuild = true;
            continue;
        }
        qcow2_check_refer(c, entry, s->cluster_size);
        if (qcow2_check_expected(c, entry >> s->cluster_bits) != 1) {
            ERROR(" refcount block %" PRIu64 " refcount=%" PRIu64, i,
                  qcow2_check_expected(c, entry >> s->cluster_bits));
            c->rebuild = true;
        }
    }
}

void qcow2_check_count(Qcow2Check *c, bool refcounts_too)
{
    Qcow2 *s = c->s;

    g_hash_table_remove_all(c->chunks);
    c->highest = 0;
    c->next_offset = 0;
    qcow2_check_refer(c, 0, s->cluster_size);
    check_l1(c, s->l1, s->header.l1_offset, s->l1_size, true);
    check_snapshots(c);
    check_bitmaps(c);
    if (refcounts_too) {
        qcow2_check_refer(c, s->header.reftable_offset, s->reftable_size * 8);
        check_refblocks(c);
    }
}
