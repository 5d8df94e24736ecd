/**
 * @file chain.h
 * @brief Keys, CSRs and the checks of an issued chain, with OpenSSL 3 in a library context.
 */
#ifndef AW_CLIENT_CHAIN_H
#define AW_CLIENT_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/names.h"
#include "common/result.h"
#include "common/secret.h"

/** Limits. */
enum { CHAIN_CERTIFICATES_MAX = 10, CHAIN_PEM_MAX = 256 * 1024 };

/** Makes a fresh key: "ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096". */
AW_MUST_USE aw_result chain_key_generate(OSSL_LIB_CTX *libctx, const char *type, EVP_PKEY **out);

/** The key as PKCS#8 PEM in secret memory. */
AW_MUST_USE aw_result chain_key_pem(EVP_PKEY *key, aw_secret **out);

/** A CSR in the signer's grammar: empty subject, SANs in order, self-signed with SHA-2. DER,
 * allocated. */
AW_MUST_USE aw_result chain_csr(OSSL_LIB_CTX *libctx, EVP_PKEY *key, const struct aw_name *names,
    size_t count, uint8_t **der, size_t *size);

/** A checked chain: leaf first. Release: chain_free. */
struct chain {
    X509 *certificates[CHAIN_CERTIFICATES_MAX];
    size_t count;
    char serial[64]; /**< of the leaf, hex */
    int64_t not_before, not_after;
};

/**
 * Reads what a CA sent and checks it (attack 109): only CERTIFICATE blocks, no private key or other
 * block, no text that is not white space between them, leaf first, each signed by the next, the
 * leaf's key is `key`, its names are exactly `names`, it is valid now (with an hour of clock skew),
 * is no CA.
 * @return AW_CODE_MISMATCH, AW_CODE_SYNTAX, each saying exactly what is wrong
 */
AW_MUST_USE aw_result chain_check(const char *pem, size_t size, EVP_PKEY *key,
    const struct aw_name *names, size_t count, struct chain *out);

/** Releases and zeroes. */
void chain_free(struct chain *chain);

#endif
