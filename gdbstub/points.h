/*
 * Break- and watchpoints of one debugged thing, for the targets that look for
 * them themselves.  No locks: the owner's.
 */
#ifndef GDBSTUB_POINTS_H
#define GDBSTUB_POINTS_H

#include "gdbstub/gdbstub.h"

enum { GDB_POINTS_MOST = 256, GDB_WATCH_BYTES_MOST = 4096 };

typedef struct GdbPoint {
    GdbPointType type;
    uint64_t address;
    uint64_t size; /* bytes, of a watchpoint */
} GdbPoint;

typedef struct GdbPoints {
    GdbPoint points[GDB_POINTS_MOST];
    unsigned count;
} GdbPoints;

/* An access that a watchpoint waits for. */
typedef struct GdbWatchHit {
    bool hit;
    GdbStopReason reason;
    uint64_t address; /* of the watchpoint */
} GdbWatchHit;

/* Inserts or removes; 0, -EINVAL or -ENOSPC (GdbTarget.set_point). */
int gdb_points_set(GdbPoints *points, GdbPointType type, uint64_t address,
                   uint64_t size_bytes, bool insert);

bool gdb_points_break_at(const GdbPoints *points, uint64_t address);

/* Notes the access in *hit if a watchpoint waits for it. */
void gdb_points_access(const GdbPoints *points, uint64_t address,
                       uint64_t size_bytes, bool store, GdbWatchHit *hit);

#endif
