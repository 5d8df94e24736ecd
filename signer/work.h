/**
 * @file work.h
 * @brief One request on its way through the signing contract: what each step of authorize leaves
 * for the next.
 */
#ifndef AW_SIGNER_WORK_H
#define AW_SIGNER_WORK_H

#include "common/hex.h"
#include "jose/jwk.h"
#include "signer/authorize.h"
#include "signer/jws.h"
#include "signer/ledger_inner.h"

/** What a client of a relay was proven to ask (prove.h); all zero in an application's own request.
 */
struct proof {
    bool settled;                  /**< nothing is left to decide: the reply is whole */
    struct sign_request whole;     /**< the relay's word and the client's together; borrows */
    struct sign_request by_client; /**< what the client signed */
    char base[AW_CONFIG_RELAY_URL_MAX + 1];
    struct ledger_inner_account account; /**< who asks, for which application; id 0: nobody yet, or
                                              the certificate's own key */
    struct jose_jwk *key;                /**< inner-account, inner-key-change: the (new) key */
    char *kid;                           /**< inner-account: of the app-eab */
    char evidence[AW_DIGEST_HEX_SIZE];   /**< SHA-256 of what was signed, hex; "": nothing was */
    char *nonce;                         /**< that was used; NULL: none */
    bool by_certificate;                 /**< revoke: signed by the certificate's own key */
};

/** A request being worked on. */
struct work {
    struct core *core;
    const struct peer *peer;
    const struct sign_request *request;
    struct sign_reply *reply;
    struct proof proof;

    int64_t now;
    policy_snapshot *snapshot;
    struct csr *csr;
    struct certificate *certificate;
    struct policy_verdict verdict;
    struct account *account; /**< valid while `locked` */
    token_key *key;
    struct turn turn;                /**< at the token (turns.h) */
    bool locked;                     /**< the accounts' lock is held for reading */
    issuers *issuers;                /**< pinned for the account's CA; NULL: none */
    bool verified;                   /**< the certificate chains to them */
    char doubt[ISSUERS_REASON_SIZE]; /**< why it does not */
    struct aw_jws jws;
    int64_t seq; /**< of the record */
};

/** True once any step has refused. */
bool work_refused(const struct work *work);

/**
 * Notes a refusal: outcome, tag and message (printf-like). The first one counts.
 * @return AW_CODE_MEMORY
 */
AW_MUST_USE aw_result work_refuse(struct work *work, enum sign_outcome outcome, const char *rule,
    const char *format, ...) AW_PRINTF(4, 5);

/** Notes what the policy's verdict says, for a refusal or a warning. */
AW_MUST_USE aw_result work_take_verdict(struct work *work, const struct policy_request *asked);

/** Waits for a turn at the token. AW_CODE_BUSY: nothing is on record yet, and nothing lost. */
AW_MUST_USE aw_result work_take_turn(struct work *work);

/** Gives the turn back, if there is one. */
void work_give_turn(struct work *work);

/** True while signing is stopped, for all or for this application; notes since when. */
bool work_is_frozen(const struct work *work);

/** Refuses then, with the reason. */
AW_MUST_USE aw_result work_check_freeze(struct work *work);

/** Takes the lock, finds account, CA and key of the application; NOT_READY where one is missing. */
AW_MUST_USE aw_result work_bind_account(struct work *work);

/** Refuses a URL that the account key must not sign for: origin, account, fixed resources. */
AW_MUST_USE aw_result work_check_url(struct work *work, const char *url);

/** Verifies the certificate that is handed back, where issuers are pinned: this refuses nothing. */
AW_MUST_USE aw_result work_verify(struct work *work);

/** Submits request and record to the ledger and the log; the ledger may refuse. */
AW_MUST_USE aw_result work_record(struct work *work);

/** Signs the JWS's input in the token, and counts how long that took. */
AW_MUST_USE aw_result work_sign(
    struct work *work, uint8_t signature[TOKEN_SIGNATURE_MAX], size_t *size);

/** Says on record that a permitted operation failed afterwards, and counts it. */
void work_record_failure(struct work *work);

/** Releases what the steps have left, and the lock; for AW_CLEANUP. */
void work_end(struct work *work);

#endif
