/**
 * @file signing.h
 * @brief What ACME clients do: keys of every kind, their JWKs, and JWSs signed with them, honest or
 * not. A failure ends the test.
 */
#ifndef AW_TEST_JOSE_SIGNING_H
#define AW_TEST_JOSE_SIGNING_H

#include <stddef.h>

#include <openssl/types.h>

#include "jose/jws.h"

/** A client's key. */
struct signing_key {
    EVP_PKEY *key;
    char *jwk; /**< its public JWK, members in the order of RFC 7638 */
    enum jose_key type;
};

/** A JWS by its members, allocated. */
struct signing_jws {
    char *header, *payload, *signature; /**< base64url */
};

/** Makes a key; RSA has 2048 bits. Release: signing_key_free. */
void signing_key_new(enum jose_key type, struct signing_key *out);

/** The public JWK of a key of that kind; allocated. */
char *signing_jwk(EVP_PKEY *key, enum jose_key type);

/** Releases and zeroes. */
void signing_key_free(struct signing_key *key);

/** Signs header and payload (JSON texts) with the key; `algorithm` says how. Release: signing_free.
 */
void signing_sign(const struct signing_key *key, enum jose_algorithm algorithm, const char *header,
    const char *payload, struct signing_jws *out);

/** Likewise with a MAC key of `size` octets. */
void signing_mac(const void *key, size_t size, enum jose_algorithm algorithm, const char *header,
    const char *payload, struct signing_jws *out);

/** {"protected","payload","signature"}; allocated. */
char *signing_text(const struct signing_jws *jws);

/** The members for jose_jws_read(). */
struct jose_parts signing_parts(const struct signing_jws *jws);

/** The algorithm that goes with a kind of key. */
enum jose_algorithm signing_algorithm(enum jose_key type);

/** Releases and zeroes. */
void signing_free(struct signing_jws *jws);

#endif
