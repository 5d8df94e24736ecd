/**
 * @file ledger_rules.h
 * @brief The ledger's rules as a table: which are asked, in which order, of which operation.
 *
 * Rules read the database and never change it; every question is answered by an index, whatever the
 * number of rows. A failure is a failure of the ledger, never a refusal.
 */
#ifndef AW_SIGNER_LEDGER_RULES_H
#define AW_SIGNER_LEDGER_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "signer/ledger.h"
#include "signer/ledger_order.h"

/** Name of an operation as in records. */
const char *ledger_operation_name(enum sign_operation operation);

/** A request under examination. */
struct ledger_check {
    aw_db *db;
    const struct ledger_request *request;
    int64_t time; /**< the later of the caller's and the last record's: what the rules go by */
    const struct audit_entry *entry; /**< the record to be */
    struct ledger_order order;
    bool repeated; /**< the certificate is on record for the order, with the same standing */
    bool fresh[SIGN_CLAIMS_MAX];      /**< claims that this order has not yet */
    const struct sign_claim *refused; /**< the claim that was refused; NULL: none */
    char alarm[640];                  /**< for the alarm record, which the client does not see */
    struct ledger_verdict *verdict;
};

/**
 * Makes kind, operation and members of the record from what was asked, so that the record says what
 * the rules saw. AW_CODE_INTERNAL when a member that the operation needs is missing.
 */
AW_MUST_USE aw_result ledger_rules_enter(
    const struct ledger_request *request, struct audit_entry *entry);

/** Asks the operation's rules; the first that refuses fills the verdict. */
AW_MUST_USE aw_result ledger_rules_ask(struct ledger_check *check);

/** Fills the verdict (the first refusal stays) and succeeds: a refusal is no failure. */
AW_MUST_USE aw_result ledger_refuse(
    struct ledger_check *check, enum ledger_rule rule, const char *format, ...) AW_PRINTF(3, 4);

/** Asks for an alarm record beside the refusal, with its own text. */
void ledger_alarm(struct ledger_check *check, const char *format, ...) AW_PRINTF(2, 3);

#endif
