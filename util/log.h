/*
 * Diagnostic log of the emulators: the -d ITEM[,ITEM...] and -D FILE options.
 *
 * One bit per item; the items and their help texts are the table in log.c.
 * log_on() is a load and a test, cheap enough for translation paths but not
 * for every executed operation.  log_printf() writes whole lines and may be
 * called from any thread.  Not for errors a user must see: those go through
 * GError to the program's main().
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include <glib.h>

typedef enum LogItem {
    LOG_IN_ASM = 1 << 0,  /* guest bundles as they are translated */
    LOG_OP = 1 << 1,      /* intermediate code before optimisation */
    LOG_OP_OPT = 1 << 2,  /* intermediate code after optimisation */
    LOG_OUT_ASM = 1 << 3, /* host code */
    LOG_EXEC = 1 << 4,    /* every region entered from the main loop */
    LOG_CPU = 1 << 5,     /* registers at every region entry */
    LOG_INT = 1 << 6,     /* exceptions and interrupts */
    LOG_MMU = 1 << 7,     /* page table walks, TLB operations, page faults */
    LOG_UNIMP = 1 << 8,   /* things a guest asks for that are not there */
    LOG_GUEST_ERROR = 1 << 9, /* things a guest should not have done */
    LOG_STRACE = 1 << 10, /* system calls of user programs */
    LOG_DEVICE = 1 << 11, /* device registers and queues */
    LOG_PAGE = 1 << 12,   /* user address-space changes */
    LOG_NBD = 1 << 13,    /* protocol phases and requests */
    LOG_BLOCK = 1 << 14,  /* block graph changes and jobs */
    LOG_INTERP = 1 << 15, /* what is interpreted in the translator's place */
} LogItem;

extern unsigned log_mask;

static inline bool log_on(unsigned items)
{
    return G_UNLIKELY(log_mask & items);
}

/*
 * Parses "item,item,...".  The word "help" is not an item: callers print
 * log_help() for it.  On failure nothing changes and the error names the
 * first unknown item.
 */
bool log_set_items(const char *list, GError **error);

/* Sends the log to a file (truncated) in place of standard error. */
bool log_set_file(const char *path, GError **error);

/* Prints the table of items, one a line. */
void log_help(FILE *to);

/* Writes to the log when one of the items is on. */
void log_printf(unsigned items, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The log's stream, for writers of many lines; bracket with lock/unlock. */
FILE *log_lock(void);
void log_unlock(FILE *stream);

#endif
