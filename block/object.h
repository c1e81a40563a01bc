/*
 * User-creatable objects of the block stack (--object, object-add): I/O
 * threads and throttle groups, and those of nbd-object.h (credentials,
 * secrets, authorisation).
 *
 * Objects are named by id and live until object-del or the end of the
 * program.  Control path: functions take the graph lock themselves.
 */
#ifndef BLOCK_OBJECT_H
#define BLOCK_OBJECT_H

#include <stdbool.h>

#include <glib.h>
#include <jansson.h>

/* options {"qom-type": ..., "id": ..., ...}; values may be text. */
bool block_object_add(json_t *options, GError **error);
/* "TYPE,id=ID,key=value,..." or JSON. */
bool block_object_add_text(const char *text, GError **error);
bool block_object_del(const char *id, GError **error);

/* Is there an object of this type (iothread, throttle-group)?  type NULL:
 * of any. */
bool block_object_exists(const char *type, const char *id);
/* All types that can be created, NULL-terminated. */
const char *const *block_object_types(void);

#endif
