/*
 * TLS credentials and the byte stream that carries NBD in the clear or not.
 *
 * Credentials are reference counted and constant once made; sessions on any
 * number of connections share them.  Without GnuTLS in the build, making
 * credentials fails with a clear message and everything else works.
 */
#ifndef NBD_TLS_H
#define NBD_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <glib.h>

#define NBD_ERROR (nbd_error_quark())
GQuark nbd_error_quark(void); /* codes are positive errno values, 0 unknown */

typedef enum NbdTlsKind {
    NBD_TLS_X509,
    NBD_TLS_PSK,
    NBD_TLS_ANON,
} NbdTlsKind;

typedef struct NbdTlsParams {
    NbdTlsKind kind;
    bool server;          /* endpoint */
    bool verify_peer;     /* x509; a server then demands client certificates */
    /*
     * ca-cert.pem, server-cert.pem, keys.psk, ...; only an x509 client may
     * do without: it trusts the authorities that the system trusts.
     */
    const char *dir;
    const char *psk_file; /* instead of dir/keys.psk */
    const char *username; /* psk client; NULL "qemu" */
    const char *priority; /* GnuTLS priority string; NULL default */
    const char *password; /* of an encrypted private key, or NULL */
} NbdTlsParams;

typedef struct NbdTlsCreds NbdTlsCreds;

NbdTlsCreds *nbd_tls_creds_new(const NbdTlsParams *params, GError **error);
NbdTlsCreds *nbd_tls_creds_ref(NbdTlsCreds *creds);
void nbd_tls_creds_unref(NbdTlsCreds *creds);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NbdTlsCreds, nbd_tls_creds_unref)
bool nbd_tls_creds_is_server(const NbdTlsCreds *creds);

typedef struct NbdStream {
    int fd; /* blocking socket */
    void *session;   /* gnutls_session_t once TLS runs, else NULL */
    NbdTlsCreds *creds;
} NbdStream;

void nbd_stream_init(NbdStream *stream, int fd); /* takes over fd */
/* Ends TLS politely when it can do so without waiting, closes the socket. */
void nbd_stream_close(NbdStream *stream);

/*
 * The TLS handshake.  hostname: what a client checks the server's certificate
 * against, NULL for no check of the name.
 */
bool nbd_stream_start_tls(NbdStream *stream, NbdTlsCreds *creds,
                          const char *hostname, GError **error);
/* Distinguished name of the peer's certificate, NULL if none; caller frees. */
char *nbd_stream_peer_name(NbdStream *stream);

/*
 * One thread may send while another receives.  recv returns the number of
 * bytes (at least 1), 0 at the end of the stream, or -errno; recv_full all of
 * them, -ECONNRESET at an early end.  send sends all of iov (which it uses up)
 * and returns 0 or -errno.
 */
ssize_t nbd_stream_recv(NbdStream *stream, void *buf, size_t size);
int nbd_stream_recv_full(NbdStream *stream, void *buf, size_t size);
int nbd_stream_send(NbdStream *stream, struct iovec *iov, int niov);
int nbd_stream_send_buf(NbdStream *stream, const void *buf, size_t size);
/* True when recv would return bytes that are already in memory. */
bool nbd_stream_has_buffered(NbdStream *stream);
/* Wakes and fails everybody who waits on the stream.  Any thread. */
void nbd_stream_shutdown(NbdStream *stream);

#endif
