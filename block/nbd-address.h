/*
 * Socket addresses in QMP's shapes -> NbdAddress.
 */
#ifndef BLOCK_NBD_ADDRESS_H
#define BLOCK_NBD_ADDRESS_H

#include <jansson.h>

#include "nbd/address.h"

/*
 * SocketAddress {"type": "unix", "path": ...} or the legacy
 * {"type": "unix", "data": {"path": ...}}; types inet, unix, vsock, fd.
 */
NbdAddress *block_nbd_address(json_t *description, GError **error);

#endif
