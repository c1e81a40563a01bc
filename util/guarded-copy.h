/*
 * Copying into a shared mapping of a file, where any page may turn out not to
 * be there: the file got shorter, its disk is full or broken.  The kernel
 * says so by SIGBUS; here it becomes a return value.
 *
 * The handler is installed with the first copy.  A SIGBUS that comes from
 * anywhere else goes on to the handler that was there before, or kills as
 * ever.  SIGBUS must not be blocked in the calling thread.
 */
#ifndef UTIL_GUARDED_COPY_H
#define UTIL_GUARDED_COPY_H

#include <stdbool.h>
#include <stddef.h>

/* False: a page was missing; a part may have been copied.  Any thread. */
bool guarded_copy(void *to, const void *from, size_t bytes);

#endif
