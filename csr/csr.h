/**
 * @file csr.h
 * @brief CSRs (RFC 2986) and certificates, read by a grammar narrower than OpenSSL's.
 *
 * A CSR passes only if the DER that is built anew from its parsed fields is the very same bytes.
 * Version 1; subject empty or exactly one CN that is empty or also a SAN; exactly one attribute,
 * extensionRequest with one value; extensions, each at most once: subjectAltName (dNSName,
 * iPAddress), and basicConstraints CA:FALSE, keyUsage digitalSignature and keyEncipherment,
 * extKeyUsage serverAuth and clientAuth, TLS feature status_request (must-staple),
 * subjectKeyIdentifier that is the SHA-1 of the key;
 * signed by its own key with SHA-256, 384 or 512.
 */
#ifndef AW_CSR_CSR_H
#define AW_CSR_CSR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/hex.h"
#include "common/names.h"
#include "common/result.h"

/** Limits. */
enum {
    CSR_RULE_SIZE = 64,              /**< of a rule's tag, with NUL */
    CSR_NAMES_MAX = 100,             /**< names of a CSR */
    CSR_SIZE_MAX = 32 * 1024,        /**< octets of a CSR */
    CSR_CERTIFICATE_MAX = 64 * 1024, /**< octets of a certificate */
};

/** Types of certificate keys; the same order as the policy's key types. */
enum csr_key {
    CSR_KEY_EC_P256,
    CSR_KEY_EC_P384,
    CSR_KEY_RSA_2048,
    CSR_KEY_RSA_3072,
    CSR_KEY_RSA_4096
};

/** A parsed CSR. */
struct csr {
    struct aw_name *names; /**< of the SAN: sorted, without duplicates */
    size_t name_count;
    enum csr_key key;
    bool must_staple;
    uint8_t digest[AW_DIGEST_SIZE];     /**< SHA-256 of the DER */
    uint8_t key_digest[AW_DIGEST_SIZE]; /**< SHA-256 of the SubjectPublicKeyInfo's DER */
};

/**
 * Has OpenSSL find all that verifying CSRs and certificates needs, once, before the first of them.
 * A library context that lacks memory for a moment while it looks for an algorithm lacks that
 * algorithm for good.
 * @return AW_CODE_CRYPTO when one is not offered
 */
AW_MUST_USE aw_result csr_prepare(OSSL_LIB_CTX *libctx, const char *properties);

/**
 * Parses and checks a CSR.
 * @param libctx, properties for verification; NULL: the default context, no query
 * @param[out] rule stable tag of the rule that refused, such as "csr.san.email", "csr.version",
 *             "csr.key.rsa-bits", "csr.signature", "csr.trailing", "csr.not-der"
 * @return AW_CODE_SYNTAX with the exact reason; release: csr_free
 */
AW_MUST_USE aw_result csr_parse(const uint8_t *der, size_t size, OSSL_LIB_CTX *libctx,
    const char *properties, char rule[CSR_RULE_SIZE], struct csr **out);

/**
 * Takes the DER out of what a file holds: DER as it is, or one PEM block of a certificate request.
 * AW_CODE_SYNTAX. Release with free().
 */
AW_MUST_USE aw_result csr_from_text(const char *text, size_t size, uint8_t **der, size_t *der_size);

/** Releases and nulls; NULL is allowed. */
void csr_free(struct csr **csr);

/** What the signer keeps of a certificate. */
struct certificate {
    struct aw_name *names; /**< of the SAN: sorted */
    size_t name_count;
    char serial[64];  /**< hex, lower case */
    char issuer[256]; /**< RFC 4514 text, cut */
    char odd[128]; /**< what it may be used for that no order asks: "it is a CA's" ...; "": nothing
                    */
    int64_t not_before, not_after; /**< Unix seconds */
    uint8_t key_digest[AW_DIGEST_SIZE];
    uint8_t digest[AW_DIGEST_SIZE];
};

/** Parses an X.509 certificate (DER, no trailing bytes). AW_CODE_SYNTAX. Release: certificate_free.
 */
AW_MUST_USE aw_result certificate_parse(
    const uint8_t *der, size_t size, char rule[CSR_RULE_SIZE], struct certificate **out);

/** Likewise for a certificate: DER, or the first PEM block. */
AW_MUST_USE aw_result certificate_from_text(
    const char *text, size_t size, uint8_t **der, size_t *der_size);

/** Releases and nulls; NULL is allowed. */
void certificate_free(struct certificate **certificate);

#endif
