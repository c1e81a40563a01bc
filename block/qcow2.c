/*
 * The qcow2 driver: opening, closing, reading, block status, driver table.
 *
 * An overview of the parts is in qcow2-int.h; on-disk structures are in
 * qcow2-format.h.  An image is loaded in the order of its dependencies:
 * header, external data file, refcount table, L1, snapshots, bitmaps.  Every
 * offset and size in it is checked where it is read; damage that only shows
 * later goes through qcow2_corrupt().
 */
#include "block/qcow2-int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "block/options.h"
#include "util/bytes.h"

#define DEFAULT_L2_CACHE (32u << 20)

/* ---- Header and damage ---------------------------------------------------- */

int qcow2_write_header(Qcow2 *s, GError **error)
{
    g_autofree uint8_t *buf = g_try_malloc(s->cluster_size);
    int ret;

    if (!buf) {
        g_set_error(error, BLOCK_ERROR, ENOMEM, "Could not write the header");
        return -ENOMEM;
    }
    s->header.l1_size = s->l1_size;
    if (!qcow2_header_format(&s->header, buf, s->cluster_size, error)) {
        return -ENOSPC;
    }
    ret = block_pwrite(qcow2_file(s), 0, s->cluster_size, buf, 0);
    if (ret < 0) {
        block_error_set_errno(error, -ret, "Could not write the header");
    }
    return ret;
}

int qcow2_update_incompat(Qcow2 *s, uint64_t set, uint64_t clear)
{
    uint64_t value = (s->header.incompatible | set) & ~clear;
    uint8_t disk[8];
    int ret;

    if (value == s->header.incompatible || s->header.version < 3) {
        return 0;
    }
    stq_be_p(disk, value);
    ret = block_pwrite(qcow2_file(s), 72, 8, disk, 0);
    if (ret == 0) {
        ret = block_flush(qcow2_file(s));
    }
    if (ret == 0) {
        s->header.incompatible = value;
    }
    return ret;
}

int qcow2_corrupt(Qcow2 *s, bool fatal, uint64_t offset, uint64_t size,
                  const char *format, ...)
{
    bool writable = !s->node->read_only;
    g_autofree char *message = NULL;
    json_t *data;
    va_list ap;

    fatal = fatal && writable;
    if (__atomic_load_n(&s->corrupt, __ATOMIC_RELAXED) ||
        (__atomic_exchange_n(&s->signaled, 1, __ATOMIC_RELAXED) && !fatal)) {
        return -EIO;
    }
    va_start(ap, format);
    message = g_strdup_vprintf(format, ap);
    va_end(ap);
    if (fatal) {
        fprintf(stderr, "qcow2: Marking image as corrupt: %s; further "
                "corruption events will be suppressed\n", message);
    } else {
        fprintf(stderr, "qcow2: Image is corrupt: %s; further non-fatal "
                "corruption events will be suppressed\n", message);
    }
    data = json_pack("{s:s, s:s, s:s, s:b}", "device", "", "node-name",
                     block_node_name(s->node), "msg", message, "fatal",
                     (int)fatal);
    if (offset != UINT64_MAX) {
        json_object_set_new(data, "offset", json_integer(offset));
        json_object_set_new(data, "size", json_integer(size));
    }
    block_event("BLOCK_IMAGE_CORRUPTED", data);
    if (fatal) {
        /* Best effort: from here on nothing else is written. */
        (void)qcow2_update_incompat(s, QCOW2_INCOMPAT_CORRUPT, 0);
        __atomic_store_n(&s->corrupt, 1, __ATOMIC_RELAXED);
    }
    return -EIO;
}

/* ---- Loading -------------------------------------------------------------- */

void qcow2_set_geometry(Qcow2 *s)
{
    const Qcow2Header *h = &s->header;

    s->cluster_bits = h->cluster_bits;
    s->cluster_size = UINT64_C(1) << h->cluster_bits;
    s->extl2 = h->incompatible & QCOW2_INCOMPAT_EXTL2;
    s->entry_words = s->extl2 ? 2 : 1;
    s->l2_bits = s->cluster_bits - (s->extl2 ? 4 : 3);
    s->slice_bits = MIN(s->l2_bits, s->extl2 ? 8 : 9); /* 4 KiB */
    s->sc_bits = s->extl2 ? s->cluster_bits - 5 : s->cluster_bits;
    s->csize_shift = 62 - (s->cluster_bits - 8);
    s->csize_mask = (UINT64_C(1) << (s->cluster_bits - 8)) - 1;
    s->coffset_mask = (UINT64_C(1) << s->csize_shift) - 1;
    s->refcount_order = h->refcount_order;
    s->refcount_max = h->refcount_order == 6
                          ? UINT64_MAX
                          : (UINT64_C(1) << (1u << h->refcount_order)) - 1;
    s->refblock_bits = s->cluster_bits + 3 - h->refcount_order;
    s->raw_data = h->autoclear & QCOW2_AUTOCLEAR_RAW_DATA;
}

static bool read_header(Qcow2 *s, unsigned flags, GError **error)
{
    BlockNode *file = qcow2_file(s);
    int64_t length = block_length(file);
    uint8_t head[QCOW2_HEADER_LENGTH] = { 0 };
    g_autofree uint8_t *cluster = NULL;
    size_t len;
    int ret;

    if (length < 0) {
        block_error_set_errno(error, -length, "Could not read qcow2 header");
        return false;
    }
    len = MIN((uint64_t)length, sizeof(head));
    ret = len ? block_pread(file, 0, len, head, 0) : 0;
    if (ret == 0 && len >= QCOW2_HEADER_V2) {
        len = MIN((uint64_t)length, qcow2_header_bytes_wanted(head, len));
        cluster = g_malloc0(MAX(len, sizeof(head)));
        ret = block_pread(file, 0, len, cluster, 0);
    }
    if (ret < 0) {
        block_error_set_errno(error, -ret, "Could not read qcow2 header");
        return false;
    }
    return qcow2_header_parse(&s->header, cluster ? cluster : head, len,
                              flags & BLOCK_OPEN_CHECK ? QCOW2_PARSE_CHECK
                                                       : 0,
                              error);
}

static bool read_l1(Qcow2 *s, GError **error)
{
    int ret = 0;

    s->l1_size = s->header.l1_size;
    s->l1 = g_try_new0(uint64_t, MAX(s->l1_size, 1));
    if (!s->l1) {
        g_set_error(error, BLOCK_ERROR, ENOMEM,
                    "Could not allocate L1 table");
        return false;
    }
    if (s->l1_size) {
        ret = block_pread(qcow2_file(s), s->header.l1_offset,
                          s->l1_size * 8ull, s->l1, 0);
    }
    if (ret < 0) {
        block_error_set_errno(error, -ret, "Could not read L1 table");
        return false;
    }
    for (uint32_t i = 0; i < s->l1_size; i++) {
        s->l1[i] = ldq_be_p(&s->l1[i]);
    }
    return true;
}

typedef struct OpenOptions {
    bool lazy;
    uint64_t l2_cache;
    bool request, snapshot, other, no_unref, bitmaps_at_flush;
    unsigned overlap;
} OpenOptions;

#define OVERLAP_WORDS "none/constant/cached/all"

/* The members of "overlap-check" beside its template. */
static const struct {
    const char *name;
    unsigned kinds;
    int level; /* the first word of OVERLAP_WORDS that has them */
} overlap_kinds[] = {
    { "main-header", 1u << QCOW2_META_HEADER, 1 },
    { "active-l1", 1u << QCOW2_META_ACTIVE_L1, 2 },
    { "active-l2", 1u << QCOW2_META_ACTIVE_L2, 2 },
    { "refcount-table", 1u << QCOW2_META_REFTABLE, 1 },
    { "refcount-block", 1u << QCOW2_META_REFBLOCK, 2 },
    { "snapshot-table", 1u << QCOW2_META_SNAPSHOT_TABLE, 1 },
    { "inactive-l1", 1u << QCOW2_META_INACTIVE_L1, 2 },
    { "inactive-l2", 1u << QCOW2_META_INACTIVE_L2, 3 },
    { "bitmap-directory", 1u << QCOW2_META_BITMAP_DIR, 2 },
};

static const BlockOption overlap_options[] = {
    { "template", BLOCK_OPT_ENUM, OVERLAP_WORDS },
    { "main-header", BLOCK_OPT_BOOL },    { "active-l1", BLOCK_OPT_BOOL },
    { "active-l2", BLOCK_OPT_BOOL },      { "refcount-table", BLOCK_OPT_BOOL },
    { "refcount-block", BLOCK_OPT_BOOL }, { "snapshot-table", BLOCK_OPT_BOOL },
    { "inactive-l1", BLOCK_OPT_BOOL },    { "inactive-l2", BLOCK_OPT_BOOL },
    { "bitmap-directory", BLOCK_OPT_BOOL },
    { NULL },
};

static bool parse_overlap(json_t *options, unsigned *kinds, GError **error)
{
    json_t *value = json_object_get(options, "overlap-check");
    json_t *object = json_is_object(value) ? value : NULL;
    int level = 2; /* cached */

    if (object ? !block_options_check(object, overlap_options, error) ||
                     !block_options_enum(object, "template", OVERLAP_WORDS,
                                         &level, error)
               : !block_options_enum(options, "overlap-check", OVERLAP_WORDS,
                                     &level, error)) {
        return false;
    }
    *kinds = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(overlap_kinds); i++) {
        bool on = level >= overlap_kinds[i].level;

        if (object && !block_options_bool(object, overlap_kinds[i].name, &on,
                                          error)) {
            return false;
        }
        *kinds |= on ? overlap_kinds[i].kinds : 0;
    }
    return true;
}

static bool parse_options(Qcow2 *s, json_t *options, unsigned flags,
                          OpenOptions *o, GError **error)
{
    uint64_t total = 0, refcount_cache = 0, entry = 0;
    int64_t interval = 0;

    o->lazy = s->header.compatible & QCOW2_COMPAT_LAZY_REFCOUNTS;
    o->l2_cache = DEFAULT_L2_CACHE;
    o->request = flags & BLOCK_OPEN_UNMAP;
    o->snapshot = true;
    if (!block_options_bool(options, "lazy-refcounts", &o->lazy, error) ||
        !block_options_size(options, "cache-size", &total, error) ||
        !block_options_size(options, "l2-cache-size", &o->l2_cache, error) ||
        !block_options_size(options, "l2-cache-entry-size", &entry, error) ||
        !block_options_size(options, "refcount-cache-size", &refcount_cache,
                            error) ||
        !block_options_int(options, "cache-clean-interval", &interval,
                           error) ||
        !block_options_bool(options, "pass-discard-request", &o->request,
                            error) ||
        !block_options_bool(options, "pass-discard-snapshot", &o->snapshot,
                            error) ||
        !block_options_bool(options, "pass-discard-other", &o->other,
                            error) ||
        !block_options_bool(options, "discard-no-unref", &o->no_unref,
                            error) ||
        !block_options_bool(options, "bitmaps-at-flush",
                            &o->bitmaps_at_flush, error) ||
        !parse_overlap(options, &o->overlap, error)) {
        return false;
    }
    if (block_options_get(options, "cache-size") &&
        block_options_get(options, "l2-cache-size") &&
        block_options_get(options, "refcount-cache-size")) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "cache-size, l2-cache-size and refcount-cache-size may "
                    "not be set at the same time");
        return false;
    }
    if (total && o->l2_cache > total &&
        block_options_get(options, "l2-cache-size")) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "l2-cache-size may not exceed cache-size");
        return false;
    }
    if (total && refcount_cache > total) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "refcount-cache-size may not exceed cache-size");
        return false;
    }
    if (entry && (entry < 512 || entry > s->cluster_size ||
                  (entry & (entry - 1)))) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "L2 cache entry size must be a power of two between 512 "
                    "and the cluster size (%" PRIu64 ")", s->cluster_size);
        return false;
    }
    if (o->lazy && s->header.version < 3) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Lazy refcounts require a qcow2 image with at least "
                    "qemu 1.1 compatibility level");
        return false;
    }
    if (total && !block_options_get(options, "l2-cache-size")) {
        o->l2_cache = total - MIN(refcount_cache, total);
    }
    return true;
}

static void apply_options(Qcow2 *s, const OpenOptions *o)
{
    s->lazy = o->lazy;
    s->pass_discard_request = o->request;
    s->pass_discard_snapshot = o->snapshot;
    s->pass_discard_other = o->other;
    s->discard_no_unref = o->no_unref;
    qcow2_bitmap_flush_init(s, o->bitmaps_at_flush);
    s->overlap = o->overlap;
}

/* The data file named in the header, relative to the image. */
static bool open_named_data_file(Qcow2 *s, GError **error)
{
    const char *name = s->header.data_file;
    g_autofree char *dir =
        g_path_get_dirname(block_node_filename(qcow2_file(s)));
    bool special = block_driver_for_protocol(name) ||
                   g_str_has_prefix(name, "json:");
    g_autofree char *path =
        special || g_path_is_absolute(name) || !strcmp(dir, ".")
            ? g_strdup(name) : g_build_filename(dir, name, NULL);
    unsigned flags =
        s->node->flags & (BLOCK_OPEN_RDWR | BLOCK_OPEN_AUTO_RDONLY |
                          BLOCK_OPEN_DIRECT | BLOCK_OPEN_NO_FLUSH |
                          BLOCK_OPEN_UNMAP | BLOCK_OPEN_FORCE_SHARE |
                          BLOCK_OPEN_AIO_MASK | BLOCK_OPEN_NO_MAP);
    json_t *plain = json_pack("{s:s, s:s}", "driver", "file", "filename",
                              path);
    g_autoptr(BlockNode) child =
        special
            ? block_node_open_filename(path, "raw", NULL, flags, error)
            : block_node_open(plain, flags, error);

    json_decref(plain);
    if (child) {
        s->data_edge = block_attach_child(s->node, child, "data-file",
                                          BLOCK_ROLE_DATA, error);
    }
    return s->data_edge != NULL;
}

static bool open_data_file(Qcow2 *s, json_t *options, unsigned flags,
                           GError **error)
{
    bool wanted = s->header.incompatible & QCOW2_INCOMPAT_DATA_FILE;
    GError *local = NULL;

    if (s->data_edge) {
        return true;
    }
    s->data_edge = block_open_child(s->node, options, "data-file",
                                    BLOCK_ROLE_DATA, true, &local);
    if (local) {
        g_propagate_error(error, local);
        return false;
    }
    if (s->data_edge && !wanted) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "'data-file' can only be set "
                    "for images with an external data file");
        return false;
    }
    if (!wanted || s->data_edge) {
        return true;
    }
    if (s->header.data_file) {
        if (open_named_data_file(s, error)) {
            return true;
        }
        return flags & BLOCK_OPEN_NO_IO ? (g_clear_error(error), true)
                                        : false;
    }
    if (flags & BLOCK_OPEN_NO_IO) {
        return true;
    }
    g_set_error(error, BLOCK_ERROR, EINVAL,
                "'data-file' is required for this image");
    return false;
}

static bool load_tables(Qcow2 *s, uint64_t l2_cache, unsigned flags,
                        GError **error)
{
    return qcow2_refcount_init(s, error) && read_l1(s, error) &&
           qcow2_l2_init(s, l2_cache, error) &&
           qcow2_snapshots_read(s, flags & BLOCK_OPEN_CHECK, NULL, error);
}

/* Bits of features whose data we are about to make stale. */
static bool drop_autoclear(Qcow2 *s, GError **error)
{
    if (s->header.autoclear & ~QCOW2_AUTOCLEAR_MASK) {
        s->header.autoclear &= QCOW2_AUTOCLEAR_MASK;
        if (qcow2_write_header(s, error) < 0) {
            g_prefix_error(error, "Could not update qcow2 header: ");
            return false;
        }
    }
    return true;
}

/* What a writer does before anything else. */
static bool prepare_writing(Qcow2 *s, unsigned flags, GError **error)
{
    BlockCheckResult result = { 0 };
    GError *local = NULL;

    if (!(s->header.incompatible & QCOW2_INCOMPAT_DIRTY)) {
        return true;
    }
    if (!qcow2_check(s->node, &result, BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS,
                     &local) ||
        result.check_errors) {
        g_propagate_prefixed_error(
            error,
            local ? local
                  : g_error_new(BLOCK_ERROR, EIO, "%s", strerror(EIO)),
            "Could not repair dirty image: ");
        return false;
    }
    return true;
}

static void unload(Qcow2 *s)
{
    qcow2_refcount_free(s);
    qcow2_l2_free(s);
    g_clear_pointer(&s->snapshots, g_array_unref);
    qcow2_header_clear(&s->header);
}

static bool load(Qcow2 *s, json_t *options, unsigned flags, GError **error)
{
    BlockNode *node = s->node;
    OpenOptions o = { 0 };
    bool writing = !node->read_only &&
                   !(flags & (BLOCK_OPEN_CHECK | BLOCK_OPEN_INACTIVE));
    BlockNode *file;

    if (!read_header(s, flags, error)) {
        return false;
    }
    qcow2_set_geometry(s);
    if ((s->header.incompatible & QCOW2_INCOMPAT_CORRUPT) &&
        !node->read_only && !(flags & BLOCK_OPEN_CHECK)) {
        g_set_error(error, BLOCK_ERROR, EACCES, "qcow2: Image is corrupt; "
                    "cannot be opened read/write");
        return false;
    }
    if (!qcow2_compression_available(s->header.compression_type)) {
        g_set_error(error, BLOCK_ERROR, ENOTSUP,
                    "qcow2: zstd compressed images are not supported by "
                    "this build");
        return false;
    }
    if (!parse_options(s, options, flags, &o, error) ||
        !open_data_file(s, options, flags, error) ||
        (s->data_edge && !block_refresh_perms(node, error))) {
        return false;
    }
    apply_options(s, &o);
    file = block_node_skip_filters(qcow2_file(s));
    s->virgin_zero = (block_node_driver(file)->flags &
                      BLOCK_DRIVER_ZERO_PAST_END) &&
                     (block_node_driver(file)->flags & BLOCK_DRIVER_GROWABLE);
    if (!load_tables(s, o.l2_cache, flags, error)) {
        return false;
    }
    node->length = s->header.size;
    node->limits.cluster_size = s->cluster_size;
    node->backing_filename = g_strdup(s->header.backing_file);
    node->backing_format = g_strdup(s->header.backing_format);
    if (!node->read_only && !(flags & BLOCK_OPEN_INACTIVE) &&
        !drop_autoclear(s, error)) {
        return false;
    }
    if (writing && !prepare_writing(s, flags, error)) {
        return false;
    }
    return flags & (BLOCK_OPEN_CHECK | BLOCK_OPEN_INACTIVE) ||
           qcow2_bitmaps_load(s, error);
}

static bool qcow2_open(BlockNode *node, json_t *options, GError **error)
{
    Qcow2 *s = qcow2_state(node);

    s->node = node;
    g_mutex_init(&s->lock);
    g_mutex_init(&s->bitmap_lock);
    g_cond_init(&s->in_flight_done);
    if (posix_memalign((void **)&s->stripes, 64,
                       QCOW2_STRIPES * sizeof(Qcow2Stripe))) {
        g_set_error(error, BLOCK_ERROR, ENOMEM, "Could not open the image");
        return false;
    }
    memset(s->stripes, 0, QCOW2_STRIPES * sizeof(Qcow2Stripe));
    /* Locks and the right to grow are needed before the first write. */
    if (block_open_child(node, options, "file", BLOCK_ROLE_FILE, false,
                         error) &&
        block_refresh_perms(node, error) &&
        load(s, options, node->flags, error)) {
        return true;
    }
    unload(s);
    g_clear_pointer(&node->backing_filename, g_free);
    g_clear_pointer(&node->backing_format, g_free);
    g_mutex_clear(&s->lock);
    g_mutex_clear(&s->bitmap_lock);
    g_cond_clear(&s->in_flight_done);
    free(s->stripes);
    s->stripes = NULL;
    return false;
}

/* ---- Closing -------------------------------------------------------------- */

/* Makes the file complete on its own: bitmaps, refcounts, clean bit. */
static bool put_to_rest(Qcow2 *s, bool release, GError **error)
{
    bool lazy = s->lazy;
    bool ok = true;
    int ret;

    if (s->node->read_only || (s->node->flags & BLOCK_OPEN_INACTIVE) ||
        __atomic_load_n(&s->corrupt, __ATOMIC_RELAXED)) {
        return true;
    }
    g_mutex_lock(&s->lock);
    s->lazy = false; /* refcounts are written now */
    ret = qcow2_settle(s);
    if (ret == 0) {
        ret = qcow2_settle(s); /* what the frees changed */
    }
    g_mutex_unlock(&s->lock);
    if (ret == 0) {
        ok = qcow2_bitmaps_store(s, release, error);
    }
    s->lazy = lazy;
    if (ret == 0) {
        ret = qcow2_update_incompat(s, 0, QCOW2_INCOMPAT_DIRTY);
    }
    if (ret < 0) {
        block_error_set_errno(ok ? error : NULL, -ret,
                              "Could not write the image's metadata");
        return false;
    }
    return ok;
}

static void qcow2_close(BlockNode *node)
{
    Qcow2 *s = qcow2_state(node);
    g_autoptr(GError) error = NULL;

    if (!put_to_rest(s, true, &error)) {
        fprintf(stderr, "qcow2: %s: %s\n", block_node_filename(node),
                error ? error->message : "Could not close cleanly");
    }
    unload(s);
    g_mutex_clear(&s->lock);
    g_mutex_clear(&s->bitmap_lock);
    g_cond_clear(&s->in_flight_done);
    free(s->stripes);
}

static bool qcow2_inactivate(BlockNode *node, GError **error)
{
    return put_to_rest(qcow2_state(node), true, error);
}

static bool qcow2_activate(BlockNode *node, GError **error)
{
    Qcow2 *s = qcow2_state(node);

    unload(s);
    g_clear_pointer(&node->backing_filename, g_free);
    g_clear_pointer(&node->backing_format, g_free);
    return load(s, node->options, node->flags & ~BLOCK_OPEN_INACTIVE, error);
}

/* ---- Reopening ------------------------------------------------------------ */

typedef struct Reopen {
    OpenOptions options;
    bool to_rw;
    bool rested; /* the last was written: undone by abort */
} Reopen;

static bool qcow2_reopen_prepare(BlockNode *node, json_t *options,
                                 unsigned flags, void **prepared,
                                 GError **error)
{
    Qcow2 *s = qcow2_state(node);
    bool writable = flags & BLOCK_OPEN_RDWR;
    g_autofree Reopen *r = g_new0(Reopen, 1);

    if (!parse_options(s, options, flags, &r->options, error)) {
        return false;
    }
    if (writable && node->read_only) {
        if (s->header.incompatible & QCOW2_INCOMPAT_CORRUPT) {
            g_set_error(error, BLOCK_ERROR, EACCES, "qcow2: Image is "
                        "corrupt; cannot be opened read/write");
            return false;
        }
        r->to_rw = true;
    }
    if (!writable && !node->read_only) {
        if (!put_to_rest(s, false, error)) {
            return false;
        }
        r->rested = true;
    }
    *prepared = g_steal_pointer(&r);
    return true;
}

static void qcow2_reopen_commit(BlockNode *node, void *prepared)
{
    Qcow2 *s = qcow2_state(node);
    g_autofree Reopen *r = prepared;
    g_autoptr(GError) error = NULL;

    apply_options(s, &r->options);
    if (r->to_rw && (!drop_autoclear(s, &error) ||
                     !prepare_writing(s, node->flags, &error) ||
                     !qcow2_bitmaps_reopen_rw(s, &error))) {
        fprintf(stderr, "qcow2: %s: %s\n", block_node_filename(node),
                error->message);
    }
}

static void qcow2_reopen_abort(BlockNode *node, void *prepared)
{
    Reopen *r = prepared;
    g_autoptr(GError) error = NULL;

    if (r->rested && !qcow2_bitmaps_reopen_rw(qcow2_state(node), &error)) {
        fprintf(stderr, "qcow2: %s: %s\n", block_node_filename(node),
                error->message);
    }
    g_free(r);
}

/* ---- Information ---------------------------------------------------------- */

static json_t *qcow2_specific_info(BlockNode *node)
{
    static const char *const compression[] = { "zlib", "zstd" };
    Qcow2 *s = qcow2_state(node);
    const Qcow2Header *h = &s->header;
    json_t *data = json_object();
    json_t *bitmaps;

    json_object_set_new(data, "compat",
                        json_string(h->version < 3 ? "0.10" : "1.1"));
    json_object_set_new(data, "compression-type",
                        json_string(compression[h->compression_type]));
    if (h->version >= 3) {
        json_object_set_new(
            data, "lazy-refcounts",
            json_boolean(h->compatible & QCOW2_COMPAT_LAZY_REFCOUNTS));
    }
    bitmaps = qcow2_bitmaps_info(s);
    if (bitmaps) {
        json_object_set_new(data, "bitmaps", bitmaps);
    }
    json_object_set_new(data, "refcount-bits",
                        json_integer(1 << h->refcount_order));
    if (h->version >= 3) {
        json_object_set_new(
            data, "corrupt",
            json_boolean(h->incompatible & QCOW2_INCOMPAT_CORRUPT));
        if (h->data_file) {
            json_object_set_new(data, "data-file",
                                json_string(h->data_file));
        }
        if (h->incompatible & QCOW2_INCOMPAT_DATA_FILE) {
            json_object_set_new(data, "data-file-raw",
                                json_boolean(s->raw_data));
        }
        json_object_set_new(data, "extended-l2", json_boolean(s->extl2));
    }
    return json_pack("{s:s, s:o}", "type", "qcow2", "data", data);
}

static int qcow2_probe(const uint8_t *head, size_t size)
{
    return qcow2_is_magic(head, size) && ldl_be_p(head + 4) >= 2 ? 100 : 0;
}

static bool qcow2_change_backing_file(BlockNode *node, const char *filename,
                                      const char *format, GError **error)
{
    Qcow2 *s = qcow2_state(node);
    g_autofree char *old_file = s->header.backing_file;
    g_autofree char *old_format = s->header.backing_format;

    if (filename && *filename && s->raw_data) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "Cannot set a backing file "
                    "on an image with data-file-raw");
        s->header.backing_file = g_steal_pointer(&old_file);
        s->header.backing_format = g_steal_pointer(&old_format);
        return false;
    }
    s->header.backing_file =
        filename && *filename ? g_strdup(filename) : NULL;
    s->header.backing_format =
        s->header.backing_file && format && *format ? g_strdup(format) : NULL;
    if (qcow2_write_header(s, error) < 0) {
        g_free(s->header.backing_file);
        g_free(s->header.backing_format);
        s->header.backing_file = g_steal_pointer(&old_file);
        s->header.backing_format = g_steal_pointer(&old_format);
        return false;
    }
    g_free(node->backing_filename);
    g_free(node->backing_format);
    node->backing_filename = g_strdup(s->header.backing_file);
    node->backing_format = g_strdup(s->header.backing_format);
    return true;
}

static const BlockOption open_options[] = {
    { "file", BLOCK_OPT_NODE, .required = true },
    { "backing", BLOCK_OPT_NODE_OR_NULL },
    { "data-file", BLOCK_OPT_NODE },
    { "lazy-refcounts", BLOCK_OPT_BOOL, .reopens = true },
    { "pass-discard-request", BLOCK_OPT_BOOL, .reopens = true },
    { "pass-discard-snapshot", BLOCK_OPT_BOOL, .reopens = true },
    { "pass-discard-other", BLOCK_OPT_BOOL, .reopens = true },
    { "discard-no-unref", BLOCK_OPT_BOOL, .reopens = true },
    { "bitmaps-at-flush", BLOCK_OPT_BOOL, .reopens = true },
    { "overlap-check", BLOCK_OPT_STRING_OR_OBJECT, .reopens = true },
    { "cache-size", BLOCK_OPT_SIZE, .reopens = true },
    { "l2-cache-size", BLOCK_OPT_SIZE, .reopens = true },
    { "l2-cache-entry-size", BLOCK_OPT_SIZE, .reopens = true },
    { "refcount-cache-size", BLOCK_OPT_SIZE, .reopens = true },
    { "cache-clean-interval", BLOCK_OPT_INT, .reopens = true },
    { NULL },
};

const BlockDriver block_driver_qcow2 = {
    .name = "qcow2",
    .flags = BLOCK_DRIVER_BACKING,
    .state_size = sizeof(Qcow2),
    .options = open_options,
    .create_options = qcow2_create_options,
    .amend_options = qcow2_amend_options,
    .probe = qcow2_probe,
    .open = qcow2_open,
    .close = qcow2_close,
    .create = qcow2_create,
    .reopen_prepare = qcow2_reopen_prepare,
    .reopen_commit = qcow2_reopen_commit,
    .reopen_abort = qcow2_reopen_abort,
    .batch = qcow2_batch,
    .batches = qcow2_batches,
    .preadv = qcow2_preadv,
    .pwritev = qcow2_pwritev,
    .pwrite_zeroes = qcow2_pwrite_zeroes,
    .pdiscard = qcow2_pdiscard,
    .flush = qcow2_flush,
    .status = qcow2_status,
    .map_fd = qcow2_map_fd,
    .can_compress = true,
    .truncate = qcow2_truncate,
    .specific_info = qcow2_specific_info,
    .activate = qcow2_activate,
    .inactivate = qcow2_inactivate,
    .change_backing_file = qcow2_change_backing_file,
    .make_empty = qcow2_make_empty,
    .check = qcow2_check,
    .amend = qcow2_amend,
    .measure = qcow2_measure,
    .snapshot_create = qcow2_snapshot_create,
    .snapshot_goto = qcow2_snapshot_goto,
    .snapshot_delete = qcow2_snapshot_delete,
    .snapshot_list = qcow2_snapshot_list,
    .snapshot_load = qcow2_snapshot_load,
    .bitmaps_before_write = qcow2_bitmaps_before_write,
    .vmstate_preadv = qcow2_vmstate_preadv,
    .vmstate_pwritev = qcow2_vmstate_pwritev,
    .bitmap_can_store = qcow2_bitmap_can_store,
    .bitmap_remove = qcow2_bitmap_remove,
};
