/**
 * @file revoke.h
 * @brief `acmeward revoke`: what is revoked, by which key, where.
 */
#ifndef AW_CLIENT_REVOKE_H
#define AW_CLIENT_REVOKE_H

#include <stdbool.h>

#include "client/certonly.h"
#include "client/chain.h"
#include "client/http.h"

/** One run. Release: revoke_free. */
struct revoke {
    const struct options *options;
    struct output *out;
    struct client_config *config;
    int reason;   /**< RFC 5280 5.3.1; -1: none */
    bool own;     /**< signed with the certificate's own key: no account is needed */
    bool remove;  /**< --delete-after-revoke */
    store *store; /**< locked while it is to be removed */
    char *path;   /**< of the certificate */
    char *key_path;
    struct chain chain; /**< the certificate is the first */
    char serial[CHAIN_SERIAL_SIZE];
    uint8_t *der;
    size_t size;
    host_key *token; /**< that has the key; NULL: it is a file */
    EVP_PKEY *key;
    signer_link *link;
    struct whoami whoami;
    const struct whoami_application *application; /**< NULL: the signer was not asked */
    http *h;
    struct acme_directory directory; /**< of --server, where the signer was not asked */
    acme_session *session;
    bool already; /**< the CA says that it was revoked before */
};

/** Reads options, certificate and key; what does not fit is refused before anything is sent. */
AW_MUST_USE aw_result revoke_begin(
    const struct options *options, struct output *out, struct revoke *r);

/** Asks signer or CA where to, signs, sends, and removes the files where asked. */
AW_MUST_USE aw_result revoke_run(struct revoke *r);

/** Unlocks, releases and zeroes. */
void revoke_free(struct revoke *r);

#endif
