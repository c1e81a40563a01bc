/*
 * Preloaded into e2k-user: takes the upper part of the lowest 4 GiB, as the
 * shadow memory of a sanitizer does, where the stacks of 32-bit programs go.
 */
#include <stdint.h>
#include <sys/mman.h>

static void __attribute__((constructor)) occupy(void)
{
    const uintptr_t start = 0x90000000;
    const uintptr_t end = 0xffff0000;

    mmap((void *)start, end - start, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}
