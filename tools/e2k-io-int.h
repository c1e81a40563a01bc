/*
 * The parts of e2k-io: the command table and the open image.
 *
 * A command gets its words as argv and prints what test suites compare.  It
 * returns 0 or a negative errno; a failing command does not stop later ones
 * but makes the program exit with 1.
 */
#ifndef TOOLS_E2K_IO_INT_H
#define TOOLS_E2K_IO_INT_H

#include "tools/tool-common.h"

typedef struct IoCommand {
    const char *name, *alias;
    int (*run)(int argc, char **argv);
    int min_args, max_args; /* without the name; max -1: any number */
    bool no_file;           /* works without an open image */
    bool writes;
    const char *args, *line; /* for help */
} IoCommand;

/* The tables of e2k-io-{open,rw,image}.c; each ends with a NULL name. */
extern const IoCommand io_open_commands[];
extern const IoCommand io_rw_commands[];
extern const IoCommand io_image_commands[];

extern BlockBackend *io_image; /* NULL: none open */
extern bool io_quit_asked;

typedef struct IoOpenArgs {
    const char *format;
    unsigned flags;
    bool image_opts, copy_on_read;
    bool temporary; /* what is written goes to an overlay and is lost */
    json_t *options;
} IoOpenArgs;

/* Prints why not. */
bool io_open_image(const char *name, const IoOpenArgs *args);
/* The words of -i and -d; they print why not. */
bool io_aio_flags(const char *engine, unsigned *flags);
bool io_discard_flags(const char *mode, unsigned *flags);
/* Runs one line of commands: 0 or a negative errno. */
int io_run_line(const char *line);

/* "512 bytes", "1.500 KiB": as test suites expect it. */
char *io_size_text(double value);
/* A number with suffix: >= 0 or -errno. */
int64_t io_number(const char *text);
/* Prints why io_number() failed. */
void io_number_error(int64_t code, const char *text);
/* "name args -- line" */
void io_usage(const IoCommand *command);
const IoCommand *io_find(const char *name);
/* Waits for all aio_ commands. */
void io_drain(void);
/* ... and until they hold no image; without the graph lock. */
void io_finish(void);

#endif
