/**
 * @file changes.h
 * @brief The list of changes in the making, for the files of this folder.
 */
#ifndef AW_POLICY_CHANGES_H
#define AW_POLICY_CHANGES_H

#include "policy/diff.h"
#include "policy/snapshot.h"

/** Two policies and what was found between them. */
struct comparison {
    const policy_snapshot *before;
    const policy_snapshot *after;
    struct policy_changes *changes;
};

/** Adds a copy of a change. */
AW_MUST_USE aw_result policy_changes_add(
    struct policy_changes *changes, const struct policy_change *change);

/** Orders the changes, leaves out those told twice, and counts. */
void policy_changes_finish(struct policy_changes *changes);

/** The application of that name, or NULL. */
const struct application *policy_application_of(const policy_snapshot *snapshot, const char *name);

/** The first claim of an application's list. */
uint32_t policy_first_of(const struct application *application, enum claim_kind kind);

/** The number of an account in a snapshot, or -1. */
int policy_account_of(const policy_snapshot *snapshot, const char *name);

/** True when an application (which may be NULL) has such an entry; the key may be of another
 * snapshot. */
bool policy_lists(const policy_snapshot *snapshot, const struct application *application,
    enum claim_kind kind, const struct policy_index_key *key);

#endif
