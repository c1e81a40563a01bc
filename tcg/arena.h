/*
 * Memory for one compilation: allocated by moving a pointer, given back all
 * at once.
 *
 *   arena_reset()  ... arena_alloc() arena_alloc() ...  arena_reset()
 *
 * Blocks stay with the arena, so that a warm compiler does not call malloc().
 * One thread at a time.
 */
#ifndef TCG_ARENA_H
#define TCG_ARENA_H

#include <stddef.h>
#include <string.h>

#include <glib.h>

typedef struct ArenaBlock ArenaBlock;

typedef struct Arena {
    ArenaBlock *first, *current;
    char *next, *end;
} Arena;

void arena_reset(Arena *arena);
void arena_free(Arena *arena);
void *arena_refill(Arena *arena, size_t bytes);

/* Uninitialised, aligned to 16 bytes. */
static inline void *arena_alloc(Arena *arena, size_t bytes)
{
    char *p = arena->next;

    bytes = (bytes + 15) & ~(size_t)15;
    if (G_UNLIKELY((size_t)(arena->end - p) < bytes)) {
        return arena_refill(arena, bytes);
    }
    arena->next = p + bytes;
    return p;
}

static inline void *arena_alloc0(Arena *arena, size_t bytes)
{
    return memset(arena_alloc(arena, bytes), 0, bytes);
}

#define ARENA_NEW(arena, type, n) \
    ((type *)arena_alloc(arena, sizeof(type) * (size_t)(n)))
#define ARENA_NEW0(arena, type, n) \
    ((type *)arena_alloc0(arena, sizeof(type) * (size_t)(n)))

#endif
