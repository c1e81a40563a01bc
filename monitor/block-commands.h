/*
 * QMP commands of the block stack: nodes, bitmaps, transactions, jobs, NBD
 * server and exports.  One call registers them all with the monitor core.
 */
#ifndef MONITOR_BLOCK_COMMANDS_H
#define MONITOR_BLOCK_COMMANDS_H

#include <stdbool.h>

#include <glib.h>
#include <jansson.h>

/* After monitor_init(), before monitor_start(). */
void monitor_register_block(void);

/* The commands behind command-line options; text is JSON or key=value. */
bool monitor_blockdev_option(const char *text, GError **error);
bool monitor_export_option(const char *text, GError **error);
bool monitor_nbd_server_option(const char *text, GError **error);
bool monitor_object_option(const char *text, GError **error);

/* Winds up (see block/wind-up.h): ends jobs, exports, the server and nodes. */
void monitor_block_shutdown(void);

#endif
