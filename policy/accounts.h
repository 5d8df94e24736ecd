/**
 * @file accounts.h
 * @brief The configuration's accounts as the policy loader wants them.
 */
#ifndef AW_POLICY_ACCOUNTS_H
#define AW_POLICY_ACCOUNTS_H

#include "common/config.h"
#include "common/result.h"
#include "policy/policy.h"

/**
 * Lists config->account_count accounts; strings and ceilings borrow from `config`.
 * Release with free().
 */
AW_MUST_USE aw_result policy_accounts(const struct aw_config *config, struct policy_account **out);

#endif
