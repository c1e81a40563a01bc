/*
 * The diagnostic log: item table, destination, line-atomic writing.  See
 * log.h for the contract.
 */
#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

unsigned log_mask;

static FILE *log_stream; /* NULL: standard error */

static const struct {
    LogItem item;
    const char *name;
    const char *help;
} log_items[] = {
    { LOG_IN_ASM, "in_asm", "guest code of every translated region" },
    { LOG_OP, "op", "intermediate code before optimisation" },
    { LOG_OP_OPT, "op_opt", "intermediate code after optimisation" },
    { LOG_OUT_ASM, "out_asm", "generated host code" },
    { LOG_EXEC, "exec", "regions entered from the main loop" },
    { LOG_CPU, "cpu", "registers before each such region" },
    { LOG_INT, "int", "exceptions and interrupts" },
    { LOG_MMU, "mmu", "page table walks and TLB operations" },
    { LOG_UNIMP, "unimp", "unimplemented features a guest asks for" },
    { LOG_GUEST_ERROR, "guest_errors", "invalid use of a device or call" },
    { LOG_STRACE, "strace", "system calls of the program" },
    { LOG_DEVICE, "device", "device registers and queues" },
    { LOG_PAGE, "page", "changes of the program's address space" },
    { LOG_NBD, "nbd", "NBD protocol phases and requests" },
    { LOG_BLOCK, "block", "block graph changes and jobs" },
    { LOG_INTERP, "interp", "counts of interpreted bundles, at exit" },
};

static GQuark log_error_quark(void)
{
    return g_quark_from_static_string("log-error");
}

bool log_set_items(const char *list, GError **error)
{
    g_auto(GStrv) words = g_strsplit(list, ",", -1);
    unsigned mask = 0;

    for (char **word = words; *word; word++) {
        size_t i = 0;

        while (i < G_N_ELEMENTS(log_items) &&
               strcmp(*word, log_items[i].name) != 0) {
            i++;
        }
        if (i == G_N_ELEMENTS(log_items)) {
            g_set_error(error, log_error_quark(), 0,
                        "unknown log item '%s' (try 'help')", *word);
            return false;
        }
        mask |= log_items[i].item;
    }
    log_mask |= mask;
    return true;
}

bool log_set_file(const char *path, GError **error)
{
    FILE *stream = fopen(path, "we");

    if (!stream) {
        g_set_error(error, log_error_quark(), 0,
                    "cannot open log file '%s': %s", path, g_strerror(errno));
        return false;
    }
    setvbuf(stream, NULL, _IOLBF, 0);
    if (log_stream) {
        fclose(log_stream);
    }
    log_stream = stream;
    return true;
}

void log_help(FILE *to)
{
    fprintf(to, "Log items (separated by commas):\n");
    for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++) {
        fprintf(to, "%-14s %s\n", log_items[i].name, log_items[i].help);
    }
}

FILE *log_lock(void)
{
    FILE *stream = log_stream ? log_stream : stderr;

    flockfile(stream);
    return stream;
}

void log_unlock(FILE *stream)
{
    funlockfile(stream);
}

void log_printf(unsigned items, const char *format, ...)
{
    va_list args;
    FILE *stream;

    if (!log_on(items)) {
        return;
    }
    stream = log_lock();
    va_start(args, format);
    vfprintf(stream, format, args);
    va_end(args);
    log_unlock(stream);
}
