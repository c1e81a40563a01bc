/*
 * TLS sessions as the stream sees them; tls.c has them with GnuTLS and
 * without.  recv and send have the contract of nbd_stream_recv/_send.
 */
#ifndef NBD_TLS_INT_H
#define NBD_TLS_INT_H

#include "nbd/tls.h"

void *nbd_tls_session_new(int fd, NbdTlsCreds *creds, const char *hostname,
                          GError **error);
void nbd_tls_session_free(void *session);
ssize_t nbd_tls_session_recv(void *session, void *buf, size_t size);
int nbd_tls_session_send(void *session, struct iovec *iov, int niov);
bool nbd_tls_session_pending(void *session);
char *nbd_tls_session_peer_name(void *session);

#endif
