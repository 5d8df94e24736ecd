/* tls-alpn-01 (RFC 8737): what is shown, to whom, and to nobody else. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "client/challenge_certificate.h"
#include "common/hex.h"
#include "common/io.h"

#define TEXT "token.thumbprint"
#define ACME \
    "\x0a"   \
    "acme-tls/1"

static struct aw_name
name_of(const char *text)
{
    struct aw_name name;

    if (!aw_ok(aw_name_parse_address(text, strlen(text), &name)))
        assert_true(aw_ok(aw_name_parse(text, strlen(text), &name)));
    return name;
}

/* What the one extension that counts holds. */
static bool
has_digest(X509 *certificate)
{
    uint8_t expected[2 + AW_DIGEST_SIZE] = {V_ASN1_OCTET_STRING, AW_DIGEST_SIZE};
    ASN1_OBJECT *identifier = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);

    assert_true(aw_ok(challenge_digest(TEXT, expected + 2)));
    X509_EXTENSION *extension =
        X509_get_ext(certificate, X509_get_ext_by_OBJ(certificate, identifier, -1));
    ASN1_OBJECT_free(identifier);
    if (extension == NULL || X509_EXTENSION_get_critical(extension) != 1)
        return false;
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
    return ASN1_STRING_length(value) == (int)sizeof(expected) &&
           memcmp(ASN1_STRING_get0_data(value), expected, sizeof(expected)) == 0;
}

static bool
has_only_name(X509 *certificate, const struct aw_name *name)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool one = sk_GENERAL_NAME_num(names) == 1;

    GENERAL_NAMES_free(names);
    return one && (name->form == AW_NAME_ADDRESS
                          ? X509_check_ip(certificate, name->address, name->address_size, 0)
                          : X509_check_host(certificate, name->text, 0, 0, NULL)) == 1;
}

static int
connect_to(unsigned port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* The certificate that is shown; NULL: no handshake. */
static X509 *
ask(unsigned port, const char *server_name, const char *protocols)
{
    X509 *shown = NULL;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    int fd = connect_to(port);

    SSL_set_fd(ssl, fd);
    if (server_name != NULL)
        SSL_set_tlsext_host_name(ssl, server_name);
    if (protocols != NULL)
        SSL_set_alpn_protos(ssl, (const unsigned char *)protocols, (unsigned)strlen(protocols));
    if (SSL_connect(ssl) == 1) {
        const unsigned char *chosen;
        unsigned size;
        SSL_get0_alpn_selected(ssl, &chosen, &size);
        assert_int_equal(size, strlen(ACME) - 1);
        shown = SSL_get1_peer_certificate(ssl);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    return shown;
}

static const struct row {
    const char *name;
    const char *deployed;
    const char *server_name;
    const char *protocols;
    bool shown;
} rows[] = {
    {"a host", "www.example.edu", "www.example.edu", ACME, true},
    {"case does not count", "www.example.edu", "WWW.Example.edu", ACME, true},
    {"IPv4 by its reverse name", "192.0.2.5", "5.2.0.192.in-addr.arpa", ACME, true},
    {"IPv6 by its reverse name", "2001:db8::567:89ab",
        "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", ACME, true},
    {"another name", "www.example.edu", "mail.example.edu", ACME, false},
    {"an address by itself", "192.0.2.5", "192.0.2.5", ACME, false},
    {"no server name", "www.example.edu", NULL, ACME, false},
    {"no protocol", "www.example.edu", "www.example.edu", NULL, false},
    {"a browser", "www.example.edu", "www.example.edu", "\x02h2\x08http/1.1", false},
    {"acme-tls/1 among others", "www.example.edu", "www.example.edu", ACME "\x02h2", false},
};

static bool
holds(const struct row *row)
{
    AW_CLEANUP(challenge_tls_alpn_stop) challenge_tls_alpn *s = NULL;
    const struct aw_name name = name_of(row->deployed), other = name_of("other.example.edu");

    assert_true(aw_ok(challenge_tls_alpn_start("127.0.0.1", 0, &s)));
    assert_true(aw_ok(challenge_tls_alpn_deploy(s, &other, "another")));
    assert_true(aw_ok(challenge_tls_alpn_deploy(s, &name, TEXT)));
    X509 *shown = ask(challenge_tls_alpn_port(s), row->server_name, row->protocols);
    bool right = row->shown ? shown != NULL && has_digest(shown) && has_only_name(shown, &name)
                            : shown == NULL;
    X509_free(shown);
    challenge_tls_alpn_remove(s, &name);
    shown = ask(challenge_tls_alpn_port(s), row->server_name, row->protocols);
    right = right && shown == NULL;
    X509_free(shown);
    return right;
}

static void
test_rows(void **state)
{
    bool all = true;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        if (!holds(&rows[i])) {
            print_error("%s\n", rows[i].name);
            all = false;
        }
    assert_true(all);
}

static void
test_wildcards_are_for_dns_01(void **state)
{
    AW_CLEANUP(challenge_tls_alpn_stop) challenge_tls_alpn *s = NULL;
    const struct aw_name name = name_of("*.example.edu");

    (void)state;
    assert_true(aw_ok(challenge_tls_alpn_start("127.0.0.1", 0, &s)));
    assert_int_equal(challenge_tls_alpn_deploy(s, &name, TEXT).code, AW_CODE_UNSUPPORTED);
}

/* A stranger who says nothing keeps nobody waiting, and is let go at the end. */
static void
test_silent_strangers_do_not_block(void **state)
{
    AW_CLEANUP(challenge_tls_alpn_stop) challenge_tls_alpn *s = NULL;
    const struct aw_name name = name_of("www.example.edu");
    int silent[CHALLENGE_HANDSHAKES_MAX / 2];

    (void)state;
    assert_true(aw_ok(challenge_tls_alpn_start("127.0.0.1", 0, &s)));
    assert_true(aw_ok(challenge_tls_alpn_deploy(s, &name, TEXT)));
    for (size_t i = 0; i < AW_COUNT(silent); i++)
        silent[i] = connect_to(challenge_tls_alpn_port(s));
    X509 *shown = ask(challenge_tls_alpn_port(s), name.text, ACME);
    assert_non_null(shown);
    X509_free(shown);
    challenge_tls_alpn_stop(&s);
    for (size_t i = 0; i < AW_COUNT(silent); i++) {
        struct pollfd end = {.fd = silent[i], .events = POLLIN};
        assert_int_equal(poll(&end, 1, 5000), 1);
        close(silent[i]);
    }
}

static const struct preference {
    const char *list, *type;
    size_t place;
} preferences[] = {
    {"http", "http-01", 1},
    {"dns,http", "http-01", 2},
    {" dns-01 , http-01 ", "http-01", 2},
    {"tls-alpn", "tls-alpn-01", 1},
    {"dns", "http-01", 0},
    {"http-0", "http-01", 0},
    {"", "http-01", 0},
};

static void
test_preferences(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(preferences); i++)
        assert_int_equal(
            challenge_preference(preferences[i].list, preferences[i].type), preferences[i].place);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_wildcards_are_for_dns_01),
        cmocka_unit_test(test_silent_strangers_do_not_block),
        cmocka_unit_test(test_preferences),
    };

    return cmocka_run_group_tests_name("tls_alpn", tests, NULL, NULL);
}
