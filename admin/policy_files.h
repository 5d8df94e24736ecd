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
    struct aw_faults faults;
    struct aw_faults warnings;
};

/**
 * Loads what the signer would load, or, of a folder that is named, a working copy. Faults are
 * printed.
 * @param folder NULL: the one of the signer
 * @return AW_CODE_CONFIG whatever it was that could not be read
 */
AW_MUST_USE aw_result admin_policy_load(
    const struct admin_options *options, const char *folder, struct admin_policy *out);

/**
 * Loads a working copy: whoever owns the files, and whether or not this machine knows the users
 * and groups in them. Of signer.yaml only the accounts are needed. Faults are printed.
 * @param config signer.yaml
 * @param folder of policies; NULL: the one that signer.yaml names
 * @return AW_CODE_CONFIG whatever it was that could not be read
 */
AW_MUST_USE aw_result admin_policy_load_copy(
    const char *config, const char *folder, struct admin_policy *out);

/**
 * Loads the signer's folder, or a working copy, as if a file were in it already. Faults are
 * printed.
 * @param folder NULL: the one of the signer
 * @param[in,out] out its configuration was read by admin_policy_accounts
 */
AW_MUST_USE aw_result admin_policy_load_addition(
    const char *folder, const char *path, const char *text, struct admin_policy *out);

/** Reads of signer.yaml what policies need. Faults are printed. @param copy no signer is here */
AW_MUST_USE aw_result admin_policy_accounts(
    const char *config, bool copy, struct admin_policy *out);

/** Prints an application as policy show does. */
void admin_policy_print(const struct policy_application *application);

/** Writes it as policy show --json does. */
void admin_policy_write(struct aw_json_writer *w, const struct policy_application *application);

/** Prints the warnings, one a line. */
void admin_policy_warn(const struct admin_policy *policy);

/** Releases and zeroes. */
void admin_policy_free(struct admin_policy *policy);

/** The application of that name, or a failure that says how to find it. */
AW_MUST_USE aw_result admin_policy_find(
    const struct admin_policy *policy, const char *name, const struct policy_application **out);

/** Makes a failure one with exit status 2, for commands whose status 1 is an answer. */
AW_MUST_USE aw_result admin_policy_trouble(aw_result r);

/** Prints the faults that made a failure; the failure only says how many there are. */
AW_MUST_USE aw_result admin_policy_faults(aw_result r, const struct aw_faults *faults);

#endif
