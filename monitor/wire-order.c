/* Members in the ecosystem's order; see wire-order.h. */
#include "monitor/wire-order.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <glib.h>

#define BUCKETS 512

typedef struct Member {
    const char *name;
    unsigned bucket;
    unsigned age; /* of those in a bucket the newest comes first */
} Member;

/* The hash of the trivial database, by Andrew Tridgell: public knowledge. */
static unsigned bucket_of(const char *name)
{
    size_t length = strlen(name);
    uint32_t sum = UINT32_C(0x238f13af) * length;

    for (size_t i = 0; i < length; i++) {
        sum += (uint32_t)(uint8_t)name[i] << (i * 5 % 24);
    }
    return (sum * UINT32_C(1103515243) + 12345) % BUCKETS;
}

static int compare(gconstpointer a, gconstpointer b)
{
    const Member *x = a;
    const Member *y = b;

    return x->bucket != y->bucket ? (x->bucket < y->bucket ? -1 : 1)
                                  : (x->age < y->age) - (x->age > y->age);
}

static json_t *order_object(json_t *object)
{
    g_autoptr(GArray) members = g_array_new(false, false, sizeof(Member));
    json_t *result = json_object();
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value) {
        Member m = { name, bucket_of(name), members->len };

        g_array_append_val(members, m);
    }
    g_array_sort(members, compare);
    for (guint i = 0; i < members->len; i++) {
        name = g_array_index(members, Member, i).name;
        json_object_set_new(result, name,
                            monitor_wire_order(json_object_get(object,
                                                               name)));
    }
    return result;
}

json_t *monitor_wire_order(json_t *value)
{
    json_t *result;
    json_t *item;
    size_t index;

    if (json_is_object(value)) {
        return order_object(value);
    }
    if (!json_is_array(value)) {
        return json_incref(value);
    }
    result = json_array();
    json_array_foreach(value, index, item) {
        json_array_append_new(result, monitor_wire_order(item));
    }
    return result;
}
