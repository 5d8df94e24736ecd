/**
 * @file policy_files.h
 * @brief Configuration and policies, read from files by the commands that need no signer.
 */
#ifndef AW_ADMIN_POLICY_FILES_H
#define AW_ADMIN_POLICY_FILES_H

#include "admin/admin_cli.h"
#include "policy/accounts.h"
#include "policy/policy.h"

/** What a command on policies needs. Zero-initialise; release: admin_policy_free. */
struct admin_policy {
    struct aw_config *config;
    struct policy_accounts accounts;
    policy_snapshot *snapshot;
};

/** Loads what the signer would load. Faults and warnings are printed. */
AW_MUST_USE aw_result admin_policy_load(
    const struct admin_options *options, struct admin_policy *out);

/**
 * Loads a working copy: whoever owns the files, and whether or not this machine knows the users
 * and groups in them. Faults are printed, and warnings if asked for.
 * @param config signer.yaml with the accounts
 * @param folder of policies; NULL: the one that signer.yaml names
 */
AW_MUST_USE aw_result admin_policy_load_copy(
    const char *config, const char *folder, bool warn, struct admin_policy *out);

/** Releases and zeroes. */
void admin_policy_free(struct admin_policy *policy);

/** Makes a failure one with exit status 2, for commands whose status 1 is an answer. */
AW_MUST_USE aw_result admin_policy_trouble(aw_result r);

#endif
