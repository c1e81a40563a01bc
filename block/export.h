/*
 * Exports of the block graph: the NBD server of this program and what it
 * offers.
 *
 * There is at most one NBD server per process, as QMP has it.  Functions are
 * control path and take the graph lock themselves; callers must not hold it.
 * Deleting is asynchronous: an export whose clients are still finishing stays
 * in the list, shutting down, and says BLOCK_EXPORT_DELETED when it is gone.
 */
#ifndef BLOCK_EXPORT_H
#define BLOCK_EXPORT_H

#include "block/node.h"
#include "nbd/server.h"

/* ---- The server ---------------------------------------------------------- */

/*
 * "NBD server already running"; params is copied.  address NULL: no listener
 * yet.  tls_authz: id of the object that says whose certificates are let in,
 * NULL: all that TLS accepts; takes the place of params->authorise.
 */
bool block_nbd_server_start(const NbdAddress *address,
                            const NbdServerParams *params,
                            const char *tls_authz, GError **error);
NbdServer *block_nbd_server(void); /* NULL: not running */
/*
 * Deletes all NBD exports and waits for their clients to be gone, hence
 * without the graph lock; "NBD server not running".
 */
bool block_nbd_server_stop(GError **error);

/* nbd-server-start: {"addr": ..., "tls-creds": ...} in QMP's shape. */
bool block_nbd_server_start_json(json_t *args, GError **error);

/* ---- Exports ------------------------------------------------------------- */

typedef struct BlockExport BlockExport;

typedef struct BlockExportBitmap {
    const char *node; /* NULL: search down from the exported node */
    const char *name;
} BlockExportBitmap;

typedef struct BlockExportParams {
    const char *id;
    const char *node_name;
    const char *name;        /* NULL: node_name */
    const char *description; /* NULL: none */
    bool writable;
    bool writethrough;
    bool allocation_depth;
    const char *device; /* whose medium it is, and goes with it; or NULL */
    bool one_client; /* meant for one at a time: no CAN_MULTI_CONN */
    const BlockExportBitmap *bitmaps;
    size_t nbitmaps;
} BlockExportParams;

/*
 * block-export-add.  Bitmaps are looked up, checked against the founding rule
 * (block_dirty_bitmap_check_export) and marked busy; on failure nothing has
 * changed.  The export is owned by the graph until it is deleted.
 */
BlockExport *block_export_add(const BlockExportParams *params,
                              GError **error);
/* block-export-add and nbd-server-add with their QMP arguments. */
bool block_export_add_json(json_t *args, GError **error);
bool block_nbd_server_add_json(json_t *args, GError **error);

/*
 * block-export-del.  hard: clients are disconnected; else "still in use" is
 * an error.  The event BLOCK_EXPORT_DELETED {"id"} follows through
 * block_event() when it is gone.
 */
bool block_export_del(const char *id, bool hard, GError **error);
/* Disconnects and deletes those that belong to a device.  No graph lock. */
void block_exports_eject(const char *device);
/* nbd-server-remove: as above, only for NBD exports. */
bool block_nbd_server_remove(const char *name, bool hard, GError **error);

/* query-block-exports: newest first. */
json_t *block_export_query(void);

#endif
