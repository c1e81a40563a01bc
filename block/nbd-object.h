/*
 * Named objects that NBD needs: TLS credentials, secrets, authorisation
 * rules.  What --object and object-add make of the types tls-creds-x509,
 * tls-creds-psk, tls-creds-anon, secret, authz-simple, authz-list and
 * authz-list-file.  Any thread.
 */
#ifndef BLOCK_NBD_OBJECT_H
#define BLOCK_NBD_OBJECT_H

#include <stdbool.h>

#include <glib.h>
#include <jansson.h>

#include "nbd/tls.h"

/* Is this qom-type one of ours? */
bool block_nbd_object_known(const char *type);
/* {"qom-type": ..., "id": ..., properties}; values may be spelled as text. */
bool block_nbd_object_add(json_t *options, GError **error);
/* False when there is no such object. */
bool block_nbd_object_del(const char *id);
bool block_nbd_object_exists(const char *id);

/* A reference; checks existence, type and endpoint. */
NbdTlsCreds *block_nbd_tls_creds(const char *id, bool server, GError **error);
/* Does authz object id let this certificate name in?  Missing: no. */
bool block_nbd_authorise(const char *id, const char *peer_name);
/* The bytes of a secret; caller frees. */
char *block_nbd_secret(const char *id, GError **error);

#endif
