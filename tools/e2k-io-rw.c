/* e2k-io commands that read, write, zero and discard. */
#include "tools/e2k-io-int.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_REQUEST (INT32_MAX / 512 * UINT64_C(512))
#define DEFAULT_PATTERN 0xcd
#define MAX_VECTORS 1024
/* How long an asynchronous request may delay the next command. */
#define AIO_GRACE_US 30000

/* One request, synchronous or not. */
typedef struct Request {
    BlockBackend *image; /* io_image when it was made; a reference */
    const char *name;   /* of the command, for messages */
    bool write;
    bool zero;          /* -z */
    bool vmstate;       /* -b */
    bool quiet, csv, verbose; /* -q -C -v */
    bool has_pattern;
    int pattern;
    const char *file;   /* -s of write */
    uint64_t check_start, check_length; /* -s, -l of read */
    bool has_start, has_length;
    unsigned flags;
    uint64_t offset, bytes;
    int niov;
    struct iovec *iov;
    uint8_t *buf;
    int vectors; /* for the report */
} Request;

/* ---- Reports -------------------------------------------------------------- */

static double per_second(double value, gint64 us)
{
    return us > 0 ? value * 1e6 / us : 0;
}

static void report(const Request *r, const char *op, gint64 us)
{
    g_autofree char *total = io_size_text(r->bytes);
    g_autofree char *rate = io_size_text(per_second(r->bytes, us));

    if (r->csv) {
        printf("%" PRIu64 ",%d,%02d:%02d:%02d.%02d,%.3f,%.3f\n", r->bytes, 1,
               (int)(us / 3600000000), (int)(us / 60000000 % 60),
               (int)(us / 1000000 % 60), (int)(us / 10000 % 100),
               per_second(r->bytes, us), per_second(1, us));
        return;
    }
    printf("%s %" PRIu64 "/%" PRIu64 " bytes at offset %" PRIu64 "\n"
           "%s, %d ops; %02d.%02d sec (%s/sec and %.4f ops/sec)\n", op,
           r->bytes, r->bytes, r->offset, total, 1, (int)(us / 1000000),
           (int)(us / 10000 % 100), rate, per_second(1, us));
}

static void dump(const uint8_t *buf, uint64_t offset, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i += 16) {
        uint64_t n = MIN(16, bytes - i);

        printf("%08" PRIx64 ":  ", offset + i);
        for (uint64_t k = 0; k < n; k++) {
            printf("%02x ", buf[i + k]);
        }
        printf(" ");
        for (uint64_t k = 0; k < n; k++) {
            int c = buf[i + k];

            putchar(isascii(c) && isalnum(c) ? c : '.');
        }
        printf("\n");
    }
}

static bool verify(const Request *r)
{
    uint64_t start = r->has_start ? r->check_start : 0;
    uint64_t length = r->has_length ? r->check_length : r->bytes - start;

    if (!r->has_pattern) {
        return true;
    }
    for (uint64_t i = 0; i < length; i++) {
        if (r->buf[start + i] != r->pattern) {
            printf("Pattern verification failed at offset %" PRIu64 ", %"
                   PRIu64 " bytes\n", r->offset + start, length);
            return false;
        }
    }
    return true;
}

/* ---- Doing it ------------------------------------------------------------- */

static int perform_vmstate(BlockNode *node, const Request *r)
{
    const BlockDriver *driver = block_node_driver(node);

    if (!driver->vmstate_preadv) {
        return -ENOTSUP;
    }
    return r->write ? driver->vmstate_pwritev(node, r->offset, r->bytes,
                                              r->iov, r->niov)
                    : driver->vmstate_preadv(node, r->offset, r->bytes,
                                             r->iov, r->niov);
}

/* The image is not made longer by a request of this tool. */
static bool out_of_range(BlockBackend *image, uint64_t offset,
                         uint64_t bytes)
{
    int64_t length = block_backend_length(image);

    return length < 0 || offset > (uint64_t)length ||
           bytes > (uint64_t)length - offset;
}

static int perform(const Request *r)
{
    BlockBackend *image = r->image;
    BlockNode *node;
    int ret;

    if (!r->vmstate && out_of_range(image, r->offset, r->bytes)) {
        return -EIO;
    }
    if (r->vmstate) {
        node = block_backend_enter(image);
        ret = perform_vmstate(node, r);
        block_backend_leave(image);
        return ret;
    }
    if (r->zero) {
        return block_backend_pwrite_zeroes(image, r->offset, r->bytes,
                                           r->flags);
    }
    return r->write ? block_backend_pwritev(image, r->offset, r->bytes,
                                            r->iov, r->niov, r->flags)
                    : block_backend_preadv(image, r->offset, r->bytes, r->iov,
                                           r->niov, r->flags);
}

/* Runs a request and says how it went. */
static int execute(Request *r)
{
    gint64 start = g_get_monotonic_time();
    int ret = perform(r);
    gint64 us = g_get_monotonic_time() - start;

    if (ret < 0) {
        printf("%s failed: %s\n", r->name, strerror(-ret));
        return ret;
    }
    if (!r->write && !verify(r)) {
        ret = -EINVAL; /* and still a report */
    }
    if (r->quiet) {
        return ret;
    }
    if (r->verbose) {
        dump(r->buf, r->offset, r->bytes);
    }
    report(r, r->write ? "wrote" : "read", us);
    return ret;
}

static void request_free(Request *r)
{
    block_graph_lock();
    block_backend_unref(r->image);
    block_graph_unlock();
    free(r->buf);
    g_free(r->iov);
    g_free(r);
}

/* ---- Asynchronous requests ------------------------------------------------ */

static GMutex aio_lock;
static GCond aio_cond;
static int aio_running;
static int aio_threads; /* those that run, or hold an image yet */
static int aio_error;
static GQueue aio_done = G_QUEUE_INIT; /* of Request: to be freed */

/*
 * Frees what is done.  e2k-io holds the graph lock from start to end and
 * comes by in io_drain(), before an image is closed; elsewhere the thread of
 * the request gets the lock itself.
 */
static void reap(void)
{
    Request *r;

    block_graph_lock();
    do {
        g_mutex_lock(&aio_lock);
        r = g_queue_pop_head(&aio_done);
        g_mutex_unlock(&aio_lock);
        if (r) {
            request_free(r);
        }
    } while (r);
    block_graph_unlock();
}

static gpointer aio_thread(gpointer opaque)
{
    Request *r = opaque;
    gint64 start = g_get_monotonic_time();
    int ret = perform(r);
    gint64 us = g_get_monotonic_time() - start;

    g_mutex_lock(&aio_lock);
    if (ret < 0) {
        printf("%s failed: %s\n", r->write ? "aio_write" : "readv",
               strerror(-ret));
    } else {
        ret = r->write || verify(r) ? 0 : -EINVAL;
        if (!r->quiet && r->verbose) {
            dump(r->buf, r->offset, r->bytes);
        }
        if (!r->quiet) {
            report(r, r->write ? "wrote" : "read", us);
        }
    }
    fflush(stdout);
    aio_error = aio_error ? aio_error : ret;
    aio_running--;
    g_queue_push_tail(&aio_done, r);
    g_cond_broadcast(&aio_cond);
    g_mutex_unlock(&aio_lock);
    reap();
    g_mutex_lock(&aio_lock);
    aio_threads--;
    g_cond_broadcast(&aio_cond);
    g_mutex_unlock(&aio_lock);
    return NULL;
}

/* Requests that finish soon do so before the next command. */
static int start_async(Request *r)
{
    gint64 until = g_get_monotonic_time() + AIO_GRACE_US;
    int before;

    fflush(stdout);
    g_mutex_lock(&aio_lock);
    before = aio_running++;
    aio_threads++;
    g_thread_unref(g_thread_new("aio", aio_thread, r));
    while (aio_running > before &&
           g_cond_wait_until(&aio_cond, &aio_lock, until)) {
        /* woken for another one */
    }
    g_mutex_unlock(&aio_lock);
    return 0;
}

static int take_aio_error(void)
{
    int ret = aio_error;

    aio_error = 0;
    return ret;
}

void io_drain(void)
{
    g_mutex_lock(&aio_lock);
    while (aio_running) {
        g_cond_wait(&aio_cond, &aio_lock);
    }
    g_mutex_unlock(&aio_lock);
    reap();
}

void io_finish(void)
{
    g_mutex_lock(&aio_lock);
    while (aio_threads) {
        g_cond_wait(&aio_cond, &aio_lock);
    }
    g_mutex_unlock(&aio_lock);
}

static int cmd_aio_flush(int argc, char **argv)
{
    io_drain();
    (void)block_backend_flush(io_image);
    return take_aio_error();
}

/* ---- Parsing -------------------------------------------------------------- */

static bool parse_number(const char *text, uint64_t *value)
{
    int64_t n = io_number(text);

    if (n < 0) {
        io_number_error(n, text);
        return false;
    }
    *value = n;
    return true;
}

static bool parse_pattern(Request *r, const char *text)
{
    char *end;
    long value = strtol(text, &end, 0);

    if (end == text || *end || value < 0 || value > 255) {
        printf("%s is not a valid pattern byte\n", text);
        return false;
    }
    r->has_pattern = true;
    r->pattern = value;
    return true;
}

static bool parse_option(Request *r, int opt, const IoCommand *command)
{
    uint64_t value;

    switch (opt) {
    case 'a':
    case 'p':
        return true;
    case 'b':
        r->vmstate = true;
        return true;
    case 'c':
        r->flags |= BLOCK_REQ_COMPRESSED;
        return true;
    case 'C':
        r->csv = true;
        return true;
    case 'f':
        r->flags |= BLOCK_REQ_FUA;
        return true;
    case 'i':
        return true;
    case 'l':
        r->has_length = true;
        return parse_number(optarg, &r->check_length);
    case 'n':
        r->flags |= BLOCK_REQ_NO_FALLBACK;
        return true;
    case 'P':
        return parse_pattern(r, optarg);
    case 'q':
        r->quiet = true;
        return true;
    case 's':
        if (r->write) {
            r->file = optarg;
            return true;
        }
        r->has_start = true;
        if (!parse_number(optarg, &value)) {
            return false;
        }
        r->check_start = value;
        return true;
    case 'u':
        r->flags |= BLOCK_REQ_MAY_UNMAP;
        return true;
    case 'v':
        r->verbose = true;
        return true;
    case 'z':
        r->zero = true;
        return true;
    default:
        io_usage(command);
        return false;
    }
}

static bool check_options(const Request *r)
{
    const char *why = NULL;

    if ((r->flags & BLOCK_REQ_COMPRESSED) && r->vmstate) {
        why = "-b and -c cannot be specified at the same time";
    } else if (r->vmstate && r->zero) {
        why = "-b and -z cannot be specified at the same time";
    } else if ((r->flags & BLOCK_REQ_COMPRESSED) && r->zero) {
        why = "-c and -z cannot be specified at the same time";
    } else if ((r->flags & BLOCK_REQ_FUA) &&
               (r->vmstate || (r->flags & BLOCK_REQ_COMPRESSED))) {
        why = "-f and -b or -c cannot be specified at the same time";
    } else if ((r->flags & BLOCK_REQ_NO_FALLBACK) && !r->zero) {
        why = "-n requires -z to be specified";
    } else if ((r->flags & BLOCK_REQ_MAY_UNMAP) && !r->zero) {
        why = "-u requires -z to be specified";
    } else if (r->zero && r->has_pattern) {
        why = "-z and -P cannot be specified at the same time";
    } else if (r->file && (r->zero || r->has_pattern)) {
        why = "Only one of -z, -P, and -s can be specified at the same time";
    }
    if (why) {
        printf("%s\n", why);
    }
    return why == NULL;
}

static bool parse_length(const char *text, uint64_t *bytes)
{
    if (!parse_number(text, bytes)) {
        return false;
    }
    if (*bytes > MAX_REQUEST) {
        printf("length cannot exceed %" PRIu64 ", given %s\n", MAX_REQUEST,
               text);
        return false;
    }
    return true;
}

/* Offsets and lengths after the options: one length, or several (vectors). */
static bool parse_range(Request *r, int argc, char **argv, bool vectored)
{
    if (!parse_number(argv[0], &r->offset)) {
        return false;
    }
    if (argc - 1 > MAX_VECTORS) {
        printf("too many vectors\n");
        return false;
    }
    r->niov = vectored ? argc - 1 : 1;
    r->iov = g_new0(struct iovec, r->niov);
    for (int i = 0; i < r->niov; i++) {
        uint64_t n;

        if (!parse_length(argv[i + 1], &n)) {
            return false;
        }
        if (n > MAX_REQUEST - r->bytes) {
            printf("The total number of bytes exceed the maximum size %"
                   PRIu64 "\n", MAX_REQUEST);
            return false;
        }
        r->iov[i].iov_len = n;
        r->bytes += n;
    }
    if (r->vmstate || (r->flags & BLOCK_REQ_COMPRESSED)) {
        if (r->offset & 511) {
            printf("%" PRIu64 " is not a sector-aligned value for 'offset'\n",
                   r->offset);
            return false;
        }
        if (r->bytes & 511) {
            printf("%" PRIu64 " is not a sector-aligned value for 'count'\n",
                   r->bytes);
            return false;
        }
    }
    if (!r->write) {
        uint64_t start = r->check_start;

        if (r->has_length && r->check_length > r->bytes) {
            printf("pattern verification range exceeds end of read data\n");
            return false;
        }
        if (start > r->bytes ||
            (r->has_length && r->check_length > r->bytes - start)) {
            printf("pattern verification range exceeds end of read data\n");
            return false;
        }
    }
    return true;
}

/* Repeats the content of a file over the buffer. */
static bool fill_from_file(Request *r)
{
    g_autofree char *content = NULL;
    gsize length;
    GError *error = NULL;

    if (!g_file_get_contents(r->file, &content, &length, &error) ||
        length == 0) {
        printf("%s: %s\n", r->file, error ? error->message : "file is empty");
        g_clear_error(&error);
        return false;
    }
    for (uint64_t i = 0; i < r->bytes; i++) {
        r->buf[i] = content[i % length];
    }
    return true;
}

static bool make_buffer(Request *r)
{
    uint8_t *at;

    if (r->zero) {
        return true;
    }
    if (posix_memalign((void **)&r->buf, 4096, MAX(r->bytes, 1))) {
        r->buf = NULL;
        printf("cannot allocate %" PRIu64 " bytes\n", r->bytes);
        return false;
    }
    memset(r->buf, !r->write         ? 0xab
                   : r->has_pattern ? r->pattern
                                    : DEFAULT_PATTERN,
           r->bytes);
    if (r->write && r->file && !fill_from_file(r)) {
        return false;
    }
    at = r->buf;
    for (int i = 0; i < r->niov; i++) {
        r->iov[i].iov_base = at;
        at += r->iov[i].iov_len;
    }
    return true;
}

/* A request from a command line; NULL when something is wrong with it. */
static Request *parse_request(int argc, char **argv, const char *options,
                              bool write, bool vectored)
{
    const IoCommand *command = io_find(argv[0]);
    Request *r = g_new0(Request, 1);
    int opt;
    bool ok = true;

    r->image = io_image;
    block_backend_ref(r->image);
    r->name = command->name;
    r->write = write;
    optind = 0;
    while (ok && (opt = getopt(argc, argv, options)) != -1) {
        ok = parse_option(r, opt, command);
    }
    if (ok && (vectored ? argc - optind < 2 : argc - optind != 2)) {
        io_usage(command);
        ok = false;
    }
    ok = ok && check_options(r) &&
         parse_range(r, argc - optind, argv + optind, vectored) &&
         make_buffer(r);
    if (!ok) {
        request_free(r);
        return NULL;
    }
    return r;
}

static int run_now(Request *r)
{
    int ret = r ? execute(r) : -EINVAL;

    if (r) {
        request_free(r);
    }
    return ret;
}

static int cmd_read(int argc, char **argv)
{
    return run_now(parse_request(argc, argv, "abCl:pP:qs:v", false, false));
}

static int cmd_readv(int argc, char **argv)
{
    return run_now(parse_request(argc, argv, "CP:qv", false, true));
}

static int cmd_write(int argc, char **argv)
{
    return run_now(parse_request(argc, argv, "bcCfnpP:qs:uz", true, false));
}

static int cmd_writev(int argc, char **argv)
{
    return run_now(parse_request(argc, argv, "CfqP:", true, true));
}

static int cmd_aio_read(int argc, char **argv)
{
    Request *r = parse_request(argc, argv, "CP:iqv", false, true);

    return r ? start_async(r) : -EINVAL;
}

static int cmd_aio_write(int argc, char **argv)
{
    Request *r = parse_request(argc, argv, "CfiP:quz", true, true);

    return r ? start_async(r) : -EINVAL;
}

static int cmd_discard(int argc, char **argv)
{
    const IoCommand *command = io_find(argv[0]);
    Request r = { .name = "discard", .write = true };
    uint64_t left;
    gint64 start;
    int opt, ret = 0;

    optind = 0;
    while ((opt = getopt(argc, argv, "Cq")) != -1) {
        if (!parse_option(&r, opt, command)) {
            return -EINVAL;
        }
    }
    if (argc - optind != 2) {
        io_usage(command);
        return -EINVAL;
    }
    if (!parse_number(argv[optind], &r.offset) ||
        !parse_number(argv[optind + 1], &r.bytes)) {
        return -EINVAL;
    }
    if (r.bytes > MAX_REQUEST) {
        printf("length cannot exceed %" PRIu64 ", given %s\n", MAX_REQUEST,
               argv[optind + 1]);
        return -EINVAL;
    }
    start = g_get_monotonic_time();
    left = r.bytes;
    ret = out_of_range(io_image, r.offset, left)
              ? -EIO : block_backend_pdiscard(io_image, r.offset, left);
    if (ret < 0) {
        printf("discard failed: %s\n", strerror(-ret));
        return ret;
    }
    if (!r.quiet) {
        report(&r, "discard", g_get_monotonic_time() - start);
    }
    return 0;
}

const IoCommand io_rw_commands[] = {
    { "read", "r", cmd_read, 2, -1, false, false,
      "[-abCqv] [-P pattern [-s off] [-l len]] off len",
      "reads a number of bytes at a specified offset" },
    { "readv", "rv", cmd_readv, 2, -1, false, false,
      "[-Cqv] [-P pattern] off len [len..]",
      "reads a number of bytes at a specified offset" },
    { "write", "w", cmd_write, 2, -1, false, true,
      "[-bcCfnquz] [-P pattern | -s source_file] off len",
      "writes a number of bytes at a specified offset" },
    { "writev", "wv", cmd_writev, 2, -1, false, true,
      "[-Cfq] [-P pattern] off len [len..]",
      "writes a number of bytes at a specified offset" },
    { "aio_read", NULL, cmd_aio_read, 2, -1, false, false,
      "[-Ciqv] [-P pattern] off len [len..]",
      "asynchronously reads a number of bytes" },
    { "aio_write", NULL, cmd_aio_write, 2, -1, false, true,
      "[-Cfiquz] [-P pattern] off len [len..]",
      "asynchronously writes a number of bytes" },
    { "aio_flush", NULL, cmd_aio_flush, 0, 0, false, false, "",
      "completes all outstanding aio requests" },
    { "discard", "d", cmd_discard, 2, -1, false, true, "[-Cq] off len",
      "discards a number of bytes at a specified offset" },
    { NULL },
};
