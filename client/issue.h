/**
 * @file issue.h
 * @brief One certificate from start to end: order, authorizations, finalize, download.
 *
 * It knows the protocol's sequence and nothing of files: keys, challenges and storage are the
 * caller's, through callbacks.
 */
#ifndef AW_CLIENT_ISSUE_H
#define AW_CLIENT_ISSUE_H

#include <stddef.h>
#include <stdint.h>

#include "client/acme.h"
#include "client/signer_link.h"
#include "common/result.h"

/** Limits. */
enum {
    ISSUE_SECONDS = 3600,           /**< the CA may take that long in all */
    ISSUE_VALIDATION_SECONDS = 600, /**< an authorization may stay "pending" after its answer */
    ISSUE_FINALIZES_MAX = 4,   /**< of one run: the CA's answer was lost, or it stays "ready" */
    ISSUE_SIGNATURES_MAX = 6,  /**< for finalize in one run, badNonce included: the signer gives an
                                    order eight, and the next run needs one too */
    ISSUE_POLL_BEFORE_MS = 10, /**< waits between polls double from here: the first is twice this,
                                    since many CAs are ready at once */
    ISSUE_POLL_BEFORE_LEAST_MS = 1, /**< the same after finalize, where half the time that its
                                         answer took is the measure */
};

/** Steps, as progress tells them. */
enum issue_step {
    ISSUE_ORDER,
    ISSUE_AUTHORIZE, /**< for each name that is not valid yet */
    ISSUE_FINALIZE,
    ISSUE_POLL,
    ISSUE_DOWNLOAD,
    ISSUE_DONE,
};

/** "ordering", "authorizing" and so on. */
const char *issue_step_text(enum issue_step step);

/** A challenge to be met. */
struct issue_challenge {
    const struct aw_name *name;
    const char *type; /**< "http-01" */
    const char *all;  /**< every name that has to be validated, with commas, wildcards without *. */
    size_t remaining; /**< challenges to be deployed after this one */
    const char *token;
    const char *key_authorization; /**< token "." thumbprint (RFC 8555 8.1) */
};

/** An order that was opened before: the run that did so was cut off. */
struct issue_order {
    const char *application;
    int64_t ticket;        /**< the signer's */
    const char *url;       /**< the order's */
    const char *new_order; /**< URL that it was ordered at: its origin is the CA's */
    const char *document;  /**< the order as the CA told it when it was opened. To resume: given
                                only right after issue_open, before any finalize; else NULL */
};

/**
 * The caller's part. choose, deploy and cleanup may be NULL together: then an order that needs a
 * challenge fails. progress may be NULL.
 */
struct issue_callbacks {
    /** Which type to use of those offered; NULL: none is possible, with this thread's failure set.
     */
    const char *(*choose)(void *context, const struct acme_authorization *authorization);
    aw_result (*deploy)(void *context, const struct issue_challenge *challenge);
    /** All are deployed, and none is answered yet. NULL: nothing to do. */
    aw_result (*deployed)(void *context);
    void (*cleanup)(void *context, const struct issue_challenge *challenge);
    void (*progress)(void *context, enum issue_step step, const char *name, const char *detail);
    /** Whether this is the chain that is wanted, of several. NULL: the CA's first one is. */
    bool (*prefer)(void *context, const char *chain, size_t size);
    /** A new order is there; what can be kept of it is kept now. NULL: nothing is. */
    aw_result (*opened)(void *context, const struct issue_order *order);
    void *context;
};

/** What is to be issued. */
struct issue_request {
    const char *application;     /**< NULL: the only one */
    const char *thumbprint;      /**< of the account key, from WhoAmI */
    const char *profile;         /**< NULL: none */
    const char *replaces;        /**< the certificate's identifier (RFC 9773 5); NULL: none */
    const struct aw_name *names; /**< sorted */
    size_t name_count;
    const uint8_t *csr; /**< DER */
    size_t csr_size;
    const struct issue_order *resume; /**< go on with that order, for the same CSR; NULL: order */
    int64_t seconds;                  /**< the CA may take that long in all; 0: ISSUE_SECONDS */
};

/** What came of it. Release: issue_result_free. */
struct issue_result {
    char *chain; /**< the PEM chain as the CA sent it, unchecked */
    size_t chain_size;
    struct signer_order order;
    char *order_url;
    char *certificate_url;
    char *warning;    /**< of warn_until; NULL: none */
    size_t validated; /**< names that had to be validated now */
    size_t requests;  /**< HTTP requests made */
};

/**
 * Issues. The authorizations of a pre-validated order are looked at only where the order is not
 * "ready" already. Deployed challenges are cleaned up on every path. Of an order that is resumed
 * nothing is signed for finalize before the CA has said that it still waits for that.
 */
AW_MUST_USE aw_result issue_certificate(acme_session *session, signer_link *link,
    const struct issue_request *request, const struct issue_callbacks *callbacks,
    struct issue_result *out);

/**
 * Orders and claims, and does no more: of *out only `order`, `order_url`, `warning` and `requests`
 * are set. Whoever has kept what `opened` told goes on with issue_certificate and `resume`.
 */
AW_MUST_USE aw_result issue_open(acme_session *session, signer_link *link,
    const struct issue_request *request, const struct issue_callbacks *callbacks,
    struct issue_result *out);

/** Releases and zeroes. */
void issue_result_free(struct issue_result *result);

#endif
