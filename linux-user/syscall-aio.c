/*
 * Kernel asynchronous I/O (io_setup and its family), in both widths.
 *
 *   program                 here                            kernel
 *   context: a page    <->  AioContext.host            <->  its ring
 *   iocb               <->  AioBlock: a checked copy   <->  the same copy
 *
 * The kernel's name for a context is an address of its own choice, which a
 * program can neither keep in 32 bits nor read: it gets a page of its own
 * instead, empty, so that a library which looks there for a ring finds none.
 * Blocks are copied, so that what the kernel reads has been checked, and a
 * vector of a 32-bit program can stand in the kernel's form.  Events carry
 * the program's addresses again.
 *
 * Threading: everything under aio_lock, which is not held while waiting.
 * Contexts are not the child's after a fork: the kernel then knows none.
 */
#include <errno.h>
#include <linux/aio_abi.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "linux-user/syscall.h"

typedef struct AioBlock {
    struct iocb host;        /* first: an event's obj is its address */
    uint64_t guest;
    struct iovec *vector;
} AioBlock;

typedef struct AioContext {
    aio_context_t host;
    GHashTable *blocks;      /* AioBlock *, all not yet reported */
} AioContext;

enum { EVENTS_MOST = 4096, SUBMIT_MOST = 4096, KEY_AT = 8 };

static GMutex aio_lock;
static GHashTable *contexts; /* guest address -> AioContext */

static void block_free(void *data)
{
    AioBlock *block = data;

    g_free(block->vector);
    g_free(block);
}

static void context_free(void *data)
{
    AioContext *context = data;

    g_hash_table_destroy(context->blocks);
    g_free(context);
}

/* Called with aio_lock held. */
static AioContext *find_context(uint64_t key)
{
    return contexts ? g_hash_table_lookup(contexts, (void *)key) : NULL;
}

static bool host_context(uint64_t key, aio_context_t *host)
{
    AioContext *context;

    g_mutex_lock(&aio_lock);
    context = find_context(key);
    if (context) {
        *host = context->host;
    }
    g_mutex_unlock(&aio_lock);
    return context != NULL;
}

void aio_fork_begin(void)
{
    g_mutex_lock(&aio_lock);
}

void aio_fork_end(void)
{
    g_mutex_unlock(&aio_lock);
}

int64_t sys_io_setup(UserThread *thread, const uint64_t *args)
{
    AddressMap *map = thread->process->map;
    size_t width = thread->narrow ? 4 : 8;
    aio_context_t host = 0;
    uint64_t before = 0;
    AioContext *context;
    int64_t key;

    if (!guest_read(args[1], &before, width)) {
        return -EFAULT;
    }
    if (before) {
        return -EINVAL;
    }
    if (syscall(SYS_io_setup, args[0], &host) < 0) {
        return -errno;
    }
    key = address_map_mmap(map, 0, USER_PAGE, PROT_READ,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, thread->narrow,
                           "[aio]");
    if (key < 0 || !guest_write(args[1], &key, width)) {
        syscall(SYS_io_destroy, host);
        if (key < 0) {
            return key;
        }
        address_map_munmap(map, (uint64_t)key, USER_PAGE);
        return -EFAULT;
    }
    context = g_new0(AioContext, 1);
    context->host = host;
    context->blocks = g_hash_table_new_full(NULL, NULL, block_free, NULL);
    g_mutex_lock(&aio_lock);
    if (!contexts) {
        contexts = g_hash_table_new_full(NULL, NULL, NULL, context_free);
    }
    g_hash_table_replace(contexts, (void *)key, context);
    g_mutex_unlock(&aio_lock);
    return 0;
}

int64_t sys_io_destroy(UserThread *thread, const uint64_t *args)
{
    AioContext *context;
    int64_t result;

    g_mutex_lock(&aio_lock);
    context = find_context(args[0]);
    if (context) {
        g_hash_table_steal(contexts, (void *)args[0]);
    }
    g_mutex_unlock(&aio_lock);
    if (!context) {
        return -EINVAL;
    }
    /* Waits until the kernel is done with all blocks. */
    result = syscall(SYS_io_destroy, context->host) < 0 ? -errno : 0;
    context_free(context);
    address_map_munmap(thread->process->map, args[0], USER_PAGE);
    return result;
}

static bool has_buffer(unsigned opcode)
{
    return opcode == IOCB_CMD_PREAD || opcode == IOCB_CMD_PWRITE;
}

static bool has_vector(unsigned opcode)
{
    return opcode == IOCB_CMD_PREADV || opcode == IOCB_CMD_PWRITEV;
}

/* The block at a guest address, checked and converted; 0 or -errno. */
static int64_t take_block(UserThread *thread, uint64_t address,
                          AioBlock **result)
{
    static const uint32_t key;
    AioBlock *block = g_new0(AioBlock, 1);
    struct iocb *host = &block->host;
    int64_t error = 0;

    block->guest = address;
    if (!guest_read(address, host, sizeof(*host)) ||
        !guest_write(address + KEY_AT, &key, sizeof(key))) {
        error = -EFAULT;
    } else if (has_buffer(host->aio_lio_opcode)) {
        if (host->aio_buf > USER_LIMIT ||
            host->aio_nbytes > USER_LIMIT - host->aio_buf) {
            error = -EFAULT;
        }
    } else if (has_vector(host->aio_lio_opcode)) {
        error = guest_iovec(thread, host->aio_buf, host->aio_nbytes,
                            &block->vector);
        host->aio_buf = (uint64_t)block->vector;
    }
    if (error) {
        block_free(block);
        return error;
    }
    *result = block;
    return 0;
}

static int64_t submit_one(UserThread *thread, AioContext *context,
                          uint64_t address)
{
    AioBlock *block;
    struct iocb *host;
    int64_t result = take_block(thread, address, &block);

    if (result) {
        return result;
    }
    host = &block->host;
    g_hash_table_add(context->blocks, block);
    result = syscall(SYS_io_submit, context->host, 1, &host) < 0 ? -errno : 0;
    if (result) {
        g_hash_table_remove(context->blocks, block);
    }
    return result;
}

int64_t sys_io_submit(UserThread *thread, const uint64_t *args)
{
    int64_t count = thread->narrow ? (int32_t)args[1] : (int64_t)args[1];
    size_t width = thread->narrow ? 4 : 8;
    int64_t result = 0;
    AioContext *context;
    int64_t done;

    if (count < 0) {
        return -EINVAL;
    }
    g_mutex_lock(&aio_lock);
    context = find_context(args[0]);
    if (!context) {
        result = -EINVAL;
    }
    /* As in the kernel, the first bad one ends the list. */
    for (done = 0; !result && done < MIN(count, SUBMIT_MOST); done++) {
        uint64_t address = 0;

        result = guest_read(args[2] + width * done, &address, width)
                     ? submit_one(thread, context, address) : -EFAULT;
        if (result) {
            break;
        }
    }
    g_mutex_unlock(&aio_lock);
    return done ? done : result;
}

int64_t sys_io_cancel(UserThread *thread, const uint64_t *args)
{
    struct io_event event = { 0 };
    int64_t result = -EINVAL;
    AioContext *context;
    GHashTableIter iter;
    void *data;

    g_mutex_lock(&aio_lock);
    context = find_context(args[0]);
    if (context) {
        g_hash_table_iter_init(&iter, context->blocks);
        while (g_hash_table_iter_next(&iter, &data, NULL)) {
            if (((AioBlock *)data)->guest == args[1]) {
                result = syscall(SYS_io_cancel, context->host, data, &event) <
                                 0 ? -errno : 0;
                break;
            }
        }
    }
    g_mutex_unlock(&aio_lock);
    return result;
}

/* The kernel's events with the program's addresses in them. */
static int64_t give_events(uint64_t key, struct io_event *events, int64_t got,
                           uint64_t to)
{
    AioContext *context;

    g_mutex_lock(&aio_lock);
    context = find_context(key);
    for (int64_t i = 0; i < got; i++) {
        AioBlock *block = (AioBlock *)events[i].obj;

        events[i].obj = 0;
        if (context && g_hash_table_contains(context->blocks, block)) {
            events[i].obj = block->guest;
            g_hash_table_remove(context->blocks, block);
        }
    }
    g_mutex_unlock(&aio_lock);
    return guest_write(to, events, (size_t)got * sizeof(*events)) ? got
                                                                  : -EFAULT;
}

static int64_t get_events(UserThread *thread, const uint64_t *args,
                          const void *mask)
{
    int64_t most = thread->narrow ? (int32_t)args[2] : (int64_t)args[2];
    g_autofree struct io_event *events = NULL;
    struct timespec ts;
    aio_context_t host;
    int64_t got;

    if (args[4] && !guest_timespec(thread, args[4], &ts)) {
        return -EFAULT;
    }
    if (!host_context(args[0], &host) || most < 0) {
        return -EINVAL;
    }
    most = MIN(most, EVENTS_MOST);
    events = g_new0(struct io_event, most + 1);
    got = safe_syscall(SYS_io_pgetevents, host,
                       (uint64_t)MIN((int64_t)(thread->narrow
                                                   ? (int32_t)args[1]
                                                   : (int64_t)args[1]), most),
                       (uint64_t)most, (uint64_t)events,
                       args[4] ? (uint64_t)&ts : 0, (uint64_t)mask);
    return got > 0 ? give_events(args[0], events, got, args[3]) : got;
}

int64_t sys_io_getevents(UserThread *thread, const uint64_t *args)
{
    return get_events(thread, args, NULL);
}

int64_t sys_io_pgetevents(UserThread *thread, const uint64_t *args)
{
    /* Pointer and size of the mask. */
    uint64_t words[2] = { 0 };
    uint64_t mask = 0;
    struct { uint64_t mask, size; } with;
    int64_t got;

    if (args[5]) {
        if (!guest_words(thread, args[5], words, 2)) {
            return -EFAULT;
        }
        if (words[0] && words[1] != sizeof(mask)) {
            return -EINVAL;
        }
        if (words[0] && !guest_read(words[0], &mask, sizeof(mask))) {
            return -EFAULT;
        }
    }
    with.mask = words[0] ? (uint64_t)&mask : 0;
    with.size = sizeof(mask);
    got = get_events(thread, args, &with);
    return got == RESTART_SYS ? RESTART_NEVER : got;
}
