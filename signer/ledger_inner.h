/**
 * @file ledger_inner.h
 * @brief Accounts that ACME clients have with a relay, and what they signed: rules and tables.
 *
 * An account is one application's: that of the app-eab it was made with. Its id is the number of
 * its inner-account record, as an order's ticket is that of its new-order record. An order that was
 * opened through a relay belongs to one such account; one that an application opened itself belongs
 * to none, and neither counts as the other.
 */
#ifndef AW_SIGNER_LEDGER_INNER_H
#define AW_SIGNER_LEDGER_INNER_H

#include <stdbool.h>
#include <stdint.h>

#include "signer/ledger_rules.h"

/** Limits. */
enum {
    LEDGER_REPEATS_MAX = 4,          /**< the same evidence once more: a new-order, a revocation */
    LEDGER_THUMBPRINT_SIZE = 64 + 1, /**< RFC 7638, SHA-256 in hex, with NUL */
};

/** An account; texts are its own. */
struct ledger_inner_account {
    int64_t id; /**< 0: no such account */
    char *application;
    char *jwk; /**< as RFC 7638 writes it */
    bool active;
};

/** Finds an account by its id. Release: ledger_inner_account_free. */
AW_MUST_USE aw_result ledger_inner_account_find(
    ledger *ledger, int64_t id, struct ledger_inner_account *out);

/** Finds the account that has that key, deactivated or not (SHA-256 of RFC 7638, hex). Likewise. */
AW_MUST_USE aw_result ledger_inner_account_of_key(
    ledger *ledger, const char *thumbprint, struct ledger_inner_account *out);

/** Releases and zeroes. */
void ledger_inner_account_free(struct ledger_inner_account *account);

/**
 * The account that opened an order through a relay.
 * @param evidence what is held out for finalizing it, as in records; may be NULL
 * @param[out] account_id 0: no order, or one of an application itself
 * @param[out] known that evidence finalized the order before; may be NULL
 */
AW_MUST_USE aw_result ledger_inner_order_find(
    ledger *ledger, int64_t ticket, const char *evidence, int64_t *account_id, bool *known);

/* Rules. */

/** The account is there and active; passes where none is asked for. */
AW_MUST_USE aw_result ledger_inner_active(struct ledger_check *check);

/** No account has the key, active or not. */
AW_MUST_USE aw_result ledger_inner_key_free(struct ledger_check *check);

/** new-order again: the same evidence, before the CA's order is known. */
AW_MUST_USE aw_result ledger_inner_order_again(struct ledger_check *check);

/** revoke again: the same evidence. */
AW_MUST_USE aw_result ledger_inner_revoke_again(struct ledger_check *check);

/* Effects; a record that is none of a relay's changes nothing here. */

/** @name Taking in a new account, its new key, its end. AW_CODE_CORRUPT as ledger_apply. @{ */
AW_MUST_USE aw_result ledger_inner_take_account(
    aw_db *db, int64_t seq, const struct audit_entry *entry);
AW_MUST_USE aw_result ledger_inner_take_key(
    aw_db *db, int64_t seq, const struct audit_entry *entry);
AW_MUST_USE aw_result ledger_inner_take_end(
    aw_db *db, int64_t seq, const struct audit_entry *entry);
/** @} */

/** Takes in whose a new order is. */
AW_MUST_USE aw_result ledger_inner_take_order(
    aw_db *db, int64_t seq, const struct audit_entry *entry);

/** Takes in that a new-order was signed again. */
AW_MUST_USE aw_result ledger_inner_take_again(
    aw_db *db, int64_t seq, const struct audit_entry *entry);

/** Takes in what finalized an order. */
AW_MUST_USE aw_result ledger_inner_take_finalize(aw_db *db, const struct audit_entry *entry);

/** Takes in what revoked. @param[out] again it did before: that costs no further quota */
AW_MUST_USE aw_result ledger_inner_take_revocation(
    aw_db *db, const struct audit_entry *entry, bool *again);

#endif
