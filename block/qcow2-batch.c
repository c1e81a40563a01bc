/*
 * Several requests at once: those whose cluster is allocated are found in the
 * L2 cache without a lock and go to the data file together; everything else
 * (holes, compressed and shared clusters, whatever crosses clusters) is left
 * to be done alone.
 */
#include "block/qcow2-int.h"

#include "block/node-int.h"

bool qcow2_batches(BlockNode *node, bool write)
{
    return block_batches(qcow2_data(qcow2_state(node)), write);
}

/* Where the item lies in the data file; false: not in one plain place. */
static bool find_place(Qcow2 *s, const BlockBatchItem *item, uint64_t *host)
{
    Qcow2Extent e;

    if (qcow2_lookup(s, item->offset, item->bytes, &e) < 0 ||
        e.type != QCOW2_NORMAL || e.bytes < item->bytes ||
        (item->write && (!e.copied || qcow2_check_in_place(s, &e) < 0))) {
        return false;
    }
    *host = e.host;
    return true;
}

void qcow2_batch(BlockNode *node, BlockBatchItem *items, unsigned n)
{
    Qcow2 *s = qcow2_state(node);
    BlockBatchItem below[BLOCK_BATCH_MAX];
    BlockBatchItem *of[BLOCK_BATCH_MAX];
    unsigned count = 0;
    unsigned token;

    if (__atomic_load_n(&s->corrupt, __ATOMIC_RELAXED)) {
        return; /* each fails alone */
    }
    token = qcow2_enter(s);
    for (unsigned i = 0; i < n; i++) {
        uint64_t host;

        if (items[i].ret == BLOCK_BATCH_TODO &&
            find_place(s, &items[i], &host)) {
            below[count] = items[i];
            below[count].offset = host;
            of[count++] = &items[i];
        }
    }
    if (count) {
        block_batch(qcow2_data(s), below, count);
    }
    for (unsigned i = 0; i < count; i++) {
        of[i]->ret = below[i].ret;
    }
    qcow2_leave(s, token);
}
