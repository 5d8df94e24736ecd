/**
 * @file authorize.h
 * @brief The signing contract: prove, parse, decide, write, record, sign.
 */
#ifndef AW_SIGNER_AUTHORIZE_H
#define AW_SIGNER_AUTHORIZE_H

#include <stdint.h>

#include "common/result.h"
#include "csr/csr.h"
#include "signer/core.h"
#include "signer/leaving.h"
#include "signer/peer.h"
#include "signer/request.h"

/** What became of a request. */
enum sign_outcome {
    SIGN_OUTCOME_DONE,             /**< permitted; signed where the operation signs */
    SIGN_OUTCOME_POLICY_REFUSED,   /**< rule, application, name, allowed, owner, message */
    SIGN_OUTCOME_LEDGER_REFUSED,   /**< rule, application, message, retry_after */
    SIGN_OUTCOME_CSR_REFUSED,      /**< rule, application, message */
    SIGN_OUTCOME_NOT_READY,        /**< what (in rule), message */
    SIGN_OUTCOME_FROZEN,           /**< since, message */
    SIGN_OUTCOME_EVIDENCE_REFUSED, /**< through a relay: rule, application, message, inner */
};

/** The answer; strings are its own. */
struct sign_reply {
    enum sign_outcome outcome;
    char *application;
    char *account;
    char *jws;             /**< flattened JWS as JSON text; NULL when the operation signs nothing */
    char *url;             /**< where to post it */
    int64_t order;         /**< new-order: the ticket */
    int64_t inner;         /**< through a relay: the account that asked, or was made */
    bool created;          /**< inner-account: just now */
    int64_t holder;        /**< evidence.key: the account that has the key */
    struct aw_name *names; /**< new-order through a relay: what was ordered */
    size_t name_count;
    bool known;    /**< nothing was recorded: all of it was on record before */
    char *warning; /**< let through by warn_until: what will be refused, and from when */
    char *rule;    /**< stable tag */
    char *name;    /**< the name that was refused */
    char *allowed;
    char *owner;
    char *message;
    int64_t retry_after;
    int64_t since;
    struct leave leave; /**< of a signature: to the end of the reply, or moved */
};

/** Releases and zeroes. */
void sign_reply_free(struct sign_reply *reply);

/**
 * Decides a request and, if it is permitted, signs it. A refusal is an outcome, not a failure; a
 * failure means that nothing could be decided or signed (AW_CODE_BUSY, AW_CODE_TOKEN ...), and
 * never leaves a signature behind.
 */
AW_MUST_USE aw_result authorize(struct core *core, const struct peer *peer,
    const struct sign_request *request, struct sign_reply *reply);

#endif
