/* Certificates: what is taken from one, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "common/hex.h"
#include "common/result.h"
#include "csr/csr.h"
#include "csr_builder.h"

#define SHA256_ECDSA SEQUENCE(oid("1.2.840.10045.4.3.2"))
#define ISSUER \
    SEQUENCE(rdn("2.5.4.10", 0x0c, LITERAL("CA, Ltd")), rdn("2.5.4.3", 0x0c, LITERAL("R1\x1b")))
#define TIMES \
    SEQUENCE(element(0x17, LITERAL("260101000000Z")), element(0x17, LITERAL("260401235959Z")))

/* Parts of a certificate; an empty one gets its usual value. */
struct parts {
    octets serial, issuer, times, extensions, key_info;
};

static octets
or_else(octets part, octets usual)
{
    return part.data != NULL ? part : usual;
}

/* The signature is not looked at: the CA made it, and who forged it gains nothing here. */
static octets
certificate_of(const struct parts *parts)
{
    octets names = JOIN(
        dns("www.example.edu"), dns("a.example.edu"), element(0x87, LITERAL("\xc0\0\x02\x10")));
    octets extensions = or_else(parts->extensions, san(names));
    octets to_be_signed = SEQUENCE(element(0xa0, integer(2)),
        or_else(parts->serial, element(0x02, LITERAL("\x01\xab\xcd"))), SHA256_ECDSA,
        or_else(parts->issuer, ISSUER), or_else(parts->times, TIMES), SEQUENCE(NOTHING),
        or_else(parts->key_info, public_key(KEY_P256)), element(0xa3, SEQUENCE(extensions)));

    return SEQUENCE(to_be_signed, SHA256_ECDSA, bits(LITERAL("no signature")));
}

static void
reads_a_certificate(void **state)
{
    octets der = certificate_of(&(struct parts){0});
    octets key_info = public_key(KEY_P256);
    struct certificate *certificate = NULL;
    char rule[CSR_RULE_SIZE] = "not set";
    uint8_t digest[32];

    (void)state;
    assert_true(aw_ok(certificate_parse(der.data, der.size, rule, &certificate)));
    assert_string_equal(rule, "");
    assert_int_equal(certificate->name_count, 3);
    assert_string_equal(certificate->names[0].text, "192.0.2.16");
    assert_string_equal(certificate->names[1].text, "a.example.edu");
    assert_string_equal(certificate->names[2].text, "www.example.edu");
    assert_string_equal(certificate->serial, "01abcd");
    assert_string_equal(certificate->issuer, "CN=R1\\1B,O=CA\\, Ltd");
    assert_int_equal(certificate->not_before, 1767225600);
    assert_int_equal(certificate->not_after, 1775087999);
    SHA256(key_info.data, key_info.size, digest);
    assert_memory_equal(certificate->key_digest, digest, sizeof(digest));
    SHA256(der.data, der.size, digest);
    assert_memory_equal(certificate->digest, digest, sizeof(digest));
    certificate_free(&certificate);
    assert_null(certificate);
    certificate_free(&certificate);
}

/* A certificate and the CSR it was made from name the same key. */
static void
key_digest_is_that_of_the_csr(void **state)
{
    static const enum test_key keys[] = {KEY_P256, KEY_P384, KEY_RSA_2048};
    char rule[CSR_RULE_SIZE];

    (void)state;
    for (size_t i = 0; i < AW_COUNT(keys); i++) {
        octets request = csr_of(&(struct csr_parts){.key = keys[i]});
        octets issued = certificate_of(&(struct parts){.key_info = public_key(keys[i])});
        struct certificate *certificate;
        struct csr *csr;
        assert_true(aw_ok(csr_parse(request.data, request.size, NULL, NULL, rule, &csr)));
        assert_true(aw_ok(certificate_parse(issued.data, issued.size, rule, &certificate)));
        assert_memory_equal(csr->key_digest, certificate->key_digest, AW_DIGEST_SIZE);
        csr_free(&csr);
        certificate_free(&certificate);
    }
}

static void
certificate_of_a_ca_has_no_names(void **state)
{
    octets der = certificate_of(&(struct parts){
        .extensions = extension(BASIC_CONSTRAINTS_OID, SEQUENCE(element(0x01, LITERAL("\xff"))))});
    struct certificate *certificate;
    char rule[CSR_RULE_SIZE];

    (void)state;
    assert_true(aw_ok(certificate_parse(der.data, der.size, rule, &certificate)));
    assert_int_equal(certificate->name_count, 0);
    certificate_free(&certificate);
}

/* The text is cut, never written beyond its end. */
static void
long_issuer_is_cut(void **state)
{
    char text[2000];
    memset(text, 'x', sizeof(text));
    octets issuer = SEQUENCE(rdn("2.5.4.10", 0x0c, octets_of(text, sizeof(text))));
    octets der = certificate_of(&(struct parts){.issuer = issuer});
    struct certificate *certificate;
    char rule[CSR_RULE_SIZE];

    (void)state;
    assert_true(aw_ok(certificate_parse(der.data, der.size, rule, &certificate)));
    assert_int_equal(strlen(certificate->issuer), sizeof(certificate->issuer) - 1);
    certificate_free(&certificate);
}

#define PART(name, ...)                                    \
    static octets name(void)                               \
    {                                                      \
        return certificate_of(&(struct parts)__VA_ARGS__); \
    }
#define DAY(text) element(0x17, LITERAL(text))

PART(good, {0})
PART(serial_of_21, {.serial = element(0x02, LITERAL("\x01"
                                                    "12345678901234567890"))})
PART(serial_negative, {.serial = element(0x02, LITERAL("\x81"))})
PART(serial_padded, {.serial = element(0x02, LITERAL("\0\x05"))})
PART(times_swapped, {.times = SEQUENCE(DAY("260401000000Z"), DAY("260101000000Z"))})
PART(time_is_none, {.times = SEQUENCE(DAY("269901000000Z"), DAY("270101000000Z"))})
PART(two_sans, {.extensions = JOIN(san(dns("www.example.edu")), san(dns("evil.example")))})
PART(name_twice, {.extensions = san(JOIN(dns("a.example.edu"), dns("A.example.edu")))})
PART(no_name, {.extensions = san(NOTHING)})
PART(email, {.extensions = san(element(0x81, LITERAL("a@example.edu")))})
PART(nul_in_name, {.extensions = san(element(0x82, LITERAL("www.example.edu\0.evil.example")))})
PART(odd_address, {.extensions = san(element(0x87, LITERAL("abc")))})
PART(san_not_read, {.extensions = extension(SAN_OID, LITERAL("\x04\x01x"))})
PART(octets_after_san,
    {.extensions = extension(SAN_OID, JOIN(SEQUENCE(dns("www.example.edu")), LITERAL("\x05\0")))})
PART(long_length_in_san, {.extensions = extension(SAN_OID, LITERAL("\x30\x81\x07\x82\x05"
                                                                   "a.edu"))})
PART(critical_false, {.extensions = SEQUENCE(oid(SAN_OID), element(0x01, LITERAL("\0")),
                          element(0x04, SEQUENCE(dns("www.example.edu"))))})

static octets
many_names(size_t count)
{
    octets names = NOTHING;

    for (size_t i = 0; i < count; i++) {
        char text[48];
        snprintf(text, sizeof(text), "h%zu.example.edu", i);
        names = JOIN(names, dns(text));
    }
    return san(names);
}

PART(thousand_names, {.extensions = many_names(1000)})
PART(names_over_limit, {.extensions = many_names(1001)})

static octets
after_its_end(void)
{
    return JOIN(good(), LITERAL("\0"));
}

static octets
long_length(void)
{
    octets der = good(); /* 30 82 LL LL */

    return JOIN(LITERAL("\x30\x83\0"), (octets){der.data + 2, der.size - 2});
}

static octets
cut_short(void)
{
    octets der = good();

    return (octets){der.data, der.size - 1};
}

static octets
pem(void)
{
    return LITERAL("-----BEGIN CERTIFICATE-----\n");
}

static octets
nothing(void)
{
    return NOTHING;
}

static octets
too_large(void)
{
    return (octets){
        octets_of(memset((char[CSR_CERTIFICATE_MAX + 1]){0}, 0x30, CSR_CERTIFICATE_MAX + 1),
            CSR_CERTIFICATE_MAX + 1)
            .data,
        CSR_CERTIFICATE_MAX + 1};
}

static octets
csr_instead(void)
{
    return csr_of(&(struct csr_parts){.key = KEY_P256});
}

static const struct {
    const char *name;
    octets (*make)(void);
    const char *rule;
} rows[] = {
    {"a good one", good, ""},
    {"attack 61: an octet after it", after_its_end, "certificate.trailing"},
    {"BER: longer length", long_length, "certificate.not-der"},
    {"cut short", cut_short, "certificate.structure"},
    {"PEM", pem, "certificate.structure"},
    {"a CSR", csr_instead, "certificate.structure"},
    {"nothing", nothing, "certificate.size"},
    {"over 64 KiB", too_large, "certificate.size"},
    {"serial number of 21 octets", serial_of_21, "certificate.serial"},
    {"negative serial number", serial_negative, "certificate.serial"},
    {"padded serial number", serial_padded, "certificate.structure"},
    {"ends before it begins", times_swapped, "certificate.validity"},
    {"a time that is none", time_is_none, "certificate.validity"},
    {"attack 55: two SANs", two_sans, "certificate.san.twice"},
    {"a name twice", name_twice, "certificate.names.twice"},
    {"SAN without a name", no_name, "certificate.names.count"},
    {"as many names as allowed", thousand_names, ""},
    {"a name more than the limit", names_over_limit, "certificate.names.count"},
    {"attack 62: e-mail address", email, "certificate.san.other"},
    {"attack 54: NUL in a name", nul_in_name, "certificate.san.name"},
    {"address of 3 octets", odd_address, "certificate.san.name"},
    {"SAN that is none", san_not_read, "certificate.structure"},
    {"octets after the SAN", octets_after_san, "certificate.not-der"},
    {"BER in the SAN", long_length_in_san, "certificate.not-der"},
};

static void
refusals(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        octets der = rows[i].make();
        struct certificate *certificate = NULL;
        char rule[CSR_RULE_SIZE] = "not set";
        aw_result r = certificate_parse(der.data, der.size, rule, &certificate);
        bool expected_code = aw_ok(r) ? *rows[i].rule == '\0' : r.code == AW_CODE_SYNTAX;
        if (strcmp(rule, rows[i].rule) != 0 || !expected_code ||
            aw_ok(r) != (certificate != NULL)) {
            print_error("row \"%s\": rule \"%s\", expected \"%s\"; %s\n", rows[i].name, rule,
                rows[i].rule, aw_ok(r) ? "accepted" : aw_error_last()->message);
            failures++;
        }
        certificate_free(&certificate);
        builder_reset();
    }
    assert_int_equal(failures, 0);
}

/* Odd, but it has one meaning. OpenSSL 3.0 writes it anew as it was, 3.5 leaves it out. */
static void
critical_false_is_read_or_refused(void **state)
{
    octets der = critical_false();
    struct certificate *certificate = NULL;
    char rule[CSR_RULE_SIZE] = "not set";
    aw_result r = certificate_parse(der.data, der.size, rule, &certificate);

    (void)state;
    assert_string_equal(rule, aw_ok(r) ? "" : "certificate.not-der");
    assert_true(aw_ok(r) || r.code == AW_CODE_SYNTAX);
    if (aw_ok(r)) {
        assert_int_equal(certificate->name_count, 1);
        assert_string_equal(certificate->names[0].text, "www.example.edu");
    }
    certificate_free(&certificate);
}

static int
reset(void **state)
{
    (void)state;
    builder_reset();
    return 0;
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(reads_a_certificate, reset),
        cmocka_unit_test_teardown(key_digest_is_that_of_the_csr, reset),
        cmocka_unit_test_teardown(certificate_of_a_ca_has_no_names, reset),
        cmocka_unit_test_teardown(long_issuer_is_cut, reset),
        cmocka_unit_test_teardown(refusals, reset),
        cmocka_unit_test_teardown(critical_false_is_read_or_refused, reset),
    };

    return cmocka_run_group_tests_name("certificate", tests, NULL, end);
}
