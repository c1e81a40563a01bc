/*
 * Advisory locks on image files, as the ecosystem's programs take them, so
 * that two programs do not write one image.
 *
 * One byte per permission: byte 100 + n is locked (shared) by whoever uses
 * permission n, byte 200 + n by whoever does not let others use it.  Locks
 * belong to the open file description given, and a conflict is seen by asking
 * whether an exclusive lock could be had on the counterpart byte.
 */
#ifndef BLOCK_FILE_LOCK_H
#define BLOCK_FILE_LOCK_H

#include <stdbool.h>

#include <glib.h>

/* Does the system have open-file-description locks on this file? */
bool file_lock_supported(int fd);

/*
 * Changes the locks held by fd from *held_used, *held_unshared (bit masks) to
 * used and unshared.  On a conflict nothing has changed.
 */
bool file_lock_change(int fd, const char *filename, unsigned *held_used,
                      unsigned *held_unshared, unsigned used,
                      unsigned unshared, GError **error);

#endif
