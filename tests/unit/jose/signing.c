#include "signing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "common/b64url.h"
#include "common/io.h"

/* These run in other programs' tests too: a failure ends the program, with or without NDEBUG. */
#define MUST(property)                                                           \
    do {                                                                         \
        if (!(property)) {                                                       \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #property); \
            abort();                                                             \
        }                                                                        \
    } while (0)

static const struct {
    const char *curve;
    const char *crv;
    size_t size;
    const char *digest;
    enum jose_algorithm algorithm;
} kinds[] = {
    [JOSE_EC_P256] = {"P-256", "P-256", 32, "SHA256", JOSE_ES256},
    [JOSE_EC_P384] = {"P-384", "P-384", 48, "SHA384", JOSE_ES384},
    [JOSE_EC_P521] = {"P-521", "P-521", 66, "SHA512", JOSE_ES512},
    [JOSE_RSA] = {NULL, NULL, 0, "SHA256", JOSE_RS256},
    [JOSE_ED25519] = {NULL, "Ed25519", 32, NULL, JOSE_EDDSA},
};

enum jose_algorithm
signing_algorithm(enum jose_key type)
{
    return kinds[type].algorithm;
}

static char *
encode(const void *bytes, size_t size)
{
    char *text = NULL;

    MUST(aw_ok(aw_b64url_encode_new(bytes, size, &text)));
    return text;
}

/* A number of the key as base64url, in `size` octets; 0: as many as it has. */
static char *
number(const EVP_PKEY *key, const char *name, size_t size)
{
    BIGNUM *value = NULL;
    unsigned char bytes[600];

    MUST(EVP_PKEY_get_bn_param(key, name, &value) == 1);
    int length = size != 0 ? BN_bn2binpad(value, bytes, (int)size) : BN_bn2bin(value, bytes);
    BN_free(value);
    MUST(length > 0);
    return encode(bytes, (size_t)length);
}

static char *
jwk_of(const struct signing_key *key)
{
    AW_CLEANUP(aw_free) char *first = NULL;
    AW_CLEANUP(aw_free) char *second = NULL;
    unsigned char raw[64];
    size_t size = sizeof(raw);
    char *text = NULL;
    int length;

    if (key->type == JOSE_RSA) {
        first = number(key->key, OSSL_PKEY_PARAM_RSA_E, 0);
        second = number(key->key, OSSL_PKEY_PARAM_RSA_N, 0);
        length = asprintf(&text, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", first, second);
    } else if (key->type == JOSE_ED25519) {
        MUST(EVP_PKEY_get_raw_public_key(key->key, raw, &size) == 1);
        first = encode(raw, size);
        length = asprintf(&text, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", first);
    } else {
        first = number(key->key, OSSL_PKEY_PARAM_EC_PUB_X, kinds[key->type].size);
        second = number(key->key, OSSL_PKEY_PARAM_EC_PUB_Y, kinds[key->type].size);
        length = asprintf(&text, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
            kinds[key->type].crv, first, second);
    }
    MUST(length > 0);
    return text;
}

char *
signing_jwk(EVP_PKEY *key, enum jose_key type)
{
    return jwk_of(&(struct signing_key){.key = key, .type = type});
}

void
signing_key_new(enum jose_key type, struct signing_key *out)
{
    out->type = type;
    if (type == JOSE_RSA)
        out->key = EVP_RSA_gen(2048);
    else if (type == JOSE_ED25519)
        out->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else
        out->key = EVP_EC_gen(kinds[type].curve);
    MUST(out->key != NULL);
    out->jwk = jwk_of(out);
}

void
signing_key_free(struct signing_key *key)
{
    EVP_PKEY_free(key->key);
    free(key->jwk);
    *key = (struct signing_key){0};
}

/* DER to the two numbers side by side (RFC 7518 3.4). */
static size_t
flatten(unsigned char *signature, size_t size, size_t half)
{
    const unsigned char *at = signature;
    ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &at, (long)size);

    MUST(numbers != NULL);
    MUST(BN_bn2binpad(ECDSA_SIG_get0_r(numbers), signature, (int)half) == (int)half);
    MUST(BN_bn2binpad(ECDSA_SIG_get0_s(numbers), signature + half, (int)half) == (int)half);
    ECDSA_SIG_free(numbers);
    return 2 * half;
}

static char *
input_of(const char *header, const char *payload, struct signing_jws *out)
{
    char *input = NULL;

    out->header = encode(header, strlen(header));
    out->payload = encode(payload, strlen(payload));
    MUST(asprintf(&input, "%s.%s", out->header, out->payload) > 0);
    return input;
}

void
signing_sign(const struct signing_key *key, enum jose_algorithm algorithm, const char *header,
    const char *payload, struct signing_jws *out)
{
    static const char *const digests[] = {"SHA256", "SHA384", "SHA512", "SHA256", NULL};
    AW_CLEANUP(aw_free) char *input = input_of(header, payload, out);
    unsigned char signature[600];
    size_t size = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    MUST(context != NULL &&
         EVP_DigestSignInit_ex(context, NULL, digests[algorithm], NULL, NULL, key->key, NULL) == 1);
    MUST(EVP_DigestSign(context, signature, &size, (const unsigned char *)input, strlen(input)) ==
         1);
    EVP_MD_CTX_free(context);
    if (key->type <= JOSE_EC_P521)
        size = flatten(signature, size, kinds[key->type].size);
    out->signature = encode(signature, size);
}

void
signing_mac(const void *key, size_t size, enum jose_algorithm algorithm, const char *header,
    const char *payload, struct signing_jws *out)
{
    static const char *const digests[] = {"SHA256", "SHA384", "SHA512"};
    AW_CLEANUP(aw_free) char *input = input_of(header, payload, out);
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t length = 0;

    MUST(algorithm >= JOSE_HS256 &&
         EVP_Q_mac(NULL, "HMAC", NULL, digests[algorithm - JOSE_HS256], NULL, key, size,
             (const unsigned char *)input, strlen(input), mac, sizeof(mac), &length) != NULL);
    out->signature = encode(mac, length);
}

char *
signing_text(const struct signing_jws *jws)
{
    char *text = NULL;

    MUST(asprintf(&text, "{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}",
             jws->header, jws->payload, jws->signature) > 0);
    return text;
}

struct jose_parts
signing_parts(const struct signing_jws *jws)
{
    return (struct jose_parts){jws->header, jws->payload, jws->signature};
}

void
signing_free(struct signing_jws *jws)
{
    free(jws->header);
    free(jws->payload);
    free(jws->signature);
    *jws = (struct signing_jws){0};
}
