/**
 * @file own_key.h
 * @brief Requests that a private key outside of the token signs: revokeCert by a certificate's own
 * key (RFC 8555 7.6), which needs no account, and those of an account's key that is to be retired
 * (acmeward-admin account adopt).
 */
#ifndef AW_CLIENT_OWN_KEY_H
#define AW_CLIENT_OWN_KEY_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/result.h"

/** What is to be signed. */
struct own_key_request {
    const char *url;            /**< the CA's revokeCert */
    const uint8_t *certificate; /**< DER */
    size_t size;
    int reason; /**< RFC 5280 5.3.1; -1: none */
};

/**
 * Signs revokeCert with the certificate's key: ES256, ES384 or RS256, by its type.
 * @param[out] jws flattened JWS as JSON text; allocated
 * @return AW_CODE_UNSUPPORTED for another type of key
 */
AW_MUST_USE aw_result own_key_sign(
    EVP_PKEY *key, const struct own_key_request *request, const char *nonce, char **jws);

/** The public half as a JWK (RFC 7638 3.2). Allocated. AW_CODE_UNSUPPORTED. */
AW_MUST_USE aw_result own_key_jwk(const EVP_PKEY *key, char **out);

/** A request of an account that such a key signs. */
struct own_key_account_request {
    const char *kid; /**< account URL; NULL: the JWK is in the header (RFC 8555 6.2) */
    const char *nonce;
    const char *url;
    const char *payload; /**< "": POST-as-GET */
};

/** Signs it; flattened JWS as JSON text, allocated. AW_CODE_UNSUPPORTED for another type of key. */
AW_MUST_USE aw_result own_key_sign_account(
    EVP_PKEY *key, const struct own_key_account_request *request, char **jws);

/** Refuses a key that is not the certificate's: AW_CODE_MISMATCH. */
AW_MUST_USE aw_result own_key_check(const EVP_PKEY *key, const X509 *certificate);

#endif
