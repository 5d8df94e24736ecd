/* Signatures and MACs of JWSs (RFC 7518 3, RFC 8037 3.1). */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/openssl.h"
#include "jose/jws.h"

enum { DER_SIGNATURE_MAX = 160 }; /* SEQUENCE of two INTEGERs of 66 octets */

/* Each algorithm has one kind of key (RFC 7518 3.1); `size`: octets of an ECDSA or EdDSA signature,
 * or of the MAC. */
static const struct {
    enum jose_key key;
    const char *digest; /* NULL: the algorithm has its own */
    size_t size;        /* 0: as long as the modulus */
} algorithms[] = {
    [JOSE_ES256] = {JOSE_EC_P256, "SHA256", 64},
    [JOSE_ES384] = {JOSE_EC_P384, "SHA384", 96},
    [JOSE_ES512] = {JOSE_EC_P521, "SHA512", 132},
    [JOSE_RS256] = {JOSE_RSA, "SHA256", 0},
    [JOSE_EDDSA] = {JOSE_ED25519, NULL, 64},
    [JOSE_HS256] = {.digest = "SHA256", .size = 32},
    [JOSE_HS384] = {.digest = "SHA384", .size = 48},
    [JOSE_HS512] = {.digest = "SHA512", .size = 64},
};

static bool
is_mac(enum jose_algorithm algorithm)
{
    return algorithm >= JOSE_HS256;
}

static aw_result
refuse_signature(enum jose_fault *fault)
{
    ERR_clear_error();
    *fault = JOSE_BAD_SIGNATURE;
    return aw_fail(AW_CODE_SYNTAX, "the signature of the JWS is not one of its key");
}

static aw_result
write_der(const struct jose_jws *jws, uint8_t out[DER_SIGNATURE_MAX], size_t *size)
{
    AW_CLEANUP(aw_ecdsa_pair_free) ECDSA_SIG *signature = ECDSA_SIG_new();
    int half = (int)jws->signature_size / 2;
    BIGNUM *r = BN_bin2bn(jws->signature, half, NULL);
    BIGNUM *s = BN_bin2bn(jws->signature + half, half, NULL);
    uint8_t *end = out;

    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return aw_fail_memory();
    }
    int length = i2d_ECDSA_SIG(signature, &end);
    if (length <= 0 || length > DER_SIGNATURE_MAX)
        return aw_fail_openssl("encoding a signature");
    *size = (size_t)length;
    return AW_OK;
}

/* JWSs carry the two numbers side by side (RFC 7518 3.4), OpenSSL reads DER. */
static aw_result
signature_octets(const struct jose_jws *jws, uint8_t der[DER_SIGNATURE_MAX], const uint8_t **octets,
    size_t *size)
{
    *octets = jws->signature;
    *size = jws->signature_size;
    if (jws->algorithm > JOSE_ES512)
        return AW_OK;
    *octets = der;
    return write_der(jws, der, size);
}

static aw_result
verify(const struct jose_jws *jws, const struct jose_jwk *key, const struct jose_openssl *openssl,
    enum jose_fault *fault)
{
    AW_CLEANUP(aw_digest_context_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t der[DER_SIGNATURE_MAX];
    const uint8_t *octets;
    size_t size;

    AW_TRY(signature_octets(jws, der, &octets, &size));
    if (context == NULL || EVP_DigestVerifyInit_ex(context, NULL, algorithms[jws->algorithm].digest,
                               openssl->libctx, openssl->properties, key->key, NULL) != 1)
        return aw_fail_openssl("preparing to verify a JWS");
    if (EVP_DigestVerify(context, octets, size, (const uint8_t *)jws->input, jws->input_size) == 1)
        return AW_OK;
    return refuse_signature(fault);
}

/* A refusal counts when OpenSSL gives it twice: lacking memory, it says of good signatures that
 * they are bad, and its error queue does not always tell. */
aw_result
jose_jws_verify(struct jose_jws *jws, const struct jose_jwk *key,
    const struct jose_openssl *openssl, enum jose_fault *fault)
{
    size_t size = algorithms[jws->algorithm].size;

    *fault = JOSE_NO_FAULT;
    jws->verified = false;
    if (is_mac(jws->algorithm) || key->type != algorithms[jws->algorithm].key) {
        *fault = JOSE_BAD_KEY;
        return aw_fail(AW_CODE_SYNTAX, "the algorithm %s is not one of the account key's kind",
            jose_algorithm_name(jws->algorithm));
    }
    if (jws->signature_size != (size != 0 ? size : (size_t)EVP_PKEY_get_size(key->key)))
        return refuse_signature(fault);
    aw_result r = verify(jws, key, openssl, fault);
    if (*fault == JOSE_BAD_SIGNATURE) {
        *fault = JOSE_NO_FAULT;
        r = verify(jws, key, openssl, fault);
    }
    jws->verified = aw_ok(r);
    return r;
}

aw_result
jose_jws_verify_mac(struct jose_jws *jws, const aw_secret *key, const struct jose_openssl *openssl,
    enum jose_fault *fault)
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    size_t size = 0;

    *fault = JOSE_NO_FAULT;
    jws->verified = false;
    if (!is_mac(jws->algorithm) || key->size == 0) {
        *fault = JOSE_BAD_KEY;
        return aw_fail(AW_CODE_SYNTAX, "the algorithm %s is not one of an external account binding",
            jose_algorithm_name(jws->algorithm));
    }
    if (EVP_Q_mac(openssl->libctx, "HMAC", openssl->properties, algorithms[jws->algorithm].digest,
            NULL, key->data, key->size, (const uint8_t *)jws->input, jws->input_size, mac,
            sizeof(mac), &size) == NULL)
        return aw_fail_openssl("computing the MAC of an external account binding");
    jws->verified = size == algorithms[jws->algorithm].size && jws->signature_size == size &&
                    CRYPTO_memcmp(mac, jws->signature, size) == 0;
    OPENSSL_cleanse(mac, sizeof(mac));
    return jws->verified ? AW_OK : refuse_signature(fault);
}

void
jose_jws_known(struct jose_jws *jws)
{
    jws->verified = true;
}
