/**
 * @file ledger_claims.h
 * @brief URLs named for an order: how many, which may be shared, and what each may be used for.
 */
#ifndef AW_SIGNER_LEDGER_CLAIMS_H
#define AW_SIGNER_LEDGER_CLAIMS_H

#include <stdbool.h>

#include "signer/ledger_rules.h"

/** "order" and so on. */
const char *ledger_kind_name(enum sign_url_kind kind);

/** The inverse; false for an unknown name. */
bool ledger_kind_parse(const char *name, enum sign_url_kind *out);

/** Rule: all claims of the request may be made; marks which are new. */
AW_MUST_USE aw_result ledger_claims_free(struct ledger_check *check);

/** Rule: the request's URL was claimed for the order, as a kind that the operation may use. */
AW_MUST_USE aw_result ledger_claims_held(struct ledger_check *check);

#endif
