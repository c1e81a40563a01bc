/*
 * Calls of 32-bit programs (entries 1 and 5): the same table, with other
 * structures.  What differs is a row of syscall-narrow.c: per argument a
 * layout to convert from, to, or both ways, or a handler of its own.
 */
#ifndef LINUX_USER_SYSCALL_NARROW_H
#define LINUX_USER_SYSCALL_NARROW_H

#include "linux-user/syscall.h"

/* True when the call differs from its 64-bit form; then *result is set. */
bool syscall_narrow(UserThread *thread, uint64_t number, const uint64_t *args,
                    int64_t *result);

/*
 * Structures by their members, in C's layout rules for both widths:
 *   h 16 bits, i 32 bits, q 64 bits, l signed long, L unsigned long, p pointer
 *   D an old device number: 16 bits, in the wide form the host's long
 *   x 8 bytes of padding that only the wide form has
 * A number behind a letter repeats it.  Both forms fit LAYOUT_MOST bytes.
 */
enum { LAYOUT_MOST = 512 };
#define LAYOUT_RUSAGE "l18"
unsigned layout_size(const char *layout, bool narrow);
void layout_widen(const char *layout, const uint8_t *narrow, uint8_t *wide);
void layout_narrow(const char *layout, const uint8_t *wide, uint8_t *narrow);
/* All pointers of a wide structure are below the limit. */
bool layout_pointers_below(const char *layout, const uint8_t *wide,
                           uint64_t limit);

#endif
