/*
 * Names to addresses, by somebody who may lose patience: getaddrinfo() asks
 * servers and cannot be interrupted, so it runs in a thread that is left
 * alone when nobody wants its answer any more.
 */
#ifndef NBD_LOOKUP_H
#define NBD_LOOKUP_H

#include <netdb.h>
#include <stdbool.h>

#ifndef EAI_CANCELED
#define EAI_CANCELED (-101)
#endif

/*
 * As getaddrinfo(), whose codes it returns.  give_up is asked ten times a
 * second whether to go on; EAI_CANCELED when not.  NULL: to the end.
 */
int nbd_lookup(const char *host, const char *port,
               const struct addrinfo *hints, bool (*give_up)(void),
               struct addrinfo **list);

#endif
