/**
 * @file host_key.h
 * @brief Keys of certificates that are made in a token and stay there, named by a URI (RFC 7512).
 *
 * uri.c checks a URI, reference.c writes and reads the PEM file that stands for such a key, token.c
 * finds module and token and logs in, object.c finds, judges and makes keys, provider.c signs with
 * them: by OpenSSL's pkcs11-provider, in a library context of its own, so that the process's
 * default one never sees a token. p11-kit is asked first because the provider answers a wrong PIN,
 * an unknown token and an unknown object alike.
 *
 * The PIN is read from a file, is held in secret memory, and never comes from a URI, an argument or
 * the environment. Whoever opens a key closes it; it must not cross a fork.
 */
#ifndef AW_HOSTKEY_HOST_KEY_H
#define AW_HOSTKEY_HOST_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/types.h>

#include "common/result.h"

/** Limits. */
enum {
    HOST_KEY_URI_MAX = 2048,      /**< characters of a URI */
    HOST_KEY_PIN_MAX = 31,        /**< octets: version 1.0 of pkcs11-provider cuts the PIN of a file
                                       there, and a cut PIN is a wrong one */
    HOST_KEY_TOKEN_TRIES = 5,     /**< to see a token: processes that start at once can hide it */
    HOST_KEY_TOKEN_WAIT_MS = 100, /**< between them */
    HOST_KEY_TURN_SECONDS =
        120, /**< other processes may use the token before it is this one's turn */
    HOST_KEY_TURN_WAIT_MS = 10, /**< between looks whether they do */
};

/** Whether a text is a PKCS#11 URI at all, good or bad, rather than a path. */
bool host_key_is_uri(const char *text);

/**
 * Checks a URI and writes it in one form (with type=private), by which two are compared.
 * @return AW_CODE_USAGE: no token or no object is named; it has a pin-value, a module of its own,
 *         or what RFC 7512 does not know; it names something else than a private key
 */
AW_MUST_USE aw_result host_key_uri_check(const char *text, char **out);

/** The PEM file that pkcs11-provider's decoder reads in place of a key; `uri` is a checked one. */
AW_MUST_USE aw_result host_key_reference_write(const char *uri, char **pem);

/** The URI in such a file; AW_CODE_NOT_FOUND when the text is another file (a key, say). */
AW_MUST_USE aw_result host_key_reference_read(const char *pem, size_t size, char **uri);

/** The same for a file; what can't be read is AW_CODE_NOT_FOUND too: its reader says why. */
AW_MUST_USE aw_result host_key_reference_of(const char *path, char **uri);

/** Where a key is. */
struct host_key_place {
    const char *uri;
    const char *module; /**< path of a PKCS#11 module; NULL: those that p11-kit is configured for */
    const char *pin_file; /**< where the URI has no pin-source; NULL: none */
    const char *settings; /**< file that messages name for these; NULL: client.yaml */
    const char *lock;     /**< file that makes processes take turns; NULL: none */
    bool unattended; /**< nobody watches: a PIN that failed before is not tried a second time */
};

/** An open token, and a key in it once host_key_find or host_key_make was asked. */
typedef struct host_key host_key;

/**
 * Waits for its turn, loads module and provider, finds the token, logs in.
 * @return AW_CODE_TOKEN_ABSENT, naming the tokens that are there; AW_CODE_TOKEN_PIN; AW_CODE_TOKEN;
 *         AW_CODE_UNAVAILABLE when pkcs11-provider is not installed; AW_CODE_BUSY. Release:
 * host_key_close.
 */
AW_MUST_USE aw_result host_key_open(const struct host_key_place *place, host_key **out);

/** Finds the URI's key: AW_CODE_TOKEN_KEY_MISSING, AW_CODE_MISMATCH when there are several. */
AW_MUST_USE aw_result host_key_find(host_key *k);

/** Why the found key may be known outside of the token, as its attributes say; NULL: it can't be.
 */
const char *host_key_exposure(const host_key *k);

/** Makes one of a type as "ec-p256", "rsa-2048" under the URI's object and id: not extractable. */
AW_MUST_USE aw_result host_key_make(host_key *k, const char *type);

/**
 * The key for OpenSSL, after host_key_find or host_key_make; it and its library context live as
 * long as `k`.
 */
AW_MUST_USE aw_result host_key_load(host_key *k, EVP_PKEY **key, OSSL_LIB_CTX **libctx);

/** Its public half in the default library context. Release: EVP_PKEY_free. */
AW_MUST_USE aw_result host_key_public(host_key *k, EVP_PKEY **out);

/** Logs out, unloads, releases and nulls; NULL is allowed. */
void host_key_close(host_key **k);

#endif
