/**
 * @file verifier.h
 * @brief The public half of an audit key: as PEM, and as a verifier key line of signed notes.
 *
 * Only ECDSA on P-256 with SHA-256 is known: signature type 0x02 of C2SP signed-note, whose key ID
 * is the beginning of the SHA-256 of the SubjectPublicKeyInfo. To verify one needs no token.
 */
#ifndef AW_AUDIT_VERIFIER_H
#define AW_AUDIT_VERIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/** Limits. */
enum {
    AUDIT_NAME_MAX = 128,          /**< characters of a log's origin or of a key's name */
    AUDIT_KEY_ID_SIZE = 4,         /**< octets of a key ID */
    AUDIT_VERIFIER_MAX = 4096,     /**< octets of a key file */
    AUDIT_RAW_SIGNATURE_SIZE = 64, /**< octets of r || s on P-256 */
};

/** A key that verifies. */
typedef struct audit_verifier audit_verifier;

/** True for 1 to AUDIT_NAME_MAX printable ASCII characters without space and plus. */
bool audit_name_ok(const char *name);

/** A key from its SubjectPublicKeyInfo (DER). Release: audit_verifier_free. */
AW_MUST_USE aw_result audit_verifier_of_spki(
    const char *name, const uint8_t *der, size_t size, audit_verifier **out);

/**
 * Reads a key file: PEM ("PUBLIC KEY"), whose key has no name, or a line NAME+ID+BASE64, or the
 * line and then the PEM text of the same key.
 * @return AW_CODE_SYNTAX
 */
AW_MUST_USE aw_result audit_verifier_parse(const char *text, size_t length, audit_verifier **out);

/** Releases and nulls; NULL is allowed. */
void audit_verifier_free(audit_verifier **verifier);

/** Its name; NULL when the file had none. */
const char *audit_verifier_name(const audit_verifier *verifier);

/** Its ID, AUDIT_KEY_ID_SIZE octets. */
const uint8_t *audit_verifier_id(const audit_verifier *verifier);

/** Writes the line NAME+ID+BASE64 without a newline; needs a name. Release with free(). */
AW_MUST_USE aw_result audit_verifier_line(const audit_verifier *verifier, char **out);

/** Writes PEM. Release with free(). */
AW_MUST_USE aw_result audit_verifier_pem(const audit_verifier *verifier, char **out);

/** A signature as the token gives it, r || s, in the form that notes have: DER. */
AW_MUST_USE aw_result audit_signature_der(
    const uint8_t raw[AUDIT_RAW_SIGNATURE_SIZE], uint8_t **out, size_t *size);

/** Verifies a signature in DER over octets; AW_CODE_MISMATCH when it is not this key's. */
AW_MUST_USE aw_result audit_verifier_check(const audit_verifier *verifier, const char *text,
    size_t length, const uint8_t *signature, size_t size);

#endif
