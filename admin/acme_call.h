/**
 * @file acme_call.h
 * @brief Requests to a CA that the signer signs for an administrator.
 */
#ifndef AW_ADMIN_ACME_CALL_H
#define AW_ADMIN_ACME_CALL_H

#include "admin/admin_cli.h"
#include "client/acme.h"

/** Opens HTTPS for a CA: roots from `ca_file`, else from the configuration, else the system's. */
AW_MUST_USE aw_result admin_http_open(
    const struct aw_config_ca *ca, const char *ca_file, http **out);

/** The CA of an account of signer.yaml; NULL: none such. */
const struct aw_config_ca *admin_account_ca(const struct aw_config *config, const char *account);

/** A conversation with the CA of an account. Release: admin_ca_close. */
struct admin_ca {
    struct aw_config *config; /* NULL: the caller's */
    http *h;
    struct acme_directory directory;
    acme_session *session;
};

/** Reads the configuration, and connects to the account's CA. */
AW_MUST_USE aw_result admin_ca_open(const struct admin_options *options, const char *account,
    const char *ca_file, struct admin_ca *out);

/**
 * Finds the account's CA in a configuration, fetches its directory, and makes a session. The
 * configuration stays the caller's.
 */
AW_MUST_USE aw_result admin_ca_connect(
    const struct aw_config *config, const char *account, const char *ca_file, struct admin_ca *out);

/** Releases and zeroes. */
void admin_ca_close(struct admin_ca *ca);

/** A request of an account that the signer writes whole: a method that takes a nonce. */
struct admin_request {
    const struct admin_options *options;
    const char *method; /**< of org.acmeward.Admin */
    const char *account;
    const char *key; /**< its parameter "key"; NULL: it has none */
};

/** The acme_signer of such a request. */
AW_MUST_USE aw_result admin_sign_request(void *context, const char *nonce, char **url, char **jws);

/** What newAccount asks for (RFC 8555 7.3). */
struct admin_new_account {
    const struct admin_options *options;
    const char *account;
    const char *kid;            /**< EAB key; NULL: none */
    const char *const *contact; /**< mail addresses, without "mailto:" */
    size_t contact_count;
    bool terms_agreed;
    bool only_existing;
    unsigned calls; /**< of the signer within one post: after the first, the CA has said
                         that it did not process the one before */
};

/** Takes url and jws of a reply, as an acme_signer gives them. */
AW_MUST_USE aw_result admin_take_jws(const cJSON *reply, char **url, char **jws);

/** Begins the parameters of a method that signs with an account's key; more may follow. */
void admin_signing_begin(struct aw_json_writer *w, const char *account, const char *nonce);

/** Ends them, calls the method, and takes what it signed. The writer is released. */
AW_MUST_USE aw_result admin_signing_call(const struct admin_options *options, const char *method,
    struct aw_json_writer *w, char **url, char **jws);

/** The acme_signer of an update of contacts; of a struct admin_new_account, those are used. */
AW_MUST_USE aw_result admin_sign_update(void *context, const char *nonce, char **url, char **jws);

/** The acme_signer of newAccount; `context` is a struct admin_new_account. */
AW_MUST_USE aw_result admin_sign_new_account(
    void *context, const char *nonce, char **url, char **jws);

#endif
