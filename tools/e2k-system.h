/*
 * What the files of e2k-system share: the parsed command line.
 *
 *   e2k-system.c          main(): builds the machine, runs it, ends it
 *   e2k-system-options.c  the table of options and their checks
 *   e2k-system-disks.c    -drive and -blockdev: disks
 *   e2k-system-devices.c  -device, device_add, device_del
 *   e2k-system-console.c  the host side of the serial console
 *   e2k-system-control.c  QMP's system commands and events
 *   e2k-system-snapshot.c savevm, loadvm, delvm; -snapshot-jobs.c for QMP
 *   e2k-system-migrate.c  migrate, -incoming
 *   e2k-system-human.c    commands of the human monitor; -block: about disks
 *   e2k-system-qtest.c    -qtest: the line protocol of test programs
 */
#ifndef TOOLS_E2K_SYSTEM_H
#define TOOLS_E2K_SYSTEM_H

#include <jansson.h>

#include "block/backend.h"
#include "block/bitmap-migration.h"
#include "hw/board.h"
#include "target-e2k/exec.h"

#define TOOL_ERROR (g_quark_from_static_string("e2k-system"))

typedef enum ConsoleKind {
    CONSOLE_STDIO,
    CONSOLE_NONE,
    CONSOLE_FILE,
} ConsoleKind;

typedef struct SystemOptions {
    const BoardClass *board;
    BoardConfig config;
    const char *cpu_name;
    EngineKind engine;
    EngineConfig engine_config;
    bool accel_qtest;        /* build, but execute nothing */
    bool paused;             /* -S */
    bool no_reboot, no_shutdown, trap_exit, lms;
    bool snapshot; /* drives keep nothing of what is written */
    GPtrArray *blockdevs;    /* texts, in order */
    GPtrArray *drives;
    GPtrArray *devices;
    GPtrArray *netdevs;
    GPtrArray *monitors;     /* -qmp texts */
    GPtrArray *pretty_monitors, *human_monitors; /* -qmp-pretty, -monitor */
    const char *qtest;       /* where to answer a test program, or NULL */
    GPtrArray *chardevs, *mons, *objects, *exports;
    ConsoleKind console;
    const char *console_path;
    const char *pid_file;
    const char *loadvm;      /* snapshot to begin with, or NULL */
    const char *incoming;    /* where the state comes from, or NULL */
    const char *gdb;         /* where to wait for a debugger, or NULL */
} SystemOptions;

/* Parses argv; exits 0 after help and version texts. */
bool system_options_parse(SystemOptions *options, int argc, char **argv,
                          GError **error);
void system_options_clear(SystemOptions *options);

/* Others may use a guest's disk: exports and jobs of a running guest. */
#define SYSTEM_DISK_SHARED                                                     \
    (BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE |                           \
     BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_RESIZE | BLOCK_PERM_GRAPH_MOD)

/* Opens the disks of the command line. */
bool system_disks_open(const SystemOptions *options, GError **error);
void system_disks_close(void);
/* -device texts of the drives that bring a device. */
const GPtrArray *system_drive_devices(void);

/* A -netdev. */
bool system_netdev_option(const char *text, GError **error);
/* Plugs the devices of the command line. */
bool system_devices_plug(const SystemOptions *options, Machine *machine,
                         GError **error);
void system_devices_help(void);
/*
 * Hot plug and unplug.  options is as of QMP's device_add, consumed; the
 * machine may run.  del takes the device away at once.
 */
bool system_device_add(json_t *options, GError **error);
bool system_device_del(const char *id, GError **error);
void system_list_pci(FILE *to);
/* Before the machine is freed, after it ended: gives up the backends. */
void system_devices_close(void);
void system_formats_help(void);

/* Where a snapshot goes: all NULL for the guest's writable disks, the first of
 * which has the state of the machine. */
typedef struct SnapshotPlace {
    const char *vmstate;        /* node with the machine's state */
    const char *const *devices; /* nodes, ends with NULL */
} SnapshotPlace;

typedef enum SnapshotAction {
    SNAPSHOT_SAVE,
    SNAPSHOT_LOAD,
    SNAPSHOT_DELETE,
} SnapshotAction;

/* Snapshots of machine and disks; they stop the machine meanwhile. */
bool system_snapshot_save(Machine *machine, const char *name,
                          const SnapshotPlace *place, GError **error);
bool system_snapshot_load(Machine *machine, const char *name,
                          const SnapshotPlace *place, GError **error);
bool system_snapshot_delete(const char *name, const SnapshotPlace *place,
                            GError **error);
/* Starts a job that does it; vmstate: not for SNAPSHOT_DELETE. */
bool system_snapshot_job(Machine *machine, SnapshotAction action,
                         const char *id, const char *tag, const char *vmstate,
                         char **devices, GError **error);
bool system_savevm(Machine *machine, const char *name, GError **error);
bool system_loadvm(Machine *machine, const char *name, GError **error);
bool system_delvm(const char *name, GError **error);
void system_list_snapshots(FILE *to);

/* Starts to send the state; with wait, returns when it has gone. */
bool system_migrate(Machine *machine, const char *uri, bool wait,
                    GError **error);
json_t *system_query_migrate(void);
/* QMP's capabilities and parameters of a migration. */
void system_migrate_register(void);
bool system_migrate_bitmaps(void);    /* dirty bitmaps travel too */
json_t *system_migrate_mapping(void); /* borrowed; NULL: none */
void system_migrate_close(void); /* waits for the end of sending */
/* Opens, and listens, where a state is to come from. */
bool system_incoming_open(const char *uri, GError **error);
/* Waits for the state and loads it; the machine does not run. */
bool system_incoming(Machine *machine, GError **error);

/* The serial console. */
extern const CharSink console_sink;
bool console_open(const SystemOptions *options, GError **error);
/* Starts to feed input; ends by itself with the process. */
void console_start(const SystemOptions *options, Machine *machine);
void console_close(void);

/* One line of the human monitor; its text, errors too, to be freed. */
char *human_command(void *opaque, const char *line);
/* The same for a monitor: *quit when it ends the program. */
char *human_line(void *opaque, const char *line, bool *quit);
/* Answers a test program's lines until it hangs up. */
bool qtest_open(const char *text, GError **error);
/* Lets a Machine run; refuses when it cannot. */
bool control_cont(void *opaque, GError **error);
/* QMP's commands about the machine; after monitor_init(). */
void control_register(Machine *machine);

#endif
