/*
 * e2k-system: runs a guest machine.
 *
 *   options -> disks -> machine, devices -> monitors -> machine_loop()
 *
 * The exit status is the guest's, or 1 with one line on standard error when
 * the machine could not be built.
 */
#include "tools/e2k-system.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/node.h"
#include "block/wind-up.h"
#include "monitor/block-commands.h"
#include "monitor/monitor.h"
#include "system/debug.h"
#include "tools/e2k-io-int.h"
#include "tcg/opt.h"
#include "util/log.h"

/* Scripts know the program by the name they started it under. */
static const char *program = "e2k-system";

static int fail(const GError *error)
{
    fprintf(stderr, "%s: %s\n", program,
            error ? error->message : "unknown error");
    return EXIT_FAILURE;
}

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static sigset_t watched_signals;
static Machine *the_machine; /* of incoming_thread() */

static void *signal_thread(void *opaque)
{
    Machine *machine = opaque;
    int number;

    while (sigwait(&watched_signals, &number) == 0) {
        fprintf(stderr, "e2k-system: terminating on signal %d\n", number);
        machine_request_shutdown(machine, SHUTDOWN_HOST_SIGNAL, 0);
    }
    return NULL;
}

typedef bool TextFn(const char *text, GError **error);

static bool for_all(const GPtrArray *texts, TextFn *fn, GError **error)
{
    for (guint i = 0; i < texts->len; i++) {
        if (!fn(g_ptr_array_index(texts, i), error)) {
            return false;
        }
    }
    return true;
}

static bool open_qmp(const char *text, GError **error)
{
    return monitor_open(text, MONITOR_QMP, error);
}

static bool open_pretty(const char *text, GError **error)
{
    return monitor_open(text, MONITOR_QMP_PRETTY, error);
}

static bool open_human(const char *text, GError **error)
{
    return monitor_open(text, MONITOR_HUMAN, error);
}

/* Nodes and helper objects first: drives and devices name them. */
static bool open_disks(const SystemOptions *o, GError **error)
{
    return for_all(o->objects, monitor_object_option, error) &&
           for_all(o->blockdevs, monitor_blockdev_option, error) &&
           for_all(o->netdevs, system_netdev_option, error) &&
           system_disks_open(o, error);
}

static bool open_monitors(const SystemOptions *o, GError **error)
{
    return for_all(o->exports, monitor_export_option, error) &&
           for_all(o->chardevs, monitor_chardev, error) &&
           for_all(o->mons, monitor_mon, error) &&
           for_all(o->monitors, open_qmp, error) &&
           for_all(o->pretty_monitors, open_pretty, error) &&
           for_all(o->human_monitors, open_human, error) &&
           (!o->qtest || qtest_open(o->qtest, error));
}

static bool write_pid_file(const SystemOptions *o, GError **error)
{
    if (!o->pid_file) {
        return true;
    }
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());

    if (g_file_set_contents(o->pid_file, text, -1, error)) {
        return true;
    }
    g_prefix_error(error, "-pidfile: cannot write '%s': ", o->pid_file);
    return false;
}

static Machine *build(const SystemOptions *o, GError **error)
{
    Machine *machine = machine_new(o->board->name);

    machine->no_reboot = o->no_reboot;
    machine->no_shutdown = o->no_shutdown;
    machine->trap_exit = o->trap_exit;
    machine->lms = o->lms;
    machine->accel = o->engine == ENGINE_JIT ? "jit" : "interp";
    machine->slow_spills = o->engine_config.disabled & OPT_SPILL;
    if (o->board->build(machine, &o->config, error) &&
        system_devices_plug(o, machine, error) &&
        o->board->finish(machine, error)) {
        return machine;
    }
    machine_free(machine);
    return NULL;
}

static bool start_engine(const SystemOptions *o, GError **error)
{
    return engine_init(o->engine, &o->engine_config, error);
}

static int incoming_runs; /* atomic: its thread may use the machine */

static void take_incoming(const SystemOptions *o, Machine *machine)
{
    g_autoptr(GError) error = NULL;

    if (!system_incoming(machine, &error)) {
        fail(error);
        machine_request_shutdown(machine, SHUTDOWN_HOST_ERROR, EXIT_FAILURE);
        return;
    }
    machine_set_stopped(machine, RUN_STATE_PAUSED);
    if (!o->paused) {
        machine_cont(machine);
    }
}

/* Runs beside the monitors until the state is there. */
static void *incoming_thread(void *opaque)
{
    take_incoming(opaque, the_machine);
    __atomic_store_n(&incoming_runs, 0, __ATOMIC_RELEASE);
    return NULL;
}

static int run(const SystemOptions *o, Machine *machine)
{
    g_autoptr(GError) error = NULL;

    g_thread_unref(g_thread_new("signals", signal_thread, machine));
    if (machine->board_reset) {
        machine_reset(machine);
    }
    if (o->gdb && !debug_open(machine, o->gdb, o->paused, &error)) {
        return fail(error);
    }
    if (o->loadvm && !system_loadvm(machine, o->loadvm, &error)) {
        g_prefix_error(&error, "-loadvm: ");
        return fail(error);
    }
    if (o->incoming && !system_incoming_open(o->incoming, &error)) {
        g_prefix_error(&error, "-incoming: ");
        return fail(error);
    }
    if (o->incoming) {
        the_machine = machine;
        machine_set_stopped(machine, RUN_STATE_INMIGRATE);
        __atomic_store_n(&incoming_runs, 1, __ATOMIC_RELAXED);
        g_thread_unref(g_thread_new("incoming", incoming_thread, (void *)o));
    }
    monitor_start();
    console_start(o, machine);
    int status = machine_loop(machine, !o->paused && !o->accel_qtest &&
                                           !o->incoming);

    block_wind_up_begin(); /* disks and jobs end their waiting requests */
    system_migrate_close();
    console_close();
    debug_close(machine);
    return status;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    SystemOptions options;
    Machine *machine = NULL;
    int status;

    if (argc > 0) {
        program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    }
    block_signals(&watched_signals);
    monitor_init("e2k-emu " E2K_VERSION);
    monitor_register_block();
    if (!system_options_parse(&options, argc, argv, &error) ||
        !start_engine(&options, &error) ||
        !console_open(&options, &error) || !open_disks(&options, &error) ||
        !(machine = build(&options, &error))) {
        status = fail(error);
    } else {
        control_register(machine);
        status = open_monitors(&options, &error) &&
                         write_pid_file(&options, &error)
                     ? run(&options, machine)
                     : fail(error);
    }
    monitor_shutdown();
    io_finish();
    /* Who still waits for a state at the end keeps the machine. */
    if (!__atomic_load_n(&incoming_runs, __ATOMIC_ACQUIRE)) {
        machine_free(machine);
    }
    system_devices_close();
    system_disks_close();
    monitor_block_shutdown();
    if (options.pid_file) {
        unlink(options.pid_file);
    }
    system_options_clear(&options);
    return status;
}
