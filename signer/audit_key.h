/**
 * @file audit_key.h
 * @brief The audit key in the token, and which one it is.
 *
 * It has one of two labels, "acmeward-audit:NAME" and that with ":2" behind it: a new key is made
 * under the one that is free, and the old key is destroyed once it has signed the checkpoint that
 * covers the new one's record. Where a rotation was cut off, or a backup of the token brought a key
 * back, both are there: then the one that signed the last stored checkpoint is in use.
 */
#ifndef AW_SIGNER_AUDIT_KEY_H
#define AW_SIGNER_AUDIT_KEY_H

#include "audit/verifier.h"
#include "common/hex.h"
#include "common/result.h"
#include "pkcs11/token.h"

/** An audit key. Zero-initialise; release: audit_key_free. */
struct audit_key {
    token_key *key; /**< NULL: none */
    audit_verifier *verifier;
    unsigned place; /**< 0 or 1: which label */
};

/** Releases and zeroes; the token's object stays. */
void audit_key_free(struct audit_key *key);

/** What a key is for. */
struct audit_key_of {
    token *token;
    const char *name;   /**< key under audit in signer.yaml */
    const char *origin; /**< of the log: what the key's verifier is called */
};

/**
 * Finds the key in use.
 * @param note the last stored checkpoint; NULL: none
 * @return AW_CODE_TOKEN_KEY_MISSING: there is none; AW_CODE_CONFIG: one of another type
 */
AW_MUST_USE aw_result audit_key_find(
    const struct audit_key_of *of, const char *note, struct audit_key *out);

/** Makes a key. What is there is destroyed first where `replace` says so: a rest. */
AW_MUST_USE aw_result audit_key_make(const struct audit_key_of *of, unsigned place, bool replace,
    struct token_key_report *report, struct audit_key *out);

/** SHA-256 of its SubjectPublicKeyInfo, as in records: hex. */
AW_MUST_USE aw_result audit_key_digest(const struct audit_key *key, char out[AW_DIGEST_HEX_SIZE]);

#endif
