/**
 * @file keytype.h
 * @brief Account key types: one table of all that differs between them.
 */
#ifndef AW_PKCS11_KEYTYPE_H
#define AW_PKCS11_KEYTYPE_H

#include <stddef.h>
#include <stdint.h>

#include <p11-kit/pkcs11.h>

#include "common/result.h"
#include "pkcs11/token.h"

/** What a key type is. */
struct token_key_form {
    const char *name;      /**< "ec-p256" */
    const char *algorithm; /**< JWS (RFC 7518 3.1) */
    const char *text;      /**< "EC P-256" */
    CK_KEY_TYPE key_type;
    CK_MECHANISM_TYPE generate;
    CK_MECHANISM_TYPE sign;
    const char *curve;  /**< crv of RFC 7518 6.2.1.1 and OpenSSL's name; NULL for RSA */
    const uint8_t *oid; /**< CKA_EC_PARAMS: the named curve, DER */
    size_t oid_size;
    size_t field_size; /**< octets of a coordinate */
    unsigned bits;     /**< of an RSA modulus */
};

/** Form of a type; never NULL. */
const struct token_key_form *token_key_form(enum token_key_type type);

/** Type of a curve by CKA_EC_PARAMS. AW_CODE_UNSUPPORTED for any but a known named curve. */
AW_MUST_USE aw_result token_key_type_of_curve(
    const void *params, size_t size, enum token_key_type *out);

/** Type of an RSA key by its modulus' bits. AW_CODE_UNSUPPORTED. */
AW_MUST_USE aw_result token_key_type_of_bits(unsigned bits, enum token_key_type *out);

#endif
