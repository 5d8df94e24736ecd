/**
 * @file challenge_certificate.h
 * @brief The certificate of tls-alpn-01 (RFC 8737 3) and the server name that asks for it.
 */
#ifndef AW_CLIENT_CHALLENGE_CERTIFICATE_H
#define AW_CLIENT_CHALLENGE_CERTIFICATE_H

#include <openssl/types.h>

#include "client/challenge.h"

/** Octets of a server name, with its NUL: a host name, or 32 nibbles and "ip6.arpa". */
enum { CHALLENGE_SERVER_NAME_SIZE = AW_NAME_MAX + 1 };

/** The name in SNI: a host name as it is; of an address its reverse name (RFC 8738 6, RFC
 * 3596 2.5). AW_CODE_UNSUPPORTED for a wildcard. */
AW_MUST_USE aw_result challenge_server_name(
    const struct aw_name *name, char out[CHALLENGE_SERVER_NAME_SIZE]);

/**
 * A self-signed certificate with a new key: that name as its only subjectAltName, and the critical
 * extension id-pe-acmeIdentifier with the digest of the key authorization. Release:
 * X509_free, EVP_PKEY_free.
 */
AW_MUST_USE aw_result challenge_certificate(
    const struct aw_name *name, const char *key_authorization, X509 **certificate, EVP_PKEY **key);

#endif
