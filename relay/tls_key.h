/**
 * @file tls_key.h
 * @brief The private key of the relay's certificate: in a file, or in a token by its URI (RFC
 * 7512).
 *
 * A file is read anew at each load. Module and token are opened once, before the relay confines
 * itself, and stay open: afterwards another token can't be had without a restart. A file that
 * `acmeward certonly --key-uri` wrote in a key's place stands for the URI in it.
 */
#ifndef AW_RELAY_TLS_KEY_H
#define AW_RELAY_TLS_KEY_H

#include <stdbool.h>
#include <stdio.h>

#include <openssl/types.h>

#include "common/result.h"
#include "hostkey/host_key.h"
#include "relay/config.h"

/** Zeroed, it has no key yet. */
struct relay_tls_key {
    host_key *token;      /**< open; NULL: none */
    char *uri;            /**< of the token's key, as host_key_uri_check writes it */
    bool settled;         /**< a key was read: no token is opened from now on */
    EVP_PKEY *key;        /**< in force */
    EVP_PKEY *public;     /**< of a key in a token: its public half */
    OSSL_LIB_CTX *libctx; /**< that signs with it; NULL: the default one */
};

/**
 * Reads the key that the settings name; one in a token must sign. What was read before stays when
 * this one is not in order.
 * @return what host_key_open and host_key_find say, AW_CODE_CONFIG when only a restart can open it
 */
AW_MUST_USE aw_result relay_tls_key_read(
    struct relay_tls_key *self, const struct relay_config *config);

/** Signs with a key in a token, and verifies that; a key of a file is in order. */
AW_MUST_USE aw_result relay_tls_key_try(const struct relay_tls_key *self);

/** Releases all; after the contexts that use the key. */
void relay_tls_key_close(struct relay_tls_key *self);

/** Opens a file of the relay's TLS: links are followed (live/NAME), then what was found is checked:
 * its owner, and that it has none of the bits `forbidden`. */
AW_MUST_USE aw_result relay_tls_file_open(const char *path, mode_t forbidden, FILE **out);

/** fclose() for AW_CLEANUP. */
void relay_tls_file_close(FILE **file);

#endif
