/**
 * @file evidence.h
 * @brief What an ACME client signed, read: from its JWS and payload to typed parameters.
 *
 * Pure functions of the evidence; who signed, and whether it counts, is prove.h's. Each names the
 * tag of the rule that refuses (AW_CODE_SYNTAX, AW_CODE_LIMIT, AW_CODE_UNSUPPORTED,
 * AW_CODE_MISMATCH); a failure with the tag NULL is no refusal.
 */
#ifndef AW_SIGNER_EVIDENCE_H
#define AW_SIGNER_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "jose/jws.h"
#include "signer/request.h"

/** Tags of refusals. */
#define EVIDENCE_FORM "evidence.form"               /**< no JWS or payload of RFC 8555 */
#define EVIDENCE_ALGORITHM "evidence.algorithm"     /**< not offered: ES256 ... EdDSA */
#define EVIDENCE_KEY "evidence.key"                 /**< a key that is not accepted */
#define EVIDENCE_SIGNATURE "evidence.signature"     /**< not one of the key */
#define EVIDENCE_URL "evidence.url"                 /**< signed for another URL */
#define EVIDENCE_NONCE "evidence.nonce"             /**< unknown, too old or used */
#define EVIDENCE_ACCOUNT "evidence.account"         /**< unknown or deactivated */
#define EVIDENCE_IDENTIFIERS "evidence.identifiers" /**< names that are none */
#define EVIDENCE_BINDING "evidence.binding" /**< external account binding missing or wrong */

/** Reads the evidence's JWS. Release: jose_jws_free. */
AW_MUST_USE aw_result evidence_open(const struct sign_evidence *evidence,
    const struct jose_openssl *openssl, const char **rule, struct jose_jws **out);

/** Verifies it with the key. */
AW_MUST_USE aw_result evidence_verify(struct jose_jws *jws, const struct jose_jwk *key,
    const struct jose_openssl *openssl, const char **rule);

/** The account's id in a kid (BASE/acme/account/ID); 0: it is none of that base. */
int64_t evidence_account_of(const char *kid, const char *base);

/**
 * Whether the JWS was signed for that operation at that base.
 * @param number the account of inner-deactivate, the ticket of finalize
 */
bool evidence_is_for(
    const struct jose_jws *jws, const char *base, enum sign_operation operation, int64_t number);

/**
 * Reads the payload of a verified newOrder, finalize or revokeCert into the typed parameters that
 * an application's own request has. Release: sign_request_free.
 */
AW_MUST_USE aw_result evidence_read(
    const struct jose_jws *jws, struct sign_request *out, const char **rule);

/** What a verified newAccount asks. */
struct evidence_account {
    bool only_existing;
    struct jose_jws *binding; /**< not verified yet; NULL: none */
};

/** Reads it. The binding's form is checked: it is for the same URL, and its payload, given out
 * after its MAC was verified only, is for evidence_check_binding(). Release: evidence_account_free.
 */
AW_MUST_USE aw_result evidence_read_account(const struct jose_jws *jws,
    const struct jose_openssl *openssl, struct evidence_account *out, const char **rule);

/** Checks that a verified binding is one for that key (RFC 8555 7.3.4). */
AW_MUST_USE aw_result evidence_check_binding(const struct jose_jws *binding,
    const struct jose_jwk *key, const struct jose_openssl *openssl, const char **rule);

/** Releases and zeroes. */
void evidence_account_free(struct evidence_account *account);

/**
 * Reads a verified keyChange: its inner JWS, by the new key, for the same URL, about that account
 * with that key (RFC 8555 7.3.5). Release: jose_jwk_free.
 */
AW_MUST_USE aw_result evidence_read_key_change(const struct jose_jws *jws,
    const struct jose_jwk *old, const struct jose_openssl *openssl, struct jose_jwk **out,
    const char **rule);

/** Checks that a verified payload deactivates (RFC 8555 7.3.6). */
AW_MUST_USE aw_result evidence_check_end(const struct jose_jws *jws, const char **rule);

#endif
