/*
 * Internal snapshots: a saved L1 table whose tree is counted once more.
 *
 * All of this runs with the node drained.  Trees are walked on disk, after
 * everything cached was written and the L2 cache was emptied: a snapshot
 * touches every reference of the image anyway.
 */
#include "block/qcow2-int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"

#define ENTRY_SIZE 40u
#define EXTRA_V3 16u
#define EXTRA_KNOWN 24u

#define FAIL(code, ...)                                                        \
    (g_set_error(error, BLOCK_ERROR, code, __VA_ARGS__), false)

void qcow2_snapshot_clear(gpointer p)
{
    Qcow2Snapshot *sn = p;

    g_clear_pointer(&sn->id, g_free);
    g_clear_pointer(&sn->name, g_free);
    g_clear_pointer(&sn->extra, g_bytes_unref);
}

/* ---- The table ------------------------------------------------------------ */

static void parse_extra(Qcow2 *s, Qcow2Snapshot *sn, const uint8_t *extra,
                        uint32_t len)
{
    sn->disk_size = s->header.size;
    sn->icount = UINT64_MAX;
    if (len >= 8) {
        sn->vm_state_size = ldq_be_p(extra);
    }
    if (len >= 16) {
        sn->disk_size = ldq_be_p(extra + 8);
        sn->has_disk_size = true;
    }
    if (len >= 24) {
        sn->icount = ldq_be_p(extra + 16);
    }
    if (len > EXTRA_KNOWN) {
        sn->extra = g_bytes_new(extra + EXTRA_KNOWN, len - EXTRA_KNOWN);
    }
}

/* Reads one entry at file offset *at. */
static int read_entry(Qcow2 *s, uint64_t *at, Qcow2Snapshot *sn, bool lenient,
                      uint64_t *broken, GError **error)
{
    uint8_t head[ENTRY_SIZE];
    g_autofree uint8_t *rest = NULL;
    uint32_t extra, id_len, name_len;
    int ret = block_pread(qcow2_file(s), *at, sizeof(head), head, 0);

    if (ret < 0) {
        block_error_set_errno(error, -ret, "Failed to read snapshot table");
        return ret;
    }
    sn->l1_offset = ldq_be_p(head);
    sn->l1_size = ldl_be_p(head + 8);
    id_len = ldw_be_p(head + 12);
    name_len = ldw_be_p(head + 14);
    sn->date_sec = ldl_be_p(head + 16);
    sn->date_nsec = ldl_be_p(head + 20);
    sn->vm_clock_ns = ldq_be_p(head + 24);
    sn->vm_state_size = ldl_be_p(head + 32);
    extra = ldl_be_p(head + 36);
    if (extra > QCOW2_MAX_SNAPSHOT_EXTRA && !lenient) {
        (void)FAIL(EINVAL, "Too much extra metadata in snapshot table entry "
                   "%u\nYou can force-remove this extra metadata by updating "
                   "the image via 'qemu-img check -r all'",
                   s->snapshots->len);
        return -EINVAL;
    }
    if (extra > QCOW2_MAX_SNAPSHOT_TABLE) {
        return -EINVAL;
    }
    rest = g_try_malloc(extra + id_len + name_len + 1);
    if (!rest) {
        return -ENOMEM;
    }
    ret = block_pread(qcow2_file(s), *at + ENTRY_SIZE,
                      extra + id_len + name_len, rest, 0);
    if (ret < 0) {
        block_error_set_errno(error, -ret, "Failed to read snapshot table");
        return ret;
    }
    if (extra > QCOW2_MAX_SNAPSHOT_EXTRA) {
        if (broken) {
            ++*broken;
        }
        parse_extra(s, sn, rest, EXTRA_KNOWN);
    } else {
        parse_extra(s, sn, rest, extra);
    }
    sn->id = g_strndup((char *)rest + extra, id_len);
    sn->name = g_strndup((char *)rest + extra + id_len, name_len);
    *at += (ENTRY_SIZE + extra + id_len + name_len + 7) & ~UINT64_C(7);
    return 0;
}

bool qcow2_snapshots_read(Qcow2 *s, bool lenient, uint64_t *broken,
                          GError **error)
{
    uint64_t at = s->header.snapshots_offset;

    g_clear_pointer(&s->snapshots, g_array_unref);
    s->snapshots = g_array_new(false, true, sizeof(Qcow2Snapshot));
    g_array_set_clear_func(s->snapshots, qcow2_snapshot_clear);
    for (uint32_t i = 0; i < s->header.nb_snapshots; i++) {
        Qcow2Snapshot sn = { 0 };
        GError *local = NULL;
        int ret;

        if (i >= QCOW2_MAX_SNAPSHOTS ||
            at - s->header.snapshots_offset > QCOW2_MAX_SNAPSHOT_TABLE) {
            if (lenient) {
                if (broken) {
                    *broken += s->header.nb_snapshots - i;
                }
                break;
            }
            return FAIL(EFBIG, "Snapshot table is too large");
        }
        ret = read_entry(s, &at, &sn, lenient, broken, &local);
        if (ret < 0) {
            qcow2_snapshot_clear(&sn);
            if (lenient) {
                g_clear_error(&local);
                if (broken) {
                    *broken += s->header.nb_snapshots - i;
                }
                break;
            }
            if (local) {
                g_propagate_prefixed_error(error, local,
                                           "Could not read snapshots: ");
            } else {
                block_error_set_errno(error, -ret,
                                      "Could not read snapshots");
            }
            return false;
        }
        g_array_append_val(s->snapshots, sn);
    }
    return true;
}

static GByteArray *format_table(const GArray *list)
{
    static const uint8_t zero[8];
    GByteArray *out = g_byte_array_new();

    for (guint i = 0; i < list->len; i++) {
        const Qcow2Snapshot *sn = &g_array_index(list, Qcow2Snapshot, i);
        uint8_t head[ENTRY_SIZE] = { 0 };
        uint8_t extra[EXTRA_KNOWN];
        gsize more_len = 0;
        const void *more =
            sn->extra ? g_bytes_get_data(sn->extra, &more_len) : NULL;

        stq_be_p(head, sn->l1_offset);
        stl_be_p(head + 8, sn->l1_size);
        stw_be_p(head + 12, strlen(sn->id));
        stw_be_p(head + 14, strlen(sn->name));
        stl_be_p(head + 16, sn->date_sec);
        stl_be_p(head + 20, sn->date_nsec);
        stq_be_p(head + 24, sn->vm_clock_ns);
        stl_be_p(head + 32, sn->vm_state_size > UINT32_MAX
                                ? 0 : sn->vm_state_size);
        stl_be_p(head + 36, EXTRA_KNOWN + more_len);
        stq_be_p(extra, sn->vm_state_size);
        stq_be_p(extra + 8, sn->disk_size);
        stq_be_p(extra + 16, sn->icount);
        g_byte_array_append(out, head, sizeof(head));
        g_byte_array_append(out, extra, sizeof(extra));
        g_byte_array_append(out, more, more_len);
        g_byte_array_append(out, (const guint8 *)sn->id, strlen(sn->id));
        g_byte_array_append(out, (const guint8 *)sn->name, strlen(sn->name));
        g_byte_array_append(out, zero, -out->len & 7);
    }
    return out;
}

/* Bytes of the table in the file; one that is too long counts up to the limit
 * of tables that are read. */
static uint64_t disk_table_size(Qcow2 *s)
{
    uint64_t at = s->header.snapshots_offset;
    uint32_t n = MIN(s->header.nb_snapshots, (uint32_t)QCOW2_MAX_SNAPSHOTS);

    for (uint32_t i = 0; i < n; i++) {
        uint8_t head[ENTRY_SIZE];

        if (at - s->header.snapshots_offset > QCOW2_MAX_SNAPSHOT_TABLE ||
            block_pread(qcow2_file(s), at, sizeof(head), head, 0) < 0) {
            break;
        }
        at += (ENTRY_SIZE + (uint64_t)ldl_be_p(head + 36) +
               ldw_be_p(head + 12) + ldw_be_p(head + 14) + 7) & ~UINT64_C(7);
    }
    return MIN(at - s->header.snapshots_offset,
               (uint64_t)QCOW2_MAX_SNAPSHOT_TABLE);
}

int qcow2_snapshots_write(Qcow2 *s, GError **error)
{
    g_autoptr(GByteArray) table = format_table(s->snapshots);
    uint64_t old_offset = s->header.snapshots_offset;
    uint32_t old_nb = s->header.nb_snapshots;
    uint64_t old_size = disk_table_size(s);
    uint64_t offset = 0;
    int ret = 0;

    if (table->len > QCOW2_MAX_SNAPSHOT_TABLE) {
        return -EFBIG;
    }
    if (table->len) {
        ret = qcow2_alloc_exact(s, table->len, QCOW2_META_SNAPSHOT_TABLE,
                                &offset);
        if (ret == 0) {
            ret = block_pwrite(qcow2_file(s), offset, table->len, table->data,
                               0);
        }
    }
    if (ret == 0) {
        ret = qcow2_settle(s);
    }
    if (ret < 0) {
        return ret;
    }
    s->header.snapshots_offset = offset;
    s->header.nb_snapshots = s->snapshots->len;
    ret = qcow2_write_header(s, error);
    if (ret == 0) {
        ret = block_flush(qcow2_file(s));
    }
    if (ret < 0) {
        s->header.snapshots_offset = old_offset;
        s->header.nb_snapshots = old_nb;
        return ret;
    }
    if (old_size) {
        qcow2_meta_remove(s, old_offset, old_size);
        (void)qcow2_refcount_add(s, old_offset >> s->cluster_bits,
                                 qcow2_clusters(s, old_size), -1);
    }
    return 0;
}

/* ---- Walking a tree ------------------------------------------------------- */

typedef struct Walk {
    Qcow2 *s;
    int addend;
    bool fix_copied;   /* set the copied bits from the counts */
    uint64_t done;     /* references changed so far */
    uint64_t limit;    /* stop after so many (undo) */
} Walk;

static int walk_ref(Walk *w, uint64_t offset, uint64_t bytes)
{
    uint64_t first = offset >> w->s->cluster_bits;
    uint64_t n = ((offset + bytes - 1) >> w->s->cluster_bits) - first + 1;
    int ret = 0;

    if (w->addend && w->done < w->limit) {
        ret = qcow2_refcount_add(w->s, first, n, w->addend);
        w->done += ret == 0;
    }
    return ret;
}

/* The copied bit that an entry for this cluster should have. */
static int wanted_copied(Walk *w, uint64_t offset, uint64_t *bit)
{
    uint64_t count;
    int ret =
        qcow2_refcount_get(w->s, offset >> w->s->cluster_bits, &count);

    *bit = ret == 0 && count == 1 ? QCOW2_ENTRY_COPIED : 0;
    return ret;
}

static int walk_entry(Walk *w, uint64_t *word, bool *changed)
{
    Qcow2 *s = w->s;
    uint64_t host = *word & QCOW2_OFFSET_MASK;
    uint64_t offset, bytes, bit;
    int ret;

    if (*word & QCOW2_ENTRY_COMPRESSED) {
        qcow2_compressed_range(s, *word, &offset, &bytes);
        return walk_ref(w, offset, bytes);
    }
    if (host == 0) {
        return 0;
    }
    if (host & (s->cluster_size - 1)) {
        return qcow2_corrupt(s, true, UINT64_MAX, 0,
                             "Cluster allocation offset %#" PRIx64
                             " unaligned", host);
    }
    ret = walk_ref(w, host, s->cluster_size);
    if (ret == 0 && w->fix_copied) {
        ret = wanted_copied(w, host, &bit);
        if (ret == 0 && bit != (*word & QCOW2_ENTRY_COPIED)) {
            *word ^= QCOW2_ENTRY_COPIED;
            *changed = true;
        }
    }
    return ret;
}

static int walk_l2(Walk *w, uint64_t table, uint64_t *l2)
{
    Qcow2 *s = w->s;
    bool changed = false;
    int ret = block_pread(qcow2_file(s), table, s->cluster_size, l2, 0);

    for (uint64_t i = 0; i < s->cluster_size / 8 && ret == 0;
         i += s->entry_words) {
        uint64_t word = ldq_be_p(&l2[i]);

        if (word) {
            ret = walk_entry(w, &word, &changed);
            stq_be_p(&l2[i], word);
        }
        if (w->addend && w->done >= w->limit) {
            break;
        }
    }
    if (ret == 0 && changed) {
        ret = block_pwrite(qcow2_file(s), table, s->cluster_size, l2, 0);
        s->meta_unsynced = true;
    }
    return ret;
}

static int walk_tree(Walk *w, uint64_t *l1, uint32_t l1_size)
{
    Qcow2 *s = w->s;
    g_autofree uint64_t *l2 = g_try_malloc(s->cluster_size);
    int ret = l2 ? 0 : -ENOMEM;

    for (uint32_t i = 0; i < l1_size && ret == 0; i++) {
        uint64_t table = l1[i] & QCOW2_OFFSET_MASK;
        uint64_t bit;

        if (table == 0) {
            continue;
        }
        if (table & (s->cluster_size - 1)) {
            return qcow2_corrupt(s, true, UINT64_MAX, 0,
                                 "L2 table offset %#" PRIx64 " unaligned (L1 "
                                 "index: %#" PRIx32 ")", table, i);
        }
        ret = walk_l2(w, table, l2);
        if (ret == 0) {
            ret = walk_ref(w, table, s->cluster_size);
        }
        if (ret == 0 && w->fix_copied) {
            ret = wanted_copied(w, table, &bit);
            l1[i] = (l1[i] & ~QCOW2_ENTRY_COPIED) | bit;
        }
    }
    return ret;
}

/* Changes all counts of a tree, or none. */
static int count_tree(Qcow2 *s, uint64_t *l1, uint32_t l1_size, int addend)
{
    Walk w = { .s = s, .addend = addend, .limit = UINT64_MAX };
    int ret = walk_tree(&w, l1, l1_size);

    if (ret < 0 && w.done) {
        Walk undo = { .s = s, .addend = -addend, .limit = w.done };

        (void)walk_tree(&undo, l1, l1_size);
    }
    return ret;
}

/* Sets the copied bits of the active tree from the counts, on disk. */
static int fix_copied(Qcow2 *s)
{
    Walk w = { .s = s, .fix_copied = true };
    int ret = qcow2_settle(s);

    if (ret == 0) {
        ret = walk_tree(&w, s->l1, s->l1_size);
    }
    return ret < 0 ? ret : qcow2_write_l1(s);
}

static int quiesce(Qcow2 *s)
{
    int ret = qcow2_settle(s);

    if (ret == 0) {
        ret = qcow2_settle(s);
    }
    if (ret == 0) {
        qcow2_l2_drop(s);
    }
    return ret;
}

/* A snapshot's L1 table in host order. */
static uint64_t *read_snapshot_l1(Qcow2 *s, const Qcow2Snapshot *sn,
                                  GError **error)
{
    g_autofree uint64_t *l1 = NULL;
    int ret;

    if (sn->l1_size > QCOW2_MAX_L1_BYTES / 8) {
        (void)FAIL(EFBIG, "Snapshot L1 table too large");
        return NULL;
    }
    if (sn->l1_offset & (s->cluster_size - 1) ||
        sn->l1_offset > QCOW2_MAX_HOST_OFFSET) {
        (void)FAIL(EINVAL, "Snapshot L1 table offset invalid");
        return NULL;
    }
    l1 = g_try_new0(uint64_t, MAX(sn->l1_size, 1));
    ret = l1 ? block_pread(qcow2_file(s), sn->l1_offset, sn->l1_size * 8ull,
                           l1, 0)
             : -ENOMEM;
    if (ret < 0) {
        block_error_set_errno(error, -ret,
                              "Failed to read l1 table for snapshot");
        return NULL;
    }
    for (uint32_t i = 0; i < sn->l1_size; i++) {
        l1[i] = ldq_be_p(&l1[i]);
    }
    return g_steal_pointer(&l1);
}

static Qcow2Snapshot *find_snapshot(Qcow2 *s, const char *id,
                                    const char *name)
{
    for (guint i = 0; i < s->snapshots->len; i++) {
        Qcow2Snapshot *sn = &g_array_index(s->snapshots, Qcow2Snapshot, i);

        if ((id || name) && (!id || !strcmp(sn->id, id)) &&
            (!name || !strcmp(sn->name, name))) {
            return sn;
        }
    }
    return NULL;
}

/* ---- Operations ----------------------------------------------------------- */

static uint64_t vm_state_offset(const Qcow2 *s)
{
    uint64_t reach = UINT64_C(1) << (s->cluster_bits + s->l2_bits);

    return (s->header.size + reach - 1) & ~(reach - 1);
}

static char *next_id(Qcow2 *s)
{
    unsigned long max = 0;

    for (guint i = 0; i < s->snapshots->len; i++) {
        unsigned long id = strtoul(
            g_array_index(s->snapshots, Qcow2Snapshot, i).id, NULL, 10);

        max = MAX(max, id);
    }
    return g_strdup_printf("%lu", max + 1);
}

static int copy_l1(Qcow2 *s, Qcow2Snapshot *sn)
{
    g_autofree uint64_t *disk = g_new(uint64_t, MAX(s->l1_size, 1));
    int ret = qcow2_alloc_exact(s, MAX(s->l1_size, 1) * 8ull,
                                QCOW2_META_INACTIVE_L1, &sn->l1_offset);

    for (uint32_t i = 0; i < s->l1_size; i++) {
        stq_be_p(&disk[i], s->l1[i] & ~QCOW2_ENTRY_COPIED);
    }
    sn->l1_size = s->l1_size;
    return ret < 0 ? ret
                   : block_pwrite(qcow2_file(s), sn->l1_offset,
                                  s->l1_size * 8ull, disk, 0);
}

static int do_create(Qcow2 *s, Qcow2Snapshot *sn, GError **error)
{
    int ret = quiesce(s);

    if (ret == 0) {
        ret = copy_l1(s, sn);
    }
    if (ret < 0) {
        return ret;
    }
    ret = count_tree(s, s->l1, s->l1_size, 1);
    if (ret == 0) {
        ret = fix_copied(s);
    }
    if (ret < 0) {
        (void)qcow2_refcount_add(s, sn->l1_offset >> s->cluster_bits,
                                 qcow2_clusters(s, sn->l1_size * 8ull), -1);
        return ret;
    }
    g_array_append_val(s->snapshots, *sn);
    ret = qcow2_snapshots_write(s, error);
    if (ret < 0) {
        g_array_set_clear_func(s->snapshots, NULL);
        g_array_set_size(s->snapshots, s->snapshots->len - 1);
        g_array_set_clear_func(s->snapshots, qcow2_snapshot_clear);
        (void)count_tree(s, s->l1, s->l1_size, -1);
        (void)fix_copied(s);
    }
    return ret;
}

bool qcow2_snapshot_create(BlockNode *node, const BlockSnapshot *snapshot,
                           GError **error)
{
    Qcow2 *s = qcow2_state(node);
    Qcow2Snapshot sn = {
        .name = g_strdup(snapshot->name),
        .date_sec = snapshot->date_sec,
        .date_nsec = snapshot->date_nsec,
        .vm_clock_ns = snapshot->vm_clock_ns,
        .vm_state_size = snapshot->vm_state_size,
        .icount = snapshot->icount,
        .disk_size = s->header.size,
        .has_disk_size = true,
    };
    int ret;

    if (s->data_edge || s->snapshots->len >= QCOW2_MAX_SNAPSHOTS) {
        g_free(sn.name);
        ret = s->data_edge ? ENOTSUP : EFBIG;
        return FAIL(ret, "%s", strerror(ret));
    }
    sn.id = next_id(s);
    ret = do_create(s, &sn, error);
    if (ret < 0) {
        qcow2_snapshot_clear(&sn);
        if (error && !*error) {
            g_set_error(error, BLOCK_ERROR, -ret, "%s", strerror(-ret));
        }
        return false;
    }
    if (snapshot->vm_state_size) {
        /* The state belongs to the snapshot now, not to the disk. */
        (void)qcow2_discard_all(
            s, vm_state_offset(s),
            qcow2_clusters(s, snapshot->vm_state_size) << s->cluster_bits);
    }
    return true;
}

/* Makes l1 (of sn) the active table: it is counted already. */
static int switch_active(Qcow2 *s, const Qcow2Snapshot *sn,
                         const uint64_t *l1, GError **error)
{
    uint64_t old_size = s->header.size;
    int ret = qcow2_settle(s);

    memset(s->l1, 0, s->l1_size * 8ull);
    memcpy(s->l1, l1, MIN(sn->l1_size, s->l1_size) * 8ull);
    if (ret == 0) {
        ret = qcow2_write_l1(s);
    }
    if (ret == 0 && sn->disk_size != old_size) {
        s->header.size = sn->disk_size;
        ret = qcow2_write_header(s, error);
        block_node_set_length(s->node, s->header.size);
    }
    return ret < 0 ? ret : block_flush(qcow2_file(s));
}

bool qcow2_snapshot_goto(BlockNode *node, const char *id_or_name,
                         GError **error)
{
    Qcow2 *s = qcow2_state(node);
    Qcow2Snapshot *sn = find_snapshot(s, id_or_name, NULL);
    g_autofree uint64_t *l1 = NULL;
    g_autofree uint64_t *old = NULL;
    uint32_t old_size;
    int ret;

    sn = sn ? sn : find_snapshot(s, NULL, id_or_name);
    if (s->data_edge) {
        return FAIL(ENOTSUP, "%s", strerror(ENOTSUP));
    }
    if (!sn) {
        return FAIL(ENOENT, "%s", strerror(ENOENT));
    }
    l1 = read_snapshot_l1(s, sn, error);
    if (!l1) {
        return false;
    }
    ret = quiesce(s);
    if (ret == 0) {
        ret = qcow2_grow_l1(s, sn->l1_size);
    }
    old_size = s->l1_size;
    old = g_new(uint64_t, MAX(old_size, 1));
    memcpy(old, s->l1, old_size * 8ull);
    if (ret == 0) {
        ret = count_tree(s, l1, sn->l1_size, 1);
    }
    if (ret == 0) {
        ret = switch_active(s, sn, l1, error);
    }
    if (ret == 0) {
        ret = count_tree(s, old, old_size, -1);
    }
    if (ret == 0) {
        ret = fix_copied(s);
    }
    qcow2_l2_drop(s);
    qcow2_meta_drop(s);
    if (ret < 0 && error && !*error) {
        g_set_error(error, BLOCK_ERROR, -ret, "%s", strerror(-ret));
    }
    return ret == 0;
}

bool qcow2_snapshot_delete(BlockNode *node, const char *id, const char *name,
                           GError **error)
{
    Qcow2 *s = qcow2_state(node);
    Qcow2Snapshot *sn = find_snapshot(s, id, name);
    g_autofree uint64_t *l1 = NULL;
    Qcow2Snapshot gone;
    guint index;
    int ret;

    if (!sn) {
        return FAIL(ENOENT, "Can't find the snapshot");
    }
    l1 = read_snapshot_l1(s, sn, error);
    if (!l1) {
        return false;
    }
    ret = quiesce(s);
    if (ret < 0) {
        return FAIL(-ret, "%s", strerror(-ret));
    }
    gone = *sn;
    index = sn - &g_array_index(s->snapshots, Qcow2Snapshot, 0);
    g_array_set_clear_func(s->snapshots, NULL);
    g_array_remove_index(s->snapshots, index);
    g_array_set_clear_func(s->snapshots, qcow2_snapshot_clear);
    ret = qcow2_snapshots_write(s, error);
    if (ret < 0) {
        g_array_insert_val(s->snapshots, index, gone);
        g_prefix_error(error, "Failed to remove snapshot from snapshot list: ");
        if (error && !*error) {
            block_error_set_errno(error, -ret, "Failed to remove snapshot "
                                  "from snapshot list");
        }
        return false;
    }
    ret = count_tree(s, l1, gone.l1_size, -1);
    if (ret == 0) {
        qcow2_meta_remove(s, gone.l1_offset, gone.l1_size * 8ull);
        ret = qcow2_refcount_add(s, gone.l1_offset >> s->cluster_bits,
                                 qcow2_clusters(s, gone.l1_size * 8ull), -1);
    }
    if (ret == 0) {
        ret = fix_copied(s);
    }
    qcow2_snapshot_clear(&gone);
    if (ret < 0) {
        block_error_set_errno(error, -ret, "Failed to free the cluster and L1 "
                              "table");
    }
    return ret == 0;
}

bool qcow2_snapshot_list(BlockNode *node, BlockSnapshot **list, size_t *n,
                         GError **error)
{
    Qcow2 *s = qcow2_state(node);

    *n = s->snapshots->len;
    *list = g_new0(BlockSnapshot, MAX(*n, 1));
    for (guint i = 0; i < s->snapshots->len; i++) {
        Qcow2Snapshot *sn = &g_array_index(s->snapshots, Qcow2Snapshot, i);
        BlockSnapshot *out = &(*list)[i];

        g_strlcpy(out->id, sn->id, sizeof(out->id));
        g_strlcpy(out->name, sn->name, sizeof(out->name));
        out->vm_state_size = sn->vm_state_size;
        out->date_sec = sn->date_sec;
        out->date_nsec = sn->date_nsec;
        out->vm_clock_ns = sn->vm_clock_ns;
        out->icount = sn->icount;
    }
    return true;
}

bool qcow2_snapshot_load(BlockNode *node, const char *id, const char *name,
                         GError **error)
{
    Qcow2 *s = qcow2_state(node);
    Qcow2Snapshot *sn = find_snapshot(s, id, name);
    uint64_t *l1;

    if (!sn && !g_strcmp0(id, name)) {
        /* The caller does not know which of the two it has. */
        sn = find_snapshot(s, id, NULL);
        sn = sn ? sn : find_snapshot(s, NULL, name);
    }
    if (!sn) {
        return FAIL(ENOENT, "Can't find snapshot");
    }
    if (!node->read_only) {
        return FAIL(EINVAL, "Device is not readonly");
    }
    l1 = read_snapshot_l1(s, sn, error);
    if (!l1) {
        return false;
    }
    g_free(s->l1);
    s->l1 = l1;
    s->l1_size = sn->l1_size;
    s->header.size = sn->disk_size;
    block_node_set_length(node, sn->disk_size);
    qcow2_l2_drop(s);
    return true;
}

/* ---- VM state: guest addresses beyond the disk ----------------------------- */

int qcow2_vmstate_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                         const struct iovec *iov, int niov)
{
    Qcow2 *s = qcow2_state(node);
    unsigned token = qcow2_enter(s);
    int ret;

    block_debug_event(qcow2_file(s), "vmstate_load");
    ret = qcow2_read_range(s, vm_state_offset(s) + offset, bytes, iov, niov,
                           0);

    qcow2_leave(s, token);
    return ret;
}

int qcow2_vmstate_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                          const struct iovec *iov, int niov)
{
    Qcow2 *s = qcow2_state(node);
    unsigned shift = s->cluster_bits + s->l2_bits;
    uint64_t start = vm_state_offset(s) + offset;
    unsigned token;
    int ret;

    if (s->data_edge) {
        return -ENOTSUP;
    }
    ret = qcow2_grow_l1(s, ((start + bytes - 1) >> shift) + 1);
    if (ret < 0) {
        return ret;
    }
    block_debug_event(qcow2_file(s), "vmstate_save");
    token = qcow2_enter(s);
    ret = qcow2_write_range(s, start, bytes, iov, niov);
    qcow2_leave(s, token);
    return ret;
}
