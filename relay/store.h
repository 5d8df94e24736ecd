/**
 * @file store.h
 * @brief What the relay must not forget: clients' contacts, their orders, authorizations and
 * certificates. Nothing in it is trusted: what may be signed is known to the signer.
 *
 * SQLite, WAL, synchronous=FULL: what a function has stored survives a kill and a loss of power
 * when it returns. Two connections, each behind its own lock, so that those who read wait for no
 * disk.
 */
#ifndef AW_RELAY_STORE_H
#define AW_RELAY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/names.h"
#include "common/result.h"

/** Limits. */
enum {
    STORE_ORDER_SECONDS = 7 * 86400, /**< an order may stay unfinished; less where the CA says so */
    STORE_KEPT_SECONDS =
        90 * 86400,        /**< an order is kept after that, or after its certificate's end */
    STORE_TOKEN_SIZE = 44, /**< of a challenge: 256 bits, base64url, with the NUL */
    STORE_TYPE_SIZE = 16,  /**< "tls-alpn-01", with the NUL */
    STORE_CHAINS_MAX = 9,  /**< chains of one certificate */
};

/** The store. */
struct relay_store;

/**
 * Opens or makes FOLDER/relay.db. Release: relay_store_close.
 * @return AW_CODE_CORRUPT, AW_CODE_UNSUPPORTED (another version's), each with what to do
 */
AW_MUST_USE aw_result relay_store_open(const char *folder, struct relay_store **out);

/** Closes, releases, nulls; NULL is allowed. */
void relay_store_close(struct relay_store **slot);

/** What a client told about itself. Release: stored_account_free. */
struct stored_account {
    char *contact; /**< JSON array of URLs */
    int64_t created;
};

/** Stores the contacts; `created` counts the first time only. */
AW_MUST_USE aw_result relay_store_account_put(
    struct relay_store *store, int64_t id, const char *contact, int64_t created);

/** AW_CODE_NOT_FOUND: another relay made that account, or it told nothing. */
AW_MUST_USE aw_result relay_store_account(
    struct relay_store *store, int64_t id, struct stored_account *out);

/** Releases and zeroes. */
void stored_account_free(struct stored_account *account);

/** States of an order (RFC 8555 7.1.6). */
enum order_state {
    ORDER_PENDING,
    ORDER_READY,
    ORDER_PROCESSING,
    ORDER_VALID,
    ORDER_INVALID,
    ORDER_STATES
};

/** States of an authorization (RFC 8555 7.1.6); expired is told by the order's time. */
enum authorization_state {
    AUTHORIZATION_PENDING,
    AUTHORIZATION_VALID,
    AUTHORIZATION_INVALID,
    AUTHORIZATION_DEACTIVATED,
    AUTHORIZATION_STATES
};

/** States of a challenge (RFC 8555 7.1.6). */
enum challenge_state {
    CHALLENGE_PENDING,
    CHALLENGE_PROCESSING,
    CHALLENGE_VALID,
    CHALLENGE_INVALID,
    CHALLENGE_STATES
};

/** @name Names of states, as in RFC 8555 7.1.6; static. @{ */
const char *order_state_name(enum order_state state);
const char *authorization_state_name(enum authorization_state state);
const char *challenge_state_name(enum challenge_state state);
/** @} */

/** Whether an order may go from one state to another (the table of RFC 8555 7.1.6, and back from
 * processing to ready where the signer refused to sign). */
bool order_may_move(enum order_state from, enum order_state to);

/** An authorization with its one challenge. */
struct stored_authorization {
    struct aw_name name; /**< a wildcard with its asterisk */
    enum authorization_state state;
    enum challenge_state challenge;
    char type[STORE_TYPE_SIZE];
    char token[STORE_TOKEN_SIZE];
    int64_t validated; /**< 0: not yet */
    char *problem;     /**< JSON; NULL: none */
};

/** An order. Texts but those said are never NULL. Release: stored_order_free. */
struct stored_order {
    int64_t ticket; /**< the signer's, and part of our URLs */
    int64_t account;
    char *application;
    enum order_state state;
    char *identifiers;                                 /**< JSON array, as the client asked */
    char *not_before, *not_after, *profile, *replaces; /**< NULL: none */
    char *url;                                         /**< the CA's */
    char *new_order;                                   /**< the CA's */
    char *document;          /**< the order as the CA told it when it was opened */
    int64_t opened, expires; /**< of a valid one: not before its certificate's end */
    char *evidence; /**< JSON of the client's finalize and how it was seen; NULL: none yet, or the
                         certificate is there */
    char *problem;  /**< JSON; NULL: none */
    struct stored_authorization *authorizations;
    size_t authorization_count;
};

/** Releases and zeroes. */
void stored_order_free(struct stored_order *order);

/** Stores a new order with its authorizations. AW_CODE_EXISTS: the ticket is known. */
AW_MUST_USE aw_result relay_store_order_add(
    struct relay_store *store, const struct stored_order *order);

/** Reads one; AW_CODE_NOT_FOUND. */
AW_MUST_USE aw_result relay_store_order(
    struct relay_store *store, int64_t ticket, struct stored_order *out);

/** A step of an order. */
struct order_step {
    int64_t ticket;
    enum order_state from, to;
    const char *problem;  /**< JSON; NULL: none */
    const char *evidence; /**< of finalize; NULL: what is there stays */
};

/** Takes a step; *moved is false, and nothing is stored, where the order is in another state by
 * now. AW_CODE_INTERNAL: no such step. */
AW_MUST_USE aw_result relay_store_order_move(
    struct relay_store *store, const struct order_step *step, bool *moved);

/** Tickets in order, those after `after`, of an account; invalid ones left out (RFC 8555 7.1.2.1).
 */
AW_MUST_USE aw_result relay_store_orders_of(
    struct relay_store *store, int64_t account, int64_t after, int64_t *tickets, size_t *count);

/** Likewise of a state. @param[in,out] count room, then tickets found */
AW_MUST_USE aw_result relay_store_orders_in(struct relay_store *store, enum order_state state,
    int64_t after, int64_t *tickets, size_t *count);

/** A step of an authorization: where its order is pending, that goes to ready when all are valid,
 * and to invalid with `order_problem` when this one is not. */
struct authorization_step {
    int64_t ticket;
    size_t number; /**< from 1 */
    enum authorization_state from, to;
    enum challenge_state challenge_from, challenge_to;
    int64_t validated;
    const char *problem;       /**< JSON; NULL: none */
    const char *order_problem; /**< JSON; NULL: none */
};

/** Takes a step, the order's with it; *moved as with relay_store_order_move. */
AW_MUST_USE aw_result relay_store_authorization_move(
    struct relay_store *store, const struct authorization_step *step, bool *moved);

/** A place of an authorization. */
struct authorization_place {
    int64_t ticket;
    size_t number;
};

/** Pending authorizations whose challenge is being validated, for those that go on after a start:
 * the next ones behind `after`, in order. */
AW_MUST_USE aw_result relay_store_validating(struct relay_store *store,
    const struct authorization_place *after, struct authorization_place *places, size_t *count);

/** What was issued. */
struct stored_certificate {
    const char *leaf;    /**< SHA-256 of its DER, hex */
    const char *renewal; /**< its identifier (RFC 9773 4.1); NULL: it has none */
    char *const *chains; /**< PEM, the CA's first one first */
    size_t count;
    bool recorded;     /**< the signer's inventory has it, or will not have it */
    int64_t not_after; /**< its end: until then it can be revoked, and is asked about (RFC 9773) */
};

/** The order becomes valid with its certificate. */
AW_MUST_USE aw_result relay_store_finish(
    struct relay_store *store, int64_t ticket, const struct stored_certificate *certificate);

/** The order of a certificate, by the SHA-256 of its DER; AW_CODE_NOT_FOUND: not issued here. */
AW_MUST_USE aw_result relay_store_by_leaf(
    struct relay_store *store, const char *leaf, int64_t *ticket);

/** The order of a certificate, by its id in renewal information (RFC 9773 4.1); likewise. */
AW_MUST_USE aw_result relay_store_by_renewal(
    struct relay_store *store, const char *renewal, int64_t *ticket);

/** One chain, and how many there are; AW_CODE_NOT_FOUND. */
AW_MUST_USE aw_result relay_store_chain(
    struct relay_store *store, int64_t ticket, size_t number, char **pem, size_t *count);

/** The signer's inventory has the certificate of a valid order, or will not have it. */
AW_MUST_USE aw_result relay_store_recorded(struct relay_store *store, int64_t ticket);

/** Tickets of those that it has not yet, in order, those after `after`. */
AW_MUST_USE aw_result relay_store_unrecorded(
    struct relay_store *store, int64_t after, int64_t *tickets, size_t *count);

/** Ends orders that expired before they were finalized, and forgets those that are kept no longer.
 */
AW_MUST_USE aw_result relay_store_expire(struct relay_store *store, int64_t now);

#endif
