/* RFC 9773: what a CA may answer, the identifier of its section 4.1, the choice of a time. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "client/ari.h"
#include "common/io.h"

#define WINDOW(start, end) "{\"suggestedWindow\":{\"start\":\"" start "\",\"end\":\"" end "\"}}"

static const struct {
    const char *name;
    const char *text;
    int64_t start, end;
    const char *fault; /* NULL: none */
} rows[] = {
    {"RFC 9773 4.2", WINDOW("2025-01-02T04:00:00Z", "2025-01-03T04:00:00Z"), 1735790400, 1735876800,
        NULL},
    {"fractions", WINDOW("2025-01-02T04:00:00.123456789Z", "2025-01-03T04:00:00.9Z"), 1735790400,
        1735876800, NULL},
    {"offsets", WINDOW("2025-01-02T05:30:00+01:30", "2025-01-02T23:00:00-05:00"), 1735790400,
        1735876800, NULL},
    {"a moment", WINDOW("2025-01-02T04:00:00Z", "2025-01-02T04:00:00Z"), 1735790400, 1735790400,
        NULL},
    {"end before start", WINDOW("2025-01-03T04:00:00Z", "2025-01-02T04:00:00Z"), 0, 0, "before"},
    {"no zone", WINDOW("2025-01-02T04:00:00", "2025-01-03T04:00:00Z"), 0, 0,
        "start: expected a time"},
    {"a date", WINDOW("2025-01-02", "2025-01-03"), 0, 0, "expected a time"},
    {"text behind", WINDOW("2025-01-02T04:00:00Zx", "2025-01-03T04:00:00Z"), 0, 0,
        "expected a time"},
    {"offset of 99 hours", WINDOW("2025-01-02T04:00:00+99:00", "2025-01-03T04:00:00Z"), 0, 0,
        "expected a time"},
    {"numbers", "{\"suggestedWindow\":{\"start\":1,\"end\":2}}", 0, 0, "start"},
    {"no window", "{}", 0, 0, "suggestedWindow"},
    {"a list", "[]", 0, 0, "renewal information"},
    {"no JSON", "<html>", 0, 0, "renewal information"},
};

static void
test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct ari ari;

        aw_result r = ari_parse(rows[i].text, strlen(rows[i].text), &ari);
        if (aw_ok(r) != (rows[i].fault == NULL))
            fail_msg("%s: %s", rows[i].name, aw_code_tag(r.code));
        if (!aw_ok(r) && strstr(aw_error_last()->message, rows[i].fault) == NULL)
            fail_msg("%s: %s", rows[i].name, aw_error_last()->message);
        if (ari.start != rows[i].start || ari.end != rows[i].end)
            fail_msg("%s: %lld to %lld", rows[i].name, (long long)ari.start, (long long)ari.end);
        ari_free(&ari);
    }
}

static void
test_explanation_is_safe_for_a_terminal(void **state)
{
    static const char text[] =
        "{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\",\"end\":"
        "\"2025-01-02T04:00:00Z\"},\"explanationURL\":\"https://x/\\u001b[2J\"}";
    struct ari ari;

    (void)state;
    if (aw_ok(ari_parse(text, strlen(text), &ari)))
        assert_true(ari.explanation == NULL || strchr(ari.explanation, '\033') == NULL);
    ari_free(&ari);
}

/* The example of RFC 9773 4.1: key identifier
 * 69:88:5b:6b:87:46:40:41:e1:b3:7b:84:7b:a0:ae:2c:de:01: c8:d4, serial number 00:87:65:43:21, whose
 * leading zero counts. */
static void
test_identifier_of_the_rfc(void **state)
{
    static const unsigned char issuer[] = {0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1,
        0xb3, 0x7b, 0x84, 0x7b, 0xa0, 0xae, 0x2c, 0xde, 0x01, 0xc8, 0xd4};
    X509 *certificate = X509_new(), *bare = X509_new();
    AUTHORITY_KEYID *key = AUTHORITY_KEYID_new();
    AW_CLEANUP(aw_free) char *id = NULL;

    (void)state;
    assert_non_null(certificate);
    assert_non_null(bare);
    assert_int_equal(ari_id(bare, &id).code, AW_CODE_NOT_FOUND);
    assert_int_equal(ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), 0x87654321), 1);
    key->keyid = ASN1_OCTET_STRING_new();
    assert_int_equal(ASN1_OCTET_STRING_set(key->keyid, issuer, sizeof(issuer)), 1);
    assert_int_equal(X509_add1_ext_i2d(certificate, NID_authority_key_identifier, key, 0, 0), 1);
    assert_true(aw_ok(ari_id(certificate, &id)));
    assert_string_equal(id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
    AUTHORITY_KEYID_free(key);
    X509_free(certificate);
    X509_free(bare);
}

static void
test_choice_is_within_the_window(void **state)
{
    const struct ari ari = {.start = 100, .end = 103};
    unsigned seen[4] = {0};

    (void)state;
    for (unsigned i = 0; i < 4000; i++) {
        int64_t chosen = 0;

        assert_true(aw_ok(ari_choose(&ari, &chosen)));
        assert_true(chosen >= ari.start && chosen <= ari.end);
        seen[chosen - ari.start]++;
    }
    for (size_t i = 0; i < AW_COUNT(seen); i++)
        assert_in_range(seen[i], 800, 1200); /* 1000 +- 7 standard deviations */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_explanation_is_safe_for_a_terminal),
        cmocka_unit_test(test_identifier_of_the_rfc),
        cmocka_unit_test(test_choice_is_within_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
