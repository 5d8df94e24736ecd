/**
 * @file ledger_apply.h
 * @brief The one place that changes the ledger's tables: a record of the log is taken in.
 *
 * Used for a record that was appended just now and for one that is replayed, so that both leave the
 * same rows. What a record does depends on it and on the records before it alone.
 */
#ifndef AW_SIGNER_LEDGER_APPLY_H
#define AW_SIGNER_LEDGER_APPLY_H

#include <stdbool.h>

#include "audit/audit.h"
#include "signer/ledger_db.h"

/** What a certificate's record makes of it. */
enum ledger_standing ledger_standing_of(const struct audit_entry *entry);

/** True for a record that changes tables: of an application, and permitted ("warn" signs too). */
bool ledger_applies(const struct audit_entry *entry);

/**
 * Takes a record in. Refusals, and what no application asked for, change nothing; what failed after
 * it was permitted (an outcome record) gives nothing back.
 * @param time the record's time as the log has it
 * @return AW_CODE_CORRUPT when the record contradicts those before it or lacks a member
 */
AW_MUST_USE aw_result ledger_apply(
    aw_db *db, int64_t seq, int64_t time, const struct audit_entry *entry);

#endif
