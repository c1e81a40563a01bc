/*
 * Checking and repairing an image.
 *
 *   1. count the references to each host cluster (qcow2-check-count.c)
 *   2. compare with the stored counts; -r adjusts them
 *   3. compare the copied bits with the stored counts; -r adjusts them
 *
 * When the refcount structures themselves are broken they are rebuilt from
 * the expected counts behind the end of the image, and only then does the
 * header point to them.
 */
#include "block/qcow2-check-int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"

/* ---- Comparing ------------------------------------------------------------ */

static void compare_one(Qcow2Check *c, uint64_t cluster)
{
    Qcow2 *s = c->s;
    BlockCheckResult *r = c->result;
    uint64_t stored, want = qcow2_check_expected(c, cluster);
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

static void compare_all(Qcow2Check *c)
{
    Qcow2 *s = c->s;
    uint64_t step = UINT64_C(1) << s->refblock_bits;
    uint64_t end = MAX(c->file_clusters, c->highest + 1);

    for (uint64_t i = 0; i < end; i++) {
        uint64_t index = i >> s->refblock_bits;

        /* Skip areas that nobody knows of. */
        if (!(i & (QCOW2_CHECK_CHUNK - 1)) && !(i & (step - 1)) &&
            !qcow2_check_knows(c, i) &&
            (index >= s->reftable_size || !(s->reftable[index] & ~511ull))) {
            i += MIN(QCOW2_CHECK_CHUNK, step) - 1;
            continue;
        }
        compare_one(c, i);
    }
}

/* ---- Rebuilding ----------------------------------------------------------- */

/* Fills and writes the block of one table index. */
static int write_rebuilt_block(Qcow2Check *c, uint64_t index, uint64_t host)
{
    Qcow2 *s = c->s;
    g_autofree uint8_t *data = g_malloc0(s->cluster_size);
    uint64_t n = UINT64_C(1) << s->refblock_bits;

    for (uint64_t k = 0; k < n; k++) {
        uint64_t count =
            qcow2_check_expected(c, (index << s->refblock_bits) + k);

        if (count > s->refcount_max) {
            return -EOVERFLOW;
        }
        if (count) {
            qcow2_refblock_store(data, s->refcount_order, k, count);
        }
    }
    return block_pwrite(qcow2_file(s), host, s->cluster_size, data, 0);
}

static int write_rebuilt_table(Qcow2Check *c, uint64_t start, uint64_t blocks,
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

static int rebuild(Qcow2Check *c)
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
    qcow2_check_refer(c, start << s->cluster_bits,
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
static bool check_copied(Qcow2Check *c, uint64_t *entry, const char *format,
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

static void check_all_copied(Qcow2Check *c)
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
static int rebuild_and_compare(Qcow2Check *c)
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
    qcow2_check_count(c, true);
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

static int repair_snapshot_table(Qcow2Check *c)
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
static int finish(Qcow2Check *c)
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
static int compare_and_fix(Qcow2Check *c)
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

static int run(Qcow2Check *c)
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
    qcow2_check_count(c, true);
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
    Qcow2Check c = { .s = s, .result = &result };
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
        qcow2_check_count(&c, false);
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
    Qcow2Check c = { .s = s, .result = result, .fix = fix };
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
