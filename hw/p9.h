/*
 * A 9P2000.L server for one folder of the host: messages in, messages out.
 *
 *   request bytes --p9_handle()--> reply bytes
 *
 *   P9Server --fids--> P9Fid: a path below the root, perhaps opened
 *
 * The client is hostile: names are single components, paths are walked from
 * the root one component at a time without following symbolic links, so that
 * nothing outside of the folder is reached; numbers of fids and sizes are
 * bounded.  Not thread-safe: one thread calls.
 *
 * Source: the 9P2000.L protocol as Linux's v9fs speaks it.
 */
#ifndef HW_P9_H
#define HW_P9_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

enum {
    P9_MESSAGE_MAX = 1 << 16, /* bytes of a message */
    P9_FIDS_MAX = 4096,
};

typedef struct P9Server P9Server;

/* path: an existing folder. */
P9Server *p9_new(const char *path, bool read_only, GError **error);
void p9_free(P9Server *server);
/* Forgets all fids, as a new session does. */
void p9_reset(P9Server *server);

/* Answers one message; reply has room for P9_MESSAGE_MAX bytes.  Returns the
 * reply's size, 0 when the message is no 9P message at all. */
size_t p9_handle(P9Server *server, const uint8_t *message, size_t size,
                 uint8_t *reply);

#endif
