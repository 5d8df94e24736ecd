/**
 * @file relay_world.h
 * @brief A relay whose signer is the test: it gives nonces and knows accounts, unless it is told to
 * fail; and clients that sign for it.
 */
#ifndef AW_TESTS_RELAY_WORLD_H
#define AW_TESTS_RELAY_WORLD_H

#include "relay/relay.h"
#include "tests/unit/jose/signing.h"

#define WORLD_URL "https://relay.example.edu:14443/base"

/** The relay and its signer. */
struct relay_world {
    struct relay relay;
    struct relay_config config;
    struct signing_key key;   /**< of account 7 */
    struct signing_key other; /**< of account 8, of the same application */
    const char *ca;           /**< base URL of the CA's; NULL: none yet */
    const char *validation;   /**< what the policy asks for */
    char state[32];           /**< its folder */
    bool inactive;            /**< account 7 was deactivated */
    enum aw_code fails;       /**< with what calls of the signer fail; AW_CODE_OK: they don't */
    char last[4096];          /**< the last call, with its parameters */
    unsigned calls;           /**< calls of the signer */
    unsigned nonces;          /**< nonces that it gave */
};

/** Starts; the test fails when it can't. One at a time. */
void relay_world_open(struct relay_world *world);

/** Closes the relay and opens it again on the same state, as after a kill. */
void relay_world_again(struct relay_world *world);

/** Has orders go through a signer's socket to a CA, from the next relay_world_again() on. */
void relay_world_connect(struct relay_world *world, char *signer, const char *ca, char *ca_file);

void relay_world_close(struct relay_world *world);

/** What a client signs; NULL members are as an honest client of account 7 has them. */
struct relay_world_signed {
    const struct signing_key *key;
    const char *path; /**< that is signed and asked, below WORLD_URL */
    const char *url;  /**< that is signed, if it is another */
    const char *nonce;
    const char *kid;
    const char *payload; /**< JSON text; "" is POST-as-GET */
    bool by_key;         /**< jwk in place of kid */
};

/** The JWS as text, allocated. The nonce is one that the relay gave out. */
char *relay_world_sign(struct relay_world *world, const struct relay_world_signed *what);

/** Asks the relay; `body` of a POST is application/jose+json. */
void relay_world_ask(struct relay_world *world, enum relay_method method, const char *path,
    const char *body, struct relay_response *response);

#endif
