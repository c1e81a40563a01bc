/*
 * The command language of e2k-io: numbers, the table, one line.  Used by
 * e2k-io and by the human monitor's "qemu-io".
 */
#include "tools/e2k-io-int.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/options.h"

BlockBackend *io_image;

bool io_quit_asked;

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
    io_quit_asked = true;
    return 0;
}

/* ---- The table ------------------------------------------------------------ */

static int cmd_help(int argc, char **argv);

static const IoCommand misc_commands[] = {
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

static const IoCommand *const tables[] = { io_open_commands, io_rw_commands,
                                           io_image_commands,
                                           misc_commands };

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

int io_run_line(const char *line)
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
