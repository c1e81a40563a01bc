/*
 * Driver "throttle": requests wait until their throttle group lets them go.
 * Those waiting when the node is drained pass at once.
 */
#include <errno.h>

#include "block/filter.h"
#include "block/node-int.h"
#include "block/options.h"
#include "block/throttle-group.h"

typedef struct ThrottleState {
    ThrottleGroup *group;
} ThrottleState;

static const BlockOption throttle_options[] = {
    { "file", BLOCK_OPT_NODE, .required = true },
    { "throttle-group", BLOCK_OPT_STRING, .required = true, .reopens = true },
    { NULL },
};

static ThrottleGroup *find_group(json_t *options, GError **error)
{
    const char *id = NULL;
    ThrottleGroup *group;

    block_options_string(options, "throttle-group", &id, NULL);
    group = throttle_group_find(id);
    if (!group) {
        g_set_error(error, BLOCK_ERROR, ENOENT,
                    "Throttle group '%s' does not exist", id);
    }
    return group;
}

static bool throttle_open(BlockNode *node, json_t *options, GError **error)
{
    ThrottleState *s = node->state;

    if (!block_filter_open(node, options, error)) {
        return false;
    }
    s->group = find_group(options, error);
    return s->group != NULL;
}

static void throttle_close(BlockNode *node)
{
    ThrottleState *s = node->state;

    throttle_group_unref(s->group);
}

static void wait_turn(BlockNode *node, bool write, uint64_t bytes)
{
    ThrottleState *s = node->state;

    throttle_group_wait(s->group, write, bytes,
                        &block_core(node)->gate.closed);
}

static int throttle_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                           const struct iovec *iov, int niov, unsigned flags)
{
    wait_turn(node, false, bytes);
    return block_preadv(node->file->node, offset, bytes, iov, niov, flags);
}

static int throttle_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                            const struct iovec *iov, int niov,
                            unsigned flags)
{
    wait_turn(node, true, bytes);
    return block_pwritev(node->file->node, offset, bytes, iov, niov, flags);
}

static int throttle_pwrite_zeroes(BlockNode *node, uint64_t offset,
                                  uint64_t bytes, unsigned flags)
{
    wait_turn(node, true, bytes);
    return block_pwrite_zeroes(node->file->node, offset, bytes, flags);
}

static int throttle_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    wait_turn(node, true, bytes);
    return block_pdiscard(node->file->node, offset, bytes);
}

static bool throttle_reopen_prepare(BlockNode *node, json_t *options,
                                    unsigned flags, void **prepared,
                                    GError **error)
{
    *prepared = find_group(options, error);
    return *prepared != NULL;
}

static void throttle_reopen_commit(BlockNode *node, void *prepared)
{
    ThrottleState *s = node->state;

    throttle_group_unref(s->group);
    s->group = prepared;
}

static void throttle_reopen_abort(BlockNode *node, void *prepared)
{
    throttle_group_unref(prepared);
}

const BlockDriver block_driver_throttle = {
    .name = "throttle",
    .flags = BLOCK_DRIVER_FILTER,
    .state_size = sizeof(ThrottleState),
    .options = throttle_options,
    .open = throttle_open,
    .close = throttle_close,
    .reopen_prepare = throttle_reopen_prepare,
    .reopen_commit = throttle_reopen_commit,
    .reopen_abort = throttle_reopen_abort,
    .preadv = throttle_preadv,
    .pwritev = throttle_pwritev,
    .pwrite_zeroes = throttle_pwrite_zeroes,
    .pdiscard = throttle_pdiscard,
    .fua_native = true,
    .get_length = block_filter_get_length,
};
