/**
 * @file authenticator_internal.h
 * @brief What the files of authenticator share.
 */
#ifndef AW_CLIENT_AUTHENTICATOR_INTERNAL_H
#define AW_CLIENT_AUTHENTICATOR_INTERNAL_H

#include "client/authenticator.h"
#include "client/challenge.h"

/** One way to meet challenges. */
struct authenticator_way {
    const char *name;     /**< as --authenticator has it */
    const char *types[4]; /**< that it can meet, the preferred first; ended by NULL */
    aw_result (*begin)(struct authenticator *a); /**< NULL: nothing to prepare */
    aw_result (*deploy)(struct authenticator *a, const struct issue_challenge *challenge);
    aw_result (*wait)(struct authenticator *a); /**< NULL: what is deployed can be seen at once */
    void (*remove)(struct authenticator *a, const struct issue_challenge *challenge);
};

struct manual_run;
struct dns_run;

struct authenticator {
    const struct authenticator_way *way; /* NULL: none */
    const struct options *options;
    const struct client_config *config;
    struct output *out;
    challenge_webroot *webroot;
    challenge_standalone *standalone;
    challenge_tls_alpn *tls_alpn;
    int turn;                  /* at the port; -1: not taken */
    struct manual_run *manual; /* what hooks said, for those that clean up */
    struct dns_run *dns;       /* credentials, and records that were added */
};

/** What a validation looks for: the key authorization, or for dns-01 its digest (RFC 8555 8.4). */
AW_MUST_USE aw_result authenticator_validation(
    const struct issue_challenge *challenge, char **validation);

/** --manual: runs --manual-auth-hook; after a failure the clean-up hook too. */
AW_MUST_USE aw_result manual_deploy(
    struct authenticator *a, const struct issue_challenge *challenge);

/** --manual: runs --manual-cleanup-hook, whatever came before; its failure is told. */
void manual_remove(struct authenticator *a, const struct issue_challenge *challenge);

/** Releases. */
void manual_free(struct authenticator *a);

/** --dns-rfc2136: reads the credentials. */
AW_MUST_USE aw_result dns_begin(struct authenticator *a);

/** --dns-rfc2136: adds a TXT record to the zone that the name, or its alias, is in. */
AW_MUST_USE aw_result dns_deploy(struct authenticator *a, const struct issue_challenge *challenge);

/** --dns-rfc2136: until every server of the zones has the records, or the time is over. */
AW_MUST_USE aw_result dns_wait(struct authenticator *a);

/** --dns-rfc2136: removes that record and no other; a failure is told. */
void dns_remove(struct authenticator *a, const struct issue_challenge *challenge);

/** Releases. */
void dns_free(struct authenticator *a);

#endif
