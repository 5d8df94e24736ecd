/* Revocation with the certificate's own key (RFC 8555 7.6), and the end of its files. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "authority.h"
#include "client/chain.h"
#include "client/own_key.h"
#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"

#define URL "https://ca.example.net/revoke"

static const uint8_t der[] = {0x30, 0x03, 0x02, 0x01, 0x05};

/* A member of an object, decoded. */
static uint8_t *
octets_of(const cJSON *object, const char *name, size_t *size)
{
    const char *text = cJSON_GetStringValue(aw_json_member(object, name));
    uint8_t *octets = NULL;

    assert_non_null(text);
    assert_true(aw_ok(aw_b64url_decode_new(text, strlen(text), &octets, size)));
    return octets;
}

static cJSON *
parse(const char *text, size_t size)
{
    cJSON *json = NULL;

    assert_true(aw_ok(aw_json_parse(text, size, AW_JSON_STRICT, &json)));
    return json;
}

/* The public key as another reader makes it of the header's jwk. */
static EVP_PKEY *
key_of_jwk(const cJSON *jwk)
{
    bool rsa = strcmp(cJSON_GetStringValue(aw_json_member(jwk, "kty")), "RSA") == 0;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, rsa ? "RSA" : "EC", NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    size_t a_size, b_size;
    uint8_t *a = octets_of(jwk, rsa ? "n" : "x", &a_size);
    uint8_t *b = octets_of(jwk, rsa ? "e" : "y", &b_size);
    uint8_t point[133] = {4};
    BIGNUM *n = BN_bin2bn(a, (int)a_size, NULL), *e = BN_bin2bn(b, (int)b_size, NULL);

    if (rsa) {
        assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n), 1);
        assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e), 1);
    } else {
        assert_true(1 + a_size + b_size <= sizeof(point));
        memcpy(point + 1, a, a_size);
        memcpy(point + 1 + a_size, b, b_size);
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
            cJSON_GetStringValue(aw_json_member(jwk, "crv")), 0);
        OSSL_PARAM_BLD_push_octet_string(
            builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + a_size + b_size);
    }
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(context);
    BN_free(n);
    BN_free(e);
    free(a);
    free(b);
    return key;
}

/* r and s become DER again, for OpenSSL. */
static void
to_der(uint8_t **signature, size_t *size)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    uint8_t *made = NULL;
    int half = (int)*size / 2;

    assert_int_equal(ECDSA_SIG_set0(pair, BN_bin2bn(*signature, half, NULL),
                         BN_bin2bn(*signature + half, half, NULL)),
        1);
    int length = i2d_ECDSA_SIG(pair, &made);
    assert_true(length > 0);
    free(*signature);
    *signature = malloc((size_t)length);
    memcpy(*signature, made, (size_t)length);
    *size = (size_t)length;
    OPENSSL_free(made);
    ECDSA_SIG_free(pair);
}

static void
check_signature(const char *row, const cJSON *jws, EVP_PKEY *key, const char *digest, size_t width)
{
    char *input = NULL;
    size_t size;
    uint8_t *signature = octets_of(jws, "signature", &size);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    assert_true(
        aw_ok(aw_format(&input, "%s.%s", cJSON_GetStringValue(aw_json_member(jws, "protected")),
            cJSON_GetStringValue(aw_json_member(jws, "payload")))));
    if (width != 0) {
        assert_int_equal(size, 2 * width);
        to_der(&signature, &size);
    }
    assert_int_equal(EVP_DigestVerifyInit_ex(context, NULL, digest, NULL, NULL, key, NULL), 1);
    if (EVP_DigestVerify(context, signature, size, (const uint8_t *)input, strlen(input)) != 1)
        fail_msg("%s: the signature is not that of the jwk", row);
    EVP_MD_CTX_free(context);
    free(signature);
    free(input);
}

static void
check_header(const char *row, const cJSON *header, const char *algorithm)
{
    static const char *const members[] = {"alg", "jwk", "nonce", "url"};

    if (!aw_ok(aw_json_only(header, members, AW_COUNT(members))))
        fail_msg("%s: %s", row, aw_error_last()->message);
    assert_string_equal(cJSON_GetStringValue(aw_json_member(header, "alg")), algorithm);
    assert_string_equal(cJSON_GetStringValue(aw_json_member(header, "nonce")), "nonce-1");
    assert_string_equal(cJSON_GetStringValue(aw_json_member(header, "url")), URL);
}

static void
check_jws(const char *row, const char *text, EVP_PKEY *key, const char *algorithm,
    const char *digest, size_t width)
{
    cJSON *jws = parse(text, strlen(text));
    size_t size;
    uint8_t *octets = octets_of(jws, "protected", &size);
    cJSON *header = parse((const char *)octets, size);
    EVP_PKEY *from_jwk = key_of_jwk(aw_json_member(header, "jwk"));

    check_header(row, header, algorithm);
    assert_int_equal(EVP_PKEY_eq(from_jwk, key), 1);
    check_signature(row, jws, from_jwk, digest, width);
    free(octets);
    octets = octets_of(jws, "payload", &size);
    char *payload = strndup((const char *)octets, size);
    assert_string_equal(payload, "{\"certificate\":\"MAMCAQU\",\"reason\":1}");
    free(payload);
    free(octets);
    EVP_PKEY_free(from_jwk);
    cJSON_Delete(header);
    cJSON_Delete(jws);
}

/* Many times, so that numbers with leading zeros are among them. */
static void
attack_41_each_key_signs_its_own_revocation(void **state)
{
    static const struct {
        const char *type, *algorithm, *digest;
        size_t width;
        int times;
    } rows[] = {
        {"ec-p256", "ES256", "SHA256", 32, 600},
        {"ec-p384", "ES384", "SHA384", 48, 100},
        {"rsa-2048", "RS256", "SHA256", 0, 1},
        {"rsa-3072", "RS256", "SHA256", 0, 1},
    };
    const struct own_key_request request = {URL, der, sizeof(der), 1};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        for (int n = 0; n < rows[i].times; n++) {
            EVP_PKEY *key = NULL;
            char *jws = NULL;

            assert_true(aw_ok(chain_key_generate(NULL, rows[i].type, &key)));
            assert_true(aw_ok(own_key_sign(key, &request, "nonce-1", &jws)));
            check_jws(rows[i].type, jws, key, rows[i].algorithm, rows[i].digest, rows[i].width);
            free(jws);
            EVP_PKEY_free(key);
        }
    }
}

static void
other_keys_are_refused(void **state)
{
    const struct own_key_request request = {URL, der, sizeof(der), -1};
    EVP_PKEY *keys[] = {
        EVP_EC_gen("P-521"), EVP_EC_gen("secp256k1"), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    char *jws = NULL;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(keys); i++) {
        assert_int_equal(own_key_sign(keys[i], &request, "n", &jws).code, AW_CODE_UNSUPPORTED);
        assert_null(jws);
        EVP_PKEY_free(keys[i]);
    }
}

static void
attack_41_another_key_is_refused(void **state)
{
    struct party one = authority_make(NULL, &(struct wish){.subject = "one"});
    struct party other = authority_make(NULL, &(struct wish){.subject = "other"});
    EVP_PKEY *rsa = EVP_RSA_gen(2048);

    (void)state;
    assert_true(aw_ok(own_key_check(one.key, one.certificate)));
    assert_int_equal(own_key_check(other.key, one.certificate).code, AW_CODE_MISMATCH);
    assert_int_equal(own_key_check(rsa, one.certificate).code, AW_CODE_MISMATCH);
    authority_free(&one);
    authority_free(&other);
    EVP_PKEY_free(rsa);
}

/* A key's file: what is in it, its mode. */
static void
keys_are_read_from_files(void **state)
{
    static const struct {
        const char *name, *text; /* NULL: the key itself */
        mode_t mode;
        enum aw_code code;
    } rows[] = {
        {"good", NULL, 0600, AW_CODE_OK},
        {"a group may read it", NULL, 0640, AW_CODE_OK},
        {"everybody may read it", NULL, 0644, AW_CODE_PERMISSION},
        {"no key", "text\n", 0600, AW_CODE_CRYPTO},
        {"empty", "", 0600, AW_CODE_CRYPTO},
    };
    EVP_PKEY *key = EVP_EC_gen("P-256");
    char *pem = authority_key_pem(key);

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        char path[] = "/tmp/acmeward-key-XXXXXX";
        const char *text = rows[i].text == NULL ? pem : rows[i].text;
        EVP_PKEY *read = NULL;
        int fd = mkstemp(path);

        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        assert_int_equal(fchmod(fd, rows[i].mode), 0);
        close(fd);
        if (chain_key_read(path, "the key", &read).code != rows[i].code)
            fail_msg("%s: %s", rows[i].name, aw_error_last()->message);
        if (rows[i].code == AW_CODE_OK)
            assert_int_equal(EVP_PKEY_eq(read, key), 1);
        EVP_PKEY_free(read);
        unlink(path);
    }
    free(pem);
    EVP_PKEY_free(key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_41_each_key_signs_its_own_revocation),
        cmocka_unit_test(other_keys_are_refused),
        cmocka_unit_test(attack_41_another_key_is_refused),
        cmocka_unit_test(keys_are_read_from_files),
    };

    return cmocka_run_group_tests_name("own_key", tests, NULL, NULL);
}
