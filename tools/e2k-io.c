/*
 * e2k-io: scripted reads and writes against an image, for tests.
 *
 * The main program: options, then the commands of -c options or of standard
 * input.
 */
#include "tools/e2k-io-int.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run_stdin(void)
{
    bool terminal = isatty(STDIN_FILENO);
    char *line = NULL;
    size_t size = 0;
    int failed = 0;

    for (;;) {
        if (io_quit_asked) {
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
        failed |= io_run_line(line) < 0;
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
           "  -s, --snapshot       what is written is lost at the end\n"
           "  -n, --nocache        bypass the host page cache\n"
           "  -C, --copy-on-read   copy what is read into the image\n"
           "  -t, --cache MODE     none, writeback, writethrough, "
           "directsync, unsafe\n"
           "  -d, --discard MODE   unmap or ignore\n"
           "  -U, --force-share    open beside other users\n"
           "  -i, --aio ENGINE     threads, native or io_uring\n"
           "  -k, --native-aio     the same as -i native\n"
           "  -m, -T               accepted for compatibility\n"
           "  -h, --help           this text\n"
           "  -V, --version        version\n\n"
           "'%s -c help' lists the commands.\n", tool_name(), tool_name());
}

typedef struct MainArgs {
    IoOpenArgs open;
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
        return io_discard_flags(optarg, &m->open.flags);
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
    case 'i':
        return io_aio_flags(optarg, &m->open.flags);
    case 'k':
        return io_aio_flags("native", &m->open.flags);
    case 's':
        m->open.temporary = true;
        return true;
    case 'm':
    case 'T':
        return true;
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
    if (optind < argc && !io_open_image(argv[optind], &m.open)) {
        return 1;
    }
    if (m.lines->len == 0) {
        failed = run_stdin();
    }
    for (guint i = 0; i < m.lines->len && !io_quit_asked; i++) {
        failed |= io_run_line(g_ptr_array_index(m.lines, i)) < 0;
    }
    io_drain();
    g_clear_pointer(&io_image, block_backend_unref);
    block_close_all();
    g_ptr_array_unref(m.lines);
    return failed;
}
