/*
 * The state of a machine as a stream of bytes: snapshots and migration.
 *
 *   header: magic, version, board, CPU model, number of CPUs, RAM size, time
 *   sections: { kind, id, class, version, fields }   devices, then CPUs
 *   RAM: pages that are not zero, with their tags where they have any
 *   end: checksum of everything before
 *
 * A field is its name, item size, number of items and the items, so that a
 * reader checks each against its own table (StateField in device.h) and says
 * by name what does not fit.  A class raises its version when the meaning of
 * its fields changes; a stream with another version is refused.
 *
 * The machine is stopped during both.  Saving waits until no request of a
 * device is in flight and leaves the devices so: snapshot_resume() lets them
 * take up what drivers have queued, unless another machine goes on with the
 * state.  Loading either replaces the whole state or fails: a machine
 * whose loading failed half way must be reset or ended.
 */
#ifndef SYSTEM_SNAPSHOT_H
#define SYSTEM_SNAPSHOT_H

#include "system/machine.h"

/* Where the bytes go or come from; false with an error ends it all. */
typedef bool SnapshotWriteFn(void *opaque, const void *bytes, size_t n,
                             GError **error);
typedef bool SnapshotReadFn(void *opaque, void *bytes, size_t n,
                            GError **error);

bool snapshot_save(Machine *machine, SnapshotWriteFn *write, void *opaque,
                   GError **error);
bool snapshot_load(Machine *machine, SnapshotReadFn *read, void *opaque,
                   GError **error);

/*
 * Between these no device has a request in flight, so that disks may be
 * snapshotted too.  The machine is stopped.
 */
void snapshot_quiesce(Machine *machine);
void snapshot_resume(Machine *machine);

#endif
