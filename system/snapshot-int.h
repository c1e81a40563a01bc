/*
 * What snapshot.c (the stream, devices), snapshot-fields.c (tables) and
 * snapshot-cpu.c share.
 */
#ifndef SYSTEM_SNAPSHOT_INT_H
#define SYSTEM_SNAPSHOT_INT_H

#include "system/snapshot.h"
#include "system/sys-cpu.h"

/* Either direction; the first error sticks, later calls do nothing. */
typedef struct SnapshotStream {
    SnapshotWriteFn *write;
    SnapshotReadFn *read;
    void *opaque;
    uint64_t sum;      /* of all bytes so far */
    uint8_t *buffer;   /* of writes */
    size_t used;
    GError *error;
} SnapshotStream;

void stream_put(SnapshotStream *s, const void *bytes, size_t n);
void stream_get(SnapshotStream *s, void *bytes, size_t n);
void stream_put_int(SnapshotStream *s, uint64_t value, unsigned bytes);
uint64_t stream_get_int(SnapshotStream *s, unsigned bytes);
void stream_put_text(SnapshotStream *s, const char *text);
char *stream_get_text(SnapshotStream *s); /* "" after an error */
bool stream_failed(const SnapshotStream *s);
void stream_fail(SnapshotStream *s, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

/* A table of fields of the struct at base; where names it in errors. */
void stream_put_fields(SnapshotStream *s, const StateField *fields,
                       const void *base);
void stream_get_fields(SnapshotStream *s, const StateField *fields,
                       void *base, const char *where);

void snapshot_put_cpu(SnapshotStream *s, SysCpu *sys);
void snapshot_get_cpu(SnapshotStream *s, SysCpu *sys);

#endif
