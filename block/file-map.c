/*
 * See file-map.h.
 *
 * The lock is held for reading while a window is used and for writing while
 * one is mapped or given away; nobody waits for the latter: who cannot have
 * it uses pwrite().  Counts are atomic; one lost costs a few pwrite().
 */
#include "block/file-map.h"

#include <sys/mman.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <glib.h>
#include <linux/magic.h>

#include "util/guarded-copy.h"

#define PAGE     4096u
#define WINDOW   (UINT64_C(1) << 30)
#define SLOTS    8
#define REGION   (2u << 20)   /* the largest folio */
#define REGIONS  (WINDOW / REGION)
#define ENOUGH   (REGION / PAGE / 4) /* pages written: a region is mapped */
#define WORDS    (WINDOW / PAGE / 64)
#define PER_REGION (REGION / PAGE / 64) /* words */
#define LONGEST  (1u << 20)
#define SLOW_NS  8000         /* for a page: it was a fault */
#define READ_NS  100000       /* it was read from the disk: not cached */
#define ZAP_MS   1000         /* between two looks for what is slow */
#define PATIENCE 4096 /* writes elsewhere before a window is given away */

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

typedef struct Window {
    uint64_t start;     /* of the file; UINT64_MAX: free */
    uint8_t *base;      /* NULL: not mapped yet */
    uint64_t size;      /* mapped */
    int patience;       /* atomic */
    uint32_t zapped_ms[REGIONS]; /* atomic: when its pages were taken out */
    /* Atomic: pages written since the last flush, and their number. */
    uint64_t *written; /* WORDS */
    uint16_t counts[REGIONS];
} Window;

struct FileMap {
    int fd;
    GRWLock lock;
    Window windows[SLOTS];
};

static bool is_local(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0) {
        return false;
    }
    switch ((unsigned long)fs.f_type) {
    case EXT4_SUPER_MAGIC: /* ext2 and ext3 too */
    case XFS_SUPER_MAGIC:
    case TMPFS_MAGIC:
        return true;
    default:
        return false;
    }
}

FileMap *file_map_new(int fd)
{
    FileMap *map;

    if (sysconf(_SC_PAGESIZE) != PAGE || !is_local(fd)) {
        return NULL;
    }
    map = g_new0(FileMap, 1);
    map->fd = fd;
    g_rw_lock_init(&map->lock);
    for (int i = 0; i < SLOTS; i++) {
        map->windows[i].start = UINT64_MAX;
    }
    return map;
}

static void unmap(Window *w)
{
    if (w->base) {
        munmap(w->base, w->size);
        w->base = NULL;
    }
}

void file_map_free(FileMap *map)
{
    if (!map) {
        return;
    }
    for (int i = 0; i < SLOTS; i++) {
        unmap(&map->windows[i]);
        g_free(map->windows[i].written);
    }
    g_rw_lock_clear(&map->lock);
    g_free(map);
}

static void forget_region(Window *w, unsigned region)
{
    __atomic_store_n(&w->counts[region], 0, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < PER_REGION; i++) {
        __atomic_store_n(&w->written[region * PER_REGION + i], 0,
                         __ATOMIC_RELAXED);
    }
}

static void forget_writes(Window *w)
{
    for (unsigned i = 0; i < REGIONS; i++) {
        if (__atomic_load_n(&w->counts[i], __ATOMIC_RELAXED)) {
            forget_region(w, i);
        }
    }
}

/* Gives the slot to the window of `start`, unless somebody uses the map. */
static void take_slot(FileMap *map, Window *w, uint64_t start)
{
    if (!g_rw_lock_writer_trylock(&map->lock)) {
        return;
    }
    unmap(w);
    w->start = start;
    w->patience = PATIENCE;
    if (!w->written) {
        w->written = g_new0(uint64_t, WORDS);
    }
    forget_writes(w);
    g_rw_lock_writer_unlock(&map->lock);
}

/* Maps the window as far as the file reaches, or more of it than before. */
static void map_window(FileMap *map, Window *w, uint64_t start,
                       uint64_t length)
{
    uint64_t size = MIN(length - start, WINDOW);
    void *base;

    if (!g_rw_lock_writer_trylock(&map->lock)) {
        return;
    }
    if (w->start == start && size > (w->base ? w->size : 0)) {
        base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map->fd,
                    (off_t)start);
        if (base != MAP_FAILED) {
            unmap(w);
            w->base = base;
            w->size = size;
            madvise(base, size, MADV_DONTFORK);
            madvise(base, size, MADV_DONTDUMP);
        } else {
            forget_writes(w); /* not again for every write */
        }
    }
    g_rw_lock_writer_unlock(&map->lock);
}

/*
 * Counts a write; true when all its pages were written before, so that they
 * are in the page cache, and lie in regions written enough.
 */
static bool count_write(Window *w, uint64_t at, uint64_t bytes)
{
    uint64_t page = at / PAGE;
    uint64_t end = (at + bytes - 1) / PAGE + 1;
    bool enough = true;

    while (page < end) {
        unsigned bit = page % 64;
        unsigned n = MIN(64 - bit, end - page);
        uint64_t mask = (UINT64_MAX >> (64 - n)) << bit;
        uint64_t *word = &w->written[page / 64];
        uint16_t *count = &w->counts[page / 64 / PER_REGION];

        if (~__atomic_load_n(word, __ATOMIC_RELAXED) & mask) {
            uint64_t old = __atomic_fetch_or(word, mask, __ATOMIC_RELAXED);

            __atomic_fetch_add(count, __builtin_popcountll(mask & ~old),
                               __ATOMIC_RELAXED);
            enough = false;
        }
        enough = enough && __atomic_load_n(count, __ATOMIC_RELAXED) >= ENOUGH;
        page += n;
    }
    return enough;
}

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/*
 * The copy to `at` was slow: if that may be because the region was written
 * back, its pages leave the page table, to come back by folios.  Whoever uses
 * them meanwhile takes a fault, as after any reclaim.  Very slow: they are
 * not even cached any more, and pwrite() does not have to read them.
 */
static void find_remedy(Window *w, uint64_t at, int64_t now, int64_t took)
{
    uint64_t first = at & ~(uint64_t)(REGION - 1);
    uint32_t *zapped = &w->zapped_ms[at / REGION];
    uint32_t ms = (uint32_t)(now / 1000000);

    if (ms - __atomic_load_n(zapped, __ATOMIC_RELAXED) >= ZAP_MS) {
        __atomic_store_n(zapped, ms, __ATOMIC_RELAXED);
        madvise(w->base + first, MIN(REGION, w->size - first),
                MADV_DONTNEED);
    }
    if (took > READ_NS) {
        forget_region(w, at / REGION);
    }
}

/* Copies up to the end of the page, with an eye on the clock. */
static bool copy_page(Window *w, uint64_t at, const void *from, size_t bytes)
{
    int64_t start = now_ns();
    bool ok = guarded_copy(w->base + at, from, bytes);
    int64_t end = now_ns();

    if (G_UNLIKELY(end - start > SLOW_NS)) {
        find_remedy(w, at, end, end - start);
    }
    return ok;
}

static bool copy_in(Window *w, uint64_t at, const struct iovec *iov, int niov,
                    uint64_t bytes)
{
    for (int i = 0; i < niov && bytes; i++) {
        size_t n = MIN(iov[i].iov_len, bytes);
        size_t first = MIN(n, PAGE - at % PAGE);

        if (!copy_page(w, at, iov[i].iov_base, first) ||
            (n > first &&
             !guarded_copy(w->base + at + first,
                           (const char *)iov[i].iov_base + first,
                           n - first))) {
            return false;
        }
        at += n;
        bytes -= n;
    }
    return true;
}

bool file_map_write(FileMap *map, uint64_t offset, uint64_t bytes,
                    const struct iovec *iov, int niov, uint64_t length)
{
    uint64_t start = offset & ~(WINDOW - 1);
    uint64_t at = offset - start;
    Window *w = &map->windows[start / WINDOW % SLOTS];
    bool ok = false;

    if (bytes > LONGEST || offset > length || bytes > length - offset ||
        at + bytes > WINDOW) {
        return false;
    }
    g_rw_lock_reader_lock(&map->lock);
    if (w->start != start) {
        int left = __atomic_sub_fetch(&w->patience, 1, __ATOMIC_RELAXED);

        g_rw_lock_reader_unlock(&map->lock);
        if (left < 0) {
            take_slot(map, w, start);
        }
        return false;
    }
    if (count_write(w, at, bytes)) {
        if (w->base && at + bytes <= w->size) {
            ok = copy_in(w, at, iov, niov, bytes);
        } else {
            g_rw_lock_reader_unlock(&map->lock);
            map_window(map, w, start, length);
            return false;
        }
        if (__atomic_load_n(&w->patience, __ATOMIC_RELAXED) < PATIENCE) {
            __atomic_add_fetch(&w->patience, 1, __ATOMIC_RELAXED);
        }
    }
    g_rw_lock_reader_unlock(&map->lock);
    return ok;
}

void file_map_flushed(FileMap *map)
{
    g_rw_lock_reader_lock(&map->lock);
    for (int i = 0; i < SLOTS; i++) {
        if (map->windows[i].start != UINT64_MAX) {
            forget_writes(&map->windows[i]);
        }
    }
    g_rw_lock_reader_unlock(&map->lock);
}
