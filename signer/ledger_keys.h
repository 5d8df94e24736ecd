/**
 * @file ledger_keys.h
 * @brief Keys that stay refused: for every application, across restarts, whatever has changed.
 *
 * Remembered is a key that showed itself to be in two places, the token and a host, or that its own
 * application called compromised. What is remembered comes from the refusals' records, like all of
 * the ledger. Nobody can have another's key remembered: the record of a CSR has its key only where
 * the CSR's own signature was verified, and a certificate, which anybody may hold, counts only from
 * the application that finalized its key.
 */
#ifndef AW_SIGNER_LEDGER_KEYS_H
#define AW_SIGNER_LEDGER_KEYS_H

#include "signer/ledger_rules.h"

/** Takes a refusal in: remembers its key, if the rule that refused is one of those. */
AW_MUST_USE aw_result ledger_keys_apply(aw_db *db, int64_t seq, const struct audit_entry *entry);

/** Whether the refusal has a key remembered that was not: it must be recorded, then. */
AW_MUST_USE aw_result ledger_keys_learns(aw_db *db, const struct audit_entry *entry, bool *out);

/** Rule: refuses a key that is remembered. */
AW_MUST_USE aw_result ledger_keys_refused(struct ledger_check *check);

#endif
