/* Messages, opening images, sizes and progress of the tools. */
#include "tools/tool-common.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/object.h"
#include "block/options.h"
#include "monitor/wire-order.h"

static char *program_name;

const char *tool_name(void)
{
    return program_name ? program_name : "e2k";
}

/* ---- Messages ------------------------------------------------------------- */

static void print_message(const char *kind, const char *format, va_list ap)
    G_GNUC_PRINTF(2, 0);

static void print_message(const char *kind, const char *format, va_list ap)
{
    g_autofree char *text = g_strdup_vprintf(format, ap);

    fflush(stdout);
    fprintf(stderr, "%s: %s%s\n", tool_name(), kind, text);
}

void tool_error(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    print_message("", format, ap);
    va_end(ap);
}

void tool_warning(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    print_message("warning: ", format, ap);
    va_end(ap);
}

void tool_report(GError *error, const char *prefix_format, ...)
{
    g_autofree char *prefix = NULL;

    if (prefix_format) {
        va_list ap;

        va_start(ap, prefix_format);
        prefix = g_strdup_vprintf(prefix_format, ap);
        va_end(ap);
    }
    fflush(stdout);
    fprintf(stderr, "%s: %s%s\n", tool_name(), prefix ? prefix : "",
            error ? error->message : "Unknown error");
    g_clear_error(&error);
}

void tool_usage_error(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    print_message("", format, ap);
    va_end(ap);
    fprintf(stderr, "Try '%s --help' for more information\n", tool_name());
    exit(1);
}

/* ---- Images --------------------------------------------------------------- */

bool tool_cache_flags(const char *mode, unsigned *flags)
{
    static const struct {
        const char *name;
        unsigned flags;
    } modes[] = {
        { "none", BLOCK_OPEN_DIRECT },
        { "off", BLOCK_OPEN_DIRECT },
        { "writeback", 0 },
        { "writethrough", BLOCK_OPEN_WRITETHROUGH },
        { "directsync", BLOCK_OPEN_DIRECT | BLOCK_OPEN_WRITETHROUGH },
        { "unsafe", BLOCK_OPEN_NO_FLUSH },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
        if (!strcmp(mode, modes[i].name)) {
            *flags &= ~(unsigned)(BLOCK_OPEN_DIRECT | BLOCK_OPEN_NO_FLUSH |
                                  BLOCK_OPEN_WRITETHROUGH);
            *flags |= modes[i].flags;
            return true;
        }
    }
    return false;
}

static BlockBackend *stand_on(BlockNode *node, unsigned flags, GError **error)
{
    unsigned perm = flags & BLOCK_OPEN_NO_IO ? 0 : BLOCK_PERM_CONSISTENT_READ;
    BlockBackend *backend;

    if ((flags & BLOCK_OPEN_RDWR) && !block_node_is_read_only(node)) {
        perm |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
    backend = block_backend_new(NULL, NULL, perm, BLOCK_PERM_ALL);
    block_backend_set_writethrough(backend, flags & BLOCK_OPEN_WRITETHROUGH);
    if (!block_backend_attach(backend, node, error)) {
        block_backend_unref(backend);
        return NULL;
    }
    return backend;
}

BlockBackend *tool_open(const char *name, const ToolImage *image)
{
    GError *error = NULL;
    g_autoptr(BlockNode) node = NULL;
    BlockBackend *backend = NULL;

    node = image->image_opts
               ? block_node_open_image_opts(name, image->flags, &error)
               : block_node_open_filename(name, image->format, image->options,
                                          image->flags, &error);
    if (node) {
        backend = stand_on(node, image->flags, &error);
    }
    if (!backend) {
        tool_report(error, "Could not open '%s': ", name);
    }
    return backend;
}

bool tool_parse_size(const char *text, uint64_t *size)
{
    if (block_parse_size(text, size) && *size <= INT64_MAX) {
        return true;
    }
    tool_error("Invalid image size specified. You may use k, M, G, T, P or E "
               "suffixes for ");
    tool_error("kilobytes, megabytes, gigabytes, terabytes, petabytes and "
               "exabytes.");
    return false;
}

char *tool_size_text(uint64_t bytes)
{
    static const char *const units[] = { "", "Ki", "Mi", "Gi",
                                         "Ti", "Pi", "Ei" };
    double value = bytes;
    unsigned unit = 0;

    /* 1000 of a unit would need four digits: take the next one. */
    while (value >= 1000 && unit + 1 < G_N_ELEMENTS(units)) {
        value /= 1024;
        unit++;
    }
    return g_strdup_printf("%.3g %sB", value, units[unit]);
}

bool tool_object(const char *text)
{
    GError *error = NULL;

    if (!block_object_add_text(text, &error)) {
        tool_report(error, NULL);
        return false;
    }
    return true;
}

/* ---- JSON ----------------------------------------------------------------- */

void tool_print_json(json_t *value)
{
    json_t *ordered = monitor_wire_order(value);
    char *dump = json_dumps(ordered, JSON_INDENT(4) | JSON_ENCODE_ANY);

    json_decref(ordered);
    printf("%s\n", dump ? dump : "null");
    free(dump);
}

static void print_scalar(json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        printf(" %s\n", json_string_value(value));
        break;
    case JSON_INTEGER:
        printf(" %" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
        break;
    case JSON_REAL:
        printf(" %g\n", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        printf(" %s\n", json_is_true(value) ? "true" : "false");
        break;
    default:
        printf("\n");
        break;
    }
}

static void print_member(const char *key, json_t *value, int indent)
{
    g_autofree char *text = g_strdup(key);

    g_strdelimit(text, "-", ' ');
    printf("%*s%s:", indent, "", text);
    if (json_is_object(value) || json_is_array(value)) {
        printf("\n");
        tool_print_json_text(value, indent + 4);
    } else {
        print_scalar(value);
    }
}

void tool_print_json_text(json_t *value, int indent)
{
    const char *key;
    json_t *member;
    size_t i;

    if (json_is_object(value)) {
        json_object_foreach(value, key, member) {
            print_member(key, member, indent);
        }
        return;
    }
    json_array_foreach(value, i, member) {
        g_autofree char *name = g_strdup_printf("[%zu]", i);

        print_member(name, member, indent);
    }
}

/* ---- Progress ------------------------------------------------------------- */

static struct {
    GMutex lock;
    bool shown;
    bool terminal;
    uint64_t done, total;
    double printed; /* percentage of the last line, -1: none */
    gint64 start_us, last_us;
} progress;

static volatile sig_atomic_t progress_asked;

static void ask_progress(int sig)
{
    progress_asked = 1;
}

static double percent(void)
{
    return progress.total ? 100.0 * MIN(progress.done, progress.total) /
                                progress.total
                          : 100.0;
}

static void print_bar(double now)
{
    enum { WIDTH = 30 };
    gint64 elapsed = MAX(g_get_monotonic_time() - progress.start_us, 1);
    double rate = progress.done * 1e6 / elapsed;
    g_autofree char *speed = tool_size_text(rate);
    int left = rate > 0 ? (progress.total - progress.done) / rate : 0;
    int filled = now / 100 * WIDTH;
    char bar[WIDTH + 1];

    memset(bar, ' ', WIDTH);
    memset(bar, '=', filled);
    if (filled < WIDTH) {
        bar[filled] = '>';
    }
    bar[WIDTH] = 0;
    printf("    (%3.2f/100%%) [%s] %s/s, %d:%02d left \r", now, bar, speed,
           left / 60, left % 60);
    fflush(stdout);
}

/* Progress lock held. */
static void print_progress(bool force)
{
    double now = percent();
    gint64 time = g_get_monotonic_time();

    if (progress_asked) {
        progress_asked = 0;
        if (!progress.shown) {
            printf("    (%3.2f/100%%)\n", now);
            fflush(stdout);
        }
        force = true;
    }
    if (!progress.shown ||
        (!force && now < progress.printed + 1 &&
         (!progress.terminal || time < progress.last_us + 200000))) {
        return;
    }
    progress.printed = now;
    progress.last_us = time;
    if (progress.terminal) {
        print_bar(now);
    } else {
        printf("    (%3.2f/100%%)\r", now);
        fflush(stdout);
    }
}

void tool_progress_start(bool shown, uint64_t total)
{
    struct sigaction action = { .sa_handler = ask_progress,
                                .sa_flags = SA_RESTART };

    g_mutex_lock(&progress.lock);
    progress.shown = shown;
    progress.terminal = isatty(STDOUT_FILENO);
    progress.total = total;
    progress.done = 0;
    progress.printed = -1;
    progress.start_us = g_get_monotonic_time();
    print_progress(true);
    g_mutex_unlock(&progress.lock);
    sigaction(SIGUSR1, &action, NULL);
}

void tool_progress_add(uint64_t done)
{
    g_mutex_lock(&progress.lock);
    progress.done += done;
    print_progress(false);
    g_mutex_unlock(&progress.lock);
}

void tool_progress_set(uint64_t done, uint64_t total)
{
    g_mutex_lock(&progress.lock);
    progress.done = done;
    progress.total = total;
    print_progress(false);
    g_mutex_unlock(&progress.lock);
}

void tool_progress_end(void)
{
    g_mutex_lock(&progress.lock);
    if (progress.shown) {
        progress.done = progress.total;
        print_progress(true);
        printf("\n");
    }
    progress.shown = false;
    g_mutex_unlock(&progress.lock);
}

void tool_init(const char *argv0)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };

    program_name = g_path_get_basename(argv0);
    sigaction(SIGPIPE, &ignore, NULL);
}
