/*
 * Blocks of an arena form a list in the order of use; a reset starts again at
 * the first one.  A block is as large as the largest request so far needs.
 */
#include "tcg/arena.h"

#include <glib.h>

enum { ARENA_BLOCK = 256 * 1024 };

struct ArenaBlock {
    ArenaBlock *next;
    size_t bytes;
    char data[] __attribute__((aligned(16)));
};

static void arena_use(Arena *arena, ArenaBlock *block)
{
    arena->current = block;
    arena->next = block->data;
    arena->end = block->data + block->bytes;
}

void arena_reset(Arena *arena)
{
    if (arena->first) {
        arena_use(arena, arena->first);
    }
}

void *arena_refill(Arena *arena, size_t bytes)
{
    ArenaBlock *last = arena->current;
    ArenaBlock *block = last ? last->next : arena->first;

    if (!block || block->bytes < bytes) {
        size_t size = MAX(bytes, (size_t)ARENA_BLOCK);
        ArenaBlock *added = g_malloc(sizeof(*added) + size);

        added->bytes = size;
        added->next = block;
        if (last) {
            last->next = added;
        } else {
            arena->first = added;
        }
        block = added;
    }
    arena_use(arena, block);
    arena->next += bytes;
    return block->data;
}

void arena_free(Arena *arena)
{
    while (arena->first) {
        ArenaBlock *block = arena->first;

        arena->first = block->next;
        g_free(block);
    }
    *arena = (Arena){0};
}
