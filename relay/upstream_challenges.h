/**
 * @file upstream_challenges.h
 * @brief Challenges of CAs, met here for all clients: dns-01, by DNS updates or by hooks, as
 * relay.yaml says (dns:).
 */
#ifndef AW_RELAY_UPSTREAM_CHALLENGES_H
#define AW_RELAY_UPSTREAM_CHALLENGES_H

#include "client/issue.h"
#include "relay/config.h"

/** What one run deploys. */
struct upstream_challenges;

/** Makes one; credentials are read and checked. `config` is borrowed. Release:
 * upstream_challenges_free. */
AW_MUST_USE aw_result upstream_challenges_new(
    const struct relay_config *config, struct upstream_challenges **out);

/** Removes what is deployed, releases, nulls; NULL is allowed. */
void upstream_challenges_free(struct upstream_challenges **slot);

/** For issue_callbacks.choose: dns-01 where it is offered and set up. */
const char *upstream_challenges_choose(
    struct upstream_challenges *c, const struct acme_authorization *authorization);

/** For issue_callbacks.deploy. */
AW_MUST_USE aw_result upstream_challenges_deploy(
    struct upstream_challenges *c, const struct issue_challenge *challenge);

/** For issue_callbacks.deployed: waits until the CA can see everything. */
AW_MUST_USE aw_result upstream_challenges_wait(struct upstream_challenges *c);

/** For issue_callbacks.cleanup. */
void
upstream_challenges_remove(struct upstream_challenges *c, const struct issue_challenge *challenge);

#endif
