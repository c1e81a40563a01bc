/*
 * GDB's remote serial protocol, server side.
 *
 *   debugger <--socket--> GdbStub (its own thread) --GdbTarget--> emulator
 *
 * The stub knows packets; the emulator knows CPUs.  Everything is all-stop:
 * the emulator reports one stop with gdb_stub_stopped() when all its threads
 * have come to rest, and runs again after resume().  Register and memory
 * callbacks are made only while stopped, from the stub's thread.
 *
 * Source: GDB manual, appendix "GDB Remote Serial Protocol".
 */
#ifndef GDBSTUB_GDBSTUB_H
#define GDBSTUB_GDBSTUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

typedef struct GdbStub GdbStub;

typedef enum GdbStopReason {
    GDB_STOP_SIGNAL,     /* also the end of a step */
    GDB_STOP_BREAKPOINT,
    GDB_STOP_WATCH_WRITE,
    GDB_STOP_WATCH_READ,
    GDB_STOP_WATCH_ACCESS,
    GDB_STOP_EXITED,     /* number: exit status */
    GDB_STOP_KILLED,     /* number: signal */
} GdbStopReason;

/* Z packet types. */
typedef enum GdbPointType {
    GDB_POINT_SOFTWARE,
    GDB_POINT_HARDWARE,
    GDB_POINT_WRITE,
    GDB_POINT_READ,
    GDB_POINT_ACCESS,
} GdbPointType;

typedef enum GdbAction {
    GDB_RUN,
    GDB_STEP,
    GDB_STAY, /* the thread stays stopped */
} GdbAction;

/* How to go on: the action of one thread, and that of all others. */
typedef struct GdbResume {
    uint64_t thread;   /* 0: others applies to all */
    GdbAction action;
    GdbAction others;
    int signal;        /* to deliver to thread (or the stopped one), or 0 */
} GdbResume;

typedef struct GdbTarget {
    bool starts_stopped; /* at rest, by SIGTRAP, before anybody connects */
    const char *architecture; /* for the target description */
    unsigned n_registers;
    const char *(*register_name)(unsigned number);
    unsigned (*register_bytes)(unsigned number); /* 1..16 */
    /* "code_ptr", "data_ptr", "int64", ...: GDB's type names; may be NULL. */
    const char *(*register_type)(unsigned number);
    /* False: no such thread, or the register has no value now. */
    bool (*read_register)(void *opaque, uint64_t thread, unsigned number,
                          uint8_t *bytes);
    bool (*write_register)(void *opaque, uint64_t thread, unsigned number,
                           const uint8_t *bytes);
    bool (*read_memory)(void *opaque, uint64_t address, uint8_t *bytes,
                        size_t size);
    bool (*write_memory)(void *opaque, uint64_t address, const uint8_t *bytes,
                         size_t size);
    /* Ids (> 0) of all threads; returns the count, at most most. */
    size_t (*list_threads)(void *opaque, uint64_t *ids, size_t most);
    /* A name for people; owned by the caller; may be NULL. */
    char *(*thread_name)(void *opaque, uint64_t thread);
    void (*resume)(void *opaque, const GdbResume *resume);
    /* Stop everything soon and report it.  Any time. */
    void (*interrupt)(void *opaque);
    /* 0, or -errno: -EOPNOTSUPP for types that do not exist. */
    int (*set_point)(void *opaque, GdbPointType type, uint64_t address,
                     uint64_t size, bool insert);
    /* Text answer of "monitor COMMAND", owned by the caller; NULL: unknown. */
    char *(*monitor)(void *opaque, const char *command);
    /* Objects of qXfer: "auxv", "exec-file"; bytes or NULL. */
    GBytes *(*object)(void *opaque, const char *name);
    /*
     * A file that looks different to the target than to us (/proc/PID/maps):
     * a descriptor, or -ENOENT when the host's is right.  May be NULL.
     */
    int (*open_file)(void *opaque, const char *path, int flags);
    void (*detach)(void *opaque);
    void (*kill)(void *opaque);
} GdbTarget;

/*
 * Listens at "PORT", ":PORT", "HOST:PORT", "tcp::PORT[,...]" or a path of a
 * unix socket, and waits for the debugger in its own thread.  ",as=aarch64"
 * behind it is for a gdb that does not know the architecture.  NULL with the
 * error set when that place cannot be had.  port_out (may be NULL) receives
 * the TCP port, of use with port 0.
 */
GdbStub *gdb_stub_new(const char *where, const GdbTarget *target, void *opaque,
                      unsigned *port_out, GError **error);

/* Disconnects and frees; the target's callbacks are no longer called. */
void gdb_stub_free(GdbStub *stub);

/* In a forked child, where its thread is not: lets go of the descriptors. */
void gdb_stub_forked(GdbStub *stub);

/* Whether a debugger is connected. */
bool gdb_stub_connected(const GdbStub *stub);

/* Blocks until a debugger is connected. */
void gdb_stub_wait_connected(GdbStub *stub);

/*
 * Everything has stopped.  number: signal, or exit status; address: the
 * watched one.  May be called from any thread, also without a debugger (then
 * the next one that connects finds the target stopped).
 */
void gdb_stub_stopped(GdbStub *stub, GdbStopReason reason, uint64_t thread,
                      int number, uint64_t address);

/* Console text for the debugger's user ("O" packet), while running. */
void gdb_stub_console(GdbStub *stub, const char *text);

#endif
