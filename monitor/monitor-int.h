/* Inside of the monitor core: registry, sessions, sockets. */
#ifndef MONITOR_MONITOR_INT_H
#define MONITOR_MONITOR_INT_H

#include "monitor/monitor.h"

typedef struct QmpRegistered {
    const QmpCommand *command;
    void *opaque;
} QmpRegistered;

/* The release of the ecosystem's emulator whose QMP this is. */
#define MONITOR_COMPAT_VERSION "7.2.0"

/* dispatch.c */
const QmpRegistered *monitor_find_command(const char *name);
void monitor_foreach_command(GFunc fn, void *opaque); /* QmpRegistered */
/*
 * Checks the envelope of a request.  On success *oob and *found are set; the
 * error otherwise is what to reply.
 */
bool monitor_check_request(json_t *request, bool oob_enabled, bool *oob,
                           const QmpRegistered **found, GError **error);
/* Runs it; the reply object with "id" copied from the request. */
json_t *monitor_execute(json_t *request, const QmpRegistered *found);
json_t *monitor_error_reply(json_t *request, const GError *error);
json_t *monitor_version(void);

/* schema.c */
json_t *monitor_schema(void);
void monitor_foreach_event(GFunc fn, void *opaque); /* const QmpEvent */
void monitor_foreach_schema_fn(json_t *schema);

/* lexer.c: cuts a byte stream into JSON texts. */
typedef struct MonitorLexer MonitorLexer;
MonitorLexer *monitor_lexer_new(void);
void monitor_lexer_free(MonitorLexer *lexer);
typedef void MonitorTextFn(void *opaque, const char *text, size_t length,
                           const char *error);
/* Calls fn for every complete text (error NULL) or complaint. */
void monitor_lexer_feed(MonitorLexer *lexer, const char *data, size_t size,
                        MonitorTextFn *fn, void *opaque);

/* socket.c */
typedef struct MonitorAddress {
    char *path;         /* unix, or NULL */
    char *host, *port;  /* TCP, or NULL */
    bool server, wait;
} MonitorAddress;
/* A listening or connected socket, or -1. */
int monitor_socket_open(const MonitorAddress *address, GError **error);
void monitor_address_clear(MonitorAddress *address);

/* monitor.c */
bool monitor_open_address(const MonitorAddress *address, MonitorMode mode,
                          GError **error);
bool monitor_has_human(void);

#endif
