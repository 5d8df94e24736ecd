/**
 * @file uri.h
 * @brief The URI that names the token (RFC 7512): parsed by p11-kit, matched against what is there.
 *
 * A URI is configuration, so it must not hold the PIN itself; it may say where the PIN is.
 */
#ifndef AW_PKCS11_URI_H
#define AW_PKCS11_URI_H

#include "common/result.h"
#include "pkcs11/module.h"

/** A parsed URI. */
typedef struct token_uri token_uri;

/**
 * Parses a URI that names a token. Refused (AW_CODE_CONFIG, each with its reason): what RFC 7512
 * does not know, pin-value, attributes of an object, a module-path other than `module`.
 */
AW_MUST_USE aw_result token_uri_parse(const char *text, const char *module, token_uri **out);

/** Releases and nulls; NULL is allowed. */
void token_uri_free(token_uri **uri);

/**
 * The path that pin-source names ("file:" or an absolute path), or *out NULL when there is none.
 * Lives as long as the URI. AW_CODE_CONFIG for any other form.
 */
AW_MUST_USE aw_result token_uri_pin_source(const token_uri *uri, const char **out);

/**
 * Finds the one token that the URI names.
 * @return AW_CODE_TOKEN_ABSENT when there is none (says which are there), AW_CODE_CONFIG when there
 *         are several
 */
AW_MUST_USE aw_result token_uri_select(
    const token_uri *uri, const struct token_module *module, CK_SLOT_ID *out);

#endif
