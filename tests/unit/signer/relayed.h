/**
 * @file relayed.h
 * @brief A relay at the world of signer_world.h: its clients, what they sign, what the relay calls.
 */
#ifndef TESTS_RELAYED_H
#define TESTS_RELAYED_H

#include "signer_world.h"
#include "tests/unit/jose/signing.h"

/* Names of app-a, and parameters; $E the evidence, $N the CA's nonce, $ORDER the ticket. */
#define APP_A "a.example.edu www.a.example.edu"
#define SERIAL LITERAL("\x01\xab\xcd")
#define SEEN "\"seen\":{\"address\":\"192.0.2.7\"}"
#define NEW_ORDER "{\"evidence\":$E," SEEN ",\"nonce\":\"$N\"}"
#define FINALIZE \
    "{\"evidence\":$E," SEEN ",\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\"}"
#define REVOKE "{\"evidence\":$E," SEEN ",\"nonce\":\"$N\",\"again\":false}"
#define TICKET "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/order\"}"

/**
 * cmocka's set-up: a world whose relay may be used by app-a, app-b, and app-m1 (from 192.0.2.0/24,
 * validated by http-01), but not by app-g.
 */
int relayed_setup(void **state);

/** A client of a relay. */
struct relayed_client {
    struct signing_key key;
    int64_t account; /**< 0: none */
};

/** Two of app-a, one of app-b, and one that never registered. */
extern struct relayed_cast {
    struct relayed_client a, other, b, stranger;
} relayed;

/** cmocka's set-up and tear-down of a test that shares a world: clients of its own, $CSR and $CERT
 * (app-a, KEY_P256). */
int relayed_begin(void **state);
int relayed_end(void **state);
/** Those of a test with a world of its own: it has a key remembered, or uses a budget up. */
int relayed_begin_alone(void **state);
int relayed_end_alone(void **state);

/** Makes a key. Release: relayed_client_free. */
void relayed_client_new(enum jose_key type, struct relayed_client *out);

/** Releases and zeroes. */
void relayed_client_free(struct relayed_client *client);

/** Puts an app-eab on record, as acmeward-admin would; `once`: for one account. */
void relayed_app_eab(struct world *w, const char *application, bool once, char kid[64]);

/** Puts an account for the client's key on record, as its registration would. */
void relayed_account(struct world *w, struct relayed_client *client, const char *application);

/** A nonce for the relay RELAY's clients. */
void relayed_nonce(struct world *w, char out[64]);

/** What is signed: by default, as an honest client does. */
struct relayed_request {
    const struct relayed_client *client;
    const char *path;    /**< below RELAY_URL */
    const char *payload; /**< expanded */
    bool by_jwk;         /**< else by kid */
    const char *nonce;   /**< NULL: a fresh one */
    const char *kid;     /**< NULL: the account's */
    const char *url;     /**< NULL: RELAY_URL with the path */
    const char *alg;     /**< NULL: the key's */
};

/** Signs, and sets $NAME to the JWS as JSON text. */
void relayed_sign(struct world *w, const char *name, const struct relayed_request *request);

/** Calls a method of org.acmeward.Relay as that user. */
void relayed_call_as(struct world *w, const char *user, const char *method, const char *parameters,
    struct world_answer *out);

/** Calls as RELAY; fails the test unless it comes out so ("": well). Names the row. */
void relayed_expect(struct world *w, const char *row, const char *method, const char *parameters,
    const char *error, const char *rule);

/** Opens an order for the client and names ("a b") and claims its URLs as world_order() does. */
int64_t relayed_order(
    struct world *w, const struct relayed_client *client, const char *names, const char *base);

/** $NAME becomes the payload of newOrder for these names. */
void relayed_names(struct world *w, const char *name, const char *names);

/** The last record: operation, verdict, account; by RELAY. */
void
relayed_expect_record(struct world *w, const char *operation, const char *verdict, int64_t account);

/** $E becomes a finalize of that order with that payload. */
void relayed_sign_finalize(
    struct world *w, const struct relayed_client *client, int64_t order, const char *payload);

#endif
