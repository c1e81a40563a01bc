/*
 * The answer to a block status request while it is being collected.
 */
#include "nbd/server-int.h"

void nbd_extents_init(NbdExtents *extents, uint64_t bytes, bool wide,
                      unsigned max)
{
    *extents = (NbdExtents){
        .left = bytes,
        .limit = wide ? UINT64_MAX : UINT32_MAX,
        .max = max,
        .array = g_array_new(FALSE, FALSE, sizeof(NbdExtent)),
    };
}

void nbd_extents_clear(NbdExtents *extents)
{
    g_clear_pointer(&extents->array, g_array_unref);
}

bool nbd_extents_add(NbdExtents *extents, uint64_t bytes, uint32_t flags)
{
    NbdExtent *last = NULL;

    bytes = MIN(bytes, extents->left);
    if (extents->full || bytes == 0) {
        return false;
    }
    if (extents->count) {
        last = &g_array_index(extents->array, NbdExtent, extents->count - 1);
    }
    if (last && last->flags == flags && bytes <= extents->limit - last->bytes) {
        last->bytes += bytes;
    } else if (extents->count == extents->max) {
        extents->full = true;
        return false;
    } else {
        NbdExtent extent = { MIN(bytes, extents->limit), flags };
        g_array_append_val(extents->array, extent);
        extents->count++;
        bytes = extent.bytes;
    }
    extents->left -= bytes;
    if (extents->budget && --extents->budget == 0) {
        extents->full = true;
    }
    return extents->left > 0 && !extents->full;
}
