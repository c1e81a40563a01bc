/*
 * What the parts of e2k-nbd share: its options.
 */
#ifndef TOOLS_E2K_NBD_H
#define TOOLS_E2K_NBD_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "nbd/address.h"
#include "nbd/tls.h"

typedef struct NbdToolExport {
    char *file, *format, *name, *description;
    bool image_opts;
    bool read_only;
    uint64_t offset;
    char *snapshot_tag;     /* -l */
    bool temporary;         /* -s */
    GPtrArray *bitmaps;     /* of char * */
} NbdToolExport;

typedef struct NbdToolOptions {
    GPtrArray *exports; /* of NbdToolExport *; the first is the main one */
    unsigned open_flags; /* BlockOpenFlags from --cache, --discard, ... */
    bool writethrough;
    bool allocation_depth;
    bool list, fork, persistent, verbose;
    unsigned shared, handshake_seconds, tune;
    char *socket, *bind, *port;
    char *pid_file;
    char *connect_device, *disconnect_device;
    char *tls_creds, *tls_authz, *tls_hostname;
    const char *list_uri; /* -L URI, NULL: the server of -k, -b, -p */
} NbdToolOptions;

/* "PROG: MESSAGE" and hint lines on standard error. */
void nbd_tool_error(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* Where -k, -b, -p point; never fails. */
NbdAddress *nbd_tool_address(const NbdToolOptions *o);

/* --list: exit status. */
int nbd_tool_list(const NbdToolOptions *o, NbdTlsCreds *tls);
/* Serves until a signal or the last client ends it: exit status. */
int nbd_tool_serve(const NbdToolOptions *o, NbdTlsCreds *tls);

/* File descriptors passed by systemd: their number, or 0. */
unsigned nbd_tool_activation_fds(void);

#endif
