/*
 * Threads that carry a virtio device's requests out, each one at a time:
 *
 *   bell --> wake a worker --> pop --> wake another if there is more
 *                               \--> handle() --> it answers
 *
 * For devices whose requests block.  Requests may end in any order.
 */
#ifndef HW_VIRTIO_WORKERS_H
#define HW_VIRTIO_WORKERS_H

#include "hw/virtio.h"

typedef struct VirtioWorkers VirtioWorkers;

/*
 * Takes requests of the queues from first_queue on.  handle() answers the
 * request or gives it up; several threads call it.
 */
VirtioWorkers *virtio_workers_new(VirtioDevice *vdev, unsigned first_queue,
                                  unsigned n_threads,
                                  void (*handle)(VirtioDevice *vdev,
                                                 VirtioRequest *request));
/* There may be a request. */
void virtio_workers_notify(VirtioWorkers *workers);
/* Waits until every request that was taken is answered; what is still in the
 * rings waits for a bell. */
void virtio_workers_quiesce(VirtioWorkers *workers);
void virtio_workers_free(VirtioWorkers *workers);

#endif
