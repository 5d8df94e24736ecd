/**
 * @file public.h
 * @brief The public half of an account key: read from the token, in every form that is needed.
 */
#ifndef AW_PKCS11_PUBLIC_H
#define AW_PKCS11_PUBLIC_H

#include "pkcs11/object.h"

/** A public key. Immutable, shared by threads. */
struct token_public {
    enum token_key_type type;
    EVP_PKEY *key;
    uint8_t *spki; /**< SubjectPublicKeyInfo, DER */
    size_t spki_size;
    char *jwk;           /**< RFC 7638 3.2: required members only, in its order */
    char thumbprint[44]; /**< base64url of its SHA-256 */
};

/**
 * Reads the public key that belongs to a private key: from the public object of that CKA_ID, or, if
 * there is none, from the private object, which on some tokens has the same attributes.
 */
AW_MUST_USE aw_result token_public_read(struct token_session *s, CK_OBJECT_HANDLE private_key,
    const uint8_t *id, size_t id_size, struct token_public **out);

/**
 * SHA-256 of the SubjectPublicKeyInfo of a key object, public or private.
 * @param[out] known false: it is of a type that is not ours, or does not tell its public half
 */
AW_MUST_USE aw_result token_public_digest_read(
    struct token_session *s, CK_OBJECT_HANDLE object, uint8_t *out, bool *known);

/** Releases and nulls; NULL is allowed. */
void token_public_free(struct token_public **key);

/** Digest of a type's algorithm: SHA-256 or SHA-384. */
const EVP_MD *token_public_digest(const token *t, enum token_key_type type);

#endif
