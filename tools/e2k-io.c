/*
 * e2k-io: scripted reads and writes against an image, for tests.
 *
 * The main program, the commands about the image as a whole, and the loop
 * that runs commands from -c options or from standard input.
 */
#include "tools/e2k-io-int.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/options.h"

BlockBackend *io_image;

static bool quit_asked;

/* ---- Numbers -------------------------------------------------------------- */

char *io_size_text(double value)
{
    static const char *const units[] = { " bytes", " KiB", " MiB", " GiB",
                                         " TiB",   " PiB", " EiB" };
    unsigned unit = 0;
    g_autofree char *number = NULL;

    while (value >= 1024 && unit + 1 < G_N_ELEMENTS(units)) {
        value /= 1024;
        unit++;
    }
    number = g_strdup_printf("%.3f", value);
    if (g_str_has_suffix(number, ".000")) {
        number[strlen(number) - 4] = 0;
    }
    return g_strconcat(number, units[unit], NULL);
}

int64_t io_number(const char *text)
{
    uint64_t value;

    if (text[0] == '-' || !block_parse_size(text, &value)) {
        return -EINVAL;
    }
    return value > INT64_MAX ? -ERANGE : (int64_t)value;
}

void io_number_error(int64_t code, const char *text)
{
    if (code == -ERANGE) {
        printf("Parsing error: argument too large -- %s\n", text);
    } else {
        printf("Parsing error: non-numeric argument, or extraneous/"
               "unrecognized suffix -- %s\n", text);
    }
}

/* ---- Opening -------------------------------------------------------------- */

typedef struct OpenArgs {
    const char *format;
    unsigned flags;
    bool image_opts, copy_on_read;
    json_t *options;
} OpenArgs;

/* Puts a copy-on-read filter on top. */
static BlockNode *wrap_copy_on_read(BlockNode *node, unsigned flags,
                                    GError **error)
{
    json_t *options = json_pack("{s:s, s:s}", "driver", "copy-on-read",
                                "file", block_node_name(node));
    BlockNode *top = block_node_open(options, flags, error);

    json_decref(options);
    block_node_unref(node);
    return top;
}

static bool open_image(const char *name, const OpenArgs *a)
{
    GError *error = NULL;
    BlockNode *node;
    unsigned perm = BLOCK_PERM_CONSISTENT_READ;

    if (io_image) {
        fprintf(stderr, "file open already, try 'help close'\n");
        return false;
    }
    if (a->image_opts) {
        node = block_node_open_image_opts(name, a->flags, &error);
    } else if (!name) {
        node = block_node_open(a->options, a->flags, &error);
    } else {
        node = block_node_open_filename(name, a->format, a->options, a->flags,
                                        &error);
    }
    if (node && a->copy_on_read) {
        node = wrap_copy_on_read(node, a->flags, &error);
    }
    if (!node) {
        tool_report(error, "can't open%s%s: ", name ? " device " : "",
                    name ? name : "");
        return false;
    }
    if (!block_node_is_read_only(node)) {
        perm |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
    io_image = block_backend_new(NULL, NULL, perm, BLOCK_PERM_ALL);
    block_backend_set_writethrough(io_image,
                                   a->flags & BLOCK_OPEN_WRITETHROUGH);
    if (!block_backend_attach(io_image, node, &error)) {
        tool_report(error, "can't open%s%s: ", name ? " device " : "",
                    name ? name : "");
        g_clear_pointer(&io_image, block_backend_unref);
    }
    block_node_unref(node);
    return io_image != NULL;
}

static int cmd_close(int argc, char **argv)
{
    io_drain();
    g_clear_pointer(&io_image, block_backend_unref);
    return 0;
}

static int cmd_open(int argc, char **argv)
{
    OpenArgs a = { .flags = BLOCK_OPEN_RDWR | BLOCK_OPEN_UNMAP };
    GError *error = NULL;
    json_t *flat = NULL;
    bool read_only = false, ok = true, force_share = false;
    const char *name;
    int opt;

    optind = 0;
    while ((opt = getopt(argc, argv, "snCro:ki:t:d:U")) != -1) {
        switch (opt) {
        case 'n':
            a.flags |= BLOCK_OPEN_DIRECT;
            break;
        case 'C':
            a.copy_on_read = true;
            break;
        case 'r':
            read_only = true;
            break;
        case 'U':
            force_share = true;
            break;
        case 't':
            if (!tool_cache_flags(optarg, &a.flags)) {
                tool_error("invalid cache option: %s", optarg);
                return -EINVAL;
            }
            break;
        case 'o': {
            json_t *more = block_options_parse(optarg, NULL, &error);

            if (!more) {
                tool_report(error, NULL);
                return -EINVAL;
            }
            flat = flat ? flat : json_object();
            json_object_update(flat, more);
            json_decref(more);
            break;
        }
        case 'k':
        case 'i':
        case 'd':
        case 's':
            break;
        default:
            io_usage(io_find("open"));
            return -EINVAL;
        }
    }
    if (read_only) {
        a.flags &= ~(unsigned)BLOCK_OPEN_RDWR;
    }
    if (force_share) {
        a.flags |= BLOCK_OPEN_FORCE_SHARE;
    }
    name = optind < argc ? argv[optind] : NULL;
    if (flat) {
        const char *format = json_string_value(json_object_get(flat,
                                                               "driver"));

        a.format = name ? format : NULL;
        if (name) {
            json_incref(flat);
            json_object_del(flat, "driver");
        }
        a.options = block_options_nest(flat, &error);
        ok = a.options != NULL;
        if (!ok) {
            tool_report(error, NULL);
        }
    } else if (!name) {
        io_usage(io_find("open"));
        return -EINVAL;
    }
    ok = ok && open_image(name, &a);
    json_decref(flat);
    json_decref(a.options);
    return ok ? 0 : -EINVAL;
}

static int cmd_reopen(int argc, char **argv)
{
    BlockNode *node = block_backend_node(io_image);
    g_autoptr(GPtrArray) texts = g_ptr_array_new();
    json_t *options, *nested;
    GError *error = NULL;
    int read_only = -1, opt;
    unsigned flags = 0;
    bool cache = false, ok;

    optind = 0;
    while ((opt = getopt(argc, argv, "c:o:rw")) != -1) {
        switch (opt) {
        case 'c':
            if (!tool_cache_flags(optarg, &flags)) {
                tool_error("Invalid cache option: %s", optarg);
                return -EINVAL;
            }
            cache = true;
            break;
        case 'o':
            g_ptr_array_add(texts, optarg);
            break;
        case 'r':
        case 'w':
            if (read_only >= 0) {
                tool_error("Only one -r/-w option can be given");
                return -EINVAL;
            }
            read_only = opt == 'r';
            break;
        default:
            io_usage(io_find("reopen"));
            return -EINVAL;
        }
    }
    io_drain();
    options = json_deep_copy(node->options);
    json_object_set_new(options, "driver",
                        json_string(block_node_driver_name(node)));
    json_object_set_new(options, "node-name",
                        json_string(block_node_name(node)));
    for (guint i = 0; i < texts->len; i++) {
        json_t *flat = block_options_parse(g_ptr_array_index(texts, i), NULL,
                                           &error);
        json_t *more = flat ? block_options_nest(flat, &error) : NULL;

        json_decref(flat);
        if (!more) {
            tool_report(error, NULL);
            json_decref(options);
            return -EINVAL;
        }
        nested = block_options_merge(options, more);
        json_decref(more);
        json_decref(options);
        options = nested;
    }
    if (cache) {
        json_object_set_new(options, "cache",
                            json_pack("{s:b, s:b}", "direct",
                                      !!(flags & BLOCK_OPEN_DIRECT),
                                      "no-flush",
                                      !!(flags & BLOCK_OPEN_NO_FLUSH)));
        block_backend_set_writethrough(io_image,
                                       flags & BLOCK_OPEN_WRITETHROUGH);
    }
    if (read_only >= 0) {
        json_object_set_new(options, "read-only", json_boolean(read_only));
        if (read_only &&
            !block_backend_set_perm(io_image, BLOCK_PERM_CONSISTENT_READ,
                                    BLOCK_PERM_ALL, &error)) {
            tool_report(error, NULL);
            json_decref(options);
            return -EINVAL;
        }
    }
    ok = block_node_reopen(&options, 1, &error);
    if (ok && read_only == 0) {
        ok = block_backend_set_perm(io_image,
                                    BLOCK_PERM_CONSISTENT_READ |
                                        BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE,
                                    BLOCK_PERM_ALL, &error);
    }
    json_decref(options);
    if (!ok) {
        tool_report(error, NULL);
    }
    return ok ? 0 : -EINVAL;
}

/* ---- The image as a whole ------------------------------------------------- */

static int cmd_flush(int argc, char **argv)
{
    return block_backend_flush(io_image);
}

static int cmd_length(int argc, char **argv)
{
    int64_t length = block_backend_length(io_image);
    g_autofree char *text = NULL;

    if (length < 0) {
        printf("getlength: %s\n", strerror(-length));
        return length;
    }
    text = io_size_text(length);
    printf("%s\n", text);
    return 0;
}

static int cmd_truncate(int argc, char **argv)
{
    int prealloc = BLOCK_PREALLOC_OFF;
    GError *error = NULL;
    int64_t size;
    int opt;

    optind = 0;
    while ((opt = getopt(argc, argv, "m:")) != -1) {
        if (opt != 'm') {
            io_usage(io_find("truncate"));
            return -EINVAL;
        }
        prealloc = block_preallocation_parse(optarg);
        if (prealloc < 0) {
            tool_error("invalid parameter value: %s", optarg);
            return -EINVAL;
        }
    }
    if (optind != argc - 1) {
        io_usage(io_find("truncate"));
        return -EINVAL;
    }
    size = io_number(argv[optind]);
    if (size < 0) {
        io_number_error(size, argv[optind]);
        return size;
    }
    if (!block_truncate(block_backend_node(io_image), size, false, prealloc,
                        &error)) {
        int ret = -block_error_errno(error);

        tool_report(error, NULL);
        return ret;
    }
    return 0;
}

static int cmd_info(int argc, char **argv)
{
    GError *error = NULL;
    json_t *info = block_node_image_info(block_backend_node(io_image), true,
                                         &error);
    json_t *specific;
    g_autofree char *cluster = NULL;

    if (!info) {
        tool_report(error, NULL);
        return -EIO;
    }
    cluster = io_size_text(
        json_integer_value(json_object_get(info, "cluster-size")));
    printf("format name: %s\ncluster size: %s\n",
           json_string_value(json_object_get(info, "format")), cluster);
    specific = json_object_get(json_object_get(info, "format-specific"),
                               "data");
    if (specific) {
        printf("Format specific information:\n");
        tool_print_json_text(specific, 4);
    }
    json_decref(info);
    return 0;
}

/* Length of the run at offset that is or is not allocated in the top image. */
static int allocated_run(uint64_t offset, uint64_t bytes, uint64_t *run)
{
    BlockNode *node = block_backend_enter(io_image);
    BlockNode *base = block_node_backing(block_node_skip_filters(node));
    int first = -1;

    *run = 0;
    while (*run < bytes) {
        BlockStatus s;
        int now = block_status_above(node, base, offset + *run, bytes - *run,
                                     &s);

        if (now >= 0) {
            now = (s.flags & BLOCK_STATUS_ALLOCATED) != 0;
        }
        if (now < 0 && first < 0) {
            block_backend_leave(io_image);
            return now;
        }
        if (first >= 0 && now != first) {
            break;
        }
        first = now;
        *run += s.bytes;
    }
    block_backend_leave(io_image);
    return first < 0 ? 0 : first;
}

static int cmd_alloc(int argc, char **argv)
{
    int64_t start = io_number(argv[1]);
    int64_t count = argc == 3 ? io_number(argv[2]) : 512;
    int64_t length = block_backend_length(io_image);
    uint64_t sum = 0, at;
    g_autofree char *text = NULL;

    if (start < 0 || count < 0) {
        io_number_error(start < 0 ? start : count, argv[start < 0 ? 1 : 2]);
        return -EINVAL;
    }
    for (at = start; at < (uint64_t)start + count && (int64_t)at < length;) {
        uint64_t n;
        int ret = allocated_run(at, MIN((uint64_t)start + count,
                                        (uint64_t)length) - at, &n);

        if (ret < 0) {
            printf("is_allocated failed: %s\n", strerror(-ret));
            return ret;
        }
        sum += ret ? n : 0;
        at += n;
    }
    text = io_size_text(start);
    printf("%" PRIu64 "/%" PRId64 " bytes allocated at offset %s\n", sum,
           count, text);
    return 0;
}

static int cmd_map(int argc, char **argv)
{
    int64_t length = block_backend_length(io_image);
    uint64_t at = 0;

    if (length < 0) {
        printf("Failed to query image length: %s\n", strerror(-length));
        return length;
    }
    while (at < (uint64_t)length) {
        uint64_t n;
        int ret = allocated_run(at, length - at, &n);
        g_autofree char *size = NULL;
        g_autofree char *where = NULL;

        if (ret < 0) {
            printf("Failed to get allocation status: %s\n", strerror(-ret));
            return ret;
        }
        size = io_size_text(n);
        where = io_size_text(at);
        printf("%s (0x%" PRIx64 ") bytes %s at offset %s (0x%" PRIx64 ")\n",
               size, n, ret ? "    allocated" : "not allocated", where, at);
        at += n;
    }
    return 0;
}

/* ---- Fault injection ------------------------------------------------------ */

static int debug_command(const char *command, const char *argument,
                         const char *tag)
{
    BlockNode *node = block_backend_node(io_image);
    GError *error = NULL;

    while (node && !block_node_driver(node)->debug_command) {
        node = block_node_primary(node);
    }
    if (!node) {
        printf("Could not set a breakpoint: %s\n", strerror(ENOTSUP));
        return -ENOTSUP;
    }
    if (!block_node_driver(node)->debug_command(node, command, argument, tag,
                                                &error)) {
        printf("%s\n", error->message);
        g_clear_error(&error);
        return -EINVAL;
    }
    return 0;
}

static int cmd_break(int argc, char **argv)
{
    return debug_command("break", argv[1], argv[2]);
}

static int cmd_remove_break(int argc, char **argv)
{
    return debug_command("remove_break", NULL, argv[1]);
}

static int cmd_resume(int argc, char **argv)
{
    return debug_command("resume", NULL, argv[1]);
}

static int cmd_wait_break(int argc, char **argv)
{
    return debug_command("wait_break", NULL, argv[1]);
}

static int cmd_sigraise(int argc, char **argv)
{
    int64_t sig = io_number(argv[1]);

    if (sig < 0 || sig > NSIG) {
        io_number_error(sig < 0 ? sig : -ERANGE, argv[1]);
        return -EINVAL;
    }
    fflush(stdout);
    raise(sig);
    return 0;
}

static int cmd_abort(int argc, char **argv)
{
    abort();
}

static int cmd_sleep(int argc, char **argv)
{
    char *end;
    guint64 ms = g_ascii_strtoull(argv[1], &end, 0);

    if (end == argv[1] || *end) {
        printf("%s is not a valid argument\n", argv[1]);
        return -EINVAL;
    }
    g_usleep(ms * 1000);
    return 0;
}

static int cmd_quit(int argc, char **argv)
{
    quit_asked = true;
    return 0;
}

/* ---- Command table and loop ----------------------------------------------- */

static int cmd_help(int argc, char **argv);

static const IoCommand commands[] = {
    { "open", "o", cmd_open, 0, -1, true, false,
      "[-rsCnkU] [-t cache] [-d discard] [-i aio] [-o options] [path]",
      "open the file specified by path" },
    { "close", "c", cmd_close, 0, 0, false, false, "",
      "close the current open file" },
    { "reopen", NULL, cmd_reopen, 0, -1, false, false,
      "[(-r|-w)] [-c cache] [-o options]",
      "reopens an image with new options" },
    { "flush", "f", cmd_flush, 0, 0, false, false, "",
      "flush all in-core file state to disk" },
    { "truncate", "t", cmd_truncate, 1, 3, false, true,
      "[-m prealloc_mode] off",
      "truncates the current file at the given offset" },
    { "length", "l", cmd_length, 0, 0, false, false, "",
      "gets the length of the current file" },
    { "info", "i", cmd_info, 0, 0, false, false, "",
      "prints information about the current file" },
    { "alloc", "a", cmd_alloc, 1, 2, false, false, "offset [count]",
      "checks if offset is allocated in the file" },
    { "map", NULL, cmd_map, 0, 1, false, false, "",
      "prints the allocated areas of a file" },
    { "break", NULL, cmd_break, 2, 2, false, false, "event tag",
      "suspends requests at the breakpoint" },
    { "remove_break", NULL, cmd_remove_break, 1, 1, false, false, "tag",
      "removes a breakpoint by tag" },
    { "resume", NULL, cmd_resume, 1, 1, false, false, "tag",
      "resumes requests suspended by the tag" },
    { "wait_break", NULL, cmd_wait_break, 1, 1, false, false, "tag",
      "waits for the suspension of a request" },
    { "sigraise", NULL, cmd_sigraise, 1, 1, true, false, "signal",
      "raises a signal" },
    { "abort", NULL, cmd_abort, 0, 0, true, false, "",
      "simulate a program crash using abort(3)" },
    { "sleep", NULL, cmd_sleep, 1, 1, true, false, "milliseconds",
      "waits for the given time" },
    { "help", "?", cmd_help, 0, 1, true, false, "[command]",
      "help for one or all commands" },
    { "quit", "q", cmd_quit, 0, 0, true, false, "", "exit the program" },
    { NULL },
};

static const IoCommand *const tables[] = { io_rw_commands, commands };

const IoCommand *io_find(const char *name)
{
    for (size_t t = 0; t < G_N_ELEMENTS(tables); t++) {
        for (const IoCommand *c = tables[t]; c->name; c++) {
            if (!strcmp(c->name, name) ||
                (c->alias && !strcmp(c->alias, name))) {
                return c;
            }
        }
    }
    return NULL;
}

void io_usage(const IoCommand *command)
{
    printf("%s %s -- %s\n", command->name, command->args, command->line);
}

static int cmd_help(int argc, char **argv)
{
    if (argc > 1) {
        const IoCommand *c = io_find(argv[1]);

        if (!c) {
            printf("command %s not found\n", argv[1]);
            return -EINVAL;
        }
        io_usage(c);
        return 0;
    }
    for (size_t t = 0; t < G_N_ELEMENTS(tables); t++) {
        for (const IoCommand *c = tables[t]; c->name; c++) {
            io_usage(c);
        }
    }
    printf("\nUse 'help commandname' for extended help.\n");
    return 0;
}

static bool check_count(const IoCommand *c, int n)
{
    if (n >= c->min_args && (c->max_args < 0 || n <= c->max_args)) {
        return true;
    }
    if (c->max_args < 0) {
        fprintf(stderr, "bad argument count %d to %s, expected at least %d "
                   "arguments\n", n, c->name, c->min_args);
    } else if (c->min_args == c->max_args) {
        fprintf(stderr, "bad argument count %d to %s, expected %d arguments\n", n,
                   c->name, c->min_args);
    } else {
        fprintf(stderr, "bad argument count %d to %s, expected between %d and %d "
                   "arguments\n", n, c->name, c->min_args, c->max_args);
    }
    return false;
}

static int run_words(int argc, char **argv)
{
    const IoCommand *c = io_find(argv[0]);

    if (!c) {
        fprintf(stderr, "command \"%s\" not found\n", argv[0]);
        return -EINVAL;
    }
    if (!check_count(c, argc - 1)) {
        return -EINVAL;
    }
    if (!c->no_file && !io_image) {
        fprintf(stderr, "no file open, try 'help open'\n");
        return -EINVAL;
    }
    if (c->writes &&
        block_node_is_read_only(block_backend_node(io_image))) {
        tool_error("Block node is read-only");
        return -EPERM;
    }
    return c->run(argc, argv);
}

static int run_line(const char *line)
{
    g_auto(GStrv) raw = g_strsplit_set(line, " \t\n", -1);
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    int ret;

    for (char **w = raw; *w; w++) {
        if (**w) {
            g_ptr_array_add(words, *w);
        }
    }
    if (words->len == 0) {
        return 0;
    }
    g_ptr_array_add(words, NULL);
    ret = run_words(words->len - 1, (char **)words->pdata);
    fflush(stdout);
    return ret;
}

static int run_stdin(void)
{
    bool terminal = isatty(STDIN_FILENO);
    char *line = NULL;
    size_t size = 0;
    int failed = 0;

    for (;;) {
        if (quit_asked) {
            break;
        }
        printf("%s> ", tool_name());
        fflush(stdout);
        if (getline(&line, &size, stdin) < 0) {
            if (terminal) {
                printf("\n");
            }
            break;
        }
        failed |= run_line(line) < 0;
    }
    free(line);
    return failed;
}

/* ---- Main ----------------------------------------------------------------- */

static const struct option longs[] = {
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { "cmd", required_argument, NULL, 'c' },
    { "format", required_argument, NULL, 'f' },
    { "read-only", no_argument, NULL, 'r' },
    { "snapshot", no_argument, NULL, 's' },
    { "nocache", no_argument, NULL, 'n' },
    { "copy-on-read", no_argument, NULL, 'C' },
    { "misalign", no_argument, NULL, 'm' },
    { "native-aio", no_argument, NULL, 'k' },
    { "aio", required_argument, NULL, 'i' },
    { "discard", required_argument, NULL, 'd' },
    { "cache", required_argument, NULL, 't' },
    { "trace", required_argument, NULL, 'T' },
    { "force-share", no_argument, NULL, 'U' },
    { "object", required_argument, NULL, 'O' },
    { "image-opts", no_argument, NULL, 'I' },
    { 0 },
};

static void print_help(void)
{
    printf("usage: %s [OPTIONS]... [-c STRING]... [file]\n"
           "Scripted reads and writes against a disk image\n\n"
           "  -c, --cmd STRING     run a command; repeatable\n"
           "  -f, --format FMT     format of the image (default: found out)\n"
           "  --image-opts         FILE is driver=...,key=value,...\n"
           "  --object TYPE,...    an object the image needs\n"
           "  -r, --read-only      open read-only\n"
           "  -n, --nocache        bypass the host page cache\n"
           "  -C, --copy-on-read   copy what is read into the image\n"
           "  -t, --cache MODE     none, writeback, writethrough, "
           "directsync, unsafe\n"
           "  -d, --discard MODE   unmap or ignore\n"
           "  -U, --force-share    open beside other users\n"
           "  -m, -k, -i AIO, -T   accepted for compatibility\n"
           "  -h, --help           this text\n"
           "  -V, --version        version\n\n"
           "'%s -c help' lists the commands.\n", tool_name(), tool_name());
}

typedef struct MainArgs {
    OpenArgs open;
    GPtrArray *lines;
    bool read_only;
} MainArgs;

/* False: exit now with *status. */
static bool main_option(MainArgs *m, int opt, int *status)
{
    *status = 1;
    switch (opt) {
    case 'c':
        g_ptr_array_add(m->lines, optarg);
        return true;
    case 'f':
        m->open.format = optarg;
        return true;
    case 'r':
        m->read_only = true;
        return true;
    case 'n':
        m->open.flags |= BLOCK_OPEN_DIRECT;
        return true;
    case 'C':
        m->open.copy_on_read = true;
        return true;
    case 'U':
        m->open.flags |= BLOCK_OPEN_FORCE_SHARE;
        return true;
    case 'd':
        if (strcmp(optarg, "unmap") && strcmp(optarg, "on") &&
            strcmp(optarg, "ignore") && strcmp(optarg, "off")) {
            tool_error("Invalid discard option: %s", optarg);
            return false;
        }
        m->open.flags &= ~(unsigned)BLOCK_OPEN_UNMAP;
        if (optarg[0] == 'u' || !strcmp(optarg, "on")) {
            m->open.flags |= BLOCK_OPEN_UNMAP;
        }
        return true;
    case 't':
        if (!tool_cache_flags(optarg, &m->open.flags)) {
            tool_error("Invalid cache option: %s", optarg);
            return false;
        }
        return true;
    case 'O':
        return tool_object(optarg);
    case 'I':
        m->open.image_opts = true;
        return true;
    case 'm':
    case 'k':
    case 'i':
    case 'T':
        return true;
    case 's':
        tool_error("temporary snapshots (-s) are not supported");
        return false;
    case 'V':
        printf("%s version " E2K_VERSION " (e2k-emu)\n", tool_name());
        *status = 0;
        return false;
    case 'h':
        print_help();
        *status = 0;
        return false;
    default:
        fprintf(stderr, "Try '%s --help' for more information\n",
                tool_name());
        return false;
    }
}

int main(int argc, char **argv)
{
    MainArgs m = { .open.flags = BLOCK_OPEN_UNMAP };
    int opt, status, failed = 0;

    tool_init(argv[0]);
    m.lines = g_ptr_array_new();
    while ((opt = getopt_long(argc, argv, "hVc:d:f:rsnCmki:t:T:U", longs,
                              NULL)) != -1) {
        if (!main_option(&m, opt, &status)) {
            return status;
        }
    }
    if (argc - optind > 1) {
        tool_usage_error("Only one file name can be given");
    }
    if (m.open.image_opts && m.open.format) {
        tool_error("--image-opts and -f are mutually exclusive");
        return 1;
    }
    m.open.flags |= m.read_only ? 0 : BLOCK_OPEN_RDWR;
    block_graph_lock(); /* one thread controls the graph: this one */
    if (optind < argc && !open_image(argv[optind], &m.open)) {
        return 1;
    }
    if (m.lines->len == 0) {
        failed = run_stdin();
    }
    for (guint i = 0; i < m.lines->len && !quit_asked; i++) {
        failed |= run_line(g_ptr_array_index(m.lines, i)) < 0;
    }
    io_drain();
    g_clear_pointer(&io_image, block_backend_unref);
    block_close_all();
    g_ptr_array_unref(m.lines);
    return failed;
}
