/**
 * @file ledger_quota.h
 * @brief What an application may have signed within 24 hours: new-orders and revocations.
 *
 * Each kind is a table in which an application's rows are numbered (nth), so that a quota is two
 * look-ups whatever the limit is. Times are those of the records, which never go back.
 */
#ifndef AW_SIGNER_LEDGER_QUOTA_H
#define AW_SIGNER_LEDGER_QUOTA_H

#include "signer/ledger_rules.h"

/** What is counted. */
enum ledger_quota { LEDGER_COUNT_ORDERS, LEDGER_COUNT_REVOCATIONS };

/** Rule: one more new-order fits in the application's share. */
AW_MUST_USE aw_result ledger_quota_orders(struct ledger_check *check);

/** Rule: one more revocation fits. */
AW_MUST_USE aw_result ledger_quota_revocations(struct ledger_check *check);

/** How many the application was signed after `since`. */
AW_MUST_USE aw_result ledger_quota_count(
    aw_db *db, enum ledger_quota quota, const char *application, int64_t since, int64_t *out);

#endif
