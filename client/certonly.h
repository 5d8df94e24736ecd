/**
 * @file certonly.h
 * @brief What the parts of `acmeward certonly` share: settings, the signer, the certificate.
 *
 * cmd_certonly.c is the sequence; certonly.c decides names and keys, certonly_check.c asks the
 * policy, certonly_existing.c compares with what is stored, certonly_issue.c gets the certificate,
 * certonly_key.c its key, certonly_token.c one in a token, certonly_csr.c a CSR that was made
 * elsewhere, certonly_chain.c judges chains, certonly_profile.c profiles, certonly_resume.c finds
 * the order under way, certonly_settings.c writes the renewal's settings, certonly_hooks.c says
 * which hooks run, certonly_dry.c rehearses, certonly_renew.c is a renewal, certonly_report.c
 * tells.
 */
#ifndef AW_CLIENT_CERTONLY_H
#define AW_CLIENT_CERTONLY_H

#include <stdbool.h>

#include <openssl/types.h>

#include "client/acme.h"
#include "client/authenticator.h"
#include "client/chain.h"
#include "client/config.h"
#include "client/issue.h"
#include "client/options.h"
#include "client/output.h"
#include "client/store.h"
#include "client/store_order.h"
#include "client/whoami.h"
#include "hostkey/host_key.h"

/** What is different when a certificate is renewed by its settings. */
struct certonly_renewal {
    unsigned version;        /**< that was found to be due: another one is another run's work */
    const char *replaces;    /**< RFC 9773 5; NULL: none */
    const char *ssh_control; /**< connection to the signer's host to share; NULL: none */
    bool resume_only;        /**< go on with the order under way, and make no other */
};

/** A request that was made elsewhere (--csr); der is NULL: none. Release: certonly_csr_free. */
struct certonly_csr {
    uint8_t *der;
    size_t size;
    EVP_PKEY *key; /**< the public half */
};

/** One run. Release: certonly_free. */
struct certonly {
    const struct certonly_renewal *renewal; /**< NULL: certonly itself */
    const struct options *options;
    struct output *out;
    struct client_config *config; /**< with the options put over it */
    struct aw_name *names;        /**< sorted */
    size_t name_count;
    char *cert_name;
    const char *key_type;
    bool rehearsal;       /**< of a dry run: nothing is stored */
    bool rehearsed;       /**< a dry run placed an order */
    bool profile_dropped; /**< the CA does not have the preferred one */
    struct certonly_csr csr;
    EVP_PKEY *reused_key; /**< NULL: a fresh one is made */
    int64_t seconds;      /**< the CA may take in all; 0: ISSUE_SECONDS */
    signer_link *link;
    struct whoami whoami;
    const struct whoami_application *application;
    store *store;
    struct authenticator *authenticator;
};

/** Settings: the configuration file with the options over it; faults are told on `messages`. */
AW_MUST_USE aw_result certonly_config(
    const struct options *options, struct output *out, struct client_config **config);

/** Whether the programs of the hooks on this command line are there; AW_CODE_USAGE. */
AW_MUST_USE aw_result certonly_check_hooks(const struct options *options);

/** Names, the certificate's name; AW_CODE_USAGE. */
AW_MUST_USE aw_result certonly_begin(
    const struct options *options, struct output *out, struct certonly *c);

/** Reads --csr by the signer's grammar: names and public key. AW_CODE_SYNTAX, AW_CODE_USAGE. */
AW_MUST_USE aw_result certonly_csr_read(struct certonly *c);

/** Refuses the paths of --csr's result where there is no --csr. */
AW_MUST_USE aw_result certonly_csr_refuse_paths(const struct options *options);

/** Refuses paths that can't be written, before anything is ordered. */
AW_MUST_USE aw_result certonly_csr_check_paths(const struct certonly *c);

/** Writes the result of --csr to the paths that were named, or to standard output. */
AW_MUST_USE aw_result certonly_csr_deliver(const struct certonly *c, const struct chain *chain);

/** Releases and zeroes. */
void certonly_csr_free(struct certonly_csr *csr);

/** Refuses a --server (NULL: none) that is not the directory of the application's account. */
AW_MUST_USE aw_result certonly_server_check(
    const char *asked, const struct whoami_application *application);

/** certonly by settings. */
AW_MUST_USE aw_result certonly_renew(
    const struct options *settings, struct output *out, const struct certonly_renewal *renewal);

/** --dry-run: the CA answers, the store can be written, the policy allows it; then the rehearsal.
 */
AW_MUST_USE aw_result certonly_dry_run(struct certonly *c);

/** Where dry_run_application is set: the whole order by its account, the certificate thrown away.
 */
AW_MUST_USE aw_result certonly_rehearse(struct certonly *c);

/** The key type asked for, or the configured one, or one that the application has. */
AW_MUST_USE aw_result certonly_choose_key(struct certonly *c);

/** The profile to ask for: the required one, or the preferred one that was not dropped; or NULL. */
const char *certonly_profile(const struct certonly *c);

/** Compares it with what the CA offers: refuses a required one (AW_CODE_CA_REFUSED), drops a
 * preferred one. */
AW_MUST_USE aw_result certonly_take_profile(
    struct certonly *c, const struct acme_directory *directory);

/** The same, with the directory fetched when there is a profile to ask for. */
AW_MUST_USE aw_result certonly_find_profile(struct certonly *c, http *h);

/** Drops the preferred profile, and tells why. */
void certonly_drop_profile(struct certonly *c, const char *why);

/** certonly_issue with the hooks of this command line around it. */
AW_MUST_USE aw_result certonly_issue_with_hooks(struct certonly *c);

/** Asks the signer who we are and chooses application and key type. */
AW_MUST_USE aw_result certonly_connect(struct certonly *c);

/** --check: tells each finding; AW_CODE_REFUSED when there is one. */
AW_MUST_USE aw_result certonly_check(struct certonly *c);

/**
 * Looks at what is stored under the certificate's name.
 * @param[out] keep it is good for a while: nothing is to be done, and that was told
 * @return AW_CODE_USAGE when it is for other names and no option allows to replace it
 */
AW_MUST_USE aw_result certonly_existing(struct certonly *c, bool *keep);

/** With --reuse-key: takes the key of the stored certificate, where there is one that fits. */
AW_MUST_USE aw_result certonly_reuse_key(struct certonly *c);

/** Writes renewal/NAME.conf. */
AW_MUST_USE aw_result certonly_write_settings(const struct certonly *c);

/** What has to be written beside the order under way; NULL: renewal/NAME.conf is the same. */
AW_MUST_USE aw_result certonly_order_settings(const struct certonly *c, char **text);

/** Whether a stored URI (NULL: the key is in a file) is the one that is asked for (NULL: a file).
 */
bool certonly_same_uri(const char *asked, const char *stored);

/**
 * Key and CSR of a new order whose key is in a token: found there, or made; what would expose it
 * is refused. order->key is the public half.
 */
AW_MUST_USE aw_result certonly_token_csr(struct certonly *c, struct store_order *order);

/** --dry-run with --key-uri: module, token and PIN, and the key where it is there already. */
AW_MUST_USE aw_result certonly_token_try(struct certonly *c);

/** Opens the token of a stored certificate's key. @param unattended as in host_key.h */
AW_MUST_USE aw_result certonly_token_open(
    const struct client_config *config, const char *uri, bool unattended, host_key **out);

/** The key of a new order. */
AW_MUST_USE aw_result certonly_order_key(struct certonly *c, EVP_PKEY **out);

/** Whether a chain (PEM) is the one that --preferred-chain names. */
bool certonly_is_preferred(const struct certonly *c, const char *text, size_t size);

/** Orders, or goes on with the order under way; validates, checks, stores, tells. */
AW_MUST_USE aw_result certonly_issue(struct certonly *c);

/**
 * The order under way, when it is what is asked for now; else it is removed, and that is told.
 * @return AW_CODE_NOT_FOUND when there is none (any more)
 */
AW_MUST_USE aw_result certonly_under_way(struct certonly *c, struct store_order *out);

/** Whether an order that failed like that can't come to anything any more. */
bool certonly_order_is_lost(enum aw_code code);

/** Removes the order under way; this thread's last failure stays as it is. */
void certonly_drop_order(struct certonly *c);

/** The same for one whose certificate is stored. */
void certonly_order_done(struct certonly *c);

/** What came of it, for certonly_report. */
struct certonly_result {
    const struct issue_result *issued;
    unsigned version;
    const char *serial;
    int64_t not_before, not_after;
};

/** Tells where the files are, until when they are good, how long it took. */
AW_MUST_USE aw_result certonly_report(struct certonly *c, const struct certonly_result *result);

/** Adds the paths of the live files to a JSON object. */
void certonly_write_files(struct aw_json_writer *w, const char *live);

/** Removes challenges, unlocks, releases and zeroes. */
void certonly_free(struct certonly *c);

#endif
