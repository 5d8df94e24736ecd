/* What the relay says of its certificate: its end, and whether it is for the host of its URL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "common/result.h"
#include "relay/tls_advice.h"

enum { DAY = 24 * 3600 };

static const struct {
    const char *name, *url, *names;
    long from, until;   /* seconds from now */
    const char *advice; /* empty: none */
} rows[] = {
    {"good", "https://acme.example.edu:14443", "DNS:acme.example.edu", -DAY, 90 * DAY, ""},
    {"below a path", "https://acme.example.edu/x", "DNS:acme.example.edu", -DAY, 90 * DAY, ""},
    {"wildcard", "https://acme.example.edu", "DNS:*.example.edu", -DAY, 90 * DAY, ""},
    {"address", "https://192.0.2.1:443", "IP:192.0.2.1", -DAY, 90 * DAY, ""},
    {"IPv6", "https://[2001:db8::1]:443", "IP:2001:db8::1", -DAY, 90 * DAY, ""},
    {"15 days", "https://a.example.edu", "DNS:a.example.edu", -DAY, 15 * DAY, ""},
    {"13 days", "https://a.example.edu", "DNS:a.example.edu", -DAY, 13 * DAY + 60,
        "expires in 13 days"},
    {"an hour", "https://a.example.edu", "DNS:a.example.edu", -DAY, 3600, "expires in 0 days"},
    {"expired", "https://a.example.edu", "DNS:a.example.edu", -2 * DAY, -60, "has expired"},
    {"not yet", "https://a.example.edu", "DNS:a.example.edu", 3 * DAY + 60, 90 * DAY,
        "not valid before 3 days"},
    {"another host", "https://a.example.edu:1", "DNS:b.example.edu", -DAY, 90 * DAY,
        "not for a.example.edu"},
    {"another address", "https://[2001:db8::1]", "IP:2001:db8::2", -DAY, 90 * DAY,
        "not for 2001:db8::1"},
};

static X509 *
make(const char *names, long from, long until)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

    assert_non_null(extension);
    assert_int_equal(X509_set_version(certificate, 2), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), from);
    X509_gmtime_adj(X509_getm_notAfter(certificate), until);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    X509_EXTENSION_free(extension);
    EVP_PKEY_free(key);
    return certificate;
}

static void
what_clients_will_not_like_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        char text[RELAY_TLS_ADVICE_SIZE];
        X509 *certificate = make(rows[i].names, rows[i].from, rows[i].until);

        relay_tls_advise(certificate, rows[i].url, text);
        X509_free(certificate);
        if (rows[i].advice[0] == '\0' ? text[0] != '\0' : strstr(text, rows[i].advice) == NULL)
            fail_msg("%s: \"%s\", expected \"%s\"", rows[i].name, text, rows[i].advice);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_clients_will_not_like_is_told)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
