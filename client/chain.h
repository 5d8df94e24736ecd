/**
 * @file chain.h
 * @brief Keys, CSRs and the checks of an issued chain, with OpenSSL 3.
 *
 * key.c makes keys, csr.c requests, leaf.c reads one certificate, chain.c checks what a CA sent.
 */
#ifndef AW_CLIENT_CHAIN_H
#define AW_CLIENT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/names.h"
#include "common/result.h"
#include "common/secret.h"

/** Limits. */
enum {
    CHAIN_CERTIFICATES_MAX = 10,
    CHAIN_PEM_MAX = 256 * 1024,
    CHAIN_SERIAL_SIZE = 64,    /**< hex digits of a serial number with the NUL; RFC 5280: 40 */
    CHAIN_NAMES_MAX = 1000,    /**< names of a certificate */
    CHAIN_CLOCK_SKEW_S = 3600, /**< how far our clock and the CA's may differ */
};

/** The key types, best first; ended by NULL. */
extern const char *const chain_key_types[];

/** Makes a fresh key: "ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096". */
AW_MUST_USE aw_result chain_key_generate(OSSL_LIB_CTX *libctx, const char *type, EVP_PKEY **out);

/** The type of a key as above, or "other". */
const char *chain_key_type(const EVP_PKEY *key);

/** EVP_PKEY_free for AW_CLEANUP. */
void chain_key_free(EVP_PKEY **key);

/** The key as PKCS#8 PEM in secret memory. */
AW_MUST_USE aw_result chain_key_pem(EVP_PKEY *key, aw_secret **out);

/**
 * Reads a private key in PEM that is not encrypted. A file that everybody may read is refused
 * (AW_CODE_PERMISSION), and so is one that stands for a key in a token (AW_CODE_UNSUPPORTED).
 * @param name what messages call it
 */
AW_MUST_USE aw_result chain_key_read(const char *path, const char *name, EVP_PKEY **out);

/** The same, but for parsing it: its text. */
AW_MUST_USE aw_result chain_key_file_read(const char *path, const char *name, aw_secret **out);

/** What a CSR asks for besides its key. */
struct chain_request {
    const struct aw_name *names;
    size_t name_count;
    bool must_staple; /**< TLS feature status_request (RFC 7633) */
};

/** A CSR in the signer's grammar: empty subject, SANs in order, self-signed with SHA-2. DER;
 * release with free(). */
AW_MUST_USE aw_result chain_csr(OSSL_LIB_CTX *libctx, EVP_PKEY *key,
    const struct chain_request *asked, uint8_t **der, size_t *size);

/** The public key in a CSR. Release: chain_key_free. */
AW_MUST_USE aw_result chain_csr_key(const uint8_t *der, size_t size, EVP_PKEY **key);

/** What is read of one certificate. Release: chain_leaf_free. */
struct chain_leaf {
    struct aw_name *names; /**< DNS names and addresses of the SAN, sorted, no doubles */
    size_t name_count;
    char serial[CHAIN_SERIAL_SIZE]; /**< hex, lower case */
    int64_t not_before, not_after;  /**< Unix seconds */
};

/** Reads one; AW_CODE_MISMATCH for a SAN that is no name, AW_CODE_SYNTAX. */
AW_MUST_USE aw_result chain_leaf_read(const X509 *certificate, struct chain_leaf *out);

/** Releases and zeroes. */
void chain_leaf_free(struct chain_leaf *leaf);

/** A checked chain: leaf first. Release: chain_free. */
struct chain {
    X509 *certificates[CHAIN_CERTIFICATES_MAX];
    size_t count;
    char serial[CHAIN_SERIAL_SIZE]; /**< of the leaf, hex */
    int64_t not_before, not_after;
};

/**
 * Reads what a CA sent and checks it (attack 109): only CERTIFICATE blocks, no private key or other
 * block, no text that is not white space between them, leaf first, each signed by the next, the
 * leaf's key is `key`, its names are exactly `names`, it is valid now (with an hour of clock skew),
 * is no CA.
 * @param names sorted, without doubles
 * @return AW_CODE_MISMATCH, AW_CODE_SYNTAX, AW_CODE_LIMIT, each saying exactly what is wrong
 */
AW_MUST_USE aw_result chain_check(const char *pem, size_t size, EVP_PKEY *key,
    const struct aw_name *names, size_t count, struct chain *out);

/** Reads PEM as chain_check does, without judging the certificates; for stored files. */
AW_MUST_USE aw_result chain_read(const char *pem, size_t size, struct chain *out);

/**
 * The same for certificates that are only looked at: their keys are not decoded, which is most of
 * what reading one costs, so X509_get0_pubkey knows none and nothing can be verified with them
 * (client/stored_key.h).
 */
AW_MUST_USE aw_result chain_read_bare(const char *pem, size_t size, struct chain *out);

/** PEM of the certificates from index `first` on, at most `count`; allocated, "" for none. */
AW_MUST_USE aw_result chain_pem(const struct chain *chain, size_t first, size_t count, char **out);

/** DER of one certificate of the chain; release with free(). */
AW_MUST_USE aw_result chain_der(
    const struct chain *chain, size_t index, uint8_t **der, size_t *size);

/** Releases and zeroes. */
void chain_free(struct chain *chain);

#endif
