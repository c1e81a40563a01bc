/*
 * Between export-nbd.c and the reading of its QMP arguments.
 */
#ifndef BLOCK_EXPORT_INT_H
#define BLOCK_EXPORT_INT_H

#include "block/export.h"

/* nbd-server-add: device names, and read-only nodes become read-only. */
bool block_export_add_old(const BlockExportParams *params, const char *device,
                          GError **error);

#endif
