#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "common/b64url.h"
#include "softhsm.h"

static int
setup(void **state)
{
    struct softhsm *h = malloc(sizeof(*h));

    softhsm_make(h);
    *state = h;
    return 0;
}

static int
teardown(void **state)
{
    softhsm_remove(*state);
    free(*state);
    return 0;
}

/* Account keys. */

static const struct {
    const char *name;
    enum token_key_type type;
    const char *algorithm;
    const char *digest;
    size_t signature_size;
} key_rows[] = {
    {"ec-p256", TOKEN_KEY_EC_P256, "ES256", "SHA256", 64},
    {"ec-p384", TOKEN_KEY_EC_P384, "ES384", "SHA384", 96},
    {"rsa-2048", TOKEN_KEY_RSA_2048, "RS256", "SHA256", 256},
    {"rsa-3072", TOKEN_KEY_RSA_3072, "RS256", "SHA256", 384},
    {"rsa-4096", TOKEN_KEY_RSA_4096, "RS256", "SHA256", 512},
};

/* r || s to DER, by another way than the code under test: through BIGNUMs and ECDSA_SIG here too,
 * but verified with the one-shot interface over the message, not over our digest. */
static int
verify_independently(
    EVP_PKEY *key, const char *digest, const uint8_t *signature, size_t size, const char *message)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char *der = NULL;
    int der_size = 0;
    int verdict;

    if (EVP_PKEY_is_a(key, "EC")) {
        ECDSA_SIG *sig = ECDSA_SIG_new();
        ECDSA_SIG_set0(sig, BN_bin2bn(signature, (int)size / 2, NULL),
            BN_bin2bn(signature + size / 2, (int)size / 2, NULL));
        der_size = i2d_ECDSA_SIG(sig, &der);
        ECDSA_SIG_free(sig);
    }
    assert_int_equal(EVP_DigestVerifyInit_ex(context, NULL, digest, NULL, NULL, key, NULL), 1);
    verdict = EVP_DigestVerify(context, der != NULL ? der : signature,
        der != NULL ? (size_t)der_size : size, (const unsigned char *)message, strlen(message));
    OPENSSL_free(der);
    EVP_MD_CTX_free(context);
    return verdict;
}

static EVP_PKEY *
public_of(const token_key *key)
{
    const uint8_t *der;
    size_t size;

    token_key_spki(key, &der, &size);
    const unsigned char *at = der;
    EVP_PKEY *public = d2i_PUBKEY(NULL, &at, (long)size);
    assert_non_null(public);
    assert_ptr_equal(at, der + size);
    return public;
}

/* RFC 7638: SHA-256 of exactly this text; the text has exactly the required members in order. */
static void
check_jwk(const token_key *key, EVP_PKEY *public, const char *name)
{
    char expected[1200];
    char *first = NULL;
    char *second = NULL;
    uint8_t digest[32];
    char thumbprint[44];
    uint8_t a[512];
    uint8_t b[512];
    BIGNUM *x = NULL;
    BIGNUM *y = NULL;
    bool ec = EVP_PKEY_is_a(public, "EC");

    assert_int_equal(
        EVP_PKEY_get_bn_param(public, ec ? OSSL_PKEY_PARAM_EC_PUB_X : OSSL_PKEY_PARAM_RSA_N, &x),
        1);
    assert_int_equal(
        EVP_PKEY_get_bn_param(public, ec ? OSSL_PKEY_PARAM_EC_PUB_Y : OSSL_PKEY_PARAM_RSA_E, &y),
        1);
    int field = EVP_PKEY_get_bits(public) / 8;
    int a_size = BN_bn2binpad(x, a, ec ? field : BN_num_bytes(x));
    int b_size = BN_bn2binpad(y, b, ec ? field : BN_num_bytes(y));
    assert_ok(aw_b64url_encode_new(a, (size_t)a_size, &first));
    assert_ok(aw_b64url_encode_new(b, (size_t)b_size, &second));
    if (ec)
        snprintf(expected, sizeof(expected),
            "{\"crv\":\"P-%d\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", field * 8, first,
            second);
    else
        snprintf(expected, sizeof(expected), "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", second,
            first);
    if (strcmp(token_key_jwk(key), expected) != 0)
        fail_msg("%s: JWK %s, expected %s", name, token_key_jwk(key), expected);
    EVP_Digest(expected, strlen(expected), digest, NULL, EVP_sha256(), NULL);
    aw_b64url_encode(digest, sizeof(digest), thumbprint);
    assert_string_equal(token_key_thumbprint(key), thumbprint);
    assert_int_equal(strlen(token_key_thumbprint(key)), 43);
    BN_free(x);
    BN_free(y);
    free(first);
    free(second);
}

static void
check_key(token *t, size_t row)
{
    static const char message[] = "eyJhbGciOiJFUzI1NiJ9.e30";
    struct token_key_report report;
    token_key *made = NULL;
    token_key *found = NULL;
    uint8_t signature[TOKEN_SIGNATURE_MAX];
    size_t size;

    assert_ok(token_key_generate(t, key_rows[row].name, key_rows[row].type, &report, &made));
    assert_string_equal(report.dropped, "");
    assert_string_equal(report.weaker, "");
    assert_true(report.always_protected);
    assert_false(report.padded);
    assert_ok(token_key_find(t, key_rows[row].name, &found));
    assert_int_equal(token_key_kind(found), key_rows[row].type);
    assert_string_equal(token_key_algorithm(found), key_rows[row].algorithm);
    assert_string_equal(token_key_jwk(found), token_key_jwk(made));
    EVP_PKEY *public = public_of(found);
    check_jwk(found, public, key_rows[row].name);
    assert_ok(token_key_sign(found, message, strlen(message), signature, &size));
    assert_int_equal(size, key_rows[row].signature_size);
    if (verify_independently(public, key_rows[row].digest, signature, size, message) != 1)
        fail_msg("%s: the signature does not verify", key_rows[row].name);
    assert_int_not_equal(
        verify_independently(public, key_rows[row].digest, signature, size, "another"), 1);
    EVP_PKEY_free(public);
    token_key_free(&made);
    token_key_free(&found);
    assert_null(found);
}

static void
test_every_key_type_signs(void **state)
{
    struct softhsm *h = *state;
    token *t = softhsm_open(h);

    for (size_t row = 0; row < AW_COUNT(key_rows); row++)
        check_key(t, row);
    token_close(&t);
    assert_null(t);
}

static void
test_names(void **state)
{
    enum token_key_type type;
    enum token_mac_algorithm algorithm;

    (void)state;
    for (size_t row = 0; row < AW_COUNT(key_rows); row++) {
        assert_string_equal(token_key_type_name(key_rows[row].type), key_rows[row].name);
        assert_true(token_key_type_parse(key_rows[row].name, &type));
        assert_int_equal(type, key_rows[row].type);
    }
    assert_false(token_key_type_parse("ec-p521", &type));
    assert_false(token_key_type_parse("", &type));
    assert_true(token_mac_algorithm_parse("HS512", &algorithm));
    assert_int_equal(algorithm, TOKEN_HS512);
    assert_string_equal(token_mac_algorithm_name(TOKEN_HS384), "HS384");
    assert_false(token_mac_algorithm_parse("hs256", &algorithm));
    assert_int_equal(token_mac_size(TOKEN_HS384), 48);
}

/* All that takes a label refuses that one. */
static void
label_is_refused(token *t, const char *label, const char *why)
{
    struct token_wrapped wrapped = {.label = label, .algorithm = TOKEN_HS256};
    AW_CLEANUP(aw_secret_free) aw_secret *value = NULL;
    struct token_key_report report;
    token_key *key = NULL;
    token_mac *mac = NULL;

    assert_ok(aw_secret_new(32, &value));
    assert_ok(aw_secret_append(value, "0123456789abcdef0123456789abcdef", 32));
    assert_fails(token_key_find(t, label, &key), AW_CODE_CONFIG, why);
    assert_fails(
        token_key_generate(t, label, TOKEN_KEY_EC_P256, &report, &key), AW_CODE_CONFIG, why);
    assert_fails(
        token_mac_import(t, label, TOKEN_HS256, value, false, &report), AW_CODE_CONFIG, why);
    assert_fails(token_mac_generate(t, label, TOKEN_HS256, &report), AW_CODE_CONFIG, why);
    assert_fails(token_mac_find(t, label, TOKEN_HS256, &mac), AW_CODE_CONFIG, why);
    assert_fails(token_mac_unwrap(t, "wrapping", &wrapped, &report), AW_CODE_CONFIG, why);
    assert_fails(token_wrapping_generate(t, label, &report), AW_CODE_CONFIG, why);
    assert_fails(token_wrapping_destroy(t, label), AW_CODE_CONFIG, why);
}

static void
test_labels_and_destruction(void **state)
{
    struct softhsm *h = *state;
    token *t = softhsm_open(h);
    struct token_key_report report;
    token_key *key = NULL;
    token_key *other = NULL;
    char longest[TOKEN_LABEL_MAX + 2];

    memset(longest, 'x', sizeof(longest));
    longest[TOKEN_LABEL_MAX + 1] = '\0';
    assert_fails(token_key_find(t, "absent", &key), AW_CODE_TOKEN_KEY_MISSING, "\"absent\"");
    label_is_refused(t, "", "1 to 128");
    label_is_refused(t, longest, "129");
    label_is_refused(t, "a\nb", "control");
    label_is_refused(t, "a\x1f", "control");
    label_is_refused(t, "\x7f", "control");
    longest[TOKEN_LABEL_MAX] = '\0';
    assert_ok(token_key_generate(t, longest, TOKEN_KEY_EC_P256, &report, &key));
    assert_fails(token_key_generate(t, longest, TOKEN_KEY_EC_P256, &report, &other), AW_CODE_EXISTS,
        "already");
    assert_ok(token_key_destroy(key));
    token_key_free(&key);
    assert_fails(token_key_find(t, longest, &key), AW_CODE_TOKEN_KEY_MISSING, "no private key");
    CK_SESSION_HANDLE session = softhsm_session();
    assert_int_equal(softhsm_find(session, CKO_PUBLIC_KEY, "xxx"), CK_INVALID_HANDLE);
    assert_ok(token_key_generate(t, longest, TOKEN_KEY_EC_P256, &report, &key));
    token_key_free(&key);
    token_close(&t);
}

/* Of a process that was killed while the token made or destroyed the pair: it is not in the way. */
static void
a_public_half_alone_takes_no_label(void **state)
{
    struct softhsm *h = *state;
    token *t = softhsm_open(h);
    CK_SESSION_HANDLE session = softhsm_session();
    struct token_key_report report;
    token_key *key = NULL;

    assert_ok(token_key_generate(t, "half", TOKEN_KEY_EC_P256, &report, &key));
    token_key_free(&key);
    CK_OBJECT_HANDLE private = softhsm_find(session, CKO_PRIVATE_KEY, "half");
    assert_int_equal(softhsm_functions()->C_DestroyObject(session, private), CKR_OK);
    for (int i = 0; i < 2; i++) {
        uint8_t signature[TOKEN_SIGNATURE_MAX];
        size_t size = sizeof(signature);

        assert_ok(token_key_generate(t, "half", TOKEN_KEY_EC_P256, &report, &key));
        token_key_free(&key);
        assert_ok(token_key_find(t, "half", &key));
        assert_ok(token_key_sign(key, "text", 4, signature, &size));
        assert_ok(token_key_destroy(key));
        token_key_free(&key);
    }
    assert_int_equal(softhsm_find(session, CKO_PRIVATE_KEY, "half"), CK_INVALID_HANDLE);
    token_close(&t);
}

/* Keys that others put there. */

struct planted {
    EVP_PKEY *key;
    uint8_t point[1 + 64];
    uint8_t scalar[32];
};

static void
plant_make(struct planted *p)
{
    BIGNUM *d = NULL;
    size_t size = 0;

    p->key = EVP_EC_gen("P-256");
    assert_non_null(p->key);
    assert_int_equal(EVP_PKEY_get_octet_string_param(
                         p->key, OSSL_PKEY_PARAM_PUB_KEY, p->point, sizeof(p->point), &size),
        1);
    assert_int_equal(size, sizeof(p->point));
    assert_int_equal(EVP_PKEY_get_bn_param(p->key, OSSL_PKEY_PARAM_PRIV_KEY, &d), 1);
    assert_int_equal(BN_bn2binpad(d, p->scalar, sizeof(p->scalar)), 32);
    BN_clear_free(d);
}

enum point_form { POINT_WRAPPED, POINT_BARE, POINT_SHORT, POINT_ABSENT };

static void
plant_public(const struct planted *p, const char *label, uint8_t id, enum point_form form)
{
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_KEY_TYPE type = CKK_EC;
    CK_BBOOL yes = CK_TRUE;
    uint8_t oid[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    uint8_t point[67] = {0x04, 0x41};
    char text[64];
    CK_OBJECT_HANDLE object;

    snprintf(text, sizeof(text), "%s", label);
    memcpy(point + 2, p->point, sizeof(p->point));
    uint8_t *start = form == POINT_BARE ? point + 2 : point;
    size_t size = form == POINT_BARE ? 65 : form == POINT_SHORT ? 60 : 67;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)},
        {CKA_KEY_TYPE, &type, sizeof(type)}, {CKA_TOKEN, &yes, 1}, {CKA_LABEL, text, strlen(text)},
        {CKA_ID, &id, 1}, {CKA_EC_PARAMS, oid, sizeof(oid)}, {CKA_EC_POINT, start, size}};
    if (form != POINT_ABSENT)
        assert_int_equal(
            softhsm_functions()->C_CreateObject(softhsm_session(), template, 7, &object), CKR_OK);
}

static void
plant_private(struct planted *p, const char *label, uint8_t id)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE type = CKK_EC;
    CK_BBOOL yes = CK_TRUE;
    uint8_t oid[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    char text[64];
    CK_OBJECT_HANDLE object;

    snprintf(text, sizeof(text), "%s", label);
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)},
        {CKA_KEY_TYPE, &type, sizeof(type)}, {CKA_TOKEN, &yes, 1}, {CKA_PRIVATE, &yes, 1},
        {CKA_SIGN, &yes, 1}, {CKA_LABEL, text, strlen(text)}, {CKA_ID, &id, 1},
        {CKA_EC_PARAMS, oid, sizeof(oid)}, {CKA_VALUE, p->scalar, sizeof(p->scalar)}};
    assert_int_equal(
        softhsm_functions()->C_CreateObject(softhsm_session(), template, 9, &object), CKR_OK);
}

static void
test_planted_keys(void **state)
{
    static const struct {
        const char *name;
        enum point_form form;
        enum aw_code code;
        const char *part;
    } rows[] = {
        {"wrapped", POINT_WRAPPED, AW_CODE_OK, ""},
        {"bare", POINT_BARE, AW_CODE_OK, ""},
        {"short", POINT_SHORT, AW_CODE_TOKEN, "no point of 65 octets"},
        {"absent", POINT_ABSENT, AW_CODE_TOKEN, "EC_POINT"},
    };
    struct softhsm *h = *state;
    token *t = softhsm_open(h);

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct planted p;
        token_key *key = NULL;
        uint8_t signature[TOKEN_SIGNATURE_MAX];
        size_t size;
        plant_make(&p);
        plant_public(&p, rows[i].name, (uint8_t)(i + 1), rows[i].form);
        plant_private(&p, rows[i].name, (uint8_t)(i + 1));
        aw_result r = token_key_find(t, rows[i].name, &key);
        if (r.code != rows[i].code)
            fail_msg("%s: %s %s", rows[i].name, aw_code_tag(r.code), aw_error_last()->message);
        if (!aw_ok(r) && strstr(aw_error_last()->message, rows[i].part) == NULL)
            fail_msg("%s: %s", rows[i].name, aw_error_last()->message);
        if (aw_ok(r)) {
            assert_ok(token_key_sign(key, "m", 1, signature, &size));
            assert_int_equal(verify_independently(p.key, "SHA256", signature, size, "m"), 1);
        }
        token_key_free(&key);
        EVP_PKEY_free(p.key);
    }
    token_close(&t);
}

/* A public object that is not the private key's: no signature is handed out. */
static void
test_wrong_signature_is_not_released(void **state)
{
    static const uint8_t zeros[TOKEN_SIGNATURE_MAX];
    struct softhsm *h = *state;
    token *t = softhsm_open(h);
    struct planted mine;
    struct planted other;
    token_key *key = NULL;
    uint8_t signature[TOKEN_SIGNATURE_MAX] = {0};
    size_t size = 1;

    plant_make(&mine);
    plant_make(&other);
    plant_private(&mine, "crossed", 9);
    plant_public(&other, "crossed", 9, POINT_WRAPPED);
    assert_ok(token_key_find(t, "crossed", &key));
    assert_fails(token_key_sign(key, "m", 1, signature, &size), AW_CODE_TOKEN, "does not verify");
    assert_int_equal(size, 0);
    assert_memory_equal(signature, zeros, sizeof(zeros));
    token_key_free(&key);
    plant_private(&other, "crossed", 10);
    assert_fails(token_key_find(t, "crossed", &key), AW_CODE_MISMATCH, "more than one");
    EVP_PKEY_free(mine.key);
    EVP_PKEY_free(other.key);
    token_close(&t);
}

/* HMAC. */

static const struct {
    const char *name;
    enum token_mac_algorithm algorithm;
    const char *digest;
    size_t key_size;
    bool force;
    enum aw_code code;
    bool padded;
} mac_rows[] = {
    {"HS256 of 32", TOKEN_HS256, "SHA256", 32, false, AW_CODE_OK, false},
    {"HS256 of 64", TOKEN_HS256, "SHA256", 64, false, AW_CODE_OK, false},
    {"HS256 of 65, over the block", TOKEN_HS256, "SHA256", 65, false, AW_CODE_OK, false},
    {"HS384 of 48", TOKEN_HS384, "SHA384", 48, false, AW_CODE_OK, false},
    {"HS512 of 64", TOKEN_HS512, "SHA512", 64, false, AW_CODE_OK, false},
    {"HS512 of 512", TOKEN_HS512, "SHA512", 512, false, AW_CODE_OK, false},
    {"HS256 of 31 refused", TOKEN_HS256, "SHA256", 31, false, AW_CODE_LIMIT, false},
    {"HS256 of 31 forced", TOKEN_HS256, "SHA256", 31, true, AW_CODE_OK, true},
    {"HS256 of 1 forced", TOKEN_HS256, "SHA256", 1, true, AW_CODE_OK, true},
    {"HS384 of 32 refused", TOKEN_HS384, "SHA384", 32, false, AW_CODE_LIMIT, false},
    {"HS384 of 32 forced", TOKEN_HS384, "SHA384", 32, true, AW_CODE_OK, true},
    {"HS512 of 48 forced", TOKEN_HS512, "SHA512", 48, true, AW_CODE_OK, true},
    {"HS256 of 32 forced needs no pad", TOKEN_HS256, "SHA256", 32, true, AW_CODE_OK, false},
    {"empty, forced", TOKEN_HS256, "SHA256", 0, true, AW_CODE_LIMIT, false},
    {"513 octets", TOKEN_HS256, "SHA256", 513, false, AW_CODE_LIMIT, false},
};

static void
check_mac(token *t, size_t row, const aw_secret *value)
{
    static const char message[] = "eyJhbGciOiJIUzI1NiJ9.payload";
    token_mac *mac = NULL;
    uint8_t got[TOKEN_MAC_MAX];
    uint8_t expected[TOKEN_MAC_MAX];
    size_t size;
    size_t expected_size;

    assert_ok(token_mac_find(t, mac_rows[row].name, mac_rows[row].algorithm, &mac));
    assert_ok(token_mac_compute(mac, message, strlen(message), got, &size));
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, mac_rows[row].digest, NULL, value->data,
        value->size, (const unsigned char *)message, strlen(message), expected, sizeof(expected),
        &expected_size));
    assert_int_equal(size, expected_size);
    assert_int_equal(size, token_mac_size(mac_rows[row].algorithm));
    if (memcmp(got, expected, size) != 0)
        fail_msg("%s: another MAC than OpenSSL's", mac_rows[row].name);
    assert_ok(token_mac_destroy(mac));
    token_mac_free(&mac);
    assert_fails(token_mac_find(t, mac_rows[row].name, mac_rows[row].algorithm, &mac),
        AW_CODE_TOKEN_KEY_MISSING, "secret key");
}

static void
test_macs(void **state)
{
    struct softhsm *h = *state;
    token *t = softhsm_open(h);

    for (size_t row = 0; row < AW_COUNT(mac_rows); row++) {
        struct token_key_report report;
        aw_secret *value = NULL;
        uint8_t random[513];
        assert_int_equal(RAND_bytes(random, sizeof(random)), 1);
        assert_ok(aw_secret_new(600, &value));
        assert_ok(aw_secret_append(value, random, mac_rows[row].key_size));
        aw_result r = token_mac_import(
            t, mac_rows[row].name, mac_rows[row].algorithm, value, mac_rows[row].force, &report);
        if (r.code != mac_rows[row].code)
            fail_msg(
                "%s: %s %s", mac_rows[row].name, aw_code_tag(r.code), aw_error_last()->message);
        if (aw_ok(r)) {
            assert_int_equal(report.padded, mac_rows[row].padded);
            assert_string_equal(report.dropped, "");
            assert_string_equal(report.weaker, "");
            check_mac(t, row, value);
        }
        aw_secret_free(&value);
    }
    token_close(&t);
}

/* An EAB key does the one HMAC it is for, and its label is taken once. */
static void
test_mac_is_bound_to_its_algorithm(void **state)
{
    struct softhsm *h = *state;
    token *t = softhsm_open(h);
    struct token_key_report report;
    aw_secret *value = NULL;
    token_mac *mac = NULL;
    uint8_t random[64];

    RAND_bytes(random, sizeof(random));
    assert_ok(aw_secret_new(64, &value));
    assert_ok(aw_secret_append(value, random, sizeof(random)));
    assert_ok(token_mac_import(t, "eab", TOKEN_HS256, value, false, &report));
    assert_fails(
        token_mac_import(t, "eab", TOKEN_HS256, value, false, &report), AW_CODE_EXISTS, "already");
    assert_fails(token_mac_find(t, "eab", TOKEN_HS512, &mac), AW_CODE_UNSUPPORTED, "C_SignInit");
    aw_secret_free(&value);
    token_close(&t);
}

/* A key that nobody ever had: it is the token's own, and no other one. */
static void
test_a_mac_key_is_born_in_the_token(void **state)
{
    static const char *const labels[] = {"relay-1", "relay-2"};
    struct softhsm *h = *state;
    token *t = softhsm_open(h);
    struct token_examination *seen = NULL;
    struct token_key_report report;
    uint8_t macs[3][TOKEN_MAC_MAX];
    size_t size = 0;

    for (size_t i = 0; i < AW_COUNT(labels); i++) {
        token_mac *mac = NULL;

        assert_ok(token_mac_generate(t, labels[i], TOKEN_HS256, &report));
        assert_string_equal(report.dropped, "");
        assert_string_equal(report.weaker, "");
        assert_true(report.always_protected);
        assert_ok(token_mac_find(t, labels[i], TOKEN_HS256, &mac));
        assert_ok(token_mac_compute(mac, "message", 7, macs[i], &size));
        assert_int_equal(size, 32);
        assert_ok(token_mac_compute(mac, "message", 7, macs[2], &size));
        assert_memory_equal(macs[i], macs[2], size);
        token_mac_free(&mac);
        assert_fails(token_mac_find(t, labels[i], TOKEN_HS512, &mac), AW_CODE_UNSUPPORTED, "");
    }
    assert_memory_not_equal(macs[0], macs[1], size);
    assert_fails(token_mac_generate(t, "relay-1", TOKEN_HS256, &report), AW_CODE_EXISTS, "already");
    assert_ok(token_examine(t, &seen));
    assert_int_equal(seen->object_count, 2);
    for (size_t i = 0; i < seen->object_count; i++) {
        assert_string_equal(seen->objects[i].faults, "");
        assert_false(seen->objects[i].value_readable);
        assert_non_null(strstr(seen->objects[i].attributes, "NEVER_EXTRACTABLE"));
    }
    token_examination_free(&seen);
    token_close(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_key_type_signs, setup, teardown),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_labels_and_destruction, setup, teardown),
        cmocka_unit_test_setup_teardown(a_public_half_alone_takes_no_label, setup, teardown),
        cmocka_unit_test_setup_teardown(test_planted_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_signature_is_not_released, setup, teardown),
        cmocka_unit_test_setup_teardown(test_macs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mac_is_bound_to_its_algorithm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_mac_key_is_born_in_the_token, setup, teardown),
    };

    return cmocka_run_group_tests_name("token_keys", tests, NULL, NULL);
}
