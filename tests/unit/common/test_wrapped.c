/* EAB keys wrapped on a workstation: length, check value, the file; unwrapped here by OpenSSL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/wrapped.h"

static EVP_PKEY *pair;
static unsigned char *spki;
static size_t spki_size;

static int
setup(void **state)
{
    (void)state;
    pair = EVP_RSA_gen(3072);
    spki_size = (size_t)i2d_PUBKEY(pair, &spki);
    return pair == NULL;
}

static int
teardown(void **state)
{
    (void)state;
    OPENSSL_free(spki);
    EVP_PKEY_free(pair);
    return 0;
}

static void
random_key(size_t size, aw_secret **out)
{
    assert_true(aw_ok(aw_secret_new(600, out)));
    assert_int_equal(RAND_bytes((*out)->data, (int)size), 1);
    (*out)->size = size;
}

static void
decrypt(const char *wrapped, uint8_t out[384], size_t *size)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pair, NULL);
    uint8_t octets[384];
    size_t length = 0;

    assert_true(aw_ok(aw_b64url_decode(wrapped, strlen(wrapped), octets, sizeof(octets), &length)));
    assert_int_equal(EVP_PKEY_decrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING), 1);
    *size = 384;
    assert_int_equal(EVP_PKEY_decrypt(context, out, size, octets, length), 1);
    EVP_PKEY_CTX_free(context);
}

static void
mac_of(const char *digest, const void *key, size_t key_size, const void *input, size_t input_size,
    char *text)
{
    uint8_t mac[64];
    size_t size = 0;

    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, key, key_size, input, input_size,
        mac, sizeof(mac), &size));
    aw_b64url_encode(mac, size, text);
}

static const struct {
    const char *name, *algorithm, *digest;
    size_t key, block;
    bool force;
    enum aw_code code;
} rows[] = {
    {"usual", "HS256", "SHA256", 32, 64, false, AW_CODE_OK},
    {"of a block", "HS256", "SHA256", 64, 64, false, AW_CODE_OK},
    {"longer than a block", "HS256", "SHA256", 65, 64, false, AW_CODE_OK},
    {"longest", "HS256", "SHA256", 512, 64, false, AW_CODE_OK},
    {"HS384", "HS384", "SHA384", 48, 128, false, AW_CODE_OK},
    {"HS512", "HS512", "SHA512", 64, 128, false, AW_CODE_OK},
    {"HS512, longest", "HS512", "SHA512", 512, 128, false, AW_CODE_OK},
    {"short", "HS256", "SHA256", 31, 64, false, AW_CODE_LIMIT},
    {"short, forced", "HS256", "SHA256", 16, 64, true, AW_CODE_OK},
    {"short for HS512", "HS512", "SHA512", 63, 128, false, AW_CODE_LIMIT},
    {"empty", "HS256", "SHA256", 0, 64, true, AW_CODE_LIMIT},
    {"too long", "HS256", "SHA256", 513, 64, true, AW_CODE_LIMIT},
    {"no such algorithm", "HS1", "SHA256", 64, 64, false, AW_CODE_UNSUPPORTED},
};

/* What arrives makes the same MACs as the key that the CA gave, and has the block's length. */
static void
check_wrapped(size_t i, const aw_secret *key, const char *file)
{
    AW_CLEANUP(aw_wrapped_free) struct aw_wrapped read = {.json = NULL};
    AW_CLEANUP(aw_free) uint8_t *text = NULL;
    uint8_t block[384];
    char given[128], got[128];
    size_t size = 0, text_size = 0;

    assert_true(aw_ok(aw_wrapped_parse(file, strlen(file), &read)));
    assert_int_equal(read.terms.bits, key->size * 8);
    decrypt(read.wrapped, block, &size);
    if (size != rows[i].block)
        fail_msg("%s: %zu octets", rows[i].name, size);
    mac_of(rows[i].digest, key->data, key->size, "eyJh.eyJi", 9, given);
    mac_of(rows[i].digest, block, size, "eyJh.eyJi", 9, got);
    assert_string_equal(given, got);
    assert_true(aw_ok(aw_wrapped_check_text(&read.terms, &text, &text_size)));
    assert_int_equal(text[0], 0); /* no JWS begins so */
    mac_of(rows[i].digest, key->data, key->size, text, text_size, given);
    assert_string_equal(read.check, given);
}

static void
keys_of_all_lengths_arrive(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
        AW_CLEANUP(aw_free) char *file = NULL;
        const struct aw_wrapped_terms terms = {
            .ca = "ca1", .kid = "kid \"\n1", .algorithm = rows[i].algorithm};

        random_key(rows[i].key, &key);
        aw_result r = aw_wrapped_make(&terms, key, spki, spki_size, rows[i].force, &file);
        if (r.code != rows[i].code)
            fail_msg("%s: %s", rows[i].name, aw_code_tag(r.code));
        if (aw_ok(r))
            check_wrapped(i, key, file);
    }
}

/* Each of the terms is in the check value. */
static void
the_check_value_is_bound_to_all_terms(void **state)
{
    static const char hex[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const char other[] = "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const struct aw_wrapped_terms terms[] = {
        {"a", "k", "HS256", 256, hex},
        {"b", "k", "HS256", 256, hex},
        {"a", "l", "HS256", 256, hex},
        {"a", "k", "HS384", 256, hex},
        {"a", "k", "HS256", 264, hex},
        {"a", "k", "HS256", 256, other},
        {"a\",\"k", "", "HS256", 256, hex},
    };
    uint8_t *texts[AW_COUNT(terms)];
    size_t sizes[AW_COUNT(terms)];

    (void)state;
    for (size_t i = 0; i < AW_COUNT(terms); i++) {
        assert_true(aw_ok(aw_wrapped_check_text(&terms[i], &texts[i], &sizes[i])));
        for (size_t j = 0; j < i; j++)
            assert_false(sizes[i] == sizes[j] && memcmp(texts[i], texts[j], sizes[i]) == 0);
    }
    for (size_t i = 0; i < AW_COUNT(terms); i++)
        free(texts[i]);
}

static void
other_keys_are_not_wrapped_to(void **state)
{
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
    AW_CLEANUP(aw_free) char *file = NULL;
    const struct aw_wrapped_terms terms = {.ca = "a", .kid = "k", .algorithm = "HS256"};
    EVP_PKEY *others[] = {EVP_RSA_gen(2048), EVP_EC_gen("P-256")};

    (void)state;
    random_key(32, &key);
    for (size_t i = 0; i < AW_COUNT(others); i++) {
        unsigned char *der = NULL;
        int size = i2d_PUBKEY(others[i], &der);

        assert_int_equal(aw_wrapped_make(&terms, key, der, (size_t)size, false, &file).code,
            AW_CODE_UNSUPPORTED);
        OPENSSL_free(der);
        EVP_PKEY_free(others[i]);
    }
    assert_false(aw_ok(aw_wrapped_make(&terms, key, spki, spki_size - 1, false, &file)));
}

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define FILE_OF(form, version, bits, hex, rest)                                   \
    "{\"form\":\"" form "\",\"version\":" version ",\"ca\":\"a\",\"kid\":\"k\","  \
    "\"algorithm\":\"HS256\",\"bits\":" bits ",\"encryption\":\"RSA-OAEP-SHA1\"," \
    "\"wrapping_key\":\"" hex "\",\"wrapped\":\"AAAA\",\"check\":\"AAAA\"" rest "}"
#define FORM "acmeward wrapped EAB key"

static void
a_file_is_read_strictly(void **state)
{
    static const struct {
        const char *name, *text;
        bool good;
    } files[] = {
        {"good", FILE_OF(FORM, "1", "256", HEX, ""), true},
        {"a line's end behind it", FILE_OF(FORM, "1", "256", HEX, "") "\n", true},
        {"another form", FILE_OF("x", "1", "256", HEX, ""), false},
        {"another version", FILE_OF(FORM, "2", "256", HEX, ""), false},
        {"no bits", FILE_OF(FORM, "1", "0", HEX, ""), false},
        {"fingerprint in capitals", FILE_OF(FORM, "1", "256", "ABCD", ""), false},
        {"more members", FILE_OF(FORM, "1", "256", HEX, ",\"key\":\"x\""), false},
        {"a member twice", FILE_OF(FORM, "1", "256", HEX, ",\"ca\":\"b\""), false},
        {"more behind it", FILE_OF(FORM, "1", "256", HEX, "") "x", false},
        {"nothing", "", false},
        {"a PEM file", "-----BEGIN PUBLIC KEY-----\n", false},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(files); i++) {
        AW_CLEANUP(aw_wrapped_free) struct aw_wrapped read = {.json = NULL};

        if (aw_ok(aw_wrapped_parse(files[i].text, strlen(files[i].text), &read)) != files[i].good)
            fail_msg("%s", files[i].name);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_all_lengths_arrive),
        cmocka_unit_test(the_check_value_is_bound_to_all_terms),
        cmocka_unit_test(other_keys_are_not_wrapped_to),
        cmocka_unit_test(a_file_is_read_strictly),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
