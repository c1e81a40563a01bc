/*
 * Descriptions of nodes in their spellings, and typed access to them.
 *
 *   text    driver=qcow2,file.driver=file,file.filename=a.img
 *   flat    {"driver": "qcow2", "file.driver": "file", ...}
 *   nested  {"driver": "qcow2", "file": {"driver": "file", ...}}
 *
 * Values from text are strings; the typed getters accept both a JSON value of
 * the type and a string that spells it, as the ecosystem does.
 */
#ifndef BLOCK_OPTIONS_H
#define BLOCK_OPTIONS_H

#include "block/driver.h"

/* "k=v,k=v"; ",," is a literal comma; implied names the first bare word. */
json_t *block_options_parse(const char *text, const char *implied,
                            GError **error);
/* A JSON object, or key=value text: the argument of --blockdev and others. */
json_t *block_options_parse_any(const char *text, const char *implied,
                                GError **error);
/* JSON, also with strings in single quotes as the ecosystem accepts. */
json_t *block_json_parse(const char *text, json_error_t *where);
/* flat -> nested; "a.0", "a.1" become a list.  New reference. */
json_t *block_options_nest(json_t *flat, GError **error);
/* nested -> flat.  New reference. */
json_t *block_options_flatten(json_t *nested);
/* Merges b over a (b wins), recursively.  New reference. */
json_t *block_options_merge(json_t *a, json_t *b);

/*
 * Getters: false with an error on a value of the wrong type; an absent key
 * leaves *value alone and is success.  key may be dotted.
 */
bool block_options_string(json_t *options, const char *key,
                          const char **value, GError **error);
bool block_options_bool(json_t *options, const char *key, bool *value,
                        GError **error);
bool block_options_int(json_t *options, const char *key, int64_t *value,
                       GError **error);
bool block_options_size(json_t *options, const char *key, uint64_t *value,
                        GError **error);
/* words "a/b/c": *value is the index of the word. */
bool block_options_enum(json_t *options, const char *key, const char *words,
                        int *value, GError **error);
/* The value at a dotted key, NULL if absent; borrowed. */
json_t *block_options_get(json_t *options, const char *key);

/* Refuses members that the table does not name, and missing or wrong ones. */
bool block_options_check(json_t *options, const BlockOption *table,
                         GError **error);

/* "512", "64k", "1.5G", "0x200": bytes. */
bool block_parse_size(const char *text, uint64_t *value);

#endif
