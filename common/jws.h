/**
 * @file jws.h
 * @brief Writes what is signed: a protected header from typed values, and the signing input (RFC
 * 7515, RFC 8555 6.2). The signer does so with account keys, the client with a certificate's own
 * key, when that revokes it (RFC 8555 7.6).
 *
 * Nothing foreign is copied into a header without having been parsed: nonces and URLs are of
 * checked forms.
 */
#ifndef AW_COMMON_JWS_H
#define AW_COMMON_JWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hex.h"
#include "common/result.h"

/** The protected header of a request to a CA. */
struct aw_jws_header {
    const char
        *algorithm;  /**< "ES256", "ES384", "RS256"; "HS256" ... for an external account binding */
    const char *kid; /**< account URL, or EAB key id; exactly one of kid and jwk is set */
    const char *jwk; /**< JWK as JSON text */
    const char *nonce; /**< NULL in an external account binding (RFC 8555 7.3.4), or with `inner` */
    const char *url;
    bool inner; /**< the new key's JWS in a key change (RFC 8555 7.3.5): jwk, and no nonce */
};

/** A JWS to be signed. */
struct aw_jws {
    char *input; /**< BASE64URL(header) "." BASE64URL(payload), NUL-terminated */
    size_t input_size;
    size_t header_size;             /**< characters before the "." */
    uint8_t digest[AW_DIGEST_SIZE]; /**< SHA-256 of the input: goes on the record */
};

/** Builds header, payload and signing input. `payload` "" is POST-as-GET. Release: aw_jws_free. */
AW_MUST_USE aw_result aw_jws_build(
    const struct aw_jws_header *header, const char *payload, struct aw_jws *out);

/** Releases and zeroes. */
void aw_jws_free(struct aw_jws *jws);

/** The flattened JWS as JSON text {"protected","payload","signature"}. Allocated. */
AW_MUST_USE aw_result aw_jws_serialize(
    const struct aw_jws *jws, const uint8_t *signature, size_t size, char **out);

/** revokeCert (RFC 8555 7.6); reason -1: left out. */
AW_MUST_USE aw_result aw_jws_payload_revoke(
    const uint8_t *certificate, size_t size, int reason, char **out);

/**
 * A reason of RFC 5280 5.3.1 that a subscriber has, in certbot's words: "unspecified" (*out is -1,
 * since no reason is better than that one, and so it is for NULL), "keycompromise",
 * "affiliationchanged", "superseded", "cessationofoperation", in any case of letters.
 * AW_CODE_USAGE for any other.
 */
AW_MUST_USE aw_result aw_jws_reason_parse(const char *text, int *out);

#endif
