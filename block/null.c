/*
 * Drivers "null-co" and "null-aio": no storage at all.  Writes are dropped;
 * reads leave the buffers alone (fast, for measurements) or zero them
 * (read-zeroes=on); latency-ns makes every request take that long.
 */
#include "block/driver.h"

#include <errno.h>
#include <time.h>

#include "block/iov.h"
#include "block/options.h"

typedef struct NullState {
    uint64_t latency_ns;
    bool read_zeroes;
} NullState;

static const BlockOption null_options[] = {
    { "size", BLOCK_OPT_SIZE },
    { "latency-ns", BLOCK_OPT_SIZE },
    { "read-zeroes", BLOCK_OPT_BOOL },
    { NULL },
};

static bool null_open(BlockNode *node, json_t *options, GError **error)
{
    NullState *s = node->state;
    uint64_t size = UINT64_C(1) << 30;

    if (!block_options_size(options, "size", &size, error) ||
        !block_options_size(options, "latency-ns", &s->latency_ns, error) ||
        !block_options_bool(options, "read-zeroes", &s->read_zeroes,
                            error)) {
        return false;
    }
    if (size > INT64_MAX || s->latency_ns > INT64_MAX) {
        g_set_error(error, BLOCK_ERROR, EINVAL, "%s is invalid",
                    size > INT64_MAX ? "size" : "latency-ns");
        return false;
    }
    block_node_set_length(node, size);
    node->filename = g_strdup_printf("%s://", node->driver->name);
    return true;
}

static int null_wait(NullState *s)
{
    struct timespec delay = { s->latency_ns / 1000000000,
                              s->latency_ns % 1000000000 };

    if (s->latency_ns) {
        nanosleep(&delay, NULL);
    }
    return 0;
}

static int null_preadv(BlockNode *node, uint64_t offset, uint64_t bytes,
                       const struct iovec *iov, int niov, unsigned flags)
{
    NullState *s = node->state;

    if (s->read_zeroes) {
        block_iov_memset(iov, niov, 0, 0, bytes);
    }
    return null_wait(s);
}

static int null_pwritev(BlockNode *node, uint64_t offset, uint64_t bytes,
                        const struct iovec *iov, int niov, unsigned flags)
{
    return null_wait(node->state);
}

static int null_pwrite_zeroes(BlockNode *node, uint64_t offset,
                              uint64_t bytes, unsigned flags)
{
    return null_wait(node->state);
}

static int null_pdiscard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return null_wait(node->state);
}

static int null_flush(BlockNode *node)
{
    return null_wait(node->state);
}

static int null_status(BlockNode *node, uint64_t offset, uint64_t bytes,
                       BlockStatus *status)
{
    NullState *s = node->state;

    status->flags = BLOCK_STATUS_OFFSET_VALID | BLOCK_STATUS_ALLOCATED |
                    (s->read_zeroes ? BLOCK_STATUS_ZERO : BLOCK_STATUS_DATA);
    status->host_node = node;
    status->host_offset = offset;
    return 0;
}

static bool null_parse_filename(const char *filename, json_t *options,
                                GError **error)
{
    /* "null-co://" and nothing after it. */
    if (!g_str_has_suffix(filename, "://")) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "The only allowed filename for this driver is "
                    "'null-co://'");
        return false;
    }
    return true;
}

static bool null_reopen_prepare(BlockNode *node, json_t *options,
                                unsigned flags, void **prepared,
                                GError **error)
{
    return true;
}

static int64_t null_allocated_size(BlockNode *node)
{
    return 0;
}

static const char *const null_co_protocols[] = { "null-co", NULL };
static const char *const null_aio_protocols[] = { "null-aio", NULL };

#define NULL_DRIVER(NAME, PROTOCOLS)                                         \
    .name = NAME, .protocols = PROTOCOLS, .flags = BLOCK_DRIVER_PROTOCOL,    \
    .state_size = sizeof(NullState), .options = null_options,                \
    .parse_filename = null_parse_filename, .open = null_open,                \
    .reopen_prepare = null_reopen_prepare, .preadv = null_preadv,            \
    .pwritev = null_pwritev, .pwrite_zeroes = null_pwrite_zeroes,            \
    .pdiscard = null_pdiscard, .flush = null_flush, .status = null_status,   \
    .fua_native = true, .allocated_size = null_allocated_size

const BlockDriver block_driver_null_co = {
    NULL_DRIVER("null-co", null_co_protocols)
};
const BlockDriver block_driver_null_aio = {
    NULL_DRIVER("null-aio", null_aio_protocols)
};
