/* tls-alpn-01 (RFC 8737): a handshake of our own, and what its certificate must hold. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "client/challenge_certificate.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/openssl.h"
#include "relay/validation.h"

static const unsigned char protocol[] = "\x0a"
                                        "acme-tls/1";

static void
free_context(SSL_CTX **context)
{
    SSL_CTX_free(*context);
}

static void
free_ssl(SSL **ssl)
{
    SSL_free(*ssl);
}

static void
free_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static aw_result
connect_to(const struct sockaddr_storage *address, unsigned port, int64_t left, int *out)
{
    struct sockaddr_storage at = *address;
    const struct timeval limit = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
    AW_CLEANUP(aw_close) int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size =
        at.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

    if (at.ss_family == AF_INET)
        ((struct sockaddr_in *)&at)->sin_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in6 *)&at)->sin6_port = htons((uint16_t)port);
    /* SO_SNDTIMEO limits connect() too (socket(7)). */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
        connect(fd, (const struct sockaddr *)&at, size) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return aw_fail_errno(AW_CODE_IO, "port %u", port);
    *out = fd;
    fd = -1;
    return AW_OK;
}

static aw_result
connect_first(struct validation *v, int64_t end, int *out)
{
    struct sockaddr_storage addresses[VALIDATION_ADDRESSES_MAX];
    unsigned port = (unsigned)v->config->validation.tls_port;
    char why[AW_ERROR_MESSAGE_SIZE] = "";
    size_t count = 0;

    AW_TRY(validation_addresses(v, addresses, &count));
    for (size_t i = 0; i < count; i++) {
        int64_t left = end - aw_now_ms();

        if (i > 0 && left <= 0)
            break;
        if (aw_ok(connect_to(&addresses[i], port, left > 0 ? left : 1, out)))
            return AW_OK;
        snprintf(why, sizeof(why), "%s", aw_error_last()->message);
    }
    return relay_problem_fail(
        v->problem, RELAY_CONNECTION, "%s can't be connected to: %s", v->name->text, why);
}

/* The name and no other (RFC 8737 3). */
static bool
is_only_name(const X509 *certificate, const struct aw_name *name)
{
    AW_CLEANUP(free_names)
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int type = 0;

    if (names == NULL || sk_GENERAL_NAME_num(names) != 1)
        return false;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, 0), &type);
    bool address = name->form == AW_NAME_ADDRESS;
    size_t size = address ? name->address_size : name->length;
    const void *wanted = address ? (const void *)name->address : name->text;
    if (type != (address ? GEN_IPADD : GEN_DNS) || (size_t)ASN1_STRING_length(value) != size)
        return false;
    const unsigned char *found = ASN1_STRING_get0_data(value);
    return address ? memcmp(found, wanted, size) == 0
                   : strncasecmp((const char *)found, wanted, size) == 0;
}

/* Critical, and the OCTET STRING of the digest (RFC 8737 3). */
static aw_result
has_digest(const X509 *certificate, const char *key_authorization, bool *has)
{
    uint8_t der[2 + AW_DIGEST_SIZE] = {V_ASN1_OCTET_STRING, AW_DIGEST_SIZE};
    ASN1_OBJECT *identifier = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);

    *has = false;
    AW_TRY(challenge_digest(key_authorization, der + 2));
    if (identifier == NULL)
        return aw_fail_memory();
    int place = X509_get_ext_by_OBJ(certificate, identifier, -1);
    ASN1_OBJECT_free(identifier);
    X509_EXTENSION *extension = place >= 0 ? X509_get_ext(certificate, place) : NULL;
    if (extension == NULL || X509_EXTENSION_get_critical(extension) != 1)
        return AW_OK;
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
    *has = ASN1_STRING_length(value) == (int)sizeof(der) &&
           memcmp(ASN1_STRING_get0_data(value), der, sizeof(der)) == 0;
    return AW_OK;
}

static aw_result
check_certificate(struct validation *v, const SSL *ssl)
{
    AW_CLEANUP(aw_x509_free) X509 *certificate = SSL_get1_peer_certificate(ssl);
    const unsigned char *chosen = NULL;
    unsigned length = 0;
    bool has = false;

    SSL_get0_alpn_selected(ssl, &chosen, &length);
    if (length != protocol[0] || memcmp(chosen, protocol + 1, length) != 0)
        return relay_problem_fail(v->problem, RELAY_UNAUTHORIZED,
            "%s does not speak acme-tls/1 (RFC 8737)", v->name->text);
    if (certificate == NULL || !is_only_name(certificate, v->name))
        return relay_problem_fail(v->problem, RELAY_UNAUTHORIZED,
            "the certificate that %s shows is not for this name alone", v->name->text);
    AW_TRY(has_digest(certificate, v->key_authorization, &has));
    return has ? AW_OK
               : relay_problem_fail(v->problem, RELAY_UNAUTHORIZED,
                     "the certificate that %s shows does not hold the digest of the key "
                     "authorization",
                     v->name->text);
}

static aw_result
make_ssl(const struct validation *v, int fd, SSL_CTX **context, SSL **ssl)
{
    char server_name[CHALLENGE_SERVER_NAME_SIZE];

    AW_TRY(challenge_server_name(v->name, server_name));
    *context = SSL_CTX_new(TLS_client_method());
    if (*context != NULL) {
        SSL_CTX_set_verify(*context, SSL_VERIFY_NONE, NULL); /* the digest is the proof */
        SSL_CTX_set_min_proto_version(*context, TLS1_2_VERSION);
        *ssl = SSL_new(*context);
    }
    if (*ssl == NULL || SSL_set_alpn_protos(*ssl, protocol, sizeof(protocol) - 1) != 0 ||
        SSL_set_tlsext_host_name(*ssl, server_name) != 1 || SSL_set_fd(*ssl, fd) != 1)
        return aw_fail_openssl("can't prepare a TLS connection");
    return AW_OK;
}

/* The end is one for the whole handshake: who sends an octet now and then would have the thread,
 * which other orders wait for, as long as he likes. */
static aw_result
shake_hands(const struct validation *v, SSL *ssl, int fd, int64_t end)
{
    ERR_clear_error(); /* what others left there would count as this one's */
    for (int done = SSL_connect(ssl); done != 1; done = SSL_connect(ssl)) {
        int wants = SSL_get_error(ssl, done);
        struct pollfd waits = {
            .fd = fd, .events = wants == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};
        int64_t left = end - aw_now_ms();

        if (wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE)
            return aw_fail_openssl("TLS with %s", v->name->text);
        if (left <= 0)
            return aw_fail(AW_CODE_TIMEOUT, "TLS with %s: no end of the handshake in %d seconds",
                v->name->text, v->seconds);
        if (poll(&waits, 1, (int)left) < 0 && errno != EINTR)
            return aw_fail_errno(AW_CODE_IO, "TLS with %s", v->name->text);
    }
    return AW_OK;
}

aw_result
validation_tls_alpn(struct validation *v)
{
    int64_t end = aw_now_ms() + (int64_t)v->seconds * 1000;
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(free_context) SSL_CTX *context = NULL;
    AW_CLEANUP(free_ssl) SSL *ssl = NULL;
    char why[AW_ERROR_MESSAGE_SIZE];

    AW_TRY(connect_first(v, end, &fd));
    AW_TRY(make_ssl(v, fd, &context, &ssl));
    aw_result r = shake_hands(v, ssl, fd, end);
    snprintf(why, sizeof(why), "%s", aw_error_last()->message);
    return aw_ok(r) ? check_certificate(v, ssl)
                    : relay_problem_fail(v->problem, RELAY_TLS, "%s", why);
}
