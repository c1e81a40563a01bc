/*
 * A machine: memory, clock, devices, CPUs, and whether they run.
 *
 *   Machine --+-- PhysMem       RAM and device windows
 *             +-- Clock         guest time
 *             +-- devices[]     Device
 *             +-- cpus[]        SysCpu, one thread each
 *
 * Boards (hw/) fill it in; main() runs machine_loop() on its thread until the
 * machine ends.  Requests to pause, reset or end may come from any thread:
 * guests through devices, monitors, signal watchers.
 *
 *   prelaunch --cont--> running <--stop/cont--> paused
 *                          \--- guest or host ends it ---> shutdown
 */
#ifndef SYSTEM_MACHINE_H
#define SYSTEM_MACHINE_H

#include <stdio.h>

#include "system/clock.h"
#include "system/device.h"
#include "system/physmem.h"
#include "target-e2k/cpu.h"

typedef struct SysCpu SysCpu;

typedef enum RunState {
    RUN_STATE_PRELAUNCH,
    RUN_STATE_RUNNING,
    RUN_STATE_PAUSED,
    RUN_STATE_DEBUG,
    RUN_STATE_SHUTDOWN,
    RUN_STATE_GUEST_PANICKED,
    RUN_STATE_INMIGRATE,   /* waits for its state to come */
    RUN_STATE_POSTMIGRATE, /* its state has gone elsewhere */
} RunState;

/* What happened, for monitors; the names are QMP's. */
typedef enum MachineEvent {
    MACHINE_EVENT_STOP,
    MACHINE_EVENT_RESUME,
    MACHINE_EVENT_RESET,
    MACHINE_EVENT_POWERDOWN,
    MACHINE_EVENT_SHUTDOWN,
    MACHINE_EVENT_GUEST_PANICKED,
} MachineEvent;

typedef enum ShutdownReason {
    SHUTDOWN_NONE,
    SHUTDOWN_HOST_QMP_QUIT,
    SHUTDOWN_HOST_SIGNAL,
    SHUTDOWN_HOST_ERROR,
    SHUTDOWN_GUEST_SHUTDOWN,
    SHUTDOWN_GUEST_RESET,
    SHUTDOWN_GUEST_PANIC,
} ShutdownReason;

typedef void MachineListener(void *opaque, MachineEvent event);

struct Machine {
    /* Set while building, constant afterwards. */
    const char *board_name;
    PhysMem *mem;
    struct CodeSpaces *code_spaces;
    Clock *clock;
    SysCpu **cpus;
    unsigned n_cpus;
    const CpuModel *model;
    GPtrArray *devices;      /* Device, in order of creation; owned */
    void (*board_reset)(Machine *machine); /* puts image and CPUs in place */
    void (*board_free)(Machine *machine);
    void *board;
    bool trap_exit;          /* a trap with no handler ends the run */
    bool lms;                /* simulator stop instruction enabled */
    bool no_reboot;          /* a guest reset ends the run */
    bool no_shutdown;        /* a guest power-off pauses */
    const char *accel;       /* "jit" or "interp" */
    bool slow_spills;        /* stacks.c may not use the TLB, to measure it */
    struct MachineDebug *debug; /* under a debugger, or NULL (debug.h) */

    /* Any thread, under lock. */
    GMutex lock;
    GCond changed;           /* anything below changed */
    RunState state;
    bool run;                /* CPUs may run */
    bool exiting;            /* CPU threads end */
    unsigned n_parked;       /* CPU threads that are not running guest code */
    bool reset_requested;
    bool debug_stopped;      /* to be reported to the debugger */
    ShutdownReason shutdown; /* NONE: none requested */
    bool shutdown_paused;    /* no_shutdown: to be told by the loop */
    ShutdownReason last_reason; /* of either, for listeners */
    bool end_told;           /* listeners know of the last shutdown */
    int exit_status;
    GArray *listeners;
    void (*powerdown)(void *opaque); /* power button of the board, or NULL */
    void *powerdown_opaque;
};

Machine *machine_new(const char *board_name);
/* Ends CPU threads, frees devices, memory and clock. */
void machine_free(Machine *machine);
void machine_add_device(Machine *machine, Device *device); /* by device_new */
/* Hot unplug: the machine is stopped; the caller frees the device. */
void machine_remove_device(Machine *machine, Device *device);
Device *machine_find_device(Machine *machine, const char *id);

/* Makes n CPUs of a model, not yet running. */
bool machine_add_cpus(Machine *machine, const CpuModel *model, unsigned n,
                      GError **error);

/* ---- Control (any thread but CPU threads) -------------------------------- */

/* Devices and CPUs to their reset state, image loaded.  Machine stopped. */
void machine_reset(Machine *machine);
/*
 * Runs, paused unless start is true, until something ends the machine; the
 * calling thread carries out resets.  Returns the exit status of the process.
 */
int machine_loop(Machine *machine, bool start);
void machine_cont(Machine *machine);
/* Returns when no CPU runs and guest time stands still. */
void machine_stop(Machine *machine);
/* Names the reason why a stopped machine stands still. */
void machine_set_stopped(Machine *machine, RunState state);
bool machine_is_running(Machine *machine);
RunState machine_state(Machine *machine);
const char *run_state_name(RunState state); /* QMP's */
void machine_press_power(Machine *machine);

void machine_add_listener(Machine *machine, MachineListener *listener,
                          void *opaque);
void machine_remove_listener(Machine *machine, MachineListener *listener,
                             void *opaque);

/* ---- Requests (any thread, CPU threads and device callbacks too) --------- */

void machine_request_reset(Machine *machine);
void machine_request_shutdown(Machine *machine, ShutdownReason reason,
                              int exit_status);
/* Waits until listeners were told of it, for at most so long; true if they
 * were.  Not from a CPU thread. */
bool machine_wait_end_told(Machine *machine, int64_t timeout_us);
/* As machine_stop(), without waiting. */
void machine_request_stop(Machine *machine, RunState state);
/* The same, and debug_report() when all CPUs have stopped. */
void machine_request_debug_stop(Machine *machine);

#endif
