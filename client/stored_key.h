/**
 * @file stored_key.h
 * @brief Keys of stored certificates, told from their octets (RFC 5280 4.1.2.7, RFC 5480, RFC 5915,
 * RFC 5958).
 *
 * OpenSSL 3 looks among all its decoders for each key that it reads, which takes ten times as long
 * as the rest of the certificate. Here a key is only looked at, so what is certain from its octets
 * is told without; all else is left to OpenSSL. Nothing is owned, nothing fails.
 */
#ifndef AW_CLIENT_STORED_KEY_H
#define AW_CLIENT_STORED_KEY_H

#include <stdbool.h>

#include <openssl/types.h>

#include "common/secret.h"

/** The type of a certificate's key, as chain_key_type tells it; "other". */
const char *stored_key_type(const X509 *certificate);

/**
 * Whether a private key in PEM says that it is the certificate's. Not more than EVP_PKEY_eq: that
 * its two halves belong together nobody looks at.
 * @return false when it is another one, or when its octets do not tell
 */
bool stored_key_matches(const aw_secret *pem, const X509 *certificate);

#endif
