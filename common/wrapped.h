/**
 * @file wrapped.h
 * @brief An EAB HMAC key encrypted to a token's wrapping key: what it is for, and the file it
 * travels in.
 *
 * The key is brought to the hash's block first (RFC 2104 section 2: shorter ones padded with
 * zeros, longer ones hashed), which gives the same MACs: so every token takes it, and its length is
 * known before it is unwrapped. Then RSA-OAEP with SHA-1 (RFC 8017 7.1), which every token with
 * OAEP has.
 *
 * The check value is the key's own MAC over what it is for. Nobody without the key can make one, so
 * CA, kid, algorithm and wrapping key can't be changed on the way, and the token can be asked
 * whether it unwrapped just this key. It begins with a NUL, which no JWS does, so it is no
 * binding (RFC 8555 7.3.4). It tells of the key what every binding tells the CA's side: one MAC
 * over known text, by which a guess can be tested; that is of use against a short key only.
 */
#ifndef AW_COMMON_WRAPPED_H
#define AW_COMMON_WRAPPED_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"
#include "common/secret.h"

/** Limits. */
enum {
    AW_WRAPPED_FILE_MAX = 8192, /**< octets of a file */
    AW_WRAPPED_KID_MAX = 1024,  /**< characters of a key identifier */
    AW_WRAPPED_HEX = 64,        /**< digits of a fingerprint */
};

/** What a wrapped key is for. */
struct aw_wrapped_terms {
    const char *ca;           /**< name of the CA in signer.yaml */
    const char *kid;          /**< the CA's key identifier */
    const char *algorithm;    /**< "HS256", "HS384" or "HS512" */
    int64_t bits;             /**< of the key as the CA gave it */
    const char *wrapping_key; /**< SHA-256 of its SubjectPublicKeyInfo, lower-case hex */
};

/** Text that the check value is the MAC of; may hold NULs. Release with free(). */
AW_MUST_USE aw_result aw_wrapped_check_text(
    const struct aw_wrapped_terms *terms, uint8_t **out, size_t *size);

/**
 * Encrypts a key to the RSA public key of `spki` (SubjectPublicKeyInfo, DER) and writes the file.
 * terms->bits and terms->wrapping_key are set here and need not be given.
 * @param force allow a key shorter than the MAC
 * @return AW_CODE_LIMIT for a short one; AW_CODE_UNSUPPORTED for an algorithm that is none, or a
 *         key that is no RSA-3072
 */
AW_MUST_USE aw_result aw_wrapped_make(const struct aw_wrapped_terms *terms, const aw_secret *key,
    const uint8_t *spki, size_t spki_size, bool force, char **file);

/** A file as it was read. Release: aw_wrapped_free. */
struct aw_wrapped {
    cJSON *json; /**< what the rest points into */
    struct aw_wrapped_terms terms;
    const char *wrapped; /**< base64url */
    const char *check;   /**< base64url */
};

/** Reads a file strictly; what it holds is not believed before the token has compared it. */
AW_MUST_USE aw_result aw_wrapped_parse(const char *text, size_t size, struct aw_wrapped *out);

/** Releases and zeroes. */
void aw_wrapped_free(struct aw_wrapped *wrapped);

/** True for 64 lower-case hexadecimal digits. */
bool aw_wrapped_is_fingerprint(const char *text);

#endif
