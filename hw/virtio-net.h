/* virtio network card. */
#ifndef HW_VIRTIO_NET_H
#define HW_VIRTIO_NET_H

#include "hw/net.h"
#include "hw/virtio.h"

/* On a backend without a card, which outlives it; mac: six bytes. */
VirtioDevice *virtio_net_new(const char *id, Machine *machine,
                             NetBackend *net, const uint8_t mac[6],
                             GError **error);

#endif
