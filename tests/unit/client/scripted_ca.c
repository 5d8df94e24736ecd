#include "scripted_ca.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/b64url.h"
#include "common/io.h"

enum { CHUNK = 4096, SLOW_NS = 50 * 1000 * 1000 };

void
scripted_ca_clean_environment(void)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
        "http_proxy", "no_proxy", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"};

    for (size_t i = 0; i < AW_COUNT(names); i++)
        unsetenv(names[i]);
    signal(SIGPIPE, SIG_IGN);
}

/* Key and certificate. */

static void
add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static X509 *
make_certificate(EVP_PKEY *key, const char *san)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);

    assert_int_equal(X509_set_version(certificate, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), getpid()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    assert_int_equal(X509_NAME_add_entry_by_txt(
                         name, "CN", MBSTRING_ASC, (const uint8_t *)"scripted CA", -1, -1, 0),
        1);
    assert_int_equal(X509_set_issuer_name(certificate, name), 1);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    add_extension(certificate, NID_subject_alt_name, san);
    add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static void
make_tls(struct scripted_ca *ca, const struct ca_server_options *options)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = make_certificate(key, options->san != NULL ? options->san : "IP:127.0.0.1");
    FILE *file = fopen(ca->ca_file, "we");

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(fclose(file), 0);
    ca->tls = SSL_CTX_new(TLS_server_method());
    assert_non_null(ca->tls);
    assert_int_equal(SSL_CTX_use_certificate(ca->tls, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ca->tls, key), 1);
    if (options->old_tls) {
        SSL_CTX_set_security_level(ca->tls, 0);
        assert_int_equal(SSL_CTX_set_min_proto_version(ca->tls, TLS1_VERSION), 1);
        assert_int_equal(SSL_CTX_set_max_proto_version(ca->tls, TLS1_1_VERSION), 1);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* Requests. */

static bool
read_more(SSL *ssl, char *buffer, size_t *used)
{
    int got =
        *used < CA_TEXT_MAX - 1 ? SSL_read(ssl, buffer + *used, (int)(CA_TEXT_MAX - 1 - *used)) : 0;

    if (got <= 0)
        return false;
    *used += (size_t)got;
    buffer[*used] = '\0';
    return true;
}

/* Reads a request into ca->last and ca->last_body; false when the client has left. */
static bool
read_request(struct scripted_ca *ca, SSL *ssl)
{
    static _Thread_local char buffer[CA_TEXT_MAX];
    size_t used = 0;
    char *end;

    buffer[0] = '\0';
    while ((end = strstr(buffer, "\r\n\r\n")) == NULL)
        if (!read_more(ssl, buffer, &used))
            return false;
    const char *length = strstr(buffer, "\r\nContent-Length: ");
    size_t body = length != NULL ? strtoul(length + 18, NULL, 10) : 0;
    end += 4;
    while (used < (size_t)(end - buffer) + body)
        if (!read_more(ssl, buffer, &used))
            return false;
    pthread_mutex_lock(&ca->lock);
    snprintf(ca->last_body, sizeof(ca->last_body), "%s", end);
    *end = '\0';
    snprintf(ca->last, sizeof(ca->last), "%s", buffer);
    pthread_mutex_unlock(&ca->lock);
    return true;
}

static void
append(char *text, const char *more, size_t length)
{
    size_t used = strlen(text);

    if (used + length + 2 > CA_TEXT_MAX)
        return;
    snprintf(text + used, CA_TEXT_MAX - used, "%.*s\n", (int)length, more);
}

/* The tests' signers put the nonce, as base64url, where the protected header would be. */
static void
note_nonce(struct scripted_ca *ca)
{
    const char *value = strstr(ca->last_body, "\"protected\":\"");
    uint8_t nonce[128];
    size_t size;

    if (value == NULL)
        return;
    value += 13;
    if (aw_ok(aw_b64url_decode(value, strcspn(value, "\""), nonce, sizeof(nonce), &size)))
        append(ca->used, (const char *)nonce, size);
}

static bool
is_for(const struct ca_answer *answer, const char *request, size_t length)
{
    return strlen(answer->request) == length && strncmp(answer->request, request, length) == 0;
}

/* The first for it that was not given yet, else the last. */
static const struct ca_answer *
find_answer(struct scripted_ca *ca, size_t length)
{
    const struct ca_answer *answer = NULL;

    for (size_t i = 0; i < ca->count; i++) {
        if (!is_for(&ca->answers[i], ca->last, length))
            continue;
        answer = &ca->answers[i];
        if (!ca->given[i]) {
            ca->given[i] = true;
            break;
        }
    }
    return answer;
}

/* The next answer of the script; NULL for a request that it does not have there. */
static const struct ca_answer *
next_answer(struct scripted_ca *ca)
{
    size_t method = strcspn(ca->last, " ");
    size_t line = method + 1 + strcspn(ca->last + method + 1, " ");
    const struct ca_answer *answer = ca->any                ? find_answer(ca, line)
                                     : ca->next < ca->count ? &ca->answers[ca->next]
                                                            : NULL;

    append(ca->requests, ca->last, line);
    note_nonce(ca);
    ca->next++;
    if (answer != NULL && is_for(answer, ca->last, line))
        return answer;
    if (ca->fault[0] == '\0')
        snprintf(ca->fault, sizeof(ca->fault), "request %zu is \"%.*s\", expected %s", ca->next,
            (int)line, ca->last, answer != NULL ? answer->request : "none");
    return NULL;
}

/* Answers. */

/* An answer on its way: the script may change as soon as the client has it. */
struct sending {
    const struct ca_answer *answer;
    const char *base;
    unsigned nonce;
    bool has_body;
};

static void
expand(const char *base, const char *text, char out[CA_TEXT_MAX])
{
    size_t used = 0;

    out[0] = '\0';
    for (const char *mark; (mark = strstr(text, "$B")) != NULL; text = mark + 2)
        used += (size_t)snprintf(
            out + used, CA_TEXT_MAX - used, "%.*s%s", (int)(mark - text), text, base);
    snprintf(out + used, CA_TEXT_MAX - used, "%s", text);
}

static bool
send_bytes(SSL *ssl, const char *bytes, size_t size)
{
    return size == 0 || SSL_write(ssl, bytes, (int)size) > 0;
}

static bool
send_text(SSL *ssl, const char *text)
{
    return send_bytes(ssl, text, strlen(text));
}

static void
send_for_ever(SSL *ssl, const char *bytes, size_t size, long pause_ns)
{
    const struct timespec pause = {.tv_nsec = pause_ns};

    while (send_bytes(ssl, bytes, size))
        nanosleep(&pause, NULL);
}

static bool
carries_nonce(enum ca_trick trick)
{
    return trick == CA_PLAIN || trick == CA_CLOSE || trick == CA_NUL_BODY;
}

static bool
has_body(const struct scripted_ca *ca, const struct ca_answer *answer)
{
    return strncmp(ca->last, "HEAD ", 5) != 0 && answer->status != 204 && answer->status != 304;
}

/* Header and body in one write; false when the connection is to end. */
static bool
send_plain(const struct sending *sending, SSL *ssl)
{
    const struct ca_answer *answer = sending->answer;
    static _Thread_local char fields[CA_TEXT_MAX], body[CA_TEXT_MAX], whole[3 * CA_TEXT_MAX];
    char nonce[64] = "";
    size_t extra = answer->trick == CA_NUL_BODY ? 2 : 0;

    expand(sending->base, answer->fields != NULL ? answer->fields : "", fields);
    expand(sending->base, answer->body != NULL ? answer->body : "", body);
    if (carries_nonce(answer->trick))
        snprintf(nonce, sizeof(nonce), "Replay-Nonce: n%u\r\n", sending->nonce);
    size_t length = (size_t)snprintf(whole, sizeof(whole),
        "HTTP/1.1 %d Scripted\r\n%s%sContent-Length: %zu\r\n\r\n%s", answer->status, nonce, fields,
        strlen(body) + extra, sending->has_body ? body : "");
    if (extra > 0)
        memcpy(whole + length, "\0x", extra);
    return send_bytes(ssl, whole, length + extra) && answer->trick != CA_CLOSE;
}

/* False when the connection is to end. */
static bool
send_answer(const struct sending *sending, SSL *ssl)
{
    const struct ca_answer *answer = sending->answer;
    static const char filler[CHUNK] = {'x'};

    switch (answer->trick) {
    case CA_PLAIN:
    case CA_NO_NONCE:
    case CA_CLOSE:
    case CA_NUL_BODY:
        return send_plain(sending, ssl);
    case CA_DROP:
        return false;
    case CA_RAW:
        send_text(ssl, answer->body);
        return false;
    case CA_NUL_FIELD:
        send_bytes(ssl, "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n", 46);
        return false;
    case CA_GIB_BODY:
        send_text(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
        send_for_ever(ssl, filler, sizeof(filler), 0);
        return false;
    case CA_ENDLESS_BODY:
        send_text(ssl, "HTTP/1.1 200 OK\r\n\r\n");
        send_for_ever(ssl, filler, sizeof(filler), 0);
        return false;
    case CA_ENDLESS_HEADER:
        send_text(ssl, "HTTP/1.1 200 OK\r\n");
        send_for_ever(ssl, "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", 33, 0);
        return false;
    case CA_SLOW_BODY:
        send_text(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        send_for_ever(ssl, "xxxx", 4, SLOW_NS);
        return false;
    }
    return false;
}

static bool
answer_one(struct scripted_ca *ca, SSL *ssl)
{
    static const struct ca_answer unexpected = {
        NULL, 500, "Content-Type: text/plain\r\n", "not in the script", CA_CLOSE};

    if (!read_request(ca, ssl))
        return false;
    pthread_mutex_lock(&ca->lock);
    const struct ca_answer *found = next_answer(ca);
    const struct ca_answer answer = found != NULL ? *found : unexpected;
    if (carries_nonce(answer.trick))
        ca->nonces++;
    const struct sending sending = {&answer, ca->base, ca->nonces, has_body(ca, &answer)};
    pthread_mutex_unlock(&ca->lock);
    return send_answer(&sending, ssl);
}

static void
serve(struct scripted_ca *ca, int fd)
{
    SSL *ssl = SSL_new(ca->tls);

    if (ssl != NULL && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1) {
        pthread_mutex_lock(&ca->lock);
        ca->connections++;
        pthread_mutex_unlock(&ca->lock);
        while (answer_one(ca, ssl))
            ;
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
}

static void *
serve_each(void *context)
{
    struct scripted_ca *ca = context;
    int fd;

    while ((fd = accept4(ca->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        serve(ca, fd);
        close(fd);
    }
    return NULL;
}

static void
listen_on_loopback(struct scripted_ca *ca)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ca->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(ca->listener >= 0);
    assert_int_equal(bind(ca->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(ca->listener, 8), 0);
    assert_int_equal(getsockname(ca->listener, (struct sockaddr *)&address, &size), 0);
    ca->port = ntohs(address.sin_port);
    snprintf(ca->base, sizeof(ca->base), "https://127.0.0.1:%u", ca->port);
}

void
scripted_ca_start(struct scripted_ca *ca, const struct ca_server_options *options)
{
    static const struct ca_server_options plain;

    memset(ca, 0, sizeof(*ca));
    snprintf(ca->folder, sizeof(ca->folder), "/tmp/aw-ca-XXXXXX");
    assert_non_null(mkdtemp(ca->folder));
    snprintf(ca->ca_file, sizeof(ca->ca_file), "%s/ca.pem", ca->folder);
    make_tls(ca, options != NULL ? options : &plain);
    listen_on_loopback(ca);
    assert_int_equal(pthread_mutex_init(&ca->lock, NULL), 0);
    assert_int_equal(pthread_create(&ca->thread, NULL, serve_each, ca), 0);
}

static void
load(struct scripted_ca *ca, const struct ca_answer *answers, size_t count, bool any)
{
    pthread_mutex_lock(&ca->lock);
    ca->any = any;
    memset(ca->given, 0, sizeof(ca->given));
    ca->answers = answers;
    ca->count = count;
    ca->next = 0;
    ca->connections = 0;
    ca->nonces = 0;
    ca->requests[0] = ca->used[0] = ca->last[0] = ca->last_body[0] = ca->fault[0] = '\0';
    pthread_mutex_unlock(&ca->lock);
}

void
scripted_ca_load(struct scripted_ca *ca, const struct ca_answer *answers, size_t count)
{
    load(ca, answers, count, false);
}

void
scripted_ca_load_any(struct scripted_ca *ca, const struct ca_answer *answers, size_t count)
{
    assert_true(count <= CA_ANSWERS_MAX);
    load(ca, answers, count, true);
}

void
scripted_ca_settle(struct scripted_ca *ca)
{
    pthread_mutex_lock(&ca->lock);
    pthread_mutex_unlock(&ca->lock);
}

bool
scripted_ca_check(struct scripted_ca *ca, const char *row)
{
    pthread_mutex_lock(&ca->lock);
    bool good = ca->fault[0] == '\0' && ca->next == ca->count;
    if (!good)
        print_error("%s: %zu requests, expected %zu; %s\n", row, ca->next, ca->count, ca->fault);
    pthread_mutex_unlock(&ca->lock);
    return good;
}

void
scripted_ca_stop(struct scripted_ca *ca)
{
    shutdown(ca->listener, SHUT_RDWR);
    pthread_join(ca->thread, NULL);
    close(ca->listener);
    SSL_CTX_free(ca->tls);
    pthread_mutex_destroy(&ca->lock);
    unlink(ca->ca_file);
    rmdir(ca->folder);
}
