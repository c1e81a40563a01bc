/*
 * The subcommands of e2k-img.
 *
 * Each takes its own argv (argv[0] is the command's name) and returns the
 * exit status.  Options are getopt_long tables; what several commands accept
 * is parsed by img_common_option().
 */
#ifndef TOOLS_E2K_IMG_INT_H
#define TOOLS_E2K_IMG_INT_H

#include <getopt.h>

#include "tools/tool-common.h"

typedef struct ImgCommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage;   /* arguments, after the name */
    const char *options; /* one "  -x  text" line per option */
} ImgCommand;

extern const ImgCommand img_commands[];

enum {
    OPT_HELP = 256,
    OPT_OUTPUT,
    OPT_BACKING_CHAIN,
    OPT_OBJECT,
    OPT_IMAGE_OPTS,
    OPT_TARGET_IMAGE_OPTS,
    OPT_PREALLOCATION,
    OPT_SHRINK,
    OPT_SIZE,
    OPT_SALVAGE,
    OPT_TARGET_IS_ZERO,
    OPT_BITMAPS,
    OPT_SKIP_BROKEN,
    OPT_START_OFFSET,
    OPT_MAX_LENGTH,
    OPT_ADD,
    OPT_REMOVE,
    OPT_CLEAR,
    OPT_ENABLE,
    OPT_DISABLE,
    OPT_MERGE,
    OPT_FLUSH_INTERVAL,
    OPT_NO_DRAIN,
    OPT_PATTERN,
    OPT_FORCE,
};

#define IMG_LONG_COMMON                                                        \
    { "help", no_argument, NULL, 'h' },                                        \
    { "object", required_argument, NULL, OPT_OBJECT },                         \
    { "image-opts", no_argument, NULL, OPT_IMAGE_OPTS }

/* Values of the options that most commands have. */
typedef struct ImgCommon {
    ToolImage image; /* -f, --image-opts, -U */
    bool quiet;      /* -q */
    bool json;       /* --output=json */
    bool progress;   /* -p */
} ImgCommon;

/* getopt_long(); short_options begins with ':'. */
int img_getopt(int argc, char **argv, const char *short_options,
               const struct option *long_options);
/*
 * Handles an option of ImgCommon, help and errors of getopt.  False: it is
 * one of the command's own.  May exit.
 */
bool img_common_option(ImgCommon *c, int opt, const char *command);

/* --image-opts and -f contradict each other. */
bool img_check_common(const ImgCommon *c);

int img_create(int argc, char **argv);
int img_resize(int argc, char **argv);
int img_amend(int argc, char **argv);
int img_measure(int argc, char **argv);
int img_info(int argc, char **argv);
int img_check(int argc, char **argv);
int img_map(int argc, char **argv);
int img_snapshot(int argc, char **argv);
int img_bitmap(int argc, char **argv);
int img_convert(int argc, char **argv);
int img_dd(int argc, char **argv);
int img_compare(int argc, char **argv);
int img_rebase(int argc, char **argv);
int img_commit(int argc, char **argv);
int img_bench(int argc, char **argv);

/* ---- Creating (e2k-img-create.c) ------------------------------------------ */

typedef struct ImgCreate {
    const char *filename;
    const char *format;
    const char *backing;        /* -b, or NULL */
    const char *backing_format; /* -F, or NULL */
    json_t *options;            /* legacy spellings, string values; or NULL */
    uint64_t size;              /* UINT64_MAX: from options or backing */
    bool unsafe;                /* -u: do not open the backing file */
    bool quiet;
} ImgCreate;

bool img_create_image(const ImgCreate *create, GError **error);
/* Adds "k=v,k=v" to *options; 1: help was asked for; -1: error printed. */
int img_add_options(json_t **options, const char *text);
/* "-o help" of a format. */
int img_create_help(const char *format, const char *filename);
/* Legacy spellings to those of the driver's own tables. */
json_t *img_driver_options(const char *format, json_t *legacy, bool amend,
                           GError **error);
/* Path of a backing file named in (or for) an image. */
char *img_backing_path(const char *image, const char *backing);

/* "snapshot.id=..,snapshot.name=..", an id or a name: the node shows it. */
bool img_load_snapshot(BlockNode *node, const char *param, GError **error);

/* The node of a backend: tools change no graph under their own feet. */
static inline BlockNode *img_node(BlockBackend *backend)
{
    return block_backend_node(backend);
}

#endif
