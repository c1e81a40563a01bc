/* virtio console. */
#ifndef HW_VIRTIO_CONSOLE_H
#define HW_VIRTIO_CONSOLE_H

#include "hw/virtio.h"

/*
 * One port.  path: "file:PATH" for output alone, "unix:PATH" to listen for
 * one peer at a time; NULL: output is dropped.
 */
VirtioDevice *virtio_console_new(const char *id, Machine *machine,
                                 const char *path, GError **error);

#endif
