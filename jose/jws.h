/**
 * @file jws.h
 * @brief Flattened JWSs of ACME clients (RFC 7515 7.2.2 as RFC 8555 6.2 narrows it), read and
 * verified.
 *
 * Reading decodes the protected header and nothing of the payload: the payload is given out only
 * after jose_jws_verify() or jose_jws_verify_mac() said yes. Exactly the members protected, payload
 * and signature; no unprotected header, no second signature; a header without `crit` and `b64`;
 * duplicate members are refused at every level. Header members that nobody reads are left out of
 * account (RFC 7515 4).
 */
#ifndef AW_JOSE_JWS_H
#define AW_JOSE_JWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "common/hex.h"
#include "common/result.h"
#include "common/secret.h"
#include "jose/jwk.h"

/** Limits, in characters of base64url unless said otherwise. */
enum {
    JOSE_HEADER_MAX = 6 * 1024,
    JOSE_PAYLOAD_MAX = 160 * 1024, /**< revokes a certificate of CSR_CERTIFICATE_MAX octets */
    JOSE_SIGNATURE_MAX = 512,      /**< octets: RSA of 4096 bits */
    JOSE_NONCE_MAX = 128,          /**< characters of base64url (RFC 8555 6.5.2) */
    JOSE_URL_MAX = 2048,           /**< octets */
    JOSE_KID_MAX = 2048,           /**< octets */
};

/** Algorithms (RFC 7518 3.1, RFC 8037 3.1). */
enum jose_algorithm {
    JOSE_ES256,
    JOSE_ES384,
    JOSE_ES512,
    JOSE_RS256,
    JOSE_EDDSA,
    JOSE_HS256,
    JOSE_HS384,
    JOSE_HS512
};

/** What a JWS is for, and so what its header must hold. */
enum jose_form {
    JOSE_REQUEST, /**< a request: url, nonce, and either jwk or kid (RFC 8555 6.2); a signature */
    JOSE_BINDING, /**< an external account binding: url, kid, no nonce (7.3.4); a MAC */
    JOSE_NEW_KEY, /**< the inner JWS of a key change: url, jwk, no nonce (7.3.5); a signature */
};

/** The three members, as they came; none NULL. */
struct jose_parts {
    const char *header;  /**< "protected" */
    const char *payload; /**< "" in a POST-as-GET */
    const char *signature;
};

/** A JWS that was read. */
struct jose_jws {
    enum jose_algorithm algorithm;
    char *url;
    char *nonce;          /**< NULL: none */
    char *kid;            /**< NULL: jwk is set */
    struct jose_jwk *jwk; /**< NULL: kid is set */
    char *input;          /**< signing input: protected "." payload; NUL-terminated */
    size_t input_size;
    size_t header_size;             /**< characters before the "." */
    uint8_t digest[AW_DIGEST_SIZE]; /**< SHA-256 of the signing input */
    uint8_t signature[JOSE_SIGNATURE_MAX];
    size_t signature_size;
    bool verified;
};

/**
 * Reads a JWS by its three members. Release: jose_jws_free.
 * @param[out] fault JOSE_BAD_FORM, JOSE_BAD_ALGORITHM or JOSE_BAD_KEY for what is refused
 * @return AW_CODE_SYNTAX or AW_CODE_LIMIT with the reason
 */
AW_MUST_USE aw_result jose_jws_read(const struct jose_parts *parts, enum jose_form form,
    const struct jose_openssl *openssl, enum jose_fault *fault, struct jose_jws **out);

/** Takes the three members out of a JSON value; they point into it. AW_CODE_SYNTAX, AW_CODE_LIMIT
 */
AW_MUST_USE aw_result jose_parts_of(const cJSON *json, struct jose_parts *out);

/** jose_parts_of() and jose_jws_read(): for a JWS inside a payload. */
AW_MUST_USE aw_result jose_jws_read_json(const cJSON *json, enum jose_form form,
    const struct jose_openssl *openssl, enum jose_fault *fault, struct jose_jws **out);

/**
 * Verifies with a key, whose kind must be that of the algorithm: JOSE_BAD_KEY if not,
 * JOSE_BAD_SIGNATURE when the signature is not one of it (AW_CODE_SYNTAX).
 */
AW_MUST_USE aw_result jose_jws_verify(struct jose_jws *jws, const struct jose_jwk *key,
    const struct jose_openssl *openssl, enum jose_fault *fault);

/** Verifies the MAC of an external account binding, in constant time; otherwise likewise. */
AW_MUST_USE aw_result jose_jws_verify_mac(struct jose_jws *jws, const aw_secret *key,
    const struct jose_openssl *openssl, enum jose_fault *fault);

/** Takes it as verified without its key: by its digest the caller knows that this very signing
 * input was verified before. */
void jose_jws_known(struct jose_jws *jws);

/** True for a payload of no octets: POST-as-GET (RFC 8555 6.3). */
bool jose_jws_is_empty(const struct jose_jws *jws);

/**
 * The payload of a verified JWS: a JSON object, read in tolerant mode. Release: aw_json_free.
 * AW_CODE_SYNTAX, AW_CODE_LIMIT; AW_CODE_INTERNAL when it was not verified.
 */
AW_MUST_USE aw_result jose_jws_payload(const struct jose_jws *jws, cJSON **out);

/** Releases and nulls; NULL is allowed. */
void jose_jws_free(struct jose_jws **jws);

/** "ES256" ... */
const char *jose_algorithm_name(enum jose_algorithm algorithm);

#endif
