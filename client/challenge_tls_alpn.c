/*
 * tls-alpn-01 (RFC 8737): a self-signed certificate that holds the digest of the key authorization,
 * shown in a TLS handshake for the protocol acme-tls/1 and for nothing else. libevent drives
 * the handshakes, so that a slow stranger keeps nobody waiting.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "client/challenge.h"
#include "client/challenge_certificate.h"
#include "client/challenge_loop.h"
#include "common/io.h"

/* The protocol's name as ALPN has it: its length before it (RFC 7301 3.1). */
static const unsigned char protocol[] = "\x0a"
                                        "acme-tls/1";
enum { PROTOCOL_SIZE = sizeof(protocol) - 1 };

struct shown {
    char server_name[CHALLENGE_SERVER_NAME_SIZE]; /* empty: a free place */
    X509 *certificate;
    EVP_PKEY *key;
};

struct challenge_tls_alpn {
    struct challenge_loop loop;
    struct evconnlistener *listener;
    SSL_CTX *tls;
    /* Handshakes under way, the thread's own while it runs; NULL: a free place. */
    struct bufferevent *handshakes[CHALLENGE_HANDSHAKES_MAX];
    pthread_mutex_t lock; /* of the table */
    struct shown shown[CHALLENGE_DEPLOYED_MAX];
};

/* Under the lock. */
static struct shown *
find(challenge_tls_alpn *s, const char *server_name)
{
    for (size_t i = 0; i < CHALLENGE_DEPLOYED_MAX; i++)
        if (strcasecmp(s->shown[i].server_name, server_name) == 0)
            return &s->shown[i];
    return NULL;
}

static void
clear(struct shown *place)
{
    X509_free(place->certificate);
    EVP_PKEY_free(place->key);
    memset(place, 0, sizeof(*place));
}

/* TLS's callbacks, in the thread. */

/* RFC 8737 3: one protocol is offered, acme-tls/1. Without the extension OpenSSL does not ask us
 * below, so that is looked at here. */
static int
look_at_hello(SSL *ssl, int *alert, void *context)
{
    const unsigned char *offered;
    size_t size;

    (void)context;
    if (SSL_client_hello_get0_ext(
            ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &offered, &size) == 1 &&
        size == 2 + PROTOCOL_SIZE && memcmp(offered + 2, protocol, PROTOCOL_SIZE) == 0)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
    return SSL_CLIENT_HELLO_ERROR;
}

static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
    const unsigned char *offered, unsigned size, void *context)
{
    (void)ssl;
    (void)context;
    if (size != PROTOCOL_SIZE || memcmp(offered, protocol, PROTOCOL_SIZE) != 0)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = protocol + 1;
    *out_size = protocol[0];
    return SSL_TLSEXT_ERR_OK;
}

/* A client that names none is not a validation. */
static int
choose_certificate(SSL *ssl, void *context)
{
    challenge_tls_alpn *s = context;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    int done = 0;

    if (name == NULL || name[0] == '\0')
        return 0;
    pthread_mutex_lock(&s->lock);
    const struct shown *place = find(s, name);
    if (place != NULL)
        done = SSL_use_certificate(ssl, place->certificate) == 1 &&
               SSL_use_PrivateKey(ssl, place->key) == 1;
    pthread_mutex_unlock(&s->lock);
    return done;
}

/* Connections. */

/* The place of a connection, or for NULL a free one; NULL: there is none. */
static struct bufferevent **
place_of(challenge_tls_alpn *s, const struct bufferevent *connection)
{
    for (size_t i = 0; i < CHALLENGE_HANDSHAKES_MAX; i++)
        if (s->handshakes[i] == connection)
            return &s->handshakes[i];
    return NULL;
}

/* Whatever happened, it is over: RFC 8737 3 has no data after the handshake. */
static void
end_connection(struct bufferevent *connection, short what, void *context)
{
    challenge_tls_alpn *s = context;

    (void)what;
    *place_of(s, connection) = NULL;
    SSL *ssl = bufferevent_openssl_get_ssl(connection);
    if (ssl != NULL && SSL_is_init_finished(ssl))
        SSL_shutdown(ssl);
    ERR_clear_error();
    bufferevent_free(connection);
}

static void
take_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
    int from_size, void *context)
{
    static const struct timeval limit = {.tv_sec = CHALLENGE_REQUEST_SECONDS};
    challenge_tls_alpn *s = context;
    struct bufferevent *connection = NULL, **place = place_of(s, NULL);

    (void)listener;
    (void)from;
    (void)from_size;
    SSL *ssl = place != NULL ? SSL_new(s->tls) : NULL;
    if (ssl != NULL)
        connection = bufferevent_openssl_socket_new(
            s->loop.base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (connection == NULL) {
        SSL_free(ssl);
        evutil_closesocket(fd);
        return;
    }
    *place = connection;
    bufferevent_setcb(connection, NULL, NULL, end_connection, s);
    bufferevent_set_timeouts(connection, &limit, &limit);
    bufferevent_enable(connection, EV_READ | EV_WRITE);
}

/* Starting and stopping. */

static aw_result
make_tls(challenge_tls_alpn *s)
{
    s->tls = SSL_CTX_new(TLS_server_method());
    if (s->tls == NULL || SSL_CTX_set_min_proto_version(s->tls, TLS1_2_VERSION) != 1)
        return aw_fail_openssl("can't set up TLS");
    SSL_CTX_set_options(s->tls, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(s->tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_client_hello_cb(s->tls, look_at_hello, NULL);
    SSL_CTX_set_alpn_select_cb(s->tls, choose_protocol, NULL);
    SSL_CTX_set_cert_cb(s->tls, choose_certificate, s);
    return AW_OK;
}

static aw_result
make_server(challenge_tls_alpn *s, int *fd)
{
    AW_TRY(make_tls(s));
    s->listener = evconnlistener_new(
        s->loop.base, take_connection, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, *fd);
    if (s->listener == NULL)
        return aw_fail_memory();
    *fd = -1; /* the listener's now */
    return AW_OK;
}

aw_result
challenge_tls_alpn_start(const char *address, unsigned port, challenge_tls_alpn **out)
{
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(challenge_tls_alpn_stop) challenge_tls_alpn *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return aw_fail_memory();
    s->loop = CHALLENGE_LOOP_CLOSED;
    pthread_mutex_init(&s->lock, NULL);
    AW_TRY(challenge_loop_listen(&s->loop, address, port, "tls-alpn-01", &fd));
    AW_TRY(make_server(s, &fd));
    AW_TRY(challenge_loop_start(&s->loop));
    *out = AW_MOVE(s);
    return AW_OK;
}

void
challenge_tls_alpn_stop(challenge_tls_alpn **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    challenge_tls_alpn *s = *slot;

    challenge_loop_stop(&s->loop);
    for (size_t i = 0; i < CHALLENGE_HANDSHAKES_MAX; i++)
        if (s->handshakes[i] != NULL)
            bufferevent_free(s->handshakes[i]);
    if (s->listener != NULL)
        evconnlistener_free(s->listener);
    challenge_loop_close(&s->loop);
    SSL_CTX_free(s->tls);
    for (size_t i = 0; i < CHALLENGE_DEPLOYED_MAX; i++)
        clear(&s->shown[i]);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *slot = NULL;
}

unsigned
challenge_tls_alpn_port(const challenge_tls_alpn *s)
{
    return s->loop.port;
}

aw_result
challenge_tls_alpn_deploy(
    challenge_tls_alpn *s, const struct aw_name *name, const char *key_authorization)
{
    struct shown made = {.server_name = ""};

    AW_TRY(challenge_server_name(name, made.server_name));
    AW_TRY(challenge_certificate(name, key_authorization, &made.certificate, &made.key));
    pthread_mutex_lock(&s->lock);
    struct shown *place = find(s, made.server_name);
    if (place == NULL)
        place = find(s, "");
    if (place != NULL) {
        clear(place);
        *place = made;
    }
    pthread_mutex_unlock(&s->lock);
    if (place != NULL)
        return AW_OK;
    clear(&made);
    return aw_fail(AW_CODE_LIMIT, "more than %d challenges at a time", CHALLENGE_DEPLOYED_MAX);
}

void
challenge_tls_alpn_remove(challenge_tls_alpn *s, const struct aw_name *name)
{
    char server_name[CHALLENGE_SERVER_NAME_SIZE];

    if (!aw_ok(challenge_server_name(name, server_name)))
        return;
    pthread_mutex_lock(&s->lock);
    struct shown *place = find(s, server_name);
    if (place != NULL)
        clear(place);
    pthread_mutex_unlock(&s->lock);
}
