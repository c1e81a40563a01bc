/*
 * The kernel's NBD client: /dev/nbdN.  Needs the kernel's nbd module and the
 * right to use the device.
 */
#ifndef NBD_KERNEL_H
#define NBD_KERNEL_H

#include <stdbool.h>

#include <glib.h>

/*
 * Negotiates the default export over a connected socket (taken over) and
 * hands it to the device; a thread stays with it until it is disconnected.
 */
bool nbd_kernel_connect(const char *device, const char *export, int socket,
                        GError **error);
bool nbd_kernel_disconnect(const char *device, GError **error);

#endif
