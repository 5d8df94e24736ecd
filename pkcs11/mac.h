/**
 * @file mac.h
 * @brief An EAB key as mac.c and unwrap.c see it: forms of HMAC, the template, a MAC on a session.
 */
#ifndef AW_PKCS11_MAC_H
#define AW_PKCS11_MAC_H

#include "pkcs11/object.h"
#include "pkcs11/template.h"

/** What an algorithm is (RFC 7518 3.2; block sizes: RFC 4231's hash functions). */
struct token_mac_form {
    const char *name;
    CK_MECHANISM_TYPE mechanism;
    size_t size;  /**< octets of a MAC */
    size_t block; /**< octets of the hash's block, to which keys are padded (RFC 2104) */
    const char *digest;
};

/** The form of an algorithm. */
const struct token_mac_form *token_mac_form(enum token_mac_algorithm algorithm);

/** What names a new EAB key. The strings are to outlive the template, and so is the struct. */
struct token_mac_name {
    const char *label;
    const uint8_t *id; /**< TOKEN_NEW_ID_SIZE octets */
    enum token_mac_algorithm algorithm;
};

/** The template of an EAB key, but for its value. */
void token_mac_template(struct token_template *t, const struct token_mac_name *name);

/** A MAC by that object, on a given session and without recovery: for a key that is being made. */
AW_MUST_USE aw_result token_mac_try(struct token_session *s, CK_OBJECT_HANDLE object,
    enum token_mac_algorithm algorithm, const struct token_octets *input,
    uint8_t out[TOKEN_MAC_MAX]);

/** The one generic secret of that label. AW_CODE_TOKEN_KEY_MISSING, AW_CODE_MISMATCH. */
AW_MUST_USE aw_result token_mac_search(
    struct token_session *s, const char *label, CK_OBJECT_HANDLE *out);

#endif
