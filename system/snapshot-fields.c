/*
 * Fields by table; see snapshot.h and StateField in device.h.
 */
#include "system/snapshot-int.h"

#include <string.h>

enum {
    KIND_PLAIN = 0,
    KIND_STRUCT = 1,
    KIND_ABSENT = 2, /* a pointer that is NULL */
};

static unsigned count_of(const StateField *field, const void *base)
{
    unsigned count;

    if (!field->count_at) {
        return field->count;
    }
    memcpy(&count, (const uint8_t *)base + field->count_at, sizeof(count));
    return count;
}

/* The first item; NULL for a pointer that is not set. */
static uint8_t *items_of(const StateField *field, const void *base)
{
    uint8_t *at = (uint8_t *)base + field->offset;

    if (field->pointer) {
        memcpy(&at, at, sizeof(at));
    }
    return at;
}

static unsigned number_of(const StateField *fields)
{
    unsigned n = 0;

    while (fields[n].name) {
        n++;
    }
    return n;
}

void stream_put_fields(SnapshotStream *s, const StateField *fields,
                       const void *base)
{
    stream_put_int(s, number_of(fields), 2);
    for (const StateField *field = fields; field->name; field++) {
        const uint8_t *items = items_of(field, base);
        unsigned count = count_of(field, base);

        stream_put_text(s, field->name);
        stream_put_int(s, !items ? KIND_ABSENT
                                 : field->sub ? KIND_STRUCT : KIND_PLAIN, 1);
        if (!items) {
            continue;
        }
        stream_put_int(s, field->sub ? 0 : field->size, 4);
        stream_put_int(s, count, 4);
        if (!field->sub) {
            stream_put(s, items, (size_t)field->size * count);
            continue;
        }
        for (unsigned i = 0; i < count; i++) {
            stream_put_fields(s, field->sub, items + (size_t)field->size * i);
        }
    }
}

static const StateField *find_field(const StateField *fields,
                                    const char *name)
{
    for (; fields->name; fields++) {
        if (!strcmp(fields->name, name)) {
            return fields;
        }
    }
    return NULL;
}

static void get_items(SnapshotStream *s, const StateField *field, void *base,
                      const char *where)
{
    uint8_t *items = items_of(field, base);
    unsigned kind = stream_get_int(s, 1);

    if (stream_failed(s)) {
        return;
    }
    if ((kind == KIND_ABSENT) != !items) {
        stream_fail(s, "%s: '%s' is %s", where, field->name,
                    items ? "missing in the snapshot"
                          : "in the snapshot but not in the machine");
        return;
    }
    if (!items) {
        return;
    }
    unsigned size = stream_get_int(s, 4);
    unsigned count = stream_get_int(s, 4);

    if (!stream_failed(s) &&
        (size != (field->sub ? 0 : field->size) ||
         count != count_of(field, base) ||
         kind != (field->sub ? KIND_STRUCT : KIND_PLAIN))) {
        stream_fail(s, "%s: '%s' has %u items of %u bytes in the snapshot, "
                    "%u of %u here", where, field->name, count, size,
                    count_of(field, base), field->sub ? 0 : field->size);
    }
    for (unsigned i = 0; field->sub && i < count && !stream_failed(s); i++) {
        stream_get_fields(s, field->sub, items + (size_t)field->size * i,
                          where);
    }
    if (!field->sub && !stream_failed(s)) {
        stream_get(s, items, (size_t)field->size * count);
    }
    for (unsigned i = 0; field->is_bool && i < count && !stream_failed(s);
         i++) {
        items[i] = items[i] != 0;
    }
}

void stream_get_fields(SnapshotStream *s, const StateField *fields,
                       void *base, const char *where)
{
    unsigned n = stream_get_int(s, 2);

    if (!stream_failed(s) && n != number_of(fields)) {
        stream_fail(s, "%s: %u fields in the snapshot, %u here", where, n,
                    number_of(fields));
    }
    for (unsigned i = 0; i < n && !stream_failed(s); i++) {
        g_autofree char *name = stream_get_text(s);
        const StateField *field = find_field(fields, name);

        if (stream_failed(s)) {
            return;
        }
        if (!field) {
            stream_fail(s, "%s: unknown field '%s'", where, name);
            return;
        }
        get_items(s, field, base, where);
    }
}
