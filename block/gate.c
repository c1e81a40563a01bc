/*
 * Gates of nodes and backends: the slow paths.  See node-int.h.
 */
#include "block/node-int.h"

#include <string.h>

/* A request that left while the gate was being closed wakes nobody. */
#define GATE_POLL_US 500

__thread int block_drains_held;
__thread unsigned block_shard; /* 1 + index; 0: not assigned yet */

unsigned block_shard_assign(void)
{
    static unsigned next;

    block_shard = 1 + __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) %
                          BLOCK_GATE_SHARDS;
    return block_shard;
}

void block_gate_init(BlockGate *gate)
{
    memset(gate->shards, 0, sizeof(gate->shards));
    gate->closed = 0;
    g_mutex_init(&gate->lock);
    g_cond_init(&gate->changed);
}

void block_gate_clear(BlockGate *gate)
{
    g_mutex_clear(&gate->lock);
    g_cond_clear(&gate->changed);
}

void block_gate_wait(BlockGate *gate)
{
    int *count = block_gate_shard(gate);

    g_mutex_lock(&gate->lock);
    for (;;) {
        if (!__atomic_load_n(&gate->closed, __ATOMIC_SEQ_CST)) {
            break;
        }
        __atomic_fetch_sub(count, 1, __ATOMIC_SEQ_CST);
        g_cond_broadcast(&gate->changed);
        while (__atomic_load_n(&gate->closed, __ATOMIC_SEQ_CST)) {
            g_cond_wait(&gate->changed, &gate->lock);
        }
        __atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
    }
    g_mutex_unlock(&gate->lock);
}

void block_gate_leave_closed(BlockGate *gate)
{
    int *count = block_gate_shard(gate);

    g_mutex_lock(&gate->lock);
    __atomic_fetch_sub(count, 1, __ATOMIC_SEQ_CST);
    g_cond_broadcast(&gate->changed);
    g_mutex_unlock(&gate->lock);
}

void block_gate_close(BlockGate *gate)
{
    g_mutex_lock(&gate->lock);
    __atomic_fetch_add(&gate->closed, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < BLOCK_GATE_SHARDS; i++) {
        while (__atomic_load_n(&gate->shards[i].count, __ATOMIC_SEQ_CST)) {
            g_cond_wait_until(&gate->changed, &gate->lock,
                              g_get_monotonic_time() + GATE_POLL_US);
        }
    }
    g_mutex_unlock(&gate->lock);
}

void block_gate_open(BlockGate *gate)
{
    g_mutex_lock(&gate->lock);
    if (__atomic_sub_fetch(&gate->closed, 1, __ATOMIC_SEQ_CST) == 0) {
        g_cond_broadcast(&gate->changed);
    }
    g_mutex_unlock(&gate->lock);
}
