/*
 * Memory of generated code; see cache.h for the scheme.
 */
#include "tcg/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    DEFAULT_BYTES = 64 << 20,
    SEGMENTS = 8,
    MIN_SEGMENT = 256 << 10,
    THUNK_BYTES = 4096,
    MIN_REGION_BYTES = 64, /* spacing of regions, for the index */
    PAGE_BITS = 12,
    COUNT_BITS = 14,
    PAGE_HASH_BITS = 12,
    MANY_PAGES = 4096,
};

typedef struct Segment {
    uint8_t *base;         /* writable view */
    uint8_t *next;         /* where the next region goes */
    TcgRegion **regions;   /* by address */
    unsigned n_regions;    /* atomic: read by signal handlers */
    uint64_t drained_at;   /* epoch */
} Segment;

/* One region on one guest page. */
typedef struct PageNode {
    uint64_t page;
    TcgRegion *region;
    struct PageNode *next;
} PageNode;

static struct {
    uint8_t *write, *exec;
    size_t bytes, segment_bytes;
    Segment segments[SEGMENTS];
    unsigned current;
    uint64_t epoch;        /* atomic, starts at 1 */
    uint64_t recycles;
    uint32_t counts[1 << COUNT_BITS]; /* regions by page hash, atomic */
    PageNode *pages[1 << PAGE_HASH_BITS];
} cache;

/* --- memory --------------------------------------------------------------------- */

static bool map_twice(size_t bytes)
{
    int fd = memfd_create("e2k-code", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, bytes) < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    cache.write = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cache.exec = mmap(NULL, bytes, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    close(fd);
    if (cache.write != MAP_FAILED && cache.exec != MAP_FAILED) {
        return true;
    }
    if (cache.write != MAP_FAILED) {
        munmap(cache.write, bytes);
    }
    if (cache.exec != MAP_FAILED) {
        munmap(cache.exec, bytes);
    }
    return false;
}

static bool map_once(size_t bytes)
{
    cache.write = mmap(NULL, bytes, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cache.exec = cache.write;
    return cache.write != MAP_FAILED;
}

static bool set_up_segments(void)
{
    size_t entries = cache.segment_bytes / MIN_REGION_BYTES;
    /* Large and mostly untouched; errno is set for the caller's message. */
    TcgRegion **index = calloc(SEGMENTS * entries, sizeof(*index));

    if (!index) {
        return false;
    }
    for (unsigned i = 0; i < SEGMENTS; i++) {
        Segment *segment = &cache.segments[i];

        segment->base = cache.write + THUNK_BYTES + i * cache.segment_bytes;
        segment->next = segment->base;
        segment->regions = index + i * entries;
    }
    return true;
}

bool cache_init(size_t bytes, GError **error)
{
    if (cache.write) {
        x86_emit_thunks(cache.write, cache.exec - cache.write);
        return true; /* again, with other settings: a test does this */
    }
    bytes = bytes ? bytes : DEFAULT_BYTES;
    bytes = MAX(bytes, (size_t)SEGMENTS * MIN_SEGMENT);
    bytes = MIN(bytes, (size_t)1 << 30); /* rel32 reaches everything */
    cache.segment_bytes = bytes / SEGMENTS & ~(size_t)4095;
    cache.bytes = THUNK_BYTES + SEGMENTS * cache.segment_bytes;
    /* perf maps are looked at for anonymous memory only. */
    bool once = tcg_config.perf_map || tcg_config.private_code;

    if (!(once ? map_once(cache.bytes)
               : map_twice(cache.bytes) || map_once(cache.bytes)) ||
        !set_up_segments()) {
        g_set_error(error, g_quark_from_static_string("tcg"), 1,
                    "Mapping %zu bytes of executable memory: %s", cache.bytes,
                    g_strerror(errno));
        cache.write = NULL;
        return false;
    }
    cache.epoch = 1;
    x86_emit_thunks(cache.write, cache.exec - cache.write);
    return true;
}

uint8_t *cache_writable(const void *executable)
{
    return (uint8_t *)executable - cache.exec + cache.write;
}

uint64_t cache_recycles(void)
{
    return cache.recycles;
}

/* --- epochs ------------------------------------------------------------------------ */

void cache_enter(TcgCpu *tc)
{
    uint64_t epoch = __atomic_load_n(&cache.epoch, __ATOMIC_RELAXED);

    if (tc->epoch != epoch) {
        tc->chain_slot = NULL; /* its region may be gone */
        __atomic_store_n(&tc->epoch, epoch, __ATOMIC_SEQ_CST);
    }
}

void cache_leave(TcgCpu *tc)
{
    tc->chain_slot = NULL;
    __atomic_store_n(&tc->epoch, 0, __ATOMIC_RELEASE);
}

static bool is_drained(const Segment *segment)
{
    bool drained = true;

    for (TcgCpu *tc = tcg_cpus; tc; tc = tc->next) {
        uint64_t epoch = __atomic_load_n(&tc->epoch, __ATOMIC_SEQ_CST);

        if (epoch && epoch < segment->drained_at) {
            drained = false;
            if (tcg_config.kick) {
                tcg_config.kick(tc->cpu);
            }
        }
    }
    return drained;
}

/* --- segments ----------------------------------------------------------------------- */

static void drain(Segment *segment)
{
    if (!segment->n_regions || segment->drained_at) {
        return;
    }
    for (unsigned i = 0; i < segment->n_regions; i++) {
        region_kill(segment->regions[i]);
    }
    regions_clear_caches();
    segment->drained_at =
        __atomic_add_fetch(&cache.epoch, 1, __ATOMIC_SEQ_CST);
}

static void reuse(Segment *segment)
{
    unsigned n = segment->n_regions;

    __atomic_store_n(&segment->n_regions, 0, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < n; i++) {
        region_free(segment->regions[i]);
    }
    segment->next = segment->base;
    segment->drained_at = 0;
    cache.recycles += n != 0;
}

bool cache_next_segment(void)
{
    Segment *next = &cache.segments[(cache.current + 1) % SEGMENTS];

    drain(next);
    if (next->drained_at && !is_drained(next)) {
        return false;
    }
    reuse(next);
    cache.current = (cache.current + 1) % SEGMENTS;
    drain(&cache.segments[(cache.current + 1) % SEGMENTS]);
    return true;
}

bool cache_space(CacheSpace *space)
{
    Segment *segment = &cache.segments[cache.current];

    space->start = segment->next;
    space->end = segment->base + cache.segment_bytes;
    space->delta = cache.exec - cache.write;
    if (space->end - space->start < MIN_REGION_BYTES) {
        return cache_next_segment() && cache_space(space);
    }
    return true;
}

static unsigned page_count_slot(uint64_t page)
{
    return page * UINT64_C(0x9e3779b97f4a7c15) >> (64 - COUNT_BITS);
}

static unsigned page_hash(uint64_t page)
{
    return page * UINT64_C(0x9e3779b97f4a7c15) >> (64 - PAGE_HASH_BITS);
}

static void remember_pages(TcgRegion *region)
{
    for (unsigned i = 0; i < region->n_ranges; i++) {
        uint64_t first = region->ranges[i].start >> PAGE_BITS;
        uint64_t last = (region->ranges[i].end - 1) >> PAGE_BITS;

        for (uint64_t page = first; page <= last; page++) {
            PageNode *node = g_new(PageNode, 1);
            PageNode **head = &cache.pages[page_hash(page)];

            *node = (PageNode){.page = page, .region = region, .next = *head};
            *head = node;
            __atomic_add_fetch(&cache.counts[page_count_slot(page)], 1,
                               __ATOMIC_SEQ_CST);
        }
    }
}

void cache_commit(TcgRegion *region)
{
    Segment *segment = &cache.segments[cache.current];
    size_t step = (region->code_bytes + MIN_REGION_BYTES - 1) &
                  ~(size_t)(MIN_REGION_BYTES - 1);

    region->segment = cache.current;
    segment->next += step;
    segment->regions[segment->n_regions] = region;
    __atomic_store_n(&segment->n_regions, segment->n_regions + 1,
                     __ATOMIC_RELEASE);
    remember_pages(region);
}

TcgRegion *cache_find(const void *code)
{
    size_t offset = (uint8_t *)code - cache.exec - THUNK_BYTES;

    if ((uint8_t *)code < cache.exec + THUNK_BYTES ||
        offset >= SEGMENTS * cache.segment_bytes) {
        return NULL;
    }
    const Segment *segment = &cache.segments[offset / cache.segment_bytes];
    unsigned low = 0;
    unsigned high = __atomic_load_n(&segment->n_regions, __ATOMIC_ACQUIRE);

    while (low < high) {
        unsigned middle = (low + high) / 2;
        TcgRegion *region = segment->regions[middle];
        ptrdiff_t at = (uint8_t *)code - (uint8_t *)region->code;

        if (at < 0) {
            high = middle;
        } else if (at >= region->code_bytes) {
            low = middle + 1;
        } else {
            return region;
        }
    }
    return NULL;
}

/* --- guest pages ---------------------------------------------------------------------- */

void cache_forget_pages(TcgRegion *region)
{
    for (unsigned i = 0; i < region->n_ranges; i++) {
        uint64_t first = region->ranges[i].start >> PAGE_BITS;
        uint64_t last = (region->ranges[i].end - 1) >> PAGE_BITS;

        for (uint64_t page = first; page <= last; page++) {
            PageNode **p = &cache.pages[page_hash(page)];

            while (*p && ((*p)->page != page || (*p)->region != region)) {
                p = &(*p)->next;
            }
            if (*p) {
                PageNode *node = *p;

                *p = node->next;
                g_free(node);
                __atomic_sub_fetch(&cache.counts[page_count_slot(page)], 1,
                                   __ATOMIC_SEQ_CST);
            }
        }
    }
}

bool cache_may_hold(uint64_t start, uint64_t end)
{
    if (start >= end) {
        return false;
    }
    uint64_t first = start >> PAGE_BITS;
    uint64_t last = (end - 1) >> PAGE_BITS;

    if (last - first >= MANY_PAGES) {
        return true;
    }
    for (uint64_t page = first; page <= last; page++) {
        if (__atomic_load_n(&cache.counts[page_count_slot(page)],
                            __ATOMIC_SEQ_CST)) {
            return true;
        }
    }
    return false;
}

static bool overlaps(const TcgRegion *region, uint64_t start, uint64_t end)
{
    for (unsigned i = 0; i < region->n_ranges; i++) {
        if (region->ranges[i].start < end && region->ranges[i].end > start) {
            return true;
        }
    }
    return false;
}

static bool kill_everywhere(uint64_t start, uint64_t end)
{
    bool any = false;

    for (unsigned s = 0; s < SEGMENTS; s++) {
        for (unsigned i = 0; i < cache.segments[s].n_regions; i++) {
            TcgRegion *region = cache.segments[s].regions[i];

            if (!region->dead && overlaps(region, start, end)) {
                region_kill(region);
                any = true;
            }
        }
    }
    return any;
}

static TcgRegion *region_on_page(uint64_t page, uint64_t start, uint64_t end)
{
    for (PageNode *node = cache.pages[page_hash(page)]; node;
         node = node->next) {
        if (node->page == page && overlaps(node->region, start, end)) {
            return node->region;
        }
    }
    return NULL;
}

bool cache_kill_range(uint64_t start, uint64_t end)
{
    uint64_t first = start >> PAGE_BITS;
    uint64_t last = (end - 1) >> PAGE_BITS;
    bool any = false;

    if (last - first >= MANY_PAGES) {
        return kill_everywhere(start, end);
    }
    for (uint64_t page = first; page <= last; page++) {
        TcgRegion *region;

        while ((region = region_on_page(page, start, end))) {
            region_kill(region);
            any = true;
        }
    }
    return any;
}
