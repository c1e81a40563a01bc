/*
 * Accesses to memory that may not be there: guest user memory, seen from the
 * interpreter, from helpers and from system-call emulation.
 *
 * A fault inside one of these functions does not kill the process: the
 * SIGSEGV/SIGBUS handler calls host_access_recover(), which makes the
 * function return false.  On x86-64 the accessors are leaf routines in one
 * text range, so recovery is "return false from here"; on other hosts the
 * kernel copies (slow, and always safe).
 *
 * Addresses are host addresses.  Thread-safe; the accessors may be called in
 * signal handlers.
 */
#ifndef TCG_HOST_ACCESS_H
#define TCG_HOST_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* size_bytes is 1, 2, 4, 8 or 16; single-copy atomic up to 8 when aligned. */
bool host_load(uintptr_t address, unsigned size_bytes, void *value);
bool host_store(uintptr_t address, unsigned size_bytes, const void *value);

/* Any size.  On failure a part may have been copied. */
bool host_copy_from(void *to, uintptr_t from, size_t size_bytes);
bool host_copy_to(uintptr_t to, const void *from, size_t size_bytes);

/*
 * Atomically stores *value if memory holds *expected; *swapped tells.  Sizes
 * 1, 2, 4, 8, and 16 (16: aligned to 16, else the call fails).  Returns false
 * on a fault, like the others.
 */
bool host_cmpxchg(uintptr_t address, unsigned size_bytes, const void *expected,
                  const void *value, bool *swapped);

/* Whether one byte in each page of the range can be read. */
bool host_readable(uintptr_t address, size_t size_bytes);

/*
 * For the fault handler: when the context stopped inside an accessor, makes
 * it return false and returns true.
 */
bool host_access_recover(void *ucontext);

#endif
