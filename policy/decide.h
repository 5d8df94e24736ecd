/**
 * @file decide.h
 * @brief The decision on one name, for the files of this folder.
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

/** Names below a name that nobody lists more exactly: all of them, or only those one label below.
 */
enum below { BELOW_ANY, BELOW_ONE };

/** Decides such a name: what an entry of subdomains_of or wildcards_of is worth. */
struct finding policy_decide_below(const policy_snapshot *snapshot,
    const struct application *application, const char *name, enum below below);

/** Decides an address of a network that is in no smaller one: what an entry of addresses is worth.
 */
struct finding policy_decide_network(const policy_snapshot *snapshot,
    const struct application *application, const struct policy_network *network);

/** A condition on a request as a whole. */
struct gate_answer {
    enum policy_rule rule;
    bool passed;
    bool demotable; /**< warn_until lets it through */
};

enum { POLICY_GATES = 8 };

/** Asks all conditions that a request must pass before its names are looked at, in their order. */
void policy_ask_gates(const struct application *application, const struct policy_request *request,
    int64_t now, struct gate_answer out[POLICY_GATES]);

/** True when `application` lists `other` in shares_with. */
bool policy_shares_with(const policy_snapshot *snapshot, const struct application *application,
    const struct application *other);

/** The claim of the ceiling that holds a network wholly, or CLAIM_NONE. */
uint32_t policy_ceiling_of_network(const policy_snapshot *snapshot,
    const struct application *application, const struct policy_network *network);

/** The longest prefix in use that is shorter than `prefix`, of networks of that many octets, or -1.
 */
int policy_next_prefix(const policy_snapshot *snapshot, unsigned size, int prefix);

/** The network of that prefix that holds `network`. */
struct policy_network policy_network_shorten(const struct policy_network *network, unsigned prefix);

/** The claim of that kind by that owner on a host name or any name above it, or CLAIM_NONE. */
uint32_t policy_claim_above(const policy_snapshot *snapshot, enum claim_kind kind,
    const struct policy_index_suffixes *suffixes, uint16_t owner);

/** The application of this snapshot that `shown` is part of, or NULL. */
const struct application *
policy_inside(const policy_snapshot *snapshot, const struct policy_application *shown);

#endif
