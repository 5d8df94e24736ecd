/**
 * @file issuers.h
 * @brief What a CA's certificates must chain to: certificates of its roots or intermediates, pinned
 * by a file that signer.yaml names, and the verification of a chain against them.
 *
 * Whoever is pinned is the whole trust: neither the system's roots nor what a client sends count.
 * Issuers do not change once they are loaded, so threads share them.
 */
#ifndef AW_CSR_ISSUERS_H
#define AW_CSR_ISSUERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/config.h"
#include "common/result.h"
#include "common/yaml.h"

/** Limits. */
enum {
    ISSUERS_MAX = 32,              /**< certificates of one file */
    ISSUERS_FILE_MAX = 256 * 1024, /**< octets of the file */
    ISSUERS_CHAIN_MAX = 8,         /**< certificates above a leaf */
    ISSUERS_CLOCK_SKEW = 3600,     /**< seconds that the CA's clock may be ahead */
    ISSUERS_REASON_SIZE = 256,
};

/** The issuers of one CA. */
typedef struct issuers issuers;

/**
 * Reads a PEM file of CA certificates. Text between them is allowed, any other block is not: a
 * private key there is a mistake to be told. Release: issuers_release.
 * @return AW_CODE_CONFIG, with what is wrong
 */
AW_MUST_USE aw_result issuers_load(const char *path, issuers **out);

/** One more owner; NULL is allowed. */
issuers *issuers_retain(issuers *list);

/** One owner fewer; nulls; NULL is allowed. */
void issuers_release(issuers **list);

/** How many there are. */
size_t issuers_count(const issuers *list);

/** One of them; its pointers are the list's. */
struct issuers_item {
    const uint8_t *der;
    size_t size;
    const char *digest;  /**< SHA-256 of its DER, hex */
    const char *subject; /**< RFC 4514 text, cut */
    int64_t not_after;   /**< Unix seconds */
};

/** The one of that place, which must be below issuers_count. */
struct issuers_item issuers_item(const issuers *list, size_t index);

/** A certificate and what was sent with it, in DER. */
struct issuers_chain {
    const uint8_t *leaf;
    size_t leaf_size;
    const uint8_t *above[ISSUERS_CHAIN_MAX];
    size_t above_sizes[ISSUERS_CHAIN_MAX];
    size_t above_count;
};

/**
 * Verifies a certificate (RFC 5280 6): signatures, names, dates, CA flags, up to a pinned issuer;
 * keys and digests of 112 bits at least. At `now`, or, if that is outside of its dates, when it
 * begins (up to ISSUERS_CLOCK_SKEW ahead) or ends: the question is who issued it. Revocation is not
 * looked at, and nothing is fetched.
 * @param[out] verified whether it chains to a pinned issuer
 * @param[out] reason why not, when it does not
 */
AW_MUST_USE aw_result issuers_verify(const issuers *list, const struct issuers_chain *chain,
    OSSL_LIB_CTX *libctx, int64_t now, bool *verified, char reason[ISSUERS_REASON_SIZE]);

/** The issuers of every CA of a configuration, in its order; NULL where none are pinned. */
struct issuers_set {
    issuers **items;
    size_t count;
};

/**
 * Loads what the configuration names. What is wrong with a file is a fault at its CA; a CA without
 * issuers, and an issuer that has expired, is a warning that says what is lost.
 * Release: issuers_set_free.
 */
AW_MUST_USE aw_result issuers_set_load(const struct aw_config *config, struct aw_faults *faults,
    struct aw_faults *warnings, struct issuers_set *out);

/** Releases and zeroes. */
void issuers_set_free(struct issuers_set *set);

#endif
