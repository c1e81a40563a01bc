/*
 * Break- and watchpoints; see points.h.
 */
#include "gdbstub/points.h"

#include <errno.h>

int gdb_points_set(GdbPoints *points, GdbPointType type, uint64_t address,
                   uint64_t size_bytes, bool insert)
{
    unsigned i = 0;

    if (type >= GDB_POINT_WRITE &&
        (!size_bytes || size_bytes > GDB_WATCH_BYTES_MOST)) {
        return -EINVAL;
    }
    while (i < points->count && (points->points[i].type != type ||
                                 points->points[i].address != address ||
                                 points->points[i].size != size_bytes)) {
        i++;
    }
    if (insert && i == GDB_POINTS_MOST) {
        return -ENOSPC;
    }
    if (insert && i == points->count) {
        points->points[points->count++] =
            (GdbPoint){ type, address, size_bytes };
    } else if (!insert && i < points->count) {
        points->points[i] = points->points[--points->count];
    }
    return 0;
}

bool gdb_points_break_at(const GdbPoints *points, uint64_t address)
{
    for (unsigned i = 0; i < points->count; i++) {
        if (points->points[i].type <= GDB_POINT_HARDWARE &&
            points->points[i].address == address) {
            return true;
        }
    }
    return false;
}

void gdb_points_access(const GdbPoints *points, uint64_t address,
                       uint64_t size_bytes, bool store, GdbWatchHit *hit)
{
    for (unsigned i = 0; i < points->count; i++) {
        const GdbPoint *point = &points->points[i];
        bool wanted = point->type == GDB_POINT_ACCESS ||
                      (point->type == GDB_POINT_WRITE && store) ||
                      (point->type == GDB_POINT_READ && !store);

        if (wanted && address < point->address + point->size &&
            point->address < address + size_bytes) {
            *hit = (GdbWatchHit){
                .hit = true, .address = point->address,
                .reason = point->type == GDB_POINT_ACCESS
                              ? GDB_STOP_WATCH_ACCESS
                          : store ? GDB_STOP_WATCH_WRITE
                                  : GDB_STOP_WATCH_READ,
            };
        }
    }
}
