/**
 * @file authenticator.h
 * @brief How a run meets challenges: --webroot, --standalone, --manual, --dns-rfc2136.
 *
 * One way a run, as certbot has it; which challenge types it can meet, and how, is a row of the
 * table in authenticator.c. What was deployed is removed on every path, also after a signal.
 */
#ifndef AW_CLIENT_AUTHENTICATOR_H
#define AW_CLIENT_AUTHENTICATOR_H

#include "client/config.h"
#include "client/issue.h"
#include "client/options.h"
#include "client/output.h"

/** Opaque. */
struct authenticator;

/**
 * Makes the one that the options name, or one that can't meet anything (pre-validated names need
 * none). Nothing is opened before a challenge is there; files of credentials are read and checked.
 * All three arguments must outlive it. Release: authenticator_free.
 */
AW_MUST_USE aw_result authenticator_new(const struct options *options,
    const struct client_config *config, struct output *out, struct authenticator **made);

/** Removes what is deployed, closes ports, releases, nulls; NULL is allowed. */
void authenticator_free(struct authenticator **a);

/** For issue_callbacks.choose. */
const char *
authenticator_choose(struct authenticator *a, const struct acme_authorization *authorization);

/** For issue_callbacks.deploy. */
AW_MUST_USE aw_result authenticator_deploy(
    struct authenticator *a, const struct issue_challenge *challenge);

/** For issue_callbacks.deployed: waits until the CA can see everything. */
AW_MUST_USE aw_result authenticator_wait(struct authenticator *a);

/** For issue_callbacks.cleanup. */
void authenticator_remove(struct authenticator *a, const struct issue_challenge *challenge);

#endif
