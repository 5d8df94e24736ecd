/**
 * @file decide.h
 * @brief The decision on one name, for the rooms of this folder.
 */
#ifndef AW_POLICY_DECIDE_H
#define AW_POLICY_DECIDE_H

#include "policy/snapshot.h"

/** What was found about a name. */
struct finding {
    bool allowed;
    enum policy_rule rule;
    uint32_t claim; /**< the deciding claim, or CLAIM_NONE */
    bool foreign;   /**< the claim is another application's */
};

/** Decides one name of an application: ceiling, deny, other applications' names, allow. */
struct finding policy_decide_name(const policy_snapshot *snapshot,
    const struct application *application, const struct aw_name *name);

/** True when `application` lists `other` in shares_with. */
bool policy_shares_with(const policy_snapshot *snapshot, const struct application *application,
    const struct application *other);

/** The claim of the ceiling that holds a network wholly, or CLAIM_NONE. */
uint32_t policy_ceiling_of_network(const policy_snapshot *snapshot,
    const struct application *application, const struct policy_network *network);

/** The claim of that kind by that owner on a host name or any name above it, or CLAIM_NONE. */
uint32_t policy_claim_above(const policy_snapshot *snapshot, enum claim_kind kind,
    const struct policy_index_suffixes *suffixes, uint16_t owner);

/** The application of this snapshot that `shown` is part of, or NULL. */
const struct application *
policy_inside(const policy_snapshot *snapshot, const struct policy_application *shown);

#endif
