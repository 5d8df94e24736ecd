/**
 * @file ledger_freezes.h
 * @brief What is frozen by the records of administrators (freeze, unfreeze).
 *
 * The files of freezes are held against it at the start (core_freeze.h).
 */
#ifndef AW_SIGNER_LEDGER_FREEZES_H
#define AW_SIGNER_LEDGER_FREEZES_H

#include "signer/freezes.h"
#include "signer/ledger.h"
#include "signer/ledger_db.h"

/** A list; the freeze of all has "" as its application. Release: ledger_freezes_free. */
struct ledger_freezes {
    struct freeze *items;
    size_t count;
};

/** Lists them, in the order of freezing. */
AW_MUST_USE aw_result ledger_freezes_list(ledger *ledger, struct ledger_freezes *out);

/** Releases and zeroes. */
void ledger_freezes_free(struct ledger_freezes *list);

/** Takes in an administrator's record; one that is of something else changes nothing. */
AW_MUST_USE aw_result ledger_freezes_take(
    aw_db *db, int64_t seq, int64_t time, const struct audit_entry *entry);

#endif
