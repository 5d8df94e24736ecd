#include "client/own_key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "client/chain.h"
#include "common/b64url.h"
#include "common/io.h"
#include "common/jws.h"
#include "common/openssl.h"

/* Octets of the largest signature or number, RSA-16384. */
enum { NUMBER_MAX = 2048 };

/* What RFC 7518 3.1 and 6 make of a key. */
static const struct form {
    const char *type; /* as chain_key_type; NULL: any RSA key */
    const char *algorithm;
    const char *digest;
    const char *curve;
    size_t coordinate; /* octets */
} forms[] = {
    {"ec-p256", "ES256", "SHA256", "P-256", 32},
    {"ec-p384", "ES384", "SHA384", "P-384", 48},
    {NULL, "RS256", "SHA256", NULL, 0},
};

static const struct form *
form_of(const EVP_PKEY *key)
{
    const char *type = chain_key_type(key);

    for (size_t i = 0; i < AW_COUNT(forms); i++)
        if (forms[i].type == NULL ? EVP_PKEY_is_a(key, "RSA") == 1
                                  : strcmp(forms[i].type, type) == 0)
            return &forms[i];
    return NULL;
}

/* A public number of the key as base64url, of `width` octets (0: without leading zeros). */
static aw_result
number_text(const EVP_PKEY *key, const char *name, size_t width, char **out)
{
    AW_CLEANUP(aw_bn_free) BIGNUM *number = NULL;
    uint8_t octets[NUMBER_MAX];

    if (EVP_PKEY_get_bn_param(key, name, &number) != 1)
        return aw_fail_openssl("reading the public key");
    int size = width != 0 ? (int)width : BN_num_bytes(number);
    if (size > NUMBER_MAX || BN_bn2binpad(number, octets, size) != size)
        return aw_fail(AW_CODE_UNSUPPORTED, "the key is larger than any that signs");
    return aw_b64url_encode_new(octets, (size_t)size, out);
}

/* RFC 7517, with the members that RFC 7638 3.2 requires, in its order. */
static aw_result
write_jwk(const EVP_PKEY *key, const struct form *form, char **out)
{
    AW_CLEANUP(aw_free) char *first = NULL;
    AW_CLEANUP(aw_free) char *second = NULL;

    if (form->curve != NULL) {
        AW_TRY(number_text(key, OSSL_PKEY_PARAM_EC_PUB_X, form->coordinate, &first));
        AW_TRY(number_text(key, OSSL_PKEY_PARAM_EC_PUB_Y, form->coordinate, &second));
        return aw_format(out, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
            form->curve, first, second);
    }
    AW_TRY(number_text(key, OSSL_PKEY_PARAM_RSA_E, 0, &first));
    AW_TRY(number_text(key, OSSL_PKEY_PARAM_RSA_N, 0, &second));
    return aw_format(out, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", first, second);
}

/* RFC 7518 3.4: r and s, each of the curve's width, where OpenSSL gives DER. */
static aw_result
make_raw(uint8_t *signature, size_t *size, size_t width)
{
    const unsigned char *at = signature;
    AW_CLEANUP(aw_ecdsa_pair_free) ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)*size);

    if (pair == NULL || BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, (int)width) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + width, (int)width) < 0)
        return aw_fail_openssl("the signature");
    *size = 2 * width;
    return AW_OK;
}

static aw_result
sign(EVP_PKEY *key, const struct form *form, const struct aw_jws *jws, char **out)
{
    AW_CLEANUP(aw_digest_context_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t signature[NUMBER_MAX];
    size_t size = sizeof(signature);

    if (context == NULL ||
        EVP_DigestSignInit_ex(context, NULL, form->digest, NULL, NULL, key, NULL) != 1 ||
        EVP_DigestSign(
            context, signature, &size, (const unsigned char *)jws->input, jws->input_size) != 1)
        return aw_fail_openssl("signing with the certificate's key");
    if (form->coordinate != 0)
        AW_TRY(make_raw(signature, &size, form->coordinate));
    return aw_jws_serialize(jws, signature, size, out);
}

aw_result
own_key_sign(EVP_PKEY *key, const struct own_key_request *request, const char *nonce, char **jws)
{
    AW_CLEANUP(aw_jws_free) struct aw_jws built = {0};
    AW_CLEANUP(aw_free) char *jwk = NULL;
    AW_CLEANUP(aw_free) char *payload = NULL;
    const struct form *form = form_of(key);

    if (form == NULL)
        return aw_fail(AW_CODE_UNSUPPORTED,
            "the certificate's key is neither on P-256 or P-384 nor RSA: it can't sign here");
    AW_TRY(write_jwk(key, form, &jwk));
    AW_TRY(aw_jws_payload_revoke(request->certificate, request->size, request->reason, &payload));
    AW_TRY(aw_jws_build(
        &(struct aw_jws_header){
            .algorithm = form->algorithm, .jwk = jwk, .nonce = nonce, .url = request->url},
        payload, &built));
    return sign(key, form, &built, jws);
}

static aw_result
unsupported(void)
{
    return aw_fail(AW_CODE_UNSUPPORTED, "the key is neither on P-256 or P-384 nor RSA");
}

aw_result
own_key_jwk(const EVP_PKEY *key, char **out)
{
    const struct form *form = form_of(key);

    return form == NULL ? unsupported() : write_jwk(key, form, out);
}

aw_result
own_key_sign_account(EVP_PKEY *key, const struct own_key_account_request *request, char **jws)
{
    AW_CLEANUP(aw_jws_free) struct aw_jws built = {.input = NULL};
    AW_CLEANUP(aw_free) char *jwk = NULL;
    const struct form *form = form_of(key);

    if (form == NULL)
        return unsupported();
    if (request->kid == NULL)
        AW_TRY(write_jwk(key, form, &jwk));
    AW_TRY(aw_jws_build(&(struct aw_jws_header){.algorithm = form->algorithm,
                            .kid = request->kid,
                            .jwk = jwk,
                            .nonce = request->nonce,
                            .url = request->url},
        request->payload, &built));
    return sign(key, form, &built, jws);
}

aw_result
own_key_check(const EVP_PKEY *key, const X509 *certificate)
{
    const EVP_PKEY *its_key = X509_get0_pubkey(certificate);

    if (its_key != NULL && EVP_PKEY_eq(its_key, key) == 1)
        return AW_OK;
    ERR_clear_error();
    return aw_hint(aw_fail(AW_CODE_MISMATCH, "the key is not the certificate's"),
        "nothing was sent; --key-path names the private key that belongs to the certificate");
}
