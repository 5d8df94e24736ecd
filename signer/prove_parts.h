/**
 * @file prove_parts.h
 * @brief What the steps of proving share. Private to prove.c and prove_account.c.
 */
#ifndef AW_SIGNER_PROVE_PARTS_H
#define AW_SIGNER_PROVE_PARTS_H

#include "jose/jws.h"
#include "signer/prove.h"

/** Evidence under examination. */
struct proving {
    struct work *work;
    struct jose_openssl openssl;
    struct jose_jws *jws;
    const struct jose_jwk *key; /**< it is to be verified with, or was */
    struct jose_jwk *account_key;
    bool bound; /**< finalize: this evidence was verified and signed for before */
};

/** A reader's refusal (it named a rule) becomes the request's; what it failed in stays a failure.
 */
AW_MUST_USE aw_result proving_refuse_if(struct work *work, aw_result r, const char *const *rule);

/** Puts a copy in place of what was there. */
AW_MUST_USE aw_result proving_copy(const char *text, char **out);

/** newAccount (RFC 8555 7.3): an account there is, or one to be bound to an application. */
AW_MUST_USE aw_result proving_read_account(struct proving *p);

#endif
