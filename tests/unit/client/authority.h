/** @file authority.h @brief Certificates of every kind, good and bad, made at test time. */
#ifndef AW_TESTS_CLIENT_AUTHORITY_H
#define AW_TESTS_CLIENT_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/names.h"

/** A key and its certificate; may be the issuer of another. */
struct party {
    EVP_PKEY *key;
    X509 *certificate;
};

/** What a certificate shall be; zero is a leaf without names, valid from an hour ago for a day. */
struct wish {
    const char *subject; /**< common name */
    const char *san;     /**< as OpenSSL's configuration: "DNS:a.example,IP:192.0.2.1" */
    EVP_PKEY *key;       /**< NULL: a fresh P-256 key */
    int64_t from, until; /**< seconds from now */
    bool ca;
    const char *usage;       /**< keyUsage, NULL: none */
    const char *purposes;    /**< extendedKeyUsage, NULL: none */
    const char *constraints; /**< nameConstraints, NULL: none */
    const char *digest;      /**< of the signature, NULL: SHA-256 */
    const char *serial;      /**< octets, NULL: random ones */
    size_t serial_size;
};

/** Makes one; `issuer` NULL: self-signed. Fails the test when it can't. */
struct party authority_make(const struct party *issuer, const struct wish *wish);

/** Releases. */
void authority_free(struct party *party);

/** What was written to it, which is released; release with free(). */
char *authority_written(BIO *bio);

/** PEM of a certificate; release with free(). */
char *authority_pem(const X509 *certificate);

/** DER of a certificate; release with free(). */
unsigned char *authority_der(const X509 *certificate, size_t *size);

/** PEM of a private key; release with free(). */
char *authority_key_pem(EVP_PKEY *key);

/** PEM with another label and `extra` octets behind the DER; release with free(). */
char *authority_block(const X509 *certificate, const char *label, size_t extra);

/** One string of several, ended by NULL; release with free(). */
char *authority_join(const char *first, ...);

/** Parses names that are right. */
void authority_names(const char *const *texts, size_t count, struct aw_name *out);

#endif
