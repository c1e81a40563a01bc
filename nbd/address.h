/*
 * Socket addresses of NBD servers: where they listen, where clients connect,
 * and the URI spellings of both.
 *
 * Paths of unix sockets that begin with '@' are in the abstract namespace.
 * Functions are control path: they may block in name resolution and connect.
 */
#ifndef NBD_ADDRESS_H
#define NBD_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "nbd/tls.h"

typedef enum NbdAddressType {
    NBD_ADDRESS_UNIX,
    NBD_ADDRESS_INET,
    NBD_ADDRESS_VSOCK,
    NBD_ADDRESS_FD, /* a socket that is open already; taken over on use */
} NbdAddressType;

typedef struct NbdAddress {
    NbdAddressType type;
    char *path; /* unix */
    char *host; /* inet: name or number, "" any; vsock: context id */
    char *port; /* inet: number or service, NULL 10809; vsock: number */
    int fd;     /* fd */
    bool ipv4_only, ipv6_only;
} NbdAddress;

NbdAddress *nbd_address_new_unix(const char *path);
NbdAddress *nbd_address_new_inet(const char *host, const char *port);
NbdAddress *nbd_address_new_vsock(const char *cid, const char *port);
NbdAddress *nbd_address_new_fd(int fd);
NbdAddress *nbd_address_copy(const NbdAddress *address);
void nbd_address_free(NbdAddress *address);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NbdAddress, nbd_address_free)

/* "PATH" or "HOST:PORT", for messages.  Caller frees. */
char *nbd_address_text(const NbdAddress *address);

/*
 * A connected blocking socket, or -1.  "Failed to connect to 'ADDR': ..."
 * give_up is asked ten times a second whether to go on waiting for a host, or
 * a name server, that does not answer; NULL: until the system gives up.
 */
int nbd_address_connect(const NbdAddress *address, bool (*give_up)(void),
                        GError **error);

/*
 * Listening sockets, one per resolved address, as an array of int; NULL on
 * error.  A unix path left behind by a dead server is taken over; a live one
 * is "Address already in use".
 */
GArray *nbd_address_listen(const NbdAddress *address, GError **error);

/* The address a listening or accepted socket has at this or the other end. */
char *nbd_address_local_text(int fd);
char *nbd_address_peer_text(int fd);
/* The TCP port a listening socket got, 0 if it is no TCP socket. */
unsigned nbd_address_local_port(int fd);

/* What a URI says; members not said are NULL or false. */
typedef struct NbdUri {
    NbdAddress *address;
    char *export;   /* never NULL after success */
    bool tls;       /* nbds: */
    char *username; /* userinfo */
    char *tls_type, *tls_hostname, *tls_certificates, *tls_psk_file;
    int tls_verify_peer; /* -1 not said */
} NbdUri;

/* nbd[s]://, nbd[s]+tcp://, nbd[s]+unix://, nbd[s]+vsock:// */
NbdUri *nbd_uri_parse(const char *text, GError **error);
void nbd_uri_free(NbdUri *uri);
/*
 * Client credentials from what a TLS URI says.  Without tls-type it is PSK
 * when a PSK file is named, else x509; x509 without a directory trusts what
 * the system trusts.
 */
NbdTlsCreds *nbd_uri_tls_creds(const NbdUri *uri, GError **error);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NbdUri, nbd_uri_free)

#endif
