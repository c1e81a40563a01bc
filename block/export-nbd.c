/*
 * Exports: nodes offered over NBD, with their dirty bitmaps.
 *
 *     BlockExport --> BlockBackend --> node
 *          | \______> busy BlockDirtyBitmaps, each a metadata context
 *          v
 *       NbdExport (nbd/server.h), whose operations are the ops_* below
 *
 * Contexts are numbered: 0 base:allocation, then qemu:allocation-depth if
 * wanted, then the bitmaps in the order given.
 *
 * The list of exports and the server belong to the graph lock.  An export is
 * freed by the callback of its NbdExport, which may run in the thread of the
 * last connection; nothing that waits for connections may therefore hold the
 * graph lock.
 */
#include "block/export.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "block/backend.h"
#include "block/dirty-bitmap.h"
#include "block/driver.h"
#include "block/export-int.h"
#include "block/nbd-object.h"
#include "nbd/protocol.h"

#define DELETE_WAIT_MS 300

struct BlockExport {
    char *id;
    char *device; /* that its end ends, or NULL */
    NbdExport *nbd;
    BlockBackend *backend;
    uint32_t align; /* the smallest block of clients */
    unsigned depth_context;  /* its number, 0 if there is none */
    unsigned first_bitmap;   /* number of the first bitmap's context */
    GPtrArray *bitmaps;      /* of BlockDirtyBitmap, all busy */
    bool shutting_down;
};

static GPtrArray *exports; /* of BlockExport, oldest first; graph lock */
static NbdServer *server;  /* graph lock */
static char *server_authz; /* constant while the server runs */

static bool fail(GError **error, const char *format, const char *what)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    g_set_error(error, BLOCK_ERROR, EINVAL, format, what);
#pragma GCC diagnostic pop
    return false;
}

/* ---- Operations: any thread ----------------------------------------------- */

static int ops_pread(void *opaque, uint64_t offset, uint32_t bytes, void *buf)
{
    BlockExport *e = opaque;

    return block_backend_pread(e->backend, offset, bytes, buf, 0);
}

static int ops_pwrite(void *opaque, uint64_t offset, uint32_t bytes,
                      const void *buf, unsigned flags)
{
    BlockExport *e = opaque;

    return block_backend_pwrite(e->backend, offset, bytes, buf,
                                flags & NBD_IO_FUA ? BLOCK_REQ_FUA : 0);
}

static bool ops_batches(void *opaque, bool write)
{
    BlockExport *e = opaque;
    BlockNode *node = block_backend_enter(e->backend);
    bool pays = node && block_batches(node, write);

    if (node) {
        block_backend_leave(e->backend);
    }
    return pays;
}

static void ops_batch(void *opaque, NbdIo *io, unsigned n)
{
    BlockExport *e = opaque;
    BlockBatchItem items[BLOCK_BATCH_MAX];

    g_assert(n <= BLOCK_BATCH_MAX);
    for (unsigned i = 0; i < n; i++) {
        items[i] = (BlockBatchItem){ .offset = io[i].offset,
                                     .bytes = io[i].bytes,
                                     .write = io[i].write,
                                     .buf = io[i].buf };
    }
    block_backend_batch(e->backend, items, n);
    for (unsigned i = 0; i < n; i++) {
        io[i].ret = items[i].ret;
    }
}

static int ops_zero(void *opaque, uint64_t offset, uint64_t bytes,
                    unsigned flags)
{
    BlockExport *e = opaque;
    unsigned f = 0;

    f |= flags & NBD_IO_FUA ? BLOCK_REQ_FUA : 0;
    f |= flags & NBD_IO_NO_HOLE ? 0 : BLOCK_REQ_MAY_UNMAP;
    f |= flags & NBD_IO_FAST ? BLOCK_REQ_NO_FALLBACK : 0;
    return block_backend_pwrite_zeroes(e->backend, offset, bytes, f);
}

static int ops_trim(void *opaque, uint64_t offset, uint64_t bytes)
{
    BlockExport *e = opaque;
    int ret = block_backend_pdiscard(e->backend, offset, bytes);

    return ret == -ENOTSUP ? 0 : ret; /* a hint */
}

static int ops_flush(void *opaque)
{
    BlockExport *e = opaque;

    return block_backend_flush(e->backend);
}

static int ops_cache(void *opaque, uint64_t offset, uint64_t bytes)
{
    BlockExport *e = opaque;

    return block_backend_preadv(e->backend, offset, bytes, NULL, 0,
                                BLOCK_REQ_PREFETCH);
}

static uint32_t allocation_flags(const BlockStatus *s)
{
    return (s->flags & BLOCK_STATUS_DATA ? 0 : NBD_STATE_HOLE) |
           (s->flags & BLOCK_STATUS_ZERO ? NBD_STATE_ZERO : 0);
}

static uint32_t depth_flags(const BlockStatus *s)
{
    return s->flags & BLOCK_STATUS_ALLOCATED ? s->depth + 1 : 0;
}

/*
 * Clients think in blocks of the export's minimum size: an extent that ends
 * within a block ends before it, and the block is data.
 */
static void whole_blocks(const BlockExport *e, BlockStatus *s)
{
    if (s->bytes >= e->align) {
        s->bytes -= s->bytes % e->align;
    } else {
        s->bytes = e->align;
        s->flags = (s->flags & BLOCK_STATUS_ALLOCATED) | BLOCK_STATUS_DATA;
    }
}

static int node_status(BlockExport *e, uint64_t offset, uint64_t bytes,
                       uint32_t (*flags)(const BlockStatus *),
                       NbdExtents *extents)
{
    bool more = true;

    while (more && bytes > 0) {
        BlockStatus s;
        int ret = block_backend_status(e->backend, offset, bytes, &s);

        if (ret < 0) {
            return ret;
        }
        whole_blocks(e, &s);
        s.bytes = MIN(s.bytes, bytes);
        more = nbd_extents_add(extents, s.bytes, flags(&s));
        offset += s.bytes;
        bytes -= s.bytes;
    }
    return 0;
}

static int bitmap_status(BlockExport *e, const BlockDirtyBitmap *bitmap,
                         uint64_t offset, uint64_t bytes, NbdExtents *extents)
{
    bool more = true;

    if (!block_backend_enter(e->backend)) {
        return -ENOMEDIUM;
    }
    while (more && bytes > 0) {
        uint64_t run = bytes;
        bool dirty = block_dirty_bitmap_status(bitmap, offset, bytes, &run);

        more = nbd_extents_add(extents, run, dirty ? NBD_STATE_DIRTY : 0);
        offset += run;
        bytes -= run;
    }
    block_backend_leave(e->backend);
    return 0;
}

static int ops_status(void *opaque, unsigned context, uint64_t offset,
                      uint64_t bytes, NbdExtents *extents)
{
    BlockExport *e = opaque;

    if (context >= e->first_bitmap) {
        return bitmap_status(e,
                             e->bitmaps->pdata[context - e->first_bitmap],
                             offset, bytes, extents);
    }
    return node_status(e, offset, bytes,
                       context ? depth_flags : allocation_flags, extents);
}

static ssize_t ops_pread_pipe(void *opaque, uint64_t offset, uint32_t bytes,
                              int pipe_fd)
{
    BlockExport *e = opaque;
    BlockNode *node = block_backend_enter(e->backend);
    uint64_t fd_offset;
    uint64_t n = 0;
    ssize_t ret;
    int fd;

    if (!node) {
        return -ENOMEDIUM;
    }
    ret = block_map_fd(node, offset, bytes, &fd, &fd_offset, &n);
    if (ret == 0) {
        loff_t at = (loff_t)fd_offset;
        ret = splice(fd, &at, pipe_fd, NULL, MIN(n, bytes), SPLICE_F_MOVE);
        ret = ret < 0 ? -errno : ret;
    }
    block_backend_leave(e->backend);
    return ret;
}

/* ---- Life of an export ------------------------------------------------------ */

static void export_free(BlockExport *e)
{
    for (guint i = 0; i < e->bitmaps->len; i++) {
        block_dirty_bitmap_set_busy(e->bitmaps->pdata[i], false);
    }
    g_ptr_array_unref(e->bitmaps);
    block_backend_unref(e->backend);
    g_free(e->id);
    g_free(e->device);
    g_free(e);
}

static void ops_deleted(void *opaque)
{
    BlockExport *e = opaque;
    json_t *data;

    block_graph_lock();
    data = json_pack("{s:s}", "id", e->id);
    g_ptr_array_remove(exports, e);
    export_free(e);
    block_graph_unlock();
    block_event("BLOCK_EXPORT_DELETED", data);
}

static const NbdExportOps export_ops = {
    .pread = ops_pread,
    .pwrite = ops_pwrite,
    .zero = ops_zero,
    .trim = ops_trim,
    .flush = ops_flush,
    .cache = ops_cache,
    .status = ops_status,
    .pread_pipe = ops_pread_pipe,
    .batch = ops_batch,
    .batches = ops_batches,
    .deleted = ops_deleted,
};

/* Graph lock. */
static BlockExport *find_export(const char *id)
{
    for (guint i = 0; exports && i < exports->len; i++) {
        BlockExport *e = exports->pdata[i];
        if (!strcmp(e->id, id)) {
            return e;
        }
    }
    return NULL;
}

static bool id_ok(const char *id)
{
    if (!g_ascii_isalpha(*id)) {
        return false;
    }
    for (; *id; id++) {
        if (!g_ascii_isalnum(*id) && !strchr("-._", *id)) {
            return false;
        }
    }
    return true;
}

/* ---- Bitmaps --------------------------------------------------------------- */

static BlockDirtyBitmap *find_bitmap(BlockNode *node,
                                     const BlockExportBitmap *want,
                                     GError **error)
{
    BlockDirtyBitmap *bitmap = NULL;

    if (want->node) {
        BlockNode *owner = block_node_find(want->node);
        if (!owner) {
            fail(error, "Node '%s' not found", want->node);
            return NULL;
        }
        bitmap = block_dirty_bitmap_find(owner, want->name);
        if (!bitmap) {
            fail(error, "Dirty bitmap '%s' not found", want->name);
        }
        return bitmap;
    }
    bitmap = block_dirty_bitmap_find_chain(node, want->name, NULL);
    if (!bitmap) {
        g_set_error(error, BLOCK_ERROR, ENOENT,
                    "Bitmap '%s' is not found\nLooked for it on node '%s' "
                    "and below", want->name, block_node_name(node));
    }
    return bitmap;
}

static bool name_taken(BlockExport *e, const char *name)
{
    for (guint i = 0; i < e->bitmaps->len; i++) {
        if (!strcmp(block_dirty_bitmap_name(e->bitmaps->pdata[i]), name)) {
            return true;
        }
    }
    return false;
}

/* Finds and checks all, and marks them busy only when all will do. */
static bool collect_bitmaps(BlockExport *e, BlockNode *node,
                            const BlockExportParams *p, GError **error)
{
    for (size_t i = 0; i < p->nbitmaps; i++) {
        BlockDirtyBitmap *bitmap = find_bitmap(node, &p->bitmaps[i], error);

        if (!bitmap || !block_dirty_bitmap_check_export(
                           bitmap, p->writable, p->bitmaps[i].node != NULL,
                           error)) {
            return false;
        }
        if (strlen(p->bitmaps[i].name) + strlen(NBD_CONTEXT_BITMAP) >
            NBD_MAX_STRING) {
            return fail(error, "bitmap name '%s' too long",
                        p->bitmaps[i].name);
        }
        if (name_taken(e, p->bitmaps[i].name)) {
            return fail(error, "Bitmap '%s' is given twice",
                        p->bitmaps[i].name);
        }
        g_ptr_array_add(e->bitmaps, bitmap);
    }
    return true;
}

static void set_busy(BlockExport *e, bool busy)
{
    for (guint i = 0; i < e->bitmaps->len; i++) {
        block_dirty_bitmap_set_busy(e->bitmaps->pdata[i], busy);
    }
}

static char **context_names(BlockExport *e, bool depth)
{
    GPtrArray *names = g_ptr_array_new();

    g_ptr_array_add(names, g_strdup(NBD_CONTEXT_ALLOCATION));
    if (depth) {
        e->depth_context = names->len;
        g_ptr_array_add(names, g_strdup(NBD_CONTEXT_DEPTH));
    }
    e->first_bitmap = names->len;
    for (guint i = 0; i < e->bitmaps->len; i++) {
        g_ptr_array_add(names,
                        g_strconcat(NBD_CONTEXT_BITMAP,
                                    block_dirty_bitmap_name(
                                        e->bitmaps->pdata[i]), NULL));
    }
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, FALSE);
}

/* ---- Adding ----------------------------------------------------------------- */

static bool check_params(const BlockExportParams *p, GError **error)
{
    if (!id_ok(p->id)) {
        return fail(error, "%s", "Invalid block export id");
    }
    if (find_export(p->id)) {
        return fail(error, "Block export id '%s' is already in use", p->id);
    }
    if (!server) {
        return fail(error, "%s", "NBD server not running");
    }
    return true;
}

static bool attach(BlockExport *e, BlockNode *node, const BlockExportParams *p,
                   GError **error)
{
    unsigned perm = BLOCK_PERM_CONSISTENT_READ;

    if (p->writable && block_node_is_read_only(node)) {
        return fail(error, "%s", "Cannot export read-only node as writable");
    }
    perm |= p->writable ? BLOCK_PERM_WRITE : 0;
    e->backend = block_backend_new(NULL, "an NBD export", perm,
                                   BLOCK_PERM_ALL & ~BLOCK_PERM_RESIZE);
    if (!block_backend_attach(e->backend, node, error)) {
        return false;
    }
    block_backend_set_writethrough(e->backend, p->writethrough);
    return true;
}

static bool publish(BlockExport *e, BlockNode *node,
                    const BlockExportParams *p, GError **error)
{
    g_auto(GStrv) contexts = context_names(e, p->allocation_depth);
    int64_t length = block_length(node);
    const BlockLimits *limits = block_node_limits(node);
    uint32_t align = limits->request_alignment ? limits->request_alignment : 1;
    NbdExportParams np = {
        .name = p->name ? p->name : p->node_name,
        .description = p->description,
        .size = length < 0 ? 0 : (uint64_t)length,
        .min_block = align,
        .pref_block = MAX(4096, align),
        .writable = p->writable,
        .multi_conn = !p->one_client,
        .sparse = true,
        .contexts = (const char *const *)contexts,
        .ops = &export_ops,
        .opaque = e,
    };

    e->align = align;
    if (length < 0) {
        block_error_set_errno(error, (int)-length,
                              "Failed to determine the NBD export's length");
        return false;
    }
    e->nbd = nbd_export_new(server, &np, error);
    return e->nbd != NULL;
}

/* Graph lock. */
static BlockExport *add_locked(const BlockExportParams *p, BlockNode *node,
                               GError **error)
{
    BlockExport *e;

    if (!check_params(p, error)) {
        return NULL;
    }
    e = g_new0(BlockExport, 1);
    e->id = g_strdup(p->id);
    e->device = g_strdup(p->device);
    e->bitmaps = g_ptr_array_new();
    if (!exports) {
        exports = g_ptr_array_new();
    }
    if (attach(e, node, p, error) && collect_bitmaps(e, node, p, error)) {
        set_busy(e, true);
        g_ptr_array_add(exports, e);
        if (publish(e, node, p, error)) {
            return e;
        }
        g_ptr_array_remove(exports, e);
    } else {
        g_ptr_array_set_size(e->bitmaps, 0); /* none was marked yet */
    }
    export_free(e);
    return NULL;
}

BlockExport *block_export_add(const BlockExportParams *p, GError **error)
{
    BlockExport *e = NULL;
    BlockNode *node;

    block_graph_lock();
    node = block_node_lookup(NULL, p->node_name, error);
    if (node) {
        e = add_locked(p, node, error);
    }
    block_graph_unlock();
    return e;
}

bool block_export_add_old(const BlockExportParams *p, const char *device,
                          GError **error)
{
    BlockExportParams q = *p;
    BlockExport *e = NULL;
    BlockNode *node;

    block_graph_lock();
    node = server ? block_node_lookup(device, device, error) : NULL;
    if (node) {
        q.writable = p->writable && !block_node_is_read_only(node);
        q.device = block_backend_find(device) ? device : NULL;
        e = add_locked(&q, node, error);
    } else if (!server) {
        fail(error, "%s", "NBD server not running");
    }
    block_graph_unlock();
    return e != NULL;
}

/* ---- Deleting, listing -------------------------------------------------------- */

/* Usually its connections end at once; then it is gone when we return. */
static void wait_deleted(const char *id)
{
    bool gone = false;

    for (int ms = 0; ms < DELETE_WAIT_MS && !gone; ms++) {
        block_graph_lock();
        gone = !find_export(id);
        block_graph_unlock();
        if (!gone) {
            g_usleep(1000);
        }
    }
}

static bool delete(const char *id, bool hard, const char *unknown,
                   GError **error)
{
    NbdExport *nbd = NULL;
    BlockExport *e;

    block_graph_lock();
    e = find_export(id);
    if (!e) {
        fail(error, unknown, id);
    } else if (e->shutting_down) {
        fail(error, "Export '%s' is already shutting down", id);
    } else if (!hard && nbd_export_connections(e->nbd) > 0) {
        fail(error, "export '%s' still in use\nUse mode='hard' to force "
             "client disconnect", id);
    } else {
        e->shutting_down = true;
        nbd = e->nbd;
    }
    block_graph_unlock();
    if (nbd) {
        nbd_export_delete(nbd);
        wait_deleted(id);
    }
    return nbd != NULL;
}

bool block_export_del(const char *id, bool hard, GError **error)
{
    return delete(id, hard, "Export '%s' is not found", error);
}

void block_exports_eject(const char *device)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);

    block_graph_lock();
    for (guint i = 0; exports && i < exports->len; i++) {
        BlockExport *e = exports->pdata[i];

        if (!g_strcmp0(e->device, device)) {
            g_ptr_array_add(ids, g_strdup(e->id));
        }
    }
    block_graph_unlock();
    for (guint i = 0; i < ids->len; i++) {
        block_export_del(ids->pdata[i], true, NULL);
    }
}

bool block_nbd_server_remove(const char *name, bool hard, GError **error)
{
    return delete(name, hard, "Export '%s' is not found", error);
}

json_t *block_export_query(void)
{
    json_t *list = json_array();

    block_graph_lock();
    for (guint i = exports ? exports->len : 0; i-- > 0;) {
        BlockExport *e = exports->pdata[i];
        BlockNode *node = block_backend_node(e->backend);

        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:b}", "id", e->id, "type",
                            "nbd", "node-name",
                            node ? block_node_name(node) : "",
                            "shutting-down", e->shutting_down));
    }
    block_graph_unlock();
    return list;
}

/* ---- The server ---------------------------------------------------------------- */

static bool authorise(void *opaque, const char *peer_name)
{
    return block_nbd_authorise(server_authz, peer_name);
}

bool block_nbd_server_start(const NbdAddress *address,
                            const NbdServerParams *params,
                            const char *tls_authz, GError **error)
{
    NbdServerParams p = *params;
    NbdServer *fresh;
    bool ok;

    block_graph_lock();
    if (server) {
        block_graph_unlock();
        return fail(error, "%s", "NBD server already running");
    }
    if (tls_authz) {
        p.authorise = authorise;
    }
    g_free(server_authz);
    server_authz = g_strdup(tls_authz);
    fresh = nbd_server_new(&p);
    ok = !address || nbd_server_listen(fresh, address, error);
    server = ok ? fresh : NULL;
    block_graph_unlock();
    if (!ok) {
        nbd_server_free(fresh);
    }
    return ok;
}

NbdServer *block_nbd_server(void)
{
    return server;
}

bool block_nbd_server_stop(GError **error)
{
    NbdServer *old;

    block_graph_lock();
    old = server;
    server = NULL;
    for (guint i = 0; old && exports && i < exports->len; i++) {
        ((BlockExport *)exports->pdata[i])->shutting_down = true;
    }
    block_graph_unlock();
    if (!old) {
        return fail(error, "%s", "NBD server not running");
    }
    nbd_server_free(old);
    return true;
}
