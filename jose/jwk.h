/**
 * @file jwk.h
 * @brief Public keys as JSON (RFC 7517, RFC 7518 6, RFC 8037 2), read strictly, and their
 * thumbprint (RFC 7638).
 *
 * The kinds of keys that ACME clients sign with: EC on P-256, P-384 and P-521, RSA of 2048 to 4096
 * bits with the exponent 65537, Ed25519. Each has one spelling only: coordinates of full length, a
 * modulus without leading zeros. Members that say nothing about the key (`kid`, `x5c` ...) are left
 * out of account, as RFC 7517 4 asks; a private or secret member (`d`, `k` ...) is refused.
 */
#ifndef AW_JOSE_JWK_H
#define AW_JOSE_JWK_H

#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <openssl/types.h>

#include "common/b64url.h"
#include "common/result.h"

/** Sizes. */
enum {
    JOSE_RSA_BITS_MIN = 2048,
    JOSE_RSA_BITS_MAX = 4096,
    JOSE_JWK_MAX = 1600,       /**< octets of a key's canonical text */
    JOSE_THUMBPRINT_SIZE = 32, /**< octets of SHA-256 */
    JOSE_THUMBPRINT_TEXT = AW_B64URL_LENGTH(JOSE_THUMBPRINT_SIZE) + 1, /**< base64url, with NUL */
};

/** What a reading refused, for who has to answer with a tag of its own. */
enum jose_fault {
    JOSE_NO_FAULT,      /**< success, or a failure that is no refusal: memory, OpenSSL */
    JOSE_BAD_FORM,      /**< no JWS or JWK of the form asked for */
    JOSE_BAD_ALGORITHM, /**< an algorithm that is not offered here (badSignatureAlgorithm) */
    JOSE_BAD_KEY,       /**< a key that is not accepted, or not one of the algorithm's
                           (badPublicKey) */
    JOSE_BAD_SIGNATURE, /**< the signature is not one of the key */
};

/** Where OpenSSL takes its algorithms from; zeroed: the default context. */
struct jose_openssl {
    OSSL_LIB_CTX *libctx;
    const char *properties; /**< property query; NULL: none */
};

/** Kinds of keys. */
enum jose_key { JOSE_EC_P256, JOSE_EC_P384, JOSE_EC_P521, JOSE_RSA, JOSE_ED25519 };

/** A public key. */
struct jose_jwk {
    enum jose_key type;
    char *text; /**< canonical JSON: the members of RFC 7638 3.2 only, in its order */
    uint8_t thumbprint[JOSE_THUMBPRINT_SIZE];
    EVP_PKEY *key;
};

/**
 * Has OpenSSL find all that reading and verifying needs, once, before the first of them (see
 * csr_prepare()).
 * @return AW_CODE_CRYPTO when one is not offered
 */
AW_MUST_USE aw_result jose_prepare(const struct jose_openssl *openssl);

/**
 * Reads a public key. Release: jose_jwk_free.
 * @param[out] fault JOSE_BAD_FORM or JOSE_BAD_KEY for what is refused (AW_CODE_SYNTAX)
 */
AW_MUST_USE aw_result jose_jwk_parse(const cJSON *json, const struct jose_openssl *openssl,
    enum jose_fault *fault, struct jose_jwk **out);

/** Likewise from JSON text. */
AW_MUST_USE aw_result jose_jwk_parse_text(const char *text, const struct jose_openssl *openssl,
    enum jose_fault *fault, struct jose_jwk **out);

/** The thumbprint as base64url text, as key authorizations and FindAccount have it. */
void jose_thumbprint_text(
    const uint8_t thumbprint[JOSE_THUMBPRINT_SIZE], char out[JOSE_THUMBPRINT_TEXT]);

/** Releases and nulls; NULL is allowed. */
void jose_jwk_free(struct jose_jwk **jwk);

#endif
