/*
 * e2k-nbd --list: what does a server offer?
 */
#include <inttypes.h>
#include <stdio.h>

#include "nbd/client.h"
#include "nbd/protocol.h"
#include "tools/e2k-nbd.h"

static void print_flags(uint16_t flags)
{
    printf("  flags: 0x%x (", flags);
    for (unsigned bit = 0; bit < 16; bit++) {
        const char *name = nbd_export_flag_name(bit);
        if ((flags >> bit & 1) && name) {
            printf(" %s", name);
        }
    }
    printf(" )\n");
}

static void print_export(const NbdExportInfo *info)
{
    unsigned n = info->contexts ? g_strv_length(info->contexts) : 0;

    printf(" export: '%s'\n", info->name);
    if (info->description && *info->description) {
        printf("  description: %s\n", info->description);
    }
    printf("  size:  %" PRIu64 "\n", info->size);
    if (info->flags & NBD_FLAG_HAS_FLAGS) {
        print_flags(info->flags);
    }
    if (info->min_block) {
        printf("  min block: %u\n", info->min_block);
        printf("  opt block: %u\n", info->pref_block);
        printf("  max block: %u\n", info->max_block);
    }
    if (n) {
        printf("  available meta contexts: %u\n", n);
        for (unsigned i = 0; i < n; i++) {
            printf("   %s\n", info->contexts[i]);
        }
    }
}

/* A TLS URI brings its own credentials, --tls-creds may bring them to any. */
static GPtrArray *list_uri(const NbdToolOptions *o, NbdTlsCreds *tls,
                           GError **error)
{
    g_autoptr(NbdUri) uri = nbd_uri_parse(o->list_uri, error);
    g_autoptr(NbdTlsCreds) own = NULL;
    const char *hostname = o->tls_hostname;

    if (!uri) {
        return NULL;
    }
    if (uri->tls && !tls) {
        own = nbd_uri_tls_creds(uri, error);
        if (!own) {
            return NULL;
        }
    }
    return nbd_client_list(uri->address, tls ? tls : own,
                           hostname ? hostname : uri->tls_hostname, error);
}

int nbd_tool_list(const NbdToolOptions *o, NbdTlsCreds *tls)
{
    g_autoptr(NbdAddress) address = nbd_tool_address(o);
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(GError) error = NULL;

    list = o->list_uri ? list_uri(o, tls, &error)
                       : nbd_client_list(address, tls, o->tls_hostname,
                                         &error);
    if (!list) {
        nbd_tool_error("%s", error->message);
        return 1;
    }
    printf("exports available: %u\n", list->len);
    for (guint i = 0; i < list->len; i++) {
        print_export(list->pdata[i]);
    }
    return 0;
}
