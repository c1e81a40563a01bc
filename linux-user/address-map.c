/*
 * The guest's mappings: a sorted GArray of ranges, kept equal to what the
 * host has mapped below USER_LIMIT.  Contract in address-map.h.
 *
 * Every change first asks the host, then edits the array, both under the
 * lock, so that two guest threads never see half a change.
 */
#include "linux-user/address-map.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Bottom of the area searched for places, as 1/3 of the address space. */
#define MMAP_BASE UINT64_C(0x155555555000)
#define MMAP_LOW_BASE UINT64_C(0x50000000)
#define LOW_LIMIT UINT64_C(0x100000000)

struct AddressMap {
    GMutex lock;
    GArray *ranges; /* AddressRange, ascending, disjoint */
    GHashTable *watched; /* set of pages: see address_map_watch_code() */
    unsigned n_watched;  /* atomic: size of the set */
    unsigned openings;   /* atomic: successes of open_code() */
};

AddressMap *address_map_new(void)
{
    AddressMap *map = g_new0(AddressMap, 1);

    g_mutex_init(&map->lock);
    map->ranges = g_array_new(false, false, sizeof(AddressRange));
    map->watched = g_hash_table_new(NULL, NULL);
    /* Taken already: then the emulator was started in a strange way. */
    if (mmap((void *)USER_LIMIT, USER_GUARD, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
             -1, 0) != (void *)USER_LIMIT) {
        address_map_free(map);
        return NULL;
    }
    return map;
}

static AddressRange *range_at(AddressMap *map, guint index)
{
    return &g_array_index(map->ranges, AddressRange, index);
}

void address_map_free(AddressMap *map)
{
    for (guint i = 0; i < map->ranges->len; i++) {
        g_free(range_at(map, i)->name);
    }
    g_array_free(map->ranges, true);
    g_hash_table_destroy(map->watched);
    g_mutex_clear(&map->lock);
    g_free(map);
}

/* Index of the first range that ends above the address. */
static guint first_above(AddressMap *map, uint64_t address)
{
    guint low = 0;
    guint high = map->ranges->len;

    while (low < high) {
        guint middle = (low + high) / 2;

        if (range_at(map, middle)->end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Makes the address a boundary between ranges. */
static void split_at(AddressMap *map, uint64_t address)
{
    guint i = first_above(map, address);
    AddressRange tail;

    if (i == map->ranges->len || range_at(map, i)->start >= address) {
        return;
    }
    tail = *range_at(map, i);
    tail.offset += address - tail.start;
    tail.start = address;
    tail.name = g_strdup(tail.name);
    range_at(map, i)->end = address;
    g_array_insert_val(map->ranges, i + 1, tail);
}

static void count_watched(AddressMap *map)
{
    __atomic_store_n(&map->n_watched, g_hash_table_size(map->watched),
                     __ATOMIC_RELEASE);
}

/* The host's protection of the range is made anew. */
static void unwatch(AddressMap *map, uint64_t start, uint64_t end)
{
    GHashTableIter iter;
    void *page;

    g_hash_table_iter_init(&iter, map->watched);
    while (g_hash_table_iter_next(&iter, &page, NULL)) {
        if ((uint64_t)page >= start && (uint64_t)page < end) {
            g_hash_table_iter_remove(&iter);
        }
    }
    count_watched(map);
}

static void forget(AddressMap *map, uint64_t start, uint64_t end)
{
    guint first;
    guint i;

    unwatch(map, start, end);
    split_at(map, start);
    split_at(map, end);
    first = first_above(map, start);
    for (i = first; i < map->ranges->len && range_at(map, i)->start < end;
         i++) {
        g_free(range_at(map, i)->name);
    }
    if (i > first) {
        g_array_remove_range(map->ranges, first, i - first);
    }
}

static bool can_merge(const AddressRange *a, const AddressRange *b)
{
    return a->end == b->start && a->prot == b->prot &&
           a->shared == b->shared && g_strcmp0(a->name, b->name) == 0 &&
           (!a->name || a->name[0] == '[' ||
            a->offset + (a->end - a->start) == b->offset);
}

static void remember(AddressMap *map, AddressRange range)
{
    guint i;

    forget(map, range.start, range.end);
    i = first_above(map, range.start);
    range.name = g_strdup(range.name);
    g_array_insert_val(map->ranges, i, range);
    if (i + 1 < map->ranges->len &&
        can_merge(range_at(map, i), range_at(map, i + 1))) {
        range_at(map, i)->end = range_at(map, i + 1)->end;
        g_free(range_at(map, i + 1)->name);
        g_array_remove_index(map->ranges, i + 1);
    }
    if (i > 0 && can_merge(range_at(map, i - 1), range_at(map, i))) {
        range_at(map, i - 1)->end = range_at(map, i)->end;
        g_free(range_at(map, i)->name);
        g_array_remove_index(map->ranges, i);
    }
}

/* First gap of the size at or above the address, or 0. */
static uint64_t find_gap(AddressMap *map, uint64_t from, uint64_t size,
                         uint64_t limit)
{
    uint64_t at = from;

    for (guint i = first_above(map, from); i < map->ranges->len; i++) {
        const AddressRange *range = range_at(map, i);

        if (range->start >= at && range->start - at >= size) {
            break;
        }
        at = MAX(at, range->end);
    }
    return at <= limit && limit - at >= size ? at : 0;
}

static bool range_ok(uint64_t address, uint64_t size)
{
    return !(address & (USER_PAGE - 1)) && address <= USER_LIMIT &&
           size <= USER_LIMIT - address;
}

/* Where a call that changes pages as they are ends; 0 or -errno. */
static int whole_pages(uint64_t address, uint64_t size, uint64_t *end)
{
    if (address & (USER_PAGE - 1)) {
        return -EINVAL;
    }
    if (!range_ok(address, size)) {
        return -ENOMEM;
    }
    *end = (address + size + USER_PAGE - 1) & ~(USER_PAGE - 1);
    return 0;
}

static int host_prot(int prot)
{
    /* Code must stay readable for the translator. */
    return (prot & PROT_EXEC ? PROT_READ : 0) |
           (prot & (PROT_READ | PROT_WRITE));
}

/*
 * Calls visit for the parts of the range that the map knows (known) or does
 * not know, in order, until it returns false.
 */
typedef bool PartVisitor(uint64_t start, uint64_t end, void *data);

static bool for_parts(AddressMap *map, uint64_t start, uint64_t end,
                      bool known, PartVisitor *visit, void *data)
{
    uint64_t at = start;

    for (guint i = first_above(map, start);
         i < map->ranges->len && range_at(map, i)->start < end; i++) {
        const AddressRange *range = range_at(map, i);
        uint64_t from = MAX(at, range->start);
        uint64_t to = MIN(end, range->end);

        if (!known && range->start > at && !visit(at, range->start, data)) {
            return false;
        }
        if (known && !visit(from, to, data)) {
            return false;
        }
        at = to;
    }
    return known || at >= end || visit(at, end, data);
}

static bool drop_part(uint64_t start, uint64_t end, void *data)
{
    return munmap((void *)start, end - start) == 0;
}

/* A hole of the map may hold memory of the emulator or of its libraries. */
static bool claim_part(uint64_t start, uint64_t end, void *data)
{
    void *host = mmap((void *)start, end - start, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
                          MAP_FIXED_NOREPLACE, -1, 0);

    if (host != MAP_FAILED && host != (void *)start) {
        munmap(host, end - start);
        errno = EEXIST;
        return false;
    }
    return host != MAP_FAILED;
}

static bool advise_part(uint64_t start, uint64_t end, void *data)
{
    return madvise((void *)start, end - start, *(int *)data) == 0;
}

static bool note_hole(uint64_t start, uint64_t end, void *data)
{
    *(bool *)data = true;
    return false;
}

static bool has_hole(AddressMap *map, uint64_t start, uint64_t end)
{
    bool hole = false;

    for_parts(map, start, end, false, note_hole, &hole);
    return hole;
}

typedef struct Claimed {
    uint64_t failed_at;
} Claimed;

static bool claim_noting(uint64_t start, uint64_t end, void *data)
{
    ((Claimed *)data)->failed_at = start;
    return claim_part(start, end, NULL);
}

/* Makes the range ours to replace; false when something else is there. */
static bool claim(AddressMap *map, uint64_t start, uint64_t end)
{
    Claimed claimed = { end };
    int error;

    if (for_parts(map, start, end, false, claim_noting, &claimed)) {
        return true;
    }
    error = errno;
    for_parts(map, start, claimed.failed_at, false, drop_part, NULL);
    errno = error;
    return false;
}

static int64_t map_at(AddressMap *map, uint64_t address, uint64_t size,
                      int prot, int flags, int fd, uint64_t offset,
                      const char *name)
{
    void *host;

    if ((flags & MAP_FIXED) && !claim(map, address, address + size)) {
        return errno == EEXIST ? -ENOMEM : -errno;
    }
    host = mmap((void *)address, size, host_prot(prot), flags, fd, offset);
    if (host == MAP_FAILED) {
        int error = errno;

        if (flags & MAP_FIXED) {
            for_parts(map, address, address + size, false, drop_part, NULL);
        }
        return -error;
    }
    if ((uint64_t)host != address) {
        munmap(host, size);
        return -EEXIST;
    }
    remember(map, (AddressRange){
        .start = address, .end = address + size, .prot = prot,
        .shared = (flags & MAP_TYPE) != MAP_PRIVATE, .offset = offset,
        .name = (char *)name });
    return address;
}

static int64_t map_anywhere(AddressMap *map, uint64_t hint, uint64_t size,
                            int prot, int flags, int fd, uint64_t offset,
                            bool low, const char *name)
{
    uint64_t limit = low ? LOW_LIMIT : USER_LIMIT;
    uint64_t at = hint & ~(USER_PAGE - 1);

    if (at < USER_MIN || at >= limit || find_gap(map, at, size, limit) != at) {
        at = low ? MMAP_LOW_BASE : MMAP_BASE;
    }
    /*
     * The host may have something of its own where the map shows a gap; the
     * search then goes on behind it.
     */
    for (int attempt = 0; attempt < 1024; attempt++) {
        int64_t result;

        at = find_gap(map, at, size, limit);
        if (!at) {
            return -ENOMEM;
        }
        result = map_at(map, at, size, prot, flags | MAP_FIXED_NOREPLACE, fd,
                        offset, name);
        if (result != -EEXIST) {
            return result;
        }
        at += MAX(size, UINT64_C(1) << 20);
    }
    return -ENOMEM;
}

int64_t address_map_mmap(AddressMap *map, uint64_t address, uint64_t size,
                         int prot, int flags, int fd, uint64_t offset,
                         bool low, const char *name)
{
    int64_t result;

    if (!size || (offset & (USER_PAGE - 1))) {
        return -EINVAL;
    }
    if (size > USER_LIMIT) {
        return -ENOMEM;
    }
    size = (size + USER_PAGE - 1) & ~(USER_PAGE - 1);
    g_mutex_lock(&map->lock);
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if (address & (USER_PAGE - 1)) {
            result = -EINVAL;
        } else if (!range_ok(address, size)) {
            result = -ENOMEM;
        } else {
            result = map_at(map, address, size, prot, flags, fd, offset, name);
        }
    } else {
        result = map_anywhere(map, address, size, prot, flags, fd, offset, low,
                              name);
    }
    g_mutex_unlock(&map->lock);
    return result;
}

int address_map_munmap(AddressMap *map, uint64_t address, uint64_t size)
{
    int result = 0;

    if (!size || size > USER_LIMIT) {
        return -EINVAL;
    }
    size = (size + USER_PAGE - 1) & ~(USER_PAGE - 1);
    if (!range_ok(address, size)) {
        return -EINVAL;
    }
    g_mutex_lock(&map->lock);
    if (!for_parts(map, address, address + size, true, drop_part, NULL)) {
        result = -errno;
    } else {
        forget(map, address, address + size);
    }
    g_mutex_unlock(&map->lock);
    return result;
}

int address_map_madvise(AddressMap *map, uint64_t address, uint64_t size,
                        int advice)
{
    uint64_t end;
    int result = whole_pages(address, size, &end);

    if (result < 0) {
        return result;
    }
    g_mutex_lock(&map->lock);
    if (!for_parts(map, address, end, true, advise_part, &advice)) {
        result = -errno;
    } else if (has_hole(map, address, end)) {
        result = -ENOMEM;
    }
    g_mutex_unlock(&map->lock);
    return result;
}

int address_map_mprotect(AddressMap *map, uint64_t address, uint64_t size,
                         int prot)
{
    uint64_t end;
    int result = whole_pages(address, size, &end);

    if (result < 0) {
        return result;
    }
    g_mutex_lock(&map->lock);
    if (has_hole(map, address, end)) {
        result = -ENOMEM;
    } else if (mprotect((void *)address, end - address,
                        host_prot(prot)) < 0) {
        result = -errno;
    } else {
        unwatch(map, address, end);
        split_at(map, address);
        split_at(map, end);
        for (guint i = first_above(map, address);
             i < map->ranges->len && range_at(map, i)->start < end; i++) {
            range_at(map, i)->prot = prot;
        }
    }
    g_mutex_unlock(&map->lock);
    return result;
}

static const AddressRange *range_of(AddressMap *map, uint64_t address)
{
    guint i = first_above(map, address);

    return i < map->ranges->len && range_at(map, i)->start <= address
               ? range_at(map, i) : NULL;
}

/* Gives the watched pages of a range back; false: there was none. */
static bool open_code(AddressMap *map, uint64_t start, uint64_t end)
{
    bool found = false;
    GHashTableIter iter;
    void *page;

    g_hash_table_iter_init(&iter, map->watched);
    while (g_hash_table_iter_next(&iter, &page, NULL)) {
        const AddressRange *range = range_of(map, (uint64_t)page);

        if ((uint64_t)page >= start && (uint64_t)page < end) {
            mprotect(page, USER_PAGE, host_prot(range->prot));
            g_hash_table_iter_remove(&iter);
            found = true;
        }
    }
    count_watched(map);
    __atomic_fetch_add(&map->openings, found, __ATOMIC_RELEASE);
    return found;
}

int64_t address_map_mremap(AddressMap *map, uint64_t address,
                           uint64_t old_size, uint64_t new_size, int flags,
                           uint64_t new_address)
{
    AddressRange range;
    int64_t result;
    void *host;
    guint i;

    if (!new_size || (address & (USER_PAGE - 1)) || old_size > USER_LIMIT ||
        new_size > USER_LIMIT || !range_ok(address, old_size)) {
        return -EINVAL;
    }
    if ((flags & MREMAP_FIXED) && !range_ok(new_address, new_size)) {
        return -EINVAL;
    }
    old_size = (old_size + USER_PAGE - 1) & ~(USER_PAGE - 1);
    new_size = (new_size + USER_PAGE - 1) & ~(USER_PAGE - 1);
    g_mutex_lock(&map->lock);
    i = first_above(map, address);
    if (i == map->ranges->len || range_at(map, i)->start > address) {
        g_mutex_unlock(&map->lock);
        return -EFAULT;
    }
    if (range_at(map, i)->end - address < old_size ||
        ((flags & MREMAP_FIXED) &&
         ((new_address & (USER_PAGE - 1)) ||
          !claim(map, new_address, new_address + new_size)))) {
        bool short_range = range_at(map, i)->end - address < old_size;

        g_mutex_unlock(&map->lock);
        return short_range ? -EFAULT
               : new_address & (USER_PAGE - 1) ? -EINVAL : -ENOMEM;
    }
    open_code(map, address, address + old_size);
    range = *range_at(map, i);
    range.offset += address - range.start;
    range.name = g_strdup(range.name);
    if (!(flags & MREMAP_FIXED)) {
        uint64_t grown = address + old_size;

        new_address = address;
        if (new_size > old_size &&
            find_gap(map, grown, new_size - old_size, USER_LIMIT) != grown) {
            new_address = flags & MREMAP_MAYMOVE
                              ? find_gap(map, MMAP_BASE, new_size, USER_LIMIT)
                              : 0;
        }
        if (!new_address) {
            g_free(range.name);
            g_mutex_unlock(&map->lock);
            return -ENOMEM;
        }
    }
    if (new_address == address && !(flags & MREMAP_FIXED)) {
        host = mremap((void *)address, old_size, new_size, 0);
    } else {
        if (!(flags & MREMAP_FIXED) &&
            !claim(map, new_address, new_address + new_size)) {
            g_free(range.name);
            g_mutex_unlock(&map->lock);
            return -ENOMEM;
        }
        host = mremap((void *)address, old_size, new_size,
                      flags | MREMAP_FIXED | MREMAP_MAYMOVE,
                      (void *)new_address);
    }
    if (host == MAP_FAILED) {
        result = -errno;
        if (new_address != address) {
            for_parts(map, new_address, new_address + new_size, false,
                      drop_part, NULL);
        }
    } else {
        if (!(flags & MREMAP_DONTUNMAP)) {
            forget(map, address, address + old_size);
        }
        range.start = new_address;
        range.end = new_address + new_size;
        remember(map, range);
        result = new_address;
    }
    g_free(range.name);
    g_mutex_unlock(&map->lock);
    return result;
}

int64_t address_map_shmat(AddressMap *map, int id, uint64_t address, int flags,
                          bool low)
{
    struct shmid_ds info;
    int64_t result;
    uint64_t size;
    void *host;

    if (shmctl(id, IPC_STAT, &info) < 0) {
        return -errno;
    }
    size = (info.shm_segsz + USER_PAGE - 1) & ~(USER_PAGE - 1);
    g_mutex_lock(&map->lock);
    if (!address) {
        address = find_gap(map, low ? MMAP_LOW_BASE : MMAP_BASE, size,
                           low ? LOW_LIMIT : USER_LIMIT);
    } else if (flags & SHM_RND) {
        address &= ~(USER_PAGE - 1);
    }
    if (!address || !range_ok(address, size)) {
        g_mutex_unlock(&map->lock);
        return address & (USER_PAGE - 1) ? -EINVAL : -ENOMEM;
    }
    if (flags & SHM_REMAP ? !claim(map, address, address + size)
                          : first_above(map, address) < map->ranges->len &&
                                range_at(map, first_above(map, address))->start
                                    < address + size) {
        g_mutex_unlock(&map->lock);
        return -EINVAL;
    }
    host = shmat(id, (void *)address, flags & ~SHM_EXEC);
    if (host == (void *)-1) {
        result = -errno;
    } else {
        remember(map, (AddressRange){
            .start = address, .end = address + size, .shared = true,
            .prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) |
                    (flags & SHM_EXEC ? PROT_EXEC : 0),
            .name = (char *)"/SYSV00000000" });
        result = address;
    }
    g_mutex_unlock(&map->lock);
    return result;
}

int address_map_shmdt(AddressMap *map, uint64_t address)
{
    int result = -EINVAL;
    guint i;

    g_mutex_lock(&map->lock);
    i = first_above(map, address);
    if (i < map->ranges->len && range_at(map, i)->start == address) {
        uint64_t end = range_at(map, i)->end;

        if (shmdt((void *)address) < 0) {
            result = -errno;
        } else {
            forget(map, address, end);
            result = 0;
        }
    }
    g_mutex_unlock(&map->lock);
    return result;
}

void address_map_fork_begin(AddressMap *map)
{
    g_mutex_lock(&map->lock);
}

void address_map_fork_end(AddressMap *map)
{
    g_mutex_unlock(&map->lock);
}

int address_map_prot(AddressMap *map, uint64_t address)
{
    int prot = -1;
    guint i;

    g_mutex_lock(&map->lock);
    i = first_above(map, address);
    if (i < map->ranges->len && range_at(map, i)->start <= address) {
        prot = range_at(map, i)->prot;
    }
    g_mutex_unlock(&map->lock);
    return prot;
}

void address_map_watch_code(AddressMap *map, uint64_t address)
{
    void *page = (void *)(address & ~(USER_PAGE - 1));

    g_mutex_lock(&map->lock);
    const AddressRange *range = range_of(map, address);
    if (range && (range->prot & PROT_WRITE) && (range->prot & PROT_EXEC) &&
        !g_hash_table_contains(map->watched, page) &&
        mprotect(page, USER_PAGE, PROT_READ) == 0) {
        g_hash_table_add(map->watched, page);
        count_watched(map);
    }
    g_mutex_unlock(&map->lock);
}

bool address_map_open_code(AddressMap *map, uint64_t address, uint64_t size)
{
    bool found = false;

    if (__atomic_load_n(&map->n_watched, __ATOMIC_ACQUIRE)) {
        g_mutex_lock(&map->lock);
        found = open_code(map, address & ~(USER_PAGE - 1), address + size);
        g_mutex_unlock(&map->lock);
    }
    return found;
}

unsigned address_map_openings(AddressMap *map)
{
    return __atomic_load_n(&map->openings, __ATOMIC_ACQUIRE);
}

uint64_t address_map_start(AddressMap *map, uint64_t address)
{
    uint64_t start = 0;
    guint i;

    g_mutex_lock(&map->lock);
    i = first_above(map, address);
    if (i < map->ranges->len && range_at(map, i)->start <= address) {
        start = range_at(map, i)->start;
    }
    g_mutex_unlock(&map->lock);
    return start;
}

bool address_map_overlaps(AddressMap *map, uint64_t start, uint64_t end)
{
    bool overlaps;
    guint i;

    g_mutex_lock(&map->lock);
    i = first_above(map, start);
    overlaps = i < map->ranges->len && range_at(map, i)->start < end;
    g_mutex_unlock(&map->lock);
    return overlaps;
}

void address_map_foreach(AddressMap *map,
                         void (*visit)(const AddressRange *range, void *data),
                         void *data)
{
    g_mutex_lock(&map->lock);
    for (guint i = 0; i < map->ranges->len; i++) {
        visit(range_at(map, i), data);
    }
    g_mutex_unlock(&map->lock);
}

static void print_range(const AddressRange *range, void *to)
{
    struct stat st = { 0 };
    bool file = range->name && range->name[0] == '/' &&
                stat(range->name, &st) == 0;
    int width;

    width = fprintf(to, "%08" PRIx64 "-%08" PRIx64 " %c%c%c%c %08" PRIx64
                    " %02x:%02x %llu ",
                    range->start, range->end,
                    range->prot & PROT_READ ? 'r' : '-',
                    range->prot & PROT_WRITE ? 'w' : '-',
                    range->prot & PROT_EXEC ? 'x' : '-',
                    range->shared ? 's' : 'p', file ? range->offset : 0,
                    file ? major(st.st_dev) : 0, file ? minor(st.st_dev) : 0,
                    file ? (unsigned long long)st.st_ino : 0ull);
    if (range->name) {
        fprintf(to, "%*s%s", MAX(0, 73 - width), "", range->name);
    }
    fputc('\n', to);
}

void address_map_print(AddressMap *map, FILE *to)
{
    address_map_foreach(map, print_range, to);
}
