/**
 * @file accounts.h
 * @brief The clients' accounts as the signer knows them, kept for a moment: floods of requests
 * never reach the signer, and what is decided by evidence is verified by the signer again anyway.
 */
#ifndef AW_RELAY_ACCOUNTS_H
#define AW_RELAY_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "jose/jwk.h"
#include "relay/signer.h"

/** Limits. */
enum {
    RELAY_ACCOUNTS_KEPT = 4096,    /**< accounts that are kept */
    RELAY_ACCOUNT_MS = 5 * 1000,   /**< for that long: a deactivation at the signer shows then */
    RELAY_ACCOUNT_FRESH_MS = 1000, /**< for that long nothing kept is doubted */
    RELAY_ACCOUNT_ABSENT_MS = 5 * 1000, /**< that there is no such account is kept for that long */
};

/** An account. Immutable; shared, so released by relay_account_release only. */
struct relay_account {
    int64_t id;
    char *application;
    char *owner;
    struct jose_jwk *jwk;
    bool active;
    char *validation;  /**< "none", "http-01", "dns-01", "tls-alpn-01" */
    cJSON *ca;         /**< URLs of the CA (org.acmeward.Relay's Directory); NULL: none yet */
    char *account_url; /**< at the CA; NULL: none yet */
    char *thumbprint;  /**< of the account's key there; NULL likewise */
    char **profiles;   /**< that the policy allows */
    size_t profile_count;
    unsigned holders; /**< of relay_accounts' lock */
};

/** The accounts that are kept. Locks itself. */
struct relay_accounts;

/** Makes it empty. Release: relay_accounts_free. */
AW_MUST_USE aw_result relay_accounts_new(struct relay_accounts **out);

/** Releases and nulls; nobody holds an account any more. */
void relay_accounts_free(struct relay_accounts **slot);

/**
 * Finds an account by its number, at the signer where it is not kept. Release:
 * relay_account_release.
 * @return AW_CODE_NOT_FOUND when the signer knows none
 */
AW_MUST_USE aw_result relay_accounts_get(struct relay_accounts *accounts,
    struct relay_signer *signer, int64_t id, struct relay_account **out);

/**
 * A signature was not one of the account's key, which may have been changed through another relay:
 * true when the account was forgotten and should be asked for again. What is fresh is not asked for
 * again, so that bad signatures don't reach the signer.
 */
bool relay_accounts_doubt(struct relay_accounts *accounts, int64_t id);

/** Forgets what is kept of an account: its key was changed, or it was deactivated. */
void relay_accounts_forget(struct relay_accounts *accounts, int64_t id);

/** Gives an account back and nulls; NULL is allowed. */
void relay_account_release(struct relay_accounts *accounts, struct relay_account **slot);

#endif
