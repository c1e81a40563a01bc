/*
 * The order of members in JSON output.
 *
 * JSON objects have none, but programs that compare text expect the order in
 * which the ecosystem's emulator prints members: that of a hash of the name,
 * modulo 512.
 */
#ifndef MONITOR_WIRE_ORDER_H
#define MONITOR_WIRE_ORDER_H

#include <jansson.h>

/* A copy with the members of all objects in that order. */
json_t *monitor_wire_order(json_t *value);

#endif
