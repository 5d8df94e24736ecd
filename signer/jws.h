/**
 * @file jws.h
 * @brief Payloads of what is signed with account keys, from typed values; common/jws.h has the
 * rest.
 *
 * Nothing foreign is copied into a payload without having been parsed: names are canonical, DER
 * is base64url-encoded here.
 */
#ifndef AW_SIGNER_JWS_H
#define AW_SIGNER_JWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/jws.h"
#include "common/names.h"
#include "common/result.h"

/* Payloads, as JSON text; release with free(). */

/** Members that are NULL are left out. */
struct jws_new_order {
    const struct aw_name *names;
    size_t name_count;
    const char *profile, *not_before, *not_after, *replaces;
};

/** newOrder (RFC 8555 7.4; profile: draft-ietf-acme-profiles; replaces: RFC 9773 5). */
AW_MUST_USE aw_result jws_payload_new_order(const struct jws_new_order *order, char **out);

/** finalize: {"csr":...}. */
AW_MUST_USE aw_result jws_payload_finalize(const uint8_t *csr, size_t size, char **out);

/** What a newAccount says. */
struct jws_new_account {
    const char *const *contact;
    size_t contact_count;
    bool terms_agreed;
    bool only_existing;  /**< then nothing else is written */
    const char *binding; /**< externalAccountBinding as JSON text, or NULL */
};

/** newAccount (RFC 8555 7.3). */
AW_MUST_USE aw_result jws_payload_new_account(const struct jws_new_account *account, char **out);

/** keyChange (RFC 8555 7.3.5): what the new key signs. `old_jwk` is JSON text. */
AW_MUST_USE aw_result jws_payload_key_change(
    const char *account_url, const char *old_jwk, char **out);

#endif
