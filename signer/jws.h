/**
 * @file jws.h
 * @brief Writes what is signed: protected header and payload from typed values (RFC 7515, RFC
 * 8555 6.2).
 *
 * Nothing foreign is copied into a header or payload without having been parsed: nonces and URLs
 * are of checked forms, names canonical, DER base64url-encoded here.
 */
#ifndef AW_SIGNER_JWS_H
#define AW_SIGNER_JWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/names.h"
#include "common/result.h"

/** The protected header of a request to a CA. */
struct jws_header {
    const char
        *algorithm;  /**< "ES256", "ES384", "RS256"; "HS256" ... for an external account binding */
    const char *kid; /**< account URL, or EAB key id; exactly one of kid and jwk is set */
    const char *jwk; /**< JWK as JSON text */
    const char *nonce; /**< NULL in an external account binding (RFC 8555 7.3.4) */
    const char *url;
};

/** A JWS to be signed. */
struct jws {
    char *input; /**< BASE64URL(header) "." BASE64URL(payload), NUL-terminated */
    size_t input_size;
    size_t header_size; /**< characters before the "." */
    uint8_t digest[32]; /**< SHA-256 of the input: goes on the record */
};

/** Builds header, payload and signing input. `payload` "" is POST-as-GET. Release: jws_free. */
AW_MUST_USE aw_result jws_build(
    const struct jws_header *header, const char *payload, struct jws *out);

/** Releases and zeroes. */
void jws_free(struct jws *jws);

/** The flattened JWS as JSON text {"protected","payload","signature"}. Allocated. */
AW_MUST_USE aw_result jws_serialize(
    const struct jws *jws, const uint8_t *signature, size_t size, char **out);

/** Payloads. Each is allocated. */

/** newOrder (RFC 8555 7.4; profile: draft-ietf-acme-profiles; replaces: RFC 9773 5). NULL: left
 * out. */
struct jws_new_order {
    const struct aw_name *names;
    size_t name_count;
    const char *profile, *not_before, *not_after, *replaces;
};
AW_MUST_USE aw_result jws_payload_new_order(const struct jws_new_order *order, char **out);

/** finalize: {"csr":...}. */
AW_MUST_USE aw_result jws_payload_finalize(const uint8_t *csr, size_t size, char **out);

/** revokeCert (RFC 8555 7.6); reason -1: left out. */
AW_MUST_USE aw_result jws_payload_revoke(
    const uint8_t *certificate, size_t size, int reason, char **out);

/** newAccount (RFC 8555 7.3). */
struct jws_new_account {
    const char *const *contact;
    size_t contact_count;
    bool terms_agreed;
    bool only_existing;  /**< then nothing else is written */
    const char *binding; /**< externalAccountBinding as JSON text, or NULL */
};
AW_MUST_USE aw_result jws_payload_new_account(const struct jws_new_account *account, char **out);

#endif
