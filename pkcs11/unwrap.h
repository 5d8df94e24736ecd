/**
 * @file unwrap.h
 * @brief Unwrapping on a session: what token_mac_unwrap and the trial of a new wrapping key share.
 */
#ifndef AW_PKCS11_UNWRAP_H
#define AW_PKCS11_UNWRAP_H

#include "pkcs11/object.h"

/** Octets of a wrapped key: an RSA-3072 modulus. */
enum { TOKEN_WRAPPED_SIZE = 384 };

/**
 * Unwraps with the private key object `wrapper`, and proves what came of it (token_mac_unwrap). On
 * failure nothing is left in the token, or the failure says what.
 */
AW_MUST_USE aw_result token_unwrap_and_prove(struct token_session *s, CK_OBJECT_HANDLE wrapper,
    const struct token_wrapped *wrapped, struct token_key_report *report, CK_OBJECT_HANDLE *out);

#endif
