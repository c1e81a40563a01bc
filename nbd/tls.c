/*
 * TLS through GnuTLS: credentials made of files, and sessions.
 *
 * A session is used by at most one sender and one receiver at a time, which
 * GnuTLS allows after the handshake; renegotiation is refused by asking for
 * TLS 1.2 and later only, where we never start it.
 */
#include "nbd/tls.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "nbd/tls-int.h"

#ifdef HAVE_GNUTLS

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

struct NbdTlsCreds {
    gint refs;
    NbdTlsKind kind;
    bool server;
    bool verify_peer;
    gnutls_priority_t priority;
    gnutls_certificate_credentials_t x509;
    gnutls_psk_server_credentials_t psk_server;
    gnutls_psk_client_credentials_t psk_client;
    gnutls_anon_server_credentials_t anon_server;
    gnutls_anon_client_credentials_t anon_client;
};

static const char *const default_priority[] = {
    [NBD_TLS_X509] = "NORMAL",
    [NBD_TLS_PSK] = "NORMAL:+ECDHE-PSK:+DHE-PSK:+PSK",
    [NBD_TLS_ANON] = "NORMAL:+ANON-ECDH:+ANON-DH",
};

NbdTlsCreds *nbd_tls_creds_ref(NbdTlsCreds *creds)
{
    g_atomic_int_inc(&creds->refs);
    return creds;
}

void nbd_tls_creds_unref(NbdTlsCreds *creds)
{
    if (!creds || !g_atomic_int_dec_and_test(&creds->refs)) {
        return;
    }
    if (creds->x509) {
        gnutls_certificate_free_credentials(creds->x509);
    }
    if (creds->psk_server) {
        gnutls_psk_free_server_credentials(creds->psk_server);
    }
    if (creds->psk_client) {
        gnutls_psk_free_client_credentials(creds->psk_client);
    }
    if (creds->anon_server) {
        gnutls_anon_free_server_credentials(creds->anon_server);
    }
    if (creds->anon_client) {
        gnutls_anon_free_client_credentials(creds->anon_client);
    }
    if (creds->priority) {
        gnutls_priority_deinit(creds->priority);
    }
    g_free(creds);
}

bool nbd_tls_creds_is_server(const NbdTlsCreds *creds)
{
    return creds->server;
}

static bool check(int ret, const char *what, const char *path, GError **error)
{
    if (ret >= 0) {
        return true;
    }
    g_set_error(error, NBD_ERROR, EINVAL, "%s '%s': %s", what, path,
                gnutls_strerror(ret));
    return false;
}

/* The file in the directory if it is there; required: an error if not. */
static bool find_file(const NbdTlsParams *p, const char *name, bool required,
                      char **path, GError **error)
{
    /* GnuTLS reads some files late, when the directory may be another. */
    g_autofree char *dir = g_canonicalize_filename(p->dir, NULL);

    *path = g_build_filename(dir, name, NULL);
    if (g_file_test(*path, G_FILE_TEST_EXISTS)) {
        return true;
    }
    if (required) {
        g_set_error(error, NBD_ERROR, ENOENT,
                    "Unable to access credentials %s: No such file or "
                    "directory", *path);
    }
    g_clear_pointer(path, g_free);
    return !required;
}

static bool load_x509(NbdTlsCreds *creds, const NbdTlsParams *p,
                      GError **error)
{
    g_autofree char *ca = NULL;
    g_autofree char *crl = NULL;
    g_autofree char *cert = NULL;
    g_autofree char *key = NULL;
    const char *cert_name = p->server ? "server-cert.pem" : "client-cert.pem";
    const char *key_name = p->server ? "server-key.pem" : "client-key.pem";

    if (!p->dir) {
        gnutls_certificate_allocate_credentials(&creds->x509);
        return check(gnutls_certificate_set_x509_system_trust(creds->x509),
                     "Cannot load CA certificates", "of the system", error);
    }
    if (!find_file(p, "ca-cert.pem", !p->server || p->verify_peer, &ca,
                   error) ||
        !find_file(p, "ca-crl.pem", false, &crl, error) ||
        !find_file(p, cert_name, p->server, &cert, error) ||
        !find_file(p, key_name, p->server, &key, error)) {
        return false;
    }
    gnutls_certificate_allocate_credentials(&creds->x509);
    if (ca && !check(gnutls_certificate_set_x509_trust_file(
                         creds->x509, ca, GNUTLS_X509_FMT_PEM),
                     "Cannot load CA certificate", ca, error)) {
        return false;
    }
    if (crl && !check(gnutls_certificate_set_x509_crl_file(
                          creds->x509, crl, GNUTLS_X509_FMT_PEM),
                      "Cannot load CRL", crl, error)) {
        return false;
    }
    return !cert || !key ||
           check(gnutls_certificate_set_x509_key_file2(
                     creds->x509, cert, key, GNUTLS_X509_FMT_PEM,
                     p->password, 0),
                 "Cannot load certificate and key", cert, error);
}

/* The hex key of a user in a PSK file. */
static char *find_psk(const char *path, const char *username, GError **error)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    size_t n = strlen(username);

    if (!g_file_get_contents(path, &text, NULL, error)) {
        return NULL;
    }
    lines = g_strsplit_set(text, "\r\n", -1);
    for (size_t i = 0; lines[i]; i++) {
        if (!strncmp(lines[i], username, n) && lines[i][n] == ':') {
            return g_strdup(lines[i] + n + 1);
        }
    }
    g_set_error(error, NBD_ERROR, ENOENT, "Username %s not found in %s",
                username, path);
    return NULL;
}

static bool load_psk(NbdTlsCreds *creds, const NbdTlsParams *p, GError **error)
{
    const char *username = p->username ? p->username : "qemu";
    g_autofree char *path = NULL;
    g_autofree char *key = NULL;
    gnutls_datum_t datum;

    if (p->psk_file) {
        path = g_canonicalize_filename(p->psk_file, NULL);
    } else if (!find_file(p, "keys.psk", true, &path, error)) {
        return false;
    }
    if (p->server) {
        gnutls_psk_allocate_server_credentials(&creds->psk_server);
        return check(gnutls_psk_set_server_credentials_file(creds->psk_server,
                                                            path),
                     "Cannot load keys", path, error);
    }
    key = find_psk(path, username, error);
    if (!key) {
        return false;
    }
    datum.data = (unsigned char *)key;
    datum.size = strlen(key);
    gnutls_psk_allocate_client_credentials(&creds->psk_client);
    return check(gnutls_psk_set_client_credentials(
                     creds->psk_client, username, &datum, GNUTLS_PSK_KEY_HEX),
                 "Cannot use the key of", path, error);
}

NbdTlsCreds *nbd_tls_creds_new(const NbdTlsParams *p, GError **error)
{
    g_autoptr(NbdTlsCreds) creds = g_new0(NbdTlsCreds, 1);
    const char *priority = p->priority ? p->priority
                                       : default_priority[p->kind];
    bool ok = true;

    creds->refs = 1;
    creds->kind = p->kind;
    creds->server = p->server;
    creds->verify_peer = p->verify_peer;
    if (!p->dir &&
        (p->kind == NBD_TLS_PSK ? !p->psk_file
                                : p->kind == NBD_TLS_X509 && p->server)) {
        g_set_error(error, NBD_ERROR, EINVAL,
                    "Missing 'dir' property value");
        return NULL;
    }
    if (!check(gnutls_priority_init(&creds->priority, priority, NULL),
               "Unable to set TLS priority", priority, error)) {
        return NULL;
    }
    switch (p->kind) {
    case NBD_TLS_X509:
        ok = load_x509(creds, p, error);
        break;
    case NBD_TLS_PSK:
        ok = load_psk(creds, p, error);
        break;
    case NBD_TLS_ANON:
        if (p->server) {
            gnutls_anon_allocate_server_credentials(&creds->anon_server);
        } else {
            gnutls_anon_allocate_client_credentials(&creds->anon_client);
        }
        break;
    }
    return ok ? g_steal_pointer(&creds) : NULL;
}

/* ---- Sessions ------------------------------------------------------------ */

static void set_credentials(gnutls_session_t session, const NbdTlsCreds *creds)
{
    switch (creds->kind) {
    case NBD_TLS_X509:
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, creds->x509);
        break;
    case NBD_TLS_PSK:
        gnutls_credentials_set(session, GNUTLS_CRD_PSK,
                               creds->server ? (void *)creds->psk_server
                                             : (void *)creds->psk_client);
        break;
    case NBD_TLS_ANON:
        gnutls_credentials_set(session, GNUTLS_CRD_ANON,
                               creds->server ? (void *)creds->anon_server
                                             : (void *)creds->anon_client);
        break;
    }
}

static void setup_verification(gnutls_session_t session,
                               const NbdTlsCreds *creds, const char *hostname)
{
    if (creds->kind != NBD_TLS_X509) {
        return;
    }
    if (creds->server) {
        gnutls_certificate_server_set_request(
            session, creds->verify_peer ? GNUTLS_CERT_REQUIRE
                                        : GNUTLS_CERT_IGNORE);
        if (creds->verify_peer) {
            gnutls_session_set_verify_cert(session, NULL, 0);
        }
    } else if (creds->verify_peer) {
        gnutls_session_set_verify_cert(session, hostname, 0);
    }
    if (!creds->server && hostname) {
        gnutls_server_name_set(session, GNUTLS_NAME_DNS, hostname,
                               strlen(hostname));
    }
}

void *nbd_tls_session_new(int fd, NbdTlsCreds *creds, const char *hostname,
                          GError **error)
{
    gnutls_session_t session = NULL;
    int ret = gnutls_init(&session,
                          (creds->server ? GNUTLS_SERVER : GNUTLS_CLIENT) |
                              GNUTLS_NO_SIGNAL);

    if (ret >= 0) {
        ret = gnutls_priority_set(session, creds->priority);
    }
    if (ret >= 0) {
        set_credentials(session, creds);
        setup_verification(session, creds, hostname);
        gnutls_transport_set_int(session, fd);
        gnutls_handshake_set_timeout(session, 0);
        do {
            ret = gnutls_handshake(session);
        } while (ret < 0 && !gnutls_error_is_fatal(ret));
    }
    if (ret >= 0) {
        return session;
    }
    if (ret == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
        gnutls_datum_t why = { 0 };
        unsigned status = gnutls_session_get_verify_cert_status(session);
        gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509,
                                                     &why, 0);
        g_set_error(error, NBD_ERROR, EACCES, "TLS handshake failed: %s",
                    why.data ? (char *)why.data : gnutls_strerror(ret));
        gnutls_free(why.data);
    } else {
        g_set_error(error, NBD_ERROR, EIO, "TLS handshake failed: %s",
                    gnutls_strerror(ret));
    }
    if (session) {
        gnutls_deinit(session);
    }
    return NULL;
}

void nbd_tls_session_free(void *session)
{
    int fd = gnutls_transport_get_int(session);
    struct timeval short_while = { .tv_usec = 100000 };

    /* A peer that does not read must not hold us up for a goodbye. */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &short_while,
               sizeof(short_while));
    gnutls_bye(session, GNUTLS_SHUT_WR);
    gnutls_deinit(session);
}

ssize_t nbd_tls_session_recv(void *session, void *buf, size_t size)
{
    ssize_t n;

    do {
        n = gnutls_record_recv(session, buf, size);
    } while (n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_AGAIN ||
             (n < 0 && !gnutls_error_is_fatal((int)n)));
    if (n == GNUTLS_E_PREMATURE_TERMINATION) {
        return 0;
    }
    return n < 0 ? -EIO : n;
}

int nbd_tls_session_send(void *session, struct iovec *iov, int niov)
{
    /* Cork, so that headers and data share records. */
    gnutls_record_cork(session);
    for (int i = 0; i < niov; i++) {
        const uint8_t *p = iov[i].iov_base;
        size_t left = iov[i].iov_len;
        while (left > 0) {
            ssize_t n = gnutls_record_send(session, p, MIN(left, 1 << 20));
            if (n < 0 && gnutls_error_is_fatal((int)n)) {
                return -EIO;
            }
            if (n > 0) {
                p += n;
                left -= n;
            }
            if (left > 0 &&
                gnutls_record_uncork(session, GNUTLS_RECORD_WAIT) < 0) {
                return -EIO;
            }
            if (left > 0) {
                gnutls_record_cork(session);
            }
        }
    }
    return gnutls_record_uncork(session, GNUTLS_RECORD_WAIT) < 0 ? -EIO : 0;
}

bool nbd_tls_session_pending(void *session)
{
    return gnutls_record_check_pending(session) > 0;
}

char *nbd_tls_session_peer_name(void *session)
{
    const gnutls_datum_t *list;
    gnutls_x509_crt_t cert;
    unsigned count = 0;
    char name[1024];
    size_t size = sizeof(name);
    char *result = NULL;

    list = gnutls_certificate_get_peers(session, &count);
    if (!list || count == 0 || gnutls_x509_crt_init(&cert) < 0) {
        return NULL;
    }
    if (gnutls_x509_crt_import(cert, &list[0], GNUTLS_X509_FMT_DER) >= 0 &&
        gnutls_x509_crt_get_dn(cert, name, &size) >= 0) {
        result = g_strdup(name);
    }
    gnutls_x509_crt_deinit(cert);
    return result;
}

#else /* no GnuTLS */

NbdTlsCreds *nbd_tls_creds_new(const NbdTlsParams *params, GError **error)
{
    g_set_error(error, NBD_ERROR, ENOTSUP,
                "TLS credentials support requires GNUTLS");
    return NULL;
}

NbdTlsCreds *nbd_tls_creds_ref(NbdTlsCreds *creds)
{
    return creds;
}

void nbd_tls_creds_unref(NbdTlsCreds *creds)
{
}

bool nbd_tls_creds_is_server(const NbdTlsCreds *creds)
{
    return false;
}

void *nbd_tls_session_new(int fd, NbdTlsCreds *creds, const char *hostname,
                          GError **error)
{
    g_set_error(error, NBD_ERROR, ENOTSUP, "this build has no TLS");
    return NULL;
}

void nbd_tls_session_free(void *session)
{
}

ssize_t nbd_tls_session_recv(void *session, void *buf, size_t size)
{
    return -ENOTSUP;
}

int nbd_tls_session_send(void *session, struct iovec *iov, int niov)
{
    return -ENOTSUP;
}

bool nbd_tls_session_pending(void *session)
{
    return false;
}

char *nbd_tls_session_peer_name(void *session)
{
    return NULL;
}

#endif
