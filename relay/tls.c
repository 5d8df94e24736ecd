#include "relay/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/hex.h"
#include "common/io.h"
#include "common/log.h"
#include "common/openssl.h"
#include "relay/tls_advice.h"
#include "relay/tls_key.h"

enum { ADVICE_SECONDS = 24 * 3600, FILES = 3 };

/* What of a file tells that it is another one. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct relay_tls {
    const struct relay_config *config;
    struct relay_tls_key key;
    int64_t trial_ms; /* when a token's key is tried next */
    bool failed;      /* at the last trial */
    SSL_CTX *context;
    struct stamp in_force[FILES]; /* of the files as they were loaded, or refused */
    struct stamp seen[FILES];     /* as they were at the last look */
    time_t advised_at;            /* when its end was looked at last */
};

/* OWASP's and Mozilla's "intermediate", without the ciphers that need finite fields. */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

/* Files. */

static struct stamp
stamp_of(const char *path)
{
    struct stat st;

    if (path == NULL || stat(path, &st) != 0)
        return (struct stamp){0};
    return (struct stamp){st.st_dev, st.st_ino, st.st_size, st.st_ctim};
}

static void
look(const struct relay_config *config, struct stamp out[FILES])
{
    const char *const paths[FILES] = {
        config->tls.certificate, config->tls.key, config->tls.client_ca};

    for (size_t i = 0; i < FILES; i++)
        out[i] = stamp_of(paths[i]);
}

static bool
same(const struct stamp a[FILES], const struct stamp b[FILES])
{
    for (size_t i = 0; i < FILES; i++)
        if (a[i].device != b[i].device || a[i].inode != b[i].inode || a[i].size != b[i].size ||
            a[i].changed.tv_sec != b[i].changed.tv_sec ||
            a[i].changed.tv_nsec != b[i].changed.tv_nsec)
            return false;
    return true;
}

static aw_result
read_certificate(FILE *file, X509 **out)
{
    *out = PEM_read_X509(file, NULL, NULL, NULL);
    if (*out != NULL)
        return AW_OK;
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return aw_fail_openssl("no PEM certificate");
    ERR_clear_error();
    return AW_OK;
}

/* Gives each certificate of a file, of which there must be one, to `use`: false, it can't be used.
 */
static aw_result
use_each(SSL_CTX *context, const char *path, bool (*use)(SSL_CTX *context, X509 *, int number))
{
    AW_CLEANUP(relay_tls_file_close) FILE *file = NULL;
    int count = 0;

    AW_TRY(relay_tls_file_open(path, 0022, &file));
    for (;; count++) {
        AW_CLEANUP(aw_x509_free) X509 *certificate = NULL;

        AW_TRY(aw_context(read_certificate(file, &certificate), "%s", path));
        if (certificate == NULL)
            break;
        if (!use(context, certificate, count))
            return aw_fail_openssl("%s: certificate %d can't be used", path, count + 1);
    }
    return count > 0 ? AW_OK : aw_fail(AW_CODE_SYNTAX, "%s holds no PEM certificate", path);
}

/* The leaf comes first. */
static bool
show(SSL_CTX *context, X509 *certificate, int number)
{
    return (number == 0 ? SSL_CTX_use_certificate(context, certificate)
                        : SSL_CTX_add1_chain_cert(context, certificate)) == 1;
}

static bool
trust(SSL_CTX *context, X509 *certificate, int number)
{
    (void)number;
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1 &&
           SSL_CTX_add_client_CA(context, certificate) == 1;
}

static aw_result
use_key(SSL_CTX *context, const struct relay_config *config, const struct relay_tls_key *key)
{
    if (SSL_CTX_use_PrivateKey(context, key->key) == 1 && SSL_CTX_check_private_key(context) == 1)
        return AW_OK;
    return aw_hint(aw_fail_openssl("%s is not the key of the certificate in %s",
                       key->libctx == NULL ? config->tls.key : key->uri, config->tls.certificate),
        "are both of one renewal?");
}

/* A certificate that is shown must be good; none need be shown. */
static aw_result
ask_for_certificates(SSL_CTX *context, const char *path)
{
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return use_each(context, path, trust);
}

/* The context. */

/* RFC 7301 3.2: who offers protocols and not ours is told so. */
static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
    const unsigned char *offered, unsigned size, void *context)
{
    static const char http[] = "http/1.1";

    (void)ssl;
    (void)context;
    for (unsigned at = 0; at < size && offered[at] <= size - at - 1; at += 1U + offered[at])
        if (offered[at] == sizeof(http) - 1 &&
            memcmp(&offered[at + 1], http, sizeof(http) - 1) == 0) {
            *out = &offered[at + 1];
            *out_size = offered[at];
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static aw_result
set_up(SSL_CTX *context)
{
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context, ciphers) != 1 || SSL_CTX_set_num_tickets(context, 0) != 1)
        return aw_fail_openssl("can't set up TLS");
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); /* most connections are idle */
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    return AW_OK;
}

static void
free_context(SSL_CTX **context)
{
    SSL_CTX_free(*context);
}

static aw_result
make_context(const struct relay_config *config, const struct relay_tls_key *key, SSL_CTX **out)
{
    AW_CLEANUP(free_context)
    SSL_CTX *context = SSL_CTX_new_ex(key->libctx, NULL, TLS_server_method());

    if (context == NULL)
        return aw_fail_openssl("can't set up TLS");
    AW_TRY(set_up(context));
    AW_TRY(use_each(context, config->tls.certificate, show));
    AW_TRY(use_key(context, config, key));
    if (config->tls.client_ca != NULL)
        AW_TRY(ask_for_certificates(context, config->tls.client_ca));
    *out = AW_MOVE(context);
    return AW_OK;
}

/* What clients will not like is said, and they are served all the same. */
static void
advise(struct relay_tls *tls)
{
    char text[RELAY_TLS_ADVICE_SIZE];

    tls->advised_at = time(NULL);
    relay_tls_advise(SSL_CTX_get0_certificate(tls->context), tls->config->url, text);
    if (text[0] != '\0')
        aw_log(AW_LOG_WARNING, "%s: the certificate: %s", tls->config->tls.certificate, text);
}

aw_result
relay_tls_reload(struct relay_tls *tls)
{
    SSL_CTX *fresh = NULL;

    look(tls->config, tls->in_force); /* before: what changes meanwhile is seen next time */
    memcpy(tls->seen, tls->in_force, sizeof(tls->seen));
    AW_TRY(relay_tls_key_read(&tls->key, tls->config));
    AW_TRY(make_context(tls->config, &tls->key, &fresh));
    SSL_CTX_free(tls->context);
    tls->context = fresh;
    advise(tls);
    return AW_OK;
}

aw_result
relay_tls_new(const struct relay_config *config, struct relay_tls **out)
{
    AW_CLEANUP(relay_tls_free) struct relay_tls *tls = calloc(1, sizeof(*tls));

    if (tls == NULL)
        return aw_fail_memory();
    tls->config = config;
    AW_TRY(relay_tls_reload(tls));
    *out = AW_MOVE(tls);
    return AW_OK;
}

void
relay_tls_free(struct relay_tls **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    SSL_CTX_free((*slot)->context);
    relay_tls_key_close(&(*slot)->key);
    free(*slot);
    *slot = NULL;
}

/* Certificate and key are replaced one after the other: only what has not changed between two
 * looks is loaded. */
void
relay_tls_look(struct relay_tls *tls)
{
    struct stamp now[FILES];

    look(tls->config, now);
    bool settled = same(now, tls->seen);
    memcpy(tls->seen, now, sizeof(now));
    if (time(NULL) - tls->advised_at >= ADVICE_SECONDS)
        advise(tls);
    if (!settled || same(now, tls->in_force))
        return;
    if (aw_ok(relay_tls_reload(tls)))
        aw_log(
            AW_LOG_NOTICE, "the certificate was loaded anew from %s", tls->config->tls.certificate);
    else
        aw_log_failure(AW_LOG_ERROR, "the certificate in force stays");
}

aw_result
relay_tls_try(struct relay_tls *tls)
{
    int64_t now_ms = aw_now_ms();

    if (now_ms < tls->trial_ms)
        return AW_OK;
    aw_result r = relay_tls_key_try(&tls->key);
    bool again = tls->failed;
    tls->failed = !aw_ok(r);
    tls->trial_ms = now_ms + (tls->failed ? RELAY_TLS_AGAIN_MS : RELAY_TLS_TRIAL_MS);
    if (aw_ok(r) || again)
        return r;
    aw_log_failure(AW_LOG_ERROR, "no client can connect");
    return AW_OK;
}

SSL *
relay_tls_accept(struct relay_tls *tls)
{
    return SSL_new(tls->context);
}

void
relay_tls_client(const SSL *ssl, char out[AW_DIGEST_HEX_SIZE])
{
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    out[0] = '\0';
    if (certificate != NULL && SSL_get_verify_result(ssl) == X509_V_OK &&
        X509_digest(certificate, EVP_sha256(), digest, &size) == 1)
        aw_hex(digest, size, out);
}
