/*
 * What a user program has mapped, and where the next mapping goes.
 *
 *   [ 0x10000 ............ USER_LIMIT )      guest addresses = host addresses
 *     text  heap | mmap -> ... PIE ... | hardware stacks | stack |
 *
 * Guest addresses are host addresses: pointers inside structures reach the
 * host kernel without translation.  The emulator's own memory lies above
 * USER_LIMIT, where no guest mapping is ever made and no pointer argument of
 * a system call is accepted.  Real e2k user space ends at 0xd00000000000,
 * which does not fit below the host's 2^47; programs do not depend on it.
 *
 * Guest pages are never executable for the host: guest code is data to the
 * translator, so PROT_EXEC lives in this map only.
 *
 * The map is a sorted array of disjoint ranges under one lock; lookups of a
 * handful to a few thousand ranges are a binary search.
 */
#ifndef LINUX_USER_ADDRESS_MAP_H
#define LINUX_USER_ADDRESS_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <glib.h>

#define USER_LIMIT_BIT 46
#define USER_LIMIT (UINT64_C(1) << USER_LIMIT_BIT)
/*
 * Where the host's user half ends: the emulator is between the two limits, or
 * in holes of the guest's part that its map does not know.
 */
#define HOST_LIMIT UINT64_C(0x800000000000)
#define USER_MIN UINT64_C(0x10000)
/* Never accessible: a valid address plus a displacement ends here at most. */
#define USER_GUARD (UINT64_C(1) << 31)
#define USER_PAGE UINT64_C(4096)

typedef struct AddressRange {
    uint64_t start;
    uint64_t end;
    int prot;        /* guest PROT_READ | PROT_WRITE | PROT_EXEC */
    bool shared;
    uint64_t offset; /* in the file */
    char *name;      /* file or "[heap]", owned; may be NULL */
} AddressRange;

typedef struct AddressMap AddressMap;

/* NULL when the host's address space has no room at USER_LIMIT. */
AddressMap *address_map_new(void);
void address_map_free(AddressMap *map);

/*
 * mmap() for the guest: host memory and the map together.  flags are host
 * flags; without MAP_FIXED a place is searched from the hint or the bottom of
 * the mmap area upward (below 4 GiB when low is set).  Returns the address or
 * -errno.
 */
int64_t address_map_mmap(AddressMap *map, uint64_t address, uint64_t size,
                         int prot, int flags, int fd, uint64_t offset,
                         bool low, const char *name);
int address_map_munmap(AddressMap *map, uint64_t address, uint64_t size);
/* Advice reaches mapped parts only; a hole gives -ENOMEM, as in Linux. */
int address_map_madvise(AddressMap *map, uint64_t address, uint64_t size,
                        int advice);
int address_map_mprotect(AddressMap *map, uint64_t address, uint64_t size,
                         int prot);
int64_t address_map_mremap(AddressMap *map, uint64_t address,
                           uint64_t old_size, uint64_t new_size, int flags,
                           uint64_t new_address);
/* Attaches a System V segment (host shmat) and records it. */
int64_t address_map_shmat(AddressMap *map, int id, uint64_t address, int flags,
                          bool low);
int address_map_shmdt(AddressMap *map, uint64_t address);

/* Around fork(): nobody else is within a change. */
void address_map_fork_begin(AddressMap *map);
void address_map_fork_end(AddressMap *map);

/* Guest protection of the page, or -1 when nothing is mapped there. */
int address_map_prot(AddressMap *map, uint64_t address);

/*
 * Code that the guest may write.  The caches of versions 3 and later see
 * stores to code without a flush, so the engines' copies of it must go when it
 * is written.  Before code is read from a page that is both writable and
 * executable for the guest, the host loses the right to write it ("watched");
 * the write that faults gives it back, and the caller invalidates.
 */
/* Watches the page, if it is such a one. */
void address_map_watch_code(AddressMap *map, uint64_t address);
/*
 * Ends the watch of the range's pages; false: none was watched.  May be called
 * by the handler of a synchronous fault in an access to guest memory.
 */
bool address_map_open_code(AddressMap *map, uint64_t address, uint64_t size);
/* How often that has been done: another thread may have been quicker. */
unsigned address_map_openings(AddressMap *map);

/* Start of the mapping that holds the address, or 0. */
uint64_t address_map_start(AddressMap *map, uint64_t address);

/* Whether any byte of the range is mapped. */
bool address_map_overlaps(AddressMap *map, uint64_t start, uint64_t end);

/* Calls visit for each range in ascending order; returns with the lock free. */
void address_map_foreach(AddressMap *map,
                         void (*visit)(const AddressRange *range, void *data),
                         void *data);

/* The text of /proc/self/maps. */
void address_map_print(AddressMap *map, FILE *to);

#endif
