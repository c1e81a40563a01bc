/*
 * What e2k-img and e2k-io share: messages, opening images, sizes, progress.
 *
 * Messages go to standard error as "PROGRAM: text", where PROGRAM is the base
 * name the tool was started under; lines after the first one of an error are
 * hints and carry no prefix.  Everything here is for the main thread, except
 * tool_progress_add().
 */
#ifndef TOOLS_TOOL_COMMON_H
#define TOOLS_TOOL_COMMON_H

#include "block/backend.h"
#include "block/driver.h"

/* Sets the program name and prepares signals.  Call first. */
void tool_init(const char *argv0);
const char *tool_name(void);

void tool_error(const char *format, ...) G_GNUC_PRINTF(1, 2);
void tool_warning(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* Prints an error with an optional prefix and frees it. */
void tool_report(GError *error, const char *prefix_format, ...)
    G_GNUC_PRINTF(2, 3);
/* "... Try 'PROGRAM --help' for more information"; exits with 1. */
void tool_usage_error(const char *format, ...) G_GNUC_PRINTF(1, 2)
    G_GNUC_NORETURN;

/* "none", "writeback", "unsafe", ...: false when it is none of the modes. */
bool tool_cache_flags(const char *mode, unsigned *flags);

typedef struct ToolImage {
    const char *format; /* NULL: probe */
    bool image_opts;    /* the name is "driver=...,..." */
    unsigned flags;     /* BlockOpenFlags */
    json_t *options;    /* further options of the top node, or NULL */
} ToolImage;

/* Opens an image; prints why not and returns NULL. */
BlockBackend *tool_open(const char *name, const ToolImage *image);

/* A byte count of the command line; prints why not. */
bool tool_parse_size(const char *text, uint64_t *size);

/* "1.5 GiB": three significant digits, binary units. */
char *tool_size_text(uint64_t bytes);

/* Prints JSON as the ecosystem does: four spaces, one trailing newline. */
void tool_print_json(json_t *value);
/* Prints a JSON value as indented text ("key: value"). */
void tool_print_json_text(json_t *value, int indent);

/* --object TYPE,id=...: makes what images may need; prints why not. */
bool tool_object(const char *text);

/*
 * Progress of long work.  On a terminal a bar with rate and time left; else
 * a percentage when it changed.  SIGUSR1 prints it once even without -p.
 */
void tool_progress_start(bool shown, uint64_t total);
void tool_progress_add(uint64_t done);
void tool_progress_set(uint64_t done, uint64_t total);
void tool_progress_end(void);

#endif
