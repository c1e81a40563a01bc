/*
 * e2k-img: creates, inspects, converts and repairs disk images.
 *
 * The main program: command table, help, options that many commands share.
 * The commands are in e2k-img-*.c.
 */
#include "tools/e2k-img-int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Options of many commands --------------------------------------------- */

static const ImgCommand *find_command(const char *name)
{
    for (const ImgCommand *c = img_commands; c->name; c++) {
        if (!strcmp(c->name, name)) {
            return c;
        }
    }
    return NULL;
}

static void command_help(const char *name)
{
    const ImgCommand *c = find_command(name);

    printf("usage: %s %s %s\n\n%s", tool_name(), c->name, c->usage,
           c->options);
    exit(0);
}

/* For messages about the option at hand. */
static char **current_argv;

int img_getopt(int argc, char **argv, const char *short_options,
               const struct option *long_options)
{
    current_argv = argv;
    return getopt_long(argc, argv, short_options, long_options, NULL);
}

bool img_common_option(ImgCommon *c, int opt, const char *command)
{
    switch (opt) {
    case '?':
        tool_usage_error("unrecognized option '%s'", current_argv[optind - 1]);
    case ':':
        tool_usage_error("missing argument for option '%s'",
                         current_argv[optind - 1]);
    case 'h':
        command_help(command);
        break;
    case 'f':
        c->image.format = optarg;
        break;
    case 'q':
        c->quiet = true;
        break;
    case 'p':
        c->progress = true;
        break;
    case 'U':
        c->image.flags |= BLOCK_OPEN_FORCE_SHARE;
        break;
    case OPT_OBJECT:
        if (!tool_object(optarg)) {
            exit(1);
        }
        break;
    case OPT_IMAGE_OPTS:
        c->image.image_opts = true;
        break;
    case OPT_OUTPUT:
        if (strcmp(optarg, "json") && strcmp(optarg, "human")) {
            tool_usage_error("--output must be used with human or json as "
                             "argument.");
        }
        c->json = !strcmp(optarg, "json");
        break;
    default:
        return false;
    }
    return true;
}

bool img_check_common(const ImgCommon *c)
{
    if (c->image.image_opts && c->image.format) {
        tool_error("--image-opts and --format are mutually exclusive");
        return false;
    }
    return true;
}

/* ---- Help ----------------------------------------------------------------- */

static int print_version(void)
{
    printf("%s version " E2K_VERSION " (e2k-emu)\n", tool_name());
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_formats(void)
{
    const char *names[64];
    size_t n = 0;

    for (const BlockDriver *d = block_driver_next(NULL);
         d && n < G_N_ELEMENTS(names); d = block_driver_next(d)) {
        names[n++] = d->name;
    }
    qsort(names, n, sizeof(names[0]), compare_names);
    printf("Supported formats:");
    for (size_t i = 0; i < n; i++) {
        printf(" %s", names[i]);
    }
    printf("\n");
}

static int print_help(void)
{
    print_version();
    printf("usage: %s [standard options] command [command options]\n"
           "Disk image utility\n\n"
           "    '-h', '--help'       display this help and exit\n"
           "    '-V', '--version'    output version information and exit\n\n"
           "Command syntax:\n", tool_name());
    for (const ImgCommand *c = img_commands; c->name; c++) {
        printf("  %s %s\n", c->name, c->usage);
    }
    printf("\nCommand parameters:\n"
           "  Each command explains its options with '%s COMMAND --help'.\n"
           "  Sizes are bytes and may have a suffix k, M, G, T, P or E; a "
           "FILE may be a path,\n"
           "  'json:{...}', an nbd URI, or with --image-opts "
           "'driver=...,key=value'.\n\n", tool_name());
    print_formats();
    return 0;
}

/* ---- Table ---------------------------------------------------------------- */

#define HELP_IMAGE                                                             \
    "  -f FMT             format of the image (default: found out)\n"          \
    "  --image-opts       FILE is driver=...,key=value,...\n"                  \
    "  --object TYPE,...  an object the image needs (credentials)\n"           \
    "  -h, --help         this text\n"
#define HELP_U "  -U, --force-share  read beside a running writer\n"
#define HELP_Q "  -q                 print errors only\n"
#define HELP_P "  -p                 show progress (SIGUSR1 shows it once)\n"
#define HELP_OUTPUT "  --output=FORM      human (default) or json\n"
#define HELP_T "  -t CACHE           cache mode of the written image\n"
#define HELP_SRC_T "  -T CACHE           cache mode of images read\n"
#define HELP_O                                                                 \
    "  -o OPTIONS         key=value,...; 'help' lists them\n"

const ImgCommand img_commands[] = {
    { "amend", img_amend,
      "[--object OBJECTDEF] [--image-opts] [-p] [-q] [-f FMT] [-t CACHE] "
      "[--force] -o OPTIONS FILE",
      HELP_IMAGE HELP_P HELP_Q HELP_T HELP_O
      "  --force            allow changes that may lose data\n" },
    { "bench", img_bench,
      "[-c COUNT] [-d DEPTH] [-f FMT] [--flush-interval=N] [-i AIO] [-n] "
      "[--no-drain] [-o OFFSET] [--pattern=N] [-q] [-s SIZE] [-S STEP] "
      "[-t CACHE] [-w] [-U] FILE",
      HELP_IMAGE HELP_U HELP_Q HELP_T
      "  -c COUNT           number of requests (75000)\n"
      "  -d DEPTH           requests in parallel (64)\n"
      "  -i AIO, -n         threads, native or io_uring; -n: native\n"
      "  -o OFFSET          start (0)\n"
      "  -s SIZE            bytes of a request (4096)\n"
      "  -S STEP            distance of requests (SIZE)\n"
      "  -w                 write instead of read\n"
      "  --pattern=N        byte to write (0)\n"
      "  --flush-interval=N flush after every N writes\n"
      "  --no-drain         do not wait for requests before a flush\n" },
    { "bitmap", img_bitmap,
      "(--merge SOURCE | --add | --remove | --clear | --enable | --disable)"
      "... [-b SOURCE_FILE [-F SOURCE_FMT]] [-g GRANULARITY] "
      "[--object OBJECTDEF] [--image-opts | -f FMT] FILE BITMAP",
      HELP_IMAGE
      "  --add, --remove, --clear, --enable, --disable, --merge SOURCE\n"
      "                     what to do, in this order\n"
      "  -b FILE, -F FMT    image that holds the bitmap SOURCE\n"
      "  -g GRANULARITY     of an added bitmap\n" },
    { "check", img_check,
      "[--object OBJECTDEF] [--image-opts] [-q] [-f FMT] [--output=OFMT] "
      "[-r [leaks | all]] [-T SRC_CACHE] [-U] FILE",
      HELP_IMAGE HELP_U HELP_Q HELP_OUTPUT HELP_SRC_T
      "  -r WHAT            repair: leaks or all\n" },
    { "commit", img_commit,
      "[--object OBJECTDEF] [--image-opts] [-q] [-f FMT] [-t CACHE] "
      "[-b BASE] [-r RATE_LIMIT] [-d] [-p] FILE",
      HELP_IMAGE HELP_P HELP_Q HELP_T
      "  -b BASE            commit down to this image (implies -d)\n"
      "  -d                 leave FILE as it is\n"
      "  -r RATE            bytes per second at most\n" },
    { "compare", img_compare,
      "[--object OBJECTDEF] [--image-opts] [-f FMT] [-F FMT] "
      "[-T SRC_CACHE] [-p] [-q] [-s] [-U] FILE1 FILE2",
      HELP_IMAGE HELP_U HELP_P HELP_Q HELP_SRC_T
      "  -F FMT             format of FILE2\n"
      "  -s                 strict: sizes and allocation must agree too\n" },
    { "convert", img_convert,
      "[--object OBJECTDEF] [--image-opts] [--target-image-opts] "
      "[--target-is-zero] [--bitmaps] [--skip-broken-bitmaps] [-U] [-C] [-c] "
      "[-p] [-q] [-n] [-f FMT] [-t CACHE] [-T SRC_CACHE] [-O OUTPUT_FMT] "
      "[-B BACKING_FILE [-F BACKING_FMT]] [-o OPTIONS] [-l SNAPSHOT_PARAM] "
      "[-S SPARSE_SIZE] [-r RATE_LIMIT] [-m NUM_COROUTINES] [-W] "
      "[--salvage] FILE [FILE2 [...]] OUTPUT_FILE",
      HELP_IMAGE HELP_U HELP_P HELP_Q HELP_T HELP_SRC_T HELP_O
      "  -O FMT             format of the output (raw)\n"
      "  -B FILE, -F FMT    backing file of the output\n"
      "  -c                 compress\n"
      "  -C                 let the host copy where it can\n"
      "  -l SNAPSHOT        read this internal snapshot\n"
      "  -m N               work in parallel (8, at most 16)\n"
      "  -W                 write out of order\n"
      "  -n                 the output exists\n"
      "  -r RATE            bytes per second at most\n"
      "  -S SIZE            zeroes of this length become holes (4k); 0: "
      "none\n"
      "  --target-image-opts, --target-is-zero, --bitmaps,\n"
      "  --skip-broken-bitmaps, --salvage\n" },
    { "create", img_create,
      "[--object OBJECTDEF] [-q] [-f FMT] [-b BACKING_FILE "
      "[-F BACKING_FMT]] [-u] [-o OPTIONS] FILE [SIZE]",
      HELP_IMAGE HELP_Q HELP_O
      "  -b FILE, -F FMT    backing file and its format\n"
      "  -u                 do not look at the backing file\n" },
    { "dd", img_dd,
      "[--image-opts] [-U] [-f FMT] [-O OUTPUT_FMT] [bs=BLOCK_SIZE] "
      "[count=BLOCKS] [skip=BLOCKS] if=INPUT of=OUTPUT",
      HELP_IMAGE HELP_U "  -O FMT             format of the output (raw)\n" },
    { "info", img_info,
      "[--object OBJECTDEF] [--image-opts] [-f FMT] [--output=OFMT] "
      "[--backing-chain] [-U] FILE",
      HELP_IMAGE HELP_U HELP_OUTPUT
      "  --backing-chain    all images below too\n" },
    { "map", img_map,
      "[--object OBJECTDEF] [--image-opts] [-f FMT] [--start-offset=OFFSET] "
      "[--max-length=LEN] [--output=OFMT] [-U] FILE",
      HELP_IMAGE HELP_U HELP_OUTPUT
      "  -s, --start-offset=N, -l, --max-length=N   part to show\n" },
    { "measure", img_measure,
      "[--output=OFMT] [-O OUTPUT_FMT] [-o OPTIONS] [--size N | "
      "[--object OBJECTDEF] [--image-opts] [-f FMT] [-l SNAPSHOT_PARAM] "
      "FILE]",
      HELP_IMAGE HELP_U HELP_OUTPUT HELP_O
      "  -O FMT             format to measure for (raw)\n"
      "  -l SNAPSHOT        measure this internal snapshot\n"
      "  -s, --size N       measure an empty image of this size\n" },
    { "rebase", img_rebase,
      "[--object OBJECTDEF] [--image-opts] [-U] [-q] [-f FMT] [-t CACHE] "
      "[-T SRC_CACHE] [-p] [-u] -b BACKING_FILE [-F BACKING_FMT] FILE",
      HELP_IMAGE HELP_U HELP_P HELP_Q HELP_T HELP_SRC_T
      "  -b FILE, -F FMT    new backing file; empty: none\n"
      "  -u                 change the name only\n" },
    { "resize", img_resize,
      "[--object OBJECTDEF] [--image-opts] [-f FMT] "
      "[--preallocation=PREALLOC] [-q] [--shrink] FILE [+ | -]SIZE",
      HELP_IMAGE HELP_Q
      "  --preallocation=P  of the new part: off, metadata, falloc, full\n"
      "  --shrink           really cut data off\n" },
    { "snapshot", img_snapshot,
      "[--object OBJECTDEF] [--image-opts] [-U] [-q] [-l | -a SNAPSHOT | "
      "-c SNAPSHOT | -d SNAPSHOT] FILE",
      HELP_IMAGE HELP_U HELP_Q
      "  -l                 list (default)\n"
      "  -a, -c, -d NAME    apply, create, delete\n" },
    { NULL },
};

int main(int argc, char **argv)
{
    const ImgCommand *command;
    int at = 1;

    tool_init(argv[0]);
    while (at < argc && argv[at][0] == '-') {
        const char *o = argv[at];

        if (!strcmp(o, "-h") || !strcmp(o, "--help")) {
            return print_help();
        }
        if (!strcmp(o, "-V") || !strcmp(o, "--version")) {
            return print_version();
        }
        if (!strcmp(o, "-T") || !strcmp(o, "--trace")) {
            at++; /* traces of other programs: nothing here has such points */
        } else if (!g_str_has_prefix(o, "--trace=")) {
            tool_usage_error("unrecognized option '%s'", o);
        }
        at++;
    }
    if (at >= argc) {
        tool_usage_error("Not enough arguments");
    }
    command = find_command(argv[at]);
    if (!command) {
        tool_usage_error("Command not found: %s", argv[at]);
    }
    optind = 0;
    block_graph_lock(); /* one thread controls the graph: this one */
    return command->run(argc - at, argv + at);
}
