/*
 * Host side of the serial console: standard input and output, or a file.
 *
 * A terminal is put into raw mode, signals stay on.  Ctrl-A is an escape:
 * Ctrl-A x ends the run, Ctrl-A Ctrl-A sends one, Ctrl-A h helps.
 */
#include "tools/e2k-system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum { ESCAPE = 1 };

static int output_fd = -1;
static bool terminal_changed;
static struct termios terminal_before;

static void write_all(int fd, const uint8_t *bytes, size_t n)
{
    while (n) {
        ssize_t done = write(fd, bytes, n);

        if (done < 0 && errno != EINTR && errno != EAGAIN) {
            return; /* nobody reads any more */
        }
        if (done > 0) {
            bytes += done;
            n -= done;
        }
    }
}

static void sink_write(void *opaque, const uint8_t *bytes, size_t n)
{
    if (output_fd >= 0) {
        write_all(output_fd, bytes, n);
    }
}

const CharSink console_sink = {
    .write = sink_write,
};

static void restore_terminal(void)
{
    if (terminal_changed) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
        terminal_changed = false;
    }
}

static void raw_terminal(void)
{
    struct termios raw;

    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal_before)) {
        return;
    }
    raw = terminal_before;
    raw.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR |
                     ICRNL | IXON);
    raw.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    terminal_changed = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    atexit(restore_terminal);
}

static void escape_key(Machine *machine, uint8_t key)
{
    static const char help[] = "\r\nCtrl-A x  end the run\r\n"
                               "Ctrl-A Ctrl-A  send Ctrl-A\r\n";

    switch (key) {
    case 'x':
        machine_request_shutdown(machine, SHUTDOWN_HOST_SIGNAL, 0);
        break;
    case 'h':
    case '?':
        write_all(STDOUT_FILENO, (const uint8_t *)help, sizeof(help) - 1);
        break;
    default:
        break;
    }
}

typedef struct Input {
    Machine *machine;
    const BoardClass *board;
} Input;

static void *input_thread(void *opaque)
{
    g_autofree Input *input = opaque;
    bool escaped = false;
    uint8_t byte;
    ssize_t got;

    while ((got = read(STDIN_FILENO, &byte, 1)) == 1 ||
           (got < 0 && errno == EINTR)) {
        if (got < 0) {
            continue;
        }
        if (terminal_changed && escaped && byte != ESCAPE) {
            escape_key(input->machine, byte);
            escaped = false;
        } else if (terminal_changed && byte == ESCAPE && !escaped) {
            escaped = true;
        } else {
            escaped = false;
            input->board->console_input(input->machine, &byte, 1);
        }
    }
    return NULL;
}

bool console_open(const SystemOptions *options, GError **error)
{
    switch (options->console) {
    case CONSOLE_STDIO:
        output_fd = STDOUT_FILENO;
        break;
    case CONSOLE_FILE:
        output_fd = open(options->console_path,
                         O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (output_fd < 0) {
            g_set_error(error, TOOL_ERROR, errno, "-serial: cannot open "
                        "'%s': %s", options->console_path, g_strerror(errno));
            return false;
        }
        break;
    case CONSOLE_NONE:
        break;
    }
    return true;
}

/* Does a monitor read standard input?  Then the console must not. */
static bool monitor_on_stdin(const SystemOptions *o)
{
    const GPtrArray *lists[] = { o->monitors, o->pretty_monitors,
                                 o->human_monitors, o->chardevs };

    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
        for (guint k = 0; k < lists[i]->len; k++) {
            const char *text = g_ptr_array_index(lists[i], k);

            if (!strcmp(text, "stdio") || g_str_has_prefix(text, "stdio,")) {
                return true;
            }
        }
    }
    return false;
}

void console_start(const SystemOptions *options, Machine *machine)
{
    if (options->console != CONSOLE_STDIO || !options->board->console_input ||
        monitor_on_stdin(options)) {
        return;
    }
    Input *input = g_new(Input, 1);

    input->machine = machine;
    input->board = options->board;
    raw_terminal();
    g_thread_unref(g_thread_new("console", input_thread, input));
}

void console_close(void)
{
    restore_terminal();
}
