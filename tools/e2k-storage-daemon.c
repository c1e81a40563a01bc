/*
 * e2k-storage-daemon: block nodes, jobs and NBD exports without a guest,
 * controlled over QMP.
 *
 * Options are carried out in the order they are given, so that an export can
 * name a node that was described before it.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib-unix.h>
#include <glib/gstdio.h>

#include "monitor/block-commands.h"
#include "monitor/monitor.h"
#include "monitor/system-commands.h"

static GMainLoop *main_loop;
static const char *pid_file;

static bool set_pid_file(const char *text, GError **error)
{
    pid_file = text;
    return true;
}

static bool set_daemonize(const char *text, GError **error);

typedef struct Option {
    const char *name;
    int argument; /* no_argument, required_argument */
    bool (*run)(const char *text, GError **error);
    const char *help;
} Option;

static bool show_help(const char *text, GError **error);
static bool show_version(const char *text, GError **error);

static const Option options[] = {
    { "blockdev", required_argument, monitor_blockdev_option,
      "DRIVER,node-name=N,...  or JSON: open a block node" },
    { "chardev", required_argument, monitor_chardev,
      "socket,id=C,path=P[,server=on][,wait=off]: a place for a monitor" },
    { "monitor", required_argument, monitor_mon,
      "[chardev=]C[,mode=control][,pretty=on]: a QMP monitor there" },
    { "object", required_argument, monitor_object_option,
      "TYPE,id=O,...: credentials, secrets, throttle groups" },
    { "nbd-server", required_argument, monitor_nbd_server_option,
      "addr.type=inet|unix,...[,tls-creds=O][,max-connections=N]" },
    { "export", required_argument, monitor_export_option,
      "[type=]nbd,id=E,node-name=N[,name=X][,writable=on]..." },
    { "pidfile", required_argument, set_pid_file,
      "PATH: write the process id there once everything is set up" },
    { "daemonize", no_argument, set_daemonize,
      "go to the background once everything is set up" },
    { "help", no_argument, show_help, "this text" },
    { "version", no_argument, show_version, "the version" },
};

static bool show_help(const char *text, GError **error)
{
    printf("Usage: %s [options]\nBlock nodes, jobs and NBD exports, "
           "controlled over QMP.\n\n", g_get_prgname());
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        printf("  --%-12s %s\n", options[i].name, options[i].help);
    }
    exit(0);
}

static bool show_version(const char *text, GError **error)
{
    printf("%s version %s\n", g_get_prgname(), E2K_VERSION);
    exit(0);
}

/* ---- Background ---------------------------------------------------------- */

static int ready_fd = -1; /* the parent waits for a byte here */

static bool set_daemonize(const char *text, GError **error)
{
    return true; /* done before everything else, see go_background() */
}

static void go_background(void)
{
    int fds[2];
    char byte = 0;
    pid_t pid;

    if (pipe(fds) < 0 || (pid = fork()) < 0) {
        perror("fork");
        exit(1);
    }
    if (pid) {
        close(fds[1]);
        exit(read(fds[0], &byte, 1) == 1 ? 0 : 1);
    }
    close(fds[0]);
    setsid();
    ready_fd = fds[1];
}

static void tell_parent(void)
{
    if (ready_fd >= 0 && write(ready_fd, "x", 1) == 1) {
        close(ready_fd);
    }
}

/* ---- Running ------------------------------------------------------------- */

static gboolean stop_loop(gpointer data)
{
    g_main_loop_quit(main_loop);
    return G_SOURCE_CONTINUE;
}

static gboolean stop_by_signal(gpointer data)
{
    monitor_shutdown_event(false, "host-signal");
    return stop_loop(NULL);
}

static void quit(void *opaque)
{
    monitor_shutdown_event(false, "host-qmp-quit");
    g_idle_add(stop_loop, NULL);
}

static const MonitorSystemOps system_ops = { .quit = quit };

static bool write_pid(GError **error)
{
    g_autofree char *text = g_strdup_printf("%ld\n", (long)getpid());

    return !pid_file || g_file_set_contents(pid_file, text, -1, error);
}

static void die(GError *error, const char *option)
{
    fprintf(stderr, "%s: %s%s%s%s\n", g_get_prgname(), option ? "--" : "",
            option ? option : "", option ? ": " : "", error->message);
    exit(1);
}

static void parse(int argc, char **argv)
{
    struct option table[G_N_ELEMENTS(options) + 1] = { { NULL } };
    GError *error = NULL;
    int index;
    int c;

    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        table[i].name = options[i].name;
        table[i].has_arg = options[i].argument;
    }
    while ((c = getopt_long(argc, argv, "", table, &index)) == 0) {
        if (!options[index].run(optarg, &error)) {
            die(error, options[index].name);
        }
    }
    if (c != -1) {
        exit(1); /* getopt has complained */
    }
    if (optind < argc) {
        fprintf(stderr, "%s: Unexpected argument: %s\n", g_get_prgname(),
                argv[optind]);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    g_autofree char *name = g_path_get_basename(argv[0]);
    GError *error = NULL;

    g_set_prgname(name);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--daemonize")) {
            go_background();
        }
    }
    monitor_init("e2k-emu " E2K_VERSION);
    monitor_register_block();
    monitor_register_system(&system_ops, NULL);
    parse(argc, argv);
    main_loop = g_main_loop_new(NULL, FALSE);
    g_unix_signal_add(SIGTERM, stop_by_signal, NULL);
    g_unix_signal_add(SIGINT, stop_by_signal, NULL);
    g_unix_signal_add(SIGHUP, stop_by_signal, NULL);
    if (!write_pid(&error)) {
        die(error, "pidfile");
    }
    monitor_start();
    tell_parent();
    g_main_loop_run(main_loop);
    monitor_block_shutdown();
    monitor_shutdown();
    if (pid_file) {
        g_unlink(pid_file);
    }
    return 0;
}
