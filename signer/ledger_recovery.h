/**
 * @file ledger_recovery.h
 * @brief Brings the database to where the log is: replay, or a new one when it is of no use.
 */
#ifndef AW_SIGNER_LEDGER_RECOVERY_H
#define AW_SIGNER_LEDGER_RECOVERY_H

#include "audit/audit.h"
#include "signer/ledger.h"
#include "signer/ledger_db.h"

/** Records between two commits. */
enum { LEDGER_COMMIT_EVERY = 1000 };

/** What recovery needs to know. */
struct ledger_source {
    const char *path;   /**< of the database */
    const char *folder; /**< of the log */
    int64_t appended;   /**< the log's last record, durable */
};

/**
 * Opens the database and takes in what the log has beyond it. One that is damaged is set aside and
 * made anew; of one that the log can't be taken into nothing stays.
 * @return AW_CODE_NOT_FOUND when the log ends before what the database has taken in,
 *         AW_CODE_MISMATCH when the two are of different logs
 */
AW_MUST_USE aw_result ledger_recover(const struct ledger_source *source, aw_db **out,
    struct ledger_position *position, struct ledger_recovery *recovery);

#endif
