/**
 * @file accounts.h
 * @brief The configuration's accounts as the policy loader wants them.
 */
#ifndef AW_POLICY_ACCOUNTS_H
#define AW_POLICY_ACCOUNTS_H

#include "common/config.h"
#include "common/result.h"
#include "policy/policy.h"

/** The accounts of a configuration. Release: policy_accounts_free. */
struct policy_accounts {
    struct policy_account *items; /**< strings and ceilings borrow from the configuration */
    size_t count;
    struct policy_network *networks; /**< of all accounts' ceilings */
};

/** Lists the accounts; a ceiling's network that does not parse is added to `faults`. */
AW_MUST_USE aw_result policy_accounts_of(
    const struct aw_config *config, struct aw_faults *faults, struct policy_accounts *out);

/** Releases and zeroes. */
void policy_accounts_free(struct policy_accounts *accounts);

/** Warns of applications that may be used through a relay, where signer.yaml has none. */
void policy_warn_no_relay(
    const policy_snapshot *snapshot, const struct aw_config *config, struct aw_faults *warnings);

#endif
