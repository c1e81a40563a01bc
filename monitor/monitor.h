/*
 * QMP monitors: JSON commands in, replies and events out.
 *
 *     client --socket--> session --queue--> dispatcher thread --> handlers
 *                           |                                        |
 *                           +--- exec-oob: at once, I/O thread       |
 *     all sessions <---------------- events (any thread) <-----------+
 *
 * One I/O thread with its own GMainContext serves all monitors; one
 * dispatcher thread runs commands in the order they came.  A command is an
 * entry of a const table: its argument table checks what the client sent
 * (the handler may assume it) and is what query-qmp-schema shows.
 *
 * Set-up: monitor_init(), monitor_register() for each library of commands,
 * monitor_open...() for each monitor, monitor_start(); at the end
 * monitor_shutdown().
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>
#include <jansson.h>

/* ---- Errors ------------------------------------------------------------- */

#define MONITOR_ERROR (monitor_error_quark())
GQuark monitor_error_quark(void);

/* Codes: the error class of the reply.  Other domains are GenericError. */
typedef enum MonitorErrorClass {
    MONITOR_ERROR_GENERIC,
    MONITOR_ERROR_COMMAND_NOT_FOUND,
    MONITOR_ERROR_DEVICE_NOT_ACTIVE,
    MONITOR_ERROR_DEVICE_NOT_FOUND,
} MonitorErrorClass;

/* ---- Commands ----------------------------------------------------------- */

typedef enum QmpType {
    QMP_STR,
    QMP_INT,     /* signed 64 bits */
    QMP_UINT32,
    QMP_SIZE,    /* unsigned 64 bits */
    QMP_NUMBER,
    QMP_BOOL,
    QMP_ENUM,    /* one of words, "a/b/c" */
    QMP_OBJECT,  /* members */
    QMP_STR_OR_NULL,
    QMP_STR_OR_OBJECT, /* a string, or an object of members */
    QMP_ANY,     /* the handler checks it */
} QmpType;

typedef struct QmpArg {
    const char *name; /* NULL ends a table */
    QmpType type;
    bool optional;
    bool list; /* an array of type */
    const char *words;
    const struct QmpArg *members;
} QmpArg;

typedef enum QmpCommandFlags {
    QMP_OOB = 1 << 0,        /* may be executed out of band */
    QMP_ANY_ARGS = 1 << 1,   /* the handler checks the arguments */
    QMP_RETURNS_LIST = 1 << 2,
    QMP_EXPERIMENTAL = 1 << 3, /* schema feature "unstable" */
    QMP_DEPRECATED = 1 << 4,
} QmpCommandFlags;

/*
 * A new reference to the value returned; NULL without an error is "{}".
 * args is never NULL.
 */
typedef json_t *QmpHandler(void *opaque, json_t *args, GError **error);

typedef struct QmpCommand {
    const char *name; /* NULL ends a table */
    const QmpArg *args; /* NULL: none */
    QmpHandler *run;
    unsigned flags;
    const QmpArg *returns; /* members of the (list element) object, or NULL */
} QmpCommand;

typedef struct QmpEvent {
    const char *name; /* NULL ends a table */
    const QmpArg *data;
} QmpEvent;

/*
 * Checks an object against a table: unknown, missing and ill-typed members
 * are refused by name; prefix ("addr.") goes before the name.
 */
bool qmp_check(json_t *object, const QmpArg *members, const char *prefix,
               GError **error);

/* Arguments that passed the check: values, or the default. */
const char *qmp_str(json_t *args, const char *name);
bool qmp_bool(json_t *args, const char *name, bool otherwise);
int64_t qmp_int(json_t *args, const char *name, int64_t otherwise);
/* Index of the word, -1 if absent. */
int qmp_enum(json_t *args, const char *name, const char *words);

/* ---- Set-up ------------------------------------------------------------- */

/* package: the "package" of the version, e.g. "e2k-emu 0.1.0". */
void monitor_init(const char *package);
void monitor_register(const QmpCommand *commands, void *opaque);
void monitor_register_events(const QmpEvent *events);
/* Adds schema entries made by hand: called with the array to append to. */
typedef void MonitorSchemaFn(json_t *schema);
void monitor_register_schema(MonitorSchemaFn *fn);

typedef enum MonitorMode {
    MONITOR_QMP,
    MONITOR_QMP_PRETTY,
    MONITOR_HUMAN, /* lines of text, for people: monitor_register_human() */
} MonitorMode;

/* Runs one line; the text to print, errors too, to be freed.  Sets *quit if
 * the program ends now: no further prompt. */
typedef char *MonitorHumanFn(void *opaque, const char *line, bool *quit);
/* Allows monitors of mode MONITOR_HUMAN.  Runs in the dispatcher thread. */
void monitor_register_human(MonitorHumanFn *fn, void *opaque);

/*
 * -qmp, -qmp-pretty, -monitor ADDRESS: "stdio",
 * "unix:PATH[,server=on][,wait=off]", "tcp:HOST:PORT[,...]", "chardev:ID",
 * "none" (no monitor).  A server waits for its first client unless wait=off.
 */
bool monitor_open(const char *address, MonitorMode mode, GError **error);
/* -chardev socket,id=ID,path=P|host=H,port=N[,server=on][,wait=off],
 * -chardev stdio,id=ID, -chardev null,id=ID: kept for a -mon to use. */
bool monitor_chardev(const char *text, GError **error);
/* -mon [chardev=]ID[,mode=control|readline][,pretty=on] and --monitor.  The
 * default is readline where human monitors are allowed. */
bool monitor_mon(const char *text, GError **error);

/* Starts the threads; before this, nothing is read. */
void monitor_start(void);
/* Flushes what was said, closes all monitors, removes their sockets. */
void monitor_shutdown(void);

/* ---- Use ---------------------------------------------------------------- */

/* Sends an event to every session past negotiation; data (may be NULL) is
 * stolen.  Any thread. */
void monitor_event(const char *name, json_t *data);

/* Runs a command as if a client had sent it: for tests.  Returns the whole
 * reply object. */
json_t *monitor_run(json_t *request);
/* The same for the human monitor: takes args (NULL: none); what the command
 * returns, or NULL and its error with the hints for people. */
json_t *monitor_call(const char *command, json_t *args, GError **error);

#endif
