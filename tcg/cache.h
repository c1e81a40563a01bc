/*
 * The code cache: host memory for generated code, given out in segments and
 * recycled one segment at a time.
 *
 *   | seg 0 | seg 1 | seg 2 (filling) | seg 3 (draining) | ...
 *
 * When a segment is full the next one is filled; the one after that is
 * emptied in advance: its regions die (are unlinked), and its memory may be
 * used again once every CPU has left generated code since ("epochs"), which
 * has normally happened long before it is needed.
 *
 * The memory is mapped twice, writable and executable, where the host allows
 * it, else once with both rights.
 *
 * All functions but cache_enter(), cache_leave(), cache_may_hold(),
 * cache_find() and cache_writable() need tcg_lock.
 */
#ifndef TCG_CACHE_H
#define TCG_CACHE_H

#include "tcg/tcg-int.h"

extern GMutex tcg_lock;
extern TcgCpu *tcg_cpus;

typedef struct CacheSpace {
    uint8_t *start, *end; /* writable view */
    ptrdiff_t delta;      /* executable - writable */
} CacheSpace;

bool cache_init(size_t bytes, GError **error);
/* Room in the current segment; false when CPUs still run in it. */
bool cache_space(CacheSpace *space);
bool cache_next_segment(void);
/* The region's code is what has been written at the start of the space. */
void cache_commit(TcgRegion *region);
uint8_t *cache_writable(const void *executable);
uint64_t cache_recycles(void);

/* A CPU's thread goes into and comes out of generated code. */
void cache_enter(TcgCpu *tc);
void cache_leave(TcgCpu *tc);

/* Regions by guest page. */
bool cache_may_hold(uint64_t start, uint64_t end);
bool cache_kill_range(uint64_t start, uint64_t end);
void cache_forget_pages(TcgRegion *region);

/* The region whose code holds this address; safe in signal handlers on the
 * thread that runs the code. */
TcgRegion *cache_find(const void *code);

/* In tcg.c: unlinks a region; frees a dead one. */
void region_kill(TcgRegion *region);
void region_free(TcgRegion *region);
void regions_clear_caches(void);

#endif
