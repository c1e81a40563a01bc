/*
 * QMP arguments of the export commands.
 */
#include <errno.h>
#include <string.h>

#include "block/export-int.h"
#include "block/nbd-address.h"
#include "block/nbd-object.h"
#include "block/options.h"

static const BlockOption add_options[] = {
    { "type", BLOCK_OPT_STRING, .required = true },
    { "id", BLOCK_OPT_STRING, .required = true },
    { "node-name", BLOCK_OPT_STRING, .required = true },
    { "writable", BLOCK_OPT_BOOL },
    { "writethrough", BLOCK_OPT_BOOL },
    { "iothread", BLOCK_OPT_STRING },
    { "fixed-iothread", BLOCK_OPT_BOOL },
    { "name", BLOCK_OPT_STRING },
    { "description", BLOCK_OPT_STRING },
    { "bitmaps", BLOCK_OPT_LIST },
    { "allocation-depth", BLOCK_OPT_BOOL },
    { NULL },
};

static const BlockOption old_add_options[] = {
    { "device", BLOCK_OPT_STRING, .required = true },
    { "name", BLOCK_OPT_STRING },
    { "description", BLOCK_OPT_STRING },
    { "writable", BLOCK_OPT_BOOL },
    { "bitmap", BLOCK_OPT_STRING },
    { NULL },
};

static const BlockOption start_options[] = {
    { "addr", BLOCK_OPT_OBJECT, .required = true },
    { "tls-creds", BLOCK_OPT_STRING },
    { "tls-authz", BLOCK_OPT_STRING },
    { "max-connections", BLOCK_OPT_SIZE },
    { "handshake-max-seconds", BLOCK_OPT_SIZE },
    { NULL },
};

#define HANDSHAKE_SECONDS 10

static bool read_bitmap(json_t *item, BlockExportBitmap *bitmap,
                        GError **error)
{
    if (json_is_string(item)) {
        bitmap->name = json_string_value(item);
        return true;
    }
    if (!block_options_string(item, "node", &bitmap->node, error) ||
        !block_options_string(item, "name", &bitmap->name, error)) {
        return false;
    }
    if (!bitmap->node || !bitmap->name) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter 'bitmaps.%s' is missing",
                    bitmap->node ? "name" : "node");
        return false;
    }
    return true;
}

/* A new array of p->nbitmaps elements, NULL on error or when empty. */
static BlockExportBitmap *read_bitmaps(json_t *list, size_t *n, GError **error)
{
    BlockExportBitmap *bitmaps = g_new0(BlockExportBitmap,
                                        json_array_size(list) + 1);
    size_t i;
    json_t *item;

    *n = json_array_size(list);
    json_array_foreach(list, i, item) {
        if (!read_bitmap(item, &bitmaps[i], error)) {
            g_free(bitmaps);
            return NULL;
        }
    }
    return bitmaps;
}

bool block_export_add_json(json_t *args, GError **error)
{
    g_autofree BlockExportBitmap *bitmaps = NULL;
    BlockExportParams p = { 0 };
    const char *type = NULL;

    if (!block_options_check(args, add_options, error) ||
        !block_options_string(args, "type", &type, error) ||
        !block_options_string(args, "id", &p.id, error) ||
        !block_options_string(args, "node-name", &p.node_name, error) ||
        !block_options_bool(args, "writable", &p.writable, error) ||
        !block_options_bool(args, "writethrough", &p.writethrough, error) ||
        !block_options_string(args, "name", &p.name, error) ||
        !block_options_string(args, "description", &p.description, error) ||
        !block_options_bool(args, "allocation-depth", &p.allocation_depth,
                            error)) {
        return false;
    }
    if (strcmp(type, "nbd")) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter 'type' does not accept value '%s'", type);
        return false;
    }
    bitmaps = read_bitmaps(json_object_get(args, "bitmaps"), &p.nbitmaps,
                           error);
    p.bitmaps = bitmaps;
    return bitmaps && block_export_add(&p, error);
}

bool block_nbd_server_add_json(json_t *args, GError **error)
{
    BlockExportBitmap bitmap = { 0 };
    BlockExportParams p = { .bitmaps = &bitmap };
    const char *device = NULL;

    if (!block_options_check(args, old_add_options, error) ||
        !block_options_string(args, "device", &device, error) ||
        !block_options_string(args, "name", &p.name, error) ||
        !block_options_string(args, "description", &p.description, error) ||
        !block_options_bool(args, "writable", &p.writable, error) ||
        !block_options_string(args, "bitmap", &bitmap.name, error)) {
        return false;
    }
    p.nbitmaps = bitmap.name ? 1 : 0;
    /* The old command keeps the flags it had: users who want several writers
     * know block-export-add. */
    p.one_client = p.writable;
    p.name = p.name ? p.name : device;
    p.id = p.name;
    p.node_name = device;
    return block_export_add_old(&p, device, error);
}

bool block_nbd_server_start_json(json_t *args, GError **error)
{
    g_autoptr(NbdAddress) address = NULL;
    g_autoptr(NbdTlsCreds) tls = NULL;
    NbdServerParams p = { 0 };
    const char *tls_id = NULL;
    const char *authz = NULL;
    uint64_t max = 0;
    uint64_t handshake = HANDSHAKE_SECONDS;

    if (!block_options_check(args, start_options, error) ||
        !block_options_string(args, "tls-creds", &tls_id, error) ||
        !block_options_string(args, "tls-authz", &authz, error) ||
        !block_options_size(args, "max-connections", &max, error) ||
        !block_options_size(args, "handshake-max-seconds", &handshake,
                            error)) {
        return false;
    }
    if (max > UINT32_MAX || handshake > 1000000) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter '%s' is out of range",
                    max > UINT32_MAX ? "max-connections"
                                     : "handshake-max-seconds");
        return false;
    }
    address = block_nbd_address(json_object_get(args, "addr"), error);
    if (!address) {
        return false;
    }
    if (tls_id) {
        tls = block_nbd_tls_creds(tls_id, true, error);
        if (!tls) {
            return false;
        }
    }
    if (authz && !tls_id) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "tls-authz is not permitted without tls-creds");
        return false;
    }
    p.tls = tls;
    p.max_connections = (unsigned)max;
    p.handshake_seconds = (unsigned)handshake;
    return block_nbd_server_start(address, &p, authz, error);
}
