/*
 * Checking and repairing an image.
 *
 *   1. walk every structure and count the references to each host cluster
 *   2. compare with the stored counts; -r adjusts them
 *   3. compare the copied bits with the stored counts; -r adjusts them
 *
 * Expected counts live in chunks made on demand, so that a sparse or lying
 * file costs memory only for what it really refers to.  When the refcount
 * structures themselves are broken they are rebuilt from the expected counts
 * behind the end of the image, and only then does the header point to them.
 */
#include "block/qcow2-int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"

#define CHUNK_BITS 12
#define CHUNK_SIZE (UINT64_C(1) << CHUNK_BITS)
#define MAX_CHUNKS (64u << 10) /* 2^28 clusters, 1 GiB */

typedef struct Check {
    Qcow2 *s;
    BlockCheckResult *result;
    unsigned fix;
    GHashTable *chunks; /* chunk number -> uint32_t[CHUNK_SIZE] */
    uint64_t file_clusters;
    uint64_t highest;       /* cluster with any reference or count */
    uint64_t next_offset;   /* where the next unfragmented cluster would be */
    bool rebuild;
    bool active; /* the tree walked is that of the disk itself */
} Check;

static void complain(Check *c, uint64_t *counter, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static void complain(Check *c, uint64_t *counter, const char *format, ...)
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

static uint32_t *count_of(Check *c, uint64_t cluster, bool make)
{
    gint64 number = cluster >> CHUNK_BITS;
    uint32_t *chunk = g_hash_table_lookup(c->chunks, &number);

    if (!chunk) {
        gint64 *key;

        if (!make || g_hash_table_size(c->chunks) >= MAX_CHUNKS) {
            return NULL;
        }
        key = g_new(gint64, 1);
        *key = number;
        chunk = g_new0(uint32_t, CHUNK_SIZE);
        g_hash_table_insert(c->chunks, key, chunk);
    }
    return &chunk[cluster & (CHUNK_SIZE - 1)];
}

static uint64_t expected(Check *c, uint64_t cluster)
{
    uint32_t *count = count_of(c, cluster, false);

    return count ? *count : 0;
}

static void refer(Check *c, uint64_t offset, uint64_t bytes)
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

static void note_normal(Check *c, uint64_t offset)
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

static void check_compressed(Check *c, uint64_t word)
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
    refer(c, offset & ~511ull, bytes + (offset & 511));
    if (c->active) {
        c->result->allocated_clusters++;
        c->result->compressed_clusters++;
        c->result->fragmented_clusters++;
    }
}

/* An unaligned preallocated zero cluster can simply be dropped. */
static bool check_unaligned(Check *c, uint64_t *word, uint64_t *word2)
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
static bool check_entry(Check *c, uint64_t *word, uint64_t *word2)
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
        refer(c, host, s->cluster_size);
    }
    return false;
}

static void check_l2(Check *c, uint64_t table, uint64_t *l2)
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

static void check_l1(Check *c, const uint64_t *l1, uint64_t offset,
                     uint32_t size, bool active)
{
    Qcow2 *s = c->s;
    g_autofree uint64_t *l2 = g_malloc(s->cluster_size);

    c->active = active;
    refer(c, offset, size * 8ull);
    for (uint32_t i = 0; i < size; i++) {
        uint64_t table = l1[i] & QCOW2_OFFSET_MASK;

        if (l1[i] & QCOW2_L1_RESERVED & ~511ull) {
            ERROR(": L1 entry with reserved bits set: %" PRIx64, l1[i]);
        }
        if (table == 0) {
            continue;
        }
        refer(c, table, s->cluster_size);
        if (table & (s->cluster_size - 1)) {
            ERROR(" l2_offset=%" PRIx64 ": Table is not cluster aligned; L1 "
                  "entry corrupted", table);
            continue;
        }
        check_l2(c, table, l2);
    }
}

static void check_snapshots(Check *c)
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
        refer(c, s->header.snapshots_offset,
              end - s->header.snapshots_offset);
    }
}

static void check_bitmaps(Check *c)
{
    Qcow2 *s = c->s;
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) list = NULL;

    if (!s->header.has_bitmaps) {
        return;
    }
    refer(c, s->header.bitmap_dir_offset, s->header.bitmap_dir_size);
    list = qcow2_bitmap_directory(s, &error);
    if (!list) {
        ERROR(": %s", error->message);
        return;
    }
    for (guint i = 0; i < list->len; i++) {
        Qcow2BitmapEntry *e = &g_array_index(list, Qcow2BitmapEntry, i);
        g_autofree uint64_t *table = g_try_new(uint64_t, e->table_size);

        refer(c, e->table_offset, e->table_size * 8ull);
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
                refer(c, entry & QCOW2_OFFSET_MASK, s->cluster_size);
            }
        }
    }
}

/* ---- Refcount structures -------------------------------------------------- */

static void check_refblocks(Check *c)
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
        refer(c, entry, s->cluster_size);
        if (expected(c, entry >> s->cluster_bits) != 1) {
            ERROR(" refcount block %" PRIu64 " refcount=%" PRIu64, i,
                  expected(c, entry >> s->cluster_bits));
            c->rebuild = true;
        }
    }
}

static void count_everything(Check *c, bool refcounts_too)
{
    Qcow2 *s = c->s;

    g_hash_table_remove_all(c->chunks);
    c->highest = 0;
    c->next_offset = 0;
    refer(c, 0, s->cluster_size);
    check_l1(c, s->l1, s->header.l1_offset, s->l1_size, true);
    check_snapshots(c);
    check_bitmaps(c);
    if (refcounts_too) {
        refer(c, s->header.reftable_offset, s->reftable_size * 8);
        check_refblocks(c);
    }
}

static void compare_one(Check *c, uint64_t cluster)
{
    Qcow2 *s = c->s;
    BlockCheckResult *r = c->result;
    uint64_t stored, want = expected(c, cluster);
    uint64_t *counter = &r->corruptions, *fixed = NULL;
    int ret = qcow2_refcount_get(s, cluster, &stored);

    if (ret < 0) {
        fprintf(stderr, "Can't get refcount for cluster %" PRIu64 ": %s\n",
                cluster, strerror(-ret));
        r->check_errors++;
        return;
    }
    if (stored || want) {
        c->highest = MAX(c->highest, cluster);
    }
    if (stored == want) {
        return;
    }
    if (stored == 0) {
        /* Its block may be missing, or be free for the allocator: rebuild. */
        c->rebuild = true;
    } else if (stored > want) {
        counter = &r->leaks;
    }
    if (stored > want ? c->fix & BLOCK_FIX_LEAKS
                      : (c->fix & BLOCK_FIX_ERRORS) && !c->rebuild) {
        fixed = stored > want ? &r->leaks_fixed : &r->corruptions_fixed;
    }
    fprintf(stderr, "%s cluster %" PRIu64 " refcount=%" PRIu64
            " reference=%" PRIu64 "\n",
            fixed           ? "Repairing"
            : stored > want ? "Leaked"
                            : "ERROR",
            cluster, stored, want);
    if (fixed && qcow2_refcount_set(s, cluster, want) == 0) {
        ++*fixed;
        return;
    }
    ++*counter;
}

static void compare_all(Check *c)
{
    Qcow2 *s = c->s;
    uint64_t step = UINT64_C(1) << s->refblock_bits;
    uint64_t end = MAX(c->file_clusters, c->highest + 1);

    for (uint64_t i = 0; i < end; i++) {
        uint64_t index = i >> s->refblock_bits;

        /* Skip areas that nobody knows of. */
        if (!(i & (CHUNK_SIZE - 1)) && !(i & (step - 1)) &&
            !count_of(c, i, false) &&
            (index >= s->reftable_size || !(s->reftable[index] & ~511ull))) {
            i += MIN(CHUNK_SIZE, step) - 1;
            continue;
        }
        compare_one(c, i);
    }
}

/* ---- Rebuilding ----------------------------------------------------------- */

/* Fills and writes the block of one table index. */
static int write_rebuilt_block(Check *c, uint64_t index, uint64_t host)
{
    Qcow2 *s = c->s;
    g_autofree uint8_t *data = g_malloc0(s->cluster_size);
    uint64_t n = UINT64_C(1) << s->refblock_bits;

    for (uint64_t k = 0; k < n; k++) {
        uint64_t count = expected(c, (index << s->refblock_bits) + k);

        if (count > s->refcount_max) {
            return -EOVERFLOW;
        }
        if (count) {
            qcow2_refblock_store(data, s->refcount_order, k, count);
        }
    }
    return block_pwrite(qcow2_file(s), host, s->cluster_size, data, 0);
}

static int write_rebuilt_table(Check *c, uint64_t start, uint64_t blocks,
                               uint64_t table_clusters)
{
    Qcow2 *s = c->s;
    uint64_t entries = table_clusters << (s->cluster_bits - 3);
    g_autofree uint64_t *disk = g_new0(uint64_t, entries);
    int ret = 0;

    for (uint64_t i = 0; i < blocks && ret == 0; i++) {
        uint64_t host = (start + table_clusters + i) << s->cluster_bits;

        stq_be_p(&disk[i], host);
        ret = write_rebuilt_block(c, i, host);
    }
    if (ret == 0) {
        ret = block_pwrite(qcow2_file(s), start << s->cluster_bits,
                           entries * 8, disk, 0);
    }
    return ret < 0 ? ret : block_flush(qcow2_file(s));
}

static int rebuild(Check *c)
{
    Qcow2 *s = c->s;
    uint64_t start, blocks = 1, table_clusters, per = s->cluster_size / 8;
    uint64_t old_offset = s->header.reftable_offset;
    uint32_t old_clusters = s->header.reftable_clusters;
    int ret;

    start = MAX(c->file_clusters, c->highest + 1);
    for (;;) {
        uint64_t need;

        table_clusters = (blocks + per - 1) / per;
        need = ((start + table_clusters + blocks - 1) >> s->refblock_bits) + 1;
        if (need <= blocks) {
            break;
        }
        blocks = need;
    }
    if (table_clusters * s->cluster_size > QCOW2_MAX_REFTABLE_BYTES) {
        return -EFBIG;
    }
    c->file_clusters = start + table_clusters + blocks;
    refer(c, start << s->cluster_bits,
          (table_clusters + blocks) << s->cluster_bits);
    ret = write_rebuilt_table(c, start, blocks, table_clusters);
    if (ret < 0) {
        return ret;
    }
    s->header.reftable_offset = start << s->cluster_bits;
    s->header.reftable_clusters = table_clusters;
    ret = qcow2_write_header(s, NULL);
    if (ret == 0) {
        ret = block_flush(qcow2_file(s));
    }
    if (ret < 0) {
        s->header.reftable_offset = old_offset;
        s->header.reftable_clusters = old_clusters;
        return ret;
    }
    qcow2_refcount_free(s);
    if (!qcow2_refcount_init(s, NULL)) {
        s->reftable_size = 0; /* nothing can be allocated any more */
        ret = -EIO;
    }
    return ret;
}

/* ---- Copied bits ---------------------------------------------------------- */

/* Compares and perhaps corrects one entry; true when it was changed. */
static bool check_copied(Check *c, uint64_t *entry, const char *format,
                         uint64_t index)
{
    Qcow2 *s = c->s;
    uint64_t count;
    bool repair = c->fix & BLOCK_FIX_ERRORS;
    char where[64] = "";

    if (qcow2_refcount_get(s, (*entry & QCOW2_OFFSET_MASK) >> s->cluster_bits,
                           &count) < 0) {
        return false;
    }
    if ((count == 1) == !!(*entry & QCOW2_ENTRY_COPIED)) {
        return false;
    }
    if (index != UINT64_MAX) {
        g_snprintf(where, sizeof(where), "l1_index=%" PRIu64 " ", index);
    }
    fprintf(stderr, "%s OFLAG_COPIED %s cluster: %s%s_entry=%" PRIx64
            " refcount=%" PRIu64 "\n", repair ? "Repairing" : "ERROR", format,
            where, index != UINT64_MAX ? "l1" : "l2", *entry, count);
    if (!repair) {
        c->result->corruptions++;
        return false;
    }
    *entry ^= QCOW2_ENTRY_COPIED;
    c->result->corruptions_fixed++;
    return true;
}

static void check_all_copied(Check *c)
{
    Qcow2 *s = c->s;
    g_autofree uint64_t *l2 = g_malloc(s->cluster_size);
    bool l1_changed = false;

    for (uint32_t i = 0; i < s->l1_size; i++) {
        uint64_t table = s->l1[i] & QCOW2_OFFSET_MASK;
        bool changed = false;

        if (table == 0 || (table & (s->cluster_size - 1))) {
            continue;
        }
        l1_changed |= check_copied(c, &s->l1[i], "L2", i);
        if (s->data_edge ||
            block_pread(qcow2_file(s), table, s->cluster_size, l2, 0) < 0) {
            continue;
        }
        for (uint64_t k = 0; k < s->cluster_size / 8; k += s->entry_words) {
            uint64_t word = ldq_be_p(&l2[k]);
            uint64_t host = word & QCOW2_OFFSET_MASK;

            if ((word & QCOW2_ENTRY_COMPRESSED) || host == 0 ||
                (host & (s->cluster_size - 1))) {
                continue;
            }
            if (check_copied(c, &word, "data", UINT64_MAX)) {
                stq_be_p(&l2[k], word);
                changed = true;
            }
        }
        if (changed &&
            block_pwrite(qcow2_file(s), table, s->cluster_size, l2, 0) < 0) {
            c->result->check_errors++;
        }
    }
    if (l1_changed && qcow2_write_l1(s) < 0) {
        c->result->check_errors++;
    }
}

/* Rebuilds, then frees what the old structures occupied. */
static int rebuild_and_compare(Check *c)
{
    BlockCheckResult *r = c->result;
    BlockCheckResult old = *r;
    int ret;

    fprintf(stderr, "Rebuilding refcount structure\n");
    ret = rebuild(c);
    if (ret < 0) {
        return ret;
    }
    c->rebuild = false;
    r->corruptions = r->leaks = 0;
    r->allocated_clusters = r->fragmented_clusters = 0;
    r->compressed_clusters = 0;
    c->file_clusters =
        qcow2_clusters(c->s, MAX(block_length(qcow2_file(c->s)), 0));
    count_everything(c, true);
    if (c->fix & BLOCK_FIX_LEAKS) {
        uint64_t fixed = r->leaks_fixed;

        compare_all(c);
        r->leaks_fixed = fixed;
    }
    if (old.corruptions > r->corruptions) {
        r->corruptions_fixed += old.corruptions - r->corruptions;
    }
    if (old.leaks > r->leaks) {
        r->leaks_fixed += old.leaks - r->leaks;
    }
    return c->rebuild ? -EIO : 0;
}

/* ---- Entry ---------------------------------------------------------------- */

static int repair_snapshot_table(Check *c)
{
    uint64_t broken = 0;

    if (!qcow2_snapshots_read(c->s, true, &broken, NULL) || !broken) {
        return 0;
    }
    if (!(c->fix & BLOCK_FIX_ERRORS)) {
        c->result->corruptions += broken;
        return 0;
    }
    c->result->corruptions_fixed += broken;
    return qcow2_snapshots_write(c->s, NULL);
}

/* Clears what a complete repair has put right. */
static int finish(Check *c)
{
    Qcow2 *s = c->s;
    uint64_t clear = 0;

    if (!c->fix || c->result->check_errors) {
        return 0;
    }
    if (c->result->corruptions == 0) {
        clear |= QCOW2_INCOMPAT_CORRUPT;
    }
    if (c->result->corruptions == 0 && c->result->leaks == 0) {
        clear |= QCOW2_INCOMPAT_DIRTY;
    }
    return qcow2_update_incompat(s, 0, clear);
}

/* Tells all that is wrong, then what is done about it. */
static int compare_and_fix(Check *c)
{
    BlockCheckResult before = *c->result;
    unsigned fix = c->fix;

    c->fix = 0;
    compare_all(c);
    c->fix = fix;
    if (c->rebuild && (fix & BLOCK_FIX_ERRORS)) {
        return rebuild_and_compare(c);
    }
    if (c->rebuild && fix) {
        fprintf(stderr, "ERROR need to rebuild refcount structures\n");
        return -EIO;
    }
    if (fix && (c->result->leaks || c->result->corruptions)) {
        *c->result = before;
        compare_all(c);
    }
    return 0;
}

static int run(Check *c)
{
    Qcow2 *s = c->s;
    int64_t length = block_length(qcow2_file(s));
    int ret;

    if (length < 0) {
        return length;
    }
    c->file_clusters = qcow2_clusters(s, length);
    c->result->total_clusters = qcow2_clusters(s, s->header.size);
    if (!s->node->read_only) {
        ret = qcow2_settle(s);
        if (ret < 0) {
            return ret;
        }
        qcow2_l2_drop(s);
        c->file_clusters = qcow2_clusters(s, block_length(qcow2_file(s)));
    }
    ret = repair_snapshot_table(c);
    if (ret < 0) {
        return ret;
    }
    c->rebuild = s->header.reftable_clusters == 0;
    count_everything(c, true);
    ret = compare_and_fix(c);
    if (ret < 0) {
        return ret;
    }
    if (c->fix) {
        ret = qcow2_settle(s);
        if (ret < 0) {
            return ret;
        }
    }
    check_all_copied(c);
    if (c->fix) {
        qcow2_l2_drop(s);
        qcow2_meta_drop(s);
        ret = qcow2_settle(s);
    }
    c->result->image_end_offset = (c->highest + 1) << s->cluster_bits;
    return ret < 0 ? ret : finish(c);
}

bool qcow2_change_refcount_width(Qcow2 *s, unsigned order, GError **error)
{
    BlockCheckResult result = { 0 };
    Check c = { .s = s, .result = &result };
    uint64_t old_max = s->refcount_max;
    unsigned old_order = s->refcount_order;
    int ret;

    g_mutex_lock(&s->lock);
    c.chunks = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                     g_free);
    ret = qcow2_settle(s);
    if (ret == 0) {
        int64_t length = block_length(qcow2_file(s));

        c.file_clusters = MAX(qcow2_clusters(s, MAX(length, 0)), s->file_end);
        s->refcount_order = s->header.refcount_order = order;
        s->refblock_bits = s->cluster_bits + 3 - order;
        s->refcount_max = order == 6 ? UINT64_MAX
                                     : (UINT64_C(1) << (1u << order)) - 1;
        count_everything(&c, false);
        ret = rebuild(&c);
    }
    if (ret < 0) {
        s->refcount_order = s->header.refcount_order = old_order;
        s->refblock_bits = s->cluster_bits + 3 - old_order;
        s->refcount_max = old_max;
    }
    g_hash_table_unref(c.chunks);
    g_mutex_unlock(&s->lock);
    if (ret == -EOVERFLOW) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Cannot decrease refcount entry width to %u bits: Some "
                    "cluster's refcount is too large", 1u << order);
    } else if (ret < 0) {
        block_error_set_errno(error, -ret,
                              "Could not change the refcount width");
    }
    return ret == 0;
}

bool qcow2_check(BlockNode *node, BlockCheckResult *result, unsigned fix,
                 GError **error)
{
    Qcow2 *s = qcow2_state(node);
    Check c = { .s = s, .result = result, .fix = fix };
    int ret;

    memset(result, 0, sizeof(*result));
    c.chunks = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                     g_free);
    g_mutex_lock(&s->lock);
    ret = run(&c);
    g_mutex_unlock(&s->lock);
    g_hash_table_unref(c.chunks);
    if (ret < 0) {
        result->check_errors++;
        g_set_error(error, BLOCK_ERROR, -ret, "Check failed: %s",
                    strerror(-ret));
        return false;
    }
    return true;
}
