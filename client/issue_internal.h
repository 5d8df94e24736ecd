/**
 * @file issue_internal.h
 * @brief What the files of issue share: one issuance under way.
 */
#ifndef AW_CLIENT_ISSUE_INTERNAL_H
#define AW_CLIENT_ISSUE_INTERNAL_H

#include "client/issue.h"

/** One issuance. */
struct issue {
    acme_session *session;
    signer_link *link;
    const struct issue_request *request;
    const struct issue_callbacks *callbacks;
    char *pinned; /**< the newOrder URL that the signer gave: its origin is the CA's */
    struct acme_order order;
    unsigned signatures; /**< asked for finalize */
    int64_t finalized;   /**< when the last one was sent, as aw_now_ms; 0: none was */
    int64_t retry_after; /**< of the last answer about what is polled; -1: none */
    struct issue_result result;
};

/** Tells progress. */
void
issue_tell(const struct issue *issue, enum issue_step step, const char *name, const char *detail);

/**
 * Posts to a claimed URL: `method` is PostAsGet or AnswerChallenge; only PostAsGet is repeated when
 * its answer is lost. The answer must be of the media type `type`.
 */
AW_MUST_USE aw_result issue_post(struct issue *issue, const char *method, const char *url,
    const char *type, struct http_response *out);

/** True when this thread's last failure leaves open whether the CA got the request. */
bool issue_answer_lost(void);

/** Fetches the certificate of a valid order. */
AW_MUST_USE aw_result issue_download(struct issue *issue);

/** Meets the challenges of all authorizations that are pending. */
AW_MUST_USE aw_result issue_authorize(struct issue *issue);

#endif
