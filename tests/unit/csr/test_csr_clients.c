/* CSRs as usual ACME clients make them, in their encodings and order of extensions: all pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <openssl/x509v3.h>

#include "common/result.h"
#include "csr/csr.h"
#include "csr_builder.h"

/* Made by OpenSSL's own functions, as `openssl req -new -subj /CN=... -addext ...` does. */
struct openssl_request {
    enum test_key key;
    const char *common_name; /* NULL: an empty subject */
    const char *extensions[4][2];
};

static octets
make_openssl(const struct openssl_request *wanted)
{
    X509_REQ *request = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    unsigned char *der = NULL;
    X509V3_CTX context;

    X509_REQ_set_version(request, X509_REQ_VERSION_1);
    if (wanted->common_name != NULL)
        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_ASC,
            (const unsigned char *)wanted->common_name, -1, -1, 0);
    X509_REQ_set_pubkey(request, test_key(wanted->key));
    X509V3_set_ctx(&context, NULL, NULL, request, NULL, 0);
    for (size_t i = 0; i < 4 && wanted->extensions[i][0] != NULL; i++) {
        X509_EXTENSION *extension =
            X509V3_EXT_nconf(NULL, &context, wanted->extensions[i][0], wanted->extensions[i][1]);
        assert_non_null(extension);
        sk_X509_EXTENSION_push(extensions, extension);
    }
    assert_int_equal(X509_REQ_add_extensions(request, extensions), 1);
    assert_true(X509_REQ_sign(request, test_key(wanted->key), EVP_sha256()) > 0);
    int size = i2d_X509_REQ(request, &der);
    assert_true(size > 0);
    octets out = octets_of(der, (size_t)size);
    OPENSSL_free(der);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(request);
    return out;
}

#define OPENSSL(name, ...)                                         \
    static octets name(void)                                       \
    {                                                              \
        return make_openssl(&(struct openssl_request)__VA_ARGS__); \
    }
#define BUILT(name, ...)                               \
    static octets name(void)                           \
    {                                                  \
        return csr_of(&(struct csr_parts)__VA_ARGS__); \
    }

OPENSSL(openssl_req, {KEY_RSA_2048, "www.example.edu", {{"subjectAltName", "DNS:www.example.edu"}}})
OPENSSL(openssl_req_empty,
    {KEY_P256, NULL, {{"subjectAltName", "DNS:www.example.edu,DNS:*.example.edu,IP:192.0.2.16"}}})
OPENSSL(acme_sh, {KEY_P256, "www.example.edu",
                     {{"extendedKeyUsage", "serverAuth,clientAuth"},
                         {"subjectAltName", "DNS:www.example.edu,DNS:a.example.edu"}}})
OPENSSL(acme_sh_staple,
    {KEY_RSA_2048, "www.example.edu",
        {{"extendedKeyUsage", "serverAuth,clientAuth"}, {"subjectAltName", "DNS:www.example.edu"},
            {"basicConstraints", "CA:FALSE"}, {"1.3.6.1.5.5.7.1.24", "DER:30:03:02:01:05"}}})
OPENSSL(mod_md, {KEY_RSA_2048, "www.example.edu",
                    {{"subjectAltName", "DNS:www.example.edu,DNS:a.example.edu"},
                        {"tlsfeature", "DER:30:03:02:01:05"}}})
OPENSSL(openssl_config, {KEY_RSA_3072, "www.example.edu",
                            {{"basicConstraints", "CA:FALSE"},
                                {"keyUsage", "critical,digitalSignature,keyEncipherment"},
                                {"extendedKeyUsage", "serverAuth"},
                                {"subjectAltName", "critical,DNS:www.example.edu"}}})

/* certbot, by python3-cryptography: empty subject, SAN, must-staple last. */
BUILT(certbot, {.key = KEY_P256, .names = JOIN(dns("www.example.edu"), dns("a.example.edu"))})
BUILT(certbot_rsa_staple,
    {.key = KEY_RSA_2048, .more_extensions = extension(TLS_FEATURE_OID, SEQUENCE(integer(5)))})

/* Go's crypto/x509: a PrintableString where the characters allow, else UTF8String. */
#define WWW LITERAL("www.example.edu")
BUILT(lego, {.key = KEY_RSA_2048, .subject = subject(0x13, WWW)})
BUILT(lego_p384_staple, {.key = KEY_P384,
                            .digest = "SHA384",
                            .subject = subject(0x13, WWW),
                            .more_extensions = extension(TLS_FEATURE_OID, SEQUENCE(integer(5)))})
BUILT(lego_wildcard, {.key = KEY_RSA_4096,
                         .subject = subject(0x0c, LITERAL("*.example.edu")),
                         .names = JOIN(dns("*.example.edu"), dns("example.edu"))})
BUILT(go_rsa_sha512, {.key = KEY_RSA_2048, .digest = "SHA512"})
BUILT(caddy, {.key = KEY_P256, .names = dns("myapp1.dept.example.edu")})

#define USAGES                                                         \
    JOIN(extension(KEY_USAGE_OID, element(0x03, LITERAL("\x05\xa0"))), \
        extension(EXTENDED_KEY_USAGE_OID, SEQUENCE(oid(SERVER_AUTH_OID))))
BUILT(cert_manager, {.key = KEY_RSA_2048, .subject = subject(0x13, WWW), .more_extensions = USAGES})
BUILT(cert_manager_empty_subject,
    {.key = KEY_P256,
        .extensions = JOIN(critical_extension(SAN_OID, SEQUENCE(dns("www.example.edu"))),
            critical_extension(KEY_USAGE_OID, element(0x03, LITERAL("\x05\xa0"))),
            extension(EXTENDED_KEY_USAGE_OID, SEQUENCE(oid(SERVER_AUTH_OID), oid(CLIENT_AUTH_OID))),
            critical_extension(BASIC_CONSTRAINTS_OID, SEQUENCE(NOTHING)))})

/* Bouncy Castle: UTF8String, usages first and critical. */
BUILT(win_acme, {.key = KEY_RSA_3072,
                    .subject = subject(0x0c, WWW),
                    .extensions = JOIN(critical_extension(BASIC_CONSTRAINTS_OID, SEQUENCE(NOTHING)),
                        critical_extension(KEY_USAGE_OID, element(0x03, LITERAL("\x05\xa0"))),
                        san(JOIN(dns("www.example.edu"), dns("a.example.edu"))))})

/* Where there is no common name it writes an empty one. */
BUILT(win_acme_no_cn, {.key = KEY_P256,
                          .subject = subject(0x0c, NOTHING),
                          .extensions = JOIN(san(dns("www.example.edu")))})
BUILT(
    posh_acme, {.key = KEY_P256,
                   .subject = subject(0x0c, WWW),
                   .extensions = JOIN(extension(BASIC_CONSTRAINTS_OID, SEQUENCE(NOTHING)),
                       critical_extension(KEY_USAGE_OID, element(0x03, LITERAL("\x07\x80"))),
                       san(JOIN(dns("www.example.edu"), dns("a.example.edu"))),
                       key_identifier(KEY_P256), extension(TLS_FEATURE_OID, SEQUENCE(integer(5))))})
BUILT(posh_acme_rsa, {.key = KEY_RSA_2048,
                         .subject = subject(0x0c, WWW),
                         .extensions = JOIN(extension(BASIC_CONSTRAINTS_OID, SEQUENCE(NOTHING)),
                             critical_extension(KEY_USAGE_OID, element(0x03, LITERAL("\x05\xa0"))),
                             san(dns("www.example.edu")), key_identifier(KEY_RSA_2048))})
/* Java's. */
BUILT(keytool, {.key = KEY_P384,
                   .subject = subject(0x13, WWW),
                   .extensions = JOIN(san(dns("www.example.edu")), key_identifier(KEY_P384))})
/* GnuTLS, as Debian's. */
BUILT(uacme, {.key = KEY_P256,
                 .subject = subject(0x0c, WWW),
                 .extensions = JOIN(san(JOIN(dns("www.example.edu"), dns("a.example.edu"))),
                     critical_extension(KEY_USAGE_OID, element(0x03, LITERAL("\x07\x80"))))})

static const struct {
    const char *name;
    octets (*make)(void);
    enum csr_key key;
    bool must_staple;
    const char *names[4]; /* sorted */
} rows[] = {
    {"openssl req -addext", openssl_req, CSR_KEY_RSA_2048, false, {"www.example.edu"}},
    {"openssl req -subj /", openssl_req_empty, CSR_KEY_EC_P256, false,
        {"*.example.edu", "192.0.2.16", "www.example.edu"}},
    {"acme.sh", acme_sh, CSR_KEY_EC_P256, false, {"a.example.edu", "www.example.edu"}},
    {"acme.sh --ocsp", acme_sh_staple, CSR_KEY_RSA_2048, true, {"www.example.edu"}},
    {"mod_md", mod_md, CSR_KEY_RSA_2048, true, {"a.example.edu", "www.example.edu"}},
    {"openssl req -config", openssl_config, CSR_KEY_RSA_3072, false, {"www.example.edu"}},
    {"certbot", certbot, CSR_KEY_EC_P256, false, {"a.example.edu", "www.example.edu"}},
    {"certbot --must-staple", certbot_rsa_staple, CSR_KEY_RSA_2048, true, {"www.example.edu"}},
    {"lego", lego, CSR_KEY_RSA_2048, false, {"www.example.edu"}},
    {"lego --must-staple", lego_p384_staple, CSR_KEY_EC_P384, true, {"www.example.edu"}},
    {"lego, wildcard", lego_wildcard, CSR_KEY_RSA_4096, false, {"*.example.edu", "example.edu"}},
    {"Go, RSA with SHA-512", go_rsa_sha512, CSR_KEY_RSA_2048, false, {"www.example.edu"}},
    {"Caddy", caddy, CSR_KEY_EC_P256, false, {"myapp1.dept.example.edu"}},
    {"cert-manager", cert_manager, CSR_KEY_RSA_2048, false, {"www.example.edu"}},
    {"cert-manager, empty subject", cert_manager_empty_subject, CSR_KEY_EC_P256, false,
        {"www.example.edu"}},
    {"win-acme", win_acme, CSR_KEY_RSA_3072, false, {"a.example.edu", "www.example.edu"}},
    {"win-acme, no common name", win_acme_no_cn, CSR_KEY_EC_P256, false, {"www.example.edu"}},
    {"Posh-ACME", posh_acme, CSR_KEY_EC_P256, true, {"a.example.edu", "www.example.edu"}},
    {"Posh-ACME, RSA", posh_acme_rsa, CSR_KEY_RSA_2048, false, {"www.example.edu"}},
    {"keytool", keytool, CSR_KEY_EC_P384, false, {"www.example.edu"}},
    {"uacme", uacme, CSR_KEY_EC_P256, false, {"a.example.edu", "www.example.edu"}},
};

static bool
names_are(const struct csr *csr, const char *const expected[4])
{
    size_t count = 0;

    while (count < 4 && expected[count] != NULL)
        count++;
    if (csr->name_count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(csr->names[i].text, expected[i]) != 0)
            return false;
    return true;
}

static void
usual_clients_pass(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        octets der = rows[i].make();
        char rule[CSR_RULE_SIZE];
        struct csr *csr = NULL;
        if (!aw_ok(csr_parse(der.data, der.size, NULL, NULL, rule, &csr))) {
            print_error("row \"%s\": %s\n", rows[i].name, aw_error_last()->message);
            failures++;
        } else if (csr->key != rows[i].key || csr->must_staple != rows[i].must_staple ||
                   !names_are(csr, rows[i].names)) {
            print_error("row \"%s\": other contents than expected\n", rows[i].name);
            failures++;
        }
        csr_free(&csr);
        builder_reset();
    }
    assert_int_equal(failures, 0);
}

static int
end(void **state)
{
    (void)state;
    builder_end();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(usual_clients_pass)};

    return cmocka_run_group_tests_name("csr_clients", tests, NULL, end);
}
