/**
 * @file account_key.h
 * @brief Questions to a CA about the keys of an account, signed by those keys in the token.
 */
#ifndef AW_ADMIN_ACCOUNT_KEY_H
#define AW_ADMIN_ACCOUNT_KEY_H

#include "admin/acme_call.h"

/**
 * Asks the CA for the account of a key ("present", "next", "old"), by onlyReturnExisting (RFC 8555
 * 7.3.1). *url is NULL when it says that there is none. Release with free().
 */
AW_MUST_USE aw_result admin_key_look_up(struct admin_ca *ca, const struct admin_options *options,
    const char *account, const char *key, char **url);

/** The same for a request that somebody else signs (acme_signer). */
AW_MUST_USE aw_result admin_key_look_up_by(
    struct admin_ca *ca, acme_signer sign, void *context, char **url);

/** Succeeds when the CA answers a request of the account with the present key. */
AW_MUST_USE aw_result admin_key_prove_taken(
    struct admin_ca *ca, const struct admin_options *options, const char *account);

/**
 * Succeeds when the CA refuses a request of the account because of its old key. An answer that may
 * have another reason (a limit, a fault of the CA) proves nothing.
 */
AW_MUST_USE aw_result admin_key_prove_refused(
    struct admin_ca *ca, const struct admin_options *options, const char *account);

/** The same for a request that somebody else signs (acme_signer), by a key that is called `which`.
 */
AW_MUST_USE aw_result admin_key_prove_refused_by(
    struct admin_ca *ca, acme_signer sign, void *context, const char *which);

#endif
