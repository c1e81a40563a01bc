/*
 * The engine of e2k-img convert: copies what sources have to a target, many
 * pieces at a time.
 */
#ifndef E2K_IMG_COPY_H
#define E2K_IMG_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/e2k-img-int.h"

#define IMG_COPY_WORKERS 16 /* at most */

typedef enum PieceKind { PIECE_DATA, PIECE_ZERO, PIECE_BACKING } PieceKind;

typedef enum SlotState { SLOT_FREE, SLOT_BUSY, SLOT_READY } SlotState;

typedef struct Piece {
    SlotState state; /* Convert.lock */
    PieceKind kind;
    uint64_t offset, bytes;
    uint8_t *buf; /* NULL until there is data */
} Piece;

typedef struct Convert {
    /* Set up once, by the caller down to quiet. */
    BlockBackend **sources;
    uint64_t *starts; /* of each source in the output; [n] is the end */
    int n_sources;
    BlockNode *target;
    uint64_t total;
    uint64_t sparse;      /* -S */
    uint64_t cluster;     /* of a compressed target, else 0 */
    uint64_t rate;        /* bytes per second, 0: any */
    bool zero_init;       /* the target reads as zeroes */
    bool has_backing;     /* of the target */
    bool compress, out_of_order, salvage, quiet;

    unsigned max_writers;
    int n_slots;
    Piece slots[IMG_COPY_WORKERS];

    GMutex lock;
    GCond changed; /* a slot became free or ready, or all is over */
    /* Under the lock. */
    unsigned writers;
    uint64_t next;        /* where the next piece begins */
    uint64_t extent_end;  /* of the extent at `next` */
    PieceKind extent_kind;
    uint64_t written;     /* all before it is written (in order) */
    gint64 started_us;
    int error;
} Convert;

/* How much there is to copy: progress in terms of it says when it is done. */
uint64_t img_copy_data_bytes(Convert *c);
/* 0 or -errno, which has been told. */
int img_copy_run(Convert *c, int workers);

#endif
