/**
 * @file ledger_app_eabs.h
 * @brief App-EABs: credentials with which inner clients of a relay come to belong to an
 * application.
 *
 * The table says which there are and what became of them; the keys are nowhere (app_eab.h). Rows
 * come from records of administrators (app-eab-create, app-eab-revoke, relay-key-destroy) and from
 * the inner accounts that are made.
 */
#ifndef AW_SIGNER_LEDGER_APP_EABS_H
#define AW_SIGNER_LEDGER_APP_EABS_H

#include <stdbool.h>
#include <stdint.h>

#include "signer/ledger.h"
#include "signer/ledger_rules.h"

/** Octets of a key identifier: "app-" and 128 random bits in base64url; without its NUL. */
enum { LEDGER_KID_SIZE = 26 };

/** An app-EAB; texts are its own. */
struct ledger_app_eab {
    int64_t seq; /**< its record; 0: there is none */
    char *kid;   /**< NULL: there is none */
    char *application;
    int64_t created; /**< Unix time */
    int64_t expires; /**< from then on no account is made with it; 0: never */
    bool once;       /**< for one account */
    int64_t revoked; /**< Unix time; 0: it is not */
    int64_t used;    /**< accounts that were made with it */
};

/** Finds one; out->kid is NULL when there is none. Release: ledger_app_eab_free. */
AW_MUST_USE aw_result ledger_app_eab_find(
    ledger *ledger, const char *kid, struct ledger_app_eab *out);

/** Releases and zeroes. */
void ledger_app_eab_free(struct ledger_app_eab *app_eab);

/** What stands against making an account with it now: LEDGER_NONE, LEDGER_INNER_BINDING (there is
 * none), _REVOKED, _EXPIRED, _USED. */
enum ledger_rule ledger_app_eab_rule(const struct ledger_app_eab *app_eab, int64_t now);

/** What became of it, for a person: after its key id, for _REVOKED, _EXPIRED, _USED. */
const char *ledger_app_eab_fate(enum ledger_rule rule);

/**
 * Visits those after record `after`, in their order; under the ledger's lock, so `visit` must be
 * short. A false of `visit` ends it.
 * @param application NULL: all
 */
AW_MUST_USE aw_result ledger_app_eab_visit(ledger *ledger, const char *application, int64_t after,
    bool (*visit)(void *context, const struct ledger_app_eab *found), void *context);

/** Numbers of the accounts that were made with it and are not deactivated, in their order.
 * @param[out] ids release with free() */
AW_MUST_USE aw_result ledger_app_eab_accounts(
    ledger *ledger, const char *kid, int64_t **ids, size_t *count);

/** Rule: an account may be made with request->kid, for the request's application. */
AW_MUST_USE aw_result ledger_app_eab_usable(struct ledger_check *check);

/** Takes in that an account was made with it. */
AW_MUST_USE aw_result ledger_app_eab_take_use(aw_db *db, const char *kid);

/** Takes in an administrator's record; one that is of something else changes nothing. */
AW_MUST_USE aw_result ledger_app_eab_take(
    aw_db *db, int64_t seq, int64_t time, const struct audit_entry *entry);

#endif
